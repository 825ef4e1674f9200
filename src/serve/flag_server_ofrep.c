/* flag_server_ofrep: evaluation for applications (OFREP) and the definition for flagd (sync). */
#include "flag_server_int.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

static void evaluation_error(struct json_out *j, const char *key, const char *code,
                             const char *details)
{
    json_object_begin(j, NULL);
    if (key)
        json_str(j, "key", key);
    json_str(j, "errorCode", code);
    json_str(j, "errorDetails", details);
    json_object_end(j);
}

static void evaluation(struct json_out *j, const struct flag_item *f, const struct flag_verdict *v)
{
    if (v->error_code) {
        evaluation_error(j, f->key, v->error_code,
                         "the flag has a percentage and targetingKey is empty");
        return;
    }
    json_object_begin(j, NULL);
    json_str(j, "key", f->key);
    json_bool(j, "value", v->value);
    json_str(j, "reason", v->reason);
    json_str(j, "variant", v->value ? "on" : "off");
    json_object_begin(j, "metadata");
    json_int(j, "percent", f->now.percent);
    json_str(j, "bucketBy", f->now.bucket_by);
    json_int(j, "revision", f->now.revision);
    if (v->bucket_missing)
        json_str(j, "note", "off: the context has no value for bucketBy");
    json_object_end(j);
    json_object_end(j);
}

static enum MHD_Result answer_evaluation_error(struct flag_request *r, unsigned status,
                                               const char *key, const char *code,
                                               const char *details)
{
    AUTO(str) text = {0};
    struct json_out j;

    json_begin(&j, &text, false);
    evaluation_error(&j, key, code, details);
    return flag_answer_json(r, status, NULL, &text);
}

static enum MHD_Result evaluate_one(struct flag_request *r, const char *key)
{
    AUTO(flag_context) context = {0};
    AUTO(str) text = {0};
    struct flag_verdict verdict;
    struct json_out j;
    const char *why = NULL;
    const char *code = flag_context_parse(str_text(&r->body), r->body.len, &context, &why);

    if (code)
        return answer_evaluation_error(r, MHD_HTTP_BAD_REQUEST, key, code, why);

    struct flag_set *set = flag_store_get(r->server->store);
    const struct flag_item *f = flag_set_find(set, key);
    if (!f || f->now.archived) {
        flag_set_unref(set);
        return answer_evaluation_error(r, MHD_HTTP_NOT_FOUND, key, "FLAG_NOT_FOUND",
                                       "no such flag");
    }
    flag_evaluate(f, &context, &verdict);
    json_begin(&j, &text, false);
    evaluation(&j, f, &verdict);
    flag_set_unref(set);
    return flag_answer_json(r, verdict.error_code ? MHD_HTTP_BAD_REQUEST : MHD_HTTP_OK, NULL,
                            &text);
}

/* What the answer depends on: all flags, and the context as it was sent. */
static void bulk_etag(const struct flag_set *set, const struct str *body, char out[FLAG_ETAG_SIZE])
{
    unsigned char digest[SHA256_DIGEST_LENGTH];

    SHA256((const unsigned char *) str_text(body), body->len, digest);
    int n = snprintf(out, FLAG_ETAG_SIZE, "\"%s-%lld-", set->store_id, (long long) set->revision);
    for (int i = 0; i < 8; i++)
        n += snprintf(out + n, FLAG_ETAG_SIZE - (size_t) n, "%02x", digest[i]);
    snprintf(out + n, FLAG_ETAG_SIZE - (size_t) n, "\"");
}

static enum MHD_Result evaluate_all(struct flag_request *r)
{
    AUTO(flag_context) context = {0};
    AUTO(str) text = {0};
    char etag[FLAG_ETAG_SIZE];
    struct json_out j;
    const char *why = NULL;
    const char *code = flag_context_parse(str_text(&r->body), r->body.len, &context, &why);

    if (code)
        return answer_evaluation_error(r, MHD_HTTP_BAD_REQUEST, NULL, code, why);

    struct flag_set *set = flag_store_get(r->server->store);
    bulk_etag(set, &r->body, etag);
    if (flag_etag_matches(flag_request_header(r, "If-None-Match"), etag, true)) {
        flag_set_unref(set);
        return flag_answer_not_modified(r, etag);
    }
    json_begin(&j, &text, false);
    json_object_begin(&j, NULL);
    json_array_begin(&j, "flags");
    for (int i = 0; i < set->n; i++) {
        struct flag_verdict verdict;

        if (set->flags[i].now.archived)
            continue;
        flag_evaluate(&set->flags[i], &context, &verdict);
        evaluation(&j, &set->flags[i], &verdict);
    }
    json_array_end(&j);
    json_object_end(&j);
    flag_set_unref(set);
    return flag_answer_json(r, MHD_HTTP_OK, etag, &text);
}

/* POST /ofrep/v1/evaluate/flags[/{key}] */
enum MHD_Result flag_ofrep_handle(struct flag_request *r)
{
    if (r->n_parts < 4 || r->n_parts > 5 || strcmp(r->parts[2], "evaluate") != 0 ||
        strcmp(r->parts[3], "flags") != 0)
        return flag_answer_error(r, MHD_HTTP_NOT_FOUND, "not_found", "no such endpoint");
    if (strcmp(r->method, "POST") != 0)
        return flag_answer_method(r, "POST");
    return r->n_parts == 5 ? evaluate_one(r, r->parts[4]) : evaluate_all(r);
}

/* GET /flagd/v1/flags.json */
enum MHD_Result flag_sync_handle(struct flag_request *r)
{
    char etag[FLAG_ETAG_SIZE];
    enum MHD_Result sent;

    if (r->n_parts != 3 || strcmp(r->parts[2], "flags.json") != 0)
        return flag_answer_error(r, MHD_HTTP_NOT_FOUND, "not_found", "no such endpoint");
    if (!flag_request_is_read(r))
        return flag_answer_method(r, "GET, HEAD");

    struct flag_set *set = flag_store_get(r->server->store);
    flag_set_etag(set, set->revision, etag);
    if (flag_etag_matches(flag_request_header(r, "If-None-Match"), etag, true))
        sent = flag_answer_not_modified(r, etag);
    else
        sent = flag_answer_json(r, MHD_HTTP_OK, etag, &set->flagd);
    flag_set_unref(set);
    return sent;
}

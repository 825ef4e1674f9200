/* flag_server_admin: the admin API. Everything here has passed the token check. */
#include "flag_server_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static enum MHD_Result answer_not_found(struct flag_request *r, const char *key)
{
    return flag_answer_error(r, MHD_HTTP_NOT_FOUND, "not_found", "there is no flag \"%s\"", key);
}

static enum MHD_Result answer_change(struct flag_request *r, const struct flag_change *c)
{
    switch (c->result) {
    case FLAG_CHANGE_DONE:
    case FLAG_CHANGE_NONE: return flag_answer_json(r, MHD_HTTP_OK, c->etag, &c->json);
    case FLAG_CHANGE_MISMATCH:
        return flag_answer_error(
            r, MHD_HTTP_PRECONDITION_FAILED, "precondition_failed",
            c->action == FLAG_ACTION_CREATE
                ? "flag \"%s\" exists already; read it and send its ETag as If-Match"
                : "flag \"%s\" isn't what If-Match says; read it again",
            c->key);
    case FLAG_CHANGE_NOT_FOUND: return answer_not_found(r, c->key);
    case FLAG_CHANGE_ARCHIVED:
        return flag_answer_error(r, MHD_HTTP_CONFLICT, "archived",
                                 "flag \"%s\" is archived; POST /admin/v1/flags/%s/restore first",
                                 c->key, c->key);
    case FLAG_CHANGE_TOO_MANY:
        return flag_answer_error(r, MHD_HTTP_CONFLICT, "too_many_flags",
                                 "the server keeps at most %d flags", FLAG_SERVER_MAX_FLAGS);
    case FLAG_CHANGE_NOT_STORED:
        return flag_answer_error(r, MHD_HTTP_INSUFFICIENT_STORAGE, "not_stored",
                                 "nothing was changed: %s", str_text(&c->why));
    case FLAG_CHANGE_IN_DOUBT: break;
    }
    return flag_answer_error(r, MHD_HTTP_INTERNAL_SERVER_ERROR, "in_doubt",
                             "changed, but perhaps not durably: %s", str_text(&c->why));
}

static bool is_json_request(const struct flag_request *r)
{
    const char *type = flag_request_header(r, "Content-Type");

    return type && strncasecmp(type, "application/json", 16) == 0 &&
           (type[16] == '\0' || type[16] == ';' || type[16] == ' ');
}

/* The body into body, or false with the answer queued in *sent. */
static bool read_body(struct flag_request *r, struct flag_body *body, enum MHD_Result *sent)
{
    const char *why = NULL;

    if (r->body.len > 0 && !is_json_request(r)) {
        *sent = flag_answer_error(r, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type",
                                  "send the body as Content-Type: application/json");
        return false;
    }
    if (!flag_body_parse(&r->arena, str_text(&r->body), r->body.len, body, &why)) {
        *sent = flag_answer_error(r, MHD_HTTP_BAD_REQUEST, "invalid", "%s", why);
        return false;
    }
    return true;
}

static void change_from_body(struct flag_change *c, const struct flag_body *b)
{
    c->percent = b->percent;
    c->bucket_by = b->bucket_by;
    c->by = b->by ? b->by : "admin";
    c->reason = b->reason;
    c->op_id = b->op_id;
    c->at_ms = now_ms();
}

static enum MHD_Result flag_put(struct flag_request *r, const char *key)
{
    const char *if_match = flag_request_header(r, "If-Match");
    const char *if_none = flag_request_header(r, "If-None-Match");
    AUTO(flag_change) change = {.key = key};
    struct flag_body body;
    enum MHD_Result sent;

    if (!read_body(r, &body, &sent))
        return sent;
    if (!flag_key_is_valid(key))
        return flag_answer_error(r, MHD_HTTP_BAD_REQUEST, "invalid",
                                 "a flag's key is letters, digits and . _ : ~ -, at most 128");
    if (!body.has_percent)
        return flag_answer_error(r, MHD_HTTP_BAD_REQUEST, "invalid",
                                 "\"percent\" is missing: a whole number from 0 to 100");
    if (!if_match && !if_none)
        return flag_answer_error(
            r, MHD_HTTP_PRECONDITION_REQUIRED, "precondition_required",
            "send If-Match with the flag's ETag, or If-None-Match: * to create it");
    if (if_none && (if_match || strcmp(if_none, "*") != 0))
        return flag_answer_error(r, MHD_HTTP_BAD_REQUEST, "invalid",
                                 "If-None-Match can only be *, and not together with If-Match");
    change_from_body(&change, &body);
    change.action = if_none ? FLAG_ACTION_CREATE : FLAG_ACTION_SET;
    change.if_match = if_match;
    flag_store_change(r->server->store, &change);
    return answer_change(r, &change);
}

/* off, archive and restore: If-Match is honoured when it's there. */
static enum MHD_Result flag_act(struct flag_request *r, const char *key, enum flag_action action)
{
    AUTO(flag_change) change = {.key = key, .action = action};
    struct flag_body body;
    enum MHD_Result sent;

    if (!read_body(r, &body, &sent))
        return sent;
    if (body.has_percent || body.bucket_by)
        return flag_answer_error(r, MHD_HTTP_BAD_REQUEST, "invalid",
                                 "only opId, reason and by are known here");
    change_from_body(&change, &body);
    change.if_match = flag_request_header(r, "If-Match");
    flag_store_change(r->server->store, &change);
    return answer_change(r, &change);
}

static enum MHD_Result flag_get(struct flag_request *r, const char *key)
{
    char etag[FLAG_ETAG_SIZE];
    AUTO(str) text = {0};
    struct json_out j;

    struct flag_set *set = flag_store_get(r->server->store);
    const struct flag_item *f = flag_set_find(set, key);
    if (!f) {
        flag_set_unref(set);
        return answer_not_found(r, key);
    }
    flag_set_etag(set, f->now.revision, etag);
    json_begin(&j, &text, false);
    flag_item_json(&j, NULL, f);
    flag_set_unref(set);
    if (flag_etag_matches(flag_request_header(r, "If-None-Match"), etag, true))
        return flag_answer_not_modified(r, etag);
    return flag_answer_json(r, MHD_HTTP_OK, etag, &text);
}

static enum MHD_Result flag_list(struct flag_request *r)
{
    char etag[FLAG_ETAG_SIZE];
    AUTO(str) text = {0};
    struct json_out j;

    if (!flag_request_is_read(r))
        return flag_answer_method(r, "GET, HEAD");
    struct flag_set *set = flag_store_get(r->server->store);
    flag_set_etag(set, set->revision, etag);
    json_begin(&j, &text, false);
    json_object_begin(&j, NULL);
    json_int(&j, "revision", set->revision);
    json_array_begin(&j, "flags");
    for (int i = 0; i < set->n; i++)
        flag_item_json(&j, NULL, &set->flags[i]);
    json_array_end(&j);
    json_object_end(&j);
    flag_set_unref(set);
    if (flag_etag_matches(flag_request_header(r, "If-None-Match"), etag, true))
        return flag_answer_not_modified(r, etag);
    return flag_answer_json(r, MHD_HTTP_OK, etag, &text);
}

static bool limit_argument(struct flag_request *r, int *out)
{
    const char *text = MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, "limit");
    char *end = NULL;

    if (!text)
        return true;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (errno || end == text || *end || n < 1)
        return false;
    *out = n < FLAG_SERVER_HISTORY ? (int) n : FLAG_SERVER_HISTORY;
    return true;
}

static enum MHD_Result flag_history(struct flag_request *r, const char *key)
{
    int limit = FLAG_SERVER_HISTORY;
    AUTO(str) text = {0};
    struct json_out j;

    if (!flag_request_is_read(r))
        return flag_answer_method(r, "GET, HEAD");
    if (!limit_argument(r, &limit))
        return flag_answer_error(r, MHD_HTTP_BAD_REQUEST, "invalid",
                                 "limit is not a number from 1 up");
    struct flag_set *set = flag_store_get(r->server->store);
    const struct flag_item *f = flag_set_find(set, key);
    if (!f) {
        flag_set_unref(set);
        return answer_not_found(r, key);
    }
    json_begin(&j, &text, false);
    json_object_begin(&j, NULL);
    json_str(&j, "key", f->key);
    json_array_begin(&j, "history");
    for (int i = 0; i < f->n_history && i < limit; i++)
        flag_entry_json(&j, &f->history[f->n_history - 1 - i]);
    json_array_end(&j);
    json_object_end(&j);
    flag_set_unref(set);
    return flag_answer_json(r, MHD_HTTP_OK, NULL, &text);
}

static enum MHD_Result flag_action(struct flag_request *r, const char *key, const char *word)
{
    if (strcmp(word, "history") == 0)
        return flag_history(r, key);
    bool off = strcmp(word, "off") == 0;
    if (!off && strcmp(word, "restore") != 0)
        return flag_answer_error(r, MHD_HTTP_NOT_FOUND, "not_found", "no such endpoint");
    if (strcmp(r->method, "POST") != 0)
        return flag_answer_method(r, "POST");
    return flag_act(r, key, off ? FLAG_ACTION_OFF : FLAG_ACTION_RESTORE);
}

enum MHD_Result flag_admin_handle(struct flag_request *r)
{
    if (r->n_parts < 3 || r->n_parts > 5 || strcmp(r->parts[2], "flags") != 0)
        return flag_answer_error(r, MHD_HTTP_NOT_FOUND, "not_found", "no such endpoint");
    if (r->n_parts == 3)
        return flag_list(r);
    if (r->n_parts == 5)
        return flag_action(r, r->parts[3], r->parts[4]);
    if (flag_request_is_read(r))
        return flag_get(r, r->parts[3]);
    if (strcmp(r->method, "PUT") == 0)
        return flag_put(r, r->parts[3]);
    if (strcmp(r->method, "DELETE") == 0)
        return flag_act(r, r->parts[3], FLAG_ACTION_ARCHIVE);
    return flag_answer_method(r, "GET, HEAD, PUT, DELETE");
}

/* flag_server_body: request bodies -> data, and the evaluation of a flag. No I/O. */
#include "flag_server_int.h"

#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#define REASON_MAX 256
#define NAME_MAX_LEN 64

int flag_bucket(const char *key, const char *value)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    AUTO(str) text = {0};
    uint64_t number = 0;

    str_add(&text, key);
    str_addc(&text, ':');
    str_add(&text, value);
    SHA256((const unsigned char *) text.text, text.len, digest);
    for (int i = 0; i < 8; i++)
        number = number << 8 | digest[i];
    return (int) (number % FLAG_BUCKETS);
}

/* ---- changes -------------------------------------------------------------------------------------- */

static bool text_field(struct arena *a, const char *name, json_t *value, size_t max,
                       const char **out, const char **why)
{
    if (json_is_null(value))
        return true;
    if (!json_is_string(value)) {
        *why = arena_printf(a, "\"%s\" is not a text", name);
        return false;
    }
    if (json_string_length(value) > max) {
        *why = arena_printf(a, "\"%s\" is longer than %zu bytes", name, max);
        return false;
    }
    *out = arena_strdup(a, json_string_value(value));
    return true;
}

static bool percent_field(json_t *value, struct flag_body *out, const char **why)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > 100) {
        *why = "\"percent\" is not a whole number from 0 to 100";
        return false;
    }
    out->percent = (int) json_integer_value(value);
    out->has_percent = true;
    return true;
}

static bool body_field(struct arena *a, const char *name, json_t *value, struct flag_body *out,
                       const char **why)
{
    if (strcmp(name, "percent") == 0)
        return percent_field(value, out, why);
    if (strcmp(name, "opId") == 0)
        return text_field(a, name, value, NAME_MAX_LEN, &out->op_id, why);
    if (strcmp(name, "by") == 0)
        return text_field(a, name, value, NAME_MAX_LEN, &out->by, why);
    if (strcmp(name, "reason") == 0)
        return text_field(a, name, value, REASON_MAX, &out->reason, why);
    if (strcmp(name, "bucketBy") == 0) {
        if (!text_field(a, name, value, NAME_MAX_LEN, &out->bucket_by, why))
            return false;
        if (!out->bucket_by || flag_bucket_by_is_valid(out->bucket_by))
            return true;
        *why = "\"bucketBy\" is not a name: letters, digits, _ and -, not starting with a digit";
        return false;
    }
    *why =
        arena_printf(a, "unknown key \"%.64s\"; known: percent, bucketBy, opId, reason, by", name);
    return false;
}

bool flag_body_parse(struct arena *a, const char *bytes, size_t n, struct flag_body *out,
                     const char **why)
{
    struct flag_body body = {0};
    json_error_t at;
    const char *name;
    json_t *value;

    if (n == 0) {
        *out = body;
        return true;
    }
    json_t *root = json_loadb(bytes, n, JSON_REJECT_DUPLICATES, &at);
    if (!root) {
        *why = arena_printf(a, "not JSON: line %d, column %d: %s", at.line, at.column, at.text);
        return false;
    }
    bool good = json_is_object(root);
    if (!good)
        *why = "the body is not a JSON object";
    void *field = json_object_iter(root);
    while (good && field) {
        name = json_object_iter_key(field);
        value = json_object_iter_value(field);
        good = body_field(a, name, value, &body, why);
        field = json_object_iter_next(root, field);
    }
    json_decref(root);
    if (good)
        *out = body;
    return good;
}

/* ---- evaluations ------------------------------------------------------------------------------------ */

const char *flag_context_parse(const char *bytes, size_t n, struct flag_context *out,
                               const char **why)
{
    json_error_t at;

    if (n == 0) {
        *out = (struct flag_context) {0};
        return NULL;
    }
    json_t *root = json_loadb(bytes, n, JSON_REJECT_DUPLICATES, &at);
    if (!json_is_object(root)) {
        *why = root ? "the body is not a JSON object" : "the body is not JSON";
        json_decref(root);
        return "PARSE_ERROR";
    }
    json_t *values = json_object_get(root, "context");
    if (values && !json_is_null(values) && !json_is_object(values)) {
        *why = "\"context\" is not an object";
        json_decref(root);
        return "INVALID_CONTEXT";
    }
    if (json_is_null(values))
        values = NULL;
    json_t *key = json_object_get(values, "targetingKey");
    if (key && !json_is_string(key) && !json_is_null(key)) {
        *why = "\"targetingKey\" is not a text";
        json_decref(root);
        return "INVALID_CONTEXT";
    }
    *out = (struct flag_context) {.root = root, .values = values};
    return NULL;
}

void flag_context_free(struct flag_context *c)
{
    json_decref(c->root);
    *c = (struct flag_context) {0};
}

bool flag_context_value(const struct flag_context *c, const char *name, struct str *out)
{
    json_t *value = json_object_get(c->values, name);

    str_clear(out);
    if (json_is_string(value))
        str_addn(out, json_string_value(value), json_string_length(value));
    else if (json_is_integer(value))
        str_addf(out, "%lld", (long long) json_integer_value(value));
    else if (json_is_boolean(value))
        str_add(out, json_is_true(value) ? "true" : "false");
    return out->len > 0;
}

/* A context without the value that percentages go by is off: nobody must be on by accident, and no two
 * calls may differ. A targetingKey that is there but empty is the caller's mistake and is said. */
void flag_evaluate(const struct flag_item *f, const struct flag_context *c,
                   struct flag_verdict *out)
{
    AUTO(str) value = {0};
    int percent = f->now.percent;

    *out = (struct flag_verdict) {.value = percent == 100, .reason = "STATIC"};
    if (percent == 0 || percent == 100)
        return;
    if (flag_context_value(c, f->now.bucket_by, &value)) {
        out->value = flag_bucket(f->key, value.text) < percent * (FLAG_BUCKETS / 100);
        out->reason = "SPLIT";
        return;
    }
    out->reason = "DEFAULT";
    out->bucket_missing = true;
    if (strcmp(f->now.bucket_by, "targetingKey") == 0 && json_object_get(c->values, "targetingKey"))
        out->error_code = "TARGETING_KEY_MISSING";
}

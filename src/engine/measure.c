/* Numbers for gates out of answers from elsewhere. Pure: bytes in, text out. */
#include "phasegate/measure.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXACT_INTEGER 9007199254740992.0 /* 2^53: beyond, a double skips integers */

struct json {
    json_t *root;
};

static void json_auto(struct json *j) { json_decref(j->root); }

/* Integers beyond 64 bits only fail when it is they that are asked for: *out_rounded. */
static bool parse(const char *body, size_t n, json_t **out, bool *out_rounded, struct err *err)
{
    json_error_t why;
    size_t flags = JSON_DECODE_ANY | JSON_REJECT_DUPLICATES;

    *out_rounded = false;
    *out = json_loadb(body, n, flags, &why);
    if (!*out && json_error_code(&why) == json_error_numeric_overflow) {
        *out_rounded = true;
        *out = json_loadb(body, n, flags | JSON_DECODE_INT_AS_REAL, &why);
    }
    if (*out)
        return true;
    return err_set(err, ERR_UNREACHABLE, "the answer is not JSON: line %d, column %d", why.line,
                   why.column);
}

/* ---- JSON pointer ---------------------------------------------------------------------------- */

/* RFC 6901: "/" and "~" only as "~1" and "~0". */
static bool is_pointer(const char *pointer)
{
    if (*pointer && *pointer != '/')
        return false;
    for (const char *c = pointer; *c; c++)
        if (*c == '~' && c[1] != '0' && c[1] != '1')
            return false;
    return true;
}

static void unescape(struct str *to, const char *token, size_t n)
{
    str_set(to, "");
    for (size_t i = 0; i < n; i++) {
        if (token[i] != '~') {
            str_addc(to, token[i]);
            continue;
        }
        i++;
        str_addc(to, token[i] == '1' ? '/' : '~');
    }
}

/* Digits without a leading zero. */
static bool is_index(const char *token)
{
    size_t n = strlen(token);

    return n > 0 && n < 10 && strspn(token, "0123456789") == n && (n == 1 || token[0] != '0');
}

static json_t *follow(json_t *at, const char *pointer)
{
    AUTO(str) token = {0};

    while (at && *pointer) {
        size_t n = strcspn(++pointer, "/");

        unescape(&token, pointer, n);
        if (json_is_object(at))
            at = json_object_get(at, str_text(&token));
        else if (json_is_array(at) && is_index(str_text(&token)))
            at = json_array_get(at, strtoul(str_text(&token), NULL, 10));
        else
            at = NULL;
        pointer += n;
    }
    return at;
}

/* ---- scalars --------------------------------------------------------------------------------- */

static char *real_text(struct arena *a, double v)
{
    for (int digits = 15; digits < 17; digits++) {
        char *text = arena_printf(a, "%.*g", digits, v);

        if (strtod(text, NULL) == v)
            return text;
    }
    return arena_printf(a, "%.17g", v);
}

static bool scalar_text(struct arena *a, const json_t *v, const char *pointer, bool is_rounded,
                        const char **out, struct err *err)
{
    switch (json_typeof(v)) {
    case JSON_STRING: *out = arena_strdup(a, json_string_value(v)); return true;
    case JSON_INTEGER:
        *out = arena_printf(a, "%lld", (long long) json_integer_value(v));
        return true;
    case JSON_REAL:
        if (is_rounded && fabs(json_real_value(v)) >= EXACT_INTEGER)
            return err_set(err, ERR_UNREACHABLE, "the number at \"%s\" is too large to be exact",
                           pointer);
        *out = real_text(a, json_real_value(v));
        return true;
    case JSON_TRUE: *out = "true"; return true;
    case JSON_FALSE: *out = "false"; return true;
    case JSON_NULL: *out = NULL; return true;
    case JSON_OBJECT:
    case JSON_ARRAY: break;
    }
    return err_set(err, ERR_UNREACHABLE, "at \"%s\" there is an %s, expected a number or a text",
                   pointer, json_is_array(v) ? "array" : "object");
}

bool measure_json_pointer(const char *body, size_t n, const char *pointer, struct arena *a,
                          const char **out, struct err *err)
{
    struct json doc __attribute__((cleanup(json_auto))) = {NULL};
    json_t *found;
    bool is_rounded;

    if (!is_pointer(pointer)) {
        err_set(err, ERR_INPUT, "\"%s\" is not a JSON pointer", pointer);
        return err_hint(err, "Expected \"/name/0/other\"; ~ is written ~0, and / in a name ~1.");
    }
    if (!parse(body, n, &doc.root, &is_rounded, err))
        return false;
    found = follow(doc.root, pointer);
    if (!found)
        return err_set(err, ERR_UNREACHABLE, "the answer has nothing at \"%s\"", pointer);
    return scalar_text(a, found, pointer, is_rounded, out, err);
}

/* ---- Prometheus ------------------------------------------------------------------------------ */

/* A query that the server can't read stays wrong, all else may pass. */
static bool prometheus_error(const json_t *root, struct err *err)
{
    const char *type = json_string_value(json_object_get(root, "errorType"));
    const char *text = json_string_value(json_object_get(root, "error"));
    bool is_ours = type && strcmp(type, "bad_data") == 0;

    if (!json_is_object(root) || !text)
        return err_set(err, ERR_UNREACHABLE,
                       "the answer is not one of Prometheus to an instant query");
    return err_set(err, is_ours ? ERR_INPUT : ERR_UNREACHABLE, "Prometheus refused the query: %s",
                   text);
}

static bool is_number(const char *text)
{
    char *end;

    if (strcmp(text, "+Inf") == 0 || strcmp(text, "-Inf") == 0)
        return true;
    if (!*text || strspn(text, "0123456789+-.eE") != strlen(text))
        return false;
    strtod(text, &end);
    return *end == '\0';
}

/* [time, "value"] */
static bool sample_text(const json_t *pair, struct arena *a, const char **out, struct err *err)
{
    const char *text = json_string_value(json_array_get(pair, 1));

    if (!json_is_array(pair) || json_array_size(pair) != 2 || !text)
        return err_set(err, ERR_UNREACHABLE,
                       "Prometheus answered something else than a plain number");
    if (strcmp(text, "NaN") == 0) {
        *out = NULL;
        return true;
    }
    if (!is_number(text))
        return err_set(err, ERR_UNREACHABLE,
                       "Prometheus answered something else than a plain number");
    *out = arena_strdup(a, text);
    return true;
}

static bool vector_text(const json_t *result, struct arena *a, const char **out, int *out_samples,
                        struct err *err)
{
    size_t n = json_array_size(result);

    if (!json_is_array(result))
        return err_set(err, ERR_UNREACHABLE,
                       "the answer is not one of Prometheus to an instant query");
    if (n > 1) {
        err_set(err, ERR_INPUT, "the query gives %zu samples, expected one", n);
        return err_hint(err, "Aggregate in the query: sum(...), max(...) or avg(...).");
    }
    if (n == 0) {
        *out = NULL;
        *out_samples = 0;
        return true;
    }
    if (!sample_text(json_object_get(json_array_get(result, 0), "value"), a, out, err))
        return false;
    *out_samples = 1;
    return true;
}

bool measure_prometheus(const char *body, size_t n, struct arena *a, const char **out,
                        int *out_samples, struct err *err)
{
    struct json doc __attribute__((cleanup(json_auto))) = {NULL};
    const char *status, *type;
    const json_t *data, *result;
    bool is_rounded;

    if (!parse(body, n, &doc.root, &is_rounded, err))
        return false;
    status = json_string_value(json_object_get(doc.root, "status"));
    data = json_object_get(doc.root, "data");
    type = json_string_value(json_object_get(data, "resultType"));
    result = json_object_get(data, "result");
    if (!status || strcmp(status, "success") != 0 || !type || !result)
        return prometheus_error(doc.root, err);
    if (strcmp(type, "vector") == 0)
        return vector_text(result, a, out, out_samples, err);
    if (strcmp(type, "scalar") == 0) {
        if (!sample_text(result, a, out, err))
            return false;
        *out_samples = 1;
        return true;
    }
    err_set(err, ERR_INPUT, "the query gives a %s, expected a vector or a scalar", type);
    return err_hint(
        err, "An instant query with one number as its answer: without [5m] around everything.");
}

bool measure_prometheus_label(const char *body, size_t n, const char *label, struct arena *a,
                              const char ***out, int *out_n, struct err *err)
{
    struct json doc __attribute__((cleanup(json_auto))) = {NULL};
    const json_t *data, *result;
    bool is_rounded;

    if (!parse(body, n, &doc.root, &is_rounded, err))
        return false;
    data = json_object_get(doc.root, "data");
    result = json_object_get(data, "result");
    const char *type = json_string_value(json_object_get(data, "resultType"));
    if (!type || strcmp(type, "vector") != 0 || !json_is_array(result))
        return prometheus_error(doc.root, err);
    const char **list = arena_array(a, const char *, (int) json_array_size(result) + 1);
    int found = 0;
    for (size_t i = 0; i < json_array_size(result); i++) {
        const json_t *sample = json_array_get(result, i);
        const char *name =
            json_string_value(json_object_get(json_object_get(sample, "metric"), label));
        const char *value;
        if (!sample_text(json_object_get(sample, "value"), a, &value, err))
            return false;
        if (!name)
            return err_set(err, ERR_INPUT, "a sample has no label \"%s\"", label);
        if (value && strtod(value, NULL) != 0)
            list[found++] = arena_strdup(a, name);
    }
    *out = list;
    *out_n = found;
    return true;
}

/* request: building requests and reading answers, for every provider. */
#include "provider.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MESSAGE_MAX = 200 };

const char *provider_url(struct arena *a, const char *base, const char *fmt, ...)
{
    size_t n = strlen(base);
    va_list ap;
    char *path;

    while (n > 0 && base[n - 1] == '/')
        n--;
    va_start(ap, fmt);
    path = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return arena_printf(a, "%.*s%s", (int) n, base, path);
}

const char *provider_escape(struct arena *a, const char *s)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t n = strlen(s);
    char *out = arena_alloc(a, n * 3 + 1), *p = out;

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char) s[i];
        bool plain = c < 0x80 && (isalnum(c) || c == '-' || c == '_' || c == '.' || c == '~');

        /* "." and ".." would be folded away as path segments. */
        if (plain && !(c == '.' && (strcmp(s, ".") == 0 || strcmp(s, "..") == 0))) {
            *p++ = (char) c;
        } else {
            *p++ = '%';
            *p++ = hex[c >> 4];
            *p++ = hex[c & 15];
        }
    }
    *p = '\0';
    return out;
}

enum flag_next provider_ask(struct flag_call *call, struct http_req *out, const char *method,
                            const char *url, const char *body, bool is_write)
{
    *out = (struct http_req) {
        .method = method,
        .url = url,
        .body = body,
        .body_len = body ? strlen(body) : 0,
        .ca_file = call->ref->service->ca_file,
        .connect_ms = call->connect_ms,
        .total_ms = call->total_ms,
        .is_write = is_write,
    };
    if (is_write)
        call->wrote = true;
    provider_header(call, out, "Accept", "", "application/json");
    if (body)
        provider_header(call, out, "Content-Type", "", "application/json");
    return FLAG_REQUEST;
}

void provider_header(struct flag_call *call, struct http_req *req, const char *name,
                     const char *prefix, const char *value_or_null)
{
    const size_t room = sizeof req->headers / sizeof req->headers[0] - 1;
    size_t n = 0;

    if (!value_or_null)
        return;
    while (n < room && req->headers[n])
        n++;
    if (n < room)
        req->headers[n] = arena_printf(call->arena, "%s: %s%s", name, prefix, value_or_null);
}

bool provider_has_header(const struct http_req *req, const char *name)
{
    size_t n = strlen(name);

    for (int i = 0; req->headers[i]; i++)
        if (strncasecmp(req->headers[i], name, n) == 0 && req->headers[i][n] == ':')
            return true;
    return false;
}

enum flag_next provider_done(struct flag_call *call, enum flag_answer answer, const char *fmt, ...)
{
    va_list ap;

    call->answer = answer;
    call->detail = NULL;
    if (fmt) {
        va_start(ap, fmt);
        call->detail = arena_vprintf(call->arena, fmt, ap);
        va_end(ap);
    }
    return FLAG_FINISHED;
}

enum flag_next provider_unreadable(struct flag_call *call, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    call->detail = arena_vprintf(call->arena, fmt, ap);
    va_end(ap);
    call->answer = call->wrote ? FLAG_IN_DOUBT : FLAG_NOT_SENT;
    call->obs = (struct flag_obs) {.state = FLAG_UNKNOWN, .why = call->detail};
    return FLAG_FINISHED;
}

enum flag_next provider_unexpected(struct flag_call *call, const struct http_res *res,
                                   bool is_write)
{
    const char *message = provider_message(call, res);

    if (res->status >= 400 && res->status < 500)
        return provider_done(call, FLAG_REJECTED, "%s answered %d%s%s", call->ref->service->shown,
                             res->status, message ? ": " : "", message ? message : "");
    if (is_write) {
        call->obs = (struct flag_obs) {.state = FLAG_UNKNOWN, .why = "a write is in doubt"};
        return provider_done(call, FLAG_IN_DOUBT, "%s gave an answer that makes no sense here (%d)",
                             call->ref->service->shown, res->status);
    }
    return provider_unreadable(call, "%s gave an answer that makes no sense here (%d)",
                               call->ref->service->shown, res->status);
}

void provider_saw(struct flag_call *call, enum flag_state state, int percent, const char *why,
                  const char *fingerprint)
{
    call->obs = (struct flag_obs) {
        .state = state, .percent = percent, .why = why, .fingerprint = fingerprint};
}

bool provider_is_value(const struct flag_obs *obs, struct flag_value v)
{
    return obs->state == v.state && (v.state != FLAG_PERCENT || obs->percent == v.percent);
}

json_t *provider_json(const struct http_res *res)
{
    return json_loadb(res->body ? res->body : "", res->body_len,
                      JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
}

const char *provider_text(struct flag_call *call, const json_t *object, const char *key)
{
    return arena_strdup(call->arena, json_string_value(json_object_get(object, key)));
}

const char *provider_message(struct flag_call *call, const struct http_res *res)
{
    static const char *const keys[] = {"message", "error", "detail", "errorDetails", "name"};
    json_auto_t *root = res->body_len ? provider_json(res) : NULL;
    const char *found = NULL;
    char *copy;

    /* The nested message of a list says more than "Request validation failed". */
    found = json_string_value(
        json_object_get(json_array_get(json_object_get(root, "details"), 0), "message"));
    for (size_t i = 0; !found && i < sizeof keys / sizeof keys[0]; i++)
        found = json_string_value(json_object_get(root, keys[i]));
    if (!found)
        return NULL;
    copy = arena_strdup(call->arena, provider_cut(call->arena, found, MESSAGE_MAX));
    for (char *p = copy; *p; p++)
        if ((unsigned char) *p < 0x20)
            *p = ' ';
    return copy;
}

int provider_percent(const char *text)
{
    size_t n = text ? strlen(text) : 0;
    int percent = 0;

    if (n < 1 || n > 3 || strspn(text, "0123456789") != n)
        return -1;
    for (size_t i = 0; i < n; i++)
        percent = percent * 10 + (text[i] - '0');
    return percent <= 100 ? percent : -1;
}

const char *provider_dump(struct arena *a, const json_t *j)
{
    char *text = j ? json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY) : NULL;
    const char *copy = arena_strdup(a, text ? text : "null");

    free(text);
    return copy;
}

const char *provider_cut(struct arena *a, const char *text_or_null, size_t max)
{
    size_t n = text_or_null ? strlen(text_or_null) : 0;

    if (n <= max)
        return text_or_null;
    for (n = max; n > 0 && ((unsigned char) text_or_null[n] & 0xC0) == 0x80; n--)
        ;
    return arena_strndup(a, text_or_null, n);
}

bool provider_mentions(const char *text, const char *word)
{
    size_t n = strlen(word);

    for (; text && *text; text++)
        if (strncasecmp(text, word, n) == 0)
            return true;
    return false;
}

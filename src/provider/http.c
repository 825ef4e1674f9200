/* http: any service with a URL, described by templates.
 *
 * Placeholders in set_url, set_body and get_url: {{key}} {{percent}} {{enabled}} {{op_id}}
 * {{reason}}. In a URL they are percent-encoded, in a body they are escaped for JSON
 * (form-encoded where a header says that the body is a form). One request sets the state, one
 * reads it back through JSON pointers. */
#include "provider.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { H_READ, H_SET };
enum escape { ESCAPE_URL, ESCAPE_JSON };

static const char *const placeholders[] = {"key", "percent", "enabled", "op_id", "reason", NULL};

/* ---- templates ------------------------------------------------------------------------------- */

static const char *value_of(struct flag_call *call, const char *name, size_t n, int percent)
{
    if (n == 3 && memcmp(name, "key", n) == 0)
        return call->ref->key;
    if (n == 7 && memcmp(name, "percent", n) == 0)
        return arena_printf(call->arena, "%d", percent);
    if (n == 7 && memcmp(name, "enabled", n) == 0)
        return percent > 0 ? "true" : "false";
    if (n == 5 && memcmp(name, "op_id", n) == 0)
        return call->op_id ? call->op_id : "";
    if (n == 6 && memcmp(name, "reason", n) == 0)
        return call->reason ? call->reason : "";
    return NULL;
}

/* Without the quotes: they belong to the template. */
static const char *json_escape(struct arena *a, const char *s)
{
    json_auto_t *j = json_string(s); /* NULL: not UTF-8 */
    const char *quoted = j ? provider_dump(a, j) : "\"\"";

    return arena_strndup(a, quoted + 1, strlen(quoted) - 2);
}

static const char *fill(struct flag_call *call, const char *template, enum escape how, int percent)
{
    AUTO(str) out = {0};
    const char *p = template;

    for (const char *open; (open = strstr(p, "{{"));) {
        const char *close = strstr(open, "}}");
        const char *value =
            close ? value_of(call, open + 2, (size_t) (close - open - 2), percent) : NULL;

        str_addn(&out, p, (size_t) (open - p));
        if (!value) { /* refused by check(), so it is text that has braces */
            str_add(&out, "{{");
            p = open + 2;
            continue;
        }
        str_add(&out, how == ESCAPE_URL ? provider_escape(call->arena, value)
                                        : json_escape(call->arena, value));
        p = close + 2;
    }
    str_add(&out, p);
    return arena_strdup(call->arena, str_text(&out));
}

static bool uses(const char *template, const char *name)
{
    size_t n = strlen(name);

    for (const char *p = template; p && (p = strstr(p, "{{")); p += 2)
        if (strncmp(p + 2, name, n) == 0 && strncmp(p + 2 + n, "}}", 2) == 0)
            return true;
    return false;
}

/* The first {{word}} that is none of ours; NULL: there is none. */
static const char *unknown_placeholder(const char *template, size_t *out_n)
{
    for (const char *p = template; p && (p = strstr(p, "{{")); p += 2) {
        size_t n = strspn(p + 2, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
        bool known = false;

        if (n == 0 || strncmp(p + 2 + n, "}}", 2) != 0)
            continue;
        for (int i = 0; placeholders[i]; i++)
            known =
                known || (strlen(placeholders[i]) == n && memcmp(p + 2, placeholders[i], n) == 0);
        if (!known) {
            *out_n = n;
            return p + 2;
        }
    }
    return NULL;
}

/* ---- requests -------------------------------------------------------------------------------- */

static bool is_form(const struct flag_service *s)
{
    for (int i = 0; i < 8 && s->headers[i]; i++)
        if (strncasecmp(s->headers[i], "content-type:", 13) == 0 &&
            provider_mentions(s->headers[i], "x-www-form-urlencoded"))
            return true;
    return false;
}

static void own_headers(struct flag_call *call, struct http_req *out)
{
    const struct flag_service *s = call->ref->service;
    struct http_req mine = {0};
    size_t n = 0;

    /* Theirs first: a header of ours doesn't come twice. */
    for (; n < 8 && s->headers[n]; n++)
        mine.headers[n] = s->headers[n];
    if (!provider_has_header(&mine, "Accept"))
        provider_header(call, &mine, "Accept", "", "application/json");
    if (out->body && !provider_has_header(&mine, "Content-Type"))
        provider_header(call, &mine, "Content-Type", "", "application/json");
    if (!provider_has_header(&mine, "Authorization"))
        provider_header(call, &mine, "Authorization", "Bearer ", s->token);
    memcpy(out->headers, mine.headers, sizeof out->headers);
}

static enum flag_next ask_read(struct flag_call *call, struct http_req *out)
{
    call->step = H_READ;
    provider_ask(call, out, "GET", fill(call, call->ref->service->get_url, ESCAPE_URL, 0), NULL,
                 false);
    own_headers(call, out);
    return FLAG_REQUEST;
}

static enum flag_next ask_set(struct flag_call *call, struct http_req *out, int percent)
{
    const struct flag_service *s = call->ref->service;
    const char *body = s->set_body
                           ? fill(call, s->set_body, is_form(s) ? ESCAPE_URL : ESCAPE_JSON, percent)
                           : NULL;

    call->step = H_SET;
    provider_ask(call, out, s->set_method ? s->set_method : "PUT",
                 fill(call, s->set_url, ESCAPE_URL, percent), body, true);
    own_headers(call, out);
    return FLAG_REQUEST;
}

/* ---- answers --------------------------------------------------------------------------------- */

/* RFC 6901. NULL: nothing there. */
static const json_t *at_pointer(struct arena *a, const json_t *j, const char *pointer)
{
    while (j && *pointer == '/') {
        size_t n = strcspn(pointer + 1, "/");
        char *name = arena_strndup(a, pointer + 1, n), *to = name;

        for (const char *from = name; *from; from++) {
            bool escaped = *from == '~' && (from[1] == '0' || from[1] == '1');

            *to++ = !escaped ? *from : from[1] == '0' ? '~' : '/';
            from += escaped;
        }
        *to = '\0';
        if (json_is_array(j))
            j = *name && strspn(name, "0123456789") == strlen(name)
                    ? json_array_get(j, strtoul(name, NULL, 10))
                    : NULL;
        else
            j = json_object_get(j, name);
        pointer += n + 1;
    }
    return *pointer == '\0' ? j : NULL;
}

static int truth_of(const json_t *j)
{
    static const char *const yes[] = {"true", "on", "enabled", "active", "1", NULL};
    static const char *const no[] = {"false", "off", "disabled", "inactive", "0", NULL};
    const char *word = json_string_value(j);

    if (json_is_boolean(j))
        return json_is_true(j);
    if (json_is_integer(j) && (json_integer_value(j) == 0 || json_integer_value(j) == 1))
        return (int) json_integer_value(j);
    for (int i = 0; word && yes[i]; i++)
        if (strcasecmp(word, yes[i]) == 0)
            return 1;
    for (int i = 0; word && no[i]; i++)
        if (strcasecmp(word, no[i]) == 0)
            return 0;
    return -1;
}

static int percent_of(const json_t *j)
{
    double v = json_number_value(j);

    if (json_is_number(j))
        return v >= 0 && v <= 100 && v == (int) v ? (int) v : -1;
    return provider_percent(json_string_value(j));
}

/* Into obs. False: the call is finished. */
static bool read_state(struct flag_call *call, const struct http_res *res)
{
    const struct flag_service *s = call->ref->service;
    json_auto_t *root = provider_json(res);
    int on = 1, percent = 100;
    struct flag_value v;

    if (!root) {
        provider_unreadable(call, "%s: the answer isn't JSON", s->shown);
        return false;
    }
    if (s->get_on_pointer &&
        (on = truth_of(at_pointer(call->arena, root, s->get_on_pointer))) < 0) {
        provider_unreadable(call, "%s: nothing that means on or off at %s", s->shown,
                            s->get_on_pointer);
        return false;
    }
    if (on && s->get_percent_pointer &&
        (percent = percent_of(at_pointer(call->arena, root, s->get_percent_pointer))) < 0) {
        provider_unreadable(call, "%s: no whole number from 0 to 100 at %s", s->shown,
                            s->get_percent_pointer);
        return false;
    }
    v = flag_value_percent(on ? percent : 0);
    provider_saw(call, v.state, v.percent, NULL, arena_printf(call->arena, "%d/%d", on, percent));
    return true;
}

static enum flag_next set_after_read(struct flag_call *call, struct http_req *out)
{
    if (call->expect && strcmp(call->expect, call->obs.fingerprint) != 0)
        return provider_done(call, FLAG_CONFLICT, "flag \"%s\" was changed meanwhile",
                             call->ref->key);
    if (provider_is_value(&call->obs, call->desired))
        return provider_done(call, FLAG_NOCHANGE, NULL);
    return ask_set(call, out, call->desired.state == FLAG_ON ? 100 : call->desired.percent);
}

static enum flag_next after_read(struct flag_call *call, const struct http_res *res,
                                 struct http_req *out)
{
    if (flag_classify(call, res, false, true))
        return FLAG_FINISHED;
    if (res->status == 404) {
        if (call->seen_before)
            return provider_unreadable(call, "flag \"%s\" was there before and is not found now",
                                       call->ref->key);
        provider_saw(call, FLAG_ABSENT, 0, NULL, "absent");
        if (call->verb == FLAG_DO_SET || call->verb == FLAG_DO_ENSURE)
            return provider_done(call, FLAG_NOT_FOUND, "no flag \"%s\" at %s; make it there, off",
                                 call->ref->key, call->ref->service->shown);
        return provider_done(call, FLAG_OK, NULL);
    }
    if (res->status != 200)
        return provider_unexpected(call, res, false);
    if (!read_state(call, res))
        return FLAG_FINISHED;
    if (call->verb == FLAG_DO_SET)
        return set_after_read(call, out);
    return provider_done(call, call->verb == FLAG_DO_ENSURE ? FLAG_NOCHANGE : FLAG_OK, NULL);
}

static enum flag_next after_set(struct flag_call *call, const struct http_res *res)
{
    if (flag_classify(call, res, true, false))
        return FLAG_FINISHED;
    call->obs = (struct flag_obs) {.state = FLAG_UNKNOWN, .why = "not read back yet"};
    if (res->status >= 200 && res->status < 300)
        return provider_done(call, FLAG_OK, NULL);
    if (res->status == 404)
        return provider_done(call, FLAG_NOT_FOUND, "%s answered 404", call->ref->service->shown);
    if (res->status == 409 || res->status == 412)
        return provider_done(call, FLAG_CONFLICT, "%s answered %d", call->ref->service->shown,
                             res->status);
    return provider_unexpected(call, res, true);
}

static enum flag_next start(struct flag_call *call, struct http_req *out)
{
    const struct flag_service *s = call->ref->service;

    switch (call->verb) {
    case FLAG_DO_KILL:
        return s->set_url ? ask_set(call, out, 0)
                          : provider_done(call, FLAG_REJECTED, "%s has no set_url", s->shown);
    case FLAG_DO_SET:
        if (!s->set_url)
            return provider_done(call, FLAG_REJECTED, "%s has no set_url", s->shown);
        if (call->desired.state == FLAG_PERCENT && !uses(s->set_body, "percent") &&
            !uses(s->set_url, "percent"))
            return provider_done(call, FLAG_REJECTED,
                                 "%s can't take %d %%: neither set_url nor set_body has "
                                 "{{percent}}",
                                 s->shown, call->desired.percent);
        if (!s->get_url)
            return ask_set(call, out, call->desired.state == FLAG_ON ? 100 : call->desired.percent);
        return ask_read(call, out);
    case FLAG_DO_HISTORY:
        return provider_done(call, FLAG_OK, "%s isn't known to keep a history", s->shown);
    case FLAG_DO_CLEAR:
        return provider_done(call, FLAG_REJECTED, "%s has no entries to take out", s->shown);
    default: break;
    }
    if (s->get_url)
        return ask_read(call, out);
    provider_saw(call, FLAG_UNKNOWN, 0, "there is no get_url to read it back", NULL);
    return provider_done(call, call->verb == FLAG_DO_ENSURE ? FLAG_NOCHANGE : FLAG_OK,
                         "%s: there is no get_url to read it back", s->shown);
}

static enum flag_next next(struct flag_call *call, const struct http_res *last,
                           struct http_req *out)
{
    const struct flag_service *s = call->ref->service;

    if (call->verb == FLAG_DO_OBSERVE && call->level >= FLAG_DELIVERED && s->ofrep_url)
        return ofrep_observe(call, last, out, s->ofrep_url, s->sdk_token);
    if (!last)
        return start(call, out);
    return call->step == H_READ ? after_read(call, last, out) : after_set(call, last);
}

static bool check(const struct flag_service *s, struct err *err)
{
    const struct {
        const char *name, *template;
    } all[] = {{"set_url", s->set_url}, {"set_body", s->set_body}, {"get_url", s->get_url}};

    if (!s->set_url && !s->get_url)
        return err_set(err, ERR_CONFIG,
                       "flags: provider http needs `set_url`, and `get_url` to read back");
    if (s->get_url && !s->get_on_pointer && !s->get_percent_pointer)
        return err_set(err, ERR_CONFIG,
                       "flags: `get_url` needs `get_on_pointer` or `get_percent_pointer`");
    if (s->get_url && !s->get_percent_pointer &&
        (uses(s->set_url, "percent") || uses(s->set_body, "percent")))
        return err_set(
            err, ERR_CONFIG,
            "flags: a percentage is set, so `get_percent_pointer` must say where to read it back");
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        size_t n = 0;
        const char *unknown = unknown_placeholder(all[i].template, &n);

        if (unknown) {
            err_set(err, ERR_CONFIG, "flags: %s has an unknown placeholder {{%.*s}}", all[i].name,
                    (int) n, unknown);
            return err_hint(
                err, "known are {{key}}, {{percent}}, {{enabled}}, {{op_id}} and {{reason}}");
        }
    }
    for (int i = 0; i < 2; i++) {
        const char *pointer = i ? s->get_percent_pointer : s->get_on_pointer;

        if (pointer && *pointer && *pointer != '/')
            return err_set(err, ERR_CONFIG, "flags: %s is no JSON pointer: it must start with /",
                           i ? "get_percent_pointer" : "get_on_pointer");
    }
    return true;
}

static enum flag_level reach(const struct flag_service *s, struct flag_value v)
{
    if (!s->get_url || (v.state == FLAG_PERCENT && !s->get_percent_pointer))
        return FLAG_ACCEPTED;
    return FLAG_CONFIGURED;
}

const struct flag_provider provider_http = {
    .name = "http",
    .about = "any service, by templated requests",
    .native_percent = true,
    .can_write = true,
    .next = next,
    .check = check,
    .reach = reach,
    .default_propagation_ms = 30000,
};

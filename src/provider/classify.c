/* classify: what an HTTP answer means for any service.
 *
 * The line that matters runs between NOT_SENT and IN_DOUBT. A write counts as not applied only
 * when nothing left this machine or the service said no in its own words; a 2xx counts as
 * applied only when it looks like the service (a sign-in page or a single-page application also
 * answers 200). */
#include "phasegate/names.h"
#include "provider.h"
#include <stdlib.h>
#include <string.h>

/* A wait is honoured up to this; what a broken clock or header asks beyond it isn't. */
enum { RETRY_LONGEST_MS = 10 * 60 * 1000, RETRY_DEFAULT_MS = 1000 };

static bool is_json(const struct http_res *res)
{
    const char *type = res->content_type ? res->content_type : "";
    size_t n = strlen(type);

    return strcmp(type, "application/json") == 0 || (n > 5 && strcmp(type + n - 5, "+json") == 0);
}

static bool is_html(const struct http_res *res)
{
    const char *type = res->content_type ? res->content_type : "";

    return strcmp(type, "text/html") == 0 || strcmp(type, "application/xhtml+xml") == 0;
}

static bool parse_whole(const char *s, int64_t *out)
{
    char *end;
    long long v;

    if (!s || *s < '0' || *s > '9')
        return false;
    v = strtoll(s, &end, 10);
    if (*end == '.') /* "1.5" */
        end += 1 + strspn(end + 1, "0123456789");
    if (*end != '\0' && *end != ' ')
        return false;
    *out = v;
    return true;
}

struct token {
    const char *at;
    size_t n;
};

static int token_number(struct token t)
{
    int v = 0;

    if (t.n < 1 || t.n > 4 || strspn(t.at, "0123456789") < t.n)
        return -1;
    for (size_t i = 0; i < t.n; i++)
        v = v * 10 + (t.at[i] - '0');
    return v;
}

static int token_month(struct token t)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    for (int m = 0; t.n == 3 && m < 12; m++)
        if (memcmp(months + 3 * m, t.at, 3) == 0)
            return m + 1;
    return -1;
}

/* The three forms of HTTP: "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT" and
 * "Sun Nov  6 08:49:37 1994". Which it is shows in its words; the day of the week isn't looked at. */
static bool parse_date(const char *s, int64_t *out_ms)
{
    enum { TOKENS = 8 };
    struct token t[TOKENS] = {0};
    bool is_asctime;
    int n = 0, year, month, day;
    int64_t seconds;

    for (; s && *s && n < TOKENS; n++) {
        s += strspn(s, " ,:-");
        t[n] = (struct token) {s, strcspn(s, " ,:-")};
        s += t[n].n;
    }
    is_asctime = n == 7;
    if ((n != 8 && !is_asctime) || (s && *s))
        return false;
    day = token_number(t[is_asctime ? 2 : 1]);
    month = token_month(t[is_asctime ? 1 : 2]);
    year = token_number(t[is_asctime ? 6 : 3]);
    if (year >= 0 && year < 100)
        year += 2000;
    AUTO(str) stamp = {0};
    str_addf(&stamp, "%04d%02d%02d", year, month, day);
    for (int i = is_asctime ? 3 : 4, end = i + 3; i < end; i++)
        str_addf(&stamp, "%02d", token_number(t[i]));
    if (!time_from_stamp(str_text(&stamp), &seconds))
        return false;
    *out_ms = seconds * 1000;
    return true;
}

/* Seconds, a date, or the moment of a reset as seconds from now, epoch seconds or epoch
 * milliseconds. */
static int64_t retry_at(const struct http_res *res, int64_t now_ms)
{
    int64_t v, at = 0;

    if (parse_whole(res->retry_after, &v))
        at = v > RETRY_LONGEST_MS / 1000 ? now_ms + RETRY_LONGEST_MS : now_ms + v * 1000;
    else if (parse_date(res->retry_after, &v))
        at = v;
    else if (parse_whole(res->rate_reset, &v) && v < INT64_MAX / 1000)
        at = v >= INT64_C(100000000000) ? v : v >= 1000000000 ? v * 1000 : now_ms + v * 1000;
    else
        return 0;
    if (at <= now_ms) /* their clock is behind ours */
        at = now_ms + RETRY_DEFAULT_MS;
    return at > now_ms + RETRY_LONGEST_MS ? now_ms + RETRY_LONGEST_MS : at;
}

static bool speaks_of_approval(const struct http_res *res)
{
    static const char *const words[] = {"approval", "change request", "change_request",
                                        "skip_change_request"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (provider_mentions(res->body, words[i]))
            return true;
    return false;
}

static bool in_doubt(struct flag_call *call, bool is_write, const char *what)
{
    const char *who = call->ref->service->shown;

    if (!is_write) {
        provider_unreadable(call, "%s: %s", who, what);
        return true;
    }
    call->obs = (struct flag_obs) {.state = FLAG_UNKNOWN, .why = "a write is in doubt"};
    provider_done(call, FLAG_IN_DOUBT, "%s: %s; the change may have been made", who, what);
    return true;
}

static bool decided(struct flag_call *call, enum flag_answer answer, const struct http_res *res,
                    const char *what)
{
    const char *message = provider_message(call, res);

    provider_done(call, answer, "%s answered %d: %s%s%s%s", call->ref->service->shown, res->status,
                  what, message ? " (" : "", message ? message : "", message ? ")" : "");
    call->obs = (struct flag_obs) {
        .state = FLAG_UNKNOWN, .why = call->detail, .by_token = answer == FLAG_AUTH};
    return true;
}

static bool classify_refusal(struct flag_call *call, const struct http_res *res, bool is_write)
{
    switch (res->status) {
    case 401:
    case 407: return decided(call, FLAG_AUTH, res, "the token isn't accepted");
    case 403:
        return speaks_of_approval(res)
                   ? decided(call, FLAG_BLOCKED_APPROVAL, res, "it demands an approval")
                   : decided(call, FLAG_AUTH, res, "the token may not do this");
    case 405:
    case 409:
        if (speaks_of_approval(res))
            return decided(call, FLAG_BLOCKED_APPROVAL, res, "it demands an approval");
        return res->status == 405 && decided(call, FLAG_REJECTED, res, "no such operation here");
    case 408: return in_doubt(call, is_write, "answered 408");
    case 425: return decided(call, FLAG_NOT_SENT, res, "too early");
    case 429:
        if (call->retry_at_ms == 0)
            call->retry_at_ms = call->now_ms + RETRY_DEFAULT_MS;
        return decided(call, FLAG_RATE_LIMITED, res, "too many requests");
    default: return false;
    }
}

bool flag_classify(struct flag_call *call, const struct http_res *res, bool is_write,
                   bool json_required)
{
    if (res->outcome == HTTP_NOT_SENT) {
        provider_done(call, FLAG_NOT_SENT, "%s is out of reach: %s", call->ref->service->shown,
                      res->why ? res->why : "no connection");
        call->obs = (struct flag_obs) {.state = FLAG_UNKNOWN, .why = call->detail};
        return true;
    }
    if (res->outcome == HTTP_IN_DOUBT)
        return in_doubt(call, is_write, res->why ? res->why : "no whole answer");

    call->retry_at_ms = res->status == 429 || res->status == 503 ? retry_at(res, call->now_ms) : 0;
    if (res->status >= 500) {
        if (res->status == 503 && !is_write && !call->wrote && call->retry_at_ms)
            return decided(call, FLAG_RATE_LIMITED, res, "not now");
        return in_doubt(call, is_write, arena_printf(call->arena, "answered %d", res->status));
    }
    if (res->status >= 400) {
        if (classify_refusal(call, res, is_write))
            return true;
        /* A proxy's or a sign-in page's 404 says nothing about the flag. */
        if (res->status == 404 && (json_required ? !is_json(res) : is_html(res)))
            return in_doubt(call, is_write, "answered 404, but not in its own format");
        return false;
    }
    if (res->status == 303)
        return in_doubt(call, is_write, "answered with a redirect (303)");
    if (res->status >= 300 && res->status != 304)
        return decided(call, FLAG_REJECTED, res,
                       "a redirect; set `url` to where the service really is");
    if (res->status == 304)
        return false;
    if (res->status < 200)
        return in_doubt(call, is_write, "no final answer");
    if (is_html(res))
        return in_doubt(call, is_write, "answered with a web page, so this isn't its API");
    if (json_required && !is_json(res))
        return in_doubt(call, is_write, "answered with something other than JSON");
    return false;
}

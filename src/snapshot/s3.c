/* Requests to a bucket: signed, tried again, and what a refusal means. */
#include "s3.h"
#include "snapshot_int.h"

#include <string.h>
#include <strings.h>

enum {
    TRIES = 5,
    CONNECT_MS = 5000,
    PAUSE_MS = 200,
    TOTAL_MS = 120000,
    LAST_MS = 5000,
    MIB = 1 << 20
};

static bool is_answer(const struct http_res *r)
{
    return r->outcome == HTTP_ANSWERED &&
           ((r->status >= 200 && r->status < 300) || r->status == 404 || r->status == 416);
}

static bool may_help_to_try_again(const struct http_res *r)
{
    return r->outcome != HTTP_ANSWERED || r->status >= 500 || r->status == 408 || r->status == 429;
}

static const char *shown(struct arena *a, const struct s3 *s, const struct s3_call *c)
{
    return c->object ? arena_printf(a, "%s/%s", s->location, c->object) : s->location;
}

bool s3_error(const struct s3 *s, const struct s3_call *c, const struct http_res *r,
              struct err *err)
{
    AUTO(arena) a = {0};
    const char *path = shown(&a, s, c);

    if (r->outcome != HTTP_ANSWERED) {
        err_set(err, ERR_UNREACHABLE, "can't %s %s: %s", c->doing, path,
                r->why ? r->why : "no answer");
        return err_hint(err, "see endpoint: of snapshots: in the environment; then the same "
                             "command again");
    }
    const char *code = s3_xml_first(&a, r, "Code"), *says = s3_xml_first(&a, r, "Message");
    err_set(err, ERR_UNREACHABLE, "can't %s %s: status %d%s%s%s%s", c->doing, path, r->status,
            *code ? ", " : "", code, *says ? ": " : "", says);
    if (strcmp(code, "NoSuchBucket") == 0)
        return err_hint(err, "make the bucket, or name another one in snapshots: of the "
                             "environment");
    if (strcmp(code, "RequestTimeTooSkewed") == 0)
        return err_hint(err, "set the clock of this machine");
    if (r->status == 401 || r->status == 403)
        return err_hint(err, "see AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and that they may "
                             "put, get, list and delete objects there");
    if (r->status >= 300 && r->status < 400)
        return err_hint(err, "the bucket is of another region or host: see region: and endpoint: "
                             "of snapshots:");
    if (r->status == 507 || strstr(code, "Quota") || strstr(code, "Full"))
        return err_hint(err, "make room there; then the same command again");
    return err_hint(err, "the same command again; phasegate snapshots list shows those that are "
                         "there");
}

static const char *url_of(struct arena *a, const struct s3 *s, const struct s3_call *c)
{
    return arena_printf(a, "%s%s%s%s%s", s->base, c->object ? s->prefix : "",
                        c->object ? c->object : "", c->query ? "?" : "", c->query ? c->query : "");
}

static bool once(const struct s3 *s, struct arena *a, const struct s3_call *c, struct http_res *res,
                 struct err *err)
{
    struct http *h = s->ports->http;
    struct http_req req = {
        .method = c->method,
        .url = url_of(a, s, c),
        .headers = {"Content-Type: application/octet-stream",
                    arena_printf(a, "x-amz-content-sha256: %s",
                                 sha256_of(a, c->body ? c->body : "", c->n))},
        .body = c->body,
        .body_len = c->n,
        .ca_file = s->ca_file,
        .connect_ms = CONNECT_MS,
        .total_ms = c->even_stopped ? LAST_MS : TOTAL_MS + (int64_t) (c->n / MIB) * 1000,
        .direct = strncmp(s->base, "http://", strlen("http://")) == 0,
        .signs = {arena_printf(a, "aws:amz:%s:s3", s->region), s->key, s->secret},
    };
    int n = 2;
    void *tag = NULL;

    if (s->token)
        req.headers[n++] = arena_printf(a, "x-amz-security-token: %s", s->token);
    if (c->range)
        req.headers[n++] = arena_printf(a, "Range: %s", c->range);
    if (c->if_match)
        req.headers[n++] = arena_printf(a, "If-Match: %s", c->if_match);
    if (!h->ops->submit(h, &req, &req, err))
        return false;
    while (!h->ops->wait(h, a, 200, &tag, res))
        if (!c->even_stopped && snapshot_is_stopped(s->ports, err)) {
            h->ops->cancel(h, &req);
            return false;
        }
    return true;
}

bool s3_ask(const struct s3 *s, struct arena *a, const struct s3_call *c, struct http_res *res,
            struct err *err)
{
    int64_t pause = PAUSE_MS;

    for (int i = 1;; i++, pause *= 2) {
        if ((!c->even_stopped && snapshot_is_stopped(s->ports, err)) || !once(s, a, c, res, err))
            return false;
        if (is_answer(res))
            return true;
        if (i == TRIES || (c->even_stopped && ports_interrupted(s->ports)) ||
            !may_help_to_try_again(res))
            return s3_error(s, c, res, err);
        clock_sleep_ms(s->ports->clock, pause / 2 + clock_random(s->ports->clock) % pause);
    }
}

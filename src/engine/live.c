/* Which releases are live: by sessions, by what the application says, or by Prometheus. Looks only. */
#include "internal.h"

#include "phasegate/measure.h"

#define LIVE_MS 10000

static const char *lookup(void *ctx, const char *name)
{
    struct host *h = ctx;

    return h->ops->env(h, name);
}

bool text_resolved(struct engine *e, struct arena *a, const struct text *t, const char **out,
                   struct err *err)
{
    AUTO(str) s = {0};

    if (!text_resolve(t, lookup, e->ports->host, &s, err))
        return false;
    *out = arena_strdup(a, str_text(&s));
    return true;
}

const char *url_escape(struct arena *a, const char *s)
{
    AUTO(str) out = {0};

    for (; *s; s++) {
        unsigned char c = (unsigned char) *s;
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            strchr("-_.~", c))
            str_addc(&out, (char) c);
        else
            str_addf(&out, "%%%02X", c);
    }
    return arena_strdup(a, str_text(&out));
}

bool http_get(struct engine *e, struct arena *a, const char *url, const struct pair_list *headers,
              int64_t total_ms, struct http_res *res, struct err *err)
{
    struct http_req req = {.method = "GET", .url = url, .connect_ms = 3000, .total_ms = total_ms};
    const int room = (int) (sizeof req.headers / sizeof *req.headers) - 1;
    void *tag = NULL;

    for (int i = 0; headers && i < headers->n && i < room; i++) {
        const char *v;
        if (!text_resolved(e, a, &headers->items[i].value, &v, err))
            return false;
        req.headers[i] = arena_printf(a, "%s: %s", headers->items[i].key.s, v);
    }
    if (!e->ports->http->ops->submit(e->ports->http, &req, &req, err))
        return false;
    while (!e->ports->http->ops->wait(e->ports->http, a, 1000, &tag, res))
        if (ports_interrupted(e->ports)) {
            e->ports->http->ops->cancel(e->ports->http, &req);
            return err_set(err, ERR_INTERRUPTED, "stopped while measuring");
        }
    return true;
}

/* An answer with status 200, or ERR_UNREACHABLE. */
static bool get_ok(struct engine *e, struct arena *a, const char *url, struct http_res *res,
                   struct err *err)
{
    if (!http_get(e, a, url, NULL, LIVE_MS, res, err))
        return false;
    if (res->outcome != HTTP_ANSWERED)
        return err_set(err, ERR_UNREACHABLE, "nobody says which releases are live: %s",
                       res->why ? res->why : "no answer");
    return res->status == 200 ||
           err_set(err, ERR_UNREACHABLE,
                   "nobody says which releases are live: status %d, expected 200", res->status);
}

static bool by_http(struct engine *e, struct arena *a, const char ***out, int *out_n,
                    struct err *err)
{
    const struct live_releases_decl *l = &e->env->live_releases;
    const char *url, *version = NULL;
    struct http_res res = {0};

    if (!text_resolved(e, a, &l->http_url, &url, err) || !get_ok(e, a, url, &res, err))
        return false;
    if (!measure_json_pointer(res.body, res.body_len, l->http_json.s, a, &version, err))
        return err_note(err, "live_releases.http");
    if (!version)
        return err_set(err, ERR_UNREACHABLE, "the answer names no live release");
    *out = arena_array(a, const char *, 1);
    (*out)[(*out_n)++] = version;
    return true;
}

static bool by_prometheus(struct engine *e, struct arena *a, const char ***out, int *out_n,
                          struct err *err)
{
    const struct live_releases_decl *l = &e->env->live_releases;
    const char *base, *query;
    struct http_res res = {0};

    if (!text_resolved(e, a, &l->prometheus_url, &base, err) ||
        !text_resolved(e, a, &l->prometheus_query, &query, err))
        return false;
    size_t n = strlen(base);
    while (n > 0 && base[n - 1] == '/')
        n--;
    if (!get_ok(e, a,
                arena_printf(a, "%.*s/api/v1/query?query=%s", (int) n, base, url_escape(a, query)),
                &res, err))
        return false;
    if (!measure_prometheus_label(res.body, res.body_len, "version", a, out, out_n, err))
        return err_note(err, "live_releases.prometheus");
    /* No instance at all is more likely a query that is wrong than an application that is down. */
    return *out_n > 0 || err_set(err, ERR_UNREACHABLE, "the query names no live release");
}

static bool by_sessions(struct engine *e, struct arena *a, const char ***out, int *out_n,
                        struct err *err)
{
    const struct live_releases_decl *l = &e->env->live_releases;
    const char *percent = strchr(l->application_name.s, '%');
    const char *head = arena_strndup(a, l->application_name.s,
                                     percent ? (size_t) (percent - l->application_name.s) : 0);
    const char *tail = percent ? percent + 1 : "";
    struct db_rows rows = {0};
    if (!db_query(
            e->db, a,
            "SELECT DISTINCT pg_catalog.substr(application_name, pg_catalog.length($1) + 1, "
            "pg_catalog.length(application_name) - pg_catalog.length($1) - pg_catalog.length($2)) "
            "FROM pg_catalog.pg_stat_activity WHERE pg_catalog.starts_with(application_name, $1) "
            "AND pg_catalog.right(application_name, pg_catalog.length($2)) = $2 AND "
            "pg_catalog.length(application_name) > pg_catalog.length($1) + pg_catalog.length($2) "
            "ORDER BY 1",
            &DB_PARAMS(head, tail), &rows, err))
        return false;
    *out = arena_array(a, const char *, rows.n_rows + 1);
    for (int i = 0; i < rows.n_rows; i++)
        (*out)[(*out_n)++] = db_cell(&rows, i, 0);
    return true;
}

bool live_releases(struct engine *e, struct arena *a, const char ***out, int *out_n, bool *watched,
                   struct err *err)
{
    const struct live_releases_decl *l = &e->env->live_releases;

    *out = NULL;
    *out_n = 0;
    *watched = l->application_name.s || l->http_url.s || l->prometheus_url.s;
    if (l->application_name.s)
        return by_sessions(e, a, out, out_n, err);
    if (l->http_url.s)
        return by_http(e, a, out, out_n, err);
    return !l->prometheus_url.s || by_prometheus(e, a, out, out_n, err);
}

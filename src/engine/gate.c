/* Gates: one measurement of one condition. Pass, fail, or no data: these three are never mixed up. */
#include "internal.h"

#include "phasegate/measure.h"

#include <stdlib.h>

static bool fetch(struct engine *e, const struct gate *g, struct arena *a, const char *url,
                  struct http_res *res, struct err *err)
{
    return http_get(e, a, url, &g->headers, g->timeout_ms, res, err);
}

static void no_data(struct arena *a, struct gate_reading *out, const char *why)
{
    out->verdict = GATE_NO_DATA;
    out->value = NULL;
    out->detail = arena_strdup(a, why);
}

static void judge(struct arena *a, const struct gate *g, const char *value,
                  struct gate_reading *out)
{
    if (!value) {
        no_data(a, out, "the answer holds no value");
        return;
    }
    out->value = value;
    out->verdict = cond_holds(&g->expect, value, NULL) ? GATE_PASS : GATE_FAIL;
    out->detail = arena_printf(a, "measured %s", value);
}

static bool measure_http(struct engine *e, const struct gate *g, struct arena *a,
                         struct gate_reading *out, struct err *err)
{
    const char *url, *value = NULL;
    struct http_res res = {0};
    int want = g->status != MODEL_UNSET ? (int) g->status : 200;
    AUTO(err) bad = {0};

    if (!text_resolved(e, a, &g->url, &url, err) || !fetch(e, g, a, url, &res, err))
        return false;
    if (res.outcome != HTTP_ANSWERED) {
        no_data(a, out, res.why ? res.why : "no answer");
        return true;
    }
    if (res.status != want) {
        out->verdict = GATE_FAIL;
        out->value = arena_printf(a, "%d", res.status);
        out->detail = arena_printf(a, "status %d, expected %d", res.status, want);
        return true;
    }
    out->verdict = GATE_PASS;
    out->value = arena_printf(a, "%d", res.status);
    out->detail = arena_printf(a, "status %d", res.status);
    if (!g->json_pointer.s)
        return true;
    if (!measure_json_pointer(res.body, res.body_len, g->json_pointer.s, a, &value, &bad))
        no_data(a, out, str_text(&bad.message));
    else
        judge(a, g, value, out);
    return true;
}

static bool measure_prom(struct engine *e, const struct gate *g, struct arena *a,
                         struct gate_reading *out, struct err *err)
{
    const char *base, *query, *value = NULL;
    struct http_res res = {0};
    int samples = 0;
    AUTO(err) bad = {0};

    if (!text_resolved(e, a, &g->url, &base, err) || !text_resolved(e, a, &g->query, &query, err))
        return false;
    size_t n = strlen(base);
    while (n > 0 && base[n - 1] == '/')
        n--;
    if (!fetch(e, g, a,
               arena_printf(a, "%.*s/api/v1/query?query=%s", (int) n, base, url_escape(a, query)),
               &res, err))
        return false;
    if (res.outcome != HTTP_ANSWERED)
        no_data(a, out, res.why ? res.why : "no answer");
    else if (!measure_prometheus(res.body, res.body_len, a, &value, &samples, &bad))
        no_data(a, out, str_text(&bad.message));
    else if (!value)
        no_data(a, out, "the query answers without a sample: an empty answer is not a zero");
    else
        judge(a, g, value, out);
    return true;
}

static bool measure_sql(struct engine *e, const struct gate *g, struct arena *a,
                        struct gate_reading *out, struct err *err)
{
    const char *value = NULL;
    AUTO(err) bad = {0};

    if (!ask_value(e, a, g->sql.s, g->timeout_ms, &value, &bad)) {
        if (err_is(&bad, ERR_CONNECTION_LOST) || err_is(&bad, ERR_INTERRUPTED)) {
            err_move(err, &bad);
            return false;
        }
        no_data(a, out, str_text(&bad.message));
    } else
        judge(a, g, value, out);
    return true;
}

static bool measure_command(struct engine *e, const struct gate *g, struct arena *a,
                            struct gate_reading *out, struct err *err)
{
    const char **argv = arena_array(a, const char *, g->command.n + 1);
    AUTO(str) text = {0}, errtext = {0};
    AUTO(err) bad = {0};
    int code = 0;

    for (int i = 0; i < g->command.n; i++)
        argv[i] = g->command.items[i].s;
    if (!e->ports->host->ops->run(e->ports->host, argv, NULL, g->timeout_ms, &text, &errtext, &code,
                                  &bad)) {
        if (err_is(&bad, ERR_INTERRUPTED)) {
            err_move(err, &bad);
            return false;
        }
        no_data(a, out, str_text(&bad.message));
        return true;
    }
    const char *line = arena_strndup(a, str_text(&text), strcspn(str_text(&text), "\n"));
    if (code != 0) {
        out->verdict = GATE_FAIL;
        out->value = line;
        out->detail =
            arena_printf(a, "exit code %d%s%s", code, errtext.len ? ": " : "", str_text(&errtext));
    } else if (g->expect.op != COND_NONE)
        judge(a, g, *line ? line : NULL, out);
    else {
        out->verdict = GATE_PASS;
        out->value = line;
        out->detail = "exit code 0";
    }
    return true;
}

/* A release is gone when no session of it is left. */
static bool measure_sessions(struct engine *e, const struct gate *g, struct arena *a,
                             struct gate_reading *out, struct err *err)
{
    const char **live;
    int n = 0;
    bool watched = false;

    AUTO(err) bad = {0};

    if (!live_releases(e, a, &live, &n, &watched, &bad)) {
        if (!err_is(&bad, ERR_UNREACHABLE)) {
            err_move(err, &bad);
            return false;
        }
        no_data(a, out, str_text(&bad.message));
        return true;
    }
    if (!watched) {
        no_data(a, out, "live_releases of the environment isn't set, so nobody can tell");
        return true;
    }
    out->verdict = GATE_PASS;
    out->value = "0";
    out->detail = arena_printf(a, "release %s is gone", g->release.s);
    for (int i = 0; i < n; i++)
        if (strcmp(live[i], g->release.s) == 0) {
            out->verdict = GATE_FAIL;
            out->value = "1";
            out->detail = arena_printf(a, "release %s is still live", g->release.s);
        }
    return true;
}

static bool measure_approval(struct engine *e, const struct plan *p, enum phase phase,
                             const struct gate *g, struct arena *a, struct gate_reading *out,
                             struct err *err)
{
    struct work w = {.e = e, .p = (struct plan *) p, .a = a};
    struct approvals ap;
    int64_t need = g->approvals > 0 ? g->approvals : 1;

    if (!approvals_read(&w, phase, false, g->role.s, &ap, err))
        return false;
    out->value = arena_printf(a, "%d", ap.given);
    out->detail =
        ap.refused
            ? arena_printf(a, "%s refused%s%s", ap.refused->who, ap.refused->because ? ": " : "",
                           ap.refused->because ? ap.refused->because : "")
            : arena_printf(a, "%d of %lld approvals%s%s", ap.given, (long long) need,
                           g->role.s ? " as " : "", g->role.s ? g->role.s : "");
    /* Not signed yet isn't a failure: it is waited for. */
    out->verdict = ap.given >= need && !ap.refused ? GATE_PASS : GATE_NO_DATA;
    return true;
}

static bool measure_lag(struct engine *e, const struct gate *g, struct arena *a,
                        struct gate_reading *out, struct err *err)
{
    struct db_rows rows = {0};

    if (!db_query(
            e->db, a,
            "SELECT application_name, pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), "
            "replay_lsn)::pg_catalog.int8, "
            "(EXTRACT(epoch FROM COALESCE(replay_lag, '0'::pg_catalog.interval)) * "
            "1000)::pg_catalog.int8 "
            "FROM pg_catalog.pg_stat_replication ORDER BY 2 DESC NULLS FIRST",
            &DB_NO_PARAMS, &rows, err))
        return false;
    if (rows.n_rows == 0) {
        no_data(a, out, "no standby is connected");
        return true;
    }
    out->verdict = GATE_PASS;
    out->value = "0";
    out->detail = arena_printf(a, "%d standby(s) within limits", rows.n_rows);
    for (int i = 0; i < rows.n_rows; i++) {
        const char *bytes = db_cell(&rows, i, 1), *ms = db_cell(&rows, i, 2);
        if (!bytes) {
            no_data(a, out,
                    arena_printf(a, "the lag of %s can't be read (pg_monitor is needed)",
                                 db_cell(&rows, i, 0)));
            return true;
        }
        if ((g->lag_bytes != MODEL_UNSET && strtoll(bytes, NULL, 10) > g->lag_bytes) ||
            (g->lag_ms != MODEL_UNSET && ms && strtoll(ms, NULL, 10) > g->lag_ms)) {
            out->verdict = GATE_FAIL;
            out->value = ms ? ms : bytes;
            out->detail = arena_printf(a, "standby %s is %s bytes, %s ms behind",
                                       db_cell(&rows, i, 0), bytes, ms ? ms : "?");
        }
    }
    return true;
}

bool gate_measure(struct engine *e, const struct plan *p, enum phase phase, const struct gate *g,
                  struct arena *a, struct gate_reading *out, struct err *err)
{
    bool ok = false;

    memset(out, 0, sizeof *out);
    switch (g->kind) {
    case GATE_HTTP: ok = measure_http(e, g, a, out, err); break;
    case GATE_PROMETHEUS: ok = measure_prom(e, g, a, out, err); break;
    case GATE_SQL: ok = measure_sql(e, g, a, out, err); break;
    case GATE_COMMAND: ok = measure_command(e, g, a, out, err); break;
    case GATE_SESSIONS: ok = measure_sessions(e, g, a, out, err); break;
    case GATE_APPROVAL: ok = measure_approval(e, p, phase, g, a, out, err); break;
    case GATE_LAG: ok = measure_lag(e, g, a, out, err); break;
    case GATE_REHEARSAL: ok = rehearsal_measure(e, p, g, a, out, err); break;
    case GATE_BACKUP: ok = backup_gate_measure(e, p, g, a, out, err); break;
    }
    return ok || err_note(err, "gate %s (%s:%d:%d)", g->name.s, g->at.file, g->at.line, g->at.col);
}

/* What was rehearsed was the way that lies behind; that the rehearsal has grown old since then says nothing. */
bool gate_is_asked_at_purge(const struct gate *g) { return g && g->kind != GATE_REHEARSAL; }

/* Nobody waits here: what doesn't pass now is a refusal, and the next try measures again. */
bool gates_look(struct work *w, enum phase phase, struct fact *f, struct err *err)
{
    const struct text_list *names = &w->p->phases[phase].gates;
    AUTO(str) what = {0};

    fact_yes(f);
    for (int i = 0; i < names->n && !w->o->glance; i++) {
        const struct gate *g = plan_gate(w->p, names->items[i].s);
        struct gate_reading r;

        if (!gate_is_asked_at_purge(g))
            continue;
        if (!gate_measure(w->e, w->p, phase, g, w->a, &r, err))
            return false;
        if (r.verdict != GATE_PASS)
            str_addf(&what, "%sgate %s %s: %s", what.len ? "; " : "", g->name.s,
                     r.verdict == GATE_FAIL ? "failed" : "has no data",
                     r.detail ? r.detail : "no answer");
    }
    if (what.len)
        fact_no(f, arena_strdup(w->a, str_text(&what)),
                arena_printf(w->a, "see to it, then the same again; or: phasegate restore %s",
                             w->p->id.s));
    return true;
}

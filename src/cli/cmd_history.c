/* history [PLAN]: the journal, and whether its chain holds. */
#include "cli.h"

#include <inttypes.h>

#define NEWEST 100

static void row_json(struct json_out *j, const struct history_row *h)
{
    json_object_begin(j, NULL);
    json_int(j, "seq", h->seq);
    json_str(j, "plan", h->plan);
    json_str(j, "phase", h->phase);
    json_str(j, "step", h->step);
    json_str(j, "kind", h->kind);
    json_str(j, "description", h->description);
    json_str(j, "status", h->status);
    json_str(j, "release", h->release);
    json_str(j, "run_id", h->run_id);
    json_str(j, "applied_by", h->applied_by);
    json_str(j, "host", h->host);
    when_json(j, "applied_at", h->applied_at_ms);
    json_int(j, "duration_ms", h->duration_ms);
    json_str(j, "checksum", h->checksum);
    json_str(j, "sql", h->sql);
    json_str(j, "undo_sql", h->undo_sql);
    json_int(j, "machine_row", h->machine_row);
    json_str(j, "hash", h->hash);
    json_str(j, "detail", h->detail);
    json_object_end(j);
}

static void show_rows(struct context *c, const struct history_row *rows, int n)
{
    AUTO(out_table) t = {0};
    const char *release = opt_text(c, OPT_SHOW_RELEASE), *near = NULL;

    if (!n && release) {
        bool known = release_is_known(&c->set, &c->arena, release, &near);
        out_print(&c->out, "nothing was done under release %s%s%s%s%s\n",
                  out_clean(&c->arena, release, false),
                  known ? "" : ", which neither releases: nor a plan names",
                  near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
        return;
    }
    if (!n) {
        out_print(&c->out, "nothing was done yet\n");
        return;
    }
    out_table_head(&t, OUT_CELLS("SEQ", "AT", "PLAN", "PHASE", "STEP", "STATUS", "TIME", "RELEASE",
                                 "BY", "DESCRIPTION"));
    for (int i = 0; i < n; i++) {
        const struct history_row *h = &rows[i];
        AUTO(str) ms = {0};

        duration_to_text(&ms, h->duration_ms);
        out_table_row(&t,
                      OUT_CELLS(arena_printf(&c->arena, "%" PRId64, h->seq),
                                when_text(&c->arena, h->applied_at_ms), h->plan ? h->plan : "",
                                h->phase ? h->phase : "", h->step ? h->step : "",
                                h->status ? h->status : "", str_text(&ms),
                                h->release ? h->release : "", h->applied_by ? h->applied_by : "",
                                h->description ? h->description : ""));
        if (h->status && strcmp(h->status, "failed") == 0)
            out_table_style(&t, 5, STYLE_BAD);
    }
    out_table_print(&c->out, &t);
}

/* Which plans say that they undo which, and have begun to: the journal itself is never rewritten for it. */
static bool show_compensations(struct context *c, struct engine *e, struct json_out *j,
                               struct err *err)
{
    if (j)
        json_array_begin(j, "compensations");
    for (int i = 0; i < c->set.n_plans; i++) {
        const struct plan *p = &c->set.plans[i];
        struct plan_state s = {0};

        if (!p->compensates.s || !e->has_ledger)
            continue;
        if (!ledger_plan_state(e->db, &c->arena, p->id.s, &s, err))
            return false;
        if (s.stage == STAGE_PLANNED)
            continue;
        out_print(&c->out, "%s is undone by %s\n", p->compensates.s, p->id.s);
        if (!j)
            continue;
        json_object_begin(j, NULL);
        json_str(j, "plan", p->compensates.s);
        json_str(j, "by", p->id.s);
        json_object_end(j);
    }
    if (j)
        json_array_end(j);
    return true;
}

static bool verify(struct context *c, struct engine *e, struct err *err)
{
    const char *broken = NULL;
    int64_t rows = 0;
    bool ok = true;

    if (e->has_ledger && !ledger_history_verify(e->db, &c->arena, &rows, &ok, &broken, err))
        return false;
    if (ok)
        out_print(&c->out, "%sthe chain holds%s: %" PRId64 " rows\n",
                  out_style(&c->out, STYLE_GOOD), out_style(&c->out, STYLE_PLAIN), rows);
    else
        out_print(&c->out, "%sthe chain is broken%s: %s\n", out_style(&c->out, STYLE_BAD),
                  out_style(&c->out, STYLE_PLAIN),
                  out_clean(&c->arena, broken ? broken : "", false));
    if (out_is_json(&c->out)) {
        struct json_out *j = out_json(&c->out);

        json_object_begin(j, "chain");
        json_bool(j, "holds", ok);
        json_int(j, "rows", rows);
        json_str(j, "broken", broken);
        json_object_end(j);
    }
    if (!ok)
        c->exit_code = 1;
    return true;
}

static bool look(struct context *c, struct engine *e, void *ctx, struct err *err)
{
    struct history_filter f = {.plan = arg(c, 0),
                               .release = opt_text(c, OPT_SHOW_RELEASE),
                               .limit = opt_has(c, OPT_LIMIT) ? c->line.number[OPT_LIMIT] : NEWEST};
    struct json_out *j = out_is_json(&c->out) ? out_json(&c->out) : NULL;
    struct history_row *rows = NULL;
    int n = 0;

    (void) ctx;
    if (e->has_ledger && !ledger_history(e->db, &c->arena, &f, &rows, &n, err))
        return false;
    if (j) {
        json_object_begin(j, NULL);
        json_str(j, "database", e->db->shown);
        json_array_begin(j, "rows");
        for (int i = 0; i < n; i++)
            row_json(j, &rows[i]);
        json_array_end(j);
    } else {
        if (c->env->n_databases > 1)
            out_print(&c->out, "%s\n", e->db->shown);
        show_rows(c, rows, n);
    }
    if (!show_compensations(c, e, j, err) || (opt_has(c, OPT_VERIFY) && !verify(c, e, err)))
        return false;
    if (j)
        json_object_end(j);
    return true;
}

bool cmd_history(struct context *c, struct err *err)
{
    struct engine *e;
    bool good;

    if (out_is_json(&c->out))
        json_array_begin(out_json(&c->out), "databases");
    if (c->line.n_args)
        good = context_engine(c, c->plans[0], &e, err) && look(c, e, NULL, err);
    else
        good = context_each_database(c, look, NULL, err);
    if (out_is_json(&c->out) && good)
        json_array_end(out_json(&c->out));
    return good;
}

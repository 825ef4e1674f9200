/* A rehearsal in text and JSON. */
#include "rehearse_show.h"

#include <inttypes.h>

static const char *ms_text(struct arena *a, int64_t ms)
{
    return arena_printf(a, "%.2f s", (double) ms / 1000);
}

static const char *bytes_text(struct arena *a, int64_t n)
{
    double kib = (double) n / 1024;

    return kib > 1024 || kib < -1024 ? arena_printf(a, "%.1f MiB", kib / 1024)
                                     : arena_printf(a, "%.0f KiB", kib);
}

static const char *undo_text(struct arena *a, const struct rehearse_phase *p)
{
    switch (p->undo) {
    case REHEARSE_UNDONE: return arena_printf(a, "undone in %s", ms_text(a, p->undo_ms));
    case REHEARSE_LEFT: return "leaves something";
    case REHEARSE_UNDO_FAILED: return "fails";
    case REHEARSE_NO_UNDO: break;
    }
    return "none";
}

static void show_phases(struct context *c, const struct rehearsal *r)
{
    struct arena *a = &c->arena;
    AUTO(out_table) t = {0};

    out_table_head(&t, OUT_CELLS("PHASE", "RELEASE", "TIME", "UNDO", "AGAIN", "WAL", "GROWTH"));
    for (int i = 0; i < r->n_phases; i++) {
        const struct rehearse_phase *p = &r->phases[i];
        out_table_row(&t, OUT_CELLS(phase_word(p->phase), p->release, ms_text(a, p->ms),
                                    undo_text(a, p), p->again_ms ? ms_text(a, p->again_ms) : "-",
                                    bytes_text(a, p->wal_bytes), bytes_text(a, p->growth_bytes)));
        out_table_style(&t, 3,
                        p->undo == REHEARSE_UNDONE    ? STYLE_GOOD
                        : p->undo == REHEARSE_NO_UNDO ? STYLE_WARN
                                                      : STYLE_BAD);
    }
    out_table_print(&c->out, &t);
}

static const char *twice_text(const struct rehearse_phase *p, const char *id)
{
    for (int i = 0; i < p->n_repeats; i++)
        if (strcmp(p->repeats[i].id, id) == 0)
            return p->repeats[i].is_same ? "idempotent" : "changes";
    return "-";
}

static void show_tasks(struct context *c, const struct rehearsal *r)
{
    struct arena *a = &c->arena;
    AUTO(out_table) t = {0};

    out_table_head(
        &t, OUT_CELLS("PHASE", "TASK", "TIME", "LOCK", "LONGEST WAIT", "ESTIMATE", "RUN TWICE"));
    for (int i = 0; i < r->n_phases; i++)
        for (int k = 0; k < r->phases[i].n_tasks; k++) {
            const struct rehearse_phase *p = &r->phases[i];
            const struct rehearse_task *x = &p->tasks[k];
            out_table_row(
                &t,
                OUT_CELLS(phase_word(p->phase), x->id, ms_text(a, x->ms), x->lock ? x->lock : "-",
                          x->waited_ms ? arena_printf(a, "%" PRId64 " ms", x->waited_ms) : "-",
                          x->estimate_rows >= 0
                              ? arena_printf(a, "%" PRId64 " rows", x->estimate_rows)
                              : "-",
                          twice_text(p, x->id)));
        }
    out_print(&c->out, "\n");
    out_table_print(&c->out, &t);
}

static void show_load(struct context *c, const struct rehearsal *r)
{
    struct out *o = &c->out;

    out_print(o,
              "\nload: %" PRId64 " requests of %d statements, %s%" PRId64 " failed%s, longest %s\n",
              r->load.requests, r->load.n_statements,
              out_style(o, r->load.failed ? STYLE_BAD : STYLE_GOOD), r->load.failed,
              out_style(o, STYLE_PLAIN), ms_text(&c->arena, r->load.max_ms));
    for (int i = 0; i < r->load.idle.n; i++)
        out_print(o, "  never ran: %s\n", out_clean(&c->arena, r->load.idle.items[i].s, false));
}

static void show_kills(struct context *c, const struct rehearsal *r)
{
    out_print(&c->out,
              "kills: %" PRId64 " of %" PRId64 ", %d led elsewhere (--seed %" PRId64 ")%s%s\n",
              r->kills.made, r->kills.wanted, r->kills.n_elsewhere, r->seed,
              r->kills.why ? ": " : "", r->kills.why ? r->kills.why : "");
}

static void show_tests(struct context *c, const struct rehearsal *r)
{
    struct out *o = &c->out;

    for (int i = 0; i < r->n_tests; i++)
        out_print(o, "test %s: %s%s%s\n", r->tests[i].id,
                  out_style(o, r->tests[i].left.n ? STYLE_BAD : STYLE_GOOD),
                  r->tests[i].left.n ? "fails" : "passes", out_style(o, STYLE_PLAIN));
    if (r->tests_why)
        out_print(o, "tests: not run: %s\n", r->tests_why);
}

static void show_notes(struct context *c, const struct rehearsal *r)
{
    struct out *o = &c->out;

    for (int i = 0; i < r->n_rows; i++)
        out_print(o, "rows: %s %" PRId64 ", at the end %" PRId64 "\n",
                  out_clean(&c->arena, r->rows[i].table, false), r->rows[i].before,
                  r->rows[i].after);
    for (int i = 0; i < r->n_filled; i++)
        if (r->filled[i].why)
            out_print(o, "few rows: %s has %" PRId64 ": %s\n",
                      out_clean(&c->arena, r->filled[i].table, false), r->filled[i].rows,
                      out_clean(&c->arena, r->filled[i].why, false));
    for (int i = 0; i < r->n_phases; i++) {
        const struct rehearse_phase *p = &r->phases[i];
        if (p->undo_why)
            out_print(o, "no way back from %s: %s\n", phase_word(p->phase),
                      out_clean(&c->arena, p->undo_why, false));
        for (int k = 0; k < p->stays.n; k++)
            out_print(o, "stays after the undo of %s: %s\n", phase_word(p->phase),
                      out_clean(&c->arena, p->stays.items[k].s, false));
    }
    if (r->n_gates)
        out_print(o, "gates: %d weren't measured\n", r->n_gates);
}

static void show_text(struct context *c, const struct rehearsal *r, const char *recorded)
{
    struct out *o = &c->out;

    show_phases(c, r);
    show_tasks(c, r);
    show_load(c, r);
    for (int i = 0; i < r->between.n; i++)
        out_print(o, "between its phases: %s\n",
                  out_clean(&c->arena, r->between.items[i].s, false));
    out_print(o, "way back from the end: %s%s\n",
              r->went_back ? "to the start, schema and rows" : "not gone",
              r->chain_why ? arena_printf(&c->arena, ": %s", r->chain_why) : "");
    show_kills(c, r);
    show_tests(c, r);
    show_notes(c, r);
    for (int i = 0; i < r->problems.n; i++)
        out_print(o, "%sproblem:%s %s\n", out_style(o, STYLE_BAD), out_style(o, STYLE_PLAIN),
                  out_clean(&c->arena, r->problems.items[i].s, false));
    out_print(o, "%s %s%s%s on PostgreSQL %s (%s), in %s%s%s\n", c->plans[0]->id.s,
              out_style(o, r->problems.n ? STYLE_BAD : STYLE_GOOD),
              r->problems.n ? "isn't ready" : "is rehearsed", out_style(o, STYLE_PLAIN), r->server,
              r->is_clone ? "clone" : "rows that were made", ms_text(&c->arena, r->ms),
              recorded ? "; recorded in " : "", recorded ? recorded : "");
}

void rehearse_show(struct context *c, const struct rehearsal *r, const char *recorded)
{
    show_text(c, r, recorded);
    if (!out_is_json(&c->out))
        return;
    struct json_out *j = out_json(&c->out);
    json_str(j, "plan", c->plans[0]->id.s);
    json_str(j, "checksum", c->plans[0]->checksum);
    json_str(j, "recorded_in", recorded);
    rehearse_json(j, r);
}

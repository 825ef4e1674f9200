/* backfill PLAN [status|run|pause|resume|set|retry|verify|estimate|restore] */
#include "cli.h"

#include "phasegate/backfill_ops.h"

#include <inttypes.h>

#define WORKERS_MAX 64

/* ---- status --------------------------------------------------------------------------------------------------- */

static const char *share_text(struct arena *a, int64_t done, int64_t total)
{
    if (total <= 0)
        return "";
    return arena_printf(a, " of about %" PRId64 " (%.1f %%)", total,
                        100.0 * (double) (done < total ? done : total) / (double) total);
}

static void print_speed(struct context *c, const struct backfill_status *s)
{
    struct arena *a = &c->arena;
    double rate = 0;
    int64_t left = -1;

    for (int i = 0; i < s->n_runners; i++)
        if (s->runners[i].rows_per_second > rate) {
            rate = s->runners[i].rows_per_second;
            left = s->runners[i].left_ms;
        }
    if (rate > 0)
        out_print(&c->out, "  speed    %.0f rows/s%s%s\n", rate, left >= 0 ? ", about " : "",
                  left >= 0 ? arena_printf(a, "%s left", span_text(a, left)) : "");
}

static void print_runner(struct context *c, const struct backfill_runner *r)
{
    struct arena *a = &c->arena;
    const struct out *o = &c->out;

    out_print(&c->out,
              "  workers  %" PRId64 " of %s:%s, since %s; %" PRId64
              " rows a batch, %.0f ms each, %.0f %% of the time\n",
              r->workers, r->host ? out_clean(a, r->host, false) : "?", r->pid ? r->pid : "?",
              when_text(a, r->began_ms), r->batch_rows, r->batch_ms, 100 * r->duty);
    if (r->reason)
        out_print(&c->out, "           %s%s%s: %s, since %s\n", out_style(o, STYLE_BAD), r->level,
                  out_style(o, STYLE_PLAIN), out_clean(a, r->reason, false),
                  when_text(a, r->since_ms));
}

static void print_bad_rows(struct context *c, const struct backfill_status *s)
{
    struct arena *a = &c->arena;

    for (int i = 0; i < s->n_bad_rows; i++)
        out_print(&c->out, "  %s %s: %s %s\n", i == 0 ? "bad row " : "        ",
                  out_clean(a, s->bad_rows[i].key, false), s->bad_rows[i].sqlstate,
                  out_clean(a, s->bad_rows[i].message, false));
    if (s->bad > s->n_bad_rows)
        out_print(&c->out, "           and %" PRId64 " more: phasegate.backfill_quarantine\n",
                  s->bad - s->n_bad_rows);
}

/* What it was thought to take beside what it took. */
static void print_expected(struct context *c, const struct backfill_status *s)
{
    struct arena *a = &c->arena;
    const struct estimate *e = &s->estimate;

    if (s->has_estimate)
        out_print(&c->out,
                  "  expected %" PRId64 " rows in %" PRId64
                  " batches, about %s; %s of WAL, %s more "
                  "of table\n",
                  e->rows, e->batches, span_text(a, e->ms), size_text(a, e->wal_bytes),
                  size_text(a, e->growth_bytes));
    if (s->finished_at_ms > 0 && s->wal_bytes >= 0 && s->growth_bytes >= 0)
        out_print(&c->out,
                  "  took     %" PRId64 " rows in %" PRId64 " batches, %s; %s of WAL, %s more of "
                  "table\n",
                  s->rows_changed, s->batches, span_text(a, s->finished_at_ms - s->started_at_ms),
                  size_text(a, s->wal_bytes), size_text(a, s->growth_bytes));
}

static void print_status(struct context *c, const struct backfill_status *s)
{
    struct arena *a = &c->arena;
    const struct out *o = &c->out;
    bool done = s->finished_at_ms > 0;

    out_print(&c->out, "%s%s%s of %s: %s, since %s\n", out_style(o, STYLE_BOLD), s->name,
              out_style(o, STYLE_PLAIN), s->table ? out_clean(a, s->table, false) : "?", s->status,
              when_text(a, done ? s->finished_at_ms : s->started_at_ms));
    out_print(&c->out, "  rows     %" PRId64 "%s, %" PRId64 " changed\n", s->rows_done,
              done ? "" : share_text(a, s->rows_done, s->rows_total), s->rows_changed);
    out_print(&c->out,
              "  slices   %" PRId64 " of %" PRId64 " done, %" PRId64 " under way; %" PRId64
              " batches\n",
              s->slices_done, s->slices, s->slices_running, s->batches);
    print_expected(c, s);
    if (!done)
        print_speed(c, s);
    for (int i = 0; i < s->n_runners; i++)
        print_runner(c, &s->runners[i]);
    if (!done && s->n_runners == 0)
        out_print(&c->out, "  workers  none\n");
    if (s->knobs && strcmp(s->knobs, "{}") != 0)
        out_print(&c->out, "  set      %s\n", out_clean(a, s->knobs, false));
    if (s->kept > 0)
        out_print(&c->out,
                  "  kept     what %" PRId64 " rows held before: phasegate backfill %s restore\n",
                  s->kept, c->plans[0]->id.s);
    if (s->restored > 0 || s->newer > 0)
        out_print(&c->out,
                  "  restored %" PRId64 " rows; %" PRId64
                  " had changed since and were left alone\n",
                  s->restored, s->newer);
    if (s->residual > 0)
        out_print(&c->out, "  locked   %" PRId64 " ranges hold rows that others had locked\n",
                  s->residual);
    print_bad_rows(c, s);
}

static void count_or_null(struct json_out *j, const char *key, int64_t n)
{
    if (n < 0)
        json_put_null(j, key);
    else
        json_int(j, key, n);
}

static void runner_json(struct json_out *j, const struct backfill_runner *r)
{
    json_object_begin(j, NULL);
    json_str(j, "host", r->host);
    json_str(j, "pid", r->pid);
    json_int(j, "workers", r->workers);
    when_json(j, "began_at", r->began_ms);
    json_str(j, "level", r->level);
    json_str(j, "signal", r->signal);
    json_raw(j, "value", r->value ? r->value : "null");
    json_raw(j, "limit", r->bound ? r->bound : "null");
    json_str(j, "reason", r->reason);
    when_json(j, "level_since", r->since_ms);
    json_double(j, "duty", r->duty);
    json_int(j, "batch_rows", r->batch_rows);
    json_double(j, "batch_ms", r->batch_ms);
    json_double(j, "rows_per_second", r->rows_per_second);
    count_or_null(j, "left_ms", r->left_ms);
    json_object_end(j);
}

static void bad_rows_json(struct json_out *j, const struct backfill_status *s)
{
    json_array_begin(j, "bad_rows");
    for (int i = 0; i < s->n_bad_rows; i++) {
        json_object_begin(j, NULL);
        json_raw(j, "key", s->bad_rows[i].key);
        json_str(j, "sqlstate", s->bad_rows[i].sqlstate);
        json_str(j, "message", s->bad_rows[i].message);
        json_int(j, "attempts", s->bad_rows[i].attempts);
        when_json(j, "since", s->bad_rows[i].first_at_ms);
        json_object_end(j);
    }
    json_array_end(j);
}

static void estimate_json(struct json_out *j, const struct estimate *e)
{
    json_int(j, "rows", e->rows);
    json_int(j, "batches", e->batches);
    json_int(j, "ms", e->ms);
    json_int(j, "wal_bytes", e->wal_bytes);
    json_int(j, "growth_bytes", e->growth_bytes);
}

static void status_json(struct json_out *j, const struct backfill_status *s)
{
    json_object_begin(j, NULL);
    json_str(j, "name", s->name);
    json_str(j, "table", s->table);
    json_str(j, "status", s->status);
    json_int(j, "rows_total", s->rows_total);
    json_int(j, "rows_done", s->rows_done);
    json_int(j, "rows_changed", s->rows_changed);
    json_int(j, "rows_failed", s->bad);
    json_int(j, "batches", s->batches);
    json_int(j, "retried", s->retried);
    json_int(j, "slices", s->slices);
    json_int(j, "slices_done", s->slices_done);
    json_int(j, "slices_running", s->slices_running);
    json_int(j, "residual", s->residual);
    json_int(j, "kept", s->kept);
    json_int(j, "restored", s->restored);
    json_int(j, "newer", s->newer);
    when_json(j, "started_at", s->started_at_ms);
    when_json(j, "finished_at", s->finished_at_ms);
    count_or_null(j, "wal_bytes", s->wal_bytes);
    count_or_null(j, "growth_bytes", s->growth_bytes);
    if (s->has_estimate) {
        json_object_begin(j, "expected");
        estimate_json(j, &s->estimate);
        json_object_end(j);
    } else {
        json_put_null(j, "expected");
    }
    json_raw(j, "set", s->knobs ? s->knobs : "{}");
    json_array_begin(j, "runners");
    for (int i = 0; i < s->n_runners; i++)
        runner_json(j, &s->runners[i]);
    json_array_end(j);
    bad_rows_json(j, s);
    json_object_end(j);
}

static bool show(struct context *c, struct engine *e, struct err *err)
{
    struct backfill_status *all = NULL;
    int n = 0;

    if (!engine_backfills(e, c->plans[0], &c->arena, &all, &n, err))
        return false;
    if (n == 0)
        out_print(&c->out, "%s: no backfill has begun\n", c->plans[0]->id.s);
    for (int i = 0; i < n; i++)
        print_status(c, &all[i]);
    if (!out_is_json(&c->out))
        return true;
    json_array_begin(out_json(&c->out), "backfills");
    for (int i = 0; i < n; i++)
        status_json(out_json(&c->out), &all[i]);
    json_array_end(out_json(&c->out));
    return true;
}

/* ---- the others ------------------------------------------------------------------------------------------------- */

static bool run(struct context *c, struct engine *e, struct err *err)
{
    int64_t workers = opt_has(c, OPT_WORKERS) ? c->line.number[OPT_WORKERS] : 0, rows = 0;

    if (opt_has(c, OPT_WORKERS) && (workers < 1 || workers > WORKERS_MAX))
        return err_set(err, ERR_USAGE, "--workers %" PRId64 ": expected a number from 1 to %d",
                       workers, WORKERS_MAX);
    if (!engine_backfill_help(e, c->plans[0], (int) workers, &c->arena, &rows, err))
        return false;
    out_print(&c->out, "%s: nothing is left of what was running; %" PRId64 " rows meanwhile\n",
              c->plans[0]->id.s, rows);
    if (out_is_json(&c->out))
        json_int(out_json(&c->out), "rows", rows);
    return true;
}

static bool retry(struct context *c, struct engine *e, struct err *err)
{
    int64_t filled = 0, left = 0;

    if (!engine_backfill_retry(e, c->plans[0], &c->arena, &filled, &left, err))
        return false;
    if (filled == 0 && left == 0)
        out_print(&c->out, "%s: there is nothing to do: no row couldn't be filled\n",
                  c->plans[0]->id.s);
    else
        out_print(&c->out, "%s: %" PRId64 " rows filled, %" PRId64 " still can't be\n",
                  c->plans[0]->id.s, filled, left);
    if (out_is_json(&c->out)) {
        json_int(out_json(&c->out), "filled", filled);
        json_int(out_json(&c->out), "left", left);
    }
    c->exit_code = left > 0 ? 1 : 0;
    return true;
}

static bool restore(struct context *c, struct engine *e, struct err *err)
{
    int64_t restored = 0, newer = 0;

    if (!engine_backfill_restore(e, c->plans[0], &c->arena, &restored, &newer, err))
        return false;
    if (restored == 0 && newer == 0)
        out_print(&c->out, "%s: there is nothing to do: no old values are kept\n",
                  c->plans[0]->id.s);
    else
        out_print(&c->out,
                  "%s: %" PRId64 " rows hold again what they held before; %" PRId64
                  " have changed since and were left alone\n",
                  c->plans[0]->id.s, restored, newer);
    if (out_is_json(&c->out)) {
        json_int(out_json(&c->out), "restored", restored);
        json_int(out_json(&c->out), "newer", newer);
    }
    c->exit_code = newer > 0 ? 1 : 0;
    return true;
}

static bool verify(struct context *c, struct engine *e, struct err *err)
{
    struct backfill_found *all = NULL;
    int n = 0;

    if (!engine_backfill_verify(e, c->plans[0], &c->arena, &all, &n, err))
        return false;
    c->exit_code = backfill_show_found(c, all, n) ? 0 : 1;
    return true;
}

static bool change(struct context *c, struct engine *e, const struct backfill_setting *set, int n,
                   struct err *err)
{
    if (!engine_backfill_set(e, c->plans[0], set, n, &c->arena, err))
        return false;
    for (int i = 0; i < n; i++)
        if (set[i].value)
            out_print(&c->out, "%s: %s=%s\n", c->plans[0]->id.s, set[i].key, set[i].value);
        else
            out_print(&c->out, "%s: %s as the plan says\n", c->plans[0]->id.s, set[i].key);
    if (out_is_json(&c->out)) {
        json_object_begin(out_json(&c->out), "set");
        for (int i = 0; i < n; i++)
            json_str(out_json(&c->out), set[i].key, set[i].value);
        json_object_end(out_json(&c->out));
    }
    return true;
}

static bool set(struct context *c, struct engine *e, struct err *err)
{
    int n = c->line.n_args - 2;
    struct backfill_setting *all = arena_array(&c->arena, struct backfill_setting, n + 1);

    if (n < 1) {
        err_set(err, ERR_USAGE, "backfill %s set: what?", c->plans[0]->id.s);
        return err_hint(err, "phasegate backfill %s set target=20ms", c->plans[0]->id.s);
    }
    for (int i = 0; i < n; i++) {
        const char *text = arg(c, i + 2), *is = strchr(text, '=');

        if (!is)
            return err_set(err, ERR_USAGE, "backfill set: expected KEY=VALUE, not \"%s\"", text);
        all[i].key = arena_strndup(&c->arena, text, (size_t) (is - text));
        all[i].value = is[1] ? is + 1 : NULL;
    }
    return change(c, e, all, n, err);
}

static void print_estimate(struct context *c, const struct backfill_expectation *x)
{
    struct arena *a = &c->arena;
    const struct estimate *e = &x->estimate;

    out_print(&c->out, "%s%s%s of %s: about %" PRId64 " of %" PRId64 " rows to change (%s)\n",
              out_style(&c->out, STYLE_BOLD), x->name, out_style(&c->out, STYLE_PLAIN),
              out_clean(a, x->table, false), e->rows, x->rows, size_text(a, x->bytes));
    out_print(&c->out, "  batches  about %" PRId64 "\n  time     %s to %s%s\n", e->batches,
              span_text(a, e->least_ms), span_text(a, e->most_ms),
              e->is_measured ? ", by batches that were rolled back"
                             : ", as of usual machines; --measure tries a few batches");
    out_print(&c->out, "  WAL      about %s\n  growth   about %s of table and indexes\n",
              size_text(a, e->wal_bytes), size_text(a, e->growth_bytes));
}

static void expectation_json(struct json_out *j, const struct backfill_expectation *x)
{
    json_object_begin(j, NULL);
    json_str(j, "name", x->name);
    json_str(j, "table", x->table);
    json_int(j, "table_rows", x->rows);
    json_int(j, "table_bytes", x->bytes);
    estimate_json(j, &x->estimate);
    json_int(j, "least_ms", x->estimate.least_ms);
    json_int(j, "most_ms", x->estimate.most_ms);
    json_bool(j, "measured", x->estimate.is_measured);
    json_object_end(j);
}

static bool estimate(struct context *c, struct engine *e, struct err *err)
{
    struct backfill_expectation *all = NULL;
    int n = 0;

    if (!engine_backfill_estimate(e, c->plans[0], opt_has(c, OPT_MEASURE), &c->arena, &all, &n,
                                  err))
        return false;
    if (n == 0)
        out_print(&c->out, "%s: it has no backfill\n", c->plans[0]->id.s);
    for (int i = 0; i < n; i++)
        print_estimate(c, &all[i]);
    if (!out_is_json(&c->out))
        return true;
    json_array_begin(out_json(&c->out), "estimates");
    for (int i = 0; i < n; i++)
        expectation_json(out_json(&c->out), &all[i]);
    json_array_end(out_json(&c->out));
    return true;
}

static bool brake(struct context *c, struct engine *e, bool on, struct err *err)
{
    const struct backfill_setting s = {"paused", on ? c->actor : NULL};

    if (!engine_backfill_set(e, c->plans[0], &s, 1, &c->arena, err))
        return false;
    out_print(&c->out, "%s: %s\n", c->plans[0]->id.s,
              on ? "its backfills wait, from the next batch on" : "its backfills go on");
    if (out_is_json(&c->out))
        json_bool(out_json(&c->out), "paused", on);
    return true;
}

bool cmd_backfill(struct context *c, struct err *err)
{
    const char *what = arg(c, 1) ? arg(c, 1) : "status";
    struct engine *e;

    if (arg(c, 2) && strcmp(what, "set") != 0) {
        err_set(err, ERR_USAGE, "backfill %s: one argument too many: \"%s\"", what, arg(c, 2));
        return err_hint(err, "phasegate backfill --help");
    }
    if (opt_has(c, OPT_MEASURE) && strcmp(what, "estimate") != 0)
        return err_set(err, ERR_USAGE, "backfill %s: --measure belongs to estimate", what);
    if (opt_has(c, OPT_METRICS_FILE) && strcmp(what, "run") != 0)
        return err_set(err, ERR_USAGE, "backfill %s: --metrics-file belongs to run, and to advance",
                       what);
    metrics_file_begin(c);
    if (!context_engine(c, c->plans[0], &e, err))
        return false;
    if (strcmp(what, "run") == 0)
        return run(c, e, err);
    if (strcmp(what, "retry") == 0)
        return retry(c, e, err);
    if (strcmp(what, "verify") == 0)
        return verify(c, e, err);
    if (strcmp(what, "estimate") == 0)
        return estimate(c, e, err);
    if (strcmp(what, "restore") == 0)
        return restore(c, e, err);
    if (strcmp(what, "set") == 0)
        return set(c, e, err);
    if (strcmp(what, "status") == 0)
        return show(c, e, err);
    return brake(c, e, strcmp(what, "pause") == 0, err);
}

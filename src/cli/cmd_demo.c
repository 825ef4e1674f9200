/* demo: the story is src/demo's; this is what it comes to. */
#include "cli.h"
#include "phasegate/demo.h"

#include <inttypes.h>

static bool read_options(struct context *c, struct demo_options *o, struct err *err)
{
    int64_t rows = opt_has(c, OPT_ROWS) ? c->line.number[OPT_ROWS] : DEMO_ACCOUNTS;
    int64_t seconds = opt_has(c, OPT_SECONDS) ? c->line.number[OPT_SECONDS] : DEMO_WATCH_S;

    if (rows < DEMO_ACCOUNTS_MIN || rows > DEMO_ACCOUNTS_MAX)
        return err_set(err, ERR_USAGE, "--rows: %" PRId64 " isn't between %d and %d", rows,
                       DEMO_ACCOUNTS_MIN, DEMO_ACCOUNTS_MAX);
    if (seconds > DEMO_WATCH_MAX_S)
        return err_set(err, ERR_USAGE, "--seconds: %" PRId64 " is more than %d", seconds,
                       DEMO_WATCH_MAX_S);
    *o = (struct demo_options) {.accounts = (int) rows,
                                .watch_ms = seconds * 1000,
                                .keep = opt_has(c, OPT_KEEP),
                                .run_id = c->run_id,
                                .actor = c->actor};
    return true;
}

/* ---- text ------------------------------------------------------------------------------------------ */

/* "  requests                             31,442" */
static void row(struct context *c, const char *what, const char *value, const char *unit,
                const char *more)
{
    out_print(&c->out, "  %-37s %10s%s%s%s%s\n", what, value, *unit ? " " : "", unit,
              *more ? "   " : "", more);
}

static const char *decimal(struct context *c, int places, double v)
{
    return arena_printf(&c->arena, "%.*f", places, v);
}

static const char *count(struct context *c, int64_t n)
{
    const char *digits = arena_printf(&c->arena, "%" PRId64, n);
    size_t len = strlen(digits);
    AUTO(str) out = {0};

    for (size_t i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            str_addc(&out, ',');
        str_addc(&out, digits[i]);
    }
    return arena_strdup(&c->arena, str_text(&out));
}

static void show_traffic(struct context *c, const struct demo_figures *f)
{
    struct out *o = &c->out;

    row(c, "requests", count(c, f->requests), "", "");
    out_print(o, "%s", out_style(o, f->failed ? STYLE_BAD : STYLE_GOOD));
    row(c, "failed requests", count(c, f->failed), "", "");
    out_print(o, "%s", out_style(o, STYLE_PLAIN));
    for (int i = 0; i < f->n_failures; i++)
        out_print(o, "    %" PRId64 " x release %s, %s: %s%s%s\n", f->failures[i].count,
                  f->failures[i].release, f->failures[i].statement, f->failures[i].sqlstate,
                  *f->failures[i].sqlstate ? " " : "",
                  out_clean(&c->arena, f->failures[i].message, false));
    if (f->before_p99_us > 0)
        row(c, "p99 before the plan", decimal(c, 1, (double) f->before_p99_us / 1000), "ms", "");
    if (f->during_p99_us > 0)
        row(c, "p99 from its first step to its purge",
            decimal(c, 1, (double) f->during_p99_us / 1000), "ms", "");
    if (f->after_p99_us > 0)
        row(c, "p99 after it", decimal(c, 1, (double) f->after_p99_us / 1000), "ms", "");
}

static void show_phases(struct context *c, const struct demo_figures *f)
{
    for (int i = 0; i < f->n_phases; i++)
        row(c, f->phases[i].name, decimal(c, 2, (double) f->phases[i].ms / 1000), "s",
            arena_printf(&c->arena, "release %s%s", f->phases[i].release,
                         f->kill.done && strcmp(f->phases[i].name, f->kill.phase) == 0
                             ? ", killed and resumed"
                             : ""));
}

static void show_end(struct context *c, const struct demo_figures *f)
{
    if (f->kill.done) {
        row(c, "kill to both flags seen off", decimal(c, 2, (double) f->kill.off_ms / 1000), "s",
            "");
        row(c, "kill to last request on the new path",
            decimal(c, 2, (double) f->kill.last_ms / 1000), "s", "");
    }
    if (f->stage)
        row(c, "journal rows", count(c, f->journal_rows), "",
            f->journal_ok ? "hash chain verified" : "hash chain BROKEN");
    if (f->columns)
        out_print(&c->out, "  accounts now: %s\n", f->columns);
    if (f->folder)
        out_print(&c->out, "  kept: %s\n", f->folder);
}

static void show_text(struct context *c, const struct demo_figures *f)
{
    struct out *o = &c->out;

    out_print(o, "\n%sWhat it came to, after %.0f s:%s\n", out_style(o, STYLE_BOLD),
              (double) f->ms / 1000, out_style(o, STYLE_PLAIN));
    show_phases(c, f);
    show_traffic(c, f);
    show_end(c, f);
    for (int i = 0; i < f->n_problems; i++)
        out_print(o, "%snot as promised:%s %s\n", out_style(o, STYLE_BAD),
                  out_style(o, STYLE_PLAIN), out_clean(&c->arena, f->problems[i], false));
}

/* ---- json -------------------------------------------------------------------------------------------- */

static void seconds_json(struct json_out *j, const char *key, int64_t ms)
{
    json_double(j, key, (double) ms / 1000);
}

static void phases_json(struct json_out *j, const struct demo_figures *f)
{
    json_array_begin(j, "phases");
    for (int i = 0; i < f->n_phases; i++) {
        json_object_begin(j, NULL);
        json_str(j, "phase", f->phases[i].name);
        json_str(j, "release", f->phases[i].release);
        seconds_json(j, "at_s", f->phases[i].at_ms);
        seconds_json(j, "seconds", f->phases[i].ms);
        json_object_end(j);
    }
    json_array_end(j);
}

static void traffic_json(struct json_out *j, const struct demo_figures *f)
{
    json_int(j, "requests", f->requests);
    json_int(j, "failed_requests", f->failed);
    json_array_begin(j, "failures");
    for (int i = 0; i < f->n_failures; i++) {
        json_object_begin(j, NULL);
        json_int(j, "count", f->failures[i].count);
        json_str(j, "release", f->failures[i].release);
        json_str(j, "statement", f->failures[i].statement);
        json_str(j, "sqlstate", *f->failures[i].sqlstate ? f->failures[i].sqlstate : NULL);
        json_str(j, "message", f->failures[i].message);
        json_object_end(j);
    }
    json_array_end(j);
    json_object_begin(j, "p99_ms");
    json_double(j, "before", (double) f->before_p99_us / 1000);
    json_double(j, "during", (double) f->during_p99_us / 1000);
    json_double(j, "after", (double) f->after_p99_us / 1000);
    json_object_end(j);
    json_double(j, "slowest_ms", (double) f->max_us / 1000);
}

static void kill_json(struct json_out *j, const struct demo_figures *f)
{
    if (!f->kill.done) {
        json_put_null(j, "kill");
        return;
    }
    json_object_begin(j, "kill");
    json_str(j, "phase", f->kill.phase);
    seconds_json(j, "at_s", f->kill.at_ms);
    seconds_json(j, "off_s", f->kill.off_ms);
    seconds_json(j, "last_new_path_s", f->kill.last_ms);
    seconds_json(j, "resumed_at_s", f->kill.resumed_ms);
    json_object_end(j);
}

static void show_json(struct context *c, const struct demo_figures *f)
{
    struct json_out *j = out_json(&c->out);

    seconds_json(j, "seconds", f->ms);
    json_str(j, "postgres", f->server);
    json_int(j, "accounts", f->accounts);
    json_int(j, "instances", f->instances);
    phases_json(j, f);
    traffic_json(j, f);
    kill_json(j, f);
    json_object_begin(j, "journal");
    json_int(j, "rows", f->journal_rows);
    json_bool(j, "verified", f->journal_ok);
    json_object_end(j);
    json_str(j, "stage", f->stage);
    json_str(j, "columns", f->columns);
    json_str(j, "folder", f->folder);
    json_array_begin(j, "problems");
    for (int i = 0; i < f->n_problems; i++)
        json_str(j, NULL, f->problems[i]);
    json_array_end(j);
}

bool cmd_demo(struct context *c, struct err *err)
{
    struct demo_options o;
    struct demo_figures f;
    struct demo_proving proving;

    if (!read_options(c, &o, err))
        return false;
    demo_proving_begin(c, &proving);
    o.prover = &proving.prover;
    bool good = demo_run(&o, &c->ports, &c->out, &c->arena, &f, err);
    demo_proving_end(&proving);
    if (out_is_json(&c->out))
        show_json(c, &f);
    else if (f.has_traffic && !err_is(err, ERR_INTERRUPTED))
        show_text(c, &f);
    if (good && f.n_problems == 0)
        out_say(&c->out, "next: docs/tutorial.md, the same with a plan of your own");
    if (good && f.n_problems > 0)
        c->exit_code = 1;
    return good;
}

/* --metrics-file FILE: what a backfill counts, for the textfile collector of Prometheus' node_exporter. The file is
 * written anew as a whole, so that nobody reads half of one.
 */
#include "cli.h"

#include <inttypes.h>

enum { EVERY_MS = 1000 };

struct metrics {
    struct events events;
    struct events *next;
    struct context *c;
    const char *path;
    int64_t written_ms; /* monotonic */
    bool is_told;       /* that it can't be written */
};

/* Of a label's value: backslash, quote and line feed. */
static void add_label(struct str *to, const char *name, const char *value)
{
    str_addf(to, "%s=\"", name);
    for (const char *c = value ? value : ""; *c; c++) {
        if (*c == '\\' || *c == '"')
            str_addc(to, '\\');
        str_add(to, *c == '\n' ? "\\n" : "");
        if (*c != '\n')
            str_addc(to, *c);
    }
    str_addc(to, '"');
}

static void add_metric(struct str *to, const char *labels, const char *name, const char *type,
                       const char *help, double value)
{
    str_addf(to, "# HELP phasegate_backfill_%s %s\n# TYPE phasegate_backfill_%s %s\n", name, help,
             name, type);
    str_addf(to, "phasegate_backfill_%s{%s} %.15g\n", name, labels, value);
}

static void metrics_text(const struct metrics *m, const struct event *ev, struct str *to)
{
    const struct fill_counts *f = ev->fill;
    const char *slash = ev->task ? strchr(ev->task, '/') : NULL; /* backfill/ID */
    AUTO(str) labels = {0};

    add_label(&labels, "plan", ev->plan);
    str_addc(&labels, ',');
    add_label(&labels, "phase", ev->phase);
    str_addc(&labels, ',');
    add_label(&labels, "backfill", slash ? slash + 1 : ev->task);
    const char *l = str_text(&labels);
    add_metric(to, l, "rows", "gauge", "Rows to go through, as far as it is known.",
               (double) ev->total);
    add_metric(to, l, "rows_processed_total", "counter", "Rows gone through.", (double) ev->number);
    add_metric(to, l, "rows_changed_total", "counter", "Rows changed.", (double) f->changed);
    add_metric(to, l, "rows_failed", "gauge", "Rows that can't be filled.", (double) f->failed);
    add_metric(to, l, "batches_total", "counter", "Batches done.", (double) f->batches);
    add_metric(to, l, "batches_retried_total", "counter", "Batches tried again.",
               (double) f->retried);
    add_metric(to, l, "residual_ranges", "gauge", "Ranges with rows that others hold.",
               (double) f->residual);
    add_metric(to, l, "slices", "gauge", "Slices of the table.", f->slices);
    add_metric(to, l, "slices_done", "gauge", "Slices that are done.", f->slices_done);
    add_metric(to, l, "workers", "gauge", "Workers of this process.", f->workers);
    add_metric(to, l, "rows_per_second", "gauge", "Rows gone through in a second.", ev->rate);
    if (f->left_ms >= 0)
        add_metric(to, l, "left_seconds", "gauge", "What is left of it, as far as it is known.",
                   (double) f->left_ms / 1000);
    add_metric(to, l, "finished", "gauge", "1: this process has ended its work on it.", f->is_last);
    add_metric(to, l, "updated_timestamp_seconds", "gauge", "When this file was written.",
               (double) clock_wall_ms(m->c->clock) / 1000);
    if (f->reason) {
        str_addc(&labels, ',');
        add_label(&labels, "level", f->level);
        str_addc(&labels, ',');
        add_label(&labels, "reason", f->reason);
    }
    add_metric(to, str_text(&labels), "throttled", "gauge", "1: something slows or stops it.",
               f->reason != NULL);
}

/* What can't be written is told once, and stops nothing. */
static void write_metrics(struct metrics *m, const struct event *ev)
{
    AUTO(str) text = {0};
    AUTO(err) err = {0};

    metrics_text(m, ev, &text);
    if (m->c->host->ops->write_atomic(m->c->host, m->path, str_text(&text), text.len, 0644, &err))
        return;
    if (!m->is_told)
        out_warn(&m->c->out, "--metrics-file: %s", str_text(&err.message));
    m->is_told = true;
}

static void emit_metrics(struct events *events, const struct event *ev)
{
    struct metrics *m = (struct metrics *) events;
    int64_t now = clock_mono_ms(m->c->clock);

    events_emit(m->next, ev);
    if (!ev->fill || (!ev->fill->is_last && m->written_ms && now - m->written_ms < EVERY_MS))
        return;
    m->written_ms = now;
    write_metrics(m, ev);
}

void metrics_file_begin(struct context *c)
{
    static const struct events_ops ops = {emit_metrics};
    const char *path = opt_text(c, OPT_METRICS_FILE);

    if (!path)
        return;
    struct metrics *m = arena_new(&c->arena, struct metrics);
    *m = (struct metrics) {.events = {&ops}, .next = c->ports.events, .c = c, .path = path};
    c->ports.events = &m->events;
}

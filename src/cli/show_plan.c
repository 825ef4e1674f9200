/* Forms that several commands answer in: what was done, what would be done, what is missing. */
#include "cli.h"

#include <inttypes.h>

const char *when_text(struct arena *a, int64_t epoch_ms)
{
    char at[25];

    if (epoch_ms <= 0)
        return "";
    time_to_rfc3339(epoch_ms, at);
    return arena_printf(a, "%.19sZ", at);
}

const char *span_text(struct arena *a, int64_t ms)
{
    AUTO(str) s = {0};

    /* Nobody wants the milliseconds of a forecast. */
    duration_to_text(&s, ms < 1000 ? ms : ms / 1000 * 1000);
    return arena_strdup(a, str_text(&s));
}

const char *size_text(struct arena *a, int64_t bytes)
{
    if (bytes < 10240)
        return arena_printf(a, "%" PRId64 " B", bytes);
    if (bytes < 10 << 20)
        return arena_printf(a, "%" PRId64 " KiB", bytes >> 10);
    return arena_printf(a, "%" PRId64 " MiB", bytes >> 20);
}

void when_json(struct json_out *j, const char *key, int64_t epoch_ms)
{
    char at[25];

    if (epoch_ms > 0)
        time_to_rfc3339(epoch_ms, at);
    json_str(j, key, epoch_ms > 0 ? at : NULL);
}

/* ---- refusals --------------------------------------------------------------------------------------- */

void refusals_text(const struct out *o, struct arena *scratch, struct str *to,
                   const struct decision *d)
{
    for (int i = 0; i < d->n_refusals; i++) {
        const struct fact *f = &d->refusals[i].fact;

        str_addf(to, "  %s%s%s: %s\n", out_style(o, STYLE_WARN), d->refusals[i].reason,
                 out_style(o, STYLE_PLAIN),
                 out_clean(scratch, f->what ? f->what : "not known", false));
        if (f->holder)
            str_addf(to, "      held by %s\n", out_clean(scratch, f->holder, false));
        if (f->since_ms > 0)
            str_addf(to, "      since %s\n", when_text(scratch, f->since_ms));
        if (f->release)
            str_addf(to, "      released by %s\n", out_clean(scratch, f->release, false));
        if (f->gives_up_ms > 0)
            str_addf(to, "      ends %s\n", when_text(scratch, f->gives_up_ms));
    }
}

void show_refusals(struct context *c, const struct decision *d)
{
    AUTO(str) text = {0};

    refusals_text(&c->out, &c->arena, &text, d);
    out_print(&c->out, "%s", str_text(&text));
}

void refusals_json(struct json_out *j, const char *key, const struct decision *d)
{
    json_array_begin(j, key);
    for (int i = 0; i < d->n_refusals; i++) {
        const struct fact *f = &d->refusals[i].fact;

        json_object_begin(j, NULL);
        json_str(j, "reason", d->refusals[i].reason);
        json_str(j, "what", f->what);
        json_str(j, "holder", f->holder);
        when_json(j, "since", f->since_ms);
        json_str(j, "released_by", f->release);
        when_json(j, "ends", f->gives_up_ms);
        json_object_end(j);
    }
    json_array_end(j);
}

/* ---- what was done ------------------------------------------------------------------------------------ */

void show_advance(struct context *c, const struct plan *p, const struct advance_result *r)
{
    AUTO(out_table) t = {0};

    for (int i = 0; i < r->n_skipped; i++)
        if (r->skipped[i])
            out_print(&c->out, "%s: passed over a phase that the plan doesn't have: %s\n", p->id.s,
                      out_clean(&c->arena, r->skipped[i], false));
    if (r->nothing_to_do) {
        out_print(&c->out, "%s: up to date (%s)\n", p->id.s, stage_word(r->to));
        return;
    }
    if (r->n_tasks) {
        out_table_head(&t, OUT_CELLS("TASK", "KIND", "STATUS", "TIME", "NOTE"));
        for (int i = 0; i < r->n_tasks; i++) {
            const struct task_report *k = &r->tasks[i];
            AUTO(str) ms = {0};

            duration_to_text(&ms, k->ms);
            out_table_row(
                &t, OUT_CELLS(k->id, k->kind, k->status, str_text(&ms), k->note ? k->note : ""));
            out_table_style(&t, 2, strcmp(k->status, "done") == 0 ? STYLE_GOOD : STYLE_FAINT);
        }
        out_table_print(&c->out, &t);
    }
    if (r->holds)
        out_print(&c->out, "%s: ready for the next rung\n", p->id.s);
    out_print(&c->out, "%s: %s -> %s%s%s\n", p->id.s, stage_word(r->from),
              out_style(&c->out, STYLE_BOLD), stage_word(r->to), out_style(&c->out, STYLE_PLAIN));
}

static void proof_json(struct json_out *j, const struct made_proof *m)
{
    const struct report_summary *s = &m->summary;

    json_object_begin(j, "proof_summary");
    json_str(j, "source", m->source);
    json_str(j, "checksum", m->checksum);
    json_int(j, "worlds", s->worlds);
    json_int(j, "cells", s->cells);
    json_int(j, "probed", s->probed);
    json_int(j, "untested", s->untested);
    json_int(j, "warnings", s->warnings);
    json_int(j, "notes", s->notes);
    json_str(j, "server_version", m->server_version);
    json_object_end(j);
}

void advance_json(struct json_out *j, const char *key, const struct plan *p,
                  const struct advance_result *r, const struct made_proof *m)
{
    json_object_begin(j, key);
    json_str(j, "plan", p->id.s);
    json_str(j, "from", stage_word(r->from));
    json_str(j, "to", stage_word(r->to));
    json_str(j, "phase", r->phase ? phase_word(r->phase) : NULL);
    json_bool(j, "nothing_to_do", r->nothing_to_do);
    json_str(j, "proof", r->proof);
    if (r->proof && m && m->source)
        proof_json(j, m);
    else
        json_put_null(j, "proof_summary");
    json_array_begin(j, "skipped");
    for (int i = 0; i < r->n_skipped; i++)
        json_str(j, NULL, r->skipped[i]);
    json_array_end(j);
    json_array_begin(j, "tasks");
    for (int i = 0; i < r->n_tasks; i++) {
        json_object_begin(j, NULL);
        json_str(j, "id", r->tasks[i].id);
        json_str(j, "kind", r->tasks[i].kind);
        json_str(j, "title", r->tasks[i].title);
        json_str(j, "status", r->tasks[i].status);
        json_int(j, "ms", r->tasks[i].ms);
        json_str(j, "note", r->tasks[i].note);
        json_object_end(j);
    }
    json_array_end(j);
    if (r->decision.n_refusals)
        refusals_json(j, "missing", &r->decision);
    json_object_end(j);
}

/* ---- what would be done --------------------------------------------------------------------------------- */

static void indented(struct context *c, const char *label, const char *text)
{
    const char *s = out_clean(&c->arena, text, true);

    out_print(&c->out, "      %-9s", label);
    while (*s) {
        size_t n = strcspn(s, "\n");

        out_print(&c->out, "%.*s\n", (int) n, s);
        s += n + (s[n] == '\n');
        if (*s)
            out_print(&c->out, "               ");
    }
}

static void show_dry_step(struct context *c, const struct dry_step *s, int number, int total)
{
    struct out *o = &c->out;
    struct arena *a = &c->arena;

    out_print(o, "  (%d of %d) %s%s%s  %s", number, total, out_style(o, STYLE_BOLD), s->id,
              out_style(o, STYLE_PLAIN), out_clean(a, s->title ? s->title : s->kind, false));
    if (s->at)
        out_print(o, "  %s%s:%d%s", out_style(o, STYLE_FAINT), s->at->file, s->at->line,
                  out_style(o, STYLE_PLAIN));
    out_print(o, "\n");
    indented(c, "status", s->status);
    for (int i = 0; i < s->n_sql; i++)
        indented(c, i ? "" : "sql", s->sql[i]);
    if (s->request)
        indented(c, "request", s->request);
    if (s->lock != LOCK_NONE)
        indented(c, "lock",
                 arena_printf(a, "%s%s%s", lock_mode_word(s->lock), s->lock_note ? ", " : "",
                              s->lock_note ? s->lock_note : ""));
    if (s->rows >= 0 && strcmp(s->kind, task_kind_word(TASK_BACKFILL)) == 0)
        indented(c, "rows", arena_printf(a, "about %" PRId64, s->rows));
    if (s->note)
        indented(c, "note", s->note);
    indented(c, "undo",
             arena_printf(a, "%s%s%s%s", s->undo ? s->undo : "none", s->reversibility ? " (" : "",
                          s->reversibility ? s->reversibility : "", s->reversibility ? ")" : ""));
}

static const char *proof_sentence(struct context *c, const char *word)
{
    static const struct {
        const char *word, *sentence;
    } sentences[] = {
        {"proved", "made just now, on a shadow of the database"},
        {"would_prove", "it would be made once the way is free, before anything is changed"},
        {"none", "none, no release lists statements"},
        {"off", "off by policy"},
    };

    for (size_t i = 0; i < sizeof sentences / sizeof *sentences; i++)
        if (strcmp(word, sentences[i].word) == 0)
            return sentences[i].sentence;
    return arena_printf(&c->arena, "taken from %s", proof_shown(&c->arena, opt_text(c, OPT_PROOF)));
}

static const char *snapshot_sentence(const char *word)
{
    if (!word)
        return "nobody would save what is destroyed";
    if (strcmp(word, "off") == 0)
        return "none, off by policy: what is destroyed isn't saved";
    return strcmp(word, "nothing") == 0
               ? "none, there is nothing to save"
               : "it would be taken and verified before anything is destroyed";
}

static const char *point_sentence(const char *word)
{
    if (strcmp(word, "off") == 0)
        return "none, off by policy";
    if (strcmp(word, "cannot") == 0)
        return "none";
    return strcmp(word, "would_archive") == 0
               ? "it would be set first, and its WAL waited for in the archive"
               : "it would be set first, and not be archived";
}

void show_dry_run(struct context *c, const struct plan *p, enum phase_event ev,
                  const struct dry_run *d)
{
    struct out *o = &c->out;

    out_print(o, "%s: %s%s%s, dry run: nothing is written\n", p->id.s, phase_event_word(ev),
              d->phase ? " " : "", d->phase ? phase_word(d->phase) : "");
    for (int i = 0; i < d->n_steps; i++) {
        if (i == d->no_return)
            out_print(o, "  %s---- point of no return ----%s\n", out_style(o, STYLE_BAD),
                      out_style(o, STYLE_PLAIN));
        show_dry_step(c, &d->steps[i], i + 1, d->n_steps);
    }
    if (d->no_return < 0)
        out_print(o, "No point of no return in it.\n");
    if (ev == EVENT_PURGE)
        out_print(o, "Snapshot: %s.\n", snapshot_sentence(d->snapshot));
    if (d->restore_point)
        out_print(o, "Restore point: %s%s%s.\n", point_sentence(d->restore_point),
                  d->restore_point_why ? ": " : "",
                  d->restore_point_why ? d->restore_point_why : "");
    if (d->proof)
        out_print(o, "Compatibility proof: %s.\n", proof_sentence(c, d->proof));
    if (d->decision.go) {
        out_print(o, "%sWould go ahead%s%s%s.\n", out_style(o, STYLE_GOOD),
                  out_style(o, STYLE_PLAIN), d->decision.row ? ": " : "",
                  d->decision.row ? d->decision.row->comment : "");
        return;
    }
    out_print(o, "%sWould be refused%s:\n", out_style(o, STYLE_BAD), out_style(o, STYLE_PLAIN));
    show_refusals(c, &d->decision);
}

static void dry_step_json(struct json_out *j, const struct dry_step *s)
{
    json_object_begin(j, NULL);
    json_str(j, "id", s->id);
    json_str(j, "kind", s->kind);
    json_str(j, "title", s->title);
    json_str(j, "status", s->status);
    json_array_begin(j, "sql");
    for (int i = 0; i < s->n_sql; i++)
        json_str(j, NULL, s->sql[i]);
    json_array_end(j);
    json_str(j, "lock", s->lock == LOCK_NONE ? NULL : lock_mode_word(s->lock));
    json_str(j, "lock_note", s->lock_note);
    json_str(j, "request", s->request);
    json_str(j, "undo", s->undo);
    json_str(j, "reversibility", s->reversibility);
    json_str(j, "note", s->note);
    json_str(j, "file", s->at ? s->at->file : NULL);
    json_int(j, "line", s->at ? s->at->line : 0);
    if (s->rows >= 0)
        json_int(j, "rows", s->rows);
    else
        json_put_null(j, "rows");
    json_object_end(j);
}

void dry_run_json(struct json_out *j, const char *key, const struct plan *p, enum phase_event ev,
                  const struct dry_run *d)
{
    json_object_begin(j, key);
    json_str(j, "plan", p->id.s);
    json_bool(j, "dry_run", true);
    json_str(j, "event", phase_event_word(ev));
    json_str(j, "phase", d->phase ? phase_word(d->phase) : NULL);
    json_bool(j, "go", d->decision.go);
    json_int(j, "machine_row", d->decision.row ? d->decision.row->row : 0);
    json_str(j, "comment", d->decision.row ? d->decision.row->comment : NULL);
    refusals_json(j, "missing", &d->decision);
    json_array_begin(j, "steps");
    for (int i = 0; i < d->n_steps; i++)
        dry_step_json(j, &d->steps[i]);
    json_array_end(j);
    if (d->no_return >= 0)
        json_int(j, "no_return", d->no_return);
    else
        json_put_null(j, "no_return");
    json_str(j, "proof", d->proof);
    if (ev == EVENT_PURGE)
        json_str(j, "snapshot", d->snapshot);
    if (d->phase == PHASE_CONTRACT && (ev == EVENT_ADVANCE || ev == EVENT_PURGE)) {
        json_str(j, "restore_point", d->restore_point);
        json_str(j, "restore_point_why", d->restore_point_why);
    }
    json_object_end(j);
}

/* ---- going back -------------------------------------------------------------------------------------------- */

struct advance_options advance_options_of(struct context *c)
{
    return (struct advance_options) {.release = opt_text(c, OPT_RELEASE),
                                     .force = opt_has(c, OPT_FORCE),
                                     .no_wait = opt_has(c, OPT_NO_WAIT),
                                     .confirm = opt_text(c, OPT_CONFIRM),
                                     .lead = c->lead,
                                     .proof = NULL};
}

bool context_release_known(struct context *c, const char *release, struct err *err)
{
    const char *near = NULL;

    if (!release || release_is_known(&c->set, &c->arena, release, &near))
        return true;
    err_set(err, ERR_USAGE,
            "unknown release \"%s\": neither releases: of %s nor a plan names it%s%s%s", release,
            c->set.project.file, near ? "; did you mean \"" : "", near ? near : "",
            near ? "\"?" : "");
    return err_hint(err, "releases: in %s is their order: add it there", c->set.project.file);
}

struct backwards {
    struct context *c;
    struct proving *k;
    enum phase_event ev;
    bool (*fn)(struct engine *, struct plan *, const struct advance_options *, struct arena *,
               struct advance_result *, struct err *);
    struct advance_result r;
    struct made_proof made;
};

static bool backwards_dry(struct backwards *b, struct engine *e, struct plan *p,
                          const struct advance_options *o, struct err *err)
{
    struct context *c = b->c;
    struct dry_run d = {0};

    if (!engine_dry_run(e, p, b->ev, o, &c->arena, &d, err))
        return false;
    bool good = !b->k || proving_foresee(b->k, e, p, b->ev, o, &d, err);
    if (out_is_json(&c->out))
        dry_run_json(out_json(&c->out), "dry_run", p, b->ev, &d);
    show_dry_run(c, p, b->ev, &d);
    c->exit_code = d.decision.go ? 0 : 4;
    return good;
}

static bool backwards_once(struct backwards *b, struct engine *e, struct plan *p,
                           const struct advance_options *o, struct err *err)
{
    struct advance_options proved = *o;

    if (b->k && !prove_transition(b->k, e, p, b->ev, o, &b->made, err))
        return false;
    proved.proof = b->k ? &b->made.proof : NULL;
    return b->fn(e, p, &proved, &b->c->arena, &b->r, err);
}

bool run_backwards(struct context *c, struct proving *k, enum phase_event ev,
                   bool (*fn)(struct engine *, struct plan *, const struct advance_options *,
                              struct arena *, struct advance_result *, struct err *),
                   struct err *err)
{
    struct plan *p = c->plans[0];
    struct advance_options o = advance_options_of(c);
    struct backwards b = {.c = c, .k = k, .ev = ev, .fn = fn};
    struct engine *e;

    if (!context_engine(c, p, &e, err))
        return false;
    if (opt_has(c, OPT_DRY_RUN))
        return backwards_dry(&b, e, p, &o, err);
    if (!backwards_once(&b, e, p, &o, err)) {
        if (!err->reason || strcmp(err->reason, guard_word(GUARD_CONFIRMED)) != 0 || o.confirm)
            return false;
        o.confirm = ask_plan_name(c, p, str_text(&err->message));
        if (!o.confirm)
            return false;
        err_clear(err);
        if (!backwards_once(&b, e, p, &o, err))
            return false;
    }
    if (out_is_json(&c->out))
        advance_json(out_json(&c->out), "plan", p, &b.r, k ? &b.made : NULL);
    show_advance(c, p, &b.r);
    return true;
}

/* accept PLAN --because: an edited step is signed anew, after its difference was shown. */
#include "cli.h"

/* The lines of one side, each behind its sign. */
static void side(struct context *c, char sign, enum out_style style, const char *text)
{
    const char *s = text ? out_clean(&c->arena, text, true) : "(not recorded)";

    while (*s) {
        size_t n = strcspn(s, "\n");

        out_print(&c->out, "%s%c %.*s%s\n", out_style(&c->out, style), sign, (int) n, s,
                  out_style(&c->out, STYLE_PLAIN));
        s += n + (s[n] == '\n');
    }
}

static void show_edits(struct context *c, const struct edit *edits, int n)
{
    for (int i = 0; i < n; i++) {
        const struct edit *d = &edits[i];

        out_print(&c->out, "%s%s, step %s%s (%s:%d), applied by %s at %s\n",
                  out_style(&c->out, STYLE_BOLD), d->phase, d->step,
                  out_style(&c->out, STYLE_PLAIN), d->at.file ? d->at.file : "?", d->at.line,
                  d->applied_by ? out_clean(&c->arena, d->applied_by, false) : "?",
                  when_text(&c->arena, d->applied_at_ms));
        out_print(&c->out, "  recorded %s\n  now      %s\n",
                  d->recorded_checksum ? d->recorded_checksum : "?",
                  d->checksum ? d->checksum : "?");
        side(c, '-', STYLE_BAD, d->recorded_sql);
        side(c, '+', STYLE_GOOD, d->sql);
    }
}

static void edits_json(struct json_out *j, const struct edit *edits, int n)
{
    json_array_begin(j, "accepted");
    for (int i = 0; i < n; i++) {
        json_object_begin(j, NULL);
        json_str(j, "phase", edits[i].phase);
        json_str(j, "step", edits[i].step);
        json_str(j, "file", edits[i].at.file);
        json_int(j, "line", edits[i].at.line);
        json_str(j, "recorded_checksum", edits[i].recorded_checksum);
        json_str(j, "checksum", edits[i].checksum);
        json_str(j, "recorded_sql", edits[i].recorded_sql);
        json_str(j, "sql", edits[i].sql);
        json_str(j, "applied_by", edits[i].applied_by);
        when_json(j, "applied_at", edits[i].applied_at_ms);
        json_object_end(j);
    }
    json_array_end(j);
}

bool cmd_accept(struct context *c, struct err *err)
{
    struct plan *p = c->plans[0];
    const char *because = opt_text(c, OPT_BECAUSE);
    struct edit *edits = NULL;
    struct engine *e;
    int n = 0;

    if (!because) {
        err_set(err, ERR_USAGE, "accept: why? Give --because");
        return err_hint(err, "phasegate accept %s --because \"comment only\"", p->id.s);
    }
    if (!context_engine(c, p, &e, err) || !engine_edits(e, p, &c->arena, &edits, &n, err))
        return false;
    show_edits(c, edits, n);
    if (n && !engine_accept(e, p, because, &c->arena, &edits, &n, err))
        return false;
    out_print(&c->out,
              n ? "%s: %d %s accepted\n"
                : "%s: nothing to accept, what was applied is what the plan says\n",
              p->id.s, n, n == 1 ? "step" : "steps");
    if (out_is_json(&c->out)) {
        json_str(out_json(&c->out), "plan", p->id.s);
        edits_json(out_json(&c->out), edits, n);
    }
    return true;
}

/* The page of a runbook. What is to be typed is filled in with the real names, quoted for a shell. */
#include "runbook_page.h"

#include <stdarg.h>

/* "phasegate -e ENV ..." */
const char *page_say(struct page *g, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    const char *rest = arena_vprintf(g->a, fmt, ap);
    va_end(ap);
    return arena_printf(g->a, "%s %s", g->prefix, rest);
}

/* A command that says no environment, with this one. */
const char *page_here(struct page *g, const char *line)
{
    static const char program[] = "phasegate ";

    if (strncmp(line, program, sizeof program - 1) != 0)
        return line;
    return page_say(g, "%s", line + sizeof program - 1);
}

void page_command(struct page *g, const char *line) { document_block(&g->d, "sh", line); }

const char *page_code(struct page *g, const char *text) { return document_code_of(g->a, text); }

const char *page_when(struct page *g, int64_t ms)
{
    char at[25];

    if (ms <= 0)
        return "";
    time_to_rfc3339(ms, at);
    return arena_printf(g->a, "%.19sZ", at);
}

const char *page_took(struct page *g, int64_t ms)
{
    AUTO(str) t = {0};

    duration_to_text(&t, ms);
    return arena_strdup(g->a, str_text(&t));
}

bool page_has_flags(const struct plan *p)
{
    return p->flags[FLAG_READ].key.s || p->flags[FLAG_WRITE].key.s;
}

bool page_has_backfill(const struct plan *p)
{
    for (int i = PHASE_FIRST; i <= PHASE_LAST; i++)
        if (p->phases[i].backfill.n)
            return true;
    return false;
}

bool page_has_contract(const struct plan *p) { return p->phases[PHASE_CONTRACT].present; }

/* ---- now ------------------------------------------------------------------------------------- */

static const char *exposure(struct page *g, const struct flag_obs *o)
{
    if (o->state == FLAG_PERCENT)
        return arena_printf(g->a, "%d %%", o->percent);
    if (o->state == FLAG_UNKNOWN)
        return arena_printf(g->a, "not readable%s%s", o->why ? ": " : "", or_none(o->why, ""));
    return flag_state_word(o->state);
}

static void write_flags(struct page *g)
{
    if (!page_has_flags(g->p))
        return;
    document_heading(&g->d, 3, "Flags");
    document_row(&g->d, DOCUMENT_CELLS("flag", "role", "left at", "now"));
    for (int r = 0; r < FLAG_ROLES; r++)
        if (g->p->flags[r].key.s)
            document_row(&g->d,
                         DOCUMENT_CELLS(page_code(g, g->p->flags[r].key.s),
                                        flag_role_word((enum flag_role) r),
                                        g->f->readable ? arena_printf(g->a, "%d %%",
                                                                      g->f->status.state.percent[r])
                                                       : "not readable",
                                        exposure(g, &g->f->status.observed[r])));
}

static void write_state(struct page *g)
{
    const struct plan_status *s = &g->f->status;
    const struct plan_state *st = &s->state;

    document_row(&g->d, DOCUMENT_CELLS("what", "now"));
    document_row(&g->d, DOCUMENT_CELLS("stage", stage_word(st->stage)));
    if (st->stage_since_ms)
        document_row(&g->d, DOCUMENT_CELLS("since", page_when(g, st->stage_since_ms)));
    if (st->brake != BRAKE_NONE)
        document_row(&g->d,
                     DOCUMENT_CELLS(brake_word(st->brake),
                                    arena_printf(g->a, "%s, by %s, since %s",
                                                 or_none(st->brake_reason, "no reason given"),
                                                 or_none(st->brake_by, "somebody"),
                                                 page_when(g, st->brake_since_ms))));
    if (s->kill.what)
        document_row(&g->d, DOCUMENT_CELLS("killed", s->kill.what));
    if (st->waiting_for)
        document_row(&g->d,
                     DOCUMENT_CELLS("waits for",
                                    arena_printf(g->a, "%s, held by %s, since %s", st->waiting_for,
                                                 or_none(st->waiting_holder, "nobody known"),
                                                 page_when(g, st->waiting_since_ms))));
    if (st->hold_until_ms && g->f->n_hidden)
        document_row(&g->d, DOCUMENT_CELLS("hold until", page_when(g, st->hold_until_ms)));
    if (s->edited)
        document_row(&g->d,
                     DOCUMENT_CELLS(
                         "edited",
                         arena_printf(g->a, "step %s of %s reads differently from what was applied",
                                      s->edit.step, s->edit.phase)));
    if (s->sync_broken)
        document_row(&g->d, DOCUMENT_CELLS("sync", s->sync_broken));
    if (s->next_command)
        document_row(&g->d,
                     DOCUMENT_CELLS("next command", page_code(g, page_here(g, s->next_command))));
    document_row(
        &g->d,
        DOCUMENT_CELLS("way back", st->stage >= STAGE_PURGING
                                       ? "none but what a snapshot or a backup holds"
                                   : st->stage >= STAGE_CONTRACT_RUNNING
                                       ? "restore, until the purge: that is the point of no return"
                                       : "rollback, phase by phase"));
}

static void write_now(struct page *g)
{
    document_heading(&g->d, 2, "Now");
    document_paragraph(&g->d, "As of %s. Ask again with %s.", page_when(g, g->f->at_ms),
                       page_code(g, page_say(g, "runbook %s", g->id)));
    if (g->f->readable)
        write_state(g);
    else
        document_paragraph(
            &g->d,
            "The state of the plan is not readable: %s. Everything below that doesn't "
            "say otherwise is what the plan's file and the project's file say.",
            g->f->why);
    write_flags(g);
}

/* ---- order of actions ------------------------------------------------------------------------ */

static void write_phase(struct page *g, enum phase phase)
{
    const struct phase_plan *pp = &g->p->phases[phase];
    int64_t needed = g->f->approvals[phase].needed;

    if (!pp->present) {
        document_number(&g->d, "%s: none. %s", phase_word(phase), or_none(pp->none.s, ""));
        return;
    }
    document_number(
        &g->d, "%s, with release %s, %s it is deployed: %s%s", phase_word(phase),
        or_none(pp->release.s, "?"), phase == PHASE_EXPAND ? "before" : "once",
        page_code(g, page_say(g, "advance %s --release %s", g->id, or_none(pp->release.s, "V"))),
        needed > 0 ? arena_printf(g->a, ". Before that %lld approval%s", (long long) needed,
                                  needed == 1 ? "" : "s")
                   : "");
}

/* The one that an application goes back to from here. */
static const char *release_before(const struct page *g)
{
    const struct project *project = &g->e->set->project;
    enum phase at = g->f->readable ? newest_phase(g->p, g->f->status.state.stage) : PHASE_NONE;
    const char *now = at == PHASE_NONE                 ? NULL
                      : g->f->status.state.release[at] ? g->f->status.state.release[at]
                                                       : g->p->phases[at].release.s;
    int i = now ? project_release_index(project, now) : -1;

    return i > 0 ? project->releases[i - 1].version.s : NULL;
}

static void write_order(struct page *g)
{
    const struct decision *d = &g->f->status.decision;
    const char *before = release_before(g);

    document_heading(&g->d, 2, "Order of actions");
    document_heading(&g->d, 3, "Forward");
    for (int i = PHASE_FIRST; i <= PHASE_LAST; i++)
        write_phase(g, (enum phase) i);
    if (page_has_contract(g->p))
        document_number(&g->d, "purge, once the hold is over: %s. The point of no return.",
                        page_code(g, page_say(g, "purge %s --confirm %s", g->id, g->id)));
    document_heading(&g->d, 3, "Back");
    if (page_has_flags(g->p))
        document_number(&g->d, "Flags to safe: %s. Seconds; the reads first, then the writes.",
                        page_code(g, page_say(g, "kill %s", g->id)));
    if (page_has_contract(g->p))
        document_number(&g->d, "What contract has hidden: %s.",
                        page_code(g, page_say(g, "restore %s", g->id)));
    if (before)
        document_number(&g->d,
                        "May the release before run? %s. Then roll the application back to it.",
                        page_code(g, page_say(g, "guard --release %s", before)));
    document_number(&g->d, "Only if the change itself is at fault, phase by phase: %s.",
                    page_code(g, page_say(g, "rollback %s", g->id)));
    if (!g->f->readable || !d->n_refusals || d->go)
        return;
    document_heading(&g->d, 3, "What stands against the next step now");
    for (int i = 0; i < d->n_refusals; i++)
        document_bullet(&g->d, "%s: %s%s%s", d->refusals[i].reason,
                        or_none(d->refusals[i].fact.what, "not known"),
                        d->refusals[i].fact.release ? "; released by: " : "",
                        or_none(d->refusals[i].fact.release, ""));
}

/* ---- people and times ------------------------------------------------------------------------ */

static void write_approvals(struct page *g)
{
    for (int i = PHASE_FIRST; i <= PHASE_LAST; i++) {
        const struct approvals *ap = &g->f->approvals[i];
        if (ap->needed <= 0 && !ap->n)
            continue;
        document_bullet(
            &g->d, "%s: %s", phase_word((enum phase) i),
            g->f->readable
                ? arena_printf(g->a, "%d of %lld approvals", ap->given, (long long) ap->needed)
                : arena_printf(g->a, "%lld approvals needed; those given are not readable",
                               (long long) ap->needed));
        for (int k = 0; k < ap->n; k++)
            document_bullet(&g->d, "%s: %s by %s%s%s, %s", phase_word((enum phase) i),
                            ap->words[k].refused ? "refused" : "approved", ap->words[k].who,
                            ap->words[k].role ? " as " : "", or_none(ap->words[k].role, ""),
                            page_when(g, ap->words[k].at_ms));
    }
}

static void write_people(struct page *g)
{
    const struct runbook *rb = &g->p->runbook;
    const struct policy *pol = &g->e->policy;

    document_heading(&g->d, 2, "People");
    document_row(&g->d, DOCUMENT_CELLS("who", "is"));
    document_row(&g->d, DOCUMENT_CELLS(or_none(rb->owner.s, g->p->author.s), "owner of the plan"));
    document_row(&g->d, DOCUMENT_CELLS(g->p->author.s, "author of the plan"));
    for (int i = 0; i < rb->contacts.n; i++)
        document_row(&g->d,
                     DOCUMENT_CELLS(rb->contacts.items[i].value.s, rb->contacts.items[i].key.s));
    for (int i = 0; i < pol->approvers.n; i++)
        document_row(&g->d, DOCUMENT_CELLS(pol->approvers.items[i].value.s,
                                           arena_printf(g->a, "approver, as %s",
                                                        pol->approvers.items[i].key.s)));
    write_approvals(g);
}

/* The newest of those that the target is about: kill, rollback, expand. */
static const char *last_of(struct page *g, const char *target)
{
    const struct runbook_time *newest = NULL;
    size_t n = strlen(target);

    for (int i = 0; i < g->f->n_times; i++) {
        const struct runbook_time *t = &g->f->times[i];
        if (strncmp(t->what, target, n) == 0 && (t->what[n] == '\0' || t->what[n] == ' ') &&
            (!newest || t->at_ms > newest->at_ms))
            newest = t;
    }
    return newest ? arena_printf(g->a, "%s, at %s", page_took(g, newest->ms),
                                 page_when(g, newest->at_ms))
                  : "not measured";
}

static void write_targets(struct page *g)
{
    const struct runbook *rb = &g->p->runbook;

    if (!rb->targets.n) {
        document_paragraph(&g->d, "The plan sets no targets (runbook.targets).");
        return;
    }
    document_row(&g->d, DOCUMENT_CELLS("what", "target", "took last"));
    for (int i = 0; i < rb->targets.n; i++) {
        const struct pair *t = &rb->targets.items[i];
        document_row(&g->d, DOCUMENT_CELLS(t->key.s, t->value.s, last_of(g, t->key.s)));
    }
}

static void write_times(struct page *g)
{
    document_heading(&g->d, 2, "Times");
    write_targets(g);
    document_heading(&g->d, 3, "Measured");
    if (!g->f->n_times) {
        document_paragraph(
            &g->d, "%s%s",
            g->f->readable ? "Nothing was measured yet." : "What was measured is not readable.",
            page_has_flags(g->p) ? " A drill measures the kill, and puts the flags back." : "");
        return;
    }
    document_row(&g->d, DOCUMENT_CELLS("what", "took", "when"));
    for (int i = 0; i < g->f->n_times; i++)
        document_row(&g->d, DOCUMENT_CELLS(g->f->times[i].what, page_took(g, g->f->times[i].ms),
                                           page_when(g, g->f->times[i].at_ms)));
    if (!g->f->readable)
        document_paragraph(&g->d,
                           "That is what this host knows; the ledger's times are not readable.");
}

/* ---- go and no-go ---------------------------------------------------------------------------- */

static const char *verdict_word(const struct runbook_reading *r)
{
    switch (r->verdict) {
    case RUNBOOK_SPEAKS_FOR: return r->side == RUNBOOK_ROLLBACK ? "quiet" : "GO";
    case RUNBOOK_SPEAKS_AGAINST: return r->side == RUNBOOK_ROLLBACK ? "GO BACK" : "NO-GO";
    case RUNBOOK_UNREADABLE: return "not readable";
    case RUNBOOK_BY_HAND: return "to be said by a person";
    }
    return "";
}

static void write_go(struct page *g)
{
    static const char *const sides[RUNBOOK_SIDES] = {"go", "no-go", "gate",
                                                     "go back when it fails"};

    document_heading(&g->d, 2, "Go or no-go");
    if (!g->f->n_readings) {
        document_paragraph(
            &g->d,
            "The plan has no criteria and no gates ahead (runbook.go, runbook.no_go, gates).");
        return;
    }
    document_row(&g->d, DOCUMENT_CELLS("", "criterion", "now", "verdict"));
    for (int i = 0; i < g->f->n_readings; i++) {
        const struct runbook_reading *r = &g->f->readings[i];
        document_row(
            &g->d, DOCUMENT_CELLS(sides[r->side], r->what, or_none(r->value, ""), verdict_word(r)));
    }
}

/* ---- all of it ---------------------------------------------------------------------------------- */

static void write_messages(struct page *g)
{
    const struct runbook *rb = &g->p->runbook;

    document_heading(&g->d, 2, "What to tell whom");
    if (!rb->n_communication)
        document_paragraph(&g->d, "The plan has no texts (runbook.communication).");
    for (int i = 0; i < rb->n_communication; i++) {
        const struct message *m = &rb->communication[i];
        document_heading(&g->d, 3, arena_printf(g->a, "%s, to %s", m->when.s, m->to.s));
        document_block(&g->d, "text", m->text.s);
    }
}

void runbook_write(const struct engine *e, const struct plan *p, const struct runbook_facts *f,
                   enum document_format format, struct arena *a, struct str *to)
{
    struct page g = {.e = e, .p = p, .f = f, .a = a, .id = p->id.s};
    AUTO(str) env = {0};

    shell_word(&env, e->env->name.s);
    g.prefix = arena_printf(a, "phasegate -e %s", str_text(&env));
    document_begin(&g.d, to, format,
                   arena_printf(a, "Runbook of %s in %s", p->id.s, e->env->name.s));
    document_paragraph(&g.d, "%s (%s)", p->title.s, p->file);
    write_now(&g);
    page_write_symptoms(&g);
    write_order(&g);
    write_people(&g);
    write_times(&g);
    write_go(&g);
    page_write_commands(&g);
    page_write_way_back(&g);
    write_messages(&g);
    document_end(&g.d);
}

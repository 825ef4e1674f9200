/* What the outcomes mean: which statement of which release breaks in which world, by which step. */
#include "check/verdict.h"
#include "check/rights.h"
#include "check/types.h"
#include "check/words.h"

#include <strings.h>

/* ---- outcomes by world --------------------------------------------------------------------------------- */

struct trouble {
    enum level level;
    const struct outcome *outcome; /* STATEMENT, SESSION */
};

const struct outcome *failure_at(const struct query *q, int state)
{
    const struct outcome *plan = q->plan[state], *run = q->run[state];

    if (plan && !plan->ok)
        return plan;
    return q->runs && run && !run->ok ? run : NULL;
}

/* What fails where it was prepared, and doesn't by itself, fails for what other statements left in its session: a setting of
 * one's own that was set once is there for good, if only as an empty text. */
static const struct outcome *held_at(const struct query *q, const struct hold *h, int state)
{
    const struct outcome *first = h ? h->at[h->state] : NULL, *held = h ? h->at[state] : NULL;
    bool is_spoilt = first && !first->ok && first->probe != 'H' && !failure_at(q, h->state);

    return held && !held->ok && !is_spoilt ? held : NULL;
}

/* Does a client that writes its values into the statement put them between quotes, and names no type? */
static bool is_bare_text(const struct proof *p, unsigned type)
{
    static const unsigned texts[] = {T_TEXT, T_VARCHAR, T_BPCHAR, T_NAME, T_JSON, T_JSONB, T_XML};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (type == texts[i])
            return true;
    return cat_enum_of(&p->baseline, type) || cat_enum_of(&p->now, type);
}

/* The client holds nothing, and its values take whatever type the server wants this time: that the statement fails with
 * the types it was prepared with is no concern of it. */
static bool is_sent_anew(const struct proof *p, const struct app_statement *a, const struct hold *h,
                         int state)
{
    const struct description *first = h->shape, *now = a->q->shape[state];
    enum values_sent values = p->strict[a->release].values;

    if (values != VALUES_LITERAL || !now)
        return values != VALUES_TYPED;
    for (int i = 0; i < first->n_params && i < now->n_params; i++)
        if (first->params[i] != now->params[i] && !is_bare_text(p, first->params[i]))
            return false;
    return true;
}

/* "character varying(40)": the length is the column's, and of which column isn't known. */
static const char *without_length(const struct proof *p, const char *type)
{
    const char *open = strchr(type, '('), *close = open ? strchr(open, ')') : NULL;

    return close ? arena_printf(p->a, "%.*s%s", (int) (open - type), type, close + 1) : type;
}

static const char *type_name(const struct proof *p, unsigned type)
{
    for (int i = 0; i < p->now.n_relations; i++)
        for (int k = 0; k < p->now.relations[i].n_columns; k++)
            if (p->now.relations[i].columns[k].type == type)
                return without_length(p, p->now.relations[i].columns[k].type_text);
    for (int i = 0; i < p->baseline.n_relations; i++)
        for (int k = 0; k < p->baseline.relations[i].n_columns; k++)
            if (p->baseline.relations[i].columns[k].type == type)
                return without_length(p, p->baseline.relations[i].columns[k].type_text);
    return NULL;
}

/* The same types by name: one was dropped, and another has its place. */
static bool is_called_alike(const struct proof *p, const struct description *first,
                            const struct description *now)
{
    struct description with = *now;

    if (first->n_params != now->n_params)
        return false;
    for (int i = 0; i < first->n_params; i++) {
        const char *x = type_name(p, first->params[i]), *y = type_name(p, now->params[i]);

        if (first->params[i] != now->params[i] && (!x || !y || strcmp(x, y) != 0))
            return false;
    }
    with.params = first->params;
    return description_same(first, &with);
}

static bool is_text(unsigned type)
{
    return type == T_TEXT || type == T_VARCHAR || type == T_BPCHAR || type == T_NAME;
}

static bool same_bytes(unsigned a, unsigned b) { return a == b || (is_text(a) && is_text(b)); }

/* COPY whose data is bytes that mean something only together with the types that they were written for. */
static bool copies_other_bytes(const struct query *q, const struct description *first,
                               const struct description *now)
{
    /* Behind the columns, one of which may be called that. */
    const char *format =
        q->is_stand_in && q->facts.copy ? strcasestr(q->s->dollar_sql, "format") : NULL;
    bool other = false;

    if (!format || !has_word(format, "binary"))
        return false;
    for (int i = 0; i < first->n_params && i < now->n_params; i++)
        other |= !same_bytes(first->params[i], now->params[i]);
    for (int i = 0; i < first->n_columns && i < now->n_columns; i++)
        other |= !same_bytes(first->columns[i].type, now->columns[i].type);
    return other;
}

/* NULL outcome at LEVEL_WIRE; .level LEVEL_FINE: no trouble of that level there. */
static struct trouble trouble_at(const struct proof *p, const struct app_statement *a, int state,
                                 enum level level)
{
    const struct query *q = a->q;
    const struct hold *h = a->hold >= 0 ? &q->holds[a->hold] : NULL;
    const struct outcome *o = failure_at(q, state), *held = held_at(q, h, state);
    struct trouble fine = {LEVEL_FINE, NULL};

    switch (level) {
    case LEVEL_STATEMENT:
        if (!o && held && held->probe != 'H' && !is_sent_anew(p, a, h, state))
            o = held;
        return o ? (struct trouble) {level, o} : fine;
    /* What fails by itself says nothing about shapes. */
    case LEVEL_SESSION:
        return !o && held && held->probe == 'H' && !q->is_stand_in &&
                       !(q->stars_stay && q->shape[state] &&
                         sqlc_only_adds(h->shape, q->shape[state]))
                   ? (struct trouble) {level, held}
                   : fine;
    case LEVEL_WIRE:
        /* What COPY takes is text else, whatever the column's type. */
        return !o && h && q->shape[state] && !description_same(h->shape, q->shape[state]) &&
                       !(is_sent_anew(p, a, h, state) &&
                         is_called_alike(p, h->shape, q->shape[state])) &&
                       !(q->is_stand_in && q->facts.copy && q->facts.copy->is_from &&
                         !copies_other_bytes(q, h->shape, q->shape[state])) &&
                       !(q->stars_stay && sqlc_only_adds(h->shape, q->shape[state]))
                   ? (struct trouble) {level, NULL}
                   : fine;
    case LEVEL_FINE: return fine;
    }
    return fine;
}

bool is_unplanned(const struct query *q, int state)
{
    return q->plan[state] && !q->plan[state]->ok;
}

/* The state that broke it: the first on the way from the newest fine one to this. -1: it never was fine. What can't be
 * planned any more isn't the fault of what only failed to run before. */
static int culprit_of(const struct proof *p, const struct app_statement *a, int state,
                      enum level level)
{
    bool is_planning = level == LEVEL_STATEMENT && is_unplanned(a->q, state);
    int last = state;

    for (int s = p->t.states[state].from; s >= 0; s = p->t.states[s].from) {
        if (a->q->plan[s] && (trouble_at(p, a, s, level).level == LEVEL_FINE ||
                              (is_planning && !is_unplanned(a->q, s)) ||
                              (level == LEVEL_STATEMENT && safe_is_other_refusal(a->q, s, state))))
            return last;
        last = s;
    }
    return -1;
}

static const struct task *task_of(const struct proof *p, int state)
{
    return state > 0 ? p->t.states[state].task : NULL;
}

const struct sql_stmt *state_stmt(const struct proof *p, int state)
{
    const struct task *t = task_of(p, state);

    return t && t->step && t->step->n_stmts > 0 ? &t->step->stmts[0] : NULL;
}

struct pos state_place(const struct proof *p, int state)
{
    const struct sql_stmt *s = state_stmt(p, state);
    const struct task *t = task_of(p, state);
    const struct plan *plan = p->t.plans[p->t.states[state].plan];

    if (s)
        return s->at;
    if (t && t->step)
        return t->step->at;
    if (t && t->backfill)
        return t->backfill->at;
    return plan->sync.by != SYNC_NONE ? plan->sync.at : plan->phases[p->t.states[state].phase].at;
}

/* ---- the way out ----------------------------------------------------------------------------------------- */

/* A release that isn't written yet is taken to run what the newest one does. */
static const char *planned_word(const struct proof *p, const char *version)
{
    int r = timeline_release_index(&p->t, version);

    return r >= 0 && p->t.releases[r].is_projected ? " (planned)" : "";
}

/* ---- findings -------------------------------------------------------------------------------------------------- */

static const char *kind_of(const struct timeline_world *w, int release)
{
    if (w->kind == WORLD_CONTRACT || w->kind == WORLD_RESTORED || w->kind == WORLD_PURGED)
        return "contract";
    return w->kind == WORLD_FLAGS && release < w->newest ? "rollback" : "rolling";
}

static void flags_of(struct proof *p, const struct statement *s, struct finding *f)
{
    f->flags.items = arena_array(p->a, struct pair, s->n_when + 1);
    for (int i = 0; i < s->n_when; i++)
        f->flags.items[f->flags.n++] =
            (struct pair) {{.s = s->when[i].flag}, {.s = s->when[i].on ? "on" : "off"}};
}

static void name_step(struct proof *p, struct finding *f, int state)
{
    const struct timeline_state *s = &p->t.states[state];

    f->plan = p->t.plans[s->plan]->id.s;
    f->phase = phase_word(s->phase);
    f->step = !s->task ? NULL : s->task->step ? s->task->step->id.s : s->task->id;
}

static const char *type_words(struct proof *p, const char *what, unsigned from, unsigned to)
{
    const char *x = type_name(p, from), *y = type_name(p, to);

    if (x && y && strcmp(x, y) == 0)
        return arena_printf(p->a, "%s is another type called %s than before", what, x);
    return arena_printf(p->a, "%s is %s instead of %s", what, y ? y : "another type",
                        x ? x : "what it was");
}

static const char *shape_words(struct proof *p, const struct description *a,
                               const struct description *b, bool *params_only)
{
    *params_only = false;
    if (a->n_columns != b->n_columns)
        return arena_printf(p->a, "the result has %d columns instead of %d", b->n_columns,
                            a->n_columns);
    for (int i = 0; i < a->n_columns; i++) {
        if (strcmp(a->columns[i].name, b->columns[i].name) != 0)
            return arena_printf(p->a, "column %d of the result is called \"%s\" instead of \"%s\"",
                                i + 1, b->columns[i].name, a->columns[i].name);
        if (a->columns[i].type != b->columns[i].type)
            return type_words(p,
                              arena_printf(p->a, "column \"%s\" of the result", a->columns[i].name),
                              a->columns[i].type, b->columns[i].type);
        if (a->columns[i].typmod != b->columns[i].typmod)
            return arena_printf(p->a, "column \"%s\" of the result has another length or precision",
                                a->columns[i].name);
    }
    *params_only = true;
    for (int i = 0; i < a->n_params; i++)
        if (i < b->n_params && a->params[i] != b->params[i])
            return type_words(p, arena_printf(p->a, "parameter $%d", i + 1), a->params[i],
                              b->params[i]);
    return "the number of parameters changed";
}

/* No release that is known will do: what has to be listed first? */
static const char *way_by_releases(struct proof *p, int culprit, enum level level)
{
    int window = (int) p->o->window, last = safe_last_hurt(p, culprit, level);
    int free = 0, more;

    for (int r = last + 1; last >= 0 && r < p->t.n_releases; r++)
        free += !p->t.releases[r].is_consumer;
    more = window + 1 - free;
    if (free == 0 || more <= 0)
        return arena_printf(
            p->a, "list the next release without that statement, and bind this to %s after it",
            window == 1 ? "the one" : arena_printf(p->a, "one that comes %d", window));
    return more == 1 ? arena_printf(p->a,
                                    "%s is the last one that does; list one more release after "
                                    "those that are listed, and bind this to it",
                                    p->t.releases[last].version)
                     : arena_printf(p->a,
                                    "%s is the last one that does; list %d more releases after "
                                    "those that are listed, and bind this to the last of them",
                                    p->t.releases[last].version, more);
}

static const char *way_out(struct proof *p, const struct app_statement *a, const struct finding *f,
                           const struct timeline_world *w, int culprit, struct trouble t)
{
    enum level level = t.level;
    const struct app_statement *consumer = safe_never_for(p, culprit, level);
    const char *version = p->t.releases[a->release].version;
    const char *flags = f->flags.n ? arena_printf(p->a, " when %s is %s", f->flags.items[0].key.s,
                                                  f->flags.items[0].value.s)
                                   : "";
    const char *who = p->t.releases[a->release].is_consumer ? "consumer" : "release";
    bool or_later = true;
    const char *way = rights_way(p, a, f, culprit, &or_later);

    if (!way)
        way = way_of_rule(p, a, f, t.outcome, culprit);
    if (way)
        return f->safe_from && or_later
                   ? arena_printf(p->a, "%s; or bind this to %s%s or later", way, f->safe_from,
                                  planned_word(p, f->safe_from))
                   : way;
    if (f->safe_from)
        return arena_printf(p->a, "%s %s still runs %s%s; bind this to %s%s or later", who, version,
                            a->s->name, flags, f->safe_from, planned_word(p, f->safe_from));
    if (strcmp(f->level, "statement") != 0)
        return arena_printf(
            p->a, "name the columns, and cast what changes its type, in a release before this one");
    if (consumer)
        return arena_printf(p->a,
                            "%s runs %s at all times: change its statement first, then bind this "
                            "later",
                            release_words(p, consumer->release), consumer->s->name);
    const char *newest = w->newest >= 0 ? p->t.releases[w->newest].version : NULL;
    const char *beside = !newest || w->newest == a->release
                             ? ""
                             : arena_printf(p->a, " while %s is live beside it", newest);
    return arena_printf(p->a, "%s %s runs %s%s%s: %s", who, version, a->s->name, flags, beside,
                        way_by_releases(p, culprit, level));
}

struct finding *finding_of_statement(struct proof *p, const struct app_statement *a,
                                     const struct timeline_world *w, const char *rule,
                                     struct pos at, const struct outcome *o, const char *message)
{
    struct finding *f = report_add(p->report, rule, at, "%s", message);

    f->release = p->t.releases[a->release].version;
    f->statement = a->s->name;
    f->kind = kind_of(w, a->release);
    if (o) {
        f->sqlstate = o->sqlstate;
        f->probe = arena_printf(p->a, "%c", o->probe);
    }
    flags_of(p, a->s, f);
    place_add(p, f, a);
    return f;
}

struct finding *finding_of_state(struct proof *p, const struct app_statement *a,
                                 const struct timeline_world *w, int state, const char *rule,
                                 const char *message, const char *help)
{
    struct finding *f = finding_of_statement(p, a, w, rule, state_place(p, state), NULL, message);

    name_step(p, f, state);
    f->level = "statement";
    f->probe = "S";
    f->help = help;
    safe_note(p, a, state, f);
    return f;
}

/* What nobody has written yet can't be proved: it is said, and held against the release once it is there. */
static bool is_unwritten(const struct proof *p, const struct app_statement *a)
{
    return p->t.releases[a->release].is_projected;
}

static void report_trouble(struct proof *p, const struct app_statement *a,
                           const struct timeline_world *w, int culprit, struct trouble t)
{
    const struct query *q = a->q;
    const char *rule, *message;
    bool params_only = false;

    if (t.level == LEVEL_WIRE) {
        message = shape_words(p, q->holds[a->hold].shape, q->shape[w->state], &params_only);
        rule = params_only ? "parameter-type-changed" : "result-shape-changed";
    } else {
        message = t.outcome->message;
        /* The client's own type, by its number. */
        if (strcmp(t.outcome->sqlstate, "XX000") == 0 &&
            strncmp(message, "cache lookup failed for type", 28) == 0)
            message = "it was prepared with a type that is gone";
        rule = rule_of_failure(p, t.outcome, q, culprit);
    }
    struct finding *f =
        finding_of_statement(p, a, w, is_unwritten(p, a) ? "not-yet-provable" : rule,
                             state_place(p, culprit), t.outcome, message);
    name_step(p, f, culprit);
    f->level = t.level == LEVEL_WIRE ? "wire" : t.level == LEVEL_SESSION ? "session" : "statement";
    if (t.level == LEVEL_WIRE)
        f->probe = "D";
    if (!is_unwritten(p, a) && t.level == LEVEL_WIRE)
        f->severity = copies_other_bytes(q, q->holds[a->hold].shape, q->shape[w->state])
                          ? SEVERITY_ERROR
                      : description_reads_alike(q->holds[a->hold].shape, q->shape[w->state])
                          ? SEVERITY_WARNING
                          : p->strict[a->release].wire;
    if (!is_unwritten(p, a) && t.level == LEVEL_SESSION)
        f->severity = p->strict[a->release].session;
    if (is_unwritten(p, a)) {
        f->help = arena_printf(
            p->a,
            "list the statements of %s once it is written: this is an error then, unless "
            "they are others",
            f->release);
        return;
    }
    /* Whatever the rule says of its kind in general: this one was seen to fail. */
    if (t.level == LEVEL_STATEMENT)
        f->severity = SEVERITY_ERROR;
    f->safe_from = safe_from(p, culprit, t.level, t.outcome);
    f->help = way_out(p, a, f, w, culprit, t);
}

/* Can the phase be bound to a release before this one, after the phases before it? */
static bool can_come_before(const struct proof *p, const struct timeline_state *s, int release)
{
    const struct plan *plan = p->t.plans[s->plan];
    int earliest = 0;

    for (enum phase ph = PHASE_FIRST; ph < s->phase; ph++)
        if (plan->phases[ph].present) {
            int r = timeline_release_index(&p->t, plan->phases[ph].release.s);
            earliest = r > earliest ? r : earliest;
        }
    if (s->phase == PHASE_CONTRACT)
        earliest += (int) p->o->window;
    return earliest < release;
}

/* A statement comes too early for the step from which on it works. */
static const char *way_of_early(struct proof *p, const struct app_statement *a,
                                const struct timeline_world *w, const struct outcome *o, int works)
{
    const struct timeline_state *s = &p->t.states[works];
    const struct plan *plan = p->t.plans[s->plan];
    const char *version = p->t.releases[a->release].version, *phase = phase_word(s->phase);
    bool has_flag = plan->flags[FLAG_READ].key.s || plan->flags[FLAG_WRITE].key.s;
    AUTO(str) ways = {0};

    if (p->t.releases[a->release].is_consumer)
        return arena_printf(p->a,
                            "consumer %s runs %s at all times, and it works only from this step "
                            "on: change its statement once %s of %s is done",
                            version, a->s->name, phase, plan->id.s);
    if (way_of_sync(p, a, w->state, plan, o))
        return arena_printf(p->a, "%s runs in release %s, and works only from this step on: %s",
                            a->s->name, version, way_of_sync(p, a, w->state, plan, o));
    if (s->phase == PHASE_EXPAND)
        str_addf(&ways, "bind %s of %s to %s or earlier", phase, plan->id.s, version);
    else
        str_add(&ways, "make what it needs in expand");
    if (s->phase != PHASE_EXPAND && can_come_before(p, s, a->release))
        str_addf(&ways, ", bind %s of %s to a release before %s", phase, plan->id.s, version);
    if (has_flag && s->phase != PHASE_CONTRACT)
        str_add(&ways, ", or put the statement behind the plan's flag");
    else
        str_addf(&ways, ", or run the statement only from a release after %s on",
                 plan->phases[s->phase].release.s);
    return arena_printf(
        p->a, "%s runs in release %s, and works only from this step on%s: %s", a->s->name, version,
        s->phase == PHASE_EXPAND ? "" : ", which comes after that is deployed", str_text(&ways));
}

/* It never worked so far: is it the baseline's fault, or does it come too early? */
static void report_never(struct proof *p, const struct app_statement *a,
                         const struct timeline_world *w, const struct outcome *o)
{
    int works = -1;

    for (int s = 0; s < p->t.n_states && works < 0; s++)
        if (a->q->plan[s] && !failure_at(a->q, s))
            works = s;
    /* No step made the first state. */
    if (works < 1) {
        missing_report(p, a, w, o);
        return;
    }
    bool by_expand = p->t.states[works].phase == PHASE_EXPAND;
    struct finding *f = finding_of_statement(p, a, w,
                                             is_unwritten(p, a) ? "not-yet-provable"
                                             : by_expand        ? "expand-after-code"
                                                                : "new-query-needs-later-state",
                                             state_place(p, works), o, o->message);
    name_step(p, f, works);
    f->level = "statement";
    f->help = way_of_early(p, a, w, o, works);
}

/* One finding for each statement, step and level: the first world that shows it. */
#define TOLD_MAX 64

struct told {
    int culprit;
    enum level level;
};

static void judge_world(struct proof *p, const struct app_statement *a,
                        const struct timeline_world *w, enum level level, struct told *told, int *n)
{
    struct trouble t = trouble_at(p, a, w->state, level);
    int culprit = t.level == LEVEL_FINE ? -1 : culprit_of(p, a, w->state, level);

    if (t.level == LEVEL_FINE || *n == TOLD_MAX)
        return;
    for (int k = 0; k < *n; k++)
        if (told[k].culprit == culprit && told[k].level == level)
            return;
    told[(*n)++] = (struct told) {culprit, level};
    if (culprit >= 0)
        report_trouble(p, a, w, culprit, t);
    else if (level == LEVEL_STATEMENT)
        report_never(p, a, w, t.outcome);
}

static void judge(struct proof *p, const struct app_statement *a)
{
    struct told told[TOLD_MAX];
    int n = 0;

    for (int i = 0; i < p->t.n_worlds; i++) {
        const struct timeline_world *w = &p->t.worlds[i];

        if (!world_has_release(&p->t, w, a->release) || !app_is_possible(p, w, a->s))
            continue;
        judge_world(p, a, w, LEVEL_STATEMENT, told, &n);
        judge_world(p, a, w, LEVEL_SESSION, told, &n);
        judge_world(p, a, w, LEVEL_WIRE, told, &n);
    }
}

/* ---- the end ---------------------------------------------------------------------------------------------- */

/* Only now is it known what the later releases make of the step. */
static void cure_limits(struct proof *p)
{
    for (int i = 0; i < p->n_limited; i++) {
        struct finding *f = &p->report->findings[p->limited[i].finding];

        f->safe_from = safe_from(p, p->limited[i].state, LEVEL_STATEMENT, NULL);
        if (f->safe_from)
            f->help = arena_printf(p->a, "%s; or bind this to %s%s or later", f->help, f->safe_from,
                                   planned_word(p, f->safe_from));
    }
}

void verdict_all(struct proof *p)
{
    cure_limits(p);
    safe_cure_silenced(p);
    account_unparsed(p);
    account_in_place(p);
    for (int i = 0; i < p->n_app; i++)
        if (p->app[i].first_world >= 0)
            judge(p, &p->app[i]);
    account_unrun(p);
    account_late(p);
    account_outside(p);
    execute_report(p);
    empty_report(p);
    empty_report_misses(p);
    account_count(p);
    account_failing(p);
}

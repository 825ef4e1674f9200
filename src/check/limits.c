/* Restrictions against what live writers may hand in: NULL and the limits of each parameter that a restricted table
 * takes, and of each column of the rows that it's computed from. What worked before the step and fails after it isn't
 * proved to be safe.
 */
#include "check/limits.h"
#include "check/changed.h"
#include "check/unique.h"

/* ---- whom a step may restrict ---------------------------------------------------------------------------- */

/* A partition has the trigger of the whole. By its columns: what is tried shows whether it is one. */
static bool may_be_part(const struct proof *p, const struct plan *sync,
                        const struct cat_relation *r)
{
    bool has_all = true, is_split = false;

    for (int i = 0; i < p->now.n_relations && !is_split; i++)
        is_split = p->now.relations[i].kind == 'p' && sync_is_of(sync, &p->now.relations[i]);
    for (int i = 0; is_split && i < sync->sync.forward.n; i++)
        has_all = has_all && cat_column(r, sync->sync.forward.items[i].key.s);
    return is_split && has_all;
}

/* A trigger restricts whoever writes what it reads, to what the other side takes. */
bool limits_hold(const struct proof *p, int state, const struct cat_relation *written,
                 const char *column)
{
    const struct plan *sync = sync_begins(p, state);
    const struct cat_relation *r = written_table(p, written);

    if (r && r == trial_detached_from(p, state))
        return true;
    if (!r || !sync)
        return r && (limits_restricts(p, p->t.states[state].task, r) ||
                     (r != written && limits_restricts(p, p->t.states[state].task, written)));
    return (sync_is_of(sync, r) || may_be_part(p, sync, r)) &&
           (!column || sync_reads(sync, column) || sync_target(sync, column));
}

/* ---- running ------------------------------------------------------------------------------------------------------- */

/* Alone in its transaction: what comes before it in the application's is run as well. */
static bool run_try(struct proof *p, const struct limits *l, const struct limit_try *t,
                    struct wire_result *out, uint64_t *answer, struct err *err)
{
    *answer = 0;
    if (t->from || t->prelude || t->n_beside > 0)
        return limits_run_rows(p, t, out, err);
    struct query copy = *t->a->q;
    struct arg_set set = {t->args, copy.sets[0].n, false};
    bool reached = false;

    limits_share(p, &copy, t->args);
    copy.sets = &set;
    if (!probe_run(p, &copy, out, &reached, l->acts ? answer : NULL, err))
        return false;
    out->ok = out->ok && reached;
    out->skipped = !reached;
    return true;
}

/* One finding a statement, or one that is worse: the first value tells enough. */
static bool was_told(const struct limits *l, int upto, enum severity at_least)
{
    for (int i = upto - 1; i >= 0 && l->tries[i].a == l->tries[upto].a; i--)
        if (l->tries[i].is_told && l->tries[i].told >= at_least)
            return true;
    return false;
}

void limited_add(struct proof *p, const struct app_statement *a, int state, const struct finding *f)
{
    p->limited = arena_grow(p->a, p->limited, sizeof *p->limited * (size_t) p->n_limited,
                            sizeof *p->limited * (size_t) (p->n_limited + 1));
    p->limited[p->n_limited++] = (struct limited) {a, state, (int) (f - p->report->findings)};
}

bool limited_has(const struct proof *p, const struct app_statement *a, int state,
                 enum severity at_least)
{
    for (int i = 0; i < p->n_limited; i++)
        if (p->limited[i].a == a && p->limited[i].state == state &&
            p->report->findings[p->limited[i].finding].severity >= at_least)
            return true;
    return false;
}

static const char *value_words(struct proof *p, const struct limit_try *t)
{
    return !t->value               ? "NULL"
           : strlen(t->value) > 40 ? "a text of full length"
                                   : arena_printf(p->a, "'%s'", t->value);
}

/* What was done to the row before. */
static const char *beside_words(struct proof *p, const struct limit_try *t)
{
    return t->prelude && !t->from ? arena_printf(p->a, " after %s", t->prelude) : "";
}

static const char *what_words(struct proof *p, const struct limit_try *t)
{
    return t->is_reached ? arena_printf(p->a, "$%d", t->param)
           : t->from ? arena_printf(p->a, "\"%s\" of the rows of \"%s\"", t->column, t->from->name)
                     : arena_printf(p->a, "$%d (\"%s\")", t->param, t->column);
}

/* "with $2 ("a") = 'x'": with what it is run. */
static const char *with_words(struct proof *p, const struct limit_try *t)
{
    return t->words ? arena_printf(p->a, "with %s", t->words)
           : t->column
               ? arena_printf(p->a, "with %s = %s%s", what_words(p, t), value_words(p, t),
                              beside_words(p, t))
               : arena_printf(p->a, "with the values that it has by itself%s", beside_words(p, t));
}

/* The step that restricts what the trigger writes. */
static int culprit_of(struct proof *p, int state, const struct plan *sync,
                      const struct wire_result *r)
{
    const char *thing = quoted_name(p->scratch, r->message, "constraint");

    if (!thing && strcmp(r->sqlstate, "23502") == 0)
        thing = quoted_name(p->scratch, r->message, "column");
    for (int i = 0; i < p->now.n_relations; i++)
        if (sync_is_of(sync, &p->now.relations[i]))
            return sync_culprit(p, state, &p->now.relations[i], sync, thing);
    return state;
}

/* Does it write what no release before the plan knows? */
static bool is_of_new_side(const struct limit_try *t, const struct plan *sync)
{
    return sync_target(sync, t->column) && !sync_reads(sync, t->column);
}

static const char *way_of_sync(const struct limit_try *t, const struct plan *sync)
{
    return is_of_new_side(t, sync)
               ? "the old side goes on restricting as long as the trigger is there: let the "
                 "expression in reverse make something of such values that the old side takes, or "
                 "write them from contract on only"
               : "let the expression in forward make something of such values that the new side "
                 "takes, restrict the old side in the same way before, or restrict the new one "
                 "when no live release writes the old one any more";
}

static bool has_delete(const struct query *q)
{
    for (int i = 0; i < q->facts.n_writes; i++)
        if (q->facts.writes[i].verb == VERB_DELETE)
            return true;
    return false;
}

static const char *way_of_try(const struct limit_try *t, const struct plan *sync, bool deletes,
                              const struct wire_result *r)
{
    return sync      ? way_of_sync(t, sync)
           : deletes ? "delete what points at them first, in a release before this one, or let the "
                       "foreign key do so (ON DELETE)"
           : strcmp(r->sqlstate, "23505") == 0 ? UNIQUE_WAY
               "; or give -- args: rows that differ in the column"
           : t->n_beside > 0
               ? "let the limit come when no live release writes without knowing it, or count only "
                 "what later releases write"
           : t->words ? "let what the step makes take such rows (COALESCE, NULLIF, left(), a "
                        "condition), or "
                        "let the statement keep clear of them in a release before this one"
                      : "keep such values out in the statement (COALESCE, a cast) in a release "
                        "before this "
                        "one; a check in the application can't be seen from here";
}

static struct finding *report_try(struct proof *p, const struct limit_try *t, int state,
                                  const struct wire_result *r)
{
    const struct timeline_world *w = NULL;

    for (int i = 0; i < p->t.n_worlds && !w; i++)
        if (p->t.worlds[i].state >= state &&
            world_has_release(&p->t, &p->t.worlds[i], t->a->release) &&
            app_is_possible(p, &p->t.worlds[i], t->a->s))
            w = &p->t.worlds[i];
    const struct plan *sync = sync_begins(p, state);
    int culprit = sync ? culprit_of(p, state, sync, r) : state;
    /* Rows that the statement itself asks for are deleted, whatever the application hands in. */
    bool deletes = t->from && strcmp(r->sqlstate, "23503") == 0 && !sync && has_delete(t->a->q);
    struct finding *f = finding_of_state(
        p, t->a, w, culprit, deletes ? "restriction-breaks-old-writes" : "unproven-write",
        sync ? arena_printf(p->a,
                            "with %s = %s it works without the sync's trigger, which writes the "
                            "other side as well, and fails with it: %s",
                            what_words(p, t), value_words(p, t), r->message)
             : arena_printf(p->a, "%s it worked before this step and fails after it: %s",
                            with_words(p, t), r->message),
        way_of_try(t, sync, deletes, r));
    f->sqlstate = arena_strdup(p->a, r->sqlstate);
    f->probe = "X";
    limited_add(p, t->a, culprit, f);
    return f;
}

static const char *way_of_else(bool by_policy, bool is_dropped)
{
    return by_policy ? "let the policies show such rows to the role of live releases until contract"
           : is_dropped
               ? "let the trigger (RETURN NEW, or OLD) or the rule pass what live releases "
                 "write, or raise an error in contract"
               : "let only the statements of later releases meet what the step makes";
}

/* A write that is dropped without a word is as bad as one that fails. */
static enum severity report_else(struct proof *p, const struct limit_try *t, int state,
                                 const struct wire_result *r, bool is_dropped, bool by_policy)
{
    const char *what =
        r->affected != t->affected
            ? arena_printf(p->a, "it writes %lld row%s before this step and %lld after it%s",
                           t->affected, t->affected == 1 ? "" : "s", (long long) r->affected,
                           is_dropped ? ", and nothing says so" : "")
            : "it leaves other rows behind after this step than before it";
    struct finding *f = finding_of_state(
        p, t->a, world_met(p, t->a, state), state,
        by_policy ? "row-visibility-changed" : "old-path-trigger-effect",
        arena_printf(p->a, "%s %s", with_words(p, t), what), way_of_else(by_policy, is_dropped));

    f->severity = is_dropped ? SEVERITY_ERROR : SEVERITY_WARNING;
    f->probe = "X";
    limited_add(p, t->a, state, f);
    return f->severity;
}

/* COPY goes past the rules of a table, which the INSERT that stands in for it doesn't. What that is may not be known before
 * its release is there. */
static bool goes_past(const struct query *q, const struct task *t)
{
    bool any = q->is_stand_in && q->writes_out >= 0;

    for (int i = 0; q->is_stand_in && t->kind == TASK_STEP && i < t->step->n_stmts; i++)
        any |= strstr(t->step->stmts[i].kind, "RULE") != NULL;
    return any;
}

bool limits_before(struct proof *p, int state, struct limits **out, struct err *err)
{
    const struct timeline_state *s = &p->t.states[state];
    struct limits *l = NULL;
    bool any = false;

    *out = NULL;
    if (s->by != STATE_TASK || p->told[state])
        return true;
    for (int i = 0; s->task->kind == TASK_STEP && s->task->step && i < s->task->step->n_stmts; i++)
        any |= limits_may_restrict(p, &s->task->step->stmts[i]);
    any |= sync_begins(p, state) != NULL || trial_detached(p, state);
    if (!any || !sessions_open(p, err))
        return any ? false : true;
    l = arena_new(p->scratch, struct limits);
    l->sync = sync_begins(p, state);
    if (!limits_read(p, state, l, err))
        return false;
    l->tries = arena_array(p->scratch, struct limit_try, LIMIT_TRIES);
    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];
        if (goes_past(a->q, s->task))
            continue;
        if (a->q->runs && a->q->n_sets > 0 && app_is_live_from(p, a, state) &&
            !p->t.releases[a->release].is_projected) {
            int own = l->n;
            limits_add_own(p, a, state, l);
            int first = l->n;
            limits_add_tries(p, a, state, l);
            if (!limits_show(p, a, state, l->hides ? own : first, l, err))
                return false;
            limits_add_beside(p, a, state, first, l);
            limits_add_pairs(p, a, state, l);
            limits_add_awkward(p, a, state, l);
            limits_add_casts(p, a, state, l);
            limits_add_calls(p, a, state, l);
            if (!limits_add_reached(p, a, state, l, err))
                return false;
        }
        /* With the rows that there are it may not run: two tables have the same keys. */
        if (a->q->n_sets > 0 && a->q->shape[s->from] && app_is_live_from(p, a, state) &&
            !p->t.releases[a->release].is_projected)
            limits_add_rows(p, a, state, l);
    }
    for (int i = 0; i < l->n; i++) {
        struct wire_result r = {0};
        bool is_endless = i > 0 && l->tries[i].a == l->tries[i - 1].a && l->tries[i - 1].is_endless;
        if (!is_endless && !run_try(p, l, &l->tries[i], &r, &l->tries[i].answer, err))
            return false;
        l->tries[i].worked = r.ok;
        l->tries[i].affected = r.affected;
        l->tries[i].is_endless = is_endless || is_too_long(r.sqlstate, r.message);
    }
    *out = l;
    return true;
}

/* What fails with its own values as well isn't about values, and is told of by itself. */
static bool runs_still(struct proof *p, const struct app_statement *a, bool *out, struct err *err)
{
    *out = true;
    for (int set = 0; *out && set < a->q->n_sets; set++) {
        struct query copy = *a->q;
        struct wire_result r = {0};
        bool reached = false;

        if (set > 0 && !a->q->sets[set].runs)
            continue;
        copy.sets = &a->q->sets[set];
        if (!probe_run(p, &copy, &r, &reached, NULL, err))
            return false;
        *out = r.ok && reached;
    }
    return true;
}

/* Of a value that is taken, unique.c tells, and by the author's own rows; and of what goes in by another way. */
static bool is_of_unique(const struct limit_try *t, const struct wire_result *r)
{
    return strcmp(r->sqlstate, "23505") == 0 && (t->is_reached || t->a->q->sets[0].is_given);
}

static bool writes_restricted(const struct proof *p, const struct app_statement *a, int state)
{
    const struct query *q = a->q;
    const struct plan *sync = sync_begins(p, state);

    for (int i = 0; i < q->facts.n_writes; i++) {
        const struct fact_write *w = &q->facts.writes[i];
        const struct cat_relation *r =
            cat_find(&p->now, p->sessions[q->session].search_path, w->schema, w->table);
        bool reads = !sync || w->positional;
        for (int k = 0; sync && k < w->columns.n; k++)
            reads |= sync_reads(sync, w->columns.items[k].s);
        if (r && reads && limits_hold(p, state, r, NULL))
            return true;
    }
    return false;
}

/* Does it run from this step on? Then it needs the step, and isn't refused by it. */
static bool runs_now(struct proof *p, const struct app_statement *a, bool *out, struct err *err)
{
    struct query copy = *a->q;
    struct wire_result r = {0};
    bool reached = false;

    *out = false;
    if (copy.n_sets == 0)
        return true;
    if (!probe_run(p, &copy, &r, &reached, NULL, err))
        return false;
    *out = r.ok && reached;
    return true;
}

/* It was never seen to run: then nothing shows that the step lets it through. */
static bool report_unrun_writers(struct proof *p, int state, const struct limits *l,
                                 struct err *err)
{
    const struct timeline_state *s = &p->t.states[state];

    for (int i = 0; !p->broken[state] && i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];
        const struct timeline_world *w = world_met(p, a, state);
        struct finding *f;

        if (!w || a->q->runs || !a->q->has_args || !a->q->shape[s->from] ||
            p->t.releases[a->release].is_projected || brought_spares_unrun(p, l, state, a) ||
            !writes_restricted(p, a, state))
            continue;
        bool now = false;
        if (!runs_now(p, a, &now, err))
            return false;
        if (now)
            continue;
        const struct outcome *run = a->q->run[s->from];
        const char *why = run ? run->message : "",
                   *parent = run ? empty_parent(p, a->q, run) : NULL;
        f = finding_of_state(
            p, a, w, state, "unproven-write",
            arena_printf(p->a,
                         "nothing shows that it still works after this step: no arguments were "
                         "found with which it runs before it%s%s",
                         *why ? ": " : "", why),
            parent ? parent
                   : arena_printf(p->a, "give the statement an example row that is taken: %s",
                                  example_row(p, a->q)));
        f->probe = "X";
        limited_add(p, a, state, f);
    }
    return true;
}

/* The parameter that a statement of the old side has for it; 0: none. like: of the other statement, where it is part of
 * what both make of it. */
static int param_of_old_side(const struct proof *p, const struct app_statement *a,
                             const struct plan *sync, int like)
{
    const struct query *q = a->q;

    for (int i = 0; i < q->facts.n_writes; i++) {
        const struct fact_write *w = &q->facts.writes[i];
        const struct cat_relation *r =
            cat_find(&p->now, p->sessions[q->session].search_path, w->schema, w->table);
        int param = 0;

        for (int k = 0; r && sync_is_of(sync, r) && k < w->columns.n; k++)
            if (!sync_reads(sync, w->columns.items[k].s))
                continue;
            else if (limits_written_by(q, w, r, k, &param))
                return param;
            else if (limits_is_made(w, k) && like <= q->sets[0].n)
                return like;
    }
    return 0;
}

/* A call that writes the new side now wrote the old one before: refused as it was then, the value is nothing new. known:
 * there was such a call. */
static bool was_refused(struct proof *p, const struct limit_try *t, const struct plan *sync,
                        bool *known, bool *out, struct err *err)
{
    /* Rows with such a value are none that there can be beside the old side. */
    *out = t->from != NULL;
    for (int i = 0; i < p->n_app && !*out; i++) {
        const struct app_statement *a = &p->app[i];
        int param = a->q != t->a->q && a->q->runs && a->q->n_sets > 0 && !t->from &&
                            a->release <= t->a->release && strcmp(a->s->name, t->a->s->name) == 0
                        ? param_of_old_side(p, a, sync, t->param)
                        : 0;
        struct limits one = {.tries = arena_array(p->scratch, struct limit_try, 1)};
        struct wire_result r = {0};
        uint64_t answer = 0;

        if (param == 0)
            continue;
        limits_add_try(p, a, param, "", t->value, &one);
        if (!run_try(p, &one, &one.tries[0], &r, &answer, err))
            return false;
        *out = !r.ok && !r.skipped;
        *known = true;
    }
    return true;
}

/* Twice the same, and not as it was before? */
static bool does_else(struct proof *p, struct limits *l, int i, const struct wire_result *r,
                      uint64_t answer, bool *out, struct err *err)
{
    const struct limit_try *t = &l->tries[i];
    struct wire_result again = {0};
    uint64_t answer_again = 0;

    *out = r->affected != t->affected || (answer && t->answer && answer != t->answer);
    if (!*out)
        return true;
    if (!run_try(p, l, t, &again, &answer_again, err))
        return false;
    *out = again.ok && again.affected == r->affected && answer_again == answer;
    return true;
}

/* Arithmetic leaves the type, and only with the largest number of it: that is possible, and hardly ever the case. */
static bool is_at_the_end(const struct limit_try *t, const struct wire_result *r)
{
    static const char *const ends[][2] = {{"2147483647", "integer out of range"},
                                          {"9223372036854775807", "bigint out of range"}};

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (t->value && strcmp(t->value, ends[i][0]) == 0 && strstr(r->message, ends[i][1]))
            return true;
    return false;
}

static bool after_refused(struct proof *p, struct limits *l, int state, int i,
                          const struct wire_result *r, struct err *err)
{
    struct limit_try *t = &l->tries[i];
    bool is_new_side = l->sync && is_of_new_side(t, l->sync);
    bool known = false, as_before = false, is_own = false;

    if (is_of_unique(t, r) || brought_spares(p, l, state, t, r) || loosened_spares(p, state, t) ||
        limits_never_met(p, t, r))
        return true;
    if (!limits_is_own_change(p, t, r, &is_own, err))
        return false;
    if (is_own)
        return true;
    if (is_new_side && !was_refused(p, t, l->sync, &known, &as_before, err))
        return false;
    if (as_before || (is_new_side && !known && was_told(l, i, SEVERITY_WARNING)))
        return true;
    struct finding *f = report_try(p, t, state, r);
    /* Whether anybody still writes what a partition was for, its bound doesn't say. */
    bool is_of_bound = l->detached && strstr(r->message, "no partition of relation");
    if ((is_new_side && !known) || (!l->sync && is_at_the_end(t, r)) || is_of_bound)
        f->severity = SEVERITY_WARNING;
    t->is_told = true;
    t->told = f->severity;
    return true;
}

/* Does the same row go in, whatever the step makes of those that are there? */
static bool only_inserts(const struct query *q)
{
    return q->facts.n_writes == 1 && q->facts.n_rels == 1 &&
           q->facts.writes[0].verb == VERB_INSERT && !q->facts.writes[0].on_conflict;
}

/* What it works with, and differently. */
static bool after_accepted(struct proof *p, struct limits *l, int state, int i,
                           const struct wire_result *r, uint64_t answer, struct err *err)
{
    struct limit_try *t = &l->tries[i];
    bool moves = changes_rows(p, state), differs = false;
    bool is_dropped =
        r->affected < t->affected && (moves || !answer || !t->answer || answer != t->answer);

    /* What it leaves with its own values is told of by itself; of what it answers changed.c tells. */
    if (!l->acts || t->is_reached || t->a->q->facts.n_writes == 0 || !world_met(p, t->a, state) ||
        (moves && !only_inserts(t->a->q)) || ((moves || !t->column) && !is_dropped) ||
        (!is_dropped && was_told(l, i, SEVERITY_NOTE)))
        return true;
    if (!does_else(p, l, i, r, answer, &differs, err))
        return false;
    if (differs && !brought_spares(p, l, state, t, r)) {
        t->told = report_else(p, t, state, r, is_dropped, !l->drops && !l->sync);
        t->is_told = true;
    }
    return true;
}

bool limits_after(struct proof *p, int state, struct limits *l, struct err *err)
{
    bool still = false;

    if (l && l->cut)
        limits_report_cut(p, state, l->cut, LIMIT_TRIES);
    if (l && !report_unrun_writers(p, state, l, err))
        return false;
    if (l)
        limits_report_hidden_keys(p, state);
    for (int i = 0; l && i < l->n; i++) {
        const struct limit_try *t = &l->tries[i];
        struct wire_result r = {0};
        uint64_t answer = 0;

        if ((i == 0 || t->a != l->tries[i - 1].a) &&
            !(t->a->q->runs ? runs_still(p, t->a, &still, err) : (still = true)))
            return false;
        if (!still || !t->worked || was_told(l, i, SEVERITY_ERROR) || shadow_is_late(p->shadow))
            continue;
        if (!run_try(p, l, t, &r, &answer, err))
            return false;
        if (r.skipped)
            continue;
        if (!(r.ok ? after_accepted(p, l, state, i, &r, answer, err)
                   : after_refused(p, l, state, i, &r, err)))
            return false;
    }
    return true;
}

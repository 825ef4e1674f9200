/* What was answered how, and what wasn't: cells, statements without arguments, texts that no parser reads. */
#include "check/blame.h"

void account_count(struct proof *p)
{
    struct report_summary *s = &p->report->summary;
    int *cells = arena_array(p->a, int, p->t.n_worlds + 1);

    if (p->o->cells)
        *p->o->cells = cells;
    for (int i = 0; i < p->n_app; i++) {
        bool is_loose = execute_loose(p, &p->app[i]) != NULL;

        for (int k = 0; k < p->t.n_worlds; k++) {
            const struct app_statement *a = &p->app[i];
            const struct timeline_world *w = &p->t.worlds[k];

            if (!world_has_release(&p->t, w, a->release) || !app_is_possible(p, w, a->s))
                continue;
            s->cells++;
            cells[k]++;
            if (!a->q->plan[w->state] || is_loose || p->untested[i] || a->q->is_late) {
                s->untested++;
                continue;
            }
            s->probed++;
            s->carried += !a->q->fresh[w->state];
            if (!a->q->runs)
                s->by_plan++;
            else if (a->q->sets[0].is_given)
                s->by_args++;
            else
                s->by_generated++;
        }
    }
}

/* Each is told of already; here they are counted, before anything of the report is narrowed. */
void account_failing(struct proof *p)
{
    for (int i = 0; i < p->report->n; i++)
        if (strcmp(p->report->findings[i].rule->id, "failing-at-baseline") == 0)
            p->report->summary.failing += p->report->findings[i].n_places;
}

static bool is_given_column(const struct query *q, const char *column)
{
    for (int i = 0; i < q->facts.n_writes; i++)
        for (int k = 0; k < q->facts.writes[i].columns.n; k++)
            if (q->facts.writes[i].params && q->facts.writes[i].params[k] > 0 &&
                strcmp(q->facts.writes[i].columns.items[k].s, column) == 0)
                return true;
    return false;
}

/* Time, memory (53), or what PostgreSQL has a limit for (54). */
bool account_is_too_much(const struct outcome *o)
{
    return is_too_long(o->sqlstate, o->message) || strncmp(o->sqlstate, "53", 2) == 0 ||
           strncmp(o->sqlstate, "54", 2) == 0;
}

/* Nobody else is there to do it: see is_too_long for what we cancel. */
static bool cancels_itself(const struct outcome *o)
{
    return strcmp(o->sqlstate, "57014") == 0 && !is_too_long(o->sqlstate, o->message);
}

/* From row to row of a table: ours may well point at each other. */
static bool goes_round(const struct query *q)
{
    return q->facts.n_rels > 0 && strcasestr(q->sql, "recursive");
}

/* Arrays of PostgreSQL's own types (pg_type.dat). */
static bool is_array(unsigned type)
{
    static const unsigned arrays[] = {199,  1000, 1001, 1005, 1007, 1009, 1014, 1015, 1016, 1021,
                                      1022, 1041, 1115, 1182, 1183, 1185, 1187, 1231, 2951, 3807};

    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        if (arrays[i] == type)
            return true;
    return false;
}

/* As it is written in -- args:. 0: the type isn't known. */
static const char *example_value(struct proof *p, unsigned type, bool is_first)
{
    static const unsigned texts[] = {0, 18, 19, 25, 1042, 1043},
                          numbers[] = {20, 21, 23, 26, 700, 701, 1700};

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (type == numbers[i] || (type == 0 && is_first))
            return "1";
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (type == texts[i])
            return "'x'";
    const char *value = type == 16 ? NULL : value_of(p->a, &p->baseline, type, 0, -1, 1);
    AUTO(str) quoted = {0};

    if (value)
        sql_literal(&quoted, value);
    return type == 16       ? "true"
           : value          ? arena_strdup(p->a, str_text(&quoted))
           : is_array(type) ? "'{}'"
                            : "'x'";
}

const char *example_row(struct proof *p, const struct query *q)
{
    const struct description *d = NULL;
    AUTO(str) row = {0};

    for (int s = 0; s < p->t.n_states && !d; s++)
        d = q->shape[s];
    for (int i = 0; i < q->sets[0].n; i++)
        str_addf(&row, "%s%s", i ? ", " : "",
                 example_value(p, d && i < d->n_params ? d->params[i] : 0, i == 0));
    return arena_printf(p->a, "-- args: (%s)", str_text(&row));
}

/* Other values help only where the statement takes some. */
static const char *way_to_run(struct proof *p, const struct query *q, const struct outcome *o,
                              bool given)
{
    const char *column =
        strcmp(o->sqlstate, "23502") == 0 ? quoted_name(p->a, o->message, "column") : NULL;
    const char *constraint = quoted_name(p->a, o->message, "constraint");
    const char *parent = empty_parent(p, q, o);

    if (parent)
        return parent;
    if (column && !is_given_column(q, column))
        return arena_printf(p->a,
                            "no example row can help: column \"%s\" must have a value, and the "
                            "statement gives none; mend the statement, or give the column a "
                            "default in the baseline",
                            column);
    if (cancels_itself(o))
        return "that it can be planned is all that is known of it: take pg_cancel_backend of its "
               "own session out of it";
    if (account_is_too_much(o))
        return q->sets[0].n == 0
                   ? "that it can be planned is all that is known of it: mend it, or give the "
                     "baseline rows with which it ends"
                   : arena_printf(p->a,
                                  "that it can be planned is all that is known of it: mend it, or "
                                  "give an example row with which it ends: %s",
                                  example_row(p, q));
    if (q->sets[0].n == 0 && constraint)
        return arena_printf(p->a,
                            "no example row can help: what the statement writes isn't what "
                            "constraint \"%s\" allows, or needs rows that aren't in the baseline",
                            constraint);
    if (q->sets[0].n == 0)
        return "no example row can help, it has no parameters: rows of the baseline may, or "
               "another statement";
    return given ? "give example values that it takes"
                 : arena_printf(p->a, "give an example row: %s", example_row(p, q));
}

/* Did anything that it touches change? */
bool account_is_touched(const struct proof *p, const struct query *q)
{
    for (int s = 1; s < p->t.n_states; s++)
        if (q->fresh[s])
            return true;
    return false;
}

/* Statements that write and that no arguments were found for: nothing that only running shows is known of them. */
void account_unrun(struct proof *p)
{
    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];
        const struct query *q = a->q;
        int first = -1;

        for (int s = 0; s < p->t.n_states && first < 0; s++)
            if (q->run[s] && !q->run[s]->ok)
                first = s;
        /* Rights are asked for before values are looked at, and lacking ones have a finding of their own. */
        if (q->runs || a->first_world < 0 || first < 0 || !q->has_args)
            continue;
        /* A sequence's, or one that only running asks for. */
        if (strcmp(q->run[first]->sqlstate, "42501") == 0 && q->plan[first] && q->plan[first]->ok) {
            missing_report(p, a, &p->t.worlds[a->first_world], q->run[first]);
            continue;
        }
        if (!q->never && missing_in_body(p, a, q->run[first])) {
            missing_report(p, a, &p->t.worlds[a->first_world], q->run[first]);
            continue;
        }
        if (q->never || before_report(p, a, &p->t.worlds[a->first_world], q->run[first]))
            continue;
        /* In rows of our making a copy may have the keys of what is there. */
        bool cancels = cancels_itself(q->run[first]);
        bool too_long = account_is_too_much(q->run[first]) || cancels;
        bool by_ours = strcmp(q->run[first]->sqlstate, "23505") == 0;
        if (q->facts.n_writes == 0 && !too_long && !q->sets[0].is_given && !query_runs_code(p, q))
            continue; /* its columns and rights were asked for without running it */
        bool given = q->sets[0].is_given && !too_long;
        struct finding *f = finding_of_statement(
            p, a, &p->t.worlds[a->first_world], given ? "failing-at-baseline" : "cell-untested",
            a->s->sql_at, q->run[first],
            arena_printf(p->a,
                         cancels    ? "it cancels itself: %s"
                         : given    ? "it fails with its own -- args: %s"
                         : too_long ? "it wasn't run to its end: %s"
                                    : "no arguments were found with which it runs: %s",
                         q->run[first]->message));
        if (!given)
            f->severity = (too_long ? !goes_round(q) : account_is_touched(p, q) && !by_ours)
                              ? SEVERITY_WARNING
                              : SEVERITY_NOTE;
        f->help = way_to_run(p, q, q->run[first], given);
    }
}

/* Only the relation's side of it can be asked for: its columns, and the rights on them. */
void account_outside(struct proof *p)
{
    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];
        const char *right = copy_outside(a->q);

        if (!right || a->first_world < 0)
            continue;
        bool is_program = strcmp(right, "pg_execute_server_program") == 0;
        struct finding *f = finding_of_statement(
            p, a, &p->t.worlds[a->first_world], "cell-untested", a->s->sql_at, NULL,
            arena_printf(
                p->a, "COPY %s of the server isn't run: only what it does to the table was tried",
                is_program ? "with a program" : "with a file"));
        f->severity = SEVERITY_WARNING;
        f->help = arena_printf(p->a,
                               "its role needs %s, which no role of the shadow has; COPY ... %s "
                               "can be proved, with the client doing the rest",
                               right, a->q->facts.n_writes > 0 ? "FROM STDIN" : "TO STDOUT");
    }
}

/* Those that don't end have a time for all of them together; when it is over nothing is run any more. */
void account_late(struct proof *p)
{
    const struct app_statement *first = NULL;
    int n = 0;

    for (int i = 0; i < p->n_app; i++)
        if (p->app[i].q->is_late && p->app[i].first_world >= 0) {
            first = first ? first : &p->app[i];
            n++;
        }
    if (!first)
        return;
    struct finding *f = finding_of_statement(
        p, first, &p->t.worlds[first->first_world], "cell-untested", first->s->sql_at, NULL,
        arena_printf(
            p->a,
            "it and %d other statements weren't run everywhere: what doesn't end has taken "
            "the %d s that a check has for it",
            n - 1, SHADOW_SLOW_MS / 1000));
    f->help =
        "mend the statements that don't end, or take them off the release's files: each has a "
        "finding of its own";
}

/* Newer than the parser, or no SQL: the server's answers are all that there is. */
void account_unparsed(struct proof *p)
{
    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];
        const struct outcome *o = a->q->plan[0];

        if (a->q->facts.parsed || a->first_world < 0 ||
            (o && !o->ok && strcmp(o->sqlstate, "42601") == 0))
            continue;
        struct finding *f =
            finding_of_statement(p, a, &p->t.worlds[a->first_world], "statement-unparsed",
                                 statement_pos_of(a->s, a->q->facts.why_at), NULL,
                                 arena_printf(p->a, "our parser can't read it: %s",
                                              a->q->facts.why ? a->q->facts.why : "unknown"));
        f->help =
            "the server was asked all the same; what only a parse tree shows isn't known of it";
    }
}

/* IF NOT EXISTS: the author knows that it may be there. */
static bool says_if(const struct step *s)
{
    for (int i = 0; i < s->n_stmts; i++)
        if (strcasestr(s->stmts[i].sql, " EXISTS ") || strcasestr(s->stmts[i].sql, "OR REPLACE"))
            return true;
    return false;
}

/* One for each plan: what its steps change was never seen to change. */
static void in_place_of(struct proof *p, int plan)
{
    const struct step *first = NULL;
    int n = 0, all = 0, state = 0;

    for (int i = 0; i < p->t.n_states; i++) {
        const struct timeline_state *s = &p->t.states[i];
        const struct step *step =
            s->by == STATE_TASK && s->plan == plan && s->task->kind == TASK_STEP ? s->task->step
                                                                                 : NULL;
        if (!step || says_if(step))
            continue;
        all++;
        n += p->in_place[i];
        if (p->in_place[i] && !first) {
            first = step;
            state = i;
        }
    }
    if (n == 0)
        return;
    struct finding *f = step_finding(
        p, state, "step-in-baseline", first->n_stmts > 0 ? first->stmts[0].at : first->at,
        arena_printf(p->a,
                     "of plan %s the baseline has %d of %d steps already: nothing of %s was proved",
                     p->t.plans[plan]->id.s, n, all, n == 1 ? "it" : "them"));
    f->severity = p->o->baseline_is_folder ? SEVERITY_WARNING : SEVERITY_NOTE;
    f->help =
        "a migration that does what a plan's step does comes into the baseline's folder once it "
        "ran in production; a plan that is through everywhere can be deleted";
}

void account_in_place(struct proof *p)
{
    /* Before a transition the database is where it is. */
    for (int i = 0; !p->o->next && i < p->t.n_plans; i++)
        in_place_of(p, i);
}

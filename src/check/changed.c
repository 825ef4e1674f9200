/* What a step does to rows that live releases read, and what a view shows once it is made anew: the same statement, in the
 * transaction of the step, before it and after it. With the rows as they are, and with a row of each table that has what
 * the step, the statement or the view compares with.
 */
#include "check/changed.h"
#include "check/seed.h"
#include "check/words.h"

#include "phasegate/load.h"

#include <strings.h>

#define ROWS_MAX 200  /* of a table that are looked at */
#define WORLDS_MAX 60 /* rows that are tried */
#define BASES_MAX 3   /* rows on top of which they are tried */
#define SETS_MAX 8    /* of a statement's arguments */

/* ---- which steps -------------------------------------------------------------------------------------------- */

static bool is_of_view(const struct task *t)
{
    for (int i = 0; t->kind == TASK_STEP && i < t->step->n_stmts; i++)
        if (strstr(t->step->stmts[i].kind, "VIEW") && !strstr(t->step->stmts[i].kind, "MATERIAL"))
            return true;
    return false;
}

static bool is_of_function(const struct proof *p, const struct task *t)
{
    for (int i = 0; t->kind == TASK_STEP && i < t->step->n_stmts; i++)
        if (strcmp(t->step->stmts[i].kind, "ALTER FUNCTION") == 0 ||
            (strncmp(t->step->stmts[i].kind, "CREATE", 6) == 0 &&
             limits_replaces_function(&p->now, &t->step->stmts[i])))
            return true;
    return false;
}

static bool can_be_tried(struct proof *p, int state)
{
    const struct timeline_state *s = &p->t.states[state];

    if (s->by != STATE_TASK || p->told[state] || lost_skips(p, state) || p->endless[state])
        return false;
    if (s->task->kind == TASK_BACKFILL || trial_detached(p, state))
        return true;
    if (s->task->kind != TASK_STEP || s->task->step->command.n > 0 || s->task->step->n_stmts == 0)
        return false;
    for (int i = 0; i < s->task->step->n_stmts; i++)
        if (s->task->step->stmts[i].standalone)
            return false;
    return changes_rows(p, state) || is_of_view(s->task) || is_of_function(p, s->task) ||
           trial_is_of_types(s->task);
}

static bool set_statements(struct trial *t)
{
    struct proof *p = t->p;
    const struct timeline_state *s = &p->t.states[t->state];
    const char **sql;

    if (t->taken) {
        t->sql = trial_detach_sql(p, t->state);
        t->n_sql = 1;
        return true;
    }
    if (s->task->kind == TASK_BACKFILL) {
        sql = arena_array(p->scratch, const char *, 2);
        sql[0] = "SET LOCAL phasegate.backfill = 'on'";
        struct backfill_spec spec = {0};
        sql[1] = replay_fill_sql(p, p->t.plans[s->plan], s->task->backfill, &spec);
        t->n_sql = sql[1] ? 2 : 0;
    } else {
        t->n_sql = s->task->step->n_stmts;
        sql = arena_array(p->scratch, const char *, t->n_sql);
        for (int i = 0; i < t->n_sql; i++)
            sql[i] = s->task->step->stmts[i].sql;
    }
    t->sql = sql;
    return t->n_sql > 0;
}

/* ---- whom it may concern -------------------------------------------------------------------------------------- */

/* The tables below a view, too. */
static bool has_below(const struct proof *p, const struct cat_relation *r, unsigned table,
                      int depth)
{
    if (r->oid == table)
        return true;
    for (int i = 0; r->kind == 'v' && depth < 8 && i < r->n_uses; i++) {
        const struct cat_relation *next = cat_by_oid(&p->now, r->uses[i]);
        if (next && has_below(p, next, table, depth + 1))
            return true;
    }
    return false;
}

bool trial_is_below(const struct proof *p, const struct cat_relation *r, unsigned table)
{
    return has_below(p, r, table, 0);
}

/* Does the step name it, or may it do anything? Triggers may. */
static bool is_touched(const struct trial *t, const struct cat_relation *r)
{
    const struct task *task = t->p->t.states[t->state].task;

    if (r->n_triggers > 0 || r == t->touched)
        return true;
    if (task->kind == TASK_BACKFILL)
        return true;
    for (int i = 0; i < task->step->n_stmts; i++)
        if (limits_is_opaque(&task->step->stmts[i]) ||
            text_list_has(&task->step->stmts[i].relations, r->name))
            return true;
    return false;
}

static bool comes_to_touched(const struct trial *t, const struct cat_relation *r, int depth)
{
    bool any = is_touched(t, r);

    for (int i = 0; r->kind == 'v' && !any && depth < 8 && i < r->n_uses; i++) {
        const struct cat_relation *next = cat_by_oid(&t->p->now, r->uses[i]);
        any = next && comes_to_touched(t, next, depth + 1);
    }
    return any;
}

const struct cat_relation *trial_relation(const struct trial *t, const struct app_statement *a,
                                          int rel)
{
    const struct fact_rel *f = &a->q->facts.rels[rel];
    const char *path = t->p->sessions[a->q->session].search_path;

    return cat_find(&t->p->now, path, f->schema, f->name);
}

static bool reads_touched(const struct trial *t, const struct app_statement *a)
{
    if (t->of_functions && a->q->facts.n_writes == 0 && query_runs_code(t->p, a->q))
        return true;
    for (int i = 0; i < a->q->facts.n_rels; i++) {
        const struct cat_relation *r = trial_relation(t, a, i);
        if (r && (r->kind == 'v' || !t->of_views || t->of_types || t->taken) &&
            comes_to_touched(t, r, 0))
            return true;
    }
    return false;
}

static bool is_numbering(const struct query *q)
{
    for (int i = 0; i < q->facts.functions.n; i++)
        if (strcasestr(q->facts.functions.items[i].s, "nextval"))
            return true;
    return false;
}

/* Live before the step and after it, and its answer, or how many rows it gets at, says something about rows. */
static bool is_concerned(const struct trial *t, const struct app_statement *a)
{
    const struct proof *p = t->p;
    const struct query *q = a->q;
    bool is_read = q->facts.n_writes == 0 && q->facts.verb == VERB_SELECT,
         is_found = q->facts.verb == VERB_UPDATE || q->facts.verb == VERB_DELETE;

    return q->runs && q->n_sets > 0 && q->facts.parsed && q->n_before == 0 &&
           (!q->is_stand_in || q->is_reworded) && !q->is_run_alone && !q->facts.is_utility &&
           (is_read || is_found) && !is_numbering(q) && !p->t.releases[a->release].is_projected &&
           world_met(p, a, t->state) && world_met(p, a, p->t.states[t->state].from) &&
           reads_touched(t, a);
}

static bool is_looked_at(const struct trial *t, unsigned oid)
{
    for (int i = 0; i < t->n_looks; i++)
        if (t->looks[i].r->oid == oid)
            return true;
    return false;
}

/* With the columns of its key in front, by which a row is known again. */
static void add_look(struct trial *t, const struct cat_relation *r)
{
    struct watched *l = &t->looks[t->n_looks++];
    AUTO(str) keys = {0}, sql = {0};

    *l = (struct watched) {.r = r, .changes = arena_array(t->p->scratch, bool, r->n_columns + 1)};
    for (int i = 0; i < r->n_constraints; i++)
        for (int k = 0; r->constraints[i].type == 'p' && k < r->constraints[i].n_columns; k++) {
            const struct cat_column *c = cat_column_number(r, r->constraints[i].columns[k]);
            if (!c)
                continue;
            str_add(&keys, l->n_keys++ ? ", " : "");
            sql_ident(&keys, c->name);
        }
    str_addf(&sql, "SELECT pg_catalog.concat_ws('|'%s%s), pg_catalog.now()::pg_catalog.text",
             l->n_keys ? ", " : ", ''", str_text(&keys));
    for (int i = 0; i < r->n_columns; i++) {
        str_add(&sql, ", ");
        sql_ident(&sql, r->columns[i].name);
        str_add(&sql, "::pg_catalog.text");
    }
    str_add(&sql, " FROM ");
    sql_qualified(&sql, r->schema, r->name);
    if (l->n_keys)
        str_addf(&sql, " ORDER BY %s", str_text(&keys));
    str_addf(&sql, " LIMIT %d", ROWS_MAX);
    l->sql = arena_strdup(t->p->scratch, str_text(&sql));
}

static void look_below(struct trial *t, const struct cat_relation *r, int depth)
{
    if (cat_is_table(r) && r->n_columns > 0 && !is_looked_at(t, r->oid))
        add_look(t, r);
    for (int i = 0; r->kind == 'v' && depth < 8 && i < r->n_uses; i++) {
        const struct cat_relation *next = cat_by_oid(&t->p->now, r->uses[i]);
        if (next)
            look_below(t, next, depth + 1);
    }
}

/* What functions of the step read, no statement names. */
static void look_behind(struct trial *t)
{
    struct sql_mentions said = {0};

    for (int i = 0; i < t->n_sql; i++)
        sql_mentions_add(t->p->scratch, t->sql[i], &said);
    for (int i = 0; i < t->p->now.n_relations; i++)
        if (text_list_has(&said.names, t->p->now.relations[i].name))
            look_below(t, &t->p->now.relations[i], 0);
}

/* Of a view with each of the rows that its author gave. */
static void add_asked(struct trial *t, const struct app_statement *a)
{
    t->asked[t->n_asked++] = (struct asked) {.a = a};
    for (int set = 1; t->of_views && set < a->q->n_sets && set < SETS_MAX; set++)
        if (a->q->sets[set].runs)
            t->asked[t->n_asked++] = (struct asked) {.a = a, .set = set};
    if (t->of_functions)
        trial_add_calls(t, a);
    if (t->of_types)
        trial_add_letters(t, a);
    if (t->brought)
        trial_add_brought(t, a);
}

void trial_set_whom(struct trial *t)
{
    struct proof *p = t->p;

    t->looks = arena_array(p->scratch, struct watched, p->now.n_relations + 1);
    int room =
        SETS_MAX + (t->of_functions || t->of_types || t->taken || t->brought ? CALLS_MAX : 0);
    t->most_asked = room * p->n_app;
    t->asked = arena_array(p->scratch, struct asked, t->most_asked + 1);
    bool *is_in = arena_array(p->scratch, bool, p->n_queries + 1);
    for (int i = 0; i < p->n_app; i++) {
        if (!p->app[i].q || is_in[p->app[i].q - p->queries] || !is_concerned(t, &p->app[i]))
            continue;
        is_in[p->app[i].q - p->queries] = true;
        add_asked(t, &p->app[i]);
        for (int k = 0; k < p->app[i].q->facts.n_rels; k++) {
            const struct cat_relation *r = trial_relation(t, &p->app[i], k);
            if (r)
                look_below(t, r, 0);
        }
    }
    if (t->of_functions && t->n_asked > 0)
        look_behind(t);
}

/* What plans make and fill is theirs to change: whoever reads it came with them. */
bool trial_is_the_plans(const struct trial *t, const struct cat_relation *r,
                        const struct cat_column *c)
{
    const struct plan *plan = t->p->t.plans[t->p->t.states[t->state].plan];

    return !cat_by_oid(&t->p->baseline, r->oid) || seed_is_filled_by_plan(t->p, r, c) ||
           plan_makes_column(plan, r, c->name);
}

/* ---- comparing ---------------------------------------------------------------------------------------------------- */

static bool is_usable(const struct wire_result *r)
{
    return r->ok && !r->skipped && (r->n_rows == 0 || r->cell);
}

/* "2026-03-04 05:06:07+00": set by the clock. */
static bool is_now(const struct cat_column *c, const char *value, const char *now)
{
    size_t n = strlen(value) < 19 ? strlen(value) : 19;

    return c->category == 'D' && n >= 10 && strncmp(value, now, n) == 0;
}

/* Of a table without a key: how many rows have the value. */
static int count_of(const struct wire_result *r, int cell, const char *value)
{
    int n = 0;

    for (int i = 0; i < r->n_rows; i++)
        n += r->cell[i][cell] && strcmp(r->cell[i][cell], value) == 0;
    return n;
}

static const char **row_with_key(const struct wire_result *r, const char *key)
{
    for (int i = 0; i < r->n_rows; i++)
        if (strcmp(r->cell[i][0], key) == 0)
            return r->cell[i];
    return NULL;
}

/* Did a row hold something in the column, and hold something else now? */
static bool is_changed(const struct watched *l, int column)
{
    int cell = column + 2;

    for (int i = 0; i < l->before.n_rows; i++) {
        const char *was = l->before.cell[i][cell];
        const char **row = l->n_keys ? row_with_key(&l->after, l->before.cell[i][0]) : NULL;

        if (!was)
            continue;
        if (l->n_keys && row && (!row[cell] || strcmp(row[cell], was) != 0) &&
            !(row[cell] && is_now(&l->r->columns[column], row[cell], row[1])))
            return true;
        if (!l->n_keys && l->before.n_rows == l->after.n_rows &&
            count_of(&l->after, cell, was) < count_of(&l->before, cell, was))
            return true;
    }
    return false;
}

static void note_changes(struct trial *t)
{
    for (int i = 0; i < t->n_looks; i++) {
        struct watched *l = &t->looks[i];
        bool usable = l->at >= 0 && is_usable(&l->before) && is_usable(&l->after);

        for (int c = 0; c < l->r->n_columns; c++)
            l->changes[c] =
                usable && !trial_is_the_plans(t, l->r, &l->r->columns[c]) && is_changed(l, c);
    }
}

/* A column whose rows change that the statement goes by or hands out; NULL: none. */
static const struct cat_column *changed_for(const struct trial *t, const struct app_statement *a,
                                            const struct cat_relation **r)
{
    for (int k = 0; k < a->q->facts.n_rels; k++) {
        const struct cat_relation *of = trial_relation(t, a, k);
        const struct fact_rel *f = &a->q->facts.rels[k];

        for (int i = 0; of && i < t->n_looks; i++) {
            const struct watched *l = &t->looks[i];
            bool all = f->star || f->whole_row || of->kind == 'v';

            if (!trial_is_below(t->p, of, l->r->oid))
                continue;
            *r = l->r;
            for (int c = 0; c < l->r->n_columns; c++)
                if (l->changes[c] &&
                    (all || text_list_has(&a->q->facts.columns, l->r->columns[c].name)))
                    return &l->r->columns[c];
        }
    }
    return NULL;
}

/* A table of live releases that has fewer rows than before, and that the statement reads; NULL: none. Over the rows as they
 * are alone: a row that we make for the step to take away would say it of every statement. */
static const struct cat_relation *emptied_for(const struct trial *t, const struct asked *s,
                                              const struct turn *turn)
{
    for (int k = 0; !turn && s->a->q->facts.n_writes == 0 && k < s->a->q->facts.n_rels; k++) {
        const struct cat_relation *of = trial_relation(t, s->a, k);

        for (int i = 0; of && i < t->n_looks; i++) {
            const struct watched *l = &t->looks[i];

            if (l->at >= 0 && is_usable(&l->before) && is_usable(&l->after) &&
                l->after.n_rows < l->before.n_rows && cat_by_oid(&t->p->baseline, l->r->oid) &&
                trial_is_below(t->p, of, l->r->oid))
                return l->r;
        }
    }
    return NULL;
}

bool asked_finds_others(const struct asked *s)
{
    return s->a->q->facts.n_writes > 0 ? s->before.affected != s->after.affected
                                       : s->before.n_rows != s->after.n_rows;
}

bool asked_answers_otherwise(const struct asked *s)
{
    /* What a write returns isn't kept: how many rows it got at is enough. */
    if (s->a->q->facts.n_writes > 0)
        return s->before.ok && !s->before.skipped && s->after.ok && !s->after.skipped &&
               asked_finds_others(s);
    if (!is_usable(&s->before) || !is_usable(&s->after))
        return false;
    return asked_finds_others(s) ||
           (!s->a->q->facts.uses_now && s->before.n_columns == s->after.n_columns &&
            answer_of(&s->before) != answer_of(&s->after));
}

/* For what rows hold: a key that the step has taken may be one of those that we made up. */
static bool asked_fails(const struct asked *s)
{
    const char *state = s->after.sqlstate;

    return s->before.ok && !s->before.skipped && !s->after.ok && !s->after.skipped &&
           (strncmp(state, "22", 2) == 0 || strncmp(state, "21", 2) == 0 ||
            strcmp(state, "23514") == 0);
}

/* ---- judging ----------------------------------------------------------------------------------------------------- */

/* Once for all of its arguments. */
static void note_told(struct trial *t, const struct query *q)
{
    for (int i = 0; i < t->n_asked; i++)
        t->asked[i].is_told |= t->asked[i].a->q == q;
}

/* Which of several rows that are alike it takes isn't for the view to say. */
static bool may_pick(const struct trial *t, const struct asked *s, const struct turn *turn)
{
    bool any = has_word(s->a->q->sql, "limit") || has_word(s->a->q->sql, "fetch");

    for (int i = 0; i < t->n_sql && t->of_functions; i++)
        any |= has_word(t->sql[i], "limit") || has_word(t->sql[i], "fetch") ||
               has_word(t->sql[i], "into");
    return turn && turn->is_twice && any;
}

static bool judge(struct trial *t, const struct turn *turn, struct err *err)
{
    const struct proof *p = t->p;

    if (!t->of_views)
        note_changes(t);
    for (int i = 0; i < t->n_asked; i++) {
        struct asked *s = &t->asked[i];
        const struct cat_relation *r = NULL, *emptied = NULL;
        const struct cat_column *c = NULL;
        bool fewer = false, fails = !t->of_views && !t->brought && asked_fails(s), steady = true;

        if (s->at < 0 || s->is_told || may_pick(t, s, turn) ||
            (!fails && !asked_answers_otherwise(s)))
            continue;
        if (t->of_types && !trial_tells_of_type(t, s, &fewer))
            continue;
        if (!t->of_views && !t->brought && (c = changed_for(t, s->a, &r)) == NULL &&
            (emptied = emptied_for(t, s, turn)) == NULL)
            continue;
        note_told(t, s->a->q);
        if (!fails && !trial_is_steady(t, s, turn, &steady, err))
            return false;
        if (!steady)
            continue;
        for (int k = 0; k < p->n_app; k++)
            if (p->app[k].q != s->a->q || !is_concerned(t, &p->app[k]))
                continue;
            else if (t->brought)
                trial_report_brought(t, &p->app[k]);
            else if (t->of_types)
                trial_report_type(t, &p->app[k], s, turn, fewer);
            else if (emptied)
                trial_report_emptied(t, &p->app[k], emptied);
            else if (fails)
                trial_report_failure(t, &p->app[k], s, r, c);
            else if (!t->of_views)
                trial_report_rows(t, &p->app[k], asked_finds_others(s), r, c);
            /* Of what rows as they are answer a SELECT, answers.c tells; a write may be for others than we move. */
            else if (t->taken && (turn != NULL) == (s->a->q->facts.n_writes == 0) &&
                     s->a->q->facts.verb != VERB_DELETE)
                trial_report_taken(t, &p->app[k]);
            else if (!t->taken && (turn || s->set > 0 ||
                                   s->call)) /* over the rows as they are, answers.c tells */
                trial_report_view(t, &p->app[k], s, turn);
    }
    return true;
}

/* The table whose rows become another one's, where the step does nothing else to rows; none of them are ours. NULL: it isn't
 * such a step. */
static const struct cat_relation *brings_rows_of(const struct proof *p, int state)
{
    const struct task *t = p->t.states[state].task;
    const struct cat_relation *found = NULL;

    if (t->kind != TASK_STEP || p->forgot[state])
        return NULL;
    for (int i = 0; i < t->step->n_stmts; i++) {
        const struct sql_stmt *s = &t->step->stmts[i];
        bool attach = strstr(s->kind, "ATTACH") != NULL;

        if (!is_definition(s))
            return NULL;
        for (int k = 0; s->table && brings_rows(s) && k < p->now.n_relations; k++) {
            const struct cat_relation *r = &p->now.relations[k];
            const struct seed *seed = seed_of(p, r->oid);

            if (cat_is_table(r) && text_list_has(&s->relations, r->name) &&
                attach == (strcmp(r->name, s->table) != 0) && cat_by_oid(&p->baseline, r->oid) &&
                (!seed || seed->is_found))
                found = r;
        }
    }
    return found;
}

/* ---- the step ----------------------------------------------------------------------------------------------------- */

static bool try_all(struct trial *t, const struct turn *turns, int n, const struct turn *base,
                    struct err *err)
{
    for (int i = 0; i < n; i++) {
        struct turn turn = base ? trial_on_base(t->p, base, &turns[i]) : turns[i];
        bool ran = false;

        if (!trial_run(t, &turn, &ran, err))
            return false;
        if (ran && !judge(t, &turn, err))
            return false;
    }
    return true;
}

/* All of it once more for those who find nothing over the rows as they are. */
static bool try_bases(struct trial *t, const struct turn *turns, int n, struct err *err)
{
    struct turn bases[BASES_MAX];
    int n_bases = 0;

    if (!t->of_views || t->of_functions || t->of_types || t->taken || t->brought)
        return true;
    if (!trial_bases(t, bases, &n_bases, BASES_MAX, err))
        return false;
    for (int b = 0; b < n_bases; b++) {
        bool ran = false, any = false;

        if (!trial_run(t, &bases[b], &ran, err))
            return false;
        if (ran && !judge(t, &bases[b], err))
            return false;
        for (int i = 0; i < t->n_asked; i++)
            any |= ran && t->asked[i].is_empty && t->asked[i].before.ok &&
                   t->asked[i].before.n_rows > 0 && !t->asked[i].is_told;
        if (any && !try_all(t, turns, n, &bases[b], err))
            return false;
    }
    return true;
}

static int find_turns(struct trial *t, struct turn *turns, int most)
{
    /* A backfill goes on from what writers and triggers keep: a row that we alone turn is none of those. */
    bool turns_rows = t->p->t.states[t->state].task->kind == TASK_STEP && !t->brought && !t->taken;
    int some = t->of_views ? most / 2 : most, n;

    if (t->taken)
        return trial_turns_taken(t, turns);
    if (t->of_types)
        return trial_turns_types(t, turns, most);
    n = turns_rows ? trial_turns(t, turns, some) : 0;
    if (t->of_functions)
        n = trial_turns_anywhere(t, turns, n, some);
    return t->of_views ? n + trial_worlds(t, turns + n, most - n) : n;
}

bool changed_before(struct proof *p, int state, struct err *err)
{
    struct trial t = {.p = p, .state = state};
    struct turn turns[WORLDS_MAX];
    bool ran = false;

    if (!can_be_tried(p, state))
        return true;
    t.taken = trial_detached(p, state);
    t.touched = trial_detached_from(p, state);
    if (!set_statements(&t))
        return true;
    t.of_views = !changes_rows(p, state);
    t.brought = brings_rows_of(p, state);
    bool is_plain = t.of_views && !t.brought && !t.taken && !is_of_view(p->t.states[state].task);
    t.of_functions = is_plain && is_of_function(p, p->t.states[state].task);
    t.of_types = is_plain && !t.of_functions;
    trial_set_whom(&t);
    if (t.n_asked == 0)
        return true;
    if (!trial_run(&t, NULL, &ran, err))
        return false;
    if (!ran)
        return true;
    if (!judge(&t, NULL, err))
        return false;
    for (int i = 0; i < t.n_asked; i++)
        t.asked[i].is_empty = is_usable(&t.asked[i].before) && asked_may_be_empty(&t.asked[i]);
    if (trial_was_slow(&t))
        return true;
    if (t.of_views && !t.of_types && !t.taken && !t.brought && !trial_read_old(&t, err))
        return false;
    int n = find_turns(&t, turns, WORLDS_MAX);
    return try_all(&t, turns, n, NULL, err) && try_bases(&t, turns, n, err);
}

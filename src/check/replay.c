/* The shadow's database from state to state, as the engine would take it there. */
#include "check/work.h"

#include <stdlib.h>

enum { ROOT_MS = 60000 };

/* ---- running ------------------------------------------------------------------------------------------ */

/* The statements in one transaction of the steps' role; out is the one that failed. */
static bool run_list(struct proof *p, const char *const *sql, int n, struct wire_result *out,
                     int *failed, struct err *err)
{
    *failed = -1;
    *out = (struct wire_result) {.ok = true};
    struct wire_op *ops = arena_array(p->scratch, struct wire_op, n + 3);
    struct wire_result *r = arena_array(p->scratch, struct wire_result, n + 3);

    ops[0] = (struct wire_op) {.kind = WIRE_RUN, .sql = "BEGIN"};
    for (int i = 0; i < n; i++)
        ops[i + 1] = (struct wire_op) {.kind = WIRE_RUN, .sql = sql[i]};
    ops[n + 1] = (struct wire_op) {.kind = WIRE_RUN, .sql = "COMMIT", .sync = true};
    /* After a failure the transaction is still open, and the next step may want none. */
    ops[n + 2] = (struct wire_op) {.kind = WIRE_RUN, .sql = "ROLLBACK", .sync = true};
    if (!wire_run(p->owner, p->scratch, ops, n + 3, r, err))
        return false;
    for (int i = 0; i < n + 2; i++)
        if (!r[i].ok) {
            *out = r[i];
            *failed = i > 0 ? i - 1 : 0;
            return true;
        }
    return true;
}

static bool run_sql_list(struct proof *p, const struct sql_list *l, struct wire_result *out,
                         struct err *err)
{
    int failed;

    return run_list(p, l->items, l->n, out, &failed, err);
}

/* One boolean; anything else is false. */
bool steps_ask(struct proof *p, const char *sql, bool *out, const char **why, struct err *err)
{
    struct wire_op op = {.kind = WIRE_RUN, .sql = sql, .keep_rows = true, .sync = true};
    struct wire_result r = {0};

    if (!wire_run(p->owner, p->scratch, &op, 1, &r, err))
        return false;
    *out = r.ok && r.n_rows == 1 && r.cell[0][0] && r.cell[0][0][0] == 't';
    if (why)
        *why = r.ok ? NULL : arena_strdup(p->a, r.message);
    return true;
}

/* ---- steps ------------------------------------------------------------------------------------------------- */

bool step_is_in_place(struct proof *p, const struct step *s, bool *out, const char **why,
                      struct err *err)
{
    *out = false;
    *why = NULL;
    if (s->applied_when.s)
        return steps_ask(p, s->applied_when.s, out, why, err);
    for (int i = 0; i < s->n_stmts; i++) {
        bool is = false;
        if (!s->stmts[i].applied_when)
            return true;
        if (!steps_ask(p, s->stmts[i].applied_when, &is, NULL, err))
            return false;
        if (!is)
            return true;
    }
    *out = s->n_stmts > 0;
    return true;
}

/* An integrity violation is about rows, and the rows are ours: without them once more. */
static bool is_about_rows(const struct wire_result *r)
{
    return strncmp(r->sqlstate, "23", 2) == 0 || strcmp(r->sqlstate, "22003") == 0 ||
           strcmp(r->sqlstate, "22001") == 0 || strcmp(r->sqlstate, "22P02") == 0;
}

static bool forget_rows(struct proof *p, const struct step *s, const struct wire_result *r,
                        bool *any, struct err *err)
{
    /* ATTACH PARTITION is about the partition's rows, and names the parent; a new partition, about those of the
     * default one. */
    const char *named = quoted_name(p->scratch, r->message, "relation");

    if (!named)
        named = quoted_name(p->scratch, r->message, "default partition");

    *any = false;
    if (named && !seed_remove(p, NULL, named, any, err))
        return false;
    for (int i = 0; i < s->n_stmts; i++) {
        bool removed = false;
        if (!seed_remove(p, s->stmts[i].schema, s->stmts[i].table, &removed, err))
            return false;
        *any |= removed;
    }
    return true;
}

static bool is_not_null_without_default(const struct sql_stmt *s, const struct wire_result *r)
{
    return strcmp(r->sqlstate, "23502") == 0 && strstr(s->kind, "ADD COLUMN");
}

bool step_is_for_shadow(const struct proof *p, const struct step *s)
{
    struct cond c;
    const char *version = s->dbms.s ? s->dbms.s + strcspn(s->dbms.s, "<>=!") : "";
    AUTO(arena) a = {0};

    if (!s->dbms.s)
        return true;
    if (strncmp(s->dbms.s, "postgres", strlen("postgres")) != 0)
        return false;
    int v = shadow_server_version(p->shadow);
    return !*version || !cond_parse(version, &c) ||
           cond_holds(&c, arena_printf(&a, "%d.%d", v / 10000, v % 10000), NULL);
}

/* The engine asks before it runs the step, and stops there. */
static void applied_when_fails(struct proof *p, int state, const struct step *s, const char *why)
{
    p->broken[state] = true;
    if (p->told[state])
        return;
    struct finding *f =
        step_finding(p, state, "step-fails-on-shadow", s->applied_when.at,
                     arena_printf(p->a, "the step fails: applied_when fails: %s", why));
    f->help = "it is asked before the step runs as well, and has to have an answer then: "
              "to_regclass('name') IS NOT NULL, or a look into the catalogue";
}

/* An index that isn't valid, as the engine does before it tries again: what comes next would find it there. */
static bool clean_half_made(struct proof *p, const struct step *s, int failed, struct err *err)
{
    const struct sql_stmt *stmt = failed >= 0 && failed < s->n_stmts ? &s->stmts[failed] : NULL;
    struct wire_result ignored = {0};
    bool half = false;

    if (!stmt || !stmt->half_made_when || !strstr(stmt->kind, "INDEX"))
        return true;
    return steps_ask(p, stmt->half_made_when, &half, NULL, err) &&
           (!half || wire_exec(p->owner, p->scratch, stmt->clean_up, false, &ignored, err));
}

static bool run_step(struct proof *p, int state, const struct step *s, struct wire_result *out,
                     int *failed, struct err *err)
{
    return ddl_run(p, state, s, !p->told[state], out, failed, err) &&
           clean_half_made(p, s, *failed, err);
}

static bool apply_step(struct proof *p, int state, const struct step *s, struct err *err)
{
    struct wire_result r = {0};
    const char *why = NULL;
    bool in_place = false, any = false, is_unfilled = false;
    int failed = -1;

    if (!step_is_for_shadow(p, s))
        return true;
    if (s->command.n > 0)
        return command_step(p, state, s, err);
    if (!step_is_in_place(p, s, &in_place, &why, err))
        return false;
    p->in_place[state] = in_place;
    if (why)
        applied_when_fails(p, state, s, why);
    if (why || in_place)
        return true;
    if (!run_step(p, state, s, &r, &failed, err))
        return false;
    if (failed >= 0 && failed < s->n_stmts && strcmp(r.sqlstate, "23503") == 0) {
        if (!fitting_parents(p, &r, &any, err))
            return false;
        p->forgot[state] |= any;
        if (any && !run_step(p, state, s, &r, &failed, err))
            return false;
    }
    if (failed >= 0 && is_about_rows(&r) && !unfilled_is(p, state, &r, &is_unfilled, err))
        return false;
    if (failed >= 0 && failed < s->n_stmts && is_about_rows(&r) && !is_unfilled &&
        !is_not_null_without_default(&s->stmts[failed], &r)) {
        if (!forget_rows(p, s, &r, &any, err))
            return false;
        p->forgot[state] |= any;
        if (any && !run_step(p, state, s, &r, &failed, err))
            return false;
    }
    if (failed >= 0)
        failure_report(p, state, failed < s->n_stmts ? s->stmts[failed].at : s->at, &r);
    return true;
}

/* ---- sync, backfill ------------------------------------------------------------------------------------------ */

static int renamed_columns(struct proof *p, int plan, struct renamed *out)
{
    int n = 0;

    for (int i = 0; i < p->n_hidden; i++)
        if (p->hidden[i].plan == plan && p->hidden[i].column)
            out[n++] = (struct renamed) {p->hidden[i].column, p->hidden[i].hidden_name};
    return n;
}

static bool install_sync(struct proof *p, int state, int plan, struct err *err)
{
    struct renamed *renamed = arena_array(p->scratch, struct renamed, p->n_hidden + 1);
    struct sql_list l = {0};
    struct wire_result r = {0};

    sync_install_sql(p->scratch, p->t.plans[plan], renamed, renamed_columns(p, plan, renamed), &l);
    if (!run_sql_list(p, &l, &r, err))
        return false;
    if (!r.ok)
        failure_report(p, state, p->t.plans[plan]->sync.at, &r);
    return true;
}

static bool remove_sync(struct proof *p, int state, int plan, struct err *err)
{
    struct sql_list l = {0};
    struct wire_result r = {0};

    sync_remove_sql(p->scratch, p->t.plans[plan], &l);
    if (!run_sql_list(p, &l, &r, err))
        return false;
    if (!r.ok)
        failure_report(p, state, p->t.plans[plan]->sync.at, &r);
    return true;
}

/* NULL: it isn't SQL. */
const char *replay_fill_sql(struct proof *p, const struct plan *plan, const struct backfill *b,
                            struct backfill_spec *spec)
{
    const char *why = NULL;
    AUTO(str) sql = {0};

    if (b->via.n > 0 || !backfill_spec_of(p->scratch, plan, b, spec, &why))
        return NULL;
    const struct backfill_spec s = *spec;
    if (s.insert)
        return backfill_insert_all(p->scratch, &s);
    str_add(&sql, "UPDATE ");
    sql_qualified(&sql, s.schema, s.table);
    for (int i = 0; i < s.set.n; i++) {
        str_add(&sql, i ? ", " : " SET ");
        sql_ident(&sql, s.set.items[i].key.s);
        str_addf(&sql, " = (%s)", s.set.items[i].value.s);
    }
    if (s.from)
        str_addf(&sql, " FROM %s", s.from);
    str_addf(&sql, " WHERE (%s)", s.todo);
    if (s.match)
        str_addf(&sql, " AND (%s)", s.match);
    return arena_strdup(p->scratch, str_text(&sql));
}

static bool run_backfill(struct proof *p, int state, const struct plan *plan,
                         const struct backfill *b, struct err *err)
{
    struct backfill_spec spec = {0};
    const char *sql = replay_fill_sql(p, plan, b, &spec);
    const char *list[] = {"SET LOCAL phasegate.backfill = 'on'", sql};
    struct wire_result r = {0};
    int failed;

    if (b->via.n > 0)
        fills_untried(p, state, b);
    if (!sql)
        return true;
    if (!spec.insert && !fitting_rows(p, spec.schema, spec.table, sql, err))
        return false;
    if (!fills_probe(p, state, plan, b, sql, err))
        return false;
    if (!run_list(p, list, 2, &r, &failed, err))
        return false;
    if (failed >= 0)
        failure_report(p, state, b->at, &r);
    return true;
}

/* ---- soft drops ---------------------------------------------------------------------------------------------- */

static struct hidden *hide_new(struct proof *p, const struct task *task, int plan)
{
    p->hidden = arena_grow(p->a, p->hidden, sizeof *p->hidden * (size_t) p->n_hidden,
                           sizeof *p->hidden * (size_t) (p->n_hidden + 1));
    p->hidden[p->n_hidden] = (struct hidden) {.task = task, .plan = plan};
    return &p->hidden[p->n_hidden++];
}

static bool run_hidden(struct proof *p, int state, struct hidden *h, const struct sql_list *l,
                       struct err *err)
{
    struct wire_result r = {0};

    for (int i = 0; l->n == 1 && i < 1; i++)
        if (strstr(l->items[0], "CONCURRENTLY")) {
            if (!wire_exec(p->owner, p->scratch, l->items[0], false, &r, err))
                return false;
            if (!r.ok)
                failure_report(p, state, h->task->step->stmts[0].at, &r);
            return true;
        }
    if (!run_sql_list(p, l, &r, err))
        return false;
    if (!r.ok)
        failure_report(p, state, h->task->step->stmts[0].at, &r);
    return true;
}

static bool follows_sync(const struct proof *p, const struct hidden *h)
{
    const struct sync *s = &p->t.plans[h->plan]->sync;

    return h->column && s->by == SYNC_TRIGGER && strcmp(s->table.s, h->table) == 0;
}

/* There is nothing of that name to hide. That is what IF EXISTS is for; else the server says what it misses. */
static bool try_as_written(struct proof *p, int state, const struct sql_stmt *s, struct err *err)
{
    const struct wire_op ops[] = {
        {.kind = WIRE_RUN, .sql = "BEGIN", .sync = true},
        {.kind = WIRE_RUN, .sql = s->sql, .sync = true},
        {.kind = WIRE_RUN, .sql = "ROLLBACK", .sync = true},
    };
    struct wire_result r[3] = {{0}};

    if (!wire_run(p->owner, p->scratch, ops, 3, r, err))
        return false;
    if (!r[1].ok)
        failure_report(p, state, s->at, &r[1]);
    return true;
}

static bool soft_drop(struct proof *p, int state, const struct task *t, int plan, struct err *err)
{
    struct hidden *h = hide_new(p, t, plan);
    bool found = false, ok = hide_plan(p, &t->step->stmts[0], h, &found, err);

    if (!ok || !found) {
        p->n_hidden--;
        return ok && try_as_written(p, state, &t->step->stmts[0], err);
    }
    int at = p->n_hidden - 1;
    return run_hidden(p, state, h, &h->drop, err) &&
           (p->broken[state] || !follows_sync(p, &p->hidden[at]) ||
            install_sync(p, state, plan, err));
}

static bool purge_drop(struct proof *p, int state, const struct task *t, int plan, struct err *err)
{
    for (int i = 0; i < p->n_hidden; i++)
        if (p->hidden[i].plan == plan && p->hidden[i].task->step == t->step) {
            struct hidden *h = &p->hidden[i];
            bool ok = run_hidden(p, state, h, &h->purge, err);

            memmove(h, h + 1, sizeof *h * (size_t) (p->n_hidden - i - 1));
            p->n_hidden--;
            return ok;
        }
    /* Hidden before the proof began. */
    for (int i = 0; i < p->o->n_hidden; i++)
        if (strcmp(p->o->hidden[i].step, t->step->id.s) == 0) {
            struct hidden h = {.task = t, .plan = plan};
            return run_hidden(p, state, &h, &p->o->hidden[i].purge, err);
        }
    return true;
}

/* Everything that the plan hides comes back, and the sync's function with it. */
static bool restore_plan(struct proof *p, int state, int plan, bool back, struct err *err)
{
    int n = p->n_hidden;
    bool sync = false;

    for (int k = 0; k < n; k++) {
        int i = back ? n - 1 - k : k;
        if (p->hidden[i].plan != plan)
            continue;
        sync |= follows_sync(p, &p->hidden[i]);
        if (!run_hidden(p, state, &p->hidden[i], back ? &p->hidden[i].restore : &p->hidden[i].drop,
                        err))
            return false;
    }
    if (!sync)
        return true;
    p->n_hidden = back ? 0 : n;
    bool ok = install_sync(p, state, plan, err);
    p->n_hidden = n;
    return ok;
}

/* ---- from state to state -------------------------------------------------------------------------------------- */

bool replay_task(struct proof *p, int state, struct err *err)
{
    const struct timeline_state *s = &p->t.states[state];
    const struct task *t = s->task;

    switch (t->kind) {
    case TASK_STEP: return apply_step(p, state, t->step, err);
    case TASK_SYNC_INSTALL: return install_sync(p, state, s->plan, err);
    case TASK_SYNC_REMOVE: return remove_sync(p, state, s->plan, err);
    case TASK_BACKFILL: return run_backfill(p, state, p->t.plans[s->plan], t->backfill, err);
    case TASK_SOFT_DROP: return soft_drop(p, state, t, s->plan, err);
    case TASK_PURGE_DROP: return purge_drop(p, state, t, s->plan, err);
    case TASK_VERIFY:
    case TASK_COMPARE:
    case TASK_RUNG:
    case TASK_GATES: return true;
    }
    return true;
}

static bool open_database(struct proof *p, struct err *err)
{
    /* On a busy machine a large catalogue takes its time. */
    struct wire_options root = {.database = CHECK_DATABASE,
                                .superuser = true,
                                .search_path = "''",
                                .statement_ms = ROOT_MS};
    struct wire_options owner = {
        .database = CHECK_DATABASE, .keep_notices = true, .statement_ms = STEP_MS};
    struct wire_options seeds = {.database = CHECK_DATABASE, .seeds = true, .search_path = "''"};

    struct wire_result r = {0};

    p->database = CHECK_DATABASE;
    /* The first session in a new database is dear. The others come while it works, and find there what it has
     * cached for them. */
    return shadow_database(p->shadow, CHECK_DATABASE, p->origin, err) &&
           wire_begin(p->shadow, &root, &p->root, err) &&
           wire_begin(p->shadow, &owner, &p->owner, err) &&
           wire_begin(p->shadow, &seeds, &p->seeder, err) && wire_settle(&p->root, err) &&
           catalogue_prepare(p->root, err) && wire_settle(&p->owner, err) &&
           /* Where the functions of sync triggers live. Not as superuser: the baseline's triggers on events would run
            * as that. */
           wire_exec(p->owner, p->scratch, "CREATE SCHEMA IF NOT EXISTS phasegate", false, &r, err);
}

static bool read_now(struct proof *p, struct err *err)
{
    p->before = p->now;
    p->turn = !p->turn;
    arena_reset(&p->catalogues[p->turn]);
    return catalogue_read(p->root, &p->catalogues[p->turn], &p->now, err);
}

/* Rows as they are from before the plan: triggers of a sync that is in place already leave them alone. */
static bool seed_past(struct proof *p, struct err *err)
{
    struct wire_result r = {0};

    bool ok = wire_settle(&p->seeder, err) &&
              wire_exec(p->seeder, p->scratch, "SET phasegate.backfill = 'on'", false, &r, err) &&
              seed_tables(p, err);
    wire_close(p->seeder);
    p->seeder = NULL;
    return ok;
}

/* The database as it is has run the backfills of the phases that are done. Of the other plans nobody has looked
 * where they stand: what of them can't run here isn't needed here. */
static bool fill_past(struct proof *p, struct err *err)
{
    const struct timeline_next *next = p->o->next;

    for (int i = 0; next && i < p->t.n_plans; i++)
        for (int ph = PHASE_FIRST; ph <= PHASE_LAST; ph++) {
            const struct plan *plan = p->t.plans[i];
            bool is_own = strcmp(plan->id.s, next->plan) == 0;

            if (is_own && ph >= (int) next->phase)
                continue;
            for (int k = 0; k < plan->phases[ph].backfill.n; k++) {
                struct backfill_spec spec = {0};
                const char *sql =
                    replay_fill_sql(p, plan, &plan->phases[ph].backfill.items[k], &spec);
                const char *list[] = {"SET LOCAL phasegate.backfill = 'on'", sql};
                struct wire_result r = {0};
                int failed;

                if (sql && !run_list(p, list, 2, &r, &failed, err))
                    return false;
            }
        }
    return true;
}

/* Where the statement stands that the server is still at. */
static bool place_busy(const struct proof *p, struct err *err)
{
    enum { ENOUGH = 200 };

    for (int i = 0; strcmp(err->sqlstate, "55006") == 0 && i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];
        const char *start = arena_strndup(p->scratch, a->q->sql, strnlen(a->q->sql, ENOUGH));

        if (strstr(str_text(&err->detail), start))
            return err_note(err, "%s:%d (%s)", a->s->sql_at.file, a->s->sql_at.line, a->s->name);
    }
    return false;
}

static bool start_over(struct proof *p, struct err *err)
{
    sessions_close(p);
    wire_close(p->root);
    wire_close(p->owner);
    wire_close(p->seeder);
    p->root = p->owner = p->seeder = NULL;
    p->n_hidden = p->n_born = p->n_loosened = 0;
    p->n_rows++;
    p->state = 0;
    if (p->database && !shadow_drop(p->shadow, CHECK_DATABASE, err))
        return place_busy(p, err);
    p->n_seeds = p->n_empty = 0;
    /* Roles that earlier steps make are theirs to make: the sessions of releases come after them. */
    if (!open_database(p, err) || !earlier_run(p, err) || !sessions_begin(p, err) ||
        !catalogue_read(p->root, p->a, &p->baseline, err))
        return false;
    p->before = p->now;
    p->now = p->baseline; /* which lives longer than either of the two in turn */
    return seed_past(p, err) && fill_past(p, err);
}

static void note_birth(struct proof *p, const struct timeline_state *s, unsigned relation,
                       int column)
{
    p->born = arena_grow(p->a, p->born, sizeof *p->born * (size_t) p->n_born,
                         sizeof *p->born * (size_t) (p->n_born + 1));
    p->born[p->n_born++] = (struct born) {relation, column, s->plan, s->phase};
}

static void note_births(struct proof *p, const struct timeline_state *s)
{
    for (int i = 0; i < p->now.n_relations; i++) {
        const struct cat_relation *r = &p->now.relations[i], *was = cat_by_oid(&p->before, r->oid);

        if (!was)
            note_birth(p, s, r->oid, 0);
        for (int c = 0; was && c < r->n_columns; c++)
            if (!cat_column_number(was, r->columns[c].number))
                note_birth(p, s, r->oid, r->columns[c].number);
    }
}

static bool step_to(struct proof *p, int state, struct err *err)
{
    const struct timeline_state *s = &p->t.states[state];
    struct limits *limits = NULL;
    struct effects *effects = NULL;
    AUTO(arena) kept = {0};
    struct undone *undone = NULL;

    p->entering = state;
    if (!limits_before(p, state, &limits, err) || !legacy_before(p, state, err) ||
        !effects_before(p, state, &effects, err) || !changed_before(p, state, err) ||
        !undone_before(p, state, &kept, &undone, err))
        return false;
    if (!(s->by == STATE_RESTORE
              ? restore_plan(p, state, s->plan, true, err)
              : lost_skips(p, state) || p->endless[state] || replay_task(p, state, err)))
        return false;
    p->state = state;
    p->n_rows += changes_rows(p, state);
    /* A migration's session ends, and its locks and settings with it. */
    struct wire_result r = {0};
    if (!wire_exec(p->owner, p->scratch,
                   "RESET ROLE; RESET ALL; SELECT pg_catalog.pg_advisory_unlock_all()", false, &r,
                   err))
        return false;
    if (!read_now(p, err) || !undone_after(p, state, undone, err) ||
        !numbers_state(p, state, err) || !seed_move_sequences(p, 2 * state, err) ||
        !limits_after(p, state, limits, err) || !effects_after(p, state, effects, err))
        return false;
    note_births(p, s);
    loosened_note(p, s);
    p->told[state] = true;
    return true;
}

/* The states between the baseline and this one, as they come. */
static bool walk_to(struct proof *p, int state, struct err *err)
{
    int from = p->t.states[state].from;

    if (from > 0 && !walk_to(p, from, err))
        return false;
    return (state == 0 || step_to(p, state, err)) && probe_hold_again(p, state, err);
}

bool replay_again(struct proof *p, int state, struct err *err)
{
    return start_over(p, err) && walk_to(p, state, err);
}

bool replay_to(struct proof *p, int state, struct err *err)
{
    int from = p->t.states[state].from;

    if (state == 0)
        return start_over(p, err);
    /* Out of a restored state into what follows the hidden one: what came back is hidden again. */
    if (p->t.states[p->state].by == STATE_RESTORE && p->t.states[p->state].from == from) {
        if (!restore_plan(p, p->state, p->t.states[p->state].plan, false, err))
            return false;
        p->state = from;
    }
    if (p->state == from)
        return step_to(p, state, err);
    return replay_again(p, from, err) && step_to(p, state, err);
}

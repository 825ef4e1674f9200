/* Facts of the live server against what a phase needs: what is asked of whom, and what came back. */
#include "preflight_int.h"

#include "phasegate/data_needs.h"
#include "phasegate/generate.h"
#include "sql_embedded.h"

#include <stdlib.h>

/* ---- limits: those of a backfill's throttles, where it has them ----------------------------------------- */

#define OWN_SESSIONS 3               /* ours, a monitor, somebody who looks */
#define SLOT_BYTES (8LL << 30)       /* see slot_retention */
#define WAITING_SEGMENTS 42          /* see archiver */
#define STANDBY_S 5                  /* see replica_lag */
#define STANDBY_BYTES (64LL << 20)   /* see replica_bytes */
#define LOCK_TRANSACTION_S 60        /* a lock waits for it, and everybody for the lock */
#define FILL_TRANSACTION_S (30 * 60) /* rows that were changed can't be vacuumed before it ends */
#define SPARE_BYTES (1LL << 30)

const char *preflight_outcome_word(enum preflight_outcome o)
{
    switch (o) {
    case PREFLIGHT_PASS: return "pass";
    case PREFLIGHT_WARN: return "warn";
    case PREFLIGHT_NO_GO: return "no-go";
    }
    return "?";
}

struct preflight_check *preflight_add(struct preflighting *f, const char *id, const char *about,
                                      const char *sql)
{
    struct preflight *out = f->out;

    if (out->n == f->cap) {
        int cap = f->cap ? 2 * f->cap : 32;
        out->items = arena_grow(f->a, out->items, sizeof *out->items * (size_t) f->cap,
                                sizeof *out->items * (size_t) cap);
        f->cap = cap;
    }
    out->items[out->n] = (struct preflight_check) {.id = id, .about = about, .sql = sql};
    return &out->items[out->n++];
}

void preflight_settle(struct preflighting *f, struct preflight_check *c,
                      enum preflight_outcome outcome, const char *value, const char *limit,
                      const char *help)
{
    c->outcome = outcome;
    c->value = value;
    c->limit = limit;
    c->help = help;
    f->out->n_warn += outcome == PREFLIGHT_WARN;
    f->out->n_no_go += outcome == PREFLIGHT_NO_GO;
}

bool preflight_unknown(struct preflighting *f, struct preflight_check *c, struct err *err)
{
    if (!db_is_usable(f->e->db) || err_is(err, ERR_INTERRUPTED))
        return false;
    const char *words = arena_strdup(f->a, str_text(&err->message));
    err_clear(err);
    preflight_settle(f, c, PREFLIGHT_WARN, arena_printf(f->a, "not measured: %s", words),
                     "an answer", NULL);
    return true;
}

/* ---- what the phase touches -------------------------------------------------------------------------------- */

struct touched *preflight_table(struct preflighting *f, const char *schema, const char *table)
{
    for (int i = 0; table && i < f->n_tables; i++) {
        struct touched *t = &f->tables[i];
        bool same = t->schema && schema ? strcmp(t->schema, schema) == 0 : t->schema == schema;

        if (same && strcmp(t->table, table) == 0)
            return t;
    }
    return NULL;
}

static struct touched *touch(struct preflighting *f, const char *schema, const char *table,
                             struct pos at)
{
    struct touched *t = preflight_table(f, schema, table);

    if (t || !table)
        return t;
    f->tables = arena_grow(f->a, f->tables, sizeof *f->tables * (size_t) f->n_tables,
                           sizeof *f->tables * (size_t) (f->n_tables + 1));
    t = &f->tables[f->n_tables++];
    *t = (struct touched) {.schema = schema, .table = table, .at = at};
    return t;
}

/* What is attached is scanned under a lock of its own. */
static void touch_others(struct preflighting *f, const struct sql_stmt *s)
{
    struct data_need_list l;

    if (!strstr(s->kind, "ATTACH"))
        return;
    data_needs_of(f->a, s, &l);
    for (int i = 0; i < l.n; i++)
        touch(f, l.items[i].schema, l.items[i].table, s->at)->defines = true;
}

static void touch_step(struct preflighting *f, const struct step *step)
{
    for (int k = 0; k < step->n_stmts; k++) {
        const struct sql_stmt *s = &step->stmts[k];
        bool is_new = strncmp(s->kind, "CREATE TABLE", strlen("CREATE TABLE")) == 0;
        struct touched *t = is_new ? NULL : touch(f, s->schema, s->table, s->at);

        if (!t)
            continue;
        t->defines |= s->class != SQL_DATA;
        t->fills |= s->class == SQL_DATA;
        t->is_dropped |= strcmp(s->kind, "DROP TABLE") == 0;
        touch_others(f, s);
    }
}

static void touch_steps(struct preflighting *f, const struct step_list *steps)
{
    for (int i = 0; i < steps->n; i++)
        touch_step(f, &steps->items[i]);
}

/* What is hidden is found under the name that hides it. */
static bool touch_hidden(struct preflighting *f, const struct task *t, struct err *err)
{
    struct soft_drop *d = NULL;
    int n = 0;

    if (!ledger_soft_drops(f->e->db, f->a, f->p->id.s, &d, &n, err))
        return false;
    for (int i = 0; i < n; i++) {
        bool whole = strcmp(d[i].object_kind, "table") == 0;

        if (d[i].restored_at_ms || d[i].purged_at_ms ||
            strcmp(d[i].step, t->id + strlen("purge/")) != 0 ||
            (!whole && strcmp(d[i].object_kind, "column") != 0))
            continue;
        touch(f, whole ? HOLD_SCHEMA : d[i].schema, whole ? d[i].hidden_name : d[i].table,
              t->step->at)
            ->defines = true;
    }
    return true;
}

static bool touch_purged(struct preflighting *f, struct err *err)
{
    const struct sync *sync = &f->p->sync;
    struct script s;

    plan_script(f->a, f->p, f->phase, true, &s);
    for (int i = 0; i < s.n; i++) {
        const struct task *t = &s.tasks[i];

        if (t->kind == TASK_STEP)
            touch_step(f, t->step);
        else if (t->kind == TASK_SYNC_REMOVE && sync->table.s)
            touch(f, sync->schema.s, sync->table.s, sync->at)->defines = true;
        else if (t->kind == TASK_PURGE_DROP && !touch_hidden(f, t, err))
            return false;
    }
    return true;
}

static void touch_all(struct preflighting *f)
{
    const struct phase_plan *ph = &f->p->phases[f->phase];
    const struct sync *sync = &f->p->sync;

    touch_steps(f, &ph->steps);
    touch_steps(f, &ph->finish);
    for (int i = 0; i < ph->backfill.n; i++) {
        struct backfill_spec spec;
        const char *why = NULL;

        if (!backfill_spec_of(f->a, f->p, &ph->backfill.items[i], &spec, &why))
            continue;
        struct touched *t = touch(f, spec.schema, spec.table, ph->backfill.items[i].at);
        t->fills |= !spec.insert;
        if (spec.insert)
            touch(f, NULL, ph->backfill.items[i].insert_into.s, ph->backfill.items[i].at);
    }
    if (sync->by == SYNC_TRIGGER && (f->phase == PHASE_EXPAND || f->phase == PHASE_CONTRACT)) {
        struct touched *t = touch(f, sync->schema.s, sync->table.s, sync->at);
        if (t)
            t->defines = true;
    }
}

static bool find_key(struct preflighting *f, struct touched *t, struct err *err)
{
    struct db_rows rows = {0};
    AUTO(str) key = {0};

    if (!ask_own(f->e, f->a, sql_preflight_key, &DB_PARAMS(t->oid), &rows, err))
        return false;
    for (int i = 0; i < rows.n_rows; i++) {
        str_add(&key, i ? ", " DATA_NEED_ROW "." : DATA_NEED_ROW ".");
        sql_ident(&key, db_cell(&rows, i, 0));
    }
    t->key = rows.n_rows ? arena_strdup(f->a, str_text(&key)) : NULL;
    return true;
}

static bool find_table(struct preflighting *f, struct touched *t, struct err *err)
{
    struct db_rows rows = {0};
    AUTO(str) name = {0};

    sql_qualified(&name, t->schema, t->table);
    if (!ask_rows(f->e, f->a, NULL, sql_preflight_table, &DB_PARAMS(str_text(&name)),
                  f->e->policy.statement_timeout_ms, &rows, err))
        return false;
    if (rows.n_rows == 0)
        return true;
    t->oid = db_cell(&rows, 0, 0);
    t->name = db_cell(&rows, 0, 1);
    const char *bytes = db_cell(&rows, 0, 2);
    t->bytes = bytes ? strtoll(bytes, NULL, 10) : 0;
    t->index_bytes = db_cell(&rows, 0, 3) ? strtoll(db_cell(&rows, 0, 3), NULL, 10) : 0;
    t->rows = db_cell(&rows, 0, 4) ? strtoll(db_cell(&rows, 0, 4), NULL, 10) : -1;
    t->plain = db_cell(&rows, 0, 5);
    return find_key(f, t, err);
}

/* Even its size isn't told while somebody has it for themselves. */
static bool note_held(struct preflighting *f, struct touched *t, struct err *err)
{
    if (strcmp(err->sqlstate, "55P03") != 0 || !db_is_usable(f->e->db))
        return false;
    struct preflight_check *c = preflight_add(f, "locks", t->table, sql_preflight_table);
    c->at = t->at;
    t->oid = NULL;
    err_clear(err);
    preflight_settle(
        f, c, PREFLIGHT_NO_GO, "somebody holds it against everybody, readers too",
        "nobody holds it against writers",
        "let that end first: a maintenance command, an index build, another migration");
    return true;
}

/* A whole table that contract hides is taken out of those whose rows its rows are as well. */
static bool touch_parents(struct preflighting *f, struct err *err)
{
    int n = f->n_tables;

    if (f->phase != PHASE_CONTRACT || f->out->is_purge)
        return true;
    for (int i = 0; i < n; i++) {
        const struct touched t = f->tables[i];
        struct db_rows rows = {0};

        if (!t.is_dropped || !t.oid)
            continue;
        if (!ask_own(f->e, f->a, sql_preflight_parents, &DB_PARAMS(t.oid), &rows, err))
            return false;
        for (int k = 0; k < rows.n_rows; k++)
            touch(f, db_cell(&rows, k, 0), db_cell(&rows, k, 1), t.at)->defines = true;
    }
    for (int i = n; i < f->n_tables; i++)
        if (!find_table(f, &f->tables[i], err) && !note_held(f, &f->tables[i], err))
            return false;
    return true;
}

/* ---- the server ---------------------------------------------------------------------------------------------- */

/* One row: outcome, value, limit, help. The words of the outcome are those of preflight_outcome_word. */
bool preflight_ask(struct preflighting *f, const char *id, const char *about, const char *sql,
                   const struct db_params *params, struct pos at, struct err *err)
{
    struct preflight_check *c = preflight_add(f, id, about, sql);
    struct db_rows rows = {0};

    c->at = at;
    if (!ask_own(f->e, f->a, sql, params, &rows, err))
        return preflight_unknown(f, c, err);
    if (rows.n_rows != 1 || rows.n_cols != 4 || !db_cell(&rows, 0, 0)) {
        preflight_settle(f, c, PREFLIGHT_WARN, "not measured: no answer", "an answer", NULL);
        return true;
    }
    enum preflight_outcome outcome = PREFLIGHT_NO_GO;
    for (int o = PREFLIGHT_PASS; o <= PREFLIGHT_WARN; o++)
        if (strcmp(db_cell(&rows, 0, 0), preflight_outcome_word((enum preflight_outcome) o)) == 0)
            outcome = (enum preflight_outcome) o;
    preflight_settle(f, c, outcome, db_cell(&rows, 0, 1), db_cell(&rows, 0, 2),
                     db_cell(&rows, 0, 3));
    return true;
}

static const char *number(struct preflighting *f, int64_t n)
{
    return arena_printf(f->a, "%lld", (long long) n);
}

static int64_t workers_of(const struct preflighting *f)
{
    const struct backfill_list *l = &f->p->phases[f->phase].backfill;
    int64_t most = 0;

    for (int i = 0; i < l->n; i++) {
        int64_t n = l->items[i].workers != MODEL_UNSET ? l->items[i].workers : 1;
        most = n > most ? n : most;
    }
    return most;
}

static bool takes_locks(const struct preflighting *f)
{
    for (int i = 0; i < f->n_tables; i++)
        if (f->tables[i].defines)
            return true;
    return false;
}

static bool ask_server(struct preflighting *f, struct err *err)
{
    const struct {
        const char *id, *sql;
        struct db_params params;
    } rows[] = {
        {"server", sql_preflight_server, DB_NO_PARAMS},
        {"connections", sql_preflight_connections,
         DB_PARAMS(number(f, workers_of(f) + OWN_SESSIONS))},
        {"settings", sql_preflight_settings, DB_PARAMS(number(f, f->e->policy.lock_timeout_ms))},
        {"slots", sql_preflight_slots, DB_PARAMS(number(f, SLOT_BYTES))},
        {"archiver", sql_preflight_archiver, DB_PARAMS(number(f, WAITING_SEGMENTS))},
        {"standbys", sql_preflight_standbys,
         DB_PARAMS(number(f, STANDBY_S), number(f, STANDBY_BYTES))},
        {"transactions", sql_preflight_transactions,
         DB_PARAMS(number(f, takes_locks(f) ? LOCK_TRANSACTION_S : FILL_TRANSACTION_S))},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!preflight_ask(f, rows[i].id, NULL, rows[i].sql, &rows[i].params, (struct pos) {0},
                           err))
            return false;
    return true;
}

/* Whoever can't be asked is a warning: the backup may be made on another host. */
static bool ask_backup(struct preflighting *f, struct err *err)
{
    const struct backup_ask ask = {MODEL_UNSET, f->e->policy.statement_timeout_ms, false};
    AUTO(str) limit = {0};
    struct gate_reading got;

    if (!has_backup(f->e->env))
        return true;
    struct preflight_check *c = preflight_add(f, "backup", f->e->env->backup_stanza.s, NULL);
    if (!backup_measure(f->e, f->p, &ask, f->a, &got, err))
        return preflight_unknown(f, c, err);
    str_add(&limit, "a good backup");
    if (f->e->env->backup_max_age_ms != MODEL_UNSET) {
        str_add(&limit, ", not older than ");
        duration_to_text(&limit, f->e->env->backup_max_age_ms);
    }
    preflight_settle(f, c,
                     got.verdict == GATE_PASS   ? PREFLIGHT_PASS
                     : got.verdict == GATE_FAIL ? PREFLIGHT_NO_GO
                                                : PREFLIGHT_WARN,
                     got.verdict == GATE_NO_DATA
                         ? arena_printf(f->a, "not measured: %s", got.detail)
                         : got.detail,
                     arena_strdup(f->a, str_text(&limit)),
                     got.verdict == GATE_FAIL ? "take a backup, or mend what it says" : NULL);
    return true;
}

/* WAL lies on the same disk until it is archived and no checkpoint needs it. */
static void ask_disk(struct preflighting *f)
{
    struct host *h = f->e->ports->host;
    struct preflight_check *c;
    const char *dir = NULL;
    int64_t need = SPARE_BYTES, free_bytes = -1;
    AUTO(err) ignored = {0};

    need += f->out->total.most_bytes + f->out->total.most_wal;
    c = preflight_add(f, "disk", NULL, NULL);
    if (ask_value(f->e, f->a, sql_select_data_directory, f->e->policy.statement_timeout_ms, &dir,
                  &ignored) &&
        dir)
        free_bytes = h->ops->disk_free(h, dir);
    const char *limit = arena_printf(
        f->a, "%lld MB: the most that the phase is estimated to take, with its WAL, and 1 GB",
        (long long) (need >> 20));
    if (free_bytes < 0)
        preflight_settle(f, c, PREFLIGHT_WARN,
                         "not measured: the server's disk can't be seen from here", limit,
                         "look at it there, or run phasegate on the database's host");
    else
        preflight_settle(f, c, free_bytes < need ? PREFLIGHT_NO_GO : PREFLIGHT_PASS,
                         arena_printf(f->a, "%lld MB free", (long long) (free_bytes >> 20)), limit,
                         free_bytes < need ? "free some disk first" : NULL);
}

/* The same table, written with its schema and without. */
static bool is_asked_before(const struct preflighting *f, int at)
{
    const struct touched *t = &f->tables[at];

    for (int i = 0; i < at; i++)
        if (f->tables[i].oid && strcmp(f->tables[i].oid, t->oid) == 0 &&
            f->tables[i].defines >= t->defines && f->tables[i].fills >= t->fills)
            return true;
    return false;
}

static bool ask_tables(struct preflighting *f, struct err *err)
{
    for (int i = 0; i < f->n_tables; i++) {
        const struct touched *t = &f->tables[i];
        const struct db_params oid = DB_PARAMS(t->oid),
                               held = DB_PARAMS(t->oid, t->defines ? "true" : "false"),
                               rights = DB_PARAMS(t->oid, t->defines ? "true" : "false",
                                                  t->fills ? "true" : "false");

        if (!t->oid || is_asked_before(f, i))
            continue;
        if (!preflight_ask(f, "rights", t->name, sql_preflight_rights, &rights, t->at, err) ||
            !preflight_ask(f, "locks", t->name, sql_preflight_locks, &held, t->at, err) ||
            !preflight_ask(f, "wraparound", t->name, sql_preflight_vacuum, &oid, t->at, err) ||
            !preflight_ask(f, "broken", t->name, sql_preflight_broken, &oid, t->at, err) ||
            (t->defines && !preflight_ask(f, "publications", t->name, sql_preflight_publications,
                                          &oid, t->at, err)) ||
            (t->fills &&
             !preflight_ask(f, "triggers", t->name, sql_preflight_triggers, &oid, t->at, err)))
            return false;
    }
    return true;
}

bool preflight_phase(struct engine *e, struct plan *p, enum phase phase, struct arena *a,
                     enum phase *out, struct err *err)
{
    struct plan_state state = {0};

    *out = phase;
    if (phase == PHASE_NONE && e->has_ledger && !ledger_plan_state(e->db, a, p->id.s, &state, err))
        return false;
    for (enum stage s = state.stage; phase == PHASE_NONE;) {
        *out = stage_next_phase(s);
        if (*out == PHASE_NONE || p->phases[*out].present)
            break;
        s = stage_of(*out, 1); /* an absent one is passed over */
    }
    if (*out != PHASE_NONE && !p->phases[*out].present)
        *out = PHASE_NONE;
    return true;
}

/* *is_purge: contract is done, and what is left of it is the purge. */
static bool find_phase(struct preflighting *f, enum phase phase, bool is_purge, struct err *err)
{
    struct plan_state state = {0};

    if (!preflight_phase(f->e, f->p, is_purge ? PHASE_CONTRACT : phase, f->a, &f->phase, err))
        return false;
    f->out->is_purge = is_purge && f->phase != PHASE_NONE;
    if (phase != PHASE_NONE || is_purge || f->phase != PHASE_NONE || !f->e->has_ledger)
        return true;
    if (!ledger_plan_state(f->e->db, f->a, f->p->id.s, &state, err))
        return false;
    f->out->is_purge = state.stage == STAGE_CONTRACT_DONE || state.stage == STAGE_PURGING;
    if (f->out->is_purge)
        f->phase = PHASE_CONTRACT;
    return true;
}

/* A purge gives disk back, and takes no time that is worth an estimate. */
static bool ask_room(struct preflighting *f, struct err *err)
{
    if (f->out->is_purge)
        return true;
    if (!preflight_estimates(f, err))
        return false;
    ask_disk(f);
    return true;
}

static bool look(struct preflighting *f, enum phase phase, bool is_purge, struct err *err)
{
    if (!f->e->facts(f->e->set, f->p, err) || !find_phase(f, phase, is_purge, err))
        return false;
    if (f->phase == PHASE_NONE)
        return true;
    f->out->phase = f->phase;
    if (!f->out->is_purge)
        touch_all(f);
    else if (f->e->has_ledger && !touch_purged(f, err))
        return false;
    for (int i = 0; i < f->n_tables; i++)
        if (!find_table(f, &f->tables[i], err) && !note_held(f, &f->tables[i], err))
            return false;
    return touch_parents(f, err) && ask_server(f, err) && ask_backup(f, err) && ask_room(f, err) &&
           ask_tables(f, err) && preflight_gone(f, err) && preflight_data(f, err);
}

bool engine_preflight(struct engine *e, struct plan *p, enum phase phase, bool is_purge, bool tries,
                      struct arena *a, struct preflight *out, struct err *err)
{
    struct preflighting f = {.e = e, .p = p, .a = a, .out = out, .tries = tries};

    *out = (struct preflight) {0};
    return look(&f, phase, is_purge, err);
}

bool preflight_look(struct work *w, enum phase phase, bool is_purge, struct fact *f,
                    struct err *err)
{
    struct preflight found = {0};
    struct preflighting looking = {.e = w->e, .p = w->p, .a = w->a, .out = &found};
    AUTO(str) what = {0};

    fact_yes(f);
    /* What plans before it are to make isn't there yet. */
    if (w->o->glance || w->o->n_before > 0 || w->e->policy.preflight == PREFLIGHT_OFF)
        return true;
    if (!look(&looking, phase, is_purge, err))
        return false;
    for (int i = 0; i < found.n; i++) {
        const struct preflight_check *c = &found.items[i];

        if (c->outcome == PREFLIGHT_NO_GO)
            str_addf(&what, "%s%s%s%s: %s", what.len ? "; " : "", c->id, c->about ? " " : "",
                     c->about ? c->about : "", c->value ? c->value : "no value");
    }
    if (found.n_no_go > 0)
        fact_no(f,
                arena_printf(w->a, "preflight of %s: %s", approval_word(phase, is_purge),
                             str_text(&what)),
                arena_printf(w->a, "phasegate preflight %s shows rows, limits and what to do",
                             w->p->id.s));
    return true;
}

/* What is half done, broken or drifted, each with the command that mends it. Looks only. */
#include "internal.h"

struct list {
    struct arena *a;
    struct ailment *items;
    int n, cap;
};

static void ail(struct list *l, bool grave, const char *what, const char *where, const char *mend)
{
    if (l->n == l->cap) {
        int cap = l->cap ? 2 * l->cap : 16;
        l->items = arena_grow(l->a, l->items, sizeof *l->items * (size_t) l->cap,
                              sizeof *l->items * (size_t) cap);
        l->cap = cap;
    }
    l->items[l->n++] =
        (struct ailment) {.what = what, .where = where, .mend = mend, .grave = grave};
}

static bool invalid_indexes(struct engine *e, struct list *l, struct err *err)
{
    struct db_rows rows = {0};

    if (!db_query(
            e->db, l->a,
            "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_index i "
            "JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace n ON "
            "n.oid = c.relnamespace "
            "WHERE NOT i.indisvalid AND c.relkind = 'i' AND NOT EXISTS (SELECT 1 FROM "
            "pg_catalog.pg_stat_progress_create_index p "
            "WHERE p.index_relid = i.indexrelid) ORDER BY 1",
            &DB_NO_PARAMS, &rows, err))
        return false;
    for (int i = 0; i < rows.n_rows; i++)
        ail(l, true,
            arena_printf(l->a, "index %s is invalid: a build of it was interrupted",
                         db_cell(&rows, i, 0)),
            db_cell(&rows, i, 0),
            arena_printf(l->a,
                         "the step that builds it removes and repeats it: phasegate advance; or: "
                         "DROP INDEX CONCURRENTLY %s",
                         db_cell(&rows, i, 0)));
    if (!db_query(e->db, l->a,
                  "SELECT pg_catalog.format('%I on %s', c.conname, "
                  "c.conrelid::pg_catalog.regclass) FROM pg_catalog.pg_constraint c "
                  "WHERE NOT c.convalidated ORDER BY 1",
                  &DB_NO_PARAMS, &rows, err))
        return false;
    for (int i = 0; i < rows.n_rows; i++)
        ail(l, false,
            arena_printf(l->a, "constraint %s is not validated: it binds new rows only",
                         db_cell(&rows, i, 0)),
            db_cell(&rows, i, 0), "ALTER TABLE ... VALIDATE CONSTRAINT, as a step of its own");
    return true;
}

/* There may be thousands of plans: what is read of one lives in scratch. */
static bool plan_ailments(struct engine *e, struct plan *p, struct arena *scratch, struct list *l,
                          struct err *err)
{
    struct plan_state s = {0};
    struct edit *edits;
    int n = 0;
    struct history_row *rows;
    struct plan room, *whole;

    if (!ledger_plan_state(e->db, scratch, p->id.s, &s, err) ||
        !(whole = e->read_plan(e->set, p, scratch, &room, err)) ||
        !engine_edits(e, whole, scratch, &edits, &n, err))
        return false;
    for (int i = 0; i < n; i++)
        ail(l, true,
            arena_printf(l->a, "step %s of %s reads differently from what was applied",
                         edits[i].step, edits[i].phase),
            arena_printf(l->a, "%s:%d:%d", edits[i].at.file, edits[i].at.line, edits[i].at.col),
            arena_printf(l->a, "undo the edit, or: phasegate accept %s --because REASON", p->id.s));
    if (!ledger_steps(e->db, scratch, p->id.s, &rows, &n, err))
        return false;
    for (int i = 0; i < n; i++)
        if (strcmp(rows[i].status, "started") == 0 || strcmp(rows[i].status, "failed") == 0)
            ail(l, true,
                arena_printf(l->a, "step %s of %s %s and wasn't finished (run %s)", rows[i].step,
                             rows[i].phase, rows[i].status, rows[i].run_id),
                p->id.s,
                arena_printf(l->a,
                             "phasegate advance %s --release %s: it observes the catalogue first",
                             p->id.s, rows[i].release ? rows[i].release : "V"));
    if (stage_is_running(s.stage) || stage_is_undoing(s.stage))
        ail(l, false, arena_printf(l->a, "plan %s is at \"%s\"", p->id.s, stage_word(s.stage)),
            p->id.s,
            stage_is_undoing(s.stage)
                ? arena_printf(l->a, "phasegate %s %s",
                               s.stage == STAGE_CONTRACT_UNDOING ? "restore" : "rollback", p->id.s)
                : arena_printf(l->a, "phasegate advance %s goes on with it", p->id.s));
    if (s.brake != BRAKE_NONE)
        ail(l, false,
            arena_printf(l->a, "plan %s is %s%s%s", p->id.s, brake_word(s.brake),
                         s.brake_reason ? ": " : "", s.brake_reason ? s.brake_reason : ""),
            p->id.s, arena_printf(l->a, "phasegate resume %s, once the cause is gone", p->id.s));
    return true;
}

/* Plans that the ledger knows and the files don't: a branch that isn't merged, or a file that was removed. */
static bool orphans(struct engine *e, struct list *l, struct err *err)
{
    struct plan_state *s = NULL;
    int n = 0;

    if (!ledger_plan_states(e->db, l->a, &s, &n, err))
        return false;
    for (int i = 0; i < n; i++)
        if (!plan_find(e->set, s[i].plan))
            ail(l, true,
                arena_printf(l->a, "plan %s was applied (\"%s\") and has no file", s[i].plan,
                             stage_word(s[i].stage)),
                s[i].plan, "bring its file back: a plan that was applied stays");
    return true;
}

static bool runs(struct engine *e, struct list *l, struct err *err)
{
    struct holder h = {0}, *stale = NULL;
    bool held = false;
    int n = 0;

    if (!lease_holder(e->db, l->a, &held, &h, err) ||
        !lease_stale_backends(e->db, l->a, e->run_id, &stale, &n, err))
        return false;
    for (int i = 0; i < n; i++)
        if (!held || stale[i].backend_pid != h.backend_pid)
            ail(l, true,
                arena_printf(l->a, "backend %lld of run %s is still working after its client",
                             (long long) stale[i].backend_pid,
                             stale[i].run_id ? stale[i].run_id : "?"),
                "pg_stat_activity",
                arena_printf(l->a, "SELECT pg_cancel_backend(%lld)",
                             (long long) stale[i].backend_pid));
    if (held)
        ail(l, false,
            arena_printf(l->a, "run %s of %s holds the lock (%s, step %s)",
                         h.run_id ? h.run_id : "?", h.user ? h.user : "?", h.host ? h.host : "?",
                         h.step ? h.step : "none"),
            "phasegate.migration_lock",
            "wait for it; the lock is free the moment its session ends");
    return true;
}

bool engine_doctor(struct engine *e, struct arena *a, struct ailment **out, int *out_n,
                   struct err *err)
{
    AUTO(arena) scratch = {0};
    struct list l = {.a = a};
    int64_t rows = 0;
    bool chain_ok = true;
    const char *broken = NULL;

    if (!invalid_indexes(e, &l, err))
        return false;
    if (e->has_ledger) {
        for (int i = 0; i < e->set->n_plans; i++, arena_reset(&scratch))
            if (!plan_ailments(e, &e->set->plans[i], &scratch, &l, err))
                return err_note(err, "plan %s", e->set->plans[i].id.s);
        if (!orphans(e, &l, err) || !runs(e, &l, err) ||
            !ledger_history_verify(e->db, a, &rows, &chain_ok, &broken, err))
            return false;
        if (!chain_ok)
            ail(&l, true, arena_printf(a, "the journal's chain is broken: %s", broken),
                "phasegate.migration_history",
                "phasegate history --verify; a step whose rows were deleted runs again, "
                "harmlessly");
    }
    *out = l.items;
    *out_n = l.n;
    return true;
}

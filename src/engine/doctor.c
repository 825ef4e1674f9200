/* What is half done, broken or drifted, each with the command that mends it. Looks only. */
#include "internal.h"

#include "phasegate/flag_ops.h"

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

/* ---- flags ------------------------------------------------------------------------------------------- */

/* The flags of the plans that aren't purged, gathered first and asked side by side: a service that is down costs one
 * time-out, and is one finding. Those of plans that have begun come first: of the others only what is up counts. */
struct flag_look {
    const struct plan **plans; /* of each flag; heads are enough */
    struct plan_state *states;
    enum flag_role *roles;
    struct flag_ref *refs;
    int n, n_begun;
};

static void gather_plan(struct engine *e, const struct plan *p, const struct plan_state *state,
                        struct flag_look *out)
{
    for (int r = 0; p && state->stage != STAGE_PURGED && r < FLAG_ROLES; r++) {
        if (!p->flags[r].key.s)
            continue;
        out->plans[out->n] = p;
        out->states[out->n] = *state;
        out->roles[out->n] = (enum flag_role) r;
        out->refs[out->n++] = (struct flag_ref) {
            .service = e->flags, .key = p->flags[r].key.s, .bucket_by = p->flags[r].bucket_by.s};
    }
}

static bool is_known(const struct plan_state *states, int n, const char *plan)
{
    for (int i = 0; i < n; i++)
        if (strcmp(states[i].plan, plan) == 0)
            return true;
    return false;
}

static void gather_flags(struct engine *e, struct arena *a, const struct plan_state *states, int n,
                         struct flag_look *out)
{
    int room = (n + e->set->n_plans) * FLAG_ROLES + 1;

    *out = (struct flag_look) {.plans = arena_array(a, const struct plan *, room),
                               .states = arena_array(a, struct plan_state, room),
                               .roles = arena_array(a, enum flag_role, room),
                               .refs = arena_array(a, struct flag_ref, room)};
    for (int i = 0; i < n; i++)
        gather_plan(e, plan_find(e->set, states[i].plan), &states[i], out);
    out->n_begun = out->n;
    for (int i = 0; e->flags && i < e->set->n_plans; i++) {
        const struct plan *p = &e->set->plans[i];
        struct plan_state none = {.plan = p->id.s};

        if (!is_known(states, n, p->id.s))
            gather_plan(e, p, &none, out);
    }
}

static void ail_kill(struct engine *e, struct list *l, const struct plan *p,
                     const struct plan_state *s, bool *killed)
{
    struct work w = {.e = e, .p = (struct plan *) p, .a = l->a, .state = *s};
    struct kill_pending k;
    char when[25];

    *killed = flags_kill_pending(&w, &k);
    if (!*killed)
        return;
    time_to_rfc3339(k.at_ms, when);
    ail(l, true,
        arena_printf(l->a, "%s, by %s, at %s, and the ledger hasn't heard of it", k.what,
                     k.by ? k.by : "somebody", when),
        p->id.s, arena_printf(l->a, "phasegate resume %s, once the cause is gone", p->id.s));
}

static void ail_flag(struct list *l, const struct flag_look *f, int i, const struct flag_obs *obs)
{
    const struct plan_state *s = &f->states[i];
    const char *key = f->refs[i].key, *id = f->plans[i]->id.s;
    const char *role = flag_role_word(f->roles[i]);
    int left = s->percent[f->roles[i]], now = flag_exposure(obs->state, obs->percent);
    const char *by = obs->actor ? arena_printf(l->a, ", by %s", obs->actor) : "";
    struct out_of_turn ahead;

    if (now == left || (now >= 0 && now < left && s->brake == BRAKE_KILLED))
        return;
    if (now >= 0 && now < left)
        ail(l, true,
            arena_printf(l->a,
                         "%s flag %s is %s and was left at %d %%%s: a kill that no advance has met",
                         role, key, flag_state_word(obs->state), left, by),
            id, arena_printf(l->a, "phasegate resume %s, once the cause is gone", id));
    else if (flag_out_of_turn(l->a, f->plans[i], s, f->roles[i], obs, &ahead))
        ail(l, true, ahead.what, id, ahead.mend);
    else
        ail(l, true,
            arena_printf(l->a, "%s flag %s is %s: %s", role, key, flag_state_word(obs->state),
                         obs->why ? obs->why : "no reason was given"),
            id, "the flag as it was left, in the flag service");
}

static void ail_unreadable(struct engine *e, struct list *l, int n, int n_all,
                           const struct flag_obs *first)
{
    ail(l, true,
        arena_printf(l->a, "%d of %d flags can't be read: %s", n, n_all,
                     first->why ? first->why : "no reason was given"),
        e->flags->shown,
        arena_printf(l->a, "see why the flag service says so (%s)",
                     flags_where(l->a, e->env, first->by_token)));
}

static void ail_flags(struct engine *e, struct list *l, const struct flag_look *f)
{
    struct flag_obs *obs = arena_array(l->a, struct flag_obs, f->n + 1);
    struct work w = {.e = e, .a = l->a};
    struct flag_ops ops = flags_ops(&w);
    const struct flag_obs *first = NULL;
    int n_unknown = 0;
    bool killed = false;

    flag_ops_observe_all(&ops, f->refs, f->n, FLAG_CONFIGURED, NULL, l->a, obs);
    for (int i = 0; i < f->n; i++) {
        if (i < f->n_begun && (i == 0 || f->plans[i] != f->plans[i - 1]))
            ail_kill(e, l, f->plans[i], &f->states[i], &killed);
        if (i >= f->n_begun && flag_exposure(obs[i].state, obs[i].percent) <= 0)
            continue;
        if (obs[i].state == FLAG_UNKNOWN) {
            n_unknown++;
            first = first ? first : &obs[i];
        } else if (!killed || i >= f->n_begun) {
            ail_flag(l, f, i, &obs[i]);
        }
    }
    if (first)
        ail_unreadable(e, l, n_unknown, f->n_begun, first);
}

/* Writes whose outcome nobody knows yet; what this host's journal has of them. */
static void ail_doubts(struct engine *e, struct list *l)
{
    struct work w = {.e = e, .a = l->a};
    struct flag_ops ops = flags_ops(&w);
    struct flag_entry *d = NULL;
    AUTO(err) err = {0};
    char when[25];
    int n = 0;

    if (!flag_journal_unmatched(&ops, l->a, &d, &n, &err)) {
        ail(l, true, arena_strdup(l->a, str_text(&err.message)), e->state_dir,
            "a state folder that can be read: PHASEGATE_STATE_DIR");
        return;
    }
    for (int i = 0; i < n; i++) {
        int64_t ends = flag_entry_doubt_ends_ms(&ops, &d[i]);
        if (ends <= now_ms(e))
            continue;
        time_to_rfc3339(ends, when);
        ail(l, true,
            arena_printf(l->a, "a %s of flag %s to %d %% by %s is in doubt until %s", d[i].verb,
                         d[i].key, d[i].desired, d[i].actor ? d[i].actor : "somebody", when),
            d[i].plan, "wait until then; phasegate flags reconcile shows what became of it");
    }
}

static bool flag_ailments(struct engine *e, struct list *l, struct err *err)
{
    struct plan_state *states = NULL;
    struct flag_look f;
    int n = 0;

    if (e->has_ledger && !ledger_plan_states(e->db, l->a, &states, &n, err))
        return false;
    gather_flags(e, l->a, states, n, &f);
    if (f.n == 0)
        return true;
    if (!e->flags) {
        ail(l, true,
            arena_printf(l->a, "environment %s has no flag service, and %d flags of its plans",
                         e->env->name.s, f.n),
            e->env->name.s, "add flags: to the environment in phasegate.yaml");
        return true;
    }
    ail_flags(e, l, &f);
    ail_doubts(e, l);
    return true;
}

/* ---- the rest ---------------------------------------------------------------------------------------- */

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
    struct kill_pending kill;

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
    struct work w = {.e = e, .p = whole, .a = scratch, .state = s};
    if (stage_is_running(s.stage) || stage_is_undoing(s.stage))
        ail(l, false, arena_printf(l->a, "plan %s is at \"%s\"", p->id.s, stage_word(s.stage)),
            p->id.s,
            stage_is_undoing(s.stage)
                ? arena_printf(l->a, "phasegate %s %s",
                               s.stage == STAGE_CONTRACT_UNDOING ? "restore" : "rollback", p->id.s)
            : s.brake != BRAKE_NONE || flags_kill_pending(&w, &kill)
                ? arena_printf(l->a, "phasegate resume %s first: it is %s", p->id.s,
                               brake_word(s.brake == BRAKE_NONE ? BRAKE_KILLED : s.brake))
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
    for (int i = 0; i < n; i++) {
        if (plan_find(e->set, s[i].plan))
            continue;
        if (s[i].stage == STAGE_PLANNED)
            ail(l, false,
                arena_printf(l->a, "plan %s was taken back whole, and its file is gone", s[i].plan),
                s[i].plan,
                "nothing is left to do: its journal stays; with its file back it can be applied "
                "again");
        else
            ail(l, true,
                arena_printf(l->a, "plan %s was applied (\"%s\") and has no file", s[i].plan,
                             stage_word(s[i].stage)),
                s[i].plan, "bring its file back: a plan that was applied stays");
    }
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
    if (!flag_ailments(e, &l, err))
        return false;
    *out = l.items;
    *out_n = l.n;
    return true;
}

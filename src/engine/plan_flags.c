/* The flags of a plan: set by the rules of flag_ops, remembered in its state, watched for drift. */
#include "internal.h"

#include "phasegate/flag_ops.h"

static bool record_change(void *ctx, const struct flag_change *row, struct err *err)
{
    struct work *w = ctx;
    struct db_call c = {0};
    struct flag_change mine = *row;

    mine.run_id = w->e->run_id;
    ledger_flag_change_call(w->a, &mine, &c);
    return db_is_usable(w->e->db) && db_exec(w->e->db, c.sql, &c.params, err);
}

static struct flag_ops ops_of(struct work *w)
{
    return (struct flag_ops) {.ports = w->e->ports,
                              .service = w->e->flags,
                              .kill_file = w->e->kill_file,
                              .environment = w->e->env->name.s,
                              .state_dir = w->e->state_dir,
                              .run_id = w->e->run_id,
                              .actor = w->e->actor,
                              .record = record_change,
                              .record_ctx = w,
                              .looks_end_at_signal = true};
}

static struct flag_ref ref_of(struct work *w, enum flag_role role)
{
    const struct flag_decl *d = &w->p->flags[role];

    return (struct flag_ref) {
        .service = w->e->flags,
        .key = d->key.s,
        .bucket_by = d->bucket_by.s,
        .purpose = arena_printf(w->a, "%s flag of plan %s", flag_role_word(role), w->p->id.s)};
}

/* What kills and crashed runs of this host did goes into the ledger; it is keyed by op id, so twice is once. */
static bool catch_up(struct work *w, struct flag_ops *ops, struct err *err)
{
    struct flag_change *rows = NULL;
    int n = 0;

    if (!flag_journal_pending(ops, w->a, &rows, &n, err))
        return false;
    for (int i = 0; i < n; i++) {
        struct db_call c = {0};
        ledger_flag_change_call(w->a, &rows[i], &c);
        if (!db_exec(w->e->db, c.sql, &c.params, err))
            return false;
    }
    return n == 0 || flag_journal_recorded(ops, rows, n, err);
}

static void left_at(struct work *w, enum flag_role role, int percent)
{
    w->state.percent[role] = percent;
    w->state.rung_confirmed_ms = percent > 0 ? server_now_ms(w->e) : 0;
}

/* Nothing is lost: what was sent is in the journal, and the next run begins by looking at it. */
static void stopped_by_signal(const struct flag_set_request *r, const struct flag_set_result *res,
                              struct err *err)
{
    char when[25];

    err_clear(err);
    err_set(err, ERR_INTERRUPTED, "flag \"%s\": %s", r->ref->key,
            res->detail ? res->detail : "stopped by a signal");
    if (res->answer == FLAG_IN_DOUBT && res->in_doubt_until_ms) {
        time_to_rfc3339(res->in_doubt_until_ms, when);
        err_detail(err, "A write of it is in doubt until %s.", when);
    }
    err_hint(err, "the same command goes on from here");
}

/* A kill of a flag that was off already leaves nothing lower than before, and is one all the same: nothing goes
 * up after it in a run that began before it. */
static const char *kill_since(struct work *w, struct flag_ops *ops)
{
    struct flag_entry *e = NULL;
    int n = 0;
    AUTO(err) ignored = {0};

    if (!w->began_ms || !flag_journal_load(ops, w->a, &e, &n, &ignored))
        return NULL;
    for (int i = n - 1; i >= 0; i--)
        for (int r = 0; r < FLAG_ROLES; r++)
            if (w->p->flags[r].key.s && strcmp(w->p->flags[r].key.s, e[i].key) == 0 &&
                strcmp(e[i].verb, "kill") == 0 && e[i].at_ms >= w->began_ms)
                return arena_printf(w->a,
                                    "flag \"%s\" was killed by %s while this run was going on",
                                    e[i].key, e[i].actor ? e[i].actor : "somebody");
    return NULL;
}

static bool stop_at_kill(struct work *w, const char *what, struct err *err)
{
    if (!halt(w, BRAKE_KILLED, what, err))
        return false;
    err_set(err, ERR_STOPPED, "%s", what);
    err_hint(err, "phasegate resume %s, once the cause is gone, then the same command again",
             w->p->id.s);
    return err_reason(err, "killed");
}

bool flags_set_percent(struct work *w, enum flag_role role, int percent, const char *reason,
                       struct err *err)
{
    struct flag_ops ops = ops_of(w);
    struct flag_ref ref = ref_of(w, role);
    /* Off is off, however high it stands: a run that died may have left it higher than the state says. */
    bool down = percent == 0 || percent < w->state.percent[role];
    struct flag_set_request r = {.ref = &ref,
                                 .desired = flag_value_percent(percent),
                                 .plan = w->p->id.s,
                                 .role = flag_role_word(role),
                                 .reason = reason,
                                 .expect_percent = down ? -1 : w->state.percent[role],
                                 .seen_before = w->state.percent[role] > 0,
                                 .ensure = !down};
    struct flag_set_result res;
    const char *killed = down ? NULL : kill_since(w, &ops);

    if (killed)
        return stop_at_kill(w, killed, err);
    if (!catch_up(w, &ops, err) || !flag_ops_set(&ops, &r, w->a, &res, err))
        return false;
    if (res.preempted && !down) {
        left_at(w, role, 0);
        if (!halt(w, BRAKE_KILLED,
                  res.detail ? res.detail : "a kill came while the flag was being set", err))
            return false;
    }
    if (!flag_set_verdict(&r, &res, err)) {
        if (res.interrupted)
            stopped_by_signal(&r, &res, err);
        return err_note(err, "%s flag %s to %d %%", flag_role_word(role), ref.key, percent);
    }
    left_at(w, role, percent);
    if (down && w->state.first_write_rung && w->p->sync.by != SYNC_TRIGGER &&
        !verification_void(w, err))
        return false;
    return record_save_state(w, err);
}

/* After a crash between the write and the state row, exposure is higher than the state says, and it is ours:
 * the journal's newest operation on this flag asked for exactly that, in a run that moved the plan. What
 * somebody set by hand is theirs, though it stands in the same journal. */
static bool is_our_own(struct work *w, struct flag_ops *ops, const char *key, int exposure)
{
    struct flag_entry *e = NULL;
    int n = 0;
    AUTO(err) ignored = {0};

    if (!flag_journal_load(ops, w->a, &e, &n, &ignored))
        return false;
    for (int i = n - 1; i >= 0; i--) {
        bool moved = false;
        if (strcmp(e[i].key, key) != 0)
            continue;
        return e[i].plan && strcmp(e[i].plan, w->p->id.s) == 0 && e[i].desired == exposure &&
               e[i].run_id && w->e->has_ledger &&
               ledger_run_moved(w->e->db, w->a, w->p->id.s, e[i].run_id, &moved, &ignored) && moved;
    }
    return false;
}

/* Somebody's write that may still take effect: nothing but a kill goes before it. Our own unfinished one
 * doesn't block: the same absolute value is asked for again. */
static const char *doubt_of_others(struct work *w, struct flag_ops *ops)
{
    struct flag_entry *e = NULL;
    int n = 0;
    AUTO(err) ignored = {0};

    if (!flag_journal_unmatched(ops, w->a, &e, &n, &ignored))
        return arena_printf(w->a, "the flag journal can't be read: %s", str_text(&ignored.message));
    for (int i = 0; i < n; i++) {
        bool mine = false, ours = e[i].plan && strcmp(e[i].plan, w->p->id.s) == 0;
        for (int r = 0; r < FLAG_ROLES; r++)
            mine |= w->p->flags[r].key.s && strcmp(w->p->flags[r].key.s, e[i].key) == 0;
        int64_t ends = flag_entry_doubt_ends_ms(ops, &e[i]);
        if (!mine || ends <= now_ms(w->e) || (ours && strcmp(e[i].verb, "kill") != 0))
            continue;
        char when[25];
        time_to_rfc3339(ends, when);
        return arena_printf(w->a, "a %s of flag %s by %s is in doubt until %s", e[i].verb, e[i].key,
                            e[i].actor ? e[i].actor : "somebody", when);
    }
    return NULL;
}

/* A flag that we left at 0 needn't exist; anything above 0, or unreadable, is somebody else's doing. */
static const char *not_off(struct work *w, struct flag_ops *ops, const struct flag_ref *ref,
                           int *exposure)
{
    struct flag_obs obs;

    flag_ops_observe_all(ops, ref, 1, FLAG_CONFIGURED, NULL, w->a, &obs);
    *exposure = flag_exposure(obs.state, obs.percent);
    if (obs.state == FLAG_ARCHIVED)
        return arena_printf(w->a, "flag \"%s\" is archived: nothing can be rolled out with it",
                            ref->key);
    if (*exposure == 0)
        return NULL;
    if (*exposure > 0)
        return arena_printf(w->a, "flag \"%s\" is at %d %% and was left off%s%s", ref->key,
                            *exposure, obs.actor ? ", by " : "", obs.actor ? obs.actor : "");
    return arena_printf(w->a, "flag \"%s\" %s: %s", ref->key,
                        obs.state == FLAG_COMPLEX ? "isn't ours alone" : "can't be read",
                        obs.why ? obs.why : "no reason was given");
}

static void check_left_off(struct work *w, struct flag_ops *ops, enum flag_role role,
                           const char **drift)
{
    struct flag_ref ref = ref_of(w, role);
    int exposure = 0;
    const char *what = not_off(w, ops, &ref, &exposure);

    bool ours = exposure > 0 && is_our_own(w, ops, ref.key, exposure);
    if (what && !ours && !*drift)
        *drift = what;
}

bool flags_check(struct work *w, bool *killed, const char **drift, struct err *err)
{
    struct flag_ops ops = ops_of(w);

    (void) err;
    *killed = false;
    *drift = doubt_of_others(w, &ops);
    for (int r = 0; r < FLAG_ROLES; r++) {
        struct flag_ref ref = ref_of(w, (enum flag_role) r);
        struct flag_drift d;
        if (!ref.key)
            continue;
        if (w->state.percent[r] == 0) {
            check_left_off(w, &ops, (enum flag_role) r, drift);
            continue;
        }
        flag_ops_drift(&ops, &ref, w->state.percent[r], w->a, &d);
        int exposure = flag_exposure(d.obs.state, d.obs.percent);
        if (d.kind == FLAG_DRIFT_NONE)
            continue;
        /* The rung that asked for it is gone through again, with its pause and its gates. */
        if (d.kind == FLAG_DRIFT_HOLD && exposure > w->state.percent[r] &&
            is_our_own(w, &ops, ref.key, exposure))
            continue;
        if (d.kind == FLAG_DRIFT_KILL_SEEN) {
            *killed = true;
            left_at(w, (enum flag_role) r, exposure > 0 ? exposure : 0);
            w->state.rung_confirmed_ms = 0;
        }
        if (!*drift || d.kind == FLAG_DRIFT_KILL_SEEN)
            *drift = d.detail;
    }
    return true;
}

void flags_observe_all(struct engine *e, const struct flag_ref *refs, int n, struct arena *a,
                       struct flag_obs *out)
{
    struct work w = {.e = e, .a = a};
    struct flag_ops ops = ops_of(&w);

    ops.times.total_ms = 3000;
    flag_ops_observe_all(&ops, refs, n, FLAG_CONFIGURED, NULL, a, out);
}

void flags_observe(struct work *w, struct flag_obs out[FLAG_ROLES])
{
    struct flag_ref refs[FLAG_ROLES];
    struct flag_obs obs[FLAG_ROLES];
    int role_of[FLAG_ROLES], n = 0;

    memset(out, 0, sizeof *out * FLAG_ROLES);
    for (int r = 0; r < FLAG_ROLES; r++)
        if (w->e->flags && w->p->flags[r].key.s) {
            refs[n] = ref_of(w, (enum flag_role) r);
            role_of[n++] = r;
        }
    if (n == 0)
        return;
    flags_observe_all(w->e, refs, n, w->a, obs);
    for (int i = 0; i < n; i++)
        out[role_of[i]] = obs[i];
}

/* A kill during contract leaves its mark: once the old shape is restored, a flag that its rollout had taken up
 * is down, and has to climb again before contract may begin. */
static const char *fell_behind(const struct work *w)
{
    const enum phase bound[FLAG_ROLES] = {PHASE_DUAL_READ, PHASE_WRITE_ACTIVATION};

    if (w->state.stage != STAGE_DUAL_READ_DONE && w->state.stage != STAGE_WRITE_ACTIVATION_DONE)
        return NULL;
    for (int r = 0; r < FLAG_ROLES; r++) {
        const struct rung_list *l = &w->p->phases[bound[r]].rollout;
        bool late =
            r == FLAG_READ && (w->p->sync.by == SYNC_COHORT || w->p->sync.by == SYNC_APPLICATION);
        enum phase done = late ? PHASE_WRITE_ACTIVATION : bound[r];
        if (!w->p->flags[r].key.s || l->n == 0 || !stage_has_finished(w->state.stage, done))
            continue;
        if (w->state.percent[r] < l->items[l->n - 1].percent)
            return arena_printf(w->a, "%s flag %s was taken back to %d %%",
                                flag_role_word((enum flag_role) r), w->p->flags[r].key.s,
                                w->state.percent[r]);
    }
    return NULL;
}

/* Before anything moves: kills from elsewhere are taken over into the state, with their brake. */
bool flags_settle(struct work *w, struct err *err)
{
    bool killed = false;
    const char *drift = NULL;
    struct flag_ops ops = ops_of(w);

    if (!w->e->flags || (!w->p->flags[FLAG_READ].key.s && !w->p->flags[FLAG_WRITE].key.s) ||
        w->state.stage < STAGE_DUAL_READ_RUNNING || w->state.stage == STAGE_PURGED ||
        w->state.brake != BRAKE_NONE)
        return true;
    if (!catch_up(w, &ops, err) || !flags_check(w, &killed, &drift, err))
        return false;
    const char *behind = killed ? NULL : fell_behind(w);
    if (!killed && !behind)
        return true;
    if (behind)
        drift = behind;
    if (!halt(w, BRAKE_KILLED, drift, err))
        return false;
    err_set(err, ERR_REFUSED, "plan %s was killed: %s", w->p->id.s, drift);
    err_hint(err, "phasegate resume %s, once the cause is gone, then the same command again",
             w->p->id.s);
    return err_reason(err, "killed");
}

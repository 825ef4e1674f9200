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

struct flag_ops flags_ops(struct work *w)
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
bool flags_catch_up(struct work *w, struct flag_ops *ops, struct err *err)
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

static void left_unsettled(struct work *w, enum flag_role role, int percent)
{
    AUTO(err) ignored = {0};

    left_at(w, role, percent);
    if (percent > 0)
        w->state.rung_confirmed_ms += flag_service_propagation_ms(w->e->flags);
    /* What ended the wait is said, not that it couldn't be written down: the next run looks at the flag. */
    (void) !record_save_state(w, &ignored);
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

bool flags_set_percent(struct work *w, enum flag_role role, int percent, const char *reason,
                       struct err *err)
{
    struct flag_ops ops = flags_ops(w);
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

    if (!down && !flags_no_kill(w, err))
        return false;
    if (!flags_catch_up(w, &ops, err) || !flag_ops_set(&ops, &r, w->a, &res, err))
        return false;
    if (res.preempted && !down) {
        left_at(w, role, 0);
        if (!halt(w, BRAKE_KILLED,
                  res.detail ? res.detail : "a kill came while the flag was being set", err))
            return false;
    }
    if (!flag_set_verdict(&r, &res, err)) {
        /* It is there, and only its spreading wasn't waited for: the pause begins when that is over. */
        if (res.interrupted && res.answer <= FLAG_NOCHANGE && res.level >= FLAG_CONFIGURED)
            left_unsettled(w, role, percent);
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

/* The first thing found is what is said, but a kill goes before everything. */
static void see(struct flags_seen *out, const char *drift, const char *holder, const char *release)
{
    if (out->drift)
        return;
    out->drift = drift;
    out->holder = holder;
    out->release = release;
}

/* Somebody's write that may still take effect: nothing but a kill goes before it. Our own unfinished one
 * doesn't block: the same absolute value is asked for again. */
static void see_doubt_of_others(struct work *w, struct flag_ops *ops, struct flags_seen *out)
{
    struct flag_entry *e = NULL;
    int n = 0;
    AUTO(err) ignored = {0};

    if (!flag_journal_unmatched(ops, w->a, &e, &n, &ignored)) {
        see(out,
            arena_printf(w->a, "the flag journal can't be read: %s", str_text(&ignored.message)),
            "the state folder", "a state folder that can be read: PHASEGATE_STATE_DIR");
        return;
    }
    for (int i = 0; i < n; i++) {
        bool mine = false, ours = e[i].plan && strcmp(e[i].plan, w->p->id.s) == 0;
        for (int r = 0; r < FLAG_ROLES; r++)
            mine |= w->p->flags[r].key.s && strcmp(w->p->flags[r].key.s, e[i].key) == 0;
        int64_t ends = flag_entry_doubt_ends_ms(ops, &e[i]);
        if (!mine || ends <= now_ms(w->e) || (ours && strcmp(e[i].verb, "kill") != 0))
            continue;
        char when[25];
        time_to_rfc3339(ends, when);
        see(out,
            arena_printf(w->a, "a %s of flag %s by %s is in doubt until %s", e[i].verb, e[i].key,
                         e[i].actor ? e[i].actor : "somebody", when),
            e[i].actor, arena_printf(w->a, "time alone: nothing is in doubt after %s", when));
        return;
    }
}

static void see_drift(struct work *w, struct flags_seen *out, const char *key, const char *what,
                      const struct flag_obs *obs, const char *actor, int left)
{
    if (obs->state == FLAG_UNKNOWN)
        see(out, what, NULL,
            arena_printf(w->a, "see to the flag service (%s), then the same command again",
                         flags_where(w->a, w->e->env, obs->by_token)));
    else if (obs->state == FLAG_ARCHIVED || obs->state == FLAG_COMPLEX)
        see(out, what, actor ? actor : "somebody else",
            arena_printf(w->a, "the flag as it was left, at %s", w->e->flags->shown));
    else
        see(out, what, actor ? actor : "somebody else",
            arena_printf(w->a,
                         "phasegate flags reconcile says by whom; phasegate flags set %s %d puts "
                         "it back to where it was left",
                         key, left));
}

/* A flag that we left at 0 needn't exist; anything above 0, or unreadable, is somebody else's doing. */
static void see_not_off(struct work *w, struct flag_ops *ops, const struct flag_ref *ref,
                        struct flags_seen *out)
{
    struct flag_obs obs;
    const char *what;

    flag_ops_observe_all(ops, ref, 1, FLAG_CONFIGURED, NULL, w->a, &obs);
    int exposure = flag_exposure(obs.state, obs.percent);
    if (obs.state == FLAG_ARCHIVED)
        what = arena_printf(w->a, "flag \"%s\" is archived: nothing can be rolled out with it",
                            ref->key);
    else if (exposure == 0 || (exposure > 0 && is_our_own(w, ops, ref->key, exposure)))
        return;
    else if (exposure > 0)
        what = arena_printf(w->a, "flag \"%s\" is at %d %% and was left off%s%s", ref->key,
                            exposure, obs.actor ? ", by " : "", obs.actor ? obs.actor : "");
    else
        what = arena_printf(w->a, "flag \"%s\" %s: %s", ref->key,
                            obs.state == FLAG_COMPLEX ? "isn't ours alone" : "can't be read",
                            obs.why ? obs.why : "no reason was given");
    see_drift(w, out, ref->key, what, &obs, obs.actor, 0);
}

static void see_killed(struct work *w, enum flag_role role, const struct flag_drift *d,
                       struct flags_seen *out)
{
    int left = w->state.percent[role], now = flag_exposure(d->obs.state, d->obs.percent);

    out->killed = true;
    out->drift = kill_text(
        w, w->p->flags[role].key.s,
        now > 0 ? arena_printf(w->a, "%d %%", now) : flag_state_word(d->obs.state), left, d->actor);
    out->holder = w->kill_by;
    out->release = arena_printf(w->a, "phasegate resume %s, once the cause is gone", w->p->id.s);
    left_at(w, role, now > 0 ? now : 0);
    w->state.rung_confirmed_ms = 0;
}

static void check_one(struct work *w, struct flag_ops *ops, enum flag_role role,
                      struct flags_seen *out)
{
    struct flag_ref ref = ref_of(w, role);
    int left = w->state.percent[role];
    struct flag_drift d;

    if (left == 0) {
        see_not_off(w, ops, &ref, out);
        return;
    }
    flag_ops_drift(ops, &ref, left, w->a, &d);
    int exposure = flag_exposure(d.obs.state, d.obs.percent);
    /* The rung that asked for it is gone through again, with its pause and its gates. */
    bool ours =
        d.kind == FLAG_DRIFT_HOLD && exposure > left && is_our_own(w, ops, ref.key, exposure);
    if (d.kind == FLAG_DRIFT_KILL_SEEN)
        see_killed(w, role, &d, out);
    else if (d.kind != FLAG_DRIFT_NONE && !ours)
        see_drift(w, out, ref.key, d.detail, &d.obs, d.actor, left);
}

void flags_check(struct work *w, struct flags_seen *out)
{
    struct flag_ops ops = flags_ops(w);

    memset(out, 0, sizeof *out);
    if (fleet_is_led(w))
        return;
    see_doubt_of_others(w, &ops, out);
    for (int r = 0; r < FLAG_ROLES; r++)
        if (w->p->flags[r].key.s)
            check_one(w, &ops, (enum flag_role) r, out);
}

bool flag_out_of_turn(struct arena *a, const struct plan *p, const struct plan_state *s,
                      enum flag_role role, const struct flag_obs *obs, struct out_of_turn *out)
{
    enum phase phase = role == FLAG_READ ? PHASE_DUAL_READ : PHASE_WRITE_ACTIVATION;
    const struct phase_plan *ph = &p->phases[phase];
    const char *key = p->flags[role].key.s;
    int now = flag_exposure(obs->state, obs->percent), left = s->percent[role];

    if (now <= left)
        return false;
    out->what =
        arena_printf(a,
                     "%s flag %s of plan %s is at %d %%, expected %d %%%s%s: it is raised by the "
                     "rollout of %s%s%s, "
                     "and the plan is at \"%s\"",
                     flag_role_word(role), key, p->id.s, now, left, obs->actor ? ", by " : "",
                     obs->actor ? obs->actor : "", phase_word(phase), ph->release.s ? " with " : "",
                     ph->release.s ? ph->release.s : "", stage_word(s->stage));
    out->mend =
        arena_printf(a,
                     "phasegate flags set %s %d puts it back; phasegate flags reconcile says "
                     "by whom it was moved",
                     key, left);
    return true;
}

void flags_observe_all(struct engine *e, const struct flag_ref *refs, int n, struct arena *a,
                       struct flag_obs *out)
{
    struct work w = {.e = e, .a = a};
    struct flag_ops ops = flags_ops(&w);

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

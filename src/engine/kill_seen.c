/* Kills by others, as a run meets them: in the journal of this host while it goes on, in the flags when it begins. */
#include "internal.h"

#include "flag_journal.h"

#define KILLS_EVERY_MS 1000
#define TAKES_EFFECT_TRIES 6
#define TAKES_EFFECT_MS 500

/* ---- what is said ------------------------------------------------------------------------------------ */

static bool is_ours(const struct work *w, const char *key)
{
    for (int r = 0; r < FLAG_ROLES; r++)
        if (w->p->flags[r].key.s && strcmp(w->p->flags[r].key.s, key) == 0)
            return true;
    return false;
}

/* Refused, or never sent: the flag is as it was. */
static bool came_to_nothing(const struct flag_entry *e)
{
    return e->settled && e->answer != FLAG_OK && e->answer != FLAG_NOCHANGE;
}

/* The newest change of the flag that this host knows of, when that is a kill; of several in a row the newest that says
 * why. */
static const struct flag_entry *newest_is_kill(struct work *w, const char *key)
{
    struct flag_ops ops = flags_ops(w);
    struct flag_entry *e = NULL;
    const struct flag_entry *found = NULL;
    AUTO(err) ignored = {0};
    int n = 0;

    if (!flag_journal_load(&ops, w->a, &e, &n, &ignored))
        return NULL;
    for (int i = n - 1; i >= 0; i--) {
        if (strcmp(e[i].key, key) != 0 || strcmp(e[i].verb, "drill") == 0 || came_to_nothing(&e[i]))
            continue;
        if (strcmp(e[i].verb, "kill") != 0)
            break;
        if (!found || (!found->reason && e[i].reason))
            found = &e[i];
    }
    return found;
}

static const char *with_reason(struct work *w, const char *what, const char *reason)
{
    return reason ? arena_printf(w->a, "%s: %s", what, reason) : what;
}

const char *kill_text(struct work *w, const char *key, const char *seen, int left,
                      const char *actor)
{
    const struct flag_entry *e = newest_is_kill(w, key);

    w->kill_by = e && e->actor ? e->actor : actor;
    return with_reason(
        w, arena_printf(w->a, "flag \"%s\" is %s, it was left at %d %%", key, seen, left),
        e ? e->reason : NULL);
}

bool flags_kill_pending(struct work *w, struct kill_pending *out)
{
    memset(out, 0, sizeof *out);
    if (w->state.brake != BRAKE_NONE || !w->state.exists || w->state.stage == STAGE_PURGED)
        return false;
    for (int r = 0; r < FLAG_ROLES && !out->what; r++) {
        const char *key = w->p->flags[r].key.s;
        const struct flag_entry *e = key && w->state.percent[r] > 0 ? newest_is_kill(w, key) : NULL;

        if (!e)
            continue;
        out->what = with_reason(w, arena_printf(w->a, "flag \"%s\" was killed", key), e->reason);
        out->by = e->actor;
        out->at_ms = e->at_ms;
    }
    return out->what != NULL;
}

/* ---- while a run goes on ------------------------------------------------------------------------------- */

/* The flag comes down while the run stops: what it was left at is then known at once. */
static void wait_for_effect(struct work *w)
{
    struct flags_seen seen;

    for (int i = 0; w->e->flags && i < TAKES_EFFECT_TRIES && !ports_interrupted(w->e->ports); i++) {
        const char *by = w->kill_by;
        flags_check(w, &seen);
        w->kill_by = by;
        if (seen.killed)
            return;
        if (w->state.percent[FLAG_READ] == 0 && w->state.percent[FLAG_WRITE] == 0)
            return;
        clock_sleep_ms(w->e->ports->clock, TAKES_EFFECT_MS);
    }
}

bool stop_at_kill(struct work *w, const char *what, struct err *err)
{
    const char *by = w->kill_by;

    if (!halt(w, BRAKE_KILLED, what, err))
        return false;
    err_set(err, ERR_STOPPED, "%s", what);
    if (by)
        err_detail(err, "By %s. Nothing is lost: what was done is recorded.", by);
    err_hint(err, "phasegate resume %s, once the cause is gone, then: %s", w->p->id.s,
             next_move(w) ? next_move(w) : "phasegate status");
    return err_reason(err, "killed");
}

static bool stop_at(struct work *w, const char *key, const char *actor, const char *reason,
                    struct err *err)
{
    w->kill_by = actor;
    wait_for_effect(w);
    return stop_at_kill(
        w,
        with_reason(w,
                    arena_printf(w->a, "flag \"%s\" was killed by %s while this run was going on",
                                 key, actor ? actor : "somebody"),
                    reason),
        err);
}

/* A kill of a flag that was off already leaves nothing lower than before, and is one all the same: nothing goes
 * up after it in a run that began before it. */
static bool begin_watch(struct work *w, struct err *err)
{
    struct flag_ops *ops = arena_new(w->a, struct flag_ops);
    struct flag_entry *e = NULL;
    AUTO(arena) scratch = {0};
    AUTO(err) ignored = {0};
    int n = 0;

    *ops = flags_ops(w);
    w->kills = arena_array(w->a, struct flag_watch, FLAG_ROLES);
    for (int r = 0; r < FLAG_ROLES; r++) {
        const char *key = w->p->flags[r].key.s;
        flag_watch_begin(&w->kills[r], ops, key ? key : "", w->a);
        w->kills[r].no_drills = true;
    }
    if (!w->began_ms || !flag_journal_load(ops, &scratch, &e, &n, &ignored))
        return true;
    for (int i = n - 1; i >= 0 && e[i].at_ms >= w->began_ms; i--)
        if (is_ours(w, e[i].key) && strcmp(e[i].verb, "kill") == 0)
            return stop_at(w, arena_strdup(w->a, e[i].key), arena_strdup(w->a, e[i].actor),
                           arena_strdup(w->a, e[i].reason), err);
    return true;
}

bool flags_no_kill(struct work *w, struct err *err)
{
    if (!w->kills && !begin_watch(w, err))
        return false;
    for (int r = 0; r < FLAG_ROLES; r++)
        if (w->p->flags[r].key.s && flag_watch_look(&w->kills[r]))
            return stop_at(w, w->p->flags[r].key.s, w->kills[r].kill_actor, w->kills[r].kill_reason,
                           err);
    return true;
}

bool flags_watch_kills(struct work *w, int64_t mono, struct err *err)
{
    bool any = w->p->flags[FLAG_READ].key.s || w->p->flags[FLAG_WRITE].key.s;

    if (!any || !w->began_ms || w->undoing || w->state.brake != BRAKE_NONE ||
        (w->kills_seen_ms && mono - w->kills_seen_ms < KILLS_EVERY_MS))
        return true;
    w->kills_seen_ms = mono;
    return flags_no_kill(w, err);
}

/* ---- when one begins ------------------------------------------------------------------------------------- */

/* A kill during contract leaves its mark: once the old shape is restored, a flag that its rollout had taken up
 * is down, and has to climb again before contract may begin. */
const char *flags_behind(const struct work *w)
{
    const enum phase bound[FLAG_ROLES] = {PHASE_DUAL_READ, PHASE_WRITE_ACTIVATION};

    if (w->state.stage != STAGE_DUAL_READ_DONE && w->state.stage != STAGE_WRITE_ACTIVATION_DONE &&
        w->state.stage != STAGE_CONTRACT_DONE)
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

/* With the old shape hidden there are no rungs to climb: it has to come back first. */
static bool refuse_hidden(struct work *w, const char *behind, struct err *err)
{
    err_set(err, ERR_REFUSED, "%s, and the old shape that it leads to is hidden", behind);
    err_hint(err, "phasegate restore %s brings it back; then phasegate advance rolls out again",
             w->p->id.s);
    return err_reason(err, "flags_not_full");
}

/* Before anything moves: kills from elsewhere are taken over into the state, with their brake. */
bool flags_settle(struct work *w, struct err *err)
{
    struct flags_seen seen;
    struct flag_ops ops = flags_ops(w);

    if (!w->e->flags || (!w->p->flags[FLAG_READ].key.s && !w->p->flags[FLAG_WRITE].key.s) ||
        w->state.stage < STAGE_DUAL_READ_RUNNING || w->state.stage == STAGE_PURGED ||
        w->state.brake != BRAKE_NONE || fleet_is_led(w))
        return true;
    if (!flags_catch_up(w, &ops, err))
        return false;
    flags_check(w, &seen);
    const char *behind = seen.killed ? NULL : flags_behind(w);
    if (!seen.killed && !behind)
        return true;
    if (!seen.killed && w->state.stage == STAGE_CONTRACT_DONE)
        return refuse_hidden(w, behind, err);
    const char *what = seen.killed ? seen.drift : behind, *by = w->kill_by;
    if (!halt(w, BRAKE_KILLED, what, err))
        return false;
    err_set(err, ERR_REFUSED, "plan %s was killed: %s", w->p->id.s, what);
    if (seen.killed && by)
        err_detail(err, "By %s.", by);
    err_hint(err, "phasegate resume %s, once the cause is gone, then: %s", w->p->id.s,
             next_move(w) ? next_move(w) : "phasegate status");
    return err_reason(err, "killed");
}

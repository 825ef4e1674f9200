/* kill_drill: proves that a kill works, for these flags, with these tokens, now; and puts back
 * what it found.
 *
 * A flag that is off already is switched off all the same: that proves the way to it and the
 * right to do it, and nobody is shown anything. What can't be put back (COMPLEX, unreadable) is
 * refused before anything is sent. */
#include "kill.h"

#include <string.h>

static void refuse(struct kill *k, struct kill_job *j, const char *why)
{
    j->over = j->begun = j->refused = true;
    j->r->answer = FLAG_REJECTED;
    j->r->detail = arena_printf(k->a, "no drill: %s", why);
    j->r->exit_code = 3;
}

/* Somebody is changing it at this moment, or a change is in doubt. */
static bool is_busy_elsewhere(struct kill *k, const struct kill_job *j)
{
    AUTO(arena) scratch = {0};
    struct flag_entry *list;
    AUTO(err) err = {0};
    int n = 0;

    if (!flag_journal_unmatched(k->ops, &scratch, &list, &n, &err))
        return false;
    for (int i = 0; i < n; i++)
        if (strcmp(list[i].key, j->ref.key) == 0 &&
            flag_entry_doubt_ends_ms(k->ops, &list[i]) > clock_wall_ms(k->ops->ports->clock))
            return true;
    return false;
}

static void observe_before(struct kill *k)
{
    AUTO(arena) scratch = {0};
    struct flag_ref *refs = arena_array(&scratch, struct flag_ref, k->n + 1);
    struct flag_obs *obs = arena_array(&scratch, struct flag_obs, k->n + 1);

    for (int i = 0; i < k->n; i++)
        refs[i] = k->jobs[i].ref;
    flag_ops_observe_all(k->ops, refs, k->n, FLAG_CONFIGURED, NULL, &scratch, obs);
    for (int i = 0; i < k->n; i++) {
        struct kill_job *j = &k->jobs[i];

        flag_obs_copy(k->a, &j->before, &obs[i]);
        /* A file has an entry or none; it is no percentage of anybody. */
        j->r->before_percent = j->is_file ? -1 : flag_exposure(obs[i].state, obs[i].percent);
        if (j->is_file)
            continue;
        if (j->r->before_percent < 0)
            refuse(k, j, arena_printf(k->a, "the flag is %s", flag_obs_text(k->a, &obs[i])));
        else if (obs[i].state == FLAG_ABSENT || obs[i].state == FLAG_ARCHIVED)
            refuse(k, j, arena_printf(k->a, "the flag is %s", flag_state_word(obs[i].state)));
        else if (is_busy_elsewhere(k, j))
            refuse(k, j, "a change of it is in flight or in doubt");
    }
}

/* The file is drilled only beside its flag, and taken back to what it was. */
static void refuse_files(struct kill *k)
{
    for (int i = 0; i < k->n; i++) {
        struct kill_job *j = &k->jobs[i];

        if (!j->is_file)
            continue;
        if (i > 0 && k->jobs[i - 1].over)
            refuse(k, j, "its flag isn't drilled");
        else if (j->before.state != FLAG_ABSENT && j->before.state != FLAG_OFF)
            refuse(k, j,
                   arena_printf(k->a, "the file's entry is %s", flag_obs_text(k->a, &j->before)));
    }
}

static void left_off(struct kill *k, struct kill_job *j, const char *why)
{
    j->r->exit_code = 5;
    j->r->in_doubt = true;
    j->r->detail = arena_printf(k->a, "it was at %d %% and could not be put back: %s",
                                j->r->before_percent, why ? why : "");
}

static void put_back_file(struct kill *k, struct kill_job *j)
{
    AUTO(flag_pool) pool = {.ports = k->ops->ports};
    AUTO(arena) scratch = {0};
    struct flag_call call = flag_call_new(k->ops, &j->ref, FLAG_DO_CLEAR, &scratch);

    if (j->before.state != FLAG_ABSENT)
        return;
    flag_calls_perform(&pool, &call, 1);
    if (call.answer != FLAG_OK && call.answer != FLAG_NOCHANGE) {
        j->r->exit_code = 5;
        j->r->in_doubt = true;
        j->r->detail = arena_printf(k->a, "its entry could not be taken out again: %s",
                                    call.detail ? call.detail : "");
    }
}

static void put_back(struct kill *k, struct kill_job *j)
{
    struct flag_set_request r = {
        .ref = &j->ref,
        .desired = flag_value_percent(j->r->before_percent),
        .plan = j->r->plan,
        .role = j->r->role,
        .reason = "after a drill",
        .expect_percent = 0,
        .seen_before = true,
        .no_bound = true,
    };
    struct flag_set_result result;
    AUTO(err) err = {0};

    if (j->r->before_percent == 0)
        return;
    if (!flag_ops_set(k->ops, &r, k->a, &result, &err))
        left_off(k, j, str_text(&err.message));
    else if (result.answer != FLAG_OK && result.answer != FLAG_NOCHANGE)
        left_off(k, j, result.detail);
    else
        j->r->put_back = true;
}

void kill_drill(struct kill *k)
{
    struct flag_kill_report *out = k->out;

    observe_before(k);
    refuse_files(k);
    kill_journal_intents(k);
    k->start = clock_mono_ms(k->ops->ports->clock); /* what is measured is the kill alone */
    kill_run(k);
    kill_verdicts(k);
    kill_journal_answers(k); /* first: putting it back must not find its own drill in doubt */
    out->exit_code = 0;
    for (int i = k->n - 1; i >= 0; i--) { /* write flags before their read flags */
        struct kill_job *j = &k->jobs[i];

        if (j->sends > 0)
            j->is_file ? put_back_file(k, j) : put_back(k, j);
        if (j->r->exit_code == 3 || (j->r->exit_code == 5 && out->exit_code == 0))
            out->exit_code = j->r->exit_code;
    }
}

/* The working process is killed at random points and its command given again: does that lead where the undisturbed one
 * led? */
#include "rehearse/rehearse_int.h"

enum { AT_ONE_COMMAND = 2, ROUNDS_EACH = 4 };

static void went_elsewhere(struct scene *s, const struct command *c, int64_t after_ms,
                           const struct text_list *left)
{
    struct rehearsal *r = s->out;

    r->kills.elsewhere =
        arena_more(s->a, r->kills.elsewhere, sizeof *r->kills.elsewhere, r->kills.n_elsewhere);
    r->kills.elsewhere[r->kills.n_elsewhere++] =
        (struct rehearse_kill) {command_text(s->a, c), after_ms, *left};
}

/* *elsewhere: what comes after this command means nothing any more. */
static bool one_command(struct scene *s, const struct command *c, const struct state *wanted,
                        int64_t took, bool *elsewhere, struct err *err)
{
    struct rehearsal *r = s->out;
    struct text_list left = {0};
    struct command_answer answer = {0};
    int64_t at = 0;
    bool was_killed = true;

    for (int i = 0; was_killed && i < AT_ONE_COMMAND && r->kills.made < r->kills.wanted; i++) {
        at = stage_random(s, (uint32_t) took + 1);
        if (!command_kill(s, c, at, &was_killed, err))
            return false;
        r->kills.made += was_killed;
    }
    if (!command_run(s, c, &answer, err))
        return false;
    if (!answer.ok) {
        text_add(s->a, &left, "the same command again fails: %s", answer.message);
    } else {
        struct state now;
        if (!state_read(s, &now, err))
            return false;
        if (!restless_compare(s, wanted, &now, &left, err))
            return false;
    }
    *elsewhere = left.n > 0;
    if (*elsewhere)
        went_elsewhere(s, c, at, &left);
    return true;
}

bool kills_run(struct scene *s, const struct command *way, const struct state *after,
               const int64_t *took, int n, struct err *err)
{
    struct rehearsal *r = s->out;
    int64_t rounds = r->kills.wanted * ROUNDS_EACH / (n + 1) + ROUNDS_EACH;

    for (int64_t k = 0; r->kills.made < r->kills.wanted && k < rounds; k++) {
        bool elsewhere = false;

        if (!s->o->clone_url && !stage_reset(s, err))
            return false;
        for (int i = 0; i < n && !elsewhere; i++)
            if (!one_command(s, &way[i], &after[i], took[i], &elsewhere, err))
                return false;
        if (elsewhere && s->o->clone_url) {
            r->kills.why = "a clone that went elsewhere can't be put back";
            return true;
        }
    }
    if (r->kills.made < r->kills.wanted)
        r->kills.why = "its commands ended before they could be killed";
    return true;
}

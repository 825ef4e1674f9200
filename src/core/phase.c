/* The transition table and the one function that reads it. Pure. */
#include "phasegate/phase.h"

#include <stdlib.h>
#include <string.h>

static const char *const stage_words[STAGE_COUNT] = {
    [STAGE_PLANNED] = "planned",
    [STAGE_EXPAND_RUNNING] = "expand running",
    [STAGE_EXPAND_DONE] = "expand done",
    [STAGE_EXPAND_UNDOING] = "expand undoing",
    [STAGE_DUAL_READ_RUNNING] = "dual_read running",
    [STAGE_DUAL_READ_DONE] = "dual_read done",
    [STAGE_DUAL_READ_UNDOING] = "dual_read undoing",
    [STAGE_WRITE_ACTIVATION_RUNNING] = "write_activation running",
    [STAGE_WRITE_ACTIVATION_DONE] = "write_activation done",
    [STAGE_WRITE_ACTIVATION_UNDOING] = "write_activation undoing",
    [STAGE_CONTRACT_RUNNING] = "contract running",
    [STAGE_CONTRACT_DONE] = "contract done",
    [STAGE_CONTRACT_UNDOING] = "contract undoing",
    [STAGE_PURGING] = "purging",
    [STAGE_PURGED] = "purged",
};

static const char *const brake_words[BRAKE_COUNT] = {"none", "paused", "halted", "killed"};

static const char *const event_words[PHASE_EVENT_COUNT] = {
    [EVENT_ADVANCE] = "advance",     [EVENT_SKIP] = "skip",
    [EVENT_FINISHED] = "finished",   [EVENT_ROLLBACK] = "rollback",
    [EVENT_RESTORE] = "restore",     [EVENT_PURGE] = "purge",
    [EVENT_PAUSE] = "pause",         [EVENT_GATE_FAILED] = "gate_failed",
    [EVENT_KILL_SEEN] = "kill_seen", [EVENT_RESUME] = "resume",
    [EVENT_REPEAT] = "repeat",
};

const char *stage_word(enum stage s) { return stage_words[s]; }
const char *brake_word(enum brake b) { return brake_words[b]; }
const char *phase_event_word(enum phase_event e) { return event_words[e]; }

bool stage_from_word(const char *w, enum stage *out)
{
    for (int i = 0; i < STAGE_COUNT; i++)
        if (strcmp(stage_words[i], w) == 0) {
            *out = (enum stage) i;
            return true;
        }
    return false;
}

bool brake_from_word(const char *w, enum brake *out)
{
    for (int i = 0; i < BRAKE_COUNT; i++)
        if (strcmp(brake_words[i], w) == 0) {
            *out = (enum brake) i;
            return true;
        }
    return false;
}

enum stage stage_of(enum phase p, int running0_done1_undoing2)
{
    return (enum stage)(STAGE_EXPAND_RUNNING + 3 * ((int) p - 1) + running0_done1_undoing2);
}

enum phase stage_phase(enum stage s)
{
    if (s == STAGE_PLANNED)
        return PHASE_NONE;
    if (s >= STAGE_PURGING)
        return PHASE_CONTRACT;
    return (enum phase)(1 + ((int) s - STAGE_EXPAND_RUNNING) / 3);
}

static bool is_part(enum stage s, int part)
{
    return s > STAGE_PLANNED && s < STAGE_PURGING && ((int) s - STAGE_EXPAND_RUNNING) % 3 == part;
}

bool stage_is_running(enum stage s) { return is_part(s, 0) || s == STAGE_PURGING; }
bool stage_is_undoing(enum stage s) { return is_part(s, 2); }

bool stage_has_finished(enum stage s, enum phase p)
{
    if (s >= STAGE_PURGING)
        return true;
    if (s == STAGE_PLANNED || stage_phase(s) < p)
        return false;
    return stage_phase(s) > p || is_part(s, 1);
}

enum phase stage_next_phase(enum stage s)
{
    if (s >= STAGE_CONTRACT_DONE || stage_is_undoing(s))
        return PHASE_NONE;
    if (s == STAGE_PLANNED)
        return PHASE_FIRST;
    return stage_is_running(s) ? stage_phase(s) : (enum phase)(stage_phase(s) + 1);
}

static const struct {
    const char *word, *question;
} guard_rows[GUARD_COUNT] = {
#define X(name, word, question) [GUARD_##name] = {word, question},
    GUARDS(X)
#undef X
};

const char *guard_word(enum guard g) { return guard_rows[g].word; }
const char *guard_question(enum guard g) { return guard_rows[g].question; }

#define SAME_BRAKE BRAKE_COUNT
#define OFF (1u << BRAKE_NONE)
#define ANY (OFF | 1u << BRAKE_PAUSED | 1u << BRAKE_HALTED | 1u << BRAKE_KILLED)
#define ON_BRAKE (ANY & ~OFF)
#define G(name) GUARD_BIT(name)

/* What every start of a phase asks, what going on with it asks, and what contract asks besides. */
#define START                                                                                      \
    (G(NEXT_PRESENT) | G(IN_WINDOW) | G(RELEASE_TURN) | G(DEPENDENCIES) | G(REQUIREMENTS) |        \
     G(UNEDITED) | G(APPROVED) | G(GO) | G(IN_HOURS) | G(PREFLIGHT) | G(REHEARSED) | G(DRILLED) |  \
     G(FLAGS_KNOWN) | G(RELEASES_LIVE))
#define GO_ON                                                                                      \
    (G(IN_WINDOW) | G(RELEASE_TURN) | G(DEPENDENCIES) | G(UNEDITED) | G(APPROVED) | G(FLAGS_KNOWN))
#define AGAIN (GO_ON | G(REQUIREMENTS))
#define OLD_SHAPE_UNUSED (G(FLAGS_FULL) | G(VERIFIED) | G(RELEASES_LIVE))

/* The first column is the row's number: it is stored in the journal, so it never changes its meaning.
 * New rows get new numbers. */
static const struct transition table[] = {
    {1, STAGE_PLANNED, OFF, EVENT_ADVANCE, STAGE_EXPAND_RUNNING, SAME_BRAKE, START,
     "start the additive schema change"},
    {2, STAGE_PLANNED, OFF, EVENT_SKIP, STAGE_EXPAND_DONE, SAME_BRAKE, G(NEXT_ABSENT),
     "the plan has no expand"},
    {3, STAGE_EXPAND_RUNNING, OFF, EVENT_ADVANCE, STAGE_EXPAND_RUNNING, SAME_BRAKE, GO_ON,
     "go on with expand"},
    {4, STAGE_EXPAND_RUNNING, OFF, EVENT_FINISHED, STAGE_EXPAND_DONE, SAME_BRAKE, 0,
     "the new shape is there"},
    {5, STAGE_EXPAND_RUNNING, ANY, EVENT_ROLLBACK, STAGE_EXPAND_UNDOING, SAME_BRAKE,
     G(UNDO_WHOLE) | G(LOSSLESS), "take the additions back"},
    {6, STAGE_EXPAND_DONE, ANY, EVENT_ROLLBACK, STAGE_EXPAND_UNDOING, SAME_BRAKE,
     G(UNDO_WHOLE) | G(LOSSLESS) | G(RELEASES_LIVE), "take the additions back"},
    {7, STAGE_EXPAND_UNDOING, ANY, EVENT_ROLLBACK, STAGE_EXPAND_UNDOING, SAME_BRAKE,
     G(UNDO_WHOLE) | G(LOSSLESS), "go on taking the additions back"},
    {8, STAGE_EXPAND_UNDOING, ANY, EVENT_FINISHED, STAGE_PLANNED, BRAKE_NONE, 0,
     "the schema is as it was before"},

    {10, STAGE_EXPAND_DONE, OFF, EVENT_ADVANCE, STAGE_DUAL_READ_RUNNING, SAME_BRAKE, START,
     "start reading the new shape"},
    {11, STAGE_EXPAND_DONE, OFF, EVENT_SKIP, STAGE_DUAL_READ_DONE, SAME_BRAKE, G(NEXT_ABSENT),
     "the plan has no dual_read"},
    {12, STAGE_DUAL_READ_RUNNING, OFF, EVENT_ADVANCE, STAGE_DUAL_READ_RUNNING, SAME_BRAKE, GO_ON,
     "go on with dual_read"},
    {13, STAGE_DUAL_READ_RUNNING, OFF, EVENT_FINISHED, STAGE_DUAL_READ_DONE, SAME_BRAKE, 0,
     "reads are rolled out"},
    {14, STAGE_DUAL_READ_RUNNING, ANY, EVENT_ROLLBACK, STAGE_DUAL_READ_UNDOING, SAME_BRAKE,
     G(UNDO_WHOLE) | G(LOSSLESS), "take reads back to the old shape"},
    {15, STAGE_DUAL_READ_DONE, ANY, EVENT_ROLLBACK, STAGE_DUAL_READ_UNDOING, SAME_BRAKE,
     G(UNDO_WHOLE) | G(LOSSLESS), "take reads back to the old shape"},
    {16, STAGE_DUAL_READ_UNDOING, ANY, EVENT_ROLLBACK, STAGE_DUAL_READ_UNDOING, SAME_BRAKE,
     G(UNDO_WHOLE) | G(LOSSLESS), "go on taking reads back"},
    {17, STAGE_DUAL_READ_UNDOING, ANY, EVENT_FINISHED, STAGE_EXPAND_DONE, BRAKE_NONE, 0,
     "reads are on the old shape"},
    {18, STAGE_DUAL_READ_DONE, ANY & ~(1u << BRAKE_KILLED), EVENT_KILL_SEEN,
     STAGE_DUAL_READ_RUNNING, BRAKE_KILLED, 0,
     "a kill took reads back: they are to be rolled out again"},

    {20, STAGE_DUAL_READ_DONE, OFF, EVENT_ADVANCE, STAGE_WRITE_ACTIVATION_RUNNING, SAME_BRAKE,
     START, "start writing the new shape"},
    {21, STAGE_DUAL_READ_DONE, OFF, EVENT_SKIP, STAGE_WRITE_ACTIVATION_DONE, SAME_BRAKE,
     G(NEXT_ABSENT), "the plan has no write_activation"},
    {22, STAGE_WRITE_ACTIVATION_RUNNING, OFF, EVENT_ADVANCE, STAGE_WRITE_ACTIVATION_RUNNING,
     SAME_BRAKE, GO_ON, "go on with write_activation"},
    {23, STAGE_WRITE_ACTIVATION_RUNNING, OFF, EVENT_FINISHED, STAGE_WRITE_ACTIVATION_DONE,
     SAME_BRAKE, 0, "writes are rolled out, the past is filled and verified"},
    {24, STAGE_WRITE_ACTIVATION_RUNNING, ANY, EVENT_ROLLBACK, STAGE_WRITE_ACTIVATION_UNDOING,
     SAME_BRAKE, G(UNDO_WHOLE) | G(LOSSLESS), "take writes back to the old shape"},
    {25, STAGE_WRITE_ACTIVATION_DONE, ANY, EVENT_ROLLBACK, STAGE_WRITE_ACTIVATION_UNDOING,
     SAME_BRAKE, G(UNDO_WHOLE) | G(LOSSLESS), "take writes back to the old shape"},
    {26, STAGE_WRITE_ACTIVATION_UNDOING, ANY, EVENT_ROLLBACK, STAGE_WRITE_ACTIVATION_UNDOING,
     SAME_BRAKE, G(UNDO_WHOLE) | G(LOSSLESS), "go on taking writes back"},
    {27, STAGE_WRITE_ACTIVATION_UNDOING, ANY, EVENT_FINISHED, STAGE_DUAL_READ_DONE, BRAKE_NONE, 0,
     "writes are on the old shape"},
    {28, STAGE_WRITE_ACTIVATION_DONE, ANY & ~(1u << BRAKE_KILLED), EVENT_KILL_SEEN,
     STAGE_WRITE_ACTIVATION_RUNNING, BRAKE_KILLED, 0,
     "a kill took flags back: they are to be rolled out again"},

    {30, STAGE_WRITE_ACTIVATION_DONE, OFF, EVENT_ADVANCE, STAGE_CONTRACT_RUNNING, SAME_BRAKE,
     START | OLD_SHAPE_UNUSED, "start hiding the old shape"},
    {31, STAGE_WRITE_ACTIVATION_DONE, OFF, EVENT_SKIP, STAGE_PURGED, SAME_BRAKE, G(NEXT_ABSENT),
     "the plan has no contract: it ends here"},
    {32, STAGE_CONTRACT_RUNNING, OFF, EVENT_ADVANCE, STAGE_CONTRACT_RUNNING, SAME_BRAKE,
     GO_ON | OLD_SHAPE_UNUSED, "go on hiding the old shape"},
    {33, STAGE_CONTRACT_RUNNING, OFF, EVENT_FINISHED, STAGE_CONTRACT_DONE, SAME_BRAKE, 0,
     "the old shape is hidden; its hold begins"},
    {34, STAGE_CONTRACT_RUNNING, ANY, EVENT_RESTORE, STAGE_CONTRACT_UNDOING, SAME_BRAKE,
     G(UNDO_WHOLE), "bring the old shape back"},
    {35, STAGE_CONTRACT_DONE, ANY, EVENT_RESTORE, STAGE_CONTRACT_UNDOING, SAME_BRAKE, G(UNDO_WHOLE),
     "bring the old shape back"},
    {36, STAGE_CONTRACT_UNDOING, ANY, EVENT_RESTORE, STAGE_CONTRACT_UNDOING, SAME_BRAKE,
     G(UNDO_WHOLE), "go on bringing the old shape back"},
    {37, STAGE_CONTRACT_RUNNING, ANY, EVENT_ROLLBACK, STAGE_CONTRACT_UNDOING, SAME_BRAKE,
     G(UNDO_WHOLE) | G(LOSSLESS), "bring the old shape back"},
    {38, STAGE_CONTRACT_DONE, ANY, EVENT_ROLLBACK, STAGE_CONTRACT_UNDOING, SAME_BRAKE,
     G(UNDO_WHOLE) | G(LOSSLESS), "bring the old shape back"},
    {39, STAGE_CONTRACT_UNDOING, ANY, EVENT_ROLLBACK, STAGE_CONTRACT_UNDOING, SAME_BRAKE,
     G(UNDO_WHOLE), "go on bringing the old shape back"},
    {40, STAGE_CONTRACT_UNDOING, ANY, EVENT_FINISHED, STAGE_WRITE_ACTIVATION_DONE, BRAKE_NONE, 0,
     "the old shape is back"},

    {50, STAGE_CONTRACT_DONE, OFF, EVENT_PURGE, STAGE_PURGING, SAME_BRAKE,
     G(IN_HOURS) | G(PREFLIGHT) | G(GATES) | G(HOLD_ELAPSED) | G(NO_DEPENDANTS) | G(UNTOUCHED) |
         G(SNAPSHOT) | G(RESTORE_POINT) | G(CONFIRMED) | G(UNEDITED) | G(APPROVED) |
         G(FLAGS_KNOWN) | OLD_SHAPE_UNUSED,
     "the point of no return: destroy the old shape"},
    {51, STAGE_PURGING, OFF, EVENT_PURGE, STAGE_PURGING, SAME_BRAKE,
     G(SNAPSHOT) | G(RESTORE_POINT) | G(CONFIRMED) | G(UNEDITED) | G(HOLD_ELAPSED),
     "go on destroying the old shape"},
    {52, STAGE_PURGING, OFF, EVENT_FINISHED, STAGE_PURGED, SAME_BRAKE, 0, "the change is complete"},

    {60, STAGE_EXPAND_DONE, OFF, EVENT_REPEAT, STAGE_EXPAND_DONE, SAME_BRAKE, AGAIN,
     "run the steps of expand again"},
    {61, STAGE_DUAL_READ_DONE, OFF, EVENT_REPEAT, STAGE_DUAL_READ_DONE, SAME_BRAKE, AGAIN,
     "run the steps of dual_read again"},
    {62, STAGE_WRITE_ACTIVATION_DONE, OFF, EVENT_REPEAT, STAGE_WRITE_ACTIVATION_DONE, SAME_BRAKE,
     AGAIN, "run the steps of write_activation again"},
    {63, STAGE_CONTRACT_DONE, OFF, EVENT_REPEAT, STAGE_CONTRACT_DONE, SAME_BRAKE, AGAIN,
     "run the steps of contract again"},
    {64, STAGE_PURGED, OFF, EVENT_REPEAT, STAGE_PURGED, SAME_BRAKE, AGAIN | G(NEXT_ABSENT),
     "run the last steps of a plan without contract again"},

/* The brakes, for every stage in which something can still happen. */
#define BRAKES(n, stage)                                                                           \
    {100 + 10 * n, stage, OFF, EVENT_PAUSE, stage, BRAKE_PAUSED, 0, "paused by an operator"},      \
    {                                                                                              \
        101 + 10 * n, stage, ON_BRAKE, EVENT_RESUME, stage, BRAKE_NONE, 0,                         \
            "released by an operator"                                                              \
    }
#define KILLABLE(n, stage)                                                                         \
    {                                                                                              \
        102 + 10 * n, stage, ANY & ~(1u << BRAKE_KILLED), EVENT_KILL_SEEN, stage, BRAKE_KILLED, 0, \
            "a kill was seen"                                                                      \
    }
#define HALTABLE(n, stage)                                                                         \
    {                                                                                              \
        103 + 10 * n, stage, OFF, EVENT_GATE_FAILED, stage, BRAKE_HALTED, 0, "a gate failed"       \
    }

    BRAKES(0, STAGE_PLANNED),
    BRAKES(1, STAGE_EXPAND_RUNNING),
    KILLABLE(1, STAGE_EXPAND_RUNNING),
    HALTABLE(1, STAGE_EXPAND_RUNNING),
    BRAKES(2, STAGE_EXPAND_DONE),
    KILLABLE(2, STAGE_EXPAND_DONE),
    BRAKES(3, STAGE_EXPAND_UNDOING),
    KILLABLE(3, STAGE_EXPAND_UNDOING),
    BRAKES(4, STAGE_DUAL_READ_RUNNING),
    KILLABLE(4, STAGE_DUAL_READ_RUNNING),
    HALTABLE(4, STAGE_DUAL_READ_RUNNING),
    BRAKES(5, STAGE_DUAL_READ_DONE),
    BRAKES(6, STAGE_DUAL_READ_UNDOING),
    KILLABLE(6, STAGE_DUAL_READ_UNDOING),
    BRAKES(7, STAGE_WRITE_ACTIVATION_RUNNING),
    KILLABLE(7, STAGE_WRITE_ACTIVATION_RUNNING),
    HALTABLE(7, STAGE_WRITE_ACTIVATION_RUNNING),
    BRAKES(8, STAGE_WRITE_ACTIVATION_DONE),
    BRAKES(9, STAGE_WRITE_ACTIVATION_UNDOING),
    KILLABLE(9, STAGE_WRITE_ACTIVATION_UNDOING),
    BRAKES(10, STAGE_CONTRACT_RUNNING),
    KILLABLE(10, STAGE_CONTRACT_RUNNING),
    HALTABLE(10, STAGE_CONTRACT_RUNNING),
    BRAKES(11, STAGE_CONTRACT_DONE),
    KILLABLE(11, STAGE_CONTRACT_DONE),
    BRAKES(12, STAGE_CONTRACT_UNDOING),
    KILLABLE(12, STAGE_CONTRACT_UNDOING),
    BRAKES(13, STAGE_PURGING),
    KILLABLE(13, STAGE_PURGING),
};

const struct transition *phase_transitions(int *out_n)
{
    *out_n = (int) (sizeof table / sizeof table[0]);
    return table;
}

static const struct transition *find_row(enum stage s, enum brake b, enum phase_event e)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].from == s && table[i].event == e && (table[i].brakes & 1u << b))
            return &table[i];
    return NULL;
}

unsigned phase_guards(enum stage s, enum brake b, enum phase_event e)
{
    const struct transition *row = find_row(s, b, e);
    return row ? row->guards : 0;
}

static void refuse(struct decision *d, const char *reason, const struct fact *fact)
{
    d->refusals[d->n_refusals].reason = reason;
    d->refusals[d->n_refusals].fact = *fact;
    d->n_refusals++;
}

#define S(name) (1u << STAGE_##name)
#define E(name) (1u << EVENT_##name)
#define ALL_STAGES ((1u << STAGE_COUNT) - 1)
#define ALL_EVENTS ((1u << PHASE_EVENT_COUNT) - 1)

/* Why an event makes no sense in a stage. The first that fits is said; the last fits everything. */
static const struct {
    unsigned stages, events;
    const char *reason, *what, *release;
} no_moves[] = {
    {S(PURGED), E(RESTORE) | E(ROLLBACK), "complete",
     "the plan is complete: what its purge destroyed is in snapshots",
     "phasegate snapshots list, then phasegate restore --from NAME PLAN"},
    {S(PURGED), ALL_EVENTS, "complete", "the plan is complete", NULL},
    {ALL_STAGES, E(RESUME), "not_paused", "no brake is on", NULL},
    {S(CONTRACT_UNDOING), E(ADVANCE) | E(PURGE), "undoing", "the old shape is being brought back",
     "phasegate restore PLAN"},
    {S(CONTRACT_RUNNING), E(PURGE), "not_held", "contract isn't finished",
     "phasegate advance PLAN"},
    {S(CONTRACT_DONE), E(ADVANCE), "hold",
     "the old shape is in its hold; nothing is left for advance",
     "phasegate purge PLAN, once the hold has elapsed"},
    {S(PURGING), E(ADVANCE), "purging", "the purge has begun", "phasegate purge PLAN"},
    {S(PURGING), E(ROLLBACK) | E(RESTORE), "past_no_return",
     "the purge has begun: what it destroyed doesn't come back",
     "phasegate purge PLAN, then phasegate new NAME --compensates PLAN"},
    {S(PLANNED), E(ROLLBACK), "nothing_to_undo", "nothing was applied yet", NULL},
    {ALL_STAGES, E(ADVANCE), "undoing", "a rollback is under way", "phasegate rollback PLAN"},
    {ALL_STAGES, E(RESTORE) | E(PURGE), "not_held", "nothing is soft-dropped",
     "phasegate status PLAN"},
    {ALL_STAGES, ALL_EVENTS, "no_such_move", "there is no such move from here",
     "phasegate show machine"},
};

/* No row: the brake is on, or the event makes no sense here. Both are said in the user's words. */
static void refuse_no_row(const struct world *w, enum phase_event e, struct decision *d)
{
    static const char *const why_brake[BRAKE_COUNT] = {
        NULL, "the plan is paused", "the plan was halted by a gate", "the plan was killed"};
    struct fact f = {.known = true};

    if (w->brake != BRAKE_NONE && find_row(w->stage, BRAKE_NONE, e)) {
        f.what = w->brake_reason ? w->brake_reason : why_brake[w->brake];
        f.holder = w->brake_by;
        f.since_ms = w->brake_since_ms;
        f.release = e == EVENT_PAUSE ? NULL : "phasegate resume PLAN, once the cause is gone";
        refuse(d, e == EVENT_PAUSE ? "already_stopped" : brake_words[w->brake], &f);
        return;
    }
    for (size_t i = 0; i < sizeof no_moves / sizeof no_moves[0]; i++)
        if ((no_moves[i].stages & 1u << w->stage) && (no_moves[i].events & 1u << e)) {
            f.what = no_moves[i].what;
            f.release = no_moves[i].release;
            refuse(d, no_moves[i].reason, &f);
            return;
        }
}

void phase_decide(const struct world *w, enum phase_event e, struct decision *out)
{
    static const struct fact unseen = {.what = "this was not observed"};

    memset(out, 0, sizeof *out);
    out->row = find_row(w->stage, w->brake, e);
    if (!out->row) {
        refuse_no_row(w, e, out);
        return;
    }
    for (int g = 0; g < GUARD_COUNT; g++) {
        if (!(out->row->guards & 1u << g))
            continue;
        const struct fact *f = &w->facts[g];
        if (!f->known)
            refuse(out, guard_word((enum guard) g), f->what ? f : &unseen);
        else if (!f->holds)
            refuse(out, guard_word((enum guard) g), f);
    }
    out->go = out->n_refusals == 0;
}

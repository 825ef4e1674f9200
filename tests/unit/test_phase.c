/* The phase machine, proved by enumeration: every stage, brake and event, every combination of guards. */
#include "phasegate/phase.h"
#include "table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAIRS (STAGE_COUNT * BRAKE_COUNT)

static int pair_of(enum stage s, enum brake b) { return (int) s * BRAKE_COUNT + (int) b; }

/* A world in which exactly the guards in `holds` hold. */
static struct world world_of(enum stage s, enum brake b, unsigned holds)
{
    struct world w = {.stage = s, .brake = b};

    for (int g = 0; g < GUARD_COUNT; g++)
        w.facts[g] = (struct fact) {
            .known = true, .holds = holds >> g & 1, .what = guard_question((enum guard) g)};
    return w;
}

#define EVERYTHING ((1u << GUARD_COUNT) - 1)

/* How far a stage is: undoing is behind running, running behind done. */
static int place_of(enum stage s)
{
    if (s == STAGE_PLANNED)
        return 0;
    if (s >= STAGE_PURGING)
        return 100 + (int) s;
    int part = stage_is_undoing(s) ? 1 : stage_is_running(s) ? 2 : 3;
    return 3 * ((int) stage_phase(s) - 1) + part;
}

/* What phase_decide lets happen from `from`, over all events, when the guards in `holds` hold. Fills reached
 * (by pair_of); `without` is a stage that may not be entered, STAGE_COUNT: none. */
static void reach(enum stage from, enum brake brake, unsigned holds, enum stage without,
                  bool reached[PAIRS])
{
    int queue[PAIRS], head = 0, tail = 0;

    memset(reached, 0, sizeof(bool) * PAIRS);
    queue[tail++] = pair_of(from, brake);
    reached[queue[0]] = true;
    while (head < tail) {
        enum stage s = (enum stage)(queue[head] / BRAKE_COUNT);
        enum brake b = (enum brake)(queue[head++] % BRAKE_COUNT);
        for (int e = 0; e < PHASE_EVENT_COUNT; e++) {
            struct world w = world_of(s, b, holds);
            struct decision d;
            phase_decide(&w, (enum phase_event) e, &d);
            if (!d.go || d.row->to == without)
                continue;
            int to = pair_of(d.row->to, d.row->to_brake == BRAKE_COUNT ? b : d.row->to_brake);
            if (!reached[to]) {
                reached[to] = true;
                queue[tail++] = to;
            }
        }
    }
}

static bool is_reached(const bool reached[PAIRS], enum stage s)
{
    for (int b = 0; b < BRAKE_COUNT; b++)
        if (reached[pair_of(s, (enum brake) b)])
            return true;
    return false;
}

/* ---- the table ------------------------------------------------------------------------------------ */

static void test_rows_are_well_formed(void **state)
{
    (void) state;
    int n;
    const struct transition *t = phase_transitions(&n);

    assert_true(n > 50);
    for (int i = 0; i < n; i++) {
        CHECK(t[i].row > 0, "row %d has no number", i);
        CHECK(t[i].from < STAGE_COUNT && t[i].to < STAGE_COUNT && t[i].event < PHASE_EVENT_COUNT &&
                  t[i].to_brake <= BRAKE_COUNT,
              "row %d is out of range", t[i].row);
        CHECK(t[i].brakes != 0 && t[i].brakes < 1u << BRAKE_COUNT, "row %d applies under no brake",
              t[i].row);
        CHECK((t[i].guards & ~EVERYTHING) == 0, "row %d has guards that don't exist", t[i].row);
        CHECK(t[i].comment && *t[i].comment, "row %d says nothing", t[i].row);
        for (int j = 0; j < i; j++) {
            CHECK(t[i].row != t[j].row, "two rows have the number %d", t[i].row);
            CHECK(t[i].from != t[j].from || t[i].event != t[j].event ||
                      !(t[i].brakes & t[j].brakes),
                  "rows %d and %d both apply to %s at %s", t[i].row, t[j].row,
                  phase_event_word(t[i].event), stage_word(t[i].from));
        }
    }
}

/* Numbers are in journals: what one meant once, it means for ever. */
static void test_row_numbers_keep_their_meaning(void **state)
{
    (void) state;
    static const struct {
        int row;
        enum stage from;
        enum phase_event event;
        enum stage to;
    } rows[] = {
        {1, STAGE_PLANNED, EVENT_ADVANCE, STAGE_EXPAND_RUNNING},
        {2, STAGE_PLANNED, EVENT_SKIP, STAGE_EXPAND_DONE},
        {3, STAGE_EXPAND_RUNNING, EVENT_ADVANCE, STAGE_EXPAND_RUNNING},
        {4, STAGE_EXPAND_RUNNING, EVENT_FINISHED, STAGE_EXPAND_DONE},
        {5, STAGE_EXPAND_RUNNING, EVENT_ROLLBACK, STAGE_EXPAND_UNDOING},
        {6, STAGE_EXPAND_DONE, EVENT_ROLLBACK, STAGE_EXPAND_UNDOING},
        {7, STAGE_EXPAND_UNDOING, EVENT_ROLLBACK, STAGE_EXPAND_UNDOING},
        {8, STAGE_EXPAND_UNDOING, EVENT_FINISHED, STAGE_PLANNED},
        {10, STAGE_EXPAND_DONE, EVENT_ADVANCE, STAGE_DUAL_READ_RUNNING},
        {11, STAGE_EXPAND_DONE, EVENT_SKIP, STAGE_DUAL_READ_DONE},
        {12, STAGE_DUAL_READ_RUNNING, EVENT_ADVANCE, STAGE_DUAL_READ_RUNNING},
        {13, STAGE_DUAL_READ_RUNNING, EVENT_FINISHED, STAGE_DUAL_READ_DONE},
        {14, STAGE_DUAL_READ_RUNNING, EVENT_ROLLBACK, STAGE_DUAL_READ_UNDOING},
        {15, STAGE_DUAL_READ_DONE, EVENT_ROLLBACK, STAGE_DUAL_READ_UNDOING},
        {16, STAGE_DUAL_READ_UNDOING, EVENT_ROLLBACK, STAGE_DUAL_READ_UNDOING},
        {17, STAGE_DUAL_READ_UNDOING, EVENT_FINISHED, STAGE_EXPAND_DONE},
        {18, STAGE_DUAL_READ_DONE, EVENT_KILL_SEEN, STAGE_DUAL_READ_RUNNING},
        {20, STAGE_DUAL_READ_DONE, EVENT_ADVANCE, STAGE_WRITE_ACTIVATION_RUNNING},
        {21, STAGE_DUAL_READ_DONE, EVENT_SKIP, STAGE_WRITE_ACTIVATION_DONE},
        {22, STAGE_WRITE_ACTIVATION_RUNNING, EVENT_ADVANCE, STAGE_WRITE_ACTIVATION_RUNNING},
        {23, STAGE_WRITE_ACTIVATION_RUNNING, EVENT_FINISHED, STAGE_WRITE_ACTIVATION_DONE},
        {24, STAGE_WRITE_ACTIVATION_RUNNING, EVENT_ROLLBACK, STAGE_WRITE_ACTIVATION_UNDOING},
        {25, STAGE_WRITE_ACTIVATION_DONE, EVENT_ROLLBACK, STAGE_WRITE_ACTIVATION_UNDOING},
        {26, STAGE_WRITE_ACTIVATION_UNDOING, EVENT_ROLLBACK, STAGE_WRITE_ACTIVATION_UNDOING},
        {27, STAGE_WRITE_ACTIVATION_UNDOING, EVENT_FINISHED, STAGE_DUAL_READ_DONE},
        {28, STAGE_WRITE_ACTIVATION_DONE, EVENT_KILL_SEEN, STAGE_WRITE_ACTIVATION_RUNNING},
        {30, STAGE_WRITE_ACTIVATION_DONE, EVENT_ADVANCE, STAGE_CONTRACT_RUNNING},
        {31, STAGE_WRITE_ACTIVATION_DONE, EVENT_SKIP, STAGE_PURGED},
        {32, STAGE_CONTRACT_RUNNING, EVENT_ADVANCE, STAGE_CONTRACT_RUNNING},
        {33, STAGE_CONTRACT_RUNNING, EVENT_FINISHED, STAGE_CONTRACT_DONE},
        {34, STAGE_CONTRACT_RUNNING, EVENT_RESTORE, STAGE_CONTRACT_UNDOING},
        {35, STAGE_CONTRACT_DONE, EVENT_RESTORE, STAGE_CONTRACT_UNDOING},
        {36, STAGE_CONTRACT_UNDOING, EVENT_RESTORE, STAGE_CONTRACT_UNDOING},
        {37, STAGE_CONTRACT_RUNNING, EVENT_ROLLBACK, STAGE_CONTRACT_UNDOING},
        {38, STAGE_CONTRACT_DONE, EVENT_ROLLBACK, STAGE_CONTRACT_UNDOING},
        {39, STAGE_CONTRACT_UNDOING, EVENT_ROLLBACK, STAGE_CONTRACT_UNDOING},
        {40, STAGE_CONTRACT_UNDOING, EVENT_FINISHED, STAGE_WRITE_ACTIVATION_DONE},
        {50, STAGE_CONTRACT_DONE, EVENT_PURGE, STAGE_PURGING},
        {51, STAGE_PURGING, EVENT_PURGE, STAGE_PURGING},
        {52, STAGE_PURGING, EVENT_FINISHED, STAGE_PURGED},
        {60, STAGE_EXPAND_DONE, EVENT_REPEAT, STAGE_EXPAND_DONE},
        {61, STAGE_DUAL_READ_DONE, EVENT_REPEAT, STAGE_DUAL_READ_DONE},
        {62, STAGE_WRITE_ACTIVATION_DONE, EVENT_REPEAT, STAGE_WRITE_ACTIVATION_DONE},
        {63, STAGE_CONTRACT_DONE, EVENT_REPEAT, STAGE_CONTRACT_DONE},
        {64, STAGE_PURGED, EVENT_REPEAT, STAGE_PURGED},
    };
    int n, moves = 0;
    const struct transition *t = phase_transitions(&n);

    for (int i = 0; i < n; i++) {
        bool found =
            t[i].row >= 100; /* a brake: row 100 + 10 * stage + kind, and the stage stays */
        if (found) {
            static const enum phase_event kinds[] = {EVENT_PAUSE, EVENT_RESUME, EVENT_KILL_SEEN,
                                                     EVENT_GATE_FAILED};
            int kind = (t[i].row - 100) % 10;
            CHECK(kind < 4 && t[i].event == kinds[kind] &&
                      (int) t[i].from == (t[i].row - 100) / 10 && t[i].to == t[i].from,
                  "row %d isn't what its number says", t[i].row);
            continue;
        }
        moves++;
        for (size_t j = 0; j < ROWS(rows) && !found; j++)
            found = rows[j].row == t[i].row && rows[j].from == t[i].from &&
                    rows[j].event == t[i].event && rows[j].to == t[i].to;
        CHECK(found, "row %d has changed, or is missing from this test", t[i].row);
    }
    assert_int_equal(moves, ROWS(rows));
}

/* ---- deciding ------------------------------------------------------------------------------------- */

/* One combination of the row's guards: each one yes, no, or not looked at. */
static void check_combination(enum stage s, enum brake b, enum phase_event e,
                              const struct transition *row, const int *guards, const int *answers,
                              int k)
{
    unsigned missing = 0;
    /* What the row doesn't ask must not matter: it is yes, no and unseen in turns. */
    struct world w = {.stage = s, .brake = b};
    struct decision d;

    for (int g = 0; g < GUARD_COUNT; g++)
        w.facts[g] = (struct fact) {.known = g % 3 != 0, .holds = g % 3 != 1};
    for (int i = 0; i < k; i++) {
        w.facts[guards[i]] = (struct fact) {
            .known = answers[i] != 2, .holds = answers[i] != 1, .since_ms = 1000 + guards[i]};
        if (answers[i] != 0)
            missing |= 1u << guards[i];
    }
    phase_decide(&w, e, &d);
    assert_ptr_equal(d.row, row);
    assert_int_equal(d.go, missing == 0);
    assert_int_equal(d.n_refusals, __builtin_popcount(missing));
    unsigned said = 0;
    for (int i = 0; i < d.n_refusals; i++)
        for (int g = 0; g < GUARD_COUNT; g++)
            if (d.refusals[i].reason == guard_word((enum guard) g)) { /* millions of times */
                said |= 1u << g;
                /* Seen and refused: its fact is handed on; never looked at: that is said. */
                if (w.facts[g].known ? d.refusals[i].fact.since_ms != 1000 + g
                                     : !d.refusals[i].fact.what)
                    fail_msg("%s at %s: the fact of %s is lost", phase_event_word(e), stage_word(s),
                             guard_word((enum guard) g));
            }
    if (said != missing)
        fail_msg("%s at %s: missing %x, said %x", phase_event_word(e), stage_word(s), missing,
                 said);
}

/* Each guard more triples them. Of a long row those are left out in which several are no and several weren't looked at:
 * every pair and triple of guards is there with every answer, and so is every set of those that are missing, either way. */
static bool is_tried(const int *answers, int k)
{
    int no = 0, unseen = 0;

    for (int i = 0; i < k; i++) {
        no += answers[i] == 1;
        unseen += answers[i] == 2;
    }
    return k <= 13 || no <= 2 || unseen <= 2;
}

static long check_row(enum stage s, enum brake b, enum phase_event e, const struct transition *row)
{
    int guards[GUARD_COUNT], answers[GUARD_COUNT] = {0}, k = 0;
    long n = 0;

    for (int g = 0; g < GUARD_COUNT; g++)
        if (row->guards & 1u << g)
            guards[k++] = g;
    for (;;) {
        if (is_tried(answers, k)) {
            check_combination(s, b, e, row, guards, answers, k);
            n++;
        }
        int i = 0;
        while (i < k && ++answers[i] == 3)
            answers[i++] = 0;
        if (i == k)
            return n;
    }
}

static void test_every_decision(void **state)
{
    (void) state;
    int n;
    const struct transition *t = phase_transitions(&n);
    long combinations = 0;

    for (int s = 0; s < STAGE_COUNT; s++)
        for (int b = 0; b < BRAKE_COUNT; b++)
            for (int e = 0; e < PHASE_EVENT_COUNT; e++) {
                const struct transition *row = NULL;
                int rows = 0;
                for (int i = 0; i < n; i++)
                    if ((int) t[i].from == s && (int) t[i].event == e && (t[i].brakes & 1u << b)) {
                        row = &t[i];
                        rows++;
                    }
                CHECK(rows <= 1, "%d rows for %s at %s", rows,
                      phase_event_word((enum phase_event) e), stage_word((enum stage) s));
                unsigned asked = phase_guards((enum stage) s, (enum brake) b, (enum phase_event) e);
                assert_int_equal(asked, row ? row->guards : 0);
                if (row) {
                    combinations +=
                        check_row((enum stage) s, (enum brake) b, (enum phase_event) e, row);
                    continue;
                }
                struct world w = world_of((enum stage) s, (enum brake) b, EVERYTHING);
                struct decision d;
                phase_decide(&w, (enum phase_event) e, &d);
                assert_null(d.row);
                assert_false(d.go);
                assert_int_equal(d.n_refusals, 1);
                assert_non_null(d.refusals[0].reason);
                assert_true(d.refusals[0].fact.known);
                assert_non_null(d.refusals[0].fact.what);
            }
    assert_true(combinations > 100000);
}

/* A refusal of an event that has no row: the reason word, and the next command where there is one. */
static void test_refusals_without_a_row(void **state)
{
    (void) state;
    static const struct {
        enum stage stage;
        enum brake brake;
        enum phase_event event;
        const char *reason, *release; /* part of it; NULL: none */
    } rows[] = {
        {STAGE_EXPAND_DONE, BRAKE_PAUSED, EVENT_ADVANCE, "paused", "resume PLAN"},
        {STAGE_DUAL_READ_RUNNING, BRAKE_HALTED, EVENT_ADVANCE, "halted", "resume PLAN"},
        {STAGE_DUAL_READ_RUNNING, BRAKE_KILLED, EVENT_FINISHED, "killed", "resume PLAN"},
        {STAGE_PLANNED, BRAKE_PAUSED, EVENT_SKIP, "paused", "resume PLAN"},
        {STAGE_CONTRACT_DONE, BRAKE_PAUSED, EVENT_PURGE, "paused", "resume PLAN"},
        {STAGE_PURGING, BRAKE_KILLED, EVENT_PURGE, "killed", "resume PLAN"},
        {STAGE_DUAL_READ_RUNNING, BRAKE_PAUSED, EVENT_GATE_FAILED, "paused", "resume PLAN"},
        {STAGE_DUAL_READ_RUNNING, BRAKE_KILLED, EVENT_KILL_SEEN, "killed", "resume PLAN"},
        {STAGE_EXPAND_DONE, BRAKE_PAUSED, EVENT_PAUSE, "already_stopped", NULL},
        {STAGE_EXPAND_DONE, BRAKE_HALTED, EVENT_PAUSE, "already_stopped", NULL},
        {STAGE_EXPAND_DONE, BRAKE_NONE, EVENT_RESUME, "not_paused", NULL},
        {STAGE_PURGED, BRAKE_NONE, EVENT_ADVANCE, "complete", NULL},
        {STAGE_PURGED, BRAKE_NONE, EVENT_ROLLBACK, "complete",
         "phasegate snapshots list, then phasegate restore --from NAME PLAN"},
        {STAGE_PURGED, BRAKE_NONE, EVENT_RESTORE, "complete",
         "phasegate snapshots list, then phasegate restore --from NAME PLAN"},
        {STAGE_PURGED, BRAKE_NONE, EVENT_PURGE, "complete", NULL},
        {STAGE_PURGED, BRAKE_NONE, EVENT_PAUSE, "complete", NULL},
        {STAGE_PURGED, BRAKE_NONE, EVENT_RESUME, "complete", NULL},
        {STAGE_PURGED, BRAKE_NONE, EVENT_KILL_SEEN, "complete", NULL},
        {STAGE_EXPAND_UNDOING, BRAKE_NONE, EVENT_ADVANCE, "undoing", "rollback PLAN"},
        {STAGE_DUAL_READ_UNDOING, BRAKE_KILLED, EVENT_ADVANCE, "undoing", "rollback PLAN"},
        {STAGE_WRITE_ACTIVATION_UNDOING, BRAKE_NONE, EVENT_ADVANCE, "undoing", "rollback PLAN"},
        {STAGE_CONTRACT_UNDOING, BRAKE_NONE, EVENT_ADVANCE, "undoing", "restore PLAN"},
        {STAGE_CONTRACT_UNDOING, BRAKE_NONE, EVENT_PURGE, "undoing", "restore PLAN"},
        {STAGE_CONTRACT_DONE, BRAKE_NONE, EVENT_ADVANCE, "hold", "purge PLAN"},
        {STAGE_CONTRACT_DONE, BRAKE_PAUSED, EVENT_ADVANCE, "hold", "purge PLAN"},
        {STAGE_PURGING, BRAKE_NONE, EVENT_ADVANCE, "purging", "purge PLAN"},
        {STAGE_PURGING, BRAKE_NONE, EVENT_ROLLBACK, "past_no_return", "--compensates"},
        {STAGE_PURGING, BRAKE_NONE, EVENT_RESTORE, "past_no_return", "--compensates"},
        {STAGE_PURGING, BRAKE_PAUSED, EVENT_RESTORE, "past_no_return", "--compensates"},
        {STAGE_PLANNED, BRAKE_NONE, EVENT_ROLLBACK, "nothing_to_undo", NULL},
        {STAGE_PLANNED, BRAKE_PAUSED, EVENT_ROLLBACK, "nothing_to_undo", NULL},
        {STAGE_PLANNED, BRAKE_NONE, EVENT_RESTORE, "not_held", "status PLAN"},
        {STAGE_WRITE_ACTIVATION_DONE, BRAKE_NONE, EVENT_RESTORE, "not_held", "status PLAN"},
        {STAGE_WRITE_ACTIVATION_DONE, BRAKE_NONE, EVENT_PURGE, "not_held", "status PLAN"},
        {STAGE_EXPAND_UNDOING, BRAKE_NONE, EVENT_PURGE, "not_held", "status PLAN"},
        {STAGE_CONTRACT_RUNNING, BRAKE_NONE, EVENT_PURGE, "not_held", "advance PLAN"},
        {STAGE_EXPAND_RUNNING, BRAKE_NONE, EVENT_SKIP, "no_such_move", "show machine"},
        {STAGE_EXPAND_DONE, BRAKE_NONE, EVENT_FINISHED, "no_such_move", "show machine"},
        {STAGE_EXPAND_DONE, BRAKE_NONE, EVENT_GATE_FAILED, "no_such_move", "show machine"},
        {STAGE_PLANNED, BRAKE_NONE, EVENT_KILL_SEEN, "no_such_move", "show machine"},
    };

    for (size_t i = 0; i < ROWS(rows); i++) {
        struct world w = world_of(rows[i].stage, rows[i].brake, EVERYTHING);
        struct decision d;
        phase_decide(&w, rows[i].event, &d);
        CHECK(!d.row && d.n_refusals == 1 && strcmp(d.refusals[0].reason, rows[i].reason) == 0,
              "row %zu: %s at %s gives %s, not %s", i, phase_event_word(rows[i].event),
              stage_word(rows[i].stage), d.n_refusals ? d.refusals[0].reason : "nothing",
              rows[i].reason);
        const char *release = d.refusals[0].fact.release;
        CHECK(rows[i].release ? release && strstr(release, rows[i].release) : !release,
              "row %zu: released by %s", i, release ? release : "nothing");
    }
}

static void test_brake_says_who_and_why(void **state)
{
    (void) state;
    struct world w = world_of(STAGE_DUAL_READ_RUNNING, BRAKE_PAUSED, EVERYTHING);
    struct decision d;

    w.brake_reason = "lunch";
    w.brake_by = "ann@box";
    w.brake_since_ms = 77;
    phase_decide(&w, EVENT_ADVANCE, &d);
    assert_string_equal(d.refusals[0].fact.what, "lunch");
    assert_string_equal(d.refusals[0].fact.holder, "ann@box");
    assert_int_equal(d.refusals[0].fact.since_ms, 77);
    w.brake_reason = NULL;
    phase_decide(&w, EVENT_ADVANCE, &d);
    assert_string_equal(d.refusals[0].fact.what, "the plan is paused");
}

/* ---- what can be reached -------------------------------------------------------------------------- */

static void test_every_stage_is_reached(void **state)
{
    (void) state;
    bool reached[PAIRS];

    reach(STAGE_PLANNED, BRAKE_NONE, EVERYTHING, STAGE_COUNT, reached);
    for (int s = 0; s < STAGE_COUNT; s++) {
        CHECK(reached[pair_of((enum stage) s, BRAKE_NONE)], "%s is never reached",
              stage_word((enum stage) s));
        if (s == STAGE_PURGED)
            continue;
        CHECK(reached[pair_of((enum stage) s, BRAKE_PAUSED)], "%s is never paused",
              stage_word((enum stage) s));
    }
    for (int b = 0; b < BRAKE_COUNT; b++)
        CHECK(b == BRAKE_NONE || !reached[pair_of(STAGE_PURGED, (enum brake) b)],
              "purged under a brake");
    CHECK(!reached[pair_of(STAGE_PLANNED, BRAKE_KILLED)] &&
              !reached[pair_of(STAGE_PLANNED, BRAKE_HALTED)],
          "planned and stopped by a flag or a gate");
}

/* Nothing is a dead end: with every guard holding, the end can be reached from everywhere. */
static void test_the_end_is_reached_from_everywhere(void **state)
{
    (void) state;
    bool all[PAIRS], from[PAIRS];

    reach(STAGE_PLANNED, BRAKE_NONE, EVERYTHING, STAGE_COUNT, all);
    for (int p = 0; p < PAIRS; p++) {
        if (!all[p])
            continue;
        reach((enum stage)(p / BRAKE_COUNT), (enum brake)(p % BRAKE_COUNT), EVERYTHING, STAGE_COUNT,
              from);
        CHECK(is_reached(from, STAGE_PURGED), "no way on from %s, %s",
              stage_word((enum stage)(p / BRAKE_COUNT)), brake_word((enum brake)(p % BRAKE_COUNT)));
    }
}

static void test_purged_only_after_hold_or_by_skip(void **state)
{
    (void) state;
    static const enum stage way[] = {STAGE_CONTRACT_RUNNING, STAGE_CONTRACT_DONE, STAGE_PURGING};
    unsigned present = EVERYTHING & ~GUARD_BIT(NEXT_ABSENT);
    bool reached[PAIRS];
    int n;
    const struct transition *t = phase_transitions(&n);

    reach(STAGE_PLANNED, BRAKE_NONE, present, STAGE_COUNT, reached);
    assert_true(is_reached(reached, STAGE_PURGED));
    for (size_t i = 0; i < ROWS(way); i++) {
        reach(STAGE_PLANNED, BRAKE_NONE, present, way[i], reached);
        CHECK(!is_reached(reached, STAGE_PURGED), "purged without %s", stage_word(way[i]));
    }
    /* Entered from these alone. */
    for (int i = 0; i < n; i++) {
        if (t[i].to == STAGE_PURGED && t[i].from != STAGE_PURGING && t[i].from != STAGE_PURGED)
            CHECK(t[i].event == EVENT_SKIP && t[i].from == STAGE_WRITE_ACTIVATION_DONE &&
                      (t[i].guards & GUARD_BIT(NEXT_ABSENT)),
                  "row %d ends the plan", t[i].row);
        if (t[i].to == STAGE_PURGING && t[i].from != STAGE_PURGING)
            CHECK(t[i].from == STAGE_CONTRACT_DONE && t[i].event == EVENT_PURGE,
                  "row %d begins the purge", t[i].row);
        if (t[i].to == STAGE_CONTRACT_DONE && t[i].from != STAGE_CONTRACT_DONE)
            CHECK(t[i].from == STAGE_CONTRACT_RUNNING && t[i].event == EVENT_FINISHED,
                  "row %d begins the hold", t[i].row);
    }
}

static void test_contract_needs_each_of_its_guards(void **state)
{
    (void) state;
    static const enum guard needed[] = {
        GUARD_FLAGS_FULL,   GUARD_VERIFIED, GUARD_RELEASES_LIVE, GUARD_RELEASE_TURN, GUARD_APPROVED,
        GUARD_DEPENDENCIES, GUARD_UNEDITED, GUARD_FLAGS_KNOWN,   GUARD_REQUIREMENTS, GUARD_GO,
        GUARD_NEXT_PRESENT, GUARD_IN_HOURS, GUARD_PREFLIGHT};
    bool reached[PAIRS];

    for (size_t i = 0; i < ROWS(needed); i++) {
        unsigned holds = EVERYTHING & ~(1u << needed[i]);
        /* From the start, and from the stage before, however it was come by. */
        static const enum stage starts[] = {STAGE_PLANNED, STAGE_WRITE_ACTIVATION_DONE};
        for (size_t j = 0; j < ROWS(starts); j++) {
            reach(starts[j], BRAKE_NONE, holds, STAGE_COUNT, reached);
            static const enum stage after[] = {STAGE_CONTRACT_RUNNING, STAGE_CONTRACT_DONE,
                                               STAGE_CONTRACT_UNDOING, STAGE_PURGING};
            for (size_t k = 0; k < ROWS(after); k++)
                CHECK(!is_reached(reached, after[k]), "%s from %s without \"%s\"",
                      stage_word(after[k]), stage_word(starts[j]), guard_question(needed[i]));
        }
    }
    /* Going on asks the same of flags, data and releases: a kill in the middle stops it. */
    unsigned go_on = phase_guards(STAGE_CONTRACT_RUNNING, BRAKE_NONE, EVENT_ADVANCE);
    unsigned unused = GUARD_BIT(FLAGS_FULL) | GUARD_BIT(VERIFIED) | GUARD_BIT(RELEASES_LIVE) |
                      GUARD_BIT(FLAGS_KNOWN);
    assert_int_equal(go_on & unused, unused);
}

static void test_purge_is_confirmed_and_held(void **state)
{
    (void) state;
    unsigned needed = GUARD_BIT(CONFIRMED) | GUARD_BIT(HOLD_ELAPSED) | GUARD_BIT(SNAPSHOT);
    bool reached[PAIRS];
    int n, rows = 0;
    const struct transition *t = phase_transitions(&n);

    for (int i = 0; i < n; i++)
        if (t[i].event == EVENT_PURGE) {
            rows++;
            CHECK((t[i].guards & needed) == needed,
                  "row %d purges without a confirmation or a snapshot, or before the hold is over",
                  t[i].row);
            CHECK(t[i].brakes == 1u << BRAKE_NONE, "row %d purges under a brake", t[i].row);
        }
    assert_int_equal(rows, 2);
    static const enum guard gates[] = {GUARD_CONFIRMED,  GUARD_HOLD_ELAPSED, GUARD_NO_DEPENDANTS,
                                       GUARD_FLAGS_FULL, GUARD_VERIFIED,     GUARD_RELEASES_LIVE,
                                       GUARD_SNAPSHOT,   GUARD_UNTOUCHED};
    for (size_t i = 0; i < ROWS(gates); i++) {
        reach(STAGE_CONTRACT_DONE, BRAKE_NONE,
              EVERYTHING & ~(1u << gates[i]) & ~GUARD_BIT(NEXT_ABSENT), STAGE_COUNT, reached);
        CHECK(!is_reached(reached, STAGE_PURGING), "purge without \"%s\"",
              guard_question(gates[i]));
    }
}

static void test_abort_is_possible_before_the_purge(void **state)
{
    (void) state;
    const unsigned way = GUARD_BIT(LOSSLESS) | GUARD_BIT(UNDO_WHOLE);
    for (int s = STAGE_PLANNED + 1; s < STAGE_PURGING; s++)
        for (int b = 0; b < BRAKE_COUNT; b++) {
            /* Nothing but losslessness, and a stored undo that is whole, is asked for: no flag, gate or approval bars
             * the way back; nor a release, but where the shape goes that it was let in for. */
            const unsigned leave = s == STAGE_EXPAND_DONE ? GUARD_BIT(RELEASES_LIVE) : 0;
            struct world w = world_of((enum stage) s, (enum brake) b, way);
            struct decision d;
            bool reached[PAIRS];
            phase_decide(&w, EVENT_ROLLBACK, &d);
            CHECK(d.go == !leave, "rollback from %s, %s under any release",
                  stage_word((enum stage) s), brake_word((enum brake) b));
            w = world_of((enum stage) s, (enum brake) b, way | leave);
            phase_decide(&w, EVENT_ROLLBACK, &d);
            CHECK(d.go && stage_is_undoing(d.row->to) &&
                      stage_phase(d.row->to) == stage_phase((enum stage) s),
                  "no rollback from %s, %s", stage_word((enum stage) s),
                  brake_word((enum brake) b));
            /* What would run is what was stored, or nothing runs. */
            w = world_of((enum stage) s, (enum brake) b, EVERYTHING & ~GUARD_BIT(UNDO_WHOLE));
            phase_decide(&w, EVENT_ROLLBACK, &d);
            CHECK(!d.go, "rollback from %s by a damaged undo", stage_word((enum stage) s));
            /* Phase by phase, all the way. */
            reach((enum stage) s, (enum brake) b, way | GUARD_BIT(RELEASES_LIVE), STAGE_COUNT,
                  reached);
            CHECK(is_reached(reached, STAGE_PLANNED), "no way back to the start from %s",
                  stage_word((enum stage) s));
            if (stage_phase((enum stage) s) != PHASE_CONTRACT)
                continue;
            /* What was hidden comes back whatever else holds or doesn't, but for what would bring it back. */
            w = world_of((enum stage) s, (enum brake) b, EVERYTHING & ~GUARD_BIT(UNDO_WHOLE));
            phase_decide(&w, EVENT_RESTORE, &d);
            CHECK(!d.go, "restore from %s by a damaged undo", stage_word((enum stage) s));
            w = world_of((enum stage) s, (enum brake) b, GUARD_BIT(UNDO_WHOLE));
            phase_decide(&w, EVENT_RESTORE, &d);
            CHECK(d.go && d.row->to == STAGE_CONTRACT_UNDOING, "no restore from %s, %s",
                  stage_word((enum stage) s), brake_word((enum brake) b));
        }
    for (int b = 0; b < BRAKE_COUNT; b++) {
        struct world w = world_of(STAGE_PURGING, (enum brake) b, EVERYTHING);
        struct decision d;
        phase_decide(&w, EVENT_ROLLBACK, &d);
        assert_false(d.go);
        phase_decide(&w, EVENT_RESTORE, &d);
        assert_false(d.go);
    }
}

/* ---- brakes --------------------------------------------------------------------------------------- */

static void test_nothing_goes_forward_under_a_brake(void **state)
{
    (void) state;
    int n;
    const struct transition *t = phase_transitions(&n);

    for (int i = 0; i < n; i++) {
        bool forward = place_of(t[i].to) > place_of(t[i].from);
        if (t[i].brakes & ~(1u << BRAKE_NONE))
            CHECK(!forward, "row %d goes forward under a brake", t[i].row);
        if (forward)
            CHECK(t[i].event == EVENT_ADVANCE || t[i].event == EVENT_SKIP ||
                      t[i].event == EVENT_FINISHED || t[i].event == EVENT_PURGE,
                  "row %d goes forward by %s", t[i].row, phase_event_word(t[i].event));
        /* Work on a phase goes on without a brake only, but for undoing. */
        if (t[i].event == EVENT_ADVANCE || t[i].event == EVENT_SKIP || t[i].event == EVENT_PURGE)
            CHECK(t[i].brakes == 1u << BRAKE_NONE, "row %d works under a brake", t[i].row);
        if (t[i].event == EVENT_FINISHED && !stage_is_undoing(t[i].from))
            CHECK(t[i].brakes == 1u << BRAKE_NONE, "row %d finishes under a brake", t[i].row);
    }
}

static void test_brake_events(void **state)
{
    (void) state;
    int n;
    const struct transition *t = phase_transitions(&n);

    for (int i = 0; i < n; i++) {
        bool undone = t[i].event == EVENT_FINISHED && stage_is_undoing(t[i].from);
        switch (t[i].event) {
        case EVENT_RESUME:
            CHECK(t[i].to == t[i].from && t[i].to_brake == BRAKE_NONE &&
                      !(t[i].brakes & 1u << BRAKE_NONE) && !t[i].guards,
                  "row %d: resume does more than release the brake", t[i].row);
            break;
        case EVENT_PAUSE:
            CHECK(t[i].to == t[i].from && t[i].to_brake == BRAKE_PAUSED && !t[i].guards,
                  "row %d: pause", t[i].row);
            break;
        case EVENT_GATE_FAILED:
            CHECK(t[i].to == t[i].from && t[i].to_brake == BRAKE_HALTED && !t[i].guards,
                  "row %d: gate", t[i].row);
            break;
        case EVENT_KILL_SEEN:
            CHECK(place_of(t[i].to) <= place_of(t[i].from) && t[i].to_brake == BRAKE_KILLED &&
                      !t[i].guards,
                  "row %d: kill", t[i].row);
            break;
        default:
            CHECK(t[i].to_brake == (undone ? BRAKE_NONE : BRAKE_COUNT), "row %d touches the brake",
                  t[i].row);
        }
    }
    for (int s = 0; s < STAGE_PURGED; s++)
        for (int b = 0; b < BRAKE_COUNT; b++) {
            struct world w = world_of((enum stage) s, (enum brake) b, 0);
            struct decision d;
            phase_decide(&w, EVENT_RESUME, &d);
            CHECK(d.go == (b != BRAKE_NONE), "resume at %s, %s", stage_word((enum stage) s),
                  brake_word((enum brake) b));
            phase_decide(&w, EVENT_PAUSE, &d);
            CHECK(d.go == (b == BRAKE_NONE), "pause at %s, %s", stage_word((enum stage) s),
                  brake_word((enum brake) b));
        }
}

static void test_gates_halt_what_runs(void **state)
{
    (void) state;
    for (int s = 0; s < STAGE_COUNT; s++) {
        struct world w = world_of((enum stage) s, BRAKE_NONE, 0);
        struct decision d;
        phase_decide(&w, EVENT_GATE_FAILED, &d);
        CHECK(d.go == (stage_is_running((enum stage) s) && s != STAGE_PURGING),
              "a failed gate at %s", stage_word((enum stage) s));
    }
}

/* A flag may be up from the start of dual_read until the plan is complete, while going back included. */
static void test_kills_are_seen_wherever_a_flag_may_be_up(void **state)
{
    (void) state;
    for (int s = STAGE_DUAL_READ_RUNNING; s <= STAGE_PURGING; s++)
        for (int b = 0; b < BRAKE_COUNT; b++) {
            struct world w = world_of((enum stage) s, (enum brake) b, 0);
            struct decision d;
            phase_decide(&w, EVENT_KILL_SEEN, &d);
            CHECK(d.go == (b != BRAKE_KILLED), "kill at %s, %s", stage_word((enum stage) s),
                  brake_word((enum brake) b));
            if (!d.go)
                continue;
            assert_int_equal(d.row->to_brake, BRAKE_KILLED);
            /* Rollouts that were finished aren't any more: their rungs are to be climbed again. */
            enum stage to = s == STAGE_DUAL_READ_DONE          ? STAGE_DUAL_READ_RUNNING
                            : s == STAGE_WRITE_ACTIVATION_DONE ? STAGE_WRITE_ACTIVATION_RUNNING
                                                               : (enum stage) s;
            assert_int_equal(d.row->to, to);
        }
}

/* ---- words and places ----------------------------------------------------------------------------- */

static void test_words(void **state)
{
    (void) state;
    for (int s = 0; s < STAGE_COUNT; s++) {
        enum stage back = STAGE_COUNT;
        assert_true(stage_from_word(stage_word((enum stage) s), &back));
        assert_int_equal(back, s);
    }
    for (int b = 0; b < BRAKE_COUNT; b++) {
        enum brake back = BRAKE_COUNT;
        assert_true(brake_from_word(brake_word((enum brake) b), &back));
        assert_int_equal(back, b);
    }
    enum stage s = STAGE_PURGED;
    enum brake b = BRAKE_KILLED;
    static const char *const no_words[] = {"",      "Planned", "planned ", "expand", "expand_done",
                                           "purge", "?"};
    for (size_t i = 0; i < ROWS(no_words); i++) {
        assert_false(stage_from_word(no_words[i], &s));
        assert_false(brake_from_word(no_words[i], &b));
    }
    assert_int_equal(s, STAGE_PURGED);
    assert_int_equal(b, BRAKE_KILLED);
    for (int i = 0; i < PHASE_EVENT_COUNT; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(phase_event_word((enum phase_event) i),
                                    phase_event_word((enum phase_event) j));
    for (int i = 0; i < GUARD_COUNT; i++) {
        const char *q = guard_question((enum guard) i);
        CHECK(q[strlen(q) - 1] == '?', "\"%s\" is no question", q);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(guard_word((enum guard) i), guard_word((enum guard) j));
    }
}

static void test_places(void **state)
{
    (void) state;
    static const struct {
        enum stage stage;
        enum phase phase, next;
        bool running, undoing;
        int finished; /* how many phases, from the first on */
    } rows[STAGE_COUNT] = {
        {STAGE_PLANNED, PHASE_NONE, PHASE_EXPAND, false, false, 0},
        {STAGE_EXPAND_RUNNING, PHASE_EXPAND, PHASE_EXPAND, true, false, 0},
        {STAGE_EXPAND_DONE, PHASE_EXPAND, PHASE_DUAL_READ, false, false, 1},
        {STAGE_EXPAND_UNDOING, PHASE_EXPAND, PHASE_NONE, false, true, 0},
        {STAGE_DUAL_READ_RUNNING, PHASE_DUAL_READ, PHASE_DUAL_READ, true, false, 1},
        {STAGE_DUAL_READ_DONE, PHASE_DUAL_READ, PHASE_WRITE_ACTIVATION, false, false, 2},
        {STAGE_DUAL_READ_UNDOING, PHASE_DUAL_READ, PHASE_NONE, false, true, 1},
        {STAGE_WRITE_ACTIVATION_RUNNING, PHASE_WRITE_ACTIVATION, PHASE_WRITE_ACTIVATION, true,
         false, 2},
        {STAGE_WRITE_ACTIVATION_DONE, PHASE_WRITE_ACTIVATION, PHASE_CONTRACT, false, false, 3},
        {STAGE_WRITE_ACTIVATION_UNDOING, PHASE_WRITE_ACTIVATION, PHASE_NONE, false, true, 2},
        {STAGE_CONTRACT_RUNNING, PHASE_CONTRACT, PHASE_CONTRACT, true, false, 3},
        {STAGE_CONTRACT_DONE, PHASE_CONTRACT, PHASE_NONE, false, false, 4},
        {STAGE_CONTRACT_UNDOING, PHASE_CONTRACT, PHASE_NONE, false, true, 3},
        {STAGE_PURGING, PHASE_CONTRACT, PHASE_NONE, true, false, 4},
        {STAGE_PURGED, PHASE_CONTRACT, PHASE_NONE, false, false, 4},
    };

    for (int i = 0; i < STAGE_COUNT; i++) {
        enum stage s = rows[i].stage;
        assert_int_equal(s, i);
        CHECK(stage_phase(s) == rows[i].phase && stage_next_phase(s) == rows[i].next &&
                  stage_is_running(s) == rows[i].running && stage_is_undoing(s) == rows[i].undoing,
              "%s", stage_word(s));
        for (enum phase p = PHASE_FIRST; p <= PHASE_LAST; p++)
            CHECK(stage_has_finished(s, p) == ((int) p <= rows[i].finished), "%s: %s finished?",
                  stage_word(s), phase_word(p));
        if (s > STAGE_PLANNED && s < STAGE_PURGING)
            assert_int_equal(stage_of(rows[i].phase, rows[i].running   ? 0
                                                     : rows[i].undoing ? 2
                                                                       : 1),
                             s);
    }
}

/* What advance runs next is what the table starts or goes on with. */
static void test_advance_agrees_with_next_phase(void **state)
{
    (void) state;
    for (int s = 0; s < STAGE_COUNT; s++) {
        struct world w = world_of((enum stage) s, BRAKE_NONE, EVERYTHING);
        struct decision d;
        enum phase next = stage_next_phase((enum stage) s);
        phase_decide(&w, EVENT_ADVANCE, &d);
        CHECK(d.go == (next != PHASE_NONE), "advance at %s", stage_word((enum stage) s));
        if (d.go)
            assert_int_equal(d.row->to, stage_of(next, 0));
        /* Skipping starts no phase: it ends up behind it. */
        phase_decide(&w, EVENT_SKIP, &d);
        CHECK(d.go == (next != PHASE_NONE && !stage_is_running((enum stage) s)), "skip at %s",
              stage_word((enum stage) s));
        if (d.go)
            assert_true(stage_has_finished(d.row->to, next));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_well_formed),
        cmocka_unit_test(test_row_numbers_keep_their_meaning),
        cmocka_unit_test(test_every_decision),
        cmocka_unit_test(test_refusals_without_a_row),
        cmocka_unit_test(test_brake_says_who_and_why),
        cmocka_unit_test(test_every_stage_is_reached),
        cmocka_unit_test(test_the_end_is_reached_from_everywhere),
        cmocka_unit_test(test_purged_only_after_hold_or_by_skip),
        cmocka_unit_test(test_contract_needs_each_of_its_guards),
        cmocka_unit_test(test_purge_is_confirmed_and_held),
        cmocka_unit_test(test_abort_is_possible_before_the_purge),
        cmocka_unit_test(test_nothing_goes_forward_under_a_brake),
        cmocka_unit_test(test_brake_events),
        cmocka_unit_test(test_gates_halt_what_runs),
        cmocka_unit_test(test_kills_are_seen_wherever_a_flag_may_be_up),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_advance_agrees_with_next_phase),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

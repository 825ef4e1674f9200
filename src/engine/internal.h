/* internal: what the rooms of the engine share. Not for other layers. */
#ifndef PHASEGATE_ENGINE_INTERNAL_H
#define PHASEGATE_ENGINE_INTERNAL_H

#include "phasegate/engine.h"
#include "phasegate/generate.h"
#include "phasegate/names.h"

#include <string.h>

/* One plan in one command: the engine, the plan and its state as last read or written. */
struct work {
    struct engine *e;
    struct plan *p;
    struct arena *a;
    struct plan_state state;
    const struct advance_options *o;
    struct history_row *steps; /* newest row of each (phase, step) when the work began */
    int n_steps;
    enum phase phase;
    bool undoing;
    bool
        only_reads; /* no lease is held and nothing of the plan changes: its brake doesn't matter */
    int task_no, n_tasks;
    const char *guards[4];    /* questions whether a step is in place that may come again; step.c */
    int64_t brake_seen_ms;    /* monotonic: when the brake was last looked at; 0: not yet */
    int64_t began_ms;         /* wall clock, of an advance: a kill since then stops it */
    int64_t kills_seen_ms;    /* monotonic: when the journal was last looked at for kills */
    struct flag_watch *kills; /* one for each role; NULL: not begun */
    const char *kill_by;      /* whose kill is being taken over; NULL: not known */
    const char *forced; /* what --force is about to run again, for the journal; NULL: nothing */
    struct advance_result *out;
    int out_cap;
};

/* ---- session.c: transactions on the leased session --------------------------------------------------- */

/* Statements of one transaction, sent in one round trip, each limited by lock and statement time-outs. User
 * SQL runs under the database's own search_path, ours under ''. */
struct txn {
    struct arena *a;
    struct db_call *calls;
    int n, cap;
    const char **what; /* for messages: the user's statement, NULL for ours */
};
/* phasegate/<run>/<task>: how the session is seen in pg_stat_activity. */
const char *session_label(struct work *w);
void txn_begin(struct work *w, struct txn *t, int64_t lock_timeout_ms,
               int64_t statement_timeout_ms);
void txn_user_path(struct work *w, struct txn *t); /* the statements that follow are the user's */
void txn_own_path(struct txn *t);
void txn_add(struct txn *t, const char *sql, const struct db_params *params_or_null);
struct db_call *txn_slot(struct txn *t); /* for the *_call functions of the ledger */
/* Commits. On any error nothing of it has happened, except ERR_CONNECTION_LOST: outcome unknown. */
bool txn_commit(struct work *w, struct txn *t, struct err *err);
/* With retry on 55P03 and 40P01: the whole transaction again after a back-off, holding nothing while it
 * waits; after 30 tries ERR_LOCK_TIMEOUT naming who holds the lock. build is called for every try. */
bool txn_retry(struct work *w, const char *table, int64_t lock_timeout_ms,
               bool (*build)(struct work *, struct txn *, int64_t lock_timeout_ms, void *ctx,
                             struct err *),
               void *ctx, struct err *err);
/* The back-off between tries: waits, says who holds the lock; false when tries are used up or interrupted. */
bool lock_back_off(struct work *w, const char *table, int *attempt, struct err *err);
/* Who holds locks on a table, a sentence. */
const char *lock_holder(struct work *w, const char *table);
int64_t lock_timeout_of_try(int64_t base_ms, int attempt);

/* One boolean of the user's search_path, read-only. NULL answer counts as false. */
bool ask_bool(struct work *w, const char *sql, bool *out, struct err *err);
/* Read-only, under a statement time-out and the user's search_path. first: what runs before it in its transaction;
 * NULL: nothing. */
bool ask_rows(struct engine *e, struct arena *a, const char *first, const char *sql,
              const struct db_params *params, int64_t timeout_ms, struct db_rows *out,
              struct err *err);
/* The same for a query of our own (src/sql): with no search_path, so that nobody's operator stands in for a pg_catalog one. */
bool ask_own(struct engine *e, struct arena *a, const char *sql, const struct db_params *params,
             struct db_rows *out, struct err *err);
/* The first cell of the first row as text, read-only, under a statement time-out; *out NULL: no row or NULL. */
bool ask_value(struct engine *e, struct arena *a, const char *sql, int64_t timeout_ms,
               const char **out, struct err *err);
/* Run under the user's search_path outside a transaction. */
bool session_user_path(struct work *w, bool on, struct err *err);
int64_t now_ms(const struct engine *e);
/* Epoch by the server's clock, which all hosts that run a plan share; the host's may be wrong or be moved. */
int64_t server_now_ms(const struct engine *e);
bool session_ask_clock(struct engine *e, struct arena *a, struct err *err);
/* Does the server's version meet ">= 15", "< 16.3"? */
bool server_version_holds(struct engine *e, const struct cond *c);

/* ---- record.c: journal rows and state ---------------------------------------------------------------- */

struct history_row *history_new(struct work *w, const char *kind, const char *step,
                                const char *status);
void record_task(struct work *w, struct txn *t, const struct task *task, const char *status,
                 int64_t ms, const char *sql, const char *undo, const char *detail);
void record_state(struct work *w, struct txn *t);
bool record_transition(struct work *w, const struct transition *row, enum phase_event ev,
                       const char *why, struct err *err);
bool record_save_state(struct work *w, struct err *err);
/* The state, and what it means for the releases that may run, in one transaction. */
bool record_state_and_window(struct work *w, struct err *err);
/* The state and a task's row in one transaction: a crash leaves both or neither. */
bool record_task_and_state(struct work *w, const struct task *task, const char *status, int64_t ms,
                           struct err *err);
bool record_task_now(struct work *w, const struct task *task, const char *status, int64_t ms,
                     const char *sql, const char *undo, const char *detail, struct err *err);
/* The newest row of a task in the running phase, NULL: none. */
const struct history_row *work_step_row(const struct work *w, const char *task_id);
bool task_is_done(const struct work *w, const struct task *t);
void report_task(struct work *w, const struct task *t, const char *status, int64_t ms,
                 const char *note);
void emit(struct work *w, enum event_kind kind, const char *task, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* Says and stores what is waited for. what NULL: no longer. */
bool record_wait(struct work *w, const char *what, const char *holder, const char *release,
                 int64_t until_ms, struct err *err);

/* ---- milestone.c: who is told; nothing happens where nobody is ----------------------------------------- */

void milestone_transition(struct work *w, enum phase_event ev, enum stage before, const char *why);
void milestone_rung(struct work *w, const struct task *t);
void milestone_accepted(struct work *w, const char *by);
void milestones_end(struct work *w);

/* ---- the tasks ------------------------------------------------------------------------------------------ */

bool step_run(struct work *w, const struct task *t, struct err *err);
bool step_clean_half_made(struct work *w, const struct sql_stmt *s, struct err *err);
bool step_statement_standalone(struct work *w, const struct sql_stmt *s, int64_t lock_timeout_ms,
                               struct err *err);
/* step_undo.c: the undo as it is stored with the journal row: statements in the order in which they would run, as JSON
 * and to be read. NULL: there is none. A standalone statement's undo is standalone as well (DROP INDEX CONCURRENTLY).
 * now: what only the catalogue knows is asked for, right before the step runs; else STEP_UNDO_LATER stands for it. */
#define STEP_UNDO_LATER "-- what the catalogue says right before the step runs"
bool step_undo_json(struct work *w, const struct step *s, bool now, const char **json,
                    const char **readable, struct err *err);
bool step_asks_for_undo(const struct step *s);
bool step_applies(struct work *w, const struct step *s, bool *out, struct err *err);
bool step_observe_applied(struct work *w, const struct step *s, bool *known, bool *applied,
                          struct err *err);
bool sync_install(struct work *w, const struct task *t, struct err *err);
bool sync_remove(struct work *w, const struct task *t, struct err *err);
bool sync_undo(struct work *w, const struct task *t,
               struct err *err); /* likewise, recorded as undone */
/* The sync statements as they must be now: soft-dropped columns under their hidden names. */
bool sync_current_sql(struct work *w, const struct soft_drop *extra, struct sql_list *out,
                      struct err *err);
/* New writes were active, and nothing brings them back to the old side: from then on only the new side knows. */
bool sync_is_one_way(const struct work *w);
/* The sentence that says what is wrong with the trigger that was installed; NULL: nothing, or there is none. */
bool sync_broken(struct work *w, const char **out, struct err *err);
/* Rows that disagree, a thousand at most; 0 where they may. */
bool sync_count_differing(struct work *w, int64_t *out, struct err *err);
/* --force in a later phase: the trigger is made again, and everything is verified again. */
bool sync_renew(struct work *w, struct err *err);
bool backfill_run(struct work *w, const struct task *t, struct err *err);
/* The same for the fix of a data check: row is what is recorded at its end, with the count in its description. */
bool backfill_fix(struct work *w, const struct task *t, struct history_row *row, int64_t *changed,
                  struct err *err);
/* Works on a backfill that has begun, without the lease: its slices, or only its bad rows. */
struct backfill_now;
bool backfill_join(struct work *w, const struct task *t, int workers, bool only_bad_rows,
                   struct backfill_now *out, struct err *err);
bool verify_run(struct work *w, const struct task *t, struct err *err);
/* Everything that was verified has to be again: see verify.c. */
bool verification_void(struct work *w, struct err *err);
bool compare_run(struct work *w, const struct task *t, struct err *err);
bool rung_run(struct work *w, const struct task *t, struct err *err);
bool rung_is_settled(const struct work *w, const struct task *t);
bool gates_run(struct work *w, const struct task *t, struct err *err);
bool soft_drop_run(struct work *w, const struct task *t, struct err *err);
/* "tickets.subject", "legacy": what was hidden, by the name that it had. */
const char *soft_drop_shown(struct arena *a, const struct soft_drop *d);
/* What a soft drop would send, sync trigger included, and its way back. found false: nothing is there to drop. lost:
 * as in not_null_lost. Looks only. ERR_REFUSED "not_hideable". */
bool soft_drop_sql(struct work *w, const struct task *t, struct sql_list *drop,
                   struct sql_list *restore, bool *found, const char **lost, struct err *err);
/* A stored script: statements separated by a line with a lone semicolon. */
void script_split(struct arena *a, const char *text, struct sql_list *out);
bool purge_drop_run(struct work *w, const struct task *t, struct err *err);
/* What the purge destroys, saved and verified where the environment says. *name: the snapshot's, NULL: there is
 * nothing to save (snapshot.c). */
bool snapshot_before_purge(struct work *w, const char **name, struct err *err);
bool snapshot_look(struct work *w, struct fact *f, struct err *err);
/* What becomes of it: "off", "nothing", "would_take"; NULL: nobody would save it, though it should be. */
bool snapshot_word(struct work *w, const char **out, struct err *err);
/* SQL's true; NULL isn't. */
static inline bool cell_is_true(const struct db_rows *rows, int row, int column)
{
    const char *cell = db_cell(rows, row, column);

    return cell && cell[0] == 't';
}
/* restore_point.c. A place in the WAL that the backup can be restored to, by policy proven to be in the archive: before
 * the first task of contract that takes something away, and before a purge that would be let begin. ERR_REFUSED
 * "restore_point", with nothing hidden or destroyed. */
#define RESTORE_POINT_PURGE "purge" /* what it is set before; else the word of contract */
bool restore_point_before_task(struct work *w, const struct script *s, const struct task *t,
                               struct err *err);
bool restore_point_before_purge(struct work *w, struct err *err);
bool restore_point_look(struct work *w, struct fact *f, struct err *err);
/* What becomes of it: "off", "cannot" and "would_set" with why it can't, or isn't archived; "would_archive". */
bool restore_point_word(struct work *w, const char **word, const char **why, struct err *err);
bool restore_run(struct work *w, struct err *err);
bool undo_phase(struct work *w, struct err *err);
/* undo_chain.c. What takes the running phase back, put into the row that begins it. */
void undo_chain_store(struct work *w, struct history_row *r);
/* The rows of w->steps, those first that are undone first: by what was stored, not by today's file. */
bool undo_order(struct work *w, const struct history_row ***out, struct err *err);
/* Is all of it there, and as it was written? Asked before the first statement goes back. */
bool undo_chain_look(struct work *w, struct fact *f, struct err *err);
/* Did this row leave something to undo? Would its derived undo lose data? */
bool undo_covers(const struct history_row *r);
bool undo_loses(struct work *w, const struct history_row *r);
/* Does undoing the phase take this flag to 0? */
bool undo_takes_flag(const struct work *w, enum flag_role role);
/* Undoing needs to see the flags that it takes down: a refusal is added when it can't. */
bool undo_can_read_flags(struct work *w, struct decision *d);
/* Is undoing this phase lossless, and if not, what would be lost? */
bool undo_losses(struct work *w, bool *lossless, const char **what, struct err *err);

/* ---- flags as the engine uses them (plan_flags.c) ------------------------------------------------------------ */

bool flags_set_percent(struct work *w, enum flag_role role, int percent, const char *reason,
                       struct err *err);
struct flags_seen {
    bool killed; /* exposure is lower than we left it: the state says so now */
    const char *
        drift; /* the kill; or what is higher, in doubt or can't be read; NULL: all is as it was left */
    const char *holder;  /* who did it, or what doesn't answer */
    const char *release; /* what ends it */
};
/* Observes the plan's flags and compares. */
void flags_check(struct work *w, struct flags_seen *out);
/* kill_seen.c. First thing of an advance: a kill seen is taken over and ends it (ERR_REFUSED "killed"). */
bool flags_settle(struct work *w, struct err *err);
/* All the while: a kill from this host since the run began halts the plan and ends the run (ERR_STOPPED "killed"). */
bool flags_no_kill(struct work *w, struct err *err);
/* The same, once a second. */
bool flags_watch_kills(struct work *w, int64_t mono, struct err *err);
/* A kill from this host that the ledger hasn't met. Looks at the journal only. */
bool flags_kill_pending(struct work *w, struct kill_pending *out);
/* The brake for that, and the error. */
bool stop_at_kill(struct work *w, const char *what, struct err *err);
/* What is said of a flag that a kill took down: by whom goes to w->kill_by. */
const char *kill_text(struct work *w, const char *key, const char *seen, int left,
                      const char *actor_or_null);
/* Below where its rollout left it, once a kill was taken over or the old shape restored: a sentence; NULL: none. */
const char *flags_behind(const struct work *w);
/* What goes on with a plan as it stands, a brake aside: a command line. NULL: nothing is left. */
const char *next_move(struct work *w);
struct flag_ops;
struct flag_ops flags_ops(struct work *w);
/* A flag that stands higher than its rollout has got: what stands, what was to be expected, and the phase whose turn it
 * would be; and what puts it right. False: it doesn't. s: the plan's state, of zeros when it hasn't begun. */
bool flag_out_of_turn(struct arena *a, const struct plan *p, const struct plan_state *s,
                      enum flag_role role, const struct flag_obs *obs, struct out_of_turn *out);
/* Brings what the journal of this host has into the ledger. */
bool flags_catch_up(struct work *w, struct flag_ops *ops, struct err *err);
/* What the service says of the plan's flags; UNKNOWN where it is out of reach. Never fails. */
void flags_observe(struct work *w, struct flag_obs out[FLAG_ROLES]);
/* Likewise of many, side by side. */
void flags_observe_all(struct engine *e, const struct flag_ref *refs, int n, struct arena *a,
                       struct flag_obs *out);
bool work_may_go_on(struct work *w, struct err *err);
bool halt(struct work *w, enum brake brake, const char *reason, struct err *err);

/* Which releases may run, as it will be once w->state is written: part of the same transaction (guard.c). */
bool window_add(struct work *w, struct txn *t, struct err *err);

/* ---- facts for the guards ---------------------------------------------------------------------------- */

static inline void fact_yes(struct fact *f) { *f = (struct fact) {.known = true, .holds = true}; }
static inline void fact_no(struct fact *f, const char *what, const char *release)
{
    *f = (struct fact) {.known = true, .what = what, .release = release};
}
static inline const char *pos_text(struct arena *a, struct pos at)
{
    return arena_printf(a, "%s:%d:%d", at.file, at.line, at.col);
}
/* Is the release that is named too old for what runs here? (guard.c) */
bool outlived_look(struct work *w, struct fact *f, struct err *err);
bool requirements_look(struct work *w, struct fact *f, struct err *err);
/* policy.maintenance, by the server's clock (hours.c). */
bool hours_look(struct work *w, struct fact *f, struct err *err);
/* policy.rehearsal (rehearsed.c). */
bool rehearsal_look(struct work *w, struct fact *f, struct err *err);
/* policy.preflight: what stands against the phase, or the purge. Tables are read whole, so not at a glance. */
bool preflight_look(struct work *w, enum phase phase, bool is_purge, struct fact *f,
                    struct err *err);
/* The gates of a phase, each measured once; not at a glance (gate.c). */
bool gates_look(struct work *w, enum phase phase, struct fact *f, struct err *err);
bool gate_is_asked_at_purge(const struct gate *g);
/* Before expand: will sync find its table, its columns and what its expressions call? (foresee.c) */
bool foresee_sync(struct work *w, struct fact *f, struct err *err);
/* Before contract: can what it hides first be hidden? */
bool foresee_drops(struct work *w, struct fact *f, struct err *err);
/* A column that is NOT NULL is to be dropped, and what sync puts in its place isn't and won't be: a sentence. Else NULL. */
bool not_null_lost(struct work *w, const struct sql_stmt *drop, const char **out, struct err *err);
/* What people said of a phase, or of the purge, as it reads now (approve.c). role: that an approval has to be given in;
 * NULL: any. */
bool approvals_read(struct work *w, enum phase phase, bool purge, const char *role,
                    struct approvals *out, struct err *err);
bool approvals_look(struct work *w, enum phase phase, bool purge, struct fact *f, struct err *err);
bool purge_approvals_look(struct work *w, struct fact *f, struct err *err);
/* Who signs: by a token where the policy has tokens, else as --as or the operating system says. ERR_REFUSED "token". */
struct signer {
    const char *who,
        *identity; /* identity: "token", "account" (of the operating system), "stated" (--as) */
};
bool signer_find(const struct engine *e, struct arena *a, struct signer *out, struct err *err);
/* user@host that runs this, whatever --as says. */
const char *os_user(const struct engine *e, struct arena *a);
/* validation_sign.c. What a signature is about: it counts for this text of it only. */
struct signed_thing {
    const char *step, *checksum;
    const char *phase,
        *item; /* of a criterion: the phase it was signed for, and its own checksum; else NULL */
};
/* A person's newest word counts. A refusal stands until the one who refused signs. */
struct signatures {
    const struct validation_row *given, *refused; /* the newest; NULL: none */
    const struct validation_row *outdated;        /* of a criterion: given too long ago to count */
};
struct signatures signatures_of(const struct policy *pol, const struct validation_row *rows, int n,
                                const struct signed_thing *about);
bool criterion_signatures(struct work *w, enum phase phase, const struct criterion *c,
                          struct signatures *out, struct err *err);
const char *sign_command(struct work *w, const char *name); /* phasegate verify PLAN --sign NAME */
const char *criterion_name(const struct criterion *c);
/* Manual go and no-go criteria of a phase that is to begin. */
bool criteria_look(struct work *w, enum phase phase, struct fact *f, struct err *err);
struct validation_options;
/* Signs one item or criterion; the journal has it then, and is made for it where there is none. */
bool validation_sign_first(struct work *w, const struct validation_options *o, const char **who,
                           struct err *err);
/* validation_probe.c. A statement of the releases, as one value: how many rows, and their digest. *value NULL: *why. */
bool probe_value(struct work *w, const struct validation *v, bool before, const char **value,
                 const char **why, struct err *err);
/* validation.c. The plan's last phase is done, its hold may last. */
bool validation_is_due(const struct work *w);
/* Values from before the first phase, recorded. ERR_REFUSED where one that is to be unchanged can't be had. */
bool validation_before(struct work *w, struct err *err);
/* For a dry run: what validation_before would meet is added as a refusal. Writes nothing. */
bool validation_foresee(struct work *w, struct decision *d, struct err *err);
/* For status: accepted as it reads now? Looks at the journal only. */
bool validation_look(struct work *w, struct checklist *out, struct err *err);
/* Is it the same person? Hosts don't count where the policy knows the name. */
bool is_same_person(const struct policy *pol, const char *a, const char *b);
/* ": alice (dba), bob (dba)"; "" where the policy names nobody. */
const char *approvers_text(struct arena *a, const struct policy *pol);
/* Is this row of a journal a step that this plan has, word for word? (sign.c) */
bool plan_has_step(const struct plan *p, const struct history_row *row);
/* dependants.c: what will still depend on what is hidden when its turn comes in the purge. */
bool dependants_look(struct work *w, struct fact *f, struct err *err);
/* To an error of PostgreSQL that something does (2BP01): what, and the next command. Always false. */
bool dependants_told(struct work *w, const struct soft_drop *d, struct err *err);

/* drilled.c: before a flag's first rung, policy.kill_drill. Of all rungs of a phase, and of one that is to be climbed. */
bool drill_look(struct work *w, enum phase phase, struct fact *f, struct err *err);
bool drill_before_rung(struct work *w, enum flag_role role, struct err *err);
bool flag_change_is_answered(const char *answer);

/* ---- the reader trap (trap.c) ---------------------------------------------------------------------------------- */

/* Adds what records writes to d, a column or a table that step is about to hide, and what removes that again. */
bool trap_add(struct work *w, const char *step, const struct soft_drop *d, struct sql_list *drop,
              struct sql_list *restore, struct sql_list *purge, struct err *err);
/* Once it is hidden: what is called from now on counts. */
void trap_watch(struct work *w, const char *step);
bool touches_read(struct work *w, struct touches *out, struct err *err);
bool touched_look(struct work *w, struct fact *f, struct err *err);

/* ---- gates ---------------------------------------------------------------------------------------------------- */

enum gate_verdict { GATE_PASS, GATE_FAIL, GATE_NO_DATA };
struct gate_reading {
    enum gate_verdict verdict;
    const char *value;  /* what was measured, NULL: nothing */
    const char *detail; /* sentence */
};
bool gate_measure(struct engine *e, const struct plan *p, enum phase phase, const struct gate *g,
                  struct arena *a, struct gate_reading *out, struct err *err);

/* A gate of kind rehearsal (rehearsed.c). */
bool rehearsal_measure(struct engine *e, const struct plan *p, const struct gate *g,
                       struct arena *a, struct gate_reading *out, struct err *err);

/* What the environment's backup: says (backup.c): is there a young enough good backup of this very server, does its
 * archive hold the WAL of the plan's newest restore point, and did a backup end before that? Unreadable is no data. */
struct backup_ask {
    int64_t max_age_ms; /* MODEL_UNSET: the environment's */
    int64_t timeout_ms;
    bool tries_archive;
};
bool backup_measure(struct engine *e, const struct plan *p, const struct backup_ask *ask,
                    struct arena *a, struct gate_reading *out, struct err *err);
bool backup_gate_measure(struct engine *e, const struct plan *p, const struct gate *g,
                         struct arena *a, struct gate_reading *out, struct err *err);
static inline bool has_backup(const struct environment *env)
{
    return env->backup_stanza.s || env->backup_command.n > 0;
}

/* ---- the proof of a transition (advance.c) ---------------------------------------------------------------------- */

/* Going on with what is running was proved when it began. */
static inline bool asks_for_proof(enum phase_event ev, enum stage s)
{
    return (ev == EVENT_ADVANCE || ev == EVENT_PURGE) && !stage_is_running(s);
}

/* ---- plan files that can't be understood (spared.c) ---------------------------------------------------------------- */

/* What such a file lets in or needs isn't known: the window gets no wider meanwhile than the ledger has it. */
bool spared_narrow(struct engine *e, struct arena *a, struct release_window *win, struct err *err);
/* May a release run, as far as they go? Not one that none of which was ever rolled out: an expand in one of them may
 * have to come first. *why is set with a no. */
bool spared_allow(struct engine *e, struct arena *a, const char *release, bool *out,
                  const char **why, struct err *err);

/* ---- fleet.c -------------------------------------------------------------------------------------------------- */

bool fleet_adopt(struct work *w, struct err *err) MUST_CHECK;
/* Does another database look after the flags? */
bool fleet_is_led(const struct work *w);
/* Does the run end before this rung, the rung-th of its phase counted from 0? Then fleet_hold. */
bool fleet_holds(const struct work *w, const struct task *t, int rung);
bool fleet_hold(struct work *w, const struct task *t, struct err *err) MUST_CHECK;
/* The rung of a database that doesn't lead. */
bool fleet_follow(struct work *w, const struct task *t, struct err *err) MUST_CHECK;
/* rollout.c: old and new agree, and the ledger says that writes of the new side begin. */
bool rung_first_write(struct work *w, struct err *err) MUST_CHECK;

/* ---- work ------------------------------------------------------------------------------------------------------- */

bool work_open(struct work *w, struct engine *e, struct plan *p, const struct advance_options *o,
               struct arena *a, struct err *err);
/* To be done again, with what was verified of it: verify.c. */
bool backfill_forget(struct work *w,
                     struct err *err) MUST_CHECK; /* old values: backfill_restore.c */
bool backfill_void(struct work *w, const struct backfill *b, struct err *err) MUST_CHECK;
bool work_reload(struct work *w, struct err *err);
/* w->phase is the one that would begin. */
bool begins_first_phase(const struct work *w, enum phase_event ev);
void decision_with_name(struct arena *a, const struct plan *p, struct decision *d);
enum phase newest_phase(const struct plan *p, enum stage s);
/* A table as it is written in SQL, with its schema when one was given; for messages and lock holders. */
const char *table_text(struct work *w, const char *schema, const char *table);
/* Versions that are live now, by the environment's live_releases. *watched false: nobody said how to look.
 * ERR_UNREACHABLE: who would know can't be asked. */
bool live_releases(struct engine *e, struct arena *a, const char ***out, int *out_n, bool *watched,
                   struct err *err);
bool text_resolved(struct engine *e, struct arena *a, const struct text *t, const char **out,
                   struct err *err);
const char *url_escape(struct arena *a, const char *s);
bool http_get(struct engine *e, struct arena *a, const char *url, const struct pair_list *headers,
              int64_t total_ms, struct http_res *res, struct err *err);

#endif

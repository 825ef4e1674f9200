/* What the files of this room share. */
#ifndef PHASEGATE_REHEARSE_INT_H
#define PHASEGATE_REHEARSE_INT_H

#include "phasegate/io.h"
#include "phasegate/names.h"
#include "phasegate/rehearse.h"

#include <jansson.h>
#include <string.h>

/* ---- state.c: what a database holds ------------------------------------------------------------------ */

struct state_column {
    const char *name, *sum;
};

struct state_table {
    const char *schema, *name;
    int64_t rows;
    struct state_column *columns; /* ascending by name */
    int n_columns;
    const char *sum; /* of whole rows, over these columns */
};

struct state {
    struct schema_sums schema;
    struct state_table *tables;
    int n_tables;
    const char *stage;                /* of the plan; NULL: no ledger */
    const char *flags;                /* "read 0, write 100"; NULL: no ledger */
    const struct text_list *restless; /* the scene's */
};

struct scene;
struct between {
    const struct plan *plan;
    enum phase phase;
};
bool state_read(struct scene *s, struct state *out, struct err *err) MUST_CHECK;
bool state_read_from(struct scene *s, struct db *db, struct arena *a, struct state *out,
                     struct err *err) MUST_CHECK;
/* What of `before` isn't so in `after`, as sentences. known: tables and columns that aren't in it are the plan's own:
 * what differs there goes to stays. NULL: everything counts. */
void state_compare(struct arena *a, const struct state *before, const struct state *after,
                   const struct state *known, struct text_list *left, struct text_list *stays);
/* ... and where the plan stands. */
void state_compare_all(struct arena *a, const struct state *wanted, const struct state *got,
                       struct text_list *left);
void text_add(struct arena *a, struct text_list *l, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* ---- stage.c: what it is played on ---------------------------------------------------------------------- */

struct scene {
    const struct rehearse_options *o;
    struct arena *a;
    struct rehearsal *out;
    struct plan plan;    /* a copy without what waits for others */
    struct plan_set set; /* likewise: the plan is in it */
    struct environment env;
    struct policy policy;
    struct flag_service flags;
    const char *folder; /* ours, with the flags' file and the journal */
    int lock_fd;        /* while it is open nobody takes the folder for abandoned */
    const char *url;    /* a secret */
    const char *const *variables;
    const char *search_path;
    int n_databases;  /* made so far on the shadow */
    int64_t later_ms; /* what the engine's clock is ahead by, after kills */
    uint64_t random;
    struct state start;
    const char *roles;
    struct text_list ran; /* "GetOrder of release 1.2.0": in some load */
    /* "public.orders.migrated_at": columns that hold something else after each run, as now() does */
    struct text_list restless;
    int restless_phases; /* so many phases were looked at */
    /* Phases of plans that this one depends on, beyond what it needs of them: they come between its own, as their releases
     * do. In order; only on the shadow. */
    struct between *between;
    int n_between, n_passed; /* passed: of them, on the way that is being gone */
};

bool stage_open(struct scene *s, struct err *err) MUST_CHECK;
void stage_close(struct scene *s);
/* The database as it was at the start; only on the shadow. */
bool stage_reset(struct scene *s, struct err *err) MUST_CHECK;
/* One more of those, with flags of its own; away: back to where we were. */
struct aside {
    const char *url, *search_path, *folder, *flags_path, *name;
    const char *const *variables;
};
bool stage_aside(struct scene *s, const char *name, bool is_empty, struct aside *out,
                 struct err *err) MUST_CHECK; /* is_empty: no rows were made */
bool stage_away(struct scene *s, const struct aside *from, struct err *err) MUST_CHECK;
/* Does it come before this phase of the plan itself? */
bool stage_comes_before(const struct scene *s, const struct between *b, enum phase phase);
bool stage_db(struct scene *s, bool writable, struct db **out, struct err *err) MUST_CHECK;
uint32_t stage_random(struct scene *s, uint32_t below);
/* Bytes of the database, and where its WAL has got to. */
bool stage_sizes(struct scene *s, int64_t *bytes, int64_t *wal, struct err *err) MUST_CHECK;

/* ---- command.c: one command of the engine, in a process of its own --------------------------------------- */

/* AGAIN: forward after an undo, with what an undo that took flags down asks for: resume, and their phase once more. */
enum command_word { COMMAND_ADVANCE, COMMAND_UNDO, COMMAND_REPEAT, COMMAND_AGAIN };

struct command {
    enum command_word word;
    const struct plan *plan;
    enum phase phase;
    bool foresees; /* asks for locks and estimates first */
};

struct command_task {
    const char *id, *kind, *lock;
    int64_t at_ms, ms, estimate_rows;
    struct text_list left; /* of a repeat: what it changed */
};

struct command_answer {
    bool ok;
    const char *kind, *reason, *message; /* when it isn't; message: with detail */
    const char *task;                    /* that was running last; NULL: none */
    struct command_task *tasks;
    int n_tasks;
    struct text_list stays; /* of an undo: steps that have none */
    int64_t ms;             /* of the engine's work alone */
};

const char *command_text(struct arena *a, const struct command *c);
bool command_run(struct scene *s, const struct command *c, struct command_answer *out,
                 struct err *err) MUST_CHECK;
/* Killed after so long. *was_killed false: it had ended before. */
bool command_kill(struct scene *s, const struct command *c, int64_t after_ms, bool *was_killed,
                  struct err *err) MUST_CHECK;

/* ---- load.c: the releases' statements meanwhile ------------------------------------------------------------ */

struct load;
/* old and newer: versions; NULL: none. Returns when every statement was tried once. */
bool load_begin(struct scene *s, const char *old, const char *newer, struct load **out,
                struct err *err) MUST_CHECK;
/* What it met goes to the rehearsal, and to the tasks that ran meanwhile. */
bool load_end(struct scene *s, struct load *l, const char *during, struct command_task *tasks,
              int n_tasks, int64_t *waits, struct err *err) MUST_CHECK;
void load_drop(struct load *l, struct clock *clock);

/* ---- restless.c */

/* Where two states differ that shouldn't: what differs by itself, from one run to another on the same rows, is left aside.
 * Only on the shadow; left is written anew. */
bool restless_compare(struct scene *s, const struct state *wanted, const struct state *got,
                      struct text_list *left, struct err *err) MUST_CHECK;

/* ---- tests.c */

bool tests_run(struct scene *s, struct err *err) MUST_CHECK;

/* ---- kills.c -------------------------------------------------------------------------------------------------- */

/* after[i], took[i]: state and time of each command of the way, undisturbed. */
bool kills_run(struct scene *s, const struct command *way, const struct state *after,
               const int64_t *took, int n, struct err *err) MUST_CHECK;

#endif

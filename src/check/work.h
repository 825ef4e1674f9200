/* work: what the rooms of the proof share. Not for other layers.
 *
 * Statements that several releases run alike are one `query`: it is probed once a state. What a release's client
 * holds prepared is a `hold`: one for each shape that the query had when a release met it first.
 */
#ifndef PHASEGATE_CHECK_WORK_H
#define PHASEGATE_CHECK_WORK_H

#include "check/catalogue.h"
#include "phasegate/check.h"
#include "phasegate/generate.h"
#include "phasegate/names.h"
#include "phasegate/statement_facts.h"
#include "phasegate/timeline.h"

#include <string.h>

/* ---- what the shadow said ------------------------------------------------------------------------- */

struct column_sum { /* over the values of a column that aren't NULL */
    uint64_t sum;
    int n;
};

struct outcome {
    bool ok;
    char probe;                               /* P, E, H, X */
    const char *sqlstate, *message, *context; /* when not ok */
    uint64_t answer;                          /* a sum over what it gave or left; 0: not known */
    const struct column_sum *beside;          /* [n_beside], of q->beside; NULL: not known */
    int n_beside;
    int rows; /* over which rows: see n_rows */
    int position;
    bool is_kept; /* an earlier run's */
};

struct description {
    int n_params, n_columns;
    const unsigned *params;
    const struct wire_column *columns;
};
bool description_same(const struct description *a, const struct description *b);
/* The same but for how long a text and how large a number may be, which isn't in the bytes of either. */
bool description_reads_alike(const struct description *a, const struct description *b);

struct arg_set {
    const char **values; /* [n]; NULL entries are SQL NULL */
    int n;
    bool is_given; /* -- args:, else generated */
    bool runs;     /* of the second and later: ran where the first did */
    bool misses;   /* it ran where it was tried first, and there was no row for it */
};

/* cache.c: what is kept of a query's probing with one chain. */
struct record_hold {
    uint64_t since; /* the hold's chain */
    const struct outcome *outcome;
};

struct record {
    uint64_t key;
    const char *text; /* as it was read; NULL: this run's */
    size_t n_text;
    const struct outcome *plan, *run, *first; /* first: see begin_runs */
    const struct description *shape;
    uint64_t shape_body, first_body; /* keys of what it shares with others; 0: none */
    struct arg_set *sets;
    int n_sets;
    const char *leaves, *clears;
    struct record_hold *holds;
    int n_holds;
    bool is_whole; /* read, and usable */
    bool is_noted, is_new, is_unkept;
    bool has_first, runs, keeps_rows, needs_session;
};

struct hold {
    int state;      /* in which it was prepared */
    uint64_t chain; /* the query's then */
    uint64_t calls; /* see surface_calls */
    const struct description *shape;
    const char *name;
    bool is_open;              /* prepared in the session as it is now */
    bool is_left;              /* not prepared: nobody will ask */
    bool may_be_beside;        /* may be prepared in the session beside */
    bool is_beside;            /* and is, since it was opened */
    const struct outcome **at; /* [n_states]: running what is held; NULL: not probed there */
};

/* What comes to the server for a parameter: a value of a type that the client has once been told, or knows itself; one
 * without a type, anew each time; or the client's own text, where strings have no type either, but numbers do. */
enum values_sent { VALUES_TYPED, VALUES_UNTYPED, VALUES_LITERAL };

/* How sure a client's protocol makes a change of shapes or of held plans hurt. */
struct strictness {
    enum severity wire, session;
    enum values_sent values;
};

struct query {
    const struct statement *s;
    const char *sql; /* $n */
    struct statement_facts facts;
    bool is_reworded;          /* facts are of what was written in its place (sqlc.c) */
    int session;               /* index into sessions */
    bool keeps_rows;           /* its rows are its answer */
    const char *leaves;        /* else: the query whose rows are, run after it; NULL: not known */
    const char *leaves_beside; /* of the columns that it leaves to the table; NULL: not looked at */
    const char **beside;       /* their names */
    int n_beside;
    int writes_out; /* the state in which its stars become columns, or its places: sqlc.c, stand_in.c; -1: none */
    int places;        /* of COPY FROM without a list: values in a line; 0: not known */
    bool stars_stay;   /* they would have, and which columns they are isn't known */
    bool is_stand_in;  /* sql isn't the author's: see stand_in() */
    bool is_lethal;    /* it ended a session: never tried again */
    bool is_run_alone; /* utility and the like: X doesn't apply */
    struct arg_set *sets;
    int n_sets;
    bool has_args; /* sets were looked for */
    bool never;    /* that it works nowhere was said */
    bool runs;     /* with its first set it ran in the first state that it was tried in */
    bool is_asked, worked_before, failed_before; /* see before.c; neither: not known */
    bool gave_up;                                /* it doesn't end: it isn't run any more */
    bool needs_session; /* it hangs on what others left in its session: not run in a new one */
    bool is_late;       /* it wasn't run: others that don't end took all the time there is */
    struct hold *holds;
    int n_holds;
    struct query **before; /* of its transaction: the statements that come first */
    int n_before;
    const char *clears; /* run before it: takes away rows of ours that are in its way; NULL: none */
    bool goes_on;       /* others of its transaction come after it */
    uint64_t surface;   /* of what it touches, when it was probed last */
    uint64_t chain;     /* of all that its outcomes depend on; 0: nothing is kept */
    struct record *record;            /* of this chain; NULL: nothing is kept */
    const unsigned *types;            /* [s->types.n] in this state; NULL: none are declared */
    const char *untyped;              /* a declared type that isn't there; NULL: none */
    int probed_state;                 /* -1: never */
    const struct outcome **plan;      /* [n_states] P and E; NULL: not looked at */
    const struct description **shape; /* [n_states]; NULL: doesn't prepare */
    const struct outcome **run;       /* [n_states] X, prepared afresh; NULL: not run */
    bool *fresh;                      /* [n_states]: probed there, not carried over */
};

struct app_statement { /* one statement of one release */
    const struct statement *s;
    int release;       /* index into the timeline's */
    struct query *q;   /* NULL: not one statement that can be asked for */
    int first_world;   /* in which it may run; -1: none */
    int hold;          /* index into q->holds once its first state was reached; -1 */
    bool failed_first; /* failed where it was met first */
};

struct app_session {
    const char *role, *search_path, *time_zone;
    struct wire *wire;
    struct wire *beside; /* the same again, for half of what only reads; NULL: there is none */
};

struct seed { /* a row that we made or found: texts by column */
    unsigned relation;
    bool is_found;                    /* the baseline's */
    bool is_many;                     /* and there are more than a few of them */
    const struct cat_relation *shape; /* as it was then */
    const char **values;              /* by place in shape->columns */
    const char **second; /* the same of another row of the baseline's; NULL: none is known */
};

struct empty_table { /* whose made rows were refused, all of them */
    const struct cat_relation *relation;
    const char *constraint; /* that refused the last one; NULL: not known */
    const char *message;
};

struct hidden { /* a soft drop that is in place on the shadow */
    const struct task *task;
    int plan;
    const char *table, *column, *hidden_name; /* column NULL: not one */
    struct sql_list drop, restore, purge;
};

struct born { /* a relation that a task made, or a column of one that was there */
    unsigned relation;
    int column; /* 0: all of it */
    int plan;
    enum phase phase;
};

struct loosened { /* a column that takes more than it did, since a task of the phase */
    unsigned relation;
    int column;
    int length; /* of texts, at most, before; 0: as long as it is now */
    bool nulls; /* it took none */
    int plan;
    enum phase phase;
};

struct absent { /* what makes statements fail in every state; key: rule, SQLSTATE, object */
    const char *key;
    int finding;               /* index into the report's */
    unsigned rights;           /* that they lack together: see missing.c */
    const struct taken *taken; /* once is_looked_up; NULL: nobody is known */
    bool is_looked_up;
};

struct taken { /* a statement of the baseline's files took a name away */
    struct pos at;
    const char *kind; /* "ALTER TABLE DROP COLUMN" */
};

struct baseline_text { /* one of the baseline's files */
    const char *file, *sql;
    struct sql_stmt *stmts; /* once is_parsed */
    int n_stmts;
    bool is_parsed;
};

struct suspect {
    const char *file; /* as shown */
    const struct sql_stmt *stmts;
    int n_stmts;
};

struct limited { /* a step refuses what a statement may be given */
    const struct app_statement *a;
    int state, finding; /* index into the report's, which isn't sorted before the end */
};

#define LOSSES_MAX 16

struct loss {        /* of a session */
    const char *sql; /* of the query that ended it; NULL: the task that makes the state did */
    int state;
    const char *words;
};

struct losses {
    struct loss items[LOSSES_MAX];
    int n;
    bool
        one_by_one; /* statements are run alone at first: of several at once nobody knew which it was */
    bool in_one; /* no session has one beside it: of two nobody knew which it was */
};

/* A query of verify: that was prepared. */
struct verify_try {
    int plan;
    enum phase phase;
    const struct check *check;
    bool is_understood; /* in one of the states */
    const char *sqlstate, *message;
};

struct proof {
    const struct plan_set *set;
    const struct check_options *o;
    struct report *report;
    struct arena *a;       /* lives as long as the report */
    struct arena *scratch; /* emptied after every state */
    struct timeline t;
    struct shadow *shadow;
    const char *origin; /* the database that `database` is made from, again and again */
    const char *database;
    struct wire *root;   /* superuser: the catalogue, sequences */
    struct wire *seeder; /* makes rows; NULL: not open */
    struct wire *owner;  /* plan steps */
    struct catalogue baseline, before, now;
    struct arena catalogues[2]; /* before and now in turn */
    int turn;
    struct app_session *sessions;
    int n_sessions;
    struct query *queries;
    int n_queries, cap_queries;
    struct statement_facts_work *facts_work; /* NULL: none, or settled */
    struct app_statement *app;
    int n_app;
    struct strictness *strict; /* [releases + consumers] */
    struct seed *seeds;
    int n_seeds, cap_seeds;
    struct composite_field *fields; /* of composite types, by type; see composite.c */
    int n_fields;
    struct empty_table *empty;
    int n_empty;
    struct hidden *hidden;
    int n_hidden;
    struct limited *limited;
    int n_limited;
    struct limited *silenced; /* a step changes what a statement means: see safe.c */
    int n_silenced;
    struct safe_known *safe_known; /* see safe.c */
    int n_safe_known;
    struct absent *absent;
    int n_absent;
    struct suspect *suspects; /* statements of the baseline that the branch has changed */
    int n_suspects;
    struct baseline_text *texts; /* once has_texts: see taken.c */
    int n_texts;
    bool has_texts;
    const char
        *before_unknown;     /* why nobody knows what worked before the branch; NULL: it is known */
    const char *const *gone; /* files of the baseline that the branch has taken away */
    int n_gone;
    struct born *born;
    int n_born;
    struct loosened *loosened;
    int n_loosened;
    const char **shapes;         /* [n_states]: of the schema, 16 hex digits */
    bool *begins;                /* [n_states]: a phase begins in it */
    uint64_t statements_print;   /* see check_statements_print */
    struct cache *cache;         /* NULL: nothing is kept */
    uint64_t *rows_print;        /* [n_states]: of the data that steps have changed */
    int state;                   /* in which the shadow's database is */
    struct verify_try *verifies; /* see verify.c */
    int n_verifies;
    bool is_verify_broken; /* a task before one of them failed: nothing is known of any */
    bool *broken;          /* [n_states]: its task failed on the shadow */
    bool *endless;         /* [n_states]: its task doesn't end, and isn't run again */
    bool *in_place;        /* [n_states]: its step's result was there already */
    bool *stale;           /* [n_app]: W has told of it */
    bool *untested;        /* [n_app]: a finding says so */
    bool *forgot;          /* [n_states]: rows of ours had to go for its step */
    bool *told_unique;     /* [n_states]: unique.c was there */
    const char *longest;   /* see limit_text; NULL: none was asked for */
    int n_longest;
    int n_rows;      /* how often the rows of the database changed, or were made anew */
    bool told_bare;  /* that there is no baseline at all was said */
    bool *told;      /* [n_states]: was come to before: its findings are there */
    bool opens_all;  /* nothing that is held is left unprepared, whatever is foreseen */
    bool is_short;   /* something that was left was asked for after all */
    uint64_t *asked; /* see asked_before */
    int n_asked;
    const void **undone; /* steps and syncs whose undo was tried */
    int n_undone;
    struct losses *losses;
    const char *lost_sql, *lost_words; /* of a session that has just ended; NULL: not known */
    bool lost_together; /* it had more than one, and the server's last word is missing */
    bool lost_beside;   /* two were at work */
    int entering;       /* the state on the way to which the replay is; 0: none */
};

/* Another one on the shadow: the baseline from before a branch. */
#define CHECK_BEFORE "before"

/* parts.c: what a schema is made of besides relations and enums. Texts live in the arena. */
struct parts {
    struct schema_object *items;
    int n;
};
/* Of the shadow as it is in this state: those of the roles that its sessions have. From the cache, or read. */
bool parts_of_state(struct proof *p, int state, struct arena *a, struct parts *out,
                    struct err *err) MUST_CHECK;
/* The same, by this session and as it sees it now. */
bool parts_read(struct proof *p, struct wire *by, struct arena *a, struct parts *out,
                struct err *err) MUST_CHECK;
/* roles: see check_roles. */
bool parts_read_live(struct db *db, struct arena *a, const char *roles, struct parts *out,
                     struct err *err) MUST_CHECK;
const char *rights_text(struct arena *a, uint64_t bits); /* "SELECT, UPDATE" */

/* shape.c: a schema thing by thing. */
const char *print_hex(struct arena *a, uint64_t print);
void schema_sums_of(struct arena *a, const struct catalogue *c, const struct parts *parts,
                    struct schema_sums *out);

/* ---- rooms -------------------------------------------------------------------------------------------- */

/* app.c: the statements of every release, as queries. */
bool app_load(struct proof *p, struct problem_list *problems, struct err *err);
/* Waits for the facts of all queries, which app_load only begins to read; nothing of them is there before. */
void app_settle(struct proof *p);
bool app_is_possible(const struct proof *p, const struct timeline_world *w,
                     const struct statement *s);
/* May it be run in this state, or in one that comes later? */
bool app_is_live_from(const struct proof *p, const struct app_statement *a, int state);
bool session_begin(struct proof *p, struct app_session *s,
                   struct err *err); /* wire_settle follows */
/* Another one beside it, unless another session has one: a server of the user's may be full. A role that may have no
 * more than one goes without. */
void session_begin_beside(struct proof *p, struct app_session *s);
bool sessions_begin(struct proof *p, struct err *err); /* sessions_open follows */
bool sessions_open(struct proof *p, struct err *err);
void sessions_close(struct proof *p);

/* values.c: of an array its elements; 0: it isn't one that is known. */
unsigned element_of_type(unsigned type);
/* A value of a type, another for each variant (1, 2, ...). NULL: none is known. */
const char *value_of(struct arena *a, const struct catalogue *c, unsigned type, unsigned base,
                     int typmod, int variant);
/* composite.c: the same for a column, of a composite type as well; its fields are those of the baseline. */
const char *column_value(struct proof *p, const struct catalogue *c, const struct cat_column *col,
                         int variant);
bool composites_read(struct proof *p, struct err *err);
/* Values that the checks on a column mention, the nth (0-based); NULL: no more. */
const char *value_from_checks(struct arena *a, const struct cat_relation *r,
                              const struct cat_column *col, int n);
/* The nth constant of a check's text, from which n is counted down: 'quoted' ones as they are, numbers with their
 * neighbours, so that < and > are met as well. NULL: there are no more. */
const char *constant_of(struct arena *a, const char *text, int *n);
/* The name between the quotes after `before` in a server's message; NULL: there is none. */
const char *quoted_name(struct arena *a, const char *message, const char *before);

/* foreseen.c: does a step of a plan validate the constraint of this name? */
bool foreseen_is_validated(const struct proof *p, const char *constraint);
/* The table with the checks that plans bring it and find right, in the scratch arena; NULL: there are none. */
const struct cat_relation *foreseen_checks(struct proof *p, const struct cat_relation *r);
uint64_t foreseen_print(const struct proof *p); /* over all of them */

/* seed.c: a few rows in every table, so that statements meet some. */
bool seed_tables(struct proof *p, struct err *err);
/* Before statements are put to a state for the nth time, 0-based. */
bool seed_move_sequences(struct proof *p, int nth, struct err *err);
/* Takes away the rows that we made in a table: a step may be right for real data and wrong for ours. */
bool seed_remove(struct proof *p, const char *schema_or_null, const char *table, bool *removed,
                 struct err *err);
const struct seed *seed_of(const struct proof *p, unsigned relation); /* NULL: none */
const char *seed_value(const struct seed *s, const char *column);     /* NULL: none */

/* args.c: with what a query is run. */
void args_make(struct proof *p, struct query *q, const struct description *d);
/* After a failure: other arguments, that may do better. False: no idea. */
bool args_mend(struct proof *p, struct query *q, const struct wire_result *why, int set,
               int attempt);

/* expression_value.c: what the expression is, in a row that there is, with which the statement compares the parameter;
 * NULL: it's compared with none, or there is no such row. */
const char *expression_value(struct proof *p, const struct query *q, int param);
/* solve_args.c: values for the parameters of a set that checks of the tables take, which its statement writes. False:
 * none were found, and the set is as it was. */
bool solve_args(struct proof *p, const struct query *q, struct arg_set *set);

/* failure.c: a finding on the step that makes a state. */
struct finding *step_finding(struct proof *p, int state, const char *rule, struct pos at,
                             const char *message);
/* The step failed: said with the names that its author wrote, and with what is to be done about it. */
void failure_report(struct proof *p, int state, struct pos at, const struct wire_result *r);
/* Does something fail because there is no baseline at all? That is one finding, told with the first that lacks. */
bool failure_is_bare(struct proof *p, const char *sqlstate, const char *message);

/* texts.c: steps over blanks and comments, and over this word where it comes next; then over a name, folded as the
 * server does, without its schema. */
bool text_takes_word(const char **at, const char *word);
const char *text_name(struct arena *a, const char **at);

/* declared.c: the types that clients declare, as this state's server numbers them. */
bool declared_types(struct proof *p, int session, struct err *err);

/* verify.c: queries of verify: in the states where they might be run; then those that are understood nowhere. */
bool verify_state(struct proof *p, int state, struct err *err);
void verify_report(struct proof *p);

/* statement_timeout of steps. */
enum { STEP_MS = 30000 };
/* replay.c: the database from state to state. */
bool replay_to(struct proof *p, int state, struct err *err);
/* From the start, over rows that are made anew, to a state that was gone through before. */
bool replay_again(struct proof *p, int state, struct err *err);
/* The task of a state alone. */
bool replay_task(struct proof *p, int state, struct err *err);
/* The backfill as one statement, in the scratch arena; NULL: it isn't one. */
const char *replay_fill_sql(struct proof *p, const struct plan *plan, const struct backfill *b,
                            struct backfill_spec *spec);
/* hide.c: what a soft drop of this statement does. found: false: the thing isn't there (any more), so nothing is to be
 * hidden. */
bool hide_plan(struct proof *p, const struct sql_stmt *s, struct hidden *h, bool *found,
               struct err *err) MUST_CHECK;
/* earlier.c: the database as it will be when the transition begins. */
bool earlier_run(struct proof *p, struct err *err);

/* "postgresql >= 15", as the engine reads it. */
bool step_is_for_shadow(const struct proof *p, const struct step *s);
/* Is its result there already? *why: the author asked, and the server had no answer but this; NULL: it had one. */
bool step_is_in_place(struct proof *p, const struct step *s, bool *out, const char **why,
                      struct err *err);
/* As the steps' role: one boolean; anything else is false. why: NULL, or the server's error, NULL when it gave an answer. */
bool steps_ask(struct proof *p, const char *sql, bool *out, const char **why, struct err *err);

/* command.c: a command: step, where it may be run. */
bool command_step(struct proof *p, int state, const struct step *s, struct err *err);

/* probe.c: a statement was cancelled: it runs too long. What cancels it in another way is an error like others. */
bool is_too_long(const char *sqlstate, const char *message);
/* probe.c: every query that the state may have changed. */
bool probe_state(struct proof *p, int state, struct err *err);
/* carried.c: after it; what fails by rows fails from the state on that brought them, though it wasn't asked there. */
bool carried_state(struct proof *p, int state, struct err *err);
/* Prepares again what was held from this state on: the sessions are new ones. */
bool probe_hold_again(struct proof *p, int state, struct err *err);
uint64_t query_surface(const struct proof *p, const struct query *q);
/* May it call a function of the user's, which keeps plans of its own in each session? */
bool query_runs_code(const struct proof *p, const struct query *q);
/* By what a function's name, an operator and a cast are found: another one means that a session which prepares now may
 * find others than those that hold a statement since before. */
uint64_t surface_calls(const struct proof *p);
/* What any statement can meet of the schema as it is; what n statements of a step can, or of its undo. */
uint64_t schema_surface(const struct proof *p);
uint64_t ddl_surface(const struct proof *p, const struct sql_stmt *s, int n);

/* cache.c: what an earlier run found out. Each of the asking ones is false when that isn't known. */
void cache_begin(struct proof *p);
void cache_read_ahead(struct proof *p); /* as long as the shadow starts */
void cache_of_server(struct proof *p);  /* it has started */
void cache_end(struct proof *p);
void cache_state(struct proof *p, int state);                  /* after the replay to it */
void cache_enter(struct proof *p, struct query *q, int state); /* its surface is another one */
bool cache_plan(struct query *q, int state);
bool cache_first(struct proof *p, struct query *q, int state);
bool cache_hold(const struct query *q, const struct hold *h, const struct outcome **out);
bool cache_run(struct query *q, int state);
/* As far as anybody can tell, all that is held of it from now on was asked in an earlier run. */
bool cache_foresees(const struct proof *p, const struct query *q);
void cache_note_first(struct query *q, int state);
void cache_note_hold(struct proof *p, struct query *q, const struct hold *h,
                     const struct outcome *o);
void cache_note(struct proof *p, struct query *q, int state);
/* cache_parts.c: the parts of the schema in the state that the shadow's database is in. Those of keep stay in the cache,
 * if they are in it. */
bool cache_parts(struct proof *p, int state, struct arena *a, struct parts *out);
void cache_note_parts(struct proof *p, int state, const struct parts *parts);
void cache_keep_parts(struct proof *p, int state);
/* Of a step that was undone as it should be: over what it can meet of the schema before it (see ddl_surface), what runs and
 * what takes it back. 0: nothing is kept. */
/* cache_facts.c: of a statement that an earlier run has parsed. False: out is as it was. */
bool cache_facts(struct proof *p, const struct statement *s, struct statement_facts *out);
uint64_t cache_undo_key(const struct proof *p, uint64_t surface, const struct sql_list *undo,
                        const struct sql_list *step);
bool cache_undo_is_right(struct proof *p, uint64_t key);
void cache_note_undo(struct proof *p, uint64_t key);
void cache_write(struct proof *p);

/* app.c: "release 1.2.0", or "consumer reporting". */
const char *release_words(struct proof *p, int release);
/* A statement of a release (or consumer) that a finding is about. */
void place_add(struct proof *p, struct finding *f, const struct app_statement *a);

/* verdict.c: what the outcomes mean. */
/* A finding on a statement in a world, blamed on the step that made the state. */
struct finding *finding_of_state(struct proof *p, const struct app_statement *a,
                                 const struct timeline_world *w, int state, const char *rule,
                                 const char *message, const char *help);
/* A finding on a statement in a world, at a place that nobody may be to blame for. */
struct finding *finding_of_statement(struct proof *p, const struct app_statement *a,
                                     const struct timeline_world *w, const char *rule,
                                     struct pos at, const struct outcome *o, const char *message);
/* Where what makes a state is written. */
struct pos state_place(const struct proof *p, int state);
void verdict_all(struct proof *p);

/* lost.c: sessions that end in the middle. lost_note: of ops that weren't all answered; false. */
bool lost_note(struct proof *p, const struct wire_op *ops, int n,
               const struct wire_result *results);
/* Is it known what ended the session? Then it is remembered, and the proof can be made again without it. */
bool lost_again(struct proof *p, struct err *err);
bool lost_is_lethal(const struct proof *p, const struct query *q);
bool lost_skips(struct proof *p, int state); /* the task that makes this state ended a session */
void lost_report(struct proof *p);
/* Too many of them: those that are known are told of, and that nothing else is. False: it is another error. */
bool lost_gives_up(struct proof *p, struct err *err);

/* account.c: cells of the summary; what couldn't be run, and what couldn't be read. */
void account_count(struct proof *p);
void account_failing(struct proof *p);
void account_unrun(struct proof *p);
/* -- args: with a value for each parameter, of about its type. */
const char *example_row(struct proof *p, const struct query *q);
bool account_is_too_much(const struct outcome *o); /* time, memory, a limit of PostgreSQL's */
void account_late(struct proof *p);
bool account_is_touched(const struct proof *p, const struct query *q); /* by any step */
void account_outside(struct proof *p);
void account_unparsed(struct proof *p);
void account_in_place(struct proof *p);

/* empty.c: tables without rows that statements need, and rows of arguments that meet none. */
void empty_report(struct proof *p);
void empty_report_misses(struct proof *p);
/* It failed for want of a parent, in a table that stays empty: what is to be done. NULL: it didn't. */
const char *empty_parent(struct proof *p, const struct query *q, const struct outcome *o);

/* missing.c: a statement that fails in every state: a finding for each cause, with the likeliest way out. */
bool missing_in_body(const struct proof *p, const struct app_statement *a, const struct outcome *o);
void missing_report(struct proof *p, const struct app_statement *a, const struct timeline_world *w,
                    const struct outcome *o);

/* The word behind "column " or "relation " in a server's message, without its schema or alias; NULL: none. */
const char *missing_name(struct proof *p, const char *message, const char *what);

/* prove.c: sessions and what isn't in arenas of the report. */
void proof_close(struct proof *p);

/* execute.c: the name that the statement executes and that no PREPARE of its release makes; NULL: it isn't such. */
const char *execute_loose(const struct proof *p, const struct app_statement *a);
void execute_report(struct proof *p);

/* args.c: the column that a parameter is compared with; NULL: none that is known. */
const struct cat_column *args_compared(const struct proof *p, const struct query *q, int param,
                                       const struct cat_relation **r);

/* stand_in.c: what is asked instead of COPY to or from the client, which no prepared statement can be; NULL: the
 * statement itself. */
const char *stand_in(struct arena *a, const struct statement_facts *f);
/* COPY to or from a file or a program of the server, which nothing here may touch: the role whose right it needs. NULL:
 * it isn't one. */
const char *copy_outside(const struct query *q);
/* What the server says to COPY of its relation as it is now, though what stands in for it may run; NULL: nothing. In
 * scratch. */
const struct wire_result *copy_refused(struct proof *p, const struct query *q);
/* Once its sql is what stands in for it: the parameters that it has then. */
void stand_in_note(struct query *q);
/* COPY t FROM: a line of its data has a value for each column that there was when its release was met first. By the text
 * alone: may be. */
bool copy_goes_by_place(const struct query *q);
bool copy_may_go_by_place(const char *sql);
/* In that state. */
void copy_write_out(struct proof *p, struct query *q);
/* A utility statement that can run in a transaction and be taken back: CALL, TRUNCATE, LOCK. */
bool runs_as_utility(const char *sql);

/* probe.c: once, in a transaction that is taken back; reached: what comes before it worked. */
bool probe_run(struct proof *p, struct query *q, struct wire_result *out, bool *reached,
               uint64_t *answer, struct err *err);

/* limits.c: before and after a step that may restrict; *out is in the scratch arena, NULL: it doesn't. */
struct limits;
bool limits_before(struct proof *p, int state, struct limits **out, struct err *err);
bool limits_after(struct proof *p, int state, struct limits *l, struct err *err);
/* DO, CALL, SELECT of a function: what they do isn't in their text. */
bool limits_is_opaque(const struct sql_stmt *s);
/* Does it change a function of the catalogue? */
bool limits_replaces_function(const struct catalogue *c, const struct sql_stmt *s);
/* May the task refuse what is written to this table? */
bool limits_restricts(const struct proof *p, const struct task *t, const struct cat_relation *r);

/* loosened.c: notes the columns that take more than before the task of the state. */
void loosened_note(struct proof *p, const struct timeline_state *s);

/* brought.c: is the query one that can't be prepared before the expands of the release that this state is made for? */
bool brought_by_phase(const struct proof *p, const struct query *q, int state);
/* Of such a statement of that release, or of a later one: does the index hold columns that came with it? */
bool brought_with_index(const struct proof *p, const struct app_statement *a, int state,
                        const struct cat_relation *r, const struct cat_index *index);

/* fitting.c: before a backfill; rows that were made get values with which a CHECK takes what it makes of them. */
bool fitting_rows(struct proof *p, const char *schema, const char *table, const char *backfill,
                  struct err *err);
/* After a step that a foreign key refused: rows that were made point at a parent that there is. */
bool fitting_parents(struct proof *p, const struct wire_result *refused, bool *fits,
                     struct err *err);

/* fills.c: a backfill run twice, and after writers of what it fills; before it runs for good. */
/* A backfill through a program: told that it isn't run. */
void fills_untried(struct proof *p, int state, const struct backfill *b);
bool fills_probe(struct proof *p, int state, const struct plan *plan, const struct backfill *b,
                 const char *sql, struct err *err);

/* writes.c: W. */
bool writes_probe(struct proof *p, int state, struct err *err);

/* The first world of a state in which the statement may run; NULL: none. */
const struct timeline_world *world_met(const struct proof *p, const struct app_statement *a,
                                       int state);

/* answer_sums.c: how an answer is had: rows that are kept, or a query afterwards. */
void answer_prepare(struct proof *p, struct query *q);
void answer_look_beside(struct proof *p,
                        struct query *q); /* part of it, for a query that is known */
uint64_t answer_of(const struct wire_result *r);
const struct column_sum *answer_beside(struct proof *p, const struct query *q,
                                       const struct wire_result *r);
/* answers.c */
bool changes_rows(const struct proof *p, int state);
bool is_definition(const struct sql_stmt *s);
bool brings_rows(const struct sql_stmt *s); /* ATTACH PARTITION, INHERIT */
/* Another answer than in the state before; since: the findings from there on are about this state. */
bool answers_state(struct proof *p, int state, int since, struct err *err);
/* returned.c: what RETURNING gives of a view that took a table's place. */
bool returned_state(struct proof *p, int state, struct err *err);
/* One that throws a coin gives the same answer so many times in a row once in 2^STEADY_ASKS runs. Only those are asked so
 * often whose answers differ. */
enum { STEADY_ASKS = 16 };
/* probe.c: the answer, once more. */
bool probe_answer(struct proof *p, struct query *q, const struct outcome **out, struct err *err);

/* probe.c: what a question gets for an answer before the statement and after it, in its transaction; not ok: it didn't
 * come to that. */
bool probe_around(struct proof *p, const struct query *q, const char *sql,
                  struct wire_result looks[2], struct err *err);

/* changed.c: before a step that changes rows, or a view: what it makes of the answers of live statements. */
bool changed_before(struct proof *p, int state, struct err *err);
/* first_default.c: what was NULL where a live writer leaves a column out, and isn't from this state on. */
bool first_defaults_state(struct proof *p, int state, struct err *err);
/* children.c: rows that one live release writes keep another's DELETE out. */
bool children_state(struct proof *p, int state, struct err *err);

/* undone.c: before and after a step that can be undone; *out is in arena a, NULL: it can't, or was tried. */
struct undone;
bool undone_before(struct proof *p, int state, struct arena *a, struct undone **out,
                   struct err *err);
bool undone_after(struct proof *p, int state, const struct undone *u, struct err *err);

/* effects.c: before and after a step that may take a trigger away; *out is in the scratch arena, NULL: it doesn't. */
struct effects;
bool effects_before(struct proof *p, int state, struct effects **out, struct err *err);
bool effects_after(struct proof *p, int state, const struct effects *l, struct err *err);
/* Is the relation of this catalogue, or a column of it, read by the text of a statement that is live from this state on?
 * column NULL: whatever of it. */
bool effects_are_read(const struct proof *p, const struct catalogue *c,
                      const struct cat_relation *r, const char *column, int state);
enum effect_verb { EFFECT_INSERTED, EFFECT_UPDATED, EFFECT_DELETED, EFFECT_VERBS };
/* How many rows of a relation came between two looks, each of sql_select_rows_written. */
int64_t effects_rows(const struct wire_result looks[2], unsigned relation, enum effect_verb verb);
/* The print of a question: was it asked before? */
bool asked_before(struct proof *p, uint64_t print);

/* unique.c: new uniqueness against those who write its columns. */
bool unique_state(struct proof *p, int state, struct err *err);
void limited_add(struct proof *p, const struct app_statement *a, int state,
                 const struct finding *f);
/* Has this been told of what the step of the state makes the statement mean? */
bool safe_has(const struct proof *p, const struct app_statement *a, int state, const char *rule);
/* Was something as bad as that said of the statement in this state? What is worse is said as well. */
bool limited_has(const struct proof *p, const struct app_statement *a, int state,
                 enum severity at_least);

/* resolve.c: a name that means another column than before the state. */
bool resolve_state(struct proof *p, int state, struct err *err);

/* numbers.c: new sequences whose numbers rows have already; before sequences are moved. */
bool numbers_state(struct proof *p, int state, struct err *err);

/* legacy.c: before a step with a CHECK that no plan validates. */
bool legacy_before(struct proof *p, int state, struct err *err);

/* sqlc.c: stars of a statement that sqlc reads are columns in the code that it made. */
bool sqlc_has_stars(const struct query *q);
/* By the text alone. Such a one is a query for each release. */
bool sqlc_may_have_stars(const struct statement *s);
/* In the state in which its release is met first. */
void sqlc_write_out(struct proof *p, struct query *q);
/* The same but for more columns in between: all that a star which stays brings in new code alone. */
bool sqlc_only_adds(const struct description *before, const struct description *now);

/* once.c: the parse tree's suspicions of a step that the shadow has run. */
void once_state(struct proof *p, int state);

/* left_behind.c: what is said of a column that another takes the place of. */
void left_behind_state(struct proof *p, int state);

/* unfilled.c: does a step fail for a column of the plans' own that nothing has filled? Then the hint says so. */
bool unfilled_is(struct proof *p, int state, struct wire_result *refused, bool *out,
                 struct err *err);

/* left_reading.c: views that stay with a table whose name another one has taken. */
bool left_reading_state(struct proof *p, int state, struct err *err);

/* silent.c: S, against the state before. */
void silent_state(struct proof *p, int state);
void cascade_state(struct proof *p, int state);
const char *policies_words(struct proof *p, const struct cat_relation *r);
/* Whose policies hold for who reads r: behind a view with the rights of who asks, those of the table. oid: of the one that
 * is meant, where the view reads several; 0: none. */
const struct cat_relation *policies_holder(const struct catalogue *c, const struct cat_relation *r,
                                           unsigned oid);
/* To this role, in this statement: by what they say, not by what would come of it with the rows that there are. */
/* No policy holds for the role (BYPASSRLS), before and after. */
bool policies_are_passed(const struct catalogue *before, const struct catalogue *now,
                         const char *role);
bool policies_same(const struct cat_relation *before, const struct cat_relation *now,
                   const struct fact_rel *f, const char *role);

/* settings.c: ALTER ROLE ... SET. Around the transaction of a step: it may speak for the roles that it names. */
bool settings_begin(struct proof *p, const struct step *s, struct err *err);
bool settings_end(struct proof *p, struct err *err);
bool setting_is(const struct sql_stmt *s);
/* Within it; tells: with a finding where it concerns a release. */
bool setting_try(struct proof *p, int state, const struct sql_stmt *s, bool tells,
                 struct wire_result *out, struct err *err);

/* ddl.c: locks, rewrites and scans of one transaction of a step. */
/* Runs a step's statements; tell: with findings on what they hold up. failed: which of them, n_stmts for the
 * COMMIT, -1 none; out is its answer. */
bool ddl_run(struct proof *p, int state, const struct step *s, bool tell, struct wire_result *out,
             int *failed, struct err *err);

#endif

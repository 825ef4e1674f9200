/* model: what a user wrote, as loaded. Open data, read-only after loading.
 *
 * Everything lives in the arena of the plan set; nothing here is freed by itself. Every node keeps its
 * position so that any later message can point at file:line:column (1-based). Texts that may hold
 * ${VAR} are kept as written; they are resolved when they are used, never before.
 * Absent texts are NULL, absent lists have n == 0, absent numbers are the MODEL_UNSET below.
 */
#ifndef PHASEGATE_MODEL_H
#define PHASEGATE_MODEL_H

#include "phasegate/arena.h"
#include <stdbool.h>
#include <stdint.h>

#define MODEL_UNSET INT64_MIN

struct pos {
    const char
        *file;     /* as shown to the user: relative to the project folder where it is below it */
    int line, col; /* 1-based; 0 means "the file as a whole" */
};

struct text {
    const char *s; /* NULL: absent */
    struct pos at;
};

/* Names of schemas, tables and columns are kept as the catalogue has them: no folding; "a.b" is split
 * into schema and table, and the quotes of a quoted part are taken off. */

struct text_list {
    struct text *items;
    int n;
};
/* Exactly so written. */
bool text_list_has(const struct text_list *l, const char *s);

struct pair { /* a mapping entry whose order matters: SET lists, forward/reverse */
    struct text key, value;
};

struct pair_list {
    struct pair *items;
    int n;
};

/* The four phases, in order. PHASE_NONE stands before expand. */
enum phase { PHASE_NONE, PHASE_EXPAND, PHASE_DUAL_READ, PHASE_WRITE_ACTIVATION, PHASE_CONTRACT };
#define PHASE_FIRST PHASE_EXPAND
#define PHASE_LAST PHASE_CONTRACT
#define PHASE_SLOTS 5 /* arrays are indexed by enum phase; slot 0 is unused */

const char *phase_word(enum phase p);      /* "expand", "dual_read", ... as in YAML */
enum phase phase_from_word(const char *s); /* PHASE_NONE when unknown */

/* ---- conditions ------------------------------------------------------------------------------ */

enum cond_op {
    COND_NONE,
    COND_EQ,
    COND_NE,
    COND_LT,
    COND_LE,
    COND_GT,
    COND_GE,
    COND_UNCHANGED,
    COND_TRUE
};

struct cond { /* "= 0", "< 0.01", "= ok", unchanged, true */
    enum cond_op op;
    const char *value;
    bool numeric; /* value is a number, in `number` */
    double number;
    struct pos at;
};

bool cond_parse(const char *s, struct cond *out); /* s outlives the cond */
const char *cond_op_word(enum cond_op op);        /* as it is written: ">=" */
/* measured: NULL means there was no value: never holds. before: only for `unchanged`, NULL: unknown.
 * A numeric condition on a text that is no number does not hold. */
bool cond_holds(const struct cond *c, const char *measured, const char *before);

/* ---- statements of a step, filled by sql_facts --------------------------------------------------- */

enum sql_class { SQL_ADDITIVE, SQL_RESTRICTIVE, SQL_DESTRUCTIVE, SQL_DATA, SQL_UNKNOWN };
const char *sql_class_word(enum sql_class c);

/* Weak to strong, PostgreSQL's table lock modes. */
enum lock_mode {
    LOCK_NONE,
    LOCK_AS,
    LOCK_RS,
    LOCK_RE,
    LOCK_SUE,
    LOCK_S,
    LOCK_SRE,
    LOCK_E,
    LOCK_AE
};
const char *lock_mode_word(enum lock_mode m); /* "ACCESS EXCLUSIVE" */

/* What a soft drop knows how to carry out. */
enum drop_kind {
    DROP_NOT,
    DROP_COLUMN,
    DROP_TABLE,
    DROP_INDEX,
    DROP_CONSTRAINT,
    DROP_VIEW,
    DROP_TRIGGER,
    DROP_FUNCTION,
    DROP_OTHER
};

struct sql_stmt {
    const char *sql;  /* one statement, no trailing semicolon */
    struct pos at;    /* where it starts in the file */
    const char *kind; /* "ALTER TABLE ADD COLUMN", for people */
    enum sql_class class;
    const char *class_why; /* one clause: why it isn't additive; NULL when it is */
    bool few_rows; /* of SQL_DATA: as many as the text names, by VALUES or constants in its WHERE */
    bool only_adds;             /* of SQL_DATA: new rows that the text names, and changes none */
    bool standalone;            /* can't or shouldn't run in a transaction block */
    enum lock_mode lock;        /* strongest lock on a table that existed before */
    const char *lock_note;      /* "brief", "scans the table", "rewrites the table"; NULL: none */
    const char *schema, *table; /* main relation as written, schema NULL when not qualified */
    /* What it makes or drops: column, index, constraint, trigger; of a function its quoted name with its argument
     * types, as DROP FUNCTION takes it after the schema. NULL: none, or unnamed. */
    const char *object;
    /* A query giving one boolean: is this already in place? NULL: can't be derived. */
    const char *applied_when;
    /* A query giving one boolean: was this left half made (an invalid index)? NULL: can't be. */
    const char *half_made_when;
    /* Statement that removes the half-made object, or ends its work (DETACH ... FINALIZE): ask applied_when
     * again afterwards. NULL where half_made_when is. */
    const char *clean_up;
    const char *undo; /* reverse statement, or NULL */
    /* undo NULL: a query for one text, the reverse statements, to be asked before the statement runs, under its
     * search_path; its answer NULL: there is no way back. NULL: only undo tells. */
    const char *undo_query;
    /* Of one with a query: the reverse statement where it can't be asked, as an earlier one of the same step has
     * changed what it would look at; may take more than the statement gave. NULL: none. */
    const char *undo_unasked;
    bool undo_lossless;  /* the reverse loses no data that existed before the step */
    enum drop_kind drop; /* contract: what is to be gone */
    bool cascades;       /* DROP ... CASCADE */
    struct text_list
        relations; /* names of all that it names, the main one too, without their schemas */
};

/* ---- steps ------------------------------------------------------------------------------------- */

struct step {
    struct text id;
    struct text sql; /* NULL when it is a command */
    struct text_list command;
    struct text undo;                              /* written by the author; NULL: derived */
    struct text undo_none;                         /* undo: {none: reason} */
    struct text applied_when;                      /* written by the author; NULL: derived */
    int64_t lock_timeout_ms, statement_timeout_ms; /* MODEL_UNSET: policy */
    bool no_transaction;                           /* transaction: none */
    struct text dbms; /* "postgresql", or with a version "postgresql >= 15"; NULL: any */
    struct pos at;
    struct sql_stmt *stmts; /* filled by sql_facts_step */
    int n_stmts;
    struct sql_stmt *undo_stmts; /* of the author's undo; filled likewise */
    int n_undo_stmts;
    const char *checksum; /* sha-256 in hex of what would run; filled by plan_checksums */
};

struct step_list {
    struct step *items;
    int n;
};

struct backfill {
    struct text id;
    struct text schema, table; /* table NULL: derived from sync */
    struct pair_list set;      /* column -> expression; empty: derived from sync */
    struct text from, match, where;
    struct text insert_into; /* insert: {into: ..., columns: [...], select: ...} */
    struct text_list insert_columns;
    struct text insert_select;
    struct text_list key;
    int64_t batch_rows, batch_min, batch_max, batch_target_ms; /* MODEL_UNSET: defaults */
    int64_t workers, max_bad_rows;
    bool on_bad_row_stop, keeps_before; /* keep: before */
    struct pair_list throttle;          /* raw name -> value; read by the backfill engine */
    struct text_list via;  /* argv; columns whose expression is the word via are what it says */
    struct text_list read; /* columns that it is told besides the key; n 0: all */
    struct text_list relations; /* that its expressions name; filled by plan_sql_facts */
    struct pos at;
};

struct backfill_list {
    struct backfill *items;
    int n;
};

struct check { /* verify, data_checks, requires-sql, tests' expectations */
    struct text id, sql;
    struct cond expect;
    struct text because, fix;
    /* Of a fix, filled by plan_sql_facts: its statement, its table (NULL: none), and the same in batches (NULL: it can't be
     * cut). */
    const char *fix_sql, *fix_table;
    const struct backfill *fix_fill;
    const char *checksum; /* of a data check; else NULL */
    struct pos at;
};

struct check_list {
    struct check *items;
    int n;
};

struct rung {
    int percent;      /* 1..100 */
    int64_t pause_ms; /* after it is confirmed; 0: none */
    struct pos at;
};

struct rung_list {
    struct rung *items;
    int n;
};

struct compare {
    bool present;
    double sample_percent;
    int64_t max_mismatch;
    struct pos at;
};

/* ---- gates ------------------------------------------------------------------------------------- */

enum gate_kind {
    GATE_HTTP,
    GATE_SQL,
    GATE_PROMETHEUS,
    GATE_COMMAND,
    GATE_SESSIONS,
    GATE_APPROVAL,
    GATE_LAG,
    GATE_REHEARSAL,
    GATE_BACKUP
};
const char *gate_kind_word(enum gate_kind k);
enum no_data { NO_DATA_HOLD, NO_DATA_FAIL, NO_DATA_PASS };
enum on_failure { ON_FAILURE_ROLLBACK, ON_FAILURE_HOLD };

struct gate {
    struct text name;
    enum gate_kind kind;
    struct text url, query;    /* http, prometheus; ${VAR} allowed */
    struct pair_list headers;  /* http; ${VAR} allowed */
    struct text json_pointer;  /* http: value to take from a JSON answer */
    int64_t status;            /* http: expected status, MODEL_UNSET: 200 */
    struct text sql;           /* sql */
    struct text_list command;  /* command: exit 0 passes; first line of stdout is the value */
    struct text release;       /* sessions: this release must be gone */
    struct text role;          /* approval */
    int64_t approvals;         /* approval: how many */
    int64_t lag_ms, lag_bytes; /* lag: limits, MODEL_UNSET: none */
    int64_t max_age_ms;        /* rehearsal, backup: not older than; MODEL_UNSET: policy, backup: */
    bool tries_archive;        /* backup: has pgBackRest check the archive from end to end */
    struct cond expect;        /* op COND_NONE: the kind's own notion of passing */
    int64_t interval_ms;       /* default 30 s */
    int64_t count;         /* good measurements in a row to pass; 0: in the background; default 1 */
    int64_t failure_limit; /* failures that are tolerated; default 0 */
    int64_t timeout_ms;    /* of one measurement; default 10 s */
    enum no_data no_data;
    enum on_failure on_failure;
    struct pos at;
};

/* ---- plan -------------------------------------------------------------------------------------- */

struct flag_decl {
    struct text key; /* NULL: the plan has no such flag */
    struct text bucket_by;
    struct pos at;
};

enum flag_role { FLAG_READ, FLAG_WRITE };
#define FLAG_ROLES 2
const char *flag_role_word(enum flag_role r);

enum sync_by { SYNC_NONE, SYNC_TRIGGER, SYNC_COHORT, SYNC_APPLICATION };
const char *sync_by_word(enum sync_by s);

struct made_column {
    const char *name, *type; /* type: for to_regtype; NULL: not known */
    bool is_filled;          /* by a default, an identity or a generation */
};

struct sync {
    enum sync_by by; /* SYNC_NONE: the plan has no sync */
    struct text schema, table;
    struct pair_list forward, reverse; /* target column -> expression over the row's columns */
    struct text cohort_column;
    struct pos at;
    /* Columns that the expressions read, by parse tree; filled by plan_sql_facts. */
    struct text_list forward_columns, reverse_columns;
    /* What the steps of expand make, which comes before sync; filled by plan_sql_facts. */
    struct made_column *made;
    int n_made;
    bool makes_names; /* tables, functions, types: names that only exist once the steps have run */
    bool makes_anything; /* a program, a DO block: nobody can tell */
};

struct phase_plan {
    bool present;
    struct text none; /* reason why the phase is absent */
    struct text release;
    struct step_list steps, finish;
    struct rung_list rollout; /* read flag in dual_read, write flag in write_activation */
    struct backfill_list backfill;
    struct check_list verify;
    struct compare compare;
    struct text_list gates;            /* names, resolved by plan_gate */
    struct text_list snapshot_columns; /* "table.column" */
    struct text_list snapshot_tables;
    int64_t hold_ms; /* contract; MODEL_UNSET: policy.hold */
    struct pos at;
};

struct plan_dep {
    struct text plan;
    enum phase phase;
    struct pos at;
};

enum require_kind {
    REQUIRE_POSTGRES,
    REQUIRE_EXTENSION,
    REQUIRE_TABLE,
    REQUIRE_DISK_FREE,
    REQUIRE_SQL
};

struct require {
    enum require_kind kind;
    struct text value;  /* extension or table name */
    struct cond expect; /* postgres: version condition; sql */
    int64_t bytes;      /* disk_free */
    struct text sql, because;
    struct pos at;
};

struct plan_test {
    struct text id, given;
    enum phase after;
    struct check_list expect;
    struct pos at;
};

struct validation {
    struct text id, sql, probe, release, gate, manual;
    struct cond expect;
    int64_t for_ms;
    struct pos at;
    const char *checksum; /* of the item, with its gate; filled by plan_checksums */
};

struct criterion {  /* runbook go / no_go: one of gate, manual, sql */
    struct text id; /* optional: what a manual one is signed by; else its text */
    struct text gate, manual, sql;
    struct cond expect;
    struct pos at;
    const char *checksum; /* filled by plan_checksums */
};

struct message {
    struct text when, to, text;
    struct pos at;
};

struct runbook {
    bool present;
    struct text owner;
    struct pair_list contacts, targets;
    struct criterion *go, *no_go;
    int n_go, n_no_go;
    struct text_list rollback_when;
    struct message *communication;
    int n_communication;
};

struct plan {
    struct text id, timestamp, database, title, author;
    int64_t time; /* timestamp as seconds since the epoch */
    struct plan_dep *depends_on;
    int n_depends_on;
    struct require *requires;
    int n_requires;
    struct flag_decl flags[FLAG_ROLES];
    bool flags_unread; /* the file has mistakes that may hide a flag */
    struct check_list data_checks;
    struct sync sync;
    struct plan_test *tests;
    int n_tests;
    struct phase_plan phases[PHASE_SLOTS]; /* [PHASE_NONE].at: where `phases:` stands */
    struct gate *gates;
    int n_gates;
    struct validation *validation;
    int n_validation;
    struct runbook runbook;
    struct text compensates; /* plan that this one undoes; NULL */
    const char *file;
    bool is_head;   /* only a head is in memory: see plan_set_load_some */
    bool has_facts; /* plan_sql_facts found nothing wrong: no need to ask again */
    const char
        *phase_checksum[PHASE_SLOTS]; /* what approval and proof bind to; see plan_checksums */
    const char *validation_checksum;  /* of the whole checklist */
    const char *checksum;             /* of the whole plan */
};

/* ---- project ----------------------------------------------------------------------------------- */

struct release {
    struct text version;
    struct text_list statements;
    struct text params, driver;
    struct text driver_protocol;
    bool driver_prepared;
    struct text session_role, session_search_path, session_timezone;
    bool planned;
    struct pos at;
};

/* What a transition asks for before it begins. UNSET: not stated here. */
enum proof_policy {
    PROOF_UNSET,
    PROOF_AUTO, /* a proof where releases list statements; without any it says that there is none */
    PROOF_REQUIRED, /* without statements it is refused */
    PROOF_OFF       /* none is made */
};
const char *proof_policy_word(enum proof_policy p);

/* Is a phase refused for what preflight finds? UNSET: not stated here. */
enum preflight_policy { PREFLIGHT_UNSET, PREFLIGHT_REQUIRED, PREFLIGHT_OFF };
const char *preflight_policy_word(enum preflight_policy p);

/* Is a purge refused where what it destroys isn't saved? UNSET: not stated here. */
enum snapshot_policy { SNAPSHOT_UNSET, SNAPSHOT_REQUIRED, SNAPSHOT_OFF };
const char *snapshot_policy_word(enum snapshot_policy p);

/* Is a restore point set, and its WAL proven archived, before anything is hidden or destroyed? UNSET: not stated here. */
enum point_policy {
    POINT_UNSET,
    POINT_AUTO,     /* where the server can, and says so where it can't */
    POINT_REQUIRED, /* nothing is hidden or destroyed without */
    POINT_OFF
};
const char *point_policy_word(enum point_policy p);

/* What becomes of an expand that fails. UNSET: not stated here. */
enum failure_policy { FAILURE_UNSET, FAILURE_STOP, FAILURE_UNDO };
const char *failure_policy_word(enum failure_policy p);

struct policy {
    /* MODEL_UNSET or NULL: not stated here (environment), or default (project) */
    int64_t one_phase_per_release, window, forward_only; /* booleans as 0/1 */
    int64_t approvals[PHASE_SLOTS];
    int64_t approvals_purge;
    /* Role -> how many, where they were said by role: approvals[] is then their sum. Slot 0: of the purge. */
    struct pair_list approvals_by_role[PHASE_SLOTS];
    struct pair_list approvers; /* role -> name, one pair per name */
    struct pair_list tokens;    /* name -> SHA-256 in hex of what one signs with */
    int64_t kill_drill_ms, rehearsal_max_age_ms, hold_ms, lock_timeout_ms, statement_timeout_ms;
    int64_t archive_timeout_ms; /* how long a segment of WAL may take into the archive */
    struct text maintenance_window;
    enum proof_policy proof;
    enum preflight_policy preflight;
    enum snapshot_policy snapshot;
    enum failure_policy on_failure;
    enum point_policy restore_point;
    struct pair_list rules; /* rule id -> severity */
};

struct database_decl {
    struct text name, url;
    struct text_list urls, waves;
    int64_t parallel;
    struct pos at;
    const struct database_decl *fleet; /* whose member it is; NULL: of none. See fleet.h */
};

struct flags_decl {
    bool present;
    struct text provider, url, token, token_file, project, environment, sdk_token, sdk_token_file,
        confirm_ofrep, kill_file, path;
    struct text ca_file;
    int64_t propagation_ms; /* MODEL_UNSET: the provider's own */
    /* provider http: templated requests */
    struct text set_method, set_url, set_body, get_url, get_on_pointer, get_percent_pointer;
    struct pair_list headers;
    struct pos at;
};

struct live_releases_decl {
    struct text application_name; /* sessions: pattern with one % */
    struct text http_url, http_json;
    struct text prometheus_url, prometheus_query;
    struct pos at;
};

enum notify_format { NOTIFY_JSON, NOTIFY_SLACK };

struct notify_decl {
    struct text webhook;
    enum notify_format format;
    struct pos at;
};

struct environment {
    struct text name;
    struct database_decl *databases;
    int n_databases;
    struct flags_decl flags;
    struct live_releases_decl live_releases;
    struct text snapshots_to, snapshots_endpoint, snapshots_region;
    int64_t snapshots_keep_ms;
    struct text backup_stanza, backup_program, backup_config;
    int64_t backup_max_age_ms;
    struct text_list backup_command;
    struct notify_decl *notify;
    int n_notify;
    struct policy policy;
    struct pos at;
};

struct project {
    const char *root; /* folder of phasegate.yaml, absolute */
    const char *file; /* its path as shown */
    struct text plans_dir, baseline;
    struct release *releases;
    int n_releases;
    struct release *consumers; /* version holds the name */
    int n_consumers;
    struct policy policy;
    struct environment *environments;
    int n_environments;
};

/* A plan file that can't be understood, set aside so that the others can be worked with. */
struct spared {
    const char *file, *why;
    const char *id;          /* of the file, else as its name says */
    const struct plan *plan; /* what could be read of it; NULL: nothing */
};

struct plan_set {
    struct arena arena; /* owns everything below, the project included */
    struct project project;
    struct plan *plans; /* ascending by timestamp */
    int n_plans;
    const struct plan **by_id; /* ascending by id, n_plans of them; NULL: plan_find looks at each */
    const struct plan **undoers; /* those with compensates, then NULL; NULL: not gathered */
    struct spared *spared;       /* see plan_set_spare() */
    int n_spared;
};

const struct plan *plan_find(const struct plan_set *set, const char *id);
const struct spared *plan_find_spared(const struct plan_set *set, const char *id);
const struct gate *plan_gate(const struct plan *p, const char *name);
const struct environment *project_environment(const struct project *p, const char *name);
/* Place of a version in the release list, or -1 when it isn't listed. */
int project_release_index(const struct project *p, const char *version);
/* The policy in force: the environment's where it states something, else the project's, else the default:
 * one_phase_per_release 1, window 1, approvals 0, hold 24 h, lock_timeout 500 ms, statement_timeout 30 s,
 * forward_only 1 in an environment named production and 0 elsewhere, kill_drill and rehearsal max_age 0
 * (not asked for), proof and restore_point auto, archive_timeout 1 min, preflight and snapshot required, on_failure stop. approvers and rules are taken as a whole list. e may be NULL. */
struct policy policy_effective(const struct project *p, const struct environment *e);
/* a before b? By the release list where both are in it; a listed one before an unlisted one; two
 * unlisted ones by dotted number, then text. <0, 0, >0. */
int release_compare(const struct project *p, const char *a, const char *b);
/* Is the version in the release list, or a phase bound to it? *near: the nearest known one, NULL: none is near. True
 * where nobody names any release. */
bool release_is_known(const struct plan_set *s, struct arena *a, const char *version,
                      const char **near);

#endif

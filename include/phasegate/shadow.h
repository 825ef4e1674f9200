/* shadow: the throwaway PostgreSQL on which `check` replays plans and runs the statements of releases.
 *
 * Two parts. A `shadow` is a server (our own, in a temporary folder behind a private socket, or a database of its
 * own on one that the user names) with databases that are made and dropped at will. A `wire` is one session on it
 * that sends many small jobs in one round trip, each ended by its own Sync, so that one failing takes nothing else
 * with it, and that hands back what the server said about types, rows and errors.
 *
 * Who is who: the server's superuser looks at the catalogue and, on our own server, loads the baseline. Plan steps run as the limited
 * role SHADOW_OWNER, which owns what the baseline made; it is no superuser, may not read or write files, run
 * programs, or reach another database. Releases run as the role that their session names, else as SHADOW_OWNER.
 */
#ifndef PHASEGATE_SHADOW_H
#define PHASEGATE_SHADOW_H

#include "phasegate/model.h"
#include "phasegate/ports.h"

#define SHADOW_OWNER "phasegate_shadow"

struct shadow;

/* What shadow_database(database, NULL) and then shadow_load(database, root, path) are going to ask for. The database
 * may have its content from the first of the two on. */
struct shadow_baseline {
    const char *database, *root, *path;
    const char
        *copy; /* shadow_database(copy, database) follows, and is kept as well; NULL: it doesn't */
};

struct shadow_options {
    const char *
        bin_dir; /* with initdb and postgres; NULL: PHASEGATE_PG_BIN, else the newest that's found */
    /* --shadow: a server to use instead, its superuser's; NULL: our own. It has to admit roles by password from here.
     * The database that it names is only connected to. */
    const char *url;
    const char *const *
        roles; /* roles that releases name: made without login where missing; NULL-terminated or NULL */
    bool superuser_steps; /* --shadow-superuser: SHADOW_OWNER is one */
    /* A folder for images of the server, made where it is missing: of an empty one, and of one with this baseline.
     * The next shadow begins with them. Only our own server. NULL: none are kept or used. */
    const char *cache;
    const struct shadow_baseline *baseline; /* NULL: none that is kept */
    struct clock *clock;                    /* needed */
    const struct interrupt *interrupt; /* a signal ends every wait: ERR_INTERRUPTED; NULL: none */
};

/* What of a baseline is loaded, in that order, and what of its folder isn't looked at. Names as shown. */
struct baseline_files {
    const char **files;
    int n_files;
    const char **folders; /* subfolders that hold .sql files, anywhere below */
    int n_folders;
};

/* In arena a; there may be none. False: it can't be read. */
bool shadow_baseline_files(struct arena *a, const char *root, const char *path,
                           struct baseline_files *out, struct err *err) MUST_CHECK;

/* Starts it and returns at once: files can be parsed meanwhile. The texts of o are copied. False: no binaries, or
 * a URL that can't be read. What killed processes left behind is removed on the way. */
bool shadow_begin(const struct shadow_options *o, struct shadow **out, struct err *err) MUST_CHECK;
/* Waits until it answers. ERR_UNREACHABLE when it doesn't start: the hint names the package or --shadow URL.
 * Everything below does this first. */
bool shadow_ready(struct shadow *s, struct err *err) MUST_CHECK;
/* There is still time for something else. */
bool shadow_is_starting(struct shadow *s);
/* Nothing is asked of it any more: our own server goes while the caller has other things to do. shadow_end follows. */
void shadow_leave(struct shadow *s);
int shadow_server_version(const struct shadow *s); /* 150020; 0 before it is ready */
/* The limited role's real name: SHADOW_OWNER, on a server of the user's one of this run's own. */
const char *shadow_owner(const struct shadow *s);
/* Everything goes: databases, server, folder. On a server of the user's: our databases and the roles that we made.
 * NULL is nothing to do. */
void shadow_end(struct shadow *s);

/* A database from the empty template or from one of ours (`from`, which nobody may be connected to). Names are
 * ours: plain identifiers; on a server of the user's they get a prefix of this run's. */
bool shadow_database(struct shadow *s, const char *name, const char *from_or_null,
                     struct err *err) MUST_CHECK;
bool shadow_drop(struct shadow *s, const char *name, struct err *err) MUST_CHECK;

/* Loads a dump or a folder of earlier migrations (*.sql, in the order of the numbers that their names start with)
 * into database `name`, as superuser (on a server of the user's as SHADOW_OWNER, see shadow_left_out), with psql's help, so that dumps load as they are: COPY data, \restrict lines,
 * owners (roles that don't exist are made, without login). Any other backslash command is refused with file:line
 * (ERR_INPUT): a baseline may not run programs. Extensions that this server lacks: ERR_INPUT naming extension and
 * package to install. A failing statement: ERR_INPUT with file:line, SQLSTATE and the server's words. Afterwards
 * everything that the superuser made belongs to SHADOW_OWNER, who is a member of the other owners' roles and grants by
 * default what they do; no role but our own superuser is one any more; ways out of the database (user mappings,
 * foreign servers, dblink) are closed. Load before sessions are opened in the role's name.
 * Left out: CREATE ROLE of one that exists, DROP ROLE, subscriptions, what is said of databases and tablespaces, files
 * and parts that go back (x.down.sql, U1__x.sql, `-- migrate:down`, `-- +goose Down`). One file after the other, each
 * in a session that is as new. When a role turns up missing, the database is made anew and loaded again.
 * path: below root; as the project file has it. */
bool shadow_load(struct shadow *s, const char *name, const char *root, const char *path,
                 struct err *err) MUST_CHECK;
/* The same of files that needn't lie anywhere. shown: what the folder, or the one file, is called in messages. */
struct given_file {
    const char *name;  /* in the folder */
    const char *bytes; /* NULL: path has them */
    size_t n;
    const char *path;
};
bool shadow_load_given(struct shadow *s, const char *name, const char *shown,
                       const struct given_file *files, int n, bool is_folder,
                       struct err *err) MUST_CHECK;
/* The same from a live database, read-only: its schema without rows (pg_dump). url is a secret. */
bool shadow_load_from(struct shadow *s, const char *name, const char *url,
                      struct err *err) MUST_CHECK;
/* SHA-256 in hex over what shadow_load would load: names and contents, in that order. False: it can't be read. */
bool shadow_baseline_print(const char *root, const char *path, char out[65]);

/* Of a baseline on a server of the user's: what a limited role can't load, and check goes on without. */
struct shadow_left_out {
    const char *what, *file; /* file: as shown to the user */
    int line;
};
int shadow_left_out(const struct shadow *s, const struct shadow_left_out **out); /* how many */

/* Until they are returned, sessions of SHADOW_OWNER that begin a transaction may become this role. Only on our own server,
 * and only one that is there and has no superuser's rights: of others shadow_role_is_lent says no. */
bool shadow_role_lend(struct shadow *s, const char *role, struct err *err) MUST_CHECK;
/* The same, and on a server of the user's as well, where the role is one that runs have made: for what leaves the role itself
 * as it is, which other runs use too. */
bool shadow_role_become(struct shadow *s, const char *role, struct err *err) MUST_CHECK;
bool shadow_role_is_lent(const struct shadow *s, const char *role);
bool shadow_roles_return(struct shadow *s, struct err *err) MUST_CHECK;

/* ---- programs ---------------------------------------------------------------------------------- */

enum {
    SHADOW_COMMAND_LATE = -1,
    SHADOW_STATEMENT_MS = 5000, /* of a session that says nothing else */
    SHADOW_SLOW_MS = 30000      /* for all statements of wire_run that don't end, together */
};

struct shadow_command {
    const char *database;
    const char *const *argv; /* argv[0] is looked for on PATH; NULL-terminated */
    const char *label;       /* application_name of its sessions */
    int64_t limit_ms;        /* then it's ended; 0: never */
    int *no_start;           /* NULL, or gets errno where it can't be started, else 0 */
};

/* Runs a program of the user's on a database, as SHADOW_OWNER: it finds the way there in DATABASE_URL and in libpq's
 * own variables, and has no other variables than those that programs need to run (PATH, HOME, ...). output: what it
 * said, the last 64 KiB, without our secrets. out_code: its exit code, 128 + signal, 127 when there's no such program,
 * SHADOW_COMMAND_LATE. False: interrupted, or it couldn't be tried. */
bool shadow_command(struct shadow *s, const struct shadow_command *c, struct str *output,
                    int *out_code, struct err *err) MUST_CHECK;

/* Where SHADOW_OWNER finds a database, for a session of another kind; in arena a. A secret on a server of the user's. */
bool shadow_url(struct shadow *s, struct arena *a, const char *database, const char **out,
                struct err *err) MUST_CHECK;

/* ---- sessions ---------------------------------------------------------------------------------- */

struct wire_options {
    const char *database;
    /* ours: looks at the catalogue. Never for statements on the user's tables: functions that a step wrote (triggers,
     * defaults, checks) would run as the superuser. role is then ignored. */
    bool superuser;
    /* To make rows: what SHADOW_OWNER may, and every row is seen; triggers and foreign keys don't fire. role is then
     * ignored. */
    bool seeds;
    /* NULL: SHADOW_OWNER. Made where it is missing. The session can't get back from it by RESET ROLE. ERR_INPUT: on
     * a server of the user's it is a superuser or near to one. */
    const char *role;
    const char *search_path; /* as SET takes it: `app, public`; NULL: public */
    const char *time_zone;   /* NULL: UTC */
    int64_t statement_ms;    /* statement_timeout; 0: SHADOW_STATEMENT_MS */
    const char *label;       /* application_name; NULL: "phasegate/check" */
    bool keep_notices;       /* client_min_messages = debug1, lc_messages = C; see wire_notices */
};

enum wire_kind {
    WIRE_PREPARE,  /* Parse: name ("" for the unnamed one), sql; types may fix parameter types */
    WIRE_DESCRIBE, /* Describe statement `name` */
    WIRE_RUN_PREPARED, /* Bind, Execute statement `name` with args in text form */
    WIRE_RUN           /* Parse, Bind, Execute of sql with args */
};

struct wire_op {
    enum wire_kind kind;
    const char *name, *sql;
    const char *const *args; /* NULL entries are SQL NULL */
    int n_args;
    bool keep_rows; /* hand back the cells; else only how many */
    bool sync;      /* ends a job: when an op of it fails, the rest of it is skipped */
    /* PREPARE: OIDs of the first n_types parameters, 0: to be inferred. RUN: of all of them, or none. */
    const unsigned *types;
    int n_types;
};

struct wire_column {
    const char *name;
    unsigned type; /* OID */
    int typmod;
};

struct wire_result {
    bool ok;
    bool skipped; /* an earlier op of its job failed */
    char sqlstate[6];
    const char *message, *detail, *hint, *context; /* the server's, in English; NULL: none */
    int position;                                  /* 1-based character in sql; 0: none */
    int n_params;                                  /* DESCRIBE */
    const unsigned *param_types;                   /* OIDs */
    int n_columns;                                 /* DESCRIBE, RUN */
    const struct wire_column *columns;
    int n_rows;
    const char ***cell; /* [row][col] when keep_rows; NULL is SQL NULL */
    int64_t affected;   /* RUN: rows that the command tag counts */
};

struct wire;
bool wire_open(struct shadow *s, const struct wire_options *o, struct wire **out,
               struct err *err) MUST_CHECK;
/* The two halves of wire_open: the server makes the session while the caller does something else. Between them *out
 * can only be closed. A handshake that fails closes it and sets it to NULL. Settled already, it's a no-op. */
bool wire_begin(struct shadow *s, const struct wire_options *o, struct wire **out,
                struct err *err) MUST_CHECK;
bool wire_settle(struct wire **w, struct err *err) MUST_CHECK;
void wire_close(struct wire *w);
/* All ops in pipeline mode, in order; results[i] belongs to ops[i], texts in arena a. Any number of ops: the sending
 * side never waits for a server that waits for its reader. The server's errors are results, not errors of the call;
 * false is a lost session (ERR_CONNECTION_LOST: the server crashed on a statement) or an interrupt. Results are set
 * up to there: the op that was running has 08006 or the server's last words, those behind it are skipped; close w and open another. The last op
 * must have sync set. Once SHADOW_SLOW_MS are used up (shadow_is_late), what doesn't answer at once is cancelled, and
 * skipped. What fills the server's folder loses its session. COPY is refused as an error 0A000 of its op, kept cells of more than 64 MiB as 54000. A statement
 * that ignores statement_timeout (it can be SET off) is cancelled after twice as long: 57014. An error that comes only
 * with the commit of the job's implicit transaction is its last op's. */
bool wire_run(struct wire *w, struct arena *a, const struct wire_op *ops, int n,
              struct wire_result *results, struct err *err) MUST_CHECK;
/* The same in two sessions at the same time: neither may keep from the other what it holds until its job ends. False:
 * err is of one of them, and the other one is lost as well unless it was done. */
struct wire_batch {
    struct wire *w;
    struct arena *a;
    const struct wire_op *ops;
    int n; /* 0: it is left out */
    struct wire_result *results;
};
bool wire_run_two(const struct wire_batch two[2], struct err *err) MUST_CHECK;
/* The session ended with it. */
bool wire_is_last_word(const struct wire_result *r);
/* One statement by itself, outside pipeline mode (CREATE INDEX CONCURRENTLY can't run inside it). It goes by the
 * simple protocol: a text of several runs as the server takes it, and the last one's result counts. */
bool wire_exec(struct wire *w, struct arena *a, const char *sql, bool keep_rows,
               struct wire_result *out, struct err *err) MUST_CHECK;
/* Starts one without waiting (wire_exec's first half), and asks whether it is done (its second, waiting no longer
 * than wait_ms): for watching locks from another session meanwhile. Until it is done the session takes nothing else,
 * and all of its polls name the same arena. */
bool wire_send(struct wire *w, const char *sql, struct err *err) MUST_CHECK;
bool wire_poll(struct wire *w, struct arena *a, int64_t wait_ms, bool *out_done,
               struct wire_result *out, struct err *err) MUST_CHECK;
/* What the server said by the way since the last call: "DEBUG: rewriting table \"t\"", one text each, the first 10,000
 * of them. Only with keep_notices. */
void wire_notices(struct wire *w, struct arena *a, struct text_list *out);
int wire_pid(const struct wire *w); /* of its backend */
/* The time for statements that don't end is over. */
bool shadow_is_late(const struct shadow *s);

#endif

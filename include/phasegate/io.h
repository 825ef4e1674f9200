/* io: the real ports, and what else touches the world directly.
 *
 * The engine knows only ports.h; cli makes these and hands them over. A constructor returns a
 * port that is released with its own close function. Interrupt and clock are borrowed and
 * outlive the port.
 */
#ifndef PHASEGATE_IO_H
#define PHASEGATE_IO_H

#include "phasegate/ports.h"

/* ---- this process ---------------------------------------------------------------------------- */

/* Count SIGINT, SIGTERM and SIGHUP into *to, which lives as long as the process. A signal that
 * was ignored when the program started (nohup, a background job) stays ignored. Running system
 * calls are interrupted. */
void interrupt_install(struct interrupt *to);
/* Tokens and passwords live in this process: no core dumps, no attaching by other processes of
 * the same user. A closed pipe or a file at its limit becomes an error of the write. First thing
 * in main. */
void io_harden_process(void);

/* Around libpq's beginning of a connection, which is when it reads the environment, in whichever thread: one at a time.
 * instead: what it is to see; NULL: the environment as it is. It lives as long as the process, or until nobody may be
 * reading it any more. */
void surroundings_begin(char **instead_or_null);
void surroundings_end(void);

/* ---- clock ----------------------------------------------------------------------------------- */

/* sleep_ms returns at once when a signal came since the last sleep; a signal that a sleep has
 * already reported doesn't shorten the later ones, so a loop that goes on after it doesn't spin. */
struct clock *clock_system(const struct interrupt *interrupt_or_null);
void clock_system_free(struct clock *c);

/* ---- database -------------------------------------------------------------------------------- */

struct db_options {
    const char *url;   /* postgresql:// URI or "key=value ..."; NULL, "": environment as psql */
    const char *label; /* application_name; NULL: "phasegate" */
    bool writable;     /* false: default_transaction_read_only=on */
    const char *search_path; /* "": only pg_catalog, for our own SQL; NULL: the database's own */
    const char *time_zone;   /* "UTC" for our own SQL; NULL: the database's own */
    int64_t lock_ms;         /* this and the next two: 0: no limit; -1: the server's own setting */
    int64_t statement_ms, idle_in_transaction_ms;
    int64_t connect_ms;                /* per host; 0: 10 s. Resolving names isn't bounded by it. */
    const struct interrupt *interrupt; /* NULL: none */
    struct clock *clock;               /* needed */
};

/* Limits that our own sessions start with: lock 1 s, statement 60 s, idle in transaction 60 s,
 * connect 10 s, search_path empty, time zone UTC, read-only. Set url, label, clock, interrupt
 * and what differs. */
struct db_options db_options_default(void);

/* A hardened session, in one round trip after the handshake. The texts of o are copied.
 * ERR_CONFIG: the connection string can't be read. ERR_UNREACHABLE: refused, unknown host,
 * password, no such database. ERR_REFUSED "server_too_old": older than 14. No message ever holds
 * the password.
 *
 * About db_ops here:
 * - exec: one statement in the extended protocol; two in one text are refused by the server. A
 *   COMMIT that the server answers with a rollback is ERR_SQL 25P02. COPY from or to the client
 *   is ERR_SQL 0A000.
 * - pipeline: all calls, then exactly one Sync. Between BEGIN and COMMIT they are that
 *   transaction; without BEGIN all of them are one implicit transaction: when one fails, nothing
 *   of the batch stays, whatever *out_done says. rows[0] to rows[*out_done - 1] are set on
 *   failure too. The caller rolls back.
 * - An interrupt cancels the call that is running when the second (or a later) signal comes.
 *   Calls started after that still run: the rollback and the last journal row must get through.
 * - Kinds: 55P03, 40P01 LOCK_TIMEOUT; class 08, 57P01, 57P02, 57P03, 25P03, 57P05 and every
 *   ended session CONNECTION_LOST; all others SQL, 57014 after our deadline too. detail holds
 *   the server's DETAIL, the place in the statement and CONTEXT. Parameters are never shown.
 * - A cancelled statement gets 10 s to end; then the session is given up (CONNECTION_LOST). */
bool db_connect(const struct db_options *o, struct db **out, struct err *err) MUST_CHECK;

/* Can this string be used, and shown in part where a connection fails? What of a password slides into another part of it
 * (an @ or / that isn't percent-encoded) makes it unusable. "": libpq's defaults. out_hosts: how many it names. ERR_CONFIG
 * without the string. */
bool db_url_check(const char *url, int *out_hosts, struct err *err) MUST_CHECK;

/* The connection string as libpq's own variables ("PGHOST=..."), for programs that we start; in arena a,
 * NULL-terminated. What it doesn't state is left to the environment, application_name always. Holds secrets. */
bool db_variables(const char *url, struct arena *a, const char *const **out,
                  struct err *err) MUST_CHECK;

/* ---- PostgreSQL's client programs (pg_program.c, pg_dump.c) ------------------------------------------------ */

/* The newest of the usual folders (Debian, RHEL, sources, Homebrew) of which has() says yes. */
bool pg_program_newest(bool (*has)(const char *folder, const char *program), const char *program,
                       struct str *out);
/* The path of one: in that folder (NULL: none), else in the newest of the usual ones that has it, else on PATH. */
bool pg_program_find(const char *folder, const char *name, struct str *out,
                     struct err *err) MUST_CHECK;
/* Is "NAME=VALUE" one of libpq's? all: what PQconninfoParse makes of "". */
struct _PQconninfoOption;
bool pg_program_is_libpqs(const struct _PQconninfoOption *all, const char *entry);
/* Of our environment what such programs need, and `added`, "NAME=VALUE"s, NULL-terminated, which go before. libpq's own
 * variables are in it only with keeps_libpq. Messages are in English. Holds secrets. */
const char *const *pg_program_env(struct arena *a, const char *const *added, bool keeps_libpq);

/* What pg_dump gets to read that database, and to write nothing there, whatever it is told. label: its
 * application_name. */
bool pg_dump_env(struct arena *a, const char *url, const char *label, const char *const **out,
                 struct err *err) MUST_CHECK;
/* What it said when it ended otherwise than well, in our words; what: "the schema of the live database". False. */
bool pg_dump_error(const char *said, const char *what, struct err *err);
/* The ports' dump, on this host. */
bool pg_dump_run(const struct ports *p, const char *url, const char *label,
                 const char *const *options, struct str *out, struct err *err) MUST_CHECK;

/* ---- HTTP ------------------------------------------------------------------------------------ */

/* HTTP/1.1 over libcurl: http and https only, no redirects, no cookies, TLS verified, proxies as
 * libcurl's environment says, body at most 1 MiB. wait returns early when a signal comes. An
 * answer other than ANSWERED has status 0 and an empty body. connect_ms 0: 3 s;
 * total_ms 0: 10 s. */
bool http_curl(struct clock *clock, const struct interrupt *interrupt_or_null, struct http **out,
               struct err *err) MUST_CHECK;
static inline void http_close(struct http *h)
{
    if (h)
        h->ops->close(h);
}

/* ---- work beside ------------------------------------------------------------------------------ */

/* fn in a process of its own, for a look that may hang where nothing bounds it (resolving a name) while the caller
 * has better things to do. What it writes to fd is what beside_take gets. It ends with the thread that started it. NULL: there is no process to be had. */
struct beside;
struct beside *beside_start(void (*fn)(int fd, void *ctx), void *ctx);
/* Everything it has written, once it has ended; false when it hasn't by wait_ms from now, and then it is ended.
 * Frees b. */
bool beside_take(struct beside *b, struct clock *clock, int64_t wait_ms, struct str *out);

/* Many such processes, of which so many run at a time. Each is a run of its own, with its own standard output and error,
 * nothing to read, and its own process group: a signal is passed on to it, and it is asked to stop (SIGTERM) when the
 * one that started it dies. */
struct brood {
    int n, parallel;
    int (*run)(void *ctx, int i); /* there: gives its exit code */
    bool (*may_begin)(void *ctx); /* asked before each; NULL: always */
    /* Here: a line of its standard output (1) or error (2), without its end. */
    void (*line)(void *ctx, int i, int fd, const char *text);
    void (*ended)(void *ctx, int i, int code); /* 128 + signal when one has killed it */
    void *ctx;
    const struct interrupt *interrupt; /* once it is set nothing more begins; NULL: none */
};
/* Once all that were begun have ended. ERR_UNREACHABLE: there is no further process to be had. */
bool brood_run(const struct brood *b, struct err *err) MUST_CHECK;

/* ---- tar ------------------------------------------------------------------------------------- */

/* The files in their order as ustar: no times, owners or rights of this machine, so that the same files are the same
 * bytes. */
bool tar_pack(const struct bundle *files, struct str *out, struct err *err) MUST_CHECK;
/* ERR_INPUT: it's none, holds something else than plain files, or is over a limit of BUNDLE_MAX bytes unpacked or
 * BUNDLE_FILES files. The bytes are in arena a. */
#define BUNDLE_MAX ((size_t) 512 << 20)
#define BUNDLE_FILES 1000
bool tar_unpack(const char *bytes, size_t n, struct arena *a, struct bundle *out,
                struct err *err) MUST_CHECK;

/* ---- files, processes, environment ----------------------------------------------------------- */

/* run: deadline_ms is a duration, 0 none; standard input is /dev/null; the child has its own
 * process group, which is terminated (TERM, 2 s, KILL) on deadline and on the second signal; a
 * child killed by signal n has exit code 128 + n. out and errout may be NULL: thrown away. */
struct host *host_posix(struct clock *clock, const struct interrupt *interrupt_or_null);
void host_posix_free(struct host *h);
/* Makes what is missing of a folder's path, 0700, to stay after a power cut. 0, or what errno was. */
int host_make_folders(const char *folder);

#endif

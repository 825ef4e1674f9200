/* What the files of the libpq port share. Not seen outside of io. */
#ifndef PHASEGATE_IO_DB_LIBPQ_H
#define PHASEGATE_IO_DB_LIBPQ_H

#include "phasegate/io.h"

#include <libpq-fe.h>

enum { DB_MAX_PREPARED = 8 };

struct db_libpq {
    struct db base;
    struct db_options o;       /* its texts are in kept */
    struct arena kept;         /* as long as the port: callers hold on to base.shown */
    PGconn *conn;              /* NULL: no session */
    const char *label;         /* wanted application_name, as the server would store it */
    const char *label_settled; /* what the server reported after we last set it; NULL: to be set */
    int64_t deadline_ms;       /* of each call; 0: none */
    int backend_pid;           /* of the newest session */
    /* Texts, by address, that this session has prepared as phasegate_0, phasegate_1, ... */
    const char *prepared[DB_MAX_PREPARED];
    int n_prepared;
    bool unprepared; /* somebody's statement threw them away: not again in this session */
};

/* Why a running statement is being cancelled. */
enum db_stop { DB_RUNNING, DB_LATE, DB_INTERRUPTED, DB_UNWANTED };

struct db_cancel;

/* One call that waits for the server. */
struct db_wait {
    int64_t started, deadline; /* clock_mono_ms; deadline 0: none */
    sig_atomic_t signals;      /* at the start of the call */
    enum db_stop stop;
    int64_t give_up, resend; /* once stop is set */
    struct db_cancel *cancel;
};

/* ---- db_wait.c */
struct db_wait db_wait_begin(struct db_libpq *d);
/* Until PQgetResult doesn't block. False: the session didn't answer a cancel and was closed. */
bool db_wait_result(struct db_libpq *d, struct db_wait *w);
bool db_wait_readable(struct db_libpq *d,
                      struct db_wait *w); /* one step of the above; false likewise */
void db_wait_cancel(struct db_libpq *d, struct db_wait *w, enum db_stop why);
/* After the last result: a cancel that is still on its way must not hit the next statement. */
void db_wait_end(struct db_libpq *d, struct db_wait *w);

/* ---- db_session.c */
bool db_url_error(const char *url, struct err *err);
bool db_session_open(struct db_libpq *d, struct err *err);
void db_session_close(struct db_libpq *d);
const char *db_label_clean(struct arena *a, const char *label);

/* ---- db_result.c */
bool db_result_is_good(const PGresult *res);
/* Fills err from a failed result (NULL: no result came) and returns false. sql: to show the
 * place. */
bool db_result_error(struct db_libpq *d, const PGresult *res, const char *sql,
                     const struct db_wait *w, struct err *err);
void db_result_sqlstate(struct err *err, const char *five);
bool db_result_lost(struct db_libpq *d, const char *detail, struct err *err);
void db_result_rows(struct arena *a, const PGresult *res, struct db_rows *out);
int64_t db_result_affected(const PGresult *res);

/* ---- db_copy.c */
bool db_libpq_copy_out(struct db *db, const char *sql, const struct db_sink *to, int64_t *rows,
                       struct err *err);
bool db_libpq_copy_in(struct db *db, const char *sql, const struct db_source *from, int64_t *rows,
                      struct err *err);

/* ---- db.c */
/* Is the session there and free? Puts the label on. */
bool db_ready(struct db_libpq *d, struct err *err);
/* Waits for the results of what was sent up to the end of the statement. NULL: the session is
 * gone. */
PGresult *db_collect(struct db_libpq *d, struct db_wait *w, bool *out_copied);

#endif

/* rows: reading answers and filling parameters, for the files of this layer. */
#ifndef PHASEGATE_LEDGER_ROWS_H
#define PHASEGATE_LEDGER_ROWS_H

#include "phasegate/ledger.h"
#include "sql_embedded.h"

/* ---- one row, column after column, in the order of the SELECT ------------------------------ */

struct reader {
    const struct db_rows *rows;
    int row, col;
};
static inline const char *read_text(struct reader *r) { return db_cell(r->rows, r->row, r->col++); }
int64_t read_int(struct reader *r); /* SQL NULL: 0 */
bool read_bool(struct reader *r);   /* SQL NULL: false */

/* ---- parameters, in the order of $n -------------------------------------------------------- */

void call_begin(struct db_call *call, const char *sql);
void call_text(struct db_call *call, const char *text_or_null);
void call_int(struct arena *a, struct db_call *call, int64_t v);
void call_time(struct arena *a, struct db_call *call, int64_t ms); /* 0: SQL NULL */
void call_bool(struct db_call *call, bool v);

/* ---- running ------------------------------------------------------------------------------- */

/* A SELECT on the ledger's tables. No ledger in the database: no rows. A ledger without the
 * table, or one that this role may not read: ERR_REFUSED. */
bool ledger_read(struct db *db, struct arena *a, const char *sql, const struct db_params *params,
                 struct db_rows *rows, struct err *err) MUST_CHECK;
/* Of tables that came with a version of the ledger: an older one has no rows. */
bool ledger_read_since(struct db *db, struct arena *a, int version, const char *sql,
                       const struct db_params *params, struct db_rows *rows,
                       struct err *err) MUST_CHECK;
/* 42501 becomes ERR_REFUSED "rights" with the GRANT to run; any other err stays. Returns false. */
bool ledger_explain(struct db *db, struct err *err);

/* ---- advisory locks ------------------------------------------------------------------------ */

#define LEASE_NAMESPACE "phasegate"
#define LOCK_CLASS_LEASE 1885823348 /* "pgat" */
#define LOCK_CLASS_PROBE 1885823349

/* The second half of an advisory lock's key: FNV-1a, cut to what integer and oid both hold. */
int64_t lock_key(const char *name);
struct db_params lock_params(struct arena *a, int64_t class, const char *name);

struct lock_owner { /* who holds an advisory lock; backend_pid 0: nobody */
    int64_t backend_pid, since_ms;
    bool is_mine;
    const char *label, *role, *address, *state;
};
bool lock_owner(struct db *db, struct arena *a, int64_t class, const char *name,
                struct lock_owner *out, struct err *err) MUST_CHECK;

#endif

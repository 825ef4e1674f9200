/* snapshot_sql: the statements of a snapshot, generated for its tables. Pure.
 *
 * Every identifier is quoted and carries its schema; the author's expressions are embedded whole and
 * see a row that has the columns under their own names.
 */
#ifndef PHASEGATE_SNAPSHOT_SQL_H
#define PHASEGATE_SNAPSHOT_SQL_H

#include "phasegate/generate.h"

struct snapshot_column {
    const char *name; /* as releases know it */
    const char *now;  /* as the database calls it while it's hidden */
    const char *type; /* with its schema, as SQL */
};

struct snapshot_part { /* one table of a snapshot */
    const char *schema, *table;
    const char *now_schema, *now_table;  /* only where it is taken */
    const struct snapshot_column *known; /* hidden columns of it, and those that are to be taken */
    int n_known;
    bool whole; /* all columns; else the key and what goes */
    /* The rest is found out and stored. */
    struct snapshot_column *columns; /* those of the key first */
    int n_columns, n_key;            /* n_key 0: nothing tells its rows apart */
    int64_t rows;
    const char *digest; /* of the rows, in whatever order */
    const char *file;   /* its name in the folder */
    int64_t bytes;
    const char *sha256; /* of the file */
};

const char *snapshot_copy_out_sql(struct arena *a, const struct snapshot_part *p);
/* One row: how many rows, their digest. Of the table, or of a copy of it: "schema.table", quoted. */
const char *snapshot_measure_sql(struct arena *a, const struct snapshot_part *p);
const char *snapshot_measure_copy_sql(struct arena *a, const struct snapshot_part *p,
                                      const char *copy);
/* before: "CREATE UNLOGGED TABLE"; more: further columns, with their comma, or "". */
const char *snapshot_create_sql(struct arena *a, const struct snapshot_part *p, const char *before,
                                const char *copy, const char *more);
const char *snapshot_copy_in_sql(struct arena *a, const struct snapshot_part *p, const char *copy);

/* ---- back by key ------------------------------------------------------------------------------- */

#define SNAPSHOT_COPY "pg_temp.phasegate_snapshot"
#define SNAPSHOT_TODO "pg_temp.phasegate_todo"
/* How much there is of each kind in it. */
#define SNAPSHOT_KINDS_SQL                                                                         \
    "SELECT d.phasegate_kind, pg_catalog.count(*) FROM " SNAPSHOT_TODO                             \
    " AS d GROUP BY d.phasegate_kind ORDER BY d.phasegate_kind"

struct snapshot_back {
    const struct snapshot_part *part;
    const char *const *columns; /* of the table as it is now */
    const bool *computed;       /* [n_columns]: GENERATED AS, nobody may write it */
    int n_columns;
    /* Boolean over the row: old and new side agree. NULL: nobody knows. */
    const char *agrees;
    /* How sync gets the columns from what was written since; n 0: it doesn't. */
    struct pair_list reverse;
};

/* Makes SNAPSHOT_TODO: the key of each row that is in the copy or in the table, with what is to be done (kind), and
 * phasegate_m, numbered from 1. Kinds of a part that is whole: same, missing, changed, newer. Else same; restore: the
 * column is empty; recompute, newer_recompute: it's empty, and what was written since tells the value; current: it
 * has that value already; changed: it holds something else, or what was written since doesn't fit; newer; gone:
 * the row is deleted. */
const char *snapshot_sort_sql(struct arena *a, const struct snapshot_back *b);
/* Writes rows of SNAPSHOT_TODO with phasegate_m in ($1, $2]: what the copy has ("restore", "missing"). */
const char *snapshot_fill_sql(struct arena *a, const struct snapshot_back *b);
/* Likewise what sync's expressions say ("recompute", "newer_recompute"). Only where reverse is there. */
const char *snapshot_recompute_sql(struct arena *a, const struct snapshot_back *b);
/* Keys of the kind $1, $2 at most, each as one text. */
const char *snapshot_keys_sql(struct arena *a, const struct snapshot_back *b);

#endif

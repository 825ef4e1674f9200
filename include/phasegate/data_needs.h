/* data_needs: what a statement asks of the rows that are there already, as queries over them.
 *
 * SET NOT NULL asks that no row has NULL, UNIQUE that no two have the same, CHECK and FOREIGN KEY that none violates
 * them, another type that every value can be cast; a backfill that what it makes for a column which takes no NULL isn't
 * one. A statement finds out while it holds its lock; these can be asked before. data_needs_of (load.h) reads those of
 * statements from the parse tree; nothing is run here.
 */
#ifndef PHASEGATE_DATA_NEEDS_H
#define PHASEGATE_DATA_NEEDS_H

#include "phasegate/model.h"

enum data_need_kind {
    NEED_NOT_NULL,
    NEED_CHECK,
    NEED_FOREIGN_KEY,
    NEED_UNIQUE,   /* of constraints, primary keys and unique indexes */
    NEED_CAST,     /* ALTER COLUMN TYPE */
    NEED_FILLED,   /* a column of a backfill that takes no NULL */
    NEED_NO_ROWS,  /* ADD COLUMN ... NOT NULL without anything to put there */
    NEED_EXCLUDE,  /* EXCLUDE: no two rows that are so to each other */
    NEED_TAKEN,    /* a backfill's insert: no key that is there already */
    NEED_BOUND,    /* ATTACH PARTITION: the rows of what is attached */
    NEED_VALIDATED /* VALIDATE CONSTRAINT: of what the constraint says, here or in the database */
};
/* "NULLs", "duplicates": what is counted. */
const char *data_need_word(enum data_need_kind k);

/* The values as they are written. */
struct bound {
    char by;                 /* 'l' IN, 'r' FROM TO, 'h' MODULUS REMAINDER, 'd' DEFAULT */
    const char **from, **to; /* IN and MODULUS, REMAINDER: from alone */
    int n_from, n_to;
    const char **keys; /* columns of the partition key; none: to be asked of the catalogue */
    int n_keys;
};

struct data_need {
    enum data_need_kind kind;
    struct pos at;              /* of the statement */
    const char *schema, *table; /* whose rows; schema NULL: as the search path finds it */
    const char *constraint;     /* its name, also of an index; NULL: none is given */
    /* Asks nothing of the rows that are there (NOT VALID, or USING INDEX): only told, for whoever validates it. */
    bool is_deferred;
    const char **columns; /* unquoted; of FOREIGN KEY and NOT NULL, and the one of CAST */
    int n_columns;
    /* CHECK: the expression. UNIQUE: of the rows that it is about; NULL: of all. FILLED: of those still to do */
    const char *condition;
    const char *keys;     /* UNIQUE: columns and expressions, quoted, separated by commas */
    bool nulls_are_equal; /* UNIQUE NULLS NOT DISTINCT */
    const char *cast,
        *type; /* CAST, FILLED: the expression that gives the new value. CAST: its type */
    /* TAKEN: keys are those of one index; condition: of the rows of ref_table that are still to do */
    const char *select;                 /* gives the rows to insert */
    const char *columns_sql;            /* into which columns, quoted */
    const char *from;                   /* FILLED: what else stands in FROM; NULL: nothing */
    const char *ref_schema, *ref_table; /* FOREIGN KEY */
    const char **ref_columns;           /* unquoted; none: its primary key */
    int n_ref_columns;
    bool match_full; /* FOREIGN KEY: all of its columns are NULL, or none */
    /* EXCLUDE: its expressions and operators; condition: of the rows that it is about, NULL: of all */
    const char **exprs, **ops;
    int n_exprs;
    struct bound bound; /* BOUND; ref_schema and ref_table: what it is attached to */
};

struct data_need_list {
    struct data_need *items;
    int n;
};

/* The table's name in them: what a key's columns are qualified by. */
#define DATA_NEED_ROW "phasegate_row"
/* Queries over them; "" is the search path's own, so names are given as they were written.
 * The number of rows (of groups, of UNIQUE) that stand against it, counted up to `most`. key: expressions that name a row,
 * NULL: none. NULL for CAST and VALIDATED, which no plain query answers. */
const char *data_need_count(struct arena *a, const struct data_need *n, int64_t most);
/* Up to `most` of them, one text each. */
const char *data_need_examples(struct arena *a, const struct data_need *n, const char *key,
                               int most);
/* A DO block that tries each value and leaves "count|example, example" in phasegate.failed of the transaction. */
const char *data_need_try(struct arena *a, const struct data_need *n, const char *key, int most);

#endif

/* lint_int: what the sources of lint share.
 *
 * A statement is looked at by every row of lint.c's table that names its kind; then what it makes, changes or
 * drops goes into the known objects (lint_known.c). Transactions are followed in lint_tx.c.
 */
#ifndef PHASEGATE_LOAD_LINT_INT_H
#define PHASEGATE_LOAD_LINT_INT_H

#include "load/sql_work.h"
#include "phasegate/lint.h"

/* ---- known objects ------------------------------------------------------------------------------------ */

enum known_kind {
    KNOWN_TABLE,
    KNOWN_FOREIGN_TABLE,
    KNOWN_VIEW,
    KNOWN_MATVIEW,
    KNOWN_SEQUENCE,
    KNOWN_INDEX
};

struct known_column {
    const char *name;
    struct sql_type type; /* text NULL: not known */
    const char *collation;
    bool not_null;
    bool is_generated_key; /* serial or identity */
    bool is_filled;        /* something gave it a value in rows that there were */
    int unit;              /* that added it */
};

struct known_constraint {
    const char *name; /* NULL: PostgreSQL names it */
    const char *type; /* "CONSTR_CHECK" */
    bool is_valid;
    const char **columns; /* that it mentions; ends with NULL */
    const char *
        *present; /* of a CHECK: columns that can't be NULL when it isn't FALSE; ends with NULL */
};

struct known_rel {
    enum known_kind kind;
    struct sql_rel rel;
    int unit; /* that made it; 0: it was there before */
    bool is_dropped;
    bool is_whole; /* all of its columns are known; views aren't */
    bool is_temp, is_partitioned, is_unlogged;
    bool has_rows; /* filled when it was made: CREATE TABLE AS */
    bool is_default_of_parent;
    const char *of_type;                 /* OF: its columns are those of this type */
    struct known_rel *parent;            /* of a partition */
    struct known_rel *default_partition; /* NULL: none known */
    struct known_column *columns;
    int n_columns, cap_columns;
    struct known_constraint *constraints;
    int n_constraints, cap_constraints;
    /* of an index */
    struct known_rel *table; /* NULL: not known */
    const char **keys;       /* its columns, "" for an expression; ends with NULL */
    bool is_partial;
    const char **computed; /* columns in its expressions and its WHERE; ends with NULL */
};

struct known_type {
    struct sql_rel rel;
    int unit;
    bool is_domain, is_enum, is_dropped;
    int n_checks; /* of a domain: constraints, NOT NULL included */
    struct sql_type base;
    enum volatility fallback; /* of a domain: its default's */
};

struct known_function {
    struct sql_rel rel;
    enum volatility volatility;
};

struct known_fk { /* waits for an index */
    struct sql_rel table;
    const char **columns;
    struct pos at;
    const char *plan, *phase, *step;
    bool is_new; /* its table is */
};

struct lint_known {
    struct arena *a;
    struct known_rel **rels;
    int n_rels, cap_rels;
    int *slots; /* hash of names -> index + 1 into rels; the newest first by next */
    int *next;  /* parallel to rels */
    int n_slots;
    struct known_type *types;
    int n_types, cap_types;
    struct known_function *functions;
    int n_functions, cap_functions;
    struct known_fk *fks;
    int n_fks, cap_fks;
    int last_unit;
};

struct known_rel *known_find(const struct lint_known *k, struct sql_rel rel); /* not dropped */
struct known_column *known_column(const struct known_rel *rel, const char *name);
const struct known_type *known_type_find(const struct lint_known *k, struct sql_rel rel);
/* A domain that refuses some values, by itself or by one below it. */
bool known_is_constrained(const struct lint_known *k, const struct known_type *t);
const struct known_function *known_function_find(const struct lint_known *k, struct sql_rel rel);

const char **known_names(
    struct arena *a, const json_t *list); /* of String or IndexElem nodes; "" for an expression */

/* Adding; lint_take.c's part of it. */
struct known_rel *known_add_rel(struct lint_known *k, enum known_kind kind, struct sql_rel rel,
                                int unit);
struct known_column *known_add_column(struct lint_known *k, struct known_rel *rel,
                                      const char *name);
struct known_constraint *known_add_constraint(struct lint_known *k, struct known_rel *rel,
                                              const char *name, const char *type);
struct known_rel *known_rel_or_add(struct lint_known *k, struct sql_rel rel);
struct known_rel *known_add_index(struct lint_known *k, struct sql_rel name,
                                  struct known_rel *table, const char **keys, bool is_partial,
                                  int unit);
const char **known_columns(struct arena *a, const json_t *expr); /* that it mentions */
void known_read_check(struct lint_known *k, struct known_constraint *c, const json_t *expr);

/* ---- one text ------------------------------------------------------------------------------------------- */

struct lint_span { /* where a statement stands in its text */
    size_t from, to;
    struct pos at;
};

struct lint {
    struct arena *a; /* scratch */
    struct lint_known *k;
    struct report *r; /* NULL: nothing is said */
    int unit;
    const char *plan, *phase, *step; /* NULL: a file */
    enum phase in;                   /* PHASE_NONE: a file */
    const struct plan *of;           /* the plan; NULL: a file */
    struct seen seen;
    struct lint_tx *tx;
    struct lint_span *spans; /* of the text so far */
    int n_spans, cap_spans;

    struct {
        struct sql_rel rel;
        int finding; /* index into the report's */
    } * renames;     /* tables and views of this text */
    int n_renames;

    /* the statement */
    const char *node;   /* "AlterTableStmt" */
    const json_t *tree; /* its fields */
    struct pos at;
    struct sql_rel rel;    /* its main relation; name NULL: none */
    struct known_rel *own; /* the same, when known */
    struct sql_stmt facts; /* kind, class, lock */
    bool has_error;        /* of a class that blocks or rewrites */

    /* the part of ALTER TABLE */
    const json_t *cmd, *def;
    const char *name; /* column or constraint that it names */
    int n_cmds;
};

/* A finding at the statement. help NULL: see the rule's page. */
void lint_say(struct lint *l, const char *rule, const char *help, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* What hangs on something that only a catalogue knows: a note that says so. */
void lint_warn(struct lint *l, const char *rule, const char *help, const char *fmt, ...)
    PRINTF_LIKE(4, 5); /* less than the rule's own severity */
void lint_unsure(struct lint *l, const char *rule, const char *help, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* Made by the texts that are deployed together with this one, or temporary: nobody else uses it. */
bool lint_is_new(const struct lint *l, struct sql_rel rel);
const char *lint_rel_text(const struct lint *l, struct sql_rel rel); /* "app.orders" */

struct lint_piece {
    struct sql_parts parts;
    size_t base;       /* where it starts in the text */
    const char *wrong; /* NULL: it could be parsed */
    struct pos wrong_at;
};

struct lint_parse { /* one piece, or, where the whole doesn't parse, one for each statement */
    struct sql_text text;
    struct lint_piece *pieces;
    int n;
};

void lint_parse_text(struct arena *a, const struct sql_text *text, struct lint_parse *out);
void lint_parsed(struct lint *l, const struct lint_parse *parse, bool runs_alone);

/* All statements of a text, which is one transaction unless it says otherwise or runs_alone. */
void lint_text(struct lint *l, const struct sql_text *text, bool runs_alone);
void lint_names(struct lint *l, const struct sql_text *text); /* those that are too long */
bool is_outside_transactions(const char *node, const json_t *tree);
void known_take(struct lint *l);         /* the statement happens */
void known_take_columns(struct lint *l); /* ADD COLUMNs of an ALTER TABLE: they come first */
void known_add_fk(struct lint *l, struct sql_rel table, const char **columns);
void lint_fks(struct lint_known *k, struct report *r); /* at the end of what is deployed together */

/* ---- rows of the table ---------------------------------------------------------------------------------- */

/* lint_lock.c */
void lint_index(struct lint *l);
void lint_drop_index(struct lint *l);
void lint_reindex(struct lint *l);
void lint_refresh(struct lint *l);
void lint_add_constraint(struct lint *l);
void lint_set_not_null(struct lint *l);
void lint_validate(struct lint *l);
void lint_attach(struct lint *l);
void lint_detach(struct lint *l);
void lint_create_partition(struct lint *l);
void lint_alter_domain(struct lint *l);
void lint_opaque(struct lint *l);
void lint_calls(struct lint *l);
void lint_set_timeout(struct lint *l);
void lint_flags(struct lint *l); /* of any statement of a plan */
/* lint_alter.c */
enum volatility lint_volatility(struct lint *l, const json_t *expr);
void lint_add_column(struct lint *l);
void lint_alter_type(struct lint *l);
void lint_alter_attribute(struct lint *l); /* ALTER TYPE ... CASCADE */
void lint_storage(struct lint *l);
void lint_cluster(struct lint *l);
void lint_vacuum(struct lint *l);
/* lint_data.c */
void lint_update(struct lint *l);
void lint_delete(struct lint *l);
void lint_insert(struct lint *l);
void lint_truncate(struct lint *l);
void lint_drop(struct lint *l);
void lint_drop_column(struct lint *l);
void lint_rename(struct lint *l);
void lint_renamed(struct lint *l); /* at a file's end: what got its old name back harms nobody */
void lint_drop_database(struct lint *l);
void lint_create_table(struct lint *l);
void lint_column_shape(struct lint *l);
/* Is the WHERE one that picks few rows, by a column that equals a constant? */
enum picks { PICKS_ALL, PICKS_FEW, PICKS_UNKNOWN };
enum picks where_picks(const json_t *where);
/* The first table that a query reads and that others use; name NULL: none. */
struct sql_rel lint_reads_existing(const struct lint *l, const json_t *query);

/* ---- types ------------------------------------------------------------------------------------------------ */

enum type_change {
    TYPE_SAME,
    TYPE_FREE,
    TYPE_FREE_BUT_INDEXES,
    TYPE_NEEDS_UTC,
    TYPE_REWRITES,
    TYPE_UNKNOWN
};
const char *type_word(struct arena *a, const struct sql_type *t); /* for people: "varchar(10)" */
enum type_change type_change(const struct lint_known *k, const struct sql_type *from,
                             const struct sql_type *to);

/* ---- transactions -------------------------------------------------------------------------------------------- */

struct lint_tx {
    bool is_open;     /* statements share a transaction */
    bool is_explicit; /* BEGIN was seen: what stands outside runs by itself */
    const char *held; /* table on which ACCESS EXCLUSIVE is held; NULL: none */
    int held_line;
    bool has_ddl, has_dml, said_mixed;
    bool is_utc;         /* TimeZone was set to it */
    bool is_far_off_utc; /* TimeZone was set to another one */
    struct {
        const char *table, *name;
    } * not_valid; /* constraints that it added NOT VALID */
    int n_not_valid;
    struct {
        struct sql_rel type;
        const char *label;
    } * labels; /* that it added to enums */
    int n_labels;
    const char **dropped; /* indexes */
    int n_dropped;
};

/* Before a statement: does it end, open or break the transaction? After it: what does it hold now? */
void tx_before(struct lint *l);
void tx_after(struct lint *l);

#endif

/* generate: the SQL that phasegate writes itself. Pure: plan (and what was read of the catalogue) in, text out.
 *
 * Every identifier goes through sql_ident. The author's expressions are embedded whole, in parentheses,
 * and evaluated against a row that carries the columns under their own names; they are never rewritten.
 * One statement per text, no trailing semicolon.
 */
#ifndef PHASEGATE_GENERATE_H
#define PHASEGATE_GENERATE_H

#include "phasegate/model.h"

struct sql_list {
    const char **items;
    int n;
};

/* A column that is known under another name just now: soft-dropped and renamed. */
struct renamed {
    const char *name, *now;
};

/* The two-way sync trigger. It fires before INSERT, and before UPDATE when one of the columns that the
 * expressions read or write changed (by whatever changed it) and the session isn't a backfill of ours
 * (setting phasegate.backfill = on). Direction: the side that the statement wrote is the truth; when it
 * wrote both, the new side. On INSERT a row whose new columns are all NULL was written by the old side,
 * which is why the new columns must have no default (sync_check_sql says whether they have).
 * Re-runnable: CREATE OR REPLACE throughout. */
void sync_install_sql(struct arena *a, const struct plan *p, const struct renamed *renamed,
                      int n_renamed, struct sql_list *out);
void sync_remove_sql(struct arena *a, const struct plan *p, struct sql_list *out);
/* Boolean query: both triggers and the function are there and enabled. */
const char *sync_applied_sql(struct arena *a, const struct plan *p);
/* Query: what is wrong with the installed triggers, as the end of a sentence ("is disabled"), or NULL. */
const char *sync_broken_sql(struct arena *a, const struct plan *p, const struct renamed *renamed,
                            int n_renamed);
/* Query: a sentence on what else on the table would undo what the trigger does, or NULL: a user's trigger that
 * fires after it, or the sync of another plan that touches a column of this one (of two such triggers the
 * first to fire misses what the second changes). */
const char *sync_conflict_sql(struct arena *a, const struct plan *p);
/* Query: how many rows disagree, counted up to a thousand; renamed columns are known under both names. */
const char *sync_differs_sql(struct arena *a, const struct plan *p, const struct renamed *renamed,
                             int n_renamed);
/* Query: names of columns that can't be written, and of new ones that have a default, with why. No rows: fine.
 * An expression with a wrong name or type in it is an error of the query. */
const char *sync_check_sql(struct arena *a, const struct plan *p);
/* Query over no rows that fails where this expression can't be evaluated by sync: over its table, with `extra`
 * as further columns that aren't there yet (their types known). */
const char *sync_try_sql(struct arena *a, const struct plan *p, const struct made_column *extra,
                         int n_extra, const char *expr);
/* Query: names of the columns of sync's table. No rows: there is no such table. */
const char *sync_columns_sql(struct arena *a, const struct plan *p);
/* Query: the tables that inherit from sync's, as one text, or NULL. Neither its trigger nor its backfill
 * reaches their rows. Partitions aren't meant: those get both. */
const char *sync_children_sql(struct arena *a, const struct plan *p);
/* Boolean SQL over the table's columns: old and new agree (forward direction). For verify and resync. */
const char *sync_agrees_sql(struct arena *a, const struct plan *p);

/* Boolean SQL over the table's columns: nothing was written to the new side. */
const char *sync_unwritten_sql(struct arena *a, const struct plan *p);

/* A backfill in full: set, where and table taken from sync where the author left them out. False with a
 * reason when something is missing. Lives in a. */
struct backfill_spec {
    const char *schema, *table; /* schema NULL: by search_path */
    struct pair_list set;
    const char *from, *match; /* NULL: none */
    const char *todo;         /* boolean SQL: what is still to do */
    /* INSERT INTO ... SELECT, which goes through the table by its bare name; NULL: rows are updated. */
    const char *insert;
    const struct text_list *via; /* the program that says what columns become; NULL: none */
    const struct text_list
        *read;       /* what it is told besides the key; n 0: all columns. NULL: no program */
    bool tells_left; /* false: todo is true for every row, and nobody knows what is left */
};
/* The INSERT of all rows that are to do, at once. */
const char *backfill_insert_all(struct arena *a, const struct backfill_spec *s);
bool backfill_spec_of(struct arena *a, const struct plan *p, const struct backfill *b,
                      struct backfill_spec *out, const char **why);
/* Of set: where there is a program, does it say what this column becomes? */
bool backfill_is_via(const struct pair *set);
/* Does it write the new side of the plan's sync, and nothing else? */
bool backfill_is_of_sync(const struct plan *p, const struct backfill_spec *s);

/* _drop_<yyyymmdd>_<name>; what is too long for 63 bytes is cut and ends in a hash of the name. day: from the
 * epoch in ms, UTC. */
const char *soft_drop_name(struct arena *a, const char *name, int64_t epoch_ms);

/* What the catalogue says about a column that is to be soft-dropped. */
struct column_facts {
    const char *schema, *table, *column;
    bool not_null;
    /* grantee -> privilege, one pair each: "app" -> "SELECT" or "SELECT WITH GRANT OPTION"; column-level only */
    struct pair_list grants;
};
void soft_drop_column_sql(struct arena *a, const struct column_facts *c, const char *hidden,
                          struct sql_list *drop, struct sql_list *restore, struct sql_list *purge);
void soft_drop_table_sql(struct arena *a, const char *schema, const char *table, const char *hidden,
                         struct sql_list *drop, struct sql_list *restore, struct sql_list *purge);
/* The same for what ALTER TABLE renames and moves too: kind "VIEW", "MATERIALIZED VIEW". */
void soft_drop_relation_sql(struct arena *a, const char *kind, const char *schema,
                            const char *table, const char *hidden, struct sql_list *drop,
                            struct sql_list *restore, struct sql_list *purge);
/* DROP TABLE ... CASCADE takes the foreign keys of other tables that refer to it along. They go at once, for nobody puts
 * rows into a hidden table, and come back with it. Adds to lists of soft_drop_table_sql. */
struct foreign_key {
    const char *schema, *table, *name;
    const char *definition; /* every name in it qualified */
};
void soft_drop_keys_sql(struct arena *a, const struct foreign_key *keys, int n,
                        struct sql_list *drop, struct sql_list *restore);
/* A partition leaves its table before it is hidden, and a child its parents: else their rows would be seen there all the
 * while. Back they come by what the server said of them. Adds to lists of soft_drop_table_sql. */
struct table_parent {
    const char *schema, *table;
    const char *bound; /* "FOR VALUES IN (1)", "DEFAULT"; NULL: a child by INHERITS */
};
void soft_drop_parents_sql(struct arena *a, const char *schema, const char *table,
                           const struct table_parent *parents, int n, struct sql_list *drop,
                           struct sql_list *restore);
#define HOLD_SCHEMA "phasegate_hold"

/* The reader trap: triggers that record in the ledger who writes to what is hidden. In the transaction that hides it, and
 * gone with restore and purge. */
struct trap_facts {
    const char *plan, *step;
    const char *schema, *table; /* as they are while it is hidden */
    const char *column;         /* hidden name; NULL: the whole table */
    bool by_rows;            /* rows reach it past its own statements: through a parent, or parts */
    bool is_computed;        /* by the server, whatever is written: nothing is recorded */
    const char *default_sql; /* NULL: none */
    const char *type;
    bool
        default_is_same; /* whoever computes it; else an INSERT doesn't tell whether it was given */
};
/* Adds at the end of drop, and before what restore and purge hold. */
void trap_sql(struct arena *a, const struct trap_facts *f, struct sql_list *drop,
              struct sql_list *restore, struct sql_list *purge);

#endif

/* sql_work: what the sources of sql_facts share.
 *
 * A statement is worked on in two passes over its tree: sql_classify (sql_ddl.c, sql_alter.c,
 * sql_constraint.c) says what it is, whom it may hurt and which lock it takes; sql_derive
 * (sql_derive.c, sql_derive_alter.c) says how to see that it's done and how to undo it.
 */
#ifndef PHASEGATE_LOAD_SQL_WORK_H
#define PHASEGATE_LOAD_SQL_WORK_H

#include "load/sql_tree.h"
#include "phasegate/load.h"

/* ---- what earlier statements made ------------------------------------------------------------- */

enum made_kind {
    MADE_RELATION,
    MADE_COLUMN,
    MADE_CONSTRAINT,
    MADE_TYPE,
    MADE_FUNCTION,
    MADE_SCHEMA
};

/* What a writer that doesn't know a new column leaves in it. */
enum fills { FILLS_NULL, FILLS_SAME, FILLS_UNIQUE, FILLS_COMPUTED };

struct made {
    enum made_kind kind;
    struct sql_rel rel; /* of a column: its table */
    const char *column; /* or constraint */
    const char *type;   /* for to_regtype; NULL: not known */
    enum fills fills;
    bool is_not_null;
    int text; /* number of the SQL text in which it was made */
};

/* Live releases can't know what the same plan made just before, so it can't hurt them. Names are
 * compared as written: `t` and `public.t` may be two tables. */
struct seen {
    struct arena *a;
    struct made *items;
    int n, cap;
    int *slots; /* [cap]: hash of kind, name and column -> index + 1, the newest; 0: none */
    int *next;  /* [cap]: the one before it with the same hash */
    int text;
};

const struct made *seen_find(const struct seen *s, enum made_kind kind, struct sql_rel rel,
                             const char *column);
struct made *seen_add(struct seen *s, enum made_kind kind, struct sql_rel rel, const char *column);

/* ---- one statement ---------------------------------------------------------------------------- */

/* How much work is done under the lock, little to much. */
enum work { WORK_NONE, WORK_BRIEF, WORK_BUILD, WORK_SCAN, WORK_REWRITE };

struct job {
    struct arena *a;
    struct seen *seen;
    struct sql_stmt *out;
    const char *node;   /* "AlterTableStmt" */
    const json_t *tree; /* its fields */
    enum work work;
};

/* sql_relations.c: names of all relations below a node, each once, without their schemas. */
void sql_relations(struct arena *a, const json_t *node, struct text_list *out);
void sql_classify(struct job *j);
void sql_derive(struct job *j);

/* The worst class wins, its first reason stays. why is static or in the arena. */
void job_class(struct job *j, enum sql_class class, const char *why);
/* A lock on rel; none when this very text made it. Strongest mode and heaviest work win. note NULL: the
 * work's own words. */
void job_lock(struct job *j, struct sql_rel rel, enum lock_mode mode, enum work work,
              const char *note);
void job_table(struct job *j, struct sql_rel rel); /* the main relation */
bool is_new_table(const struct job *j, struct sql_rel rel);
const struct made *new_column(const struct job *j, struct sql_rel rel, const char *column);

/* ---- parts of the classification -------------------------------------------------------------- */

void classify_alter_table(struct job *j);
/* Whom may a constraint hurt? own_column: the column that it was written at, or NULL. */
void classify_constraint(struct job *j, struct sql_rel table, const json_t *constraint,
                         const char *own_column);
/* Is a uniqueness over these keys (names, or IndexElem nodes) one that old writers can break? */
void classify_unique(struct job *j, struct sql_rel table, const json_t *keys,
                     bool nulls_not_distinct);
void classify_create_index(struct job *j);
/* Remembers the columns of a ColumnDef, and what old writers leave in it. */
void remember_column(struct job *j, struct sql_rel table, const json_t *def);
const char *object_word(
    const char *object_type); /* "OBJECT_MATVIEW" -> "MATERIALIZED VIEW"; never NULL */
bool is_relation_object(const char *object_type); /* tables, views, sequences, indexes */

enum volatility { NOT_VOLATILE, MAYBE_VOLATILE, IS_VOLATILE };
enum volatility expr_volatility(const json_t *expr);
enum volatility expr_call_volatility(const json_t *func_call); /* of this one call */
bool expr_is_unique(const json_t *expr);                       /* another value at each call */

/* ---- parts of the derivation ------------------------------------------------------------------- */

void derive_alter_table(struct job *j);
void derive_rename(struct job *j);
void derive_grant(struct job *j);
void derive_comment(struct job *j);
void derive_drop(struct job *j);
void derive_set_schema(struct job *j);

/* applied_when and undo of the statement; either may be NULL. */
void job_derived(struct job *j, const char *condition, const char *undo);

/* sql_asked.c: the reverse from what the catalogue holds before the statement runs. As undo_query, and its parts:
 * sub-commands of ALTER TABLE, whole statements. NULL: there is none. */
struct function_name;
void job_asked(struct job *j, const char *expression);
const char *asked_default(struct arena *a, struct sql_rel table, const char *column);
const char *asked_trigger(struct arena *a, struct sql_rel table, const char *trigger);
const char *asked_primary_key(struct arena *a, struct sql_rel table, const char *name,
                              const json_t *keys);
const char *asked_index(struct arena *a, struct sql_rel table, const char *name, const char *index,
                        bool is_primary);
const char *asked_attach(struct arena *a, struct sql_rel parent, struct sql_rel child);
const char *asked_comment(struct arena *a, const char *target, const char *value);
const char *asked_function(struct arena *a, const struct function_name *f, const json_t *parameters,
                           const char *drop);

/* Conditions: boolean SQL expressions, never NULL-valued, right under any search_path. `made`: the
 * statement makes it, so that an unqualified name means the first schema of the search_path, and not
 * any schema in it. */
const char *sql_oid(struct arena *a, struct sql_rel rel); /* to_regclass(...) */
const char *cond_relation(struct arena *a, struct sql_rel rel, const char *relkinds, bool made);
const char *cond_column(struct arena *a, struct sql_rel table, const char *column,
                        const char *more);
const char *cond_class(struct arena *a, struct sql_rel rel,
                       const char *test); /* a test on pg_class c */
const char *cond_type(struct arena *a, struct sql_rel type, const char *typtype, bool made);
const char *cond_type_is(struct arena *a,
                         const struct sql_type *t); /* " AND ..." on pg_attribute a */
const char *cond_constraint(struct arena *a, struct sql_rel table, const char *name,
                            const char *more);
const char *cond_domain_constraint(struct arena *a, struct sql_rel domain, const char *name,
                                   const char *more);
const char *cond_index(struct arena *a, struct sql_rel table, const char *index, const char *more);
const char *cond_trigger(struct arena *a, struct sql_rel table, const char *name, const char *more);
const char *cond_catalog(struct arena *a, const char *catalog, const char *column,
                         const char *name);
const char *cond_on_table(struct arena *a, const char *catalog, const char *rel_column,
                          const char *name_column, struct sql_rel table, const char *name);
const char *cond_not(struct arena *a, const char *condition);
const char *cond_and(struct arena *a, const char *one, const char *other); /* NULL gives NULL */

struct function_name {
    struct sql_rel rel;
    const char **args; /* quoted types of the input arguments */
    int n_args;
    bool has_args; /* false: named without an argument list */
};
bool function_of_create(struct arena *a, const json_t *create, struct function_name *out);
bool function_of_object(struct arena *a, const json_t *object_with_args, struct function_name *out);
const char *function_is(struct arena *a, const struct function_name *f,
                        bool made); /* on pg_proc p */
const char *cond_function(struct arena *a, const struct function_name *f, bool made,
                          const char *more);
const char *function_signature(struct arena *a, const struct function_name *f, bool with_schema);

/* ---- texts -------------------------------------------------------------------------------------- */

struct sql_text {
    const char *sql;
    struct pos at; /* of its first byte; later lines start in the same column when is_indented */
    bool is_indented;
};

struct sql_part {
    json_t *node; /* {"AlterTableStmt": ...}, borrowed from the tree */
    const char *sql;
    struct pos at;
    size_t from, to; /* in the text */
};

struct sql_parts {
    json_t *tree;
    struct sql_part *items;
    int n;
};

/* False: there are problems. `what` names the text in messages: "this step's SQL". */
bool sql_split(struct arena *a, const struct sql_text *text, const char *what,
               struct sql_parts *out, struct problem_list *problems);
static inline void sql_parts_auto(struct sql_parts *s) { json_decref(s->tree); }

struct pos sql_place(const struct sql_text *text, size_t offset); /* columns count characters */

/* sql_fix.c: reads the fix of a data check. False: there are problems. */
bool sql_fix(struct arena *a, struct check *k, struct problem_list *problems);
bool sql_text_facts(struct seen *seen, const struct sql_text *text, struct sql_stmt **out,
                    int *out_n, struct problem_list *problems);
void problem_with_rule(struct problem_list *problems, struct pos at, const char *rule,
                       const char *hint, const char *fmt, ...) PRINTF_LIKE(5, 6);

/* class_why of a DROP CONSTRAINT whose step adds a CHECK of the same name. */
#define SQL_CHECK_REPLACED "a check is replaced: the new one may refuse what live releases write"
/* And of one that adds none. */
#define SQL_CONSTRAINT_GONE "the constraint is gone for whoever relies on it, ON CONFLICT too"

#endif

/* statement_work: what the sources of statement_facts share.
 *
 * A statement is walked once. Each query in it (a SELECT, also one arm of a UNION; INSERT, UPDATE, DELETE, MERGE) gets
 * a `scope` with what its FROM made visible. What `*` reaches is known only at the end: the columns of
 * (SELECT * FROM t) matter when somebody takes all of them, and don't when one is picked.
 */
#ifndef PHASEGATE_LOAD_STATEMENT_WORK_H
#define PHASEGATE_LOAD_STATEMENT_WORK_H

#include "load/sql_tree.h"
#include "phasegate/statement_facts.h"

enum taken { TAKEN_STAR = 1, TAKEN_WHOLE = 2, TAKEN_NATURAL = 4, TAKEN_LOCKED = 8 };

struct scope;

struct source { /* one thing in a FROM */
    const char *schema,
        *name;           /* as columns are qualified with it; NULL: hidden below a join's alias */
    int rel;             /* in facts.rels; -1: none */
    struct scope *query; /* of a subquery or CTE; NULL: none */
    bool is_cte;
    bool starred;   /* all of it is in this query's output */
    unsigned taken; /* what holds whoever takes the output */
};

struct cte {
    const char *name;
    struct scope *query;
};

struct scope {
    struct scope *outer; /* whose columns and CTEs may be named too; NULL: none */
    struct source *sources;
    int n_sources;
    struct cte *ctes;
    int n_ctes;
    struct scope *left, *right; /* arms of a set operation */
    unsigned taken, reached;
    const json_t *outputs; /* targetList, while its ORDER BY is walked */
    struct scope *made_before;
};

struct walk {
    struct arena *a;
    struct statement_facts *out;
    const char *sql;
    struct scope *scopes; /* the newest first, chained by made_before */
    bool writes;          /* calls something that may write */
};

/* ---- what is found ---------------------------------------------------------------------------- */

void note_text(struct arena *a, struct text_list *l, const char *s);      /* s may be NULL */
void note_text_once(struct arena *a, struct text_list *l, const char *s); /* nothing when NULL */
int note_rel(struct walk *w, struct sql_rel rel);
int note_target(struct walk *w, struct sql_rel rel, enum statement_verb verb);
struct fact_write *note_write(struct walk *w, struct sql_rel rel, enum statement_verb verb);
/* The write of one column by this value; value NULL: nothing that says what. */
void note_written(struct walk *w, struct fact_write *to, const char *column, const json_t *value);

/* Is it a text that is never made twice? */
bool is_random_text(const json_t *value);
bool function_only_looks(const char *name);
bool function_moves(const char *name);

/* ---- the walk ------------------------------------------------------------------------------------ */

struct scope *scope_new(struct walk *w, struct scope *outer);
/* Sees what s sees around it, and the CTEs of s, but not what its FROM has. */
struct scope *scope_beside(struct walk *w, const struct scope *s);
void scope_add(struct walk *w, struct scope *s, struct source source);
/* What of the sources is taken, now that all is known. */
void scopes_settle(struct walk *w);

/* An expression, or a list of them, with the names of s. */
void walk_expr(struct walk *w, struct scope *s, const json_t *node);
/* {"SelectStmt": ...} and its kin; NULL when it is no query. */
struct scope *walk_query(struct walk *w, struct scope *outer, const json_t *node);
struct scope *walk_select(struct walk *w, struct scope *outer, const json_t *fields);
void walk_with(struct walk *w, struct scope *s, const json_t *with);
void walk_from(struct walk *w, struct scope *s, const json_t *list);
void walk_from_item(struct walk *w, struct scope *s, const json_t *node);
void walk_outputs(struct walk *w, struct scope *s, const json_t *list);
/* fields of InsertStmt, UpdateStmt, DeleteStmt, MergeStmt. */
struct scope *walk_change(struct walk *w, struct scope *outer, const char *kind,
                          const json_t *fields);
/* Everything else: COPY, LOCK, CALL, EXPLAIN and what has a query within. */
void walk_utility(struct walk *w, const char *kind, const json_t *fields);

#endif

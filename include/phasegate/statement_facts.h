/* statement_facts: what the parse tree of a release's statement says, beyond what a server tells.
 *
 * Names are as the catalogue has them (unquoted, folded). Aliases are resolved within the statement, CTE names
 * aren't relations. Everything lives in the arena given.
 */
#ifndef PHASEGATE_STATEMENT_FACTS_H
#define PHASEGATE_STATEMENT_FACTS_H

#include "phasegate/statements.h"

enum statement_verb { VERB_SELECT, VERB_INSERT, VERB_UPDATE, VERB_DELETE, VERB_MERGE, VERB_OTHER };

struct fact_rel {
    const char *schema; /* NULL: by search_path */
    const char *name;
    bool is_target; /* of INSERT, UPDATE, DELETE, MERGE (also within a CTE) */
    bool is_locked; /* FOR UPDATE and its kin */
    bool star; /* its columns are taken by * or alias.* somewhere in output or INSERT ... SELECT */
    bool
        whole_row; /* used as a value: row_to_json(t), t::text, t.*::text, to_jsonb(t), a SETOF function's result */
    bool natural;             /* joined NATURAL */
    enum statement_verb verb; /* for a target: what is done to it */
};

struct fact_write { /* one target of writing */
    const char *schema, *table;
    enum statement_verb verb;
    bool positional;            /* INSERT without a column list */
    struct text_list columns;   /* INSERT list, UPDATE SET */
    struct text_list defaulted; /* given as DEFAULT */
    /* parallel to columns: number of the parameter that goes in as it is (1-based), 0: an expression or a constant */
    int *params;
    struct text_list literals; /* parallel to columns: a constant's text, s NULL where it is none */
    bool on_conflict, conflict_has_target;
};

struct statement_facts {
    bool parsed; /* false: newer than the parser, or no SQL; why says */
    const char *why;
    int why_at; /* 1-based character in dollar_sql where it stops; 0: unknown */
    enum statement_verb verb;
    bool is_one_statement; /* false: none or several */
    bool is_utility;       /* SET, CALL, LOCK, CREATE ... */
    bool
        reads_only; /* no target, no FOR UPDATE, no function that isn't PostgreSQL's own known-stable ones needed */
    struct fact_rel *rels; /* each relation once, in order of appearance */
    int n_rels;
    struct fact_write *writes;
    int n_writes;
    struct text_list columns; /* every column name that is mentioned, qualified or not, once each */
    struct text_list functions; /* every function name that is called, "schema.name" or "name" */
    struct text_list types;     /* every type that is named in a cast, as written */
    struct text_list literals;  /* string constants */
    bool selects_star; /* "*" or "t.*" in the output or RETURNING of the outermost statement */
    bool uses_natural_join;
    bool uses_now;     /* now(), current_timestamp and the like: answers differ from call to call */
    bool has_order_by; /* the outermost one */
};

/* s->dollar_sql is read. Never fails: see parsed. */
void statement_facts(struct arena *a, const struct statement *s, struct statement_facts *out);

#endif

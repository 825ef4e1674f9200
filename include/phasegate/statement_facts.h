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
    /* All of its columns are taken by * or alias.*, and go on to the output, to INSERT ... SELECT, to UNION, DISTINCT or
     * IN: not in EXISTS (SELECT * ...), nor below a query that picks some of them. */
    bool star;
    /* Used as a value: row_to_json(t), t::text, t.*::text, to_jsonb(t); with star, as json_agg(s) FROM (SELECT * FROM
     * t) s. A bare name is taken for the row, though the table may have a column of that name (it's in columns too).
     * What rows a function in FROM returns, only the catalogue knows: see functions. */
    bool whole_row;
    bool natural;             /* joined NATURAL, by columns that nobody lists */
    enum statement_verb verb; /* for a target: what is done to it first; else VERB_SELECT */
};

/* One way of writing a target. ON CONFLICT DO UPDATE is one more, of VERB_UPDATE with on_conflict; MERGE has one for
 * each of its actions, with the action's verb. TRUNCATE is VERB_DELETE, COPY ... FROM VERB_INSERT. */
struct fact_write {
    const char *schema, *table;
    enum statement_verb verb;
    bool positional;            /* INSERT without a column list */
    struct text_list columns;   /* INSERT list, UPDATE SET */
    struct text_list defaulted; /* given as DEFAULT */
    struct text_list nulls;     /* given as NULL, in every row; not of MERGE */
    struct text_list random; /* given a text that is never made twice, in every row; not of MERGE */
    /* parallel to columns: number of the parameter that goes in as it is or cast (1-based), 0: an expression or a
     * constant. Of several rows of VALUES: the first's. */
    int *params;
    struct text_list literals; /* parallel to columns: a constant's text, s NULL where it is none */
    bool on_conflict, conflict_has_target;
};

struct fact_star_rel {
    const char *schema, *name, *alias; /* alias: its name within the query */
};

/* "*" or "t.*" in the output of a query, at whatever depth. */
struct fact_star {
    int at, end;   /* bytes of the text */
    bool is_known; /* false: of a subquery, a function or a CTE, or of columns that a join merged */
    bool is_qualified;
    struct fact_star_rel *rels; /* whose columns it stands for, in this order */
    int n_rels;
};

enum copy_end { COPY_CLIENT, COPY_FILE, COPY_PROGRAM };

struct fact_copy {
    bool is_from;
    enum copy_end end;
    const char *schema, *table; /* table NULL: a query */
    struct text_list columns;   /* none: all of them */
    const char *query;          /* what stands in its parentheses; NULL: a table */
    const char *where;          /* of COPY ... FROM; NULL: none */
    struct text_list also;      /* columns that its options name: FORCE_QUOTE and the like */
};

struct statement_facts {
    bool parsed; /* false: newer than the parser, or no SQL; why says */
    const char *why;
    int why_at; /* 1-based character in dollar_sql where it stops; 0: unknown */
    enum statement_verb verb;
    bool is_one_statement; /* false: none or several */
    bool is_utility;       /* SET, CALL, LOCK, COPY, EXPLAIN, SELECT INTO, CREATE ... */
    bool
        reads_only; /* no target, no FOR UPDATE, no function that isn't PostgreSQL's own known-stable ones needed */
    struct fact_rel *rels; /* each relation once, in order of appearance */
    int n_rels;
    struct fact_write *writes;
    int n_writes;
    struct text_list columns; /* every column name that is mentioned, qualified or not, once each */
    struct text_list functions; /* every function name that is called, "schema.name" or "name" */
    struct text_list types; /* every type that is named, "schema.name" or "name"; int is "int4" */
    struct text_list literals; /* string constants, each time */
    bool selects_star; /* "*" or "t.*" in the output or RETURNING of the outermost statement */
    bool uses_natural_join;
    bool
        uses_now; /* now(), current_timestamp, random() and the like: answers differ from call to call */
    bool has_order_by;            /* the outermost one */
    struct text_list sorts;       /* columns that stand in an ORDER BY by their names, once each */
    const struct fact_copy *copy; /* NULL: it isn't COPY */
    const char *
        prepares; /* the query of PREPARE name AS query, which the server looks at when it's run; NULL: none */
};

/* s->dollar_sql is read. Never fails: see parsed. */
void statement_facts(struct arena *a, const struct statement *s, struct statement_facts *out);

/* Of n statements, s[i] to out[i], by a few threads beside the caller, who goes on with something else and then takes
 * part in what is left: nothing of out may be looked at before the end. s and out stay with the caller until then;
 * what the facts point to goes to a at the end. Each begin needs its end. */
struct statement_facts_work *statement_facts_begin(const struct statement *const *s,
                                                   struct statement_facts *const *out, int n);
void statement_facts_end(struct statement_facts_work *w, struct arena *a);

/* As one line of text behind what is in to, without quotes, backslashes and control characters; and back. False: facts
 * that can't be said so (to is as it was), or a text that nobody has put (out is as it was). Of the same program only. */
bool statement_facts_put(struct str *to, const struct statement_facts *f) MUST_CHECK;
bool statement_facts_take(struct arena *a, const char *text, size_t n,
                          struct statement_facts *out) MUST_CHECK;

/* The first word of a text, behind blanks and comments: where it begins, and how long it is; 0: it begins with none. */
size_t statement_word(const char *sql, size_t *n);

/* The same text without what it says ON CONFLICT, at whatever depth. */
const char *statement_without_conflicts(struct arena *a, const char *sql);

/* Those of a text that can be parsed, ascending; none of any other. */
void statement_stars(struct arena *a, const char *sql, struct fact_star **out, int *n);

#endif

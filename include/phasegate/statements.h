/* statements: what SQL a release runs, from its .sql files.
 *
 *     -- name: GetBalance :one
 *     -- when: accounts-balance-read=on
 *     -- args: (1)
 *     SELECT balance_big FROM accounts WHERE id = $1;
 *
 * A `-- name:` line opens a statement; its other headers follow at once, then its SQL up to the next
 * name. Comments are free, but one that looks like a misspelt header is a problem. Statements with the
 * same name and different `when` are variants of one call.
 *
 * Files of sqlc are read as they are: its command word after the name, sqlc.arg(x), sqlc.narg(x), sqlc.slice(x), @x
 * (where there's a command word) and sqlc.embed(t).
 *
 * Everything is kept in the arena that was passed. Nothing is sent to a server here.
 */
#ifndef PHASEGATE_STATEMENTS_H
#define PHASEGATE_STATEMENTS_H

#include "phasegate/load.h"

enum param_style { PARAMS_DOLLAR, PARAMS_COLON, PARAMS_QUESTION, PARAMS_PERCENT };
/* "dollar", "colon", "question", "percent"; NULL means dollar. False: no such style. */
bool param_style_from_word(const char *word, enum param_style *out);

struct statement_when {
    const char *flag;
    bool on;
    struct pos at;
};

struct statement_arg {
    const char *sql;   /* as written: 'x', 1, now(), ARRAY[1,2] */
    bool is_literal;   /* a number, a quoted text, true, false or NULL */
    const char *value; /* of a literal: its text; NULL is SQL NULL */
};

struct statement_args { /* one example row */
    struct statement_arg *items;
    int n;
    struct pos at;
};

/* Up to the next shift, byte dollar + k of dollar_sql is byte sql + k of sql. */
struct statement_shift {
    int dollar, sql;
};

struct statement {
    const char *name;
    const char *result; /* sqlc's "one", "many", "exec", ...; NULL: not stated */
    struct statement_when *when;
    int n_when;
    struct statement_args *args;
    int n_args;
    const char *tx;      /* NULL: a transaction of its own */
    const char *role;    /* NULL: the release's */
    const char *differs; /* why its variants may answer differently; NULL */
    /* What the client declares its parameters as, or captured: one type each, as SQL has it ("int4", "app.kind[]").
     * Empty: not stated. A hint for making arguments; the server's own inference is the default. */
    struct text_list types;
    const char
        *captured; /* where `capture` had it from: "pg_stat_statements"; NULL: written by hand */
    struct pair_list knows; /* enum type -> label that the code understands */
    struct text_list allow; /* "<rule> until <release> because <reason>", as written */
    const char *sql;        /* as written, without the final semicolon */
    const char *dollar_sql; /* the same with $1, $2, ...; where nothing differs, the same text */
    struct statement_shift *shifts; /* ascending; empty where nothing differs */
    int n_shifts;
    const char **param_names; /* [n_params]; NULL where the style has no names */
    int n_params;
    struct pos at;     /* of its name line */
    struct pos sql_at; /* of its SQL's first line */
};

struct statements {
    struct statement *items;
    int n;
    int room; /* of items; for statements_parse */
};

#define STATEMENTS_FILE_MAX ((size_t) 64 << 20)

/* Adds the statements of one file to out. False: problems were added (out has what was understood). */
bool statements_parse(struct arena *a, const char *path, const char *bytes, size_t n,
                      enum param_style style, struct statements *out,
                      struct problem_list *problems);
/* Files and folders (their *.sql, sorted by name) below root, in the order given; then what only shows
 * among all of them: two statements of one name that may both apply. False with ERR_INPUT: problems, or
 * something can't be read. */
bool statements_load(struct arena *a, const char *root, const struct text_list *paths,
                     enum param_style style, struct statements *out, struct problem_list *problems,
                     struct err *err);
/* What a release or consumer lists, in its style of parameters; none is listed: *out stays as it is. */
struct release;
bool statements_load_release(struct arena *a, const char *root, const struct release *r,
                             struct statements *out, struct problem_list *problems,
                             struct err *err);
/* Part of statements_load; for callers of statements_parse. */
bool statements_validate(const struct statements *s, struct problem_list *problems);

/* Where in its file a place in dollar_sql is, counted from 1 in characters, as servers and parsers say it. 0 and what
 * lies past the end: the beginning and the end. Columns count characters. */
struct pos statement_pos_of(const struct statement *s, int position_in_characters);
/* The same for a byte of sql, counted from 0. */
struct pos statement_pos_at(const struct statement *s, size_t offset);

/* The variant of a call that holds under these flags: the first whose every `when` holds. NULL: none. */
const struct statement *statement_pick(const struct statements *s, const char *name,
                                       bool (*is_on)(void *ctx, const char *flag), void *ctx);

#endif

/* changed: a step between two askings of what live releases run. For changed*.c and first_default.c. */
#ifndef PHASEGATE_CHECK_CHANGED_H
#define PHASEGATE_CHECK_CHANGED_H

#include "check/work.h"

struct watched {
    const struct cat_relation *r;
    const char *sql;
    int n_keys;
    int at; /* as below */
    struct wire_result before, after;
    bool *changes; /* by place in r->columns: held something, and holds something else */
};

struct asked { /* what several releases run alike is asked once */
    const struct app_statement *a;
    int set;                    /* with which of its arguments */
    const struct arg_set *call; /* or with these; NULL: with its own */
    const char *words;          /* "with $1 = '7'": of call */
    int at;                     /* of its answer among those of a trial; -1: it isn't asked there */
    struct wire_result before, after;
    bool is_told;
    bool is_empty; /* it finds nothing over the rows as they are, or may do so */
};

#define TURN_COLUMNS 4
#define CALLS_MAX 60 /* other arguments that a statement is asked with */

struct turn { /* a row that is made another before the step */
    const struct cat_relation *r;
    bool of_all; /* or all of them are */
    const char *columns[TURN_COLUMNS], *values[TURN_COLUMNS];
    int n;
    const char **sql; /* what is done to the rows before, or, n 0, instead */
    int n_sql;
    const char *words; /* "where ...": what they are like then */
    const struct turn
        *base;     /* what it begins with: who finds rows without it isn't asked; or NULL */
    bool is_twice; /* some are alike but for their key, so that their order is anybody's */
};

struct trial {
    struct proof *p;
    int state;
    bool of_views; /* a view is made anew, or a function; else rows change */
    bool of_functions;
    bool of_types;                      /* or a column gets another type: see changed_types.c */
    const struct cat_relation *touched; /* though the step doesn't name it; NULL: none such */
    const struct cat_relation *brought; /* or only become another table's: NULL: they don't */
    const struct cat_relation *taken;   /* a partition that goes with its rows; NULL: none does */
    const char *const *sql;
    int n_sql;
    const char **old; /* of what it makes anew, the texts as they are */
    int n_old;
    struct watched *looks;
    int n_looks;
    struct asked *asked;
    int n_asked, most_asked;
};

const struct cat_relation *trial_relation(const struct trial *t, const struct app_statement *a,
                                          int rel);
/* Is the column one that plans make and fill? */
bool trial_is_the_plans(const struct trial *t, const struct cat_relation *r,
                        const struct cat_column *c);

/* Whose answers are held against each other, and the tables below them. */
void trial_set_whom(struct trial *t);
/* Is that table below the view r, or r itself? */
bool trial_is_below(const struct proof *p, const struct cat_relation *r, unsigned table);
/* Its one row, if any, may be about none. */
bool asked_may_be_empty(const struct asked *s);
/* It finds other rows: fewer, more, or none. */
bool asked_finds_others(const struct asked *s);
/* Or it hands out something else; false where that isn't known. */
bool asked_answers_otherwise(const struct asked *s);

/* changed_run.c: all that is asked, the step, and all of it once more; taken back. turn: the row that is made another
 * before; NULL: none. ran: the step did, over that row. */
bool trial_run(struct trial *t, const struct turn *turn, bool *ran, struct err *err);
/* Is its answer before the step the same whenever it is asked, over that row? Else it throws dice. */
bool trial_is_steady(struct trial *t, const struct asked *s, const struct turn *turn, bool *out,
                     struct err *err);
/* What a condition compares the column with: first, or last; NULL: nothing. beside: is added to a number. */
const char *trial_compared_with(struct proof *p, const struct cat_column *c, const char *text,
                                int beside, bool last);
/* Did a statement not end behind the step? Then there's no point in asking once more. */
bool trial_was_slow(const struct trial *t);
/* Rows that have what the texts of the step and of the statements name; at most `most`. How many. */
int trial_turns(struct trial *t, struct turn *turns, int most);
/* Rows that have what the step names in any of their columns, or NULL: more of them, behind the first n. How many in all. */
int trial_turns_anywhere(struct trial *t, struct turn *turns, int n, int most);
/* changed_report.c: finds: it finds other rows, else hands out others; of the column. turn: over which rows; NULL: as they
 * are. */
void trial_report_rows(struct trial *t, const struct app_statement *a, bool finds,
                       const struct cat_relation *r, const struct cat_column *c);
/* It fails over what the rows hold in the column then. */
void trial_report_failure(struct trial *t, const struct app_statement *a, const struct asked *s,
                          const struct cat_relation *r, const struct cat_column *c);
/* The table has fewer rows, and it answers otherwise. */
void trial_report_emptied(struct trial *t, const struct app_statement *a,
                          const struct cat_relation *r);
void trial_report_brought(struct trial *t, const struct app_statement *a);
void trial_report_taken(struct trial *t, const struct app_statement *a);
/* fewer: than before, else more. */
void trial_report_type(struct trial *t, const struct app_statement *a, const struct asked *s,
                       const struct turn *turn, bool fewer);
void trial_report_view(struct trial *t, const struct app_statement *a, const struct asked *s,
                       const struct turn *turn);
/* changed_calls.c: asks it with this instead of its own. */
void trial_add_call(struct trial *t, const struct app_statement *a, int param, const char *value);
/* Asks the statement with other arguments too, where it calls a function of the step. */
void trial_add_calls(struct trial *t, const struct app_statement *a);
/* changed_types.c: does it give a column another type, or another collation? */
bool trial_is_of_types(const struct task *t);
/* Asks the statement with texts in other letters, too. */
void trial_add_letters(struct trial *t, const struct app_statement *a);
/* Rows that have what statements name, and texts in other letters; at most `most`. How many. */
int trial_turns_types(struct trial *t, struct turn *turns, int most);
/* It finds other rows, and nothing else tells of that. */
bool trial_tells_of_type(const struct trial *t, const struct asked *s, bool *fewer);
/* changed_taken.c: the partition that the step takes out of its table, and does nothing else: by DETACH, or hidden by a
 * soft drop; NULL: it isn't such. */
const struct cat_relation *trial_detached(const struct proof *p, int state);
/* The table that it's taken out of. */
const struct cat_relation *trial_detached_from(const struct proof *p, int state);
/* The same as it can be taken back: one statement. */
const char *const *trial_detach_sql(struct proof *p, int state);
/* What its bound says of the column: a value beside it, or, where it's about no other, the first. NULL: nothing. */
const char *trial_bound_value(struct proof *p, const struct cat_relation *r,
                              const struct cat_column *c);
/* A row that is moved into it, or all of them, and who asks for such: to `turns`. How many; 0: nobody knows one. */
int trial_turns_taken(struct trial *t, struct turn *turns);
/* Asks the statement for a row of the table that the step brings: its keys may be such that nobody asked for before. */
void trial_add_brought(struct trial *t, const struct app_statement *a);
/* changed_bases.c: the queries of views, and bodies of functions, that the step names, to t->old. */
bool trial_read_old(struct trial *t, struct err *err) MUST_CHECK;
/* Rows for those who find none as they are, behind the first *n. */
bool trial_bases(struct trial *t, struct turn *out, int *n, int most, struct err *err) MUST_CHECK;
/* Both, one after the other. */
struct turn trial_on_base(struct proof *p, const struct turn *base, const struct turn *turn);
/* changed_worlds.c: rows that are missing, without values, or there twice; at most `most`. How many. */
int trial_worlds(struct trial *t, struct turn *turns, int most);

/* By place in r->columns: of each unique index one column, the last that isn't a foreign key's. Where these are others in
 * a row, it may stand beside the one that it is like. */
const bool *trial_columns_to_vary(struct proof *p, const struct cat_relation *r);

#endif

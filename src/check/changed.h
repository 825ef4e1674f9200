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
    int set; /* with which of its arguments */
    int at;  /* of its answer among those of a trial; -1: it isn't asked there */
    struct wire_result before, after;
    bool is_told;
};

#define TURN_COLUMNS 4

struct turn { /* a row that is made another before the step */
    const struct cat_relation *r;
    const char *columns[TURN_COLUMNS], *values[TURN_COLUMNS];
    int n;
    const char **sql; /* n 0: what is done to the rows instead */
    int n_sql;
    const char *words; /* "where ...": what they are like then */
    bool is_twice;     /* some are alike but for their key, so that their order is anybody's */
};

struct trial {
    struct proof *p;
    int state;
    bool of_views; /* a view is made anew, or a function; else rows change */
    bool of_functions;
    const struct cat_relation *touched; /* though the step doesn't name it; NULL: none such */
    const struct cat_relation *brought; /* or only become another table's: NULL: they don't */
    const char *const *sql;
    int n_sql;
    struct watched *looks;
    int n_looks;
    struct asked *asked;
    int n_asked;
};

const struct cat_relation *trial_relation(const struct trial *t, const struct app_statement *a,
                                          int rel);
/* Is the column one that plans make and fill? */
bool trial_is_the_plans(const struct trial *t, const struct cat_relation *r,
                        const struct cat_column *c);

/* Whose answers are held against each other, and the tables below them. */
void trial_set_whom(struct trial *t);
/* It finds other rows: fewer, more, or none. */
bool asked_finds_others(const struct asked *s);
/* Or it hands out something else; false where that isn't known. */
bool asked_answers_otherwise(const struct asked *s);

/* changed_run.c: all that is asked, the step, and all of it once more; taken back. turn: the row that is made another
 * before; NULL: none. ran: the step did, over that row. */
bool trial_run(struct trial *t, const struct turn *turn, bool *ran, struct err *err);
/* What a condition compares the column with: first, or last; NULL: nothing. beside: is added to a number. */
const char *trial_compared_with(struct proof *p, const struct cat_column *c, const char *text,
                                int beside, bool last);
/* Did a statement not end behind the step? Then there's no point in asking once more. */
bool trial_was_slow(const struct trial *t);
/* Rows that have what the texts of the step and of the statements name; at most `most`. How many. */
int trial_turns(struct trial *t, struct turn *turns, int most);
/* Rows that have what the step names in any of their columns, or NULL: more of them, behind the first n. How many in all. */
int trial_turns_anywhere(struct trial *t, struct turn *turns, int n, int most);
/* changed_worlds.c: rows that are missing, without values, or there twice; at most `most`. How many. */
int trial_worlds(struct trial *t, struct turn *turns, int most);

#endif

/* limits: what is tried against a restriction, and with which values. For limits.c, limit_rows.c and limit_values.c. */
#ifndef PHASEGATE_CHECK_LIMITS_H
#define PHASEGATE_CHECK_LIMITS_H

#include "check/synced.h"

#define LIMIT_VALUES 48
#define LIMIT_TRIES 4000

struct limit_try {
    const struct app_statement *a;
    int param; /* 1-based */
    const char *column, *value;
    const char **args;
    const struct cat_relation
        *from; /* its column has the value in every row; NULL: it's a parameter's */
    const struct cat_relation
        *into; /* emptied before: what is copied there has its keys; NULL: it isn't */
    const char *
        prelude; /* run before, as the owner: makes a row of ours one that it gets at; NULL: nothing */
    bool worked;     /* before the step */
    bool is_endless; /* with it, or one before, the statement doesn't end: no more are tried */
};

struct limits {
    const struct plan *sync; /* whose trigger comes with the state; NULL: a step restricts */
    int longest;             /* text that is tried where the column itself has no limit */
    struct limit_try *tries;
    int n;
};

/* Does what makes the state restrict what is written to the table, and to this column of it? column NULL: any. */
bool limits_hold(const struct proof *p, int state, const struct cat_relation *written,
                 const char *column);

/* limit_rows.c: values in rows that a statement computes from, or deletes what they point at. */
void limits_add_rows(struct proof *p, const struct app_statement *a, int state, struct limits *l);
/* As the owner: whoever runs it may not be allowed to change the rows that it reads. */
bool limits_run_rows(struct proof *p, const struct limit_try *t, struct wire_result *out,
                     struct err *err);

/* refused.c: does the statement bring a check that limits_add_refused knows, and no restriction else? */
bool limits_refuses(const struct sql_stmt *s);
/* Arguments that the step's checks don't take. */
void limits_add_refused(struct proof *p, const struct app_statement *a, int state,
                        struct limits *l);

/* limit_values.c */

const char *limit_text(struct proof *p, int length);
/* How long a text is that is longer than what the step takes, or the other side of the trigger that comes with it. */
int limit_longest(const struct proof *p, int state);
/* For what goes to a column, or is of it; out: [LIMIT_VALUES], NULL entries are SQL NULL. How many. sync: whose trigger
 * takes them to the other side, with checks of its own; NULL: none. */
int limit_values(struct proof *p, const struct plan *sync, const struct cat_relation *r,
                 const struct cat_column *c, int longest, const char **out);
/* The same for a parameter of a type, of which something is made for the relation. */
int limit_values_of_type(struct proof *p, const struct plan *sync, const struct cat_relation *r,
                         unsigned type, int longest, const char **out);

#endif

/* limits: what is tried against a restriction, and with which values. For limits.c, limit_*.c, mapped*.c and unique_partial.c. */
#ifndef PHASEGATE_CHECK_LIMITS_H
#define PHASEGATE_CHECK_LIMITS_H

#include "check/synced.h"
#include "phasegate/load.h"

#define LIMIT_VALUES 96
#define LIMIT_TRIES 8000
#define AWKWARD_VALUES 6
#define AWKWARD_TEXT 9000 /* more than a NOTIFY takes */

struct limit_try {
    const struct app_statement *a;
    int param;                  /* 1-based */
    const char *column, *value; /* column NULL: with the statement's own values */
    const char **args;
    const struct cat_relation
        *from; /* its column has the value in every row; NULL: it's a parameter's */
    const struct cat_relation
        *into; /* emptied before: what is copied there has its keys; NULL: it isn't */
    const char *
        prelude; /* run before, as the owner: makes a row of ours one that it finds; NULL: nothing */
    const struct cat_relation *of; /* whose rows the prelude changes */
    bool fires;                    /* the prelude is for the new triggers as well: a sync's */
    bool is_reached;               /* the parameter goes to a table by a trigger or a function */
    const char *words;             /* what is said of it instead of column and value; NULL: these */
    const struct arg_set *beside;  /* rows with these go in before; */
    int n_beside;
    bool worked;        /* before the step */
    long long affected; /* rows, then; */
    uint64_t answer;    /* and what it left, where that is compared; 0: not known */
    bool is_told;       /* of what came of it */
    enum severity told; /* how bad that is */
    bool is_endless;    /* with it, or one before, the statement doesn't end: no more are tried */
};

struct limits {
    const struct plan *sync; /* whose trigger comes with the state; NULL: a step restricts */
    int longest;             /* text that is tried where the column itself has no limit */
    bool
        judges; /* it may go by what a value is, as a check does, and not by whether there is one */
    bool acts;  /* it may do anything: a trigger, a rule, a policy */
    bool
        drops; /* of these, what may leave out a row that is written: no policy, which refuses or hides it */
    bool hides; /* a view's rows may be refused for what they show: its check option */
    const struct cat_relation *detached; /* a partition; NULL: none */
    struct limit_domain *domains;        /* that it alters; see limit_casts.c */
    int n_domains;
    struct sql_mentions said; /* by what makes the state, and by functions that it calls */
    struct limit_try *tries;
    int n;
    const struct app_statement *cut; /* the first that there was no room for; NULL: none */
};

/* Does what makes the state restrict what is written to the table, and to this column of it? column NULL: any. */
bool limits_hold(const struct proof *p, int state, const struct cat_relation *written,
                 const char *column);

/* limit_tries.c */

/* The nth parameter that a write takes as it is: the column that it goes to. NULL: no more, or none there. */
const struct cat_column *limits_written_by(const struct query *q, const struct fact_write *w,
                                           const struct cat_relation *r, int n, int *param);
/* Is the nth column made of something? */
bool limits_is_made(const struct fact_write *w, int n);
/* False: there are as many as are tried. */
bool limits_add(struct limits *l, struct limit_try t);
/* The same with this value for a parameter, which is for the column. */
bool limits_add_try(struct proof *p, const struct app_statement *a, int param, const char *column,
                    const char *value, struct limits *l);
void limits_add_tries(struct proof *p, const struct app_statement *a, int state, struct limits *l);
/* As it is, where what the step makes may drop or refuse whatever is written. */
void limits_add_own(struct proof *p, const struct app_statement *a, int state, struct limits *l);
/* Says which statements there was no room for, from `cut` on. */
void limits_report_cut(struct proof *p, int state, const struct app_statement *cut, int most);
/* Two parameters that a restriction may hold against each other. */
void limits_add_pairs(struct proof *p, const struct app_statement *a, int state, struct limits *l);

/* limit_rows.c: values in rows that a statement computes from, or deletes what they point at. */
void limits_add_rows(struct proof *p, const struct app_statement *a, int state, struct limits *l);
/* Tries from `first` on of a statement that finds no row of ours, where a view, a policy or a rule may keep it from one:
 * they get a prelude that makes it find some. */
bool limits_show(struct proof *p, const struct app_statement *a, int state, int first,
                 struct limits *l, struct err *err) MUST_CHECK;
/* The same tries where the row that is found has something else in columns that the restriction names as well. */
void limits_add_beside(struct proof *p, const struct app_statement *a, int state, int first,
                       struct limits *l);
/* An UPDATE of all rows; value NULL: SQL NULL. */
const char *limits_change_sql(struct proof *p, const struct cat_relation *r, const char *column,
                              const char *value);
/* As the owner: whoever runs it may not be allowed to change the rows that it reads. */
bool limits_run_rows(struct proof *p, const struct limit_try *t, struct wire_result *out,
                     struct err *err);

/* limit_reach.c: each parameter of a statement that comes to write a restricted table by a trigger, a rule or a function. */
bool limits_add_reached(struct proof *p, const struct app_statement *a, int state, struct limits *l,
                        struct err *err) MUST_CHECK;

/* limit_shared.c */

/* The statements before the query, a copy of one whose own values are still its first set, get what the try gives it by
 * a name that they have as well. */
void limits_share(struct proof *p, struct query *q, const char *const *args);

/* Refused by a foreign key that waited for the end of the transaction, where no statement makes the row that it points at
 * later: then it was refused there. */
bool limits_never_met(const struct proof *p, const struct limit_try *t,
                      const struct wire_result *refused);

/* loosened.c */

/* Could nobody write the try's value before the phase of the state began? */
bool loosened_spares(const struct proof *p, int state, const struct limit_try *t);

/* limit_keys.c */

/* Refused by a foreign key only as the try itself has changed the row before. */
bool limits_is_own_change(struct proof *p, const struct limit_try *t, const struct wire_result *r,
                          bool *out, struct err *err) MUST_CHECK;
/* A DELETE that runs as children of ours were taken out of its way, and a new foreign key of theirs. */
void limits_report_hidden_keys(struct proof *p, int state);

/* brought.c: statements that a release's expands brought have known all along what else these make of the same columns. */

/* Is what came of the try of this kind? */
bool brought_spares(const struct proof *p, const struct limits *l, int state,
                    const struct limit_try *t, const struct wire_result *r);
/* The same of one that was never seen to run: does the step name no other column that it writes? */
bool brought_spares_unrun(const struct proof *p, const struct limits *l, int state,
                          const struct app_statement *a);

/* limit_awkward.c: what triggers and expressions fail for without naming it. */

/* Of the type, at most AWKWARD_VALUES; how many. */
int limit_values_awkward(struct proof *p, const struct limits *l, const struct cat_column *c,
                         const char **out);
/* Texts that are long together, in parameters or in a row; an array that the statement empties; rows of other tables that
 * a trigger's function reads. */
void limits_add_awkward(struct proof *p, const struct app_statement *a, int state,
                        struct limits *l);

/* limit_calls.c: parameters of a function that the step makes anew, so that it refuses some. */
void limits_add_calls(struct proof *p, const struct app_statement *a, int state, struct limits *l);

/* limit_casts.c */

bool limits_read_domains(struct proof *p, int state, struct limits *l, struct err *err) MUST_CHECK;
/* What a parameter brings to a domain of the step, whatever it goes to. */
void limits_add_casts(struct proof *p, const struct app_statement *a, int state, struct limits *l);

/* limit_values.c */

const char *limit_text(struct proof *p, int length);
/* For what goes to a column, or is of it; out: [LIMIT_VALUES], NULL entries are SQL NULL. How many. */
int limit_values(struct proof *p, const struct limits *l, const struct cat_relation *r,
                 const struct cat_column *c, const char **out);
/* The same for a parameter of a type, of which something is made for the relation. */
int limit_values_of_type(struct proof *p, const struct limits *l, const struct cat_relation *r,
                         unsigned type, const char **out);
/* '{value}', as an element; '{NULL}'. */
const char *limit_array_of(struct proof *p, const char *value);
/* Only what makes the state names, and NULL. */
int limit_values_named(struct proof *p, const struct limits *l, const struct cat_relation *r,
                       const struct cat_column *c, const char **out);

/* limit_means.c: what makes the state, as far as it says by which values it tells rows apart. */

/* May the statement restrict what is written to the table that it names, or to others? */
bool limits_may_restrict(const struct proof *p, const struct sql_stmt *s);
/* The names that it says, as an array. */
const char *limits_named(struct proof *p, const struct sql_mentions *said);
/* The texts of functions, domains, views, triggers and tables with policies that are called so: one to a row. */
bool limits_bodies(struct proof *p, const char *names, struct wire_result *out,
                   struct err *err) MUST_CHECK;
/* Sets longest, judges, acts, said, domains; the state is about to be made. */
bool limits_read(struct proof *p, int state, struct limits *l, struct err *err) MUST_CHECK;

#endif

/* unique: a new index that refuses rows, and what may meet it. For unique.c and the files named after it. */
#ifndef PHASEGATE_CHECK_UNIQUE_H
#define PHASEGATE_CHECK_UNIQUE_H

#include "check/ops.h"

#define UNIQUE_TRIES 20000 /* calls, in one step */

struct key { /* a new index that refuses rows */
    const struct cat_relation *r;
    const struct cat_index *index;
    struct unique_work *work;
    bool is_filled; /* it isn't new itself: see unique_is_filled */
};

struct unique_work { /* of a state */
    int state;
    struct key *keys; /* all that are new in it */
    int n_keys;
    struct reach *reach; /* [n_queries]: see unique_reaches; NULL: not asked yet */
    int tries;
    const struct app_statement *cut; /* the first that there was no room for; NULL: none */
};

/* The columns of the index, and what its expressions name. */
bool unique_has_column(const struct key *k, const struct cat_column *c);
bool unique_writes(const struct fact_write *w, const struct cat_column *c);
/* A default that is another one in every row that leaves the column out. */
bool unique_is_moving(const char *fallback);

/* unique_implied.c: does an index that was there keep apart, by lower() and the like, what the new one does? */
bool unique_is_implied(const struct cat_relation *before, const struct cat_index *old,
                       const struct cat_index *index);

/* What is to be done about a row whose key is taken. */
#define UNIQUE_WAY                                                                                 \
    "let the statement itself say what is to happen then, in a release before this one: change "   \
    "the row that is there, or add none (INSERT ... SELECT ... WHERE NOT EXISTS) where one less "  \
    "is what the application wants; ON CONFLICT needs this index for its target, and without a "   \
    "target DO NOTHING loses the row without a word"

/* ---- unique_filled.c ---------------------------------------------------------------------------------------------- */

/* The index was there, and a new trigger may fill a column of it that stayed NULL. */
bool unique_is_filled(const struct proof *p, int state, const struct key *k);
/* The statement writes what is in such an index by itself, and could meet it before. */
bool unique_knew(const struct proof *p, const struct app_statement *a, const struct key *k);

/* ---- unique_partial.c: an index over some of the rows --------------------------------------------------------- */

/* May it take in a row that the statement leaves behind, with NULL or with some value for what isn't known of it? */
bool unique_may_enter(struct proof *p, const struct key *k, const struct fact_write *w, bool *out,
                      struct err *err) MUST_CHECK;
/* The column by which an UPDATE takes rows into it that weren't there: what they have in the key was never held apart.
 * NULL: it doesn't. */
bool unique_brings(struct proof *p, const struct app_statement *a, const struct key *k,
                   const struct fact_write *w, const struct cat_column **out,
                   struct err *err) MUST_CHECK;

/* Constants of its condition. */
int unique_named(struct proof *p, const struct key *k, const char **out, int most);
/* Gives all rows the same key; is_out: and what hardly any condition asks for. NULL: it is about all rows. */
const char *unique_alike_sql(struct proof *p, const struct key *k, bool is_out);

/* ---- unique_values.c: what another call is given -------------------------------------------------------------- */

#define UNIQUE_OTHER 11 /* a variant: neither of a row of ours, nor of what an INSERT gives */
/* Instead of the value of a parameter; variant 0: what the other one of our rows has. NULL: none is known. */
const char *unique_other_value(struct proof *p, const struct query *q, int param, const char *value,
                               int variant);
struct arg_set unique_copy(struct proof *p, const struct arg_set *set);

/* ---- unique_twice.c: the statement run twice, with the index and without it ------------------------------------- */

#define PRELUDES 2

struct calls { /* one after the other */
    struct arg_set sets[2];
    const char *preludes[PRELUDES]; /* run before them, as the owner; NULL: nothing */
    const char *between;            /* and between them */
    const char *roles[2]; /* who makes the call; NULL: the owner. See shadow_role_become */
    bool from_first;      /* what becomes of the first call tells as well */
};

struct outcome_twice {
    bool ok;                   /* all of it */
    bool second;               /* it came to the second call */
    const char *state, *error; /* where it isn't ok */
    int64_t first, rows;       /* that each call says that it writes */
    int64_t grown;             /* rows more in the table by the second */
    bool left_out;             /* fewer of either than without the index */
};

enum without { NOTHING, THE_INDEX, WHATEVER_ELSE }; /* is taken away before */
/* Each of them over the rows as they are; out: [n]. */
bool unique_run_calls(struct proof *p, const struct app_statement *a, const struct key *k,
                      const struct calls *calls, int n, enum without without,
                      struct outcome_twice *out, struct err *err) MUST_CHECK;
/* Which of them is the first one that collides, and how; -1: none. */
bool unique_try_calls(struct proof *p, const struct app_statement *a, const struct key *k,
                      const struct calls *calls, int n, int *which, struct outcome_twice *with,
                      struct err *err) MUST_CHECK;

/* An UPDATE that takes rows into a partial index: of two with the same key it takes in one, whether there is the index or
 * not. */
bool unique_moves_apart(struct proof *p, const struct app_statement *a, const struct key *k,
                        bool *out, struct err *err) MUST_CHECK;

struct collision {     /* of two calls */
    bool is_found;     /* the second one works without the index, and not as well with it */
    bool is_made_up;   /* not by the author's rows, of which there are several */
    const char *how;   /* in which parameters the second one is another; */
    const char *error; /* how it was refused; NULL: its row was left out */
};
/* Of a statement that writes to the table by whatever way: a trigger, a function. */
bool unique_collides(struct proof *p, const struct app_statement *a, const struct key *k,
                     struct collision *out, struct err *err) MUST_CHECK;

/* A transaction as the owner, as a release's role may not take indexes away: begun, with what comes before the statement
 * in its own; the statement; and all of it run and taken back. */
void unique_begin(struct proof *p, struct ops *o, const struct query *q, const struct key *k,
                  enum without without);
void unique_before(struct ops *o, const struct query *q); /* the statements alone */
int unique_call(struct ops *o, const struct query *q, const struct arg_set *set);
bool unique_can_call(const struct query *q);
bool unique_run(struct proof *p, struct ops *o, struct wire_result *r, struct err *err) MUST_CHECK;
/* Ops that unique_begin and unique_run need room for. */
int unique_room(const struct query *q, const struct key *k);

const char *unique_drop_sql(struct proof *p, const struct cat_relation *r,
                            const struct cat_index *index);

/* ---- unique_reach.c ------------------------------------------------------------------------------------------------- */

/* May it set off something that isn't in its text: functions, triggers, rules? */
bool unique_sets_off(const struct proof *p, const struct query *q);
/* Does it write to the table by a trigger, a rule or a function? */
bool unique_reaches(struct proof *p, const struct app_statement *a, const struct key *k, bool *out,
                    struct err *err) MUST_CHECK;
/* There is no room for n calls more in this step; else they are counted. */
bool unique_is_spent(const struct app_statement *a, const struct key *k, int n);

/* ---- unique_kept.c: an INSERT that looks first --------------------------------------------------------------------- */

/* A second row with the same key isn't made, whether there is the index or not: the statement sees to that itself.
 * through: whose sync makes the key of other columns; NULL: it is written as it is. */
bool unique_is_kept(struct proof *p, const struct app_statement *a, const struct key *k,
                    const struct plan *through, bool *out, struct err *err) MUST_CHECK;
/* Its ON CONFLICT names the index: it couldn't be run before there was one, and the index refuses none of its rows. */
bool unique_is_target(struct proof *p, const struct app_statement *a, const struct key *k,
                      bool *out, struct err *err) MUST_CHECK;

#endif

/* writes: who writes, and who may be asked after it, in one state of the database. For writes.c and writers.c. */
#ifndef PHASEGATE_CHECK_WRITES_H
#define PHASEGATE_CHECK_WRITES_H

#include "check/work.h"

struct pair_of { /* two variants of one call of one release that read */
    const struct app_statement *a, *b;
    int last;       /* world in which both may be asked */
    bool is_across; /* no variants: what two releases that live together run for one call */
};

/* What an application writes in one go: a statement, or a transaction with one variant of each of its calls. */
struct writer {
    const struct app_statement **items;
    int n;
    int first, last;  /* worlds in which it may run, of those that count */
    bool before_sync; /* it ran when no trigger kept the other side yet */
};

/* A value that a writer is given instead of what it has, or that a row has from before. */
struct odd {
    const struct app_statement *a; /* NULL: by sql instead, which takes it as $1 */
    const char *sql;
    int param;      /* 1-based */
    bool by_insert; /* it goes into a new row */
    const char *value, *column;
    const struct plan *plan;
    const struct pair *mapping; /* of its sync, that may make another value of it */
    bool is_guess;              /* nothing says that there are such values */
};

struct sequence {
    const struct writer *writers[2];
    int n;
    const struct odd *odd; /* NULL: none */
};

struct scene {
    struct proof *p;
    int state;
    int trial;    /* release that is tried as the newest one, whatever the worlds are; -1: none */
    bool *counts; /* [n_worlds]: what was written there, no backfill has gone over since */
    bool *bare;   /* [n_worlds]: the same, and there was no sync trigger yet that there is now */
    bool filled;  /* a backfill went over the rows from before */
    struct pair_of *pairs;
    int n_pairs;
    struct writer *writers;
    int n_writers, cap_writers;
    bool *told;  /* [n_pairs] */
    bool quiet;  /* told, but not reported */
    int culprit; /* the newest release whose writing is in what was told last; -1: none */
};

/* args.c: the column that a parameter goes to, or else is compared with; NULL: none that is known. */
const struct cat_column *args_column(const struct proof *p, const struct query *q, int param,
                                     const struct cat_relation **r, bool *is_written,
                                     bool *by_insert);
/* agree.c: what each of a transaction's statements is run with, where values that were made up agree. In the scratch
 * arena. differ: they didn't before. */
struct arg_set *args_agreed(struct proof *p, const struct app_statement *const *items, int n,
                            bool *differ);

/* writes.c: told where both of the pair answer otherwise after these. */
bool writes_run(struct scene *s, int pair, const struct sequence *seq, struct err *err);
const char *writes_row_words(struct proof *p, const struct wire_result *r,
                             const struct wire_result *other);
const char *writes_when_words(struct proof *p, const struct statement *s);

/* mapped_values.c: values for a column, of which an expression may make others. */
#define ODD_VALUES 48
struct odd_values {
    const char *items[ODD_VALUES];
    bool is_guess[ODD_VALUES];
    int n;
};
struct odd_column {
    const struct cat_relation *r;
    const struct cat_column *c;
    const char *expr, *sample; /* sample: a value that it has; NULL: none is known */
    bool is_plain;             /* what is nothing special comes through unharmed */
};
void mapped_values(const struct scene *s, const struct odd_column *of, struct odd_values *out);
/* Some that may come through unharmed. has_own: the first place is for the writer's own. is_guess: they are made for the
 * expression. */
void mapped_plain(const struct scene *s, const struct odd_column *of, bool has_own,
                  struct odd_values *out);

/* mapped.c: the same with values that an expression of a sync may make others of. */
bool mapped_probe(struct scene *s, struct err *err);
void mapped_report(struct scene *s, const struct pair_of *q, const struct odd *odd,
                   const struct wire_result *x, const struct wire_result *y);
/* Is a mapping that may lose something in place on a table that it reads? */
bool mapped_concerns(const struct scene *s, const struct app_statement *a);

/* Finds the pairs of a state and all that may have written before them. In the scratch arena. */
void scene_set(struct scene *s);
/* By name, in its session. */
bool statement_reads(const struct proof *p, const struct app_statement *a,
                     const struct cat_relation *r);
/* Does it write what the pair reads? */
bool writer_concerns(const struct proof *p, const struct writer *w, const struct pair_of *q);

#endif

/* met: arguments and rows that meet conditions: of triggers, checks, views. For args.c, cache.c and refused.c. */
#ifndef PHASEGATE_CHECK_MET_H
#define PHASEGATE_CHECK_MET_H

#include "check/seed.h"

enum { MET_MAX = 6 };

/* Further sets, made up as the first one is; there is room for MET_MAX of them. */
void met_add(struct proof *p, struct query *q);
/* Goes on from h with what met_add looks at that isn't in the catalogue yet: triggers that plans will make. */
uint64_t met_print(const struct proof *p, const struct query *q, uint64_t h);

/* Behind the word what its brackets hold, with them; NULL: there is none. */
const char *met_brackets(struct arena *a, const char *sql, const char *word);
/* Arguments by which a write puts a row into the table that meets the condition. bare: columns stand there by their names,
 * else as new.x and old.x. False: none were found. */
bool met_args(struct proof *p, const struct query *q, const struct fact_write *w,
              const struct cat_relation *r, const char *condition, bool is_bare,
              struct arg_set *set);
/* Values of columns with which a row meets it; bare. Of those that it is about is_fixed is set. */
bool met_row(struct proof *p, const struct cat_relation *r, const char *condition, struct row *out);

#endif

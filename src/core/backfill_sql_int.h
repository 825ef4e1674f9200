/* backfill_sql_int: parts of a backfill's statements, for those that go through a program too. Not for other layers. */
#ifndef PHASEGATE_CORE_BACKFILL_SQL_INT_H
#define PHASEGATE_CORE_BACKFILL_SQL_INT_H

#include "phasegate/backfill_sql.h"
#include "phasegate/str.h"

/* What was put together, in the arena. */
const char *walk_done(struct arena *a, struct str *s);
void walk_add_table(struct str *s, const struct walk *w);
void walk_add_key(struct str *s, const struct walk *w, int i);
void walk_add_keys(struct str *s, const struct walk *w, const char *after);
void walk_add_comparison(struct str *s, const struct walk *w, const char *operator, int first);
void walk_add_range(struct str *s, const struct walk *w, const struct walk_params *p);
void walk_add_todo(struct str *s, const struct walk *w);
/* After "n": the cursor, the journal; n: the first parameter of theirs. */
void walk_add_moved(struct str *s, int n);
void walk_add_later(struct str *s, int n); /* what is behind becomes residual */
void walk_add_answer(struct str *s);

/* ---- backfill_keep_sql.c: where old values are kept; else they add nothing, but the end of "filled". */
/* As a column of what is read under the lock. */
void walk_add_old(struct str *s, const struct walk *w);
/* The end of "filled", which took its rows from held, and what writes them down. */
void walk_add_kept(struct str *s, const struct walk *w, const char *held);

#endif

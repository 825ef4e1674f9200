/* rehearse_sql: what a rehearsal, or a probe of a checklist, asks a database, generated. Pure. */
#ifndef PHASEGATE_REHEARSE_SQL_H
#define PHASEGATE_REHEARSE_SQL_H

#include "phasegate/model.h"

/* One row: how many rows the table has, a sum over them, and one over each column in the order given. Sums don't depend
 * on the order of rows, nor that over rows on the order of columns. */
const char *rehearse_sums_sql(struct arena *a, const char *schema, const char *table,
                              const char *const *columns, int n);

/* A statement as PREPARE name AS ..., its parameters of these types where any are given. */
const char *rehearse_prepare_sql(struct arena *a, const char *name, const char *statement,
                                 const struct text_list *types);
/* One text instead of a statement's rows: how many they are, and a digest of them. */
const char *rehearse_digest_sql(struct arena *a, const char *statement);
/* A prepared one with values as SQL expressions; n 0: without. */
const char *rehearse_execute_sql(struct arena *a, const char *name, const char *const *values,
                                 int n);
/* A value of this type, as SQL; each nth, from 1, another one where there are several. */
const char *rehearse_value_sql(struct arena *a, const char *type, int nth);

#endif

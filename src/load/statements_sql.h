/* statements_sql: arguments and parameters of statements. Private to load. */
#ifndef PHASEGATE_LOAD_STATEMENTS_SQL_H
#define PHASEGATE_LOAD_STATEMENTS_SQL_H

#include "phasegate/statements.h"

/* One row "(1, 'x')" at p, and the comma after it. Returns where it ends, NULL: *why. */
const char *args_parse(struct arena *a, const char *p, struct statement_args *out,
                       const char **why);

/* s->sql -> without its final semicolon, dollar_sql, param_names, n_params. False: *why. */
bool sql_prepare(struct arena *a, struct statement *s, enum param_style style, const char **why);

#endif

/* statements_sql: arguments and parameters of statements. Private to load. */
#ifndef PHASEGATE_LOAD_STATEMENTS_SQL_H
#define PHASEGATE_LOAD_STATEMENTS_SQL_H

#include "phasegate/statements.h"

/* Past a text, a quoted name or a comment that starts at p; p itself when none does; NULL: it never ends.
 * start: of the whole, to see what stands before p. */
const char *sql_skip_opaque(const char *start, const char *p);
bool sql_is_word(char c);

/* One row "(1, 'x')" at p, and the comma after it. Returns where it ends, NULL: *why. */
const char *args_parse(struct arena *a, const char *p, struct statement_args *out,
                       const char **why);
/* "int4, numeric(10,2), app.kind[]" */
bool types_parse(struct arena *a, const char *p, struct text_list *out);

/* sql, which is changed, -> s->sql without its final semicolon, dollar_sql, param_names, n_params, shifts. False:
 * *why, and where in sql. */
bool sql_prepare(struct arena *a, struct statement *s, char *sql, enum param_style style,
                 const char **why, size_t *where);

#endif

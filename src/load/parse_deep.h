/* parse_deep: pg_query_parse and pg_query_normalize for texts of any length. The library goes down into a tree by
 * calling itself, without a limit: 1 + 1 + 1 + ... of 200 kB has as many levels as plus signs. Long texts are therefore
 * parsed on a stack that has room for every level that a text of their length can have. */
#ifndef PHASEGATE_LOAD_PARSE_DEEP_H
#define PHASEGATE_LOAD_PARSE_DEEP_H

#include "phasegate/arena.h"
#include <pg_query.h>

/* Free the results with the library's own functions. No memory for such a stack: an error as of the parser. */
PgQueryParseResult parse_deep(const char *sql);
PgQueryNormalizeResult normalize_deep(const char *sql);

/* What the parser says, without all of the text that it can't read. */
const char *parse_complaint(struct arena *a, const char *message);

#endif

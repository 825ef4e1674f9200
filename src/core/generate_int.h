/* What the generators share; private to core. */
#ifndef PHASEGATE_CORE_GENERATE_INT_H
#define PHASEGATE_CORE_GENERATE_INT_H

#include "phasegate/generate.h"
#include "phasegate/str.h"

#define IDENT_BYTES 63 /* what PostgreSQL keeps of a name */

/* prefix + name. Where that is too long for a name, it is cut between UTF-8 characters and ends in a hash of the
 * whole name, so that two long ones that begin alike stay two. */
const char *generate_name(struct arena *a, const char *prefix, const char *name);

void sql_list_add(struct arena *a, struct sql_list *l, const char *sql);
/* Adds what was built in s, and empties it. */
void sql_list_take(struct arena *a, struct sql_list *l, struct str *s);

#endif

/* canon: a struct as bytes that depend on what it says and on nothing else. */
#ifndef PHASEGATE_LOAD_CANON_H
#define PHASEGATE_LOAD_CANON_H

#include "load/decode.h"

/* Appends every stated field of base, length-prefixed, in the order of the rows; what equals its default
 * is left out, mappings are in the order of their keys. only_runs: just the rows marked so.
 * out is bytes, not a text: it isn't NUL-terminated. */
void canon_add(struct str *out, const struct table *t, const void *base, bool only_runs);
void canon_add_text(struct str *out, const char *key, const char *text);

#endif

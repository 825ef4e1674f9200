/* reference_keys: the keys of a file as Markdown tables, from its JSON Schema. */
#ifndef PHASEGATE_REFERENCE_KEYS_H
#define PHASEGATE_REFERENCE_KEYS_H

#include "cli.h"

/* schema: the text of docs/NAME.schema.json; top: how the file as a whole is called. A section per mapping, the
 * file's own first, in the order in which they are met. */
bool reference_keys(struct arena *a, const char *schema, const char *top, struct str *to,
                    struct err *err) MUST_CHECK;
/* s as the text of a table's cell. */
void reference_cell(struct str *to, const char *s);

#endif

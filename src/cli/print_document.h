/* print_document: what completion, man page and reference share. */
#ifndef PHASEGATE_PRINT_DOCUMENT_H
#define PHASEGATE_PRINT_DOCUMENT_H

#include "cli.h"

bool print_document(struct context *c, const char *key, const struct str *text,
                    struct err *err) MUST_CHECK;
/* Its own options, then those of every command. c NULL: the latter. out has room for OPT_COUNT. */
int options_of(const struct command *c, enum option_id *out);
/* "a|b|c" when the first argument is one of some words, else NULL. */
const char *first_words(struct arena *a, const struct command *c);
bool takes_plans(const struct command *c);

#endif

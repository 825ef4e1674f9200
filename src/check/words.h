/* words: looking for one in a text of SQL, literals and comments included. */
#ifndef PHASEGATE_CHECK_WORDS_H
#define PHASEGATE_CHECK_WORDS_H

#include "phasegate/arena.h"

#include <stdbool.h>

/* Does it stand in the text, as a whole? A name as it is written, a word in any letters. "" never does. */
bool has_name(const char *text, const char *name);
bool has_word(const char *text, const char *word);
/* Behind the word what its brackets hold, with them; NULL: there is none. */
const char *words_brackets(struct arena *a, const char *sql, const char *word);

#endif

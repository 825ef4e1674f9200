/* Words in a text. */
#include "check/words.h"

#include <ctype.h>
#include <string.h>

static bool is_of_word(char c) { return isalnum((unsigned char) c) || c == '_'; }

/* find: strstr or strcasestr. */
static bool stands(const char *text, const char *word,
                   char *(*find)(const char *text, const char *word))
{
    size_t n = strlen(word);

    for (const char *s = text; n > 0 && (s = find(s, word)); s++)
        if ((s == text || !is_of_word(s[-1])) && !is_of_word(s[n]))
            return true;
    return false;
}

bool has_name(const char *text, const char *name) { return stands(text, name, strstr); }
bool has_word(const char *text, const char *word) { return stands(text, word, strcasestr); }

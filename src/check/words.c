/* Words in a text. */
#include "check/words.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

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

const char *words_brackets(struct arena *a, const char *sql, const char *word)
{
    size_t n = strlen(word);
    const char *open = NULL;
    int depth = 0;
    bool in_text = false;

    for (const char *s = sql; *s; s++) {
        bool is_start = s > sql && !is_of_word(s[-1]);

        if (*s == '\'')
            in_text = !in_text;
        if (in_text)
            continue;
        if (!open && is_start && strncasecmp(s, word, n) == 0 &&
            s[n + strspn(s + n, " \n\t")] == '(')
            open = s += n + strspn(s + n, " \n\t");
        depth += open && *s == '(';
        depth -= open && *s == ')';
        if (open && depth == 0)
            return arena_strndup(a, open, (size_t) (s + 1 - open));
    }
    return NULL;
}

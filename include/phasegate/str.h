/* str: a growing text with a ceiling.
 *
 * Everything that comes from outside (a file, an HTTP body, a server message) is gathered in a
 * str, whose ceiling keeps a hostile source from eating the memory. When the ceiling is passed the
 * text is cut there and `full` is set; the caller decides whether that is an error. A zeroed
 * struct is an empty str with the default ceiling (STR_CEILING). The text is always NUL-terminated
 * once anything was added.
 */
#ifndef PHASEGATE_STR_H
#define PHASEGATE_STR_H

#include "phasegate/arena.h"
#include <stdbool.h>
#include <string.h>

#define STR_CEILING ((size_t) 16 << 20)

struct str {
    char *text; /* NULL while empty; use str_text() to read */
    size_t len, cap;
    size_t ceiling; /* bytes; 0 means STR_CEILING */
    bool full;      /* something did not fit */
};

const char *str_text(const struct str *s); /* never NULL */
void str_add(struct str *s, const char *text);
void str_addn(struct str *s, const char *text, size_t n);
void str_addc(struct str *s, char c);
/* The arguments of the formatting ones must not be parts of s itself; the others may. */
void str_addf(struct str *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
void str_vaddf(struct str *s, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
void str_set(struct str *s, const char *text); /* replaces */
void str_clear(struct str *s);                 /* empties, keeps the memory */
void str_free(struct str *s);
static inline void str_auto(struct str *s) { str_free(s); }

/* Bytes of the well-formed UTF-8 sequence that text starts with, of the n that are left (n > 0), or 0: then *bad is how
 * many bytes one U+FFFD stands for, the longest start of a sequence that could have become one. */
size_t str_utf8_length(const char *text, size_t n, size_t *bad);
/* The character that a well-formed sequence of len bytes is. */
unsigned str_utf8_point(const char *text, size_t len);
/* Does a terminal, or who reads it, take it for something else than a letter? Controls, and what turns the direction of
 * the letters beside it. */
bool str_is_control(unsigned point);

/* NULL is the same as NULL, and as nothing else. */
static inline bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

#endif

/* sql_scan: the surface of SQL text, for what the parser throws away: comments, and names as they were written. */
#ifndef PHASEGATE_LOAD_SQL_SCAN_H
#define PHASEGATE_LOAD_SQL_SCAN_H

#include "phasegate/arena.h"

#include <stdbool.h>
#include <stddef.h>

enum sql_token {
    SQL_TOKEN_END,
    SQL_TOKEN_COMMENT,
    SQL_TOKEN_NAME,
    SQL_TOKEN_STRING,
    SQL_TOKEN_OTHER
};

struct sql_scanner {
    const char *text;
    size_t at;
};

/* The next token is text[*from, *to). Blanks are stepped over. Whatever isn't closed ends with the text. */
enum sql_token sql_scan(struct sql_scanner *s, size_t *from, size_t *to);

/* The next statement of a text, semicolon included, whether it can be parsed or not: cut at semicolons that stand in
 * no parenthesis and no BEGIN ATOMIC body. False: there is none. */
bool sql_scan_statement(struct sql_scanner *s, size_t *from, size_t *to);

/* The place behind the next word or sign outside of parentheses; *before: where it stands. 0: there is none before the
 * end, or before a comma when that ends it. */
size_t sql_scan_past(const char *text, size_t at, const char *word, bool comma_ends,
                     size_t *before);
/* text[from, to) without blanks around it and a semicolon behind it; NULL: nothing is left. */
const char *sql_scan_trimmed(struct arena *a, const char *text, size_t from, size_t to);

#endif

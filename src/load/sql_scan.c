#include "load/sql_scan.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

static bool is_name_start(char c)
{
    return isalpha((unsigned char) c) || c == '_' || (unsigned char) c >= 0x80;
}

static bool is_name_part(char c)
{
    return is_name_start(c) || isdigit((unsigned char) c) || c == '$';
}

static size_t past_quoted(const char *s, size_t i, char quote, bool backslashes)
{
    for (i++; s[i]; i++) {
        if (backslashes && s[i] == '\\' && s[i + 1])
            i++;
        else if (s[i] == quote && s[i + 1] == quote)
            i++;
        else if (s[i] == quote)
            return i + 1;
    }
    return i;
}

static size_t past_comment(const char *s, size_t i)
{
    int depth = 0;

    if (s[i] == '-')
        return i + strcspn(s + i, "\n");
    do { /* they nest */
        if (s[i] == '/' && s[i + 1] == '*') {
            depth++;
            i += 2;
        } else if (s[i] == '*' && s[i + 1] == '/') {
            depth--;
            i += 2;
        } else {
            i++;
        }
    } while (depth > 0 && s[i]);
    return i;
}

/* $tag$ ... $tag$; i itself when it's a parameter or a plain sign */
static size_t past_dollar(const char *s, size_t i)
{
    size_t tag = i + 1;

    if (is_name_start(s[tag]))
        while (is_name_part(s[tag]) && s[tag] != '$')
            tag++;
    if (s[tag] != '$')
        return i;
    for (size_t n = tag + 1 - i, k = tag + 1; s[k]; k++)
        if (s[k] == '$' && strncmp(s + k, s + i, n) == 0)
            return k + n;
    return i + strlen(s + i);
}

enum sql_token sql_scan(struct sql_scanner *s, size_t *from, size_t *to)
{
    const char *t = s->text;
    size_t i = s->at + strspn(t + s->at, " \t\r\n\f\v");
    enum sql_token token = SQL_TOKEN_OTHER;

    *from = i;
    if (!t[i]) {
        *to = s->at = i;
        return SQL_TOKEN_END;
    }
    if ((t[i] == '-' && t[i + 1] == '-') || (t[i] == '/' && t[i + 1] == '*')) {
        token = SQL_TOKEN_COMMENT;
        i = past_comment(t, i);
    } else if (t[i] == '\'') {
        token = SQL_TOKEN_STRING;
        i = past_quoted(t, i, '\'', false);
    } else if (t[i] == '"') {
        token = SQL_TOKEN_NAME;
        i = past_quoted(t, i, '"', false);
    } else if ((t[i] == 'E' || t[i] == 'e') && t[i + 1] == '\'') {
        token = SQL_TOKEN_STRING;
        i = past_quoted(t, i + 1, '\'', true);
    } else if (t[i] == '$' && past_dollar(t, i) != i) {
        token = SQL_TOKEN_STRING;
        i = past_dollar(t, i);
    } else if (is_name_start(t[i])) {
        token = SQL_TOKEN_NAME;
        while (is_name_part(t[i]))
            i++;
    } else if (isdigit((unsigned char) t[i])) {
        while (isalnum((unsigned char) t[i]) || t[i] == '.' || t[i] == '_')
            i++;
    } else {
        i++;
    }
    *to = s->at = i;
    return token;
}

static bool is_word(const char *text, size_t from, size_t to, const char *word)
{
    return to - from == strlen(word) && strncasecmp(text + from, word, to - from) == 0;
}

bool sql_scan_statement(struct sql_scanner *s, size_t *from, size_t *to)
{
    int parentheses = 0, blocks = 0;
    bool is_empty = true, after_begin = false;
    size_t a, b;

    for (;;) {
        enum sql_token token = sql_scan(s, &a, &b);
        char c = s->text[a];

        if (token == SQL_TOKEN_END)
            return !is_empty;
        if (token == SQL_TOKEN_COMMENT)
            continue;
        if (is_empty && c == ';')
            continue;
        if (is_empty)
            *from = a;
        is_empty = false;
        *to = b;
        if (token == SQL_TOKEN_NAME) {
            if (after_begin && is_word(s->text, a, b, "atomic"))
                blocks++;
            else if (blocks > 0 && is_word(s->text, a, b, "case"))
                blocks++;
            else if (blocks > 0 && is_word(s->text, a, b, "end"))
                blocks--;
        }
        after_begin = token == SQL_TOKEN_NAME && is_word(s->text, a, b, "begin");
        if (token != SQL_TOKEN_OTHER)
            continue;
        parentheses += (c == '(') - (c == ')' && parentheses > 0);
        if (c == ';' && parentheses == 0 && blocks == 0)
            return true;
    }
}

/* ---- parts of a statement ------------------------------------------------------------------------ */

const char *sql_scan_trimmed(struct arena *a, const char *text, size_t from, size_t to)
{
    while (from < to && strchr(" \t\r\n\f\v", text[from]))
        from++;
    while (to > from && strchr(" \t\r\n\f\v;", text[to - 1]))
        to--;
    return to > from ? arena_strndup(a, text + from, to - from) : NULL;
}

size_t sql_scan_past(const char *text, size_t at, const char *word, bool comma_ends, size_t *before)
{
    struct sql_scanner s = {text, at};
    enum sql_token token;
    size_t from, to;
    int depth = 0;

    while ((token = sql_scan(&s, &from, &to)) != SQL_TOKEN_END) {
        if (depth == 0 && token != SQL_TOKEN_STRING && token != SQL_TOKEN_COMMENT &&
            is_word(text, from, to, word)) {
            *before = from;
            return to;
        }
        if (token != SQL_TOKEN_OTHER)
            continue;
        depth += text[from] == '(' || text[from] == '[';
        depth -= text[from] == ')' || text[from] == ']';
        if (depth < 0 || (depth == 0 && comma_ends && text[from] == ','))
            break;
    }
    return 0;
}

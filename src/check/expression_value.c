/* What an expression is in a row that there is: "lower(mail) = $1" finds a row by that, and none by a value of ours.
 *
 * The expression and the FROM are taken out of the statement's text as they stand, and asked for together. What this
 * doesn't make a query of is none, and nothing is known then.
 */
#include "check/ops.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

static bool is_name_char(char c)
{
    return isalnum((unsigned char) c) || c == '_' || c == '$' || c == '.' || c == '"';
}

static bool is_operator(char c) { return c && strchr("+-*/<>=~!@#%^&|?", c); }

/* The word that ends before `end`, in any letters. */
static bool ends_with_word(const char *sql, const char *end, const char *word)
{
    size_t n = strlen(word);

    return (size_t) (end - sql) >= n && strncasecmp(end - n, word, n) == 0 &&
           (end - n == sql || !is_name_char(end[-(long) n - 1]));
}

/* Back over the expression that ends at `end`, up to what it is a condition of. NULL: its brackets or quotes are odd. */
static const char *start_of(const char *sql, const char *end)
{
    static const char *const before[] = {"where", "and", "or", "on", "not", "when"};
    int depth = 0;

    for (const char *s = end; s > sql; s--) {
        char c = s[-1];

        if (c == '\'') {
            for (s--; s > sql && s[-1] != '\'';)
                s--;
            if (s == sql)
                return NULL;
            continue;
        }
        if (c == ')' || c == ']')
            depth++;
        if (c == '(' || c == '[')
            if (depth-- == 0)
                return s;
        for (size_t i = 0;
             depth == 0 && isspace((unsigned char) s[0]) && i < sizeof before / sizeof *before; i++)
            if (ends_with_word(sql, s, before[i]))
                return s;
        if (c == ',' && depth == 0)
            return s;
    }
    return NULL;
}

/* "lower(mail)" of "lower(mail) = $1"; NULL: it's compared with no more than a column, or not by "=". */
static const char *compared_with(struct arena *a, const char *sql, int param)
{
    char mark[16];
    int len = snprintf(mark, sizeof mark, "$%d", param);
    const char *s = strstr(sql, mark), *end, *start;
    bool is_plain = true;

    while (s && isdigit((unsigned char) s[len]))
        s = strstr(s + 1, mark);
    if (!s)
        return NULL;
    for (end = s; end > sql && isspace((unsigned char) end[-1]);)
        end--;
    if (end == sql || end[-1] != '=' || end - 1 == sql || is_operator(end[-2]))
        return NULL;
    for (end--; end > sql && isspace((unsigned char) end[-1]);)
        end--;
    start = start_of(sql, end);
    while (start && start < end && isspace((unsigned char) *start))
        start++;
    for (const char *c = start; c && c < end; c++)
        is_plain = is_plain && is_name_char(*c);
    const char *text =
        start && start < end ? arena_strndup(a, start, (size_t) (end - start)) : NULL;
    return text && !is_plain && !strchr(text, '$') ? text : NULL;
}

/* Outside of brackets and quotes; NULL: it isn't there. */
static const char *find_word(const char *sql, const char *word)
{
    size_t n = strlen(word);
    int depth = 0;

    for (const char *s = sql; *s; s++) {
        if (*s == '\'') {
            s = strchr(s + 1, '\'');
            if (!s)
                return NULL;
        }
        depth += (*s == '(') - (*s == ')');
        if (depth == 0 && strncasecmp(s, word, n) == 0 && !is_name_char(s[n]) &&
            (s == sql || !is_name_char(s[-1])))
            return s;
    }
    return NULL;
}

/* The tables that the statement is about, as it joins and calls them; NULL: it isn't seen. */
static const char *tables_of(struct arena *a, const struct query *q)
{
    bool updates = q->facts.verb == VERB_UPDATE;
    const char *from = find_word(q->sql, updates ? "update" : "from"),
               *to = from ? find_word(from, updates ? "set" : "where") : NULL;
    size_t skip = strlen(updates ? "update" : "from");

    if (!from || !to || to < from + skip)
        return NULL;
    const char *text = arena_strndup(a, from + skip, (size_t) (to - from) - skip);
    return strchr(text, '$') ? NULL : text;
}

const char *expression_value(struct proof *p, const struct query *q, int param)
{
    const char *path = p->sessions[q->session].search_path;
    const char *of = compared_with(p->scratch, q->sql, param),
               *tables = of ? tables_of(p->scratch, q) : NULL;
    struct wire_op room[4];
    struct wire_result r[4] = {0};
    struct ops o = {room, 0};
    AUTO(err) ignored = {0};

    if (!tables)
        return NULL;
    ops_add(&o, "BEGIN READ ONLY", NULL, false, false);
    ops_add(&o, arena_printf(p->scratch, "SET LOCAL search_path = %s", path ? path : "public"),
            NULL, false, false);
    int own = ops_add(&o,
                      arena_printf(p->scratch,
                                   "SELECT (%s)::pg_catalog.text FROM %s WHERE (%s) IS NOT NULL "
                                   "LIMIT 1",
                                   of, tables, of),
                      NULL, true, true);
    ops_add(&o, "ROLLBACK", NULL, false, true);
    if (!wire_run(p->owner, p->scratch, o.op, o.n, r, &ignored) || !r[own].ok || r[own].skipped ||
        r[own].n_rows != 1)
        return NULL;
    return arena_strdup(p->a, r[own].cell[0][0]);
}

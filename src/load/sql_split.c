/* One text to its statements. The parser's own boundaries are used: a semicolon may stand in a string, in a
 * BEGIN ATOMIC body or in a rule. */
#include "load/parse_deep.h"
#include "load/sql_work.h"
#include "load/utf8.h"

#include <stdlib.h>
#include <string.h>

/* pg_query's results are freed on every path. */
struct parsed {
    PgQueryParseResult result;
};

static void parsed_auto(struct parsed *p) { pg_query_free_parse_result(p->result); }

/* Columns count characters, as editors do. From a place that is known on: a text has many statements. */
static struct pos place_from(const struct sql_text *text, size_t known, struct pos at,
                             size_t offset)
{
    if (at.line <= 0)
        return at;
    for (size_t i = known; i < offset && text->sql[i]; i++) {
        if (text->sql[i] == '\n') {
            at.line++;
            at.col = text->is_indented ? text->at.col : 1;
        } else if (((unsigned char) text->sql[i] & 0xc0) != 0x80) {
            at.col++;
        }
    }
    return at;
}

struct pos sql_place(const struct sql_text *text, size_t offset)
{
    return place_from(text, 0, text->at, offset);
}

static size_t offset_of_character(const char *s, int n)
{
    size_t i = 0;

    for (int seen = 0; s[i]; i++)
        if (((unsigned char) s[i] & 0xc0) != 0x80 && ++seen > n)
            break;
    return i;
}

static size_t skip_comment(const char *s, size_t i, size_t end)
{
    int depth = 0;

    if (s[i] == '-') {
        while (i < end && s[i] != '\n')
            i++;
        return i;
    }
    do { /* they nest */
        if (i + 1 < end && s[i] == '/' && s[i + 1] == '*') {
            depth++;
            i += 2;
        } else if (i + 1 < end && s[i] == '*' && s[i + 1] == '/') {
            depth--;
            i += 2;
        } else {
            i++;
        }
    } while (depth > 0 && i < end);
    return i;
}

static size_t skip_blank(const char *s, size_t i, size_t end)
{
    while (i < end) {
        if (strchr(" \t\r\n\f\v", s[i]))
            i++;
        else if (i + 1 < end &&
                 ((s[i] == '-' && s[i + 1] == '-') || (s[i] == '/' && s[i + 1] == '*')))
            i = skip_comment(s, i, end);
        else
            break;
    }
    return i;
}

/* libpg_query 15 writes a negative integer constant as it writes a zero: without the number. Its place in the
 * text has it. */
static void restore_negatives(json_t *node, const char *sql, size_t all)
{
    json_t *value = json_object_get(json_object_get(node, "A_Const"), "ival"), *item;
    json_int_t location =
        json_integer_value(json_object_get(json_object_get(node, "A_Const"), "location"));
    const char *key;
    size_t i;

    if (json_is_object(value) && json_object_size(value) == 0 && location > 0 &&
        (size_t) location < all && sql[location] == '-') {
        size_t digits = skip_blank(sql, (size_t) location + 1, all);

        json_object_set_new(value, "ival", json_integer(-strtoll(sql + digits, NULL, 10)));
    }
    json_array_foreach(node, i, item) restore_negatives(item, sql, all);
    json_object_foreach(node, key, item) restore_negatives(item, sql, all);
}

static void say_syntax(struct arena *a, const struct sql_text *text, const PgQueryError *error,
                       struct problem_list *problems)
{
    size_t offset = error->cursorpos > 0 ? offset_of_character(text->sql, error->cursorpos - 1) : 0;

    problem_add(problems, sql_place(text, offset),
                "one or more statements of PostgreSQL " PG_MAJORVERSION, NULL, "%s",
                parse_complaint(a, error->message));
}

/* before: the statement that stands before it; NULL: none. */
static void add_statement(struct arena *a, const struct sql_text *text, size_t all,
                          const json_t *raw, const struct sql_part *before, struct sql_part *out)
{
    json_int_t from = json_integer_value(tree_get(raw, "stmt_location"));
    json_int_t len = json_integer_value(tree_get(raw, "stmt_len"));
    size_t start = from > 0 && (size_t) from <= all ? (size_t) from : 0;
    size_t end = len > 0 && (size_t) len <= all - start ? start + (size_t) len : all;

    start = skip_blank(text->sql, start, end);
    while (end > start && strchr(" \t\r\n\f\v;", text->sql[end - 1]))
        end--;
    out->node = tree_get(raw, "stmt");
    out->sql = arena_strndup(a, text->sql + start, end - start);
    out->at = before && before->from <= start ? place_from(text, before->from, before->at, start)
                                              : sql_place(text, start);
    out->from = start;
    out->to = end;
}

bool sql_split(struct arena *a, const struct sql_text *text, const char *what,
               struct sql_parts *out, struct problem_list *problems)
{
    AUTO(parsed) parsed = {0};
    json_error_t error;
    json_t *tree, *list;
    size_t bad, all = strlen(text->sql);

    if (!utf8_is_good(text->sql, all, &bad)) {
        problem_add(problems, text->at, "UTF-8", NULL, "%s isn't valid UTF-8", what);
        return false;
    }
    parsed.result = parse_deep(text->sql);
    if (parsed.result.error) {
        say_syntax(a, text, parsed.result.error, problems);
        return false;
    }
    tree = json_loads(parsed.result.parse_tree, 0, &error);
    list = tree_get(tree, "stmts");
    if (!json_is_array(list)) { /* the reader's limit of depth */
        json_decref(tree);
        problem_add(problems, text->at, NULL, "split it, or make a function of it",
                    "%s is nested too deeply", what);
        return false;
    }
    restore_negatives(tree, text->sql, all);
    out->tree = tree;
    out->items = arena_array(a, struct sql_part, json_array_size(list));
    for (size_t i = 0; i < json_array_size(list); i++)
        if (tree_get(json_array_get(list, i), "stmt")) {
            struct sql_part *own = &out->items[out->n];
            add_statement(a, text, all, json_array_get(list, i), out->n++ ? own - 1 : NULL, own);
        }
    return true;
}

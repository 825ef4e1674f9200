#include "load/sql_tree.h"
#include "phasegate/names.h"

#include <string.h>

json_t *tree_get(const json_t *node, const char *key) { return json_object_get(node, key); }

const char *tree_text(const json_t *node, const char *key)
{
    return json_string_value(json_object_get(node, key));
}

bool tree_flag(const json_t *node, const char *key)
{
    return json_is_true(json_object_get(node, key));
}

bool tree_is(const json_t *node, const char *key, const char *word)
{
    const char *s = tree_text(node, key);

    return s && strcmp(s, word) == 0;
}

json_t *tree_list(const json_t *node, const char *key)
{
    json_t *list = json_object_get(node, key);

    if (json_is_object(list))
        list = json_object_get(tree_as(list, "List"), "items");
    return json_is_array(list) ? list : NULL;
}

int tree_count(const json_t *list) { return (int) json_array_size(list); }

/* Kinds begin with a capital, fields don't. */
const char *tree_kind(const json_t *node)
{
    void *it;
    const char *key;

    if (json_object_size(node) != 1)
        return NULL;
    it = json_object_iter((json_t *) node);
    key = json_object_iter_key(it);
    return key[0] >= 'A' && key[0] <= 'Z' ? key : NULL;
}

json_t *tree_fields(const json_t *node)
{
    const char *kind = tree_kind(node);

    return kind ? json_object_get(node, kind) : (json_t *) node;
}

json_t *tree_as(const json_t *node, const char *kind)
{
    json_t *inner = json_object_get(node, kind);

    return inner ? inner : (json_t *) node;
}

const char *tree_string(const json_t *node)
{
    json_t *inner;
    const char *s;

    if (json_is_string(node))
        return json_string_value(node);
    inner = tree_as(tree_as(node, "A_Const"), "val");
    inner = tree_as(inner, "String");
    s = tree_text(inner, "sval");
    if (!s)
        s = tree_text(inner, "str");
    if (!s && json_is_object(json_object_get(
                  inner, "sval"))) { /* {"sval": {"sval": "x"}}; '' is {"sval": {}} */
        s = tree_text(json_object_get(inner, "sval"), "sval");
        s = s ? s : "";
    }
    if (!s && json_object_get(node, "String"))
        s = "";
    return s;
}

bool tree_integer(const json_t *node, int64_t *out)
{
    json_t *inner = tree_as(tree_as(node, "A_Const"), "val"),
           *value = json_object_get(inner, "ival");
    bool is_wrapped = json_object_get(inner, "Integer") != NULL;

    if (is_wrapped)
        value = json_object_get(json_object_get(inner, "Integer"), "ival");
    else if (json_is_object(value)) { /* {"ival": {"ival": 1}}; 0 is {"ival": {}} */
        is_wrapped = true;
        value = json_object_get(value, "ival");
    }
    if (!json_is_integer(value) && !is_wrapped)
        return false;
    *out = json_integer_value(value);
    return true;
}

bool tree_is_null_const(const json_t *node)
{
    const json_t *inner = json_object_get(node, "A_Const");

    return inner && (tree_flag(inner, "isnull") || json_object_get(tree_get(inner, "val"), "Null"));
}

struct sql_rel tree_rel(const json_t *range_var)
{
    const json_t *rv = tree_as(range_var, "RangeVar");

    return (struct sql_rel) {tree_text(rv, "schemaname"), tree_text(rv, "relname")};
}

struct sql_rel tree_name(const json_t *list, int drop_last)
{
    struct sql_rel rel = {NULL, NULL};
    int n;

    if (json_is_object(list) && json_object_get(list, "List"))
        list = tree_list(list, "List") ? tree_list(list, "List")
                                       : json_object_get(tree_as(list, "List"), "items");
    if (json_is_object(list)) {
        rel.name = tree_string(list);
        return rel;
    }
    n = tree_count(list) - drop_last;
    if (n >= 1)
        rel.name = tree_string(json_array_get(list, (size_t) n - 1));
    if (n >= 2)
        rel.schema = tree_string(json_array_get(list, (size_t) n - 2));
    return rel;
}

const char *tree_last(const json_t *list) { return tree_name(list, 0).name; }

const json_t *tree_option(const json_t *def_elems, const char *name)
{
    size_t i;
    json_t *item;

    json_array_foreach((json_t *) def_elems, i, item)
    {
        const json_t *elem = tree_as(item, "DefElem");

        if (tree_is(elem, "defname", name))
            return elem;
    }
    return NULL;
}

bool tree_walk(const json_t *node, bool (*fn)(void *ctx, const char *kind, const json_t *fields),
               void *ctx)
{
    size_t i;
    json_t *item;
    const char *key;

    if (json_is_array(node)) {
        json_array_foreach((json_t *) node, i, item) if (!tree_walk(item, fn, ctx)) return false;
        return true;
    }
    json_object_foreach((json_t *) node, key, item)
    {
        if (key[0] >= 'A' && key[0] <= 'Z' && !fn(ctx, key, item))
            return false;
        if (!tree_walk(item, fn, ctx))
            return false;
    }
    return true;
}

static bool is_other_kind(void *ctx, const char *kind, const json_t *fields)
{
    (void) fields;
    return strcmp(ctx, kind) != 0;
}

bool tree_has(const json_t *node, const char *kind)
{
    return !tree_walk(node, is_other_kind, (void *) kind);
}

bool word_in(const char *word, const char *const *words)
{
    for (; word && *words; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

const char *quoted_ident(struct arena *a, const char *name)
{
    AUTO(str) s = {0};

    sql_ident(&s, name ? name : "");
    return arena_strdup(a, str_text(&s));
}

const char *quoted_rel(struct arena *a, struct sql_rel rel)
{
    AUTO(str) s = {0};

    sql_qualified(&s, rel.schema, rel.name ? rel.name : "");
    return arena_strdup(a, str_text(&s));
}

const char *quoted_literal(struct arena *a, const char *text)
{
    AUTO(str) s = {0};

    sql_literal(&s, text);
    return arena_strdup(a, str_text(&s));
}

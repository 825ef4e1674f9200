/* reference_keys: the schema says type, default and meaning of every key; here it becomes tables. Mappings that a
 * key holds itself are sections too; types that are shared by name are explained at the end. */
#include "reference_keys.h"

#include <jansson.h>
#include <stdlib.h>

#define SECTIONS_MAX 128
#define DEFS "#/$defs/"

struct section {
    const char *title;
    const json_t *node;
};

struct keys {
    struct arena *arena;
    const json_t *root;
    struct section sections[SECTIONS_MAX];
    int n;
    bool failed; /* more sections than there is room for */
    struct str *to;
};

static const char *text_of(const json_t *node, const char *key)
{
    return json_string_value(json_object_get(node, key));
}

void reference_cell(struct str *to, const char *s)
{
    for (; *s; s++) {
        if (*s == '|')
            str_addc(to, '\\');
        str_addc(to, *s == '\n' ? ' ' : *s);
    }
}

static const char *def_name(const json_t *node)
{
    const char *ref = text_of(node, "$ref");

    return ref && strncmp(ref, DEFS, strlen(DEFS)) == 0 ? ref + strlen(DEFS) : NULL;
}

static const json_t *def_of(const struct keys *k, const char *name)
{
    return json_object_get(json_object_get(k->root, "$defs"), name);
}

static bool is_mapping(const json_t *node) { return json_object_get(node, "properties") != NULL; }

/* GitHub's anchors: lower case, blanks to hyphens, punctuation gone. */
static void link_to(struct str *to, const char *title)
{
    str_addf(to, "[%s](#", title);
    for (const char *s = title; *s; s++)
        if (*s == ' ')
            str_addc(to, '-');
        else if (*s == '_' || *s == '-' || (*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9'))
            str_addc(to, *s);
    str_add(to, ")");
}

/* Remembers a mapping that needs a section of its own; gives its title. */
static const char *section_of(struct keys *k, const char *title, const json_t *node)
{
    for (int i = 0; i < k->n; i++)
        if (k->sections[i].node == node)
            return k->sections[i].title;
    if (k->n == SECTIONS_MAX) {
        k->failed = true;
        return "";
    }
    k->sections[k->n] = (struct section) {arena_strdup(k->arena, title), node};
    return k->sections[k->n++].title;
}

static void type_cell(struct keys *k, const char *title, const json_t *node);

static void words(struct str *to, const json_t *list)
{
    size_t i;
    const json_t *word;

    json_array_foreach(list, i, word)
    {
        char *shown = json_is_string(word) ? NULL : json_dumps(word, JSON_ENCODE_ANY);

        str_addf(to, "%s`%s`", i ? ", " : "", shown ? shown : json_string_value(word));
        free(shown);
    }
}

static void choices(struct keys *k, const char *title, const json_t *any)
{
    size_t i;
    const json_t *one;

    json_array_foreach(any, i, one)
    {
        if (i)
            str_add(k->to, " or ");
        type_cell(k, title, one);
    }
}

static void number_cell(struct keys *k, const json_t *node)
{
    const json_t *low = json_object_get(node, "minimum"), *high = json_object_get(node, "maximum");

    str_add(k->to, "whole number");
    if (low && high && json_integer_value(high) < INT32_MAX)
        str_addf(k->to, " from %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT,
                 json_integer_value(low), json_integer_value(high));
    else if (low)
        str_addf(k->to, " from %" JSON_INTEGER_FORMAT, json_integer_value(low));
}

static void named_type(struct keys *k, const char *name)
{
    const json_t *def = def_of(k, name);

    if (is_mapping(def))
        link_to(k->to, section_of(k, name, def));
    else
        str_addf(k->to, "[%s](#types)", name);
}

static void type_cell(struct keys *k, const char *title, const json_t *node)
{
    const json_t *others = json_object_get(node, "additionalProperties");
    const char *type = text_of(node, "type"), *name = def_name(node);
    AUTO(str) item = {0};

    str_addf(&item, "%s item", title);
    if (name)
        named_type(k, name);
    else if (is_mapping(node))
        link_to(k->to, section_of(k, title, node));
    else if (json_object_get(node, "const")) {
        char *value = json_dumps(json_object_get(node, "const"), JSON_ENCODE_ANY);
        str_addf(k->to, "`%s`", value);
        free(value);
    } else if (json_object_get(node, "enum"))
        words(k->to, json_object_get(node, "enum"));
    else if (json_object_get(node, "anyOf"))
        choices(k, title, json_object_get(node, "anyOf"));
    else if (json_is_array(json_object_get(node, "type")))
        str_add(k->to, "any scalar");
    else if (type && strcmp(type, "array") == 0) {
        str_add(k->to, "list of ");
        type_cell(k, str_text(&item), json_object_get(node, "items"));
    } else if (json_is_object(others)) {
        str_add(k->to, "names, each with ");
        type_cell(k, str_text(&item), others);
    } else if (type && strcmp(type, "integer") == 0)
        number_cell(k, node);
    else
        str_add(k->to, type && strcmp(type, "boolean") == 0 ? "`true`, `false`" : "text");
}

static bool is_required(const json_t *node, const char *key)
{
    size_t i;
    const json_t *one;

    json_array_foreach(json_object_get(node, "required"), i,
                       one) if (strcmp(json_string_value(one), key) == 0) return true;
    return false;
}

static void key_row(struct keys *k, const char *title, const json_t *map, const char *key,
                    const json_t *node)
{
    const json_t *dflt = json_object_get(node, "default");
    AUTO(str) below = {0};

    str_addf(&below, "%s%s%s", title, *title ? "." : "", key);
    str_addf(k->to, "| `%s` | ", key);
    type_cell(k, str_text(&below), node);
    str_add(k->to, " | ");
    if (is_required(map, key))
        str_add(k->to, "**required**");
    else if (dflt) {
        char *value = json_is_string(dflt) ? NULL : json_dumps(dflt, JSON_ENCODE_ANY);
        str_addf(k->to, "`%s`", value ? value : json_string_value(dflt));
        free(value);
    }
    str_add(k->to, " | ");
    reference_cell(k->to, text_of(node, "description") ? text_of(node, "description") : "");
    str_add(k->to, " |\n");
}

/* {required: [a]} of every branch: which keys exclude each other. */
static void one_of(struct keys *k, const json_t *branches)
{
    size_t i;
    const json_t *branch;

    if (!branches)
        return;
    str_add(k->to, "\nExactly one of ");
    json_array_foreach(branches, i, branch)
    {
        if (i)
            str_add(k->to, ", ");
        words(k->to, json_object_get(branch, "required"));
    }
    str_add(k->to, ".\n");
}

static void goes_with(struct keys *k, const json_t *needs)
{
    const char *key;
    json_t *list;

    json_object_foreach((json_t *) needs, key, list)
    {
        str_addf(k->to, "\n`%s` needs ", key);
        words(k->to, list);
        str_add(k->to, ".\n");
    }
}

static void not_together(struct keys *k, const json_t *all)
{
    size_t i;
    const json_t *one;

    json_array_foreach(all, i, one)
    {
        const json_t *list = json_object_get(json_object_get(one, "not"), "required");

        if (!list)
            continue;
        str_add(k->to, "\nNot together: ");
        words(k->to, list);
        str_add(k->to, ".\n");
    }
}

static void section(struct keys *k, const char *title, const json_t *node)
{
    const char *key, *about = text_of(node, "description");
    json_t *value;

    str_addf(k->to, "\n### %s\n\n", title);
    if (about && strcmp(about, title) != 0)
        str_addf(k->to, "%s\n\n", about);
    str_add(k->to, "| key | type | default | meaning |\n|---|---|---|---|\n");
    json_object_foreach(json_object_get(node, "properties"), key, value)
        key_row(k, node == k->root ? "" : title, node, key, value);
    one_of(k, json_object_get(node, "oneOf"));
    goes_with(k, json_object_get(node, "dependentRequired"));
    not_together(k, json_object_get(node, "allOf"));
}

static void types(struct keys *k)
{
    const char *name;
    json_t *def;

    str_add(k->to, "\n### types\n\n| type | what |\n|---|---|\n");
    json_object_foreach(json_object_get(k->root, "$defs"), name, def)
    {
        const char *about = text_of(def, "description"), *pattern = text_of(def, "pattern");

        if (is_mapping(def))
            continue;
        str_addf(k->to, "| %s | ", name);
        if (about)
            reference_cell(k->to, about);
        else if (pattern) {
            str_add(k->to, "A text like `");
            reference_cell(k->to, pattern);
            str_add(k->to, "`.");
        } else
            type_cell(k, name, def);
        str_add(k->to, " |\n");
    }
}

bool reference_keys(struct arena *a, const char *schema, const char *top, struct str *to,
                    struct err *err)
{
    json_error_t why;
    json_t *root = json_loads(schema, JSON_REJECT_DUPLICATES, &why);
    struct keys k = {.arena = a, .root = root, .to = to};

    if (!root)
        return err_set(err, ERR_BUG, "the schema of %s, line %d: %s", top, why.line, why.text);
    section_of(&k, top, root);
    for (int i = 0; i < k.n && !k.failed; i++)
        section(&k, k.sections[i].title, k.sections[i].node);
    types(&k);
    json_decref(root);
    return k.failed ? err_set(err, ERR_BUG, "more than %d sections in the schema of %s",
                              SECTIONS_MAX, top)
                    : true;
}

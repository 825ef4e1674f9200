/* Every relation that a statement names, wherever in it: two plans may meet at a table that is neither's main one. */
#include "load/sql_work.h"

#include <string.h>

static void add_name(struct arena *a, const char *name, struct text_list *out)
{
    if (!name || !*name)
        return;
    for (int i = 0; i < out->n; i++)
        if (strcmp(out->items[i].s, name) == 0)
            return;
    out->items = arena_grow(a, out->items, sizeof *out->items * (size_t) out->n,
                            sizeof *out->items * (size_t) (out->n + 1));
    out->items[out->n++] = (struct text) {.s = arena_strdup(a, name)};
}

/* DROP names its objects by lists of words; a trigger, a policy or a rule by its table and its own name. */
static void add_dropped(struct arena *a, const json_t *drop, struct text_list *out)
{
    const char *type = tree_text(drop, "removeType");
    json_t *objects = tree_list(drop, "objects");
    bool is_of_table =
        type && (strcmp(type, "OBJECT_TRIGGER") == 0 || strcmp(type, "OBJECT_POLICY") == 0 ||
                 strcmp(type, "OBJECT_RULE") == 0);

    if (!type || (!is_of_table && !is_relation_object(type)))
        return;
    for (int i = 0; i < tree_count(objects); i++)
        add_name(a, tree_name(json_array_get(objects, (size_t) i), is_of_table).name, out);
}

/* A RangeVar stands bare where the grammar allows nothing else. */
void sql_relations(struct arena *a, const json_t *node, struct text_list *out)
{
    const char *key;
    json_t *below;
    size_t i;

    if (json_is_array(node)) {
        json_array_foreach((json_t *) node, i, below) sql_relations(a, below, out);
        return;
    }
    if (!json_is_object(node))
        return;
    add_name(a, tree_text(node, "relname"), out);
    if (json_object_get(node, "DropStmt"))
        add_dropped(a, json_object_get(node, "DropStmt"), out);
    json_object_foreach((json_t *) node, key, below) sql_relations(a, below, out);
}

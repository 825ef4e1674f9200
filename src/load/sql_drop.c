/* Closer looks at what takes a name away: DROP, RENAME, SET SCHEMA. */
#include "load/sql_look.h"

#include <string.h>

static const struct sql_rel no_rel;

static bool is_new_object(const struct job *j, const char *type, const json_t *object)
{
    if (is_relation_object(type))
        return is_new_table(j, tree_name(object, 0));
    if (strcmp(type, "OBJECT_TYPE") == 0 || strcmp(type, "OBJECT_DOMAIN") == 0)
        return seen_find(j->seen, MADE_TYPE,
                         tree_name(tree_get(tree_as(object, "TypeName"), "names"), 0), NULL);
    if (strcmp(type, "OBJECT_TRIGGER") == 0 || strcmp(type, "OBJECT_POLICY") == 0 ||
        strcmp(type, "OBJECT_RULE") == 0)
        return is_new_table(j, tree_name(object, 1));
    if (strcmp(type, "OBJECT_SCHEMA") == 0)
        return seen_find(j->seen, MADE_SCHEMA, tree_name(object, 0), NULL);
    return false;
}

static enum drop_kind drop_kind_of(const char *type)
{
    static const struct {
        const char *type;
        enum drop_kind kind;
    } kinds[] = {
        {"OBJECT_TABLE", DROP_TABLE},        {"OBJECT_INDEX", DROP_INDEX},
        {"OBJECT_VIEW", DROP_VIEW},          {"OBJECT_MATVIEW", DROP_VIEW},
        {"OBJECT_TRIGGER", DROP_TRIGGER},    {"OBJECT_FUNCTION", DROP_FUNCTION},
        {"OBJECT_PROCEDURE", DROP_FUNCTION}, {"OBJECT_ROUTINE", DROP_FUNCTION},
    };

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].type, type) == 0)
            return kinds[i].kind;
    return DROP_OTHER;
}

/* Whose names: what the soft drop needs to find the thing again. */
static void name_dropped(struct job *j, const char *type, const json_t *object)
{
    struct sql_rel rel = tree_name(object, 0);
    struct function_name f;

    if (tree_get(object, "ObjectWithArgs")) {
        if (!function_of_object(j->a, object, &f))
            return;
        j->out->schema = arena_strdup(j->a, f.rel.schema);
        j->out->object = function_signature(j->a, &f, false);
    } else if (strcmp(type, "OBJECT_TRIGGER") == 0 || strcmp(type, "OBJECT_POLICY") == 0 ||
               strcmp(type, "OBJECT_RULE") == 0) {
        job_table(j, tree_name(object, 1));
        j->out->object = arena_strdup(j->a, rel.name);
    } else if (strcmp(type, "OBJECT_INDEX") == 0) {
        j->out->schema = arena_strdup(j->a, rel.schema);
        j->out->object = arena_strdup(j->a, rel.name);
    } else if (is_relation_object(type)) {
        job_table(j, rel);
    } else {
        if (tree_get(object, "TypeName"))
            rel = tree_name(tree_get(tree_get(object, "TypeName"), "names"), 0);
        j->out->schema = arena_strdup(j->a, rel.schema);
        j->out->object = arena_strdup(j->a, rel.name);
    }
}

static void lock_dropped(struct job *j, const char *type, const json_t *object)
{
    static const char *const of_table[] = {"OBJECT_TRIGGER", "OBJECT_POLICY", "OBJECT_RULE", NULL};

    if (tree_flag(j->tree, "concurrent"))
        job_lock(j, no_rel, LOCK_SUE, WORK_BRIEF, NULL);
    else if (strcmp(type, "OBJECT_TABLE") == 0)
        job_lock(j, tree_name(object, 0), LOCK_AE, WORK_BRIEF,
                 "brief, also on every table with a foreign key to or from it");
    else if (is_relation_object(type))
        job_lock(j, tree_name(object, 0), LOCK_AE, WORK_BRIEF, NULL);
    else if (word_in(type, of_table))
        job_lock(j, tree_name(object, 1), LOCK_AE, WORK_BRIEF, NULL);
}

void look_drop(struct job *j)
{
    const char *type = tree_text(j->tree, "removeType");
    json_t *list = tree_list(j->tree, "objects"), *object;
    bool all_new = true;
    size_t i;

    if (!type) /* the enum's first value is left out */
        type = "OBJECT_ACCESS_METHOD";
    job_kind(j, arena_printf(j->a, "DROP %s%s", object_word(type),
                             tree_flag(j->tree, "concurrent") ? " CONCURRENTLY" : ""));
    json_array_foreach(list, i, object)
    {
        all_new = all_new && is_new_object(j, type, object);
        lock_dropped(j, type, object);
    }
    name_dropped(j, type, json_array_get(list, 0));
    if (!all_new)
        job_class(j, SQL_DESTRUCTIVE, "what it drops is gone for live releases");
    /* A soft drop hides one thing. */
    j->out->drop = tree_count(list) == 1 ? drop_kind_of(type) : DROP_OTHER;
    j->out->cascades = tree_is(j->tree, "behavior", "DROP_CASCADE");
    j->out->standalone = tree_flag(j->tree, "concurrent");
}

void look_rename_object(struct job *j)
{
    static const char *const harmless[] = {"OBJECT_INDEX", "OBJECT_TRIGGER",       "OBJECT_POLICY",
                                           "OBJECT_RULE",  "OBJECT_STATISTIC_EXT", NULL};
    static const char *const constraint[] = {"OBJECT_TABCONSTRAINT", "OBJECT_DOMCONSTRAINT", NULL};
    const char *type = tree_text(j->tree, "renameType");
    struct sql_rel rel = tree_rel(tree_get(j->tree, "relation"));
    bool is_column =
        type && (strcmp(type, "OBJECT_COLUMN") == 0 || strcmp(type, "OBJECT_ATTRIBUTE") == 0);
    bool is_new = rel.name ? is_new_table(j, rel) ||
                                 (is_column && new_column(j, rel, tree_text(j->tree, "subname")))
                           : type && tree_get(j->tree, "object") &&
                                 is_new_object(j, type, tree_get(j->tree, "object"));

    type = type ? type : "OBJECT_ACCESS_METHOD";
    if (is_column || word_in(type, constraint))
        job_kind(j,
                 arena_printf(j->a, "ALTER %s RENAME %s",
                              is_column ? object_word(tree_text(j->tree, "relationType")) : "TABLE",
                              object_word(type)));
    else
        job_kind(j, arena_printf(j->a, "ALTER %s RENAME", object_word(type)));
    job_table(j, rel);
    j->out->object = arena_strdup(j->a, tree_text(j->tree, "subname"));
    if (strcmp(type, "OBJECT_INDEX") == 0)
        job_lock(j, rel, LOCK_SUE, WORK_BRIEF, NULL);
    else if (rel.name)
        job_lock(j, rel, LOCK_AE, WORK_BRIEF, NULL);
    if (is_new || word_in(type, harmless))
        return;
    if (word_in(type, constraint))
        job_class(j, SQL_RESTRICTIVE,
                  "live releases may name the constraint in ON CONFLICT ON CONSTRAINT or in error "
                  "handling");
    else
        job_class(j, SQL_DESTRUCTIVE, "the old name is gone for live releases");
}

void look_set_schema(struct job *j)
{
    struct sql_rel rel = tree_rel(tree_get(j->tree, "relation"));

    job_kind(j, arena_printf(j->a, "ALTER %s SET SCHEMA",
                             object_word(tree_text(j->tree, "objectType"))));
    job_table(j, rel);
    if (rel.name)
        job_lock(j, rel, LOCK_AE, WORK_BRIEF, NULL);
    if (!is_new_table(j, rel))
        job_class(j, SQL_DESTRUCTIVE, "the old name is gone for live releases");
}

void look_alter_owner(struct job *j)
{
    job_kind(
        j, arena_printf(j->a, "ALTER %s OWNER TO", object_word(tree_text(j->tree, "objectType"))));
}

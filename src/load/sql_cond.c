/* Questions to the catalogue, as boolean expressions. Every name of PostgreSQL's own is qualified, every
 * name of the user's is a quoted literal; a missing schema or type makes an answer false, not an error. */
#include "load/sql_work.h"

#include <string.h>

#define CAT "pg_catalog."

const char *sql_oid(struct arena *a, struct sql_rel rel)
{
    return arena_printf(a, CAT "to_regclass(%s)", quoted_literal(a, quoted_rel(a, rel)));
}

/* The schema in which an unqualified name is made. */
static const char *schema_expr(struct arena *a, const char *schema)
{
    return schema ? quoted_literal(a, schema) : CAT "current_schema()";
}

static const char *namespace_of(struct arena *a, const char *schema)
{
    return arena_printf(a, "(SELECT n.oid FROM " CAT "pg_namespace n WHERE n.nspname = %s)",
                        schema_expr(a, schema));
}

const char *cond_relation(struct arena *a, struct sql_rel rel, const char *relkinds, bool made)
{
    if (made)
        return arena_printf(
            a,
            "EXISTS (SELECT FROM " CAT
            "pg_class c WHERE c.relname = %s AND c.relnamespace = %s AND c.relkind IN (%s))",
            quoted_literal(a, rel.name), namespace_of(a, rel.schema), relkinds);
    return arena_printf(
        a, "EXISTS (SELECT FROM " CAT "pg_class c WHERE c.oid = %s AND c.relkind IN (%s))",
        sql_oid(a, rel), relkinds);
}

const char *cond_class(struct arena *a, struct sql_rel rel, const char *test)
{
    return arena_printf(a, "EXISTS (SELECT FROM " CAT "pg_class c WHERE c.oid = %s AND %s)",
                        sql_oid(a, rel), test);
}

const char *cond_column(struct arena *a, struct sql_rel table, const char *column, const char *more)
{
    return arena_printf(a,
                        "EXISTS (SELECT FROM " CAT
                        "pg_attribute a WHERE a.attrelid = %s AND a.attname = %s AND a.attnum > 0 "
                        "AND NOT a.attisdropped%s)",
                        sql_oid(a, table), quoted_literal(a, column), more);
}

const char *cond_type_is(struct arena *a, const struct sql_type *t)
{
    const char *type = arena_printf(a, CAT "to_regtype(%s)", quoted_literal(a, t->text));

    if (!t->typmod_known)
        return arena_printf(a, " AND a.atttypid = %s", type);
    return arena_printf(
        a, " AND " CAT "format_type(a.atttypid, a.atttypmod) = " CAT "format_type(%s, %lld)", type,
        (long long) t->typmod);
}

const char *cond_type(struct arena *a, struct sql_rel type, const char *typtype, bool made)
{
    const char *kind =
        typtype ? arena_printf(a, " AND t.typtype = %s", quoted_literal(a, typtype)) : "";

    if (made)
        return arena_printf(a,
                            "EXISTS (SELECT FROM " CAT
                            "pg_type t WHERE t.typname = %s AND t.typnamespace = %s%s)",
                            quoted_literal(a, type.name), namespace_of(a, type.schema), kind);
    return arena_printf(
        a, "EXISTS (SELECT FROM " CAT "pg_type t WHERE t.oid = " CAT "to_regtype(%s)%s)",
        quoted_literal(a, quoted_rel(a, type)), kind);
}

const char *cond_on_table(struct arena *a, const char *catalog, const char *rel_column,
                          const char *name_column, struct sql_rel table, const char *name)
{
    return arena_printf(a, "EXISTS (SELECT FROM " CAT "%s x WHERE x.%s = %s AND x.%s = %s)",
                        catalog, rel_column, sql_oid(a, table), name_column,
                        quoted_literal(a, name));
}

const char *cond_constraint(struct arena *a, struct sql_rel table, const char *name,
                            const char *more)
{
    return arena_printf(
        a, "EXISTS (SELECT FROM " CAT "pg_constraint k WHERE k.conrelid = %s AND k.conname = %s%s)",
        sql_oid(a, table), quoted_literal(a, name), more);
}

const char *cond_domain_constraint(struct arena *a, struct sql_rel domain, const char *name,
                                   const char *more)
{
    return arena_printf(a,
                        "EXISTS (SELECT FROM " CAT "pg_constraint k WHERE k.contypid = " CAT
                        "to_regtype(%s) AND k.conname = %s%s)",
                        quoted_literal(a, quoted_rel(a, domain)), quoted_literal(a, name), more);
}

const char *cond_index(struct arena *a, struct sql_rel table, const char *index, const char *more)
{
    return arena_printf(
        a,
        "EXISTS (SELECT FROM " CAT "pg_index i JOIN " CAT
        "pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = %s AND c.relname = %s%s)",
        sql_oid(a, table), quoted_literal(a, index), more);
}

const char *cond_trigger(struct arena *a, struct sql_rel table, const char *name, const char *more)
{
    return arena_printf(
        a,
        "EXISTS (SELECT FROM " CAT
        "pg_trigger t WHERE t.tgrelid = %s AND t.tgname = %s AND NOT t.tgisinternal%s)",
        sql_oid(a, table), quoted_literal(a, name), more);
}

const char *cond_catalog(struct arena *a, const char *catalog, const char *column, const char *name)
{
    return arena_printf(a, "EXISTS (SELECT FROM " CAT "%s x WHERE x.%s = %s)", catalog, column,
                        quoted_literal(a, name));
}

const char *cond_not(struct arena *a, const char *condition)
{
    return arena_printf(a, "NOT %s", condition);
}

const char *cond_and(struct arena *a, const char *one, const char *other)
{
    if (!one || !other)
        return NULL;
    return arena_printf(a, "%s AND %s", one, other);
}

/* ---- functions ------------------------------------------------------------------------------------ */

/* OUT and TABLE parameters are no part of a function's identity. */
static bool is_input(const json_t *parameter)
{
    const char *mode = tree_text(parameter, "mode");

    return !mode || (strcmp(mode, "FUNC_PARAM_OUT") != 0 && strcmp(mode, "FUNC_PARAM_TABLE") != 0);
}

static bool add_arg(struct arena *a, struct function_name *f, const json_t *type_name)
{
    struct sql_type type;

    if (!tree_type(a, type_name, &type))
        return false;
    f->args[f->n_args++] = type.text;
    return true;
}

bool function_of_create(struct arena *a, const json_t *create, struct function_name *out)
{
    json_t *list = tree_list(create, "parameters"), *item;
    size_t i;

    *out = (struct function_name) {.rel = tree_name(tree_get(create, "funcname"), 0),
                                   .has_args = true};
    out->args = arena_array(a, const char *, json_array_size(list) + 1);
    json_array_foreach(list, i, item)
    {
        const json_t *p = tree_as(item, "FunctionParameter");

        if (is_input(p) && !add_arg(a, out, tree_get(p, "argType")))
            return false;
    }
    return out->rel.name != NULL;
}

bool function_of_object(struct arena *a, const json_t *object_with_args, struct function_name *out)
{
    const json_t *o = tree_as(object_with_args, "ObjectWithArgs");
    json_t *list = tree_list(o, "objargs"), *item;
    size_t i;

    *out = (struct function_name) {.rel = tree_name(tree_get(o, "objname"), 0),
                                   .has_args = !tree_flag(o, "args_unspecified")};
    out->args = arena_array(a, const char *, json_array_size(list) + 1);
    json_array_foreach(list, i, item) if (!add_arg(a, out, item)) return false;
    return out->rel.name != NULL;
}

const char *function_is(struct arena *a, const struct function_name *f, bool made)
{
    AUTO(str) s = {0};

    str_addf(&s, "p.proname = %s", quoted_literal(a, f->rel.name));
    if (made || f->rel.schema)
        str_addf(&s, " AND p.pronamespace = %s", namespace_of(a, f->rel.schema));
    else
        str_add(&s, " AND " CAT "pg_function_is_visible(p.oid)");
    if (f->has_args)
        str_addf(&s, " AND p.pronargs = %d", f->n_args);
    for (int i = 0; f->has_args && i < f->n_args; i++)
        str_addf(&s, " AND p.proargtypes[%d] = " CAT "to_regtype(%s)", i,
                 quoted_literal(a, f->args[i]));
    return arena_strdup(a, str_text(&s));
}

const char *cond_function(struct arena *a, const struct function_name *f, bool made,
                          const char *more)
{
    return arena_printf(a, "EXISTS (SELECT FROM " CAT "pg_proc p WHERE %s%s)",
                        function_is(a, f, made), more);
}

const char *function_signature(struct arena *a, const struct function_name *f, bool with_schema)
{
    struct sql_rel rel = {with_schema ? f->rel.schema : NULL, f->rel.name};
    AUTO(str) s = {0};

    str_add(&s, quoted_rel(a, rel));
    if (f->has_args)
        str_addc(&s, '(');
    for (int i = 0; f->has_args && i < f->n_args; i++)
        str_addf(&s, "%s%s", i > 0 ? ", " : "", f->args[i]);
    if (f->has_args)
        str_addc(&s, ')');
    return arena_strdup(a, str_text(&s));
}

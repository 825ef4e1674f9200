/* Expressions: what a default leaves in the rows of old writers, and whether it makes PostgreSQL rewrite
 * the table. */
#include "load/sql_work.h"

#include <string.h>

static const char *const volatile_functions[] = {"random",           "random_normal",
                                                 "clock_timestamp",  "timeofday",
                                                 "gen_random_uuid",  "gen_random_bytes",
                                                 "uuidv4",           "uuidv7",
                                                 "uuid_generate_v1", "uuid_generate_v1mc",
                                                 "uuid_generate_v4", "nextval",
                                                 "setval",           "currval",
                                                 "lastval",          "pg_sleep",
                                                 "set_config",       NULL};

static const char *const unique_functions[] = {"gen_random_uuid",
                                               "uuidv4",
                                               "uuidv7",
                                               "uuid_generate_v1",
                                               "uuid_generate_v1mc",
                                               "uuid_generate_v4",
                                               "nextval",
                                               "gen_random_bytes",
                                               NULL};

static const char *const calm_functions[] = {"now",
                                             "transaction_timestamp",
                                             "statement_timestamp",
                                             "timezone",
                                             "date_trunc",
                                             "date_part",
                                             "to_char",
                                             "to_date",
                                             "to_timestamp",
                                             "to_number",
                                             "make_date",
                                             "make_time",
                                             "make_timestamp",
                                             "make_timestamptz",
                                             "make_interval",
                                             "lower",
                                             "upper",
                                             "btrim",
                                             "ltrim",
                                             "rtrim",
                                             "length",
                                             "char_length",
                                             "octet_length",
                                             "left",
                                             "right",
                                             "replace",
                                             "concat",
                                             "concat_ws",
                                             "format",
                                             "md5",
                                             "encode",
                                             "decode",
                                             "abs",
                                             "round",
                                             "floor",
                                             "ceil",
                                             "trunc",
                                             "json_build_object",
                                             "json_build_array",
                                             "jsonb_build_object",
                                             "jsonb_build_array",
                                             "to_json",
                                             "to_jsonb",
                                             "current_setting",
                                             "current_schema",
                                             "int4range",
                                             "int8range",
                                             "numrange",
                                             "tsrange",
                                             "tstzrange",
                                             "daterange",
                                             "array_length",
                                             "cardinality",
                                             NULL};

enum volatility expr_call_volatility(const json_t *func_call)
{
    const char *name = tree_last(tree_get(func_call, "funcname"));

    if (word_in(name, volatile_functions))
        return IS_VOLATILE;
    return word_in(name, calm_functions) ? NOT_VOLATILE : MAYBE_VOLATILE;
}

static bool note_function(void *ctx, const char *kind, const json_t *fields)
{
    enum volatility *found = ctx;

    if (strcmp(kind, "FuncCall") == 0 && expr_call_volatility(fields) > *found)
        *found = expr_call_volatility(fields);
    return *found != IS_VOLATILE;
}

enum volatility expr_volatility(const json_t *expr)
{
    enum volatility found = NOT_VOLATILE;

    tree_walk(expr, note_function, &found);
    return found;
}

static bool is_no_unique_call(void *ctx, const char *kind, const json_t *fields)
{
    (void) ctx;
    return strcmp(kind, "FuncCall") != 0 ||
           !word_in(tree_last(tree_get(fields, "funcname")), unique_functions);
}

bool expr_is_unique(const json_t *expr)
{
    return expr && !tree_walk(expr, is_no_unique_call, NULL);
}

static enum fills fills_of(struct job *j, const json_t *def)
{
    struct sql_type type;
    enum fills fills = FILLS_NULL;
    size_t i;
    json_t *item;

    if (tree_type(j->a, tree_get(def, "typeName"), &type) && type.is_serial)
        return FILLS_UNIQUE;
    json_array_foreach(tree_list(def, "constraints"), i, item)
    {
        const json_t *c = tree_as(item, "Constraint"), *expr = tree_get(c, "raw_expr");

        if (tree_is(c, "contype", "CONSTR_IDENTITY"))
            return FILLS_UNIQUE;
        if (tree_is(c, "contype", "CONSTR_GENERATED"))
            fills = FILLS_COMPUTED;
        if (tree_is(c, "contype", "CONSTR_DEFAULT") && !tree_is_null_const(expr))
            fills = expr_is_unique(expr) ? FILLS_UNIQUE : FILLS_SAME;
    }
    return fills;
}

void remember_column(struct job *j, struct sql_rel table, const json_t *def)
{
    struct made *made = seen_add(j->seen, MADE_COLUMN, table, tree_text(def, "colname"));
    struct sql_type type = {0};
    size_t i;
    json_t *item;

    if (tree_type(j->a, tree_get(def, "typeName"), &type))
        made->type = type.text;
    made->fills = fills_of(j, def);
    json_array_foreach(tree_list(def, "constraints"), i,
                       item) if (tree_is(tree_as(item, "Constraint"), "contype", "CONSTR_NOTNULL"))
        made->is_not_null = true;
}

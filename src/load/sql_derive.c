/* How to see that a statement is done already, and the statement that takes it back. Derived only where
 * both are certain: what can't be known from the text (an earlier default, type or definition) stays NULL. */
#include "load/sql_work.h"

#include <string.h>

void job_derived(struct job *j, const char *condition, const char *undo)
{
    if (condition)
        j->out->applied_when = arena_printf(j->a, "SELECT %s", condition);
    j->out->undo = undo;
    j->out->undo_lossless = undo != NULL;
}

static bool is_temporary(const json_t *relation)
{
    return tree_is(tree_as(relation, "RangeVar"), "relpersistence", "t");
}

static const char *drop_of(struct job *j, const char *word, struct sql_rel rel)
{
    return arena_printf(j->a, "DROP %s %s", word, quoted_rel(j->a, rel));
}

/* ---- what is made --------------------------------------------------------------------------------- */

static void create_table(struct job *j)
{
    const json_t *relation = tree_get(j->tree, "relation");
    struct sql_rel rel = tree_rel(relation);

    if (is_temporary(relation)) /* gone with the session */
        return;
    job_derived(j, cond_relation(j->a, rel, "'r', 'p'", true), drop_of(j, "TABLE", rel));
}

static void create_foreign_table(struct job *j)
{
    const json_t *base = tree_get(j->tree, "base");
    struct sql_rel rel = tree_rel(tree_get(tree_as(base, "CreateStmt"), "relation"));

    if (rel.name)
        job_derived(j, cond_relation(j->a, rel, "'f'", true), drop_of(j, "FOREIGN TABLE", rel));
}

static void create_table_as(struct job *j)
{
    const json_t *relation = tree_get(tree_as(tree_get(j->tree, "into"), "IntoClause"), "rel");
    bool is_view = tree_is(j->tree, "objtype", "OBJECT_MATVIEW");
    struct sql_rel rel = tree_rel(relation);

    if (rel.name && !is_temporary(relation))
        job_derived(j, cond_relation(j->a, rel, is_view ? "'m'" : "'r'", true),
                    drop_of(j, is_view ? "MATERIALIZED VIEW" : "TABLE", rel));
}

static void create_view(struct job *j)
{
    const json_t *relation = tree_get(j->tree, "view");
    struct sql_rel rel = tree_rel(relation);

    /* OR REPLACE: whether the view there is this one, only the server could tell. */
    if (!is_temporary(relation) && !tree_flag(j->tree, "replace"))
        job_derived(j, cond_relation(j->a, rel, "'v'", true), drop_of(j, "VIEW", rel));
}

static void create_sequence(struct job *j)
{
    const json_t *relation = tree_get(j->tree, "sequence");
    struct sql_rel rel = tree_rel(relation);

    if (!is_temporary(relation))
        job_derived(j, cond_relation(j->a, rel, "'S'", true), drop_of(j, "SEQUENCE", rel));
}

static void create_index(struct job *j)
{
    struct sql_rel table = tree_rel(tree_get(j->tree, "relation"));
    struct sql_rel index = {table.schema, tree_text(j->tree, "idxname")};
    bool is_concurrent = tree_flag(j->tree, "concurrent");
    /* On the parent alone it stays invalid until every partition's index is attached. */
    bool is_only = !tree_flag(tree_as(tree_get(j->tree, "relation"), "RangeVar"), "inh");
    const char *sql;

    if (!index.name)
        return;
    sql = quoted_rel(j->a, index);
    job_derived(j,
                cond_index(j->a, table, index.name,
                           is_only ? "" : " AND i.indisvalid AND i.indisready AND i.indislive"),
                arena_printf(j->a, "DROP INDEX %s%s", is_concurrent ? "CONCURRENTLY " : "", sql));
    if (!is_concurrent)
        return;
    j->out->half_made_when =
        arena_printf(j->a, "SELECT %s",
                     cond_index(j->a, table, index.name,
                                " AND NOT (i.indisvalid AND i.indisready AND i.indislive)"));
    j->out->clean_up = arena_printf(j->a, "DROP INDEX CONCURRENTLY IF EXISTS %s", sql);
}

static void create_type(struct job *j)
{
    bool is_domain = tree_get(j->tree, "domainname") != NULL,
         is_row = tree_get(j->tree, "typevar") != NULL;
    struct sql_rel rel =
        is_row ? tree_rel(tree_get(j->tree, "typevar"))
               : tree_name(tree_get(j->tree, is_domain ? "domainname" : "typeName"), 0);
    const char *kind = is_domain                                ? "d"
                       : is_row                                 ? "c"
                       : strcmp(j->node, "CreateEnumStmt") == 0 ? "e"
                                                                : "r";

    if (rel.name)
        job_derived(j, cond_type(j->a, rel, kind, true),
                    drop_of(j, is_domain ? "DOMAIN" : "TYPE", rel));
}

static void create_schema(struct job *j)
{
    struct sql_rel rel = {NULL, j->out->object};

    if (rel.name && tree_count(tree_list(j->tree, "schemaElts")) == 0)
        job_derived(j, cond_catalog(j->a, "pg_namespace", "nspname", rel.name),
                    drop_of(j, "SCHEMA", rel));
}

static void create_extension(struct job *j)
{
    struct sql_rel rel = {NULL, tree_text(j->tree, "extname")};

    if (!rel.name || tree_option(tree_list(j->tree, "options"), "cascade"))
        return;
    job_derived(j, cond_catalog(j->a, "pg_extension", "extname", rel.name),
                drop_of(j, "EXTENSION", rel));
}

static void create_trigger(struct job *j)
{
    struct sql_rel table = tree_rel(tree_get(j->tree, "relation"));
    const char *name = tree_text(j->tree, "trigname");

    if (tree_flag(j->tree, "replace"))
        return;
    job_derived(j, cond_trigger(j->a, table, name, ""),
                arena_printf(j->a, "DROP TRIGGER %s ON %s", quoted_ident(j->a, name),
                             quoted_rel(j->a, table)));
}

static void create_policy(struct job *j)
{
    struct sql_rel table = tree_rel(tree_get(j->tree, "table"));
    const char *name = tree_text(j->tree, "policy_name");

    job_derived(j, cond_on_table(j->a, "pg_policy", "polrelid", "polname", table, name),
                arena_printf(j->a, "DROP POLICY %s ON %s", quoted_ident(j->a, name),
                             quoted_rel(j->a, table)));
}

static void create_rule(struct job *j)
{
    struct sql_rel table = tree_rel(tree_get(j->tree, "relation"));
    const char *name = tree_text(j->tree, "rulename");

    if (!tree_flag(j->tree, "replace"))
        job_derived(j, cond_on_table(j->a, "pg_rewrite", "ev_class", "rulename", table, name),
                    arena_printf(j->a, "DROP RULE %s ON %s", quoted_ident(j->a, name),
                                 quoted_rel(j->a, table)));
}

static void create_statistics(struct job *j)
{
    struct sql_rel rel = tree_name(tree_get(j->tree, "defnames"), 0);
    const char *schema =
        rel.schema ? quoted_literal(j->a, rel.schema) : "pg_catalog.current_schema()";

    if (!rel.name)
        return;
    job_derived(
        j,
        arena_printf(
            j->a,
            "EXISTS (SELECT FROM pg_catalog.pg_statistic_ext s JOIN pg_catalog.pg_namespace n ON "
            "n.oid = s.stxnamespace WHERE s.stxname = %s AND n.nspname = %s)",
            quoted_literal(j->a, rel.name), schema),
        drop_of(j, "STATISTICS", rel));
}

static void create_publication(struct job *j)
{
    struct sql_rel rel = {NULL, tree_text(j->tree, "pubname")};

    job_derived(j, cond_catalog(j->a, "pg_publication", "pubname", rel.name),
                drop_of(j, "PUBLICATION", rel));
}

static void create_role(struct job *j)
{
    struct sql_rel rel = {NULL, tree_text(j->tree, "role")};

    job_derived(j, cond_catalog(j->a, "pg_roles", "rolname", rel.name), drop_of(j, "ROLE", rel));
}

static void add_enum_value(struct job *j)
{
    struct sql_rel type = tree_name(tree_get(j->tree, "typeName"), 0);
    const char *old = tree_text(j->tree, "oldVal"), *label = tree_text(j->tree, "newVal");
    static const char shape[] = "EXISTS (SELECT FROM pg_catalog.pg_enum e WHERE e.enumtypid = "
                                "pg_catalog.to_regtype(%s) AND e.enumlabel = %s)";
    const char *name = quoted_literal(j->a, quoted_rel(j->a, type));
    const char *has_new = arena_printf(j->a, shape, name, quoted_literal(j->a, label ? label : ""));

    if (!old) { /* PostgreSQL can't take a label away */
        job_derived(j, has_new, NULL);
        return;
    }
    job_derived(
        j,
        cond_and(j->a, has_new,
                 cond_not(j->a, arena_printf(j->a, shape, name, quoted_literal(j->a, old)))),
        arena_printf(j->a, "ALTER TYPE %s RENAME VALUE %s TO %s", quoted_rel(j->a, type),
                     quoted_literal(j->a, label ? label : ""), quoted_literal(j->a, old)));
}

static void alter_domain(struct job *j)
{
    struct sql_rel rel = tree_name(tree_get(j->tree, "typeName"), 0);
    const char *subtype = tree_text(j->tree, "subtype"), *sql = quoted_rel(j->a, rel);
    const json_t *def = tree_as(tree_get(j->tree, "def"), "Constraint");
    const char *added = tree_text(def, "conname"), *name = tree_text(j->tree, "name");
    const char *type = arena_printf(
        j->a,
        "EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.oid = pg_catalog.to_regtype(%s) AND ",
        quoted_literal(j->a, sql));

    switch (subtype ? subtype[0] : '\0') {
    case 'O':
        job_derived(j, arena_printf(j->a, "%st.typnotnull)", type),
                    arena_printf(j->a, "ALTER DOMAIN %s DROP NOT NULL", sql));
        break;
    case 'N':
        job_derived(j, arena_printf(j->a, "%sNOT t.typnotnull)", type),
                    arena_printf(j->a, "ALTER DOMAIN %s SET NOT NULL", sql));
        break;
    case 'C':
        if (added)
            job_derived(j, cond_domain_constraint(j->a, rel, added, ""),
                        arena_printf(j->a, "ALTER DOMAIN %s DROP CONSTRAINT %s", sql,
                                     quoted_ident(j->a, added)));
        break;
    case 'X':
        job_derived(
            j,
            cond_and(j->a, arena_printf(j->a, "%strue)", type),
                     cond_not(j->a, cond_domain_constraint(j->a, rel, name ? name : "", ""))),
            NULL);
        break;
    case 'V':
        job_derived(j, cond_domain_constraint(j->a, rel, name ? name : "", " AND k.convalidated"),
                    NULL);
        break;
    case 'T':
        if (!tree_get(j->tree, "def"))
            job_derived(j, arena_printf(j->a, "%st.typdefault IS NULL)", type), NULL);
        break;
    default: break;
    }
}

/* ---- functions ------------------------------------------------------------------------------------ */

static const char *option_text(const json_t *options, const char *name)
{
    const json_t *elem = tree_option(options, name);

    return elem ? tree_string(tree_get(elem, "arg")) : NULL;
}

static bool option_is_true(const json_t *options, const char *name)
{
    const json_t *arg = tree_get(tree_option(options, name), "arg");
    int64_t n = 0;

    return tree_flag(tree_as(arg, "Boolean"), "boolval") || (tree_integer(arg, &n) && n != 0);
}

/* A replaced function is in place when everything that the statement states is as it states it. */
static const char *same_function(struct job *j)
{
    static const char *const compared[] = {"as",       "language",  "volatility", "strict",
                                           "security", "leakproof", "parallel",   NULL};
    json_t *options = tree_list(j->tree, "options"), *item, *body;
    const char *language = option_text(options, "language"),
               *volatility = option_text(options, "volatility");
    const char *parallel = option_text(options, "parallel");
    size_t i;

    json_array_foreach(
        options, i,
        item) if (!word_in(tree_text(tree_as(item, "DefElem"), "defname"), compared)) return NULL;
    json_array_foreach(
        tree_list(j->tree, "parameters"), i,
        item) if (tree_get(tree_as(item, "FunctionParameter"), "defexpr")) return NULL;
    body = tree_get(tree_option(options, "as"), "arg");
    body = tree_get(tree_as(body, "List"), "items");
    if (tree_count(body) != 1 || !language || tree_get(j->tree, "sql_body"))
        return NULL;
    return arena_printf(
        j->a,
        " AND p.prosrc = %s AND p.provolatile = '%c' AND p.proisstrict = %s AND p.prosecdef = %s "
        "AND p.proleakproof = %s AND p.proparallel = '%c' AND p.proconfig IS NULL"
        " AND p.prolang = (SELECT l.oid FROM pg_catalog.pg_language l WHERE l.lanname = %s)",
        quoted_literal(j->a, tree_string(json_array_get(body, 0))),
        volatility ? volatility[0] : 'v', option_is_true(options, "strict") ? "true" : "false",
        option_is_true(options, "security") ? "true" : "false",
        option_is_true(options, "leakproof") ? "true" : "false", parallel ? parallel[0] : 'u',
        quoted_literal(j->a, language));
}

static void create_function(struct job *j)
{
    bool is_procedure = tree_flag(j->tree, "is_procedure"),
         is_replace = tree_flag(j->tree, "replace");
    const char *more = is_replace ? same_function(j) : "";
    struct function_name f;

    if (!function_of_create(j->a, j->tree, &f))
        return;
    j->out->object = function_signature(j->a, &f, false);
    const char *drop = arena_printf(j->a, "DROP %s %s", is_procedure ? "PROCEDURE" : "FUNCTION",
                                    function_signature(j->a, &f, true));
    if (more)
        job_derived(j, cond_function(j->a, &f, true, more), is_replace ? NULL : drop);
    const char *asked =
        is_replace ? asked_function(j->a, &f, tree_list(j->tree, "parameters"), drop) : NULL;
    if (asked)
        job_asked(j, asked);
}

/* ---- data and the session: nothing to derive -------------------------------------------------------- */

static const struct row {
    const char *node;
    void (*derive)(struct job *j);
} rows[] = {
    {"CreateStmt", create_table},
    {"CreateForeignTableStmt", create_foreign_table},
    {"CreateTableAsStmt", create_table_as},
    {"ViewStmt", create_view},
    {"CreateSeqStmt", create_sequence},
    {"IndexStmt", create_index},
    {"CreateEnumStmt", create_type},
    {"CompositeTypeStmt", create_type},
    {"CreateRangeStmt", create_type},
    {"CreateDomainStmt", create_type},
    {"CreateSchemaStmt", create_schema},
    {"CreateExtensionStmt", create_extension},
    {"CreateTrigStmt", create_trigger},
    {"CreatePolicyStmt", create_policy},
    {"RuleStmt", create_rule},
    {"CreateStatsStmt", create_statistics},
    {"CreatePublicationStmt", create_publication},
    {"CreateRoleStmt", create_role},
    {"CreateFunctionStmt", create_function},
    {"AlterEnumStmt", add_enum_value},
    {"AlterDomainStmt", alter_domain},
    {"AlterTableStmt", derive_alter_table},
    {"RenameStmt", derive_rename},
    {"AlterObjectSchemaStmt", derive_set_schema},
    {"DropStmt", derive_drop},
    {"CommentStmt", derive_comment},
    {"GrantStmt", derive_grant},
};

void sql_derive(struct job *j)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].node, j->node) == 0)
            rows[i].derive(j);
}

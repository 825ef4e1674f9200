/* Closer looks at what is made or altered, ALTER TABLE apart. */
#include "load/sql_look.h"

#include <string.h>

static const struct sql_rel no_rel;

static void lock_references(struct job *j, const json_t *constraints)
{
    size_t i;
    json_t *item;

    json_array_foreach((json_t *) constraints, i, item)
    {
        const json_t *c = tree_as(item, "Constraint");

        if (tree_is(c, "contype", "CONSTR_FOREIGN"))
            job_lock(j, tree_rel(tree_get(c, "pktable")), LOCK_SRE, WORK_BRIEF, NULL);
    }
}

void look_create_table(struct job *j)
{
    struct sql_rel rel = tree_rel(tree_get(j->tree, "relation"));
    bool is_partition = tree_get(j->tree, "partbound") != NULL;
    json_t *elements = tree_list(j->tree, "tableElts"),
           *parents = tree_list(j->tree, "inhRelations"), *item;
    size_t i;

    if (is_partition)
        job_kind(j, "CREATE TABLE PARTITION OF");
    json_array_foreach(parents, i, item)
        job_lock(j, tree_rel(item), is_partition ? LOCK_AE : LOCK_SUE, WORK_BRIEF, NULL);
    json_array_foreach(elements, i, item)
    {
        if (tree_get(item, "ColumnDef"))
            lock_references(j, tree_list(tree_get(item, "ColumnDef"), "constraints"));
        if (tree_get(item, "TableLikeClause"))
            job_lock(j, tree_rel(tree_get(tree_get(item, "TableLikeClause"), "relation")), LOCK_AS,
                     WORK_BRIEF, NULL);
    }
    lock_references(j, elements);
    lock_references(j, tree_list(j->tree, "constraints"));
    seen_add(j->seen, MADE_RELATION, rel, NULL);
}

static bool lock_read_table(void *ctx, const char *kind, const json_t *fields)
{
    if (strcmp(kind, "RangeVar") == 0)
        job_lock(ctx, tree_rel(fields), LOCK_AS, WORK_BRIEF, NULL);
    return true;
}

void look_create_table_as(struct job *j)
{
    struct sql_rel rel =
        tree_rel(tree_get(tree_as(tree_get(j->tree, "into"), "IntoClause"), "rel"));

    if (tree_is(j->tree, "objtype", "OBJECT_MATVIEW"))
        job_kind(j, "CREATE MATERIALIZED VIEW");
    tree_walk(tree_get(j->tree, "query"), lock_read_table, j);
    job_table(j, rel);
    seen_add(j->seen, MADE_RELATION, rel, NULL);
}

void look_create_view(struct job *j)
{
    struct sql_rel rel = tree_rel(tree_get(j->tree, "view"));

    tree_walk(tree_get(j->tree, "query"), lock_read_table, j);
    if (tree_flag(j->tree, "replace")) {
        job_kind(j, "CREATE OR REPLACE VIEW");
        job_lock(j, rel, LOCK_AE, WORK_BRIEF, NULL);
        if (!is_new_table(j, rel))
            job_class(j, SQL_UNKNOWN, "may change what live releases read from the view");
    }
    seen_add(j->seen, MADE_RELATION, rel, NULL);
}

void look_create_sequence(struct job *j)
{
    seen_add(j->seen, MADE_RELATION, tree_rel(tree_get(j->tree, "sequence")), NULL);
}

void look_create_type(struct job *j)
{
    struct sql_rel rel = tree_name(tree_get(j->tree, "typeName"), 0);

    if (tree_get(j->tree, "typevar"))
        rel = tree_rel(tree_get(j->tree, "typevar"));
    if (tree_get(j->tree, "domainname"))
        rel = tree_name(tree_get(j->tree, "domainname"), 0);
    j->out->schema = arena_strdup(j->a, rel.schema);
    j->out->object = arena_strdup(j->a, rel.name);
    if (rel.name)
        seen_add(j->seen, MADE_TYPE, rel, NULL);
}

void look_create_schema(struct job *j)
{
    struct sql_rel rel = {NULL, tree_text(j->tree, "schemaname")};

    if (!rel.name)
        rel.name = tree_text(tree_as(tree_get(j->tree, "authrole"), "RoleSpec"), "rolename");
    j->out->object = arena_strdup(j->a, rel.name);
    if (rel.name)
        seen_add(j->seen, MADE_SCHEMA, rel, NULL);
}

void look_create_function(struct job *j)
{
    struct sql_rel rel = tree_name(tree_get(j->tree, "funcname"), 0);
    bool is_replace = tree_flag(j->tree, "replace"),
         is_procedure = tree_flag(j->tree, "is_procedure");

    job_kind(j, is_procedure ? is_replace ? "CREATE OR REPLACE PROCEDURE" : "CREATE PROCEDURE"
                : is_replace ? "CREATE OR REPLACE FUNCTION"
                             : "CREATE FUNCTION");
    if (is_replace && !seen_find(j->seen, MADE_FUNCTION, rel, NULL))
        job_class(j, SQL_UNKNOWN, "may change what a function does that live releases call");
    j->out->schema = arena_strdup(j->a, rel.schema);
    seen_add(j->seen, MADE_FUNCTION, rel, NULL);
}

void look_create_trigger(struct job *j)
{
    struct sql_rel rel = tree_rel(tree_get(j->tree, "relation"));

    if (tree_flag(j->tree, "replace"))
        job_kind(j, "CREATE OR REPLACE TRIGGER");
    else if (tree_flag(j->tree, "isconstraint"))
        job_kind(j, "CREATE CONSTRAINT TRIGGER");
    j->out->object = arena_strdup(j->a, tree_text(j->tree, "trigname"));
    job_lock(j, rel, LOCK_SRE, WORK_BRIEF, NULL);
    if (!is_new_table(j, rel))
        job_class(j, SQL_UNKNOWN,
                  "its function runs on writes of live releases and may change or refuse them");
}

void look_create_policy(struct job *j)
{
    struct sql_rel rel = tree_rel(tree_get(j->tree, "table"));

    j->out->object = arena_strdup(j->a, tree_text(j->tree, "policy_name"));
    /* "permissive" is left out when false */
    if (!tree_flag(j->tree, "permissive") && !is_new_table(j, rel))
        job_class(j, SQL_RESTRICTIVE, "a restrictive policy hides rows from live releases");
}

void look_create_rule(struct job *j)
{
    j->out->object = arena_strdup(j->a, tree_text(j->tree, "rulename"));
    if (!is_new_table(j, tree_rel(tree_get(j->tree, "relation"))))
        job_class(j, SQL_RESTRICTIVE, "a rule rewrites the statements of live releases");
}

void look_alter_enum(struct job *j)
{
    struct sql_rel rel = tree_name(tree_get(j->tree, "typeName"), 0);

    j->out->schema = arena_strdup(j->a, rel.schema);
    j->out->object = arena_strdup(j->a, rel.name);
    if (!tree_text(j->tree, "oldVal")) {
        j->out->standalone = true;
        return;
    }
    job_kind(j, "ALTER TYPE RENAME VALUE");
    if (!seen_find(j->seen, MADE_TYPE, rel, NULL))
        job_class(j, SQL_DESTRUCTIVE, "the old label is gone for live releases");
}

void look_alter_domain(struct job *j)
{
    static const struct {
        char subtype;
        const char *kind;
        enum sql_class class;
        const char *why;
        enum lock_mode lock;
        enum work work;
    } forms[] = {
        {'T', "ALTER DOMAIN SET DEFAULT", SQL_ADDITIVE},
        {'N', "ALTER DOMAIN DROP NOT NULL", SQL_ADDITIVE},
        {'O', "ALTER DOMAIN SET NOT NULL", SQL_RESTRICTIVE,
         "NOT NULL refuses rows that live releases may write", LOCK_S, WORK_SCAN},
        {'C', "ALTER DOMAIN ADD CONSTRAINT", SQL_RESTRICTIVE,
         "CHECK refuses values that live releases may write, NOT VALID or not", LOCK_S, WORK_SCAN},
        {'X', "ALTER DOMAIN DROP CONSTRAINT", SQL_DESTRUCTIVE,
         "the constraint is gone for whoever relies on it"},
        {'V', "ALTER DOMAIN VALIDATE CONSTRAINT", SQL_ADDITIVE, NULL, LOCK_S, WORK_SCAN},
    };
    struct sql_rel rel = tree_name(tree_get(j->tree, "typeName"), 0);
    const char *subtype = tree_text(j->tree, "subtype");
    bool is_new = seen_find(j->seen, MADE_TYPE, rel, NULL) != NULL;

    j->out->schema = arena_strdup(j->a, rel.schema);
    j->out->object = arena_strdup(j->a, rel.name);
    for (size_t i = 0; subtype && i < sizeof forms / sizeof *forms; i++) {
        if (forms[i].subtype != subtype[0])
            continue;
        job_kind(j, forms[i].kind);
        if (!is_new)
            job_class(j, forms[i].class, forms[i].why);
        if (!tree_flag(tree_as(tree_get(j->tree, "def"), "Constraint"), "skip_validation"))
            job_lock(j, no_rel, forms[i].lock, forms[i].work,
                     "scans every table that uses the domain");
    }
    if (subtype && subtype[0] == 'T' && !tree_get(j->tree, "def")) {
        job_kind(j, "ALTER DOMAIN DROP DEFAULT");
        if (!is_new)
            job_class(j, SQL_RESTRICTIVE, "inserts of live releases may rely on the default");
    }
    j->out->standalone = subtype && subtype[0] == 'V';
}

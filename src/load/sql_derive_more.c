/* DROP, RENAME, SET SCHEMA, COMMENT, GRANT: done already, and back again. */
#include "load/sql_work.h"

#include <string.h>

/* ---- DROP: what is gone can't be made again from the statement ------------------------------------------ */

static const char *relkinds_of(const char *type)
{
    static const struct {
        const char *type, *kinds;
    } kinds[] = {
        {"OBJECT_TABLE", "'r', 'p'"}, {"OBJECT_FOREIGN_TABLE", "'f'"}, {"OBJECT_VIEW", "'v'"},
        {"OBJECT_MATVIEW", "'m'"},    {"OBJECT_INDEX", "'i', 'I'"},    {"OBJECT_SEQUENCE", "'S'"},
    };

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].type, type) == 0)
            return kinds[i].kinds;
    return NULL;
}

static const char *exists(struct job *j, const char *type, const json_t *object)
{
    struct sql_rel rel = tree_name(object, 0), table = tree_name(object, 1);
    struct function_name f;

    if (relkinds_of(type))
        return cond_relation(j->a, rel, relkinds_of(type), false);
    if (tree_get(object, "TypeName"))
        return cond_type(j->a, tree_name(tree_get(tree_get(object, "TypeName"), "names"), 0), NULL,
                         false);
    if (tree_get(object, "ObjectWithArgs"))
        return function_of_object(j->a, object, &f) ? cond_function(j->a, &f, false, "") : NULL;
    if (strcmp(type, "OBJECT_TRIGGER") == 0)
        return cond_trigger(j->a, table, rel.name, "");
    if (strcmp(type, "OBJECT_POLICY") == 0)
        return cond_on_table(j->a, "pg_policy", "polrelid", "polname", table, rel.name);
    if (strcmp(type, "OBJECT_RULE") == 0)
        return cond_on_table(j->a, "pg_rewrite", "ev_class", "rulename", table, rel.name);
    if (strcmp(type, "OBJECT_SCHEMA") == 0)
        return cond_catalog(j->a, "pg_namespace", "nspname", rel.name);
    if (strcmp(type, "OBJECT_EXTENSION") == 0)
        return cond_catalog(j->a, "pg_extension", "extname", rel.name);
    if (strcmp(type, "OBJECT_PUBLICATION") == 0)
        return cond_catalog(j->a, "pg_publication", "pubname", rel.name);
    return NULL;
}

void derive_drop(struct job *j)
{
    static const char *const known[] = {"OBJECT_FUNCTION", "OBJECT_PROCEDURE", "OBJECT_ROUTINE",
                                        "OBJECT_AGGREGATE", NULL};
    const char *type = tree_text(j->tree, "removeType"), *all = NULL;
    json_t *list = tree_list(j->tree, "objects"), *object;
    size_t i;

    if (!type)
        return;
    json_array_foreach(list, i, object)
    {
        const char *one = exists(j, type, object);

        if (!one || (tree_get(object, "ObjectWithArgs") && !word_in(type, known)))
            return;
        all = i == 0 ? cond_not(j->a, one) : cond_and(j->a, all, cond_not(j->a, one));
    }
    job_derived(j, all, NULL);
}

/* ---- RENAME ------------------------------------------------------------------------------------------- */

struct rename {
    const char *type, *from, *to;
    struct sql_rel rel; /* of what it is part of, or itself */
};

static const char *there(struct job *j, const struct rename *r, const char *name)
{
    struct sql_rel itself = {r->rel.schema, name};

    if (relkinds_of(r->type))
        return cond_relation(j->a, itself, relkinds_of(r->type), false);
    if (strcmp(r->type, "OBJECT_COLUMN") == 0 || strcmp(r->type, "OBJECT_ATTRIBUTE") == 0)
        return cond_column(j->a, r->rel, name, "");
    if (strcmp(r->type, "OBJECT_TABCONSTRAINT") == 0)
        return cond_constraint(j->a, r->rel, name, "");
    if (strcmp(r->type, "OBJECT_DOMCONSTRAINT") == 0)
        return cond_domain_constraint(j->a, r->rel, name, "");
    if (strcmp(r->type, "OBJECT_TRIGGER") == 0)
        return cond_trigger(j->a, r->rel, name, "");
    if (strcmp(r->type, "OBJECT_POLICY") == 0)
        return cond_on_table(j->a, "pg_policy", "polrelid", "polname", r->rel, name);
    if (strcmp(r->type, "OBJECT_SCHEMA") == 0)
        return cond_catalog(j->a, "pg_namespace", "nspname", name);
    if (strcmp(r->type, "OBJECT_TYPE") == 0 || strcmp(r->type, "OBJECT_DOMAIN") == 0)
        return cond_type(j->a, itself, NULL, false);
    return NULL;
}

static const char *rename_back(struct job *j, const struct rename *r)
{
    struct sql_rel renamed = {r->rel.schema, r->to};
    const char *from = quoted_ident(j->a, r->from), *to = quoted_ident(j->a, r->to),
               *rel = quoted_rel(j->a, r->rel);
    const char *owner = object_word(tree_text(j->tree, "relationType"));

    if (relkinds_of(r->type) || strcmp(r->type, "OBJECT_TYPE") == 0 ||
        strcmp(r->type, "OBJECT_DOMAIN") == 0)
        return arena_printf(j->a, "ALTER %s %s RENAME TO %s", object_word(r->type),
                            quoted_rel(j->a, renamed), from);
    if (strcmp(r->type, "OBJECT_SCHEMA") == 0)
        return arena_printf(j->a, "ALTER SCHEMA %s RENAME TO %s", to, from);
    if (strcmp(r->type, "OBJECT_COLUMN") == 0)
        return arena_printf(j->a, "ALTER %s %s RENAME COLUMN %s TO %s", owner, rel, to, from);
    if (strcmp(r->type, "OBJECT_ATTRIBUTE") == 0)
        return arena_printf(j->a, "ALTER TYPE %s RENAME ATTRIBUTE %s TO %s", rel, to, from);
    if (strcmp(r->type, "OBJECT_TABCONSTRAINT") == 0)
        return arena_printf(j->a, "ALTER TABLE %s RENAME CONSTRAINT %s TO %s", rel, to, from);
    if (strcmp(r->type, "OBJECT_DOMCONSTRAINT") == 0)
        return arena_printf(j->a, "ALTER DOMAIN %s RENAME CONSTRAINT %s TO %s", rel, to, from);
    return arena_printf(j->a, "ALTER %s %s ON %s RENAME TO %s", object_word(r->type), to, rel,
                        from);
}

void derive_rename(struct job *j)
{
    struct rename r = {tree_text(j->tree, "renameType"), tree_text(j->tree, "subname"),
                       tree_text(j->tree, "newname"), tree_rel(tree_get(j->tree, "relation"))};
    const json_t *object = tree_get(j->tree, "object");
    const char *is_new, *is_old;

    if (!r.type || !r.to)
        return;
    if (!r.rel.name && object && !tree_get(object, "ObjectWithArgs"))
        r.rel = tree_name(object, 0);
    if (!r.from)
        r.from = r.rel.name;
    if (!r.from)
        return;
    is_new = there(j, &r, r.to);
    is_old = there(j, &r, r.from);
    if (is_new && is_old)
        job_derived(j, cond_and(j->a, is_new, cond_not(j->a, is_old)), rename_back(j, &r));
}

void derive_set_schema(struct job *j)
{
    const char *type = tree_text(j->tree, "objectType"), *schema = tree_text(j->tree, "newschema");
    struct sql_rel rel = tree_rel(tree_get(j->tree, "relation")), moved = {schema, rel.name};

    if (!type || !rel.name || !schema || !relkinds_of(type))
        return;
    /* Unqualified, the old schema isn't known, and the new one may be in the search_path as well. */
    job_derived(j,
                rel.schema
                    ? cond_and(j->a, cond_relation(j->a, moved, relkinds_of(type), false),
                               cond_not(j->a, cond_relation(j->a, rel, relkinds_of(type), false)))
                    : cond_relation(j->a, moved, relkinds_of(type), false),
                rel.schema ? arena_printf(j->a, "ALTER %s %s SET SCHEMA %s", object_word(type),
                                          quoted_rel(j->a, moved), quoted_ident(j->a, rel.schema))
                           : NULL);
}

/* ---- COMMENT ------------------------------------------------------------------------------------------ */

/* out_oid and out_catalog: what obj_description takes. */
static const char *commented(struct job *j, const char *type, const json_t *object,
                             const char **out_oid, const char **out_catalog)
{
    struct sql_rel rel = tree_name(object, 0), table = tree_name(object, 1);
    const char *word = object_word(type);

    if (is_relation_object(type)) {
        *out_oid = sql_oid(j->a, rel);
        *out_catalog = "pg_class";
        return arena_printf(j->a, "%s %s", word, quoted_rel(j->a, rel));
    }
    if (strcmp(type, "OBJECT_SCHEMA") == 0) {
        *out_oid = arena_printf(j->a, "pg_catalog.to_regnamespace(%s)",
                                quoted_literal(j->a, quoted_ident(j->a, rel.name)));
        *out_catalog = "pg_namespace";
        return arena_printf(j->a, "SCHEMA %s", quoted_ident(j->a, rel.name));
    }
    if (tree_get(object, "TypeName")) {
        rel = tree_name(tree_get(tree_get(object, "TypeName"), "names"), 0);
        *out_oid = arena_printf(j->a, "pg_catalog.to_regtype(%s)",
                                quoted_literal(j->a, quoted_rel(j->a, rel)));
        *out_catalog = "pg_type";
        return arena_printf(j->a, "%s %s", word, quoted_rel(j->a, rel));
    }
    if (strcmp(type, "OBJECT_TABCONSTRAINT") == 0) {
        *out_oid = arena_printf(j->a,
                                "(SELECT k.oid FROM pg_catalog.pg_constraint k WHERE k.conrelid = "
                                "%s AND k.conname = %s)",
                                sql_oid(j->a, table), quoted_literal(j->a, rel.name));
        *out_catalog = "pg_constraint";
        return arena_printf(j->a, "CONSTRAINT %s ON %s", quoted_ident(j->a, rel.name),
                            quoted_rel(j->a, table));
    }
    return NULL;
}

void derive_comment(struct job *j)
{
    const char *type = tree_text(j->tree, "objtype"), *text = tree_text(j->tree, "comment");
    const json_t *object = tree_get(j->tree, "object");
    struct sql_rel column = tree_name(object, 0), table = tree_name(object, 1);
    const char *target, *value, *oid = NULL, *catalog = NULL;
    bool is_removal = !text || !*text;

    if (!type || !object)
        return;
    if (strcmp(type, "OBJECT_COLUMN") == 0) {
        value = "pg_catalog.col_description(a.attrelid, a.attnum)";
        target = arena_printf(j->a, "COLUMN %s.%s", quoted_rel(j->a, table),
                              quoted_ident(j->a, column.name));
        job_derived(j,
                    cond_column(j->a, table, column.name,
                                arena_printf(j->a, is_removal ? " AND %s IS NULL" : " AND %s = %s",
                                             value, quoted_literal(j->a, text))),
                    NULL);
        value = arena_printf(j->a,
                             "(SELECT %s FROM pg_catalog.pg_attribute a WHERE a.attrelid = %s AND "
                             "a.attname = %s AND NOT a.attisdropped)",
                             value, sql_oid(j->a, table), quoted_literal(j->a, column.name));
    } else {
        target = commented(j, type, object, &oid, &catalog);
        if (!target)
            return;
        value = arena_printf(j->a, "pg_catalog.obj_description(%s, '%s')", oid, catalog);
        job_derived(j,
                    is_removal ? arena_printf(j->a, "%s IS NOT NULL AND %s IS NULL", oid, value)
                               : arena_printf(j->a, "COALESCE(%s = %s, false)", value,
                                              quoted_literal(j->a, text)),
                    NULL);
    }
    /* An earlier comment isn't in the statement; only what the plan itself made had none. */
    bool is_new = is_relation_object(type)
                      ? is_new_table(j, column)
                      : is_new_table(j, table) || new_column(j, table, column.name);
    if (!is_new)
        job_asked(j, asked_comment(j->a, target, value));
    else if (!is_removal)
        j->out->undo = arena_printf(j->a, "COMMENT ON %s IS NULL", target),
        j->out->undo_lossless = true;
}

/* ---- GRANT -------------------------------------------------------------------------------------------- */

struct grant {
    json_t *objects, *privileges, *grantees;
    const char *word, *catalog, *name, *acl; /* TABLE, pg_class, relname ... */
    bool is_schema;
};

static const char *object_sql(struct job *j, const struct grant *g, const json_t *object)
{
    return g->is_schema ? quoted_ident(j->a, tree_string(object))
                        : quoted_rel(j->a, tree_rel(object));
}

static const char *object_oid(struct job *j, const struct grant *g, const json_t *object)
{
    if (g->is_schema)
        return arena_printf(j->a, "pg_catalog.to_regnamespace(%s)",
                            quoted_literal(j->a, object_sql(j, g, object)));
    return sql_oid(j->a, tree_rel(object));
}

static const char *role_oid(struct job *j, const json_t *role)
{
    const json_t *r = tree_as(role, "RoleSpec");

    if (tree_is(r, "roletype", "ROLESPEC_PUBLIC"))
        return "0";
    return arena_printf(j->a, "(SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = %s)",
                        quoted_literal(j->a, tree_text(r, "rolename")));
}

static const char *upper(struct arena *a, const char *s)
{
    char *out = arena_strdup(a, s);

    for (char *p = out; *p; p++)
        if (*p >= 'a' && *p <= 'z')
            *p = (char) (*p - 'a' + 'A');
    return out;
}

static const char *privilege_word(struct job *j, const json_t *privilege)
{
    return upper(j->a, tree_text(tree_as(privilege, "AccessPriv"), "priv_name"));
}

/* One right of one object for one role, directly and not by way of a membership. */
static const char *holds(struct job *j, const struct grant *g, const json_t *object,
                         const json_t *privilege, const json_t *role, const char *option)
{
    return arena_printf(
        j->a,
        "EXISTS (SELECT FROM pg_catalog.%s o, pg_catalog.aclexplode(COALESCE(o.%s, "
        "pg_catalog.acldefault('%s', o.%sowner))) x WHERE o.oid = %s AND x.grantee = %s AND "
        "x.privilege_type = %s%s)",
        g->catalog, g->acl,
        g->is_schema                       ? "n"
        : strcmp(g->word, "SEQUENCE") == 0 ? "s"
                                           : "r",
        g->is_schema ? "nsp" : "rel", object_oid(j, g, object), role_oid(j, role),
        quoted_literal(j->a, privilege_word(j, privilege)), option);
}

/* Every right of every object for every role. */
static const char *granted(struct job *j, const struct grant *g, bool is_grant, const char *option)
{
    size_t i, k, m;
    json_t *object, *privilege, *role;
    AUTO(str) s = {0};

    json_array_foreach(g->objects, i, object) json_array_foreach(g->privileges, k, privilege)
        json_array_foreach(g->grantees, m, role)
            str_addf(&s, "%s%s%s", s.len > 0 ? " AND " : "", is_grant ? "" : "NOT ",
                     holds(j, g, object, privilege, role, option));
    return arena_strdup(j->a, str_text(&s));
}

static const char *role_sql(struct job *j, const json_t *role)
{
    const json_t *r = tree_as(role, "RoleSpec");

    return tree_is(r, "roletype", "ROLESPEC_PUBLIC") ? "PUBLIC"
                                                     : quoted_ident(j->a, tree_text(r, "rolename"));
}

/* Of several rights some may be there: only what isn't is taken back, and only what is is given back. */
static const char *asked_grant(struct job *j, const struct grant *g, bool is_grant)
{
    size_t i, k, m;
    json_t *object, *privilege, *role;
    AUTO(str) s = {0};

    json_array_foreach(g->objects, i, object) json_array_foreach(g->privileges, k, privilege)
        json_array_foreach(g->grantees, m, role)
    {
        const char *back =
            arena_printf(j->a, "%s %s ON %s %s %s %s", is_grant ? "REVOKE" : "GRANT",
                         privilege_word(j, privilege), g->word, object_sql(j, g, object),
                         is_grant ? "FROM" : "TO", role_sql(j, role));
        const char *option =
            is_grant ? "false" : holds(j, g, object, privilege, role, " AND x.is_grantable");
        str_addf(&s, "%s(%s, %s, %s)", s.len > 0 ? ", " : "",
                 holds(j, g, object, privilege, role, ""), quoted_literal(j->a, back), option);
    }
    return arena_printf(j->a,
                        "(SELECT pg_catalog.string_agg(r.back || CASE WHEN r.option THEN ' WITH "
                        "GRANT OPTION' ELSE '' END, ';\n') FROM (VALUES %s) r(held, back, option) "
                        "WHERE %sr.held)",
                        str_text(&s), is_grant ? "NOT " : "");
}

static const char *grant_back(struct job *j, const struct grant *g)
{
    size_t i;
    json_t *item;
    AUTO(str) s = {0};

    str_add(&s, "REVOKE ");
    json_array_foreach(g->privileges, i, item)
        str_addf(&s, "%s%s", i > 0 ? ", " : "", privilege_word(j, item));
    str_addf(&s, " ON %s ", g->word);
    json_array_foreach(g->objects, i, item)
        str_addf(&s, "%s%s", i > 0 ? ", " : "", object_sql(j, g, item));
    str_add(&s, " FROM ");
    json_array_foreach(g->grantees, i, item)
        str_addf(&s, "%s%s", i > 0 ? ", " : "", role_sql(j, item));
    return arena_strdup(j->a, str_text(&s));
}

static bool read_grant(struct job *j, struct grant *g)
{
    static const struct {
        const char *type, *word, *catalog, *acl;
    } kinds[] = {
        {"OBJECT_TABLE", "TABLE", "pg_class", "relacl"},
        {"OBJECT_SEQUENCE", "SEQUENCE", "pg_class", "relacl"},
        {"OBJECT_SCHEMA", "SCHEMA", "pg_namespace", "nspacl"},
    };
    const char *type = tree_text(j->tree, "objtype");
    size_t i;
    json_t *item;

    for (i = 0; type && i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].type, type) == 0)
            *g = (struct grant) {.word = kinds[i].word,
                                 .catalog = kinds[i].catalog,
                                 .acl = kinds[i].acl,
                                 .is_schema = i == 2};
    if (!g->word || !tree_is(j->tree, "targtype", "ACL_TARGET_OBJECT") ||
        tree_is(j->tree, "behavior", "DROP_CASCADE"))
        return false;
    g->objects = tree_list(j->tree, "objects");
    g->privileges = tree_list(j->tree, "privileges"); /* ALL: empty */
    g->grantees = tree_list(j->tree, "grantees");
    json_array_foreach(g->privileges, i,
                       item) if (tree_get(tree_as(item, "AccessPriv"), "cols") ||
                                 !tree_text(tree_as(item, "AccessPriv"), "priv_name")) return false;
    json_array_foreach(
        g->grantees, i,
        item) if (!tree_is(tree_as(item, "RoleSpec"), "roletype", "ROLESPEC_PUBLIC") &&
                  !tree_is(tree_as(item, "RoleSpec"), "roletype", "ROLESPEC_CSTRING")) return false;
    return tree_count(g->objects) > 0 && tree_count(g->privileges) > 0 &&
           tree_count(g->grantees) > 0;
}

void derive_grant(struct job *j)
{
    struct grant g = {0};
    bool is_grant = tree_flag(j->tree, "is_grant"),
         with_option = tree_flag(j->tree, "grant_option");
    bool is_one, is_own;

    if (!read_grant(j, &g) || (!is_grant && with_option))
        return;
    is_one =
        tree_count(g.objects) == 1 && tree_count(g.privileges) == 1 && tree_count(g.grantees) == 1;
    is_own = !g.is_schema && tree_count(g.objects) == 1 &&
             is_new_table(j, tree_rel(json_array_get(g.objects, 0)));
    job_derived(j, granted(j, &g, is_grant, with_option ? " AND x.is_grantable" : ""), NULL);
    if (with_option)
        return;
    if (is_grant)
        j->out->undo = grant_back(j, &g), j->out->undo_lossless = true;
    if (!is_grant || (!is_one && !is_own))
        job_asked(j, asked_grant(j, &g, is_grant));
}

/* A statement happens: what it makes, changes and drops among the known objects. */
#include "load/lint_int.h"

#include <string.h>

static void drop_constraint(struct known_rel *rel, int i)
{
    memmove(&rel->constraints[i], &rel->constraints[i + 1],
            sizeof *rel->constraints * (size_t) (rel->n_constraints - i - 1));
    rel->n_constraints--;
}

/* own: the column that the constraint is written at, or NULL. */
static void take_constraint(struct lint *l, struct known_rel *rel, const json_t *c, const char *own)
{
    struct lint_known *k = l->k;
    const char *type = tree_text(c, "contype"), *name = tree_text(c, "conname");
    const char *index_name = tree_text(c, "indexname");
    bool is_primary = type && strcmp(type, "CONSTR_PRIMARY") == 0;
    bool is_unique = is_primary || (type && strcmp(type, "CONSTR_UNIQUE") == 0);
    const char **keys;
    struct known_constraint *made;

    if (!type)
        return;
    if (own) {
        keys = arena_array(k->a, const char *, 2);
        keys[0] = own;
    } else {
        keys = known_names(k->a,
                           tree_list(c, strcmp(type, "CONSTR_FOREIGN") == 0 ? "fk_attrs" : "keys"));
    }
    if (strcmp(type, "CONSTR_NOTNULL") == 0 && keys[0]) {
        struct known_column *column = known_column(rel, keys[0]);

        if (column)
            column->not_null = true;
        return;
    }
    if (is_unique && index_name) {
        const struct known_rel *index =
            known_find(k, (struct sql_rel) {rel->rel.schema, index_name});

        keys = index && index->keys ? index->keys : keys;
    } else if (is_unique) {
        known_add_index(k, (struct sql_rel) {rel->rel.schema, name ? name : ""}, rel, keys, false,
                        rel->unit == l->unit ? l->unit : 0);
    }
    for (int i = 0; is_primary && keys[i]; i++) {
        struct known_column *column = known_column(rel, keys[i]);

        if (column)
            column->not_null = true;
    }
    made = known_add_constraint(k, rel, name, type);
    made->is_valid = !tree_flag(c, "skip_validation");
    made->columns = keys;
    if (strcmp(type, "CONSTR_CHECK") == 0)
        known_read_check(k, made, tree_get(c, "raw_expr"));
    if (strcmp(type, "CONSTR_FOREIGN") == 0)
        known_add_fk(l, rel->rel, keys);
}

static void take_column(struct lint *l, struct known_rel *rel, const json_t *def)
{
    const char *name = tree_text(def, "colname");
    const json_t *collation = tree_get(def, "collClause");
    struct known_column *c = known_column(rel, name);
    json_t *item;
    size_t i;

    if (c) /* IF NOT EXISTS */
        return;
    c = known_add_column(l->k, rel, name);
    c->unit = l->unit;
    if (!tree_type(l->k->a, tree_get(def, "typeName"), &c->type))
        c->type.text = NULL;
    c->is_filled = c->type.text && c->type.is_serial;
    c->not_null = c->is_generated_key = c->type.text && c->type.is_serial;
    if (collation)
        c->collation = arena_strdup(l->k->a, tree_last(tree_get(collation, "collname")));
    json_array_foreach(tree_list(def, "constraints"), i, item)
    {
        const json_t *constraint = tree_as(item, "Constraint");

        c = known_column(rel, name);
        if (tree_is(constraint, "contype", "CONSTR_IDENTITY"))
            c->not_null = c->is_generated_key = c->is_filled = true;
        if (tree_is(constraint, "contype", "CONSTR_GENERATED") ||
            (tree_is(constraint, "contype", "CONSTR_DEFAULT") &&
             !tree_is_null_const(tree_get(constraint, "raw_expr"))))
            c->is_filled = true;
        take_constraint(l, rel, constraint, arena_strdup(l->k->a, name));
    }
}

/* ---- CREATE -------------------------------------------------------------------------------------------------- */

static void take_create_table(struct lint *l)
{
    const json_t *range = tree_get(l->tree, "relation");
    json_t *parents = tree_list(l->tree, "inhRelations"), *item;
    const json_t *bound = tree_get(l->tree, "partbound");
    struct known_rel *rel, *parent = NULL;
    size_t i;

    if (bound)
        parent = known_find(l->k, tree_rel(json_array_get(parents, 0)));
    rel = known_add_rel(l->k, KNOWN_TABLE, tree_rel(range), l->unit);
    rel->is_temp = tree_is(tree_as(range, "RangeVar"), "relpersistence", "t");
    rel->is_unlogged = tree_is(tree_as(range, "RangeVar"), "relpersistence", "u");
    rel->is_partitioned = tree_get(l->tree, "partspec") != NULL;
    rel->is_whole = tree_count(parents) == 0 && !tree_get(l->tree, "ofTypename");
    rel->of_type = arena_strdup(
        l->k->a, tree_name(tree_get(tree_get(l->tree, "ofTypename"), "names"), 0).name);
    json_array_foreach(tree_list(l->tree, "tableElts"), i, item)
    {
        if (tree_get(item, "ColumnDef"))
            take_column(l, rel, tree_get(item, "ColumnDef"));
        if (tree_get(item, "TableLikeClause"))
            rel->is_whole = false;
    }
    json_array_foreach(tree_list(l->tree, "tableElts"), i, item)
    {
        if (tree_get(item, "Constraint"))
            take_constraint(l, rel, tree_get(item, "Constraint"), NULL);
    }
    json_array_foreach(tree_list(l->tree, "constraints"), i, item)
        take_constraint(l, rel, tree_as(item, "Constraint"), NULL);
    if (parent)
        rel->parent = parent;
    if (parent && tree_flag(tree_as(bound, "PartitionBoundSpec"), "is_default"))
        parent->default_partition = rel;
}

static void take_create_as(struct lint *l)
{
    const json_t *into = tree_as(tree_get(l->tree, "into"), "IntoClause");
    bool is_matview = tree_is(l->tree, "objtype", "OBJECT_MATVIEW");
    struct known_rel *rel = known_add_rel(l->k, is_matview ? KNOWN_MATVIEW : KNOWN_TABLE,
                                          tree_rel(tree_get(into, "rel")), l->unit);

    rel->is_temp = tree_is(tree_as(tree_get(into, "rel"), "RangeVar"), "relpersistence", "t");
    rel->has_rows = !tree_flag(into, "skipData");
}

static void take_index(struct lint *l)
{
    struct sql_rel table = tree_rel(tree_get(l->tree, "relation"));
    const char *name = tree_text(l->tree, "idxname");

    struct known_rel *index = known_add_index(
        l->k, (struct sql_rel) {table.schema, name ? name : ""}, known_rel_or_add(l->k, table),
        known_names(l->k->a, tree_list(l->tree, "indexParams")),
        tree_get(l->tree, "whereClause") != NULL, lint_is_new(l, table) ? l->unit : 0);
    json_t *parts = json_pack("{s:[]}", "parts"), *item;
    json_t *list = json_object_get(parts, "parts");
    size_t i;

    json_array_foreach(tree_list(l->tree, "indexParams"), i, item)
    {
        json_t *expr = tree_get(tree_get(item, "IndexElem"), "expr");

        if (expr)
            json_array_append(list, expr);
    }
    if (tree_get(l->tree, "whereClause"))
        json_array_append(list, tree_get(l->tree, "whereClause"));
    index->computed = known_columns(l->k->a, parts);
    json_decref(parts);
}

static struct known_type *add_type(struct lint *l, struct sql_rel rel)
{
    struct lint_known *k = l->k;

    if (k->n_types == k->cap_types) {
        int cap = k->cap_types ? 2 * k->cap_types : 8;

        k->types = arena_grow(k->a, k->types, sizeof *k->types * (size_t) k->cap_types,
                              sizeof *k->types * (size_t) cap);
        k->cap_types = cap;
    }
    k->types[k->n_types] = (struct known_type) {
        .rel = {arena_strdup(k->a, rel.schema), arena_strdup(k->a, rel.name ? rel.name : "")},
        .unit = l->unit};
    return &k->types[k->n_types++];
}

static void take_domain(struct lint *l)
{
    struct known_type *t = add_type(l, tree_name(tree_get(l->tree, "domainname"), 0));
    json_t *item;
    size_t i;

    t->is_domain = true;
    if (!tree_type(l->k->a, tree_get(l->tree, "typeName"), &t->base))
        t->base.text = NULL;
    json_array_foreach(tree_list(l->tree, "constraints"), i, item)
    {
        const json_t *c = tree_as(item, "Constraint");

        if (tree_is(c, "contype", "CONSTR_DEFAULT"))
            t->fallback = lint_volatility(l, tree_get(c, "raw_expr"));
        t->n_checks +=
            tree_is(c, "contype", "CONSTR_CHECK") || tree_is(c, "contype", "CONSTR_NOTNULL");
    }
}

static void take_alter_domain(struct lint *l)
{
    struct known_type *t =
        (struct known_type *) known_type_find(l->k, tree_name(tree_get(l->tree, "typeName"), 0));
    const char *form = tree_text(l->tree, "subtype");

    if (!t || !form)
        return;
    t->n_checks += *form == 'C' || *form == 'O';
    t->n_checks -= t->n_checks > 0 && (*form == 'X' || *form == 'N');
}

static void take_function(struct lint *l)
{
    struct lint_known *k = l->k;
    struct sql_rel rel = tree_name(tree_get(l->tree, "funcname"), 0);
    const json_t *options = tree_get(l->tree, "options");
    const json_t *volatility = tree_option(options, "volatility");
    const json_t *language = tree_option(options, "language");
    const char *word = volatility ? tree_string(tree_get(volatility, "arg")) : NULL;
    const char *tongue = language ? tree_string(tree_get(language, "arg")) : NULL;
    bool is_volatile = !word || strcmp(word, "volatile") == 0;

    if (k->n_functions == k->cap_functions) {
        int cap = k->cap_functions ? 2 * k->cap_functions : 8;

        k->functions =
            arena_grow(k->a, k->functions, sizeof *k->functions * (size_t) k->cap_functions,
                       sizeof *k->functions * (size_t) cap);
        k->cap_functions = cap;
    }
    k->functions[k->n_functions++] = (struct known_function) {
        .rel = {arena_strdup(k->a, rel.schema), arena_strdup(k->a, rel.name ? rel.name : "")},
        /* one in SQL may be inlined to something calm */
        .volatility = !is_volatile                           ? NOT_VOLATILE
                      : tongue && strcmp(tongue, "sql") != 0 ? IS_VOLATILE
                                                             : MAYBE_VOLATILE};
}

static void take_alter_function(struct lint *l)
{
    const json_t *name = tree_get(tree_as(tree_get(l->tree, "func"), "ObjectWithArgs"), "objname");
    const json_t *elem = tree_option(tree_get(l->tree, "actions"), "volatility");
    const char *word = elem ? tree_string(tree_get(elem, "arg")) : NULL;
    struct known_function *f =
        (struct known_function *) known_function_find(l->k, tree_name(name, 0));

    if (f && word)
        f->volatility = strcmp(word, "volatile") == 0 ? IS_VOLATILE : NOT_VOLATILE;
}

/* ---- ALTER ------------------------------------------------------------------------------------------------------ */

void known_take_columns(struct lint *l)
{
    json_t *item;
    size_t i;

    if (!tree_is(l->tree, "objtype", "OBJECT_TABLE"))
        return;
    json_array_foreach(tree_list(l->tree, "cmds"), i, item)
    {
        const json_t *cmd = tree_as(item, "AlterTableCmd");
        struct known_rel *rel;

        if (!tree_is(cmd, "subtype", "AT_AddColumn") && tree_get(cmd, "subtype"))
            continue;
        rel = known_rel_or_add(l->k, l->rel);
        if (rel)
            take_column(l, rel, tree_as(tree_get(cmd, "def"), "ColumnDef"));
    }
}

static void take_type_change(struct lint *l, struct known_rel *rel, const char *name,
                             const json_t *def)
{
    struct known_column *c = known_column(rel, name);
    const json_t *collation = tree_get(def, "collClause");

    if (!c)
        c = known_add_column(l->k, rel, name);
    if (!tree_type(l->k->a, tree_get(def, "typeName"), &c->type))
        c->type.text = NULL;
    c->collation =
        collation ? arena_strdup(l->k->a, tree_last(tree_get(collation, "collname"))) : NULL;
}

static void take_drop_constraint(struct known_rel *rel, const char *name)
{
    for (int i = rel->n_constraints - 1; i >= 0; i--)
        if (rel->constraints[i].name && strcmp(rel->constraints[i].name, name) == 0)
            drop_constraint(rel, i);
}

static bool mentions(const struct known_constraint *c, const char *column)
{
    for (int i = 0; c->columns[i]; i++)
        if (strcmp(c->columns[i], column) == 0)
            return true;
    return false;
}

static void take_drop_column(struct known_rel *rel, const char *name)
{
    struct known_column *c = known_column(rel, name);

    if (c) {
        *c = rel->columns[rel->n_columns - 1];
        rel->n_columns--;
    }
    for (int i = rel->n_constraints - 1; i >= 0; i--)
        if (mentions(&rel->constraints[i], name))
            drop_constraint(rel, i);
}

static void take_partition(struct lint *l, struct known_rel *parent, const json_t *def)
{
    struct known_rel *child = known_rel_or_add(l->k, tree_rel(tree_get(def, "name")));

    if (!child)
        return;
    parent->is_partitioned = true;
    child->parent = parent;
    if (tree_flag(tree_as(tree_get(def, "bound"), "PartitionBoundSpec"), "is_default"))
        parent->default_partition = child;
}

static void take_cmd(struct lint *l, struct known_rel *rel, const json_t *cmd)
{
    const char *subtype = tree_text(cmd, "subtype"), *name = tree_text(cmd, "name");
    const json_t *def = tree_fields(tree_get(cmd, "def"));
    struct known_column *c = known_column(rel, name);

    if (!subtype)
        return;
    if (strcmp(subtype, "AT_SetNotNull") == 0 && c)
        c->not_null = true;
    else if (strcmp(subtype, "AT_DropNotNull") == 0 && c)
        c->not_null = false;
    else if (strcmp(subtype, "AT_AlterColumnType") == 0 && name)
        take_type_change(l, rel, name, def);
    else if (strcmp(subtype, "AT_AddConstraint") == 0)
        take_constraint(l, rel, def, NULL);
    else if (strcmp(subtype, "AT_DropConstraint") == 0 && name)
        take_drop_constraint(rel, name);
    else if (strcmp(subtype, "AT_DropColumn") == 0 && name)
        take_drop_column(rel, name);
    else if (strcmp(subtype, "AT_AttachPartition") == 0)
        take_partition(l, rel, def);
    else if (strcmp(subtype, "AT_AddIdentity") == 0 && c)
        c->is_generated_key = true;
    else if (strcmp(subtype, "AT_SetUnLogged") == 0)
        rel->is_unlogged = true;
    else if (strcmp(subtype, "AT_SetLogged") == 0)
        rel->is_unlogged = false;
    else if (strcmp(subtype, "AT_ValidateConstraint") == 0 && name)
        for (int i = 0; i < rel->n_constraints; i++)
            if (rel->constraints[i].name && strcmp(rel->constraints[i].name, name) == 0)
                rel->constraints[i].is_valid = true;
}

static void take_alter_table(struct lint *l)
{
    struct known_rel *rel = tree_is(l->tree, "objtype", "OBJECT_TABLE")
                                ? known_rel_or_add(l->k, l->rel)
                                : known_find(l->k, l->rel);
    json_t *item;
    size_t i;

    if (!rel || tree_is(l->tree, "objtype", "OBJECT_TYPE"))
        return;
    json_array_foreach(tree_list(l->tree, "cmds"), i, item)
        take_cmd(l, rel, tree_as(item, "AlterTableCmd"));
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static void take_drop(struct lint *l)
{
    const char *type = tree_text(l->tree, "removeType");
    json_t *object;
    size_t i;

    json_array_foreach(tree_list(l->tree, "objects"), i, object)
    {
        if (is_relation_object(type)) {
            struct known_rel *rel = known_find(l->k, tree_name(object, 0));

            if (rel)
                rel->is_dropped = true;
        } else if (tree_get(object, "TypeName")) {
            struct known_type *t = (struct known_type *) known_type_find(
                l->k, tree_name(tree_get(tree_get(object, "TypeName"), "names"), 0));

            if (t)
                t->is_dropped = true;
        }
    }
}

/* The old one is gone, and a copy of it bears the new name. */
static void rename_rel(struct lint_known *k, struct known_rel *rel, struct sql_rel name)
{
    struct known_rel *copy = known_add_rel(k, rel->kind, name, rel->unit);
    struct sql_rel own = copy->rel;

    *copy = *rel;
    copy->rel = own;
    rel->is_dropped = true;
    for (int i = 0; i < k->n_rels; i++) {
        struct known_rel *other = k->rels[i];

        other->table = other->table == rel ? copy : other->table;
        other->parent = other->parent == rel ? copy : other->parent;
        other->default_partition =
            other->default_partition == rel ? copy : other->default_partition;
    }
}

static void take_rename(struct lint *l)
{
    struct lint_known *k = l->k;
    const char *type = tree_text(l->tree, "renameType"), *old = tree_text(l->tree, "subname"),
               *new_name = tree_text(l->tree, "newname");
    struct known_rel *rel = known_find(k, l->rel);

    if (!rel || !type || !new_name)
        return;
    if (strcmp(type, "OBJECT_COLUMN") == 0) {
        struct known_column *c = known_column(rel, old);

        if (c)
            c->name = arena_strdup(k->a, new_name);
    } else if (strcmp(type, "OBJECT_TABCONSTRAINT") == 0) {
        for (int i = 0; old && i < rel->n_constraints; i++)
            if (rel->constraints[i].name && strcmp(rel->constraints[i].name, old) == 0)
                rel->constraints[i].name = arena_strdup(k->a, new_name);
    } else if (is_relation_object(type)) {
        rename_rel(k, rel, (struct sql_rel) {rel->rel.schema, new_name});
    }
}

static void take_set_schema(struct lint *l)
{
    struct known_rel *rel = known_find(l->k, l->rel);

    if (rel)
        rename_rel(l->k, rel, (struct sql_rel) {tree_text(l->tree, "newschema"), rel->rel.name});
}

static void take_view(struct lint *l) { known_add_rel(l->k, KNOWN_VIEW, l->rel, l->unit); }
static void take_sequence(struct lint *l) { known_add_rel(l->k, KNOWN_SEQUENCE, l->rel, l->unit); }

static void take_foreign_table(struct lint *l)
{
    const json_t *base = tree_get(l->tree, "base");

    known_add_rel(l->k, KNOWN_FOREIGN_TABLE, tree_rel(tree_get(base, "relation")), l->unit);
}

static void take_enum(struct lint *l)
{
    add_type(l, tree_name(tree_get(l->tree, "typeName"), 0))->is_enum = true;
}

static void take_other_type(struct lint *l)
{
    if (tree_get(l->tree, "typevar"))
        add_type(l, tree_rel(tree_get(l->tree, "typevar")));
    else
        add_type(l, tree_name(tree_get(l->tree, "typeName"), 0));
}

static void take_insert(struct lint *l)
{
    struct known_rel *rel = known_find(l->k, l->rel);

    if (rel)
        rel->has_rows = true;
}

static void take_select(struct lint *l)
{
    const json_t *into = tree_get(l->tree, "intoClause");

    if (into)
        known_add_rel(l->k, KNOWN_TABLE, tree_rel(tree_get(tree_as(into, "IntoClause"), "rel")),
                      l->unit)
            ->has_rows = true;
}

void known_take(struct lint *l)
{
    static const struct {
        const char *node;
        void (*take)(struct lint *l);
    } rows[] = {
        {"CreateStmt", take_create_table},
        {"CreateTableAsStmt", take_create_as},
        {"CreateForeignTableStmt", take_foreign_table},
        {"ViewStmt", take_view},
        {"CreateSeqStmt", take_sequence},
        {"IndexStmt", take_index},
        {"AlterTableStmt", take_alter_table},
        {"CreateEnumStmt", take_enum},
        {"CompositeTypeStmt", take_other_type},
        {"CreateRangeStmt", take_other_type},
        {"CreateDomainStmt", take_domain},
        {"AlterDomainStmt", take_alter_domain},
        {"CreateFunctionStmt", take_function},
        {"AlterFunctionStmt", take_alter_function},
        {"DropStmt", take_drop},
        {"RenameStmt", take_rename},
        {"AlterObjectSchemaStmt", take_set_schema},
        {"InsertStmt", take_insert},
        {"SelectStmt", take_select},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].node, l->node) == 0)
            rows[i].take(l);
}

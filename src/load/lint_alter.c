/* Lints of ALTER TABLE that rewrite the table, or read it as they change a column. */
#include "load/lint_int.h"

#include <string.h>

/* ---- ADD COLUMN --------------------------------------------------------------------------------------------- */

struct new_column {
    const char *name;
    struct sql_type type;
    bool has_type;
    bool fills; /* something gives old rows a value */
    bool not_null;
    const json_t *fk; /* REFERENCES */
    bool has_default; /* any, NULL too */
};

/* Functions that the texts make are known by what they say of themselves. */
static bool note_function(void *ctx, const char *kind, const json_t *fields)
{
    struct lint *l = ((void **) ctx)[0];
    enum volatility *found = ((void **) ctx)[1];
    const struct known_function *f;

    if (strcmp(kind, "FuncCall") != 0)
        return true;
    f = known_function_find(l->k, tree_name(tree_get(fields, "funcname"), 0));
    if (f && f->volatility > *found)
        *found = f->volatility;
    else if (!f && expr_call_volatility(fields) > *found)
        *found = expr_call_volatility(fields);
    return true;
}

enum volatility lint_volatility(struct lint *l, const json_t *expr)
{
    enum volatility v = NOT_VOLATILE;

    tree_walk(expr, note_function, (void *[]) {l, &v});
    return v;
}

static void look_default(struct lint *l, const char *column, enum volatility v)
{
    const char *help = "ADD COLUMN without default, SET DEFAULT in the next step, and a backfill";

    if (v == IS_VOLATILE)
        lint_say(l, "volatile-default-rewrites", help,
                 "the default of %s.%s is another one for each row: %s is rewritten under ACCESS "
                 "EXCLUSIVE",
                 lint_rel_text(l, l->rel), column, lint_rel_text(l, l->rel));
    else if (v == MAYBE_VOLATILE)
        lint_unsure(l, "volatile-default-rewrites", help,
                    "%s is rewritten if a function in the default of %s is volatile",
                    lint_rel_text(l, l->rel), column);
}

/* Types that extensions bring, none of which is a domain with constraints. */
static bool is_of_extension(const char *name)
{
    static const char *const words[] = {"citext", "hstore",    "ltree",     "lquery",    "cube",
                                        "vector", "geometry",  "geography", "raster",    "box2d",
                                        "box3d",  "semver",    "halfvec",   "sparsevec", "seg",
                                        "isbn",   "ltxtquery", NULL};

    return word_in(name, words);
}

static void look_type(struct lint *l, const struct new_column *c)
{
    const struct known_type *t;
    const char *help = "the base type, and the domain's condition as CHECK NOT VALID";

    if (!c->has_type || c->type.is_builtin || c->type.is_array || is_of_extension(c->type.name))
        return;
    t = known_type_find(l->k, (struct sql_rel) {NULL, c->type.name});
    if (t && t->is_domain && !c->has_default && t->fallback != NOT_VOLATILE)
        look_default(l, c->name, t->fallback);
    if (t && known_is_constrained(l->k, t))
        lint_say(
            l, "constrained-domain-column", help,
            "domain %s has constraints: %s is rewritten under ACCESS EXCLUSIVE, default or not",
            c->type.name, lint_rel_text(l, l->rel));
    else if (!t)
        lint_unsure(l, "constrained-domain-column", help,
                    "%s is rewritten if %s is a domain with constraints", lint_rel_text(l, l->rel),
                    c->type.name);
}

static void look_filled(struct lint *l, const struct new_column *c)
{
    bool may_be_domain =
        c->has_type && !c->type.is_builtin && !c->type.is_array && !is_of_extension(c->type.name);
    const struct known_type *t =
        may_be_domain ? known_type_find(l->k, (struct sql_rel) {NULL, c->type.name}) : NULL;

    if (!c->not_null || c->fills || (may_be_domain && (!t || t->is_domain)))
        return;
    lint_say(
        l, "not-null-column-without-default",
        "add it without NOT NULL, fill it with a backfill, then CHECK NOT VALID, VALIDATE, SET "
        "NOT NULL",
        "ADD COLUMN %s NOT NULL has no value for the rows of %s: it fails at the first", c->name,
        lint_rel_text(l, l->rel));
}

static void look_inline(struct lint *l, struct new_column *c, const json_t *constraint)
{
    const char *type = tree_text(constraint, "contype");
    const json_t *expr = tree_get(constraint, "raw_expr");

    if (!type)
        return;
    if (strcmp(type, "CONSTR_DEFAULT") == 0) {
        c->has_default = true;
        c->fills = c->fills || !tree_is_null_const(expr);
        look_default(l, c->name, lint_volatility(l, expr));
    } else if (strcmp(type, "CONSTR_IDENTITY") == 0) {
        c->fills = true;
        lint_say(
            l, "serial-or-identity-column",
            "ADD COLUMN bigint, a sequence as its default in the next step, a backfill, then "
            "ADD GENERATED",
            "identity column %s gives each row a number: %s is rewritten under ACCESS EXCLUSIVE",
            c->name, lint_rel_text(l, l->rel));
    } else if (strcmp(type, "CONSTR_GENERATED") == 0) {
        c->fills = true;
        lint_say(l, "stored-generated-column",
                 "a plain column, a trigger that fills it, and a backfill",
                 "stored generated column %s: %s is rewritten under ACCESS EXCLUSIVE", c->name,
                 lint_rel_text(l, l->rel));
    } else if (strcmp(type, "CONSTR_CHECK") == 0) {
        lint_say(
            l, "check-validated-in-place",
            "ADD COLUMN alone; then ADD CONSTRAINT ... NOT VALID, and VALIDATE in another step",
            "the CHECK of new column %s reads every row of %s under ACCESS EXCLUSIVE", c->name,
            lint_rel_text(l, l->rel));
    } else if (strcmp(type, "CONSTR_UNIQUE") == 0 || strcmp(type, "CONSTR_PRIMARY") == 0) {
        lint_say(
            l, "unique-or-pk-built-in-place",
            "ADD COLUMN alone, CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT ... USING "
            "INDEX",
            "the key of new column %s builds its index while %s is locked against reads and "
            "writes",
            c->name, lint_rel_text(l, l->rel));
    } else if (strcmp(type, "CONSTR_NOTNULL") == 0) {
        c->not_null = true;
    } else if (strcmp(type, "CONSTR_FOREIGN") == 0) {
        c->fk = constraint;
    }
}

void lint_add_column(struct lint *l)
{
    struct new_column c = {.name = tree_text(l->def, "colname")};
    json_t *item;
    size_t i;

    c.name = c.name ? c.name : "";
    c.has_type = tree_type(l->a, tree_get(l->def, "typeName"), &c.type);
    if (c.has_type && c.type.is_serial) {
        c.fills = true;
        lint_say(l, "serial-or-identity-column",
                 "ADD COLUMN bigint, a sequence as its default in the next step, and a backfill",
                 "serial column %s gives each row a number: %s is rewritten under ACCESS EXCLUSIVE",
                 c.name, lint_rel_text(l, l->rel));
    }
    json_array_foreach(tree_list(l->def, "constraints"), i, item)
        look_inline(l, &c, tree_as(item, "Constraint"));
    look_type(l, &c);
    look_filled(l, &c);
    if (c.fk && c.has_default)
        lint_say(
            l, "fk-validated-in-place",
            "ADD COLUMN alone; then ADD FOREIGN KEY ... NOT VALID, and VALIDATE in another step",
            "the foreign key of new column %s reads every row of %s under ACCESS EXCLUSIVE", c.name,
            lint_rel_text(l, l->rel));
}

/* ---- ALTER COLUMN TYPE ------------------------------------------------------------------------------------------ */

enum { USING_MAX = 4 };

/* The types that USING goes through: none for the column itself, one for each cast of it, innermost first. -1: it
 * isn't that simple. */
static int using_chain(struct lint *l, const json_t *expr, struct sql_type *out, int n)
{
    const json_t *cast = tree_get(expr, "TypeCast"), *column = tree_get(expr, "ColumnRef");
    int inner;

    if (column) {
        const char *name = tree_last(tree_get(column, "fields"));

        return name && l->name && strcmp(name, l->name) == 0 ? 0 : -1;
    }
    if (!cast || n == 0)
        return -1;
    inner = using_chain(l, tree_get(cast, "arg"), out, n - 1);
    if (inner < 0 || !tree_type(l->a, tree_get(cast, "typeName"), &out[inner]))
        return -1;
    return inner + 1;
}

static enum type_change worst(enum type_change a, enum type_change b)
{
    static const int badness[] = {
        [TYPE_SAME] = 0,      [TYPE_FREE] = 1,    [TYPE_FREE_BUT_INDEXES] = 2,
        [TYPE_NEEDS_UTC] = 3, [TYPE_UNKNOWN] = 4, [TYPE_REWRITES] = 5};

    return badness[a] >= badness[b] ? a : b;
}

static enum type_change change_of(struct lint *l, const struct known_column *c,
                                  const struct sql_type *to)
{
    const json_t *using = tree_get(l->def, "raw_default");
    struct sql_type chain[USING_MAX], from = {0};
    int n = using ? using_chain(l, using, chain, USING_MAX) : 0;
    enum type_change change = TYPE_SAME;

    if (n < 0) /* computed: no stored byte is taken as it is */
        return TYPE_REWRITES;
    if (c)
        from = c->type;
    for (int i = 0; i <= n; i++) {
        const struct sql_type *next = i < n ? &chain[i] : to;

        change = worst(change, type_change(l->k, &from, next));
        from = *next;
    }
    return change;
}

/* An index that has the column as a key, or, computed, one that works something out of it. */
static bool has_index(const struct lint *l, const char *column, bool computed)
{
    for (int i = 0; i < l->k->n_rels; i++) {
        const struct known_rel *index = l->k->rels[i];

        if (index->kind != KNOWN_INDEX || index->is_dropped || index->table != l->own)
            continue;
        const char **names = computed ? index->computed : index->keys;

        for (int n = 0; names && names[n]; n++)
            if (strcmp(names[n], column) == 0)
                return true;
    }
    return false;
}

static bool has_check(const struct lint *l, const char *column)
{
    for (int i = 0; l->own && i < l->own->n_constraints; i++) {
        const struct known_constraint *c = &l->own->constraints[i];

        if (!c->is_valid || strcmp(c->type, "CONSTR_CHECK") != 0)
            continue;
        for (int n = 0; c->columns[n]; n++)
            if (strcmp(c->columns[n], column) == 0)
                return true;
    }
    return false;
}

static bool collation_changes(const struct lint *l, const struct known_column *c)
{
    const json_t *clause = tree_get(l->def, "collClause");
    const char *to = clause ? tree_last(tree_get(clause, "collname")) : NULL;

    if (!c || (!to && !c->collation))
        return false;
    return !to || !c->collation || strcmp(to, c->collation) != 0;
}

#define WAY_OUT "a new column of the new type, sync and backfill, then drop the old one in contract"

/* No stored byte changes: what is done again all the same? */
static void look_at_free_change(struct lint *l, const struct known_column *c,
                                enum type_change change)
{
    bool index_differs = change == TYPE_FREE_BUT_INDEXES || collation_changes(l, c);

    if (has_check(l, l->name))
        lint_say(
            l, "array-or-check-surprise",
            "drop the CHECK first and add it again NOT VALID, then VALIDATE",
            "the new type of %s.%s rewrites nothing, but its CHECK is tried on every row under "
            "ACCESS EXCLUSIVE",
            lint_rel_text(l, l->rel), l->name);
    else if (has_index(l, l->name, true) || (index_differs && has_index(l, l->name, false)))
        lint_say(l, "index-rebuild-without-heap", WAY_OUT,
                 "the new type of %s.%s rewrites nothing, but its indexes are built again under "
                 "ACCESS EXCLUSIVE",
                 lint_rel_text(l, l->rel), l->name);
}

static void look_at_rewrite(struct lint *l, const struct known_column *c, const struct sql_type *to)
{
    bool both_arrays = c && c->type.text && c->type.is_array && to->is_array;
    const char *rule = both_arrays ? "array-or-check-surprise" : "type-change-rewrites";

    if (c && c->type.text)
        lint_say(l, rule, WAY_OUT, "%s.%s from %s to %s rewrites the table under ACCESS EXCLUSIVE",
                 lint_rel_text(l, l->rel), l->name, type_word(l->a, &c->type), type_word(l->a, to));
    else
        lint_say(l, rule, WAY_OUT,
                 "USING computes %s.%s anew: the table is rewritten under ACCESS EXCLUSIVE",
                 lint_rel_text(l, l->rel), l->name);
}

/* Types that no other one is stored like (but a domain over them). */
static bool is_stored_alone(const struct sql_type *t)
{
    static const char *const words[] = {"int2",  "int8",   "float4", "float8", "bool",
                                        "date",  "uuid",   "json",   "jsonb",  "bytea",
                                        "money", "timetz", NULL};

    return t->text && t->is_builtin && !t->is_array && word_in(t->name, words);
}

void lint_alter_type(struct lint *l)
{
    const struct known_column *c = known_column(l->own, l->name);
    struct sql_type to = {0};
    enum type_change change;

    if (!l->name)
        return;
    if (!tree_type(l->a, tree_get(l->def, "typeName"), &to))
        to.text = NULL;
    change = change_of(l, c, &to);
    if (change == TYPE_NEEDS_UTC && l->tx->is_utc)
        change = TYPE_FREE;
    if (change == TYPE_NEEDS_UTC && l->tx->is_far_off_utc)
        change = TYPE_REWRITES;
    switch (change) {
    case TYPE_REWRITES: look_at_rewrite(l, c, &to); break;
    case TYPE_NEEDS_UTC:
        lint_unsure(
            l, "timestamptz-needs-utc", "SET LOCAL TimeZone = 'UTC' before it in the step",
            "%s.%s between timestamp and timestamptz rewrites the table unless the session's "
            "TimeZone is UTC",
            lint_rel_text(l, l->rel), l->name);
        break;
    case TYPE_UNKNOWN:
        if (is_stored_alone(&to)) {
            lint_warn(l, "type-change-rewrites", WAY_OUT,
                      "the table is rewritten under ACCESS EXCLUSIVE unless %s.%s is %s already",
                      lint_rel_text(l, l->rel), l->name, type_word(l->a, &to));
            break;
        }
        lint_unsure(
            l, "type-change-rewrites", WAY_OUT,
            "the table is rewritten unless the old type of %s.%s is stored like the new one",
            lint_rel_text(l, l->rel), l->name);
        break;
    case TYPE_SAME:
    case TYPE_FREE:
    case TYPE_FREE_BUT_INDEXES: look_at_free_change(l, c, change); break;
    }
}

/* A table that was made OF the type, and that others use; NULL: none known. */
static const struct known_rel *table_of_type(const struct lint *l)
{
    for (int i = 0; i < l->k->n_rels; i++) {
        const struct known_rel *r = l->k->rels[i];

        if (!r->is_dropped && r->of_type && l->rel.name && strcmp(r->of_type, l->rel.name) == 0 &&
            !lint_is_new(l, r->rel))
            return r;
    }
    return NULL;
}

void lint_alter_attribute(struct lint *l)
{
    const struct known_rel *table = table_of_type(l);
    json_t *item;
    size_t i;

    json_array_foreach(tree_list(l->tree, "cmds"), i, item)
    {
        const json_t *cmd = tree_as(item, "AlterTableCmd");

        if (!tree_is(cmd, "subtype", "AT_AlterColumnType") ||
            !tree_is(cmd, "behavior", "DROP_CASCADE"))
            continue;
        if (table)
            lint_say(l, "type-change-rewrites", WAY_OUT,
                     "%s is of type %s: the new type of %s goes through its rows under ACCESS "
                     "EXCLUSIVE",
                     lint_rel_text(l, table->rel), lint_rel_text(l, l->rel),
                     tree_text(cmd, "name") ? tree_text(cmd, "name") : "its attribute");
        else
            lint_unsure(l, "type-change-rewrites", WAY_OUT,
                        "every table that is OF %s is rewritten unless the types are stored alike",
                        lint_rel_text(l, l->rel));
        return;
    }
}

/* ---- storage ---------------------------------------------------------------------------------------------------- */

static void say_storage(struct lint *l, const char *help)
{
    lint_say(l, "storage-rewrite", help, "%s rewrites %s under ACCESS EXCLUSIVE", l->facts.kind,
             l->rel.name ? lint_rel_text(l, l->rel) : "every table");
}

void lint_storage(struct lint *l)
{
    const char *subtype = tree_text(l->cmd, "subtype");
    bool is_logged = subtype && strcmp(subtype, "AT_SetLogged") == 0;
    bool is_unlogged = subtype && strcmp(subtype, "AT_SetUnLogged") == 0;
    bool is_default =
        l->name && (strcmp(l->name, "heap") == 0 || strcmp(l->name, "pg_default") == 0);

    /* ALL IN TABLESPACE x SET TABLESPACE x */
    const char *from = tree_text(l->tree, "orig_tablespacename");

    if (from && tree_is(l->tree, "new_tablespacename", from))
        return;
    if (is_logged && l->own && l->own->is_whole && !l->own->is_unlogged)
        return;
    if (is_unlogged && l->own && l->own->is_unlogged)
        return;
    if (is_logged && !(l->own && l->own->is_unlogged)) {
        lint_unsure(l, "storage-rewrite", "a maintenance window",
                    "SET LOGGED rewrites %s if it is unlogged", lint_rel_text(l, l->rel));
        return;
    }
    if (is_default) {
        lint_unsure(l, "storage-rewrite", NULL, "%s %s rewrites %s unless it is there already",
                    l->facts.kind, l->name, lint_rel_text(l, l->rel));
        return;
    }
    say_storage(l, "a new table, sync and backfill; or a maintenance window");
}

void lint_cluster(struct lint *l)
{
    say_storage(l, "pg_repack or pg_squeeze order a table without the lock");
}

void lint_vacuum(struct lint *l)
{
    const json_t *first = json_array_get(tree_list(l->tree, "rels"), 0);

    if (l->facts.lock != LOCK_AE)
        return;
    l->rel = tree_rel(tree_get(tree_as(first, "VacuumRelation"), "relation"));
    if (!lint_is_new(l, l->rel))
        say_storage(l, "plain VACUUM, or pg_repack");
}

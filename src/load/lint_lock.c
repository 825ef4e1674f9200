/* Lints of locks: rows scanned or indexed while a table that existed is locked against writes or reads. */
#include "load/lint_int.h"

#include <string.h>

/* ---- indexes ---------------------------------------------------------------------------------------------- */

void lint_index(struct lint *l)
{
    const json_t *range = tree_as(tree_get(l->tree, "relation"), "RangeVar");
    bool is_only = !tree_flag(range, "inh"); /* left out when false */

    if (tree_flag(l->tree, "concurrent") || (l->own && l->own->kind == KNOWN_MATVIEW))
        return;
    /* ON ONLY: of a partitioned table it's an entry in the catalogue. */
    if (is_only && l->own && l->own->is_partitioned)
        return;
    if (is_only && !(l->own && l->own->is_whole)) {
        lint_unsure(l, "index-not-concurrent", NULL,
                    "CREATE INDEX ON ONLY builds the index unless %s is partitioned",
                    lint_rel_text(l, l->rel));
        return;
    }
    lint_say(
        l, "index-not-concurrent",
        l->own && l->own->is_partitioned
            ? "CREATE INDEX ON ONLY the parent, then CONCURRENTLY on each partition, then ATTACH"
            : "CREATE INDEX CONCURRENTLY, as the only statement of its step",
        "%s on %s blocks writes to it until the index is built", l->facts.kind,
        lint_rel_text(l, l->rel));
}

void lint_drop_index(struct lint *l)
{
    json_t *object;
    size_t i;

    if (tree_flag(l->tree, "concurrent"))
        return;
    json_array_foreach(tree_list(l->tree, "objects"), i, object)
    {
        const struct known_rel *index = known_find(l->k, tree_name(object, 0));

        if (index &&
            (lint_is_new(l, index->rel) ||
             (index->table && (lint_is_new(l, index->table->rel) || index->table->is_partitioned))))
            continue;
        lint_say(l, "drop-index-not-concurrent",
                 "DROP INDEX CONCURRENTLY, as the only statement of its step",
                 "DROP INDEX %s waits for every query on its table, and new ones wait behind it",
                 lint_rel_text(l, tree_name(object, 0)));
        return;
    }
}

static bool is_concurrent(const struct lint *l)
{
    return tree_flag(l->tree, "concurrent") ||
           tree_option(tree_get(l->tree, "params"), "concurrently");
}

void lint_reindex(struct lint *l)
{
    const char *kind = tree_text(l->tree, "kind");

    if (is_concurrent(l))
        return;
    if (kind && strcmp(kind, "REINDEX_OBJECT_SYSTEM") == 0)
        return;
    if (l->own && l->own->kind == KNOWN_INDEX && l->own->table &&
        lint_is_new(l, l->own->table->rel))
        return;
    lint_say(l, "reindex-not-concurrent",
             "REINDEX ... CONCURRENTLY, as the only statement of its step",
             "%s blocks writes, and queries that need the index, until it is built", l->facts.kind);
}

void lint_refresh(struct lint *l)
{
    if (tree_flag(l->tree, "concurrent"))
        return;
    if (tree_flag(l->tree, "skipData"))
        lint_say(l, "matview-refresh-in-place", "leave it filled, or drop it in contract",
                 "REFRESH ... WITH NO DATA empties %s: whoever reads it fails",
                 lint_rel_text(l, l->rel));
    else
        lint_say(l, "matview-refresh-in-place",
                 "REFRESH MATERIALIZED VIEW CONCURRENTLY; it needs a unique index without WHERE",
                 "REFRESH blocks whoever reads %s until it is filled again",
                 lint_rel_text(l, l->rel));
}

/* ---- constraints -------------------------------------------------------------------------------------------- */

static void add_check(struct lint *l)
{
    if (!tree_flag(l->def, "skip_validation"))
        lint_say(l, "check-validated-in-place",
                 "ADD CONSTRAINT ... NOT VALID, and VALIDATE CONSTRAINT in a step of its own",
                 "ADD CHECK reads every row of %s under ACCESS EXCLUSIVE",
                 lint_rel_text(l, l->rel));
}

static void add_foreign(struct lint *l)
{
    if (!tree_flag(l->def, "skip_validation"))
        lint_say(l, "fk-validated-in-place",
                 "ADD CONSTRAINT ... NOT VALID, and VALIDATE CONSTRAINT in a step of its own",
                 "ADD FOREIGN KEY reads every row of %s while writes to it and to %s are blocked",
                 lint_rel_text(l, l->rel), lint_rel_text(l, tree_rel(tree_get(l->def, "pktable"))));
}

static void add_unique(struct lint *l)
{
    lint_say(l, "unique-or-pk-built-in-place",
             "CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT ... USING INDEX",
             "%s builds its index while %s is locked against reads and writes",
             tree_is(l->def, "contype", "CONSTR_PRIMARY") ? "ADD PRIMARY KEY" : "ADD UNIQUE",
             lint_rel_text(l, l->rel));
}

/* By the same ALTER TABLE, which drops before it does anything else. */
static bool is_dropped_here(const struct lint *l, const struct known_constraint *c)
{
    json_t *item;
    size_t i;

    json_array_foreach(tree_list(l->tree, "cmds"), i, item)
    {
        const json_t *cmd = tree_as(item, "AlterTableCmd");

        if (c->name && tree_is(cmd, "subtype", "AT_DropConstraint") &&
            tree_is(cmd, "name", c->name))
            return true;
    }
    return false;
}

static bool is_present(const struct lint *l, const char *column)
{
    const struct known_rel *rel = l->own;

    for (int i = 0; rel && i < rel->n_constraints; i++) {
        const struct known_constraint *c = &rel->constraints[i];

        for (int n = 0; c->is_valid && !is_dropped_here(l, c) && c->present[n]; n++)
            if (strcmp(c->present[n], column) == 0)
                return true;
    }
    return false;
}

static void add_primary_using(struct lint *l)
{
    const struct known_rel *index =
        known_find(l->k, (struct sql_rel) {l->rel.schema, tree_text(l->def, "indexname")});
    const char *help = "make the columns NOT NULL first: CHECK NOT VALID, VALIDATE, SET NOT NULL";

    for (int i = 0; index && index->keys && index->keys[i]; i++) {
        const struct known_column *c = known_column(l->own, index->keys[i]);

        if (c && c->not_null)
            continue;
        if (is_present(l, index->keys[i]))
            continue;
        if (!c) {
            index = NULL;
            break;
        }
        lint_say(l, "primary-key-index-on-nullable", help,
                 "column %s of %s may be NULL: ADD PRIMARY KEY USING INDEX reads every row under "
                 "ACCESS EXCLUSIVE",
                 c->name, lint_rel_text(l, l->rel));
        return;
    }
    if (!index)
        lint_unsure(l, "primary-key-index-on-nullable", help,
                    "ADD PRIMARY KEY USING INDEX reads every row of %s unless its columns are NOT "
                    "NULL already",
                    lint_rel_text(l, l->rel));
}

void lint_add_constraint(struct lint *l)
{
    const char *type = tree_text(l->def, "contype");
    bool has_index = tree_get(l->def, "indexname") != NULL;

    if (!type)
        return;
    if (strcmp(type, "CONSTR_CHECK") == 0)
        add_check(l);
    else if (strcmp(type, "CONSTR_FOREIGN") == 0)
        add_foreign(l);
    else if (strcmp(type, "CONSTR_PRIMARY") == 0 && has_index)
        add_primary_using(l);
    else if ((strcmp(type, "CONSTR_UNIQUE") == 0 || strcmp(type, "CONSTR_PRIMARY") == 0) &&
             !has_index)
        add_unique(l);
    else if (strcmp(type, "CONSTR_EXCLUSION") == 0)
        lint_say(l, "exclude-built-in-place",
                 "there is no way without the lock: a maintenance window, or a new table",
                 "ADD EXCLUDE builds its index while %s is locked against reads and writes",
                 lint_rel_text(l, l->rel));
}

void lint_set_not_null(struct lint *l)
{
    const struct known_column *c = known_column(l->own, l->name);
    const char *help =
        "ADD CHECK (column IS NOT NULL) NOT VALID, VALIDATE it, SET NOT NULL, drop the CHECK";

    if (!l->name || (c && c->not_null) || is_present(l, l->name))
        return;
    if (c) /* all that was ever said of the column is known */
        lint_say(l, "not-null-scan", help,
                 "SET NOT NULL on %s.%s reads every row under ACCESS EXCLUSIVE",
                 lint_rel_text(l, l->rel), l->name);
    else
        lint_unsure(l, "not-null-scan", help,
                    "SET NOT NULL on %s.%s reads every row under ACCESS EXCLUSIVE unless a valid "
                    "CHECK proves it",
                    lint_rel_text(l, l->rel), l->name);
}

/* The lock of each part; the strongest is taken first, for all. */
static bool is_stronger_than_validate(const json_t *cmd)
{
    static const char *const weak[] = {
        "AT_ValidateConstraint", "AT_SetStatistics",   "AT_SetOptions",
        "AT_ResetOptions",       "AT_ClusterOn",       "AT_DropCluster",
        "AT_SetRelOptions",      "AT_ResetRelOptions", NULL};
    const char *subtype = tree_text(cmd, "subtype");

    return !word_in(subtype ? subtype : "AT_AddColumn", weak);
}

void lint_validate(struct lint *l)
{
    json_t *item;
    size_t i;

    json_array_foreach(tree_list(l->tree, "cmds"), i, item)
    {
        if (!is_stronger_than_validate(tree_as(item, "AlterTableCmd")))
            continue;
        lint_say(
            l, "validate-lock-raised-by-sibling", "VALIDATE CONSTRAINT in a step of its own",
            "VALIDATE CONSTRAINT %s reads every row of %s under the lock of the other parts of "
            "its ALTER TABLE",
            l->name ? l->name : "", lint_rel_text(l, l->rel));
        return;
    }
}

/* ---- partitions ----------------------------------------------------------------------------------------------- */

static bool has_valid_check(const struct known_rel *rel)
{
    for (int i = 0; i < rel->n_constraints; i++)
        if (rel->constraints[i].is_valid && strcmp(rel->constraints[i].type, "CONSTR_CHECK") == 0)
            return true;
    return false;
}

static void scans_default(struct lint *l, const struct known_rel *parent, struct sql_rel child)
{
    const struct known_rel *fallback = parent ? parent->default_partition : NULL;

    if (!fallback || fallback->is_dropped || lint_is_new(l, fallback->rel))
        return;
    if (has_valid_check(fallback))
        lint_unsure(l, "default-partition-scanned", NULL,
                    "adding %s reads every row of the default partition %s unless a valid CHECK "
                    "excludes its bounds",
                    lint_rel_text(l, child), lint_rel_text(l, fallback->rel));
    else
        lint_say(
            l, "default-partition-scanned",
            "a CHECK on the default partition that excludes the bounds, NOT VALID and VALIDATEd, "
            "before",
            "adding %s reads every row of the default partition %s under ACCESS EXCLUSIVE",
            lint_rel_text(l, child), lint_rel_text(l, fallback->rel));
}

static bool has_partitions(const struct lint *l, const struct known_rel *parent)
{
    for (int i = 0; i < l->k->n_rels; i++)
        if (l->k->rels[i]->parent == parent && !l->k->rels[i]->is_dropped)
            return true;
    return false;
}

void lint_attach(struct lint *l)
{
    struct sql_rel child = tree_rel(tree_get(l->def, "name"));
    const struct known_rel *known = known_find(l->k, child);
    const char *help = "a CHECK like the bounds on the partition, NOT VALID and VALIDATEd, before";
    bool is_new = known && lint_is_new(l, child);
    bool is_default =
        tree_flag(tree_as(tree_get(l->def, "bound"), "PartitionBoundSpec"), "is_default");

    if (tree_is(l->tree, "objtype", "OBJECT_INDEX"))
        return;
    scans_default(l, l->own, child);
    /* The first one takes everything. */
    if (is_new || (is_default && l->own && l->own->is_whole && !has_partitions(l, l->own)))
        return;
    if (known && known->is_whole && !has_valid_check(known))
        lint_say(l, "partition-attach-scans", help,
                 "ATTACH PARTITION reads every row of %s under ACCESS EXCLUSIVE",
                 lint_rel_text(l, child));
    else
        lint_unsure(l, "partition-attach-scans", help,
                    "ATTACH PARTITION reads every row of %s unless a valid CHECK proves its bounds",
                    lint_rel_text(l, child));
}

void lint_detach(struct lint *l)
{
    if (!tree_flag(l->def, "concurrent"))
        lint_say(l, "partition-detach-not-concurrent",
                 "DETACH PARTITION ... CONCURRENTLY, as the only statement of its step; not to be "
                 "had while the table has a default partition",
                 "DETACH PARTITION waits for every query on %s, and new ones wait behind it",
                 lint_rel_text(l, l->rel));
}

void lint_create_partition(struct lint *l)
{
    struct sql_rel parent = tree_rel(json_array_get(tree_list(l->tree, "inhRelations"), 0));

    if (!tree_get(l->tree, "partbound") || lint_is_new(l, parent))
        return;
    scans_default(l, known_find(l->k, parent), l->rel);
    lint_say(l, "partition-created-in-place",
             "CREATE TABLE ... (LIKE parent), then ATTACH PARTITION: it takes a weaker lock",
             "CREATE TABLE %s PARTITION OF takes ACCESS EXCLUSIVE on %s", lint_rel_text(l, l->rel),
             lint_rel_text(l, parent));
}

/* ---- domains -------------------------------------------------------------------------------------------------- */

/* A column of this domain in a table that others use; NULL: none known. */
static const struct known_rel *domain_user(struct lint *l, const struct known_type *domain)
{
    for (int i = 0; i < l->k->n_rels; i++) {
        const struct known_rel *r = l->k->rels[i];

        if (r->is_dropped || r->kind != KNOWN_TABLE || lint_is_new(l, r->rel))
            continue;
        for (int c = 0; c < r->n_columns; c++)
            if (r->columns[c].type.text && !r->columns[c].type.is_builtin &&
                strcmp(r->columns[c].type.name, domain->rel.name) == 0)
                return r;
    }
    return NULL;
}

void lint_alter_domain(struct lint *l)
{
    struct sql_rel rel = tree_name(tree_get(l->tree, "typeName"), 0);
    const struct known_type *domain = known_type_find(l->k, rel);
    const struct known_rel *user = domain ? domain_user(l, domain) : NULL;
    const char *form = tree_text(l->tree, "subtype");
    const char *help = "ADD CONSTRAINT ... NOT VALID binds new values without reading old ones";

    if (!form || !strchr("COV", *form) ||
        (domain && !user && domain->unit == l->unit && l->unit != 0) ||
        tree_flag(tree_as(tree_get(l->tree, "def"), "Constraint"), "skip_validation"))
        return;
    if (user)
        lint_say(
            l, "domain-constraint-scans-users", help,
            "%s on %s reads every row of %s, and of every other table that uses it, with writes "
            "blocked",
            l->facts.kind, lint_rel_text(l, rel), lint_rel_text(l, user->rel));
    else
        lint_unsure(l, "domain-constraint-scans-users", help,
                    "%s on %s reads every row of every table that uses it, with writes blocked",
                    l->facts.kind, lint_rel_text(l, rel));
}

/* ---- what can't be seen ------------------------------------------------------------------------------------------ */

void lint_opaque(struct lint *l)
{
    lint_unsure(l, "work-under-strong-lock", "plain statements say what they do",
                "what %s does can't be seen in its text", l->facts.kind);
}

static bool note_call(void *ctx, const char *kind, const json_t *fields)
{
    struct lint *l = ((void **) ctx)[0];
    const struct known_function **found = ((void **) ctx)[1];
    const struct known_function *f =
        strcmp(kind, "FuncCall") == 0
            ? known_function_find(l->k, tree_name(tree_get(fields, "funcname"), 0))
            : NULL;

    if (f && f->volatility != NOT_VOLATILE)
        *found = f;
    return !*found;
}

/* A function that the texts make may do anything. */
void lint_calls(struct lint *l)
{
    const struct known_function *f = NULL;

    tree_walk(l->tree, note_call, (void *[]) {l, &f});
    if (f)
        lint_unsure(l, "work-under-strong-lock", "plain statements say what they do",
                    "what %s() does can't be seen in the text of its call",
                    lint_rel_text(l, f->rel));
}

void lint_set_timeout(struct lint *l)
{
    const char *name = tree_text(l->tree, "name");
    const json_t *arg = json_array_get(tree_list(l->tree, "args"), 0);
    const char *text = tree_string(arg);
    int64_t number = -1;

    if (!name || strcmp(name, "lock_timeout") != 0 || !tree_is(l->tree, "kind", "VAR_SET_VALUE"))
        return;
    if ((tree_integer(arg, &number) && number == 0) || (text && strcmp(text, "0") == 0))
        lint_say(l, "lock-timeout-missing",
                 "leave lock_timeout alone, or state one of a second or less",
                 "lock_timeout 0 lets a statement wait for its lock for ever, with all others "
                 "behind it");
}

/* ---- flags ----------------------------------------------------------------------------------------- */

static bool is_flag(const struct plan *p, const char *word)
{
    for (int role = 0; role < FLAG_ROLES; role++)
        if (p->flags[role].key.s && strcmp(p->flags[role].key.s, word) == 0)
            return true;
    return false;
}

static bool note_flag(void *ctx, const char *kind, const json_t *fields)
{
    struct lint *l = ctx;
    const char *text = NULL;

    if (strcmp(kind, "A_Const") == 0) {
        json_t *wrapped = json_pack("{s:O}", "A_Const", (json_t *) fields);

        text = tree_string(wrapped);
        json_decref(wrapped);
    }
    if (!text || !is_flag(l->of, text))
        return true;
    lint_say(l, "flag-evaluated-inside-migration",
             "the application asks for flags; a step does the same whatever they say",
             "the step names flag %s: what it does would hang on when it runs", text);
    return false;
}

void lint_flags(struct lint *l)
{
    if (strcmp(l->node, "CommentStmt") != 0)
        tree_walk(l->tree, note_flag, l);
}

/* Closer looks at rows, rights and upkeep. */
#include "load/lint_int.h"
#include "load/sql_look.h"

#include <string.h>

static const struct sql_rel no_rel;

void look_truncate(struct job *j)
{
    json_t *item;
    bool all_new = true;
    size_t i;

    json_array_foreach(tree_list(j->tree, "relations"), i, item)
    {
        job_lock(j, tree_rel(item), LOCK_AE, WORK_BRIEF, NULL);
        all_new = all_new && is_new_table(j, tree_rel(item));
    }
    job_table(j, tree_rel(json_array_get(tree_list(j->tree, "relations"), 0)));
    if (!all_new)
        job_class(j, SQL_DESTRUCTIVE, "the rows are gone");
}

void look_grant(struct job *j)
{
    json_t *list = tree_list(j->tree, "objects"), *first = json_array_get(list, 0);
    bool is_table = tree_get(first, "RangeVar") != NULL;

    if (is_table)
        job_table(j, tree_rel(first));
    if (tree_flag(j->tree, "is_grant"))
        return;
    job_kind(j, "REVOKE");
    if (!is_table || !is_new_table(j, tree_rel(first)))
        job_class(j, SQL_RESTRICTIVE, "takes rights that live releases may use");
}

static bool has_true_option(const json_t *options, const char *name)
{
    const json_t *elem = tree_option(options, name);
    const char *value = elem ? tree_string(tree_get(elem, "arg")) : NULL;
    static const char *const no[] = {"false", "off", "0", "no", NULL};

    return elem && !word_in(value, no);
}

void look_vacuum(struct job *j)
{
    json_t *rels = tree_list(j->tree, "rels"), *item;
    bool is_vacuum = tree_flag(j->tree, "is_vacuumcmd");
    bool is_full = is_vacuum && has_true_option(tree_get(j->tree, "options"), "full");
    size_t i;

    job_kind(j, !is_vacuum ? "ANALYZE" : is_full ? "VACUUM FULL" : "VACUUM");
    j->out->standalone = is_vacuum;
    json_array_foreach(rels, i, item)
    {
        struct sql_rel rel = tree_rel(tree_get(tree_as(item, "VacuumRelation"), "relation"));

        if (i == 0)
            job_table(j, rel);
        job_lock(j, rel, is_full ? LOCK_AE : LOCK_SUE, is_full ? WORK_REWRITE : WORK_SCAN, NULL);
    }
    if (tree_count(rels) == 0)
        job_lock(j, no_rel, is_full ? LOCK_AE : LOCK_SUE, is_full ? WORK_REWRITE : WORK_SCAN,
                 "every table of the database");
}

void look_cluster(struct job *j)
{
    /* Without a table it goes through all of them, a transaction each. */
    j->out->standalone = !tree_get(j->tree, "relation");
}

void look_reindex(struct job *j)
{
    const char *what = tree_text(j->tree, "kind");
    struct sql_rel rel = tree_rel(tree_get(j->tree, "relation"));
    bool is_concurrent = tree_flag(j->tree, "concurrent") ||
                         has_true_option(tree_get(j->tree, "params"), "concurrently");
    bool is_index = !what || strcmp(what, "REINDEX_OBJECT_INDEX") == 0;
    bool is_table = what && strcmp(what, "REINDEX_OBJECT_TABLE") == 0;

    job_kind(j, arena_printf(j->a, "REINDEX %s%s",
                             is_index   ? "INDEX"
                             : is_table ? "TABLE"
                                        : "SCHEMA OR DATABASE",
                             is_concurrent ? " CONCURRENTLY" : ""));
    if (is_index)
        j->out->object = arena_strdup(j->a, rel.name);
    else
        j->out->table = arena_strdup(j->a, rel.name);
    j->out->schema = arena_strdup(j->a, rel.schema);
    j->out->standalone = is_concurrent || (!is_index && !is_table);
    job_lock(j, rel, is_concurrent ? LOCK_SUE : LOCK_S, WORK_BUILD,
             is_concurrent ? NULL : "builds an index, which no query can use meanwhile");
}

void look_refresh(struct job *j)
{
    bool is_concurrent = tree_flag(j->tree, "concurrent");

    if (is_concurrent)
        job_kind(j, "REFRESH MATERIALIZED VIEW CONCURRENTLY");
    j->out->standalone = is_concurrent;
    job_lock(j, tree_rel(tree_get(j->tree, "relation")), is_concurrent ? LOCK_E : LOCK_AE,
             WORK_REWRITE, NULL);
}

void look_comment(struct job *j)
{
    const char *type = tree_text(j->tree, "objtype");
    static const char *const of_table[] = {"OBJECT_COLUMN", "OBJECT_TABCONSTRAINT",
                                           "OBJECT_TRIGGER", NULL};
    json_t *object = tree_get(j->tree, "object");
    struct sql_rel rel = word_in(type, of_table) ? tree_name(object, 1) : tree_name(object, 0);

    if (!word_in(type, of_table) && !is_relation_object(type))
        return;
    job_table(j, rel);
    job_lock(j, rel, LOCK_SUE, WORK_BRIEF, NULL);
}

/* ---- data ----------------------------------------------------------------------------------------- */

static bool only_new_columns(const struct job *j, struct sql_rel rel)
{
    json_t *item;
    size_t i;

    json_array_foreach(
        tree_list(j->tree, "targetList"), i,
        item) if (!new_column(j, rel, tree_text(tree_as(item, "ResTarget"), "name"))) return false;
    return true;
}

static bool writes_few(const struct job *j)
{
    const json_t *values = tree_as(tree_get(j->tree, "selectStmt"), "SelectStmt");

    if (strcmp(j->node, "InsertStmt") == 0)
        return !tree_get(j->tree, "selectStmt") || tree_get(values, "valuesLists");
    return strcmp(j->node, "MergeStmt") != 0 &&
           where_picks(tree_get(j->tree, "whereClause")) == PICKS_FEW;
}

/* Those that its text names, of a table of codes say; whoever sees one too many, the proof tells. */
static bool only_adds(const struct job *j)
{
    const json_t *conflict = tree_as(tree_get(j->tree, "onConflictClause"), "OnConflictClause");

    return strcmp(j->node, "InsertStmt") == 0 && writes_few(j) &&
           !tree_is(conflict, "action", "ONCONFLICT_UPDATE");
}

void look_data(struct job *j)
{
    struct sql_rel rel = tree_rel(tree_get(j->tree, "relation"));
    bool is_own =
        is_new_table(j, rel) || (strcmp(j->node, "UpdateStmt") == 0 && only_new_columns(j, rel));

    j->out->few_rows = writes_few(j);
    j->out->only_adds = only_adds(j);
    job_class(j, SQL_DATA, is_own ? NULL : "changes rows that live releases may see");
}

static bool sees_effect(void *ctx, const char *kind, const json_t *fields)
{
    static const char *const writes[] = {"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt",
                                         NULL};
    struct job *j = ctx;

    if (word_in(kind, writes)) {
        job_class(j, SQL_DATA, "changes rows that live releases may see");
        job_lock(j, tree_rel(tree_get(fields, "relation")), LOCK_RE, WORK_BRIEF, NULL);
    } else if (strcmp(kind, "FuncCall") == 0) {
        job_class(j, SQL_UNKNOWN, "what the functions do that it calls can't be seen here");
    } else if (strcmp(kind, "LockingClause") == 0) {
        job_lock(j, no_rel, LOCK_RS, WORK_BRIEF, NULL);
    } else if (strcmp(kind, "RangeVar") == 0) {
        job_lock(j, tree_rel(fields), LOCK_AS, WORK_BRIEF, NULL);
    }
    return true;
}

void look_select_rows(struct job *j)
{
    const json_t *into = tree_get(j->tree, "intoClause");

    tree_walk(j->tree, sees_effect, j);
    if (!into)
        return;
    job_kind(j, "SELECT INTO");
    job_table(j, tree_rel(tree_get(tree_as(into, "IntoClause"), "rel")));
    seen_add(j->seen, MADE_RELATION, tree_rel(tree_get(tree_as(into, "IntoClause"), "rel")), NULL);
}

/* SET LOCAL and SET TRANSACTION end with the transaction. */
void look_set(struct job *j)
{
    bool is_transaction = tree_is(j->tree, "kind", "VAR_SET_MULTI") &&
                          !tree_is(j->tree, "name", "SESSION CHARACTERISTICS");

    if (!tree_flag(j->tree, "is_local") && !is_transaction)
        job_kind(j, "SET SESSION");
}

/* EXPLAIN ANALYZE runs the statement, and EXECUTE what was prepared: it is as good or bad as that one. */
void look_inner(struct job *j)
{
    const char *kind = j->out->kind;
    const json_t *query = tree_get(j->tree, "query");
    struct job inner = *j;

    if (strcmp(j->node, "ExplainStmt") == 0) {
        if (!has_true_option(tree_get(j->tree, "options"), "analyze"))
            return;
        kind = "EXPLAIN ANALYZE";
    }
    inner.node = tree_kind(query);
    inner.tree = tree_fields(query);
    if (inner.node)
        sql_classify(&inner);
    j->work = inner.work;
    job_kind(j, kind);
}

void look_copy(struct job *j)
{
    struct sql_rel rel = tree_rel(tree_get(j->tree, "relation"));

    if (!tree_get(j->tree, "filename"))
        job_kind(j, tree_flag(j->tree, "is_from") ? "COPY FROM STDIN" : "COPY TO STDOUT");
    if (!tree_flag(j->tree, "is_from")) {
        job_lock(j, rel, LOCK_AS, WORK_BRIEF, NULL);
        return;
    }
    job_lock(j, rel, LOCK_RE, WORK_BRIEF, NULL);
    job_class(j, SQL_DATA, is_new_table(j, rel) ? NULL : "changes rows that live releases may see");
}

void look_lock_table(struct job *j)
{
    json_t *item;
    int64_t mode = json_integer_value(tree_get(j->tree, "mode"));
    size_t i;

    /* PostgreSQL numbers the modes from 1 in our order. */
    json_array_foreach(tree_list(j->tree, "relations"), i, item)
    {
        if (i == 0)
            job_table(j, tree_rel(item));
        job_lock(j, tree_rel(item),
                 mode >= LOCK_AS && mode <= LOCK_AE ? (enum lock_mode) mode : LOCK_AE, WORK_BRIEF,
                 "until the end of the transaction");
    }
}

void look_create_publication(struct job *j)
{
    json_t *item;
    size_t i;

    json_array_foreach(tree_list(j->tree, "pubobjects"), i, item) job_lock(
        j,
        tree_rel(tree_get(
            tree_as(tree_get(tree_as(item, "PublicationObjSpec"), "pubtable"), "PublicationTable"),
            "relation")),
        LOCK_SUE, WORK_BRIEF, NULL);
}

void look_create_statistics(struct job *j)
{
    job_lock(j, tree_rel(json_array_get(tree_list(j->tree, "relations"), 0)), LOCK_SUE, WORK_BRIEF,
             NULL);
    j->out->schema = arena_strdup(j->a, tree_name(tree_get(j->tree, "defnames"), 0).schema);
    j->out->object = arena_strdup(j->a, tree_last(tree_get(j->tree, "defnames")));
}

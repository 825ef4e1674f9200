/* Lints of what stands together in one transaction. */
#include "load/lint_int.h"

#include <string.h>
#include <strings.h>

#define GROW(a, list, n)                                                                           \
    ((list) = arena_grow((a), (list), sizeof *(list) * (size_t) (n),                               \
                         sizeof *(list) * (size_t) ((n) + 1)))

static void forget(struct lint_tx *tx)
{
    bool is_open = tx->is_open, is_explicit = tx->is_explicit;

    *tx = (struct lint_tx) {.is_open = is_open, .is_explicit = is_explicit};
}

static void control(struct lint *l)
{
    const char *kind = tree_text(l->tree, "kind");
    static const char *const begin[] = {"TRANS_STMT_BEGIN", "TRANS_STMT_START", NULL};
    static const char *const end[] = {"TRANS_STMT_COMMIT", "TRANS_STMT_ROLLBACK",
                                      "TRANS_STMT_PREPARE", NULL};

    if (!kind || word_in(kind, begin))
        l->tx->is_open = true;
    else if (word_in(kind, end))
        l->tx->is_open = false;
    else
        return;
    forget(l->tx);
}

/* ---- labels of enums ------------------------------------------------------------------------------------------- */

struct label_use {
    struct lint *l;
    struct sql_rel type;
    const char *label;
    bool is_there, is_cast; /* the text; as a constant of this very type */
    bool is_column;         /* beside a column of that type */
    bool is_elsewhere;      /* a table of which not everything is known */
};

static bool is_label(const json_t *node, const char *label)
{
    const char *s = tree_get(node, "A_Const") ? tree_string(node) : NULL;

    return s && strcmp(s, label) == 0;
}

static bool has_column_of(const struct known_rel *rel, struct sql_rel type)
{
    for (int i = 0; i < rel->n_columns; i++)
        if (rel->columns[i].type.text && !rel->columns[i].type.is_builtin &&
            strcmp(rel->columns[i].type.name, type.name) == 0)
            return true;
    return false;
}

static void note_table(struct label_use *u, struct sql_rel name)
{
    const struct known_rel *rel = known_find(u->l->k, name);

    if (rel && has_column_of(rel, u->type))
        u->is_column = true;
    else if (!rel || !rel->is_whole)
        u->is_elsewhere = true;
}

static bool note_use(void *ctx, const char *kind, const json_t *fields)
{
    struct label_use *u = ctx;

    if (strcmp(kind, "TypeCast") == 0 && is_label(tree_get(fields, "arg"), u->label)) {
        struct sql_rel type =
            tree_name(tree_get(tree_as(tree_get(fields, "typeName"), "TypeName"), "names"), 0);

        u->is_cast = u->is_cast || (type.name && strcmp(type.name, u->type.name) == 0);
    }
    if (strcmp(kind, "RangeVar") == 0)
        note_table(u, tree_rel(fields));
    if (strcmp(kind, "A_Const") == 0) {
        json_t *wrapped = json_pack("{s:O}", "A_Const", (json_t *) fields);

        u->is_there = u->is_there || is_label(wrapped, u->label);
        json_decref(wrapped);
    }
    return true;
}

static void labels_used(struct lint *l)
{
    const char *help = "ALTER TYPE ... ADD VALUE in a step of its own, before";

    for (int i = 0; i < l->tx->n_labels; i++) {
        struct label_use u = {
            .l = l, .type = l->tx->labels[i].type, .label = l->tx->labels[i].label};

        if (l->rel.name)
            note_table(&u, l->rel);
        tree_walk(l->tree, note_use, &u);
        if (strcmp(l->node, "AlterTableStmt") == 0 || strcmp(l->node, "CreateStmt") == 0)
            u.is_column = u.is_column || u.is_cast;
        if (u.is_cast || (u.is_there && u.is_column))
            lint_say(
                l, "enum-value-used-in-same-transaction", help,
                "'%s' of %s is used in the transaction that adds it: PostgreSQL refuses (55P04)",
                u.label, lint_rel_text(l, u.type));
        else if (u.is_there && u.is_elsewhere)
            lint_unsure(
                l, "enum-value-used-in-same-transaction", help,
                "if this '%s' is of %s, which the same transaction adds, PostgreSQL refuses",
                u.label, lint_rel_text(l, u.type));
    }
}

static void remember_label(struct lint *l)
{
    struct sql_rel type = tree_name(tree_get(l->tree, "typeName"), 0);
    const struct known_type *known = known_type_find(l->k, type);
    const char *label = tree_text(l->tree, "newVal");
    struct lint_tx *tx = l->tx;

    if (tree_text(l->tree, "oldVal") || !label || !type.name ||
        (known && known->unit == l->unit && l->unit != 0))
        return;
    GROW(l->a, tx->labels, tx->n_labels);
    tx->labels[tx->n_labels].type =
        (struct sql_rel) {arena_strdup(l->a, type.schema), arena_strdup(l->a, type.name)};
    tx->labels[tx->n_labels++].label = arena_strdup(l->a, label);
}

/* ---- NOT VALID and VALIDATE ------------------------------------------------------------------------------------- */

static void each_cmd(struct lint *l, const char *subtype,
                     void (*fn)(struct lint *l, const json_t *cmd))
{
    json_t *item;
    size_t i;

    json_array_foreach(tree_list(l->tree, "cmds"), i, item)
    {
        const json_t *cmd = tree_as(item, "AlterTableCmd");

        if (tree_is(cmd, "subtype", subtype))
            fn(l, cmd);
    }
}

static void validated(struct lint *l, const json_t *cmd)
{
    const char *name = tree_text(cmd, "name");

    for (int i = 0; name && i < l->tx->n_not_valid; i++)
        if (strcmp(l->tx->not_valid[i].name, name) == 0 &&
            strcmp(l->tx->not_valid[i].table, l->rel.name) == 0)
            lint_say(
                l, "not-valid-and-validate-same-transaction",
                "VALIDATE CONSTRAINT in a step of its own",
                "%s is validated in the transaction that adds it: the lock of ADD CONSTRAINT is "
                "held while every row of %s is read",
                name, lint_rel_text(l, l->rel));
}

static void remember_not_valid(struct lint *l, const json_t *cmd)
{
    const json_t *c = tree_as(tree_get(cmd, "def"), "Constraint");
    struct lint_tx *tx = l->tx;

    if (!tree_flag(c, "skip_validation") || !tree_text(c, "conname"))
        return;
    GROW(l->a, tx->not_valid, tx->n_not_valid);
    tx->not_valid[tx->n_not_valid].table = arena_strdup(l->a, l->rel.name);
    tx->not_valid[tx->n_not_valid++].name = arena_strdup(l->a, tree_text(c, "conname"));
}

/* ---- indexes ------------------------------------------------------------------------------------------------------ */

static void remember_drops(struct lint *l)
{
    struct lint_tx *tx = l->tx;
    json_t *object;
    size_t i;

    if (!tree_is(l->tree, "removeType", "OBJECT_INDEX"))
        return;
    json_array_foreach(tree_list(l->tree, "objects"), i, object)
    {
        const struct known_rel *index = known_find(l->k, tree_name(object, 0));

        if (index && lint_is_new(l, index->rel))
            continue;
        GROW(l->a, tx->dropped, tx->n_dropped);
        tx->dropped[tx->n_dropped++] = arena_strdup(l->a, tree_last(object));
    }
}

static void index_made_again(struct lint *l)
{
    const char *name = tree_text(l->tree, "idxname");

    for (int i = 0; name && i < l->tx->n_dropped; i++)
        if (strcmp(l->tx->dropped[i], name) == 0)
            lint_say(
                l, "index-dropped-before-replacement",
                "make the new one CONCURRENTLY under another name, then drop the old one, then "
                "rename",
                "%s is made after the index of that name was dropped: until it is there, queries "
                "do without",
                name);
}

/* ---- work under a lock ---------------------------------------------------------------------------------------------- */

/* Work that grows with the rows of tables that others use; SURE: it can be seen here. */
enum row_work { ROWS_NONE, ROWS_MAYBE, ROWS_SURE };

static bool reads_existing(const struct lint *l, const json_t *query)
{
    return lint_reads_existing(l, query).name != NULL;
}

static bool has_validate(const json_t *alter)
{
    json_t *item;
    size_t i;

    json_array_foreach(tree_list(alter, "cmds"), i,
                       item) if (tree_is(tree_as(item, "AlterTableCmd"), "subtype",
                                         "AT_ValidateConstraint")) return true;
    return false;
}

static enum row_work work_of(const struct lint *l)
{
    bool is_new = l->rel.name && lint_is_new(l, l->rel);

    if (strcmp(l->node, "UpdateStmt") == 0 || strcmp(l->node, "DeleteStmt") == 0)
        return !is_new && where_picks(tree_get(l->tree, "whereClause")) != PICKS_FEW ? ROWS_SURE
                                                                                     : ROWS_NONE;
    if (strcmp(l->node, "MergeStmt") == 0)
        return is_new ? ROWS_NONE : ROWS_SURE;
    if (strcmp(l->node, "InsertStmt") == 0) {
        const json_t *query = tree_fields(tree_get(l->tree, "selectStmt"));

        return reads_existing(l, query)                   ? ROWS_SURE
               : !is_new && tree_get(query, "fromClause") ? ROWS_MAYBE /* generate_series */
                                                          : ROWS_NONE;
    }
    if (strcmp(l->node, "CopyStmt") == 0)
        return tree_flag(l->tree, "is_from") ? ROWS_SURE : ROWS_NONE;
    if (strcmp(l->node, "CreateTableAsStmt") == 0)
        return !tree_flag(tree_as(tree_get(l->tree, "into"), "IntoClause"), "skipData") &&
                       reads_existing(l, tree_fields(tree_get(l->tree, "query")))
                   ? ROWS_SURE
                   : ROWS_NONE;
    if (strcmp(l->node, "SelectStmt") == 0)
        return !reads_existing(l, l->tree)       ? ROWS_NONE
               : tree_get(l->tree, "intoClause") ? ROWS_SURE
                                                 : ROWS_MAYBE;
    if (strcmp(l->node, "AlterTableStmt") == 0 && !is_new)
        return has_validate(l->tree) ? ROWS_SURE : ROWS_NONE;
    return ROWS_NONE;
}

static bool is_dml(const struct lint *l)
{
    static const char *const nodes[] = {"UpdateStmt", "DeleteStmt", "MergeStmt", "InsertStmt",
                                        NULL};

    return word_in(l->node, nodes);
}

/* The table that the statement keeps locked against everybody to the end of the transaction. Views and what is
 * dropped don't count: nobody works with them as before anyway. */
static const char *locked_table(struct lint *l)
{
    static const char *const not_tables[] = {"ViewStmt", "RefreshMatViewStmt", "TruncateStmt",
                                             NULL};
    const char *type = tree_text(l->tree, "objtype");
    struct sql_rel rel = {l->facts.schema, l->facts.table};

    if (l->facts.lock != LOCK_AE || word_in(l->node, not_tables))
        return NULL;
    if (type && strcmp(type, "OBJECT_TABLE") != 0)
        return NULL;
    if (strcmp(l->node, "CreateStmt") == 0)
        rel = tree_rel(json_array_get(tree_list(l->tree, "inhRelations"), 0));
    if (strcmp(l->node, "DropStmt") == 0 && !tree_is(l->tree, "removeType", "OBJECT_TRIGGER") &&
        !tree_is(l->tree, "removeType", "OBJECT_POLICY") &&
        !tree_is(l->tree, "removeType", "OBJECT_RULE"))
        return NULL;
    if (strcmp(l->node, "RenameStmt") == 0 && (tree_is(l->tree, "renameType", "OBJECT_VIEW") ||
                                               tree_is(l->tree, "renameType", "OBJECT_SEQUENCE")))
        return NULL;
    if (!rel.name || lint_is_new(l, rel))
        return NULL;

    const struct known_rel *known = known_find(l->k, rel);
    return known && known->kind != KNOWN_TABLE ? NULL : lint_rel_text(l, rel);
}

static void under_lock(struct lint *l)
{
    enum row_work work = work_of(l);
    const char *help =
        "the lock ends with the transaction: put the work into a step before or after it";

    if (!l->tx->held || l->has_error || work == ROWS_NONE)
        return;
    if (work == ROWS_SURE)
        lint_say(l, "statement-after-access-exclusive", help,
                 "%s runs while %s is locked against reads and writes since line %d", l->facts.kind,
                 l->tx->held, l->tx->held_line);
    else
        lint_unsure(l, "statement-after-access-exclusive", help,
                    "%s runs while %s is locked against reads and writes since line %d; how long, "
                    "hangs on the rows it reads",
                    l->facts.kind, l->tx->held, l->tx->held_line);
}

static void mixed(struct lint *l)
{
    struct lint_tx *tx = l->tx;
    bool is_new = l->rel.name && lint_is_new(l, l->rel);
    bool dml = is_dml(l) && work_of(l) == ROWS_SURE;
    bool ddl = !is_dml(l) && l->facts.lock >= LOCK_SRE && l->rel.name && !is_new;

    if (!tx->said_mixed && !tx->held && ((ddl && tx->has_dml) || (dml && tx->has_ddl))) {
        lint_say(l, "ddl-mixed-with-dml", "a step for the schema, another for the rows",
                 "%s shares its transaction with %s: locks of the one are held for the other",
                 l->facts.kind, dml ? "a change of schema" : "a change of rows");
        tx->said_mixed = true;
    }
    tx->has_dml = tx->has_dml || dml;
    tx->has_ddl = tx->has_ddl || ddl;
}

static void note_time_zone(struct lint *l)
{
    const char *name = tree_text(l->tree, "name");
    const char *zone = tree_string(json_array_get(tree_list(l->tree, "args"), 0));

    if (!name || strcasecmp(name, "timezone") != 0)
        return;
    l->tx->is_utc = zone && (strcasecmp(zone, "utc") == 0 || strcasecmp(zone, "etc/utc") == 0 ||
                             strcasecmp(zone, "gmt") == 0);
    /* A name of a place: others may be one more word for UTC. */
    l->tx->is_far_off_utc =
        zone && !l->tx->is_utc && strchr(zone, '/') && strncasecmp(zone, "etc/", 4) != 0;
}

/* ---- the two ends of a statement ----------------------------------------------------------------------------------- */

void tx_before(struct lint *l)
{
    bool is_file = l->in == PHASE_NONE; /* a plan's steps were refused for these already */

    if (strcmp(l->node, "TransactionStmt") == 0)
        control(l);
    else if (!l->tx->is_open) {
        bool is_utc = l->tx->is_utc, is_far = l->tx->is_far_off_utc; /* SET lasts */

        forget(l->tx);
        l->tx->is_utc = is_utc;
        l->tx->is_far_off_utc = is_far;
    }
    if (is_file && l->tx->is_open && is_outside_transactions(l->node, l->tree))
        lint_say(l, "concurrently-in-transaction", "take it out of BEGIN and COMMIT",
                 "%s can't run in a transaction", l->facts.kind);
    if (strcmp(l->node, "AlterEnumStmt") != 0 && strcmp(l->node, "CommentStmt") != 0)
        labels_used(l);
    if (is_file && strcmp(l->node, "AlterTableStmt") == 0)
        each_cmd(l, "AT_ValidateConstraint", validated);
    if (strcmp(l->node, "IndexStmt") == 0)
        index_made_again(l);
}

void tx_after(struct lint *l)
{
    const char *locked;

    under_lock(l);
    mixed(l);
    if (strcmp(l->node, "AlterEnumStmt") == 0)
        remember_label(l);
    if (strcmp(l->node, "AlterTableStmt") == 0 && l->rel.name && !lint_is_new(l, l->rel))
        each_cmd(l, "AT_AddConstraint", remember_not_valid);
    if (strcmp(l->node, "DropStmt") == 0)
        remember_drops(l);
    if (strcmp(l->node, "VariableSetStmt") == 0)
        note_time_zone(l);
    locked = l->tx->is_open ? locked_table(l) : NULL;
    if (locked && !l->tx->held) {
        l->tx->held = locked;
        l->tx->held_line = l->at.line;
    }
}

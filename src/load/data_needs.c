/* What statements ask of the rows that are there: read from the tree, and where the tree has no text of its own from the
 * place in the source that it names.
 */
#include "phasegate/load.h"

#include "load/sql_scan.h"
#include "load/sql_work.h"
#include "phasegate/names.h"

#include <string.h>
#include <strings.h>

struct reading {
    struct arena *a;
    const struct sql_stmt *s;
    struct data_need_list *out;
};

/* ---- source ------------------------------------------------------------------------------------- */

/* at: behind an opening parenthesis. Where its closing one stands. */
static size_t closing(const char *text, size_t at)
{
    size_t before = at;

    return sql_scan_past(text, at, ")", false, &before) ? before : strlen(text);
}

static size_t place_of(const json_t *node, size_t all)
{
    json_int_t at = json_integer_value(tree_get(node, "location"));

    return at > 0 && (size_t) at < all ? (size_t) at : 0;
}

/* ---- needs -------------------------------------------------------------------------------------- */

static struct data_need *add(struct reading *r, enum data_need_kind kind, struct sql_rel rel)
{
    struct data_need_list *l = r->out;

    l->items = arena_grow(r->a, l->items, sizeof *l->items * (size_t) l->n,
                          sizeof *l->items * (size_t) (l->n + 1));
    struct data_need *n = &l->items[l->n++];
    *n = (struct data_need) {.kind = kind, .at = r->s->at};
    n->schema = rel.schema ? arena_strdup(r->a, rel.schema) : NULL;
    n->table = arena_strdup(r->a, rel.name);
    return n;
}

static const char **names_of(struct arena *a, json_t *list, int *n)
{
    const char **names = arena_array(a, const char *, tree_count(list) + 1);
    json_t *item;
    size_t i;

    *n = 0;
    json_array_foreach(list, i, item) names[(*n)++] = arena_strdup(a, tree_string(item));
    return names;
}

static void add_not_null(struct reading *r, struct sql_rel rel, const char *column)
{
    struct data_need *n = add(r, NEED_NOT_NULL, rel);

    n->columns = arena_array(r->a, const char *, 1);
    n->columns[n->n_columns++] = arena_strdup(r->a, column);
}

static const char *quoted_list(struct arena *a, const char *const *names, int n)
{
    AUTO(str) text = {0};

    for (int i = 0; i < n; i++) {
        str_add(&text, i ? ", " : "");
        sql_ident(&text, names[i]);
    }
    return arena_strdup(a, str_text(&text));
}

static void add_unique(struct reading *r, struct sql_rel rel, const json_t *c, bool is_primary)
{
    int n_keys = 0;
    const char **keys = names_of(r->a, tree_list(c, "keys"), &n_keys);

    if (n_keys == 0)
        return; /* USING INDEX names none: the index has refused duplicates already */
    struct data_need *n = add(r, NEED_UNIQUE, rel);
    n->keys = quoted_list(r->a, keys, n_keys);
    n->nulls_are_equal = tree_flag(c, "nulls_not_distinct");
    for (int i = 0; is_primary && i < n_keys; i++)
        add_not_null(r, rel, keys[i]);
}

static void add_check(struct reading *r, struct sql_rel rel, const json_t *c)
{
    const char *text = r->s->sql;
    size_t before, at = sql_scan_past(text, place_of(c, strlen(text)), "check", false, &before);
    size_t open = at ? sql_scan_past(text, at, "(", false, &before) : 0;

    if (!open)
        return;
    struct data_need *n = add(r, NEED_CHECK, rel);
    n->condition = sql_scan_trimmed(r->a, text, open, closing(text, open));
}

static void add_foreign_key(struct reading *r, struct sql_rel rel, const json_t *c)
{
    struct sql_rel ref = tree_rel(tree_get(c, "pktable"));
    struct data_need *n = add(r, NEED_FOREIGN_KEY, rel);

    n->columns = names_of(r->a, tree_list(c, "fk_attrs"), &n->n_columns);
    n->ref_columns = names_of(r->a, tree_list(c, "pk_attrs"), &n->n_ref_columns);
    n->ref_schema = ref.schema ? arena_strdup(r->a, ref.schema) : NULL;
    n->ref_table = arena_strdup(r->a, ref.name);
    n->match_full = tree_is(c, "fk_matchtype", "f");
}

/* An expression without the words behind it: its parentheses, or a call with its own. */
static const char *expression_at(struct arena *a, const char *text, size_t from)
{
    size_t before, open = sql_scan_past(text, from, "(", false, &before);
    size_t end = open ? closing(text, open) : 0;

    return end && text[end] ? sql_scan_trimmed(a, text, from, end + 1) : NULL;
}

/* OPERATOR(s.&&), or && as the search path finds it. */
static const char *operator_of(struct arena *a, const json_t *names)
{
    struct sql_rel name = tree_name(names, 0);
    AUTO(str) s = {0};

    if (!name.schema)
        return name.name ? arena_strdup(a, name.name) : NULL;
    str_add(&s, "OPERATOR(");
    sql_ident(&s, name.schema);
    str_addf(&s, ".%s)", name.name);
    return arena_strdup(a, str_text(&s));
}

static void add_exclude(struct reading *r, struct sql_rel rel, const json_t *c)
{
    const char *text = r->s->sql;
    json_t *list = tree_list(c, "exclusions"), *item;
    size_t before, i,
        at = sql_scan_past(text, place_of(c, strlen(text)), "exclude", false, &before);
    struct data_need n = {0};

    at = at ? sql_scan_past(text, at, "(", false, &before) : 0;
    n.exprs = arena_array(r->a, const char *, tree_count(list) + 1);
    n.ops = arena_array(r->a, const char *, tree_count(list) + 1);
    json_array_foreach(list, i, item)
    {
        json_t *pair = tree_get(tree_as(item, "List"), "items");
        const char *column = tree_text(tree_as(json_array_get(pair, 0), "IndexElem"), "name");
        const json_t *names = tree_get(tree_as(json_array_get(pair, 1), "List"), "items");

        n.exprs[i] = column ? quoted_ident(r->a, column)
                     : at   ? expression_at(r->a, text, at)
                            : NULL;
        n.ops[i] = operator_of(r->a, names);
        if (!n.exprs[i] || !n.ops[i])
            return;
        n.n_exprs++;
        at = sql_scan_past(text, at, ",", false, &before);
    }
    if (tree_get(c, "where_clause")) {
        size_t where = sql_scan_past(text, place_of(c, strlen(text)), "where", false, &before);
        size_t open = where ? sql_scan_past(text, where, "(", false, &before) : 0;
        if (!open)
            return;
        n.condition = sql_scan_trimmed(r->a, text, open, closing(text, open));
    }
    struct data_need *need = add(r, NEED_EXCLUDE, rel);
    need->exprs = n.exprs;
    need->ops = n.ops;
    need->n_exprs = n.n_exprs;
    need->condition = n.condition;
}

static void add_constraint(struct reading *r, struct sql_rel rel, const json_t *c)
{
    const char *type = tree_text(c, "contype"), *name = tree_text(c, "conname");
    json_t *keys = tree_list(c, "keys");
    int before = r->out->n;

    if (!type)
        return;
    if (strcmp(type, "CONSTR_CHECK") == 0)
        add_check(r, rel, c);
    else if (strcmp(type, "CONSTR_FOREIGN") == 0)
        add_foreign_key(r, rel, c);
    else if (strcmp(type, "CONSTR_UNIQUE") == 0 || strcmp(type, "CONSTR_PRIMARY") == 0)
        add_unique(r, rel, c, strcmp(type, "CONSTR_PRIMARY") == 0);
    else if (strcmp(type, "CONSTR_EXCLUSION") == 0)
        add_exclude(r, rel, c);
    else if (strcmp(type, "CONSTR_NOTNULL") == 0 && tree_count(keys) == 1)
        add_not_null(r, rel, tree_string(json_array_get(keys, 0))); /* PostgreSQL 18 */
    for (int i = before; i < r->out->n; i++) {
        r->out->items[i].constraint = name ? arena_strdup(r->a, name) : NULL;
        r->out->items[i].is_deferred |= tree_flag(c, "skip_validation");
    }
}

static void add_cast(struct reading *r, struct sql_rel rel, const json_t *cmd, const json_t *def)
{
    const char *text = r->s->sql, *column = tree_text(cmd, "name");
    size_t all = strlen(text), from = place_of(tree_get(def, "typeName"), all), to = all, before;
    size_t using = sql_scan_past(text, from, "using", true, &before);

    if (!from || !column)
        return;
    if (using)
        to = before;
    else if (sql_scan_past(text, from, ",", false, &before))
        to = before;
    if (sql_scan_past(text, from, "collate", true, &before) && before < to)
        to = before;
    struct data_need *n = add(r, NEED_CAST, rel);
    n->type = sql_scan_trimmed(r->a, text, from, to);
    n->columns = arena_array(r->a, const char *, 1);
    n->columns[n->n_columns++] = arena_strdup(r->a, column);
    n->cast = quoted_ident(r->a, column);
    if (using)
        n->cast = sql_scan_trimmed(r->a, text, using,
                                   sql_scan_past(text, using, ",", false, &before) ? before : all);
}

/* Of a type that isn't PostgreSQL's own a domain may have the default. */
static void add_column(struct reading *r, struct sql_rel rel, const json_t *def)
{
    static const char *const values[] = {"CONSTR_DEFAULT", "CONSTR_IDENTITY", "CONSTR_GENERATED",
                                         NULL};
    bool is_full = false, has_value = false;
    struct sql_type type;
    json_t *item;
    size_t i;

    json_array_foreach(tree_list(def, "constraints"), i, item)
    {
        const char *what = tree_text(tree_as(item, "Constraint"), "contype");

        is_full |=
            what && (strcmp(what, "CONSTR_NOTNULL") == 0 || strcmp(what, "CONSTR_PRIMARY") == 0);
        has_value |= word_in(what, values);
    }
    if (!is_full || has_value || !tree_type(r->a, tree_get(def, "typeName"), &type) ||
        type.is_serial || (!type.is_builtin && !type.is_array))
        return;
    struct data_need *n = add(r, NEED_NO_ROWS, rel);
    n->columns = arena_array(r->a, const char *, 1);
    n->columns[n->n_columns++] = arena_strdup(r->a, tree_text(def, "colname"));
}

/* ---- bounds ------------------------------------------------------------------------------------- */

/* The values in the parentheses behind a word. */
static const char **values_behind(struct reading *r, size_t from, const char *word, int *n)
{
    const char *text = r->s->sql;
    size_t before, at = sql_scan_past(text, from, word, false, &before), end;
    const char **values = arena_array(r->a, const char *, strlen(text) + 1);

    *n = 0;
    at = at ? sql_scan_past(text, at, "(", false, &before) : 0;
    for (end = at ? closing(text, at) : 0; at && at < end;) {
        size_t next = sql_scan_past(text, at, ",", false, &before);
        values[(*n)++] = sql_scan_trimmed(r->a, text, at, next ? before : end);
        at = next ? next : end;
    }
    return values;
}

static const char *whole(struct arena *a, const json_t *node, const char *key)
{
    return arena_printf(a, "%lld", (long long) json_integer_value(tree_get(node, key)));
}

static void add_bound(struct reading *r, struct sql_rel parent, const json_t *cmd)
{
    const json_t *spec = tree_as(tree_get(cmd, "bound"), "PartitionBoundSpec");
    const char *by = tree_text(spec, "strategy"), *text = r->s->sql;
    struct sql_rel child = tree_rel(tree_get(cmd, "name"));
    size_t before, values = sql_scan_past(text, 0, "values", false, &before);

    if (!child.name || (!by && !tree_flag(spec, "is_default")))
        return;
    struct data_need *n = add(r, NEED_BOUND, child);
    struct bound *b = &n->bound;
    n->ref_schema = parent.schema ? arena_strdup(r->a, parent.schema) : NULL;
    n->ref_table = n->constraint = arena_strdup(r->a, parent.name);
    b->by = tree_flag(spec, "is_default") ? 'd' : by[0];
    if (b->by == 'l') {
        b->from = values_behind(r, values, "in", &b->n_from);
    } else if (b->by == 'r') {
        b->from = values_behind(r, values, "from", &b->n_from);
        b->to = values_behind(r, values, "to", &b->n_to);
    } else if (b->by == 'h') {
        b->from = arena_array(r->a, const char *, 2);
        b->from[b->n_from++] = whole(r->a, spec, "modulus");
        b->from[b->n_from++] = whole(r->a, spec, "remainder");
    }
}

static void read_alter(struct reading *r, const json_t *alter)
{
    struct sql_rel rel = tree_rel(tree_get(alter, "relation"));
    json_t *list = tree_list(alter, "cmds"), *item;
    size_t i;

    if (!rel.name || !tree_is(alter, "objtype", "OBJECT_TABLE"))
        return;
    json_array_foreach(list, i, item)
    {
        const json_t *cmd = tree_as(item, "AlterTableCmd"), *def = tree_get(cmd, "def");
        const char *subtype = tree_text(cmd, "subtype"), *name = tree_text(cmd, "name");

        if (!subtype)
            continue;
        if (strcmp(subtype, "AT_SetNotNull") == 0 && name) {
            add_not_null(r, rel, name);
        } else if (strcmp(subtype, "AT_AddConstraint") == 0) {
            add_constraint(r, rel, tree_as(def, "Constraint"));
        } else if (strcmp(subtype, "AT_AddColumn") == 0) {
            add_column(r, rel, tree_as(def, "ColumnDef"));
        } else if (strcmp(subtype, "AT_AttachPartition") == 0) {
            add_bound(r, rel, tree_as(def, "PartitionCmd"));
        } else if (strcmp(subtype, "AT_AlterColumnType") == 0) {
            add_cast(r, rel, cmd, tree_as(def, "ColumnDef"));
        } else if (strcmp(subtype, "AT_ValidateConstraint") == 0 && name) {
            add(r, NEED_VALIDATED, rel)->constraint = arena_strdup(r->a, name);
        }
    }
}

static void read_index(struct reading *r, const json_t *index)
{
    struct sql_rel rel = tree_rel(tree_get(index, "relation"));
    json_t *list = tree_list(index, "indexParams"), *item;
    const char *text = r->s->sql, *name = tree_text(index, "idxname");
    size_t before, on = sql_scan_past(text, 0, "on", false, &before), i;
    size_t at = on ? sql_scan_past(text, on, "(", false, &before) : 0,
           end = at ? closing(text, at) : 0;
    AUTO(str) keys = {0};

    if (!rel.name || !end || !tree_flag(index, "unique"))
        return;
    json_array_foreach(list, i, item)
    {
        const json_t *elem = tree_as(item, "IndexElem");
        const char *column = tree_text(elem, "name");
        const char *expr = column ? quoted_ident(r->a, column) : expression_at(r->a, text, at);

        if (!expr)
            return;
        str_addf(&keys, "%s%s", i ? ", " : "", expr);
        size_t next = sql_scan_past(text, at, ",", false, &before);
        at = next && next < end ? next : end;
    }
    struct data_need *n = add(r, NEED_UNIQUE, rel);
    n->constraint = name ? arena_strdup(r->a, name) : NULL;
    n->keys = arena_strdup(r->a, str_text(&keys));
    n->nulls_are_equal = tree_flag(index, "nulls_not_distinct");
    if (tree_get(index, "whereClause") &&
        (at = sql_scan_past(text, end + 1, "where", false, &before)))
        n->condition = sql_scan_trimmed(r->a, text, at, strlen(text));
}

void data_needs_of(struct arena *a, const struct sql_stmt *s, struct data_need_list *out)
{
    AUTO(problem_list) ignored = {0};
    struct reading r = {a, s, out};
    AUTO(arena) scratch = {0};
    AUTO(sql_parts) parts = {0};

    *out = (struct data_need_list) {0};
    if (!s->sql ||
        !sql_split(&scratch, &(struct sql_text) {.sql = s->sql}, "it", &parts, &ignored) ||
        parts.n != 1)
        return;
    const char *kind = tree_kind(parts.items[0].node);
    const json_t *fields = tree_fields(parts.items[0].node);
    if (kind && strcmp(kind, "AlterTableStmt") == 0)
        read_alter(&r, fields);
    else if (kind && strcmp(kind, "IndexStmt") == 0)
        read_index(&r, fields);
}

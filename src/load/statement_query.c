/* Queries: what FROM makes visible, and what of it the outputs and expressions take. */
#include "load/statement_work.h"

#include <string.h>

static bool same(const char *a, const char *b) { return a && b && strcmp(a, b) == 0; }

/* ---- scopes -------------------------------------------------------------------------------------- */

struct scope *scope_new(struct walk *w, struct scope *outer)
{
    struct scope *s = arena_new(w->a, struct scope);

    s->outer = outer;
    s->made_before = w->scopes;
    w->scopes = s;
    return s;
}

struct scope *scope_beside(struct walk *w, const struct scope *s)
{
    struct scope *beside = scope_new(w, s->outer);

    beside->ctes = s->ctes;
    beside->n_ctes = s->n_ctes;
    return beside;
}

void scope_add(struct walk *w, struct scope *s, struct source source)
{
    s->sources = arena_grow(w->a, s->sources, sizeof source * (size_t) s->n_sources,
                            sizeof source * (size_t) (s->n_sources + 1));
    s->sources[s->n_sources++] = source;
}

static void reach(struct walk *w, struct scope *s, unsigned taken);

static void reach_source(struct walk *w, const struct source *source, unsigned taken)
{
    if (source->rel >= 0) {
        struct fact_rel *rel = &w->out->rels[source->rel];

        rel->star = rel->star || (taken & TAKEN_STAR);
        rel->whole_row = rel->whole_row || (taken & TAKEN_WHOLE);
        rel->natural = rel->natural || (taken & TAKEN_NATURAL);
        rel->is_locked = rel->is_locked || (taken & TAKEN_LOCKED);
    }
    /* Locking doesn't go into a CTE, and what is taken whole of a query is whatever * gave it. */
    if (source->is_cte)
        taken &= ~(unsigned) TAKEN_LOCKED;
    if (source->query && taken)
        reach(w, source->query, taken & TAKEN_WHOLE ? taken | TAKEN_STAR : taken);
}

static void reach(struct walk *w, struct scope *s, unsigned taken)
{
    taken &= ~s->reached;
    if (!taken)
        return;
    s->reached |= taken;
    for (int i = 0; i < s->n_sources; i++)
        if (s->sources[i].starred || taken & TAKEN_LOCKED)
            reach_source(w, &s->sources[i], s->sources[i].starred ? taken : taken & TAKEN_LOCKED);
    if (s->left)
        reach(w, s->left, taken);
    if (s->right)
        reach(w, s->right, taken);
}

void scopes_settle(struct walk *w)
{
    for (struct scope *s = w->scopes; s; s = s->made_before) {
        for (int i = 0; i < s->n_sources; i++)
            if (s->sources[i].taken)
                reach_source(w, &s->sources[i], s->sources[i].taken);
        if (s->taken)
            reach(w, s, s->taken);
    }
}

/* public.t means t, where that is how FROM has it. */
static bool is_in_schema(const struct source *source, const char *schema)
{
    return !schema || same(source->schema, schema) || (!source->schema && source->rel >= 0);
}

/* The source that a qualifier means; looks outwards. */
static struct source *source_named(struct scope *s, const char *schema, const char *name)
{
    for (; s; s = s->outer)
        for (int i = 0; i < s->n_sources; i++)
            if (same(s->sources[i].name, name) && is_in_schema(&s->sources[i], schema))
                return &s->sources[i];
    return NULL;
}

static const struct cte *cte_named(const struct scope *s, const char *name)
{
    for (; s; s = s->outer)
        for (int i = s->n_ctes - 1; i >= 0; i--)
            if (same(s->ctes[i].name, name))
                return &s->ctes[i];
    return NULL;
}

/* ---- FROM -------------------------------------------------------------------------------------------- */

static const char *alias_of(const json_t *fields)
{
    return tree_text(tree_as(tree_get(fields, "alias"), "Alias"), "aliasname");
}

static void from_range(struct walk *w, struct scope *s, const json_t *range)
{
    struct sql_rel rel = tree_rel(range);
    const char *alias = alias_of(range);
    const struct cte *cte = rel.schema ? NULL : cte_named(s, rel.name);
    struct source source = {.schema = alias ? NULL : rel.schema,
                            .name = alias ? alias : rel.name,
                            .rel = cte ? -1 : note_rel(w, rel),
                            .query = cte ? cte->query : NULL,
                            .is_cte = cte};

    scope_add(w, s, source);
}

static void from_join(struct walk *w, struct scope *s, const json_t *join)
{
    const char *alias = alias_of(join);
    const json_t *item;
    int first = s->n_sources;
    size_t i;

    walk_from_item(w, s, tree_get(join, "larg"));
    walk_from_item(w, s, tree_get(join, "rarg"));
    if (tree_flag(join, "isNatural")) {
        w->out->uses_natural_join = true;
        for (int k = first; k < s->n_sources; k++)
            s->sources[k].taken |= TAKEN_NATURAL;
    }
    json_array_foreach(tree_list(join, "usingClause"), i, item)
        note_text_once(w->a, &w->out->columns, tree_string(item));
    walk_expr(w, s, tree_get(join, "quals"));
    /* The alias stands for both sides, and their own names are gone. */
    for (int k = first; alias && k < s->n_sources; k++) {
        s->sources[k].schema = NULL;
        s->sources[k].name = alias;
    }
}

static void from_subselect(struct walk *w, struct scope *s, const json_t *fields)
{
    struct source source = {.name = alias_of(fields), .rel = -1};
    struct scope *outer = tree_flag(fields, "lateral") ? s : scope_beside(w, s);

    source.query = walk_query(w, outer, tree_get(fields, "subquery"));
    scope_add(w, s, source);
}

static void from_function(struct walk *w, struct scope *s, const json_t *fields)
{
    const json_t *first = json_array_get(tree_list(fields, "functions"), 0);
    const char *name = alias_of(fields);

    first = tree_get(json_array_get(tree_list(tree_as(first, "List"), "items"), 0), "FuncCall");
    if (!name && first)
        name = tree_last(tree_get(first, "funcname"));
    walk_expr(w, s, tree_get(fields, "functions"));
    walk_expr(w, s, tree_get(fields, "coldeflist"));
    scope_add(w, s, (struct source) {.name = name, .rel = -1});
}

void walk_from_item(struct walk *w, struct scope *s, const json_t *node)
{
    const char *kind = tree_kind(node);
    const json_t *fields = tree_fields(node);

    if (same(kind, "RangeVar")) {
        from_range(w, s, fields);
    } else if (same(kind, "JoinExpr")) {
        from_join(w, s, fields);
    } else if (same(kind, "RangeSubselect")) {
        from_subselect(w, s, fields);
    } else if (same(kind, "RangeFunction")) {
        from_function(w, s, fields);
    } else if (same(kind, "RangeTableSample")) {
        walk_from_item(w, s, tree_get(fields, "relation"));
        walk_expr(w, s, tree_get(fields, "args"));
        walk_expr(w, s, tree_get(fields, "repeatable"));
    } else if (node) { /* XMLTABLE, and what newer servers have of the kind */
        walk_expr(w, s, node);
        scope_add(w, s, (struct source) {.name = alias_of(fields), .rel = -1});
    }
}

void walk_from(struct walk *w, struct scope *s, const json_t *list)
{
    const json_t *item;
    size_t i;

    json_array_foreach((json_t *) list, i, item) walk_from_item(w, s, item);
}

/* ---- expressions ---------------------------------------------------------------------------------------- */

static bool is_star(const json_t *field) { return tree_get(field, "A_Star") != NULL; }

/* Of a ColumnRef or indirection that ends in a star: the source before it; NULL with *all: every one. */
static struct source *source_of_fields(struct scope *s, const json_t *fields, int n)
{
    const char *name = n > 0 ? tree_string(json_array_get(fields, (size_t) n - 1)) : NULL;
    const char *schema = n > 1 ? tree_string(json_array_get(fields, (size_t) n - 2)) : NULL;

    return name ? source_named(s, schema, name) : NULL;
}

static bool has_source(const struct scope *s, const struct source *source)
{
    for (int i = 0; i < s->n_sources; i++)
        if (&s->sources[i] == source)
            return true;
    return false;
}

static void take(struct scope *s, const json_t *fields, int n, unsigned taken)
{
    struct source *source = source_of_fields(s, fields, n);

    if (!source)
        return;
    while (!has_source(s, source))
        s = s->outer;
    for (int i = 0; i < s->n_sources; i++) /* a join's alias stands for several */
        if (same(s->sources[i].name, source->name))
            s->sources[i].taken |= taken;
}

static void expr_column(struct walk *w, struct scope *s, const json_t *ref)
{
    const json_t *fields = tree_list(ref, "fields");
    int n = tree_count(fields);

    if (n > 0 && is_star(json_array_get(fields, (size_t) n - 1))) {
        take(s, fields, n - 1, TAKEN_WHOLE);
        return;
    }
    note_text_once(w->a, &w->out->columns, tree_last(fields));
    if (n == 1) /* the table itself, unless it has a column of that name */
        take(s, fields, n, TAKEN_WHOLE);
}

static void expr_indirection(struct walk *w, struct scope *s, const json_t *fields)
{
    const json_t *arg = tree_get(tree_get(fields, "arg"), "ColumnRef"), *item;
    const json_t *steps = tree_list(fields, "indirection"), *names = tree_list(arg, "fields");
    const json_t *first = json_array_get(steps, 0);
    bool picks = arg && tree_string(first) && tree_count(names) == 1 &&
                 source_of_fields(s, names, 1); /* (t).column is no more than t.column */
    size_t i;

    json_array_foreach((json_t *) steps, i, item)
    {
        note_text_once(w->a, &w->out->columns, tree_string(item));
        walk_expr(w, s, item);
    }
    if (!picks)
        walk_expr(w, s, tree_get(fields, "arg"));
}

static const char *qualified(struct walk *w, const json_t *names)
{
    struct sql_rel name = tree_name(names, 0);

    return name.schema ? arena_printf(w->a, "%s.%s", name.schema, name.name ? name.name : "")
                       : name.name;
}

static void expr_call(struct walk *w, struct scope *s, const json_t *call)
{
    const json_t *names = tree_list(call, "funcname");
    struct sql_rel name = tree_name(names, 0);
    bool is_own = !name.schema || strcmp(name.schema, "pg_catalog") == 0;
    const char *base = name.name ? name.name : "";

    note_text_once(w->a, &w->out->functions, qualified(w, names));
    if (!is_own || !function_only_looks(base))
        w->writes = true;
    if (function_moves(base) ||
        (is_own && strcmp(base, "age") == 0 && tree_count(tree_list(call, "args")) == 1))
        w->out->uses_now = true;
    /* count(t) asks how many, not what. */
    const json_t *only = json_array_get(tree_list(call, "args"), 0);
    bool counts = is_own && strcmp(base, "count") == 0 && tree_get(only, "ColumnRef");
    const json_t *fields = tree_list(tree_get(only, "ColumnRef"), "fields");
    int n = tree_count(fields);
    bool star = n > 0 && is_star(json_array_get(fields, (size_t) n - 1));
    if (!counts || !(star || (n == 1 && source_of_fields(s, fields, 1))))
        walk_expr(w, s, tree_get(call, "args"));
    walk_expr(w, s, tree_get(call, "agg_order"));
    walk_expr(w, s, tree_get(call, "agg_filter"));
    walk_expr(w, s, tree_get(call, "over"));
}

static void expr_type(struct walk *w, const json_t *type)
{
    const json_t *names = tree_list(type, "names");
    struct sql_rel name = tree_name(names, 0);

    if (name.schema && strcmp(name.schema, "pg_catalog") == 0)
        note_text_once(w->a, &w->out->types, name.name);
    else if (names)
        note_text_once(w->a, &w->out->types, qualified(w, names));
}

static void expr_cast(struct walk *w, struct scope *s, const json_t *cast)
{
    static const char *const moving[] = {"now", "today", "tomorrow", "yesterday", NULL};
    const json_t *type = tree_as(tree_get(cast, "typeName"), "TypeName");
    const char *name = tree_last(tree_get(type, "names"));
    bool is_time = name && (strncmp(name, "time", 4) == 0 || strcmp(name, "date") == 0);

    expr_type(w, type);
    if (is_time && word_in(tree_string(tree_get(cast, "arg")), moving))
        w->out->uses_now = true;
    walk_expr(w, s, tree_get(cast, "arg"));
}

static void expr_sublink(struct walk *w, struct scope *s, const json_t *link)
{
    struct scope *query = walk_query(w, s, tree_get(link, "subselect"));

    walk_expr(w, s, tree_get(link, "testexpr"));
    if (query && !tree_is(link, "subLinkType", "EXISTS_SUBLINK"))
        query->taken |= TAKEN_STAR;
}

static void expr_const(struct walk *w, const json_t *node)
{
    const char *text = tree_get(node, "sval") || tree_get(node, "val") ? tree_string(node) : NULL;

    if (text)
        note_text(w->a, &w->out->literals, text);
}

static bool is_clock(const char *op) /* CURRENT_DATE, LOCALTIME; not CURRENT_USER */
{
    return op && (strstr(op, "TIME") || strstr(op, "DATE"));
}

/* True: the node was seen to. */
static bool expr_node(struct walk *w, struct scope *s, const char *kind, const json_t *fields)
{
    if (strcmp(kind, "ColumnRef") == 0)
        expr_column(w, s, fields);
    else if (strcmp(kind, "A_Const") == 0)
        expr_const(w, fields);
    else if (strcmp(kind, "FuncCall") == 0)
        expr_call(w, s, fields);
    else if (strcmp(kind, "TypeCast") == 0)
        expr_cast(w, s, fields);
    else if (strcmp(kind, "SubLink") == 0)
        expr_sublink(w, s, fields);
    else if (strcmp(kind, "A_Indirection") == 0)
        expr_indirection(w, s, fields);
    else if (strcmp(kind, "TypeName") == 0)
        expr_type(w, fields);
    else if (strcmp(kind, "SQLValueFunction") == 0)
        w->out->uses_now = w->out->uses_now || is_clock(tree_text(fields, "op"));
    else if (strcmp(kind, "MultiAssignRef") == 0) { /* its source stands in each of its columns */
        int64_t number = json_integer_value(tree_get(fields, "colno"));
        if (number == 1)
            walk_expr(w, s, tree_get(fields, "source"));
    } else if (strcmp(kind, "RangeVar") == 0)
        note_rel(w, tree_rel(fields));
    else
        return false;
    return true;
}

void walk_expr(struct walk *w, struct scope *s, const json_t *node)
{
    const json_t *item;
    const char *key;
    size_t i;

    if (json_is_array(node)) {
        json_array_foreach((json_t *) node, i, item) walk_expr(w, s, item);
        return;
    }
    if (!json_is_object(node) || walk_query(w, s, node))
        return;
    json_object_foreach((json_t *) node, key, item)
    {
        if (strcmp(key, "typeName") == 0)
            expr_type(w, tree_as(item, "TypeName"));
        else if (key[0] < 'A' || key[0] > 'Z' || !expr_node(w, s, key, item))
            walk_expr(w, s, item);
    }
}

/* ---- outputs ------------------------------------------------------------------------------------------------ */

void walk_outputs(struct walk *w, struct scope *s, const json_t *list)
{
    const json_t *item;
    size_t i;

    json_array_foreach((json_t *) list, i, item)
    {
        const json_t *value = tree_get(tree_as(item, "ResTarget"), "val");
        const json_t *ref = tree_get(value, "ColumnRef"), *step = tree_get(value, "A_Indirection");
        const json_t *fields = tree_list(ref, "fields");
        int n = tree_count(fields) - 1;

        if (n >= 0 && is_star(json_array_get(fields, (size_t) n))) {
            const struct source *one = source_of_fields(s, fields, n);
            for (int k = 0; k < s->n_sources; k++)
                if (n == 0 || (one && same(one->name, s->sources[k].name)))
                    s->sources[k].starred = true;
            if (one && !has_source(s, one))
                take(s, fields, n, TAKEN_STAR); /* of a query around this one */
            continue;
        }
        fields = tree_list(tree_get(tree_get(step, "arg"), "ColumnRef"), "fields");
        if (is_star(json_array_get(tree_list(step, "indirection"), 0)) &&
            source_of_fields(s, fields, tree_count(fields)))
            take(s, fields, tree_count(fields), TAKEN_STAR); /* (t).* */
        else
            walk_expr(w, s, value);
    }
}

static bool is_output(const struct scope *s, const json_t *ref)
{
    const json_t *fields = tree_list(ref, "fields"), *item;
    const char *name = tree_last(fields);
    size_t i;

    json_array_foreach(
        (json_t *) s->outputs, i,
        item) if (tree_count(fields) == 1 &&
                  same(name, tree_text(tree_as(item, "ResTarget"), "name"))) return true;
    return false;
}

/* ORDER BY and GROUP BY may name an output: that's no table, whatever it is called. */
static void walk_order(struct walk *w, struct scope *s, const json_t *list)
{
    const json_t *item;
    size_t i;

    json_array_foreach((json_t *) list, i, item)
    {
        const json_t *sort = tree_get(item, "SortBy");
        const json_t *node = sort ? tree_get(sort, "node") : item;

        if (!is_output(s, tree_get(node, "ColumnRef")))
            walk_expr(w, s, node);
    }
}

static void note_sorts(struct walk *w, const json_t *list)
{
    const json_t *item;
    size_t i;

    json_array_foreach((json_t *) list, i, item)
    {
        const json_t *names =
            tree_list(tree_as(tree_get(tree_get(item, "SortBy"), "node"), "ColumnRef"), "fields");
        const json_t *last = tree_as(json_array_get(names, json_array_size(names) - 1), "String");
        if (last)
            note_text_once(w->a, &w->out->sorts, tree_text(last, "sval"));
    }
}

static void walk_locks(struct scope *s, const json_t *list)
{
    const json_t *item, *rel;
    size_t i, k;

    json_array_foreach((json_t *) list, i, item)
    {
        const json_t *only = tree_list(tree_as(item, "LockingClause"), "lockedRels");

        for (int n = 0; !only && n < s->n_sources; n++)
            s->sources[n].taken |= TAKEN_LOCKED;
        json_array_foreach((json_t *) only, k,
                           rel) for (int n = 0; n < s->n_sources;
                                     n++) if (same(s->sources[n].name, tree_rel(rel).name))
            s->sources[n]
                .taken |= TAKEN_LOCKED;
    }
}

void walk_with(struct walk *w, struct scope *s, const json_t *with)
{
    const json_t *list = tree_list(with, "ctes"), *item;
    bool recursive = tree_flag(with, "recursive");
    size_t i;

    if (!list)
        return;
    s->ctes = arena_array(w->a, struct cte, json_array_size(list));
    /* A recursive one sees all, itself too; else each sees those before it. */
    json_array_foreach((json_t *) list, i, item)
    {
        s->ctes[i].name = tree_text(tree_as(item, "CommonTableExpr"), "ctename");
        s->ctes[i].query = scope_new(w, s);
    }
    s->n_ctes = recursive ? (int) json_array_size(list) : 0;
    json_array_foreach((json_t *) list, i, item)
    {
        const json_t *fields = tree_as(item, "CommonTableExpr");
        struct scope *query = walk_query(w, s, tree_get(fields, "ctequery"));

        s->ctes[i].query->left = query; /* stands for it */
        s->n_ctes = recursive ? s->n_ctes : (int) i + 1;
    }
}

struct scope *walk_select(struct walk *w, struct scope *outer, const json_t *f)
{
    struct scope *s = scope_new(w, outer);
    const json_t *left = tree_get(f, "larg"), *right = tree_get(f, "rarg");

    walk_with(w, s, tree_get(f, "withClause"));
    if (left) {
        s->left = walk_select(w, s, tree_as(left, "SelectStmt"));
        s->right = walk_select(w, s, tree_as(right, "SelectStmt"));
        /* Both arms must have as many columns, whoever takes the result. */
        s->left->taken |= TAKEN_STAR;
        s->right->taken |= TAKEN_STAR;
    }
    walk_from(w, s, tree_list(f, "fromClause"));
    s->outputs = tree_list(f, "targetList");
    walk_outputs(w, s, s->outputs);
    walk_expr(w, s, tree_get(f, "distinctClause"));
    /* Without ON: one more column, and rows are no longer equal. */
    if (tree_list(f, "distinctClause") &&
        json_object_size(json_array_get(tree_list(f, "distinctClause"), 0)) == 0)
        s->taken |= TAKEN_STAR;
    walk_expr(w, s, tree_get(f, "valuesLists"));
    walk_expr(w, s, tree_get(f, "whereClause"));
    walk_order(w, s, tree_list(f, "groupClause"));
    walk_expr(w, s, tree_get(f, "havingClause"));
    walk_expr(w, s, tree_get(f, "windowClause"));
    walk_order(w, s, tree_list(f, "sortClause"));
    note_sorts(w, tree_list(f, "sortClause"));
    walk_expr(w, s, tree_get(f, "limitOffset"));
    walk_expr(w, s, tree_get(f, "limitCount"));
    walk_locks(s, tree_list(f, "lockingClause"));
    return s;
}

struct scope *walk_query(struct walk *w, struct scope *outer, const json_t *node)
{
    static const char *const changes[] = {"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt",
                                          NULL};
    const char *kind = tree_kind(node);

    if (!kind)
        return NULL;
    if (strcmp(kind, "SelectStmt") == 0)
        return walk_select(w, outer, tree_fields(node));
    if (word_in(kind, changes))
        return walk_change(w, outer, kind, tree_fields(node));
    return NULL;
}

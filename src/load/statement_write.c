/* What a statement writes: targets, columns, and what goes into them. */
#include "load/statement_work.h"

#include <stdlib.h>
#include <string.h>

/* Past casts, which keep a NULL and most limits. */
static const json_t *uncast(const json_t *value)
{
    while (tree_get(value, "TypeCast"))
        value = tree_get(tree_get(value, "TypeCast"), "arg");
    return value;
}

/* libpg_query 15 writes a negative integer as it writes a zero: without the number. Its place has it. */
static const char *integer_text(struct walk *w, const json_t *constant)
{
    json_int_t at = json_integer_value(tree_get(constant, "location"));
    int64_t number = 0;

    if (!tree_integer(constant, &number))
        return NULL;
    if (number == 0 && at >= 0 && (size_t) at < strlen(w->sql) && w->sql[at] == '-')
        number = -strtoll(w->sql + at + 1 + strspn(w->sql + at + 1, " \t\r\n"), NULL, 10);
    return arena_printf(w->a, "%lld", (long long) number);
}

static const char *constant_text(struct walk *w, const json_t *value)
{
    const json_t *constant = tree_get(value, "A_Const");
    const char *text = constant ? tree_text(tree_get(constant, "fval"), "fval") : NULL;

    if (!constant || tree_is_null_const(value))
        return NULL;
    if (tree_get(constant, "boolval"))
        return tree_flag(tree_get(constant, "boolval"), "boolval") ? "true" : "false";
    if (!text && tree_get(constant, "ival"))
        text = integer_text(w, constant);
    return text ? text : tree_string(value);
}

void note_written(struct walk *w, struct fact_write *to, const char *column, const json_t *value)
{
    size_t n = (size_t) to->columns.n;
    const json_t *bare = uncast(value), *param = tree_get(bare, "ParamRef");

    if (tree_get(bare, "SetToDefault"))
        note_text_once(w->a, &to->defaulted, column);
    note_text(w->a, &to->columns, column);
    note_text(w->a, &to->literals, constant_text(w, bare));
    if ((n & (n - 1)) == 0)
        to->params = arena_grow(w->a, to->params, sizeof(int) * n, sizeof(int) * (n ? 2 * n : 1));
    to->params[n] = (int) json_integer_value(tree_get(param, "number"));
    note_text_once(w->a, &w->out->columns, column);
}

/* SET (a, b) = ($1, $2): each column has the whole row, and which part of it is its own. */
static const json_t *part_of_row(const json_t *value)
{
    const json_t *many = tree_get(value, "MultiAssignRef");
    const json_t *row = tree_get(tree_get(many, "source"), "RowExpr");
    json_int_t number = json_integer_value(tree_get(many, "colno"));

    if (!many)
        return value;
    return number > 0 ? json_array_get(tree_list(row, "args"), (size_t) number - 1) : NULL;
}

static void write_set(struct walk *w, struct scope *s, struct fact_write *to, const json_t *list)
{
    const json_t *item;
    size_t i;

    json_array_foreach((json_t *) list, i, item)
    {
        const json_t *target = tree_as(item, "ResTarget");
        const json_t *value = tree_get(target, "val");
        bool in_part = tree_get(target, "indirection") != NULL; /* SET a[1] = $1 */

        note_written(w, to, tree_text(target, "name"), in_part ? NULL : part_of_row(value));
        if (!in_part && tree_is_null_const(uncast(part_of_row(value))))
            note_text_once(w->a, &to->nulls, tree_text(target, "name"));
        if (!in_part && is_random_text(part_of_row(value)))
            note_text_once(w->a, &to->random, tree_text(target, "name"));
        walk_expr(w, s, tree_get(target, "indirection"));
        walk_expr(w, s, value);
    }
}

/* The columns of an INSERT, each with its value in the first row; where rows differ in kind, a DEFAULT in any
 * of them counts. */
static void write_columns(struct walk *w, struct fact_write *to, const json_t *columns,
                          const json_t *rows, const json_t *outputs)
{
    const json_t *item, *row;
    size_t i, k;

    json_array_foreach((json_t *) columns, i, item)
    {
        const json_t *target = tree_as(item, "ResTarget"), *value = NULL;
        const char *name = tree_text(target, "name");
        bool null = !tree_get(target, "indirection"), is_random = null;

        if (rows)
            value = json_array_get(tree_list(tree_as(json_array_get(rows, 0), "List"), "items"), i);
        else if (outputs)
            value = tree_get(tree_as(json_array_get(outputs, i), "ResTarget"), "val");
        note_written(w, to, name, tree_get(target, "indirection") ? NULL : value);
        json_array_foreach((json_t *) rows, k, row)
        {
            value = json_array_get(tree_list(tree_as(row, "List"), "items"), i);
            if (tree_get(value, "SetToDefault"))
                note_text_once(w->a, &to->defaulted, name);
            null = null && tree_is_null_const(uncast(value));
            is_random = is_random && is_random_text(value);
        }
        if (is_random && (rows || is_random_text(value)))
            note_text_once(w->a, &to->random, name);
        if (null && (rows || tree_is_null_const(uncast(value))))
            note_text_once(w->a, &to->nulls, name);
    }
}

/* Is the n-th output still the n-th column, or does a star stand before it? */
static bool has_star(const json_t *outputs)
{
    const json_t *item;
    size_t i;

    json_array_foreach(
        (json_t *) outputs, i,
        item) if (tree_has(tree_get(tree_as(item, "ResTarget"), "val"), "A_Star")) return true;
    return false;
}

static void change_conflict(struct walk *w, struct scope *s, struct sql_rel rel,
                            const json_t *conflict)
{
    const json_t *infer = tree_as(tree_get(conflict, "infer"), "InferClause");
    const json_t *item;
    size_t i;

    json_array_foreach(tree_list(infer, "indexElems"), i, item)
    {
        note_text_once(w->a, &w->out->columns, tree_text(tree_as(item, "IndexElem"), "name"));
        walk_expr(w, s, item);
    }
    walk_expr(w, s, tree_get(infer, "whereClause"));
    scope_add(w, s, (struct source) {.name = "excluded", .rel = note_rel(w, rel)});
    if (tree_is(conflict, "action", "ONCONFLICT_UPDATE")) {
        struct fact_write *to = note_write(w, rel, VERB_UPDATE);

        to->on_conflict = true;
        to->conflict_has_target = infer != NULL;
        write_set(w, s, to, tree_list(conflict, "targetList"));
    }
    walk_expr(w, s, tree_get(conflict, "whereClause"));
    s->n_sources--; /* RETURNING doesn't see it */
}

static void change_insert(struct walk *w, struct scope *s, const json_t *f)
{
    struct sql_rel rel = tree_rel(tree_get(f, "relation"));
    const json_t *conflict = tree_as(tree_get(f, "onConflictClause"), "OnConflictClause");
    const json_t *columns = tree_list(f, "cols"), *item;
    const json_t *select = tree_get(tree_get(f, "selectStmt"), "SelectStmt");
    bool is_union = tree_get(select, "larg") != NULL;
    size_t i;

    /* What is inserted doesn't see the table's columns. */
    struct scope *from = walk_query(w, scope_beside(w, s), tree_get(f, "selectStmt"));
    if (from)
        from->taken |= TAKEN_STAR;
    json_array_foreach((json_t *) columns, i, item)
        walk_expr(w, s, tree_get(tree_as(item, "ResTarget"), "indirection"));

    while (tree_get(select, "larg")) /* of a UNION, the first */
        select = tree_as(tree_get(select, "larg"), "SelectStmt");
    const json_t *outputs = tree_list(select, "targetList");
    struct fact_write *to = note_write(w, rel, VERB_INSERT);
    to->positional = !columns && select;
    to->on_conflict = conflict != NULL;
    to->conflict_has_target = tree_get(conflict, "infer") != NULL;
    write_columns(w, to, columns, tree_list(select, "valuesLists"),
                  has_star(outputs) ? NULL : outputs);
    if (is_union) /* the other arms may write anything */
        to->random.n = 0;
    if (conflict)
        change_conflict(w, s, rel, conflict);
}

static void merge_clause(struct walk *w, struct scope *s, struct sql_rel rel, const json_t *f)
{
    const json_t *columns = tree_list(f, "targetList"), *values = tree_list(f, "values"), *item;
    size_t i;

    walk_expr(w, s, tree_get(f, "condition"));
    if (tree_is(f, "commandType", "CMD_DELETE")) {
        note_write(w, rel, VERB_DELETE);
    } else if (tree_is(f, "commandType", "CMD_UPDATE")) {
        write_set(w, s, note_write(w, rel, VERB_UPDATE), columns);
    } else if (tree_is(f, "commandType", "CMD_INSERT")) {
        struct fact_write *to = note_write(w, rel, VERB_INSERT);

        to->positional = !columns && values;
        json_array_foreach((json_t *) columns, i, item) note_written(
            w, to, tree_text(tree_as(item, "ResTarget"), "name"), json_array_get(values, i));
        walk_expr(w, s, values);
    }
}

static void change_merge(struct walk *w, struct scope *s, const json_t *f)
{
    struct sql_rel rel = tree_rel(tree_get(f, "relation"));
    const json_t *item;
    size_t i;

    walk_from_item(w, s, tree_get(f, "sourceRelation"));
    walk_expr(w, s, tree_get(f, "joinCondition"));
    json_array_foreach(tree_list(f, "mergeWhenClauses"), i, item)
        merge_clause(w, s, rel, tree_as(item, "MergeWhenClause"));
}

struct scope *walk_change(struct walk *w, struct scope *outer, const char *kind, const json_t *f)
{
    static const struct {
        const char *kind;
        enum statement_verb verb;
    } verbs[] = {{"InsertStmt", VERB_INSERT},
                 {"UpdateStmt", VERB_UPDATE},
                 {"DeleteStmt", VERB_DELETE},
                 {"MergeStmt", VERB_MERGE}};
    struct scope *s = scope_new(w, outer);
    const json_t *range = tree_as(tree_get(f, "relation"), "RangeVar");
    const char *alias = tree_text(tree_as(tree_get(range, "alias"), "Alias"), "aliasname");
    struct sql_rel rel = tree_rel(range);
    enum statement_verb verb = VERB_OTHER;

    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(kind, verbs[i].kind) == 0)
            verb = verbs[i].verb;
    walk_with(w, s, tree_get(f, "withClause"));
    scope_add(w, s,
              (struct source) {.schema = alias ? NULL : rel.schema,
                               .name = alias ? alias : rel.name,
                               .rel = note_target(w, rel, verb)});
    walk_from(w, s, tree_list(f, "fromClause"));
    walk_from(w, s, tree_list(f, "usingClause"));
    if (verb == VERB_INSERT)
        change_insert(w, s, f);
    else if (verb == VERB_UPDATE)
        write_set(w, s, note_write(w, rel, verb), tree_list(f, "targetList"));
    else if (verb == VERB_DELETE)
        note_write(w, rel, verb);
    else
        change_merge(w, s, f);
    walk_expr(w, s, tree_get(f, "whereClause"));
    walk_outputs(w, s, tree_list(f, "returningList"));
    return s;
}

/* A few rows in every table, so that statements meet some.
 *
 * Rows are made in the order of foreign keys, with the parents' own values, by a role under session_replication_role =
 * replica: triggers of the baseline don't fire for them. A table that has rows keeps its own.
 */
#include "check/seed.h"

#include "sql_embedded.h"

#define SEED_ROWS 2
#define FEW_ROWS 100 /* that answers over them are compared */
#define MEND_TRIES 24
#define SHIFTS 8 /* numbers that other rows of a table have */

const struct seed *seed_of(const struct proof *p, unsigned relation)
{
    for (int i = 0; i < p->n_seeds; i++)
        if (p->seeds[i].relation == relation)
            return &p->seeds[i];
    return NULL;
}

const char *seed_value(const struct seed *s, const char *column)
{
    for (int i = 0; i < s->shape->n_columns; i++)
        if (strcmp(s->shape->columns[i].name, column) == 0)
            return s->values[i];
    return NULL;
}

static const char **copy_row(struct proof *p, const struct cat_relation *r, const char **cells)
{
    const char **values = arena_array(p->a, const char *, r->n_columns + 1);

    for (int i = 0; i < r->n_columns; i++)
        values[i] = arena_strdup(p->a, cells[i]);
    return values;
}

static struct seed *seed_add(struct proof *p, const struct cat_relation *r, const char **cells)
{
    if (p->n_seeds == p->cap_seeds) {
        int cap = p->cap_seeds ? 2 * p->cap_seeds : 64;
        p->seeds = arena_grow(p->a, p->seeds, sizeof *p->seeds * (size_t) p->cap_seeds,
                              sizeof *p->seeds * (size_t) cap);
        p->cap_seeds = cap;
    }
    struct seed *s = &p->seeds[p->n_seeds++];
    *s = (struct seed) {.relation = r->oid, .shape = r, .values = copy_row(p, r, cells)};
    return s;
}

/* ---- order --------------------------------------------------------------------------------------------- */

struct order {
    const struct catalogue *c;
    const struct cat_relation **out;
    char *mark; /* 0 not seen, 1 being visited, 2 done */
    int n;
};

static void visit(struct order *o, int i)
{
    const struct cat_relation *r = &o->c->relations[i];

    if (o->mark[i])
        return;
    o->mark[i] = 1;
    for (int k = 0; k < r->n_constraints; k++) {
        const struct cat_relation *to =
            r->constraints[k].type == 'f' ? cat_by_oid(o->c, r->constraints[k].other) : NULL;
        if (to)
            visit(o, (int) (to - o->c->relations));
    }
    o->mark[i] = 2;
    if (cat_is_table(r))
        o->out[o->n++] = r;
}

/* ---- one row ----------------------------------------------------------------------------------------------- */

static bool has_key(const struct pair_list *l, const char *column)
{
    for (int i = 0; i < l->n; i++)
        if (strcmp(l->items[i].key.s, column) == 0)
            return true;
    return false;
}

static bool is_table_of(const struct cat_relation *r, const struct text *schema,
                        const struct text *table)
{
    return table->s && strcmp(table->s, r->name) == 0 &&
           (!schema->s || strcmp(schema->s, r->schema) == 0);
}

bool plan_makes_column(const struct plan *plan, const struct cat_relation *r, const char *column)
{
    const struct step_list *steps = &plan->phases[PHASE_EXPAND].steps;

    for (int i = 0; i < steps->n; i++)
        for (int k = 0; k < steps->items[i].n_stmts; k++) {
            const struct sql_stmt *s = &steps->items[i].stmts[k];
            if (strstr(s->kind, "ADD COLUMN") && s->table && strcmp(s->table, r->name) == 0 &&
                s->object && strcmp(s->object, column) == 0)
                return true;
        }
    return false;
}

/* Once its contract has begun the new side is the only one, and every row has it. */
static bool is_hidden_from(const struct proof *p, const struct plan *plan)
{
    const struct timeline_next *next = p->o->next;

    if (next && strcmp(plan->id.s, next->plan) == 0)
        return next->is_purge;
    return next && next->stages && next->stages[plan - p->set->plans] >= STAGE_CONTRACT_RUNNING;
}

/* Also where the column is there. */
bool seed_is_filled_by_plan(const struct proof *p, const struct cat_relation *r,
                            const struct cat_column *c)
{
    for (int i = 0; i < p->t.n_plans && !c->not_null; i++) {
        const struct plan *plan = p->t.plans[i];
        if (is_hidden_from(p, plan))
            continue;
        if (is_table_of(r, &plan->sync.schema, &plan->sync.table) &&
            has_key(&plan->sync.forward, c->name))
            return true;
        for (int ph = PHASE_FIRST; ph <= PHASE_LAST; ph++)
            for (int k = 0; k < plan->phases[ph].backfill.n; k++) {
                const struct backfill *b = &plan->phases[ph].backfill.items[k];
                if (is_table_of(r, &b->schema, &b->table) && has_key(&b->set, c->name) &&
                    plan_makes_column(plan, r, c->name))
                    return true;
            }
    }
    return false;
}

static bool is_numbered(const struct cat_column *c)
{
    return c->is_identity || (c->fallback && strstr(c->fallback, "nextval("));
}

/* Numbers are given, 1 and 2, whatever their sequence says: examples rely on them. */
static bool is_left_out(const struct cat_column *c)
{
    return c->is_generated || (is_numbered(c) && c->category != 'N');
}

/* The nth row of a table, or its last. */
static const struct seed *seed_nth(const struct proof *p, unsigned relation, int n)
{
    const struct seed *found = NULL;

    for (int i = 0; i < p->n_seeds && n > 0; i++)
        if (p->seeds[i].relation == relation) {
            found = &p->seeds[i];
            n--;
        }
    return found;
}

const char *seed_other_parents_value(const struct proof *p, const struct cat_relation *r,
                                     const struct cat_column *col)
{
    for (int i = 0; i < r->n_constraints; i++) {
        const struct cat_constraint *k = &r->constraints[i];
        const struct seed *s =
            k->type == 'f' && k->other != r->oid ? seed_nth(p, k->other, 2) : NULL;

        for (int m = 0; s && m < k->n_columns; m++)
            for (int c = 0; k->columns[m] == col->number && c < s->shape->n_columns; c++)
                if (s->shape->columns[c].number == k->other_columns[m])
                    return s->second ? s->second[c] : s->values[c];
    }
    return NULL;
}

/* The parent's value, where a foreign key says so. Each row has a parent of its own: where there may be one child
 * for each, as in a table that holds more columns of the same thing, no parent is left without. */
const char *seed_parents_value(struct proof *p, const struct cat_relation *r,
                               const struct cat_column *col, int nth)
{
    for (int i = 0; i < r->n_constraints; i++) {
        const struct cat_constraint *k = &r->constraints[i];
        const struct seed *s = k->type == 'f' ? seed_nth(p, k->other, nth) : NULL;

        for (int m = 0; s && m < k->n_columns; m++) {
            const struct cat_column *other = cat_column_number(s->shape, k->other_columns[m]);
            if (k->columns[m] == col->number && other)
                return seed_value(s, other->name);
        }
    }
    return NULL;
}

/* The first row of a tree has no parent: a row that is its own has no end. */
static bool points_at_itself(const struct cat_relation *r, const struct cat_column *c)
{
    for (int i = 0; i < r->n_constraints; i++)
        for (int k = 0; k < r->constraints[i].n_columns; k++)
            if (r->constraints[i].type == 'f' && r->constraints[i].other == r->oid &&
                r->constraints[i].columns[k] == c->number)
                return true;
    return false;
}

static void fill_row(struct proof *p, struct row *row)
{
    for (int i = 0; i < row->r->n_columns; i++) {
        const struct cat_column *c = &row->r->columns[i];
        const char *parent = seed_parents_value(p, row->r, c, row->variant);
        int variant = row->variant + (is_numbered(c) ? row->shift : 0);

        if (row->is_fixed[i])
            continue;
        if (is_left_out(c) || seed_is_filled_by_plan(p, row->r, c) ||
            (!parent && !c->not_null && points_at_itself(row->r, c)))
            row->values[i] = NULL;
        else if (parent)
            row->values[i] = parent;
        else if (row->nth[i] >= 0)
            row->values[i] = value_from_checks(p->scratch, row->r, c, row->nth[i]);
        else
            row->values[i] = column_value(p, &p->baseline, c, variant);
    }
}

static const char *insert_sql(struct proof *p, const struct row *row, const char **args, int *n)
{
    AUTO(str) sql = {0}, values = {0};
    bool is_numbered_always = false;

    str_add(&sql, "INSERT INTO ");
    sql_qualified(&sql, row->r->schema, row->r->name);
    for (int i = 0; i < row->r->n_columns; i++) {
        is_numbered_always |= row->values[i] && row->r->columns[i].is_identity;
        if (!row->values[i] && !row->is_null[i])
            continue;
        str_add(&sql, *n ? ", " : " (");
        sql_ident(&sql, row->r->columns[i].name);
        args[(*n)++] = row->values[i];
        str_addf(&values, "%s$%d", *n > 1 ? ", " : "", *n);
    }
    str_addf(&sql, *n ? ")%s VALUES (%s) RETURNING " : "%s DEFAULT VALUES%s RETURNING ",
             is_numbered_always ? " OVERRIDING SYSTEM VALUE" : "", str_text(&values));
    for (int i = 0; i < row->r->n_columns; i++) {
        str_add(&sql, i ? ", " : "");
        sql_ident(&sql, row->r->columns[i].name);
    }
    return arena_strdup(p->scratch, str_text(&sql));
}

/* The check that said no names its columns: their next value. False: nothing is left to try. */
static bool next_values(struct proof *p, struct row *row, const struct wire_result *r)
{
    const char *name = quoted_name(p->scratch, r->message, "check constraint");
    bool moved = false;

    for (int i = 0; i < row->r->n_columns; i++) {
        const struct cat_column *c = &row->r->columns[i];
        bool is_on = name == NULL && strcmp(r->sqlstate, "23514") == 0;
        for (int k = 0; name && k < row->r->n_constraints; k++)
            for (int m = 0; m < row->r->constraints[k].n_columns; m++)
                is_on |= strcmp(row->r->constraints[k].name, name) == 0 &&
                         row->r->constraints[k].columns[m] == c->number;
        /* A domain's check isn't the table's. */
        is_on |= name && c->domain_checks && strstr(r->message, "for domain");
        if (is_on && value_from_checks(p->scratch, row->r, c, row->nth[i] + 1)) {
            row->nth[i]++;
            moved = true;
        }
    }
    return moved;
}

struct row row_start(struct proof *p, const struct cat_relation *r, int variant)
{
    struct row row = {.r = r,
                      .variant = variant,
                      .nth = arena_array(p->scratch, int, r->n_columns + 1),
                      .values = arena_array(p->scratch, const char *, r->n_columns + 1),
                      .is_fixed = arena_array(p->scratch, bool, r->n_columns + 1),
                      .is_null = arena_array(p->scratch, bool, r->n_columns + 1)};

    for (int i = 0; i < r->n_columns; i++)
        row.nth[i] = -1;
    return row;
}

static struct wire_op row_op(struct proof *p, struct row *row)
{
    const char **args = arena_array(p->scratch, const char *, row->r->n_columns + 1);
    struct wire_op op = {.kind = WIRE_RUN, .args = args, .keep_rows = true, .sync = true};

    fill_row(p, row);
    op.sql = insert_sql(p, row, args, &op.n_args);
    return op;
}

/* A number that another row of the table has, as in a partition; or values that the checks may take, one after the
 * other, where the server couldn't be asked for some. */
static bool next_try(struct proof *p, struct row *row, const struct wire_result *r)
{
    if (strcmp(r->sqlstate, "23505") == 0 && row->shift < SHIFTS * SEED_ROWS) {
        row->shift += SEED_ROWS;
        return true;
    }
    return next_values(p, row, r);
}

static void note_refused(struct proof *p, const struct cat_relation *r,
                         const struct wire_result *why)
{
    if (seed_of(p, r->oid))
        return;
    p->empty = arena_grow(p->a, p->empty, sizeof *p->empty * (size_t) p->n_empty,
                          sizeof *p->empty * (size_t) (p->n_empty + 1));
    p->empty[p->n_empty++] = (struct empty_table) {
        .relation = r,
        .constraint = quoted_name(p->a, why->message, "constraint"),
        .message = arena_strdup(p->a, why->message ? why->message : "no answer")};
}

/* It was refused once: other values, until it is taken or nothing is left to try. */
static bool mend_row(struct proof *p, struct row *row, const struct wire_result *refused,
                     struct err *err)
{
    struct wire_result result = *refused;
    const struct cat_relation *table = row->r;
    struct cat_relation unbound = *table;

    /* The rows of the whole table are enough: each partition's own would be more rows with the same keys. */
    if (table->kind == 'r')
        unbound.n_checks = unbound.n_constraints;
    row->r = &unbound;

    bool is_solved = strcmp(refused->sqlstate, "23505") != 0;

    if (is_solved && !solve_row(p, row, err))
        return false;
    for (int try = 0; try < MEND_TRIES && (is_solved || next_try(p, row, &result));
         try++, is_solved = false) {
        struct wire_op op = row_op(p, row);

        if (!wire_run(p->seeder, p->scratch, &op, 1, &result, err))
            return false;
        if (result.ok) {
            if (result.n_rows == 1)
                seed_add(p, table, result.cell[0]);
            return true;
        }
    }
    note_refused(p, table, &result);
    return true;
}

/* A row that meets what plans are going to ask of it, where there is one. */
static bool look_ahead(struct proof *p, struct row *row, struct err *err)
{
    const struct cat_relation *r = row->r, *with = foreseen_checks(p, r);

    if (!with)
        return true;
    fill_row(p, row);
    row->r = with;
    bool good = solve_row(p, row, err);
    row->r = r;
    return good;
}

/* A row in each of these tables, none of which points at another of them. */
static bool make_rows(struct proof *p, const struct cat_relation **tables, int n, int variant,
                      struct err *err)
{
    struct row *rows = arena_array(p->scratch, struct row, n + 1);
    struct wire_op *ops = arena_array(p->scratch, struct wire_op, n + 1);
    struct wire_result *results = arena_array(p->scratch, struct wire_result, n + 1);

    for (int i = 0; i < n; i++) {
        rows[i] = row_start(p, tables[i], variant);
        if (!look_ahead(p, &rows[i], err))
            return false;
        ops[i] = row_op(p, &rows[i]);
    }
    if (n > 0 && !wire_run(p->seeder, p->scratch, ops, n, results, err))
        return false;
    for (int i = 0; i < n; i++) {
        if (results[i].ok && results[i].n_rows == 1)
            seed_add(p, tables[i], results[i].cell[0]);
        if (!results[i].ok && !mend_row(p, &rows[i], &results[i], err))
            return false;
    }
    return true;
}

static bool points_into(const struct cat_relation *r, const struct cat_relation **tables, int n)
{
    for (int i = 0; i < r->n_constraints; i++)
        for (int k = 0; r->constraints[i].type == 'f' && k < n; k++)
            if (tables[k]->oid == r->constraints[i].other)
                return true;
    return false;
}

/* In the order of foreign keys, as many tables at once as don't wait for each other. */
static bool make_all(struct proof *p, const struct cat_relation **tables, int n, struct err *err)
{
    for (int from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && !points_into(tables[to], tables + from, to - from); to++)
            continue;
        for (int k = 1; k <= SEED_ROWS; k++)
            if (!make_rows(p, tables + from, to - from, k, err))
                return false;
    }
    return true;
}

/* Its columns, and whether there are more than a few; of two rows, where there are as many. */
static const char *first_rows_sql(struct proof *p, const struct cat_relation *r)
{
    AUTO(str) sql = {0};

    str_add(&sql, "SELECT ");
    for (int i = 0; i < r->n_columns; i++) {
        sql_ident(&sql, r->columns[i].name);
        str_add(&sql, ", ");
    }
    str_add(&sql, "EXISTS (SELECT FROM ");
    sql_qualified(&sql, r->schema, r->name);
    str_addf(&sql, " OFFSET %d) FROM ", FEW_ROWS);
    sql_qualified(&sql, r->schema, r->name);
    str_add(&sql, " LIMIT 2");
    return arena_strdup(p->scratch, str_text(&sql));
}

/* Those that have rows keep them; the others go to the front of the list: how many. */
static bool find_rows(struct proof *p, const struct cat_relation **tables, int *n, struct err *err)
{
    struct wire_op *ops = arena_array(p->scratch, struct wire_op, *n + 1);
    struct wire_result *results = arena_array(p->scratch, struct wire_result, *n + 1);
    int empty = 0;

    for (int i = 0; i < *n; i++)
        ops[i] = (struct wire_op) {
            .kind = WIRE_RUN, .sql = first_rows_sql(p, tables[i]), .keep_rows = true, .sync = true};
    if (*n > 0 && !wire_run(p->seeder, p->scratch, ops, *n, results, err))
        return false;
    for (int i = 0; i < *n; i++) {
        if (!results[i].ok || results[i].n_rows == 0)
            tables[empty++] = tables[i];
        else if (tables[i]->n_columns) {
            struct seed *s = seed_add(p, tables[i], results[i].cell[0]);
            s->is_found = true;
            s->is_many = *results[i].cell[0][tables[i]->n_columns] == 't';
            if (results[i].n_rows > 1)
                s->second = copy_row(p, tables[i], results[i].cell[1]);
        }
    }
    *n = empty;
    return true;
}

/* Past the rows that were made, and past what the statements took in the states before: the numbers that a statement
 * takes don't depend on how many ran before it. A step may have moved one farther. */
#define NUMBERS_EACH 1000

static bool has_sequences(const struct catalogue *c)
{
    for (int i = 0; i < c->n_relations; i++)
        if (c->relations[i].kind == 'S')
            return true;
    return false;
}

bool seed_move_sequences(struct proof *p, int nth, struct err *err)
{
    if (!has_sequences(&p->now))
        return true;
    const char *past = arena_printf(p->scratch, "%lld", NUMBERS_EACH * (nth + 1LL));
    struct wire_op op = {
        .kind = WIRE_RUN, .sql = sql_set_sequences_past, .args = &past, .n_args = 1, .sync = true};
    struct wire_result result = {0};

    return wire_run(p->root, p->scratch, &op, 1, &result, err);
}

/* What was computed before there were rows. One that needs another is younger. */
static bool refresh(struct proof *p, struct err *err)
{
    for (int i = 0; i < p->baseline.n_relations; i++) {
        const struct cat_relation *r = &p->baseline.relations[i];
        struct wire_result ignored = {0};
        AUTO(str) sql = {0};

        if (r->kind != 'm' || !r->is_populated)
            continue;
        str_add(&sql, "REFRESH MATERIALIZED VIEW ");
        sql_qualified(&sql, r->schema, r->name);
        if (!wire_exec(p->owner, p->scratch, str_text(&sql), false, &ignored, err))
            return false;
    }
    return true;
}

bool seed_tables(struct proof *p, struct err *err)
{
    const struct catalogue *c = &p->baseline;
    struct order o = {.c = c};

    o.out = arena_array(p->scratch, const struct cat_relation *, c->n_relations + 1);
    o.mark = arena_alloc(p->scratch, (size_t) c->n_relations + 1);
    for (int i = 0; i < c->n_relations; i++)
        visit(&o, i);
    return composites_read(p, err) && find_rows(p, o.out, &o.n, err) &&
           make_all(p, o.out, o.n, err) && seed_move_sequences(p, 0, err) && refresh(p, err);
}

bool seed_remove(struct proof *p, const char *schema, const char *table, bool *removed,
                 struct err *err)
{
    const struct cat_relation *r = table ? cat_find(&p->now, NULL, schema, table) : NULL;
    AUTO(str) sql = {0};
    struct wire_result result = {0};

    const struct seed *seed = r ? seed_of(p, r->oid) : NULL;

    *removed = false;
    if (seed && seed->is_found) /* the author's */
        return true;
    /* Rows of a partition may have been made through the table above it. */
    if (!r || !cat_by_oid(&p->baseline, r->oid))
        return true;
    /* As the steps' own role: by now there may be triggers that a step has made. */
    str_add(&sql, "TRUNCATE ");
    sql_qualified(&sql, r->schema, r->name);
    str_add(&sql, " CASCADE");
    struct wire_op op = {.kind = WIRE_RUN, .sql = str_text(&sql), .sync = true};
    if (!wire_run(p->owner, p->scratch, &op, 1, &result, err))
        return false;
    *removed = result.ok;
    return true;
}

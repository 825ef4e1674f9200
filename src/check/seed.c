/* A few rows in every table, so that statements meet some.
 *
 * Rows are made in the order of foreign keys, with the parents' own values, under session_replication_role =
 * replica: triggers of the baseline don't fire for them. A table that has rows keeps its own.
 */
#include "check/work.h"

#define SEED_ROWS 2
#define MEND_TRIES 24

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

static struct seed *seed_add(struct proof *p, const struct cat_relation *r, const char **cells)
{
    if (p->n_seeds == p->cap_seeds) {
        int cap = p->cap_seeds ? 2 * p->cap_seeds : 64;
        p->seeds = arena_grow(p->a, p->seeds, sizeof *p->seeds * (size_t) p->cap_seeds,
                              sizeof *p->seeds * (size_t) cap);
        p->cap_seeds = cap;
    }
    struct seed *s = &p->seeds[p->n_seeds++];
    *s = (struct seed) {r->oid, false, r, arena_array(p->a, const char *, r->n_columns + 1)};
    for (int i = 0; i < r->n_columns; i++)
        s->values[i] = arena_strdup(p->a, cells[i]);
    return s;
}

static bool is_table(const struct cat_relation *r) { return r->kind == 'r' || r->kind == 'p'; }

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
    if (is_table(r))
        o->out[o->n++] = r;
}

/* ---- one row ----------------------------------------------------------------------------------------------- */

struct row {
    const struct cat_relation *r;
    int variant;
    int *nth;            /* for each column: which of the checks' values, -1: our own */
    const char **values; /* for each column; NULL: left to its default */
};

static bool is_left_out(const struct cat_column *c)
{
    return c->is_generated || c->is_identity || (c->fallback && strstr(c->fallback, "nextval("));
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

/* The parent's value, where a foreign key says so. Each row has a parent of its own: where there may be one child
 * for each, as in a table that holds more columns of the same thing, no parent is left without. */
static const char *parents_value(struct proof *p, const struct cat_relation *r,
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

static void fill_row(struct proof *p, struct row *row)
{
    for (int i = 0; i < row->r->n_columns; i++) {
        const struct cat_column *c = &row->r->columns[i];
        const char *parent = parents_value(p, row->r, c, row->variant);

        if (is_left_out(c))
            row->values[i] = NULL;
        else if (parent)
            row->values[i] = parent;
        else if (row->nth[i] >= 0)
            row->values[i] = value_from_checks(p->scratch, row->r, c, row->nth[i]);
        else
            row->values[i] =
                value_of(p->scratch, &p->baseline, c->type, c->base, c->typmod, row->variant);
    }
}

static const char *insert_sql(struct proof *p, const struct row *row, const char **args, int *n)
{
    AUTO(str) sql = {0}, values = {0};

    str_add(&sql, "INSERT INTO ");
    sql_qualified(&sql, row->r->schema, row->r->name);
    for (int i = 0; i < row->r->n_columns; i++) {
        if (!row->values[i])
            continue;
        str_add(&sql, *n ? ", " : " (");
        sql_ident(&sql, row->r->columns[i].name);
        args[(*n)++] = row->values[i];
        str_addf(&values, "%s$%d", *n > 1 ? ", " : "", *n);
    }
    str_addf(&sql, *n ? ") VALUES (%s) RETURNING " : " DEFAULT VALUES RETURNING ",
             str_text(&values));
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

static bool make_row(struct proof *p, const struct cat_relation *r, int variant, struct err *err)
{
    struct row row = {r, variant, arena_array(p->scratch, int, r->n_columns + 1),
                      arena_array(p->scratch, const char *, r->n_columns + 1)};

    for (int i = 0; i < r->n_columns; i++)
        row.nth[i] = -1;
    for (int try = 0; try < MEND_TRIES; try++) {
        const char **args = arena_array(p->scratch, const char *, r->n_columns + 1);
        struct wire_op op = {.kind = WIRE_RUN, .args = args, .keep_rows = true, .sync = true};
        struct wire_result result = {0};

        fill_row(p, &row);
        op.sql = insert_sql(p, &row, args, &op.n_args);
        if (!wire_run(p->root, p->scratch, &op, 1, &result, err))
            return false;
        if (result.ok) {
            if (result.n_rows == 1)
                seed_add(p, r, result.cell[0]);
            return true;
        }
        if (!next_values(p, &row, &result))
            return true; /* the table stays empty; what needs its rows says so */
    }
    return true;
}

static bool find_row(struct proof *p, const struct cat_relation *r, bool *found, struct err *err)
{
    AUTO(str) sql = {0};
    struct wire_result result = {0};

    str_add(&sql, "SELECT ");
    for (int i = 0; i < r->n_columns; i++) {
        str_add(&sql, i ? ", " : "");
        sql_ident(&sql, r->columns[i].name);
    }
    str_add(&sql, r->n_columns ? " FROM " : "1 FROM ");
    sql_qualified(&sql, r->schema, r->name);
    str_add(&sql, " LIMIT 1");
    struct wire_op op = {.kind = WIRE_RUN, .sql = str_text(&sql), .keep_rows = true, .sync = true};
    if (!wire_run(p->root, p->scratch, &op, 1, &result, err))
        return false;
    *found = result.ok && result.n_rows > 0;
    if (*found && r->n_columns)
        seed_add(p, r, result.cell[0])->is_found = true;
    return true;
}

static bool set_role(struct proof *p, const char *value, struct err *err)
{
    struct wire_result result = {0};
    struct wire_op op = {.kind = WIRE_RUN,
                         .sql =
                             arena_printf(p->scratch, "SET session_replication_role = %s", value),
                         .sync = true};

    return wire_run(p->root, p->scratch, &op, 1, &result, err);
}

/* Past the rows that were made: what a statement takes from a sequence isn't there yet. */
static bool move_sequences(struct proof *p, struct err *err)
{
    struct wire_result result = {0};

    return wire_exec(
        p->root, p->scratch,
        "SELECT pg_catalog.setval(s.seqrelid, least(s.seqstart + 1000 * s.seqincrement, "
        "s.seqmax)) FROM pg_catalog.pg_sequence s WHERE s.seqincrement > 0 AND s.seqstart "
        "< s.seqmax",
        false, &result, err);
}

bool seed_tables(struct proof *p, struct err *err)
{
    const struct catalogue *c = &p->baseline;
    struct order o = {.c = c};

    o.out = arena_array(p->scratch, const struct cat_relation *, c->n_relations + 1);
    o.mark = arena_alloc(p->scratch, (size_t) c->n_relations + 1);
    for (int i = 0; i < c->n_relations; i++)
        visit(&o, i);
    if (!set_role(p, "replica", err))
        return false;
    for (int i = 0; i < o.n; i++) {
        bool found = false;
        if (!find_row(p, o.out[i], &found, err))
            return false;
        for (int k = 1; !found && k <= SEED_ROWS; k++)
            if (!make_row(p, o.out[i], k, err))
                return false;
    }
    return set_role(p, "origin", err) && move_sequences(p, err);
}

bool seed_remove(struct proof *p, const char *schema, const char *table, bool *removed,
                 struct err *err)
{
    const struct cat_relation *r = table ? cat_find(&p->now, NULL, schema, table) : NULL;
    AUTO(str) sql = {0};
    struct wire_result result = {0};

    *removed = false;
    if (!r || !seed_of(p, r->oid))
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

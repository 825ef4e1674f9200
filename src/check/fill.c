/* Many rows in every table: those that the proof makes, repeated with other keys. */
#include "check/seed.h"

#include <stdlib.h>

enum { FILL_MS = 300000, FEW = 2 };

/* How free a column is to differ from row to row. */
enum freedom { ALL_DIFFER, KEYS_DIFFER, FREEDOMS };

static bool is_unique(const struct cat_relation *r, const struct cat_column *c)
{
    for (int i = 0; i < r->n_indexes; i++)
        if (r->indexes[i].is_unique && index_has_column(&r->indexes[i], c->number))
            return true;
    return false;
}

/* A foreign key of this column alone, and the column that it points at. */
static const struct cat_constraint *key_to(const struct cat_relation *r, const struct cat_column *c,
                                           bool *is_wider)
{
    for (int i = 0; i < r->n_constraints; i++) {
        const struct cat_constraint *k = &r->constraints[i];
        for (int m = 0; k->type == 'f' && m < k->n_columns; m++)
            if (k->columns[m] == c->number) {
                *is_wider = k->n_columns > 1;
                return k;
            }
    }
    return NULL;
}

static bool is_checked(const struct cat_relation *r, const struct cat_column *c)
{
    for (int i = 0; i < r->n_constraints; i++)
        for (int m = 0; r->constraints[i].type == 'c' && m < r->constraints[i].n_columns; m++)
            if (r->constraints[i].columns[m] == c->number)
                return true;
    return c->domain_checks != NULL;
}

/* The nth of the parent's values; each has one as long as there are enough of them. */
static bool parents(struct proof *p, const struct cat_constraint *k, struct str *sql)
{
    const struct cat_relation *to = cat_by_oid(&p->baseline, k->other);
    const struct cat_column *other = to ? cat_column_number(to, k->other_columns[0]) : NULL;

    if (!other)
        return false;
    str_add(sql, "(SELECT pg_catalog.array_agg(x.v ORDER BY x.v) FROM (SELECT ");
    sql_ident(sql, other->name);
    str_add(sql, " AS v FROM ");
    sql_qualified(sql, to->schema, to->name);
    str_add(sql, ") AS x)");
    return true;
}

static void from_parents(struct proof *p, const struct cat_constraint *k, bool own, struct str *sql)
{
    AUTO(str) all = {0};

    if (!parents(p, k, &all))
        return;
    if (own)
        str_addf(sql, "(%s)[g.n]", str_text(&all));
    else
        str_addf(sql, "(%s)[1 + g.n %% pg_catalog.array_length(%s, 1)]", str_text(&all),
                 str_text(&all));
}

/* The made row's value, or one of the nth row's own. */
static void value(struct proof *p, const struct cat_relation *r, const struct cat_column *c,
                  enum freedom freedom, struct str *sql)
{
    bool unique = is_unique(r, c), is_wider = false;
    const struct cat_constraint *k = key_to(r, c, &is_wider);
    AUTO(str) name = {0};

    str_add(&name, "s.");
    sql_ident(&name, c->name);
    if (k && !is_wider && k->other != r->oid) {
        from_parents(p, k, unique, sql);
        return;
    }
    bool varies = unique || (freedom == ALL_DIFFER && !k && !is_checked(r, c));
    if (varies && c->category == 'N')
        str_addf(sql, "%s + g.n", str_text(&name));
    else if (varies && c->category == 'S')
        str_addf(sql, "%s || g.n", str_text(&name));
    else if (unique && c->category == 'D')
        str_addf(sql, "%s + g.n * '1 day'::pg_catalog.interval", str_text(&name));
    else if (unique && strcmp(c->type_text, "uuid") == 0)
        str_add(sql, "pg_catalog.gen_random_uuid()");
    else
        str_add(sql, str_text(&name));
}

static const char *repeat_sql(struct proof *p, const struct cat_relation *r, enum freedom freedom,
                              int64_t rows)
{
    AUTO(str) sql = {0}, values = {0};
    int n = 0;

    str_add(&sql, "INSERT INTO ");
    sql_qualified(&sql, r->schema, r->name);
    for (int i = 0; i < r->n_columns; i++) {
        if (r->columns[i].is_generated)
            continue;
        str_add(&sql, n ? ", " : " (");
        str_add(&values, n++ ? ", " : "");
        sql_ident(&sql, r->columns[i].name);
        value(p, r, &r->columns[i], freedom, &values);
    }
    str_addf(&sql, ") OVERRIDING SYSTEM VALUE SELECT %s FROM (SELECT * FROM ", str_text(&values));
    sql_qualified(&sql, r->schema, r->name);
    str_addf(&sql, " LIMIT 1) AS s, pg_catalog.generate_series(%d, %lld) AS g (n)", FEW + 1,
             (long long) rows);
    return arena_strdup(p->scratch, str_text(&sql));
}

static bool is_filled(const struct cat_relation *r)
{
    return (r->kind == 'r' || r->kind == 'p') && !r->is_of_extension &&
           !cat_is_phasegates(r->schema) && r->n_columns > 0;
}

/* What one row can't be repeated into stays as it was made, and says why. */
static bool repeat(struct proof *p, const struct cat_relation *r, int64_t rows,
                   struct filled_table *out, struct err *err)
{
    struct wire_result result = {0};

    for (int freedom = 0; freedom < FREEDOMS; freedom++) {
        if (!wire_exec(p->seeder, p->scratch, repeat_sql(p, r, (enum freedom) freedom, rows), false,
                       &result, err))
            return false;
        if (result.ok)
            return true;
    }
    out->why = arena_strdup(p->a, result.message);
    return true;
}

static bool count(struct proof *p, const struct cat_relation *r, struct filled_table *out,
                  struct err *err)
{
    struct wire_result result = {0};
    AUTO(str) sql = {0};

    str_add(&sql, "SELECT pg_catalog.count(*) FROM ");
    sql_qualified(&sql, r->schema, r->name);
    if (!wire_exec(p->seeder, p->scratch, str_text(&sql), true, &result, err))
        return false;
    if (result.ok && result.n_rows == 1)
        out->rows = strtoll(result.cell[0][0], NULL, 10);
    return true;
}

/* Parents were made first, and are repeated first. */
static bool repeat_all(struct proof *p, int64_t rows, struct filled_table *out, int *n,
                       struct err *err)
{
    bool *done = arena_array(p->scratch, bool, p->baseline.n_relations + 1);

    for (int i = 0; i < p->n_seeds; i++) {
        const struct cat_relation *r = cat_by_oid(&p->baseline, p->seeds[i].relation);
        if (!r || !is_filled(r) || done[r - p->baseline.relations])
            continue;
        done[r - p->baseline.relations] = true;
        struct filled_table *t = &out[(*n)++];
        *t = (struct filled_table) {.table = arena_printf(p->a, "%s.%s", r->schema, r->name)};
        if ((!p->seeds[i].is_found && rows > FEW && !repeat(p, r, rows, t, err)) ||
            !count(p, r, t, err))
            return false;
    }
    for (int i = 0; i < p->n_empty; i++)
        out[(*n)++] = (struct filled_table) {.table = arena_printf(p->a, "%s.%s",
                                                                   p->empty[i].relation->schema,
                                                                   p->empty[i].relation->name),
                                             .why = p->empty[i].message};
    return true;
}

static bool open_wires(struct proof *p, struct err *err)
{
    struct wire_options root = {.database = p->database, .superuser = true, .search_path = "''"};
    struct wire_options owner = {.database = p->database};
    struct wire_options seeds = {
        .database = p->database, .seeds = true, .search_path = "''", .statement_ms = FILL_MS};

    return wire_open(p->shadow, &root, &p->root, err) &&
           wire_open(p->shadow, &owner, &p->owner, err) &&
           wire_open(p->shadow, &seeds, &p->seeder, err) && catalogue_prepare(p->root, err);
}

bool check_fill(const struct plan_set *set, const struct plan *plan, struct shadow *shadow,
                const char *database, int64_t rows, struct arena *a, struct filled_table **out,
                int *out_n, struct err *err)
{
    AUTO(arena) scratch = {0};
    struct check_options o = {.shadow = shadow};
    const struct plan *plans[] = {plan};
    struct proof p = {.set = set,
                      .o = &o,
                      .a = a,
                      .scratch = &scratch,
                      .shadow = shadow,
                      .database = database,
                      .t = {.plans = plans, .n_plans = 1}};
    int n = 0;

    bool ok = open_wires(&p, err) && catalogue_read(p.root, p.a, &p.baseline, err);
    if (ok) {
        p.now = p.before = p.baseline;
        ok = seed_tables(&p, err);
    }
    struct filled_table *list = arena_array(a, struct filled_table, p.n_seeds + p.n_empty + 1);
    ok = ok && repeat_all(&p, rows, list, &n, err) &&
         seed_move_sequences(&p, (int) (rows / 1000), err);
    wire_close(p.root);
    wire_close(p.owner);
    wire_close(p.seeder);
    if (!ok)
        return false;
    *out = list;
    *out_n = n;
    return true;
}

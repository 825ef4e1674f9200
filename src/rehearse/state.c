/* What a database holds, thing by thing, and in what two of them differ. */
#include "rehearse/rehearse_int.h"

#include "phasegate/rehearse_sql.h"
#include "sql_embedded.h"

#include <stdlib.h>

#define SUMS_MS 600000

void text_add(struct arena *a, struct text_list *l, const char *fmt, ...)
{
    va_list ap;

    l->items = arena_more(a, l->items, sizeof *l->items, l->n);
    va_start(ap, fmt);
    l->items[l->n++] = (struct text) {.s = arena_vprintf(a, fmt, ap)};
    va_end(ap);
}

/* ---- reading ------------------------------------------------------------------------------------------- */

static bool read_sums(struct db *db, struct arena *a, struct state_table *t, struct err *err)
{
    const char **names = arena_array(a, const char *, t->n_columns + 1);
    struct db_rows rows = {0};

    for (int i = 0; i < t->n_columns; i++)
        names[i] = t->columns[i].name;
    if (!db_query(db, a, rehearse_sums_sql(a, t->schema, t->name, names, t->n_columns),
                  &DB_NO_PARAMS, &rows, err))
        return err_note(err, "table %s.%s", t->schema, t->name);
    t->rows = strtoll(db_cell(&rows, 0, 0), NULL, 10);
    t->sum = db_cell(&rows, 0, 1);
    for (int i = 0; i < t->n_columns; i++)
        t->columns[i].sum = db_cell(&rows, 0, i + 2);
    return true;
}

static bool read_tables(struct db *db, struct arena *a, struct state *out, struct err *err)
{
    struct db_rows rows = {0};

    if (!db_query(db, a, sql_select_rehearsal_columns, &DB_NO_PARAMS, &rows, err))
        return false;
    out->tables = arena_array(a, struct state_table, rows.n_rows + 1);
    for (int i = 0; i < rows.n_rows; i++) {
        const char *schema = db_cell(&rows, i, 0), *name = db_cell(&rows, i, 1);
        struct state_table *t = out->n_tables ? &out->tables[out->n_tables - 1] : NULL;

        if (!t || strcmp(t->schema, schema) != 0 || strcmp(t->name, name) != 0) {
            t = &out->tables[out->n_tables++];
            *t = (struct state_table) {.schema = schema, .name = name};
        }
        t->columns = arena_more(a, t->columns, sizeof *t->columns, t->n_columns);
        t->columns[t->n_columns++] = (struct state_column) {.name = db_cell(&rows, i, 2)};
    }
    for (int i = 0; i < out->n_tables; i++)
        if (!read_sums(db, a, &out->tables[i], err))
            return false;
    return true;
}

/* Whether absent phases were passed over at once or will be next time makes no difference. */
static enum stage past_absent(const struct plan *p, enum stage s)
{
    enum phase next = stage_next_phase(s);

    while (next != PHASE_NONE && !stage_is_running(s) && !p->phases[next].present) {
        s = next == PHASE_LAST ? STAGE_PURGED : stage_of(next, 1);
        next = stage_next_phase(s);
    }
    return s;
}

static bool read_plan(struct scene *s, struct db *db, struct arena *a, struct state *out,
                      struct err *err)
{
    struct plan_state p = {0};

    if (!ledger_plan_state(db, a, s->plan.id.s, &p, err))
        return false;
    out->stage = stage_word(past_absent(&s->plan, p.stage));
    out->flags =
        arena_printf(a, "read %d %%, write %d %%", p.percent[FLAG_READ], p.percent[FLAG_WRITE]);
    return true;
}

bool state_read_from(struct scene *s, struct db *db, struct arena *a, struct state *out,
                     struct err *err)
{
    *out = (struct state) {.restless = &s->restless};
    db_set_deadline_ms(db, SUMS_MS);
    return check_live_shape(db, a, s->roles, &out->schema, NULL, err) &&
           read_tables(db, a, out, err) && read_plan(s, db, a, out, err);
}

bool state_read(struct scene *s, struct state *out, struct err *err)
{
    struct db *db = NULL;

    if (!stage_db(s, false, &db, err))
        return false;
    bool ok = state_read_from(s, db, s->a, out, err);
    db_close(db);
    return ok || err_note(err, "comparing what the database holds");
}

/* ---- comparing ---------------------------------------------------------------------------------------------- */

static const struct state_table *table_of(const struct state *s, const char *schema,
                                          const char *name)
{
    for (int i = 0; i < s->n_tables; i++)
        if (strcmp(s->tables[i].name, name) == 0 && strcmp(s->tables[i].schema, schema) == 0)
            return &s->tables[i];
    return NULL;
}

static const struct state_column *column_of(const struct state_table *t, const char *name)
{
    for (int i = 0; t && i < t->n_columns; i++)
        if (strcmp(t->columns[i].name, name) == 0)
            return &t->columns[i];
    return NULL;
}

/* Both ascend by name. */
static void compare_schemas(struct arena *a, const struct schema_sums *x,
                            const struct schema_sums *y, struct text_list *left)
{
    for (int i = 0, k = 0; i < x->n || k < y->n;) {
        int order = i == x->n ? 1 : k == y->n ? -1 : strcmp(x->objects[i].name, y->objects[k].name);
        if (order < 0)
            text_add(a, left, "%s is gone", x->objects[i].name);
        else if (order > 0)
            text_add(a, left, "%s is there, and wasn't", y->objects[k].name);
        else if (x->objects[i].sum != y->objects[k].sum)
            text_add(a, left, "%s is another one", x->objects[i].name);
        i += order <= 0;
        k += order >= 0;
    }
}

static bool is_restless(const struct state *s, const struct state_table *t, const char *column)
{
    AUTO(str) name = {0};

    str_addf(&name, "%s.%s.%s", t->schema, t->name, column);
    return text_list_has(s->restless, str_text(&name));
}

static void compare_rows(struct arena *a, const struct state *before, const struct state_table *x,
                         const struct state_table *y, const struct state *known,
                         struct text_list *left, struct text_list *stays)
{
    const struct state_table *k = known ? table_of(known, x->schema, x->name) : NULL;
    int differ = 0;
    bool is_own = known && !k;

    if (x->rows != y->rows)
        text_add(a, is_own ? stays : left, "%s.%s has %lld rows, and had %lld", x->schema, x->name,
                 (long long) y->rows, (long long) x->rows);
    for (int i = 0; i < x->n_columns && x->rows == y->rows; i++) {
        const struct state_column *c = &x->columns[i], *d = column_of(y, c->name);
        if (!d || strcmp(c->sum, d->sum) == 0)
            continue;
        differ++;
        if (is_restless(before, x, c->name))
            continue;
        text_add(a, known && !column_of(k, c->name) ? stays : left,
                 "column %s of %s.%s holds something else", c->name, x->schema, x->name);
    }
    if (x->rows == y->rows && !differ && x->n_columns == y->n_columns &&
        strcmp(x->sum, y->sum) != 0)
        text_add(a, left, "rows of %s.%s hold something else", x->schema, x->name);
}

void state_compare(struct arena *a, const struct state *before, const struct state *after,
                   const struct state *known, struct text_list *left, struct text_list *stays)
{
    struct text_list ignored = {0};

    compare_schemas(a, &before->schema, &after->schema, left);
    for (int i = 0; i < before->n_tables; i++) {
        const struct state_table *t = &before->tables[i];
        const struct state_table *u = table_of(after, t->schema, t->name);
        if (u)
            compare_rows(a, before, t, u, known, left, stays ? stays : &ignored);
    }
}

void state_compare_all(struct arena *a, const struct state *wanted, const struct state *got,
                       struct text_list *left)
{
    state_compare(a, wanted, got, NULL, left, NULL);
    if (strcmp(wanted->stage, got->stage) != 0)
        text_add(a, left, "the plan stands at \"%s\" instead of \"%s\"", got->stage, wanted->stage);
    if (strcmp(wanted->flags, got->flags) != 0)
        text_add(a, left, "flags are left at %s instead of %s", got->flags, wanted->flags);
}

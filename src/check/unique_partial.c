/* An index over some of the rows: which of them a statement leaves in it. */
#include "check/limits.h"
#include "check/unique.h"
#include "check/words.h"
#include "check/writes.h"

#include <stdlib.h>

#define VALUES 8   /* of a column that the condition names, that are tried */
#define OUTSIDE 21 /* variant of a value that hardly any condition asks for */

/* Which rows it is about, in brackets; NULL: all. */
static const char *condition_of(struct proof *p, const struct key *k)
{
    const char *by = k->index->is_partial ? strstr(k->index->definition, " USING ") : NULL,
               *at = by ? strstr(by, " WHERE ") : NULL;

    return at ? arena_printf(p->scratch, "(%s)", at + strlen(" WHERE ")) : NULL;
}

static const char *literal_for(const struct fact_write *w, const char *column)
{
    for (int i = 0; i < w->columns.n && i < w->literals.n; i++)
        if (strcmp(w->columns.items[i].s, column) == 0)
            return w->literals.items[i].s;
    return NULL;
}

/* What a row has in the column that the statement leaves behind, as an expression; for what isn't known some value stands,
 * or NULL. */
static void add_value(struct proof *p, struct str *sql, const struct fact_write *w,
                      const struct cat_column *c, bool is_null)
{
    const char *any = is_null ? NULL : column_value(p, &p->now, c, 1);
    const char *literal = literal_for(w, c->name);
    bool is_left_out = w->verb == VERB_INSERT && !w->positional && !unique_writes(w, c);

    str_add(sql, "CAST(");
    if (literal)
        sql_literal(sql, literal);
    else if (is_left_out && c->fallback && !c->is_generated && !unique_is_moving(c->fallback))
        str_add(sql, c->fallback);
    else if (any)
        sql_literal(sql, any);
    else
        str_add(sql, "NULL");
    str_addf(sql, " AS %s) AS ", c->type_text);
    sql_ident(sql, c->name);
}

/* The one or the other: a condition may ask for NULL, or for anything else. */
static bool may_enter_with(struct proof *p, const struct key *k, const struct fact_write *w,
                           const char *condition, bool is_null, bool *out, struct err *err)
{
    struct wire_result r = {0};
    AUTO(str) sql = {0};

    str_addf(&sql, "SELECT %s IS NOT FALSE FROM (SELECT ", condition);
    for (int i = 0; i < k->r->n_columns; i++) {
        str_add(&sql, i ? ", " : "");
        add_value(p, &sql, w, &k->r->columns[i], is_null);
    }
    str_add(&sql, ") AS ");
    sql_ident(&sql, k->r->name);
    struct wire_op op = {.kind = WIRE_RUN, .sql = str_text(&sql), .keep_rows = true, .sync = true};
    if (!wire_run(p->owner, p->scratch, &op, 1, &r, err))
        return false;
    *out = !r.ok || r.n_rows != 1 || !r.cell || !r.cell[0][0] || *r.cell[0][0] == 't';
    return true;
}

bool unique_may_enter(struct proof *p, const struct key *k, const struct fact_write *w, bool *out,
                      struct err *err)
{
    const char *condition = condition_of(p, k);

    *out = true;
    return !condition || (may_enter_with(p, k, w, condition, true, out, err) &&
                          (*out || may_enter_with(p, k, w, condition, false, out, err)));
}

/* ---- rows that are taken in --------------------------------------------------------------------------------- */

struct move { /* of rows into the index, by one call */
    const struct app_statement *a;
    const struct key *k;
    const char *count; /* of the rows in it */
    bool is_seen;      /* rows came in that weren't there */
    bool was_full;     /* rows were in it at all, before a call or after it */
    bool is_cut;       /* nothing shows that they weren't */
};

/* Without the index, which may refuse what is to be seen. */
static bool run_move(struct proof *p, struct move *m, const char *prelude,
                     const struct arg_set *set, struct err *err)
{
    const struct query *q = m->a->q;
    int room = unique_room(q, m->k) + 4;

    if (unique_is_spent(m->a, m->k, 1)) {
        m->is_cut = true;
        return true;
    }
    struct ops o = {arena_array(p->scratch, struct wire_op, room), 0};
    struct wire_result *r = arena_array(p->scratch, struct wire_result, room);

    unique_begin(p, &o, q, m->k, THE_INDEX);
    if (prelude)
        ops_add(&o, prelude, NULL, false, false);
    int before = ops_add(&o, m->count, NULL, true, false);
    unique_call(&o, q, set);
    int after = ops_add(&o, m->count, NULL, true, true);
    if (!unique_run(p, &o, r, err))
        return false;
    if (!r[after].ok || r[after].skipped)
        return true;
    int64_t was = strtoll(r[before].cell[0][0], NULL, 10),
            is = strtoll(r[after].cell[0][0], NULL, 10);
    m->is_seen |= is > was;
    m->was_full |= is > 0 || was > 0;
    return true;
}

/* Each parameter that goes to the column, or that something is made of, with what the condition names for the column. */
static bool try_args(struct proof *p, struct move *m, const struct cat_column *c,
                     const char *prelude, const char *const *values, int n, struct err *err)
{
    const struct query *q = m->a->q;

    for (int s = 0; s < q->n_sets && s < 2 && !m->is_seen; s++) {
        const struct arg_set *own = &q->sets[s];

        if (!run_move(p, m, prelude, own, err))
            return false;
        for (int i = 0; i < own->n && !m->is_seen; i++) {
            const struct cat_relation *r = NULL;
            bool is_written = false, by_insert = false;
            struct arg_set set = {.values = arena_array(p->scratch, const char *, own->n + 1),
                                  .n = own->n};

            const struct cat_column *of = args_column(p, q, i + 1, &r, &is_written, &by_insert);
            if (of && (!is_written || strcmp(of->name, c->name) != 0))
                continue;
            memcpy(set.values, own->values, sizeof *set.values * (size_t) own->n);
            for (int v = 0; v < n && !m->is_seen && !shadow_is_late(p->shadow); v++) {
                set.values[i] = values[v];
                if (!run_move(p, m, prelude, &set, err))
                    return false;
            }
        }
    }
    return true;
}

/* From rows as they are, and from rows that have something else in the column. */
static bool try_column(struct proof *p, struct move *m, const struct cat_column *c,
                       const char *condition, struct err *err)
{
    const char *values[LIMIT_VALUES], *other = column_value(p, &p->now, c, OUTSIDE);
    struct limits l = {.judges = true};

    sql_mentions_add(p->scratch, condition, &l.said);
    int n = limit_values_named(p, &l, m->k->r, c, values);
    n = n < VALUES ? n : VALUES;
    if (!try_args(p, m, c, NULL, values, n, err) ||
        !(m->is_seen || !other ||
          try_args(p, m, c, limits_change_sql(p, m->k->r, c->name, other), values, n, err)))
        return false;
    for (int i = 0; i < n && !m->is_seen; i++)
        if (!try_args(p, m, c, limits_change_sql(p, m->k->r, c->name, values[i]), values, n, err))
            return false;
    return true;
}

bool unique_brings(struct proof *p, const struct app_statement *a, const struct key *k,
                   const struct fact_write *w, const struct cat_column **out, struct err *err)
{
    const char *condition = condition_of(p, k);
    struct move m = {.a = a, .k = k};
    AUTO(str) count = {0};

    *out = NULL;
    if (!condition || w->verb != VERB_UPDATE || !a->q->runs)
        return true;
    str_add(&count, "SELECT pg_catalog.count(*) FROM ");
    sql_qualified(&count, k->r->schema, k->r->name);
    str_addf(&count, " WHERE %s", condition);
    m.count = str_text(&count);
    for (int i = 0; i < k->r->n_columns; i++) {
        const struct cat_column *c = &k->r->columns[i];

        if (!has_name(condition, c->name) || !text_list_has(&w->columns, c->name))
            continue;
        m.is_seen = literal_for(w, c->name) != NULL;
        if (!m.is_seen && !try_column(p, &m, c, condition, err))
            return false;
        /* Where nothing made a row one of its rows, nothing shows that this can't. */
        if (m.is_seen || (!m.was_full && !m.is_cut)) {
            *out = c;
            return true;
        }
    }
    return true;
}

/* ---- for others ----------------------------------------------------------------------------------------------------- */

int unique_named(struct proof *p, const struct key *k, const char **out, int most)
{
    const char *condition = condition_of(p, k);
    struct sql_mentions said = {0};
    int n = 0;

    if (!condition)
        return 0;
    sql_mentions_add(p->scratch, condition, &said);
    for (int i = 0; i < said.strings.n && n < most; i++)
        out[n++] = said.strings.items[i].s;
    for (int i = 0; i < said.numbers.n && n < most; i++)
        out[n++] = said.numbers.items[i].s;
    return n;
}

/* Of rows the first: what comes before the statement may have written another version of it. */
static const char *first_by(struct proof *p, const struct key *k)
{
    AUTO(str) name = {0};

    for (int i = 0; i < k->r->n_indexes && !name.len; i++) {
        const struct cat_index *index = &k->r->indexes[i];
        bool tells_apart = index->is_unique && index->is_valid && !index->is_partial;

        for (int c = 0; tells_apart && index != k->index && c < k->r->n_columns && !name.len; c++)
            if (index_has_column(index, k->r->columns[c].number))
                sql_ident(&name, k->r->columns[c].name);
    }
    return name.len ? arena_strdup(p->scratch, str_text(&name)) : "ctid";
}

const char *unique_alike_sql(struct proof *p, const struct key *k, bool is_out)
{
    const char *condition = condition_of(p, k);
    AUTO(str) sql = {0};

    for (int i = 0; condition && i < k->r->n_columns; i++) {
        const struct cat_column *c = &k->r->columns[i];
        const char *other =
            is_out && has_name(condition, c->name) ? column_value(p, &p->now, c, OUTSIDE) : NULL;

        if (other && !unique_has_column(k, c)) {
            cat_add_set(&sql, k->r, c->name);
            sql_literal(&sql, other);
        } else if (unique_has_column(k, c) && !c->is_generated) {
            cat_add_set(&sql, k->r, c->name);
            str_add(&sql, "(SELECT x.");
            sql_ident(&sql, c->name);
            str_add(&sql, " FROM ");
            sql_qualified(&sql, k->r->schema, k->r->name);
            str_addf(&sql, " AS x ORDER BY x.%s LIMIT 1)", first_by(p, k));
        }
    }
    return sql.len ? arena_strdup(p->scratch, str_text(&sql)) : NULL;
}

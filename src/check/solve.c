/* Which values do the checks of a table take? The server is asked, as the role that makes the rows: of each column the
 * candidates that its own checks take, then of columns that share a check those that fit together. A check may fail on a
 * value instead of refusing it (a cast): so it is asked inside a function that takes that for a no.
 */
#include "check/candidates.h"

#define COLUMNS_MAX 12 /* that share checks */

struct solver {
    struct proof *p;
    struct row *row;
    int *
        group; /* for each column: the first column of those that it shares checks with; -1: none */
    struct candidates *lists; /* for each column */
};

/* ---- which columns ------------------------------------------------------------------------------------------ */

static int place_of(const struct cat_relation *r, int number)
{
    for (int i = 0; i < r->n_columns; i++)
        if (r->columns[i].number == number)
            return i;
    return -1;
}

static void join(struct solver *s, int a, int b)
{
    int from = s->group[b], to = s->group[a];

    for (int i = 0; i < s->row->r->n_columns; i++)
        if (s->group[i] == from)
            s->group[i] = to;
}

static void group_columns(struct solver *s)
{
    const struct cat_relation *r = s->row->r;

    for (int i = 0; i < r->n_columns; i++) {
        const struct cat_column *c = &r->columns[i];
        bool is_bare = c->not_null && !s->row->values[i] && !c->fallback && !c->is_identity;
        s->group[i] = c->domain_checks || is_bare ? i : -1;
    }
    for (int i = 0; i < r->n_checks; i++)
        for (int k = 0; r->constraints[i].type == 'c' && k < r->constraints[i].n_columns; k++) {
            int at = place_of(r, r->constraints[i].columns[k]);
            if (at >= 0 && s->group[at] < 0)
                s->group[at] = at;
        }
    /* What is computed hangs on the columns that it is computed from. */
    for (int i = 0; i < r->n_columns; i++)
        for (int k = 0; r->columns[i].is_generated && s->group[i] >= 0 && k < r->n_columns; k++)
            if (k != i && r->columns[i].fallback &&
                strstr(r->columns[i].fallback, r->columns[k].name)) {
                if (s->group[k] < 0)
                    s->group[k] = k;
                join(s, i, k);
            }
    for (int i = 0; i < r->n_checks; i++) {
        const struct cat_constraint *k = &r->constraints[i];
        int first = k->type == 'c' && k->n_columns ? place_of(r, k->columns[0]) : -1;
        for (int m = 1; first >= 0 && m < k->n_columns; m++)
            if (place_of(r, k->columns[m]) >= 0)
                join(s, first, place_of(r, k->columns[m]));
    }
}

/* ---- candidates ------------------------------------------------------------------------------------------------- */

static bool is_unique(const struct cat_relation *r, const struct cat_column *c)
{
    for (int i = 0; i < r->n_indexes; i++)
        if (r->indexes[i].is_unique && !strchr(r->indexes[i].columns, ' ') &&
            index_has_column(&r->indexes[i], c->number))
            return true;
    return false;
}

static void list_column(struct solver *s, int i)
{
    const struct cat_relation *r = s->row->r;
    const struct cat_column *c = &r->columns[i];
    struct candidates *l = &s->lists[i], all = {0};
    const char *parent = seed_parents_value(s->p, r, c, s->row->variant);
    const struct seed *other = seed_of(s->p, r->oid);
    const char *taken = other && is_unique(r, c) ? seed_value(other, c->name) : NULL;

    if (s->row->is_pinned && s->row->is_pinned[i]) {
        l->items = &s->row->values[i];
        l->n = 1;
        return;
    }
    if (!s->row->is_pinned && seed_is_filled_by_plan(s->p, r, c)) {
        all = (struct candidates) {arena_array(s->p->scratch, const char *, 1), 1};
    } else if (parent) {
        all =
            (struct candidates) {arena_array(s->p->scratch, const char *, 2), c->not_null ? 1 : 2};
        all.items[0] = parent;
    } else {
        candidates_of(s->p->scratch, &s->p->baseline, r, c, s->row->values[i], s->row->variant,
                      &all);
    }
    /* An argument that is NULL shows little: only where nothing else fits. */
    bool null_last = s->row->is_pinned && !parent, has_null = false;
    l->items = arena_array(s->p->scratch, const char *, all.n + 1);
    for (int k = 0; k < all.n; k++) {
        has_null |= !all.items[k];
        if (!all.items[k] ? !null_last : !taken || strcmp(all.items[k], taken) != 0)
            l->items[l->n++] = all.items[k];
    }
    if (has_null && null_last)
        l->items[l->n++] = NULL;
}

/* ---- functions ---------------------------------------------------------------------------------------------------- */

/* Without what isn't its expression: "CHECK ((a > 0)) NOT VALID". */
static const char *expression_of(struct arena *a, const char *definition)
{
    const char *open = strchr(definition, '(');
    size_t n = open ? strlen(open) : 0;

    while (n > 0 && open[n - 1] != ')')
        n--;
    return open ? arena_strndup(a, open, n) : "true";
}

/* Are all its columns among these? */
static bool is_about(const struct solver *s, const struct cat_constraint *k, const int *columns,
                     int n)
{
    int found = 0;

    for (int m = 0; m < k->n_columns; m++)
        for (int i = 0; i < n; i++)
            found += s->row->r->columns[columns[i]].number == k->columns[m];
    return k->type == 'c' && k->n_columns > 0 && found == k->n_columns;
}

/* pg_temp.phasegate_fits_<name>: do these texts fit the columns, and the checks that are about no others? */
static const char *function_sql(struct solver *s, int name, const int *columns, int n)
{
    const struct cat_relation *r = s->row->r;
    struct arena *a = s->p->scratch;
    AUTO(str) body = {0}, sql = {0};

    str_add(&body, "BEGIN DECLARE ");
    for (int pass = 0, param = 0; pass < 2; pass++)
        for (int i = 0; i < n; i++) {
            const struct cat_column *c = &r->columns[columns[i]];
            if (c->is_generated != (pass == 1))
                continue;
            sql_ident(&body, c->name);
            if (pass == 0)
                str_addf(&body, " %s := $%d; ", c->type_text, ++param);
            else
                str_addf(&body, " %s := (%s); ", c->type_text, c->fallback ? c->fallback : "NULL");
        }
    str_add(&body, "BEGIN RETURN true");
    for (int i = 0; i < r->n_checks; i++)
        if (is_about(s, &r->constraints[i], columns, n))
            str_addf(&body, " AND (%s) IS NOT FALSE",
                     expression_of(a, r->constraints[i].definition));
    str_add(&body, "; END; EXCEPTION WHEN OTHERS THEN RETURN false; END");
    str_addf(&sql, "CREATE FUNCTION pg_temp.phasegate_fits_%d(", name);
    for (int i = 0, param = 0; i < n; i++)
        if (!r->columns[columns[i]].is_generated)
            str_addf(&sql, "%spg_catalog.text", param++ ? ", " : "");
    str_add(&sql, ") RETURNS boolean LANGUAGE plpgsql AS ");
    sql_literal(&sql, str_text(&body));
    return arena_strdup(a, str_text(&sql));
}

/* ---- the question ---------------------------------------------------------------------------------------------------- */

/* Of each column so many that all their combinations stay a few thousand. */
static int most_of(int n)
{
    static const int most[] = {0, 400, 64, 16, 8, 5, 4, 3, 3, 2, 2, 2, 2};

    return most[n];
}

static void add_list(struct solver *s, struct str *sql, int column, int most)
{
    const struct candidates *l = &s->lists[column];

    str_add(sql, "(SELECT x.n, x.v FROM (VALUES ");
    for (int i = 0; i < l->n; i++) {
        str_addf(sql, "%s(%d, ", i ? ", " : "", i);
        if (l->items[i])
            sql_literal(sql, l->items[i]);
        else
            str_add(sql, "NULL");
        str_add(sql, "::pg_catalog.text)");
    }
    str_addf(sql, ") x(n, v) WHERE pg_temp.phasegate_fits_%d(x.v) ORDER BY x.n LIMIT %d) c%d",
             column, most, column);
}

/* asked: the columns that have a value of their own. */
static const char *question_sql(struct solver *s, int all, const int *asked, int n)
{
    AUTO(str) sql = {0}, values = {0}, from = {0}, order = {0}, names = {0};

    for (int i = 0; i < n; i++) {
        const char *comma = i ? ", " : "";
        str_addf(&values, "%sc%d.v AS v%d", comma, asked[i], i);
        str_addf(&names, "%sz.v%d", comma, i);
        str_addf(&order, "%sc%d.n", i ? " + " : "", asked[i]);
        str_add(&from, comma);
        add_list(s, &from, asked[i], most_of(n));
    }
    for (int i = 0; i < n; i++)
        str_addf(&order, ", c%d.n", asked[i]);
    /* OFFSET 0: put into order first, and asked no farther than up to the first that fits. */
    str_addf(&sql,
             "SELECT %s FROM (SELECT %s FROM %s ORDER BY %s OFFSET 0) z WHERE "
             "pg_temp.phasegate_fits_%d(%s) LIMIT 1",
             str_text(&names), str_text(&values), str_text(&from), str_text(&order), all,
             str_text(&names));
    return arena_strdup(s->p->scratch, str_text(&sql));
}

static struct wire_op run_op(const char *sql, bool is_end)
{
    return (struct wire_op) {.kind = WIRE_RUN, .sql = sql, .keep_rows = is_end, .sync = is_end};
}

static bool solve_group(struct solver *s, int group, struct err *err)
{
    const struct cat_relation *r = s->row->r;
    struct wire_op ops[COLUMNS_MAX + 5];
    struct wire_result results[COLUMNS_MAX + 5] = {0};
    int columns[2 * COLUMNS_MAX], asked[COLUMNS_MAX], n_columns = 0, n = 0, n_ops = 0;

    for (int i = 0; i < r->n_columns; i++) {
        if (s->group[i] != group)
            continue;
        if (n_columns == 2 * COLUMNS_MAX || (!r->columns[i].is_generated && n == COLUMNS_MAX))
            return true;
        columns[n_columns++] = i;
        if (!r->columns[i].is_generated)
            asked[n++] = i;
    }
    if (n == 0)
        return true;
    /* Taken back: nobody is to see the functions. */
    ops[n_ops++] = run_op("BEGIN", false);
    for (int i = 0; i < n; i++) {
        list_column(s, asked[i]);
        if (s->lists[asked[i]].n == 0)
            return true;
        ops[n_ops++] = run_op(function_sql(s, asked[i], &asked[i], 1), false);
    }
    ops[n_ops++] = run_op(function_sql(s, r->n_columns, columns, n_columns), false);
    int own = n_ops;
    ops[n_ops++] = run_op(question_sql(s, r->n_columns, asked, n), true);
    ops[n_ops++] = run_op("ROLLBACK", true);
    if (!wire_run(s->row->by ? s->row->by : s->p->seeder, s->p->scratch, ops, n_ops, results, err))
        return false;
    for (int i = 0; results[own].ok && results[own].n_rows == 1 && i < n; i++) {
        int at = asked[i];
        s->row->is_fixed[at] = true;
        s->row->values[at] = results[own].cell[0][i];
        s->row->is_null[at] =
            !s->row->values[at] && !seed_is_filled_by_plan(s->p, r, &r->columns[at]);
    }
    return true;
}

bool solve_row(struct proof *p, struct row *row, struct err *err)
{
    int n = row->r->n_columns;
    struct solver s = {p, row, arena_array(p->scratch, int, n + 1),
                       arena_array(p->scratch, struct candidates, n + 1)};

    group_columns(&s);
    for (int i = 0; i < n; i++)
        if (s.group[i] == i && !solve_group(&s, i, err))
            return false;
    return true;
}

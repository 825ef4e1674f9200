/* What a run answered, as one sum: of a statement that reads, over its rows; of one that writes, over what is in the columns
 * that it wrote afterwards, and, column by column, over what the table put beside them.
 */
#include "check/types.h"
#include "check/words.h"
#include "check/work.h"

/* Another type spells the same value otherwise: 1 and 1.00, with a time zone and without. */
static void add_value(struct str *sql, const struct cat_column *c)
{
    bool is_time = strncmp(c->type_text, "timestamp", 9) == 0 || strcmp(c->type_text, "date") == 0;
    bool is_number = c->category == 'N' && strcmp(c->type_text, "money") != 0;

    str_add(sql, is_number ? "pg_catalog.trim_scale(" : "");
    sql_ident(sql, c->name);
    str_add(sql, is_number ? "::pg_catalog.numeric)" : is_time ? "::pg_catalog.timestamptz" : "");
    str_add(sql, "::pg_catalog.text");
}

/* Where a statement asks for the hour, these are another each time; the others are looked at all the same. */
static bool is_of_the_hour(const struct cat_column *c)
{
    return c->category == 'D' || c->category == 'T' || strcmp(c->type_text, "uuid") == 0;
}

static const char *query_of(struct proof *p, const struct query *q)
{
    const struct fact_write *w = q->facts.n_writes > 0 ? &q->facts.writes[0] : NULL;
    const char *path = p->sessions[q->session].search_path;
    const struct cat_relation *r = w ? cat_find(&p->now, path, w->schema, w->table) : NULL;
    AUTO(str) sql = {0};

    if (!r || (r->kind != 'r' && r->kind != 'p' && r->kind != 'v'))
        return NULL;
    str_add(&sql, "SELECT pg_catalog.concat_ws(',', 'row'");
    for (int i = 0; i < w->columns.n; i++) {
        const struct cat_column *c = cat_column(r, w->columns.items[i].s);

        if (!c)
            return NULL;
        if (q->facts.uses_now && is_of_the_hour(c))
            continue;
        str_add(&sql, ", ");
        add_value(&sql, c);
    }
    str_add(&sql, ") FROM ");
    sql_qualified(&sql, w->schema, w->table);
    return arena_strdup(p->a, str_text(&sql));
}

/* A function of somebody's own may be made anew by a step. */
static bool calls_own(const struct proof *p, const char *fallback)
{
    for (int i = 0; i < p->baseline.n_functions; i++)
        if (!cat_is_phasegates(p->baseline.functions[i].schema) &&
            has_name(fallback, p->baseline.functions[i].name))
            return true;
    return false;
}

/* Is it the same whenever the row is written? Others tell nothing. */
static bool is_constant(const struct proof *p, const struct cat_column *c)
{
    return !c->is_identity && (c->is_generated || !c->fallback ||
                               (!strchr(c->fallback, '(') && !strstr(c->fallback, "CURRENT_") &&
                                !strstr(c->fallback, "LOCALTIME")) ||
                               (!strstr(c->fallback, "nextval(") && calls_own(p, c->fallback)));
}

/* What the table or its triggers put into the baseline's other columns. What the plans made is theirs to fill. */
void answer_look_beside(struct proof *p, struct query *q)
{
    if (!q->leaves || q->n_beside > 0)
        return;
    const struct fact_write *w = &q->facts.writes[0];
    const char *path = p->sessions[q->session].search_path;
    const struct cat_relation *r = cat_find(&p->baseline, path, w->schema, w->table);
    AUTO(str) sql = {0};

    if (!r || (r->kind != 'r' && r->kind != 'p') || w->verb == VERB_DELETE || w->positional)
        return;
    q->beside = arena_array(p->a, const char *, r->n_columns + 1);
    for (int i = 0; i < r->n_columns; i++) {
        bool written = false;

        for (int k = 0; k < w->columns.n; k++)
            written |= strcmp(w->columns.items[k].s, r->columns[i].name) == 0;
        /* Labels that are renamed are in the rows that were there as well. */
        if (written || !is_constant(p, &r->columns[i]) || r->columns[i].category == 'E')
            continue;
        str_add(&sql, q->n_beside ? ", " : "SELECT ");
        sql_ident(&sql, r->columns[i].name);
        str_add(&sql, "::pg_catalog.text");
        q->beside[q->n_beside++] = r->columns[i].name;
    }
    if (q->n_beside == 0)
        return;
    str_add(&sql, " FROM ");
    sql_qualified(&sql, r->schema, r->name);
    q->leaves_beside = arena_strdup(p->a, str_text(&sql));
}

/* Of the baseline's own rows there may be any number: then they aren't compared. */
static bool is_small(const struct proof *p, const struct query *q)
{
    const char *path = p->sessions[q->session].search_path;

    for (int i = 0; i < q->facts.n_rels; i++) {
        const struct cat_relation *r =
            cat_find(&p->now, path, q->facts.rels[i].schema, q->facts.rels[i].name);
        const struct seed *s = r ? seed_of(p, r->oid) : NULL;
        if (s && s->is_many)
            return false;
    }
    return true;
}

void answer_prepare(struct proof *p, struct query *q)
{
    if (!q->facts.parsed || q->facts.is_utility || !is_small(p, q))
        return;
    q->keeps_rows = q->facts.n_writes == 0;
    q->leaves = q->keeps_rows ? NULL : query_of(p, q);
    answer_look_beside(p, q);
}

uint64_t answer_of(const struct wire_result *r)
{
    uint64_t sum = 1;

    if (!r->ok || (r->n_rows > 0 && !r->cell))
        return 0;
    for (int i = 0; i < r->n_rows; i++) {
        uint64_t h = PRINT_START;
        /* What a function in SQL that returns void answers with is NULL, and of one in PL/pgSQL it's empty. */
        for (int k = 0; k < r->n_columns; k++)
            if (!r->columns || r->columns[k].type != T_VOID)
                h = print_text(h, r->cell[i][k]);
        sum += h;
    }
    return sum ? sum : 1;
}

const struct column_sum *answer_beside(struct proof *p, const struct query *q,
                                       const struct wire_result *r)
{
    /* One of the columns is gone: of the others nothing is known. */
    if (!r->ok)
        return NULL;
    struct column_sum *sums = arena_array(p->a, struct column_sum, q->n_beside + 1);

    for (int i = 0; r->cell && i < r->n_rows; i++)
        for (int k = 0; k < q->n_beside && k < r->n_columns; k++)
            if (r->cell[i][k]) {
                sums[k].sum += print_text(PRINT_START, r->cell[i][k]);
                sums[k].n++;
            }
    return sums;
}

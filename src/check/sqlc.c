/* sqlc reads `SELECT *` and `RETURNING *` once, when it makes code, and what runs names the columns that there were
 * then. So a statement of its kind is taken to say what it says in the first state that its release meets.
 */
#include "check/work.h"

bool sqlc_has_stars(const struct query *q)
{
    return q->s->result && q->facts.selects_star && !q->is_stand_in;
}

bool sqlc_may_have_stars(const struct statement *s)
{
    for (const char *c = s->result ? strchr(s->dollar_sql, '*') : NULL; c; c = strchr(c + 1, '*'))
        if (c > s->dollar_sql && c[-1] != '(') /* count(*) */
            return true;
    return false;
}

static bool is_in_other(const struct cat_relation **all, int n, int but, const char *column)
{
    for (int i = 0; i < n; i++)
        if (i != but && cat_column(all[i], column))
            return true;
    return false;
}

/* False: which columns they are isn't known. */
static bool write_star(struct proof *p, const struct query *q, const struct fact_star *star,
                       struct str *out)
{
    const struct cat_relation **all =
        arena_array(p->scratch, const struct cat_relation *, star->n_rels + 1);
    bool any = false;

    for (int i = 0; i < star->n_rels; i++) {
        const struct fact_star_rel *r = &star->rels[i];
        all[i] = cat_find(&p->now, p->sessions[q->session].search_path, r->schema, r->name);
        if (!all[i])
            return false;
    }
    for (int i = 0; star->is_known && i < star->n_rels; i++)
        for (int k = 0; k < all[i]->n_columns; k++) {
            const char *name = all[i]->columns[k].name;

            str_add(out, any ? ", " : "");
            any = true;
            if (star->is_qualified || is_in_other(all, star->n_rels, i, name)) {
                sql_ident(out, star->rels[i].alias);
                str_addc(out, '.');
            }
            sql_ident(out, name);
        }
    return any;
}

static void read_again(struct proof *p, struct query *q)
{
    struct statement as = *q->s;

    as.dollar_sql = q->sql;
    statement_facts(p->a, &as, &q->facts);
    q->is_reworded = true;
    q->chain = q->chain ? print_text(q->chain, q->sql) : 0;
    q->probed_state = -1;
    q->is_lethal = lost_is_lethal(p, q);
}

void sqlc_write_out(struct proof *p, struct query *q)
{
    struct fact_star *stars = NULL;
    AUTO(str) sql = {0};
    int n = 0, at = 0;

    q->writes_out = -1;
    statement_stars(p->scratch, q->sql, &stars, &n);
    for (int i = 0; i < n; i++) {
        AUTO(str) columns = {0};

        if (!write_star(p, q, &stars[i], &columns)) {
            q->stars_stay = true;
            continue;
        }
        str_addf(&sql, "%.*s%s", stars[i].at - at, q->sql + at, str_text(&columns));
        at = stars[i].end;
    }
    if (at == 0)
        return;
    str_add(&sql, q->sql + at);
    q->sql = arena_strdup(p->a, str_text(&sql));
    read_again(p, q);
}

bool sqlc_only_adds(const struct description *before, const struct description *now)
{
    int found = 0;

    for (int i = 0; i < now->n_columns && found < before->n_columns; i++)
        found += now->columns[i].type == before->columns[found].type &&
                 now->columns[i].typmod == before->columns[found].typmod &&
                 strcmp(now->columns[i].name, before->columns[found].name) == 0;
    return found == before->n_columns && now->n_columns > before->n_columns;
}

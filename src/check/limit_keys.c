/* New foreign keys against statements that write and delete: what of it is only of our own making, and what our own rows
 * would hide.
 */
#include "check/limits.h"

/* Does the statement itself write a column of the foreign key that refused it? */
static bool writes_key(const struct proof *p, const struct limit_try *t,
                       const struct wire_result *refused)
{
    const char *name = quoted_name(p->scratch, refused->message, "foreign key constraint");
    const struct cat_relation *r = cat_by_oid(&p->now, t->from->oid);

    for (int i = 0; name && r && i < r->n_constraints; i++) {
        const struct cat_constraint *k = &r->constraints[i];

        for (int c = 0; strcmp(k->name, name) == 0 && c < k->n_columns; c++) {
            const struct cat_column *own = cat_column_number(r, k->columns[c]);

            for (int w = 0; own && w < t->a->q->facts.n_writes; w++)
                if (text_list_has(&t->a->q->facts.writes[w].columns, own->name))
                    return true;
        }
    }
    return false;
}

/* A row that its own transaction has changed before is held against foreign keys that its UPDATE leaves alone, and such
 * is every row that was given a value. Without another value, does it fail as well? */
bool limits_is_own_change(struct proof *p, const struct limit_try *t, const struct wire_result *r,
                          bool *out, struct err *err)
{
    struct limit_try same = *t;
    struct wire_result now = {0};
    AUTO(str) sql = {0};

    *out = false;
    if (!t->from || strcmp(r->sqlstate, "23503") != 0 || writes_key(p, t, r))
        return true;
    cat_add_update(&sql, t->from, t->column);
    sql_ident(&sql, t->column);
    same.from = NULL;
    same.prelude = str_text(&sql);
    if (!limits_run_rows(p, &same, &now, err))
        return false;
    /* The message has the table and the name, and no values: another key that refuses the row says nothing of this one. */
    *out = !now.ok && !now.skipped && strcmp(now.sqlstate, r->sqlstate) == 0 &&
           strcmp(now.message, r->message) == 0;
    return true;
}

enum { GONE_MAX = 32 };

struct gone { /* whose rows go with those that are deleted */
    const struct cat_relation *r;
    const char *by; /* the first of the keys that take them along that is new; NULL: none is */
};

static bool takes_along(const struct cat_constraint *k)
{
    return k->type == 'f' && strstr(k->definition, "ON DELETE CASCADE") != NULL;
}

static bool same_columns(const struct cat_constraint *a, const struct cat_constraint *b)
{
    size_t n = sizeof *a->columns * (size_t) a->n_columns;

    return a->n_columns == b->n_columns && memcmp(a->columns, b->columns, n) == 0 &&
           memcmp(a->other_columns, b->other_columns, n) == 0;
}

/* Did rows that it holds keep what they point at from going before the step, or go along if `may_take`? By what it says:
 * its name may stay with another key, or change. */
static bool had_key(const struct proof *p, const struct cat_relation *r,
                    const struct cat_constraint *k, bool may_take)
{
    const struct cat_relation *was = cat_by_oid(&p->before, r->oid),
                              *of = cat_by_oid(&p->before, k->other);

    for (int i = 0; was && of && i < was->n_constraints; i++) {
        const struct cat_constraint *o = &was->constraints[i];

        if (o->type == 'f' && o->other == k->other && same_columns(o, k) &&
            (cat_is_in_way(o, of) || (may_take && takes_along(o))))
            return true;
    }
    return false;
}

/* One that goes by a new key as well counts as that. */
static int add_gone(struct gone *all, int n, const struct cat_relation *r, const char *by)
{
    for (int i = 0; i < n; i++)
        if (all[i].r == r && (all[i].by || !by))
            return n;
    if (n < GONE_MAX)
        all[n++] = (struct gone) {r, by};
    return n;
}

static int all_gone(const struct proof *p, const struct cat_relation *parent, struct gone *all)
{
    int n = add_gone(all, 0, parent, NULL);

    for (int g = 0; g < n; g++)
        for (int i = 0; i < p->now.n_relations; i++) {
            const struct cat_relation *r = &p->now.relations[i];

            for (int k = 0; k < r->n_constraints; k++) {
                const struct cat_constraint *c = &r->constraints[k];

                if (takes_along(c) && c->other == all[g].r->oid)
                    n = add_gone(all, n, r,
                                 all[g].by                ? all[g].by
                                 : had_key(p, r, c, true) ? NULL
                                                          : c->name);
            }
        }
    return n;
}

static bool is_cleared(const struct query *q, const struct cat_relation *r)
{
    AUTO(str) name = {0};

    str_add(&name, "(DELETE FROM ");
    sql_qualified(&name, r->schema, r->name);
    str_addc(&name, ')');
    return strstr(q->clears, str_text(&name)) != NULL;
}

/* Rows of ours were taken out of a DELETE's way, and a foreign key that the step has made might be in it as well: theirs,
 * or one that takes along what they point at. Its name; NULL: there is none. */
static const char *hidden_key(const struct proof *p, const struct query *q)
{
    const struct fact_write *w = q->clears && q->facts.n_writes == 1 ? &q->facts.writes[0] : NULL;
    const struct cat_relation *named =
        w && w->verb == VERB_DELETE
            ? cat_find(&p->now, p->sessions[q->session].search_path, w->schema, w->table)
            : NULL;
    const struct cat_relation *parent = named ? written_table(p, named) : NULL;
    struct gone gone[GONE_MAX];
    int n = parent ? all_gone(p, parent, gone) : 0;

    for (int i = 0; n > 0 && i < p->now.n_relations; i++) {
        const struct cat_relation *r = &p->now.relations[i];

        for (int k = 0; r->n_constraints > 0 && is_cleared(q, r) && k < r->n_constraints; k++)
            for (int g = 0; g < n; g++) {
                const struct cat_constraint *c = &r->constraints[k];

                if (!cat_is_in_way(c, gone[g].r))
                    continue;
                if (!had_key(p, r, c, false))
                    return c->name;
                if (gone[g].by)
                    return gone[g].by;
            }
    }
    return NULL;
}

void limits_report_hidden_keys(struct proof *p, int state)
{
    for (int i = 0; !p->broken[state] && i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];
        const struct timeline_world *w = world_met(p, a, state);
        const char *key =
            w && a->q->runs && !p->t.releases[a->release].is_projected ? hidden_key(p, a->q) : NULL;

        if (key)
            limited_add(
                p, a, state,
                finding_of_state(
                    p, a, w, state, "unproven-write",
                    arena_printf(p->a,
                                 "nothing shows that it still works after this step: it "
                                 "deletes what rows with the new foreign key \"%s\" may "
                                 "point at",
                                 key),
                    "let the foreign key take them along (ON DELETE), or delete them first, "
                    "in a release before this one"));
    }
}

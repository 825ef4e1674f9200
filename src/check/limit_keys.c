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
    *out = !now.ok && !now.skipped && strcmp(now.sqlstate, r->sqlstate) == 0;
    return true;
}

static bool had_constraint(const struct proof *p, const struct cat_relation *r, const char *name)
{
    const struct cat_relation *before = cat_by_oid(&p->before, r->oid);

    for (int i = 0; before && i < before->n_constraints; i++)
        if (strcmp(before->constraints[i].name, name) == 0)
            return true;
    return false;
}

/* Rows of ours were taken out of a DELETE's way, and a foreign key of theirs that the step has made might be in it as
 * well: its name. NULL: there is none. */
static const char *hidden_key(const struct proof *p, const struct query *q)
{
    const struct fact_write *w = q->clears && q->facts.n_writes == 1 ? &q->facts.writes[0] : NULL;
    const struct cat_relation *parent =
        w && w->verb == VERB_DELETE
            ? cat_find(&p->now, p->sessions[q->session].search_path, w->schema, w->table)
            : NULL;

    for (int i = 0; parent && i < p->now.n_relations; i++) {
        const struct cat_relation *r = &p->now.relations[i];
        AUTO(str) name = {0};

        str_add(&name, "(DELETE FROM ");
        sql_qualified(&name, r->schema, r->name);
        str_addc(&name, ')');
        for (int k = 0; k < r->n_constraints && strstr(q->clears, str_text(&name)); k++)
            if (cat_is_in_way(&r->constraints[k], parent) &&
                !had_constraint(p, r, r->constraints[k].name))
                return r->constraints[k].name;
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

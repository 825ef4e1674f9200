/* A trigger that fills a column which an index keeps apart already: who leaves the column out meets the index from then on. */
#include "check/synced.h"
#include "check/unique.h"

/* One that was there before may fill it as well: then nothing is new. */
static bool has_new_trigger(const struct cat_relation *before, const struct cat_relation *r)
{
    bool any = false;

    for (int i = 0; i < r->n_triggers; i++)
        any |= strchr("OA", r->triggers[i].enabled) != NULL;
    return any && before->n_triggers == 0;
}

/* NULL is no value that is taken, and stood there before. */
static bool is_filled(const struct key *k, const struct cat_relation *before,
                      const struct cat_column *c)
{
    const struct cat_column *was = cat_column(before, c->name);

    return was && index_has_column(k->index, c->number) && !c->fallback && !c->is_identity &&
           !c->is_generated && !takes_nulls_alike(k->index);
}

bool unique_is_filled(const struct proof *p, int state, const struct key *k)
{
    const struct cat_relation *before = cat_by_oid(&p->before, k->r->oid);

    if (!before || !k->index->is_unique || !k->index->is_valid || sync_begins(p, state) ||
        !has_new_trigger(before, k->r))
        return false;
    for (int i = 0; i < k->r->n_columns; i++)
        if (is_filled(k, before, &k->r->columns[i]))
            return true;
    return false;
}

bool unique_knew(const struct proof *p, const struct app_statement *a, const struct key *k)
{
    const char *path = p->sessions[a->q->session].search_path;
    const struct cat_relation *before = cat_by_oid(&p->before, k->r->oid);

    for (int i = 0; i < a->q->facts.n_writes; i++) {
        const struct fact_write *w = &a->q->facts.writes[i];

        if (written_table(p, cat_find(&p->now, path, w->schema, w->table)) != k->r)
            continue;
        for (int c = 0; c < k->r->n_columns; c++)
            if (unique_has_column(k, &k->r->columns[c]) && unique_writes(w, &k->r->columns[c]) &&
                (w->verb != VERB_INSERT || is_filled(k, before, &k->r->columns[c])))
                return true;
    }
    return false;
}

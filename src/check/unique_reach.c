/* The tables that a statement comes to write by a trigger, a rule or a function: asked of each statement once, whatever is new,
 * as a step may bring a table each its key. And how much is tried in one step.
 */
#include "check/synced.h"
#include "check/unique.h"

#include "sql_embedded.h"

#include <stdlib.h>

#define BATCH 32

struct reach { /* of a query */
    bool is_asked;
    unsigned *tables; /* rows came into them, or are others */
    int n;
};

bool unique_is_spent(const struct app_statement *a, const struct key *k, int n)
{
    struct unique_work *work = k->work;

    if (work->tries + n <= UNIQUE_TRIES) {
        work->tries += n;
        return false;
    }
    work->cut = work->cut ? work->cut : a;
    return true;
}

bool unique_sets_off(const struct proof *p, const struct query *q)
{
    const char *path = p->sessions[q->session].search_path;

    for (int i = 0; i < q->facts.functions.n; i++)
        if (cat_function_print(&p->now, q->facts.functions.items[i].s) != 0)
            return true;
    for (int i = 0; i < q->facts.n_writes; i++) {
        const struct cat_relation *r =
            cat_find(&p->now, path, q->facts.writes[i].schema, q->facts.writes[i].table);
        if (r && (r->n_triggers > 0 || r->n_uses > 0 || r->calls || r->kind == 'v'))
            return true;
    }
    return q->facts.is_utility;
}

/* Without the new keys, which may leave out what it writes. One that others lean on stays. */
static void add_drops(struct proof *p, struct ops *o, const struct unique_work *work)
{
    for (int i = 0; i < work->n_keys; i++) {
        const struct key *k = &work->keys[i];
        AUTO(str) sql = {0}, body = {0};

        str_addf(&body, "BEGIN %s; EXCEPTION WHEN OTHERS THEN NULL; END",
                 unique_drop_sql(p, k->r, k->index));
        str_add(&sql, "DO ");
        sql_literal(&sql, str_text(&body));
        ops_add(o, arena_strdup(p->scratch, str_text(&sql)), NULL, false, false);
    }
}

struct asking {
    int query, before, after, last;
};

static struct asking add_asking(struct proof *p, struct ops *o, int query)
{
    const struct query *q = &p->queries[query];
    const char *path = p->sessions[q->session].search_path;
    struct asking at = {.query = query};

    ops_add(o, "SAVEPOINT phasegate_q", NULL, false, false);
    ops_add(o, arena_printf(p->scratch, "SET LOCAL search_path = %s", path ? path : "public"), NULL,
            false, false);
    unique_before(o, q);
    at.before = ops_add(o, sql_select_rows_written, NULL, true, false);
    unique_call(o, q, &q->sets[0]);
    at.after = ops_add(o, sql_select_rows_written, NULL, true, false);
    at.last = ops_add(o, "SET CONSTRAINTS ALL DEFERRED", NULL, false, true);
    ops_add(o, "ROLLBACK TO SAVEPOINT phasegate_q", NULL, false, true);
    return at;
}

static void note(struct proof *p, const struct wire_result *r, const struct asking *at,
                 struct reach *out)
{
    const struct wire_result looks[2] = {r[at->before], r[at->after]};

    if (!r[at->last].ok || r[at->last].skipped || !looks[1].ok)
        return;
    out->tables = arena_array(p->scratch, unsigned, looks[1].n_rows + 1);
    for (int i = 0; i < looks[1].n_rows; i++) {
        unsigned oid = (unsigned) strtoul(looks[1].cell[i][0], NULL, 10);

        if (effects_rows(looks, oid, EFFECT_INSERTED) + effects_rows(looks, oid, EFFECT_UPDATED) >
            0)
            out->tables[out->n++] = oid;
    }
}

static bool ask_some(struct proof *p, struct unique_work *work, const int *queries, int n,
                     struct err *err)
{
    int room = 8 + work->n_keys;
    struct asking at[BATCH];

    for (int i = 0; i < n; i++)
        room += 10 + p->queries[queries[i]].n_before;
    struct ops o = {arena_array(p->scratch, struct wire_op, room), 0};
    struct wire_result *r = arena_array(p->scratch, struct wire_result, room);

    ops_add(&o, "BEGIN", NULL, false, false);
    ops_add(&o, "SET LOCAL statement_timeout = '2s'", NULL, false, false);
    add_drops(p, &o, work);
    for (int i = 0; i < n; i++)
        at[i] = add_asking(p, &o, queries[i]);
    if (!unique_run(p, &o, r, err))
        return false;
    for (int i = 0; i < n; i++)
        note(p, r, &at[i], &work->reach[at[i].query]);
    return true;
}

/* All that are live here, in a few transactions. */
static bool ask_all(struct proof *p, int state, struct unique_work *work, struct err *err)
{
    int some[BATCH], n = 0;

    work->reach = arena_array(p->scratch, struct reach, p->n_queries + 1);
    for (int i = 0; i < p->n_app; i++) {
        const struct query *q = p->app[i].q;
        int at = (int) (q - p->queries);

        if (work->reach[at].is_asked || !unique_can_call(q) || !unique_sets_off(p, q) ||
            !world_met(p, &p->app[i], state))
            continue;
        work->reach[at].is_asked = true;
        some[n++] = at;
        if (n == BATCH && !ask_some(p, work, some, n, err))
            return false;
        n %= BATCH;
    }
    return n == 0 || ask_some(p, work, some, n, err);
}

bool unique_reaches(struct proof *p, const struct app_statement *a, const struct key *k, bool *out,
                    struct err *err)
{
    *out = false;
    if (!k->work->reach && !ask_all(p, k->work->state, k->work, err))
        return false;
    const struct reach *reach = &k->work->reach[a->q - p->queries];
    for (int i = 0; i < reach->n; i++)
        *out |= reach->tables[i] == k->r->oid;
    return true;
}

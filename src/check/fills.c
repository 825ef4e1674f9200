/* Backfills against writers: run twice, and after a writer of the new side.
 *
 * A batch may be done again after a crash, so what is filled must not be filled once more; and a row that a release
 * has written in the meantime must keep what was written.
 */
#include "check/work.h"

#define RACES "backfill-not-idempotent-or-races-old-writers"

static struct finding *fill_finding(struct proof *p, int state, const struct backfill *b,
                                    const char *rule, const char *message, const char *help)
{
    const struct timeline_state *s = &p->t.states[state];
    struct finding *f = report_add(p->report, rule, b->at, "%s", message);

    f->plan = p->t.plans[s->plan]->id.s;
    f->phase = phase_word(s->phase);
    f->step = b->id.s;
    f->help = help;
    return f;
}

void fills_untried(struct proof *p, int state, const struct backfill *b)
{
    struct finding *f;

    if (p->told[state])
        return;
    f = fill_finding(p, state, b, "cell-untested",
                     arena_printf(p->a,
                                  "%s isn't run: the rows that it would fill stay as they are in "
                                  "what is proved after it, and nobody tried it twice",
                                  b->via.items[0].s),
                     "try it by hand with lines as it will get them; see via: of backfills");
    f->severity = SEVERITY_NOTE;
}

static void op(struct wire_op *ops, int *n, const char *sql, const struct arg_set *set, bool sync)
{
    ops[(*n)++] = (struct wire_op) {.kind = WIRE_RUN,
                                    .sql = sql,
                                    .args = set ? set->values : NULL,
                                    .n_args = set ? set->n : 0,
                                    .keep_rows = true,
                                    .sync = sync};
}

static const char *columns_of(struct proof *p, const struct backfill_spec *s, const char *where)
{
    AUTO(str) sql = {0};

    str_add(&sql, "SELECT ");
    for (int i = 0; i < s->set.n; i++) {
        str_add(&sql, i ? ", " : "");
        sql_ident(&sql, s->set.items[i].key.s);
        str_add(&sql, "::pg_catalog.text");
    }
    str_add(&sql, ", ctid::pg_catalog.text FROM ");
    sql_qualified(&sql, s->schema, s->table);
    str_addf(&sql, " WHERE %s ORDER BY ctid LIMIT 50", where);
    return arena_strdup(p->scratch, str_text(&sql));
}

/* The second run changes nothing: rows that are filled don't meet the predicate. */
static bool runs_twice(struct proof *p, int state, const struct backfill *b, const char *sql,
                       struct err *err)
{
    struct wire_op ops[6];
    struct wire_result r[6] = {0};
    int n = 0;

    op(ops, &n, "BEGIN", NULL, false);
    op(ops, &n, "SET LOCAL phasegate.backfill = 'on'", NULL, false);
    op(ops, &n, sql, NULL, false);
    op(ops, &n,
       arena_printf(p->scratch,
                    "WITH again AS (%s RETURNING 1) SELECT pg_catalog.count(*) FROM again", sql),
       NULL, true);
    op(ops, &n, "ROLLBACK", NULL, true);
    if (!wire_run(p->owner, p->scratch, ops, n, r, err))
        return lost_note(p, ops, n, r);
    if (r[3].ok && !r[3].skipped && r[3].n_rows == 1 && strcmp(r[3].cell[0][0], "0") != 0)
        fill_finding(p, state, b, RACES,
                     arena_printf(p->a,
                                  "run a second time it changes %s of the rows that it has filled",
                                  r[3].cell[0][0]),
                     "where: must not hold for a row that is filled: column IS DISTINCT FROM its "
                     "expression, or "
                     "column IS NULL");
    return true;
}

static bool writes_target(const struct proof *p, const struct query *q,
                          const struct backfill_spec *s)
{
    for (int i = 0; i < q->facts.n_writes; i++) {
        const struct fact_write *w = &q->facts.writes[i];
        for (int k = 0; strcmp(w->table, s->table) == 0 && k < w->columns.n; k++)
            for (int c = 0; c < s->set.n; c++)
                if (strcmp(w->columns.items[k].s, s->set.items[c].key.s) == 0)
                    return true;
    }
    (void) p;
    return false;
}

/* What is still empty was not written: filling it is what the backfill is for. */
static bool is_empty(const struct wire_result *r, int n_columns)
{
    for (int c = 0; c < n_columns; c++)
        if (r->cell[0][c])
            return false;
    return true;
}

static bool same_cells(const struct wire_result *a, const struct wire_result *b, int n_columns)
{
    if (a->n_rows != b->n_rows)
        return false;
    for (int i = 0; i < a->n_rows; i++)
        for (int c = 0; c < n_columns; c++) {
            const char *x = a->cell[i][c], *y = b->cell[i][c];
            if (x != y && (!x || !y || strcmp(x, y) != 0))
                return false;
        }
    return true;
}

/* As SHADOW_OWNER throughout, so that the rows are seen whatever the release's role may. */
static bool keeps_what_is_written(struct proof *p, int state, const struct backfill *b,
                                  const struct backfill_spec *s, const char *sql,
                                  const struct app_statement *a, struct err *err)
{
    const char *mine = columns_of(p, s, "xmin = pg_catalog.pg_current_xact_id()::pg_catalog.xid");
    struct wire_op ops[9];
    struct wire_result r[9] = {0};
    int n = 0, first, last;

    op(ops, &n, "BEGIN", NULL, false);
    if (a->q->clears)
        op(ops, &n, a->q->clears, NULL, false);
    op(ops, &n, a->q->sql, &a->q->sets[0], false);
    first = n;
    op(ops, &n, mine, NULL, false);
    op(ops, &n, "SET LOCAL phasegate.backfill = 'on'", NULL, false);
    op(ops, &n, sql, NULL, false);
    last = n;
    op(ops, &n, mine, NULL, true);
    op(ops, &n, "ROLLBACK", NULL, true);
    if (!wire_run(p->owner, p->scratch, ops, n, r, err))
        return lost_note(p, ops, n, r);
    /* Rows that the backfill filled besides are written by this transaction too: only one written row can be told. */
    if (!r[last].ok || r[last].skipped || r[first].n_rows != 1 || is_empty(&r[first], s->set.n))
        return true;
    bool kept = false;
    for (int i = 0; !kept && i < r[last].n_rows; i++) {
        struct wire_result one = r[last];
        one.cell = &r[last].cell[i];
        one.n_rows = 1;
        kept = same_cells(&r[first], &one, s->set.n);
    }
    if (!kept) {
        struct finding *f =
            fill_finding(p, state, b, RACES,
                         arena_printf(p->a, "it overwrites what %s of %s has just written",
                                      a->s->name, release_words(p, a->release)),
                         "where: must leave rows alone that hold a value of the new side, or a "
                         "sync trigger must keep both equal");
        f->release = p->t.releases[a->release].version;
        f->statement = a->s->name;
        place_add(p, f, a);
    }
    return true;
}

static bool is_live(const struct proof *p, const struct app_statement *a, int state)
{
    for (int i = 0; i < p->t.n_worlds; i++)
        if (p->t.worlds[i].state == state &&
            world_has_release(&p->t, &p->t.worlds[i], a->release) &&
            app_is_possible(p, &p->t.worlds[i], a->s))
            return true;
    return false;
}

bool fills_probe(struct proof *p, int state, const struct plan *plan, const struct backfill *b,
                 const char *sql, struct err *err)
{
    struct backfill_spec s;
    const char *why = NULL;

    if (p->told[state] || b->insert_into.s || !backfill_spec_of(p->scratch, plan, b, &s, &why))
        return true;
    if (!runs_twice(p, state, b, sql, err))
        return false;
    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];
        if (a->q->runs && !a->s->tx && is_live(p, a, p->t.states[state].from) &&
            writes_target(p, a->q, &s) && !keeps_what_is_written(p, state, b, &s, sql, a, err))
            return false;
    }
    return true;
}

/* A sequence that a step makes, or sets to another number, gives numbers to a column that has some: does it go on behind
 * them? The rows that were made have the keys 1 and 2, as rows of a table that lives have. Looked at before sequences are
 * moved.
 */
#include "check/work.h"

#include "sql_embedded.h"

#include <stdlib.h>

static bool is_single_key(const struct cat_relation *r, const struct cat_column *c)
{
    for (int i = 0; i < r->n_indexes; i++)
        if (r->indexes[i].is_unique && r->indexes[i].is_valid && !r->indexes[i].is_partial &&
            !strchr(r->indexes[i].columns, ' ') && index_has_column(&r->indexes[i], c->number))
            return true;
    return false;
}

static bool makes_sequences(const struct proof *p)
{
    for (int i = 0; i < p->now.n_relations; i++)
        if (p->now.relations[i].kind == 'S' && !cat_by_oid(&p->before, p->now.relations[i].oid))
            return true;
    return false;
}

/* ALTER SEQUENCE, an identity's RESTART, setval(): nothing in the catalogue tells of it. */
static bool sets_sequences(const struct proof *p, int state)
{
    static const char *const words[] = {"sequence", "restart", "setval"};
    const struct task *t = p->t.states[state].task;

    for (int i = 0; t && t->kind == TASK_STEP && i < t->step->n_stmts; i++)
        for (size_t k = 0; k < sizeof words / sizeof *words; k++)
            if (strcasestr(t->step->stmts[i].sql, words[k]))
                return true;
    return false;
}

/* The next number, where rows have it or one after it; NULL: they don't. */
static bool next_number(struct proof *p, const struct cat_relation *s, const struct cat_relation *r,
                        const struct cat_column *c, const char **out, struct err *err)
{
    AUTO(str) sql = {0};
    struct wire_result result = {0};

    str_addf(&sql,
             "SELECT x.n FROM (SELECT CASE WHEN is_called THEN last_value + %lld ELSE last_value "
             "END AS n FROM ",
             s->increment);
    sql_qualified(&sql, s->schema, s->name);
    str_add(&sql, ") x WHERE EXISTS (SELECT FROM ");
    sql_qualified(&sql, r->schema, r->name);
    str_add(&sql, " t WHERE t.");
    sql_ident(&sql, c->name);
    str_add(&sql, " >= x.n)");
    struct wire_op op = {.kind = WIRE_RUN, .sql = str_text(&sql), .keep_rows = true, .sync = true};
    if (!wire_run(p->root, p->scratch, &op, 1, &result, err))
        return false;
    *out = result.ok && result.n_rows == 1 ? arena_strdup(p->a, result.cell[0][0]) : NULL;
    return true;
}

static bool leaves_out(const struct fact_write *w, const char *column)
{
    bool given = w->positional;

    for (int i = 0; i < w->columns.n; i++)
        given |= strcmp(w->columns.items[i].s, column) == 0;
    for (int i = 0; i < w->defaulted.n; i++)
        if (strcmp(w->defaulted.items[i].s, column) == 0)
            return w->verb == VERB_INSERT;
    return w->verb == VERB_INSERT && !given;
}

static void report(struct proof *p, int state, const struct cat_relation *s,
                   const struct cat_relation *r, const struct cat_column *c, const char *next)
{
    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];
        const struct timeline_world *w = world_met(p, a, state);
        const char *path = p->sessions[a->q->session].search_path;

        for (int k = 0; w && !p->t.releases[a->release].is_projected && k < a->q->facts.n_writes;
             k++) {
            const struct fact_write *f = &a->q->facts.writes[k];

            if (cat_find(&p->now, path, f->schema, f->table) != r || !leaves_out(f, c->name))
                continue;
            struct finding *found = finding_of_state(
                p, a, w, state, "unproven-write",
                arena_printf(p->a,
                             "\"%s\" %s and gives %s as its next number, and \"%s\" has rows "
                             "with \"%s\" as high as that: a duplicate key",
                             s->name, cat_by_oid(&p->before, s->oid) ? "is set back" : "is new",
                             next, r->name, c->name),
                arena_printf(p->a,
                             "move it past them in the same step: SELECT setval('%s', (SELECT "
                             "max(%s) FROM %s)), or let it start far above",
                             s->name, c->name, r->name));
            found->probe = "X";
            limited_add(p, a, state, found);
            break;
        }
    }
}

bool numbers_state(struct proof *p, int state, struct err *err)
{
    struct wire_op op = {
        .kind = WIRE_RUN, .sql = sql_select_sequence_columns, .keep_rows = true, .sync = true};
    struct wire_result all = {0};

    bool sets = sets_sequences(p, state);

    if (p->t.states[state].by != STATE_TASK || p->told[state] || !(sets || makes_sequences(p)))
        return true;
    if (!wire_run(p->root, p->scratch, &op, 1, &all, err))
        return false;
    for (int i = 0; all.ok && i < all.n_rows; i++) {
        const struct cat_relation *s = cat_by_oid(&p->now,
                                                  (unsigned) strtoul(all.cell[i][0], NULL, 10)),
                                  *r = cat_by_oid(&p->now,
                                                  (unsigned) strtoul(all.cell[i][1], NULL, 10));
        const struct cat_column *c =
            r ? cat_column_number(r, (int) strtol(all.cell[i][2], NULL, 10)) : NULL;
        const char *next = NULL;

        /* A new table has no rows of ours yet: what it has, the step has put there. */
        if (!s || !c || (!sets && cat_by_oid(&p->before, s->oid)) || s->increment < 1 ||
            !(c->is_identity || c->fallback) || !is_single_key(r, c))
            continue;
        if (!next_number(p, s, r, c, &next, err))
            return false;
        if (next)
            report(p, state, s, r, c, next);
    }
    return true;
}

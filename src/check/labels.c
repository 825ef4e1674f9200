/* Labels of enums: a row may hold one that the code of a release doesn't know. */
#include "check/silent.h"

static bool has_label(const struct cat_enum *e, const char *label)
{
    for (int i = 0; e && i < e->n_labels; i++)
        if (strcmp(e->labels[i], label) == 0)
            return true;
    return false;
}

static bool knows(const struct statement *s, const char *label)
{
    for (int i = 0; i < s->knows.n; i++)
        if (strcmp(s->knows.items[i].value.s, label) == 0)
            return true;
    return false;
}

static bool writes_type(const struct proof *p, const struct query *q, unsigned type, bool by_param)
{
    for (int i = 0; i < q->facts.n_writes; i++) {
        const struct fact_write *w = &q->facts.writes[i];
        const struct cat_relation *r =
            cat_find(&p->now, p->sessions[q->session].search_path, w->schema, w->table);
        for (int k = 0; r && k < w->columns.n; k++) {
            const struct cat_column *c = cat_column(r, w->columns.items[k].s);
            if (c && c->type == type && (!by_param || (w->params && w->params[k] > 0)))
                return true;
        }
    }
    return false;
}

/* May this statement write the label? It says so itself, or its code knows the label and hands it in. */
static bool may_write(const struct proof *p, const struct app_statement *a, unsigned type,
                      const char *label)
{
    if (text_list_has(&a->q->facts.literals, label) && writes_type(p, a->q, type, false))
        return true;
    return knows(a->s, label) && writes_type(p, a->q, type, true);
}

static bool anybody_writes(const struct proof *p, unsigned type, const char *label)
{
    for (int i = 0; i < p->n_app; i++)
        if (may_write(p, &p->app[i], type, label) || knows(p->app[i].s, label))
            return true;
    return false;
}

/* Can a row with the label be there while the reader's release is live? */
static bool is_written_beside(const struct look *l, unsigned type, const char *label,
                              bool writer_known)
{
    const struct proof *p = l->p;
    const struct plan *plan = p->t.plans[p->t.states[l->state].plan];
    int flag = timeline_flag_index(&p->t, plan->flags[FLAG_WRITE].key.s);
    int bound = timeline_release_index(&p->t, plan->phases[p->t.states[l->state].phase].release.s);

    for (int i = 0; i < p->t.n_worlds; i++) {
        const struct timeline_world *w = &p->t.worlds[i];
        if (w->state < l->state || !world_has_release(&p->t, w, l->a->release) ||
            !app_is_possible(p, w, l->a->s))
            continue;
        if (!writer_known && (flag >= 0 ? w->either[flag] : w->newest >= bound))
            return true;
        for (int k = 0; writer_known && k < p->n_app; k++)
            if (world_has_release(&p->t, w, p->app[k].release) &&
                app_is_possible(p, w, p->app[k].s) && may_write(p, &p->app[k], type, label))
                return true;
    }
    return false;
}

static bool reads_type(const struct description *d, unsigned type)
{
    for (int i = 0; d && i < d->n_columns; i++)
        if (d->columns[i].type == type)
            return true;
    return false;
}

static bool shows_label(const struct wire_result *r, const struct description *d, unsigned type,
                        const char *label)
{
    for (int i = 0; i < r->n_rows; i++)
        for (int k = 0; k < r->n_columns && k < d->n_columns; k++)
            if (d->columns[k].type == type && r->cell[i][k] && strcmp(r->cell[i][k], label) == 0)
                return true;
    return false;
}

/* Every row that it may come to gets the label, and it is run: does it show any? WHERE status = 'open' doesn't. Where it
 * shows nothing anyway, or the rows can't have the label, nobody knows: true. */
static bool can_meet(const struct look *l, const struct cat_enum *e, const char *label)
{
    enum { OPS_MAX = 40 };
    const struct query *q = l->a->q;
    struct wire_op ops[OPS_MAX] = {{.kind = WIRE_RUN, .sql = "BEGIN"}};
    struct wire_result r[OPS_MAX] = {0};
    const struct wire_op own = {.kind = WIRE_RUN,
                                .sql = q->sql,
                                .args = q->n_sets ? q->sets[0].values : NULL,
                                .n_args = q->n_sets ? q->sets[0].n : 0,
                                .keep_rows = true};
    AUTO(err) ignored = {0};
    int n = 1;

    ops[n++] = (struct wire_op) {.kind = WIRE_RUN,
                                 .sql = arena_printf(l->p->scratch, "SET LOCAL search_path = %s",
                                                     l->path ? l->path : "public")};
    int before = n;
    ops[n++] = own;
    for (int i = 0; i < q->facts.n_rels; i++) {
        const struct fact_rel *f = &q->facts.rels[i];
        const struct cat_relation *rel = cat_find(&l->p->now, l->path, f->schema, f->name);
        for (int k = 0; rel && k < rel->n_columns && n < OPS_MAX - 3; k++) {
            AUTO(str) sql = {0};
            if (rel->columns[k].type != e->type)
                continue;
            str_add(&sql, "UPDATE ");
            sql_qualified(&sql, rel->schema, rel->name);
            str_add(&sql, " SET ");
            sql_ident(&sql, rel->columns[k].name);
            str_add(&sql, " = ");
            sql_literal(&sql, label);
            ops[n++] = (struct wire_op) {.kind = WIRE_RUN,
                                         .sql = arena_strdup(l->p->scratch, str_text(&sql))};
        }
    }
    int after = n;
    ops[n++] = own;
    ops[after].sync = true;
    ops[n++] = (struct wire_op) {.kind = WIRE_RUN, .sql = "ROLLBACK", .sync = true};
    return after == before + 1 || q->n_before > 0 ||
           !wire_run(l->p->owner, l->p->scratch, ops, n, r, &ignored) || !r[before].ok ||
           r[before].n_rows == 0 || !r[after].ok || r[after].skipped ||
           shows_label(&r[after], q->shape[l->state], e->type, label);
}

/* The first release from which every reader beside it knows the label: it may be written from there on. */
static const char *known_from(const struct look *l, unsigned type, const char *label)
{
    const struct timeline *t = &l->p->t;
    const struct timeline_state *s = &t->states[l->state];
    int bound = timeline_release_index(t, t->plans[s->plan]->phases[s->phase].release.s);

    for (int r = bound + 1; r < t->n_releases; r++) {
        bool known = !t->releases[r].is_projected;
        for (int i = 0; known && i < l->p->n_app; i++) {
            const struct app_statement *a = &l->p->app[i];
            bool is_live = t->releases[a->release].is_consumer ||
                           (a->release <= r && a->release >= r - (int) l->p->o->window);
            known = !is_live || knows(a->s, label) || !reads_type(a->q->shape[l->state], type);
        }
        if (known)
            return t->releases[r].version;
    }
    return NULL;
}

void labels_look(struct look *l)
{
    const struct description *d = l->a->q->shape[l->state];

    for (int i = 0; d && i < l->p->now.n_enums; i++) {
        const struct cat_enum *e = &l->p->now.enums[i],
                              *before = cat_enum_of(&l->p->before, e->type);
        bool read = reads_type(d, e->type);

        /* A label that took another's place is a renaming: statements that name the old one fail. */
        for (int k = 0; read && before && e->n_labels > before->n_labels && k < e->n_labels; k++) {
            if (has_label(before, e->labels[k]) || knows(l->a->s, e->labels[k]) ||
                !is_written_beside(l, e->type, e->labels[k],
                                   anybody_writes(l->p, e->type, e->labels[k])) ||
                !can_meet(l, e, e->labels[k]))
                continue;
            struct finding *f = finding_of_state(
                l->p, l->a, l->w, l->state, "enum-value-unknown-to-old-reader",
                arena_printf(l->p->a,
                             "rows may hold '%s' of enum \"%s\", which its code may not know",
                             e->labels[k], e->name),
                arena_printf(
                    l->p->a,
                    "let a release that knows it (-- knows: %s=%s) ship before one that writes it",
                    e->name, e->labels[k]));
            f->safe_from = known_from(l, e->type, e->labels[k]);
        }
    }
}

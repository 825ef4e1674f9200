/* Labels of enums: a row may hold one that the code of a release doesn't know. */
#include "check/silent.h"
#include "check/writes.h"

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

/* One of its example rows has the label in a place that goes to a column of the type. */
static bool is_in_example(const struct proof *p, const struct app_statement *a, unsigned type,
                          const char *label)
{
    for (int i = 0; i < a->s->n_args; i++)
        for (int k = 0; k < a->s->args[i].n; k++) {
            const struct statement_arg *arg = &a->s->args[i].items[k];
            const struct cat_relation *r = NULL;
            bool is_written = false, by_insert = false;

            if (!arg->is_literal || !arg->value || strcmp(arg->value, label) != 0)
                continue;
            const struct cat_column *c = args_column(p, a->q, k + 1, &r, &is_written, &by_insert);
            if (c && is_written && c->type == type)
                return true;
        }
    return false;
}

/* "status", or "app.status". */
static bool is_of_enum(const char *name, const struct cat_enum *e)
{
    const char *dot = strrchr(name, '.');

    return strcmp(dot ? dot + 1 : name, e->name) == 0;
}

/* What a release says of the enum in any of its statements: its code is one. label NULL: anything at all. */
static bool release_knows(const struct proof *p, int release, const struct cat_enum *e,
                          const char *label)
{
    for (int i = 0; i < p->n_app; i++)
        for (int k = 0; p->app[i].release == release && k < p->app[i].s->knows.n; k++) {
            const struct pair *known = &p->app[i].s->knows.items[k];

            if (is_of_enum(known->key.s, e) && (!label || strcmp(known->value.s, label) == 0))
                return true;
        }
    return false;
}

static int bound_of(const struct proof *p, int state)
{
    const struct timeline_state *s = &p->t.states[state];

    return timeline_release_index(&p->t, p->t.plans[s->plan]->phases[s->phase].release.s);
}

/* Is it of a release that was written with the label in mind, or after that? */
static bool is_of_new_code(const struct look *l, const struct app_statement *a)
{
    return !l->p->t.releases[a->release].is_consumer && a->release >= bound_of(l->p, l->state);
}

/* May this statement write the label? It says so itself, or its code knows the label and hands something in; and new code
 * that says nothing of labels at all may know any. */
static bool may_write(const struct look *l, const struct app_statement *a, const struct cat_enum *e,
                      const char *label)
{
    const struct proof *p = l->p;

    if (text_list_has(&a->q->facts.literals, label) && writes_type(p, a->q, e->type, false))
        return true;
    if (is_in_example(p, a, e->type, label))
        return true;
    return writes_type(p, a->q, e->type, true) &&
           (release_knows(p, a->release, e, label) ||
            (is_of_new_code(l, a) && !release_knows(p, a->release, e, NULL)));
}

/* The code that reads with this statement knows it, or says nothing of labels and writes it, or came after code that did. */
static bool reader_knows(const struct look *l, const struct app_statement *a,
                         const struct cat_enum *e, const char *label)
{
    const struct proof *p = l->p;
    bool is_consumer = p->t.releases[a->release].is_consumer;

    if (knows(a->s, label))
        return true;
    for (int i = 0; !release_knows(p, a->release, e, NULL) && i < p->n_app; i++) {
        int r = p->app[i].release;

        if ((is_consumer ? r == a->release : r <= a->release) && may_write(l, &p->app[i], e, label))
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

static bool has_quoted(const struct pair_list *l, const char *quoted)
{
    for (int i = 0; i < l->n; i++)
        if (l->items[i].value.s && strstr(l->items[i].value.s, quoted))
            return true;
    return false;
}

static bool phase_mentions(const struct phase_plan *phase, const char *quoted)
{
    for (int i = 0; i < phase->steps.n; i++)
        for (int k = 0; k < phase->steps.items[i].n_stmts; k++)
            if (strstr(phase->steps.items[i].stmts[k].sql, quoted) &&
                !strstr(phase->steps.items[i].stmts[k].kind, "ALTER TYPE"))
                return true;
    for (int i = 0; i < phase->backfill.n; i++) {
        const struct backfill *b = &phase->backfill.items[i];

        if (has_quoted(&b->set, quoted) ||
            (b->insert_select.s && strstr(b->insert_select.s, quoted)))
            return true;
    }
    return false;
}

/* A step may write it, or make it a default. */
static bool plans_mention(const struct proof *p, const char *label)
{
    const char *quoted = arena_printf(p->scratch, "'%s'", label);

    for (int i = 0; i < p->t.n_plans; i++) {
        const struct plan *plan = p->t.plans[i];

        if (has_quoted(&plan->sync.forward, quoted) || has_quoted(&plan->sync.reverse, quoted))
            return true;
        for (int ph = PHASE_FIRST; ph <= PHASE_LAST; ph++)
            if (phase_mentions(&plan->phases[ph], quoted))
                return true;
    }
    return false;
}

/* Does somebody say who writes it? Where new code has to do with the enum, and the label isn't in it, nobody does yet. */
static bool is_writer_known(const struct look *l, const struct cat_enum *e, const char *label)
{
    const struct proof *p = l->p;
    bool is_used = false;

    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];

        if (may_write(l, a, e, label) || knows(a->s, label))
            return true;
        is_used |=
            is_of_new_code(l, a) && !p->t.releases[a->release].is_projected &&
            (reads_type(a->q->shape[l->state], e->type) || writes_type(p, a->q, e->type, false));
    }
    return is_used && !plans_mention(p, label);
}

/* Can a row with the label be there while the reader's release is live? */
static bool is_written_beside(const struct look *l, const struct cat_enum *e, const char *label,
                              bool writer_known)
{
    const struct proof *p = l->p;
    const struct plan *plan = p->t.plans[p->t.states[l->state].plan];
    int flag = timeline_flag_index(&p->t, plan->flags[FLAG_WRITE].key.s);
    int bound = bound_of(p, l->state);

    for (int i = 0; i < p->t.n_worlds; i++) {
        const struct timeline_world *w = &p->t.worlds[i];
        if (w->state < l->state || !world_has_release(&p->t, w, l->a->release) ||
            !app_is_possible(p, w, l->a->s))
            continue;
        if (!writer_known && (flag >= 0 ? w->either[flag] : w->newest >= bound))
            return true;
        for (int k = 0; writer_known && k < p->n_app; k++)
            if (world_has_release(&p->t, w, p->app[k].release) &&
                app_is_possible(p, w, p->app[k].s) && may_write(l, &p->app[k], e, label))
                return true;
    }
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

/* The first release from which every reader beside it knows the label, if none before it writes it: it may be written from
 * there on. */
static const char *known_from(const struct look *l, const struct cat_enum *e, const char *label)
{
    const struct timeline *t = &l->p->t;
    bool is_before = t->states[l->state].phase == PHASE_EXPAND;

    for (int r = bound_of(l->p, l->state) + 1; r < t->n_releases; r++) {
        bool known = !t->releases[r].is_projected;
        for (int i = 0; known && i < l->p->n_app; i++) {
            const struct app_statement *a = &l->p->app[i];
            bool is_consumer = t->releases[a->release].is_consumer;
            bool is_live =
                is_consumer || (a->release <= r && a->release >= r - (int) l->p->o->window);
            known = (!is_live || reader_knows(l, a, e, label) ||
                     !reads_type(a->q->shape[l->state], e->type)) &&
                    !((is_consumer || a->release < r + !is_before) && may_write(l, a, e, label));
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
            if (has_label(before, e->labels[k]) || reader_knows(l, l->a, e, e->labels[k]) ||
                !is_written_beside(l, e, e->labels[k], is_writer_known(l, e, e->labels[k])) ||
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
            f->safe_from = known_from(l, e, e->labels[k]);
        }
    }
}

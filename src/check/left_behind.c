/* A column that another one takes the place of goes, and what its table said of it goes with it: a CHECK, a DEFAULT. While
 * both were there the sync's trigger carried values over that had met them; from now on nobody asks.
 *
 * Only where the new column holds the same values, and a statement that goes on living makes use of the gap.
 */
#include "check/words.h"
#include "check/work.h"

#include <ctype.h>

struct left {
    struct proof *p;
    int state;
    const struct cat_relation *r; /* as it was before */
    const struct cat_column *old, *new;
};

static bool is_written_by(const struct left *l, const struct app_statement *a, bool leaves_out)
{
    const char *path = l->p->sessions[a->q->session].search_path;

    for (int i = 0; i < a->q->facts.n_writes; i++) {
        const struct fact_write *w = &a->q->facts.writes[i];
        const struct cat_relation *r = cat_find(&l->p->before, path, w->schema, w->table);
        bool names = w->positional || text_list_has(&w->columns, l->new->name);

        if (!r || r->oid != l->r->oid || w->verb == VERB_DELETE)
            continue;
        if (leaves_out ? w->verb == VERB_INSERT && !names : names)
            return true;
    }
    return false;
}

static void tell(const struct left *l, bool by_those_who_leave_it_out, const char *message,
                 const char *help)
{
    struct proof *p = l->p;
    struct finding *f = NULL;

    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];

        if (!app_is_live_from(p, a, l->state) || !is_written_by(l, a, by_those_who_leave_it_out))
            continue;
        if (!f)
            f = step_finding(p, l->state, "check-or-default-left-behind", state_place(p, l->state),
                             message);
        place_add(p, f, a);
    }
    if (f)
        f->help = help;
}

/* The definition, of the new column. */
static const char *of_new(const struct left *l, const char *definition)
{
    const char *old = l->old->name, *at = definition, *found;
    size_t n = strlen(old);
    AUTO(str) out = {0};

    while ((found = strstr(at, old))) {
        bool is_word =
            (found == definition || !(isalnum((unsigned char) found[-1]) || found[-1] == '_')) &&
            !(isalnum((unsigned char) found[n]) || found[n] == '_');
        bool is_quoted = found > definition && found[-1] == '"' && found[n] == '"';
        size_t upto = (size_t) (found - at) - (is_word && is_quoted);

        str_addn(&out, at, upto);
        if (is_word)
            sql_ident(&out, l->new->name);
        else
            str_addn(&out, old, n);
        at = found + n + (is_word && is_quoted);
    }
    str_add(&out, at);
    return arena_strdup(l->p->a, str_text(&out));
}

static bool is_about(const struct cat_constraint *k, int number)
{
    for (int i = 0; i < k->n_columns; i++)
        if (k->columns[i] == number)
            return true;
    return false;
}

static const char *table_of(const struct left *l)
{
    AUTO(str) name = {0};

    sql_qualified(&name, l->r->schema, l->r->name);
    return arena_strdup(l->p->a, str_text(&name));
}

static void look_at_checks(const struct left *l)
{
    const char *table = table_of(l);

    for (int i = 0; i < l->r->n_constraints; i++)
        if (l->r->constraints[i].type == 'c' && is_about(&l->r->constraints[i], l->new->number))
            return;
    if (l->new->domain_checks)
        return;
    for (int i = 0; i < l->r->n_constraints; i++) {
        const struct cat_constraint *k = &l->r->constraints[i];

        if (k->type != 'c' || !is_about(k, l->old->number) ||
            (l->new->not_null &&strstr(k->definition, "IS NOT NULL")))
            continue;
        tell(l, false,
             arena_printf(l->p->a,
                          "\"%s\" goes with its constraint \"%s\", and \"%s\", which takes its "
                          "place, has none: values that it refused come in from now on",
                          l->old->name, k->name, l->new->name),
             arena_printf(l->p->a,
                          "before this phase: ALTER TABLE %s ADD CONSTRAINT ... %s NOT VALID, and "
                          "VALIDATE CONSTRAINT in a step of its own",
                          table, of_new(l, k->definition)));
        return;
    }
}

static void look_at_default(const struct left *l)
{
    if (!l->old->fallback || l->old->is_generated || l->old->is_identity || l->new->fallback ||
        l->new->is_generated || l->new->is_identity || strcasecmp(l->old->fallback, "NULL") == 0)
        return;
    AUTO(str) column = {0};
    sql_ident(&column, l->new->name);
    tell(l, true,
         arena_printf(l->p->a,
                      "\"%s\" goes with its default %s, and \"%s\", which takes its place, has "
                      "none: who leaves it out writes NULL from now on",
                      l->old->name, l->old->fallback, l->new->name),
         arena_printf(l->p->a, "before this phase: ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s",
                      table_of(l), str_text(&column), l->old->fallback));
}

/* "total", "orders.total": nothing is made of its value. */
static bool is_plain(const char *expression, const char *column)
{
    for (const char *s = expression; *s; s++)
        if (!isalnum((unsigned char) *s) && !strchr("_.\" \t\r\n", *s) && (unsigned char) *s < 0x80)
            return false;
    return has_name(expression, column);
}

void left_behind_state(struct proof *p, int state)
{
    const struct timeline_state *s = &p->t.states[state];
    const struct sync *sync = state > 0 ? &p->t.plans[s->plan]->sync : NULL;
    const struct sql_stmt *drop = state > 0 && s->by == STATE_TASK &&
                                          s->task->kind == TASK_SOFT_DROP &&
                                          s->task->step->n_stmts > 0
                                      ? &s->task->step->stmts[0]
                                      : NULL;

    if (!drop || drop->drop != DROP_COLUMN || !drop->object || !sync->table.s || p->broken[state] ||
        strcmp(sync->table.s, drop->table) != 0)
        return;
    struct left l = {
        .p = p, .state = state, .r = cat_find(&p->before, NULL, drop->schema, drop->table)};
    l.old = l.r ? cat_column(l.r, drop->object) : NULL;
    for (int i = 0; l.old && i < sync->forward.n; i++) {
        l.new = cat_column(l.r, sync->forward.items[i].key.s);
        if (!l.new || !is_plain(sync->forward.items[i].value.s, l.old->name))
            continue;
        look_at_checks(&l);
        look_at_default(&l);
    }
}

/* Uniqueness that a step adds, against writers of its columns: whether two rows get the same values isn't for one run
 * to show. Catalogue and parse tree tell who may collide.
 */
#include "check/synced.h"
#include "check/words.h"

#include <stdlib.h>

struct key { /* a new index that refuses rows */
    const struct cat_relation *r;
    const struct cat_index *index;
};

static bool is_exclusion(const struct cat_relation *r, const struct cat_index *index)
{
    for (int i = 0; i < r->n_constraints; i++)
        if (r->constraints[i].type == 'x' && strcmp(r->constraints[i].name, index->name) == 0)
            return true;
    return false;
}

static bool same_constraint(const struct cat_relation *a, const struct cat_relation *b,
                            const char *name)
{
    for (int i = 0; i < a->n_constraints; i++)
        for (int k = 0; strcmp(a->constraints[i].name, name) == 0 && k < b->n_constraints; k++)
            if (strcmp(b->constraints[k].name, name) == 0)
                return strcmp(a->constraints[i].definition, b->constraints[k].definition) == 0;
    return false;
}

static bool was_excluding(const struct cat_relation *before, const struct cat_relation *now,
                          const struct cat_index *index)
{
    for (int i = 0; i < before->n_indexes; i++)
        if (before->indexes[i].is_valid && strcmp(before->indexes[i].name, index->name) == 0)
            return same_constraint(before, now, index->name);
    return false;
}

/* An index that was there before and is at least as strict: over some of the columns, and over all rows. */
static bool was_unique(const struct cat_relation *before, const struct cat_index *index)
{
    for (int i = 0; i < before->n_indexes; i++) {
        const struct cat_index *b = &before->indexes[i];
        bool within = b->is_unique && !b->is_partial && b->is_valid && !index_has_column(b, 0) &&
                      takes_nulls_alike(b) >= takes_nulls_alike(index);

        for (int c = 0; within && c < before->n_columns; c++)
            within = !index_has_column(b, before->columns[c].number) ||
                     index_has_column(index, before->columns[c].number);
        if (within || (b->is_unique && strcmp(b->definition, index->definition) == 0))
            return true;
    }
    return false;
}

/* The columns of the index, and what its expressions name: after the parenthesis, so not the table. */
static bool is_of_key(const struct key *k, const struct cat_column *c)
{
    const char *body = strchr(k->index->definition, '(');

    return index_has_column(k->index, c->number) ||
           (index_has_column(k->index, 0) && body && has_name(body, c->name));
}

/* gen_random_uuid(), nextval(): never the same twice. */
static bool is_fresh(const struct query *q, const struct fact_write *w, const struct cat_column *c)
{
    bool makes = false, is_expression = false;

    for (int i = 0; i < q->facts.functions.n; i++)
        makes |= strstr(q->facts.functions.items[i].s, "uuid") != NULL ||
                 strstr(q->facts.functions.items[i].s, "nextval") != NULL;
    for (int i = 0; i < w->columns.n; i++)
        if (strcmp(w->columns.items[i].s, c->name) == 0)
            is_expression = w->params && w->params[i] == 0 && w->literals.n > i &&
                            w->literals.items[i].s == NULL;
    return makes && is_expression;
}

/* Another one in every row that leaves the column out. */
static bool is_moving(const char *fallback)
{
    static const char *const words[] = {"nextval(", "uuid", "random(", "clock_timestamp("};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(fallback, words[i]))
            return true;
    return false;
}

static bool writes(const struct fact_write *w, const struct cat_column *c)
{
    return w->positional ||
           (text_list_has(&w->columns, c->name) && !text_list_has(&w->defaulted, c->name));
}

/* How a statement comes to a key: the column of it that it writes, by itself or through the trigger of a plan's sync. */
struct way {
    const struct cat_column *c,
        *source;             /* c NULL: one of the others keeps its rows apart, or it doesn't */
    const struct plan *plan; /* NULL: by itself, and no trigger writes any of the key */
};

/* False: the others don't matter. */
static bool way_through_sync(struct proof *p, const struct query *q, const struct key *k,
                             const struct fact_write *w, const struct cat_column *c,
                             const struct pair *target, const struct plan *plan, struct way *out)
{
    bool fresh = false;
    const struct cat_column *source = sync_source(p, k->r, w, target, plan, &fresh);
    if (source && !is_fresh(q, w, source) && !fresh) {
        *out = (struct way) {c, source, plan};
        return true;
    }
    /* An UPDATE of other columns leaves what is there; an INSERT has a number of its own, or no value. */
    return w->verb != VERB_INSERT && !source;
}

/* A column that the plans made and that no trigger fills is filled by what they made beside it, from columns that were
 * apart before. */
static struct way way_of(struct proof *p, int state, const struct query *q, const struct key *k,
                         const struct fact_write *w)
{
    const struct cat_relation *first = cat_by_oid(&p->baseline, k->r->oid);
    const struct way none = {NULL, NULL, NULL};
    const struct plan *through = NULL;
    struct way found = none;

    for (int i = 0; i < k->r->n_columns; i++) {
        const struct cat_column *c = &k->r->columns[i];
        const struct plan *plan = NULL;

        if (!is_of_key(k, c))
            continue;
        /* NULL is no value that is taken. */
        bool is_null_here = text_list_has(&w->nulls, c->name) &&
                            index_has_column(k->index, c->number) && !takes_nulls_alike(k->index);
        if (writes(w, c) && (is_null_here || is_fresh(q, w, c)))
            return none;
        if (writes(w, c)) {
            found = found.plan ? found : (struct way) {c, c, NULL};
            continue;
        }
        const struct pair *target = sync_writes(p, state, k->r, c->name, &plan);
        if (target) {
            through = plan;
            if (!way_through_sync(p, q, k, w, c, target, plan, &found))
                return none;
            continue;
        }
        bool is_new = !first || !cat_column(first, c->name), is_insert = w->verb == VERB_INSERT;
        bool is_null = is_insert && !c->fallback && !takes_nulls_alike(k->index);
        if (is_new || (is_null && index_has_column(k->index, c->number)) || c->is_identity ||
            (is_insert && c->fallback && is_moving(c->fallback)))
            return none;
        /* What it leaves out is the same in every row. Of NULL an expression may make anything. */
        if (is_insert && !found.c && (c->fallback || index_has_column(k->index, c->number)))
            found = (struct way) {c, c, NULL};
    }
    if (found.c && !found.plan)
        found.plan = through;
    return found;
}

/* The writer says itself what is to happen then. */
static bool yields(const struct fact_write *w)
{
    return w->verb == VERB_DELETE || (w->on_conflict && !w->conflict_has_target);
}

static const char *param_in(const struct arg_set *set, const struct fact_write *w,
                            const char *column)
{
    for (int i = 0; i < w->columns.n; i++)
        if (w->params && w->params[i] > 0 && w->params[i] <= set->n &&
            strcmp(w->columns.items[i].s, column) == 0)
            return set->values[w->params[i] - 1];
    return NULL;
}

/* Do the author's own rows differ in the column? They are what is known of the values that are written. */
static bool rows_differ(const struct query *q, const struct fact_write *w, const struct key *k,
                        const struct cat_column *c)
{
    bool is_plain = k->index->is_unique && !index_has_column(k->index, 0);

    for (int i = 0; is_plain && i < q->n_sets; i++) {
        const char *value = param_in(&q->sets[i], w, c->name);

        if (!q->sets[i].is_given || !value)
            return false;
        for (int n = 0; n < i; n++)
            if (strcmp(param_in(&q->sets[n], w, c->name), value) == 0)
                return false;
    }
    return is_plain && q->n_sets > 1;
}

/* INSERT ... WHERE NOT EXISTS: twice in one transaction, with the same values. That it put a row there at all shows in
 * the first run. always_ok: it would be fine with a value that is taken, and that shows nothing. */
static bool tolerates(struct proof *p, const struct app_statement *a, bool always_ok, bool *out,
                      struct err *err)
{
    struct query twice = *a->q;
    struct wire_result r = {0};
    bool reached = false;

    *out = false;
    if (!a->q->runs || a->q->facts.verb != VERB_INSERT || always_ok)
        return true;
    if (!probe_run(p, &twice, &r, &reached, NULL, err))
        return false;
    if (!r.ok || !reached || r.affected == 0)
        return true;
    twice.before = arena_array(p->scratch, struct query *, a->q->n_before + 1);
    if (a->q->n_before > 0)
        memcpy(twice.before, a->q->before, sizeof *twice.before * (size_t) a->q->n_before);
    twice.before[twice.n_before++] = a->q;
    if (!probe_run(p, &twice, &r, &reached, NULL, err))
        return false;
    *out = r.ok && reached && r.affected == 0;
    return true;
}

/* It says what is to happen with a value that is taken; through a trigger the row that it leaves out then is one that
 * went in before. */
static bool leaves_out(const struct fact_write *w)
{
    return w->verb == VERB_INSERT && w->on_conflict && !w->conflict_has_target;
}

/* ---- partial indexes ------------------------------------------------------------------------------------------ */

/* Which rows it is about, in brackets; NULL: all. */
static const char *condition_of(struct proof *p, const struct key *k)
{
    const char *at = k->index->is_partial ? strstr(k->index->definition, ") WHERE ") : NULL;

    return at ? arena_printf(p->scratch, "(%s)", at + strlen(") WHERE ")) : NULL;
}

static const char *literal_for(const struct fact_write *w, const char *column)
{
    for (int i = 0; i < w->columns.n && i < w->literals.n; i++)
        if (strcmp(w->columns.items[i].s, column) == 0)
            return w->literals.items[i].s;
    return NULL;
}

/* What a row has in the column that the statement leaves behind, as an expression; NULL stands for what isn't known. */
static void add_value(struct str *sql, const struct fact_write *w, const struct cat_column *c)
{
    const char *literal = literal_for(w, c->name);
    bool is_left_out = w->verb == VERB_INSERT && !w->positional && !writes(w, c);

    str_add(sql, "CAST(");
    if (literal)
        sql_literal(sql, literal);
    else if (is_left_out && c->fallback && !c->is_generated && !is_moving(c->fallback))
        str_add(sql, c->fallback);
    else
        str_add(sql, "NULL");
    str_addf(sql, " AS %s) AS ", c->type_text);
    sql_ident(sql, c->name);
}

/* May the index take in a row that the statement leaves behind? Where the server can't say, it may. */
static bool may_enter(struct proof *p, const struct key *k, const struct fact_write *w, bool *out,
                      struct err *err)
{
    const char *condition = condition_of(p, k);
    struct wire_result r = {0};
    AUTO(str) sql = {0};

    *out = true;
    if (!condition)
        return true;
    str_addf(&sql, "SELECT %s IS NOT FALSE FROM (SELECT ", condition);
    for (int i = 0; i < k->r->n_columns; i++) {
        str_add(&sql, i ? ", " : "");
        add_value(&sql, w, &k->r->columns[i]);
    }
    str_add(&sql, ") AS ");
    sql_ident(&sql, k->r->name);
    struct wire_op op = {.kind = WIRE_RUN, .sql = str_text(&sql), .keep_rows = true, .sync = true};
    if (!wire_run(p->owner, p->scratch, &op, 1, &r, err))
        return false;
    *out = !r.ok || r.n_rows != 1 || !r.cell || !r.cell[0][0] || *r.cell[0][0] == 't';
    return true;
}

/* A constant by which an UPDATE brings rows in that weren't there: what they have in the key was never held apart. */
static const struct cat_column *brought_by(struct proof *p, const struct key *k,
                                           const struct fact_write *w)
{
    const char *condition = condition_of(p, k);

    for (int i = 0; condition && w->verb == VERB_UPDATE && i < k->r->n_columns; i++)
        if (has_name(condition, k->r->columns[i].name) && literal_for(w, k->r->columns[i].name))
            return &k->r->columns[i];
    return NULL;
}

static int culprit_of(const struct proof *p, int state, const struct key *k, const struct way *way)
{
    return way->plan ? sync_culprit(p, state, k->r, way->plan, k->index->name) : state;
}

static void report(struct proof *p, const struct app_statement *a, const struct timeline_world *w,
                   int state, const struct key *k, const struct fact_write *f,
                   const struct way *way)
{
    bool direct = way->source == way->c;
    int culprit = culprit_of(p, state, k, way);
    struct finding *found = finding_of_state(
        p, a, w, culprit, "unproven-write",
        direct ? arena_printf(p->a,
                              "it %s \"%s\", and from this step on \"%s\" refuses a second row "
                              "with the same values",
                              writes(f, way->c) ? "writes" : "leaves out", way->c->name,
                              k->index->name)
               : arena_printf(p->a,
                              "it writes \"%s\", from which the sync's trigger makes \"%s\", where "
                              "\"%s\" refuses a second row with the same values%s",
                              way->source->name, way->c->name, k->index->name,
                              leaves_out(f) ? ": ON CONFLICT DO NOTHING leaves such a row out now"
                                            : ""),
        direct ? "let the statement say what is to happen then (ON CONFLICT DO NOTHING), in a "
                 "release before this one; that the application never writes a value twice can't "
                 "be seen from here: -- args: rows that differ in the column say so"
               : arena_printf(p->a,
                              "nothing keeps rows apart like that as \"%s\" is written now: make "
                              "it unique in the same way before, or add this when no live release "
                              "writes \"%s\" any more; that the application never writes a value "
                              "twice can't be seen from here: -- args: rows that differ in the "
                              "column say so",
                              way->source->name, way->source->name));

    if (rows_differ(a->q, f, k, way->source)) {
        found->severity = SEVERITY_WARNING;
        found->help = "the -- args: rows differ in it, and no more is known: make sure that the "
                      "application never writes a value twice, or let the statement say what is "
                      "to happen then (ON CONFLICT DO NOTHING)";
    }
    limited_add(p, a, culprit, found);
}

static bool look_at(struct proof *p, const struct app_statement *a, const struct timeline_world *w,
                    int state, const struct key *k, struct err *err)
{
    const char *path = p->sessions[a->q->session].search_path;
    const struct query *q = a->q;
    bool fails = (q->plan[state] && !q->plan[state]->ok) || (q->run[state] && !q->run[state]->ok);
    bool begins = sync_begins(p, state) != NULL, told = false;

    for (int i = 0; !fails && !told && i < q->facts.n_writes && !limited_has(p, a, state); i++) {
        const struct fact_write *f = &q->facts.writes[i];
        struct way way = {NULL, NULL, NULL};

        if (f->verb != VERB_DELETE &&
            written_table(p, cat_find(&p->now, path, f->schema, f->table)) == k->r)
            way = way_of(p, state, q, k, f);
        if (!way.c && f->verb == VERB_UPDATE &&
            written_table(p, cat_find(&p->now, path, f->schema, f->table)) == k->r)
            way.c = way.source = brought_by(p, k, f);
        bool enters = false;
        if (way.c && !may_enter(p, k, f, &enters, err))
            return false;
        if (way.c && !enters)
            continue;
        /* Who writes the key by itself knew it before there was a trigger. */
        if (!way.c || (!way.plan && (begins || yields(f))))
            continue;
        bool is_fine = way.plan && sync_is_implied(p, state, k->r, k->index);
        if (!is_fine && !tolerates(p, a, way.plan && leaves_out(f), &is_fine, err))
            return false;
        if (is_fine || limited_has(p, a, culprit_of(p, state, k, &way)))
            continue;
        report(p, a, w, state, k, f, &way);
        told = way.plan != NULL;
    }
    return true;
}

static bool is_new(const struct proof *p, int state, const struct key *k)
{
    const struct cat_relation *before = cat_by_oid(&p->before, k->r->oid);
    const struct plan *plan = sync_begins(p, state);

    if (!before || !(k->index->is_unique || is_exclusion(k->r, k->index)))
        return false;
    if (!plan)
        return !was_unique(before, k->index) && !was_excluding(before, k->r, k->index);
    for (int c = 0; sync_is_of(plan, k->r) && c < k->r->n_columns; c++)
        if (is_of_key(k, &k->r->columns[c]) && sync_target(plan, k->r->columns[c].name))
            return true;
    return false;
}

bool unique_state(struct proof *p, int state, struct err *err)
{
    if (state == 0 || p->t.states[state].by != STATE_TASK || p->told_unique[state])
        return true;
    p->told_unique[state] = true;
    for (int r = 0; r < p->now.n_relations; r++) {
        struct key k = {&p->now.relations[r], NULL};

        for (int i = 0; i < k.r->n_indexes; i++) {
            k.index = &k.r->indexes[i];
            if (!is_new(p, state, &k))
                continue;
            for (int n = 0; n < p->n_app; n++) {
                const struct timeline_world *w = world_met(p, &p->app[n], state);
                if (w && !p->t.releases[p->app[n].release].is_projected &&
                    !brought_by_phase(p, p->app[n].q, state) &&
                    !look_at(p, &p->app[n], w, state, &k, err))
                    return false;
            }
        }
    }
    return true;
}

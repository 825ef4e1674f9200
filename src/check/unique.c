/* Uniqueness that a step adds, against writers of its columns: whether two rows get the same values isn't for one run
 * to show. Catalogue and parse tree tell who may collide.
 */
#include "check/unique.h"
#include "check/limits.h"
#include "check/synced.h"
#include "check/words.h"

#include <stdlib.h>

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

/* Whatever they are called. */
static bool same_definition(const struct cat_index *a, const struct cat_index *b)
{
    const char *of_a = strstr(a->definition, " USING "), *of_b = strstr(b->definition, " USING ");

    return of_a && of_b && strcmp(of_a, of_b) == 0;
}

/* An index that was there before and is at least as strict: the same one, or over some of the columns and all rows. */
static bool was_unique(const struct cat_relation *before, const struct cat_index *index)
{
    for (int i = 0; i < before->n_indexes; i++) {
        const struct cat_index *b = &before->indexes[i];
        bool within = b->is_unique && !b->is_partial && b->is_valid && !index_has_column(b, 0) &&
                      takes_nulls_alike(b) >= takes_nulls_alike(index);

        for (int c = 0; within && c < before->n_columns; c++)
            within = !index_has_column(b, before->columns[c].number) ||
                     index_has_column(index, before->columns[c].number);
        if (within || (b->is_unique && b->is_valid && same_definition(b, index)) ||
            unique_is_implied(before, b, index))
            return true;
    }
    return false;
}

/* The columns of the index, and what its expressions name: after the parenthesis, so not the table. */
bool unique_has_column(const struct key *k, const struct cat_column *c)
{
    const char *body = strchr(k->index->definition, '(');

    return index_has_column(k->index, c->number) ||
           (index_has_column(k->index, 0) && body && has_name(body, c->name));
}

/* gen_random_uuid(), nextval(), md5(random()::text): never the same twice. */
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
    return (makes && is_expression) || text_list_has(&w->random, c->name);
}

bool unique_is_moving(const char *fallback)
{
    static const char *const words[] = {"nextval(", "uuid", "random(", "clock_timestamp("};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(fallback, words[i]))
            return true;
    return false;
}

bool unique_writes(const struct fact_write *w, const struct cat_column *c)
{
    return w->positional ||
           (text_list_has(&w->columns, c->name) && !text_list_has(&w->defaulted, c->name));
}

/* How a statement comes to a key: the column of it that it writes, by itself or through the trigger of a plan's sync. */
struct way {
    const struct cat_column *c,
        *source;             /* c NULL: one of the others keeps its rows apart, or it doesn't */
    const struct plan *plan; /* NULL: by itself, and no trigger writes any of the key */
    bool brings;             /* it takes rows into a partial index, whatever is in their key */
};

/* False: the others don't matter. */
static bool way_through_sync(struct proof *p, const struct query *q, const struct key *k,
                             const struct fact_write *w, const struct cat_column *c,
                             const struct pair *target, const struct plan *plan, struct way *out)
{
    bool fresh = false;
    const struct cat_column *source = sync_source(p, k->r, w, target, plan, &fresh);
    if (source && !is_fresh(q, w, source) && !fresh) {
        *out = (struct way) {c, source, plan, false};
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
    const struct way none = {0};
    const struct plan *through = NULL;
    struct way found = none;

    for (int i = 0; i < k->r->n_columns; i++) {
        const struct cat_column *c = &k->r->columns[i];
        const struct plan *plan = NULL;

        if (!unique_has_column(k, c))
            continue;
        /* NULL is no value that is taken. */
        bool is_null_here = text_list_has(&w->nulls, c->name) &&
                            index_has_column(k->index, c->number) && !takes_nulls_alike(k->index);
        if (unique_writes(w, c) && (is_null_here || is_fresh(q, w, c)))
            return none;
        if (unique_writes(w, c)) {
            found = found.plan ? found : (struct way) {c, c, NULL, false};
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
        /* Unless it's a default that is the same each time, and no trigger is there to make another of it. */
        if (is_new && is_insert && c->fallback && k->r->n_triggers == 0)
            is_new = false;
        bool is_null = is_insert && !c->fallback && !takes_nulls_alike(k->index);
        if (is_new || (is_null && index_has_column(k->index, c->number)) || c->is_identity ||
            (is_insert && c->fallback && unique_is_moving(c->fallback)))
            return none;
        /* What it leaves out is the same in every row. Of NULL an expression may make anything. */
        if (is_insert && !found.c && (c->fallback || index_has_column(k->index, c->number)))
            found = (struct way) {c, c, NULL, false};
    }
    if (found.c && !found.plan)
        found.plan = through;
    return found;
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

/* It says what is to happen with a value that is taken; through a trigger the row that it leaves out then is one that
 * went in before. */
static bool leaves_out(const struct fact_write *w)
{
    return w->verb == VERB_INSERT && w->on_conflict && !w->conflict_has_target;
}

static int culprit_of(const struct proof *p, int state, const struct key *k, const struct way *way)
{
    return way->plan ? sync_culprit(p, state, k->r, way->plan, k->index->name) : state;
}

static const char *message_of(struct proof *p, const struct key *k, const struct fact_write *f,
                              const struct way *way)
{
    const char *index = k->index->name;

    if (way->source != way->c)
        return arena_printf(
            p->a,
            "it writes \"%s\", from which the sync's trigger makes \"%s\", where \"%s\" refuses a "
            "second row with the same values%s",
            way->source->name, way->c->name, index,
            leaves_out(f) ? ": ON CONFLICT DO NOTHING leaves such a row out now" : "");
    if (way->brings)
        return arena_printf(p->a,
                            "it writes \"%s\", which takes rows into \"%s\", and from this step on "
                            "that refuses a second one with the same values",
                            way->c->name, index);
    return arena_printf(
        p->a,
        leaves_out(f)
            ? "it %s \"%s\", and from this step on its ON CONFLICT DO NOTHING leaves out, without "
              "a word, what \"%s\" takes for a second row with the same values"
            : "it %s \"%s\", and from this step on \"%s\" refuses a second row with the same "
              "values",
        unique_writes(f, way->c) ? "writes" : "leaves out", way->c->name, index);
}

static const char *help_of(struct proof *p, const struct way *way)
{
    static const char rows[] = "that the application never writes a value twice can't be seen from "
                               "here: -- args: rows that differ in the column say so";

    if (way->source != way->c)
        return arena_printf(
            p->a,
            "nothing keeps rows apart like that as \"%s\" is written now: make it "
            "unique in the same way before, or add this when no live release writes "
            "\"%s\" any more; %s",
            way->source->name, way->source->name, rows);
    if (way->brings)
        return "let the statement change a row only where no other one is there with the same "
               "values (WHERE NOT EXISTS), in a release before this one, or add this when no live "
               "release moves rows like that any more";
    return arena_printf(p->a, "%s; %s", UNIQUE_WAY, rows);
}

/* Nothing, where as much was said of the statement in this step. */
static void report(struct proof *p, const struct app_statement *a, const struct timeline_world *w,
                   int state, const struct key *k, const struct fact_write *f,
                   const struct way *way)
{
    int culprit = culprit_of(p, state, k, way);
    bool is_weak = !way->brings && rows_differ(a->q, f, k, way->source);

    if (limited_has(p, a, culprit, is_weak ? SEVERITY_WARNING : SEVERITY_ERROR))
        return;
    struct finding *found = finding_of_state(p, a, w, culprit, "unproven-write",
                                             message_of(p, k, f, way), help_of(p, way));

    if (is_weak) {
        found->severity = SEVERITY_WARNING;
        found->help = "the -- args: rows differ in it, and no more is known: make sure that the "
                      "application never writes a value twice, or " UNIQUE_WAY;
    }
    limited_add(p, a, culprit, found);
}

static void report_collision(struct proof *p, const struct app_statement *a,
                             const struct timeline_world *w, int state, const struct key *k,
                             const struct collision *c)
{
    if (limited_has(p, a, state, c->is_made_up ? SEVERITY_WARNING : SEVERITY_ERROR))
        return;
    struct finding *f = finding_of_state(
        p, a, w, state, "unproven-write",
        c->error ? arena_printf(p->a,
                                "after a call of its own, one more with %s works without \"%s\" of "
                                "\"%s\", and fails from this step on: %s",
                                c->how, k->index->name, k->r->name, c->error)
                 : arena_printf(p->a,
                                "after a call of its own, one more with %s writes less to \"%s\" "
                                "from this step on, without a word: \"%s\" takes its row for one "
                                "that is there",
                                c->how, k->r->name, k->index->name),
        "let what writes there, the statement, a trigger or a function, say what is to happen to a "
        "second row with the same values, in a release or step before this one: change the row "
        "that is there, or add none (WHERE NOT EXISTS) where one less is right");

    f->probe = "X";
    if (c->is_made_up) {
        f->severity = SEVERITY_WARNING;
        f->help = "its -- args: rows don't meet there, and no more is known: make sure that the "
                  "application never makes two rows with the same values";
    }
    limited_add(p, a, state, f);
}

/* Of a query, whichever release's it is. */
struct known {
    struct way *ways; /* of its writes; NULL: not looked at */
    bool has_collision;
    struct collision collision;
};

/* How one of its writes comes to the key; way->c NULL: it doesn't. */
static bool find_way(struct proof *p, const struct app_statement *a, int state, const struct key *k,
                     const struct fact_write *f, struct way *way, struct err *err)
{
    const char *path = p->sessions[a->q->session].search_path;
    bool enters = false;

    *way = (struct way) {0};
    if (f->verb == VERB_DELETE ||
        written_table(p, cat_find(&p->now, path, f->schema, f->table)) != k->r)
        return true;
    *way = way_of(p, state, a->q, k, f);
    if (!way->c) {
        if (!unique_brings(p, a, k, f, &way->c, err))
            return false;
        way->source = way->c;
        way->brings = way->c != NULL;
    }
    if (way->c && !unique_may_enter(p, k, f, &enters, err))
        return false;
    if (way->c && !enters)
        *way = (struct way) {0};
    return true;
}

static bool find_ways(struct proof *p, const struct app_statement *a, int state,
                      const struct key *k, struct known *known, struct err *err)
{
    const struct statement_facts *f = &a->q->facts;

    if (known->ways)
        return true;
    known->ways = arena_array(p->scratch, struct way, f->n_writes + 1);
    for (int i = 0; i < f->n_writes; i++)
        if (!find_way(p, a, state, k, &f->writes[i], &known->ways[i], err))
            return false;
    return true;
}

static bool look_at_calls(struct proof *p, const struct app_statement *a,
                          const struct timeline_world *w, int state, const struct key *k,
                          struct known *known, struct err *err)
{
    if (!known->has_collision && !unique_collides(p, a, k, &known->collision, err))
        return false;
    known->has_collision = true;
    if (known->collision.is_found)
        report_collision(p, a, w, state, k, &known->collision);
    return true;
}

static bool look_at(struct proof *p, const struct app_statement *a, const struct timeline_world *w,
                    int state, const struct key *k, struct known *known, struct err *err)
{
    const struct query *q = a->q;
    bool fails = (q->plan[state] && !q->plan[state]->ok) || (q->run[state] && !q->run[state]->ok);
    bool begins = sync_begins(p, state) != NULL, told = false, any = false;

    if (fails || limited_has(p, a, state, SEVERITY_ERROR))
        return true;
    if (k->is_filled)
        return unique_knew(p, a, k) || look_at_calls(p, a, w, state, k, known, err);
    if (!find_ways(p, a, state, k, known, err))
        return false;
    for (int i = 0; !told && i < q->facts.n_writes; i++) {
        const struct fact_write *f = &q->facts.writes[i];
        struct way way = known->ways[i];

        /* Who writes the key by itself knew it before there was a trigger. */
        if (!way.c || (!way.plan && begins))
            continue;
        bool is_fine = way.plan && sync_is_implied(p, state, k->r, k->index);
        if (!is_fine && f->verb == VERB_INSERT && !unique_is_target(p, a, k, &is_fine, err))
            return false;
        if (!is_fine && !(way.brings ? unique_moves_apart(p, a, k, &is_fine, err)
                                     : unique_is_kept(p, a, k, way.plan, &is_fine, err)))
            return false;
        any |= !is_fine;
        if (!is_fine)
            report(p, a, w, state, k, f, &way);
        told = !is_fine && way.plan;
    }
    return any || begins || look_at_calls(p, a, w, state, k, known, err);
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
        if (unique_has_column(k, &k->r->columns[c]) && sync_target(plan, k->r->columns[c].name))
            return true;
    return false;
}

static void find_keys(struct proof *p, int state, struct unique_work *work)
{
    int most = 1;

    for (int r = 0; r < p->now.n_relations; r++)
        most += p->now.relations[r].n_indexes;
    work->keys = arena_array(p->scratch, struct key, most);
    for (int r = 0; r < p->now.n_relations; r++)
        for (int i = 0; i < p->now.relations[r].n_indexes; i++) {
            struct key k = {&p->now.relations[r], &p->now.relations[r].indexes[i], work, false};
            bool is_key = is_new(p, state, &k);

            k.is_filled = !is_key && unique_is_filled(p, state, &k);
            if (is_key || k.is_filled)
                work->keys[work->n_keys++] = k;
        }
}

bool unique_state(struct proof *p, int state, struct err *err)
{
    struct unique_work work = {.state = state};

    if (state == 0 || p->t.states[state].by != STATE_TASK || p->told_unique[state])
        return true;
    p->told_unique[state] = true;
    find_keys(p, state, &work);
    for (int i = 0; i < work.n_keys; i++) {
        struct known *known = arena_array(p->scratch, struct known, p->n_queries + 1);

        const struct key *k = &work.keys[i];

        for (int n = 0; n < p->n_app; n++) {
            const struct app_statement *a = &p->app[n];
            const struct timeline_world *w = world_met(p, a, state);

            if (w && !p->t.releases[a->release].is_projected &&
                !brought_with_index(p, a, state, k->r, k->index) &&
                !look_at(p, a, w, state, k, &known[a->q - p->queries], err))
                return false;
        }
    }
    if (work.cut)
        limits_report_cut(p, state, work.cut, UNIQUE_TRIES);
    return true;
}

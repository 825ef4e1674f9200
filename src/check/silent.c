/* What no error shows: a statement that goes on working and means something else. Parse tree against catalogue, for
 * each state against the one before it.
 */
#include "check/silent.h"
#include "check/rights.h"
#include "check/words.h"

#include <ctype.h>
#include <stdlib.h>

/* ---- findings ------------------------------------------------------------------------------------------- */

static struct finding *add(struct look *l, const char *rule, const char *message, const char *help)
{
    return finding_of_state(l->p, l->a, l->w, l->state, rule, message, help);
}

static const struct cat_relation *was(const struct look *l, const struct fact_rel *f)
{
    return cat_find(&l->p->before, l->path, f->schema, f->name);
}

static const struct cat_relation *is(const struct look *l, const struct fact_rel *f)
{
    return cat_find(&l->p->now, l->path, f->schema, f->name);
}

static bool has_insert_trigger(const struct cat_relation *r)
{
    for (int i = 0; i < r->n_triggers; i++)
        if (strstr(r->triggers[i].definition, "BEFORE INSERT") ||
            strstr(r->triggers[i].definition, "INSTEAD OF"))
            return true;
    return false;
}

/* MERGE and INSERT ... SELECT may not come to it with the few rows that there are. */
static void look_at_required(struct look *l, const struct fact_write *f)
{
    const struct cat_relation *before = cat_find(&l->p->before, l->path, f->schema, f->table);
    const struct cat_relation *now = cat_find(&l->p->now, l->path, f->schema, f->table);
    const struct outcome *run = l->a->q->run[l->state];

    if (f->verb != VERB_INSERT || f->positional || !before || !now || now->kind == 'v' ||
        has_insert_trigger(now) || (run && !run->ok) || !l->a->q->plan[l->state]->ok)
        return;
    for (int i = 0; i < now->n_columns; i++) {
        const struct cat_column *n = &now->columns[i], *b = cat_column(before, n->name);
        bool was_required = b && b->not_null && !b->fallback && !b->is_identity;

        if (!n->not_null || n->fallback || n->is_identity || n->is_generated || was_required ||
            text_list_has(&f->columns, n->name))
            continue;
        add(l, "insert-omits-required-column",
            arena_printf(l->p->a, "a row that it inserts has no \"%s\", which is NOT NULL",
                         n->name),
            "give the column a value in a release before this one, or a default in this step");
    }
}

/* A unique index over the same rows, of which no column is outside this one's. */
static bool is_kept_unique(const struct cat_relation *r, const struct cat_index *lost)
{
    for (int i = 0; i < r->n_indexes; i++) {
        const struct cat_index *x = &r->indexes[i];
        bool within = !x->is_partial && !index_has_column(x, 0);

        for (int k = 0; within && k < r->n_columns; k++)
            within = !index_has_column(x, r->columns[k].number) ||
                     index_has_column(lost, r->columns[k].number);
        if (x->is_unique && x->is_valid &&
            (within ||
             (strcmp(x->columns, lost->columns) == 0 && x->is_partial == lost->is_partial)))
            return true;
    }
    return false;
}

/* ON CONFLICT DO NOTHING goes on working without the index, and finds no conflict any more. */
static void look_at_conflicts(struct look *l, const struct fact_write *f)
{
    const struct cat_relation *before = cat_find(&l->p->before, l->path, f->schema, f->table);
    const struct cat_relation *now = cat_find(&l->p->now, l->path, f->schema, f->table);

    if (!f->on_conflict || f->conflict_has_target || f->verb != VERB_INSERT || !before || !now)
        return;
    for (int i = 0; i < before->n_indexes; i++) {
        const struct cat_index *b = &before->indexes[i];
        bool written = f->positional;

        for (int k = 0; k < before->n_columns; k++)
            written |= index_has_column(b, before->columns[k].number) &&
                       text_list_has(&f->columns, before->columns[k].name);
        if (b->is_unique && b->is_valid && written && !is_kept_unique(now, b))
            add(l, "on-conflict-target-lost",
                arena_printf(
                    l->p->a,
                    "\"%s\" is gone, and with it the conflicts that ON CONFLICT DO NOTHING "
                    "was for: a second row with the same values goes in",
                    b->name),
                "make another unique index over the same columns first");
    }
}

/* What the name meant is still there, and the name means something else. */
static bool is_shadowed(const struct look *l, const struct cat_relation *before,
                        const struct cat_relation *now)
{
    const struct cat_relation *still = cat_by_oid(&l->p->now, before->oid);

    return before->oid != now->oid && still && strcmp(still->name, before->name) == 0 &&
           strcmp(still->schema, before->schema) == 0;
}

/* Another table took the name, and the one that had it is there by another. */
static bool is_swapped(const struct look *l, const struct cat_relation *before,
                       const struct cat_relation *now)
{
    return before->oid != now->oid && cat_by_oid(&l->p->now, before->oid) &&
           cat_by_oid(&l->p->before, now->oid) && !is_shadowed(l, before, now);
}

/* The same of a column: it has a name that another column had. */
static const struct cat_column *column_swapped(const struct look *l, const struct fact_rel *f,
                                               const struct cat_relation *before,
                                               const struct cat_relation *now)
{
    for (int i = 0; before->oid == now->oid && i < now->n_columns; i++) {
        const struct cat_column *n = &now->columns[i], *b = cat_column(before, n->name);

        if (b && b->number != n->number && cat_column_number(before, n->number) &&
            cat_column_number(now, b->number) &&
            (f->star || f->whole_row || text_list_has(&l->a->q->facts.columns, n->name)))
            return n;
    }
    return NULL;
}

static void look_at_swaps(struct look *l, const struct fact_rel *f)
{
    static const char way[] = "give what is new a name of its own, which later releases know";
    const struct cat_relation *before = was(l, f), *now = is(l, f);
    const struct cat_column *c = before && now ? column_swapped(l, f, before, now) : NULL;

    if (before && now && is_swapped(l, before, now))
        add(l, "name-shadowed",
            arena_printf(l->p->a, "\"%s\" was another table, which is called \"%s\" now", f->name,
                         cat_by_oid(&l->p->now, before->oid)->name),
            way);
    if (c)
        add(l, "name-shadowed",
            arena_printf(l->p->a, "\"%s\" of \"%s\" was another column, which is called \"%s\" now",
                         c->name, f->name,
                         cat_column_number(now, cat_column(before, c->name)->number)->name),
            way);
}

/* Whose allocation of numbers counts on the step, as those of many mappers do, gives out the same ones twice. */
static void look_at_sequences(struct look *l)
{
    const struct statement_facts *f = &l->a->q->facts;

    for (int i = 0; i < f->literals.n; i++) {
        const char *dot = strchr(f->literals.items[i].s, '.');
        const char *schema = dot ? arena_strndup(l->p->scratch, f->literals.items[i].s,
                                                 (size_t) (dot - f->literals.items[i].s))
                                 : NULL;
        const char *name = dot ? dot + 1 : f->literals.items[i].s;
        const struct cat_relation *b = cat_find(&l->p->before, l->path, schema, name);
        const struct cat_relation *n = cat_find(&l->p->now, l->path, schema, name);

        if (b && n && b->kind == 'S' && n->kind == 'S' && is_shadowed(l, b, n))
            add(l, "name-shadowed",
                arena_printf(l->p->a, "'%s' was %s.%s and is %s.%s now, by the search_path",
                             f->literals.items[i].s, b->schema, b->name, n->schema, n->name),
                "write the schema in front of the name, in a release before this one");
        else if (b && n && b->kind == 'S' && n->kind == 'S' && b->increment != n->increment)
            add(l, "session-meaning-changed",
                arena_printf(l->p->a, "\"%s\" went by steps of %lld and goes by %lld", n->name,
                             b->increment, n->increment),
                "a new sequence, used by the releases that know its step");
    }
}

/* ---- joins and rows by name ------------------------------------------------------------------------------------ */

static int shared_columns(const struct cat_relation *a, const struct cat_relation *b)
{
    int n = 0;

    for (int i = 0; a && b && i < a->n_columns; i++)
        n += cat_column(b, a->columns[i].name) != NULL;
    return n;
}

static void look_at_natural_joins(struct look *l)
{
    const struct statement_facts *f = &l->a->q->facts;

    if (!f->uses_natural_join)
        return;
    for (int i = 0; i < f->n_rels; i++)
        for (int k = i + 1; k < f->n_rels; k++)
            if (shared_columns(was(l, &f->rels[i]), was(l, &f->rels[k])) !=
                shared_columns(is(l, &f->rels[i]), is(l, &f->rels[k]))) {
                add(l, "natural-join-drift",
                    arena_printf(
                        l->p->a,
                        "\"%s\" and \"%s\" are joined NATURAL, by other columns than before",
                        f->rels[i].name, f->rels[k].name),
                    "join USING the columns that are meant, in a release before this one");
                return;
            }
}

static bool same_columns(const struct cat_relation *a, const struct cat_relation *b)
{
    if (a->n_columns != b->n_columns)
        return false;
    for (int i = 0; i < a->n_columns; i++)
        if (strcmp(a->columns[i].name, b->columns[i].name) != 0 ||
            strcmp(a->columns[i].type_text, b->columns[i].type_text) != 0)
            return false;
    return true;
}

/* A new column with another value in each row: rows that were equal no longer are. */
static bool tells_apart(const struct cat_relation *before, const struct cat_relation *now)
{
    static const char *const moving[] = {"nextval(", "random(", "uuid", "clock_timestamp("};

    for (int i = 0; i < now->n_columns; i++) {
        const struct cat_column *c = &now->columns[i];
        bool moves = c->is_identity;

        for (size_t k = 0; c->fallback && !c->is_generated && k < sizeof moving / sizeof *moving;
             k++)
            moves |= strstr(c->fallback, moving[k]) != NULL;
        if (moves && !cat_column(before, c->name))
            return true;
    }
    return false;
}

/* Two rows that had as many columns, and no longer have: to compare them is an error, once there are any. */
static bool are_parted(const struct look *l, const struct fact_rel *f)
{
    const struct statement_facts *facts = &l->a->q->facts;
    const struct cat_relation *before = was(l, f), *now = is(l, f);

    for (int i = 0; i < facts->n_rels; i++) {
        const struct fact_rel *other = &facts->rels[i];
        const struct cat_relation *b = was(l, other), *n = is(l, other);

        if (other != f && other->whole_row && b && n && b->n_columns == before->n_columns &&
            n->n_columns != now->n_columns &&
            (strpbrk(l->a->q->sql, "=<>") || has_word(l->a->q->sql, "distinct")))
            return true;
    }
    return false;
}

static void look_at_whole_row(struct look *l, const struct fact_rel *f)
{
    struct finding *found =
        add(l, "whole-row-shape-drift",
            arena_printf(
                l->p->a,
                "a whole row of \"%s\" is taken as one value, which has other fields than before",
                f->name),
            "name the fields, in a release before this one");

    const struct outcome *run = l->a->q->run[l->state];
    if (are_parted(l, f) && (!run || run->ok))
        found->severity = SEVERITY_ERROR;
}

static void look_at_policies(struct look *l, const struct fact_rel *f,
                             const struct cat_relation *named_before,
                             const struct cat_relation *named_now)
{
    const char *role = l->p->sessions[l->a->q->session].role;
    const struct cat_relation *before =
        policies_holder(&l->p->before, named_before, named_now->oid);
    const struct cat_relation *now = policies_holder(&l->p->now, named_now, before->oid);

    if (role && strcmp(role, now->owner) != 0 && !(f->is_target && f->verb == VERB_INSERT) &&
        !policies_are_passed(&l->p->before, &l->p->now, role) &&
        !policies_same(before, now, f, role))
        add(l, "row-visibility-changed",
            arena_printf(l->p->a, "row level security of \"%s\" changes which rows %s sees",
                         f->name, role),
            rights_way_to_see(l->p, l->a, before, now));
}

static void look_at_rel(struct look *l, const struct fact_rel *f)
{
    const struct cat_relation *before = was(l, f), *now = is(l, f);

    if (!before || !now)
        return;
    if (f->star && !f->whole_row && l->a->q->facts.verb == VERB_SELECT &&
        !l->a->q->facts.selects_star && tells_apart(before, now))
        add(l, "whole-row-shape-drift",
            arena_printf(l->p->a,
                         "all columns of \"%s\" are compared, by DISTINCT or a set operation, and "
                         "a new one differs from row to row",
                         f->name),
            "name the columns, in a release before this one");
    if (f->whole_row && !same_columns(before, now))
        look_at_whole_row(l, f);
    if (is_shadowed(l, before, now))
        add(l, "name-shadowed",
            arena_printf(l->p->a, "\"%s\" was %s.%s and is %s.%s now, by the search_path", f->name,
                         before->schema, before->name, now->schema, now->name),
            "write the schema in front of the name, in a release before this one");
    look_at_policies(l, f, before, now);
}

/* Is the nth column another one than it was? More of them behind the others move none. */
static bool are_moved(const struct cat_relation *before, const struct cat_relation *now)
{
    for (int i = 0; i < before->n_columns && i < now->n_columns; i++)
        if (before->columns[i].number != now->columns[i].number)
            return true;
    return false;
}

static void look_at_places(struct look *l, const struct fact_write *f)
{
    const struct cat_relation *before = cat_find(&l->p->before, l->path, f->schema, f->table);
    const struct cat_relation *now = cat_find(&l->p->now, l->path, f->schema, f->table);

    if (!f->positional || !before || !now || before->oid != now->oid || same_columns(before, now))
        return;
    /* One more or less is refused, and a generated one has no value in the data. */
    if (l->a->q->facts.copy && !are_moved(before, now))
        return;
    struct finding *found =
        add(l, "positional-insert-or-star",
            arena_printf(l->p->a,
                         "%s without a column list goes by the order of the columns of "
                         "\"%s\", which have changed",
                         l->a->q->facts.copy ? "COPY" : "an INSERT", f->table),
            "name the columns, in a release before this one");
    /* A value goes into another column than it did, and nothing says so. */
    const struct outcome *run = l->a->q->run[l->state];
    if (are_moved(before, now) && l->a->q->plan[l->state]->ok && (!run || run->ok))
        found->severity = SEVERITY_ERROR;
}

/* ---- types that mean something else ------------------------------------------------------------------------------- */

static bool is_timestamp(const char *type) { return strncmp(type, "timestamp", 9) == 0; }

/* '10' comes before '9', and 10 after it; labels go by their type. */
static bool sorts_otherwise(const struct cat_column *a, const struct cat_column *b)
{
    return a->category != b->category && (a->category == 'S' || b->category == 'S') &&
           (strchr("NE", a->category) || strchr("NE", b->category));
}

/* Does it do more with texts than to ask whether they're equal? */
static bool may_order(const struct look *l)
{
    static const char *const words[] = {"order", "min",     "max",     "greatest", "least",
                                        "lower", "upper",   "initcap", "between",  "like",
                                        "ilike", "similar", "over",    "within"};
    const struct statement_facts *f = &l->a->q->facts;
    const char *sql = l->a->q->sql;

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (has_word(sql, words[i]))
            return true;
    for (const char *s = strpbrk(sql, "<>~"); s; s = strpbrk(s + 1, "<>~")) {
        if (s[0] != '<' || s[1] != '>')
            return true;
        s++;
    }
    for (int i = 0; i < f->functions.n; i++)
        if (cat_function_print(&l->p->now, f->functions.items[i].s) != 0)
            return true;
    for (int i = 0; i < f->n_rels; i++) {
        const struct cat_relation *r = is(l, &f->rels[i]);

        if (!r || r->kind == 'v' || r->kind == 'm')
            return true;
    }
    return false;
}

/* Those that somebody made may take for equal what isn't the same; the others are in pg_catalog. */
static bool is_own_collation(const char *name) { return name && strchr(name, '.'); }

static bool sorts_by_another(const struct look *l, const struct cat_column *b,
                             const struct cat_column *n)
{
    return b->type == n->type && !same_text(b->collation, n->collation) &&
           (is_own_collation(b->collation) || is_own_collation(n->collation) || may_order(l));
}

static void look_at_meaning(struct look *l, const struct fact_rel *f)
{
    const struct cat_relation *before = was(l, f), *now = is(l, f);

    if (safe_has(l->p, l->a, l->state, "session-meaning-changed"))
        return;
    for (int i = 0; before && now && i < before->n_columns; i++) {
        const struct cat_column *b = &before->columns[i], *n = cat_column(now, b->name);
        const char *what = NULL;

        if (!n || (!f->star && !f->whole_row && !text_list_has(&l->a->q->facts.columns, b->name)))
            continue;
        if (is_timestamp(b->type_text) && is_timestamp(n->type_text) && b->type != n->type)
            what = arena_printf(
                l->p->a, "\"%s\" was %s and is %s: what it shows goes by the session's TimeZone",
                b->name, b->type_text, n->type_text);
        else if (sorts_by_another(l, b, n))
            what = arena_printf(l->p->a, "\"%s\" is compared and sorted by another collation",
                                b->name);
        else if (text_list_has(&l->a->q->facts.sorts, b->name) && sorts_otherwise(b, n))
            what = arena_printf(l->p->a, "\"%s\" was %s and is %s, which sorts otherwise", b->name,
                                b->type_text, n->type_text);
        if (what)
            add(l, "session-meaning-changed", what,
                "a new column, read by the releases that know what it means");
    }
}

/* ---- a state ------------------------------------------------------------------------------------------------------------ */

const struct timeline_world *world_met(const struct proof *p, const struct app_statement *a,
                                       int state)
{
    for (int i = 0; i < p->t.n_worlds; i++)
        if (p->t.worlds[i].state == state &&
            world_has_release(&p->t, &p->t.worlds[i], a->release) &&
            app_is_possible(p, &p->t.worlds[i], a->s))
            return &p->t.worlds[i];
    return NULL;
}

/* A state that lies in the releases' past: who comes to live later meets what it made all the same. Only those
 * who were there before can be surprised by it. */
void silent_state(struct proof *p, int state)
{
    if (state == 0 || p->t.states[state].by == STATE_RESTORE)
        return;
    cascade_state(p, state);
    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];
        const struct timeline_world *w = world_met(p, a, state);
        struct look l = {p, state, a, w, p->sessions[a->q->session].search_path};

        if (!w || !a->q->facts.parsed || !a->q->fresh[state] ||
            p->t.releases[a->release].is_projected)
            continue;
        for (int k = 0; k < a->q->facts.n_writes; k++) {
            defaults_look(&l, &a->q->facts.writes[k]);
            look_at_places(&l, &a->q->facts.writes[k]);
            look_at_required(&l, &a->q->facts.writes[k]);
            look_at_conflicts(&l, &a->q->facts.writes[k]);
            silent_actions(&l, &a->q->facts.writes[k]);
        }
        look_at_sequences(&l);
        look_at_natural_joins(&l);
        for (int k = 0; k < a->q->facts.n_rels; k++) {
            look_at_swaps(&l, &a->q->facts.rels[k]);
            look_at_rel(&l, &a->q->facts.rels[k]);
            look_at_meaning(&l, &a->q->facts.rels[k]);
        }
        labels_look(&l);
    }
}

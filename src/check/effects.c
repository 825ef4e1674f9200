/* What a write sets off in other tables: rows that triggers and rules write there, and what stands in them, before and
 * after a step that takes one of these away or makes another of it. Somebody who is live reads them.
 */
#include "check/unique.h"
#include "check/work.h"
#include "check/writes.h"

#include "sql_embedded.h"

#include <stdlib.h>

#define VALUES_MAX 32 /* columns of a table that are looked at */
#define UNTIDY " Ab "
#define UNTIDY_LENGTH 8 /* of a column, with what the server counts beside it */
#define OWN_NAME                                                                                   \
    "give what does otherwise a name of its own, and drop the old one in contract, once no live "  \
    "release calls it"

struct values { /* that it sets off in one table */
    unsigned relation;
    const char *sql;
    const char *columns[VALUES_MAX]; /* NULL: not the same twice, which tells nothing */
    int n;
    struct wire_result before;
};

struct effect {
    const struct app_statement *a;
    const struct query *q; /* a's, with the values that it is tried with */
    /* As sql_select_rows_written has them: before the statement, and after it. */
    struct wire_result looks[2];
    struct values *values;
    int n_values;
    /* What its own table holds in the end: the query, and its row before the step. */
    const char *left;
    struct wire_result stands;
};

struct effects {
    struct effect *items;
    int n;
};

/* ---- which steps ------------------------------------------------------------------------------------------ */

/* A copy that takes its name has none of its triggers, and of the rest what it was told to have. */
static bool gives_up_name(const struct step *step, const struct cat_relation *r)
{
    for (int i = 0; i < step->n_stmts; i++)
        if (strcmp(step->stmts[i].kind, "ALTER TABLE RENAME") == 0 &&
            text_list_has(&step->stmts[i].relations, r->name))
            return true;
    return false;
}

static bool may_take_away(struct proof *p, int state)
{
    static const char *const words[] = {"TRIGGER", "RULE", "FUNCTION", "PROCEDURE", "ROUTINE"};
    const struct timeline_state *s = &p->t.states[state];

    if (s->by != STATE_TASK || p->told[state] || lost_skips(p, state) ||
        (s->task->kind != TASK_STEP && s->task->kind != TASK_SOFT_DROP))
        return false;
    for (int i = 0; i < s->task->step->n_stmts; i++)
        if (limits_is_opaque(&s->task->step->stmts[i]))
            return true;
    for (int i = 0; i < s->task->step->n_stmts; i++)
        for (size_t k = 0; k < sizeof words / sizeof *words; k++)
            if (strstr(s->task->step->stmts[i].kind, words[k]))
                return true;
    for (int i = 0; i < p->now.n_relations; i++)
        if (cat_is_table(&p->now.relations[i]) &&
            gives_up_name(s->task->step, &p->now.relations[i]))
            return true;
    return false;
}

/* ---- running ---------------------------------------------------------------------------------------------- */

static bool is_asked(const struct proof *p, const struct app_statement *a, int state)
{
    return a->q->runs && a->q->n_sets > 0 &&
           (a->q->facts.n_writes > 0 || unique_sets_off(p, a->q)) &&
           !p->t.releases[a->release].is_projected && app_is_live_from(p, a, state);
}

/* What it writes is written by the function that it calls, and is what it was called for: whoever reads it. */
static bool only_calls(const struct query *q) { return q->facts.n_writes == 0; }

/* ---- what they read -------------------------------------------------------------------------------------------- */

static int64_t counted(const struct wire_result *r, unsigned relation, enum effect_verb verb)
{
    for (int i = 0; r->ok && i < r->n_rows; i++)
        if (strtoul(r->cell[i][0], NULL, 10) == relation)
            return strtoll(r->cell[i][1 + (int) verb], NULL, 10);
    return 0;
}

/* The server counts on from transaction to transaction, until it finds the time to hand its counts in. */
int64_t effects_rows(const struct wire_result looks[2], unsigned relation, enum effect_verb verb)
{
    return counted(&looks[1], relation, verb) - counted(&looks[0], relation, verb);
}

static bool reads(const struct app_statement *a, const struct fact_rel *rel, const char *column)
{
    const struct statement_facts *f = &a->q->facts;

    if (rel->verb == VERB_INSERT && !column)
        return false;
    if (!column || f->selects_star || rel->star || rel->whole_row)
        return true;
    for (int i = 0; i < f->n_writes; i++)
        if (text_list_has(&f->writes[i].columns, column))
            return false; /* named for that */
    return text_list_has(&f->columns, column);
}

bool effects_are_read(const struct proof *p, const struct catalogue *c,
                      const struct cat_relation *r, const char *column, int state)
{
    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];
        const char *path = p->sessions[a->q->session].search_path;

        if (!app_is_live_from(p, a, state) || p->t.releases[a->release].is_projected)
            continue;
        for (int k = 0; k < a->q->facts.n_rels; k++) {
            const struct fact_rel *rel = &a->q->facts.rels[k];

            if (cat_find(c, path, rel->schema, rel->name) == r && reads(a, rel, column))
                return true;
        }
    }
    return false;
}

/* ---- values ---------------------------------------------------------------------------------------------- */

static bool is_target(const struct proof *p, const struct app_statement *a,
                      const struct cat_relation *r)
{
    const char *path = p->sessions[a->q->session].search_path;

    for (int i = 0; i < a->q->facts.n_writes; i++)
        if (cat_find(&p->now, path, a->q->facts.writes[i].schema, a->q->facts.writes[i].table) == r)
            return true;
    return false;
}

/* What stands in the columns that somebody reads, or in all of them, of the rows that this transaction has written. */
static bool set_values(struct proof *p, int state, const struct cat_relation *r, bool all,
                       struct values *v)
{
    AUTO(str) sql = {0}, table = {0}, name = {0};

    *v = (struct values) {.relation = r->oid};
    sql_qualified(&table, r->schema, r->name);
    for (int i = 0; i < r->n_columns && v->n < VALUES_MAX; i++) {
        if (!all && !effects_are_read(p, &p->now, r, r->columns[i].name, state))
            continue;
        v->columns[v->n++] = arena_strdup(p->scratch, r->columns[i].name);
        str_add(&sql, sql.len ? ", " : "SELECT ");
        str_clear(&name);
        sql_ident(&name, r->columns[i].name);
        str_addf(&sql,
                 "(SELECT pg_catalog.string_agg(COALESCE(%s::pg_catalog.text, 'NULL'), ', ' ORDER "
                 "BY %s::pg_catalog.text COLLATE pg_catalog.\"C\") FROM %s WHERE xmin = "
                 "pg_catalog.pg_current_xact_id()::pg_catalog.xid)",
                 str_text(&name), str_text(&name), str_text(&table));
    }
    v->sql = arena_strdup(p->scratch, str_text(&sql));
    return v->n > 0;
}

static bool has_cells(const struct wire_result *r, const struct values *v)
{
    return r->ok && !r->skipped && r->n_rows == 1 && r->cell && r->n_columns == v->n;
}

static bool same_cell(const struct wire_result *a, const struct wire_result *b, int column)
{
    const char *x = a->cell[0][column], *y = b->cell[0][column];

    return x == y || (x && y && strcmp(x, y) == 0);
}

/* Of its own table: with its own values, in the same table, that is asked by itself (answers.c). */
static bool has_other_rows(const struct proof *p, int state, const struct effect *e,
                           const struct cat_relation *r)
{
    return e->q != e->a->q || gives_up_name(p->t.states[state].task->step, r);
}

/* Asked twice: what counts on, or goes by the clock, is another each time. */
static bool look_at_values(struct proof *p, int state, struct effect *e, struct err *err)
{
    e->values = arena_array(p->scratch, struct values, e->looks[1].n_rows + 1);
    for (int i = 0; i < e->looks[1].n_rows; i++) {
        unsigned oid = (unsigned) strtoul(e->looks[1].cell[i][0], NULL, 10);
        const struct cat_relation *r = cat_by_oid(&p->now, oid);
        struct values *v = &e->values[e->n_values];
        struct wire_result once[2] = {0}, again[2] = {0};

        if (!r || (is_target(p, e->a, r) && !has_other_rows(p, state, e, r)) ||
            !set_values(p, state, r, only_calls(e->q), v))
            continue;
        if (!probe_around(p, e->q, v->sql, once, err) || !probe_around(p, e->q, v->sql, again, err))
            return false;
        if (!has_cells(&once[1], v) || !has_cells(&again[1], v))
            continue;
        for (int k = 0; k < v->n; k++)
            if (!same_cell(&once[1], &again[1], k))
                v->columns[k] = NULL;
        v->before = once[1];
        e->n_values++;
    }
    return true;
}

static void report_values(struct proof *p, const struct effect *e, int state,
                          const struct cat_relation *r, const struct values *v, int column,
                          const struct wire_result *now)
{
    const char *was = v->before.cell[0][column], *is = now->cell[0][column];
    const char *message = arena_printf(
        p->a,
        "the same statement sets off something else than before: \"%s\" of \"%s\"%s becomes %.60s "
        "instead of %.60s",
        v->columns[column], r->name, only_calls(e->q) ? "" : ", which a live release reads,",
        is ? is : "nothing", was ? was : "nothing");
    const char *help =
        only_calls(e->q)
            ? OWN_NAME
            : arena_printf(p->a,
                           "write the other values to a column of their own for as long as a live "
                           "release reads \"%s\"",
                           v->columns[column]);

    finding_of_state(p, e->a, world_met(p, e->a, state), state, "old-path-trigger-effect", message,
                     help)
        ->probe = "X";
}

/* Rows are written there that weren't before: is it another column of them that changes? */
static bool is_left_alone(struct proof *p, const struct effect *e, const struct values *v,
                          const struct cat_relation *r, int column, bool *out, struct err *err)
{
    struct wire_result looks[2] = {0};
    AUTO(str) sql = {0}, name = {0};

    *out = false;
    if (v->before.cell[0][column])
        return true;
    sql_ident(&name, v->columns[column]);
    str_addf(&sql,
             "SELECT pg_catalog.string_agg(COALESCE(%s::pg_catalog.text, 'NULL'), ', ' ORDER BY "
             "%s::pg_catalog.text COLLATE pg_catalog.\"C\") FROM ",
             str_text(&name), str_text(&name));
    sql_qualified(&sql, r->schema, r->name);
    if (!probe_around(p, e->q, str_text(&sql), looks, err))
        return false;
    *out = looks[0].ok && looks[0].n_rows == 1 && looks[1].ok && looks[1].n_rows == 1 &&
           same_cell(&looks[0], &looks[1], 0);
    return true;
}

/* What has its name now: a write finds its table by that. */
static const struct cat_relation *called_so(const struct proof *p, const struct cat_relation *r)
{
    const struct cat_relation *still = cat_by_oid(&p->now, r->oid),
                              *now = cat_find(&p->now, NULL, r->schema, r->name);

    return cat_is_table(now) ? now : still;
}

/* Another type spells its values anew. */
static bool keeps_type(const struct proof *p, const struct cat_relation *before, const char *column)
{
    const struct cat_relation *now = called_so(p, before);
    const struct cat_column *was = cat_column(before, column),
                            *is = now ? cat_column(now, column) : NULL;

    return was && is && strcmp(was->type_text, is->type_text) == 0;
}

/* The same here whenever it's asked? Two dice may have come up alike before the step. */
static bool is_steady(struct proof *p, const struct effect *e, const struct values *v, int column,
                      const struct wire_result *now, bool *out, struct err *err)
{
    *out = true;
    for (int i = 0; i < STEADY_ASKS && *out; i++) {
        struct wire_result again[2] = {0};

        if (!probe_around(p, e->q, v->sql, again, err))
            return false;
        *out = has_cells(&again[1], v) && same_cell(now, &again[1], column);
    }
    return true;
}

/* told: of other values. */
static bool compare_values(struct proof *p, const struct effect *e, int state, bool *told,
                           struct err *err)
{
    for (int i = 0; i < e->n_values && !*told; i++) {
        const struct values *v = &e->values[i];
        const struct cat_relation *r = cat_by_oid(&p->before, v->relation);
        struct wire_result now[2] = {0};
        bool steady = true;

        if (!probe_around(p, e->q, v->sql, now, err))
            return false;
        for (int k = 0; r && k < v->n && !*told && has_cells(&now[1], v); k++) {
            bool same =
                !v->columns[k] || same_cell(&v->before, &now[1], k) ||
                !keeps_type(p, r, v->columns[k]) ||
                !(only_calls(e->q) || effects_are_read(p, &p->before, r, v->columns[k], state));

            if (!same && !is_left_alone(p, e, v, r, k, &same, err))
                return false;
            if (!same && !is_steady(p, e, v, k, &now[1], &steady, err))
                return false;
            if (same || !steady)
                continue;
            report_values(p, e, state, r, v, k, &now[1]);
            *told = true;
        }
    }
    return true;
}

/* ---- a write behind others of its transaction -------------------------------------------------------------------- */

static const struct fact_write *own_write(const struct app_statement *a)
{
    const struct fact_write *w = a->q->facts.n_writes == 1 ? &a->q->facts.writes[0] : NULL;

    return w && a->q->n_before > 0 && (w->verb == VERB_UPDATE || w->verb == VERB_DELETE) ? w : NULL;
}

static const struct cat_relation *own_table(const struct proof *p, const struct catalogue *c,
                                            const struct app_statement *a)
{
    const struct fact_write *w = own_write(a);

    return w ? cat_find(c, p->sessions[a->q->session].search_path, w->schema, w->table) : NULL;
}

/* How many rows there are, and what stands in the columns that it writes. */
static bool look_at_own(struct proof *p, struct effect *e, struct err *err)
{
    const struct cat_relation *r = own_table(p, &p->now, e->a);
    const struct fact_write *w = own_write(e->a);
    struct wire_result looks[2] = {0};
    AUTO(str) sql = {0}, name = {0};

    if (!cat_is_table(r))
        return true;
    str_add(&sql, "SELECT pg_catalog.count(*)");
    for (int i = 0; i < w->columns.n; i++) {
        if (!cat_column(r, w->columns.items[i].s))
            continue;
        str_clear(&name);
        sql_ident(&name, w->columns.items[i].s);
        str_addf(&sql,
                 ", pg_catalog.string_agg(%s::pg_catalog.text, ', ' ORDER BY %s::pg_catalog.text "
                 "COLLATE pg_catalog.\"C\")",
                 str_text(&name), str_text(&name));
    }
    str_add(&sql, " FROM ");
    sql_qualified(&sql, r->schema, r->name);
    if (!probe_around(p, e->q, str_text(&sql), looks, err))
        return false;
    if (looks[1].ok && looks[1].n_rows == 1) {
        e->left = arena_strdup(p->scratch, str_text(&sql));
        e->stands = looks[1];
    }
    return true;
}

static bool is_fired_on(const struct proof *p, const struct query *q)
{
    const char *path = p->sessions[q->session].search_path;

    for (int i = 0; i < q->facts.n_writes; i++) {
        const struct cat_relation *r =
            cat_find(&p->now, path, q->facts.writes[i].schema, q->facts.writes[i].table);
        if (r && r->n_triggers > 0)
            return true;
    }
    return false;
}

/* With texts that a trigger would put in order: letters of both kinds, blanks around them. NULL: it writes none. */
static const struct query *with_untidy_texts(struct proof *p, const struct query *q)
{
    struct query *out = arena_new(p->scratch, struct query);
    struct arg_set *set = arena_new(p->scratch, struct arg_set);
    bool any = false;

    *out = *q;
    *set = q->sets[0];
    set->values = arena_array(p->scratch, const char *, set->n + 1);
    for (int i = 0; i < set->n; i++) {
        const struct cat_relation *r;
        bool is_written, by_insert;
        const struct cat_column *c = args_column(p, q, i + 1, &r, &is_written, &by_insert);
        bool has_place = c && is_written && c->category == 'S' && c->kind != 'd' &&
                         (c->typmod < 0 || c->typmod >= UNTIDY_LENGTH);

        set->values[i] = has_place ? UNTIDY : q->sets[0].values[i];
        any |= has_place;
    }
    out->sets = set;
    out->n_sets = 1;
    return any ? out : NULL;
}

/* Adds what the statement sets off, where it runs with these values. */
static bool look_at_effect(struct proof *p, int state, struct effects *l,
                           const struct app_statement *a, const struct query *q, struct err *err)
{
    struct effect *e = &l->items[l->n];

    *e = (struct effect) {.a = a, .q = q};
    if (!probe_around(p, q, sql_select_rows_written, e->looks, err))
        return false;
    if (!e->looks[1].ok || e->looks[1].n_rows == 0)
        return true;
    if (!look_at_values(p, state, e, err) || !look_at_own(p, e, err))
        return false;
    l->n++;
    return true;
}

bool effects_before(struct proof *p, int state, struct effects **out, struct err *err)
{
    *out = NULL;
    if (!may_take_away(p, state))
        return true;
    struct effects *l = arena_new(p->scratch, struct effects);
    l->items = arena_array(p->scratch, struct effect, 2 * p->n_app + 1);
    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];

        if (!is_asked(p, a, state))
            continue;
        if (!look_at_effect(p, state, l, a, a->q, err))
            return false;
        const struct query *untidy = is_fired_on(p, a->q) ? with_untidy_texts(p, a->q) : NULL;
        if (untidy && !look_at_effect(p, state, l, a, untidy, err))
            return false;
    }
    *out = l;
    return true;
}

/* ---- findings ----------------------------------------------------------------------------------------------- */

static void report(struct proof *p, const struct effect *e, int state, const struct cat_relation *r,
                   int verb, bool more)
{
    static const char *const words[EFFECT_VERBS] = {"written to", "changed in", "deleted from"};
    const char *message =
        arena_printf(p->a, "the same statement sets off %s than before: %s %s \"%s\" with it%s",
                     more ? "more" : "less", more ? "more rows are" : "no row, or fewer, is",
                     words[verb], r->name, only_calls(e->q) ? "" : ", which a live release reads");
    const char *help =
        only_calls(e->q)
            ? OWN_NAME
            : arena_printf(
                  p->a,
                  "let it go once no live release writes here by the old path, or reads \"%s\"",
                  r->name);

    finding_of_state(p, e->a, world_met(p, e->a, state), state, "old-path-trigger-effect", message,
                     help)
        ->probe = "X";
}

/* Rows of a partitioned one are counted where they lie. */
static int64_t rows_within(const struct catalogue *c, const struct cat_relation *r,
                           const struct wire_result looks[2], enum effect_verb verb, int depth)
{
    int64_t n = effects_rows(looks, r->oid, verb);

    for (int i = 0; r->kind == 'p' && depth < 8 && i < r->n_reaches; i++) {
        const struct cat_relation *part = cat_by_oid(c, r->reaches[i]);

        n += part ? rows_within(c, part, looks, verb, depth + 1) : 0;
    }
    return n;
}

/* True: told. */
static bool compare(struct proof *p, const struct effect *e, const struct wire_result now[2],
                    int state)
{
    for (int i = 0; i < e->looks[1].n_rows; i++) {
        unsigned relation = (unsigned) strtoul(e->looks[1].cell[i][0], NULL, 10);
        const struct cat_relation *r = cat_by_oid(&p->before, relation);
        const struct cat_relation *is = r ? called_so(p, r) : NULL;

        for (int v = 0; r && v < EFFECT_VERBS; v++) {
            int64_t then = effects_rows(e->looks, relation, (enum effect_verb) v),
                    rows = is ? rows_within(&p->now, is, now, (enum effect_verb) v, 0) : 0;
            bool more = only_calls(e->q) && v != EFFECT_INSERTED && rows > then && then > 0;

            if ((rows < then || more) &&
                (only_calls(e->q) || effects_are_read(p, &p->before, r, NULL, state))) {
                report(p, e, state, r, v, more);
                return true;
            }
        }
    }
    return false;
}

/* By itself it finds its row, and behind the others of its transaction it no longer does: what they set off has made
 * another of it. Where the row ends as the write would have left it, nothing is lost. */
static bool is_left_without(struct proof *p, const struct effect *e,
                            const struct wire_result now[2], bool *out, struct err *err)
{
    const struct cat_relation *r = own_table(p, &p->before, e->a);
    struct query alone = *e->q;
    struct wire_result looks[2] = {0}, ends[2] = {0};
    int verb = r && own_write(e->a)->verb == VERB_DELETE ? EFFECT_DELETED : EFFECT_UPDATED;

    *out = false;
    if (!r || !e->left || effects_rows(e->looks, r->oid, verb) == 0 ||
        effects_rows(now, r->oid, verb) > 0)
        return true;
    alone.n_before = 0;
    if (!probe_around(p, &alone, sql_select_rows_written, looks, err) ||
        !probe_around(p, e->q, e->left, ends, err))
        return false;
    if (!looks[1].ok || effects_rows(looks, r->oid, verb) == 0 || !ends[1].ok ||
        ends[1].n_rows != 1)
        return true;
    for (int i = 0; i < ends[1].n_columns; i++)
        *out |= !same_cell(&e->stands, &ends[1], i);
    return true;
}

static void report_left(struct proof *p, const struct effect *e, int state)
{
    const char *name = own_table(p, &p->before, e->a)->name;
    struct finding *f = finding_of_state(
        p, e->a, world_met(p, e->a, state), state, "old-path-trigger-effect",
        arena_printf(
            p->a,
            "behind the statements before it in its transaction it no longer finds its row "
            "of \"%s\": what they set off now has changed that, and the write is lost",
            name),
        arena_printf(
            p->a,
            "write to a table of its own for as long as a live release does this, or leave "
            "alone what its condition asks \"%s\" for",
            name));

    f->probe = "X";
    f->severity = SEVERITY_ERROR; /* it was seen */
}

/* told: of what fails is told elsewhere. */
static bool compare_effect(struct proof *p, const struct effect *e, int state, bool *told,
                           struct err *err)
{
    struct wire_result now[2] = {0};
    bool is_lost = false;

    if (!probe_around(p, e->q, sql_select_rows_written, now, err) ||
        (now[1].ok && !is_left_without(p, e, now, &is_lost, err)))
        return false;
    if (is_lost)
        report_left(p, e, state);
    *told = is_lost || !now[1].ok || compare(p, e, now, state);
    return *told || compare_values(p, e, state, told, err);
}

bool effects_after(struct proof *p, int state, const struct effects *l, struct err *err)
{
    enum severity severity = rule_find("old-path-trigger-effect")->severity;
    const struct app_statement *told_of = NULL;

    for (int i = 0; l && i < l->n; i++) {
        const struct app_statement *a = l->items[i].a;
        bool told = false;

        /* Who doesn't come to write sets nothing off: that is told of. */
        if (a == told_of || !world_met(p, a, state) || limited_has(p, a, state, severity))
            continue;
        if (!compare_effect(p, &l->items[i], state, &told, err))
            return false;
        if (told)
            told_of = a;
    }
    return true;
}

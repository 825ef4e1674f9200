/* Two calls of a statement whose rows may have the same key, in a transaction that is taken back: as the table is, and
 * without the index. What differs is the index's doing.
 */
#include "check/limits.h"
#include "check/synced.h"
#include "check/unique.h"
#include "check/writes.h"

#include <ctype.h>
#include <stdlib.h>

#define PARAMS 8
#define NAMED 3
#define CALL_OPS (14 + PRELUDES)

/* ---- without it --------------------------------------------------------------------------------------------- */

const char *unique_drop_sql(struct proof *p, const struct cat_relation *r,
                            const struct cat_index *index)
{
    AUTO(str) sql = {0};
    bool is_constraint = false;

    for (int i = 0; i < r->n_constraints; i++)
        is_constraint |= strchr("pux", r->constraints[i].type) &&
                         strcmp(r->constraints[i].name, index->name) == 0;
    if (is_constraint) {
        str_add(&sql, "ALTER TABLE ");
        sql_qualified(&sql, r->schema, r->name);
        str_add(&sql, " DROP CONSTRAINT ");
        sql_ident(&sql, index->name);
    } else {
        str_add(&sql, "DROP INDEX ");
        sql_qualified(&sql, r->schema, index->name);
    }
    str_add(&sql, " CASCADE");
    return arena_strdup(p->scratch, str_text(&sql));
}

/* Whatever keeps rows apart by something else than the key; beside an expression that is any other. */
static bool is_else(const struct key *k, const struct cat_index *index)
{
    bool within = !index_has_column(index, 0) && !index_has_column(k->index, 0);

    for (int c = 0; within && c < k->r->n_columns; c++)
        within = !index_has_column(index, k->r->columns[c].number) ||
                 unique_has_column(k, &k->r->columns[c]);
    return index->is_unique && !within;
}

static void add_drops(struct proof *p, struct ops *o, const struct key *k, enum without without)
{
    if (without != NOTHING)
        ops_add(o, unique_drop_sql(p, k->r, k->index), NULL, false, false);
    for (int i = 0; without == WHATEVER_ELSE && i < k->r->n_indexes; i++)
        if (&k->r->indexes[i] != k->index && is_else(k, &k->r->indexes[i]))
            ops_add(o, unique_drop_sql(p, k->r, &k->r->indexes[i]), NULL, false, false);
}

/* ---- running ------------------------------------------------------------------------------------------------- */

int unique_call(struct ops *o, const struct query *q, const struct arg_set *set)
{
    int own = ops_add(o, q->sql, set, false, false);

    o->op[own].types = q->types;
    o->op[own].n_types = q->types ? q->s->types.n : 0;
    return own;
}

bool unique_can_call(const struct query *q)
{
    return q->runs && q->n_sets > 0 && !q->is_stand_in && !q->gave_up;
}

void unique_before(struct ops *o, const struct query *q)
{
    for (int i = 0; i < q->n_before; i++)
        if (q->before[i]->runs && q->before[i]->n_sets > 0)
            unique_call(o, q->before[i], &q->before[i]->sets[0]);
    if (q->clears)
        ops_add(o, q->clears, NULL, false, false);
}

int unique_room(const struct query *q, const struct key *k)
{
    return 8 + q->n_before + k->r->n_indexes;
}

void unique_begin(struct proof *p, struct ops *o, const struct query *q, const struct key *k,
                  enum without without)
{
    const char *path = p->sessions[q->session].search_path;

    ops_add(o, "BEGIN", NULL, false, false);
    ops_add(o, "SET LOCAL statement_timeout = '2s'", NULL, false, false);
    ops_add(o, arena_printf(p->scratch, "SET LOCAL search_path = %s", path ? path : "public"), NULL,
            false, false);
    add_drops(p, o, k, without);
    unique_before(o, q);
}

bool unique_run(struct proof *p, struct ops *o, struct wire_result *r, struct err *err)
{
    ops_add(o, "ROLLBACK", NULL, false, true);
    ops_add(o, "SELECT pg_catalog.pg_advisory_unlock_all()", NULL, false, true);
    if (!wire_run(p->owner, p->scratch, o->op, o->n, r, err))
        return lost_note(p, o->op, o->n, r);
    /* What it was told of the index's going is no step's. */
    wire_notices(p->owner, p->scratch, &(struct text_list) {0});
    return true;
}

static int64_t count_in(const struct wire_result *r)
{
    return r->ok && r->n_rows == 1 ? strtoll(r->cell[0][0], NULL, 10) : 0;
}

/* Where they stand. */
struct places {
    int first, counts[2], second, last;
};

static const char *become_sql(struct proof *p, const char *role)
{
    AUTO(str) sql = {0};

    str_add(&sql, "SET LOCAL ROLE ");
    sql_ident(&sql, role);
    return arena_strdup(p->scratch, str_text(&sql));
}

static bool takes_away(const struct proof *p, const struct query *b, const struct key *k)
{
    const char *path = p->sessions[b->session].search_path;

    for (int i = 0; i < b->facts.n_writes; i++) {
        const struct fact_write *w = &b->facts.writes[i];

        if (w->verb != VERB_INSERT && cat_find(&p->now, path, w->schema, w->table) == k->r)
            return b->runs && b->n_sets > 0;
    }
    return false;
}

/* The next transaction begins with what comes before the statement, too: it may make room for the row. Of that only what
 * takes rows away, or changes them: what else it writes it has written already. */
static void make_room(struct proof *p, struct ops *o, const struct query *q, const struct key *k,
                      const struct arg_set *set)
{
    struct query again = *q;

    limits_share(p, &again, set->values);
    for (int i = 0; i < again.n_before; i++)
        if (takes_away(p, again.before[i], k))
            unique_call(o, again.before[i], &again.before[i]->sets[0]);
}

static int call_as(struct proof *p, struct ops *o, const struct query *q, const struct key *k,
                   const struct calls *c, int nth)
{
    if (c->roles[nth])
        ops_add(o, become_sql(p, c->roles[nth]), NULL, false, false);
    if (nth > 0)
        make_room(p, o, q, k, &c->sets[nth]);
    int own = unique_call(o, q, &c->sets[nth]);
    if (c->roles[nth])
        ops_add(o, "SET LOCAL ROLE NONE", NULL, false, false);
    return own;
}

static struct places add_calls(struct proof *p, struct ops *o, const struct query *q,
                               const struct key *k, const struct calls *c, const char *count)
{
    struct places at;

    ops_add(o, "SAVEPOINT phasegate_q", NULL, false, false);
    for (int i = 0; i < PRELUDES; i++)
        if (c->preludes[i])
            ops_add(o, c->preludes[i], NULL, false, false);
    at.first = call_as(p, o, q, k, c, 0);
    if (c->between)
        ops_add(o, c->between, NULL, false, false);
    at.counts[0] = ops_add(o, count, NULL, true, false);
    at.second = call_as(p, o, q, k, c, 1);
    at.counts[1] = ops_add(o, count, NULL, true, false);
    at.last = ops_add(o, "SET CONSTRAINTS ALL IMMEDIATE", NULL, false, true);
    ops_add(o, "ROLLBACK TO SAVEPOINT phasegate_q", NULL, false, true);
    return at;
}

static struct outcome_twice outcome_of(struct proof *p, const struct wire_result *r,
                                       const struct places *at)
{
    struct outcome_twice out = {.ok = r[at->last].ok && !r[at->last].skipped,
                                .second = r[at->counts[0]].ok && !r[at->counts[0]].skipped,
                                .first = r[at->first].affected,
                                .rows = r[at->second].affected,
                                .grown = count_in(&r[at->counts[1]]) - count_in(&r[at->counts[0]])};

    for (int i = at->first; i <= at->last && !out.error; i++)
        if (!r[i].ok && !r[i].skipped) {
            out.state = arena_strdup(p->scratch, r[i].sqlstate);
            out.error = r[i].message ? arena_strdup(p->a, r[i].message) : "";
        }
    return out;
}

/* Each of them over the rows as they are. */
bool unique_run_calls(struct proof *p, const struct app_statement *a, const struct key *k,
                      const struct calls *calls, int n, enum without without,
                      struct outcome_twice *out, struct err *err)
{
    const struct query *q = a->q;
    int room = unique_room(q, k) + (CALL_OPS + q->n_before) * n;
    struct ops o = {arena_array(p->scratch, struct wire_op, room), 0};
    struct wire_result *r = arena_array(p->scratch, struct wire_result, room);
    struct places *at = arena_array(p->scratch, struct places, n);
    AUTO(str) count = {0};

    str_add(&count, "SELECT pg_catalog.count(*) FROM ");
    sql_qualified(&count, k->r->schema, k->r->name);
    unique_begin(p, &o, q, k, without);
    for (int i = 0; i < n; i++)
        at[i] = add_calls(p, &o, q, k, &calls[i], str_text(&count));
    if (!unique_run(p, &o, r, err))
        return false;
    for (int i = 0; i < n; i++)
        out[i] = outcome_of(p, r, &at[i]);
    return true;
}

/* ---- what differs ----------------------------------------------------------------------------------------------- */

static bool is_refusal(const struct outcome_twice *t, bool from_first)
{
    return !t->ok && (t->second || from_first) && t->state &&
           (strcmp(t->state, "23505") == 0 || strcmp(t->state, "23P01") == 0);
}

bool unique_try_calls(struct proof *p, const struct app_statement *a, const struct key *k,
                      const struct calls *calls, int n, int *which, struct outcome_twice *with,
                      struct err *err)
{
    struct outcome_twice *without = arena_array(p->scratch, struct outcome_twice, n),
                         *all = arena_array(p->scratch, struct outcome_twice, n);

    *which = -1;
    if (a->q->gave_up || shadow_is_late(p->shadow) || unique_is_spent(a, k, n))
        return true;
    if (!unique_run_calls(p, a, k, calls, n, THE_INDEX, without, err))
        return false;
    bool any = false;
    for (int i = 0; i < n; i++)
        any |= without[i].ok;
    if (!any)
        return true;
    if (!unique_run_calls(p, a, k, calls, n, NOTHING, all, err))
        return false;
    for (int i = 0; i < n && *which < 0; i++) {
        all[i].left_out =
            all[i].ok && (all[i].rows < without[i].rows || all[i].grown < without[i].grown ||
                          (calls[i].from_first && all[i].first < without[i].first));
        if (without[i].ok && (all[i].left_out || is_refusal(&all[i], calls[i].from_first))) {
            *which = i;
            *with = all[i];
        }
    }
    return true;
}

/* ---- it collides ------------------------------------------------------------------------------------------------- */

static bool is_target(const struct proof *p, const struct query *q, const struct cat_relation *r)
{
    const char *path = p->sessions[q->session].search_path;

    for (int i = 0; i < q->facts.n_writes; i++)
        if (written_table(p, cat_find(&p->now, path, q->facts.writes[i].schema,
                                      q->facts.writes[i].table)) == r)
            return true;
    return false;
}

static void set_collision(struct proof *p, int which, int n, const struct outcome_twice *with,
                          struct collision *out)
{
    out->is_found = which >= 0;
    if (!out->is_found)
        return;
    out->error = with->left_out ? NULL : with->error;
    which -= which > 2 * n ? 2 * n : 0; /* the other way round */
    out->how = which == 0   ? "the same values"
               : which <= n ? arena_printf(p->a, "another $%d", which)
                            : arena_printf(p->a, "nothing the same but $%d", which - n);
}

/* The same call again, another one in each parameter, another one in all but it; behind a prelude these in turn. */
static bool try_others(struct proof *p, const struct app_statement *a, const struct key *k,
                       const struct calls *own, const char *const *others, struct collision *out,
                       struct err *err)
{
    int n = own->sets[0].n < PARAMS ? own->sets[0].n : PARAMS, which;
    struct calls calls[1 + 4 * PARAMS];
    struct outcome_twice with = {0};
    /* Of rows that come and go in one call it matters which one is met first. */
    int turned = own->preludes[0] ? 2 * n : 0;

    for (int t = 0; t <= 2 * n; t++) {
        bool but = t > n;

        calls[t] = (struct calls) {.sets = {own->sets[0], unique_copy(p, &own->sets[1])},
                                   .preludes = {own->preludes[0]}};
        for (int i = 0; i < n; i++)
            if (t > 0 && (i == (t - 1) % n) != but && others[i])
                calls[t].sets[1].values[i] = others[i];
    }
    for (int t = 1; t <= turned; t++)
        calls[2 * n + t] = (struct calls) {.sets = {calls[t].sets[1], own->sets[0]},
                                           .preludes = {own->preludes[0]}};
    if (!unique_try_calls(p, a, k, calls, 1 + 2 * n + turned, &which, &with, err))
        return false;
    set_collision(p, which, n, &with, out);
    return true;
}

/* With values that no row of ours has, and with those of the other one; behind a prelude, which is for rows that there are,
 * with those alone. */
static bool try_params(struct proof *p, const struct app_statement *a, const struct key *k,
                       const struct arg_set *own, const char *prelude, struct collision *out,
                       struct err *err)
{
    const struct calls pair = {.sets = {*own, *own}, .preludes = {prelude}};
    const char *others[PARAMS] = {NULL}, *ours[PARAMS] = {NULL};
    bool any = false;

    for (int i = 0; i < own->n && i < PARAMS; i++) {
        others[i] = unique_other_value(p, a->q, i + 1, own->values[i], UNIQUE_OTHER);
        ours[i] = unique_other_value(p, a->q, i + 1, own->values[i], 0);
        any |= ours[i] && (prelude || !others[i] || strcmp(ours[i], others[i]) != 0);
        ours[i] = ours[i] ? ours[i] : others[i];
    }
    return ((prelude && any) || try_others(p, a, k, &pair, others, out, err)) &&
           (!any || out->is_found || try_others(p, a, k, &pair, ours, out, err));
}

/* Rows that have the same key outside of a partial index, and what its condition names, for each parameter. */
static bool try_moves(struct proof *p, const struct app_statement *a, const struct key *k,
                      struct collision *out, struct err *err)
{
    const struct arg_set *own = &a->q->sets[0];
    const char *values[NAMED];
    int n = unique_named(p, k, values, NAMED), params = own->n < PARAMS ? own->n : PARAMS;

    for (int is_out = 0; is_out < 2 && !out->is_found; is_out++) {
        const char *prelude = unique_alike_sql(p, k, is_out);

        if (prelude && !try_params(p, a, k, own, prelude, out, err))
            return false;
        for (int i = 0; prelude && i < params * n && !out->is_found; i++) {
            struct arg_set set = unique_copy(p, own);

            set.values[i / n] = values[i % n];
            if (!try_params(p, a, k, &set, prelude, out, err))
                return false;
        }
    }
    return true;
}

bool unique_collides(struct proof *p, const struct app_statement *a, const struct key *k,
                     struct collision *out, struct err *err)
{
    const struct query *q = a->q;
    struct calls *calls = arena_array(p->scratch, struct calls, q->n_sets + 1);
    bool any = false, given = q->n_sets > 1;
    struct outcome_twice with = {0};
    int which = -1;

    *out = (struct collision) {0};
    if (!unique_can_call(q))
        return true;
    if (!unique_reaches(p, a, k, &any, err))
        return false;
    if (!any)
        return true;
    for (int i = 0; i < q->n_sets; i++)
        given &= q->sets[i].is_given;
    for (int i = 1; given && i < q->n_sets; i++)
        calls[i - 1] = (struct calls) {.sets = {q->sets[0], q->sets[i]}};
    if (given && !unique_try_calls(p, a, k, calls, q->n_sets - 1, &which, &with, err))
        return false;
    if (which >= 0)
        *out = (struct collision) {
            true, false, "the next row of its -- args:", with.left_out ? NULL : with.error};
    if (out->is_found)
        return true;
    out->is_made_up = given;
    return try_params(p, a, k, &q->sets[0], NULL, out, err) &&
           (out->is_found || is_target(p, q, k->r) || try_moves(p, a, k, out, err));
}

/* ---- rows that it takes in ------------------------------------------------------------------------------------------ */

/* The same call for the other row: what rows are found by is another. */
static struct calls for_other_row(struct proof *p, const struct query *q, const struct arg_set *own)
{
    struct calls calls = {.sets = {*own, unique_copy(p, own)}};

    for (int i = 0; i < own->n; i++) {
        const struct cat_relation *r = NULL;
        bool is_written = false, by_insert = false;
        const struct cat_column *c = args_column(p, q, i + 1, &r, &is_written, &by_insert);
        const char *v =
            c && !is_written ? unique_other_value(p, q, i + 1, own->values[i], 0) : NULL;

        calls.sets[1].values[i] = v ? v : own->values[i];
    }
    return calls;
}

/* Where both rows have the same key it leaves the second one alone, and else it doesn't. */
static bool is_choosy(struct proof *p, const struct app_statement *a, const struct key *k,
                      const struct arg_set *own, const char *alike, bool *out, struct err *err)
{
    struct calls calls[2] = {for_other_row(p, a->q, own), for_other_row(p, a->q, own)};
    struct outcome_twice with[2] = {0};

    calls[0].preludes[0] = alike;
    if (unique_is_spent(a, k, 2))
        return true;
    if (!unique_run_calls(p, a, k, calls, 2, THE_INDEX, with, err))
        return false;
    *out |= with[0].ok && with[1].ok && with[0].first > 0 && with[0].rows == 0 &&
            with[1].first > 0 && with[1].rows > 0;
    return true;
}

/* What comes before it in its transaction takes the other row of the same key out of the way. */
static bool has_room(struct proof *p, const struct app_statement *a, const struct key *k,
                     const struct arg_set *own, bool *out, struct err *err)
{
    bool any = false;

    for (int i = 0; i < a->q->n_before; i++)
        any |= takes_away(p, a->q->before[i], k);
    for (int is_out = 0; any && !*out && is_out < 2; is_out++) {
        const char *alike = unique_alike_sql(p, k, is_out);
        struct calls calls = for_other_row(p, a->q, own);
        struct outcome_twice with = {0};

        for (int i = 0; i < own->n; i++) {
            const struct cat_relation *r = NULL;
            const struct cat_column *c = args_compared(p, a->q, i + 1, &r);
            if (c && r == k->r && unique_has_column(k, c))
                calls.sets[1].values[i] = own->values[i];
        }
        calls.preludes[0] = alike;
        if (!alike || unique_is_spent(a, k, 1))
            return true;
        if (!unique_run_calls(p, a, k, &calls, 1, NOTHING, &with, err))
            return false;
        *out = with.ok && with.first > 0 && with.rows > 0;
    }
    return true;
}

bool unique_moves_apart(struct proof *p, const struct app_statement *a, const struct key *k,
                        bool *out, struct err *err)
{
    const struct arg_set *own = a->q->n_sets > 0 ? &a->q->sets[0] : NULL;
    const char *values[NAMED], *alike = unique_alike_sql(p, k, false);
    int n = unique_named(p, k, values, NAMED);
    struct collision met = {0};

    *out = false;
    if (!own || !a->q->runs || !alike)
        return true;
    if (!is_choosy(p, a, k, own, alike, out, err) || !has_room(p, a, k, own, out, err))
        return false;
    for (int i = 0; i < (own->n < PARAMS ? own->n : PARAMS) * n; i++) {
        struct arg_set set = unique_copy(p, own);

        set.values[i / n] = values[i % n];
        if (!is_choosy(p, a, k, &set, alike, out, err))
            return false;
    }
    if (*out && !try_moves(p, a, k, &met, err))
        return false;
    *out &= !met.is_found;
    return true;
}

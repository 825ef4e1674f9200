/* An INSERT that adds no row where one is there. That it looks is seen when the same row is to go in twice; that it looks
 * for what goes in isn't: so it's run for rows that come to the same key by other values, by another table's rows that are
 * alike, and beside a row that was changed since, or that somebody else has made.
 */
#include "check/seed.h"
#include "check/synced.h"
#include "check/unique.h"
#include "check/words.h"
#include "check/writes.h"

#include <ctype.h>

#define NO_SUCH_TARGET "42P10" /* of ON CONFLICT: no unique index is the one that it names */
#define FIRST 20               /* variants on, for the first call */
#define BATCH 40
#define SETS 16   /* of the author's rows */
#define SOURCES 4 /* tables */
#define ALIKE 24  /* columns of them */
#define HIDING 6  /* columns that policies name */
#define CHANGED 8 /* columns that the statement names and doesn't fill */
#define ROWS 4    /* of a table, by which others of its rows are asked for */

struct looker { /* a statement that looks first */
    struct proof *p;
    const struct app_statement *a;
    const struct key *k;
    const struct plan *through;
    struct calls basis; /* of which the second makes no row, as it is seen to look */
    struct calls *more; /* that may come to the same key */
    int n;
};

/* ---- the same row twice --------------------------------------------------------------------------------------- */

/* Does it go into the table, beside the key? keys: into another one. */
static bool is_beside(const struct looker *l, const struct plan *through, int param, bool keys)
{
    const struct key *k = l->k;
    const struct cat_relation *r = NULL;
    bool is_written = false, by_insert = false;
    const struct cat_column *c = args_column(l->p, l->a->q, param, &r, &is_written, &by_insert);
    const struct cat_column *own =
        c && is_written && written_table(l->p, r) == k->r ? cat_column(k->r, c->name) : NULL;

    return own && !unique_has_column(k, own) && !(through && sync_reads(through, own->name)) &&
           (!keys || cat_is_in_key(k->r, own));
}

/* How many of them are other ones. */
static int vary_beside(const struct looker *l, bool keys, int variant, struct arg_set *set)
{
    int n = 0;

    for (int i = 0; i < set->n; i++) {
        const char *v = is_beside(l, l->through, i + 1, keys)
                            ? unique_other_value(l->p, l->a->q, i + 1, set->values[i], variant)
                            : NULL;
        if (v)
            set->values[i] = v;
        n += v != NULL;
    }
    return n;
}

/* known: the first call makes a row, or meets it, and the second may be asked what it does then. */
static bool is_kept_by(const struct looker *l, const struct calls *pair, bool *known, bool *out,
                       struct err *err)
{
    struct outcome_twice with = {0}, bare = {0};

    if (!unique_run_calls(l->p, l->a, l->k, pair, 1, WHATEVER_ELSE, &bare, err))
        return false;
    if (!bare.ok || bare.first == 0)
        return true;
    if (!unique_run_calls(l->p, l->a, l->k, pair, 1, NOTHING, &with, err))
        return false;
    /* A second row that nobody minds has another key: a parameter goes beside the key, and into it. */
    if (with.ok && with.grown > 0 && with.grown == bare.grown)
        return true;
    *known = !with.ok || with.first > 0;
    *out = *known && with.ok && bare.grown == 0 && with.grown == 0 && with.rows == bare.rows;
    return true;
}

/* Its own row, or one with other keys where that is there already; another one in all else, or in keys. */
static bool find_basis(struct looker *l, const char *prelude, bool *known, bool *out,
                       struct err *err)
{
    const struct query *q = l->a->q;

    for (int i = 0; i < 4 * q->n_sets && i < 4 * SETS && !*known; i++) {
        const struct arg_set *own = &q->sets[i / 4];
        struct calls pair = {.sets = {unique_copy(l->p, own), unique_copy(l->p, own)},
                             .preludes = {prelude}};

        vary_beside(l, i % 2, UNIQUE_OTHER, &pair.sets[1]);
        if (i % 4 >= 2 && vary_beside(l, i % 2, UNIQUE_OTHER + FIRST, &pair.sets[0]) == 0)
            continue;
        if (!is_kept_by(l, &pair, known, out, err))
            return false;
        l->basis = pair;
    }
    return true;
}

static struct calls *add(struct looker *l)
{
    l->more = arena_more(l->p->scratch, l->more, sizeof *l->more, l->n);
    l->more[l->n] = (struct calls) {
        .sets = {unique_copy(l->p, &l->basis.sets[0]), unique_copy(l->p, &l->basis.sets[1])},
        .preludes = {l->basis.preludes[0]}};
    return &l->more[l->n++];
}

/* ---- other values that come to the same key ------------------------------------------------------------------- */

/* It goes beside the key, and the basis has shown that another one makes no other key. */
static bool is_varied(const struct looker *l, int i)
{
    const char *one = l->basis.sets[0].values[i], *other = l->basis.sets[1].values[i];

    return one && other && strcmp(one, other) != 0;
}

static void add_pair(struct looker *l, int i, const char *one, const char *other)
{
    struct calls *c = add(l);

    if (one)
        c->sets[0].values[i] = one;
    c->sets[1].values[i] = other;
}

/* What an expression, or a collation, may take for the same; "(,)": what every range meets. */
static void add_spelt(struct looker *l, int i, const char *value)
{
    char *upper = arena_strdup(l->p->scratch, value), *lower = arena_strdup(l->p->scratch, value),
         *last = arena_strdup(l->p->scratch, value);
    size_t n = strlen(value);

    for (char *c = upper; *c; c++)
        *c = (char) toupper((unsigned char) *c);
    for (char *c = lower; *c; c++)
        *c = (char) tolower((unsigned char) *c);
    if (n > 0)
        last[n - 1] = last[n - 1] == '1' ? '2' : '1';
    const char *const all[] = {upper,
                               lower,
                               arena_printf(l->p->scratch, "%s ", value),
                               arena_printf(l->p->scratch, " %s", value),
                               "(,)",
                               last,
                               arena_printf(l->p->scratch, "-%s", value),
                               arena_printf(l->p->scratch, "%s.2", value),
                               arena_printf(l->p->scratch, "y%s", value)};
    for (size_t v = 0; v < sizeof all / sizeof *all; v++)
        add_pair(l, i, NULL, all[v]);
}

/* What functions of numbers, times, texts and documents make the same of. Whatever the type takes. */
static void add_alike(struct looker *l, int i)
{
    static const char *const pairs[][2] = {
        {"120", "-120"},
        {"120", "121"},
        {"120", "5040120"},
        {"120.2", "120.4"},
        {"2031-05-05 10:11:12.2", "2031-05-05 10:11:12.4"},
        {"2031-05-05 10:11:12", "2031-05-05 10:11:42"},
        {"2031-05-05 10:11:12", "2031-05-05 10:41:12"},
        {"2031-05-05 10:11:12", "2031-05-05 20:11:12"},
        {"2031-05-05 10:11:12", "2031-05-25 10:11:12"},
        {"2031-05-05 10:11:12", "2031-11-05 10:11:12"},
        {"yyyyyyyyyyyyyyyyyyyyyyyy", "yyyyyyyyyyyyyyyyyyyyyyyyz"},
        {"yyyyyyyyyyyyyyyyyyyyyyyy", "zyyyyyyyyyyyyyyyyyyyyyyyy"},
        {"y@y.yy", "z@y.yy"},
        {"yy", "y-y"},
        {"{\"y\": 1}", "{\"y\": 2}"},
        {"{y}", "{y,y}"},
        {"{120}", "{120,120}"},
        {"false", "true"},
    };

    for (size_t v = 0; v < sizeof pairs / sizeof *pairs; v++)
        add_pair(l, i, pairs[v][0], pairs[v][1]);
}

static const char *other_value(const struct looker *l, int i, int variant)
{
    const char *own = l->basis.sets[1].values[i];

    return unique_other_value(l->p, l->a->q, i + 1, own, variant);
}

static void add_values(struct looker *l)
{
    for (int i = 0; i < l->basis.sets[0].n; i++) {
        const char *value = l->basis.sets[0].values[i];

        if (!value || is_varied(l, i))
            continue;
        add_spelt(l, i, value);
        add_alike(l, i);
        for (int v = 0; v <= UNIQUE_OTHER; v += UNIQUE_OTHER)
            if (other_value(l, i, v))
                add_pair(l, i, NULL, other_value(l, i, v));
    }
}

/* ---- rows of other tables that are alike ------------------------------------------------------------------------ */

static bool is_unique_column(const struct cat_relation *r, const struct cat_column *c)
{
    bool any = c->is_generated || c->is_identity || cat_is_in_key(r, c);

    for (int i = 0; i < r->n_indexes; i++)
        any |= r->indexes[i].is_unique && index_has_column(&r->indexes[i], c->number);
    return any;
}

/* With what no row of ours has. */
static void add_same(struct looker *l, struct str *sql, const struct cat_relation *r,
                     const struct cat_column *c)
{
    const char *v = column_value(l->p, &l->p->now, c, UNIQUE_OTHER);

    if (!v)
        return;
    cat_add_set(sql, r, c->name);
    sql_literal(sql, v);
}

struct source { /* a table that the statement reads as well */
    const struct cat_relation *r;
    const char *keys[ROWS]; /* of some of its rows, in one column */
    int n_keys;
};

static bool read_keys(const struct looker *l, struct source *s, struct err *err)
{
    struct wire_result r = {0};
    AUTO(str) sql = {0};

    for (int i = 0; i < s->r->n_columns && sql.len == 0; i++)
        if (is_unique_column(s->r, &s->r->columns[i])) {
            str_add(&sql, "SELECT ");
            sql_ident(&sql, s->r->columns[i].name);
            str_add(&sql, "::pg_catalog.text FROM ");
            sql_qualified(&sql, s->r->schema, s->r->name);
            str_addf(&sql, " LIMIT %d", ROWS);
        }
    if (sql.len == 0)
        return true;
    if (!wire_exec(l->p->owner, l->p->scratch, str_text(&sql), true, &r, err))
        return false;
    for (int i = 0; r.ok && i < r.n_rows && i < ROWS; i++)
        if (r.cell[i][0])
            s->keys[s->n_keys++] = r.cell[i][0];
    return true;
}

static void add_row(struct looker *l, const char *prelude, int i, const char *value)
{
    struct calls *c = add(l);

    c->preludes[1] = prelude;
    c->from_first = true;
    if (value)
        c->sets[1].values[i] = value;
}

/* Once more, or for another one of these rows. */
static void add_over(struct looker *l, const struct source *s, const struct str *prelude)
{
    const char *sql = prelude->len ? arena_strdup(l->p->scratch, str_text(prelude)) : NULL;

    if (!sql)
        return;
    add_row(l, sql, 0, NULL);
    for (int i = 0; i < l->basis.sets[0].n; i++)
        for (int k = 0; k < s->n_keys && !is_varied(l, i) && l->basis.sets[1].values[i]; k++)
            if (strcmp(s->keys[k], l->basis.sets[1].values[i]) != 0)
                add_row(l, sql, i, s->keys[k]);
}

/* Alike in all but keys: as the first row is, or the last one. */
static void add_all_same(struct looker *l, const struct source *s, bool is_last)
{
    const struct cat_relation *r = s->r;
    AUTO(str) sql = {0};

    for (int i = 0; i < r->n_columns; i++) {
        if (is_unique_column(r, &r->columns[i]))
            continue;
        cat_add_set(&sql, r, r->columns[i].name);
        str_add(&sql, "(SELECT x.");
        sql_ident(&sql, r->columns[i].name);
        str_add(&sql, " FROM ");
        sql_qualified(&sql, r->schema, r->name);
        str_addf(&sql, " AS x ORDER BY x.ctid %s LIMIT 1)", is_last ? "DESC" : "ASC");
    }
    add_over(l, s, &sql);
}

static void add_source(struct looker *l, const struct source *s, int *columns)
{
    const struct cat_relation *r = s->r;
    AUTO(str) together = {0};
    int n = 0;

    for (int i = 0; i < r->n_columns; i++) {
        const struct cat_column *own = cat_column(l->k->r, r->columns[i].name);
        AUTO(str) alone = {0};

        if (is_unique_column(r, &r->columns[i]) || (*columns)++ >= ALIKE)
            continue;
        add_same(l, &alone, r, &r->columns[i]);
        add_over(l, s, &alone);
        if (own && unique_has_column(l->k, own)) {
            add_same(l, &together, r, &r->columns[i]);
            n++;
        }
    }
    if (n > 1)
        add_over(l, s, &together);
    add_all_same(l, s, false);
    add_all_same(l, s, true);
}

static void note_source(const struct looker *l, const struct cat_relation *r, struct source *out,
                        int *n)
{
    bool is_known = r == l->k->r || !cat_is_table(r);

    for (int i = 0; i < *n; i++)
        is_known |= out[i].r == r;
    if (!is_known && *n < SOURCES)
        out[(*n)++] = (struct source) {.r = r};
}

/* Of a view, what it reads. */
static bool add_sources(struct looker *l, struct err *err)
{
    const struct query *q = l->a->q;
    struct source sources[SOURCES];
    int n = 0, columns = 0;

    for (int i = 0; i < q->facts.n_rels; i++) {
        const struct cat_relation *r = cat_find(&l->p->now, l->p->sessions[q->session].search_path,
                                                q->facts.rels[i].schema, q->facts.rels[i].name);

        note_source(l, r, sources, &n);
        for (int u = 0; r && r->kind == 'v' && u < r->n_uses; u++)
            note_source(l, cat_by_oid(&l->p->now, r->uses[u]), sources, &n);
    }
    for (int i = 0; i < n; i++) {
        if (!read_keys(l, &sources[i], err))
            return false;
        add_source(l, &sources[i], &columns);
    }
    return true;
}

/* ---- a row that was changed since ------------------------------------------------------------------------------- */

/* The first call's row, and all others, with something else in the column. */
static const char *of_another_sql(const struct looker *l, const struct cat_column *c, int nth)
{
    const struct cat_relation *r = l->k->r;
    const char *v = seed_parents_value(l->p, r, c, 1);
    AUTO(str) sql = {0};

    if (v)
        v = seed_parents_value(l->p, r, c, 1 + nth);
    else
        v = column_value(l->p, &l->p->now, c, UNIQUE_OTHER + nth);
    if (!v)
        return NULL;
    cat_add_update(&sql, r, c->name);
    sql_literal(&sql, v);
    return arena_strdup(l->p->scratch, str_text(&sql));
}

/* The statement leaves it to the table, or writes a constant: then it isn't what it knows the row by. */
static bool is_state(const struct looker *l, const struct cat_column *c)
{
    bool is_written = false;

    for (int i = 0; i < l->a->q->facts.n_writes; i++) {
        const struct fact_write *w = &l->a->q->facts.writes[i];

        is_written |= w->positional;
        for (int k = 0; k < w->columns.n; k++)
            is_written |= strcmp(w->columns.items[k].s, c->name) == 0 &&
                          (k >= w->literals.n || !w->literals.items[k].s);
    }
    return !is_written && has_name(l->a->q->sql, c->name);
}

/* Whoever looks for rows by it as well, for those that aren't gone, doesn't find it any more. */
static void add_changed(struct looker *l)
{
    const struct cat_relation *r = l->k->r;
    int columns = 0;

    for (int i = 0; i < r->n_columns && columns < CHANGED; i++) {
        const struct cat_column *c = &r->columns[i];

        if (!is_state(l, c) || unique_has_column(l->k, c) || c->is_generated || cat_is_in_key(r, c))
            continue;
        columns++;
        for (int nth = 0; nth < 2; nth++)
            if (of_another_sql(l, c, nth))
                add(l)->between = of_another_sql(l, c, nth);
    }
}

/* ---- a row that the application doesn't see ---------------------------------------------------------------------- */

static bool is_hidden(const struct looker *l)
{
    const struct query *q = l->a->q;
    bool any = l->k->r->has_rls;

    for (int i = 0; i < q->facts.n_rels; i++) {
        const struct cat_relation *r = cat_find(&l->p->now, l->p->sessions[q->session].search_path,
                                                q->facts.rels[i].schema, q->facts.rels[i].name);
        any |= r && (r->has_rls || r->kind == 'v');
    }
    return any && l->p->sessions[q->session].role;
}

/* Made by the table's owner, whom no policy holds, or by itself, which may not see what it has made. */
static void add_unseen(struct looker *l, const char *between)
{
    const char *role = l->p->sessions[l->a->q->session].role;

    for (int i = 0; i < 4; i++) {
        struct calls *c = add(l);

        c->between = between;
        c->roles[0] = i % 2 ? role : NULL;
        c->roles[1] = role;
        if (i >= 2) { /* its own values are those that its policies take */
            const struct arg_set first = c->sets[0];
            c->sets[0] = c->sets[1];
            c->sets[1] = first;
        }
    }
}

static void add_hidden(struct looker *l)
{
    const struct cat_relation *r = l->k->r;
    int columns = 0;

    add_unseen(l, NULL);
    for (int i = 0; i < r->n_columns && columns < HIDING; i++) {
        const struct cat_column *c = &r->columns[i];
        bool is_named = false;

        for (int k = 0; k < r->n_policies; k++)
            is_named |= has_name(r->policies[k].definition, c->name);
        if (!is_named || unique_has_column(l->k, c) || c->is_generated)
            continue;
        columns++;
        for (int nth = 0; nth < 2; nth++)
            if (of_another_sql(l, c, nth))
                add_unseen(l, of_another_sql(l, c, nth));
    }
}

/* ---- all of it ------------------------------------------------------------------------------------------------ */

static bool try_more(struct looker *l, bool *out, struct err *err)
{
    for (int i = 0; i < l->n && *out; i += BATCH) {
        int n = l->n - i < BATCH ? l->n - i : BATCH, which = -1;
        struct outcome_twice with = {0};

        if (!unique_try_calls(l->p, l->a, l->k, &l->more[i], n, &which, &with, err))
            return false;
        *out = which < 0;
    }
    l->n = 0;
    return true;
}

static bool try_hidden(struct looker *l, bool *out, struct err *err)
{
    if (!*out || !is_hidden(l))
        return true;
    add_hidden(l);
    return shadow_role_become(l->p->shadow, l->p->sessions[l->a->q->session].role, err) &&
           try_more(l, out, err) && shadow_roles_return(l->p->shadow, err);
}

bool unique_is_target(struct proof *p, const struct app_statement *a, const struct key *k,
                      bool *out, struct err *err)
{
    const struct query *q = a->q;
    bool names_one = false;

    *out = false;
    for (int i = 0; i < q->facts.n_writes; i++)
        names_one |= q->facts.writes[i].conflict_has_target;
    if (!names_one || !unique_can_call(q) || unique_is_spent(a, k, 2))
        return true;
    const struct calls pair = {.sets = {q->sets[0], q->sets[0]}};
    struct outcome_twice with = {0}, without = {0};

    if (!unique_run_calls(p, a, k, &pair, 1, THE_INDEX, &without, err))
        return false;
    if (without.ok || !without.state || strcmp(without.state, NO_SUCH_TARGET) != 0)
        return true;
    if (!unique_run_calls(p, a, k, &pair, 1, NOTHING, &with, err))
        return false;
    *out = with.ok;
    return true;
}

bool unique_is_kept(struct proof *p, const struct app_statement *a, const struct key *k,
                    const struct plan *through, bool *out, struct err *err)
{
    struct looker l = {.p = p, .a = a, .k = k, .through = through};
    bool known = false;
    AUTO(str) empty = {0};

    *out = false;
    if (!a->q->runs || a->q->facts.verb != VERB_INSERT)
        return true;
    str_add(&empty, "DELETE FROM ");
    sql_qualified(&empty, k->r->schema, k->r->name);
    if (!find_basis(&l, NULL, &known, out, err) ||
        !(known || find_basis(&l, str_text(&empty), &known, out, err)))
        return false;
    if (!*out)
        return true;
    add_values(&l);
    add_changed(&l);
    if (!try_more(&l, out, err))
        return false;
    return (!*out || add_sources(&l, err)) && try_more(&l, out, err) && try_hidden(&l, out, err);
}

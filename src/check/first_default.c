/* A first default, for a column that a live writer leaves out: what was NULL in its rows holds something from then on. Whether
 * anybody goes by that is tried, with a row that has NULL there, and the default in its place.
 */
#include "check/changed.h"
#include "check/ops.h"
#include "check/synced.h"
#include "check/words.h"

#include <strings.h>

#define TURNS_MAX 24

struct gain { /* the column that has a default now */
    struct trial *t;
    const struct cat_relation *r;
    const struct cat_column *c;
    const struct cat_relation *view; /* whose default it is: of those who write through it; NULL */
    const char *fallback;
};

struct reader {                    /* to whom it makes a difference */
    const struct app_statement *a; /* NULL: to nobody */
    bool finds;                    /* it gets at other rows; else it hands out the value */
};

/* ---- who leaves it out ----------------------------------------------------------------------------------- */

/* by_place: nobody says which columns get the values, and only running it shows which of them get none. */
static bool leaves_out(const struct gain *g, const struct app_statement *a, bool *by_place)
{
    const struct proof *p = g->t->p;
    const char *path = p->sessions[a->q->session].search_path;

    *by_place = false;
    for (int i = 0; i < a->q->facts.n_writes; i++) {
        const struct fact_write *w = &a->q->facts.writes[i];
        const struct cat_relation *named = cat_find(&p->now, path, w->schema, w->table);

        if (!named || (g->view ? named != g->view : written_table(p, named) != g->r))
            continue;
        *by_place |= w->positional;
        if (!w->positional &&
            (text_list_has(&w->defaulted, g->c->name) ||
             (w->verb == VERB_INSERT && !text_list_has(&w->columns, g->c->name)))) {
            *by_place = false;
            return true;
        }
    }
    return *by_place;
}

static bool is_writer(const struct gain *g, const struct app_statement *a, bool *by_place)
{
    const struct proof *p = g->t->p;
    int state = g->t->state;

    return a->q && a->q->facts.parsed && !p->t.releases[a->release].is_projected &&
           world_met(p, a, state) && world_met(p, a, p->t.states[state].from) &&
           leaves_out(g, a, by_place);
}

/* Rows with NULL in the column, of those that it writes, with the default and without it. */
static bool count_nulls(const struct gain *g, const struct app_statement *a, int nulls[2],
                        bool *is_known, struct err *err)
{
    struct proof *p = g->t->p;
    const char *path = p->sessions[a->q->session].search_path;
    struct wire_op op[16];
    struct wire_result r[16] = {0};
    struct ops o = {op, 0};
    AUTO(str) drop = {0}, look = {0};
    int seen[2];

    str_add(&drop, "ALTER TABLE ");
    const struct cat_relation *has = g->view ? g->view : g->r;
    sql_qualified(&drop, has->schema, has->name);
    str_add(&drop, " ALTER COLUMN ");
    sql_ident(&drop, g->c->name);
    str_add(&drop, " DROP DEFAULT");
    str_add(&look, "SELECT 1 FROM ");
    sql_qualified(&look, g->r->schema, g->r->name);
    str_add(&look, " WHERE xmin = pg_catalog.pg_current_xact_id()::pg_catalog.xid AND ");
    sql_ident(&look, g->c->name);
    str_add(&look, " IS NULL");
    for (int without = 0; without < 2; without++) {
        ops_add(&o, "BEGIN", NULL, false, false);
        ops_add(&o, "SET LOCAL statement_timeout = '2s'", NULL, false, false);
        ops_add(&o, arena_printf(p->scratch, "SET LOCAL search_path = %s", path ? path : "public"),
                NULL, false, false);
        if (without)
            ops_add(&o, str_text(&drop), NULL, false, false);
        if (a->q->clears)
            ops_add(&o, a->q->clears, NULL, false, false);
        ops_add(&o, a->q->sql, &a->q->sets[0], false, false);
        seen[without] = ops_add(&o, str_text(&look), NULL, true, true);
        ops_add(&o, "ROLLBACK", NULL, false, true);
    }
    if (!wire_run(p->owner, p->scratch, o.op, o.n, r, err))
        return lost_note(p, o.op, o.n, r);
    *is_known = true;
    for (int without = 0; without < 2; without++) {
        *is_known = *is_known && r[seen[without]].ok && !r[seen[without]].skipped;
        nulls[without] = r[seen[without]].n_rows;
    }
    return true;
}

/* A trigger may fill the column as well: then the default is nothing new. True where that can't be tried. */
static bool leaves_null(const struct gain *g, const struct app_statement *a, bool by_place,
                        bool *out, struct err *err)
{
    bool can_try = a->q->runs && !a->q->gave_up && a->q->n_before == 0, is_known = false;
    int nulls[2] = {0};

    *out = !by_place;
    if (!can_try || (!by_place && g->r->n_triggers == 0))
        return true;
    if (!count_nulls(g, a, nulls, &is_known, err))
        return false;
    if (is_known)
        *out = by_place ? nulls[1] > nulls[0] : nulls[1] > 0;
    return true;
}

/* ---- who goes by it -------------------------------------------------------------------------------------- */

/* "note IS NULL": it asks for what isn't there, though it may count the rows only. */
static bool asks_for_null(const struct app_statement *a, const char *column)
{
    size_t n = strlen(column);

    for (const char *s = strstr(a->q->sql, column); s; s = strstr(s + 1, column)) {
        const char *at = s + n + (s[n] == '"');
        if (text_takes_word(&at, "is"))
            return true;
    }
    return false;
}

static void note_readers(const struct gain *g, struct reader *out)
{
    for (int i = 0; i < g->t->n_asked; i++) {
        struct asked *s = &g->t->asked[i];

        if (s->at < 0 || out->finds || !asked_answers_otherwise(s))
            continue;
        bool finds = asked_finds_others(s) || asks_for_null(s->a, g->c->name);
        if (out->a && !finds)
            continue;
        *out = (struct reader) {s->a, finds};
    }
}

/* Rows with NULL in the column, and with what the statements ask for beside it. */
static int turns_of(const struct gain *g, struct turn *turns)
{
    struct turn others[TURNS_MAX];
    int n = 0, more = trial_turns(g->t, others, TURNS_MAX);

    turns[n++] = (struct turn) {.r = g->r, .columns = {g->c->name}, .n = 1};
    for (int i = 0; i < more && n < TURNS_MAX; i++) {
        bool has = others[i].r != g->r || others[i].n == TURN_COLUMNS;

        for (int k = 0; k < others[i].n; k++)
            has |= strcmp(others[i].columns[k], g->c->name) == 0;
        if (has)
            continue;
        others[i].columns[others[i].n++] = g->c->name;
        turns[n++] = others[i];
    }
    return n;
}

static bool find_reader(const struct gain *g, struct reader *out, struct err *err)
{
    struct turn turns[TURNS_MAX];
    AUTO(str) sql = {0};
    const char *fill;

    str_add(&sql, "UPDATE ");
    sql_qualified(&sql, g->r->schema, g->r->name);
    str_add(&sql, " SET ");
    sql_ident(&sql, g->c->name);
    str_addf(&sql, " = %s WHERE ", g->view ? g->fallback : "DEFAULT");
    sql_ident(&sql, g->c->name);
    str_add(&sql, " IS NULL");
    fill = str_text(&sql);
    g->t->sql = &fill;
    g->t->n_sql = 1;
    for (int i = 0, n = turns_of(g, turns); i < n && !out->finds; i++) {
        bool ran = false;

        if (!trial_run(g->t, &turns[i], &ran, err))
            return false;
        if (ran)
            note_readers(g, out);
    }
    return true;
}

/* The writer itself gets it back. */
static bool returns(const struct app_statement *a, const char *column)
{
    const char *s = strcasestr(a->q->sql, "returning");

    return s && (has_name(s, column) || (a->q->facts.selects_star && strchr(s, '*')));
}

/* ---- findings -------------------------------------------------------------------------------------------- */

static void report(const struct gain *g, const struct app_statement *a, const struct reader *who)
{
    struct proof *p = g->t->p;
    int state = g->t->state;
    bool inserts = a->q->facts.verb == VERB_INSERT;
    struct finding *f = finding_of_state(
        p, a, world_met(p, a, state), state, "insert-relied-on-default",
        arena_printf(p->a,
                     "the %s \"%s\", which had no default and was NULL, and is %s now: %s of %s %s",
                     inserts ? "INSERT leaves out" : "UPDATE takes the default of", g->c->name,
                     g->fallback, who->a->s->name, release_words(p, who->a->release),
                     who->finds ? "finds other rows by it than before" : "hands it out"),
        "give the column a value in a release before this one (NULL, if that is meant), or let "
        "those who read it take both");

    f->probe = "X";
    if (!who->finds)
        f->severity = SEVERITY_WARNING;
    if (who->a != a)
        place_add(p, f, who->a);
}

static bool look_at(struct gain *g, struct err *err)
{
    struct proof *p = g->t->p;
    struct reader who = {NULL, false};
    bool asked = false, unset = false, by_place = false;

    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];

        if (!is_writer(g, a, &by_place))
            continue;
        if (!leaves_null(g, a, by_place, &unset, err))
            return false;
        if (!unset)
            continue;
        if (!asked && !find_reader(g, &who, err))
            return false;
        asked = true;
        struct reader own = {who.a, who.finds};
        if (!own.a && returns(a, g->c->name))
            own.a = a;
        if (own.a)
            report(g, a, &own);
    }
    return true;
}

/* "NULL::text" is none. */
static bool is_first(const struct cat_column *was, const struct cat_column *is)
{
    return was && !was->fallback && is->fallback && !was->is_identity && !is->is_identity &&
           !was->is_generated && !is->is_generated && !was->not_null &&
           (strncmp(is->fallback, "NULL", 4) != 0 || (is->fallback[4] && is->fallback[4] != ':'));
}

static bool look_at_relation(struct proof *p, int state, const struct cat_relation *r,
                             const struct cat_relation *was, struct err *err)
{
    const struct cat_relation *table = written_table(p, r);

    for (int k = 0; cat_is_table(table) && k < r->n_columns; k++) {
        const struct cat_column *c = cat_column(table, r->columns[k].name);
        struct trial t = {.p = p, .state = state, .touched = table};
        struct gain g = {&t, table, c, r == table ? NULL : r, r->columns[k].fallback};

        /* Of a view the table's column of that name: which one it is made of isn't known. */
        if (!is_first(cat_column(was, r->columns[k].name), &r->columns[k]) || !c ||
            (g.view && c->fallback) || trial_is_the_plans(&t, table, c))
            continue;
        trial_set_whom(&t);
        if (!look_at(&g, err))
            return false;
    }
    return true;
}

bool first_defaults_state(struct proof *p, int state, struct err *err)
{
    const struct timeline_state *s = &p->t.states[state];

    if (state == 0 || s->by != STATE_TASK || s->task->kind != TASK_STEP || p->broken[state])
        return true;
    for (int i = 0; i < p->now.n_relations; i++) {
        const struct cat_relation *r = &p->now.relations[i], *was = cat_by_oid(&p->before, r->oid);

        if (was && strchr("rpv", r->kind) && !look_at_relation(p, state, r, was, err))
            return false;
    }
    return true;
}

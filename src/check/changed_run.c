/* The transaction in which a step stands between two askings, and the rows over which it is tried. */
#include "check/changed.h"
#include "check/ops.h"
#include "check/words.h"

#include "phasegate/load.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

enum { ALL_MS = 10000, EACH_MIN_MS = 100, EACH_MAX_MS = 2000 };

#define CONSTANTS_MAX 8 /* of a text, for each column */

/* ---- running ---------------------------------------------------------------------------------------------------- */

/* May it tell the difference that the row makes? */
static bool goes_by(const struct trial *t, const struct asked *s, const struct turn *turn)
{
    bool any = !turn || t->of_views || t->taken;

    if (turn && turn->base && !s->is_empty)
        return false;

    for (int i = 0; !any && i < turn->n; i++)
        any = has_name(s->a->q->sql, turn->columns[i]);
    for (int i = 0; !any && i < s->a->q->facts.n_rels; i++) {
        const struct cat_relation *r = trial_relation(t, s->a, i);
        any = s->a->q->facts.rels[i].star || (r && r->kind == 'v');
    }
    return any;
}

/* As the owner, with the session's search_path. Where its answer stands. */
static int add_question(const struct trial *t, const struct asked *s, struct ops *o)
{
    const struct query *q = s->a->q;
    const char *path = t->p->sessions[q->session].search_path;

    ops_add(o, "SAVEPOINT phasegate_q", NULL, false, false);
    ops_add(o, arena_printf(t->p->scratch, "SET LOCAL search_path = %s", path ? path : "public"),
            NULL, false, false);
    if (q->clears)
        ops_add(o, q->clears, NULL, false, false);
    int own =
        ops_add(o, q->sql, s->call ? s->call : &q->sets[s->set], q->facts.n_writes == 0, true);
    o->op[own].types = q->types;
    o->op[own].n_types = q->types ? q->s->types.n : 0;
    ops_add(o, "ROLLBACK TO SAVEPOINT phasegate_q", NULL, false, true);
    return own;
}

/* All of them. Where the first answer stands. */
static int add_questions(struct trial *t, const struct turn *turn, struct ops *o)
{
    int first = o->n;

    for (int i = 0; i < t->n_looks; i++) {
        t->looks[i].at = -1;
        if (!t->of_views && (!turn || t->looks[i].r == turn->r))
            t->looks[i].at = ops_add(o, t->looks[i].sql, NULL, true, true) - first;
    }
    for (int i = 0; i < t->n_asked; i++) {
        t->asked[i].at = -1;
        if (t->asked[i].is_told || (turn && t->asked[i].call && !t->taken && !t->of_types) ||
            !goes_by(t, &t->asked[i], turn))
            continue;
        t->asked[i].at = add_question(t, &t->asked[i], o) - first;
    }
    return first;
}

static const char *turn_sql(struct proof *p, const struct turn *turn)
{
    AUTO(str) sql = {0};

    cat_add_update(&sql, turn->r, turn->columns[0]);
    str_add(&sql, "$1");
    for (int i = 1; i < turn->n; i++) {
        str_add(&sql, ", ");
        sql_ident(&sql, turn->columns[i]);
        str_addf(&sql, " = $%d", i + 1);
    }
    if (turn->of_all)
        return arena_strdup(p->scratch, str_text(&sql));
    str_add(&sql, " WHERE ctid = (SELECT pg_catalog.min(ctid) FROM ");
    sql_qualified(&sql, turn->r->schema, turn->r->name);
    str_add(&sql, ")");
    return arena_strdup(p->scratch, str_text(&sql));
}

static void add_turn(struct proof *p, const struct turn *turn, struct ops *o)
{
    /* A sync's trigger leaves a row from before alone. */
    ops_add(o, "SET LOCAL phasegate.backfill = 'on'", NULL, false, false);
    for (int i = 0; i < turn->n_sql; i++)
        ops_add(o, turn->sql[i], NULL, false, false);
    if (turn->n_sql > 0) {
        ops_add(o, "SET CONSTRAINTS ALL IMMEDIATE", NULL, false, false);
        if (turn->n == 0)
            return;
    }
    int own = ops_add(o, turn_sql(p, turn), NULL, false, false);
    o->op[own].args = turn->values;
    o->op[own].n_args = turn->n;
}

/* All of them together have a few seconds: one that doesn't end is told of where it's run by itself. */
static const char *time_of_each(const struct trial *t)
{
    int ms = ALL_MS / (t->n_asked + 1);

    return arena_printf(t->p->scratch, "SET LOCAL statement_timeout = '%dms'",
                        ms < EACH_MIN_MS   ? EACH_MIN_MS
                        : ms > EACH_MAX_MS ? EACH_MAX_MS
                                           : ms);
}

bool trial_was_slow(const struct trial *t)
{
    for (int i = 0; i < t->n_asked; i++)
        if (t->asked[i].at >= 0 && strcmp(t->asked[i].after.sqlstate, "57014") == 0)
            return true;
    return false;
}

bool trial_run(struct trial *t, const struct turn *turn, bool *ran, struct err *err)
{
    struct proof *p = t->p;
    int room = 2 * (t->n_looks + 5 * t->n_asked) + t->n_sql + (turn ? turn->n_sql : 0) + 14, done;
    struct ops o = {arena_array(p->scratch, struct wire_op, room), 0};
    struct wire_result *r = arena_array(p->scratch, struct wire_result, room);

    ops_add(&o, "ROLLBACK", NULL, false, false);
    ops_add(&o, "BEGIN", NULL, false, false);
    /* One that doesn't end is for the step itself to be told of. */
    ops_add(&o, time_of_each(t), NULL, false, false);
    if (turn)
        add_turn(p, turn, &o);
    int made = ops_add(&o, "SET LOCAL phasegate.backfill = 'off'", NULL, false, true);
    int before = add_questions(t, turn, &o);
    int step = ops_add(&o, "SET LOCAL search_path = public", NULL, false, false);
    for (int i = 0; i < t->n_sql; i++)
        ops_add(&o, t->sql[i], NULL, false, false);
    done = ops_add(&o, "SET LOCAL search_path = public", NULL, false, true);
    add_questions(t, turn, &o);
    ops_add(&o, "ROLLBACK", NULL, false, true);
    if (!wire_run(p->owner, p->scratch, o.op, o.n, r, err)) {
        int last = 0;
        while (last < o.n && !wire_is_last_word(&r[last]))
            last++;
        if (last <= step || last > done)
            return lost_note(p, o.op, o.n, r);
        /* The step ended the session: no statement is to blame. */
        return r[last].message ? err_detail(err, "%s", r[last].message) : false;
    }
    /* What it was told of is for the step itself. */
    wire_notices(p->owner, p->scratch, &(struct text_list) {0});
    *ran = r[made].ok && !r[made].skipped && r[done].ok && !r[done].skipped;
    for (int i = 0; i < t->n_looks; i++)
        if (t->looks[i].at >= 0) {
            t->looks[i].before = r[before + t->looks[i].at];
            t->looks[i].after = r[done + 1 + t->looks[i].at];
        }
    for (int i = 0; i < t->n_asked; i++)
        if (t->asked[i].at >= 0) {
            t->asked[i].before = r[before + t->asked[i].at];
            t->asked[i].after = r[done + 1 + t->asked[i].at];
        }
    return true;
}

bool trial_is_steady(struct trial *t, const struct asked *s, const struct turn *turn, bool *out,
                     struct err *err)
{
    struct proof *p = t->p;
    int room = 5 * STEADY_ASKS + (turn ? turn->n_sql : 0) + 8, at[STEADY_ASKS];
    struct ops o = {arena_array(p->scratch, struct wire_op, room), 0};
    struct wire_result *r = arena_array(p->scratch, struct wire_result, room);

    ops_add(&o, "ROLLBACK", NULL, false, false);
    ops_add(&o, "BEGIN", NULL, false, false);
    ops_add(&o, time_of_each(t), NULL, false, false);
    if (turn)
        add_turn(p, turn, &o);
    ops_add(&o, "SET LOCAL phasegate.backfill = 'off'", NULL, false, true);
    for (int i = 0; i < STEADY_ASKS; i++)
        at[i] = add_question(t, s, &o);
    ops_add(&o, "ROLLBACK", NULL, false, true);
    if (!wire_run(p->owner, p->scratch, o.op, o.n, r, err))
        return lost_note(p, o.op, o.n, r);
    wire_notices(p->owner, p->scratch, &(struct text_list) {0});
    *out = true;
    for (int i = 0; i < STEADY_ASKS && *out; i++) {
        struct asked again = *s;

        again.after = r[at[i]];
        *out = r[at[i]].ok && !r[at[i]].skipped && !asked_answers_otherwise(&again);
    }
    return true;
}

/* ---- rows ------------------------------------------------------------------------------------------------------------- */

/* What a text compares the column with, as far as its constants say. */
static const char *constant(struct proof *p, const struct cat_column *c, const char *text, int n)
{
    struct cat_constraint k = {
        .type = 'c', .definition = text, .columns = {c->number}, .n_columns = 1};
    struct cat_relation r = {.constraints = &k, .n_constraints = 1, .n_checks = 1};
    struct cat_column plain = *c;

    plain.domain_checks = NULL;
    return has_name(text, c->name) ? value_from_checks(p->scratch, &r, &plain, n) : NULL;
}

static bool is_number(const char *s) { return *s == '-' || (*s >= '0' && *s <= '9'); }

static bool is_word_char(char c) { return isalnum((unsigned char) c) || c == '_' || c == '$'; }

/* The constant next to which a column's name ends at s, or a number beside it; NULL: none. */
static const char *constant_behind(struct proof *p, const char *s, int beside)
{
    s += *s == '"';
    s += strspn(s, " \t\n=<>!~(");
    if (strncasecmp(s, "in", 2) == 0 && s[2 + strspn(s + 2, " ")] == '(')
        s += 2 + strspn(s + 2, " (");
    const char *end = *s == '\'' ? strchr(s + 1, '\'') : NULL;
    if (end)
        return arena_strndup(p->scratch, s + 1, (size_t) (end - s - 1));
    return is_number(s) ? arena_printf(p->scratch, "%ld", strtol(s, NULL, 10) + beside) : NULL;
}

const char *trial_compared_with(struct proof *p, const struct cat_column *c, const char *text,
                                int beside, bool last)
{
    size_t n = strlen(c->name);
    const char *s = strcasestr(text, "where"), *found = NULL;

    for (s = s ? strstr(s, c->name) : NULL; s && (last || !found); s = strstr(s + 1, c->name)) {
        const char *value =
            is_word_char(s[-1]) || is_word_char(s[n]) ? NULL : constant_behind(p, s + n, beside);
        found = value ? value : found;
    }
    return found;
}

static bool can_turn(const struct trial *t, const struct cat_relation *r,
                     const struct cat_column *c)
{
    return !c->is_generated && !cat_is_in_key(r, c) && !trial_is_the_plans(t, r, c);
}

/* One that meets all of a condition, as far as it's made of columns beside constants, or just misses it. */
static void add_whole_turn(struct trial *t, const struct cat_relation *r, const char *text,
                           int beside, bool last, struct turn *turns, int *n, int most)
{
    struct turn turn = {.r = r};

    for (int c = 0; c < r->n_columns && turn.n < TURN_COLUMNS; c++) {
        const struct cat_column *col = &r->columns[c];
        const char *value =
            can_turn(t, r, col) ? trial_compared_with(t->p, col, text, beside, last) : NULL;

        if (value) {
            turn.columns[turn.n] = col->name;
            turn.values[turn.n++] = value;
        }
    }
    if (turn.n > 1 && *n < most)
        turns[(*n)++] = turn;
}

static bool is_known(const struct turn *turns, int n, const struct cat_relation *r,
                     const struct cat_column *c, const char *value)
{
    for (int i = 0; i < n; i++)
        if (turns[i].r == r && turns[i].n == 1 && turns[i].columns[0] == c->name &&
            turns[i].values[0] && strcmp(turns[i].values[0], value) == 0)
            return true;
    return false;
}

static void add_turns(struct trial *t, const struct cat_relation *r, const char *text,
                      struct turn *turns, int *n, int most)
{
    struct proof *p = t->p;

    for (int beside = -1; beside <= 1; beside++)
        for (int last = 0; last < 2; last++)
            add_whole_turn(t, r, text, beside, last, turns, n, most);
    for (int c = 0; c < r->n_columns; c++) {
        const struct cat_column *col = &r->columns[c];
        const char *value;

        for (int k = 0; k < CONSTANTS_MAX && *n < most && can_turn(t, r, col) &&
                        (value = constant(p, col, text, k)) != NULL;
             k++)
            if ((col->category != 'N' || is_number(value)) && !is_known(turns, *n, r, col, value))
                turns[(*n)++] =
                    (struct turn) {.r = r, .columns = {col->name}, .values = {value}, .n = 1};
    }
}

int trial_turns(struct trial *t, struct turn *turns, int most)
{
    int n = 0;

    for (int i = 0; i < t->n_looks; i++) {
        const struct cat_relation *r = t->looks[i].r;

        for (int k = 0; k < t->n_sql; k++)
            add_turns(t, r, t->sql[k], turns, &n, most);
        for (int k = 0; k < t->n_old; k++)
            add_turns(t, r, t->old[k], turns, &n, most);
        for (int k = 0; k < t->n_asked; k++)
            add_turns(t, r, t->asked[k].a->q->sql, turns, &n, most);
    }
    return n;
}

/* ---- rows for a function ------------------------------------------------------------------------------------------ */

/* What its body names is compared with a parameter: any column may be handed to it. */
static void add_anywhere(const struct cat_relation *r, const struct cat_column *c,
                         const struct sql_mentions *said, struct turn *turns, int *n, int most)
{
    const struct text_list *values = c->category == 'N'   ? &said->numbers
                                     : c->category == 'S' ? &said->strings
                                                          : NULL;
    if (!c->not_null && *n < most)
        turns[(*n)++] = (struct turn) {.r = r, .columns = {c->name}, .n = 1};
    for (int i = 0; values && i < values->n && i < CONSTANTS_MAX && *n < most; i++)
        if (!is_known(turns, *n, r, c, values->items[i].s))
            turns[(*n)++] = (struct turn) {
                .r = r, .columns = {c->name}, .values = {values->items[i].s}, .n = 1};
}

int trial_turns_anywhere(struct trial *t, struct turn *turns, int n, int most)
{
    struct sql_mentions said = {0};

    for (int k = 0; k < t->n_sql; k++)
        sql_mentions_add(t->p->scratch, t->sql[k], &said);
    for (int i = 0; i < t->n_looks; i++)
        for (int c = 0; c < t->looks[i].r->n_columns; c++)
            if (can_turn(t, t->looks[i].r, &t->looks[i].r->columns[c]))
                add_anywhere(t->looks[i].r, &t->looks[i].r->columns[c], &said, turns, &n, most);
    return n;
}

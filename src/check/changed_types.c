/* A column of another type, or of another collation, takes other values for equal: who asks for the same finds other rows.
 * With rows that have what statements ask for as a constant, and texts in other letters, in rows and in parameters.
 */
#include "check/changed.h"
#include "check/words.h"

#include "phasegate/load.h"

#include <strings.h>

bool trial_is_of_types(const struct task *t)
{
    for (int i = 0; t->kind == TASK_STEP && i < t->step->n_stmts; i++)
        if (strstr(t->step->stmts[i].kind, "COLUMN TYPE"))
            return true;
    return false;
}

/* Does the step name it? */
static bool is_named(const struct trial *t, const struct cat_relation *r,
                     const struct cat_column *c)
{
    struct sql_mentions said = {0};

    for (int i = 0; i < t->n_sql; i++)
        sql_mentions_add(t->p->scratch, t->sql[i], &said);
    return !c->is_generated && text_list_has(&said.names, r->name) &&
           text_list_has(&said.names, c->name) && !trial_is_the_plans(t, r, c);
}

static bool is_letters(const struct cat_column *c) { return c->category == 'S'; }

/* ---- other letters -------------------------------------------------------------------------------------------- */

static const struct {
    const char *function, *words;
} letters[] = {{"pg_catalog.upper", "is in capitals"}, {"pg_catalog.lower", "is in small letters"}};

enum { LETTERS = sizeof letters / sizeof *letters };

static const char *in_letters(struct proof *p, const char *value, bool upper)
{
    char *s = arena_strdup(p->scratch, value);

    for (char *c = s; *c; c++)
        *c = (char) (upper && *c >= 'a' && *c <= 'z'    ? *c - 'a' + 'A'
                     : !upper && *c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a'
                                                        : *c);
    return s;
}

void trial_add_letters(struct trial *t, const struct app_statement *a)
{
    const struct query *q = a->q;

    for (int i = 1; i <= q->sets[0].n && t->n_asked < t->most_asked; i++) {
        const struct cat_relation *r = NULL;
        const struct cat_column *c = args_compared(t->p, q, i, &r);
        const char *own = q->sets[0].values[i - 1];

        if (!own || !c || !r || !is_letters(c) || !is_named(t, r, c))
            continue;
        for (int up = 0; up < 2 && t->n_asked < t->most_asked; up++) {
            const char *other = in_letters(t->p, own, up);

            if (strcmp(other, own) != 0)
                trial_add_call(t, a, i, other);
        }
    }
}

/* ---- rows ------------------------------------------------------------------------------------------------------ */

static void add_letters(struct trial *t, const struct cat_relation *r, const struct cat_column *c,
                        struct turn *turns, int *n, int most)
{
    struct proof *p = t->p;

    for (int i = 0; i < LETTERS && *n < most; i++) {
        AUTO(str) sql = {0};
        struct turn turn = {.r = r, .sql = arena_array(p->scratch, const char *, 1), .n_sql = 1};

        cat_add_update(&sql, r, c->name);
        str_addf(&sql, "%s(", letters[i].function);
        sql_ident(&sql, c->name);
        str_add(&sql, "::pg_catalog.text)");
        turn.sql[0] = arena_strdup(p->scratch, str_text(&sql));
        turn.words =
            arena_printf(p->a, "where \"%s\" of \"%s\" %s", c->name, r->name, letters[i].words);
        turns[(*n)++] = turn;
    }
}

static bool is_known(const struct turn *turns, int n, const struct cat_column *c, const char *value)
{
    for (int i = 0; i < n; i++)
        if (turns[i].n == 1 && turns[i].columns[0] == c->name &&
            strcmp(turns[i].values[0], value) == 0)
            return true;
    return false;
}

static void add_constant(const struct cat_relation *r, const struct cat_column *c,
                         const char *value, struct turn *turns, int *n, int most)
{
    if (*n < most && !is_known(turns, *n, c, value))
        turns[(*n)++] = (struct turn) {.r = r, .columns = {c->name}, .values = {value}, .n = 1};
}

/* Of texts in other letters as well. */
static void add_value(struct trial *t, const struct cat_relation *r, const struct cat_column *c,
                      const char *value, struct turn *turns, int *n, int most)
{
    add_constant(r, c, value, turns, n, most);
    for (int up = 0; up < 2 && is_letters(c); up++)
        add_constant(r, c, in_letters(t->p, value, up), turns, n, most);
}

/* What the statement compares it with: a constant, first and last, and what its author handed in. */
static void add_values(struct trial *t, const struct cat_relation *r, const struct cat_column *c,
                       const struct asked *s, struct turn *turns, int *n, int most)
{
    const struct query *q = s->a->q;
    const struct arg_set *set = &q->sets[s->set];

    for (int last = 0; last < 2; last++) {
        const char *value = trial_compared_with(t->p, c, q->sql, 0, last);

        if (value)
            add_value(t, r, c, value, turns, n, most);
    }
    for (int i = 1; !s->call && set->is_given && i <= set->n; i++) {
        const struct cat_relation *of = NULL;

        if (set->values[i - 1] && args_compared(t->p, q, i, &of) == c && of == r)
            add_value(t, r, c, set->values[i - 1], turns, n, most);
    }
}

int trial_turns_types(struct trial *t, struct turn *turns, int most)
{
    int n = 0;

    for (int i = 0; i < t->n_looks; i++)
        for (int k = 0; k < t->looks[i].r->n_columns; k++) {
            const struct cat_relation *r = t->looks[i].r;
            const struct cat_column *c = &r->columns[k];

            if (!is_named(t, r, c))
                continue;
            for (int s = 0; s < t->n_asked; s++)
                add_values(t, r, c, &t->asked[s], turns, &n, most);
            if (is_letters(c))
                add_letters(t, r, c, turns, &n, most);
        }
    return n;
}

/* ---- judging --------------------------------------------------------------------------------------------------- */

/* What a parameter is compared with from then on is told by its type. */
static bool hands_it_in(const struct trial *t, const struct query *q)
{
    for (int i = 1; i <= q->sets[0].n; i++) {
        const struct cat_relation *r = NULL;
        const struct cat_column *c = args_compared(t->p, q, i, &r);

        if (c && r && is_named(t, r, c))
            return true;
    }
    return false;
}

bool trial_tells_of_type(const struct trial *t, const struct asked *s, bool *fewer)
{
    *fewer = s->a->q->facts.n_writes > 0 ? s->after.affected < s->before.affected
                                         : s->after.n_rows < s->before.n_rows;
    return asked_finds_others(s) && (*fewer || !hands_it_in(t, s->a->q));
}

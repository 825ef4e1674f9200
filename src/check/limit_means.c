/* What a step is about that may restrict writes: which tables, and which values it names. */
#include "check/changed.h"
#include "check/limits.h"
#include "check/words.h"

#include "sql_embedded.h"

#include <stdlib.h>

#define LONG_TEXT 300
#define LONGEST_TEXT 20000

static bool is_any(const char *kind, const char *const *words)
{
    for (; *words; words++)
        if (strstr(kind, *words))
            return true;
    return false;
}

/* ---- which tables -------------------------------------------------------------------------------------------- */

bool limits_is_opaque(const struct sql_stmt *s)
{
    static const char *const kinds[] = {"DO", "CALL", "SELECT"};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(s->kind, kinds[i]) == 0)
            return true;
    return false;
}

/* A function that was there before may be called by what is there. */
bool limits_replaces_function(const struct catalogue *c, const struct sql_stmt *s)
{
    if (!strstr(s->kind, "FUNCTION") || !s->object)
        return false;
    for (int i = 0; i < c->n_functions; i++) {
        AUTO(str) name = {0};

        sql_ident(&name, c->functions[i].name);
        if (strncmp(s->object, str_text(&name), name.len) == 0 && s->object[name.len] == '(')
            return true;
    }
    return false;
}

static bool is_domain(const struct sql_stmt *s)
{
    return strncmp(s->kind, "ALTER DOMAIN", 12) == 0;
}

/* Whoever writes the label as it was is refused. */
static bool renames_label(const struct sql_stmt *s)
{
    return strstr(s->kind, "RENAME VALUE") != NULL;
}

/* May it restrict what is written to tables that it doesn't name? */
static bool is_everywhere(const struct proof *p, const struct sql_stmt *s)
{
    return limits_is_opaque(s) || is_domain(s) || renames_label(s) ||
           limits_replaces_function(&p->now, s);
}

/* What it calls may be told by triggers only: what else is called stands in the catalogue. */
static bool may_reach(const struct sql_stmt *s, const struct cat_relation *r)
{
    bool any = limits_is_opaque(s);

    for (int i = 0; is_domain(s) && i < r->n_columns; i++)
        any |= r->columns[i].type >= 16384 /* a domain, an array of one */;
    for (int i = 0; renames_label(s) && i < r->n_columns; i++)
        any |= r->columns[i].category == 'E';
    return any || (!is_domain(s) && !renames_label(s) && (r->n_triggers > 0 || r->calls));
}

static bool is_index_over_expression(const struct sql_stmt *s)
{
    const char *open =
        strstr(s->kind, "INDEX") && strncmp(s->kind, "CREATE", 6) == 0 ? strchr(s->sql, '(') : NULL;

    return open && (strchr(open + 1, '(') || has_word(open, "where"));
}

/* Computed by every write from then on. */
static bool adds_computed(const struct sql_stmt *s)
{
    return strstr(s->kind, "ADD COLUMN") && has_word(s->sql, "generated") &&
           has_word(s->sql, "stored");
}

static bool is_view_check(const struct sql_stmt *s)
{
    return s->table && strstr(s->kind, "VIEW") &&
           ((has_word(s->sql, "check") && has_word(s->sql, "option")) ||
            has_word(s->sql, "check_option"));
}

bool limits_may_restrict(const struct proof *p, const struct sql_stmt *s)
{
    static const char *const kinds[] = {"UNIQUE", "ADD CONSTRAINT", "ALTER CONSTRAINT",
                                        "TYPE",   "TRIGGER",        "RULE",
                                        "POLICY", "ROW LEVEL",      NULL};

    if (is_everywhere(p, s))
        return true;
    return s->table &&
           (s->class == SQL_RESTRICTIVE || s->class == SQL_DESTRUCTIVE || is_any(s->kind, kinds) ||
            is_index_over_expression(s) || adds_computed(s) || is_view_check(s));
}

bool limits_restricts(const struct proof *p, const struct task *t, const struct cat_relation *r)
{
    if (t->kind != TASK_STEP || !t->step)
        return false;
    for (int i = 0; i < t->step->n_stmts; i++) {
        const struct sql_stmt *s = &t->step->stmts[i];

        if (!limits_may_restrict(p, s))
            continue;
        if (is_everywhere(p, s) ? may_reach(s, r) : strcmp(s->table, r->name) == 0)
            return true;
    }
    return false;
}

/* ---- which values -------------------------------------------------------------------------------------------- */

const char *limits_named(struct proof *p, const struct sql_mentions *said)
{
    AUTO(str) names = {0};

    str_addc(&names, '{');
    for (int i = 0; i < said->names.n; i++) {
        str_add(&names, i ? "," : "");
        sql_element(&names, said->names.items[i].s);
    }
    str_addc(&names, '}');
    return arena_strdup(p->scratch, str_text(&names));
}

bool limits_bodies(struct proof *p, const char *names, struct wire_result *out, struct err *err)
{
    struct wire_op op = {.kind = WIRE_RUN,
                         .sql = sql_select_bodies,
                         .args = &names,
                         .n_args = 1,
                         .keep_rows = true,
                         .sync = true};

    return wire_run(p->root, p->scratch, &op, 1, out, err);
}

/* Of all that it names. */
static bool add_bodies(struct proof *p, struct limits *l, struct err *err)
{
    struct wire_result r = {0};

    if (!limits_bodies(p, limits_named(p, &l->said), &r, err))
        return false;
    for (int i = 0; r.ok && r.cell && i < r.n_rows; i++)
        if (r.cell[i][0])
            sql_mentions_add(p->scratch, r.cell[i][0], &l->said);
    return true;
}

static void add_sync(struct proof *p, struct limits *l)
{
    const struct sync *s = &l->sync->sync;

    for (int i = 0; i < s->forward.n; i++)
        sql_mentions_add(p->scratch, s->forward.items[i].value.s, &l->said);
    for (int i = 0; i < p->now.n_relations; i++) {
        const struct cat_relation *r = &p->now.relations[i];

        for (int c = 0; sync_is_of(l->sync, r) && c < r->n_columns; c++)
            if (sync_target(l->sync, r->columns[c].name))
                sql_mentions_add(p->scratch, r->columns[c].type_text, &l->said);
        for (int k = 0; sync_is_of(l->sync, r) && k < r->n_constraints; k++)
            sql_mentions_add(p->scratch, r->constraints[k].definition, &l->said);
    }
}

/* A text that is longer than any number that is named, as lengths are. */
static int longest_of(const struct sql_mentions *m)
{
    int longest = LONG_TEXT;

    for (int i = 0; i < m->numbers.n; i++) {
        long n = strtol(m->numbers.items[i].s, NULL, 10);
        if (n >= longest && n <= LONGEST_TEXT)
            longest = (int) n + 1;
    }
    return longest;
}

bool limits_read(struct proof *p, int state, struct limits *l, struct err *err)
{
    static const char *const dropping[] = {"TRIGGER", "RULE", "FUNCTION", NULL};
    static const char *const acting[] = {"POLICY", "ROW LEVEL", NULL};
    static const char *const judging[] = {"DOMAIN", "VIEW", "INDEX", "TYPE", NULL};
    static const char *const words[] = {"check", "using", "exclude", "stored"};
    const struct step *s = p->t.states[state].task->step;

    l->judges = l->sync != NULL;
    for (int i = 0; s && i < s->n_stmts; i++) {
        sql_mentions_add(p->scratch, s->stmts[i].sql, &l->said);
        l->hides |= is_view_check(&s->stmts[i]);
        l->drops |= is_any(s->stmts[i].kind, dropping) || limits_is_opaque(&s->stmts[i]);
        l->acts |= l->drops || is_any(s->stmts[i].kind, acting);
        l->judges |= is_any(s->stmts[i].kind, judging) || limits_is_opaque(&s->stmts[i]);
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        l->judges |= text_list_has(&l->said.names, words[i]);
    l->judges |= l->acts;
    /* Twice: what a trigger's function calls is named in the function. */
    for (int i = 0; i < 2 && l->judges && !l->sync; i++)
        if (!add_bodies(p, l, err))
            return false;
    if (l->sync)
        add_sync(p, l);
    l->longest = longest_of(&l->said);
    l->detached = trial_detached(p, state);
    return limits_read_domains(p, state, l, err);
}

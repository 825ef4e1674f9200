/* Lints of plans: their steps by the table of lint.c, and what a plan as a whole lacks. */
#include "load/lint_plan.h"

#include "load/lint_int.h"

#include <ctype.h>
#include <string.h>

/* ---- steps ------------------------------------------------------------------------------------------------- */

static bool is_for_postgres(const struct step *s)
{
    return !s->dbms.s || strncmp(s->dbms.s, "postgres", strlen("postgres")) == 0;
}

static bool runs_alone(const struct step *s)
{
    bool alone = s->no_transaction;

    for (int i = 0; i < s->n_stmts; i++)
        alone = alone || s->stmts[i].standalone;
    return alone && s->n_stmts < 2;
}

static void lint_limits(struct lint *l, const struct step *s)
{
    bool is_strong = false;

    for (int i = 0; i < s->n_stmts; i++)
        is_strong = is_strong || s->stmts[i].lock > LOCK_SUE;
    if (!l->r || s->lock_timeout_ms != 0 || !is_strong)
        return;
    l->at = s->sql.at;
    lint_say(l, "lock-timeout-missing", "leave lock_timeout: out, or state one of a second or less",
             "lock_timeout: 0 lets the step wait for its lock for ever, with all others behind it");
}

static void lint_step(struct lint *l, const struct step *s)
{
    struct sql_text text = {s->sql.s, s->sql.at, s->sql.s && strchr(s->sql.s, '\n')};

    if (!s->sql.s || !is_for_postgres(s))
        return;
    l->step = s->id.s;
    l->n_spans = 0;
    lint_text(l, &text, runs_alone(s));
    if (l->r)
        lint_names(l, &text);
    lint_limits(l, s);
}

static void lint_phases(struct lint *l, const struct plan *p)
{
    l->plan = p->id.s;
    for (enum phase ph = PHASE_FIRST; ph <= PHASE_LAST; ph++) {
        const struct phase_plan *phase = &p->phases[ph];

        /* What an earlier phase made, releases know by now that are live in this one. */
        l->unit = ++l->k->last_unit;
        l->seen = (struct seen) {.a = l->a};
        l->in = ph;
        l->phase = phase_word(ph);
        for (int i = 0; i < phase->steps.n; i++)
            lint_step(l, &phase->steps.items[i]);
        for (int i = 0; i < phase->finish.n; i++)
            lint_step(l, &phase->finish.items[i]);
    }
}

/* ---- what contract destroys ----------------------------------------------------------------------------------- */

static bool is_word_char(char c)
{
    return isalnum((unsigned char) c) || c == '_' || (unsigned char) c >= 0x80;
}

static bool mentions(const struct text *sql, const char *name)
{
    size_t n = name ? strlen(name) : 0;

    for (const char *p = sql->s; p && n > 0 && (p = strstr(p, name)); p++)
        if ((p == sql->s || !is_word_char(p[-1])) && !is_word_char(p[n]))
            return true;
    return false;
}

static bool list_mentions(const struct check_list *l, const char *name)
{
    for (int i = 0; i < l->n; i++)
        if (!name || mentions(&l->items[i].sql, name))
            return l->items[i].sql.s != NULL;
    return false;
}

/* Does any check of the plan look at this table? name NULL: is there any? */
static bool is_checked(const struct plan *p, const char *name)
{
    bool found = list_mentions(&p->data_checks, name);

    for (enum phase ph = PHASE_FIRST; ph <= PHASE_LAST; ph++)
        found = found || list_mentions(&p->phases[ph].verify, name);
    for (int i = 0; i < p->n_validation; i++)
        found =
            found || (p->validation[i].sql.s && (!name || mentions(&p->validation[i].sql, name)));
    for (int i = 0; i < p->n_requires; i++)
        found = found || (p->requires[i].sql.s && (!name || mentions(&p->requires[i].sql, name)));
    for (int i = 0; i < p->n_gates; i++)
        found = found || (p->gates[i].sql.s && (!name || mentions(&p->gates[i].sql, name)));
    return found;
}

static bool is_verified(const struct plan *p)
{
    for (enum phase ph = PHASE_FIRST; ph <= PHASE_LAST; ph++)
        if (p->phases[ph].verify.n > 0 || p->phases[ph].compare.present)
            return true;
    for (int i = 0; i < p->n_validation; i++)
        if (p->validation[i].sql.s || p->validation[i].probe.s)
            return true;
    return false;
}

static struct finding *say(struct report *r, const struct plan *p, const struct step *s,
                           const char *rule, struct pos at, const char *help, const char *message)
{
    struct finding *f = report_add(r, rule, at, "%s", message);

    f->plan = arena_strdup(&r->arena, p->id.s);
    f->phase = phase_word(PHASE_CONTRACT);
    f->step = s ? arena_strdup(&r->arena, s->id.s) : NULL;
    f->help = help;
    return f;
}

static bool converts(const char *kind) { return strstr(kind, " COLUMN TYPE") != NULL; }

/* An index, a constraint or a role holds none; those of a partition that is taken out are still there. */
static bool has_rows(const struct sql_stmt *s)
{
    static const char *const with[] = {"DROP TABLE",       "DROP FOREIGN TABLE", "DROP SCHEMA",
                                       "DROP OWNED",       "DROP DATABASE",      "DROP TABLESPACE",
                                       "DROP SUBSCRIPTION"};

    if (strncmp(s->kind, "ALTER", strlen("ALTER")) == 0)
        return strstr(s->kind, "DROP COLUMN") || strstr(s->kind, "DROP ATTRIBUTE") ||
               converts(s->kind) || strstr(s->kind, "UNLOGGED");
    for (size_t i = 0; i < sizeof with / sizeof *with; i++)
        if (strncmp(s->kind, with[i], strlen(with[i])) == 0)
            return true;
    /* Columns of the type go with it, and tables of the extension. */
    return strncmp(s->kind, "DROP", strlen("DROP")) != 0 || s->cascades;
}

static const char *what_of(const char *kind)
{
    if (converts(kind))
        return "makes other values of those";
    return strstr(kind, "DROP COLUMN") || strstr(kind, "DROP ATTRIBUTE") ? "destroys values"
                                                                         : "destroys rows";
}

static bool destroys_data(const struct sql_stmt *s)
{
    return s->class == SQL_DESTRUCTIVE &&
           (s->drop == DROP_COLUMN || s->drop == DROP_TABLE ||
            ((s->drop == DROP_OTHER || s->drop == DROP_NOT) && has_rows(s))) &&
           !strstr(s->kind, "RENAME") && !strstr(s->kind, "SET SCHEMA");
}

static void lint_destroyed(struct report *r, const struct plan *p, const struct step *step,
                           const struct sql_stmt *s)
{
    struct arena *a = &r->arena;

    if (s->class != SQL_DESTRUCTIVE || strstr(s->kind, "RENAME") || strstr(s->kind, "SET SCHEMA"))
        return;
    if (s->drop == DROP_OTHER)
        say(r, p, step, "drop-without-quarantine", s->at,
            "one statement for each thing that goes: a column, table, index, constraint, view, "
            "trigger "
            "or function can be hidden first",
            arena_printf(a, "%s can't be hidden for a while before it is final", s->kind));
    if (destroys_data(s) && (s->drop == DROP_OTHER || s->drop == DROP_NOT) &&
        !is_checked(p, s->table))
        say(r, p, step, "destructive-without-precheck", s->at,
            "data_checks: or verify: with a query that says nobody needs the rows",
            arena_printf(a, "%s %s%s%s, and no check of the plan looks at them", s->kind,
                         what_of(s->kind), s->table ? " of " : "", s->table ? s->table : ""));
}

static void lint_contract(struct report *r, const struct plan *p)
{
    const struct phase_plan *c = &p->phases[PHASE_CONTRACT];
    const struct sql_stmt *first = NULL;
    const struct step *of_first = NULL;
    bool moves = p->sync.by != SYNC_NONE || p->phases[PHASE_DUAL_READ].backfill.n > 0 ||
                 p->phases[PHASE_WRITE_ACTIVATION].backfill.n > 0;

    for (int i = 0; i < c->steps.n + c->finish.n; i++) {
        const struct step *step =
            i < c->steps.n ? &c->steps.items[i] : &c->finish.items[i - c->steps.n];

        for (int k = 0; k < step->n_stmts; k++) {
            lint_destroyed(r, p, step, &step->stmts[k]);
            if (!first && destroys_data(&step->stmts[k]))
                first = &step->stmts[k], of_first = step;
        }
    }
    if (first && moves && !is_verified(p))
        say(r, p, of_first, "verify-query-missing", first->at,
            "verify: in write_activation with a query that counts rows in which old and new differ",
            arena_printf(&r->arena,
                         "%s destroys what was moved, and nothing in the plan compares old and new",
                         first->kind));
    if (first && c->hold_ms == 0)
        say(r, p, of_first, "drop-without-quarantine", first->at, "hold: 24h, or longer",
            "hold: 0 leaves no time to miss what is gone");
}

static void say_restrictive(struct report *r, const struct plan *p, const struct step *step,
                            const struct sql_stmt *s)
{
    /* It binds the owner alone, and only once row level security is on. */
    bool is_forced = strcmp(s->kind, "ALTER TABLE FORCE ROW LEVEL SECURITY") == 0;
    struct finding *f =
        say(r, p, step, "unproven-write", s->at,
            "check without --static asks a server, with the statements of the releases; or "
            "move it to finish: of a later phase, or to contract",
            arena_printf(&r->arena, "%s is restrictive%s: %s", s->kind,
                         is_forced ? " for the owner of the table" : "",
                         s->class_why ? s->class_why : ""));

    f->phase = phase_word(PHASE_EXPAND);
    if (is_forced)
        f->severity = SEVERITY_NOTE;
}

/* Only a server can tell whether live writers keep to it. */
static void lint_expand(struct report *r, const struct plan *p)
{
    const struct phase_plan *e = &p->phases[PHASE_EXPAND];

    for (int i = 0; i < e->steps.n + e->finish.n; i++) {
        const struct step *step =
            i < e->steps.n ? &e->steps.items[i] : &e->finish.items[i - e->steps.n];

        for (int k = 0; k < step->n_stmts; k++)
            if (step->stmts[k].class == SQL_RESTRICTIVE)
                say_restrictive(r, p, step, &step->stmts[k]);
    }
}

/* As `new` writes it. One of flags only says so: expand: {none: ...}. */
static void lint_empty(struct report *r, const struct plan *p)
{
    bool is_asked = p->phases[PHASE_EXPAND].present || p->phases[PHASE_CONTRACT].present;

    for (enum phase ph = PHASE_FIRST; ph <= PHASE_LAST; ph++)
        is_asked = is_asked && p->phases[ph].steps.n == 0 && p->phases[ph].finish.n == 0 &&
                   p->phases[ph].backfill.n == 0;
    if (!is_asked || p->sync.by != SYNC_NONE)
        return;
    struct pos at = p->phases[p->phases[PHASE_EXPAND].present ? PHASE_EXPAND : PHASE_CONTRACT].at;
    at.file = arena_strdup(&r->arena, at.file);
    struct finding *f =
        report_add(r, "plan-empty", at, "the plan changes nothing yet, so nothing of it is proved");

    f->plan = arena_strdup(&r->arena, p->id.s);
    f->help = "fill in steps: of expand and contract, and backfill: with sync: where rows move; a "
              "phase that isn't needed is {none: why}";
}

/* ---- all plans ---------------------------------------------------------------------------------------------------- */

void lint_plans(const struct plan_set *set, const struct lint_options *o,
                bool (*wanted)(void *ctx, const struct plan *p), void *ctx, struct report *out)
{
    AUTO(arena) a = {0};
    struct lint_known *k = lint_known_new(&a);
    const struct plan **order = arena_array(&a, const struct plan *, set->n_plans + 1);
    struct release_facts *facts = release_facts_new(&a, set, o);

    for (int i = 0; i < o->n_baseline; i++)
        lint_known_learn(k, o->baseline[i]);
    plan_set_order(set, order);
    for (int i = 0; i < set->n_plans; i++) {
        bool is_wanted = !wanted || wanted(ctx, order[i]);
        struct lint l = {.a = &a, .k = k, .r = is_wanted ? out : NULL, .of = order[i]};

        lint_phases(&l, order[i]);
        if (!is_wanted)
            continue;
        lint_fks(k, out);
        lint_contract(out, order[i]);
        lint_empty(out, order[i]);
        if (!o->shadow_follows)
            lint_expand(out, order[i]);
        lint_plan_releases(facts, order[i], out);
    }
    lint_unknown(&a, set, o, out);
}

/* ---- problems of rules ------------------------------------------------------------------------------------------------ */

static bool holds(const struct step *s, struct pos at)
{
    int lines = 0;

    for (const char *c = s->sql.s; c && *c; c++)
        lines += *c == '\n';
    return s->sql.s && at.line >= s->sql.at.line && at.line <= s->sql.at.line + lines;
}

static void name_step(const struct plan *p, struct finding *f, struct arena *a)
{
    for (enum phase ph = PHASE_FIRST; ph <= PHASE_LAST; ph++) {
        const struct phase_plan *phase = &p->phases[ph];

        for (int i = 0; i < phase->steps.n + phase->finish.n; i++) {
            const struct step *s = i < phase->steps.n ? &phase->steps.items[i]
                                                      : &phase->finish.items[i - phase->steps.n];

            if (!holds(s, f->at))
                continue;
            f->plan = arena_strdup(a, p->id.s);
            f->phase = phase_word(ph);
            f->step = arena_strdup(a, s->id.s);
        }
    }
}

void lint_problems(const struct plan_set *set, struct problem_list *problems, struct report *out)
{
    int n = 0;

    for (int i = 0; i < problems->n; i++) {
        const struct problem *p = &problems->items[i];
        struct pos at = p->at;
        struct finding *f;

        if (!p->rule || !rule_find(p->rule)) {
            problems->items[n++] = *p;
            continue;
        }
        at.file = arena_strdup(&out->arena, at.file);
        f = report_add(out, p->rule, at, "%s", p->message);
        f->help = arena_strdup(&out->arena, p->hint);
        for (int k = 0; at.file && k < set->n_plans; k++)
            if (set->plans[k].file && strcmp(set->plans[k].file, at.file) == 0)
                name_step(&set->plans[k], f, &out->arena);
    }
    problems->n = n;
}

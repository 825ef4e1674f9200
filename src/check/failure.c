/* A step that fails on the shadow: in the words of the author, and with a way out that phasegate has. */
#include "check/work.h"

/* Nobody wrote the schema, nor the names, under which a soft drop hides things. */
static const char *failure_words(struct proof *p, const char *text)
{
    static const char hold[] = HOLD_SCHEMA ".";
    const char *held;

    while (text && (held = strstr(text, hold)))
        text = arena_printf(p->a, "%.*s%s", (int) (held - text), text, held + strlen(hold));
    for (int i = 0; text && i < p->n_hidden; i++) {
        const struct hidden *h = &p->hidden[i];
        const char *hidden = h->hidden_name, *own = h->column ? h->column : h->table;
        AUTO(str) out = {0};

        if (!hidden || !own || !strstr(text, hidden))
            continue;
        for (const char *at; (at = strstr(text, hidden)); text = at + strlen(hidden)) {
            str_addn(&out, text, (size_t) (at - text));
            str_add(&out, own);
        }
        str_add(&out, text);
        text = arena_strdup(p->a, str_text(&out));
    }
    return text;
}

/* "view open_tickets depends on column fullname of table customers", a line for each. */
static const char *way_of_dependants(struct proof *p, const char *detail)
{
    AUTO(str) names = {0};

    for (const char *line = detail; line && *line; line += line[strcspn(line, "\n")] == '\n') {
        size_t n = strcspn(line, "\n");
        const char *one = arena_strndup(p->scratch, line, n), *end = strstr(one, " depends on ");

        if (end)
            str_addf(&names, "%s%.*s", names.len ? ", " : "", (int) (end - one), one);
        line += n;
    }
    return names.len ? arena_printf(p->a, "drop or replace %s in an earlier step", str_text(&names))
                     : NULL;
}

static bool is_of(const struct cat_relation *r, const unsigned *some, int n)
{
    for (int i = 0; i < n; i++)
        for (int k = 0; k < r->n_uses; k++)
            if (r->uses[k] == some[i])
                return true;
    return false;
}

/* Views that are made of this one, or of such; the catalogue has a view behind those that it's made of only mostly. */
static const char *views_above(struct proof *p, const char *name)
{
    unsigned *some = arena_array(p->scratch, unsigned, p->now.n_relations + 1);
    const struct cat_relation *first = cat_find(&p->now, NULL, NULL, name);
    AUTO(str) names = {0};
    int n = 0, before = 0;

    if (!first)
        return "";
    some[n++] = first->oid;
    while (n > before) {
        before = n;
        for (int i = 0; i < p->now.n_relations; i++) {
            const struct cat_relation *r = &p->now.relations[i];
            bool known = false;

            for (int k = 0; k < n; k++)
                known |= some[k] == r->oid;
            if (known || !is_of(r, some, n))
                continue;
            some[n++] = r->oid;
            str_addf(&names, "%s%s", names.len ? ", " : "", r->name);
        }
    }
    return arena_strdup(p->a, str_text(&names));
}

/* "rule _RETURN on view few depends on column "amount"": a view has its columns' types as they were. */
static const char *way_of_typed(struct proof *p, const char *detail)
{
    static const char rule[] = "rule _RETURN on ";
    const char *end = detail ? strstr(detail, " depends on column") : NULL;

    if (!end || strncmp(detail, rule, strlen(rule)) != 0)
        return NULL;
    const char *at = detail + strlen(rule), *view = strstr(at, "view ");
    if (!view || view > end)
        return NULL;
    view += strlen("view ");
    view = arena_printf(p->a, "%.*s", (int) (end - view), view);
    const char *dot = strrchr(view, '.'), *above = views_above(p, dot ? dot + 1 : view);
    return arena_printf(
        p->a,
        "drop and create it in this step, around the change: DROP %.*s %s%s%s%s, then what the "
        "step does, then CREATE with the query that it has now, and its GRANTs once more",
        at[0] == 'm' ? (int) strlen("MATERIALIZED VIEW") : (int) strlen("VIEW"),
        at[0] == 'm' ? "MATERIALIZED VIEW" : "VIEW", view, *above ? " (before it " : "", above,
        *above ? ", which is made of it)" : "");
}

/* On a server of the user's roles are others' as well. */
static const char *way_of_role(const struct proof *p, int state, struct pos at)
{
    const struct task *t = p->t.states[state].task;

    for (int i = 0; t && t->step && i < t->step->n_stmts; i++)
        if (setting_is(&t->step->stmts[i]) && t->step->stmts[i].at.line == at.line &&
            t->step->stmts[i].at.col == at.col)
            return "steps run as a role that alters no other: on the server that phasegate starts "
                   "(without --shadow) it is tried where the baseline or a release names the role, "
                   "and no superuser; else set it where roles are made, outside of the plan";
    return NULL;
}

/* They aren't the database's, so a plan, which goes back, isn't where they are made. */
static bool makes_role(const struct wire_result *r)
{
    return strstr(r->message, "permission denied to create role") != NULL;
}

/* What a restore brings back finds another one of its name. */
static const char *way_of_restore(const struct proof *p, int state, const struct wire_result *r)
{
    static const char *const taken[] = {"42701", "42P07", "42723"}; /* column, relation, function */

    if (p->t.states[state].by != STATE_RESTORE)
        return NULL;
    /* A constraint, a trigger. */
    if (strcmp(r->sqlstate, "42710") == 0)
        return "until the purge the old one may come back under its name: give the new one another "
               "name, or let one step drop the old one and make the new one, which waits for the "
               "purge as a whole";
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (strcmp(r->sqlstate, taken[i]) == 0)
            return "until the purge the old one may come back under its name: give the new one "
                   "another name, or make it in a later plan, once this one is purged";
    return NULL;
}

static const char *failure_way(struct proof *p, int state, struct pos at,
                               const struct wire_result *r)
{
    const char *detail = failure_words(p, r->detail), *hint = failure_words(p, r->hint),
               *way = NULL;

    if (strcmp(r->sqlstate, "2BP01") == 0)
        way = way_of_dependants(p, detail);
    else if (strcmp(r->sqlstate, "0A000") == 0)
        way = way_of_typed(p, detail);
    else if (makes_role(r))
        way = "a role is the whole server's, and no step makes one: make it outside of the plan, "
              "where "
              "roles are made, and write CREATE ROLE into the baseline, which the proof knows it "
              "from";
    else if (strcmp(r->sqlstate, "42501") == 0)
        way = way_of_role(p, state, at);
    else
        way = way_of_restore(p, state, r);
    if (way)
        return way;
    if (!detail && !hint)
        return "what comes after it is checked as if the step had not been there";
    return arena_printf(p->a, "%s%s%s", detail ? detail : "", detail && hint ? "; " : "",
                        hint ? hint : "");
}

bool failure_is_bare(struct proof *p, const char *sqlstate, const char *message)
{
    const struct project *project = &p->set->project;

    if (project->baseline.s || p->o->baseline_from ||
        (strcmp(sqlstate, "42P01") != 0 && strcmp(sqlstate, "3F000") != 0))
        return false;
    if (p->told_bare)
        return true;
    p->told_bare = true;
    struct finding *f =
        report_add(p->report, "step-fails-on-shadow", (struct pos) {project->file, 0, 0},
                   "the project has no baseline:, and what is there before its plans isn't known: "
                   "%s",
                   message);
    f->sqlstate = arena_strdup(p->a, sqlstate);
    f->help =
        "baseline: in the project file, with a schema dump (pg_dump --schema-only --no-owner) "
        "or the folder of migrations; or --baseline-from URL";
    return true;
}

/* A state that is come to again has been told of. */
struct finding *step_finding(struct proof *p, int state, const char *rule, struct pos at,
                             const char *message)
{
    const struct timeline_state *s = &p->t.states[state];
    struct finding *f = report_add(p->report, rule, at, "%s", message);

    f->plan = p->t.plans[s->plan]->id.s;
    f->phase = phase_word(s->phase);
    f->step = s->task && s->task->step ? s->task->step->id.s : s->task ? s->task->id : NULL;
    return f;
}

/* What contract hides is dropped by itself in the end, whatever the author wrote behind it. */
static bool is_cascade(const struct proof *p, int state, const struct wire_result *r)
{
    const struct task *t = p->t.states[state].task;

    return strcmp(r->sqlstate, "2BP01") == 0 && t && t->step && t->step->n_stmts > 0 &&
           t->step->stmts[0].cascades && (t->kind == TASK_SOFT_DROP || t->kind == TASK_PURGE_DROP);
}

/* The step whose drop is written there, in a state in which it's brought back; NULL: it isn't such. */
static const struct step *restored_step(const struct proof *p, int state, struct pos at)
{
    for (int i = 0; p->t.states[state].by == STATE_RESTORE && i < p->n_hidden; i++) {
        const struct step *s = p->hidden[i].task->step;

        if (s->stmts[0].at.line == at.line && s->stmts[0].at.col == at.col &&
            p->hidden[i].plan == p->t.states[state].plan)
            return s;
    }
    return NULL;
}

void failure_report(struct proof *p, int state, struct pos at, const struct wire_result *r)
{
    if (failure_is_bare(p, r->sqlstate, failure_words(p, r->message))) {
        p->broken[state] = true;
        return;
    }
    const struct step *back = restored_step(p, state, at);
    bool no_extension = strstr(r->message, "extension") &&
                        (strcmp(r->sqlstate, "0A000") == 0 || strcmp(r->sqlstate, "58P01") == 0);
    struct finding *f = step_finding(
        p, state,
        no_extension              ? "extension-missing"
        : is_cascade(p, state, r) ? "dependents-cascaded"
                                  : "step-fails-on-shadow",
        at,
        arena_printf(p->a, "%s fails: %s%s",
                     back ? "restore, which brings back what the step hides," : "the step",
                     failure_words(p, r->message),
                     is_cascade(p, state, r)
                         ? ", and in contract CASCADE takes nothing along but foreign "
                           "keys to a table"
                         : ""));

    if (back)
        f->step = back->id.s;
    p->endless[state] = is_too_long(r->sqlstate, r->message);
    if (p->endless[state])
        f->message = arena_printf(p->a, "the step doesn't end within %d s", STEP_MS / 1000);
    else if (strcmp(r->sqlstate, "57014") == 0)
        f->message =
            arena_printf(p->a, "the step cancels itself: %s", failure_words(p, r->message));
    f->sqlstate = arena_strdup(p->a, r->sqlstate);
    f->help = failure_way(p, state, at, r);
    p->broken[state] = true;
}

/* A statement that works in no state of the database: whose fault is it, and what mends it? */
#include "check/blame.h"
#include "check/rights.h"

#include <ctype.h>

/* ---- whose fault ------------------------------------------------------------------------------------------ */

static int first_listed(const struct proof *p)
{
    for (int i = 0; i < p->t.n_releases; i++)
        if (!p->t.releases[i].is_projected)
            return i;
    return 0;
}

/* It, or the same text, was live before the plans began. */
static bool is_of_baseline(const struct proof *p, const struct app_statement *a)
{
    int first = first_listed(p);

    if (p->t.releases[a->release].is_consumer || a->release <= first)
        return true;
    for (int i = 0; i < p->n_app; i++)
        if (p->app[i].release <= first && strcmp(p->app[i].s->dollar_sql, a->s->dollar_sql) == 0)
            return true;
    return false;
}

/* Where only one transition is looked at, what other plans make isn't there. Of a parameter without a type (42P18)
 * the client may know more than the text. */
static const char *rule_of_missing(const struct proof *p, const struct app_statement *a,
                                   const struct outcome *o)
{
    if (p->o->next || p->t.releases[a->release].is_projected || is_of_baseline(p, a) ||
        strcmp(o->sqlstate, "42P18") == 0)
        return "failing-at-baseline";
    return strcmp(o->sqlstate, "42501") == 0 ? "grants-missing-for-app-role"
                                             : "new-query-needs-later-state";
}

/* ---- before a transition ------------------------------------------------------------------------------------ */

/* Where the application keeps both sides equal, reads wait for write_activation. */
static bool raises(const struct plan *p, enum phase phase, enum flag_role role)
{
    bool reads_wait = p->sync.by == SYNC_COHORT || p->sync.by == SYNC_APPLICATION;

    if (role == FLAG_WRITE)
        return phase == PHASE_WRITE_ACTIVATION;
    return phase == PHASE_DUAL_READ || (phase == PHASE_WRITE_ACTIVATION && reads_wait);
}

/* What this phase switches on, nobody has run so far. */
static bool is_switched_on(const struct plan *p, enum phase phase, const struct statement *s)
{
    for (int i = 0; i < s->n_when; i++)
        for (int r = 0; r < FLAG_ROLES; r++)
            if (s->when[i].on && p->flags[r].key.s && raises(p, phase, (enum flag_role) r) &&
                strcmp(s->when[i].flag, p->flags[r].key.s) == 0)
                return true;
    return false;
}

/* A release that is live and fails already isn't made worse. The one that the transition is for is about to be served,
 * though, and so are the variants that it switches on. */
static bool is_about_to_be_served(const struct proof *p, const struct app_statement *a)
{
    const struct timeline_next *next = p->o->next;

    if (!next || next->is_purge)
        return false;
    if (!p->t.releases[a->release].is_consumer &&
        strcmp(p->t.releases[a->release].version, next->release) == 0)
        return true;
    for (int i = 0; i < p->t.n_plans; i++)
        if (strcmp(p->t.plans[i]->id.s, next->plan) == 0)
            return is_switched_on(p->t.plans[i], next->phase, a->s);
    return false;
}

/* It can be planned, and what it calls can't: with values of nobody's making that is no matter of rows. */
bool missing_in_body(const struct proof *p, const struct app_statement *a, const struct outcome *o)
{
    return strncmp(o->sqlstate, "42", 2) == 0 && (a->q->sets[0].n == 0 || a->q->sets[0].is_given) &&
           is_about_to_be_served(p, a);
}

/* 42P18: the client may know the type of the parameter. */
static void judge_served(const struct proof *p, const struct app_statement *a,
                         const struct outcome *o, struct finding *f)
{
    if (strcmp(o->sqlstate, "42P18") != 0 && is_about_to_be_served(p, a))
        f->severity = SEVERITY_ERROR;
}

/* ---- names -------------------------------------------------------------------------------------------------- */

/* In quotes or not. */
const char *missing_name(struct proof *p, const char *message, const char *what)
{
    const char *at = strstr(message, what);
    size_t n;

    if (!at)
        return NULL;
    at += strlen(what);
    at += *at == '"';
    n = strcspn(at, "\"");
    if (!at[n])
        n = strcspn(at, " ");
    for (size_t i = n; i > 0; i--)
        if (at[i - 1] == '.')
            return arena_strndup(p->a, at + i, n - i);
    return arena_strndup(p->a, at, n);
}

static bool is_hidden_name(const char *name) { return strncmp(name, "_drop_", 6) == 0; }

static bool is_table(const struct cat_relation *r) { return strchr("rpvmf", r->kind) != NULL; }

struct nearest {
    const char *name;  /* NULL: none */
    const char *table; /* of a column: whose it is */
    const char *where; /* the same name in a schema that the session doesn't look in; NULL */
};

static const struct cat_relation *relation_of(const struct proof *p, const struct query *q, int rel)
{
    const char *path = p->sessions[q->session].search_path;
    const struct fact_rel *f = &q->facts.rels[rel];
    const struct cat_relation *r = cat_find(&p->baseline, path, f->schema, f->name);

    return r ? r : cat_find(&p->now, path, f->schema, f->name);
}

static struct nearest nearest_column(struct proof *p, const struct query *q, const char *word)
{
    struct nearest out = {0};

    for (int i = 0; i < q->facts.n_rels && !out.name; i++) {
        const struct cat_relation *r = relation_of(p, q, i);
        const char **words = r ? arena_array(p->a, const char *, r->n_columns + 1) : NULL;
        int n = 0;

        for (int k = 0; r && k < r->n_columns; k++)
            if (!is_hidden_name(r->columns[k].name) && strcmp(r->columns[k].name, word) != 0)
                words[n++] = r->columns[k].name;
        out.name = r ? name_nearest(word, words) : NULL;
        if (r && (out.name || q->facts.n_rels == 1))
            out.table = r->name;
    }
    return out;
}

static struct nearest nearest_relation(struct proof *p, const char *word)
{
    const struct catalogue *all[] = {&p->baseline, &p->now};
    const char **words =
        arena_array(p->a, const char *, p->baseline.n_relations + p->now.n_relations + 1);
    struct nearest out = {0};
    int n = 0;

    for (int c = 0; c < 2; c++)
        for (int i = 0; i < all[c]->n_relations; i++) {
            const struct cat_relation *r = &all[c]->relations[i];

            if (!is_table(r) || is_hidden_name(r->name) || strcmp(r->schema, "phasegate") == 0)
                continue;
            if (strcmp(r->name, word) == 0)
                out.where = arena_strdup(p->a, r->schema);
            else
                words[n++] = r->name;
        }
    out.name = out.where ? NULL : arena_strdup(p->a, name_nearest(word, words));
    return out;
}

/* ---- the way out ---------------------------------------------------------------------------------------------- */

/* Did somebody take it away, or was it never there? Only a look at the baseline of before tells. */
static const char *way_of_baseline(struct proof *p, const struct query *q)
{
    if (p->o->next)
        return "the database lacks it as it is now, with what is to begin as without it: bring it "
               "back, make it in a plan that comes before, or mend the statement";
    if (q->failed_before)
        return "the baseline lacks it, and did before this branch: add it there, mend the "
               "statement, or take a release that doesn't live any more out of releases:";
    if (p->before_unknown)
        return arena_printf(p->a,
                            "the baseline lacks it, and whether it did before this branch isn't "
                            "known: %s",
                            p->before_unknown);
    return arena_printf(
        p->a,
        "the baseline lacks it. Where it never was there: add it there, or mend the statement. "
        "Where %s took it away: that comes too early while the release is live, make it a plan "
        "(check --since BRANCH tells what a branch takes away); else take the release out of "
        "releases:",
        p->o->baseline_is_folder ? "a migration" : "a change");
}

/* Who has to make what lacks: somebody before the first release, or a plan. */
static const char *maker(struct proof *p, const struct app_statement *a, const struct outcome *o,
                         bool is_baselines)
{
    if (is_baselines)
        return way_of_baseline(p, a->q);
    const char *version = p->t.releases[a->release].version;
    const struct taken *taken = o ? taken_of(p, a->q, o) : NULL;
    if (taken)
        return arena_printf(p->a,
                            "%s:%d takes it away (%s): mend the statement; where that hasn't run "
                            "in production yet, make it a plan (phasegate new NAME), bound to a "
                            "release after the last that needs it",
                            taken->at.file, taken->at.line, taken->kind);
    return arena_printf(
        p->a, "no plan makes it: make it in expand of a plan, bound to %s or an earlier release",
        version);
}

static const char *help_for_name(struct proof *p, const struct app_statement *a,
                                 const struct outcome *o, const struct nearest *near,
                                 bool is_baselines)
{
    const char *how = maker(p, a, o, is_baselines);

    if (near->where)
        return arena_printf(p->a,
                            "schema %s has it: name the schema in the statement, or put it into "
                            "session.search_path of the release",
                            near->where);
    return near->name ? arena_printf(p->a, "did you mean \"%s\"? Else %s", near->name, how) : how;
}

/* Which style of parameters does a text that isn't SQL look like? NULL: none. */
static const char *style_of(const char *sql)
{
    char quote = 0;

    for (const char *s = sql; *s; s++) {
        if (quote || *s == '\'' || *s == '"') {
            quote = !quote ? *s : *s == quote ? '\0' : quote;
            continue;
        }
        if (*s == '?')
            return "question";
        if (*s == '%' && (s[1] == 's' || s[1] == '('))
            return "percent";
        if (*s == ':' && (isalpha((unsigned char) s[1]) || s[1] == '_') &&
            (s == sql || s[-1] != ':'))
            return "colon";
    }
    return NULL;
}

static const char *help_for_syntax(struct proof *p, const struct app_statement *a)
{
    const char *style = style_of(a->q->sql);

    if (!style)
        return "it is no SQL that this server understands: mend the statement";
    return arena_printf(
        p->a,
        "if that is a parameter, say how the release writes them: \"params: %s\" at "
        "release %s in the project file",
        style, p->t.releases[a->release].version);
}

/* ---- one finding for one cause ---------------------------------------------------------------------------------- */

static struct absent *absent_for(struct proof *p, const char *key)
{
    for (int i = 0; i < p->n_absent; i++)
        if (strcmp(p->absent[i].key, key) == 0)
            return &p->absent[i];
    p->absent = arena_more(p->a, p->absent, sizeof *p->absent, p->n_absent);
    p->absent[p->n_absent] = (struct absent) {.key = key, .finding = -1};
    return &p->absent[p->n_absent++];
}

static const char *key_of(struct proof *p, const char *rule, const struct outcome *o,
                          const char *object, const char *table)
{
    return arena_printf(p->a, "%s %s %s %s", rule, o->sqlstate, object ? object : o->message,
                        table ? table : "");
}

static const char *with_end(struct proof *p, const char *help, bool is_baselines)
{
    return is_baselines ? arena_printf(p->a, "%s; until then nothing is proved of it", help) : help;
}

void missing_report(struct proof *p, const struct app_statement *a, const struct timeline_world *w,
                    const struct outcome *o)
{
    const char *rule = rule_of_missing(p, a, o), *help, *object = NULL;
    bool is_baselines = strcmp(rule, "failing-at-baseline") == 0;
    struct nearest near = {0};

    /* What stands in for a release that nobody has written says nothing new. */
    if (p->t.releases[a->release].is_projected && a->q->never)
        return;
    a->q->never = true;
    if (before_report(p, a, w, o) || failure_is_bare(p, o->sqlstate, o->message))
        return;
    if (strcmp(o->sqlstate, "42703") == 0 && (object = missing_name(p, o->message, "column ")))
        near = nearest_column(p, a->q, object);
    else if (strcmp(o->sqlstate, "42P01") == 0 &&
             (object = missing_name(p, o->message, "relation ")))
        near = nearest_relation(p, object);
    if (object)
        help = help_for_name(p, a, o, &near, is_baselines);
    else if (strcmp(o->sqlstate, "42601") == 0)
        help = help_for_syntax(p, a);
    else if (strcmp(o->sqlstate, "42P18") == 0)
        help = "the server can't tell the type of a parameter: cast it, as in $1::int";
    else
        help = is_baselines ? "it fails in every state of the database that there is, with or "
                              "without the plans"
                            : maker(p, a, o, false);

    struct absent *known = absent_for(p, key_of(p, rule, o, object, near.table));
    const char *kind, *name;
    bool is_right = strcmp(o->sqlstate, "42501") == 0;
    if (is_right && rights_denied(p, o->message, &kind, &name))
        known->rights |= rights_of(a->q, name);
    if (is_right)
        help = rights_help(p, a, o, known->rights, is_of_baseline(p, a));
    if (known->finding >= 0) {
        if (is_right)
            p->report->findings[known->finding].help = with_end(p, help, is_baselines);
        place_add(p, &p->report->findings[known->finding], a);
        if (is_baselines)
            taken_tell(p, a, o, &p->report->findings[known->finding], known);
        judge_served(p, a, o, &p->report->findings[known->finding]);
        return;
    }
    struct finding *f = finding_of_statement(p, a, w, rule, a->s->sql_at, o, o->message);
    f->help = with_end(p, help, is_baselines);
    if (is_baselines)
        taken_tell(p, a, o, f, known);
    judge_served(p, a, o, f);
    if (!is_baselines)
        f->level = "statement";
    known->finding = (int) (f - p->report->findings);
}

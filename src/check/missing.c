/* A statement that works in no state of the database: whose fault is it, and what mends it? */
#include "check/work.h"

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

/* ---- names -------------------------------------------------------------------------------------------------- */

/* The word behind "column " or "relation ", in quotes or not, without its schema or alias. */
static const char *named_in(struct proof *p, const char *message, const char *what)
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

/* Who has to make what lacks: somebody before the first release, or a plan. */
static const char *maker(struct proof *p, const struct app_statement *a, bool is_baselines)
{
    if (is_baselines)
        return "the baseline lacks it: add it there, or mend the statement";
    return arena_printf(p->a,
                        "no plan makes it: make it in expand of a plan, bound to %s or an earlier "
                        "release",
                        p->t.releases[a->release].version);
}

static const char *help_for_name(struct proof *p, const struct app_statement *a,
                                 const struct nearest *near, bool is_baselines)
{
    const char *how = maker(p, a, is_baselines);

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

static const char *right_of(const struct query *q, const char *table)
{
    static const char *const words[] = {
        [VERB_SELECT] = "SELECT", [VERB_INSERT] = "INSERT", [VERB_UPDATE] = "UPDATE",
        [VERB_DELETE] = "DELETE", [VERB_MERGE] = "UPDATE",  [VERB_OTHER] = "ALL",
    };

    for (int i = 0; i < q->facts.n_writes; i++)
        if (q->facts.writes[i].table && strcmp(q->facts.writes[i].table, table) == 0)
            return words[q->facts.writes[i].verb];
    return "SELECT";
}

/* "permission denied for table orders" */
static const char *help_for_right(struct proof *p, const struct app_statement *a,
                                  const struct outcome *o)
{
    const char *role = p->sessions[a->q->session].role;
    const char *at = strstr(o->message, "permission denied for "), *grant;

    at = at ? at + strlen("permission denied for ") : "";
    size_t n = strcspn(at, " ");
    const char *kind = arena_strndup(p->a, at, n), *name = at[n] ? at + n + 1 : "it";
    const struct cat_relation *r = cat_find(&p->baseline, NULL, NULL, name);

    if (!role)
        role = "the role of the session";
    if (strcmp(kind, "schema") == 0)
        grant = arena_printf(p->a, "GRANT USAGE ON SCHEMA %s TO %s", name, role);
    else if (strcmp(kind, "sequence") == 0)
        grant = arena_printf(p->a, "GRANT USAGE ON SEQUENCE %s TO %s", name, role);
    else if (strcmp(kind, "function") == 0 || strcmp(kind, "procedure") == 0)
        grant = arena_printf(p->a, "GRANT EXECUTE ON %s %s TO %s", kind, name, role);
    else
        grant = arena_printf(p->a, "GRANT %s ON %s TO %s", right_of(a->q, name), name, role);
    bool is_plans = !r && strcmp(kind, "schema") != 0 && !is_of_baseline(p, a);
    return arena_printf(p->a, "%s lacks the right: %s, in %s", role, grant,
                        is_plans ? "the step that makes it" : "the baseline");
}

/* ---- one finding for one cause ---------------------------------------------------------------------------------- */

static struct absent *absent_for(struct proof *p, const char *key)
{
    for (int i = 0; i < p->n_absent; i++)
        if (strcmp(p->absent[i].key, key) == 0)
            return &p->absent[i];
    p->absent = arena_grow(p->a, p->absent, sizeof *p->absent * (size_t) p->n_absent,
                           sizeof *p->absent * (size_t) (p->n_absent + 1));
    p->absent[p->n_absent] = (struct absent) {key, -1};
    return &p->absent[p->n_absent++];
}

static const char *key_of(struct proof *p, const char *rule, const struct outcome *o,
                          const char *object, const char *table)
{
    return arena_printf(p->a, "%s %s %s %s", rule, o->sqlstate, object ? object : o->message,
                        table ? table : "");
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
    if (failure_is_bare(p, o->sqlstate, o->message))
        return;
    if (strcmp(o->sqlstate, "42703") == 0 && (object = named_in(p, o->message, "column ")))
        near = nearest_column(p, a->q, object);
    else if (strcmp(o->sqlstate, "42P01") == 0 && (object = named_in(p, o->message, "relation ")))
        near = nearest_relation(p, object);
    if (object)
        help = help_for_name(p, a, &near, is_baselines);
    else if (strcmp(o->sqlstate, "42601") == 0)
        help = help_for_syntax(p, a);
    else if (strcmp(o->sqlstate, "42501") == 0)
        help = help_for_right(p, a, o);
    else if (strcmp(o->sqlstate, "42P18") == 0)
        help = "the server can't tell the type of a parameter: cast it, as in $1::int";
    else
        help = is_baselines ? "it fails in every state of the database that there is, with or "
                              "without the plans"
                            : maker(p, a, false);

    struct absent *known = absent_for(p, key_of(p, rule, o, object, near.table));
    if (known->finding >= 0) {
        place_add(p, &p->report->findings[known->finding], a);
        return;
    }
    struct finding *f = finding_of_statement(p, a, w, rule, a->s->sql_at, o, o->message);
    f->help = help;
    if (!is_baselines)
        f->level = "statement";
    known->finding = (int) (f - p->report->findings);
}

/* suppress: the directives, read and applied; severities of the project file. */
#include "phasegate/suppress.h"

#include "load/sql_scan.h"
#include "load/sql_work.h"
#include "phasegate/names.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SYNTAX "-- phasegate: allow <rule> until <release> because <reason> [approved-by <name>]"

/* ---- reading one --------------------------------------------------------------------------------------------- */

static struct finding *say(struct report *r, const char *rule, const struct suppression *s,
                           const char *help, const char *fmt, ...) PRINTF_LIKE(5, 6);

static struct finding *say(struct report *r, const char *rule, const struct suppression *s,
                           const char *help, const char *fmt, ...)
{
    const char *message;
    struct finding *f;
    va_list ap;

    va_start(ap, fmt);
    message = arena_vprintf(&r->arena, fmt, ap);
    va_end(ap);
    f = report_add(r, rule, s->at, "%s", message);
    f->plan = s->plan;
    f->phase = s->phase;
    f->step = s->step;
    f->release = s->release;
    f->statement = s->statement;
    f->help = help;
    return f;
}

static const char *skip_blank(const char *s) { return s + strspn(s, " \t\r\n"); }

/* The word at *p, and *p behind it; NULL: there is none. */
static const char *take_word(struct arena *a, const char **p)
{
    size_t n;

    *p = skip_blank(*p);
    n = strcspn(*p, " \t\r\n");
    if (n == 0)
        return NULL;
    *p += n;
    return arena_strndup(a, *p - n, n);
}

static bool take_this(struct arena *a, const char **p, const char *word)
{
    const char *w = take_word(a, p);

    return w && strcmp(w, word) == 0;
}

/* The rest without blanks at its ends. approved-by and one name may end it. */
static bool take_reason(struct arena *a, const char *p, struct suppression *s)
{
    char *text = arena_strdup(a, skip_blank(p)), *by = NULL;
    size_t n = strlen(text);

    while (n > 0 && isspace((unsigned char) text[n - 1]))
        text[--n] = '\0';
    for (char *at = text; (at = strstr(at, "approved-by")); at += strlen("approved-by"))
        if ((at == text || isspace((unsigned char) at[-1])) &&
            (at[strlen("approved-by")] == '\0' ||
             isspace((unsigned char) at[strlen("approved-by")])))
            by = at;
    if (by) {
        const char *name = skip_blank(by + strlen("approved-by"));

        if (!*name || strpbrk(name, " \t\r\n"))
            return false;
        s->approved_by = name;
        while (by > text && isspace((unsigned char) by[-1]))
            by--;
        *by = '\0';
    }
    s->because = text;
    return *text != '\0';
}

static const char *parse(struct arena *a, const char *directive, struct suppression *s,
                         const char **rule)
{
    const char *p = directive;

    if (!take_this(a, &p, "allow"))
        return "it doesn't begin with allow";
    *rule = take_word(a, &p);
    if (!*rule || strcmp(*rule, "until") == 0)
        return "there is no rule";
    if (strchr(*rule, ',') || (p[0] && *skip_blank(p) == ','))
        return "it names more than one rule";
    if (!take_this(a, &p, "until"))
        return "until doesn't follow the rule: it must end with a release";
    s->until = take_word(a, &p);
    if (!s->until || strcmp(s->until, "because") == 0)
        return "there is no release after until";
    if (!take_this(a, &p, "because"))
        return "because doesn't follow the release";
    return take_reason(a, p, s)
               ? NULL
               : "there is no reason after because, or not one name after approved-by";
}

static const char *nearest_rule(const char *word)
{
    const char **ids;
    const char *nearest;
    int n = 0;

    for (const struct rule *r = rules; r->id; r++)
        n++;
    ids = calloc((size_t) n + 1, sizeof *ids);
    if (!ids)
        abort();
    for (int i = 0; i < n; i++)
        ids[i] = rules[i].id;
    nearest = name_nearest(word, ids);
    free((void *) ids);
    return nearest;
}

static void say_unknown(struct report *r, const struct suppression *s, const char *word)
{
    const char *near = nearest_rule(word);

    say(r, "suppression-unknown-rule", s, "phasegate show rules", "there is no rule \"%s\"%s%s%s",
        word, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

/* Its release is there: listed and not only planned. One that isn't listed is compared by its numbers. */
static bool is_expired(const struct project *p, const char *until)
{
    const struct project unlisted = {0};
    int index = p ? project_release_index(p, until) : -1;

    for (int i = p ? p->n_releases - 1 : -1; i >= 0; i--) {
        if (p->releases[i].planned)
            continue;
        if (index >= 0)
            return i >= index;
        return isdigit((unsigned char) *until) &&
               release_compare(&unlisted, p->releases[i].version.s, until) >= 0;
    }
    return false;
}

static void add(struct suppression_list *l, struct arena *a, const struct suppression *s)
{
    if (l->n == l->cap) {
        int cap = l->cap ? 2 * l->cap : 8;

        l->items = arena_grow(a, l->items, sizeof *l->items * (size_t) l->cap,
                              sizeof *l->items * (size_t) cap);
        l->cap = cap;
    }
    l->items[l->n++] = *s;
}

void suppress_read_one(struct suppression_list *l, struct report *r, const struct project *project,
                       const char *directive, struct pos at, const struct suppression *scope)
{
    struct suppression s = scope ? *scope : (struct suppression) {0};
    const char *word = NULL, *wrong;

    s.at = at;
    wrong = parse(&r->arena, directive, &s, &word);
    if (wrong) {
        say(r, "suppression-malformed", &s, SYNTAX, "this suppression can't be read: %s", wrong);
        return;
    }
    s.rule = rule_find(word);
    if (!s.rule) {
        say_unknown(r, &s, word);
        return;
    }
    if (is_expired(project, s.until)) {
        say(r, "suppression-expired", &s, "mend what it hides, or state a later release and why",
            "%s was allowed until %s, which is out", s.rule->id, s.until);
        return;
    }
    add(l, &r->arena, &s);
}

/* ---- finding them ----------------------------------------------------------------------------------------------- */

/* What stands in a comment, when it's meant for us: "allow ..." */
static const char *directive_of(struct arena *a, const char *sql, size_t from, size_t to)
{
    bool is_block = sql[from] == '/';
    const char *text;
    size_t end = to;

    if (is_block && end - from >= 4 && sql[end - 1] == '/' && sql[end - 2] == '*')
        end -= 2;
    for (from += 2; from < end && (isspace((unsigned char) sql[from]) || sql[from] == '-'); from++)
        ;
    text = arena_strndup(a, sql + from, end - from);
    if (strncasecmp(text, "phasegate", strlen("phasegate")) != 0)
        return NULL;
    text += strlen("phasegate");
    if (*text == ':')
        return strncmp(text - strlen("phasegate"), "phasegate", strlen("phasegate")) == 0
                   ? text + 1
                   : "Phasegate";
    text += strspn(text, " \t-:");
    return strncasecmp(text, "allow", strlen("allow")) == 0 ? "phasegate" : NULL;
}

/* Most texts have none: they needn't be scanned. */
static bool mentions_us(const char *sql)
{
    for (const char *p = sql; (p = strpbrk(p, "pP")); p++)
        if (strncasecmp(p, "phasegate", strlen("phasegate")) == 0)
            return true;
    return false;
}

void suppress_read_sql(struct suppression_list *l, struct report *r, const struct project *project,
                       const char *sql, struct pos at, bool is_indented,
                       const struct suppression *scope)
{
    struct sql_scanner scanner = {sql, 0};
    struct sql_text text = {sql, at, is_indented};
    size_t from, to;
    enum sql_token token;

    if (!mentions_us(sql))
        return;
    while ((token = sql_scan(&scanner, &from, &to)) != SQL_TOKEN_END) {
        const char *directive =
            token == SQL_TOKEN_COMMENT ? directive_of(&r->arena, sql, from, to) : NULL;
        struct suppression own = scope ? *scope : (struct suppression) {0};

        if (!directive)
            continue;
        own.offset = from;
        suppress_read_one(l, r, project, directive, sql_place(&text, from), &own);
    }
}

static void read_steps(struct suppression_list *l, struct report *r, const struct project *project,
                       const struct plan *p, enum phase phase, const struct step_list *steps)
{
    for (int i = 0; i < steps->n; i++) {
        const struct step *step = &steps->items[i];
        struct suppression scope = {.plan = arena_strdup(&r->arena, p->id.s),
                                    .phase = phase_word(phase),
                                    .step = arena_strdup(&r->arena, step->id.s)};

        if (step->sql.s)
            suppress_read_sql(l, r, project, step->sql.s, step->sql.at,
                              strchr(step->sql.s, '\n') != NULL, &scope);
    }
}

void suppress_read_plan(struct suppression_list *l, struct report *r, const struct project *project,
                        const struct plan *p)
{
    for (enum phase ph = PHASE_FIRST; ph <= PHASE_LAST; ph++) {
        read_steps(l, r, project, p, ph, &p->phases[ph].steps);
        read_steps(l, r, project, p, ph, &p->phases[ph].finish);
    }
}

void suppress_read_statements(struct suppression_list *l, struct report *r,
                              const struct project *project, const char *release,
                              const struct statements *s)
{
    for (int i = 0; i < s->n; i++) {
        struct suppression scope = {.release = arena_strdup(&r->arena, release),
                                    .statement = arena_strdup(&r->arena, s->items[i].name)};

        for (int k = 0; k < s->items[i].allow.n; k++)
            suppress_read_one(l, r, project,
                              arena_printf(&r->arena, "allow %s", s->items[i].allow.items[k].s),
                              s->items[i].allow.items[k].at, &scope);
    }
}

/* ---- severities --------------------------------------------------------------------------------------------------- */

static bool needs_approver(enum rule_class class)
{
    return class == RULE_COMPAT || class == RULE_ORDER || class == RULE_FLAG;
}

static void say_below(struct report *r, const struct pair *pair, const struct rule *rule)
{
    struct finding *f =
        report_add(r, "severity-below-gate", pair->key.at,
                   "%s is an error of class %s: the project file can't make it \"%s\"", rule->id,
                   rule_class_word(rule->class), pair->value.s);

    f->help = "take the line out; one case is set aside where it is: " SYNTAX;
}

void severities_apply(const struct policy *policy, struct report *r)
{
    int n = r->n;

    for (int p = 0; p < policy->rules.n; p++) {
        const struct pair *pair = &policy->rules.items[p];
        const struct rule *rule = pair->key.s ? rule_find(pair->key.s) : NULL;
        enum severity wanted;
        bool is_below;

        if (pair->key.s && !rule)
            say_unknown(r, &(struct suppression) {.at = pair->key.at}, pair->key.s);
        if (!rule || !pair->value.s || !severity_from_word(pair->value.s, &wanted))
            continue;
        is_below = needs_approver(rule->class) && rule->severity == SEVERITY_ERROR &&
                   wanted < SEVERITY_ERROR;
        for (int i = 0; i < n; i++) {
            struct finding *f = &r->findings[i];

            if (f->rule != rule && f->same != rule)
                continue;
            if (needs_approver(rule->class) && f->severity == SEVERITY_ERROR &&
                wanted < SEVERITY_ERROR)
                is_below = true;
            else if (wanted < f->severity || f->severity >= rule->severity)
                f->severity = wanted;
        }
        if (is_below)
            say_below(r, pair, rule);
    }
}

/* ---- applying ----------------------------------------------------------------------------------------------------- */

static bool is_same(const char *a, const char *b) { return a && b && strcmp(a, b) == 0; }

static bool is_about_step(const struct suppression *s, const struct finding *f)
{
    return s->step && is_same(s->plan, f->plan) && is_same(s->phase, f->phase) &&
           is_same(s->step, f->step);
}

static bool is_about_place(const struct suppression *s, const char *release, const char *statement)
{
    return s->statement && is_same(s->release, release) && is_same(s->statement, statement);
}

static bool is_about_file(const struct suppression *s, const struct finding *f)
{
    return s->target.file && is_same(s->target.file, f->at.file) && s->target.line == f->at.line &&
           s->target.col == f->at.col;
}

static bool is_approver(const struct policy *p, const char *name)
{
    for (int i = 0; i < p->approvers.n; i++)
        if (is_same(p->approvers.items[i].value.s, name))
            return true;
    return p->approvers.n == 0;
}

/* May it set aside an error that needs a name? Says once why not. */
static bool is_approved(struct suppression *s, const struct policy *policy, struct report *r,
                        enum severity severity)
{
    if (!needs_approver(s->rule->class) || severity != SEVERITY_ERROR ||
        (s->approved_by && is_approver(policy, s->approved_by)))
        return true;
    if (!s->said && s->approved_by)
        say(r, "suppression-needs-approver", s, "a name of policy.approvers",
            "%s isn't an approver of this project, so %s stays an error", s->approved_by,
            s->rule->id);
    else if (!s->said)
        say(r, "suppression-needs-approver", s, SYNTAX,
            "%s is an error of class %s: setting it aside needs approved-by", s->rule->id,
            rule_class_word(s->rule->class));
    s->said = true;
    return false;
}

static struct suppression *find_for(struct suppression_list *l, const struct finding *f, int place)
{
    const char *release = place < 0 ? f->release : f->places[place].release;
    const char *statement = place < 0 ? f->statement : f->places[place].statement;

    for (int i = 0; i < l->n; i++) {
        struct suppression *s = &l->items[i];

        if (finding_is_of(f, s->rule) &&
            (is_about_step(s, f) || is_about_file(s, f) || is_about_place(s, release, statement)))
            return s;
    }
    return NULL;
}

/* All of its places must be set aside. */
static void apply_to(struct suppression_list *l, const struct policy *policy, struct report *r,
                     int k)
{
    const struct suppression *first = NULL;
    int n = r->findings[k].n_places > 0 ? r->findings[k].n_places : 1;
    bool all = true;

    for (int i = 0; i < n; i++) {
        struct suppression *s = find_for(l, &r->findings[k], r->findings[k].n_places > 0 ? i : -1);

        if (!s) {
            all = false;
            continue;
        }
        s->used = true;
        all = is_approved(s, policy, r, r->findings[k].severity) && all; /* may move the findings */
        if (!first)
            first = s;
    }
    if (all && first)
        r->findings[k].allowed_because =
            first->approved_by
                ? arena_printf(&r->arena, "%s (approved by %s)", first->because, first->approved_by)
                : first->because;
}

void suppress_apply(struct suppression_list *l, const struct policy *policy, struct report *r)
{
    int n = r->n;

    for (int i = 0; i < n; i++)
        if (r->findings[i].severity != SEVERITY_OFF)
            apply_to(l, policy, r, i);
    for (int i = 0; i < l->n; i++) {
        const struct suppression *s = &l->items[i];

        if (!s->used && (!r->is_static || (s->rule->by & BY_STATIC)))
            say(r, "suppression-unused", s, "take the comment out",
                "nothing here needs %s to be allowed", s->rule->id);
    }
}

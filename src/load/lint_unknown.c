/* Names in plans and statements that nothing else knows: flags that no plan declares, releases that aren't listed. */
#include "load/lint_plan.h"

#include "phasegate/names.h"
#include "phasegate/statement_facts.h"

#include <stdlib.h>
#include <string.h>

/* ---- flags ------------------------------------------------------------------------------------------------- */

static const char **declared_keys(struct arena *a, const struct plan_set *set)
{
    const char **keys = arena_array(a, const char *, set->n_plans *FLAG_ROLES + 1);
    int n = 0;

    for (int i = 0; i < set->n_plans; i++)
        for (int role = 0; role < FLAG_ROLES; role++)
            if (set->plans[i].flags[role].key.s)
                keys[n++] = set->plans[i].flags[role].key.s;
    return keys;
}

static bool is_among(const char *const *words, const char *word)
{
    for (; *words; words++)
        if (strcmp(*words, word) == 0)
            return true;
    return false;
}

static struct finding *flag_finding(struct report *out, int since, const char *key)
{
    for (int i = since; i < out->n; i++)
        if (strstr(out->findings[i].message, arena_printf(&out->arena, "\"%s\"", key)))
            return &out->findings[i];
    return NULL;
}

enum { KEYS_SHOWN = 5 };

static const char *words_of_keys(struct report *out, const char *const *keys)
{
    AUTO(str) all = {0};

    for (int i = 0; keys[i] && i < KEYS_SHOWN; i++)
        str_addf(&all, "%s%s", i ? ", " : " (", keys[i]);
    if (all.len)
        str_add(&all, ")");
    return arena_strdup(&out->arena, str_text(&all));
}

static void say_flag(struct report *out, int since, const char *const *keys,
                     const struct statement_when *when, const struct statement *s,
                     const struct lint_release *r, bool is_consumer)
{
    struct finding *f = flag_finding(out, since, when->flag);
    struct pos at = when->at;
    const char *near = name_nearest(when->flag, keys);

    at.file = arena_strdup(&out->arena, at.file);
    if (!f) {
        f = report_add(out, "unknown-flag", at, "no plan declares the flag \"%s\"", when->flag);
        f->help = arena_printf(
            &out->arena,
            "%s%s%swhen it rises isn't known, so no branch of it is held against a phase: name a "
            "key of a plan's flags:%s, or take the branch out",
            near ? "did you mean \"" : "", near ? near : "", near ? "\"? Else " : "",
            near ? "" : words_of_keys(out, keys));
        /* A slip of the pen; another key may be that of a plan that is over. */
        if (near)
            f->severity = SEVERITY_ERROR;
        f->release = arena_strdup(&out->arena, r->release->version.s);
        f->statement = arena_strdup(&out->arena, s->name);
    }
    finding_place(out, f, at, arena_strdup(&out->arena, r->release->version.s),
                  arena_strdup(&out->arena, s->name));
    f->places[f->n_places - 1].is_consumer = is_consumer;
}

static void look_flags(struct arena *a, const struct plan_set *set, const struct lint_options *o,
                       struct report *out)
{
    const char **keys = declared_keys(a, set);
    int since = out->n;

    for (int r = 0; o->releases && r < o->n_releases; r++) {
        const struct statements *list = o->releases[r].statements;

        for (int i = 0; list && i < list->n; i++)
            for (int k = 0; k < list->items[i].n_when; k++)
                if (!is_among(keys, list->items[i].when[k].flag))
                    say_flag(out, since, keys, &list->items[i].when[k], &list->items[i],
                             &o->releases[r], r >= set->project.n_releases);
    }
}

/* ---- statements that can't be parsed ---------------------------------------------------------------------- */

/* Releases may share a file: its mistake is one finding. */
static struct finding *finding_at(struct report *out, int since, struct pos at)
{
    for (int i = since; i < out->n; i++)
        if (out->findings[i].at.line == at.line && out->findings[i].at.col == at.col &&
            strcmp(out->findings[i].at.file, at.file) == 0)
            return &out->findings[i];
    return NULL;
}

static void say_unparsed(struct report *out, int since, const struct statement *s,
                         const struct statement_facts *facts, const struct lint_release *r,
                         bool is_consumer)
{
    struct pos at = statement_pos_of(s, facts->why_at);
    struct finding *f = finding_at(out, since, at);

    at.file = arena_strdup(&out->arena, at.file);
    if (!f) {
        f = report_add(out, "statement-unparsed", at, "the parser can't read it: %s",
                       facts->why ? facts->why : "unknown");
        f->help = "mend it, or let the shadow's server decide: phasegate check without --static";
        f->release = arena_strdup(&out->arena, r->release->version.s);
        f->statement = arena_strdup(&out->arena, s->name);
    }
    finding_place(out, f, at, arena_strdup(&out->arena, r->release->version.s),
                  arena_strdup(&out->arena, s->name));
    f->places[f->n_places - 1].is_consumer = is_consumer;
}

static void look_statements(const struct plan_set *set, const struct lint_options *o,
                            struct report *out)
{
    int since = out->n;

    for (int r = 0; o->releases && r < o->n_releases; r++) {
        const struct statements *list = o->releases[r].statements;

        for (int i = 0; list && i < list->n; i++) {
            AUTO(arena) a = {0};
            struct statement_facts facts = {0};

            statement_facts(&a, &list->items[i], &facts);
            if (!facts.parsed)
                say_unparsed(out, since, &list->items[i], &facts, &o->releases[r],
                             r >= set->project.n_releases);
        }
    }
}

/* ---- releases ---------------------------------------------------------------------------------------------- */

/* At most so many after it. */
static bool is_number_next(const char *from, const char *to, long most)
{
    char *a, *b;

    for (;; from = a + 1, to = b + 1) {
        long x = strtol(from, &a, 10), y = strtol(to, &b, 10);

        if (a == from || b == to || x != y)
            return a != from && b != to && y > x && y <= x + most;
        if (*a != '.' || *b != '.')
            return *b == '.'; /* "2.1" goes before "2.1.1" */
    }
}

/* Does it follow one that is listed or that a plan names, as "1.6.0" and "2.0.0" follow "1.5.3"? A plan leaves one out
 * before contract: the first that does without the old shape. */
static bool follows_any(const struct plan_set *set, const char *version)
{
    bool follows = false;

    for (int i = 0; i < set->project.n_releases; i++)
        follows = follows || is_number_next(set->project.releases[i].version.s, version, 1);
    for (int i = 0; i < set->n_plans; i++)
        for (enum phase ph = PHASE_FIRST; ph <= PHASE_LAST; ph++) {
            const char *other = set->plans[i].phases[ph].release.s;

            follows = follows || (set->plans[i].phases[ph].present && other &&
                                  is_number_next(other, version, 2));
        }
    return follows;
}

static size_t alike(const char *a, const char *b)
{
    size_t n = 0;

    while (a[n] && a[n] == b[n])
        n++;
    return n;
}

static const char *nearest_listed(struct arena *a, const struct project *p, const char *version)
{
    const char **words = arena_array(a, const char *, p->n_releases + 1);

    /* Of equals the one that begins alike: "1.20.0" is rather "1.2.0" than "1.0.0". */
    for (int i = 0; i < p->n_releases; i++) {
        int at = i;

        for (; at > 0 && alike(p->releases[i].version.s, version) > alike(words[at - 1], version);
             at--)
            words[at] = words[at - 1];
        words[at] = p->releases[i].version.s;
    }
    return name_nearest(version, words);
}

static void look_release(struct arena *a, const struct plan_set *set, const struct plan *plan,
                         enum phase phase, struct report *out)
{
    static const struct project by_numbers;
    const struct project *p = &set->project;
    const struct text *release = &plan->phases[phase].release;
    const char *newest = p->releases[p->n_releases - 1].version.s;
    bool is_early = release_compare(&by_numbers, release->s, newest) < 0;
    const char *near = nearest_listed(a, p, release->s);
    struct pos at = release->at;
    struct finding *f;

    /* The next release is mostly planned before it is listed. */
    if (!is_early && (!near || follows_any(set, release->s)))
        return;
    at.file = arena_strdup(&out->arena, at.file);
    f = report_add(out, "release-not-listed", at,
                   "release %s isn't in releases:, so it is taken to come after %s, the newest "
                   "that is",
                   release->s, newest);
    f->help =
        arena_printf(&out->arena,
                     "%s%s%slist it where it belongs, planned: true while its statements aren't "
                     "written",
                     near ? "did you mean \"" : "", near ? near : "", near ? "\"? Else " : "");
    f->plan = arena_strdup(&out->arena, plan->id.s);
    f->phase = phase_word(phase);
    if (!is_early)
        f->severity = SEVERITY_NOTE;
}

void lint_unknown(struct arena *a, const struct plan_set *set, const struct lint_options *o,
                  struct report *out)
{
    look_flags(a, set, o, out);
    if (!o->shadow_follows)
        look_statements(set, o, out);
    for (int i = 0; set->project.n_releases > 0 && i < set->n_plans; i++)
        for (enum phase ph = PHASE_FIRST; ph <= PHASE_LAST; ph++) {
            const struct phase_plan *phase = &set->plans[i].phases[ph];

            if (phase->present && phase->release.s &&
                project_release_index(&set->project, phase->release.s) < 0)
                look_release(a, set, &set->plans[i], ph, out);
        }
}

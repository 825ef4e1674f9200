/* --proof FILE: is the schema of the database the one that the proof begins with, and if not, who changed it? */
#include "cli.h"

#include "phasegate/check.h"
#include "phasegate/ledger.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- the schema of the file ----------------------------------------------------------------------------------- */

struct told_object {
    struct schema_object is;
    int turn; /* what is told later counts */
    bool is_gone;
};

struct told_objects {
    struct told_object *items;
    int n;
};

static int compare_told(const void *x, const void *y)
{
    const struct told_object *a = x, *b = y;
    int order = strcmp(a->is.name, b->is.name);

    return order ? order : (a->turn > b->turn) - (a->turn < b->turn);
}

static int index_of_schema(const json_t *schemas, const char *catalogue)
{
    size_t i;
    json_t *one;

    json_array_foreach((json_t *) (uintptr_t) schemas, i,
                       one) if (strcmp(json_string_value(json_object_get(one, "catalogue")),
                                       catalogue) == 0) return (int) i;
    return -1;
}

/* Each schema is told by what differs from the one before. */
static void tell_up_to(struct arena *a, const json_t *schemas, int last, struct told_objects *out)
{
    size_t n = 0;
    const char *key;
    json_t *v;

    for (int i = 0; i <= last; i++)
        n += json_object_size(json_object_get(json_array_get(schemas, (size_t) i), "objects"));
    *out = (struct told_objects) {arena_array(a, struct told_object, n + 1), 0};
    for (int i = 0; i <= last; i++) {
        json_t *objects = json_object_get(json_array_get(schemas, (size_t) i), "objects");

        json_object_foreach(objects, key, v) out->items[out->n++] = (struct told_object) {
            {.name = key, .sum = json_is_null(v) ? 0 : strtoull(json_string_value(v), NULL, 16)},
            i,
            json_is_null(v)};
    }
    if (out->n > 1)
        qsort(out->items, (size_t) out->n, sizeof *out->items, compare_told);
}

/* Names are the file's. False: it doesn't say. */
static bool find_schema(struct arena *a, const json_t *doc, const char *catalogue,
                        struct schema_sums *out)
{
    const json_t *schemas = json_object_get(doc, "schemas");
    int at = index_of_schema(schemas, catalogue);
    struct told_objects told;

    if (at < 0)
        return false;
    tell_up_to(a, schemas, at, &told);
    *out = (struct schema_sums) {.catalogue = catalogue,
                                 .objects = arena_array(a, struct schema_object, told.n + 1)};
    for (int i = 0; i < told.n; i++) {
        bool is_last =
            i + 1 == told.n || strcmp(told.items[i].is.name, told.items[i + 1].is.name) != 0;

        if (is_last && !told.items[i].is_gone)
            out->objects[out->n++] = told.items[i].is;
    }
    return true;
}

/* ---- who changed it --------------------------------------------------------------------------------------------- */

/* What a statement would name. */
struct subject {
    const char *relation; /* of which it is, or that it is itself */
    const char *word;     /* itself, where it is no relation; NULL: it is one */
};

/* Kinds of more than a word, or that have no schema. */
static const char *const long_kinds[] = {
    "materialized view ",      "foreign table ",       "window function ",
    "operator class ",         "event trigger ",       "text search configuration ",
    "text search dictionary ", "disabled constraint ", "rights of "};

static const char *unqualified(const char *name)
{
    const char *dot = strchr(name, '.');

    return dot && dot[1] ? dot + 1 : name;
}

/* "trigger stamp of public.orders", "function public.f(integer)", "rights of app on table public.orders" */
static struct subject subject_of(struct arena *a, const char *object)
{
    static const char *const relations[] = {"table ", "view ", "materialized view ", "sequence ",
                                            "foreign table "};
    const char *name = strchr(object, ' ') ? strchr(object, ' ') + 1 : object, *of;

    for (size_t i = 0; i < sizeof relations / sizeof *relations; i++)
        if (strncmp(object, relations[i], strlen(relations[i])) == 0)
            return (struct subject) {unqualified(object), NULL};
    for (size_t i = 0; i < sizeof long_kinds / sizeof *long_kinds; i++)
        if (strncmp(object, long_kinds[i], strlen(long_kinds[i])) == 0)
            name = object + strlen(long_kinds[i]);
    if (strncmp(object, "publication of ", strlen("publication of ")) == 0)
        return (struct subject) {unqualified(object), "PUBLICATION"};
    of = strncmp(object, "rights of ", strlen("rights of ")) == 0 ? strstr(name, " on ")
                                                                  : strstr(name, " of ");
    if (of)
        return (struct subject) {unqualified(of + strlen(" of ")),
                                 arena_printf(a, "%.*s", (int) (of - name), name)};
    name = unqualified(*name == '(' ? name + 1 : name);
    return (struct subject) {NULL, arena_printf(a, "%.*s", (int) strcspn(name, "( "), name)};
}

static bool is_name_char(char c)
{
    return c == '_' || c == '$' || isalnum((unsigned char) c) || ((unsigned char) c & 0x80);
}

static bool has_word(const char *sql, const char *word)
{
    size_t n = strlen(word);

    for (const char *s = sql; n > 0 && *s; s++)
        if (strncasecmp(s, word, n) == 0 && (s == sql || !is_name_char(s[-1])) &&
            !is_name_char(s[n]))
            return true;
    return false;
}

static bool has_relation(const struct sql_stmt *s, const char *name)
{
    for (int r = 0; r < s->relations.n; r++)
        if (strcmp(s->relations.items[r].s, name) == 0)
            return true;
    return false;
}

/* A trigger of a table may be the plan's sync, which no step spells out. */
static bool names(const struct step_list *l, const struct subject *o)
{
    for (int i = 0; i < l->n; i++)
        for (int k = 0; k < l->items[i].n_stmts; k++) {
            const struct sql_stmt *s = &l->items[i].stmts[k];

            if ((o->relation && has_relation(s, o->relation)) ||
                (o->word && has_word(s->sql, o->word)))
                return true;
        }
    return false;
}

/* The newest phase of a plan that has begun and names the thing; NONE: no such. */
static enum phase changed_by(const struct plan *p, enum stage stage, const struct subject *object)
{
    for (int ph = stage_phase(stage); ph >= (int) PHASE_FIRST; ph--)
        if (names(&p->phases[ph].steps, object) || names(&p->phases[ph].finish, object))
            return (enum phase) ph;
    return PHASE_NONE;
}

struct culprits {
    struct context *c;
    const struct plan *own;
    struct plan_state *states;
    int n_states;
    struct str text;
    unsigned *told; /* [n_plans], a bit for each phase */
};

static enum stage stage_in(const struct culprits *u, const struct plan *p)
{
    for (int i = 0; i < u->n_states; i++)
        if (strcmp(u->states[i].plan, p->id.s) == 0)
            return u->states[i].stage;
    return STAGE_PLANNED;
}

/* What can't be read has changed nothing that can be told. */
static bool has_facts(struct context *c, struct plan *p)
{
    AUTO(problem_list) problems = {0};
    AUTO(err) ignored = {0};

    return p->has_facts ||
           (plan_set_fill(&c->set, p, &ignored) && plan_sql_facts(&c->set, p, &problems, &ignored));
}

static bool has_culprit(struct culprits *u, const char *object)
{
    const struct subject subject = subject_of(&u->c->arena, object);
    bool any = false;

    for (int i = 0; i < u->c->set.n_plans; i++) {
        struct plan *p = &u->c->set.plans[i];
        enum stage stage = p == u->own ? STAGE_PLANNED : stage_in(u, p);

        if (stage == STAGE_PLANNED || !has_facts(u->c, p))
            continue;
        enum phase ph = changed_by(p, stage, &subject);
        if (ph == PHASE_NONE)
            continue;
        any = true;
        if (!(u->told[i] & 1u << ph))
            str_addf(&u->text, "%s%s of plan %s", u->text.len ? ", " : "", phase_word(ph), p->id.s);
        u->told[i] |= 1u << ph;
    }
    return any;
}

/* NULL: something else did, too. */
static bool find_cause(struct context *c, const struct wanted_proof *w,
                       const struct schema_difference *d, int n, const char **out, struct err *err)
{
    struct culprits u = {.c = c, .own = w->plan};
    bool all = true;

    *out = NULL;
    if (w->engine->has_ledger &&
        !ledger_plan_states(w->engine->db, &c->arena, &u.states, &u.n_states, err))
        return false;
    u.told = arena_array(&c->arena, unsigned, c->set.n_plans + 1);
    for (int i = 0; i < n && all; i++)
        all = has_culprit(&u, d[i].object);
    if (all && n > 0)
        *out = arena_strdup(&c->arena, str_text(&u.text));
    str_free(&u.text);
    return true;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static const char *told(struct arena *a, const struct schema_difference *d, int n)
{
    enum { TOLD_MAX = 8 };
    AUTO(str) text = {0};

    for (int i = 0; i < n && i < TOLD_MAX; i++)
        str_addf(&text, "%s%s%s", i > 0 ? "; " : "", proof_shown_object(a, d[i].object), d[i].how);
    if (n > TOLD_MAX)
        str_addf(&text, "; and %d more", n - TOLD_MAX);
    return arena_strdup(a, str_text(&text));
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* The baseline of a check has no settings, and pg_dump tells of none. */
static const char *way_out(const struct schema_difference *d, int n)
{
    bool any_rights = false;

    for (int i = 0; i < n; i++) {
        if (begins(d[i].object, "setting search_path") || begins(d[i].object, "setting TimeZone"))
            return "say search_path and timezone in session: of the releases, then phasegate check "
                   "--format json > FILE";
        if (begins(d[i].object, "setting "))
            return "ALTER DATABASE or ALTER ROLE ... RESET it there, or prove the transition here: "
                   "without --proof";
        any_rights |= begins(d[i].object, "rights of ") || begins(d[i].object, "role ");
    }
    return any_rights
               ? "GRANT there what is missing, or phasegate check --baseline-from URL --format "
                 "json > FILE proves without it"
               : NULL;
}

bool proof_schema(struct context *c, const struct json_t *doc, const char *catalogue,
                  const struct wanted_proof *w, struct proof_difference *out, struct err *err)
{
    struct schema_sums proved;
    struct schema_difference *d;
    int n = 0;

    *out = (struct proof_difference) {0};
    if (!find_schema(&c->arena, doc, catalogue, &proved)) {
        out->what =
            arena_printf(&c->arena, "%s; the file doesn't say what differs", w->live->catalogue);
        return true;
    }
    /* A setting that isn't there looks like one that is as it is everywhere. */
    if (strcmp(check_schema_print(&c->arena, proved.objects, proved.n), catalogue) != 0) {
        out->what =
            arena_printf(&c->arena, "%s; what the file tells of it isn't whole, or was changed",
                         w->live->catalogue);
        return true;
    }
    if (!check_schema_difference(&c->set.project, w->plan, &c->arena, w->live, &proved, &d, &n,
                                 &c->problems, err)) {
        if (c->problems.n)
            context_show_problems(c, &c->problems);
        return false;
    }
    out->what = n > 0 ? told(&c->arena, d, n) : NULL;
    out->way = way_out(d, n);
    return n == 0 || find_cause(c, w, d, n, &out->cause, err);
}

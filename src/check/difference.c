/* Where the schema of a database isn't the one that a proof was made over. */
#include "check/work.h"

#include "phasegate/statements.h"

/* ---- what migration tools keep for themselves ---------------------------------------------------------------- */

/* Tables by which tools remember what they have run: there in one database, not in another, and nothing to the
 * application. */
static const char *const bookkeeping[] = {
    "SequelizeMeta",         "__EFMigrationsHistory", "__diesel_schema_migrations",
    "__drizzle_migrations",  "_prisma_migrations",    "_sqlx_migrations",
    "alembic_version",       "ar_internal_metadata",  "atlas_schema_revisions",
    "databasechangelog",     "databasechangeloglock", "django_migrations",
    "flyway_schema_history", "goose_db_version",      "knex_migrations",
    "knex_migrations_lock",  "pgmigrations",          "refinery_schema_history",
    "schema_migrations",     "schema_version",
};

enum { N_BOOKKEEPING = sizeof bookkeeping / sizeof *bookkeeping };

/* What follows the word; NULL: it isn't there. */
static const char *past(const char *text, const char *word)
{
    size_t n = strlen(word);

    return strncmp(text, word, n) == 0 ? text + n : NULL;
}

/* "table public.t" of "rights of app on table public.t" and "publication of public.t". */
static const char *about(const char *object)
{
    const char *on = past(object, "rights of ") ? strstr(object, " on ") : NULL;

    return on ? on + strlen(" on ") : object;
}

/* "table public.goose_db_version", and the sequence of one of its columns; -1: something else. */
static int bookkeeping_of(const char *object)
{
    const char *dot = strchr(object, '.'), *name = dot ? dot + 1 : object;
    bool is_table = past(object, "table ") || past(object, "publication of ");
    bool is_sequence = strncmp(object, "sequence ", strlen("sequence ")) == 0;
    size_t len = strlen(name);

    for (int i = 0; i < N_BOOKKEEPING; i++) {
        size_t n = strlen(bookkeeping[i]);
        if (is_table && strcmp(name, bookkeeping[i]) == 0)
            return i;
        if (is_sequence && strncmp(name, bookkeeping[i], n) == 0 && name[n] == '_' &&
            len > n + strlen("_seq") && strcmp(name + len - strlen("_seq"), "_seq") == 0)
            return i;
    }
    return -1;
}

/* ---- what plan and releases say --------------------------------------------------------------------------------- */

struct session_said { /* of statements of one release */
    const char *role; /* "": none */
    bool path, zone;  /* its session says it */
};

struct said {
    bool touched[N_BOOKKEEPING]; /* named by a statement or a step */
    bool makes[3];               /* steps do: tables, sequences, functions */
    struct session_said *sessions;
    int n_sessions;
};

static const char *const made_words[] = {"new tables ", "new sequences ", "new functions "};

static void note_session(struct said *to, struct arena *a, const struct release *r,
                         const struct statement *s)
{
    const char *role = s->role ? s->role : r->session_role.s ? r->session_role.s : "";

    to->sessions = arena_grow(a, to->sessions, sizeof *to->sessions * (size_t) to->n_sessions,
                              sizeof *to->sessions * (size_t) (to->n_sessions + 1));
    to->sessions[to->n_sessions++] = (struct session_said) {role, r->session_search_path.s != NULL,
                                                            r->session_timezone.s != NULL};
}

static bool note_release(const struct project *p, const struct release *r, struct arena *a,
                         struct said *to, struct problem_list *problems, struct err *err)
{
    struct statements s = {0};

    if (!statements_load_release(a, p->root, r, &s, problems, err))
        return false;
    for (int i = 0; i < s.n; i++) {
        struct statement_facts f = {0};
        statement_facts(a, &s.items[i], &f);
        if (i == 0 || s.items[i].role)
            note_session(to, a, r, &s.items[i]);
        for (int k = 0; k < f.n_rels; k++)
            for (int b = 0; b < N_BOOKKEEPING; b++)
                to->touched[b] |= strcmp(f.rels[k].name, bookkeeping[b]) == 0;
    }
    return true;
}

/* A table may come with a sequence. */
static void note_made(struct said *to, const struct sql_stmt *s)
{
    bool makes = past(s->kind, "CREATE ") != NULL;

    to->makes[0] |= makes && (strstr(s->kind, " TABLE") || strstr(s->kind, " VIEW"));
    to->makes[1] |= (makes && (strstr(s->kind, " TABLE") || strstr(s->kind, " SEQUENCE"))) ||
                    strcmp(s->kind, "ALTER TABLE ADD COLUMN") == 0;
    to->makes[2] |= makes && (strstr(s->kind, " FUNCTION") || strstr(s->kind, " PROCEDURE"));
}

static void note_steps(const struct step_list *l, struct said *to)
{
    for (int i = 0; i < l->n; i++)
        for (int k = 0; k < l->items[i].n_stmts; k++) {
            const struct sql_stmt *s = &l->items[i].stmts[k];

            note_made(to, s);
            for (int r = 0; r < s->relations.n; r++)
                for (int b = 0; b < N_BOOKKEEPING; b++)
                    to->touched[b] |= strcmp(s->relations.items[r].s, bookkeeping[b]) == 0;
        }
}

static bool note_all(const struct project *p, const struct plan *plan, struct arena *a,
                     struct said *to, struct problem_list *problems, struct err *err)
{
    for (int ph = PHASE_FIRST; ph <= PHASE_LAST; ph++) {
        note_steps(&plan->phases[ph].steps, to);
        note_steps(&plan->phases[ph].finish, to);
    }
    for (int i = 0; i < p->n_releases; i++)
        if (!note_release(p, &p->releases[i], a, to, problems, err))
            return false;
    for (int i = 0; i < p->n_consumers; i++)
        if (!note_release(p, &p->consumers[i], a, to, problems, err))
            return false;
    return true;
}

/* ---- where two differ ------------------------------------------------------------------------------------------ */

struct telling {
    struct arena *a;
    const struct said *said;
    const struct schema_sums *here, *there;
    const struct plan *plan;
    struct schema_difference *list;
    int n;
};

static void tell(struct telling *t, const char *object, const char *how)
{
    int kept_by = bookkeeping_of(about(object));

    if (kept_by < 0 || t->said->touched[kept_by])
        t->list[t->n++] = (struct schema_difference) {object, how};
}

static const struct schema_object *find(const struct schema_sums *in, const char *name)
{
    int lo = 0, hi = in->n;

    while (lo < hi) {
        int mid = (lo + hi) / 2;
        if (strcmp(in->objects[mid].name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < in->n && strcmp(in->objects[lo].name, name) == 0 ? &in->objects[lo] : NULL;
}

/* Does a release with that role leave it to the database? */
static bool counts_of(const struct said *said, const char *setting, const char *role)
{
    bool is_path = strcmp(setting, "search_path") == 0, is_zone = strcmp(setting, "TimeZone") == 0;

    for (int i = 0; i < said->n_sessions; i++) {
        const struct session_said *s = &said->sessions[i];
        if (strcmp(s->role, role) == 0 && !(is_path && s->path) && !(is_zone && s->zone))
            return true;
    }
    return false;
}

/* Of the database: the shadow's sessions have all of them. "setting TimeZone of role app" */
static void tell_setting(struct telling *t, const struct schema_object *here)
{
    const char *of = strstr(here->name, " of role "), *name = past(here->name, "setting ");
    const char *alone =
        of ? arena_printf(t->a, "%.*s", (int) (of - here->name), here->name) : here->name;
    const struct schema_object *there = find(t->there, alone);

    if ((!there || there->sum != here->sum) &&
        counts_of(t->said, alone + (name - here->name), of ? of + strlen(" of role ") : ""))
        tell(t, here->name, " differs");
}

/* What the whole table lacks is told of that. */
static uint64_t lacked_by_table(const struct telling *t, const char *object)
{
    static const char *const kinds[] = {"table", "view", "materialized view", "foreign table"};
    const char *column = strstr(object, " on column "), *dot = strrchr(object, '.');

    for (int i = 0; column && dot > column && i < (int) (sizeof kinds / sizeof *kinds); i++) {
        const char *from = column + strlen(" on column ");
        const char *name = arena_printf(t->a, "%.*s on %s %.*s", (int) (column - object), object,
                                        kinds[i], (int) (dot - from), from);
        const struct schema_object *here = find(t->here, name), *there = find(t->there, name);
        if (here && there)
            return there->sum & ~here->sum;
    }
    return 0;
}

static bool is_made(const struct telling *t, const char *object)
{
    for (int i = 0; i < (int) (sizeof made_words / sizeof *made_words); i++)
        if (past(about(object), made_words[i]))
            return t->said->makes[i];
    return true;
}

/* What a role may besides does no harm. */
static void tell_rights(struct telling *t, const struct schema_object *here,
                        const struct schema_object *there)
{
    uint64_t lacks = there->sum & ~here->sum & ~lacked_by_table(t, here->name);

    if (lacks && is_made(t, here->name))
        tell(t, here->name, arena_printf(t->a, ": no %s here", rights_text(t->a, lacks)));
}

static bool is_settled(const char *name)
{
    return past(name, "rights of ") || past(name, "role ") || past(name, "setting ");
}

/* A step that makes it would fail. */
static bool is_named(const struct telling *t, const char *object)
{
    const char *name =
        past(object, "schema ") ? past(object, "schema ") : past(object, "extension ");

    for (int ph = PHASE_FIRST; name && ph <= PHASE_LAST; ph++) {
        const struct step_list *lists[] = {&t->plan->phases[ph].steps, &t->plan->phases[ph].finish};
        for (int l = 0; l < 2; l++)
            for (int i = 0; i < lists[l]->n; i++)
                if (lists[l]->items[i].sql.s && strstr(lists[l]->items[i].sql.s, name))
                    return true;
    }
    return false;
}

static void only_here(struct telling *t, const struct schema_object *o)
{
    if (past(o->name, "setting "))
        tell_setting(t, o);
    else if (!is_settled(o->name) && (!o->is_idle || is_named(t, o->name)))
        tell(t, o->name, ": only here");
}

static void only_there(struct telling *t, const struct schema_object *o)
{
    if (past(o->name, "role ") || !is_settled(o->name))
        tell(t, o->name, ": only in the proof");
}

static void both(struct telling *t, const struct schema_object *here,
                 const struct schema_object *there)
{
    if (past(here->name, "rights of "))
        tell_rights(t, here, there);
    else if (past(here->name, "setting "))
        tell_setting(t, here);
    else if (here->sum != there->sum)
        tell(t, here->name, " differs");
}

bool check_schema_difference(const struct project *p, const struct plan *plan, struct arena *a,
                             const struct schema_sums *here, const struct schema_sums *there,
                             struct schema_difference **out, int *out_n,
                             struct problem_list *problems, struct err *err)
{
    struct said said = {0};
    struct telling t = {.a = a, .said = &said, .here = here, .there = there, .plan = plan};
    int i = 0, k = 0;

    if (!note_all(p, plan, a, &said, problems, err))
        return false;
    t.list = arena_array(a, struct schema_difference, here->n + there->n + 1);
    while (i < here->n || k < there->n) {
        int order = i == here->n    ? 1
                    : k == there->n ? -1
                                    : strcmp(here->objects[i].name, there->objects[k].name);
        if (order < 0)
            only_here(&t, &here->objects[i++]);
        else if (order > 0)
            only_there(&t, &there->objects[k++]);
        else
            both(&t, &here->objects[i++], &there->objects[k++]);
    }
    *out = t.list;
    *out_n = t.n;
    return true;
}

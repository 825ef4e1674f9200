/* The shape of a schema: of a live one, thing by thing, and where two differ. */
#include "check/work.h"

#include "phasegate/statements.h"

#include <stdlib.h>

const char *print_hex(struct arena *a, uint64_t print)
{
    return arena_printf(a, "%016llx", (unsigned long long) print);
}

/* ---- thing by thing --------------------------------------------------------------------------------------- */

static const char *kind_word(char relkind)
{
    switch (relkind) {
    case 'v': return "view";
    case 'm': return "materialized view";
    case 'f': return "foreign table";
    case 'S': return "sequence";
    default: return "table";
    }
}

static const char *name_of(struct arena *a, const char *kind, const char *schema, const char *name)
{
    AUTO(str) text = {0};

    str_addf(&text, "%s %s.", kind, schema);
    cat_add_undated(&text, name);
    return arena_strdup(a, str_text(&text));
}

static int compare_objects(const void *x, const void *y)
{
    const struct schema_object *a = x, *b = y;

    return strcmp(a->name, b->name);
}

static uint64_t enum_sum(const struct cat_enum *e)
{
    uint64_t h = PRINT_START;

    for (int i = 0; i < e->n_labels; i++)
        h = print_text(h, e->labels[i]);
    return h;
}

void schema_sums_of(struct arena *a, const struct catalogue *c, struct schema_sums *out)
{
    *out = (struct schema_sums) {
        .catalogue = print_hex(a, cat_shape(c)),
        .objects = arena_array(a, struct schema_object, c->n_relations + c->n_enums + 1)};
    for (int i = 0; i < c->n_relations; i++) {
        const struct cat_relation *r = &c->relations[i];
        if (!cat_is_phasegates(r->schema) && !r->is_of_extension)
            out->objects[out->n++] = (struct schema_object) {
                name_of(a, kind_word(r->kind), r->schema, r->name), r->shape};
    }
    for (int i = 0; i < c->n_enums; i++) {
        const struct cat_enum *e = &c->enums[i];
        if (!cat_is_phasegates(e->schema) && !e->is_of_extension)
            out->objects[out->n++] =
                (struct schema_object) {name_of(a, "type", e->schema, e->name), enum_sum(e)};
    }
    if (out->n > 1)
        qsort(out->objects, (size_t) out->n, sizeof *out->objects, compare_objects);
}

bool check_live_shape(struct db *db, struct arena *a, struct schema_sums *shape, const char **print,
                      struct err *err)
{
    struct catalogue c = {0};

    if (!catalogue_read_live(db, a, &c, err))
        return false;
    if (shape)
        schema_sums_of(a, &c, shape);
    if (print)
        *print = print_hex(a, cat_print(&c));
    return true;
}

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

/* "table public.goose_db_version", and the sequence of one of its columns; -1: something else. */
static int bookkeeping_of(const char *object)
{
    const char *dot = strchr(object, '.'), *name = dot ? dot + 1 : object;
    bool is_table = strncmp(object, "table ", strlen("table ")) == 0;
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

static bool note_touched(const struct project *p, const struct release *r, struct arena *a,
                         bool *touched, struct problem_list *problems, struct err *err)
{
    struct statements s = {0};

    if (!statements_load_release(a, p->root, r, &s, problems, err))
        return false;
    for (int i = 0; i < s.n; i++) {
        struct statement_facts f = {0};
        statement_facts(a, &s.items[i], &f);
        for (int k = 0; k < f.n_rels; k++)
            for (int b = 0; b < N_BOOKKEEPING; b++)
                touched[b] |= strcmp(f.rels[k].name, bookkeeping[b]) == 0;
    }
    return true;
}

static void note_steps(const struct step_list *l, bool *touched)
{
    for (int i = 0; i < l->n; i++)
        for (int k = 0; k < l->items[i].n_stmts; k++)
            for (int r = 0; r < l->items[i].stmts[k].relations.n; r++)
                for (int b = 0; b < N_BOOKKEEPING; b++)
                    touched[b] |=
                        strcmp(l->items[i].stmts[k].relations.items[r].s, bookkeeping[b]) == 0;
}

static bool note_all_touched(const struct project *p, const struct plan *plan, struct arena *a,
                             bool *touched, struct problem_list *problems, struct err *err)
{
    for (int ph = PHASE_FIRST; ph <= PHASE_LAST; ph++) {
        note_steps(&plan->phases[ph].steps, touched);
        note_steps(&plan->phases[ph].finish, touched);
    }
    for (int i = 0; i < p->n_releases; i++)
        if (!note_touched(p, &p->releases[i], a, touched, problems, err))
            return false;
    for (int i = 0; i < p->n_consumers; i++)
        if (!note_touched(p, &p->consumers[i], a, touched, problems, err))
            return false;
    return true;
}

/* ---- where two differ ------------------------------------------------------------------------------------------ */

struct telling {
    const bool *touched; /* [N_BOOKKEEPING] */
    struct schema_difference *list;
    int n;
};

static void tell(struct telling *t, const char *object, const char *how)
{
    int kept_by = bookkeeping_of(object);

    if (kept_by < 0 || t->touched[kept_by])
        t->list[t->n++] = (struct schema_difference) {object, how};
}

bool check_schema_difference(const struct project *p, const struct plan *plan, struct arena *a,
                             const struct schema_sums *here, const struct schema_sums *there,
                             struct schema_difference **out, int *out_n,
                             struct problem_list *problems, struct err *err)
{
    bool touched[N_BOOKKEEPING] = {0};
    struct telling t = {.touched = touched};
    int i = 0, k = 0;

    if (!note_all_touched(p, plan, a, touched, problems, err))
        return false;
    t.list = arena_array(a, struct schema_difference, here->n + there->n + 1);
    while (i < here->n || k < there->n) {
        int order = i == here->n    ? 1
                    : k == there->n ? -1
                                    : strcmp(here->objects[i].name, there->objects[k].name);
        if (order < 0)
            tell(&t, here->objects[i++].name, ": only here");
        else if (order > 0)
            tell(&t, there->objects[k++].name, ": only in the proof");
        else if (here->objects[i++].sum != there->objects[k++].sum)
            tell(&t, here->objects[i - 1].name, " differs");
    }
    *out = t.list;
    *out_n = t.n;
    return true;
}

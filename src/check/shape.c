/* The shape of a schema: of a live one, thing by thing. */
#include "check/work.h"

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

static uint64_t sum_of(const struct schema_object *all, int n)
{
    uint64_t h = PRINT_START;

    for (int i = 0; i < n; i++)
        h = (print_text(h, all[i].name) ^ all[i].sum) * UINT64_C(0x9e3779b97f4a7c15);
    return h;
}

const char *check_schema_print(struct arena *a, const struct schema_object *objects, int n)
{
    return print_hex(a, sum_of(objects, n));
}

void schema_sums_of(struct arena *a, const struct catalogue *c, const struct parts *parts,
                    struct schema_sums *out)
{
    *out =
        (struct schema_sums) {.objects = arena_array(a, struct schema_object,
                                                     c->n_relations + c->n_enums + parts->n + 1)};
    for (int i = 0; i < c->n_relations; i++) {
        const struct cat_relation *r = &c->relations[i];
        if (!cat_is_phasegates(r->schema) && !r->is_of_extension)
            out->objects[out->n++] = (struct schema_object) {
                .name = name_of(a, kind_word(r->kind), r->schema, r->name), .sum = r->shape};
    }
    for (int i = 0; i < c->n_enums; i++) {
        const struct cat_enum *e = &c->enums[i];
        if (!cat_is_phasegates(e->schema) && !e->is_of_extension)
            out->objects[out->n++] = (struct schema_object) {
                .name = name_of(a, "type", e->schema, e->name), .sum = enum_sum(e)};
    }
    for (int i = 0; i < parts->n; i++)
        out->objects[out->n++] = parts->items[i];
    if (out->n > 1)
        qsort(out->objects, (size_t) out->n, sizeof *out->objects, compare_objects);
    out->catalogue = check_schema_print(a, out->objects, out->n);
}

/* Constants of a timestamptz are shown in the session's zone; and compiling the queries takes longer than they do. */
static bool set_aside(struct db *db, const char *zone, const char *jit, struct err *err)
{
    return db_exec(db,
                   "SELECT pg_catalog.set_config('TimeZone', $1, false), "
                   "pg_catalog.set_config('jit', $2, false)",
                   &DB_PARAMS(zone, jit), err);
}

static bool read_live(struct db *db, struct arena *a, const char *roles, struct catalogue *c,
                      struct parts *parts, struct err *err)
{
    AUTO(err) ignored = {0};
    struct db_rows rows = {0};

    if (!db_query(
            db, a,
            "SELECT pg_catalog.current_setting('TimeZone'), pg_catalog.current_setting('jit')",
            &DB_NO_PARAMS, &rows, err) ||
        !set_aside(db, "UTC", "off", err))
        return err_note(err, "catalogue of %s", db->shown);
    bool ok = catalogue_read_live(db, a, c, err) && parts_read_live(db, a, roles, parts, err);
    bool is_back = set_aside(db, rows.cell[0][0], rows.cell[0][1], ok ? err : &ignored);
    return ok && is_back;
}

bool check_live_shape(struct db *db, struct arena *a, const char *roles, struct schema_sums *shape,
                      const char **print, struct err *err)
{
    struct catalogue c = {0};
    struct parts parts = {0};
    struct schema_sums sums;

    if (!read_live(db, a, roles, &c, &parts, err))
        return false;
    schema_sums_of(a, &c, &parts, &sums);
    if (shape)
        *shape = sums;
    if (print)
        *print = print_hex(a, print_text(cat_print(&c), sums.catalogue));
    return true;
}

/* What the tables of a snapshot are made of: columns, keys, indexes, triggers, rights. For whoever has to make a table again
 * before its rows can come back. */
#include "snapshot_int.h"

#include "phasegate/names.h"
#include "sql_embedded.h"

#include <ctype.h>
#include <string.h>

#define DEFINITION "definition.sql.zst"

/* ---- taking ---------------------------------------------------------------------------------------- */

/* A comment ends with its line, and a name may have two. */
static void add_named(struct str *to, const char *schema, const char *name)
{
    AUTO(str) quoted = {0};

    sql_qualified(&quoted, schema, name);
    for (const char *c = str_text(&quoted); *c; c++)
        str_addc(to, iscntrl((unsigned char) *c) ? '?' : *c);
}

static void add_head(struct str *to, const struct snapshot *s)
{
    char at[25];

    time_to_rfc3339(s->taken_at_ms, at);
    str_addf(to, "-- The tables of snapshot %s, as pg_dump had them at %s.\n", s->name, at);
    for (int i = 0; i < s->n_parts; i++) {
        const struct snapshot_part *p = &s->parts[i];

        if (strcmp(p->schema, p->now_schema) != 0 || strcmp(p->table, p->now_table) != 0) {
            str_add(to, "-- Hidden then: ");
            add_named(to, p->now_schema, p->now_table);
            str_add(to, " is ");
            add_named(to, p->schema, p->table);
            str_add(to, ".\n");
        }
        for (int k = 0; k < p->n_columns; k++) {
            if (strcmp(p->columns[k].name, p->columns[k].now) == 0)
                continue;
            str_add(to, "-- Hidden then: column ");
            add_named(to, NULL, p->columns[k].now);
            str_add(to, " of ");
            add_named(to, p->schema, p->table);
            str_add(to, " is ");
            add_named(to, NULL, p->columns[k].name);
            str_add(to, ".\n");
        }
    }
}

/* The traps and the sync of a plan stand on its tables as long as it lasts, and a table that is made again has none. pg_dump
 * writes each in a line. */
static bool is_ours(const char *line, size_t n)
{
    static const char begin[] = "CREATE TRIGGER ", calls[] = " EXECUTE FUNCTION phasegate.";

    return n > sizeof begin && strncmp(line, begin, sizeof begin - 1) == 0 &&
           memmem(line, n, calls, sizeof calls - 1) != NULL;
}

static void add_without_ours(struct str *to, const char *text)
{
    while (*text) {
        size_t n = strcspn(text, "\n");

        n += text[n] == '\n';
        if (!is_ours(text, n))
            str_addn(to, text, n);
        text += n;
    }
}

struct options {
    const char **items;
    int n;
};

/* Before that many more. */
static void make_room(struct arena *a, struct options *o, int more)
{
    const char **items = arena_array(a, const char *, o->n + more + 1);

    if (o->n)
        memcpy(items, o->items, sizeof *items * (size_t) o->n);
    o->items = items;
}

static bool add_tables(struct db *db, struct arena *a, const struct snapshot_part *p,
                       struct options *o, struct err *err)
{
    struct db_rows rows = {0};

    if (!db_query(db, a, sql_select_snapshot_tables, &DB_PARAMS(p->now_schema, p->now_table), &rows,
                  err))
        return false;
    make_room(a, o, rows.n_rows);
    for (int i = 0; i < rows.n_rows; i++) {
        AUTO(str) name = {0};

        sql_qualified(&name, db_cell(&rows, i, 0), db_cell(&rows, i, 1));
        o->items[o->n++] = arena_printf(a, "--table=%s", str_text(&name));
    }
    return true;
}

static bool dump(const struct store *store, struct db *db, const char *url, struct arena *a,
                 const struct snapshot *s, struct str *out, struct err *err)
{
    static const char *const always[] = {
        "--schema-only", "--strict-names",  "--no-publications",        "--no-subscriptions",
        "--no-password", "--encoding=UTF8", "--lock-wait-timeout=30000"};
    int n = sizeof always / sizeof *always;
    struct options options = {0};
    struct db_rows id = {0};

    if (!db_query(db, a, sql_export_snapshot, &DB_NO_PARAMS, &id, err))
        return false;
    make_room(a, &options, n + 1);
    for (int i = 0; i < n; i++)
        options.items[options.n++] = always[i];
    options.items[options.n++] = arena_printf(a, "--snapshot=%s", db_cell(&id, 0, 0));
    for (int i = 0; i < s->n_parts; i++)
        if (!add_tables(db, a, &s->parts[i], &options, err))
            return false;
    const char *label =
        s->run_id ? arena_printf(a, "phasegate/%s/definition", s->run_id) : "phasegate/definition";
    AUTO(str) text = {0};
    if (!store->ports->dump(store->ports, url, label, options.items, &text, err))
        return false;
    add_without_ours(out, str_text(&text));
    return true;
}

bool definition_take(const struct store *store, struct db *db, const char *url, struct arena *a,
                     struct snapshot *s, struct err *lacks, struct err *err)
{
    AUTO(str) text = {0};
    struct packer *packer = NULL;
    bool is_needed = false;

    for (int i = 0; i < s->n_parts; i++)
        is_needed |= s->parts[i].whole;
    add_head(&text, s);
    if (!dump(store, db, url, a, s, &text, lacks)) {
        if (err_is(lacks, ERR_UNREACHABLE) && !is_needed && db_is_usable(db))
            return true;
        err_move(err, lacks);
        return err_note(err, "what the tables are made of, which is saved with their rows");
    }
    if (!packer_open(&packer, store, s->name, DEFINITION, err))
        return false;
    struct db_sink sink = packer_sink(packer);
    if (!sink.take(sink.ctx, str_text(&text), text.len, err)) {
        packer_drop(packer);
        return false;
    }
    s->definition.file = DEFINITION;
    return packer_close(packer, a, &s->definition.bytes, &s->definition.sha256, err);
}

/* ---- reading --------------------------------------------------------------------------------------- */

bool snapshot_definition(const struct store *store, const struct snapshot *s, struct str *out,
                         struct err *err)
{
    struct unpacker *u = NULL;
    bool good = true;

    if (!s->definition.file)
        return true;
    if (!unpacker_open(&u, store, s->name, s->definition.file, err))
        return false;
    struct db_source source = unpacker_source(u);
    for (size_t n = 1; good && n > 0;) {
        const char *bytes = NULL;

        good = source.give(source.ctx, &bytes, &n, err);
        if (good && n > 0)
            str_addn(out, bytes, n);
    }
    good = good && unpacker_check(u, s->definition.sha256, err);
    unpacker_close(u);
    return good;
}

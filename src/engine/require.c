/* Technical prerequisites: version, extension, table, disk, a question of the author's. Looks only. */
#include "internal.h"
#include "sql_embedded.h"

#include <stdio.h>
#include <stdlib.h>

static bool require_disk(struct work *w, const struct require *r, struct fact *f, struct err *err)
{
    struct arena *a = w->a;
    struct host *h = w->e->ports->host;
    const char *dir = NULL;
    AUTO(err) ignored = {0};

    (void) err;
    if (!ask_value(w->e, a, sql_select_data_directory, w->e->policy.statement_timeout_ms, &dir,
                   &ignored))
        dir = NULL;
    int64_t free_bytes = dir ? h->ops->disk_free(h, dir) : -1;
    if (free_bytes < 0)
        fact_no(f,
                arena_printf(
                    a,
                    "%lld bytes of free disk are required, and the server's disk can't be seen "
                    "from here (%s)",
                    (long long) r->bytes, pos_text(a, r->at)),
                "run phasegate on the database's host, or state the requirement as sql: with a "
                "function "
                "that tells");
    else if (free_bytes < r->bytes)
        fact_no(f,
                arena_printf(a, "%lld bytes of free disk are required, %lld are free (%s)",
                             (long long) r->bytes, (long long) free_bytes, pos_text(a, r->at)),
                "free some disk, then the same command again");
    return true;
}

static bool require_value(struct work *w, const char *sql, const char **v, struct err *err)
{
    return ask_value(w->e, w->a, sql, w->e->policy.statement_timeout_ms, v, err);
}

static int64_t version_number(const char *s)
{
    char *end;
    long major = strtol(s, &end, 10);

    return major * 10000 + (*end == '.' ? strtol(end + 1, NULL, 10) : 0);
}

/* 15.10 is newer than 15.9, and "15" is every 15.x. */
bool server_version_holds(struct engine *e, const struct cond *c)
{
    int64_t num = db_server_version(e->db);
    struct cond plain = *c;
    AUTO(arena) a = {0};

    if (!c->value || !c->numeric)
        return false;
    if (!strchr(c->value, '.'))
        return cond_holds(c, arena_printf(&a, "%lld", (long long) (num / 10000)), NULL);
    plain.value = arena_printf(&a, "%lld", (long long) version_number(c->value));
    return cond_holds(&plain, arena_printf(&a, "%lld", (long long) num), NULL);
}

static bool require_one(struct work *w, const struct require *r, struct fact *f, struct err *err)
{
    struct arena *a = w->a;
    const char *v = NULL;
    char version[32];
    AUTO(str) sql = {0};

    switch (r->kind) {
    case REQUIRE_POSTGRES: {
        int num = db_server_version(w->e->db);
        snprintf(version, sizeof version, "%d.%d", num / 10000, num % 10000);
        if (!server_version_holds(w->e, &r->expect))
            fact_no(f,
                    arena_printf(a, "PostgreSQL %s %s is required, this is %s (%s)",
                                 cond_op_word(r->expect.op), r->expect.value, version,
                                 pos_text(a, r->at)),
                    "upgrade the server");
        return true;
    }
    case REQUIRE_EXTENSION:
        str_add(&sql, "SELECT extname FROM pg_catalog.pg_extension WHERE extname = ");
        sql_literal(&sql, r->value.s);
        if (!require_value(w, str_text(&sql), &v, err))
            return false;
        if (!v)
            fact_no(f,
                    arena_printf(a, "extension %s is required and not installed (%s)", r->value.s,
                                 pos_text(a, r->at)),
                    arena_printf(a, "CREATE EXTENSION %s, by a role that may", r->value.s));
        return true;
    case REQUIRE_TABLE:
        str_add(&sql, "SELECT pg_catalog.to_regclass(");
        sql_literal(&sql, r->value.s);
        str_add(&sql, ")");
        if (!require_value(w, str_text(&sql), &v, err))
            return false;
        if (!v)
            fact_no(f,
                    arena_printf(a, "table %s is required and not there (%s)", r->value.s,
                                 pos_text(a, r->at)),
                    NULL);
        return true;
    case REQUIRE_DISK_FREE: return require_disk(w, r, f, err);
    case REQUIRE_SQL:
        if (!require_value(w, r->sql.s, &v, err))
            return err_note(err, "requires (%s)", pos_text(a, r->at));
        if (!cond_holds(&r->expect, v, NULL))
            fact_no(f,
                    arena_printf(a, "a requirement doesn't hold: got %s%s%s (%s)",
                                 v ? v : "no value", r->because.s ? ": " : "",
                                 r->because.s ? r->because.s : "", pos_text(a, r->at)),
                    NULL);
        return true;
    }
    return true;
}

bool requirements_look(struct work *w, struct fact *f, struct err *err)
{
    fact_yes(f);
    for (int i = 0; i < w->p->n_requires && f->holds; i++)
        if (!require_one(w, &w->p->requires[i], f, err))
            return false;
    return true;
}

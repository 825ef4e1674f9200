/* What is to be gone: who names it where the server doesn't see it, and whether what is saved of it can be. */
#include "preflight_int.h"

#include "phasegate/names.h"
#include "snapshot.h"
#include "sql_embedded.h"

#include <stdlib.h>
#include <string.h>

/* Those that the phase drops up to this step: an array of SQL, of names in quotes. */
static const char *functions_gone(struct preflighting *f, const struct step_list *steps, int before)
{
    AUTO(str) out = {0};

    str_add(&out, "{");
    for (int i = 0; i <= before; i++)
        for (int k = 0; k < steps->items[i].n_stmts; k++) {
            const struct sql_stmt *s = &steps->items[i].stmts[k];

            if (s->drop != DROP_FUNCTION || !s->object)
                continue;
            str_add(&out, out.len > 1 ? "," : "");
            sql_element(&out, arena_strndup(f->a, s->object, strcspn(s->object, "(")));
        }
    str_add(&out, "}");
    return arena_strdup(f->a, str_text(&out));
}

static bool ask_functions(struct preflighting *f, struct err *err)
{
    const struct step_list *steps = &f->p->phases[f->phase].steps;

    for (int i = 0; i < steps->n; i++)
        for (int k = 0; k < steps->items[i].n_stmts; k++) {
            const struct sql_stmt *s = &steps->items[i].stmts[k];
            bool is_column = s->drop == DROP_COLUMN;
            const struct touched *t =
                is_column || s->drop == DROP_TABLE ? preflight_table(f, s->schema, s->table) : NULL;

            if (!t || !t->oid)
                continue;
            const struct db_params params =
                DB_PARAMS(t->oid, is_column ? s->object : NULL, functions_gone(f, steps, i));
            const char *about =
                is_column ? arena_printf(f->a, "%s.%s", t->name, s->object) : t->name;
            if (!preflight_ask(f, "functions", about, sql_preflight_functions, &params, s->at, err))
                return false;
        }
    return true;
}

/* The one thing that preflight writes: whether something can be written isn't known before. */
static bool ask_snapshots(struct preflighting *f, struct err *err)
{
    const struct store *store;
    AUTO(err) ignored = {0};

    if (!f->tries || !f->e->env->snapshots_to.s || f->e->policy.snapshot == SNAPSHOT_OFF)
        return true;
    struct preflight_check *c = preflight_add(f, "snapshots", NULL, NULL);
    const char *name = arena_printf(f->a, "preflight-%s", f->e->run_id);
    if (snapshot_store_needed(f->e, f->a, &store, err) && store_make(store, name, err)) {
        (void) !store_remove(store, name, &ignored); /* who may not delete leaves it there */
        preflight_settle(f, c, PREFLIGHT_PASS,
                         arena_printf(f->a, "%s can be written to", store->location),
                         "a place that can be written to", NULL);
        return true;
    }
    if (err_is(err, ERR_INTERRUPTED))
        return false;
    preflight_settle(f, c, f->out->is_purge ? PREFLIGHT_NO_GO : PREFLIGHT_WARN,
                     arena_strdup(f->a, str_text(&err->message)), "a place that can be written to",
                     err->hint.len ? arena_strdup(f->a, str_text(&err->hint))
                                   : "mend it before: what can't be saved isn't destroyed");
    err_clear(err);
    return true;
}

/* Can pg_dump say what the tables are made of? It reads servers of its own version and older ones. */
static bool ask_definitions(struct preflighting *f, struct err *err)
{
    static const char *const asks[] = {"--version", NULL};
    const struct ports *ports = f->e->ports;
    AUTO(str) said = {0};

    if (!f->tries || !f->e->env->snapshots_to.s || f->e->policy.snapshot == SNAPSHOT_OFF)
        return true;
    struct preflight_check *c = preflight_add(f, "definitions", NULL, NULL);
    bool runs = ports->dump(ports, f->e->db_url, "phasegate/preflight", asks, &said, err);
    if (!runs && err_is(err, ERR_INTERRUPTED))
        return false;
    int server = db_server_version(f->e->db) / 10000;
    const char *digits = strpbrk(str_text(&said), "0123456789");
    bool is_old = digits && strtol(digits, NULL, 10) < server;
    const char *value = runs ? arena_strndup(f->a, str_text(&said), strcspn(str_text(&said), "\n"))
                             : arena_strdup(f->a, str_text(&err->message));

    preflight_settle(
        f, c, runs && !is_old ? PREFLIGHT_PASS : PREFLIGHT_WARN, value,
        arena_printf(f->a, "pg_dump %d or newer, here", server),
        runs && !is_old ? NULL
                        : arena_printf(f->a,
                                       "apt install postgresql-client-%d, or PHASEGATE_PG_BIN=DIR: "
                                       "no whole table is destroyed without its definition",
                                       server));
    err_clear(err);
    return true;
}

bool preflight_gone(struct preflighting *f, struct err *err)
{
    if (f->phase != PHASE_CONTRACT)
        return true;
    return (f->out->is_purge || ask_functions(f, err)) && ask_snapshots(f, err) &&
           ask_definitions(f, err);
}

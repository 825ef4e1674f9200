/* pg_dump: what it gets, what it says, and what it writes, for whoever wants tables of a live database defined. */
#include "db_libpq.h"

#include <stdlib.h>
#include <string.h>

enum {
    DUMP_MS = 10 * 60 * 1000
}; /* of a catalogue with very many tables; it ends by itself when a lock is held */

bool pg_dump_env(struct arena *a, const char *url, const char *label, const char *const **out,
                 struct err *err)
{
    static const char read_only[] = "-c default_transaction_read_only=on";
    const char *options = getenv("PGOPTIONS");
    bool waits = getenv("PGCONNECT_TIMEOUT") != NULL; /* as long as somebody has said */
    const char *const *variables;
    const char **list;
    int n = 0;

    if (!db_variables(url, a, &variables, err))
        return false;
    while (variables[n])
        n++;
    list = arena_array(a, const char *, n + 4);
    n = 0;
    for (; *variables; variables++) {
        waits |= strncmp(*variables, "PGCONNECT_TIMEOUT=", 18) == 0;
        if (strncmp(*variables, "PGOPTIONS=", 10) == 0)
            options = *variables + 10;
        else
            list[n++] = *variables;
    }
    list[n++] = arena_printf(a, "PGOPTIONS=%s %s", options ? options : "", read_only);
    list[n++] = arena_printf(a, "PGAPPNAME=%s", label);
    if (!waits)
        list[n++] = "PGCONNECT_TIMEOUT=15";
    *out = pg_program_env(a, list, true);
    return true;
}

bool pg_dump_error(const char *said, const char *what, struct err *err)
{
    const char *versions = strstr(said, "server version: ");
    size_t n = strlen(said);

    while (n > 0 && said[n - 1] == '\n')
        n--;
    if (strstr(said, "server version mismatch")) {
        err_set(err, ERR_UNREACHABLE, "pg_dump is older than the server: it can't read %s", what);
        if (versions)
            err_detail(err, "%.*s", (int) strcspn(versions, "\n"), versions);
        return err_hint(err, "Install the client of the server's version: apt install "
                             "postgresql-client-VERSION, and PHASEGATE_PG_BIN=DIR.");
    }
    err_set(err, ERR_UNREACHABLE, "pg_dump can't read %s", what);
    err_detail(err, "%.*s", (int) n, said);
    return err_hint(err, "It needs the right to read the schema: pg_dump --schema-only with the "
                         "same connection says more.");
}

static bool may_wait(void *ctx) { return !ports_interrupted(*(const struct ports **) ctx); }

/* All that it writes, to its end. */
static bool read_all(const struct ports *p, struct coprocess *program, struct str *out,
                     struct err *err)
{
    int64_t until = clock_mono_ms(p->clock) + DUMP_MS;
    AUTO(str) line = {0};

    for (;;) {
        switch (program->ops->next(program, until, may_wait, &p, &line)) {
        case COPROCESS_LINE:
            str_addn(out, str_text(&line), line.len);
            str_addc(out, '\n');
            break;
        case COPROCESS_ENDED: return true;
        case COPROCESS_LATE:
            err_set(err, ERR_UNREACHABLE, "pg_dump hasn't ended after %d minutes", DUMP_MS / 60000);
            return err_hint(err, "Is the server very busy? The same command begins again.");
        case COPROCESS_LEFT: return err_set(err, ERR_INTERRUPTED, "stopped by a signal");
        }
    }
}

bool pg_dump_run(const struct ports *p, const char *url, const char *label,
                 const char *const *options, struct str *out, struct err *err)
{
    struct coprocess *program = NULL;
    const char *const *env;
    AUTO(arena) a = {0};
    AUTO(str) path = {0};
    AUTO(str) said = {0};
    int n = 0;

    while (options[n])
        n++;
    const char **argv = arena_array(&a, const char *, n + 2);
    if (!pg_program_find(getenv("PHASEGATE_PG_BIN"), "pg_dump", &path, err) ||
        !pg_dump_env(&a, url, label, &env, err))
        return false;
    argv[0] = str_text(&path);
    memcpy(argv + 1, options, sizeof *argv * (size_t) n);
    argv[n + 1] = NULL;
    if (!p->host->ops->open_coprocess(p->host, argv, env, &program, err))
        return false;
    bool good = read_all(p, program, out, err);
    if (good)
        program->ops->said(program, &said);
    int code = program->ops->end(program, good);
    return good && (code == 0 || pg_dump_error(str_text(&said), "the tables", err));
}

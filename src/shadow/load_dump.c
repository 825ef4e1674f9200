/* The schema of a live database, as pg_dump writes it. */
#include "phasegate/io.h"
#include "shadow/load_int.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char shown[] = "pg_dump of the live schema";

/* It writes nothing there, whatever it is told. */
static const char *const *dump_env(struct load *l, const char *const *variables)
{
    static const char read_only[] = "-c default_transaction_read_only=on";
    const char *options = getenv("PGOPTIONS");
    bool waits = getenv("PGCONNECT_TIMEOUT") != NULL; /* as long as somebody has said */
    const char **list;
    int n = 0;

    while (variables[n])
        n++;
    list = arena_array(&l->arena, const char *, n + 4);
    n = 0;
    for (; *variables; variables++) {
        waits |= strncmp(*variables, "PGCONNECT_TIMEOUT=", 18) == 0;
        if (strncmp(*variables, "PGOPTIONS=", 10) == 0)
            options = *variables + 10;
        else
            list[n++] = *variables;
    }
    list[n++] = arena_printf(&l->arena, "PGOPTIONS=%s %s", options ? options : "", read_only);
    list[n++] = "PGAPPNAME=phasegate/baseline";
    if (!waits)
        list[n++] = "PGCONNECT_TIMEOUT=15";
    return program_env(&l->arena, list, true);
}

static bool dump_error(struct load *l, const char *said, struct err *err)
{
    const char *versions = strstr(said, "server version: ");
    size_t n = strlen(said);

    while (n > 0 && said[n - 1] == '\n')
        n--;
    if (strstr(said, "server version mismatch")) {
        err_set(err, ERR_UNREACHABLE,
                "pg_dump is older than the server whose schema it is to read");
        if (versions)
            err_detail(err, "%.*s", (int) strcspn(versions, "\n"), versions);
        return err_hint(err, "Install the client of the server's version: apt install "
                             "postgresql-client-VERSION, and PHASEGATE_PG_BIN=DIR.");
    }
    err_set(err, ERR_UNREACHABLE, "pg_dump can't read the schema of the live database");
    err_detail(err, "%.*s", (int) n, said);
    (void) l;
    return err_hint(err, "It needs the right to read the schema: pg_dump --schema-only with the "
                         "same connection says more.");
}

static bool run_dump(struct load *l, const char *url, int fd, struct err *err)
{
    AUTO(str) program = {0};
    AUTO(str) said = {0};
    const char *const *variables;
    int code = 0;

    if (!db_variables(url, &l->arena, &variables, err))
        return err_note(err, "the database that the baseline is read from");
    if (!program_find(l->s, "pg_dump", &program, err))
        return false;
    const char *const argv[] = {
        str_text(&program),          "--schema-only",        "--no-subscriptions",
        "--no-tablespaces",          "--no-security-labels", "--encoding=UTF8",
        "--lock-wait-timeout=30000", "--no-password",        NULL};
    const struct program p = {
        .argv = argv, .env = dump_env(l, variables), .in_fd = -1, .out_fd = fd};
    if (!program_run(l->s, &p, &said, &code, err))
        return false;
    return code == 0 ? true : dump_error(l, str_text(&said), err);
}

bool load_dump(struct load *l, const char *url, struct err *err)
{
    int fd = program_file(err);
    char *bytes = NULL;
    size_t n = 0;

    if (fd < 0)
        return false;
    bool good = run_dump(l, url, fd, err) && load_read(fd, shown, &bytes, &n, err) &&
                scan_file(&l->scan, shown, bytes, n, err);
    free(bytes);
    close(fd);
    return good;
}

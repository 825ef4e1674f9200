/* The schema of a live database, as pg_dump writes it. */
#include "phasegate/io.h"
#include "shadow/load_int.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char shown[] = "pg_dump of the live schema";

static bool run_dump(struct load *l, const char *url, int fd, struct err *err)
{
    AUTO(str) program = {0};
    AUTO(str) said = {0};
    const char *const *env;
    int code = 0;

    if (!pg_dump_env(&l->arena, url, "phasegate/baseline", &env, err))
        return err_note(err, "the database that the baseline is read from");
    if (!program_find(l->s, "pg_dump", &program, err))
        return false;
    const char *const argv[] = {
        str_text(&program),          "--schema-only",        "--no-subscriptions",
        "--no-tablespaces",          "--no-security-labels", "--encoding=UTF8",
        "--lock-wait-timeout=30000", "--no-password",        NULL};
    const struct program p = {.argv = argv, .env = env, .in_fd = -1, .out_fd = fd};
    if (!program_run(l->s, &p, &said, &code, err))
        return false;
    return code == 0 ? true
                     : pg_dump_error(str_text(&said), "the schema of the live database", err);
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

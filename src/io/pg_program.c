/* PostgreSQL's client programs: where they are, and what of our environment they get. */
#include "phasegate/io.h"

#include "db_libpq.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

/* ---- finding ----------------------------------------------------------------------------------- */

/* The first number in a path: 15 of /usr/lib/postgresql/15/bin */
static long version_in(const char *path)
{
    const char *digits = strpbrk(path, "0123456789");

    return digits ? strtol(digits, NULL, 10) : 0;
}

bool pg_program_newest(bool (*has)(const char *folder, const char *program), const char *program,
                       struct str *out)
{
    static const char *const places[] = {"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin",
                                         "/usr/local/pgsql/bin",
                                         "/opt/homebrew/opt/postgresql@*/bin"};
    long newest = -1;

    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        glob_t found;

        if (glob(places[i], 0, NULL, &found) != 0)
            continue;
        for (size_t k = 0; k < found.gl_pathc; k++) {
            if (version_in(found.gl_pathv[k]) > newest && has(found.gl_pathv[k], program)) {
                newest = version_in(found.gl_pathv[k]);
                str_set(out, found.gl_pathv[k]);
            }
        }
        globfree(&found);
    }
    return newest >= 0;
}

static bool has_program(const char *folder, const char *program)
{
    AUTO(str) path = {0};

    str_addf(&path, "%s/%s", folder, program);
    return access(str_text(&path), X_OK) == 0;
}

bool pg_program_find(const char *folder, const char *name, struct str *out, struct err *err)
{
    const char *list = getenv("PATH");
    AUTO(str) newest = {0};

    if (folder && has_program(folder, name)) {
        str_addf(out, "%s/%s", folder, name);
        return true;
    }
    /* Before the PATH, where distributions have scripts that look for it. */
    if (pg_program_newest(has_program, name, &newest)) {
        str_addf(out, "%s/%s", str_text(&newest), name);
        return true;
    }
    for (const char *at = list ? list : ""; *at;) {
        size_t n = strcspn(at, ":");

        str_clear(out);
        str_addf(out, "%.*s/%s", (int) n, at, name);
        if (n > 0 && access(str_text(out), X_OK) == 0)
            return true;
        at += n + (at[n] == ':');
    }
    err_set(err, ERR_UNREACHABLE, "no %s on this machine", name);
    return err_hint(err, "apt install postgresql-client, or PHASEGATE_PG_BIN=DIR.");
}

/* ---- environment ------------------------------------------------------------------------------- */

static bool is_named_by(const char *entry, const char *const *list)
{
    size_t n = strcspn(entry, "=") + 1;

    for (; *list; list++)
        if (strncmp(*list, entry, n) == 0)
            return true;
    return false;
}

/* What programs of PostgreSQL need in order to run, and to connect as the user does: HOME has certificates and
 * ~/.pgpass. All else may be a secret. */
static bool is_needed(const char *entry)
{
    static const char *const names[] = {"PATH=",         "HOME=",          "LD_LIBRARY_PATH=",
                                        "KRB5CCNAME=",   "KRB5_CONFIG=",   "KRB5_CLIENT_KTNAME=",
                                        "OPENSSL_CONF=", "SSL_CERT_FILE=", "SSL_CERT_DIR="};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(entry, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

/* Not all that begins with PG is libpq's. */
bool pg_program_is_libpqs(const PQconninfoOption *all, const char *entry)
{
    static const char *const more[] = {"PGSERVICE", "PGSERVICEFILE", "PGSYSCONFDIR", NULL};
    size_t n = strcspn(entry, "=");

    for (int i = 0; more[i]; i++)
        if (strlen(more[i]) == n && strncmp(more[i], entry, n) == 0)
            return true;
    for (; all && all->keyword; all++)
        if (all->envvar && strlen(all->envvar) == n && strncmp(all->envvar, entry, n) == 0)
            return true;
    return false;
}

const char *const *pg_program_env(struct arena *a, const char *const *added, bool keeps_libpq)
{
    PQconninfoOption *libpq = keeps_libpq ? PQconninfoParse("", NULL) : NULL;
    const char **all;
    int n = 0, m = 0;

    while (environ[n])
        n++;
    while (added[m])
        m++;
    all = arena_array(a, const char *, n + m + 3);
    m = 0;
    for (int i = 0; i < n; i++)
        if (!is_named_by(environ[i], added) &&
            (is_needed(environ[i]) || (keeps_libpq && pg_program_is_libpqs(libpq, environ[i]))))
            all[m++] = environ[i];
    all[m++] = "LC_ALL=C";
    all[m++] = "TZ=UTC";
    for (; *added; added++)
        all[m++] = *added;
    PQconninfoFree(libpq);
    return all;
}

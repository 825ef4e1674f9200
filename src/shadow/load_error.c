/* What psql says of a statement that failed, as an error at file:line. */
#include "shadow/load_int.h"

#include <stdlib.h>
#include <string.h>

struct said {
    int line; /* of what psql read; 0: unknown */
    char sqlstate[6];
    const char *message, *detail, *hint;
    int at; /* LINE n of the statement; 0: unknown */
};

/* "psql:<stdin>:12: ERROR:  42P01: text", the last one. */
static const char *find_error(const char *text, int *line)
{
    static const char head[] = "psql:<stdin>:";
    const char *found = NULL;

    for (const char *c = strstr(text, head); c; c = strstr(c + 1, head)) {
        char *end;
        long n = strtol(c + sizeof head - 1, &end, 10);

        if ((c == text || c[-1] == '\n') && strncmp(end, ": ", 2) == 0 &&
            strncmp(end, ": NOTICE:", 9) != 0 && strncmp(end, ": WARNING:", 10) != 0) {
            found = end + 2;
            *line = (int) n;
        }
    }
    return found;
}

static const char *line_after(struct arena *a, const char *text, const char *word)
{
    const char *at = strstr(text, word);

    if (!at)
        return NULL;
    at += strlen(word);
    return arena_strndup(a, at, strcspn(at, "\n"));
}

static void read_said(struct arena *a, const char *text, struct said *out)
{
    const char *at = find_error(text, &out->line);
    const char *line;

    *out = (struct said) {.line = out->line};
    if (!at)
        at = text;
    line = line_after(a, at, "\nLINE ");
    out->at = line ? (int) strtol(line, NULL, 10) : 0;
    out->detail = line_after(a, at, "\nDETAIL:  ");
    out->hint = line_after(a, at, "\nHINT:  ");
    const char *words = strstr(at, ":  ");
    if (words && words < at + strcspn(at, "\n"))
        at = words + 3;
    if (strspn(at, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && at[5] == ':') {
        memcpy(out->sqlstate, at, 5);
        at += 7;
    }
    out->message = arena_strndup(a, at, strcspn(at, "\n"));
}

/* ---- extensions -------------------------------------------------------------------------------- */

/* extension "x" is not available; could not open extension control file ".../x.control" */
static const char *missing_extension(struct arena *a, const char *message)
{
    static const char quoted[] = "extension \"", file[] = "extension control file \"";
    const char *at = strstr(message, file);

    if (at) {
        at += sizeof file - 1;
        const char *end = at + strcspn(at, "\"");
        const char *name = end;
        while (name > at && name[-1] != '/')
            name--;
        size_t n = (size_t) (end - name);
        return arena_strndup(a, name, n > 8 ? n - 8 : n); /* without .control */
    }
    at = strstr(message, quoted);
    if (!at || !strstr(at, "is not available"))
        return NULL;
    at += sizeof quoted - 1;
    return arena_strndup(a, at, strcspn(at, "\""));
}

static const char *package_of(struct arena *a, const char *extension, int version)
{
    static const struct {
        const char *extension, *package; /* Debian's, behind postgresql-15- */
    } known[] = {
        {"vector", "pgvector"},
        {"postgis", "postgis-3"},
        {"postgis_raster", "postgis-3"},
        {"postgis_topology", "postgis-3"},
        {"pg_cron", "cron"},
        {"pg_partman", "partman"},
        {"pg_repack", "repack"},
        {"hypopg", "hypopg"},
        {"pgaudit", "pgaudit"},
        {"plpython3u", NULL},
        {"plperl", NULL},
        {"pltcl", NULL},
        {"pgtap", "pgtap"},
        {"rum", "rum"},
        {"ip4r", "ip4r"},
        {"hll", "hll"},
        {"orafce", "orafce"},
        {"prefix", "prefix"},
        {"unit", "unit"},
        {"semver", "semver"},
        {"pg_hint_plan", "pg-hint-plan"},
    };
    int major = version / 10000;

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].extension, extension) != 0)
            continue;
        if (!known[i].package)
            return arena_printf(a, "postgresql-%.*s-%d", (int) strcspn(extension, "u"), extension,
                                major);
        return arena_printf(a, "postgresql-%d-%s", major, known[i].package);
    }
    return arena_printf(a, "postgresql-%d-%s (or postgresql-contrib)", major, extension);
}

/* ---- hints ------------------------------------------------------------------------------------- */

static const char *hint_for(const struct said *said)
{
    if (strcmp(said->sqlstate, "22021") == 0)
        return "The file isn't UTF-8: pg_dump --encoding=UTF8, or SET client_encoding = '...' at "
               "its beginning.";
    if (strcmp(said->sqlstate, "25001") == 0 && strstr(said->message, "DISCARD ALL"))
        return "The file begins a transaction and doesn't end it: add COMMIT.";
    if (strstr(said->message, "unrecognized configuration parameter"))
        return "The dump is from a newer PostgreSQL: install that one (PHASEGATE_PG_BIN=DIR), or "
               "--shadow URL.";
    if (strstr(said->message, "collation \"") && strcmp(said->sqlstate, "42704") == 0)
        return "This machine lacks the locale: locale-gen, or --shadow URL for a server that has "
               "it.";
    if (strcmp(said->sqlstate, "42601") == 0 && strstr(said->message, "at or near \"$\""))
        return "A placeholder (${...}) is filled in by the migration tool, not by phasegate: "
               "baseline: a dump "
               "of the migrated schema instead (pg_dump --schema-only).";
    if (strstr(said->message, "shared_preload_libraries"))
        return "The extension has to be loaded with the server: --shadow URL for one that does.";
    return said->hint
               ? said->hint
               : "Mend it, then: phasegate check. What ran in production as it stands: baseline: a "
                 "dump of the schema instead (pg_dump --schema-only --no-owner).";
}

static const char *role_in(struct arena *a, const struct said *said)
{
    static const char head[] = "role \"", tail[] = "\" does not exist";
    const char *end = strstr(said->message, tail);

    if (strncmp(said->message, head, sizeof head - 1) != 0 || !end ||
        (strcmp(said->sqlstate, "42704") != 0 && strcmp(said->sqlstate, "22023") != 0))
        return NULL;
    const char *at = said->message + sizeof head - 1;
    return arena_strndup(a, at, (size_t) (end - at));
}

static void place_of(const struct load *l, const struct said *said, const char **file, int *line)
{
    const struct scan_statement *at = scan_statement_at(&l->scan, said->line);
    int n = said->line;

    if (at)
        n = at->first + (said->at > 1 ? said->at - 1 : 0);
    if (at && n > at->last)
        n = at->last;
    *file = scan_place(&l->scan, n, line);
}

/* The name is the branch's, and a command is there to be pasted. */
static bool is_package_name(const char *extension)
{
    return strspn(extension, "abcdefghijklmnopqrstuvwxyz0123456789_-") == strlen(extension);
}

bool load_extension_error(struct load *l, const char *file, int line, const char *sqlstate,
                          const char *message, struct err *err)
{
    const char *extension = missing_extension(&l->arena, message);

    if (extension) {
        err_set(err, ERR_INPUT, "%s:%d: the shadow's PostgreSQL %d lacks the extension \"%s\"",
                file, line, l->s->version / 10000, extension);
        err_detail(err, "%s", message);
        if (is_package_name(extension))
            err_hint(err, "apt install %s, or --shadow URL for a server that has it.",
                     package_of(&l->arena, extension, l->s->version));
        else
            err_hint(err, "--shadow URL for a server that has it.");
    } else {
        err_set(err, ERR_INPUT, "%s:%d: %s", file, line, message);
    }
    memcpy(err->sqlstate, sqlstate, sizeof err->sqlstate);
    return false;
}

static const char limited_words[] = "On a server of yours a baseline is loaded as a role without a "
                                    "superuser's rights: nothing would "
                                    "confine it there. Leave the statement out, or check without "
                                    "--shadow, on a server that phasegate "
                                    "starts and confines.";

bool load_error(struct load *l, const char *text, const char **missing_role, struct err *err)
{
    struct said said = {0};
    const char *file;
    int line;

    if (strstr(text, "invalid command \\restrict")) {
        err_set(err, ERR_UNREACHABLE, "psql is too old to load a baseline safely");
        return err_hint(
            err, "Install PostgreSQL's security updates: 14.19, 15.14, 16.10, 17.6 or newer.");
    }
    read_said(&l->arena, text, &said);
    *missing_role = role_in(&l->arena, &said);
    place_of(l, &said, &file, &line);
    if (missing_extension(&l->arena, said.message))
        return load_extension_error(l, file, line, said.sqlstate, said.message, err);
    err_set(err, ERR_INPUT, "%s:%d: %s", file, line, said.message);
    if (said.detail)
        err_detail(err, "%s", said.detail);
    if (l->is_limited && strcmp(said.sqlstate, "42501") == 0)
        err_hint(err, "%s", limited_words);
    else
        err_hint(err, "%s", hint_for(&said));
    memcpy(err->sqlstate, said.sqlstate, sizeof err->sqlstate);
    return false;
}

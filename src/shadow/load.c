/* Loading a baseline: through the scan, the roles that it names, psql, and then over to the limited role. */
#include "phasegate/io.h"
#include "shadow/load_int.h"
#include "shadow/wire_int.h"

#include "sql_embedded.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_MISSING_ROLES = 100, LOAD_MS = 10 * 60000 };

/* ---- roles ------------------------------------------------------------------------------------- */

static bool get_roles(struct load *l, struct names *out, struct err *err)
{
    struct wire_result r = {0};

    if (!shadow_admin_query(l->s, &l->arena, sql_shadow_made_roles, &r, err))
        return false;
    for (int i = 0; i < r.n_rows; i++)
        names_add(&l->arena, out, r.cell[i][0]);
    return true;
}

static bool find_strong(struct load *l, struct err *err)
{
    struct wire_result r = {0};

    if (!shadow_admin_query(l->s, &l->arena, sql_shadow_strong_roles, &r, err))
        return false;
    for (int i = 0; i < r.n_rows; i++)
        if (names_find(&l->s->roles_made, r.cell[i][0]) < 0)
            names_add(&l->arena, &l->scan.strong, r.cell[i][0]);
    return true;
}

/* A role that bears the name of a baseline's may be another run's, which lets us have it as long as we hold it. */
static bool forget_runs(struct load *l, struct names *all, struct err *err)
{
    struct wire_result r = {0};

    if (!shadow_admin_query(l->s, &l->arena,
                            "SELECT rolname FROM pg_roles WHERE "
                            "shobj_description(oid, 'pg_authid') ~ '" SHADOW_RUN "$' "
                            "AND rolname !~ '" SHADOW_RUN "_'",
                            &r, err))
        return false;
    for (int i = 0; i < r.n_rows; i++) {
        int at = names_find(all, r.cell[i][0]);

        if (at >= 0)
            all->items[at] = NULL;
    }
    return true;
}

static bool find_foreign(struct load *l, struct err *err)
{
    struct names all = {0};

    if (!l->s->url)
        return true;
    if (!get_roles(l, &all, err) || (l->is_limited && !forget_runs(l, &all, err)))
        return false;
    for (int i = 0; i < all.n; i++)
        if (all.items[i] && names_find(&l->s->roles_made, all.items[i]) < 0)
            names_add(&l->arena, &l->scan.foreign, all.items[i]);
    return find_strong(l, err);
}

/* What the baseline makes itself it makes better than we did before we knew of it. Where something belongs to the
 * role, of another database perhaps, it stays. */
static void clear_way(struct load *l)
{
    struct shadow *s = l->s;

    for (int i = 0; i < l->scan.created.n; i++) {
        int at = names_find(&s->roles_made, l->scan.created.items[i]);
        AUTO(str) sql = {0};
        AUTO(err) ignored = {0};

        if (at < 0 || s->url)
            continue;
        str_add(&sql, "DROP ROLE ");
        sql_ident(&sql, s->roles_made.items[at]);
        if (shadow_admin(s, str_text(&sql), &ignored))
            s->roles_made.items[at] = NULL;
    }
}

/* Owners of triggers on events and of wrappers of foreign data have to be superusers, when they are made so. It is
 * taken from them after the load. On a server of the user's another run may be using the role. */
static bool strengthen(struct load *l, struct err *err)
{
    struct shadow *s = l->s;

    for (int i = 0; !s->url && i < s->roles_made.n; i++) {
        const char *name = s->roles_made.items[i];
        AUTO(str) sql = {0};

        if (!name || strcmp(name, s->owner) == 0 || strcmp(name, SHADOW_SEEDS) == 0)
            continue;
        str_add(&sql, "ALTER ROLE ");
        sql_ident(&sql, name);
        str_add(&sql, " SUPERUSER");
        if (!shadow_admin(s, str_text(&sql), err))
            return false;
    }
    return true;
}

static bool make_roles(struct load *l, struct err *err)
{
    struct scan *sc = &l->scan;

    clear_way(l);
    for (int i = 0; i < sc->mentioned.n; i++)
        if ((l->is_limited || names_find(&sc->created, sc->mentioned.items[i]) < 0) &&
            !shadow_role_make(l->s, sc->mentioned.items[i], err))
            return false;
    return strengthen(l, err);
}

/* Those that the baseline has made are ours as well. */
static bool adopt_roles(struct load *l, struct err *err)
{
    struct shadow *s = l->s;
    struct names all = {0};

    if (!get_roles(l, &all, err))
        return false;
    for (int i = 0; i < all.n; i++) {
        bool is_new = s->url ? names_find(&l->scan.created, all.items[i]) >= 0 &&
                                   names_find(&l->scan.foreign, all.items[i]) < 0
                             : true;

        if (is_new && names_find(&s->roles_made, all.items[i]) < 0 &&
            !shadow_role_adopt(s, all.items[i], err))
            return false;
    }
    for (int i = 0; s->roles[i]; i++)
        if (!shadow_role_make(s, s->roles[i], err))
            return false;
    return true;
}

/* ---- psql -------------------------------------------------------------------------------------- */

static bool is_about_us(const char *keyword)
{
    static const char *const words[] = {"user",   "password", "passfile", "service",
                                        "sslkey", "sslcert",  NULL};

    for (int i = 0; words[i]; i++)
        if (strcmp(keyword, words[i]) == 0)
            return true;
    return false;
}

/* How we are connected, for a program of libpq's; the password is no argument of it. */
static const char *const *connection_env(struct load *l)
{
    PQconninfoOption *all = PQconninfo(l->s->admin->conn);
    static const char *const other[] = {"dbname",  "application_name",
                                        "options", "client_encoding",
                                        "service", NULL}; /* a service is all resolved here */
    const char **list;
    int n = 0;

    for (PQconninfoOption *o = all; o && o->keyword; o++)
        n++;
    list = arena_array(&l->arena, const char *, n + 7);
    n = 0;
    for (PQconninfoOption *o = all; o && o->keyword; o++) {
        bool keep = o->envvar && o->val && *o->val;

        for (int i = 0; other[i]; i++)
            keep = keep && strcmp(o->keyword, other[i]) != 0;
        keep = keep && !(l->is_limited && is_about_us(o->keyword));
        if (keep)
            list[n++] = arena_printf(&l->arena, "%s=%s", o->envvar, o->val);
    }
    PQconninfoFree(all);
    list[n++] = arena_printf(&l->arena, "PGDATABASE=%s", l->database);
    list[n++] = "PGAPPNAME=phasegate/baseline";
    list[n++] = "PGCLIENTENCODING=UTF8";
    /* The limited role's database speaks English already, and it can't ask for it. */
    list[n++] = arena_printf(&l->arena, "PGOPTIONS=-c client_min_messages=error %s %s",
                             shadow_mortal(l->s), l->is_limited ? "" : "-c lc_messages=C");
    if (l->is_limited) {
        list[n++] = arena_printf(&l->arena, "PGUSER=%s", l->s->owner);
        list[n++] = arena_printf(&l->arena, "PGPASSWORD=%s", l->s->secret);
    }
    return pg_program_env(&l->arena, list, false);
}

static bool run_psql(struct load *l, struct str *said, int *code, struct err *err)
{
    AUTO(str) psql = {0};

    if (!program_find(l->s, "psql", &psql, err))
        return false;
    if (program_is_script(str_text(&psql))) {
        err_set(err, ERR_UNREACHABLE, "%s is a script, and the baseline is loaded by psql itself",
                str_text(&psql));
        return err_hint(err, "PHASEGATE_PG_BIN=DIR: the folder in which psql is a program.");
    }
    const char *const argv[] = {
        str_text(&psql), "--no-psqlrc",     "--quiet", "--no-password",     "--file", "-",
        "--set",         "ON_ERROR_STOP=1", "--set",   "VERBOSITY=verbose", NULL};
    const struct program p = {.argv = argv,
                              .env = connection_env(l),
                              .in_fd = fileno(l->file),
                              .out_fd = -1,
                              .is_confined = true,
                              .limit_ms = LOAD_MS};
    lseek(p.in_fd, 0, SEEK_SET);
    if (!program_run(l->s, &p, said, code, err))
        return false;
    if (*code != SHADOW_COMMAND_LATE)
        return true;
    err_set(err, ERR_INPUT, "the baseline isn't loaded within %d minutes", LOAD_MS / 60000);
    return err_hint(err, "Is there a statement in it that doesn't end? Rows aren't needed: "
                         "pg_dump --schema-only.");
}

/* ---- all of it --------------------------------------------------------------------------------- */

static bool start_afresh(struct load *l, struct err *err)
{
    int at = names_find(&l->s->databases, l->name);
    const char *source = l->s->sources.items[at];

    return shadow_drop(l->s, l->name, err) &&
           shadow_database(l->s, l->name, *source ? source : NULL, err);
}

/* The scan lets no backslash command through, and psql reads as the scan does as long as both see the same encoding,
 * which a statement can change unseen. So psql takes none either: who doesn't know the word can't end that.
 * PostgreSQL 13.22, 14.19, 15.14, 16.10, 17.6 (CVE-2025-8714). */
static void restrict_psql(struct load *l)
{
    struct clock *c = l->s->clock;
    const char *text = arena_printf(&l->arena, "\\restrict %08x%08x%08x%08x\n", clock_random(c),
                                    clock_random(c), clock_random(c), clock_random(c));

    fwrite(text, 1, strlen(text), l->file);
    l->scan.line++;
}

static bool begin(struct load *l, struct shadow *s, const char *name, struct err *err)
{
    int fd;

    if (!shadow_ready(s, err))
        return false;
    if (!shadow_has_database(s, name))
        return err_set(err, ERR_BUG, "the shadow has no database %s", name);
    l->s = s;
    l->name = name;
    if (shadow_image_has(s, name) && !start_afresh(l, err))
        return false; /* another baseline than was announced */
    l->database = shadow_database_name(s, &l->arena, name);
    l->is_limited = s->url && !s->superuser_steps;
    l->scan = (struct scan) {
        .a = &l->arena, .line = 1, .version = s->version, .is_limited = l->is_limited};
    fd = program_file(err);
    if (fd < 0)
        return false;
    l->file = l->scan.out = fdopen(fd, "w+");
    if (!l->file)
        abort();
    restrict_psql(l);
    return find_foreign(l, err);
}

static void end(struct load *l)
{
    if (l->file)
        fclose(l->file);
    str_free(&l->seen);
    arena_free(&l->arena);
}

/* Once. missing_role: it failed for want of this one. */
static bool try_load(struct load *l, const char **missing_role, struct err *err)
{
    AUTO(str) said = {0};
    AUTO(err) second = {0};
    int code = 0;

    *missing_role = NULL;
    bool good = make_roles(l, err) && (!l->is_limited || limited_prepare(l, err)) &&
                run_psql(l, &said, &code, err);
    if (good && code != 0)
        good = load_error(l, str_text(&said), missing_role, err);
    /* Also after a failure: rights that were lent must not stay. */
    if (l->is_limited && !limited_finish(l, good, good ? err : &second))
        return false;
    if (!load_settle(l->s, good ? err : &second) || !adopt_roles(l, good ? err : &second) ||
        (good && !load_check(l->s, l->database, err)) ||
        !load_finish(l->s, l->database, good, good ? err : &second))
        return false;
    return good;
}

static bool run(struct load *l, struct err *err)
{
    const char *missing = NULL;

    if (fflush(l->file) != 0 || ferror(l->file))
        return err_set(err, ERR_UNREACHABLE, "the baseline can't be copied to a temporary file");
    for (int i = 0; i < MAX_MISSING_ROLES; i++) {
        if (try_load(l, &missing, err))
            return true;
        if (!missing || names_find(&l->scan.mentioned, missing) >= 0)
            return false;
        names_add(&l->arena, &l->scan.mentioned, missing);
        if (!start_afresh(l, err))
            return false;
    }
    return false;
}

bool shadow_load(struct shadow *s, const char *name, const char *root, const char *path,
                 struct err *err)
{
    struct load l = {0};

    if (shadow_ready(s, err) && shadow_image_is_of(s, name, root, path))
        return true;
    bool good = begin(&l, s, name, err) && load_path(&l, root, path, err) && run(&l, err);
    if (good && !l.seen.full)
        shadow_image_keep(s, name, &l.seen);
    s->was_used = true;
    end(&l);
    return good;
}

bool shadow_load_given(struct shadow *s, const char *name, const char *shown,
                       const struct given_file *files, int n, bool is_folder, struct err *err)
{
    struct load l = {0};
    bool good =
        begin(&l, s, name, err) && load_given(&l, shown, files, n, is_folder, err) && run(&l, err);

    s->was_used = true;
    end(&l);
    return good;
}

bool shadow_load_from(struct shadow *s, const char *name, const char *url, struct err *err)
{
    struct load l = {0};
    bool good = begin(&l, s, name, err) && load_dump(&l, url, err) && run(&l, err);

    s->was_used = true;
    end(&l);
    return good;
}

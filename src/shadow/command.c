/* Somebody's program on a database of the shadow: it's told of no other database, and of none of our secrets. */
#include "shadow/program.h"
#include "shadow/wire_int.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

/* What programs need to be found and to run. All else may be a secret: of the project, or of who runs this. */
static const char *const kept[] = {
    "PATH",           "HOME",       "USER",          "LOGNAME",      "SHELL",
    "TMPDIR",         "TZ",         "TERM",          "LANG",         "JAVA_HOME",
    "NODE_PATH",      "PYTHONPATH", "GOPATH",        "GOROOT",       "VIRTUAL_ENV",
    "BUNDLE_GEMFILE", "GEM_HOME",   "GEM_PATH",      "PERL5LIB",     "DOTNET_ROOT",
    "RUBYLIB",        "CARGO_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH",
};

static bool is_kept(const char *entry)
{
    size_t n = strcspn(entry, "=");

    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (strlen(kept[i]) == n && strncmp(entry, kept[i], n) == 0)
            return true;
    return strncmp(entry, "LC_", 3) == 0;
}

static void add_encoded(struct str *to, const char *text)
{
    for (; *text; text++)
        if (isalnum((unsigned char) *text) || strchr("-._~", *text))
            str_addc(to, *text);
        else
            str_addf(to, "%%%02X", (unsigned char) *text);
}

struct place {
    const char *host, *address, *port, *sslmode, *sslrootcert;
};

static const char *value_of(const PQconninfoOption *all, struct arena *a, const char *keyword)
{
    for (; all && all->keyword; all++)
        if (strcmp(all->keyword, keyword) == 0)
            return all->val && *all->val ? arena_strdup(a, all->val) : NULL;
    return NULL;
}

static void find_place(const struct wire *w, struct arena *a, struct place *out)
{
    PQconninfoOption *all = PQconninfo(w->conn);

    out->host = value_of(all, a, "host");
    out->address = value_of(all, a, "hostaddr");
    out->port = value_of(all, a, "port");
    out->sslmode = value_of(all, a, "sslmode");
    out->sslrootcert = value_of(all, a, "sslrootcert");
    PQconninfoFree(all);
}

static void add_parameter(struct str *to, const char *name, const char *value)
{
    if (!value)
        return;
    str_addf(to, "%c%s=", strchr(to->text, '?') ? '&' : '?', name);
    add_encoded(to, value);
}

static const char *url_of(const struct shadow *s, struct arena *a, const struct place *at,
                          const char *database)
{
    AUTO(str) url = {0};

    str_add(&url, "postgresql://");
    add_encoded(&url, s->owner);
    if (s->secret) {
        str_addc(&url, ':');
        add_encoded(&url, s->secret);
    }
    str_add(&url, "@/");
    add_encoded(&url, database);
    add_parameter(&url, "host", at->host);
    add_parameter(&url, "hostaddr", at->address);
    add_parameter(&url, "port", at->port);
    add_parameter(&url, "sslmode", at->sslmode);
    add_parameter(&url, "sslrootcert", at->sslrootcert);
    return arena_strdup(a, str_text(&url));
}

bool shadow_url(struct shadow *s, struct arena *a, const char *database, const char **out,
                struct err *err)
{
    struct wire *admin = NULL;
    struct place at = {0};

    if (!shadow_admin_wire(s, &admin, err))
        return false;
    s->was_used = true;
    find_place(admin, a, &at);
    *out = url_of(s, a, &at, shadow_database_name(s, a, database));
    return true;
}

static void add(struct arena *a, const char **env, int *n, const char *name, const char *value)
{
    if (value)
        env[(*n)++] = arena_printf(a, "%s=%s", name, value);
}

static const char *const *environment(const struct shadow *s, struct arena *a,
                                      const struct place *at, const char *database,
                                      const char *label, const char *url)
{
    int n = 0;

    while (environ[n])
        n++;
    const char **env = arena_array(a, const char *, n + 12);
    n = 0;
    for (int i = 0; environ[i]; i++)
        if (is_kept(environ[i]))
            env[n++] = environ[i];
    add(a, env, &n, "DATABASE_URL", url);
    add(a, env, &n, "PGHOST", at->host);
    add(a, env, &n, "PGHOSTADDR", at->address);
    add(a, env, &n, "PGPORT", at->port);
    add(a, env, &n, "PGSSLMODE", at->sslmode);
    add(a, env, &n, "PGSSLROOTCERT", at->sslrootcert);
    add(a, env, &n, "PGUSER", s->owner);
    add(a, env, &n, "PGPASSWORD", s->secret);
    add(a, env, &n, "PGPASSFILE", "/dev/null");
    add(a, env, &n, "PGDATABASE", database);
    add(a, env, &n, "PGAPPNAME", label);
    env[n] = NULL;
    return env;
}

/* Neither a secret, nor what is another one each time. */
static void hide(struct str *text, const char *what, const char *instead)
{
    AUTO(str) clean = {0};
    const char *from = str_text(text), *at;

    if (!what || !*what || !strstr(from, what))
        return;
    for (; (at = strstr(from, what)) != NULL; from = at + strlen(what))
        str_addf(&clean, "%.*s%s", (int) (at - from), from, instead);
    str_add(&clean, from);
    str_clear(text);
    str_add(text, str_text(&clean));
}

bool shadow_command(struct shadow *s, const struct shadow_command *c, struct str *output,
                    int *out_code, struct err *err)
{
    AUTO(arena) a = {0};
    struct wire *admin = NULL;
    struct place at = {0};

    if (!shadow_admin_wire(s, &admin, err))
        return false;
    s->was_used = true;
    find_place(admin, &a, &at);
    const char *database = shadow_database_name(s, &a, c->database);
    const char *url = url_of(s, &a, &at, database);
    struct program p = {.argv = c->argv,
                        .env = environment(s, &a, &at, database, c->label, url),
                        .in_fd = -1,
                        .out_fd = -1,
                        .is_foreign = true,
                        .limit_ms = c->limit_ms,
                        .no_start = c->no_start};

    if (!program_run(s, &p, output, out_code, err))
        return false;
    hide(output, url, "DATABASE_URL");
    hide(output, s->secret, "***");
    hide(output, database, c->database);
    hide(output, s->owner, SHADOW_OWNER);
    if (!s->url)
        hide(output, at.host, "the shadow");
    return true;
}

/* The shadow's images: which one fits, what goes with it, when one is kept. */
#include "shadow/image.h"
#include "shadow/load_int.h"
#include "shadow/wire_int.h"

#include "sql_embedded.h"

#include "phasegate/load.h"
#include "phasegate_build.h"

#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Segments of 1 MB: a folder that is copied has less in it. Nothing of a shadow writes much at once. */
static const char *const initdb_options[] = {"--wal-segsize=1", NULL};

/* ---- keys -------------------------------------------------------------------------------------- */

/* A file as it is now, without reading it. */
static void add_stat(struct str *to, const char *path)
{
    struct stat st;

    str_addf(to, "%s", path);
    if (stat(path, &st) == 0)
        str_addf(to, " %lld %lld.%09ld", (long long) st.st_size, (long long) st.st_mtim.tv_sec,
                 st.st_mtim.tv_nsec);
    str_addc(to, '\n');
}

static void add_program(struct str *to, const char *folder, const char *name)
{
    AUTO(str) path = {0};

    str_addf(&path, "%s/%s", folder, name);
    add_stat(to, str_text(&path));
}

static void set_key(char out[80], const char *kind, const struct str *text)
{
    char hash[65];

    sha256_hex(str_text(text), text->len, hash);
    snprintf(out, 80, "%.14s%.64s", kind, hash);
}

/* Whatever initdb's work depends on: of its surroundings it sees the time zone. */
static void choose_made_key(struct shadow *s)
{
    AUTO(str) text = {0};
    const char *zone = getenv("TZ");

    str_addf(&text, "format %d\n", IMAGE_FORMAT);
    add_program(&text, s->bin_dir, "postgres");
    add_program(&text, s->bin_dir, "initdb");
    str_addf(&text, "%s\n%s\n%s\n%s\n", SHADOW_ADMIN, s->locale, gnu_get_libc_version(),
             zone && *zone ? zone : "UTC");
    for (int i = 0; initdb_options[i]; i++)
        str_addf(&text, "%s\n", initdb_options[i]);
    set_key(s->made_key, "initdb-", &text);
}

/* What the load's result depends on, besides the files themselves. */
static void set_baseline_key(struct shadow *s, const char *database, const struct str *seen,
                             char out[80])
{
    AUTO(str) text = {.ceiling = seen->len + STR_CEILING};

    str_addf(&text, "%s\n%s %s\n", s->made_key, PHASEGATE_VERSION, PHASEGATE_COMMIT);
    add_stat(&text, "/proc/self/exe");
    add_program(&text, s->bin_dir, "psql");
    str_addf(&text, "steps as superuser: %d\n%s\n", s->superuser_steps, database);
    for (int i = 0; s->roles[i]; i++)
        str_addf(&text, "role %zu %s\n", strlen(s->roles[i]), s->roles[i]);
    str_addn(&text, str_text(seen), seen->len);
    set_key(out, "baseline-", &text);
}

static void choose_baseline_key(struct shadow *s)
{
    AUTO(str) seen = {0};

    if (s->baseline.database && s->baseline.root && s->baseline.path &&
        load_look(s->baseline.root, s->baseline.path, &seen))
        set_baseline_key(s, s->baseline.database, &seen, s->baseline_key);
}

/* ---- what goes with a baseline ----------------------------------------------------------------- */

/* Folders whose change makes it another server: extensions come and go there. */
static bool is_as_it_was(const json_t *watched)
{
    const json_t *row;
    size_t i;

    json_array_foreach((json_t *) (uintptr_t) watched, i, row)
    {
        const char *path = json_string_value(json_array_get(row, 0));
        struct stat st;

        if (!path || stat(path, &st) != 0 ||
            st.st_mtim.tv_sec != json_integer_value(json_array_get(row, 1)) ||
            st.st_mtim.tv_nsec != json_integer_value(json_array_get(row, 2)))
            return false;
    }
    return json_array_size(watched) > 0;
}

static bool watch(json_t *list, const char *path)
{
    struct stat st;
    json_t *row = stat(path, &st) == 0
                      ? json_pack("[s, I, I]", path, (json_int_t) st.st_mtim.tv_sec,
                                  (json_int_t) st.st_mtim.tv_nsec)
                      : NULL;

    return row && json_array_append_new(list, row) == 0;
}

static json_t *folders_to_watch(struct shadow *s)
{
    AUTO(arena) a = {0};
    AUTO(err) ignored = {0};
    struct wire_result r = {0};
    json_t *list = json_array();
    bool good = shadow_admin_query(s, &a, sql_shadow_extension_folders, &r, &ignored);

    for (int i = 0; good && i < r.n_rows; i++)
        good = watch(list, r.cell[i][0]);
    if (good && r.n_rows == 2)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *roles_of(const struct shadow *s)
{
    json_t *list = json_array();

    for (int i = 0; i < s->roles_made.n; i++)
        if (s->roles_made.items[i])
            json_array_append_new(list, json_string(s->roles_made.items[i]));
    return list;
}

static void take_roles(struct shadow *s, const json_t *roles)
{
    s->roles_made.n = 0;
    for (size_t i = 0; i < json_array_size(roles); i++)
        names_add(&s->arena, &s->roles_made, json_string_value(json_array_get(roles, i)));
}

/* ---- beginning --------------------------------------------------------------------------------- */

static bool take_baseline(struct shadow *s, const char *data, uid_t uid, gid_t gid)
{
    struct image im;

    if (!*s->baseline_key || !image_open(s->cache, s->baseline_key, &im))
        return false;
    const json_t *about = image_about(&im);
    bool good =
        is_as_it_was(json_object_get(about, "watched")) && image_restore(&im, data, uid, gid);
    if (good)
        take_roles(s, json_object_get(about, "roles"));
    else
        image_forget(s->cache, s->baseline_key);
    s->has_baseline = good;
    s->has_copy = good && json_is_true(json_object_get(about, "has_copy"));
    image_close(&im);
    return good;
}

static bool take_made(struct shadow *s, const char *data, uid_t uid, gid_t gid)
{
    struct image im;

    if (!image_open(s->cache, s->made_key, &im))
        return false;
    bool good = image_restore(&im, data, uid, gid);
    if (!good)
        image_forget(s->cache, s->made_key);
    image_close(&im);
    return good;
}

static bool take(void *ctx, const char *data, uid_t uid, gid_t gid)
{
    struct shadow *s = ctx;

    if (take_baseline(s, data, uid, gid))
        return true;
    pg_local_remove(data);
    return take_made(s, data, uid, gid);
}

static void unfit(void *ctx)
{
    struct shadow *s = ctx;

    image_forget(s->cache, s->has_baseline ? s->baseline_key : s->made_key);
    s->has_baseline = s->has_copy = false;
    s->roles_made.n = 0;
}

static void made(void *ctx, const char *data, uid_t uid)
{
    const struct shadow *s = ctx;

    image_keep(s->cache, s->made_key, data, uid, NULL);
}

bool shadow_image_start(struct shadow *s, struct pg_local_options *o, struct err *err)
{
    const struct pg_local_source source = {s, take, unfit, made};

    choose_made_key(s);
    choose_baseline_key(s);
    o->initdb = initdb_options;
    o->source = &source;
    return pg_local_start(o, &s->pg, err);
}

/* ---- the baseline ------------------------------------------------------------------------------ */

bool shadow_image_has(const struct shadow *s, const char *database)
{
    return s->has_baseline && strcmp(database, s->baseline.database) == 0;
}

bool shadow_image_take_copy(struct shadow *s, const char *name, const char *from)
{
    if (!s->has_copy || !from || strcmp(name, s->baseline.copy) != 0 ||
        strcmp(from, s->baseline.database) != 0)
        return false;
    s->has_copy = false;
    return true;
}

bool shadow_image_drop_copy(struct shadow *s, const char *name, struct err *err)
{
    AUTO(str) sql = {0};

    if (!s->has_copy ||
        (strcmp(name, s->baseline.copy) != 0 && strcmp(name, s->baseline.database) != 0))
        return true;
    str_add(&sql, "DROP DATABASE ");
    sql_ident(&sql, s->baseline.copy);
    s->has_copy = false;
    return shadow_admin(s, str_text(&sql), err);
}

static char *real_path(const char *root, const char *path)
{
    AUTO(str) full = {0};

    str_addf(&full, "%s%s%s", *path == '/' ? "" : root, *path == '/' ? "" : "/", path);
    return realpath(str_text(&full), NULL);
}

bool shadow_image_is_of(const struct shadow *s, const char *database, const char *root,
                        const char *path)
{
    if (!shadow_image_has(s, database) || !shadow_has_database(s, database))
        return false;
    char *announced = real_path(s->baseline.root, s->baseline.path);
    char *asked = real_path(root, path);
    bool same = announced && asked && strcmp(announced, asked) == 0;

    free(announced);
    free(asked);
    return same;
}

/* A crash of the server would empty them, and to a server that starts from an image it looks like one. */
static bool has_unlogged(struct shadow *s, const char *database)
{
    struct connect_spec c = {.database = database};
    struct wire_options o = {.statement_ms = SHADOW_ADMIN_MS};
    AUTO(arena) a = {0};
    AUTO(err) ignored = {0};
    struct wire_result r = {0};
    struct wire *w;

    if (!wire_connect(s, &c, &o, &w, &ignored))
        return true;
    bool good =
        wire_exec(w, &a, "SELECT FROM pg_catalog.pg_class WHERE relpersistence = 'u' LIMIT 1", true,
                  &r, &ignored) &&
        r.ok && r.n_rows == 0;
    wire_close(w);
    return !good;
}

/* Ours is the only database, and a copy of nothing. */
static bool is_alone(const struct shadow *s, const char *database)
{
    for (int i = 0; i < s->databases.n; i++)
        if (s->databases.items[i] &&
            (strcmp(s->databases.items[i], database) != 0 || *s->sources.items[i]))
            return false;
    return true;
}

/* What nobody uses needn't be copied each time. */
static bool make_small(struct shadow *s)
{
    static const char *const sql[] = {"DROP DATABASE IF EXISTS postgres",
                                      "UPDATE pg_database SET datistemplate = false "
                                      "WHERE datname = 'template0'",
                                      "DROP DATABASE IF EXISTS template0", "CHECKPOINT"};
    AUTO(err) ignored = {0};

    for (size_t i = 0; i < sizeof sql / sizeof *sql; i++)
        if (!shadow_admin(s, sql[i], &ignored))
            return false;
    return true;
}

/* The server takes longer to copy a database than we do to write what it has written. */
static bool make_copy(struct shadow *s)
{
    AUTO(err) ignored = {0};

    return s->baseline.copy && !s->has_copy && !shadow_has_database(s, s->baseline.copy) &&
           shadow_database_copy(s, s->baseline.copy, s->baseline.database, &ignored);
}

void shadow_image_keep(struct shadow *s, const char *database, const struct str *seen)
{
    char key[80];

    if (!s->cache || !s->pg || s->was_used || !s->baseline.database ||
        strcmp(database, s->baseline.database) != 0 || !is_alone(s, database) ||
        has_unlogged(s, database))
        return;
    /* By what was loaded: the files may have changed since they were looked at. */
    set_baseline_key(s, database, seen, key);
    json_t *watched = folders_to_watch(s);
    if (!watched)
        return;
    s->has_copy = make_copy(s);
    json_t *about = json_pack("{s:o, s:o, s:b}", "roles", roles_of(s), "watched", watched,
                              "has_copy", s->has_copy);
    if (about && make_small(s))
        image_keep(s->cache, key, pg_local_data(s->pg), pg_local_user(s->pg), about);
    else
        json_decref(about);
}

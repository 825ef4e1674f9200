/* Databases of the shadow. */
#include "shadow/shadow_int.h"
#include "shadow/wire_int.h"

#include "sql_embedded.h"

#include <string.h>

void names_add(struct arena *a, struct names *to, const char *name)
{
    if (to->n == to->cap) {
        int cap = to->cap ? 2 * to->cap : 8;

        to->items = arena_grow(a, to->items, sizeof *to->items * (size_t) to->cap,
                               sizeof *to->items * (size_t) cap);
        to->cap = cap;
    }
    to->items[to->n++] = arena_strdup(a, name);
}

int names_find(const struct names *in, const char *name)
{
    for (int i = 0; i < in->n; i++)
        if (in->items[i] && strcmp(in->items[i], name) == 0)
            return i;
    return -1;
}

const char *shadow_database_name(const struct shadow *s, struct arena *a, const char *name)
{
    return arena_printf(a, "%s%s", s->prefix, name);
}

bool shadow_has_database(const struct shadow *s, const char *name)
{
    return name && names_find(&s->databases, name) >= 0;
}

/* ---- the empty template ------------------------------------------------------------------------- */

bool shadow_within(struct shadow *s, const char *database, const char *const *sql, int n,
                   struct err *err)
{
    struct connect_spec c = {.database = database, .options = SHADOW_WITHIN};
    struct wire_options o = {.statement_ms = SHADOW_ADMIN_MS};
    AUTO(arena) a = {0};
    struct wire_result r = {0};
    struct wire *w;

    if (!wire_connect(s, &c, &o, &w, err))
        return false;
    bool good = true;
    for (int i = 0; good && i < n; i++) {
        good = wire_exec(w, &a, sql[i], false, &r, err);
        if (good && !r.ok)
            good = shadow_result_err(&r, "preparing the shadow", err);
    }
    wire_close(w);
    return good;
}

/* Steps create in public, as the owner of a database does. */
static bool own_public(struct shadow *s, const char *database, struct err *err)
{
    AUTO(str) sql = {0};

    str_add(&sql, "ALTER SCHEMA public OWNER TO ");
    sql_ident(&sql, s->owner);
    const char *const one = str_text(&sql);
    if (strcmp(database, SHADOW_FIRST) == 0)
        return shadow_admin(s, one, err);
    return shadow_within(s, database, &one, 1, err);
}

static bool look_at_encoding(struct shadow *s, struct err *err)
{
    AUTO(arena) a = {0};
    struct wire_result r = {0};

    if (!shadow_admin_query(s, &a,
                            "SELECT pg_encoding_to_char(encoding) FROM pg_database "
                            "WHERE datname = 'template0'",
                            &r, err))
        return false;
    s->is_utf8 = r.n_rows > 0 && strcmp(r.cell[0][0], "UTF8") == 0;
    return true;
}

bool shadow_prepare(struct shadow *s, struct err *err)
{
    if (s->url && (!shadow_url_begin(s, err) || !look_at_encoding(s, err)))
        return false;
    if (!shadow_role_make(s, s->owner, err))
        return false;
    for (int i = 0; s->roles[i]; i++)
        if (!shadow_role_make(s, s->roles[i], err))
            return false;
    const char *seeds; /* made now, it isn't something that a step changes */
    if (!shadow_role_seeds(s, &seeds, err))
        return false;
    return s->url || own_public(s, SHADOW_FIRST, err);
}

/* ---- making and dropping -------------------------------------------------------------------------- */

/* Limited roles can't ask for it themselves. */
static bool speak_english(struct shadow *s, const char *database, struct err *err)
{
    AUTO(str) sql = {0};

    str_add(&sql, "ALTER DATABASE ");
    sql_ident(&sql, database);
    str_add(&sql, " SET lc_messages = 'C'");
    return shadow_admin(s, str_text(&sql), err);
}

static void add_source(const struct shadow *s, struct str *sql, const char *from)
{
    AUTO(arena) a = {0};

    str_add(sql, " TEMPLATE ");
    if (from)
        sql_ident(sql, shadow_database_name(s, &a, from));
    else
        str_add(sql,
                s->url ? "template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'" : SHADOW_FIRST);
    /* By far the faster way where nothing is synced to a disk; elsewhere its checkpoints would be felt. */
    if (s->version >= 150000 && (!s->url || s->is_unsynced))
        str_add(sql, " STRATEGY file_copy");
}

static bool create(struct shadow *s, const char *name, const char *from, struct err *err)
{
    AUTO(arena) a = {0};
    AUTO(str) sql = {0};

    str_add(&sql, "CREATE DATABASE ");
    sql_ident(&sql, shadow_database_name(s, &a, name));
    add_source(s, &sql, from);
    return shadow_admin(s, str_text(&sql), err);
}

static bool open_up(struct shadow *s, const char *name, const char *from, struct err *err)
{
    AUTO(arena) a = {0};
    AUTO(str) sql = {0};
    const char *real = shadow_database_name(s, &a, name);

    str_add(&sql, "GRANT CREATE, CONNECT, TEMPORARY ON DATABASE ");
    sql_ident(&sql, real);
    str_add(&sql, " TO ");
    sql_ident(&sql, s->owner);
    return shadow_admin(s, str_text(&sql), err) &&
           (!s->url || (speak_english(s, real, err) && (from || own_public(s, real, err))));
}

bool shadow_database_copy(struct shadow *s, const char *name, const char *from, struct err *err)
{
    return create(s, name, from, err) && open_up(s, name, from, err);
}

bool shadow_database(struct shadow *s, const char *name, const char *from, struct err *err)
{
    if (!shadow_ready(s, err))
        return false;
    if (shadow_has_database(s, name) || (from && !shadow_has_database(s, from)))
        return err_set(err, ERR_BUG, "the shadow %s a database %s",
                       shadow_has_database(s, name) ? "already has" : "doesn't have",
                       shadow_has_database(s, name) ? name : from);
    bool is_there = from ? shadow_image_take_copy(s, name, from) : shadow_image_has(s, name);
    if (!is_there && (!shadow_image_drop_copy(s, name, err) || !create(s, name, from, err)))
        return false;
    names_add(&s->arena, &s->databases, name);
    names_add(&s->arena, &s->sources, from ? from : "");
    return is_there || open_up(s, name, from, err);
}

/* A database that has them can't be dropped, and nobody else will end them. */
bool shadow_end_prepared(struct shadow *s, const char *database, struct err *err)
{
    AUTO(arena) a = {0};
    AUTO(str) sql = {0};
    struct wire_result r = {0};

    str_add(&sql, "SELECT format('ROLLBACK PREPARED %L', gid) FROM pg_prepared_xacts "
                  "WHERE database = ");
    sql_literal(&sql, database);
    if (!shadow_admin_query(s, &a, str_text(&sql), &r, err))
        return false;
    for (int i = 0; i < r.n_rows; i++) {
        const char *const one = r.cell[i][0];

        if (!shadow_within(s, database, &one, 1, err))
            return false;
    }
    return true;
}

/* To end its session doesn't end it: the server is at a place where it doesn't ask whether it is to stop. */
static bool name_busy(struct shadow *s, const char *database, struct err *err)
{
    AUTO(arena) a = {0};
    AUTO(err) other = {0};
    struct wire *admin;
    const struct wire_op op = {.kind = WIRE_RUN,
                               .sql = sql_select_busy_query,
                               .args = &database,
                               .n_args = 1,
                               .keep_rows = true,
                               .sync = true};
    struct wire_result r = {0};

    if (strcmp(err->sqlstate, "55006") != 0 || !shadow_admin_wire(s, &admin, &other) ||
        !wire_run(admin, &a, &op, 1, &r, &other) || r.n_rows == 0)
        return false;
    str_clear(&err->detail);
    err_detail(err, "The server is still at this statement, and doesn't stop: %s", r.cell[0][0]);
    return err_hint(err,
                    "Take it apart, or leave it out: too many of its parts stand in each other.");
}

bool shadow_drop(struct shadow *s, const char *name, struct err *err)
{
    AUTO(arena) a = {0};
    AUTO(str) sql = {0};
    int at = names_find(&s->databases, name);

    if (at < 0)
        return err_set(err, ERR_BUG, "the shadow doesn't have a database %s", name);
    if (!shadow_end_prepared(s, shadow_database_name(s, &a, name), err) ||
        !shadow_image_drop_copy(s, name, err))
        return false;
    str_add(&sql, "DROP DATABASE ");
    sql_ident(&sql, shadow_database_name(s, &a, name));
    str_add(&sql, " WITH (FORCE)");
    if (!shadow_admin(s, str_text(&sql), err))
        return name_busy(s, shadow_database_name(s, &a, name), err);
    s->databases.items[at] = NULL;
    if (shadow_image_has(s, name))
        s->has_baseline = false;
    return true;
}

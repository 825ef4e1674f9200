/* Statements of pg_stat_statements and of logs. */
#include "capture_source.h"

#include "phasegate/load.h"
#include "phasegate/names.h"
#include "sql_embedded.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#define CHUNK ((size_t) 64 << 10)

/* ---- pg_stat_statements ------------------------------------------------------------------------------ */

struct asked {
    struct capture *to;
    const char *search_path;
};

static bool no_extension(struct engine *e, const char *what, struct err *err)
{
    err_set(err, ERR_CONFIG, "%s: %s", e->db->shown, what);
    return err_hint(err, "add pg_stat_statements to shared_preload_libraries, restart the server, "
                         "then: CREATE EXTENSION pg_stat_statements; or read its log: "
                         "phasegate capture --release V --from-log FILE");
}

/* The function behind the view, in whatever schema it was put. */
static bool find_extension(struct context *c, struct engine *e, struct capture *to,
                           const char **out, struct err *err)
{
    struct db_rows rows;

    if (!db_query(e->db, &c->arena, sql_select_statements_counter, &DB_NO_PARAMS, &rows, err))
        return false;
    if (rows.n_rows == 0)
        return no_extension(e, "there is no extension pg_stat_statements", err);
    if (strcmp(db_cell(&rows, 0, 3), "t") != 0) {
        err_set(err, ERR_CONFIG, "%s: pg_stat_statements of this database is older than 1.9",
                e->db->shown);
        return err_hint(err, "ALTER EXTENSION pg_stat_statements UPDATE");
    }
    const char *counted = db_cell(&rows, 0, 4);
    to->counts_nothing |= counted && strcmp(counted, "none") == 0;
    *out = db_cell(&rows, 0, 0);
    return true;
}

static bool ask(struct context *c, struct engine *e, const char *extension, struct db_rows *rows,
                struct err *err)
{
    int64_t calls = opt_has(c, OPT_MIN_CALLS) ? c->line.number[OPT_MIN_CALLS] : 1;
    const struct db_params p = DB_PARAMS(opt_text(c, OPT_CAPTURE_ROLE), e->search_path,
                                         arena_printf(&c->arena, "%" PRId64, calls),
                                         opt_text(c, OPT_LIKE), opt_text(c, OPT_NOT_LIKE));

    if (db_query(e->db, &c->arena,
                 sql_put(&c->arena, sql_select_seen_statements, "statements", extension), &p, rows,
                 err))
        return true;
    if (strcmp(err->sqlstate, "55000") == 0) /* made, but not loaded */
        return no_extension(e, "pg_stat_statements isn't in shared_preload_libraries", err);
    return err_note(err, "database %s", e->db->shown);
}

/* Everybody who ran something here, for a role of whom nothing was seen. */
static bool note_roles(struct context *c, struct engine *e, const char *extension,
                       struct capture *to, struct err *err)
{
    struct db_rows rows;

    if (!db_query(e->db, &c->arena,
                  sql_put(&c->arena, sql_select_seen_roles, "statements", extension), &DB_NO_PARAMS,
                  &rows, err))
        return false;
    for (int i = 0; i < rows.n_rows; i++)
        capture_role(to, db_cell(&rows, i, 0), opt_text(c, OPT_CAPTURE_ROLE));
    return true;
}

/* What ran and was thrown out since looks like what never ran. */
static bool note_evicted(struct context *c, struct engine *e, const char *extension,
                         struct capture *to, struct err *err)
{
    struct db_rows rows;

    if (!db_query(e->db, &c->arena,
                  sql_put(&c->arena, sql_select_evicted_statements, "info",
                          arena_printf(&c->arena, "%s_info", extension)),
                  &DB_NO_PARAMS, &rows, err))
        return false;
    int64_t times = strtoll(db_cell(&rows, 0, 0), NULL, 10);
    if (times > to->evicted) {
        to->evicted = times;
        to->evicted_since = db_cell(&rows, 0, 1);
        to->entries_most = db_cell(&rows, 0, 2);
    }
    return true;
}

/* A misspelt role would look like one that has nothing new. */
bool capture_role_is_known(struct context *c, const struct capture *to, struct err *err)
{
    const char *role = opt_text(c, OPT_CAPTURE_ROLE);
    const char **words = arena_array(&c->arena, const char *, to->roles.n + 1), *near;
    AUTO(str) all = {0};

    if (!role || to->role_seen)
        return true;
    for (int i = 0; i < to->roles.n; i++) {
        words[i] = to->roles.items[i].s;
        str_addf(&all, "%s%s", i ? ", " : "", words[i]);
    }
    near = name_nearest(role, words);
    err_set(err, ERR_USAGE, "--role: nothing of \"%s\" was seen; there is something of: %s%s%s%s",
            role, all.len ? str_text(&all) : "nobody", near ? "; did you mean \"" : "",
            near ? near : "", near ? "\"?" : "");
    return err_hint(err,
                    near ? "phasegate capture --release %s --role %s"
                         : "phasegate capture --release %s --role ROLE, or without --role",
                    opt_text(c, OPT_CAPTURE_RELEASE), near);
}

/* Whose types can't be inferred, or whose tables this role may not see, may run well for the application. */
static bool is_no_proof(const char *sqlstate)
{
    return strcmp(sqlstate, "42P18") == 0 || strcmp(sqlstate, "42501") == 0;
}

static bool learn_types(struct context *c, struct engine *e, struct captured *item,
                        const char *path, struct err *err)
{
    const struct db_call calls[] = {
        {.sql = "BEGIN"},
        {.sql = "SELECT pg_catalog.set_config('search_path', $1, true)", .params = DB_PARAMS(path)},
        {.sql = arena_printf(&c->arena, "PREPARE phasegate_capture AS %s", item->sql)},
        {.sql = "SELECT pg_catalog.set_config('search_path', '', true)"},
        {.sql = "SELECT pg_catalog.array_to_string(parameter_types::pg_catalog.text[], ', ') "
                "FROM pg_catalog.pg_prepared_statements "
                "WHERE name OPERATOR(pg_catalog.=) 'phasegate_capture'"},
        {.sql = "DEALLOCATE phasegate_capture"},
        {.sql = "COMMIT"},
    };
    struct db_rows rows[sizeof calls / sizeof *calls] = {0};
    AUTO(err) ignored = {0};
    int done = 0;

    if (strncasecmp(item->sql, "call", 4) == 0) /* can't be prepared by a statement */
        return true;
    if (db_pipeline(e->db, &c->arena, calls, (int) (sizeof calls / sizeof *calls), rows, &done,
                    err)) {
        const char *types = rows[4].n_rows ? db_cell(&rows[4], 0, 0) : NULL;

        item->types = types && *types ? types : NULL;
        return true;
    }
    if (!err_is(err, ERR_SQL) || done != 2)
        return false;
    if (!is_no_proof(err->sqlstate)) {
        item->refused = true;
        item->refused_because = arena_strdup(&c->arena, str_text(&err->message));
    }
    err_clear(err);
    return db_exec(e->db, "ROLLBACK", &DB_NO_PARAMS, err);
}

static bool look(struct context *c, struct engine *e, void *ctx, struct err *err)
{
    struct asked *asked = ctx;
    struct capture *to = asked->to;
    const char *extension = NULL;
    struct db_rows rows;
    int first = to->n;

    if (!find_extension(c, e, to, &extension, err) || !ask(c, e, extension, &rows, err) ||
        (opt_has(c, OPT_CAPTURE_ROLE) && !note_roles(c, e, extension, to, err)) ||
        !note_evicted(c, e, extension, to, err))
        return false;
    for (int i = 0; i < rows.n_rows; i++) {
        const char *query = db_cell(&rows, i, 0);

        if (!query || strcmp(query, "<insufficient privilege>") == 0)
            capture_count(to, CAPTURE_SKIP_HIDDEN);
        else
            capture_add(to,
                        &(struct capture_seen) {.sql = query,
                                                .is_normalised = true,
                                                .calls = strtoll(db_cell(&rows, i, 1), NULL, 10),
                                                .search_path = db_cell(&rows, i, 2)});
    }
    for (int i = first; i < to->n; i++) {
        struct captured *item = &to->items[i];
        const char *path = asked->search_path ? asked->search_path : item->search_path;

        if (c->ports.interrupt->count > 0)
            return err_set(err, ERR_INTERRUPTED, "interrupted; nothing was written");
        if (!learn_types(c, e, item, path ? path : e->search_path, err))
            return err_note(err, "preparing a statement of pg_stat_statements");
    }
    return true;
}

bool capture_from_databases(struct context *c, struct capture *to, const char *search_path,
                            struct err *err)
{
    struct asked asked = {to, search_path};

    /* For context_each_database; the option has a row of its own because logs are filtered by it too. */
    c->line.text[OPT_DATABASE] = opt_text(c, OPT_CAPTURE_DATABASE);
    return context_environment(c, err) && context_each_database(c, look, &asked, err);
}

/* ---- logs ------------------------------------------------------------------------------------------------ */

static bool read_log(struct context *c, struct capture *to, const char *path, struct err *err)
{
    const struct capture_log_options options = {.role = opt_text(c, OPT_CAPTURE_ROLE),
                                                .database = opt_text(c, OPT_CAPTURE_DATABASE),
                                                .like = opt_text(c, OPT_LIKE),
                                                .not_like = opt_text(c, OPT_NOT_LIKE)};
    int fd = regular_open(path, path, INT64_MAX, err);
    char *chunk = arena_alloc(&c->arena, CHUNK);
    ssize_t got = 1;

    if (fd < 0) {
        err_hint(err, "name a csvlog or jsonlog of the server: SHOW log_directory says where they "
                      "are; without --from-log the database is asked");
        return err_note(err, "--from-log");
    }
    struct capture_log *log = capture_log_begin(to, &options);
    while (got > 0 && c->ports.interrupt->count == 0) {
        got = read(fd, chunk, CHUNK);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got > 0)
            capture_log_feed(log, chunk, (size_t) got);
    }
    int why = errno;
    close(fd);
    bool known = capture_log_end(log);
    if (c->ports.interrupt->count > 0)
        return err_set(err, ERR_INTERRUPTED, "interrupted; nothing was written");
    if (got < 0)
        return err_set(err, ERR_INPUT, "can't read %s: %s", path, strerror(why));
    if (known)
        return true;
    err_set(err, ERR_INPUT, "%s holds no entry of a csvlog or jsonlog", path);
    return err_hint(err, "the server writes one with log_destination = 'csvlog' and "
                         "log_statement, log_min_duration_statement or auto_explain");
}

bool capture_from_logs(struct context *c, struct capture *to, struct err *err)
{
    if (opt_has(c, OPT_FROM_LOG) && !read_log(c, to, opt_text(c, OPT_FROM_LOG), err))
        return false;
    for (int i = 0; i < c->line.n_args; i++)
        if (!read_log(c, to, arg(c, i), err))
            return false;
    if (!opt_has(c, OPT_MIN_CALLS))
        return true;
    for (int i = 0; i < to->n; i++) /* only now it is known how often each came */
        if (!to->items[i].existing && to->items[i].calls < c->line.number[OPT_MIN_CALLS])
            to->items[i].refused = true;
    return true;
}

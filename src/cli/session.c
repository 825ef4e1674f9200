/* Databases of the environment, each opened when it's first needed. */
#include "cli.h"
#include "phasegate/io.h"

#include <stdlib.h>

#define LOCK_WAIT_MS 60000

bool context_http(struct context *c, struct err *err)
{
    if (!c->http && !http_curl(c->clock, c->ports.interrupt, &c->http, err))
        return false;
    c->ports.http = c->http;
    return true;
}

static void sessions_prepare(struct context *c)
{
    if (c->sessions)
        return;
    c->n_sessions = c->env->n_databases;
    c->sessions = arena_array(&c->arena, struct session, c->n_sessions + 1);
    for (int i = 0; i < c->n_sessions; i++)
        c->sessions[i].decl = &c->env->databases[i];
}

static void name_databases(const struct environment *e, struct str *to)
{
    for (int i = 0; i < e->n_databases; i++)
        str_addf(to, "%s%s", i ? ", " : "", e->databases[i].name.s);
}

const struct database_decl *context_database_of(struct context *c, const struct plan *p,
                                                struct err *err)
{
    const char *name = p && p->database.s ? p->database.s : "default";
    AUTO(str) names = {0};

    for (int i = 0; i < c->env->n_databases; i++)
        if (strcmp(c->env->databases[i].name.s, name) == 0)
            return &c->env->databases[i];
    /* A plan that names none goes to the only one there is, whatever that is called. */
    if (c->env->n_databases == 1 && !(p && p->database.s))
        return &c->env->databases[0];
    name_databases(c->env, &names);
    err_set(err, ERR_CONFIG, "%s:%d: environment %s has no database \"%s\"%s%s",
            p ? p->file : c->set.project.file, p ? p->database.at.line : 0, c->env->name.s, name,
            names.len ? "; it has: " : "", str_text(&names));
    err_hint(err, "add it to databases: of the environment in %s", c->set.project.file);
    return NULL;
}

static const char *look_up(void *ctx, const char *name)
{
    (void) ctx;
    return getenv(name);
}

/* The database's own search_path: it's what the session would have without our setting. */
static bool read_search_path(struct context *c, struct session *s, struct err *err)
{
    struct db_rows rows;

    if (!db_query(s->db, &c->arena,
                  "SELECT reset_val FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) "
                  "'search_path'",
                  &DB_NO_PARAMS, &rows, err))
        return err_note(err, "database %s", s->decl->name.s);
    s->search_path = rows.n_rows && db_cell(&rows, 0, 0) ? db_cell(&rows, 0, 0) : "";
    return true;
}

static bool facts_in(struct arena *a, struct plan *p, struct err *err)
{
    AUTO(problem_list) problems = {0};
    AUTO(str) text = {0};

    if (p->has_facts || plan_sql_facts_in(a, p, &problems, err))
        return true;
    if (problems.n > 1) {
        for (int i = 0; i < problems.n; i++) {
            str_add(&text, i ? "\n" : "");
            problem_text(&text, &problems.items[i]);
        }
        err_detail(err, "%s", str_text(&text));
    }
    return false;
}

bool context_facts(struct plan_set *set, struct plan *p, struct err *err)
{
    return plan_set_fill(set, p, err) && facts_in(&set->arena, p, err);
}

struct plan *context_read_plan(struct plan_set *set, struct plan *p, struct arena *a,
                               struct plan *room, struct err *err)
{
    if (!p->is_head)
        return context_facts(set, p, err) ? p : NULL;
    return plan_set_read(set, p, a, room, err) && facts_in(a, room, err) ? room : NULL;
}

static void engine_fill(struct context *c, struct session *s)
{
    s->engine = (struct engine) {
        .ports = &c->ports,
        .set = &c->set,
        .env = c->env,
        .policy = policy_effective(&c->set.project, c->env),
        .db = s->db,
        .search_path = s->search_path,
        .db_url = str_text(&s->url),
        .db_variables = s->variables,
        .flags = c->flags,
        .kill_file = c->kill_file,
        .notifier = (c->command->needs & MUTATES) ? context_notifier(c) : NULL,
        .run_id = c->run_id,
        .command = c->command->name,
        .actor = c->actor,
        .state_dir = c->state_dir,
        .lock_wait_ms = opt_has(c, OPT_LOCK_WAIT) ? c->line.number[OPT_LOCK_WAIT] : LOCK_WAIT_MS,
        .has_ledger = s->has_ledger,
        .facts = context_facts,
        .read_plan = context_read_plan,
    };
}

static bool session_open(struct context *c, struct session *s, struct err *err)
{
    bool writable = (c->command->needs & MUTATES) && !opt_has(c, OPT_DRY_RUN);
    int version = 0;

    if (s->decl->urls.n) {
        err_set(err, ERR_CONFIG,
                "%s:%d: database %s is a fleet (urls:), and this command works on one database",
                s->decl->at.file, s->decl->at.line, s->decl->name.s);
        return err_hint(err, "describe each of its databases with a url: of its own");
    }
    if (!context_flags(c, err))
        return false;
    if (!text_resolve(&s->decl->url, look_up, NULL, &s->url, err) ||
        !c->ports.db_open(&c->ports, str_text(&s->url), c->label, writable, &s->db, err) ||
        !db_variables(str_text(&s->url), &c->arena, &s->variables, err))
        return err_note(err, "database %s of environment %s", s->decl->name.s, c->env->name.s);
    if (!read_search_path(c, s, err) || !ledger_version(s->db, &version, err))
        return false;
    s->has_ledger = version > 0;
    engine_fill(c, s);
    return true;
}

static bool engine_of(struct context *c, const struct database_decl *decl, struct engine **out,
                      struct err *err)
{
    sessions_prepare(c);
    for (int i = 0; i < c->n_sessions; i++) {
        struct session *s = &c->sessions[i];

        if (s->decl != decl)
            continue;
        if (!s->db && !session_open(c, s, err))
            return false;
        *out = &s->engine;
        return true;
    }
    return err_set(err, ERR_BUG, "a database that isn't of this environment");
}

bool context_engine(struct context *c, const struct plan *p, struct engine **out, struct err *err)
{
    const struct database_decl *decl = context_database_of(c, p, err);

    return decl && engine_of(c, decl, out, err);
}

bool context_engine_alone(struct context *c, struct engine **out)
{
    struct session *none = arena_new(&c->arena, struct session);
    AUTO(err) ignored = {0};

    /* The flag service can't have been asked for its settings where the database's are at fault. */
    (void) !context_flags(c, &ignored);
    engine_fill(c, none);
    *out = &none->engine;
    return true;
}

bool context_each_database(struct context *c,
                           bool (*fn)(struct context *, struct engine *, void *, struct err *),
                           void *ctx, struct err *err)
{
    const char *only = opt_text(c, OPT_DATABASE);
    AUTO(str) names = {0};
    bool found = false;

    if (c->env->n_databases == 0) {
        err_set(err, ERR_CONFIG, "%s:%d: environment %s has no database", c->env->at.file,
                c->env->at.line, c->env->name.s);
        return err_hint(err, "add databases: to it");
    }
    for (int i = 0; i < c->env->n_databases; i++) {
        const struct database_decl *decl = &c->env->databases[i];
        struct engine *e = NULL;

        if (only && strcmp(decl->name.s, only) != 0)
            continue;
        found = true;
        if (!engine_of(c, decl, &e, err) || !fn(c, e, ctx, err))
            return false;
    }
    if (found)
        return true;
    name_databases(c->env, &names);
    return err_set(err, ERR_USAGE, "--database: environment %s has no \"%s\"; it has: %s",
                   c->env->name.s, only, str_text(&names));
}

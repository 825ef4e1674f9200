/* Databases of the environment, each opened when it's first needed. */
#include "cli.h"
#include "phasegate/fleet.h"
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

/* A fleet goes by the name that all of its databases share. */
static const char *shared_name(const struct database_decl *d)
{
    return d->fleet ? d->fleet->name.s : d->name.s;
}

/* Is there but one database, or one fleet? */
static bool is_only_one(const struct environment *e)
{
    for (int i = 1; i < e->n_databases; i++)
        if (strcmp(shared_name(&e->databases[0]), shared_name(&e->databases[i])) != 0)
            return false;
    return e->n_databases > 0;
}

/* The plan's database, or the first one of its fleet. NULL: the environment has none. */
static const struct database_decl *first_of(const struct context *c, const struct plan *p)
{
    const char *name = p && p->database.s ? p->database.s : "default";

    for (int i = 0; i < c->env->n_databases; i++)
        if (strcmp(shared_name(&c->env->databases[i]), name) == 0)
            return &c->env->databases[i];
    /* A plan that names none goes to the only one there is, whatever that is called. */
    return is_only_one(c->env) && !(p && p->database.s) ? &c->env->databases[0] : NULL;
}

const struct database_decl *context_fleet_of(const struct context *c, const struct plan *p)
{
    const struct database_decl *d = first_of(c, p);

    return d ? d->fleet : NULL;
}

/* The one that --database names. NULL: err. */
static const struct database_decl *chosen_of(struct context *c, const struct plan *p,
                                             const struct database_decl *fleet, struct err *err)
{
    const char *only = opt_text(c, OPT_DATABASE);
    AUTO(str) names = {0};

    for (int i = 0; i < c->env->n_databases; i++) {
        const struct database_decl *d = &c->env->databases[i];

        if (d->fleet != fleet)
            continue;
        if (only && strcmp(d->name.s, only) == 0)
            return d;
        str_addf(&names, "%s%s", names.len ? ", " : "", d->name.s);
    }
    if (only)
        err_set(err, ERR_USAGE,
                "--database: plan %s goes to the fleet %s, which has no \"%s\"; it has: %s",
                p ? p->id.s : "", fleet->name.s, only, str_text(&names));
    else
        err_set(err, ERR_USAGE,
                "%s works on one database, and plan %s goes to the fleet %s of %d: %s",
                c->command->name, p ? p->id.s : "", fleet->name.s, fleet->urls.n, str_text(&names));
    err_hint(err, "choose one with --database %s/1", fleet->name.s);
    return NULL;
}

const struct database_decl *context_database_of(struct context *c, const struct plan *p,
                                                struct err *err)
{
    const char *name = p && p->database.s ? p->database.s : "default";
    const struct database_decl *first = first_of(c, p);
    AUTO(str) names = {0};

    if (first)
        return first->fleet ? chosen_of(c, p, first->fleet, err) : first;
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
        .token_sha256 = c->token_sha256,
        .state_dir = c->state_dir,
        .lock_wait_ms = opt_has(c, OPT_LOCK_WAIT) ? c->line.number[OPT_LOCK_WAIT] : LOCK_WAIT_MS,
        .has_ledger = s->has_ledger,
        .facts = context_facts,
        .read_plan = context_read_plan,
    };
}

static bool session_open(struct context *c, struct session *s, struct err *err)
{
    /* A snapshot is compared with the live table in temporary tables. */
    bool looks_only = opt_has(c, OPT_DRY_RUN) && !opt_has(c, OPT_SNAPSHOT_FROM);
    bool writable = (c->command->needs & MUTATES) && !looks_only && !opt_has(c, OPT_FIX_DRY_RUN) &&
                    (c->command->run != cmd_preflight || opt_has(c, OPT_FIX));
    int version = 0;

    if (!context_flags(c, err))
        return false;
    const struct text side = {.s = opt_text(c, OPT_SIDE)};
    if (!text_resolve(side.s ? &side : &s->decl->url, look_up, NULL, &s->url, err) ||
        !c->ports.db_open(&c->ports, str_text(&s->url), c->label, writable, &s->db, err) ||
        !db_variables(str_text(&s->url), &c->arena, &s->variables, err))
        return side.s ? err_note(err, "--side")
                      : err_note(err, "database %s of environment %s", s->decl->name.s,
                                 c->env->name.s);
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
    const char *only = opt_text(c, OPT_DATABASE);

    if (decl && only && strcmp(decl->name.s, only) != 0) {
        err_set(err, ERR_USAGE, "--database: plan %s goes to %s, not to \"%s\"", p ? p->id.s : "",
                decl->name.s, only);
        return err_hint(err, "leave --database out");
    }
    return decl && engine_of(c, decl, out, err);
}

typedef bool engine_fn(struct context *, struct engine *, void *, struct err *);

/* A fleet may be large: of its databases one is open at a time. */
bool context_in_database(struct context *c, const struct database_decl *decl, engine_fn *fn,
                         void *ctx, struct err *err)
{
    struct engine *e = NULL;
    bool good = engine_of(c, decl, &e, err) && fn(c, e, ctx, err);

    for (int i = 0; decl->fleet && i < c->n_sessions; i++)
        if (c->sessions[i].decl == decl) {
            db_close(c->sessions[i].db);
            str_free(&c->sessions[i].url);
            c->sessions[i] = (struct session) {.decl = decl};
        }
    return good;
}

bool context_each_of_plan(struct context *c, const struct plan *p, engine_fn *fn, void *ctx,
                          struct err *err)
{
    const struct database_decl *fleet = context_fleet_of(c, p), *one;

    if (!fleet || opt_has(c, OPT_DATABASE)) {
        one = context_database_of(c, p, err);
        return one && context_in_database(c, one, fn, ctx, err);
    }
    for (int i = 0; i < c->env->n_databases; i++)
        if (c->env->databases[i].fleet == fleet &&
            !context_in_database(c, &c->env->databases[i], fn, ctx, err))
            return false;
    return true;
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

        if (only && strcmp(decl->name.s, only) != 0 && strcmp(shared_name(decl), only) != 0)
            continue;
        found = true;
        if (!context_in_database(c, decl, fn, ctx, err))
            return false;
    }
    if (found)
        return true;
    name_databases(c->env, &names);
    return err_set(err, ERR_USAGE, "--database: environment %s has no \"%s\"; it has: %s",
                   c->env->name.s, only, str_text(&names));
}

/* demo_stage: everything that the demo is played on, in one temporary folder. */
#include "demo/demo_int.h"

#include "demo/shop.h"
#include "phasegate/io.h"
#include "phasegate/statements.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define DATABASE "shop"
#define THINK_MS 5
#define SEED 20261114

/* ---- a thread's own -------------------------------------------------------------------------------- */

bool demo_hands_open(struct demo *d, struct demo_hands *h, struct err *err)
{
    h->clock = clock_system(d->ports.interrupt);
    h->host = host_posix(h->clock, d->ports.interrupt);
    h->ports = d->ports;
    h->ports.clock = h->clock;
    h->ports.host = h->host;
    if (!http_curl(h->clock, d->ports.interrupt, &h->http, err))
        return false;
    h->ports.http = h->http;
    return true;
}

void demo_hands_close(struct demo_hands *h)
{
    http_close(h->http);
    if (h->host)
        host_posix_free(h->host);
    if (h->clock)
        clock_system_free(h->clock);
    *h = (struct demo_hands) {0};
}

struct flag_ops demo_flag_ops(struct demo *d, struct demo_hands *h)
{
    return (struct flag_ops) {.ports = &h->ports,
                              .service = &d->flags,
                              .environment = d->engine.env->name.s,
                              .state_dir = d->state,
                              .run_id = d->o->run_id,
                              .actor = d->o->actor};
}

/* ---- PostgreSQL and the shop ------------------------------------------------------------------------ */

static bool open_server(struct demo *d, struct err *err)
{
    struct pg_local_options o = {.durable = true, .interrupt = d->ports.interrupt};

    if (!pg_local_start(&o, &d->pg, err))
        return false;
    d->project = arena_printf(d->a, "%s/project", pg_local_folder(d->pg));
    d->state = arena_printf(d->a, "%s/state", pg_local_folder(d->pg));
    if (mkdir(d->state, 0700) != 0)
        return err_set(err, ERR_UNREACHABLE, "%s: %s", d->state, strerror(errno));
    return demo_files_write(d->project, err);
}

static bool fill(struct demo *d, struct err *err)
{
    struct shop_size size = {.customers = d->o->accounts / 4 + 1,
                             .accounts = d->o->accounts,
                             .orders = d->o->accounts / 4 + 1};

    if (!shop_create_database(pg_local_conninfo(d->pg, "postgres"), DATABASE, err))
        return false;
    d->conninfo = pg_local_conninfo(d->pg, DATABASE);
    return shop_fill(d->conninfo, d->project, &size, d->ports.interrupt, err);
}

/* ---- the project -------------------------------------------------------------------------------------- */

static bool load_releases(struct demo *d, struct problem_list *problems, struct err *err)
{
    const struct project *p = &d->set.project;

    if (p->n_releases > DEMO_RELEASES)
        return err_set(err, ERR_BUG, "the example has more than %d releases", DEMO_RELEASES);
    for (int i = 0; i < p->n_releases; i++) {
        struct statements *s = arena_new(d->a, struct statements);

        if (!statements_load_release(d->a, d->project, &p->releases[i], s, problems, err))
            return false;
        d->releases[i] = (struct app_release) {p->releases[i].version.s, s};
        d->n_releases = i + 1;
    }
    return true;
}

static bool load_project(struct demo *d, struct err *err)
{
    AUTO(problem_list) problems = {0};

    if (!plan_set_load(d->project, NULL, &d->set, &problems, err))
        return false;
    if (d->set.n_plans != 1 || d->set.project.n_environments != 1)
        return err_set(err, ERR_BUG, "the example has one plan and one environment");
    d->plan = &d->set.plans[0];
    return load_releases(d, &problems, err);
}

static bool facts(struct plan_set *set, struct plan *p, struct err *err)
{
    AUTO(problem_list) problems = {0};

    return plan_sql_facts(set, p, &problems, err);
}

/* ---- flag service and engine ---------------------------------------------------------------------------- */

static bool open_flags(struct demo *d, struct err *err)
{
    const struct environment *env = &d->set.project.environments[0];
    struct clock *c = d->ports.clock;
    struct flag_server_options o = {
        .state_path = arena_printf(d->a, "%s/flags.json", d->state),
    };

    d->token = arena_printf(d->a, "%08x%08x%08x%08x", clock_random(c), clock_random(c),
                            clock_random(c), clock_random(c));
    o.admin_token = d->token;
    if (!flag_server_start(&o, &d->flag_server, err))
        return false;
    const char *url = flag_server_url(d->flag_server);
    d->flags = (struct flag_service) {.provider = flag_provider_find("builtin"),
                                      .url = url,
                                      .token = d->token,
                                      .ofrep_url = url,
                                      .propagation_ms = env->flags.propagation_ms,
                                      .shown = arena_printf(d->a, "builtin at %s", url)};
    return d->flags.provider->check(&d->flags, err);
}

static bool open_engine(struct demo *d, struct err *err)
{
    const struct environment *env = &d->set.project.environments[0];
    const char *label = arena_printf(d->a, "phasegate/%s", d->o->run_id);

    if (!http_curl(d->ports.clock, d->ports.interrupt, &d->http, err))
        return false;
    d->ports.http = d->http;
    if (!d->ports.db_open(&d->ports, d->conninfo, label, true, &d->db, err))
        return false;
    d->engine = (struct engine) {.ports = &d->ports,
                                 .set = &d->set,
                                 .env = env,
                                 .policy = policy_effective(&d->set.project, env),
                                 .db = d->db,
                                 .search_path = "\"$user\", public", /* of a fresh cluster */
                                 .db_url = d->conninfo,
                                 .flags = &d->flags,
                                 .run_id = d->o->run_id,
                                 .command = "demo",
                                 .actor = d->o->actor,
                                 .state_dir = d->state,
                                 .lock_wait_ms = 10000,
                                 .facts = facts};
    int version = db_server_version(d->db);
    d->f->server = arena_printf(d->a, "%d.%d", version / 10000, version % 10000);
    return true;
}

/* ---- all of it --------------------------------------------------------------------------------------------- */

/* The author's part, before anything moves: is the plan safe beside every release that may be live? */
static bool check(struct demo *d, struct err *err)
{
    const struct demo_prover *v = d->o->prover;
    const char *said = NULL;

    demo_watch_types(d, "check");
    demo_watch_task(d, "proving the plan in every state that it leads through");
    if (!v->check(v->ctx, d->project, &said, err))
        return false;
    demo_watch_say(d, STYLE_GOOD, "%s", said);
    return demo_may_go_on(d, err);
}

bool demo_stage_open(struct demo *d, struct err *err)
{
    demo_watch_intro(d);
    demo_watch_task(d, "starting PostgreSQL");
    if (!open_server(d, err))
        return false;
    demo_watch_task(d, "filling the shop");
    if (!demo_may_go_on(d, err) || !fill(d, err) || !load_project(d, err) || !open_flags(d, err) ||
        !open_engine(d, err))
        return false;
    demo_watch_say(d, STYLE_PLAIN, "PostgreSQL %s runs in %s", d->f->server,
                   pg_local_folder(d->pg));
    demo_watch_say(d, STYLE_PLAIN, "the shop has %s accounts; balance is an int",
                   demo_count(d->a, d->o->accounts));
    demo_watch_say(d, STYLE_PLAIN, "the flag service runs at %s", d->flags.url);
    return demo_may_go_on(d, err) && check(d, err);
}

bool demo_stage_traffic(struct demo *d, struct err *err)
{
    struct app_sim_options o = {.conninfo = d->conninfo,
                                .flag_url = d->flags.url,
                                .instances = DEMO_INSTANCES,
                                .release = &d->releases[0],
                                .customers = d->o->accounts / 4 + 1,
                                .accounts = d->o->accounts,
                                .think_ms = THINK_MS,
                                .seed = SEED};

    if (!app_sim_start(&o, &d->sim, err))
        return false;
    for (int i = 0; i < DEMO_INSTANCES; i++)
        d->serving[i] = &d->releases[0];
    d->f->has_traffic = true;
    return true;
}

void demo_stage_close(struct demo *d)
{
    app_sim_stop(d->sim, NULL);
    d->sim = NULL;
    db_close(d->db);
    http_close(d->http);
    flag_server_stop(d->flag_server);
    plan_set_free(&d->set);
    if (d->pg && d->o->keep) {
        d->f->folder = arena_strdup(d->a, pg_local_folder(d->pg));
        pg_local_keep(d->pg);
    } else {
        pg_local_stop(d->pg);
    }
    d->pg = NULL;
}

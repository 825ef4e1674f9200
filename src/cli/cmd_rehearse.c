/* rehearse PLAN: its whole way and back, where nobody is hurt. The way is src/rehearse's. */
#include "rehearse_show.h"

#include "phasegate/fleet.h"
#include "phasegate/rehearsal_ops.h"
#include "phasegate/shadow.h"

#include <inttypes.h>
#include <stdlib.h>

#define COMMAND_MS (30 * 60 * 1000)

/* ---- what is asked for --------------------------------------------------------------------------------- */

static bool number(struct context *c, enum option_id id, int64_t fallback, int64_t least,
                   int64_t most, int64_t *out, struct err *err)
{
    int64_t n = opt_has(c, id) ? c->line.number[id] : fallback;

    *out = n;
    return (n >= least && n <= most) ||
           err_set(err, ERR_USAGE, "--%s: %" PRId64 " isn't between %" PRId64 " and %" PRId64,
                   option_rows[id].long_name, n, least, most);
}

static bool runs_programs(const struct plan *p)
{
    bool any = false;

    for (int i = PHASE_FIRST; i <= PHASE_LAST; i++) {
        const struct phase_plan *ph = &p->phases[i];
        for (int k = 0; k < ph->steps.n; k++)
            any |= ph->steps.items[k].command.n > 0;
        for (int k = 0; k < ph->finish.n; k++)
            any |= ph->finish.items[k].command.n > 0;
        for (int k = 0; k < ph->backfill.n; k++)
            any |= ph->backfill.items[k].via.n > 0;
    }
    return any;
}

static bool read_options(struct context *c, struct rehearse_options *o, struct err *err)
{
    *o = (struct rehearse_options) {.ports = &c->ports,
                                    .set = &c->set,
                                    .plan = c->plans[0],
                                    .clone_url = opt_text(c, OPT_CLONE),
                                    .run_id = c->run_id,
                                    .actor = c->actor,
                                    .facts = context_facts,
                                    .read_plan = context_read_plan};
    if (opt_has(c, OPT_CLONE) && opt_has(c, OPT_CLONE_COMMAND))
        return err_set(err, ERR_USAGE, "--clone and --clone-command: one of them");
    if (!number(c, OPT_REHEARSE_ROWS, REHEARSE_ROWS, 2, REHEARSE_ROWS_MAX, &o->rows, err) ||
        !number(c, OPT_KILLS, REHEARSE_KILLS, 0, REHEARSE_KILLS_MAX, &o->kills, err) ||
        !number(c, OPT_SEED, clock_random(c->clock), 0, UINT32_MAX, &o->seed, err))
        return false;
    if (!runs_programs(o->plan) || opt_has(c, OPT_REHEARSE_COMMANDS))
        return true;
    err_set(err, ERR_USAGE, "plan %s runs programs (command:, via:), which a rehearsal runs too",
            o->plan->id.s);
    return err_hint(err, "phasegate rehearse %s --allow-commands", o->plan->id.s);
}

/* ---- a clone ---------------------------------------------------------------------------------------------- */

#define CLONE_HINT                                                                                 \
    "PHASEGATE_CLONE=make sh -c 'CMD' prints the clone's URL; PHASEGATE_CLONE=remove "             \
    "CLONE_URL=URL "                                                                               \
    "sh -c 'CMD' takes it away"

static bool clone_program(struct context *c, const char *task, const char *url, struct str *out,
                          struct err *err)
{
    const char *argv[] = {"/bin/sh", "-c", opt_text(c, OPT_CLONE_COMMAND), NULL};
    const char *env[] = {arena_printf(&c->arena, "PHASEGATE_CLONE=%s", task),
                         url ? arena_printf(&c->arena, "CLONE_URL=%s", url) : NULL, NULL};
    AUTO(str) said = {0};
    int code = 0;

    if (!c->host->ops->run(c->host, argv, env, COMMAND_MS, out, &said, &code, err))
        return err_note(err, "--clone-command");
    if (code == 0)
        return true;
    err_set(err, ERR_UNREACHABLE, "--clone-command ended with exit code %d (PHASEGATE_CLONE=%s)",
            code, task);
    err_hint(err, CLONE_HINT);
    return err_detail(err, "%s", str_text(&said));
}

static bool make_clone(struct context *c, struct rehearse_options *o, struct err *err)
{
    AUTO(str) text = {0};

    if (!opt_has(c, OPT_CLONE_COMMAND))
        return true;
    out_say(&c->out, "making a clone");
    if (!clone_program(c, "make", NULL, &text, err))
        return false;
    o->clone_url = arena_strndup(&c->arena, str_text(&text), strcspn(str_text(&text), "\r\n"));
    if (*o->clone_url)
        return true;
    err_set(err, ERR_UNREACHABLE,
            "--clone-command printed no URL on the first line of its standard output");
    return err_hint(err, CLONE_HINT);
}

static void remove_clone(struct context *c, const struct rehearse_options *o)
{
    AUTO(str) text = {0};
    AUTO(err) err = {0};

    if (!opt_has(c, OPT_CLONE_COMMAND) || !o->clone_url || !*o->clone_url)
        return;
    if (!clone_program(c, "remove", o->clone_url, &text, &err))
        out_warn(&c->out, "the clone wasn't removed: %s", str_text(&err.message));
}

/* What can't be reached can't be told apart; its address can. */
static bool differs_from(struct context *c, struct db *clone, const char *clone_url,
                         const struct environment *env, const struct database_decl *d,
                         struct err *err)
{
    AUTO(err) ignored = {0};
    const char *url = NULL;
    struct db *db = NULL;

    if (!d->url.s || !context_resolve(c, &d->url, &url, &ignored))
        return true;
    if (strcmp(url, clone_url) == 0) {
        err_set(err, ERR_REFUSED, "--clone is the database %s of environment %s itself", d->name.s,
                env->name.s);
        return err_reason(err, "production");
    }
    if (!c->ports.db_open(&c->ports, url, c->label, false, &db, &ignored))
        out_warn(&c->out,
                 "database %s of environment %s can't be reached, so nobody knows that "
                 "the clone isn't on its server",
                 d->name.s, env->name.s);
    bool good = rehearse_differs(clone, db, env->name.s, err);
    db_close(db);
    return good;
}

static bool look_at_clone(struct context *c, const char *url, struct err *err)
{
    const struct project *p = &c->set.project;
    struct db *clone = NULL;
    bool good = c->ports.db_open(&c->ports, url, c->label, false, &clone, err) ||
                err_note(err, "the clone");

    if (good)
        good = rehearse_differs(clone, NULL, "", err);
    for (int i = 0; good && i < p->n_environments; i++) {
        const struct environment *env = fleet_members(&c->arena, &p->environments[i]);

        for (int k = 0; good && k < env->n_databases; k++)
            good = differs_from(c, clone, url, env, &env->databases[k], err);
    }
    db_close(clone);
    return good;
}

/* ---- the ledger --------------------------------------------------------------------------------------------- */

static bool is_recorded(struct context *c)
{
    const char *env = c->host->ops->env(c->host, "PHASEGATE_ENV");

    return opt_has(c, OPT_ENV) || (env && *env);
}

struct recorded {
    const struct rehearsal_row *row;
    const char *text;
};

static bool record_in(struct context *c, struct engine *e, void *ctx, struct err *err)
{
    const struct recorded *k = ctx;

    return engine_rehearsed(e, c->plans[0], k->row, k->text, err);
}

static bool record(struct context *c, const struct rehearsal *r, struct err *err)
{
    struct plan *p = c->plans[0];
    AUTO(str) text = {0};
    struct json_out j;
    int64_t rows = 0;

    json_begin(&j, &text, false);
    json_object_begin(&j, NULL);
    rehearse_json(&j, r);
    json_object_end(&j);
    for (int i = 0; i < r->n_rows; i++)
        rows += r->rows[i].before;
    const struct rehearsal_row row = {.plan = p->id.s,
                                      .checksum = p->checksum,
                                      .server = r->server,
                                      .run_id = c->run_id,
                                      .by = c->actor,
                                      .green = rehearse_is_green(r),
                                      .on_clone = r->is_clone,
                                      .problems = r->problems.n,
                                      .rows = rows,
                                      .kills = r->kills.made,
                                      .seed = r->seed,
                                      .duration_ms = r->ms};
    struct recorded k = {&row, str_text(&text)};
    return context_each_of_plan(c, p, record_in, &k, err);
}

/* ---- all of it ------------------------------------------------------------------------------------------------ */

static bool begin_server(struct context *c, struct shadow **out, struct err *err)
{
    const struct shadow_options o = {
        .cache = cache_folder(c, &c->arena), .clock = c->clock, .interrupt = c->ports.interrupt};

    return shadow_begin(&o, out, err);
}

static bool rehearse(struct context *c, struct rehearse_options *o, struct rehearsal *r,
                     struct err *err)
{
    if (o->clone_url ? !look_at_clone(c, o->clone_url, err) : !begin_server(c, &o->shadow, err))
        return false;
    out_say(&c->out, "rehearsing %s on %s; kills by --seed %" PRId64, o->plan->id.s,
            o->clone_url ? "the clone" : "a server of its own", o->seed);
    bool good = context_http(c, err) && rehearse_run(o, &c->arena, r, err);
    shadow_end(o->shadow);
    o->shadow = NULL;
    return good;
}

bool cmd_rehearse(struct context *c, struct err *err)
{
    struct rehearse_options o;
    struct rehearsal r;

    /* Before the minute that it takes: a slip in ENV is seen at once. */
    if (!read_options(c, &o, err) || (is_recorded(c) && !context_environment(c, err)) ||
        !context_facts(&c->set, c->plans[0], err))
        return false;
    bool good = make_clone(c, &o, err) && rehearse(c, &o, &r, err);
    remove_clone(c, &o);
    if (!good)
        return false;
    const char *recorded = is_recorded(c) ? c->env->name.s : NULL;
    rehearse_show(c, &r, recorded);
    c->exit_code = rehearse_is_green(&r) ? 0 : 1;
    return !recorded || record(c, &r, err);
}

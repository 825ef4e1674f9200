/* What a command works with, opened by its needs and no further: --version and kill must be quick. Sessions and
 * the flag service are opened when they're first asked for, so that a command sees its mistakes of usage first. */
#include "check_static.h"
#include "cli.h"
#include "phasegate/fleet.h"
#include "phasegate/io.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

/* Written to by the signal handler; so it lives as long as the process. */
static struct interrupt interrupt;

/* "20261121031837123-1a2b3c4d": sorts by time, and two of one millisecond differ. */
static const char *run_id_new(struct context *c)
{
    int64_t now = clock_wall_ms(c->clock);
    char stamp[15];

    time_to_stamp(now / 1000, stamp);
    return arena_printf(&c->arena, "%s%03d-%08" PRIx32, stamp, (int) (now % 1000),
                        clock_random(c->clock));
}

static bool open_db_port(struct ports *p, const char *url, const char *label, bool writable,
                         struct db **out, struct err *err)
{
    struct db_options o = db_options_default();

    o.url = url;
    o.label = label;
    o.writable = writable;
    o.clock = p->clock;
    o.interrupt = p->interrupt;
    return db_connect(&o, out, err);
}

const char *context_config(struct context *c)
{
    const char *path = opt_text(c, OPT_CONFIG);

    return path ? path : getenv("PHASEGATE_CONFIG");
}

void problems_json(struct json_out *j, const char *key, const struct problem_list *l)
{
    json_array_begin(j, key);
    for (int i = 0; i < l->n; i++) {
        const struct problem *p = &l->items[i];

        json_object_begin(j, NULL);
        json_str(j, "file", p->at.file);
        json_int(j, "line", p->at.line);
        json_int(j, "column", p->at.col);
        json_str(j, "message", p->message);
        json_str(j, "expected", p->expected);
        json_str(j, "hint", p->hint);
        json_str(j, "rule", p->rule);
        json_object_end(j);
    }
    json_array_end(j);
}

void context_show_problems(struct context *c, const struct problem_list *l)
{
    AUTO(str) text = {0};
    struct json_out j;

    if (out_is_json(&c->out)) {
        str_clear(&c->out.extra);
        json_begin(&j, &c->out.extra, false);
        problems_json(&j, NULL, l);
        c->out.extra_key = "problems";
        return;
    }
    fflush(c->out.data);
    for (int i = 0; i < l->n; i++) {
        str_clear(&text);
        problem_text(&text, &l->items[i]);
        fprintf(c->out.messages, "%s\n", out_clean(&c->arena, str_text(&text), true));
    }
    if (l->cut)
        fprintf(c->out.messages, "... and more: only the first %d are shown\n", LOAD_MAX_PROBLEMS);
}

/* The loader's error repeats the first problem, which the list has shown. */
static void sum_up(struct context *c, struct err *err)
{
    if (!err_is(err, ERR_INPUT) || c->problems.n == 0)
        return;
    if (c->problems.n == 1) {
        if (!err->hint.len)
            err_hint(err, "mend it, then: phasegate check");
        return;
    }
    err_set(err, ERR_INPUT, "%d%s problems in the project's files", c->problems.n,
            c->problems.cut ? " or more" : "");
    err_hint(err, "mend them, then: phasegate check");
}

/* Which plans stay in memory in full? There may be thousands of them: only those that the command is about. */
struct choice {
    const struct context *c;
    int n_bad; /* whose SQL has problems */
};

static bool is_named(const struct context *c, const struct plan *p)
{
    unsigned needs = c->command->needs;
    int n = needs & NEED_PLANS ? c->line.n_args : (needs & NEED_PLAN) != 0;

    for (int i = 0; i < n && i < c->line.n_args; i++)
        if (strcmp(c->line.args[i], p->id.s) == 0)
            return true;
    return false;
}

/* The list of problems has no room for those of more plans. */
static bool has_bad_sql(struct choice *choice, struct plan *p)
{
    AUTO(problem_list) problems = {0};
    AUTO(arena) scratch = {0};
    AUTO(err) ignored = {0};

    if (choice->n_bad == LOAD_MAX_PROBLEMS || plan_sql_facts_in(&scratch, p, &problems, &ignored))
        return false;
    choice->n_bad++;
    return true;
}

static bool is_whole(void *ctx, struct plan *p)
{
    struct choice *choice = ctx;
    const struct context *c = choice->c;

    if (!p->id.s)
        return false;
    if (c->line.n_args == 0 && (c->command->needs & NEED_SQL))
        return has_bad_sql(choice, p);
    return is_named(c, p);
}

bool context_load(struct context *c, bool tolerant, struct err *err)
{
    const char *config = context_config(c);
    struct choice choice = {.c = c};

    if (c->has_set)
        return true;
    c->has_set = true;
    if (plan_set_load_some(NULL, config, is_whole, &choice, &c->set, &c->problems, err))
        return true;
    if (tolerant && c->problems.n && c->set.project.file && c->set.project.n_environments) {
        err_clear(err);
        return true;
    }
    if ((c->command->needs & SPARES) && c->set.project.n_environments &&
        plan_set_spare(&c->set, &c->problems)) {
        err_clear(err);
        return true;
    }
    return context_problems(c, err);
}

bool context_problems(struct context *c, struct err *err)
{
    if (!err->kind)
        err_set(err, ERR_INPUT, "a plan file can't be read");
    if (c->problems.n > (out_is_json(&c->out) ? 0 : 1)) {
        context_show_problems(c, &c->problems);
    }
    sum_up(c, err);
    return false;
}

static void name_environments(const struct project *p, struct str *to)
{
    for (int i = 0; i < p->n_environments; i++)
        str_addf(to, "%s%s", i ? ", " : "", p->environments[i].name.s);
}

static bool choose_environment(struct context *c, struct err *err)
{
    const struct project *p = &c->set.project;
    const char *name = opt_text(c, OPT_ENV) ? opt_text(c, OPT_ENV) : getenv("PHASEGATE_ENV");
    AUTO(str) names = {0};

    name_environments(p, &names);
    if (p->n_environments == 0) {
        err_set(err, ERR_CONFIG, "%s: no environment is described", p->file);
        return err_hint(err, "add environments: with a database to it");
    }
    if (name && *name) {
        const char **words = arena_array(&c->arena, const char *, p->n_environments + 1), *near;

        c->env = project_environment(p, name);
        if (c->env)
            return true;
        for (int i = 0; i < p->n_environments; i++)
            words[i] = p->environments[i].name.s;
        near = name_nearest(name, words);
        err_set(err, ERR_USAGE, "unknown environment \"%s\"; %s has: %s%s%s%s", name, p->file,
                str_text(&names), near ? "; did you mean \"" : "", near ? near : "",
                near ? "\"?" : "");
        return err_hint(err,
                        opt_has(c, OPT_AGAINST) ? "phasegate %2$s --against %1$s"
                                                : "phasegate -e %1$s %2$s ...",
                        near ? near : p->environments[0].name.s, c->command->name);
    }
    if (p->n_environments > 1) {
        err_set(err, ERR_USAGE, "which environment? %s has several: %s", p->file, str_text(&names));
        return err_hint(err, "phasegate -e %s %s ...", p->environments[0].name.s, c->command->name);
    }
    c->env = &p->environments[0];
    return true;
}

bool context_environment(struct context *c, struct err *err)
{
    if (!choose_environment(c, err))
        return false;
    c->env = fleet_members(&c->arena, c->env);
    return true;
}

void context_warn_spared(struct context *c)
{
    for (int i = 0; i < c->set.n_spared; i++)
        out_warn(&c->out, "%s can't be read and is left aside: %s", c->set.spared[i].file,
                 c->set.spared[i].why);
}

struct plan *context_plan(struct context *c, const char *id, struct err *err)
{
    const char **words = arena_array(&c->arena, const char *, c->set.n_plans + 1), *near;

    for (int i = 0; i < c->set.n_plans; i++) {
        if (c->set.plans[i].id.s && strcmp(c->set.plans[i].id.s, id) == 0)
            return &c->set.plans[i];
        words[i] = c->set.plans[i].id.s ? c->set.plans[i].id.s : "";
    }
    near = name_nearest(id, words);
    const struct spared *spared = plan_find_spared(&c->set, id);
    if (spared) {
        context_show_problems(c, &c->problems);
        err_set(err, ERR_INPUT, "%s: plan %s can't be read", spared->file, id);
        err_hint(err, "mend it, then: phasegate check");
        return NULL;
    }
    if (c->problems.n)
        context_show_problems(c, &c->problems);
    err_set(err, ERR_USAGE, "unknown plan \"%s\"%s%s%s", id, near ? "; did you mean \"" : "",
            near ? near : "", near ? "\"?" : "");
    err_hint(err, c->set.n_plans ? "phasegate show plans" : "phasegate new %s", id);
    return NULL;
}

static bool choose_plans(struct context *c, struct err *err)
{
    bool all = (c->command->needs & NEED_PLANS) && c->line.n_args == 0;
    int n = all ? c->set.n_plans : (c->command->needs & NEED_PLAN) ? 1 : c->line.n_args;

    c->plans = arena_array(&c->arena, struct plan *, n + 1);
    c->strangers = arena_array(&c->arena, const char *, n + 1);
    for (int i = 0; i < n; i++) {
        if (!all && (c->command->needs & STRANGERS) && !plan_find(&c->set, c->line.args[i])) {
            c->strangers[c->n_strangers++] = c->line.args[i];
            continue;
        }
        c->plans[c->n_plans] = all ? &c->set.plans[i] : context_plan(c, c->line.args[i], err);
        if (!c->plans[c->n_plans++])
            return false;
    }
    return true;
}

static void find_state_dir(struct context *c)
{
    const char *dir = getenv("PHASEGATE_STATE_DIR");

    if (dir && *dir)
        c->state_dir = dir;
    else
        c->state_dir = arena_printf(&c->arena, "%s/.phasegate",
                                    c->set.project.root ? c->set.project.root : ".");
}

bool context_open(struct context *c, struct err *err)
{
    bool alone = check_static_has_paths(c) || opt_has(c, OPT_EVIDENCE_VERIFY);
    unsigned needs = alone ? NEED_NOTHING : c->command->needs;
    const char *as = opt_text(c, OPT_AS);

    interrupt_install(&interrupt);
    c->clock = clock_system(&interrupt);
    c->host = host_posix(c->clock, &interrupt);
    c->run_id = run_id_new(c);
    c->label = arena_printf(&c->arena, "phasegate/%s", c->run_id);
    c->actor = as ? as
                  : arena_printf(&c->arena, "%s@%s", c->host->ops->user(c->host),
                                 c->host->ops->hostname(c->host));
    c->out.run_id = c->run_id;
    c->out.clock = c->clock;
    c->ports = (struct ports) {.clock = c->clock,
                               .host = c->host,
                               .events = &c->out.events,
                               .interrupt = &interrupt,
                               .db_open = open_db_port,
                               .dump = pg_dump_run};
    if ((needs & NEED_PROJECT) && !context_load(c, needs & TOLERANT, err))
        return false;
    find_state_dir(c);
    if ((needs & (NEED_PLAN | NEED_PLANS)) && !choose_plans(c, err))
        return false;
    return !(needs & NEED_ENV) || context_environment(c, err);
}

void context_close(struct context *c)
{
    for (int i = 0; i < c->n_sessions; i++) {
        db_close(c->sessions[i].db);
        str_free(&c->sessions[i].url);
    }
    http_close(c->http);
    http_close(c->notify_http);
    if (c->host)
        host_posix_free(c->host);
    if (c->clock)
        clock_system_free(c->clock);
    problem_list_free(&c->problems);
    if (c->has_set)
        plan_set_free(&c->set);
    arena_free(&c->arena);
}

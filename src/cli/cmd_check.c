/* check: what the files show, then the proof on a shadow. */
#include "check_since.h"
#include "check_static.h"
#include "cli.h"
#include "probe_cache.h"

#include "phasegate/check.h"
#include "phasegate/lint.h"
#include "phasegate/report_out.h"
#include "phasegate/rules.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct checking {
    struct context *c;
    struct report report;
    struct timeline timeline;
    struct shadow *shadow;
    struct suppression_list suppressions;
    struct since since;
    int n_static; /* findings that the texts gave: those of the shadow come behind them */
    int *cells;   /* of each world; NULL: nobody counted */
};

/* ---- what is asked for ------------------------------------------------------------------------------------- */

static bool no_format(const char *name, struct err *err)
{
    AUTO(str) names = {0};

    for (const struct report_format *f = report_formats; f->name; f++)
        str_addf(&names, "%s%s", f == report_formats ? "" : ", ", f->name);
    err_set(err, ERR_USAGE, "\"%s\" is no format of findings; there are %s", name,
            str_text(&names));
    return err_hint(err, "phasegate check --help");
}

/* The folder is resolved, the name in it may be free yet. */
static const char *resolved(struct arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder =
        realpath(slash ? arena_strndup(a, path, (size_t) (slash - path) + 1) : ".", NULL);
    const char *whole = folder ? arena_printf(a, "%s/%s", folder, slash ? slash + 1 : path) : path;

    free(folder);
    return whole;
}

/* FORMAT=FILE twice: the second would replace the first. A device takes both, one after the other. */
static bool is_one_file(struct arena *a, const char *one, const char *other)
{
    struct stat x, y;

    one += strcspn(one, "=") + 1;
    other += strcspn(other, "=") + 1;
    if (stat(one, &x) == 0 && stat(other, &y) == 0)
        return x.st_dev == y.st_dev && x.st_ino == y.st_ino && !S_ISCHR(x.st_mode);
    return strcmp(resolved(a, one), resolved(a, other)) == 0;
}

/* By its name: project file, plans, statements, baselines. */
static bool is_input(const char *path)
{
    static const char *const ends[] = {".sql", ".yaml", ".yml"};
    size_t n = strlen(path);

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (n >= strlen(ends[i]) && strcasecmp(path + n - strlen(ends[i]), ends[i]) == 0)
            return true;
    return false;
}

static bool check_formats(struct context *c, struct err *err)
{
    const char *format = opt_text(c, OPT_CHECK_FORMAT);

    if (format && opt_has(c, OPT_EXPLAIN) && strcmp(format, "text") != 0 &&
        strcmp(format, "mermaid") != 0) {
        err_set(err, ERR_USAGE, "--explain: \"%s\" is no format of worlds; there are text, mermaid",
                format);
        return err_hint(err, "phasegate check --explain; -o %s=FILE writes the findings beside it",
                        report_format_find(format) ? format : "json");
    }
    if (format && !report_format_find(format) &&
        !(opt_has(c, OPT_EXPLAIN) && strcmp(format, "mermaid") == 0))
        return no_format(format, err);
    for (int i = 0; i < c->line.n_outputs; i++) {
        const char *o = c->line.outputs[i];
        size_t n = strcspn(o, "=");

        if (!o[n] || !o[n + 1]) {
            err_set(err, ERR_USAGE, "--output: \"%s\" isn't FORMAT=FILE", o);
            return err_hint(err, "phasegate check -o sarif=phasegate.sarif");
        }
        if (!report_format_find(arena_strndup(&c->arena, o, n)))
            return no_format(arena_strndup(&c->arena, o, n), err);
        if (is_input(o + n + 1)) {
            err_set(err, ERR_USAGE,
                    "--output: %s would replace what the project is made of, expected a file that "
                    "ends neither with .sql nor with .yaml",
                    o + n + 1);
            return err_hint(err, "phasegate check -o sarif=phasegate.sarif");
        }
        for (int k = 0; k < i; k++)
            if (is_one_file(&c->arena, c->line.outputs[k], o))
                return err_set(err, ERR_USAGE,
                               "--output: %s and %s are the same file; expected one for each",
                               c->line.outputs[k], o);
    }
    return true;
}

static bool is_wanted(const struct context *c, const char *plan)
{
    if (c->line.n_args == 0)
        return true;
    for (int i = 0; plan && i < c->line.n_args; i++)
        if (strcmp(c->line.args[i], plan) == 0)
            return true;
    return false;
}

/* ---- loading -------------------------------------------------------------------------------------------------- */

/* Everything has to be readable: a proof over half of the plans is none. */
static bool unreadable(struct context *c, struct err *err)
{
    context_show_problems(c, &c->problems);
    err_set(err, ERR_INPUT, "%d%s %s in the project's files", c->problems.n,
            c->problems.cut ? " or more" : "", c->problems.n == 1 ? "problem" : "problems");
    return err_hint(err, "mend %s, then: phasegate check", c->problems.n == 1 ? "it" : "them");
}

/* Files are meant where plans are asked for: that is another mode. */
static bool is_no_path(struct context *c, const char *arg, struct err *err)
{
    if (is_static_path(arg)) {
        err_set(err, ERR_USAGE, "\"%s\" is no plan: SQL files are checked without a server", arg);
        return err_hint(err, "phasegate check --static %s", arg);
    }
    if (!strchr(arg, '/'))
        return true;
    err_set(err, ERR_USAGE, "%s: no such file or folder, and no plan", arg);
    return err_hint(err, opt_has(c, OPT_STATIC) ? "phasegate check --static FOLDER"
                                                : "phasegate check [PLAN...]");
}

static bool load(struct checking *k, struct err *err)
{
    struct context *c = k->c;

    for (int i = 0; i < c->line.n_args; i++)
        if (!is_no_path(c, c->line.args[i], err))
            return false;
    c->has_set = true;
    if (!plan_set_load(NULL, context_config(c), &c->set, &c->problems, err)) {
        if (c->problems.n == 0)
            return false;
        err_clear(err);
        return unreadable(c, err);
    }
    for (int i = 0; i < c->set.n_plans; i++)
        if (!plan_sql_facts(&c->set, &c->set.plans[i], &c->problems, err)) {
            if (!err_is(err, ERR_INPUT) || !c->problems.n)
                return false;
            err_clear(err);
        }
    (void) !check_baseline_is_there(c);
    lint_problems(&c->set, &c->problems, &k->report);
    if (c->problems.n)
        return unreadable(c, err);
    for (int i = 0; i < c->line.n_args; i++)
        if (!context_plan(c, c->line.args[i], err))
            return false;
    return true;
}

/* ---- the shadow -------------------------------------------------------------------------------------------------- */

static const char *or_env(struct context *c, enum option_id id, const char *name)
{
    const char *set = c->host->ops->env(c->host, name);

    /* A secret that a CI hasn't is an empty variable there. */
    return opt_has(c, id) ? opt_text(c, id) : set && *set ? set : NULL;
}

static bool begin_shadow(struct checking *k, struct err *err)
{
    struct context *c = k->c;
    struct shadow_baseline baseline;
    bool is_live = or_env(c, OPT_BASELINE_FROM, "PHASEGATE_BASELINE_FROM") != NULL;
    struct shadow_options o = {.url = or_env(c, OPT_SHADOW, "PHASEGATE_SHADOW"),
                               .superuser_steps = opt_has(c, OPT_SHADOW_SUPERUSER),
                               .cache = cache_folder(c, &c->arena),
                               .clock = c->clock,
                               .interrupt = c->ports.interrupt};

    if (opt_has(c, OPT_STATIC))
        return true;
    if (o.cache && !is_live && cache_baseline(c, &c->arena, &baseline))
        o.baseline = &baseline;
    return shadow_begin(&o, &k->shadow, err);
}

/* Without a schema and without statements there's no world to go through. */
static bool has_world(struct context *c)
{
    const struct project *p = &c->set.project;
    bool any = p->baseline.s || or_env(c, OPT_BASELINE_FROM, "PHASEGATE_BASELINE_FROM");

    for (int i = 0; i < p->n_releases; i++)
        any |= p->releases[i].statements.n > 0;
    for (int i = 0; i < p->n_consumers; i++)
        any |= p->consumers[i].statements.n > 0;
    return any;
}

static bool is_static(struct context *c) { return opt_has(c, OPT_STATIC) || !has_world(c); }

static int64_t window_of(const struct context *c)
{
    if (opt_has(c, OPT_WINDOW))
        return c->line.number[OPT_WINDOW];
    return policy_effective(&c->set.project, NULL).window;
}

static bool prove_with_cache(struct checking *k, struct check_options *o, struct err *err)
{
    struct context *c = k->c;
    struct probe_cache cache = {0};

    /* What a server of the user's answers may depend on more than we know of it. */
    if (!o->baseline_from && !or_env(c, OPT_SHADOW, "PHASEGATE_SHADOW"))
        probe_cache_read(c, &cache);
    o->cache = &cache.cache;
    bool ok = check_prove(&c->set, o, &k->report, &k->timeline, &c->problems, err);
    if (ok)
        probe_cache_write(c, &cache);
    probe_cache_free(&cache);
    return ok;
}

static bool prove(struct checking *k, struct err *err)
{
    struct context *c = k->c;
    struct check_options o = {.ports = &c->ports,
                              .shadow = k->shadow,
                              .leaves_shadow = true,
                              .window = window_of(c),
                              .baseline_from =
                                  or_env(c, OPT_BASELINE_FROM, "PHASEGATE_BASELINE_FROM"),
                              .allow_commands = opt_has(c, OPT_ALLOW_COMMANDS),
                              .baseline_is_folder = check_baseline_is_folder(c),
                              .before = since_before(&k->since),
                              .cells = &k->cells};

    /* A live database is nobody's branch. */
    if (o.baseline_from)
        o.before = NULL;
    if (o.window < 1)
        return err_set(err, ERR_USAGE,
                       "--window: at least 1: the release before N is what this is about");
    k->report.is_static = is_static(c);
    if (!opt_has(c, OPT_STATIC) && k->report.is_static)
        out_say(&c->out,
                "nothing to prove: the project has neither a baseline nor statements of releases; "
                "only the files were checked");
    if (k->report.is_static) {
        struct timeline_options t = {.window = o.window};
        timeline_build(&k->report.arena, &c->set, &t, &k->timeline);
        k->report.summary.plans = k->timeline.n_plans;
        k->report.summary.releases = k->timeline.n_releases;
        return true;
    }
    if (prove_with_cache(k, &o, err))
        return true;
    if (c->problems.n == 0)
        return false;
    err_clear(err);
    return unreadable(c, err);
}

static bool every_plan(void *ctx, const struct plan *p) { return is_wanted(ctx, p->id.s); }

/* What the texts say by themselves. */
static bool lint(struct checking *k, struct err *err)
{
    struct context *c = k->c;
    struct lint_options o = {.window = window_of(c), .shadow_follows = !is_static(c)};

    if (!check_read_files(c, &o, &k->suppressions, &k->report, err))
        return false;
    if (c->problems.n)
        return unreadable(c, err);
    lint_plans(&c->set, &o, every_plan, c, &k->report);
    k->n_static = k->report.n;
    return true;
}

/* Severities of the project file, then what was set aside by name. */
static void settle(struct checking *k)
{
    struct context *c = k->c;
    struct policy policy = policy_effective(&c->set.project, NULL);

    report_join(&k->report, k->n_static);
    check_yaml_comments(c, c->set.project.file, &k->report);
    for (int i = 0; i < c->set.n_plans; i++)
        check_yaml_comments(c, c->set.plans[i].file, &k->report);
    for (int i = 0; i < c->set.n_plans; i++)
        suppress_read_plan(&k->suppressions, &k->report, &c->set.project, &c->set.plans[i]);
    for (int i = 0; i < k->suppressions.n; i++)
        check_until(c, &k->suppressions.items[i], &k->report);
    severities_apply(&policy, &k->report);
    suppress_apply(&k->suppressions, &policy, &k->report);
}

/* ---- narrowing --------------------------------------------------------------------------------------------------- */

static bool touches(struct since *s, const struct finding *f)
{
    bool any = since_has(s, f->at.file);

    for (int i = 0; i < f->n_places && !any; i++)
        any = since_has(s, f->places[i].at.file);
    return any;
}

/* The world was whole; shown is what was asked for. */
static void narrow(struct checking *k)
{
    struct context *c = k->c;
    struct since *s = &k->since;
    struct report *r = &k->report;
    int n = 0;

    /* What the project file or the baseline says concerns everything, and so does what others stood on. */
    bool all = !s->ref || since_has(s, c->set.project.file) || since_has_baseline(s) ||
               since_breaks_others(s);
    for (int i = 0; i < r->n; i++)
        if ((!r->findings[i].plan || is_wanted(c, r->findings[i].plan)) &&
            (all || touches(s, &r->findings[i])))
            r->findings[n++] = r->findings[i];
        else if (r->findings[i].severity == SEVERITY_ERROR && !r->findings[i].allowed_because)
            r->n_proofs = r->n_schemas = 0; /* an error that isn't shown proves nothing either */
    r->n = n;
}

/* ---- showing --------------------------------------------------------------------------------------------------------- */

/* Services are told where a file lies in the repository, people where it lies from here. */
static bool is_for_service(const char *format)
{
    static const char *const services[] = {"sarif", "github", "gitlab"};

    for (size_t i = 0; i < sizeof services / sizeof *services; i++)
        if (strcmp(format, services[i]) == 0)
            return true;
    return false;
}

static struct report_out_options out_options(struct context *c, const char *format, bool terminal)
{
    const char *word = opt_text(c, OPT_FAIL_ON);
    enum severity at = SEVERITY_ERROR;
    const char **plans = arena_array(&c->arena, const char *, c->set.n_plans + 1);
    int n = 0;

    if (word)
        (void) !severity_from_word(word, &at);
    for (int i = 0; c->has_set && i < c->set.n_plans; i++)
        if (c->set.plans[i].id.s && is_wanted(c, c->set.plans[i].id.s))
            plans[n++] = c->set.plans[i].id.s;
    return (struct report_out_options) {.line = check_line,
                                        .ctx = c,
                                        .paths = check_static_has_paths(c) ? c->line.args : NULL,
                                        .n_paths = c->line.n_args,
                                        .colour = terminal && c->out.data_colour,
                                        .verbose = c->out.verbosity > 0,
                                        .plans = n ? plans : NULL,
                                        .prefix = is_for_service(format) ? check_prefix(c) : NULL,
                                        .project_file = c->set.project.file,
                                        .fail_on = at};
}

bool check_write_files(struct context *c, const struct report *r, struct err *err)
{
    for (int i = 0; i < c->line.n_outputs; i++) {
        const char *o = c->line.outputs[i];
        size_t n = strcspn(o, "=");
        const struct report_format *f = report_format_find(arena_strndup(&c->arena, o, n));
        struct report_out_options options = out_options(c, f->name, false);
        AUTO(str) text = {.ceiling = (size_t) 1 << 30};

        f->write(&options, r, &text);
        if (!c->host->ops->write_atomic(c->host, o + n + 1, str_text(&text), text.len, 0644, err))
            return err_note(err, "--output %s", o);
    }
    return true;
}

void check_print(struct context *c, const struct report *r)
{
    const char *name = opt_text(c, OPT_CHECK_FORMAT);
    const struct report_format *f = report_format_find(name ? name : "text");
    struct report_out_options options = out_options(c, f->name, true);
    AUTO(str) text = {.ceiling = (size_t) 1 << 30};

    f->write(&options, r, &text);
    /* It is a document of its own, not one inside our envelope. */
    c->out.format = OUT_TEXT;
    out_print(&c->out, "%s", str_text(&text));
}

static bool fails(const struct context *c, const struct report *r)
{
    const char *word = opt_text(c, OPT_FAIL_ON);
    enum severity at = SEVERITY_ERROR;

    if (word && strcmp(word, "never") == 0)
        return false;
    return report_fails(r, word && severity_from_word(word, &at) ? at : SEVERITY_ERROR);
}

bool check_show(struct context *c, const struct report *r, struct err *err)
{
    if (!check_write_files(c, r, err))
        return false;
    check_print(c, r);
    c->exit_code = fails(c, r) ? 1 : 0;
    return true;
}

/* The timeline instead of findings. */
static void explain(struct checking *k)
{
    const char *format = opt_text(k->c, OPT_CHECK_FORMAT);
    AUTO(str) text = {.ceiling = (size_t) 1 << 28};

    if (format && strcmp(format, "mermaid") == 0)
        timeline_mermaid(&k->timeline, k->cells, &text);
    else
        timeline_text(&k->timeline, k->cells, &text);
    k->c->out.format = OUT_TEXT;
    out_print(&k->c->out, "%s", str_text(&text));
}

/* What is said of a server, where none is asked, was meant. */
static bool static_takes(struct context *c, struct err *err)
{
    static const struct {
        enum option_id o;
        const char *name;
    } of_server[] = {{OPT_SHADOW, "--shadow"},
                     {OPT_SHADOW_SUPERUSER, "--shadow-superuser"},
                     {OPT_BASELINE_FROM, "--baseline-from"},
                     {OPT_ALLOW_COMMANDS, "--allow-commands"}};

    for (size_t i = 0; opt_has(c, OPT_STATIC) && i < sizeof of_server / sizeof *of_server; i++) {
        if (!opt_has(c, of_server[i].o))
            continue;
        err_set(err, ERR_USAGE, "--static asks no server: %s is of no use with it",
                of_server[i].name);
        return err_hint(err, "leave one of the two out: phasegate check --help");
    }
    return true;
}

static bool run_check(struct checking *k, struct err *err)
{
    struct context *c = k->c;

    if (!check_formats(c, err) || !begin_shadow(k, err) || !load(k, err))
        return false;
    /* A name that is none is told before anything is proved. */
    if (opt_has(c, OPT_AGAINST) && !check_against_named(c, opt_text(c, OPT_AGAINST), err))
        return false;
    int64_t began = clock_mono_ms(c->clock);
    if (opt_has(c, OPT_SINCE) && !since_begin(&k->since, c, opt_text(c, OPT_SINCE), err))
        return false;
    if (!lint(k, err) || !prove(k, err))
        return false;
    if ((opt_has(c, OPT_AGAINST) && !check_against(c, &k->report, err)))
        return false;
    settle(k);
    narrow(k);
    if (!since_end(&k->since, err))
        return false;
    report_finish(&k->report);
    k->report.summary.duration_ms = clock_mono_ms(c->clock) - began;
    if (!opt_has(c, OPT_EXPLAIN))
        return check_show(c, &k->report, err);
    explain(k);
    if (k->report.summary.errors > 0)
        out_say(&c->out, "%d %s: phasegate check", k->report.summary.errors,
                k->report.summary.errors == 1 ? "error" : "errors");
    c->exit_code = fails(c, &k->report) ? 1 : 0;
    return check_write_files(c, &k->report, err);
}

bool cmd_check(struct context *c, struct err *err)
{
    struct checking k = {.c = c};
    bool ok = static_takes(c, err) &&
              (check_static_has_paths(c) ? check_formats(c, err) && check_static(c, err)
                                         : run_check(&k, err));

    if (!ok)
        check_failed(c, err);
    shadow_end(k.shadow);
    err_clear(&k.since.err);
    report_free(&k.report);
    return ok;
}

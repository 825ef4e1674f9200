/* check --static: SQL files, or the project's plans, without a server. */
#include "check_static.h"
#include "cli.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

bool check_static_has_paths(const struct context *c)
{
    for (int i = 0; opt_has(c, OPT_STATIC) && i < c->line.n_args; i++)
        if (is_static_path(c->line.args[i]))
            return true;
    return false;
}

/* ---- output -------------------------------------------------------------------------------------------------- */

static void show_finding(struct context *c, const struct finding *f)
{
    struct out *o = &c->out;
    enum out_style style = f->allowed_because                ? STYLE_FAINT
                           : f->severity == SEVERITY_ERROR   ? STYLE_BAD
                           : f->severity == SEVERITY_WARNING ? STYLE_WARN
                                                             : STYLE_PLAIN;

    out_print(o, "%s:%d:%d: %s%s%s: %s [%s]\n", f->at.file ? f->at.file : "-", f->at.line,
              f->at.col, out_style(o, style),
              f->allowed_because ? "allowed" : severity_word(f->severity),
              out_style(o, STYLE_PLAIN), out_clean(&c->arena, f->message, false), f->rule->id);
    if (f->help)
        out_print(o, "    %s\n", out_clean(&c->arena, f->help, false));
}

static void finding_json(struct json_out *j, const struct finding *f)
{
    json_object_begin(j, NULL);
    json_str(j, "rule", f->rule->id);
    json_str(j, "class", rule_class_word(f->rule->class));
    json_str(j, "severity", severity_word(f->severity));
    json_str(j, "plan", f->plan);
    json_str(j, "phase", f->phase);
    json_str(j, "step", f->step);
    json_str(j, "release", f->release);
    json_str(j, "statement", f->statement);
    json_str(j, "file", f->at.file);
    json_int(j, "line", f->at.line);
    json_int(j, "column", f->at.col);
    json_str(j, "message", f->message);
    json_str(j, "help", f->help);
    json_str(j, "allowed_because", f->allowed_because);
    json_object_end(j);
}

static void show(struct context *c, const struct report *r, const char *what, int n)
{
    const struct report_summary *s = &r->summary;
    struct json_out *j = out_is_json(&c->out) ? out_json(&c->out) : NULL;

    for (int i = 0; !j && i < r->n; i++)
        show_finding(c, &r->findings[i]);
    out_print(&c->out, "%d %s: %d errors, %d warnings, %d notes, %d allowed\n", n, what, s->errors,
              s->warnings, s->notes, s->allowed);
    if (!j)
        return;
    json_array_begin(j, "findings");
    for (int i = 0; i < r->n; i++)
        finding_json(j, &r->findings[i]);
    json_array_end(j);
    json_object_begin(j, "summary");
    json_int(j, what, n);
    json_int(j, "errors", s->errors);
    json_int(j, "warnings", s->warnings);
    json_int(j, "notes", s->notes);
    json_int(j, "allowed", s->allowed);
    json_object_end(j);
}

/* ---- files ---------------------------------------------------------------------------------------------------- */

/* The project file, where there is one: its release list and severities hold for files too. */
static bool read_project(struct context *c, struct project *out, bool *has, struct err *err)
{
    const char *path = context_config(c) ? context_config(c) : "phasegate.yaml";
    AUTO(problem_list) problems = {0};
    AUTO(str) text = {0};
    char chunk[8192];
    ssize_t got;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    *has = false;
    if (fd < 0)
        return context_config(c) ? err_set(err, ERR_INPUT, "%s: %s", path, strerror(errno)) : true;
    while ((got = read(fd, chunk, sizeof chunk)) > 0)
        str_addn(&text, chunk, (size_t) got);
    close(fd);
    if (!project_parse(&c->arena, path, str_text(&text), text.len, out, &problems)) {
        AUTO(str) first = {0};

        if (problems.n > 0)
            problem_text(&first, &problems.items[0]);
        return err_set(err, ERR_INPUT, "%s", problems.n ? str_text(&first) : path);
    }
    *has = true;
    return true;
}

static bool check_files(struct context *c, struct err *err)
{
    AUTO(report) r = {.is_static = true};
    struct suppression_list sup = {0};
    struct project project = {0};
    bool has_project;
    int n = 0;

    if (!read_project(c, &project, &has_project, err) ||
        !check_static_files(c->line.args, c->line.n_args, has_project ? &project : NULL, &r, &sup,
                            &n, err))
        return false;
    severities_apply(&project.policy, &r);
    suppress_apply(&sup, &project.policy, &r);
    report_finish(&r);
    show(c, &r, "files", n);
    c->exit_code = report_fails(&r, SEVERITY_ERROR) ? 1 : 0;
    return true;
}

/* ---- plans ---------------------------------------------------------------------------------------------------- */

static bool read_text(struct arena *a, const char *path, const char **out, struct err *err)
{
    AUTO(str) text = {.ceiling = (size_t) 1 << 30};
    char chunk[16384];
    ssize_t got = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    while (fd >= 0 && (got = read(fd, chunk, sizeof chunk)) > 0)
        str_addn(&text, chunk, (size_t) got);
    if (fd < 0 || got < 0) {
        err_set(err, ERR_INPUT, "%s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    close(fd);
    *out = arena_strdup(a, str_text(&text));
    return true;
}

static int is_sql(const struct dirent *e)
{
    size_t n = strlen(e->d_name);

    return e->d_name[0] != '.' && n > 4 && strcmp(e->d_name + n - 4, ".sql") == 0;
}

/* The file, or those of the folder in the order in which they were applied. */
static bool read_baseline(struct context *c, struct lint_options *o, struct err *err)
{
    const struct project *p = &c->set.project;
    struct arena *a = &c->arena;
    const char *path, **texts;
    struct dirent **found = NULL;
    bool good = true;
    int n;

    if (!p->baseline.s)
        return true;
    path = *p->baseline.s == '/' ? p->baseline.s : arena_printf(a, "%s/%s", p->root, p->baseline.s);
    n = scandir(path, &found, is_sql, versionsort);
    texts = arena_array(a, const char *, n > 0 ? n : 1);
    if (n < 0) {
        good = read_text(a, path, &texts[0], err);
        o->n_baseline = good;
    }
    for (int i = 0; i < n; i++) {
        good =
            good && read_text(a, arena_printf(a, "%s/%s", path, found[i]->d_name), &texts[i], err);
        o->n_baseline += good;
        free(found[i]);
    }
    free(found);
    o->baseline = texts;
    return good;
}

static bool read_statements(struct context *c, struct lint_options *o, struct suppression_list *sup,
                            struct report *r, struct err *err)
{
    const struct project *p = &c->set.project;
    struct lint_release *releases =
        arena_array(&c->arena, struct lint_release, p->n_releases + p->n_consumers + 1);

    o->n_releases = p->n_releases + p->n_consumers;
    o->releases = releases;
    for (int i = 0; i < o->n_releases; i++) {
        const struct release *release =
            i < p->n_releases ? &p->releases[i] : &p->consumers[i - p->n_releases];
        struct statements *s = arena_new(&c->arena, struct statements);
        enum param_style style;

        releases[i] = (struct lint_release) {release, s};
        if (!param_style_from_word(release->params.s, &style))
            style = PARAMS_DOLLAR;
        if (!statements_load(&c->arena, p->root, &release->statements, style, s, &c->problems,
                             err)) {
            if (!err_is(err, ERR_INPUT) || c->problems.n == 0)
                return false;
            err_clear(err);
        }
        suppress_read_statements(sup, r, p, release->version.s, s);
    }
    return true;
}

static bool read_plans(struct context *c, struct suppression_list *sup, struct report *r,
                       struct err *err)
{
    for (int i = 0; i < c->set.n_plans; i++) {
        struct plan *p = &c->set.plans[i];

        if (!plan_set_fill(&c->set, p, err))
            return false;
        if (!plan_sql_facts(&c->set, p, &c->problems, err)) {
            if (!err_is(err, ERR_INPUT) || c->problems.n == 0)
                return false;
            err_clear(err);
        }
    }
    for (int i = 0; i < c->n_plans; i++)
        suppress_read_plan(sup, r, &c->set.project, c->plans[i]);
    return true;
}

static bool is_asked_for(void *ctx, const struct plan *p)
{
    const struct context *c = ctx;

    for (int i = 0; i < c->n_plans; i++)
        if (c->plans[i] == p)
            return true;
    return false;
}

static bool check_plans(struct context *c, struct err *err)
{
    AUTO(report) r = {.is_static = true};
    struct suppression_list sup = {0};
    struct policy policy = policy_effective(&c->set.project, NULL);
    struct lint_options o = {.window = policy.window};

    if (!read_baseline(c, &o, err) || !read_statements(c, &o, &sup, &r, err) ||
        !read_plans(c, &sup, &r, err))
        return false;
    lint_problems(&c->set, &c->problems, &r);
    if (c->problems.n > 0) {
        context_show_problems(c, &c->problems);
        return err_set(err, ERR_INPUT, "%d problems in the project's files", c->problems.n);
    }
    lint_plans(&c->set, &o, is_asked_for, c, &r);
    severities_apply(&c->set.project.policy, &r);
    suppress_apply(&sup, &policy, &r);
    report_finish(&r);
    show(c, &r, "plans", c->n_plans);
    c->exit_code = report_fails(&r, SEVERITY_ERROR) ? 1 : 0;
    return true;
}

bool check_static(struct context *c, struct err *err)
{
    return check_static_has_paths(c) ? check_files(c, err) : check_plans(c, err);
}

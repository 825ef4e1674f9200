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
    return check_show(c, &r, err);
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

bool check_read_files(struct context *c, struct lint_options *o, struct suppression_list *sup,
                      struct report *r, struct err *err)
{
    return read_baseline(c, o, err) && read_statements(c, o, sup, r, err);
}

bool check_static(struct context *c, struct err *err) { return check_files(c, err); }

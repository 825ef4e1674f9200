/* check --static: SQL files, or the project's plans, without a server. */
#include "check_static.h"
#include "cli.h"

#include "phasegate/load.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define PROJECT_MOST ((int64_t) 1 << 20)
#define BASELINE_MOST ((int64_t) 1 << 30)

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

    *has = false;
    if (!context_config(c) && access(path, F_OK) != 0)
        return true;
    if (!regular_read(path, path, PROJECT_MOST, &text, err))
        return false;
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
    AUTO(str) skipped = {0};
    bool has_project;

    if (!read_project(c, &project, &has_project, err) ||
        !check_static_files(c->line.args, c->line.n_args, has_project ? &project : NULL, &r, &sup,
                            &skipped, err))
        return false;
    if (skipped.len)
        out_say(&c->out, "not regular files, skipped:%s", str_text(&skipped));
    severities_apply(&project.policy, &r);
    suppress_apply(&sup, &project.policy, &r);
    report_finish(&r);
    return check_show(c, &r, err);
}

/* ---- plans ---------------------------------------------------------------------------------------------------- */

static bool read_text(struct arena *a, const char *path, const char *shown, const char **out,
                      struct err *err)
{
    AUTO(str) text = {0};

    if (!regular_read(path, shown, BASELINE_MOST, &text, err))
        return err_note(err, "the baseline");
    *out = arena_strdup(a, str_text(&text));
    return true;
}

static int is_sql(const struct dirent *e)
{
    size_t n = strlen(e->d_name);

    return e->d_name[0] != '.' && n > 4 && strcmp(e->d_name + n - 4, ".sql") == 0;
}

/* What isn't SQL at all would teach nothing, and everything would look new. A shadow says so by itself. */
static bool must_be_sql(const char *sql, const char *shown, struct err *err)
{
    AUTO(arena) a = {0};
    const struct lint_file file = {.path = shown, .sql = sql, .set = 1};
    struct lint_parse *parse = lint_file_parse(&a, &file);
    bool good = lint_parse_is_sql(parse);

    lint_parse_free(parse);
    if (good)
        return true;
    err_set(err, ERR_INPUT, "%s:1: the baseline has no SQL: none of it can be parsed", shown);
    return err_hint(err, "Expected a schema dump, as pg_dump --schema-only writes it in plain "
                         "text, or migrations.");
}

static bool add_baseline(struct context *c, struct lint_options *o, const char **texts,
                         const char *path, const char *shown, struct err *err)
{
    if (!read_text(&c->arena, path, shown, &texts[o->n_baseline], err) ||
        (!o->shadow_follows && !must_be_sql(texts[o->n_baseline], shown, err)))
        return false;
    o->n_baseline++;
    return true;
}

/* The file, or those of the folder in the order in which they were applied. */
static bool read_baseline(struct context *c, struct lint_options *o, struct err *err)
{
    const struct project *p = &c->set.project;
    struct arena *a = &c->arena;
    const char *path, **texts, *shown = p->baseline.s;
    struct dirent **found = NULL;
    bool good = true;
    int n;

    if (!shown)
        return true;
    path = *shown == '/' ? shown : arena_printf(a, "%s/%s", p->root, shown);
    n = scandir(path, &found, is_sql, versionsort);
    texts = arena_array(a, const char *, n > 0 ? n : 1);
    o->baseline = texts;
    if (n < 0)
        return add_baseline(c, o, texts, path, shown, err);
    for (int i = 0; i < n; i++) {
        const char *name = found[i]->d_name;

        good = good && add_baseline(c, o, texts, arena_printf(a, "%s/%s", path, name),
                                    arena_printf(a, "%s/%s", shown, name), err);
        free(found[i]);
    }
    free(found);
    if (n > 0)
        return good;
    err_set(err, ERR_INPUT, "%s:%d: the baseline %s has no .sql file", p->baseline.at.file,
            p->baseline.at.line, shown);
    return err_hint(err, "Migrations stand in the folder itself, each name with its number: "
                         "001_orders.sql.");
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

        releases[i] = (struct lint_release) {release, s};
        if (!statements_load_release(&c->arena, p->root, release, s, &c->problems, err)) {
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

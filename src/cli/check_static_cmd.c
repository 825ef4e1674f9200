/* check --static: SQL files, or the project's plans, without a server. */
#include "check_static.h"
#include "cli.h"

#include "phasegate/load.h"
#include "phasegate/shadow.h"

#include <string.h>
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

/* What isn't loaded isn't proved, and nobody would notice. */
static void say_folders(struct context *c, const struct baseline_files *files, struct report *r)
{
    const struct text *baseline = &c->set.project.baseline;

    for (int i = 0; i < files->n_folders; i++) {
        struct finding *f =
            report_add(r, "cell-untested", baseline->at,
                       "the .sql files of %s/ aren't loaded: a baseline has those of its own "
                       "folder only",
                       arena_strdup(&r->arena, files->folders[i]));

        f->severity = SEVERITY_WARNING;
        f->help = arena_printf(
            &r->arena,
            "move them into %s, each name with its number (001_orders.sql); what never runs as a "
            "migration belongs elsewhere",
            baseline->s);
    }
}

/* What a rule of the texts allows there is for check --static of that file. */
static void say_comments(const char *sql, const char *shown, struct report *r)
{
    AUTO(report) aside = {0};
    struct suppression_list found = {0};
    struct pos at = {arena_strdup(&r->arena, shown), 1, 1};

    if (!strcasestr(sql, "phasegate"))
        return;
    suppress_read_sql(&found, &aside, NULL, lint_without_psql(&aside.arena, sql), at, false, NULL);
    for (int i = 0; i < found.n; i++) {
        if (found.items[i].rule->by & BY_STATIC)
            continue;
        struct finding *f = report_add(r, "suppression-unused", found.items[i].at,
                                       "this comment sets nothing aside: a migration of the "
                                       "baseline isn't looked at, it has run already");

        f->help = arena_printf(&r->arena,
                               "%s is allowed in the SQL of the plan's step, or among the headers "
                               "of the release's statement (below its -- name:)",
                               found.items[i].rule->id);
    }
}

/* The file, or those of the folder in the order in which they were applied. */
static bool read_baseline(struct context *c, struct lint_options *o, struct report *r,
                          struct err *err)
{
    const struct project *p = &c->set.project;
    struct arena *a = &c->arena;
    struct baseline_files files = {0};
    const char **texts;

    if (!p->baseline.s)
        return true;
    if (!shadow_baseline_files(a, p->root, p->baseline.s, &files, err))
        return false;
    if (files.n_files == 0) {
        err_set(err, ERR_INPUT, "%s:%d: the baseline %s has no .sql file", p->baseline.at.file,
                p->baseline.at.line, p->baseline.s);
        return err_hint(err, "Migrations stand in the folder itself, each name with its number: "
                             "001_orders.sql.");
    }
    texts = arena_array(a, const char *, files.n_files + 1);
    o->baseline = texts;
    for (int i = 0; i < files.n_files; i++) {
        const char *shown = files.files[i];
        const char *path =
            *shown == '/' || !p->root ? shown : arena_printf(a, "%s/%s", p->root, shown);

        if (!add_baseline(c, o, texts, path, shown, err))
            return false;
        say_comments(texts[i], shown, r);
    }
    say_folders(c, &files, r);
    return true;
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
    return read_baseline(c, o, r, err) && read_statements(c, o, sup, r, err);
}

bool check_static(struct context *c, struct err *err) { return check_files(c, err); }

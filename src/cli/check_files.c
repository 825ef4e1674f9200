/* What check shows of files. */
#include "cli.h"

#include "phasegate/names.h"
#include "phasegate/suppress.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct shown_file {
    const char *name;
    const char *text;
    struct shown_file *next;
};

static const char *read_shown(struct context *c, const char *file)
{
    static const size_t max = (size_t) 8 << 20;
    AUTO(str) text = {.ceiling = max + 1};
    AUTO(err) ignored = {0};
    const char *path = *file == '/' || !c->set.project.root
                           ? file
                           : arena_printf(&c->arena, "%s/%s", c->set.project.root, file);

    if (!c->host->ops->read_file(c->host, path, max, &text, &ignored))
        return NULL;
    return arena_strdup(&c->arena, str_text(&text));
}

const char *check_line(void *ctx, const char *file, int line)
{
    struct context *c = ctx;
    struct shown_file **at = &c->shown_files;

    if (!file)
        return NULL;
    while (*at && strcmp((*at)->name, file) != 0)
        at = &(*at)->next;
    if (!*at) {
        *at = arena_new(&c->arena, struct shown_file);
        (*at)->name = arena_strdup(&c->arena, file);
        (*at)->text = read_shown(c, file);
    }
    const char *s = (*at)->text;
    for (int i = 1; s && i < line; i++) {
        s = strchr(s, '\n');
        s = s ? s + 1 : NULL;
    }
    return s && *s ? arena_strndup(&c->arena, s, strcspn(s, "\r\n")) : NULL;
}

/* What is in a work tree may look like a repository of its own, with a configuration that names programs. Nothing is
 * fetched that isn't there, and the repository is the one that the project lies in, with the past that its commits have:
 * hooks of another one leave their own in the environment. */
static const char *const git_env[] = {"GIT_NO_LAZY_FETCH=1",
                                      "GIT_ALLOW_PROTOCOL=none",
                                      "GIT_NO_REPLACE_OBJECTS=1",
                                      "GIT_GRAFT_FILE=/dev/null",
                                      "GIT_TERMINAL_PROMPT=0",
                                      "GIT_OPTIONAL_LOCKS=0",
                                      "LC_ALL=C",
                                      "LANGUAGE",
                                      "GIT_COMMON_DIR",
                                      "GIT_IMPLICIT_WORK_TREE",
                                      "GIT_INDEX_FILE",
                                      "GIT_OBJECT_DIRECTORY",
                                      "GIT_ALTERNATE_OBJECT_DIRECTORIES",
                                      "GIT_QUARANTINE_PATH",
                                      "GIT_NAMESPACE",
                                      "GIT_PREFIX",
                                      "GIT_SHALLOW_FILE",
                                      "GIT_REPLACE_REF_BASE",
                                      "GIT_GLOB_PATHSPECS",
                                      "GIT_NOGLOB_PATHSPECS",
                                      "GIT_ICASE_PATHSPECS",
                                      "GIT_INTERNAL_SUPER_PREFIX",
                                      NULL};

/* Who names both and has the project in that work tree means it: a hook that looks at a copy of what is staged. */
static bool names_work_tree(struct context *c)
{
    const char *tree = c->host->ops->env(c->host, "GIT_WORK_TREE");
    char *of = c->host->ops->env(c->host, "GIT_DIR") && tree ? realpath(tree, NULL) : NULL;
    char *root = realpath(c->set.project.root ? c->set.project.root : ".", NULL);
    size_t n = of ? strlen(of) : 0;
    bool is = of && root && strncmp(root, of, n) == 0 && (root[n] == '/' || root[n] == '\0');

    free(of);
    free(root);
    return is;
}

const char *const *check_git_env(struct context *c)
{
    static const char *const named[] = {"GIT_DIR", "GIT_WORK_TREE"};
    const size_t n = sizeof git_env / sizeof *git_env - 1, n_named = sizeof named / sizeof *named;
    const char **out = arena_array(&c->arena, const char *, n + n_named + 1);

    memcpy(out, git_env, n * sizeof *out);
    if (!names_work_tree(c))
        memcpy(out + n, named, sizeof named);
    return out;
}

/* Where the project lies in its repository; NULL: at its root, or in none. Services count from there. */
const char *check_prefix(struct context *c)
{
    const char *root = c->set.project.root ? c->set.project.root : ".";
    const char *argv[] = {"git",           "-C", root, "-c", CHECK_GIT_SAFE, "rev-parse",
                          "--show-prefix", NULL};
    AUTO(str) prefix = {0};
    AUTO(str) said = {0};
    AUTO(err) ignored = {0};
    int code = 0;

    if (!c->host->ops->run(c->host, argv, check_git_env(c), 30000, &prefix, &said, &code,
                           &ignored) ||
        code != 0)
        return NULL;
    size_t n = strcspn(str_text(&prefix), "\n");
    return n > 0 ? arena_strndup(&c->arena, str_text(&prefix), n) : NULL;
}

static void say_comment(struct report *r, const char *file, int line, int col)
{
    struct finding *f = report_add(
        r, "suppression-malformed", (struct pos) {arena_strdup(&r->arena, file), line, col},
        "a comment of the YAML sets nothing aside: a suppression stands in the SQL of its "
        "step, or among the headers of its statement");

    f->help = "sql: | and in its first line -- phasegate: allow <rule> until <release> because "
              "<reason> [approved-by <name>]";
}

void check_yaml_comments(struct context *c, const char *file, struct report *r)
{
    const char *line;

    for (int n = 1; (line = check_line(c, file, n)); n++) {
        size_t at = strspn(line, " \t");

        if (line[at] != '#')
            continue;
        const char *text = line + at + strspn(line + at, "# \t");
        if (strncmp(text, "phasegate:", strlen("phasegate:")) == 0 && strstr(text, "allow"))
            say_comment(r, file, n, (int) at + 1);
    }
}

/* "1.01.0" as "1.1.0". */
static void add_plainly(struct str *to, const char *version)
{
    for (const char *s = version; *s; s++) {
        bool begins = to->len == 0 || to->text[to->len - 1] == '.';

        if (!(begins && *s == '0' && s[1] >= '0' && s[1] <= '9'))
            str_addc(to, *s);
    }
}

/* Another number is another release, and no slip: "1.1" and "1.1.00" are 1.1.0, and 2.0.0 isn't 1.0.0. */
static bool is_meant(const char *until, const char *near)
{
    AUTO(str) a = {0};
    AUTO(str) b = {0};

    add_plainly(&a, until);
    add_plainly(&b, near);
    size_t least = a.len < b.len ? a.len : b.len;
    const char *rest = str_text(a.len < b.len ? &b : &a) + least;
    return strncmp(str_text(&a), str_text(&b), least) == 0 && (*rest == '\0' || *rest == '.');
}

enum { KNOWN_SHOWN = 5 };

static const char *way_of_until(const struct context *c, struct arena *a, const char *until)
{
    const struct project *p = &c->set.project;
    int from = p->n_releases > KNOWN_SHOWN ? p->n_releases - KNOWN_SHOWN : 0;
    AUTO(str) known = {0};

    for (int i = from; i < p->n_releases; i++)
        str_addf(&known, "%s%s",
                 i > from   ? ", "
                 : from > 0 ? "..., "
                            : "",
                 p->releases[i].version.s);
    return arena_printf(a,
                        "releases: knows %s; one that is to come is listed there as well: "
                        "{version: \"%s\", planned: true}",
                        known.len ? str_text(&known) : "none", until);
}

void check_until(struct context *c, const struct suppression *s, struct report *r)
{
    const char *near = NULL;

    if (release_is_known(&c->set, &r->arena, s->until, &near))
        return;
    struct finding *f = report_add(r, "release-not-listed", s->at,
                                   "%s is allowed until %s, a release that neither the project nor "
                                   "a plan names",
                                   s->rule->id, s->until);
    f->plan = s->plan;
    f->phase = s->phase;
    f->step = s->step;
    f->release = s->release;
    f->statement = s->statement;
    f->help = near && is_meant(s->until, near)
                  ? arena_printf(&r->arena, "did you mean \"%s\"?", near)
                  : way_of_until(c, &r->arena, s->until);
}

static bool stat_baseline(const struct context *c, struct stat *out)
{
    const char *path = c->set.project.baseline.s, *root = c->set.project.root;
    AUTO(str) full = {0};

    str_addf(&full, "%s%s%s", *path == '/' || !root ? "" : root, *path == '/' || !root ? "" : "/",
             path);
    return stat(str_text(&full), out) == 0;
}

bool check_baseline_is_folder(const struct context *c)
{
    struct stat st;

    return c->set.project.baseline.s && stat_baseline(c, &st) && S_ISDIR(st.st_mode);
}

bool check_baseline_is_there(struct context *c)
{
    const struct text *b = &c->set.project.baseline;
    struct stat st;

    if (!b->s || stat_baseline(c, &st))
        return true;
    problem_add(
        &c->problems, b->at, "a schema dump, or a folder of SQL files",
        "pg_dump --schema-only --no-owner \"$DATABASE_URL\", or --baseline-from URL without "
        "baseline:",
        "baseline: %s: %s", b->s, strerror(errno));
    return false;
}

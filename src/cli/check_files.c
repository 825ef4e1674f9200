/* What check shows of files, and which of them a branch changed. */
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

static bool git_hint(struct context *c, const char *said, struct err *err)
{
    const char *from = strstr(said, "dubious ownership in repository at '");

    if (from) {
        from += strlen("dubious ownership in repository at '");
        return err_hint(err, "git config --global --add safe.directory %s",
                        arena_strndup(&c->arena, from, strcspn(from, "'")));
    }
    if (strstr(said, "not a git repository"))
        return err_hint(err, "--since needs a project in a git repository; phasegate check without "
                             "it looks at everything");
    return err_hint(err, "name a commit or branch that git knows; a shallow clone has few of them");
}

static bool run_git(struct context *c, const char *const *argv, struct str *out, struct err *err)
{
    AUTO(str) said = {0};
    int code = 0;

    if (!c->host->ops->run(c->host, argv, NULL, 30000, out, &said, &code, err)) {
        err_hint(err, "--since needs git");
        return false;
    }
    if (code == 0)
        return true;
    err_set(err, ERR_USAGE, "--since %s: git says: %.*s", opt_text(c, OPT_SINCE),
            (int) strcspn(str_text(&said), "\n"), str_text(&said));
    return git_hint(c, str_text(&said), err);
}

static void add_names(struct context *c, const char *folder, const struct str *from,
                      struct text_list *out)
{
    for (const char *s = str_text(from); *s;) {
        size_t n = strcspn(s, "\n");

        out->items = arena_grow(&c->arena, out->items, sizeof *out->items * (size_t) out->n,
                                sizeof *out->items * (size_t) (out->n + 1));
        if (n > 0)
            out->items[out->n++].s = arena_printf(&c->arena, "%s/%.*s", folder, (int) n, s);
        s += n + (s[n] == '\n');
    }
}

/* Where the project lies in its repository; NULL: at its root, or in none. Services count from there. */
const char *check_prefix(struct context *c)
{
    const char *root = c->set.project.root ? c->set.project.root : ".";
    const char *argv[] = {"git", "-C", root, "rev-parse", "--show-prefix", NULL};
    AUTO(str) prefix = {0};
    AUTO(str) said = {0};
    AUTO(err) ignored = {0};
    int code = 0;

    if (!c->host->ops->run(c->host, argv, NULL, 30000, &prefix, &said, &code, &ignored) ||
        code != 0)
        return NULL;
    size_t n = strcspn(str_text(&prefix), "\n");
    return n > 0 ? arena_strndup(&c->arena, str_text(&prefix), n) : NULL;
}

static const char *real_path(struct arena *a, const char *path)
{
    char *real = realpath(path, NULL);
    const char *out = real ? arena_strdup(a, real) : NULL;

    free(real);
    return out;
}

/* Names of files come from git, from the root of the repository, and from the project, from its own folder: the way
 * from the machine's root is the same for both. */
static const char *from_root(struct context *c, const char *file)
{
    const char *root = real_path(&c->arena, c->set.project.root ? c->set.project.root : ".");

    return *file == '/' || !root
               ? path_tidy(&c->arena, file, true)
               : path_tidy(&c->arena, arena_printf(&c->arena, "%s/%s", root, file), true);
}

static bool holds(const struct text_list *l, const char *path, bool with_below)
{
    size_t n = strlen(path);

    for (int i = 0; i < l->n; i++)
        if (strncmp(l->items[i].s, path, n) == 0 &&
            (l->items[i].s[n] == '\0' || (with_below && l->items[i].s[n] == '/')))
            return true;
    return false;
}

/* By its name, and by what the name leads to. */
bool check_is_changed(struct context *c, const struct text_list *changed, const char *file,
                      bool with_below)
{
    if (!file)
        return false;
    const char *named = from_root(c, file), *real = real_path(&c->arena, named);

    return holds(changed, named, with_below) || (real && holds(changed, real, with_below));
}

/* From where the branch left, to the files as they lie there; new ones that git doesn't know yet as well. */
bool check_changed_files(struct context *c, const char *since, struct text_list *out,
                         struct err *err)
{
    const char *root = c->set.project.root ? c->set.project.root : ".";
    /* Outside a repository diff would compare two folders, and say so of its options. */
    const char *where[] = {"git", "-C", root, "rev-parse", "--show-toplevel", NULL};
    const char *known[] = {
        "git", "-C", root, "cat-file", "-e", arena_printf(&c->arena, "%s^{commit}", since), NULL};
    AUTO(str) changed = {0}, new = {0}, ignored = {0}, top = {0};

    if (*since == '-')
        return err_set(err, ERR_USAGE, "--since: \"%s\" is no commit", since);
    if (!run_git(c, where, &top, err) || !run_git(c, known, &ignored, err))
        return false;
    const char *folder = arena_strndup(&c->arena, str_text(&top), strcspn(str_text(&top), "\n"));
    const char *diff[] = {"git",  "-C",          folder,         "-c",  "core.quotePath=off",
                          "diff", "--name-only", "--merge-base", since, "--",
                          NULL};
    const char *fresh[] = {"git",
                           "-C",
                           folder,
                           "-c",
                           "core.quotePath=off",
                           "ls-files",
                           "--others",
                           "--exclude-standard",
                           NULL};
    if (!run_git(c, diff, &changed, err) || !run_git(c, fresh, &new, err))
        return false;
    add_names(c, folder, &changed, out);
    add_names(c, folder, &new, out);
    return true;
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

/* check --since: which files a branch changed. */
#include "check_since.h"

#include "phasegate/names.h"
#include "phasegate/pg_local.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { GIT_MS = 30000, NAMES_MOST = 64 << 20 };

/* ---- git --------------------------------------------------------------------------------------------------------- */

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

    if (!c->host->ops->run(c->host, argv, NULL, GIT_MS, out, &said, &code, err)) {
        err_hint(err, "--since needs git");
        return false;
    }
    if (code == 0)
        return true;
    err_set(err, ERR_USAGE, "--since %s: git says: %.*s", opt_text(c, OPT_SINCE),
            (int) strcspn(str_text(&said), "\n"), str_text(&said));
    return git_hint(c, str_text(&said), err);
}

bool since_git(const struct since *s, const char *const *argv, struct str *out, int *code,
               struct err *err)
{
    struct context *c = s->c;
    /* A monitor of files is a program of the repository's settings, and nothing here looks at the work tree. */
    const char *whole[16] = {"git", "-C", s->top, "-c", "core.fsmonitor=false"};
    AUTO(str) said = {0};
    size_t n = 5;

    while (*argv && n + 1 < sizeof whole / sizeof *whole)
        whole[n++] = *argv++;
    if (!c->host->ops->run(c->host, whole, NULL, GIT_MS, out, &said, code, err)) {
        err_hint(err, "--since needs git");
        return false;
    }
    if (*code != 0)
        str_clear(out);
    return true;
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

const char *since_real(struct arena *a, const char *path)
{
    char *real = realpath(path, NULL);
    const char *out = real ? arena_strdup(a, real) : NULL;

    free(real);
    return out;
}

/* Names of files come from git, from the root of the repository, and from the project, from its own folder: the way
 * from the machine's root is the same for both. */
const char *since_path(struct context *c, const char *file)
{
    const char *root = since_real(&c->arena, c->set.project.root ? c->set.project.root : ".");

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
bool since_has(const struct since *s, const char *file, bool with_below)
{
    if (!file)
        return false;
    const char *named = since_path(s->c, file), *real = since_real(&s->c->arena, named);

    return holds(&s->changed, named, with_below) || (real && holds(&s->changed, real, with_below));
}

static void add_changed(struct since *s, const char *path)
{
    struct text_list *out = &s->changed;

    out->items = arena_more(&s->c->arena, out->items, sizeof *out->items, out->n);
    out->items[out->n++] = (struct text) {.s = path};
}

/* Each ends with a NUL. */
static void add_names(struct since *s, const struct str *from)
{
    const char *at = str_text(from), *end = at + from->len;

    for (; at < end; at += strlen(at) + 1)
        add_changed(s, arena_printf(&s->c->arena, "%s/%s", s->top, at));
}

/* A link of the baseline's folder has changed when what it leads to has. */
static void add_links(struct since *s)
{
    struct context *c = s->c;
    const char *folder =
        c->set.project.baseline.s ? since_path(c, c->set.project.baseline.s) : NULL;
    DIR *dir = folder ? opendir(folder) : NULL;

    for (const struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        if (*e->d_name == '.')
            continue;
        const char *path = arena_printf(&c->arena, "%s/%s", folder, e->d_name);
        const char *real = since_real(&c->arena, path);

        if (real && strcmp(real, path) != 0 && holds(&s->changed, real, false) &&
            !holds(&s->changed, path, false))
            add_changed(s, path);
    }
    if (dir)
        closedir(dir);
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

bool since_begin(struct since *s, struct context *c, const char *ref, struct err *err)
{
    const char *root = c->set.project.root ? c->set.project.root : ".";
    /* Outside a repository diff would compare two folders, and say so of its options. */
    const char *where[] = {"git", "-C", root, "rev-parse", "--show-toplevel", NULL};
    const char *known[] = {
        "git", "-C", root, "cat-file", "-e", arena_printf(&c->arena, "%s^{commit}", ref), NULL};
    AUTO(str)
    changed = {.ceiling = NAMES_MOST}, new = {.ceiling = NAMES_MOST}, ignored = {0}, top = {0};

    *s = (struct since) {.c = c, .ref = ref, .before = {s, since_fetch}};
    if (*ref == '-')
        return err_set(err, ERR_USAGE, "--since: \"%s\" is no commit", ref);
    if (!run_git(c, where, &top, err) || !run_git(c, known, &ignored, err))
        return false;
    s->top = arena_strndup(&c->arena, str_text(&top), strcspn(str_text(&top), "\n"));
    const char *diff[] = {"git",         "-C",           s->top, "diff", "-z",
                          "--name-only", "--merge-base", ref,    "--",   NULL};
    const char *fresh[] = {"git", "-C", s->top, "ls-files", "-z", "--others", "--exclude-standard",
                           NULL};
    if (!run_git(c, diff, &changed, err) || !run_git(c, fresh, &new, err))
        return false;
    if (changed.full || new.full)
        return err_set(err, ERR_USAGE, "--since %s: too many files have changed", ref);
    add_names(s, &changed);
    add_names(s, &new);
    add_links(s);
    return true;
}

const struct check_before *since_before(struct since *s)
{
    const struct project *p = s->c ? &s->c->set.project : NULL;
    bool is_other =
        p && p->baseline.s && (since_has(s, p->baseline.s, true) || since_has(s, p->file, false));

    return is_other ? &s->before : NULL;
}

void since_end(struct since *s)
{
    if (s->folder)
        pg_local_remove(s->folder);
    s->folder = NULL;
}

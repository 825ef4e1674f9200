/* The baseline as it was where a branch began: from git's own store, without touching the work tree. */
#include "check_since.h"

#include "phasegate/load.h"
#include "phasegate/names.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LIST_MOST = 64 << 20, FILE_MOST = 1 << 30 };

/* ---- what git has ------------------------------------------------------------------------------------------------ */

/* From the top of the repository; NULL: it isn't in it. */
static const char *below_top(const struct since *s, const char *path)
{
    size_t n = strlen(s->top);

    if (strncmp(path, s->top, n) != 0 || (path[n] != '/' && path[n] != '\0'))
        return NULL;
    return path[n] ? path + n + 1 : path + n;
}

static bool find_begin(const struct since *s, const char **commit, struct err *err)
{
    const char *argv[] = {"merge-base", s->ref, "HEAD", NULL};
    AUTO(str) said = {0};
    int code = 0;

    if (!since_git(s, argv, &said, &code, err))
        return false;
    *commit = code == 0
                  ? arena_strndup(&s->c->arena, str_text(&said), strcspn(str_text(&said), "\n"))
                  : NULL;
    return true;
}

static bool read_blob(const struct since *s, const char *name, struct str *out, bool *is_there,
                      struct err *err)
{
    const char *argv[] = {"cat-file", "blob", name, NULL};
    int code = 0;

    if (!since_git(s, argv, out, &code, err))
        return false;
    *is_there = code == 0 && !out->full;
    return true;
}

struct entry {
    bool is_folder, is_link;
    const char *object, *name;
};

/* "100644 blob <object>\t<name>" and a NUL. False: there is none any more. */
static bool next_entry(struct arena *a, const char **at, const char *end, struct entry *out)
{
    const char *line = *at, *tab;

    if (line >= end || !(tab = strchr(line, '\t')))
        return false;
    const char *object = tab;
    while (object > line && object[-1] != ' ')
        object--;
    *out = (struct entry) {.is_folder = strncmp(line, "040000 ", 7) == 0,
                           .is_link = strncmp(line, "120000 ", 7) == 0,
                           .object = arena_strndup(a, object, (size_t) (tab - object)),
                           .name = arena_strdup(a, tab + 1)};
    *at = line + strlen(line) + 1;
    return true;
}

/* ---- which it was ------------------------------------------------------------------------------------------------ */

/* As the project file of then has it: it may have been another one. */
static bool baseline_then(const struct since *s, const char *commit, const char **out,
                          struct err *err)
{
    struct context *c = s->c;
    const char *file = below_top(s, since_path(c, c->set.project.file));
    AUTO(problem_list) ignored = {0};
    AUTO(str) text = {0};
    struct project then = {0};
    bool is_there = false;

    *out = since_path(c, c->set.project.baseline.s);
    if (!file || !since_has(s, c->set.project.file, false))
        return true;
    if (!read_blob(s, arena_printf(&c->arena, "%s:%s", commit, file), &text, &is_there, err))
        return false;
    if (is_there &&
        project_parse(&c->arena, c->set.project.file, str_text(&text), text.len, &then, &ignored) &&
        then.baseline.s)
        *out = since_path(c, then.baseline.s);
    return true;
}

/* A file or a folder. name NULL: there was none. */
static bool find_entry(const struct since *s, const char *commit, const char *path,
                       struct entry *out, struct err *err)
{
    struct arena *a = &s->c->arena;
    const char *rel = path ? below_top(s, path) : NULL;
    const char *argv[] = {"ls-tree", "-z", commit, "--", rel, NULL};
    AUTO(str) list = {.ceiling = LIST_MOST};
    int code = 0;

    *out = (struct entry) {0};
    if (!rel)
        return true;
    if (!*rel) {
        *out = (struct entry) {.is_folder = true, .object = commit, .name = "baseline"};
        return true;
    }
    if (!since_git(s, argv, &list, &code, err))
        return false;
    const char *at = str_text(&list);
    if (!next_entry(a, &at, at + list.len, out) || out->is_link)
        *out = (struct entry) {0};
    return true;
}

static bool has_changed(const struct since *s, const char *path)
{
    for (int i = 0; i < s->changed.n; i++)
        if (strcmp(s->changed.items[i].s, path) == 0)
            return true;
    return false;
}

/* ---- putting it there -------------------------------------------------------------------------------------------- */

static bool make_folder(struct since *s, struct err *err)
{
    struct context *c = s->c;
    const char *temp = c->host->ops->env(c->host, "TMPDIR");
    char *name =
        arena_printf(&c->arena, "%s/phasegate-since-XXXXXX", temp && *temp ? temp : "/tmp");

    if (!mkdtemp(name)) {
        err_set(err, ERR_UNREACHABLE, "no folder for the baseline of before: %s: %s", name,
                strerror(errno));
        return err_hint(err, "TMPDIR=DIR: a folder that is there, and that you may write to.");
    }
    s->folder = name;
    return true;
}

/* What a link led to then. No object: nothing that git has. */
static bool follow(const struct since *s, const char *commit, const struct entry *link,
                   const char *path, struct entry *out, struct err *err)
{
    struct arena *a = &s->c->arena;
    AUTO(str) text = {.ceiling = PATH_MAX};
    bool is_there = false;

    *out = (struct entry) {0};
    if (!read_blob(s, link->object, &text, &is_there, err))
        return false;
    const char *to = str_text(&text);
    const char *full =
        *to == '/' ? to : arena_printf(a, "%.*s/%s", (int) (strrchr(path, '/') - path), path, to);
    return !is_there || find_entry(s, commit, path_tidy(a, full, true), out, err);
}

/* What the branch didn't change is in the work tree as it was: a link to it will do. */
static bool put(const struct since *s, const char *commit, const struct entry *e, const char *path,
                const char *to, struct err *err)
{
    struct entry led = {0};
    struct host *host = s->c->host;
    AUTO(str) text = {.ceiling = FILE_MOST};
    bool is_there = false;

    if (!has_changed(s, path) && access(path, R_OK) == 0) {
        if (symlink(path, to) == 0)
            return true;
        return err_set(err, ERR_UNREACHABLE, "%s: %s", to, strerror(errno));
    }
    if (e->is_link && !follow(s, commit, e, path, &led, err))
        return false;
    if (e->is_link && (!led.object || led.is_folder))
        return true;
    if (!read_blob(s, e->is_link ? led.object : e->object, &text, &is_there, err))
        return false;
    return !is_there || host->ops->write_atomic(host, to, str_text(&text), text.len, 0600, err);
}

static bool is_sql(const char *name)
{
    size_t n = strlen(name);

    return n > 4 && !strchr(name, '/') && strcmp(name + n - 4, ".sql") == 0;
}

static bool put_folder(const struct since *s, const char *commit, const struct entry *folder,
                       const char *path, const char *to, bool *any, struct err *err)
{
    struct arena *a = &s->c->arena;
    const char *argv[] = {"ls-tree", "-z", folder->object, NULL};
    AUTO(str) list = {.ceiling = LIST_MOST};
    struct entry e;
    int code = 0;

    if (!since_git(s, argv, &list, &code, err))
        return false;
    if (mkdir(to, 0700) != 0)
        return err_set(err, ERR_UNREACHABLE, "%s: %s", to, strerror(errno));
    const char *at = str_text(&list), *end = at + list.len;
    while (next_entry(a, &at, end, &e)) {
        if (e.is_folder || !is_sql(e.name))
            continue;
        *any = true;
        if (!put(s, commit, &e, arena_printf(a, "%s/%s", path, e.name),
                 arena_printf(a, "%s/%s", to, e.name), err))
            return false;
    }
    return true;
}

/* ---- what the branch did ----------------------------------------------------------------------------------------- */

/* Files of the baseline of now that are new or changed, and those that are gone, as the project names them. */
static void list_changed(const struct since *s, struct before_files *out)
{
    struct arena *a = &s->c->arena;
    const char *shown = s->c->set.project.baseline.s, *named = since_path(s->c, shown);
    const char *real = since_real(a, named);
    const char **list = arena_array(a, const char *, s->changed.n + 1);
    const char **gone = arena_array(a, const char *, s->changed.n + 1);

    for (int i = 0; i < s->changed.n; i++) {
        const char *path = s->changed.items[i].s;
        const char *base = strncmp(path, named, strlen(named)) == 0         ? named
                           : real && strncmp(path, real, strlen(real)) == 0 ? real
                                                                            : NULL;
        const char *rest = base ? path + strlen(base) : "";

        if (!base || (*rest && !(*rest == '/' && is_sql(rest + 1))))
            continue;
        const char *name = *rest ? arena_printf(a, "%s%s", shown, rest) : shown;
        if (access(path, R_OK) == 0)
            list[out->n_changed++] = name;
        else
            gone[out->n_gone++] = name;
    }
    out->changed = list;
    out->gone = gone;
}

bool since_fetch(void *ctx, struct before_files *out, struct err *err)
{
    struct since *s = ctx;
    struct arena *a = &s->c->arena;
    const char *commit = NULL, *path = NULL;
    struct entry e;
    bool any = false;

    *out = (struct before_files) {0};
    if (!find_begin(s, &commit, err))
        return false;
    if (!commit)
        return true;
    if (!baseline_then(s, commit, &path, err) || !find_entry(s, commit, path, &e, err))
        return false;
    /* A link on the way there: where it leads to now. */
    if (!e.object) {
        path = since_real(a, path);
        if (!find_entry(s, commit, path, &e, err))
            return false;
    }
    if (!e.object)
        return true;
    if (!make_folder(s, err))
        return false;
    const char *slash = strrchr(path, '/');
    const char *name = slash && slash[1] ? slash + 1 : "baseline";
    const char *to = arena_printf(a, "%s/%s", s->folder, name);
    any = !e.is_folder;
    if (!(e.is_folder ? put_folder(s, commit, &e, path, to, &any, err)
                      : put(s, commit, &e, path, to, err)))
        return false;
    if (!any)
        return true;
    out->root = s->folder;
    out->path = name;
    list_changed(s, out);
    return true;
}

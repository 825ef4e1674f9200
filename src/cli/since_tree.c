/* check --since: what stood where a branch left, from git's own store. Only rev-parse, merge-base, ls-tree and cat-file
 * are run: none looks at the work tree or the index, and so none runs a filter, a hook or a monitor of files. */
#include "check_since.h"

#include "phasegate/names.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GIT_MS = 30000, LIST_MOST = 64 << 20, CONTENT_MOST = 1 << 30, LINKS_MOST = 40 };

bool since_git(struct since *s, const struct since_repo *repo, const char *const *argv,
               const struct str *input, struct str *out, struct str *said, int *code,
               struct err *err)
{
    struct context *c = s->c;
    struct host *h = c->host;
    const char *root = c->set.project.root ? c->set.project.root : ".";
    const char *at = repo ? repo->top : root;
    const char *dir =
        repo && repo->git_dir ? arena_printf(&c->arena, "--git-dir=%s", repo->git_dir) : NULL;
    int n = 0, n_args = 0;

    while (argv[n_args])
        n_args++;
    const char **whole = arena_array(&c->arena, const char *, n_args + 13);
    whole[n++] = "git";
    whole[n++] = "-C";
    whole[n++] = at;
    if (dir)
        whole[n++] = dir;
    whole[n++] = "--literal-pathspecs";
    whole[n++] = "-c";
    whole[n++] = "core.fsmonitor=false";
    whole[n++] = "-c";
    whole[n++] = CHECK_GIT_SAFE;
    whole[n++] = "-c";
    whole[n++] = "core.warnAmbiguousRefs=true";
    memcpy(whole + n, argv, sizeof *argv * (size_t) n_args);
    bool ran = h->ops->run_fed(h, whole, check_git_env(c), input ? str_text(input) : NULL,
                               input ? input->len : 0, GIT_MS, out, said, code, err);
    if (!ran) {
        err_hint(err, "--since needs git");
        return false;
    }
    if (*code != 0)
        str_clear(out);
    return true;
}

/* ---- folders ----------------------------------------------------------------------------------------------------- */

static int compare_entries(const void *x, const void *y)
{
    const struct since_entry *a = x, *b = y;

    return strcmp(a->name, b->name);
}

static struct since_folder *known_folder(const struct since_repo *r, int from, const char *path)
{
    for (int i = from; i < r->n; i++)
        if (strcmp(r->folders[i].path, path) == 0)
            return &r->folders[i];
    return NULL;
}

static struct since_folder *add_folder(struct since *s, struct since_repo *r, const char *path)
{
    r->folders = arena_more(&s->c->arena, r->folders, sizeof *r->folders, r->n);
    r->folders[r->n] = (struct since_folder) {.path = path};
    return &r->folders[r->n++];
}

/* "100644 blob <object>\t<path>" and a NUL. */
static bool next_entry(struct arena *a, const char **at, const char *end, struct since_entry *out)
{
    const char *line = *at, *tab;

    if (line >= end || !(tab = strchr(line, '\t')))
        return false;
    const char *object = tab;
    while (object > line && object[-1] != ' ')
        object--;
    *out = (struct since_entry) {.kind = strncmp(line, "040000 ", 7) == 0   ? SINCE_FOLDER
                                         : strncmp(line, "120000 ", 7) == 0 ? SINCE_LINK
                                         : strncmp(line, "160000 ", 7) == 0 ? SINCE_MODULE
                                                                            : SINCE_FILE,
                                 .object = arena_strndup(a, object, (size_t) (tab - object)),
                                 .name = arena_strdup(a, tab + 1)};
    *at = line + strlen(line) + 1;
    return true;
}

/* Entries come with their whole path, those of one folder in a row, and those of folders on the way too. first: of those
 * that were asked for. */
static void take_entries(struct since *s, struct since_repo *r, int first, const struct str *list)
{
    const char *at = str_text(list), *end = at + list->len;
    struct since_folder *to = NULL;
    struct since_entry e;

    while (next_entry(&s->c->arena, &at, end, &e)) {
        const char *slash = strrchr(e.name, '/');
        size_t n = slash ? (size_t) (slash - e.name) : 0;

        if (!to || strlen(to->path) != n || strncmp(to->path, e.name, n) != 0)
            to = known_folder(r, first, arena_strndup(&s->c->arena, e.name, n));
        if (!to)
            continue;
        if (slash)
            e.name = slash + 1;
        to->entries = arena_more(&s->c->arena, to->entries, sizeof *to->entries, to->n);
        to->entries[to->n++] = e;
    }
    for (int i = first; i < r->n; i++)
        if (r->folders[i].n > 1)
            qsort(r->folders[i].entries, (size_t) r->folders[i].n, sizeof e, compare_entries);
}

const char *since_git_error(struct arena *a, const char *said)
{
    static const char *const begins[] = {"fatal: ", "error: "};
    const char *first = NULL;

    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        for (const char *at = said; at; at = strchr(at, '\n')) {
            at += *at == '\n';
            if (strncmp(at, begins[i], strlen(begins[i])) == 0)
                return arena_strndup(a, at, strcspn(at, "\n"));
            if (!first && *at && strncmp(at, "hint:", strlen("hint:")) != 0 &&
                strncmp(at, "warning:", strlen("warning:")) != 0)
                first = at;
        }
    return arena_strndup(a, first ? first : said, strcspn(first ? first : said, "\n"));
}

static bool cannot_list(struct since *s, const struct since_repo *r, const struct str *said,
                        struct err *err)
{
    const char *words = since_git_error(&s->c->arena, str_text(said));

    err_set(err, ERR_USAGE, "--since %s: what %s was then can't be read: git says: %s", s->ref,
            proof_shown_object(&s->c->arena, r->top), proof_shown_object(&s->c->arena, words));
    if (r->git_dir)
        return err_hint(err, "it is a submodule: fetch its commit %s, or leave --since out",
                        r->commit);
    return err_hint(err, "phasegate check without --since looks at everything");
}

/* All of them in one process. The top's has no name to be listed by, so it is listed alone. */
static bool list_folders(struct since *s, struct since_repo *r, const char *const *paths, int n,
                         struct err *err)
{
    const char **argv = arena_array(&s->c->arena, const char *, n + 6);
    AUTO(str) list = {.ceiling = LIST_MOST}, said = {0};
    int code = 0, m = 0, first = r->n;

    argv[m++] = "ls-tree";
    argv[m++] = "-tz";
    argv[m++] = "--full-tree";
    argv[m++] = r->commit;
    argv[m++] = "--";
    for (int i = 0; i < n; i++) {
        add_folder(s, r, paths[i]);
        if (*paths[i])
            argv[m++] = arena_printf(&s->c->arena, "%s/", paths[i]);
    }
    if (!since_git(s, r, argv, NULL, &list, &said, &code, err))
        return false;
    if (code != 0 || list.full)
        return cannot_list(s, r, &said, err);
    take_entries(s, r, first, &list);
    return true;
}

static bool folder_of(struct since *s, struct since_repo *r, const char *path,
                      struct since_folder **out, struct err *err)
{
    *out = known_folder(r, 0, path);
    if (!*out && !list_folders(s, r, &path, 1, err))
        return false;
    *out = known_folder(r, 0, path);
    return true;
}

bool since_list_ahead(struct since *s, const char *const *paths, int n, struct err *err)
{
    enum { AT_ONCE = 500 };
    const char *batch[AT_ONCE];
    struct since_repo *r = &s->repos[0];
    int m = 0;

    for (int i = 0; i < n; i++) {
        bool is_new = *paths[i] && !known_folder(r, 0, paths[i]);

        for (int k = 0; k < m && is_new; k++)
            is_new = strcmp(batch[k], paths[i]) != 0;
        if (is_new)
            batch[m++] = paths[i];
        if (m == AT_ONCE || (m > 0 && i + 1 == n)) {
            if (!list_folders(s, r, batch, m, err))
                return false;
            m = 0;
        }
    }
    return true;
}

/* NULL: there is none. */
static bool entry_of(struct since *s, struct since_repo *r, const char *path,
                     const struct since_entry **out, struct err *err)
{
    const char *slash = strrchr(path, '/');
    const char *folder = slash ? arena_strndup(&s->c->arena, path, (size_t) (slash - path)) : "";
    const struct since_entry wanted = {.name = slash ? slash + 1 : path};
    struct since_folder *f;

    *out = NULL;
    if (!folder_of(s, r, folder, &f, err))
        return false;
    if (f->n > 0)
        *out = bsearch(&wanted, f->entries, (size_t) f->n, sizeof wanted, compare_entries);
    return true;
}

/* ---- contents ---------------------------------------------------------------------------------------------------- */

/* "<object> blob <size>\n", the bytes, and "\n". NULL: something else, as "<object> missing\n". */
static const char *take_blob(const char *at, const char *end, struct str *out)
{
    const char *line_end = memchr(at, '\n', (size_t) (end - at));
    const char *size = line_end ? memmem(at, (size_t) (line_end - at), " blob ", 6) : NULL;
    size_t n = size ? strtoull(size + strlen(" blob "), NULL, 10) : 0;

    if (!size || n >= (size_t) (end - line_end))
        return NULL;
    out->ceiling = CONTENT_MOST;
    str_addn(out, line_end + 1, n);
    return line_end + 1 + n + 1;
}

static bool lacks(struct since *s, const struct since_repo *r, const struct since_thing *thing,
                  struct err *err)
{
    err_set(err, ERR_USAGE, "--since %s: git doesn't have what %s was", s->ref,
            thing->path ? proof_shown_object(&s->c->arena, thing->path) : "a link");
    return err_hint(err, "is the clone whole? git -C %s cat-file -p %s",
                    proof_shown_object(&s->c->arena, r->top), thing->object);
}

static bool read_from(struct since *s, struct since_repo *r,
                      const struct since_thing *const *things, int n, struct str *out,
                      struct err *err)
{
    const char *argv[] = {"cat-file", "--batch", NULL};
    AUTO(str) names = {.ceiling = LIST_MOST}, all = {.ceiling = CONTENT_MOST}, said = {0};
    int code = 0;

    for (int i = 0; i < n; i++)
        if (things[i]->repo == r)
            str_addf(&names, "%s\n", things[i]->object);
    if (names.len == 0)
        return true;
    if (!since_git(s, r, argv, &names, &all, &said, &code, err))
        return false;
    if (code != 0 || all.full)
        return cannot_list(s, r, &said, err);
    const char *at = str_text(&all), *end = at + all.len;
    for (int i = 0; i < n; i++) {
        if (things[i]->repo != r)
            continue;
        at = take_blob(at, end, &out[i]);
        if (!at)
            return lacks(s, r, things[i], err);
    }
    return true;
}

bool since_read(struct since *s, const struct since_thing *const *things, int n, struct str *out,
                struct err *err)
{
    for (int i = 0; i < s->n_repos; i++)
        if (!read_from(s, &s->repos[i], things, n, out, err))
            return false;
    return true;
}

/* ---- paths ------------------------------------------------------------------------------------------------------- */

const char *since_below(const struct since_repo *r, const char *path)
{
    size_t n = strlen(r->top);

    if (n == 1) /* "/" */
        return path + 1;
    if (strncmp(path, r->top, n) != 0 || (path[n] != '/' && path[n] != '\0'))
        return NULL;
    return path[n] ? path + n + 1 : path + n;
}

/* NULL: there is no repository at its place any more, or too many were met. */
static struct since_repo *module_of(struct since *s, const struct since_repo *outer,
                                    const char *path, const char *commit)
{
    struct arena *a = &s->c->arena;
    const char *top = arena_printf(a, "%s/%s", outer->top, path);

    if (access(arena_printf(a, "%s/.git", top), F_OK) != 0)
        return NULL;

    for (int i = 0; i < s->n_repos; i++)
        if (strcmp(s->repos[i].top, top) == 0)
            return &s->repos[i];
    if (s->n_repos == SINCE_REPOS)
        return NULL;
    s->repos[s->n_repos] = (struct since_repo) {
        .top = top, .git_dir = arena_printf(a, "%s/.git", top), .commit = commit};
    return &s->repos[s->n_repos++];
}

/* Where a link led then, with what comes behind it. NULL in *to: git hasn't its text. */
static bool follow(struct since *s, struct since_repo *r, const struct since_entry *link,
                   const char *at, const char *rest, const char **to, struct err *err)
{
    struct arena *a = &s->c->arena;
    const struct since_thing text = {SINCE_A_FILE, link->object, r, NULL}, *const one = &text;
    AUTO(str) said = {0};

    *to = NULL;
    if (!since_read(s, &one, 1, &said, err))
        return false;
    if (said.len == 0)
        return true;
    const char *slash = strrchr(at, '/');
    const char *full =
        *str_text(&said) == '/'
            ? arena_printf(a, "%s%s%s", str_text(&said), *rest ? "/" : "", rest)
            : arena_printf(a, "%s/%.*s/%s%s%s", r->top, slash ? (int) (slash - at) : 0, at,
                           str_text(&said), *rest ? "/" : "", rest);
    *to = path_tidy(a, full, true);
    return true;
}

/* One walk from the top down. *again: it met a link, and this is where that leads. */
static bool walk(struct since *s, const char *path, struct since_thing *out, const char **again,
                 struct err *err)
{
    struct arena *a = &s->c->arena;
    struct since_repo *r = &s->repos[0];
    const char *rel = since_below(r, path);
    const struct since_entry *e;

    *out = (struct since_thing) {.where = rel ? SINCE_NOWHERE : SINCE_OUTSIDE};
    *again = NULL;
    size_t n = 0;
    while (rel && rel[n]) {
        n += rel[n] == '/';
        n += strcspn(rel + n, "/");
        const char *part = arena_strndup(a, rel, n), *rest = rel[n] ? rel + n + 1 : "";

        if (!entry_of(s, r, part, &e, err))
            return false;
        if (!e || (e->kind == SINCE_FILE && *rest))
            return true;
        if (e->kind == SINCE_LINK)
            return follow(s, r, e, part, rest, again, err);
        if (e->kind == SINCE_MODULE) {
            r = module_of(s, r, part, e->object);
            rel = r ? rest : NULL;
            out->where = r ? SINCE_NOWHERE : SINCE_UNKNOWN;
            n = 0;
        } else if (e->kind == SINCE_FILE) {
            *out = (struct since_thing) {SINCE_A_FILE, e->object, r, part};
            return true;
        }
    }
    if (rel)
        *out = (struct since_thing) {SINCE_A_FOLDER, r->commit, r, rel};
    return true;
}

/* Nearly every file lies in folders that are just that: the way down is gone only where it isn't found at once. */
static bool find_at_once(struct since *s, const char *path, struct since_thing *out,
                         struct err *err)
{
    struct since_repo *r = &s->repos[0];
    const char *rel = since_below(r, path);
    const struct since_entry *e = NULL;

    *out = (struct since_thing) {0};
    if (!rel || !*rel)
        return true;
    if (!entry_of(s, r, rel, &e, err))
        return false;
    if (e && e->kind == SINCE_FILE)
        *out = (struct since_thing) {SINCE_A_FILE, e->object, r, rel};
    return true;
}

bool since_find(struct since *s, const char *path, struct since_thing *out, struct err *err)
{
    if (!find_at_once(s, path, out, err))
        return false;
    if (out->where == SINCE_A_FILE)
        return true;
    for (int i = 0; path && i < LINKS_MOST; i++) {
        const char *again;

        if (!walk(s, path, out, &again, err))
            return false;
        if (!again)
            return true;
        path = again;
    }
    *out = (struct since_thing) {.where = SINCE_NOWHERE};
    return true;
}

bool since_folder_has(const struct since_folder *f, const char *name)
{
    const struct since_entry wanted = {.name = name};

    return f->n > 0 &&
           bsearch(&wanted, f->entries, (size_t) f->n, sizeof wanted, compare_entries) != NULL;
}

bool since_list(struct since *s, const struct since_thing *folder, struct since_folder *out,
                struct err *err)
{
    struct since_folder *f;

    if (!folder_of(s, folder->repo, folder->path, &f, err))
        return false;
    *out = *f;
    return true;
}

/* check --since: which of the files that phasegate reads a branch changed: by what is on the disk and what git has of them
 * where the branch left. What git would say of the work tree isn't asked: it goes by its index, which may be told to look
 * away, and by programs that the repository names. */
#include "check_since.h"

#include "phasegate/load.h"
#include "phasegate/names.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

bool since_is_sql(const char *name)
{
    size_t n = strlen(name);

    return n > 4 && !strchr(name, '/') && strcmp(name + n - 4, ".sql") == 0;
}

/* What git doesn't have can't be what it was, and what is nowhere hasn't changed. */
bool since_differs(const char *path, const struct since_thing *then)
{
    switch (then->where) {
    case SINCE_A_FILE: return !file_is_blob(path, then->object);
    case SINCE_NOWHERE: return access(path, F_OK) == 0;
    case SINCE_A_FOLDER:
    case SINCE_OUTSIDE:
    case SINCE_UNKNOWN: return true;
    }
    return true;
}

/* By the name that it is read by; where only what that leads to lies in the repository, by this. */
static bool compare(struct since *s, const char *path, bool *out, struct err *err)
{
    struct since_thing then;

    if (!since_find(s, path, &then, err))
        return false;
    const char *real = then.where == SINCE_OUTSIDE ? since_real(&s->c->arena, path) : NULL;
    if (real && !since_find(s, real, &then, err))
        return false;
    *out = since_differs(path, &then);
    return true;
}

static int *bucket_of(struct since *s, const char *path)
{
    uint32_t h = 2166136261u;

    for (; *path; path++)
        h = (h ^ (unsigned char) *path) * 16777619u;
    return &s->buckets[h % SINCE_BUCKETS];
}

/* The first word of what went wrong is kept. */
static bool could_not(struct since *s, struct err *err)
{
    if (!s->err.kind)
        err_move(&s->err, err);
    return true;
}

bool since_has(struct since *s, const char *file)
{
    AUTO(err) err = {0};
    bool is_changed = true;

    if (!file)
        return false;
    const char *path = since_path(s->c, file);
    int *bucket = bucket_of(s, path);
    for (int i = *bucket; i >= 0; i = s->files[i].next)
        if (strcmp(s->files[i].path, path) == 0)
            return s->files[i].is_changed;
    if (!compare(s, path, &is_changed, &err))
        (void) could_not(s, &err);
    s->files = arena_more(&s->c->arena, s->files, sizeof *s->files, s->n_files);
    s->files[s->n_files] = (struct since_file) {path, is_changed, *bucket};
    *bucket = s->n_files++;
    return is_changed;
}

/* ---- the baseline ------------------------------------------------------------------------------------------------- */

/* Any file that is new, or isn't what it was? */
static bool any_now(struct since *s, const char *folder, const struct since_folder *then)
{
    DIR *dir = opendir(folder);
    bool any = !dir;

    for (const struct dirent *e = dir ? readdir(dir) : NULL; e && !any; e = readdir(dir))
        any = since_is_sql(e->d_name) &&
              (!since_folder_has(then, e->d_name) ||
               since_has(s, arena_printf(&s->c->arena, "%s/%s", folder, e->d_name)));
    if (dir)
        closedir(dir);
    return any;
}

/* Any that is gone? */
static bool any_then(struct since *s, const char *folder, const struct since_folder *then)
{
    for (int i = 0; i < then->n; i++)
        if (since_is_sql(then->entries[i].name) &&
            access(arena_printf(&s->c->arena, "%s/%s", folder, then->entries[i].name), F_OK) != 0)
            return true;
    return false;
}

static bool compare_baseline(struct since *s, bool *out, struct err *err)
{
    const char *path = since_path(s->c, s->c->set.project.baseline.s);
    struct since_folder then = {0};
    struct since_thing thing;

    if (!since_find(s, path, &thing, err))
        return false;
    if (thing.where == SINCE_A_FILE || !check_baseline_is_folder(s->c)) {
        *out = since_has(s, path);
        return true;
    }
    if (thing.where == SINCE_A_FOLDER && !since_list(s, &thing, &then, err))
        return false;
    *out = thing.where == SINCE_OUTSIDE || thing.where == SINCE_UNKNOWN ||
           any_now(s, path, &then) || any_then(s, path, &then);
    return true;
}

bool since_has_baseline(struct since *s)
{
    AUTO(err) err = {0};
    bool is_changed = true;

    if (!s->c->set.project.baseline.s)
        return false;
    if (s->baseline < 0 && !compare_baseline(s, &is_changed, &err))
        (void) could_not(s, &err);
    if (s->baseline < 0)
        s->baseline = is_changed;
    return s->baseline;
}

/* ---- what may break things that stay as they are ------------------------------------------------------------------ */

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);

    return n > m && strcmp(name + n - m, end) == 0;
}

/* Files of that time that are gone, and where it counts (is_edit), those that read differently now. Folders below it
 * are looked at too. */
static bool compare_then(struct since *s, const char *folder, const char *end, bool is_edit,
                         int depth, bool *out, struct err *err)
{
    struct since_folder then = {0};
    struct since_thing thing;

    if (!since_find(s, folder, &thing, err))
        return false;
    *out |= thing.where == SINCE_UNKNOWN;
    if (thing.where != SINCE_A_FOLDER)
        return true;
    if (!since_list(s, &thing, &then, err))
        return false;
    for (int i = 0; i < then.n && !*out; i++) {
        const char *path = arena_printf(&s->c->arena, "%s/%s", folder, then.entries[i].name);

        if (then.entries[i].kind == SINCE_FOLDER) {
            if (depth > 0 && !compare_then(s, path, end, is_edit, depth - 1, out, err))
                return false;
        } else if (ends_with(path, end)) {
            *out = access(path, F_OK) != 0 || (is_edit && since_has(s, path));
        }
    }
    return true;
}

static bool compare_all_then(struct since *s, bool *out, struct err *err)
{
    const struct project *prj = &s->c->set.project;
    const char *plans = prj->plans_dir.s ? prj->plans_dir.s : "plans";

    if (!compare_then(s, since_path(s->c, plans), ".yaml", true, 1, out, err))
        return false;
    for (int i = 0; i < prj->n_releases + prj->n_consumers && !*out; i++) {
        const struct release *r =
            i < prj->n_releases ? &prj->releases[i] : &prj->consumers[i - prj->n_releases];

        for (int k = 0; k < r->statements.n && !*out; k++)
            if (!compare_then(s, since_path(s->c, r->statements.items[k].s), ".sql", false, 1, out,
                              err))
                return false;
    }
    return true;
}

bool since_breaks_others(struct since *s)
{
    AUTO(err) err = {0};
    bool is_changed = false;

    if (s->others < 0 && !compare_all_then(s, &is_changed, &err)) {
        is_changed = true;
        (void) could_not(s, &err);
    }
    if (s->others < 0)
        s->others = is_changed;
    return s->others;
}

/* ---- where the branch left ---------------------------------------------------------------------------------------- */

static bool git_says(struct since *s, const struct str *said, struct err *err)
{
    static const char dubious[] = "dubious ownership in repository at '";
    struct arena *a = &s->c->arena;
    const char *from = strstr(str_text(said), dubious);
    const char *line = since_git_error(a, str_text(said));

    err_set(err, ERR_USAGE, "--since %s: git says: %s", s->ref, proof_shown_object(a, line));
    if (from) {
        from += strlen(dubious);
        return err_hint(err, "git config --global --add safe.directory %s",
                        arena_strndup(a, from, strcspn(from, "'")));
    }
    if (strstr(str_text(said), "not a git repository"))
        return err_hint(err, "--since needs a project in a git repository; phasegate check without "
                             "it looks at everything");
    return err_hint(err, "phasegate check without --since looks at everything");
}

/* But for the line's end: the name itself may have one. */
static const char *one_line(struct arena *a, const struct str *said)
{
    return arena_strndup(a, str_text(said), said->len > 0 ? said->len - 1 : 0);
}

static bool find_top(struct since *s, struct err *err)
{
    const char *argv[] = {"rev-parse", "--show-toplevel", NULL};
    struct arena *a = &s->c->arena;
    AUTO(str) top = {0}, said = {0};
    int code = 0;

    if (!since_git(s, NULL, argv, NULL, &top, &said, &code, err))
        return false;
    if (code != 0)
        return git_says(s, &said, err);
    const char *line = one_line(a, &top), *real = since_real(a, line);
    s->repos = arena_array(a, struct since_repo, SINCE_REPOS);
    s->repos[s->n_repos++] = (struct since_repo) {.top = real ? real : line};
    return true;
}

static bool no_such_place(struct since *s, const char *what, struct err *err)
{
    err_set(err, ERR_USAGE, "--since %s: %s", s->ref, what);
    return err_hint(err, "name a commit or branch that git knows; a shallow clone has few of them");
}

/* A line: the ref, its object, and the commit that a tag with a message is of. NULL: that was the last one. */
static const char *next_ref(struct arena *a, const char **at, const char **commit)
{
    const char *line = *at;
    size_t n = strcspn(line, "\n"), name = strcspn(line, " "), last;

    if (!*line)
        return NULL;
    *at = line + n + (line[n] == '\n');
    for (last = n; line[last - 1] == ' ';)
        last--;
    size_t from = last;
    while (line[from - 1] != ' ')
        from--;
    *commit = arena_strndup(a, line + from, last - from);
    return arena_strndup(a, line, name);
}

/* A branch and a tag of one name: git takes the tag, and whoever wrote it may have meant the other. False: it may be
 * any of several commits. */
static bool is_one_commit(struct since *s, struct since_repo *r, const char *ref, struct err *err)
{
    struct arena *a = &s->c->arena;
    const char *at_brace = strstr(ref, "@{");
    size_t n = strcspn(ref, "~^:");
    const char *name =
        arena_strndup(a, ref, at_brace && at_brace < ref + n ? (size_t) (at_brace - ref) : n);
    const char *argv[] = {"for-each-ref",
                          "--format=%(refname) %(objectname) %(*objectname)",
                          arena_printf(a, "refs/%s", name),
                          arena_printf(a, "refs/tags/%s", name),
                          arena_printf(a, "refs/heads/%s", name),
                          arena_printf(a, "refs/remotes/%s", name),
                          arena_printf(a, "refs/remotes/%s/HEAD", name),
                          NULL};
    AUTO(str) list = {0}, said = {0}, names = {0};
    const char *commit, *first = NULL, *one, *full = NULL;
    bool same = true;
    int code = 0;

    if (!since_git(s, r, argv, NULL, &list, &said, &code, err))
        return false;
    for (const char *at = str_text(&list); (one = next_ref(a, &at, &commit));) {
        str_addf(&names, "%s%s", names.len ? " and " : "", proof_shown(a, one));
        same &= !first || strcmp(first, commit) == 0;
        first = first ? first : commit;
        full = full && strncmp(one, "refs/heads/", strlen("refs/heads/")) != 0 ? full : one;
    }
    if (same && full && strchr(str_text(&names), ' '))
        return true;
    err_set(err, ERR_USAGE, "--since %s may be several commits: %s%s", s->ref,
            names.len ? str_text(&names) : "git finds more than one",
            names.len && same ? ", and one whose digest begins so" : "");
    return err_hint(err, "--since %s",
                    full ? proof_shown(a, full) : "with the whole digest of a commit");
}

static bool find_commit(struct since *s, const char *ref, struct err *err)
{
    struct arena *a = &s->c->arena;
    struct since_repo *r = &s->repos[0];
    const char *known[] = {"rev-parse", "--verify", arena_printf(a, "%s^{commit}", ref), NULL};
    AUTO(str) commit = {0}, base = {0}, said = {0};
    int code = 0;

    if (!since_git(s, r, known, NULL, &commit, &said, &code, err))
        return false;
    if (code != 0)
        return no_such_place(s, "git knows no such commit", err);
    if (strstr(str_text(&said), "' is ambiguous") && !is_one_commit(s, r, ref, err))
        return false;
    const char *bases[] = {"merge-base", one_line(a, &commit), "HEAD", NULL};
    if (!since_git(s, r, bases, NULL, &base, &said, &code, err))
        return false;
    if (code != 0)
        return no_such_place(s, "this branch and it have no commit in common", err);
    r->commit = arena_strndup(a, str_text(&base), strcspn(str_text(&base), "\n"));
    return true;
}

/* Their folders are asked for in one go. */
static bool look_ahead(struct since *s, struct err *err)
{
    struct context *c = s->c;
    const struct project *p = &c->set.project;
    const char **folders;
    int n = 0, m = 0, most = c->set.n_plans + 2;

    for (int i = 0; i < p->n_releases; i++)
        most += p->releases[i].statements.n;
    for (int i = 0; i < p->n_consumers; i++)
        most += p->consumers[i].statements.n;
    const char **files = arena_array(&c->arena, const char *, most);
    folders = arena_array(&c->arena, const char *, most);
    files[n++] = p->file;
    for (int i = 0; i < c->set.n_plans; i++)
        files[n++] = c->set.plans[i].file;
    for (int i = 0; i < p->n_releases; i++)
        for (int k = 0; k < p->releases[i].statements.n; k++)
            files[n++] = p->releases[i].statements.items[k].s;
    for (int i = 0; i < p->n_consumers; i++)
        for (int k = 0; k < p->consumers[i].statements.n; k++)
            files[n++] = p->consumers[i].statements.items[k].s;
    const char *baseline =
        p->baseline.s ? since_below(&s->repos[0], since_path(c, p->baseline.s)) : NULL;
    if (baseline)
        folders[m++] = baseline;
    for (int i = 0; i < n; i++) {
        const char *rel = files[i] ? since_below(&s->repos[0], since_path(c, files[i])) : NULL;
        const char *slash = rel ? strrchr(rel, '/') : NULL;

        if (slash)
            folders[m++] = arena_strndup(&c->arena, rel, (size_t) (slash - rel));
    }
    return since_list_ahead(s, folders, m, err);
}

bool since_begin(struct since *s, struct context *c, const char *ref, struct err *err)
{
    enum { REF_MOST = 4096 };

    *s = (struct since) {.c = c,
                         .ref = proof_shown(&c->arena, ref),
                         .baseline = -1,
                         .others = -1,
                         .buckets = arena_array(&c->arena, int, SINCE_BUCKETS),
                         .before = {s, since_fetch}};
    for (int i = 0; i < SINCE_BUCKETS; i++)
        s->buckets[i] = -1;
    if (*ref == '-' || strlen(ref) > REF_MOST)
        return err_set(err, ERR_USAGE, "--since: \"%s\" is no commit", s->ref);
    return find_top(s, err) && find_commit(s, ref, err) && look_ahead(s, err);
}

const struct check_before *since_before(struct since *s)
{
    bool is_other = s->c && s->c->set.project.baseline.s &&
                    (since_has_baseline(s) || since_has(s, s->c->set.project.file));

    return is_other ? &s->before : NULL;
}

bool since_end(struct since *s, struct err *err)
{
    if (!s->err.kind)
        return true;
    err_move(err, &s->err);
    return false;
}

/* From a folder to a plan set: finds, reads, parses and relates all its files. */
#include "load/loader.h"
#include "phasegate/names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_DEPTH 32

struct path_list {
    const char **items; /* below the folder that was walked */
    int n, cap;
};

struct loading {
    struct plan_set *set;
    struct problem_list *problems;
    struct parsing parsing;
    struct arena names; /* of the walk */
    char *buffer;       /* YAML_FILE_MAX + 1 bytes */
    const char *config; /* name of the project file in root */
    int root;           /* the project's folder, that paths are relative to */
    struct path_list paths;
};

static void loading_auto(struct loading *l)
{
    parsing_auto(&l->parsing);
    arena_free(&l->names);
    free(l->buffer);
    if (l->root >= 0)
        close(l->root);
}

static void fd_auto(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
static void dir_auto(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}
static void malloced_auto(char **p) { free(*p); }

/* ---- files ---------------------------------------------------------------------------------------- */

/* One more byte than allowed is asked for, so that a file that grew is seen. -1: a problem was added. */
static ssize_t read_file(struct loading *l, const char *path, const char *shown)
{
    __attribute__((cleanup(fd_auto))) int fd = openat(l->root, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct pos at = {shown, 0, 0};
    struct stat st;
    size_t got = 0;

    if (fd < 0 || fstat(fd, &st) != 0) {
        problem_add(l->problems, at, NULL, NULL, "can't be read: %s", strerror(errno));
        return -1;
    }
    if (!S_ISREG(st.st_mode)) {
        problem_add(l->problems, at, "a file", NULL, "not a regular file");
        return -1;
    }
    while (got <= YAML_FILE_MAX) {
        ssize_t n = read(fd, l->buffer + got, YAML_FILE_MAX + 1 - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            problem_add(l->problems, at, NULL, NULL, "can't be read: %s", strerror(errno));
            return -1;
        }
        got += (size_t) n;
        if (n == 0 || got == (size_t) st.st_size) /* the second saves the read that says end of file */
            break;
    }
    return (ssize_t) got;
}

/* ---- names of files ------------------------------------------------------------------------------- */

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcasecmp(s + n - m, end) == 0;
}

static bool is_stamped(const char *name) { return strspn(name, "0123456789") == 14 && (name[14] == '-' || name[14] == '_'); }

static bool is_plan_file_name(const char *name)
{
    size_t n = strlen(name);

    if (!is_stamped(name) || name[14] != '-' || n < 21 || strcmp(name + n - 5, ".yaml") != 0)
        return false;
    return strspn(name + 15, "abcdefghijklmnopqrstuvwxyz0123456789-") == n - 20;
}

static const char name_pattern[] = "YYYYMMDDHHmmss-name.yaml, such as 20261114093000-orders-external-ref.yaml";

/* A plan that isn't loaded because of its name would be a change that never happens: that is an error,
 * and anything else in the folder isn't ours. */
static bool is_wanted(struct loading *l, const char *name, const char *shown)
{
    struct pos at = {shown, 0, 0};

    if (is_plan_file_name(name))
        return true;
    if (ends_with(name, ".yml"))
        problem_add(l->problems, at, name_pattern, "rename it to .yaml", "plans end in .yaml, not .yml");
    else if (ends_with(name, ".yaml") || is_stamped(name))
        problem_add(l->problems, at, name_pattern, NULL, "not a name of a plan's file");
    return false;
}

static void add_path(struct loading *l, const char *path)
{
    struct path_list *list = &l->paths;

    if (list->n == list->cap) {
        size_t old = sizeof *list->items * (size_t) list->cap;
        list->cap = list->cap ? list->cap * 2 : 64;
        list->items = arena_grow(&l->names, list->items, old, sizeof *list->items * (size_t) list->cap);
    }
    list->items[list->n++] = path;
}

static bool is_folder(DIR *dir, const struct dirent *entry)
{
    struct stat st;

    if (entry->d_type != DT_UNKNOWN && entry->d_type != DT_LNK)
        return entry->d_type == DT_DIR;
    return fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

static const char *path_join(struct arena *a, const char *folder, const char *name)
{
    size_t n = strlen(folder), m = strlen(name);
    char *path = arena_array(a, char, n + m + 2);

    memcpy(path, folder, n);
    path[n] = '/';
    memcpy(path + n + 1, name, m);
    return path;
}

static void walk_folder(struct loading *l, const char *shown, int depth)
{
    struct pos at = {shown, 0, 0};

    if (depth == FOLDER_DEPTH) {
        problem_add(l->problems, at, NULL, "is there a symbolic link that leads back?", "folders nested deeper than %d levels",
                    FOLDER_DEPTH);
        return;
    }
    int fd = openat(l->root, shown, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    __attribute__((cleanup(dir_auto))) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        problem_add(l->problems, at, NULL, NULL, "the folder can't be read: %s", strerror(errno));
        return;
    }
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (entry->d_name[0] == '.')
            continue;
        const char *child = path_join(&l->names, shown, entry->d_name);
        if (is_folder(dir, entry))
            walk_folder(l, child, depth + 1);
        else if (is_wanted(l, entry->d_name, child))
            add_path(l, child);
    }
}

/* ---- the project ---------------------------------------------------------------------------------- */

/* The folder of the project file, absolute; without links, so that one project has one name. */
static bool find_root(struct loading *l, const char *path, struct err *err)
{
    __attribute__((cleanup(malloced_auto))) char *real = realpath(path, NULL);

    if (!real) {
        err_set(err, ERR_INPUT, "%s: can't be read: %s", path, strerror(errno));
        if (errno == ENOENT)
            err_hint(err, "`phasegate init` makes a project here; -C names another folder, -c another file");
        return false;
    }
    char *slash = strrchr(real, '/');
    l->config = arena_strdup(&l->names, slash + 1);
    l->set->project.root = slash == real ? "/" : arena_strndup(&l->set->arena, real, (size_t) (slash - real));
    return true;
}

static bool loading_start(struct loading *l, const char *path, struct err *err)
{
    if (!find_root(l, path, err))
        return false;
    l->root = open(l->set->project.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (l->root < 0)
        return err_set(err, ERR_INPUT, "%s: can't be read: %s", l->set->project.root, strerror(errno));
    l->buffer = malloc(YAML_FILE_MAX + 1);
    if (!l->buffer)
        abort();
    parsing_init(&l->parsing);
    return true;
}

static void load_project(struct loading *l, const char *shown)
{
    const char *root = l->set->project.root;
    ssize_t n = read_file(l, l->config, shown);
    AUTO(problem_list) of_nothing = {0}; /* what can't be read has its problem already */

    project_parse(&l->set->arena, shown, l->buffer, n < 0 ? 0 : (size_t) n, &l->set->project,
                  n < 0 ? &of_nothing : l->problems);
    l->set->project.root = root;
}

/* ---- plans ---------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    const char *x = *(const char *const *) a, *y = *(const char *const *) b;
    const char *name_x = strrchr(x, '/'), *name_y = strrchr(y, '/');
    int c = strcmp(name_x ? name_x : x, name_y ? name_y : y);

    return c ? c : strcmp(x, y);
}

static int by_time(const void *a, const void *b)
{
    const struct plan *x = a, *y = b;

    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    return strcmp(x->file, y->file);
}

static void check_file_name(struct loading *l, const struct plan *p)
{
    const char *slash = strrchr(p->file, '/');
    const char *name = slash ? slash + 1 : p->file;
    AUTO(str) expected = {0};

    if (!p->timestamp.s || strncmp(name, p->timestamp.s, 14) == 0)
        return;
    str_addf(&expected, "%.14s, as the name of the file says", name);
    problem_add(l->problems, p->timestamp.at, str_text(&expected), NULL, "timestamp %s", p->timestamp.s);
}

static void load_plan(struct loading *l, const char *path)
{
    struct plan_set *set = l->set;
    const char *file = arena_strdup(&set->arena, path);
    ssize_t n = read_file(l, path, file);

    if (n < 0)
        return;
    struct plan *plan = &set->plans[set->n_plans];
    plan_parse_with(&l->parsing, &set->arena, file, l->buffer, (size_t) n, plan, l->problems);
    check_file_name(l, plan);
    if (plan->id.s)
        set->n_plans++;
}

/* Names of files are in order already, unless a name and its timestamp differ. */
static void sort_plans(struct plan_set *set)
{
    for (int i = 1; i < set->n_plans; i++)
        if (by_time(&set->plans[i - 1], &set->plans[i]) > 0) {
            qsort(set->plans, (size_t) set->n_plans, sizeof *set->plans, by_time);
            return;
        }
}

static int by_id(const void *a, const void *b)
{
    const struct plan *const *x = a, *const *y = b;
    return strcmp((*x)->id.s, (*y)->id.s);
}

static void load_plans(struct loading *l)
{
    struct plan_set *set = l->set;
    const char *dir = set->project.plans_dir.s ? set->project.plans_dir.s : "plans";
    size_t n = strlen(dir);

    while (n > 1 && dir[n - 1] == '/')
        n--;
    const char *shown = arena_strndup(&l->names, dir, n);
    walk_folder(l, shown, 0);
    if (l->paths.n > 0)
        qsort(l->paths.items, (size_t) l->paths.n, sizeof *l->paths.items, by_name);
    set->plans = arena_array(&set->arena, struct plan, l->paths.n);
    for (int i = 0; i < l->paths.n; i++)
        load_plan(l, l->paths.items[i]);
    sort_plans(set);
    set->by_id = arena_array(&set->arena, const struct plan *, set->n_plans);
    for (int i = 0; i < set->n_plans; i++)
        set->by_id[i] = &set->plans[i];
    if (set->n_plans > 0)
        qsort(set->by_id, (size_t) set->n_plans, sizeof *set->by_id, by_id);
}

/* ---- the whole ------------------------------------------------------------------------------------ */

static bool fail_with_problems(const struct problem_list *problems, struct err *err)
{
    AUTO(str) first = {0};

    problem_text(&first, &problems->items[0]);
    if (problems->n == 1)
        return err_set(err, ERR_INPUT, "%s", str_text(&first));
    err_set(err, ERR_INPUT, "%s%d problems in the project's files", problems->cut ? "more than " : "", problems->n);
    return err_detail(err, "the first: %s", str_text(&first));
}

bool plan_set_load(const char *dir, const char *config_path, struct plan_set *out, struct problem_list *problems,
                   struct err *err)
{
    AUTO(loading) l = {.set = out, .problems = problems, .root = -1};
    const char *shown = config_path ? config_path : "phasegate.yaml";
    int n_before = problems->n;

    *out = (struct plan_set) {0};
    const char *path = *shown == '/' ? shown : path_join(&l.names, dir ? dir : ".", shown);
    if (!loading_start(&l, path, err))
        return false;
    load_project(&l, shown);
    load_plans(&l);
    plan_set_validate(out, problems);
    return problems->n == n_before && !problems->cut ? true : fail_with_problems(problems, err);
}

void plan_set_free(struct plan_set *s)
{
    arena_free(&s->arena);
    *s = (struct plan_set) {0};
}

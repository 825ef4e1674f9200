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
    struct arena one; /* the plan that may be cut to its head */
    bool heads;       /* those for which whole() says no are cut */
    bool (*whole)(void *ctx, struct plan *p);
    void *ctx;
};

static void loading_auto(struct loading *l)
{
    parsing_auto(&l->parsing);
    arena_free(&l->names);
    arena_free(&l->one);
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
    __attribute__((cleanup(fd_auto))) int fd =
        openat(l->root, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
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
        if (n == 0 ||
            got == (size_t) st.st_size) /* the second saves the read that says end of file */
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

static bool is_stamped(const char *name)
{
    return strspn(name, "0123456789") == 14 && (name[14] == '-' || name[14] == '_');
}

static bool is_plan_file_name(const char *name)
{
    size_t n = strlen(name);

    if (!is_stamped(name) || name[14] != '-' || n < 21 || strcmp(name + n - 5, ".yaml") != 0)
        return false;
    return strspn(name + 15, "abcdefghijklmnopqrstuvwxyz0123456789-") == n - 20;
}

static const char name_pattern[] =
    "YYYYMMDDHHmmss-name.yaml, such as 20261114093000-orders-external-ref.yaml";

/* A plan that isn't loaded because of its name would be a change that never happens: that is an error,
 * and anything else in the folder isn't ours. */
static bool is_wanted(struct loading *l, const char *name, const char *shown)
{
    struct pos at = {shown, 0, 0};

    if (is_plan_file_name(name))
        return true;
    if (ends_with(name, ".yml"))
        problem_add(l->problems, at, name_pattern, "rename it to .yaml",
                    "plans end in .yaml, not .yml");
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
        list->items =
            arena_grow(&l->names, list->items, old, sizeof *list->items * (size_t) list->cap);
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

struct ancestor { /* the folders that lead to one, to see a link that leads back */
    const struct ancestor *up;
    dev_t dev;
    ino_t ino;
    int depth;
};

static bool leads_back(const struct ancestor *a, const struct stat *st)
{
    for (; a; a = a->up)
        if (a->dev == st->st_dev && a->ino == st->st_ino)
            return true;
    return false;
}

/* The key that names it is to be mended, where it is written at all. */
static void say_no_folder(struct loading *l, const char *folder, int error)
{
    const struct text *key = &l->set->project.plans_dir;
    __attribute__((cleanup(dir_auto))) DIR *dir = fdopendir(openat(l->root, ".", O_RDONLY));
    const char *names[257];
    AUTO(str) hint = {0};
    int n = 0;

    for (struct dirent *e = dir ? readdir(dir) : NULL; e && n < 256; e = readdir(dir))
        if (e->d_name[0] != '.' && is_folder(dir, e))
            names[n++] = arena_strdup(&l->names, e->d_name);
    names[n] = NULL;
    const char *near = name_nearest(folder, names);
    if (near)
        str_addf(&hint, "did you mean \"%s\"?", near);
    else
        str_addf(&hint, "make the folder, or name it in plans: of %s", l->config);
    problem_add(l->problems, key->at, "a folder beside the project file", str_text(&hint),
                "\"plans\": the folder %s can't be read: %s", folder, strerror(error));
}

static void walk_folder(struct loading *l, const char *shown, const struct ancestor *up)
{
    struct pos at = {shown, 0, 0};
    int fd = openat(l->root, shown, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    __attribute__((cleanup(dir_auto))) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct stat st;

    if (!dir || fstat(fd, &st) != 0) {
        if (up)
            problem_add(l->problems, at, NULL, NULL, "the folder can't be read: %s",
                        strerror(errno));
        else
            say_no_folder(l, shown, errno);
        return;
    }
    struct ancestor here = {up, st.st_dev, st.st_ino, up ? up->depth + 1 : 1};
    if (leads_back(up, &st) || here.depth > FOLDER_DEPTH) {
        problem_add(l->problems, at, "a folder of its own", NULL, "%s",
                    here.depth > FOLDER_DEPTH ? "folders are nested too deep"
                                              : "a link that leads back to a folder above it");
        return;
    }
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (entry->d_name[0] == '.')
            continue;
        const char *child = path_join(&l->names, shown, entry->d_name);
        bool folder = is_folder(dir, entry);
        /* One named like a plan would be looked through, and the plan be missed. */
        if (folder && (ends_with(entry->d_name, ".yaml") || ends_with(entry->d_name, ".yml")))
            problem_add(l->problems, (struct pos) {child, 0, 0}, "a plan's file, or another name",
                        NULL, "it is a folder");
        else if (folder)
            walk_folder(l, child, &here);
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
            err_hint(
                err,
                "`phasegate init` makes a project here; -C names another folder, -c another file");
        return false;
    }
    char *slash = strrchr(real, '/');
    l->config = arena_strdup(&l->names, slash + 1);
    l->set->project.root =
        slash == real ? "/" : arena_strndup(&l->set->arena, real, (size_t) (slash - real));
    return true;
}

static bool loading_open(struct loading *l, const char *root, struct err *err)
{
    l->root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (l->root < 0)
        return err_set(err, ERR_INPUT, "%s: can't be read: %s", root, strerror(errno));
    l->buffer = malloc(YAML_FILE_MAX + 1);
    if (!l->buffer)
        abort();
    parsing_init(&l->parsing);
    return true;
}

static bool loading_start(struct loading *l, const char *path, struct err *err)
{
    return find_root(l, path, err) && loading_open(l, l->set->project.root, err);
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
    problem_add(l->problems, p->timestamp.at, str_text(&expected), NULL, "timestamp %s",
                p->timestamp.s);
}

static struct text text_copy(struct arena *a, const struct text *t)
{
    return (struct text) {arena_strdup(a, t->s), t->at};
}

/* Everything that stays is copied to arena a; the rest is forgotten. */
static void plan_cut_to_head(struct arena *a, struct plan *p)
{
    struct plan head = {
        .id = text_copy(a, &p->id),
        .timestamp = text_copy(a, &p->timestamp),
        .database = text_copy(a, &p->database),
        .title = text_copy(a, &p->title),
        .author = text_copy(a, &p->author),
        .compensates = text_copy(a, &p->compensates),
        .time = p->time,
        .file = p->file,
        .is_head = true,
        .checksum = arena_strdup(a, p->checksum),
        .sync.by = p->sync.by,
        .n_depends_on = p->n_depends_on,
        .flags_unread = p->flags_unread,
    };

    if (p->n_depends_on > 0)
        head.depends_on = arena_array(a, struct plan_dep, p->n_depends_on);
    for (int i = 0; i < p->n_depends_on; i++) {
        head.depends_on[i] = p->depends_on[i];
        head.depends_on[i].plan = text_copy(a, &p->depends_on[i].plan);
    }
    for (int role = 0; role < FLAG_ROLES; role++)
        head.flags[role] =
            (struct flag_decl) {text_copy(a, &p->flags[role].key),
                                text_copy(a, &p->flags[role].bucket_by), p->flags[role].at};
    for (int phase = 0; phase < PHASE_SLOTS; phase++) {
        const struct phase_plan *from = &p->phases[phase];
        struct phase_plan *to = &head.phases[phase];

        to->present = from->present;
        to->none = text_copy(a, &from->none);
        to->release = text_copy(a, &from->release);
        to->hold_ms = from->hold_ms;
        to->at = from->at;
    }
    *p = head;
}

static void load_plan(struct loading *l, const char *path)
{
    struct plan_set *set = l->set;
    const char *file = arena_strdup(&set->arena, path);
    ssize_t n = read_file(l, path, file);

    if (n < 0)
        return;
    struct plan *plan = &set->plans[set->n_plans];
    arena_reset(&l->one);
    plan_parse_with(&l->parsing, l->heads ? &l->one : &set->arena, file, l->buffer, (size_t) n,
                    plan, l->problems);
    check_file_name(l, plan);
    if (l->heads && l->whole && l->whole(l->ctx, plan)) {
        AUTO(problem_list) known = {0};
        plan_parse_with(&l->parsing, &set->arena, file, l->buffer, (size_t) n, plan, &known);
    } else if (l->heads) {
        plan_cut_to_head(&set->arena, plan);
    }
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

static void gather_undoers(struct plan_set *set)
{
    int n = 0;

    for (int i = 0; i < set->n_plans; i++)
        n += set->plans[i].compensates.s != NULL;
    set->undoers = arena_array(&set->arena, const struct plan *, n + 1);
    n = 0;
    for (int i = 0; i < set->n_plans; i++)
        if (set->plans[i].compensates.s)
            set->undoers[n++] = &set->plans[i];
}

void plan_set_index(struct plan_set *set)
{
    set->by_id = arena_array(&set->arena, const struct plan *, set->n_plans);
    for (int i = 0; i < set->n_plans; i++)
        set->by_id[i] = &set->plans[i];
    if (set->n_plans > 0)
        qsort(set->by_id, (size_t) set->n_plans, sizeof *set->by_id, by_id);
    gather_undoers(set);
}

static void load_plans(struct loading *l)
{
    struct plan_set *set = l->set;
    const char *dir = set->project.plans_dir.s ? set->project.plans_dir.s : "plans";

    walk_folder(l, dir, NULL);
    if (l->paths.n > 0)
        qsort(l->paths.items, (size_t) l->paths.n, sizeof *l->paths.items, by_name);
    set->plans = arena_array(&set->arena, struct plan, l->paths.n);
    for (int i = 0; i < l->paths.n; i++)
        load_plan(l, l->paths.items[i]);
    sort_plans(set);
    plan_set_index(set);
}

/* ---- the whole ------------------------------------------------------------------------------------ */

static bool fail_with_problems(const struct problem_list *problems, struct err *err)
{
    AUTO(str) first = {0};

    problem_text(&first, &problems->items[0]);
    if (problems->n == 1)
        return err_set(err, ERR_INPUT, "%s", str_text(&first));
    err_set(err, ERR_INPUT, "%s%d problems in the project's files",
            problems->cut ? "more than " : "", problems->n);
    return err_detail(err, "the first: %s", str_text(&first));
}

static bool load(struct loading *l, const char *dir, const char *config_path, struct err *err)
{
    const char *shown = config_path ? config_path : "phasegate.yaml";
    int n_before = l->problems->n;

    *l->set = (struct plan_set) {0};
    const char *path = *shown == '/' ? shown : path_join(&l->names, dir ? dir : ".", shown);
    if (!loading_start(l, path, err))
        return false;
    load_project(l, arena_strdup(&l->set->arena, shown));
    load_plans(l);
    plan_set_validate(l->set, l->problems);
    return l->problems->n == n_before && !l->problems->cut ? true
                                                           : fail_with_problems(l->problems, err);
}

bool plan_set_load(const char *dir, const char *config_path, struct plan_set *out,
                   struct problem_list *problems, struct err *err)
{
    AUTO(loading) l = {.set = out, .problems = problems, .root = -1};

    return load(&l, dir, config_path, err);
}

bool plan_set_load_some(const char *dir, const char *config_path,
                        bool (*whole)(void *ctx, struct plan *p), void *ctx, struct plan_set *out,
                        struct problem_list *problems, struct err *err)
{
    AUTO(loading)
    l = {.set = out, .problems = problems, .root = -1, .heads = true, .whole = whole, .ctx = ctx};

    return load(&l, dir, config_path, err);
}

bool plan_set_read(const struct plan_set *s, const struct plan *p, struct arena *a,
                   struct plan *out, struct err *err)
{
    AUTO(problem_list) problems = {0};
    AUTO(loading) l = {.problems = &problems, .root = -1};

    if (!loading_open(&l, s->project.root, err))
        return false;
    ssize_t n = read_file(&l, p->file, p->file);
    if (n < 0 || !plan_parse_with(&l.parsing, a, p->file, l.buffer, (size_t) n, out, &problems))
        return fail_with_problems(&problems, err);
    if (strcmp(out->checksum, p->checksum) == 0)
        return true;
    err_set(err, ERR_INPUT, "%s: the plan was changed while it was being read", p->file);
    return err_hint(err, "run the command again");
}

bool plan_set_fill(struct plan_set *s, struct plan *p, struct err *err)
{
    struct plan whole;

    if (!p->is_head)
        return true;
    if (!plan_set_read(s, p, &s->arena, &whole, err))
        return false;
    *p = whole;
    return true;
}

void plan_set_free(struct plan_set *s)
{
    arena_free(&s->arena);
    *s = (struct plan_set) {0};
}

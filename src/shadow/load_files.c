/* The files of a baseline: a dump, or a folder of earlier migrations in their order. */
#include "shadow/image.h"
#include "shadow/load_int.h"

#include "phasegate/load.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_BYTES = 1 << 30 };

/* ---- order ------------------------------------------------------------------------------------- */

static size_t digits(const char *s) { return strspn(s, "0123456789"); }

/* Of numbers of any length: by value. */
static int compare_numbers(const char *a, const char *b)
{
    size_t skip_a = strspn(a, "0"), skip_b = strspn(b, "0");
    size_t n_a = digits(a) - (skip_a < digits(a) ? skip_a : digits(a));
    size_t n_b = digits(b) - (skip_b < digits(b) ? skip_b : digits(b));

    if (n_a != n_b)
        return n_a < n_b ? -1 : 1;
    return memcmp(a + digits(a) - n_a, b + digits(b) - n_b, n_a);
}

/* The number that a name starts with, after letters as in V1__x.sql; NULL: none. */
static const char *number_of(const char *name)
{
    const char *c = name;

    while (isalpha((unsigned char) *c))
        c++;
    return isdigit((unsigned char) *c) ? c : NULL;
}

/* Does another part of a version follow: the .1 of V2.1__x, the _1 of V2_1__x? */
static bool has_part(const char *s) { return (*s == '.' || *s == '_') && digits(s + 1) > 0; }

/* 2_x before 10_x, V2__x before V2.1__x, V1.2__x before V1_10__x; names without a number last. */
static int compare_names(const void *left, const void *right)
{
    const char *const *names[2] = {left, right};
    const char *a = number_of(*names[0]), *b = number_of(*names[1]);

    if (!a || !b)
        return !a && !b ? strcmp(*names[0], *names[1]) : a ? -1 : 1;
    for (;;) {
        int order = compare_numbers(a, b);

        if (order)
            return order;
        a += digits(a);
        b += digits(b);
        if (has_part(a) != has_part(b))
            return has_part(a) ? 1 : -1;
        if (!has_part(a))
            break;
        a++;
        b++;
    }
    return strcmp(*names[0], *names[1]);
}

/* Migrations that go back: 001_x.down.sql, U1__x.sql. */
static bool is_way_back(const char *name, size_t n)
{
    bool is_down = n > 9 && strcmp(name + n - 9, ".down.sql") == 0;

    return is_down || (name[0] == 'U' && digits(name + 1) > 0 && strstr(name, "__"));
}

/* What Flyway runs around migrations, each time: afterMigrate.sql, beforeEachMigrate__x.sql. */
static bool is_callback(const char *name)
{
    static const char *const when[] = {"before", "after"};

    for (size_t i = 0; i < sizeof when / sizeof *when; i++) {
        size_t n = strlen(when[i]);
        if (strncmp(name, when[i], n) == 0 && isupper((unsigned char) name[n])) {
            n += strspn(name + n, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
            return name[n] == '.' || strncmp(name + n, "__", 2) == 0;
        }
    }
    return false;
}

static bool is_migration(const char *name)
{
    size_t n = strlen(name);

    return n > 4 && name[0] != '.' && strcmp(name + n - 4, ".sql") == 0 && !is_way_back(name, n) &&
           !is_callback(name);
}

/* ---- reading ----------------------------------------------------------------------------------- */

bool load_read(int fd, const char *shown, char **out, size_t *out_n, struct err *err)
{
    struct stat st;
    size_t n = 0;
    ssize_t got = -1;
    char *bytes;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return err_set(err, ERR_INPUT, "%s: expected a file", shown);
    if (st.st_size > MAX_BYTES) {
        err_set(err, ERR_INPUT, "%s: larger than 1 GiB", shown);
        return err_hint(err, "Rows aren't needed: pg_dump --schema-only.");
    }
    bytes = malloc((size_t) st.st_size + 1);
    if (!bytes)
        abort();
    while (n < (size_t) st.st_size &&
           (got = pread(fd, bytes + n, (size_t) st.st_size - n, (off_t) n)) > 0)
        n += (size_t) got;
    if (got < 0 && st.st_size > 0) {
        free(bytes);
        return err_set(err, ERR_INPUT, "%s: %s", shown, strerror(errno));
    }
    *out = bytes;
    *out_n = n;
    return true;
}

static bool cannot_read(const char *shown, struct err *err)
{
    err_set(err, ERR_INPUT, "the baseline %s can't be read: %s", shown, strerror(errno));
    return err_hint(err,
                    "pg_dump --schema-only DATABASE > %s, or correct baseline: in the project "
                    "file.",
                    shown);
}

static bool is_too_much(struct load *l, int fd)
{
    struct stat st;

    if (!l->only_looks || fstat(fd, &st) != 0)
        return false;
    l->seen_bytes += st.st_size;
    return l->seen_bytes > IMAGE_MAX_BYTES;
}

static void note_seen(struct load *l, const char *shown, const char *bytes, size_t n)
{
    char hash[65];

    sha256_hex(bytes, n, hash);
    str_addf(&l->seen, "%zu %s %s\n", n, hash, shown);
}

static bool add_file(struct load *l, const char *path, const char *shown, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char *bytes = NULL;
    size_t n = 0;

    if (fd < 0)
        return cannot_read(shown, err);
    bool good = !is_too_much(l, fd) && load_read(fd, shown, &bytes, &n, err);
    if (good)
        note_seen(l, shown, bytes, n);
    good = good && (l->only_looks || scan_file(&l->scan, shown, bytes, n, err));
    free(bytes);
    close(fd);
    return good;
}

/* ---- folders ----------------------------------------------------------------------------------- */

enum { DEPTH_MAX = 16 };

static void dir_auto(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

/* Does it hold migrations, however deep? It may be a link itself; those within may lead round. */
static bool has_migrations(const char *path, int depth)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (depth > 1 ? O_NOFOLLOW : 0));
    __attribute__((cleanup(dir_auto))) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    bool any = false;

    for (const struct dirent *e = dir ? readdir(dir) : NULL; e && !any; e = readdir(dir)) {
        AUTO(str) below = {0};

        any = is_migration(e->d_name);
        if (any || *e->d_name == '.' || depth == DEPTH_MAX)
            continue;
        str_addf(&below, "%s/%s", path, e->d_name);
        any = has_migrations(str_text(&below), depth + 1);
    }
    return any;
}

static void list_folder(struct arena *a, DIR *dir, const char *path, struct names *files,
                        struct names *folders)
{
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        AUTO(str) below = {0};

        if (is_migration(e->d_name))
            names_add(a, files, e->d_name);
        else if (folders && *e->d_name != '.') {
            str_addf(&below, "%s/%s", path, e->d_name);
            if (has_migrations(str_text(&below), 1))
                names_add(a, folders, e->d_name);
        }
    }
    if (files->n > 0)
        qsort(files->items, (size_t) files->n, sizeof *files->items, compare_names);
    if (folders && folders->n > 0)
        qsort(folders->items, (size_t) folders->n, sizeof *folders->items, compare_names);
}

static void add_shown(struct arena *a, struct names *names, const char *folder, const char ***out,
                      int *n)
{
    *out = arena_array(a, const char *, names->n + 1);
    *n = names->n;
    for (int i = 0; i < names->n; i++)
        (*out)[i] = arena_printf(a, "%s/%s", folder, names->items[i]);
}

static const char *without_slashes(struct arena *a, const char *path)
{
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/')
        n--;
    return arena_strndup(a, path, n);
}

bool shadow_baseline_files(struct arena *a, const char *root, const char *path,
                           struct baseline_files *out, struct err *err)
{
    const char *shown = without_slashes(a, path);
    const char *full = *path == '/' || !root ? path : arena_printf(a, "%s/%s", root, path);
    __attribute__((cleanup(dir_auto))) DIR *dir = opendir(full);
    struct names files = {0}, folders = {0};

    *out = (struct baseline_files) {0};
    if (!dir && errno != ENOTDIR)
        return cannot_read(shown, err);
    if (!dir) {
        out->files = arena_array(a, const char *, 1);
        out->files[out->n_files++] = shown;
        return true;
    }
    list_folder(a, dir, full, &files, &folders);
    add_shown(a, &files, shown, &out->files, &out->n_files);
    add_shown(a, &folders, shown, &out->folders, &out->n_folders);
    return true;
}

static bool no_migration(const char *shown, struct err *err)
{
    err_set(err, ERR_INPUT, "the baseline %s has no .sql file", shown);
    return err_hint(err, "Migrations stand in the folder itself, each name with its number: "
                         "001_orders.sql.");
}

static bool add_folder(struct load *l, DIR *dir, const char *path, const char *shown,
                       struct err *err)
{
    struct names names = {0};

    list_folder(&l->arena, dir, path, &names, NULL);
    if (names.n == 0)
        return no_migration(shown, err);
    for (int i = 0; i < names.n; i++) {
        AUTO(str) file = {0};

        str_addf(&file, "%s/%s", path, names.items[i]);
        if (!add_file(l, str_text(&file), arena_printf(&l->arena, "%s/%s", shown, names.items[i]),
                      err))
            return false;
    }
    return true;
}

bool load_path(struct load *l, const char *root, const char *path, struct err *err)
{
    AUTO(str) full = {0};
    const char *shown = without_slashes(&l->arena, path);

    str_addf(&full, "%s%s%s", *path == '/' ? "" : root, *path == '/' ? "" : "/", path);
    __attribute__((cleanup(dir_auto))) DIR *dir = opendir(str_text(&full));
    if (!dir && errno != ENOTDIR)
        return cannot_read(shown, err);
    if (!dir)
        return add_file(l, str_text(&full), shown, err);
    return add_folder(l, dir, str_text(&full), shown, err);
}

static int compare_given(const void *left, const void *right)
{
    const struct given_file *a = left, *b = right;

    return compare_names(&a->name, &b->name);
}

bool load_given(struct load *l, const char *shown, const struct given_file *files, int n,
                bool is_folder, struct err *err)
{
    struct given_file *wanted = arena_array(&l->arena, struct given_file, n + 1);
    int m = 0;

    for (int i = 0; i < n; i++)
        if (!is_folder || is_migration(files[i].name))
            wanted[m++] = files[i];
    if (m == 0)
        return no_migration(shown, err);
    if (m > 1)
        qsort(wanted, (size_t) m, sizeof *wanted, compare_given);
    for (int i = 0; i < m; i++) {
        const struct given_file *f = &wanted[i];
        const char *name = is_folder ? arena_printf(&l->arena, "%s/%s", shown, f->name) : shown;

        if (!(f->bytes ? scan_file(&l->scan, name, f->bytes, f->n, err)
                       : add_file(l, f->path, name, err)))
            return false;
    }
    return true;
}

bool load_look(const char *root, const char *path, struct str *out)
{
    struct load l = {.only_looks = true};
    AUTO(err) ignored = {0};
    bool good = load_path(&l, root, path, &ignored) && !l.seen.full;

    if (good)
        str_addn(out, str_text(&l.seen), l.seen.len);
    str_free(&l.seen);
    arena_free(&l.arena);
    return good;
}

bool shadow_baseline_print(const char *root, const char *path, char out[65])
{
    AUTO(str) seen = {0};

    if (!load_look(root, path, &seen))
        return false;
    sha256_hex(str_text(&seen), seen.len, out);
    return true;
}

/* A folder as a store: files under another name until they are whole, flushed with the folder that they are in. */
#include "store_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct store_file {
    struct str path, part; /* part: empty when it is read */
    int fd;
};

/* Always false. doing: "write". */
static bool failed_to(struct err *err, int failed, const char *doing, const char *path)
{
    err_set(err, ERR_UNREACHABLE, "can't %s %s: %s", doing, path, strerror(failed));
    if (failed == ENOSPC || failed == EDQUOT || failed == EFBIG)
        return err_hint(err, "make room there, or name another folder in snapshots: of the "
                             "environment; then the same command again");
    return err_hint(err, "see that the folder of snapshots: is there and may be written by this "
                         "user; then the same command again");
}

static bool flush_parent_of(const char *path, struct err *err)
{
    AUTO(str) parent = {0};
    const char *slash = strrchr(path, '/');

    str_addn(&parent,
             slash && slash != path ? path
             : slash                ? "/"
                                    : ".",
             slash && slash != path ? (size_t) (slash - path) : 1);
    int fd = open(str_text(&parent), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return failed_to(err, errno, "open", str_text(&parent));
    int failed = fsync(fd) == 0 || errno == EINVAL ? 0 : errno;
    close(fd);
    return failed ? failed_to(err, failed, "flush", str_text(&parent)) : true;
}

/* One level only: a path whose beginning is missing is a disk that isn't mounted. */
static bool make_one(const char *path, struct err *err)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return failed_to(err, errno, "make", path);
    return flush_parent_of(path, err);
}

static bool make(const struct store *s, const char *name, struct err *err)
{
    AUTO(arena) a = {0};

    return make_one(s->location, err) && make_one(store_path(&a, s, name, NULL), err);
}

static struct store_file *file_new(const struct store *s, const char *name, const char *file)
{
    AUTO(arena) a = {0};
    struct store_file *f = calloc(1, sizeof *f);

    if (!f)
        abort(); /* out of memory */
    str_add(&f->path, store_path(&a, s, name, file));
    f->fd = -1;
    return f;
}

static void close_file(struct store_file *f)
{
    if (f->fd >= 0) {
        close(f->fd);
        if (f->part.len)
            unlink(str_text(&f->part));
    }
    str_free(&f->path);
    str_free(&f->part);
    free(f);
}

static bool opened(struct store_file *f, const char *doing, struct store_file **out,
                   struct err *err)
{
    if (f->fd < 0) {
        failed_to(err, errno, doing, str_text(&f->path));
        close_file(f);
        return false;
    }
    *out = f;
    return true;
}

static bool create_file(const struct store *s, const char *name, const char *file,
                        struct store_file **out, struct err *err)
{
    struct store_file *f = file_new(s, name, file);

    str_addf(&f->part, "%s.part", str_text(&f->path));
    f->fd = open(str_text(&f->part), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    return opened(f, "write", out, err);
}

static bool write_file(struct store_file *f, const char *bytes, size_t n, struct err *err)
{
    while (n > 0) {
        ssize_t done = write(f->fd, bytes, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return failed_to(err, errno, "write", str_text(&f->path));
        bytes += done;
        n -= (size_t) done;
    }
    return true;
}

static bool finish_file(struct store_file *f, struct err *err)
{
    int failed = fsync(f->fd) == 0 ? 0 : errno;

    if (failed)
        return failed_to(err, failed, "flush", str_text(&f->path));
    failed = close(f->fd) == 0 ? 0 : errno;
    f->fd = -1;
    if (!failed && rename(str_text(&f->part), str_text(&f->path)) != 0)
        failed = errno;
    if (failed) {
        unlink(str_text(&f->part));
        return failed_to(err, failed, "write", str_text(&f->path));
    }
    return flush_parent_of(str_text(&f->path), err);
}

static bool open_file(const struct store *s, const char *name, const char *file,
                      struct store_file **out, struct err *err)
{
    struct store_file *f = file_new(s, name, file);

    struct stat st;

    /* A pipe that nobody writes to would keep us for ever, and so would a device. */
    f->fd = open(str_text(&f->path), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (f->fd >= 0 && (fstat(f->fd, &st) != 0 || !S_ISREG(st.st_mode))) {
        err_set(err, ERR_UNREACHABLE, "%s isn't a file", str_text(&f->path));
        close_file(f);
        return err_hint(err, "phasegate snapshots verify says which of a snapshot are whole");
    }
    return opened(f, "read", out, err);
}

static bool read_file(struct store_file *f, char *to, size_t room, size_t *n, struct err *err)
{
    ssize_t got;

    do
        got = read(f->fd, to, room);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return failed_to(err, errno, "read", str_text(&f->path));
    *n = (size_t) got;
    return true;
}

/* Of a folder that can't be looked at nobody says that the file isn't there: reading it tells why. */
static bool has_file(const struct store *s, const char *name, const char *file, bool *out,
                     struct err *err)
{
    AUTO(arena) a = {0};

    (void) err;
    *out = access(s->location, F_OK) != 0 || access(store_path(&a, s, name, file), F_OK) == 0 ||
           errno != ENOENT;
    return true;
}

/* The manifest first: what is left behind it is no snapshot any more. */
static bool remove_all(const struct store *s, const char *name, struct err *err)
{
    AUTO(arena) a = {0};
    const char *path = store_path(&a, s, name, NULL);

    if (unlink(store_path(&a, s, name, MANIFEST)) != 0 && errno != ENOENT)
        return failed_to(err, errno, "remove", path);
    DIR *dir = opendir(path);
    if (!dir)
        return errno == ENOENT ? true : failed_to(err, errno, "remove", path);
    for (struct dirent *d; (d = readdir(dir)) != NULL;)
        if (store_is_ours(d->d_name))
            (void) unlink(store_path(&a, s, name, d->d_name));
    closedir(dir);
    if (rmdir(path) != 0 && errno != ENOENT)
        return failed_to(err, errno, "remove", path);
    return flush_parent_of(path, err);
}

const struct store *store_folder(const struct ports *ports, struct arena *a, const char *path)
{
    static const struct store_ops ops = {make,      create_file, write_file, finish_file, open_file,
                                         read_file, close_file,  has_file,   remove_all};
    struct store *s = arena_new(a, struct store);

    *s = (struct store) {&ops, ports, path};
    return s;
}

/* This machine: files that survive a crash, names, free space. Processes: proc.c. */
#include "fault.h"
#include "host_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

enum { LOCK_WAIT_MS = 2000, LOCK_POLL_MS = 10, NAME_BYTES = 256 };

struct fd {
    int n; /* -1: none */
};

static void fd_auto(struct fd *f)
{
    if (f->n >= 0)
        close(f->n);
}

struct text {
    char *s;
};

static void text_auto(struct text *t) { free(t->s); }

/* ---- errors ---------------------------------------------------------------------------------- */

static bool file_error(struct err *err, int number, const char *verb, const char *path)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        err_set(err, ERR_UNREACHABLE, "can't %s %s: %s", verb, path, strerror(number));
        return err_hint(
            err,
            "Free space there (df -h \"%s\"), or choose another folder; then run the same "
            "command again.",
            path);
    case EACCES:
    case EPERM:
    case EROFS:
        err_set(err, ERR_CONFIG, "can't %s %s: %s", verb, path, strerror(number));
        return err_hint(err, "Give this user the right to it, or choose another folder.");
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
        err_set(err, ERR_CONFIG, "can't %s %s: %s", verb, path, strerror(number));
        return err_hint(err, "Expected a file in a folder that exists.");
    default: return err_set(err, ERR_UNREACHABLE, "can't %s %s: %s", verb, path, strerror(number));
    }
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool read_all(int fd, const char *path, size_t max, struct str *text, struct err *err)
{
    char block[1 << 14];

    for (;;) {
        ssize_t n = read(fd, block, sizeof block);

        if (n == 0)
            return true;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(err, ERR_INPUT, "can't read %s: %s", path, strerror(errno));
        if (text->len + (size_t) n > max)
            return err_set(err, ERR_INPUT, "%s is larger than the %zu bytes that are accepted",
                           path, max);
        str_addn(text, block, (size_t) n);
    }
}

static bool posix_read_file(struct host *h, const char *path, size_t max, struct str *out,
                            struct err *err)
{
    /* A FIFO that nobody writes to would be waited for, and a device never ends. */
    AUTO(fd) fd = {open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)};
    struct str text = {.ceiling = max < SIZE_MAX ? max + 1 : max};
    struct stat st;

    (void) h;
    if (fd.n < 0 || fstat(fd.n, &st) != 0)
        return err_set(err, ERR_INPUT, "can't open %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_INPUT, "%s isn't a regular file: expected a file", path);
    if (!read_all(fd.n, path, max, &text, err)) {
        str_free(&text);
        return false;
    }
    str_free(out);
    *out = text;
    return true;
}

static bool posix_file_exists(struct host *h, const char *path)
{
    (void) h;
    return access(path, F_OK) == 0;
}

/* ---- folders --------------------------------------------------------------------------------- */

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder =
        !slash ? strdup(".") : strndup(path, slash == path ? 1 : (size_t) (slash - path));

    if (!folder)
        abort();
    return folder;
}

/* A name is only durable once its folder is. */
static int sync_folder(const char *folder)
{
    AUTO(fd) fd = {open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};

    if (fd.n < 0)
        return errno;
    /* Some network file systems can't, and say so with EINVAL. */
    return fsync(fd.n) == 0 || errno == EINVAL ? 0 : errno;
}

int host_make_folders(const char *folder)
{
    AUTO(text) parent = {NULL};
    struct stat st;
    int failed;

    if (stat(folder, &st) == 0)
        return S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
    if (errno != ENOENT)
        return errno;
    parent.s = folder_of(folder);
    if (strcmp(parent.s, folder) == 0)
        return ENOENT;
    failed = host_make_folders(parent.s);
    if (failed)
        return failed;
    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        return errno;
    return sync_folder(parent.s);
}

/* ---- write_atomic ---------------------------------------------------------------------------- */

static int write_all(int fd, const char *bytes, size_t n, const struct interrupt *stop_or_null)
{
    while (n > 0) {
        ssize_t done = write(fd, bytes, n);

        if (done < 0 && errno == EINTR && !(stop_or_null && stop_or_null->count > 0))
            continue;
        if (done < 0)
            return errno;
        bytes += done;
        n -= (size_t) done;
    }
    return 0;
}

/* A device or a FIFO stays what it is: the bytes go into it. */
static bool write_through(struct host_posix *h, const char *path, const char *bytes, size_t n,
                          struct err *err)
{
    AUTO(fd) fd = {open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK)};
    struct stat st;
    int failed;

    if (fd.n < 0 && errno == ENXIO) {
        err_set(err, ERR_CONFIG, "can't write %s: nobody reads from it", path);
        return err_hint(err, "Start its reader first, or choose a file.");
    }
    if (fd.n < 0 || fstat(fd.n, &st) != 0)
        return file_error(err, errno, "write", path);
    if (!S_ISCHR(st.st_mode) && !S_ISFIFO(st.st_mode))
        return err_set(err, ERR_CONFIG, "can't write %s: it was replaced just now", path);
    /* Only opening mustn't wait: a reader may take its time. */
    if (fcntl(fd.n, F_SETFL, 0) != 0)
        return file_error(err, errno, "write", path);
    failed = write_all(fd.n, bytes, n, h->interrupt);
    if (failed == EINTR)
        return err_set(err, ERR_INTERRUPTED, "interrupted while writing %s", path);
    return failed ? file_error(err, failed, "write", path) : true;
}

static bool no_target(struct err *err, const char *path)
{
    err_set(err, ERR_CONFIG, "can't write %s: it isn't a regular file", path);
    return err_hint(err, "Expected a file, a name that is free, a FIFO or a character device.");
}

static int write_and_rename(int fd, const char *temporary, const char *path, const char *bytes,
                            size_t n, int mode, bool is_durable)
{
    int failed = write_all(fd, bytes, n, NULL);

    if (!failed && (fchmod(fd, (mode_t) mode) != 0 || (is_durable && fsync(fd) != 0)))
        failed = errno;
    if (!failed && rename(temporary, path) != 0)
        failed = errno;
    return failed;
}

static bool replace(const char *target, const char *path, const char *bytes, size_t n, int mode,
                    bool is_durable, struct err *err)
{
    AUTO(text) temporary = {NULL};
    AUTO(fd) fd = {-1};
    struct stat st;

    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return no_target(err, path);
    if (asprintf(&temporary.s, "%s.XXXXXX", target) < 0)
        abort();
    fd.n = mkostemp(temporary.s, O_CLOEXEC);
    if (fd.n < 0)
        return file_error(err, errno, "write", path);
    int failed = write_and_rename(fd.n, temporary.s, target, bytes, n, mode, is_durable);
    if (failed)
        unlink(temporary.s);
    return failed ? file_error(err, failed, "write", path) : true;
}

static bool posix_write_quick(struct host *h, const char *path, const char *bytes, size_t n,
                              int mode, struct err *err)
{
    (void) h;
    return replace(path, path, bytes, n, mode, false, err);
}

#define LINKS_MAX 40 /* as many as the kernel follows */

/* Where links lead, also to what isn't there yet; NULL: nowhere. */
static char *target_of(const char *path, int links)
{
    char *real = realpath(path, NULL), to[PATH_MAX];
    ssize_t n = real ? -1 : readlink(path, to, sizeof to);
    AUTO(text) inner = {NULL};
    AUTO(text) folder = {folder_of(path)};

    if (n < 0 || n == sizeof to || links == 0)
        return real ? real : links == LINKS_MAX ? NULL : strdup(path);
    if (asprintf(&inner.s, "%s%s%.*s", *to == '/' ? "" : folder.s, *to == '/' ? "" : "/", (int) n,
                 to) < 0)
        abort();
    return target_of(inner.s, links - 1);
}

static bool posix_write_atomic(struct host *h, const char *path, const char *bytes, size_t n,
                               int mode, struct err *err)
{
    /* Through a symbolic link: the link itself is to stay. */
    AUTO(text) real = {target_of(path, LINKS_MAX)};
    const char *target = real.s ? real.s : path;
    AUTO(text) folder = {folder_of(target)};
    struct stat st;

    fault_point();
    if (stat(path, &st) == 0 && (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode)))
        return write_through((struct host_posix *) h, path, bytes, n, err);
    if (!replace(target, path, bytes, n, mode, true, err))
        return false;
    int failed = sync_folder(folder.s);
    return failed ? file_error(err, failed, "make durable", path) : true;
}

/* ---- append_durable -------------------------------------------------------------------------- */

/* Others append to the same file, and taking a half line back must not take theirs. */
static int lock_file(struct host_posix *h, int fd)
{
    int64_t end = clock_mono_ms(h->clock) + LOCK_WAIT_MS;

    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return errno;
        if (clock_mono_ms(h->clock) >= end)
            return EWOULDBLOCK;
        usleep(LOCK_POLL_MS * 1000);
    }
    return 0;
}

/* A line that a crash left half is closed, so that it can't swallow this one. */
static bool ends_in_half_line(int fd, off_t length)
{
    char last;

    return length > 0 && pread(fd, &last, 1, length - 1) == 1 && last != '\n';
}

static int append_line(int fd, off_t length, const char *line)
{
    bool is_half = ends_in_half_line(fd, length);
    struct iovec parts[] = {
        {(void *) "\n", is_half ? 1 : 0}, {(void *) line, strlen(line)}, {(void *) "\n", 1}};
    size_t expected = parts[0].iov_len + parts[1].iov_len + parts[2].iov_len;
    ssize_t done;

    do {
        errno = 0;
        done = writev(fd, parts, 3);
    } while (done < 0 && errno == EINTR);
    if (done == (ssize_t) expected)
        return fsync(fd) == 0 ? 0 : errno;
    return done < 0 ? errno : ENOSPC; /* a short write is a disk that just became full */
}

static bool posix_append_durable(struct host *host, const char *path, const char *line,
                                 struct err *err)
{
    struct host_posix *h = (struct host_posix *) host;
    AUTO(text) folder = {folder_of(path)};
    AUTO(fd) fd = {-1};
    bool is_new = access(path, F_OK) != 0;
    struct stat st;
    int failed;

    if (strchr(line, '\n'))
        return err_set(err, ERR_BUG, "a line for %s has a newline in it", path);
    fault_point();
    failed = host_make_folders(folder.s);
    if (failed)
        return file_error(err, failed, "make the folder of", path);
    fd.n = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd.n < 0)
        return file_error(err, errno, "open", path);
    failed = lock_file(h, fd.n);
    if (failed == EWOULDBLOCK)
        return err_set(err, ERR_UNREACHABLE, "%s is locked by another process for longer than %d s",
                       path, LOCK_WAIT_MS / 1000);
    if (failed)
        return file_error(err, failed, "lock", path);
    if (fstat(fd.n, &st) != 0)
        return file_error(err, errno, "read", path);
    failed = append_line(fd.n, st.st_size, line);
    if (failed) {
        if (S_ISREG(st.st_mode) && ftruncate(fd.n, st.st_size) == 0)
            fsync(fd.n);
        return file_error(err, failed, "append to", path);
    }
    failed = is_new ? sync_folder(folder.s) : 0;
    return failed ? file_error(err, failed, "make durable", path) : true;
}

/* ---- names and numbers ----------------------------------------------------------------------- */

static const char *posix_env(struct host *h, const char *name)
{
    (void) h;
    return getenv(name);
}

static const char *posix_hostname(struct host *host)
{
    struct host_posix *h = (struct host_posix *) host;
    char name[NAME_BYTES] = "";

    if (!h->hostname) {
        bool known = gethostname(name, sizeof name - 1) == 0 && *name;

        h->hostname = arena_strdup(&h->kept, known ? name : "localhost");
    }
    return h->hostname;
}

static const char *posix_user(struct host *host)
{
    struct host_posix *h = (struct host_posix *) host;
    struct passwd entry, *found = NULL;
    char *texts;

    if (h->user)
        return h->user;
    texts = arena_alloc(&h->kept, 1 << 14);
    if (getpwuid_r(geteuid(), &entry, texts, 1 << 14, &found) == 0 && found && *found->pw_name)
        h->user = found->pw_name;
    else /* a container without an entry for its user */
        h->user = arena_printf(&h->kept, "uid-%lu", (unsigned long) geteuid());
    return h->user;
}

static int64_t posix_pid(struct host *h)
{
    (void) h;
    return getpid();
}

static int64_t posix_disk_free(struct host *h, const char *path)
{
    struct statvfs fs;

    (void) h;
    if (statvfs(path, &fs) != 0)
        return -1;
    return (int64_t) fs.f_bavail * (int64_t) fs.f_frsize;
}

/* Without what is kept for root alone: so much can be full. */
static int64_t posix_disk_size(struct host *h, const char *path)
{
    struct statvfs fs;

    (void) h;
    if (statvfs(path, &fs) != 0)
        return -1;
    return (int64_t) (fs.f_blocks - fs.f_bfree + fs.f_bavail) * (int64_t) fs.f_frsize;
}

/* ---- the port -------------------------------------------------------------------------------- */

static const struct host_ops ops = {
    .read_file = posix_read_file,
    .file_exists = posix_file_exists,
    .write_atomic = posix_write_atomic,
    .write_quick = posix_write_quick,
    .append_durable = posix_append_durable,
    .run = host_posix_run,
    .run_fed = host_posix_run_fed,
    .open_coprocess = host_posix_open_coprocess,
    .env = posix_env,
    .hostname = posix_hostname,
    .user = posix_user,
    .pid = posix_pid,
    .disk_free = posix_disk_free,
    .disk_size = posix_disk_size,
};

struct host *host_posix(struct clock *clock, const struct interrupt *interrupt_or_null)
{
    struct host_posix *h = calloc(1, sizeof *h);

    if (!h)
        abort();
    h->base.ops = &ops;
    h->clock = clock;
    h->interrupt = interrupt_or_null;
    return &h->base;
}

void host_posix_free(struct host *host)
{
    struct host_posix *h = (struct host_posix *) host;

    if (!h)
        return;
    arena_free(&h->kept);
    free(h);
}

/* The folders of servers of our own: made, removed, and found again when somebody was killed. */
#include "shadow/pg_local_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PREFIX "phasegate-pg-"
#define NEW_PREFIX "phasegate-new-" /* until it is locked */
#define OWNER_LOCK "owner.lock"
#define BIRTH_S 60 /* nobody takes as long to make a folder */

static void pause_ms(int ms)
{
    nanosleep(&(struct timespec) {ms / 1000, ms % 1000 * 1000000L}, NULL);
}

/* ---- removing ------------------------------------------------------------------------------------ */

static bool remove_below(int at, const char *name);

/* False: something is still there. spared may be NULL. */
static bool remove_entries(int folder, const char *spared)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    bool all = dir != NULL;

    if (!dir && fd >= 0)
        close(fd);
    for (const struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            (spared && strcmp(e->d_name, spared) == 0))
            continue;
        /* Never through a link: entries are removed relative to folders that we opened. */
        if (unlinkat(fd, e->d_name, 0) != 0 && errno != ENOENT)
            all = remove_below(fd, e->d_name) && all;
    }
    if (dir)
        closedir(dir);
    return all;
}

static bool remove_below(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd >= 0) {
        (void) !remove_entries(fd, NULL);
        close(fd);
    }
    return unlinkat(at, name, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

void pg_local_remove(const char *folder) { (void) !remove_below(AT_FDCWD, folder); }

static void remove_ours(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return;
    if (remove_entries(fd, OWNER_LOCK))
        unlinkat(fd, OWNER_LOCK, 0);
    close(fd);
    unlinkat(at, name, AT_REMOVEDIR);
}

void pg_folder_remove(const char *path) { remove_ours(AT_FDCWD, path); }

void pg_folder_keep(const char *path)
{
    AUTO(str) lock = {0};

    str_addf(&lock, "%s/" OWNER_LOCK, path);
    unlink(str_text(&lock));
}

/* ---- making -------------------------------------------------------------------------------------- */

static bool make_locked(const char *path, int *lock_fd)
{
    AUTO(str) lock = {0};

    str_addf(&lock, "%s/" OWNER_LOCK, path);
    *lock_fd = open(str_text(&lock), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return *lock_fd >= 0 && flock(*lock_fd, LOCK_EX | LOCK_NB) == 0;
}

bool pg_folder_make(const char *parent, struct str *out, int *lock_fd, struct err *err)
{
    AUTO(str) made = {0};
    size_t tail;

    str_addf(&made, "%s/" NEW_PREFIX "XXXXXX", parent);
    if (!mkdtemp(made.text)) {
        err_set(err, ERR_UNREACHABLE, "no folder for PostgreSQL below %s: %s", parent,
                strerror(errno));
        err_hint(err, "TMPDIR=DIR: a folder that is there, and that you may write to.");
        pg_why(parent, err);
        return false;
    }
    tail = strlen(parent) + strlen("/" NEW_PREFIX);
    str_clear(out);
    str_addf(out, "%s/" PREFIX "%s", parent, str_text(&made) + tail);
    if (make_locked(str_text(&made), lock_fd) && rename(str_text(&made), str_text(out)) == 0)
        return true;
    err_set(err, ERR_UNREACHABLE, "%s: %s", str_text(&made), strerror(errno));
    pg_folder_remove(str_text(&made));
    str_clear(out);
    return false;
}

bool pg_local_folder_make(struct str *out, int *lock_fd, struct err *err)
{
    return pg_folder_make(pg_parent_folder(NULL), out, lock_fd, err);
}

/* ---- shared memory ------------------------------------------------------------------------------- */

static size_t read_pid_file(int folder, char *text, size_t size)
{
    int fd = openat(folder, "data/postmaster.pid", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, size - 1) : -1;

    if (fd >= 0)
        close(fd);
    text[got > 0 ? got : 0] = '\0';
    return got > 0 ? (size_t) got : 0;
}

/* Its seventh line: key and id. A lone backend's first one, of initdb's too, is its number below zero. */
struct pg_segment pg_segment_read(int folder)
{
    char text[4096];
    const char *at = text;
    char *end;
    struct pg_segment s = {0};

    if (folder < 0 || read_pid_file(folder, text, sizeof text) == 0)
        return s;
    s.pid = labs(strtol(text, NULL, 10));
    for (int line = 1; at && line < 7; line++) {
        at = strchr(at, '\n');
        at = at ? at + 1 : NULL;
    }
    if (!at)
        return s;
    s.key = strtoul(at, &end, 10);
    s.id = strtol(end, NULL, 10);
    return s;
}

void pg_segment_remove(const struct pg_segment *s, uid_t uid)
{
    struct shmid_ds now;

    if (s->key == 0)
        return;
    for (int i = 0; i < 50; i++) {
        if (shmctl((int) s->id, IPC_STAT, &now) != 0 ||
            (unsigned long) (unsigned int) now.shm_perm.__key != s->key ||
            now.shm_perm.uid != uid || (long) now.shm_cpid != s->pid)
            return;
        if (now.shm_nattch == 0) {
            shmctl((int) s->id, IPC_RMID, NULL);
            return;
        }
        pause_ms(20); /* backends see within a moment that their postmaster is gone */
    }
}

/* ---- what others left ---------------------------------------------------------------------------- */

/* A postmaster works in its data folder: so a number that was given to another process is told apart. */
static void end_postmaster(long pid, const char *path)
{
    AUTO(str) link = {0};
    AUTO(str) data = {0};
    char cwd[4096] = "";

    str_addf(&link, "/proc/%ld/cwd", pid);
    str_addf(&data, "%s/data", path);
    for (int i = 0; pid > 1 && i < 100; i++) {
        ssize_t n = readlink(str_text(&link), cwd, sizeof cwd - 1);

        if (n <= 0)
            return;
        cwd[n] = '\0';
        if (strcmp(cwd, str_text(&data)) != 0)
            return;
        kill((pid_t) pid, i < 50 ? SIGQUIT : SIGKILL);
        pause_ms(100);
    }
}

struct cleaning {
    int parent_fd;
    const char *parent;
    uid_t uid; /* of servers */
};

static bool is_old(const struct stat *st) { return time(NULL) - st->st_ctime > BIRTH_S; }

/* What has its name has its lock, until all else is gone. Without one it was left for good, which an empty one
 * wasn't. */
static bool clean_one(const struct cleaning *c, const char *name, int folder)
{
    AUTO(str) path = {0};
    struct stat st;
    int lock;

    if (fstat(folder, &st) != 0 || (st.st_uid != geteuid() && st.st_uid != c->uid))
        return false;
    lock = openat(folder, OWNER_LOCK, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (lock < 0)
        return errno == ENOENT && is_old(&st) && unlinkat(c->parent_fd, name, AT_REMOVEDIR) == 0;
    /* Who holds the lock lives. One that is gone meanwhile was another cleaner's. */
    bool abandoned =
        flock(lock, LOCK_EX | LOCK_NB) == 0 && fstat(lock, &st) == 0 && st.st_nlink > 0;
    if (abandoned) {
        const struct pg_segment segment = pg_segment_read(folder);

        str_addf(&path, "%s/%s", c->parent, name);
        end_postmaster(segment.pid, str_text(&path));
        pg_segment_remove(&segment, c->uid);
        remove_ours(c->parent_fd, name);
    }
    close(lock);
    return abandoned;
}

/* Somebody was killed while making it: nothing runs there. */
static bool clean_new(const struct cleaning *c, const char *name, int folder)
{
    struct stat st;

    if (fstat(folder, &st) != 0 || st.st_uid != geteuid() || !is_old(&st))
        return false;
    remove_ours(c->parent_fd, name);
    return true;
}

static bool begins_with(const char *name, const char *word)
{
    return strncmp(name, word, strlen(word)) == 0;
}

static bool clean_entry(const struct cleaning *c, const char *name)
{
    bool is_new = begins_with(name, NEW_PREFIX);
    bool is_cleaned;
    int folder;

    if (!is_new && !begins_with(name, PREFIX))
        return false;
    folder = openat(c->parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return false;
    is_cleaned = is_new ? clean_new(c, name, folder) : clean_one(c, name, folder);
    close(folder);
    return is_cleaned;
}

int pg_local_clean(const char *given)
{
    char *parent = realpath(pg_parent_folder(given), NULL);
    DIR *dir = parent ? opendir(parent) : NULL;
    AUTO(err) ignored = {0};
    int cleaned = 0;
    gid_t gid;
    uid_t uid;

    if (!pg_user_choose(&uid, &gid, &ignored))
        uid = geteuid();
    if (dir) {
        const struct cleaning c = {dirfd(dir), parent, uid};

        for (const struct dirent *e = readdir(dir); e; e = readdir(dir))
            cleaned += clean_entry(&c, e->d_name);
        closedir(dir);
    }
    free(parent);
    return cleaned;
}

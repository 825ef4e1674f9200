/* flag_server_store: the current set of flags and its file.
 *
 * Readers take a reference to an immutable set; they never wait for a write. Writers queue. One of them
 * leads: it applies everything that's queued to a copy, writes the file once, makes the copy current and
 * wakes the others. So fifty kills at once cost about one fsync, and a write that can't be stored leaves
 * memory as it was.
 */
#include "flag_server_int.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX ((size_t) 64 << 20)

struct flag_store {
    struct str path, tmp_path;
    int lock_fd, folder_fd;
    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t moved;
    struct flag_set *current;
    struct flag_change *first, *last; /* queued */
    bool led;                         /* somebody is writing */
    bool writable;
};

/* ---- the file ----------------------------------------------------------------------------------- */

static bool write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t wrote = write(fd, bytes, n);

        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0) {
            if (wrote == 0)
                errno = ENOSPC;
            return false;
        }
        bytes += wrote;
        n -= (size_t) wrote;
    }
    return true;
}

/* The name is fixed: the lock makes us its only user, and what a kill -9 left is overwritten. */
static bool write_tmp(const char *path, const struct str *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return false;
    bool good = write_all(fd, str_text(text), text->len) && fsync(fd) == 0;
    int why = errno;
    if (close(fd) != 0 && good) {
        good = false;
        why = errno;
    }
    errno = why;
    return good;
}

static enum flag_result store_write(struct flag_store *s, const struct flag_set *set,
                                    struct str *why)
{
    AUTO(str) text = {0};

    flag_set_render_file(set, &text);
    if (text.full) {
        str_set(why, "the state would be larger than a state file may be");
        return FLAG_CHANGE_NOT_STORED;
    }
    if (!write_tmp(str_text(&s->tmp_path), &text) ||
        rename(str_text(&s->tmp_path), str_text(&s->path)) != 0) {
        str_clear(why);
        str_addf(why, "%s: %s", str_text(&s->path), strerror(errno));
        unlink(str_text(&s->tmp_path));
        return FLAG_CHANGE_NOT_STORED;
    }
    if (fsync(s->folder_fd) != 0) {
        str_clear(why);
        str_addf(why, "folder of %s: %s", str_text(&s->path), strerror(errno));
        return FLAG_CHANGE_IN_DOUBT;
    }
    return FLAG_CHANGE_DONE;
}

static bool refuse_state(struct err *err, const char *path, const char *why)
{
    err_set(err, ERR_CONFIG, "flag state %s can't be trusted: %s", path, why);
    err_detail(err, "The server doesn't start: a damaged percentage must not reach applications.");
    return err_hint(err,
                    "mv %s %s.damaged, start again with no flags (every application then uses its "
                    "code default), and set the flags anew",
                    path, path);
}

static bool cant_keep(struct err *err, const char *what, const char *path, const char *why)
{
    err_set(err, ERR_CONFIG, "%s %s: %s", what, path, why);
    return err_hint(err, "--state FILE names a file in a folder that is there and may be written "
                         "by this user");
}

static bool read_state(int fd, const char *path, struct str *out, struct err *err)
{
    char chunk[8192];

    out->ceiling = FILE_MAX;
    for (;;) {
        ssize_t got = read(fd, chunk, sizeof chunk);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return cant_keep(err, "flag state", path, strerror(errno));
        if (got == 0)
            break;
        str_addn(out, chunk, (size_t) got);
    }
    return out->full ? refuse_state(err, path, "it is too large") : true;
}

static bool store_load(struct flag_store *s, struct err *err)
{
    AUTO(str) text = {0};
    AUTO(str) why = {0};
    const char *path = str_text(&s->path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT) {
        unsigned char random[8];
        char id[2 * sizeof random + 1];

        if (RAND_bytes(random, sizeof random) != 1)
            return err_set(err, ERR_CONFIG, "no random numbers from the system");
        for (size_t i = 0; i < sizeof random; i++)
            snprintf(id + 2 * i, 3, "%02x", random[i]);
        s->current = flag_set_new(id);
        /* Now, not with the first change: an unwritable folder is found before anybody relies on it. */
        if (store_write(s, s->current, &why) != FLAG_CHANGE_DONE)
            return cant_keep(err, "can't write flag state", path, str_text(&why));
        flag_set_render_flagd(s->current);
        return true;
    }
    if (fd < 0)
        return cant_keep(err, "flag state", path, strerror(errno));
    bool good = read_state(fd, path, &text, err);
    close(fd);
    if (!good)
        return false;
    s->current = flag_set_parse(str_text(&text), text.len, &why);
    if (!s->current)
        return refuse_state(err, path, str_text(&why));
    flag_set_render_flagd(s->current);
    return true;
}

static bool store_lock(struct flag_store *s, struct err *err)
{
    AUTO(str) path = {0};

    str_addf(&path, "%s.lock", str_text(&s->path));
    s->lock_fd = open(str_text(&path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd < 0)
        return cant_keep(err, "flag state lock", str_text(&path), strerror(errno));
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        err_set(err, ERR_LOCKED, "flag state %s is in use by another flag server",
                str_text(&s->path));
        return err_hint(err, "stop that one, or give this one a state file of its own");
    }
    return true;
}

bool flag_store_open(const char *path, struct flag_store **out, struct err *err)
{
    struct flag_store *s = calloc(1, sizeof *s);
    AUTO(str) folder = {0};

    if (!s)
        abort();
    s->lock_fd = s->folder_fd = -1;
    s->writable = true;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->moved, NULL);
    str_set(&s->path, path);
    str_addf(&s->tmp_path, "%s.tmp", path);
    str_set(&folder, path);

    /* dirname may cut the text or answer a static one. */
    const char *parent = dirname(folder.text);
    s->folder_fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = s->folder_fd >= 0;
    if (!good)
        cant_keep(err, "folder of flag state", path, strerror(errno));
    good = good && store_lock(s, err) && store_load(s, err);
    if (!good) {
        flag_store_close(s);
        return false;
    }
    *out = s;
    return true;
}

void flag_store_close(struct flag_store *s)
{
    if (!s)
        return;
    flag_set_unref(s->current);
    if (s->folder_fd >= 0)
        close(s->folder_fd);
    if (s->lock_fd >= 0)
        close(s->lock_fd); /* and with it the lock */
    pthread_cond_destroy(&s->moved);
    pthread_mutex_destroy(&s->lock);
    str_free(&s->path);
    str_free(&s->tmp_path);
    free(s);
}

/* ---- reading and changing ------------------------------------------------------------------------- */

struct flag_set *flag_store_get(struct flag_store *s)
{
    pthread_mutex_lock(&s->lock);
    struct flag_set *set = s->current;
    atomic_fetch_add(&set->refs, 1);
    pthread_mutex_unlock(&s->lock);
    return set;
}

bool flag_store_is_writable(struct flag_store *s)
{
    pthread_mutex_lock(&s->lock);
    bool writable = s->writable;
    pthread_mutex_unlock(&s->lock);
    return writable;
}

/* A failed write fails the whole batch: later changes in it were judged by the earlier ones. */
static void batch_fail(struct flag_change *batch, enum flag_result result, const struct str *why)
{
    for (struct flag_change *c = batch; c; c = c->next) {
        c->result = result;
        str_set(&c->why, str_text(why));
    }
}

/* Called without the lock, by the one leader: only it replaces current. */
static void store_commit(struct flag_store *s, struct flag_change *batch)
{
    AUTO(str) why = {0};
    struct flag_set *old = flag_store_get(s);
    struct flag_set *next = flag_set_copy(old);
    enum flag_result stored = FLAG_CHANGE_DONE;
    bool changed = false;

    for (struct flag_change *c = batch; c; c = c->next)
        changed = flag_set_apply(next, c) || changed;
    if (changed) {
        flag_set_render_flagd(next);
        stored = store_write(s, next, &why);
        if (stored != FLAG_CHANGE_DONE)
            batch_fail(batch, stored, &why);
    }

    pthread_mutex_lock(&s->lock);
    if (changed)
        s->writable = stored == FLAG_CHANGE_DONE;
    /* In doubt: the renamed file is what a restart would find, so memory follows it. */
    if (changed && stored != FLAG_CHANGE_NOT_STORED) {
        s->current = next;
        next = old; /* the reference that current had */
    }
    pthread_mutex_unlock(&s->lock);
    flag_set_unref(next);
    flag_set_unref(old);
}

void flag_store_change(struct flag_store *s, struct flag_change *c)
{
    c->done = false;
    c->next = NULL;
    pthread_mutex_lock(&s->lock);
    if (s->last)
        s->last->next = c;
    else
        s->first = c;
    s->last = c;

    while (!c->done) {
        if (s->led) {
            pthread_cond_wait(&s->moved, &s->lock);
            continue;
        }
        struct flag_change *batch = s->first;
        s->first = s->last = NULL;
        s->led = true;
        pthread_mutex_unlock(&s->lock);
        store_commit(s, batch);
        pthread_mutex_lock(&s->lock);
        s->led = false;
        for (struct flag_change *b = batch; b;) {
            struct flag_change *next = b->next;
            b->done = true; /* its owner may be gone once the lock is free */
            b = next;
        }
        pthread_cond_broadcast(&s->moved);
    }
    pthread_mutex_unlock(&s->lock);
}

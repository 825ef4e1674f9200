/* Images: making one, and throwing the oldest away. */
#include "shadow/image.h"

#include "phasegate/load.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEW "new"
#define LOCK "lock"

struct keeping {
    int out;
    uid_t owner;
    off_t at;      /* where the next file begins */
    off_t used;    /* up to here something was written */
    int64_t bytes; /* of the folder, so far */
    json_t *folders, *files;
    json_t *known; /* name, size and sum of a content: where it is */
    unsigned char *block;
};

static bool write_all(int fd, const void *from, size_t n, off_t at)
{
    const unsigned char *bytes = from;

    while (n > 0) {
        ssize_t put = pwrite(fd, bytes, n, at);

        if (put <= 0)
            return false;
        bytes += put;
        at += put;
        n -= (size_t) put;
    }
    return true;
}

/* A whole block, but at the end of the file. */
static ssize_t read_block(int fd, unsigned char *to, off_t at)
{
    size_t n = 0;
    ssize_t got = 0;

    while (n < IMAGE_BLOCK && (got = pread(fd, to + n, IMAGE_BLOCK - n, at + (off_t) n)) > 0)
        n += (size_t) got;
    return got < 0 ? -1 : (ssize_t) n;
}

/* Zeros at the end count for nothing; those in between are holes. */
static bool keep_bytes(struct keeping *k, int fd, off_t size, off_t *kept, uint64_t *sum)
{
    uint64_t so_far = 0;
    off_t done = 0;
    ssize_t n;

    *kept = 0;
    *sum = 0;
    while ((n = read_block(fd, k->block, done)) > 0) {
        so_far = image_sum(so_far, k->block, (size_t) n);
        bool is_zero = image_is_zero(k->block, (size_t) n);
        if ((!is_zero || k->at + done < k->used) &&
            !write_all(k->out, k->block, (size_t) n, k->at + done))
            return false;
        if (!is_zero) {
            *kept = done + n;
            *sum = so_far;
        }
        done += n;
    }
    if (k->at + done > k->used)
        k->used = k->at + done;
    return n == 0 && done == size; /* it grows: somebody is writing */
}

/* Where the content that was just written at the end is: there, or where it was before. */
static off_t place(struct keeping *k, const char *name, off_t kept, uint64_t sum)
{
    AUTO(str) key = {0};

    str_addf(&key, "%s %lld %016llx", name, (long long) kept, (unsigned long long) sum);
    const json_t *known = json_object_get(k->known, str_text(&key));
    if (known)
        return json_integer_value(known);
    off_t at = k->at;
    if (json_object_set_new(k->known, str_text(&key), json_integer(at)) != 0)
        return -1;
    k->at += kept;
    return at;
}

static bool keep_file(struct keeping *k, int folder, const char *name, const char *path)
{
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    off_t kept, at;
    uint64_t sum;

    if (fd < 0)
        return false;
    bool good = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == k->owner;
    if (good)
        k->bytes += st.st_size;
    good = good && k->bytes <= IMAGE_MAX_BYTES && keep_bytes(k, fd, st.st_size, &kept, &sum);
    close(fd);
    if (!good)
        return false;
    at = place(k, name, kept, sum);
    json_t *row = at < 0 ? NULL
                         : json_pack("[s, I, I, I, I]", path, (json_int_t) st.st_size,
                                     (json_int_t) kept, (json_int_t) sum, (json_int_t) at);
    return row && json_array_append_new(k->files, row) == 0;
}

/* A running server's own; the next one makes them itself. */
static bool is_passing(const char *path)
{
    return strcmp(path, "postmaster.pid") == 0 || strcmp(path, "postmaster.opts") == 0;
}

static bool keep_folder(struct keeping *k, int at, const char *name, const char *path);

static bool keep_entry(struct keeping *k, int folder, const char *name, const char *above)
{
    AUTO(str) path = {0};
    struct stat st;

    str_addf(&path, "%s%s%s", above, *above ? "/" : "", name);
    if (is_passing(str_text(&path)))
        return true;
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    if (!S_ISDIR(st.st_mode))
        return keep_file(k, folder, name, str_text(&path));
    json_t *shown = json_string(str_text(&path));
    return shown && json_array_append_new(k->folders, shown) == 0 &&
           keep_folder(k, folder, name, str_text(&path));
}

static bool keep_folder(struct keeping *k, int at, const char *name, const char *path)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct stat st;

    if (!dir) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    bool good = fstat(fd, &st) == 0 && st.st_uid == k->owner;
    for (const struct dirent *e = good ? readdir(dir) : NULL; good && e; e = readdir(dir))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            good = keep_entry(k, fd, e->d_name, path);
    closedir(dir);
    return good;
}

/* The index, and last of all the head that names it. */
static bool finish(struct keeping *k, const char *key, json_t *about)
{
    char head[IMAGE_HEAD], hash[65];
    json_t *index = json_pack("{s:s, s:o*, s:O, s:O}", "key", key, "about", about, "folders",
                              k->folders, "files", k->files);
    char *text = index ? json_dumps(index, JSON_COMPACT) : NULL;
    size_t n = text ? strlen(text) : 0;

    json_decref(index);
    if (!text)
        return false;
    sha256_hex(text, n, hash);
    memset(head, ' ', sizeof head);
    int used = snprintf(head, sizeof head, "phasegate-image %d %lld %zu %s\n", IMAGE_FORMAT,
                        (long long) k->at, n, hash);
    head[used] = ' '; /* not the end of a text */
    head[sizeof head - 1] = '\n';
    bool good =
        n <= IMAGE_MAX_INDEX && write_all(k->out, text, n, k->at) &&
        ftruncate(k->out, k->at + (off_t) n) == 0 && /* of contents that were there already */
        write_all(k->out, head, sizeof head, 0);
    free(text);
    return good;
}

static bool write_image(int folder, const char *key, const char *from, uid_t owner, json_t *about)
{
    struct keeping k = {.owner = owner, .at = IMAGE_HEAD};

    unlinkat(folder, NEW, 0); /* a killed run's */
    k.out = openat(folder, NEW, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (k.out < 0) {
        json_decref(about);
        return false;
    }
    k.folders = json_array();
    k.files = json_array();
    k.known = json_object();
    k.block = malloc(IMAGE_BLOCK);
    if (!k.block)
        abort();
    bool good = keep_folder(&k, AT_FDCWD, from, "");
    if (good)
        good = finish(&k, key, about);
    else
        json_decref(about);
    free(k.block);
    json_decref(k.folders);
    json_decref(k.files);
    json_decref(k.known);
    return close(k.out) == 0 && good;
}

/* ---- how many ---------------------------------------------------------------------------------- */

static bool is_image(const char *name)
{
    size_t n = strlen(name);

    return n > 6 && strcmp(name + n - 6, ".image") == 0;
}

/* How many there are; the oldest of them in *out. */
static int find_oldest(int folder, struct str *out)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct timespec oldest = {0};
    struct stat st;
    int n = 0;

    for (const struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        if (!is_image(e->d_name) || fstatat(folder, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (n++ == 0 || st.st_mtim.tv_sec < oldest.tv_sec ||
            (st.st_mtim.tv_sec == oldest.tv_sec && st.st_mtim.tv_nsec < oldest.tv_nsec)) {
            oldest = st.st_mtim;
            str_set(out, e->d_name);
        }
    }
    if (dir)
        closedir(dir);
    else if (fd >= 0)
        close(fd);
    return n;
}

static void prune(int folder)
{
    AUTO(str) name = {0};

    while (find_oldest(folder, &name) > IMAGE_MAX_KEPT)
        if (unlinkat(folder, str_text(&name), 0) != 0)
            return;
}

bool image_keep(const char *cache, const char *key, const char *from, uid_t owner, json_t *about)
{
    char name[96];
    int folder = image_folder(cache, true);
    int lock =
        folder < 0 ? -1 : openat(folder, LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    /* One at a time; whoever comes second does without. */
    bool is_ours = lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0;
    bool good = false;

    image_name(key, name);
    if (is_ours) {
        good = write_image(folder, key, from, owner, about) &&
               renameat(folder, NEW, folder, name) == 0;
        if (good)
            prune(folder);
        else
            unlinkat(folder, NEW, 0);
    } else {
        json_decref(about);
    }
    if (lock >= 0)
        close(lock);
    if (folder >= 0)
        close(folder);
    return good;
}

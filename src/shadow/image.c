/* Images: finding one and copying it out. */
#include "shadow/image.h"

#include "phasegate/io.h"
#include "phasegate/load.h"

#define XXH_INLINE_ALL /* of the library only this one function */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

/* ---- sums -------------------------------------------------------------------------------------- */

/* Against disks and interrupted copies, not against anybody: the folder is ours alone. */
uint64_t image_sum(uint64_t sum, const unsigned char *block, size_t n)
{
    return XXH3_64bits_withSeed(block, n, sum);
}

bool image_is_zero(const unsigned char *block, size_t n)
{
    return n == 0 || (block[0] == 0 && memcmp(block, block + 1, n - 1) == 0);
}

/* ---- the folder -------------------------------------------------------------------------------- */

int image_folder(const char *cache, bool make)
{
    AUTO(str) path = {0};
    struct stat st;

    str_addf(&path, "%s/images", cache);
    if (make && host_make_folders(str_text(&path)) != 0)
        return -1;
    int fd = open(str_text(&path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
        ((st.st_mode & 077) == 0 || fchmod(fd, 0700) == 0))
        return fd;
    close(fd);
    return -1;
}

void image_name(const char *key, char out[96]) { snprintf(out, 96, "%.80s.image", key); }

void image_forget(const char *cache, const char *key)
{
    char name[96];
    int folder = image_folder(cache, false);

    if (folder < 0)
        return;
    image_name(key, name);
    unlinkat(folder, name, 0);
    close(folder);
}

/* ---- opening ----------------------------------------------------------------------------------- */

static bool read_all(int fd, void *to, size_t n, off_t at)
{
    unsigned char *bytes = to;

    while (n > 0) {
        ssize_t got = pread(fd, bytes, n, at);

        if (got <= 0)
            return false;
        bytes += got;
        at += got;
        n -= (size_t) got;
    }
    return true;
}

/* A file that somebody put in another's place is whole, and of another server or baseline. */
static bool is_of_key(const json_t *index, const char *key)
{
    const char *own = json_string_value(json_object_get(index, "key"));

    return own && strcmp(own, key) == 0;
}

static json_t *read_index(int fd)
{
    char head[IMAGE_HEAD + 1] = "", hash[65] = "", is[65];
    long long at = 0;
    size_t n = 0;
    int format = 0;
    struct stat st;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
        !read_all(fd, head, IMAGE_HEAD, 0) ||
        sscanf(head, "phasegate-image %d %lld %zu %64s", &format, &at, &n, hash) != 4 ||
        format != IMAGE_FORMAT || n > IMAGE_MAX_INDEX || at < IMAGE_HEAD ||
        at + (long long) n != (long long) st.st_size)
        return NULL;
    char *text = malloc(n + 1);
    if (!text)
        abort();
    json_t *index = NULL;
    if (read_all(fd, text, n, at)) {
        sha256_hex(text, n, is);
        if (strcmp(is, hash) == 0)
            index = json_loadb(text, n, 0, NULL);
    }
    free(text);
    return index;
}

bool image_open(const char *cache, const char *key, struct image *out)
{
    char name[96];
    int folder = image_folder(cache, false);

    if (folder < 0)
        return false;
    image_name(key, name);
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    json_t *index = fd >= 0 ? read_index(fd) : NULL;
    if (index && !is_of_key(index, key)) {
        json_decref(index);
        index = NULL;
    }
    if (index)
        futimens(fd, NULL);
    else if (fd >= 0)
        unlinkat(folder, name, 0);
    if (!index && fd >= 0)
        close(fd);
    close(folder);
    if (!index)
        return false;
    *out = (struct image) {.fd = fd, .index = index};
    return true;
}

const json_t *image_about(const struct image *im) { return json_object_get(im->index, "about"); }

void image_close(struct image *im)
{
    if (!im->index)
        return;
    json_decref(im->index);
    close(im->fd);
    *im = (struct image) {0};
}

/* ---- copying out ------------------------------------------------------------------------------- */

static bool stays_inside(const char *path)
{
    if (!path || !*path || *path == '/')
        return false;
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += *part == '/';
        size_t n = strcspn(part, "/");

        if (n == 0 || (n == 1 && *part == '.') || (n == 2 && memcmp(part, "..", 2) == 0))
            return false;
    }
    return true;
}

struct copying {
    const struct image *im;
    int to;
    uid_t uid;
    gid_t gid;
    bool give;
    unsigned char *block;
};

static bool write_all(int fd, const unsigned char *bytes, size_t n, off_t at)
{
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

/* Blocks of zeros become holes. */
static bool copy_bytes(struct copying *c, int fd, off_t at, off_t kept, uint64_t *sum)
{
    for (off_t done = 0; done < kept;) {
        size_t n = kept - done < IMAGE_BLOCK ? (size_t) (kept - done) : IMAGE_BLOCK;

        if (!read_all(c->im->fd, c->block, n, at + done))
            return false;
        *sum = image_sum(*sum, c->block, n);
        if (!image_is_zero(c->block, n) && !write_all(fd, c->block, n, done))
            return false;
        done += (off_t) n;
    }
    return true;
}

static bool copy_file(struct copying *c, const json_t *row)
{
    const char *path = json_string_value(json_array_get(row, 0));
    off_t size = json_integer_value(json_array_get(row, 1));
    off_t kept = json_integer_value(json_array_get(row, 2));
    uint64_t expected = (uint64_t) json_integer_value(json_array_get(row, 3)), sum = 0;
    off_t at = json_integer_value(json_array_get(row, 4));

    if (!stays_inside(path) || at < IMAGE_HEAD || kept < 0 || kept > size || size > IMAGE_MAX_BYTES)
        return false;
    int fd = openat(c->to, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool good = copy_bytes(c, fd, at, kept, &sum) && sum == expected && ftruncate(fd, size) == 0 &&
                (!c->give || fchown(fd, c->uid, c->gid) == 0);
    return close(fd) == 0 && good;
}

static bool make_folder(struct copying *c, const char *path)
{
    return stays_inside(path) && mkdirat(c->to, path, 0700) == 0 &&
           (!c->give || fchownat(c->to, path, c->uid, c->gid, AT_SYMLINK_NOFOLLOW) == 0);
}

static bool copy_all(struct copying *c)
{
    const json_t *folders = json_object_get(c->im->index, "folders");
    const json_t *files = json_object_get(c->im->index, "files");
    bool good = !c->give || fchown(c->to, c->uid, c->gid) == 0;

    for (size_t i = 0; good && i < json_array_size(folders); i++)
        good = make_folder(c, json_string_value(json_array_get(folders, i)));
    for (size_t i = 0; good && i < json_array_size(files); i++)
        good = copy_file(c, json_array_get(files, i));
    return good && json_array_size(files) > 0;
}

bool image_restore(const struct image *im, const char *to, uid_t uid, gid_t gid)
{
    struct copying c = {.im = im, .uid = uid, .gid = gid, .give = geteuid() == 0};

    if (mkdir(to, 0700) != 0)
        return false;
    c.to = open(to, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    c.block = malloc(IMAGE_BLOCK);
    if (!c.block)
        abort();
    bool good = c.to >= 0 && copy_all(&c);
    free(c.block);
    if (c.to >= 0)
        close(c.to);
    return good;
}

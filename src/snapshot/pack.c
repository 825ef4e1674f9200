/* One file of a snapshot: compressed and hashed as it flows, in constant memory. */
#include "snapshot_int.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

enum { LEVEL = 3, ROOM = 1 << 17 };

struct packer {
    const struct ports *ports;
    struct str path, part;
    int fd;
    ZSTD_CCtx *z;
    EVP_MD_CTX *sum;
    int64_t bytes;
    char room[ROOM];
};

struct unpacker {
    const struct ports *ports;
    struct str path;
    int fd;
    ZSTD_DCtx *z;
    EVP_MD_CTX *sum;
    ZSTD_inBuffer in;
    size_t hint;  /* of zstd: 0 where a frame is complete */
    bool is_full; /* it has more to give before it takes more */
    bool is_read;
    char raw[ROOM], room[ROOM];
};

static void *must(void *p)
{
    if (!p)
        abort(); /* out of memory */
    return p;
}

static EVP_MD_CTX *sum_begin(void)
{
    EVP_MD_CTX *sum = must(EVP_MD_CTX_new());

    if (EVP_DigestInit_ex(sum, EVP_sha256(), NULL) != 1)
        abort();
    return sum;
}

static const char *sum_end(EVP_MD_CTX *sum, struct arena *a)
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    if (EVP_DigestFinal_ex(sum, bytes, &n) != 1)
        abort();
    return folder_hex(a, bytes, n);
}

/* ---- out ----------------------------------------------------------------------------------------- */

void packer_drop(struct packer *p)
{
    if (!p)
        return;
    if (p->fd >= 0) {
        close(p->fd);
        unlink(str_text(&p->part));
    }
    ZSTD_freeCCtx(p->z);
    EVP_MD_CTX_free(p->sum);
    str_free(&p->path);
    str_free(&p->part);
    free(p);
}

bool packer_open(struct packer **out, const struct ports *ports, const char *path, struct err *err)
{
    struct packer *p = must(calloc(1, sizeof *p));

    p->ports = ports;
    str_add(&p->path, path);
    str_addf(&p->part, "%s.part", path);
    p->fd = open(str_text(&p->part), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (p->fd < 0) {
        folder_error(err, errno, "write", path);
        packer_drop(p);
        return false;
    }
    p->z = must(ZSTD_createCCtx());
    p->sum = sum_begin();
    ZSTD_CCtx_setParameter(p->z, ZSTD_c_compressionLevel, LEVEL);
    ZSTD_CCtx_setParameter(p->z, ZSTD_c_checksumFlag, 1);
    *out = p;
    return true;
}

static bool put(struct packer *p, size_t n, struct err *err)
{
    const char *at = p->room;

    EVP_DigestUpdate(p->sum, at, n);
    p->bytes += (int64_t) n;
    while (n > 0) {
        ssize_t done = write(p->fd, at, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return folder_error(err, errno, "write", str_text(&p->path));
        at += done;
        n -= (size_t) done;
    }
    return true;
}

static bool compress(struct packer *p, const char *bytes, size_t n, ZSTD_EndDirective how,
                     struct err *err)
{
    ZSTD_inBuffer in = {bytes, n, 0};

    for (;;) {
        ZSTD_outBuffer out = {p->room, sizeof p->room, 0};
        size_t left = ZSTD_compressStream2(p->z, &out, &in, how);

        if (ZSTD_isError(left))
            return err_set(err, ERR_BUG, "zstd: %s", ZSTD_getErrorName(left));
        if (out.pos && !put(p, out.pos, err))
            return false;
        if (how == ZSTD_e_end ? left == 0 : in.pos == in.size)
            return true;
    }
}

static bool take(void *ctx, const char *bytes, size_t n, struct err *err)
{
    struct packer *p = ctx;

    return !snapshot_is_stopped(p->ports, err) && compress(p, bytes, n, ZSTD_e_continue, err);
}

struct db_sink packer_sink(struct packer *p) { return (struct db_sink) {take, p}; }

static bool finish(struct packer *p, struct err *err)
{
    if (!compress(p, NULL, 0, ZSTD_e_end, err))
        return false;
    int failed = fsync(p->fd) == 0 ? 0 : errno;
    if (failed)
        return folder_error(err, failed, "flush", str_text(&p->path));
    failed = close(p->fd) == 0 ? 0 : errno;
    p->fd = -1;
    if (!failed && rename(str_text(&p->part), str_text(&p->path)) != 0)
        failed = errno;
    if (failed) {
        unlink(str_text(&p->part));
        return folder_error(err, failed, "write", str_text(&p->path));
    }
    return folder_sync_of(str_text(&p->path), err);
}

bool packer_close(struct packer *p, struct arena *a, int64_t *bytes, const char **sha256,
                  struct err *err)
{
    bool good = finish(p, err);

    if (good) {
        *bytes = p->bytes;
        *sha256 = sum_end(p->sum, a);
    }
    packer_drop(p);
    return good;
}

/* ---- in ------------------------------------------------------------------------------------------ */

static bool damaged(struct unpacker *u, const char *how, struct err *err)
{
    err_set(err, ERR_NO, "%s is damaged: %s", str_text(&u->path), how);
    err_hint(err, "it can't be trusted: take another one (phasegate snapshot PLAN), or get this "
                  "file from a backup of the folder");
    return err_reason(err, "snapshot_damaged");
}

void unpacker_close(struct unpacker *u)
{
    if (!u)
        return;
    if (u->fd >= 0)
        close(u->fd);
    ZSTD_freeDCtx(u->z);
    EVP_MD_CTX_free(u->sum);
    str_free(&u->path);
    free(u);
}

bool unpacker_open(struct unpacker **out, const struct ports *ports, const char *path,
                   struct err *err)
{
    struct unpacker *u = must(calloc(1, sizeof *u));

    u->ports = ports;
    str_add(&u->path, path);
    u->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (u->fd < 0) {
        folder_error(err, errno, "read", path);
        unpacker_close(u);
        return false;
    }
    u->z = must(ZSTD_createDCtx());
    u->sum = sum_begin();
    u->hint = 1;
    *out = u;
    return true;
}

/* More of the file; n 0: its end. */
static bool more(struct unpacker *u, size_t *n, struct err *err)
{
    ssize_t got;

    do
        got = read(u->fd, u->raw, sizeof u->raw);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return folder_error(err, errno, "read", str_text(&u->path));
    *n = (size_t) got;
    EVP_DigestUpdate(u->sum, u->raw, *n);
    u->in = (ZSTD_inBuffer) {u->raw, *n, 0};
    u->is_read = *n == 0;
    return true;
}

static bool give(void *ctx, const char **bytes, size_t *n, struct err *err)
{
    struct unpacker *u = ctx;

    if (snapshot_is_stopped(u->ports, err))
        return false;
    for (;;) {
        size_t got = 0;

        if (u->in.pos < u->in.size || u->is_full) {
            ZSTD_outBuffer out = {u->room, sizeof u->room, 0};

            u->hint = ZSTD_decompressStream(u->z, &out, &u->in);
            if (ZSTD_isError(u->hint))
                return damaged(u, ZSTD_getErrorName(u->hint), err);
            u->is_full = u->hint != 0 && out.pos == out.size;
            *bytes = u->room;
            *n = out.pos;
            if (out.pos)
                return true;
            continue;
        }
        if (!more(u, &got, err))
            return false;
        *n = 0;
        if (got == 0)
            return u->hint == 0 ? true : damaged(u, "it ends too early", err);
    }
}

struct db_source unpacker_source(struct unpacker *u) { return (struct db_source) {give, u}; }

bool unpacker_check(struct unpacker *u, const char *sha256, struct err *err)
{
    AUTO(arena) a = {0};
    size_t n = 1;

    while (!u->is_read && n > 0)
        if (snapshot_is_stopped(u->ports, err) || !more(u, &n, err))
            return false;
    if (strcmp(sum_end(u->sum, &a), sha256) == 0)
        return true;
    return damaged(u, "its SHA-256 isn't the one of the manifest", err);
}

bool unpack_hash(const struct ports *ports, const char *path, const char *sha256, struct err *err)
{
    struct unpacker *u = NULL;

    if (!unpacker_open(&u, ports, path, err))
        return false;
    bool good = unpacker_check(u, sha256, err);
    unpacker_close(u);
    return good;
}

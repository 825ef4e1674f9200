/* One file of a snapshot: compressed and hashed as it flows, in constant memory. */
#include "snapshot_int.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum { LEVEL = 3, ROOM = 1 << 17 };

struct packer {
    const struct store *store;
    struct store_file *file;
    ZSTD_CCtx *z;
    EVP_MD_CTX *sum;
    int64_t bytes;
    char room[ROOM];
};

struct unpacker {
    const struct store *store;
    struct store_file *file;
    struct str path; /* for people */
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
    return hex_of(a, bytes, n);
}

/* ---- out ----------------------------------------------------------------------------------------- */

void packer_drop(struct packer *p)
{
    if (!p)
        return;
    store_close(p->store, p->file);
    ZSTD_freeCCtx(p->z);
    EVP_MD_CTX_free(p->sum);
    free(p);
}

bool packer_open(struct packer **out, const struct store *store, const char *name, const char *file,
                 struct err *err)
{
    struct packer *p = must(calloc(1, sizeof *p));

    p->store = store;
    if (!store_create(store, name, file, &p->file, err)) {
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
    EVP_DigestUpdate(p->sum, p->room, n);
    p->bytes += (int64_t) n;
    return store_write(p->store, p->file, p->room, n, err);
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

    return !snapshot_is_stopped(p->store->ports, err) &&
           compress(p, bytes, n, ZSTD_e_continue, err);
}

struct db_sink packer_sink(struct packer *p) { return (struct db_sink) {take, p}; }

bool packer_close(struct packer *p, struct arena *a, int64_t *bytes, const char **sha256,
                  struct err *err)
{
    bool good = compress(p, NULL, 0, ZSTD_e_end, err) && store_finish(p->store, p->file, err);

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
                  "file from a backup of the place");
    return err_reason(err, "snapshot_damaged");
}

void unpacker_close(struct unpacker *u)
{
    if (!u)
        return;
    store_close(u->store, u->file);
    ZSTD_freeDCtx(u->z);
    EVP_MD_CTX_free(u->sum);
    str_free(&u->path);
    free(u);
}

bool unpacker_open(struct unpacker **out, const struct store *store, const char *name,
                   const char *file, struct err *err)
{
    struct unpacker *u = must(calloc(1, sizeof *u));
    AUTO(arena) a = {0};

    u->store = store;
    str_add(&u->path, store_path(&a, store, name, file));
    if (!store_open(store, name, file, &u->file, err)) {
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
    if (!store_read(u->store, u->file, u->raw, sizeof u->raw, n, err))
        return false;
    EVP_DigestUpdate(u->sum, u->raw, *n);
    u->in = (ZSTD_inBuffer) {u->raw, *n, 0};
    u->is_read = *n == 0;
    return true;
}

static bool give(void *ctx, const char **bytes, size_t *n, struct err *err)
{
    struct unpacker *u = ctx;

    if (snapshot_is_stopped(u->store->ports, err))
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
        if (snapshot_is_stopped(u->store->ports, err) || !more(u, &n, err))
            return false;
    if (strcmp(sum_end(u->sum, &a), sha256) == 0)
        return true;
    return damaged(u, "its SHA-256 isn't the one of the manifest", err);
}

bool unpack_hash(const struct store *store, const char *name, const char *file, const char *sha256,
                 struct err *err)
{
    struct unpacker *u = NULL;

    if (!unpacker_open(&u, store, name, file, err))
        return false;
    bool good = unpacker_check(u, sha256, err);
    unpacker_close(u);
    return good;
}

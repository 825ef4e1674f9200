/* What git would call a file's content: the digest of its length and its bytes. */
#include "phasegate/load.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The file, a chunk at a time, with its line ends as they are or as git keeps them. */
struct pass {
    int fd;
    bool unix_ends;
    bool held;          /* a CR at the end of the chunk before */
    int64_t n;          /* bytes so far */
    EVP_MD_CTX *digest; /* NULL: only counted */
};

static void take(struct pass *p, const char *bytes, size_t n)
{
    p->n += (int64_t) n;
    if (p->digest && !EVP_DigestUpdate(p->digest, bytes, n))
        abort();
}

static void take_unix(struct pass *p, const char *bytes, size_t n)
{
    size_t from = 0;

    if (p->held && bytes[0] != '\n')
        take(p, "\r", 1);
    p->held = bytes[n - 1] == '\r';
    size_t end = n - p->held;
    for (size_t i = 0; i + 1 < n; i++)
        if (bytes[i] == '\r' && bytes[i + 1] == '\n') {
            take(p, bytes + from, i - from);
            from = i + 1;
        }
    take(p, bytes + from, end - from);
}

static bool read_all(struct pass *p)
{
    char chunk[65536];
    ssize_t got = 1;

    p->n = 0;
    p->held = false;
    if (lseek(p->fd, 0, SEEK_SET) != 0)
        return false;
    while (got > 0) {
        got = read(p->fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got > 0 && p->unix_ends)
            take_unix(p, chunk, (size_t) got);
        else if (got > 0)
            take(p, chunk, (size_t) got);
    }
    if (p->held)
        take(p, "\r", 1);
    return got == 0;
}

static void to_hex(const unsigned char *sum, unsigned n, char *out)
{
    for (unsigned i = 0; i < n; i++)
        snprintf(out + 2 * i, 3, "%02x", sum[i]);
}

/* Its length comes first, so it is read twice. *n: in, bytes that were tried already, -1 none; out, how many it has. */
static bool has_name(int fd, bool unix_ends, const char *object, const EVP_MD *kind, int64_t *n)
{
    struct pass p = {.fd = fd, .unix_ends = unix_ends};
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    char head[32], hex[2 * EVP_MAX_MD_SIZE + 1] = "";

    if (!read_all(&p) || p.n == *n)
        return false;
    *n = p.n;
    int length = snprintf(head, sizeof head, "blob %" PRId64, p.n);
    p.digest = EVP_MD_CTX_new();
    if (!p.digest || !EVP_DigestInit_ex(p.digest, kind, NULL))
        abort();
    if (!EVP_DigestUpdate(p.digest, head, (size_t) length + 1))
        abort();
    bool good = read_all(&p);
    if (!EVP_DigestFinal_ex(p.digest, sum, &size))
        abort();
    EVP_MD_CTX_free(p.digest);
    to_hex(sum, size, hex);
    return good && strcmp(hex, object) == 0;
}

/* Is it what a pointer of LFS with this name leads to? Such a pointer has one form: by its content and length it can be
 * written, and named. */
static bool has_pointer(int fd, const char *object, const EVP_MD *kind)
{
    struct pass p = {.fd = fd, .digest = EVP_MD_CTX_new()};
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    char hex[2 * EVP_MAX_MD_SIZE + 1] = "", head[32];
    AUTO(str) pointer = {0};

    if (!p.digest || !EVP_DigestInit_ex(p.digest, EVP_sha256(), NULL))
        abort();
    bool good = read_all(&p);
    if (!EVP_DigestFinal_ex(p.digest, sum, &size))
        abort();
    to_hex(sum, size, hex);
    str_addf(&pointer,
             "version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %" PRId64 "\n", hex,
             p.n);
    int length = snprintf(head, sizeof head, "blob %zu", pointer.len);
    if (!EVP_DigestInit_ex(p.digest, kind, NULL) ||
        !EVP_DigestUpdate(p.digest, head, (size_t) length + 1) ||
        !EVP_DigestUpdate(p.digest, str_text(&pointer), pointer.len) ||
        !EVP_DigestFinal_ex(p.digest, sum, &size))
        abort();
    EVP_MD_CTX_free(p.digest);
    to_hex(sum, size, hex);
    return good && strcmp(hex, object) == 0;
}

bool file_is_blob(const char *path, const char *object)
{
    const EVP_MD *kind = strlen(object) == 64 ? EVP_sha256() : EVP_sha1();
    AUTO(err) ignored = {0};
    int64_t n = -1;
    int fd = regular_open(path, path, INT64_MAX, &ignored);

    if (fd < 0)
        return false;
    bool same = has_name(fd, false, object, kind, &n) || has_name(fd, true, object, kind, &n) ||
                has_pointer(fd, object, kind);
    close(fd);
    return same;
}

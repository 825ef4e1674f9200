/* Tar files: written so that nothing of this machine is in them, read with suspicion, by libarchive. */
#include "phasegate/io.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>

#define BLOCK 512

struct reader {
    struct archive *a;
};
static void reader_auto(struct reader *r) { archive_read_free(r->a); }

static bool archive_failed(struct archive *a, const char *what, struct err *err)
{
    const char *why = archive_error_string(a);

    return err_set(err, ERR_INPUT, "%s: %s", what, why ? why : "no reason given");
}

/* ---- writing --------------------------------------------------------------------------------- */

/* A header of POSIX's ustar. libarchive's writer would bring along those of twenty other formats, and their libraries. */
struct ustar {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100];
    char magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], rest[12];
};
_Static_assert(sizeof(struct ustar) == BLOCK, "a header is one block");

static void octal(char *to, size_t n, uint64_t v)
{
    for (size_t i = n - 1; i-- > 0; v >>= 3)
        to[i] = (char) ('0' + (v & 7));
}

static void fill_block(struct str *out)
{
    static const char zeros[BLOCK];

    if (out->len % BLOCK)
        str_addn(out, zeros, BLOCK - out->len % BLOCK);
}

static bool pack_one(struct str *out, const struct bundle_file *f, struct err *err)
{
    struct ustar h = {.type = '0', .magic = "ustar", .version = {'0', '0'}};
    unsigned sum = 0;

    if (strlen(f->name) > sizeof h.name || f->n > BUNDLE_MAX - out->len)
        return err_set(err, ERR_INPUT, "%s doesn't fit into a bundle", f->name);
    memcpy(h.name, f->name, strlen(f->name));
    octal(h.mode, sizeof h.mode, 0644);
    octal(h.uid, sizeof h.uid, 0);
    octal(h.gid, sizeof h.gid, 0);
    octal(h.size, sizeof h.size, f->n);
    octal(h.mtime, sizeof h.mtime, 0);
    memset(h.checksum, ' ', sizeof h.checksum);
    for (size_t i = 0; i < sizeof h; i++)
        sum += ((const unsigned char *) &h)[i];
    octal(h.checksum, sizeof h.checksum - 1, sum);
    h.checksum[6] = '\0';
    str_addn(out, (const char *) &h, sizeof h);
    str_addn(out, f->bytes, f->n);
    fill_block(out);
    return true;
}

bool tar_pack(const struct bundle *files, struct str *out, struct err *err)
{
    static const char end[2 * BLOCK];
    AUTO(str) packed = {.ceiling = BUNDLE_MAX + ((size_t) BUNDLE_FILES << 11)};

    for (int i = 0; i < files->n; i++)
        if (!pack_one(&packed, &files->files[i], err))
            return false;
    str_addn(&packed, end, sizeof end);
    str_free(out);
    *out = packed;
    packed = (struct str) {0};
    return true;
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool unpack_one(struct reader *r, struct archive_entry *e, struct arena *a, size_t *left,
                       struct bundle *out, struct err *err)
{
    const char *name = archive_entry_pathname(e);
    la_int64_t size = archive_entry_size(e);

    if (!name || archive_entry_filetype(e) != AE_IFREG || archive_entry_hardlink(e))
        return err_set(err, ERR_INPUT, "%s is no plain file", name ? name : "an entry");
    if (size < 0 || (size_t) size > *left || out->n == BUNDLE_FILES)
        return err_set(err, ERR_INPUT, "it holds more than %zu bytes or %d files", BUNDLE_MAX,
                       BUNDLE_FILES);
    char *bytes = arena_alloc(a, (size_t) size + 1);
    if (archive_read_data(r->a, bytes, (size_t) size) != size)
        return archive_failed(r->a, name, err);
    *left -= (size_t) size;
    out->files = arena_more(a, out->files, sizeof *out->files, out->n);
    out->files[out->n++] = (struct bundle_file) {arena_strdup(a, name), bytes, (size_t) size};
    return true;
}

bool tar_unpack(const char *bytes, size_t n, struct arena *a, struct bundle *out, struct err *err)
{
    AUTO(reader) r = {archive_read_new()};
    struct bundle found = {0};
    size_t left = BUNDLE_MAX;
    struct archive_entry *e;
    int got;

    if (archive_read_support_format_tar(r.a) != ARCHIVE_OK ||
        archive_read_open_memory(r.a, bytes, n) != ARCHIVE_OK)
        return archive_failed(r.a, "it is no tar file", err);
    while ((got = archive_read_next_header(r.a, &e)) == ARCHIVE_OK)
        if (!unpack_one(&r, e, a, &left, &found, err))
            return false;
    if (got != ARCHIVE_EOF)
        return archive_failed(r.a, "it is no tar file", err);
    *out = found;
    return true;
}

/* The folder that snapshots are in: small files whole, and what its errors mean. */
#include "snapshot_int.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MANIFEST_CEILING = 16 << 20 };

bool folder_error(struct err *err, int failed, const char *doing, const char *path)
{
    err_set(err, ERR_UNREACHABLE, "can't %s %s: %s", doing, path, strerror(failed));
    if (failed == ENOSPC || failed == EDQUOT || failed == EFBIG)
        return err_hint(err, "make room there, or name another folder in snapshots: of the "
                             "environment; then the same command again");
    return err_hint(err, "see that the folder of snapshots: is there and may be written by this "
                         "user; then the same command again");
}

bool snapshot_is_stopped(const struct ports *ports, struct err *err)
{
    if (!ports_interrupted(ports))
        return false;
    err_set(err, ERR_INTERRUPTED, "stopped by a signal while a snapshot was being worked on");
    err_hint(err, "the same command begins it again; nothing was destroyed");
    return true;
}

const char *folder_path(struct arena *a, const char *folder, const char *name, const char *file)
{
    return file ? arena_printf(a, "%s/%s/%s", folder, name, file)
                : arena_printf(a, "%s/%s", folder, name);
}

const char *folder_hex(struct arena *a, const unsigned char *bytes, unsigned n)
{
    AUTO(str) s = {0};

    for (unsigned i = 0; i < n; i++)
        str_addf(&s, "%02x", bytes[i]);
    return arena_strdup(a, str_text(&s));
}

const char *folder_sha256(struct arena *a, const char *bytes, size_t n)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (EVP_Digest(bytes, n, sum, &len, EVP_sha256(), NULL) != 1)
        return NULL;
    return folder_hex(a, sum, len);
}

/* One level only: a path whose beginning is missing is a disk that isn't mounted. */
bool folder_make(const char *path, struct err *err)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return folder_error(err, errno, "make", path);
    return folder_sync_of(path, err);
}

bool folder_sync_of(const char *path, struct err *err)
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
        return folder_error(err, errno, "open", str_text(&parent));
    int failed = fsync(fd) == 0 || errno == EINVAL ? 0 : errno;
    close(fd);
    return failed ? folder_error(err, failed, "flush", str_text(&parent)) : true;
}

static int put_all(int fd, const char *text, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, text, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return errno;
        text += done;
        n -= (size_t) done;
    }
    return fsync(fd) == 0 ? 0 : errno;
}

bool folder_put(const char *path, const char *text, size_t n, struct err *err)
{
    AUTO(str) part = {0};

    str_addf(&part, "%s.part", path);
    int fd = open(str_text(&part), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return folder_error(err, errno, "write", path);
    int failed = put_all(fd, text, n);
    if (close(fd) != 0 && !failed)
        failed = errno;
    if (!failed && rename(str_text(&part), path) != 0)
        failed = errno;
    if (failed) {
        unlink(str_text(&part));
        return folder_error(err, failed, "write", path);
    }
    return folder_sync_of(path, err);
}

bool folder_get(const char *path, struct str *out, struct err *err)
{
    char buffer[1 << 14];
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return folder_error(err, errno, "read", path);
    out->ceiling = MANIFEST_CEILING;
    while ((n = read(fd, buffer, sizeof buffer)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int failed = errno;
            close(fd);
            return folder_error(err, failed, "read", path);
        }
        str_addn(out, buffer, (size_t) n);
    }
    close(fd);
    return true;
}

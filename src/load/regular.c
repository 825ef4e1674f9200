/* Files that are read from the project: only regular ones, so that no read waits for a FIFO or goes on for ever. */
#include "phasegate/load.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool look(int fd, const char *shown, int64_t max, struct err *err)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return err_set(err, ERR_INPUT, "%s: %s", shown, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_INPUT, "%s: not a regular file; expected a file", shown);
    if (st.st_size > max)
        return err_set(err, ERR_INPUT, "%s: larger than the %" PRId64 " bytes that are accepted",
                       shown, max);
    return true;
}

int regular_open(const char *path, const char *shown, int64_t max, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0)
        err_set(err, ERR_INPUT, "%s: %s", shown, strerror(errno));
    else if (!look(fd, shown, max, err)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

bool regular_read(const char *path, const char *shown, int64_t max, struct str *out,
                  struct err *err)
{
    char chunk[16384];
    int fd = regular_open(path, shown, max, err);
    ssize_t got = 1;
    int64_t n = 0;

    if (fd < 0)
        return false;
    /* What is accepted isn't cut. */
    if (out->ceiling == 0)
        out->ceiling = (size_t) max;
    while (got > 0 && n <= max) {
        got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got > 0) {
            str_addn(out, chunk, (size_t) got);
            n += got;
        }
    }
    int why = errno;
    close(fd);
    if (got < 0)
        return err_set(err, ERR_INPUT, "%s: %s", shown, strerror(why));
    if (n > max) /* it grew meanwhile */
        return err_set(err, ERR_INPUT, "%s: larger than the %" PRId64 " bytes that are accepted",
                       shown, max);
    return true;
}

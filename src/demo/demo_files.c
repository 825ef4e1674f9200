/* The example project, from the binary into a folder. */
#include "demo/demo_int.h"

#include "embedded_demo.h"
#include "phasegate/io.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static bool make_folder_of(const char *path, struct err *err)
{
    AUTO(str) folder = {0};

    str_addn(&folder, path, (size_t) (strrchr(path, '/') - path));
    int failed = host_make_folders(str_text(&folder));
    return failed == 0 ||
           err_set(err, ERR_UNREACHABLE, "%s: %s", str_text(&folder), strerror(failed));
}

static bool write_file(const char *path, const char *text, struct err *err)
{
    size_t left = strlen(text);
    ssize_t put = 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    while (fd >= 0 && left > 0 && (put = write(fd, text, left)) > 0) {
        text += put;
        left -= (size_t) put;
    }
    if (fd < 0 || left > 0)
        err_set(err, ERR_UNREACHABLE, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return fd >= 0 && left == 0;
}

bool demo_files_write(const char *folder, struct err *err)
{
    for (const struct embedded_file *f = embedded_demo; f->path; f++) {
        AUTO(str) path = {0};

        str_addf(&path, "%s/%s", folder, f->path);
        if (!make_folder_of(str_text(&path), err) || !write_file(str_text(&path), f->text, err))
            return false;
    }
    return true;
}

/* fake_host: a host port whose files are texts in memory. Appends and writes can be made to fail.
 * append_durable's contract is kept: one line and its newline, or nothing. */
#ifndef PHASEGATE_TEST_FAKE_HOST_H
#define PHASEGATE_TEST_FAKE_HOST_H

#include "phasegate/ports.h"

#include <string.h>

#define FAKE_FILES 8

struct fake_file {
    const char *path;
    struct str text;
    int mode;
};

struct fake_host {
    struct host host; /* first */
    struct fake_file files[FAKE_FILES];
    bool disk_full, unreadable;
    int appends, writes;
};

static inline struct fake_file *fake_file(struct fake_host *f, const char *path, bool make)
{
    for (int i = 0; i < FAKE_FILES; i++) {
        if (f->files[i].path && strcmp(f->files[i].path, path) == 0)
            return &f->files[i];
        if (!f->files[i].path && make) {
            f->files[i].path = path;
            return &f->files[i];
        }
        if (!f->files[i].path)
            return NULL;
    }
    return NULL;
}

static inline bool fake_read_file(struct host *h, const char *path, size_t max, struct str *out,
                                  struct err *err)
{
    struct fake_host *f = (struct fake_host *) h;
    const struct fake_file *file = fake_file(f, path, false);

    if (!file || f->unreadable)
        return err_set(err, ERR_INPUT, "%s: no such file", path);
    if (file->text.len > max)
        return err_set(err, ERR_INPUT, "%s: larger than %zu", path, max);
    str_addn(out, str_text(&file->text), file->text.len);
    return true;
}

static inline bool fake_file_exists(struct host *h, const char *path)
{
    return fake_file((struct fake_host *) h, path, false) != NULL;
}

static inline bool fake_write_atomic(struct host *h, const char *path, const char *bytes, size_t n,
                                     int mode, struct err *err)
{
    struct fake_host *f = (struct fake_host *) h;
    struct fake_file *file;

    if (f->disk_full)
        return err_set(err, ERR_UNREACHABLE, "%s: no space left on device", path);
    file = fake_file(f, path, true);
    str_clear(&file->text);
    str_addn(&file->text, bytes, n);
    file->mode = mode;
    f->writes++;
    return true;
}

static inline bool fake_append_durable(struct host *h, const char *path, const char *line,
                                       struct err *err)
{
    struct fake_host *f = (struct fake_host *) h;
    struct fake_file *file;

    if (f->disk_full)
        return err_set(err, ERR_UNREACHABLE, "%s: no space left on device", path);
    file = fake_file(f, path, true);
    str_add(&file->text, line);
    str_addc(&file->text, '\n');
    f->appends++;
    return true;
}

static inline const char *fake_hostname(struct host *h)
{
    (void) h;
    return "here";
}

static inline const char *fake_user(struct host *h)
{
    (void) h;
    return "alice";
}

static inline int64_t fake_pid(struct host *h)
{
    (void) h;
    return 4711;
}

static inline void fake_host_init(struct fake_host *f)
{
    static const struct host_ops ops = {.read_file = fake_read_file,
                                        .file_exists = fake_file_exists,
                                        .write_atomic = fake_write_atomic,
                                        .append_durable = fake_append_durable,
                                        .hostname = fake_hostname,
                                        .user = fake_user,
                                        .pid = fake_pid};

    *f = (struct fake_host) {.host = {&ops}};
}

static inline void fake_host_free(struct fake_host *f)
{
    for (int i = 0; i < FAKE_FILES; i++)
        str_free(&f->files[i].text);
}
static inline void fake_host_auto(struct fake_host *f) { fake_host_free(f); }

#endif

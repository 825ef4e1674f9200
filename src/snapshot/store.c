/* What is the same of every store. */
#include "store_int.h"

#include <string.h>

enum { SMALL_CEILING = 16 << 20 };

bool store_make(const struct store *s, const char *name, struct err *err)
{
    return s->ops->make(s, name, err);
}

bool store_create(const struct store *s, const char *name, const char *file,
                  struct store_file **out, struct err *err)
{
    return s->ops->create(s, name, file, out, err);
}

bool store_write(const struct store *s, struct store_file *f, const char *bytes, size_t n,
                 struct err *err)
{
    return s->ops->write(f, bytes, n, err);
}

bool store_finish(const struct store *s, struct store_file *f, struct err *err)
{
    return s->ops->finish(f, err);
}

bool store_open(const struct store *s, const char *name, const char *file, struct store_file **out,
                struct err *err)
{
    return s->ops->open(s, name, file, out, err);
}

bool store_read(const struct store *s, struct store_file *f, char *to, size_t room, size_t *n,
                struct err *err)
{
    return s->ops->read(f, to, room, n, err);
}

void store_close(const struct store *s, struct store_file *f)
{
    if (f)
        s->ops->close(f);
}

bool store_has(const struct store *s, const char *name, const char *file, bool *out,
               struct err *err)
{
    return s->ops->has(s, name, file, out, err);
}

bool store_remove(const struct store *s, const char *name, struct err *err)
{
    return s->ops->remove(s, name, err);
}

bool store_put(const struct store *s, const char *name, const char *file, const char *bytes,
               size_t n, struct err *err)
{
    struct store_file *f = NULL;

    if (!store_create(s, name, file, &f, err))
        return false;
    bool good = store_write(s, f, bytes, n, err) && store_finish(s, f, err);
    store_close(s, f);
    return good;
}

bool store_get(const struct store *s, const char *name, const char *file, struct str *out,
               struct err *err)
{
    struct store_file *f = NULL;
    char buffer[1 << 14];
    size_t n = 1;

    if (!store_open(s, name, file, &f, err))
        return false;
    out->ceiling = SMALL_CEILING;
    bool good = true;
    while (good && n > 0) {
        good = store_read(s, f, buffer, sizeof buffer, &n, err);
        if (good)
            str_addn(out, buffer, n);
    }
    store_close(s, f);
    return good;
}

const char *store_path(struct arena *a, const struct store *s, const char *name, const char *file)
{
    return file ? arena_printf(a, "%s/%s/%s", s->location, name, file)
                : arena_printf(a, "%s/%s", s->location, name);
}

bool store_is_ours(const char *file)
{
    return strstr(file, ".copy.zst") || strstr(file, ".sql.zst") || strcmp(file, PROBE) == 0 ||
           strncmp(file, MANIFEST, strlen(MANIFEST)) == 0;
}

/* The baseline as it was where a branch began: from git's own store, into memory. */
#include "check_since.h"

#include "phasegate/load.h"
#include "phasegate/names.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- which it was ------------------------------------------------------------------------------------------------ */

/* As the project file of then has it: it may have been another one. */
static bool baseline_then(struct since *s, const char **out, struct err *err)
{
    struct context *c = s->c;
    struct since_thing file;
    const struct since_thing *const one = &file;
    AUTO(problem_list) ignored = {0};
    AUTO(str) text = {0};
    struct project then = {0};

    *out = since_path(c, c->set.project.baseline.s);
    if (!since_has(s, c->set.project.file))
        return true;
    if (!since_find(s, since_path(c, c->set.project.file), &file, err))
        return false;
    if (file.where != SINCE_A_FILE)
        return true;
    if (!since_read(s, &one, 1, &text, err))
        return false;
    if (project_parse(&c->arena, c->set.project.file, str_text(&text), text.len, &then, &ignored) &&
        then.baseline.s)
        *out = since_path(c, then.baseline.s);
    return true;
}

/* ---- its files --------------------------------------------------------------------------------------------------- */

struct fetching {
    struct since *s;
    struct given_file *files;
    struct since_thing *things;
    int n;
};

/* What the branch didn't change is in the work tree as it was. */
static void add(struct fetching *f, const char *name, const char *path,
                const struct since_thing *thing)
{
    bool is_there = !since_differs(path, thing);

    f->files[f->n] = (struct given_file) {.name = name, .path = is_there ? path : NULL};
    f->things[f->n++] = *thing;
}

static void make_room(struct fetching *f, int n)
{
    f->files = arena_array(&f->s->c->arena, struct given_file, n + 1);
    f->things = arena_array(&f->s->c->arena, struct since_thing, n + 1);
}

static bool add_folder(struct fetching *f, const struct since_thing *folder, const char *path,
                       struct err *err)
{
    struct since_folder then;

    if (!since_list(f->s, folder, &then, err))
        return false;
    make_room(f, then.n);
    for (int i = 0; i < then.n; i++) {
        const char *name = then.entries[i].name;
        const char *at = arena_printf(&f->s->c->arena, "%s/%s", path, name);
        struct since_thing thing;

        if (!since_is_sql(name))
            continue;
        if (!since_find(f->s, at, &thing, err))
            return false;
        if (thing.where == SINCE_A_FILE)
            add(f, name, at, &thing);
    }
    return true;
}

/* All that the work tree lacks from one process. */
static bool read_contents(struct fetching *f, struct err *err)
{
    struct arena *a = &f->s->c->arena;
    const struct since_thing **wanted = arena_array(a, const struct since_thing *, f->n + 1);
    struct str *texts = arena_array(a, struct str, f->n + 1);
    int m = 0;

    for (int i = 0; i < f->n; i++)
        if (!f->files[i].path)
            wanted[m++] = &f->things[i];
    bool ok = since_read(f->s, wanted, m, texts, err);
    m = 0;
    for (int i = 0; i < f->n; i++) {
        if (f->files[i].path)
            continue;
        char *bytes = arena_alloc(a, texts[m].len + 1);
        memcpy(bytes, str_text(&texts[m]), texts[m].len);
        f->files[i].bytes = bytes;
        f->files[i].n = texts[m].len;
        str_free(&texts[m++]);
    }
    return ok;
}

/* ---- what the branch did ----------------------------------------------------------------------------------------- */

static void list_now(struct since *s, const char *shown, const char *path, struct text_list *out)
{
    struct arena *a = &s->c->arena;
    DIR *dir = opendir(path);

    for (const struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir))
        if (since_is_sql(e->d_name) && since_has(s, arena_printf(a, "%s/%s", path, e->d_name))) {
            out->items = arena_more(a, out->items, sizeof *out->items, out->n);
            out->items[out->n++].s = arena_printf(a, "%s/%s", shown, e->d_name);
        }
    if (dir)
        closedir(dir);
}

static int compare_texts(const void *x, const void *y)
{
    const char *const *a = x, *const *b = y;

    return strcmp(*a, *b);
}

static const char *const *sorted(struct arena *a, const struct text_list *l)
{
    const char **list = arena_array(a, const char *, l->n + 1);

    for (int i = 0; i < l->n; i++)
        list[i] = l->items[i].s;
    if (l->n > 1)
        qsort(list, (size_t) l->n, sizeof *list, compare_texts);
    return list;
}

/* Files of the baseline of now that are new or changed, and those that are gone, as the project names them. */
static bool list_changed(struct since *s, struct before_files *out, struct err *err)
{
    struct arena *a = &s->c->arena;
    const char *shown = s->c->set.project.baseline.s, *path = since_path(s->c, shown);
    struct text_list changed = {0}, gone = {0};
    struct since_folder then = {0};
    struct since_thing thing;

    if (!since_find(s, path, &thing, err))
        return false;
    if (!check_baseline_is_folder(s->c)) {
        out->changed = arena_new(a, const char *);
        if (since_has(s, path))
            ((const char **) out->changed)[out->n_changed++] = shown;
        return true;
    }
    shown = path_tidy(a, shown, false);
    list_now(s, shown, path, &changed);
    if (thing.where == SINCE_A_FOLDER && !since_list(s, &thing, &then, err))
        return false;
    for (int i = 0; i < then.n; i++)
        if (since_is_sql(then.entries[i].name) &&
            access(arena_printf(a, "%s/%s", path, then.entries[i].name), F_OK) != 0) {
            gone.items = arena_more(a, gone.items, sizeof *gone.items, gone.n);
            gone.items[gone.n++].s = arena_printf(a, "%s/%s", shown, then.entries[i].name);
        }
    out->changed = sorted(a, &changed);
    out->n_changed = changed.n;
    out->gone = sorted(a, &gone);
    out->n_gone = gone.n;
    return true;
}

bool since_fetch(void *ctx, struct before_files *out, struct err *err)
{
    struct since *s = ctx;
    struct fetching f = {.s = s};
    struct since_thing then;
    const char *path = NULL;

    *out = (struct before_files) {0};
    if (!baseline_then(s, &path, err) || !since_find(s, path, &then, err))
        return false;
    if (then.where != SINCE_A_FILE && then.where != SINCE_A_FOLDER)
        return true;
    const char *slash = strrchr(path, '/');
    out->shown = slash && slash[1] ? slash + 1 : "baseline";
    out->is_folder = then.where == SINCE_A_FOLDER;
    if (out->is_folder && !add_folder(&f, &then, path, err))
        return false;
    if (!out->is_folder) {
        make_room(&f, 1);
        add(&f, out->shown, path, &then);
    }
    if (f.n == 0)
        return true;
    out->files = f.files;
    out->n_files = f.n;
    return read_contents(&f, err) && list_changed(s, out, err);
}

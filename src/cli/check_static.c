/* check --static PATH...: parsing takes most of the time and goes on in several threads; lints follow in order. */
#include "check_static.h"

#include "cli.h"

#include "phasegate/load.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { AHEAD = 64, THREADS_MOST = 16, FILES_PER_THREAD = 16 };
#define FILE_MOST ((int64_t) 64 << 20)

/* ---- which files ----------------------------------------------------------------------------------------------- */

struct files {
    struct arena arena;
    struct lint_file *items;
    int n, cap;
    int last_set;
    struct str *skipped;
};

static void files_auto(struct files *f) { arena_free(&f->arena); }

static bool ends_in_sql(const char *name)
{
    size_t n = strlen(name);

    return n > 4 && strcmp(name + n - 4, ".sql") == 0;
}

bool is_static_path(const char *arg)
{
    struct stat st;

    return ends_in_sql(arg) || (stat(arg, &st) == 0 && S_ISDIR(st.st_mode));
}

static void add_file(struct files *f, const char *path, int set)
{
    if (f->n == f->cap) {
        int cap = f->cap ? 2 * f->cap : 64;

        f->items = arena_grow(&f->arena, f->items, sizeof *f->items * (size_t) f->cap,
                              sizeof *f->items * (size_t) cap);
        f->cap = cap;
    }
    f->items[f->n++] = (struct lint_file) {.path = path, .set = set};
}

static bool cant_read(struct err *err, const char *path)
{
    err_set(err, ERR_INPUT, "%s: %s", path, strerror(errno));
    return err_hint(err, "name .sql files, or folders of them: phasegate check --static FILE.sql");
}

static int is_visible(const struct dirent *e) { return e->d_name[0] != '.'; }

static bool add_folder(struct files *f, const char *path, struct err *err)
{
    struct dirent **found = NULL;
    int n = scandir(path, &found, is_visible, versionsort);
    bool good = n >= 0;

    if (!good)
        cant_read(err, path);
    for (int i = 0; i < n; i++) {
        const char *name = found[i]->d_name;
        const char *inner =
            arena_printf(&f->arena, "%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/", name);
        struct stat st;
        bool is_folder =
            found[i]->d_type == DT_DIR ||
            (found[i]->d_type == DT_UNKNOWN && lstat(inner, &st) == 0 && S_ISDIR(st.st_mode));

        if (good && is_folder)
            good = add_folder(f, inner, err);
        else if (good && ends_in_sql(name) && stat(inner, &st) == 0 && !S_ISREG(st.st_mode))
            str_addf(f->skipped, " %s", inner);
        else if (good && ends_in_sql(name))
            add_file(f, inner, ++f->last_set);
        free(found[i]);
    }
    free(found);
    return good;
}

static bool gather(struct files *f, const char *const *paths, int n, struct err *err)
{
    int together = ++f->last_set;

    for (int i = 0; i < n; i++) {
        struct stat st;

        if (stat(paths[i], &st) != 0)
            return cant_read(err, paths[i]);
        if (!S_ISDIR(st.st_mode))
            add_file(f, arena_strdup(&f->arena, paths[i]), together);
        else if (!add_folder(f, paths[i], err))
            return false;
    }
    return true;
}

/* ---- reading and parsing, in threads ----------------------------------------------------------------------------- */

struct slot {
    struct arena arena;
    struct lint_parse *parse; /* NULL: it couldn't be read */
    struct err err;           /* why */
    bool is_done;
};

struct crew {
    const struct files *files;
    struct slot slots[AHEAD];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int taken, linted; /* files that somebody has begun to parse; that are over */
    bool is_over;
};

static void parse_one(struct crew *c, int i)
{
    struct slot *s = &c->slots[i % AHEAD];
    struct lint_file file = c->files->items[i];
    AUTO(str) text = {0};

    s->parse = NULL;
    if (!regular_read(file.path, file.path, FILE_MOST, &text, &s->err))
        return;
    file.sql = arena_strdup(&s->arena, str_text(&text));
    s->parse = lint_file_parse(&s->arena, &file);
}

/* The next file that nobody has begun, where there's room for it; -1: none for now. Under the lock. */
static int take(struct crew *c)
{
    if (c->is_over || c->taken == c->files->n || c->taken - c->linted >= AHEAD)
        return -1;
    return c->taken++;
}

static void done(struct crew *c, int i)
{
    c->slots[i % AHEAD].is_done = true;
    pthread_cond_broadcast(&c->changed);
}

static void *help_parse(void *ctx)
{
    struct crew *c = ctx;

    pthread_mutex_lock(&c->lock);
    while (!c->is_over && c->taken < c->files->n) {
        int i = take(c);

        if (i < 0) {
            pthread_cond_wait(&c->changed, &c->lock);
            continue;
        }
        pthread_mutex_unlock(&c->lock);
        parse_one(c, i);
        pthread_mutex_lock(&c->lock);
        done(c, i);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

/* Waits for file i, and parses others meanwhile. */
static struct slot *await(struct crew *c, int i)
{
    struct slot *s = &c->slots[i % AHEAD];

    pthread_mutex_lock(&c->lock);
    while (!s->is_done) {
        int other = take(c);

        if (other < 0) {
            pthread_cond_wait(&c->changed, &c->lock);
            continue;
        }
        pthread_mutex_unlock(&c->lock);
        parse_one(c, other);
        pthread_mutex_lock(&c->lock);
        done(c, other);
    }
    pthread_mutex_unlock(&c->lock);
    return s;
}

static void give_back(struct crew *c, struct slot *s)
{
    lint_parse_free(s->parse);
    arena_reset(&s->arena);
    pthread_mutex_lock(&c->lock);
    s->parse = NULL;
    s->is_done = false;
    c->linted++;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static void crew_end(struct crew *c, pthread_t *threads, int n)
{
    pthread_mutex_lock(&c->lock);
    c->is_over = true;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < AHEAD; i++) {
        lint_parse_free(c->slots[i].parse);
        arena_free(&c->slots[i].arena);
        err_clear(&c->slots[i].err);
    }
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
}

static int count_threads(int n_files)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    int n = n_files / FILES_PER_THREAD; /* a thread costs more than a few files */

    n = n < processors - 1 ? n : (int) processors - 1;
    return n < 0 ? 0 : n < THREADS_MOST ? n : THREADS_MOST;
}

/* ---- in order ------------------------------------------------------------------------------------------------------- */

static bool lint_all(struct crew *c, const struct project *project, struct report *out,
                     struct suppression_list *sup, struct err *err)
{
    AUTO(arena) a = {0};
    struct lint_known *known = lint_known_new(&a);

    for (int i = 0; i < c->files->n; i++) {
        struct slot *s = await(c, i);

        if (!s->parse)
            return (err_move(err, &s->err), false);
        lint_sql_file(known, &c->files->items[i], s->parse, project, out, sup);
        give_back(c, s);
    }
    lint_sql_end(known, out);
    return true;
}

bool check_static_files(const char *const *paths, int n, const struct project *project,
                        struct report *out, struct suppression_list *sup, struct str *skipped,
                        struct err *err)
{
    AUTO(files) files = {.skipped = skipped};
    struct crew c = {.files = &files};
    pthread_t threads[THREADS_MOST];
    int n_threads, started = 0;
    bool good;

    if (!gather(&files, paths, n, err))
        return false;
    for (int i = 0; i < files.n; i++) /* findings point at them */
        files.items[i].path = arena_strdup(&out->arena, files.items[i].path);
    json_object_seed(0); /* jansson's, while there is one thread */
    pthread_mutex_init(&c.lock, NULL);
    pthread_cond_init(&c.changed, NULL);
    n_threads = count_threads(files.n);
    while (started < n_threads && pthread_create(&threads[started], NULL, help_parse, &c) == 0)
        started++;
    good = lint_all(&c, project, out, sup, err);
    crew_end(&c, threads, started);
    return good;
}

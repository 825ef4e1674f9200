/* The life of the shadow: its server, ours or the user's. */
#include "shadow/shadow_int.h"
#include "shadow/wire_int.h"

#include "phasegate/io.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

enum { OLDEST_SERVER = 140000, TMPFS = 0x01021994 };

/* ---- where it is fast ---------------------------------------------------------------------------- */

/* The number behind `word` in a file of the kernel's, or -1. */
static long long number_in(const char *path, const char *word)
{
    char text[512] = "";
    FILE *file = fopen(path, "re");
    size_t got = file ? fread(text, 1, sizeof text - 1, file) : 0;
    const char *at = got > 0 ? strstr(text, word) : NULL;

    if (file)
        fclose(file);
    at = at ? at + strlen(word) : NULL;
    return at && strpbrk(at, "0123456789") ? strtoll(at, NULL, 10) : -1;
}

/* A folder in memory, for a server whose files nobody wants back: initdb takes a third of the time there. Not where
 * it would eat up a small machine or container. */
static const char *fast_folder(void)
{
    static const char shm[] = "/dev/shm";
    const long long enough = 1LL << 30;
    const char *tmp = getenv("TMPDIR");
    long long container = number_in("/sys/fs/cgroup/memory.max", "");
    struct statfs kind;
    struct statvfs space;

    if ((tmp && *tmp) || statfs(shm, &kind) != 0 || (long) kind.f_type != TMPFS ||
        statvfs(shm, &space) != 0 || access(shm, W_OK | X_OK) != 0)
        return NULL;
    long long free_bytes = (long long) space.f_bavail * (long long) space.f_frsize;
    long long free_memory = 1024 * number_in("/proc/meminfo", "MemAvailable:");
    bool is_roomy = free_memory >= 2 * enough && (container <= 0 || container >= 2 * enough);
    return is_roomy && free_bytes >= enough ? shm : NULL;
}

/* Characters beyond ASCII have case and class there, as in production, and sorting costs nothing. */
static const char *best_locale(void)
{
    locale_t found = newlocale(LC_ALL_MASK, "C.UTF-8", (locale_t) 0);

    if (!found)
        return "C";
    freelocale(found);
    return "C.UTF-8";
}

/* ---- our own server ------------------------------------------------------------------------------ */

static bool start_own(struct shadow *s, struct err *err)
{
    /* Nothing of it has to survive the machine, nothing has to run besides, and nobody reads its log. But a backend
     * that crashes on a statement must not take what others have done with it. A WAL writer that is behind is woken by
     * each transaction that is taken back: 0, and it isn't. */
    static const char *const settings[] = {"max_connections=30",
                                           "shared_buffers=64MB",
                                           "dynamic_shared_memory_type=mmap",
                                           "max_locks_per_transaction=256",
                                           "synchronous_commit=on",
                                           "max_wal_senders=0",
                                           "max_replication_slots=0",
                                           "wal_level=minimal",
                                           "max_wal_size=256MB",
                                           "wal_writer_flush_after=0",
                                           "checkpoint_timeout=1h",
                                           "autovacuum=off",
                                           "jit=off",
                                           "max_parallel_workers=0",
                                           "max_parallel_workers_per_gather=0",
                                           "max_parallel_maintenance_workers=0",
                                           "max_logical_replication_workers=0",
                                           "huge_pages=off",
                                           "track_counts=on",
                                           "update_process_title=off",
                                           "temp_file_limit=1GB",
                                           "lc_messages=C",
                                           "log_min_messages=fatal",
                                           "log_min_error_statement=panic",
                                           "log_checkpoints=off",
                                           NULL};
    struct pg_local_options o = {.bin_dir = s->bin_dir,
                                 .parent = fast_folder(),
                                 .settings = settings,
                                 .superuser = SHADOW_ADMIN,
                                 .locale = s->locale,
                                 .is_confined = true,
                                 .interrupt = s->interrupt};

    if (o.parent)
        pg_local_clean(NULL); /* and what an earlier run left in the slower place */
    if (s->cache ? shadow_image_start(s, &o, err) : pg_local_start(&o, &s->pg, err))
        return true;
    if (err_is(err, ERR_UNREACHABLE) && err->hint.len == 0)
        err_hint(err,
                 "phasegate check starts a PostgreSQL of its own: PHASEGATE_PG_BIN=DIR names the "
                 "programs of another one, --shadow URL a server that runs already.");
    return false;
}

#define ADMIN_OPTIONS "-c client_min_messages=error -c search_path=pg_catalog"

/* What every session of ours needs; not all of it is known to servers that are too old. */
static bool settle_admin(struct shadow *s, struct err *err)
{
    AUTO(arena) a = {0};
    struct wire_result r = {0};

    if (s->is_super && !wire_exec(s->admin, &a, "SET lc_messages = 'C'", false, &r, err))
        return false;
    if (!s->url)
        return true;
    /* Without this session we would be taken for dead. */
    if (!wire_exec(s->admin, &a,
                   "SET idle_session_timeout = 0; SET idle_in_transaction_session_timeout = 0",
                   false, &r, err) ||
        !wire_exec(s->admin, &a, "SET client_connection_check_interval = '1s'", false, &r, err))
        return false;
    s->watches_clients = r.ok; /* not on every system */
    if (!wire_exec(s->admin, &a, "SHOW fsync", true, &r, err))
        return false;
    s->is_unsynced = r.ok && r.n_rows == 1 && strcmp(r.cell[0][0], "off") == 0;
    return true;
}

const char *shadow_mortal(const struct shadow *s)
{
    return s->watches_clients ? "-c client_connection_check_interval=1s" : "";
}

static bool open_admin(struct shadow *s, struct err *err)
{
    struct connect_spec c = {.label = s->run, .options = ADMIN_OPTIONS};
    struct wire_options o = {.statement_ms = SHADOW_ADMIN_MS};
    const char *super;

    if (!wire_connect(s, &c, &o, &s->admin, err))
        return false;
    s->version = PQserverVersion(s->admin->conn);
    super = PQparameterStatus(s->admin->conn, "is_superuser");
    s->is_super = super && strcmp(super, "on") == 0;
    if (s->version >= OLDEST_SERVER)
        return settle_admin(s, err);
    err_set(err, ERR_UNREACHABLE,
            "the shadow's server is too old: version %d, expected 14 or newer", s->version / 10000);
    return err_hint(err, "Install a newer one, or name one: --shadow URL.");
}

bool shadow_admin_wire(struct shadow *s, struct wire **out, struct err *err)
{
    if (!wire_is_alive(s->admin)) {
        wire_close(s->admin);
        s->admin = NULL;
        if (!open_admin(s, err))
            return false;
        s->held.n = 0; /* locks went with the session */
    }
    *out = s->admin;
    return true;
}

static void choose_names(struct shadow *s)
{
    s->prefix = "";
    s->owner = SHADOW_OWNER;
    if (!s->url)
        return;
    s->run = arena_printf(&s->arena, "phasegate_shadow_%08x", clock_random(s->clock));
    s->prefix = arena_printf(&s->arena, "%s_", s->run);
    s->owner = arena_printf(&s->arena, "%sowner", s->prefix);
    s->secret =
        arena_printf(&s->arena, "%08x%08x%08x%08x", clock_random(s->clock), clock_random(s->clock),
                     clock_random(s->clock), clock_random(s->clock));
}

static bool start_and_prepare(struct shadow *s, struct err *err)
{
    return (s->url || start_own(s, err)) && open_admin(s, err) &&
           (s->has_baseline || shadow_prepare(s, err));
}

/* Lives until the end: the server dies with the thread that started it. */
static void *server_main(void *arg)
{
    struct shadow *s = arg;
    AUTO(err) err = {0};
    bool good = start_and_prepare(s, &err);

    pthread_mutex_lock(&s->lock);
    if (!good)
        err_move(&s->start_err, &err);
    s->is_started = true;
    pthread_cond_signal(&s->changed);
    while (!s->is_ended)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
    pg_local_stop(s->pg);
    return NULL;
}

static bool start_thread(struct shadow *s, struct err *err)
{
    sigset_t all, before;
    int failed;

    sigfillset(&all); /* signals are for the threads that wait */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&s->thread, NULL, server_main, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return err_set(err, ERR_UNREACHABLE, "no thread for the shadow: %s", strerror(failed));
    s->has_thread = true;
    return true;
}

/* ---- begin, ready, end --------------------------------------------------------------------------- */

static bool check_options(struct shadow *s, struct err *err)
{
    AUTO(str) bin = {0};
    const char *given = getenv("PHASEGATE_PG_BIN");
    int hosts;

    if (!s->bin_dir && given && *given)
        s->bin_dir = arena_strdup(&s->arena, given);
    if (s->url)
        return db_url_check(s->url, &hosts, err) ? true : err_note(err, "the server of --shadow");
    if (s->bin_dir ? pg_local_has(s->bin_dir) : pg_local_find(&bin)) {
        s->bin_dir = s->bin_dir ? s->bin_dir : arena_strdup(&s->arena, str_text(&bin));
        return true;
    }
    if (s->bin_dir) {
        err_set(err, ERR_UNREACHABLE, "%s has no PostgreSQL server programs (initdb, postgres)",
                s->bin_dir);
        return err_hint(err,
                        "PHASEGATE_PG_BIN=DIR: the folder that has them, as pg_config --bindir "
                        "says; without it the newest of the machine are taken (apt install "
                        "postgresql). Or --shadow URL for a server that runs already.");
    }
    err_set(err, ERR_UNREACHABLE,
            "no PostgreSQL server programs (initdb, postgres) on this machine");
    return err_hint(err, "apt install postgresql (or postgresql-15), or PHASEGATE_PG_BIN=DIR, or "
                         "--shadow URL for a server that runs already.");
}

bool shadow_begin(const struct shadow_options *o, struct shadow **out, struct err *err)
{
    struct shadow *s = calloc(1, sizeof *s);
    int n = 0;

    if (!s)
        abort();
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    s->bin_dir = arena_strdup(&s->arena, o->bin_dir);
    s->url = arena_strdup(&s->arena, o->url);
    s->superuser_steps = o->superuser_steps;
    s->clock = o->clock;
    s->interrupt = o->interrupt;
    s->cache = o->url ? NULL : arena_strdup(&s->arena, o->cache);
    if (o->baseline)
        s->baseline = (struct shadow_baseline) {arena_strdup(&s->arena, o->baseline->database),
                                                arena_strdup(&s->arena, o->baseline->root),
                                                arena_strdup(&s->arena, o->baseline->path),
                                                arena_strdup(&s->arena, o->baseline->copy)};
    s->locale = best_locale();
    choose_names(s);
    while (o->roles && o->roles[n])
        n++;
    s->roles = arena_array(&s->arena, const char *, n + 1);
    for (int i = 0; i < n; i++)
        s->roles[i] = arena_strdup(&s->arena, o->roles[i]);
    if (!s->url)
        shadow_hide_settings(s);
    if (!check_options(s, err) || !start_thread(s, err)) {
        shadow_end(s);
        return false;
    }
    *out = s;
    return true;
}

bool shadow_is_interrupted(const struct shadow *s)
{
    return s->interrupt && s->interrupt->count > 0;
}

bool shadow_interrupted(const struct shadow *s, struct err *err)
{
    err_set(err, ERR_INTERRUPTED, "stopped by a signal");
    if (s->interrupt->signal == SIGTERM)
        err->exit_code = 128 + SIGTERM;
    return false;
}

static void wait_a_little(struct shadow *s)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += SHADOW_SLICE_MS * 1000000L;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    pthread_cond_clockwait(&s->changed, &s->lock, CLOCK_MONOTONIC, &t);
}

/* The same words each time: the err of the start stays with the shadow. */
static bool start_failed(const struct shadow *s, struct err *err)
{
    const struct err *e = &s->start_err;

    err_set(err, e->kind, "%s", str_text(&e->message));
    if (e->detail.len > 0)
        err_detail(err, "%s", str_text(&e->detail));
    if (e->hint.len > 0)
        err_hint(err, "%s", str_text(&e->hint));
    memcpy(err->sqlstate, e->sqlstate, sizeof err->sqlstate);
    err->exit_code = e->exit_code;
    return false;
}

bool shadow_ready(struct shadow *s, struct err *err)
{
    if (s->is_ready)
        return true;
    pthread_mutex_lock(&s->lock);
    while (!s->is_started && !shadow_is_interrupted(s))
        wait_a_little(s);
    bool is_started = s->is_started;
    s->is_ready = is_started && s->start_err.kind == ERR_NONE;
    pthread_mutex_unlock(&s->lock);
    if (s->is_ready)
        return true;
    return is_started ? start_failed(s, err) : shadow_interrupted(s, err);
}

bool shadow_is_starting(struct shadow *s)
{
    pthread_mutex_lock(&s->lock);
    bool is = !s->is_started && !shadow_is_interrupted(s);
    pthread_mutex_unlock(&s->lock);
    return is;
}

bool shadow_is_late(const struct shadow *s) { return s->slow_ms >= SHADOW_SLOW_MS; }

int shadow_left_out(const struct shadow *s, const struct shadow_left_out **out)
{
    *out = s->left_out;
    return s->n_left_out;
}

const char *shadow_owner(const struct shadow *s) { return s->owner; }

int shadow_server_version(const struct shadow *s) { return s->is_ready ? s->version : 0; }

void shadow_leave(struct shadow *s)
{
    if (!s || !s->has_thread || s->url)
        return;
    pthread_mutex_lock(&s->lock);
    if (s->is_started && !s->is_ended) {
        wire_close(s->admin);
        s->admin = NULL;
        s->is_ended = true;
        pthread_cond_signal(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
}

void shadow_end(struct shadow *s)
{
    AUTO(err) ignored = {0};

    if (!s)
        return;
    if (s->has_thread) {
        /* Not shadow_ready: a start that a signal ended has to be waited for too. */
        pthread_mutex_lock(&s->lock);
        while (!s->is_started)
            pthread_cond_wait(&s->changed, &s->lock);
        s->is_ended = true;
        if (s->url)
            shadow_url_end(s);
        wire_close(s->admin);
        pthread_cond_signal(&s->changed);
        pthread_mutex_unlock(&s->lock);
        pthread_join(s->thread, NULL);
    }
    shadow_show_settings(s);
    err_clear(&s->start_err);
    arena_free(&s->arena);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* ---- statements of our own ----------------------------------------------------------------------- */

bool shadow_result_err(const struct wire_result *r, const char *what, struct err *err)
{
    err_set(err, ERR_SQL, "%s: %s", what, r->message ? r->message : "failed");
    if (r->detail)
        err_detail(err, "%s", r->detail);
    if (strcmp(r->sqlstate, "53100") == 0) { /* disk_full */
        err->kind = ERR_UNREACHABLE;
        err_hint(err, "The disk of the shadow is full: make room there, or TMPDIR=DIR on another "
                      "one; then the same command again.");
    } else if (r->hint) {
        err_hint(err, "%s", r->hint);
    }
    memcpy(err->sqlstate, r->sqlstate, sizeof err->sqlstate);
    return false;
}

bool shadow_admin_query(struct shadow *s, struct arena *a, const char *sql, struct wire_result *out,
                        struct err *err)
{
    struct wire *admin;

    *out = (struct wire_result) {0};
    if (!shadow_admin_wire(s, &admin, err))
        return false;
    bool good = wire_exec(admin, a, sql, true, out, err);
    if (!good && err_is(err, ERR_CONNECTION_LOST)) {
        /* Of a server that crashed on something else. */
        err_clear(err);
        good = shadow_admin_wire(s, &admin, err) && wire_exec(admin, a, sql, true, out, err);
    }
    return good && !out->ok ? shadow_result_err(out, "preparing the shadow", err) : good;
}

bool shadow_admin(struct shadow *s, const char *sql, struct err *err)
{
    AUTO(arena) a = {0};
    struct wire_result r;

    return shadow_admin_query(s, &a, sql, &r, err);
}

#include "shadow/confine.h"
#include "shadow/pg_local_int.h"

#include "phasegate/io.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_TRIES 15000 /* of 2 ms */
#define STOP_TRIES 100    /* of 20 ms */
#define MAX_ARGS 128
#define MAX_PARENT 60

struct pg_local {
    struct str folder, data, log;
    struct arena arena; /* conninfos */
    const char *superuser;
    int lock_fd;
    pid_t pid;
    uid_t uid; /* whom the server runs as */
    gid_t gid;
};

static void pause_ms(int ms)
{
    nanosleep(&(struct timespec) {ms / 1000, ms % 1000 * 1000000L}, NULL);
}

const char *pg_parent_folder(const char *given)
{
    const char *tmp = getenv("TMPDIR");

    if (given)
        return given;
    return tmp && *tmp ? tmp : "/tmp";
}

/* ---- binaries ------------------------------------------------------------------------------------ */

bool pg_local_has(const char *folder)
{
    AUTO(str) initdb = {0};
    AUTO(str) postgres = {0};

    str_addf(&initdb, "%s/initdb", folder);
    str_addf(&postgres, "%s/postgres", folder);
    return access(str_text(&initdb), X_OK) == 0 && access(str_text(&postgres), X_OK) == 0;
}

static bool has_server(const char *folder, const char *program)
{
    (void) program;
    return pg_local_has(folder);
}

bool pg_local_find(struct str *out)
{
    const char *list = getenv("PATH");
    AUTO(str) path = {0};

    if (pg_program_newest(has_server, NULL, out))
        return true;
    str_set(&path, list ? list : "");
    for (char *rest = path.text, *folder; rest && (folder = strsep(&rest, ":"));) {
        if (*folder && pg_local_has(folder)) {
            str_set(out, folder);
            return true;
        }
    }
    return false;
}

/* ---- whom it runs as ------------------------------------------------------------------------------- */

bool pg_user_choose(uid_t *uid, gid_t *gid, struct err *err)
{
    const struct passwd *user = NULL;

    *uid = geteuid();
    *gid = getegid();
    if (*uid != 0)
        return true;
    user = getpwnam("postgres");
    if (!user)
        user = getpwnam("nobody");
    if (!user || user->pw_uid == 0) {
        err_set(
            err, ERR_UNREACHABLE,
            "PostgreSQL doesn't run as root, and there is no user postgres or nobody to run it");
        return err_hint(err, "useradd --system postgres, or run phasegate as another user.");
    }
    *uid = user->pw_uid;
    *gid = user->pw_gid;
    return true;
}

/* In the child: only calls that are safe after fork. */
static void child_become(const struct pg_local *p, int out_fd)
{
    static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    sigset_t none;
    int in_fd = open("/dev/null", O_RDONLY);

    /* None of ours may run here: what it writes, it writes in the parent. */
    for (size_t i = 0; i < sizeof caught / sizeof *caught; i++)
        signal(caught[i], SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* Not in the terminal's group: Ctrl-C is for us, who then stop the server. */
    setsid();
    dup2(in_fd, 0);
    dup2(out_fd, 1);
    dup2(out_fd, 2);
    /* Not the C library's: they tell its other threads, who are the parent's. */
    if (geteuid() == 0 && (syscall(SYS_setgroups, 1, &p->gid) != 0 ||
                           syscall(SYS_setgid, p->gid) != 0 || syscall(SYS_setuid, p->uid) != 0))
        _exit(126);
    /* After setuid, which would clear it. */
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    if (chdir("/") != 0)
        _exit(126);
}

/* What runs there can be told by anybody's SQL to show its surroundings: ours may hold secrets. */
static const char *const *clean_env(struct pg_local *p)
{
    static const char *const kept[] = {"PATH", "LD_LIBRARY_PATH"};
    enum { N_KEPT = sizeof kept / sizeof *kept };
    const char **env = arena_array(&p->arena, const char *, N_KEPT + 4);
    const char *zone = getenv("TZ");
    int n = 0;

    for (int i = 0; i < N_KEPT; i++)
        if (getenv(kept[i]))
            env[n++] = arena_printf(&p->arena, "%s=%s", kept[i], getenv(kept[i]));
    env[n++] = "LC_ALL=C";
    env[n++] = arena_printf(&p->arena, "TZ=%s", zone && *zone ? zone : "UTC");
    env[n++] = arena_printf(&p->arena, "HOME=%s", str_text(&p->folder));
    env[n] = NULL;
    return env;
}

/* Of each of its processes: a statement that wants more is refused it, and nobody else is. */
#define SERVER_BYTES ((rlim_t) 2 << 30)

static pid_t spawn(struct pg_local *p, const char *const *argv, bool is_confined)
{
    int out_fd =
        open(str_text(&p->log), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    const char *const *env = clean_env(p);
    pid_t parent = getpid();
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    /* Until the child has become the server it shares our memory: a copy of that, made page by page while other threads
     * read the project's files, would cost them more than the server's start. */
    pid_t pid = out_fd < 0 ? -1 : vfork();

    if (pid == 0) {
        child_become(p, out_fd);
        if (is_confined) {
            setrlimit(RLIMIT_AS, &(struct rlimit) {SERVER_BYTES, SERVER_BYTES});
            confine(argv[0], false, str_text(&p->folder));
        }
        if (getppid() == parent)
            execve(argv[0], (char *const *) argv, (char *const *) env);
        _exit(127);
    }
    int why = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (out_fd >= 0)
        close(out_fd);
    errno = why;
    return pid;
}

/* ---- starting ----------------------------------------------------------------------------------------- */

/* The folder is below its real name: the server works elsewhere, and is found again by it. */
static bool find_parent(const char *given, struct str *out, struct err *err)
{
    char *real = realpath(given, NULL);

    if (!real) {
        err_set(err, ERR_UNREACHABLE, "no folder for PostgreSQL below %s: %s", given,
                strerror(errno));
        return err_hint(err, "TMPDIR=DIR: a folder that is there, and that you may write to.");
    }
    str_set(out, real);
    free(real);
    bool good = true;
    for (const char *c = str_text(out); *c; c++)
        good = good && *c != ',' && (unsigned char) *c >= ' ' && *c != 127;
    if (good)
        return true;
    err_set(err, ERR_CONFIG,
            "PostgreSQL can't listen in a folder whose name has a comma or a "
            "control character");
    err_detail(err, "%s", str_text(out));
    return err_hint(err, "Set TMPDIR to another one.");
}

static bool make_folder(struct pg_local *p, const char *given, struct err *err)
{
    AUTO(str) parent = {0};

    if (!find_parent(given, &parent, err))
        return false;
    /* The socket's path has to fit in a sockaddr_un. */
    if (parent.len > MAX_PARENT)
        return err_set(err, ERR_CONFIG,
                       "%s is too long a path for a unix socket; set TMPDIR to a shorter one",
                       str_text(&parent));
    if (!pg_folder_make(str_text(&parent), &p->folder, &p->lock_fd, err))
        return false;
    str_addf(&p->data, "%s/data", str_text(&p->folder));
    str_addf(&p->log, "%s/log", str_text(&p->folder));
    return true;
}

/* To the server's user. Before that nobody but us gets in: what we write there by name is where we think it is. */
static bool give_folder(const struct pg_local *p, struct err *err)
{
    if (geteuid() != 0 || chown(str_text(&p->folder), p->uid, p->gid) == 0)
        return true;
    return err_set(err, ERR_UNREACHABLE, "%s: %s", str_text(&p->folder), strerror(errno));
}

static void add_log(const struct pg_local *p, struct err *err)
{
    char tail[2048];
    int fd = open(str_text(&p->log), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
    off_t from = size > (off_t) sizeof tail ? size - (off_t) sizeof tail : 0;
    ssize_t got = fd >= 0 ? pread(fd, tail, sizeof tail, from) : 0;

    if (fd >= 0)
        close(fd);
    while (got > 0 && tail[got - 1] == '\n')
        got--;
    if (got > 0)
        err_detail(err, "%.*s", (int) got, tail);
}

static bool is_signalled(const struct interrupt *interrupt)
{
    return interrupt && interrupt->count > 0;
}

/* False: a signal came, and the child and its own children were ended. initdb removes what it has
 * made so far. */
static bool wait_child(pid_t pid, const struct interrupt *interrupt, int *status)
{
    bool stopped = false;

    for (int left = STOP_TRIES; waitpid(pid, status, WNOHANG) == 0;) {
        stopped |= is_signalled(interrupt);
        if (stopped)
            kill(-pid, left-- > 0 ? SIGINT : SIGKILL);
        pause_ms(stopped ? 20 : 2);
    }
    return !stopped;
}

static bool run_initdb(struct pg_local *p, const char *bin, const struct pg_local_options *o,
                       struct err *err)
{
    AUTO(str) program = {0};
    AUTO(str) locale = {0};
    const char *argv[MAX_ARGS];
    int status = 0, n = 0;

    str_addf(&program, "%s/initdb", bin);
    str_addf(&locale, "--locale=%s", o->locale ? o->locale : "C");
    const char *const always[] = {str_text(&program),
                                  "-D",
                                  str_text(&p->data),
                                  "-U",
                                  p->superuser,
                                  "-A",
                                  "trust",
                                  "-E",
                                  "UTF8",
                                  str_text(&locale),
                                  "--no-sync",
                                  "--no-instructions",
                                  NULL};
    const char *const *lists[] = {always, o->initdb};
    for (size_t l = 0; l < sizeof lists / sizeof *lists; l++)
        for (int i = 0; lists[l] && lists[l][i] && n + 1 < MAX_ARGS; i++)
            argv[n++] = lists[l][i];
    argv[n] = NULL;
    pid_t pid = spawn(p, argv, false);
    if (pid < 0)
        return err_set(err, ERR_UNREACHABLE, "%s: %s", str_text(&program), strerror(errno));
    if (!wait_child(pid, o->interrupt, &status))
        return err_set(err, ERR_INTERRUPTED, "stopped by a signal");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    err_set(err, ERR_UNREACHABLE, "%s failed", str_text(&program));
    add_log(p, err);
    return false;
}

static pid_t run_postgres(struct pg_local *p, const char *bin, const struct pg_local_options *o)
{
    static const char *const always[] = {"listen_addresses=",
                                         "shared_buffers=64MB",
                                         "max_connections=100",
                                         "logging_collector=off",
                                         "log_min_messages=warning",
                                         "max_prepared_transactions=10",
                                         NULL};
    static const char *const fast[] = {"fsync=off", "full_page_writes=off",
                                       "synchronous_commit=off", NULL};
    const char *const *lists[] = {always, o->durable ? NULL : fast, o->settings};
    const char *argv[MAX_ARGS];
    AUTO(str) program = {0};
    int n = 0;

    str_addf(&program, "%s/postgres", bin);
    argv[n++] = str_text(&program);
    argv[n++] = "-D";
    argv[n++] = str_text(&p->data);
    argv[n++] = "-k";
    argv[n++] = str_text(&p->folder);
    for (size_t l = 0; l < sizeof lists / sizeof *lists; l++) {
        for (int i = 0; lists[l] && lists[l][i] && n + 3 < MAX_ARGS; i++) {
            argv[n++] = "-c";
            argv[n++] = lists[l][i];
        }
    }
    argv[n] = NULL;
    return spawn(p, argv, o->is_confined);
}

/* It says so in postmaster.pid, in its eighth line: no question to it that our surroundings could turn elsewhere. */
static bool is_ready(const struct pg_local *p)
{
    AUTO(str) path = {0};
    char text[4096];
    const char *at = text;

    str_addf(&path, "%s/postmaster.pid", str_text(&p->data));
    int fd = open(str_text(&path), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (got <= 0)
        return false;
    text[got] = '\0';
    for (int line = 1; at && line < 8; line++) {
        at = strchr(at, '\n');
        at = at ? at + 1 : NULL;
    }
    return at && strtol(text, NULL, 10) == p->pid && strncmp(at, "ready", 5) == 0;
}

static bool wait_ready(struct pg_local *p, const struct interrupt *interrupt, struct err *err)
{
    int status;

    for (int i = 0; i < START_TRIES; i++) {
        if (is_ready(p))
            return true;
        if (is_signalled(interrupt))
            return err_set(err, ERR_INTERRUPTED, "stopped by a signal");
        if (waitpid(p->pid, &status, WNOHANG) == p->pid) {
            p->pid = 0;
            break;
        }
        pause_ms(2);
    }
    err_set(err, ERR_UNREACHABLE, "PostgreSQL in %s doesn't start", str_text(&p->folder));
    add_log(p, err);
    return false;
}

static void end_server(pid_t pid, int how)
{
    int status;

    kill(pid, how);
    for (int i = 0; i < 5000; i++) {
        if (waitpid(pid, &status, WNOHANG) != 0)
            return;
        pause_ms(1);
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
}

static bool run_server(struct pg_local *p, const char *bin, const struct pg_local_options *o,
                       struct err *err)
{
    p->pid = run_postgres(p, bin, o);
    if (p->pid > 0)
        return wait_ready(p, o->interrupt, err);
    p->pid = 0;
    return err_set(err, ERR_UNREACHABLE, "%s/postgres: %s", bin, strerror(errno));
}

static bool start_made(struct pg_local *p, const char *bin, const struct pg_local_options *o,
                       struct err *err)
{
    if (!give_folder(p, err) || !run_initdb(p, bin, o, err))
        return false;
    if (o->source)
        o->source->made(o->source->ctx, str_text(&p->data), p->uid);
    return run_server(p, bin, o, err);
}

/* False: initdb is to make it. */
static bool start_taken(struct pg_local *p, const char *bin, const struct pg_local_options *o)
{
    AUTO(err) why = {0};

    if (!o->source)
        return false;
    if (!o->source->take(o->source->ctx, str_text(&p->data), p->uid, p->gid)) {
        pg_local_remove(str_text(&p->data));
        return false;
    }
    if (give_folder(p, &why) && run_server(p, bin, o, &why))
        return true;
    if (p->pid > 0)
        end_server(p->pid, SIGQUIT);
    p->pid = 0;
    if (!is_signalled(o->interrupt))
        o->source->unfit(o->source->ctx);
    pg_local_remove(str_text(&p->data));
    return false;
}

bool pg_local_start(const struct pg_local_options *o, struct pg_local **out, struct err *err)
{
    struct pg_local *p = calloc(1, sizeof *p);
    const char *parent = pg_parent_folder(o->parent);
    AUTO(str) bin = {0};

    if (!p)
        abort();
    p->lock_fd = -1;
    p->superuser = arena_strdup(&p->arena, o->superuser ? o->superuser : "postgres");
    pg_local_clean(parent);
    if (o->bin_dir)
        str_set(&bin, o->bin_dir);
    bool good = o->bin_dir || pg_local_find(&bin);
    if (!good) {
        err_set(err, ERR_UNREACHABLE,
                "no PostgreSQL server programs (initdb, postgres) on this machine");
        err_hint(err, "apt-get install postgresql");
    }
    good = good && pg_user_choose(&p->uid, &p->gid, err) && make_folder(p, parent, err);
    good = good && (start_taken(p, str_text(&bin), o) || start_made(p, str_text(&bin), o, err));
    if (!good) {
        if (err_is(err, ERR_UNREACHABLE) && err->hint.len == 0)
            pg_why(parent, err);
        pg_local_stop(p);
        return false;
    }
    *out = p;
    return true;
}

static void add_value(struct str *to, const char *key, const char *value)
{
    str_addf(to, "%s%s='", to->len > 0 ? " " : "", key);
    for (; *value; value++) {
        if (*value == '\'' || *value == '\\')
            str_addc(to, '\\');
        str_addc(to, *value);
    }
    str_addc(to, '\'');
}

const char *pg_local_conninfo(struct pg_local *p, const char *name)
{
    AUTO(str) text = {0};

    add_value(&text, "host", str_text(&p->folder));
    add_value(&text, "port", "5432");
    add_value(&text, "user", p->superuser);
    add_value(&text, "dbname", name);
    return arena_strdup(&p->arena, str_text(&text));
}

const char *pg_local_folder(const struct pg_local *p) { return str_text(&p->folder); }

const char *pg_local_data(const struct pg_local *p) { return str_text(&p->data); }

uid_t pg_local_user(const struct pg_local *p) { return p->uid; }

static void release(struct pg_local *p)
{
    if (p->lock_fd >= 0)
        close(p->lock_fd);
    str_free(&p->folder);
    str_free(&p->data);
    str_free(&p->log);
    arena_free(&p->arena);
    free(p);
}

static void stop_server(struct pg_local *p)
{
    int folder = open(str_text(&p->folder), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    const struct pg_segment segment = pg_segment_read(folder);

    if (folder >= 0)
        close(folder);
    /* It saves nothing now, and takes as long to go as its files do. */
    kill(p->pid, SIGQUIT);
    if (p->data.len > 0)
        pg_local_remove(str_text(&p->data));
    end_server(p->pid, SIGQUIT);
    pg_segment_remove(&segment, p->uid);
}

void pg_local_stop(struct pg_local *p)
{
    if (!p)
        return;
    if (p->pid > 0)
        stop_server(p);
    if (p->folder.len > 0)
        pg_folder_remove(str_text(&p->folder));
    release(p);
}

void pg_local_keep(struct pg_local *p)
{
    if (!p)
        return;
    if (p->pid > 0)
        end_server(p->pid, SIGINT);
    pg_folder_keep(str_text(&p->folder));
    release(p);
}

#include "phasegate/pg_local.h"
#include "shadow/confine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PREFIX "phasegate-pg-"
#define OWNER_LOCK "owner.lock"
#define START_TRIES 15000 /* of 2 ms */
#define STOP_TRIES 100    /* of 20 ms */
#define MAX_ARGS 128

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

static const char *parent_folder(const char *given)
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

/* The first number in a path: 15 of /usr/lib/postgresql/15/bin */
static long version_in(const char *path)
{
    const char *digits = strpbrk(path, "0123456789");

    return digits ? strtol(digits, NULL, 10) : 0;
}

/* The newest folder of the usual places that has what is asked for. */
static bool find_newest(bool (*has)(const char *folder, const char *program), const char *program,
                        struct str *out)
{
    static const char *const places[] = {"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin",
                                         "/usr/local/pgsql/bin",
                                         "/opt/homebrew/opt/postgresql@*/bin"};
    long newest = -1;

    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        glob_t found;

        if (glob(places[i], 0, NULL, &found) != 0)
            continue;
        for (size_t k = 0; k < found.gl_pathc; k++) {
            if (version_in(found.gl_pathv[k]) > newest && has(found.gl_pathv[k], program)) {
                newest = version_in(found.gl_pathv[k]);
                str_set(out, found.gl_pathv[k]);
            }
        }
        globfree(&found);
    }
    return newest >= 0;
}

static bool has_server(const char *folder, const char *program)
{
    (void) program;
    return pg_local_has(folder);
}

static bool has_program(const char *folder, const char *program)
{
    AUTO(str) path = {0};

    str_addf(&path, "%s/%s", folder, program);
    return access(str_text(&path), X_OK) == 0;
}

bool pg_local_find_program(const char *program, struct str *out)
{
    AUTO(str) folder = {0};

    if (!find_newest(has_program, program, &folder))
        return false;
    str_set(out, str_text(&folder));
    str_addf(out, "/%s", program);
    return true;
}

bool pg_local_find(struct str *out)
{
    const char *list = getenv("PATH");
    AUTO(str) path = {0};

    if (find_newest(has_server, NULL, out))
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

static bool choose_user(struct pg_local *p, struct err *err)
{
    const struct passwd *user = NULL;

    p->uid = geteuid();
    p->gid = getegid();
    if (p->uid != 0)
        return true;
    user = getpwnam("postgres");
    if (!user)
        user = getpwnam("nobody");
    if (!user || user->pw_uid == 0)
        return err_set(err, ERR_UNREACHABLE,
                       "PostgreSQL doesn't run as root, and there is no user postgres "
                       "or nobody to run it");
    p->uid = user->pw_uid;
    p->gid = user->pw_gid;
    return true;
}

/* In the child: only calls that are safe after fork. */
static void child_become(const struct pg_local *p, int out_fd)
{
    sigset_t none;
    int in_fd = open("/dev/null", O_RDONLY);

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    /* Not in the terminal's group: Ctrl-C is for us, who then stop the server. */
    setsid();
    dup2(in_fd, 0);
    dup2(out_fd, 1);
    dup2(out_fd, 2);
    if (geteuid() == 0 &&
        (setgroups(1, &p->gid) != 0 || setgid(p->gid) != 0 || setuid(p->uid) != 0))
        _exit(126);
    /* After setuid, which would clear it. */
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    if (chdir("/") != 0)
        _exit(126);
}

static pid_t spawn(const struct pg_local *p, const char *const *argv, bool is_confined)
{
    int out_fd =
        open(str_text(&p->log), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    pid_t parent = getpid();
    pid_t pid = out_fd < 0 ? -1 : fork();

    if (pid == 0) {
        child_become(p, out_fd);
        if (is_confined)
            confine(argv[0], false, str_text(&p->folder));
        if (getppid() == parent)
            execv(argv[0], (char *const *) argv);
        _exit(127);
    }
    int why = errno;
    if (out_fd >= 0)
        close(out_fd);
    errno = why;
    return pid;
}

/* ---- removing --------------------------------------------------------------------------------------- */

static void remove_below(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

    if (!dir && fd >= 0)
        close(fd);
    for (const struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        /* Never through a link: entries are removed relative to folders that we opened. */
        if (unlinkat(fd, e->d_name, 0) != 0)
            remove_below(fd, e->d_name);
    }
    if (dir)
        closedir(dir);
    unlinkat(at, name, AT_REMOVEDIR);
}

void pg_local_remove(const char *folder) { remove_below(AT_FDCWD, folder); }

static long first_number(int folder, const char *name)
{
    char text[32] = "";
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;

    if (fd >= 0)
        close(fd);
    return got > 0 ? strtol(text, NULL, 10) : 0;
}

/* A postmaster works in its data folder: so a number that was given to another process is told apart. */
static void end_postmaster(int folder, const char *path)
{
    long pid = first_number(folder, "data/postmaster.pid");
    AUTO(str) link = {0};
    AUTO(str) data = {0};
    char cwd[512] = "";

    str_addf(&link, "/proc/%ld/cwd", pid);
    str_addf(&data, "%s/data", path);
    for (int i = 0; pid > 1 && i < 100; i++) {
        ssize_t n = readlink(str_text(&link), cwd, sizeof cwd - 1);

        if (n <= 0)
            return;
        cwd[n] = '\0';
        if (strcmp(cwd, str_text(&data)) != 0)
            return;
        kill((pid_t) pid, i < 50 ? SIGQUIT : SIGKILL);
        pause_ms(100);
    }
}

static bool clean_one(int parent_fd, const char *parent, const char *name, uid_t server_uid)
{
    AUTO(str) path = {0};
    struct stat st;
    int folder = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (folder < 0)
        return false;
    int lock = -1;
    if (fstat(folder, &st) == 0 && (st.st_uid == geteuid() || st.st_uid == server_uid))
        lock = openat(folder, OWNER_LOCK, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    /* Who holds the lock lives; without one the owner is just being born, or it isn't ours. */
    bool abandoned = lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0;
    if (abandoned) {
        str_addf(&path, "%s/%s", parent, name);
        end_postmaster(folder, str_text(&path));
        remove_below(parent_fd, name);
    }
    if (lock >= 0)
        close(lock);
    close(folder);
    return abandoned;
}

int pg_local_clean(const char *given)
{
    const char *parent = parent_folder(given);
    struct pg_local who = {0};
    AUTO(err) ignored = {0};
    int cleaned = 0;
    DIR *dir = opendir(parent);

    if (!dir || !choose_user(&who, &ignored))
        who.uid = geteuid();
    for (const struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir))
        if (strncmp(e->d_name, PREFIX, strlen(PREFIX)) == 0)
            cleaned += clean_one(dirfd(dir), parent, e->d_name, who.uid);
    if (dir)
        closedir(dir);
    return cleaned;
}

/* ---- starting ----------------------------------------------------------------------------------------- */

static bool make_folder(struct pg_local *p, const char *parent, struct err *err)
{
    AUTO(str) lock = {0};

    str_addf(&p->folder, "%s/" PREFIX "XXXXXX", parent);
    if (!mkdtemp(p->folder.text)) {
        str_clear(&p->folder);
        return err_set(err, ERR_UNREACHABLE, "no folder for PostgreSQL below %s: %s", parent,
                       strerror(errno));
    }
    /* The socket's path has to fit in a sockaddr_un. */
    if (p->folder.len > 80)
        return err_set(err, ERR_CONFIG,
                       "%s is too long a path for a unix socket; set TMPDIR to a shorter one",
                       parent);
    str_addf(&p->data, "%s/data", str_text(&p->folder));
    str_addf(&p->log, "%s/log", str_text(&p->folder));
    str_addf(&lock, "%s/" OWNER_LOCK, str_text(&p->folder));
    p->lock_fd = open(str_text(&lock), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (p->lock_fd < 0 || flock(p->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return err_set(err, ERR_UNREACHABLE, "%s: %s", str_text(&p->folder), strerror(errno));
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

static bool run_initdb(const struct pg_local *p, const char *bin, const struct pg_local_options *o,
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

static bool wait_ready(struct pg_local *p, const struct interrupt *interrupt, struct err *err)
{
    const char *conninfo = pg_local_conninfo(p, "postgres");
    AUTO(str) socket = {0};
    int status;

    str_addf(&socket, "%s/.s.PGSQL.5432", str_text(&p->folder));

    for (int i = 0; i < START_TRIES; i++) {
        /* It has work enough without being asked before it listens. */
        if (access(str_text(&socket), F_OK) == 0 && PQping(conninfo) == PQPING_OK)
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
        remove_below(AT_FDCWD, str_text(&p->data));
        return false;
    }
    if (give_folder(p, &why) && run_server(p, bin, o, &why))
        return true;
    if (p->pid > 0)
        end_server(p->pid, SIGQUIT);
    p->pid = 0;
    if (!is_signalled(o->interrupt))
        o->source->unfit(o->source->ctx);
    remove_below(AT_FDCWD, str_text(&p->data));
    return false;
}

bool pg_local_start(const struct pg_local_options *o, struct pg_local **out, struct err *err)
{
    struct pg_local *p = calloc(1, sizeof *p);
    const char *parent = parent_folder(o->parent);
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
    good = good && choose_user(p, err) && make_folder(p, parent, err);
    good = good && (start_taken(p, str_text(&bin), o) || start_made(p, str_text(&bin), o, err));
    if (!good) {
        pg_local_stop(p);
        return false;
    }
    *out = p;
    return true;
}

const char *pg_local_conninfo(struct pg_local *p, const char *name)
{
    return arena_printf(&p->arena, "host=%s port=5432 user=%s dbname=%s", str_text(&p->folder),
                        p->superuser, name);
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

void pg_local_stop(struct pg_local *p)
{
    if (!p)
        return;
    if (p->pid > 0) {
        /* It saves nothing now, and takes as long to go as its files do. */
        kill(p->pid, SIGQUIT);
        if (p->data.len > 0)
            remove_below(AT_FDCWD, str_text(&p->data));
        end_server(p->pid, SIGQUIT);
    }
    if (p->folder.len > 0)
        remove_below(AT_FDCWD, str_text(&p->folder));
    release(p);
}

void pg_local_keep(struct pg_local *p)
{
    AUTO(str) lock = {0};

    if (!p)
        return;
    if (p->pid > 0)
        end_server(p->pid, SIGINT);
    str_addf(&lock, "%s/" OWNER_LOCK, str_text(&p->folder));
    unlink(str_text(&lock));
    release(p);
}

/* Running another program: no shell, its own process group, both pipes drained, a deadline. */
#include "fault.h"
#include "host_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum {
    OUTPUT_MAX = 64 << 10,
    SLICE_MS = 50,
    TERM_GRACE_MS = 2000,
    TAIL_MS = 500, /* for output that grandchildren still hold the pipes for */
    EXEC_FAILED = 127
};

/* ---- environment ----------------------------------------------------------------------------- */

/* A name alone is there to be left out. */
static bool has_name_of(const char *entry, const char *const *list)
{
    size_t n = strcspn(entry, "=");

    for (; list && *list; list++)
        if (strncmp(*list, entry, n) == 0 && ((*list)[n] == '=' || (*list)[n] == '\0'))
            return true;
    return false;
}

static const char **merge_env(struct arena *a, const char *const *added)
{
    const char **all;
    int n = 0, m = 0;

    while (environ && environ[n])
        n++;
    while (added && added[m])
        m++;
    all = arena_array(a, const char *, n + m + 1);
    m = 0;
    for (int i = 0; i < n; i++)
        if (!has_name_of(environ[i], added))
            all[m++] = environ[i];
    for (; added && *added; added++)
        if (strchr(*added, '='))
            all[m++] = *added;
    return all;
}

/* ---- the child's side ------------------------------------------------------------------------ */

static void close_others(int keep)
{
    long max = sysconf(_SC_OPEN_MAX);

    if (close_range(STDERR_FILENO + 1, (unsigned) keep - 1, 0) == 0 &&
        close_range((unsigned) keep + 1, ~0u, 0) == 0)
        return;
    for (int fd = STDERR_FILENO + 1; fd < (max > 0 ? max : 1024); fd++)
        if (fd != keep)
            close(fd);
}

/* Between fork and exec: only what is safe after a fork of a program with threads. */
static _Noreturn void become(const struct child_how *how, int in, int out, int errout, int failure)
{
    static const int reset[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD, SIGXFSZ};
    sigset_t none;
    int number;

    setpgid(0, 0);
    if (how->stays)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0; i < sizeof reset / sizeof *reset; i++)
        signal(reset[i], SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
        dup2(errout, STDERR_FILENO) >= 0) {
        close_others(failure);
        execvpe(how->argv[0], (char *const *) how->argv, (char *const *) how->env);
    }
    number = errno;
    (void) !write(failure, &number, sizeof number);
    _exit(EXEC_FAILED);
}

/* ---- starting -------------------------------------------------------------------------------- */

static void close_fds(const int *fds, int n)
{
    for (int i = 0; i < n; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* Numbers above those of the standard streams, or dup2 would overwrite one of them (a caller may
 * have been started with them closed). */
static bool raise_fd(int *fd)
{
    int higher;

    if (*fd > STDERR_FILENO)
        return true;
    higher = fcntl(*fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (higher < 0)
        return false;
    close(*fd);
    *fd = higher;
    return true;
}

/* From its beginning. In memory, so that nobody has to be fed while what it says is read. -1: errno. */
static int input_of(const char *bytes, size_t n)
{
    int fd = memfd_create("input", MFD_CLOEXEC);

    for (size_t done = 0; fd >= 0 && done < n;) {
        ssize_t put = write(fd, bytes + done, n - done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            close(fd);
            return -1;
        }
        done += (size_t) put;
    }
    if (fd >= 0)
        lseek(fd, 0, SEEK_SET);
    return fd;
}

/* 0, 1: output, read and write end. 2, 3: errors. 4, 5: failure. 6: input, /dev/null without; 7: its write end. */
static bool open_fds(const struct child_how *how, int fds[8])
{
    for (int i = 0; i < 8; i++)
        fds[i] = -1;
    if (how->stays ? pipe2(fds + 6, O_CLOEXEC) != 0
                   : (fds[6] = how->input ? input_of(how->input, how->n)
                                          : open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0)
        return false;
    if (pipe2(fds, O_CLOEXEC) != 0 || pipe2(fds + 2, O_CLOEXEC) != 0 ||
        pipe2(fds + 4, O_CLOEXEC) != 0)
        return false;
    for (int i = 0; i < (how->stays ? 8 : 7); i++)
        if (!raise_fd(&fds[i]))
            return false;
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    fcntl(fds[2], F_SETFL, O_NONBLOCK);
    if (how->stays)
        fcntl(fds[7], F_SETFL, O_NONBLOCK);
    return true;
}

static bool start(const struct child_how *how, struct child *child, struct err *err)
{
    int fds[8];
    pid_t pid;

    pid = open_fds(how, fds) ? fork() : -1;
    if (pid == 0)
        become(how, fds[6], fds[1], fds[3], fds[5]);
    if (pid < 0) {
        err_set(err, ERR_UNREACHABLE, "can't start %s: %s", how->argv[0], strerror(errno));
        close_fds(fds, 8);
        return false;
    }
    setpgid(pid, pid); /* whichever of the two comes first */
    close(fds[1]);
    close(fds[3]);
    close(fds[5]);
    close(fds[6]);
    *child =
        (struct child) {.pid = pid, .in = fds[7], .out = fds[0], .err = fds[2], .failure = fds[4]};
    return true;
}

/* Ends with the exec, which closes the other end. */
static int failure_of(struct child *child)
{
    int number = 0;
    ssize_t n;

    do
        n = read(child->failure, &number, sizeof number);
    while (n < 0 && errno == EINTR);
    close(child->failure);
    return n == (ssize_t) sizeof number ? number : 0;
}

static bool cannot_start(const char *name, int number, struct err *err)
{
    err_set(err, ERR_UNREACHABLE, "can't start %s: %s", name, strerror(number));
    if (number == ENOENT)
        err_hint(err, "Install it, or put its folder on PATH: command -v %s", name);
    return false;
}

/* ---- while it runs --------------------------------------------------------------------------- */

/* -1 in *fd: closed. */
void child_drain(int *fd, struct str *to)
{
    char block[4096];
    ssize_t n;

    while (*fd >= 0) {
        n = read(*fd, block, sizeof block);
        if (n > 0) {
            if (to)
                str_addn(to, block, (size_t) n);
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        close(*fd);
        *fd = -1;
    }
}

void child_look_for_end(struct child *child)
{
    siginfo_t info = {0};

    if (!child->has_ended &&
        waitid(P_PID, (id_t) child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
        child->has_ended = info.si_pid == child->pid;
}

/* One step: output, end, at most a slice of time. */
static void step(struct child *child, struct str *out, struct str *errout)
{
    struct pollfd fds[] = {{.fd = child->out, .events = POLLIN},
                           {.fd = child->err, .events = POLLIN}};
    bool is_idle = child->out < 0 && child->err < 0;

    poll(fds, 2, is_idle ? 5 : SLICE_MS);
    child_drain(&child->out, out);
    child_drain(&child->err, errout);
    child_look_for_end(child);
}

static void step_until(struct host_posix *h, struct child *child, struct str *out,
                       struct str *errout, int64_t ms)
{
    int64_t end = clock_mono_ms(h->clock) + ms;

    while (!(child->has_ended && child->out < 0 && child->err < 0) && clock_mono_ms(h->clock) < end)
        step(child, out, errout);
}

static sig_atomic_t signals_so_far(const struct host_posix *h)
{
    return h->interrupt ? h->interrupt->count : 0;
}

/* True: it ended by itself. */
static bool wait_for(struct host_posix *h, struct child *child, const char *name,
                     int64_t deadline_ms, struct str *out, struct str *errout, struct err *err)
{
    sig_atomic_t signals = signals_so_far(h);
    int64_t end = clock_mono_ms(h->clock) + deadline_ms;

    while (!child->has_ended) {
        step(child, out, errout);
        if (child->has_ended)
            break;
        if (signals_so_far(h) > signals && signals_so_far(h) >= 2) {
            err_set(err, ERR_INTERRUPTED, "%s was stopped by a second signal", name);
            if (h->interrupt->signal == SIGTERM)
                err->exit_code = 128 + SIGTERM;
            return false;
        }
        if (deadline_ms > 0 && clock_mono_ms(h->clock) >= end)
            return err_set(err, ERR_UNREACHABLE, "%s took longer than %.1f s and was stopped", name,
                           (double) deadline_ms / 1000);
    }
    step_until(h, child, out, errout, TAIL_MS);
    return true;
}

/* Leaves nothing of the group behind. Killed before it is reaped, while the number can't be
 * another's. */
int child_finish(struct child *child)
{
    int status = 0;

    kill(-child->pid, SIGKILL);
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (child->in >= 0)
        close(child->in);
    if (child->out >= 0)
        close(child->out);
    if (child->err >= 0)
        close(child->err);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool child_start(const struct child_how *how, struct child *child, struct err *err)
{
    if (!start(how, child, err))
        return false;
    int number = failure_of(child);
    if (number == 0)
        return true;
    child_finish(child);
    return cannot_start(how->argv[0], number, err);
}

static void limit(struct str *s)
{
    if (s && s->ceiling == 0)
        s->ceiling = OUTPUT_MAX;
}

bool host_posix_run(struct host *host, const char *const *argv, const char *const *env,
                    int64_t deadline_ms, struct str *out, struct str *errout, int *exit_code,
                    struct err *err)
{
    return host_posix_run_fed(host, argv, env, NULL, 0, deadline_ms, out, errout, exit_code, err);
}

bool host_posix_run_fed(struct host *host, const char *const *argv, const char *const *env,
                        const char *input, size_t n, int64_t deadline_ms, struct str *out,
                        struct str *errout, int *exit_code, struct err *err)
{
    struct host_posix *h = (struct host_posix *) host;
    AUTO(arena) a = {0};
    struct child child;
    bool good;
    int code;

    limit(out);
    limit(errout);
    fault_point();
    const struct child_how how = {argv, merge_env(&a, env), input, n, false};
    if (!child_start(&how, &child, err))
        return false;
    good = wait_for(h, &child, argv[0], deadline_ms, out, errout, err);
    if (!good) {
        kill(-child.pid, SIGTERM);
        step_until(h, &child, out, errout, TERM_GRACE_MS);
    }
    code = child_finish(&child);
    if (good && exit_code)
        *exit_code = code;
    return good;
}

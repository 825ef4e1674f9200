#include "shadow/program.h"
#include "shadow/confine.h"

#include "phasegate/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TAIL = 64 << 10, LINE_BYTES = 4 << 10, TERM_MS = 2000 };

/* ---- finding ----------------------------------------------------------------------------------- */

bool program_find(struct shadow *s, const char *name, struct str *out, struct err *err)
{
    AUTO(str) folder = {0};

    if (!s->bin_dir && pg_local_find(&folder))
        s->bin_dir = arena_strdup(&s->arena, str_text(&folder));
    return pg_program_find(s->bin_dir, name, out, err);
}

bool program_is_script(const char *path)
{
    char first[2] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, first, sizeof first) : -1;

    if (fd >= 0)
        close(fd);
    return n == (ssize_t) sizeof first && first[0] == '#' && first[1] == '!';
}

int program_file(struct err *err)
{
    const char *tmp = getenv("TMPDIR");
    const char *folder = tmp && *tmp ? tmp : "/tmp";
    AUTO(str) name = {0};
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0)
        return fd;
    str_addf(&name, "%s/phasegate-XXXXXX", folder);
    fd = mkostemp(name.text, O_CLOEXEC);
    if (fd >= 0)
        unlink(str_text(&name));
    else
        err_set(err, ERR_UNREACHABLE, "no file below %s: %s", folder, strerror(errno));
    return fd;
}

/* ---- the child's side -------------------------------------------------------------------------- */

/* Between fork and exec: only what is safe after a fork of a program with threads. */
static _Noreturn void become(const struct program *p, pid_t parent, int in, int out, int errout,
                             int failed)
{
    static const int reset[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD, SIGXFSZ};
    sigset_t none;
    ssize_t told;

    /* With us, or rather with the thread that waits for it: nobody else would end it. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(126);
    setpgid(0, 0);
    for (size_t i = 0; i < sizeof reset / sizeof *reset; i++)
        signal(reset[i], SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
        dup2(errout, STDERR_FILENO) >= 0) {
        if (p->is_confined)
            confine(p->argv[0], true, NULL);
        if (p->is_foreign)
            execvpe(p->argv[0], (char *const *) p->argv, (char *const *) p->env);
        else
            execve(p->argv[0], (char *const *) p->argv, (char *const *) p->env);
    }
    /* 127 is also what a shell ends with. */
    told = write(failed, &errno, sizeof errno);
    _exit(told < 0 ? 126 : 127);
}

/* ---- ours -------------------------------------------------------------------------------------- */

static void keep_tail(struct str *to, const char *text, size_t n)
{
    if (to->len + n > TAIL && to->len > TAIL / 2) {
        size_t gone = to->len - TAIL / 2;

        memmove(to->text, to->text + gone, TAIL / 2);
        to->len = TAIL / 2;
        to->text[to->len] = '\0';
    }
    str_addn(to, text, n);
}

struct heard {
    int fd;
    struct str *text;
    size_t line; /* bytes of the line so far */
    bool
        cuts_lines; /* an error's message is as long as a statement likes, and its beginning is what counts */
    bool is_cut; /* the line is */
};

static void keep(struct heard *h, const char *block, size_t n)
{
    if (!h->cuts_lines)
        keep_tail(h->text, block, n);
    for (size_t i = 0; h->cuts_lines && i < n; i++) {
        bool within = ((unsigned char) block[i] & 0xc0) == 0x80; /* a character */

        if (block[i] == '\n') {
            h->line = 0;
            h->is_cut = false;
        } else if (h->line >= LINE_BYTES && (h->is_cut || !within)) {
            if (!h->is_cut)
                keep_tail(h->text, "…", strlen("…"));
            h->is_cut = true;
            continue;
        }
        h->line += block[i] != '\n';
        keep_tail(h->text, &block[i], 1);
    }
}

/* True: the other end is closed. */
static bool drain(struct heard *h)
{
    char block[4096];
    ssize_t n;

    while ((n = read(h->fd, block, sizeof block)) > 0)
        keep(h, block, (size_t) n);
    return n == 0 || (errno != EAGAIN && errno != EINTR);
}

/* False: a signal came, or its time is over. */
static bool wait_for(struct shadow *s, const struct program *p, pid_t pid, struct heard *h,
                     int *status)
{
    int64_t begun = clock_mono_ms(s->clock);
    bool is_closed = false;

    while (waitpid(pid, status, WNOHANG) == 0) {
        struct pollfd look = {.fd = is_closed ? -1 : h->fd, .events = POLLIN};

        if (shadow_is_interrupted(s))
            return false;
        if (p->limit_ms > 0 && clock_mono_ms(s->clock) - begun > p->limit_ms)
            return false;
        poll(&look, 1, is_closed ? 2 : SHADOW_SLICE_MS);
        is_closed = is_closed || drain(h);
    }
    drain(h);
    return true;
}

static void end_child(struct shadow *s, pid_t pid, int *status)
{
    int64_t end = clock_mono_ms(s->clock) + TERM_MS;

    kill(-pid, SIGTERM);
    while (waitpid(pid, status, WNOHANG) == 0) {
        if (clock_mono_ms(s->clock) > end)
            kill(-pid, SIGKILL);
        poll(NULL, 0, 5);
    }
}

/* Waits until the child has become the program: the pipe is closed then. */
static void hear(const struct program *p, int fd)
{
    int failed = 0;
    ssize_t n;

    while ((n = read(fd, &failed, sizeof failed)) < 0 && errno == EINTR)
        ;
    if (p->no_start)
        *p->no_start = n == (ssize_t) sizeof failed ? failed : 0;
}

static pid_t start(const struct program *p, int fds[2])
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), exec[2] = {-1, -1};
    pid_t pid = -1, self = getpid();

    if (null >= 0 && pipe2(exec, O_CLOEXEC) == 0 && pipe2(fds, O_CLOEXEC) == 0) {
        fcntl(fds[0], F_SETFL, O_NONBLOCK);
        pid = fork();
        if (pid == 0)
            become(p, self, p->in_fd >= 0 ? p->in_fd : null,
                   p->is_foreign    ? fds[1]
                   : p->out_fd >= 0 ? p->out_fd
                                    : null,
                   fds[1], exec[1]);
        close(exec[1]);
        exec[1] = -1;
        if (pid > 0) {
            setpgid(pid, pid);
            hear(p, exec[0]);
        }
        close(fds[1]);
        if (pid < 0)
            close(fds[0]);
    }
    for (int i = 0; i < 2; i++)
        if (exec[i] >= 0)
            close(exec[i]);
    if (null >= 0)
        close(null);
    return pid;
}

bool program_run(struct shadow *s, const struct program *p, struct str *errout, int *out_code,
                 struct err *err)
{
    int fds[2], status = 0;
    pid_t pid = start(p, fds);

    if (pid < 0)
        return err_set(err, ERR_UNREACHABLE, "can't start %s: %s", p->argv[0], strerror(errno));
    struct heard h = {.fd = fds[0], .text = errout, .cuts_lines = !p->is_foreign};
    bool good = wait_for(s, p, pid, &h, &status), is_late = false;
    if (!good) {
        is_late = !shadow_is_interrupted(s);
        end_child(s, pid, &status);
        drain(&h);
    }
    if (p->is_foreign)
        kill(-pid, SIGKILL); /* what it left in the background */
    close(fds[0]);
    *out_code = is_late             ? SHADOW_COMMAND_LATE
                : WIFEXITED(status) ? WEXITSTATUS(status)
                                    : 128 + WTERMSIG(status);
    return good || is_late || shadow_interrupted(s, err);
}

/* Several processes side by side, a few at a time, and what they say line by line. */
#include "phasegate/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_MS 100
#define LONGEST_LINE ((size_t) 1 << 30)

struct stream {
    int fd; /* -1: at its end */
    struct str rest;
};

struct child {
    pid_t pid; /* 0: none */
    int i;
    struct stream streams[2];
    bool has_ended;
    int status;
};

struct run {
    const struct brood *b;
    struct child *children; /* [b->parallel] */
    int next;               /* to begin */
    int n_running;
    sig_atomic_t passed_on;
};

static void run_child(const struct run *r, int i, pid_t parent, const int *ends)
{
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

    /* Asked, not killed: what it is at ends at a safe point. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(1);
    setpgid(0, 0);
    if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(ends[1], STDOUT_FILENO) < 0 ||
        dup2(ends[3], STDERR_FILENO) < 0)
        _exit(3);
    close(nothing);
    for (int k = 0; k < 4; k++)
        close(ends[k]);
    for (int k = 0; k < r->b->parallel; k++)
        for (int s = 0; r->children[k].pid && s < 2; s++)
            if (r->children[k].streams[s].fd >= 0)
                close(r->children[k].streams[s].fd);
    int code = r->b->run(r->b->ctx, i);
    fflush(NULL);
    _exit(code);
}

static bool no_process(struct err *err)
{
    err_set(err, ERR_UNREACHABLE, "can't start a process: %s", strerror(errno));
    return err_hint(err, "raise the limit of processes (ulimit -u), or set a smaller parallel:");
}

static bool begin(struct run *r, struct child *c, struct err *err)
{
    const pid_t parent = getpid();
    int ends[4];

    if (pipe(ends) != 0)
        return no_process(err);
    if (pipe(ends + 2) != 0) {
        close(ends[0]);
        close(ends[1]);
        return no_process(err);
    }
    fflush(NULL); /* what is buffered is said once */
    pid_t pid = fork();
    if (pid == 0)
        run_child(r, r->next, parent, ends);
    close(ends[1]);
    close(ends[3]);
    if (pid < 0) {
        close(ends[0]);
        close(ends[2]);
        return no_process(err);
    }
    setpgid(pid, pid);
    *c = (struct child) {
        .pid = pid,
        .i = r->next++,
        .streams = {{ends[0], {.ceiling = LONGEST_LINE}}, {ends[2], {.ceiling = LONGEST_LINE}}}};
    r->n_running++;
    return true;
}

static void say_lines(struct run *r, struct child *c, int s, bool all)
{
    struct str *rest = &c->streams[s].rest;
    size_t from = 0;

    for (const char *end; (end = memchr(rest->text + from, '\n', rest->len - from)) != NULL;) {
        size_t n = (size_t) (end - rest->text);
        rest->text[n] = '\0';
        r->b->line(r->b->ctx, c->i, s + 1, rest->text + from);
        from = n + 1;
        if (from == rest->len)
            break;
    }
    if (all && from < rest->len) {
        r->b->line(r->b->ctx, c->i, s + 1, rest->text + from);
        from = rest->len;
    }
    memmove(rest->text, rest->text + from, rest->len - from + 1);
    rest->len -= from;
}

static void take(struct run *r, struct child *c, int s)
{
    struct stream *from = &c->streams[s];
    char buffer[16384];
    ssize_t n = read(from->fd, buffer, sizeof buffer);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n > 0)
        str_addn(&from->rest, buffer, (size_t) n);
    if (from->rest.len)
        say_lines(r, c, s, n <= 0);
    if (n > 0)
        return;
    close(from->fd);
    from->fd = -1;
}

/* Whoever it has started may hold its streams open for good: with its end, and nothing more to read, it is over. */
static void end_if_over(struct run *r, struct child *c, bool is_silent)
{
    bool closed = c->streams[0].fd < 0 && c->streams[1].fd < 0;
    /* Silent before it had ended says nothing of its last words: they are looked for once more after it. */
    bool was_over = c->has_ended;

    if (!c->has_ended)
        c->has_ended = waitpid(c->pid, &c->status, closed ? 0 : WNOHANG) == c->pid;
    if (!c->has_ended || !(closed || (was_over && is_silent)))
        return;
    for (int s = 0; s < 2; s++) {
        if (c->streams[s].fd >= 0)
            close(c->streams[s].fd);
        if (c->streams[s].rest.len)
            say_lines(r, c, s, true);
        str_free(&c->streams[s].rest);
    }
    c->pid = 0;
    r->n_running--;
    r->b->ended(r->b->ctx, c->i,
                WIFEXITED(c->status) ? WEXITSTATUS(c->status) : 128 + WTERMSIG(c->status));
}

/* A signal stops each of them at its next safe point, the second one as well: it cancels what they run. */
static void pass_on(struct run *r)
{
    const struct interrupt *now = r->b->interrupt;

    while (now && r->passed_on < now->count) {
        r->passed_on++;
        for (int k = 0; k < r->b->parallel; k++)
            if (r->children[k].pid)
                kill(r->children[k].pid, now->signal == SIGTERM ? SIGTERM : SIGINT);
    }
}

static void listen_to_all(struct run *r)
{
    struct pollfd *fds = calloc((size_t) r->b->parallel * 2, sizeof *fds);

    if (!fds)
        abort();
    for (int k = 0; k < r->b->parallel; k++)
        for (int s = 0; s < 2; s++)
            fds[2 * k + s] = (struct pollfd) {
                .fd = r->children[k].pid ? r->children[k].streams[s].fd : -1, .events = POLLIN};
    bool any = poll(fds, (nfds_t) r->b->parallel * 2, LOOK_MS) > 0;
    for (int k = 0; k < r->b->parallel; k++) {
        bool is_silent = true;
        for (int s = 0; s < 2; s++)
            if (any && fds[2 * k + s].fd >= 0 && fds[2 * k + s].revents) {
                take(r, &r->children[k], s);
                is_silent = false;
            }
        if (r->children[k].pid)
            end_if_over(r, &r->children[k], is_silent);
    }
    free(fds);
}

static bool may_begin(const struct run *r)
{
    return r->next < r->b->n && !(r->b->interrupt && r->b->interrupt->count) &&
           (!r->b->may_begin || r->b->may_begin(r->b->ctx));
}

bool brood_run(const struct brood *b, struct err *err)
{
    struct run r = {.b = b, .children = calloc((size_t) b->parallel, sizeof *r.children)};
    bool good = true;

    if (!r.children)
        abort();
    if (b->interrupt)
        r.passed_on = b->interrupt->count;
    while (r.n_running > 0 || (good && may_begin(&r))) {
        for (int k = 0; k < b->parallel && good && may_begin(&r); k++)
            if (!r.children[k].pid)
                good = begin(&r, &r.children[k], err);
        if (r.n_running == 0)
            break;
        pass_on(&r);
        listen_to_all(&r);
    }
    free(r.children);
    return good;
}

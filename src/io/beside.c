/* Work beside: a child process that writes what it found to a pipe, and is ended when it takes too long. */
#include "phasegate/io.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct beside {
    pid_t pid;
    int fd;
};

static void run_child(pid_t parent, int fd, void (*fn)(int fd, void *ctx), void *ctx)
{
    /* Who asked is gone: nobody waits for the answer, and nobody would ever end it. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0);
    /* A signal is for the parent to handle; here it simply ends. */
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    fn(fd, ctx);
    close(fd);
    _exit(0); /* what the parent has buffered isn't ours to write */
}

struct beside *beside_start(void (*fn)(int fd, void *ctx), void *ctx)
{
    struct beside *b;
    const pid_t parent = getpid();
    int ends[2];

    if (pipe(ends) != 0)
        return NULL;
    b = calloc(1, sizeof *b);
    if (!b)
        abort();
    b->fd = ends[0];
    b->pid = fork();
    if (b->pid == 0) {
        close(ends[0]);
        run_child(parent, ends[1], fn, ctx);
    }
    close(ends[1]);
    if (b->pid > 0)
        return b;
    close(ends[0]);
    free(b);
    return NULL;
}

/* 1: something came, 0: that was all, -1: late. */
static int take_some(struct beside *b, int64_t left_ms, struct str *out)
{
    struct pollfd p = {.fd = b->fd, .events = POLLIN};
    char buffer[4096];
    int ready = poll(&p, 1, (int) left_ms);

    if (ready < 0 && errno == EINTR)
        return 1;
    if (ready <= 0)
        return -1;
    ssize_t n = read(b->fd, buffer, sizeof buffer);
    if (n > 0)
        str_addn(out, buffer, (size_t) n);
    return n > 0 || (n < 0 && errno == EINTR) ? 1 : n < 0 ? -1 : 0;
}

bool beside_take(struct beside *b, struct clock *clock, int64_t wait_ms, struct str *out)
{
    int64_t end = clock_mono_ms(clock) + wait_ms;
    int came = 1;

    while (came > 0) {
        int64_t left = end - clock_mono_ms(clock);
        came = take_some(b, left > 0 ? left : 0, out);
    }
    if (came < 0)
        kill(b->pid, SIGKILL);
    close(b->fd);
    while (waitpid(b->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    free(b);
    return came == 0;
}

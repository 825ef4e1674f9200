/* Signals and the protection of this process's memory. */
#include "phasegate/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN
#endif
#endif

/* The one thing that a handler can reach. */
static struct interrupt *target;

static void on_signal(int number)
{
    if (target->count == 0)
        target->signal = number;
    target->count = target->count + 1;
}

void interrupt_install(struct interrupt *to)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    const size_t n = sizeof signals / sizeof *signals;
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: waits must notice */

    target = to;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < n; i++)
        sigaddset(&action.sa_mask, signals[i]);
    for (size_t i = 0; i < n; i++) {
        struct sigaction before;

        if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler == SIG_IGN)
            continue;
        sigaction(signals[i], &action, NULL);
    }
}

/* Where a stream is closed, its number would go to the next file or socket: what is printed would be sent to the
 * database or written into a journal. Reading from one gives nothing, and writing the output is an error as before. */
static void fill_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void) !open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY);
}

void io_harden_process(void)
{
    struct rlimit none = {0, 0};

    fill_standard_streams();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files is an error of the write as well */
    setrlimit(RLIMIT_CORE, &none);
#ifndef UNDER_ASAN
    /* The leak checker attaches to its own process, which this forbids. */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

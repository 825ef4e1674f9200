/* What host.c and proc.c share. Not seen outside of io. */
#ifndef PHASEGATE_IO_HOST_POSIX_H
#define PHASEGATE_IO_HOST_POSIX_H

#include "phasegate/io.h"

#include <sys/types.h>

struct host_posix {
    struct host base;
    struct clock *clock;
    const struct interrupt *interrupt; /* NULL: none */
    struct arena kept;
    const char *hostname, *user; /* NULL: not asked for yet */
};

struct child {
    pid_t pid;
    int in;                /* ours, of a program that stays; else -1 */
    int out, err, failure; /* our ends; failure brings the errno of a failed exec */
    bool has_ended;        /* but not reaped: its number still names its group */
};

/* A child: env is all it gets, input what it reads (NULL: nothing), stays: a pipe instead, and it doesn't outlive the
 * thread. False: not even the exec went well. */
struct child_how {
    const char *const *argv, *const *env;
    const char *input;
    size_t n;
    bool stays;
};
bool child_start(const struct child_how *how, struct child *child, struct err *err);
void child_drain(int *fd, struct str *to); /* what is there; -1: closed */
void child_look_for_end(struct child *child);
/* Leaves nothing of the group behind: its exit code. */
int child_finish(struct child *child);

bool host_posix_open_coprocess(struct host *h, const char *const *argv, const char *const *env,
                               struct coprocess **out, struct err *err);
bool host_posix_run(struct host *h, const char *const *argv, const char *const *env,
                    int64_t deadline_ms, struct str *out, struct str *errout, int *exit_code,
                    struct err *err);
bool host_posix_run_fed(struct host *h, const char *const *argv, const char *const *env,
                        const char *input, size_t n, int64_t deadline_ms, struct str *out,
                        struct str *errout, int *exit_code, struct err *err);

#endif

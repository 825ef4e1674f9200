/* What host.c and proc.c share. Not seen outside of io. */
#ifndef PHASEGATE_IO_HOST_POSIX_H
#define PHASEGATE_IO_HOST_POSIX_H

#include "phasegate/io.h"

struct host_posix {
    struct host base;
    struct clock *clock;
    const struct interrupt *interrupt; /* NULL: none */
    struct arena kept;
    const char *hostname, *user; /* NULL: not asked for yet */
};

bool host_posix_run(struct host *h, const char *const *argv, const char *const *env,
                    int64_t deadline_ms, struct str *out, struct str *errout, int *exit_code,
                    struct err *err);
bool host_posix_run_fed(struct host *h, const char *const *argv, const char *const *env,
                        const char *input, size_t n, int64_t deadline_ms, struct str *out,
                        struct str *errout, int *exit_code, struct err *err);

#endif

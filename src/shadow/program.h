/* program: running psql and pg_dump. */
#ifndef PHASEGATE_SHADOW_PROGRAM_H
#define PHASEGATE_SHADOW_PROGRAM_H

#include "shadow/shadow_int.h"

struct program {
    const char *const *argv; /* argv[0]: its path */
    const char *const *env;  /* all of it, NULL-terminated */
    int in_fd, out_fd;       /* -1: none */
    bool is_confined;        /* it starts no program itself */
    bool
        is_foreign; /* argv[0] is looked for on PATH, both outputs are errout, nothing outlives it */
    int64_t limit_ms; /* it is ended then; 0: it has all the time */
    int *no_start;    /* NULL, or gets errno where it can't be started, else 0 */
};

/* Its end, or a signal's (ERR_INTERRUPTED, and it is ended). out_code: SHADOW_COMMAND_LATE when its time was over;
 * 127 when it can't be started. errout gets the last 64 KiB of what it said. */
bool program_run(struct shadow *s, const struct program *p, struct str *errout, int *out_code,
                 struct err *err) MUST_CHECK;
/* Beside the server's programs, else in the usual folders, else on PATH. False: nowhere; err says so. */
bool program_find(struct shadow *s, const char *name, struct str *out, struct err *err) MUST_CHECK;
/* A confined script could start nothing, and would end as if it had. */
bool program_is_script(const char *path);
/* A file without a name, for what is handed to a program or comes from it; -1 and err. */
int program_file(struct err *err);

#endif

/* err: what went wrong, said once.
 *
 * A function that can fail returns bool and takes `struct err *err` last. True: the outputs are
 * set. False: err is set and the outputs are untouched. err_set() is called once, where it
 * happened; err_note() adds the context of a named boundary (step, phase, file, provider) on the
 * way up and returns false, so that it can end a return statement. Only cli and out print an err:
 *
 *     phasegate: MESSAGE
 *     DETAIL: ...
 *     HINT: ... (the next command)
 *     in NOTE, in NOTE
 *
 * A zeroed struct is "no error". It owns its texts: AUTO(err) or err_clear().
 */
#ifndef PHASEGATE_ERR_H
#define PHASEGATE_ERR_H

#include "phasegate/str.h"

/* name, word in JSON, exit code (cli.md), may the same command succeed later without a change? */
#define ERR_KINDS(X)                                                                               \
    X(NONE, "none", 0, false)                                                                      \
    X(NO, "no", 1, false)                    /* a gate, check, verification said no */             \
    X(USAGE, "usage", 2, false)              /* the command line */                                \
    X(INPUT, "input", 2, false)              /* a plan, project or statements file */              \
    X(CONFIG, "config", 2, false)            /* unset variable, unusable setting */                \
    X(UNREACHABLE, "unreachable", 3, true)   /* database, flag service or tool out of reach */     \
    X(REFUSED, "refused", 4, false)          /* state or policy; `reason` says which */            \
    X(SQL, "sql", 5, false)                  /* the server refused a statement; see sqlstate */    \
    X(LOCK_TIMEOUT, "lock_timeout", 5, true) /* 55P03 or 40P01 */                                  \
    X(CONNECTION_LOST, "connection_lost", 5, true) /* outcome to observe */                        \
    X(STOPPED, "stopped", 5, true)                 /* halfway and resumable */                     \
    X(IN_DOUBT, "in_doubt", 5, true)               /* a flag write whose outcome is unknown */     \
    X(LOCKED, "locked", 6, true)                   /* another run holds the lease */               \
    X(BUG, "bug", 7, false)                                                                        \
    X(INTERRUPTED, "interrupted", 130, true) /* SIGINT, after a safe stop; 143 for SIGTERM */

enum err_kind {
#define X(name, word, code, retry) ERR_##name,
    ERR_KINDS(X)
#undef X
        ERR_KIND_COUNT
};

struct err {
    enum err_kind kind;
    char sqlstate[6];   /* "" when no server spoke */
    const char *reason; /* static word for JSON ("forward_only", "hold", ...), or NULL */
    struct str message, detail, hint;
    struct str notes; /* newline-separated, innermost first */
    int exit_code;    /* 0: the kind's */
};

/* Both return false. A second err_set on a set err replaces it. */
bool err_set(struct err *err, enum err_kind kind, const char *fmt, ...) PRINTF_LIKE(3, 4);
bool err_note(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Add to a set err; return false as well so that they chain. */
bool err_detail(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool err_hint(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool err_reason(struct err *err, const char *static_word);
void err_move(struct err *to, struct err *from);
void err_clear(struct err *err);
static inline void err_auto(struct err *err) { err_clear(err); }

bool err_is(const struct err *err, enum err_kind kind);
bool err_is_retryable(const struct err *err);
int err_exit_code(const struct err *err);
const char *err_kind_word(enum err_kind kind);

#endif

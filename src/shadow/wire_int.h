/* wire: what its files share. */
#ifndef PHASEGATE_WIRE_INT_H
#define PHASEGATE_WIRE_INT_H

#include "shadow/shadow_int.h"

enum {
    WIRES_MAX = 2, /* that one waits for at the same time */
    WIRE_MAX_NOTICES = 10000,
    WIRE_MAX_NOTICE = 4096,   /* bytes of one */
    WIRE_MAX_WORDS = 4096,    /* bytes of an error's message, hint or context */
    WIRE_MAX_DETAIL = 16384,  /* bytes of its detail: up to a hundred dependants */
    WIRE_MAX_KEPT = 64 << 20, /* bytes of cells that one result hands back */
    WIRE_MAX_PARAMS = 65535,
    WIRE_CANCEL_AGAIN_MS = 1000,
    WIRE_GIVE_UP_MS = 10000, /* from the first cancel on */
    WIRE_LATE_MS = 500       /* for a statement, once the shadow is late */
};

#define WIRE_FULL "it fills the shadow's folder"

/* One result while its rows come in. */
struct wire_rows {
    struct arena *a;
    struct wire_result *out;
    bool keep, has_columns, is_copy;
    int cap;
    size_t bytes;
};

struct wire {
    PGconn *conn;             /* NULL: lost */
    bool is_opening;          /* wire_begin without wire_settle */
    struct connect_spec spec; /* of it; texts in opening */
    struct arena opening;
    struct clock *clock;
    const struct interrupt *interrupt;
    int64_t limit_ms;   /* after so long without an answer the statement is cancelled */
    int64_t since;      /* of the wait for the statement that is running; 0: not yet */
    int64_t waits_from; /* the wait that brought the answers which are being read */
    int64_t cancelled, cancelled_last; /* 0: not */
    struct shadow *shadow;
    bool is_running; /* wire_run: what doesn't end is counted */
    bool is_ours; /* it asks nobody else's statements: they have their time, however late it is */
    bool is_full; /* the statement that is running fills the folder */
    int pid;
    bool is_local; /* a process of this machine's, of our own server */
    bool keeps_notices;
    bool is_busy, is_copying; /* wire_send without its end; its COPY to us without its end */
    struct wire_rows sent;    /* of it */
    struct wire_result partial;
    struct arena notices;
    struct text *notice;
    int n_notices, cap_notices;
};

/* A session as c says; limits and notices as o says. */
bool wire_connect(struct shadow *s, const struct connect_spec *c, const struct wire_options *o,
                  struct wire **out, struct err *err) MUST_CHECK;

enum wire_wait { WIRE_LOOK, WIRE_GONE, WIRE_STOP };
/* Until something can be read, the time is over, or the session is gone. Sends what waits to be sent, cancels
 * what takes too long. */
enum wire_wait wire_wait(struct wire *w, int64_t wait_ms);
/* For any of up to WIRES_MAX; out_at: the one that it is about, if it isn't WIRE_LOOK. */
enum wire_wait wire_wait_any(struct wire *const *w, int n, int64_t wait_ms, int *out_at);
/* The statement that was running has ended. True: it was cancelled only because the shadow is late. */
bool wire_answered(struct wire *w, const struct wire_result *r);
/* A statement that we have cancelled says so in the words of the server's own time-out. */
void wire_own_cancel(const struct wire *w, struct wire_result *r);
void wire_lose(struct wire *w);
bool wire_is_alive(struct wire *w); /* as far as one can tell without asking; NULL isn't */
/* Sets err, false: the session is gone, or a signal came. */
bool wire_failed(struct wire *w, enum wire_wait why, struct err *err);

/* A message of the server's, which is as long as a statement likes; NULL stays NULL. */
const char *wire_words(struct arena *a, const char *text, size_t max);
bool wire_is_copy(const char *sql);
/* Why such a text isn't run. */
const char *wire_copy_words(const char *sql);
void wire_refuse(struct wire_result *r, const char *sqlstate, const char *message);
/* Takes what res brings; the caller clears it. */
void wire_take(struct wire_rows *rows, const PGresult *res);

#endif

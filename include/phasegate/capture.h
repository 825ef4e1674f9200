/* capture: statements that somebody saw running -> statements of a release.
 *
 * What was seen (a row of pg_stat_statements, an entry of a server's log) is added one by one; what applications don't
 * say to their tables is left out, and counted by why. The rest goes behind what a statements file has already: what
 * stands there is never changed, so headers may be written by hand and a capture may be repeated.
 *
 * One statement is one text, whatever its blanks, comments, parameter numbers, the length of its IN lists and the
 * number of its rows of VALUES. Its name is made of verb, tables and a hash of that text.
 */
#ifndef PHASEGATE_CAPTURE_H
#define PHASEGATE_CAPTURE_H

#include "phasegate/statements.h"

/* id, word in JSON, what people read */
#define CAPTURE_SKIPS(X)                                                                           \
    X(UTILITY, "utility", "no statement on rows (SET, BEGIN, EXPLAIN, DDL, COPY, ...)")            \
    X(NO_TABLE, "no_table", "touches no table")                                                    \
    X(CATALOGUE, "catalogue", "reads PostgreSQL's own catalogue")                                  \
    X(OWN, "own", "run by phasegate or a tool like it")                                            \
    X(HIDDEN, "hidden", "its text is hidden from this role: GRANT pg_read_all_stats")              \
    X(UNREADABLE, "unreadable", "can't be parsed: cut off, or newer than the parser")              \
    X(SEVERAL, "several", "several statements in one text")                                        \
    X(NOT_TEXT, "not_text", "not UTF-8")                                                           \
    X(STYLE, "style", "can't be written in the release's style of parameters")                     \
    X(REFUSED, "refused", "the server doesn't prepare it")

enum capture_skip {
#define X(id, word, text) CAPTURE_SKIP_##id,
    CAPTURE_SKIPS(X)
#undef X
        CAPTURE_SKIP_COUNT
};
const char *capture_skip_word(enum capture_skip s);
const char *capture_skip_text(enum capture_skip s);

#define CAPTURE_ROLES_MOST 20

struct captured {
    const char *name;
    const char *sql;  /* with $1, $2, ...; without comments and semicolon */
    const char *text; /* the same in the style of the release */
    int n_params;
    int64_t calls;
    const char *search_path;          /* for whoever prepares it; NULL: not known */
    const struct statement *existing; /* in the files already; NULL: new */
    const char *types;                /* "int4, text"; NULL: not known */
    struct text_list args;            /* rows "(1, 'x')", three at most */
    bool refused;                     /* the server doesn't prepare it: it isn't written */
    const char *refused_because;      /* the server's words */
};

struct capture_table;

struct capture {
    struct arena *arena;
    enum param_style style;
    const char *source;     /* "pg_stat_statements", "log" */
    bool with_values;       /* keep what was seen of arguments */
    struct captured *items; /* in the order in which they were seen first */
    int n;
    int64_t skipped[CAPTURE_SKIP_COUNT];
    int64_t seen;
    struct text_list roles; /* who ran something, the first CAPTURE_ROLES_MOST of them */
    bool role_seen;         /* the role that is asked for among them */
    int64_t evicted;        /* how often the server threw out its rarest statements to make room */
    const char *evicted_since, *entries_most; /* where it did: UTC, pg_stat_statements.max */
    bool counts_nothing;                      /* by the server's settings */
    const struct statement **vanished; /* captured from this source before, and not seen now */
    int n_vanished;
    /* private */
    const struct statements *known;
    struct capture_table *by_text, *by_raw;
};

struct capture_seen {
    const char *sql;
    bool is_normalised; /* its constants are parameters already */
    int64_t calls;
    const char *const *values; /* of its parameters, as SQL writes them: 'x', NULL */
    int n_values;
    const char *search_path;
};

void capture_begin(struct capture *c, struct arena *a, enum param_style style, const char *source,
                   bool with_values);
/* What the release has already. Call it before anything is added; s lives as long as c. */
void capture_existing(struct capture *c, const struct statements *s);
/* Never fails: what isn't wanted is counted. */
void capture_add(struct capture *c, const struct capture_seen *seen);
void capture_count(struct capture *c,
                   enum capture_skip why); /* one that was seen, and is left out */
/* Somebody ran something, whatever it was. wanted NULL: everybody is. */
void capture_role(struct capture *c, const char *role, const char *wanted);
/* All was added: names are made, what vanished is found. */
void capture_end(struct capture *c);
/* Is it to be written? */
static inline bool captured_is_new(const struct captured *i) { return !i->existing && !i->refused; }
/* The file with what is new behind it, by name. bytes NULL: there's no file yet. The first 64 MiB are all. */
void capture_render(const struct capture *c, const char *release, const char *bytes,
                    struct str *out);

/* ---- server logs ------------------------------------------------------------------------------------ */

struct capture_log_options {
    const char *role, *database; /* only theirs; NULL: all */
    const char *like, *not_like; /* see text_is_like; NULL: all */
};

/* A csvlog or jsonlog, in any pieces: log_statement, log_min_duration_statement, auto_explain (text and JSON). Lines
 * that hold no statement aren't counted. */
struct capture_log;
struct capture_log *capture_log_begin(struct capture *c, const struct capture_log_options *o);
void capture_log_feed(struct capture_log *l, const char *bytes, size_t n);
/* Ends it. False: nothing in it was an entry of such a log. */
bool capture_log_end(struct capture_log *l);

/* SQL's LIKE with % and _, whatever the case of ASCII letters. */
bool text_is_like(const char *text, const char *pattern);

#endif

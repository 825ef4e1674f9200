/* Long texts are parsed in a thread of their own, for its stack. */
#include "load/parse_deep.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A level takes two characters at the least, and two calls of some 150 bytes each; sanitizers make them four times as
 * large. What is shorter than SHORT fits into any stack. */
#define SHORT ((size_t) 16 << 10)
#define BYTES_EACH ((size_t) 1 << 10)
#define BASE ((size_t) 8 << 20)

struct job {
    const char *sql;
    bool normalizes;
    PgQueryParseResult parsed;
    PgQueryNormalizeResult normalized;
};

static void *run(void *arg)
{
    struct job *j = arg;

    if (j->normalizes)
        j->normalized = pg_query_normalize(j->sql);
    else
        j->parsed = pg_query_parse(j->sql);
    return NULL;
}

static bool run_on_large_stack(struct job *j, size_t n)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;

    if (pthread_attr_init(&attr) != 0)
        return false;
    sigfillset(&all); /* signals are for the threads that wait */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool good = pthread_attr_setstacksize(&attr, BASE + n * BYTES_EACH) == 0 &&
                pthread_create(&thread, &attr, run, j) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (good)
        pthread_join(thread, NULL);
    return good;
}

static PgQueryError *too_long(void)
{
    PgQueryError *error = calloc(1, sizeof *error);

    if (!error || !(error->message = strdup("the text is too long for the memory that there is")))
        abort();
    return error;
}

static void run_job(struct job *j)
{
    size_t n = strlen(j->sql);

    if (n <= SHORT) {
        run(j);
    } else if (!run_on_large_stack(j, n)) {
        j->parsed.error = j->normalizes ? NULL : too_long();
        j->normalized.error = j->normalizes ? too_long() : NULL;
    }
}

PgQueryParseResult parse_deep(const char *sql)
{
    struct job j = {.sql = sql};

    run_job(&j);
    return j.parsed;
}

PgQueryNormalizeResult normalize_deep(const char *sql)
{
    struct job j = {.sql = sql, .normalizes = true};

    run_job(&j);
    return j.normalized;
}

#define SHOWN_MAX 60

const char *parse_complaint(struct arena *a, const char *message)
{
    static const char near[] = "at or near \"";
    const char *at = strstr(message, near);
    size_t shown = at ? (size_t) (at - message) + strlen(near) + SHOWN_MAX : 0;

    if (!at || strlen(message) <= shown + 1)
        return arena_strdup(a, message);
    while (((unsigned char) message[shown] & 0xc0) == 0x80) /* a whole character */
        shown--;
    return arena_printf(a, "%s...\"", arena_strndup(a, message, shown));
}

/* Of many statements at once: each is read by itself, so every processor can read its part. */
#include "phasegate/statement_facts.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

/* A thread has to be worth its start; more than a few find nothing left to do beside a server that starts. */
enum { THREADS_MAX = 4, STATEMENTS_EACH = 100, TURN = 16 };

struct reader {
    struct statement_facts_work *work;
    struct arena a;
    pthread_t thread;
};

struct statement_facts_work {
    const struct statement *const *s;
    struct statement_facts *const *out;
    int n;
    atomic_int next; /* the first that nobody has taken */
    struct reader readers[THREADS_MAX];
    int n_readers;
};

static void read_on(struct statement_facts_work *w, struct arena *a)
{
    for (int first; (first = atomic_fetch_add(&w->next, TURN)) < w->n;)
        for (int i = first; i < w->n && i < first + TURN; i++)
            statement_facts(a, w->s[i], w->out[i]);
}

static void *reader_main(void *arg)
{
    struct reader *r = arg;

    read_on(r->work, &r->a);
    return NULL;
}

/* Besides the caller's own, which takes part at the end. */
static int readers_for(int n)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    int most = processors < 2 ? 1 : processors > THREADS_MAX ? THREADS_MAX : (int) processors - 1;
    int worth = n / STATEMENTS_EACH;

    return worth < most ? worth : most;
}

struct statement_facts_work *statement_facts_begin(const struct statement *const *s,
                                                   struct statement_facts *const *out, int n)
{
    struct statement_facts_work *w = calloc(1, sizeof *w);
    sigset_t all, before;

    if (!w)
        abort();
    w->s = s;
    w->out = out;
    w->n = n;
    sigfillset(&all); /* signals are for the threads that wait */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int wanted = readers_for(n); w->n_readers < wanted; w->n_readers++) {
        struct reader *r = &w->readers[w->n_readers];

        r->work = w;
        if (pthread_create(&r->thread, NULL, reader_main, r) != 0)
            break;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return w;
}

void statement_facts_end(struct statement_facts_work *w, struct arena *a)
{
    if (!w)
        return;
    read_on(w, a);
    for (int i = 0; i < w->n_readers; i++) {
        pthread_join(w->readers[i].thread, NULL);
        arena_adopt(a, &w->readers[i].a);
    }
    free(w);
}

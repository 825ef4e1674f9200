/* Of many statements at once: each is read by itself, so every processor can read its part. */
#include "phasegate/statement_facts.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

/* A thread has to be worth its start; more than a few find nothing left to do beside a server that starts. */
enum { THREADS_MAX = 4, STATEMENTS_EACH = 100 };

struct part {
    struct arena a;
    const struct statement *const *s;
    struct statement_facts *const *out;
    int n;
    pthread_t thread;
    bool has_thread;
};

static void *read_part(void *arg)
{
    struct part *p = arg;

    for (int i = 0; i < p->n; i++)
        statement_facts(&p->a, p->s[i], p->out[i]);
    return NULL;
}

static int parts_for(int n)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    int most = processors < 1 ? 1 : processors > THREADS_MAX ? THREADS_MAX : (int) processors;
    int worth = n / STATEMENTS_EACH;

    return worth < 1 ? 1 : worth < most ? worth : most;
}

void statement_facts_all(struct arena *a, const struct statement *const *s,
                         struct statement_facts *const *out, int n)
{
    struct part parts[THREADS_MAX] = {0};
    int n_parts = parts_for(n);
    sigset_t all, before;

    sigfillset(&all); /* signals are for the threads that wait */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int i = 0; i < n_parts; i++) {
        int first = (int) ((long) n * i / n_parts), next = (int) ((long) n * (i + 1) / n_parts);

        parts[i] = (struct part) {.s = s + first, .out = out + first, .n = next - first};
        /* The last one is ours. */
        parts[i].has_thread =
            i < n_parts - 1 && pthread_create(&parts[i].thread, NULL, read_part, &parts[i]) == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    for (int i = 0; i < n_parts; i++)
        if (!parts[i].has_thread)
            read_part(&parts[i]);
    for (int i = 0; i < n_parts; i++) {
        if (parts[i].has_thread)
            pthread_join(parts[i].thread, NULL);
        arena_adopt(a, &parts[i].a);
    }
}

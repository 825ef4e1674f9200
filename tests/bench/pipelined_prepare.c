/* pipelined_prepare CONNINFO FILE: what a server takes for nothing but preparing the statements in FILE, one a line, in
 * one pipeline with a Sync after each. Prints milliseconds, of the pipeline alone. */
#include <libpq-fe.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double) t.tv_sec * 1e3 + (double) t.tv_nsec / 1e6;
}

static void fail(const char *what, PGconn *conn)
{
    fprintf(stderr, "%s: %s\n", what, conn ? PQerrorMessage(conn) : "");
    exit(1);
}

/* What has arrived; how many statements are done with it. */
static int take(PGconn *conn, int n_done, int n, bool wait)
{
    struct pollfd there = {.fd = PQsocket(conn), .events = POLLIN};

    if (wait)
        poll(&there, 1, -1);
    if (!PQconsumeInput(conn))
        fail("reading", conn);
    while (n_done < n && !PQisBusy(conn)) {
        PGresult *r = PQgetResult(conn); /* NULL: between two statements */

        if (r && PQresultStatus(r) == PGRES_FATAL_ERROR)
            fail("PREPARE", conn);
        n_done += r && PQresultStatus(r) == PGRES_PIPELINE_SYNC;
        PQclear(r);
    }
    return n_done;
}

int main(int argc, char **argv)
{
    static char line[1 << 16];
    char **sql = NULL;
    int n = 0, done = 0;
    FILE *file = argc == 3 ? fopen(argv[2], "re") : NULL;

    if (!file)
        fail("pipelined_prepare CONNINFO FILE", NULL);
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        sql = realloc(sql, sizeof(char *) * (size_t) (n + 1));
        if (!sql || !(sql[n++] = strdup(line)))
            abort();
    }
    fclose(file);
    PGconn *conn = PQconnectdb(argv[1]);
    if (PQstatus(conn) != CONNECTION_OK || !PQenterPipelineMode(conn) || PQsetnonblocking(conn, 1))
        fail("connecting", conn);
    double begin = now_ms();
    for (int i = 0; i < n; i++) {
        char name[32];

        snprintf(name, sizeof name, "s%d", i);
        if (!PQsendPrepare(conn, name, sql[i], 0, NULL) || !PQpipelineSync(conn))
            fail("sending", conn);
        if (i % 64 == 0)
            done = take(conn, done, i, false);
    }
    while (PQflush(conn) > 0)
        done = take(conn, done, n, true);
    while (done < n)
        done = take(conn, done, n, true);
    printf("%.3f\n", now_ms() - begin);
    PQfinish(conn);
    for (int i = 0; i < n; i++)
        free(sql[i]);
    free(sql);
    return 0;
}

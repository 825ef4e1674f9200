/* flag_client: an HTTP client for tests of the flag server. Every failure of the transport is visible
 * in status 0; nothing is retried.
 */
#ifndef PHASEGATE_TEST_FLAG_CLIENT_H
#define PHASEGATE_TEST_FLAG_CLIENT_H

#include "phasegate/flag_server.h"

#include <jansson.h>
#include <sys/types.h>

#define ADMIN_TOKEN "admin-token-of-the-tests"
#define READ_TOKEN "read-token-of-the-tests"

struct reply {
    int status; /* 0: no complete answer */
    int curl;   /* the CURLcode */
    struct str body, etag, type, allow;
    json_t *json; /* NULL when the body is none */
};
void reply_free(struct reply *r);
static inline void reply_auto(struct reply *r) { reply_free(r); }

/* headers: "Name: value" lines, separated by newlines; NULL: none. body NULL: none. */
void http_call(const char *method, const char *url, const char *headers, const char *body,
               struct reply *out);
/* The same with the admin token and, when there's a body, Content-Type: application/json. */
void admin_call(const char *method, const char *base, const char *path, const char *headers,
                const char *body, struct reply *out);

const char *reply_text(const struct reply *r, const char *key); /* "" when there is none */
long reply_int(const struct reply *r, const char *key);         /* -1 when there is none */
bool reply_bool(const struct reply *r, const char *key);

/* PUT with If-None-Match: *, failing the test unless it's 200. */
void flag_create(const char *base, const char *key, int percent, const char *bucket_by);
void flag_set_percent(const char *base, const char *key, int percent); /* reads the ETag first */
/* OFREP: 1, 0, or -1 when the answer wasn't 200 with a boolean. */
int ofrep_value(const char *base, const char *key, const char *name, const char *value);

/* A folder for one test, removed with what's in it. */
char *test_folder(void);
void test_folder_remove(char *folder);

/* The server in a process of its own, to be killed. file_limit: RLIMIT_FSIZE of it, 0: none. */
struct server_process {
    pid_t pid;
    char url[64];
};
struct server_process server_process_start(const char *state_path, long file_limit);
void server_process_kill(struct server_process *p, int signal); /* and waits */

#endif

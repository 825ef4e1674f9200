/* flag_server: the builtin flag service. One process, one state file, no database.
 *
 * Serves OFREP evaluation (single and bulk) for any OpenFeature SDK, a flagd sync source, and a small
 * admin API; docs/reference/flag-server.md has the shapes. A flag is a boolean with one number, its
 * percentage; 0 is off for everybody and 100 on for everybody. Who is in a percentage is decided by
 * flag_bucket(), so a higher percentage holds everybody of a lower one.
 *
 * A change is on disk (written, fsynced, renamed, folder fsynced) before it is in memory or answered.
 * Changes that arrive together share one write of the file.
 *
 * The server owns its threads; they have all signals blocked, so the caller's handlers run in the
 * caller's threads. It holds a lock on STATE.lock for as long as it runs.
 */
#ifndef PHASEGATE_FLAG_SERVER_H
#define PHASEGATE_FLAG_SERVER_H

#include "phasegate/err.h"
#include <stdint.h>

#define FLAG_BUCKETS 10000
#define FLAG_SERVER_BODY_MAX ((size_t) 64 << 10)
#define FLAG_SERVER_CONNECTIONS 256
#define FLAG_SERVER_MAX_FLAGS 1000
#define FLAG_SERVER_HISTORY 32 /* entries kept per flag */

struct flag_server_options {
    const char *listen;      /* address or host name; NULL: 127.0.0.1 */
    int port;                /* 0: any free one */
    const char *state_path;  /* made when absent; its folder must exist */
    const char *admin_token; /* NULL: the admin API is switched off */
    const char *read_token;  /* for OFREP and sync; NULL: open, allowed on loopback only */
    int max_connections;     /* 0: FLAG_SERVER_CONNECTIONS */
    int idle_s;              /* a connection that is silent for so long is closed; 0: 15 */
    int grace_ms;            /* how long stop waits for running requests; 0: 5000 */
};

struct flag_server;

/* False: ERR_CONFIG (options, or a state file that can't be trusted), ERR_LOCKED (another server has the
 * state file), ERR_UNREACHABLE (address in use and the like). Nothing is left running then. */
bool flag_server_start(const struct flag_server_options *o, struct flag_server **out,
                       struct err *err) MUST_CHECK;
int flag_server_port(const struct flag_server *s);
const char *flag_server_url(const struct flag_server *s); /* "http://127.0.0.1:8016" */
/* No new connections, running requests are finished, everything is released. NULL is nothing to do. */
void flag_server_stop(struct flag_server *s);

/* 0 .. FLAG_BUCKETS-1: SHA-256 of KEY ":" VALUE, its first 8 bytes as a big-endian number, modulo. A
 * context is in p percent when its bucket is below p * FLAG_BUCKETS / 100. */
int flag_bucket(const char *key, const char *value);

#endif

/* flag_server_int: what the files of the flag server share. Private to serve.
 *
 *   flag_server.c        daemon, routing, authorisation, bodies, stop
 *   flag_server_admin.c  admin API
 *   flag_server_ofrep.c  OFREP and flagd sync
 *   flag_server_body.c   request bodies -> data (fuzzed)
 *   flag_server_set.c    the set of flags: a value; changes, JSON out and in
 *   flag_server_store.c  the one current set, group commit, the state file
 */
#ifndef PHASEGATE_FLAG_SERVER_INT_H
#define PHASEGATE_FLAG_SERVER_INT_H

#include "phasegate/flag_server.h"
#include "phasegate/json_out.h"

#include <jansson.h>
#include <microhttpd.h>
#include <stdatomic.h>

/* ---- the set ---------------------------------------------------------------------------------- */

enum flag_action {
    FLAG_ACTION_CREATE,
    FLAG_ACTION_SET,
    FLAG_ACTION_OFF,
    FLAG_ACTION_ARCHIVE,
    FLAG_ACTION_RESTORE
};
const char *flag_action_word(enum flag_action a);

struct flag_entry { /* one change of a flag, as it was after it */
    enum flag_action action;
    int64_t revision;
    int64_t at_ms;
    int percent, previous_percent;
    bool archived;
    const char *bucket_by;
    const char *by, *reason, *op_id; /* never NULL, "" when not stated */
};

struct flag_item {
    const char *key;
    struct flag_entry now;
    struct flag_entry *history; /* oldest first; the last one equals now */
    int n_history;
};

/* All flags at one revision. Never changed once it is current: readers hold a reference and no lock. */
struct flag_set {
    struct arena arena;
    atomic_int refs;
    const char *store_id; /* random at creation: etags of an earlier state file never match */
    int64_t revision;
    struct flag_item *flags; /* ascending by key */
    int n;
    struct str flagd; /* the definition for sync, rendered once */
};

#define FLAG_ETAG_SIZE 80
void flag_set_etag(const struct flag_set *s, int64_t revision, char out[FLAG_ETAG_SIZE]);
const struct flag_item *flag_set_find(const struct flag_set *s, const char *key);
struct flag_set *flag_set_new(const char *store_id);
struct flag_set *flag_set_copy(const struct flag_set *s);
void flag_set_unref(struct flag_set *s);
void flag_set_render_flagd(struct flag_set *s);
void flag_set_render_file(const struct flag_set *s, struct str *out);
/* The state file's text. False: *why says what's wrong with it, static or in the arena of the set. */
struct flag_set *flag_set_parse(const char *bytes, size_t n, struct str *why);
void flag_item_json(struct json_out *j, const char *name, const struct flag_item *f);
void flag_entry_json(struct json_out *j, const struct flag_entry *e);
bool flag_key_is_valid(const char *key);        /* [A-Za-z0-9][A-Za-z0-9._:~-]{0,127} */
bool flag_bucket_by_is_valid(const char *name); /* [A-Za-z_][A-Za-z0-9_-]{0,63} */

enum flag_result {
    FLAG_CHANGE_DONE,
    FLAG_CHANGE_NONE,       /* already so */
    FLAG_CHANGE_MISMATCH,   /* 412 */
    FLAG_CHANGE_NOT_FOUND,  /* 404 */
    FLAG_CHANGE_ARCHIVED,   /* 409 */
    FLAG_CHANGE_TOO_MANY,   /* 409 */
    FLAG_CHANGE_NOT_STORED, /* 507: certainly not applied */
    FLAG_CHANGE_IN_DOUBT    /* 500: in the file, but the folder couldn't be synced */
};

struct flag_change {
    enum flag_action action; /* CREATE: the flag must not exist */
    const char *key;
    int percent;                     /* CREATE, SET */
    const char *bucket_by;           /* CREATE, SET; NULL: as it is, or targetingKey */
    const char *by, *reason, *op_id; /* NULL: not stated */
    const char *if_match;            /* NULL: no condition */
    int64_t at_ms;
    /* out */
    enum flag_result result;
    char etag[FLAG_ETAG_SIZE];
    struct str json; /* the flag after DONE and NONE */
    struct str why;  /* NOT_STORED, IN_DOUBT */
    /* the store's own */
    bool done;
    struct flag_change *next;
};
void flag_change_free(struct flag_change *c);
static inline void flag_change_auto(struct flag_change *c) { flag_change_free(c); }

/* Applies to a set that isn't current yet. True: the set was changed. Fills result, etag and json. */
bool flag_set_apply(struct flag_set *s, struct flag_change *c);
/* If-Match and If-None-Match lists; weak tags match only when weak. NULL matches nothing. */
bool flag_etag_matches(const char *list, const char *etag, bool weak);

/* ---- the store --------------------------------------------------------------------------------- */

struct flag_store;
bool flag_store_open(const char *path, struct flag_store **out, struct err *err);
void flag_store_close(struct flag_store *s);
/* The current set, with a reference for the caller. */
struct flag_set *flag_store_get(struct flag_store *s);
/* Blocks until the change is durable or refused. Callers of the same moment share one write. */
void flag_store_change(struct flag_store *s, struct flag_change *c);
bool flag_store_is_writable(struct flag_store *s); /* did the last write succeed? */

/* ---- bodies -------------------------------------------------------------------------------------- */

struct flag_body { /* of PUT, off, archive and restore */
    bool has_percent;
    int percent;
    const char *bucket_by, *op_id, *reason, *by; /* in the arena; NULL: absent */
};
/* An empty body is an empty object. False: *why is a sentence. */
bool flag_body_parse(struct arena *a, const char *bytes, size_t n, struct flag_body *out,
                     const char **why);

struct flag_context {      /* of an evaluation */
    json_t *root, *values; /* values: borrowed from root, NULL: no context given */
};
/* NULL: fine. Else an OFREP error code; *why is a sentence. */
const char *flag_context_parse(const char *bytes, size_t n, struct flag_context *out,
                               const char **why);
void flag_context_free(struct flag_context *c);
static inline void flag_context_auto(struct flag_context *c) { flag_context_free(c); }
/* The text that percentages go by: a text, an integer or a boolean. False: the context hasn't got it. */
bool flag_context_value(const struct flag_context *c, const char *name, struct str *out);

struct flag_verdict {
    bool value;
    const char *reason;     /* OFREP: STATIC, SPLIT, DEFAULT */
    const char *error_code; /* NULL, or TARGETING_KEY_MISSING */
    bool bucket_missing;
};
void flag_evaluate(const struct flag_item *f, const struct flag_context *c,
                   struct flag_verdict *out);

/* ---- requests ------------------------------------------------------------------------------------- */

struct flag_server {
    struct MHD_Daemon *daemon;
    struct flag_store *store;
    int port;
    struct str url;
    unsigned char admin_digest[32], read_digest[32];
    bool has_admin, has_read;
    int grace_ms;
    atomic_int running; /* requests between their first line and the end of their answer */
    atomic_bool stopping;
};

#define FLAG_PATH_PARTS 8
struct flag_request {
    struct flag_server *server;
    struct MHD_Connection *connection;
    const char *method, *path;
    struct arena arena;
    char *parts[FLAG_PATH_PARTS]; /* of the path, decoded */
    int n_parts;
    struct str body;
    size_t received;
    bool too_large;
    bool answered;
};

const char *flag_request_header(const struct flag_request *r, const char *name);
enum MHD_Result flag_answer_json(struct flag_request *r, unsigned status, const char *etag,
                                 const struct str *json);
/* {"error": word, "message": sentence} */
enum MHD_Result flag_answer_error(struct flag_request *r, unsigned status, const char *word,
                                  const char *fmt, ...) PRINTF_LIKE(4, 5);
enum MHD_Result flag_answer_method(struct flag_request *r, const char *allow);
enum MHD_Result flag_answer_not_modified(struct flag_request *r, const char *etag);
bool flag_request_is_read(const struct flag_request *r); /* GET or HEAD */

enum MHD_Result flag_admin_handle(struct flag_request *r); /* parts[0..1] are admin, v1 */
enum MHD_Result flag_ofrep_handle(struct flag_request *r); /* ofrep, v1 */
enum MHD_Result flag_sync_handle(struct flag_request *r);  /* flagd, v1 */

#endif

/* flags: the seam to flag services.
 *
 * Desired state is absolute (off, on, n percent), never "toggle". A provider knows one kind of
 * service; it decides nothing about plans. It is written as a small machine that asks for one
 * HTTP request at a time and interprets the answer; the driver (engine/flag_op) performs the
 * requests of many calls side by side. So fifty kills cost little more than one, and a provider
 * can be tested without a network.
 *
 * A provider may not sleep, retry or loop: after IN_DOUBT, RATE_LIMITED and the like it reports,
 * and the driver follows the rules (read before retry, one write in flight per flag, read-back).
 * */
#ifndef PHASEGATE_FLAGS_H
#define PHASEGATE_FLAGS_H

#include "phasegate/ports.h"

enum flag_state {
    FLAG_UNKNOWN, /* could not be read */
    FLAG_ABSENT,  /* certainly no such flag */
    FLAG_ARCHIVED,
    FLAG_OFF,
    FLAG_ON,
    FLAG_PERCENT, /* 1..99 */
    FLAG_COMPLEX  /* something else decides as well; `why` says what */
};

struct flag_value { /* desired: OFF, ON or PERCENT(1..99) only */
    enum flag_state state;
    int percent;
};
static inline struct flag_value flag_value_percent(int percent)
{
    if (percent <= 0)
        return (struct flag_value) {FLAG_OFF, 0};
    if (percent >= 100)
        return (struct flag_value) {FLAG_ON, 100};
    return (struct flag_value) {FLAG_PERCENT, percent};
}
const char *flag_state_word(enum flag_state s);
/* Exposure for comparing: OFF, ABSENT, ARCHIVED 0; ON 100; PERCENT n; COMPLEX, UNKNOWN -1. */
int flag_exposure(enum flag_state s, int percent);

/* How certain we are that a value is in force. */
enum flag_level { FLAG_ACCEPTED, FLAG_CONFIGURED, FLAG_DELIVERED, FLAG_CONFIRMED };
const char *flag_level_word(enum flag_level l);

enum flag_answer {
    FLAG_OK,
    FLAG_NOCHANGE,
    FLAG_CONFLICT,         /* the fingerprint expected is not what's there */
    FLAG_BLOCKED_APPROVAL, /* the service demands an approval of its own */
    FLAG_NOT_FOUND,
    FLAG_AUTH,
    FLAG_RATE_LIMITED, /* retry_at_ms says until when */
    FLAG_REJECTED,     /* 4xx that no retry cures, or a state not to write over */
    FLAG_NOT_SENT,     /* certainly not applied */
    FLAG_IN_DOUBT      /* bytes may have left */
};
const char *flag_answer_word(enum flag_answer a);

struct flag_obs {
    enum flag_state state;
    int percent;
    const char *why;         /* COMPLEX, UNKNOWN */
    bool by_token;           /* UNKNOWN because the service refuses the token */
    const char *fingerprint; /* opaque; equal means nobody changed the flag's configuration */
    const char *actor;       /* who changed it last, NULL: unknown */
    int64_t changed_at_ms;   /* 0: unknown */
};

struct flag_provider;

/* One flag service of an environment, everything resolved (no ${VAR} left). Secrets: never show. */
struct flag_service {
    const struct flag_provider *provider;
    const char *url, *token, *project, *environment, *sdk_token, *ofrep_url, *path, *ca_file;
    const char *set_method, *set_url, *set_body, *get_url, *get_on_pointer,
        *get_percent_pointer; /* http */
    const char *headers[8];   /* http: "Name: value", NULL-terminated */
    int64_t propagation_ms;   /* worst case until every SDK has it */
    const char *shown;        /* "unleash at https://flags.example.com" */
};

struct flag_ref {
    const struct flag_service *service;
    const char *key;
    const char *bucket_by; /* stickiness; NULL: the service's own */
    const char *purpose;   /* for a description on creation: "read flag of plan x" */
};

enum flag_verb {
    FLAG_DO_PREFLIGHT,
    FLAG_DO_ENSURE, /* make it, off */
    FLAG_DO_OBSERVE,
    FLAG_DO_SET,
    FLAG_DO_KILL, /* no precondition, no look-up */
    FLAG_DO_HISTORY,
    FLAG_DO_CLEAR /* file: take the flag's entry out, so that it overrides nothing any more */
};
const char *flag_verb_word(enum flag_verb v);

struct flag_event { /* one change, by whoever */
    int64_t at_ms;
    const char *actor; /* NULL: unknown */
    const char *what;
};

struct flag_call {
    /* in */
    const struct flag_ref *ref;
    enum flag_verb verb;
    enum flag_level level;     /* OBSERVE: CONFIGURED (management) or DELIVERED (what SDKs see) */
    struct flag_value desired; /* SET */
    const char *expect;        /* SET: fingerprint seen before, NULL: don't compare */
    const char *op_id;         /* goes into the service's own audit trail where it has one */
    const char *reason;
    const char *actor;            /* who asked for it, where the service keeps such a name; NULL */
    int64_t connect_ms, total_ms; /* 1 s / 3 s for kills, 3 s / 10 s else */
    bool seen_before;             /* 404 for such a flag is UNKNOWN, not ABSENT */
    struct arena *arena;          /* for everything the provider makes */
    struct host *host;            /* provider file */
    int64_t now_ms;
    const struct flag_obs
        *known; /* OBSERVE: what `etag` was read with; a 304 stands for it. NULL: none */
    const char
        *etag; /* OBSERVE: in: of `known`; out: of this answer, NULL when the service has none */
    /* the provider's own */
    int step;
    void *scratch;
    /* out */
    enum flag_answer
        answer; /* of a call that only reads: OK, or why it could not read (NOT_SENT: out of
                                 * reach or nonsense; nothing was changed) */
    struct flag_obs obs; /* OBSERVE, SET, KILL where an answer contained it; else UNKNOWN */
    int64_t retry_at_ms; /* wall clock; whenever the service said when; 0: it didn't */
    const char *detail;  /* one sentence for people, no secrets; NULL */
    bool wrote;          /* a request that may change something was sent */
    /* PREFLIGHT */
    bool has_sdk_endpoint, approvals_block;
    int64_t token_expires_ms; /* 0: unknown */
    /* HISTORY: newest first */
    const struct flag_event *events;
    int n_events;
};

enum flag_next { FLAG_REQUEST, FLAG_FINISHED };

struct flag_provider {
    const char *name;  /* "unleash" */
    const char *about; /* one line for help and docs */
    bool native_percent, cas, audit, sdk_endpoint, can_write;
    /* last: NULL at first, then the answer to the request asked for. FLAG_REQUEST: *out is to be
     * performed, then call again. FLAG_FINISHED: the out fields of call are set. */
    enum flag_next (*next)(struct flag_call *call, const struct http_res *last,
                           struct http_req *out);
    /* Is this service described well enough? Names the missing setting. */
    bool (*check)(const struct flag_service *s, struct err *err);
    int64_t default_propagation_ms;
    /* The highest level at which this value can be read back from the service as it is
     * described. */
    enum flag_level (*reach)(const struct flag_service *s, struct flag_value v);
};

/* All providers, ends with NULL. */
extern const struct flag_provider *const flag_providers[];
const struct flag_provider *flag_provider_find(const char *name);
enum flag_level flag_service_reach(const struct flag_service *s, struct flag_value v);
/* s->propagation_ms, or the provider's default when that is 0 or less. */
int64_t flag_service_propagation_ms(const struct flag_service *s);
/* 16 hex digits that differ when the text differs; not cryptographic. For fingerprints. */
const char *flag_digest(struct arena *a, const char *text);

/* Shared by providers: classify what every service does alike. True: *answer is decided (NOT_SENT,
 * IN_DOUBT, AUTH, RATE_LIMITED, 5xx, HTML with 200, 405/409 forms of approval). False: look at it
 * yourself. */
bool flag_classify(struct flag_call *call, const struct http_res *res, bool is_write,
                   bool json_required);

#endif

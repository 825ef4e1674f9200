/* provider: what the flag services have in common. Private to this layer.
 *
 * Nothing here sleeps or talks to the network. Everything made lives in call->arena.
 */
#ifndef PHASEGATE_PROVIDER_PROVIDER_H
#define PHASEGATE_PROVIDER_PROVIDER_H

#include "phasegate/flags.h"
#include <jansson.h>

/* ---- requests -------------------------------------------------------------------------------- */

/* "{base}{path}"; trailing slashes of base don't count. */
const char *provider_url(struct arena *a, const char *base, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Percent-encoded for one path segment or query value. */
const char *provider_escape(struct arena *a, const char *s);
/* Fills *out and always returns FLAG_REQUEST. body NULL: none; else JSON. A write sets
 * call->wrote. */
enum flag_next provider_ask(struct flag_call *call, struct http_req *out, const char *method,
                            const char *url, const char *body, bool is_write);
void provider_header(struct flag_call *call, struct http_req *req, const char *name,
                     const char *prefix, const char *value_or_null);
bool provider_has_header(const struct http_req *req, const char *name);

/* ---- answers --------------------------------------------------------------------------------- */

/* Sets answer and detail; returns FLAG_FINISHED. fmt NULL: no detail. obs stays as it is. */
enum flag_next provider_done(struct flag_call *call, enum flag_answer answer, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
/* The answer of a call whose read went wrong: NOT_SENT, or IN_DOUBT when something was written
 * before. */
enum flag_next provider_unreadable(struct flag_call *call, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* An answer that nobody provided for: REJECTED for 4xx, else as flag_classify has it. */
enum flag_next provider_unexpected(struct flag_call *call, const struct http_res *res,
                                   bool is_write);
void provider_saw(struct flag_call *call, enum flag_state state, int percent, const char *why,
                  const char *fingerprint);
bool provider_is_value(const struct flag_obs *obs, struct flag_value v);

/* NULL when it isn't JSON. The caller decrefs (json_auto_t). */
json_t *provider_json(const struct http_res *res);
/* The text of a member, copied to the arena; NULL when absent or no text. */
const char *provider_text(struct flag_call *call, const json_t *object, const char *key);
/* The service's own message in a JSON answer (message, error, detail, errors[0].message), at most
 * 200 bytes. */
const char *provider_message(struct flag_call *call, const struct http_res *res);
/* A whole number 0..100 in decimal digits; -1: it isn't. */
int provider_percent(const char *text);
const char *provider_dump(struct arena *a, const json_t *j); /* canonical: compact, sorted keys */

/* At most max bytes, never half a character. */
const char *provider_cut(struct arena *a, const char *text_or_null, size_t max);
/* Does this text, in any case, contain that lower-case word? */
bool provider_mentions(const char *text, const char *word);

/* ---- flagd's format, shared by file and builtin ---------------------------------------------- */

struct flagd_shape {
    enum flag_state state; /* OFF, ON, PERCENT, COMPLEX */
    int percent;
    const char *why;       /* COMPLEX */
    const char *on, *off;  /* names of the variants true and false; NULL: there is none */
    const char *bucket_by; /* of the fractional rule; NULL */
    const char *fingerprint;
};
void flagd_read(struct arena *a, const json_t *flag, struct flagd_shape *out);
/* Writes percent into the flag (0 and 100: no targeting), keeps keys that it doesn't know. */
void flagd_write(json_t *flag, const struct flagd_shape *shape, int percent, const char *bucket_by,
                 const char *op_id);

/* ---- OFREP as a second way to see what applications get -------------------------------------- */

enum flag_next ofrep_observe(struct flag_call *call, const struct http_res *last,
                             struct http_req *out, const char *base, const char *token);

extern const struct flag_provider provider_unleash, provider_builtin, provider_file, provider_http,
    provider_ofrep;

#endif

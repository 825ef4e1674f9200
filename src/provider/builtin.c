/* builtin: phasegate's own flag server. Changes are compare-and-set with its ETag; what
 * applications get is read from its flagd source, because an evaluation can't show a percentage. */
#include "phasegate/names.h"
#include "provider.h"
#include <string.h>

enum { REASON_MAX = 256, NAME_MAX_LEN = 64 }; /* what the server takes */
enum { B_START, B_READ, B_PUT, B_OFF, B_SOURCE, B_HISTORY };

struct scratch {
    const char *etag, *bucket_by;
    bool reread;
};

static const char *admin_url(struct flag_call *call, const char *tail)
{
    return provider_url(call->arena, call->ref->service->url, "/admin/v1/flags/%s%s",
                        provider_escape(call->arena, call->ref->key), tail);
}

static enum flag_next ask(struct flag_call *call, struct http_req *out, int step,
                          const char *method, const char *tail, const char *body, bool is_write)
{
    call->step = step;
    provider_ask(call, out, method, admin_url(call, tail), body, is_write);
    provider_header(call, out, "Authorization", "Bearer ", call->ref->service->token);
    return FLAG_REQUEST;
}

static enum flag_next ask_source(struct flag_call *call, struct http_req *out)
{
    const struct flag_service *s = call->ref->service;

    call->step = B_SOURCE;
    provider_ask(call, out, "GET", provider_url(call->arena, s->url, "/flagd/v1/flags.json"), NULL,
                 false);
    provider_header(call, out, "Authorization", "Bearer ", s->sdk_token ? s->sdk_token : s->token);
    if (call->known)
        provider_header(call, out, "If-None-Match", "", call->etag);
    return FLAG_REQUEST;
}

/* 200 of the admin API into obs. False: the call is finished, it's no such answer. */
static bool read_flag(struct flag_call *call, const struct http_res *res, bool is_write)
{
    struct scratch *mine = call->scratch;
    json_auto_t *root = provider_json(res);
    const json_t *percent = json_object_get(root, "percent");
    const char *key = json_string_value(json_object_get(root, "key"));
    struct flag_value v;
    const char *updated;

    if (!key || strcmp(key, call->ref->key) != 0 || !json_is_integer(percent) ||
        json_integer_value(percent) < 0 || json_integer_value(percent) > 100) {
        provider_unexpected(call, res, is_write);
        return false;
    }
    v = flag_value_percent((int) json_integer_value(percent));
    if (json_is_true(json_object_get(root, "archived")))
        v = (struct flag_value) {FLAG_ARCHIVED, 0};
    else if (json_is_false(json_object_get(root, "enabled")))
        v = flag_value_percent(0);
    mine->etag = arena_strdup(call->arena, res->etag);
    mine->bucket_by = provider_text(call, root, "bucketBy");
    provider_saw(call, v.state, v.percent, NULL,
                 mine->etag ? mine->etag
                            : flag_digest(call->arena, provider_dump(call->arena, root)));
    call->obs.actor = provider_text(call, root, "updatedBy");
    updated = json_string_value(json_object_get(root, "updatedAt"));
    if (!updated || !time_from_rfc3339(updated, &call->obs.changed_at_ms))
        call->obs.changed_at_ms = 0;
    return true;
}

static const char *change_body(struct flag_call *call, int percent_or_minus)
{
    json_auto_t *body = json_object();

    if (percent_or_minus >= 0) {
        json_object_set_new(body, "percent", json_integer(percent_or_minus));
        if (call->ref->bucket_by)
            json_object_set_new(body, "bucketBy", json_string(call->ref->bucket_by));
    }
    if (call->op_id)
        json_object_set_new(body, "opId",
                            json_string(provider_cut(call->arena, call->op_id, NAME_MAX_LEN)));
    if (call->reason)
        json_object_set_new(body, "reason",
                            json_string(provider_cut(call->arena, call->reason, REASON_MAX)));
    if (call->actor)
        json_object_set_new(body, "by",
                            json_string(provider_cut(call->arena, call->actor, NAME_MAX_LEN)));
    return provider_dump(call->arena, body);
}

static enum flag_next put(struct flag_call *call, struct http_req *out, int percent)
{
    const struct scratch *mine = call->scratch;

    ask(call, out, B_PUT, "PUT", "", change_body(call, percent), true);
    if (call->verb == FLAG_DO_ENSURE)
        provider_header(call, out, "If-None-Match", "", "*");
    else
        provider_header(call, out, "If-Match", "", mine->etag ? mine->etag : "\"\"");
    return FLAG_REQUEST;
}

/* A url with a wrong path gets a 404 as well, and it says nothing about any flag. */
static bool is_elsewhere(const struct http_res *res)
{
    json_auto_t *root = res->status == 404 ? provider_json(res) : NULL;
    const char *message = json_string_value(json_object_get(root, "message"));

    return message && strcmp(message, "no such endpoint") == 0;
}

static enum flag_next elsewhere(struct flag_call *call, bool is_write)
{
    static const char what[] = "%s answers, but has no such endpoint: its url leads elsewhere";

    return is_write ? provider_done(call, FLAG_REJECTED, what, call->ref->service->shown)
                    : provider_unreadable(call, what, call->ref->service->shown);
}

static enum flag_next absent(struct flag_call *call, struct http_req *out)
{
    if (call->seen_before && call->verb != FLAG_DO_ENSURE)
        return provider_unreadable(call, "flag \"%s\" was there before and is not found now",
                                   call->ref->key);
    provider_saw(call, FLAG_ABSENT, 0, NULL, "absent");
    if (call->verb == FLAG_DO_ENSURE)
        return put(call, out, 0);
    if (call->verb == FLAG_DO_SET)
        return provider_done(call, FLAG_NOT_FOUND, "no flag \"%s\" at %s", call->ref->key,
                             call->ref->service->shown);
    return call->verb == FLAG_DO_PREFLIGHT ? ask_source(call, out)
                                           : provider_done(call, FLAG_OK, NULL);
}

static enum flag_next set_after_read(struct flag_call *call, struct http_req *out)
{
    const struct scratch *mine = call->scratch;
    struct flag_value v = call->desired;
    const char *by = call->ref->bucket_by;

    if (call->expect && strcmp(call->expect, call->obs.fingerprint) != 0)
        return provider_done(call, FLAG_CONFLICT, "flag \"%s\" was changed meanwhile%s%s",
                             call->ref->key, call->obs.actor ? " by " : "",
                             call->obs.actor ? call->obs.actor : "");
    if (call->obs.state == FLAG_ARCHIVED)
        return provider_done(call, FLAG_REJECTED, "flag \"%s\" is archived", call->ref->key);
    if (provider_is_value(&call->obs, v))
        return provider_done(call, FLAG_NOCHANGE, NULL);
    if (v.state == FLAG_PERCENT && call->obs.state == FLAG_PERCENT && by && mine->bucket_by &&
        strcmp(by, mine->bucket_by) != 0)
        return provider_done(call, FLAG_REJECTED,
                             "flag \"%s\" goes by \"%s\" and the plan by \"%s\": "
                             "other users would be in",
                             call->ref->key, mine->bucket_by, by);
    return put(call, out, v.state == FLAG_ON ? 100 : v.state == FLAG_OFF ? 0 : v.percent);
}

static enum flag_next after_read(struct flag_call *call, const struct http_res *res,
                                 struct http_req *out)
{
    if (flag_classify(call, res, false, true))
        return FLAG_FINISHED;
    if (is_elsewhere(res))
        return elsewhere(call, false);
    if (res->status == 404)
        return absent(call, out);
    if (res->status != 200)
        return provider_unexpected(call, res, false);
    if (!read_flag(call, res, false))
        return FLAG_FINISHED;
    switch (call->verb) {
    case FLAG_DO_SET: return set_after_read(call, out);
    case FLAG_DO_PREFLIGHT: return ask_source(call, out);
    case FLAG_DO_ENSURE:
        if (call->obs.state == FLAG_ARCHIVED)
            return provider_done(call, FLAG_REJECTED, "flag \"%s\" is archived", call->ref->key);
        return provider_done(call, FLAG_NOCHANGE, NULL);
    default: return provider_done(call, FLAG_OK, NULL);
    }
}

static enum flag_next after_put(struct flag_call *call, const struct http_res *res,
                                struct http_req *out)
{
    struct scratch *mine = call->scratch;

    if (flag_classify(call, res, true, true))
        return FLAG_FINISHED;
    if (res->status == 412 && call->verb == FLAG_DO_ENSURE && !mine->reread) {
        mine->reread = true; /* somebody made it at the same time */
        return ask(call, out, B_READ, "GET", "", NULL, false);
    }
    if (res->status == 412)
        return provider_done(call, FLAG_CONFLICT, "flag \"%s\" was changed meanwhile",
                             call->ref->key);
    if (is_elsewhere(res))
        return elsewhere(call, true);
    if (res->status == 404)
        return provider_done(call, FLAG_NOT_FOUND, "no flag \"%s\" at %s", call->ref->key,
                             call->ref->service->shown);
    if (res->status != 200 && res->status != 201)
        return provider_unexpected(call, res, true);
    return read_flag(call, res, true) ? provider_done(call, FLAG_OK, NULL) : FLAG_FINISHED;
}

static enum flag_next after_off(struct flag_call *call, const struct http_res *res)
{
    if (flag_classify(call, res, true, true))
        return FLAG_FINISHED;
    if (is_elsewhere(res))
        return elsewhere(call, true);
    if (res->status == 404)
        return provider_done(call, FLAG_NOT_FOUND, "no flag \"%s\" at %s", call->ref->key,
                             call->ref->service->shown);
    if (res->status != 200)
        return provider_unexpected(call, res, true);
    return read_flag(call, res, true) ? provider_done(call, FLAG_OK, NULL) : FLAG_FINISHED;
}

static enum flag_next after_source(struct flag_call *call, const struct http_res *res)
{
    struct flagd_shape shape;

    if (flag_classify(call, res, false, true))
        return FLAG_FINISHED;
    if (res->status == 304 && call->known) {
        call->obs = *call->known;
        return provider_done(call, FLAG_OK, NULL);
    }
    if (res->status != 200)
        return provider_unexpected(call, res, false);

    json_auto_t *root = provider_json(res);
    const json_t *flags = json_object_get(root, "flags"),
                 *flag = json_object_get(flags, call->ref->key);

    if (!json_is_object(flags))
        return provider_unexpected(call, res, false);
    if (call->verb == FLAG_DO_PREFLIGHT) {
        call->has_sdk_endpoint = true;
        return provider_done(call, FLAG_OK, NULL);
    }
    call->etag = arena_strdup(call->arena, res->etag);
    if (!flag) {
        provider_saw(call, FLAG_ABSENT, 0, NULL, "absent");
    } else {
        flagd_read(call->arena, flag, &shape);
        provider_saw(call, shape.state, shape.percent, shape.why, shape.fingerprint);
    }
    return provider_done(call, FLAG_OK, NULL);
}

static enum flag_next after_history(struct flag_call *call, const struct http_res *res)
{
    if (flag_classify(call, res, false, true))
        return FLAG_FINISHED;
    if (res->status != 200)
        return provider_unexpected(call, res, false);

    json_auto_t *root = provider_json(res);
    const json_t *list = json_object_get(root, "history");
    struct flag_event *events =
        arena_array(call->arena, struct flag_event, json_array_size(list) + 1);
    json_t *entry;
    size_t i;

    json_array_foreach((json_t *) list, i, entry)
    {
        const char *at = json_string_value(json_object_get(entry, "at"));
        const char *action = json_string_value(json_object_get(entry, "action"));

        if (!at || !time_from_rfc3339(at, &events[i].at_ms))
            events[i].at_ms = 0;
        events[i].actor = provider_text(call, entry, "by");
        events[i].what =
            arena_printf(call->arena, "%s: %d %% to %d %%", action ? action : "change",
                         (int) json_integer_value(json_object_get(entry, "previousPercent")),
                         (int) json_integer_value(json_object_get(entry, "percent")));
    }
    call->events = events;
    call->n_events = (int) json_array_size(list);
    return provider_done(call, FLAG_OK, NULL);
}

static enum flag_next start(struct flag_call *call, struct http_req *out)
{
    const struct flag_service *s = call->ref->service;

    call->scratch = arena_new(call->arena, struct scratch);
    switch (call->verb) {
    case FLAG_DO_KILL: return ask(call, out, B_OFF, "POST", "/off", change_body(call, -1), true);
    case FLAG_DO_HISTORY: return ask(call, out, B_HISTORY, "GET", "/history", NULL, false);
    case FLAG_DO_CLEAR:
        return provider_done(call, FLAG_REJECTED, "%s has no entries to take out", s->shown);
    case FLAG_DO_OBSERVE:
        if (call->level >= FLAG_DELIVERED)
            return ask_source(call, out);
        break;
    default: break;
    }
    return ask(call, out, B_READ, "GET", "", NULL, false);
}

static enum flag_next next(struct flag_call *call, const struct http_res *last,
                           struct http_req *out)
{
    switch (last ? call->step : B_START) {
    case B_START: return start(call, out);
    case B_READ: return after_read(call, last, out);
    case B_PUT: return after_put(call, last, out);
    case B_OFF: return after_off(call, last);
    case B_SOURCE: return after_source(call, last);
    default: return after_history(call, last);
    }
}

static bool check(const struct flag_service *s, struct err *err)
{
    if (!s->url)
        return err_set(err, ERR_CONFIG, "flags: provider builtin needs `url`");
    if (!s->token)
        return err_set(err, ERR_CONFIG, "flags: provider builtin needs `token` or `token_file`");
    return true;
}

static enum flag_level reach(const struct flag_service *s, struct flag_value v)
{
    (void) s, (void) v;
    return FLAG_DELIVERED;
}

const struct flag_provider provider_builtin = {
    .name = "builtin",
    .about = "phasegate's own flag-server",
    .native_percent = true,
    .cas = true,
    .audit = true,
    .sdk_endpoint = true,
    .can_write = true,
    .next = next,
    .check = check,
    .reach = reach,
    .default_propagation_ms = 5000,
};

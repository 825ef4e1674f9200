/* unleash: the management API of Unleash, and what its client API hands to SDKs.
 *
 * Traps that the order of requests is made for:
 * - an environment that is switched on without an active strategy gets one of 100 %: the strategy
 *   comes first;
 * - a strategy is changed by PATCH of its percentage: PUT loses groupId, and others would be in;
 * - the environment endpoint calls archived flags enabled: the feature endpoint is read instead;
 * - 404 is also said when the database is away, and of archived flags: a search among each kind has
 *   to agree before a flag counts as absent. */
#include "unleash_shape.h"
#include <string.h>

enum step {
    U_READ,
    U_SEARCH,
    U_SEARCH_ARCHIVED,
    U_CREATE,
    U_ADD,
    U_PATCH,
    U_ON,
    U_OFF,
    U_VERIFY,
    U_ENVIRONMENTS,
    U_APPROVALS,
    U_CLIENT,
    U_HISTORY
};

enum { TITLE_MAX = 120, SEARCH_LIMIT = 100, HISTORY_LIMIT = 20 };

struct scratch {
    struct unleash_shape shape;
    bool archived, absent, created;
};

/* ---- requests -------------------------------------------------------------------------------- */

static const char *base_of(struct flag_call *call)
{
    const char *url = call->ref->service->url;
    size_t n = strlen(url);

    while (n > 0 && url[n - 1] == '/')
        n--;
    if (n > 4 && strncmp(url + n - 4, "/api", 4) == 0) /* as SDKs want it */
        n -= 4;
    return arena_strndup(call->arena, url, n);
}

static const char *project_path(struct flag_call *call)
{
    const char *project = call->ref->service->project;

    return arena_printf(call->arena, "/api/admin/projects/%s",
                        provider_escape(call->arena, project ? project : "default"));
}

static const char *feature_path(struct flag_call *call)
{
    return arena_printf(call->arena, "%s/features/%s", project_path(call),
                        provider_escape(call->arena, call->ref->key));
}

static const char *environment_path(struct flag_call *call)
{
    return arena_printf(call->arena, "%s/environments/%s", feature_path(call),
                        provider_escape(call->arena, call->ref->service->environment));
}

static enum flag_next ask(struct flag_call *call, struct http_req *out, enum step step,
                          const char *method, const char *path, const char *body, bool is_write)
{
    call->step = (int) step;
    provider_ask(call, out, method, provider_url(call->arena, base_of(call), "%s", path), body,
                 is_write);
    provider_header(call, out, "Authorization", "", call->ref->service->token);
    return FLAG_REQUEST;
}

static enum flag_next ask_switch(struct flag_call *call, struct http_req *out, bool on)
{
    return ask(call, out, on ? U_ON : U_OFF, "POST",
               arena_printf(call->arena, "%s/%s", environment_path(call), on ? "on" : "off"), NULL,
               true);
}

static enum flag_next ask_client(struct flag_call *call, struct http_req *out)
{
    call->step = U_CLIENT;
    provider_ask(call, out, "GET", provider_url(call->arena, base_of(call), "/api/client/features"),
                 NULL, false);
    provider_header(call, out, "Authorization", "", call->ref->service->sdk_token);
    if (call->known)
        provider_header(call, out, "If-None-Match", "", call->etag);
    return FLAG_REQUEST;
}

/* The strategy's title is free text that the service keeps in its events. */
static const char *title_of(struct flag_call *call)
{
    return provider_cut(call->arena,
                        arena_printf(call->arena, "phasegate %s%s%s",
                                     call->op_id ? call->op_id : "", call->reason ? ": " : "",
                                     call->reason ? call->reason : ""),
                        TITLE_MAX);
}

static enum flag_next ask_add(struct flag_call *call, struct http_req *out, int percent)
{
    const char *by = call->ref->bucket_by ? call->ref->bucket_by : "default";
    json_auto_t *body =
        json_pack("{s:s,s:s,s:{s:o,s:s,s:s},s:[],s:[]}", "name", "flexibleRollout", "title",
                  title_of(call), "parameters", "rollout", json_sprintf("%d", percent),
                  "stickiness", by, "groupId", call->ref->key, "constraints", "segments");

    return ask(call, out, U_ADD, "POST",
               arena_printf(call->arena, "%s/strategies", environment_path(call)),
               provider_dump(call->arena, body), true);
}

static enum flag_next ask_patch(struct flag_call *call, struct http_req *out, int percent)
{
    const struct scratch *mine = call->scratch;
    json_auto_t *body = json_pack("[{s:s,s:s,s:o},{s:s,s:s,s:s}]", "op", "replace", "path",
                                  "/parameters/rollout", "value", json_sprintf("%d", percent), "op",
                                  "replace", "path", "/title", "value", title_of(call));

    if (mine->shape.disabled)
        json_array_append_new(
            body, json_pack("{s:s,s:s,s:b}", "op", "replace", "path", "/disabled", "value", 0));
    return ask(call, out, U_PATCH, "PATCH",
               arena_printf(call->arena, "%s/strategies/%s", environment_path(call),
                            provider_escape(call->arena, mine->shape.id)),
               provider_dump(call->arena, body), true);
}

/* ---- reading --------------------------------------------------------------------------------- */

static void shape_saw(struct flag_call *call)
{
    const struct scratch *mine = call->scratch;
    const struct unleash_shape *s = &mine->shape;

    if (mine->archived)
        provider_saw(call, FLAG_ARCHIVED, 0, NULL, "archived");
    else /* off stays off whatever else is set up; `why` warns that it can't be switched on by us */
        provider_saw(call, s->state, s->percent, s->foreign, s->fingerprint);
}

/* The feature endpoint's answer into scratch. False: the call is finished. */
static bool read_feature(struct flag_call *call, const struct http_res *res)
{
    const char *environment = call->ref->service->environment;
    struct scratch *mine = call->scratch;
    json_auto_t *root = provider_json(res);
    const json_t *list = json_object_get(root, "environments"), *found = NULL;
    const char *name = json_string_value(json_object_get(root, "name"));
    json_t *item;
    size_t i;

    if (!name || strcmp(name, call->ref->key) != 0) {
        provider_unexpected(call, res, false);
        return false;
    }
    mine->archived = json_is_true(json_object_get(root, "archived"));
    json_array_foreach((json_t *) list, i, item)
    {
        const char *other = json_string_value(json_object_get(item, "name"));

        if (other && strcmp(other, environment) == 0)
            found = item;
    }
    if (!found && !mine->archived) {
        call->obs = (struct flag_obs) {.state = FLAG_UNKNOWN, .why = "no such environment"};
        provider_done(call, FLAG_NOT_FOUND, "project \"%s\" at %s has no environment \"%s\"",
                      call->ref->service->project ? call->ref->service->project : "default",
                      call->ref->service->shown, environment);
        return false;
    }
    unleash_shape_read(call->arena, json_is_true(json_object_get(found, "enabled")),
                       json_object_get(found, "strategies"), json_object_get(root, "dependencies"),
                       json_object_get(found, "releasePlans"), &mine->shape);
    shape_saw(call);
    return true;
}

/* ---- after the flag was read ----------------------------------------------------------------- */

static enum flag_next refuse(struct flag_call *call, const char *why)
{
    return provider_done(call, FLAG_REJECTED, "flag \"%s\": %s", call->ref->key, why);
}

static enum flag_next set_after_read(struct flag_call *call, struct http_req *out)
{
    const struct scratch *mine = call->scratch;
    const struct unleash_shape *s = &mine->shape;
    struct flag_value v = call->desired;
    int percent = v.state == FLAG_ON ? 100 : v.percent;

    if (call->expect && strcmp(call->expect, call->obs.fingerprint) != 0)
        return provider_done(call, FLAG_CONFLICT, "flag \"%s\" was changed meanwhile",
                             call->ref->key);
    if (mine->archived)
        return v.state == FLAG_OFF ? provider_done(call, FLAG_NOCHANGE, NULL)
                                   : refuse(call, "it is archived");
    if (v.state == FLAG_OFF)
        return s->enabled ? ask_switch(call, out, false) : provider_done(call, FLAG_NOCHANGE, NULL);
    if (s->foreign)
        return refuse(call, s->foreign);
    if (provider_is_value(&call->obs, v))
        return provider_done(call, FLAG_NOCHANGE, NULL);
    if (s->n_strategies == 0)
        return ask_add(call, out, percent);
    if (v.state == FLAG_PERCENT && call->ref->bucket_by &&
        strcmp(call->ref->bucket_by, s->stickiness ? s->stickiness : "") != 0)
        return refuse(call, arena_printf(call->arena,
                                         "it goes by \"%s\" and the plan by \"%s\": other users "
                                         "would be in",
                                         s->stickiness ? s->stickiness : "default",
                                         call->ref->bucket_by));
    if (s->rollout != percent || s->disabled)
        return ask_patch(call, out, percent);
    return ask_switch(call, out, true);
}

static enum flag_next ensure_after_read(struct flag_call *call, struct http_req *out)
{
    const struct scratch *mine = call->scratch;

    if (mine->archived)
        return refuse(call, "it is archived");
    if (mine->shape.foreign)
        return refuse(call, mine->shape.foreign);
    if (mine->shape.n_strategies == 0)
        return ask_add(call, out, 1);
    return provider_done(call, mine->created ? FLAG_OK : FLAG_NOCHANGE, NULL);
}

static enum flag_next ask_environments(struct flag_call *call, struct http_req *out)
{
    const char *project = call->ref->service->project;

    return ask(call, out, U_ENVIRONMENTS, "GET",
               arena_printf(call->arena, "/api/admin/environments/project/%s",
                            provider_escape(call->arena, project ? project : "default")),
               NULL, false);
}

static enum flag_next ask_search(struct flag_call *call, struct http_req *out, bool archived)
{
    const char *project = call->ref->service->project;

    return ask(call, out, archived ? U_SEARCH_ARCHIVED : U_SEARCH, "GET",
               arena_printf(call->arena,
                            "/api/admin/search/features?query=%s&project=IS%%3A%s&limit=%d%s",
                            provider_escape(call->arena, call->ref->key),
                            provider_escape(call->arena, project ? project : "default"),
                            SEARCH_LIMIT, archived ? "&archived=IS%3Atrue" : ""),
               NULL, false);
}

static enum flag_next after_read(struct flag_call *call, const struct http_res *res,
                                 struct http_req *out)
{
    if (flag_classify(call, res, false, true))
        return FLAG_FINISHED;
    if (res->status == 404)
        return ask_search(call, out, false);
    if (res->status != 200)
        return provider_unexpected(call, res, false);
    if (!read_feature(call, res))
        return FLAG_FINISHED;
    switch (call->verb) {
    case FLAG_DO_SET: return set_after_read(call, out);
    case FLAG_DO_ENSURE: return ensure_after_read(call, out);
    case FLAG_DO_PREFLIGHT: return ask_environments(call, out);
    default: return provider_done(call, FLAG_OK, NULL);
    }
}

static enum flag_next absent(struct flag_call *call, struct http_req *out)
{
    struct scratch *mine = call->scratch;

    mine->absent = true;
    provider_saw(call, FLAG_ABSENT, 0, NULL, "absent");
    if (call->verb == FLAG_DO_PREFLIGHT)
        return ask_environments(call, out);
    if (call->verb == FLAG_DO_ENSURE) {
        json_auto_t *body =
            json_pack("{s:s,s:s,s:s,s:b}", "name", call->ref->key, "type", "release", "description",
                      call->ref->purpose ? call->ref->purpose : "", "impressionData", 0);

        return ask(call, out, U_CREATE, "POST",
                   arena_printf(call->arena, "%s/features", project_path(call)),
                   provider_dump(call->arena, body), true);
    }
    if (call->verb == FLAG_DO_SET)
        return provider_done(call, FLAG_NOT_FOUND, "no flag \"%s\" in project \"%s\" at %s",
                             call->ref->key,
                             call->ref->service->project ? call->ref->service->project : "default",
                             call->ref->service->shown);
    return provider_done(call, FLAG_OK, NULL);
}

static enum flag_next archived(struct flag_call *call)
{
    struct scratch *mine = call->scratch;

    mine->archived = true;
    shape_saw(call);
    if (call->verb == FLAG_DO_ENSURE ||
        (call->verb == FLAG_DO_SET && call->desired.state != FLAG_OFF))
        return refuse(call, "it is archived");
    return provider_done(call, call->verb == FLAG_DO_SET ? FLAG_NOCHANGE : FLAG_OK, NULL);
}

/* All reads must agree that there's no such flag. The feature endpoint doesn't know archived ones
 * either. */
static enum flag_next after_search(struct flag_call *call, const struct http_res *res,
                                   struct http_req *out)
{
    const char *shown = call->ref->service->shown, *key = call->ref->key;
    bool among_archived = call->step == U_SEARCH_ARCHIVED, found = false;

    if (flag_classify(call, res, false, true))
        return FLAG_FINISHED;

    json_auto_t *root = provider_json(res);
    const json_t *list = json_object_get(root, "features");
    json_t *item;
    size_t i;

    if (res->status != 200 || !json_is_array(list))
        return provider_unreadable(
            call, "%s says there's no flag \"%s\", and a search can't confirm it", shown, key);
    json_array_foreach((json_t *) list, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));

        found = found || (name && strcmp(name, key) == 0);
    }
    if (found && among_archived)
        return archived(call);
    if (found)
        return provider_unreadable(call, "%s says there's no flag \"%s\", but a search finds it",
                                   shown, key);
    if (json_integer_value(json_object_get(root, "total")) > (json_int_t) json_array_size(list))
        return provider_unreadable(
            call, "%s says there's no flag \"%s\", and a search finds too many to tell", shown,
            key);
    return among_archived ? absent(call, out) : ask_search(call, out, true);
}

/* ---- after a write --------------------------------------------------------------------------- */

static enum flag_next after_create(struct flag_call *call, const struct http_res *res,
                                   struct http_req *out)
{
    if (flag_classify(call, res, true, true))
        return FLAG_FINISHED;
    if (res->status ==
        409) /* nearly always an archived namesake; the read before would have found another */
        return provider_unexpected(call, res, true);
    if (res->status != 200 && res->status != 201)
        return provider_unexpected(call, res, true);
    return ask_add(call, out, 1);
}

/* A strategy that was added or patched: the answer shows what it is now. */
static enum flag_next after_strategy(struct flag_call *call, const struct http_res *res,
                                     struct http_req *out)
{
    struct scratch *mine = call->scratch;
    int wanted = call->verb == FLAG_DO_ENSURE     ? 1
                 : call->desired.state == FLAG_ON ? 100
                                                  : call->desired.percent;

    if (flag_classify(call, res, true, true))
        return FLAG_FINISHED;
    if (res->status == 404)
        return provider_done(call, FLAG_CONFLICT, "flag \"%s\" or its strategy went away meanwhile",
                             call->ref->key);
    if (res->status != 200 && res->status != 201)
        return provider_unexpected(call, res, true);

    json_auto_t *root = provider_json(res);
    const char *rollout =
        json_string_value(json_object_get(json_object_get(root, "parameters"), "rollout"));

    if (provider_percent(rollout) != wanted) {
        call->obs = (struct flag_obs) {.state = FLAG_UNKNOWN, .why = "a write is in doubt"};
        return provider_done(call, FLAG_IN_DOUBT,
                             "flag \"%s\": asked for %d %%, and the service has \"%s\"",
                             call->ref->key, wanted, rollout ? rollout : "?");
    }
    if (call->verb == FLAG_DO_ENSURE) {
        mine->created = true;
        return ask(call, out, U_VERIFY, "GET", feature_path(call), NULL, false);
    }
    if (!mine->shape.enabled)
        return ask_switch(call, out, true);
    call->obs = (struct flag_obs) {.state = FLAG_UNKNOWN, .why = "not read back yet"};
    return provider_done(call, FLAG_OK, NULL);
}

static enum flag_next after_switch(struct flag_call *call, const struct http_res *res)
{
    const char *message;

    if (flag_classify(call, res, true, false))
        return FLAG_FINISHED;
    call->obs = (struct flag_obs) {.state = FLAG_UNKNOWN, .why = "not read back yet"};
    if (res->status == 200)
        return provider_done(call, FLAG_OK, NULL);
    message = provider_message(call, res);
    if (res->status == 404)
        return provider_done(call, FLAG_NOT_FOUND, "%s answered 404%s%s", call->ref->service->shown,
                             message ? ": " : "", message ? message : "");
    /* Nobody gets an archived flag: for a kill there's nothing left to do. */
    if (res->status == 400 && call->verb == FLAG_DO_KILL &&
        provider_mentions(message, "archived")) {
        provider_saw(call, FLAG_ARCHIVED, 0, NULL, "archived");
        return provider_done(call, FLAG_NOCHANGE, "flag \"%s\" is archived", call->ref->key);
    }
    return provider_unexpected(call, res, true);
}

static enum flag_next after_verify(struct flag_call *call, const struct http_res *res,
                                   struct http_req *out)
{
    const struct scratch *mine = call->scratch;

    if (flag_classify(call, res, false, true))
        return FLAG_FINISHED;
    if (res->status != 200)
        return provider_unexpected(call, res, false);
    if (!read_feature(call, res))
        return FLAG_FINISHED;
    if (mine->shape.n_strategies == 0)
        return provider_unreadable(call, "flag \"%s\" was made, but its strategy isn't there",
                                   call->ref->key);
    return ensure_after_read(call, out);
}

/* ---- preflight ------------------------------------------------------------------------------- */

static enum flag_next after_environments(struct flag_call *call, const struct http_res *res,
                                         struct http_req *out)
{
    const char *environment = call->ref->service->environment;
    bool there = false;

    if (flag_classify(call, res, false, true))
        return FLAG_FINISHED;

    json_auto_t *root = provider_json(res);
    const json_t *list = json_object_get(root, "environments");
    json_t *item;
    size_t i;

    json_array_foreach((json_t *) list, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));

        /* All environments are listed; the project's own are the visible ones. */
        if (name && strcmp(name, environment) == 0 &&
            !json_is_false(json_object_get(item, "visible")))
            there = true;
    }
    if (res->status == 200 && json_is_array(list) && !there)
        return provider_done(
            call, FLAG_NOT_FOUND, "%s has no project \"%s\" with an environment \"%s\"",
            call->ref->service->shown,
            call->ref->service->project ? call->ref->service->project : "default", environment);
    return ask(call, out, U_APPROVALS, "GET",
               arena_printf(call->arena, "%s/change-requests/config", project_path(call)), NULL,
               false);
}

/* Only the enterprise edition knows change requests: any other answer means there are none. */
static enum flag_next after_approvals(struct flag_call *call, const struct http_res *res,
                                      struct http_req *out)
{
    json_auto_t *root =
        res->outcome == HTTP_ANSWERED && res->status == 200 ? provider_json(res) : NULL;
    json_t *item;
    size_t i;

    json_array_foreach(root, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "environment"));

        if (name && strcmp(name, call->ref->service->environment) == 0 &&
            json_is_true(json_object_get(item, "changeRequestEnabled")))
            call->approvals_block = true;
    }
    if (call->ref->service->sdk_token)
        return ask_client(call, out);
    call->has_sdk_endpoint = call->ref->service->ofrep_url != NULL;
    return provider_done(call, FLAG_OK, NULL);
}

/* ---- the machine ----------------------------------------------------------------------------- */

static enum flag_next start(struct flag_call *call, struct http_req *out)
{
    const struct flag_service *s = call->ref->service;

    call->scratch = arena_new(call->arena, struct scratch);
    call->n_events = 0;
    switch (call->verb) {
    case FLAG_DO_KILL: return ask_switch(call, out, false);
    case FLAG_DO_HISTORY:
        return ask(call, out, U_HISTORY, "GET",
                   arena_printf(call->arena, "/api/admin/search/events?feature=IS%%3A%s&limit=%d",
                                provider_escape(call->arena, call->ref->key), HISTORY_LIMIT),
                   NULL, false);
    case FLAG_DO_CLEAR:
        return provider_done(call, FLAG_REJECTED, "%s has no entries to take out", s->shown);
    default: break;
    }
    if (call->verb == FLAG_DO_OBSERVE && call->level >= FLAG_DELIVERED) {
        if (s->sdk_token)
            return ask_client(call, out);
        if (!s->ofrep_url)
            return provider_done(call, FLAG_REJECTED,
                                 "%s: what SDKs get can't be read without sdk_token", s->shown);
    }
    return ask(call, out, U_READ, "GET", feature_path(call), NULL, false);
}

static enum flag_next next(struct flag_call *call, const struct http_res *last,
                           struct http_req *out)
{
    const struct flag_service *s = call->ref->service;

    if (call->verb == FLAG_DO_OBSERVE && call->level >= FLAG_DELIVERED && !s->sdk_token &&
        s->ofrep_url)
        return ofrep_observe(call, last, out, s->ofrep_url, NULL);
    if (!last)
        return start(call, out);
    switch ((enum step) call->step) {
    case U_READ: return after_read(call, last, out);
    case U_SEARCH:
    case U_SEARCH_ARCHIVED: return after_search(call, last, out);
    case U_CREATE: return after_create(call, last, out);
    case U_ADD:
    case U_PATCH: return after_strategy(call, last, out);
    case U_ON:
    case U_OFF: return after_switch(call, last);
    case U_VERIFY: return after_verify(call, last, out);
    case U_ENVIRONMENTS: return after_environments(call, last, out);
    case U_APPROVALS: return after_approvals(call, last, out);
    case U_CLIENT: return unleash_after_client(call, last);
    case U_HISTORY: break;
    }
    return unleash_after_history(call, last);
}

static bool check(const struct flag_service *s, struct err *err)
{
    if (!s->url)
        return err_set(err, ERR_CONFIG, "flags: provider unleash needs `url`");
    if (!s->token)
        return err_set(err, ERR_CONFIG, "flags: provider unleash needs `token` or `token_file`");
    if (!s->environment)
        return err_set(err, ERR_CONFIG, "flags: provider unleash needs `environment`");
    return true;
}

static enum flag_level reach(const struct flag_service *s, struct flag_value v)
{
    (void) v;
    return s->sdk_token ? FLAG_DELIVERED : FLAG_CONFIGURED;
}

const struct flag_provider provider_unleash = {
    .name = "unleash",
    .about = "Unleash, by its management API",
    .native_percent = true,
    .audit = true,
    .sdk_endpoint = true,
    .can_write = true,
    .next = next,
    .check = check,
    .reach = reach,
    .default_propagation_ms = 20000,
};

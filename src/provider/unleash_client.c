/* unleash_client: answers that only read: what SDKs get, and who changed a flag. */
#include "phasegate/names.h"
#include "unleash_shape.h"
#include <string.h>

/* ---- what SDKs get --------------------------------------------------------------------------- */

static enum flag_next preflight_client(struct flag_call *call, const json_t *root)
{
    const char *environment =
        json_string_value(json_object_get(json_object_get(root, "query"), "environment"));

    if (environment && strcmp(environment, call->ref->service->environment) != 0)
        return provider_done(call, FLAG_REJECTED, "sdk_token is of environment \"%s\", not \"%s\"",
                             environment, call->ref->service->environment);
    call->has_sdk_endpoint = true;
    return provider_done(call, FLAG_OK, NULL);
}

enum flag_next unleash_after_client(struct flag_call *call, const struct http_res *res)
{
    struct unleash_shape shape;
    json_t *item, *found = NULL;
    size_t i;

    if (flag_classify(call, res, false, true)) {
        if (call->answer == FLAG_AUTH)
            call->detail = arena_printf(call->arena, "sdk_token: %s", call->detail);
        return FLAG_FINISHED;
    }
    if (res->status == 304 && call->known) {
        call->obs = *call->known;
        return provider_done(call, FLAG_OK, NULL);
    }

    json_auto_t *root = provider_json(res);
    const json_t *list = json_object_get(root, "features");

    if (res->status != 200 || !json_is_array(list))
        return provider_unexpected(call, res, false);
    if (call->verb == FLAG_DO_PREFLIGHT)
        return preflight_client(call, root);
    call->etag = arena_strdup(call->arena, res->etag);
    json_array_foreach((json_t *) list, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));

        if (name && strcmp(name, call->ref->key) == 0)
            found = item;
    }
    if (!found) { /* absent, archived or of a project that the token can't see: off for this SDK */
        provider_saw(call, FLAG_ABSENT, 0, NULL, "absent");
        return provider_done(call, FLAG_OK, NULL);
    }
    unleash_shape_read(call->arena, json_is_true(json_object_get(found, "enabled")),
                       json_object_get(found, "strategies"), json_object_get(found, "dependencies"),
                       NULL, &shape);
    provider_saw(call, shape.state, shape.percent, shape.foreign, shape.fingerprint);
    return provider_done(call, FLAG_OK, NULL);
}

enum flag_next unleash_after_history(struct flag_call *call, const struct http_res *res)
{
    const char *environment = call->ref->service->environment;
    struct flag_event *events;
    json_t *item;
    size_t i;

    if (flag_classify(call, res, false, true))
        return FLAG_FINISHED;
    if (res->status != 200)
        return provider_unexpected(call, res, false);

    json_auto_t *root = provider_json(res);
    const json_t *list = json_object_get(root, "events");

    events = arena_array(call->arena, struct flag_event, json_array_size(list) + 1);
    json_array_foreach((json_t *) list, i, item)
    {
        const char *where = json_string_value(json_object_get(item, "environment"));
        const char *at = json_string_value(json_object_get(item, "createdAt"));
        struct flag_event *e = &events[call->n_events];

        if (where && strcmp(where, environment) != 0)
            continue;
        if (!at || !time_from_rfc3339(at, &e->at_ms))
            e->at_ms = 0;
        e->actor = provider_text(call, item, "createdBy");
        e->what = provider_text(call, item, "type");
        call->n_events++;
    }
    call->events = events;
    return provider_done(call, FLAG_OK, NULL);
}

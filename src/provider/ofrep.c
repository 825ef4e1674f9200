/* ofrep: what an application is told, over the OpenFeature remote evaluation protocol. Reads
 * only.
 *
 * An evaluation is a decision for one user. It proves off and on where the service says that the
 * same goes for everybody (STATIC, DEFAULT, DISABLED); it can never show a percentage. */
#include "provider.h"
#include <string.h>

static const char probe[] = "{\"context\":{\"targetingKey\":\"phasegate-probe\"}}";

enum flag_next ofrep_observe(struct flag_call *call, const struct http_res *last,
                             struct http_req *out, const char *base, const char *token)
{
    const char *reason, *key = provider_escape(call->arena, call->ref->key);

    if (!last) {
        provider_ask(call, out, "POST",
                     provider_url(call->arena, base, "/ofrep/v1/evaluate/flags/%s", key), probe,
                     false);
        provider_header(call, out, "Authorization", "Bearer ", token);
        return FLAG_REQUEST;
    }
    if (flag_classify(call, last, false, true))
        return FLAG_FINISHED;

    json_auto_t *root = provider_json(last);
    const json_t *value = json_object_get(root, "value");
    const char *code = provider_text(call, root, "errorCode");

    if (last->status == 404 && code && strcmp(code, "FLAG_NOT_FOUND") == 0) {
        if (call->seen_before)
            return provider_unreadable(call, "flag \"%s\" was there before and is not found now",
                                       call->ref->key);
        provider_saw(call, FLAG_ABSENT, 0, NULL, NULL);
        return provider_done(call, FLAG_OK, NULL);
    }
    if (last->status != 200)
        return provider_unexpected(call, last, false);
    reason = provider_text(call, root, "reason");
    if (!json_is_boolean(value)) {
        provider_saw(call, FLAG_COMPLEX, 0, "its value isn't a boolean", NULL);
        return provider_done(call, FLAG_OK, NULL);
    }
    if (!reason || (strcmp(reason, "STATIC") != 0 && strcmp(reason, "DEFAULT") != 0 &&
                    strcmp(reason, "DISABLED") != 0)) {
        const char *why =
            arena_printf(call->arena, "an evaluation (reason %s) doesn't show a percentage",
                         reason ? reason : "not given");

        provider_saw(call, FLAG_UNKNOWN, 0, why, NULL);
        return provider_done(call, FLAG_OK, "%s", why);
    }
    provider_saw(call, json_is_true(value) ? FLAG_ON : FLAG_OFF, json_is_true(value) ? 100 : 0,
                 NULL, NULL);
    return provider_done(call, FLAG_OK, NULL);
}

static enum flag_next next(struct flag_call *call, const struct http_res *last,
                           struct http_req *out)
{
    const struct flag_service *s = call->ref->service;
    const char *token = s->sdk_token ? s->sdk_token : s->token;
    enum flag_next got;

    if (call->verb != FLAG_DO_OBSERVE && call->verb != FLAG_DO_PREFLIGHT)
        return provider_done(call, FLAG_REJECTED,
                             "%s can only be read: OFREP has no way to change a flag", s->shown);
    got = ofrep_observe(call, last, out, s->ofrep_url ? s->ofrep_url : s->url, token);
    if (got == FLAG_FINISHED && call->verb == FLAG_DO_PREFLIGHT)
        call->has_sdk_endpoint = call->answer == FLAG_OK;
    return got;
}

static bool check(const struct flag_service *s, struct err *err)
{
    if (!s->url && !s->ofrep_url)
        return err_set(err, ERR_CONFIG, "flags: provider ofrep needs `url`");
    return true;
}

static enum flag_level reach(const struct flag_service *s, struct flag_value v)
{
    (void) s;
    return v.state == FLAG_PERCENT ? FLAG_ACCEPTED : FLAG_DELIVERED;
}

const struct flag_provider provider_ofrep = {
    .name = "ofrep",
    .about = "OpenFeature remote evaluation; only for reading back off and on",
    .sdk_endpoint = true,
    .next = next,
    .check = check,
    .reach = reach,
    .default_propagation_ms = 10000,
};

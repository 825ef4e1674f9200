/* registry: the list of providers, and the words for what they say. */
#include "provider.h"
#include <string.h>

const struct flag_provider *const flag_providers[] = {
    &provider_unleash, &provider_builtin, &provider_file, &provider_http, &provider_ofrep, NULL,
};

const struct flag_provider *flag_provider_find(const char *name)
{
    for (int i = 0; name && flag_providers[i]; i++)
        if (strcmp(flag_providers[i]->name, name) == 0)
            return flag_providers[i];
    return NULL;
}

const char *flag_state_word(enum flag_state s)
{
    static const char *const words[] = {
        [FLAG_UNKNOWN] = "unknown", [FLAG_ABSENT] = "absent", [FLAG_ARCHIVED] = "archived",
        [FLAG_OFF] = "off",         [FLAG_ON] = "on",         [FLAG_PERCENT] = "percent",
        [FLAG_COMPLEX] = "complex",
    };

    return words[s];
}

const char *flag_level_word(enum flag_level l)
{
    static const char *const words[] = {
        [FLAG_ACCEPTED] = "accepted",
        [FLAG_CONFIGURED] = "configured",
        [FLAG_DELIVERED] = "delivered",
        [FLAG_CONFIRMED] = "confirmed",
    };

    return words[l];
}

const char *flag_answer_word(enum flag_answer a)
{
    static const char *const words[] = {
        [FLAG_OK] = "ok",
        [FLAG_NOCHANGE] = "nochange",
        [FLAG_CONFLICT] = "conflict",
        [FLAG_BLOCKED_APPROVAL] = "blocked_approval",
        [FLAG_NOT_FOUND] = "not_found",
        [FLAG_AUTH] = "auth",
        [FLAG_RATE_LIMITED] = "rate_limited",
        [FLAG_REJECTED] = "rejected",
        [FLAG_NOT_SENT] = "not_sent",
        [FLAG_IN_DOUBT] = "in_doubt",
    };

    return words[a];
}

const char *flag_verb_word(enum flag_verb v)
{
    static const char *const words[] = {
        [FLAG_DO_PREFLIGHT] = "preflight", [FLAG_DO_ENSURE] = "ensure",
        [FLAG_DO_OBSERVE] = "observe",     [FLAG_DO_SET] = "set",
        [FLAG_DO_KILL] = "kill",           [FLAG_DO_HISTORY] = "history",
        [FLAG_DO_CLEAR] = "clear",
    };

    return words[v];
}

int flag_exposure(enum flag_state s, int percent)
{
    switch (s) {
    case FLAG_OFF:
    case FLAG_ABSENT:
    case FLAG_ARCHIVED: return 0;
    case FLAG_ON: return 100;
    case FLAG_PERCENT: return percent;
    case FLAG_COMPLEX:
    case FLAG_UNKNOWN: break;
    }
    return -1;
}

enum flag_level flag_service_reach(const struct flag_service *s, struct flag_value v)
{
    enum flag_level own = s->provider->reach(s, v);

    /* OFREP answers with a decision for one user: it can show off and on, never a percentage. */
    if (own < FLAG_DELIVERED && s->ofrep_url && v.state != FLAG_PERCENT)
        return FLAG_DELIVERED;
    return own;
}

int64_t flag_service_propagation_ms(const struct flag_service *s)
{
    return s->propagation_ms > 0 ? s->propagation_ms : s->provider->default_propagation_ms;
}

const char *flag_digest(struct arena *a, const char *text)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

    for (const unsigned char *p = (const unsigned char *) text; *p; p++)
        h = (h ^ *p) * UINT64_C(0x100000001b3);
    return arena_printf(a, "%016llx", (unsigned long long) h);
}

/* The record of a query that worked, read without a tree of JSON: nearly all records are that, and nobody waits for
 * their tree's thousands of nodes. What looks otherwise isn't an error here: the reader of JSON takes it.
 */
#include "check/cache.h"

#include <stdlib.h>

struct scan {
    const char *at, *end;
};

static bool skip(struct scan *s, const char *word)
{
    size_t n = strlen(word);

    if ((size_t) (s->end - s->at) < n || memcmp(s->at, word, n) != 0)
        return false;
    s->at += n;
    return true;
}

/* "0123456789abcdef" */
static bool scan_key(struct scan *s, uint64_t *out)
{
    char digits[CACHE_KEY_DIGITS + 1] = "", *end;

    if (!skip(s, "\"") || s->end - s->at <= CACHE_KEY_DIGITS)
        return false;
    memcpy(digits, s->at, CACHE_KEY_DIGITS);
    s->at += CACHE_KEY_DIGITS;
    *out = strtoull(digits, &end, 16);
    return !*end && skip(s, "\"");
}

/* null, 1 or "answer" */
static bool scan_outcome(struct proof *p, struct scan *s, const struct outcome **out)
{
    *out = NULL;
    if (skip(s, "null"))
        return true;
    if (skip(s, "1")) {
        *out = record_answered(p, NULL);
        return true;
    }
    const char *stop = skip(s, "\"") ? memchr(s->at, '"', (size_t) (s->end - s->at)) : NULL;
    if (!stop)
        return false;
    *out = record_answered(p, arena_strndup(p->a, s->at, (size_t) (stop - s->at)));
    s->at = stop + 1;
    return *out != NULL;
}

static bool scan_holds(struct proof *p, struct scan *s, struct record *r)
{
    int n = 0;

    for (const char *c = s->at; c < s->end; c++)
        n += *c == '[';
    r->holds = arena_array(p->a, struct record_hold, n + 1);
    if (skip(s, "[]"))
        return true;
    do {
        struct record_hold *h = &r->holds[r->n_holds++];
        if (!skip(s, r->n_holds == 1 ? "[[" : "[") || !scan_key(s, &h->since) || !h->since ||
            !skip(s, ",") || !scan_outcome(p, s, &h->outcome) || !skip(s, "]"))
            return false;
    } while (r->n_holds < n && skip(s, ","));
    return skip(s, "]");
}

bool record_scan(struct proof *p, const char *text, size_t n, struct record *out)
{
    struct scan s = {text, text + n};
    struct record r = {.text = text, .n_text = n};
    uint64_t key;

    if (!skip(&s, "{\"k\":") || !scan_key(&s, &key) || !skip(&s, ",\"p\":") ||
        !scan_outcome(p, &s, &r.plan) || !skip(&s, ",\"r\":") || !scan_outcome(p, &s, &r.run))
        return false;
    if (skip(&s, ",\"d\":") && !scan_key(&s, &r.shape_body))
        return false;
    if (skip(&s, ",\"a\":") &&
        (!scan_key(&s, &r.first_body) || !skip(&s, ",\"f\":") || !scan_outcome(p, &s, &r.first)))
        return false;
    if (!r.plan || !skip(&s, ",\"h\":") || !scan_holds(p, &s, &r) || !skip(&s, "}") ||
        s.at != s.end)
        return false;
    r.has_first = r.first_body != 0;
    r.is_whole = true;
    *out = r;
    return true;
}

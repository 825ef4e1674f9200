/* What the parse trees of statements say, kept by their texts: to parse thousands of them costs a processor as much as
 * all else that a check does when little has changed. */
#include "check/cache.h"

#include <stdlib.h>
#include <string.h>

#define FACTS_START ",\"facts\":\""
#define FACTS_END "\"}"

/* Of every statement with this text. Never 0. */
static uint64_t key_of(const struct statement *s)
{
    uint64_t h = print_text(print_text(PRINT_START, FACTS_START), s->dollar_sql);

    return h ? h : 1;
}

/* Where the facts of the line stand; NULL: it has none. */
static const char *facts_in(const char *text, size_t n, size_t *out_n)
{
    const size_t before = strlen(CACHE_KEY_START) + CACHE_KEY_DIGITS + 1;
    const size_t start = before + strlen(FACTS_START), end = strlen(FACTS_END);

    if (!text || n < start + end || memcmp(text + before, FACTS_START, strlen(FACTS_START)) != 0 ||
        memcmp(text + n - end, FACTS_END, end) != 0)
        return NULL;
    *out_n = n - start - end;
    return text + start;
}

bool cache_line_has_facts(const struct cache_line *l)
{
    size_t n;

    return facts_in(l->text, l->n, &n) != NULL;
}

bool cache_facts(struct proof *p, const struct statement *s, struct statement_facts *out)
{
    size_t n;

    if (!p->cache)
        return false;
    const struct cache_line *l = cache_line_at(p->cache, key_of(s));
    const char *at = l->key ? facts_in(l->text, l->n, &n) : NULL;
    return at && statement_facts_take(p->a, at, n, out);
}

void cache_put_facts(struct proof *p, struct str *to)
{
    for (int i = 0; i < p->n_queries; i++) {
        const struct query *q = &p->queries[i];
        uint64_t key = key_of(q->s);
        struct cache_line *l = cache_line_add(p->cache, key);
        AUTO(str) facts = {0};

        if (l->is_written || (q->is_reworded && !cache_line_has_facts(l)))
            continue;
        l->is_written = true;
        if (cache_line_has_facts(l)) {
            str_addn(to, l->text, l->n);
            str_add(to, "\n");
            continue;
        }
        if (statement_facts_put(&facts, &q->facts))
            str_addf(to, "%s%s\"" FACTS_START "%s" FACTS_END "\n", CACHE_KEY_START,
                     print_hex(p->scratch, key), str_text(&facts));
    }
}

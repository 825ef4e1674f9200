/* Types that a client declares for its parameters: -- types:. The server infers what isn't declared, and what it would
 * infer after a change may be another type than the one that comes over the wire.
 */
#include "check/work.h"

#include "sql_embedded.h"

#include <stdlib.h>

struct asked {
    const char **words; /* each once */
    unsigned *oids;     /* 0: there is no such type */
    int n;
};

static int place_of(const struct asked *a, const char *word)
{
    for (int i = 0; i < a->n; i++)
        if (strcmp(a->words[i], word) == 0)
            return i;
    return -1;
}

static void gather(struct proof *p, int session, struct asked *out)
{
    for (int i = 0; i < p->n_queries; i++) {
        const struct query *q = &p->queries[i];

        for (int k = 0; q->session == session && k < q->s->types.n; k++) {
            if (place_of(out, q->s->types.items[k].s) >= 0)
                continue;
            out->words = arena_grow(p->scratch, out->words, sizeof *out->words * (size_t) out->n,
                                    sizeof *out->words * (size_t) (out->n + 1));
            out->words[out->n++] = q->s->types.items[k].s;
        }
    }
}

/* One job each: a word that is no type at all is an error of its own. */
static bool ask(struct proof *p, int session, struct asked *a, struct err *err)
{
    struct wire_op *ops = arena_array(p->scratch, struct wire_op, a->n + 1);
    struct wire_result *r = arena_array(p->scratch, struct wire_result, a->n + 1);

    a->oids = arena_array(p->scratch, unsigned, a->n + 1);
    for (int i = 0; i < a->n; i++)
        ops[i] = (struct wire_op) {.kind = WIRE_RUN,
                                   .sql = sql_select_type_oid,
                                   .args = &a->words[i],
                                   .n_args = 1,
                                   .keep_rows = true,
                                   .sync = true};
    if (!wire_run(p->sessions[session].wire, p->scratch, ops, a->n, r, err))
        return false;
    for (int i = 0; i < a->n; i++)
        if (r[i].ok && r[i].n_rows == 1 && r[i].cell[0][0])
            a->oids[i] = (unsigned) strtoul(r[i].cell[0][0], NULL, 10);
    return true;
}

bool declared_types(struct proof *p, int session, struct err *err)
{
    struct asked a = {0};

    gather(p, session, &a);
    if (a.n == 0)
        return true;
    if (!ask(p, session, &a, err))
        return false;
    for (int i = 0; i < p->n_queries; i++) {
        struct query *q = &p->queries[i];
        unsigned *types;

        /* Another text has other parameters. */
        if (q->session != session || q->s->types.n == 0 || q->is_stand_in)
            continue;
        types = arena_array(p->a, unsigned, q->s->types.n);
        q->untyped = NULL;
        for (int k = 0; k < q->s->types.n; k++) {
            types[k] = a.oids[place_of(&a, q->s->types.items[k].s)];
            if (!types[k] && !q->untyped)
                q->untyped = arena_printf(p->a, "type \"%s\" of -- types: does not exist",
                                          q->s->types.items[k].s);
        }
        q->types = types;
    }
    return true;
}

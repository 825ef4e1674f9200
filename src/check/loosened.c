/* What a phase allows before it restricts it again: NULL in a column that took none, texts that were too long for it. No
 * release could write that before the phase began, so a restriction of the same phase takes nothing from anybody.
 */
#include "check/limits.h"
#include "check/types.h"
#include "check/words.h"

static int length_of(const struct cat_column *c)
{
    return c->base == T_VARCHAR && c->typmod > 4 ? c->typmod - 4 : 0;
}

/* Whatever is written goes in as it is, or is refused: no trigger is there to make another value of it. */
static bool is_plain(const struct cat_relation *r) { return cat_is_table(r) && r->n_triggers == 0; }

void loosened_note(struct proof *p, const struct timeline_state *s)
{
    for (int i = 0; i < p->now.n_relations; i++) {
        const struct cat_relation *r = &p->now.relations[i], *was = cat_by_oid(&p->before, r->oid);

        for (int k = 0; was && is_plain(was) && k < r->n_columns; k++) {
            const struct cat_column *c = &r->columns[k], *b = cat_column_number(was, c->number);
            bool nulls = b && b->not_null && !c->not_null,
                 longer =
                     b && length_of(b) > 0 && (length_of(c) == 0 || length_of(c) > length_of(b));

            if (!nulls && !longer)
                continue;
            p->loosened = arena_more(p->a, p->loosened, sizeof *p->loosened, p->n_loosened);
            p->loosened[p->n_loosened++] = (struct loosened) {
                r->oid, c->number, longer ? length_of(b) : 0, nulls, s->plan, s->phase};
        }
    }
}

/* Blanks at the end are cut off where there are too many of them. */
static bool is_longer(const char *value, int length)
{
    size_t n = strlen(value);
    int characters = 0;

    while (n > 0 && value[n - 1] == ' ')
        n--;
    for (size_t i = 0; i < n; i++)
        characters += ((unsigned char) value[i] & 0xc0) != 0x80;
    return characters > length;
}

/* A cast to a length cuts, and isn't told from one that doesn't. */
static bool may_be_cut(const char *sql)
{
    return has_word(sql, "varchar") || has_word(sql, "character") || has_word(sql, "char") ||
           has_word(sql, "bpchar") || has_word(sql, "name");
}

static bool was_refused(const struct loosened *l, const char *sql, const char *value)
{
    return !value ? l->nulls : l->length > 0 && is_longer(value, l->length) && !may_be_cut(sql);
}

bool loosened_spares(const struct proof *p, int state, const struct limit_try *t)
{
    const struct query *q = t->a->q;
    const struct timeline_state *s = &p->t.states[state];

    if (!t->args)
        return false;
    for (int i = 0; i < q->facts.n_writes; i++) {
        const struct fact_write *w = &q->facts.writes[i];
        const struct cat_relation *r =
            cat_find(&p->now, p->sessions[q->session].search_path, w->schema, w->table);

        for (int k = 0; r && k < w->columns.n; k++) {
            int param = 0;
            const struct cat_column *c = limits_written_by(q, w, r, k, &param);

            for (int n = 0; c && n < p->n_loosened; n++)
                if (p->loosened[n].relation == r->oid && p->loosened[n].column == c->number &&
                    p->loosened[n].plan == s->plan && p->loosened[n].phase == s->phase &&
                    was_refused(&p->loosened[n], q->sql, t->args[param - 1]))
                    return true;
        }
    }
    return false;
}

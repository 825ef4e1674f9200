/* The facts of a statement as one line of text, and back: to read them again is far cheaper than to parse it again.
 * One walk does both, so that neither side can forget what the other has. */
#include "phasegate/statement_facts.h"

#include "load/statement_work.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 1 << 20 }; /* items of a list, bytes of a text: more isn't believed */

struct walk_kept {
    struct str *to; /* NULL: reading */
    struct arena *a;
    const char *at, *end;
    bool is_bad;
};

static void number(struct walk_kept *w, int *v)
{
    bool minus = false, any = false;

    if (w->to) {
        str_addf(w->to, "%d,", *v);
        return;
    }
    *v = 0;
    for (; w->at < w->end && *w->at != ','; w->at++) {
        if (*w->at == '-' && !any && !minus)
            minus = true;
        else if (*w->at >= '0' && *w->at <= '9' && *v < MOST)
            *v = 10 * *v + (*w->at - '0');
        else
            w->is_bad = true;
        any = true;
    }
    *v = minus ? -*v : *v;
    w->is_bad |= w->at == w->end || !any;
    w->at += w->at < w->end;
}

static void flag(struct walk_kept *w, bool *v)
{
    int n = *v;

    number(w, &n);
    *v = n == 1;
}

/* How many there are, at most as many as there can be in what is left. */
static void count(struct walk_kept *w, int *n)
{
    number(w, n);
    if (!w->to && (w->is_bad || *n < 0 || *n > w->end - w->at)) {
        w->is_bad = true;
        *n = 0;
    }
}

static void word(struct walk_kept *w, const char **v)
{
    int n = *v && w->to ? (int) strlen(*v) : -1;

    number(w, &n);
    if (w->to) {
        str_add(w->to, *v ? *v : "");
        return;
    }
    *v = NULL;
    if (w->is_bad || n < -1 || n > w->end - w->at) {
        w->is_bad = true;
        return;
    }
    if (n < 0)
        return;
    *v = arena_strndup(w->a, w->at, (size_t) n);
    w->at += n;
}

static void words(struct walk_kept *w, struct text_list *l)
{
    count(w, &l->n);
    if (!w->to)
        l->items = l->n ? arena_array(w->a, struct text, l->n) : NULL;
    for (int i = 0; i < l->n; i++)
        word(w, &l->items[i].s);
}

static void verb(struct walk_kept *w, enum statement_verb *v)
{
    int n = (int) *v;

    number(w, &n);
    w->is_bad |= n < 0 || n > VERB_OTHER;
    *v = (enum statement_verb) n;
}

static void rels(struct walk_kept *w, struct statement_facts *f)
{
    count(w, &f->n_rels);
    if (!w->to)
        f->rels = f->n_rels ? arena_array(w->a, struct fact_rel, f->n_rels) : NULL;
    for (int i = 0; i < f->n_rels; i++) {
        struct fact_rel *r = &f->rels[i];

        word(w, &r->schema);
        word(w, &r->name);
        flag(w, &r->is_target);
        flag(w, &r->is_locked);
        flag(w, &r->star);
        flag(w, &r->whole_row);
        flag(w, &r->natural);
        verb(w, &r->verb);
    }
}

static void writes(struct walk_kept *w, struct statement_facts *f)
{
    count(w, &f->n_writes);
    if (!w->to)
        f->writes = f->n_writes ? arena_array(w->a, struct fact_write, f->n_writes) : NULL;
    for (int i = 0; i < f->n_writes; i++) {
        struct fact_write *x = &f->writes[i];
        int n = x->params ? x->columns.n : 0;

        word(w, &x->schema);
        word(w, &x->table);
        verb(w, &x->verb);
        flag(w, &x->positional);
        words(w, &x->columns);
        words(w, &x->defaulted);
        words(w, &x->nulls);
        words(w, &x->random);
        count(w, &n);
        if (!w->to)
            x->params = n ? arena_array(w->a, int, n) : NULL;
        for (int k = 0; k < n; k++)
            number(w, &x->params[k]);
        words(w, &x->literals);
        flag(w, &x->on_conflict);
        flag(w, &x->conflict_has_target);
    }
}

static void copied(struct walk_kept *w, struct statement_facts *f)
{
    struct fact_copy c = f->copy ? *f->copy : (struct fact_copy) {.is_from = false};
    bool is = f->copy != NULL;
    int end = (int) c.end;

    flag(w, &is);
    if (!is)
        return;
    flag(w, &c.is_from);
    number(w, &end);
    w->is_bad |= end < 0 || end > COPY_PROGRAM;
    c.end = (enum copy_end) end;
    word(w, &c.schema);
    word(w, &c.table);
    words(w, &c.columns);
    word(w, &c.query);
    word(w, &c.where);
    words(w, &c.also);
    if (!w->to) {
        struct fact_copy *kept = arena_new(w->a, struct fact_copy);

        *kept = c;
        f->copy = kept;
    }
}

static void whole(struct walk_kept *w, struct statement_facts *f)
{
    flag(w, &f->parsed);
    word(w, &f->why);
    number(w, &f->why_at);
    verb(w, &f->verb);
    flag(w, &f->is_one_statement);
    flag(w, &f->is_utility);
    flag(w, &f->reads_only);
    rels(w, f);
    writes(w, f);
    words(w, &f->columns);
    words(w, &f->functions);
    words(w, &f->types);
    words(w, &f->literals);
    flag(w, &f->selects_star);
    flag(w, &f->uses_natural_join);
    flag(w, &f->uses_now);
    flag(w, &f->has_order_by);
    words(w, &f->sorts);
    copied(w, f);
    word(w, &f->prepares);
}

/* In a JSON string as they are. */
static bool is_plain(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char) s[i] < ' ' || s[i] == '"' || s[i] == '\\')
            return false;
    return true;
}

bool statement_facts_put(struct str *to, const struct statement_facts *f)
{
    struct walk_kept w = {.to = to};
    struct statement_facts copy = *f;
    size_t from = to->len;

    whole(&w, &copy);
    if (!to->full && !w.is_bad && is_plain(to->text + from, to->len - from))
        return true;
    to->len = from;
    to->text[from] = '\0';
    return false;
}

bool statement_facts_take(struct arena *a, const char *text, size_t n, struct statement_facts *out)
{
    struct walk_kept w = {.a = a, .at = text, .end = text + n};
    struct statement_facts f = {.parsed = false};

    whole(&w, &f);
    if (w.is_bad || w.at != w.end)
        return false;
    *out = f;
    return true;
}

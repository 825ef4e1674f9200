/* Another default than the one that a live writer counts on, which leaves the column out. */
#include "check/silent.h"

/* Which sequence it is, and how it's called, is nothing to the writer. */
static bool is_nextval(const char *fallback)
{
    return fallback && strncmp(fallback, "nextval(", 8) == 0;
}

/* One for all that say the moment, and for all that say a new uuid: which one it is the writer can't count on. */
static const char *common_spelling(const char *fallback)
{
    static const char *const now[] = {"CURRENT_TIMESTAMP", "transaction_timestamp()",
                                      "statement_timestamp()", "clock_timestamp()"};
    static const char *const fresh[] = {"uuidv4()", "uuidv7()", "uuid_generate_v4()",
                                        "uuid_generate_v1()", "uuid_generate_v1mc()"};

    for (size_t i = 0; fallback && i < sizeof now / sizeof *now; i++)
        if (strcmp(fallback, now[i]) == 0)
            return "now()";
    for (size_t i = 0; fallback && i < sizeof fresh / sizeof *fresh; i++) {
        size_t all = strlen(fallback), own = strlen(fresh[i]);
        /* an extension's may stand with its schema */
        if (all >= own && strcmp(fallback + all - own, fresh[i]) == 0 &&
            (all == own || fallback[all - own - 1] == '.'))
            return "gen_random_uuid()";
    }
    return fallback;
}

/* How long the quoted constant is that the text begins with; 0: with none, or there is more than a type behind it. */
static size_t constant_length(const char *fallback)
{
    const char *s = fallback;

    if (!s || *s != '\'')
        return 0;
    for (s++; *s && (*s != '\'' || s[1] == '\''); s++)
        s += *s == '\'';
    if (*s != '\'' || strncmp(s + 1, "::", 2) != 0 || strpbrk(s + 3, "'+-*/|"))
        return 0;
    return (size_t) (s + 1 - fallback);
}

/* The same letters, as another type: 'new'::text and 'new'::state. */
static bool is_same_constant(const char *old, const char *new)
{
    size_t n = constant_length(old);

    return n > 0 && n == constant_length(new) && strncmp(old, new, n) == 0;
}

/* What it names may have got another name. */
static bool is_same_default(const struct cat_column *before, const struct cat_column *now,
                            const char *old, const char *new)
{
    return same_text(common_spelling(old), common_spelling(new)) || is_same_constant(old, new) ||
           (before->fallback_tree && now->fallback_tree && old == before->fallback &&
            new == now->fallback &&strcmp(before->fallback_tree, now->fallback_tree) == 0);
}

/* A view without a default of its own has that of the table below it. */
static const char *fallback_of(const struct catalogue *in, const struct cat_relation *r,
                               const struct cat_column *c)
{
    for (int i = 0; !c->fallback && r->kind == 'v' && i < r->n_uses; i++) {
        const struct cat_relation *below = cat_by_oid(in, r->uses[i]);
        const struct cat_column *same = below ? cat_column(below, c->name) : NULL;

        if (same && same->fallback)
            return same->fallback;
    }
    return c->fallback;
}

void defaults_look(struct look *l, const struct fact_write *f)
{
    const struct cat_relation *before = cat_find(&l->p->before, l->path, f->schema, f->table);
    const struct cat_relation *now = cat_find(&l->p->now, l->path, f->schema, f->table);

    if ((f->verb != VERB_INSERT && f->defaulted.n == 0) || !before || !now || f->positional)
        return;
    for (int i = 0; i < before->n_columns; i++) {
        const struct cat_column *b = &before->columns[i], *n = cat_column(now, b->name);
        bool left_out = text_list_has(&f->defaulted, b->name) ||
                        (f->verb == VERB_INSERT && !text_list_has(&f->columns, b->name));

        /* A first default fills what was NULL; another one, or none, isn't what the writer counted on. */
        const char *old = fallback_of(&l->p->before, before, b);
        const char *new = n ? fallback_of(&l->p->now, now, n) : NULL;

        if (!left_out || !n || !old || b->is_generated || is_same_default(b, n, old, new) ||
            n->is_identity || (is_nextval(old) && is_nextval(new)))
            continue;
        /* It fails, and that is told of. */
        if (n->not_null && !new)
            continue;
        finding_of_state(l->p, l->a, l->w, l->state, "insert-relied-on-default",
                         arena_printf(l->p->a, "the %s \"%s\", whose default was %s and is %s",
                                      f->verb == VERB_INSERT ? "INSERT leaves out"
                                                             : "UPDATE takes the default of",
                                      b->name, old, new ? new : "gone"),
                         "give the column a value in a release before this one");
    }
}

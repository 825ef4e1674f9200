/* Over the rows that there are a statement may find none, for what it asks of them, or the view that it reads: then it tells
 * nothing of a view that is made anew. A row that meets all of it, as far as that is columns beside constants.
 */
#include "check/changed.h"
#include "check/limits.h"
#include "check/words.h"

#include "phasegate/load.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

/* ---- what a condition asks for ------------------------------------------------------------------------------------- */

static bool is_word_char(char c) { return isalnum((unsigned char) c) || c == '_' || c == '$'; }

static bool takes(const char **s, const char *word)
{
    size_t n = strlen(word);

    *s += strspn(*s, " \t\r\n");
    if (strncasecmp(*s, word, n) != 0 || (is_word_char(word[n - 1]) && is_word_char((*s)[n])))
        return false;
    *s += n;
    return true;
}

/* Behind a column's name: what closes its parentheses, and what it is cast to. */
static void skip_casts(const char **s)
{
    *s += **s == '"';
    for (;;) {
        *s += strspn(*s, " \t\r\n)");
        if (strncmp(*s, "::", 2) != 0)
            return;
        for (*s += 2; is_word_char(**s); (*s)++)
            continue;
    }
}

/* A constant, as a value; by: is added to a number. NULL: it isn't one. */
static const char *constant_at(struct proof *p, const char *s, int by)
{
    s += strspn(s, " \t\r\n([");
    if (*s == '\'') {
        const char *end = strchr(s + 1, '\'');

        return end && end[1] != '\'' ? arena_strndup(p->scratch, s + 1, (size_t) (end - s - 1))
                                     : NULL;
    }
    if (takes(&s, "true"))
        return "true";
    if (takes(&s, "false"))
        return "false";
    if (!isdigit((unsigned char) *s) && *s != '-')
        return NULL;
    char *end;
    long n = strtol(s, &end, 10);
    return *end == '.' && by == 0
               ? arena_strndup(p->scratch, s, strspn(s, "-0123456789."))
               : arena_printf(p->scratch, "%ld", n + (*end == '.' && by < 0 ? 0 : by));
}

/* What stands behind the name. False: no constant. */
static bool asked_at(struct proof *p, const char *s, const char **value)
{
    skip_casts(&s);
    if (takes(&s, "is")) {
        *value = NULL;
        return takes(&s, "null");
    }
    if (takes(&s, "<>") || takes(&s, "!="))
        return false;
    int by = takes(&s, ">=") || takes(&s, "<=") || takes(&s, "=") || takes(&s, "in") ? 0
             : takes(&s, ">")                                                        ? 1
             : takes(&s, "<")                                                        ? -1
                                                                                     : 2;
    if (by == 2)
        return false;
    if (takes(&s, "any"))
        s += strspn(s, " (");
    if (takes(&s, "array"))
        s += strspn(s, " [");
    *value = constant_at(p, s, by);
    return *value != NULL;
}

static bool asked_of(struct proof *p, const struct cat_column *c, const char *text,
                     const char **value)
{
    size_t n = strlen(c->name);
    const char *where = strcasestr(text, "where");

    for (const char *s = where ? strstr(where, c->name) : NULL; s; s = strstr(s + 1, c->name)) {
        if (is_word_char(s[-1]) || is_word_char(s[n]))
            continue;
        if (asked_at(p, s + n, value))
            return true;
    }
    return false;
}

bool asked_may_be_empty(const struct asked *s)
{
    static const char *const sums[] = {"count", "sum", "max", "agg", "exists", "array"};
    bool any = false;

    for (size_t i = 0; i < sizeof sums / sizeof *sums && s->before.n_rows == 1; i++)
        any |= strcasestr(s->a->q->sql, sums[i]) != NULL;
    return any || s->before.n_rows == 0;
}

/* ---- rows ---------------------------------------------------------------------------------------------------------- */

static void add_change(struct proof *p, const struct cat_relation *r, const struct cat_column *c,
                       const char *value, struct str *sql, struct str *words)
{
    cat_add_set(sql, r, c->name);
    if (value)
        sql_literal(sql, value);
    else
        str_add(sql, "NULL");
    str_addf(words, "%s\"%s\" of \"%s\" is %s", words->len ? ", " : "where ", c->name, r->name,
             value ? arena_printf(p->scratch, "'%s'", value) : "NULL");
}

/* texts: the statement's first. */
static void change_row(struct trial *t, const struct cat_relation *r, const char *const *texts,
                       int n, struct turn *turn, struct str *words)
{
    struct proof *p = t->p;
    AUTO(str) sql = {0};

    for (int i = 0; i < r->n_columns; i++) {
        const struct cat_column *c = &r->columns[i];
        const char *value = NULL;
        bool is_asked = false;

        if (c->is_generated || cat_is_in_key(r, c) || trial_is_the_plans(t, r, c))
            continue;
        for (int k = 0; k < n && !is_asked; k++)
            is_asked = asked_of(p, c, texts[k], &value);
        if (is_asked && (value || !c->not_null))
            add_change(p, r, c, value, &sql, words);
    }
    if (sql.len == 0)
        return;
    str_add(&sql, " WHERE ctid = (SELECT pg_catalog.min(ctid) FROM ");
    sql_qualified(&sql, r->schema, r->name);
    str_add(&sql, ")");
    turn->sql[turn->n_sql++] = arena_strdup(p->scratch, str_text(&sql));
}

/* The queries of these views as they are now. */
static bool read_views(struct proof *p, const char *names, const char **texts, int *n, int most,
                       struct err *err)
{
    struct wire_result r = {0};

    if (!limits_bodies(p, names, &r, err))
        return false;
    for (int i = 0; r.ok && r.cell && i < r.n_rows && *n < most; i++)
        if (r.cell[i][0])
            texts[(*n)++] = r.cell[i][0];
    return true;
}

#define TEXTS 8

bool trial_read_old(struct trial *t, struct err *err)
{
    struct sql_mentions said = {0};

    for (int i = 0; i < t->n_sql; i++)
        sql_mentions_add(t->p->scratch, t->sql[i], &said);
    t->old = arena_array(t->p->scratch, const char *, TEXTS);
    return read_views(t->p, limits_named(t->p, &said), t->old, &t->n_old, TEXTS, err);
}

static void name_views(const struct proof *p, const struct cat_relation *r, int depth,
                       struct str *names)
{
    if (r->kind != 'v')
        return;
    str_add(names, names->len > 1 ? "," : "");
    sql_element(names, r->name);
    for (int i = 0; depth < 8 && i < r->n_uses; i++) {
        const struct cat_relation *next = cat_by_oid(&p->now, r->uses[i]);
        if (next)
            name_views(p, next, depth + 1, names);
    }
}

static bool is_same(const struct turn *a, const struct turn *b)
{
    bool same = a->n_sql == b->n_sql;

    for (int i = 0; same && i < a->n_sql; i++)
        same = strcmp(a->sql[i], b->sql[i]) == 0;
    return same;
}

static bool base_for(struct trial *t, const struct app_statement *a, struct turn *out,
                     struct err *err)
{
    const char *texts[TEXTS] = {a->q->sql};
    int n = 1;
    AUTO(str) names = {0}, words = {0};

    str_addc(&names, '{');
    for (int i = 0; i < a->q->facts.n_rels; i++) {
        const struct cat_relation *r = trial_relation(t, a, i);
        if (r)
            name_views(t->p, r, 0, &names);
    }
    str_addc(&names, '}');
    if (!read_views(t->p, str_text(&names), texts, &n, TEXTS, err))
        return false;
    *out = (struct turn) {.sql = arena_array(t->p->scratch, const char *, t->n_looks + 1)};
    for (int i = 0; i < t->n_looks; i++)
        change_row(t, t->looks[i].r, texts, n, out, &words);
    out->words = arena_strdup(t->p->a, str_text(&words));
    return true;
}

bool trial_bases(struct trial *t, struct turn *out, int *n, int most, struct err *err)
{
    for (int i = 0; i < t->n_asked && *n < most; i++) {
        struct asked *s = &t->asked[i];
        bool known = false;

        if (s->call || s->is_told || s->a->q->facts.n_writes > 0 || !s->is_empty)
            continue;
        if (!base_for(t, s->a, &out[*n], err))
            return false;
        for (int k = 0; k < *n; k++)
            known |= is_same(&out[k], &out[*n]);
        *n += !known && out[*n].n_sql > 0;
    }
    return true;
}

struct turn trial_on_base(struct proof *p, const struct turn *base, const struct turn *turn)
{
    struct turn both = *turn;

    both.base = base;
    both.sql = arena_array(p->scratch, const char *, base->n_sql + turn->n_sql);
    memcpy(both.sql, base->sql, sizeof *both.sql * (size_t) base->n_sql);
    if (turn->n_sql > 0)
        memcpy(both.sql + base->n_sql, turn->sql, sizeof *both.sql * (size_t) turn->n_sql);
    both.n_sql = base->n_sql + turn->n_sql;
    return both;
}

/* W where a sync's expression may make another value of what is written: lower(mail), left(name, 60), price to cents. Plain
 * values come through such expressions unharmed, so writers are given others. What differs with these alone is lost.
 */
#include "check/limits.h"
#include "check/types.h"
#include "check/words.h"
#include "check/writes.h"

/* ---- which columns ------------------------------------------------------------------------------------------ */

/* The other column, as it is. */
static bool is_plain(const struct cat_relation *r, const struct cat_column *from,
                     const struct pair *pair)
{
    const struct cat_column *to = cat_column(r, pair->key.s);
    AUTO(str) quoted = {0};

    sql_ident(&quoted, from->name);
    return to && strcmp(to->type_text, from->type_text) == 0 &&
           (strcmp(pair->value.s, from->name) == 0 ||
            strcmp(pair->value.s, str_text(&quoted)) == 0);
}

static const struct pair *mapping_in(const struct pair_list *l, const struct cat_relation *r,
                                     const struct cat_column *c)
{
    for (int i = 0; i < l->n; i++)
        if (has_name(l->items[i].value.s, c->name) && !is_plain(r, c, &l->items[i]))
            return &l->items[i];
    return NULL;
}

static bool is_kept(const struct proof *p, int state, const struct plan *plan)
{
    return plan->sync.by == SYNC_TRIGGER
               ? sync_is_on(p, state, plan)
               : plan->sync.by == SYNC_APPLICATION || plan->sync.by == SYNC_COHORT;
}

/* What may make another value of what is written to the column; NULL: nothing. */
static const struct pair *mapping_of(const struct scene *s, const struct cat_relation *r,
                                     const struct cat_column *c, const struct plan **plan)
{
    const struct pair *found = NULL;

    for (int i = 0; !found && i < s->p->t.n_plans; i++) {
        *plan = s->p->t.plans[i];
        if (is_kept(s->p, s->state, *plan) && sync_is_of(*plan, r))
            found = mapping_in(sync_target(*plan, c->name) ? &(*plan)->sync.reverse
                                                           : &(*plan)->sync.forward,
                               r, c);
    }
    return found;
}

bool mapped_concerns(const struct scene *s, const struct app_statement *a)
{
    const struct proof *p = s->p;

    for (int i = 0; i < p->t.n_plans; i++) {
        const struct plan *plan = p->t.plans[i];
        bool is_on = plan->sync.by != SYNC_NONE && is_kept(p, s->state, plan);

        for (int k = 0; is_on && k < p->now.n_relations; k++) {
            const struct cat_relation *r = &p->now.relations[k];
            bool loses = false;

            if (!sync_is_of(plan, r) || !statement_reads(p, a, r))
                continue;
            for (int c = 0; c < r->n_columns; c++)
                loses |= mapping_in(&plan->sync.forward, r, &r->columns[c]) ||
                         mapping_in(&plan->sync.reverse, r, &r->columns[c]);
            if (loses)
                return true;
        }
    }
    return false;
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

static const struct cat_column *column_at(const struct proof *p, const struct query *q, int param,
                                          const struct cat_relation **r, bool *by_insert)
{
    bool is_written = false;
    const struct cat_column *c = args_column(p, q, param, r, &is_written, by_insert);

    *r = written_table(p, *r);
    return c && is_written && *r ? cat_column(*r, c->name) : NULL;
}

/* Another parameter gives the other side: what the application makes of one for the other isn't in the text. */
static bool gives_both(const struct proof *p, const struct writer *w, const struct odd *odd)
{
    bool is_new = sync_target(odd->plan, odd->column) != NULL;

    for (int m = 0; m < w->n; m++)
        for (int n = 1; n <= w->items[m]->q->sets[0].n; n++) {
            const struct cat_relation *r = NULL;
            bool by_insert = false;
            const struct cat_column *c = column_at(p, w->items[m]->q, n, &r, &by_insert);

            if (c && sync_is_of(odd->plan, r) &&
                (is_new ? sync_reads(odd->plan, c->name)
                        : sync_target(odd->plan, c->name) != NULL) &&
                (w->items[m] != odd->a || n != odd->param))
                return true;
        }
    return false;
}

/* Written over itself it is no change, and a row from before isn't filled by it. */
static bool is_there(const struct scene *s, const struct odd *odd, const struct odd_column *of,
                     const char *value)
{
    const struct seed *row = seed_of(s->p, of->r->oid);
    const char *had = row ? seed_value(row, of->c->name) : NULL;

    return !odd->by_insert && value && had && strcmp(value, had) == 0;
}

static bool ask_values(struct scene *s, int pair, const struct writer *w, struct odd *odd,
                       const struct odd_column *of, struct err *err)
{
    struct sequence seq = {{w, w}, 1, odd};
    struct odd_values l = {.n = 0};

    mapped_values(s, of, &l);
    for (int i = 0; i < l.n && !s->told[pair]; i++) {
        if (is_there(s, odd, of, l.items[i]))
            continue;
        odd->value = l.items[i];
        odd->is_guess = l.is_guess[i];
        /* Where nothing was filled in yet, NULL is no change: something else goes before it. */
        seq.n = odd->value || odd->by_insert ? 1 : 2;
        if (!writes_run(s, pair, &seq, err))
            return false;
    }
    return true;
}

/* Do both answer alike with what the writer has by itself, or a plain row, or with a whole day? Two releases may show different things
 * for one call. of->is_plain: with something that is nothing special. */
static bool is_alike(struct scene *s, int pair, const struct writer *w, const struct odd *odd,
                     struct odd_column *of, bool *out, struct err *err)
{
    struct odd with = *odd;
    struct sequence seq = {{w, NULL}, w != NULL, NULL};
    struct odd_values l = {.n = 0};
    bool ok = true;

    *out = of->is_plain = !s->pairs[pair].is_across;
    mapped_plain(s, of, w != NULL, &l);
    s->quiet = true;
    for (int i = 0; ok && !of->is_plain && i < l.n; i++) {
        /* What is special about others doesn't matter any more. */
        if (*out && l.is_guess[i])
            continue;
        with.value = l.items[i];
        /* The first is its own. */
        seq.odd = w && i == 0 ? NULL : &with;
        ok = writes_run(s, pair, &seq, err);
        *out |= !s->told[pair];
        of->is_plain = !s->told[pair] && !l.is_guess[i];
        s->told[pair] = false;
    }
    s->quiet = false;
    return ok;
}

/* What the application says that it writes there, or what stands there in the baseline; NULL: neither. */
static const char *sample_of(const struct scene *s, const struct cat_relation *r,
                             const struct cat_column *c, const struct app_statement *a, int param)
{
    const struct seed *row = seed_of(s->p, r->oid);

    if (a && a->q->sets[0].is_given)
        return a->q->sets[0].values[param - 1];
    return row && row->is_found ? seed_value(row, c->name) : NULL;
}

static uint64_t print_of(const struct scene *s, int pair, const struct writer *w)
{
    const struct pair_of *q = &s->pairs[pair];
    uint64_t h = print_text(q->a->q->surface + 31 * q->b->q->surface, q->a->q->sql);

    h = print_text(h, q->b->q->sql);
    for (int m = 0; w && m < w->n; m++)
        h = print_text(h + w->items[m]->q->surface, w->items[m]->q->sql);
    return print_text(h, w ? "" : "past");
}

bool asked_before(struct proof *p, uint64_t print)
{
    for (int i = 0; i < p->n_asked; i++)
        if (p->asked[i] == print)
            return true;
    p->asked = arena_grow(p->a, p->asked, sizeof *p->asked * (size_t) p->n_asked,
                          sizeof *p->asked * (size_t) (p->n_asked + 1));
    p->asked[p->n_asked++] = print;
    return false;
}

static bool ask_writer(struct scene *s, int pair, const struct writer *w, struct err *err)
{
    bool is_first = true, alike = true; /* once for tables as they are in this state */
    struct odd_column of = {.r = NULL};

    for (int m = 0; m < w->n && alike && !w->before_sync; m++)
        for (int n = 1; n <= w->items[m]->q->sets[0].n && alike && !s->told[pair]; n++) {
            const struct cat_relation *r = NULL;
            struct odd odd = {.a = w->items[m], .param = n};
            const struct cat_column *c = column_at(s->p, w->items[m]->q, n, &r, &odd.by_insert);

            odd.column = c ? c->name : NULL;
            odd.mapping = c ? mapping_of(s, r, c, &odd.plan) : NULL;
            if (!odd.mapping || gives_both(s->p, w, &odd))
                continue;
            of = (struct odd_column) {r, c, odd.mapping->value.s,
                                      sample_of(s, r, c, odd.a, odd.param), of.is_plain};
            /* Rows that aren't filled yet may keep the two apart: that passes. */
            if (is_first && !is_alike(s, pair, w, &odd, &of, &alike, err))
                return false;
            if (is_first && alike && asked_before(s->p, print_of(s, pair, w)))
                return true;
            is_first = false;
            if (alike && !ask_values(s, pair, w, &odd, &of, err))
                return false;
        }
    return true;
}

/* Does one of those who are live write the column with a value of its own? Then that is what was tried. */
static bool is_written_by(const struct scene *s, const struct cat_relation *r,
                          const struct cat_column *c)
{
    for (int i = 0; i < s->n_writers; i++)
        for (int m = 0; m < s->writers[i].n; m++)
            for (int n = 1; n <= s->writers[i].items[m]->q->sets[0].n; n++) {
                const struct cat_relation *of = NULL;
                bool by_insert = false;

                if (column_at(s->p, s->writers[i].items[m]->q, n, &of, &by_insert) == c && of == r)
                    return true;
            }
    return false;
}

static const char *past_sql(struct proof *p, const struct cat_relation *r,
                            const struct cat_column *c)
{
    AUTO(str) sql = {0};

    cat_add_update(&sql, r, c->name);
    str_add(&sql, "$1 WHERE ctid = (SELECT pg_catalog.min(ctid) FROM ");
    sql_qualified(&sql, r->schema, r->name);
    str_add(&sql, ")");
    return arena_strdup(p->scratch, str_text(&sql));
}

/* Whoever wrote it, rows from before have such values as well: the trigger makes of them what a backfill would. */
static bool ask_past(struct scene *s, int pair, const struct plan *plan,
                     const struct cat_relation *r, struct err *err)
{
    for (int i = 0; i < r->n_columns && !s->told[pair]; i++) {
        const struct cat_column *c = &r->columns[i];
        struct odd odd = {.column = c->name, .plan = plan};
        struct sequence seq = {{NULL, NULL}, 0, &odd};
        struct odd_values l = {.n = 0};
        bool alike = false;

        odd.mapping = sync_reads(plan, c->name) && !sync_target(plan, c->name)
                          ? mapping_in(&plan->sync.forward, r, c)
                          : NULL;
        if (!odd.mapping || is_written_by(s, r, c))
            continue;
        struct odd_column of = {r, c, odd.mapping->value.s, sample_of(s, r, c, NULL, 0), false};
        odd.sql = past_sql(s->p, r, c);
        if (!is_alike(s, pair, NULL, &odd, &of, &alike, err))
            return false;
        if (!alike || asked_before(s->p, print_of(s, pair, NULL) + (uint64_t) i))
            continue;
        mapped_values(s, &of, &l);
        for (int k = 0; k < l.n && !s->told[pair]; k++) {
            /* How texts are built that nobody writes any more, nobody says. */
            if (l.is_guess[k] && !has_word(of.expr, "case"))
                continue;
            odd.value = l.items[k];
            odd.is_guess = l.is_guess[k];
            if (!writes_run(s, pair, &seq, err))
                return false;
        }
    }
    return true;
}

static bool ask_pasts(struct scene *s, int pair, struct err *err)
{
    struct proof *p = s->p;

    for (int i = 0; i < p->t.n_plans; i++) {
        const struct plan *plan = p->t.plans[i];
        bool is_on = plan->sync.by == SYNC_TRIGGER && sync_is_on(p, s->state, plan);

        for (int k = 0; is_on && k < p->now.n_relations; k++) {
            const struct cat_relation *r = &p->now.relations[k];
            if (sync_is_of(plan, r) && statement_reads(p, s->pairs[pair].a, r) &&
                !ask_past(s, pair, plan, r, err))
                return false;
        }
    }
    return true;
}

bool mapped_probe(struct scene *s, struct err *err)
{
    struct proof *p = s->p;

    for (int i = 0; i < s->n_pairs; i++) {
        const struct pair_of *q = &s->pairs[i];

        if (s->told[i] || p->stale[q->a - p->app] || p->stale[q->b - p->app] ||
            !mapped_concerns(s, q->a))
            continue;
        for (int w = 0; w < s->n_writers && !s->told[i]; w++)
            if (writer_concerns(p, &s->writers[w], q) && !ask_writer(s, i, &s->writers[w], err))
                return false;
        if (!s->told[i] && !ask_pasts(s, i, err))
            return false;
        p->stale[q->a - p->app] |= s->told[i];
        p->stale[q->b - p->app] |= s->told[i];
    }
    return true;
}

/* ---- findings ------------------------------------------------------------------------------------------------------ */

static const char *value_words(struct proof *p, const char *value)
{
    return !value               ? "NULL"
           : strlen(value) > 40 ? arena_printf(p->a, "a text of %d letters", (int) strlen(value))
                                : arena_printf(p->a, "'%s'", value);
}

static const char *which_words(struct proof *p, const struct app_statement *a, bool is_across)
{
    return is_across ? arena_printf(p->a, "in %s", release_words(p, a->release))
                     : arena_printf(p->a, "when %s", writes_when_words(p, a->s));
}

/* One expression may be at the bottom of many calls: one finding. */
static struct finding *known(struct proof *p, const char *rule, const struct pos *at)
{
    for (int i = 0; i < p->report->n; i++) {
        struct finding *f = &p->report->findings[i];
        if (strcmp(f->rule->id, rule) == 0 && f->at.file == at->file && f->at.line == at->line &&
            f->at.col == at->col)
            return f;
    }
    return NULL;
}

static const char if_any[] = ", if there are such values";

static const char *report_words(struct scene *s, const struct pair_of *q, const struct odd *odd,
                                const struct wire_result *x, const struct wire_result *y)
{
    struct proof *p = s->p;

    return arena_printf(
        p->a, "%s with %s for \"%s\", of which \"%s\" is made by %s, %s answers %s %s and %s %s%s",
        odd->a ? arena_printf(p->a, "after %s of %s", odd->a->s->name,
                              release_words(p, odd->a->release))
               : "for a row",
        value_words(p, odd->value), odd->column, odd->mapping->key.s, odd->mapping->value.s,
        q->a->s->name, writes_row_words(p, x, y), which_words(p, q->a, q->is_across),
        writes_row_words(p, y, x), which_words(p, q->b, q->is_across), odd->is_guess ? if_any : "");
}

/* Another call has shown it with a value that there is. */
static void raise_guess(struct finding *f, const char *words)
{
    if (!strstr(f->message, if_any))
        return;
    f->message = words;
    f->severity = f->rule->severity;
}

void mapped_report(struct scene *s, const struct pair_of *q, const struct odd *odd,
                   const struct wire_result *x, const struct wire_result *y)
{
    struct proof *p = s->p;
    bool by_trigger = odd->plan->sync.by == SYNC_TRIGGER;
    const char *rule = by_trigger ? "sync-trigger-asymmetric" : "stale-new-value";
    const char *words = report_words(s, q, odd, x, y);
    struct finding *f = known(p, rule, &odd->mapping->value.at);

    if (f && !odd->is_guess)
        raise_guess(f, words);
    if (!f) {
        f = report_add(p->report, rule, odd->mapping->value.at, "%s", words);
        /* Whether there are such values only the application knows. */
        if (odd->is_guess)
            f->severity = SEVERITY_WARNING;
        f->level = "statement";
        f->kind = "rolling";
        f->probe = "W";
        f->plan = odd->plan->id.s;
        f->release = p->t.releases[q->a->release].version;
        f->statement = q->a->s->name;
        f->help = arena_printf(
            p->a,
            "carry \"%s\" over as it is, and change what is shown of it in the statements; or see "
            "to it before that no such value is written (a CHECK, or the statement itself); or -- "
            "differs: at %s says why the answers may differ",
            odd->column, q->a->s->name);
    }
    place_add(p, f, q->a);
    place_add(p, f, q->b);
}

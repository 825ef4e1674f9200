/* report: gathering findings, and making one of those that have one cause. */
#include "phasegate/report.h"

#include <stdlib.h>
#include <string.h>

void report_free(struct report *r)
{
    arena_free(&r->arena);
    *r = (struct report) {0};
}

struct finding *report_add(struct report *r, const char *rule_id, struct pos at, const char *fmt,
                           ...)
{
    const struct rule *rule = rule_find(rule_id);
    va_list ap;

    if (!rule)
        abort();
    if (r->n == r->cap) {
        int cap = r->cap ? 2 * r->cap : 32;

        r->findings = arena_grow(&r->arena, r->findings, sizeof *r->findings * (size_t) r->cap,
                                 sizeof *r->findings * (size_t) cap);
        r->cap = cap;
    }
    r->findings[r->n] = (struct finding) {.rule = rule, .severity = rule->severity, .at = at};
    va_start(ap, fmt);
    r->findings[r->n].message = arena_vprintf(&r->arena, fmt, ap);
    va_end(ap);
    return &r->findings[r->n++];
}

void finding_place(struct report *r, struct finding *f, struct pos at, const char *release,
                   const char *statement)
{
    if (f->n_places == f->cap_places) {
        int cap = f->cap_places ? 2 * f->cap_places : 2;

        f->places = arena_grow(&r->arena, f->places, sizeof *f->places * (size_t) f->cap_places,
                               sizeof *f->places * (size_t) cap);
        f->cap_places = cap;
    }
    f->places[f->n_places++] = (struct place) {at, release, statement};
}

/* ---- order ---------------------------------------------------------------------------------------- */

static int compare_text(const char *a, const char *b)
{
    if (!a || !b)
        return (a != NULL) - (b != NULL);
    return strcmp(a, b);
}

static int compare_pos(const struct pos *a, const struct pos *b)
{
    int by_file = compare_text(a->file, b->file);

    if (by_file != 0)
        return by_file;
    return a->line != b->line ? (a->line > b->line) - (a->line < b->line)
                              : (a->col > b->col) - (a->col < b->col);
}

/* The first difference decides. */
#define UNLESS_EQUAL(compared)                                                                     \
    do {                                                                                           \
        int order = (compared);                                                                    \
        if (order != 0)                                                                            \
            return order;                                                                          \
    } while (0)

/* What makes two findings one: the same thing broken by the same step, in the same words. */
static int compare_cause(const struct finding *a, const struct finding *b)
{
    UNLESS_EQUAL(compare_pos(&a->at, &b->at));
    UNLESS_EQUAL(strcmp(a->rule->id, b->rule->id));
    UNLESS_EQUAL(compare_text(a->plan, b->plan));
    UNLESS_EQUAL(compare_text(a->phase, b->phase));
    UNLESS_EQUAL(compare_text(a->step, b->step));
    UNLESS_EQUAL(compare_text(a->message, b->message));
    UNLESS_EQUAL(compare_text(a->sqlstate, b->sqlstate));
    return compare_text(a->allowed_because, b->allowed_because);
}

/* The worst first, so that a merged finding is as bad as its worst part. */
static int compare_findings(const void *left, const void *right)
{
    const struct finding *a = left, *b = right;

    UNLESS_EQUAL(compare_cause(a, b));
    UNLESS_EQUAL((a->severity < b->severity) - (a->severity > b->severity));
    UNLESS_EQUAL(compare_text(a->release, b->release));
    UNLESS_EQUAL(compare_text(a->statement, b->statement));
    UNLESS_EQUAL(compare_text(a->kind, b->kind));
    UNLESS_EQUAL(compare_text(a->level, b->level));
    UNLESS_EQUAL(compare_text(a->probe, b->probe));
    UNLESS_EQUAL(compare_text(a->safe_from, b->safe_from));
    UNLESS_EQUAL(a->flags.n - b->flags.n);
    for (int i = 0; i < a->flags.n; i++) {
        UNLESS_EQUAL(compare_text(a->flags.items[i].key.s, b->flags.items[i].key.s));
        UNLESS_EQUAL(compare_text(a->flags.items[i].value.s, b->flags.items[i].value.s));
    }
    return compare_text(a->help, b->help);
}

static int compare_places(const void *left, const void *right)
{
    const struct place *a = left, *b = right;

    UNLESS_EQUAL(compare_pos(&a->at, &b->at));
    UNLESS_EQUAL(compare_text(a->release, b->release));
    return compare_text(a->statement, b->statement);
}

/* ---- the end -------------------------------------------------------------------------------------- */

static void sort_places(struct finding *f)
{
    int n = 0;

    if (f->n_places > 1)
        qsort(f->places, (size_t) f->n_places, sizeof *f->places, compare_places);
    for (int i = 0; i < f->n_places; i++)
        if (n == 0 || compare_places(&f->places[n - 1], &f->places[i]) != 0)
            f->places[n++] = f->places[i];
    f->n_places = n;
}

static void merge_into(struct report *r, struct finding *to, const struct finding *from)
{
    for (int i = 0; i < from->n_places; i++)
        finding_place(r, to, from->places[i].at, from->places[i].release,
                      from->places[i].statement);
}

static void count(struct report_summary *s, const struct finding *f)
{
    if (f->allowed_because)
        s->allowed++;
    else if (f->severity == SEVERITY_ERROR)
        s->errors++;
    else if (f->severity == SEVERITY_WARNING)
        s->warnings++;
    else
        s->notes++;
}

void report_finish(struct report *r)
{
    int n = 0;

    for (int i = 0; i < r->n; i++)
        if (r->findings[i].severity != SEVERITY_OFF)
            r->findings[n++] = r->findings[i];
    r->n = n;
    if (n > 1)
        qsort(r->findings, (size_t) n, sizeof *r->findings, compare_findings);
    n = 0;
    for (int i = 0; i < r->n; i++) {
        if (n > 0 && compare_cause(&r->findings[n - 1], &r->findings[i]) == 0)
            merge_into(r, &r->findings[n - 1], &r->findings[i]);
        else
            r->findings[n++] = r->findings[i];
    }
    r->n = n;
    r->summary.errors = r->summary.warnings = r->summary.notes = r->summary.allowed = 0;
    for (int i = 0; i < n; i++) {
        sort_places(&r->findings[i]);
        count(&r->summary, &r->findings[i]);
    }
}

bool report_fails(const struct report *r, enum severity at)
{
    for (int i = 0; i < r->n; i++)
        if (r->findings[i].severity >= at && !r->findings[i].allowed_because)
            return true;
    return false;
}

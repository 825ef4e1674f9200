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

void report_unreadable(struct report *r, struct pos at, const char *what, const char *help,
                       const char *sqlstate_or_null)
{
    at.file = arena_strdup(&r->arena, at.file);
    struct finding *f = report_add(r, "input-unreadable", at, "%s", what);

    f->sqlstate = arena_strdup(&r->arena, sqlstate_or_null);
    f->help = help ? arena_strdup(&r->arena, help) : "mend it, then: phasegate check";
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
    f->places[f->n_places++] =
        (struct place) {.at = at, .release = release, .statement = statement};
}

/* ---- two ways to one cause ------------------------------------------------------------------------------ */

static bool is_text(const char *a, const char *b) { return a && b && strcmp(a, b) == 0; }

static bool is_one_cause(const struct finding *text, const struct finding *shadow)
{
    bool is_rule = text->rule == shadow->rule || is_text(text->rule->same_as, shadow->rule->id);

    return is_rule && is_text(text->plan, shadow->plan) && is_text(text->step, shadow->step) &&
           is_text(text->phase, shadow->phase) && is_text(text->at.file, shadow->at.file) &&
           text->at.line == shadow->at.line && text->at.col == shadow->at.col &&
           (!shadow->same || shadow->same == text->rule);
}

void report_watched(struct report *r, struct pos at)
{
    if (r->n_watched == r->cap_watched) {
        int cap = r->cap_watched ? 2 * r->cap_watched : 32;

        r->watched = arena_grow(&r->arena, r->watched, sizeof *r->watched * (size_t) r->cap_watched,
                                sizeof *r->watched * (size_t) cap);
        r->cap_watched = cap;
    }
    r->watched[r->n_watched++] = at;
}

static bool is_seen_by_server(const struct rule *rule)
{
    return is_text(rule->same_as, "work-under-strong-lock") && !rule->is_unseen;
}

static bool is_same_pos(const struct pos *a, const struct pos *b)
{
    return is_text(a->file, b->file) && a->line == b->line && a->col == b->col;
}

/* The shadow tells of one work only in each statement: where it tells of any, what the text says of more stays. */
static bool is_refuted(const struct report *r, int n_static, const struct finding *text)
{
    bool watched = false;

    if (!text->step || !is_seen_by_server(text->rule))
        return false;
    for (int i = 0; i < r->n_watched && !watched; i++)
        watched = is_same_pos(&r->watched[i], &text->at);
    for (int k = n_static; k < r->n && watched; k++)
        if (is_text(r->findings[k].rule->id, text->rule->same_as))
            watched = !is_same_pos(&r->findings[k].at, &text->at);
    return watched;
}

void report_join(struct report *r, int n_static)
{
    int n = 0;

    for (int i = 0; i < r->n; i++) {
        bool told = i < n_static && is_refuted(r, n_static, &r->findings[i]);

        /* All of them: beside another plan a step is run in several states, and told of in each. */
        for (int k = n_static; i < n_static && k < r->n; k++)
            if (is_one_cause(&r->findings[i], &r->findings[k])) {
                told = true;
                r->findings[k].same = r->findings[i].rule;
            }
        if (!told)
            r->findings[n++] = r->findings[i];
    }
    r->n = n;
}

bool finding_is_of(const struct finding *f, const struct rule *rule)
{
    return f->rule == rule || f->same == rule || is_text(f->rule->same_as, rule->id) ||
           (!f->same && is_text(rule->same_as, f->rule->id));
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

static int compare_flags(const struct pair_list *a, const struct pair_list *b)
{
    UNLESS_EQUAL((a->n > b->n) - (a->n < b->n));
    for (int i = 0; i < a->n; i++) {
        UNLESS_EQUAL(compare_text(a->items[i].key.s, b->items[i].key.s));
        UNLESS_EQUAL(compare_text(a->items[i].value.s, b->items[i].value.s));
    }
    return 0;
}

/* Two of one place are one, whatever was tried there. */
static int compare_place(const struct place *a, const struct place *b)
{
    UNLESS_EQUAL((a->order > b->order) - (a->order < b->order));
    UNLESS_EQUAL(compare_pos(&a->at, &b->at));
    UNLESS_EQUAL(compare_text(a->release, b->release));
    return compare_text(a->statement, b->statement);
}

static int compare_places(const void *left, const void *right)
{
    const struct place *a = left, *b = right;

    UNLESS_EQUAL(compare_place(a, b));
    UNLESS_EQUAL(compare_flags(&a->flags, &b->flags));
    return compare_text(a->probe, b->probe);
}

static int compare_first_place(const struct finding *a, const struct finding *b)
{
    if (a->n_places == 0 || b->n_places == 0)
        return (a->n_places > 0) - (b->n_places > 0);
    return compare_places(&a->places[0], &b->places[0]);
}

/* The last name of "column o.ref does not exist", "column \"ref\" of relation \"o\" does not exist": servers name one
 * thing that is gone in several ways. NULL: the message is about something else. */
static const char *gone(const char *message, size_t *n)
{
    static const char end[] = " does not exist", of[] = " of relation ";
    const char *stop = message ? strstr(message, end) : NULL;
    const char *within = message ? strstr(message, of) : NULL;

    if (!stop || strncmp(message, "column ", strlen("column ")) != 0)
        return NULL;
    if (within && within < stop)
        stop = within;
    const char *s = stop;
    while (s > message && s[-1] != ' ' && s[-1] != '.')
        s--;
    s += *s == '"' && stop > s + 1;
    *n = (size_t) (stop - s) - (stop > s && stop[-1] == '"');
    return s;
}

/* "with $2 ("name") = NULL ...": which parameter it is differs from statement to statement. */
static const char *without_number(const char *message)
{
    static const char with[] = "with $";

    if (!message || strncmp(message, with, strlen(with)) != 0)
        return message;
    message += strlen(with);
    return message + strspn(message, "0123456789");
}

static int compare_message(const char *a, const char *b)
{
    a = without_number(a);
    b = without_number(b);
    size_t n = 0, m = 0;
    const char *x = gone(a, &n), *y = gone(b, &m);

    if (!x || !y)
        return x || y ? (x != NULL) - (y != NULL) : compare_text(a, b);
    UNLESS_EQUAL((n > m) - (n < m));
    return memcmp(x, y, n);
}

/* What makes two findings one: the same thing broken by the same step, in the same words. */
static int compare_cause(const struct finding *a, const struct finding *b)
{
    UNLESS_EQUAL(compare_pos(&a->at, &b->at));
    UNLESS_EQUAL(strcmp(a->rule->id, b->rule->id));
    UNLESS_EQUAL(compare_text(a->plan, b->plan));
    UNLESS_EQUAL(compare_text(a->phase, b->phase));
    UNLESS_EQUAL(compare_text(a->step, b->step));
    UNLESS_EQUAL(compare_message(a->message, b->message));
    UNLESS_EQUAL(compare_text(a->sqlstate, b->sqlstate));
    return compare_text(a->allowed_because, b->allowed_because);
}

/* The worst first, so that a merged finding is as bad as its worst part. */
static int compare_findings(const void *left, const void *right)
{
    const struct finding *a = left, *b = right;

    UNLESS_EQUAL(compare_cause(a, b));
    UNLESS_EQUAL((a->severity < b->severity) - (a->severity > b->severity));
    UNLESS_EQUAL(compare_first_place(a, b));
    UNLESS_EQUAL(compare_text(a->release, b->release));
    UNLESS_EQUAL(compare_text(a->statement, b->statement));
    UNLESS_EQUAL(compare_text(a->kind, b->kind));
    UNLESS_EQUAL(compare_text(a->level, b->level));
    UNLESS_EQUAL(compare_text(a->probe, b->probe));
    UNLESS_EQUAL(compare_text(a->safe_from, b->safe_from));
    UNLESS_EQUAL(compare_flags(&a->flags, &b->flags));
    UNLESS_EQUAL(compare_text(a->message, b->message));
    return compare_text(a->help, b->help);
}

/* ---- the end -------------------------------------------------------------------------------------- */

static void sort_places(struct finding *f)
{
    int n = 0;

    for (int i = 0; i < f->n_places && !f->is_finished; i++)
        f->places[i].flags = f->flags, f->places[i].probe = f->probe;
    f->is_finished = true;
    if (f->n_places > 1)
        qsort(f->places, (size_t) f->n_places, sizeof *f->places, compare_places);
    for (int i = 0; i < f->n_places; i++)
        if (n == 0 || compare_place(&f->places[n - 1], &f->places[i]) != 0)
            f->places[n++] = f->places[i];
    f->n_places = n;
}

static void merge_into(struct report *r, struct finding *to, const struct finding *from)
{
    for (int i = 0; i < from->n_places; i++) {
        finding_place(r, to, from->places[i].at, from->places[i].release,
                      from->places[i].statement);
        to->places[to->n_places - 1] = from->places[i];
    }
    if (!to->safe_from)
        to->safe_from = from->safe_from;
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
        if (r->findings[i].severity != SEVERITY_OFF) {
            sort_places(&r->findings[i]);
            r->findings[n++] = r->findings[i];
        }
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

/* ---- fingerprints --------------------------------------------------------------------------------- */

struct numbered {
    uint64_t print;
    int i;
};

/* FNV-1a; the end of a text counts, so that "a", "bc" isn't "ab", "c". NULL isn't "". */
static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;

    for (size_t i = 0; i < n; i++)
        hash = (hash ^ p[i]) * 0x100000001b3u;
    return hash;
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
    return text ? hash_bytes(hash, text, strlen(text) + 1) : hash_bytes(hash, "\1", 2);
}

static uint64_t fingerprint(const struct finding *f)
{
    const char *const texts[] = {f->rule->id, f->plan,    f->phase,   f->step,
                                 f->kind,     f->at.file, f->release, f->statement};
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        hash = hash_text(hash, texts[i]);
    return hash;
}

static int compare_numbered(const void *left, const void *right)
{
    const struct numbered *a = left, *b = right;

    UNLESS_EQUAL((a->print > b->print) - (a->print < b->print));
    return a->i - b->i;
}

const uint64_t *report_fingerprints(struct arena *a, const struct report *r)
{
    struct numbered *all = arena_array(a, struct numbered, r->n + 1);
    uint64_t *out = arena_array(a, uint64_t, r->n + 1);
    unsigned char nth = 0;

    for (int i = 0; i < r->n; i++)
        all[i] = (struct numbered) {fingerprint(&r->findings[i]), i};
    qsort(all, (size_t) r->n, sizeof *all, compare_numbered);
    for (int i = 0, same = 0; i < r->n; i++) {
        uint64_t print = all[i].print;

        same = i > 0 && all[i - 1].print == print ? same + 1 : 0;
        for (int left = same; left > 0; left >>= 8) {
            nth = (unsigned char) (left & 0xff);
            print = hash_bytes(print, &nth, 1);
        }
        out[all[i].i] = print;
    }
    return out;
}

/* A report for whoever shows test results: a suite for each plan, a case for each class of rules in it, so that what
 * is clean passes by name. */
#include "out/report_int.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define N_CLASSES (RULE_PLAN + 1)

struct entry {
    const char *plan; /* NULL: the project as a whole */
    int i;            /* of the finding; -1: only says that the plan was checked */
};

struct counts {
    int tests, failures, skipped;
};

struct junit {
    const struct report_out_options *o;
    const struct report *r;
    struct entry *entries; /* by plan, then in the order of the report */
    int n;
};

static const char *xml_char(unsigned c)
{
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&apos;";
    case '\n': return "&#10;";
    default: return report_plain(c);
    }
}

/* In an attribute a newline would be read as a space; elsewhere it is one. */
static const char *xml_body_char(unsigned c) { return c == '\n' ? NULL : xml_char(c); }

static void add_xml(struct str *to, const char *text) { report_add_escaped(to, text, xml_char); }

static const char *promise(enum rule_class c)
{
    static const char *const words[] = {
        [RULE_COMPAT] = "every live release keeps working",
        [RULE_ORDER] = "phases and releases are in order",
        [RULE_FLAG] = "flags are switched in order",
        [RULE_LOCK] = "nothing is locked for long",
        [RULE_REWRITE] = "no table is rewritten",
        [RULE_DATA] = "no rows are in danger",
        [RULE_PLAN] = "the files hold what is needed",
    };

    return words[c];
}

/* ---- one case --------------------------------------------------------------------------------------- */

static bool is_of(const struct junit *u, const struct entry *e, enum rule_class c)
{
    return e->i >= 0 && u->r->findings[e->i].rule->class == c;
}

static bool is_failure(const struct junit *u, const struct finding *f)
{
    enum severity at = u->o->fail_on == SEVERITY_OFF ? SEVERITY_ERROR : u->o->fail_on;

    return !f->allowed_because && f->severity >= at;
}

/* Without a server nothing was proved of the statements of releases, and of those that fail at the baseline neither:
 * that isn't passing. */
static bool is_skipped(const struct junit *u, const struct entry *e, enum rule_class c,
                       int n_failures)
{
    if (u->r->is_stopped)
        return n_failures == 0;
    return c == RULE_COMPAT && n_failures == 0 &&
           (u->r->is_static || (!e->plan && u->r->summary.failing > 0));
}

static void add_skipped(struct str *out, const struct junit *u)
{
    AUTO(str) why = {0};

    if (u->r->is_stopped)
        str_add(&why, "nothing was checked: the input can't be read");
    else if (u->r->is_static)
        str_add(&why, "checked from the files only: run phasegate check without --static");
    else
        report_add_failing(&why, &u->r->summary);
    str_add(out, "\n      <skipped message=\"");
    add_xml(out, str_text(&why));
    str_add(out, "\"/>");
}

static void add_findings(struct str *out, const struct junit *u, const struct entry *e, int n,
                         enum rule_class c, bool failures)
{
    for (int i = 0; i < n; i++) {
        AUTO(str) text = {0};

        if (!is_of(u, &e[i], c) || is_failure(u, &u->r->findings[e[i].i]) != failures)
            continue;
        report_add_finding(&text, u->o, &u->r->findings[e[i].i]);
        report_add_escaped(out, str_text(&text), xml_body_char);
    }
}

static const struct finding *first_failure(const struct junit *u, const struct entry *e, int n,
                                           enum rule_class c, int *count)
{
    const struct finding *first = NULL;

    *count = 0;
    for (int i = 0; i < n; i++) {
        if (!is_of(u, &e[i], c) || !is_failure(u, &u->r->findings[e[i].i]))
            continue;
        first = first ? first : &u->r->findings[e[i].i];
        ++*count;
    }
    return first;
}

static void add_case(struct str *out, const struct junit *u, const struct entry *e, int n,
                     enum rule_class c)
{
    AUTO(str) body = {0}, rest = {.ceiling = out->ceiling};
    int count;
    const struct finding *first = first_failure(u, e, n, c, &count);

    str_addf(out, "    <testcase classname=\"phasegate.");
    add_xml(out, e->plan ? e->plan : "project");
    str_addf(out, "\" name=\"%s: %s\">", rule_class_word(c), promise(c));
    if (first) {
        str_addf(out, "\n      <failure type=\"%s\" message=\"", first->rule->id);
        add_xml(out, first->message);
        if (count > 1)
            str_addf(out, " (and %d more)", count - 1);
        str_add(out, "\">");
        add_findings(out, u, e, n, c, true);
        str_add(out, "</failure>");
    } else if (is_skipped(u, e, c, count))
        add_skipped(out, u);
    add_findings(&rest, u, e, n, c, false);
    if (rest.len)
        str_addf(out, "\n      <system-out>%s</system-out>", str_text(&rest));
    str_add(out, first || rest.len || is_skipped(u, e, c, count) ? "\n    </testcase>\n"
                                                                 : "</testcase>\n");
}

/* ---- suites ------------------------------------------------------------------------------------------- */

static struct counts count_suite(const struct junit *u, const struct entry *e, int n)
{
    struct counts k = {.tests = N_CLASSES};

    for (int c = 0; c < N_CLASSES; c++) {
        int failures;

        k.failures += first_failure(u, e, n, (enum rule_class) c, &failures) != NULL;
        k.skipped += is_skipped(u, e, (enum rule_class) c, failures);
    }
    return k;
}

static int suite_length(const struct junit *u, int from)
{
    const char *plan = u->entries[from].plan;
    int to = from + 1;

    while (to < u->n && (plan ? u->entries[to].plan && strcmp(plan, u->entries[to].plan) == 0
                              : !u->entries[to].plan))
        to++;
    return to - from;
}

static void add_suite(struct str *out, const struct junit *u, const struct entry *e, int n)
{
    struct counts k = count_suite(u, e, n);

    str_add(out, "  <testsuite name=\"");
    if (e->plan)
        str_add(out, "plan ");
    add_xml(out, e->plan ? e->plan : "project");
    str_addf(out, "\" tests=\"%d\" failures=\"%d\" errors=\"0\" skipped=\"%d\">\n", k.tests,
             k.failures, k.skipped);
    for (int c = 0; c < N_CLASSES; c++)
        add_case(out, u, e, n, (enum rule_class) c);
    str_add(out, "  </testsuite>\n");
}

/* The project first, plans by name. */
static int compare_entries(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    int by_plan =
        !a->plan || !b->plan ? (a->plan != NULL) - (b->plan != NULL) : strcmp(a->plan, b->plan);

    return by_plan ? by_plan : a->i - b->i;
}

static void gather(struct junit *u, struct arena *a)
{
    int n_plans = 0;

    while (u->o->plans && u->o->plans[n_plans])
        n_plans++;
    u->entries = arena_array(a, struct entry, u->r->n + n_plans + 1);
    for (int i = 0; i < u->r->n; i++)
        u->entries[u->n++] = (struct entry) {u->r->findings[i].plan, i};
    for (int i = 0; i < n_plans; i++)
        u->entries[u->n++] = (struct entry) {u->o->plans[i], -1};
    if (u->n == 0)
        u->entries[u->n++] = (struct entry) {NULL, -1};
    qsort(u->entries, (size_t) u->n, sizeof *u->entries, compare_entries);
}

void report_write_junit(const struct report_out_options *o, const struct report *r, struct str *out)
{
    struct junit u = {.o = o, .r = r};
    struct counts all = {0};
    AUTO(arena) a = {0};

    gather(&u, &a);
    for (int i = 0; i < u.n; i += suite_length(&u, i)) {
        struct counts k = count_suite(&u, &u.entries[i], suite_length(&u, i));
        all.tests += k.tests, all.failures += k.failures, all.skipped += k.skipped;
    }
    str_addf(out,
             "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"phasegate check\" "
             "tests=\"%d\" failures=\"%d\" errors=\"0\" skipped=\"%d\" time=\"%" PRId64
             ".%03d\">\n",
             all.tests, all.failures, all.skipped, r->summary.duration_ms / 1000,
             (int) (r->summary.duration_ms % 1000));
    for (int i = 0; i < u.n; i += suite_length(&u, i))
        add_suite(out, &u, &u.entries[i], suite_length(&u, i));
    str_add(out, "</testsuites>\n");
}

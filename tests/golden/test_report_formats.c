/* Reports of known findings, in every format, beside their golden files: tests/golden/report/NAME.EXTENSION.
 * PHASEGATE_BLESS=1 rewrites them; look at the difference before it's committed.
 *
 * With a folder as argument: writes every report into it, the hostile and the large ones as well, for
 * test_report_outputs.py, which reads each with somebody else's parser.
 */
#include "phasegate/report_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PLAN_FILE "plans/20261114093000-orders-external-ref.yaml"

/* ---- what is reported ------------------------------------------------------------------------------ */

static const char *line_of(void *ctx, const char *file, int line)
{
    static const struct {
        const char *file;
        int line;
        const char *text;
    } lines[] = {
        {PLAN_FILE, 61, "      - sql: ALTER TABLE shop.orders DROP COLUMN legacy_ref"},
        {PLAN_FILE, 34, "\t  sql: CREATE INDEX orders_ref ON shop.orders (external_ref)"},
        {"statements/4.5.0.sql", 9,
         "SELECT id, customer_id, external_ref, placed_at, total_cents, currency, note FROM "
         "shop.orders WHERE "
         "customer_id = $1 AND placed_at > $2 AND p\xC3\xA4ivitetty IS NULL"},
    };

    (void) ctx;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (file && strcmp(lines[i].file, file) == 0 && lines[i].line == line)
            return lines[i].text;
    return NULL;
}

static struct pair_list flag(struct report *r, const char *key, const char *value)
{
    struct pair_list l = {arena_new(&r->arena, struct pair), 1};

    l.items[0] = (struct pair) {{.s = key}, {.s = value}};
    return l;
}

static struct finding *of_step(struct report *r, const char *rule, struct pos at,
                               const char *message, const char *phase, const char *step)
{
    struct finding *f = report_add(r, rule, at, "%s", message);

    f->plan = "orders-external-ref", f->phase = phase, f->step = step;
    return f;
}

static void dropped(struct report *r, const char *release, const char *statement, int line,
                    const char *value)
{
    struct finding *f = of_step(r, "old-query-fails", (struct pos) {PLAN_FILE, 61, 14},
                                "column \"legacy_ref\" does not exist", "contract", "drop-legacy");

    f->kind = "contract", f->level = "statement", f->sqlstate = "42703", f->probe = "H";
    f->release = release, f->statement = statement, f->safe_from = "4.6.0";
    f->flags = flag(r, "orders-external-ref-read", value);
    f->help = "release 4.4.0 still reads orders.legacy_ref when orders-external-ref-read is off; "
              "contract in "
              "4.6.0 or later";
    finding_place(r, f,
                  (struct pos) {arena_printf(&r->arena, "statements/%s.sql", release), line, 1},
                  release, statement);
}

static void summarize(struct report *r)
{
    r->server_version = "15.8";
    r->summary = (struct report_summary) {.plans = 2,
                                          .releases = 5,
                                          .statements = 12,
                                          .worlds = 14,
                                          .cells = 96,
                                          .probed = 96,
                                          .carried = 6,
                                          .by_args = 40,
                                          .by_generated = 50,
                                          .by_plan = 6,
                                          .duration_ms = 1412};
}

static void sample(struct report *r)
{
    struct finding *f;

    summarize(r);
    dropped(r, "4.4.0", "GetOrder", 12, "off");
    dropped(r, "4.4.0", "ListOrders", 3, "off");
    dropped(r, "4.3.0", "GetOrder", 12, "off");
    f = of_step(r, "index-not-concurrent", (struct pos) {PLAN_FILE, 34, 9},
                "CREATE INDEX on shop.orders blocks writes to it until the index is built",
                "expand", "index-ref");
    f->help = "CREATE INDEX CONCURRENTLY, as the only statement of its step";
    f = of_step(r, "result-shape-changed", (struct pos) {PLAN_FILE, 28, 0},
                "the result has 8 columns instead of 7", "expand", "add-ref");
    f->level = "wire", f->kind = "rolling", f->probe = "D", f->severity = SEVERITY_WARNING;
    f->release = "4.1.0", f->statement = "ExportOrders";
    finding_place(r, f, (struct pos) {"statements/4.1.0.sql", 40, 1}, "4.1.0", "ExportOrders");
    f = report_add(r, "cell-untested", (struct pos) {"statements/4.5.0.sql", 9, 122},
                   "no arguments were found with which it runs: %s", "numeric field overflow");
    f->severity = SEVERITY_NOTE, f->sqlstate = "22003", f->probe = "X";
    f->release = "4.5.0", f->statement = "FindOrders";
    f->help = "give an example row: -- args: (1, 'x')";
    finding_place(r, f, (struct pos) {"statements/4.5.0.sql", 9, 1}, "4.5.0", "FindOrders");
    f = of_step(r, "fk-without-index", (struct pos) {PLAN_FILE, 40, 8},
                "the foreign key order_refs_order_id_fkey has no index on its column", "expand",
                "refs");
    f->allowed_because = "the table has a hundred rows";
    report_add(r, "extension-missing", (struct pos) {0}, "the shadow lacks extension \"%s\"",
               "postgis");
}

static void clean(struct report *r) { summarize(r); }

static void is_static(struct report *r)
{
    r->is_static = true;
    r->summary.plans = 1;
    of_step(r, "drop-schema", (struct pos) {PLAN_FILE, 61, 14}, "DROP SCHEMA shop", "contract",
            "drop-legacy");
}

/* What fails at the baseline is counted beside what was tried. */
static void is_failing(struct report *r)
{
    struct finding *f;

    summarize(r);
    r->summary.failing = 2;
    f = report_add(r, "failing-at-baseline", (struct pos) {"statements/4.4.0.sql", 3, 1},
                   "column \"legacy_ref\" does not exist");
    f->release = "4.4.0", f->statement = "ListOrders", f->sqlstate = "42703", f->probe = "P";
    finding_place(r, f, (struct pos) {"statements/4.4.0.sql", 3, 1}, "4.4.0", "ListOrders");
    finding_place(r, f, (struct pos) {"statements/4.5.0.sql", 3, 1}, "4.5.0", "ListOrders");
}

static void is_stopped(struct report *r)
{
    struct finding *f;

    r->is_stopped = true;
    f = report_add(r, "input-unreadable", (struct pos) {PLAN_FILE, 34, 9},
                   "unknown key \"fase\"; expected one of: phases, sync");
    f->help = "did you mean \"phases\"?";
    f = report_add(r, "input-unreadable", (struct pos) {0}, "no file phasegate.yaml");
    f->help = "phasegate init";
}

static const char *const hostile_texts[] = {
    "quotes \" ' ` and \\ and \"\"\"",
    "]]> <![CDATA[ </failure></testsuite> <script>alert(1)</script> &amp; &#10;",
    "\x01\x02\x1b[31mred\x1b[0m\a\b\x7f\xc2\x9b",
    "invalid \xff\xfe\xc0\x80 \xed\xa0\x80 \xf4\x90\x80\x80 \xe2\x82",
    "lines\r\nand\n\ttabs\n::error::injected\n```\n</details>\n| a | b |\n",
    "nonchars \xef\xbf\xbe\xef\xbf\xbf, turned \xe2\x80\xae"
    "desrever, \xe2\x80\xa8 \xe2\x81\xa9",
    "100% %0A, a:b=c, @everyone #1 ``` ```` `` [x](javascript:y) ![z](http://t) <!-- -->",
    "",
    "\xf0\x9f\x90\x98 p\xc3\xa4\xc3\xa4llys https://example.invalid/?a=b&c=d#e",
    "*/ -- ; $$ ${VAR} %s %n {{ x }}",
    "::set-output name=x::y",
    " leading and trailing ",
};
#define N_HOSTILE (sizeof hostile_texts / sizeof *hostile_texts)

/* Each text in each place. */
static void hostile(struct report *r)
{
    r->server_version = hostile_texts[1];
    for (size_t i = 0; i < N_HOSTILE * N_HOSTILE; i++) {
        const char *a = hostile_texts[i % N_HOSTILE], *b = hostile_texts[i / N_HOSTILE];
        struct finding *f = report_add(r, "old-query-fails",
                                       (struct pos) {a, (int) i - 3, (int) i % 7 - 1}, "%s", b);

        f->severity = (enum severity)(1 + i % 3);
        f->plan = a, f->phase = b, f->step = a, f->kind = b, f->level = a, f->sqlstate = b,
        f->probe = a;
        f->release = b, f->statement = a, f->safe_from = b, f->help = a;
        f->flags = flag(r, a, b);
        f->allowed_because = i % 5 == 0 ? b : NULL;
        finding_place(r, f, (struct pos) {b, -1, 0}, a, b);
        finding_place(r, f, (struct pos) {a, 1, 1}, b, a);
        finding_place(r, f, (struct pos) {0}, NULL, NULL);
    }
    report_add(r, "old-query-fails", (struct pos) {0}, "%s", "nothing is known of it");
}

static const char *hostile_line(void *ctx, const char *file, int line)
{
    (void) ctx, (void) file;
    return hostile_texts[(size_t) line % N_HOSTILE];
}

static void many(struct report *r)
{
    r->server_version = "15.8";
    for (int i = 0; i < 10000; i++) {
        struct finding *f =
            report_add(r, i % 2 ? "old-query-fails" : "dml-without-where",
                       (struct pos) {arena_printf(&r->arena, "plans/%d.yaml", i % 100), i, 1},
                       "message of finding %d", i);

        f->severity = (enum severity)(1 + i % 3);
        f->plan = arena_printf(&r->arena, "plan-%d", i % 1000);
        for (int k = 0; k < i % 13; k++)
            finding_place(r, f, (struct pos) {"statements/1.sql", k + 1, 1}, "1.0.0", "GetOrder");
    }
}

/* One finding whose every text is large. */
static void large(struct report *r)
{
    char *text = arena_alloc(&r->arena, 300001);

    for (int i = 0; i < 300000; i += 3)
        memcpy(text + i, i % 2 ? "\xe2\x82\xac" : "```", 3);
    struct finding *f =
        report_add(r, "old-query-fails", (struct pos) {"a.yaml", 1, 90000}, "%s", text);
    f->help = f->plan = text;
    finding_place(r, f, (struct pos) {"b.sql", 1, 1}, "1.0.0", text);
    report_add(r, "old-query-fails", (struct pos) {"b.yaml", 1, 1}, "the one behind it");
}

static const char *large_line(void *ctx, const char *file, int line)
{
    static char text[100001];

    (void) ctx, (void) file, (void) line;
    memset(text, 'x', sizeof text - 1);
    return text;
}

static const char *const hostile_plans[] = {"]]>\"<&'", "\x01\xff", NULL};
static const char *const plans[] = {"orders-external-ref", "customers-email", NULL};

static const struct known {
    const char *name;
    void (*fill)(struct report *r);
    struct report_out_options options;
    bool is_golden;
} reports[] = {
    {"sample", sample, {.line = line_of, .plans = plans, .version = "1.2.3"}, true},
    {"verbose",
     sample,
     {.verbose = true, .colour = true, .version = "1.2.3", .prefix = "db/"},
     true},
    {"clean", clean, {.plans = plans, .version = "1.2.3"}, true},
    {"static", is_static, {.line = line_of, .version = "1.2.3"}, true},
    {"failing", is_failing, {.line = line_of, .version = "1.2.3"}, true},
    {"stopped", is_stopped, {.line = line_of, .version = "1.2.3"}, true},
    {"nothing", clean, {.version = "1.2.3"}, false},
    {"hostile", hostile, {.line = hostile_line, .plans = hostile_plans, .prefix = "a b/"}, false},
    {"many", many, {0}, false},
    {"large", large, {.line = large_line}, false},
};
enum { N_REPORTS = sizeof reports / sizeof *reports };

/* ---- golden files --------------------------------------------------------------------------------------- */

static void written(const struct known *k, const struct report_format *f, struct str *out)
{
    AUTO(report) r = {0};

    k->fill(&r);
    report_finish(&r);
    out->ceiling = (size_t) 1 << 30;
    f->write(&k->options, &r, out);
    if (out->full)
        abort();
}

static bool file_read(const char *path, struct str *out)
{
    char buffer[4096];
    FILE *f = fopen(path, "rb");

    if (!f)
        return false;
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, f)) > 0;)
        str_addn(out, buffer, n);
    fclose(f);
    return true;
}

static void file_write(const char *path, const struct str *text)
{
    FILE *f = fopen(path, "wb");

    if (!f || fwrite(str_text(text), 1, text->len, f) != text->len || fclose(f) != 0) {
        perror(path);
        abort();
    }
}

static void test_golden(void **state)
{
    const char *source = getenv("PHASEGATE_SRC"), *bless = getenv("PHASEGATE_BLESS");

    (void) state;
    assert_non_null(source);
    for (int i = 0; i < N_REPORTS; i++)
        for (const struct report_format *f = report_formats; f->name && reports[i].is_golden; f++) {
            AUTO(str) path = {0}, text = {0}, held = {0};

            str_addf(&path, "%s/tests/golden/report/%s.%s", source, reports[i].name, f->extension);
            written(&reports[i], f, &text);
            if (bless && strcmp(bless, "1") == 0)
                file_write(str_text(&path), &text);
            if (!file_read(str_text(&path), &held))
                fail_msg("%s isn't there", str_text(&path));
            if (held.len != text.len || memcmp(str_text(&held), str_text(&text), text.len) != 0)
                fail_msg("%s differs: PHASEGATE_BLESS=1 writes it anew\n%s", str_text(&path),
                         str_text(&text));
        }
}

static void test_the_table(void **state)
{
    (void) state;
    for (const struct report_format *f = report_formats; f->name; f++) {
        assert_ptr_equal(report_format_find(f->name), f);
        for (const struct report_format *g = f + 1; g->name; g++)
            assert_string_not_equal(f->extension, g->extension);
    }
    assert_null(report_format_find("xml"));
    assert_null(report_format_find(""));
}

/* Once more gives the same bytes, and what was there before stays. */
static void test_pure(void **state)
{
    (void) state;
    for (const struct report_format *f = report_formats; f->name; f++) {
        AUTO(str) a = {0}, b = {0};

        written(&reports[0], f, &a);
        str_add(&b, "before ");
        written(&reports[0], f, &b);
        assert_memory_equal(str_text(&b), "before ", 7);
        assert_string_equal(str_text(&a), str_text(&b) + 7);
    }
}

/* From where a junit case fails; the others are told beside it. */
static void test_fail_on(void **state)
{
    static const struct {
        enum severity at;
        const char *counts;
    } rows[] = {
        {SEVERITY_OFF, "tests=\"7\" failures=\"1\""},
        {SEVERITY_ERROR, "tests=\"7\" failures=\"1\""},
        {SEVERITY_WARNING, "tests=\"7\" failures=\"2\""},
        {SEVERITY_NOTE, "tests=\"7\" failures=\"3\""},
    };
    static const struct pos at = {"a.yaml", 1, 1};

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(report) r = {0};
        AUTO(str) out = {0};
        struct report_out_options o = {.fail_on = rows[i].at};

        report_add(&r, "old-query-fails", at, "a")->severity = SEVERITY_ERROR;
        report_add(&r, "dml-without-where", at, "b")->severity = SEVERITY_WARNING;
        report_add(&r, "cell-untested", at, "c")->severity = SEVERITY_NOTE;
        report_add(&r, "drop-index-not-concurrent", at, "d")->allowed_because = "small";
        report_finish(&r);
        report_format_find("junit")->write(&o, &r, &out);
        assert_non_null(strstr(str_text(&out), rows[i].counts));
    }
}

static int write_all(const char *folder)
{
    for (int i = 0; i < N_REPORTS; i++)
        for (const struct report_format *f = report_formats; f->name; f++) {
            AUTO(str) path = {0}, text = {0};

            str_addf(&path, "%s/%s.%s", folder, reports[i].name, f->extension);
            written(&reports[i], f, &text);
            file_write(str_text(&path), &text);
        }
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_the_table),
        cmocka_unit_test(test_pure),
        cmocka_unit_test(test_fail_on),
    };

    return argc > 1 ? write_all(argv[1]) : cmocka_run_group_tests(tests, NULL, NULL);
}

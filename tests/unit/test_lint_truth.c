/* The lints against what a server did: tests/data/ddl/verdicts.jsonl, made by measure.py. Once knowing the schema
 * (base.sql and the case's setup, as earlier texts), once with nothing but the statement. */
#include "lint_fixture.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

struct tally {
    int right, hits, false_alarms, misses, undecided,
        open; /* a note or warning says on what it hangs; open: no text can tell */
};

static char *read_file(const char *name)
{
    AUTO(str) path = {0};
    FILE *f;
    char *text;
    long n;

    assert_non_null(getenv("PHASEGATE_SRC"));
    str_addf(&path, "%s/tests/data/ddl/%s", getenv("PHASEGATE_SRC"), name);
    f = fopen(str_text(&path), "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    n = ftell(f);
    rewind(f);
    text = calloc(1, (size_t) n + 1);
    assert_int_equal(fread(text, 1, (size_t) n, f), n);
    fclose(f);
    return text;
}

/* Does it say that rows are read or rewritten under a lock? */
static bool is_about_work(const struct finding *f)
{
    return f->rule->class == RULE_LOCK || f->rule->class == RULE_REWRITE ||
           strcmp(f->rule->id, "not-valid-and-validate-same-transaction") == 0;
}

static void count(struct tally *t, bool alarm, bool dangerous, bool unsure, bool open)
{
    if (alarm == dangerous)
        t->right++;
    if (alarm && dangerous)
        t->hits++;
    else if (alarm)
        t->false_alarms++;
    else if (dangerous && unsure)
        *(open ? &t->open : &t->undecided) += 1;
    else if (dangerous)
        t->misses++;
}

static void lint_case(const json_t *c, const char *base, struct tally *t, struct str *wrong)
{
    AUTO(arena) a = {0};
    AUTO(report) r = {0};
    struct lint_known *k = lint_known_new(&a);
    const char *setup = json_string_value(json_object_get(c, "setup"));
    const char *sql = json_string_value(json_object_get(c, "sql"));
    bool dangerous = json_is_true(json_object_get(c, "dangerous"));
    bool alarm = false, unsure = false;

    if (!base && json_object_get(c, "schema"))
        return; /* what only the schema says */

    if (base)
        lint_known_learn(k, base);
    if (base && setup)
        lint_known_learn(k, setup);
    lint_one(k, &r, "a.sql", sql, 1);
    report_finish(&r);
    for (int i = 0; i < r.n; i++) {
        alarm =
            alarm || (is_about_work(&r.findings[i]) && r.findings[i].severity == SEVERITY_ERROR);
        unsure =
            unsure || (is_about_work(&r.findings[i]) && r.findings[i].severity < SEVERITY_ERROR);
    }
    count(t, alarm, dangerous, unsure, json_object_get(c, "open") != NULL);
    if (alarm != dangerous && (base ? !json_object_get(c, "open") : !unsure))
        str_addf(wrong, "  %s: %s%s%s\n",
                 alarm    ? "false alarm"
                 : unsure ? "undecided"
                          : "missed",
                 setup ? setup : "", setup ? "; " : "", sql);
}

static void lint_all(const char *base, struct tally *t, struct str *wrong, int *n)
{
    char *text = read_file("verdicts.jsonl");

    *n = 0;
    for (char *line = strchr(text, '\n') + 1; *line;) {
        size_t len = strcspn(line, "\n");
        json_t *c = json_loadb(line, len, 0, NULL);

        assert_non_null(c);
        if (!json_is_string(json_object_get(c, "error"))) {
            lint_case(c, base, t, wrong);
            ++*n;
        }
        json_decref(c);
        line += len + (line[len] == '\n');
    }
    free(text);
}

static void show(const char *what, const struct tally *t, int n, const struct str *wrong)
{
    double alarms = t->hits + t->false_alarms,
           dangers = t->hits + t->misses + t->undecided + t->open;

    print_message(
        "%s: %d statements, %d right; precision %.3f, recall %.3f (%d undecided, %d open, %d "
        "missed)\n%s",
        what, n, t->right, alarms > 0 ? t->hits / alarms : 1, dangers > 0 ? t->hits / dangers : 1,
        t->undecided, t->open, t->misses, str_text(wrong));
}

static void test_knowing_the_schema(void **state)
{
    AUTO(str) wrong = {0};
    struct tally t = {0};
    char *base = read_file("base.sql");
    int n;

    (void) state;
    lint_all(base, &t, &wrong, &n);
    free(base);
    show("schema known", &t, n, &wrong);
    assert_true(n >= 700);
    assert_int_equal(t.false_alarms, 0);
    assert_int_equal(t.misses, 0);
    assert_int_equal(t.undecided, 0);
}

static void test_statement_alone(void **state)
{
    AUTO(str) wrong = {0};
    struct tally t = {0};
    int n;

    (void) state;
    lint_all(NULL, &t, &wrong, &n);
    show("statement alone", &t, n, &wrong);
    assert_int_equal(t.false_alarms, 0);
    assert_int_equal(t.misses, 0); /* what it can't know, it says */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_knowing_the_schema),
        cmocka_unit_test(test_statement_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

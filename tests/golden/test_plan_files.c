/* Every file of plans/good loads without a word; every file of plans/bad is refused with the message and
 * at the place that it names: in its last line, "# expect LINE:COL FRAGMENT", or in FILE.expect where the
 * file can't have a comment at its end. Names that start with "project-" are project files.
 *
 * With files as arguments: prints "ok FILE" or "bad FILE" for each, for test_schema_agrees.py.
 */
#include "phasegate/load.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

static bool file_loads(const char *path, const struct str *text, struct problem_list *problems)
{
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    AUTO(arena) arena = {0};

    /* A copy of its size, so that a read past the end is seen. */
    char *bytes = malloc(text->len ? text->len : 1);
    if (!bytes)
        abort();
    memcpy(bytes, str_text(text), text->len);
    bool good;
    if (strncmp(name, "project-", 8) == 0) {
        struct project project;
        good = project_parse(&arena, name, bytes, text->len, &project, problems);
    } else {
        struct plan plan;
        good = plan_parse(&arena, name, bytes, text->len, &plan, problems);
    }
    free(bytes);
    assert_true(good == (problems->n == 0));
    return good;
}

static void show(const struct problem_list *problems)
{
    for (int i = 0; i < problems->n; i++) {
        AUTO(str) line = {0};
        problem_text(&line, &problems->items[i]);
        print_message("  %s\n", str_text(&line));
    }
}

/* "12:5 fragment" */
static bool has_expected(const struct problem_list *problems, const char *name,
                         const char *expected)
{
    const char *space = strchr(expected, ' ');
    AUTO(str) start = {0};

    assert_non_null(space);
    str_addf(&start, "%s:", name);
    if (strncmp(expected, "0:0 ", 4) != 0) {
        str_addn(&start, expected, (size_t) (space - expected));
        if (str_text(&start)[start.len - 1] != ':')
            str_addc(&start, ':');
    }
    for (int i = 0; i < problems->n; i++) {
        AUTO(str) line = {0};
        problem_text(&line, &problems->items[i]);
        if (strncmp(str_text(&line), str_text(&start), start.len) == 0 &&
            strstr(str_text(&line), space + 1))
            return true;
    }
    return false;
}

static bool check_good(const char *path, const char *name)
{
    AUTO(str) text = {0};
    AUTO(problem_list) problems = {0};

    assert_true(file_read(path, &text));
    if (file_loads(path, &text, &problems))
        return true;
    print_message("%s should load:\n", name);
    show(&problems);
    return false;
}

static bool check_bad(const char *path, const char *name)
{
    AUTO(str) text = {0};
    AUTO(str) expected = {0};
    AUTO(str) sidecar = {0};
    AUTO(problem_list) problems = {0};

    assert_true(file_read(path, &text));
    str_addf(&sidecar, "%s.expect", path);
    if (!file_read(str_text(&sidecar), &expected)) {
        static const char mark[] = "# expect ";
        const char *at = strstr(str_text(&text), mark);
        assert_non_null(at);
        str_add(&expected, at + sizeof mark - 1);
    }
    assert_true(expected.len > 1);
    expected.text[strcspn(expected.text, "\n")] = '\0';
    if (file_loads(path, &text, &problems))
        print_message("%s should be refused\n", name);
    else if (has_expected(&problems, name, expected.text))
        return true;
    print_message("%s: expected %s\n", name, expected.text);
    show(&problems);
    return false;
}

static bool has_ending(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n > m && strcmp(s + n - m, end) == 0;
}

static void check_folder(const char *folder, int at_least,
                         bool (*check)(const char *path, const char *name))
{
    const char *source = getenv("PHASEGATE_SRC");
    AUTO(str) dir_path = {0};
    int n = 0, n_failed = 0;

    str_addf(&dir_path, "%s/tests/golden/plans/%s", source ? source : ".", folder);
    DIR *dir = opendir(str_text(&dir_path));
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        AUTO(str) path = {0};
        if (!has_ending(entry->d_name, ".yaml"))
            continue;
        str_addf(&path, "%s/%s", str_text(&dir_path), entry->d_name);
        n++;
        n_failed += !check(str_text(&path), entry->d_name);
    }
    closedir(dir);
    assert_true(n >= at_least);
    assert_int_equal(n_failed, 0);
}

static void good_files_load(void **state)
{
    (void) state;
    check_folder("good", 7, check_good);
}

static void bad_files_are_refused_where_they_say(void **state)
{
    (void) state;
    check_folder("bad", 100, check_bad);
}

static int print_verdicts(int n, char **paths)
{
    for (int i = 0; i < n; i++) {
        AUTO(str) text = {0};
        AUTO(problem_list) problems = {0};
        if (!file_read(paths[i], &text))
            return 1;
        printf("%s %s\n", file_loads(paths[i], &text, &problems) ? "ok" : "bad", paths[i]);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_files_load),
        cmocka_unit_test(bad_files_are_refused_where_they_say),
    };

    return argc > 1 ? print_verdicts(argc - 1, argv + 1)
                    : cmocka_run_group_tests(tests, NULL, NULL);
}

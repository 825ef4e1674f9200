/* Is a file what git has of it? Object names are git's own: `git hash-object --stdin`. */
#include "load_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/phasegate-blob-XXXXXX";
static char path[sizeof folder + 2];

static void put(const char *bytes, size_t n)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static void test_names(void **state)
{
    static const struct {
        const char *bytes, *object;
        bool is_it;
    } rows[] = {
        {"", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391", true},
        {"", "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813", true},
        {"a\n", "78981922613b2afb6025042ff6bd878ac1994e85", true},
        {"a\r\n", "78981922613b2afb6025042ff6bd878ac1994e85", true},
        {"a", "78981922613b2afb6025042ff6bd878ac1994e85", false},
        {"a\r", "78981922613b2afb6025042ff6bd878ac1994e85", false},
        {"a\n\r", "78981922613b2afb6025042ff6bd878ac1994e85", false},
        {"a\r\r\n", "78981922613b2afb6025042ff6bd878ac1994e85", false},
        {"b\n", "78981922613b2afb6025042ff6bd878ac1994e85", false},
        {"a\n", "", false},
        {"a\n", "78981922613b2afb6025042ff6bd878ac1994e8", false},
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        put(rows[i].bytes, strlen(rows[i].bytes));
        if (file_is_blob(path, rows[i].object) != rows[i].is_it)
            fail_msg("row %zu", i);
    }
}

/* What git has of a file in LFS is a pointer. */
static void test_pointers(void **state)
{
    static const struct {
        const char *bytes, *object;
        bool is_it;
    } rows[] = {
        {"a\n", "06388162f42cc058b9a5b34c6214b4bd73402aea", true},
        {"a\n", "469d295f82ec2084853f5bf515753be1216f0c4b4c26ac8e236c0e5802c012ed", true},
        {"b\n", "06388162f42cc058b9a5b34c6214b4bd73402aea", false},
        {"a", "06388162f42cc058b9a5b34c6214b4bd73402aea", false},
        {"a\r\n", "06388162f42cc058b9a5b34c6214b4bd73402aea", false},
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        put(rows[i].bytes, strlen(rows[i].bytes));
        if (file_is_blob(path, rows[i].object) != rows[i].is_it)
            fail_msg("row %zu", i);
    }
}

/* A line end that lies across two reads is one, too. */
static void test_long_ones(void **state)
{
    enum { LINE = 3, LINES = 100000 };
    char *bytes = malloc((size_t) LINE * LINES);

    (void) state;
    assert_non_null(bytes);
    for (int shift = 0; shift < LINE; shift++) {
        size_t n = 0;

        for (int i = 0; i < shift; i++)
            bytes[n++] = 'x';
        while (n + LINE <= (size_t) LINE * LINES) {
            memcpy(bytes + n, "y\r\n", LINE);
            n += LINE;
        }
        put(bytes, n);
        /* Of the same with LF alone. */
        static const char *const objects[LINE] = {"ca68705be8b1037695ea433c7f1bb03531f365ec",
                                                  "8fafe81fb943aff4684b5221ef1dc9f4810a5b74",
                                                  "e99e0440d8fdb5d9686a5901d22a35e65ed0b876"};
        if (!file_is_blob(path, objects[shift]))
            fail_msg("shifted by %d", shift);
    }
    free(bytes);
}

static void test_none(void **state)
{
    (void) state;
    unlink(path);
    assert_false(file_is_blob(path, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"));
    assert_false(file_is_blob(folder, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"));
}

static int setup(void **state)
{
    (void) state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/f", folder);
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_pointers),
        cmocka_unit_test(test_long_ones),
        cmocka_unit_test(test_none),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

/* Images of folders: what comes out is what went in, or nothing. */
#include "shadow/image.h"

#include "phasegate/pg_local.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define KEY "initdb-0123456789abcdef"

static char here[64];
static struct arena texts;

static const char *path(const char *name) { return arena_printf(&texts, "%s/%s", here, name); }

static void write_file(const char *name, const char *bytes, size_t n)
{
    int fd = open(path(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), (ssize_t) n);
    close(fd);
}

static char *read_file(const char *name, size_t *out_n)
{
    int fd = open(path(name), O_RDONLY);
    struct stat st;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    *out_n = (size_t) st.st_size;
    char *bytes = arena_alloc(&texts, *out_n + 1);
    assert_int_equal(read(fd, bytes, *out_n), st.st_size);
    close(fd);
    return bytes;
}

static void same(const char *one, const char *two)
{
    size_t n, m;
    const char *a = read_file(one, &n), *b = read_file(two, &m);

    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
}

static size_t big_n = IMAGE_BLOCK * 3 + 12345;

/* Blocks of zeros before, between and behind others; contents that are alike, and one that is so but for its end. */
static int make(void **state)
{
    (void) state;
    snprintf(here, sizeof here, "/tmp/phasegate-test-XXXXXX");
    assert_non_null(mkdtemp(here));
    assert_int_equal(mkdir(path("data"), 0700), 0);
    assert_int_equal(mkdir(path("data/base"), 0700), 0);
    assert_int_equal(mkdir(path("data/base/1"), 0700), 0);
    assert_int_equal(mkdir(path("data/base/5"), 0700), 0);
    assert_int_equal(mkdir(path("data/empty"), 0700), 0);
    char *big = arena_alloc(&texts, big_n);
    write_file("data/zeros", big, big_n);
    memset(big + IMAGE_BLOCK, 'x', 100);
    write_file("data/base/1/9", big, big_n);
    write_file("data/base/5/9", big, big_n);
    memset(big + 2 * IMAGE_BLOCK, 'y', 100);
    write_file("data/base/5/10", big, big_n);
    big[big_n - 1] = 'z';
    write_file("data/base/1/10", big, big_n);
    write_file("data/nothing", "", 0);
    write_file("data/PG_VERSION", "15\n", 3);
    write_file("data/postmaster.pid", "1\n", 2);
    return 0;
}

static int unmake(void **state)
{
    (void) state;
    pg_local_remove(here);
    arena_free(&texts);
    return 0;
}

static bool keep(const char *key, json_t *about)
{
    return image_keep(path("cache/deep"), key, path("data"), geteuid(), about);
}

static bool restore(const char *to)
{
    struct image im;

    if (!image_open(path("cache/deep"), KEY, &im))
        return false;
    bool good = image_restore(&im, path(to), geteuid(), getegid());
    image_close(&im);
    return good;
}

static void test_what_went_in_comes_out(void **state)
{
    (void) state;
    static const char *const files[] = {"zeros",     "base/1/9", "base/5/9",  "base/5/10",
                                        "base/1/10", "nothing",  "PG_VERSION"};
    struct image im;
    struct stat st;

    assert_false(image_open(path("cache/deep"), KEY, &im));
    assert_true(keep(KEY, json_pack("{s:s}", "name", "\xc3\xa4")));
    assert_true(image_open(path("cache/deep"), KEY, &im));
    assert_string_equal(json_string_value(json_object_get(image_about(&im), "name")), "\xc3\xa4");
    assert_true(image_restore(&im, path("out"), geteuid(), getegid()));
    assert_false(image_restore(&im, path("out"), geteuid(), getegid())); /* never over another */
    image_close(&im);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        same(arena_printf(&texts, "data/%s", files[i]), arena_printf(&texts, "out/%s", files[i]));
    assert_int_equal(access(path("out/empty"), F_OK), 0);
    assert_int_not_equal(access(path("out/postmaster.pid"), F_OK), 0);
    assert_int_equal(stat(path("out/base/1/9"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(path("out/base"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
}

static void test_modes_and_size(void **state)
{
    (void) state;
    static const char *const folders[] = {"cache", "cache/deep", "cache/deep/images"};
    struct stat st;

    assert_true(keep(KEY, NULL));
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        assert_int_equal(stat(path(folders[i]), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
    }
    assert_int_equal(stat(path("cache/deep/images/" KEY ".image"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    /* Two contents of less than four blocks each, the one that two files share without the zeros at its end. */
    assert_true(st.st_size < (off_t) (8 * IMAGE_BLOCK + 65536));
    assert_int_equal(chmod(path("cache/deep/images"), 0777), 0);
    assert_true(restore("out"));
    assert_int_equal(stat(path("cache/deep/images"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
}

/* Wherever it is cut and whichever byte of what counts is another: nothing comes of it. */
static void test_damage_is_seen(void **state)
{
    (void) state;
    const char *name = "cache/deep/images/" KEY ".image";
    size_t n;

    assert_true(keep(KEY, NULL));
    const char *whole = read_file(name, &n);
    char *copy = arena_alloc(&texts, n + 1);
    for (size_t cut = 0; cut < n; cut += n / 23) {
        write_file(name, whole, cut);
        assert_false(restore("out"));
        pg_local_remove(path("out"));
    }
    for (int i = 0; i <= 100; i++) {
        size_t at = (n - 1) * (size_t) i / 100;

        memcpy(copy, whole, n);
        copy[at] ^= 1;
        write_file(name, copy, n);
        if (restore("out")) { /* a hole, or the head's filling: it has to be whole all the same */
            same("data/base/1/10", "out/base/1/10");
            same("data/base/5/9", "out/base/5/9");
            same("data/base/5/10", "out/base/5/10");
        }
        pg_local_remove(path("out"));
    }
    for (size_t at = 0; at + 8 < n; at++)
        if (memcmp(whole + at, "yyyyyyyy", 8) == 0) {
            memcpy(copy, whole, n);
            copy[at] = 'Y';
            write_file(name, copy, n);
            assert_false(restore("out"));
            pg_local_remove(path("out"));
            at += IMAGE_BLOCK;
        }
    write_file(name, whole, n);
    assert_true(restore("out"));
    char more[] = "x";
    memcpy(copy, whole, n);
    copy[n] = *more;
    write_file(name, copy, n + 1);
    pg_local_remove(path("out"));
    assert_false(restore("out"));
    assert_int_not_equal(access(path(name), F_OK), 0); /* it is gone */
}

static void test_an_image_leads_nowhere_else(void **state)
{
    (void) state;
    static const char *const names[] = {"../out", "/tmp/x", "base/../../x", "", "base//x", "./x"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct image im = {.fd = open("/dev/null", O_RDONLY)};
        im.index = json_pack("{s:[], s:[[s, i, i, i, i]]}", "folders", "files", names[i], 0, 0, 0,
                             IMAGE_HEAD);
        assert_false(image_restore(&im, path("out"), geteuid(), getegid()));
        image_close(&im);
        pg_local_remove(path("out"));
        im = (struct image) {.fd = open("/dev/null", O_RDONLY)};
        im.index = json_pack("{s:[s], s:[[s, i, i, i, i]]}", "folders", names[i], "files", "x", 0,
                             0, 0, IMAGE_HEAD);
        assert_false(image_restore(&im, path("out"), geteuid(), getegid()));
        image_close(&im);
        pg_local_remove(path("out"));
    }
}

static void test_links_are_refused(void **state)
{
    (void) state;
    assert_int_equal(symlink("/etc/passwd", path("data/link")), 0);
    assert_false(keep(KEY, json_object()));
    assert_int_equal(unlink(path("data/link")), 0);
    assert_int_equal(symlink("/etc", path("data/base/link")), 0);
    assert_false(keep(KEY, NULL));
    assert_int_equal(unlink(path("data/base/link")), 0);
    assert_int_equal(mkfifo(path("data/fifo"), 0600), 0);
    assert_false(keep(KEY, NULL));
    assert_int_not_equal(access(path("cache/deep/images/new"), F_OK), 0);
    assert_int_equal(unlink(path("data/fifo")), 0);
    assert_true(keep(KEY, NULL));
    /* In the place of an image, and of the folder of images. */
    assert_int_equal(rename(path("cache/deep/images/" KEY ".image"), path("elsewhere")), 0);
    assert_int_equal(symlink(path("elsewhere"), path("cache/deep/images/" KEY ".image")), 0);
    assert_false(restore("out"));
    assert_int_equal(rename(path("cache/deep/images"), path("images")), 0);
    assert_int_equal(symlink(path("images"), path("cache/deep/images")), 0);
    assert_false(keep(KEY, NULL));
}

static void test_somebody_elses_is_no_image(void **state)
{
    (void) state;
    if (geteuid() != 0)
        skip();
    assert_true(keep(KEY, NULL));
    assert_int_equal(chown(path("cache/deep/images/" KEY ".image"), 1, 1), 0);
    assert_false(restore("out"));
    assert_true(keep(KEY, NULL));
    assert_true(restore("out"));
    assert_int_equal(chown(path("cache/deep/images"), 1, 1), 0);
    assert_false(restore("out2"));
    assert_false(keep(KEY, NULL));
    assert_int_equal(chown(path("cache/deep/images"), 0, 0), 0);
    assert_int_equal(chown(path("data/base/1/9"), 1, 1), 0); /* and what it hides isn't kept */
    assert_false(keep(KEY, NULL));
}

/* Whole, and of another server or baseline. */
static void test_anothers_in_its_place_is_no_image(void **state)
{
    (void) state;
    struct image im;

    assert_true(keep(KEY, NULL));
    assert_true(keep("baseline-ffff", NULL));
    assert_int_equal(rename(path("cache/deep/images/baseline-ffff.image"),
                            path("cache/deep/images/" KEY ".image")),
                     0);
    assert_false(image_open(path("cache/deep"), KEY, &im));
    assert_int_not_equal(access(path("cache/deep/images/" KEY ".image"), F_OK), 0);
    assert_true(keep(KEY, NULL));
    assert_true(restore("out"));
}

static void test_the_four_newest_stay(void **state)
{
    (void) state;
    struct timespec when[2] = {{0, UTIME_OMIT}, {0, 0}};
    struct image im;

    for (int i = 0; i < 4; i++) {
        const char *key = arena_printf(&texts, "k%d", i);
        assert_true(keep(key, NULL));
        when[1].tv_sec = 1000 + i;
        assert_int_equal(utimensat(AT_FDCWD,
                                   path(arena_printf(&texts, "cache/deep/images/%s.image", key)),
                                   when, 0),
                         0);
    }
    assert_true(image_open(path("cache/deep"), "k0", &im)); /* its use makes it the newest */
    image_close(&im);
    assert_true(keep("k4", NULL));
    for (int i = 0; i < 5; i++) {
        bool is_there = image_open(path("cache/deep"), arena_printf(&texts, "k%d", i), &im);
        assert_int_equal(is_there, i != 1);
        if (is_there)
            image_close(&im);
    }
}

static void test_one_writes_at_a_time(void **state)
{
    (void) state;
    assert_true(keep(KEY, NULL));
    image_forget(path("cache/deep"), KEY);
    int lock = open(path("cache/deep/images/lock"), O_RDWR);
    assert_int_equal(flock(lock, LOCK_EX | LOCK_NB), 0);
    assert_false(keep(KEY, NULL));
    assert_false(restore("out"));
    close(lock);
    assert_true(keep(KEY, NULL));
}

/* As on a full disk: the write fails halfway. */
static void test_a_failing_write_leaves_nothing(void **state)
{
    (void) state;
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        struct rlimit limit = {IMAGE_BLOCK * 2, IMAGE_BLOCK * 2};

        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        bool kept = keep(KEY, json_object());
        bool left = access(path("cache/deep/images/new"), F_OK) == 0 ||
                    access(path("cache/deep/images/" KEY ".image"), F_OK) == 0;
        _exit(kept ? 1 : left ? 2 : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_too_large_is_not_kept(void **state)
{
    (void) state;
    int fd = open(path("data/large"), O_WRONLY | O_CREAT, 0600);

    assert_int_equal(ftruncate(fd, (off_t) IMAGE_MAX_BYTES + 1), 0);
    assert_false(keep(KEY, NULL));
    assert_int_not_equal(access(path("cache/deep/images/new"), F_OK), 0);
    close(fd);
}

static void test_no_folder_is_no_error(void **state)
{
    (void) state;
    write_file("file", "x", 1);
    assert_false(image_keep(path("file/below"), KEY, path("data"), geteuid(), json_object()));
    assert_false(image_keep("/proc/nothing/here", KEY, path("data"), geteuid(), NULL));
    assert_false(image_keep(path("c"), KEY, path("not there"), geteuid(), NULL));
    image_forget("/proc/nothing/here", KEY);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_what_went_in_comes_out),
                                       TEST(test_modes_and_size),
                                       TEST(test_damage_is_seen),
                                       TEST(test_an_image_leads_nowhere_else),
                                       TEST(test_links_are_refused),
                                       TEST(test_somebody_elses_is_no_image),
                                       TEST(test_anothers_in_its_place_is_no_image),
                                       TEST(test_the_four_newest_stay),
                                       TEST(test_one_writes_at_a_time),
                                       TEST(test_a_failing_write_leaves_nothing),
                                       TEST(test_too_large_is_not_kept),
                                       TEST(test_no_folder_is_no_error)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The host port and the clock: files that are old or new and never half, processes that leave
 * nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "phasegate/io.h"

struct rig {
    struct interrupt interrupt;
    struct clock *clock;
    struct host *host;
    struct arena a;
    struct err err;
    char folder[64];
};

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof *r);

    strcpy(r->folder, "/tmp/phasegate-host.XXXXXX");
    assert_non_null(mkdtemp(r->folder));
    r->clock = clock_system(&r->interrupt);
    r->host = host_posix(r->clock, &r->interrupt);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;

    assert_int_equal(system(arena_printf(&r->a, "rm -rf %s", r->folder)), 0);
    host_posix_free(r->host);
    clock_system_free(r->clock);
    arena_free(&r->a);
    err_clear(&r->err);
    free(r);
    return 0;
}

static const char *path_of(struct rig *r, const char *name)
{
    return arena_printf(&r->a, "%s/%s", r->folder, name);
}

static char *content(struct rig *r, const char *path)
{
    AUTO(str) text = {0};

    assert_true(r->host->ops->read_file(r->host, path, 1 << 20, &text, &r->err));
    return arena_strdup(&r->a, str_text(&text));
}

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return (int) (st.st_mode & 0777);
}

static long files_in(struct rig *r)
{
    FILE *f = popen(arena_printf(&r->a, "ls -A %s | wc -l", r->folder), "r");
    long n = -1;

    assert_int_equal(fscanf(f, "%ld", &n), 1);
    pclose(f);
    return n;
}

static void has(const struct str *text, const char *part)
{
    if (!strstr(str_text(text), part))
        fail_msg("\"%s\" is not in \"%s\"", part, str_text(text));
}

/* Writes fail beyond this size as on a full disk: first short, then with an error. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* ---- files ----------------------------------------------------------------------------------- */

/* Without a writer, or a reader, a FIFO would be waited for. */
static void test_what_is_no_file(void **state)
{
    struct rig *r = *state;
    const char *fifo = path_of(r, "fifo"), *link = path_of(r, "link"), *folder = path_of(r, "d");
    AUTO(str) text = {0};
    struct stat st;
    char got[8] = "";
    int reader;

    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(symlink(fifo, link), 0);
    alarm(20);
    assert_false(r->host->ops->read_file(r->host, link, 10, &text, &r->err));
    assert_true(err_is(&r->err, ERR_INPUT));
    has(&r->err.message, "isn't a regular file");
    assert_false(r->host->ops->read_file(r->host, "/dev/zero", 1 << 20, &text, &r->err));
    has(&r->err.message, "isn't a regular file");
    assert_false(r->host->ops->write_atomic(r->host, link, "new", 3, 0644, &r->err));
    assert_int_equal(err_exit_code(&r->err), 2);
    has(&r->err.message, "nobody reads");
    assert_false(r->host->ops->write_atomic(r->host, folder, "new", 3, 0644, &r->err));
    assert_int_equal(err_exit_code(&r->err), 2);
    reader = open(fifo, O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    assert_true(r->host->ops->write_atomic(r->host, link, "new", 3, 0644, &r->err));
    assert_int_equal(read(reader, got, sizeof got), 3);
    assert_string_equal(got, "new");
    close(reader);
    alarm(0);
    assert_true(lstat(fifo, &st) == 0 && S_ISFIFO(st.st_mode));
    assert_true(lstat(link, &st) == 0 && S_ISLNK(st.st_mode));
    assert_int_equal(files_in(r), 3);
}

static void test_read(void **state)
{
    struct rig *r = *state;
    const char *path = path_of(r, "f");
    AUTO(str) text = {0};

    put(path, "12345");
    assert_string_equal(content(r, path), "12345");
    assert_true(r->host->ops->read_file(r->host, path, 5, &text, &r->err));
    assert_string_equal(str_text(&text), "12345");
    assert_false(r->host->ops->read_file(r->host, path, 4, &text, &r->err));
    assert_int_equal(r->err.kind, ERR_INPUT);
    has(&r->err.message, path);
    assert_string_equal(str_text(&text), "12345"); /* untouched */
    assert_false(r->host->ops->read_file(r->host, path_of(r, "none"), 9, &text, &r->err));
    assert_int_equal(r->err.kind, ERR_INPUT);
    assert_false(r->host->ops->read_file(r->host, r->folder, 9, &text, &r->err));
    assert_int_equal(r->err.kind, ERR_INPUT);
    assert_true(r->host->ops->file_exists(r->host, path));
    assert_false(r->host->ops->file_exists(r->host, path_of(r, "none")));
}

static bool write_text(struct rig *r, const char *path, const char *text, int mode)
{
    return r->host->ops->write_atomic(r->host, path, text, strlen(text), mode, &r->err);
}

static void test_write_atomic(void **state)
{
    struct rig *r = *state;
    const char *path = path_of(r, "f"), *link = path_of(r, "link");
    struct stat st;

    assert_true(write_text(r, path, "one", 0600));
    assert_int_equal(mode_of(path), 0600);
    assert_true(write_text(r, path, "two", 0644));
    assert_int_equal(mode_of(path), 0644);
    assert_string_equal(content(r, path), "two");
    assert_int_equal(symlink("f", link), 0);
    assert_true(write_text(r, link, "three", 0644));
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_string_equal(content(r, path), "three");
    assert_int_equal(files_in(r), 2); /* nothing temporary stays */
    assert_false(write_text(r, path_of(r, "none/f"), "x", 0600));
    assert_int_equal(r->err.kind, ERR_CONFIG);
}

static void test_write_atomic_where_nothing_is_yet(void **state)
{
    struct rig *r = *state;
    const char *link = path_of(r, "first"), *far = path_of(r, "far");
    struct stat st;

    assert_int_equal(symlink("second", link), 0);
    assert_int_equal(symlink("third", path_of(r, "second")), 0);
    assert_true(write_text(r, link, "one", 0644));
    assert_true(lstat(link, &st) == 0 && S_ISLNK(st.st_mode));
    assert_true(lstat(path_of(r, "second"), &st) == 0 && S_ISLNK(st.st_mode));
    assert_true(lstat(path_of(r, "third"), &st) == 0 && S_ISREG(st.st_mode));
    assert_int_equal(symlink("nowhere/x", far), 0);
    assert_false(write_text(r, far, "one", 0644));
    assert_true(lstat(far, &st) == 0 && S_ISLNK(st.st_mode));
}

static void test_write_atomic_on_a_full_disk(void **state)
{
    struct rig *r = *state;
    const char *path = path_of(r, "f");
    bool done;

    assert_true(write_text(r, path, "old", 0600));
    limit_files(4);
    done = write_text(r, path, "new and longer", 0600);
    limit_files(RLIM_INFINITY);
    assert_false(done);
    assert_int_equal(r->err.kind, ERR_UNREACHABLE);
    has(&r->err.message, path);
    assert_string_equal(content(r, path), "old");
    assert_int_equal(files_in(r), 1);
}

static void test_write_quick(void **state)
{
    struct rig *r = *state;
    const char *path = path_of(r, "f");

    assert_true(r->host->ops->write_quick(r->host, path, "one", 3, 0600, &r->err));
    assert_int_equal(mode_of(path), 0600);
    limit_files(4);
    assert_false(r->host->ops->write_quick(r->host, path, "new and longer", 14, 0600, &r->err));
    limit_files(RLIM_INFINITY);
    has(&r->err.message, path);
    assert_string_equal(content(r, path), "one");
    assert_int_equal(files_in(r), 1);
}

static bool append(struct rig *r, const char *path, const char *line)
{
    return r->host->ops->append_durable(r->host, path, line, &r->err);
}

static void test_append(void **state)
{
    struct rig *r = *state;
    const char *path = path_of(r, "state/deep/journal");

    assert_true(append(r, path, "one"));
    assert_true(append(r, path, "two"));
    assert_string_equal(content(r, path), "one\ntwo\n");
    assert_int_equal(mode_of(path), 0600);
    assert_int_equal(mode_of(path_of(r, "state")), 0700);
    assert_int_equal(mode_of(path_of(r, "state/deep")), 0700);
    assert_false(append(r, path, "a\nb"));
    assert_int_equal(r->err.kind, ERR_BUG);
    /* A line that a crash left half doesn't swallow the next one. */
    put(path, "one\nhal");
    assert_true(append(r, path, "three"));
    assert_string_equal(content(r, path), "one\nhal\nthree\n");
    put(path_of(r, "file"), "");
    assert_false(append(r, path_of(r, "file/journal"), "x"));
    assert_int_equal(r->err.kind, ERR_CONFIG);
}

static void test_append_on_a_full_disk(void **state)
{
    struct rig *r = *state;
    const char *path = path_of(r, "journal");

    assert_true(append(r, path, "0123456789"));
    for (rlim_t bytes = 11; bytes < 22; bytes++) { /* each place at which the line can be cut */
        bool done;

        limit_files(bytes);
        done = append(r, path, "abcdefghij");
        limit_files(RLIM_INFINITY);
        assert_false(done);
        assert_int_equal(r->err.kind, ERR_UNREACHABLE);
        has(&r->err.message, path);
        has(&r->err.hint, "df -h");
        assert_string_equal(content(r, path), "0123456789\n");
    }
    assert_true(append(r, path, "abcdefghij"));
    assert_string_equal(content(r, path), "0123456789\nabcdefghij\n");
    assert_false(append(r, "/dev/full", "x"));
    assert_int_equal(r->err.kind, ERR_UNREACHABLE);
}

static void test_append_waits_for_others(void **state)
{
    struct rig *r = *state;
    const char *path = path_of(r, "journal");
    int fd, writers = 4;

    for (int i = 0; i < writers; i++) {
        if (fork() == 0) {
            for (int n = 0; n < 25; n++)
                if (!append(r, path,
                            arena_printf(&r->a, "%d-%02d-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", i, n)))
                    _exit(1);
            _exit(0);
        }
    }
    for (int i = 0; i < writers; i++) {
        int status;

        wait(&status);
        assert_int_equal(status, 0);
    }
    assert_int_equal(strlen(content(r, path)), 100 * 38);
    fd = open(path, O_RDONLY);
    flock(fd, LOCK_EX);
    assert_false(append(r, path, "x")); /* and not for ever */
    assert_int_equal(r->err.kind, ERR_UNREACHABLE);
    has(&r->err.message, "locked");
    close(fd);
}

/* ---- processes ------------------------------------------------------------------------------- */

struct outcome {
    bool done;
    int code;
    char *out, *err;
    int64_t ms;
};

static struct outcome run(struct rig *r, const char *const *argv, const char *const *env,
                          int64_t deadline_ms)
{
    AUTO(str) out = {0};
    AUTO(str) errout = {0};
    struct outcome o = {.code = -1};
    int64_t start = clock_mono_ms(r->clock);

    o.done = r->host->ops->run(r->host, argv, env, deadline_ms, &out, &errout, &o.code, &r->err);
    o.ms = clock_mono_ms(r->clock) - start;
    o.out = arena_strdup(&r->a, str_text(&out));
    o.err = arena_strdup(&r->a, str_text(&errout));
    return o;
}

static struct outcome run_sh(struct rig *r, const char *script, int64_t deadline_ms)
{
    const char *const argv[] = {"sh", "-c", script, NULL};

    return run(r, argv, NULL, deadline_ms);
}

static void test_run(void **state)
{
    static const char *const plain[] = {"printf", "%s|", "a b", "$HOME", "*", NULL};
    static const char *const sh[] = {"sh", "-c", "echo $PHASEGATE_T1 $PHASEGATE_T2", NULL};
    static const char *const env[] = {"PHASEGATE_T1=theirs", "PHASEGATE_T3=x", NULL};
    struct rig *r = *state;
    struct outcome o = run(r, plain, NULL, 5000);

    assert_true(o.done);
    assert_int_equal(o.code, 0);
    assert_string_equal(o.out, "a b|$HOME|*|"); /* no shell has seen it */
    o = run_sh(r, "echo out; echo err >&2; exit 3", 5000);
    assert_true(o.done);
    assert_int_equal(o.code, 3);
    assert_string_equal(o.out, "out\n");
    assert_string_equal(o.err, "err\n");
    assert_int_equal(run_sh(r, "kill -9 $$", 5000).code, 137);
    assert_string_equal(run_sh(r, "cat; echo end", 5000).out, "end\n"); /* nothing to read */
    setenv("PHASEGATE_T1", "ours", 1);
    setenv("PHASEGATE_T2", "too", 1);
    assert_string_equal(run(r, sh, env, 5000).out, "theirs too\n");
    static const char *const without[] = {"PHASEGATE_T1", "PHASEGATE_T2=", NULL};
    static const char *const which[] = {"sh", "-c",
                                        "echo ${PHASEGATE_T1-none}/${PHASEGATE_T2-none}", NULL};
    assert_string_equal(run(r, which, without, 5000).out, "none/\n");
    assert_string_equal(run(r, sh, NULL, 5000).out, "ours too\n");
    assert_true(r->host->ops->run(r->host, plain, NULL, 5000, NULL, NULL, NULL, &r->err));
}

/* More than a pipe holds goes in while more than one comes out. */
static void test_run_fed(void **state)
{
    static const char *const cat[] = {"cat", NULL}, *const none[] = {"true", NULL};
    enum { MUCH = 4 << 20 };
    struct rig *r = *state;
    AUTO(str) out = {.ceiling = 2 * MUCH}, empty = {0};
    char *much = arena_alloc(&r->a, MUCH);
    int code = -1;

    for (int i = 0; i < MUCH; i++)
        much[i] = (char) (i * 7);
    assert_true(
        r->host->ops->run_fed(r->host, cat, NULL, much, MUCH, 20000, &out, NULL, &code, &r->err));
    assert_int_equal(code, 0);
    assert_int_equal(out.len, MUCH);
    assert_memory_equal(out.text, much, MUCH);
    assert_true(
        r->host->ops->run_fed(r->host, cat, NULL, "", 0, 5000, &empty, NULL, &code, &r->err));
    assert_int_equal(empty.len, 0);
    /* Who doesn't read it ends no worse. */
    assert_true(
        r->host->ops->run_fed(r->host, none, NULL, much, MUCH, 5000, NULL, NULL, &code, &r->err));
    assert_int_equal(code, 0);
}

static void test_run_cannot_start(void **state)
{
    static const char *const none[] = {"phasegate-no-such-program", NULL};
    static const char *const folder[] = {"/tmp", NULL};
    struct rig *r = *state;

    assert_false(run(r, none, NULL, 5000).done);
    assert_int_equal(r->err.kind, ERR_UNREACHABLE);
    has(&r->err.message, "phasegate-no-such-program");
    has(&r->err.hint, "PATH");
    assert_false(run(r, folder, NULL, 5000).done);
    assert_int_equal(r->err.kind, ERR_UNREACHABLE);
}

/* More than both pipes hold, on both at once, and more than is kept. */
static void test_run_large_output(void **state)
{
    struct rig *r = *state;
    struct outcome o = run_sh(
        r,
        "for i in 1 2 3 4; do head -c 200000 /dev/zero | tr '\\0' x; head -c 200000 /dev/zero | "
        "tr '\\0' y >&2; done; exit 7",
        20000);

    assert_true(o.done);
    assert_int_equal(o.code, 7);
    assert_int_equal(strlen(o.out), 65536);
    assert_int_equal(strlen(o.err), 65536);
    /* Who asks for more gets it. */
    static const char *const zeros[] = {"head", "-c", "200000", "/dev/zero", NULL};
    AUTO(str) all = {.ceiling = 150000};
    assert_true(r->host->ops->run(r->host, zeros, NULL, 5000, &all, NULL, NULL, &r->err));
    assert_int_equal(all.len, 150000);
    assert_true(all.full);
    assert_int_equal(o.err[65535], 'y');
}

static bool is_running(struct rig *r, const char *marker)
{
    return system(arena_printf(&r->a, "ps -eo args | grep -v grep | grep -q '%s'", marker)) == 0;
}

static void test_run_deadline(void **state)
{
    struct rig *r = *state;
    pid_t other = fork();
    struct outcome o;

    if (other == 0) {
        execlp("sleep", "sleep", "31.4159", NULL);
        _exit(127);
    }
    usleep(100 * 1000);
    assert_true(is_running(r, "31.415")); /* the question can be answered with yes */
    kill(other, SIGKILL);
    waitpid(other, NULL, 0);
    o = run_sh(r, "echo begun; sleep 31.4151 & sleep 31.4152", 300);
    assert_false(o.done);
    assert_int_equal(r->err.kind, ERR_UNREACHABLE);
    has(&r->err.message, "longer than 0.3 s");
    assert_string_equal(o.out, "begun\n");
    assert_true(o.ms < 2000);
    assert_false(is_running(r, "31.415")); /* the whole group is gone */
    /* One that doesn't care about TERM. */
    o = run_sh(r, "trap '' TERM; sleep 31.4153; sleep 31.4154", 300);
    assert_false(o.done);
    assert_true(o.ms < 6000);
    assert_false(is_running(r, "31.415"));
}

static void test_run_leaves_no_children(void **state)
{
    struct rig *r = *state;
    struct outcome o = run_sh(r, "sleep 31.4161 & echo quick", 10000);

    assert_true(o.done);
    assert_string_equal(o.out, "quick\n");
    assert_true(o.ms < 3000);
    assert_false(is_running(r, "31.4161"));
}

static void test_run_closes_descriptors(void **state)
{
    struct rig *r = *state;
    int fd = open("/dev/null", O_RDONLY); /* without CLOEXEC, as some library may have */
    struct outcome o = run_sh(r, "ls /proc/self/fd | wc -l", 5000);

    assert_int_equal(atoi(o.out), 4); /* the three, and that of ls itself */
    close(fd);
}

static void *signal_twice(void *arg)
{
    struct rig *r = arg;

    usleep(200 * 1000);
    r->interrupt.signal = SIGTERM;
    r->interrupt.count++;
    usleep(200 * 1000);
    r->interrupt.count++;
    return NULL;
}

static void test_run_is_interrupted(void **state)
{
    struct rig *r = *state;
    pthread_t thread;
    struct outcome o;

    pthread_create(&thread, NULL, signal_twice, r);
    o = run_sh(r, "sleep 31.4171", 0);
    pthread_join(thread, NULL);
    assert_false(o.done);
    assert_int_equal(r->err.kind, ERR_INTERRUPTED);
    assert_int_equal(err_exit_code(&r->err), 143);
    assert_in_range(o.ms, 350, 2000);
    assert_false(is_running(r, "31.4171"));
}

/* ---- names, clock, signals ------------------------------------------------------------------- */

static void test_names(void **state)
{
    struct rig *r = *state;
    char name[256] = "";

    setenv("PHASEGATE_T4", "here", 1);
    assert_string_equal(r->host->ops->env(r->host, "PHASEGATE_T4"), "here");
    assert_null(r->host->ops->env(r->host, "PHASEGATE_UNSET"));
    gethostname(name, sizeof name - 1);
    assert_string_equal(r->host->ops->hostname(r->host), name);
    assert_true(strlen(r->host->ops->user(r->host)) > 0);
    assert_ptr_equal(r->host->ops->user(r->host), r->host->ops->user(r->host));
    assert_int_equal(r->host->ops->pid(r->host), getpid());
    assert_true(r->host->ops->disk_free(r->host, r->folder) > 0);
    assert_int_equal(r->host->ops->disk_free(r->host, path_of(r, "none")), -1);
    assert_true(r->host->ops->disk_size(r->host, r->folder) >
                r->host->ops->disk_free(r->host, r->folder) / 2);
    assert_int_equal(r->host->ops->disk_size(r->host, path_of(r, "none")), -1);
}

static void *signal_soon(void *arg)
{
    struct rig *r = arg;

    usleep(100 * 1000);
    r->interrupt.count++;
    return NULL;
}

static int64_t slept(struct rig *r, int64_t ms)
{
    int64_t start = clock_mono_ms(r->clock);

    clock_sleep_ms(r->clock, ms);
    return clock_mono_ms(r->clock) - start;
}

static void test_clock(void **state)
{
    struct rig *r = *state;
    pthread_t thread;
    uint32_t seen = 0;

    assert_true(clock_wall_ms(r->clock) > 1700000000000);
    assert_in_range(slept(r, 120), 115, 1000);
    assert_in_range(slept(r, 0), 0, 50);
    assert_in_range(slept(r, -5), 0, 50);
    pthread_create(&thread, NULL, signal_soon, r);
    assert_in_range(slept(r, 5000), 50, 1000);
    pthread_join(thread, NULL);
    assert_in_range(slept(r, 120), 115, 1000); /* that signal has been reported */
    r->interrupt.count++;                      /* between the caller's look and the sleep */
    assert_in_range(slept(r, 5000), 0, 50);
    for (int i = 0; i < 8; i++)
        seen |= clock_random(r->clock);
    assert_true(seen != 0);
}

/* In a child: handlers and limits are the process's. */
static void test_signals_are_counted(void **state)
{
    int status;

    (void) state;
    if (fork() == 0) {
        static struct interrupt in;
        struct rlimit core;

        signal(SIGHUP, SIG_IGN); /* nohup */
        io_harden_process();
        interrupt_install(&in);
        raise(SIGHUP);
        if (in.count != 0)
            _exit(1);
        raise(SIGTERM);
        raise(SIGINT);
        if (in.count != 2 || in.signal != SIGTERM)
            _exit(2);
        raise(SIGPIPE);
        raise(SIGXFSZ);
        getrlimit(RLIMIT_CORE, &core);
        _exit(core.rlim_cur == 0 && core.rlim_max == 0 ? 0 : 3);
    }
    wait(&status);
    assert_int_equal(status, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_no_file),
        TEST(test_read),
        TEST(test_write_atomic),
        TEST(test_write_atomic_where_nothing_is_yet),
        TEST(test_write_atomic_on_a_full_disk),
        TEST(test_write_quick),
        TEST(test_append),
        TEST(test_append_on_a_full_disk),
        TEST(test_append_waits_for_others),
        TEST(test_run),
        TEST(test_run_fed),
        TEST(test_run_cannot_start),
        TEST(test_run_large_output),
        TEST(test_run_deadline),
        TEST(test_run_leaves_no_children),
        TEST(test_run_closes_descriptors),
        TEST(test_run_is_interrupted),
        TEST(test_names),
        TEST(test_clock),
        TEST(test_signals_are_counted),
    };

    signal(SIGXFSZ, SIG_IGN); /* a full disk gives an error, and so does the limit then */
    return cmocka_run_group_tests(tests, NULL, NULL);
}

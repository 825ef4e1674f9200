/* Folders of servers of our own: many runs at once, and what killed ones leave. */
#include "phasegate/pg_local.h"
#include "shadow_rig.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define AT_ONCE 10
#define ROUNDS 40

static char parent[64];

static const char *path(const char *name)
{
    return arena_printf(&rig.arena, "%s/%s", parent, name);
}

static void write_file(const char *name, const char *text, mode_t mode)
{
    FILE *f = fopen(path(name), "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path(name), mode), 0);
}

static int set_up(void **state)
{
    (void) state;
    snprintf(parent, sizeof parent, "/tmp/folder-test-XXXXXX");
    assert_non_null(mkdtemp(parent));
    return chmod(parent, 0755);
}

static int tear_down(void **state)
{
    (void) state;
    pg_local_remove(parent);
    arena_free(&rig.arena);
    return 0;
}

/* How often a start failed for another reason than the server that never starts. */
static int start_many(const char *bin)
{
    int failures = 0;

    for (int i = 0; i < ROUNDS; i++) {
        struct pg_local *pg = NULL;
        AUTO(err) err = {0};

        bool good = pg_local_start(&(struct pg_local_options) {.bin_dir = bin, .parent = parent},
                                   &pg, &err);
        if (!good && strstr(str_text(&err.message), "doesn't start"))
            continue;
        failures++;
        fprintf(stderr, "%s\n", str_text(&err.message));
    }
    return failures;
}

/* Each cleans up before it starts, and must leave alone who is just beginning. */
static void test_many_at_once(void **state)
{
    (void) state;
    pid_t child[AT_ONCE];
    int status, failures = 0;

    assert_int_equal(mkdir(path("bin"), 0755), 0);
    write_file("bin/initdb", "#!/bin/sh\nexit 0\n", 0755);
    write_file("bin/postgres", "#!/bin/sh\nexit 1\n", 0755);
    for (int i = 0; i < AT_ONCE; i++)
        if ((child[i] = fork()) == 0)
            _exit(start_many(path("bin")) > 0);
    for (int i = 0; i < AT_ONCE; i++)
        failures += waitpid(child[i], &status, 0) == child[i] && status != 0;
    assert_int_equal(failures, 0);
    assert_int_equal(pg_local_clean(parent), 0);
}

/* ctime can't be set back: they are as old as they are. */
static void test_young_ones_stay(void **state)
{
    (void) state;
    assert_int_equal(mkdir(path("phasegate-pg-empty"), 0700), 0);
    assert_int_equal(mkdir(path("phasegate-new-half"), 0700), 0);
    assert_int_equal(pg_local_clean(parent), 0);
    assert_int_equal(access(path("phasegate-pg-empty"), F_OK), 0);
    assert_int_equal(access(path("phasegate-new-half"), F_OK), 0);
}

/* Killed midway a cleaner leaves the lock, and the next one goes on. */
static void test_the_lock_goes_last(void **state)
{
    (void) state;
    int seen = 0;

    for (int i = 0; i < 6; i++) {
        const char *folder = path("phasegate-pg-left");

        assert_int_equal(mkdir(folder, 0700), 0);
        write_file("phasegate-pg-left/owner.lock", "", 0600);
        assert_int_equal(mkdir(path("phasegate-pg-left/data"), 0700), 0);
        for (int k = 0; k < 400; k++)
            write_file(arena_printf(&rig.arena, "phasegate-pg-left/data/%d", k), "", 0600);
        pid_t pid = fork();
        if (pid == 0)
            _exit(pg_local_clean(parent));
        usleep((useconds_t) (i + 1) * 2000);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        seen += access(path("phasegate-pg-left/data"), F_OK) == 0 ||
                access(path("phasegate-pg-left/owner.lock"), F_OK) == 0;
        (void) !pg_local_clean(parent);
        assert_int_not_equal(access(folder, F_OK), 0);
    }
    assert_true(seen > 0); /* else it was too slow for anything to be seen */
}

/* A server that was killed outright leaves its shared memory; who cleans its folder removes it. */
static void test_shared_memory(void **state)
{
    (void) state;
    AUTO(str) text = {0};
    char line[256];
    int ends[2], id = -1;
    long server = 0;
    struct shmid_ds now;

    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct pg_local *pg = NULL;

        GOOD(pg_local_start(&(struct pg_local_options) {.parent = parent}, &pg, &err));
        dprintf(ends[1], "%s", pg_local_data(pg));
        close(ends[1]);
        pause();
        _exit(0);
    }
    close(ends[1]);
    ssize_t got = read(ends[0], line, sizeof line - 1);
    close(ends[0]);
    assert_true(got > 0);
    str_addf(&text, "%.*s/postmaster.pid", (int) got, line);
    FILE *f = fopen(str_text(&text), "r");
    assert_non_null(f);
    for (int i = 1; fgets(line, sizeof line, f) && i <= 7; i++) {
        if (i == 1)
            server = strtol(line, NULL, 10);
        if (i == 7)
            id = atoi(strrchr(line, ' '));
    }
    fclose(f);
    assert_true(server > 1);
    assert_int_equal(shmctl(id, IPC_STAT, &now), 0);
    kill((pid_t) server, SIGKILL);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_int_equal(shmctl(id, IPC_STAT, &now), 0);
    assert_int_equal(pg_local_clean(parent), 1);
    assert_int_not_equal(shmctl(id, IPC_STAT, &now), 0);
}

/* A folder's name may be anything that a socket's may be. */
static void test_odd_names(void **state)
{
    (void) state;
    static const char *const good[] = {"with space", "it's", "back\\slash", "a=b \"c\""};
    static const char *const bad[] = {"a,b", "new\nline"};

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct pg_local *pg = NULL;

        assert_int_equal(mkdir(path(good[i]), 0755), 0);
        GOOD(pg_local_start(&(struct pg_local_options) {.parent = path(good[i])}, &pg, &err));
        assert_int_equal(PQping(pg_local_conninfo(pg, "postgres")), PQPING_OK);
        pg_local_stop(pg);
        assert_int_equal(rmdir(path(good[i])), 0);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct pg_local *pg = NULL;
        AUTO(err) why = {0};

        assert_int_equal(mkdir(path(bad[i]), 0755), 0);
        assert_false(
            pg_local_start(&(struct pg_local_options) {.parent = path(bad[i])}, &pg, &why));
        assert_true(err_is(&why, ERR_CONFIG));
        assert_non_null(strstr(str_text(&why.message), "comma or a control character"));
        assert_int_equal(rmdir(path(bad[i])), 0);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {T(test_many_at_once), T(test_young_ones_stay),
                                       T(test_the_lock_goes_last), T(test_shared_memory),
                                       T(test_odd_names)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

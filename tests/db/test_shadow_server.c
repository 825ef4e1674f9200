/* The shadow's server: one of the user's, one that crashes, one whose owner was killed, two at once. */
#include "phasegate/pg_local.h"
#include "shadow_rig.h"

#include "pgtest.h"

#include <dirent.h>
#include <libpq-fe.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- a server of the user's ---------------------------------------------------------------------- */

static struct pg_local *theirs;

/* It admits its superuser, and others by password. */
static int start_theirs(void **state)
{
    (void) state;
    AUTO(str) path = {0};

    rig.clock = clock_system(NULL);
    GOOD(pg_local_start(&(struct pg_local_options) {0}, &theirs, &err));
    str_addf(&path, "%s/data/pg_hba.conf", pg_local_folder(theirs));
    FILE *file = fopen(str_text(&path), "w");
    assert_non_null(file);
    fputs("local all postgres trust\nlocal all all scram-sha-256\n", file);
    fclose(file);
    const char *at = pg_local_conninfo(theirs, "postgres");
    pgtest_exec(at, "SELECT pg_reload_conf()");
    pgtest_exec(at, "CREATE ROLE existing");
    pgtest_exec(at, "CREATE ROLE strong SUPERUSER");
    pgtest_exec(at, "CREATE TABLE precious (id int)");
    return 0;
}

static int stop_theirs(void **state)
{
    (void) state;
    pg_local_stop(theirs);
    clock_system_free(rig.clock);
    rig = (struct rig) {0};
    return 0;
}

static void begin_there(void)
{
    static const char *const roles[] = {"app", "existing", NULL};
    struct shadow_options o = {
        .url = pg_local_conninfo(theirs, "postgres"), .roles = roles, .clock = rig.clock};

    GOOD(shadow_begin(&o, &rig.shadow, &err));
    GOOD(shadow_ready(rig.shadow, &err));
}

static void end_there(void)
{
    shadow_end(rig.shadow);
    rig.shadow = NULL;
}

static void assert_nothing_left(void)
{
    const char *at = pg_local_conninfo(theirs, "postgres");

    assert_int_equal(pgtest_count(at, "SELECT count(*) FROM pg_database"), 3);
    char *roles = pgtest_value(at, "SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles "
                                   "WHERE oid >= 16384");
    assert_string_equal(roles, "existing strong");
    free(roles);
}

static void test_their_server(void **state)
{
    (void) state;
    const char *root = pg_local_folder(theirs);
    AUTO(str) path = {0};
    AUTO(err) why = {0};

    begin_there();
    str_addf(&path, "%s/dump.sql", root);
    FILE *file = fopen(str_text(&path), "w");
    fputs("CREATE ROLE made LOGIN;\n"
          "ALTER ROLE strong NOSUPERUSER;\n"
          "CREATE TABLE t (id int);\nALTER TABLE t OWNER TO postgres;\n"
          "CREATE TABLE u (id int);\nALTER TABLE u OWNER TO made;\n"
          "CREATE TABLE v (id int);\nALTER TABLE v OWNER TO strong;\n"
          "GRANT SELECT ON t TO app;\n",
          file);
    fclose(file);
    const char *name = rig_database(NULL);
    GOOD(shadow_load(rig.shadow, name, root, "dump.sql", &err));
    struct wire *w = rig_open(&(struct wire_options) {.database = name});
    assert_string_equal(rig_value(w, "SHOW is_superuser"), "off");
    assert_string_equal(rig_value(w, "SHOW lc_messages"), "C");
    assert_string_equal(rig_value(w, "SHOW temp_file_limit"), "1GB");
    rig_fails(w, "42501", "SET temp_file_limit = -1");
    assert_string_equal(rig_value(w, "SELECT current_user"), shadow_owner(rig.shadow));
    rig_ok(w, "ALTER TABLE t ADD COLUMN x int");
    rig_ok(w, "ALTER TABLE u ADD COLUMN x int");
    rig_ok(w, "ALTER TABLE v ADD COLUMN x int");
    rig_ok(w, "CREATE EXTENSION citext");
    rig_fails(w, "42501", "SET ROLE postgres");
    rig_fails(w, "42501", "SET ROLE strong");
    rig_fails(w, "42501", "DROP DATABASE postgres");
    wire_close(w);

    w = rig_open(&(struct wire_options) {.database = name, .role = "app"});
    assert_string_equal(rig_value(w, "SELECT current_user"), "app");
    assert_string_equal(rig_value(w, "SHOW temp_file_limit"), "1GB");
    rig_ok(w, "TABLE t");
    rig_fails(w, "42501", "TABLE u");
    rig_ok(w, "RESET ROLE");
    assert_string_equal(rig_value(w, "SELECT current_user"), "app");
    rig_ok(w, "SET ROLE NONE");
    rig_fails(w, "42501", "TABLE u");
    rig_fails(w, "42501", "SET ROLE postgres");
    rig_fails(w, "42501", "SET SESSION AUTHORIZATION postgres");
    wire_close(w);
    assert_false(wire_open(rig.shadow, &(struct wire_options) {.database = name, .role = "strong"},
                           &w, &why));
    assert_int_equal(why.kind, ERR_INPUT);
    assert_false(wire_open(
        rig.shadow, &(struct wire_options) {.database = name, .role = "postgres"}, &w, &why));
    /* Somebody's, whatever it may. */
    err_clear(&why);
    assert_false(wire_open(
        rig.shadow, &(struct wire_options) {.database = name, .role = "existing"}, &w, &why));
    assert_int_equal(why.kind, ERR_INPUT);
    const char *copy = rig_database(name);
    w = rig_open(&(struct wire_options) {.database = copy, .role = "app"});
    rig_ok(w, "SELECT 1");
    wire_close(w);
    GOOD(shadow_drop(rig.shadow, name, &err));
    end_there();
    assert_nothing_left();
    char *super = pgtest_value(pg_local_conninfo(theirs, "postgres"),
                               "SELECT rolsuper FROM pg_roles WHERE rolname = 'strong'");
    assert_string_equal(super, "t");
    free(super);
}

static void test_two_runs_on_their_server(void **state)
{
    (void) state;
    struct shadow *first;

    begin_there();
    first = rig.shadow;
    const char *name = rig_database(NULL);
    begin_there();
    GOOD(shadow_database(rig.shadow, name, NULL, &err));
    end_there();
    rig.shadow = first;
    struct wire *w = rig_open(&(struct wire_options) {.database = name, .role = "app"});
    rig_ok(w, "SELECT 1");
    wire_close(w);
    end_there();
    assert_nothing_left();
}

static void test_a_dead_run_is_cleaned_up(void **state)
{
    (void) state;
    const char *at = pg_local_conninfo(theirs, "postgres");
    pid_t pid = fork();

    if (pid == 0) {
        begin_there();
        struct wire *w =
            rig_open(&(struct wire_options) {.database = rig_database(NULL), .role = "app"});
        rig_ok(w, "SELECT 1");
        kill(getpid(), SIGKILL);
    }
    waitpid(pid, NULL, 0);
    assert_int_equal(pgtest_count(at, "SELECT count(*) FROM pg_database"), 4);
    for (int i = 0; i < 100; i++) {
        if (pgtest_count(at, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE "
                             "'phasegate%'") == 0)
            break;
        usleep(20000);
    }
    begin_there();
    assert_int_equal(pgtest_count(at, "SELECT count(*) FROM pg_database"), 3);
    end_there();
    assert_nothing_left();
}

static void test_their_user_is_too_weak(void **state)
{
    (void) state;
    const char *at = pg_local_conninfo(theirs, "postgres");
    struct shadow *s;
    AUTO(str) url = {0};
    AUTO(err) why = {0};

    pgtest_exec(at, "CREATE ROLE weak LOGIN PASSWORD 'se-cret'");
    str_addf(&url, "host=%s user=weak password=se-cret dbname=postgres", pg_local_folder(theirs));
    struct shadow_options o = {.url = str_text(&url), .clock = rig.clock};
    GOOD(shadow_begin(&o, &s, &err));
    assert_false(shadow_ready(s, &why));
    assert_int_equal(why.kind, ERR_UNREACHABLE);
    assert_non_null(strstr(str_text(&why.message), "no superuser"));
    err_clear(&why);
    assert_false(shadow_database(s, "x", NULL, &why));
    assert_non_null(strstr(str_text(&why.message), "no superuser"));
    shadow_end(s);
    pgtest_exec(at, "DROP ROLE weak");
    str_clear(&url);
    str_add(&url, "postgresql://u:se-cret@127.0.0.1:1/x");
    o.url = str_text(&url);
    GOOD(shadow_begin(&o, &s, &err));
    assert_false(shadow_ready(s, &why));
    assert_int_equal(why.kind, ERR_UNREACHABLE);
    assert_null(strstr(str_text(&why.detail), "se-cret"));
    shadow_end(s);
}

/* ---- our own ------------------------------------------------------------------------------------- */

static int clock_only(void **state)
{
    (void) state;
    rig.clock = clock_system(NULL);
    return 0;
}

static void test_a_crash_is_survived(void **state)
{
    (void) state;
    struct wire_result r[2];
    AUTO(err) why = {0};

    GOOD(shadow_begin(&(struct shadow_options) {.clock = rig.clock}, &rig.shadow, &err));
    const char *name = rig_database(NULL);
    struct wire *w = rig_open(&(struct wire_options) {.database = name});
    rig_ok(w, "CREATE TABLE t (id int)");
    GOOD(wire_send(w, "SELECT pg_sleep(4)", &err));
    usleep(50000);
    assert_int_equal(kill(wire_pid(w), SIGSEGV), 0);
    bool done = false, good = true;
    while (good && !done)
        good = wire_poll(w, &rig.arena, 100, &done, r, &why);
    assert_false(good);
    assert_int_equal(why.kind, ERR_CONNECTION_LOST);
    wire_close(w);
    w = rig_open(&(struct wire_options) {.database = name});
    rig_ok(w, "TABLE t");
    wire_close(w);
    rig_database(name);
    shadow_end(rig.shadow);
    rig.shadow = NULL;
}

static void test_two_at_once(void **state)
{
    (void) state;
    struct shadow *two[2];
    struct wire *w[2];

    for (int i = 0; i < 2; i++)
        GOOD(shadow_begin(&(struct shadow_options) {.clock = rig.clock}, &two[i], &err));
    for (int i = 0; i < 2; i++) {
        GOOD(shadow_database(two[i], "same", NULL, &err));
        GOOD(wire_open(two[i], &(struct wire_options) {.database = "same"}, &w[i], &err));
        rig_ok(w[i], "CREATE TABLE t (id int)");
    }
    wire_close(w[0]);
    shadow_end(two[0]);
    rig_ok(w[1], "TABLE t");
    wire_close(w[1]);
    shadow_end(two[1]);
}

static int count_folders(const char *parent)
{
    DIR *dir = opendir(parent);
    int n = 0;

    assert_non_null(dir);
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir))
        n += strncmp(e->d_name, "phasegate-pg-", 13) == 0;
    closedir(dir);
    return n;
}

static void test_what_a_killed_run_leaves(void **state)
{
    (void) state;
    char parent[] = "/tmp/phasegate-test-XXXXXX";
    int ends[2];
    char text[32] = "";

    assert_non_null(mkdtemp(parent));
    assert_int_equal(chmod(parent, 0755), 0);
    setenv("TMPDIR", parent, 1);
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        GOOD(shadow_begin(&(struct shadow_options) {.clock = rig.clock}, &rig.shadow, &err));
        struct wire *w =
            rig_open(&(struct wire_options) {.database = rig_database(NULL), .superuser = true});
        (void) !write(ends[1], "ready", 5);
        rig_exec(w, "SELECT pg_sleep(4)");
        _exit(1);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], text, sizeof text - 1), 5);
    close(ends[0]);
    assert_int_equal(count_folders(parent), 1);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    GOOD(shadow_begin(&(struct shadow_options) {.clock = rig.clock}, &rig.shadow, &err));
    GOOD(shadow_ready(rig.shadow, &err));
    assert_int_equal(count_folders(parent), 1);
    shadow_end(rig.shadow);
    rig.shadow = NULL;
    assert_int_equal(count_folders(parent), 0);
    unsetenv("TMPDIR");
    assert_int_equal(rmdir(parent), 0);
}

/* Nothing waits for a server when a signal has come. */
static void test_a_signal_ends_a_statement(void **state)
{
    (void) state;
    struct interrupt interrupt = {0};
    struct wire_result r;
    struct shadow *s;
    struct wire *w;
    bool done = false;
    AUTO(err) why = {0};

    GOOD(shadow_begin(&(struct shadow_options) {.clock = rig.clock, .interrupt = &interrupt}, &s,
                      &err));
    GOOD(shadow_database(s, "d", NULL, &err));
    GOOD(wire_open(s, &(struct wire_options) {.database = "d"}, &w, &err));
    GOOD(wire_send(w, "SELECT pg_sleep(4)", &err));
    interrupt.signal = SIGTERM;
    interrupt.count = 1;
    int64_t start = clock_mono_ms(rig.clock);
    assert_false(wire_poll(w, &rig.arena, 3000, &done, &r, &why));
    assert_true(clock_mono_ms(rig.clock) - start < 1000);
    assert_int_equal(why.kind, ERR_INTERRUPTED);
    assert_int_equal(err_exit_code(&why), 143);
    wire_close(w);
    shadow_end(s);
}

static int no_server(void **state)
{
    clock_system_free(rig.clock);
    rig.clock = NULL;
    return rig_free_texts(state);
}

#define THEIRS(name) cmocka_unit_test_teardown(test_##name, rig_free_texts)
#define OURS(name) cmocka_unit_test_setup_teardown(test_##name, clock_only, no_server)

int main(void)
{
    const struct CMUnitTest on_theirs[] = {
        THEIRS(their_server),
        THEIRS(two_runs_on_their_server),
        THEIRS(a_dead_run_is_cleaned_up),
        THEIRS(their_user_is_too_weak),
    };
    const struct CMUnitTest on_ours[] = {
        OURS(a_crash_is_survived),
        OURS(two_at_once),
        OURS(what_a_killed_run_leaves),
        OURS(a_signal_ends_a_statement),
    };
    int failed = cmocka_run_group_tests(on_theirs, start_theirs, stop_theirs);

    return failed + cmocka_run_group_tests(on_ours, NULL, NULL);
}

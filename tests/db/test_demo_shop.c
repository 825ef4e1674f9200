/* The example project, the simulator and the throwaway PostgreSQL that `phasegate demo` is made of.
 *
 * The plan's phases are carried out by hand here, with the plan's own SQL, so that what's tested is that
 * the example's statements work in every world in which their release may be live, and that the
 * simulator notices when they don't. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first. */
#include <cmocka.h>

#include "demo/app_sim_int.h"
#include "demo/shop.h"
#include "flag_client.h"
#include "pgtest.h"
#include "phasegate/generate.h"
#include "phasegate/pg_local.h"

#include <libpq-fe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define READ_FLAG "accounts-balance-read"
#define WRITE_FLAG "accounts-balance-write"

static const char *const versions[] = {"1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0"};
enum { RELEASES = 6, INSTANCES = 3 };

struct shop {
    struct str folder;
    struct plan_set set;
    const struct plan *plan;
    struct arena arena;
    struct statements statements[RELEASES];
    struct app_release releases[RELEASES];
    struct pg_local *pg;
    const char *conninfo;
    char *state_folder;
    struct flag_server *flags;
    struct app_sim *sim;
};

static void pause_ms(int ms)
{
    nanosleep(&(struct timespec) {ms / 1000, ms % 1000 * 1000000L}, NULL);
}

static void load_project(struct shop *s)
{
    AUTO(problem_list) problems = {0};
    AUTO(err) err = {0};

    if (!shop_folder(&s->folder, &err) ||
        !plan_set_load(str_text(&s->folder), NULL, &s->set, &problems, &err))
        fail_msg("%s", str_text(&err.message));
    assert_int_equal(s->set.n_plans, 1);
    s->plan = &s->set.plans[0];
    for (int i = 0; i < RELEASES; i++) {
        const struct release *r = &s->set.project.releases[i];
        enum param_style style;

        assert_string_equal(r->version.s, versions[i]);
        assert_true(param_style_from_word(r->params.s, &style));
        if (!statements_load(&s->arena, str_text(&s->folder), &r->statements, style,
                             &s->statements[i], &problems, &err))
            fail_msg("%s", str_text(&err.message));
        s->releases[i] = (struct app_release) {versions[i], &s->statements[i]};
    }
}

static int set_up(void **state)
{
    struct shop *s = calloc(1, sizeof *s);
    struct shop_size size = {.customers = 50, .accounts = 200, .orders = 400};
    AUTO(err) err = {0};
    AUTO(str) path = {0};

    *state = s;
    load_project(s);
    s->state_folder = test_folder();
    str_addf(&path, "%s/flags.json", s->state_folder);
    struct flag_server_options o = {.state_path = str_text(&path), .admin_token = ADMIN_TOKEN};
    if (!flag_server_start(&o, &s->flags, &err) ||
        !pg_local_start(&(struct pg_local_options) {0}, &s->pg, &err) ||
        !shop_create_database(pg_local_conninfo(s->pg, "postgres"), "shop", &err))
        fail_msg("%s\n%s", str_text(&err.message), str_text(&err.detail));
    s->conninfo = pg_local_conninfo(s->pg, "shop");
    if (!shop_fill(s->conninfo, str_text(&s->folder), &size, NULL, &err))
        fail_msg("%s", str_text(&err.message));
    return 0;
}

static int tear_down(void **state)
{
    struct shop *s = *state;

    app_sim_stop(s->sim, NULL);
    flag_server_stop(s->flags);
    pg_local_stop(s->pg);
    test_folder_remove(s->state_folder);
    plan_set_free(&s->set);
    arena_free(&s->arena);
    str_free(&s->folder);
    free(s);
    return 0;
}

static void start_traffic_with(struct shop *s, int release, const char *flag_url)
{
    AUTO(err) err = {0};
    struct app_sim_options o = {
        .conninfo = s->conninfo,
        .flag_url = flag_url,
        .instances = INSTANCES,
        .release = &s->releases[release],
        .customers = 50,
        .accounts = 200,
        .think_ms = 2,
        .poll_ms = 50,
        .seed = 7,
    };

    if (!app_sim_start(&o, &s->sim, &err))
        fail_msg("%s: %s", str_text(&err.message), str_text(&err.detail));
}

static void start_traffic(struct shop *s, int release)
{
    start_traffic_with(s, release, flag_server_url(s->flags));
}

/* One instance after the other: N-1 and N serve side by side. */
static void deploy(struct shop *s, int release)
{
    AUTO(err) err = {0};

    for (int i = 0; i < INSTANCES; i++) {
        if (!app_sim_set_release(s->sim, i, &s->releases[release], &err))
            fail_msg("%s: %s", str_text(&err.message), str_text(&err.detail));
        pause_ms(60);
    }
}

static void check_no_failures(struct shop *s, const char *when)
{
    AUTO(app_sim_stats) stats = {0};

    pause_ms(150);
    app_sim_snapshot(s->sim, &stats);
    if (stats.failed > 0)
        fail_msg("%s: %ld of %ld requests failed; %s %s %s: %s", when, (long) stats.failed,
                 (long) stats.requests, stats.failures[0].release, stats.failures[0].statement,
                 stats.failures[0].sqlstate, stats.failures[0].message);
    assert_true(stats.window_requests > 0);
}

static const struct app_sim_flag *flag_of(const struct app_sim_stats *stats, const char *key)
{
    static const struct app_sim_flag none;

    for (int i = 0; i < stats->n_flags; i++)
        if (strcmp(stats->flags[i].key, key) == 0)
            return &stats->flags[i];
    return &none;
}

static void flag_to(struct shop *s, const char *key, int percent)
{
    flag_set_percent(flag_server_url(s->flags), key, percent);
    pause_ms(120);
}

/* ---- the phases, by hand -------------------------------------------------------------------------- */

static void run_steps(struct shop *s, enum phase phase)
{
    const struct step_list *steps = &s->plan->phases[phase].steps;

    assert_true(steps->n > 0);
    for (int i = 0; i < steps->n; i++)
        pgtest_exec(s->conninfo, steps->items[i].sql.s);
}

static void install_sync(struct shop *s, const struct renamed *renamed, int n)
{
    struct sql_list list;

    pgtest_exec(s->conninfo, "CREATE SCHEMA IF NOT EXISTS phasegate");
    sync_install_sql(&s->arena, s->plan, renamed, n, &list);
    for (int i = 0; i < list.n; i++)
        pgtest_exec(s->conninfo, list.items[i]);
}

static void backfill(struct shop *s)
{
    AUTO(str) sql = {0};

    for (int from = 0; from < 2000; from += 20) {
        str_clear(&sql);
        str_addf(&sql,
                 "SET phasegate.backfill = on; UPDATE accounts SET balance_big = balance"
                 " WHERE id > %d AND id <= %d AND balance_big IS DISTINCT FROM balance",
                 from, from + 20);
        pgtest_exec(s->conninfo, str_text(&sql));
    }
}

static void check_in_step(struct shop *s)
{
    const struct check_list *verify = &s->plan->phases[PHASE_WRITE_ACTIVATION].verify;

    for (int i = 0; i < verify->n; i++)
        assert_int_equal(pgtest_count(s->conninfo, verify->items[i].sql.s), 0);
}

static void test_every_phase_with_traffic(void **state)
{
    struct shop *s = *state;
    AUTO(app_sim_stats) stats = {0};
    AUTO(reply) r = {0};

    flag_create(flag_server_url(s->flags), READ_FLAG, 0, "accountId");
    flag_create(flag_server_url(s->flags), WRITE_FLAG, 0, "accountId");
    start_traffic(s, 0);
    check_no_failures(s, "1.0.0 on the baseline");

    run_steps(s, PHASE_EXPAND);
    install_sync(s, NULL, 0);
    check_no_failures(s, "expand");
    deploy(s, 1);
    check_no_failures(s, "1.1.0 deployed");

    deploy(s, 2);
    backfill(s);
    check_in_step(s);
    static const int reads[] = {5, 50, 100};
    for (size_t i = 0; i < 3; i++) {
        flag_to(s, READ_FLAG, reads[i]);
        check_no_failures(s, "dual_read");
    }
    app_sim_snapshot(s->sim, &stats);
    assert_true(flag_of(&stats, READ_FLAG)->on > 0 && flag_of(&stats, READ_FLAG)->off > 0);

    deploy(s, 3);
    flag_to(s, WRITE_FLAG, 10);
    check_no_failures(s, "write_activation at 10 %");
    flag_to(s, WRITE_FLAG, 100);
    check_no_failures(s, "write_activation at 100 %");
    app_sim_snapshot(s->sim, &stats);
    assert_true(flag_of(&stats, WRITE_FLAG)->on > 0);
    check_in_step(s);

    /* A kill: both flags off at once, then on again. */
    int64_t killed = app_now_us() / 1000;
    admin_call("POST", flag_server_url(s->flags), "/admin/v1/flags/" READ_FLAG "/off", NULL, NULL,
               &r);
    assert_int_equal(r.status, 200);
    admin_call("POST", flag_server_url(s->flags), "/admin/v1/flags/" WRITE_FLAG "/off", NULL, NULL,
               &r);
    assert_int_equal(r.status, 200);
    pause_ms(1500);
    app_sim_snapshot(s->sim, &stats);
    int64_t on_before = flag_of(&stats, WRITE_FLAG)->on;
    assert_true(flag_of(&stats, WRITE_FLAG)->last_on_ms - killed < 1500);
    check_no_failures(s, "killed");
    app_sim_snapshot(s->sim, &stats);
    assert_int_equal(flag_of(&stats, WRITE_FLAG)->on, on_before);
    check_in_step(s);
    flag_to(s, WRITE_FLAG, 100);
    flag_to(s, READ_FLAG, 100);

    deploy(s, 4);
    check_no_failures(s, "1.4.0 deployed");
    deploy(s, 5);

    /* contract: the restrictive steps, the soft drop with the trigger following, then the purge */
    const struct step_list *steps = &s->plan->phases[PHASE_CONTRACT].steps;
    for (int i = 0; i < steps->n - 1; i++)
        pgtest_exec(s->conninfo, steps->items[i].sql.s);
    struct column_facts facts = {
        .schema = "public", .table = "accounts", .column = "balance", .not_null = true};
    struct renamed renamed = {"balance", "_drop_20261114_balance"};
    struct sql_list drop, restore, purge, remove;
    AUTO(str) soft = {0};
    soft_drop_column_sql(&s->arena, &facts, renamed.now, &drop, &restore, &purge);
    str_add(&soft, "BEGIN; SET LOCAL lock_timeout = '2s'; ");
    for (int i = 0; i < drop.n; i++)
        str_addf(&soft, "%s; ", drop.items[i]);
    sync_install_sql(&s->arena, s->plan, &renamed, 1, &remove);
    for (int i = 0; i < remove.n; i++)
        str_addf(&soft, "%s; ", remove.items[i]);
    str_add(&soft, "COMMIT");
    pgtest_exec(s->conninfo, str_text(&soft));
    check_no_failures(s, "soft drop");
    /* N-1 may come back during the hold. */
    deploy(s, 4);
    check_no_failures(s, "1.4.0 after the soft drop");
    deploy(s, 5);
    sync_remove_sql(&s->arena, s->plan, &remove);
    for (int i = 0; i < remove.n; i++)
        pgtest_exec(s->conninfo, remove.items[i]);
    for (int i = 0; i < purge.n; i++)
        pgtest_exec(s->conninfo, purge.items[i]);
    check_no_failures(s, "purge");
    deploy(s, 4);
    check_no_failures(s, "1.4.0 after the purge");

    app_sim_stop(s->sim, &stats);
    s->sim = NULL;
    assert_int_equal(stats.failed, 0);
    assert_true(stats.requests > 1000 && stats.p99_us >= stats.p50_us &&
                stats.max_us >= stats.p99_us);
    /* Every order has its items: transactions were whole. */
    assert_int_equal(pgtest_count(s->conninfo,
                                  "SELECT count(*) FROM orders o WHERE (SELECT count(*) FROM"
                                  " order_items i WHERE i.order_id = o.id) <> 2"),
                     0);
    assert_true(pgtest_count(s->conninfo, "SELECT count(*) FROM orders") > 400);
}

/* ---- the simulator can fail -------------------------------------------------------------------------- */

static void test_a_drop_too_early_is_noticed(void **state)
{
    struct shop *s = *state;
    AUTO(app_sim_stats) stats = {0};

    run_steps(s, PHASE_EXPAND);
    install_sync(s, NULL, 0);
    backfill(s);
    start_traffic(s, 2);
    check_no_failures(s, "before the drop");
    pgtest_exec(s->conninfo, "ALTER TABLE accounts DROP COLUMN balance CASCADE");
    pause_ms(500);
    app_sim_stop(s->sim, &stats);
    s->sim = NULL;
    assert_true(stats.failed > 0 && stats.failed < stats.requests);
    assert_true(stats.n_failures > 0);
    int64_t counted = 0;
    bool seen = false;
    for (int i = 0; i < stats.n_failures; i++) {
        counted += stats.failures[i].count;
        seen |= strcmp(stats.failures[i].sqlstate, "42703") == 0 &&
                strcmp(stats.failures[i].statement, "GetBalance") == 0;
        assert_string_equal(stats.failures[i].release, "1.2.0");
    }
    assert_true(seen);
    assert_int_equal(counted, stats.failed);
}

static void test_a_lost_session_is_one_failure(void **state)
{
    struct shop *s = *state;
    AUTO(app_sim_stats) stats = {0};

    start_traffic(s, 0);
    pause_ms(100);
    long ended =
        pgtest_count(s->conninfo, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                                  " WHERE application_name = 'shop/1.0.0'");
    assert_int_equal(ended, INSTANCES);
    pause_ms(600);
    app_sim_stop(s->sim, &stats);
    s->sim = NULL;
    assert_int_equal(stats.failed, INSTANCES);
    assert_true(stats.window_requests > 3 * INSTANCES);
}

static void test_traffic_outlives_the_flag_service(void **state)
{
    struct shop *s = *state;
    AUTO(app_sim_stats) stats = {0};
    AUTO(app_sim_stats) later = {0};

    run_steps(s, PHASE_EXPAND);
    install_sync(s, NULL, 0);
    backfill(s);
    flag_create(flag_server_url(s->flags), READ_FLAG, 100, "accountId");
    flag_create(flag_server_url(s->flags), WRITE_FLAG, 0, "accountId");
    start_traffic(s, 2);
    pause_ms(700);
    flag_server_stop(s->flags);
    s->flags = NULL;
    pause_ms(300);
    app_sim_snapshot(s->sim, &stats);
    pause_ms(500);
    app_sim_snapshot(s->sim, &later);
    assert_int_equal(later.failed, 0);
    assert_true(later.flag_errors > 0);
    /* What was known is kept, */
    assert_true(flag_of(&later, READ_FLAG)->on > flag_of(&stats, READ_FLAG)->on);
    /* and a fresh start knows nothing: off. */
    app_sim_stop(s->sim, NULL);
    s->sim = NULL;
    AUTO(str) gone = {0};
    str_add(&gone, "http://127.0.0.1:1");
    start_traffic_with(s, 2, str_text(&gone));
    pause_ms(300);
    app_sim_stop(s->sim, &later);
    s->sim = NULL;
    assert_int_equal(later.failed, 0);
    assert_int_equal(flag_of(&later, READ_FLAG)->on, 0);
    assert_true(flag_of(&later, READ_FLAG)->off > 0);
}

static void test_start_fails_without_a_database(void **state)
{
    struct shop *s = *state;
    AUTO(err) err = {0};
    struct statements none = {0};
    struct app_release empty = {"0.0.0", &none};
    struct app_sim_options o = {.conninfo = s->conninfo,
                                .flag_url = flag_server_url(s->flags),
                                .instances = 1,
                                .release = &empty,
                                .customers = 1,
                                .accounts = 1};

    assert_false(app_sim_start(&o, &s->sim, &err));
    assert_non_null(strstr(str_text(&err.message), "has no statement \"GetBalance\""));
    o.release = &s->releases[0];
    o.instances = APP_SIM_INSTANCES + 1;
    assert_false(app_sim_start(&o, &s->sim, &err));
    assert_null(s->sim);
}

/* ---- parts ----------------------------------------------------------------------------------------------- */

static void test_histogram(void **state)
{
    (void) state;
    int last = -1;

    for (int64_t us = 0; us < 200000000; us = us < 200 ? us + 1 : us + us / 97) {
        int bucket = app_bucket(us);

        assert_true(bucket >= last && bucket < APP_BUCKETS);
        assert_true(app_bucket_us(bucket) <= us);
        assert_true(us < 64 || (us - app_bucket_us(bucket)) * 31 <= us);
        last = bucket;
    }
}

/* A parent of its own: other servers of this machine aren't this test's. The server's user has to pass. */
static int set_up_parent(void **state)
{
    char *parent = test_folder();

    assert_int_equal(chmod(parent, 0755), 0);
    *state = parent;
    return 0;
}

static int tear_down_parent(void **state)
{
    test_folder_remove(*state);
    return 0;
}

static void test_stopping_leaves_nothing(void **state)
{
    const char *parent = *state;
    struct pg_local *pg = NULL;
    AUTO(err) err = {0};
    AUTO(str) folder = {0};

    if (!pg_local_start(&(struct pg_local_options) {.parent = parent, .durable = true}, &pg, &err))
        fail_msg("%s\n%s", str_text(&err.message), str_text(&err.detail));
    str_set(&folder, pg_local_folder(pg));
    char *on = pgtest_value(pg_local_conninfo(pg, "postgres"), "SHOW fsync");
    assert_string_equal(on, "on");
    free(on);
    char *address = pgtest_value(pg_local_conninfo(pg, "postgres"), "SHOW listen_addresses");
    assert_string_equal(address, "");
    free(address);
    assert_int_equal(pg_local_clean(parent), 0); /* in use: left alone */
    pg_local_stop(pg);
    assert_int_not_equal(access(str_text(&folder), F_OK), 0);
}

static void test_a_killed_owner_is_cleaned_up(void **state)
{
    const char *parent = *state;
    AUTO(err) err = {0};
    char folder[256] = "";
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct pg_local *pg = NULL;

        if (pg_local_start(&(struct pg_local_options) {.parent = parent}, &pg, &err))
            dprintf(ends[1], "%s", pg_local_folder(pg));
        close(ends[1]);
        pause();
        _exit(0);
    }
    close(ends[1]);
    ssize_t got = read(ends[0], folder, sizeof folder - 1);
    close(ends[0]);
    assert_true(got > 0);
    AUTO(str) conninfo = {0};
    str_addf(&conninfo, "host=%s user=postgres dbname=postgres", folder);
    assert_int_equal(PQping(str_text(&conninfo)), PQPING_OK);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_int_equal(access(folder, F_OK), 0);
    assert_int_equal(pg_local_clean(parent), 1);
    assert_int_not_equal(access(folder, F_OK), 0);
    assert_int_equal(PQping(str_text(&conninfo)), PQPING_NO_RESPONSE);
}

static void test_missing_programs(void **state)
{
    const char *parent = *state;
    struct pg_local *pg = NULL;
    AUTO(err) err = {0};

    assert_false(pg_local_start(&(struct pg_local_options) {.bin_dir = "/nonexistent"}, &pg, &err));
    assert_true(err_is(&err, ERR_UNREACHABLE));
    assert_null(pg);
    const char *const bad[] = {"no_such_setting=1", NULL};
    assert_false(
        pg_local_start(&(struct pg_local_options) {.parent = parent, .settings = bad}, &pg, &err));
    assert_true(err_is(&err, ERR_UNREACHABLE));
    assert_non_null(strstr(str_text(&err.detail), "no_such_setting"));
    assert_int_equal(pg_local_clean(parent), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define P(name) cmocka_unit_test_setup_teardown(name, set_up_parent, tear_down_parent)
    const struct CMUnitTest tests[] = {
        T(test_every_phase_with_traffic),
        T(test_a_drop_too_early_is_noticed),
        T(test_a_lost_session_is_one_failure),
        T(test_traffic_outlives_the_flag_service),
        T(test_start_fails_without_a_database),
        cmocka_unit_test(test_histogram),
        P(test_stopping_leaves_nothing),
        P(test_a_killed_owner_is_cleaned_up),
        P(test_missing_programs),
    };

    /* The example is looked for here and above; a build folder may be anywhere. */
    const char *source = getenv("PHASEGATE_SRC");
    if (source && chdir(source) != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

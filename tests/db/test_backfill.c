/* The backfill engine on tables of several shapes: every row once, none left out, whoever works on it and ends when. */
#include "ledger_test.h"
#include "phasegate/backfill_run.h"

#include "sql/sql_embedded.h"

#include <libpq-fe.h>
#include <unistd.h>

struct rig {
    char *conninfo;
    struct db *db;
    struct arena a;
    struct ports ports;
};

static bool open_port(struct ports *p, const char *url, const char *label, bool writable,
                      struct db **out, struct err *err)
{
    (void) p;
    (void) err;
    *out = test_open_url(url, label, writable);
    return true;
}

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    AUTO(err) err = {0};

    r->conninfo = pgtest_new_database();
    r->db = test_open(r->conninfo);
    r->ports = (struct ports) {.clock = test_clock(), .db_open = open_port};
    assert_good(ledger_upgrade(r->db, &err), &err);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;

    db_close(r->db);
    pgtest_drop_database(r->conninfo);
    arena_free(&r->a);
    free(r);
    return 0;
}

static const char *value(struct rig *r, const char *sql)
{
    struct db_rows rows = {0};
    AUTO(err) err = {0};

    assert_good(db_query(r->db, &r->a, sql, &DB_NO_PARAMS, &rows, &err), &err);
    assert_true(rows.n_rows > 0);
    return db_cell(&rows, 0, 0);
}

static void assert_value(struct rig *r, const char *sql, const char *expected)
{
    const char *is = value(r, sql);

    if (!is || strcmp(is, expected) != 0)
        fail_msg("%s: %s, not %s", sql, is ? is : "NULL", expected);
}

static struct pair set_fresh[] = {{.key.s = "fresh", .value.s = "upper(old)"}};

static struct backfill_setup setup_of(struct rig *r)
{
    struct backfill_setup s = {
        .plan = "p",
        .name = "fill",
        .checksum = "c1",
        .spec = {.table = "t", .set = {set_fresh, 1}, .todo = "t.fresh IS NULL"},
        .search_path = "public",
        .workers = 1,
        .max_bad_rows = 0,
        .lock_ms = 500,
        .statement_ms = 30000,
        .url = r->conninfo,
        .label = "phasegate/test/backfill",
        .owner = "here",
        .runner = "r1",
        .ends_job = false,
    };
    knobs_begin(&s.knobs, &(struct batch_limits) {100, 10, 5000, 20, 0});
    return s;
}

/* Counts the updates of each row. */
static void count_updates(struct rig *r)
{
    test_exec(r->db, "CREATE TABLE public.updates (id text, n int)");
    test_exec(r->db,
              "CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
              "INSERT INTO public.updates VALUES (NEW.id::pg_catalog.text, 1); RETURN NEW; END $$");
    test_exec(
        r->db,
        "CREATE TRIGGER note AFTER UPDATE ON public.t FOR EACH ROW EXECUTE FUNCTION public.note()");
}

static void assert_each_once(struct rig *r, const char *rows)
{
    assert_value(r, "SELECT pg_catalog.count(*) FROM public.t WHERE fresh IS NULL", "0");
    assert_value(r,
                 "SELECT pg_catalog.count(*) FROM public.t WHERE fresh IS DISTINCT FROM "
                 "pg_catalog.upper(old)",
                 "0");
    assert_value(r, "SELECT pg_catalog.count(*) FROM public.updates", rows);
    assert_value(r,
                 "SELECT pg_catalog.count(*) FROM (SELECT id FROM public.updates GROUP BY id "
                 "HAVING pg_catalog.count(*) > 1) x",
                 "0");
}

static void fill(struct rig *r, struct backfill_setup *s, struct backfill_now *now, bool *finished)
{
    struct backfill_table t;
    struct backfill_job job;
    struct backfill_watch watch = {0};
    AUTO(err) err = {0};
    bool empty = false;

    assert_good(backfill_look(r->db, &r->a, s, &t, &err), &err);
    assert_good(backfill_begin(r->db, &r->a, s, &t, &job, &empty, &err), &err);
    *finished = empty;
    if (!empty)
        assert_good(
            backfill_work(&r->ports, r->db, &r->a, s, &t, &job, &watch, now, finished, &err), &err);
}

static void make_table(struct rig *r, const char *sql)
{
    test_exec(r->db, sql);
    count_updates(r);
}

static void a_table_by_its_key(void **state)
{
    struct rig *r = *state;
    struct backfill_setup s = setup_of(r);
    struct backfill_now now = {0};
    bool finished = false;

    make_table(r, "CREATE TABLE public.t AS SELECT i::pg_catalog.int8 AS id, 'v' || i AS old, "
                  "NULL::text AS fresh "
                  "FROM pg_catalog.generate_series(1, 20000) i");
    test_exec(r->db, "ALTER TABLE public.t ADD PRIMARY KEY (id)");
    fill(r, &s, &now, &finished);
    assert_true(finished);
    assert_each_once(r, "20000");
    assert_int_equal(now.rows_done, 20000);
    assert_int_equal(now.rows_changed, 20000);
    assert_value(r, "SELECT pg_catalog.sum(rows_changed) FROM phasegate.backfill_batch", "20000");
}

static void workers_share_it(void **state)
{
    struct rig *r = *state;
    struct backfill_setup s = setup_of(r);
    struct backfill_now now = {0};
    bool finished = false;

    make_table(r, "CREATE TABLE public.t (id int8 PRIMARY KEY, old text, fresh text)");
    test_exec(
        r->db,
        "INSERT INTO public.t SELECT i, 'v' || i FROM pg_catalog.generate_series(1, 40000) i");
    test_exec(r->db, "ANALYZE public.t");
    s.workers = 4;
    fill(r, &s, &now, &finished);
    assert_true(finished);
    assert_each_once(r, "40000");
    assert_true(now.slices >= 16);
    assert_value(r, "SELECT pg_catalog.count(DISTINCT owner) > 1 FROM phasegate.backfill_slice",
                 "t");
}

static void composite_and_text_keys(void **state)
{
    struct rig *r = *state;
    struct backfill_setup s = setup_of(r);
    struct backfill_now now = {0};
    bool finished = false;

    make_table(r, "CREATE TABLE public.t (kind text, at date, id text, old text, fresh text, "
                  "PRIMARY KEY (kind, at, id))");
    test_exec(r->db, "INSERT INTO public.t SELECT 'k' || i % 3, '2026-01-01'::date + i % 50, "
                     "'it''s \"' || i, 'v' || i "
                     "FROM pg_catalog.generate_series(1, 10000) i");
    test_exec(r->db, "ANALYZE public.t");
    s.workers = 2;
    fill(r, &s, &now, &finished);
    assert_true(finished);
    assert_each_once(r, "10000");
    assert_int_equal(now.rows_done, 10000);
}

static void partitions(void **state)
{
    struct rig *r = *state;
    struct backfill_setup s = setup_of(r);
    struct backfill_now now = {0};
    bool finished = false;

    make_table(
        r,
        "CREATE TABLE public.t (id int8 PRIMARY KEY, old text, fresh text) PARTITION BY HASH (id)");
    test_exec(
        r->db,
        "CREATE TABLE public.t0 PARTITION OF public.t FOR VALUES WITH (MODULUS 2, REMAINDER 0)");
    test_exec(
        r->db,
        "CREATE TABLE public.t1 PARTITION OF public.t FOR VALUES WITH (MODULUS 2, REMAINDER 1)");
    test_exec(
        r->db,
        "INSERT INTO public.t SELECT i, 'v' || i FROM pg_catalog.generate_series(1, 10000) i");
    test_exec(r->db, "ANALYZE public.t");
    fill(r, &s, &now, &finished);
    assert_true(finished);
    assert_each_once(r, "10000");
}

static void an_empty_table(void **state)
{
    struct rig *r = *state;
    struct backfill_setup s = setup_of(r);
    struct backfill_now now = {0};
    bool finished = false;

    make_table(r, "CREATE TABLE public.t (id int8 PRIMARY KEY, old text, fresh text)");
    fill(r, &s, &now, &finished);
    assert_true(finished);
}

static bool stop_soon(void *ctx, struct err *err)
{
    int *left = ctx;

    return (*left)-- > 0 || err_set(err, ERR_INTERRUPTED, "told to stop");
}

/* Told to stop again and again: what is done is done, the end stays where it was. */
static void it_goes_on_where_it_stopped(void **state)
{
    struct rig *r = *state;
    struct backfill_setup s = setup_of(r);
    struct backfill_now now = {0};
    bool finished = false;
    int runs = 0;

    make_table(r, "CREATE TABLE public.t (id int8 PRIMARY KEY, old text, fresh text)");
    test_exec(
        r->db,
        "INSERT INTO public.t SELECT i, 'v' || i FROM pg_catalog.generate_series(1, 20000) i");
    s.knobs.batch = (struct batch_limits) {50, 50, 50, 1, 0};
    s.knobs.max_duty = 0.05;
    for (; !finished && runs < 200; runs++) {
        struct backfill_table t;
        struct backfill_job job;
        int left = 1;
        struct backfill_watch watch = {&left, stop_soon, NULL};
        AUTO(err) err = {0};
        bool empty;

        assert_good(backfill_look(r->db, &r->a, &s, &t, &err), &err);
        assert_good(backfill_begin(r->db, &r->a, &s, &t, &job, &empty, &err), &err);
        if (!backfill_work(&r->ports, r->db, &r->a, &s, &t, &job, &watch, &now, &finished, &err))
            assert_int_equal(err.kind, ERR_INTERRUPTED);
        if (runs == 3) /* newer rows are the sync's */
            test_exec(r->db, "INSERT INTO public.t VALUES (30001, 'new', 'NEW')");
        if (runs == 5) {
            s.knobs.batch = BATCH_LIMITS_DEFAULT;
            s.knobs.max_duty = 1;
        }
    }
    assert_true(finished && runs > 5);
    assert_each_once(r, "20000");
}

/* Whoever was killed had a session: it is gone, and its slice is free at once. */
static void a_worker_that_was_killed(void **state)
{
    struct rig *r = *state;
    struct backfill_setup s = setup_of(r);
    struct backfill_table t;
    struct backfill_job job;
    struct backfill_now now = {0};
    AUTO(err) err = {0};
    bool empty, finished = false;

    make_table(r, "CREATE TABLE public.t (id int8 PRIMARY KEY, old text, fresh text)");
    test_exec(r->db,
              "INSERT INTO public.t SELECT i, 'v' || i FROM pg_catalog.generate_series(1, 5000) i");
    assert_good(backfill_look(r->db, &r->a, &s, &t, &err), &err);
    assert_good(backfill_begin(r->db, &r->a, &s, &t, &job, &empty, &err), &err);
    test_exec(
        r->db,
        "UPDATE phasegate.backfill_slice SET status = 'running', epoch = 7, owner = 'gone', "
        "owner_pid = 1, "
        "owner_since = pg_catalog.now(), lease_until = pg_catalog.now() + '1 hour'::interval");
    fill(r, &s, &now, &finished);
    assert_true(finished);
    assert_each_once(r, "5000");
    assert_value(r, "SELECT epoch FROM phasegate.backfill_slice", "8");
}

/* Rows that can't be filled are found, all of them and no others; the rest is filled. */
static void bad_rows_go_to_quarantine(void **state)
{
    struct rig *r = *state;
    struct backfill_setup s = setup_of(r);
    struct backfill_now now = {0};
    static struct pair set[] = {{.key.s = "fresh", .value.s = "(1000 / (t.id % 997 - 5))::text"}};
    bool finished = false;

    make_table(r, "CREATE TABLE public.t (id int8 PRIMARY KEY, old text, fresh text)");
    test_exec(
        r->db,
        "INSERT INTO public.t SELECT i, 'v' || i FROM pg_catalog.generate_series(1, 10000) i");
    s.spec.set = (struct pair_list) {set, 1};
    s.max_bad_rows = 100;
    fill(r, &s, &now, &finished);
    assert_true(finished);
    assert_value(r, "SELECT pg_catalog.count(*) FROM public.t WHERE fresh IS NULL", "11");
    assert_value(r,
                 "SELECT pg_catalog.string_agg(key ->> 0, ' ' ORDER BY (key ->> 0)::int) FROM "
                 "phasegate.backfill_quarantine",
                 "5 1002 1999 2996 3993 4990 5987 6984 7981 8978 9975");
    assert_value(r, "SELECT DISTINCT sqlstate FROM phasegate.backfill_quarantine", "22012");
    assert_int_equal(now.quarantined, 11);
}

static void too_many_bad_rows_stop_it(void **state)
{
    struct rig *r = *state;
    struct backfill_setup s = setup_of(r);
    struct backfill_table t;
    struct backfill_job job;
    struct backfill_now now = {0};
    struct backfill_watch watch = {0};
    static struct pair set[] = {{.key.s = "fresh", .value.s = "(1 / (t.id % 10))::text"}};
    AUTO(err) err = {0};
    bool empty, finished = true;

    make_table(r, "CREATE TABLE public.t (id int8 PRIMARY KEY, old text, fresh text)");
    test_exec(r->db,
              "INSERT INTO public.t SELECT i, 'v' || i FROM pg_catalog.generate_series(1, 5000) i");
    s.spec.set = (struct pair_list) {set, 1};
    s.max_bad_rows = 3;
    assert_good(backfill_look(r->db, &r->a, &s, &t, &err), &err);
    assert_good(backfill_begin(r->db, &r->a, &s, &t, &job, &empty, &err), &err);
    assert_false(
        backfill_work(&r->ports, r->db, &r->a, &s, &t, &job, &watch, &now, &finished, &err));
    assert_false(finished);
    assert_has(str_text(&err.message), "4 rows can't be filled, at most 3 may be");
    assert_value(r, "SELECT status FROM phasegate.backfill_slice", "pending");
}

/* A row that somebody holds is left for later; the others aren't. */
static void locked_rows_are_left(void **state)
{
    struct rig *r = *state;
    struct backfill_setup s = setup_of(r);
    struct backfill_now now = {0};
    bool finished = false;

    make_table(r, "CREATE TABLE public.t (id int8 PRIMARY KEY, old text, fresh text)");
    test_exec(r->db,
              "INSERT INTO public.t SELECT i, 'v' || i FROM pg_catalog.generate_series(1, 3000) i");
    PGconn *holder = PQconnectdb(r->conninfo);
    PQclear(PQexec(holder, "BEGIN; SELECT FROM public.t WHERE id IN (5, 1500) FOR UPDATE"));
    s.lock_ms = 100;
    fill(r, &s, &now, &finished);
    PQfinish(holder);
    assert_true(finished);
    assert_value(
        r,
        "SELECT pg_catalog.string_agg(id::text, ' ' ORDER BY id) FROM public.t WHERE fresh IS NULL",
        "5 1500");
    assert_int_equal(now.residual, 2);
}

/* What a program of the first ledger had begun goes on where it stands, its counts carried over. */
static void a_job_of_the_first_ledger(void **state)
{
    struct rig *r = *state;
    struct backfill_setup s = setup_of(r);
    struct backfill_now now = {0};
    bool finished = false;
    AUTO(err) err = {0};

    test_exec(r->db, "DROP SCHEMA phasegate CASCADE");
    pgtest_exec(r->conninfo, "CREATE SCHEMA phasegate");
    pgtest_exec(r->conninfo, schema_files[0].text);
    test_exec(r->db, "INSERT INTO phasegate.schema_version (number, name) VALUES (1, 'ledger')");
    make_table(r, "CREATE TABLE public.t (id int8 PRIMARY KEY, old text, fresh text)");
    test_exec(r->db,
              "INSERT INTO public.t SELECT i, 'v' || i, CASE WHEN i <= 7000 THEN 'V' || i END "
              "FROM pg_catalog.generate_series(1, 20000) i");
    test_exec(
        r->db,
        "INSERT INTO phasegate.backfill_job (plan, name, rel, checksum, status, hi, cursor, "
        "rows_done, rows_changed, batches) "
        "VALUES ('p', 'fill', 't', 'c1', 'running', '[\"19000\"]', '[\"7000\"]', 7000, 6999, 7)");
    assert_good(ledger_upgrade(r->db, &err), &err);
    test_exec(r->db, "INSERT INTO public.t VALUES (30001, 'new', 'NEW')");
    fill(r, &s, &now, &finished);
    assert_true(finished);
    assert_value(r, "SELECT pg_catalog.count(*) FROM public.updates", "12000");
    assert_value(r, "SELECT pg_catalog.count(*) FROM public.t WHERE fresh IS NULL", "1000");
    assert_int_equal(now.rows_done, 19000);
    assert_int_equal(now.rows_changed, 18999);
}

/* A process that knows the backfill as it was before it was edited takes nothing of it. */
static void an_older_plan_takes_nothing(void **state)
{
    struct rig *r = *state;
    struct backfill_setup s = setup_of(r), older = s;
    struct backfill_table t;
    struct backfill_job job;
    struct backfill_now now = {0};
    struct backfill_watch watch = {0};
    AUTO(err) err = {0};
    bool empty, finished = true;

    make_table(r, "CREATE TABLE public.t (id int8 PRIMARY KEY, old text, fresh text)");
    test_exec(r->db,
              "INSERT INTO public.t SELECT i, 'v' || i FROM pg_catalog.generate_series(1, 100) i");
    s.checksum = "c2";
    assert_good(backfill_look(r->db, &r->a, &s, &t, &err), &err);
    assert_good(backfill_begin(r->db, &r->a, &s, &t, &job, &empty, &err), &err);
    assert_good(
        backfill_work(&r->ports, r->db, &r->a, &older, &t, &job, &watch, &now, &finished, &err),
        &err);
    assert_false(finished);
    assert_value(r, "SELECT pg_catalog.count(*) FROM public.updates", "0");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_table_by_its_key),
        TEST(workers_share_it),
        TEST(composite_and_text_keys),
        TEST(partitions),
        TEST(an_empty_table),
        TEST(it_goes_on_where_it_stopped),
        TEST(a_worker_that_was_killed),
        TEST(bad_rows_go_to_quarantine),
        TEST(too_many_bad_rows_stop_it),
        TEST(locked_rows_are_left),
        TEST(a_job_of_the_first_ledger),
        TEST(an_older_plan_takes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

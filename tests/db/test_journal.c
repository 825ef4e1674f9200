/* The journal: what goes in comes out, the chain holds under concurrency, and every way of
 * spoiling it shows. */
#include "ledger_test.h"

#include <pthread.h>

static void append(struct db *db, const char *plan, const char *step, const char *status)
{
    AUTO(err) err = {0};
    struct history_row row = {.plan = plan,
                              .phase = "expand",
                              .step = step,
                              .kind = "step",
                              .status = status,
                              .run_id = "r1",
                              .release = "4.8.0"};
    assert_good(ledger_history_append(db, &row, &err), &err);
}

static struct db *journal_of(const char *conninfo, int rows)
{
    struct db *db = test_ledger(conninfo);
    for (int i = 0; i < rows; i++)
        append(db, "widen", "column", "done");
    return db;
}

/* As a person with rights would do it: the trigger that refuses an UPDATE set aside. */
static void tamper(const char *conninfo, const char *sql)
{
    AUTO(str) both = {0};
    str_addf(&both, "SET session_replication_role = replica; %s", sql);
    pgtest_exec(conninfo, str_text(&both));
}

static void assert_verdict(struct db *db, int64_t rows, const char *broken)
{
    AUTO(arena) a = {0};
    AUTO(err) err = {0};
    int64_t n = -1;
    bool ok = broken != NULL;
    const char *said = "unset";
    assert_good(ledger_history_verify(db, &a, &n, &ok, &said, &err), &err);
    assert_int_equal(n, rows);
    if (broken) {
        assert_non_null(said);
        assert_string_equal(said, broken);
    } else if (said) {
        fail_msg("the chain is said to be broken: %s", said);
    }
    assert_int_equal(ok, broken == NULL);
}

/* ---- rows ---------------------------------------------------------------------------------- */

static void test_every_field(void **state)
{
    struct db *db = test_ledger(*state);
    AUTO(arena) a = {0};
    AUTO(err) err = {0};
    struct history_row row = {.plan = "widen",
                              .phase = "expand",
                              .step = "s\"1'",
                              .kind = "step",
                              .description = "add\na column \xE2\x82\xAC",
                              .checksum = "abc",
                              .status = "done",
                              .run_id = "r1",
                              .applied_by = "ann",
                              .host = "box",
                              .release = "4.8.0",
                              .applied_at_ms = 1700000000123,
                              .duration_ms = 17,
                              .sql = "ALTER TABLE a\\b",
                              .undo_sql = "DROP",
                              .detail = "{\"b\": 1, \"a\": [1.50, null]}",
                              .machine_row = 3};
    struct history_row *rows = NULL;
    int n = 0;
    assert_good(ledger_history_append(db, &row, &err), &err);
    assert_good(ledger_history(db, &a, &(struct history_filter) {0}, &rows, &n, &err), &err);
    assert_int_equal(n, 1);
    assert_int_equal(rows[0].seq, 1);
    assert_string_equal(rows[0].plan, row.plan);
    assert_string_equal(rows[0].phase, row.phase);
    assert_string_equal(rows[0].step, row.step);
    assert_string_equal(rows[0].kind, row.kind);
    assert_string_equal(rows[0].description, row.description);
    assert_string_equal(rows[0].checksum, row.checksum);
    assert_string_equal(rows[0].status, row.status);
    assert_string_equal(rows[0].run_id, row.run_id);
    assert_string_equal(rows[0].applied_by, row.applied_by);
    assert_string_equal(rows[0].host, row.host);
    assert_string_equal(rows[0].release, row.release);
    assert_int_equal(rows[0].applied_at_ms, row.applied_at_ms);
    assert_int_equal(rows[0].duration_ms, row.duration_ms);
    assert_string_equal(rows[0].sql, row.sql);
    assert_string_equal(rows[0].undo_sql, row.undo_sql);
    assert_string_equal(rows[0].detail, "{\"a\": [1.50, null], \"b\": 1}");
    assert_int_equal(rows[0].machine_row, row.machine_row);
    assert_string_equal(rows[0].prev_hash, "");
    assert_int_equal(strlen(rows[0].hash), 64);
    assert_verdict(db, 1, NULL);
    db_close(db);
}

/* Nothing given but what must be: the time is the server's. The hash doesn't depend on the
 * session's zone. */
static void test_few_fields(void **state)
{
    struct db *db = test_ledger(*state);
    AUTO(arena) a = {0};
    AUTO(err) err = {0};
    struct history_row *rows = NULL;
    int n = 0;
    assert_good(
        ledger_history_append(db, &(struct history_row) {.kind = "note", .status = "note"}, &err),
        &err);
    assert_good(ledger_history(db, &a, &(struct history_filter) {0}, &rows, &n, &err), &err);
    assert_int_equal(n, 1);
    assert_null(rows[0].plan);
    assert_null(rows[0].detail);
    assert_int_equal(rows[0].machine_row, 0);
    int64_t off = clock_wall_ms(test_clock()) - rows[0].applied_at_ms;
    assert_true(off > -60000 && off < 60000);
    test_exec(db, "SET TimeZone = 'Asia/Kathmandu'");
    test_exec(db, "SET DateStyle = 'German'");
    test_exec(db, "SET extra_float_digits = -5");
    append(db, "p", "s", "done");
    assert_verdict(db, 2, NULL);
    test_exec(db, "SET TimeZone = 'America/St_Johns'");
    assert_verdict(db, 2, NULL);
    db_close(db);
}

static void test_unknown_status_is_refused(void **state)
{
    struct db *db = journal_of(*state, 1);
    AUTO(err) err = {0};
    struct history_row row = {.plan = "p", .kind = "step", .status = "finished"};
    assert_err(ledger_history_append(db, &row, &err), &err, ERR_SQL);
    assert_string_equal(err.sqlstate, "23514");
    assert_verdict(db, 1, NULL);
    db_close(db);
}

static void test_filters(void **state)
{
    struct db *db = test_ledger(*state);
    AUTO(arena) a = {0};
    AUTO(err) err = {0};
    struct history_row *rows = NULL;
    int n = -1;
    append(db, "a", "1", "done");
    append(db, "b", "1", "done");
    append(db, "a", "2", "done");
    struct history_row other = {
        .plan = "a", .step = "3", .kind = "step", .status = "done", .release = "4.9.0"};
    assert_good(ledger_history_append(db, &other, &err), &err);

    assert_good(ledger_history(db, &a, &(struct history_filter) {.plan = "a"}, &rows, &n, &err),
                &err);
    assert_int_equal(n, 3);
    assert_int_equal(rows[0].seq, 1);
    assert_int_equal(rows[2].seq, 4);
    assert_good(
        ledger_history(db, &a, &(struct history_filter) {.release = "4.9.0"}, &rows, &n, &err),
        &err);
    assert_int_equal(n, 1);
    assert_int_equal(rows[0].seq, 4);
    assert_good(ledger_history(db, &a, &(struct history_filter) {.limit = 2}, &rows, &n, &err),
                &err);
    assert_int_equal(n, 2);
    assert_int_equal(rows[0].seq, 3);
    assert_int_equal(rows[1].seq, 4);
    assert_good(ledger_history(db, &a, &(struct history_filter) {.plan = "none"}, &rows, &n, &err),
                &err);
    assert_int_equal(n, 0);
    db_close(db);
}

static void test_steps(void **state)
{
    struct db *db = test_ledger(*state);
    AUTO(arena) a = {0};
    AUTO(err) err = {0};
    struct history_row *rows = NULL;
    int n = -1;
    append(db, "a", "1", "started");
    append(db, "a", "2", "done");
    append(db, "a", "1", "done");
    append(db, "a", "1", "note");
    append(db, "a", NULL, "transition");
    append(db, "b", "1", "failed");
    assert_good(ledger_steps(db, &a, "a", &rows, &n, &err), &err);
    assert_int_equal(n, 2);
    assert_string_equal(rows[0].step, "2");
    assert_string_equal(rows[1].step, "1");
    assert_string_equal(rows[1].status, "done");

    test_exec(db, "DELETE FROM phasegate.migration_history WHERE step = '1' AND status = 'done'");
    assert_good(ledger_steps(db, &a, "a", &rows, &n, &err), &err);
    assert_string_equal(rows[0].status, "started");
    db_close(db);
}

/* The row comes and goes with the transaction of its step, and leaves no gap. */
static void test_with_the_step(void **state)
{
    struct db *db = journal_of(*state, 1);
    AUTO(arena) a = {0};
    AUTO(err) err = {0};
    struct db_call calls[4] = {
        {.sql = "BEGIN"}, {.sql = "CREATE TABLE public.t (a int)"}, {0}, {.sql = "COMMIT"}};
    struct history_row row = {
        .plan = "p", .phase = "expand", .step = "t", .kind = "step", .status = "done"};
    int done = 0;
    ledger_history_call(&a, &row, &calls[2]);
    assert_good(db_pipeline(db, &a, calls, 4, NULL, &done, &err), &err);
    assert_int_equal(done, 4);
    calls[1].sql = "CREATE TABLE public.u (a int)";
    calls[3].sql = "ROLLBACK";
    assert_good(db_pipeline(db, &a, calls, 4, NULL, &done, &err), &err);
    append(db, "p", "after", "done");
    assert_verdict(db, 3, NULL);
    assert_int_equal(
        pgtest_count(*state, "SELECT pg_catalog.max(seq) FROM phasegate.migration_history"), 3);
    db_close(db);
}

/* ---- many at once -------------------------------------------------------------------------- */

enum { WRITERS = 8, ROWS_EACH = 40 };

struct writer {
    pthread_t thread;
    struct db *db;
    int n_failed;
    bool in_transaction;
};

static void *writer_run(void *arg)
{
    struct writer *w = arg;
    AUTO(err) err = {0};
    AUTO(arena) a = {0};
    for (int i = 0; i < ROWS_EACH; i++) {
        struct db_call calls[3] = {
            {.sql = "BEGIN"}, {0}, {.sql = i % 5 == 4 ? "ROLLBACK" : "COMMIT"}};
        struct history_row row = {
            .plan = "p", .step = "s", .kind = "step", .status = "done", .duration_ms = i};
        ledger_history_call(&a, &row, &calls[1]);
        if (w->in_transaction ? !db_pipeline(w->db, &a, calls, 3, NULL, NULL, &err)
                              : !db_exec(w->db, calls[1].sql, &calls[1].params, &err))
            w->n_failed++;
    }
    return NULL;
}

static void test_eight_writers(void **state)
{
    struct db *db = test_ledger(*state);
    struct writer writers[WRITERS] = {0};
    int expected = 0;
    for (int i = 0; i < WRITERS; i++) {
        writers[i].db = test_open(*state);
        writers[i].in_transaction = i % 2;
        expected += writers[i].in_transaction ? ROWS_EACH - ROWS_EACH / 5 : ROWS_EACH;
        assert_int_equal(pthread_create(&writers[i].thread, NULL, writer_run, &writers[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(writers[i].thread, NULL);
        assert_int_equal(writers[i].n_failed, 0);
        db_close(writers[i].db);
    }
    assert_verdict(db, expected, NULL);
    db_close(db);
}

/* ---- spoiling it --------------------------------------------------------------------------- */

static void test_update_is_refused(void **state)
{
    struct db *db = journal_of(*state, 2);
    AUTO(err) err = {0};
    assert_err(
        db_exec(db, "UPDATE phasegate.migration_history SET status = 'done'", &DB_NO_PARAMS, &err),
        &err, ERR_SQL);
    assert_has(str_text(&err.message), "append-only");
    assert_err(db_exec(db, "DELETE FROM phasegate.journal_head", &DB_NO_PARAMS, &err), &err,
               ERR_SQL);
    assert_err(db_exec(db, "TRUNCATE phasegate.journal_head", &DB_NO_PARAMS, &err), &err, ERR_SQL);
    assert_verdict(db, 2, NULL);
    db_close(db);
}

/* What a person may do to a journal of five rows, and what verify says to it. */
static const struct {
    const char *sql, *broken;
    int rows;
} spoilers[] = {
    {"SELECT 1", NULL, 5},
    {"UPDATE %s SET status = 'failed' WHERE seq = 3", "row 3 was changed", 5},
    {"UPDATE %s SET plan = 'other' WHERE seq = 1", "row 1 was changed", 5},
    {"UPDATE %s SET applied_at = applied_at + '1 us' WHERE seq = 5", "row 5 was changed", 5},
    {"UPDATE %s SET detail = '{}' WHERE seq = 2", "row 2 was changed", 5},
    {"UPDATE %s SET phase = step, step = phase WHERE seq = 2", "row 2 was changed", 5},
    {"UPDATE %s SET undo_sql = '' WHERE seq = 4", "row 4 was changed", 5},
    {"UPDATE %s SET hash = '' WHERE seq = 2", "row 2 was changed", 5},
    {"UPDATE %s SET prev_hash = '' WHERE seq = 2", "row 2 was changed", 5},
    {"UPDATE %s SET status = 'failed' WHERE seq IN (2, 4)",
     "row 2 was changed; 1 more place is broken", 5},
    {"DELETE FROM %s WHERE seq = 1", "row 1 is missing", 4},
    {"DELETE FROM %s WHERE seq = 3", "row 3 is missing", 4},
    {"DELETE FROM %s WHERE seq IN (2, 3)", "rows 2 to 3 are missing", 3},
    {"DELETE FROM %s WHERE seq IN (2, 4)", "row 2 is missing; 1 more place is broken", 3},
    {"DELETE FROM %s WHERE seq = 5", "row 5 is missing", 4},
    {"DELETE FROM %s WHERE seq > 2", "rows 3 to 5 are missing", 2},
    {"DELETE FROM %s", "rows 1 to 5 are missing", 0},
    {"TRUNCATE %s", "rows 1 to 5 are missing", 0},
    {"DELETE FROM phasegate.journal_head",
     "the end of the chain (phasegate.journal_head) is missing", 5},
    {"UPDATE phasegate.journal_head SET seq = 4", "row 5 was added past the chain", 5},
    {"UPDATE phasegate.journal_head SET hash = 'x'", "row 5 was changed", 5},
    {"INSERT INTO %s SELECT 6, plan, phase, step, kind, description, checksum, applied_at, "
     "applied_by, status, "
     "duration_ms, run_id, host, release, sql, undo_sql, detail, machine_row, prev_hash, hash FROM "
     "%s WHERE seq = 5",
     "row 6 was added past the chain; 1 more place is broken", 6},
    /* Two rows trade their places in the chain. */
    {"UPDATE %s AS h SET hash = o.hash, prev_hash = o.prev_hash FROM %s AS o WHERE h.seq IN (2, 3) "
     "AND o.seq = 5 - h.seq",
     "row 2 was changed; 1 more place is broken", 5},
};

static void test_spoiled(void **state)
{
    struct db *db = journal_of(*state, 5);
    test_exec(db, "CREATE TABLE public.kept AS TABLE phasegate.migration_history");
    test_exec(db, "CREATE TABLE public.head AS TABLE phasegate.journal_head");
    for (size_t i = 0; i < sizeof spoilers / sizeof *spoilers; i++) {
        AUTO(str) sql = {0};
        for (const char *p = spoilers[i].sql; *p; p++) {
            if (p[0] == '%' && p[1] == 's')
                str_add(&sql, "phasegate.migration_history"), p++;
            else
                str_addc(&sql, *p);
        }
        tamper(*state, str_text(&sql));
        print_message("%s\n", str_text(&sql));
        assert_verdict(db, spoilers[i].rows, spoilers[i].broken);
        tamper(*state, "TRUNCATE phasegate.migration_history; INSERT INTO "
                       "phasegate.migration_history TABLE public.kept; "
                       "DELETE FROM phasegate.journal_head; INSERT INTO phasegate.journal_head "
                       "TABLE public.head");
    }
    db_close(db);
}

/* A row that was rewritten together with its own hash gives itself away in the next one. */
static void test_rewritten_with_its_hash(void **state)
{
    struct db *db = journal_of(*state, 5);
    tamper(*state, "UPDATE phasegate.migration_history SET status = 'failed' WHERE seq = 3;"
                   "UPDATE phasegate.migration_history SET hash = sha256(prev_hash || "
                   "convert_to(jsonb_build_array("
                   "seq, plan, phase, step, kind, description, checksum,"
                   "(extract(epoch FROM applied_at) * 1000000)::bigint, applied_by, status, "
                   "duration_ms, run_id, host,"
                   "release, sql, undo_sql, detail, machine_row)::text, 'UTF8')) WHERE seq = 3");
    assert_verdict(db, 5, "row 3 was changed");
    db_close(db);
}

/* After a deletion the journal goes on where it ended: the gap stays, and nothing else. */
static void test_goes_on_after_deletion(void **state)
{
    struct db *db = journal_of(*state, 3);
    test_exec(db, "DELETE FROM phasegate.migration_history");
    append(db, "p", "s", "done");
    assert_verdict(db, 1, "rows 1 to 3 are missing");
    db_close(db);
}

/* Without the head there is no row, and that isn't passed over in silence. */
static void test_no_head_no_row(void **state)
{
    struct db *db = journal_of(*state, 2);
    AUTO(err) err = {0};
    tamper(*state, "DELETE FROM phasegate.journal_head");
    assert_err(
        ledger_history_append(db, &(struct history_row) {.kind = "note", .status = "note"}, &err),
        &err, ERR_SQL);
    assert_string_equal(err.sqlstate, "55000");
    assert_has(str_text(&err.message), "journal_head");
    db_close(db);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, pgtest_setup, pgtest_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_field),
        TEST(test_few_fields),
        TEST(test_unknown_status_is_refused),
        TEST(test_filters),
        TEST(test_steps),
        TEST(test_with_the_step),
        TEST(test_eight_writers),
        TEST(test_update_is_refused),
        TEST(test_spoiled),
        TEST(test_rewritten_with_its_hash),
        TEST(test_goes_on_after_deletion),
        TEST(test_no_head_no_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Old and new writers at once, while the trigger is installed again, a backfill runs and the old column is
 * hidden and brought back: at the end both sides agree in every row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "generate_test.h"

#define WRITERS 8
#define ROWS_OF_TABLE 200
#define SECONDS 3

static const struct build_sync widen = {
    .table = "accounts",
    .forward = {{"big", "amount::bigint * 100"}, {"label", "upper(tag)"}},
    .reverse = {{"amount", "(big / 100)::int"}, {"tag", "lower(label)"}},
    .reads = {"amount", "tag"}};

struct writer {
    const char *db;
    int number;
    atomic_bool *stop;
    long done;
    char error[200];
};

/* Writers of the old side, of the new one, and of both, in turns; rows are shared by all. */
static const char *const statements[] = {
    "UPDATE accounts SET amount = amount + 1 WHERE id = %d",
    "UPDATE accounts SET big = big + 100 WHERE id = %d",
    "UPDATE accounts SET tag = 't' || amount WHERE id = %d",
    "UPDATE accounts SET label = 'L' || amount, note = 'both' WHERE id = %d",
    "UPDATE accounts SET amount = 1, big = 700 WHERE id = %d",
    "UPDATE accounts SET note = 'unrelated' WHERE id = %d",
    "INSERT INTO accounts (id, amount, tag) VALUES (%d, 3, 'old') ON CONFLICT (id) DO UPDATE SET "
    "amount = EXCLUDED.amount",
    "INSERT INTO accounts (id, big, label) VALUES (%d, 900, 'NEW') ON CONFLICT (id) DO UPDATE SET "
    "big = EXCLUDED.big",
    "DELETE FROM accounts WHERE id = %d",
};

static void *write_on(void *arg)
{
    struct writer *w = arg;
    PGconn *conn = PQconnectdb(w->db);
    unsigned seed = (unsigned) w->number;
    AUTO(arena) a = {0};

    while (!atomic_load(w->stop)) {
        const char *form = statements[(size_t) rand_r(&seed) % ROWS(statements)];
        int id = rand_r(&seed) % ROWS_OF_TABLE;
        arena_reset(&a);
        /* One constant format for the compiler: the number stands for its place in the text. */
        const char *at = strstr(form, "%d");
        PGresult *r =
            PQexec(conn, arena_printf(&a, "%.*s%d%s", (int) (at - form), form, id, at + 2));
        /* Old writers of a hidden column fail: that is the scream it is hidden for. */
        const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
        if (PQresultStatus(r) == PGRES_COMMAND_OK)
            w->done++;
        else if (!state || strcmp(state, "42703") != 0)
            strncpy(w->error, PQerrorMessage(conn), sizeof w->error - 1);
        PQclear(r);
    }
    PQfinish(conn);
    return NULL;
}

static void run_all(const char *db, const struct sql_list *one, const struct sql_list *two)
{
    PGconn *conn = PQconnectdb(db);
    const struct sql_list *lists[] = {one, two};

    PQclear(PQexec(conn, "BEGIN"));
    for (int l = 0; l < 2; l++)
        for (int i = 0; lists[l] && i < lists[l]->n; i++) {
            PGresult *r = PQexec(conn, lists[l]->items[i]);
            CHECK(PQresultStatus(r) == PGRES_COMMAND_OK, "%s: %s", lists[l]->items[i],
                  PQerrorMessage(conn));
            PQclear(r);
        }
    PQclear(PQexec(conn, "COMMIT"));
    PQfinish(conn);
}

#define HIDDEN "_drop_20261114_amount"

static void test_both_sides_agree(void **state)
{
    const char *db = *state;
    AUTO(arena) a = {0};
    struct plan p = build_plan(&a, &widen);
    struct renamed renamed = {"amount", HIDDEN};
    struct column_facts facts = {.schema = "public", .table = "accounts", .column = "amount"};
    struct sql_list drop, restore, purge, with, without;
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    atomic_bool stop = false;
    struct backfill fill = {.id.s = "fill"};
    struct backfill_spec spec;
    const char *why;
    int rounds = 0;

    pgtest_exec(db, "CREATE SCHEMA phasegate; CREATE TABLE accounts (id int PRIMARY KEY, amount "
                    "int, tag text, big bigint,"
                    " label text, note text);"
                    "INSERT INTO accounts (id, amount, tag) SELECT g, g, 'tag' || g FROM "
                    "generate_series(0, 199) g");
    soft_drop_column_sql(&a, &facts, HIDDEN, &drop, &restore, &purge);
    sync_install_sql(&a, &p, &renamed, 1, &with);
    sync_install_sql(&a, &p, NULL, 0, &without);
    assert_true(backfill_spec_of(&a, &p, &fill, &spec, &why));
    const char *batch = arena_printf(
        &a, "SET phasegate.backfill = on; UPDATE accounts SET big = %s, label = %s WHERE %s",
        spec.set.items[0].value.s, spec.set.items[1].value.s, spec.todo);
    const char *differ = arena_printf(&a, "SELECT pg_catalog.count(*) FROM accounts WHERE NOT (%s)",
                                      sync_agrees_sql(&a, &p));

    run_all(db, &without, NULL);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer) {.db = db, .number = i + 1, .stop = &stop};
        assert_int_equal(pthread_create(&threads[i], NULL, write_on, &writers[i]), 0);
    }
    /* The past, once: a later backfill would heal what the trigger missed. From here on every row that is
     * committed agrees, whoever wrote it, at any time. */
    pgtest_exec(db, batch);
    time_t end = time(NULL) + SECONDS;
    do {
        CHECK(pgtest_count(db, differ) == 0, "rows differ in round %d", rounds);
        run_all(db, &without, NULL);
        run_all(db, &drop, &with);
        run_all(db, &restore, &without);
        rounds++;
    } while (time(NULL) < end);
    atomic_store(&stop, true);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);

    long done = 0;
    for (int i = 0; i < WRITERS; i++) {
        CHECK(!*writers[i].error, "writer %d: %s", i, writers[i].error);
        assert_true(writers[i].done > 0);
        done += writers[i].done;
    }
    long n = pgtest_count(db, differ);
    CHECK(n == 0, "%ld rows differ after %ld writes and %d rounds", n, done, rounds);
    assert_true(pgtest_count(db, "SELECT pg_catalog.count(*) FROM accounts") > 0);
    assert_int_equal(
        pgtest_count(
            db, "SELECT pg_catalog.count(*) FROM accounts WHERE big IS NULL OR amount IS NULL"),
        0);
    assert_true(rounds > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_both_sides_agree, pgtest_setup, pgtest_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

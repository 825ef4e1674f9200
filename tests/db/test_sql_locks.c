/* The lock that phasegate names for a statement is the one that pg_locks shows; what it runs outside a transaction
 * can't, or shouldn't, run in one. */
#include "sql_ground.h"

/* ---- locks ---------------------------------------------------------------------------------------------- */

static const char lock_ground[] =
    "CREATE UNIQUE INDEX t_n2 ON t (id, n);"
    "ALTER TABLE t ADD CONSTRAINT nv CHECK (a < 1000) NOT VALID;"
    "ALTER TABLE child ADD CONSTRAINT nf FOREIGN KEY (id) REFERENCES p NOT VALID;"
    "CREATE TABLE partd PARTITION OF part DEFAULT;";

static const struct {
    const char *sql;
    bool with_indexes; /* the lock is on an index or a sequence */
} locks[] = {
    {"ALTER TABLE t ADD c2 int"},
    {"ALTER TABLE t ADD c2 int DEFAULT 1"},
    {"ALTER TABLE t ADD c2 uuid DEFAULT gen_random_uuid()"},
    {"ALTER TABLE t ADD c2 int REFERENCES p"},
    {"ALTER TABLE t ADD c2 int UNIQUE"},
    {"ALTER TABLE t ADD COLUMN IF NOT EXISTS a int"},
    {"ALTER TABLE t DROP COLUMN b"},
    {"ALTER TABLE t RENAME COLUMN a TO aa"},
    {"ALTER TABLE t RENAME TO tt"},
    {"ALTER TABLE t RENAME CONSTRAINT told TO tnew"},
    {"ALTER TABLE t SET SCHEMA x"},
    {"ALTER TABLE t OWNER TO derive_role"},
    {"ALTER TABLE t ALTER a SET DEFAULT 1"},
    {"ALTER TABLE t ALTER n DROP NOT NULL"},
    {"ALTER TABLE t ALTER b SET STORAGE external"},
    {"ALTER TABLE t ALTER b SET COMPRESSION pglz"},
    {"ALTER TABLE t ALTER b SET STATISTICS 5"},
    {"ALTER TABLE t ALTER b SET (n_distinct = 5)"},
    {"ALTER TABLE t SET (fillfactor = 50)"},
    {"ALTER TABLE t SET (autovacuum_enabled = false)"},
    {"ALTER TABLE t CLUSTER ON t_pkey"},
    {"ALTER TABLE t SET WITHOUT CLUSTER"},
    {"COMMENT ON TABLE t IS 'x'"},
    {"COMMENT ON COLUMN t.a IS 'x'"},
    {"CREATE STATISTICS st ON a, b FROM t"},
    {"ANALYZE t"},
    {"ALTER TABLE t ALTER a SET NOT NULL"},
    {"ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0)"},
    {"ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0) NOT VALID"},
    {"ALTER TABLE t VALIDATE CONSTRAINT nv"},
    {"ALTER TABLE t VALIDATE CONSTRAINT nv, ALTER a SET DEFAULT 1"},
    {"ALTER TABLE child ADD CONSTRAINT k FOREIGN KEY (pid) REFERENCES p"},
    {"ALTER TABLE child ADD CONSTRAINT k FOREIGN KEY (pid) REFERENCES p NOT VALID"},
    {"ALTER TABLE child VALIDATE CONSTRAINT nf"},
    {"ALTER TABLE t ADD CONSTRAINT k UNIQUE (a)"},
    {"ALTER TABLE t ADD CONSTRAINT k EXCLUDE USING btree (a WITH =)"},
    {"ALTER TABLE t ADD CONSTRAINT k UNIQUE USING INDEX t_n2"},
    {"ALTER TABLE t DROP CONSTRAINT told"},
    {"ALTER TABLE child DROP CONSTRAINT child_fk"},
    {"ALTER TABLE child ALTER CONSTRAINT child_fk DEFERRABLE"},
    {"ALTER TABLE t ALTER c TYPE text"},
    {"ALTER TABLE t ALTER n TYPE bigint"},
    {"CREATE INDEX k ON t (a)"},
    {"CREATE INDEX k ON ONLY part (k)"},
    {"DROP INDEX t_b", true},
    {"REINDEX TABLE t"},
    {"ALTER INDEX t_b RENAME TO t_bb", true},
    {"ALTER INDEX t_b SET (fillfactor = 50)", true},
    {"ALTER TABLE part ATTACH PARTITION part2 FOR VALUES IN (2)"},
    {"ALTER TABLE part DETACH PARTITION part1"},
    {"CREATE TABLE part3 PARTITION OF part FOR VALUES IN (3)"},
    {"CREATE TABLE nt (id int REFERENCES p)"},
    {"CREATE TABLE nt (LIKE t)"},
    {"CREATE TABLE nt () INHERITS (t)"},
    {"CREATE TABLE nt (a int)"},
    {"CREATE TABLE nt AS SELECT * FROM t"},
    {"DROP TABLE child"},
    {"TRUNCATE child"},
    {"CREATE TRIGGER k BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tf()"},
    {"ALTER TABLE t DISABLE TRIGGER g"},
    {"ALTER TABLE t ENABLE ALWAYS TRIGGER g"},
    {"DROP TRIGGER g ON t"},
    {"ALTER TABLE t ENABLE ROW LEVEL SECURITY"},
    {"CREATE POLICY k ON t USING (true)"},
    {"CREATE RULE k AS ON DELETE TO t DO INSTEAD NOTHING"},
    {"ALTER TABLE t REPLICA IDENTITY FULL"},
    {"ALTER TABLE child SET UNLOGGED"},
    {"CLUSTER t USING t_pkey"},
    {"REFRESH MATERIALIZED VIEW m"},
    {"REFRESH MATERIALIZED VIEW CONCURRENTLY m"},
    {"ALTER DOMAIN d ADD CONSTRAINT k CHECK (value > 0)"},
    {"ALTER DOMAIN d ADD CONSTRAINT k CHECK (value > 0) NOT VALID"},
    {"ALTER DOMAIN d SET NOT NULL"},
    {"ALTER TYPE e ADD VALUE 'three'"},
    {"ALTER TYPE e RENAME VALUE 'one' TO 'uno'"},
    {"CREATE OR REPLACE VIEW v AS SELECT id, a FROM t"},
    {"CREATE VIEW nv AS SELECT id, a FROM t"},
    {"CREATE MATERIALIZED VIEW nm AS SELECT id, a FROM t"},
    {"CREATE PUBLICATION pgtest_pub FOR TABLE t"},
    {"GRANT SELECT ON t TO derive_role"},
    {"INSERT INTO child VALUES (1, 1)"},
    {"UPDATE t SET a = 2"},
    {"DELETE FROM child"},
    {"SELECT * FROM t"},
    {"SELECT * FROM t FOR UPDATE"},
    {"LOCK TABLE t IN SHARE MODE"},
    {"CREATE SEQUENCE nq"},
    {"CREATE FUNCTION nf() RETURNS int LANGUAGE sql AS 'SELECT 1'"},
};

static const char *const mode_names[] = {"none",
                                         "AccessShareLock",
                                         "RowShareLock",
                                         "RowExclusiveLock",
                                         "ShareUpdateExclusiveLock",
                                         "ShareLock",
                                         "ShareRowExclusiveLock",
                                         "ExclusiveLock",
                                         "AccessExclusiveLock"};

/* The strongest lock that a backend holds or waits for on what was there before. */
static enum lock_mode held_lock(PGconn *conn, struct arena *a, int pid, bool with_indexes)
{
    const char *value =
        ask(conn, a,
            arena_printf(a,
                         "SELECT "
                         "max(array_position(ARRAY['AccessShareLock','RowShareLock','"
                         "RowExclusiveLock','ShareUpdateExclusiveLock','ShareLock',"
                         "'ShareRowExclusiveLock','ExclusiveLock','AccessExclusiveLock'], l.mode)) "
                         "FROM pg_locks l JOIN before b ON b.oid = l.relation"
                         " WHERE l.pid = %d AND l.locktype = 'relation' AND "
                         "b.relkind IN ('r', 'p', 'm', 'v'%s)",
                         pid, with_indexes ? ", 'i', 'S'" : ""),
            NULL);

    return value ? (enum lock_mode) strtol(value, NULL, 10) : LOCK_NONE;
}

static void lock_setup(PGconn *conn, struct arena *a)
{
    ask(conn, a, sql_ground, NULL);
    ask(conn, a, lock_ground, NULL);
    ask(conn, a,
        "DROP TABLE IF EXISTS public.before; CREATE TABLE public.before AS SELECT c.oid, c.relkind "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN ('w', "
        "'x'); SET search_path = w, x, public",
        NULL);
}

static void test_locks(void **state)
{
    AUTO(arena) ground_arena = {0};
    PGconn *conn = connect_to(*state);
    int n_bad = 0;

    lock_setup(conn, &ground_arena);
    for (size_t i = 0; i < sizeof locks / sizeof *locks; i++) {
        AUTO(arena) a = {0};
        const struct sql_stmt *s = facts_of(&a, locks[i].sql);
        enum lock_mode held;

        ask(conn, &a, "BEGIN", NULL);
        ask(conn, &a, locks[i].sql, NULL);
        held = held_lock(conn, &a, PQbackendPID(conn), locks[i].with_indexes);
        ask(conn, &a, "ROLLBACK", NULL);
        if (held != s->lock) {
            print_error("%s: the server takes %s, phasegate says %s\n", locks[i].sql,
                        mode_names[held], mode_names[s->lock]);
            n_bad++;
        }
    }
    assert_int_equal(n_bad, 0);
}

/* They end their own transactions: looked at while an open writer makes them wait. */
static void test_locks_of_concurrent(void **state)
{
    static const struct {
        const char *sql, *writer;
    } waits[] = {
        {"CREATE INDEX CONCURRENTLY k ON t (a)", "UPDATE w.t SET a = a"},
        {"DROP INDEX CONCURRENTLY t_b", "UPDATE w.t SET a = a"},
        {"REINDEX INDEX CONCURRENTLY t_b", "UPDATE w.t SET a = a"},
        {"REINDEX TABLE CONCURRENTLY t", "UPDATE w.t SET a = a"},
        {"ALTER TABLE part DETACH PARTITION part1 CONCURRENTLY", "SELECT * FROM w.part1"},
    };
    PGconn *conn = connect_to(*state), *writer = connect_to(*state), *worker = connect_to(*state);

    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        AUTO(arena) a = {0};
        const struct sql_stmt *s = facts_of(&a, waits[i].sql);
        enum lock_mode held;

        lock_setup(conn, &a);
        ask(conn, &a, "DROP TABLE partd",
            NULL); /* with it, no partition is detached concurrently */
        ask(writer, &a, "BEGIN", NULL);
        ask(writer, &a, waits[i].writer, NULL);
        ask(worker, &a, "SET search_path = w, x", NULL);
        sql_send(worker, waits[i].sql);
        sql_wait_for(conn, &a, sql_is_waiting(&a, worker));
        held = held_lock(conn, &a, PQbackendPID(worker), false);
        ask(writer, &a, "COMMIT", NULL);
        if (!sql_finish(worker))
            fail_msg("%s: %s", waits[i].sql, PQerrorMessage(worker));
        if (held != s->lock)
            fail_msg("%s: the server takes %s, phasegate says %s", waits[i].sql, mode_names[held],
                     mode_names[s->lock]);
    }
}

/* Standalone means it: the server refuses these in a transaction. */
static void test_standalone(void **state)
{
    static const struct {
        const char *sql;
        bool is_refused; /* else it may, but shouldn't */
    } statements[] = {
        {"CREATE INDEX CONCURRENTLY k ON t (a)", true},
        {"DROP INDEX CONCURRENTLY t_b", true},
        {"REINDEX INDEX CONCURRENTLY t_b", true},
        {"REINDEX SCHEMA w", true},
        {"VACUUM t", true},
        {"CREATE DATABASE nd", true},
        {"DROP DATABASE nd", true},
        {"ALTER SYSTEM SET work_mem = '1MB'", true},
        {"ALTER TABLE part DETACH PARTITION part1 CONCURRENTLY", true},
        {"CLUSTER", true},
        {"CREATE TABLESPACE ts LOCATION '/nowhere'", true},
        {"CREATE SUBSCRIPTION su CONNECTION 'x' PUBLICATION p", true},
        {"ALTER TYPE e ADD VALUE 'three'", false},
        {"ALTER TABLE t VALIDATE CONSTRAINT nv", false},
        {"REFRESH MATERIALIZED VIEW CONCURRENTLY m", false},
    };
    AUTO(arena) a = {0};
    PGconn *conn = connect_to(*state);

    lock_setup(conn, &a);
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        const char *error = NULL;

        if (!facts_of(&a, statements[i].sql)->standalone)
            fail_msg("%s isn't taken as standalone", statements[i].sql);
        ask(conn, &a, "BEGIN", NULL);
        ask(conn, &a, statements[i].sql, &error);
        ask(conn, &a, "ROLLBACK", NULL);
        if (!error == statements[i].is_refused ||
            (error && !strstr(error, "cannot run inside a transaction block")))
            fail_msg("%s in a transaction: %s", statements[i].sql, error ? error : "taken");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_locks, ground_give, end_sessions),
        cmocka_unit_test_setup_teardown(test_locks_of_concurrent, ground_give, end_sessions),
        cmocka_unit_test_setup_teardown(test_standalone, ground_give, end_sessions),
    };

    return cmocka_run_group_tests(tests, ground_start, ground_stop);
}

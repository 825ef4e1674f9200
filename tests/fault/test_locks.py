"""Locks, time-outs, deadlocks, and sessions that a killed run left at work."""

import signal
import time
import unittest

import lab
import pgtest

DONE, HALFWAY, LOCKED, INTERRUPTED = 0, 5, 6, 130


class Locks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab(pgtest.cluster(), "expand")

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def setUp(self):
        self.world = self.lab.world()
        self.addCleanup(self.world.close)

    def start(self, *more):
        running = self.world.start(self.lab.args + list(more))
        self.addCleanup(running.close)
        return running

    def session(self, *sql):
        session = self.world.db.session(*sql)
        self.addCleanup(session.close)
        return session

    def wait_for(self, running, text):
        pgtest.wait_until(lambda: text in running.stderr or not running.is_running(), 60, what=text)
        self.assertIn(text, running.stderr)

    def assert_as_whole(self):
        found = lab.differences(self.lab.expected, self.world.fingerprint())
        self.assertFalse(found, "\n".join(found))

    # ---- locks -----------------------------------------------------------------------------------------------

    def test_a_held_lock_is_tried_again_and_its_holder_named(self):
        reader = self.session("SET application_name = 'nightly report'", "BEGIN", "SELECT count(*) FROM accounts")
        pid = reader.run("SELECT pg_backend_pid()")[0]
        running = self.start()
        self.wait_for(running, "try 1 of 30")
        self.assertIn("accounts", running.stderr)
        self.assertIn("pid " + pid, running.stderr)
        self.assertIn("nightly report", running.stderr)
        # Between two tries it holds nothing: others get at the table.
        self.assertEqual(self.world.db.value("SET lock_timeout = '2s'; SELECT count(*) FROM accounts"), "3000")
        reader.run("COMMIT")
        self.assertEqual(running.wait().rc, DONE)
        self.assert_as_whole()

    def test_interrupted_between_two_tries(self):
        self.session("BEGIN", "LOCK TABLE accounts IN ACCESS SHARE MODE")
        running = self.start()
        self.wait_for(running, "try 1 of 30")
        running.signal(signal.SIGINT)
        done = running.wait(20)
        self.assertEqual(done.rc, INTERRUPTED, done)
        self.assertIn("nothing of this step was done", done.stderr)
        self.assertEqual(self.world.db.value("SELECT count(*) FROM pg_attribute WHERE attname = 'balance_big'"), "0")

    def test_a_deadlock_is_tried_again(self):
        self.world.own_project(plan={
            "        sql: ALTER TABLE accounts ADD COLUMN balance_big bigint":
            "        lock_timeout: 8s\n        sql: |\n          ALTER TABLE order_lines ADD COLUMN side text;\n"
            "          ALTER TABLE accounts ADD COLUMN balance_big bigint"})
        other = self.session("SET deadlock_timeout = '60s'", "BEGIN", "SELECT count(*) FROM accounts")
        running = self.start()
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'accounts'::regclass"
        pgtest.wait_until(lambda: self.world.db.value(waits) == "1", what="the step to wait for accounts")
        other.send("SELECT count(*) FROM order_lines")  # which the step has locked: each waits for the other
        self.wait_for(running, "try 1 of 30")
        other.run("COMMIT")
        self.assertEqual(running.wait().rc, DONE)
        self.assertEqual(self.world.db.value("SELECT count(*) FROM information_schema.columns WHERE column_name IN ('side', 'balance_big')"), "2")

    def test_a_statement_that_takes_too_long(self):
        self.world.own_project(plan={
            "        sql: ALTER TABLE accounts ADD COLUMN balance_big bigint":
            "        statement_timeout: 300ms\n        sql: |\n          ALTER TABLE accounts ADD COLUMN balance_big bigint;\n"
            "          CREATE TABLE slow AS SELECT 1 AS one FROM pg_sleep(5)"})
        done = self.world.run(self.lab.args)
        self.assertEqual(done.rc, HALFWAY, done)
        self.assertIn("57014", done.stderr)
        self.assertIn('step "column"', done.stderr)
        self.assertEqual(self.world.db.value("SELECT count(*) FROM pg_attribute WHERE attname = 'balance_big'"), "0")
        self.world.change(plan={"pg_sleep(5)": "pg_sleep(0)"})
        done = self.world.run(self.lab.args)
        self.assertEqual(done.rc, DONE, done)

    # ---- what a killed run left ----------------------------------------------------------------------------------

    def test_an_index_outlasts_a_transaction_that_is_older(self):
        """It is built once, however long that takes; beginning again after a short time-out would never end."""
        old = self.session("SET application_name = 'nightly report'", "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT 1")
        pid = old.run("SELECT pg_backend_pid()")[0]
        time.sleep(1.1)
        running = self.start()
        self.wait_for(running, "ends when every transaction has that is open now")
        self.assertIn("the oldest is of pid %s (nightly report)" % pid, running.stderr)
        waits = "SELECT count(*) FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting for%'"
        pgtest.wait_until(lambda: self.world.db.value(waits) == "1", what="the index to wait")
        time.sleep(2.5)  # longer than any try for a lock
        self.assertEqual(self.world.db.value(waits), "1")
        old.run("COMMIT")
        self.assertEqual(running.wait().rc, DONE)
        self.assertNotIn("try 1 of 30", running.stderr)
        self.assertNotIn("half made", running.stderr)
        self.assert_as_whole()

    def test_killed_while_an_index_is_built(self):
        self.world.db.psql("CREATE FUNCTION slowly(bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS "
                           "$$BEGIN PERFORM pg_sleep(0.002); RETURN $1; END$$")
        self.world.own_project(plan={
            "sql: CREATE INDEX CONCURRENTLY accounts_balance_big ON accounts (balance_big)":
            "sql: CREATE INDEX CONCURRENTLY accounts_slowly ON accounts (public.slowly(id))"})
        running = self.start()
        built = "SELECT count(*) FROM pg_stat_progress_create_index"
        pgtest.wait_until(lambda: self.world.db.value(built) == "1", what="the index to be built")
        running.kill()
        done = self.world.run(self.lab.args)
        self.assertEqual(done.rc, DONE, done)
        self.assertEqual(self.world.db.psql("SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
                                            " WHERE i.indrelid = 'accounts'::regclass ORDER BY 1"),
                         [["accounts_pkey", "t"], ["accounts_slowly", "t"]])

    def test_killed_in_a_long_transaction(self):
        self.world.own_project(plan={
            "        sql: ALTER TABLE accounts ADD COLUMN balance_big bigint":
            "        statement_timeout: 60s\n        sql: |\n          ALTER TABLE accounts ADD COLUMN balance_big bigint;\n"
            "          CREATE TABLE slow AS SELECT 1 AS one FROM pg_sleep(4)"})
        running = self.start()
        sleeps = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(4)%' AND state = 'active' AND pid <> pg_backend_pid()"
        pgtest.wait_until(lambda: self.world.db.value(sleeps) == "1", what="the step to sleep")
        running.kill()
        self.world.change(plan={"pg_sleep(4)": "pg_sleep(0)"})
        began = time.monotonic()
        done = self.world.run(self.lab.args)
        self.assertEqual(done.rc, DONE, done)
        self.assertLess(time.monotonic() - began, 20)
        self.assertEqual(self.world.db.value("SELECT count(*) FROM pg_class WHERE relname = 'slow'"), "1")

    def left_behind(self):
        return self.session("SET application_name = 'phasegate/20260101000000000-0dead000/column'", "BEGIN",
                            "ALTER TABLE accounts SET (fillfactor = 90)")

    def test_a_session_left_behind_is_named(self):
        session = self.left_behind()
        pid = session.run("SELECT pg_backend_pid()")[0]
        done = self.world.run(self.lab.args + ["--lock-wait", "0s"])
        self.assertEqual(done.rc, LOCKED, done)
        self.assertIn("20260101000000000-0dead000", done.stderr)
        self.assertIn(pid, done.stderr)
        self.assertIn("pg_terminate_backend", done.stderr)
        self.assertEqual(self.world.run(["status", "--format", "json"]).rc, DONE)  # looking needs no lease

    def test_a_session_left_behind_is_waited_for(self):
        session = self.left_behind()
        running = self.start("--lock-wait", "60s")
        self.wait_for(running, "a session that an earlier run has left behind")
        session.run("ROLLBACK")
        self.assertEqual(running.wait().rc, DONE)
        self.assert_as_whole()


if __name__ == "__main__":
    unittest.main()

"""What a backfill does before its first batch, on tables that aren't the usual ones."""

import threading
import time
import unittest

import pgtest
import project

NAME = "fill-it"


def plan_of(phases=None, **fill):
    fill = dict({"id": "fill", "table": "t", "set": {"b": "upper(a)"}, "where": "b IS NULL"}, **fill)
    parts = {"dual_read": project.phase("dual_read", backfill=[fill])}
    parts.update(phases or {})
    return project.plan(NAME, phases=parts)


TABLE = "CREATE TABLE t (id int PRIMARY KEY, a text, b text); INSERT INTO t SELECT i, 'x' || i FROM generate_series(1, %d) i"


class Begin(project.Case):
    def backfill(self, p):
        return p.json("backfill", NAME)["result"]["backfills"][0]

    # ---- names ------------------------------------------------------------------------------------------------

    def test_names_that_need_quotes(self):
        p = self.project(plans=[plan_of(table='"Order ""Items"""', set={"New b": 'upper("Old.a")'}, where='"New b" IS NULL',
                                        workers=2)],
                         baseline='CREATE TABLE "Order ""Items""" ("Id" int, "2nd" text, "Old.a" text, "New b" text,'
                                  ' PRIMARY KEY ("Id", "2nd"));'
                                  """INSERT INTO "Order ""Items""\" SELECT i, i % 7, 'x' || i, NULL FROM generate_series(1, 9000) i""")
        p.advance(NAME, "1.2.0")
        self.assertEqual(p.db.value("""SELECT count(*) FROM "Order ""Items""\" WHERE "New b" IS DISTINCT FROM upper("Old.a")"""), "0")
        self.assertEqual(self.backfill(p)["rows_changed"], 9000)

    def test_names_in_a_schema(self):
        p = self.project(plans=[plan_of(table='"My Shop"."Order.Items"', key=["Id"])],
                         baseline='CREATE SCHEMA "My Shop"; CREATE TABLE "My Shop"."Order.Items" ("Id" int NOT NULL UNIQUE, a text,'
                                  """ b text); INSERT INTO "My Shop"."Order.Items" SELECT i, 'x' FROM generate_series(1, 500) i""")
        p.advance(NAME, "1.2.0")
        self.assertEqual(self.backfill(p)["rows_changed"], 500)

    # ---- children ---------------------------------------------------------------------------------------------

    def test_children_are_tables_of_their_own(self):
        """Neither filled nor asked for: who wants them filled has a backfill for them."""
        verify = project.phase("write_activation", verify=[{"id": "own", "sql": "SELECT count(*) FROM ONLY t WHERE b IS NULL",
                                                            "expect": "= 0"}])
        p = self.project(plans=[plan_of(phases={"write_activation": verify})],
                         baseline=TABLE % 300 + "; CREATE TABLE child () INHERITS (t); INSERT INTO child VALUES (1000, 'y', NULL)")
        p.advance(NAME, "1.2.0")
        p.advance(NAME, "1.3.0")
        self.assertEqual(p.db.psql("SELECT count(*), count(b) FROM t"), [["301", "300"]])

    # ---- statistics ---------------------------------------------------------------------------------------------

    def test_what_nobody_analyzed_has_slices_too(self):
        """ANALYZE needs a lock that somebody may have for hours."""
        p = self.project(plans=[plan_of(workers=2)], baseline=TABLE % 60000)
        p.db.psql("ALTER TABLE t SET (autovacuum_enabled = off)")
        holder = p.db.session("BEGIN", "LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE")
        self.addCleanup(holder.close)
        p.advance(NAME, "1.2.0")
        b = self.backfill(p)
        self.assertEqual(p.db.value("SELECT count(*) FROM pg_stats WHERE tablename = 't'"), "0")
        self.assertEqual((b["slices"] >= 8, b["rows_total"], b["rows_changed"]), (True, 60000, 60000))
        self.assertGreater(int(p.db.value("SELECT min(rows_done) FROM phasegate.backfill_slice")), 2000)

    # ---- locks --------------------------------------------------------------------------------------------------

    def hold(self, p, seconds):
        """The whole table, by somebody else."""
        held = threading.Thread(target=p.db.psql, args=(
            "SET application_name = 'nightly-job'; BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(%s); COMMIT" % seconds,))
        held.start()
        self.addCleanup(held.join)
        pgtest.wait_until(lambda: p.db.value("SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted"
                                             " AND relation = (SELECT oid FROM pg_class WHERE relname = 't')") == "1", 10, 0.05, "the lock")

    def test_a_lock_on_the_table_is_waited_for(self):
        p = self.project(plans=[plan_of()], baseline=TABLE % 1000)
        self.hold(p, 6)
        done = p.run("advance", NAME, "--release", "1.2.0")
        self.assertEqual(done.rc, 0, done)
        self.assertIn("nightly-job", done.stderr)
        self.assertEqual(self.backfill(p)["rows_changed"], 1000)


if __name__ == "__main__":
    unittest.main()

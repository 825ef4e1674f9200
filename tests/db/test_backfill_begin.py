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
        error = p.refused("preflight", "advance", NAME, "--release", "1.2.0")
        self.assertIn("locks t: somebody holds it against everybody", error["message"])
        p.body["policy"] = {"preflight": "off"}
        p.write()
        done = p.run("advance", NAME, "--release", "1.2.0")
        self.assertEqual(done.rc, 0, done)
        self.assertIn("nightly-job", done.stderr)
        self.assertEqual(self.backfill(p)["rows_changed"], 1000)

    # ---- what it will take ----------------------------------------------------------------------------------------

    def estimate(self, p, *more):
        return p.json("backfill", NAME, "estimate", *more)["result"]["estimates"][0]

    def test_an_estimate_writes_nothing(self):
        p = self.project(plans=[plan_of(where="b IS NULL AND id % 2 = 0")], baseline=TABLE % 50000)
        p.db.psql("VACUUM (ANALYZE) t")
        before = p.db.psql("SELECT pg_relation_size('t'), to_regnamespace('phasegate') IS NULL, sum(hashtext(t::text)) FROM t")
        e = self.estimate(p)
        self.assertEqual((e["name"], e["table_rows"], e["rows"], e["measured"]), ("fill", 50000, 25000, False))
        self.assertTrue(0 < e["least_ms"] < e["ms"] < e["most_ms"], e)
        self.assertGreater(e["batches"], 1)
        self.assertEqual(p.db.psql("SELECT pg_relation_size('t'), to_regnamespace('phasegate') IS NULL, sum(hashtext(t::text)) FROM t"),
                         before)
        self.assertEqual(p.db.value("SELECT count(*) FROM t WHERE xmax <> 0"), "0")
        text = p.ok("backfill", NAME, "estimate").stdout
        for words in ("about 25000 of 50000 rows to change", "batches", "time", "WAL", "growth", "--measure"):
            self.assertIn(words, text)

    def test_one_that_is_measured(self):
        """By batches that are rolled back; beside the truth afterwards."""
        p = self.project(plans=[plan_of()], baseline=TABLE % 50000)
        p.db.psql("VACUUM (ANALYZE) t")
        e = self.estimate(p, "--measure")
        self.assertEqual((e["measured"], e["rows"]), (True, 50000))
        self.assertEqual(p.db.value("SELECT count(*) FROM t WHERE b IS NOT NULL"), "0")
        p.advance(NAME, "1.2.0")
        b = self.backfill(p)
        for key in ("rows", "batches", "ms", "wal_bytes", "growth_bytes"):
            self.assertGreater(b["expected"][key], 0)
        self.assertEqual((b["expected"]["rows"], b["rows_changed"]), (50000, 50000))
        for made in (e, b["expected"]):
            self.assertTrue(b["wal_bytes"] / 3 < made["wal_bytes"] < 3 * b["wal_bytes"], (made, b))
            self.assertTrue(b["growth_bytes"] / 3 < made["growth_bytes"] < 3 * b["growth_bytes"], (made, b))
        self.assertRegex(p.ok("backfill", NAME).stdout, "expected 50000 rows in (.|\n)*took     50000 rows in ")
        self.assertEqual(self.estimate(p)["rows"], 0)
        self.assertIn("--measure belongs to estimate", p.json("backfill", NAME, "--measure", code=2)["error"]["message"])

    def test_before_its_column_is_there(self):
        p = self.project(plans=[plan_of(set={"c": "upper(a)"}, where="c IS NULL")], baseline=TABLE % 10)
        error = p.json("backfill", NAME, "estimate", code=5)["error"]
        self.assertEqual(error["sqlstate"], "42703")
        self.assertIn("phasegate advance " + NAME, error["hint"])

    # ---- what can't go well ------------------------------------------------------------------------------------------

    def refuse(self, baseline, words, **fill):
        p = self.project(plans=[plan_of(**fill)], baseline=baseline)
        before = p.db.psql("SELECT sum(hashtext(t::text)) FROM t")
        done = p.run("advance", NAME, "--release", "1.2.0")
        self.assertNotEqual(done.rc, 0)
        self.assertIn(words, done.stderr)
        self.assertIn("HINT", done.stderr)
        self.assertEqual(p.db.psql("SELECT sum(hashtext(t::text)) FROM t"), before)

    def test_what_changes_twice(self):
        self.refuse(TABLE % 100 + "; ALTER TABLE t ADD n int DEFAULT 1", "isn't idempotent", set={"n": "n + 1"}, where="n > 0")

    def test_what_stays_to_do(self):
        """Rows whose value is NULL: the same twice, but verification would find them."""
        p = self.project(plans=[plan_of()], baseline=TABLE % 100 + "; UPDATE t SET a = NULL WHERE id = 3")
        done = p.exits(1, "advance", NAME, "--release", "1.2.0")
        self.assertIn("1 of the first 20 rows are still to do", done.stderr)

    def test_a_key_without_an_index(self):
        self.refuse("CREATE TABLE t (id int PRIMARY KEY, k int NOT NULL, a text, b text);"
                    "INSERT INTO t SELECT i, i, 'x' FROM generate_series(1, 30000) i", "no index of table", key=["k"])


if __name__ == "__main__":
    unittest.main()

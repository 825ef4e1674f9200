"""backfill PLAN verify: nothing left, old and new agree, digests of the slices; by ranges, and gone on with after a kill."""

import json
import os
import time
import unittest

import pgtest
import project

BASELINE = """CREATE TABLE orders (id bigint PRIMARY KEY, legacy_ref text);
INSERT INTO orders SELECT i, 'R' || i FROM generate_series(1, 20000) i"""
NAME = "orders-ref"


def plan_with(**fill):
    fill = dict({"id": "fill", "batch": {"rows": 500, "min": 500, "max": 500}}, **fill)
    return project.full_plan(phases={"dual_read": project.phase("dual_read", backfill=[fill], rollout=[{"percent": 100}])})


class Verify(project.Case):
    def filled(self, baseline=BASELINE, **fill):
        p = self.project(plans=[plan_with(**fill)], baseline=baseline)
        p.advance(NAME, "1.1.0")
        p.advance(NAME, "1.2.0")
        return p

    def by_hand(self, p, sql):
        """Past the sync trigger."""
        p.db.psql("SET phasegate.backfill = on; " + sql)

    def verify(self, p, code=0):
        answer = p.json("backfill", NAME, "verify", code=code)
        return answer["result"]["verified"][0]

    # ---- what it says ------------------------------------------------------------------------------------------

    def test_all_rows_are_right(self):
        p = self.filled(workers=2)
        v = self.verify(p)
        self.assertEqual((v["rows"], v["left"], v["differing"], v["wrong"], v["compared"]), (20000, 0, 0, 0, True))
        self.assertEqual(sum(s["rows"] for s in v["slices"]), 20000)
        self.assertGreater(len(v["slices"]), 1)
        self.assertGreaterEqual(sum(s["ranges"] for s in v["slices"]), 40)  # ranges of 500 rows, a transaction each
        self.assertRegex(v["digest"], "^[0-9a-f]{16}$")
        self.assertNotEqual(v["digest"], "0" * 16)
        text = p.ok("backfill", NAME, "verify").stdout
        self.assertIn("20000 rows, all are right", text)
        self.assertIn(v["digest"], text)
        self.assertIsNotNone(p.db.value("SELECT verified_at FROM phasegate.backfill_job"))

    def test_the_same_rows_have_the_same_digests(self):
        p = self.filled(workers=2)
        first = self.verify(p)
        # Other places in the file, other settings of the session: the same contents.
        p.db.psql("VACUUM FULL orders; ALTER DATABASE \"%s\" SET DateStyle = 'SQL, DMY'" % p.db.name)
        again = self.verify(p)
        self.assertEqual([s["digest"] for s in first["slices"]], [s["digest"] for s in again["slices"]])
        self.assertEqual(first["digest"], again["digest"])
        p.db.psql("UPDATE orders SET legacy_ref = 'other' WHERE id = 7")  # the trigger keeps both sides equal
        other = self.verify(p)
        self.assertEqual(other["wrong"], 0)
        self.assertNotEqual(other["slices"][0]["digest"], first["slices"][0]["digest"])
        self.assertEqual([s["digest"] for s in other["slices"][1:]], [s["digest"] for s in first["slices"][1:]])

    def test_wrong_rows_are_listed_by_key(self):
        p = self.filled()
        self.by_hand(p, "UPDATE orders SET external_ref = 'wrong' WHERE id % 500 = 3 AND id > 3")
        v = self.verify(p, code=1)
        self.assertEqual((v["rows"], v["differing"], v["wrong"]), (20000, 39, 39))
        self.assertEqual([r["key"] for r in v["wrong_rows"]], [[str(503 + 500 * i)] for i in range(20)])
        self.assertNotIn("wrong'", json.dumps(v))  # keys, no values
        done = p.exits(1, "backfill", NAME, "verify")
        self.assertIn('["503"]', done.stdout)
        self.assertIn("and 19 more", done.stdout)
        self.assertIsNone(p.db.value("SELECT verified_at FROM phasegate.backfill_job"))
        self.by_hand(p, "UPDATE orders SET external_ref = legacy_ref WHERE external_ref = 'wrong'")
        self.assertEqual(self.verify(p)["wrong"], 0)

    def test_rows_behind_the_frozen_end_are_looked_at_too(self):
        p = self.filled()
        p.db.psql("INSERT INTO orders (id, legacy_ref) VALUES (30001, 'x'), (30002, 'y')")
        self.assertEqual(self.verify(p)["rows"], 20002)
        p.db.psql("INSERT INTO orders (id, legacy_ref) VALUES (30003, 'z')")
        self.by_hand(p, "UPDATE orders SET external_ref = NULL WHERE id = 30003")
        v = self.verify(p, code=1)
        self.assertEqual((v["rows"], [r["key"] for r in v["wrong_rows"]]), (20003, [["30003"]]))

    def test_what_is_left_and_what_differs_are_told_apart(self):
        p = self.project(plans=[project.plan(NAME, phases={"dual_read": project.phase("dual_read", backfill=[
            {"id": "fill", "table": "t", "set": {"b": "upper(a)"}, "where": "b IS NULL"}])})],
            baseline="CREATE TABLE t (k text, at date, a text, b text, PRIMARY KEY (k, at));"
                     "INSERT INTO t SELECT 'k' || i % 7, '2026-01-01'::date + i, 'v' || i FROM generate_series(1, 3000) i")
        p.advance(NAME, "1.2.0")
        v = self.verify(p)
        self.assertEqual((v["rows"], v["left"], v["differing"]), (3000, 0, 0))
        p.db.psql("UPDATE t SET b = NULL WHERE at = '2026-01-04'; UPDATE t SET b = 'V' WHERE at = '2026-01-05'")
        v = self.verify(p, code=1)
        self.assertEqual((v["left"], v["differing"], v["wrong"]), (1, 2, 2))  # NULL isn't what a gives either
        self.assertEqual(sorted((tuple(r["key"]), r["why"]) for r in v["wrong_rows"]),
                         [(("k3", "2026-01-04"), "left"), (("k4", "2026-01-05"), "differs")])

    def test_rows_that_could_not_be_filled_are_known(self):
        p = self.project(plans=[project.plan(NAME, phases={"dual_read": project.phase("dual_read", backfill=[
            {"id": "n", "table": "t", "set": {"n": "a::int"}, "where": "n IS NULL", "max_bad_rows": 10}])})],
            baseline="CREATE TABLE t (id bigint PRIMARY KEY, a text, n int);"
                     "INSERT INTO t SELECT i, CASE WHEN i % 1000 = 7 THEN 'odd' ELSE i::text END FROM generate_series(1, 5000) i")
        p.advance(NAME, "1.2.0")
        v = self.verify(p)
        self.assertEqual((v["rows"], v["left"], v["known"], v["wrong"]), (5000, 5, 5, 0))
        p.db.psql("UPDATE t SET a = 'odd', n = NULL WHERE id = 8")
        v = self.verify(p, code=1)
        self.assertEqual((v["left"], v["known"], v["wrong"]), (6, 5, 1))
        self.assertEqual(v["wrong_rows"], [{"key": ["8"], "why": "left"}])

    def test_values_that_are_others_each_time_are_not_compared(self):
        for value in ("clock_timestamp()::text", "random()::text", "nextval('s')::text", "now()::text"):
            p = self.project(plans=[project.plan(NAME, phases={"dual_read": project.phase("dual_read", backfill=[
                {"id": "fill", "table": "t", "set": {"b": value}, "where": "b IS NULL"}])})],
                baseline="CREATE TABLE t (id int PRIMARY KEY, b text); CREATE SEQUENCE s; INSERT INTO t SELECT generate_series(1, 10)")
            p.advance(NAME, "1.2.0")
            v = self.verify(p)
            self.assertEqual((v["rows"], v["left"], v["compared"], v["wrong"]), (10, 0, False, 0), value)
            self.assertIn("not compared", p.ok("backfill", NAME, "verify").stdout)
            p.db.psql("UPDATE t SET b = NULL WHERE id = 4")
            self.assertEqual(self.verify(p, code=1)["wrong_rows"], [{"key": ["4"], "why": "left"}], value)

    def test_rows_of_another_table(self):
        p = self.project(plans=[project.plan(NAME, phases={"dual_read": project.phase("dual_read", backfill=[
            {"id": "fill", "table": "t", "from": "names n", "match": "n.id = t.name_id", "set": {"b": "n.name"},
             "where": "t.b IS DISTINCT FROM n.name"}])})],
            baseline="CREATE TABLE names (id int PRIMARY KEY, name text); INSERT INTO names SELECT i, 'n' || i FROM generate_series(1, 9) i;"
                     "CREATE TABLE t (id int PRIMARY KEY, name_id int, b text); INSERT INTO t SELECT i, i % 11 FROM generate_series(1, 100) i")
        p.advance(NAME, "1.2.0")
        v = self.verify(p)
        self.assertEqual((v["rows"], v["left"], v["differing"], v["compared"]), (100, 0, 0, True))
        p.db.psql("UPDATE t SET b = 'x' WHERE id = 12")
        self.assertEqual([r["key"] for r in self.verify(p, code=1)["wrong_rows"]], [["12"]])

    def test_rows_for_another_table(self):
        p = self.project(plans=[project.plan(NAME, phases={"dual_read": project.phase("dual_read", backfill=[
            {"id": "fill", "table": "t", "insert": {"into": "u", "columns": ["id"], "select": "SELECT id FROM t ON CONFLICT (id) DO NOTHING"},
             "where": "NOT EXISTS (SELECT FROM u WHERE u.id = t.id)"}])})],
            baseline="CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 50)")
        p.advance(NAME, "1.2.0")
        v = self.verify(p)
        self.assertEqual((v["rows"], v["left"], v["compared"], v["wrong"]), (50, 0, False, 0))
        p.db.psql("DELETE FROM u WHERE id = 9")
        self.assertEqual(self.verify(p, code=1)["wrong_rows"], [{"key": ["9"], "why": "left"}])

    # ---- refusals ----------------------------------------------------------------------------------------------

    def test_before_it_is_done_and_after_all(self):
        p = self.project(plans=[plan_with(batch={"rows": 100, "min": 100, "max": 100}, throttle={"file": "stop"})], baseline=BASELINE)
        p.advance(NAME, "1.1.0")
        self.assertIn("no backfill", p.refused("not_running", "backfill", NAME, "verify")["message"])
        p.put("stop", "")
        run = p.start("advance", NAME, "--release", "1.2.0")
        self.addCleanup(run.close)
        pgtest.wait_until(lambda: p.json("backfill", NAME)["result"]["backfills"], 30)
        self.assertIn("isn't done", p.refused("not_done", "backfill", NAME, "verify")["message"])
        os.unlink(p.path("stop"))
        self.assertEqual(run.wait().rc, 0)
        self.verify(p)
        p.ok("advance", NAME, "--release", "1.3.0")
        self.assertEqual(self.verify(p)["wrong"], 0)
        p.ok("advance", NAME, "--release", "1.5.0")
        p.refused("not_running", "backfill", NAME, "verify")

    # ---- compare ------------------------------------------------------------------------------------------------

    def test_compare_names_the_rows_that_differ(self):
        """What verification finds equal and the comparison after it doesn't: told apart by the session's label."""
        body = project.full_plan(sync={"table": "orders", "forward": {"external_ref": "odd(id, legacy_ref)"}, "by": "trigger",
                                       "reverse": {"legacy_ref": "external_ref"}})
        body["phases"]["dual_read"]["compare"] = {"sample": "100%", "max_mismatch": 1}
        p = self.project(plans=[body], baseline=project.ORDERS + """;
            CREATE FUNCTION odd(bigint, text) RETURNS text LANGUAGE sql STABLE AS $$ SELECT CASE
            WHEN $1 IN (7, 300) AND current_setting('application_name') LIKE '%compare%' THEN 'odd' ELSE $2 END $$""")
        p.advance(NAME, "1.1.0")
        error = p.json("advance", NAME, "--release", "1.2.0", code=1)["error"]
        self.assertEqual(error["reason"], "mismatch")
        self.assertIn("differ in 2 rows of the sample, 1 are allowed", error["message"])
        self.assertIn('Keys of these rows: ["7"], ["300"]', error["detail"])

    # ---- killed, and more than one --------------------------------------------------------------------------------

    # However fast the machine: 20 ms for each thousand rows, in what is asked of them.
    SLOW = """CREATE TABLE t (id bigint PRIMARY KEY, a text, b text);
    INSERT INTO t SELECT i, 'v' || i, 'v' || i FROM generate_series(1, 20000) i;
    CREATE FUNCTION slow(text, bigint) RETURNS text LANGUAGE plpgsql STABLE AS
        'BEGIN IF $2 % 100 = 0 THEN PERFORM pg_sleep(0.02); END IF; RETURN $1; END'"""

    def slow(self, phases=None, **fill):
        fill = dict({"id": "fill", "table": "t", "set": {"b": "slow(a, id)"}, "where": "b IS NULL", "workers": 1,
                     "batch": {"rows": 200, "min": 200, "max": 200}}, **fill)
        parts = dict({"dual_read": project.phase("dual_read", backfill=[fill])}, **(phases or {}))
        p = self.project(plans=[project.plan(NAME, phases=parts)], baseline=self.SLOW)
        p.advance(NAME, "1.2.0")
        return p

    def rows_seen(self, p):
        return int(p.db.value("SELECT coalesce(sum(rows), 0) FROM phasegate.backfill_verified_slice"))

    def test_killed_it_goes_on_where_it_was(self):
        p = self.slow()
        for at in (1000, 5000, 9000):
            run = p.start("backfill", NAME, "verify")
            self.addCleanup(run.close)
            pgtest.wait_until(lambda: self.rows_seen(p) >= at, 60, 0.02)
            run.kill()
        seen = self.rows_seen(p)
        self.assertLess(seen, 20000)
        v = self.verify(p)
        self.assertEqual((v["rows"], v["wrong"]), (20000, 0))
        self.assertEqual(p.db.value("SELECT count(*) FROM phasegate.backfill_verification"), "1")
        # Every row was looked at once: the same digest as without a kill, and no range more than its share.
        self.assertLessEqual(sum(s["ranges"] for s in v["slices"]), 101)
        again = self.verify(p)
        self.assertEqual(again["digest"], v["digest"])
        self.assertEqual(p.db.value("SELECT count(*) FROM phasegate.backfill_verification"), "2")

    def test_two_at_once_share_it(self):
        p = self.slow(workers=2)
        runs = [p.start("--format", "json", "backfill", NAME, "verify") for _ in range(2)]
        found = []
        for run in runs:
            self.addCleanup(run.close)
            done = run.wait()
            self.assertEqual(done.rc, 0, done)
            found.append(done.json["result"]["verified"][0])
        self.assertEqual(found[0]["digest"], found[1]["digest"])
        self.assertEqual([f["rows"] for f in found], [20000, 20000])

    def test_no_transaction_is_long(self):
        """What holds the xmin horizon is a range, not the verification."""
        p = self.slow()
        run = p.start("backfill", NAME, "verify")
        self.addCleanup(run.close)
        longest = 0.0
        while run.is_running():
            age = p.db.value("SELECT coalesce(max(EXTRACT(epoch FROM clock_timestamp() - xact_start)), 0) FROM pg_stat_activity "
                             "WHERE application_name LIKE 'phasegate%' AND backend_xmin IS NOT NULL")
            longest = max(longest, float(age))
            time.sleep(0.02)
        self.assertEqual(run.wait().rc, 0)
        self.assertLess(longest, 1.5)  # all of it takes four seconds

    def test_pause_and_resume(self):
        p = self.slow()
        p.refused("not_running", "backfill", NAME, "pause")
        run = p.start("backfill", NAME, "verify")
        self.addCleanup(run.close)
        pgtest.wait_until(lambda: self.rows_seen(p) > 0, 30, 0.02)
        p.ok("--as", "ops", "backfill", NAME, "pause")
        time.sleep(2)
        before = self.rows_seen(p)
        time.sleep(1)
        self.assertEqual(self.rows_seen(p), before)
        self.assertLess(before, 20000)
        self.assertTrue(run.is_running())
        p.ok("backfill", NAME, "resume")
        self.assertEqual(run.wait().rc, 0)
        p.refused("not_running", "backfill", NAME, "pause")

    def test_a_brake_of_the_plan_is_no_matter(self):
        """It only reads: what rows hold is asked most of all when a plan was stopped."""
        p = self.slow(phases={"write_activation": project.phase("write_activation")})
        run = p.start("backfill", NAME, "verify")
        self.addCleanup(run.close)
        pgtest.wait_until(lambda: self.rows_seen(p) > 0, 30, 0.02)
        p.ok("pause", NAME, "--because", "looking")
        self.assertEqual(run.wait().rc, 0)
        self.assertEqual(self.verify(p)["rows"], 20000)
        self.assertEqual(p.db.value("SELECT brake FROM phasegate.plan_state"), "paused")

    def test_progress_and_throttles(self):
        p = self.slow(throttle={"file": "stop"})
        p.put("stop", "")
        run = p.start("--format", "jsonl", "backfill", NAME, "verify")
        self.addCleanup(run.close)

        def events():
            return [e for e in map(json.loads, run.stdout.splitlines()) if e.get("event") == "progress"]
        pgtest.wait_until(lambda: any(e["throttle"] == "stop" for e in events()), 30)
        self.assertEqual(self.rows_seen(p), 0)
        os.unlink(p.path("stop"))
        self.assertEqual(run.wait().rc, 0)
        self.assertEqual(events()[-1]["number"], 20000)


if __name__ == "__main__":
    unittest.main()

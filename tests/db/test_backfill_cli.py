"""backfill PLAN status, run, pause, resume, set, retry."""

import json
import os
import time
import unittest

import backfill
import project
from backfill import BASELINE, NAME, SLOWLY, plan_with


class Commands(backfill.Case):
    # ---- metrics -----------------------------------------------------------------------------------------------

    def test_metrics_for_prometheus(self):
        p = self.begin()
        path = os.path.join(p.dir, "out.prom")
        lines = p.ok("advance", NAME, "--release", "1.2.0", "--metrics-file", path, "--format", "jsonl").stdout.splitlines()
        with open(path, encoding="utf-8") as f:
            text = f.read()
        labels = '{plan="orders-ref",phase="dual_read",backfill="fill"}'
        for line in ("rows_processed_total%s 20000", "rows_changed_total%s 20000", "rows_failed%s 0", "finished%s 1", "throttled%s 0"):
            self.assertIn("\nphasegate_backfill_" + line % labels + "\n", text)
        names = [line.split("{")[0] for line in text.splitlines() if not line.startswith("#")]
        self.assertEqual(len(names), len(set(names)))
        for name in names:
            self.assertIn("# TYPE %s " % name, text)
        last = [e for e in map(json.loads, lines) if e.get("event") == "progress"][-1]
        self.assertEqual((last["changed"], last["failed"], last["throttle"], last["reason"]), (20000, 0, "ok", None))

    def test_metrics_that_cannot_be_written_stop_nothing(self):
        p = self.begin()
        done = p.ok("advance", NAME, "--release", "1.2.0", "--metrics-file", "/nowhere/out.prom")
        self.assertEqual(done.stderr.count("--metrics-file"), 1, done)
        self.assertEqual(p.exits(2, "backfill", NAME, "--metrics-file", "x").rc, 2)

    # ---- status ------------------------------------------------------------------------------------------------

    def test_before_it_begins(self):
        p = self.project(plans=[plan_with()], baseline=BASELINE)
        self.assertEqual(p.json("backfill", NAME)["result"]["backfills"], [])
        self.assertIn("no backfill has begun", p.ok("backfill", NAME, "status").stdout)
        self.assertEqual(p.db.value("SELECT to_regnamespace('phasegate') IS NULL"), "t")
        self.assertEqual(p.refused("not_running", "backfill", NAME, "set", "duty=0.5")["reason"], "not_running")
        error = p.refused("not_running", "backfill", NAME, "run")
        self.assertIn("phasegate advance orders-ref", error["hint"])

    def test_once_it_is_done(self):
        p = self.begin()
        p.advance(NAME, "1.2.0")
        b = self.backfill(p)
        self.assertEqual((b["status"], b["rows_done"], b["rows_changed"], b["rows_failed"]), ("done", 20000, 20000, 0))
        self.assertEqual((b["slices"], b["runners"], b["bad_rows"]), (1, [], []))
        self.assertGreaterEqual(b["batches"], 200)
        self.assertGreater(b["wal_bytes"], 0)
        self.assertGreater(b["growth_bytes"], 0)
        self.assertIn("rows     20000, 20000 changed", p.ok("backfill", NAME).stdout)
        self.assertIn("nothing to do", p.ok("backfill", NAME, "retry").stdout)

    def test_what_has_ended_is_told_nothing(self):
        p = self.project(plans=[plan_with()], baseline=BASELINE)
        p.advance_through(NAME, "write_activation")
        for what in (["pause"], ["resume"], ["set", "duty=0.5"], ["run"]):
            self.assertIn("hint", p.refused("not_running", "backfill", NAME, *what), what)
        p.advance(NAME, "1.5.0")
        p.ok("purge", NAME, "--confirm", NAME)
        for what in (["pause"], ["resume"], ["set", "duty=0.5"], ["run"], ["retry"]):
            error = p.refused("not_running", "backfill", NAME, *what)
            self.assertRegex(error["message"], "nothing to do|no backfill of plan orders-ref is running", what)
        self.assertEqual(self.backfill(p)["status"], "done")

    def test_rows_without_a_key(self):
        """No range has them: refused before it begins, and not waited for."""
        p = self.project(plans=[project.plan(NAME, phases={"dual_read": project.phase("dual_read", backfill=[
            {"id": "fill", "table": "t", "key": ["id"], "set": {"b": "a"}, "where": "b IS DISTINCT FROM a"}])})],
            baseline="CREATE TABLE t (id int UNIQUE, a text, b text); INSERT INTO t SELECT i, 'x' FROM generate_series(1, 10) i;"
                     "INSERT INTO t VALUES (NULL, 'y')")
        done = p.run("advance", NAME, "--release", "1.2.0")
        self.assertNotEqual(done.rc, 0)
        self.assertIn("rows whose key is NULL", done.stderr)
        self.assertIn("key:", done.stderr)
        p.db.psql("DELETE FROM t WHERE id IS NULL")
        p.advance(NAME, "1.2.0")
        self.assertEqual(p.db.value("SELECT count(*) FROM t WHERE b IS NULL"), "0")

    # ---- pause, resume, set --------------------------------------------------------------------------------------

    def test_pause_and_resume(self):
        p = self.begin(SLOWLY, batch={"rows": 50, "min": 50, "max": 50})
        run = self.start(p)
        self.until(p, lambda b: b["rows_done"] > 0, "the first batch")
        p.ok("--as", "ops", "backfill", NAME, "pause")
        b = self.until(p, lambda b: b["runners"] and b["runners"][0]["level"] == "stop", "the stop")
        self.assertEqual(b["runners"][0]["reason"], "paused by ops")
        self.assertIn("stop: paused by ops, since", p.ok("backfill", NAME).stdout)
        self.assertIn("paused   its backfill, by ops; go on: phasegate backfill orders-ref resume", p.ok("status", NAME).stdout)
        self.assertEqual(p.status(NAME)["backfill_paused_by"], "ops")
        before = self.backfill(p)["rows_done"]
        time.sleep(1.5)
        self.assertEqual(self.backfill(p)["rows_done"], before)
        self.assertLess(before, 20000)
        p.ok("backfill", NAME, "resume")
        self.assertIsNone(p.status(NAME)["backfill_paused_by"])
        self.assertEqual(run.wait().rc, 0)
        self.assertEqual(self.backfill(p)["rows_changed"], 20000)

    def test_plans_pause_ends_it_between_batches(self):
        p = self.begin(SLOWLY, batch={"rows": 50, "min": 50, "max": 50})
        run = self.start(p)
        self.until(p, lambda b: b["rows_done"] > 0, "the first batch")
        p.ok("pause", NAME)
        self.assertEqual(run.wait().rc, 5)
        b = self.backfill(p)
        self.assertEqual((b["status"], b["slices_running"], b["runners"]), ("running", 0, []))
        self.assertEqual(p.db.value("SELECT count(*) FROM orders WHERE external_ref IS NOT NULL"), str(b["rows_done"]))
        p.ok("resume", NAME)
        p.advance(NAME, "1.2.0")
        self.assertEqual(self.backfill(p)["rows_changed"], 20000)

    def test_settings(self):
        p = self.begin(SLOWLY, batch={"rows": 50, "min": 50, "max": 50})
        run = self.start(p)
        self.until(p, lambda b: b["rows_done"] > 0, "the first batch")
        p.ok("backfill", NAME, "set", "max_rows=5000", "duty=0.9", "replica_lag=7s")
        b = self.backfill(p)
        self.assertEqual(b["set"], {"max_rows": "5000", "duty": "0.9", "replica_lag": "7s"})
        p.ok("backfill", NAME, "set", "duty=")
        self.assertEqual(self.backfill(p)["set"], {"max_rows": "5000", "replica_lag": "7s"})
        for given in (["min_rows=5001"], ["min_rows=10", "max_rows=9"], ["max_rows=49"], ["max_rows="] + ["min_rows=51"]):
            error = p.json("backfill", NAME, "set", *given, code=2)["error"]
            self.assertIn("expected min_rows up to max_rows", error["message"], given)
        self.assertEqual(self.backfill(p)["set"], {"max_rows": "5000", "replica_lag": "7s"})
        self.assertEqual(run.wait().rc, 0)
        self.assertGreater(int(p.db.value("SELECT max(rows_asked) FROM phasegate.backfill_batch")), 50)

    def test_settings_that_are_none(self):
        p = self.project(plans=[plan_with()], baseline=BASELINE)
        for given, words in (("dutty=1", 'did you mean duty'), ("duty=2", "expected a share of the time"),
                             ("replica_lag=soon", "expected a time like 5s"), ("target", "expected KEY=VALUE"),
                             ("lock_waiters=0", "expected a whole number"), ("target=1h", "from 1ms to 30s"),
                             ("http=file:", "expected a URL"), ("replica_lag=5", "from 100ms to 24h"), ("max_rows=1e3", "a whole number")):
            error = p.json("backfill", NAME, "set", given, code=2)["error"]
            self.assertIn(words, error["message"], given)
        self.assertIn("what?", p.json("backfill", NAME, "set", code=2)["error"]["message"])
        self.assertIn("too many", p.json("backfill", NAME, "run", "now", code=2)["error"]["message"])

    # ---- more workers --------------------------------------------------------------------------------------------

    def test_another_process_helps(self):
        p = self.begin(workers=2, batch={"rows": 50, "min": 50, "max": 50}, throttle={"file": "stop"})
        p.put("stop", "")
        run = self.start(p)
        self.until(p, lambda b: b["runners"], "the first process")
        helper = p.start("backfill", NAME, "run", "--workers", "2")
        self.addCleanup(helper.close)
        b = self.until(p, lambda b: len(b["runners"]) == 2 or not helper.is_running(), "two processes")
        self.assertTrue(helper.is_running(), helper)
        os.unlink(p.path("stop"))
        self.assertEqual(len({r["pid"] for r in b["runners"]}), 2)
        self.assertEqual((run.wait().rc, helper.wait().rc), (0, 0))
        self.assertGreater(int(p.db.value("SELECT count(DISTINCT split_part(owner, '#', 1)) FROM phasegate.backfill_slice")), 1)
        self.assertEqual(p.db.value("SELECT count(*) FROM orders WHERE external_ref IS DISTINCT FROM legacy_ref"), "0")
        self.assertEqual(self.backfill(p)["rows_changed"], 20000)

    def test_an_advance_that_died_is_gone_on_with(self):
        p = self.begin(SLOWLY, batch={"rows": 50, "min": 50, "max": 50})
        run = self.start(p)
        self.until(p, lambda b: b["rows_done"] > 0, "the first batch")
        run.kill()
        p.ok("backfill", NAME, "run")
        b = self.backfill(p)
        self.assertEqual((b["status"], b["rows_done"], b["slices_done"]), ("running", 20000, 1))
        p.advance(NAME, "1.2.0")
        b = self.backfill(p)
        self.assertEqual((b["status"], b["rows_changed"]), ("done", 20000))

    # ---- rows that can't be filled -------------------------------------------------------------------------------

    ODD = """CREATE TABLE orders (id bigint PRIMARY KEY, legacy_ref text, n int);
    INSERT INTO orders SELECT i, CASE WHEN i % 1000 = 7 THEN 'odd' ELSE i::text END FROM generate_series(1, 5000) i"""

    def odd(self, **more):
        fill = dict({"id": "n", "table": "orders", "set": {"n": "legacy_ref::int"}, "where": "n IS NULL"}, **more)
        return self.project(plans=[project.plan(NAME, phases={"dual_read": project.phase("dual_read", backfill=[fill])})],
                            baseline=self.ODD)

    def test_bad_rows_are_listed_and_tried_again(self):
        p = self.odd(max_bad_rows=10)
        p.advance(NAME, "1.2.0")
        b = self.backfill(p)
        self.assertEqual((b["status"], b["rows_changed"], b["rows_failed"]), ("done", 4995, 5))
        self.assertEqual([r["key"] for r in b["bad_rows"]], [["7"], ["1007"], ["2007"], ["3007"], ["4007"]])
        self.assertEqual({r["sqlstate"] for r in b["bad_rows"]}, {"22P02"})
        p.db.psql("UPDATE orders SET legacy_ref = '1' WHERE id IN (7, 1007)")
        answer = p.json("backfill", NAME, "retry", code=1)["result"]
        self.assertEqual((answer["filled"], answer["left"]), (2, 3))
        self.assertEqual(p.db.value("SELECT count(*) FROM orders WHERE n IS NULL"), "3")
        self.assertEqual([r["key"] for r in self.backfill(p)["bad_rows"]], [["2007"], ["3007"], ["4007"]])
        p.db.psql("UPDATE orders SET legacy_ref = '1' WHERE legacy_ref = 'odd'")
        answer = p.json("backfill", NAME, "retry")["result"]
        self.assertEqual((answer["filled"], answer["left"]), (3, 0))
        self.assertEqual(self.backfill(p)["rows_failed"], 0)

    def test_more_than_allowed(self):
        p = self.odd(max_bad_rows=2)
        error = p.json("advance", NAME, "--release", "1.2.0", code=5)["error"]
        self.assertIn("3 rows can't be filled, at most 2 may be", error["message"])
        p.db.psql("UPDATE orders SET legacy_ref = '1' WHERE legacy_ref = 'odd'")
        p.advance(NAME, "1.2.0")
        b = self.backfill(p)
        self.assertEqual((b["status"], b["rows_failed"]), ("done", 0))
        self.assertEqual(p.db.value("SELECT count(*) FROM orders WHERE n IS NULL"), "0")

    def test_none_allowed(self):
        p = self.odd()
        error = p.json("advance", NAME, "--release", "1.2.0", code=5)["error"]
        self.assertEqual(error["sqlstate"], "22P02")
        self.assertIn('["7"]', error["detail"])


if __name__ == "__main__":
    unittest.main()

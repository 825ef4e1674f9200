"""status and doctor: where each plan stands, what it waits for, and what is broken; both only look."""

import json
import os
import signal
import time
import unittest

import pgtest
import project
from project import BOUND, PHASES, column_plan, full_plan, phase, plan, step


class Status(project.Case):
    def test_before_anything(self):
        p = self.project(plans=[full_plan()])
        result = p.json("status")["result"]
        self.assertEqual((result["environment"], result["up_to_date"], result["outstanding"]), ("staging", False, 1))
        [s] = result["plans"]
        self.assertEqual((s["plan"], s["stage"], s["pending"], s["next_phase"], s["next_release"], s["go"], s["brake"]),
                         ("orders-ref", "planned", True, "expand", "1.1.0", True, None))
        self.assertEqual(s["next_command"], "phasegate advance orders-ref --release 1.1.0")
        self.assertEqual((s["steps_done"], s["steps_total"]), (0, 3))
        self.assertIn("1 outstanding of 1 plan", p.ok("status").stdout)

    def test_the_next_command_works(self):
        p = self.project(plans=[full_plan()])
        for _ in range(5):
            command = p.status("orders-ref")["next_command"].split()
            self.assertEqual(command[0], "phasegate")
            p.ok(*command[1:])
        self.assertEqual(p.stage("orders-ref"), "purged")
        self.assertIsNone(p.status("orders-ref")["next_command"])

    def test_a_look_reads_no_table_whole(self):
        """Before contract, advance compares old and new over the whole table. Whoever only looks doesn't wait for that."""
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "write_activation")

        def scans():
            time.sleep(0.5)  # a session's figures are in soon after its end
            return p.db.value("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'orders'")

        before = scans()
        p.ok("status", "orders-ref")
        p.ok("status")
        self.assertEqual(scans(), before)
        p.advance("orders-ref", "1.5.0")
        self.assertGreater(scans(), before)

    def test_everything_done(self):
        p = self.project(plans=[column_plan()])
        p.advance("orders-ref", "1.1.0")
        done = p.ok("status", "--exit-code")
        self.assertIn("up to date (1 plan)", done.stdout)
        result = p.json("status")["result"]
        self.assertEqual((result["up_to_date"], result["outstanding"]), (True, 0))

    def test_exit_code(self):
        p = self.project(plans=[column_plan()])
        p.ok("status")
        p.exits(1, "status", "--exit-code")

    def test_no_plans(self):
        p = self.project()
        self.assertIn("up to date (0 plans)", p.ok("status", "--exit-code").stdout)

    def test_halfway_with_steps_left_and_since_when(self):
        body = plan("p", phases={"expand": phase("expand", steps=[step("a", "CREATE TABLE a ()"), step("b", "CREATE TABLE b ()"),
                                                                   step("bad", "CREATE TABLE x AS SELECT 1/0 AS y")])})
        p = self.project(plans=[body])
        p.exits(5, "advance", "p", "--release", "1.1.0")
        s = p.status("p")
        self.assertEqual((s["stage"], s["steps_done"], s["steps_total"], s["next_command"]),
                         ("expand running", 2, 3, "phasegate advance p --release 1.1.0"))
        self.assertIsNotNone(s["since"])
        self.assertIn("2 of 3", p.ok("status").stdout)

    def test_what_is_missing_with_who_and_what_releases_it(self):
        p = self.project(plans=[column_plan("a-first", phases={"expand": phase("expand", steps=[step("t", "CREATE TABLE t AS SELECT 1/0 AS x")])}),
                                column_plan(stamp=20260102000000, depends_on=[{"plan": "a-first", "phase": "expand"}],
                                            requires=[{"table": "customers"}])], policy={"approvals": {"expand": 1}})
        p.ok("--as", "alice", "approve", "a-first", "expand")
        p.exits(5, "advance", "a-first", "--release", "1.1.0")
        p.ok("--as", "bob", "approve", "orders-ref", "expand", "--refuse", "--because", "not yet")
        missing = {m["reason"]: m for m in p.status("orders-ref")["missing"]}
        self.assertEqual(sorted(missing), ["approval", "dependency", "requirement"])
        self.assertEqual(missing["approval"]["holder"], "bob")
        self.assertIsNotNone(missing["dependency"]["since"])
        self.assertIn("phasegate advance a-first --release 1.1.0", missing["dependency"]["released_by"])
        text = p.ok("status", "orders-ref").stdout
        for word in ("missing for the next phase", "held by bob", "customers", "released by"):
            self.assertIn(word, text)

    def test_a_plan_whose_file_is_gone(self):
        p = self.project(plans=[column_plan("gone"), column_plan(stamp=20260102000000, phases={
            "expand": phase("expand", steps=[step("t", "CREATE TABLE t ()")])})])
        p.advance("orders-ref", "1.1.0")
        p.write_plan(full_plan("gone"))
        p.advance("gone", "1.1.0")
        os.unlink(p.path("plans/20260101000000-gone.yaml"))
        text = p.exits(1, "status", "--exit-code").stdout
        self.assertIn("1 outstanding of 2 plans", text)
        self.assertIn("gone: expand done, and no file has it", text)
        result = p.json("status")["result"]
        self.assertEqual((result["up_to_date"], result["outstanding"]), (False, 1))
        self.assertEqual([(l["plan"], l["stage"]) for l in result["lost"]], [("gone", "expand done")])
        os.unlink(p.path("plans/20260102000000-orders-ref.yaml"))
        self.assertIn("1 outstanding of 1 plan\n", p.ok("status").stdout, "the other one is finished")

    def test_a_plan_that_was_renamed(self):
        p = self.project(plans=[full_plan("orders-ref")])
        p.advance("orders-ref", "1.1.0")
        os.unlink(p.path("plans/20260101000000-orders-ref.yaml"))
        p.write_plan(full_plan("other-name", flags={"read": {"key": "orders-ref-read"}, "write": {"key": "orders-ref-write"}}))
        missing = p.json("advance", "other-name", "--release", "1.1.0", "--dry-run", code=4)["result"]["plans"][0]["missing"]
        self.assertEqual([m["reason"] for m in missing], ["requirement", "edited"])  # its columns are synced already, too
        m = missing[1]
        self.assertIn('step column was applied as one of plan orders-ref, which the ledger has at "expand done" and no file', m["what"])
        p.exits(4, "advance", "other-name", "--release", "1.1.0")
        self.assertIn("plan: orders-ref", p.ok("status", "other-name").stdout)

    def test_a_backfill_under_way(self):
        """From elsewhere: which task, and how many rows so far."""
        body = full_plan()
        body["phases"]["dual_read"]["backfill"] = [{"id": "fill", "batch": {"rows": 100, "min": 100, "max": 100}}]
        p = self.project(plans=[body], baseline=project.ORDERS + "; ANALYZE orders")
        p.advance("orders-ref", "1.1.0")
        with p.db.session("BEGIN", "SELECT 1 FROM orders WHERE id = 450 FOR UPDATE") as holder:
            run = p.start("advance", "orders-ref", "--release", "1.2.0", "--format", "jsonl")
            pgtest.wait_until(lambda: "lock on" in run.stdout, what="the backfill that waits for the row")
            s = p.status("orders-ref")
            self.assertEqual((s["task"], s["rows_done"], s["rows_total"]), ("backfill/fill", 400, 500))
            self.assertIn("task     backfill/fill: 400 of about 500 rows", p.ok("status", "orders-ref").stdout)
            run.signal(signal.SIGINT)
            run.wait(30)
            holder.run("ROLLBACK")
        s = p.status("orders-ref")
        self.assertEqual((s["task"], s["rows_done"]), ("backfill/fill", 400))
        done = p.ok("--format", "jsonl", "advance", "orders-ref", "--release", "1.2.0")
        rates = [e["rate"] for e in done.lines if e.get("event") == "progress" or e.get("kind") == "progress"]
        self.assertTrue(rates)
        # 100 rows are left; those of the run before took none of this one's time.
        last = [e for e in done.lines if "progress" in (e.get("event"), e.get("kind"))][-1]
        self.assertLessEqual(last["rate"], 100 * 1000)
        s = p.status("orders-ref")
        self.assertEqual((s["task"], s["rows_done"]), (None, None))

    def test_a_brake_ends_what_was_waited_for(self):
        p = self.project(plans=[full_plan(pause="1h")])
        p.advance("orders-ref", "1.1.0")
        p.exits(5, "advance", "orders-ref", "--release", "1.2.0", "--no-wait")
        self.assertIn("the pause at 10 %", p.status("orders-ref")["waiting"]["for"])
        p.ok("pause", "orders-ref")
        self.assertIsNone(p.status("orders-ref")["waiting"])
        self.assertNotIn("waits", p.ok("status", "orders-ref").stdout)

    def test_an_edit_is_pointed_at(self):
        body = full_plan()
        p = self.project(plans=[body])
        p.advance("orders-ref", "1.1.0")
        body["phases"]["expand"]["steps"][1]["sql"] = "CREATE INDEX CONCURRENTLY orders_external_ref ON orders (external_ref, id)"
        p.write_plan(body)
        self.assertRegex(p.ok("status", "orders-ref").stdout,
                         r"step index of expand reads differently from what was applied \(plans/20260101000000-orders-ref.yaml:\d+\): undo the edit, or: phasegate accept")
        self.assertEqual(p.status("orders-ref")["edited_step"], "index")

    def test_an_edited_sync_is_shown(self):
        body = full_plan()
        p = self.project(plans=[body])
        p.advance("orders-ref", "1.1.0")
        self.assertIsNone(p.status("orders-ref")["sync_broken"])
        body["sync"]["forward"]["external_ref"] = "upper(legacy_ref)"
        p.write_plan(body)
        self.assertIn("does something else than the plan says", p.status("orders-ref")["sync_broken"])
        self.assertRegex(p.ok("status", "orders-ref").stdout, r"sync     the sync trigger on orders .*\(plans/20260101000000-orders-ref.yaml:\d+\)")

    def test_a_brake_is_shown(self):
        p = self.project(plans=[full_plan()])
        p.advance("orders-ref", "1.1.0")
        p.ok("--as", "alice", "pause", "orders-ref", "--because", "lunch")
        s = p.status("orders-ref")
        self.assertEqual((s["brake"], s["brake_reason"], s["brake_by"], s["next_command"]),
                         ("paused", "lunch", "alice", "phasegate resume orders-ref"))
        self.assertIsNotNone(s["brake_since"])
        text = p.ok("status").stdout
        self.assertIn("lunch", text)
        self.assertIn("by alice", text)

    def test_flags_are_only_asked_for_when_wanted(self):
        p = self.project(plans=[full_plan()], flags={"provider": "builtin", "url": "http://127.0.0.1:1", "token": "x" * 32})
        p.ok("status")
        s = p.json("status", "--flags")["result"]["plans"][0]
        self.assertEqual([f["state"] for f in s["flags"]], ["unknown", "unknown"])
        self.assertTrue(s["flags"][0]["why"])

    def test_flags(self):
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "dual_read")
        flags = p.json("status", "orders-ref", "--flags")["result"]["plans"][0]["flags"]
        self.assertEqual([(f["key"], f["role"], f["left_at_percent"], f["percent"]) for f in flags],
                         [("orders-ref-read", "read", 100, 100), ("orders-ref-write", "write", 0, 0)])

    def test_by_a_role_that_may_only_read(self):
        p = self.project(plans=[full_plan()])
        p.advance("orders-ref", "1.1.0")
        role = "reader_%d" % os.getpid()
        p.db.psql('CREATE ROLE "%s" LOGIN; GRANT USAGE ON SCHEMA phasegate, public TO "%s"; '
                  'GRANT SELECT ON ALL TABLES IN SCHEMA phasegate, public TO "%s"' % (role, role, role))
        self.addCleanup(pgtest.cluster().psql, 'DROP ROLE "%s"' % role)
        self.addCleanup(p.db.psql, 'DROP OWNED BY "%s"' % role)
        env = {"DATABASE_URL": pgtest.cluster().url(p.db.name, role)}
        self.assertIn("expand done", p.ok("status", env=env).stdout)
        p.ok("history", "--verify", env=env)
        p.ok("guard", "--release", "1.1.0", env=env)

    def test_plain_sql_reads_it_too(self):
        p = self.project(plans=[full_plan()])
        p.advance("orders-ref", "1.1.0")
        self.assertEqual(p.db.psql("SELECT plan, stage, read_percent, write_percent, verified FROM phasegate.plan_state"),
                         [["orders-ref", "expand done", "0", "0", "f"]])

    def test_long_running_commands_are_seen(self):
        p = self.project(plans=[plan("p", phases={"expand": phase("expand", steps=[
            step("slow", "CREATE TABLE t AS SELECT 1 AS x FROM pg_sleep(30)", statement_timeout="60s")])})])
        with p.start("advance", "p", "--release", "1.1.0") as run:
            label = "SELECT application_name FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep%' " \
                    "AND application_name LIKE 'phasegate/%'"
            name = pgtest.wait_until(lambda: p.db.value(label), 20, what="the step")
            self.assertTrue(name.endswith("/slow"), name)
            self.assertEqual(p.status("p")["stage"], "expand running")
            holder = p.db.psql("SELECT run_id, command FROM phasegate.migration_lock")
            self.assertEqual((holder[0][0], holder[0][1]), (name.split("/")[1], "advance"))
            run.signal(signal.SIGINT)
            run.signal(signal.SIGINT)


class Doctor(project.Case):
    def findings(self, p, code=1):
        return p.json("doctor", code=code)["result"]["findings"]

    def test_well(self):
        p = self.project(plans=[full_plan()])
        self.assertIn("well: nothing half done", p.ok("doctor").stdout)
        p.advance("orders-ref", "1.1.0")
        self.assertEqual(self.findings(p, 0), [])

    def test_an_invalid_index(self):
        p = self.project(plans=[full_plan()])
        p.db.psql("CREATE INDEX broken ON orders (legacy_ref); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass")
        [f] = self.findings(p)
        self.assertEqual((f["grave"], f["where"]), (True, "public.broken"))
        self.assertIn("DROP INDEX CONCURRENTLY public.broken", f["mend"])
        self.assertIn("mend it:", p.exits(1, "doctor").stdout)

    def test_a_constraint_that_is_not_validated_is_a_note(self):
        p = self.project()
        p.db.psql("ALTER TABLE orders ADD CONSTRAINT c CHECK (id > 0) NOT VALID")
        [f] = self.findings(p, 0)
        self.assertFalse(f["grave"])
        self.assertIn("c on", f["what"])

    def test_a_half_done_step(self):
        p = self.project(plans=[plan("p", phases={"expand": phase("expand", steps=[step("bad", "CREATE TABLE x AS SELECT 1/0 AS y")])})])
        p.exits(5, "advance", "p", "--release", "1.1.0")
        found = self.findings(p)
        self.assertIn("step bad of expand failed", found[0]["what"])
        self.assertIn("phasegate advance p --release 1.1.0", found[0]["mend"])
        self.assertIn('plan p is at "expand running"', [f["what"] for f in found])

    def test_a_plan_without_a_file(self):
        p = self.project(plans=[column_plan("gone"), full_plan(stamp=20260102000000)])
        p.advance("gone", "1.1.0")
        os.unlink(p.path("plans/20260101000000-gone.yaml"))
        [f] = self.findings(p)
        self.assertIn("plan gone was applied", f["what"])
        self.assertIn("has no file", f["what"])
        self.assertIn("file back", f["mend"])

    def test_an_edited_step(self):
        body = full_plan()
        p = self.project(plans=[body])
        p.advance("orders-ref", "1.1.0")
        body["phases"]["expand"]["steps"][0]["sql"] += " DEFAULT NULL"
        p.write_plan(body)
        [f] = self.findings(p)
        self.assertIn("step column of expand reads differently", f["what"])
        self.assertRegex(f["where"], r"plans/20260101000000-orders-ref.yaml:\d+")
        self.assertIn("phasegate accept orders-ref", f["mend"])

    def test_a_broken_chain(self):
        p = self.project(plans=[column_plan()])
        p.advance("orders-ref", "1.1.0")
        p.db.psql("ALTER TABLE phasegate.migration_history DISABLE TRIGGER USER; "
                  "UPDATE phasegate.migration_history SET applied_by = 'nobody' WHERE step = 'column'")
        self.assertTrue(any("chain is broken" in f["what"] and f["grave"] for f in self.findings(p)))

    def test_brakes_and_holders_are_notes(self):
        p = self.project(plans=[full_plan()])
        p.advance("orders-ref", "1.1.0")
        p.ok("pause", "orders-ref")
        [f] = self.findings(p, 0)
        self.assertIn("orders-ref is paused", f["what"])
        self.assertIn("phasegate resume orders-ref", f["mend"])

    def test_it_only_looks(self):
        p = self.project(plans=[full_plan()])
        p.advance("orders-ref", "1.1.0")
        before, files = p.dump(), p.tree()
        p.run("doctor")
        self.assertEqual((p.dump(), p.tree()), (before, files))


if __name__ == "__main__":
    unittest.main()

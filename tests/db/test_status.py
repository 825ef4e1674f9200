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
            # The row that is held is left for last; the others aren't kept waiting by it.
            self.assertEqual((s["task"], s["rows_done"], s["rows_total"]), ("backfill/fill", 499, 500))
            self.assertIn("task     backfill/fill: 499 of about 500 rows", p.ok("status", "orders-ref").stdout)
            run.signal(signal.SIGINT)
            run.wait(30)
            holder.run("ROLLBACK")
        s = p.status("orders-ref")
        self.assertEqual((s["task"], s["rows_done"]), ("backfill/fill", 499))
        done = p.ok("--format", "jsonl", "advance", "orders-ref", "--release", "1.2.0")
        rates = [e["rate"] for e in done.lines if e.get("event") == "progress" or e.get("kind") == "progress"]
        self.assertTrue(rates)
        # One row is left; those of the run before took none of this one's time.
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


class UnreadableFiles(project.Case):
    """One plan's file that nobody can read keeps the others from nothing that it can't concern."""

    GARBAGE = "plan: [broken\n  : yaml"
    OTHER = "plans/20270101000000-other.yaml"

    def with_garbage(self, text=None, **more):
        p = self.project(plans=[full_plan(**more)])
        p.put(self.OTHER, self.GARBAGE if text is None else text)
        return p

    def test_status_shows_the_others(self):
        p = self.with_garbage()
        done = p.exits(2, "status")
        self.assertIn("orders-ref  planned", done.stdout)
        self.assertIn("plan other isn't shown: %s:" % self.OTHER, done.stderr)
        self.assertIn("1 plan file can't be read", done.stderr)
        answer = p.json("status", code=2)
        self.assertEqual([r["plan"] for r in answer["result"]["plans"]], ["orders-ref"])
        [bad] = answer["result"]["unreadable"]
        self.assertEqual((bad["plan"], bad["file"]), ("other", self.OTHER))
        self.assertFalse(answer["result"]["up_to_date"])
        self.assertEqual(answer["error"]["kind"], "input")
        p.ok("status", "orders-ref")
        self.assertIn("other", p.exits(2, "status", "other").stderr)

    def test_status_beside_sql_that_cant_be_read(self):
        p = self.with_garbage(json.dumps(column_plan("other", stamp=20270101000000, phases={
            "expand": phase("expand", steps=[step("bad", "ALTER TABEL orders")])})))
        done = p.exits(2, "status")
        self.assertIn("orders-ref  planned", done.stdout)
        self.assertIn("plan other isn't shown", done.stderr)

    def test_a_mistake_in_the_project_file_concerns_everything(self):
        p = self.with_garbage()
        p.body["polcy"] = {}
        p.write()
        self.assertEqual(p.exits(2, "status").stdout, "")

    def test_advance_waits_where_a_release_would_be_let_in(self):
        p = self.with_garbage()
        error = p.json("advance", "orders-ref", "--release", "1.1.0", code=2)["error"]
        self.assertIn("plan orders-ref can't be moved while %s can't be read: expand lets release 1.1.0 in" % self.OTHER, error["message"])
        self.assertIn("phasegate check", error["hint"])
        p.exits(2, "advance", "--all", "--release", "1.1.0")
        self.assertEqual(p.db.value("SELECT to_regclass('phasegate.plan_state') IS NULL"), "t")

    def test_advance_goes_on_where_it_cant_concern_it(self):
        p = self.project(plans=[full_plan()])
        p.advance("orders-ref", "1.1.0")
        p.put(self.OTHER, self.GARBAGE)
        before = p.db.psql("SELECT oldest, newest FROM phasegate.release_window")
        done = p.ok("advance", "orders-ref", "--release", "1.2.0")
        self.assertIn("%s can't be read and is left aside" % self.OTHER, done.stderr)
        self.assertEqual(p.stage("orders-ref"), "dual_read done")
        self.assertEqual(p.db.psql("SELECT oldest, newest FROM phasegate.release_window"), before)
        p.ok("kill", "orders-ref")
        self.assertEqual(p.flag("orders-ref-read"), 0)

    def test_what_it_lets_in_is_known(self):
        """A mistake elsewhere in the file: the release that its expand is bound to counts."""
        other = column_plan("other", stamp=20270101000000, phases={"expand": {"release": "1.4.0", "steps": [
            step("note", "ALTER TABLE orders ADD COLUMN note text")]}}, nonsense=1)
        p = self.with_garbage(json.dumps(other))
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        self.assertEqual(p.db.psql("SELECT oldest, newest FROM phasegate.release_window"), [[None, "1.3.0"]])

    def test_the_brake_and_the_way_back_go_on(self):
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "dual_read")
        p.put(self.OTHER, self.GARBAGE)
        for command in (("pause", "orders-ref"), ("resume", "orders-ref"), ("kill", "orders-ref"), ("resume", "orders-ref"),
                        ("rollback", "orders-ref"), ("rollback", "orders-ref")):
            done = p.ok(*command)
            self.assertIn(self.OTHER, done.stderr, command)
        self.assertEqual(p.stage("orders-ref"), "planned")
        self.assertEqual(p.columns(), ["id", "legacy_ref"])
        for command in ("pause", "resume", "rollback"):
            self.assertIn("%s: plan other can't be read" % self.OTHER, p.exits(2, command, "other").stderr)

    def test_restore_goes_on(self):
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "contract")
        p.put(self.OTHER, self.GARBAGE)
        self.assertIn(self.OTHER, p.ok("restore", "orders-ref").stderr)
        self.assertEqual(p.columns(), ["id", "legacy_ref", "external_ref"])

    def test_the_way_back_lets_nothing_in_that_the_unread_plan_shut_out(self):
        """Its contract is what older releases can't live with; the other's way back doesn't change that."""
        gone = column_plan("other", stamp=20270101000000, phases={
            "contract": phase("contract", steps=[step("drop", "ALTER TABLE orders DROP COLUMN external_ref")], hold="0s")})
        note = plan("note", stamp=20260301000000, phases={"dual_read": phase("dual_read", steps=[
            step("note", "ALTER TABLE orders ADD COLUMN note text")]), "contract": phase("contract", steps=[
            step("gone", "ALTER TABLE orders DROP COLUMN note")])})
        p = self.project(plans=[gone, note])
        p.advance("other", "1.1.0")
        p.advance("note", "1.2.0")
        p.advance("other", "1.5.0")
        before = p.db.psql("SELECT oldest, newest FROM phasegate.release_window")
        self.assertEqual(before[0][0], "1.4.0")
        p.put(self.OTHER, self.GARBAGE)
        p.ok("rollback", "note")
        self.assertEqual(p.db.psql("SELECT oldest, newest FROM phasegate.release_window"), before)
        answer = p.run("--format", "json", "guard", "--release", "1.3.0")
        self.assertEqual((answer.rc, answer.json["result"]["databases"][0]["reason"]), (4, "older_than_window"))

    def test_guard_answers_by_what_can_be_read(self):
        """Yes to what was rolled out before; no to what an unread plan may have to come before."""
        p = self.project(plans=[full_plan()])
        p.put(self.OTHER, self.GARBAGE)
        done = p.ok("guard", "--release", "1.0.0")
        self.assertIn("%s can't be read and is left aside" % self.OTHER, done.stderr)
        os.remove(p.path(self.OTHER))
        p.advance_through("orders-ref", "dual_read")
        p.ok("guard", "--release", "1.9.0")
        p.put(self.OTHER, self.GARBAGE)
        p.ok("guard", "--release", "1.2.0")
        done = p.exits(4, "guard", "--release", "1.3.0")
        self.assertIn("%s can't be read, and its expand may have to come before release 1.3.0" % self.OTHER, done.stdout)
        answer = p.run("--format", "json", "guard", "--release", "1.3.0").json["result"]
        self.assertEqual((answer["may_run"], answer["databases"][0]["reason"]), (False, "unreadable_plan"))
        known = column_plan("other", stamp=20270101000000, phases={"expand": {"release": "1.4.0", "steps": [
            step("note", "ALTER TABLE orders ADD COLUMN note text")]}}, nonsense=1)
        p.put(self.OTHER, json.dumps(known))
        p.ok("guard", "--release", "1.3.0")
        self.assertIn("expand of plan other", p.exits(4, "guard", "--release", "1.4.0").stdout)

    def test_advance_waits_for_what_it_has_to_do_with(self):
        begun = column_plan("other", stamp=20270101000000, phases={"expand": phase("expand", steps=[
            step("note", "ALTER TABLE orders ADD COLUMN note text")])})
        p = self.project(plans=[full_plan(), begun])
        p.advance("orders-ref", "1.1.0")
        p.advance("other", "1.1.0")
        p.put(self.OTHER, self.GARBAGE)
        self.assertIn("plan other has begun", p.json("advance", "orders-ref", "--release", "1.2.0", code=2)["error"]["message"])
        p.ok("kill", "orders-ref")

        flag = column_plan("other", stamp=20270101000000, flags={"read": {"key": "orders-ref-read"}}, nonsense=1)
        p = self.with_garbage(json.dumps(flag))
        self.assertIn("orders-ref-read", p.json("advance", "orders-ref", "--release", "1.1.0", code=2)["error"]["message"])

        p = self.project(plans=[full_plan(depends_on=[{"plan": "other", "phase": "contract"}])])
        p.put(self.OTHER, self.GARBAGE)
        self.assertIn("other", p.exits(2, "advance", "orders-ref", "--release", "1.1.0").stderr)


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

    def test_a_plan_that_was_taken_back_and_whose_file_is_gone(self):
        p = self.project(plans=[column_plan("gone", phases={"dual_read": {"release": "1.2.0"}}), full_plan(stamp=20260102000000)])
        p.advance("gone", "1.1.0")
        p.ok("rollback", "gone")
        os.unlink(p.path("plans/20260101000000-gone.yaml"))
        [f] = self.findings(p, 0)
        self.assertFalse(f["grave"])
        self.assertIn("plan gone was taken back whole, and its file is gone", f["what"])
        self.assertIn("nothing is left to do", f["mend"])
        p.write_plan(column_plan("gone", phases={"dual_read": {"release": "1.2.0"}}))
        p.advance("gone", "1.1.0")

    OUT_OF_TURN = ('read flag orders-ref-read of plan orders-ref is at 100 %%, expected 0 %%: it is raised by the rollout of '
                   'dual_read with 1.2.0, and the plan is at "%s"')

    def test_a_flag_out_of_turn(self):
        p = self.project(plans=[full_plan()])
        p.advance("orders-ref", "1.1.0")
        self.raise_by_hand(p, "orders-ref-read")
        [f] = self.findings(p)
        self.assertEqual((f["what"], f["where"]), (self.OUT_OF_TURN % "expand done", "orders-ref"))
        seen = p.json("status", "orders-ref", "--flags")["result"]["plans"][0]["flags"]
        self.assertEqual([(s["key"], s["drift"]) for s in seen], [("orders-ref-read", f["what"]), ("orders-ref-write", None)])
        shown = p.ok("status", "--flags").stdout
        self.assertIn("drift    " + f["what"], shown)
        command = f["mend"].split(" puts it back")[0]
        self.assertEqual(command, "phasegate flags set orders-ref-read 0")
        self.assertIn(command, shown)
        p.ok(*command.split()[1:], "--because", "test")
        self.findings(p, 0)
        self.assertIsNone(p.json("status", "orders-ref", "--flags")["result"]["plans"][0]["flags"][0]["drift"])

    def test_a_flag_of_a_plan_that_has_not_begun(self):
        """Before anything was applied at all, and beside a plan that was."""
        p = self.project(plans=[full_plan(), column_plan("first", stamp=20250101000000, phases={
            "expand": phase("expand", steps=[step("note", "ALTER TABLE orders ADD COLUMN note text")])})])
        self.findings(p, 0)
        self.raise_by_hand(p, "orders-ref-read")
        for _ in range(2):
            [f] = self.findings(p)
            self.assertEqual(f["what"], self.OUT_OF_TURN % "planned")
            p.run("advance", "first", "--release", "1.1.0")

    def raise_by_hand(self, p, key):
        with open(p.path("flags.json"), "w", encoding="utf-8") as f:
            json.dump({"flags": {key: {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}}}, f)

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

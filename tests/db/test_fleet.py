"""A fleet: several databases that take every step of a plan, wave by wave, each with its own ledger."""

import json
import signal
import time
import unittest

import pgtest
import project
from project import PHASES, column_plan, phase, plan, step


class Fleet(project.Project):
    """.dbs: the databases in the order of urls:. The first is .db as well."""

    def __init__(self, n=3, waves=None, parallel=None, dbs=None, **more):
        self.dbs = dbs or [pgtest.cluster().create_database() for _ in range(n)]
        super().__init__(db=self.dbs[0], baseline=None, **more)
        for db in self.dbs:
            db.psql(project.ORDERS)
        self.env = {"SHARD_%d" % i: db.url for i, db in enumerate(self.dbs, 1)}
        self.fleet = {"urls": ["${SHARD_%d}" % i for i in range(1, len(self.dbs) + 1)]}
        if waves:
            self.fleet["waves"] = waves
        if parallel:
            self.fleet["parallel"] = parallel
        self.environment["databases"] = {"shards": self.fleet}
        self.write()

    def write_plan(self, body):
        super().write_plan(dict(body, database="shards"))

    def close(self):
        super().close()
        for db in self.dbs[1:]:
            db.drop()

    def answers(self, *args, code=0, **more):
        """Of a command over all of them: {name: its part}."""
        return {d["database"]: d for d in self.json(*args, code=code, **more)["result"]["databases"]}

    def results(self, *args, code=0, **more):
        return [d["result"] for d in self.answers(*args, code=code, **more).values()]

    def all_columns(self):
        return ["external_ref" in db.column("SELECT attname FROM pg_attribute WHERE attrelid = 'orders'::regclass AND NOT attisdropped")
                for db in self.dbs]

    def stages(self, name="orders-ref"):
        found = []
        for db in self.dbs:
            has = db.value("SELECT to_regclass('phasegate.plan_state') IS NOT NULL") == "t"
            found.append(db.value("SELECT stage FROM phasegate.plan_state WHERE plan = '%s'" % name) if has else None)
        return found

    def counted(self, sql):
        return [int(db.value(sql)) for db in self.dbs]


DONE = "SELECT count(*) FROM phasegate.migration_history WHERE step = '%s' AND status = 'done'"


def slow_plan(seconds, **more):
    return plan("orders-ref", phases={"expand": phase("expand", steps=[
        step("column", "ALTER TABLE orders ADD COLUMN external_ref text"),
        step("wait", "SELECT pg_sleep(%g)" % seconds, applied_when="SELECT false", undo={"none": "nothing to undo"}),
        step("index", "CREATE INDEX CONCURRENTLY orders_ref ON orders (external_ref)")])}, **more)


LATE = column_plan(phases={"contract": phase("contract", hold="0s", steps=[step("drop", "ALTER TABLE orders DROP COLUMN legacy_ref")])})


class Case(unittest.TestCase):
    maxDiff = None

    def fleet(self, *args, **more):
        p = Fleet(*args, **more)
        self.addCleanup(p.close)
        return p


class Advance(Case):
    def test_every_database_takes_the_step_once(self):
        p = self.fleet(plans=[column_plan()])
        found = p.answers("advance", "orders-ref", "--release", "1.1.0")
        self.assertEqual(list(found), ["shards/1", "shards/2", "shards/3"])
        self.assertEqual({d["answer"]["result"]["plans"][0]["phase"] for d in found.values()}, {"expand"})
        self.assertEqual(p.all_columns(), [True] * 3)
        again = p.answers("advance", "orders-ref", "--release", "1.1.0")
        self.assertTrue(all(d["answer"]["result"]["plans"][0]["nothing_to_do"] for d in again.values()))
        self.assertEqual(p.counted(DONE % "column"), [1, 1, 1])

    def test_text_says_who_speaks_and_how_it_ended(self):
        p = self.fleet(plans=[column_plan()], waves=[1, "100%"])
        done = p.ok("advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("fleet shards, wave 1: shards/1\n", done.stderr)
        self.assertIn("fleet shards, wave 2: shards/2, shards/3\n", done.stderr)
        self.assertRegex(done.stdout, r"(?m)^shards/2: ")
        self.assertRegex(done.stdout, r"(?m)^shards/3 +done$")

    def test_a_failure_stops_the_next_wave(self):
        p = self.fleet(5, plans=[column_plan()], waves=[1, "50%", "100%"], parallel=1)
        p.dbs[2].psql("DROP TABLE orders; CREATE VIEW orders AS SELECT 1 AS id")
        found = p.answers("advance", "orders-ref", "--release", "1.1.0", code=5)
        self.assertEqual([d["result"] for d in found.values()], ["done", "done", "failed", "not_begun", "not_begun"])
        p.dbs[2].psql("DROP VIEW orders;" + project.ORDERS)
        found = p.answers("advance", "orders-ref", "--release", "1.1.0")
        self.assertEqual([d["result"] for d in found.values()], ["passed_over"] * 2 + ["done"] * 3)
        self.assertEqual(p.counted(DONE % "column"), [1] * 5)

    def test_killed_in_the_middle_it_goes_on(self):
        p = self.fleet(4, plans=[slow_plan(1.5)], waves=[1, "100%"], parallel=2)
        run = p.start("advance", "orders-ref", "--release", "1.1.0")
        pgtest.wait_until(lambda: p.all_columns()[1], what="the second wave")
        run.kill()
        self.assertFalse(p.all_columns()[3], "the last one was begun before the kill")
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        self.assertEqual(p.stages(), ["purged"] * 4)
        self.assertEqual(p.counted(DONE % "column"), [1] * 4)
        self.assertEqual(p.counted(DONE % "index"), [1] * 4)
        self.assertEqual(p.counted("SELECT count(*) FROM pg_index WHERE NOT indisvalid"), [0] * 4)

    def test_a_signal_stops_all_of_them_at_a_safe_point(self):
        p = self.fleet(plans=[slow_plan(2)], parallel=2)
        run = p.start("advance", "orders-ref", "--release", "1.1.0")
        pgtest.wait_until(lambda: p.all_columns()[0] and p.all_columns()[1], what="both to have begun")
        run.signal(signal.SIGTERM)
        self.assertEqual(run.wait().rc, 143)
        self.assertEqual(p.all_columns(), [True, True, False])
        self.assertEqual(p.stages()[:2], ["expand running"] * 2)
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        self.assertEqual(p.counted(DONE % "column"), [1] * 3)

    def test_no_more_at_a_time_than_allowed(self):
        p = self.fleet(4, plans=[slow_plan(0.7)], parallel=2)
        run = p.start("advance", "orders-ref", "--release", "1.1.0")
        most = 0
        while run.is_running():
            now = int(p.db.value("SELECT count(DISTINCT datname) FROM pg_stat_activity WHERE application_name LIKE 'phasegate/%%' "
                                 "AND datname IN (%s)" % ", ".join("'%s'" % db.name for db in p.dbs)))
            most = max(most, now)
            time.sleep(0.02)
        self.assertEqual(run.wait().rc, 0)
        self.assertEqual(most, 2)

    def test_dry_run_writes_nothing(self):
        p = self.fleet(plans=[column_plan()])
        p.ok("advance", "orders-ref", "--release", "1.1.0", "--dry-run")
        self.assertEqual((p.all_columns(), p.stages()), ([False] * 3, [None] * 3))

    def test_one_of_them(self):
        p = self.fleet(plans=[column_plan()])
        self.assertEqual(p.json("advance", "orders-ref", "--release", "1.1.0", "--database", "shards/2")["result"]["plans"][0]["to"], "purged")
        self.assertEqual(p.all_columns(), [False, True, False])
        done = p.exits(2, "advance", "orders-ref", "--release", "1.1.0", "--database", "shards/4")
        self.assertIn('the fleet shards, which has no "shards/4"; it has: shards/1, shards/2, shards/3', done.stderr)


class Before(Case):
    def test_one_out_of_reach_and_nothing_is_begun(self):
        p = self.fleet(plans=[column_plan()])
        p.env["SHARD_3"] = "postgresql://postgres:secret@127.0.0.1:%d/x" % pgtest.free_port()
        answer = p.json("advance", "orders-ref", "--release", "1.1.0", code=3)
        self.assertIn("shards/3", json.dumps(answer["error"]))
        self.assertNotIn("secret", json.dumps(answer))
        self.assertEqual(p.all_columns()[:2], [False, False])

    def test_the_same_database_twice(self):
        p = self.fleet(plans=[column_plan()])
        host = p.dbs[0].url.replace("postgresql://postgres@/", "postgresql:///").replace("?", "?user=postgres&")
        p.env["SHARD_3"] = host
        done = p.exits(2, "advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("shards/1 and shards/3 of fleet shards are the same database", done.stderr)
        self.assertEqual(p.all_columns(), [False] * 3)

    def test_ledgers_more_than_a_phase_apart(self):
        p = self.fleet(plans=[LATE])
        for release in ("1.1.0", "1.5.0"):
            p.ok("advance", "orders-ref", "--release", release, "--database", "shards/1")
        p.ok("advance", "orders-ref", "--release", "1.1.0", "--database", "shards/2")
        error = p.json("advance", "orders-ref", "--release", "1.5.0", code=4)["error"]
        self.assertEqual(error["reason"], "fleet_apart")
        self.assertIn('shards/3 is at "planned"', error["detail"])
        self.assertIn("phasegate advance orders-ref --release 1.1.0 --database shards/3", error["hint"])
        p.ok("advance", "orders-ref", "--release", "1.1.0", "--database", "shards/3")
        self.assertEqual(p.results("advance", "orders-ref", "--release", "1.5.0"), ["passed_over", "done", "done"])
        self.assertEqual(p.stages(), ["contract done"] * 3)

    def test_a_brake_in_one_of_them(self):
        p = self.fleet(plans=[LATE], waves=[1, "100%"])
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        p.ok("pause", "orders-ref", "--because", "look", "--database", "shards/3")
        error = p.json("advance", "orders-ref", "--release", "1.5.0", code=4)["error"]
        self.assertEqual(error["reason"], "paused")
        self.assertIn("shards/3 is paused", error["message"])
        self.assertEqual(p.stages(), ["write_activation done"] * 3)
        p.ok("resume", "orders-ref", "--database", "shards/3")
        p.ok("advance", "orders-ref", "--release", "1.5.0")
        self.assertEqual(p.stages(), ["contract done"] * 3)


def filled_plan(**backfill):
    return plan("orders-ref", sync={"table": "orders", "forward": {"external_ref": "legacy_ref"}, "by": "trigger",
                                    "reverse": {"legacy_ref": "external_ref"}},
                phases={"expand": phase("expand", steps=[step("column", "ALTER TABLE orders ADD COLUMN external_ref text")]),
                        "dual_read": phase("dual_read", backfill=[dict({"id": "fill"}, **backfill)]),
                        "contract": LATE["phases"]["contract"]})


UNFILLED = "SELECT count(*) FROM orders WHERE external_ref IS DISTINCT FROM legacy_ref"


class Refused(Case):
    def test_a_rollout_whose_kill_would_void_what_was_verified(self):
        p = self.fleet(plans=[project.full_plan(sync={"table": "orders", "forward": {"external_ref": "legacy_ref"},
                                                      "reverse": {"legacy_ref": "external_ref"}, "by": "application"})])
        for args in ((), ("--database", "shards/1")):
            error = p.json("advance", "orders-ref", "--release", "1.1.0", *args, code=4)["error"]
            self.assertEqual(error["reason"], "fleet_rollout")
        self.assertEqual((p.all_columns(), p.stages()), ([False] * 3, [None] * 3))

    def test_all_plans_of_a_release(self):
        p = self.fleet(plans=[column_plan()])
        done = p.exits(2, "advance", "--all", "--release", "1.1.0")
        self.assertIn("HINT: phasegate advance orders-ref --release 1.1.0;", done.stderr)
        p.ok("advance", "--all", "--release", "1.1.0", "--database", "shards/2")
        self.assertEqual(p.all_columns(), [False, True, False])


class Backfill(Case):
    def test_wave_by_wave_and_verified_in_each(self):
        p = self.fleet(plans=[filled_plan()], waves=[1, "100%"])
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        p.ok("advance", "orders-ref", "--release", "1.2.0")
        self.assertEqual(p.counted(UNFILLED), [0] * 3)
        self.assertEqual(p.counted("SELECT count(*) FROM phasegate.backfill_job WHERE status = 'done'"), [1] * 3)
        self.assertEqual({d["result"] for d in p.answers("backfill", "orders-ref", "verify").values()}, {"done"})
        p.dbs[1].psql("ALTER TABLE orders DISABLE TRIGGER USER; UPDATE orders SET external_ref = 'x' WHERE id = 7")
        found = p.answers("backfill", "orders-ref", "verify", code=1)
        self.assertEqual([d["exit_code"] for d in found.values()], [0, 1, 0])

    def test_more_workers_limits_and_pauses_for_all_of_them(self):
        p = self.fleet(plans=[filled_plan(batch={"rows": 10, "min": 10, "max": 10})], parallel=2)
        for db in p.dbs:
            db.psql("INSERT INTO orders SELECT i, 'R' || i FROM generate_series(501, 20000) i")
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        run = p.start("advance", "orders-ref", "--release", "1.2.0")
        begun = "SELECT to_regclass('phasegate.backfill_job') IS NOT NULL AND EXISTS (SELECT FROM phasegate.backfill_job WHERE status = 'running')"
        pgtest.wait_until(lambda: all(db.value(begun) == "t" for db in p.dbs[:2]), what="two backfills")
        p.ok("backfill", "orders-ref", "pause", "--database", "shards/1")
        p.ok("backfill", "orders-ref", "pause", "--database", "shards/2")
        found = p.answers("backfill", "orders-ref")
        self.assertEqual(list(found), ["shards/1", "shards/2", "shards/3"])
        self.assertTrue(run.is_running())
        p.ok("backfill", "orders-ref", "resume", "--database", "shards/1")
        p.ok("backfill", "orders-ref", "resume", "--database", "shards/2")
        self.assertEqual(run.wait().rc, 0)
        self.assertEqual(p.counted(UNFILLED), [0] * 3)


class Rollout(Case):
    READ, WRITE = "orders-ref-read", "orders-ref-write"

    def percents(self, p, role):
        return [int(db.value("SELECT %s_percent FROM phasegate.plan_state" % role)) for db in p.dbs]

    def test_all_the_way(self):
        p = self.fleet(plans=[project.full_plan()], waves=[1, "100%"])
        for ph in PHASES:
            p.ok("advance", "orders-ref", "--release", project.BOUND[ph])
            self.assertEqual(p.stages(), [ph + " done"] * 3)
            again = p.answers("advance", "orders-ref", "--release", project.BOUND[ph])
            self.assertTrue(all(d["answer"]["result"]["plans"][0]["nothing_to_do"] for d in again.values()), again)
            self.assertEqual([d["result"] for d in again.values()], ["done"] * 3)
        self.assertEqual((p.flag(self.READ), p.flag(self.WRITE)), (100, 100))
        self.assertEqual(self.percents(p, "read") + self.percents(p, "write"), [100] * 6)
        self.assertEqual(p.counted("SELECT count(*) FROM phasegate.flag_change")[1:], [0, 0])
        p.ok("purge", "orders-ref", "--confirm", "orders-ref")
        self.assertEqual(p.stages(), ["purged"] * 3)

    def test_no_rung_before_the_last_database_is_ready(self):
        p = self.fleet(plans=[project.full_plan()], waves=[1, "100%"], parallel=1)
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        p.dbs[2].psql("ALTER TABLE orders ADD CONSTRAINT bad CHECK (external_ref <> 'R7') NOT VALID")
        found = p.answers("advance", "orders-ref", "--release", "1.2.0", code=5)
        self.assertEqual([d["result"] for d in found.values()], ["ready", "ready", "failed"])
        self.assertIn(p.flag(self.READ), (None, 0))
        p.dbs[2].psql("ALTER TABLE orders DROP CONSTRAINT bad")
        p.run("backfill", "orders-ref", "retry", "--database", "shards/3")
        p.ok("advance", "orders-ref", "--release", "1.2.0")
        self.assertEqual((p.flag(self.READ), p.stages()), (100, ["dual_read done"] * 3))

    def test_the_others_know_of_the_rung_before_it_is_climbed(self):
        p = self.fleet(plans=[project.full_plan(pause="1h")])
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        p.exits(5, "advance", "orders-ref", "--release", "1.2.0", "--no-wait")
        self.assertEqual((p.flag(self.READ), self.percents(p, "read")), (10, [10] * 3))
        self.assertEqual(p.stages(), ["dual_read running"] * 3)
        p.exits(5, "advance", "orders-ref", "--release", "1.2.0", "--no-wait")
        self.assertEqual((p.flag(self.READ), self.percents(p, "read")), (10, [10] * 3))
        p.ok("guard", "--release", "1.2.0")

    def test_a_kill_is_heard_of_by_all(self):
        p = self.fleet(plans=[project.full_plan(pause="1h")])
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        p.exits(5, "advance", "orders-ref", "--release", "1.2.0", "--no-wait")
        p.ok("kill", "orders-ref")
        p.exits(4, "advance", "orders-ref", "--release", "1.2.0", "--no-wait")
        self.assertEqual(p.json("resume", "orders-ref")["result"]["databases"][0]["result"], "done")
        p.exits(5, "advance", "orders-ref", "--release", "1.2.0", "--no-wait")
        self.assertEqual((p.flag(self.READ), self.percents(p, "read")), (10, [10] * 3))

    def test_a_kill_after_the_rollout(self):
        p = self.fleet(plans=[project.full_plan()])
        for release in ("1.1.0", "1.2.0"):
            p.ok("advance", "orders-ref", "--release", release)
        p.ok("kill", "orders-ref")
        p.exits(4, "advance", "orders-ref", "--release", "1.3.0")
        self.assertEqual(p.stages()[1:], ["dual_read done"] * 2, "the others wait for the first")
        p.ok("resume", "orders-ref")
        for release in ("1.2.0", "1.3.0"):
            p.ok("advance", "orders-ref", "--release", release)
        self.assertEqual((p.flag(self.READ), p.flag(self.WRITE), p.stages()), (100, 100, ["write_activation done"] * 3))
        self.assertEqual(self.percents(p, "read") + self.percents(p, "write"), [100] * 6)

    def test_every_ledger_knows_of_new_writes_before_there_are_any(self):
        p = self.fleet(plans=[project.full_plan(pause="1h", phases={
            "dual_read": phase("dual_read", backfill=[{"id": "fill"}], rollout=[{"percent": 100}])})])
        for release in ("1.1.0", "1.2.0"):
            p.ok("advance", "orders-ref", "--release", release)
        known = "SELECT first_write_rung FROM phasegate.plan_state"
        # Differing rows in the last one keep it, and thus the flag, from writes.
        p.dbs[2].psql("SET session_replication_role = replica; UPDATE orders SET external_ref = 'other' WHERE id = 7")
        p.exits(1, "advance", "orders-ref", "--release", "1.3.0", "--no-wait")
        self.assertIn(p.flag(self.WRITE), (None, 0))
        p.exits(5, "advance", "orders-ref", "--release", "1.3.0", "--no-wait")
        self.assertEqual((p.flag(self.WRITE), [db.value(known) for db in p.dbs]), (50, ["t"] * 3))

    def test_a_failed_gate_takes_it_back_for_all(self):
        p = self.fleet(plans=[project.full_plan(
            gates={"calm": {"sql": "SELECT count(*) FROM trouble", "expect": "= 0", "interval": "100ms", "count": 1,
                            "failure_limit": 0, "no_data": "hold", "on_failure": "rollback"}},
            phases={"dual_read": phase("dual_read", backfill=[{"id": "fill"}], rollout=[{"percent": 10}, {"percent": 100}], gates=["calm"])})])
        p.dbs[0].psql("CREATE TABLE trouble AS SELECT 1")
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        p.exits(1, "advance", "orders-ref", "--release", "1.2.0")
        self.assertEqual((p.flag(self.READ), p.stages()), (0, ["dual_read running"] * 3))
        p.dbs[0].psql("DELETE FROM trouble")
        p.ok("resume", "orders-ref")
        p.ok("advance", "orders-ref", "--release", "1.2.0")
        self.assertEqual((p.flag(self.READ), self.percents(p, "read"), p.stages()), (100, [100] * 3, ["dual_read done"] * 3))

    def test_rollback_takes_the_flag_down_first(self):
        p = self.fleet(plans=[project.full_plan()])
        for release in ("1.1.0", "1.2.0"):
            p.ok("advance", "orders-ref", "--release", release)
        for name in ("shards/1", "shards/2"):
            p.refused("fleet_flags", "rollback", "orders-ref", "--database", name)
        self.assertEqual((p.flag(self.READ), p.stages()), (100, ["dual_read done"] * 3))
        p.ok("rollback", "orders-ref")
        self.assertEqual((p.flag(self.READ), self.percents(p, "read")), (0, [0] * 3))
        self.assertEqual(p.stages(), ["expand done"] * 3)

    def test_killed_at_a_rung(self):
        p = self.fleet(plans=[project.full_plan(pause="3s")])
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        run = p.start("advance", "orders-ref", "--release", "1.2.0")
        pgtest.wait_until(lambda: p.flag(self.READ) == 10, what="the first rung")
        run.kill()
        p.ok("advance", "orders-ref", "--release", "1.2.0")
        self.assertEqual((p.flag(self.READ), self.percents(p, "read"), p.stages()), (100, [100] * 3, ["dual_read done"] * 3))

    def test_one_that_was_added_later(self):
        p = self.fleet(plans=[project.full_plan()])
        p.env["SHARD_3"], third = p.env["SHARD_2"], p.env["SHARD_3"]
        self.environment_of(p, 2)
        for release in ("1.1.0", "1.2.0"):
            p.ok("advance", "orders-ref", "--release", release)
        p.env["SHARD_3"] = third
        self.environment_of(p, 3)
        for release in ("1.1.0", "1.2.0"):
            p.ok("advance", "orders-ref", "--release", release, "--database", "shards/3")
        self.assertEqual((self.percents(p, "read"), p.stages()), ([100] * 3, ["dual_read done"] * 3))
        p.ok("advance", "orders-ref", "--release", "1.3.0")

    def test_one_alone_waits_for_the_others(self):
        p = self.fleet(plans=[project.full_plan()])
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        for name in ("shards/1", "shards/2"):
            done = p.exits(5, "advance", "orders-ref", "--release", "1.2.0", "--database", name)
            self.assertIn("HINT: phasegate advance orders-ref --release 1.2.0, which takes all of them on", done.stderr)
            self.assertRegex(done.stdout, "(?m)^%s +ready for the next rung$" % name)
        self.assertIn(p.flag(self.READ), (None, 0))
        self.assertEqual(p.stages(), ["dual_read running", "dual_read running", "expand done"])
        p.ok("advance", "orders-ref", "--release", "1.2.0")
        self.assertEqual((p.flag(self.READ), p.stages()), (100, ["dual_read done"] * 3))

    def test_lines_of_json_say_of_which_database(self):
        p = self.fleet(plans=[project.full_plan()])
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        lines = [json.loads(line) for line in p.ok("--format", "jsonl", "advance", "orders-ref", "--release", "1.2.0").stdout.splitlines()]
        self.assertEqual({line["database"] for line in lines[:-1]}, {"shards/1", "shards/2", "shards/3"})
        self.assertEqual((lines[-1]["event"], [d["result"] for d in lines[-1]["result"]["databases"]]), ("end", ["done"] * 3))

    def environment_of(self, p, n):
        p.fleet["urls"] = ["${SHARD_%d}" % i for i in range(1, n + 1)]
        p.write()


class Look(Case):
    def test_status_has_a_row_for_each(self):
        p = self.fleet(plans=[LATE])
        p.ok("advance", "orders-ref", "--release", "1.1.0", "--database", "shards/2")
        rows = p.json("status")["result"]
        self.assertEqual([(r["plan"], r["database"], r["stage"]) for r in rows["plans"]],
                         [("orders-ref", "shards/1", "planned"), ("orders-ref", "shards/2", "write_activation done"), ("orders-ref", "shards/3", "planned")])
        self.assertEqual(rows["outstanding"], 1)
        text = p.ok("status").stdout
        self.assertIn("1 outstanding of 1 plan\n", text)
        self.assertRegex(text, r"(?m)^orders-ref \(shards/2\) +write_activation done")
        self.assertEqual([r["database"] for r in p.json("status", "orders-ref", "--database", "shards/2")["result"]["plans"]], ["shards/2"])

    def test_status_beside_one_that_is_out_of_reach(self):
        p = self.fleet(plans=[LATE])
        p.env["SHARD_2"] = "postgresql://postgres@127.0.0.1:%d/x" % pgtest.free_port()
        for args in (("status",), ("status", "orders-ref")):
            done = p.exits(3, *args)
            self.assertRegex(done.stdout, r"(?m)^orders-ref \(shards/2\) +out of reach")
            self.assertRegex(done.stdout, r"(?m)^orders-ref \(shards/3\) +planned")
            self.assertEqual([r["database"] for r in p.json(*args, code=3)["result"]["plans"]], ["shards/1", "shards/3"])

    def test_preflight_asks_each(self):
        p = self.fleet(plans=[column_plan(data_checks=[{"id": "old", "sql": "SELECT count(*) FROM orders WHERE legacy_ref = ''", "expect": "= 0"}])])
        self.assertEqual([d["result"] for d in p.answers("preflight", "orders-ref").values()], ["done"] * 3)
        p.dbs[1].psql("UPDATE orders SET legacy_ref = '' WHERE id = 1")
        self.assertEqual([d["exit_code"] for d in p.answers("preflight", "orders-ref", code=1).values()], [0, 1, 0])

    def test_history_and_doctor(self):
        p = self.fleet(plans=[column_plan()])
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        for args in (("history", "--verify"), ("history", "orders-ref")):
            self.assertEqual(len(p.json(*args)["result"]["databases"]), 3)
        self.assertEqual(len(p.json("history", "--database", "shards/2")["result"]["databases"]), 1)
        p.ok("doctor")
        self.assertEqual(len(p.json("guard", "--release", "1.1.0")["result"]["databases"]), 3)

    def test_an_edited_step_is_found_once_and_accepted_in_each(self):
        p = self.fleet(plans=[LATE])
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        edited = json.loads(json.dumps(LATE))
        edited["phases"]["expand"]["steps"][0]["sql"] += " -- as agreed"
        p.write_plan(edited)
        done = p.run("check", "--static", "--against", "staging")
        self.assertEqual((done.stdout + done.stderr).count("was applied in staging"), 1, done)
        self.assertEqual(p.results("accept", "orders-ref", "--because", "a comment"), ["done"] * 3)
        self.assertEqual(p.results("approve", "orders-ref", "contract"), ["done"] * 3)

    def test_commands_for_one_database_say_how(self):
        p = self.fleet(plans=[column_plan()])
        for command in ("runbook", "evidence"):
            done = p.exits(2, command, "orders-ref", *(["--out", "x.tar"] if command == "evidence" else []))
            self.assertIn("works on one database", done.stderr)
            self.assertIn("HINT: choose one with --database shards/1", done.stderr)
        p.ok("runbook", "orders-ref", "--database", "shards/2")
        done = p.exits(2, "advance", "orders-ref", "--release", "1.1.0", "--metrics-file", "m.prom")
        self.assertIn("--database shards/1 --metrics-file FILE", done.stderr)


class Brakes(Case):
    def test_pause_and_resume_all(self):
        p = self.fleet(plans=[LATE])
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        self.assertEqual(p.results("pause", "orders-ref", "--because", "look"), ["done"] * 3)
        self.assertEqual([db.value("SELECT brake FROM phasegate.plan_state") for db in p.dbs], ["paused"] * 3)
        self.assertEqual(p.results("resume", "orders-ref"), ["done"] * 3)

    def test_pause_beside_one_that_is_out_of_reach(self):
        p = self.fleet(plans=[LATE])
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        p.env["SHARD_1"] = "postgresql://postgres@127.0.0.1:%d/x" % pgtest.free_port()
        self.assertEqual([d["exit_code"] for d in p.answers("pause", "orders-ref", code=3).values()], [3, 0, 0])


class Back(Case):
    def test_rollback_again_takes_nobody_further(self):
        p = self.fleet(plans=[filled_plan()])
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        p.ok("advance", "orders-ref", "--release", "1.2.0")
        first = p.stages()[0]
        p.ok("rollback", "orders-ref", "--database", "shards/1")
        self.assertNotEqual(p.stages()[0], first)
        self.assertEqual(p.results("rollback", "orders-ref"), ["passed_over", "done", "done"])
        self.assertEqual(len(set(p.stages())), 1, p.stages())

    def test_contract_hidden_brought_back_and_purged(self):
        p = self.fleet(plans=[LATE], waves=[1, "100%"])
        for release in ("1.1.0", "1.5.0"):
            p.ok("advance", "orders-ref", "--release", release)
        self.assertEqual(p.results("restore", "orders-ref"), ["done"] * 3)
        self.assertEqual(p.stages(), ["write_activation done"] * 3)
        p.ok("advance", "orders-ref", "--release", "1.5.0")
        p.exits(4, "purge", "orders-ref")
        p.ok("purge", "orders-ref", "--confirm", "orders-ref")
        self.assertEqual(p.stages(), ["purged"] * 3)


if __name__ == "__main__":
    unittest.main()

"""The command line on a real PostgreSQL: one plan by hand from expand to purge, every answer in text and in json."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import tempfile
import time
import unittest

import jsonschema
import pgtest

with open(os.path.join(pgtest.SRC, "docs", "output.schema.json"), encoding="utf-8") as _f:
    OUTPUT = jsonschema.Draft202012Validator(json.load(_f))

PROJECT = """phasegate: 1
plans: plans
policy: {hold: 1s}
environments:
  test:
    databases: {default: {url: "${DATABASE_URL}"}}
    snapshots: {to: snapshots}
"""

PLAN = """phasegate: 1
plan: orders-ref
timestamp: 20260101000000
title: t
author: a
sync: {table: orders, forward: {ref: "legacy"}, reverse: {legacy: "ref"}, by: trigger}
phases:
  expand:
    release: "1"
    steps:
      - {id: column, sql: ALTER TABLE orders ADD COLUMN ref text}
      - {id: index, sql: CREATE INDEX CONCURRENTLY orders_ref ON orders (ref)}
  dual_read: {release: "2", backfill: [{id: fill}]}
  write_activation:
    release: "3"
    verify: [{id: equal, sql: SELECT count(*) FROM orders WHERE ref IS DISTINCT FROM legacy, expect: "= 0"}]
  contract:
    release: "4"
    hold: 1s
    steps: [{id: drop, sql: ALTER TABLE orders DROP COLUMN legacy}]
"""


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = folder.name
        self.db = pgtest.cluster().create_database()
        self.addCleanup(self.db.drop)
        self.db.psql("CREATE TABLE orders (id bigint PRIMARY KEY, legacy text);"
                     "INSERT INTO orders SELECT i, 'AB' || i FROM generate_series(1, 2000) i;")
        self.env = {"DATABASE_URL": self.db.url}
        os.mkdir(os.path.join(self.dir, "plans"))
        self.write("phasegate.yaml", PROJECT)
        self.write("plans/20260101000000-orders-ref.yaml", PLAN)

    def write(self, name, text):
        with open(os.path.join(self.dir, name), "w", encoding="utf-8") as f:
            f.write(text)

    def run_text(self, *args, rc=0):
        done = pgtest.run_phasegate(args, cwd=self.dir, env=self.env)
        self.assertEqual(done.rc, rc, done)
        return done

    def run_json(self, *args, rc=0):
        done = pgtest.run_phasegate(["--format", "json", *args], cwd=self.dir, env=self.env)
        self.assertEqual(done.rc, rc, done)
        OUTPUT.validate(done.json)
        self.assertEqual((done.json["exit_code"], done.json["ok"]), (rc, rc == 0))
        return done.json

    def stage(self):
        return self.run_json("status")["result"]["plans"][0]["stage"]

    def schemas(self):
        return self.db.column("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1")


class Path(Case):
    def test_looking_writes_nothing(self):
        catalogue = "SELECT count(*), max(oid) FROM pg_class"
        before = self.db.psql(catalogue)
        self.assertIn("1 outstanding of 1 plan", self.run_text("status").stdout)
        self.run_json("status", "--exit-code", rc=1)
        dry = self.run_json("advance", "orders-ref", "--release", "1", "--dry-run")["result"]["plans"][0]
        self.assertEqual((dry["dry_run"], dry["go"], dry["phase"], dry["no_return"]), (True, True, "expand", None))
        self.assertEqual([s["id"] for s in dry["steps"]][:2], ["column", "index"])
        self.assertIn("ALTER TABLE orders ADD COLUMN ref text", dry["steps"][0]["sql"])
        self.assertEqual(dry["steps"][0]["lock"], "ACCESS EXCLUSIVE")
        self.assertIn("No point of no return", self.run_text("advance", "orders-ref", "--release", "1", "-n").stdout)
        self.assertEqual(self.run_json("history")["result"]["databases"][0]["rows"], [])
        self.assertIn("nothing was done yet", self.run_text("history").stdout)
        self.run_json("doctor")
        guard = self.run_json("guard", "--release", "1", rc=4)["result"]
        self.assertEqual((guard["may_run"], guard["databases"][0]["reason"]), (False, "expand_missing"))
        self.assertEqual(self.db.psql(catalogue), before)
        self.assertEqual(self.schemas(), ["information_schema", "public"])
        self.assertFalse(os.path.exists(os.path.join(self.dir, ".phasegate")))

    def test_from_expand_to_purge(self):
        done = self.run_text("advance", "--all", "--release", "1")
        self.assertIn("1 outstanding migration to apply for release 1", done.stderr)
        self.assertIn("orders-ref: planned -> expand done", done.stdout)
        run_ids = set(re.findall(r"^\[(\S+)\]", done.stderr, re.M))
        self.assertEqual(len(run_ids), 1)
        self.assertEqual(self.db.column("SELECT DISTINCT run_id FROM phasegate.migration_history"), list(run_ids))
        self.assertIn("(1 of 3) orders-ref expand column", done.stderr)
        self.assertTrue(self.run_json("guard", "--release", "1")["result"]["may_run"])
        self.assertIn("up to date", self.run_text("advance", "--all", "--release", "1").stdout)
        self.assertTrue(self.run_json("advance", "orders-ref", "--release", "1")["result"]["plans"][0]["nothing_to_do"])

        refused = self.run_json("advance", "orders-ref", "--release", "4", rc=4)
        self.assertEqual((refused["error"]["kind"], refused["error"]["reason"]), ("refused", "not_its_turn"))

        self.run_text("pause", "orders-ref", "--because", "lunch")
        self.assertIn("lunch", self.run_text("status").stdout)
        self.assertEqual(self.run_json("advance", "orders-ref", "--release", "2", rc=4)["error"]["reason"], "paused")
        self.run_json("resume", "orders-ref")
        self.assertEqual(self.run_json("resume", "orders-ref", rc=4)["error"]["kind"], "refused")

        result = self.run_json("advance", "orders-ref", "--release", "2")["result"]["plans"][0]
        self.assertEqual((result["from"], result["to"]), ("expand done", "dual_read done"))
        self.run_json("advance", "orders-ref", "--release", "3")
        self.assertEqual(self.db.value("SELECT count(*) FROM orders WHERE ref = legacy"), "2000")
        self.assertIn("contract approved by", self.run_text("approve", "orders-ref", "contract", "--as", "bob").stdout)
        self.run_json("advance", "orders-ref", "--release", "4")
        self.assertEqual(self.stage(), "contract done")

        self.assertIn("-> write_activation done", self.run_text("restore", "orders-ref").stdout)
        self.assertEqual(self.db.value("SELECT count(legacy) FROM orders"), "2000")
        self.run_json("advance", "orders-ref", "--release", "4")
        time.sleep(1.2)
        dry = self.run_json("purge", "orders-ref", "--dry-run", rc=4)["result"]["dry_run"]
        self.assertIsNotNone(dry["no_return"])
        self.assertEqual(self.run_json("purge", "orders-ref", rc=4)["error"]["reason"], "confirm")
        self.assertEqual(self.run_json("purge", "orders-ref", "--confirm", "order-ref", rc=4)["error"]["reason"], "confirm")
        self.run_json("purge", "orders-ref", "--confirm", "orders-ref")
        self.assertEqual(self.db.column("SELECT attname FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attnum > 0 "
                                        "AND NOT attisdropped ORDER BY 1"), ["id", "ref"])
        self.assertIn("up to date (1 plan)", self.run_text("status", "--exit-code").stdout)

        chain = self.run_json("history", "--verify")["result"]["databases"][0]
        self.assertTrue(chain["chain"]["holds"])
        self.assertEqual(len(self.run_json("history", "--limit", "2")["result"]["databases"][0]["rows"]), 2)
        rows = self.run_json("history", "orders-ref", "--release", "4", "--limit", "0")["result"]["databases"][0]["rows"]
        self.assertEqual({r["release"] for r in rows}, {"4"})
        self.db.psql("SET session_replication_role = replica;"
                     "DELETE FROM phasegate.migration_history WHERE seq = 3")
        self.assertIn("the chain is broken", self.run_text("history", "--verify", rc=1).stdout)

    def test_rollback(self):
        self.run_text("advance", "orders-ref", "--release", "1")
        self.assertTrue(self.run_json("rollback", "orders-ref", "--dry-run")["result"]["dry_run"]["go"])
        self.assertIn("expand done -> planned", self.run_text("rollback", "orders-ref").stdout)
        self.assertEqual(self.db.value("SELECT count(*) FROM pg_attribute WHERE attrelid = 'orders'::regclass "
                                       "AND attname = 'ref'"), "0")

    def test_accept_shows_the_difference(self):
        self.run_text("advance", "orders-ref", "--release", "1")
        self.write("plans/20260101000000-orders-ref.yaml", PLAN.replace("COLUMN ref text", "COLUMN ref varchar"))
        refused = self.run_json("advance", "orders-ref", "--release", "2", rc=4)
        self.assertEqual(refused["error"]["reason"], "edited")
        self.assertIn("phasegate accept orders-ref", self.run_text("status").stdout)
        done = self.run_text("accept", "orders-ref", "--because", "same type", "--as", "alice")
        self.assertIn("- ALTER TABLE orders ADD COLUMN ref text\n+ ALTER TABLE orders ADD COLUMN ref varchar\n", done.stdout)
        self.assertIn("1 step accepted", done.stdout)
        self.assertIn("nothing to accept", self.run_text("accept", "orders-ref", "--because", "x").stdout)
        self.run_json("advance", "orders-ref", "--release", "2")

    def test_6_another_run_holds_the_lease(self):
        self.run_text("advance", "orders-ref", "--release", "1")
        blocker = self.db.session()
        self.addCleanup(blocker.close)
        blocker.run("BEGIN; LOCK TABLE orders")
        first = pgtest.Running(["advance", "orders-ref", "--release", "2"], cwd=self.dir, env=self.env)
        self.addCleanup(lambda: first.is_running() and first.kill())
        pgtest.wait_until(lambda: self.db.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())") != "0",
                          what="the lease")
        done = self.run_json("advance", "orders-ref", "--release", "2", "--lock-wait", "0s", rc=6)
        self.assertEqual(done["error"]["kind"], "locked")
        self.assertIn("advance", done["error"]["message"] + (done["error"]["detail"] or ""))
        first.signal(signal.SIGINT)
        time.sleep(0.5)
        if first.is_running():
            first.signal(signal.SIGINT)
        stopped = first.wait(timeout=20)
        self.assertEqual(stopped.rc, 130, stopped)
        blocker.run("ROLLBACK")
        self.run_json("advance", "orders-ref", "--release", "2")

    def test_ledger_of_a_newer_program(self):
        self.run_text("advance", "orders-ref", "--release", "1")
        self.db.psql("INSERT INTO phasegate.schema_version SELECT (jsonb_populate_record(v, '{\"number\": 9999}')).* "
                     "FROM phasegate.schema_version v ORDER BY number DESC LIMIT 1")
        self.assertEqual(self.run_json("status", rc=4)["error"]["reason"], "ledger_newer")

    def test_search_path_of_the_database_is_kept_for_the_users_sql(self):
        self.db.psql('CREATE SCHEMA app; ALTER TABLE orders SET SCHEMA app; ALTER DATABASE "%s" SET search_path = app, public'
                     % self.db.name)
        self.run_text("advance", "orders-ref", "--release", "1")
        self.assertEqual(self.db.value("SELECT count(*) FROM information_schema.columns WHERE table_schema = 'app' "
                                       "AND column_name = 'ref'"), "1")


class Terminal(Case):
    """With a terminal on all three: colour, the bar, and the question before a point of no return."""

    def on_terminal(self, args, answers=(), env=None):
        main, side = pty.openpty()
        process = subprocess.Popen([pgtest.BIN, *args], cwd=self.dir, stdin=side, stdout=side, stderr=side,
                                   env=pgtest.phasegate_env({"TERM": "xterm", **self.env, **(env or {})}), start_new_session=True)
        os.close(side)
        text, answers, end = "", list(answers), time.monotonic() + 60
        while time.monotonic() < end:
            if select.select([main], [], [], 0.2)[0]:
                try:
                    piece = os.read(main, 65536)
                except OSError:
                    break
                if not piece:
                    break
                text += piece.decode("utf-8", "replace")
                if answers and "to go on: " in text:
                    os.write(main, answers.pop(0).encode() + b"\n")
        os.close(main)
        return process.wait(timeout=10), text

    def to_contract(self):
        for release in "1234":
            self.run_text("advance", "orders-ref", "--release", release, "-q")
        time.sleep(1.2)

    def test_purge_asks_for_the_name(self):
        self.to_contract()
        rc, text = self.on_terminal(["purge", "orders-ref"], ["yes"])
        self.assertEqual(rc, 4, text)
        self.assertIn("Type the plan's name (orders-ref)", text)
        rc, text = self.on_terminal(["purge", "orders-ref"], [""])
        self.assertEqual(rc, 4, text)
        rc, text = self.on_terminal(["purge", "orders-ref"], ["orders-ref"])
        self.assertEqual(rc, 0, text)
        self.assertEqual(self.stage(), "purged")

    def test_colour(self):
        for env, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)):
            rc, text = self.on_terminal(["status"], env=env)
            self.assertEqual(("\x1b[1m" in text, rc), (coloured, 0), text)
        self.assertNotIn("\x1b", self.on_terminal(["--no-color", "status"])[1])

    def test_bar(self):
        self.run_text("advance", "orders-ref", "--release", "1")
        rc, text = self.on_terminal(["advance", "orders-ref", "--release", "2"])
        self.assertEqual(rc, 0, text)
        self.assertRegex(text, r"\r\x1b\[K\[#*\.*\] \d+ of \d+ rows")


if __name__ == "__main__":
    unittest.main()

"""rehearse: a plan's whole way and back, where nobody is hurt; killed on it; and what the ledger makes of it."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import unittest

import pgtest
import project
from project import BOUND, column_plan, full_plan, phase, plan, step

# What plans are rehearsed on: rows are made for it.
BASELINE = """CREATE TABLE orders (id bigint PRIMARY KEY, legacy_ref text);
CREATE TABLE lines (id bigint PRIMARY KEY, order_id bigint NOT NULL REFERENCES orders, quantity int CHECK (quantity > 0));
CREATE TABLE log (what text);
"""

OLD = """-- name: GetOrder :one
-- args: (1)
SELECT id, legacy_ref FROM orders WHERE id = $1;

-- name: AddOrder :exec
-- args: (900001, 'new')
INSERT INTO orders (id, legacy_ref) VALUES ($1, $2);

-- name: ChangeOrder :exec
-- args: (2, 'other')
UPDATE orders SET legacy_ref = $2 WHERE id = $1;

-- name: ListLines :many
SELECT id, quantity FROM lines WHERE order_id = $1;
"""

NEW = """-- name: GetOrder :one
-- args: (1)
SELECT id, external_ref FROM orders WHERE id = $1;

-- name: AddOrder :exec
-- args: (900001, 'new')
INSERT INTO orders (id, external_ref) VALUES ($1, $2);
"""

BY_FLAG = """-- name: GetOrder :one
-- when: orders-ref-read=off
-- args: (1)
SELECT id, legacy_ref FROM orders WHERE id = $1;

-- name: GetOrder :one
-- when: orders-ref-read=on
-- args: (1)
SELECT id, external_ref FROM orders WHERE id = $1;
"""

RUNS = {"1.0.0": OLD, "1.1.0": OLD, "1.2.0": BY_FLAG, "1.3.0": BY_FLAG, "1.4.0": NEW, "1.5.0": NEW}


class Case(project.Case):
    def rehearsed(self, plans, statements=None, **more):
        """A project whose baseline is BASELINE and whose releases run these statements."""
        p = self.project(plans=plans, **more)
        texts = RUNS if statements is None else statements
        p.put("baseline.sql", BASELINE)
        p.body["baseline"] = "baseline.sql"
        p.body["releases"] = [{"version": v, "statements": v + ".sql"} if v in texts else {"version": v, "planned": True}
                              for v in project.RELEASES]
        for version, text in texts.items():
            p.put(version + ".sql", text)
        p.write()
        return p

    def rehearse(self, p, *args, code=0, name="orders-ref", **more):
        answer = p.json("rehearse", name, "--rows", "200", *args, code=code, **more)["result"]
        self.assertEqual(answer["green"], code == 0, answer["problems"])
        return answer


class Whole(Case):
    def test_forward_back_and_forward_again(self):
        p = self.rehearsed([full_plan()])
        before, files = p.dump(), p.tree()
        r = self.rehearse(p, "--kills", "6", "--seed", "7")
        self.assertEqual([x["phase"] for x in r["phases"]], list(project.PHASES))
        for x in r["phases"]:
            self.assertEqual((x["undo"]["verdict"], x["undo"]["left"]), ("undone", []), x)
            self.assertEqual(x["release"], BOUND[x["phase"]])
            self.assertTrue(x["again_ms"] > 0 and x["wal_bytes"] > 0, x)
        expand = r["phases"][0]
        self.assertEqual([(s["step"], s["idempotent"]) for s in expand["run_twice"]],
                         [("column", True), ("index", True), ("sync/trigger", True)])
        self.assertEqual([t["lock"] for t in expand["tasks"][:2]], ["ACCESS EXCLUSIVE", "SHARE UPDATE EXCLUSIVE"])
        # The rows that were filled stay so while the column does; the whole way back takes it away.
        self.assertIn("external_ref", r["phases"][1]["undo"]["stays_filled"][0])
        fill = next(t for t in r["phases"][1]["tasks"] if t["kind"] == "backfill")
        self.assertEqual(fill["estimated_rows"], 200)
        self.assertEqual(r["way_back"], {"whole": True, "why": None, "left": []})
        self.assertEqual((r["kills"]["wanted"], r["kills"]["made"], r["kills"]["elsewhere"]), (6, 6, []))
        self.assertEqual(r["kills"]["seed"], 7)
        rows = {x["table"]: (x["before"], x["after"]) for x in r["rows"]}
        self.assertEqual(rows, {"public.orders": (200, 200), "public.lines": (200, 200), "public.log": (200, 200)})
        self.assertEqual(r["few_rows"], [])
        self.assertGreater(r["load"]["requests"], 50)
        self.assertEqual((r["load"]["failed_requests"], r["load"]["failures"], r["load"]["never_ran"]), (0, [], []))
        # Nobody's database, flags or files know of it.
        self.assertEqual((p.dump(), p.tree()), (before, files))
        self.assertIsNone(p.flag("orders-ref-read"))

    def test_text_for_people(self):
        p = self.rehearsed([full_plan()])
        done = p.ok("rehearse", "orders-ref", "--rows", "20", "--kills", "0")
        for words in ("undone in", "idempotent", "way back from the end: to the start, schema and rows", "is rehearsed"):
            self.assertIn(words, done.stdout)

    def test_the_tests_of_a_plan(self):
        given = "INSERT INTO orders (id, legacy_ref) VALUES (1, 'A'), (2, NULL); INSERT INTO lines VALUES (1, 1, 2)"
        tests = [{"id": name, "given": given, "after": "write_activation", "expect": [
            {"sql": "SELECT count(*) FROM orders WHERE external_ref IS NULL", "expect": expect},
            {"sql": "SELECT quantity FROM lines", "expect": "= 2"}]} for name, expect in (("nulls", "= 1"), ("wrong", "= 0"))]
        p = self.rehearsed([full_plan(tests=tests[:1])])
        self.assertEqual(self.rehearse(p, "--kills", "0")["tests"], [{"test": "nulls", "passed": True, "found": []}])
        p.write_plan(full_plan(tests=tests))
        r = self.rehearse(p, "--kills", "0", code=1)
        self.assertEqual([(t["test"], t["passed"]) for t in r["tests"]], [("nulls", True), ("wrong", False)])
        self.assertIn("test wrong fails: SELECT count(*) FROM orders WHERE external_ref IS NULL gives 1, expected = 0",
                      r["problems"][0])

    def test_what_is_another_value_each_time(self):
        p = self.rehearsed([full_plan(phases={"write_activation": phase("write_activation", steps=[
            step("column", "ALTER TABLE log ADD COLUMN seen timestamptz DEFAULT clock_timestamp()")])})])
        r = self.rehearse(p, "--kills", "3")
        self.assertEqual(r["kills"]["made"], 3)

    def test_a_plan_that_others_come_before(self):
        first = column_plan("first", 20260101000000, phases={"expand": phase("expand", steps=[
            step("t", "CREATE TABLE kinds (id int PRIMARY KEY)")])})
        second = plan("orders-ref", 20260102000000, {"expand": phase("expand", steps=[
            step("c", "ALTER TABLE kinds ADD COLUMN name text")])}, depends_on=[{"plan": "first", "phase": "expand"}])
        second["phases"]["expand"]["release"] = "1.2.0"
        p = self.rehearsed([first, second], statements={})
        r = self.rehearse(p, "--kills", "2")
        # It is complete with its only phase, and what is complete isn't taken back.
        self.assertEqual([(x["phase"], x["undo"]["verdict"]) for x in r["phases"]], [("expand", "no_undo")])


class WorkedPlan(unittest.TestCase):
    """An index that becomes a key: its undo leaves the index, and where others refer to it, the key stays and is said to."""

    def rehearse(self, name, kills):
        folder = tempfile.mkdtemp(prefix="phasegate-rehearse-")
        self.addCleanup(shutil.rmtree, folder)
        p = os.path.join(folder, "p")
        shutil.copytree(os.path.join(os.environ["PHASEGATE_SRC"], "plans/int-to-bigint-key"), p, ignore=shutil.ignore_patterns("wrong"))
        done = subprocess.run([os.environ["PHASEGATE_BIN"], "rehearse", name, "--rows", "100", "--kills", str(kills), "--format", "json"],
                              cwd=p, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout)["result"]

    def test_what_it_depends_on_goes_on_between_its_phases(self):
        """Contract can't drop the old key before the other plan's contract has dropped what refers to it, a release earlier."""
        r = self.rehearse("orders-id-bigint", 3)
        self.assertEqual([x["phase"] for x in r["phases"]], ["expand", "dual_read", "write_activation", "contract"])
        other = "order-items-order-id-bigint"
        self.assertEqual(r["between"], ["dual_read of plan %s (1.2.0), before dual_read" % other,
                                        "write_activation of plan %s (1.3.0), before write_activation" % other,
                                        "contract of plan %s (1.5.0), before contract" % other])
        self.assertEqual(r["way_back"], {"whole": False, "why": "plans that it depends on have gone on between its phases", "left": []})
        self.assertEqual((r["problems"], r["kills"]["made"], r["kills"]["elsewhere"]), ([], 3, []))

    def test_keys_of_unique_indexes(self):
        r = self.rehearse("order-keys", 2)
        self.assertEqual(r["between"], [])
        undo = r["phases"][0]["undo"]
        self.assertEqual((undo["verdict"], undo["left"], undo["stays_filled"]), ("no_undo", [], ["table public.orders is another one"]))
        self.assertEqual(undo["why"], "orders of contract has no undo: what it made stays")
        self.assertEqual((r["problems"], r["kills"]["made"], r["kills"]["elsewhere"]), ([], 2, []))


class Found(Case):
    def test_an_undo_that_does_not_undo(self):
        p = self.rehearsed([full_plan(phases={"expand": phase("expand", steps=[
            step("column", "ALTER TABLE orders ADD COLUMN external_ref text"),
            step("extra", "ALTER TABLE log ADD COLUMN who text", undo="COMMENT ON TABLE log IS 'undone'")])})])
        r = self.rehearse(p, code=1)
        undo = r["phases"][0]["undo"]
        self.assertEqual((undo["verdict"], undo["left"]), ("left", ["table public.log is another one"]))
        self.assertIn("the undo of expand doesn't undo it: table public.log is another one", r["problems"])
        self.assertEqual(r["kills"]["made"], 0)

    def test_an_undo_that_changes_rows(self):
        p = self.rehearsed([full_plan(phases={"expand": phase("expand", steps=[
            step("column", "ALTER TABLE orders ADD COLUMN external_ref text",
                 undo="UPDATE orders SET legacy_ref = 'lost' WHERE id = 2; ALTER TABLE orders DROP COLUMN external_ref")])})])
        r = self.rehearse(p, code=1)
        self.assertEqual(r["phases"][0]["undo"]["left"], ["column legacy_ref of public.orders holds something else"])

    def test_a_step_that_is_not_idempotent(self):
        p = self.rehearsed([full_plan(phases={"write_activation": phase("write_activation", steps=[
            step("column", "ALTER TABLE log ADD COLUMN who text"),
            step("note", "INSERT INTO log (what) VALUES ('here')", applied_when="SELECT false",
                 undo="DELETE FROM log WHERE what = 'here'")])})])
        r = self.rehearse(p, code=1)
        twice = {s["step"]: s for s in r["phases"][2]["run_twice"]}
        self.assertTrue(twice["column"]["idempotent"])
        self.assertEqual((twice["note"]["idempotent"], twice["note"]["changed"]),
                         (False, ["public.log has 202 rows, and had 201"]))

    def test_a_kill_that_leads_elsewhere(self):
        """Half of a step that commits piece by piece, and is told to be done by its last piece alone.

        The server looks once a second whether a client is still there: the step lasts long enough for it to be stopped half way.
        """
        p = self.rehearsed([full_plan(phases={"write_activation": phase("write_activation", steps=[
            step("notes", "CALL note_both()", transaction="none", applied_when="SELECT EXISTS (SELECT FROM log WHERE what = 'b')",
                 undo="DELETE FROM log WHERE what IN ('a', 'b')")])})])
        p.put("baseline.sql", BASELINE + """CREATE PROCEDURE note_both() LANGUAGE plpgsql AS $$
            BEGIN
                INSERT INTO log (what) VALUES ('a'); COMMIT;
                PERFORM pg_sleep(4);
                INSERT INTO log (what) VALUES ('b');
            END $$;""")
        r = self.rehearse(p, "--kills", "6", "--seed", "3", code=1)
        elsewhere = r["kills"]["elsewhere"]
        self.assertTrue(elsewhere, (r["kills"], r["problems"]))
        self.assertIn("advance orders-ref --release 1.3.0", elsewhere[0]["command"])
        self.assertRegex(" ".join(elsewhere[0]["left"]), r"public\.log has 20\d rows, and had 202")

    def test_requests_that_fail(self):
        """Contract hides a column that a release beside it still reads."""
        p = self.rehearsed([full_plan()], statements=dict(RUNS, **{"1.4.0": OLD}))
        r = self.rehearse(p, "--kills", "0", code=1)
        self.assertGreater(r["load"]["failed_requests"], 0)
        failed = {(f["release"], f["statement"], f["sqlstate"]) for f in r["load"]["failures"]}
        self.assertIn(("1.4.0", "GetOrder", "42703"), failed)
        self.assertIn("requests failed", r["problems"][0])

    def test_a_phase_that_fails(self):
        p = self.rehearsed([column_plan(phases={"expand": phase("expand", steps=[
            step("no", "ALTER TABLE nowhere ADD COLUMN x int")])})])
        r = self.rehearse(p, code=1)
        self.assertRegex(r["problems"][0], 'expand fails: .*nowhere.*does not exist')

    def test_programs_run_only_when_told(self):
        p = self.rehearsed([column_plan(phases={"expand": phase("expand", steps=[
            {"id": "tool", "command": ["psql", "-qc", "CREATE TABLE made ()"], "applied_when": "SELECT to_regclass('made') IS NOT NULL",
             "undo": "DROP TABLE made"}])})], statements={})
        done = p.exits(2, "rehearse", "orders-ref")
        self.assertIn("--allow-commands", done.stderr)
        self.rehearse(p, "--allow-commands", "--kills", "0")


class Left(Case):
    def test_a_signal_leaves_nothing(self):
        p = self.rehearsed([full_plan()])
        tmp = tempfile.mkdtemp(prefix="pgr.", dir="/tmp")
        self.addCleanup(shutil.rmtree, tmp, ignore_errors=True)
        os.chmod(tmp, 0o755)
        for words in ("dual_read", "killed and resumed"):
            with p.start("rehearse", "orders-ref", "--kills", "100", env={"TMPDIR": tmp}) as running:
                pgtest.wait_until(lambda: words in running.stderr, 60, what=words)
                running.signal(signal.SIGTERM)
                done = running.wait(60)
            self.assertEqual((done.rc, os.listdir(tmp)), (143, []), done)


    def test_what_one_that_was_killed_left_the_next_removes(self):
        p = self.rehearsed([full_plan()])
        tmp = tempfile.mkdtemp(prefix="pgr.", dir="/tmp")
        self.addCleanup(shutil.rmtree, tmp, ignore_errors=True)
        os.chmod(tmp, 0o755)
        with pgtest.Cluster() as other:
            db = other.create_database()
            db.psql(BASELINE)
            for where in ((), ("--clone", db.url)):
                with p.start("rehearse", "orders-ref", *where, env={"TMPDIR": tmp}) as running:
                    pgtest.wait_until(lambda: "dual_read" in running.stderr, 60, what="dual_read")
                    running.signal(signal.SIGKILL)
                    running.wait(60)
                self.assertNotEqual(os.listdir(tmp), [])
            self.rehearse(p, "--kills", "0", env={"TMPDIR": tmp})
            self.assertEqual(os.listdir(tmp), [])


class Clone(Case):
    def test_on_a_server_of_its_own(self):
        p = self.rehearsed([full_plan()])
        with pgtest.Cluster() as other:
            db = other.create_database()
            db.psql(BASELINE + "INSERT INTO orders SELECT i, 'R' || i FROM generate_series(1, 300) i")
            schema = db.psql("SELECT attname FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attnum > 0 ORDER BY attnum")
            r = self.rehearse(p, "--clone", db.url, "--kills", "4")
            self.assertEqual(r["on"], "clone")
            self.assertEqual((r["kills"]["made"], r["kills"]["elsewhere"]), (4, []))
            self.assertIn({"table": "public.orders", "before": 300, "after": 300}, r["rows"])
            self.assertTrue(schema)

    def test_its_password_is_told_nobody(self):
        p = self.rehearsed([column_plan()], statements={})
        with pgtest.Cluster() as other:
            db = other.create_database()
            db.psql(BASELINE)
            url = db.url.replace("postgres@", "postgres:s3cr3t@")
            self.assertIn("s3cr3t", url)
            done = p.ok("-e", "staging", "rehearse", "orders-ref", "--clone", url, "--kills", "1", "--format", "json")
            self.assertNotIn("s3cr3t", done.stdout + done.stderr + "".join(p.dump()))
        done = p.exits(3, "rehearse", "orders-ref", "--clone", url)  # nobody is there any more
        self.assertNotIn("s3cr3t", done.stdout + done.stderr)

    def test_by_a_command(self):
        p = self.rehearsed([full_plan()])
        with pgtest.Cluster() as other:
            db = other.create_database()
            db.psql(BASELINE)
            marks = os.path.join(p.dir, "marks")
            command = 'echo "$PHASEGATE_CLONE $CLONE_URL" >> %s; echo "%s"' % (marks, db.url)
            self.rehearse(p, "--clone-command", command, "--kills", "0")
            with open(marks, encoding="utf-8") as f:
                self.assertEqual(f.read().splitlines(), ["make ", "remove " + db.url])
        failed = p.exits(3, "rehearse", "orders-ref", "--clone-command", "echo no room >&2; exit 4")
        self.assertIn("no room", failed.stderr)

    def test_production_itself_is_refused(self):
        p = self.rehearsed([full_plan()])
        before = p.dump()
        error = p.refused("production", "rehearse", "orders-ref", "--clone", p.db.url)
        self.assertIn("environment staging", error["message"])
        # Another name for it, and another database of its server.
        other = pgtest.cluster().create_database()
        self.addCleanup(other.drop)
        for url in (p.db.url + ("&" if "?" in p.db.url else "?") + "application_name=x", other.url):
            error = p.refused("production", "rehearse", "orders-ref", "--clone", url)
            self.assertIn("system identifier", error["message"])
        self.assertEqual(p.dump(), before)


class Gate(Case):
    def test_advance_asks_for_a_young_green_one_of_this_very_plan(self):
        p = self.rehearsed([full_plan()], policy={"rehearsal": {"max_age": "7d"}, "proof": "off"})
        error = p.refused("rehearsal", "advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("wasn't rehearsed as it reads now", json.dumps(error))
        self.assertIn("phasegate -e staging rehearse orders-ref", json.dumps(error))
        self.rehearse(p, "--kills", "0")  # recorded nowhere
        p.refused("rehearsal", "advance", "orders-ref", "--release", "1.1.0")
        r = self.rehearse(p, "--kills", "1", "-e", "staging")
        self.assertEqual(r["recorded_in"], "staging")
        self.assertEqual(p.db.psql("SELECT plan, checksum, green, on_clone, rows, kills FROM phasegate.rehearsal"),
                         [["orders-ref", r["checksum"], "t", "f", "600", "1"]])
        p.db.psql("UPDATE phasegate.rehearsal SET rehearsed_at = rehearsed_at - interval '8 days'")
        self.assertIn("7d is the limit", json.dumps(p.refused("rehearsal", "advance", "orders-ref", "--release", "1.1.0")))
        p.db.psql("UPDATE phasegate.rehearsal SET rehearsed_at = rehearsed_at + interval '8 days', green = false, problems = 2")
        self.assertIn("found 2 problems", json.dumps(p.refused("rehearsal", "advance", "orders-ref", "--release", "1.1.0")))
        p.db.psql("UPDATE phasegate.rehearsal SET green = true, problems = 0")
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        # An edited plan is another one.
        p.write_plan(full_plan(title="Another title"))
        p.refused("rehearsal", "advance", "orders-ref", "--release", "1.2.0")

    def test_a_gate_of_a_phase(self):
        p = self.rehearsed([column_plan(phases={"expand": phase("expand", gates=["rehearsed"], steps=[
            step("column", "ALTER TABLE orders ADD COLUMN external_ref text")])},
            gates={"rehearsed": {"rehearsal": {"max_age": "7d"}, "interval": "100ms", "no_data": "fail"}})],
            statements={}, policy={"proof": "off"})
        failed = p.run("advance", "orders-ref", "--release", "1.1.0")
        self.assertNotEqual(failed.rc, 0)
        self.assertIn("wasn't rehearsed", failed.stderr)
        self.rehearse(p, "--kills", "0", "-e", "staging")
        p.ok("resume", "orders-ref", "--because", "rehearsed")
        p.ok("advance", "orders-ref", "--release", "1.1.0")

    def test_a_red_one_is_recorded_too(self):
        p = self.rehearsed([column_plan(phases={"expand": phase("expand", steps=[
            step("no", "ALTER TABLE nowhere ADD COLUMN x int")])})])
        self.rehearse(p, "-e", "staging", code=1)
        self.assertEqual(p.db.psql("SELECT green, problems, report->'problems'->>0 ~ 'nowhere' FROM phasegate.rehearsal"),
                         [["f", "1", "t"]])


if __name__ == "__main__":
    unittest.main()

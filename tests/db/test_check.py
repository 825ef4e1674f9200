"""check: the proof that each release stays compatible with the one before it, on a real shadow."""

import json
import os
import subprocess
import tempfile
import unittest

import check_project
import pgtest
from project import plan, step

T = "CREATE TABLE t (id int PRIMARY KEY, old text, n int)"
GET = "-- name: Get\n-- args: (1)\nSELECT old FROM t WHERE id = $1;\n"
OTHER = "-- name: Other\n-- args: (1)\nSELECT n FROM t WHERE id = $1;\n"
SOURCE = os.environ.get("PHASEGATE_SRC", os.path.join(os.path.dirname(__file__), "../.."))


def expand(release, *sql):
    return {"release": release, "steps": [step("s%d" % i, s) for i, s in enumerate(sql)]}


def drop_old(release):
    return plan("drop-old", phases={"contract": expand(release, "ALTER TABLE t DROP COLUMN old")})


class Worlds(check_project.Case):
    def test_the_example_is_green(self):
        done = check_project.Done(subprocess.run([os.environ["PHASEGATE_BIN"], "check", "--format", "json"],
                                                 cwd=os.path.join(SOURCE, "plans/demo"), capture_output=True, text=True))
        self.assertEqual((done.rc, done.findings), (0, []), done)
        s = done.json["summary"]
        self.assertEqual(s["cells"], s["probed"])
        self.assertEqual((s["plans"], s["releases"]), (1, 6))

    def test_releases_that_never_meet_a_step_have_the_same_statement(self):
        delete = "-- name: Del\nDELETE FROM t WHERE id = $1;\n"
        p = self.project(baseline=T, releases={"1.%d.0" % n: delete for n in range(6)}, plans=[plan("quiet", phases={
            "expand": expand("1.1.0", "CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING"), "contract": expand("1.3.0", "ALTER TABLE t ALTER n SET DEFAULT 1")})])
        done = p.check()
        [f] = [f for f in done.findings if f["rule"] == "old-path-trigger-effect"]
        self.assertEqual((done.rc, f["severity"]), (1, "error"), done)

    def test_a_function_that_refuses_what_is_made_up(self):
        """What it goes on to do nobody has seen: that is said."""
        base = T + """; CREATE FUNCTION f(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
            IF i < 1000000 THEN RAISE 'no such order %', i; END IF; RETURN (SELECT n FROM t WHERE id = i); END $$"""
        drop = plan("drop-n", phases={"contract": expand("1.1.0", "ALTER TABLE t DROP COLUMN n")})
        for call, args, rules in (("SELECT f($1)", "", ["cell-untested"]), ("SELECT * FROM f($1) AS x", "", ["cell-untested"]),
                                  ("SELECT f($1)", "-- args: (2000000)\n", ["routine-body-broken"]), ("SELECT 1 / $1::int", "", [])):
            with self.subTest(call + args):
                old = "-- name: F\n%s%s;\n" % (args, call)
                p = self.project(baseline=base, releases={"1.0.0": old, "1.1.0": old}, plans=[drop])
                self.assertEqual(sorted({f["rule"] for f in p.check().findings} & {"cell-untested", "routine-body-broken"}), rules)

    def test_a_schema_whose_name_begins_like_ours(self):
        base = T + """; CREATE SCHEMA phasegate_tools; CREATE FUNCTION phasegate_tools.f(i int) RETURNS text LANGUAGE plpgsql AS $$
            DECLARE r text; BEGIN SELECT old INTO r FROM t WHERE n = i; RETURN r; END $$;
            CREATE TABLE u (id int PRIMARY KEY, b text DEFAULT phasegate_tools.f(1))"""
        put = "-- name: Put\nINSERT INTO u (id) VALUES ($1);\n"
        p = self.project(baseline=base, releases={"1.0.0": put, "1.1.0": put}, plans=[drop_old("1.1.0")])
        self.assertIn(("error", "routine-body-broken"), {(f["severity"], f["rule"]) for f in p.check().findings})

    def test_locks_of_a_table_with_quotes_in_its_name(self):
        for name in ('"a""b"', '"a ""b"" c"', "ab"):
            for sql in ("CREATE INDEX ON %s (n)", "ALTER TABLE %s ADD CHECK (n > 0)", "ALTER TABLE %s ALTER n SET NOT NULL"):
                with self.subTest(sql % name):
                    get = "-- name: Get\nSELECT n FROM %s WHERE id = $1;\n" % name
                    p = self.project(baseline="CREATE TABLE %s (id int PRIMARY KEY, n int)" % name, releases={"1.0.0": get, "1.1.0": get},
                                     plans=[plan("index", phases={"contract": expand("1.1.0", sql % name)})])
                    self.assertIn("work-under-strong-lock", [f["rule"] for f in p.check().findings])

    def test_answers_beside_plans_that_come_in_any_order(self):
        """Two plans of one release make mixtures, for which the database is made anew: answers are compared over it too."""
        base = T + "; CREATE TABLE products (id int); CREATE VIEW v AS SELECT id, n FROM t"
        view = "-- name: V\nSELECT id, n FROM v ORDER BY id;\n"
        one = plan("one", 20260101000001, phases={"expand": expand("1.1.0", "ALTER TABLE products ADD COLUMN one int")})
        two = plan("two", 20260101000002, phases={"expand": expand("1.1.0", "ALTER TABLE products ADD COLUMN two int")})
        for sql, wrong in (("SELECT id, n FROM t WHERE false", True), ("SELECT t.id, t.n FROM t", False)):
            last = plan("view", 20260101000003, phases={"expand": expand("1.2.0", "CREATE OR REPLACE VIEW v AS " + sql)})
            p = self.project(baseline=base, releases={r: view for r in ("1.0.0", "1.1.0", "1.2.0")}, plans=[one, two, last])
            if wrong:
                self.red(p, "row-visibility-changed", plan="view", statement="V")
            else:
                self.clean(p)

    def test_contract_while_the_release_before_reads_it(self):
        p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": OTHER, "1.2.0": OTHER}, plans=[drop_old("1.1.0")])
        f = self.red(p, "old-query-fails", safe_from="1.2.0", release="1.0.0", statement="Get", kind="contract", sqlstate="42703",
                     plan="drop-old", phase="contract", step="s0", file="plans/20260101000000-drop-old.yaml")
        [place] = f["places"]
        self.assertLessEqual({"file": "statements/1.0.0.sql", "line": 3, "release": "1.0.0", "statement": "Get"}.items(), place.items())
        self.assertIn('column "old" does not exist', f["message"])

    def test_statements_that_nobody_would_read(self):
        """In a folder of statements: a break that isn't found because its file has another name would be green."""
        for name, words in (("sub/b.sql", "a folder within a folder of statements isn't read"),
                            ("b.SQL", "it isn't read as a file of statements")):
            p = self.project(baseline=T, releases={"1.0.0": None, "1.1.0": OTHER}, plans=[drop_old("1.1.0")],
                             more={"1.0.0": {"statements": "old/"}})
            os.makedirs(os.path.join(p.dir, "old", os.path.dirname(name)))
            p.write("old/" + name, GET)
            p.write("old/a.sql", OTHER)
            done = p.check()
            self.assertEqual(done.rc, 2, done)
            [problem] = done.json["problems"]
            self.assertEqual((problem["file"], problem["message"]), ("old/" + name.split("/")[0], words), done)

    def test_contract_once_nobody_reads_it(self):
        p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": OTHER, "1.2.0": OTHER}, plans=[drop_old("1.2.0")])
        self.clean(p)

    def test_a_wider_window_reaches_further_back(self):
        p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": OTHER, "1.2.0": OTHER, "1.3.0": OTHER}, plans=[drop_old("1.2.0")])
        self.clean(p)
        self.red(p, "old-query-fails", "--window", "2", safe_from="1.3.0")

    def test_a_consumer_is_live_in_every_world(self):
        p = self.project(baseline=T, releases={"1.0.0": OTHER, "1.1.0": OTHER}, consumers={"reporting": GET}, plans=[drop_old("1.1.0")])
        self.red(p, "old-query-fails", release="reporting", safe_from=None)

    def test_code_before_its_column(self):
        new = "-- name: Get\n-- args: (1)\nSELECT fresh FROM t WHERE id = $1;\n"
        late = plan("fresh", phases={"dual_read": expand("1.2.0", "ALTER TABLE t ADD COLUMN fresh text")})
        p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": new, "1.2.0": new}, plans=[late])
        self.red(p, "new-query-needs-later-state", release="1.1.0")
        p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": new, "1.2.0": new},
                         plans=[plan("fresh", phases={"expand": expand("1.2.0", "ALTER TABLE t ADD COLUMN fresh text")})])
        self.red(p, "expand-after-code", release="1.1.0")
        p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": new, "1.2.0": new},
                         plans=[plan("fresh", phases={"expand": expand("1.1.0", "ALTER TABLE t ADD COLUMN fresh text")})])
        self.clean(p)

    def test_a_release_that_nobody_has_written(self):
        p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": GET, "1.2.0": None, "1.3.0": None}, planned=("1.2.0", "1.3.0"),
                         plans=[drop_old("1.3.0")])
        self.red(p, "not-yet-provable", severity="note")

    def test_a_listed_release_without_statements(self):
        p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": None}, plans=[drop_old("1.1.0")])
        done = p.check()
        self.assertEqual(done.rc, 1)
        self.assertIn(("error", "cell-untested"), self.rules(done))

    def test_what_fails_without_any_plan(self):
        broken = GET + "-- name: Broken\nSELECT nothing FROM t;\n"
        p = self.project(baseline=T, releases={"1.0.0": broken, "1.1.0": broken}, plans=[plan("a", phases={"expand": expand("1.1.0", "ALTER TABLE t ADD COLUMN x int")})])
        done = p.check()
        self.assertEqual([f["rule"] for f in done.findings], ["failing-at-baseline"], done)
        self.assertEqual(done.rc, 0)


FLAGS = {"read": {"key": "new-read"}, "write": {"key": "new-write"}}
BOTH = """-- name: Get
-- when: new-read=off
-- args: (1)
SELECT old AS v FROM t WHERE id = $1;
-- name: Get
-- when: new-read=on
-- args: (1)
SELECT fresh AS v FROM t WHERE id = $1;
-- name: Put
-- args: (1, 'v')
UPDATE t SET old = $2 WHERE id = $1;
"""
SYNC = {"table": "t", "forward": {"fresh": "old"}, "reverse": {"old": "fresh"}, "by": "trigger"}


def widen(backfill=True, sync=SYNC, **more):
    dual = {"release": "1.2.0", "rollout": [{"percent": 100}]}
    if backfill:
        dual["backfill"] = [{"id": "fill"} if sync else {"id": "fill", "table": "t", "set": {"fresh": "old"}, "where": "fresh IS DISTINCT FROM old"}]
    body = plan("widen", flags=FLAGS, phases={"expand": expand("1.1.0", "ALTER TABLE t ADD COLUMN fresh text"), "dual_read": dual,
                                              "write_activation": {"release": "1.3.0", "rollout": [{"percent": 100}]}}, **more)
    if sync:
        body["sync"] = sync
    return body


class Flags(check_project.Case):
    releases = {"1.0.0": GET, "1.1.0": GET, "1.2.0": BOTH, "1.3.0": BOTH}

    def test_both_branches_agree(self):
        self.clean(self.project(baseline=T, releases=self.releases, plans=[widen()]))

    def test_reads_switched_before_the_past_is_filled(self):
        f = self.red(self.project(baseline=T, releases=self.releases, plans=[widen(backfill=False)]), "stale-new-value")
        self.assertIn("a row from before", f["message"])

    def test_a_writer_that_keeps_one_side_only(self):
        f = self.red(self.project(baseline=T, releases=self.releases, plans=[widen(sync=None)]), "stale-new-value")
        self.assertIn("after Put", f["message"])

    def test_an_answer_that_may_differ(self):
        differs = BOTH.replace("-- when: new-read=on", "-- when: new-read=on\n-- differs: shows the new format")
        self.clean(self.project(baseline=T, releases={**self.releases, "1.2.0": differs, "1.3.0": differs}, plans=[widen(backfill=False)]))

    def test_a_backfill_that_fills_again(self):
        p = widen()
        p["phases"]["dual_read"]["backfill"] = [{"id": "fill", "table": "t", "set": {"n": "n + 1"}, "where": "n IS NOT NULL"}, {"id": "more"}]
        self.red(self.project(baseline=T, releases=self.releases, plans=[p]), "backfill-not-idempotent-or-races-old-writers")

    def test_a_backfill_through_a_program_is_not_run_and_that_is_said(self):
        p = widen()
        p["phases"]["dual_read"]["backfill"] = [{"id": "fill"}, {"id": "more", "table": "t", "via": ["./missing"], "set": {"n": "via"}, "where": "n IS NULL"}]
        done = self.project(baseline=T, releases=self.releases, plans=[p]).check()
        self.assertEqual(done.rc, 0, done)
        said = [f for f in done.findings if f["rule"] == "cell-untested"]
        self.assertEqual([(f["severity"], f["step"]) for f in said], [("note", "more")])
        self.assertIn("./missing isn't run", said[0]["message"])


class Verify(check_project.Case):
    releases = {"1.0.0": GET, "1.1.0": GET, "1.2.0": GET, "1.3.0": GET}

    def verified(self, sql, phase="write_activation", **phases):
        p = widen()
        p["phases"][phase]["verify"] = [{"id": "equal", "sql": sql, "expect": "= 0"}]
        p["phases"].update(phases)
        return self.project(baseline=T, releases=self.releases, plans=[p])

    def test_a_name_that_is_nowhere(self):
        f = self.red(self.verified("SELECT count(*) FROM t WHERE nwe IS NULL"), "verify-query-fails", plan="widen",
                     phase="write_activation", sqlstate="42703")
        self.assertIn('verify "equal": column "nwe" does not exist', f["message"])

    def test_what_a_phase_has_made(self):
        self.clean(self.verified("SELECT count(*) FROM t WHERE fresh IS NULL"))
        self.clean(self.verified("SELECT count(*) FROM t WHERE fresh IS NULL", phase="dual_read"))

    def test_a_step_that_fails_says_enough(self):
        broken = expand("1.1.0", "ALTER TABLE nowhere ADD COLUMN fresh text")
        done = self.verified("SELECT count(*) FROM t WHERE nwe IS NULL", expand=broken).check()
        self.assertNotIn("verify-query-fails", [f["rule"] for f in done.findings], done)


class TwoSteps(check_project.Case):
    """A statement that a step keeps from running can be broken for good by a later one: that is the later one's."""

    def both(self, comment=""):
        put = "-- name: Put\nINSERT INTO t (id, old, n) VALUES ($1, $2, $3);\n"
        late = "-- name: Put\nINSERT INTO t (id, n) VALUES ($1, $2);\n"
        first = "%sALTER TABLE t ADD CONSTRAINT many CHECK (n > 1000) NOT VALID" % comment
        return self.project(baseline=T, releases={"1.0.0": put, "1.1.0": put, "1.2.0": put, "1.3.0": late}, plans=[
            plan("many", 20260101000000, phases={"expand": expand("1.1.0", first)}),
            plan("drop-old", 20260101000001, phases={"contract": expand("1.2.0", "ALTER TABLE t DROP COLUMN old")})])

    def test_each_has_its_own(self):
        done = self.both().check()
        [f] = [f for f in done.findings if f["rule"] == "old-query-fails"]
        self.assertEqual((f["plan"], f["sqlstate"], f["safe_from"]), ("drop-old", "42703", None), done)
        self.assertEqual({f["plan"] for f in done.findings if f["rule"] == "unproven-write"}, {"many"}, done)

    def test_what_is_allowed_of_one_says_nothing_of_the_other(self):
        done = self.both("-- phasegate: allow unproven-write because checked by hand until 1.3.0 approved-by ann\n").check()
        self.assertEqual([f["plan"] for f in done.findings if f["rule"] == "old-query-fails"], ["drop-old"], done)


class DeclaredTypes(check_project.Case):
    """-- types: what the client declares comes over the wire, whatever the server would infer."""

    def typed(self, types, sql="SELECT id FROM t WHERE code = $1", step="ALTER TABLE t ALTER COLUMN code TYPE text"):
        text = "-- name: One\n%s%s;\n" % ("-- types: %s\n" % types if types else "", sql)
        return self.project(baseline="CREATE TABLE t (id bigint PRIMARY KEY, code int); CREATE TYPE mood AS ENUM ('a');",
                            releases={"1.0.0": text, "1.1.0": text, "1.2.0": text, "1.3.0": text},
                            plans=[plan("retype", phases={"contract": {"release": "1.3.0", "steps": [{"id": "s", "sql": step}]}})])

    def test_a_declared_type_that_fits_no_more(self):
        """What the server infers fits afresh, and fails only where it was held; what is declared fails either way."""
        for types, probe in (("int4", "P"), (None, "X")):
            [f] = [f for f in self.typed(types).check().findings if f["rule"] == "old-query-fails"]
            self.assertEqual((f["sqlstate"], f["message"]), ("42883", "operator does not exist: text = integer"))
            self.assertEqual({place["probe"] for place in f["places"]}, {probe})

    def test_a_parameter_that_nothing_else_types(self):
        p = self.typed("int4, mood", "SELECT id, $2 AS mood FROM t WHERE id = $1", "COMMENT ON TABLE t IS 'x'")
        self.assertEqual([f["rule"] for f in p.check().findings if f["rule"] in ("cell-untested", "failing-at-baseline")], [])

    def test_a_type_that_is_nowhere(self):
        done = self.typed("itn4", step="COMMENT ON TABLE t IS 'x'").check()
        said = [f["message"] for f in done.findings if f["rule"] == "failing-at-baseline"]
        self.assertTrue(said and 'type "itn4" of -- types: does not exist' in said[0], done)


class Restrictions(check_project.Case):
    def test_null_from_a_live_writer(self):
        put = "-- name: Put\n-- args: (7, 'x')\nINSERT INTO t (id, old) VALUES ($1, $2);\n"
        p = self.project(baseline=T, releases={"1.0.0": put, "1.1.0": put}, plans=[plan("nn", phases={"contract": expand(
            "1.1.0", "ALTER TABLE t ADD CONSTRAINT old_there CHECK (old IS NOT NULL) NOT VALID")})])
        f = self.red(p, "unproven-write")
        self.assertIn("NULL", f["message"])
        kept = put.replace("$2)", "COALESCE($2, ''))")
        self.clean(self.project(baseline=T, releases={"1.0.0": kept, "1.1.0": kept}, plans=[plan("nn", phases={"contract": expand(
            "1.1.0", "ALTER TABLE t ADD CONSTRAINT old_there CHECK (old IS NOT NULL) NOT VALID")})]))

    def test_a_writer_that_was_never_seen_to_run(self):
        """A check that no value of ours satisfies: what isn't known to run isn't proved by running."""
        base = T.rstrip().rstrip(";") + "; ALTER TABLE t ADD CONSTRAINT odd CHECK (old ~ '^T-[0-9]{4}$')"
        put = "-- name: Put\nINSERT INTO t (id, old, n) VALUES ($1, $2, $3);\n"
        step = [plan("nn", phases={"contract": expand("1.1.0", "ALTER TABLE t ADD CONSTRAINT n_there CHECK (n IS NOT NULL) NOT VALID")})]
        f = self.red(self.project(baseline=base, releases={"1.0.0": put, "1.1.0": put}, plans=step), "unproven-write")
        self.assertIn("no arguments were found", f["message"])
        given = put.replace("\nINSERT", "\n-- args: (7, 'T-1234', 1)\nINSERT").replace("$3", "COALESCE($3, 0)")
        self.clean(self.project(baseline=base, releases={"1.0.0": given, "1.1.0": given}, plans=step))
        adds = [plan("add", phases={"expand": expand("1.1.0", "ALTER TABLE t ADD COLUMN more text")})]
        done = self.project(baseline=base, releases={"1.0.0": put, "1.1.0": put}, plans=adds).check()
        self.assertEqual((done.rc, self.rules(done)), (0, [("warning", "cell-untested")]), done)


class Ddl(check_project.Case):
    def one(self, *sql, baseline=T):
        return self.project(baseline=baseline, releases={"1.0.0": OTHER, "1.1.0": OTHER}, plans=[plan("ddl", phases={"contract": expand("1.1.0", *sql)})])

    def test_work_while_everybody_waits(self):
        for sql in ("CREATE INDEX i ON t (n)", "ALTER TABLE t ADD CONSTRAINT c CHECK (n > 0)", "ALTER TABLE t ALTER old SET NOT NULL",
                    "ALTER TABLE t ADD COLUMN r float DEFAULT random()", "ALTER TABLE t ADD UNIQUE (n)"):
            with self.subTest(sql=sql):
                done = self.one(sql).check()
                self.assertIn(("error", "work-under-strong-lock"), self.rules(done), done)

    def test_what_holds_nobody_up(self):
        for sql in (["CREATE INDEX CONCURRENTLY i ON t (n)"], ["ALTER TABLE t ADD COLUMN c text DEFAULT 'x'"],
                    ["ALTER TABLE t ADD CONSTRAINT c CHECK (n > -5) NOT VALID", "ALTER TABLE t VALIDATE CONSTRAINT c"],
                    ["CREATE TABLE u (id int PRIMARY KEY, n int CHECK (n > 0))", "CREATE INDEX un ON u (n)"]):
            with self.subTest(sql=sql):
                self.clean(self.one(*sql))


class Hostile(check_project.Case):
    """Plan SQL runs as a role that can't leave the shadow."""

    def test_steps_that_reach_out(self):
        mark = os.path.join(tempfile.gettempdir(), "phasegate-check-mark")
        for sql in ("COPY t TO PROGRAM 'touch %s'" % mark, "SELECT pg_read_file('/etc/passwd')", "COPY t TO '%s'" % mark,
                    "DO $$ BEGIN EXECUTE 'COPY t TO PROGRAM ''touch %s'''; END $$" % mark, "SET ROLE postgres",
                    "ALTER SYSTEM SET fsync = on", "CREATE ROLE me SUPERUSER"):
            with self.subTest(sql=sql):
                p = self.project(baseline=T, releases={"1.0.0": OTHER, "1.1.0": OTHER}, plans=[plan("evil", phases={"contract": expand("1.1.0", sql)})])
                done = p.check()
                self.assertNotEqual(done.rc, 0, done)
                self.assertFalse(os.path.exists(mark))

    def test_a_statement_that_never_ends(self):
        slow = OTHER + "-- name: Slow\nSELECT pg_sleep(1000);\n-- name: Loop\nWITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r) SELECT count(*) FROM r;\n"
        p = self.project(baseline=T, releases={"1.0.0": slow, "1.1.0": slow}, plans=[plan("a", phases={"expand": expand("1.1.0", "ALTER TABLE t ADD COLUMN x int")})])
        done = p.check()
        self.assertEqual(done.rc, 0, done)
        self.assertEqual(self.rules(done), [("warning", "cell-untested")])

    def test_a_step_that_fails(self):
        p = self.project(baseline=T, releases={"1.0.0": OTHER, "1.1.0": OTHER}, plans=[plan("a", phases={"expand": expand("1.1.0", "ALTER TABLE missing ADD COLUMN x int")})])
        f = self.red(p, "step-fails-on-shadow", sqlstate="42P01", step="s0")
        self.assertIn('relation "missing" does not exist', f["message"])

    def test_what_is_to_be_hidden_isnt_there(self):
        missing = self.project(baseline=T, releases={"1.0.0": OTHER, "1.1.0": OTHER}, plans=[plan("a", phases={"contract": expand("1.1.0", "DROP TABLE tt")})])
        f = self.red(missing, "step-fails-on-shadow", sqlstate="42P01", step="s0")
        self.assertIn('table "tt" does not exist', f["message"])
        may_be = self.project(baseline=T, releases={"1.0.0": OTHER, "1.1.0": OTHER}, plans=[plan("a", phases={"contract": expand("1.1.0", "DROP TABLE IF EXISTS tt")})])
        self.assertEqual(may_be.check().rc, 0)

    def test_no_server_programs(self):
        p = self.project(baseline=T, releases={"1.0.0": OTHER}, plans=[drop_old("1.0.0")])
        done = p.check(env={"PHASEGATE_PG_BIN": "/nonexistent"})
        self.assertEqual(done.rc, 3, done)
        self.assertIn("postgresql", done.json["error"]["hint"])

    def test_a_project_that_cant_be_read(self):
        p = self.project(baseline=T, releases={"1.0.0": "-- nmae: Get\nSELECT 1;\n"}, plans=[drop_old("1.0.0")])
        done = p.check()
        self.assertEqual(done.rc, 2, done)


class Suppressions(check_project.Case):
    def with_comment(self, comment):
        body = plan("drop-old", phases={"contract": expand("1.1.0", comment + "\nALTER TABLE t DROP COLUMN old")})
        return self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": OTHER, "1.2.0": OTHER, "1.3.0": None}, planned=("1.3.0",), plans=[body])

    def test_set_aside_by_name(self):
        p = self.with_comment("-- phasegate: allow old-query-fails until 1.3.0 because 1.0.0 is off since Monday approved-by ada")
        done = p.check()
        self.assertEqual(done.rc, 0, done)
        self.assertEqual(done.json["summary"]["allowed"], 1)

    def test_without_an_approver(self):
        p = self.with_comment("-- phasegate: allow old-query-fails until 1.3.0 because 1.0.0 is off since Monday")
        done = p.check()
        self.assertEqual(done.rc, 1, done)
        self.assertIn(("error", "suppression-needs-approver"), self.rules(done))

    def test_expired(self):
        p = self.with_comment("-- phasegate: allow old-query-fails until 1.2.0 because 1.0.0 is off since Monday approved-by ada")
        done = p.check()
        self.assertEqual(done.rc, 1, done)
        self.assertIn(("error", "suppression-expired"), self.rules(done))

    def test_misspelt(self):
        p = self.with_comment("-- phasegate: allow old-query-fail until 1.3.0 because x approved-by ada")
        done = p.check()
        self.assertIn(("error", "suppression-unknown-rule"), self.rules(done))

    def test_severities_of_the_project(self):
        star = "-- name: Get\n-- args: (1)\nSELECT * FROM t WHERE id = $1;\n"
        add = [plan("a", phases={"expand": expand("1.1.0", "ALTER TABLE t ADD COLUMN x int")})]
        p = self.project(baseline=T, releases={"1.0.0": star, "1.1.0": star}, plans=add, project={"policy": {"rules": {"held-plan-result-changed": "error"}}})
        self.assertEqual(p.check().rc, 1)
        p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": OTHER}, plans=[drop_old("1.1.0")], project={"policy": {"rules": {"old-query-fails": "note"}}})
        done = p.check()
        self.assertEqual(done.rc, 1)
        self.assertIn(("error", "severity-below-gate"), self.rules(done))


class Outputs(check_project.Case):
    def test_same_input_same_bytes(self):
        p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": OTHER, "1.2.0": OTHER}, plans=[drop_old("1.1.0")])
        one, two = p.run("check"), p.run("check")
        self.assertEqual(one.stdout, two.stdout)
        self.assertEqual(one.rc, 1)
        self.assertIn("plans/20260101000000-drop-old.yaml:", one.stdout)
        self.assertIn("error[old-query-fails]", one.stdout)

    def test_several_formats_at_once(self):
        p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": OTHER, "1.2.0": OTHER}, plans=[drop_old("1.1.0")])
        formats = ("json", "sarif", "junit", "github", "gitlab", "markdown", "text")
        args = [a for f in formats for a in ("-o", "%s=out.%s" % (f, f))]
        done = p.run("check", *args)
        self.assertEqual(done.rc, 1, done)
        for f in formats:
            self.assertGreater(os.path.getsize(os.path.join(p.dir, "out." + f)), 50)
        with open(os.path.join(p.dir, "out.json")) as f:
            self.assertEqual(json.load(f)["summary"]["errors"], 1)

    def test_usage(self):
        p = self.project(baseline=T, releases={"1.0.0": GET}, plans=[drop_old("1.0.0")])
        for args in (("--format", "xml"), ("-o", "sarif"), ("-o", "nothing=x"), ("--window", "0"), ("--fail-on", "sometimes")):
            with self.subTest(args=args):
                self.assertEqual(p.run("check", *args).rc, 2)

    def test_fail_on(self):
        star = "-- name: Get\n-- args: (1)\nSELECT * FROM t WHERE id = $1;\n"
        p = self.project(baseline=T, releases={"1.0.0": star, "1.1.0": star}, plans=[plan("a", phases={"expand": expand("1.1.0", "ALTER TABLE t ADD COLUMN x int")})])
        self.assertEqual(p.run("check").rc, 0)
        self.assertEqual(p.run("check", "--fail-on", "warning").rc, 1)
        self.assertEqual(p.run("check", "--fail-on", "never").rc, 0)

    def test_since(self):
        p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": OTHER, "1.2.0": OTHER}, plans=[drop_old("1.1.0")])
        git = lambda *a: subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *a], cwd=p.dir, check=True, capture_output=True)
        git("init", "-q")
        git("add", "-A")
        git("commit", "-qm", "all")
        self.assertEqual(p.run("check", "--since", "HEAD").rc, 0)
        p.write("statements/1.0.0.sql", GET + "\n")
        self.assertEqual(p.run("check", "--since", "HEAD").rc, 1)
        self.assertEqual(p.run("check", "--since", "nowhere").rc, 2)

    def test_nothing_is_left_behind(self):
        with tempfile.TemporaryDirectory(prefix="pg-tmp.") as tmp:
            os.chmod(tmp, 0o777)
            done = self.project(baseline=T, releases={"1.0.0": OTHER}, plans=[drop_old("1.0.0")]).check(env={"TMPDIR": tmp})
            self.assertEqual((done.rc, os.listdir(tmp)), (0, []), done)


class Restrictions(check_project.Case):
    """In expand: where every live writer keeps to it, as a server shows."""

    KEEPS = "-- name: Set\nUPDATE t SET n = least(greatest($1::int, 0), 9) WHERE id = $2;\n"
    MAY_NOT = "-- name: Set\nUPDATE t SET n = $1 WHERE id = $2;\n"
    CHECK = "ALTER TABLE t ADD CONSTRAINT digit CHECK (n BETWEEN 0 AND 9) NOT VALID"

    def restricted(self, writes, sql=CHECK):
        releases = {"1.0.0": GET + writes, "1.1.0": GET + writes}
        return self.project(baseline=T, releases=releases, plans=[plan("digit", phases={"expand": expand("1.1.0", sql)})])

    def test_proved(self):
        self.clean(self.restricted(self.KEEPS))

    def test_not_proved(self):
        self.red(self.restricted(self.MAY_NOT), "unproven-write", release="1.0.0", statement="Set", phase="expand", step="s0")

    def test_nobody_can_tell_without_a_server(self):
        f = self.red(self.restricted(self.KEEPS), "unproven-write", "--static", phase="expand", step="s0")
        self.assertIn("is restrictive", f["message"])
        self.assertIn("without --static", f["help"])

    def test_what_destroys_is_refused_all_the_same(self):
        self.red(self.restricted(self.KEEPS, "ALTER TABLE t DROP COLUMN n"), "destructive-outside-contract", "--static")

    def test_other_commands_take_the_plan(self):
        p = self.restricted(self.KEEPS)
        for command in (["show", "plans"], ["new", "another"]):
            done = p.run(*command)
            self.assertEqual(done.rc, 0, done)


class ManyStatements(check_project.Case):
    """From a few hundred on two sessions are asked at the same time. What is found is what one would have found."""

    MANY = "".join("-- name: Many%d\n-- args: (1)\nSELECT n + %d FROM t WHERE id = $1;\n" % (i, i) for i in range(400))
    SEES = """CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE VIEW v AS SELECT id, old FROM t;
        INSERT INTO t VALUES (1, 'a', 5), (2, 'b', 6)"""
    WRITES = """-- name: Put
INSERT INTO t (id, old, n) VALUES ($1, $2, $3);
-- name: Turn
-- args: (1, 'z')
UPDATE t SET old = $2 WHERE id = $1;
-- name: Locks
-- args: (1)
SELECT old FROM t WHERE id = $1 FOR UPDATE;
-- name: Calls
SELECT f();
-- name: View
SELECT old FROM v ORDER BY id;
"""

    def found(self, many, *sql, more=""):
        done = self.project(baseline=T + "; " + self.SEES, releases={"1.0.0": GET + many + self.WRITES + more, "1.1.0": OTHER},
                            plans=[plan("a", phases={"contract": expand("1.1.0", *sql)})]).check()
        self.assertEqual(done.rc, 1, done)
        return done, {(f["rule"], f["severity"], f["statement"], f["step"]) for f in done.findings}

    def test_the_same_is_found(self):
        steps = ("CREATE OR REPLACE VIEW v AS SELECT id, upper(old) AS old FROM t", "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2'",
                 "ALTER TABLE t ADD CONSTRAINT short CHECK (length(old) < 3) NOT VALID", "DROP VIEW v", "ALTER TABLE t DROP COLUMN old")
        few, many = self.found("", *steps), self.found(self.MANY, *steps)
        self.assertEqual(many[1], few[1])
        self.assertEqual({name for rule, severity, name, at in few[1] if severity == "error"}, {"Get", "Put", "Calls", "View"})
        self.assertGreater(many[0].json["summary"]["cells"], few[0].json["summary"]["cells"] + 400)

    def test_one_of_them_ends_its_session(self):
        done, found = self.found(self.MANY, "ALTER TABLE t DROP COLUMN old", more=LostSessions.KILL)
        self.assertEqual({name for rule, severity, name, at in found if rule == "cell-untested" and severity == "error"}, {"Kill"})
        self.assertIn("Get", {name for rule, severity, name, at in found if rule == "old-query-fails"})


class LostSessions(check_project.Case):
    """What ends its session is told of, and everything else is proved all the same."""

    END = "SELECT pg_terminate_backend(pg_backend_pid())"
    KILL = "-- name: Kill\n%s;\n" % END

    def findings(self, **parts):
        done = self.project(baseline=T + "; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", **parts).check()
        self.assertEqual(done.rc, 1, done)
        return {(f["rule"], f["severity"], f["statement"]): f for f in done.findings}

    def test_more_that_end_their_sessions_than_are_tried(self):
        p = self.project(baseline=T, releases={"1.0.0": GET + "".join("-- name: End%d\nSELECT %d, pg_terminate_backend(pg_backend_pid());\n" % (i, i) for i in range(20))})
        done = p.check()
        self.assertEqual(done.rc, 1, done)
        self.assertGreaterEqual(len(done.findings), 17)
        self.assertIn("nothing was proved", done.stdout)

    def test_a_statement(self):
        found = self.findings(releases={"1.0.0": self.KILL + GET, "1.1.0": OTHER, "1.2.0": OTHER}, plans=[drop_old("1.1.0")])
        self.assertEqual(set(found), {("cell-untested", "error", "Kill"), ("old-query-fails", "error", "Get")})
        self.assertIn("terminating connection due to administrator command", found["cell-untested", "error", "Kill"]["message"])
        self.assertEqual(found["cell-untested", "error", "Kill"]["line"], 2)
        self.assertEqual(found["old-query-fails", "error", "Get"]["safe_from"], "1.2.0")

    def test_two_statements_in_a_transaction(self):
        kill = "-- name: First\n-- tx: T\nSELECT 1;\n-- name: Kill\n-- tx: T\n%s;\n-- name: Again\n%s, 2;\n" % (self.END, self.END)
        found = self.findings(releases={"1.0.0": kill + GET, "1.1.0": OTHER}, plans=[drop_old("1.1.0")])
        self.assertEqual(set(found), {("cell-untested", "error", "Kill"), ("cell-untested", "error", "Again"), ("old-query-fails", "error", "Get")})

    def test_only_after_a_step(self):
        calls = "-- name: Calls\nSELECT f();\n"
        bad = plan("bad", phases={"expand": expand(
            "1.1.0", "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT pg_terminate_backend(pg_backend_pid())::int'")})
        found = self.findings(releases={"1.0.0": calls + GET, "1.1.0": calls + GET}, plans=[bad])
        self.assertEqual({k for k in found if k[1] == "error"}, {("cell-untested", "error", "Calls")})

    def test_a_step(self):
        found = self.findings(releases={"1.0.0": GET, "1.1.0": OTHER},
                              plans=[plan("ends", 20250101000000, phases={"expand": expand("1.1.0", self.END)}), drop_old("1.1.0")])
        self.assertEqual(set(found), {("step-fails-on-shadow", "error", None), ("old-query-fails", "error", "Get")})
        f = found["step-fails-on-shadow", "error", None]
        self.assertEqual((f["plan"], f["step"]), ("ends", "s0"))
        self.assertIn("terminating connection", f["message"])


class Commands(check_project.Case):
    """command: steps: a pull request's code, run only on the shadow and only when asked for."""

    ADD = "import os,subprocess,sys; sys.exit(subprocess.call(['psql', os.environ['DATABASE_URL'], '-qc', 'ALTER TABLE t ADD COLUMN fresh text']))"
    THERE = "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'fresh')"
    NEW = "-- name: Fresh\n-- args: (1)\nSELECT fresh FROM t WHERE id = $1;\n"

    def with_command(self, *command, **more):
        s = dict({"id": "tool", "command": list(command), "applied_when": self.THERE, "undo": {"none": "tests"}}, **more)
        return self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": GET + self.NEW},
                            plans=[plan("tool", phases={"expand": {"release": "1.1.0", "steps": [s]}})])

    def test_not_without_the_option(self):
        p = self.with_command("touch", "here")
        done = p.check()
        self.assertEqual(done.rc, 1, done)
        [f] = [f for f in done.findings if f["rule"] == "cell-untested"]
        self.assertEqual((f["severity"], f["step"]), ("error", "tool"))
        self.assertIn("--allow-commands", f["help"])
        self.assertFalse(os.path.exists(p.dir + "/here"))

    def test_its_changes_are_proved(self):
        self.clean(self.with_command("python3", "-c", self.ADD), "--allow-commands")

    def test_on_a_server_of_the_users(self):
        self.clean(self.with_command("python3", "-c", self.ADD), "--allow-commands", "--shadow", pgtest.cluster().url())

    def test_what_is_in_place_is_not_run(self):
        p = self.with_command("touch", "here", applied_when="SELECT true")
        p.check("--allow-commands")
        self.assertFalse(os.path.exists(p.dir + "/here"))

    def test_it_must_have_done_it(self):
        p = self.with_command("true")
        self.assertIn("applied_when is still false", self.failure(p)["message"])

    def failure(self, p, **more):
        done = p.check("--allow-commands", **more)
        self.assertEqual(done.rc, 1, done)
        [f] = [f for f in done.findings if f["rule"] == "step-fails-on-shadow"]
        return f

    def test_what_it_said(self):
        f = self.failure(self.with_command("sh", "-c", "echo first; echo nothing to do with $DATABASE_URL >&2; exit 7"))
        self.assertIn("command sh ended with exit code 7: nothing to do with DATABASE_URL", f["message"])
        self.assertIn("first", f["help"])

    def test_no_such_program(self):
        self.assertIn("command no-such-program-here can't be started", self.failure(self.with_command("no-such-program-here"))["message"])

    def test_time_is_up(self):
        f = self.failure(self.with_command("sh", "-c", "sleep 600 & sleep 600", statement_timeout="1s"))
        self.assertIn("didn't end within 1 s", f["message"])

    def test_it_knows_only_the_shadow(self):
        """No variable of ours but those that programs need, and a role that may do no more than steps may."""
        p = self.with_command("sh", "-c", "env >env.txt; psql -XAtc 'SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user' >>env.txt; "
                              "psql \"$DATABASE_URL\" -qc 'ALTER TABLE t ADD COLUMN fresh text'")
        secrets = {"DATABASE_URL": "postgresql://real/production", "PGHOST": "real", "UNLEASH_TOKEN": "t0ken",
                   "PHASEGATE_SHADOW": "", "GITHUB_TOKEN": "t0ken"}
        done = p.check("--allow-commands", env=secrets)
        self.assertEqual(done.rc, 0, done)
        with open(p.dir + "/env.txt") as f:
            seen = f.read()
        for word in ("real", "t0ken", "PHASEGATE"):
            self.assertNotIn(word, seen)
        self.assertIn("phasegate_shadow|f", seen)


if __name__ == "__main__":
    unittest.main()

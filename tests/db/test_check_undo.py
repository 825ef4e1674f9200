"""check tries the undo of each step: it has to lead back to the schema before the step."""

import json
import unittest

import check_project
import project
from project import BOUND, full_plan, phase, plan, step

GET = "-- name: Get\nSELECT legacy_ref FROM orders WHERE id = $1;"
BASE = """CREATE TABLE orders (id bigint PRIMARY KEY, legacy_ref text);
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n';
CREATE VIEW refs AS SELECT legacy_ref FROM orders"""


class Undone(unittest.TestCase):
    maxDiff = None

    def check(self, *steps, baseline=BASE, name="expand", **more):
        body = plan("p", phases={name: phase(name, steps=list(steps))}, **more)
        return self.check_plans([body], baseline)

    def check_plans(self, plans, baseline=BASE, **more):
        p = check_project.Project(baseline=baseline, releases={v: GET for v in project.RELEASES}, plans=plans, **more)
        self.addCleanup(p.close)
        self.done = p.check()
        return [f for f in self.done.findings if f["rule"] == "undo-does-not-undo"]

    def one(self, *args, **more):
        found = self.check(*args, **more)
        self.assertEqual(len(found), 1, self.done)
        self.assertEqual((found[0]["severity"], self.done.rc), ("error", 1))
        return found[0]


class Wrong(Undone):
    def test_what_is_left_is_named(self):
        f = self.one(step("s", "ALTER TABLE orders ADD COLUMN a text, ADD COLUMN b int", undo="ALTER TABLE orders DROP COLUMN a"))
        self.assertIn("column b of orders is left", f["message"])
        self.assertNotIn("column a", f["message"])
        self.assertEqual((f["plan"], f["phase"], f["step"]), ("p", "expand", "s"))
        self.assertIn("undo: {none: the reason}", f["help"])

    def test_what_it_takes_too_much(self):
        f = self.one(step("s", "ALTER TABLE orders ADD COLUMN a text", undo="ALTER TABLE orders DROP COLUMN a; DROP VIEW refs"))
        self.assertIn("view public.refs isn't back", f["message"])

    def test_a_table(self):
        f = self.one(step("s", "CREATE TABLE a (x int); CREATE TABLE b (x int)", undo="DROP TABLE b"))
        self.assertIn("table public.a is left", f["message"])

    def test_an_index_a_constraint_a_default(self):
        f = self.one(step("s", "CREATE INDEX CONCURRENTLY by_ref ON orders (legacy_ref)", undo="SELECT 1"))
        self.assertIn("index by_ref of orders is left", f["message"])
        f = self.one(step("s", "ALTER TABLE orders ADD CONSTRAINT c CHECK (id > -5) NOT VALID", undo="SELECT 1"))
        self.assertIn("constraint c of orders is left", f["message"])
        f = self.one(step("s", "ALTER TABLE orders ALTER COLUMN legacy_ref SET DEFAULT 'x'", undo="SELECT 1"))
        self.assertIn("column legacy_ref of orders", f["message"])

    def test_functions_types_triggers_rights(self):
        f = self.one(step("s", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", undo="SELECT 1"))
        self.assertIn("function public.f() is left", f["message"])
        f = self.one(step("s", "CREATE TYPE colour AS ENUM ('red')", undo="SELECT 1"))
        self.assertIn("type public.colour is left", f["message"])
        f = self.one(step("s", "CREATE DOMAIN positive AS int CHECK (VALUE > 0)", undo="SELECT 1"))
        self.assertIn("domain public.positive is left", f["message"])
        f = self.one(step("s", "CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; "
                               "CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION g()",
                          undo="DROP TRIGGER t ON orders"))
        self.assertIn("function public.g() is left", f["message"])

    def test_another_definition(self):
        f = self.one(step("s", "CREATE OR REPLACE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT n + n'",
                          undo="CREATE OR REPLACE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 3 * n'"))
        self.assertIn("function public.twice(integer) isn't as it was", f["message"])

    def test_one_that_fails(self):
        f = self.one(step("s", "ALTER TABLE orders ADD COLUMN a text", undo="ALTER TABLE orders DROP COLUMN b"))
        self.assertIn('the undo of the step fails: column "b" of relation "orders" does not exist', f["message"])

    def test_what_can_not_be_done_again(self):
        """Schemas of that name are phasegate's own and aren't compared; a second run meets it all the same."""
        f = self.one(step("s", "CREATE TABLE a (); CREATE SCHEMA phasegate_hold", undo="DROP TABLE a"))
        self.assertIn('once it is undone, the step fails when it runs again: schema "phasegate_hold" already exists', f["message"])

    def test_several_things(self):
        f = self.one(step("s", "CREATE TABLE a (); CREATE TABLE b (); CREATE TABLE c (); CREATE TABLE d (); CREATE TABLE e (); "
                               "CREATE TABLE f (); CREATE TABLE g ()", undo="SELECT 1"))
        self.assertIn("table public.a is left", f["message"])
        self.assertIn(", and 2 more", f["message"])

    def test_in_every_phase(self):
        for name in ("dual_read", "write_activation"):
            f = self.one(step("s", "CREATE INDEX CONCURRENTLY by_ref ON orders (legacy_ref)", undo="SELECT 1"), name=name)
            self.assertEqual(f["phase"], name)

    def test_set_aside(self):
        body = plan("p", phases={"expand": phase("expand", steps=[step("s", "CREATE TABLE a ()", undo="SELECT 1")])})
        self.check_plans([body], project={"policy": {"rules": {"undo-does-not-undo": "off"}}})
        self.assertEqual(self.done.rc, 0, self.done)


class Right(Undone):
    def clean(self, *args, **more):
        self.assertEqual(self.check(*args, **more), [], self.done)
        self.assertNotIn("step-fails-on-shadow", [f["rule"] for f in self.done.findings], self.done)

    def test_derived(self):
        for sql in ("ALTER TABLE orders ADD COLUMN a text, ADD COLUMN b int DEFAULT 3", "CREATE INDEX CONCURRENTLY by_ref ON orders (legacy_ref)",
                    "CREATE UNIQUE INDEX CONCURRENTLY \"by concurrently\" ON orders (legacy_ref)",
                    "ALTER TABLE orders ADD CONSTRAINT c CHECK (id > -5) NOT VALID", "CREATE TABLE t (id int PRIMARY KEY REFERENCES orders)",
                    "CREATE VIEW v AS SELECT id FROM orders", "CREATE SEQUENCE s", "CREATE TYPE t AS (a int)", "CREATE SCHEMA s",
                    "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE DOMAIN d AS int",
                    "CREATE MATERIALIZED VIEW m AS SELECT id FROM orders",
                    "ALTER TABLE orders ALTER legacy_ref SET DEFAULT 'x'", "COMMENT ON TABLE orders IS 'x'",
                    "CREATE OR REPLACE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT n + n'"):
            with self.subTest(sql):
                self.clean(step("s", sql))

    def test_an_index_that_becomes_a_key(self):
        base = BASE + "; CREATE TABLE k (a int, b int); CREATE UNIQUE INDEX k_a ON k (a); CREATE UNIQUE INDEX k_b ON k (b)"
        for sql in ("ALTER TABLE k ADD CONSTRAINT k_key UNIQUE USING INDEX k_a", "ALTER TABLE k ADD CONSTRAINT k_b UNIQUE USING INDEX k_b",
                    "ALTER TABLE k ADD CONSTRAINT k_key PRIMARY KEY (a, b)", "ALTER TABLE k ADD PRIMARY KEY USING INDEX k_a"):
            with self.subTest(sql):
                self.clean(step("s", sql), baseline=base)

    def test_a_partition_that_is_attached(self):
        base = BASE + "; CREATE TABLE part (k int NOT NULL, s text) PARTITION BY LIST (k); CREATE INDEX ON part (s); CREATE TABLE one (k int NOT NULL, s text)"
        self.clean(step("s", "ALTER TABLE part ATTACH PARTITION one FOR VALUES IN (1)"), baseline=base)

    def test_rights(self):
        base = BASE + "; CREATE ROLE app; GRANT SELECT ON refs TO app"
        self.clean(step("s", "GRANT SELECT, INSERT ON orders TO app"), baseline=base)
        self.clean(step("s", "GRANT SELECT, INSERT ON refs TO app"), baseline=base)

    def test_a_constraint_of_a_domain(self):
        base = BASE + "; CREATE DOMAIN qty AS int; CREATE DOMAIN unused AS text; CREATE TABLE u (id int PRIMARY KEY, q qty)"
        for sql in ("ALTER DOMAIN qty ADD CONSTRAINT pos CHECK (VALUE > 0)", "ALTER DOMAIN qty ADD CONSTRAINT pos CHECK (VALUE > 0) NOT VALID",
                    "ALTER DOMAIN unused ADD CONSTRAINT at CHECK (VALUE LIKE '%@%')"):
            with self.subTest(sql=sql):
                self.clean(step("s", sql), baseline=base)
        two = "ALTER DOMAIN qty ADD CONSTRAINT pos CHECK (VALUE > 0); ALTER DOMAIN qty ADD CONSTRAINT less CHECK (VALUE < 9)"
        self.assertIn("domain public.qty isn't as it was", self.one(step("s", two, undo="ALTER DOMAIN qty DROP CONSTRAINT pos"), baseline=base)["message"])

    def test_written_by_the_author(self):
        self.clean(step("s", "CREATE TABLE a (x int); CREATE INDEX ON a (x); CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
                        undo="DROP TABLE a; DROP FUNCTION f()"))

    def test_said_to_have_none(self):
        self.clean(step("s", "CREATE TABLE a ()", undo={"none": "it stays"}))

    def test_in_place_already(self):
        self.clean(step("s", "CREATE TABLE IF NOT EXISTS orders (x int)", undo="SELECT 1"))

    def test_for_another_server(self):
        self.clean(step("s", "CREATE TABLE a ()", undo="DROP TABLE nothing_like_it", dbms="postgresql >= 99"))

    def test_rows_stay_and_what_comes_later_runs(self):
        """The trying is taken back: the next steps stand on this one."""
        self.clean(step("a", "CREATE TABLE a (id int PRIMARY KEY)"), step("b", "CREATE TABLE b (id int REFERENCES a)"),
                   step("c", "CREATE VIEW ab AS SELECT a.id FROM a JOIN b USING (id)"), step("d", "ALTER TABLE a ADD COLUMN note text"))

    def test_the_sync_trigger_and_all_phases(self):
        self.assertEqual(self.check_plans([full_plan()]), [], self.done)

    def test_plans_that_meet(self):
        more = plan("q", 20260201000000, {"expand": phase("expand", steps=[step("s", "ALTER TABLE orders ADD COLUMN other text",
                                                                                undo="ALTER TABLE orders DROP COLUMN other, DROP COLUMN IF EXISTS x")])})
        self.assertEqual(self.check_plans([full_plan(), more]), [], self.done)

    def test_a_step_in_contract_that_hides_nothing(self):
        f = self.check(step("s", "ALTER TABLE orders ADD CONSTRAINT c CHECK (id > -5) NOT VALID", undo="SELECT 1"), name="contract")
        self.assertEqual([x["phase"] for x in f], ["contract"], self.done)


class Again(unittest.TestCase):
    """What was right is remembered; what was wrong is told again."""

    def test_what_is_kept(self):
        def body(undo):
            return plan("p", phases={"expand": phase("expand", steps=[step("a", "CREATE TABLE a ()"), step("b", "CREATE TABLE b (); CREATE TABLE c ()", undo=undo)])})

        p = check_project.Project(baseline=BASE, releases={v: GET for v in project.RELEASES}, plans=[body("DROP TABLE b, c")])
        self.addCleanup(p.close)
        for undo, expected in (("DROP TABLE b, c", []), ("DROP TABLE b", ["b"]), ("DROP TABLE b", ["b"]), ("DROP TABLE b, c", []),
                               ("DROP TABLE b, c", [])):
            p.write("plans/20260101000000-p.yaml", json.dumps(body(undo)))
            done = p.check()
            self.assertEqual([f["step"] for f in done.findings if f["rule"] == "undo-does-not-undo"], expected, done)

    def test_what_it_may_meet_elsewhere(self):
        """The same step and undo, and another table that is as they need it, or isn't."""
        for sql, undo, right, other, is_wrong in (
                ("ALTER TABLE orders ADD COLUMN n int", "ALTER TABLE orders DROP COLUMN n; ALTER TABLE other DROP COLUMN IF EXISTS x",
                 "CREATE TABLE other (a int)", "CREATE TABLE other (a int, x int)", True),
                ("CREATE INDEX IF NOT EXISTS i ON orders (legacy_ref)", "DROP INDEX i",
                 "CREATE TABLE other (a int)", "CREATE TABLE other (a int); CREATE INDEX i ON other (a)", True),
                ("ALTER TABLE orders ADD COLUMN n int", "SELECT set_config('x.y', '1', false); ALTER TABLE orders DROP COLUMN n",
                 "CREATE TABLE other (a int)", "CREATE TABLE other (a int, x int)", False),
                ("ALTER TABLE ONLY orders ADD COLUMN n int", "ALTER TABLE ONLY orders DROP COLUMN n",
                 "CREATE TABLE other (a int)", "CREATE TABLE other () INHERITS (orders)", False),
                ("ALTER TABLE orders ALTER COLUMN legacy_ref SET DEFAULT 'x'", "ALTER TABLE orders ALTER COLUMN legacy_ref DROP DEFAULT",
                 "CREATE TABLE other (a int)", "ALTER TABLE orders ALTER COLUMN legacy_ref SET DEFAULT 'y'", True)):
            p = check_project.Project(baseline=BASE + ";" + right, releases={v: GET for v in project.RELEASES},
                                      plans=[plan("p", phases={"expand": phase("expand", steps=[step("s", sql, undo=undo)])})])
            self.addCleanup(p.close)
            self.assertEqual(self.said(p), [], sql)
            p.write("baseline.sql", BASE + ";" + other)
            red = self.said(p)
            self.assertEqual(red, self.said(p, "--no-cache"), sql)
            self.assertEqual(len(red), is_wrong, sql)

    def said(self, p, *args):
        return sorted(f["message"] for f in p.check(*args).findings if f["rule"] == "undo-does-not-undo")


class Advance(project.Case):
    def test_it_is_refused_before_it_runs(self):
        body = plan("p", phases={"expand": phase("expand", steps=[step("s", "CREATE TABLE a (); CREATE TABLE b ()", undo="DROP TABLE a")])})
        p = self.project(plans=[body])
        p.put("all.sql", GET)
        p.body["releases"] = [{"version": v, "statements": "all.sql"} for v in project.RELEASES]
        p.write()
        done = p.exits(1, "advance", "p", "--release", BOUND["expand"])
        self.assertIn("undo-does-not-undo", done.stdout + done.stderr)
        self.assertIsNone(p.db.value("SELECT to_regclass('a')"))


if __name__ == "__main__":
    unittest.main()

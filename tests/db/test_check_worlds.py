"""check: worlds in which more than one thing happens at once: plans that meet, transactions, windows, what is hidden, comes
back and goes for good, releases that nobody has written yet, flags that fall back.
"""

import unittest

import check_project
from project import plan, step

T = "CREATE TABLE t (id int PRIMARY KEY, a int, b int); INSERT INTO t VALUES (1, 1, 1), (2, 2, 2)"
ONE = "-- name: One\nSELECT 1;\n"
PUT = "-- name: Put\n-- args: (7, %s)\nINSERT INTO t (id, a, b) VALUES ($1, $2, $3);\n"
GET_A = "-- name: Get\nSELECT a FROM t WHERE id = 1;\n"
GET_B = "-- name: Get\nSELECT b FROM t WHERE id = 1;\n"


def phase(release, *sql):
    return {"release": release, "steps": [step("s%d" % i, s) for i, s in enumerate(sql)]}


def same(sql, n=4):
    return {"1.%d.0" % i: sql for i in range(n)}


class PlansThatMeet(check_project.Case):
    """Either of two plans may be taken forward first, in the same release: both ways are worlds."""

    TRIGGER = ("CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO log VALUES (NEW.id); RETURN "
               "NEW; END'; CREATE TRIGGER note AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION note()")

    def plans(self, log, trigger, order):
        return [plan("log", timestamp=20260101000001, phases={"expand": phase(log, "CREATE TABLE log (id int)")}),
                plan("trig", timestamp=20260101000001 + order, phases={"expand": phase(trigger, self.TRIGGER)})]

    def of(self, *plans):
        return self.project(baseline=T, releases=same(PUT % "1, 1"), plans=plans)

    def test_one_order_breaks_what_the_other_leaves_alone(self):
        for order in (-1, 1):
            with self.subTest(order=order):
                f = self.red(self.of(*self.plans("1.1.0", "1.1.0", order)), "routine-body-broken", release="1.0.0", statement="Put",
                             plan="trig", step="s0")
                self.assertIn('"log" does not exist', f["message"])

    def test_a_release_between_them_keeps_them_apart(self):
        for order in (-1, 1):
            with self.subTest(order=order):
                self.clean(self.of(*self.plans("1.1.0", "1.2.0", order)))
        self.red(self.of(*self.plans("1.2.0", "1.1.0", 1)), "routine-body-broken", plan="trig")

    def test_both_orders_are_told(self):
        told = self.of(*self.plans("1.1.0", "1.1.0", 1)).run("check", "--explain").stdout
        for line in ("expand of log)", "expand of trig)", "from 0"):
            self.assertIn(line, told)


class TwoRefusals(check_project.Case):
    """A second restriction isn't the fault of the first, nor the first that of the second."""

    def steps(self, sql, *changes):
        done = self.project(baseline=T, releases=same(sql), plans=[plan("p", phases={"expand": phase("1.1.0", *changes)})]).check()
        self.assertEqual(done.rc, 1, done)
        return {(f["step"], f["message"].split('"')[3]) for f in done.findings if f["rule"] == "restriction-breaks-old-writes"}

    def test_each_step_answers_for_its_own(self):
        found = self.steps(PUT % "-1, -1", "ALTER TABLE t ADD CONSTRAINT c2 CHECK (a > 0) NOT VALID",
                           "ALTER TABLE t ADD CONSTRAINT c1 CHECK (b > 0) NOT VALID")
        self.assertEqual(found, {("s0", "c2"), ("s1", "c1")})

    def test_the_same_refusal_is_the_first_steps(self):
        found = self.steps(PUT % "-1, -1", "ALTER TABLE t ADD CONSTRAINT c1 CHECK (a > 0) NOT VALID",
                           "ALTER TABLE t ADD CONSTRAINT c2 CHECK (b > 0) NOT VALID")
        self.assertEqual(found, {("s0", "c1")})


class Transactions(check_project.Case):
    O = "CREATE TABLE o (id serial PRIMARY KEY, a int); CREATE TABLE i (id serial PRIMARY KEY, o_id int NOT NULL); CREATE INDEX ON i (o_id)"
    ADD_O = "-- name: AddO\n-- tx: Place\n-- args: (1)\nINSERT INTO o (id, a) VALUES (7, $1);\n"
    ADD_I = "-- name: AddI\n-- tx: Place\nINSERT INTO i (o_id) VALUES (7);\n"
    KEY = "ALTER TABLE i ADD CONSTRAINT i_o FOREIGN KEY (o_id) REFERENCES o%s NOT VALID"

    def of(self, sql, deferred=""):
        return self.project(baseline=self.O, releases=same(sql), plans=[plan("fk", phases={"expand": phase("1.1.0", self.KEY % deferred)})])

    def test_a_parent_written_before_its_child(self):
        self.clean(self.of(self.ADD_O + self.ADD_I))
        self.clean(self.of(self.ADD_O.replace("id, a) VALUES (7, $1", "a) VALUES ($1") + self.ADD_I.replace("7", "currval('o_id_seq')")))

    def test_a_child_before_its_parent(self):
        self.red(self.of(self.ADD_I + self.ADD_O), "restriction-breaks-old-writes", statement="AddI", sqlstate="23503", step="s0")
        self.clean(self.of(self.ADD_I + self.ADD_O, deferred=" DEFERRABLE INITIALLY DEFERRED"))

    def test_not_of_one_transaction(self):
        alone = (self.ADD_O + self.ADD_I).replace("-- tx: Place\n", "")
        self.red(self.of(alone), "restriction-breaks-old-writes", statement="AddI", sqlstate="23503")


class Windows(check_project.Case):
    def test_two_releases_back(self):
        p = self.project(baseline=T, releases={"1.0.0": GET_A, "1.1.0": GET_B, "1.2.0": GET_B, "1.3.0": GET_B},
                         plans=[plan("drop", phases={"contract": phase("1.2.0", "ALTER TABLE t DROP COLUMN a")})])
        self.clean(p)
        self.red(p, "old-query-fails", "--window", "2", release="1.0.0", statement="Get", kind="contract", safe_from="1.3.0")


class WhatIsHidden(check_project.Case):
    def test_the_life_of_a_soft_drop(self):
        p = self.project(baseline=T, releases=same(GET_B), plans=[plan("drop", phases={"contract": phase("1.2.0", "ALTER TABLE t DROP COLUMN a")})])
        kinds = [line.split()[1] for line in p.run("check", "--explain").stdout.splitlines() if line[:1].isdigit() and line.split()[1:2]]
        for kind in ("contract", "restored", "purged"):
            self.assertIn(kind, kinds)
        self.clean(p)

    def test_a_name_is_used_again_behind_it(self):
        """Hidden by another name, the column is no longer in the way of a new one."""
        self.clean(self.project(baseline=T, releases={"1.0.0": GET_B, "1.1.0": GET_B, "1.2.0": GET_B, "1.3.0": GET_A},
                                plans=[plan("drop", timestamp=20260101000000, phases={"contract": phase("1.1.0", "ALTER TABLE t DROP COLUMN a")}),
                                       plan("again", timestamp=20260101000001, phases={"expand": phase("1.3.0", "ALTER TABLE t ADD COLUMN a text")})]))

    def test_rows_of_a_partition_go_with_the_purge(self):
        whole = ("CREATE TABLE ev (id int, k text NOT NULL) PARTITION BY LIST (k); CREATE TABLE ev_a PARTITION OF ev FOR VALUES IN ('a'); "
                 "CREATE TABLE ev_b PARTITION OF ev FOR VALUES IN ('b'); INSERT INTO ev VALUES (1, 'a'), (2, 'b')")
        count = "-- name: Count\nSELECT count(*) FROM ev;\n"
        drop = [plan("drop", phases={"contract": phase("1.2.0", "DROP TABLE ev_b")})]
        self.red(self.project(baseline=whole, releases=same(count), plans=drop), "row-visibility-changed", statement="Count", plan="drop")
        self.clean(self.project(baseline=whole, releases=same(count.replace("FROM ev", "FROM ev_a")), plans=drop))


class NobodyHasWrittenIt(check_project.Case):
    DROP = [plan("drop", phases={"contract": phase("1.2.0", "ALTER TABLE t DROP COLUMN a")})]

    def test_a_planned_release_is_taken_to_run_what_the_newest_does(self):
        p = self.project(baseline=T, releases={"1.0.0": GET_A, "1.1.0": GET_B, "1.2.0": None}, planned=("1.2.0",), plans=self.DROP)
        self.clean(p)
        p = self.project(baseline=T, releases={"1.0.0": GET_A, "1.1.0": GET_A, "1.2.0": None}, planned=("1.2.0",), plans=self.DROP)
        done = p.check()
        self.assertIn(("note", "not-yet-provable", "1.2.0"), {(f["severity"], f["rule"], f["release"]) for f in done.findings})
        self.assertIn(("error", "old-query-fails", "1.1.0"), {(f["severity"], f["rule"], f["release"]) for f in done.findings})

    def test_once_it_is_written_it_is_held_to_it(self):
        releases = {"1.0.0": GET_A, "1.1.0": GET_B, "1.2.0": GET_A}
        self.red(self.project(baseline=T, releases=releases, plans=self.DROP), "old-query-fails", release="1.2.0", statement="Get")

    def test_listed_and_without_statements(self):
        p = self.project(baseline=T, releases={"1.0.0": GET_B, "1.1.0": GET_B, "1.2.0": None}, plans=self.DROP)
        self.red(p, "cell-untested", release="1.2.0")


class FlagsFallBack(check_project.Case):
    """From its first percent on until it is retired a flag may be killed, and a cold start knows only what is safe."""

    READ = "-- name: Get\n-- when: new-read=%s\n-- args: (1)\nSELECT %s AS v FROM t WHERE id = $1;\n"
    BOTH = READ % ("off", "a") + READ % ("on", "b")

    def of(self, at_contract):
        phases = {"dual_read": {"release": "1.1.0", "rollout": [{"percent": 100}]},
                  "contract": phase("1.3.0", "ALTER TABLE t DROP COLUMN a")}
        releases = {"1.0.0": "-- name: Get\n-- args: (1)\nSELECT a AS v FROM t WHERE id = $1;\n", "1.1.0": self.BOTH, "1.2.0": at_contract,
                    "1.3.0": at_contract}
        return self.project(baseline=T, releases=releases, plans=[plan("new", flags={"read": {"key": "new-read"}}, phases=phases)])

    def test_the_old_branch_may_come_back(self):
        done = self.of(self.BOTH).check()
        failing = [f for f in done.findings if f["rule"] == "old-query-fails"]
        self.assertEqual([f["flags"] for f in failing], [{"new-read": "off"}] * len(failing), done)
        self.assertTrue(failing, done)

    def test_once_the_branch_is_gone_nothing_comes_back(self):
        self.clean(self.of("-- name: Get\n-- args: (1)\nSELECT b AS v FROM t WHERE id = $1;\n"))


if __name__ == "__main__":
    unittest.main()

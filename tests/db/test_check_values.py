"""check: values that are made others, by the expressions of a sync and by steps. The cases are in
tests/data/compat/cases-values.txt; here is what the findings say, and what a case there can't have: flags, backfills."""

import unittest

import check_project
from project import plan, step

T = "CREATE TABLE t (id int PRIMARY KEY, ref text, n int)"
NONE = {p: {"none": "later"} for p in ("write_activation", "contract")}
GET = "-- name: Get\nSELECT ref FROM t WHERE id = $1;\n"
BOTH = "-- name: Get\n-- when: r=off\nSELECT ref FROM t WHERE id = $1;\n\n-- name: Get\n-- when: r=on\nSELECT code AS ref FROM t WHERE id = $1;\n"
PUT = "\n-- name: Put\nUPDATE t SET ref = $2 WHERE id = $1;\n"


def moved(forward="ref", reverse="code", by="trigger", *fill):
    sync = {"table": "t", "forward": {"code": forward}, "reverse": {"ref": reverse}, "by": by}
    return plan("code", flags={"read": {"key": "r"}, "write": {"key": "w"}}, sync=sync,
                phases=dict(NONE, expand={"release": "1.1.0", "steps": [step("column", "ALTER TABLE t ADD COLUMN code text")]},
                            dual_read={"release": "1.2.0", "backfill": [{"id": "fill"}] + list(fill), "rollout": [{"percent": 100}]}))


class Expressions(check_project.Case):
    def of(self, body, new=BOTH + PUT, old=GET + PUT):
        return self.project(baseline=T, plans=[body], releases={"1.0.0": old, "1.1.0": old, "1.2.0": new})

    def test_by_flag(self):
        self.clean(self.of(moved()))
        f = self.red(self.of(moved("left(ref, 60)")), "sync-trigger-asymmetric", statement="Get")
        self.assertIn('with a text of 90 letters for "ref", of which "code" is made by left(ref, 60)', f["message"])
        self.assertIn("-- differs:", f["help"])
        self.assertEqual((f["plan"], f["probe"]), ("code", "W"))
        self.assertTrue(f["file"].startswith("plans/"), f)

    def test_one_finding_for_one_expression(self):
        more = "\n-- name: Also\n-- when: r=off\nSELECT id, ref FROM t;\n\n-- name: Also\n-- when: r=on\nSELECT id, code AS ref FROM t;\n"
        p = self.of(moved("btrim(ref)"), new=BOTH + more + PUT)
        self.red(p, "sync-trigger-asymmetric")
        found = [f for f in p.check().findings if f["rule"] == "sync-trigger-asymmetric"]
        self.assertEqual(len(found), 1)
        self.assertLessEqual({"Get", "Also"}, {p["statement"] for p in found[0]["places"]})

    def test_that_is_said_to_differ(self):
        self.clean(self.of(moved("btrim(ref)"), new=BOTH.replace("-- when", "-- differs: blanks are nothing\n-- when") + PUT,
                           old=GET.replace("Get\n", "Get\n-- differs: blanks are nothing\n") + PUT))

    def test_where_the_application_keeps_both(self):
        both = "\n-- name: Put\nUPDATE t SET ref = $2, code = %s WHERE id = $1;\n"
        self.clean(self.of(moved("lower(ref)", by="application"), new=BOTH + both % "$2", old=GET))
        self.red(self.of(moved("lower(ref)", by="application"), new=BOTH + both % "lower($2)", old=GET), "stale-new-value", statement="Get")

    def test_values_for_each_side_are_the_applications(self):
        both = "\n-- name: Put\n-- args: (1, 'a', 'a')\nUPDATE t SET ref = $2, code = $3 WHERE id = $1;\n"
        self.clean(self.of(moved("lower(ref)"), new=BOTH + both, old=GET))


class Fills(check_project.Case):
    def of(self, *fill, old=GET):
        new = BOTH if old == GET else old
        return self.project(baseline=T, plans=[moved("ref", "code", "trigger", *fill)], releases={"1.0.0": old, "1.1.0": old, "1.2.0": new})

    def test_a_backfill_that_changes_what_is_read(self):
        upper = {"id": "upper", "table": "t", "set": {"ref": "upper(ref)"}, "where": "ref IS DISTINCT FROM upper(ref)"}
        f = self.red(self.of(upper, old="-- name: Find\nSELECT id FROM t WHERE ref = $1;\n"), "row-visibility-changed", statement="Find")
        self.assertIn('changes what rows of "t" hold in "ref"', f["message"])
        self.clean(self.of(upper, old="-- name: Find\nSELECT id FROM t WHERE n = $1;\n"))

    def test_a_backfill_of_what_is_empty(self):
        self.clean(self.of({"id": "zero", "table": "t", "set": {"n": "0"}, "where": "n IS NULL"}, old="-- name: Find\nSELECT ref, n FROM t WHERE id = $1;\n"))


class Parents(check_project.Case):
    """A copy of the parent's own parent, which a trigger of the child keeps."""

    def of(self, keep):
        tables = ("CREATE TABLE acct (id int PRIMARY KEY); CREATE TABLE proj (id int PRIMARY KEY, acct_id int NOT NULL REFERENCES acct); "
                  "CREATE TABLE task (id int PRIMARY KEY, proj_id int NOT NULL REFERENCES proj)")
        step_by = ("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.acct_id := (SELECT acct_id FROM proj WHERE id = NEW.proj_id); "
                   "RETURN NEW; END$$; CREATE TRIGGER f BEFORE INSERT OR UPDATE OF proj_id ON task FOR EACH ROW EXECUTE FUNCTION f()")
        body = plan("copy", flags={"read": {"key": "r"}}, phases=dict(
            NONE, expand={"release": "1.1.0", "steps": [step("column", "ALTER TABLE task ADD COLUMN acct_id int"), step("f", step_by)] + keep},
            dual_read={"release": "1.2.0", "rollout": [{"percent": 100}],
                       "backfill": [{"id": "fill", "table": "task", "set": {"acct_id": "p.acct_id"}, "from": "proj p",
                                     "match": "p.id = task.proj_id", "where": "task.acct_id IS NULL"}]}))
        write = "-- name: Own\nUPDATE proj SET acct_id = $2 WHERE id = $1;\n"
        read = ("\n-- name: Of\n-- when: r=off\nSELECT t.id FROM task t JOIN proj p ON p.id = t.proj_id WHERE p.acct_id = $1;\n"
                "\n-- name: Of\n-- when: r=on\nSELECT id FROM task WHERE acct_id = $1;\n")
        return self.project(baseline=tables, plans=[body], releases={"1.0.0": write, "1.1.0": write, "1.2.0": write + read})

    def test_a_parent_that_moves(self):
        f = self.red(self.of([]), "stale-new-value", statement="Of")
        self.assertIn("after Own", f["message"])

    def test_a_parent_that_takes_its_rows_along(self):
        self.clean(self.of([step("g", "CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN UPDATE task SET acct_id = NEW.acct_id "
                                      "WHERE proj_id = NEW.id; RETURN NULL; END$$; "
                                      "CREATE TRIGGER g AFTER UPDATE OF acct_id ON proj FOR EACH ROW EXECUTE FUNCTION g()")]))


class Many(check_project.Case):
    """More values than are tried in one step: what wasn't is said."""

    def test_what_was_not_tried_is_said(self):
        columns = ["c%d" % i for i in range(150)]
        one = "-- name: Add%d\nINSERT INTO t (id, %s) VALUES ($1, %s);\n"
        old = "\n".join(one % (i, ", ".join(columns), ", ".join("$%d" % (n + 2) for n in range(150))) for i in range(6))
        body = plan("wide", phases=dict(NONE, dual_read={"none": "later"}, expand={"release": "1.1.0", "steps": [
            step("check", "ALTER TABLE t ADD CONSTRAINT k CHECK (c149 <> 'x' OR c148 <> 'y') NOT VALID")]}))
        p = self.project(baseline="CREATE TABLE t (id int PRIMARY KEY, %s)" % ", ".join(c + " text" for c in columns), plans=[body],
                         releases={"1.0.0": old, "1.1.0": old})
        found = [f for f in p.check().findings if f["rule"] == "cell-untested"]
        self.assertEqual([(f["severity"], f["step"], f["phase"]) for f in found], [("warning", "check", "expand")])
        self.assertRegex(found[0]["message"], r"than are tried in one step \(8000\): those of Add[1-5] of release 1\.0\.0, and of the")
        self.assertIn("several steps", found[0]["help"])


if __name__ == "__main__":
    unittest.main()

"""check: what it says to do: one finding for one cause, with a way out that there is."""

import os
import subprocess
import unittest

import check_project
import pgtest
from project import plan, step

T = "CREATE TABLE orders (id int PRIMARY KEY, name text, amount int); CREATE TABLE stock (id int PRIMARY KEY)"
GET = "-- name: Get\n-- args: (1)\nSELECT name FROM orders WHERE id = $1;\n"
OTHER = "-- name: Other\n-- args: (1)\nSELECT amount FROM orders WHERE id = $1;\n"


def setUpModule():
    """One server for all: each check makes a database of its own."""
    os.environ["PHASEGATE_SHADOW"] = pgtest.cluster().url()


def steps(release, *sql):
    return {"release": release, "steps": [step("s%d" % i, s) for i, s in enumerate(sql)]}


def harmless(release="1.1.0"):
    return plan("harmless", phases={"expand": steps(release, "ALTER TABLE orders ADD COLUMN note text")})


class Misspelt(check_project.Case):
    """Fails in every state that there is."""

    def test_a_later_release_is_to_blame(self):
        new = GET + "-- name: A\nSELECT nam FROM orders;\n-- name: B\nSELECT id, o.nam FROM orders o;\n-- name: C\nSELECT 1 FROM ordrs;\n"
        done = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": new, "1.2.0": new}, plans=[harmless()]).check()
        self.assertEqual([(f["severity"], f["rule"]) for f in done.findings], [("error", "new-query-needs-later-state")] * 2, done)
        column, table = done.findings
        self.assertIn('did you mean "name"?', column["help"])
        self.assertIn("in expand of a plan, bound to 1.1.0", column["help"])
        self.assertEqual([(p["release"], p["statement"]) for p in column["places"]],
                         [("1.1.0", "A"), ("1.1.0", "B"), ("1.2.0", "A"), ("1.2.0", "B")])
        self.assertIn('did you mean "orders"?', table["help"])

    def test_two_tables_are_two_causes(self):
        new = GET + "-- name: A\nSELECT nam FROM orders;\n-- name: B\nSELECT nam FROM stock;\n"
        done = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": new}, plans=[harmless()]).check()
        self.assertEqual(len(done.findings), 2, done)

    def test_the_first_release_had_it(self):
        old = GET + "-- name: A\nSELECT nam FROM orders;\n"
        f = self.red(self.project(baseline=T, releases={"1.0.0": old, "1.1.0": old}, plans=[harmless()]), "failing-at-baseline", severity="warning")
        self.assertIn('did you mean "name"?', f["help"])
        self.assertIn("the baseline lacks it", f["help"])
        self.assertEqual([p["release"] for p in f["places"]], ["1.0.0", "1.1.0"])

    def test_parameters_of_another_style(self):
        for sql, style in (("SELECT name FROM orders WHERE id = :id", "colon"), ("SELECT name FROM orders WHERE id IN (?, ?)", "question"),
                           ("SELECT name FROM orders WHERE id = %s", "percent"), ("SELECT 'a:b?' FROM orders WHERE WHERE", None)):
            with self.subTest(sql=sql):
                new = GET + "-- name: A\n%s;\n" % sql
                f = self.red(self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": new}, plans=[harmless()]), "new-query-needs-later-state", sqlstate="42601")
                if style:
                    self.assertIn("params: %s" % style, f["help"])
                else:
                    self.assertNotIn("params:", f["help"])

    def test_a_right_that_the_baseline_lacks(self):
        base = T + "; CREATE ROLE advice_app; GRANT SELECT ON orders TO advice_app"
        new = GET + "-- name: Put\n-- args: (1)\nUPDATE orders SET amount = 1 WHERE id = $1;\n"
        more = {v: {"session": {"role": "advice_app"}} for v in ("1.0.0", "1.1.0")}
        f = self.red(self.project(baseline=base, releases={"1.0.0": GET, "1.1.0": new}, more=more, plans=[harmless()]), "grants-missing-for-app-role")
        self.assertIn("GRANT UPDATE ON orders TO advice_app, in the baseline", f["help"])


class Unknown(check_project.Case):
    def test_files_without_a_statement(self):
        for empty in ("", "-- nothing yet\n"):
            with self.subTest(empty=empty):
                f = self.red(self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": empty}, plans=[harmless()]), "cell-untested", release="1.1.0")
                self.assertIn("has no statements", f["message"])

    def test_a_flag_that_no_plan_declares(self):
        both = "".join("-- name: Get\n-- when: orders-raed=%s\n-- args: (1)\nSELECT %s AS v FROM orders WHERE id = $1;\n" % w
                       for w in (("off", "name"), ("on", "name || ''")))
        body = plan("read", flags={"read": {"key": "orders-read"}}, phases={"dual_read": {"release": "1.1.0", "rollout": [{"percent": 100}]}})
        p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": both}, plans=[body])
        f = self.red(p, "unknown-flag", severity="warning")
        self.assertIn('did you mean "orders-read"?', f["help"])
        self.assertEqual(len([x for x in p.check().findings if x["rule"] == "unknown-flag"]), 1)
        self.assertEqual(len(f["places"]), 2)
        self.clean(self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": both.replace("raed", "read")}, plans=[body]))

    def test_a_release_that_isnt_listed(self):
        releases = {v: GET for v in ("1.0.0", "1.1.0", "1.2.0", "1.3.0")}
        f = self.red(self.project(baseline=T, releases=releases, plans=[harmless("1.1.1")]), "release-not-listed", severity="warning")
        self.assertIn("come after 1.3.0", f["message"])
        f = self.red(self.project(baseline=T, releases=releases, plans=[harmless("1.20.0")]), "release-not-listed", severity="note")
        self.assertIn('did you mean "1.2.0"?', f["help"])
        for following in ("1.4.0", "2.0.0", "1.3.1"):
            with self.subTest(following=following):
                self.clean(self.project(baseline=T, releases=releases, plans=[harmless(following)]))


class Later(check_project.Case):
    drop = {"contract": steps("1.1.0", "ALTER TABLE orders DROP COLUMN name")}

    def test_a_planned_release_is_free_of_it(self):
        p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": OTHER, "1.2.0": None}, planned=("1.2.0",), plans=[plan("drop", phases=self.drop)])
        f = self.red(p, "old-query-fails", safe_from="1.2.0")
        self.assertIn("bind this to 1.2.0 (planned) or later", f["help"])

    def test_none_is_free_of_it(self):
        p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": GET, "1.2.0": None}, planned=("1.2.0",), plans=[plan("drop", phases=self.drop)])
        f = self.red(p, "old-query-fails", safe_from=None)
        self.assertIn("list the next release without that statement", f["help"])

    def test_a_consumer(self):
        p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": OTHER}, consumers={"reporting": GET}, plans=[plan("drop", phases=self.drop)])
        f = self.red(p, "old-query-fails", safe_from=None)
        self.assertIn("consumer reporting runs Get at all times: change its statement first", f["help"])
        text = p.run("check").stdout
        self.assertIn("Get of consumer reporting", text)
        self.assertNotIn("release reporting", text)

    def test_no_advice_that_cant_be_followed(self):
        new = "-- name: Get\n-- args: (1)\nSELECT title FROM orders WHERE id = $1;\n"
        body = plan("title", flags={"write": {"key": "w"}}, phases={
            "write_activation": {"release": "1.1.0", "rollout": [{"percent": 100}]},
            "contract": steps("1.2.0", "ALTER TABLE orders RENAME COLUMN name TO title")})
        p = self.project(baseline=T, releases={"1.0.0": OTHER, "1.1.0": new, "1.2.0": new}, plans=[body])
        [f] = [f for f in p.check().findings if f["rule"] == "new-query-needs-later-state"]
        self.assertNotIn("bind contract", f["help"])
        self.assertIn("make what it needs in expand", f["help"])


class Arguments(check_project.Case):
    def note(self, baseline, sql):
        p = self.project(baseline=baseline, releases={"1.0.0": sql, "1.1.0": sql}, plans=[harmless()])
        return [f for f in p.check().findings if f["rule"] == "cell-untested"][0]["help"]

    def test_an_example_row_only_where_one_helps(self):
        self.assertIn("-- args:", self.note(T + "; ALTER TABLE orders ADD CHECK (name ~ '^[A-Z]{2}-[0-9]{7}$')",
                                            "-- name: Put\nINSERT INTO orders (id, name) VALUES ($1, $2);\n"))
        must = self.note(T + "; ALTER TABLE orders ADD COLUMN must int NOT NULL", "-- name: Put\nINSERT INTO orders (id, name) VALUES ($1, $2);\n")
        self.assertIn('column "must"', must)
        self.assertNotIn("-- args:", must)
        fixed = self.note(T + "; ALTER TABLE orders ADD CONSTRAINT big CHECK (amount > 5)", "-- name: Put\nINSERT INTO orders (id, amount) VALUES (77, 1);\n")
        self.assertIn('constraint "big"', fixed)
        self.assertNotIn("-- args:", fixed)


if __name__ == "__main__":
    unittest.main()

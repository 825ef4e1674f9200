"""check: statements as they are written: COPY, long texts, stars of sqlc; and one cause that is one finding."""

import os
import unittest

import check_project
from project import plan, step

T = "CREATE TABLE orders (id int PRIMARY KEY, name text, amount int)"


def steps(release, *sql):
    return {"release": release, "steps": [step("s%d" % i, s) for i, s in enumerate(sql)]}


def harmless():
    return plan("harmless", phases={"expand": steps("1.1.0", "ALTER TABLE orders ADD COLUMN more text")})


class Copy(check_project.Case):
    FORMS = ["COPY /* to */ orders (id /* ) */, name) TO STDOUT",
             "COPY BINARY orders (id) TO STDOUT",
             "COPY (SELECT $$)$$ || name, ')' FROM orders -- ) x\n) TO STDOUT",
             "COPY /* /* ( */ */ public.orders (id, name) FROM STDIN WITH (FORMAT csv, HEADER)",
             "copy \"a)b\" (id) from stdin binary",
             "/* copy */ COPY (INSERT INTO orders (id) VALUES (7) RETURNING id) TO STDOUT"]

    def test_every_way_to_write_it(self):
        sql = "".join("-- name: C%d\n%s;\n" % (i, c) for i, c in enumerate(self.FORMS))
        self.clean(self.project(baseline=T + '; CREATE TABLE "a)b" (id int)', releases={"1.0.0": sql, "1.1.0": sql},
                                plans=[harmless()]))

    def test_each_of_them_breaks(self):
        sql = "".join("-- name: C%d\n%s;\n" % (i, c) for i, c in enumerate(self.FORMS))
        gone = plan("gone", phases={"contract": steps("1.1.0", 'ALTER TABLE orders RENAME TO o; ALTER TABLE "a)b" RENAME TO ab')})
        done = self.project(baseline=T + '; CREATE TABLE "a)b" (id int)', releases={"1.0.0": sql, "1.1.0": sql},
                            plans=[gone]).check()
        broken = {p["statement"] for f in done.findings if f["rule"] == "old-query-fails" for p in f["places"]}
        self.assertEqual(broken, {"C%d" % i for i in range(len(self.FORMS))}, done)


class Hidden(check_project.Case):
    """Columns that only an option, a condition or a prepared text names: the server looks at them when it runs it."""
    FORMS = ["COPY orders (id) FROM STDIN WHERE amount > 1",
             "COPY orders (id) FROM STDIN WITH (FORMAT csv, FORCE_NOT_NULL (id, amount))",
             "COPY orders (id, name) FROM STDIN (FORMAT csv) WHERE amount IN (1, 2) -- where\n",
             "COPY orders TO STDOUT (FORMAT csv, FORCE_QUOTE (amount))",
             "COPY (SELECT amount FROM orders) TO STDOUT",
             "PREPARE q AS SELECT amount FROM orders",
             "PREPARE q (int) AS UPDATE orders SET amount = $1 WHERE id = $2"]

    def project_of(self, sql):
        text = "".join("-- name: C%d\n%s;\n" % (i, c) for i, c in enumerate(self.FORMS))
        return self.project(baseline=T, releases={"1.0.0": text, "1.1.0": text}, plans=[
            plan("gone", phases={"contract": steps("1.1.0", sql)})])

    def test_each_of_them_breaks(self):
        done = self.project_of("ALTER TABLE orders DROP COLUMN amount").check()
        broken = {p["statement"] for f in done.findings if f["rule"] == "old-query-fails" for p in f["places"]}
        self.assertEqual(broken, {"C%d" % i for i in range(len(self.FORMS))}, done)

    def test_none_does_without_need(self):
        self.clean(self.project_of("CREATE INDEX CONCURRENTLY orders_name ON orders (name)"))


class Long(check_project.Case):
    def test_a_text_larger_than_what_is_sent_ahead(self):
        """The server keeps its answers until the job's end is sent, however long its texts are."""
        sql = "-- name: Long\nSELECT name, '%s' AS x FROM orders;\n" % ("x" * (3 << 19))
        p = self.project(baseline=T, releases={"1.0.0": sql, "1.1.0": sql}, plans=[harmless()])
        done = self.clean(p, "--no-cache")
        self.assertEqual(done.json["summary"]["by"]["generated"], done.json["summary"]["cells"], done.json["summary"])

    def test_a_literal_of_17_megabytes(self):
        p = self.project(baseline=T)
        p.write("long.sql", "SELECT '%s';\n" % ("x" * (17 << 20)))
        done = p.run("check", "--static", "long.sql", "--format", "json")
        self.assertEqual((done.rc, done.findings), (0, []))
        p.write("open.sql", "SELECT '%s\n" % ("x" * 100000))
        done = p.run("check", "--static", "open.sql", "--format", "json")
        [f] = done.findings
        self.assertIn("unterminated quoted string", f["message"])
        self.assertLess(len(f["message"]), 200)


class Sqlc(check_project.Case):
    STAR = "-- name: Get :one\n-- args: (1)\nSELECT * FROM orders WHERE id = $1;\n"

    def test_each_release_has_the_columns_that_it_met(self):
        """1.0.0 was made before the column, 1.1.0 with it: what drops it breaks the second alone."""
        more = {v: {"driver": "pgx"} for v in ("1.0.0", "1.1.0", "1.2.0")}
        add = plan("add", timestamp=20260101000001, phases={"expand": steps("1.1.0", "ALTER TABLE orders ADD COLUMN more text")})
        drop = plan("drop", timestamp=20260101000002, phases={"contract": steps("1.2.0", "ALTER TABLE orders DROP COLUMN more")})
        p = self.project(baseline=T, releases=dict.fromkeys(more, self.STAR), plans=[add], more=more)
        self.clean(p)
        p = self.project(baseline=T, releases=dict.fromkeys(more, self.STAR), plans=[add, drop], more=more)
        f = self.red(p, "old-query-fails")
        self.assertEqual({x["release"] for x in f["places"]}, {"1.1.0", "1.2.0"}, f)

    def test_without_the_command_word_it_stays_a_star(self):
        plain = self.STAR.replace(" :one", "")
        p = self.project(baseline=T, releases={"1.0.0": plain, "1.1.0": plain}, plans=[harmless()],
                         more={"1.0.0": {"driver": "pgx"}})
        done = p.check()
        self.assertEqual({f["rule"] for f in done.findings if f["severity"] == "error"},
                         {"held-plan-result-changed", "result-shape-changed"}, done)


class Execute(check_project.Case):
    """What it runs stands in its PREPARE; without one nobody knows."""

    def made(self, more, first=None):
        return self.project(baseline=T, releases={"1.0.0": first or more, "1.1.0": more})

    def test_without_its_prepare(self):
        for sql in ("EXECUTE pick(1)", "/* x */ execute \"pick\"", "-- a\nEXECUTE PICK"):
            with self.subTest(sql=sql):
                p = self.made("-- name: Run\n%s;\n" % sql)
                f = self.red(p, "cell-untested", statement="Run")
                self.assertIn("what EXECUTE pick runs isn't known: release 1.0.0 has no PREPARE pick", f["message"])
                summary = p.check().json["summary"]
                self.assertEqual(summary["untested"], summary["cells"])

    def test_with_it(self):
        both = "-- name: Make\nPREPARE pick AS SELECT id FROM orders;\n-- name: Run\nEXECUTE pick;\n"
        self.clean(self.made(both))
        # It has to be the release's own.
        self.red(self.made("-- name: Run\nEXECUTE pick;\n", both), "cell-untested", release="1.1.0")


class OneCause(check_project.Case):
    WRITERS = ("-- name: Add\nINSERT INTO orders (id, amount) VALUES ($1, $2);\n"
               "-- name: AddName\nINSERT INTO orders (id, name) VALUES ($1, $2);\n"
               "-- name: SetName\nUPDATE orders SET name = $1 WHERE id = $2;\n")

    def test_a_restriction_in_all_its_worlds(self):
        p = self.project(baseline=T, releases=dict.fromkeys(("1.0.0", "1.1.0", "1.2.0", "1.3.0"), self.WRITERS),
                         plans=[plan("nn", phases={"contract": steps("1.2.0", "ALTER TABLE orders ALTER COLUMN name SET NOT NULL")})])
        done = p.check()
        found = sorted((f["rule"], len(f["places"])) for f in done.findings if f["class"] == "compat")
        self.assertEqual(found, [("insert-omits-required-column", 3), ("unproven-write", 6)], done)

    def test_a_grant_for_all_that_is_refused(self):
        sql = ("-- name: Get\n-- args: (1)\nSELECT name FROM v WHERE id = $1;\n"
               "-- name: Set\n-- args: (1)\nUPDATE v SET name = 'x' WHERE id = $1;\n")
        p = self.project(baseline=T + "; CREATE VIEW v AS SELECT id, name FROM orders; GRANT SELECT, UPDATE ON v TO texts_app; "
                         "GRANT ALL ON orders TO texts_app", releases={"1.0.0": sql, "1.1.0": sql}, session={"role": "texts_app"},
                         plans=[plan("v", phases={"expand": steps("1.1.0", "DROP VIEW v; CREATE VIEW v AS SELECT id, name, amount FROM orders")})])
        [f] = [f for f in p.check().findings if f["rule"] == "grants-missing-for-app-role"]
        self.assertIn("GRANT SELECT, UPDATE ON v TO texts_app", f["help"])

    def test_rights_that_only_running_asks_for(self):
        sql = "-- name: Add\nINSERT INTO orders (name) VALUES ($1);\n-- name: Empty\nTRUNCATE orders;\n"
        base = "CREATE TABLE orders (id serial PRIMARY KEY, name text); GRANT SELECT, INSERT ON orders TO texts_app"
        p = self.project(baseline=base, releases={"1.0.0": sql, "1.1.0": sql}, session={"role": "texts_app"}, plans=[harmless()])
        done = p.check()
        self.assertEqual({(f["rule"], len(f["places"])) for f in done.findings}, {("failing-at-baseline", 2)}, done)
        self.assertEqual(sorted(f["help"].split(": ")[1].split(",")[0] for f in done.findings),
                         ["GRANT TRUNCATE ON orders TO texts_app", "GRANT USAGE ON SEQUENCE orders_id_seq TO texts_app"], done)


if __name__ == "__main__":
    unittest.main()

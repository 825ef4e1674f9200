"""check: statements and steps that don't end, or want more than there is."""

import unittest

import check_project
from project import plan, step

T = "CREATE TABLE t (id int PRIMARY KEY, a text, n int);\n"
GET = "-- name: Get\n-- args: (1)\nSELECT a FROM t WHERE id = $1;\n"


def expand(release, *sql):
    return {"release": release, "steps": [step("s%d" % i, s) for i, s in enumerate(sql)]}


class Endless(check_project.Case):
    """What doesn't end, or wants more than there is, is told of; the rest is proved, within a time."""

    ADD = [plan("a", phases={"expand": expand("1.1.0", "ALTER TABLE t ADD COLUMN x int")})]

    def of(self, *statements, baseline=T, plans=None, seconds=100):
        sql = GET + "".join("-- name: S%d\n%s;\n" % (i, s) for i, s in enumerate(statements))
        p = self.project(baseline=baseline, releases={"1.0.0": sql, "1.1.0": sql}, plans=self.ADD if plans is None else plans)
        return p.check("--no-cache", timeout=seconds)

    def told(self, done):
        return {(f["severity"], f["rule"], f["statement"]) for f in done.findings}

    def test_statements(self):
        done = self.of("SELECT pg_sleep(1000)", "WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r) SELECT count(*) FROM r",
                       "SELECT pg_advisory_lock(7)")
        self.assertEqual((done.rc, self.told(done)), (0, {("warning", "cell-untested", "S0"), ("warning", "cell-untested", "S1")}), done)
        self.assertEqual({f["release"] for f in done.findings}, {"1.0.0", "1.1.0"})
        self.assertIn("doesn't end within 5 s", done.findings[0]["message"])

    def test_rows_of_our_making(self):
        """They point at each other where those of production don't: said, and no more than that."""
        done = self.of("WITH RECURSIVE r AS (SELECT id, n FROM t UNION ALL SELECT t.id, t.n FROM t JOIN r ON t.n = r.id) SELECT count(*) FROM r")
        self.assertEqual((done.rc, self.told(done)), (0, {("note", "cell-untested", "S0")}), done)

    def test_locks_of_another_session_go(self):
        """Of a step, and of a statement that runs as somebody else."""
        p = self.project(baseline=T, releases={"1.0.0": GET + "-- name: Lock\nSELECT pg_advisory_lock(7);\n-- name: Other\n-- role: app\nSELECT pg_advisory_lock(7);\n"},
                         plans=[plan("a", phases={"expand": expand("1.0.0", "SELECT pg_advisory_lock(7)", "ALTER TABLE t ADD COLUMN x int")})])
        self.clean(p)

    def test_all_of_them_together(self):
        """Of forty statements that begin to take for ever with a step: seven are waited for, and no more are run."""
        done = self.of(*["SELECT %d, f()" % i for i in range(40)], baseline=T + "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';\n",
                       plans=[plan("a", phases={"expand": expand("1.1.0", "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1 FROM pg_sleep(1000)'")})])
        self.assertEqual(done.rc, 1, done)
        self.assertIn(("error", "old-query-fails", "S0"), self.told(done))
        [late] = [f for f in done.findings if f["rule"] == "cell-untested"]
        self.assertEqual(late["severity"], "error")
        self.assertIn("has taken the 30 s", late["message"])

    def test_a_step(self):
        """Once, however often the states after it are come to."""
        done = self.of(plans=[plan("a", phases={"expand": expand("1.1.0", "SELECT pg_sleep(1000)")}), plan("b", stamp=20260102000000, phases={"contract": expand("1.1.0", "ALTER TABLE t DROP COLUMN n")})], seconds=60)
        [f] = [f for f in done.findings if f["rule"] == "step-fails-on-shadow"]
        self.assertIn("the step doesn't end within 30 s", f["message"])

    def test_memory_and_disk(self):
        done = self.of("SELECT count(*) FROM (SELECT array_agg(repeat(i::text, 1000)) FROM generate_series(1, 100000000) i) x",
                       "SELECT length(repeat(id::text, 1000000000) || repeat(id::text, 1000000000)) FROM t",
                       "SELECT count(*) FROM (SELECT i, repeat('x', 1000) FROM generate_series(1, 1000000000) i ORDER BY 2, 1 DESC OFFSET 1) x")
        self.assertEqual((done.rc, self.told(done)), (0, {("warning", "cell-untested", "S%d" % i) for i in range(3)}), done)

    def test_what_no_cancel_ends(self):
        loop = ("CREATE FUNCTION loop() RETURNS int LANGUAGE plpgsql AS $$ BEGIN LOOP BEGIN PERFORM pg_sleep(100); "
                "EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$;\n")
        done = self.of("SELECT loop()", baseline=T + loop)
        self.assertEqual((done.rc, self.told(done)), (1, {("error", "cell-untested", "S0")}), done)


if __name__ == "__main__":
    unittest.main()

"""preflight --fix: what the plan's data checks say is to be mended, is; nothing is without it."""

import unittest

import pgtest
import project
from project import column_plan

EMPTY = {"id": "empty", "sql": "SELECT count(*) FROM orders WHERE legacy_ref = ''", "expect": "= 0",
         "fix": "UPDATE orders SET legacy_ref = upper('none, ' || id), note = 'set; where' -- a comment\n WHERE orders.legacy_ref = '';"}
DOUBLE = {"id": "double", "sql": "SELECT count(*) FROM orders WHERE legacy_ref = 'twice'", "expect": "<= 1",
          "fix": "DELETE FROM orders o WHERE legacy_ref = 'twice' AND EXISTS (SELECT FROM orders b WHERE b.legacy_ref = 'twice' AND b.id < o.id)"}


SLEEPS = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"


class Fix(project.Case):
    def of(self, *checks, rows=3000, **more):
        p = self.project(plans=[column_plan(data_checks=list(checks))], **more)
        p.db.psql("TRUNCATE orders; ALTER TABLE orders ADD note text; INSERT INTO orders SELECT i, CASE WHEN i %% 2 = 0 THEN '' ELSE 'R' || i END "
                  "FROM generate_series(1, %d) i" % rows)
        return p

    def fix(self, p, *args, code=0):
        answer = p.json("preflight", "orders-ref", "--fix", *args, code=code)["result"]
        return answer["fixes"], {c["about"]: c for c in answer["checks"] if c["check"] == "data"}

    def column(self, p, sql):
        return [row[0] for row in p.db.psql(sql)]

    def journal(self, p):
        return self.column(p, "SELECT step || '|' || phase || '|' || description FROM phasegate.migration_history WHERE kind = 'fix' ORDER BY seq")

    def left(self, p):
        return int(p.db.psql("SELECT count(*) FROM orders WHERE legacy_ref = ''")[0][0])

    def test_an_update_is_carried_out_in_batches_and_journalled(self):
        p = self.of(EMPTY)
        p.exits(1, "preflight", "orders-ref")
        self.assertEqual(self.left(p), 1500)
        [done], checks = self.fix(p)
        self.assertEqual((done["id"], done["way"], done["before"], done["after"], done["rows"], done["holds"]),
                         ("empty", "batches", "1500", "0", 1500, True), done)
        self.assertEqual(checks["empty"]["outcome"], "pass")
        self.assertEqual(p.db.psql("SELECT id, legacy_ref, note FROM orders WHERE id = 2"), [["2", "NONE, 2", "set; where"]])
        self.assertEqual(self.journal(p), ["fix/empty|expand|begins: 1500, expected = 0", "fix/empty|expand|1500 rows changed, in batches"])
        self.assertGreater(int(p.db.psql("SELECT max(batches) FROM phasegate.backfill_job WHERE name = 'fix/empty'")[0][0]), 1)
        self.assertEqual(self.fix(p)[0], [])
        self.assertEqual(len(self.journal(p)), 2)
        p.ok("history", "--verify")
        p.advance("orders-ref", "1.1.0")
        p.ok("status", "orders-ref")
        self.assertIn("nothing to fix", p.ok("preflight", "orders-ref", "expand", "--fix").stdout)

    def test_anything_else_is_one_statement_of_few_rows(self):
        p = self.of(DOUBLE)
        p.db.psql("UPDATE orders SET legacy_ref = 'twice' WHERE id <= 10")
        [done], _ = self.fix(p)
        self.assertEqual((done["way"], done["before"], done["after"], done["rows"]), ("statement", "10", "1", 9), done)
        self.assertEqual(p.db.psql("SELECT id FROM orders WHERE legacy_ref = 'twice'"), [["1"]])
        self.assertEqual(self.journal(p), ["fix/double|expand|9 rows changed, in one statement"])
        p.db.psql("INSERT INTO orders SELECT i, 'twice' FROM generate_series(100001, 110010) i")
        refused = p.exits(4, "preflight", "orders-ref", "--fix")
        self.assertIn("more than 10000 rows", refused.stderr)
        self.assertEqual(p.db.psql("SELECT count(*) FROM orders WHERE legacy_ref = 'twice'"), [["10011"]])
        self.assertEqual(len(self.journal(p)), 1)

    def test_what_looks_at_other_rows_of_its_table_is_no_batch(self):
        p = self.of({"id": "self", "sql": "SELECT count(*) FROM orders WHERE note IS NULL", "expect": "= 0",
                     "fix": "UPDATE orders SET note = (SELECT count(*) FROM orders x WHERE x.note IS NULL) WHERE note IS NULL"}, rows=100)
        [done], _ = self.fix(p)
        self.assertEqual((done["way"], done["rows"]), ("statement", 100))
        self.assertEqual(p.db.psql("SELECT DISTINCT note FROM orders"), [["100"]])

    def test_dry_run_shows_and_writes_nothing(self):
        p = self.of(EMPTY, DOUBLE)
        fixes, _ = self.fix(p, "--dry-run", code=1)
        self.assertEqual([(f["id"], f["way"], f["before"], f["after"], f["rows"]) for f in fixes], [("empty", "batches", "1500", None, None)])
        self.assertEqual(self.left(p), 1500)
        self.assertEqual(p.db.psql("SELECT to_regnamespace('phasegate') IS NULL"), [["t"]])
        text = p.exits(1, "preflight", "orders-ref", "--fix", "--dry-run").stdout
        self.assertIn("would run in batches", text)
        self.assertIn("UPDATE orders SET legacy_ref", text)
        self.assertEqual(p.run("preflight", "orders-ref", "--dry-run").rc, 2)

    def test_one_that_does_not_help_says_so(self):
        p = self.of(dict(EMPTY, sql="SELECT count(*) FROM orders", expect="= 0"))
        [done], checks = self.fix(p, code=1)
        self.assertEqual((done["rows"], done["after"], done["holds"]), (1500, "3000", False))
        self.assertEqual(checks["empty"]["outcome"], "no-go")

    def test_nobody_fixes_what_was_not_approved(self):
        p = self.of(EMPTY, policy={"approvals": {"expand": 1}})
        refused = p.exits(4, "preflight", "orders-ref", "--fix")
        self.assertIn("expand needs 1 approval", refused.stderr)
        dry = p.exits(1, "preflight", "orders-ref", "--fix", "--dry-run")
        self.assertIn("would be refused", dry.stdout)
        p.ok("--as", "alice", "approve", "orders-ref", "expand")
        p.write_plan(column_plan(data_checks=[dict(EMPTY, fix="UPDATE orders SET legacy_ref = 'other' WHERE legacy_ref = ''")]))
        self.assertIn("it was edited since", p.exits(4, "preflight", "orders-ref", "--fix").stderr)
        self.assertEqual(self.left(p), 1500)
        p.write_plan(column_plan(data_checks=[EMPTY]))
        self.fix(p)
        self.assertEqual(self.left(p), 0)

    def test_a_brake_and_the_hours_keep_it(self):
        p = self.of(rows=20)
        later = dict(contract=project.phase("contract", steps=[project.step("full", "ALTER TABLE orders ALTER note SET NOT NULL")]))
        p.write_plan(column_plan(phases=later, data_checks=[EMPTY]))
        p.body["policy"] = {"preflight": "off"}
        p.write()
        p.advance("orders-ref", "1.1.0")
        p.ok("pause", "orders-ref", "--because", "wait for the audit")
        self.assertIn("wait for the audit", p.exits(4, "preflight", "orders-ref", "--fix").stderr)
        p.ok("resume", "orders-ref")
        hour = int(p.db.psql("SELECT date_part('hour', now() AT TIME ZONE 'UTC')::int")[0][0])
        p.body["policy"] = {"maintenance": {"window": "%02d:00-%02d:00" % ((hour + 6) % 24, (hour + 7) % 24)}}
        p.write()
        self.assertIn("phases begin", p.exits(4, "preflight", "orders-ref", "--fix").stderr)
        del p.body["policy"]
        p.write()
        self.assertEqual(self.left(p), 10)
        self.fix(p, code=1)  # rows whose note is NULL stand against contract, and no check says so
        self.assertEqual(self.left(p), 0)

    def test_killed_in_the_middle_it_is_given_again(self):
        p = self.of(EMPTY)
        p.db.psql("""CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.id = 2500 THEN PERFORM pg_sleep(600); END IF; RETURN NEW; END';
            CREATE TRIGGER slow BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION slow()""")
        with p.start("preflight", "orders-ref", "--fix") as running:
            pgtest.wait_until(lambda: self.left(p) < 1500 and p.db.psql(SLEEPS), 120, what="the row that takes long")
            p.exits(6, "preflight", "orders-ref", "--fix", "--lock-wait", "0s")
            running.kill()
        p.db.psql(SLEEPS.replace("pid", "pg_terminate_backend(pid)", 1))
        p.db.psql("DROP TRIGGER slow ON orders")
        left = self.left(p)
        self.assertTrue(0 < left < 1500, left)
        [done], checks = self.fix(p)
        self.assertEqual((done["rows"], done["after"]), (1500, "0"))
        self.assertEqual(self.journal(p)[-1], "fix/empty|expand|1500 rows changed, in batches")

    def test_what_is_no_fix_is_said_by_its_place(self):
        for bad, words in (("TRUNCATE orders", "INSERT, UPDATE or DELETE"), ("UPDATE orders SET note = 1 RETURNING id", "RETURNING"),
                           ("DELETE FROM orders; DELETE FROM orders", "one statement"), ("UPDATE orders SET", "syntax error")):
            p = self.of(dict(EMPTY, fix=bad), rows=2)
            got = p.run("preflight", "orders-ref")
            self.assertEqual(got.rc, 2, got)
            self.assertIn(words, got.stderr)
            self.assertIn("plans/", got.stderr)


if __name__ == "__main__":
    unittest.main()

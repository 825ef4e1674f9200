"""history: every change with its hash, readable and tamper-evident; and a ledger of another version."""

import unittest

import pgtest
import project
from project import column_plan, full_plan


class History(project.Case):
    def rows(self, p, *more):
        [one] = p.json("history", *more)["result"]["databases"]
        return one["rows"]

    def test_a_release_under_which_nothing_was_done(self):
        p = self.project(plans=[column_plan()])
        p.advance("orders-ref", "1.1.0")
        self.assertEqual(p.ok("history", "--release", "1.2.0").stdout, "nothing was done under release 1.2.0\n")
        self.assertEqual(p.ok("history", "--release", "1.22.0").stdout, "nothing was done under release 1.22.0, which neither releases: nor "
                         'a plan names; did you mean "1.2.0"?\n')

    def test_nothing_yet(self):
        p = self.project(plans=[full_plan()])
        self.assertEqual(self.rows(p), [])
        self.assertIn("nothing was done yet", p.ok("history").stdout)
        self.assertEqual(p.json("history", "--verify")["result"]["databases"][0]["chain"], {"holds": True, "rows": 0, "broken": None})

    def test_every_field(self):
        p = self.project(plans=[full_plan()])
        p.ok("--as", "alice", "advance", "orders-ref", "--release", "1.1.0")
        row = [r for r in self.rows(p) if r["step"] == "column"][0]
        for key in ("seq", "plan", "phase", "step", "kind", "description", "status", "release", "run_id", "applied_by", "host",
                    "applied_at", "duration_ms", "checksum", "sql", "undo_sql", "hash"):
            self.assertIsNotNone(row[key], key)
        self.assertEqual((row["applied_by"], row["release"], row["status"]), ("alice", "1.1.0", "done"))
        text = p.ok("history").stdout
        for word in ("ALTER TABLE ADD COLUMN", "alice", "1.1.0", "done"):
            self.assertIn(word, text)

    def test_by_plan_release_and_limit(self):
        p = self.project(plans=[full_plan(), column_plan("other", 20260102000000, {"expand": {
            "release": "1.2.0", "steps": [{"id": "t", "sql": "CREATE TABLE t ()"}]}})])
        p.advance("orders-ref", "1.1.0")
        p.ok("advance", "--all", "--release", "1.2.0")
        self.assertEqual({r["plan"] for r in self.rows(p)}, {"orders-ref", "other"})
        self.assertEqual({r["plan"] for r in self.rows(p, "other")}, {"other"})
        self.assertEqual({r["release"] for r in self.rows(p, "--release", "1.1.0")}, {"1.1.0"})
        both = self.rows(p, "--release", "1.2.0")
        self.assertEqual(({r["release"] for r in both}, {r["plan"] for r in both}), ({"1.2.0"}, {"orders-ref", "other"}))
        every = self.rows(p, "--limit", "0")
        self.assertEqual([r["seq"] for r in self.rows(p, "--limit", "3")], [r["seq"] for r in every][-3:])
        self.assertEqual([r["seq"] for r in every], sorted(r["seq"] for r in every))

    def test_all_rows_of_one_run_share_its_id(self):
        p = self.project(plans=[full_plan()])
        done = p.json("advance", "orders-ref", "--release", "1.1.0")
        self.assertEqual({r["run_id"] for r in self.rows(p)}, {done["run_id"]})
        later = p.json("advance", "orders-ref", "--release", "1.2.0")["run_id"]
        self.assertGreater(later, done["run_id"], "ids sort by time")

    def test_an_unknown_plan(self):
        p = self.project(plans=[full_plan()])
        self.assertIn('did you mean "orders-ref"', p.exits(2, "history", "order-ref").stderr)


class Chain(project.Case):
    def setUp(self):
        self.p = self.project(plans=[full_plan()])
        self.p.advance_through("orders-ref", "dual_read")

    def verify(self, code):
        return self.p.json("history", "--verify", code=code)["result"]["databases"][0]["chain"]

    def tamper(self, sql):
        self.p.db.psql("ALTER TABLE phasegate.migration_history DISABLE TRIGGER USER; " + sql)

    def test_it_holds(self):
        chain = self.verify(0)
        self.assertTrue(chain["holds"])
        self.assertGreater(chain["rows"], 8)
        self.assertIn("the chain holds", self.p.ok("history", "--verify").stdout)

    def test_a_changed_row(self):
        seq = self.p.db.value("SELECT seq FROM phasegate.migration_history WHERE step = 'index' AND status = 'done'")
        self.tamper("UPDATE phasegate.migration_history SET sql = 'CREATE INDEX innocent' WHERE seq = %s" % seq)
        chain = self.verify(1)
        self.assertFalse(chain["holds"])
        self.assertIn(seq, chain["broken"])
        self.assertIn("the chain is broken", self.p.exits(1, "history", "--verify").stdout)

    def test_a_row_that_is_gone(self):
        self.tamper("DELETE FROM phasegate.migration_history WHERE step = 'index' AND status = 'done'")
        self.assertFalse(self.verify(1)["holds"])

    def test_the_journal_defends_itself_against_slips(self):
        with self.assertRaises(pgtest.PgError):
            self.p.db.psql("UPDATE phasegate.migration_history SET sql = 'x'")


class OtherVersions(project.Case):
    def test_a_ledger_newer_than_the_program(self):
        p = self.project(plans=[full_plan()])
        p.advance("orders-ref", "1.1.0")
        p.db.psql("INSERT INTO phasegate.schema_version (number, name, applied_by) VALUES (999, 'from the future', 'somebody')")
        before = p.dump()
        for command in (("advance", "orders-ref", "--release", "1.2.0"), ("status",), ("history",), ("rollback", "orders-ref"),
                        ("doctor",), ("guard", "--release", "1.1.0"), ("pause", "orders-ref"), ("approve", "orders-ref", "contract")):
            error = p.refused("ledger_newer", *command)
            self.assertIn("999", error["message"])
            self.assertTrue(error["hint"])
        self.assertEqual(p.dump(), before)

    def test_history_that_is_lost_altogether(self):
        p = self.project(plans=[full_plan()])
        p.advance("orders-ref", "1.1.0")
        schema = p.schema()
        p.db.psql("DROP SCHEMA phasegate CASCADE")
        r = p.advance("orders-ref", "1.1.0")
        self.assertEqual([t["status"] for t in r["tasks"]], ["skipped", "skipped", "done"])
        self.assertEqual(p.schema(), schema)
        p.advance("orders-ref", "1.2.0")


if __name__ == "__main__":
    unittest.main()

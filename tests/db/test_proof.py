"""advance --prove proves its transition on a shadow of the database as it is, and says in the journal what was proved."""

import json
import unittest

import project
from project import BOUND, full_plan, phase, step

OLD = "-- name: Get\n-- args: (1)\nSELECT legacy_ref FROM orders WHERE id = $1;\n"
BOTH = """-- name: Get
-- when: orders-ref-read=off
-- args: (1)
SELECT legacy_ref AS ref FROM orders WHERE id = $1;
-- name: Get
-- when: orders-ref-read=on
-- args: (1)
SELECT external_ref AS ref FROM orders WHERE id = $1;
"""
NEW = "-- name: Get\n-- args: (1)\nSELECT external_ref AS ref FROM orders WHERE id = $1;\n"
RIGHT = {"1.0.0": OLD, "1.1.0": OLD, "1.2.0": BOTH, "1.3.0": BOTH, "1.4.0": NEW, "1.5.0": NEW}


PROVED = ("--prove",)


class Proof(project.Case):
    def with_statements(self, releases, plans):
        p = self.project(plans=plans)
        for row in p.body["releases"]:
            sql = releases.get(row["version"])
            if sql:
                p.put(row["version"] + ".sql", sql)
                row["statements"] = row["version"] + ".sql"
                row.pop("planned")
        p.write()
        return p

    def journal(self, p):
        return p.db.column("SELECT description FROM phasegate.migration_history WHERE kind = 'transition' ORDER BY seq")

    def test_proved_and_recorded(self):
        p = self.with_statements(RIGHT, [full_plan()])
        for ph in project.PHASES:
            done = p.json("advance", "orders-ref", "--release", BOUND[ph], "--prove")
            self.assertEqual(done["result"]["plans"][0]["proof"], "proved")
        proofs = [d for d in self.journal(p) if "; proof: " in d]
        self.assertEqual(len(proofs), 4, self.journal(p))
        self.assertIn("cells", proofs[0])

    def test_refused_before_anything_is_changed(self):
        wrong = dict(RIGHT, **{"1.4.0": BOTH})
        p = self.with_statements(wrong, [full_plan()])
        for ph in project.PHASES[:3]:
            p.ok("advance", "orders-ref", "--release", BOUND[ph])
        before = p.columns()
        done = p.exits(1, "advance", "orders-ref", "--release", "1.5.0", "--prove")
        self.assertIn("old-query-fails", done.stderr)
        self.assertIn("1.4.0", done.stderr)
        self.assertIn("isn't proved to be safe", done.stderr)
        self.assertEqual(p.columns(), before)
        self.assertEqual(p.stage("orders-ref"), "write_activation done")

    def test_what_the_files_dont_know(self):
        """The database has a view that the baseline doesn't have: the world is the actual one."""
        p = self.with_statements(dict(RIGHT, **{"1.0.0": OLD + "-- name: Report\nSELECT n FROM report;\n",
                                                "1.1.0": OLD + "-- name: Report\nSELECT n FROM report;\n"}), [full_plan()])
        p.db.psql("CREATE VIEW report AS SELECT count(*) AS n FROM orders")
        p.ok("advance", "orders-ref", "--release", "1.1.0", "--prove")

    def test_a_proof_from_a_file(self):
        p = self.with_statements(RIGHT, [full_plan()])
        p.body["baseline"] = "baseline.sql"
        p.put("baseline.sql", project.ORDERS + ";\n")
        p.write()
        made = p.ok("check", "--format", "json")
        p.put("proof.json", made.stdout)
        nothing = {"PHASEGATE_PG_BIN": "/nonexistent"}
        for ph in project.PHASES:
            done = p.json("advance", "orders-ref", "--release", BOUND[ph], "--proof", "proof.json", env=nothing)
            self.assertEqual(done["result"]["plans"][0]["proof"], "proved")
        self.assertEqual(len([d for d in self.journal(p) if "proof: from proof.json" in d]), 4)

    def test_a_proof_that_is_for_something_else(self):
        p = self.with_statements(RIGHT, [full_plan()])
        p.body["baseline"] = "baseline.sql"
        p.put("baseline.sql", project.ORDERS + ";\n")
        p.write()
        p.put("proof.json", p.ok("check", "--format", "json").stdout)
        p.db.psql("ALTER TABLE orders ADD COLUMN by_hand int")
        self.assertIn("schema of the database", p.refused("proof", "advance", "orders-ref", "--release", "1.1.0", "--proof", "proof.json")["message"])
        p.db.psql("ALTER TABLE orders DROP COLUMN by_hand")
        edited = full_plan()
        edited["phases"]["expand"]["steps"][0]["sql"] = "ALTER TABLE orders ADD COLUMN external_ref varchar"
        p.write_plan(edited)
        self.assertIn("edited since", p.refused("proof", "advance", "orders-ref", "--release", "1.1.0", "--proof", "proof.json")["message"])
        p.put("proof.json", "{")
        p.exits(2, "advance", "orders-ref", "--release", "1.1.0", "--proof", "proof.json")
        p.exits(2, "advance", "orders-ref", "--release", "1.1.0", "--proof", "nothing.json")

    def test_edits_of_what_was_applied(self):
        p = self.with_statements(RIGHT, [full_plan()])
        p.body["baseline"] = "baseline.sql"
        p.put("baseline.sql", project.ORDERS + ";\n")
        p.write()
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        p.ok("check", "--against", "staging")
        edited = full_plan()
        edited["phases"]["expand"]["steps"][0]["sql"] = "ALTER TABLE orders ADD COLUMN external_ref varchar"
        p.write_plan(edited)
        done = p.exits(1, "check", "--against", "staging")
        self.assertIn("error[applied-step-edited]", done.stdout)
        p.exits(2, "check", "--against", "nowhere")

    def test_nothing_to_prove_with(self):
        p = self.project(plans=[full_plan()])
        self.assertIn("no release of the project lists statements", p.refused("proof", "advance", "orders-ref", "--release", "1.1.0", "--prove")["message"])
        done = p.ok("advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("no compatibility proof was asked for: --prove makes one", done.stderr)

    def test_a_restriction_in_expand(self):
        """Taken where a proof says that every live writer keeps to it, and never without one."""
        keeps = "-- name: Set\nUPDATE orders SET legacy_ref = left(coalesce($1, ''), 8) WHERE id = $2;\n"
        may_not = "-- name: Set\nUPDATE orders SET legacy_ref = $1 WHERE id = $2;\n"
        short = project.plan("short", phases={"expand": project.phase("expand", steps=[project.step(
            "check", "ALTER TABLE orders ADD CONSTRAINT short CHECK (length(legacy_ref) < 9) NOT VALID")])})
        advance = ("advance", "short", "--release", "1.1.0")

        p = self.project(plans=[short])
        self.assertIn("step check restricts", p.refused("proof", *advance)["message"])
        p = self.with_statements({v: may_not for v in ("1.0.0", "1.1.0")}, [short])
        done = p.exits(1, *advance, *PROVED)
        self.assertIn("unproven-write", done.stdout + done.stderr)
        self.assertEqual(p.db.value("SELECT count(*) FROM pg_constraint WHERE conname = 'short'"), "0")
        p = self.with_statements({v: keeps for v in ("1.0.0", "1.1.0")}, [short])
        p.ok(*advance, *PROVED)
        self.assertEqual(p.db.value("SELECT count(*) FROM pg_constraint WHERE conname = 'short'"), "1")
        p.ok("status")

    def test_no_server_programs(self):
        p = self.with_statements(RIGHT, [full_plan()])
        done = p.exits(3, "advance", "orders-ref", "--release", "1.1.0", "--prove", env={"PHASEGATE_PG_BIN": "/nonexistent"})
        self.assertIn("--shadow", done.stderr)
        self.assertEqual(p.db.value("SELECT to_regclass('phasegate.plan_state') IS NULL"), "t")


if __name__ == "__main__":
    unittest.main()

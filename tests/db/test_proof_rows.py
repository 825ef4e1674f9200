"""The proof of a transition starts from rows as the database has them: those from before the plan are only filled when
the phase that fills them is done."""

import unittest

import project
import test_proof
from project import full_plan


class Rows(project.Case):
    with_statements = test_proof.Proof.with_statements

    def test_a_backfill_that_is_missing(self):
        plan = full_plan()
        del plan["phases"]["dual_read"]["backfill"]
        p = self.with_statements(test_proof.RIGHT, [plan])
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        done = p.exits(1, "advance", "orders-ref", "--release", "1.2.0")
        self.assertIn("error[stale-new-value]: for a row from before", done.stderr)
        self.assertEqual(p.stage("orders-ref"), "expand done")

    def test_a_parent_without_rows(self):
        """Whoever runs the same later is no way out, nor is an example row."""
        put = "-- name: Note\nINSERT INTO notes (id, author, body) VALUES ($1, $2, $3);\n"
        notes = project.plan("notes", phases={"expand": {"release": "1.1.0", "steps": [project.step(
            "short", "ALTER TABLE notes ADD CONSTRAINT short CHECK (body IS NULL OR length(body) < 999) NOT VALID")]}})
        p = self.with_statements({r: put for r in ("1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0")}, [notes])
        p.db.psql("CREATE TABLE users (id int PRIMARY KEY, word text NOT NULL CONSTRAINT secret CHECK (md5(word) = md5('ab' || 'racadabra')));"
                  "CREATE TABLE notes (id int PRIMARY KEY, author int NOT NULL REFERENCES users, body text)")
        done = p.exits(1, "advance", "notes", "--release", "1.1.0")
        self.assertIn("error[unproven-write]", done.stderr)
        self.assertIn('no example row can help: table "users" has no rows: "secret" refused', done.stderr)
        self.assertIn("with an INSERT INTO public.users in the project's baseline", done.stderr)
        self.assertNotIn("safe from", done.stderr)
        self.assertNotIn("shows the same", done.stderr)


if __name__ == "__main__":
    unittest.main()

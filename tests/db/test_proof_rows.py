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


if __name__ == "__main__":
    unittest.main()

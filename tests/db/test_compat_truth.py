"""What tests/data/compat expects is what the server shows: asked again, of the server and not of phasegate."""

import concurrent.futures
import unittest

import compat
import pgtest


class Truth(unittest.TestCase):
    def test_every_expectation_is_an_observation(self):
        pg = compat.cluster()
        cases = compat.load_all()
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            truths = list(pool.map(lambda c: compat.experiment(pg, c), cases))
        wrong = ["%s: %s (%s)" % (c.name, why, t) for c, t in zip(cases, truths) for why in [compat.disagreement(c, t)] if why]
        self.assertEqual(wrong, [], "\n".join(wrong))
        self.assertLess(sum("judged" in c for c in cases), 10)
        self.assertEqual(len({c.name for c in cases}), len(cases), "two cases have one name")

    def test_the_experiment_sees_each_kind_of_trouble(self):
        pg = pgtest.cluster()
        t = {"baseline": "CREATE TABLE t (id int PRIMARY KEY, a text)", "data": "INSERT INTO t VALUES (1, 'x')", "expect": "nothing"}
        rows = [
            ("ALTER TABLE t ADD COLUMN b int", "SELECT a FROM t", set()),
            ("ALTER TABLE t ADD COLUMN b int", "SELECT * FROM t", {"held", "wire"}),
            ("ALTER TABLE t DROP COLUMN a", "SELECT a FROM t", {"fails"}),
            ("UPDATE t SET a = 'y'", "SELECT a FROM t", {"silent"}),
        ]
        for change, old, kinds in rows:
            truth = compat.experiment(pg, compat.Case(t, name=old, change=change, old=old))
            self.assertIsNone(truth.invalid)
            self.assertEqual(truth.kinds, kinds, truth)


if __name__ == "__main__":
    unittest.main()

"""The cases of tests/data/compat: `check` against what the server shows. No miss, no false alarm.

Prints one line: how many cases, misses (trouble that wasn't told of) and false alarms. A case with `todo` is one that
isn't right yet: it counts, and must not come right by chance.
"""

import concurrent.futures
import os
import sys
import unittest

import compat
import pgtest


class Compat(unittest.TestCase):
    def test_cases(self):
        pg = compat.cluster(has_roles=False)
        cases = compat.load_all()
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            checked = list(pool.map(lambda c: compat.check(c, pg.url()), cases))
        wrong, misses, alarms = [], 0, 0
        for case, done in zip(cases, checked):
            missed, alarmed = compat.verdict(case, done)
            misses += compat.is_miss(case, done)
            alarms += bool(alarmed)
            if bool(missed or alarmed) != ("todo" in case):
                wrong.append("%s: missed %s, alarms %s, exit %d\n%s" % (case.name, sorted(missed), sorted(alarmed), done.rc, done.text))
            elif alarmed and "todo" in case:
                wrong.append("%s: an alarm is no todo: %s" % (case.name, sorted(alarmed)))
        print("compat: %d cases, %d missed, %d false alarms" % (len(cases), misses, alarms), file=sys.stderr)
        self.assertGreaterEqual(len(cases), 950)
        self.assertEqual(wrong, [], "\n\n".join(wrong))

    def test_what_no_experiment_shows(self):
        pg = compat.cluster(has_roles=False)
        for case in compat.load(os.path.join(pgtest.SRC, "tests/data/compat-judged.txt")):
            with self.subTest(case.name):
                done = compat.check(case, pg.url())
                self.assertEqual(compat.verdict(case, done), (set(), set()), done.text)


if __name__ == "__main__":
    unittest.main()

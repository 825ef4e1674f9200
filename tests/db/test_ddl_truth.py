"""The statements of tests/data/ddl against what a server did to them: the proof on the shadow, each a plan's only step.

Those that the text alone can't tell, those of several statements, and every twelfth of the rest; with PHASEGATE_ALL=1 all.
"""

import concurrent.futures
import json
import os
import re
import sys
import unittest

import check_project
import pgtest
from project import plan, step

FOLDER = os.path.join(pgtest.SRC, "tests/data/ddl")
ALONE = re.compile(r"\bCONCURRENTLY\b|^VACUUM\b|^REINDEX (SCHEMA|DATABASE|SYSTEM)\b", re.I)
ONE = "-- name: One\nSELECT 1;\n"


def cases():
    with open(os.path.join(FOLDER, "verdicts.jsonl"), encoding="utf-8") as f:
        rows = [c for c in map(json.loads, f) if "sql" in c and not c["error"]]
    if os.environ.get("PHASEGATE_ALL"):
        return rows
    return [c for i, c in enumerate(rows) if i % 12 == 0 or "open" in c or ";" in c["sql"]]


def base():
    with open(os.path.join(FOLDER, "base.sql"), encoding="utf-8") as f:
        return f.read()


def check(case, baseline):
    only = step("change", case["sql"])
    if ALONE.search(case["sql"]):
        only["transaction"] = "none"
    p = check_project.Project(baseline=baseline + (case["setup"] + ";\n" if "setup" in case else ""),
                              releases={v: ONE for v in ("1.0.0", "1.1.0", "1.2.0")},
                              plans=[plan("change", phases={"contract": {"release": "1.1.0", "steps": [only]}})])
    try:
        return p.check()
    finally:
        p.close()


def is_about_work(f):
    return f["class"] in ("lock", "rewrite") or f["rule"] == "not-valid-and-validate-same-transaction"


class Ddl(unittest.TestCase):
    def test_cases(self):
        baseline, rows = base(), cases()
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            checked = list(pool.map(lambda c: check(c, baseline), rows))
        wrong, misses, alarms = [], 0, 0
        for case, done in zip(rows, checked):
            self.assertIn(done.rc, (0, 1), "%s\n%s" % (case["sql"], done))
            told = [f for f in done.findings if is_about_work(f) and f["severity"] == "error"]
            unsure = [f for f in done.findings if is_about_work(f) and f["severity"] == "note"]
            failed = [f for f in done.findings if f["rule"] == "step-fails-on-shadow"]
            misses += case["dangerous"] and not told and not unsure
            alarms += bool(told) and not case["dangerous"]
            # A soft drop has its own conditions.
            if failed and "DROP" not in case["sql"] or bool(told) != case["dangerous"] and not (unsure and case["dangerous"] and "open" in case):
                wrong.append("%s; %s: %s\n%s" % (case.get("setup", ""), case["sql"], case["work"], done))
        print("ddl: %d statements, %d missed, %d false alarms" % (len(rows), misses, alarms), file=sys.stderr)
        self.assertGreaterEqual(len(rows), 100)
        self.assertEqual(wrong, [], "\n\n".join(wrong))


if __name__ == "__main__":
    unittest.main()

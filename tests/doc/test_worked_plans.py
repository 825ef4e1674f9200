"""plans/: every worked plan is clean, and each of its wrong variants is found for the reason that its page gives.

A variant is laid over the plan: files of the same name take the place of its own. wrong/expected.json says what
`check` finds in each: exactly these rules, steps, statements and safe_from; `also` names the rules that stand beside them, `without_server` what `check --static` says in their place."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

SRC = os.environ.get("PHASEGATE_SRC", os.path.join(os.path.dirname(__file__), "../.."))
BIN = os.environ.get("PHASEGATE_BIN", "phasegate")
PLANS = os.path.join(SRC, "plans")
NAMES = ("drop-table", "enum-value", "int-to-bigint-key", "json-to-columns", "move-column", "not-null", "rename-column",
         "split-table")


def read(*path):
    with open(os.path.join(PLANS, *path), encoding="utf-8") as f:
        return f.read()


def expected(name):
    return json.loads(read(name, "wrong", "expected.json"))


def summed_up(findings):
    """One entry for each rule, step and safe_from: whether two messages are one finding is no matter here."""
    found = {}
    for f in findings:
        key = tuple(f.get(k) for k in ("rule", "plan", "phase", "step", "safe_from"))
        found.setdefault(key, set()).update("%s %s" % (p["release"], p["statement"]) for p in f["places"])
    return found


class WorkedPlans(unittest.TestCase):
    def check(self, name, variant=None, *more):
        folder = tempfile.mkdtemp(prefix="phasegate-worked-")
        self.addCleanup(shutil.rmtree, folder)
        project = os.path.join(folder, name)
        shutil.copytree(os.path.join(PLANS, name), project, ignore=shutil.ignore_patterns("wrong"))
        if variant:
            shutil.copytree(os.path.join(PLANS, name, "wrong", variant), project, dirs_exist_ok=True)
        done = subprocess.run([BIN, "check", "--format", "json", *more], cwd=project, capture_output=True, text=True, check=False)
        self.assertIn(done.returncode, (0, 1), done.stdout + done.stderr)
        return done.returncode, json.loads(done.stdout)

    def consumer(self, listed, baseline=""):
        """rename-column with the report of docs/worked-plans.md; listed: what the project file says in the end."""
        folder = tempfile.mkdtemp(prefix="phasegate-worked-")
        self.addCleanup(shutil.rmtree, folder)
        project = os.path.join(folder, "p")
        shutil.copytree(os.path.join(PLANS, "rename-column"), project, ignore=shutil.ignore_patterns("wrong"))
        os.mkdir(os.path.join(project, "report"))
        for name, column in (("mail", "mail"), ("email", "email AS mail")):
            with open(os.path.join(project, "report", name + ".sql"), "w", encoding="utf-8") as f:
                f.write("-- name: Addresses\nSELECT id, %s FROM customers ORDER BY id;\n" % column)
        with open(os.path.join(project, "schema", "baseline.sql"), "a", encoding="utf-8") as f:
            f.write(baseline)
        with open(os.path.join(project, "phasegate.yaml"), encoding="utf-8") as f:
            text = f.read()
        with open(os.path.join(project, "phasegate.yaml"), "w", encoding="utf-8") as f:
            f.write(listed(text))
        done = subprocess.run([BIN, "check", "--format", "json"], cwd=project, capture_output=True, text=True, check=False)
        self.assertIn(done.returncode, (0, 1), done.stdout + done.stderr)
        return [(f["rule"], f["step"], f["places"][0]["release"]) for f in json.loads(done.stdout)["findings"] if f["severity"] == "error"]

    def test_how_a_consumer_moves(self):
        """What docs/worked-plans.md says of it."""
        def live(name):
            return lambda text: text + "consumers:\n  - {name: report, statements: report/%s.sql}\n" % name

        def by_release(page):
            rows = re.findall(r"(?m)^  - (\{version: .*report/.*\})$", page)
            self.assertEqual(len(rows), 6)
            return lambda text: re.sub(r"(?ms)^releases:\n.*?^policy:", "releases:\n%s\npolicy:" % "\n".join("  - " + r for r in rows), text)

        with open(os.path.join(SRC, "docs", "worked-plans.md"), encoding="utf-8") as f:
            page = f.read()
        self.assertEqual(self.consumer(live("mail")), [("old-query-fails", "drop-mail", "report")])
        self.assertEqual(self.consumer(live("email")), [("expand-after-code", "column", "report")])
        self.assertEqual(self.consumer(by_release(page)), [])
        late = re.sub(r"(1\.[34]\.0\.sql, report)/email", r"\1/mail", page)
        self.assertEqual(self.consumer(by_release(late)), [("old-query-fails", "drop-mail", "1.4.0")])
        self.assertEqual(self.consumer(live("email"), "ALTER TABLE customers ADD COLUMN email text;\nCREATE UNIQUE INDEX customers_email ON customers (email);\n"), [])

    def test_every_folder_is_known(self):
        self.assertEqual(sorted(set(os.listdir(PLANS)) - {"demo"}), sorted(NAMES))
        for name in NAMES:
            folders = [e for e in os.listdir(os.path.join(PLANS, name, "wrong")) if e != "expected.json"]
            self.assertEqual(sorted(folders), sorted(expected(name)), name)

    def test_each_plan_is_clean(self):
        for name in NAMES:
            with self.subTest(plan=name):
                code, report = self.check(name)
                self.assertEqual((code, report["findings"]), (0, []))
                s = report["summary"]
                self.assertEqual(s["probed"], s["cells"])
                self.assertGreater(s["cells"], 0)

    def test_each_wrong_variant_is_found_for_its_reason(self):
        for name in NAMES:
            for variant, want in expected(name).items():
                with self.subTest(plan=name, variant=variant):
                    code, report = self.check(name, variant)
                    found = summed_up(f for f in report["findings"] if f["rule"] not in want.get("also", ()))
                    self.assertEqual(code, 1)
                    beside = {f["rule"] for f in report["findings"]} - {f["rule"] for f in want["findings"]}
                    self.assertEqual(beside, set(want.get("also", ())))
                    for rule in want.get("without_server", ()):
                        self.assertIn(rule, {f["rule"] for f in self.check(name, variant, "--static")[1]["findings"]})
                    self.assertEqual(found, {tuple(f[k] for k in ("rule", "plan", "phase", "step", "safe_from")): set(f["statements"])
                                             for f in want["findings"]})

    def test_the_same_files_give_the_same_words(self):
        def words():
            return self.check("move-column", "stops-too-early")[1]["findings"]

        self.assertEqual(words(), words())

    def test_the_pages_say_what_is_expected(self):
        for name in NAMES:
            page = read(name, "README.md")
            rows = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
            self.assertEqual(sorted(rows), sorted(expected(name)), name)
            for variant, want in expected(name).items():
                named = set(re.findall(r"`([a-z-]+)`", rows[variant].split("|")[3]))
                self.assertEqual(named, {f["rule"] for f in want["findings"]} | set(want.get("also", ())) | set(want.get("without_server", ())),
                                 variant)
                for f in want["findings"]:
                    self.assertTrue(rows[variant].endswith("| %s |" % (f["safe_from"] or "no release")), rows[variant])

    def test_the_overview_names_each(self):
        with open(os.path.join(SRC, "docs", "worked-plans.md"), encoding="utf-8") as f:
            overview = f.read()
        for name in NAMES:
            self.assertIn("(../plans/%s/README.md)" % name, overview)


if __name__ == "__main__":
    unittest.main()

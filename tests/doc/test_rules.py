"""docs/rules/<id>.md: a page for every rule, whose examples are run.

Examples are fenced blocks; the words behind the language say what they are:

    sql bad | sql good                  a migration file
    sql bad before | sql good before    one that was applied before it
    yaml bad plan | yaml good plan      a plan, of a small project
    yaml bad project | good project     more of its phasegate.yaml
    sql baseline                        its baseline
    sql release 1.0.0 [1.1.0 ...]       what those releases run; `sql bad release`, `sql good release`: of one side

The rule must be found in the bad one and not in the good one.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import pgtest

PAGES = os.path.join(pgtest.SRC, "docs", "rules")

# Their examples are files of the same form, but it takes a server to find them: the replay's tests run them.
NOT_RUN_HERE = {
    "applied-step-edited", "foreign-table-of-fk-locked", "ambiguous-column-after-add", "backfill-not-idempotent-or-races-old-writers", "cell-untested", "dependents-cascaded",
    "enum-value-renamed", "enum-value-unknown-to-old-reader", "expand-after-code", "extension-missing",
    "failing-at-baseline", "function-overload-ambiguous", "function-signature-changed", "generated-takes-over-column",
    "grants-missing-for-app-role", "held-plan-result-changed", "insert-omits-required-column", "insert-relied-on-default",
    "name-shadowed", "natural-join-drift", "new-query-needs-later-state", "not-yet-provable", "old-path-trigger-effect",
    "old-query-fails", "on-conflict-target-lost", "parameter-type-changed", "restriction-breaks-old-writes",
    "result-shape-changed", "routine-body-broken", "row-visibility-changed", "session-meaning-changed", "stale-new-value",
    "star-arity-broken", "step-fails-on-shadow", "sync-trigger-asymmetric", "type-narrowed-for-old-writes", "unproven-write",
    "view-shim-rejects-old-writes", "whole-row-shape-drift",
}


def run(*args, cwd=None):
    done = subprocess.run([pgtest.BIN, *args], capture_output=True, text=True, cwd=cwd)
    return done


def rules():
    return json.loads(run("show", "rules", "--format", "json").stdout)["result"]["rules"]


def blocks(rule):
    """[(words, text)]"""
    with open(os.path.join(PAGES, rule + ".md"), encoding="utf-8") as f:
        return [(info.split(), text) for info, text in re.findall(r"^```([^\n]+)\n(.*?)^```$", f.read(), re.M | re.S)]


def write(folder, name, text):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def files_of(found, side, folder):
    """The migration files of one side; the arguments of check."""
    for words, text in found:
        if words == ["sql", side, "before"]:
            write(folder, "migrations/V1__before.sql", text)
        elif words == ["sql", side]:
            write(folder, "migrations/V2__change.sql", text)
    return ["--static", "migrations"]


def project_of(found, side, folder):
    """The project of one side."""
    project = "phasegate: 1\nplans: plans/\n"
    releases = {}
    for words, text in found:
        about = [w for w in words[1:] if w != side]
        if side != "bad" and "bad" in words or side != "good" and "good" in words:
            continue
        if about == ["plan"]:
            write(folder, "plans/20260101000000-example.yaml", text)
        elif about == ["project"]:
            project += text
        elif about == ["baseline"]:
            write(folder, "baseline.sql", text)
            project += "baseline: baseline.sql\n"
        elif about[:1] == ["release"]:
            releases.update((version, text) for version in about[1:])
    project += "releases:\n"
    for version in sorted(releases, key=lambda v: [int(n) for n in v.split(".")]):
        write(folder, "statements/%s.sql" % version, releases[version])
        project += '  - {version: "%s", statements: statements/%s.sql}\n' % (version, version)
    project += "environments:\n  production: {databases: {default: {url: \"${DATABASE_URL}\"}}}\n"
    write(folder, "phasegate.yaml", project)
    return ["--static"]


class Rules(unittest.TestCase):
    maxDiff = None

    def test_every_rule_has_a_page_and_every_page_a_rule(self):
        self.assertEqual(sorted(f for f in os.listdir(PAGES) if f.endswith(".md")), [r["rule"] + ".md" for r in rules()])

    def test_pages_have_the_same_parts(self):
        for rule in rules():
            with self.subTest(rule=rule["rule"]):
                with open(os.path.join(PAGES, rule["rule"] + ".md"), encoding="utf-8") as f:
                    page = f.read()
                self.assertTrue(page.startswith("# %s\n\n%s.\n\n" % (rule["rule"], rule["title"][0].upper() + rule["title"][1:])))
                found = "found %s." % " and ".join({"static": "without a server", "shadow": "on the shadow"}[b] for b in rule["by"])
                self.assertIn("Class %s, severity %s, %s\n" % (rule["class"], rule["severity"], found), page)
                parts = re.findall(r"^## (.+)$", page, re.M)
                self.assertEqual([p for p in parts if p != "Project"], ["Why", "Bad", "Good", "Way out"])
                for side in ("bad", "good"):
                    self.assertTrue(any(w[:2] == ["sql", side] or w == ["yaml", side, "plan"] for w, _ in blocks(rule["rule"])))

    def findings(self, rule, side):
        folder = tempfile.mkdtemp(prefix="rule.")
        try:
            found = blocks(rule)
            is_plan = any(words == ["yaml", side, "plan"] for words, _ in found)
            args = (project_of if is_plan else files_of)(found, side, folder)
            done = run("check", *args, "--format", "json", cwd=folder)
            self.assertIn(done.returncode, (0, 1), done.stderr + done.stdout)
            return [f for f in json.loads(done.stdout)["findings"]
                    if not f.get("file", "").endswith("__before.sql") and not f.get("allowed")]
        finally:
            shutil.rmtree(folder)

    def test_examples_without_a_server(self):
        for rule in (r["rule"] for r in rules() if r["rule"] not in NOT_RUN_HERE):
            with self.subTest(rule=rule):
                self.assertIn(rule, [f["rule"] for f in self.findings(rule, "bad")])
                good = self.findings(rule, "good")
                self.assertNotIn(rule, [f["rule"] for f in good])
                self.assertEqual([f for f in good if f["severity"] == "error"], [])

    def test_all_others_are_the_shadows(self):
        self.assertEqual(NOT_RUN_HERE, {r["rule"] for r in rules() if r["by"] == ["shadow"]})

    def test_plans_of_the_others_can_be_read(self):
        """What needs a server must at least be a project that loads, each side."""
        for rule in sorted(NOT_RUN_HERE):
            for side in ("bad", "good"):
                with self.subTest(rule=rule, side=side):
                    self.findings(rule, side)


if __name__ == "__main__":
    unittest.main()

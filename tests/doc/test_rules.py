"""docs/rules/<id>.md: a page for every rule, whose examples are run.

Examples are fenced blocks; the words behind the language say what they are:

    sql bad | sql good                  a migration file
    sql bad before | sql good before    one that was applied before it
    yaml bad plan | yaml good plan      a plan, of a small project
    yaml bad project | good project     more of its phasegate.yaml
    sql baseline                        its baseline
    sql bad migration | good migration  one that a branch adds to the baseline, which is a folder then (--since)
    yaml release                        more of every release there
    sql release 1.0.0 [1.1.0 ...]       what those releases run; `sql bad release`, `sql good release`: of one side

The rule must be found in the bad one and not in the good one.
"""

import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import pgtest

APPLIED = "applied-step-edited"  # is about a database that the good plan was applied to
UNREADABLE = "input-unreadable"  # nothing is checked then
PAGES = os.path.join(pgtest.SRC, "docs", "rules")


def run(*args, cwd=None, env=None):
    done = subprocess.run([pgtest.BIN, *args], capture_output=True, text=True, cwd=cwd, env=dict(os.environ, **(env or {})))
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


def git(folder, *args):
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *args], cwd=folder, check=True, capture_output=True)


def branch_of(found, side, folder):
    """The project of one side, whose migration the branch adds; the arguments of check."""
    project_of([b for b in found if b[0] != ["sql", "baseline"]], side, folder)
    for words, text in found:
        if words == ["sql", "baseline"]:
            write(folder, "migrations/V1__before.sql", text)
    with open(os.path.join(folder, "phasegate.yaml"), "a", encoding="utf-8") as f:
        f.write("baseline: migrations/\n")
    os.makedirs(os.path.join(folder, "plans"), exist_ok=True)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "all")
    for words, text in found:
        if words == ["sql", side, "migration"]:
            write(folder, "migrations/V2__change.sql", text)
    return ["--since", "HEAD"]


def project_of(found, side, folder):
    """The project of one side."""
    project = "phasegate: 1\nplans: plans/\n"
    more = ""
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
        elif words[0] == "yaml" and about == ["release"]:
            more = "".join("    " + line + "\n" for line in text.splitlines())
        elif about[:1] == ["release"]:
            releases.update((version, text) for version in about[1:])
    project += "releases:\n"
    for version in sorted(releases, key=lambda v: [int(n) for n in v.split(".")]):
        write(folder, "statements/%s.sql" % version, releases[version])
        project += '  - version: "%s"\n    statements: statements/%s.sql\n' % (version, version) + more
    project += "environments:\n  production: {databases: {default: {url: \"${DATABASE_URL}\"}}}\n"
    write(folder, "phasegate.yaml", project)
    return []


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

    def findings(self, rule, side, *more):
        folder = tempfile.mkdtemp(prefix="rule.")
        try:
            found = blocks(rule)
            is_plan = any(words == ["yaml", side, "plan"] for words, _ in found)
            is_branch = any(words == ["sql", side, "migration"] for words, _ in found)
            if more and not is_plan and not is_branch:
                return None  # files: read without a server
            args = branch_of(found, side, folder) + list(more) if is_branch else \
                project_of(found, side, folder) + list(more or ["--static"]) if is_plan else files_of(found, side, folder)
            done = run("check", *args, "--format", "json", cwd=folder)
            self.assertIn(done.returncode, (2,) if (rule, side) == (UNREADABLE, "bad") else (0, 1), done.stderr + done.stdout)
            return [f for f in json.loads(done.stdout)["findings"]
                    if not f.get("file", "").endswith("__before.sql") and not f.get("allowed")]
        finally:
            shutil.rmtree(folder)

    def assert_page(self, rule, bad, good):
        self.assertIn(rule, [f["rule"] for f in bad])
        self.assertNotIn(rule, [f["rule"] for f in good])
        self.assertEqual([f for f in good if f["severity"] == "error"], [])

    def test_examples_without_a_server(self):
        for rule in (r["rule"] for r in rules() if "static" in r["by"]):
            with self.subTest(rule=rule):
                self.assert_page(rule, self.findings(rule, "bad"), self.findings(rule, "good"))

    def test_examples_on_the_shadow(self):
        """All on one server, a few at a time."""
        url = pgtest.cluster().url()
        names = [r["rule"] for r in rules() if "shadow" in r["by"] and r["rule"] != APPLIED]
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            asked = [(rule, [pool.submit(self.findings, rule, side, "--shadow", url) for side in ("bad", "good")])
                     for rule in names]
            for rule, sides in asked:
                with self.subTest(rule=rule):
                    bad, good = (side.result() for side in sides)
                    if bad is not None:
                        self.assert_page(rule, bad, good)

    def test_example_of_an_edit(self):
        db = pgtest.cluster().create_database()
        self.addCleanup(db.drop)
        folder = tempfile.mkdtemp(prefix="rule.")
        self.addCleanup(shutil.rmtree, folder)
        env = {"DATABASE_URL": db.url, "PHASEGATE_SHADOW": pgtest.cluster().url()}
        found, told = blocks(APPLIED), {}
        project_of(found, "good", folder)
        with open(os.path.join(folder, "baseline.sql"), encoding="utf-8") as f:
            db.psql(f.read())
        done = run("advance", "example", "--release", "1.0.0", cwd=folder, env=env)
        self.assertEqual(done.returncode, 0, done.stderr)
        for side in ("bad", "good"):
            project_of(found, side, folder)
            done = run("check", "--against", "production", "--format", "json", cwd=folder, env=env)
            told[side] = json.loads(done.stdout)["findings"]
        self.assert_page(APPLIED, told["bad"], told["good"])


if __name__ == "__main__":
    unittest.main()

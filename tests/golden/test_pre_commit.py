"""deploy/ci/pre-commit checks what is staged: in a repository of its own, with a phasegate that notes how it was called, and
with the real one."""

import os
import shutil
import stat
import subprocess
import tempfile
import unittest

import pgtest

HOOK = os.path.join(pgtest.SRC, "deploy", "ci", "pre-commit")
TOOLS = ("git", "sh", "cat", "cp", "mkdir", "mktemp", "rm")
PROJECT = 'phasegate: 1\nreleases: [{version: "1.0.0"}, {version: "1.1.0", planned: true}]\n'
GOOD = """phasegate: 1
plan: orders-ref
timestamp: 20260101120000
title: Orders get a reference
author: team-shop
phases:
  expand: {release: "1.1.0", steps: [{id: column, sql: ALTER TABLE orders ADD COLUMN ref text}]}
  dual_read: {none: nobody reads it}
  write_activation: {none: nobody writes it}
  contract: {none: nothing goes}
"""
BAD = GOOD.replace("ADD COLUMN ref text", "DROP COLUMN ref")
PLAN = "plans/20260101120000-orders-ref.yaml"


class Hook(unittest.TestCase):
    def git(self, *args, code=None):
        env = dict(self.env, GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_SYSTEM=os.devnull)
        done = subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.invalid", *args], cwd=self.repo,
                              env=env, capture_output=True, text=True, timeout=60)
        if code is not None:
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.repo, self.tools, self.tmp = (os.path.join(folder.name, name) for name in ("repo", "bin", "tmp"))
        self.calls = os.path.join(folder.name, "calls")
        for path in (self.repo, self.tools, self.tmp):
            os.makedirs(path)
        for tool in TOOLS:  # no phasegate but ours
            os.symlink(shutil.which(tool), os.path.join(self.tools, tool))
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "PHASEGATE_"))}
        self.env.update(PATH=self.tools, TMPDIR=self.tmp)
        self.git("init", "-q", code=0)
        shutil.copy(HOOK, os.path.join(self.repo, ".git", "hooks", "pre-commit"))
        self.addCleanup(lambda: self.assertEqual(os.listdir(self.tmp), [], "the hook cleans up"))

    def install(self, fake=None):
        path = os.path.join(self.tools, "phasegate")
        if fake is None:
            os.symlink(pgtest.BIN, path)
            return
        with open(path, "w", encoding="utf-8") as f:
            f.write('#!/bin/sh\nd=${2##*/tree}; shift 2\necho "$d: $*" >> "%s"\nexit %d\n' % (self.calls, fake))
        os.chmod(path, 0o755)

    def write(self, name, text="x"):
        path = os.path.join(self.repo, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    def commit(self, *names):
        self.git("add", *names, code=0)
        return self.git("commit", "-q", "-m", "m")

    def project(self, under=""):
        """The first commit: a clean project, before the hook has anything to say."""
        self.install()
        for name, text in (("phasegate.yaml", PROJECT), (PLAN, GOOD)):
            self.write(under + name, text)
        done = self.commit(".")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    # ---- how phasegate is called ----------------------------------------------------------------

    def test_is_a_script(self):
        self.assertTrue(os.stat(HOOK).st_mode & stat.S_IXUSR)
        for shell in ("sh", "bash"):
            done = subprocess.run([shell, "-n", HOOK], capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_calls(self):
        self.install(0)
        for name in ("a.sql", "b.yaml", "notes.txt"):
            self.write(name)
            self.assertEqual(self.commit(name).returncode, 0)
        self.write("db/c.sql")
        self.env["PHASEGATE_DIR"] = "db"
        self.assertEqual(self.commit("db").returncode, 0)
        del self.env["PHASEGATE_DIR"]
        self.git("config", "phasegate.dir", "db", code=0)
        self.git("rm", "-q", "a.sql", code=0)
        self.assertEqual(self.git("commit", "-q", "-m", "m").returncode, 0)
        with open(self.calls, encoding="utf-8") as f:
            said = f.read().splitlines()
        since = "check --static --since=HEAD"
        self.assertEqual(said, ["/.: check --static", "/.: " + since, "/db: " + since, "/db: " + since])

    def test_says_no(self):
        self.install(1)
        self.write("a.sql")
        self.assertEqual(self.commit("a.sql").returncode, 1)
        self.assertNotEqual(self.git("rev-parse", "-q", "--verify", "HEAD").returncode, 0)

    def test_without_phasegate(self):
        self.write("a.sql")
        done = self.commit("a.sql")
        self.assertEqual(done.returncode, 1)
        self.assertIn("phasegate isn't installed", done.stderr)

    def test_a_folder_that_is_not_there(self):
        self.install(0)
        self.env["PHASEGATE_DIR"] = "nosuch"
        self.write("a.sql")
        done = self.commit("a.sql")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no project in nosuch", done.stderr)

    # ---- what is checked ------------------------------------------------------------------------

    def test_bad_staged_good_in_the_work_tree(self):
        self.project()
        self.write(PLAN, BAD)
        self.git("add", ".", code=0)
        self.write(PLAN, GOOD)
        done = self.git("commit", "-q", "-m", "m", code=1)
        self.assertIn(PLAN + ":7", done.stdout + done.stderr)
        self.assertIn("destructive-outside-contract", done.stdout + done.stderr)
        self.assertEqual(self.git("diff", "--cached", "--name-only").stdout, PLAN + "\n")  # still staged, untouched
        self.assertEqual(self.git("diff", "--name-only").stdout, PLAN + "\n")

    def test_good_staged_bad_in_the_work_tree(self):
        self.project()
        self.write(PLAN, GOOD.replace("ref text", "ref varchar"))
        self.git("add", ".", code=0)
        self.write(PLAN, BAD)
        self.git("commit", "-q", "-m", "m", code=0)
        self.assertEqual(self.git("diff", "--name-only").stdout, PLAN + "\n")

    def test_what_is_not_staged_at_all_does_not_count(self):
        self.project()
        self.write("plans/20260102120000-other.yaml", BAD.replace("20260101120000", "20260102120000").replace("orders-ref", "other"))
        self.write("phasegate.yaml", PROJECT + "# a comment\n")
        self.git("add", "phasegate.yaml", code=0)
        self.git("commit", "-q", "-m", "m", code=0)

    def test_a_part_of_what_is_staged(self):
        """git commit FILE: an index of its own"""
        self.project()
        self.write(PLAN, BAD)
        self.write("notes.sql", "SELECT 1;\n")
        self.git("add", ".", code=0)
        self.git("commit", "-q", "-m", "m", "notes.sql", code=0)
        self.git("commit", "-q", "-m", "m", PLAN, code=1)

    def test_old_findings_do_not_stop_a_commit(self):
        self.project()
        self.write(PLAN, BAD)
        self.git("add", ".", code=0)
        self.git("commit", "-q", "--no-verify", "-m", "m", code=0)
        other = GOOD.replace("20260101120000", "20260102120000").replace("orders-ref", "other").replace("ref text", "other text")
        self.write("plans/20260102120000-other.yaml", other)
        self.assertEqual(self.commit(".").returncode, 0)

    def test_in_a_folder_of_the_repository(self):
        self.env["PHASEGATE_DIR"] = "services/shop db"
        self.project("services/shop db/")
        self.write("services/shop db/" + PLAN, BAD)
        self.git("add", ".", code=0)
        self.write("services/shop db/" + PLAN, GOOD)
        self.assertIn("destructive-outside-contract", self.git("commit", "-q", "-m", "m", code=1).stderr)
        self.git("add", ".", code=0)
        self.write("services/shop db/notes.sql", "SELECT 1;\n")
        self.assertEqual(self.commit(".").returncode, 0)

    def test_in_another_work_tree(self):
        self.project()
        first = self.repo
        self.git("worktree", "add", "-q", os.path.join(first, "..", "second"), code=0)
        self.repo = os.path.join(first, "..", "second")
        self.write(PLAN, BAD)
        self.git("add", ".", code=0)
        self.write(PLAN, GOOD)
        self.git("commit", "-q", "-m", "m", code=1)


if __name__ == "__main__":
    unittest.main()

"""check --static over files and folders: what is read, in which order, and how it ends."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest

import pgtest


class CheckStatic(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="static.")
        self.addCleanup(shutil.rmtree, self.dir)

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())

    def run_check(self, *args, code):
        done = subprocess.run([pgtest.BIN, "check", "--static", *args], cwd=self.dir, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def findings(self, *args, code):
        found = json.loads(self.run_check(*args, "--format", "json", code=code).stdout)["findings"]
        return [(f["file"], f["line"], f["rule"], f["severity"]) for f in found]

    def test_exit_codes(self):
        self.write("good.sql", "ALTER TABLE t ADD COLUMN a int;")
        self.write("note.sql", "ALTER TABLE t ALTER a SET NOT NULL;")
        self.write("bad.sql", "CREATE INDEX ON t (a);")
        self.run_check("good.sql", code=0)
        self.run_check("note.sql", code=0)
        self.run_check("good.sql", "bad.sql", code=1)
        self.assertIn("no.sql: No such file", self.run_check("no.sql", code=2).stderr)

    def test_what_is_said_of_a_server(self):
        self.write("good.sql", "ALTER TABLE t ADD COLUMN a int;")
        self.write("phasegate.yaml", "phasegate: 1\nplans: plans/\n")
        os.mkdir(self.dir + "/plans")
        for paths in ((), ("good.sql",)):
            for said in (("--shadow", "postgresql:///x"), ("--baseline-from", "postgresql:///x"), ("--allow-commands",)):
                error = self.run_check(*paths, *said, code=2).stderr
                self.assertIn("--static asks no server: %s is of no use" % said[0], error)

    def test_a_folder_is_a_history_and_files_are_a_set(self):
        self.write("m/V2__b.sql", "CREATE INDEX ON t (a);")
        self.write("m/V10__c.sql", "ALTER TABLE t ALTER a SET NOT NULL;")
        self.write("m/V1__a.sql", "CREATE TABLE t (a int);")
        self.write("m/.hidden.sql", "CREATE INDEX ON t (a);")
        self.write("m/notes.txt", "CREATE INDEX ON t (a);")
        self.assertEqual(self.findings("m", code=1), [("m/V10__c.sql", 1, "not-null-scan", "error"),
                                                      ("m/V2__b.sql", 1, "index-not-concurrent", "error")])
        self.assertEqual(self.findings("m/V1__a.sql", "m/V2__b.sql", code=0), [])

    def fifo(self, name):
        os.makedirs(os.path.dirname(os.path.join(self.dir, name)), exist_ok=True)
        os.mkfifo(os.path.join(self.dir, name))

    PROJECT = "phasegate: 1\nplans: plans/\n%sreleases: [{version: '1', statements: s}]\nenvironments: {a: {databases: {d: {url: x}}}}\n"

    def project(self, baseline=""):
        self.write("phasegate.yaml", self.PROJECT % baseline)
        self.write("plans/.gitkeep", "")
        self.write("s/good.sql", "-- name: One\nSELECT 1;\n")

    def test_what_is_deeper_than_any_stack(self):
        for sql in ("SELECT 1" + "+1" * 100000, "SELECT 1" + "+1" * 200000, "SELECT " + "- " * 200000 + "1", "SELECT " + "NOT " * 100000 + "true",
                    "SELECT 1 UNION " * 20000 + "SELECT 1", "SELECT " + "(" * 100000 + "1" + ")" * 100000):
            self.write("deep.sql", sql + ";")
            done = subprocess.run([pgtest.BIN, "check", "--static", "deep.sql"], cwd=self.dir, capture_output=True, text=True)
            self.assertIn(done.returncode, (0, 1), done.stderr[-300:])

    def test_names_of_files_give_no_orders(self):
        """A line that begins so is an order to the service that runs us, and names come from the branch."""
        self.write("plans/x\n::error::owned\n##[error]y.yaml", "plan: [")
        self.write("phasegate.yaml", "phasegate: 1\n")
        self.write("x\n  ::error::z.sql", "CREATE INDEX ON t (a);")
        for args in (("x\n  ::error::z.sql",), ("no\n::error::w.sql",), (), ("--format", "github", "x\n  ::error::z.sql")):
            done = subprocess.run([pgtest.BIN, "check", "--static", *args], cwd=self.dir, capture_output=True, text=True)
            self.assertNotEqual(done.returncode, 0)
            for line in done.stderr.splitlines() + ([] if "github" in args else done.stdout.splitlines()):
                self.assertFalse(line.strip().startswith(("::", "##[")), line)

    def test_names_turn_no_letters_round(self):
        self.write("phasegate.yaml", "phasegate: 1\n")
        self.write("plans/.gitkeep", "")
        for args in (("check", "--static", "a\u202eb\u009bc.sql"), ("check", "a\u202eb\u009bc"), ("a\u202eb\u009bc",)):
            done = subprocess.run([pgtest.BIN, *args], cwd=self.dir, capture_output=True, text=True)
            self.assertIn("a?b?c", done.stderr)
            self.assertNotIn("\u202e", done.stdout + done.stderr)

    def test_what_is_no_file_is_not_waited_for(self):
        self.write("m/V1.sql", "CREATE TABLE t (a int);")
        self.fifo("m/V2.sql")
        os.symlink("/dev/zero", os.path.join(self.dir, "m", "V3.sql"))
        self.assertIn("skipped: m/V2.sql m/V3.sql", self.run_check("m", code=0).stderr)
        for name in ("m/V2.sql", "m/V3.sql"):
            self.assertIn(name + ": not a regular file", self.run_check(name, code=2).stderr)

    def test_statements_and_baseline_that_are_no_files(self):
        self.project()
        self.fifo("s/pipe.sql")
        self.assertIn("s/pipe.sql: not a regular file", self.run_check(code=2).stderr)
        os.unlink(os.path.join(self.dir, "s", "pipe.sql"))
        self.project("baseline: pipe\n")
        self.fifo("pipe")
        self.assertIn("pipe: not a regular file", self.run_check(code=2).stderr)

    def test_statement_that_is_no_sql(self):
        self.project()
        self.write("s/bad.sql", "-- name: Two\nSELEC a FROM t;\n")
        self.assertEqual(self.findings(code=0), [("s/bad.sql", 2, "statement-unparsed", "warning")])

    def test_baseline_without_sql(self):
        self.project("baseline: old\n")
        os.mkdir(os.path.join(self.dir, "old"))
        self.assertIn("phasegate.yaml:3: the baseline old has no .sql file", self.run_check(code=2).stderr)
        self.write("old/1.sql", "this is a letter, and no dump\n")
        self.assertIn("old/1.sql:1: the baseline has no SQL", self.run_check(code=2).stderr)
        self.write("old/1.sql", "-- nothing yet\n")
        self.run_check(code=0)

    def test_outputs(self):
        self.write("good.sql", "SELECT 1;")
        for other in ("o", "./o", os.path.join(self.dir, "o")):
            self.assertIn("the same file", self.run_check("good.sql", "-o", "json=o", "-o", "sarif=" + other, code=2).stderr)
        self.assertFalse(os.path.exists(os.path.join(self.dir, "o")))
        self.run_check("good.sql", "-o", "json=o", "-o", "sarif=p", code=0)
        self.fifo("pipe")
        self.assertIn("nobody reads", self.run_check("good.sql", "-o", "json=pipe", code=2).stderr)
        reader = os.open(os.path.join(self.dir, "pipe"), os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        self.run_check("good.sql", "-o", "json=pipe", code=0)
        self.assertEqual(json.loads(os.read(reader, 1 << 16))["findings"], [])

    def test_many_files_in_threads_come_out_alike(self):
        for i in range(600):
            self.write("m/%d/V%d.sql" % (i % 7, i), "CREATE TABLE t%d (a int);\nCREATE INDEX ON t%d (a);\n" % (i, (i * 7) % 600))
        first = self.run_check("m", code=1).stdout
        self.assertEqual(first.count("index-not-concurrent"), 594)  # of the others the table is their own
        for _ in range(3):
            self.assertEqual(self.run_check("m", code=1).stdout, first)

    def test_what_can_not_be_parsed(self):
        self.write("m/a.sql", b"SELECT '\xff';")
        self.write("m/b.sql", "SELEC 1;\nCREATE INDEX ON t (a);")
        self.write("m/c.sql", "SELECT " + "1+(" * 3000 + "1" + ")" * 3000)
        found = self.findings("m", code=1)
        self.assertEqual([f[2] for f in found], ["statement-unparsed", "statement-unparsed", "index-not-concurrent",
                                                 "statement-unparsed"])

    def test_the_project_file_counts_where_there_is_one(self):
        self.write("m/a.sql", "-- phasegate: allow index-not-concurrent until 2.0.0 because it is small\nCREATE INDEX ON t (a);")
        self.run_check("m", code=0)
        project = ("phasegate: 1\nplans: plans/\nreleases: [{version: \"%s\"}]\n%s"
                   "environments:\n  production: {databases: {default: {url: x}}}\n")
        self.write("phasegate.yaml", project % ("2.0.0", ""))
        self.assertEqual([f[2] for f in self.findings("m", code=1)], ["suppression-expired", "index-not-concurrent"])
        self.write("phasegate.yaml", project % ("1.0.0", ""))
        self.run_check("m", code=0)
        self.write("m/a.sql", "CREATE INDEX ON t (a);")
        self.write("phasegate.yaml", project % ("1.0.0", "policy: {rules: {index-not-concurrent: warning}}\n"))
        self.assertEqual(self.findings("m", code=0), [("m/a.sql", 1, "index-not-concurrent", "warning")])

    def test_services_count_from_the_root_of_the_repository(self):
        repo = self.dir
        subprocess.run(["git", "init", "-q", repo], check=True, env=dict(os.environ, GIT_CONFIG_GLOBAL=os.devnull))
        self.dir = os.path.join(repo, "services/my shop")
        self.write("m/a.sql", "CREATE INDEX ON t (a);")
        self.write("phasegate.yaml", "phasegate: 1\nenvironments: {local: {databases: {default: {url: x}}}}\n")
        shown = {f: self.run_check("m", "--format", f, "-o", "sarif=out.sarif", code=1).stdout
                 for f in ("text", "json", "github", "gitlab", "sarif")}
        with open(os.path.join(self.dir, "out.sarif")) as f:
            self.assertEqual(f.read(), shown["sarif"])
        [result] = json.loads(shown["sarif"])["runs"][0]["results"]
        self.assertEqual(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "services/my%20shop/m/a.sql")
        self.assertIn("file=services/my shop/m/a.sql,", shown["github"])
        self.assertEqual(json.loads(shown["gitlab"])[0]["location"]["path"], "services/my shop/m/a.sql")
        self.assertTrue(shown["text"].startswith("m/a.sql:1:"), shown["text"])
        self.assertEqual(json.loads(shown["json"])["findings"][0]["file"], "m/a.sql")


if __name__ == "__main__":
    unittest.main()

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

    def test_a_folder_is_a_history_and_files_are_a_set(self):
        self.write("m/V2__b.sql", "CREATE INDEX ON t (a);")
        self.write("m/V10__c.sql", "ALTER TABLE t ALTER a SET NOT NULL;")
        self.write("m/V1__a.sql", "CREATE TABLE t (a int);")
        self.write("m/.hidden.sql", "CREATE INDEX ON t (a);")
        self.write("m/notes.txt", "CREATE INDEX ON t (a);")
        self.assertEqual(self.findings("m", code=1), [("m/V10__c.sql", 1, "not-null-scan", "error"),
                                                      ("m/V2__b.sql", 1, "index-not-concurrent", "error")])
        self.assertEqual(self.findings("m/V1__a.sql", "m/V2__b.sql", code=0), [])

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

"""docs/reference/findings.md says what is written: its examples are of the golden reports, its keys of the schema.
deploy/ci: the jobs and the hook are well-formed and name files and formats that there are.

PHASEGATE_BLESS=1 writes the table of keys anew.
"""

import json
import os
import re
import stat
import subprocess
import tempfile
import unittest

import console
import pgtest
import yaml

PAGE = os.path.join(pgtest.SRC, "docs", "reference", "findings.md")
GOLDEN = os.path.join(pgtest.SRC, "tests", "golden", "report")
CI = os.path.join(pgtest.SRC, "deploy", "ci")
FORMATS = {"text": "txt", "json": "json", "sarif": "sarif", "junit": "xml", "github": "github", "gitlab": "gitlab.json",
           "markdown": "md"}


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as f:
        return f.read()


class Page(unittest.TestCase):
    maxDiff = None

    def test_a_section_and_an_example_of_each_format(self):
        text, n = read(PAGE), 0
        starts = {m.group(1): text.count("\n", 0, m.start()) for m in re.finditer(r"^## (\w+)$", text, re.M)}
        self.assertLessEqual(set(FORMATS), set(starts))
        for block in console.blocks(PAGE):
            section = max((s for s in starts if starts[s] < block.line), key=starts.get)
            self.assertIn(block.text.rstrip("\n"), read(GOLDEN, "sample." + FORMATS[section]), "line %d" % block.line)
            n += 1
        self.assertGreaterEqual(n, len(FORMATS))

    def test_formats_are_those_of_the_program(self):
        table = re.findall(r'\{"(\w+)", "([\w.]+)", report_write_\w+\}', read(pgtest.SRC, "src/out/report_formats.c"))
        self.assertEqual(dict(table), FORMATS)
        self.assertEqual(re.findall(r"^\| `(\w+)` \| ", read(PAGE).split("## Exit codes")[0], re.M), list(FORMATS))

    def rows(self):
        schema = json.loads(read(pgtest.SRC, "docs", "check.schema.json"))
        found = []

        def walk(node, path):
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]] if "$ref" in node else node
            if path:
                kind = node.get("type", "number" if "const" in node else "text")
                words = {"string": "text", "integer": "number", "array": "list"}
                kinds = [words.get(k, k) for k in ([kind] if isinstance(kind, str) else kind)]
                found.append("| `%s` | %s | %s |" % (path, " or ".join(kinds), self.meaning(node)))
            for key, value in node.get("properties", {}).items():
                walk(value, (path + "." if path else "") + key)
            if "items" in node:
                walk_items(node["items"], path + "[]")

        def walk_items(node, path):
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]] if "$ref" in node else node
            for key, value in node["properties"].items():
                walk(value, path + "." + key)

        walk(schema, "")
        return ["| key | type | what |", "|---|---|---|"] + found

    @staticmethod
    def meaning(node):
        words = ", ".join("`%s`" % w for w in node.get("enum", ()))
        return node["description"] + (" %s." % words if words else "")

    def test_keys_are_those_of_the_schema(self):
        text, rows = read(PAGE), self.rows()
        self.assertGreater(len(rows), 45)
        before, rest = text.split("<!-- keys -->")
        held, after = rest.split("<!-- end -->", 1)
        wanted = "\n\n" + "\n".join(rows) + "\n\n"
        if os.environ.get("PHASEGATE_BLESS") == "1":
            with open(PAGE, "w", encoding="utf-8") as f:
                f.write(before + "<!-- keys -->" + wanted + "<!-- end -->" + after)
            held = wanted
        self.assertEqual(held, wanted, "PHASEGATE_BLESS=1 writes it anew")


class Jobs(unittest.TestCase):
    maxDiff = None

    def check_outputs(self, script):
        """name of each file that is written, by format"""
        formats = re.findall(r"(?:--format|-o) (\w+)", script)
        self.assertTrue(formats)
        self.assertLessEqual(set(formats), set(FORMATS))
        return dict(re.findall(r"-o (\w+)=(\S+)", script))

    def test_github(self):
        job = yaml.load(read(CI, "github-actions.yml"), yaml.BaseLoader)
        self.assertEqual(job["on"], {"pull_request": ""})
        self.assertEqual(job["permissions"], {"contents": "read", "security-events": "write"})
        (check,) = job["jobs"].values()
        steps = check["steps"]
        self.assertEqual((steps[0]["uses"], steps[0]["with"]["fetch-depth"]), ("actions/checkout@v4", "0"))
        for step in steps:
            self.assertEqual(len({"uses", "run"} & set(step)), 1)
            # Names of branches are other people's words: they reach a shell as variables only.
            self.assertNotIn("${{", step.get("run", ""))
            if "run" in step:
                self.check_shell(step["run"])
        (run,) = [s["run"] for s in steps if "phasegate check" in s.get("run", "")]
        self.assertIn("--since", run)
        written = self.check_outputs(run)
        (upload,) = [s for s in steps if "upload-sarif" in s.get("uses", "")]
        self.assertEqual(upload["with"]["sarif_file"], written["sarif"])
        self.assertIn("!cancelled()", upload["if"])  # after findings as well
        self.assertIn(written["markdown"], next(s["run"] for s in steps if s.get("name") == "Summary"))

    def test_gitlab(self):
        job = yaml.load(read(CI, "gitlab-ci.yml"), yaml.BaseLoader)["phasegate"]
        for line in job["before_script"] + job["script"]:
            self.check_shell(line)
        self.assertEqual(job["variables"]["GIT_DEPTH"], "0")
        written = self.check_outputs("\n".join(job["script"]))
        self.assertEqual(job["artifacts"]["reports"], {"junit": written["junit"], "codequality": written["gitlab"]})
        self.assertEqual(job["artifacts"]["when"], "always")

    def test_files_that_the_jobs_use_are_there(self):
        for name in ("github-actions.yml", "gitlab-ci.yml"):
            text = read(CI, name)
            self.assertIn(". deploy/packages.sh && need build run", text)
            self.assertIn("-DPHASEGATE_TESTS=OFF", text)
        self.assertIn("need()", read(pgtest.SRC, "deploy", "packages.sh"))
        self.assertIn("PHASEGATE_TESTS", read(pgtest.SRC, "CMakeLists.txt"))

    def check_shell(self, script):
        done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""), script)

    # ---- the hook -----------------------------------------------------------------------------

    def git(self, *args, **more):
        env = dict(self.env, GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_SYSTEM=os.devnull)
        return subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.invalid", *args], cwd=self.repo,
                              env=env, capture_output=True, text=True, timeout=60, **more)

    def begin(self, code, is_there=True):
        """A repository with the hook, and a phasegate that notes how it was called."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.repo, tools = os.path.join(folder.name, "repo"), os.path.join(folder.name, "bin")
        self.calls = os.path.join(folder.name, "calls")
        os.makedirs(os.path.join(self.repo, "db"))
        os.makedirs(tools)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        for tool in ("git", "sh", "cat"):  # no phasegate but this one
            os.symlink(subprocess.run(["sh", "-c", "command -v " + tool], capture_output=True, text=True).stdout.strip(),
                       os.path.join(tools, tool))
        self.env["PATH"] = tools
        if is_there:
            path = os.path.join(tools, "phasegate")
            with open(path, "w", encoding="utf-8") as f:
                f.write('#!/bin/sh\necho "${PWD##*/} $*" >> "%s"\nexit %d\n' % (self.calls, code))
            os.chmod(path, 0o755)
        self.assertEqual(self.git("init", "-q").returncode, 0)
        with open(os.path.join(self.repo, ".git", "hooks", "pre-commit"), "w", encoding="utf-8") as f:
            f.write(read(CI, "pre-commit"))
        os.chmod(f.name, 0o755)

    def commit(self, name):
        with open(os.path.join(self.repo, name), "w", encoding="utf-8") as f:
            f.write(name)
        self.git("add", name)
        return self.git("commit", "-q", "-m", name)

    def test_hook(self):
        path = os.path.join(CI, "pre-commit")
        self.assertTrue(os.stat(path).st_mode & stat.S_IXUSR)
        for shell in ("sh", "bash"):
            done = subprocess.run([shell, "-n", path], capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.begin(0)
        self.assertEqual(self.commit("a").returncode, 0)
        self.assertEqual(self.commit("b").returncode, 0)
        self.env["PHASEGATE_DIR"] = "db"
        self.assertEqual(self.commit("c").returncode, 0)
        self.assertEqual(read(self.calls).splitlines(), ["repo check --static", "repo check --static --since HEAD",
                                                         "db check --static --since HEAD"])

    def test_hook_says_no(self):
        self.begin(1)
        self.assertEqual(self.commit("a").returncode, 1)
        self.assertNotEqual(self.git("rev-parse", "-q", "--verify", "HEAD").returncode, 0)

    def test_hook_without_phasegate(self):
        self.begin(0, is_there=False)
        done = self.commit("a")
        self.assertEqual(done.returncode, 1)
        self.assertIn("phasegate isn't installed", done.stderr)


if __name__ == "__main__":
    unittest.main()

"""docs/reference/findings.md says what is written: its examples are of the golden reports, its keys of the schema.
deploy/ci: the jobs are well-formed and name files and formats that there are.

PHASEGATE_BLESS=1 writes the table of keys anew.
"""

import json
import os
import re
import subprocess
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
        formats = re.findall(r"(?:--format|-o) \"?(\w+)", script)
        self.assertIn('phasegate -C "$PHASEGATE_DIR" check ', script)
        self.assertTrue(formats)
        self.assertLessEqual(set(formats), set(FORMATS))
        # Where the service looks for them, whichever folder the project is in.
        return dict(re.findall(r'-o "(\w+)=\$(?:GITHUB_WORKSPACE|CI_PROJECT_DIR)/([^"/]+)"', script))

    def test_github(self):
        job = yaml.load(read(CI, "github-actions.yml"), yaml.BaseLoader)
        self.assertEqual(job["on"], {"pull_request": ""})
        self.assertEqual(job["permissions"], {"contents": "read", "security-events": "write"})
        (check,) = job["jobs"].values()
        steps = check["steps"]
        self.assertEqual(check["env"], {"PHASEGATE_DIR": "."})
        self.assertEqual((steps[0]["uses"], steps[0]["with"]["fetch-depth"]), ("actions/checkout@v4", "0"))
        for step in steps:
            self.assertEqual(len({"uses", "run"} & set(step)), 1)
            # Names of branches are other people's words: they reach a shell as variables only.
            self.assertNotIn("${{", step.get("run", ""))
            if "run" in step:
                self.check_shell(step["run"])
        (run,) = [s["run"] for s in steps if " check " in s.get("run", "")]
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
        self.assertEqual(job["variables"], {"GIT_DEPTH": "0", "PHASEGATE_DIR": "."})
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


if __name__ == "__main__":
    unittest.main()

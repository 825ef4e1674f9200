"""Every format of a report, read by somebody else's parser: what is written is well-formed whatever the findings say.

The reports are those of test_report_formats.c: known ones, one with hostile texts in every place, one with 10,000
findings, one with texts of 300 kB.
"""

import json
import os
import re
import subprocess
import tempfile
import unicodedata
import unittest
import xml.etree.ElementTree as ElementTree

import jsonschema
import pgtest
import sarif_schema

WRITER = os.path.join(pgtest.BUILD, "tests", "test_golden_report_formats")
NAMES = ("sample", "verbose", "clean", "static", "failing", "stopped", "nothing", "hostile", "many", "large")
SOME = 500  # findings that a schema is held against: of ten thousand of one making they say as much as all
EXTENSIONS = ("txt", "json", "sarif", "xml", "github", "gitlab.json", "md")

with open(os.path.join(pgtest.SRC, "docs", "check.schema.json"), encoding="utf-8") as _f:
    CHECK_SCHEMA = json.load(_f)


def no_twice(pairs):
    keys = [k for k, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError("a key is there twice: %s" % keys)
    return dict(pairs)


class Outputs(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.dir = folder.name
        subprocess.run([WRITER, cls.dir], check=True, timeout=110)
        cls.text, cls.models = {}, {}
        for name in NAMES:
            for extension in EXTENSIONS:
                with open(os.path.join(cls.dir, "%s.%s" % (name, extension)), "rb") as f:
                    cls.text[name, extension] = f.read().decode("utf-8")  # strictly

    def each(self, extension):
        for name in NAMES:
            self.where = "%s.%s" % (name, extension)
            yield name, self.text[name, extension]

    where = ""

    def _formatMessage(self, msg, standardMsg):
        return "%s: %s" % (self.where, super()._formatMessage(msg, standardMsg))

    def json_of(self, name, extension):
        return json.loads(self.text[name, extension], object_pairs_hook=no_twice)

    def model(self, name):
        """What all formats were written from, as JSON has it."""
        if name not in self.models:
            self.models[name] = json.loads(self.text[name, "json"])
        return self.models[name]

    def open_findings(self, name):
        return [f for f in self.model(name)["findings"] if f["allowed"] is None]

    def test_nothing_else_was_written(self):
        self.assertEqual(sorted(os.listdir(self.dir)), sorted("%s.%s" % key for key in self.text))

    def test_no_control_characters(self):
        """Nor such that turn the direction of writing, but for the colours that were asked for."""
        for (name, extension), text in self.text.items():
            self.where = "%s.%s" % (name, extension)
            if (name, extension) == ("verbose", "txt"):
                text = re.sub(r"\x1b\[[0-9;]*m", "", text)
            found = {c for c in set(text) if unicodedata.category(c) in ("Cc", "Cs") and c != "\n"}
            self.assertLessEqual(found, {"\x7f", "\x9b"} if "json" in extension or extension == "sarif" else set())
            if extension not in ("json", "gitlab.json", "sarif"):
                self.assertEqual(set(text) & set("\u202e\u2028\u2069\ufffe\uffff"), set())

    # ---- JSON ---------------------------------------------------------------------------------

    def test_json_is_as_published(self):
        jsonschema.Draft202012Validator.check_schema(CHECK_SCHEMA)
        validator = jsonschema.Draft202012Validator(CHECK_SCHEMA)
        for name, text in self.each("json"):
            document = json.loads(text, object_pairs_hook=no_twice)
            findings = document["findings"]
            document["findings"] = findings[:SOME]
            self.assertIsNone(jsonschema.exceptions.best_match(validator.iter_errors(document)))
            prints = [f["fingerprint"] for f in findings]
            self.assertEqual(len(set(prints)), len(prints))
            for severity, key in (("error", "errors"), ("warning", "warnings"), ("note", "notes")):
                self.assertEqual(sum(f["severity"] == severity and f["allowed"] is None for f in findings),
                                 document["summary"][key])
        self.assertEqual(len(self.model("many")["findings"]), 10000)

    def test_the_schema_knows_every_key(self):
        """It lets unknown keys pass, so that readers do; what is written has none."""
        strict = json.loads(json.dumps(CHECK_SCHEMA))

        def close(node):
            if isinstance(node, dict):
                if "properties" in node and isinstance(node["properties"], dict):
                    node["additionalProperties"] = False
                    self.assertEqual(sorted(node["required"]), sorted(node["properties"]))
                for value in node.values():
                    close(value)

        close(strict)
        validator = jsonschema.Draft202012Validator(strict)
        for name, text in self.each("json"):
            document = json.loads(text)
            del document["findings"][SOME:]
            self.assertIsNone(jsonschema.exceptions.best_match(validator.iter_errors(document)))

    def test_the_schema_can_fail(self):
        validator = jsonschema.Draft202012Validator(CHECK_SCHEMA)
        for spoil in (lambda d: d.pop("summary"), lambda d: d["findings"][0].pop("rule"),
                      lambda d: d["findings"][0].update(severity="off"), lambda d: d.update(version=2),
                      lambda d: d["findings"][4]["places"][0].update(line="12")):
            document = self.json_of("sample", "json")
            spoil(document)
            self.assertFalse(validator.is_valid(document))

    def test_json_keeps_the_words(self):
        finding = next(f for f in self.model("sample")["findings"] if f["rule"] == "old-query-fails")
        self.assertEqual({k: finding[k] for k in ("class", "severity", "level", "kind", "plan", "phase", "step", "release",
                                                  "statement", "flags", "line", "sqlstate", "probe", "safe_from")},
                         {"class": "compat", "severity": "error", "level": "statement", "kind": "contract",
                          "plan": "orders-external-ref", "phase": "contract", "step": "drop-legacy", "release": "4.3.0",
                          "statement": "GetOrder", "flags": {"orders-external-ref-read": "off"}, "line": 61,
                          "sqlstate": "42703", "probe": "H", "safe_from": "4.6.0"})
        self.assertEqual([(p["release"], p["statement"], p["line"]) for p in finding["places"]],
                         [("4.3.0", "GetOrder", 12), ("4.4.0", "ListOrders", 3), ("4.4.0", "GetOrder", 12)])
        messages = {f["message"] for f in self.model("hostile")["findings"]}
        self.assertIn("lines\r\nand\n\ttabs\n::error::injected\n```\n</details>\n| a | b |\n", messages)
        self.assertIn("invalid \ufffd\ufffd\ufffd\ufffd \ufffd\ufffd\ufffd \ufffd\ufffd\ufffd\ufffd \ufffd", messages)

    # ---- SARIF --------------------------------------------------------------------------------

    def test_sarif_is_as_published(self):
        schema = sarif_schema.load()
        self.assertIn("2.1.0", schema["title"])
        validator = jsonschema.Draft4Validator(schema)
        spoilt = self.json_of("sample", "sarif")
        spoilt["runs"][0]["results"][0]["levle"] = "error"
        self.assertFalse(validator.is_valid(spoilt))
        for name, text in self.each("sarif"):
            document = json.loads(text, object_pairs_hook=no_twice)
            del document["runs"][0]["results"][SOME:]
            self.assertIsNone(jsonschema.exceptions.best_match(validator.iter_errors(document)))

    def test_sarif_results(self):
        for name, text in self.each("sarif"):
            run, = json.loads(text)["runs"]
            rules = run["tool"]["driver"]["rules"]
            self.assertNotIn(".invalid", json.dumps(run["tool"]))
            self.assertEqual(len({r["id"] for r in rules}), len(rules))
            for rule in rules:
                self.assertNotIn("helpUri", rule)
                for form in ("text", "markdown"):
                    self.assertIn("docs/rules/%s.md" % rule["id"], rule["help"][form])
            self.assertEqual(run["invocations"][0]["executionSuccessful"], name != "stopped")
            findings = self.model(name)["findings"]
            self.assertEqual(len(run["results"]), len(findings))
            for result, finding in zip(run["results"], findings):
                self.assertEqual(rules[result["ruleIndex"]]["id"], result["ruleId"])
                self.assertEqual((result["ruleId"], result["level"]), (finding["rule"], finding["severity"]))
                self.assertEqual(result["partialFingerprints"], {"phasegate/v1": finding["fingerprint"]})
                self.assertEqual([s["justification"] for s in result["suppressions"]],
                                 [] if finding["allowed"] is None else [finding["allowed"]])
                self.assertEqual(len(result["relatedLocations"]), sum(p["file"] is not None for p in finding["places"]))
                self.assertEqual(len(result["locations"]), 1)  # services take none without
                for location in result["locations"] + result["relatedLocations"]:
                    where = location["physicalLocation"]
                    self.assertGreaterEqual(where["region"]["startLine"], 1)
                    self.assertRegex(where["artifactLocation"]["uri"], r"\A(?:[A-Za-z0-9/\-._~!$'()*,;=@]|%[0-9A-F]{2}|file:///)*\Z")

    def test_sarif_names_files_of_the_repository(self):
        run, = self.json_of("verbose", "sarif")["runs"]
        uris = {r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in run["results"]}
        self.assertEqual(uris, {"db/phasegate.yaml", "db/plans/20261114093000-orders-external-ref.yaml",
                                "db/statements/4.5.0.sql"})
        run, = self.json_of("hostile", "sarif")["runs"]
        uris = {r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in run["results"]}
        self.assertIn("a%20b/100%25%20%250A,%20a%3Ab=c,%20@everyone%20%231%20%60%60%60%20%60%60%60%60%20%60%60%20%5Bx%5D"
                      "(javascript%3Ay)%20!%5Bz%5D(http%3A//t)%20%3C!--%20--%3E", uris)

    # ---- JUnit --------------------------------------------------------------------------------

    def test_junit(self):
        for name, text in self.each("xml"):
            root = ElementTree.fromstring(text.encode())
            self.assertEqual(root.tag, "testsuites")
            suites = root.findall("testsuite")
            for key, path in (("tests", "testcase"), ("failures", "testcase/failure"), ("skipped", "testcase/skipped")):
                for suite in suites:
                    self.assertEqual(int(suite.get(key)), len(suite.findall(path)))
                self.assertEqual(int(root.get(key)), sum(int(s.get(key)) for s in suites))
            names = [s.get("name") for s in suites]
            if name != "hostile":  # whose plans differ in what no XML can have
                self.assertEqual(len(names), len(set(names)))
            for suite in suites:
                self.assertEqual(len(suite), 7)
            for case in root.iter("testcase"):
                self.assertLessEqual(len(case.findall("failure")), 1)
            errors = [f for f in self.open_findings(name) if f["severity"] == "error"]
            self.assertEqual(sum(int(s.get("failures")) for s in suites), len({(f["plan"], f["class"]) for f in errors}))
            findings = self.model(name)["findings"]
            said = "".join(e.text for e in root.iter() if e.tag in ("failure", "system-out"))
            if name != "hostile":
                self.assertEqual(sum(said.count("[%s]: " % rule) for rule in {f["rule"] for f in findings}), len(findings))

    def test_junit_of_what_is_clean_passes_by_name(self):
        root = ElementTree.fromstring(self.text["clean", "xml"])
        self.assertEqual([s.get("name") for s in root], ["plan customers-email", "plan orders-external-ref"])
        self.assertEqual([len(c) for c in root.iter("testcase")], [0] * 14)
        self.assertEqual(len(ElementTree.fromstring(self.text["nothing", "xml"])[0]), 7)
        skipped, = ElementTree.fromstring(self.text["static", "xml"]).iter("skipped")
        self.assertIn("without --static", skipped.get("message"))

    # ---- services -----------------------------------------------------------------------------

    @staticmethod
    def unescaped(text, is_property):
        for code, character in (("%3A", ":"), ("%2C", ","))[:2 * is_property] + (("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
            text = text.replace(code, character)
        return text

    def test_github(self):
        command = re.compile(r"::(error|warning|notice) ((?:\w+=[^:,]*)(?:,\w+=[^:,]*)*)::(.*)")
        words = {"error": "error", "warning": "warning", "note": "notice"}
        for name, text in self.each("github"):
            *lines, summary = text.split("\n")[:-1]
            self.assertRegex(summary, r"^\d+ errors?, \d+ warnings?, \d+ notes?")
            findings = sorted(self.open_findings(name), key=lambda f: ("error", "warning", "note").index(f["severity"]))
            self.assertEqual(len(lines), len(findings))
            for line, finding in zip(lines, findings):
                found = command.fullmatch(line)
                self.assertIsNotNone(found, line)
                self.assertEqual(found.group(1), words[finding["severity"]])
                properties = dict(p.split("=", 1) for p in found.group(2).split(","))
                self.assertEqual(properties["title"], "phasegate " + finding["rule"])
                self.assertGreaterEqual(int(properties["line"]), 1)
                if name == "sample" and finding["file"]:
                    self.assertEqual(self.unescaped(properties["file"], True), finding["file"])
                    self.assertEqual(int(properties["line"]), finding["line"])
                message = self.unescaped(found.group(3), False)
                if name in ("sample", "many"):
                    self.assertEqual(message.split("\n")[0], finding["message"])
                self.assertLessEqual(message.count("\n"), 16)

    def test_gitlab(self):
        severities = {"error": "critical", "warning": "minor", "note": "info"}
        for name, text in self.each("gitlab.json"):
            entries, findings = json.loads(text, object_pairs_hook=no_twice), self.open_findings(name)
            self.assertEqual(len(entries), len(findings))
            self.assertEqual([e["fingerprint"] for e in entries], [f["fingerprint"] for f in findings])
            for entry, finding in zip(entries, findings):
                self.assertEqual(sorted(entry), ["check_name", "description", "fingerprint", "location", "severity"])
                self.assertEqual((entry["check_name"], entry["severity"]),
                                 (finding["rule"], severities[finding["severity"]]))
                self.assertNotIn("\n", entry["description"])
                self.assertGreaterEqual(entry["location"]["lines"]["begin"], 1)
                self.assertIsInstance(entry["location"]["path"], str)

    def test_markdown(self):
        for name, text in self.each("md"):
            self.assertTrue(text.startswith("<!-- phasegate check -->\n### phasegate check: "))
            self.assertLessEqual(len(text.encode()), 60000)
            n, shown, fence, rows = len(self.open_findings(name)), 0, None, 0
            for line in text.split("\n")[2:]:
                if fence and line == fence:
                    fence = None
                elif fence:
                    self.assertNotIn(fence, line)
                elif re.match(r"`{3,}text$", line):
                    fence = line[:-4]
                elif line.startswith("<details>"):
                    shown += 1
                    inner = re.fullmatch(r"<details><summary>\w+ <code>[a-z-]+</code>: (.*)</summary>", line)
                    self.assertNotRegex(inner.group(1), r"[<>|`*_\[\\]")
                elif line.startswith("| ") and "| severity" not in line:
                    rows += 1
                    self.assertEqual(line.count("|"), 6)
                    self.assertNotRegex(re.sub(r"</?code>", "", line), r"[<>`*_\[\\]")
                else:
                    self.assertNotIn("@", line)
            self.assertIsNone(fence)
            for told, pattern in ((rows, r"^and (\d+) more$"), (shown, r"^and (\d+) more: ")):
                more = re.findall(pattern, text, re.M)
                self.assertEqual(told + sum(int(m) for m in more), n)
        self.assertIn("the one behind it", self.text["large", "md"])
        self.assertIn("check: clean", self.text["clean", "md"])

    # ---- text ---------------------------------------------------------------------------------

    def test_text(self):
        for name, text in self.each("txt"):
            text = re.sub(r"\x1b\[[0-9;]*m", "", text)
            heads = re.findall(r"^(?:.*: )?(?:error|warning|note)\[[a-z-]+\]: ", text, re.M)
            self.assertGreaterEqual(len(heads), len(self.open_findings(name)))
            self.assertRegex(text, r"(?m)^\d+ errors?, \d+ warnings?, \d+ notes?(?:, \d+ allowed)?; ")
            self.assertEqual("next: " in text, bool(self.open_findings(name)))

    def test_the_caret_stands_below_its_column(self):
        lines = self.text["sample", "txt"].split("\n")
        below = [lines[i - 1][line.index("^"):] for i, line in enumerate(lines) if line.startswith("      |")]
        self.assertEqual([b[:8] for b in below], ["CREATE I", "ALTER TA", "placed_a"])


if __name__ == "__main__":
    unittest.main()

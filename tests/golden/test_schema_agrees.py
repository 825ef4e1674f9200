"""The published schemas and the loader agree over the same good and bad files.

A file that the loader refuses must be refused by its schema too, or be listed in SCHEMA_CANNOT with the
reason; what is listed must really pass the schema, so that the list doesn't outlive its reasons.
"""
import copy
import json
import os
import re
import subprocess
import tempfile
import unittest

import jsonschema
import yaml

SOURCE = os.environ.get("PHASEGATE_SRC") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LOADER = os.path.join(os.environ.get("PHASEGATE_BUILD", "build"), "tests", "test_golden_plan_files")
PLANS = os.path.join(SOURCE, "tests", "golden", "plans")

BEFORE = "says nothing about how the file is written: the reader has lost it when the schema sees the data"
CROSS = "compares one value with another"
CALENDAR = "knows no calendar"
NAMES = "can't look up a name that is declared elsewhere"
FOLD = "sees only one of two equal keys"
LIMITS = "what a limit of throttle: may be depends on its key, and so does its unit"
SCHEMA_CANNOT = {
    "backfill-throttle-hours.yaml": LIMITS,
    "project-hours.yaml": LIMITS,
    "duplicate-key.yaml": FOLD,
    "duplicate-step-key.yaml": FOLD,
    "duplicate-gate.yaml": FOLD,
    "duplicate-set-column.yaml": FOLD,
    "duplicate-step-id.yaml": CROSS,
    "duplicate-backfill-id.yaml": CROSS,
    "percent-descends.yaml": CROSS,
    "same-flag.yaml": CROSS,
    "depends-on-itself.yaml": CROSS,
    "backfill-batch-contradicts.yaml": CROSS,
    "backfill-via-takes-nothing.yaml": CROSS,
    "project-release-twice.yaml": CROSS,
    "timestamp-month-19.yaml": CALENDAR,
    "timestamp-february-30.yaml": CALENDAR,
    "timestamp-second-60.yaml": CALENDAR,
    "no-read-flag.yaml": NAMES,
    "no-write-flag.yaml": NAMES,
    "unknown-gate.yaml": NAMES,
    "unknown-gate-in-runbook.yaml": NAMES,
    "backfill-without-sync.yaml": NAMES,
    "gate-expect-twice.yaml": "would need a condition for every pair of a kind's expect and the gate's own",
    "gate-unchanged.yaml": "has one condition for gates and checks, and only a check has a value before it",
    "escaped-nul.yaml": "takes any text; JSON Schema has no pattern that every editor reads for control characters",
    "tag.yaml": BEFORE,
}


class Loader12(yaml.SafeLoader):
    """Scalars by YAML 1.2's core schema, as editors have it: `off` and `2026-11-14` are text."""


Loader12.yaml_implicit_resolvers = {}
for tag, pattern, first in (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", list("-+0123456789")),
    ("float", r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
     list("-+0123456789.")),
):
    Loader12.add_implicit_resolver("tag:yaml.org,2002:" + tag, re.compile(pattern), first)
# Python's own reading of a leading 0 or of 0o17 is of YAML 1.1.
Loader12.add_constructor("tag:yaml.org,2002:int", lambda l, n: int(l.construct_scalar(n), 0 if n.value[:2] in ("0x", "0o") else 10))
Loader12.add_constructor("tag:yaml.org,2002:float", lambda l, n: float(re.sub(r"\.(?=inf|nan)", "", n.value.lower())))
# Merge keys are of YAML 1.1; in 1.2 << is a key like any other.
Loader12.flatten_mapping = lambda self, node: None


def read_schema(name):
    with open(os.path.join(SOURCE, "docs", name + ".schema.json"), encoding="utf-8") as f:
        return json.load(f)


def files_of(folder):
    path = os.path.join(PLANS, folder)
    return [os.path.join(path, f) for f in sorted(os.listdir(path)) if f.endswith(".yaml")]


class SchemaAgrees(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.validators = {}
        for name in ("plan", "project"):
            schema = read_schema(name)
            jsonschema.Draft202012Validator.check_schema(schema)
            cls.validators[name] = jsonschema.Draft202012Validator(schema)

    def schema_verdict(self, path):
        """None when the schema accepts the file, else why not."""
        kind = "project" if os.path.basename(path).startswith("project-") else "plan"
        try:
            with open(path, "rb") as f:
                data = yaml.load(f.read(), Loader12)
        except (yaml.YAMLError, UnicodeError, ValueError, TypeError) as e:
            return "YAML: %s" % e
        try:
            error = jsonschema.exceptions.best_match(self.validators[kind].iter_errors(data))
        except RecursionError:
            return "YAML: it contains itself"
        return error and error.message

    def loader_verdicts(self, paths):
        done = subprocess.run([LOADER, *paths], stdout=subprocess.PIPE, check=True)
        lines = done.stdout.decode().splitlines()
        return {line.split(" ", 1)[1]: line.startswith("ok ") for line in lines}

    def test_good_files_pass_both(self):
        paths = files_of("good")
        loader = self.loader_verdicts(paths)
        self.assertGreaterEqual(len(paths), 7)
        for path in paths:
            with self.subTest(file=os.path.basename(path)):
                self.assertTrue(loader[path], "the loader refuses it")
                self.assertIsNone(self.schema_verdict(path), "the schema refuses it")

    def test_bad_files_fail_both(self):
        paths = files_of("bad")
        loader = self.loader_verdicts(paths)
        self.assertGreaterEqual(len(paths), 100)
        for path in paths:
            name = os.path.basename(path)
            with self.subTest(file=name):
                self.assertFalse(loader[path], "the loader accepts it")
                verdict = self.schema_verdict(path)
                if name in SCHEMA_CANNOT:
                    self.assertIsNone(verdict, "SCHEMA_CANNOT lists it, but the schema can")
                else:
                    self.assertIsNotNone(verdict, "the schema accepts it")

    def test_whatever_the_schema_refuses_the_loader_refuses(self):
        """Each value of each good file in turn is taken away or replaced: an editor must never show an
        error where the program would see none."""
        replacements = [7, None, "x y", [], {"nonsense": 1}]
        with tempfile.TemporaryDirectory() as folder:
            refused, seen = [], set()
            for path in files_of("good"):
                kind = "project-" if os.path.basename(path).startswith("project-") else "plan-"
                with open(path, "rb") as f:
                    data = yaml.load(f.read(), Loader12)
                for i, changed in enumerate(self.variants(data, replacements, seen)):
                    name = os.path.join(folder, "%s%s-%d.yaml" % (kind, os.path.basename(path)[:-5], i))
                    with open(name, "w", encoding="utf-8") as f:
                        json.dump(changed, f, ensure_ascii=False)
                    if not self.validators[kind[:-1]].is_valid(changed):
                        refused.append(name)
            self.assertGreater(len(refused), 1000)
            loader = {}
            for i in range(0, len(refused), 500):
                loader.update(self.loader_verdicts(refused[i:i + 500]))
            self.assertEqual([], [self.schema_verdict(name) for name in refused if loader[name]])

    def variants(self, data, replacements, seen):
        """seen: places of other files too. A list's items are alike: of equal places one is enough."""
        def places(node, path):
            if isinstance(node, dict):
                for key in node:
                    yield path + [key]
                    yield from places(node[key], path + [key])
            elif isinstance(node, list):
                for i in range(len(node)):
                    yield path + [i]
                    yield from places(node[i], path + [i])

        for path in list(places(data, [])):
            shape = tuple("*" if isinstance(step, int) else step for step in path)
            if shape in seen:
                continue
            seen.add(shape)
            for replacement in [KeyError] + replacements:
                changed = copy.deepcopy(data)
                node = changed
                for step in path[:-1]:
                    node = node[step]
                if replacement is KeyError:
                    del node[path[-1]]
                else:
                    node[path[-1]] = replacement
                yield changed

    def test_table_names_files(self):
        names = {os.path.basename(p) for p in files_of("bad")}
        self.assertEqual(set(), set(SCHEMA_CANNOT) - names)

    def test_every_key_is_described_and_closed(self):
        def walk(node, where):
            if isinstance(node, dict):
                if "properties" in node and node.get("type") == "object":
                    self.assertIs(node.get("additionalProperties"), False, where)
                    for key, value in node["properties"].items():
                        self.assertIn("description", value, "%s.%s" % (where, key))
                for key, value in node.items():
                    walk(value, "%s.%s" % (where, key))
            elif isinstance(node, list):
                for i, value in enumerate(node):
                    walk(value, "%s[%d]" % (where, i))

        for name in ("plan", "project"):
            walk(read_schema(name), name)

    def test_good_files_use_every_key(self):
        """What no good file uses could be missing in the loader without anybody seeing it."""
        used = {"plan": set(), "project": set()}

        def collect(node, into):
            if isinstance(node, dict):
                into.update(k for k in node if isinstance(k, str))
                for value in node.values():
                    collect(value, into)
            elif isinstance(node, list):
                for value in node:
                    collect(value, into)

        declared = {"plan": set(), "project": set()}

        def keys(node, into):
            if isinstance(node, dict):
                if isinstance(node.get("properties"), dict) and node.get("type") == "object":
                    into.update(node["properties"])
                for value in node.values():
                    keys(value, into)
            elif isinstance(node, list):
                for value in node:
                    keys(value, into)

        for path in files_of("good"):
            kind = "project" if os.path.basename(path).startswith("project-") else "plan"
            with open(path, "rb") as f:
                collect(yaml.load(f.read(), Loader12), used[kind])
        for kind in declared:
            keys(read_schema(kind), declared[kind])
            self.assertEqual(set(), declared[kind] - used[kind], kind)


if __name__ == "__main__":
    unittest.main()

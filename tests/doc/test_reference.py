"""docs/: pages say what the program and its files say; every example of a plan or project loads.

PHASEGATE_BLESS=1 writes the tables of docs/reference/ anew; look at the difference before it's committed."""

import glob
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import unittest

import console
import pgtest
import test_runbooks
import yaml

DOCS = os.path.join(pgtest.SRC, "docs")
BLESS = os.environ.get("PHASEGATE_BLESS") == "1"


def page(*parts):
    return os.path.join(DOCS, *parts)


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def markdown():
    """Every page of the project but what others wrote."""
    found = glob.glob(page("**", "*.md"), recursive=True) + glob.glob(os.path.join(pgtest.SRC, "runbooks", "*.md"))
    return sorted(found + [os.path.join(pgtest.SRC, f) for f in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")])


def run(*args, **more):
    done = pgtest.run_phasegate(args, **more)
    if done.rc:
        raise AssertionError(done)
    return done.stdout


def as_ms(value):
    """24h and 1d are the same; what is no duration stays as a text."""
    found = re.fullmatch(r"(\d+)(ms|s|m|h|d)?", str(value))
    units = {"ms": 1, "s": 1000, "m": 60000, "h": 3600000, "d": 86400000}
    return int(found[1]) * units[found[2] or "ms"] if found else str(value).lower()


class Case(unittest.TestCase):
    maxDiff = None

    def assert_written(self, path, mark, text):
        """What follows <!-- mark --> up to the next <!-- end --> or the end of the page."""
        before, there, rest = read(path).partition("<!-- %s -->\n" % mark)
        self.assertTrue(there, "%s has no <!-- %s -->" % (path, mark))
        held, end, after = rest.partition("<!-- end -->")
        text = "\n" + text.strip("\n") + "\n" + ("\n" if end else "")
        if BLESS:
            with open(path, "w", encoding="utf-8") as f:
                f.write(before + there + text + end + after)
            held = text
        self.assertEqual(held, text, "%s: PHASEGATE_BLESS=1 writes it anew" % path)


class Keys(Case):
    """plan-file.md and project-file.md"""

    FILES = (("plan", "plan-file.md"), ("project", "project-file.md"))

    def test_tables_are_those_of_the_schema(self):
        for name, file in self.FILES:
            self.assert_written(page("reference", file), "keys", run("reference", name))

    def test_every_key_is_in_a_table(self):
        for name, file in self.FILES:
            tables = read(page("reference", file)).split("<!-- keys -->")[1]
            for key in self.keys_of(name):
                self.assertIn("| `%s` |" % key.rsplit("/", 1)[1], tables)

    def keys_of(self, name):
        """Paths of all "properties" of a schema, where they are declared."""
        found = set()

        def walk(node, path):
            if isinstance(node, dict):
                for key in node.get("properties", {}) if isinstance(node.get("properties"), dict) else ():
                    found.add(path + "/" + key)
                for key, value in node.items():
                    if key not in ("if", "then", "oneOf", "allOf", "not", "dependentRequired"):
                        walk(value, path + "/" + key)
            elif isinstance(node, list):
                for i, value in enumerate(node):
                    walk(value, "%s/%d" % (path, i))

        walk(json.loads(read(page(name + ".schema.json"))), "")
        return found

    def seen_by(self, name, documents):
        """The same paths, of the keys that the documents use."""
        root = json.loads(read(page(name + ".schema.json")))
        seen = set()

        def walk(node, path, value):
            ref = node.get("$ref")
            if ref:
                path = ref[1:]
                node = root
                for part in ref[2:].split("/"):
                    node = node[part]
            for i, one in enumerate(node.get("anyOf", ())):
                if isinstance(value, dict) and ("properties" in one or "$ref" in one):
                    walk(one, "%s/anyOf/%d" % (path, i), value)
            if isinstance(value, list) and "items" in node:
                for item in value:
                    walk(node["items"], path + "/items", item)
            if not isinstance(value, dict):
                return
            for key, below in value.items():
                if key in node.get("properties", {}):
                    seen.add(path + "/" + key)
                    walk(node["properties"][key], path + "/properties/" + key, below)
                elif isinstance(node.get("additionalProperties"), dict):
                    walk(node["additionalProperties"], path + "/additionalProperties", below)

        for document in documents:
            walk(root, "", document)
        return seen

    def test_the_examples_show_every_key(self):
        for name, file in self.FILES:
            documents = [yaml.load(b.text, yaml.BaseLoader) for b in console.blocks(page("reference", file)) if b.language == "yaml"]
            missing = self.keys_of(name) - self.seen_by(name, documents)
            # An absent phase says so in one example only; the key is the same one in all phases.
            missing = {m for m in missing if not m.endswith("/none")}
            self.assertEqual(missing, set(), "%s: no example has these keys" % file)

    def test_defaults_of_the_policy(self):
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(os.path.join(folder, "plans"))
            with open(os.path.join(folder, "phasegate.yaml"), "w", encoding="utf-8") as f:
                f.write("phasegate: 1\nenvironments: {local: {databases: {default: {url: x}}}}\n")
            shown = json.loads(run("show", "config", "--format", "json", cwd=folder))["result"]["policy"]
        policy = json.loads(read(page("project.schema.json")))["$defs"]["policy"]["properties"]
        n = 0
        for outer, whole in policy.items():
            inner = [("%s.%s" % (outer, k), v) for k, v in whole.get("properties", {}).items()]
            for key, node in [(outer, whole)] + inner:
                if "default" in node:
                    n += 1
                    self.assertEqual(as_ms(node["default"]), as_ms(shown[key]["value"]), key)
        self.assertGreater(n, 8)


def sources(*folders):
    found = []
    for folder in folders:
        found += glob.glob(os.path.join(pgtest.SRC, folder, "**", "*.[ch]"), recursive=True)
    return {os.path.relpath(f, pgtest.SRC): read(f) for f in found}


def first_column(text, head):
    """The words in the first column of the table whose first column is called so."""
    rows = text.split("\n| %s |" % head)[1].split("\n\n")[0].splitlines()[2:]
    return [re.match(r"\| (.*?) \|", row)[1] for row in rows]


class Phases(Case):
    def test_machine(self):
        machine = json.loads(run("show", "machine", "--format", "json"))["result"]
        text = "| row | from | event | to | brakes | refused for | what |\n|---|---|---|---|---|---|---|\n"
        for t in machine["transitions"]:
            to = t["to"] + (", brake: " + t["to_brake"] if t["to_brake"] else "")
            text += "| %d | %s | %s | %s | %s | %s | %s |\n" % (
                t["row"], t["from"], t["event"], to, ", ".join(t["brakes"]), ", ".join(t["guards"]), t["comment"])
        text += "\n| refused for | question |\n|---|---|\n"
        text += "".join("| `%s` | %s |\n" % (g["guard"], g["question"]) for g in machine["guards"])
        self.assert_written(page("reference", "phases.md"), "machine", text)

    def test_rules(self):
        rules = json.loads(run("show", "rules", "--format", "json"))["result"]["rules"]
        text = "| rule | class | severity | found by | what it finds |\n|---|---|---|---|---|\n" + "".join(
            "| [`%s`](../rules/%s.md) | %s | %s | %s | %s |\n" % (r["rule"], r["rule"], r["class"], r["severity"], ", ".join(r["by"]), r["title"])
            for r in rules)
        self.assert_written(page("reference", "phases.md"), "rules", text)


class ExitCodes(Case):
    PAGE = page("reference", "exit-codes.md")

    def test_codes(self):
        table = read(page("reference", "commands.md")).split("## Exit codes\n\n")[1].split("\n\n")[0]
        self.assert_written(self.PAGE, "codes", table)

    def test_kinds(self):
        text = "| kind | exit code | retryable |\n|---|---|---|\n"
        for word, code, retry in re.findall(r'X\([A-Z_]+, "(\w+)", (\d+), (true|false)\)',
                                            read(os.path.join(pgtest.SRC, "include", "phasegate", "err.h"))):
            if word != "none":
                text += "| `%s` | %s | %s |\n" % (word, code, "yes" if retry == "true" else "no")
        self.assertEqual(text.count("\n"), 16)
        listed = json.loads(read(page("output.schema.json")))["properties"]["error"]["properties"]["kind"]["enum"]
        self.assertEqual(sorted(listed), sorted(re.findall(r"^\| `(\w+)`", text, re.M)))
        self.assert_written(self.PAGE, "kinds", text)

    def test_reasons(self):
        """Every reason that the sources know has a row, and every row a reason."""
        there = set()
        for path, text in sources("src").items():
            for call in re.findall(r"err_reason\(([^;]*);", text):
                there |= set(re.findall(r'"([a-z_]+)"', call))
        phase = sources("src/core")["src/core/phase.c"]
        there |= set(re.findall(r'"([a-z_]+)",', phase.split("no_moves[] = {")[1].split("};")[0]))
        there |= set(re.findall(r'refuse\(d, .*?"([a-z_]+)"', phase)) | {"paused", "halted", "killed"}
        machine = json.loads(run("show", "machine", "--format", "json"))["result"]
        there |= {g["guard"] for g in machine["guards"]}
        rows = [r.strip("`") for r in first_column(read(self.PAGE), "reason")]
        self.assertEqual(sorted(there), rows)


class Environment(Case):
    PAGE = page("reference", "environment.md")

    def test_variables(self):
        there = set()
        for path, text in sources("src").items():
            if path != "src/io/fault.c":  # not in a release; in HACKING.md
                there |= set(re.findall(r'getenv\("([A-Z_]+)"\)', text))
                there |= set(re.findall(r'(?:->env\(c->host, |or_env\(c, \w+, |variable\(c, )"([A-Z_]+)"\)', text))
        rows = {r.strip("`") for r in first_column(read(self.PAGE), "variable")}
        self.assertEqual(rows, there)

    @staticmethod
    def files(folder):
        found = {}
        for path in glob.glob(os.path.join(folder, "**"), recursive=True, include_hidden=True):
            if os.path.isfile(path):
                found[os.path.relpath(path, folder)] = (read(path), os.stat(path).st_mode & 0o777)
        return found

    def test_files(self):
        """A life writes what the page says and nothing else."""
        lab = test_runbooks.Lab(self, pgtest.cluster())
        before = self.files(lab.dir)
        lab.advance("expand", "dual_read")
        lab.run("kill", "customers-email")
        lab.run("doctor", rc=1)  # the kill, which no advance has met yet
        after = self.files(lab.dir)
        new = {name for name in after if before.get(name) != after[name]}
        rows = {r for cell in first_column(read(self.PAGE), "file") for r in re.findall(r"`([^`]*)`", cell)}
        listed = {r.replace("ENV", "development") for r in rows if r.startswith(".phasegate/")}
        self.assertLessEqual({name for name in new if not name.endswith(".lock")}, listed)
        self.assertIn(".phasegate/flags-development.jsonl", new)
        for name in set(after) - set(before):
            self.assertEqual(after[name][1], 0o600, name)
            self.assertNotIn("runbook-token", after[name][0], name)

    def test_files_of_init(self):
        with tempfile.TemporaryDirectory() as folder:
            run("init", cwd=folder)
            rows = " ".join(first_column(read(self.PAGE), "file"))
            for name in self.files(folder):
                self.assertRegex(rows, re.escape(os.path.dirname(name) or name), name)


class Ledger(Case):
    def test_tables(self):
        lab = test_runbooks.Lab(self, pgtest.cluster())
        lab.advance("expand")
        tables = lab.db.psql("SELECT c.relname, obj_description(c.oid) FROM pg_class c WHERE c.relkind = 'r' "
                             "AND c.relnamespace = 'phasegate'::regnamespace ORDER BY c.oid")
        self.assertGreater(len(tables), 9)
        text = ""
        for name, about in tables:
            text += "\n### %s\n\n%s.\n\n| column | type | what |\n|---|---|---|\n" % (name, about)
            for column, kind, what in lab.db.psql(
                    "SELECT attname, format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ', not null' ELSE '' END,"
                    " col_description(attrelid, attnum) FROM pg_attribute WHERE attrelid = 'phasegate.%s'::regclass "
                    "AND attnum > 0 AND NOT attisdropped ORDER BY attnum" % name):
                self.assertTrue(what, "%s.%s has no comment" % (name, column))
                text += "| `%s` | %s | %s |\n" % (column, kind.replace("timestamp with time zone", "timestamptz"),
                                                 what.replace("|", "\\|"))
        self.assert_written(page("reference", "ledger.md"), "tables", text)
        for query in [b.text for b in console.blocks(page("reference", "ledger.md")) if b.language == "sql"]:
            lab.db.psql(query)

    def test_a_deleted_journal_row(self):
        lab = test_runbooks.Lab(self, pgtest.cluster())
        lab.advance("expand")
        play(self, lab, "ledger.md", 6)

    def lab_without(self, table, *phases):
        lab = test_runbooks.Lab(self, pgtest.cluster())
        lab.edit("phasegate.yaml", "policy:\n", "policy:\n  approvals: {dual_read: 1}\n")
        lab.advance("expand")
        lab.run("approve", "customers-email", "dual_read")
        lab.advance(*phases)
        lab.db.psql("DELETE FROM phasegate.%s" % table)
        return lab

    def stage(self, lab):
        return lab.run("status", "--format", "json", "-q").json["result"]["plans"][0]["stage"]

    def test_each_table_has_its_row(self):
        text = read(page("reference", "ledger.md"))
        rows = [r.strip("`") for r in first_column(text, "rows of")]
        self.assertEqual(sorted(rows), sorted(re.findall(r"^### ([a-z_]+)$", text.split("<!-- tables -->")[1], re.M)))

    def test_deletions_that_are_harmless(self):
        for table in ("backfill_job", "migration_lock", "flag_change"):
            with self.subTest(table):
                lab = self.lab_without(table, "dual_read")
                done = lab.run("status", "--flags", "--format", "json", "-q").json["result"]["plans"][0]
                self.assertEqual(done["stage"], "dual_read done")
                self.assertIn(100, [f["left_at_percent"] for f in done["flags"]])
                lab.advance("write_activation")
                self.assertEqual(self.stage(lab), "write_activation done")

    def test_approvals_are_needed_again(self):
        lab = self.lab_without("approval")
        said = lab.run("advance", "customers-email", "--release", "1.2.0", "--format", "json", "-q", rc=4)
        self.assertEqual(said.json["error"]["reason"], "approval")

    def test_the_window_is_filled_again(self):
        lab = self.lab_without("release_window")
        self.assertTrue(lab.run("guard", "--release", "1.1.0", "--format", "json").json["result"]["may_run"])
        lab.advance("dual_read")
        self.assertEqual(lab.db.psql("SELECT count(*) FROM phasegate.release_window"), [["1"]])

    def test_a_lost_stage(self):
        lab = self.lab_without("plan_state", "dual_read")
        self.assertEqual(self.stage(lab), "planned")
        lab.advance("expand")
        said = lab.run("advance", "customers-email", "--release", "1.2.0", "--format", "json", "-q", rc=4)
        self.assertEqual(said.json["error"]["reason"], "flag_drift")

    def test_a_lost_soft_drop(self):
        lab = self.lab_without("soft_drop", "dual_read", "write_activation", "contract")
        time.sleep(2.2)  # the hold
        lab.run("purge", "customers-email", "--confirm", "customers-email", rc=4)
        lab.run("restore", "customers-email")
        self.assertEqual(lab.db.psql("SELECT attname ~ '^_drop_[0-9]{8}_mail$' FROM pg_attribute "
                                     "WHERE attrelid = 'customers'::regclass AND attname LIKE '%mail' "
                                     "AND attname <> 'email'"), [["t"]])

    def test_a_lost_version(self):
        lab = self.lab_without("schema_version")
        self.assertEqual(self.stage(lab), "planned")
        said = lab.run("advance", "customers-email", "--release", "1.2.0", "--format", "json", "-q", rc=5)
        self.assertIn("already exists", said.json["error"]["message"])

    def test_the_schema_takes_the_triggers_along(self):
        lab = test_runbooks.Lab(self, pgtest.cluster())
        lab.advance("expand")
        triggers = "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'customers'::regclass"
        self.assertEqual(lab.db.psql(triggers), [["2"]])
        lab.db.psql("DROP SCHEMA phasegate CASCADE")
        self.assertEqual(lab.db.psql(triggers), [["0"]])
        self.assertEqual(self.stage(lab), "planned")


class Gates(Case):
    def test_worked_example(self):
        lab = test_runbooks.Lab(self, pgtest.cluster())
        gates = next(b.text for b in console.blocks(page("reference", "gates.md")) if b.language == "yaml")
        lab.edit(test_runbooks.PLAN, "  write_activation:\n", "    gates: [smoke, complaints]\n  write_activation:\n")
        with open(os.path.join(lab.dir, test_runbooks.PLAN), "a", encoding="utf-8") as f:
            f.write(gates)
        lab.advance("expand")
        play(self, lab, "gates.md", 9)

    def test_kinds(self):
        kinds = first_column(read(page("reference", "gates.md")), "kind")
        schema = json.loads(read(page("plan.schema.json")))["$defs"]["gate"]
        self.assertEqual(sorted(k.strip("`") for k in kinds), sorted(b["required"][0] for b in schema["oneOf"]))
        words = sources("src/load")["src/load/gate_yaml.c"].split("kind_words[] = {")[1].split("NULL")[0]
        self.assertEqual(sorted(k.strip("`") for k in kinds), sorted(re.findall(r'"(\w+)"', words)))

    def test_each_kind_has_an_example(self):
        text = read(page("reference", "gates.md"))
        kinds = [k.strip("`") for k in first_column(text, "kind")]
        sections = dict(zip(*[iter(re.split(r"^### (.*)\n", text.split("## Each kind")[1], flags=re.M)[1:])] * 2))
        self.assertEqual(sorted(sections), sorted(kinds))
        for kind, section in sections.items():
            gates = yaml.load(re.search(r"```yaml\n(.*?)```", section, re.S)[1], yaml.BaseLoader)["gates"]
            for name, gate in gates.items():
                self.assertIn(kind, gate, name)


class Statements(Case):
    """statements.md and capture.md"""

    def test_headers(self):
        listed = re.search(r"headers\[\] = \{(.*?)NULL\}", read(os.path.join(pgtest.SRC, "src/load/statements.c")), re.S)[1]
        rows = {re.match(r"`-- (\w+):", r)[1] for r in first_column(read(page("reference", "statements.md")), "header")}
        self.assertEqual(rows, set(re.findall(r'"(\w+)"', listed)))

    def test_what_is_left_out(self):
        listed = re.findall(r'X\(\w+, "(\w+)"', read(os.path.join(pgtest.SRC, "include/phasegate/capture.h")))
        rows = [r.strip("`") for r in first_column(read(page("reference", "capture.md")), "reason")]
        self.assertEqual(sorted(rows), sorted(listed))


class Providers(Case):
    def test_each_is_in_the_loader_the_schema_and_the_page(self):
        there = [name for text in sources("src/provider").values() for name in re.findall(r'^    \.name = "(\w+)"', text, re.M)]
        self.assertGreater(len(there), 4)
        schema = json.loads(read(page("project.schema.json")))["$defs"]["environment"]["properties"]["flags"]["properties"]
        loader = sources("src/load")["src/load/project_yaml.c"]
        sections = re.findall(r"^## (.*)", read(page("reference", "flag-providers.md")), re.M)
        for name in there:
            self.assertIn(name, schema["provider"]["enum"])
            self.assertIn('"%s"' % name, loader)
            self.assertIn(name, sections)


def play(case, lab, name, floor):
    shell = console.Shell(lab.dir, lab.env)
    case.addCleanup(shell.close)
    n = console.play(page("reference", name), shell, lambda t: t.replace("8016", str(lab.port)))
    case.assertGreaterEqual(n, floor)


def shape(value, path, to):
    """path -> types of what is there, an example of a scalar"""
    if isinstance(value, dict):
        by_name = path.endswith((".policy",))
        to.setdefault(path, [set(), None])[0].add("object")
        for key, below in value.items():
            shape(below, "%s.%s" % (path, "<name>" if by_name else key), to)
    elif isinstance(value, list):
        to.setdefault(path, [set(), None])[0].add("list")
        for below in value:
            shape(below, path + "[]", to)
    else:
        kinds = {bool: "boolean", int: "number", float: "number", str: "text", type(None): "null"}
        to.setdefault(path, [set(), None])[0].add(kinds[type(value)])


class Json(Case):
    """What each command answers, over one plan's life."""

    LIFE = (
        ("init", 0), ("new another-one", 0), ("show machine", 0), ("show rules", 0), ("show config", 0),
        ("show plans", 0), ("status", 0), ("status --flags", 0), ("preflight customers-email", 0),
        ("BASELINE", 0), ("rehearse customers-email --rows 20 --kills 2", 0), ("NONE", 0),
        ("advance customers-email --release 1.1.0 --dry-run", 0), ("advance customers-email --release 1.1.0", 0),
        ("guard --release 1.1.0", 0), ("doctor", 0), ("advance customers-email --release 1.2.0", 0), ("backfill customers-email", 0),
        ("backfill customers-email verify", 0),
        ("pause customers-email --because tests", 0), ("status", 0), ("resume customers-email", 0),
        ("advance customers-email --release 1.3.0 --no-wait", 5), ("status --flags", 0), ("doctor", 0),
        ("flags list", 0), ("flags get customers-email-read", 0), ("kill customers-email --because tests", 0),
        ("flags reconcile", 1), ("flags set customers-email-write 0", 0), ("status", 0),
        ("advance customers-email --release 1.3.0", 4), ("resume customers-email", 0), ("MEND", 0),
        ("approve customers-email contract", 0), ("advance customers-email --release 1.3.0", 0),
        ("rollback customers-email --dry-run", 0), ("rollback customers-email", 0),
        ("advance customers-email --release 1.3.0", 0), ("advance customers-email --release 1.5.0", 0),
        ("restore customers-email --dry-run", 0), ("restore customers-email", 0),
        ("advance customers-email --release 1.5.0", 0), ("snapshot customers-email", 0), ("snapshots list", 0),
        ("purge customers-email --dry-run", 4), ("doctor", 0),
        ("history --verify", 0), ("runbook customers-email", 0), ("evidence customers-email --out e.tar", 0),
        ("evidence --verify e.tar", 0), ("CAPTURE", 0), ("capture --release 1.0.0", 0), ("AGAIN", 0), ("capture --release 1.0.0", 0),
        ("EDIT", 0), ("accept customers-email --because tests", 0), ("CHECKLIST", 0), ("status", 0),
        ("verify customers-email", 1), ("verify customers-email --sign accepted", 0), ("SLEEP", 0),
        ("purge customers-email --confirm customers-email", 0), ("status", 0),
        ("COLUMN", 0), ("restore --from SNAPSHOT customers-email", 0),
    )
    ALONE = {"check", "man", "completion", "reference", "help", "demo", "flag-server"}  # documents, or no answer of their own

    def test_results(self):
        server = pgtest.Cluster()  # of its own: the shared one counts no statements
        self.addCleanup(server.close)
        lab = test_runbooks.Lab(self, server)
        lab.edit(test_runbooks.PLAN, "{percent: 50, pause: 100ms}", "{percent: 50, pause: 1h}")
        found = {}
        for line, code in self.LIFE:
            if line == "MEND":
                lab.edit(test_runbooks.PLAN, "pause: 1h", "pause: 100ms")
                continue
            if line in ("BASELINE", "NONE"):  # a rehearsal starts with it; the database at hand has its tables
                lab.write("schema/baseline.sql", test_runbooks.TABLES if line == "BASELINE" else "-- none\n")
                continue
            if line == "CAPTURE":  # one to find, one that doesn't run any more
                lab.db.psql("CREATE EXTENSION IF NOT EXISTS pg_stat_statements; CREATE TABLE seen (a int, b int);"
                            "SELECT a FROM seen WHERE b = 1; SELECT b + b FROM seen; SELECT a + a FROM seen; SELECT 1;")
                continue
            if line == "AGAIN":
                lab.db.psql("SELECT pg_stat_statements_reset(0, oid, 0) FROM pg_database WHERE datname = current_database();"
                            "SELECT a FROM seen WHERE b = 1; SELECT b * b FROM seen; ALTER TABLE seen DROP COLUMN b;")
                continue
            if line == "EDIT":
                lab.edit(test_runbooks.PLAN, "ADD COLUMN email text", "ADD COLUMN email varchar")
                continue
            if line == "CHECKLIST":
                lab.edit(test_runbooks.PLAN, "phases:", "validation:\n  - {id: rows, sql: SELECT count(*) FROM customers, expect: '> 0'}\n"
                         "  - {id: accepted, manual: The export is accepted}\nphases:")
                continue
            if line == "COLUMN":
                lab.db.psql("ALTER TABLE customers ADD COLUMN mail text")
                continue
            if line == "SLEEP":
                time.sleep(2.5)
                continue
            if "SNAPSHOT" in line:
                line = line.replace("SNAPSHOT", lab.db.psql("SELECT max(name) FROM phasegate.snapshot")[0][0])
            done = lab.run(*line.split(), "--format", "json", "--quiet", rc=code)
            words = line.split()
            name = " ".join(words[:2]) if words[0] in ("flags", "show", "snapshots") or "--from" in words else words[0]
            if "--dry-run" in words:
                name = words[0] + " --dry-run"
            shape(done.json["result"], "result", found.setdefault(name, {}))
            if words[0] == "new":
                os.unlink(glob.glob(os.path.join(lab.dir, "plans", "*-another-one.yaml"))[0])
        commands = set(first_column(read(page("reference", "commands.md")), "command"))
        commands = {re.search(r"`([\w-]+)`", c)[1] for c in commands}
        self.assertEqual(commands - self.ALONE, {name.split()[0] for name in found})
        text = ""
        for name in sorted(found):
            text += "\n### %s\n\n| path | type |\n|---|---|\n" % name
            for path, (kinds, _) in sorted(found[name].items()):
                if path != "result":
                    text += "| `%s` | %s |\n" % (path[len("result."):], " or ".join(sorted(kinds, key=lambda k: (k == "null", k))))
        self.assert_written(page("reference", "json-output.md"), "results", text)

    def test_examples(self):
        lab = test_runbooks.Lab(self, pgtest.cluster())
        play(self, lab, "json-output.md", 4)


class Drivers(Case):
    """drivers.md and the presets of the proof"""

    def test_presets(self):
        source = read(os.path.join(pgtest.SRC, "src", "check", "app.c"))
        table = re.search(r"\} drivers\[\] = \{(.*?)\n\};", source, re.S)[1]
        rows = re.findall(r'\{"([\w-]+)", (true|false), (true|false), VALUES_(\w+)\}', table)
        self.assertEqual(len(rows), table.count('"') // 2)
        written = read(page("reference", "drivers.md")).split("<!-- drivers -->")[1].split("<!-- end -->")[0]
        said = re.findall(r"^\| `([\w-]+)` \| (yes|no) \| (yes|no) \| (\w+) \| \[.+\]\(https://\S+\).* \|$", written, re.M)
        words = {"true": "yes", "false": "no", "TYPED": "typed", "UNTYPED": "untyped", "LITERAL": "text"}
        self.assertEqual(said, [(name, words[prepared], words[binary], words[values]) for name, binary, prepared, values in rows])


PROJECT = "phasegate: 1\nenvironments: {local: {databases: {default: {url: x}}%s}}\n"
PLAN = """phasegate: 1
plan: example
timestamp: 20260101120000
title: Example
author: docs
phases:
  expand: {release: "1.1.0", steps: [{id: column, sql: ALTER TABLE orders ADD COLUMN ref text}]}
  dual_read: {none: no}
  write_activation: {none: no}
  contract: {none: no}
"""
PARTS_OF_PLANS = {"gates", "flags", "sync", "requires", "runbook"}


class Examples(Case):
    """Every ```yaml block of every page is a plan, a project or a part of one, and loads without a finding."""

    def load(self, path, project, plans, fail_on="never"):
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(os.path.join(folder, "plans"))
            with open(os.path.join(folder, "phasegate.yaml"), "w", encoding="utf-8") as f:
                f.write(re.sub(r"^plans: .*", "plans: plans", project, flags=re.M))
            for text in plans:
                said = yaml.load(text, yaml.BaseLoader)
                with open(os.path.join(folder, "plans", "%s-%s.yaml" % (said["timestamp"], said["plan"])), "w",
                          encoding="utf-8") as f:
                    f.write(text)
            said = yaml.load(project, yaml.BaseLoader)
            named = [r.get("statements") for r in said.get("releases", []) + said.get("consumers", [])]
            named = [said.get("baseline")] + [n for one in named for n in (one if isinstance(one, list) else [one])]
            for name in [n for n in named if n]:
                full = os.path.join(folder, name + "all.sql" if name.endswith("/") else name)
                os.makedirs(os.path.dirname(full), exist_ok=True)
                with open(full, "w", encoding="utf-8") as f:
                    f.write("-- name: %s\nSELECT 1;\n" % re.sub(r"\W", "_", name))
            for command in (["check", "--static", "--fail-on", fail_on], ["show", "plans"], ["show", "config", "-e", self.first_environment(project)]):
                done = pgtest.run_phasegate(command, cwd=folder)
                self.assertEqual(done.rc, 0, "%s: %s" % (path, done))

    @staticmethod
    def first_environment(project):
        return next(iter(yaml.load(project, yaml.BaseLoader)["environments"]))

    def test_they_load(self):
        n = 0
        for path in markdown():
            projects, plans = [], []
            for block in console.blocks(path):
                if block.language != "yaml":
                    continue
                n += 1
                where = "%s:%d" % (path, block.line)
                said = yaml.load(block.text, yaml.BaseLoader)
                self.assertIsInstance(said, dict, where)
                if "plan" in said:
                    plans.append(block.text)
                elif "phasegate" in said:
                    projects.append((where, block.text))
                elif set(said) == {"flags"} and "provider" in said["flags"]:
                    part = "".join("    " + line + "\n" for line in block.text.splitlines())
                    projects.append((where, "phasegate: 1\nenvironments:\n  local:\n"
                                            "    databases: {default: {url: x}}\n" + part))
                elif set(said) == {"live_releases"}:
                    part = "".join("    " + line + "\n" for line in block.text.splitlines())
                    projects.append((where, "phasegate: 1\nenvironments:\n  local:\n" + part))
                elif set(said) == {"session"}:
                    part = "".join("    " + line + "\n" for line in block.text.splitlines())
                    projects.append((where, PROJECT % "" + 'releases:\n  - version: "1.0.0"\n    statements: s.sql\n' + part))
                elif set(said) == {"policy"}:
                    projects.append((where, PROJECT % "" + block.text))
                else:
                    self.assertLessEqual(set(said), PARTS_OF_PLANS, "%s: neither plan nor project" % where)
                    self.load(where, PROJECT % "", [PLAN + block.text])
            if plans:
                self.load(path, projects[0][1] if projects else PROJECT % "", plans)
            for where, project in projects:
                self.load(where, project, [])
        self.assertGreater(n, 12)

    def test_a_mistake_is_found(self):
        with self.assertRaises(AssertionError):
            self.load("here", PROJECT % "", [PLAN + "gatez: {}\n"])

    def test_plans_are_clean(self):
        """Of the reference; the plans of the tutorial, of the merge gate and of the rules are run by their own tests."""
        plans = [b.text for path in glob.glob(page("reference", "*.md")) for b in console.blocks(path)
                 if b.language == "yaml" and "plan" in yaml.load(b.text, yaml.BaseLoader)]
        self.assertGreater(len(plans), 1)
        self.load("reference", PROJECT % "", plans, fail_on="warning")

    def test_the_first_plan_is_proved(self):
        plan = next(b.text for b in console.blocks(page("reference", "plan-file.md")) if b.language == "yaml")
        said = yaml.load(plan, yaml.BaseLoader)
        releases = ["1.0.0"] + sorted({p["release"] for p in said["phases"].values() if "release" in p})
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (
                    ("phasegate.yaml", json.dumps({"phasegate": 1, "plans": "plans", "baseline": "baseline.sql", "releases": [
                        {"version": v, "statements": "statements.sql"} for v in releases]})),
                    ("baseline.sql", "CREATE TABLE customers (id bigserial PRIMARY KEY, mail text NOT NULL);\n"),
                    ("statements.sql", "-- name: Add\nINSERT INTO customers (mail) VALUES ($1);\n"
                                       "-- name: Mail\nUPDATE customers SET mail = $2 WHERE id = $1;\n"
                                       "-- name: Get\nSELECT id, mail FROM customers WHERE id = $1;\n"),
                    ("plans/%s-%s.yaml" % (said["timestamp"], said["plan"]), plan)):
                os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
                with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                    f.write(text)
            done = pgtest.run_phasegate(["check", "--format", "json"], cwd=folder)
            report = json.loads(done.stdout)
        self.assertEqual((done.rc, report["findings"]), (0, []))
        self.assertGreater(report["summary"]["probed"], 0)


class Links(Case):
    def test_they_lead_somewhere(self):
        for path in markdown():
            text = re.sub(r"```.*?```", "", read(path), flags=re.S)
            for target in re.findall(r"\]\(([^)\s]+)\)", text):
                if re.match(r"[a-z]+:", target):
                    continue
                file, _, anchor = target.partition("#")
                there = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
                self.assertTrue(os.path.exists(there), "%s: %s" % (path, target))
                if anchor and there.endswith(".md"):
                    heads = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-")
                             for h in re.findall(r"^#+ (.*)", read(there), re.M)}
                    self.assertIn(anchor, heads, "%s: %s" % (path, target))

    def test_named_files_are_there(self):
        for path in markdown():
            text = re.sub(r"https?://\S+", "", read(path))
            for name in re.findall(r"\b(?:src|tests|include|docs|deploy|cmake)/[\w./-]+\.\w+\b", text):
                if not re.search(r"_x\b|/x\b|NNNN", name):
                    self.assertTrue(os.path.exists(os.path.join(pgtest.SRC, name)), "%s names %s" % (path, name))

    def test_the_index_names_every_page(self):
        index = read(page("README.md"))
        for path in glob.glob(page("**", "*.md"), recursive=True):
            if path != page("README.md") and os.path.dirname(path) != page("rules"):  # reference/phases.md names those
                self.assertIn("(%s)" % os.path.relpath(path, DOCS), index)


if __name__ == "__main__":
    unittest.main()

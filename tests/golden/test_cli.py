"""The command line without a server: help, mistakes, exit codes, documents from the tables, formats, secrets.

PHASEGATE_BLESS=1 rewrites tests/golden/*.txt and docs/reference/commands.md; look at the difference before it's committed.
"""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import jsonschema
import pgtest

GOLDEN = os.path.join(pgtest.SRC, "tests", "golden")
BLESS = os.environ.get("PHASEGATE_BLESS") == "1"
COMMANDS = pgtest.run_phasegate(["help"]).stdout.split("\nCommands:\n")[1].split("\n\n")[0]
COMMANDS = [line.split()[0] for line in COMMANDS.splitlines()]

with open(os.path.join(pgtest.SRC, "docs", "output.schema.json"), encoding="utf-8") as _f:
    OUTPUT = jsonschema.Draft202012Validator(json.load(_f))

PROJECT = """phasegate: 1
plans: plans/
releases:
  - {version: "1.0.0", statements: statements/1.0.0.sql}
environments:
  development:
    databases: {default: {url: "%s"}}
    flags: {provider: builtin, url: "%s", token: "${FLAG_TOKEN}", propagation: 1s}
"""


def run(*args, **more):
    return pgtest.run_phasegate(args, **more)


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = folder.name

    def run_here(self, *args, **more):
        return run(*args, cwd=self.dir, **more)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as f:
            return f.read()

    def project(self, url="${DATABASE_URL}", flags="http://127.0.0.1:9"):
        self.write("phasegate.yaml", PROJECT % (url, flags))
        os.makedirs(self.path("plans"), exist_ok=True)
        os.makedirs(self.path("statements"), exist_ok=True)
        self.write("statements/1.0.0.sql", "-- name: Get\nSELECT id FROM orders;\n")
        done = self.run_here("new", "orders-external-ref")
        self.assertEqual(done.rc, 0, done)
        return done.stdout.strip()

    def golden(self, name, text):
        path = os.path.join(GOLDEN, name)
        if BLESS:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
        with open(path, encoding="utf-8") as f:
            self.assertEqual(text, f.read(), "%s differs; PHASEGATE_BLESS=1 rewrites it" % name)


class Help(Case):
    def test_general(self):
        done = run("--help")
        self.assertEqual((done.rc, done.stderr), (0, ""), done)
        self.golden("help.txt", done.stdout)
        self.assertEqual(done.stdout, run("help").stdout)
        self.assertEqual(done.stdout, run("-h").stdout)

    def test_every_command(self):
        self.assertGreater(len(COMMANDS), 20)
        for name in COMMANDS:
            with self.subTest(name):
                done = run(name, "--help")
                self.assertEqual((done.rc, done.stderr), (0, ""), done)
                self.assertTrue(done.stdout.startswith("Example:\n  phasegate " + name), done.stdout)
                self.golden("help_%s.txt" % name, done.stdout)
                self.assertEqual(done.stdout, run("help", name).stdout)
                self.assertEqual(done.stdout, run(name, "-h").stdout)
                self.assertLessEqual(max(map(len, done.stdout.splitlines())), 125)

    def test_version(self):
        done = run("--version")
        self.assertEqual(done.rc, 0, done)
        self.assertRegex(done.stdout, r"^phasegate \d+\.\d+\.\d+( \([0-9a-f]+\))?\n$")
        self.assertEqual(run("-V").stdout, done.stdout)
        self.assertRegex(run("--version", "--format", "json").json["result"]["version"], r"^\d+\.\d+\.\d+$")

    def test_full_disk_is_seen(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([pgtest.BIN, "--help"], stdout=full, stderr=subprocess.PIPE, text=True,
                                  env=pgtest.phasegate_env())
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("standard output", done.stderr)


class Mistakes(Case):
    WORDS = [
        (["statsu"], 'unknown command "statsu"; did you mean "status"?'),
        (["xyzzy"], 'unknown command "xyzzy"\n'),
        ([], "no command given"),
        (["advance", "--relase", "1"], "advance: unknown option --relase; did you mean --release?"),
        (["advance", "--relase=1"], "advance: unknown option --relase; did you mean --release?"),
        (["status", "--release", "1"], "status: unknown option --release"),
        (["status", "-z"], "status: unknown option -z"),
        (["--format", "jsno", "status"], '--format: "jsno" is none of text|json|jsonl; did you mean json?'),
        (["--format", "mermaid", "status"], '--format: "mermaid" is only for phasegate show machine'),
        (["status", "--exit-code=1"], "--exit-code takes no argument"),
        (["advance", "p", "--release"], "--release needs an argument: --release V"),
        (["advance", "p", "--release", ""], "--release: needs V"),
        (["advance", "p", "--release", "1", "--release", "2"], "--release is given twice"),
        (["advance", "p", "--lock-wait", "5"], '--lock-wait: "5" is no time; expected a number with a unit'),
        (["history", "--limit", "-1"], '--limit: "-1" is no number from 0 up'),
        (["history", "--limit", "12x"], '--limit: "12x" is no number from 0 up'),
        (["show", "machin"], 'show: "machin" is none of machine|rules|schema|config|plans; did you mean machine?'),
        (["show"], "show: needs machine|rules|schema|config|plans"),
        (["show", "rules", "x"], 'show rules: one argument too many: "x"'),
        (["show", "schema", "plam"], 'show schema: "plam" is none of check, output, plan, project'),
        (["init", "x"], 'init: one argument too many: "x"'),
        (["new"], "new: needs NAME"),
        (["approve", "p"], "approve: needs PHASE"),
        (["completion", "ksh"], 'completion: "ksh" is none of bash|zsh|fish'),
        (["help", "advnce"], 'unknown command "advnce"; did you mean "advance"?'),
        (["man", "advnce"], 'unknown command "advnce"; did you mean "advance"?'),
        (["-C", "no-such-folder", "status"], "-C no-such-folder: No such file or directory"),
        (["status"], "phasegate.yaml: can't be read"),
        (["-c", "other.yaml", "status"], "other.yaml: can't be read"),
    ]

    def test_words(self):
        for args, expected in self.WORDS:
            with self.subTest(args=args):
                done = self.run_here(*args)
                self.assertEqual((done.rc, done.stdout), (2, ""), done)
                self.assertTrue(done.stderr.startswith("phasegate: "), done)
                self.assertIn(expected, done.stderr)
                self.assertRegex(done.stderr, r"\nHINT: \S")

    IN_PROJECT = [
        (["kill"], "kill: what?"),
        (["kill", "--all", "--flag", "x"], "kill: --all doesn't go with plans or --flag"),
        (["kill", "orders-external-rfe"], 'unknown plan "orders-external-rfe"; did you mean "orders-external-ref"?'),
        (["advance"], "advance: which plan?"),
        (["advance", "--all"], "advance --all: which release?"),
        (["advance", "orders-external-ref", "--all"], "advance: a plan, or --all, and not both"),
        (["advance", "--all", "--release", "1", "--confirm", "x"], "--confirm names one plan"),
        (["guard"], "guard: which release?"),
        (["accept", "orders-external-ref"], "accept: why?"),
        (["approve", "orders-external-ref", "contrat"], '"contrat" is no phase'),
        (["flags", "set"], "flags set: which flag?"),
        (["flags", "get", "a", "b"], "flags get: one argument too many"),
        (["-e", "devlopment", "status"], 'unknown environment "devlopment"'),
        (["new", "Orders"], '"Orders" can\'t be a plan\'s name'),
        (["new", "orders-external-ref"], 'there is a plan "orders-external-ref" already: plans/'),
        (["new", "x", "--compensates", "nobody"], 'unknown plan "nobody"'),
        (["new", "x", "--database", "shop"], '--database: no environment has "shop"; there is: default'),
    ]

    def test_words_in_a_project(self):
        self.project()
        for args, expected in self.IN_PROJECT:
            with self.subTest(args=args):
                done = self.run_here(*args)
                self.assertEqual((done.rc, done.stdout), (2, ""), done)
                self.assertIn(expected, done.stderr)

    def test_percentages(self):
        self.project()
        for word in ("101", "-1", "1.5", "many", "", "25 %"):
            done = self.run_here("flags", "set", "--", "k", word, env={"FLAG_TOKEN": "t"})
            self.assertEqual(done.rc, 2, done)
            self.assertIn("expected a number from 0 to 100, on or off", done.stderr)

    def test_several_environments(self):
        self.write("phasegate.yaml", "phasegate: 1\nenvironments:\n  test: {databases: {default: {url: x}}}\n"
                                     "  live: {databases: {default: {url: x}}}\n")
        os.makedirs(self.path("plans"))
        done = self.run_here("status")
        self.assertEqual(done.rc, 2, done)
        self.assertIn("which environment? phasegate.yaml has several: test, live", done.stderr)
        self.assertEqual(self.run_here("show", "config", "-e", "live").rc, 0)
        self.assertIn("environment live", self.run_here("show", "config", env={"PHASEGATE_ENV": "live"}).stdout)
        self.assertIn("environment test", self.run_here("-etest", "show", "config",
                                                        env={"PHASEGATE_ENV": "live"}).stdout)

    def test_all_problems_are_shown(self):
        plan = self.project()
        self.write(plan, self.read(plan).replace("title:", "titel:").replace("percent: 5,", "percent: 500,"))
        done = self.run_here("status")
        self.assertEqual(done.rc, 2, done)
        self.assertRegex(done.stderr, r'plans/\d+-orders-external-ref.yaml:\d+:\d+: unknown key "titel"')
        self.assertRegex(done.stderr, r"plans/\d+-orders-external-ref.yaml:\d+:\d+: .*percent")
        self.assertIn("problems in the project's files", done.stderr)
        done = self.run_here("status", "--format", "json")
        self.assertGreaterEqual(len(done.json["problems"]), 2, done)
        self.assertEqual(done.json["error"]["kind"], "input")


class Options(Case):
    """Where options may stand, and what is an option."""

    def test_places(self):
        self.project()
        expected = self.run_here("show", "plans").stdout
        self.assertEqual(expected, "orders-external-ref\n")
        for args in (["-q", "show", "plans"], ["show", "-q", "plans"], ["show", "plans", "-q"],
                     ["-C", self.dir, "show", "plans"], ["-C" + self.dir, "show", "plans"], ["-qC", self.dir, "show", "plans"],
                     ["--directory=" + self.dir, "show", "plans"], ["show", "plans", "--directory", self.dir],
                     ["-c", self.path("phasegate.yaml"), "show", "plans"], ["show", "--", "plans"]):
            with self.subTest(args=args):
                done = run(*args, cwd=self.dir if "-C" not in " ".join(args) and "--dir" not in " ".join(args) else "/")
                self.assertEqual((done.rc, done.stdout), (0, expected), done)
        done = run("show", "plans", cwd="/", env={"PHASEGATE_CONFIG": self.path("phasegate.yaml")})
        self.assertEqual((done.rc, done.stdout), (0, expected), done)

    def test_an_argument_may_look_like_a_command(self):
        self.project()
        done = self.run_here("--as", "status", "show", "plans")
        self.assertEqual((done.rc, done.stdout), (0, "orders-external-ref\n"), done)

    def test_quiet(self):
        self.assertNotEqual(self.run_here("init").stderr, "")
        self.assertEqual(self.run_here("init", "-q").stderr, "")


class Documents(Case):
    def test_machine(self):
        self.golden("machine.txt", run("show", "machine").stdout)
        self.golden("machine.mermaid.txt", run("show", "machine", "--format", "mermaid").stdout)

    def test_machine_json_says_the_same(self):
        rows = run("show", "machine", "--format", "json").json["result"]["transitions"]
        text = run("show", "machine").stdout
        self.assertEqual([r["row"] for r in rows], [int(n) for n in re.findall(r"^ +(\d+)  ", text, re.M)])
        self.assertGreater(len(rows), 40)
        mermaid = run("show", "machine", "--format", "mermaid").stdout
        for r in rows:
            if r["from"] != r["to"]:
                arrow = "%s --> %s: %s" % (r["from"].replace(" ", "_"), r["to"].replace(" ", "_"), r["event"])
                self.assertIn(arrow, mermaid)

    def test_rules(self):
        rules = run("show", "rules", "--format", "json").json["result"]["rules"]
        self.assertIn("expand-not-additive", [r["rule"] for r in rules])
        self.golden("rules.txt", run("show", "rules").stdout)

    def test_schemas_are_the_published_ones(self):
        names = run("show", "schema").stdout.split()
        self.assertEqual(names, ["check", "output", "plan", "project"])
        for name in names:
            with open(os.path.join(pgtest.SRC, "docs", name + ".schema.json"), encoding="utf-8") as f:
                text = f.read()
            self.assertEqual(run("show", "schema", name).stdout, text)
            self.assertEqual(run("show", "schema", name, "--format", "json").json["result"][name], json.loads(text))

    def test_reference(self):
        text = run("reference").stdout
        path = os.path.join(pgtest.SRC, "docs", "reference", "commands.md")
        if BLESS:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
        with open(path, encoding="utf-8") as f:
            self.assertEqual(f.read(), text, "phasegate reference > docs/reference/commands.md")

    def test_man_page(self):
        self.assertIsNotNone(shutil.which("groff"), "no groff: apt-get install groff")
        for name in [None] + COMMANDS:
            page = run("man", *([name] if name else [])).stdout
            done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z"], input=page, capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""), name)
        done = subprocess.run(["groff", "-man", "-Tutf8", "-P-c"], input=run("man").stdout, capture_output=True, text=True)
        plain = re.sub(r".\x08", "", done.stdout)
        for name in COMMANDS:
            self.assertIn("phasegate " + name, plain)
        self.assertIn("--lock-wait", plain)

    def test_what_the_build_writes(self):
        share = os.path.join(pgtest.BUILD, "share")
        for path, args in (("man/man1/phasegate.1", ["man"]), ("bash-completion/completions/phasegate", ["completion", "bash"]),
                           ("zsh/site-functions/_phasegate", ["completion", "zsh"]),
                           ("fish/vendor_completions.d/phasegate.fish", ["completion", "fish"])):
            with open(os.path.join(share, path), encoding="utf-8") as f:
                self.assertEqual(f.read(), run(*args).stdout)


class Completion(Case):
    def complete(self, *words):
        """What bash offers for the last word."""
        script = self.path("completion.bash")
        self.write("completion.bash", run("completion", "bash").stdout)
        line = "source %s; COMP_WORDS=(phasegate %s); COMP_CWORD=%d; _phasegate; printf '%%s\\n' \"${COMPREPLY[@]}\"" % (
            script, " ".join("'%s'" % w for w in words), len(words))
        env = pgtest.phasegate_env({"PATH": os.path.dirname(pgtest.BIN) + ":" + os.environ["PATH"]})
        done = subprocess.run(["bash", "--norc", "-c", line], cwd=self.dir, capture_output=True, text=True, env=env)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        return done.stdout.split()

    def test_scripts_parse(self):
        for shell, check in (("bash", ["bash", "-n"]), ("zsh", ["zsh", "-n"]), ("fish", ["fish", "--no-execute"])):
            text = run("completion", shell).stdout
            for name in COMMANDS:
                self.assertIn(name, text)
            if shutil.which(shell) is None:
                self.assertNotEqual(shell, "bash")
                continue
            self.write("script", text)
            done = subprocess.run(check + [self.path("script")], capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""), shell)

    def test_bash_offers(self):
        self.project()
        self.assertEqual(self.complete("adv"), ["advance"])
        self.assertEqual(sorted(self.complete("")), sorted(COMMANDS))
        self.assertEqual(self.complete("advance", "--rel"), ["--release"])
        self.assertEqual(self.complete("status", "--rel"), [])
        self.assertEqual(self.complete("show", "ma"), ["machine"])
        self.assertEqual(self.complete("--format", "js"), ["json", "jsonl"])
        self.assertEqual(self.complete("kill", "or"), ["orders-external-ref"])
        self.assertEqual(self.complete("help", "advan"), ["advance"])


class Scaffold(Case):
    def test_init_new_check(self):
        done = self.run_here("init")
        self.assertEqual(done.rc, 0, done)
        self.assertEqual(sorted(os.listdir(self.dir)), [".gitignore", "phasegate.yaml", "plans", "schema", "statements"])
        self.assertEqual(self.read(".gitignore"), ".phasegate/\nsnapshots/\n")
        done = self.run_here("check", "--static")
        self.assertEqual(done.rc, 0, done)
        self.assertIn("0 errors, 0 warnings, 0 notes; 0 plans, files only", done.stdout)
        paths = [self.run_here("new", name).stdout.strip() for name in ("one", "two", "three")]
        stamps = [os.path.basename(p)[:14] for p in paths]
        self.assertEqual(sorted(set(stamps)), stamps, "same second, and still ascending")
        for path, name in zip(paths, ("one", "two", "three")):
            self.assertRegex(path, r"^plans/\d{14}-%s\.yaml$" % name)
        done = self.run_here("check", "--static")
        self.assertEqual(done.rc, 0, done)
        self.assertIn("; 3 plans, files only", done.stdout)
        self.assertEqual(self.run_here("show", "plans").stdout, "one\ntwo\nthree\n")

    def test_init_keeps_what_is_there(self):
        self.write("phasegate.yaml", "mine\n")
        self.write(".gitignore", "*.o\n")
        done = self.run_here("init")
        self.assertEqual(done.rc, 0, done)
        self.assertEqual((self.read("phasegate.yaml"), self.read(".gitignore")), ("mine\n", "*.o\n"))
        self.assertIn("kept phasegate.yaml", done.stdout)
        self.assertIn("made plans/", done.stdout)
        self.assertIn("add the line .phasegate/", done.stderr)

    def test_skeleton(self):
        self.run_here("init")
        text = self.read(self.run_here("new", "a-b", "--title", 'say "x"', "--as", "me").stdout.strip())
        self.assertIn('title: "say \\"x\\""\nauthor: "me"\n', text)
        for part in ("expand:", "dual_read:", "write_activation:", "contract:", "steps: []", "backfill: []", "verify: []",
                     "reverse:", "undo"):
            self.assertIn(part, text)
        self.assertEqual(re.findall(r'release: "([^"]+)"', text), ["1.1.0", "1.2.0", "1.3.0", "1.5.0"])
        for part in ("tests:", "data_checks:"):  # nothing uses them in this version
            self.assertNotIn(part, text)

    def test_releases_of_the_skeleton(self):
        for listed, expected in (('{version: "7"}', ["8", "9", "10", "12"]),
                                 ('{version: "4.1"}, {version: "4.2", planned: true}', ["4.2", "4.3", "4.4", "4.6"]),
                                 ("{version: spring}", ["spring.1", "spring.2", "spring.3", "spring.5"])):
            with self.subTest(listed):
                for name in os.listdir(self.dir):
                    shutil.rmtree(self.path(name)) if os.path.isdir(self.path(name)) else os.unlink(self.path(name))
                self.write("phasegate.yaml", "phasegate: 1\nreleases: [%s]\nenvironments: {a: {databases: {d: {url: x}}}}\n"
                           % re.sub(r"(version: \S+?)([,}])", r"\1, statements: s.sql\2", listed))
                self.write("s.sql", "-- name: One\nSELECT 1;\n")
                done = self.run_here("new", "x")
                self.assertEqual(done.rc, 0, done)
                self.assertEqual(re.findall(r'release: "([^"]+)"', self.read(done.stdout.strip())), expected)
                done = self.run_here("check", "--static")
                self.assertEqual(done.rc, 0, done)

    def test_compensates(self):
        self.project()
        path = self.run_here("new", "undo-it", "--compensates", "orders-external-ref").stdout.strip()
        self.assertIn("\ncompensates: orders-external-ref\n", self.read(path))
        self.assertEqual(self.run_here("check", "--static").rc, 0)

    def test_two_databases(self):
        self.write("phasegate.yaml", "phasegate: 1\nenvironments:\n  a: {databases: {default: {url: x}, shop: {url: y}}}\n")
        done = self.run_here("new", "x")
        self.assertEqual(done.rc, 2, done)
        self.assertIn("which database? The project has several: default, shop", done.stderr)
        path = self.run_here("new", "x", "--database", "shop").stdout.strip()
        self.assertRegex(path, r"^plans/shop/\d{14}-x\.yaml$")
        self.assertIn("\ndatabase: shop\n", self.read(path))
        self.assertEqual(self.run_here("check", "--static").rc, 0)

    def test_many_at_once_differ(self):
        self.run_here("init")
        jobs = [threading.Thread(target=self.run_here, args=("new", "p%d" % i)) for i in range(8)]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join()
        names = [n for n in os.listdir(self.path("plans")) if n.endswith(".yaml")]
        self.assertEqual(len({n[:14] for n in names}), 8, names)
        self.assertEqual(self.run_here("check", "--static").rc, 0)


class Check(Case):
    def problems(self, project):
        self.write("phasegate.yaml", project)
        os.makedirs(self.path("plans"), exist_ok=True)
        done = self.run_here("--format", "json", "check")
        self.assertEqual(done.rc, 2, done)
        return done.json["problems"]

    def test_a_folder_of_plans_that_is_not_there(self):
        [p] = self.problems(PROJECT.replace("plans: plans/", "plans: plan/") % ("x", "http://127.0.0.1:9"))
        self.assertEqual((p["file"], p["line"], p["column"]), ("phasegate.yaml", 2, 8))
        self.assertIn('"plans": the folder plan can\'t be read', p["message"])
        self.assertEqual(p["hint"], 'did you mean "plans"?')

    def test_a_variable_that_is_not_closed(self):
        for url, what in (("${DATABASE_URL", "a ${ without its }"), ("${}", "without a name"), ("${A-B}", "without a name")):
            [p] = self.problems(PROJECT % (url, "http://127.0.0.1:9"))
            self.assertEqual((p["line"], p["expected"]), (7, "${NAME}, the name of an environment variable"))
            self.assertIn(what, p["message"])
        [p] = self.problems(PROJECT.replace("${FLAG_TOKEN}", "${FLAG_TOKEN") % ("x", "http://127.0.0.1:9"))
        self.assertEqual(p["line"], 8)

    def test_a_provider_of_a_later_version(self):
        for provider in ("launchdarkly", "flipt"):
            [p] = self.problems(PROJECT.replace("builtin", provider) % ("x", "http://127.0.0.1:9"))
            self.assertEqual((p["line"], p["message"]), (8, '"provider" is ' + provider))
            self.assertIn("unleash", p["expected"])

    def test_a_percentage_that_is_none_is_said_once(self):
        path = self.project()
        text = self.read(path)
        self.assertIn("{percent: 10, pause: 15m}\n      - {percent: 100}", text)
        self.write(path, text.replace("{percent: 10, pause: 15m}\n      - {percent: 100}", "{percent: 50}\n      - {percent: 110}"))
        [p] = self.run_here("--format", "json", "check").json["problems"]
        self.assertIn('"percent" is 110', p["message"])

    def test_a_mistake_has_a_next_command(self):
        self.problems(PROJECT.replace("builtin", "flipt") % ("x", "http://127.0.0.1:9"))
        self.assertIn("HINT: mend it, then: phasegate check", self.run_here("status").stderr)

    def test_a_finding_of_a_rule(self):
        plan = self.project()
        text = self.read(plan)
        self.write(plan, text.replace("    steps: []\n    #  - {id: column",
                                      "    steps: [{id: gone, sql: DROP TABLE orders}]\n    #  - {id: column"))
        done = self.run_here("check", "--static")
        self.assertEqual(done.rc, 1, done)
        self.assertRegex(done.stdout, r"plans/\d+-orders-external-ref\.yaml:\d+:\d+: error\[destructive-outside-contract\]")
        result = self.run_here("check", "--static", "--format", "json").json
        self.assertIn("destructive-outside-contract", [f["rule"] for f in result["findings"]])

    def test_unreadable(self):
        plan = self.project()
        self.write(plan, "plan: [\n")
        done = self.run_here("check", "--static")
        self.assertEqual(done.rc, 2, done)
        self.assertRegex(done.stdout + done.stderr, r"plans/\d+-orders-external-ref\.yaml:\d+:\d+: ")

    def test_sql_that_is_none(self):
        plan = self.project()
        self.write(plan, self.read(plan).replace("    steps: []\n    #  - {id: column",
                                                 "    steps: [{id: bad, sql: ALTER TABL orders}]\n    #  - {id: column"))
        done = self.run_here("check", "--static")
        self.assertEqual(done.rc, 2, done)
        self.assertRegex(done.stderr, r"\.yaml:\d+:\d+: .*syntax error")

    def test_only_the_plan_asked_for(self):
        good = self.project()
        bad = self.run_here("new", "bad").stdout.strip()
        self.write(bad, self.read(bad).replace("title:", "titel:"))
        self.assertEqual(self.run_here("check", "--static").rc, 2)
        # A proof over half of the plans is none.
        done = self.run_here("check", "--static", "orders-external-ref")
        self.assertEqual(done.rc, 2, done)
        self.assertIn(bad, done.stderr)
        self.assertTrue(os.path.exists(self.path(good)))


class Silent(threading.Thread):
    """Takes connections and never answers: a request to it is in doubt, a session never begins."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.socket.getsockname()[1]
        self.taken = []
        self.start()

    def run(self):
        while True:
            try:
                self.taken.append(self.socket.accept()[0])
            except OSError:
                return

    def close(self):
        self.socket.close()
        for s in self.taken:
            s.close()


class ExitCodes(Case):
    """Those that can be reached without a server. The others are in tests/db."""

    def silent(self):
        server = Silent()
        self.addCleanup(server.close)
        return server

    def test_3_database(self):
        self.project(url="postgresql:///shop?host=%s" % self.dir)
        for args in (["status"], ["doctor"], ["history"], ["advance", "orders-external-ref", "--release", "1.1.0"],
                     ["guard", "--release", "1.0.0"], ["pause", "orders-external-ref"]):
            done = self.run_here(*args, env={"FLAG_TOKEN": "t"})
            self.assertEqual(done.rc, 3, done)
        done = self.run_here("status", "--format", "json", env={"FLAG_TOKEN": "t"})
        self.assertEqual((done.rc, done.json["error"]["kind"], done.json["error"]["retryable"]), (3, "unreachable", True))

    def test_3_kill_not_sent(self):
        self.project(flags="http://127.0.0.1:%d" % pgtest.free_port())
        done = self.run_here("kill", "orders-external-ref", "--wait", "1s", env={"FLAG_TOKEN": "t"})
        self.assertEqual(done.rc, 3, done)
        self.assertEqual(done.stdout.count("NOT SENT"), 2)

    def test_5_kill_in_doubt(self):
        self.project(flags="http://127.0.0.1:%d" % self.silent().port)
        done = self.run_here("kill", "--flag", "k", "--wait", "1s", "--format", "json", env={"FLAG_TOKEN": "t"})
        self.assertEqual(done.rc, 5, done)
        self.assertTrue(done.json["result"]["targets"][0]["in_doubt"], done)

    def test_2_unset_variable_is_named(self):
        self.project()
        done = self.run_here("kill", "orders-external-ref")
        self.assertEqual(done.rc, 2, done)
        self.assertIn("this environment variable is not set: FLAG_TOKEN", done.stderr)
        done = self.run_here("status")
        self.assertIn("this environment variable is not set: DATABASE_URL", done.stderr)

    def test_kill_needs_no_database_and_no_other_variable(self):
        self.project(flags="http://127.0.0.1:%d" % pgtest.free_port())
        done = self.run_here("kill", "orders-external-ref", "--wait", "1s", env={"FLAG_TOKEN": "t"})
        self.assertNotIn("DATABASE_URL", done.stdout + done.stderr)
        self.assertEqual(done.rc, 3, done)

    def test_kill_goes_on_with_broken_files_beside_it(self):
        self.project(flags="http://127.0.0.1:%d" % pgtest.free_port())
        bad = self.run_here("new", "bad").stdout.strip()
        self.write(bad, "plan: [\n")
        done = self.run_here("kill", "orders-external-ref", "--wait", "1s", env={"FLAG_TOKEN": "t"})
        self.assertEqual(done.rc, 3, done)
        self.assertIn("the kill goes on with what could be read", done.stderr)

    def test_flag_server_stops_well_and_locks_its_file(self):
        self.write("token", "secret-admin-token-1\n")
        args = ["flag-server", "--port", "0", "--state", "flags.json", "--token-file", "token"]
        for number in (signal.SIGTERM, signal.SIGINT):
            server = pgtest.Running(args, cwd=self.dir)
            try:
                url = pgtest.wait_until(lambda: server.stdout.strip(), what="the server's URL")
                self.assertRegex(url, r"^http://127\.0\.0\.1:\d+$")
                done = self.run_here(*args)
                self.assertEqual(done.rc, 6, done)
                server.signal(number)
                done = server.wait()
                self.assertEqual(done.rc, 0, done)
                self.assertNotIn("secret-admin", done.stdout + done.stderr)
            finally:
                if server.is_running():
                    server.kill()

    def test_130_and_143(self):
        self.project(url="postgresql://u@127.0.0.1:%d/shop?sslmode=disable&gssencmode=disable" % self.silent().port)
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            process = pgtest.Running(["status"], cwd=self.dir, env={"FLAG_TOKEN": "t"})
            try:
                time.sleep(1.0)
                self.assertTrue(process.is_running())
                process.signal(number)
                time.sleep(0.3)
                if process.is_running():
                    process.signal(number)
                done = process.wait(timeout=8)
                self.assertEqual(done.rc, code, done)
            finally:
                if process.is_running():
                    process.kill()


class Formats(Case):
    ARGS = {"new": ["Bad Name"], "check": ["nobody"], "pause": ["nobody"], "resume": ["nobody"], "rollback": ["nobody"],
            "restore": ["nobody"], "purge": ["nobody"], "approve": ["nobody", "expand"], "accept": ["nobody"],
            "show": ["machin"], "completion": ["ksh"], "man": ["nobody"], "help": ["nobody"]}

    def valid(self, done, command):
        OUTPUT.validate(done.json)
        self.assertEqual(done.json["command"], command, done)
        self.assertEqual(done.json["exit_code"], done.rc, done)
        self.assertEqual(done.json["ok"], done.rc == 0, done)

    def test_every_error_is_one_object(self):
        for project in (False, True):
            if project:
                self.project()
            for name in COMMANDS:
                for args in ([name, "--no-such-option"], [name, *self.ARGS.get(name, ["surplus", "surplus", "x", "y"])]):
                    with self.subTest(args=args, project=project):
                        done = self.run_here("--format", "json", *args)
                        self.assertEqual(done.rc, 2, done)
                        self.valid(done, name)
                        self.assertEqual(done.stdout.count("\n"), 1)
                        self.assertIn(done.json["error"]["kind"], ("usage", "input", "config"))
                        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done)

    def test_answers(self):
        self.run_here("init")
        self.run_here("new", "one")
        for args in (["show", "machine"], ["show", "rules"], ["show", "schema"], ["show", "config"], ["show", "plans"],
                     ["man"], ["completion", "bash"], ["reference"], ["help"], ["init"], ["new", "two"]):
            for place in (["--format=json", *args], [*args, "--format", "json"]):
                if args[0] == "new":
                    place = [a if a != "two" else "two%d" % len(os.listdir(self.path("plans"))) for a in place]
                done = self.run_here(*place)
                self.assertEqual(done.rc, 0, done)
                self.valid(done, args[0])
                self.assertIn("result", done.json)

    def test_unknown_command(self):
        done = run("--format", "json", "statsu")
        OUTPUT.validate(done.json)
        self.assertEqual(done.json["command"], "")

    def test_jsonl_ends_with_the_object(self):
        self.project(flags="http://127.0.0.1:%d" % pgtest.free_port())
        done = self.run_here("kill", "orders-external-ref", "--wait", "1s", "--format", "jsonl", env={"FLAG_TOKEN": "t"})
        self.assertEqual([line.get("event") == "end" for line in done.lines],
                         [False] * (len(done.lines) - 1) + [True], done)
        OUTPUT.validate(done.lines[-1])

    def test_no_escape_sequences_off_a_terminal(self):
        self.project()
        for args in (["check", "--static"], ["status"], ["show", "machine"]):
            done = self.run_here(*args)
            self.assertNotIn("\x1b", done.stdout + done.stderr)

    def test_control_characters_from_outside_are_cleaned(self):
        done = run("new\x1b[31m")
        self.assertNotIn("\x1b", done.stderr)
        self.assertEqual(done.rc, 2)


class Secrets(Case):
    SECRET = "hunter2-Zq9xW"

    def test_never_printed(self):
        self.project(url="postgresql://app:${DB_SECRET}@127.0.0.1:%d/shop" % pgtest.free_port(),
                     flags="http://user:%s@127.0.0.1:%d/x?token=%s" % (self.SECRET, pgtest.free_port(), self.SECRET))
        env = {"DB_SECRET": self.SECRET, "FLAG_TOKEN": self.SECRET}
        reached = 0
        for args in (["status"], ["status", "--flags"], ["advance", "orders-external-ref", "--release", "1.1.0"],
                     ["advance", "orders-external-ref", "--release", "1.1.0", "--dry-run"], ["doctor"], ["history"],
                     ["guard", "--release", "1.0.0"], ["kill", "orders-external-ref", "--wait", "1s"], ["flags"],
                     ["flags", "get", "orders-external-ref-read"], ["flags", "reconcile"], ["check"], ["show", "config"],
                     ["pause", "orders-external-ref"]):
            for format_ in ("text", "json", "jsonl"):
                done = self.run_here(*args, "-v", "--format", format_, env=env)
                self.assertNotIn(self.SECRET, done.stdout + done.stderr)
                reached += done.rc == 3
        self.assertGreater(reached, 15, "hardly anything got as far as its secrets")
        for folder, _, names in os.walk(self.path(".phasegate")):
            for name in names:
                with open(os.path.join(folder, name), encoding="utf-8") as f:
                    self.assertNotIn(self.SECRET, f.read())

    def test_token_file_of_the_flag_server(self):
        done = self.run_here("flag-server", "--token-file", "nope", "--port", "0")
        self.assertEqual(done.rc, 2 if "config" in done.stderr else done.rc, done)
        self.assertIn("--token-file", done.stderr)
        self.assertIn("HINT:", done.stderr)
        self.write("token", "x" * 32 + "\n")
        os.chmod(self.path("token"), 0o644)
        with pgtest.start_phasegate(["flag-server", "--token-file", "token", "--port", "0"], cwd=self.dir) as server:
            pgtest.wait_until(lambda: "http://" in server.stdout, what="the server")
            self.assertIn("others can read token (mode 0644): chmod 600 token", server.stderr)
            server.signal(signal.SIGTERM)
            server.wait(20)
        os.chmod(self.path("token"), 0o600)
        with pgtest.start_phasegate(["flag-server", "--token-file", "token", "--port", "0"], cwd=self.dir) as server:
            pgtest.wait_until(lambda: "http://" in server.stdout, what="the server")
            self.assertNotIn("others can read", server.stderr)
            server.signal(signal.SIGTERM)
            server.wait(20)

    def test_token_file(self):
        self.write("phasegate.yaml", (PROJECT % ("x", "http://127.0.0.1:9")).replace('token: "${FLAG_TOKEN}"',
                                                                                    "token_file: flag.token"))
        os.makedirs(self.path("plans"))
        done = self.run_here("kill", "--flag", "k", "--wait", "1s")
        self.assertEqual(done.rc, 2, done)
        self.assertIn("flag.token", done.stderr)
        self.write("flag.token", "\n")
        done = self.run_here("kill", "--flag", "k", "--wait", "1s")
        self.assertEqual(done.rc, 2, done)
        self.assertIn("no token in it", done.stderr)
        self.write("flag.token", self.SECRET + "\n")
        done = self.run_here("kill", "--flag", "k", "--wait", "1s")
        self.assertEqual(done.rc, 3, done)
        self.assertNotIn(self.SECRET, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()

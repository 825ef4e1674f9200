"""A project in a folder of its own, with a database and flags in a file, for tests that drive the binary.

    import project

    class Advance(project.Case):
        def test_x(self):
            p = self.project(plans=[project.plan("orders-ref")])
            p.db.psql("CREATE TABLE orders (id bigint PRIMARY KEY, legacy_ref text)")
            p.ok("advance", "orders-ref", "--release", "1.1.0")
            self.assertEqual(p.stage("orders-ref"), "expand done")

Files are written as JSON, which is YAML. Releases are 1.0.0 to 1.9.0; the four phases of plan() are bound to
1.1.0, 1.2.0, 1.3.0 and 1.5.0.
"""

import json
import os
import shutil
import subprocess
import tempfile
import unittest

import pgtest

RELEASES = ["1.%d.0" % i for i in range(10)]
PHASES = ("expand", "dual_read", "write_activation", "contract")
BOUND = dict(zip(PHASES, ("1.1.0", "1.2.0", "1.3.0", "1.5.0")))

# Data and rows of the ledger must be the same before and after; its pg_dump is taken without these lines.
_VOLATILE = ("--", "\\restrict", "\\unrestrict", "SET ", "SELECT pg_catalog.set_config")


def step(name, sql, **more):
    return dict({"id": name, "sql": sql}, **more)


def phase(name, **parts):
    return dict({"release": BOUND[name]}, **parts)


def plan(name, stamp=20260101000000, phases=None, **more):
    """A plan of the phases given; the others are absent with a reason."""
    body = {"phasegate": 1, "plan": name, "timestamp": stamp, "title": "Test " + name, "author": "tests"}
    body.update(more)
    body["phases"] = {ph: {"none": "not part of this test"} for ph in PHASES}
    body["phases"].update(phases or {})
    return body


def column_plan(name="orders-ref", stamp=20260101000000, phases=None, **more):
    """Orders get a column: one step in expand, nothing else."""
    parts = {"expand": phase("expand", steps=[step("column", "ALTER TABLE orders ADD COLUMN external_ref text")])}
    parts.update(phases or {})
    return plan(name, stamp, parts, **more)


def full_plan(name="orders-ref", stamp=20260101000000, pause="0s", sync=None, phases=None, **more):
    """All four phases over orders(id, legacy_ref): sync by trigger, backfill, both rollouts, a soft drop."""
    parts = {
        "expand": phase("expand", steps=[
            step("column", "ALTER TABLE orders ADD COLUMN external_ref text"),
            step("index", "CREATE INDEX CONCURRENTLY orders_external_ref ON orders (external_ref)")]),
        "dual_read": phase("dual_read", backfill=[{"id": "fill"}],
                           rollout=[{"percent": 10, "pause": pause}, {"percent": 100}]),
        "write_activation": phase("write_activation", rollout=[{"percent": 50, "pause": pause}, {"percent": 100}],
                                  verify=[{"id": "filled", "expect": "= 0",
                                           "sql": "SELECT count(*) FROM orders WHERE external_ref IS DISTINCT FROM legacy_ref"}]),
        "contract": phase("contract", steps=[step("drop-legacy", "ALTER TABLE orders DROP COLUMN legacy_ref")], hold="0s"),
    }
    parts.update(phases or {})
    body = plan(name, stamp, parts, **more)
    body.setdefault("flags", {"read": {"key": name + "-read"}, "write": {"key": name + "-write"}})
    body["sync"] = sync or {"table": "orders", "forward": {"external_ref": "legacy_ref"},
                            "reverse": {"legacy_ref": "external_ref"}, "by": "trigger"}
    return body


ORDERS = """CREATE TABLE orders (id bigint PRIMARY KEY, legacy_ref text);
INSERT INTO orders SELECT i, 'R' || i FROM generate_series(1, 500) i"""


class Project:
    """.dir, .db, .env (of commands); run(), ok(), json(), start(), write_plan(), flag(), stage()."""

    def __init__(self, plans=(), environment="staging", policy=None, env_policy=None, flags="file", live=None,
                 releases=None, db=None, baseline=ORDERS, snapshots={"to": "snapshots"}):
        self.dir = tempfile.mkdtemp(prefix="pg-project.")
        self.db = db or pgtest.cluster().create_database()
        if baseline:
            self.db.psql(baseline)
        self.env = {"DATABASE_URL": self.db.url}
        self.environment = {"databases": {"default": {"url": "${DATABASE_URL}"}}}
        if flags == "file":
            self.environment["flags"] = {"provider": "file", "path": "flags.json", "propagation": "10ms"}
        elif flags:
            self.environment["flags"] = flags
        if snapshots:
            self.environment["snapshots"] = snapshots
        if live:
            self.environment["live_releases"] = live
        if env_policy:
            self.environment["policy"] = env_policy
        self.body = {"phasegate": 1, "plans": "plans/",
                     "releases": [{"version": v, "planned": True} for v in (releases or RELEASES)],
                     "environments": {environment: self.environment}}
        if policy:
            self.body["policy"] = policy
        os.mkdir(os.path.join(self.dir, "plans"))
        self.write()
        for body in plans:
            self.write_plan(body)

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        self.db.drop()

    # ---- files

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def put(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)

    def write(self):
        self.put("phasegate.yaml", json.dumps(self.body, indent=1))

    def plan_file(self, body):
        return "plans/%s-%s.yaml" % (body["timestamp"], body["plan"])

    def write_plan(self, body):
        self.put(self.plan_file(body), json.dumps(body, indent=1))

    # ---- commands

    def run(self, *args, env=None, **more):
        return pgtest.run_phasegate(args, cwd=self.dir, env=dict(self.env, **(env or {})), **more)

    def start(self, *args, env=None):
        return pgtest.start_phasegate(args, cwd=self.dir, env=dict(self.env, **(env or {})))

    def exits(self, code, *args, **more):
        done = self.run(*args, **more)
        if done.rc != code:
            raise AssertionError("exit code %d expected\n%s" % (code, done))
        return done

    def ok(self, *args, **more):
        return self.exits(0, *args, **more)

    def json(self, *args, code=0, **more):
        """The whole answer; its envelope is checked."""
        done = self.exits(code, "--format", "json", *args, **more)
        answer = done.json
        command = next(a for a, before in zip(args, ("",) + args) if not a.startswith("-") and before != "--as")
        for key, value in (("version", 1), ("command", command), ("ok", code == 0), ("exit_code", code)):
            if answer.get(key) != value:
                raise AssertionError("%s is %r, expected %r\n%s" % (key, answer.get(key), value, done))
        return answer

    def refused(self, reason, *args, **more):
        """Exit code 4 with this reason; returns the error."""
        answer = self.json(*args, code=4, **more)
        if answer["error"]["kind"] != "refused" or answer["error"]["reason"] != reason:
            raise AssertionError("reason %r expected: %s" % (reason, json.dumps(answer, indent=1)))
        return answer["error"]

    def advance(self, name, release, *more):
        return self.json("advance", name, "--release", release, *more)["result"]["plans"][0]

    def advance_through(self, name, last):
        for ph in PHASES:
            self.ok("advance", name, "--release", BOUND[ph])
            if ph == last:
                return

    def status(self, name):
        return self.json("status", name)["result"]["plans"][0]

    # ---- the world

    def stage(self, name):
        return self.db.value("SELECT stage FROM phasegate.plan_state WHERE plan = '%s'" % name)

    def brake(self, name):
        return self.db.value("SELECT brake FROM phasegate.plan_state WHERE plan = '%s'" % name)

    def task_rows(self, name, task):
        """Statuses of a task in the journal, oldest first."""
        return self.db.column("SELECT status FROM phasegate.migration_history WHERE plan = '%s' AND step = '%s' "
                              "ORDER BY seq" % (name, task))

    def columns(self, table="orders"):
        return self.db.column("SELECT attname FROM pg_attribute WHERE attrelid = '%s'::regclass AND attnum > 0 "
                              "AND NOT attisdropped ORDER BY attnum" % table)

    def flag(self, key):
        """Percent in flags.json as an application would get it; None when the flag isn't there."""
        try:
            with open(self.path("flags.json"), encoding="utf-8") as f:
                flag = json.load(f).get("flags", {}).get(key)
        except FileNotFoundError:
            return None
        if flag is None:
            return None
        if flag["state"] != "ENABLED":
            return 0
        if flag.get("targeting"):
            shares = flag["targeting"]["if"][1]["fractional"]
            return dict(s for s in shares if isinstance(s, list))["on"]
        return 100 if flag["defaultVariant"] == "on" else 0

    def dump(self):
        """Schema and data of the whole database, the ledger included."""
        done = subprocess.run(["pg_dump", "--inserts", self.db.url], capture_output=True, text=True, check=True)
        return [line for line in done.stdout.splitlines() if line and not line.startswith(_VOLATILE)]

    def schema(self):
        """Schema without the ledger."""
        done = subprocess.run(["pg_dump", "--schema-only", "-N", "phasegate", "-N", "phasegate_hold", self.db.url], capture_output=True, text=True, check=True)
        return [line for line in done.stdout.splitlines() if line and not line.startswith(_VOLATILE)]

    def triggers(self, table="orders"):
        return self.db.column("SELECT tgname FROM pg_trigger WHERE tgrelid = '%s'::regclass AND NOT tgisinternal" % table)

    def tree(self):
        """Every file of the project with its bytes."""
        found = {}
        for folder, _, names in os.walk(self.dir):
            for name in names:
                with open(os.path.join(folder, name), "rb") as f:
                    found[os.path.relpath(os.path.join(folder, name), self.dir)] = f.read()
        return found


class Case(unittest.TestCase):
    maxDiff = None

    def project(self, *args, **more):
        p = Project(*args, **more)
        self.addCleanup(p.close)
        return p

    def through_contract(self, hold="0s", before="", **more):
        """A project whose plan, full_plan(**more), has hidden what it hides. before: SQL that runs before its first phase."""
        body = full_plan(**more)
        body["phases"]["contract"]["hold"] = hold
        p = self.project(plans=[body])
        if before:
            p.db.psql(before)
        p.advance_through("orders-ref", "contract")
        return p

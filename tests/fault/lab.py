"""A project with every kind of step, its states between the commands, and comparing a crashed run with a whole one.

    lab = lab_of("dual_read")                  # everything before dual_read has run, once
    with lab.world() as w:                     # a copy of that state: database, flags, journal folder
        w.run(fault="kill-before:7")           # the command that the lab is about
        w.run()
        w.fingerprint() == lab.expected

A state is a template database, the flag server's file, the local journal folder and what the command step wrote.
Every world has its own copies, so worlds run side by side.
"""

import hashlib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import unittest
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pgtest

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT = os.path.join(HERE, "project")
PLAN = "everything"
PLAN_FILE = os.path.join("plans", "20261114093000-everything.yaml")
TOKEN = "token-of-the-fault-tests"
TOGETHER = 3
_numbers = itertools.count(1)

# name of the command: what comes before it, its arguments
COMMANDS = {
    "expand": (None, ["advance", PLAN, "--release", "1.1.0"]),
    "dual_read": ("expand", ["advance", PLAN, "--release", "1.2.0"]),
    "write_activation": ("dual_read", ["advance", PLAN, "--release", "1.3.0"]),
    "contract": ("write_activation", ["advance", PLAN, "--release", "1.5.0"]),
    "purge": ("contract", ["purge", PLAN, "--confirm", PLAN]),
    "restore": ("contract", ["restore", PLAN]),
    "rollback_expand": ("expand", ["rollback", PLAN]),
    "rollback_dual_read": ("dual_read", ["rollback", PLAN]),
    "rollback_write_activation": ("write_activation", ["rollback", PLAN]),
}

LEDGER = {
    "plan_state": """SELECT plan, stage, brake, waiting_for, read_percent, write_percent, verified, first_write_rung,
                            rung_confirmed_at IS NULL, hold_until IS NULL
                     FROM phasegate.plan_state ORDER BY plan""",
    "steps": """SELECT DISTINCT ON (plan, phase, step) plan, phase, step, kind, status, checksum, undo_sql
                FROM phasegate.migration_history WHERE kind NOT IN ('transition', 'note', 'snapshot', 'restore_point') AND step IS NOT NULL
                ORDER BY plan, phase, step, seq DESC""",
    "done": """SELECT plan, phase, step, status, count(*) FROM phasegate.migration_history
               WHERE status IN ('done', 'undone') GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4""",
    "transitions": """SELECT DISTINCT ON (plan, phase) plan, phase, step
                      FROM phasegate.migration_history WHERE kind = 'transition' ORDER BY plan, phase, seq DESC""",
    # A value that the crashed run had set is found in place by the next one: as good as set.
    "flags": """SELECT DISTINCT ON (flag) plan, flag, role, environment, desired, replace(answer, 'nochange', 'ok')
                FROM phasegate.flag_change ORDER BY flag, at DESC""",
    "backfills": """SELECT plan, name, status, rows_changed FROM phasegate.backfill_job ORDER BY plan, name""",
    "soft drops": """SELECT plan, step, object_kind, original_name, restored_at IS NOT NULL, purged_at IS NOT NULL
                     FROM phasegate.soft_drop ORDER BY 1, 2, 3, 4""",
    # A killed run may have set or taken one that the next run didn't take for its own.
    "points": "SELECT DISTINCT plan, phase FROM phasegate.restore_point ORDER BY 1, 2",
    "saved": "SELECT count(*) > 0 FROM phasegate.snapshot WHERE verified_at IS NOT NULL",
    "window": "SELECT oldest, newest, why FROM phasegate.release_window",
}


class State:
    """Between two commands: a template database and a folder."""

    def __init__(self, server, name):
        self.server, self.name = server, name
        self.folder = tempfile.mkdtemp(prefix="pgf.")

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.name:
            self.server.psql('DROP DATABASE IF EXISTS "%s" WITH (FORCE)' % self.name)


def change_project(project, plan=None, settings=None):
    """{old: new} in the texts of a project's copy."""
    for path, texts in ((PLAN_FILE, plan), ("phasegate.yaml", settings)):
        with open(os.path.join(project, path), encoding="utf-8") as f:
            text = f.read()
        for old, new in (texts or {}).items():
            if old not in text:
                raise AssertionError("%r isn't in %s" % (old, path))
            text = text.replace(old, new, 1)
        with open(os.path.join(project, path), "w", encoding="utf-8") as f:
            f.write(text)


class World:
    """A copy of a state that a command may be run in. Close it."""

    def __init__(self, server, state, project=PROJECT):
        self.server, self.project = server, project
        self.folder = tempfile.mkdtemp(prefix="pgf.")
        self.db = pgtest.Database(server, "f_%d_%s" % (os.getpid(), os.path.basename(self.folder)[4:].lower()))
        shutil.copytree(state.folder, self.folder, dirs_exist_ok=True)
        server.psql('CREATE DATABASE "%s" TEMPLATE "%s"' % (self.db.name, state.name or "template0"))
        self.flag_server = None
        self.start_flags()

    def own_project(self, **changes):
        """From here on a copy of the project, its texts changed: plan={old: new}, settings={old: new}."""
        copy = os.path.join(self.folder, "project")
        shutil.copytree(self.project, copy)
        self.project = copy
        self.change(**changes)

    def change(self, **changes):
        change_project(self.project, **changes)

    # ---- flag service ------------------------------------------------------------------------------------

    def start_flags(self, port=0):
        token = os.path.join(self.folder, "token")
        with open(token, "w", encoding="utf-8") as f:
            f.write(TOKEN + "\n")
        self.flag_server = pgtest.start_phasegate(
            ["flag-server", "--port", port, "--state", os.path.join(self.folder, "flags.json"), "--token-file", token],
            cwd=self.folder)
        self.flags_url = pgtest.wait_until(self._flags_url, 30, 0.01, "the flag server")

    def _flags_url(self):
        if not self.flag_server.is_running():
            raise AssertionError("the flag server ended: " + self.flag_server.stderr)
        return self.flag_server.stdout.strip()

    def stop_flags(self):
        if self.flag_server:
            self.flag_server.signal(signal.SIGKILL)
            self.flag_server.close()
            self.flag_server = None

    def _admin(self, method, path, body=None, **headers):
        headers.update({"Authorization": "Bearer " + TOKEN, "Content-Type": "application/json"})
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.flags_url + "/admin/v1/flags" + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def flags(self):
        """{key: percent}"""
        return {f["key"]: f["percent"] for f in self._admin("GET", "")["flags"]}

    def make_flag(self, key, percent=0):
        self._admin("PUT", "/" + key, {"percent": percent, "by": "somebody"}, **{"If-None-Match": "*"})

    def later(self, seconds=600):
        """As if so much time had passed since the local journal was written: a write that was in flight when its
        process died is in doubt for some minutes, and who comes back sooner waits for the rest of them."""
        folder = os.path.join(self.folder, "state")
        for name in os.listdir(folder) if os.path.isdir(folder) else []:
            path = os.path.join(folder, name)
            with open(path, encoding="utf-8") as f:
                text = f.read()
            text = re.sub(r'"at":\s*(\d+)', lambda m: '"at":%d' % (int(m.group(1)) - 1000 * seconds), text)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)

    # ---- commands ------------------------------------------------------------------------------------------

    def env(self, **more):
        return dict({"DATABASE_URL": self.db.url, "FLAGS_URL": self.flags_url, "FLAGS_TOKEN": TOKEN,
                     "PHASEGATE_STATE_DIR": os.path.join(self.folder, "state"),
                     "SNAPSHOTS": os.path.join(self.folder, "snapshots"),
                     "MARKS": os.path.join(self.folder, "marks")}, **more)

    def run(self, args, fault=None, count=None, timeout=60, **more):
        more.update(PHASEGATE_FAULT=fault, PHASEGATE_FAULT_COUNT=count)
        with self.start(args, **more) as running:
            try:
                return running.wait(timeout)
            except subprocess.TimeoutExpired:
                raise AssertionError("still running after %d s: %s" % (timeout, running.stderr)) from None

    def start(self, args, **more):
        return pgtest.start_phasegate(args, cwd=self.project, env=self.env(**more))

    # ---- what there is ----------------------------------------------------------------------------------------

    def marks(self):
        try:
            with open(os.path.join(self.folder, "marks"), encoding="utf-8") as f:
                return f.read().splitlines()
        except FileNotFoundError:
            return []

    def stage(self):
        return self.db.value("SELECT stage FROM phasegate.plan_state WHERE plan = '%s'" % PLAN)

    def catalogue(self):
        done = subprocess.run(["pg_dump", "--schema-only", "-d", self.db.url], capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        lines = [line for line in done.stdout.splitlines() if line and not line.startswith(("--", "\\", "SET "))]
        # Soft drops carry the day in their name; two runs may be on two days.
        return re.sub(r"_drop_\d{8}_", "_drop_DAY_", "\n".join(lines))

    def data(self):
        """{table: digest} of what isn't the ledger's."""
        tables = self.db.psql("""SELECT format('%I.%I', n.nspname, c.relname), c.relname FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'phasegate') ORDER BY 1""")
        if not tables:
            return {}
        # Columns by name: a dropped and remade column moves to the end of a row.
        query = " UNION ALL ".join(
            "SELECT '%s', count(*), md5(coalesce(string_agg(to_jsonb(t)::text, '|' ORDER BY to_jsonb(t)::text), '')) FROM %s t"
            % (quoted, quoted) for quoted, _ in tables)
        day = re.compile(r"_drop_\d{8}_")
        return {day.sub("_drop_DAY_", name): (rows, digest) for name, rows, digest in self.db.psql(query)}

    def ledger(self):
        if self.db.value("SELECT to_regclass('phasegate.plan_state') IS NULL") == "t":
            return {}
        day = re.compile(r"_drop_\d{8}_")
        out, rows = {}, None
        for row in self.db.psql(";".join("SELECT '#', '%s'; %s" % item for item in LEDGER.items())):
            if row[0] == "#":
                rows = out[row[1]] = []
            else:
                rows.append([day.sub("_drop_DAY_", cell) if cell else cell for cell in row])
        return out

    def fingerprint(self):
        return {"catalogue": self.catalogue(), "data": self.data(), "ledger": self.ledger(), "flags": self.flags(),
                "marks": self.marks()}

    def verify_chain(self):
        done = self.run(["history", "--verify"])
        if done.rc != 0:
            raise AssertionError("the journal's chain is broken: %s" % done)

    # ---- the end ------------------------------------------------------------------------------------------------

    def save(self, name):
        """This world becomes a state; it can't be used any more."""
        self.stop_flags()
        state = State(self.server, name)
        shutil.copytree(self.folder, state.folder, dirs_exist_ok=True)
        self.server.psql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = \'%s\'' % self.db.name)
        self.server.psql('ALTER DATABASE "%s" RENAME TO "%s"' % (self.db.name, name))
        shutil.rmtree(self.folder, ignore_errors=True)
        return state

    def close(self):
        self.stop_flags()
        self.db.drop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def differences(a, b, path=""):
    """Lines that say where two fingerprints differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        out = []
        for key in sorted(set(a) | set(b)):
            out += differences(a.get(key), b.get(key), "%s/%s" % (path, key))
        return out
    if a == b:
        return []
    if isinstance(a, str) and isinstance(b, str) and "\n" in a + b:
        a, b = a.splitlines(), b.splitlines()
    if isinstance(a, list) and isinstance(b, list):
        return (["%s: only in the whole run: %s" % (path, x) for x in a if x not in b] +
                ["%s: only in the crashed run: %s" % (path, x) for x in b if x not in a] or
                ["%s: %s became %s" % (path, a, b)])
    return ["%s: %s became %s" % (path, a, b)]


def last_words(done):
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return " / ".join(lines[-3:])


def base_state(server, project=PROJECT):
    empty = State(server, None)
    try:
        world = World(server, empty, project)
    finally:
        shutil.rmtree(empty.folder, ignore_errors=True)
    with open(os.path.join(project, "baseline.sql"), encoding="utf-8") as f:
        world.db.psql(f.read())
    return world.save("fs_%d_base_%d" % (os.getpid(), next(_numbers)))


class Lab:
    """The states before one command, and the outcome of that command when nothing happens to it."""

    def __init__(self, server, command, plan=None, ends=(0,), settings=None):
        self.server, self.command = server, command
        self.project, self.own = PROJECT, None
        if plan or settings:
            self.own = tempfile.mkdtemp(prefix="pgf.")
            self.project = os.path.join(self.own, "project")
            shutil.copytree(PROJECT, self.project)
            change_project(self.project, plan=plan, settings=settings)
        self.args = COMMANDS[command][1]
        self.states = [base_state(server)]
        chain, before = [], COMMANDS[command][0]
        while before:
            chain.insert(0, before)
            before = COMMANDS[before][0]
        for name in chain:
            world = World(server, self.states[-1], self.project)
            done = world.run(COMMANDS[name][1])
            if done.rc != 0:
                world.close()
                raise AssertionError("%s, before anything was broken: %s" % (name, done))
            self.states.append(world.save("fs_%d_%s_%d" % (os.getpid(), name, next(_numbers))))
        with self.world() as world:
            self.before = world.fingerprint()
            count = os.path.join(world.folder, "count")
            done = world.run(self.args, count=count)
            if done.rc not in ends:
                raise AssertionError("%s, with nothing broken: %s" % (command, done))
            world.verify_chain()
            self.expected = world.fingerprint()
            self.stage = world.stage()
            with open(count, encoding="utf-8") as f:
                self.points = int(f.read())

    def world(self):
        return World(self.server, self.states[-1], self.project)

    def close(self):
        if self.own:
            shutil.rmtree(self.own, ignore_errors=True)
        for state in self.states:
            state.remove()


def chosen_points(total, most):
    """All of them, or evenly spread ones, the first and the last among them."""
    if os.environ.get("PHASEGATE_FAULT_ALL") == "1" or total <= most:
        return list(range(1, total + 1))
    return sorted({1 + round(i * (total - 1) / (most - 1)) for i in range(most)})


def in_parallel(work, items):
    """Results in order; the first exception is raised after all have ended."""
    with ThreadPoolExecutor(TOGETHER) as pool:
        futures = [pool.submit(work, item) for item in items]
        return [f.result() for f in futures]


class CrashCase(unittest.TestCase):
    """Base of the tests that break one command at every point. Subclasses set command."""

    command = None
    lab = None
    most = 60          # points that the default run breaks at; PHASEGATE_FAULT_ALL=1 takes every one
    plan = {}          # {old: new} in the plan's text
    settings = {}      # likewise in the project's
    ends = (0,)        # exit codes of the command when nothing happens to it

    @classmethod
    def setUpClass(cls):
        if cls.command:
            cls.lab = Lab(pgtest.cluster(), cls.command, cls.plan, cls.ends, cls.settings)

    @classmethod
    def tearDownClass(cls):
        if cls.lab:
            cls.lab.close()
            cls.lab = None

    def wrong_with(self, world):
        """Lines that tell this world from the whole run's."""
        done = world.run(["history", "--verify"])
        broken = [] if done.rc == 0 else ["the journal's chain is broken: %s" % done]
        return broken + differences(self.lab.expected, world.fingerprint())

    def break_and_go_on(self, fault):
        """(the first run's exit code, lines that say what is wrong, both runs as a text)"""
        with self.lab.world() as world:
            first = world.run(self.lab.args, fault=fault)
            if first.rc == 0:
                return first.rc, self.wrong_with(world), str(first)
            # After the last word of a command that goes back, the same again would go back further.
            if self.command.startswith(("rollback", "restore")) and world.stage() == self.lab.stage:
                return first.rc, self.wrong_with(world), str(first)
            world.later()
            second = world.run(self.lab.args)
            text = "%s\n--- and again: %s" % (first, second)
            if second.rc != 0:
                return first.rc, ["the second run ended with %d: %s" % (second.rc, last_words(second))], text
            return first.rc, self.wrong_with(world), text

    def assert_all_well(self, outcomes):
        """outcomes: {fault: what break_and_go_on gave}. Tells each kind of trouble once, with its faults."""
        kinds = {}
        for fault, (_, wrong, text) in outcomes.items():
            if wrong:
                kinds.setdefault("\n".join(wrong), []).append((fault, text))
        told = ["%s, at %d of %d: %s\n%s\nfor example:\n%s" % (
            self.command, len(met), len(outcomes), " ".join(fault for fault, _ in met), wrong, met[0][1])
            for wrong, met in kinds.items()]
        self.assertFalse(told, "\n\n".join(told))

    def break_everywhere(self, mode):
        """Breaks at every point chosen, mode(n) saying how, each followed by the same command undisturbed."""
        faults = ["%s:%d" % (mode(n), n) for n in chosen_points(self.lab.points, self.most)]
        outcomes = dict(zip(faults, in_parallel(self.break_and_go_on, faults)))
        self.assert_all_well(outcomes)
        return outcomes

    def kill_everywhere(self):
        # After call n is no other moment than before call n+1, seen from outside: taking turns covers both.
        outcomes = self.break_everywhere(lambda n: "kill-before" if n % 2 else "kill-after")
        ends = [rc for rc, _, _ in outcomes.values()]
        self.assertLessEqual(set(ends), {-signal.SIGKILL, 0})
        # How many calls there are depends a little on time (who waits asks again and again): not on much.
        self.assertGreater(ends.count(-signal.SIGKILL), 0.8 * len(ends), "faults were never met: %s" % ends)

"""Cases of tests/data/compat/*.txt: what a change of the schema does to a statement that a live release runs.

    for case in compat.load(path):
        truth = compat.experiment(cluster, case)   # what the server itself shows
        done = compat.check(case, url)             # what `phasegate check` says

The experiment prepares and runs the old statement before the change, runs what is still held after it, and prepares
and runs it afresh in a new session. It asks the server, never phasegate.

`forward` and `reverse` ("column = expression" lines) are a sync by trigger: its trigger comes with expand, behind the
change where that is of expand, and behind `expand` where the change comes later. `also` are such lines of a second one.
`later` is a statement of the releases after 1.0.0 and 1.1.0, for those that write the new side.
"""

import glob
import itertools
import json
import os
import re
import shutil
import subprocess
import tempfile

import pgtest

# What an expectation says of the statement: the rest of the rules is about the step.
WIRE = {"result-shape-changed", "parameter-type-changed"}
HELD = {"held-plan-result-changed"}
SILENT = {"insert-relied-on-default", "whole-row-shape-drift", "natural-join-drift", "row-visibility-changed", "name-shadowed",
          "session-meaning-changed", "function-signature-changed", "enum-value-renamed", "enum-value-unknown-to-old-reader", "old-path-trigger-effect",
          "on-conflict-target-lost", "type-narrowed-for-old-writes", "unproven-write", "positional-insert-or-star", "sync-trigger-asymmetric"}
FAILS = {"old-query-fails", "ambiguous-column-after-add", "star-arity-broken", "routine-body-broken", "type-narrowed-for-old-writes",
         "insert-omits-required-column", "restriction-breaks-old-writes", "unproven-write", "generated-takes-over-column",
         "on-conflict-target-lost", "function-overload-ambiguous", "function-signature-changed", "enum-value-renamed",
         "old-path-trigger-effect", "grants-missing-for-app-role", "view-shim-rejects-old-writes", "dependents-cascaded",
         "sync-trigger-asymmetric", "stale-new-value", "whole-row-shape-drift"}
ABOUT_STATEMENTS = WIRE | HELD | (SILENT - {"positional-insert-or-star"}) | FAILS | {"cell-untested", "failing-at-baseline", "new-query-needs-later-state",
                                                   "expand-after-code", "step-fails-on-shadow", "statement-unparsed"}
ROLES = ("app", "reader")
HOLD_NOTHING = {"psycopg2", "libpq", "lib-pq", "node-pg", "sqlalchemy", "django"}  # and send values without types


class Case(dict):
    @property
    def name(self):
        return self["name"]

    def expected(self):
        """{(severity, rule)}"""
        if self["expect"] == "nothing":
            return set()
        return {tuple(e.split()) for e in self["expect"].split(", ")}


def load(path):
    """A case: `== name`, then `key: value` lines; an indented line goes on with the value before it."""
    cases, key = [], None
    with open(path) as f:
        for line in f:
            line = line.rstrip("\n")
            if line.startswith("== "):
                cases.append(Case(name=line[3:].strip(), phase="expand"))
            elif line.startswith(" ") and cases:
                cases[-1][key] += "\n" + line.strip()
            elif line and not line.startswith("#"):
                key, value = line.split(":", 1)
                cases[-1][key] = value.strip()
    for case in cases:
        missing = {"baseline", "change", "old", "expect"} - set(case)
        assert not missing, (case.name, missing)
    return cases


def load_all():
    folder = os.path.join(pgtest.SRC, "tests/data/compat")
    return [case for path in sorted(glob.glob(os.path.join(folder, "*.txt"))) for case in load(path)]


def cluster(has_roles=True):
    """A server of its own: each case takes three databases, which are made faster in memory. has_roles: those that cases
    grant to are there; on a server for `check --shadow` they aren't, as it doesn't become somebody's role."""
    pg = pgtest.Cluster(settings={"max_connections": 200, "wal_level": "minimal", "max_wal_senders": 0,
                                               "autovacuum": "off", "shared_buffers": "'256MB'"})
    if has_roles:
        make_roles(pg)
    return pg


def make_roles(cluster):
    for role in ROLES:
        cluster.psql("DO $$ BEGIN CREATE ROLE %s; EXCEPTION WHEN duplicate_object THEN NULL; END $$" % role)


# ---- the experiment -------------------------------------------------------------------------------------------

_numbers = itertools.count(1)
_PLANNED = re.compile(r"\s*(?:--[^\n]*\n\s*)*(select|insert|update|delete|merge|with|values|table)\b", re.I)


def _session(case):
    sql = ["SET search_path = %s;" % case.get("search_path", "public"), "SET TimeZone = '%s';" % case.get("timezone", "UTC")]
    if "role" in case:
        sql.append("SET ROLE %s;" % case["role"])
    return sql


def _tries(case):
    return [t.strip() for t in case.get("try", case.get("args", "")).split(" | ")]


def _run(case, name, mark):
    """Every example in turn, in one transaction that is taken back."""
    old, sql = case.get("plain", case["old"]), ["BEGIN;"]
    for t in _tries(case):
        sql.append("EXECUTE %s%s;" % (name, t) if _PLANNED.match(old) else old + ";")
        sql.append("\\echo @%s :SQLSTATE :LAST_ERROR_MESSAGE" % mark)
    if "look" in case:
        sql += [case["look"] + ";", "\\echo @%s :SQLSTATE :LAST_ERROR_MESSAGE" % mark]
    sql += ["SET CONSTRAINTS ALL IMMEDIATE;", "\\echo @%s :SQLSTATE :LAST_ERROR_MESSAGE" % mark, "ROLLBACK;"]
    return sql


def _shape(case, name, mark):
    if not _PLANNED.match(case.get("plain", case["old"])):
        return []
    return ["SELECT parameter_types FROM pg_prepared_statements WHERE name = '%s';" % name,
            "EXECUTE %s%s \\gdesc" % (name, _tries(case)[0]), "\\echo @%s" % mark]


def _prepare(case, name):
    old = case.get("plain", case["old"])
    if not _PLANNED.match(old):
        return []
    return ["PREPARE %s AS %s;" % (name, old), "\\echo @prepare-%s :SQLSTATE :LAST_ERROR_MESSAGE" % name]


def pairs(case, key):
    return dict(line.split(" = ", 1) for line in case.get(key, "").split("\n") if line)


# As docs/decisions/0003 has it: what only one side of was written is taken over by the other.
_TRIGGER = """CREATE FUNCTION sync_{n}() RETURNS trigger LANGUAGE plpgsql AS $x$
#variable_conflict use_column
BEGIN
IF TG_OP = 'INSERT' THEN IF {empty} THEN {forward} {or_reverse} END IF;
ELSIF ROW({new}) IS DISTINCT FROM ROW({old}) THEN {reverse} ELSE {forward} END IF; RETURN NEW; END $x$;
CREATE TRIGGER sync_{n}_i BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION sync_{n}();
CREATE TRIGGER sync_{n}_u BEFORE UPDATE ON t FOR EACH ROW WHEN (ROW({watched_new}) IS DISTINCT FROM ROW({watched_old}))
EXECUTE FUNCTION sync_{n}();"""


def trigger(case, n, forward, reverse):
    def assign(of):
        return " ".join("SELECT (%s) INTO NEW.%s FROM (SELECT NEW.*) AS t;" % (e, c) for c, e in of.items()) or "NULL;"

    words = set(re.findall(r"[a-z_]+", " ".join(list(forward.values()) + list(reverse.values()))))
    known = re.findall(r"\b([a-z_]+) (?:int|bigint|text|varchar|numeric|boolean|timestamp)", case["baseline"])
    watched = list(forward) + [c for c in known if c in words]
    return _TRIGGER.format(watched_new=", ".join("NEW." + c for c in watched), watched_old=", ".join("OLD." + c for c in watched),
                           n=n, empty=" AND ".join("NEW.%s IS NULL" % c for c in forward), forward=assign(forward),
                           new=", ".join("NEW." + c for c in forward), old=", ".join("OLD." + c for c in forward),
                           reverse=assign(reverse), or_reverse="ELSE " + assign(reverse) if reverse else "")


def steps(case):
    return [case["change"]] + [s for s in case.get("then", "").split("\n") if s]


def changes(case):
    """What is done to the database, in order."""
    case = dict(case, change=";\n".join(steps(case)))
    syncs = [trigger(case, 1, pairs(case, "forward"), pairs(case, "reverse"))] if "forward" in case else []
    syncs += [trigger(case, 2, pairs(case, "also"), {})] if "also" in case else []
    if case.get("phase", "expand") == "expand":
        return [case["change"] + ";"] + syncs
    first = [case["expand"] + ";"] if "expand" in case else []
    return first + syncs + [case["change"] + ";"]


def script(case):
    sql = ["\\set VERBOSITY sqlstate", "SET client_min_messages = error;", case["baseline"] + ";"]
    sql += [case["data"] + ";"] if "data" in case else []
    sql += _session(case) + _prepare(case, "held") + _run(case, "held", "before") + _shape(case, "held", "shape-before")
    sql += ["RESET ROLE;", "SET search_path = public;", "SET TimeZone = 'UTC';", "\\echo @start-of-change"]
    sql += changes(case) + ["\\echo @change :SQLSTATE :LAST_ERROR_MESSAGE"]
    sql += [case["after"] + ";", "\\echo @after :SQLSTATE :LAST_ERROR_MESSAGE"] if "after" in case else []
    sql += _session(case) + _run(case, "held", "held") + ["\\c", "SET client_min_messages = error;"] + _session(case)
    sql += _prepare(case, "fresh") + _run(case, "fresh", "fresh") + _shape(case, "fresh", "shape-fresh")
    return "\n".join(sql) + "\n"


class Truth:
    """What the server showed: kinds is a subset of {"fails", "held", "wire", "silent"}; why for each."""

    def __init__(self):
        self.kinds, self.why, self.invalid, self.marks = set(), [], None, {}

    def add(self, kind, why):
        self.kinds.add(kind)
        self.why.append("%s: %s" % (kind, why))

    def __repr__(self):
        return "; ".join(self.why) or "works as before"


def experiment(cluster, case):
    name = "truth_%d_%d" % (os.getpid(), next(_numbers))
    # One process for all of it: starting three takes longer than most cases do.
    sql = 'CREATE DATABASE "%s" TEMPLATE template0;\n\\connect "%s"\n%s\\connect postgres\nDROP DATABASE "%s" WITH (FORCE);\n' % (
        name, name, script(case), name)
    done = subprocess.run(["psql", "-X", "-q", "-A", "-t", cluster.url("postgres")], input=sql, capture_output=True,
                          text=True, errors="backslashreplace", timeout=60)
    # A warning says what would come of it if the client did hold it.
    holds = case.get("driver") not in HOLD_NOTHING or any(r in HELD for _, r in case.expected())
    return _judge(done.stdout, done.stderr, holds)


def _judge(stdout, stderr, holds):
    t, rows, marks = Truth(), [], {}
    for line in stdout.splitlines():
        if not line.startswith("@"):
            rows.append(line)
            continue
        mark, _, said = line[1:].partition(" ")
        marks.setdefault(mark, []).append((said[:5], said[6:], tuple(rows)))
        rows = []
    t.marks = marks
    for mark in ("prepare-held", "before", "change", "after"):
        for state, message, _ in marks.get(mark, []):
            if state != "00000":
                t.invalid = "%s: %s %s" % (mark, state, message)
    if "change" not in marks or "fresh" not in marks:
        t.invalid = "the script stopped: " + stderr
    if t.invalid:
        return t
    bad = [m for m in marks.get("prepare-fresh", []) + marks["fresh"] if m[0] != "00000"]
    held = [m for m in marks["held"] if holds and m[0] != "00000"]
    if bad:
        t.add("fails", " ".join(bad[0][:2]))
    elif held and held[0][0] == "0A000":
        t.add("held", " ".join(held[0][:2]))
    elif held:
        t.add("fails", "held only: " + " ".join(held[0][:2]))
    if not bad and marks.get("shape-before", [()])[0][-1:] != marks.get("shape-fresh", [()])[0][-1:]:
        t.add("wire", "%s -> %s" % (marks["shape-before"][0][2], marks["shape-fresh"][0][2]))
        # Another type spells every value anew; rows that are missing have no spelling. What more a parameter of another type
        # is equal to, is told by that.
        params = [marks[k][0][2][:1] for k in ("shape-before", "shape-fresh")]
        found = [[len(m[2]) for m in marks[k]] for k in ("before", "fresh")]
        if found[0] != found[1] and (params[0] == params[1] or sum(found[1]) < sum(found[0])):
            t.add("silent", "%s -> %s" % ([m[2] for m in marks["before"]], [m[2] for m in marks["fresh"]]))
    elif not bad and [m[2] for m in marks["before"]] != [m[2] for m in marks["fresh"]]:
        t.add("silent", "%s -> %s" % ([m[2] for m in marks["before"]], [m[2] for m in marks["fresh"]]))
    return t


def disagreement(case, truth):
    """Why the expectation of a case isn't what the server shows; None: it is."""
    rules = {r for _, r in case.expected()}
    if truth.invalid:
        return truth.invalid
    if "judged" in case:
        return None
    if "fails" in truth.kinds and not rules & FAILS:
        return "it fails and the case doesn't expect that"
    if "silent" in truth.kinds and not rules & (SILENT | (WIRE if case["old"].startswith("COPY") else set())):
        return "it answers otherwise and the case doesn't expect that"
    if "held" in truth.kinds and not rules & HELD:
        return "what is held fails and the case doesn't expect that"
    if "wire" in truth.kinds and not rules & (WIRE | HELD):
        return "its shape changes and the case doesn't expect that"
    if rules & FAILS and not truth.kinds & {"fails", "silent"}:
        return "the case expects a failure"
    if rules & SILENT and not truth.kinds & {"fails", "silent"}:
        return "the case expects another meaning"
    if rules & HELD and "held" not in truth.kinds:
        return "the case expects that what is held fails"
    if rules & WIRE and not truth.kinds & ({"wire", "held"} | ({"silent"} if case["old"].startswith("COPY") else set())):
        return "the case expects another shape"
    return None


# ---- phasegate --------------------------------------------------------------------------------------------------

def _release(case, version, statements):
    row = {"version": version, "statements": statements}
    for key in ("driver", "params"):
        if key in case:
            row[key] = case[key]
    session = {k: case[f] for k, f in (("role", "role"), ("search_path", "search_path"), ("timezone", "timezone")) if f in case}
    if session:
        row["session"] = session
    return row


def write_project(case, folder):
    for sub in ("plans", "statements"):
        os.makedirs(os.path.join(folder, sub))

    def write(name, text):
        with open(os.path.join(folder, name), "w") as f:
            f.write(text)

    head = "".join(h + "\n" for h in case.get("head", "").split("\n") if h)
    args = "".join("-- args: %s\n" % a for a in case.get("args", "").split(" | ") if a)
    write("baseline.sql", case["baseline"] + ";\n")
    command = " :" + case["sqlc"] if "sqlc" in case else ""
    write("statements/1.sql", "-- name: Old%s\n%s%s%s;\n" % (command, head, args, case["old"]) + case.get("more", "").replace("@@", "--") + "\n")
    write("statements/2.sql", "-- name: New\n%s;\n" % case.get("new", "SELECT 1"))
    releases = [_release(case, v, "statements/%d.sql" % (1 if v == "1.0.0" else 2)) for v in ("1.0.0", "1.1.0", "1.2.0")]
    write("phasegate.yaml", json.dumps({"phasegate": 1, "plans": "plans/", "baseline": "baseline.sql", "releases": releases}))
    if "forward" in case:
        later = args + case["later"] + ";\n" if "later" in case else None
        write_synced(case, write, releases, later)
        return
    phases = {p: {"none": "not needed"} for p in ("expand", "dual_read", "write_activation", "contract")}
    made = [{"id": "change%d" % n if n else "change", "sql": sql} for n, sql in enumerate(steps(case))]
    for step in made:
        if "CONCURRENTLY" in step["sql"]:
            step["transaction"] = "none"
    phases[case["phase"]] = {"release": case.get("bound", "1.1.0"), "steps": made}
    write("plans/20261114093000-change.yaml", json.dumps({"phasegate": 1, "plan": "change", "timestamp": 20261114093000,
                                                          "title": "t", "author": "me", "phases": phases}, indent=1))


def write_synced(case, write, releases, later):
    """A plan with a sync: 1.1.0 runs what 1.0.0 does, and so does 1.2.0 unless there is something later."""
    if later:
        write("statements/2.sql", "-- name: Old\n" + later)
    for r, number in zip(releases, (1, 1, 2 if later else 1)):
        r["statements"] = "statements/%d.sql" % number
    write("phasegate.yaml", json.dumps({"phasegate": 1, "plans": "plans/", "baseline": "baseline.sql", "releases": releases}))
    for n, key in ((1, "forward"), (2, "also")):
        if key not in case:
            continue
        phases = {p: {"none": "not needed"} for p in ("expand", "dual_read", "write_activation", "contract")}
        first = case["change"] if case["phase"] == "expand" else case.get("expand", "SELECT 1")
        phases["expand"] = {"release": "1.1.0", "steps": [{"id": "change", "sql": first}]} if n == 1 else {
            "release": "1.1.0", "steps": [{"id": "other", "sql": "SELECT 2"}]}
        if n == 1 and case["phase"] != "expand":
            phases[case["phase"]] = {"release": case.get("bound", "1.1.0"), "steps": [{"id": "change", "sql": case["change"]}]}
        sync = {"table": "t", "forward": pairs(case, key), "by": "trigger"}
        if n == 1 and "reverse" in case:
            sync["reverse"] = pairs(case, "reverse")
        write("plans/2026111409300%d-sync%d.yaml" % (n, n), json.dumps({
            "phasegate": 1, "plan": "sync%d" % n, "timestamp": 20261114093000 + n, "title": "t", "author": "me",
            "depends_on": [{"plan": "sync1", "phase": "expand"}] * (n > 1),
            "flags": {"read": {"key": "r%d" % n}, "write": {"key": "w%d" % n}}, "sync": sync, "phases": phases}, indent=1))


class Checked:
    def __init__(self, run):
        self.rc, self.text = run.returncode, run.stdout + run.stderr
        if run.stdout.startswith("{"):
            self.found = {(f["severity"], f["rule"]) for f in json.loads(run.stdout).get("findings", [])}
        else:
            self.found = set(re.findall(r"(error|warning|note)\[([a-z-]+)\]", run.stdout))

    def about_statements(self):
        return {f for f in self.found if f[1] in ABOUT_STATEMENTS and f[0] != "note"}


def check(case, url=None):
    """Runs `phasegate check` on a project of the case; url: a server to use for the shadow."""
    folder = tempfile.mkdtemp(prefix="compat-")
    try:
        write_project(case, folder)
        command = [pgtest.BIN, "check", "--format", "json"]
        command += ["--shadow", url] if url else []
        command += ["--window", case["window"]] if "window" in case else []
        return Checked(subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120))
    finally:
        shutil.rmtree(folder)


def verdict(case, checked):
    """(missed, alarms): what was expected and not found, and what was found though the statement goes on working."""
    expected = case.expected()
    missed = expected - checked.found
    found = checked.about_statements()
    if checked.rc not in (0, 1):
        return expected or {("exit", str(checked.rc))}, found
    alarms = set()
    for severity, rule in found - expected:
        # Beside a failure, that the held plan or the shape changes as well is no news.
        if rule in WIRE | HELD and any(r in FAILS | WIRE | HELD for _, r in expected) and severity == "warning":
            continue
        alarms.add((severity, rule))
    return missed, alarms


def is_miss(case, checked):
    """Is there trouble that nothing told of? Another rule than the one expected is a mistake, but no miss."""
    told = checked.about_statements() | (case.expected() & checked.found)
    return bool({r for _, r in case.expected()} & (WIRE | HELD | SILENT | FAILS)) and not told

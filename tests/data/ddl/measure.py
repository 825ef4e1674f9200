#!/usr/bin/env python3
"""measure.py: runs every case of cases.jsonl on a PostgreSQL of its own and writes what it did: verdicts.jsonl.

A case is dangerous when a table that existed before is rewritten, or when rows of one are read or indexed while one
that existed before is locked against writes (SHARE and stronger). Rows that the statement itself writes or
reads under weaker locks don't count. Each case starts from base.sql; its transaction is rolled back. What can't run
in a transaction runs in a database of its own, with an older transaction in its way, so that its locks can be seen.

Usage: measure.py [FOLDER OF THE SERVER'S PROGRAMS]   (default /usr/lib/postgresql/15/bin)
"""

import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = sys.argv[1] if len(sys.argv) > 1 else "/usr/lib/postgresql/15/bin"
STRONG = {"ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"}
ALONE = re.compile(r"\bCONCURRENTLY\b|^VACUUM\b", re.I)

BEFORE = """
CREATE TEMP TABLE before_rels AS SELECT c.oid, c.oid::regclass::text AS name, c.relkind, c.relfilenode FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public' WHERE c.relkind IN ('r', 'p', 'm', 'i', 'I');
"""
AFTER = """
SELECT '@lock', b.name, b.relkind, l.mode FROM pg_locks l JOIN before_rels b ON b.oid = l.relation
  WHERE l.pid = pg_backend_pid() AND b.relkind IN ('r', 'p') ORDER BY 2, 4;
SELECT '@file', b.name, b.relkind FROM before_rels b JOIN pg_class c USING (oid)
  WHERE c.relfilenode <> b.relfilenode AND b.relkind IN ('r', 'm', 'i') ORDER BY 2;
SELECT '@scan', b.name, s.seq_scan FROM pg_stat_xact_user_tables s JOIN before_rels b ON b.oid = s.relid
  WHERE s.seq_scan > 0 AND b.relkind IN ('r', 'p') ORDER BY 2;
"""


class Cluster:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="ddl.")
        self.as_user = []
        self.is_fresh = False  # is the database that of base.sql?
        if os.geteuid() == 0:
            os.chown(self.dir, pwd.getpwnam("postgres").pw_uid, -1)
            self.as_user = ["runuser", "-u", "postgres", "--"]
        data = os.path.join(self.dir, "data")
        self.run("initdb", "-D", data, "--no-sync", "-A", "trust", "-U", "postgres", "--locale=C", "-E", "UTF8")
        self.run("pg_ctl", "-D", data, "-w", "-l", os.path.join(self.dir, "log"), "-o",
                 "-k %s -c listen_addresses='' -c fsync=off -c TimeZone=UTC -c autovacuum=off" % self.dir, "start")

    def run(self, program, *args):
        subprocess.run([*self.as_user, os.path.join(BIN, program), *args], check=True, stdout=subprocess.DEVNULL)

    def stop(self):
        self.run("pg_ctl", "-D", os.path.join(self.dir, "data"), "-m", "immediate", "stop")
        shutil.rmtree(self.dir)

    def command(self, database):
        return [os.path.join(BIN, "psql"), "-X", "-q", "-A", "-t", "-F", "\t", "-h", self.dir, "-U", "postgres", "-d", database]

    def psql(self, database, sql):
        done = subprocess.run(self.command(database), input=sql, capture_output=True, text=True)
        return done.stdout, done.stderr


def messages(text, names):
    """What the server said at DEBUG1 of tables that existed before."""
    work = set()
    for pattern, what in ((r'rewriting table "([^"]+)"', "rewrites"), (r'verifying table "([^"]+)"', "scans"),
                          (r'building index "[^"]+" on table "([^"]+)"', "indexes")):
        work.update((what, name) for name in re.findall(pattern, text) if name in names)
    if "validating foreign key constraint" in text:
        work.add(("scans", "of a foreign key"))
    return work


def in_transaction(c, case, names):
    script = BEFORE + "\\set VERBOSITY terse\nBEGIN;\n\\echo @begin\nSET LOCAL client_min_messages = debug1;\n"
    script += case["sql"] + ";\nSET LOCAL client_min_messages = warning;\n" + AFTER + "ROLLBACK;\n"
    out, said = c.psql("case", "\\set ON_ERROR_STOP on\n" + script)
    rows = [line.split("\t") for line in out.splitlines() if line.startswith("@")]
    error = re.search(r"ERROR:\s+(.*)", said)
    work = messages(said, names)
    work.update(("rewrites", r[1]) for r in rows if r[0] == "@file" and r[2] in ("r", "m"))
    work.update(("scans", r[1]) for r in rows if r[0] == "@scan")
    locks = {}
    for r in rows:
        if r[0] == "@lock":
            locks.setdefault(r[1], []).append(r[3])
    return work, locks, error.group(1) if error else None


def by_itself(c, case, names):
    """Another transaction holds a snapshot and reads, so that the statement waits and can be looked at."""
    older = subprocess.Popen(c.command("case"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    older.stdin.write("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t, nokey, mv, part_2 LIMIT 0; SELECT '@ready';\n")
    older.stdin.flush()
    older.stdout.readline()
    run = subprocess.Popen(c.command("case"), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    run.stdin.write("\\set VERBOSITY terse\nSET application_name = 'measured';\nSET client_min_messages = debug1;\n" + case["sql"] + ";\n")
    run.stdin.close()
    locks = {}
    look = ("SELECT c.relname, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = "
            "c.relnamespace AND n.nspname = 'public' JOIN pg_stat_activity a USING (pid) WHERE a.application_name = 'measured' "
            "AND c.relkind IN ('r', 'p') AND l.database = (SELECT oid FROM pg_database WHERE datname = 'case')")
    for _ in range(10):
        for line in c.psql("case", look)[0].splitlines():
            name, mode = line.split("\t")
            if name in names and mode not in locks.setdefault(name, []):
                locks[name].append(mode)
        time.sleep(0.02)
    older.stdin.write("ROLLBACK;\n")
    older.stdin.close()
    older.wait()
    said = run.stderr.read()
    run.wait()
    error = re.search(r"ERROR:\s+(.*)", said)
    work = messages(said, names)
    if re.match("VACUUM FULL", case["sql"], re.I):
        work.add(("rewrites", case["sql"].split()[-1]))
    return work, locks, error.group(1) if error else None


def measure(c, case, base):
    if not c.is_fresh:
        c.psql("postgres", "DROP DATABASE IF EXISTS \"case\"")
        c.psql("postgres", "CREATE DATABASE \"case\" TEMPLATE base")
    c.is_fresh = "setup" not in case and not ALONE.search(case["sql"])
    if "setup" in case:
        _, said = c.psql("case", "\\set ON_ERROR_STOP on\n" + case["setup"] + ";")
        if "ERROR" in said:
            raise SystemExit("setup of %s: %s" % (case, said))
    names = set(base)
    work, locks, error = (by_itself if ALONE.search(case["sql"]) else in_transaction)(c, case, names)
    strong = sorted(name for name, modes in locks.items() if STRONG & set(modes))
    dangerous = any(what == "rewrites" for what, _ in work) or (bool(work) and bool(strong))
    return {"dangerous": dangerous, "work": sorted(" ".join(w) for w in work), "strong": strong, "error": error}


def main():
    with open(os.path.join(HERE, "cases.jsonl"), encoding="utf-8") as f:
        cases = [json.loads(line) for line in f]
    with open(os.path.join(HERE, "base.sql"), encoding="utf-8") as f:
        base_sql = f.read()
    c = Cluster()
    try:
        c.psql("postgres", "CREATE DATABASE base")
        _, said = c.psql("base", "\\set ON_ERROR_STOP on\n" + base_sql)
        if "ERROR" in said:
            raise SystemExit(said)
        names = c.psql("base", "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace AND nspname = 'public' "
                       "WHERE relkind IN ('r', 'p')")[0].split()
        version = c.psql("base", "SHOW server_version_num")[0].strip()
        with open(os.path.join(HERE, "verdicts.jsonl"), "w", encoding="utf-8") as f:
            f.write(json.dumps({"server_version_num": int(version)}) + "\n")
            for case in cases:
                verdict = measure(c, case, names)
                f.write(json.dumps({**case, **verdict}) + "\n")
                if verdict["error"]:
                    print("%s: %s" % (case["sql"], verdict["error"]), file=sys.stderr)
    finally:
        c.stop()


if __name__ == "__main__":
    main()

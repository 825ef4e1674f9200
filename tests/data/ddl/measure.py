#!/usr/bin/env python3
"""measure.py: runs every case of cases.jsonl on a PostgreSQL of its own and writes what it did: verdicts.jsonl.

A case is dangerous when a table that existed before is rewritten, or when rows are read, indexed or written in number
while one that existed before is locked against writes (SHARE and stronger; ACCESS EXCLUSIVE on a materialized view,
which nobody writes to; ACCESS EXCLUSIVE on an index, which
everybody looks at who reads its table). Work under weaker locks doesn't count, nor does a file that is another one and empty. Of several
statements each is looked at with the locks that it finds and takes. Each case starts from base.sql; its transaction is
rolled back. What can't run in a transaction runs in a database of its own, with an older transaction in its way, so that
its locks can be seen.

Of a case: `open` says why its text can't tell (a note has to say so), `schema` what it has to be known besides the text,
`judged` why it is dangerous all the same.

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
MODES = ["AccessShareLock", "RowShareLock", "RowExclusiveLock", "ShareUpdateExclusiveLock", "ShareLock", "ShareRowExclusiveLock",
         "ExclusiveLock", "AccessExclusiveLock"]
STRONG = {"ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"}
ALONE = re.compile(r"\bCONCURRENTLY\b|^VACUUM\b|^REINDEX (SCHEMA|DATABASE|SYSTEM)\b", re.I)
OURS = "c.relnamespace IN ('public'::regnamespace, 'side'::regnamespace)"
PART = re.compile(r"(?:[^;'$]|'(?:[^']|'')*'|\$\$.*?\$\$|\$)+", re.S)

BEFORE = """
CREATE TEMP TABLE before_rels AS SELECT c.oid, c.relname AS name, c.relkind, c.relfilenode FROM pg_class c
  WHERE %s AND c.relkind IN ('r', 'p', 'm', 'i', 'I');
CREATE TEMP TABLE before_work (oid oid, scans bigint, rows bigint);
CREATE FUNCTION pg_temp.files() RETURNS TABLE (name name) LANGUAGE sql AS $$
  SELECT b.name FROM before_rels b JOIN pg_class c USING (oid) WHERE c.relfilenode <> b.relfilenode AND b.relkind IN ('r', 'm')
    AND pg_relation_size(c.oid) > 0 $$;
""" % OURS
MARK = """
DELETE FROM before_work;
INSERT INTO before_work SELECT relid, seq_scan, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_xact_user_tables;
"""
AFTER = """
\\echo @after
SELECT '@name', b.name, c.relname FROM before_rels b JOIN pg_class c USING (oid) WHERE b.name <> c.relname;
SELECT '@lock', b.name, b.relkind, l.mode FROM pg_locks l JOIN before_rels b ON b.oid = l.relation
  WHERE l.pid = pg_backend_pid() AND b.relkind IN ('r', 'p', 'm') ORDER BY 2, 4;
SELECT '@index', t.name FROM pg_locks l JOIN before_rels b ON b.oid = l.relation JOIN pg_index i ON i.indexrelid = b.oid
  JOIN before_rels t ON t.oid = i.indrelid WHERE l.pid = pg_backend_pid() AND l.mode = 'AccessExclusiveLock' ORDER BY 2;
SELECT '@file', name FROM pg_temp.files() ORDER BY 2;
SELECT '@scan', b.name FROM pg_stat_xact_user_tables s JOIN before_rels b ON b.oid = s.relid LEFT JOIN before_work w USING (oid)
  WHERE s.seq_scan > coalesce(w.scans, 0) AND b.relkind IN ('r', 'p') ORDER BY 2;
SELECT '@write', b.name FROM pg_stat_xact_user_tables s JOIN before_rels b ON b.oid = s.relid LEFT JOIN before_work w USING (oid)
  WHERE s.n_tup_ins + s.n_tup_upd + s.n_tup_del > coalesce(w.rows, 0) + 1 AND b.relkind IN ('r', 'p') ORDER BY 2;
"""


class Cluster:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="ddl.", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
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

    def both(self, database, sql):
        """What it printed and what the server said, in their order."""
        return subprocess.run(self.command(database), input=sql, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout

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


def statements(sql):
    return [part.strip() for part in PART.findall(sql) if part.strip()]


def blocked(locks, kinds):
    """Tables that others have to wait for."""
    return sorted(name for name, modes in locks.items() if modes & (STRONG if kinds.get(name) != "m" else {"AccessExclusiveLock"}))


def in_transaction(c, case, kinds):
    """[what one statement did, the locks that were held then], the server's error"""
    script = "\\set ON_ERROR_STOP on\n" + BEFORE + "\\set VERBOSITY terse\nBEGIN;\n"
    for sql in statements(case["sql"]):
        script += MARK + ("\\echo TRUNCATE\n" if sql.startswith("TRUNCATE") else "") + "SET LOCAL client_min_messages = debug1;\nSET LOCAL enable_seqscan = off;\n"
        script += sql + ";\nSET LOCAL client_min_messages = warning;\nSET LOCAL enable_seqscan = on;\n" + AFTER
    done = c.both("case", script + "ROLLBACK;\n")
    error = re.search(r"ERROR:\s+(.*)", done)
    looks, said = [], ""
    for line in done.splitlines() + ["@after"]:
        row = line.split("\t")
        if line.startswith("@after"):
            looks.append([said, set(), {}, {}])
            said = ""
        elif row[0] == "@name":
            looks[-1][3][row[1]] = row[2]
        elif row[0] == "@lock":
            looks[-1][2].setdefault(row[1], set()).add(row[3])
        elif row[0] == "@index":
            looks[-1][2].setdefault(row[1], set()).add("AccessExclusiveLock")
        elif row[0] in ("@file", "@scan", "@write"):
            looks[-1][1].add((row[0][1:].replace("file", "rewrite") + "s", row[1]))
        else:
            said += line + "\n"
    return [told(*look, kinds) for look in looks[:-1]], error.group(1) if error else None


def told(said, work, locks, renamed, kinds):
    """Messages name tables as they are called by then; those that are made by then are no concern of ours."""
    names = {renamed.get(name, name): name for name in kinds}
    work |= {(what, names.get(name, name)) for what, name in messages(said, names)}
    if said.lstrip().startswith("TRUNCATE"):
        work = set()
    return work, locks


def files(c):
    rows = c.psql("case", "SELECT c.relname, c.relfilenode FROM pg_class c WHERE %s AND c.relkind IN ('r', 'm')" % OURS)[0]
    return dict(row.split("\t") for row in rows.splitlines())


def by_itself(c, case, names):
    """Another transaction holds a snapshot and reads, so that the statement waits and can be looked at."""
    before = files(c)
    older = subprocess.Popen(c.command("case"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    older.stdin.write("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t, nokey, mv, seen, part_2, side.inner_t LIMIT 0; SELECT '@ready';\n")
    older.stdin.flush()
    older.stdout.readline()
    run = subprocess.Popen(c.command("case"), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    run.stdin.write("\\set VERBOSITY terse\nSET application_name = 'measured';\nSET client_min_messages = debug1;\n" + case["sql"] + ";\n")
    run.stdin.close()
    locks = {}
    look = ("SELECT c.relname, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_stat_activity a "
            "USING (pid) WHERE a.application_name = 'measured' AND " + OURS + " AND c.relkind IN ('r', 'p', 'm') AND l.database = (SELECT oid FROM pg_database WHERE datname = 'case')")
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
    now = files(c)
    work.update(("rewrites", name) for name, file in before.items() if name in now and now[name] != file)
    return [[work, {name: set(modes) for name, modes in locks.items()}]], error.group(1) if error else None


def measure(c, case, base):
    if not c.is_fresh:
        c.psql("postgres", "DROP DATABASE IF EXISTS \"case\"")
        c.psql("postgres", "CREATE DATABASE \"case\" TEMPLATE base")
    c.is_fresh = "setup" not in case and not ALONE.search(case["sql"])
    if "setup" in case:
        _, said = c.psql("case", "\\set ON_ERROR_STOP on\n" + case["setup"] + ";")
        if "ERROR" in said:
            raise SystemExit("setup of %s: %s" % (case, said))
    looks, error = (by_itself if ALONE.search(case["sql"]) else in_transaction)(c, case, base)
    work = sorted({" ".join(w) for done, _ in looks for w in done})
    strong = sorted({name for _, locks in looks for name in blocked(locks, base)})
    if case.get("judged"):
        looks.append(({("rewrites", "judged")}, {}))
    modes = {}
    for _, locks in looks:
        for name, held in locks.items():
            modes[name] = max(held | {modes.get(name, MODES[0])}, key=MODES.index)
    dangerous = any(any(what == "rewrites" for what, _ in done) or (done and blocked(locks, base)) for done, locks in looks)
    return {"dangerous": bool(dangerous), "work": work, "strong": strong, "locks": modes, "error": error}


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
        kinds = c.psql("base", "SELECT c.relname, c.relkind FROM pg_class c WHERE %s AND c.relkind IN ('r', 'p', 'm')" % OURS)[0]
        kinds = dict(row.split("\t") for row in kinds.splitlines())
        version = c.psql("base", "SHOW server_version_num")[0].strip()
        with open(os.path.join(HERE, "verdicts.jsonl"), "w", encoding="utf-8") as f:
            f.write(json.dumps({"server_version_num": int(version)}) + "\n")
            for case in cases:
                verdict = measure(c, case, kinds)
                f.write(json.dumps({**case, **verdict}) + "\n")
                if verdict["error"]:
                    print("%s: %s" % (case["sql"], verdict["error"]), file=sys.stderr)
    finally:
        c.stop()


if __name__ == "__main__":
    main()

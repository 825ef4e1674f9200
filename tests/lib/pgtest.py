"""PostgreSQL and phasegate for Python tests; the standard library only.

    import unittest, pgtest

    class Advance(unittest.TestCase):
        def setUp(self):
            self.db = pgtest.cluster().create_database()     # shared server of the ctest run
            self.addCleanup(self.db.drop)

        def test_x(self):
            done = pgtest.run_phasegate(["status", "--json"], cwd=..., env={"DATABASE_URL": self.db.url})
            self.assertEqual(done.rc, 0, done)
            self.assertEqual(self.db.value("SELECT 1"), "1")

A test that stops, kills or freezes the server takes its own: `with pgtest.Cluster() as pg:`.
Nothing here skips: what's missing raises.
"""

import atexit
import csv
import glob
import io
import itertools
import json
import os
import pwd
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse

import libpq

SRC = os.environ.get("PHASEGATE_SRC") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("PHASEGATE_BUILD") or os.path.join(SRC, "build", "dev")
BIN = os.environ.get("PHASEGATE_BIN") or os.path.join(BUILD, "phasegate")

SANITIZER_EXIT = 99  # set in ASAN_OPTIONS and UBSAN_OPTIONS by tests/CMakeLists.txt
_NULL = "\x01null\x01"
_numbers = itertools.count(1)


class PgError(AssertionError):
    """psql said no: .sqlstate, .message."""

    def __init__(self, sql, stderr):
        found = re.search(r"(?:ERROR|FATAL):\s+([0-9A-Z]{5}):", stderr)
        self.sqlstate = found.group(1) if found else None
        self.message = stderr.strip()
        super().__init__("%s\nin: %s" % (self.message, sql))


def pg_bindir():
    """The folder of initdb and postgres, the newest that is installed."""
    found = glob.glob("/usr/lib/postgresql/*/bin/initdb")
    if found:
        return os.path.dirname(max(found, key=lambda p: float(p.split("/")[4])))
    initdb = shutil.which("initdb")
    if not initdb:
        raise RuntimeError("no initdb: apt-get install postgresql postgresql-contrib")
    return os.path.dirname(os.path.realpath(initdb))


def server_user():
    """As root: the pwd entry of the user that a server runs as. Else None."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("neither a user postgres nor nobody to run a server as")


def free_port():
    """A loopback TCP port that was free a moment ago."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def memory_folder(room=2 << 30):
    """A folder whose files are in memory, with that many bytes free; else /tmp."""
    try:
        found = os.statvfs("/dev/shm")
    except OSError:
        return "/tmp"
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) and found.f_bavail * found.f_frsize >= room else "/tmp"


# Thousands of small files that are made and removed: on a disk that takes ten times the processor's time.
tempfile.tempdir = memory_folder()


def wait_until(condition, seconds=30, step=0.05, what="the condition"):
    """Poll until condition() is true and return its value; AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("waited %g s for %s" % (seconds, what))
        time.sleep(step)


class _Server:
    """What a shared and an own cluster have in common: host (socket folder), port, user."""

    host = None
    port = 5432
    user = "postgres"

    def conninfo(self, dbname="postgres"):
        return "host=%s port=%d user=%s dbname=%s" % (self.host, self.port, self.user, dbname)

    def url(self, dbname="postgres", user=None):
        query = urllib.parse.urlencode({"host": self.host, "port": self.port})
        return "postgresql://%s@/%s?%s" % (user or self.user, dbname, query)

    def psql(self, sql, dbname="postgres", timeout=60, user=None):
        """Rows of all statements as lists of str, None for NULL. Each statement commits by itself."""
        plain = libpq.statements(sql)
        if plain is not None:
            try:
                return libpq.run(self.url(dbname, user), plain, timeout)
            except libpq.Failed as e:
                raise PgError(sql, str(e)) from None
            except libpq.Late:
                raise subprocess.TimeoutExpired(sql, timeout) from None
        return self.psql_itself(sql, dbname, timeout, user)

    def psql_itself(self, sql, dbname="postgres", timeout=60, user=None):
        # No -c: that would send several statements as one query and thus one transaction.
        command = ["psql", "-X", "-q", "--csv", "-t", "-P", "null=" + _NULL, "-v", "ON_ERROR_STOP=1",
                   "-v", "VERBOSITY=verbose", "-f", "-", self.url(dbname, user)]
        done = subprocess.run(command, input=sql, capture_output=True, text=True, timeout=timeout)
        if done.returncode != 0:
            raise PgError(sql, done.stderr)
        # An empty line is a row of one empty text.
        return [[None if cell == _NULL else cell for cell in row or [""]] for row in csv.reader(io.StringIO(done.stdout))]

    def create_database(self, name=None):
        name = name or "t_%d_%d" % (os.getpid(), next(_numbers))
        self.psql('CREATE DATABASE "%s" TEMPLATE template0' % name)
        return Database(self, name)


class Database:
    """.name, .url, .conninfo; psql(), value(), column(), drop()."""

    def __init__(self, server, name):
        self.server, self.name = server, name
        self.url, self.conninfo = server.url(name), server.conninfo(name)

    def psql(self, sql, **more):
        return self.server.psql(sql, self.name, **more)

    def value(self, sql, **more):
        rows = self.psql(sql, **more)
        return rows[0][0] if rows else None

    def column(self, sql, **more):
        return [row[0] for row in self.psql(sql, **more)]

    def session(self, *sql):
        """A psql that stays open after running sql: what holds a lock in a test. Close with .close()."""
        return Session(self.url, sql)

    def drop(self):
        self.server.psql('DROP DATABASE IF EXISTS "%s" WITH (FORCE)' % self.name)


class Session:
    """An open psql session; run() waits for the end of a statement."""

    def __init__(self, url, sql=()):
        self._errors = tempfile.TemporaryFile(mode="w+")
        self._psql = subprocess.Popen(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", url],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True)
        for statement in sql:
            self.run(statement)

    def run(self, sql):
        """Lines of output."""
        self.send(sql)
        self._psql.stdin.write("\\echo --end--\n")
        self._psql.stdin.flush()
        lines = []
        for line in self._psql.stdout:
            if line == "--end--\n":
                return lines
            lines.append(line.rstrip("\n"))
        self._psql.wait()
        self._errors.seek(0)
        raise PgError(sql, self._errors.read())

    def send(self, sql):
        """Without waiting."""
        self._psql.stdin.write(sql.rstrip().rstrip(";") + ";\n")
        self._psql.stdin.flush()

    def close(self):
        try:
            self._psql.stdin.close()
        except OSError:
            pass
        try:
            self._psql.wait(5)
        except subprocess.TimeoutExpired:
            self._psql.kill()
            self._psql.wait()
        self._psql.stdout.close()
        self._errors.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class SharedCluster(_Server):
    """The server of the ctest fixture. Databases only: others use it at the same time."""

    def __init__(self, conninfo):
        words = dict(word.split("=", 1) for word in conninfo.split())
        self.host, self.port, self.user = words["host"], int(words["port"]), words["user"]


class Cluster(_Server):
    """A throwaway server of one's own: it may be stopped, killed, frozen.

    settings: dict for postgresql.conf. tcp=True also listens on 127.0.0.1:.port.
    durable=True keeps fsync on (a crash() loses nothing either way: the kernel stays up).
    Its files are in memory where there is room (databases are made and dropped many times), a durable one's on disk.
    """

    def __init__(self, settings=None, tcp=False, durable=False, start=True):
        self.bindir = pg_bindir()
        self.account = server_user()
        self.port = free_port() if tcp else 5432
        self.host = tempfile.mkdtemp(prefix="pgt.", dir="/tmp" if durable else memory_folder())
        self.data = os.path.join(self.host, "data")
        self.log = os.path.join(self.host, "log")
        self._process = None
        if self.account:
            os.chown(self.host, self.account.pw_uid, self.account.pw_gid)
        atexit.register(self.close)
        self._run("initdb", "--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8",
                  "-D", self.data)
        conf = {
            "listen_addresses": "'127.0.0.1'" if tcp else "''",
            "unix_socket_directories": "'%s'" % self.host,
            "port": self.port,
            "fsync": "on" if durable else "off",
            "full_page_writes": "on" if durable else "off",
            "max_prepared_transactions": 20,
            "shared_preload_libraries": "'pg_stat_statements'",
            "shared_buffers": "'32MB'",
            "timezone": "'UTC'",
        }
        conf.update(settings or {})
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as f:
            f.writelines("%s = %s\n" % item for item in conf.items())
        if start:
            self.start()

    def _as_server(self):
        more = {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []} if self.account else {}
        return dict(more, cwd="/", stdin=subprocess.DEVNULL)

    def _run(self, tool, *args):
        done = subprocess.run([os.path.join(self.bindir, tool), *args], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=120, **self._as_server())
        if done.returncode != 0:
            raise RuntimeError("%s: %s" % (tool, done.stdout))

    def log_text(self):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def start(self, wait=True):
        """Start, or start again after stop() and crash(). wait: until it accepts connections."""
        # As our own child, not by pg_ctl: after a crash() somebody has to collect the dead postmaster, or the
        # next one takes it for alive.
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen([os.path.join(self.bindir, "postgres"), "-D", self.data], stdout=log,
                                             stderr=subprocess.STDOUT, start_new_session=True, **self._as_server())
        if wait:
            wait_until(self._is_ready, 60, what="the start of PostgreSQL")

    def _is_ready(self):
        if self._process.poll() is not None:
            raise RuntimeError("PostgreSQL ended while starting:\n" + self.log_text()[-4000:])
        done = subprocess.run([os.path.join(self.bindir, "pg_isready"), "-q", "-h", self.host, "-p", str(self.port)])
        return done.returncode == 0

    def _collect(self):
        if self._process:
            self._process.wait(60)
            self._process = None

    def stop(self, mode="fast"):
        self.thaw()
        if self.postmaster():
            self._run("pg_ctl", "-D", self.data, "-m", mode, "-w", "-t", "60", "stop")
        self._collect()

    def restart(self, mode="fast"):
        self.stop(mode)
        self.start()

    def crash(self):
        """SIGKILL to every process of the server, as a power cut of the database alone."""
        pids = self.processes()
        for pid in pids:
            _kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(_is_running(pid) for pid in pids), what="the killed server")
        self._collect()

    def freeze(self):
        """SIGSTOP: connections are accepted by the kernel, and nobody answers."""
        for pid in self.processes():
            _kill(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in self.processes():
            _kill(pid, signal.SIGCONT)

    def postmaster(self):
        """Process id, or None when it isn't running."""
        try:
            with open(os.path.join(self.data, "postmaster.pid"), encoding="utf-8") as f:
                pid = int(f.readline())
        except (OSError, ValueError):
            return None
        return pid if _is_running(pid) else None

    def processes(self):
        """The postmaster first, then its children."""
        top = self.postmaster()
        return [top] + _children(top) if top else []

    def close(self):
        """Stop and remove everything; may be called again."""
        atexit.unregister(self.close)
        if os.path.isdir(self.host):
            pids = self.processes()
            for pid in pids:
                _kill(pid, signal.SIGCONT)
            for pid in pids[:1]:
                _kill(pid, signal.SIGQUIT)
            try:
                wait_until(lambda: not any(_is_running(pid) for pid in pids), 20, what="the server's end")
            except AssertionError:
                for pid in pids:
                    _kill(pid, signal.SIGKILL)
            self._collect()
            shutil.rmtree(self.host, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def standby_of(primary):
    """A streaming standby of a cluster."""
    s = Cluster(start=False)
    shutil.rmtree(s.data)
    s._run("pg_basebackup", "-h", primary.host, "-U", "postgres", "-D", s.data, "-R", "-X", "stream", "-c", "fast")
    with open(s.data + "/postgresql.conf", "a", encoding="utf-8") as f:
        f.write("unix_socket_directories = '%s'\n" % s.host)
    s.start()
    return s


def _kill(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _is_running(pid):
    """Alive and no zombie."""
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


def _children(parent):
    found = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, encoding="utf-8") as f:
                fields = f.read().rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            continue
        if int(fields[1]) == parent:
            found.append(int(path.split("/")[2]))
    return found


_own = None


def cluster():
    """The shared server; outside of ctest a private one, started once for this process."""
    global _own
    conninfo = os.environ.get("PHASEGATE_TEST_PG")
    if conninfo:
        return SharedCluster(conninfo)
    if _own is None:
        _own = Cluster(settings={"max_connections": 200, "pg_stat_statements.track": "none"})
    return _own


class Done:
    """The end of a program: rc, stdout, stderr, json (parsed stdout), lines (JSON objects, one a line)."""

    def __init__(self, args, rc, stdout, stderr):
        self.args, self.rc, self.stdout, self.stderr = args, rc, stdout, stderr
        if rc == SANITIZER_EXIT:
            raise AssertionError("a sanitizer stopped %s:\n%s" % (" ".join(args), stderr))

    @property
    def json(self):
        try:
            return json.loads(self.stdout)
        except ValueError as e:
            raise AssertionError("stdout is no JSON (%s): %s" % (e, self)) from None

    @property
    def lines(self):
        try:
            return [json.loads(line) for line in self.stdout.splitlines() if line.strip()]
        except ValueError as e:
            raise AssertionError("a line of stdout is no JSON (%s): %s" % (e, self)) from None

    def __str__(self):
        return "%s: exit %s\n--- stdout\n%s--- stderr\n%s" % (" ".join(self.args), self.rc, self.stdout, self.stderr)

    __repr__ = __str__


def phasegate_env(env=None):
    """The environment for phasegate: ours without PG* and PHASEGATE_*, plus env (a None value removes)."""
    out = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "PHASEGATE_", "DATABASE_URL"))}
    out["PHASEGATE_CACHE"] = os.environ.get("PHASEGATE_CACHE") or BUILD + "/cache"  # never the user's
    for key, value in (env or {}).items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = str(value)
    return out


def run_phasegate(args, cwd=None, env=None, input=None, timeout=120):
    """Run to the end. A sanitizer report raises; any other exit code is the caller's to check."""
    command = [BIN, *map(str, args)]
    more = {"stdin": subprocess.DEVNULL} if input is None else {"input": input}
    done = subprocess.run(command, cwd=cwd, env=phasegate_env(env), capture_output=True, text=True, timeout=timeout,
                          errors="replace", **more)
    return Done(command, done.returncode, done.stdout, done.stderr)


class Running:
    """phasegate in the background: .pid, signal(), kill(), is_running(), wait() -> Done. Output goes to files, so that a
    full pipe never stops it; stdout and stderr may be read meanwhile."""

    def __init__(self, args, cwd=None, env=None):
        self.args = [BIN, *map(str, args)]
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        self._process = subprocess.Popen(self.args, cwd=cwd, env=phasegate_env(env), stdin=subprocess.DEVNULL,
                                         stdout=self._out, stderr=self._err)
        self.pid = self._process.pid

    @staticmethod
    def _text(f):
        size = os.fstat(f.fileno()).st_size
        return os.pread(f.fileno(), size, 0).decode("utf-8", "replace")

    @property
    def stdout(self):
        return self._text(self._out)

    @property
    def stderr(self):
        return self._text(self._err)

    def is_running(self):
        return self._process.poll() is None

    def signal(self, number):
        self._process.send_signal(number)

    def kill(self):
        self._process.kill()
        return self.wait()

    def wait(self, timeout=120):
        # Popen.wait() with a time limit naps up to 50 ms at a time; the kernel can tell at once.
        ended = os.pidfd_open(self.pid) if self._process.poll() is None else None
        if ended is not None:
            try:
                select.select([ended], [], [], timeout)
            finally:
                os.close(ended)
        # Of one with threads, the others may still be on their way out when the first has ended.
        return Done(self.args, self._process.wait(timeout if ended is not None else None), self.stdout, self.stderr)

    def close(self):
        """End it however it stands."""
        if self.is_running():
            self._process.kill()
            self._process.wait()
        self._out.close()
        self._err.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def start_phasegate(args, cwd=None, env=None):
    return Running(args, cwd, env)

"""runbooks/*.md: each situation is brought about for real, then the page's commands are run and their answers compared.

The project is the one of docs/tutorial.md, with shorter pauses."""

import html
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import console
import pgtest

RUNBOOKS = os.path.join(pgtest.SRC, "runbooks")
TUTORIAL = os.path.join(pgtest.SRC, "docs", "tutorial.md")
PLAN = "plans/20260101120000-customers-email.yaml"
RELEASES = {"expand": "1.1.0", "dual_read": "1.2.0", "write_activation": "1.3.0", "contract": "1.5.0"}
TABLES = ("CREATE TABLE customers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mail text NOT NULL);"
          "INSERT INTO customers (mail) SELECT 'c' || n || '@example.org' FROM generate_series(1, 1000) n;"
          "CREATE TABLE complaints (text text);")
GATE = """gates:
  complaints:
    sql: SELECT count(*) FROM complaints
    expect: "= 0"
    interval: 100ms
    count: 1
    no_data: hold
    on_failure: rollback
"""


class Lab:
    """A project as far as `advance` was told to take it, a flag service, a shell."""

    def __init__(self, case, server):
        self.case, self.server, self.db = case, server, server.create_database()
        case.addCleanup(self.db.drop)
        self.port = pgtest.free_port()
        self.dir = tempfile.mkdtemp(prefix="phasegate-runbook-")
        case.addCleanup(shutil.rmtree, self.dir)
        self.db.psql(TABLES)
        self.env = {"DATABASE_URL": self.db.url, "PHASEGATE_FLAG_TOKEN": "runbook-token", "PGHOST": server.host,
                    "PGPORT": server.port, "PGUSER": server.user, "PGDATABASE": self.db.name}
        page = console.blocks(TUTORIAL)
        project, plan = [b.text for b in page if b.language == "yaml"]
        for folder in ("plans", "statements", "schema", ".phasegate"):
            os.mkdir(os.path.join(self.dir, folder))
        for block in page:
            if block.language == "sql":
                self.write(re.findall(r"`(statements/[\w.]+)`", block.above)[-1], block.text)
        self.write("schema/baseline.sql", "-- none\n")
        self.write("token", "runbook-token\n")
        self.write("phasegate.yaml", project.replace("8016", str(self.port)).replace("hold: 5s", "hold: 2s")
                   .replace("  approvals: {contract: 1}            # somebody signs before contract\n", ""))
        self.write(PLAN, re.sub(r"pause: \w+", "pause: 100ms", plan))
        self.flags = None
        self.start_flags()
        case.addCleanup(self.stop_flags)

    def write(self, name, text):
        with open(os.path.join(self.dir, name), "w", encoding="utf-8") as f:
            f.write(text)

    def edit(self, name, old, new):
        with open(os.path.join(self.dir, name), encoding="utf-8") as f:
            text = f.read()
        self.case.assertIn(old, text)
        self.write(name, text.replace(old, new))

    def start_flags(self):
        self.flags = pgtest.start_phasegate(["flag-server", "--port", self.port, "--token-file", "token"], cwd=self.dir)
        pgtest.wait_until(lambda: "flag server on" in self.flags.stderr, what="the flag service")

    def stop_flags(self):
        if self.flags:
            self.flags.signal(signal.SIGCONT)
            self.flags.close()
            self.flags = None

    def freeze_flags(self):
        self.flags.signal(signal.SIGSTOP)

    def thaw_flags(self):
        self.flags.signal(signal.SIGCONT)

    def run(self, *args, rc=0):
        done = pgtest.run_phasegate(args, cwd=self.dir, env=self.env)
        self.case.assertEqual(done.rc, rc, done)
        return done

    def advance(self, *phases):
        for phase in phases:
            self.run("advance", "customers-email", "--release", RELEASES[phase], "-q")

    def stop_at_half(self):
        """In write_activation, half of the writes on the new column, in a pause of ten minutes."""
        self.advance("expand", "dual_read")
        self.edit(PLAN, "{percent: 50, pause: 100ms}", "{percent: 50, pause: 10m}")
        self.run("advance", "customers-email", "--release", "1.3.0", "-q", "--no-wait", rc=5)

    def hold_lock(self):
        session = self.db.session("BEGIN", "LOCK TABLE customers IN ACCESS SHARE MODE")
        self.case.addCleanup(session.close)

    def run_in_background(self, *args):
        running = pgtest.start_phasegate(args, cwd=self.dir, env=self.env)
        self.case.addCleanup(running.close)
        pgtest.wait_until(lambda: "pause" in running.stderr, what="the pause of the rung")
        return running

    def play(self, page, hooks=None, floor=2):
        shell = console.Shell(self.dir, self.env)
        self.case.addCleanup(shell.close)
        n = console.play(os.path.join(RUNBOOKS, page), shell, lambda t: t.replace("8016", str(self.port)), hooks)
        self.case.assertGreaterEqual(n, floor)


class Runbooks(unittest.TestCase):
    def lab(self, server=None):
        return Lab(self, server or pgtest.cluster())

    def test_advance_stuck_on_a_lock(self):
        lab = self.lab()
        lab.hold_lock()
        lab.play("advance-stuck-on-a-lock.md")

    def test_gate_failed(self):
        lab = self.lab()
        lab.edit(PLAN, "  write_activation:\n", "    gates: [complaints]\n  write_activation:\n")
        with open(os.path.join(lab.dir, PLAN), "a", encoding="utf-8") as f:
            f.write(GATE)
        lab.advance("expand")
        lab.db.psql("INSERT INTO complaints VALUES ('where is my mail?')")
        lab.play("gate-failed.md")

    def test_kill(self):
        lab = self.lab()
        lab.stop_at_half()
        lab.edit(PLAN, "pause: 10m", "pause: 100ms")
        lab.play("kill.md")

    def test_database_down(self):
        with pgtest.Cluster() as server:
            lab = self.lab(server)
            lab.stop_at_half()
            lab.edit(PLAN, "pause: 10m", "pause: 100ms")
            server.stop()
            try:
                lab.play("database-down.md", {"answers again": server.start})
            finally:
                if not server.postmaster():
                    server.start()
                self.doCleanups()  # while the server is there

    def test_flag_service_down(self):
        lab = self.lab()
        lab.edit("phasegate.yaml", "      provider: builtin\n",
                 "      provider: builtin\n      kill_file: %s/kill.json\n" % lab.dir)
        lab.stop_at_half()
        lab.edit(PLAN, "pause: 10m", "pause: 100ms")
        lab.stop_flags()
        lab.play("flag-service-down.md", {"answers again": lab.start_flags})

    def test_flag_in_doubt(self):
        lab = self.lab()
        lab.stop_at_half()
        lab.edit(PLAN, "pause: 10m", "pause: 100ms")
        lab.freeze_flags()
        lab.play("flag-in-doubt.md", {"answers again": lab.thaw_flags})

    def test_edited_step(self):
        lab = self.lab()
        lab.advance("expand")
        lab.edit(PLAN, "ADD COLUMN email text", "ADD COLUMN email varchar")
        lab.play("edited-step.md")

    def test_crashed_run(self):
        lab = self.lab()
        lab.advance("expand")
        lab.edit(PLAN, "{percent: 10, pause: 100ms}", "{percent: 10, pause: 3s}")
        lab.run_in_background("advance", "customers-email", "--release", "1.2.0").kill()
        lab.play("crashed-run.md")

    def test_another_run(self):
        lab = self.lab()
        lab.advance("expand")
        lab.edit(PLAN, "{percent: 10, pause: 100ms}", "{percent: 10, pause: 60s}")
        advance = ["advance", "customers-email", "--release", "1.2.0"]
        other = lab.run_in_background(*advance)
        lab.play("another-run.md", {"has stopped": lambda: self.assertEqual(other.wait(30).rc, 5),
                                    "host hang": lambda: lab.run_in_background(*advance).signal(signal.SIGSTOP)})

    def test_halted(self):
        lab = self.lab()
        lab.stop_at_half()
        lab.edit(PLAN, "pause: 10m", "pause: 100ms")
        lab.run("--as", "bob", "pause", "customers-email", "--because", "error rate is up")
        lab.play("halted.md")

    def fill_slowly(self, lab, throttle):
        """The backfill of dual_read under way, in the background."""
        lab.edit(PLAN, "backfill: [{id: fill}]", "backfill: [{id: fill, throttle: %s}]" % throttle)
        running = pgtest.start_phasegate(["advance", "customers-email", "--release", "1.2.0"], cwd=lab.dir, env=lab.env)
        self.addCleanup(running.close)
        return running

    def test_backfill_stuck(self):
        lab = self.lab()
        lab.advance("expand")
        lab.db.psql("INSERT INTO complaints VALUES ('slow')")
        running = self.fill_slowly(lab, '{sql: SELECT count(*) FROM complaints}')
        pgtest.wait_until(lambda: "stop" in lab.run("backfill", "customers-email").stdout, what="the throttle")
        lab.play("backfill-stuck.md")
        self.assertEqual(running.wait(60).rc, 0)

    def test_wrong_data(self):
        lab = self.lab()
        lab.stop_at_half()
        lab.edit(PLAN, "pause: 10m", "pause: 100ms")
        lab.db.psql("SET session_replication_role = replica; UPDATE customers SET email = 'x' || id WHERE id IN (3, 7)")
        lab.play("wrong-data.md")

    def test_lock_queue(self):
        lab = self.lab()
        lab.advance("expand")
        lab.edit(PLAN, "{percent: 10, pause: 100ms}", "{percent: 10, pause: 60s}")
        running = lab.run_in_background("advance", "customers-email", "--release", "1.2.0")
        lab.edit(PLAN, "{percent: 10, pause: 60s}", "{percent: 10, pause: 100ms}")
        holder = lab.db.session("BEGIN", "LOCK TABLE customers")
        self.addCleanup(holder.close)
        waiter = lab.db.session()
        self.addCleanup(waiter.close)
        waiter.send("SELECT count(*) FROM customers;")
        pgtest.wait_until(lambda: lab.db.value("SELECT count(*) FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0 "
                                               "AND datname = current_database()") == "1", what="the queue")
        lab.play("lock-queue.md", {"Go on:": lambda: self.assertEqual(running.wait(30).rc, 5)})

    def test_replica_lag(self):
        with pgtest.Cluster() as server:
            try:
                self.play_replica_lag(self.lab(server), server)
            finally:
                self.doCleanups()  # while the server is there

    def play_replica_lag(self, lab, server):
        standby = pgtest.standby_of(server)
        self.addCleanup(standby.close)
        lab.env["STANDBY"] = standby.host
        lab.edit("phasegate.yaml", "policy:\n", "policy:\n  preflight: off\n")  # it sees the standby, too
        lab.advance("expand")
        pgtest.wait_until(lambda: server.psql("SELECT count(*) FROM pg_stat_replication") == [["1"]], what="the standby")
        standby.psql("SELECT pg_wal_replay_pause()")
        pgtest.wait_until(lambda: standby.psql("SELECT pg_get_wal_replay_pause_state()") == [["paused"]], what="the pause")
        # More than the limit, that nobody replays.
        lab.db.psql("CREATE TABLE ballast AS SELECT repeat('x', 1000) FROM generate_series(1, 2000)")
        running = self.fill_slowly(lab, "{replica_lag: 1MB}")
        pgtest.wait_until(lambda: "stop" in lab.run("backfill", "customers-email").stdout, what="the throttle")
        # On a slow machine it is behind by time as well, before it is seen to be by bytes.
        lab.run("backfill", "customers-email", "set", "replica_lag=10m")
        pgtest.wait_until(lambda: "stop: replica_bytes" in lab.run("backfill", "customers-email").stdout, what="the bytes")
        lab.play("replica-lag.md")
        self.assertEqual(running.wait(60).rc, 0)

    def test_rollback(self):
        lab = self.lab()
        lab.advance("expand", "dual_read", "write_activation")
        lab.play("rollback.md")

    def test_restore(self):
        lab = self.lab()
        lab.advance("expand", "dual_read", "write_activation", "contract")
        lab.play("restore.md")

    def test_purge(self):
        lab = self.lab()
        lab.edit("phasegate.yaml", "hold: 2s", "hold: 4s")
        lab.advance("expand", "dual_read", "write_activation", "contract")
        lab.db.psql('CREATE VIEW mails AS SELECT "_drop_%s_mail" FROM customers'
                    % lab.db.value("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')"))
        lab.play("purge.md")

    def test_pooler_refused(self):
        lab = self.lab()
        lab.env["DIRECT_URL"] = lab.env["DATABASE_URL"]
        lab.env["DATABASE_URL"] = self.pooler(lab)
        lab.play("pooler-refused.md")

    def pooler(self, lab):
        folder = tempfile.mkdtemp(prefix="pgb.")
        account = pgtest.server_user()
        if account:
            os.chown(folder, account.pw_uid, account.pw_gid)
        with open(os.path.join(folder, "ini"), "w", encoding="utf-8") as f:
            f.write("[databases]\n* = host=%s port=%d user=%s\n[pgbouncer]\nlisten_addr =\nunix_socket_dir = %s\n"
                    "listen_port = 6432\nauth_type = any\npool_mode = transaction\nignore_startup_parameters = options,"
                    "extra_float_digits\n" % (lab.server.host, lab.server.port, lab.server.user, folder))
        os.chmod(os.path.join(folder, "ini"), 0o644)
        more = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
        program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        process = subprocess.Popen([program, os.path.join(folder, "ini")], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, cwd="/", **more)

        def end():
            process.terminate()
            process.wait()
            shutil.rmtree(folder, ignore_errors=True)

        self.addCleanup(end)
        pgtest.wait_until(lambda: os.path.exists(os.path.join(folder, ".s.PGSQL.6432")), what="pgbouncer")
        return "host=%s port=6432 dbname=%s user=%s" % (folder, lab.db.name, lab.server.user)


class Generated(unittest.TestCase):
    """`phasegate runbook`: each command of the page is run, in a project that has got so far."""

    def lab(self, *phases):
        lab = Lab(self, pgtest.cluster())
        lab.edit("phasegate.yaml", "hold: 2s", "hold: 1s")
        lab.advance(*phases)
        return lab

    def commands(self, lab, *options):
        """Those of its fenced blocks, in their order, without those that come again."""
        path = os.path.join(lab.dir, "runbook.md")
        with open(path, "w", encoding="utf-8") as f:
            f.write(lab.run("runbook", "customers-email", *options).stdout)
        found = [line for b in console.blocks(path) if b.language == "sh" for line in b.text.splitlines()]
        return list(dict.fromkeys(found))

    def run_all(self, lab, commands, codes):
        """codes: beginning of a command -> exit code; every command has to have one, and every one its command."""
        shell = console.Shell(lab.dir, lab.env)
        self.addCleanup(shell.close)
        met = set()
        for command in commands:
            start = max((c for c in codes if command.startswith("phasegate -e development " + c)), key=len, default=None)
            self.assertIsNotNone(start, "no exit code is expected for: " + command)
            met.add(start)
            out, rc = shell.run(command)
            self.assertEqual(rc, codes[start], "$ %s\n%s" % (command, out))
        self.assertEqual(set(codes) - met, set())

    def test_in_a_rollout(self):
        lab = self.lab("expand", "dual_read")
        lab.edit(PLAN, "{percent: 50, pause: 100ms}", "{percent: 50, pause: 10m}")
        lab.run("advance", "customers-email", "--release", "1.3.0", "-q", "--no-wait", rc=5)
        lab.edit(PLAN, "pause: 10m", "pause: 100ms")
        commands, part = self.commands(lab), r"-e development (?:%s)\b"
        movers = part % "advance|rollback|pause|resume"
        self.run_all(lab, [c for c in commands if not re.search(movers, c)], {
            "kill customers-email": 0, "kill customers-email --drill": 0, "flags reconcile": 1, "flags list": 0, "status customers-email": 0,
            "doctor": 1, "backfill customers-email status": 0, "backfill customers-email pause": 4, "backfill customers-email verify": 0,
            "preflight customers-email": 0, "history customers-email --verify": 0, "restore customers-email": 4, "purge customers-email": 4})
        lab.run("resume", "customers-email")  # after the kill
        for word, codes in (("pause|resume", {"pause customers-email --because": 0, "pause customers-email": 4, "resume customers-email": 0}),
                            ("advance", {"advance customers-email --release 1.3.0": 0}), ("rollback", {"rollback customers-email": 0})):
            self.run_all(lab, [c for c in commands if re.search(part % word, c)], codes)

    def test_after_contract(self):
        lab = self.lab("expand", "dual_read", "write_activation", "contract")
        commands = self.commands(lab)
        self.run_all(lab, [c for c in commands if " restore " in c], {"restore customers-email": 0})
        lab.advance("contract")
        time.sleep(1.2)  # the hold
        self.run_all(lab, [c for c in self.commands(lab) if " purge " in c], {"purge customers-email --dry-run": 4, "purge customers-email --confirm": 0})
        lab.db.psql("ALTER TABLE customers ADD COLUMN mail text")
        self.run_all(lab, [c for c in self.commands(lab) if " --from " in c], {"restore --from ": 0})
        self.assertEqual(lab.db.value("SELECT count(*) FROM customers WHERE mail = email"), "1000")

    def test_the_pages_that_it_names_are_there(self):
        lab = self.lab("expand")
        named = set(re.findall(r"`(runbooks/[\w-]+\.md)`", lab.run("runbook", "customers-email").stdout))
        self.assertGreater(len(named), 9)
        for page in named:
            self.assertTrue(os.path.exists(os.path.join(pgtest.SRC, page)), page)

    def test_html_has_the_same_commands(self):
        lab = self.lab("expand")
        page = lab.run("runbook", "customers-email", "--format", "html").stdout
        shown = [html.unescape(t).rstrip("\n") for t in re.findall(r"<pre><code>(phasegate .*?)</code></pre>", page, re.S)]
        self.assertEqual(list(dict.fromkeys(shown)), self.commands(lab))


class Pages(unittest.TestCase):
    def pages(self):
        return sorted(f for f in os.listdir(RUNBOOKS) if f.endswith(".md") and f != "README.md")

    def test_each_page_is_played_and_listed(self):
        with open(os.path.join(RUNBOOKS, "README.md"), encoding="utf-8") as f:
            listed = set(re.findall(r"\]\(([\w-]+\.md)\)", f.read()))
        with open(__file__, encoding="utf-8") as f:
            played = set(re.findall(r'play\("([\w-]+\.md)"', f.read()))
        self.assertGreater(len(self.pages()), 11)
        self.assertEqual(set(self.pages()), listed)
        self.assertEqual(set(self.pages()), played)

    def test_each_page_says_what_it_prints_what_the_codes_mean_and_what_comes_after(self):
        for page in self.pages():
            path = os.path.join(RUNBOOKS, page)
            with open(path, encoding="utf-8") as f:
                sections = re.findall(r"^## (.*)", f.read(), re.M)
            with self.subTest(page=page):
                self.assertIn(sections[0], ("You see", "When", "Before", "Do"))
                self.assertIn("Do", sections)
                self.assertLess(sections.index("Exit codes"), len(sections) - 1)
                self.assertTrue(any(s.startswith("Afterwards") for s in sections))
                found = [c for b in console.blocks(path) if b.language == "console" for c in console.commands(b)]
                self.assertTrue(any(any("..." != line.strip() for line in shown) for _, _, shown in found))
                for line, command, shown in found:
                    says_nothing = bool(shown) and all(s.strip() in ("...", "") for s in shown)
                    self.assertFalse(says_nothing, "line %d: %s: ... alone expects nothing" % (line, command))
                    if command.startswith("phasegate "):
                        self.assertTrue(shown, "line %d: %s: no output is shown" % (line, command))


if __name__ == "__main__":
    unittest.main()

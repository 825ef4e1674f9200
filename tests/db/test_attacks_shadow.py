"""check --shadow: a run that is killed leaves nothing for ever, nobody becomes a role that was there before, and what a statement
does to its own session is told as what it is."""

import json
import os
import signal
import subprocess
import threading
import unittest

import check_project
import pgtest
from project import plan, step

T = "CREATE TABLE t (id int PRIMARY KEY, a text, n int);\n"
GET = "-- name: Get\n-- args: (1)\nSELECT a FROM t WHERE id = $1;\n"
SLOW = 30


def expand(release, *sql):
    return {"release": release, "steps": [step("s%d" % i, s) for i, s in enumerate(sql)]}


def children(pid):
    found = []
    for name in os.listdir("/proc"):
        try:
            with open("/proc/%s/stat" % name) as f:
                parent = f.read().rsplit(")", 1)[1].split()[1]
        except (OSError, IndexError):
            continue
        if parent == str(pid):
            found.append(int(name))
    return found


def command_of(pid):
    try:
        with open("/proc/%d/comm" % pid) as f:
            return f.read().strip()
    except OSError:
        return None


def is_running(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Yours(check_project.Case):
    @classmethod
    def setUpClass(cls):
        cls.pg = pgtest.Cluster()
        cls.options = ("--no-cache", "--shadow", cls.pg.url())

    @classmethod
    def tearDownClass(cls):
        cls.pg.close()

    def value(self, sql):
        return self.pg.psql(sql)[0][0]

    def nothing_left(self):
        rows = self.pg.psql("SELECT (SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database), (SELECT string_agg(rolname, ' ' ORDER BY rolname) "
                            "FROM pg_roles WHERE rolsuper OR oid >= 16384), (SELECT count(*) FROM pg_shdescription WHERE objoid >= 16384)")
        self.assertEqual(rows, [["postgres template0 template1", "postgres", "0"]])

    def begin(self, p):
        done = subprocess.Popen([os.environ["PHASEGATE_BIN"], "check", *self.options], cwd=p.dir, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(done.wait)
        self.addCleanup(done.kill)
        return done

    def kill(self, running):
        running.send_signal(signal.SIGKILL)
        running.wait()


class Killed(Yours):
    def test_no_role_is_there_without_its_mark(self):
        """Held up where the mark is written: nobody sees the role before, and it goes with whoever made it."""
        p = self.project(baseline=T, releases={"1.0.0": GET})
        with pgtest.Session(self.pg.url(), ["BEGIN", "LOCK TABLE pg_shdescription IN SHARE MODE"]) as held:
            running = self.begin(p)
            waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^phasegate_shadow_' AND wait_event_type = 'Lock'"
            pgtest.wait_until(lambda: self.value(waits) == "1", SLOW, what="the mark")
            self.assertEqual(self.value("SELECT count(*) FROM pg_roles WHERE oid >= 16384"), "0")
            self.kill(running)
            # It waits for a lock, and looks whether anybody is there all the same.
            pgtest.wait_until(lambda: self.value(waits) == "0", SLOW, what="the end of the session")
            held.run("ROLLBACK")
        self.assertEqual(self.value("SELECT count(*) FROM pg_roles WHERE oid >= 16384"), "0")
        self.clean(p, *self.options)
        self.nothing_left()

    def loading(self, sql):
        p = self.project(baseline=T + "CREATE ROLE app;\nALTER TABLE t OWNER TO app;\n" + sql, releases={"1.0.0": GET})
        running = self.begin(p)
        loads = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'phasegate/baseline' AND query ~ 'pg_sleep'"
        pgtest.wait_until(lambda: self.value(loads) == "1", SLOW, what="the load")
        programs = children(running.pid)
        self.assertTrue(programs)
        self.kill(running)
        pgtest.wait_until(lambda: not any(map(is_running, programs)), SLOW, what="the end of psql")
        return loads

    def test_who_loads_a_baseline_ends_with_the_run(self):
        loads = self.loading("SELECT pg_sleep(600);\n")
        pgtest.wait_until(lambda: self.value(loads) == "0", SLOW, what="the end of the load")
        self.clean(self.project(baseline=T, releases={"1.0.0": GET}), *self.options)
        self.nothing_left()

    def test_a_session_that_goes_on_is_ended_by_the_next_run(self):
        """It may say that it doesn't look whether anybody is there."""
        loads = self.loading("SET client_connection_check_interval = 0;\nSELECT pg_sleep(600);\n")
        self.assertEqual(self.value("SELECT pg_sleep(3)"), "")
        self.assertEqual(self.value(loads), "1")
        self.clean(self.project(baseline=T, releases={"1.0.0": GET}), *self.options)
        self.assertEqual(self.value(loads), "0")
        self.nothing_left()

    def test_whatever_calls_itself_a_run_is_none(self):
        """A session of a dead run's may take its name; a run that lives isn't touched."""
        p = self.project(baseline=T + "CREATE ROLE app;\nDO $$ BEGIN PERFORM set_config('application_name', left(current_database(), 25), false); END $$;\n"
                         "SET client_connection_check_interval = 0;\nSELECT pg_sleep(600);\n", releases={"1.0.0": GET})
        running = self.begin(p)
        sleeps = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600);' AND application_name ~ '^phasegate_shadow_'"
        pgtest.wait_until(lambda: self.value(sleeps) == "1", SLOW, what="the load")
        other = self.project(baseline=T, releases={"1.0.0": GET})
        self.clean(other, *self.options)
        self.assertEqual(self.value(sleeps), "1")
        self.kill(running)
        pgtest.wait_until(lambda: self.value("SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^phasegate_shadow_' AND usename = 'postgres'") == "0", SLOW)
        self.clean(other, *self.options)
        self.assertEqual(self.value(sleeps), "0")
        self.nothing_left()

    def test_at_any_moment(self):
        p = self.project(baseline=T + "CREATE ROLE app;\nALTER TABLE t OWNER TO app;\n", releases={"1.0.0": GET + "-- name: App\n-- role: app\nSELECT id FROM t;\n"},
                         plans=[plan("a", phases={"expand": expand("1.0.0", "ALTER TABLE t ADD COLUMN x int")})])
        for i in range(12):
            running = self.begin(p)
            try:
                running.wait(0.05 + i * 0.07)
            except subprocess.TimeoutExpired:
                pass
            self.kill(running)
            self.assertEqual(self.value("SELECT count(*) FROM pg_roles WHERE oid >= 16384 AND shobj_description(oid, 'pg_authid') IS NULL"), "0")
            self.assertEqual(self.value("SELECT count(*) FROM pg_database WHERE oid >= 16384 AND datname !~ '^phasegate_shadow_[0-9a-f]{8}_'"), "0")
        gone = "SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^phasegate_shadow_'"
        pgtest.wait_until(lambda: self.value(gone) == "0", SLOW, what="the ends of the sessions")
        self.clean(p, *self.options)
        self.nothing_left()


class Strangers(Yours):
    APP = "-- name: App\n-- role: app\nSELECT id FROM t;\n"

    def test_nobody_becomes_one(self):
        """Not even to end its sessions, or what belongs to it elsewhere."""
        self.pg.psql("CREATE ROLE bob LOGIN")
        try:
            with pgtest.Session(self.pg.url(user="bob"), ["SELECT 1"]) as theirs:
                for parts in ({"session": {"role": "bob"}, "releases": {"1.0.0": GET}},
                              {"releases": {"1.0.0": GET + "-- name: Kill\n-- role: bob\nSELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'bob';\n"}}):
                    done = self.project(baseline=T + "GRANT SELECT ON t TO bob;\n", **parts).check(*self.options)
                    self.assertEqual(done.rc, 2, done)
                    self.assertIn("statements can't run as role bob: the server of --shadow has a role of that name", done.stdout + done.stderr)
                self.assertEqual(theirs.run("SELECT 2"), ["2"])
            self.assertEqual(self.value("SELECT count(*) FROM pg_auth_members WHERE roleid = 'bob'::regrole"), "0")
        finally:
            self.pg.psql("DROP ROLE bob")
        self.nothing_left()

    def test_whom_releases_log_in_as_is_no_change(self):
        p = self.project(baseline=T + "GRANT SELECT ON t TO app;\n", releases={"1.0.0": self.APP, "1.1.0": self.APP},
                         plans=[plan("a", phases={"expand": expand("1.0.0", "CREATE TABLE u (id int)")})])
        done = self.clean(p, *self.options)
        self.assertEqual(done.json["summary"]["carried"], done.json["summary"]["cells"])

    def test_what_was_to_be_its_is_told(self):
        self.pg.psql("CREATE ROLE bob")
        try:
            base = T + "CREATE SCHEMA s AUTHORIZATION bob;\nALTER TABLE t OWNER TO bob;\nALTER TABLE t OWNER TO postgres;\n"
            done = self.project(baseline=base, releases={"1.0.0": GET}).check(*self.options)
            self.assertEqual([(f["severity"], f["rule"], f["file"], f["line"]) for f in done.findings], [("note", "cell-untested", "baseline.sql", 2)], done)
            self.assertIn("what belongs to role bob", done.findings[0]["message"])
        finally:
            self.pg.psql("DROP ROLE bob")

    def test_the_last_run_that_uses_a_role_takes_it_away(self):
        """Also one that another run has made, which ended before."""
        base = T + "CREATE ROLE app;\nALTER TABLE t OWNER TO app;\n"
        step_of = lambda seconds: [plan("a", phases={"expand": expand("1.0.0", "SELECT pg_sleep(%d)" % seconds)})]
        first = self.begin(self.project(baseline=base, releases={"1.0.0": GET + self.APP}, plans=step_of(5)))
        sleeps = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(%d)'"
        pgtest.wait_until(lambda: self.value(sleeps % 5) == "1", SLOW, what="the first run")
        second = self.begin(self.project(baseline=base, releases={"1.0.0": GET + self.APP}, plans=step_of(12)))
        pgtest.wait_until(lambda: self.value(sleeps % 12) == "1", SLOW, what="the second run")
        self.assertEqual(first.wait(60), 0)
        self.assertEqual(self.value("SELECT count(*) FROM pg_roles WHERE rolname = 'app'"), "1")
        self.assertEqual(second.wait(60), 0)
        self.nothing_left()

    def test_a_role_of_another_run_is_none(self):
        """Two at once, with the same baseline: each has it, and the last one takes it away."""
        base = T + "CREATE ROLE app;\nALTER TABLE t OWNER TO app;\n"
        slow = self.project(baseline=base, releases={"1.0.0": GET + self.APP}, plans=[plan("a", phases={"expand": expand("1.0.0", "SELECT pg_sleep(6)", "ALTER TABLE t ADD COLUMN x int")})])
        quick = self.project(baseline=base, releases={"1.0.0": GET + self.APP})
        done = []
        thread = threading.Thread(target=lambda: done.append(slow.check(*self.options)))
        thread.start()
        try:
            pgtest.wait_until(lambda: self.value("SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(6)'") == "1", SLOW, what="the step")
            self.clean(quick, *self.options)
        finally:
            thread.join()
        self.assertEqual((done[0].rc, self.rules(done[0])), (0, []), done[0])
        self.nothing_left()


class Own(check_project.Case):
    """What a statement does to its own session."""

    def test_a_command_ends_with_the_run(self):
        command = {"id": "s0", "command": ["sleep", "600"], "applied_when": "SELECT false", "undo": {"none": "tests"}}
        p = self.project(baseline=T, releases={"1.0.0": GET}, plans=[plan("a", phases={"expand": {"release": "1.0.0", "steps": [command]}})])
        running = subprocess.Popen([os.environ["PHASEGATE_BIN"], "check", "--no-cache", "--allow-commands"], cwd=p.dir, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(running.wait)
        self.addCleanup(running.kill)
        sleeping = lambda: [pid for pid in children(running.pid) if command_of(pid) == "sleep"]
        [pid] = pgtest.wait_until(sleeping, SLOW, what="the command")
        running.kill()
        running.wait()
        pgtest.wait_until(lambda: not is_running(pid), SLOW, what="its end")

    def test_who_cancels_itself_is_not_endless(self):
        cancel = "SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(1)"
        p = self.project(baseline=T, releases={"1.0.0": GET + "-- name: Cancel\n%s;\n" % cancel}, plans=[plan("a", phases={"expand": expand("1.0.0", cancel)})])
        done = p.check("--no-cache")
        told = {f["rule"]: f for f in done.findings}
        self.assertEqual({(f["severity"], f["rule"], f["statement"]) for f in done.findings}, {("warning", "cell-untested", "Cancel"), ("error", "step-fails-on-shadow", None)}, done)
        for f in told.values():
            self.assertEqual(f["sqlstate"], "57014")
            self.assertIn("cancels itself: canceling statement due to user request", f["message"])
            self.assertNotIn("doesn't end", f["message"])

    def test_a_message_is_as_long_as_one_reads(self):
        loud = "DO $$ BEGIN RAISE EXCEPTION '%', repeat('ä', 20000000) USING DETAIL = repeat('ö', 20000000), HINT = repeat('ü', 20000000); END $$"
        function = T + "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $f$ BEGIN EXECUTE $e$ %s $e$; RETURN 1; END $f$;\n" % loud
        p = self.project(baseline=function, releases={"1.0.0": GET + "-- name: Loud\nSELECT f();\n"}, plans=[plan("a", phases={"expand": expand("1.0.0", loud)})])
        done = p.check("--no-cache")
        self.assertEqual(done.rc, 1, done.stdout[:1000])
        self.assertLess(len(done.stdout), 200000)
        [f] = [f for f in done.findings if f["rule"] == "step-fails-on-shadow"]
        self.assertIn("ää…", f["message"])
        p = self.project(baseline=T + loud + ";\n", releases={"1.0.0": GET})
        done = p.check("--no-cache")
        self.assertEqual(done.rc, 2, done.stdout[:1000])
        self.assertIn("baseline.sql:2", done.stdout)
        self.assertLess(len(done.stdout), 200000)

    def test_a_time_out_for_the_idle_ends_with_its_step(self):
        """Its session lives on, and nobody else is told to have ended it."""
        for name in ("idle_session_timeout", "idle_in_transaction_session_timeout"):
            p = self.project(baseline=T, releases={"1.0.0": GET + "-- name: Slow\nSELECT id FROM t, pg_sleep(1);\n"},
                             plans=[plan("a", phases={"expand": expand("1.0.0", "SELECT set_config('%s', '500', false)" % name, "ALTER TABLE t ADD COLUMN x int", "ALTER TABLE t ADD COLUMN y int")})])
            self.clean(p, "--no-cache")

    def test_time_outs_of_a_role_are_not_the_sessions(self):
        p = self.project(baseline=T + "CREATE ROLE app;\nALTER ROLE app SET idle_session_timeout = '300ms';\nGRANT SELECT ON t TO app;\n",
                         releases={"1.0.0": GET + "-- name: App\n-- role: app\nSELECT id FROM t;\n-- name: Slow\nSELECT id FROM t, pg_sleep(1);\n"},
                         plans=[plan("a", phases={"expand": expand("1.0.0", "ALTER TABLE t ADD COLUMN x int")})])
        self.clean(p, "--no-cache")

    def test_roles_that_check_makes_are_no_change(self):
        """They are there before the first look, also without a baseline: nothing seems touched by the step after it."""
        p = self.project(releases={"1.0.0": "-- name: One\nSELECT 1;\n", "1.1.0": "-- name: One\nSELECT 1;\n"},
                         plans=[plan("a", phases={"expand": expand("1.0.0", "CREATE TABLE u (id int)")})])
        with open(p.dir + "/phasegate.yaml") as f:
            body = json.load(f)
        del body["baseline"]
        p.write("phasegate.yaml", json.dumps(body))
        done = self.clean(p, "--no-cache")
        self.assertEqual(done.json["summary"]["carried"], done.json["summary"]["cells"])


if __name__ == "__main__":
    unittest.main()

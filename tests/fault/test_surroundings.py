"""What is around a command fails: the disk of the local journal, the terminal, the database, the flag service."""

import json
import os
import resource
import signal
import subprocess
import time
import unittest

import lab
import pgtest

DONE, UNREACHABLE, REFUSED, HALFWAY, INTERRUPTED, TERMINATED = 0, 3, 4, 5, 130, 143


class Around(unittest.TestCase):
    command = None

    @classmethod
    def setUpClass(cls):
        if cls.command:
            cls.server = pgtest.cluster()
            cls.lab = lab.Lab(cls.server, cls.command)

    @classmethod
    def tearDownClass(cls):
        if cls.command:
            cls.lab.close()

    def setUp(self):
        self.world = self.lab.world()
        self.addCleanup(self.world.close)

    def start(self, *more, args=None):
        running = self.world.start((args or self.lab.args) + list(more))
        self.addCleanup(running.close)
        return running

    def wait_for(self, running, text):
        pgtest.wait_until(lambda: text in running.stderr or not running.is_running(), 60, what=text)
        self.assertIn(text, running.stderr)

    def assert_as_whole(self):
        self.assertFalse(lab.differences(self.lab.expected, self.world.fingerprint()))

    def run_on_full_disk(self, args):
        """No file may grow by a byte, as on a full disk; the output goes to pipes."""
        done = subprocess.run([pgtest.BIN, *args], cwd=self.world.project, env=pgtest.phasegate_env(self.world.env()),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))
        return pgtest.Done(args, done.returncode, done.stdout, done.stderr)


class FullDisk(Around):
    command = "dual_read"

    def test_advance_sends_nothing_that_it_could_not_write_down(self):
        done = self.run_on_full_disk(self.lab.args)
        self.assertEqual(done.rc, UNREACHABLE, done)
        self.assertIn("flags-lab.jsonl", done.stderr)
        self.assertIn("the journal of flag changes", done.stderr)
        self.assertEqual(sum(self.world.flags().values()), 0)
        done = self.world.run(self.lab.args)
        self.assertEqual(done.rc, DONE, done)
        self.assert_as_whole()

    def test_kill_goes_on_and_says_so(self):
        self.assertEqual(self.world.run(self.lab.args).rc, DONE)
        done = self.run_on_full_disk(["kill", lab.PLAN])
        self.assertEqual(done.rc, DONE, done)
        self.assertIn("journal", done.stdout + done.stderr)
        self.assertEqual(self.world.flags()["everything-read"], 0)


class Signals(Around):
    command = "dual_read"

    def in_the_pause(self):
        self.world.own_project(plan={"pause: 100ms": "pause: 4s"})
        running = self.start()
        self.wait_for(running, "the pause at 50 %")
        return running

    def assert_stopped(self, number, code):
        running = self.in_the_pause()
        running.signal(number)
        done = running.wait(20)
        self.assertEqual(done.rc, code, done)
        self.assertIn("the same command goes on from here", done.stderr)
        self.assertIn("read/50%", done.stderr)
        self.assertEqual(self.world.flags()["everything-read"], 50)
        done = self.world.run(self.lab.args)
        self.assertEqual(done.rc, DONE, done)
        self.assertEqual(self.world.flags()["everything-read"], 100)
        self.assertEqual([row for row in self.world.ledger()["done"] if row[4] != "1"], [])

    def test_interrupted_in_a_pause(self):
        self.assert_stopped(signal.SIGINT, INTERRUPTED)

    def test_terminated_in_a_pause(self):
        self.assert_stopped(signal.SIGTERM, TERMINATED)

    def test_killed_in_a_pause_it_is_not_waited_again(self):
        running = self.in_the_pause()
        pgtest.wait_until(lambda: self.world.db.value("SELECT rung_confirmed_at IS NOT NULL FROM phasegate.plan_state") == "t")
        time.sleep(2)
        running.kill()
        self.world.later()
        began = time.monotonic()
        done = self.world.run(self.lab.args)
        self.assertEqual(done.rc, DONE, done)
        self.assertLess(time.monotonic() - began, 4, "the pause began anew")


    def test_a_write_in_doubt_is_waited_for(self):
        running = self.in_the_pause()
        running.signal(signal.SIGKILL)
        running.wait(20)
        journal = os.path.join(self.world.folder, "state", "flags-lab.jsonl")
        with open(journal, encoding="utf-8") as f:
            intents = [line for line in f if '"intent"' in line]
        self.assertEqual(len(intents), 1)
        with open(journal, "w", encoding="utf-8") as f:
            f.writelines(intents)  # as if it had died with the request on its way
        running = self.start()
        self.wait_for(running, "in doubt for another")
        running.signal(signal.SIGINT)
        done = running.wait(20)
        self.assertEqual(done.rc, INTERRUPTED, done)
        self.assertIn("is in doubt until", done.stderr)
        self.assertEqual(self.world.flags()["everything-read"], 50)
        self.world.later()
        self.assertEqual(self.world.run(self.lab.args).rc, DONE)
        self.assertEqual(self.world.flags()["everything-read"], 100)


class SecondSignal(Around):
    command = "expand"

    def test_the_first_waits_for_the_statement_the_second_cancels_it(self):
        self.world.own_project(plan={
            "        sql: ALTER TABLE accounts ADD COLUMN balance_big bigint":
            "        statement_timeout: 60s\n        sql: |\n          ALTER TABLE accounts ADD COLUMN balance_big bigint;\n"
            "          CREATE TABLE slow AS SELECT 1 AS one FROM pg_sleep(50)"})
        running = self.start()
        sleeps = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
        pgtest.wait_until(lambda: self.world.db.value(sleeps) == "1", what="the step to sleep")
        running.signal(signal.SIGINT)
        time.sleep(0.5)
        self.assertTrue(running.is_running())
        self.assertEqual(self.world.db.value(sleeps), "1")
        running.signal(signal.SIGINT)
        done = running.wait(20)
        self.assertEqual(done.rc, INTERRUPTED, done)
        self.assertEqual(self.world.db.value(sleeps), "0")
        self.assertEqual(self.world.db.value("SELECT count(*) FROM information_schema.columns WHERE column_name = 'balance_big'"), "0")
        self.world.change(plan={"pg_sleep(50)": "pg_sleep(0)"})
        done = self.world.run(self.lab.args)
        self.assertEqual(done.rc, DONE, done)


class Kill(Around):
    command = "dual_read"

    def test_with_an_advance_in_flight(self):
        self.world.own_project(plan={"pause: 100ms": "pause: 10m"})
        running = self.start()
        self.wait_for(running, "the pause at 50 %")
        done = self.world.run(["kill", lab.PLAN, "--because", "it is slow"])
        self.assertEqual(done.rc, DONE, done)
        self.assertEqual(self.world.flags()["everything-read"], 0)
        stopped = running.wait(90)  # it looks at the flags every half a minute
        self.assertEqual(stopped.rc, HALFWAY, stopped)
        self.assertIn("phasegate resume", stopped.stderr)
        self.assertEqual(self.world.flags()["everything-read"], 0)
        again = self.world.run(self.lab.args)
        self.assertEqual(again.rc, REFUSED, again)
        self.assertEqual(self.world.flags()["everything-read"], 0)

    def test_a_kill_is_caught_up_with_and_resumed_from(self):
        self.assertEqual(self.world.run(self.lab.args).rc, DONE)
        done = self.world.run(["kill", lab.PLAN], DATABASE_URL=None)  # knows of no database
        self.assertEqual(done.rc, DONE, done)
        self.assertEqual(self.world.flags()["everything-read"], 0)
        refused = self.world.run(["advance", lab.PLAN, "--release", "1.3.0"])
        self.assertEqual(refused.rc, REFUSED, refused)
        self.assertIn("killed", refused.stderr)
        changes = self.world.db.psql("SELECT desired FROM phasegate.flag_change WHERE flag = 'everything-read' ORDER BY at DESC LIMIT 1")
        self.assertEqual(changes, [["off"]], "the kill is missing in the ledger")
        self.assertEqual(self.world.run(["resume", lab.PLAN]).rc, DONE)
        for args in (self.lab.args, ["advance", lab.PLAN, "--release", "1.3.0"]):  # the rungs are climbed again
            done = self.world.run(args)
            self.assertEqual(done.rc, DONE, done)
        self.assertEqual(self.world.flags(), {"everything-read": 100, "everything-write": 100})

    def test_with_the_flag_service_gone(self):
        self.assertEqual(self.world.run(self.lab.args).rc, DONE)
        path = os.path.join(self.world.folder, "kill.json")
        self.world.own_project(settings={"propagation: 20ms": "propagation: 20ms\n      kill_file: " + path})
        self.world.stop_flags()
        done = self.world.run(["kill", lab.PLAN, "--wait", "2s"])
        self.assertEqual(done.rc, UNREACHABLE, done)
        with open(path, encoding="utf-8") as f:
            flags = json.load(f)["flags"]
        for key in ("everything-read", "everything-write"):
            self.assertEqual(flags[key]["variants"][flags[key]["defaultVariant"]], False, flags)


class KillWithoutDatabase(unittest.TestCase):
    def test_with_the_database_stopped(self):
        with pgtest.Cluster() as server:
            made = lab.Lab(server, "dual_read")
            with made.world() as world:
                self.assertEqual(world.run(made.args).rc, DONE)
                server.stop("immediate")
                done = world.run(["kill", lab.PLAN])
                self.assertEqual(done.rc, DONE, done)
                self.assertEqual(world.flags()["everything-read"], 0)
                server.start()


del Around

if __name__ == "__main__":
    unittest.main()

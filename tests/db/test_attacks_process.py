"""What is around the process: its streams, its session's settings, its server."""

import os
import shutil
import signal
import socket
import subprocess
import time
import unittest

import pgtest
import project
from project import full_plan


class Streams(project.Case):
    def closed(self, p, fds, *args):
        """Runs with these file descriptors closed; returns the exit code."""
        def close():
            for fd in fds:
                os.close(fd)
        return subprocess.run([pgtest.BIN, *args], cwd=p.dir, env=pgtest.phasegate_env(p.env), timeout=60,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              preexec_fn=close).returncode

    def test_nothing_is_printed_into_the_database_or_a_file(self):
        for fds in ((2,), (0, 2), (0, 1, 2), (1,)):
            with self.subTest(fds):
                p = self.project(plans=[full_plan()])
                # Without an output it says so in the exit code, as ever; the work is done all the same.
                expected = 3 if 1 in fds else 0
                for ph in ("expand", "dual_read", "write_activation", "contract"):
                    self.assertEqual(self.closed(p, fds, "advance", "orders-ref", "--release", project.BOUND[ph]), expected)
                    self.assertEqual(p.stage("orders-ref"), ph + " done")
                self.assertEqual(p.db.value("SELECT count(DISTINCT run_id) FROM phasegate.migration_history"), "4")
                self.assertEqual(p.flag("orders-ref-write"), 100)
                p.ok("history", "--verify")


class Settings(project.Case):
    """What a database or role sets for everybody."""

    def test_rounded_floats_are_no_keys(self):
        p = self.project(plans=[full_plan()], baseline="""CREATE TABLE orders (id float8 PRIMARY KEY, legacy_ref text);
            INSERT INTO orders SELECT i / 3.0::float8, 'R' || i FROM generate_series(-500, 2500) i""")
        p.db.psql('ALTER DATABASE "%s" SET extra_float_digits = -5' % p.db.name)
        p.advance_through("orders-ref", "dual_read")
        self.assertEqual(p.db.value("SELECT count(*) FROM orders WHERE external_ref IS DISTINCT FROM legacy_ref"), "0")

    def test_the_isolation_of_applications_is_not_ours(self):
        for level in ("serializable", "repeatable read"):
            p = self.project(plans=[full_plan()])
            p.db.psql('ALTER DATABASE "%s" SET default_transaction_isolation = \'%s\'' % (p.db.name, level))
            p.ok("advance", "orders-ref", "--release", "1.1.0")
            with p.db.session("BEGIN", "UPDATE orders SET legacy_ref = 'held' WHERE id = 7") as holder:
                run = p.start("advance", "orders-ref", "--release", "1.2.0")
                self.addCleanup(run.close)
                waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
                pgtest.wait_until(lambda: p.db.value(waits) == "1" or not run.is_running(), what="the batch that waits for the row")
                holder.run("COMMIT")
                self.assertEqual(run.wait(60).rc, 0, run.stderr)
            self.assertEqual(p.db.value("SELECT external_ref FROM orders WHERE id = 7"), "held")


class Signals(project.Case):
    def silent(self):
        """A service that takes requests and never answers."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.addCleanup(listener.close)
        return "http://127.0.0.1:%d" % listener.getsockname()[1]

    def test_one_ends_a_look_at_flags(self):
        p = self.project(plans=[full_plan()], flags={"provider": "builtin", "url": self.silent(), "token": "unused"})
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            for args in (("advance", "orders-ref", "--release", "1.2.0"), ("flags", "list")):
                with self.subTest(number, args=args):
                    run = p.start(*args)
                    self.addCleanup(run.close)
                    time.sleep(1)
                    began = time.monotonic()
                    run.signal(number)
                    self.assertEqual(run.wait(60).rc, code, run.stderr)
                    self.assertLess(time.monotonic() - began, 5)
        self.assertEqual(p.stage("orders-ref"), "expand done")


class Frozen(project.Case):
    def test_a_server_that_stops_answering_ends_the_pause(self):
        server = pgtest.Cluster(tcp=True)
        self.addCleanup(server.close)
        p = project.Project(plans=[full_plan(pause="10m")], db=server.create_database())
        self.addCleanup(shutil.rmtree, p.dir)
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        run = p.start("advance", "orders-ref", "--release", "1.2.0")
        self.addCleanup(run.close)
        pgtest.wait_until(lambda: "the pause at 10 %" in run.stderr, what="the pause")
        server.freeze()
        self.addCleanup(server.thaw)
        pgtest.wait_until(lambda: "session was lost" in run.stderr, 180, what="the end of waiting for an answer")
        server.thaw()
        pgtest.wait_until(lambda: run.stderr.count("the pause at 10 %") > 1, 90, what="the pause to go on")
        run.signal(signal.SIGINT)
        self.assertEqual(run.wait(30).rc, 130, run.stderr)


if __name__ == "__main__":
    unittest.main()

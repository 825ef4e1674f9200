"""The server itself goes away while a command is at work: restarted, crashed, gone for longer."""

import signal
import unittest

import lab
import pgtest

DONE, HALFWAY, TERMINATED = 0, 5, 143


class Restart(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = pgtest.Cluster(durable=True)
        cls.labs = {command: lab.Lab(cls.server, command) for command in ("dual_read", "write_activation")}

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def world(self, command, plan):
        world = self.labs[command].world()
        self.addCleanup(world.close)
        world.own_project(plan=plan)
        return world

    def assert_as_whole(self, command, world, done):
        # The plan was changed, and with it what is signed: everything else is the same.
        expected, found = dict(self.labs[command].expected), world.fingerprint()
        for one in (expected, found):
            one["ledger"] = dict(one["ledger"], steps=[row[:5] for row in one["ledger"]["steps"]])
        wrong = lab.differences(expected, found)
        self.assertFalse(wrong, "\n".join(wrong + [str(done)]))
        self.assertEqual(world.run(["history", "--verify"]).rc, DONE)

    def wait_for(self, running, condition, what):
        pgtest.wait_until(lambda: condition() or not running.is_running(), 60, what=what)
        self.assertTrue(running.is_running(), running.stderr)

    def test_restarted_in_a_pause(self):
        world = self.world("dual_read", {"pause: 100ms": "pause: 3s"})
        with world.start(self.labs["dual_read"].args) as running:
            self.wait_for(running, lambda: "the pause at 50 %" in running.stderr, "the pause")
            self.server.restart()
            done = running.wait()
        self.assertEqual(done.rc, DONE, done)
        self.assertIn("connecting again", done.stderr)
        self.assert_as_whole("dual_read", world, done)

    def slow_backfill(self):
        world = self.labs["write_activation"].world()
        self.addCleanup(world.close)
        world.db.psql("CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS "
                      "$$BEGIN PERFORM pg_sleep(0.001); RETURN NEW; END$$;"
                      "CREATE TRIGGER slow BEFORE UPDATE ON order_lines FOR EACH ROW EXECUTE FUNCTION slow()")
        return world

    def break_in_the_backfill(self, do):
        world = self.slow_backfill()
        with world.start(self.labs["write_activation"].args) as running:
            filled = "SELECT count(*) FROM order_lines WHERE ref IS NOT NULL"
            self.wait_for(running, lambda: int(world.db.value(filled)) > 0, "the first batch")
            do()
            done = running.wait()
        self.assertEqual(done.rc, DONE, done)
        # A batch and its cursor are one transaction: no row was written twice, whatever became of the server.
        self.assertEqual(world.db.psql("SELECT count(*), max(times) FROM touched WHERE rel = 'order_lines'"), [["2000", "1"]])
        world.db.psql("DROP FUNCTION slow() CASCADE")
        self.assert_as_whole("write_activation", world, done)

    def test_restarted_in_a_backfill(self):
        self.break_in_the_backfill(self.server.restart)

    def test_crashed_in_a_backfill(self):
        self.break_in_the_backfill(lambda: (self.server.crash(), self.server.start()))

    def test_interrupted_while_it_is_gone(self):
        world = self.world("dual_read", {"pause: 100ms": "pause: 2s"})
        with world.start(self.labs["dual_read"].args) as running:
            self.wait_for(running, lambda: "the pause at 50 %" in running.stderr, "the pause")
            self.server.stop("immediate")
            self.addCleanup(lambda: self.server.postmaster() or self.server.start())
            self.wait_for(running, lambda: "connecting again" in running.stderr, "the loss to be seen")
            running.signal(signal.SIGTERM)
            done = running.wait(20)
        self.server.start()
        self.assertEqual(done.rc, TERMINATED, done)
        self.assertIn("the same command goes on from here", done.stderr)
        done = world.run(self.labs["dual_read"].args)
        self.assertEqual(done.rc, DONE, done)
        self.assert_as_whole("dual_read", world, done)

    def test_gone_for_longer(self):
        world = self.world("dual_read", {"pause: 100ms": "pause: 2s"})
        with world.start(self.labs["dual_read"].args) as running:
            self.wait_for(running, lambda: "the pause at 50 %" in running.stderr, "the pause")
            self.server.stop("immediate")
            done = running.wait(120)
        self.server.start()
        self.assertEqual(done.rc, HALFWAY, done)
        self.assertIn("Connecting again failed", done.stderr)
        self.assertIn("the same command goes on from here", done.stderr)
        done = world.run(self.labs["dual_read"].args)
        self.assertEqual(done.rc, DONE, done)
        self.assert_as_whole("dual_read", world, done)


if __name__ == "__main__":
    unittest.main()

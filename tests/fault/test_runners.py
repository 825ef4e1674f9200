"""Twenty processes advance the same plan at once: each thing is done once, and everybody hears how it ended."""

import unittest

import lab
import pgtest

PROCESSES = 20
DONE, LOCKED = 0, 6


class Runners(unittest.TestCase):
    command = None

    @classmethod
    def setUpClass(cls):
        if cls.command:
            cls.lab = lab.Lab(pgtest.cluster(), cls.command)

    @classmethod
    def tearDownClass(cls):
        if cls.command:
            cls.lab.close()

    def race(self, world, *more):
        running = [world.start(self.lab.args + list(more)) for _ in range(PROCESSES)]
        for r in running:
            self.addCleanup(r.close)
        return [r.wait(200) for r in running]

    def assert_as_whole(self, world, ends):
        found = lab.differences(self.lab.expected, world.fingerprint())
        self.assertFalse(found, "\n".join(found + [str(e) for e in ends]))
        self.assertEqual(world.run(["history", "--verify"]).rc, 0)

    def test_who_waits_finds_nothing_to_do(self):
        with self.lab.world() as world:
            ends = self.race(world, "--lock-wait", "150s")
            self.assertEqual([e.rc for e in ends], [DONE] * PROCESSES, ends)
            self.assertEqual(sum("up to date" in e.stdout for e in ends), PROCESSES - 1, ends)
            self.assert_as_whole(world, ends)

    def test_who_does_not_wait_is_told_who_holds_it(self):
        with self.lab.world() as world:
            ends = self.race(world, "--lock-wait", "0s")
            refused = [e for e in ends if e.rc == LOCKED]
            self.assertEqual({e.rc for e in ends} - {LOCKED}, {DONE}, ends)
            self.assertTrue(refused, "nobody met anybody")
            for end in refused:
                self.assertRegex(end.stderr, r"another run h[eo]ld[s]? the lease")
            self.assert_as_whole(world, ends)


class Expand(Runners):
    command = "expand"  # the ledger too is made by one of them


class DualRead(Runners):
    command = "dual_read"


class Contract(Runners):
    command = "contract"


del Runners

if __name__ == "__main__":
    unittest.main()

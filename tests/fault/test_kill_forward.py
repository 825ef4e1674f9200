"""kill -9 at every fault point of the commands that go forward: the same command again ends where an undisturbed run does."""

import unittest

import lab


class Forward(lab.CrashCase):
    def test_killed_at_every_call(self):
        self.kill_everywhere()


class Expand(Forward):
    command = "expand"
    settings = {'preflight: "off"': "preflight: required"}

    def test_the_undisturbed_run_does_each_thing_once(self):
        self.assertEqual(self.lab.expected["marks"], ["ran"])
        done = {step: int(times) for _, _, step, _, times in self.lab.expected["ledger"]["done"]}
        self.assertEqual(done, dict.fromkeys(["column", "several", "index", "label", "tool", "sync/trigger"], 1))


class DualRead(Forward):
    command = "dual_read"


class WriteActivation(Forward):
    command = "write_activation"

    def test_every_row_is_written_once(self):
        with self.lab.world() as world:
            self.assertEqual(world.run(self.lab.args).rc, 0)
            self.assertEqual(world.db.psql("SELECT rel, count(*), max(times) FROM touched GROUP BY 1 ORDER BY 1"),
                             [["accounts", "3000", "1"], ["order_lines", "2000", "1"]])


class Contract(Forward):
    command = "contract"


class Purge(Forward):
    command = "purge"


del Forward

if __name__ == "__main__":
    unittest.main()

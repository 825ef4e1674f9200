"""What is around the process: its streams, its session's settings, its server."""

import os
import subprocess
import unittest

import pgtest
import project
from project import full_plan, step


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


if __name__ == "__main__":
    unittest.main()

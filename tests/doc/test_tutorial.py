"""docs/tutorial.md, typed from its first line to its last."""

import os
import re
import shutil
import tempfile
import unittest

import console
import pgtest

PAGE = os.path.join(pgtest.SRC, "docs", "tutorial.md")


class Tutorial(unittest.TestCase):
    def test_every_command(self):
        server = pgtest.cluster()
        port = str(pgtest.free_port())
        name = "tutorial_%d" % os.getpid()
        folder = tempfile.mkdtemp(prefix="phasegate-tutorial-")
        self.addCleanup(shutil.rmtree, folder, True)
        shell = console.Shell(folder, {"PGHOST": server.host, "PGPORT": str(server.port), "PGUSER": server.user})
        self.addCleanup(server.psql, 'DROP DATABASE IF EXISTS "%s" WITH (FORCE)' % name)
        self.addCleanup(shell.close)
        n = console.play(PAGE, shell, lambda text: re.sub(r"\bphasegate_tutorial\b", name, text.replace("8016", port)))
        self.assertGreater(n, 40)
        self.assertEqual(os.listdir(folder), [], "the tutorial cleans up after itself")

    def test_a_difference_is_seen(self):
        self.assertTrue(console.is_like(["a ... c", "...", "z"], ["a b c", "x", "y", "z"]))
        self.assertTrue(console.is_like(["...", "[1] * ?"], ["[1] * ?"]))
        for shown, got in ((["a"], []), ([], ["a"]), (["a"], ["b"]), (["...", "a"], ["a", "b"]), (["[1]"], ["1"])):
            self.assertFalse(console.is_like(shown, got), (shown, got))


if __name__ == "__main__":
    unittest.main()

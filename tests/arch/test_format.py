"""All C is as clang-format 14 writes it. Later versions differ in details: they report, and the test is skipped."""

import re
import shutil
import subprocess
import unittest

import tree

PINNED = "14"


class Format(unittest.TestCase):
    def test_c_files(self):
        tool = shutil.which("clang-format-" + PINNED) or shutil.which("clang-format")
        self.assertIsNotNone(tool, "no clang-format: apt-get install clang-format")
        version = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout
        major = re.search(r"version (\d+)", version).group(1)
        self.assertGreaterEqual(int(major), int(PINNED))

        paths = tree.under("src/", "include/", "tests/", ends=(".c", ".h"))
        self.assertGreater(len(paths), 5)
        done = subprocess.run([tool, "--style=file", "--dry-run", "-Werror", *paths], cwd=tree.SRC,
                              capture_output=True, text=True)
        places = re.findall(r"^(\S+?):(\d+):\d+: error", done.stderr, re.M)
        counts = {}
        for path, line in places:
            counts.setdefault(path, []).append(int(line))
        report = "\n".join("%s: %d places, the first in line %d" % (path, len(lines), min(lines))
                           for path, lines in sorted(counts.items()))
        if major == PINNED:
            self.assertEqual(report, "", "\n%s\nRun: clang-format-%s -i %s" % (report, PINNED, " ".join(counts)))
            self.assertEqual(done.returncode, 0, done.stderr)
        else:
            # The line that ctest knows a skipped test by (tests/CMakeLists.txt) and that tests/run repeats.
            print("SKIPPED: arch/format: clang-format %s is here, only %s decides" % (major, PINNED))
            self.skipTest("clang-format %s would change: %s" % (major, report or "nothing"))


if __name__ == "__main__":
    unittest.main()

"""The examples of docs/reference/flag-server.md, run in order in one shell, give the answers that the page shows."""

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

SRC = os.environ.get("PHASEGATE_SRC", os.path.join(os.path.dirname(__file__), "..", ".."))
BIN = os.environ.get("PHASEGATE_BIN", "phasegate")
PAGE = os.path.join(SRC, "docs", "reference", "flag-server.md")
MARK = "---- end of an example ----"


def blocks():
    """[(language, text)] of the page"""
    with open(PAGE, encoding="utf-8") as f:
        return re.findall(r"^```(\w+)\n(.*?)^```$", f.read(), re.M | re.S)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def is_like(shown, got):
    """Equal, where the page shows … for what differs each time."""
    if shown == "…":
        return isinstance(got, str) and got != ""
    if isinstance(shown, dict):
        return isinstance(got, dict) and shown.keys() == got.keys() and all(is_like(v, got[k]) for k, v in shown.items())
    if isinstance(shown, list):
        return isinstance(got, list) and len(shown) == len(got) and all(map(is_like, shown, got))
    return type(shown) is type(got) and shown == got


class Reference(unittest.TestCase):
    def test_examples(self):
        page = blocks()
        scripts = [i for i, (language, _) in enumerate(page) if language == "sh"]
        self.assertGreater(len(scripts), 8)
        port = free_port()
        folder = tempfile.mkdtemp(prefix="phasegate-doc-")
        self.addCleanup(shutil.rmtree, folder)
        env = dict(os.environ, PATH=os.path.dirname(os.path.abspath(BIN)) + os.pathsep + os.environ["PATH"])
        shell = subprocess.Popen(["bash", "-eu"], cwd=folder, env=env, text=True, stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE)
        try:
            shown = 0
            for n, i in enumerate(scripts):
                text = page[i][1].replace("8016", str(port))
                if n == 0:
                    text = text.replace(" &\n", " > server.out &\nSERVER=$!\ntrap 'kill $SERVER; wait $SERVER' EXIT\n")
                shell.stdin.write("%s\necho; echo '%s'\n" % (text, MARK))
                shell.stdin.flush()
                out = self.read_until_mark(shell)
                if n == 0:
                    self.wait_for(port)
                if i + 1 < len(page) and page[i + 1][0] == "json":
                    expected, got = json.loads(page[i + 1][1]), json.loads(out)
                    self.assertTrue(is_like(expected, got), "%s\nshown: %s\ngot:   %s" % (text, expected, got))
                    shown += 1
            self.assertGreater(shown, 7)
        finally:
            shell.stdin.close()
            self.assertEqual(shell.wait(timeout=30), 0)
            shell.stdout.close()

    def read_until_mark(self, shell):
        lines = []
        for line in shell.stdout:
            if line.rstrip("\n") == MARK:
                return "".join(lines)
            lines.append(line)
        self.fail("an example failed: " + "".join(lines))

    def wait_for(self, port):
        for _ in range(200):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        self.fail("the server doesn't listen")


if __name__ == "__main__":
    unittest.main()

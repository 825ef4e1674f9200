"""`phasegate demo` from the outside: what it shows, what it ends with, and that nothing is left of it.

Every demo here has a TMPDIR of its own, so that what is left can be told from what others do.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import pgtest

QUICK = ["--rows", "2000", "--seconds", "2"]
PHASES = ["expand", "dual_read", "write_activation", "contract", "purge"]
COLUMNS = "id integer, customer_id integer, opened_at timestamp with time zone, balance_big bigint"
LIMIT = 150


def processes_in(folder):
    """Command lines and working folders of processes that have to do with the folder."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                command = f.read().replace(b"\0", b" ").decode(errors="replace")
            cwd = os.readlink("/proc/%s/cwd" % pid)
        except OSError:
            continue
        if folder in command or cwd.startswith(folder):
            found.append("%s: %s(%s)" % (pid, command, cwd))
    return found


class Demo(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        # Short: a unix socket's path has an end. Others than root run the server, and must get in.
        self.tmp = tempfile.mkdtemp(prefix="pgd.")
        os.chmod(self.tmp, 0o755)
        self.addCleanup(shutil.rmtree, self.tmp, ignore_errors=True)

    def start(self, *args):
        demo = subprocess.Popen([pgtest.BIN, "demo", *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env=dict(os.environ, TMPDIR=self.tmp))
        self.addCleanup(self.end, demo)
        return demo

    def end(self, demo):
        if demo.poll() is None:
            demo.kill()
        demo.communicate()

    def finish(self, demo):
        out, err = demo.communicate(timeout=LIMIT)
        self.assertNotIn("Sanitizer", err)
        return demo.returncode, out, err

    def read_until(self, demo, text):
        """Standard output up to the first line with the text."""
        seen = ""
        for line in demo.stdout:
            seen += line
            if text in line:
                return seen
        self.fail("the demo ended without %r:\n%s\n%s" % (text, seen, demo.stderr.read()))

    def check_nothing_left(self):
        self.assertEqual(os.listdir(self.tmp), [])
        self.assertEqual(processes_in(self.tmp), [])

    def check_figures(self, result):
        self.assertEqual(result["failed_requests"], 0, result["failures"])
        self.assertEqual(result["problems"], [])
        self.assertEqual([p["phase"] for p in result["phases"]], PHASES)
        self.assertEqual([p["release"] for p in result["phases"]], ["1.1.0", "1.2.0", "1.3.0", "1.5.0", "1.5.0"])
        self.assertGreater(result["requests"], 500)
        self.assertGreater(result["p99_ms"]["before"], 0)
        self.assertGreater(result["p99_ms"]["during"], 0)
        self.assertGreater(result["p99_ms"]["after"], 0)
        self.assertEqual(result["stage"], "purged")
        self.assertEqual(result["columns"], COLUMNS)
        self.assertTrue(result["journal"]["verified"])
        self.assertGreater(result["journal"]["rows"], 20)
        kill = result["kill"]
        self.assertEqual(kill["phase"], "write_activation")
        self.assertGreater(kill["off_s"], 0)
        self.assertGreater(kill["resumed_at_s"], kill["at_s"] + kill["last_new_path_s"])

    def test_text_without_a_terminal(self):
        rc, out, err = self.finish(self.start(*QUICK))
        self.assertEqual(rc, 0, out + err)
        self.assertEqual(err, "next: docs/tutorial.md, the same with a plan of your own\n")
        self.assertNotIn("\033", out)
        self.assertNotIn("\r", out)
        for word in PHASES[:4]:
            self.assertRegex(out, r"(?m)^%s: \S" % word)
            self.assertRegex(out, r"(?m)^ *[0-9.]+s  %s +\d+%% +\d+%% +[0-9,]+ +0 " % word)
        # The flags go up, come down with the kill, and go up again.
        self.assertRegex(out, r"(?s)  5%    0%.* 50%    0%.*100%    0%.*100%   10%.*\$ phasegate kill.*  0%    0%"
                              r".*\$ phasegate resume.*  5%    0%.* 50%    0%.*100%   10%.*100%  100%")
        self.assertRegex(out, r"(?m)^  failed requests +0$")
        self.assertRegex(out, r"(?m)^  kill to last request on the new path +[0-9.]+ s$")
        self.assertIn("hash chain verified", out)
        self.check_nothing_left()

    def test_two_at_once_after_one_was_killed(self):
        killed = self.start(*QUICK)
        self.read_until(killed, "$ phasegate advance accounts-balance-bigint --release 1.2.0")
        killed.kill()
        killed.wait()
        # The servers go with it, their folders with the next start: the shop's, and the shadow's of a proof under way.
        pgtest.wait_until(lambda: not processes_in(self.tmp), what="the end of the killed demo's server")
        left = os.listdir(self.tmp)
        self.assertIn(len(left), (1, 2), left)

        # A folder that is only half made is left alone for a minute: somebody may be making it. Whoever starts after that
        # removes it.
        born = [os.stat(os.path.join(self.tmp, name)).st_ctime for name in left if name.startswith("phasegate-new-")]
        pgtest.wait_until(lambda: not born or time.time() - max(born) > 62, 90, what="the minute")
        demos = {form: self.start(*QUICK, "--format", form) for form in ("jsonl", "json")}
        pgtest.wait_until(lambda: not set(left) & set(os.listdir(self.tmp)), 180, what="the removal of the killed demo's %s" % left)
        for form, demo in demos.items():
            rc, out, err = self.finish(demo)
            self.assertEqual(rc, 0, out + err)
            (self.check_json if form == "json" else self.check_jsonl)(out)
            self.assertIn("$ phasegate kill", err + out)
        self.check_nothing_left()

    def check_json(self, out):
        answer = json.loads(out)
        self.assertEqual((answer["version"], answer["command"], answer["ok"]), (1, "demo", True))
        self.check_figures(answer["result"])

    def check_jsonl(self, out):
        lines = [json.loads(line) for line in out.splitlines()]
        self.assertEqual(lines[-1]["event"], "end")
        self.check_figures(lines[-1]["result"])
        self.assertTrue({"start", "done", "progress"} <= {line["event"] for line in lines})
        self.assertTrue(any(" failed, p99 " in (line.get("message") or "") for line in lines))

    def interrupt(self, at, number, code):
        demo = self.start(*QUICK)
        self.read_until(demo, at)
        demo.send_signal(number)
        began = time.monotonic()
        rc, out, err = self.finish(demo)
        self.assertEqual(rc, code, out + err)
        self.assertLess(time.monotonic() - began, 20)
        self.assertIn("stopped by a signal", err)
        self.assertNotIn("What it came to", out)
        self.check_nothing_left()

    def test_signals(self):
        self.interrupt("four phases", signal.SIGINT, 130)  # while PostgreSQL is being made
        self.interrupt("serves on all 4 instances", signal.SIGTERM, 143)
        self.interrupt("5 %, delivered", signal.SIGINT, 130)
        self.interrupt("$ phasegate kill", signal.SIGTERM, 143)

    def test_what_went_wrong_is_told(self):
        """A lost session is a failed request, and a column that nobody planned is a wrong end."""
        demo = self.start(*QUICK)
        self.read_until(demo, "5 %, delivered")
        shop = "host=%s port=5432 user=postgres dbname=shop" % os.path.join(self.tmp, os.listdir(self.tmp)[0])
        subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-", shop], check=True, text=True, input="""
            SET lock_timeout = '5s';
            ALTER TABLE accounts ADD COLUMN surprise int;
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'shop/%';
            """, stdout=subprocess.DEVNULL)
        rc, out, err = self.finish(demo)
        self.assertEqual(rc, 1, out + err)
        self.assertRegex(out, r"(?m)^  failed requests +[1-9]\d*$")
        self.assertRegex(out, r"(?m)^    \d+ x release 1\.[12]\.0, \w+: .*terminating connection")
        self.assertRegex(out, r"(?m)^not as promised: [1-9]\d* of \d+ requests failed$")
        self.assertRegex(out, r"(?m)^not as promised: the columns of accounts are: .*surprise integer")
        self.check_nothing_left()

    def test_keep(self):
        rc, out, err = self.finish(self.start(*QUICK, "--keep", "--format", "json"))
        self.assertEqual(rc, 0, out + err)
        folder = json.loads(out)["result"]["folder"]
        self.assertEqual(os.path.join(self.tmp, os.listdir(self.tmp)[0]), folder)
        self.assertEqual(processes_in(self.tmp), [])
        for name in ("data/PG_VERSION", "project/phasegate.yaml", "project/statements/1.5.0.sql", "state/flags.json"):
            self.assertTrue(os.path.exists(os.path.join(folder, name)), name)
        # The project is in the binary; what's in the source tree is what was built in.
        compared = subprocess.run(["diff", "-r", "-x", "snapshots", os.path.join(pgtest.SRC, "plans", "demo"), os.path.join(folder, "project")],
                                  capture_output=True, text=True)
        self.assertEqual(compared.stdout + compared.stderr, "")
        # It is the user's now: the next demo doesn't take it for one that was killed.
        next_one = self.start(*QUICK)
        self.read_until(next_one, "serves on all 4 instances")
        self.assertTrue(os.path.isdir(folder))
        next_one.send_signal(signal.SIGINT)
        self.assertEqual(self.finish(next_one)[0], 130)
        self.assertEqual([os.path.join(self.tmp, n) for n in os.listdir(self.tmp)], [folder])

    def test_mistakes(self):
        for args, word in ((["--rows", "99"], "--rows"), (["--rows", "many"], "--rows"),
                           (["--seconds", "3601"], "--seconds"), (["now"], "now")):
            rc, out, err = self.finish(self.start(*args))
            self.assertEqual(rc, 2, out + err)
            self.assertIn(word, err)
        self.check_nothing_left()

    def test_no_room(self):
        """A folder that can't be made is out of reach, and says where."""
        self.tmp = os.path.join(self.tmp, "gone")
        rc, out, err = self.finish(self.start(*QUICK))
        self.assertEqual(rc, 3, out + err)
        self.assertIn(self.tmp, err)


if __name__ == "__main__":
    unittest.main()

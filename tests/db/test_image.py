"""What `check` keeps between runs: images of its server. They save time and change nothing else."""

import glob
import hashlib
import json
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time
import unittest

import check_project
import pgtest
import project

BASELINE = "CREATE TABLE orders (id bigint PRIMARY KEY, ref text); CREATE ROLE reader; GRANT SELECT ON orders TO reader"
GET = "-- name: Get\nSELECT ref FROM orders WHERE id = $1;\n"


def steps(*sql):
    return project.plan("one", phases={"expand": {"release": "1.0.0", "steps": [
        project.step("s%d" % i, s) for i, s in enumerate(sql)]}})


def add_table():
    return steps("CREATE TABLE made (id int)", "CREATE INDEX ON made (id)")


class Case(check_project.Case):
    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="image-test-")
        self.addCleanup(shutil.rmtree, self.home, True)
        self.cache = self.home + "/cache"
        self.env = {"PHASEGATE_CACHE": self.cache}

    def make(self, baseline=BASELINE, plans=(), releases=None, **more):
        return self.project(baseline=baseline, releases=releases or {"1.0.0": GET}, plans=plans, **more)

    def check(self, p, *args, env=None):
        done = p.check(*args, env=env or self.env)
        done.report = re.sub(r'"duration_ms": ?\d+', "", done.stdout)
        return done

    def images(self, cache=None):
        """name -> (inode, size); what isn't an image or the lock is a mistake"""
        found = {}
        for path in glob.glob((cache or self.cache) + "/images/*"):
            name = os.path.basename(path)
            if name != "lock":
                self.assertRegex(name, r"^(initdb|baseline)-[0-9a-f]{64}\.image$")
                found[name] = (os.stat(path).st_ino, os.stat(path).st_size)
        return found

    def kinds(self):
        return sorted(name.split("-")[0] for name in self.images())

    def path(self, kind):
        found = glob.glob(self.cache + "/images/%s-*" % kind)
        self.assertEqual(len(found), 1)
        return found[0]

    def good(self, done):
        self.assertEqual((done.rc, done.stderr), (0, ""), done)
        self.assertEqual(done.findings, [], done)
        return done


class Images(Case):
    def test_the_second_run_takes_the_first_ones(self):
        p = self.make(plans=[add_table()])
        first = self.good(self.check(p))
        kept = self.images()
        self.assertEqual(self.kinds(), ["baseline", "initdb"])
        os.utime(self.path("baseline"), (1000, 1000))
        second = self.good(self.check(p))
        self.assertEqual(first.report, second.report)
        self.assertEqual(self.images(), kept)  # loaded again it would have been written again
        self.assertGreater(os.stat(self.path("baseline")).st_mtime, 1000)
        self.assertEqual(self.good(self.check(p, "--no-cache")).report, first.report)

    def test_the_copy_that_is_replayed_on_is_in_it(self):
        p = self.make(plans=[add_table()])
        self.good(self.check(p))
        with open(self.path("baseline"), "rb") as f:
            at, n = f.readline().split()[2:4]
            f.seek(int(at))
            index = json.loads(f.read(int(n)))
        folders = {path for path in index["folders"] if re.fullmatch("base/[0-9]+", path)}
        self.assertTrue(index["about"]["has_copy"])
        self.assertEqual(len(folders), 3, folders)  # template1, the baseline and its copy

    def test_a_copy_is_made_again_where_one_isnt_enough(self):
        p = self.make(baseline=BASELINE + "; CREATE TABLE gone (id int)", plans=[
            project.plan("one", phases={"expand": {"release": "1.0.0", "steps": [project.step("s", "CREATE TABLE made (id int)")]},
                                        "contract": {"release": "2.0.0", "steps": [project.step("d", "DROP TABLE gone")]}})],
            releases={"1.0.0": GET, "2.0.0": GET})
        first, second = self.check(p), self.check(p)
        self.assertEqual(first.report, second.report)
        self.assertEqual(self.check(p, "--no-cache").report, first.report)

    def test_what_a_plan_does_is_in_no_image(self):
        p = self.make(plans=[steps("CREATE TABLE made (id int)", "COMMENT ON TABLE made IS 'leaked by a plan'")])
        for _ in range(3):  # the second one would say that the table is there
            self.good(self.check(p))
        for f in glob.glob(p.dir + "/plans/*"):
            os.unlink(f)
        p.write("statements/1.0.0.sql", GET + "-- name: Leak\nSELECT id FROM made;\n")
        done = self.check(p)
        self.assertEqual([f["rule"] for f in done.findings], ["failing-at-baseline"], done)
        self.assertEqual(self.kinds(), ["baseline", "initdb"])
        with open(self.path("baseline"), "rb") as f:
            self.assertNotIn(b"leaked by a plan", f.read())

    def test_initdb_runs_once(self):
        bin_dir = self.home + "/bin"
        os.mkdir(bin_dir)
        log = self.home + "/log"
        open(log, "w").close()
        os.chmod(log, 0o666)
        os.chmod(self.home, 0o755)
        for name in ("postgres", "psql", "pg_dump"):
            os.symlink(pgtest.pg_bindir() + "/" + name, bin_dir + "/" + name)
        with open(bin_dir + "/initdb", "w") as f:
            f.write("#!/bin/sh\necho run >>%s\nexec %s/initdb \"$@\"\n" % (log, pgtest.pg_bindir()))
        os.chmod(bin_dir + "/initdb", 0o755)
        env = dict(self.env, PHASEGATE_PG_BIN=bin_dir)
        p, other = self.make(), self.make(baseline="CREATE TABLE orders (id bigint PRIMARY KEY, ref text, more int)")
        for q in (p, p, other, p):
            self.good(self.check(q, env=env))
        with open(log) as f:
            self.assertEqual(f.read(), "run\n")
        self.assertEqual(self.kinds(), ["baseline", "baseline", "initdb"])
        self.good(self.check(p, "--no-cache", env=env))
        with open(log) as f:
            self.assertEqual(f.read(), "run\n" * 2)

    def test_another_baseline_is_another_image(self):
        p = self.make()
        self.good(self.check(p))
        p.write("baseline.sql", BASELINE + "; ALTER TABLE orders ADD COLUMN more int;")
        p.write("statements/1.0.0.sql", "-- name: Get\nSELECT more FROM orders WHERE id = $1;\n")
        self.good(self.check(p))
        self.assertEqual(self.kinds(), ["baseline", "baseline", "initdb"])

    def test_an_edit_in_a_folder_is_seen(self):
        p = self.make(project={"baseline": "m"})
        os.mkdir(p.dir + "/m")
        p.write("m/001_a.sql", BASELINE + ";")
        p.write("m/002_b.sql", "ALTER TABLE orders ADD COLUMN b int;")
        p.write("elsewhere.sql", "ALTER TABLE orders ADD COLUMN c int;")
        os.symlink("../elsewhere.sql", p.dir + "/m/003_c.sql")
        p.write("statements/1.0.0.sql", "-- name: Get\nSELECT b, c FROM orders WHERE id = $1;\n")
        self.good(self.check(p))
        self.good(self.check(p))
        self.assertEqual(self.kinds(), ["baseline", "initdb"])
        p.write("elsewhere.sql", "ALTER TABLE orders ADD COLUMN d int;")  # as long as before
        self.assertEqual([f["rule"] for f in self.check(p).findings], ["failing-at-baseline"])
        p.write("elsewhere.sql", "ALTER TABLE orders ADD COLUMN c int;")
        self.good(self.check(p))
        os.rename(p.dir + "/m/002_b.sql", p.dir + "/m/000_b.sql")  # now it comes before the table
        self.assertEqual(self.check(p).rc, 2)
        self.assertEqual(self.kinds(), ["baseline", "baseline", "initdb"])

    def test_superuser_steps_are_another_image(self):
        p = self.make()
        self.good(self.check(p))
        self.good(self.check(p, "--shadow-superuser"))
        self.assertEqual(self.kinds(), ["baseline", "baseline", "initdb"])

    def test_a_baseline_that_fails_is_not_kept(self):
        p = self.make(baseline="CREATE TABLE orders (id bigint PRIMARY KEY, ref nonsense)")
        self.assertEqual(self.check(p).rc, 2)
        self.assertEqual(self.kinds(), ["initdb"])

    def test_unlogged_rows_are_there_each_time(self):
        p = self.make(baseline="CREATE UNLOGGED TABLE orders (id bigint PRIMARY KEY, ref text); "
                      "INSERT INTO orders VALUES (1, 'x')",
                      plans=[steps("CREATE TABLE x AS SELECT 1 / count(*)::int AS y FROM orders")])
        first = self.check(p)
        self.assertNotIn("step-fails-on-shadow", [f["rule"] for f in first.findings], first)
        self.assertEqual(self.check(p).report, first.report)

    def test_rows_sequences_and_rights_are_as_loaded(self):
        p = self.make(baseline=BASELINE + "; CREATE SEQUENCE s; SELECT nextval('s'); INSERT INTO orders VALUES (7, 'r'); "
                      "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE EXTENSION IF NOT EXISTS pg_trgm",
                      plans=[steps("CREATE TABLE x AS SELECT 1 / (SELECT (last_value = 1001)::int FROM s) / (SELECT (ref = 'r')::int FROM orders) "
                                  "/ (similarity('a', 'a') = 1)::int / (f() = 1)::int "
                                  "/ has_table_privilege('reader', 'orders', 'SELECT')::int AS y",
                                  "ALTER FUNCTION f() STABLE")])
        reports = [self.check(p).report for _ in range(3)]
        self.assertNotIn("step-fails-on-shadow", reports[0])
        self.assertEqual(reports[0], reports[1])
        self.assertEqual(reports[0], reports[2])

    def test_four_are_kept(self):
        for i in range(5):
            self.good(self.check(self.make(baseline=BASELINE + "; CREATE TABLE t%d (id int)" % i)))
        self.assertEqual(self.kinds(), ["baseline"] * 3 + ["initdb"])


class Damage(Case):
    def test_a_damaged_image_is_made_anew(self):
        p = self.make()
        report = self.good(self.check(p)).report

        def cut(path):
            os.truncate(path, os.stat(path).st_size // 2)

        def flip(path):
            with open(path, "r+b") as f:
                content = f.read()
                at = content.index(b"PostgreSQL cluster") if b"PostgreSQL cluster" in content else len(content) // 2
                f.seek(at)
                f.write(bytes([content[at] ^ 1]))

        def garbage(path):
            with open(path, "wb") as f:
                f.write(os.urandom(100000))

        def empty(path):
            open(path, "w").close()

        def link(path):
            os.rename(path, self.home + "/was")
            os.symlink(self.home + "/was", path)

        for kind in ("baseline", "initdb"):
            for harm in (cut, garbage, empty, link, flip):
                with self.subTest(kind=kind, harm=harm.__name__):
                    if kind == "initdb":
                        os.unlink(self.path("baseline"))
                    path = self.path(kind)
                    harm(path)
                    with open(path, "rb") as f:
                        harmed = f.read()
                    self.assertEqual(self.good(self.check(p)).report, report)
                    self.assertFalse(os.path.islink(path))
                    self.assertGreater(os.stat(path).st_size, 1 << 20)
                    self.assertEqual(self.kinds(), ["baseline", "initdb"])
                    if harm is not link:
                        with open(path, "rb") as f:
                            self.assertNotEqual(f.read(), harmed)

    def test_an_image_on_which_no_server_starts(self):
        """Whole by its sums, but not what a server takes."""
        p = self.make()
        report = self.good(self.check(p)).report
        path = self.path("baseline")
        with open(path, "rb") as f:
            content = f.read()
        at, n = (int(x) for x in content[:128].split()[2:4])
        index = json.loads(content[at:at + n])
        index["files"] = [row for row in index["files"] if row[0] != "global/pg_control"]
        body = json.dumps(index).encode()
        head = b"phasegate-image 1 %d %d %s\n" % (at, len(body), hashlib.sha256(body).hexdigest().encode())
        with open(path, "wb") as f:
            f.write(head.ljust(128) + content[128:at] + body)
        self.assertEqual(self.good(self.check(p)).report, report)
        self.assertEqual(self.kinds(), ["baseline", "initdb"])
        with open(path, "rb") as f:
            self.assertIn(b"global/pg_control", f.read())

    def test_several_at_once(self):
        p = self.make(plans=[add_table()])
        more = dict(os.environ, **self.env)
        runs = [subprocess.Popen([os.environ["PHASEGATE_BIN"], "check", "--format", "json"], cwd=p.dir, env=more, text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
        said = [run.communicate(timeout=120) for run in runs]
        self.assertEqual([run.returncode for run in runs], [0] * 4, said)
        self.assertEqual(len({re.sub(r'"duration_ms": ?\d+', "", out) for out, _ in said}), 1)
        self.good(self.check(p))
        self.good(self.check(p))
        self.assertEqual(self.kinds(), ["baseline", "initdb"])

    def test_killed_while_writing(self):
        p = self.make()
        report = self.good(self.check(p, "--no-cache")).report
        self.assertFalse(os.path.exists(self.cache))
        killed = 0
        for _ in range(8):
            run = subprocess.Popen([os.environ["PHASEGATE_BIN"], "check"], cwd=p.dir, env=dict(os.environ, **self.env),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while run.poll() is None:
                if os.path.exists(self.cache + "/images/new"):
                    run.send_signal(signal.SIGKILL)
                    break
                time.sleep(0.0005)
            run.wait()
            killed += os.path.exists(self.cache + "/images/new")
            if killed == 2:
                break
        self.assertGreater(killed, 0)
        self.assertEqual(self.good(self.check(p)).report, report)
        self.assertEqual(self.good(self.check(p)).report, report)
        self.assertEqual(self.kinds(), ["baseline", "initdb"])


class Where(Case):
    def test_nothing_is_kept_where_nothing_can_be(self):
        p = self.make()
        with open(self.home + "/file", "w"):
            pass
        for place in (self.home + "/file", self.home + "/file/below", "/proc/none/of/this", "/dev/null"):
            self.good(self.check(p, env={"PHASEGATE_CACHE": place}))

    def test_the_folder(self):
        p = self.make()
        nothing = {"PHASEGATE_CACHE": "", "XDG_CACHE_HOME": "", "HOME": ""}
        for env, place in (({"XDG_CACHE_HOME": self.home + "/x", "HOME": self.home}, "/x/phasegate"),
                           ({"XDG_CACHE_HOME": "relative", "HOME": self.home}, "/.cache/phasegate"),
                           ({"HOME": self.home + "/h", "PHASEGATE_CACHE": self.home + "/given"}, "/given")):
            self.good(self.check(p, env=dict(nothing, **env)))
            self.assertEqual(len(self.images(self.home + place)), 2, place)
        self.good(self.check(p, env=nothing))
        self.assertFalse(os.path.exists(p.dir + "/relative"))
        self.good(self.check(p, env=dict(nothing, PHASEGATE_CACHE="below")))
        self.assertEqual(len(self.images(p.dir + "/below")), 2)

    def test_modes(self):
        self.good(self.check(self.make()))
        for folder in (self.cache, self.cache + "/images"):
            self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), 0o700)
        for path in glob.glob(self.cache + "/images/*"):
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            self.assertEqual(os.stat(path).st_uid, os.geteuid())

    def test_a_live_baseline_is_not_kept(self):
        db = pgtest.cluster().create_database()
        self.addCleanup(db.drop)
        db.psql(BASELINE.split(";")[0])
        self.good(self.check(self.make(), "--baseline-from", db.server.url(db.name)))
        self.assertEqual(self.kinds(), ["initdb"])

    def test_a_server_of_the_users_is_not_kept(self):
        self.check(self.make(), "--shadow", pgtest.cluster().url())
        self.assertFalse(os.path.exists(self.cache))

    def test_an_ordinary_user(self):
        if os.geteuid() != 0 and "CI" not in os.environ:
            self.skipTest("takes root to become somebody else")
        user = pwd.getpwnam("nobody")
        os.chmod(self.home, 0o755)
        binary = shutil.copy(os.environ["PHASEGATE_BIN"], self.home + "/phasegate")
        home = self.home + "/nobody"
        os.mkdir(home)
        p = self.make(plans=[add_table()])
        for folder, _, files in os.walk(p.dir):
            for path in [folder] + [folder + "/" + f for f in files]:
                os.chmod(path, 0o755)
        os.chown(home, user.pw_uid, user.pw_gid)

        def run(cache):
            done = subprocess.run(["setpriv", "--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--clear-groups",
                                   binary, "check", "--format", "json"], cwd=p.dir, capture_output=True, text=True,
                                  env=dict(os.environ, HOME=home, PHASEGATE_CACHE=cache), timeout=120)
            self.assertEqual((done.returncode, done.stderr), (0, ""), done)
            return re.sub(r'"duration_ms": ?\d+', "", done.stdout)

        report = run(home + "/c")
        kept = self.images(home + "/c")
        self.assertEqual(len(kept), 2)
        self.assertEqual(run(home + "/c"), report)
        self.assertEqual(self.images(home + "/c"), kept)
        # Root's isn't his, and his isn't root's.
        self.good(self.check(p))
        roots = self.images()
        self.assertEqual(run(self.cache), report)
        self.assertEqual(self.images(), roots)
        self.assertEqual(self.good(self.check(p, env={"PHASEGATE_CACHE": home + "/c"})).report, report)
        self.assertEqual(self.images(home + "/c"), kept)


if __name__ == "__main__":
    unittest.main()

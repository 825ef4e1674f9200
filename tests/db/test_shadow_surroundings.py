"""What surrounds `check` reaches neither its server nor what runs there."""

import os
import shutil
import tempfile
import time
import unittest

import check_project
import pgtest

BASELINE = "CREATE TABLE t (id bigint PRIMARY KEY, at timestamptz)"
GET = "-- name: Get\nSELECT at FROM t WHERE id = $1;\n"

# In the postmaster's surroundings there is PATH, so that they were read, and there is no secret.
LOOK = """CREATE TABLE t (id bigint PRIMARY KEY, at timestamptz);
DO $$
DECLARE pid text := split_part(pg_read_file('postmaster.pid'), E'\\n', 1);
        seen text := encode(pg_read_binary_file('/proc/' || pid || '/environ', 0, 100000), 'escape');
BEGIN
  IF seen NOT LIKE '%PATH=%' THEN RAISE EXCEPTION 'nothing is seen: %', seen; END IF;
  IF seen LIKE '%hunter2%' THEN RAISE EXCEPTION 'the secret is seen'; END IF;
END $$"""

SETTINGS = """CREATE TABLE t (id bigint PRIMARY KEY, at timestamptz);
DO $$ BEGIN
  IF current_setting('DateStyle') <> 'ISO, MDY' OR current_setting('TimeZone') = 'Asia/Tokyo' THEN
    RAISE EXCEPTION 'settings: % %', current_setting('DateStyle'), current_setting('TimeZone');
  END IF;
END $$"""


class Surroundings(check_project.Case):
    def good(self, env, baseline=BASELINE, **more):
        p = self.project(baseline=baseline, releases={"1.0.0": GET}, **more)
        done = p.check("--no-cache", env=env)
        self.assertEqual((done.rc, done.stderr), (0, ""), done)
        self.assertEqual(done.findings, [], done)

    def folder(self, name):
        home = tempfile.mkdtemp(prefix="around-")
        self.addCleanup(shutil.rmtree, home, True)
        os.chmod(home, 0o755)
        os.mkdir(home + "/" + name)
        os.chmod(home + "/" + name, 0o777)
        return home + "/" + name

    def test_no_secret_of_ours(self):
        self.good({"DEPLOY_TOKEN": "hunter2", "PGPASSWORD": "hunter2", "HOME": "/tmp/hunter2"}, LOOK)

    def test_variables_of_libpq(self):
        self.good({"PGTZ": "Asia/Tokyo", "PGDATESTYLE": "German", "PGGEQO": "off"}, SETTINGS)
        self.good({"PGTZ": "Mars/Nowhere", "PGDATESTYLE": "nonsense", "PGOPTIONS": "-c no_such=1",
                   "PGREQUIREPEER": "somebody", "PGHOST": "192.0.2.1", "PGHOSTADDR": "192.0.2.1", "PGPORT": "1",
                   "PGUSER": "x", "PGDATABASE": "x", "PGTARGETSESSIONATTRS": "standby", "PGSSLMODE": "require",
                   "PGGSSENCMODE": "require", "PGCHANNELBINDING": "require", "PGPASSFILE": "/nonexistent",
                   "PGCLIENTENCODING": "LATIN1", "PGCONNECT_TIMEOUT": "x", "PGSSLCERT": "/nonexistent"})

    def test_a_service(self):
        path = self.folder("service") + "/file"
        with open(path, "w") as f:
            f.write("[prod]\nhost=192.0.2.1\nport=1\nuser=x\ndbname=x\noptions=-c no_such=1\nreplication=database\n"
                    "requirepeer=somebody\ntarget_session_attrs=standby\nsslmode=require\n")
        self.good({"PGSERVICE": "prod", "PGSERVICEFILE": path})

    def test_a_service_that_is_not_there(self):
        for file in ("/dev/null", "/nonexistent"):
            self.good({"PGSERVICE": "nowhere", "PGSERVICEFILE": file})

    def test_a_database_keeps_them(self):
        """The schema is dumped from where libpq's variables say, and proved beside them."""
        server = pgtest.cluster()
        db = server.create_database()
        self.addCleanup(db.drop)
        db.psql(BASELINE)
        path = self.folder("own") + "/file"
        with open(path, "w") as f:
            f.write("[here]\nhost=%s\nport=%d\nuser=%s\ndbname=%s\n" % (server.host, server.port, server.user, db.name))
        p = self.project(releases={"1.0.0": GET})
        done = p.check("--no-cache", "--baseline-from", "postgresql:///?application_name=x",
                       env={"PGSERVICE": "here", "PGSERVICEFILE": path})
        self.assertEqual((done.rc, done.findings), (0, []), done)

    def test_odd_folders(self):
        for name in ("with space", "it's"):
            self.good({"TMPDIR": self.folder(name)})

    def test_a_folder_that_is_none(self):
        p = self.project(baseline=BASELINE, releases={"1.0.0": GET})
        for name in ("/nonexistent", "nowhere", "/etc/passwd"):
            done = p.check("--no-cache", env={"TMPDIR": name})
            self.assertEqual(done.rc, 3, done)
            self.assertIn("TMPDIR=DIR", done.stdout + done.stderr)
            self.assertNotIn("apt install", done.stdout + done.stderr)

    def test_a_comma_is_told_at_once(self):
        p = self.project(baseline=BASELINE, releases={"1.0.0": GET})
        for name in ("a,b", "new\nline"):
            start = time.monotonic()
            done = p.check("--no-cache", env={"TMPDIR": self.folder(name)})
            self.assertEqual(done.rc, 2, done)
            self.assertIn("comma or a control character", done.stdout + done.stderr)
            self.assertLess(time.monotonic() - start, 20)


if __name__ == "__main__":
    unittest.main()

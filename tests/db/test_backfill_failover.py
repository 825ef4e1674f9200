"""A backfill and the server that it began on: a real standby that is promoted, and a copy of the database elsewhere."""

import shutil
import subprocess
import unittest

import pgtest
import project

NAME = "orders-ref"
# 20 ms for each hundred rows: four seconds for all, however fast the machine.
SLOWLY = """CREATE TABLE t (id bigint PRIMARY KEY, a text, b text);
INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 20000) i;
CREATE TABLE fills (id bigint);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.fills VALUES (NEW.id);
    IF NEW.id % 100 = 0 THEN PERFORM pg_sleep(0.02); END IF; RETURN NEW; END $$;
CREATE TRIGGER note BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION note()"""


class Failover(project.Case):
    def project_on(self, server):
        fill = {"id": "fill", "table": "t", "set": {"b": "upper(a)"}, "where": "b IS NULL", "batch": {"rows": 200, "min": 100, "max": 200},
                "throttle": {"replica_lag": "1h"}}
        p = project.Project(plans=[project.plan(NAME, phases={"dual_read": project.phase("dual_read", backfill=[fill])})],
                            baseline=SLOWLY, db=server.create_database("app"))
        self.addCleanup(shutil.rmtree, p.dir, True)
        return p

    def start(self, p):
        run = p.start("advance", NAME, "--release", "1.2.0")
        self.addCleanup(run.close)
        return run

    def until_rows(self, db, n):
        pgtest.wait_until(lambda: db.value("SELECT to_regclass('phasegate.backfill_batch') IS NOT NULL") == "t" and int(db.value(
            "SELECT coalesce(sum(rows_changed), 0) FROM phasegate.backfill_batch")) >= n, 60, 0.02)

    def each_once(self, db):
        self.assertEqual(db.value("SELECT count(*) FROM t WHERE b IS DISTINCT FROM upper(a)"), "0")
        self.assertEqual(db.value("SELECT count(*) || ' ' || count(DISTINCT id) FROM fills"), "20000 20000")

    def test_a_standby_is_promoted(self):
        with pgtest.Cluster() as one, pgtest.standby_of(one) as two:
            p = self.project_on(one)
            behind = pgtest.Database(two, "app")
            p.env["DATABASE_URL"] = "postgresql://postgres@/app?host=%s,%s&port=%d,%d" % (one.host, two.host, one.port, two.port)
            run = self.start(p)
            self.until_rows(p.db, 2000)
            pgtest.wait_until(lambda: int(behind.value("SELECT count(*) FROM fills")) > 1000, 30)
            one.crash()
            done = run.wait()
            self.assertNotEqual(done.rc, 0, done)
            two._run("pg_ctl", "-D", two.data, "promote", "-w")
            before = int(behind.value("SELECT count(*) FROM fills"))
            self.assertLess(before, 20000)
            self.assertEqual(behind.value("SELECT timeline FROM phasegate.backfill_job"), "1")
            done = p.ok("advance", NAME, "--release", "1.2.0")
            self.assertIn("there was a failover: timeline 2, after 1", done.stderr)
            self.each_once(behind)
            self.assertEqual(behind.value("SELECT timeline FROM phasegate.backfill_job"), "2")

    def test_workers_go_on_when_their_sessions_do(self):
        """The watching session survives, the workers' ones don't: they look at the server again."""
        with pgtest.Cluster() as one:
            p = self.project_on(one)
            run = self.start(p)
            self.until_rows(p.db, 2000)
            p.db.psql("SELECT pg_terminate_backend(owner_pid) FROM phasegate.backfill_slice WHERE status = 'running'")
            done = run.wait()
            self.assertEqual(done.rc, 0, done)
            self.each_once(p.db)
            self.assertNotIn("failover", done.stderr)
            self.assertGreater(int(p.db.value("SELECT max(attempts) FROM phasegate.backfill_slice")), 1)

    def test_a_copy_elsewhere_is_another_server(self):
        with pgtest.Cluster() as one, pgtest.Cluster() as two:
            p = self.project_on(one)
            run = self.start(p)
            self.until_rows(p.db, 2000)
            run.kill()
            copy = two.create_database("app")
            dump = subprocess.run(["pg_dump", p.db.url], capture_output=True, text=True, check=True).stdout
            subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", copy.url], input=dump, capture_output=True, text=True, check=True)
            p.env["DATABASE_URL"] = copy.url
            rows = copy.value("SELECT count(*) FROM fills")
            error = p.refused("other_server", "advance", NAME, "--release", "1.2.0")
            self.assertIn("was begun on another server", error["message"])
            self.assertIn("phasegate advance orders-ref --force", error["hint"])
            p.refused("other_server", "backfill", NAME, "run")
            self.assertEqual(copy.value("SELECT count(*) FROM fills"), rows)
            p.ok("advance", NAME, "--release", "1.2.0", "--force")
            self.each_once(copy)


if __name__ == "__main__":
    unittest.main()

"""preflight: each no-go of the server is made to happen, on a server of its own: slots, archiver, standbys, settings, sessions."""

import os
import shutil
import tempfile
import time
import unittest

import pgtest
import project
from project import column_plan, phase, plan

SETTINGS = {"wal_level": "replica", "archive_mode": "on", "max_wal_senders": 5, "max_replication_slots": 5,
            "max_prepared_transactions": 5}


class Server(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.says = tempfile.mkdtemp(prefix="pgt.archive.")
        os.chmod(cls.says, 0o755)
        command = "'while test -e %s/hangs; do sleep 0.1; done; ! test -e %s/fails'" % (cls.says, cls.says)
        cls.pg = pgtest.Cluster(settings=dict(SETTINGS, archive_command=command))
        cls.p = project.Project(plans=[column_plan()], db=cls.pg.create_database())

    @classmethod
    def tearDownClass(cls):
        for name in os.listdir(cls.says):
            os.remove(os.path.join(cls.says, name))
        cls.p.close()
        cls.pg.close()
        os.rmdir(cls.says)

    def check(self, name, about=None):
        done = self.p.run("--format", "json", "preflight", "orders-ref")
        found = {(c["check"], c["about"]): c for c in done.json["result"]["checks"]}[(name, about)]
        self.assertEqual(done.rc, 1 if done.json["result"]["no_go"] else 0)
        return found

    def no_go(self, name, words, about=None):
        found = self.check(name, about)
        self.assertEqual(found["outcome"], "no-go", found)
        self.assertIn(words, found["value"])
        self.assertTrue(found["limit"] and found["help"] and found["sql"], found)

    def passes(self, name, about=None, outcome="pass"):
        found = self.check(name, about)
        self.assertEqual(found["outcome"], outcome, found)

    def set(self, name, value):
        self.pg.psql("ALTER SYSTEM SET %s = '%s'" % (name, value))
        self.addCleanup(self.reset, name)
        self.pg.psql("SELECT pg_reload_conf()")
        pgtest.wait_until(lambda: self.pg.psql("SELECT setting FROM pg_settings WHERE name = '%s' AND sourcefile LIKE '%%auto.conf'" % name), 30)

    def reset(self, name):
        self.pg.psql("ALTER SYSTEM RESET %s" % name)
        self.pg.psql("SELECT pg_reload_conf()")
        pgtest.wait_until(lambda: not self.pg.psql("SELECT 1 FROM pg_settings WHERE name = '%s' AND sourcefile LIKE '%%auto.conf'" % name), 30)

    def switch(self, times):
        for _ in range(times):
            self.pg.psql("SELECT pg_logical_emit_message(false, 'test', 'x'), pg_switch_wal()")

    def asked(self, name, *values):
        """The statement itself, with another limit than the one that would take gigabytes or half an hour."""
        with open(os.path.join(os.environ["PHASEGATE_SRC"], "src/sql/preflight_%s.sql" % name), encoding="utf-8") as f:
            sql = f.read()
        for i, value in enumerate(values):
            sql = sql.replace("$%d" % (i + 1), "'%s'" % value)
        return self.p.db.psql(sql)[0][:2]

    def test_a_slot_that_nobody_reads(self):
        self.passes("slots")
        self.pg.psql("SELECT pg_create_physical_replication_slot('behind', true)")
        self.addCleanup(self.pg.psql, "SELECT pg_drop_replication_slot('behind')")
        self.passes("slots", outcome="warn")  # max_slot_wal_keep_size has no limit
        self.switch(3)
        outcome, value = self.asked("slots", 1 << 20)
        self.assertEqual(outcome, "no-go")
        self.assertIn("behind isn't used", value)
        self.set("max_slot_wal_keep_size", "1MB")
        self.switch(2)
        self.pg.psql("CHECKPOINT")
        self.no_go("slots", "behind ")

    def test_an_archiver_that_fails_or_hangs(self):
        self.switch(1)
        pgtest.wait_until(lambda: self.pg.psql("SELECT 1 FROM pg_stat_archiver WHERE last_archived_time IS NOT NULL"), 60)
        self.passes("archiver")
        fails, hangs = (os.path.join(self.says, name) for name in ("fails", "hangs"))
        open(fails, "w", encoding="utf-8").close()
        self.switch(1)
        pgtest.wait_until(lambda: self.pg.psql("SELECT 1 FROM pg_stat_archiver WHERE last_failed_time > last_archived_time"), 60)
        self.no_go("archiver", "fails since 0000")
        os.remove(fails)
        self.switch(1)  # which wakes it
        pgtest.wait_until(lambda: self.check("archiver")["outcome"] == "pass", 90)
        open(hangs, "w", encoding="utf-8").close()
        self.switch(4)
        self.assertEqual(self.asked("archiver", 2)[0], "no-go")
        self.passes("archiver")  # four are no crowd yet
        self.set("archive_timeout", "1s")
        pgtest.wait_until(lambda: self.check("archiver")["outcome"] == "no-go", 60)
        self.no_go("archiver", "segments wait")
        os.remove(hangs)

    def test_standbys_that_lag_or_are_missing(self):
        self.passes("standbys")
        self.set("synchronous_standby_names", "paris")
        self.no_go("standbys", "commits wait for paris")
        self.reset("synchronous_standby_names")
        with pgtest.standby_of(self.pg) as two:
            pgtest.wait_until(lambda: self.pg.psql("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"), 60)
            pgtest.wait_until(lambda: self.check("standbys")["outcome"] == "pass", 60)
            two.psql("SELECT pg_wal_replay_pause()")
            self.switch(6)
            pgtest.wait_until(lambda: self.check("standbys")["outcome"] == "no-go", 60)
            self.no_go("standbys", "behind")
            on_it = project.Project(plans=[column_plan()], db=pgtest.Database(two, self.p.db.name), baseline=None)
            self.addCleanup(shutil.rmtree, on_it.dir)
            found = on_it.run("--format", "json", "preflight", "orders-ref")
            self.assertIn("a standby", str(found.json))

    def test_settings_under_which_a_change_is_dangerous(self):
        self.passes("settings")
        self.set("autovacuum", "off")
        self.no_go("settings", "autovacuum = off")
        self.reset("autovacuum")
        self.p.db.psql("ALTER DATABASE %s SET session_replication_role = 'replica'" % self.p.db.name)
        self.no_go("settings", "triggers don't fire")
        self.p.db.psql("ALTER DATABASE %s RESET session_replication_role" % self.p.db.name)
        self.set("deadlock_timeout", "100ms")
        self.passes("settings", outcome="warn")

    def test_too_few_sessions_are_left(self):
        self.passes("connections")
        self.p.db.psql("ALTER DATABASE %s CONNECTION LIMIT 2" % self.p.db.name)
        self.no_go("connections", "free")
        self.p.db.psql("ALTER DATABASE %s CONNECTION LIMIT -1" % self.p.db.name)

    def test_transactions_that_stay_open(self):
        self.passes("transactions")
        with self.p.db.session("SET application_name = 'report'", "BEGIN", "SELECT 1"):
            time.sleep(1.1)
            outcome, value = self.asked("transactions", 1)
            self.assertEqual(outcome, "no-go")
            self.assertIn("report, for ", value)
            self.passes("transactions")
        self.p.db.psql("BEGIN; LOCK TABLE orders IN ACCESS SHARE MODE; PREPARE TRANSACTION 'left over'")
        time.sleep(1.1)
        self.assertEqual(self.asked("transactions", 1)[0], "no-go")
        self.assertIn("left over", self.asked("transactions", 1)[1])
        self.no_go("locks", "a prepared transaction holds", "orders")
        self.p.db.psql("ROLLBACK PREPARED 'left over'")
        self.passes("locks", "orders")

    def test_maintenance_at_work(self):
        """What lets readers and writers by, and no change of the table: CREATE INDEX CONCURRENTLY, VACUUM."""
        self.passes("locks", "orders")
        with self.p.db.session("SET application_name = 'builder'", "BEGIN", "LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE"):
            self.no_go("locks", "builder holds ShareUpdateExclusiveLock", "orders")
            self.p.write_plan(plan("fills", stamp=20260102000000, phases={"write_activation": phase("write_activation", backfill=[
                {"id": "fill", "table": "orders", "set": {"legacy_ref": "'y'"}, "where": "legacy_ref <> 'y'"}])}))
            fills = self.p.json("preflight", "fills")["result"]["checks"]
            self.assertEqual([c["outcome"] for c in fills if c["check"] == "locks"], ["pass"])
        os.remove(self.p.path("plans", "20260102000000-fills.yaml"))


if __name__ == "__main__":
    unittest.main()

"""What throttles a backfill: each stops a run with its reason, and lets it go on."""

import http.server
import os
import signal
import threading
import time
import unittest

import backfill
import pgtest
import project
from backfill import NAME, SLOWLY


class Case(backfill.Case):
    def throttled(self, throttle, reason, undo, before=lambda p: None):
        """Stops with this reason before a row is changed, and goes on when it is undone."""
        p = self.begin(**({"throttle": throttle} if throttle else {}))
        before(p)
        run = self.start(p)
        b = self.until(p, lambda b: b["runners"] and b["runners"][0]["level"] == "stop", "the stop")
        self.assertIn(reason, b["runners"][0]["reason"])
        self.assertEqual(b["rows_done"], 0)
        self.assertTrue(run.is_running())
        undo(p)
        self.assertEqual(run.wait().rc, 0)
        self.assertEqual(self.backfill(p)["rows_changed"], 20000)
        return p


class Asked(Case):
    """What the plan names."""

    def test_by_a_query(self):
        p = self.throttled({"sql": "SELECT count(*) FROM orders_stop"}, "sql", lambda p: p.db.psql("TRUNCATE orders_stop"),
                           lambda p: p.db.psql("CREATE TABLE orders_stop AS SELECT 1 AS n"))
        self.assertIn("sql", p.db.value("SELECT max(rest_reason) FROM phasegate.backfill_batch"))

    def test_by_a_query_that_fails(self):
        self.throttled({"sql": "SELECT count(*) FROM nowhere_at_all"}, "sql can't be read",
                       lambda p: p.db.psql("CREATE TABLE nowhere_at_all (n int)"))

    def test_by_a_file(self):
        def make(p):
            p.put("stop", "")
        self.throttled({"file": "stop"}, "file", lambda p: os.unlink(p.path("stop")), make)

    def test_by_the_time_of_day(self):
        """Elsewhere it is later: what lies three to four hours ahead by the server's clock isn't now, in its own zone."""
        db = pgtest.cluster().create_database()
        self.addCleanup(db.drop)
        ahead = [db.value("SELECT to_char(clock_timestamp() AT TIME ZONE 'Asia/Tokyo' + interval '%d h', 'HH24:MI')" % n)
                 for n in (3, 4)]
        self.throttled({"window": "%s-%s Asia/Tokyo" % tuple(ahead)}, "window: outside of the plan's hours",
                       lambda p: p.ok("backfill", NAME, "set", "window=00:00-24:00"))

    def test_by_the_time_of_day_in_no_zone(self):
        self.throttled({"window": "00:00-24:00 Nowhere/Atoll"}, 'time zone "Nowhere/Atoll" not recognized',
                       lambda p: p.ok("backfill", NAME, "set", "window=off"))

    def test_by_what_is_left_on_the_disk(self):
        self.throttled({"disk_free": "1024TiB"}, "limit 1048576.0 GiB: are left on the disk of the data",
                       lambda p: p.ok("backfill", NAME, "set", "disk_free=64KiB"))

    def answering(self, status):
        """A health check of the application's: .status is what it answers with."""
        class Answers(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(self.server.status)
                self.end_headers()

            def log_message(self, *_):
                pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        server.status = status
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server

    def test_by_an_answer_that_isn_t_200(self):
        for status in (503, 204):
            with self.subTest(status):
                server = self.answering(status)

                def well():
                    server.status = 200
                self.throttled({"http": "http://127.0.0.1:%d/healthy" % server.server_address[1]}, "http", lambda p: well())

    def test_by_nobody_who_answers(self):
        server = self.answering(200)
        url = "http://127.0.0.1:%d/healthy" % server.server_address[1]
        server.shutdown()
        server.server_close()
        self.throttled({"http": url}, "http can't be read", lambda p: p.ok("backfill", NAME, "set", "http=off"))

    def test_a_disk_that_isn_t_full(self):
        p = self.begin(throttle={"wal_disk": "100%", "disk_free": "64KiB"})
        r = self.start(p).wait()
        self.assertEqual(r.rc, 0, r)

    def test_by_a_setting_while_it_runs(self):
        p = self.begin(SLOWLY, batch={"rows": 50, "min": 50, "max": 50})
        run = self.start(p)
        self.until(p, lambda b: b["rows_done"] > 0, "the first batch")
        p.put("stop", "")
        p.ok("backfill", NAME, "set", "file=stop")
        self.until(p, lambda b: b["runners"] and b["runners"][0]["signal"] == "file", "the stop")
        run.signal(signal.SIGINT)  # who waits can be told to stop
        self.assertEqual(run.wait().rc, 130)
        p.ok("backfill", NAME, "set", "file=")
        p.advance(NAME, "1.2.0")

    def test_whom_a_batch_blocks_isn_t_kept_waiting(self):
        """A batch that somebody waits for is cancelled, and the next ones are smaller."""
        slow = "CREATE FUNCTION slow(text) RETURNS text LANGUAGE sql AS 'SELECT $1 FROM pg_sleep(0.01)'"
        p = self.project(plans=[project.plan(NAME, phases={"dual_read": project.phase("dual_read", backfill=[
            {"id": "fill", "table": "orders", "set": {"fresh": "slow(legacy_ref)"}, "where": "fresh IS NULL",
             "batch": {"rows": 200, "min": 1, "max": 200, "target": "10s"}}])})],
            baseline="CREATE TABLE orders (id bigint PRIMARY KEY, legacy_ref text, fresh text);"
                     "INSERT INTO orders SELECT i, 'R' || i FROM generate_series(1, 400) i;" + slow)
        run = self.start(p)
        waits = []
        for _ in range(8):
            time.sleep(0.4)
            began = time.monotonic()
            p.db.psql("UPDATE orders SET legacy_ref = legacy_ref || 'x' WHERE id IN (1, 100, 200, 300, 400)")
            waits.append(time.monotonic() - began)
        self.assertEqual(run.wait().rc, 0)
        self.assertEqual(p.db.value("SELECT count(*) FROM orders WHERE fresh IS NULL"), "0")
        self.assertLess(max(waits), 1.5)  # a batch takes two seconds


class Server(Case):
    """What the server shows: one of its own with an archive, slots and a standby."""

    @classmethod
    def setUpClass(cls):
        cls.server = pgtest.Cluster(settings={"archive_mode": "on", "archive_command": "'true'", "wal_level": "replica",
                                              "max_wal_senders": 5, "max_replication_slots": 5, "autovacuum": "off"})
        cls.addClassCleanup(cls.server.close)

    def project(self, **more):
        # It looks at the same before the phase begins.
        return super().project(db=self.server.create_database(), policy={"preflight": "off"}, **more)

    def setting(self, name, value):
        self.server.psql("ALTER SYSTEM SET %s = '%s'" % (name, value))
        self.server.psql("SELECT pg_reload_conf()")
        pgtest.wait_until(lambda: self.server.psql("SHOW " + name) == [[value]], what=name)

    def ballast(self, p):
        p.db.psql("DROP TABLE IF EXISTS ballast; CREATE TABLE ballast AS SELECT repeat('x', 1000) FROM generate_series(1, 4000)")

    def test_by_a_slot_that_keeps_wal(self):
        def behind(p):
            self.server.psql("SELECT pg_create_physical_replication_slot('behind', true)")
            self.addCleanup(self.server.psql, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'behind'")
            self.ballast(p)
        self.throttled({"slot_retention": "1MiB"}, "slot_retention",
                       lambda p: self.server.psql("SELECT pg_drop_replication_slot('behind')"), behind)

    def test_by_an_archiver_that_fails(self):
        """Which nobody has named."""
        def fail(p):
            self.setting("archive_command", "false")
            self.addCleanup(self.setting, "archive_command", "true")
            self.ballast(p)
            self.server.psql("SELECT pg_switch_wal()")
            pgtest.wait_until(lambda: self.server.psql("SELECT last_failed_time > coalesce(last_archived_time, '-infinity') "
                                                       "FROM pg_stat_archiver") == [["t"]], what="the failure")
        self.throttled({}, "archiver", lambda p: self.setting("archive_command", "true"), fail)

    def standby(self):
        standby = pgtest.standby_of(self.server)
        self.addCleanup(pgtest.wait_until, lambda: self.server.psql("SELECT count(*) FROM pg_stat_replication") == [["0"]])
        self.addCleanup(standby.close)
        pgtest.wait_until(lambda: self.server.psql("SELECT state FROM pg_stat_replication") == [["streaming"]], what="the standby")
        return standby

    def test_by_a_standby_that_is_behind(self):
        standby = self.standby()

        def pause(p):
            standby.psql("SELECT pg_wal_replay_pause()")
            pgtest.wait_until(lambda: standby.psql("SELECT pg_get_wal_replay_pause_state()") == [["paused"]], what="the pause")
            self.ballast(p)
        self.throttled({"replica_lag": "1MiB"}, "replica_", lambda p: standby.psql("SELECT pg_wal_replay_resume()"), pause)

    def test_by_a_standby_that_the_role_may_not_see(self):
        self.standby()
        p = self.project(plans=[backfill.plan_with(throttle={"replica_lag": "1MiB"})], baseline=backfill.BASELINE)
        role = "filler_" + p.db.name
        p.db.psql("CREATE ROLE {0} LOGIN; GRANT CREATE ON DATABASE {1} TO {0}; ALTER TABLE orders OWNER TO {0}; ALTER SCHEMA public OWNER TO {0}"
                  .format(role, p.db.name))
        p.env["DATABASE_URL"] = p.db.url.replace("postgres@", role + "@")
        p.advance(NAME, "1.1.0")
        run = self.start(p)
        b = self.until(p, lambda b: b["runners"] and b["runners"][0]["level"] == "stop", "the stop")
        self.assertIn("GRANT pg_monitor", b["runners"][0]["reason"])
        self.assertEqual(b["rows_done"], 0)
        p.db.psql("GRANT pg_monitor TO " + role)
        self.assertEqual(run.wait().rc, 0)

    def test_by_sessions_at_work(self):
        busy = []

        def work(p):
            for _ in range(3):
                busy.append(p.db.session())
                busy[-1].send("SELECT pg_sleep(120);")
                self.addCleanup(busy[-1].close)

        def rest(p):
            p.db.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(120)%'")
        self.throttled({"sessions": 2}, "sessions", rest, work)

    # ---- what begins while it runs

    def running(self, **fill):
        p = self.begin(SLOWLY, batch={"rows": 50, "min": 50, "max": 50}, **fill)
        run = self.start(p)
        self.until(p, lambda b: b["rows_done"] > 0, "the first batch")
        return p, run

    def until_stopped_by(self, p, signal_name):
        b = self.until(p, lambda b: b["runners"] and b["runners"][0]["level"] == "stop", "the stop")
        self.assertEqual(b["runners"][0]["signal"], signal_name, b)
        done = self.backfill(p)["rows_done"]
        time.sleep(0.5)
        self.assertEqual(self.backfill(p)["rows_done"], done)

    def test_by_who_waits_for_the_table(self):
        p, run = self.running(throttle={"lock_waiters": 1})
        reader, waiter = p.db.session("BEGIN", "SELECT count(*) FROM orders"), p.db.session()
        self.addCleanup(reader.close)
        self.addCleanup(waiter.close)
        waiter.send("ALTER TABLE orders ADD COLUMN other int;")
        self.until_stopped_by(p, "lock_waiters")
        reader.close()
        self.assertEqual(run.wait().rc, 0)

    def test_by_a_transaction_that_is_old(self):
        p, run = self.running()
        old = p.db.session("BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM orders")
        self.addCleanup(old.close)
        p.ok("backfill", NAME, "set", "oldest_xmin=1s")
        self.until_stopped_by(p, "oldest_xmin")
        old.close()
        self.assertEqual(run.wait().rc, 0)

    def test_by_the_wal_it_writes(self):
        p, run = self.running()
        p.ok("backfill", NAME, "set", "wal_rate=64KiB")
        self.until(p, lambda b: b["runners"] and b["runners"][0]["signal"] == "wal_rate", "the rate")
        p.ok("backfill", NAME, "set", "wal_rate=off")
        self.assertEqual(run.wait().rc, 0)
        self.assertIn("wal_rate", p.db.value("SELECT string_agg(DISTINCT rest_reason, ' ') FROM phasegate.backfill_batch"))


if __name__ == "__main__":
    unittest.main()

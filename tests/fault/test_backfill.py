"""kill -9 of who fills a table, at any moment and any number of times: no row is missed, and none is written twice.

A trigger counts what is written to each row. Several processes work side by side, each with several workers; all of them
are killed again and again while the application goes on inserting, updating and deleting.
"""

import random
import threading
import time
import unittest

import pgtest
import project

ROWS = 40000
BASELINE = """
CREATE TABLE orders (id bigint PRIMARY KEY, legacy_ref text);
INSERT INTO orders SELECT i * 3, 'R' || i FROM generate_series(1, %d) i;
CREATE TABLE written (id bigint, n int);
CREATE FUNCTION count_writes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.written VALUES (NEW.id, 1);
    IF NEW.id %% 150 = 0 THEN -- each fiftieth: so that there's time for a kill on any machine
        PERFORM pg_catalog.pg_sleep(0.03);
    END IF;
    RETURN NULL;
END $$;
""" % ROWS
TRIGGER = """CREATE TRIGGER count_writes AFTER UPDATE OF external_ref ON orders FOR EACH ROW
             WHEN (pg_catalog.current_setting('phasegate.backfill', true) = 'on') EXECUTE FUNCTION count_writes()"""


def body(**more):
    fill = dict({"id": "fill", "batch": {"rows": 200, "min": 50, "max": 400}, "workers": 3}, **more)
    return project.full_plan(phases={"dual_read": project.phase("dual_read", backfill=[fill], rollout=[{"percent": 100}])})


class Kill(project.Case):
    def begin(self, **more):
        p = self.project(plans=[body(**more)], baseline=BASELINE)
        p.advance("orders-ref", "1.1.0")
        p.db.psql(TRIGGER)
        return p

    def assert_each_once(self, p, at_least):
        self.assertEqual(p.db.value("SELECT count(*) FROM orders WHERE external_ref IS DISTINCT FROM legacy_ref"), "0")
        self.assertEqual(p.db.psql("SELECT id, count(*) FROM written GROUP BY id HAVING count(*) > 1 LIMIT 5"), [])
        self.assertGreaterEqual(int(p.db.value("SELECT count(*) FROM written")), at_least)

    def write(self, p, stop, seed):
        """As an application: rows come, change and go, all over the table."""
        chance = random.Random(seed)
        while not stop.is_set():
            i = chance.randrange(ROWS * 3)
            p.db.psql("INSERT INTO orders VALUES (%d, 'N%d') ON CONFLICT DO NOTHING; "
                      "UPDATE orders SET legacy_ref = legacy_ref || 'x' WHERE id = %d; DELETE FROM orders WHERE id = %d"
                      % (i, i, chance.randrange(ROWS) * 3, chance.randrange(ROWS) * 3))

    def test_anybody_at_any_moment(self):
        p = self.begin()
        chance = random.Random(4)
        stop = threading.Event()
        writers = [threading.Thread(target=self.write, args=(p, stop, seed)) for seed in (1, 2)]
        for w in writers:
            w.start()
        kills = 0
        try:
            for _ in range(60):
                crew = [p.start("advance", "orders-ref", "--release", "1.2.0")]
                time.sleep(chance.uniform(0.2, 0.9))
                crew += [p.start("backfill", "orders-ref", "run", "--workers", "2") for _ in range(2)]
                time.sleep(chance.uniform(0.1, 1.2))
                ended = not crew[0].is_running()
                for process in crew:
                    kills += process.is_running()
                    process.kill()
                    process.close()
                if ended:
                    break
        finally:
            stop.set()
            for w in writers:
                w.join()
        p.advance("orders-ref", "1.2.0")
        self.assertGreater(kills, 3)
        owners = p.db.value("SELECT count(DISTINCT split_part(owner, '#', 1)) FROM phasegate.backfill_slice WHERE attempts > 0")
        self.assertGreater(int(owners), 1)
        self.assert_each_once(p, ROWS // 2)
        self.assertEqual(p.db.value("SELECT status FROM phasegate.backfill_job"), "done")

    def test_alone(self):
        """Without an application each row is written exactly once."""
        p = self.begin()
        chance = random.Random(7)
        for _ in range(40):
            run = p.start("advance", "orders-ref", "--release", "1.2.0")
            time.sleep(chance.uniform(0.2, 1.0))
            ended = not run.is_running()
            run.kill()
            run.close()
            if ended:
                break
        p.advance("orders-ref", "1.2.0")
        self.assert_each_once(p, ROWS)
        self.assertEqual(p.db.value("SELECT count(*) FROM written"), str(ROWS))
        self.assertEqual(p.db.psql("SELECT status, rows_done, rows_changed FROM phasegate.backfill_job"),
                         [["done", str(ROWS), str(ROWS)]])

    def test_its_sessions(self):
        """Who is thrown out of the server comes back, and goes on where the table stands."""
        p = self.begin(workers=2)
        run = p.start("advance", "orders-ref", "--release", "1.2.0")
        ended = 0
        while run.is_running() and ended < 20:
            ended += int(p.db.value(
                "SELECT count(pg_terminate_backend(pid)) FROM (SELECT owner_pid AS pid FROM phasegate.backfill_slice "
                "WHERE status = 'running' LIMIT 1) x" if p.db.value("SELECT to_regclass('phasegate.backfill_slice')") else "SELECT 0"))
            time.sleep(0.15)
        self.assertEqual(run.wait(120).rc, 0, run)
        run.close()
        self.assertGreater(ended, 0)
        self.assert_each_once(p, ROWS)

    def test_the_server(self):
        """A server that crashes takes everybody with it; the same command goes on."""
        server = pgtest.Cluster()
        self.addCleanup(server.close)
        p = self.project(plans=[body()], baseline=BASELINE, db=server.create_database())
        p.advance("orders-ref", "1.1.0")
        p.db.psql(TRIGGER)
        for _ in range(3):
            run = p.start("advance", "orders-ref", "--release", "1.2.0")
            time.sleep(1.0)
            server.crash()
            server.start()
            run.wait(120)
            run.close()
        p.advance("orders-ref", "1.2.0")
        self.assert_each_once(p, ROWS)


if __name__ == "__main__":
    unittest.main()

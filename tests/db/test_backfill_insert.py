"""backfill: with insert: fills another table, slice by slice, each row once."""

import signal
import unittest

import pgtest
import project

NAME = "orders-ref"
BASELINE = """CREATE TABLE orders (id bigint PRIMARY KEY, legacy_ref text);
INSERT INTO orders SELECT i, 'R' || i FROM generate_series(1, 5000) i;
CREATE TABLE refs (order_id bigint PRIMARY KEY, ref text CHECK (ref <> 'R3000'))"""
# However fast the machine.
SLOW = """;
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN IF NEW.order_id % 50 = 0 THEN PERFORM pg_sleep(0.02); END IF; RETURN NEW; END';
CREATE TRIGGER slow BEFORE INSERT ON refs FOR EACH ROW EXECUTE FUNCTION slow()"""
GOOD = "SELECT id, legacy_ref FROM orders WHERE legacy_ref <> 'R3000' ON CONFLICT (order_id) DO NOTHING"


def plan_with(select, **fill):
    fill = dict({"id": "fill", "table": "orders", "batch": {"rows": 100, "min": 100, "max": 100},
                 "insert": {"into": "refs", "columns": ["order_id", "ref"], "select": select}}, **fill)
    return project.plan(NAME, phases={"dual_read": project.phase("dual_read", backfill=[fill])})


class Insert(project.Case):
    def begin(self, select, baseline=BASELINE, **fill):
        return self.project(plans=[plan_with(select, **fill)], baseline=baseline)

    def test_each_row_once_and_again_nothing(self):
        p = self.begin(GOOD)
        p.db.psql("INSERT INTO refs VALUES (7, 'by a new writer')")
        p.advance(NAME, "1.2.0")
        self.assertEqual(p.db.psql("SELECT count(*), count(DISTINCT order_id) FROM refs"), [["4999", "4999"]])
        self.assertEqual(p.db.value("SELECT ref FROM refs WHERE order_id = 7"), "by a new writer")
        b = p.json("backfill", NAME)["result"]["backfills"][0]
        self.assertEqual((b["status"], b["rows_done"], b["rows_changed"]), ("done", 5000, 4998))
        self.assertGreaterEqual(b["batches"], 50)

    def test_killed_in_the_middle_it_goes_on(self):
        p = self.begin(GOOD, BASELINE + SLOW)
        for _ in range(3):
            before = int(p.db.value("SELECT count(*) FROM refs"))
            run = p.start("advance", NAME, "--release", "1.2.0")
            self.addCleanup(run.close)
            pgtest.wait_until(lambda: int(p.db.value("SELECT count(*) FROM refs")) > before + 300, 30, 0.05, "some rows")
            run.signal(signal.SIGKILL)
            run.wait()
        p.advance(NAME, "1.2.0")
        self.assertEqual(p.db.psql("SELECT count(*), count(DISTINCT order_id) FROM refs"), [["4999", "4999"]])
        # No batch came twice: what was counted is what is there.
        self.assertEqual(p.db.value("SELECT sum(rows_changed) FROM phasegate.backfill_slice"), "4999")

    def test_a_row_that_cannot_be_filled_is_named(self):
        p = self.begin(GOOD.replace("WHERE legacy_ref <> 'R3000' ", ""))
        done = p.run("advance", NAME, "--release", "1.2.0")
        self.assertNotEqual(done.rc, 0)
        self.assertIn("3000", done.stderr)
        self.assertEqual(p.db.psql("SELECT key::text FROM phasegate.backfill_quarantine"), [['["3000"]']])
        self.assertLess(int(p.db.value("SELECT count(*) FROM refs")), 3000)
        p.db.psql("ALTER TABLE refs DROP CONSTRAINT refs_ref_check")
        p.advance(NAME, "1.2.0")
        self.assertEqual(p.db.value("SELECT count(*) FROM refs"), "5000")

    def test_what_would_insert_twice_is_refused(self):
        p = self.begin("SELECT id + 10000, legacy_ref FROM orders WHERE id < 100", BASELINE.replace(" PRIMARY KEY, ref", ", ref"))
        done = p.run("advance", NAME, "--release", "1.2.0")
        self.assertEqual(done.rc, 2, done)
        self.assertIn("isn't idempotent", done.stderr)
        self.assertIn("ON CONFLICT ... DO NOTHING", done.stderr)
        self.assertEqual(p.db.value("SELECT count(*) FROM refs"), "0")

    def test_where_says_what_is_left(self):
        p = self.begin("SELECT id, legacy_ref FROM orders WHERE legacy_ref <> 'R3000'",
                       where="NOT EXISTS (SELECT FROM refs r WHERE r.order_id = orders.id) AND orders.legacy_ref <> 'R3000'")
        p.advance(NAME, "1.2.0")
        self.assertEqual(p.db.value("SELECT count(*) FROM refs"), "4999")

    def test_a_select_that_batches_cannot_cut_is_refused(self):
        for select, words in (("SELECT id, legacy_ref FROM public.orders", "names orders with a schema"),
                              ("SELECT 1, 'x'", "doesn't go through orders"),
                              ("SELECT id, (SELECT max(legacy_ref) FROM orders) FROM orders", "names orders more than once"),
                              ("SELECT r.order_id, r.ref FROM refs r WHERE EXISTS (SELECT FROM orders)", "doesn't go through orders"),
                              ("SELECT id, legacy_ref FROM orders ORDER BY id LIMIT 5", "LIMIT"),
                              ("SELECT id, legacy_ref FROM orders OFFSET 1", "OFFSET"),
                              ("SELECT DISTINCT ON (id % 7) id, legacy_ref FROM orders", "DISTINCT"),
                              ("SELECT min(id), legacy_ref FROM orders GROUP BY 2", "GROUP BY"),
                              ("SELECT count(*), 'x' FROM orders", "an aggregate"),
                              ("SELECT row_number() OVER (), legacy_ref FROM orders", "a window function"),
                              ("WITH orders AS (SELECT 1 AS id, 'x' AS legacy_ref) SELECT id, legacy_ref FROM orders", "WITH"),
                              ("SELECT id, legacy_ref FROM orders UNION SELECT 1, 'x'", "UNION"),
                              ("SELECT id, legacy_ref || $1 FROM orders", "a parameter"),
                              (GOOD + " RETURNING order_id", "SELECT, with ON CONFLICT"),
                              ("SELECT id, legacy_ref FROM orders; DROP TABLE orders", "SELECT, with ON CONFLICT")):
            done = self.begin(select).run("advance", NAME, "--release", "1.2.0")
            self.assertEqual(done.rc, 2, done)
            self.assertIn(words, done.stderr)

    def test_a_subquery_for_one_row_may_count(self):
        p = self.begin("SELECT id, (SELECT count(*)::text FROM refs r WHERE r.order_id < orders.id) FROM orders ON CONFLICT DO NOTHING")
        p.advance(NAME, "1.2.0")
        self.assertEqual(p.db.value("SELECT count(*) FROM refs"), "5000")

    def test_a_dry_run_shows_it(self):
        p = self.begin(GOOD)
        text = p.ok("advance", NAME, "--release", "1.2.0", "--dry-run").stdout
        self.assertIn('INSERT INTO "refs" ("order_id", "ref") SELECT id, legacy_ref FROM orders', text)


if __name__ == "__main__":
    unittest.main()

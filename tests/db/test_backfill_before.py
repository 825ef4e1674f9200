"""backfill: with keep: before: what rows held goes to the ledger with the batch that changes them, and comes back by restore."""

import os
import stat
import time
import unittest

import pgtest
import project

NAME = "orders-ref"
BASELINE = """CREATE TABLE orders (id bigint PRIMARY KEY, legacy_ref text, note text);
INSERT INTO orders SELECT i * 3, CASE WHEN i %% 10 = 0 THEN NULL ELSE 'r' || i END, 'n' FROM generate_series(1, %d) i"""
WHERE = "orders.legacy_ref IS DISTINCT FROM coalesce(upper(orders.legacy_ref), 'NONE')"


class Before(project.Case):
    def begin(self, rows=500, baseline=None, more=None, policy=None, **fill):
        fill = dict({"id": "fill", "table": "orders", "set": {"legacy_ref": "coalesce(upper(legacy_ref), 'NONE')"}, "where": WHERE,
                     "keep": "before", "batch": {"rows": 100, "min": 20, "max": 100}}, **fill)
        phases = dict({"dual_read": project.phase("dual_read", backfill=[fill])}, **(more or {}))
        p = self.project(plans=[project.plan(NAME, phases=phases)], baseline=baseline or BASELINE % rows, policy=policy)
        p.db.psql("CREATE TABLE was AS SELECT * FROM orders")
        return p

    def is_as_it_was(self, p):
        return p.db.psql("SELECT (SELECT count(*) FROM (TABLE was EXCEPT ALL TABLE orders) x), (SELECT count(*) FROM (TABLE orders EXCEPT ALL TABLE was) x)") == [["0", "0"]]

    def restore(self, p, code=0):
        return p.json("backfill", NAME, "restore", code=code)["result"] if code == 0 else p.run("--format", "json", "backfill", NAME, "restore").json["result"]

    def job(self, p):
        return p.json("backfill", NAME)["result"]["backfills"][0]

    def test_all_comes_back_and_can_be_filled_again(self):
        p = self.begin()
        for again in ((), ("--force",)):
            p.ok("advance", NAME, "--release", "1.2.0", *again)
            self.assertEqual(p.db.value("SELECT count(*) FROM orders WHERE legacy_ref = upper(legacy_ref)"), "500")
            self.assertEqual((self.job(p)["kept"], self.job(p)["status"]), (500, "done"))
            self.assertIn("kept     what 500 rows held before: phasegate backfill orders-ref restore", p.ok("backfill", NAME).stdout)
            self.assertEqual(self.restore(p), {"restored": 500, "newer": 0})
            self.assertTrue(self.is_as_it_was(p))
            self.assertEqual(self.restore(p), {"restored": 0, "newer": 0})
            b = self.job(p)
            self.assertEqual((b["kept"], b["restored"], b["newer"], b["status"]), (0, 500, 0, "void"))

    def test_what_changed_since_is_left_alone(self):
        p = self.begin()
        p.advance(NAME, "1.2.0")
        p.db.psql("UPDATE orders SET legacy_ref = 'new' WHERE id IN (3, 6); DELETE FROM orders WHERE id = 9; UPDATE orders SET note = 'other' WHERE id = 12")
        done = p.run("--format", "json", "backfill", NAME, "restore")
        self.assertEqual((done.rc, done.json["result"]["restored"], done.json["result"]["newer"]), (1, 497, 3))
        self.assertEqual(p.db.psql("SELECT id, legacy_ref, note FROM orders WHERE id < 15 ORDER BY id"),
                         [["3", "new", "n"], ["6", "new", "n"], ["12", "r4", "other"]])
        self.assertEqual(p.db.psql("SELECT key::text, old::text, fate FROM phasegate.backfill_before WHERE fate <> 'restored' ORDER BY 1"),
                         [['["%d"]' % k, '{"legacy_ref": "r%d"}' % (k // 3), "newer"] for k in (3, 6, 9)])

    def test_without_keep_nothing_is_kept(self):
        p = self.begin(keep="nothing")
        p.advance(NAME, "1.2.0")
        self.assertEqual(p.db.value("SELECT count(*) FROM phasegate.backfill_before"), "0")
        self.assertIn("nothing to do", p.ok("backfill", NAME, "restore").stdout)

    def test_values_of_all_types(self):
        columns = {"b": ("bytea", r"'\xdeadbeef00'"), "j": ("json", """'{"a": 1,  "a": 2}'"""), "f": ("float8", "0.1::float8 + 0.2"), "n": ("numeric", "1.10"),
                   "t": ("timestamptz", "'2026-01-02 03:04:05.678901+02'"), "a": ("text[]", "ARRAY['x,y', NULL, '\"']"), "v": ("varchar(4)", "'abcd'"),
                   "c": ("char(5)", "'ab'"), "m": ("mood", "'sad'"), "w": ('"Odd Name"', "'odd'"), "i": ("interval", "'1 mon -2 days'"), "o": ("oid", "5")}
        p = self.begin(baseline="CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE DOMAIN \"Odd Name\" AS text; CREATE TABLE orders (id bigint PRIMARY KEY, %s); "
                       "INSERT INTO orders SELECT i, %s FROM generate_series(1, 50) i; INSERT INTO orders SELECT 100, %s"
                       % (", ".join("%s %s" % (k, t) for k, (t, _) in columns.items()), ", ".join(v for _, v in columns.values()),
                          ", ".join("'{}'" if k == "a" else "'0'" if k == "o" else "NULL" for k in columns)),
                       set={k: "'{}'" if k == "a" else "'0'" if k == "o" else "NULL" for k in columns}, where="orders.b IS NOT NULL")
        p.db.psql("DROP TABLE was; CREATE TABLE was AS SELECT id, orders::text AS row FROM orders")
        p.advance(NAME, "1.2.0")
        self.assertEqual(p.db.value("SELECT count(*) FROM orders WHERE b IS NULL"), "51")
        self.assertEqual(self.restore(p), {"restored": 50, "newer": 0})
        self.assertEqual(p.db.psql("SELECT orders::text, was.row FROM orders JOIN was USING (id) WHERE orders::text <> was.row"), [])

    def test_keys_of_several_columns_partitions_and_a_join(self):
        p = self.begin(baseline="""CREATE TABLE orders (at timestamptz, "K" text, legacy_ref text, PRIMARY KEY (at, "K")) PARTITION BY LIST ("K");
            CREATE TABLE orders_a PARTITION OF orders FOR VALUES IN ('a'); CREATE TABLE orders_b PARTITION OF orders DEFAULT;
            INSERT INTO orders SELECT now() - i * interval '1.5 s', CASE i % 2 WHEN 0 THEN 'a' ELSE 'b' || i END, 'r' || i FROM generate_series(1, 300) i;
            CREATE TABLE names (ref text, name text); INSERT INTO names SELECT 'r' || i % 300, 'name ' || i FROM generate_series(1, 400) i""",
                       **{"set": {"legacy_ref": "x.name"}, "from": "names x", "match": "x.ref = orders.legacy_ref", "where": "orders.legacy_ref LIKE 'r%'"})
        p.advance(NAME, "1.2.0")
        self.assertEqual(p.db.value("SELECT count(*) FROM orders WHERE legacy_ref LIKE 'name %'"), "299")
        self.assertEqual(self.restore(p), {"restored": 299, "newer": 0})
        self.assertTrue(self.is_as_it_was(p))

    def test_rows_that_others_hold_and_rows_that_cannot_be_filled(self):
        p = self.begin(baseline=BASELINE % 500 + "; ALTER TABLE orders ADD CHECK (legacy_ref <> 'R7')", max_bad_rows=5)
        with p.db.session() as other:
            other.run("BEGIN")
            other.run("SELECT FROM orders WHERE id = 900 FOR UPDATE")
            run = p.start("advance", NAME, "--release", "1.2.0")
            self.addCleanup(run.close)
            pgtest.wait_until(lambda: p.db.value("SELECT count(*) FROM orders WHERE " + WHERE) == "2", 30, 0.05, "all the others")
            other.run("COMMIT")
        self.assertEqual(run.wait(60).rc, 0, run)
        self.assertEqual(self.job(p)["kept"], 499)
        self.assertEqual(self.restore(p), {"restored": 499, "newer": 0})
        self.assertTrue(self.is_as_it_was(p))

    def test_through_a_program(self):
        p = self.begin(via=["./transform"], set={"legacy_ref": "via"})
        p.put("transform", "#!/usr/bin/python3\nimport json, sys\nfor line in sys.stdin:\n    row = json.loads(line)\n"
              "    print(json.dumps({'id': row['id'], 'legacy_ref': (row['legacy_ref'] or 'none').upper()}), flush=True)\n")
        os.chmod(p.path("transform"), stat.S_IRWXU)
        p.advance(NAME, "1.2.0")
        self.assertEqual(self.job(p)["kept"], 500)
        self.assertEqual(self.restore(p), {"restored": 500, "newer": 0})
        self.assertTrue(self.is_as_it_was(p))

    def test_killed_anywhere_nothing_is_lost(self):
        p = self.begin(rows=5000, baseline=BASELINE % 5000 + """; CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN IF NEW.id % 50 = 0 THEN PERFORM pg_sleep(0.01); END IF; RETURN NEW; END';
            CREATE TRIGGER slow BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION slow()""", workers=2)
        for i in range(4):
            run = p.start("advance", NAME, "--release", "1.2.0")
            pgtest.wait_until(lambda: not run.is_running() or int(p.db.value("SELECT count(*) FROM orders WHERE NOT (%s)" % WHERE)) > 700 * (i + 1),
                              60, 0.02, "some rows")
            run.kill()
            run.close()
            # What is changed is kept, and nothing else.
            pgtest.wait_until(lambda: p.db.value("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'phasegate%'") == "0", 30, 0.05, "no session")
            self.assertEqual(p.db.value("SELECT count(*) FROM orders o JOIN was w USING (id) FULL JOIN phasegate.backfill_before b ON b.key ->> 0 = o.id::text "
                                        "WHERE (o.legacy_ref IS DISTINCT FROM w.legacy_ref) IS DISTINCT FROM (b.old ->> 'legacy_ref' IS NOT DISTINCT FROM w.legacy_ref AND b.key IS NOT NULL)"), "0")
        # In the middle too: nothing of it is left, and it begins at the start.
        p.json("backfill", NAME, "restore")
        self.assertTrue(self.is_as_it_was(p))
        p.advance(NAME, "1.2.0")
        self.assertEqual(self.job(p)["kept"], 5000)

    def test_a_purge_forgets_it(self):
        p = self.begin(more={"contract": project.phase("contract", steps=[project.step("drop", "ALTER TABLE orders DROP COLUMN note")], hold="0s")})
        p.ok("advance", NAME, "--release", "1.2.0")
        p.ok("advance", NAME, "--release", "1.5.0")
        self.assertEqual(p.db.value("SELECT count(*) FROM phasegate.backfill_before"), "500")
        p.ok("purge", NAME, "--confirm", NAME)
        self.assertEqual(p.db.value("SELECT count(*) FROM phasegate.backfill_before"), "0")

    def test_while_another_run_has_the_lease(self):
        p = self.begin(baseline=BASELINE % 500 + """; CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.01); RETURN NEW; END';
            CREATE TRIGGER slow BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION slow()""")
        run = p.start("advance", NAME, "--release", "1.2.0")
        self.addCleanup(run.close)
        pgtest.wait_until(lambda: p.db.value("SELECT count(*) FROM orders WHERE NOT (%s)" % WHERE) != "0", 30, 0.05, "some rows")
        p.exits(6, "backfill", NAME, "restore", "--lock-wait", "0s")
        self.assertEqual(run.wait(60).rc, 0, run)


if __name__ == "__main__":
    unittest.main()

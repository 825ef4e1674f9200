"""preflight: what in the live database stands against the next phase, with value, limit and keys. Looks only."""

import os
import shutil
import unittest

import pgtest
import project
from project import column_plan, phase, plan, step


def steps(*sql, name="expand", hold=None, **more):
    parts = {"hold": hold} if hold else {}
    return plan("orders-ref", phases={name: phase(name, steps=[step("s%d" % i, s) for i, s in enumerate(sql)], **parts)}, **more)


class Preflight(project.Case):
    def checks(self, p, *args, rc=0):
        answer = p.json("preflight", "orders-ref", *args, code=rc)["result"]
        return {(c["check"], c["about"]): c for c in answer["checks"]}, answer

    def test_a_quiet_database_passes_and_nothing_is_written(self):
        p = self.project(plans=[column_plan()])
        before = p.db.psql("SELECT count(*) FROM pg_class")
        checks, answer = self.checks(p)
        self.assertEqual((answer["phase"], answer["no_go"]), ("expand", 0), answer)
        for name in ("server", "connections", "slots", "standbys", "transactions"):
            self.assertEqual(checks[(name, None)]["outcome"], "pass", checks[(name, None)])
        for name in ("rights", "locks", "wraparound", "broken"):
            self.assertEqual(checks[(name, "orders")]["outcome"], "pass", checks[(name, "orders")])
        self.assertEqual(checks[("archiver", None)]["outcome"], "warn")  # archive_mode is off here
        self.assertEqual(p.db.psql("SELECT count(*) FROM pg_class"), before)

    def test_rows_that_stand_against_it_are_counted_and_named(self):
        p = self.project(plans=[steps(
            "ALTER TABLE orders ALTER legacy_ref SET NOT NULL",
            "CREATE UNIQUE INDEX CONCURRENTLY orders_u ON orders (lower(code))",
            "ALTER TABLE orders ADD CONSTRAINT positive CHECK (n > 0)",
            "ALTER TABLE orders ADD CONSTRAINT fk FOREIGN KEY (customer) REFERENCES customers",
            "ALTER TABLE orders ALTER code TYPE varchar(3)",
            "ALTER TABLE orders ALTER amount TYPE int USING amount::int", name="contract")])
        p.db.psql("""TRUNCATE orders; CREATE TABLE customers (id int PRIMARY KEY);
            INSERT INTO customers VALUES (1);
            ALTER TABLE orders ADD code text, ADD n int, ADD customer int, ADD amount text;
            INSERT INTO orders (id, legacy_ref, code, n, customer, amount) VALUES
              (101, NULL, 'abc', 1, 1, '10'), (102, 'r', 'ABC', 0, 2, 'ten'), (103, 'r', 'abcd', NULL, NULL, NULL)""")
        checks, answer = self.checks(p, rc=1)
        rows = {about: c for (check, about), c in checks.items() if check == "rows"}
        self.assertEqual({a: (c["outcome"], c["value"], c["examples"]) for a, c in rows.items()}, {
            "orders (legacy_ref)": ("no-go", "1 NULLs", ["101"]),
            "orders (orders_u)": ("no-go", "1 duplicates", ["abc (2 times)"]),
            "orders (positive)": ("no-go", "1 rows that violate the CHECK", ["102"]),
            "orders (fk)": ("no-go", "1 rows without a parent", ["102"]),
            "orders (code)": ("no-go", "1 values that can't be cast",
                              ["103: value too long for type character varying(3)"]),
            "orders (amount)": ("warn", "1 values that can't be cast",
                                ['102: invalid input syntax for type integer: "ten"']),
        })
        self.assertEqual(rows["orders (amount)"]["limit"], "none when it is purged")  # USING destroys: not before
        self.assertEqual(answer["no_go"], 5, [c for c in answer["checks"] if c["outcome"] == "no-go"])
        for c in rows.values():
            self.assertTrue(c["help"] and c["sql"] and c["line"] > 0, c)
        text = p.run("preflight", "orders-ref")
        self.assertEqual(text.rc, 1)
        self.assertIn("for example: 101", text.stdout)

    def rows(self, p, rc):
        return {about: (c["outcome"], c["value"], sorted(c["examples"])) for (check, about), c in self.checks(p, rc=rc)[0].items() if check == "rows"}

    def test_half_a_key_under_match_full(self):
        p = self.project(plans=[steps("ALTER TABLE orders ADD CONSTRAINT fk FOREIGN KEY (a, b) REFERENCES pairs MATCH FULL", name="contract")])
        p.db.psql("""TRUNCATE orders; CREATE TABLE pairs (a int, b int, PRIMARY KEY (a, b)); INSERT INTO pairs VALUES (1, 1);
            ALTER TABLE orders ADD a int, ADD b int;
            INSERT INTO orders (id, a, b) VALUES (101, 1, 1), (102, NULL, NULL), (103, 1, NULL), (104, NULL, 1), (105, 1, 2)""")
        self.assertEqual(self.rows(p, 1), {"orders (fk)": ("no-go", "3 rows without a parent", ["103", "104", "105"])})
        p.db.psql("DELETE FROM orders WHERE id > 102")
        self.assertEqual(self.rows(p, 0), {"orders (fk)": ("pass", "no rows without a parent", [])})
        p.advance("orders-ref", "1.5.0")

    def test_a_column_that_would_be_null_in_every_row(self):
        p = self.project(plans=[steps("ALTER TABLE orders ADD COLUMN a int NOT NULL, ADD b int NOT NULL DEFAULT 1, ADD c serial NOT NULL, ADD d text, "
                                      "ADD e int GENERATED ALWAYS AS IDENTITY NOT NULL, ADD f int NOT NULL GENERATED ALWAYS AS (1) STORED", name="contract")])
        p.db.psql("DELETE FROM orders WHERE id > 2")
        self.assertEqual(self.rows(p, 1), {"orders (a)": ("no-go", "2 rows that would have NULL", ["1", "2"])})
        p.db.psql("DELETE FROM orders")
        self.assertEqual(self.rows(p, 0), {"orders (a)": ("pass", "no rows that would have NULL", [])})

    def test_rows_that_exclude_each_other(self):
        p = self.project(plans=[steps("ALTER TABLE orders ADD CONSTRAINT once EXCLUDE USING gist (int4range(lo, hi) WITH &&, box(point(room, room)) "
                                      "WITH OPERATOR(pg_catalog.~=)) WHERE (NOT gone)", name="contract")])
        p.db.psql("""TRUNCATE orders; ALTER TABLE orders ADD lo int, ADD hi int, ADD room int, ADD gone bool DEFAULT false;
            INSERT INTO orders (id, lo, hi, room, gone) VALUES (101, 1, 5, 1, false), (102, 4, 9, 1, false), (103, 4, 9, 2, false),
              (104, 1, 9, 1, true), (105, NULL, NULL, NULL, false), (106, 5, 9, NULL, false)""")
        self.assertEqual(self.rows(p, 1), {"orders (once)": ("no-go", "2 rows that exclude each other", ["101", "102"])})
        p.db.psql("DELETE FROM orders WHERE id = 102")
        self.assertEqual(self.rows(p, 0), {"orders (once)": ("pass", "no rows that exclude each other", [])})
        p.db.psql("ALTER TABLE orders ADD CONSTRAINT once EXCLUDE USING gist (int4range(lo, hi) WITH &&, box(point(room, room)) WITH ~=) WHERE (NOT gone)")

    def test_rows_outside_of_a_partition(self):
        make = """CREATE TABLE %(t)s (id int PRIMARY KEY, a int, b date, UNIQUE (id)); CREATE TABLE parent_%(t)s (id int, a int, b date) PARTITION BY %(by)s;
            INSERT INTO %(t)s VALUES (1, 0, '2026-01-01'), (2, 0, '2026-02-01'), (3, 1, '2025-12-31'), (4, NULL, '2026-01-05'), (5, 2, NULL)"""
        cases = {
            "r": ("RANGE (b)", "FROM ('2026-01-01') TO ('2026-02-01')", ["2", "3", "5"]),
            "o": ("RANGE (b)", "FROM (MINVALUE) TO (date '2026-01-02')", ["2", "4", "5"]),
            "m": ("RANGE (a, b)", "FROM (0, '2026-01-02') TO (1, MAXVALUE)", ["1", "4", "5"]),
            "x": ("RANGE (a, b)", "FROM (0, MAXVALUE) TO (maxvalue, maxvalue)", ["1", "2", "4", "5"]),
            "l": ("LIST (a)", "IN (0, NULL)", ["3", "5"]),
        }
        for t, (by, bound, wrong) in cases.items():
            with self.subTest(bound):
                p = self.project(plans=[steps("ALTER TABLE parent_%s ATTACH PARTITION %s FOR VALUES %s" % (t, t, bound), name="contract")])
                p.db.psql(make % {"t": t, "by": by})
                self.assertEqual(self.rows(p, 1), {t + " (parent_" + t + ")": ("no-go", "%d rows outside of its bounds" % len(wrong), wrong)})
                p.db.psql("DELETE FROM %s WHERE id IN (%s)" % (t, ", ".join(wrong)))
                self.assertEqual(self.rows(p, 0), {t + " (parent_" + t + ")": ("pass", "no rows outside of its bounds", [])})
                p.db.psql("ALTER TABLE parent_%s ATTACH PARTITION %s FOR VALUES %s" % (t, t, bound))
        p = self.project(plans=[steps("ALTER TABLE parent_h ATTACH PARTITION h FOR VALUES WITH (MODULUS 2, REMAINDER 0)", name="contract")])
        p.db.psql(make % {"t": "h", "by": "HASH (id)"})
        [(outcome, value, wrong)] = self.rows(p, 1).values()
        self.assertEqual((outcome, value), ("no-go", "%d rows outside of its bounds" % len(wrong)))
        p.db.psql("DELETE FROM h WHERE id IN (%s); ALTER TABLE parent_h ATTACH PARTITION h FOR VALUES WITH (MODULUS 2, REMAINDER 0)" % ", ".join(wrong))

    def test_bounds_that_cannot_be_asked(self):
        p = self.project(plans=[steps("ALTER TABLE parent ATTACH PARTITION part DEFAULT", "ALTER TABLE parent2 ATTACH PARTITION part2 FOR VALUES IN ('a')", name="contract")])
        p.db.psql("""CREATE TABLE part (a text); CREATE TABLE parent (a text) PARTITION BY LIST (a);
            CREATE TABLE part2 (a text); CREATE TABLE parent2 (a text) PARTITION BY LIST (lower(a))""")
        self.assertEqual({k: v[0] for k, v in self.rows(p, 0).items()}, {"part (parent)": "warn", "part2 (parent2)": "warn"})

    def test_rows_that_an_insert_would_bring_again(self):
        def filled(select, **more):
            insert = {"into": "refs", "columns": ["order_id", "ref"], "select": select}
            p = self.project(plans=[plan("orders-ref", phases={"dual_read": phase("dual_read", backfill=[dict(
                {"id": "fill", "table": "orders", "insert": insert}, **more)])})])
            p.db.psql("""CREATE TABLE refs (n serial PRIMARY KEY, order_id bigint UNIQUE, ref text, UNIQUE (ref, n));
                INSERT INTO refs (order_id, ref) VALUES (1, 'x'), (7, 'y'), (9999, 'z')""")
            return p
        select = "SELECT id, legacy_ref FROM orders"
        p = filled(select)
        self.assertEqual(self.rows(p, 1), {"refs (refs_order_id_key)": ("no-go", "2 rows with a key that would come again", ["1", "2"])})
        p = filled(select, where="NOT EXISTS (SELECT FROM refs WHERE order_id = orders.id)")
        self.assertEqual(self.rows(p, 0), {"refs (refs_order_id_key)": ("pass", "no rows with a key that would come again", [])})
        self.assertEqual(self.rows(filled(select + " ON CONFLICT (order_id) DO NOTHING"), 0), {})

    def test_a_backfill_that_would_make_nulls(self):
        p = self.project(plans=[plan("orders-ref", phases={"dual_read": phase("dual_read", backfill=[
            {"id": "fill", "table": "orders", "set": {"external_ref": "c.name", "free": "c.name"}, "from": "customers c",
             "match": "c.id = orders.customer", "where": "orders.external_ref = ''"}])})])
        p.db.psql("""TRUNCATE orders; CREATE TABLE customers (id int PRIMARY KEY, name text);
            INSERT INTO customers VALUES (1, 'ann'), (2, NULL);
            ALTER TABLE orders ADD customer int, ADD external_ref text NOT NULL DEFAULT '', ADD free text;
            INSERT INTO orders (id, customer, external_ref) VALUES (101, 1, ''), (102, 2, ''), (103, 2, 'done'), (104, 2, '')""")
        checks, answer = self.checks(p, "dual_read", rc=1)
        found = checks[("rows", "orders (external_ref)")]
        self.assertEqual((found["outcome"], found["value"], sorted(found["examples"])),
                         ("no-go", "2 rows that would get NULL", ["102", "104"]))
        self.assertNotIn(("rows", "orders (free)"), checks)
        p.db.psql("UPDATE customers SET name = 'bob' WHERE id = 2")
        checks, answer = self.checks(p, "dual_read")
        self.assertEqual(checks[("rows", "orders (external_ref)")]["value"], "no rows that would get NULL")

    def test_rows_that_the_phase_changes_before(self):
        p = self.project(plans=[plan("orders-ref", phases={"write_activation": phase(
            "write_activation", steps=[step("mend", "UPDATE orders SET legacy_ref = 'x' WHERE legacy_ref IS NULL"),
                                       step("full", "ALTER TABLE orders ALTER legacy_ref SET NOT NULL")],
            backfill=[{"id": "fill", "table": "items", "set": {"ref": "'r'"}, "where": "ref IS NULL"}],
            finish=[step("items", "ALTER TABLE items ALTER ref SET NOT NULL"),
                    step("other", "ALTER TABLE others ALTER ref SET NOT NULL")])})])
        p.db.psql("""INSERT INTO orders (id) VALUES (901); CREATE TABLE items (id int PRIMARY KEY, ref text);
            CREATE TABLE others (id int PRIMARY KEY, ref text); INSERT INTO items VALUES (1); INSERT INTO others VALUES (1)""")
        checks, answer = self.checks(p, "write_activation", rc=1)
        for about in ("orders (legacy_ref)", "items (ref)"):
            self.assertEqual(checks[("rows", about)]["outcome"], "pass", checks[("rows", about)])
            self.assertIn("nothing to count yet", checks[("rows", about)]["value"])
        self.assertEqual(checks[("rows", "others (ref)")]["outcome"], "no-go")

    def test_nobody_elses_functions_answer(self):
        """They fit better than PostgreSQL's own, and anybody who may create in the schema may plant them."""
        p = self.project(plans=[steps("ALTER TABLE orders ALTER legacy_ref SET NOT NULL",
                                      "CREATE UNIQUE INDEX CONCURRENTLY orders_u ON orders (legacy_ref)",
                                      "ALTER TABLE orders ALTER amount TYPE varchar(2)", name="contract")])
        p.db.psql("""TRUNCATE orders; ALTER TABLE orders ADD amount text;
            INSERT INTO orders (id, legacy_ref, amount) VALUES (901, NULL, 'abc'), (902, 'x', 'a'), (903, 'x', 'a');
            CREATE FUNCTION planted() RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE ''planted''; END';
            CREATE FUNCTION concat_ws(text, bigint) RETURNS text LANGUAGE sql AS 'SELECT planted()';
            CREATE FUNCTION concat_ws(text, text) RETURNS text LANGUAGE sql AS 'SELECT planted()';
            CREATE FUNCTION num_nulls(text) RETURNS int LANGUAGE sql AS 'SELECT 1';
            CREATE FUNCTION joined(text, int) RETURNS text LANGUAGE sql AS 'SELECT planted()';
            CREATE OPERATOR || (LEFTARG = text, RIGHTARG = int, FUNCTION = joined);
            CREATE FUNCTION joined(bigint, text) RETURNS text LANGUAGE sql AS 'SELECT planted()';
            CREATE OPERATOR || (LEFTARG = bigint, RIGHTARG = text, FUNCTION = joined)""")
        checks, answer = self.checks(p, "contract", rc=1)
        rows = {about: (c["value"], c["examples"]) for (check, about), c in checks.items() if check == "rows"}
        self.assertEqual(rows, {"orders (legacy_ref)": ("1 NULLs", ["901"]), "orders (orders_u)": ("1 duplicates", ["x (2 times)"]),
                                "orders (amount)": ("1 values that can't be cast",
                                                    ["901: value too long for type character varying(2)"])})
        self.assertNotIn("planted", str(answer))

    def test_a_constraint_that_is_to_be_validated(self):
        p = self.project(plans=[steps("ALTER TABLE orders ADD CONSTRAINT long CHECK (length(legacy_ref) > 2) NOT VALID",
                                       "ALTER TABLE orders VALIDATE CONSTRAINT long",
                                       "ALTER TABLE orders VALIDATE CONSTRAINT short")])
        p.db.psql("TRUNCATE orders; INSERT INTO orders VALUES (7, 'x'); ALTER TABLE orders ADD CONSTRAINT short CHECK (id < 5) NOT VALID")
        checks, _ = self.checks(p, rc=1)
        self.assertEqual(checks[("rows", "orders (long)")]["examples"], ["7"])
        self.assertEqual(checks[("rows", "orders (short)")]["examples"], ["7"])

    def test_what_the_phase_makes_itself_has_nothing_to_count(self):
        p = self.project(plans=[steps("ALTER TABLE orders ADD COLUMN code text", "CREATE TABLE fresh (id int)",
                                       "ALTER TABLE orders ADD CHECK (code <> '')",
                                       "ALTER TABLE fresh ADD PRIMARY KEY (id)")])
        checks, answer = self.checks(p)
        self.assertEqual(answer["no_go"], 0, answer)
        made = [c for c in answer["checks"] if c["check"] == "rows"]
        self.assertEqual([c["value"] for c in made], ["made by this phase: there is nothing to count yet"])

    def test_what_cannot_be_asked_is_no_pass(self):
        p = self.project(plans=[steps("ALTER TABLE orders ADD CHECK (nowhere > 0)")])
        checks, _ = self.checks(p)
        row = next(c for (check, _), c in checks.items() if check == "rows")
        self.assertEqual(row["outcome"], "warn")
        self.assertIn('column "nowhere" does not exist', row["value"])

    def test_declared_data_checks(self):
        p = self.project(plans=[column_plan(data_checks=[
            {"id": "empty", "sql": "SELECT count(*) FROM orders WHERE legacy_ref = ''", "expect": "= 0",
             "fix": "UPDATE orders SET legacy_ref = NULL WHERE legacy_ref = ''"},
            {"id": "some", "sql": "SELECT count(*) FROM orders", "expect": "> 0"}])])
        p.db.psql("TRUNCATE orders; INSERT INTO orders VALUES (1, '')")
        checks, _ = self.checks(p, rc=1)
        self.assertEqual((checks[("data", "empty")]["outcome"], checks[("data", "empty")]["value"]), ("no-go", "1"))
        self.assertIn("UPDATE orders SET legacy_ref", checks[("data", "empty")]["help"])
        self.assertEqual(checks[("data", "some")]["outcome"], "pass")

    def test_locks_triggers_and_half_made_indexes(self):
        p = self.project(plans=[plan("orders-ref", phases={"write_activation": phase(
            "write_activation", backfill=[{"id": "fill", "table": "orders", "set": {"legacy_ref": "'y'"}, "where": "legacy_ref <> 'y'"}])})])
        p.db.psql("""TRUNCATE orders; INSERT INTO orders VALUES (1, 'x'), (2, 'x');
            CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
            CREATE TRIGGER audited AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION audit()""")
        with self.assertRaises(pgtest.PgError):
            p.db.psql("CREATE UNIQUE INDEX CONCURRENTLY half ON orders (legacy_ref)")
        other = p.db.session("BEGIN", "LOCK TABLE orders IN SHARE MODE")
        self.addCleanup(other.close)
        checks, _ = self.checks(p, rc=1)
        self.assertEqual(checks[("locks", "orders")]["outcome"], "no-go")
        self.assertIn("ShareLock", checks[("locks", "orders")]["value"])
        self.assertEqual(checks[("broken", "orders")]["outcome"], "no-go")
        self.assertIn("half", checks[("broken", "orders")]["value"])
        self.assertEqual(checks[("triggers", "orders")]["outcome"], "warn")
        self.assertIn("audited", checks[("triggers", "orders")]["value"])

    def test_who_gets_its_rows_by_replication(self):
        p = self.project(plans=[column_plan()])
        def published():
            return self.checks(p)[0][("publications", "orders")]
        self.assertEqual((published()["outcome"], published()["value"]), ("pass", "not published"))
        p.db.psql("CREATE PUBLICATION shop FOR TABLE orders; CREATE PUBLICATION everything FOR ALL TABLES")
        self.assertEqual((published()["outcome"], published()["value"]), ("warn", "published by everything, shop"))
        self.assertIn("subscribers", published()["help"])
        p.db.psql("DROP PUBLICATION everything; DROP PUBLICATION shop; DROP TABLE orders;"
                  "CREATE TABLE orders (id bigint, legacy_ref text) PARTITION BY RANGE (id);"
                  "CREATE TABLE orders_1 PARTITION OF orders FOR VALUES FROM (0) TO (9); CREATE PUBLICATION part FOR TABLE orders_1")
        self.assertEqual(published()["value"], "published by part")

    def test_functions_whose_text_names_what_goes(self):
        p = self.project(plans=[steps("DROP FUNCTION going(int)", "ALTER TABLE orders DROP COLUMN legacy_ref", "DROP TABLE old_orders", name="contract")])
        p.db.psql("""CREATE TABLE old_orders (id int); CREATE TABLE other (legacy_ref text);
            CREATE FUNCTION going(int) RETURNS text LANGUAGE sql AS 'SELECT legacy_ref FROM orders WHERE id = $1';
            CREATE FUNCTION unlike() RETURNS text LANGUAGE sql AS 'SELECT max(legacy_ref) FROM other'""")

        def named():
            checks = self.checks(p, "contract")[0]
            return {about: (checks[("functions", about)]["outcome"], checks[("functions", about)]["value"])
                    for about in ("orders.legacy_ref", "old_orders")}
        self.assertEqual(named(), {"orders.legacy_ref": ("pass", "none names it"), "old_orders": ("pass", "none names it")})
        p.db.psql("""CREATE FUNCTION report(int, text) RETURNS text LANGUAGE sql AS 'SELECT LEGACY_REF FROM public.Orders WHERE id = $1';
            CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.legacy_ref := NULL; RETURN NEW; END';
            CREATE FUNCTION history() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM old_orders';
            CREATE TRIGGER note BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION note()""")
        self.assertEqual(named(), {"orders.legacy_ref": ("warn", "named by public.note(), public.report(integer,text)"),
                                   "old_orders": ("warn", "named by public.history()")})

    def test_whether_what_goes_can_be_saved(self):
        p = self.project(plans=[steps("ALTER TABLE orders DROP COLUMN legacy_ref", name="contract", hold="0s")])
        place = p.path("snapshots")
        good = self.checks(p, "contract")[0][("snapshots", None)]
        self.assertEqual((good["outcome"], good["value"]), ("pass", place + " can be written to"))
        self.assertEqual([f for f in os.listdir(place) if f.startswith("preflight")], [])
        shutil.rmtree(place)
        p.put("snapshots", "")  # a file
        bad = self.checks(p, "contract")[0][("snapshots", None)]
        self.assertEqual(bad["outcome"], "warn")
        self.assertIn(place, bad["value"])
        p.advance("orders-ref", "1.5.0")
        self.assertEqual(self.checks(p, "purge", rc=1)[0][("snapshots", None)]["outcome"], "no-go")
        os.unlink(place)
        self.assertEqual(self.checks(p, "purge")[0][("snapshots", None)]["outcome"], "pass")

    def test_what_it_will_take(self):
        """Ranges in which the thing itself then lies, with where they come from."""
        p = self.project(plans=[plan("orders-ref", phases={
            "expand": phase("expand", steps=[step("column", "ALTER TABLE orders ADD COLUMN free text"),
                                             step("index", "CREATE INDEX CONCURRENTLY orders_ref ON orders (legacy_ref)")]),
            "write_activation": phase("write_activation", backfill=[{"id": "fill", "table": "orders", "set": {"legacy_ref": "'y'"}, "where": "legacy_ref <> 'y'"}]),
            "contract": phase("contract", steps=[step("type", "ALTER TABLE orders ALTER legacy_ref TYPE varchar(20)"),
                                                 step("full", "ALTER TABLE orders ALTER legacy_ref SET NOT NULL")])})])
        p.db.psql("INSERT INTO orders SELECT i, 'R' || i FROM generate_series(1001, 200000) i")
        p.db.psql("ANALYZE orders")
        answer = p.json("preflight", "orders-ref")["result"]
        by_task = {e["task"]: e for e in answer["estimates"]}
        index = by_task["index"]
        self.assertEqual((index["table"], index["unknown"]), ("orders", None))
        self.assertIn("statistics", index["basis"])
        self.assertEqual(by_task["column"]["most_bytes"], 0)
        self.assertEqual(answer["estimated"]["most_bytes"], index["most_bytes"])
        took = p.json("advance", "orders-ref", "--release", "1.1.0")["result"]
        size = int(p.db.value("SELECT pg_relation_size('orders_ref')"))
        self.assertTrue(index["least_bytes"] <= size <= index["most_bytes"], (size, index))
        self.assertTrue(0 < index["least_wal_bytes"] <= index["most_wal_bytes"], index)
        fill = {e["task"]: e for e in p.json("preflight", "orders-ref")["result"]["estimates"]}["backfill/fill"]
        self.assertIn("rows, by a sample", fill["basis"])
        self.assertTrue(0 < fill["least_ms"] <= fill["most_ms"] and fill["most_wal_bytes"] > 0, fill)
        late = {e["task"]: e for e in p.json("preflight", "orders-ref", "contract")["result"]["estimates"]}
        total = int(p.db.value("SELECT pg_total_relation_size('orders')"))
        self.assertGreaterEqual(late["type"]["most_bytes"], total)
        self.assertEqual(late["full"]["most_bytes"], 0)
        self.assertGreater(late["full"]["most_ms"], late["full"]["least_ms"])
        text = p.ok("preflight", "orders-ref", "contract").stdout
        self.assertRegex(text, r"takes  type on orders: .* to .*; .* MiB of disk; .* MiB of WAL \(from the table's size and statistics\)")
        self.assertRegex(text, r"takes  all of it: ")

    def test_what_a_rehearsal_measured_goes_before_what_is_thought(self):
        p = self.project(plans=[column_plan(phases={"contract": phase("contract", steps=[step("full", "ALTER TABLE orders ALTER legacy_ref SET NOT NULL")])})])
        p.advance("orders-ref", "1.1.0")
        sums = p.db.value("SELECT checksum FROM phasegate.plan_state WHERE plan = 'orders-ref'")
        report = ('{"phases": [{"phase": "contract", "tasks": [{"task": "full", "ms": 4000}]}], "rows": [{"table": "public.orders", "before": 250}]}')
        p.db.psql("ANALYZE orders")
        def rehearsed(on_clone, checksum=sums):
            p.db.psql("""TRUNCATE phasegate.rehearsal; INSERT INTO phasegate.rehearsal
                (plan, checksum, green, problems, on_clone, rows, kills, seed, duration_ms, report)
                VALUES ('orders-ref', '%s', true, 0, %s, 250, 0, 1, 1, '%s')""" % (checksum, on_clone, report))
            return p.json("preflight", "orders-ref")["result"]["estimates"][0]
        found = rehearsed("true")
        self.assertEqual((found["least_ms"], found["most_ms"]), (4000, 24001), found)  # twice the rows, from half to three times
        self.assertIn("4000 ms in the rehearsal on a clone", found["basis"])
        self.assertLess(rehearsed("false")["most_ms"], 4000)  # rows that were made say nothing
        self.assertLess(rehearsed("true", "0" * 64)["most_ms"], 4000)

    def test_the_phase_can_be_named_and_misspelt(self):
        p = self.project(plans=[column_plan()])
        self.assertEqual(p.json("preflight", "orders-ref", "expand")["result"]["phase"], "expand")
        self.assertIsNone(p.json("preflight", "orders-ref", "contract")["result"]["phase"])
        wrong = p.run("preflight", "orders-ref", "expant")
        self.assertEqual(wrong.rc, 2)
        self.assertIn("did you mean expand?", wrong.stderr)


if __name__ == "__main__":
    unittest.main()

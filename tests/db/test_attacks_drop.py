"""Soft drops: what hangs on the thing that is hidden, and what its absence would break."""

import unittest

import project
from project import full_plan, phase, plan, step


def dropping(*sql):
    return plan("p", phases={"contract": phase("contract", hold="0s", steps=[
        step("s%d" % i, text) for i, text in enumerate(sql)])})


class Dependants(project.Case):
    """A purge that begins and then can't go on can't be taken back either: it isn't begun."""

    def hidden(self, *sql, baseline):
        p = self.project(plans=[dropping(*sql)], baseline=baseline)
        p.ok("advance", "p", "--release", "1.5.0")
        return p

    def assert_kept_by(self, p, what, drop):
        error = p.refused("dependants", "purge", "p", "--confirm", "p")
        self.assertIn(what, error["message"])
        self.assertEqual(p.stage("p"), "contract done")
        p.db.psql(drop)
        p.ok("purge", "p", "--confirm", "p")

    def test_of_a_column(self):
        base = "CREATE TABLE t (id int PRIMARY KEY, x text UNIQUE, y text); INSERT INTO t VALUES (1, 'a', 'b'); "
        for made, what, drop in (
                ("CREATE FUNCTION f() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT x FROM t; END", "function public.f()", "DROP FUNCTION f"),
                ("CREATE TABLE k (x text REFERENCES t (x))", "constraint k_x_fkey on table public.k", "DROP TABLE k"),
                ("CREATE VIEW v AS SELECT x FROM t", "view public.v", "DROP VIEW v"),
                ("CREATE MATERIALIZED VIEW v AS SELECT x FROM t", "view public.v", "DROP MATERIALIZED VIEW v"),
                ("CREATE POLICY few ON t USING (x IS NULL)", "policy few", "DROP POLICY few ON t"),
                ("CREATE PUBLICATION pub FOR TABLE t (id, x)", "publication", "DROP PUBLICATION pub"),
                ("ALTER TABLE t ADD COLUMN g text GENERATED ALWAYS AS (upper(x)) STORED", "column g of table public.t", "ALTER TABLE t DROP COLUMN g"),
                ("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; "
                 "CREATE TRIGGER g BEFORE UPDATE OF x ON t FOR EACH ROW EXECUTE FUNCTION f()", "trigger g", "DROP TRIGGER g ON t")):
            with self.subTest(made):
                p = self.hidden("ALTER TABLE t DROP COLUMN x", baseline=base + made)
                self.assert_kept_by(p, what, drop)
                self.assertEqual(p.columns("t"), ["id", "y"])

    def test_of_a_table(self):
        base = "CREATE TABLE t (id serial PRIMARY KEY, up int REFERENCES t, x text CHECK (x <> '')); CREATE INDEX ON t (x); "
        for made, what, drop in (
                ("CREATE TABLE k (t int REFERENCES t)", "constraint k_t_fkey on table public.k", "DROP TABLE k"),
                ("CREATE VIEW v AS SELECT * FROM t", "view public.v", "DROP VIEW v")):
            with self.subTest(made):
                p = self.hidden("DROP TABLE t", baseline=base + made)
                self.assert_kept_by(p, what, drop)
        p = self.hidden("DROP TABLE t", baseline=base)
        p.ok("purge", "p", "--confirm", "p")

    def test_what_is_hidden_itself_keeps_nothing(self):
        p = self.hidden("DROP VIEW v", "ALTER TABLE k DROP COLUMN t", "DROP TABLE t", baseline="""
            CREATE TABLE t (id int PRIMARY KEY, x text); CREATE TABLE k (id int, t int REFERENCES t); CREATE VIEW v AS SELECT * FROM t""")
        p.ok("purge", "p", "--confirm", "p")
        self.assertEqual(p.db.column("SELECT relname FROM pg_class WHERE relname ~ '^_drop_' OR relname IN ('t', 'v')"), [])

    def test_what_another_plan_has_hidden_keeps_it(self):
        p = self.hidden("DROP TABLE t", baseline="""
            CREATE TABLE t (id int PRIMARY KEY, x text); CREATE TABLE k (id int, t int REFERENCES t)""")
        p.db.psql("""INSERT INTO phasegate.soft_drop (soft_drop_id, plan, step, object_kind, schema_name, table_name, original_name,
            hidden_name, restore_sql, purge_sql, owner, dropped_at, expires_at) OVERRIDING SYSTEM VALUE SELECT -1, 'other', 's', 'column',
            'public', 'k', 't', 't', '', '', owner, dropped_at, expires_at FROM phasegate.soft_drop""")
        self.assertIn("k_t_fkey", p.refused("dependants", "purge", "p", "--confirm", "p")["message"])


class Absent(project.Case):
    """Releases that don't know the column any more have to be able to insert."""

    def test_a_column_that_every_insert_needs_is_not_hidden(self):
        for table, what in (("CREATE TABLE orders (id bigint, legacy_ref text, PRIMARY KEY (id, legacy_ref))", "primary key orders_pkey"),
                            ("CREATE DOMAIN a AS text NOT NULL; CREATE DOMAIN b AS a; CREATE TABLE orders (id bigint, legacy_ref b)", "domain")):
            p = self.project(plans=[dropping("ALTER TABLE orders DROP COLUMN legacy_ref")], baseline=table)
            self.assertIn(what, p.refused("requirement", "advance", "p", "--release", "1.5.0")["message"])
            self.assertEqual((p.columns(), p.stage("p")), (["id", "legacy_ref"], "write_activation done"))
            p.db.psql("ALTER TABLE orders ALTER legacy_ref SET DEFAULT ''")
            p.ok("advance", "p", "--release", "1.5.0")
            p.db.psql("INSERT INTO orders (id) VALUES (1)")

    def test_the_sync_trigger_gives_it(self):
        p = self.project(plans=[full_plan()], baseline="""
            CREATE TABLE orders (id bigint, legacy_ref text, PRIMARY KEY (id, legacy_ref)); INSERT INTO orders VALUES (1, 'a')""")
        p.advance_through("orders-ref", "contract")
        p.db.psql("INSERT INTO orders (id, external_ref) VALUES (2, 'b')")
        p.ok("restore", "orders-ref")
        self.assertEqual(p.db.column("SELECT legacy_ref FROM orders ORDER BY id"), ["a", "b"])


class Hands(project.Case):
    def test_a_table_that_was_renamed_is_a_refusal(self):
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "contract")
        p.db.psql("ALTER TABLE orders RENAME TO other")
        self.assertIn('"orders" does not exist', str(p.refused("edited", "purge", "orders-ref", "--confirm", "orders-ref")))
        p.db.psql("ALTER TABLE other RENAME TO orders")
        p.ok("purge", "orders-ref", "--confirm", "orders-ref")


if __name__ == "__main__":
    unittest.main()

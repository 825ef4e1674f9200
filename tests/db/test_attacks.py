"""What hostile or careless plans, tables and settings must not get away with."""

import unittest

import pgtest
import project
from project import full_plan, phase, plan, step


def expand(*steps, **more):
    return plan("p", phases={"expand": phase("expand", steps=list(steps))}, **more)


def filled(**backfill):
    body = full_plan()
    body["phases"]["dual_read"]["backfill"] = [dict({"id": "fill"}, **backfill)]
    return body


def synced(forward, reverse="external_ref", **more):
    return full_plan(sync={"table": "orders", "forward": {"external_ref": forward}, "reverse": {"legacy_ref": reverse},
                           "by": "trigger"}, **more)


class Expressions(project.Case):
    """They are pasted into statements of phasegate's own."""

    def refused(self, body):
        p = self.project(plans=[body])
        error = p.json("advance", "orders-ref", "--release", "1.1.0", code=2)["error"]
        self.assertEqual(p.columns(), ["id", "legacy_ref"])
        return error["message"] + str(error["detail"])

    def test_a_backfill_says_nothing_but_expressions(self):
        whole = {"table": "orders", "set": {"external_ref": "legacy_ref"}, "where": "external_ref IS NULL"}
        for part in ({"where": "true) RETURNING 1), d AS (DELETE FROM orders RETURNING 1) SELECT count(*) FROM d --"},
                     {"where": "external_ref IS NULL; DROP TABLE orders"},
                     {"where": "id = $1"},
                     {"where": "true GROUP BY 1"},
                     {"set": {"external_ref": "legacy_ref), legacy_ref = (NULL"}},
                     {"set": {"external_ref": "legacy_ref FROM orders"}},
                     {"set": {"external_ref": "$1"}},
                     {"from": "orders o WHERE true", "match": "o.id = orders.id"},
                     {"from": "orders o; DROP TABLE orders", "match": "o.id = orders.id"},
                     {"from": "orders o", "match": "true) OR (true"}):
            with self.subTest(part):
                self.assertRegex(self.refused(filled(**dict(whole, **part))), "not an expression|syntax error")

    def test_sync_has_no_parameters(self):
        self.assertIn("not an expression: $1", self.refused(synced("$1")))

    def test_a_comment_ends_with_its_expression(self):
        p = self.project(plans=[synced("legacy_ref -- as it is")])
        p.advance_through("orders-ref", "write_activation")
        p = self.project(plans=[filled(table="orders", set={"external_ref": "o.legacy_ref -- theirs"},
                                       where="orders.external_ref IS NULL -- to do", match="o.id = orders.id -- same",
                                       **{"from": "orders o -- itself"})])
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        self.assertNotIn("--", str(p.json("advance", "orders-ref", "--release", "1.2.0", "--dry-run")["result"]
                                   ["plans"][0].get("error")))
        p.ok("advance", "orders-ref", "--release", "1.2.0")
        self.assertEqual(p.db.value("SELECT count(*) FROM orders WHERE external_ref IS DISTINCT FROM legacy_ref"), "0")

    def test_what_no_backfill_can_compute_is_no_sync_either(self):
        for expression in ("max(legacy_ref)", "regexp_split_to_table(legacy_ref, ',')", "(row_number() OVER ())::text"):
            with self.subTest(expression):
                p = self.project(plans=[synced(expression)])
                error = p.refused("requirement", "advance", "orders-ref", "--release", "1.1.0")
                self.assertIn("not allowed in WHERE", error["message"])
                self.assertEqual((p.triggers(), p.columns()), ([], ["id", "legacy_ref"]))


class Steps(project.Case):
    def test_a_statement_inside_another_is_classified(self):
        for sql in ("EXPLAIN ANALYZE DELETE FROM orders", "EXPLAIN (ANALYZE true) UPDATE orders SET legacy_ref = NULL",
                    "EXPLAIN (ANALYZE) WITH d AS (DELETE FROM orders RETURNING 1) SELECT 1",
                    "PREPARE x AS DELETE FROM orders; EXECUTE x"):
            with self.subTest(sql):
                p = self.project(plans=[expand(step("s", sql))])
                done = p.exits(2, "advance", "p", "--release", "1.1.0")
                self.assertIn("expand-not-additive", done.stderr)
                self.assertEqual(p.db.value("SELECT count(legacy_ref) FROM orders"), "500")
        p = self.project(plans=[expand(step("s", "EXPLAIN (ANALYZE off) DELETE FROM orders"))])
        p.advance("p", "1.1.0")
        self.assertEqual(p.db.value("SELECT count(*) FROM orders"), "500")

    def test_no_setting_outlives_its_step(self):
        for sql in ("SET search_path = pg_catalog", "SET SESSION lock_timeout = 0", "RESET ALL", "SET ROLE pg_monitor",
                    "SET SESSION AUTHORIZATION DEFAULT", "DISCARD ALL", "SET session_replication_role = replica",
                    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"):
            for how in ({}, {"transaction": "none"}):
                with self.subTest(sql, **how):
                    p = self.project(plans=[expand(step("s", sql, **how))], baseline=None)
                    self.assertIn("SET LOCAL", p.exits(2, "advance", "p", "--release", "1.1.0").stderr)
                    p.close()
        p = self.project(plans=[expand(step("s", "SET LOCAL work_mem = '1MB'; SET TRANSACTION READ WRITE; CREATE TABLE t (x int)"))])
        p.advance("p", "1.1.0")

    def test_a_protocol_error_is_no_lost_session(self):
        p = self.project(plans=[expand(step("s", "PREPARE x AS SELECT $1::int; SELECT $1::int"))])
        done = p.run("advance", "p", "--release", "1.1.0", timeout=60)
        self.assertEqual(done.rc, 5, done)
        self.assertIn("08P01", done.stderr)
        self.assertNotIn("session was lost", done.stderr)


class Tables(project.Case):
    def test_hidden_rows_are_an_error_and_not_verified(self):
        p = self.project(plans=[full_plan()])
        role = "owner_%s" % p.db.name
        p.db.server.psql('CREATE ROLE "%s" LOGIN' % role)
        self.addCleanup(p.db.server.psql, 'DROP ROLE "%s"' % role)
        self.addCleanup(p.db.psql, 'REASSIGN OWNED BY "%s" TO postgres; DROP OWNED BY "%s"' % (role, role))
        p.db.psql('GRANT CREATE ON DATABASE "%s" TO "%s"; GRANT CREATE ON SCHEMA public TO "%s"; '
                  'ALTER TABLE orders OWNER TO "%s"; ALTER TABLE orders ENABLE ROW LEVEL SECURITY; '
                  'ALTER TABLE orders FORCE ROW LEVEL SECURITY; CREATE POLICY few ON orders USING (id < 10)'
                  % (p.db.name, role, role, role))
        p.env["DATABASE_URL"] = p.db.server.url(p.db.name, user=role)
        error = p.refused("requirement", "advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("row-level security", error["message"])
        self.assertEqual(p.columns(), ["id", "legacy_ref"])

    def test_children_would_not_be_synced(self):
        p = self.project(plans=[full_plan()], baseline=project.ORDERS + "; CREATE TABLE kid () INHERITS (orders)")
        error = p.refused("requirement", "advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("kid inherits from orders", error["message"])
        self.assertEqual((p.triggers(), p.columns()), ([], ["id", "legacy_ref"]))

    def test_partitions_are_synced(self):
        body = full_plan()
        body["phases"]["expand"]["steps"].pop()
        p = self.project(plans=[body], baseline="""
            CREATE TABLE orders (id bigint PRIMARY KEY, legacy_ref text) PARTITION BY RANGE (id);
            CREATE TABLE low PARTITION OF orders FOR VALUES FROM (0) TO (100);
            CREATE TABLE high PARTITION OF orders FOR VALUES FROM (100) TO (1000);
            INSERT INTO orders SELECT i, 'R' || i FROM generate_series(1, 500) i""")
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        p.db.psql("INSERT INTO low (id, legacy_ref) VALUES (0, 'new')")
        self.assertEqual(p.db.value("SELECT external_ref FROM orders WHERE id = 0"), "new")
        p.ok("advance", "orders-ref", "--release", "1.2.0")
        self.assertEqual(p.db.value("SELECT count(*) FROM orders WHERE external_ref IS DISTINCT FROM legacy_ref"), "0")

    def test_a_writer_with_another_search_path_gets_the_same_expression(self):
        p = self.project(plans=[synced("norm(legacy_ref)")], baseline=project.ORDERS + """;
            CREATE FUNCTION norm(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper($1)'""")
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        p.db.psql("""CREATE SCHEMA other; CREATE FUNCTION other.norm(text) RETURNS text LANGUAGE sql AS 'SELECT ''no''';
            SET search_path = ''; INSERT INTO public.orders (id, legacy_ref) VALUES (900, 'a');
            SET search_path = other, public; INSERT INTO public.orders (id, legacy_ref) VALUES (901, 'b')""")
        self.assertEqual(p.db.column("SELECT external_ref FROM orders WHERE id >= 900 ORDER BY id"), ["A", "B"])


class Kills(project.Case):
    def test_a_kill_before_the_first_rung_stops_the_run(self):
        """The flags are off still, so nothing is lower than it was left."""
        p = self.project(plans=[full_plan()])
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        with p.db.session("BEGIN", "SELECT 1 FROM orders WHERE id = 1 FOR UPDATE") as holder:
            run = p.start("advance", "orders-ref", "--release", "1.2.0")
            pgtest.wait_until(lambda: "lock on" in run.stderr, what="the backfill that waits for the row")
            p.ok("kill", "orders-ref")
            holder.run("ROLLBACK")
            done = run.wait(60)
        self.assertEqual(done.rc, 5, done)
        self.assertIn("was killed by", done.stderr)
        self.assertEqual((p.flag("orders-ref-read") or 0, p.brake("orders-ref")), (0, "killed"))
        p.refused("killed", "advance", "orders-ref", "--release", "1.2.0")
        p.ok("resume", "orders-ref", "--because", "cause is gone")
        p.ok("advance", "orders-ref", "--release", "1.2.0")
        self.assertEqual(p.flag("orders-ref-read"), 100)


class Secrets(project.Case):
    def test_a_password_that_slides_into_another_part_is_not_shown(self):
        p = self.project(plans=[full_plan()])
        for url in ("postgresql://app:zq@xy/kw9rd@/shop?host=%s" % p.db.server.host,
                    "postgresql://app:zq@xy/kw9rd#1@localhost/shop"):
            done = p.exits(2, "status", env={"DATABASE_URL": url})
            self.assertNotIn("kw9rd", done.stdout + done.stderr)
            self.assertIn("percent-encode", done.stderr)
        for url in ("postgresql://app:kw9rd/x@localhost:5432/shop", "postgresql://app:4711123/x@localhost/shop"):
            for option in ("--shadow", "--baseline-from"):
                done = p.exits(2, "check", option, url)
                self.assertIn("percent-encode", done.stderr)
                self.assertNotRegex(done.stdout + done.stderr, "kw9rd|4711123")


if __name__ == "__main__":
    unittest.main()

"""Who still uses what contract has hidden: writes by a trigger, reads by pg_stat_statements."""

import json
import tarfile
import unittest

import pgtest
import project
from project import phase, plan, step

PURGE = ("purge", "orders-ref", "--confirm", "orders-ref")


class Trap(project.Case):
    def hidden(self, hold="0s", before="", **more):
        p = self.through_contract(hold, before, **more)
        p.name = p.db.value("SELECT hidden_name FROM phasegate.soft_drop")
        return p

    def touches(self, p):
        return [tuple(r) for r in p.db.psql("SELECT operation, application_name, sum(touches) FROM phasegate.soft_drop_touch GROUP BY 1, 2 ORDER BY 1, 2")]

    def elapse(self, p):
        """The hold is over; what was written was written a moment ago."""
        p.db.psql("UPDATE phasegate.plan_state SET hold_until = now() - interval '1 s'")

    def triggers(self, p):
        return p.db.column("SELECT tgname FROM pg_trigger WHERE tgfoid = 'phasegate.trap'::regproc AND tgparentid = 0 ORDER BY 1")


class Column(Trap):
    def test_who_gives_it_a_value(self):
        p = self.hidden(before="CREATE VIEW report AS SELECT id, legacy_ref FROM orders")
        p.db.psql("SET application_name = 'positional'; INSERT INTO orders VALUES (901, 'old'), (902, 'old')")
        p.db.psql("SET application_name = 'through a view'; UPDATE report SET legacy_ref = 'x' WHERE id < 100")
        p.db.psql("SET application_name = 'through a view'; UPDATE report SET legacy_ref = 'y' WHERE id < 100")
        self.assertEqual(self.touches(p), [("INSERT", "positional", "1"), ("UPDATE", "through a view", "2")])
        self.assertEqual(p.db.value("SELECT external_ref FROM orders WHERE id = 5"), "y")
        [[role, ordered]] = p.db.psql("SELECT role, first_at < last_at FROM phasegate.soft_drop_touch WHERE operation = 'UPDATE'")
        self.assertEqual([role, ordered], [p.db.value("SELECT session_user"), "t"])

    def test_the_new_release_touches_nothing(self):
        p = self.hidden()
        p.db.psql("INSERT INTO orders (id, external_ref) VALUES (900, 'new'); UPDATE orders SET external_ref = 'changed' WHERE id = 1;"
                  "DELETE FROM orders WHERE id = 2; SELECT * FROM orders")
        self.assertEqual(self.touches(p), [])

    def test_a_default_is_no_value(self):
        for default, given in (("'none'", "'none'"), ("5", "6"), ("now()::text", None), ("gen_random_uuid()::text", None)):
            with self.subTest(default=default):
                p = self.hidden(before="ALTER TABLE orders ALTER COLUMN legacy_ref SET DEFAULT %s" % default,
                                sync={"table": "orders", "forward": {"external_ref": "legacy_ref"},
                                      "reverse": {"legacy_ref": "external_ref"}, "by": "application"})
                p.db.psql("INSERT INTO orders (id, external_ref) VALUES (900, 'new')")
                self.assertEqual(self.touches(p), [])
                p.db.psql("INSERT INTO orders VALUES (901, 'old')")
                self.assertEqual(len(self.touches(p)), 0 if "uuid" in default else 1)

    def test_it_goes_with_restore_and_with_purge(self):
        p = self.hidden()
        self.assertEqual(len(self.triggers(p)), 2)
        p.ok("restore", "orders-ref")
        self.assertEqual(self.triggers(p), [])
        p.db.psql("UPDATE orders SET legacy_ref = 'z' WHERE id = 1")
        self.assertEqual(self.touches(p), [])
        p.advance("orders-ref", "1.5.0")
        self.assertEqual(len(self.triggers(p)), 2)
        p.ok(*PURGE)
        self.assertEqual(self.triggers(p), [])
        self.assertEqual(p.columns(), ["id", "external_ref"])

    def test_hidden_again_it_counts_from_the_start(self):
        p = self.hidden()
        p.db.psql("INSERT INTO orders VALUES (901, 'old')")
        self.assertEqual(len(self.touches(p)), 1)
        p.ok("restore", "orders-ref")
        p.advance("orders-ref", "1.5.0")
        self.assertEqual(self.touches(p), [])

    def test_a_purge_waits_until_it_is_quiet(self):
        p = self.hidden(hold="1h")
        p.db.psql("SET application_name = 'billing/3.1'; INSERT INTO orders VALUES (901, 'old')")
        self.elapse(p)
        p.db.psql("UPDATE phasegate.soft_drop_touch SET last_at = now() - interval '3 min'")
        error = p.refused("touched", *PURGE)
        self.assertIn("orders.legacy_ref is still written", error["message"])
        self.assertIn("billing/3.1", error["message"])
        self.assertIn("3m", error["message"])
        self.assertIn("restore", error["hint"])
        status = p.status("orders-ref")
        self.assertIn("touched", [m["reason"] for m in status["missing"]])
        self.assertIsNone(status["next_command"])
        [t] = status["touches"]
        self.assertEqual([t["kind"], t["operation"], t["application"], t["count"]], ["write", "INSERT", "billing/3.1", 1])
        self.assertIn("billing/3.1", p.ok("status", "orders-ref").stdout)
        self.assertIn("billing/3.1", p.ok("runbook", "orders-ref").stdout)
        p.db.psql("UPDATE phasegate.soft_drop_touch SET last_at = now() - interval '61 min'")
        p.ok(*PURGE)
        p.ok("evidence", "orders-ref", "--out", "e.tar")
        with tarfile.open(p.path("e.tar")) as tar:
            [name] = [n for n in tar.getnames() if n.endswith("hidden.json")]
            [hidden] = json.load(tar.extractfile(name))
        self.assertEqual([(w["application"], w["count"]) for w in hidden["written_by"]], [("billing/3.1", 1)])

    def test_no_writer_waits_or_fails(self):
        p = self.hidden()
        p.db.psql("INSERT INTO orders VALUES (901, 'old')")
        with p.db.session() as a, p.db.session() as b:
            a.run("BEGIN")
            a.run("INSERT INTO orders VALUES (902, 'old')")
            b.run("SET lock_timeout = '5s'")
            b.run("SET statement_timeout = '5s'")
            b.run("INSERT INTO orders VALUES (903, 'old')")
            for i, level in enumerate(("REPEATABLE READ", "SERIALIZABLE")):
                b.run("BEGIN ISOLATION LEVEL %s" % level)
                b.run("SELECT count(*) FROM orders")
                b.run("INSERT INTO orders VALUES (%d, 'old')" % (910 + i))
                b.run("COMMIT")
            a.run("COMMIT")
        self.assertEqual(sum(int(r[2]) for r in self.touches(p)), 5)

    def test_a_ledger_that_is_locked_costs_a_record_not_the_write(self):
        p = self.hidden()
        with p.db.session() as a:
            a.run("BEGIN")
            a.run("LOCK TABLE phasegate.soft_drop_touch IN ACCESS EXCLUSIVE MODE")
            p.db.psql("SET lock_timeout = '1s'; INSERT INTO orders VALUES (901, 'old')")
        self.assertEqual(self.touches(p), [])
        self.assertEqual(p.db.value("SELECT count(*) FROM orders WHERE id = 901"), "1")

    def test_a_role_without_rights_in_the_ledger(self):
        role = "writer_%s" % pgtest.cluster().psql("SELECT pg_backend_pid()")[0][0]
        pgtest.cluster().psql('CREATE ROLE "%s"' % role)
        self.addCleanup(pgtest.cluster().psql, 'DROP ROLE "%s"' % role)
        p = self.hidden(before='GRANT ALL ON orders TO "%s"' % role)
        self.addCleanup(p.db.psql, 'REVOKE ALL ON orders FROM "%s"' % role)
        p.db.psql('SET ROLE "%s"; INSERT INTO orders VALUES (901, \'old\')' % role)
        self.assertEqual(p.db.column("SELECT role FROM phasegate.soft_drop_touch"), [role])


class Table(Trap):
    def contracted(self, before, hold="0s"):
        body = plan("orders-ref", phases={"contract": phase("contract", steps=[step("drop-notes", "DROP TABLE notes")], hold=hold)})
        p = self.project(plans=[body])
        p.db.psql(before)
        p.advance("orders-ref", "1.5.0")
        p.name = p.db.value("SELECT hidden_name FROM phasegate.soft_drop")
        return p

    def test_writes_to_it(self):
        p = self.contracted("CREATE TABLE notes (id int, note text)")
        p.db.psql('INSERT INTO phasegate_hold."%s" VALUES (1, \'a\'); TRUNCATE phasegate_hold."%s"' % (p.name, p.name))
        self.assertEqual([t[0] for t in self.touches(p)], ["INSERT", "TRUNCATE"])
        p.ok("restore", "orders-ref")
        self.assertEqual(self.triggers(p), [])
        p.advance("orders-ref", "1.5.0")
        p.ok(*PURGE)

    def test_rows_that_reach_it_through_its_partitions(self):
        p = self.contracted("CREATE TABLE notes (id int) PARTITION BY RANGE (id); CREATE TABLE notes_1 PARTITION OF notes FOR VALUES FROM (0) TO (1000)")
        p.db.psql("INSERT INTO notes_1 SELECT generate_series(1, 100)")
        self.assertEqual([(t[0], t[2]) for t in self.touches(p)], [("INSERT", "1")])

    def test_a_partition_is_out_of_reach_through_its_parent(self):
        p = self.contracted("CREATE TABLE log (id int) PARTITION BY RANGE (id); CREATE TABLE notes PARTITION OF log FOR VALUES FROM (0) TO (1000);"
                            "CREATE TABLE rest PARTITION OF log DEFAULT")
        p.db.psql("INSERT INTO log SELECT generate_series(1, 100)")
        self.assertEqual(self.touches(p), [])
        p.db.psql('INSERT INTO phasegate_hold."%s" VALUES (1), (2)' % p.name)
        self.assertEqual([(t[0], t[2]) for t in self.touches(p)], [("INSERT", "1")])

    def test_a_foreign_key_that_takes_rows_along_is_nobody(self):
        p = self.contracted("CREATE TABLE notes (id int, order_id bigint REFERENCES orders ON DELETE CASCADE); INSERT INTO notes VALUES (1, 1), (2, 2)")
        p.db.psql("DELETE FROM orders WHERE id = 1")
        self.assertEqual(p.db.value('SELECT count(*) FROM phasegate_hold."%s"' % p.name), "1")
        self.assertEqual(self.touches(p), [])


class Reads(Trap):
    """A server of their own: the shared one counts no statements."""

    @classmethod
    def setUpClass(cls):
        cls.server = pgtest.Cluster()
        cls.addClassCleanup(cls.server.close)

    def setUp(self):
        super().setUp()
        self.before = "CREATE EXTENSION pg_stat_statements"

    def project(self, *args, **more):
        return super().project(*args, db=self.server.create_database(), **more)

    def test_under_its_hidden_name(self):
        p = self.hidden(hold="1h", before=self.before)
        self.elapse(p)
        for _ in range(3):
            p.db.psql('SELECT id FROM orders WHERE "%s" = \'R7\'' % p.name)
        [t] = p.status("orders-ref")["touches"]
        self.assertEqual([t["kind"], t["count"], t["perhaps"]], ["read", 3, False])
        self.assertIn(p.name, t["statement"])
        error = p.refused("touched", *PURGE)
        self.assertIn("3 calls", error["message"])
        [reset] = [x for x in error["hint"].split("; ") if "pg_stat_statements_reset" in x][:1]
        p.db.psql(reset[reset.index("SELECT"):].split(", then")[0])
        p.ok(*PURGE)

    def test_only_what_was_called_since(self):
        p = self.hidden(hold="1h", before=self.before + "; SELECT id FROM orders WHERE legacy_ref = 'R7'; SELECT id, legacy_ref FROM orders")
        self.assertEqual(p.status("orders-ref")["touches"], [])

    def test_a_view_that_shows_it(self):
        p = self.hidden(hold="1h", before=self.before + "; CREATE VIEW report AS SELECT id, legacy_ref AS ref FROM orders")
        p.db.psql("SELECT ref FROM report WHERE id = 5")
        [t] = p.status("orders-ref")["touches"]
        self.assertEqual([t["count"], t["perhaps"]], [1, False])

    def test_the_same_name_elsewhere_is_said_and_holds_nothing_up(self):
        p = self.hidden(hold="1h", before=self.before + "; CREATE TABLE other (id bigint, legacy_ref text)")
        p.db.psql("SELECT o.id, x.legacy_ref FROM orders o JOIN other x USING (id)")
        p.db.psql("SELECT x.legacy_ref FROM other x")
        [t] = p.status("orders-ref")["touches"]
        self.assertEqual([t["kind"], t["perhaps"]], ["read", True])
        self.elapse(p)
        p.ok(*PURGE)

    def test_a_run_that_died_before_it_recorded_what_had_been_called(self):
        p = self.hidden(hold="1h", before=self.before)
        self.assertNotIn("watched", str(p.status("orders-ref")["reads_unseen"]))
        p.db.psql("DELETE FROM phasegate.soft_drop_calls")
        self.assertIn("reads of orders.legacy_ref aren't watched", p.status("orders-ref")["reads_unseen"])
        p.ok("restore", "orders-ref")
        p.advance("orders-ref", "1.5.0")
        self.assertNotIn("watched", str(p.status("orders-ref")["reads_unseen"]))

    def test_a_role_that_may_not_see_what_others_run(self):
        p = self.hidden(hold="1h", before=self.before)
        role = "looker_%s" % p.db.value("SELECT pg_backend_pid()")
        p.db.psql('CREATE ROLE "%s"; GRANT USAGE ON SCHEMA phasegate TO "%s"; GRANT SELECT ON ALL TABLES IN SCHEMA phasegate, public TO "%s"'
                  % (role, role, role))
        self.addCleanup(self.server.psql, 'DROP ROLE "%s"' % role)
        self.addCleanup(p.db.psql, 'DROP OWNED BY "%s"' % role)
        p.env["PGOPTIONS"] = "-c role=" + role
        self.assertIn("GRANT pg_read_all_stats", p.status("orders-ref")["reads_unseen"])
        self.assertIn("says nothing to " + role, p.ok("status", "orders-ref").stdout)

    def test_without_the_extension_it_says_so(self):
        p = self.hidden(hold="1h")
        self.assertIn("pg_stat_statements", p.status("orders-ref")["reads_unseen"])

    def test_a_server_that_counts_nothing(self):
        p = self.hidden(hold="1h", before=self.before)
        p.db.psql("ALTER DATABASE \"%s\" SET pg_stat_statements.track = none" % p.db.name)
        self.assertIn("counts no statements", p.status("orders-ref")["reads_unseen"])


class Evicted(Trap):
    """A server of its own, whose pg_stat_statements is small."""

    def test_what_was_thrown_out_proves_nothing(self):
        server = pgtest.Cluster(settings={"pg_stat_statements.max": 100})
        self.addCleanup(server.close)
        body = plan("orders-ref", phases={"contract": phase("contract", steps=[step("drop", "ALTER TABLE orders DROP COLUMN legacy_ref")], hold="1h")})
        p = self.project(plans=[body], db=server.create_database())
        p.db.psql("CREATE EXTENSION pg_stat_statements")
        flood = "; ".join("SELECT id%s FROM orders LIMIT 1" % (" + id" * n) for n in range(200)) + ";"
        p.db.psql(flood)
        self.assertGreater(int(p.db.value("SELECT dealloc FROM pg_stat_statements_info")), 0)
        p.advance("orders-ref", "1.5.0")
        # What phasegate runs itself takes room as well.
        p.db.psql("UPDATE phasegate.soft_drop_calls SET calls = (SELECT dealloc FROM pg_stat_statements_info) WHERE queryid = 0")
        p.db.psql(flood)
        unseen = p.status("orders-ref")["reads_unseen"]
        self.assertRegex(unseen, r"unproven: pg_stat_statements holds 100 statements and has thrown out the rarest \d+ times? since")
        self.assertIn("unproven", p.ok("status", "orders-ref").stdout)
        self.assertIn("unproven", p.ok("runbook", "orders-ref").stdout)


if __name__ == "__main__":
    unittest.main()

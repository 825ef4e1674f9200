"""contract: hide, hold, purge; and restore until then."""

import time
import unittest

import pgtest
import project
from project import full_plan, phase, plan, step

TODAY = r"\d{8}"


class Column(project.Case):
    contracted = project.Case.through_contract

    def hidden(self, p):
        return [c for c in p.columns() if c.startswith("_drop_")]

    def test_it_is_hidden_under_a_name_that_says_so(self):
        p = self.contracted()
        self.assertRegex(" ".join(p.columns()), r"^id _drop_%s_legacy_ref external_ref$" % TODAY)
        row = p.db.psql("SELECT object_kind, table_name, original_name, hidden_name, restored_at, purged_at FROM phasegate.soft_drop")
        self.assertEqual(row, [["column", "orders", "legacy_ref", self.hidden(p)[0], None, None]])

    def test_the_new_release_writes_and_the_hidden_column_follows(self):
        p = self.contracted()
        p.db.psql("INSERT INTO orders (id, external_ref) VALUES (900, 'new'); UPDATE orders SET external_ref = 'changed' WHERE id = 1")
        self.assertEqual(p.db.column('SELECT "%s" FROM orders WHERE id IN (1, 900) ORDER BY id' % self.hidden(p)[0]), ["changed", "new"])
        p.ok("restore", "orders-ref")
        self.assertEqual(p.db.column("SELECT legacy_ref FROM orders WHERE id IN (1, 900) ORDER BY id"), ["changed", "new"])
        p.db.psql("UPDATE orders SET legacy_ref = 'back' WHERE id = 900")
        self.assertEqual(p.db.value("SELECT external_ref FROM orders WHERE id = 900"), "back")

    def test_not_null_and_grants_go_and_come_back(self):
        role = "shop_%s" % pgtest.cluster().psql("SELECT pg_backend_pid()")[0][0]
        pgtest.cluster().psql('CREATE ROLE "%s"' % role)
        self.addCleanup(pgtest.cluster().psql, 'DROP ROLE "%s"' % role)
        p = self.contracted(before='ALTER TABLE orders ALTER COLUMN legacy_ref SET NOT NULL;'
                                   'GRANT SELECT (legacy_ref), UPDATE (legacy_ref) ON orders TO "%s"; GRANT SELECT (id) ON orders TO "%s"' % (role, role))
        self.addCleanup(p.db.psql, 'REVOKE ALL ON orders FROM "%s"; REVOKE ALL (id) ON orders FROM "%s"' % (role, role))
        facts = ("SELECT attnotnull, coalesce(attacl::text, '') FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname = '%s'")
        self.assertEqual(p.db.psql(facts % self.hidden(p)[0]), [["f", ""]])
        # An insert of the new release, which doesn't know the column, gets through.
        p.db.psql("INSERT INTO orders (id, external_ref) VALUES (900, 'new')")
        p.ok("restore", "orders-ref")
        [[not_null, acl]] = p.db.psql(facts % "legacy_ref")
        self.assertEqual(not_null, "t")
        self.assertIn("%s=rw/" % role, acl)
        p.db.psql('REVOKE ALL (legacy_ref) ON orders FROM "%s"' % role)

    def test_restore_brings_the_schema_back_as_it_was(self):
        body = full_plan()
        p = self.project(plans=[body])
        p.advance_through("orders-ref", "write_activation")
        before = p.schema()
        p.advance("orders-ref", "1.5.0")
        self.assertNotEqual(p.schema(), before)
        p.ok("restore", "orders-ref")
        self.assertEqual(p.schema(), before)
        self.assertEqual(p.stage("orders-ref"), "write_activation done")
        p.refused("not_held", "restore", "orders-ref")
        p.advance("orders-ref", "1.5.0")
        self.assertEqual(p.stage("orders-ref"), "contract done")
        self.assertEqual(len(self.hidden(p)), 1)

    def test_rollback_of_contract_is_a_restore(self):
        p = self.contracted()
        p.ok("rollback", "orders-ref")
        self.assertEqual(p.columns(), ["id", "legacy_ref", "external_ref"])

    def test_restore_in_production(self):
        p = self.project(plans=[full_plan()], environment="production")
        p.advance_through("orders-ref", "contract")
        p.ok("restore", "orders-ref")

    def test_indexes_and_defaults_of_the_column_come_back(self):
        p = self.contracted(before="CREATE INDEX by_legacy ON orders (legacy_ref); ALTER TABLE orders ALTER COLUMN legacy_ref SET DEFAULT 'x'")
        p.ok("restore", "orders-ref")
        schema = "\n".join(p.schema())
        self.assertIn("CREATE INDEX by_legacy ON public.orders USING btree (legacy_ref)", schema)
        self.assertIn("legacy_ref text DEFAULT 'x'", schema)

    def test_a_view_goes_on_working(self):
        p = self.contracted(before="CREATE VIEW report AS SELECT id, legacy_ref FROM orders")
        self.assertEqual(p.db.value("SELECT legacy_ref FROM report WHERE id = 5"), "R5")
        error = p.refused("dependants", "purge", "orders-ref", "--confirm", "orders-ref")
        self.assertIn("view public.report still depends on orders.legacy_ref", error["message"])
        p.db.psql("DROP VIEW report")
        p.ok("purge", "orders-ref", "--confirm", "orders-ref")

    def test_the_name_is_taken(self):
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "write_activation")
        today = p.db.value("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')")
        p.db.psql('ALTER TABLE orders ADD COLUMN "_drop_%s_legacy_ref" int' % today)
        error = p.json("advance", "orders-ref", "--release", "1.5.0", code=5)["error"]
        self.assertEqual(error["sqlstate"], "42701")
        self.assertIn("legacy_ref", p.columns())

    def test_already_gone(self):
        p = self.project(plans=[full_plan(sync={"table": "orders", "forward": {"external_ref": "legacy_ref"},
                                                "reverse": {"legacy_ref": "external_ref"}, "by": "application"})])
        p.advance_through("orders-ref", "write_activation")
        p.db.psql("ALTER TABLE orders DROP COLUMN legacy_ref")
        r = p.advance("orders-ref", "1.5.0")
        self.assertEqual([(t["id"], t["status"]) for t in r["tasks"]], [("drop-legacy", "skipped")])


class Hold(project.Case):
    def test_purge_waits_for_it(self):
        body = full_plan()
        body["phases"]["contract"]["hold"] = "3s"
        p = self.project(plans=[body])
        p.advance_through("orders-ref", "contract")
        error = p.refused("hold", "purge", "orders-ref", "--confirm", "orders-ref")
        self.assertIn("the hold of what was soft-dropped ends at", error["message"])
        self.assertIn("restore", error["hint"])
        status = p.status("orders-ref")
        self.assertIsNotNone(status["hold_until"])
        self.assertEqual(status["next_command"], "phasegate purge orders-ref --confirm orders-ref")
        self.assertIn("hold     until", p.ok("status", "orders-ref").stdout)
        self.assertTrue(p.advance("orders-ref", "1.5.0")["nothing_to_do"])
        time.sleep(3.2)
        p.ok("purge", "orders-ref", "--confirm", "orders-ref")
        self.assertEqual(p.columns(), ["id", "external_ref"])

    def test_the_policy_decides_without_the_plan(self):
        body = full_plan()
        del body["phases"]["contract"]["hold"]
        p = self.project(plans=[body])
        p.advance_through("orders-ref", "contract")
        hours = p.db.value("SELECT round(extract(epoch FROM hold_until - now()) / 3600) FROM phasegate.plan_state")
        self.assertEqual(hours, "24")
        p.refused("hold", "purge", "orders-ref", "--confirm", "orders-ref")

    def test_restored_and_dropped_again_the_hold_begins_again(self):
        body = full_plan()
        body["phases"]["contract"]["hold"] = "1h"
        p = self.project(plans=[body])
        p.advance_through("orders-ref", "contract")
        p.ok("restore", "orders-ref")
        self.assertIsNone(p.status("orders-ref")["hold_until"])
        p.advance("orders-ref", "1.5.0")
        p.refused("hold", "purge", "orders-ref", "--confirm", "orders-ref")


class Purge(project.Case):
    def contracted(self):
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "contract")
        return p

    def test_it_wants_the_plans_name(self):
        p = self.contracted()
        error = p.refused("confirm", "purge", "orders-ref")
        self.assertIn("point of no return", error["message"])
        self.assertIn("--confirm orders-ref", error["hint"])
        error = p.refused("confirm", "purge", "orders-ref", "--confirm", "orders-fer")
        self.assertIn('the confirmation names "orders-fer"', error["message"])
        self.assertEqual(len(p.columns()), 3)

    def test_nothing_is_left(self):
        p = self.contracted()
        p.ok("purge", "orders-ref", "--confirm", "orders-ref")
        self.assertEqual((p.stage("orders-ref"), p.columns(), p.triggers()), ("purged", ["id", "external_ref"], []))
        self.assertEqual(p.db.value("SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace "
                                    "WHERE nspname = 'phasegate' AND proname LIKE 'sync%'"), "0")
        self.assertEqual(p.db.value("SELECT count(*) FROM phasegate.soft_drop WHERE purged_at IS NULL"), "0")
        p.refused("complete", "restore", "orders-ref")
        p.refused("complete", "rollback", "orders-ref")
        self.assertTrue(p.json("purge", "orders-ref", "--confirm", "orders-ref")["result"]["plan"]["nothing_to_do"])
        self.assertTrue(p.json("status")["result"]["up_to_date"])

    def test_not_before_contract(self):
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "write_activation")
        p.refused("not_held", "purge", "orders-ref", "--confirm", "orders-ref")
        p.refused("not_held", "restore", "orders-ref")

    def test_a_kill_in_the_hold_stops_it(self):
        p = self.contracted()
        p.ok("kill", "orders-ref")
        answer = p.json("purge", "orders-ref", "--confirm", "orders-ref", code=4)
        self.assertIn(answer["error"]["reason"], ("killed", "flag_in_doubt", "flags_not_full"))
        self.assertEqual(len(p.columns()), 3)

    def test_an_edited_step_stops_it(self):
        p = self.contracted()
        body = full_plan()
        body["phases"]["contract"]["steps"][0]["sql"] = "ALTER TABLE orders DROP COLUMN id"
        p.write_plan(body)
        p.refused("edited", "purge", "orders-ref", "--confirm", "orders-ref")


class PurgeAsks(project.Case):
    """What advance asks before a phase is asked before the point of no return as well."""

    PURGE = ("purge", "orders-ref", "--confirm", "orders-ref")

    def contracted(self, contract=None, **more):
        body = full_plan(**more)
        body["phases"]["contract"].update(contract or {})
        p = self.project(plans=[body])
        p.db.psql("CREATE TABLE quiet (n int); INSERT INTO quiet VALUES (0)")
        p.advance_through("orders-ref", "contract")
        return p

    def gated(self, gate):
        return self.contracted({"gates": ["quiet", "any"]}, gates={
            "quiet": dict({"interval": "100ms"}, **gate), "any": {"sql": "SELECT 1", "expect": "= 1", "no_data": "hold"}})

    def test_a_gate_that_fails_now(self):
        p = self.gated({"sql": "SELECT n FROM quiet", "expect": "= 0", "no_data": "hold"})
        p.db.psql("UPDATE quiet SET n = 3")
        error = p.refused("gates", *self.PURGE)
        self.assertIn("gate quiet failed: measured 3", error["message"])
        self.assertNotIn("gate any", error["message"])
        self.assertEqual((p.stage("orders-ref"), p.brake("orders-ref"), len(p.columns())), ("contract done", "none", 3))
        self.assertEqual(p.db.value("SELECT count(*) FROM phasegate.snapshot"), "0")
        p.db.psql("UPDATE quiet SET n = 0")
        p.ok(*self.PURGE)
        self.assertEqual(p.stage("orders-ref"), "purged")

    def test_a_gate_without_an_answer_does_not_pass(self):
        for policy in ("hold", "fail", "pass"):
            with self.subTest(no_data=policy):
                p = self.gated({"sql": "SELECT n FROM quiet", "expect": "= 0", "no_data": policy})
                p.db.psql("DELETE FROM quiet")
                self.assertIn("gate quiet has no data", p.refused("gates", *self.PURGE)["message"])

    def test_a_dry_run_shows_what_is_asked(self):
        p = self.gated({"sql": "SELECT n FROM quiet", "expect": "= 0", "no_data": "hold"})
        text = p.ok(*self.PURGE, "--dry-run").stdout
        self.assertIn("gates: quiet, any", text)
        p.db.psql("UPDATE quiet SET n = 3")
        done = p.exits(4, *self.PURGE, "--dry-run")
        self.assertIn("gate quiet failed: measured 3", done.stdout + done.stderr)
        self.assertEqual(p.db.value("SELECT n FROM quiet"), "3")

    def test_status_does_not_ask_gates(self):
        p = self.gated({"command": ["sh", "-c", "echo x >>asked"], "no_data": "hold"})
        def asked():
            with open(p.path("asked"), encoding="utf-8") as f:
                return len(f.readlines())
        before = asked()
        p.status("orders-ref")
        self.assertEqual(asked(), before)
        p.ok(*self.PURGE)
        self.assertGreater(asked(), before)

    def test_somebody_holds_the_table(self):
        p = self.contracted()
        with p.db.session() as a:
            a.run("BEGIN")
            a.run("LOCK TABLE orders IN SHARE MODE")
            error = p.refused("preflight", *self.PURGE)
            self.assertIn("preflight of purge: locks", error["message"])
            self.assertIn("phasegate preflight orders-ref", error["hint"])
            for args in (("preflight", "orders-ref"), ("preflight", "orders-ref", "purge")):
                result = p.json(*args, code=1)["result"]
                self.assertEqual(result["phase"], "purge")
                self.assertEqual([c["about"] for c in result["checks"] if c["check"] == "locks" and c["outcome"] == "no-go"],
                                 ["orders"])
            a.run("COMMIT")
        self.assertEqual((p.stage("orders-ref"), len(p.columns())), ("contract done", 3))
        p.ok(*self.PURGE)

    def test_rows_that_what_waited_for_the_purge_asks_of(self):
        p = self.contracted({"steps": [step("drop-legacy", "ALTER TABLE orders DROP COLUMN legacy_ref"),
                                       step("narrow", "DELETE FROM orders WHERE id < 0; ALTER TABLE quiet ALTER COLUMN n SET NOT NULL",
                                            undo={"none": "test"})]})
        p.db.psql("INSERT INTO quiet VALUES (NULL)")
        self.assertIn("rows quiet", p.refused("preflight", *self.PURGE)["message"].replace("public.", ""))
        p.db.psql("DELETE FROM quiet WHERE n IS NULL")
        p.ok(*self.PURGE)

    def test_a_hidden_table(self):
        body = plan("orders-ref", phases={"contract": phase("contract", steps=[step("drop", "DROP TABLE quiet")], hold="0s")})
        p = self.project(plans=[body])
        p.db.psql("CREATE TABLE quiet (n int)")
        p.advance("orders-ref", "1.5.0")
        hidden = p.db.value("SELECT hidden_name FROM phasegate.soft_drop")
        with p.db.session() as a:
            a.run("BEGIN")
            a.run('LOCK TABLE phasegate_hold."%s" IN SHARE MODE' % hidden)
            self.assertIn(hidden, p.refused("preflight", *self.PURGE)["message"])
            a.run("COMMIT")
        p.ok(*self.PURGE)

    def test_the_policy_turns_it_off(self):
        p = self.contracted()
        p.body["policy"] = {"preflight": "off"}
        p.write()
        with p.db.session() as a:
            a.run("BEGIN")
            a.run("LOCK TABLE quiet IN SHARE MODE")
            p.ok(*self.PURGE)
            a.run("COMMIT")


def contract_of(*steps, **more):
    return plan("c", phases={"contract": phase("contract", steps=list(steps), hold="0s", **more)})


class OtherKinds(project.Case):
    BASE = project.ORDERS + """;
        CREATE TABLE legacy (id int PRIMARY KEY, order_id bigint REFERENCES orders, note text);
        INSERT INTO legacy VALUES (1, 1, 'one');
        CREATE INDEX legacy_note ON legacy (note);
        CREATE VIEW old_report AS SELECT note FROM legacy WHERE id > 0;
        CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER legacy_stamp BEFORE INSERT ON legacy FOR EACH ROW EXECUTE FUNCTION stamp();
        ALTER TABLE legacy ADD CONSTRAINT note_there CHECK (note <> '')"""

    def there_and_back(self, sql, gone, before=""):
        p = self.project(plans=[contract_of(step("drop", sql))], baseline=self.BASE + ";" + before)
        schema, data = p.schema(), p.db.psql("SELECT * FROM legacy")
        p.advance("c", "1.5.0")
        self.assertTrue(gone(p), "gone after contract: " + sql)
        p.ok("restore", "c")
        self.assertEqual(p.schema(), schema, sql)
        self.assertEqual(p.db.psql("SELECT * FROM legacy"), data)
        p.advance("c", "1.5.0")
        p.ok("purge", "c", "--confirm", "c")
        self.assertTrue(gone(p), "gone after purge: " + sql)
        self.assertEqual(p.db.column("SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
                                     "WHERE nspname = 'phasegate_hold' OR (nspname <> 'phasegate' AND relname LIKE '%drop%')"), [])
        return p

    @staticmethod
    def missing(name):
        return lambda p: p.db.value("SELECT to_regclass('%s')" % name) is None

    def test_a_table(self):
        p = self.there_and_back("DROP TABLE legacy2", self.missing("legacy2"),
                                "CREATE TABLE legacy2 (id int PRIMARY KEY); INSERT INTO legacy2 SELECT generate_series(1, 3)")
        self.assertEqual(p.db.value("SELECT count(*) FROM pg_class WHERE relname LIKE '%legacy2%'"), "0")

    def test_a_table_is_kept_in_a_schema_of_its_own(self):
        p = self.project(plans=[contract_of(step("drop", "DROP TABLE legacy"))], baseline=self.BASE)
        p.advance("c", "1.5.0")
        held = p.db.psql("SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'phasegate_hold' AND relkind = 'r'")
        self.assertEqual(len(held), 1)
        self.assertEqual(p.db.value('SELECT note FROM phasegate_hold."%s"' % held[0][0]), "one")
        p.ok("restore", "c")
        self.assertEqual(p.db.value("SELECT note FROM legacy"), "one")
        self.assertEqual(p.db.value("SELECT note FROM old_report"), "one")

    def test_an_index(self):
        self.there_and_back("DROP INDEX legacy_note", self.missing("legacy_note"))

    def test_an_index_concurrently(self):
        self.there_and_back("DROP INDEX CONCURRENTLY legacy_note", self.missing("legacy_note"))

    def test_a_run_that_died_behind_a_concurrent_drop(self):
        p = self.project(plans=[contract_of(step("drop", "DROP INDEX CONCURRENTLY legacy_note"))], baseline=self.BASE)
        schema = p.schema()
        p.advance("c", "1.5.0")
        p.db.psql("DELETE FROM phasegate.migration_history WHERE step = 'drop' AND status = 'done'; "
                  "UPDATE phasegate.plan_state SET stage = 'contract running'")
        r = p.advance("c", "1.5.0")
        self.assertEqual([(t["id"], t["status"], t["note"]) for t in r["tasks"]], [("drop", "done", "done before, recorded now")])
        self.assertEqual(p.db.value("SELECT count(*) FROM phasegate.soft_drop"), "1")
        p.ok("restore", "c")
        self.assertEqual(p.schema(), schema)

    def test_a_view(self):
        self.there_and_back("DROP VIEW old_report", self.missing("old_report"))

    def test_a_materialized_view(self):
        self.there_and_back("DROP MATERIALIZED VIEW totals", self.missing("totals"),
                            "CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM legacy; GRANT SELECT ON totals TO PUBLIC")

    def test_a_unique_index(self):
        self.there_and_back("DROP INDEX legacy_once", self.missing("legacy_once"),
                            "CREATE UNIQUE INDEX legacy_once ON legacy (order_id, lower(note)) WHERE id > 0")

    def test_a_constraint(self):
        self.there_and_back("ALTER TABLE legacy DROP CONSTRAINT note_there",
                            lambda p: p.db.value("SELECT count(*) FROM pg_constraint WHERE conname = 'note_there'") == "0")

    def test_a_foreign_key(self):
        self.there_and_back("ALTER TABLE legacy DROP CONSTRAINT legacy_order_id_fkey",
                            lambda p: p.db.value("SELECT count(*) FROM pg_constraint WHERE conname = 'legacy_order_id_fkey'") == "0")

    def test_a_trigger(self):
        self.there_and_back("DROP TRIGGER legacy_stamp ON legacy", lambda p: p.triggers("legacy") == [])

    def test_several_things_come_back_in_reverse(self):
        p = self.project(plans=[contract_of(step("view", "DROP VIEW old_report"), step("note", "ALTER TABLE legacy DROP COLUMN note"),
                                            finish=[step("table", "DROP TABLE legacy")])], baseline=self.BASE)
        schema = p.schema()
        p.advance("c", "1.5.0")
        p.ok("restore", "c")
        self.assertEqual(p.schema(), schema)
        p.advance("c", "1.5.0")
        p.ok("purge", "c", "--confirm", "c")
        self.assertIsNone(p.db.value("SELECT to_regclass('legacy')"))
        self.assertEqual(p.db.value("SELECT count(*) FROM phasegate.soft_drop WHERE purged_at IS NULL AND restored_at IS NULL"), "0")
        self.assertEqual(p.db.value("SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'phasegate_hold'"), "0")

    REFERS = "CREATE TABLE visits (id bigint PRIMARY KEY, legacy_id bigint REFERENCES legacy, other_id bigint);"
    COLUMN, TABLE = step("column", "ALTER TABLE visits DROP COLUMN legacy_id"), step("table", "DROP TABLE legacy")

    def referred(self, more="", *steps):
        p = self.project(plans=[contract_of(*steps)], baseline=self.BASE + ";DROP VIEW old_report;" + self.REFERS + more)
        p.advance("c", "1.5.0")
        return p

    def test_a_table_goes_after_the_column_that_refers_to_it(self):
        p = self.referred("", self.COLUMN, self.TABLE)
        p.ok("purge", "c", "--confirm", "c")
        self.assertEqual(p.db.value("SELECT count(*) FROM pg_class WHERE relname LIKE '%legacy%' AND relkind = 'r'"), "0")
        self.assertEqual(p.columns("visits"), ["id", "other_id"])

    def test_what_the_plan_leaves_standing_holds_a_table(self):
        p = self.referred("ALTER TABLE visits ADD CONSTRAINT other_fk FOREIGN KEY (other_id) REFERENCES legacy", self.COLUMN, self.TABLE)
        error = p.refused("dependants", "purge", "c", "--confirm", "c")
        self.assertIn("constraint other_fk on table public.visits still depends on legacy", error["message"])
        self.assertNotIn("legacy_id", error["message"])

    def test_a_column_that_goes_only_after_the_table_holds_it(self):
        p = self.referred("", self.TABLE, self.COLUMN)
        self.assertIn("visits", p.refused("dependants", "purge", "c", "--confirm", "c")["message"])

    def test_a_column_that_came_back_holds_its_table(self):
        p = self.referred("", self.COLUMN, self.TABLE)
        p.db.psql("UPDATE phasegate.soft_drop SET restored_at = now() WHERE step = 'column'")
        self.assertIn("visits", p.refused("dependants", "purge", "c", "--confirm", "c")["message"])

    def test_what_cannot_be_hidden_waits_for_the_purge(self):
        p = self.project(plans=[contract_of(step("empty", "DELETE FROM legacy", undo={"none": "the rows are gone"}),
                                            step("type", "ALTER TABLE legacy ALTER COLUMN note TYPE char(2)",
                                                 undo={"none": "what was longer is cut"}))], baseline=self.BASE)
        p.db.psql("DROP VIEW old_report")
        r = p.advance("c", "1.5.0")
        self.assertEqual(r["tasks"], [])
        self.assertEqual(p.db.value("SELECT count(*) FROM legacy"), "1")
        dry = p.json("purge", "c", "--confirm", "c", "--dry-run")["result"]["dry_run"]
        self.assertEqual(dry["no_return"], 0)
        p.ok("purge", "c", "--confirm", "c")
        self.assertEqual(p.db.value("SELECT count(*) FROM legacy"), "0")


class OfAnotherTable(project.Case):
    """A partition, and a child by INHERITS: their rows are another table's as well, and no longer once they are hidden."""

    def hidden(self, drop, baseline):
        p = self.project(plans=[contract_of(step("drop", drop))], baseline=baseline)
        before = p.schema()
        p.advance("c", "1.5.0")
        return p, before

    def ids(self, p):
        return p.db.column("SELECT id FROM ev ORDER BY id")

    def test_a_partition(self):
        p, before = self.hidden('DROP TABLE "ev B"', """CREATE TABLE ev (id bigint, kind text, PRIMARY KEY (id, kind)) PARTITION BY LIST (kind);
            CREATE TABLE ev_a PARTITION OF ev FOR VALUES IN ('a'); CREATE TABLE "ev B" PARTITION OF ev FOR VALUES IN ('b', 'it''s');
            CREATE INDEX ev_kind ON ev (kind); INSERT INTO ev VALUES (1, 'a'), (2, 'b'), (3, 'it''s')""")
        self.assertEqual(self.ids(p), ["1"])
        hidden = p.db.value("SELECT hidden_name FROM phasegate.soft_drop")
        self.assertEqual(p.db.value('SELECT count(*) FROM phasegate_hold."%s"' % hidden), "2")
        p.ok("restore", "c")
        self.assertEqual(self.ids(p), ["1", "2", "3"])
        self.assertEqual(p.schema(), before)
        p.db.psql("INSERT INTO ev VALUES (4, 'b')")
        p.advance("c", "1.5.0")
        p.ok("purge", "c", "--confirm", "c")
        self.assertEqual(self.ids(p), ["1"])

    def test_its_table_is_looked_at_before(self):
        p = self.project(plans=[contract_of(step("drop", "DROP TABLE ev_b"))], baseline="""CREATE TABLE ev (id bigint) PARTITION BY RANGE (id);
            CREATE TABLE ev_a PARTITION OF ev FOR VALUES FROM (0) TO (9); CREATE TABLE ev_b PARTITION OF ev FOR VALUES FROM (9) TO (20)""")
        other = p.db.session("BEGIN", "LOCK TABLE ONLY ev IN SHARE MODE")
        self.addCleanup(other.close)
        told = {c["about"]: c for c in p.json("preflight", "c", code=1)["result"]["checks"] if c["check"] == "locks"}
        self.assertEqual({about: c["outcome"] for about, c in told.items()}, {"ev_b": "pass", "ev": "no-go"})
        self.assertIn("ShareLock", told["ev"]["value"])

    def test_a_child(self):
        p, before = self.hidden("DROP TABLE old", """CREATE TABLE ev (id bigint); CREATE TABLE old (more int) INHERITS (ev);
            INSERT INTO ev VALUES (1); INSERT INTO old VALUES (2, 2)""")
        self.assertEqual(self.ids(p), ["1"])
        p.ok("restore", "c")
        self.assertEqual(self.ids(p), ["1", "2"])
        # What it inherited has become its own, too, which PostgreSQL doesn't take back.
        self.assertEqual([line for line in p.schema() if line.strip() != "id bigint,"], before)

    def test_rows_in_its_place_hold_the_restore(self):
        """All of it or nothing, as with foreign keys."""
        p, before = self.hidden("DROP TABLE ev_a", """CREATE TABLE ev (id bigint, kind text) PARTITION BY LIST (kind);
            CREATE TABLE ev_a PARTITION OF ev FOR VALUES IN ('a'); CREATE TABLE ev_d PARTITION OF ev DEFAULT;
            INSERT INTO ev VALUES (1, 'a')""")
        p.db.psql("INSERT INTO ev VALUES (2, 'a')")
        error = p.json("restore", "c", code=5)["error"]
        self.assertEqual(error["sqlstate"], "23514")
        self.assertEqual(error["hint"], "rows came in its place: move them elsewhere, then: phasegate restore c")
        self.assertIn("restoring table ev_a", error["notes"])
        self.assertIsNone(p.db.value("SELECT to_regclass('ev_a')"))
        p.db.psql("DELETE FROM ev WHERE id = 2; CREATE TABLE ev_a (id int)")
        self.assertRegex(p.json("restore", "c", code=5)["error"]["hint"], "has its name.*: phasegate restore c")
        p.db.psql("DROP TABLE ev_a")
        p.ok("restore", "c")
        self.assertEqual(self.ids(p), ["1"])
        self.assertEqual(p.schema(), before)


class Cascade(project.Case):
    """DROP TABLE ... CASCADE: the foreign keys of others go with it, at once and back; nothing else does unnamed."""

    BASE = """CREATE TABLE parents (id int PRIMARY KEY); INSERT INTO parents VALUES (1);
        CREATE TABLE children (id int PRIMARY KEY, p int, CONSTRAINT children_p FOREIGN KEY (p) REFERENCES parents ON DELETE CASCADE);
        INSERT INTO children VALUES (1, 1); CREATE TABLE parts (id int, p int REFERENCES parents) PARTITION BY LIST (id);
        CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1)"""

    def there(self, more="", sql="DROP TABLE parents CASCADE"):
        return self.project(plans=[contract_of(step("drop", sql))], baseline=self.BASE + ";" + more)

    def test_there_and_back_and_gone(self):
        p = self.there()
        before = p.schema()
        dry = p.json("advance", "c", "--release", "1.5.0", "--dry-run")["result"]["plans"][0]
        self.assertIn('ALTER TABLE "public"."children" DROP CONSTRAINT "children_p"', dry["steps"][0]["sql"])
        p.advance("c", "1.5.0")
        p.db.psql("INSERT INTO children VALUES (2, NULL); INSERT INTO parts VALUES (1, 1)")
        p.ok("restore", "c")
        self.assertEqual(p.schema(), before)
        p.advance("c", "1.5.0")
        p.db.psql("INSERT INTO children VALUES (3, 77)")
        p.ok("purge", "c", "--confirm", "c")
        self.assertEqual(p.db.value("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND "
                                    "connamespace <> 'phasegate'::regnamespace"), "0")
        self.assertEqual(p.db.column("SELECT id FROM children ORDER BY id"), ["1", "2", "3"])
        self.assertEqual(p.db.value("SELECT count(*) FROM pg_class WHERE relname LIKE '%parents%'"), "0")

    def test_rows_that_refer_to_nothing_hold_the_restore(self):
        """All of it or nothing: the table stays hidden until they are gone."""
        p = self.there()
        before = p.schema()
        p.advance("c", "1.5.0")
        p.db.psql("INSERT INTO children VALUES (9, 77)")
        error = p.json("restore", "c", code=5)["error"]
        self.assertEqual(error["sqlstate"], "23503")
        self.assertRegex(error["hint"], "refer to nothing.*: phasegate restore c")
        self.assertIsNone(p.db.value("SELECT to_regclass('parents')"))
        p.db.psql("DELETE FROM children WHERE p = 77")
        p.ok("restore", "c")
        self.assertEqual(p.schema(), before)

    def test_a_view_is_not_taken_along(self):
        p = self.there("CREATE VIEW few AS SELECT id FROM parents")
        p.advance("c", "1.5.0")
        self.assertIn("view public.few still depends on parents", p.refused("dependants", "purge", "c", "--confirm", "c")["message"])

    def test_without_the_word_they_stay(self):
        p = self.there(sql="DROP TABLE parents")
        p.advance("c", "1.5.0")
        self.assertIn("constraint children_p", p.refused("dependants", "purge", "c", "--confirm", "c")["message"])


class PurgeInOrder(project.Case):
    """What a step of the purge takes away first keeps nothing that comes after it; what is left then does."""

    BASE = """CREATE TABLE tickets (id bigint PRIMARY KEY, subject text, body text); INSERT INTO tickets VALUES (1, 's', 'b');
        CREATE VIEW open_tickets AS SELECT id, subject FROM tickets"""
    VIEW = step("view", "DROP VIEW open_tickets; CREATE VIEW open_tickets AS SELECT id FROM tickets; "
                        "GRANT SELECT ON open_tickets TO PUBLIC", undo={"none": "the view of before isn't kept"})
    BLOCK = step("block", "DO $$BEGIN EXECUTE 'DROP VIEW ' || 'open_tickets'; END$$", undo={"none": "the view isn't kept"})
    COLUMN = step("column", "ALTER TABLE tickets DROP COLUMN subject")

    def contracted(self, *steps, more=""):
        p = self.project(plans=[contract_of(*steps)], baseline=self.BASE + ";" + more)
        p.advance("c", "1.5.0")
        return p

    def assert_purged(self, p):
        self.assertEqual(p.status("c")["next_command"], "phasegate purge c --confirm c")
        p.json("purge", "c", "--confirm", "c", "--dry-run")
        p.ok("purge", "c", "--confirm", "c")
        self.assertEqual((p.columns("tickets"), p.stage("c")), (["id", "body"], "purged"))

    def assert_held(self, p, what):
        error = p.refused("dependants", "purge", "c", "--confirm", "c")
        self.assertIn(what, error["message"])
        self.assertIn("phasegate purge c --confirm c", error["hint"])
        self.assertIn("phasegate restore c", error["hint"])
        p.exits(4, "purge", "c", "--confirm", "c", "--dry-run")
        for more in ((), ("--flags",)):
            status = p.json("status", "c", *more)["result"]["plans"][0]
            self.assertIsNone(status["next_command"])
            self.assertEqual([m["reason"] for m in status["missing"]], ["dependants"])
        text = p.ok("status", "c").stdout
        self.assertIn("missing for the purge", text)
        self.assertNotIn("next     phasegate purge", text)

    def test_a_view_that_an_earlier_step_makes_anew(self):
        p = self.contracted(self.VIEW, self.COLUMN)
        self.assert_purged(p)
        self.assertEqual(p.columns("open_tickets"), ["id"])

    def test_a_view_that_a_block_drops(self):
        self.assert_purged(self.contracted(self.BLOCK, self.COLUMN))

    def test_a_view_that_only_a_later_step_takes(self):
        self.assert_held(self.contracted(self.COLUMN, self.VIEW), "view public.open_tickets still depends on tickets.subject")

    def test_a_hidden_view_that_is_destroyed_only_after_the_column(self):
        self.assert_held(self.contracted(self.COLUMN, step("hide", "DROP VIEW open_tickets")), "open_tickets")

    def test_a_hidden_view_that_is_destroyed_before(self):
        self.assert_purged(self.contracted(step("hide", "DROP VIEW open_tickets"), self.COLUMN))

    def test_a_step_that_has_to_do_with_something_else(self):
        other = step("rows", "DELETE FROM tickets WHERE id = 0", undo={"none": "the rows are gone"})
        self.assert_held(self.contracted(other, self.COLUMN), "view public.open_tickets")

    def test_every_one_of_them_is_named(self):
        p = self.contracted(self.VIEW, self.COLUMN, more="CREATE VIEW a AS SELECT subject FROM tickets; CREATE VIEW b AS SELECT subject FROM tickets")
        self.assert_held(p, "view public.a, view public.b still depend on tickets.subject")
        p.db.psql("DROP VIEW a, b")
        self.assert_purged(p)

    def test_what_the_step_leaves_standing_is_told_by_name(self):
        """PostgreSQL judges it in its turn: nothing of that task happens, and what came before stays done."""
        again = dict(self.VIEW, sql="DROP VIEW open_tickets; CREATE VIEW open_tickets AS SELECT * FROM tickets")
        hidden = step("gone", "ALTER TABLE tickets DROP COLUMN body")
        p = self.contracted(hidden, again, self.COLUMN)
        error = p.json("purge", "c", "--confirm", "c", code=5)["error"]
        self.assertEqual(error["sqlstate"], "2BP01")
        self.assertIn("view public.open_tickets still depends on tickets.subject. What came before it is done", error["detail"])
        self.assertIn("phasegate purge c --confirm c", error["hint"])
        self.assertNotIn("restore", error["hint"])
        self.assertEqual((p.stage("c"), len(p.columns("tickets"))), ("purging", 2))
        self.assertIsNone(p.status("c")["next_command"])
        p.db.psql("DROP VIEW open_tickets")
        self.assertEqual(p.status("c")["next_command"], "phasegate purge c --confirm c")
        p.ok("purge", "c", "--confirm", "c")
        self.assertEqual(p.columns("tickets"), ["id"])


if __name__ == "__main__":
    unittest.main()

"""What a phase will need is asked before anything moves: by the dry run, by status and by advance alike."""

import unittest

import project
from project import full_plan, phase, step

COLUMN = step("column", "ALTER TABLE orders ADD COLUMN external_ref text")


def sync(forward, reverse=None, **more):
    return dict({"table": "orders", "forward": forward, "by": "trigger"}, **(dict({"reverse": reverse}, **more) if reverse else more))


class Sync(project.Case):
    def refused(self, body, *words, baseline=project.ORDERS):
        """Dry run, status and advance say the same, and nothing has moved."""
        p = self.project(plans=[body], baseline=baseline)
        dry = p.json("advance", "orders-ref", "--release", "1.1.0", "--dry-run", code=4)["result"]["plans"][0]
        self.assertEqual([m["reason"] for m in dry["missing"]], ["requirement"])
        self.assertEqual([m["what"] for m in p.status("orders-ref")["missing"]], [dry["missing"][0]["what"]])
        self.assertIn("Would be refused", p.exits(4, "advance", "orders-ref", "--release", "1.1.0", "--dry-run").stdout)
        error = p.refused("requirement", "advance", "orders-ref", "--release", "1.1.0")
        for word in words:
            self.assertIn(word, error["message"])
        self.assertRegex(error["message"], r"\(plans/20260101000000-orders-ref.yaml:\d+:\d+\)")
        self.assertTrue(error["hint"])
        self.assertNotIn("external_ref", p.columns())
        self.assertEqual(p.db.value("SELECT count(*) FROM phasegate.plan_state"), "0")
        return p

    def goes(self, body, baseline=project.ORDERS):
        p = self.project(plans=[body], baseline=baseline)
        self.assertTrue(p.json("advance", "orders-ref", "--release", "1.1.0", "--dry-run")["result"]["plans"][0]["go"])
        p.advance("orders-ref", "1.1.0")
        return p

    def test_a_column_that_no_step_adds(self):
        self.refused(full_plan(sync=sync({"external_reff": "legacy_ref"})), "column external_reff of orders, which sync writes, isn't there",
                     'did you mean "external_ref"?')

    def test_an_old_column_that_is_not_there(self):
        self.refused(full_plan(sync=sync({"external_ref": "legacy_ref"}, {"legacy": "external_ref"})), "column legacy of orders")

    def test_a_column_that_an_expression_reads(self):
        self.refused(full_plan(sync=sync({"external_ref": "legacy_reff"})), 'column "legacy_reff" does not exist')

    def test_a_function_that_is_not_there(self):
        self.refused(full_plan(sync=sync({"external_ref": "to_external(legacy_ref)"})), "function to_external(text) does not exist")

    def test_the_way_back_over_the_column_that_is_to_come(self):
        self.refused(full_plan(sync=sync({"external_ref": "legacy_ref"}, {"legacy_ref": "no_such(external_ref)"})), "function no_such(text) does not exist")

    def test_a_table_that_is_not_there(self):
        self.refused(full_plan(sync=sync({"external_ref": "legacy_ref"}, table="order")), "table order of sync isn't there")

    def test_a_default_that_the_step_itself_gives(self):
        body = full_plan()
        body["phases"]["expand"]["steps"][0] = step("column", "ALTER TABLE orders ADD COLUMN external_ref text DEFAULT ''")
        self.refused(body, "sync can't write column external_ref of orders", "has a default in its step")

    def test_a_type_without_an_equality(self):
        body = full_plan(sync=sync({"external_ref": "to_json(legacy_ref)"}))
        body["phases"]["expand"]["steps"] = [step("column", "ALTER TABLE orders ADD COLUMN external_ref json")]
        self.refused(body, "json")

    def test_a_trigger_that_comes_after(self):
        self.refused(full_plan(), "trigger zzz fires after it", baseline=project.ORDERS + """;
            CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
            CREATE TRIGGER zzz BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION f()""")

    def test_a_function_that_a_step_makes(self):
        body = full_plan(sync=sync({"external_ref": "to_external(legacy_ref)"}))
        body["phases"]["expand"]["steps"] = [step("function", "CREATE FUNCTION to_external(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1'"), COLUMN]
        self.goes(body)

    def test_a_table_that_a_step_makes(self):
        body = full_plan(sync=sync({"external_ref": "legacy_ref"}, table="lines"))
        body["phases"]["expand"]["steps"] = [step("table", "CREATE TABLE lines (id bigint PRIMARY KEY, legacy_ref text, external_ref text)")]
        self.goes(body)

    def test_what_a_block_does_nobody_can_tell(self):
        body = full_plan(sync=sync({"external_ref": "legacy_ref"}))
        body["phases"]["expand"]["steps"] = [step("column", "DO $$ BEGIN EXECUTE 'ALTER TABLE orders ADD COLUMN external_ref text'; END $$",
                                                  undo={"none": "test"}, applied_when="SELECT false")]
        self.goes(body)

    def test_a_column_that_the_plan_before_still_makes(self):
        """One thing at a time: it isn't there because the other plan hasn't run."""
        first = project.column_plan("a-first")
        body = full_plan(stamp=20260102000000, depends_on=[{"plan": "a-first", "phase": "expand"}])
        body["phases"]["expand"]["steps"] = [step("index", "CREATE INDEX CONCURRENTLY orders_external_ref ON orders (external_ref)")]
        p = self.project(plans=[first, body])
        self.assertEqual([m["reason"] for m in p.status("orders-ref")["missing"]], ["dependency"])
        p.advance("a-first", "1.1.0")
        p.advance("orders-ref", "1.1.0")

    def test_a_skeleton_has_nothing_to_do(self):
        p = self.project()
        p.ok("new", "fresh")
        dry = p.json("advance", "fresh", "--release", "1.0.0", "--dry-run", code=4)["result"]["plans"][0]
        self.assertIn("expand has no step, and nothing else to do (plans/", dry["missing"][0]["what"])
        p.refused("requirement", "advance", "fresh", "--release", "1.0.0")

    def test_a_locked_table_keeps_nobody_from_looking(self):
        p = self.project(plans=[full_plan()])
        with p.db.session("BEGIN", "LOCK TABLE orders"):
            self.assertTrue(p.status("orders-ref")["go"])

    def test_installing_says_where_as_well(self):
        """What no look ahead could tell."""
        body = full_plan(sync=sync({"external_ref": "to_external(legacy_ref)"}))
        body["phases"]["expand"]["steps"] = [step("other", "CREATE FUNCTION from_external(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1'"), COLUMN]
        p = self.project(plans=[body])
        error = p.json("advance", "orders-ref", "--release", "1.1.0", code=2)["error"]
        self.assertRegex(error["message"], r"plans/20260101000000-orders-ref.yaml:\d+:\d+: sync can't be installed: .*to_external\(text\) does not exist")


STRICT = """CREATE TABLE orders (id bigint PRIMARY KEY, legacy_ref text NOT NULL);
INSERT INTO orders SELECT i, 'R' || i FROM generate_series(1, 500) i; GRANT SELECT (legacy_ref) ON orders TO pg_monitor"""


class Drops(project.Case):
    """What contract will hide, word for word, and what it will cost."""

    def at_contract(self, baseline=STRICT, **more):
        p = self.project(plans=[full_plan(**more)], baseline=baseline)
        p.advance_through("orders-ref", "write_activation")
        return p

    def dry(self, p, code=0):
        return p.json("advance", "orders-ref", "--release", "1.5.0", "--dry-run", code=code)["result"]["plans"][0]

    def ran(self, p):
        """The statements of the soft drop as they were journalled."""
        return p.db.value("SELECT sql FROM phasegate.migration_history WHERE step = 'drop-legacy' AND status = 'done'").split("\n;\n")

    def test_every_statement_of_it(self):
        p = self.at_contract()
        [task] = [s for s in self.dry(p)["steps"] if s["id"] == "drop-legacy"]
        for word in ("DROP NOT NULL", "REVOKE SELECT", 'RENAME COLUMN "legacy_ref"'):
            self.assertTrue(any(word in sql for sql in task["sql"]), (word, task["sql"]))
        for word in ("SET NOT NULL", "GRANT SELECT", "RENAME COLUMN"):
            self.assertIn(word, task["undo"])
        self.assertTrue(any("CREATE OR REPLACE FUNCTION" in sql for sql in task["sql"]), "the trigger follows the column")
        p.advance("orders-ref", "1.5.0")
        ran = self.ran(p)
        self.assertEqual(task["sql"][:len(ran)], ran)
        self.assertEqual(len([sql for sql in ran if "00_phasegate_trap_" in sql]), 2)
        self.assertEqual(len(ran), 5, ran)

    def test_not_null_is_lost_and_that_is_said(self):
        p = self.at_contract()
        want = "column legacy_ref of orders is NOT NULL, and external_ref, which takes its place, isn't"
        [task] = [s for s in self.dry(p)["steps"] if s["id"] == "drop-legacy"]
        self.assertIn(want, task["note"])
        self.assertIn(want, p.ok("advance", "orders-ref", "--release", "1.5.0", "--dry-run").stdout)
        self.assertIn(want, p.ok("advance", "orders-ref", "--release", "1.5.0").stderr)

    def test_not_null_is_kept_by_a_step(self):
        body = full_plan()
        body["phases"]["contract"]["steps"].insert(0, step("present", "ALTER TABLE orders ALTER COLUMN external_ref SET NOT NULL"))
        p = self.project(plans=[body], baseline=STRICT)
        p.advance_through("orders-ref", "write_activation")
        self.assertIsNone([s for s in self.dry(p)["steps"] if s["id"] == "drop-legacy"][0]["note"])
        self.assertNotIn("takes its place", p.ok("advance", "orders-ref", "--release", "1.5.0").stderr)

    def test_not_null_is_kept_by_a_check(self):
        p = self.at_contract()
        p.db.psql("ALTER TABLE orders ADD CONSTRAINT present CHECK (external_ref IS NOT NULL)")
        self.assertIsNone([s for s in self.dry(p)["steps"] if s["id"] == "drop-legacy"][0]["note"])

    def test_a_column_that_could_be_null_before(self):
        p = self.at_contract(baseline=project.ORDERS)
        self.assertIsNone([s for s in self.dry(p)["steps"] if s["id"] == "drop-legacy"][0]["note"])

    def test_what_can_not_be_hidden_is_refused_before_anything_moves(self):
        body = full_plan()
        body["phases"]["contract"]["steps"] = [step("drop-key", "ALTER TABLE orders DROP COLUMN id")]
        p = self.project(plans=[body])
        p.advance_through("orders-ref", "write_activation")
        dry = self.dry(p, 4)
        self.assertEqual([m["reason"] for m in dry["missing"]], ["requirement"])
        self.assertIn("belongs to primary key", dry["missing"][0]["what"])
        error = p.refused("requirement", "advance", "orders-ref", "--release", "1.5.0")
        self.assertRegex(error["message"], r"\(plans/20260101000000-orders-ref.yaml:\d+:\d+\)")
        self.assertEqual(p.stage("orders-ref"), "write_activation done")

    def test_a_step_before_it_may_change_that(self):
        body = full_plan()
        body["phases"]["contract"]["steps"] = [step("key", "ALTER TABLE orders DROP CONSTRAINT orders_pkey"),
                                               step("drop-key", "ALTER TABLE orders DROP COLUMN id")]
        body["phases"]["contract"]["steps"].insert(0, step("other", "ALTER TABLE orders ALTER COLUMN id SET DEFAULT 0"))
        p = self.project(plans=[body])
        p.advance_through("orders-ref", "contract")

    def test_contract_alone_on_a_database_without_a_ledger(self):
        p = self.project(plans=[project.plan("orders-ref", phases={"contract": phase("contract", steps=[
            step("drop-legacy", "ALTER TABLE orders DROP COLUMN legacy_ref")])})], baseline=STRICT)
        self.assertEqual([(s["id"], s["lock"]) for s in self.dry(p)["steps"]], [("drop-legacy", "ACCESS EXCLUSIVE")])
        seen = p.json("status", "orders-ref", "--flags")["result"]["plans"][0]
        self.assertTrue(seen["go"], "the phases that are absent are passed over")
        p.advance("orders-ref", "1.5.0")
        self.assertNotIn("legacy_ref", p.columns())


class Flags(project.Case):
    def test_somebody_raised_the_write_flag_before_its_turn(self):
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "dual_read")
        p.ok("flags", "set", "orders-ref-write", "50", "--because", "a test")
        missing = p.json("status", "orders-ref", "--flags")["result"]["plans"][0]["missing"]
        self.assertEqual([m["reason"] for m in missing], ["flag_in_doubt"])
        self.assertIn('flag "orders-ref-write" is at 50 % and was left off', missing[0]["what"])
        dry = p.json("advance", "orders-ref", "--release", "1.3.0", "--dry-run", code=4)["result"]["plans"][0]
        self.assertEqual([m["what"] for m in dry["missing"]], [missing[0]["what"]])
        p.refused("flag_in_doubt", "advance", "orders-ref", "--release", "1.3.0")
        self.assertEqual(p.stage("orders-ref"), "dual_read done")
        p.ok("flags", "set", "orders-ref-write", "0", "--because", "back")
        p.advance("orders-ref", "1.3.0")

    def test_and_the_read_flag(self):
        p = self.project(plans=[full_plan()])
        p.advance("orders-ref", "1.1.0")
        p.ok("flags", "set", "orders-ref-read", "10", "--because", "a test")
        p.refused("flag_in_doubt", "advance", "orders-ref", "--release", "1.2.0")
        self.assertEqual(p.stage("orders-ref"), "expand done")


if __name__ == "__main__":
    unittest.main()

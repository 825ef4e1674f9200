"""rollback: each phase back the way it came, where nothing is lost; forward only where something would be."""

import json
import os
import unittest

import pgtest
import project
import yaml
from project import BOUND, full_plan, phase, plan, step

REVERSE = {"legacy_ref": "external_ref"}


class LiveReleases(project.Case):
    """Expand let releases in: while one of them is live, its additions stay."""

    def test_expand_stays_under_a_release_that_it_let_in(self):
        p = self.project(plans=[full_plan()], live={"sessions": {"application_name": "shop/%"}})
        before = p.schema()
        p.advance("orders-ref", "1.1.0")
        for version in ("1.1.0", "1.4.0"):
            with self.shop(p, version):
                error = p.refused("releases_live", "rollback", "orders-ref")
                self.assertIn("release %s is live, and expand let in 1.1.0 and those after it" % version, error["message"])
                self.assertIn("roll the application back to 1.0.0 and stop the instances of %s, then: phasegate rollback orders-ref" % version,
                              error["hint"])
                dry = p.json("rollback", "orders-ref", "--dry-run", code=4)["result"]["dry_run"]
                self.assertEqual([m["reason"] for m in dry["missing"]], ["releases_live"])
            self.assertEqual(p.stage("orders-ref"), "expand done")
        with self.shop(p, "1.0.0"):
            p.ok("rollback", "orders-ref")
        self.assertEqual((p.stage("orders-ref"), p.schema()), ("planned", before))

    def test_the_phases_after_it_go_back_under_any_release(self):
        p = self.project(plans=[full_plan()], live={"sessions": {"application_name": "shop/%"}})
        p.advance_through("orders-ref", "write_activation")
        with self.shop(p, "1.3.0"):
            p.ok("rollback", "orders-ref")
            p.ok("rollback", "orders-ref")
            p.refused("releases_live", "rollback", "orders-ref")

    def test_an_expand_that_stopped_halfway_let_nobody_in(self):
        body = full_plan()
        body["phases"]["expand"]["steps"].append(step("bad", "CREATE TABLE x AS SELECT 1/0 AS y"))
        p = self.project(plans=[body], live={"sessions": {"application_name": "shop/%"}})
        p.exits(5, "advance", "orders-ref", "--release", "1.1.0")
        with self.shop(p, "1.4.0"):
            p.ok("rollback", "orders-ref")

    def shop(self, p, version):
        there = pgtest.Session(p.db.url + ("&" if "?" in p.db.url else "?") + "application_name=shop/" + version)
        there.run("SELECT 1")
        return there


class EachPhase(project.Case):
    def test_all_the_way_back(self):
        p = self.project(plans=[full_plan()], environment="production")
        before = p.schema()
        p.advance_through("orders-ref", "write_activation")
        p.ok("rollback", "orders-ref")
        self.assertEqual((p.stage("orders-ref"), p.flag("orders-ref-read"), p.flag("orders-ref-write")), ("dual_read done", 100, 0))
        p.ok("rollback", "orders-ref")
        self.assertEqual((p.stage("orders-ref"), p.flag("orders-ref-read")), ("expand done", 0))
        p.ok("rollback", "orders-ref")
        self.assertEqual(p.stage("orders-ref"), "planned")
        self.assertEqual(p.schema(), before)
        error = p.refused("nothing_to_undo", "rollback", "orders-ref")
        self.assertIn("nothing was applied yet", error["message"])
        self.assertEqual(p.db.value("SELECT count(*) FROM orders"), "500")

    def test_and_forwards_again(self):
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "write_activation")
        for _ in range(3):
            p.ok("rollback", "orders-ref")
        p.db.psql("UPDATE orders SET legacy_ref = 'between' WHERE id = 3")
        p.advance_through("orders-ref", "contract")
        self.assertEqual(p.db.value("SELECT count(*) FROM orders WHERE external_ref IS NULL"), "0")
        self.assertEqual(p.db.value("SELECT external_ref FROM orders WHERE id = 3"), "between")
        self.assertEqual((p.flag("orders-ref-read"), p.flag("orders-ref-write")), (100, 100))

    def test_a_phase_that_stopped_halfway(self):
        body = full_plan()
        body["phases"]["expand"]["steps"].append(step("bad", "CREATE TABLE x AS SELECT 1/0 AS y"))
        p = self.project(plans=[body])
        before = p.schema()
        p.exits(5, "advance", "orders-ref", "--release", "1.1.0")
        p.ok("rollback", "orders-ref")
        self.assertEqual((p.stage("orders-ref"), p.schema()), ("planned", before))

    def test_a_rollout_that_stopped_halfway(self):
        p = self.project(plans=[full_plan(pause="60s")])
        p.advance("orders-ref", "1.1.0")
        p.exits(5, "advance", "orders-ref", "--release", "1.2.0", "--no-wait")
        self.assertEqual(p.flag("orders-ref-read"), 10)
        p.ok("rollback", "orders-ref")
        self.assertEqual((p.flag("orders-ref-read"), p.stage("orders-ref")), (0, "expand done"))

    def test_a_paused_plan_may_go_back(self):
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "dual_read")
        p.ok("pause", "orders-ref")
        p.ok("rollback", "orders-ref")
        self.assertEqual((p.stage("orders-ref"), p.brake("orders-ref")), ("expand done", "none"))

    def test_what_is_checked_is_checked_again(self):
        body = full_plan()
        body["phases"]["dual_read"]["compare"] = {"sample": "100%", "max_mismatch": 0}
        p = self.project(plans=[body])
        p.advance_through("orders-ref", "dual_read")
        p.ok("rollback", "orders-ref")
        p.db.psql("ALTER TABLE orders DISABLE TRIGGER USER; UPDATE orders SET legacy_ref = 'odd' WHERE id = 7; "
                  "ALTER TABLE orders ENABLE TRIGGER USER")
        answer = p.json("advance", "orders-ref", "--release", "1.2.0", code=1)
        self.assertIn(answer["error"]["reason"], ("not_verified", "mismatch"))

    def test_steps_in_reverse(self):
        body = full_plan(phases={"expand": phase("expand", steps=[
            step("a", "CREATE TABLE a (id int PRIMARY KEY)"), step("b", "CREATE TABLE b (id int REFERENCES a)"),
            step("column", "ALTER TABLE orders ADD COLUMN external_ref text"),
            step("index", "CREATE INDEX CONCURRENTLY orders_external_ref ON orders (external_ref)")],
            finish=[step("view", "CREATE VIEW refs AS SELECT external_ref FROM orders")])})
        p = self.project(plans=[body])
        before = p.schema()
        p.advance("orders-ref", "1.1.0")
        p.ok("rollback", "orders-ref")
        self.assertEqual(p.schema(), before)
        undone = p.db.column("SELECT step FROM phasegate.migration_history WHERE status = 'undone' ORDER BY seq")
        self.assertEqual([s for s in undone if "/" not in s or s.startswith("finish")], ["finish/view", "index", "column", "b", "a"])

    def test_the_stored_undo_is_run_not_todays_file(self):
        body = full_plan()
        p = self.project(plans=[body])
        p.advance("orders-ref", "1.1.0")
        body["phases"]["expand"]["steps"][0]["undo"] = "DROP TABLE orders"
        p.write_plan(body)
        p.run("accept", "orders-ref", "--because", "test")
        p.ok("rollback", "orders-ref")
        self.assertEqual(p.columns(), ["id", "legacy_ref"])

    def test_an_authors_undo_of_several_statements(self):
        body = plan("p", phases={"expand": phase("expand", steps=[
            step("t", "CREATE TABLE t (x int); CREATE TABLE u (x int)", undo="DROP TABLE u; DROP TABLE t;")]),
            "dual_read": phase("dual_read")})
        p = self.project(plans=[body])
        p.advance("p", "1.1.0")
        p.ok("rollback", "p")
        self.assertIsNone(p.db.value("SELECT coalesce(to_regclass('t'), to_regclass('u'))"))


class WhatWasStored(project.Case):
    """The way back is written down before the phase runs, and is whole before it is gone."""

    def advanced(self, body=None, **more):
        p = self.project(plans=[body or full_plan()], **more)
        p.advance((body or full_plan())["plan"], "1.1.0")
        return p

    def tamper(self, p, statement):
        p.db.psql("ALTER TABLE phasegate.migration_history DISABLE TRIGGER USER; " + statement +
                  "; ALTER TABLE phasegate.migration_history ENABLE TRIGGER USER")

    def damaged(self, p, words, command="rollback", name="orders-ref"):
        """Refused before anything goes back."""
        before = p.dump()
        error = p.refused("undo_damaged", command, name)
        self.assertIn(words, error["message"])
        dry = p.json(command, name, "--dry-run", code=4)["result"]["dry_run"]
        self.assertIn("undo_damaged", [m["reason"] for m in dry["missing"]])
        self.assertEqual(p.dump(), before)
        return error

    def test_with_the_row_that_begins_the_phase(self):
        body = full_plan()
        body["phases"]["expand"]["steps"] = [step("bad", "CREATE TABLE x AS SELECT 1/0 AS y")] + body["phases"]["expand"]["steps"] + \
            [step("stays", "CREATE TABLE s ()", undo={"none": "it is empty"})]
        p = self.project(plans=[body])
        p.exits(5, "advance", "orders-ref", "--release", "1.1.0")
        [[undo, detail]] = p.db.psql("SELECT undo_sql, detail FROM phasegate.migration_history WHERE kind = 'transition' AND step = 'advance'")
        chain = json.loads(detail)["chain"]
        self.assertEqual([(c["step"], c["reversibility"]) for c in chain],
                         [("sync/trigger", "lossless"), ("stays", "irreversible"), ("index", "lossless"), ("column", "lossless"),
                          ("bad", "lossless")])
        places = [undo.index(word) for word in ("DROP TRIGGER", "DROP INDEX CONCURRENTLY", "DROP COLUMN", "DROP TABLE")]
        self.assertEqual(places, sorted(places))
        p.ok("history", "--verify")

    def test_an_edited_undo(self):
        for change in ("undo_sql = 'DROP TABLE orders'", "detail = '{\"undo\": [{\"sql\": \"DROP TABLE orders\"}]}'", "undo_sql = NULL, detail = NULL"):
            p = self.advanced()
            self.tamper(p, "UPDATE phasegate.migration_history SET %s WHERE step = 'column'" % change)
            error = self.damaged(p, "the undo of expand isn't what was stored")
            self.assertIn("phasegate history --verify", error["hint"])
            self.assertIn("phasegate new NAME --compensates orders-ref", error["hint"])

    def test_an_edited_chain(self):
        p = self.advanced()
        self.tamper(p, "UPDATE phasegate.migration_history SET detail = '{\"chain\": []}' WHERE step = 'advance'")
        self.damaged(p, "isn't what was stored")

    def test_a_lost_row(self):
        for lost in ("column", "index", "sync/trigger"):
            p = self.advanced()
            p.db.psql("DELETE FROM phasegate.migration_history WHERE step = '%s'" % lost)
            error = self.damaged(p, "no row of step %s of expand" % lost)
            self.assertIn("phasegate advance orders-ref --release 1.1.0 --force", error["hint"])
            p.ok("advance", "orders-ref", "--release", "1.1.0", "--force")
            p.ok("rollback", "orders-ref")

    def test_a_lost_beginning(self):
        p = self.advanced()
        p.db.psql("DELETE FROM phasegate.migration_history WHERE step = 'advance'")
        self.damaged(p, "no row of the beginning of expand")

    def test_a_lost_row_of_a_phase_that_stopped(self):
        body = full_plan()
        body["phases"]["expand"]["steps"].append(step("bad", "CREATE TABLE x AS SELECT 1/0 AS y"))
        p = self.project(plans=[body])
        p.exits(5, "advance", "orders-ref", "--release", "1.1.0")
        p.db.psql("DELETE FROM phasegate.migration_history WHERE step = 'column'")
        self.damaged(p, "no row of step column")

    def test_an_edited_restore(self):
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "contract")
        p.db.psql("UPDATE phasegate.soft_drop SET restore_sql = 'DROP TABLE orders'")
        for command in ("restore", "rollback"):
            self.damaged(p, "what brings column legacy_ref back isn't what was stored", command)

    def test_steps_that_the_file_has_no_more(self):
        body = full_plan(phases={"expand": phase("expand", steps=[
            step("a", "CREATE TABLE a (id int PRIMARY KEY)"), step("b", "CREATE TABLE b (id int REFERENCES a)"),
            step("column", "ALTER TABLE orders ADD COLUMN external_ref text")])})
        p = self.project(plans=[body])
        before = p.schema()
        p.advance("orders-ref", "1.1.0")
        steps = body["phases"]["expand"]["steps"]
        body["phases"]["expand"]["steps"] = [steps[1], steps[0]]
        p.write_plan(body)
        p.ok("rollback", "orders-ref")
        self.assertEqual(p.schema(), before)
        undone = p.db.column("SELECT step FROM phasegate.migration_history WHERE status = 'undone' ORDER BY seq")
        self.assertEqual(undone, ["sync/trigger", "column", "b", "a"])

    def test_what_it_would_lose_is_stored_too(self):
        body = plan("p", phases={"expand": phase("expand", steps=[
            step("say", "ALTER TABLE orders ADD COLUMN IF NOT EXISTS a int, ADD COLUMN IF NOT EXISTS b int"), step("t", "CREATE TABLE t ()")]),
                                 "dual_read": phase("dual_read")})
        p = self.advanced(body, environment="production")
        self.assertIn("undoing step say would lose data", p.refused("forward_only", "rollback", "p")["message"])
        del body["phases"]["expand"]["steps"][0]
        p.write_plan(body)
        self.assertIn("undoing step say would lose data", p.refused("forward_only", "rollback", "p")["message"])

    def test_rows_of_an_older_version(self):
        """Without a chain, and without a word of what would be lost."""
        p = self.advanced()
        before = p.db.psql("SELECT count(*) FROM phasegate.migration_history")
        self.tamper(p, """UPDATE phasegate.migration_history AS m SET undo_sql = NULL, detail = NULL WHERE step = 'advance';
            UPDATE phasegate.migration_history SET detail = NULL WHERE step = 'sync/trigger';
            UPDATE phasegate.migration_history SET detail = detail - 'lossless' WHERE detail ? 'lossless';
            UPDATE phasegate.migration_history AS h SET hash = sha256(h.prev_hash || convert_to(jsonb_build_array(
               h.seq, h.plan, h.phase, h.step, h.kind, h.description, h.checksum, (EXTRACT(epoch FROM h.applied_at) * 1000000)::bigint,
               h.applied_by, h.status, h.duration_ms, h.run_id, h.host, h.release, h.sql, h.undo_sql, h.detail, h.machine_row)::text, 'UTF8'))""")
        self.assertEqual(p.db.psql("SELECT count(*) FROM phasegate.migration_history"), before)
        p.ok("rollback", "orders-ref")
        self.assertEqual((p.columns(), p.triggers()), (["id", "legacy_ref"], []))


class Lossless(project.Case):
    def one_way(self, environment, **more):
        """Writes went to the new shape, and sync knows no way back."""
        sync = {"table": "orders", "forward": {"external_ref": "legacy_ref"}, "by": "trigger"}
        p = self.project(plans=[full_plan(sync=sync)], environment=environment, **more)
        p.advance_through("orders-ref", "write_activation")
        return p

    def test_refused_in_production(self):
        p = self.one_way("production")
        error = p.refused("forward_only", "rollback", "orders-ref")
        self.assertIn("going back would lose them", error["message"])
        self.assertIn("phasegate new NAME --compensates orders-ref", error["hint"])
        self.assertEqual((p.stage("orders-ref"), p.flag("orders-ref-write")), ("write_activation done", 100))
        dry = p.json("rollback", "orders-ref", "--dry-run", code=4)["result"]["dry_run"]
        self.assertEqual(dry["missing"][0]["reason"], "forward_only")

    def test_allowed_elsewhere(self):
        p = self.one_way("staging")
        p.ok("rollback", "orders-ref")
        self.assertEqual((p.stage("orders-ref"), p.flag("orders-ref-write")), ("dual_read done", 0))

    def test_by_policy(self):
        p = self.one_way("staging", policy={"forward_only": True})
        p.refused("forward_only", "rollback", "orders-ref")
        p = self.one_way("production", env_policy={"forward_only": False})
        p.ok("rollback", "orders-ref")

    def test_a_step_without_a_way_back(self):
        body = plan("p", phases={"expand": phase("expand", steps=[step("t", "CREATE TABLE t ()", undo={"none": "it stays"})]),
                                 "dual_read": phase("dual_read")})
        p = self.project(plans=[body], environment="production")
        p.advance("p", "1.1.0")
        error = p.refused("forward_only", "rollback", "p")
        self.assertIn("step t of expand has no undo", error["message"])
        p = self.project(plans=[body])
        p.advance("p", "1.1.0")
        p.ok("rollback", "p")
        self.assertEqual(p.db.value("SELECT count(*) FROM t"), "0")

    def test_only_what_was_applied_counts(self):
        body = plan("p", phases={"expand": phase("expand", steps=[
            step("my", "CREATE TABLE m ()", undo={"none": "it stays"}, dbms="mysql"), step("t", "CREATE TABLE t ()")]),
            "dual_read": phase("dual_read")})
        p = self.project(plans=[body], environment="production")
        p.advance("p", "1.1.0")
        p.ok("rollback", "p")


class OnFailure(project.Case):
    """policy.on_failure: undo: an expand that fails leaves nothing behind."""

    def failing(self, last=None, undo="undo", **more):
        body = full_plan(phases={"expand": phase("expand", steps=[
            step("column", "ALTER TABLE orders ADD COLUMN external_ref text"),
            step("index", "CREATE INDEX CONCURRENTLY orders_external_ref ON orders (external_ref)"),
            last or step("bad", "CREATE TABLE x AS SELECT 1/0 AS y")])})
        p = self.project(plans=[body], policy={"on_failure": undo}, **more)
        return p, body

    def test_it_undoes_itself(self):
        p, body = self.failing(environment="production")
        before = p.schema()
        error = p.json("advance", "orders-ref", "--release", "1.1.0", code=5)["error"]
        self.assertIn("division by zero", error["message"])
        self.assertIn('The phase was undone (policy.on_failure: undo): plan orders-ref stands at "planned"', error["detail"])
        self.assertEqual((p.schema(), p.stage("orders-ref")), (before, "planned"))
        self.assertIn("policy.on_failure is undo",
                      p.db.value("SELECT description FROM phasegate.migration_history WHERE step = 'rollback'"))
        p.ok("history", "--verify")
        body["phases"]["expand"]["steps"][2]["sql"] = "CREATE TABLE x AS SELECT 1 AS y"
        p.write_plan(body)
        p.advance("orders-ref", "1.1.0")

    def test_by_default_it_stays_where_it_stopped(self):
        p, _ = self.failing(undo="stop")
        error = p.json("advance", "orders-ref", "--release", "1.1.0", code=5)["error"]
        self.assertNotIn("undone", error["detail"] or "")
        self.assertEqual((p.stage("orders-ref"), p.columns()), ("expand running", ["id", "legacy_ref", "external_ref"]))

    def test_not_where_something_would_be_lost(self):
        p, body = self.failing()
        body["phases"]["expand"]["steps"].insert(0, step("stays", "CREATE TABLE s ()", undo={"none": "it is empty"}))
        p.write_plan(body)
        p.exits(5, "advance", "orders-ref", "--release", "1.1.0")
        self.assertEqual(p.stage("orders-ref"), "expand running")

    def test_not_after_expand(self):
        body = full_plan()
        body["phases"]["dual_read"]["steps"] = [step("bad", "CREATE TABLE x AS SELECT 1/0 AS y")]
        p = self.project(plans=[body], policy={"on_failure": "undo"})
        p.advance("orders-ref", "1.1.0")
        p.exits(5, "advance", "orders-ref", "--release", "1.2.0")
        self.assertEqual(p.stage("orders-ref"), "dual_read running")

    def test_an_undo_that_fails_as_well(self):
        p, body = self.failing()
        body["phases"]["expand"]["steps"][0]["undo"] = "ALTER TABLE orders DROP COLUMN no_such_column"
        p.write_plan(body)
        error = p.json("advance", "orders-ref", "--release", "1.1.0", code=5)["error"]
        self.assertIn("division by zero", error["message"])
        self.assertIn("Undoing it (policy.on_failure: undo) failed as well", error["detail"])
        self.assertIn("phasegate rollback orders-ref", error["hint"])
        self.assertEqual(p.stage("orders-ref"), "expand undoing")


class FromTheCatalogue(project.Case):
    """What only the catalogue knows is read right before the step, and stored with it."""

    SHAPE = """ALTER TABLE orders ALTER legacy_ref SET DEFAULT 'o''ld', ADD COLUMN n int, ADD COLUMN m int;
        CREATE UNIQUE INDEX orders_n ON orders (n) INCLUDE (m); CREATE UNIQUE INDEX orders_m ON orders (m) WITH (fillfactor = 60);
        CREATE FUNCTION twice(i int) RETURNS int LANGUAGE sql AS 'SELECT 2 * i'; COMMENT ON TABLE orders IS 'all of them'"""

    def shaped(self, *steps, **more):
        p = self.project(plans=[plan("p", phases={"expand": phase("expand", steps=list(steps)), "dual_read": phase("dual_read")})], **more)
        p.db.psql(self.SHAPE)
        return p, p.schema()

    def test_all_of_it_comes_back(self):
        p, before = self.shaped(
            step("index", "ALTER TABLE orders ADD CONSTRAINT orders_n_key UNIQUE USING INDEX orders_n"),
            step("same", "ALTER TABLE orders ADD CONSTRAINT orders_m UNIQUE USING INDEX orders_m"),
            step("default", "ALTER TABLE orders ALTER legacy_ref SET DEFAULT 'new'"),
            step("function", "CREATE OR REPLACE FUNCTION twice(i int) RETURNS int LANGUAGE sql AS 'SELECT i + i'"),
            step("words", "COMMENT ON TABLE orders IS 'new'"), environment="production")
        dry = p.json("advance", "p", "--release", "1.1.0", "--dry-run")["result"]["plans"][0]
        self.assertEqual([s["reversibility"] for s in dry["steps"]], ["lossless"] * 5)
        self.assertIn("CREATE UNIQUE INDEX CONCURRENTLY \"orders_n\" ON public.orders USING btree (n) INCLUDE (m)", dry["steps"][0]["undo"])
        self.assertIn("SET DEFAULT 'o''ld'", dry["steps"][2]["undo"])
        p.advance("p", "1.1.0")
        self.assertNotEqual(p.schema(), before)
        p.ok("rollback", "p")
        self.assertEqual(p.schema(), before)
        p.advance("p", "1.1.0")
        p.ok("rollback", "p")
        self.assertEqual(p.schema(), before)

    def test_a_second_run_keeps_the_first_ones(self):
        """printed_default can't know how the server writes this one: --force sets it again."""
        p, before = self.shaped(step("default", "ALTER TABLE orders ALTER legacy_ref SET DEFAULT 'a' || 'b'"))
        p.advance("p", "1.1.0")
        p.ok("advance", "p", "--release", "1.1.0", "--force")
        p.ok("rollback", "p")
        self.assertEqual(p.schema(), before)

    def test_of_what_the_step_made_before_it_knows_nothing(self):
        p, _ = self.shaped(step("both", "ALTER TABLE orders ALTER legacy_ref SET DEFAULT 'x'; ALTER TABLE orders ALTER legacy_ref SET DEFAULT 'y'"))
        dry = p.json("advance", "p", "--release", "1.1.0", "--dry-run")["result"]["plans"][0]
        self.assertEqual([s["reversibility"] for s in dry["steps"]], ["irreversible"])

    def test_what_can_not_be_asked_goes_by_what_the_step_says(self):
        """As an earlier statement of it has changed what there would be to ask about."""
        for sql, how in (("CREATE TABLE made (id int); ALTER TABLE made ADD CONSTRAINT made_pkey PRIMARY KEY (id)", "lossless"),
                         ("CREATE TABLE made (id int); GRANT SELECT, INSERT ON made TO PUBLIC", "lossless"),
                         ("ALTER TABLE orders ADD COLUMN c int; GRANT SELECT, UPDATE ON orders TO PUBLIC", "lossy"),
                         ("CREATE TRIGGER t BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger(); "
                          "ALTER TABLE orders DISABLE TRIGGER t", "lossy")):
            p, before = self.shaped(step("both", sql))
            dry = p.json("advance", "p", "--release", "1.1.0", "--dry-run")["result"]["plans"][0]
            self.assertEqual([s["reversibility"] for s in dry["steps"]], [how], sql)
            p.advance("p", "1.1.0")
            p.ok("rollback", "p")
            self.assertEqual(p.schema(), before, sql)

    def test_held_by_a_foreign_key(self):
        p, _ = self.shaped(step("index", "ALTER TABLE orders ADD CONSTRAINT orders_n_key UNIQUE USING INDEX orders_n"))
        p.db.psql("CREATE TABLE refers (n int REFERENCES orders (n))")
        dry = p.json("advance", "p", "--release", "1.1.0", "--dry-run")["result"]["plans"][0]
        self.assertEqual([(s["reversibility"], s["undo"]) for s in dry["steps"]], [("irreversible", None)])
        self.assertIn("no way back", dry["steps"][0]["note"])
        p.advance("p", "1.1.0")
        after = p.schema()
        dry = p.json("rollback", "p", "--dry-run")["result"]["dry_run"]
        self.assertEqual([s["reversibility"] for s in dry["steps"]], ["irreversible"])
        done = p.ok("rollback", "p")
        self.assertIn("it has no undo: what it made stays", done.stdout + done.stderr)
        self.assertEqual(p.schema(), after)


class DryRun(project.Case):
    def test_the_way_back_is_shown_and_not_gone(self):
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "write_activation")
        before, files = p.dump(), p.tree()
        dry = p.json("rollback", "orders-ref", "--dry-run")["result"]["dry_run"]
        self.assertEqual([s["id"] for s in dry["steps"]], ["write/0%"])
        self.assertIn("set orders-ref-write to 0 %", dry["steps"][0]["request"])
        self.assertEqual((p.dump(), p.tree()), (before, files))

    def test_statements_in_their_order(self):
        p = self.project(plans=[full_plan()])
        p.advance("orders-ref", "1.1.0")
        dry = p.json("rollback", "orders-ref", "--dry-run")["result"]["dry_run"]
        self.assertEqual([s["id"] for s in dry["steps"]], ["sync/trigger", "index", "column"])
        self.assertIn("DROP INDEX CONCURRENTLY", dry["steps"][1]["sql"][0])
        self.assertEqual({s["reversibility"] for s in dry["steps"]}, {"lossless"})

    def test_restore(self):
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "contract")
        dry = p.json("restore", "orders-ref", "--dry-run")["result"]["dry_run"]
        self.assertEqual([s["id"] for s in dry["steps"]], ["drop-legacy"])
        self.assertIn("DROP TRIGGER", dry["steps"][0]["sql"][0])
        self.assertIn("RENAME COLUMN", "\n".join(dry["steps"][0]["sql"]))
        self.assertIn("legacy_ref", p.ok("restore", "orders-ref", "--dry-run").stdout)


class Compensating(project.Case):
    def test_a_plan_that_undoes_another_by_going_forward(self):
        p = self.project(plans=[full_plan()], environment="production")
        p.advance_through("orders-ref", "contract")
        p.ok("purge", "orders-ref", "--confirm", "orders-ref")
        p.refused("complete", "rollback", "orders-ref")
        path = p.ok("new", "bring-it-back", "--compensates", "orders-ref").stdout.strip()
        self.assertTrue(path.startswith("plans/"), path)
        body = plan("bring-it-back", 20260601000000, {"expand": {"release": "1.6.0", "steps": [
            step("column", "ALTER TABLE orders ADD COLUMN legacy_ref text")]}}, compensates="orders-ref")
        os.unlink(p.path(path))
        p.write_plan(body)
        self.assertIsNone(p.status("orders-ref")["undone_by"])
        self.assertNotIn("is undone by", p.ok("history").stdout)
        p.advance("bring-it-back", "1.6.0")
        self.assertEqual(p.status("orders-ref")["undone_by"], "bring-it-back")
        self.assertIn("orders-ref is undone by bring-it-back", p.ok("history").stdout)
        [database] = p.json("history")["result"]["databases"]
        self.assertEqual(database["compensations"], [{"plan": "orders-ref", "by": "bring-it-back"}])
        self.assertIn("orders-ref is undone by bring-it-back", p.ok("history").stdout)

    def test_the_skeleton_takes_away_what_was_made(self):
        body = full_plan(phases={"expand": phase("expand", steps=[
            step("column", "ALTER TABLE orders ADD COLUMN external_ref text"),
            step("pair", "CREATE TABLE a (x int); CREATE TABLE b (x int)", undo="DROP TABLE b; -- the second first\nDROP TABLE a"),
            step("stays", "CREATE TABLE s ()", undo={"none": "it is empty"}),
            step("index", "CREATE INDEX CONCURRENTLY orders_external_ref ON orders (external_ref)")])})
        p = self.project(plans=[body])
        path = p.ok("new", "take-it-back", "--compensates", "orders-ref").stdout.strip()
        with open(p.path(path), encoding="utf-8") as f:
            made = yaml.safe_load(f)
        self.assertEqual(made["compensates"], "orders-ref")
        steps = made["phases"]["contract"]["steps"]
        self.assertEqual([s["id"] for s in steps], ["undo-index", "undo-pair", "undo-column"])
        self.assertIn("DROP INDEX CONCURRENTLY", steps[0]["sql"])
        self.assertIn("DROP TABLE a", steps[1]["sql"])
        self.assertIn("DROP COLUMN", steps[2]["sql"])
        with open(p.path(path), encoding="utf-8") as f:
            self.assertIn("# without a way back that could be derived: stays", f.read())


if __name__ == "__main__":
    unittest.main()

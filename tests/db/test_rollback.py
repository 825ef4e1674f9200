"""rollback: each phase back the way it came, where nothing is lost; forward only where something would be."""

import os
import unittest

import pgtest
import project
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
        self.assertIn("RENAME COLUMN", dry["steps"][0]["sql"][0])
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
        p.advance("bring-it-back", "1.6.0")
        self.assertEqual(p.status("orders-ref")["undone_by"], "bring-it-back")
        self.assertIn("orders-ref is undone by bring-it-back", p.ok("history").stdout)


if __name__ == "__main__":
    unittest.main()

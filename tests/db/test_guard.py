"""guard: may a release run against this database and these flags now? The same in SQL: phasegate.release_window."""

import os
import signal
import unittest

import pgtest
import project
from project import BOUND, PHASES, column_plan, full_plan, phase, plan, step

APPLICATION = {"table": "orders", "forward": {"external_ref": "legacy_ref"}, "reverse": {"legacy_ref": "external_ref"}, "by": "application"}


class Guard(project.Case):
    def may(self, p, release):
        """True, or the reason."""
        done = p.run("--format", "json", "guard", "--release", release)
        result = done.json["result"]
        [one] = result["databases"]
        self.assertEqual((done.rc, done.json["exit_code"], done.json["ok"]), (0, 0, True) if result["may_run"] else (4, 4, False), done)
        self.assertEqual(one["may_run"], result["may_run"])
        if one["may_run"]:
            return True
        self.assertTrue(one["why"])
        return one["reason"]

    def window(self, p):
        return p.db.psql("SELECT oldest, newest FROM phasegate.release_window")

    def test_an_empty_database_and_no_plans(self):
        p = self.project()
        self.assertEqual(self.may(p, "1.0.0"), True)

    def test_a_release_that_nobody_names(self):
        p = self.project(plans=[full_plan()])
        self.assertEqual(self.may(p, "9.9.9"), "unknown_release")
        self.assertIn('did you mean "1.1.0"', p.exits(4, "guard", "--release", "1.1").stdout)
        p.body["releases"].append({"version": "9.9.9", "planned": True})
        p.write()
        p.advance("orders-ref", "1.1.0")
        self.assertEqual(self.may(p, "9.9.9"), True)

    def test_a_release_that_only_a_plan_names(self):
        body = plan("p", phases={"expand": {"release": "2.0", "steps": [step("t", "CREATE TABLE t ()")]}})
        p = self.project(plans=[body])
        self.assertEqual(self.may(p, "2.0"), "expand_missing")
        p.advance("p", "2.0")
        self.assertEqual(self.may(p, "2.0"), True)

    def test_a_project_that_names_no_release_asks_for_none(self):
        p = self.project()
        del p.body["releases"]
        p.write()
        self.assertEqual(self.may(p, "9.9.9"), True)

    def test_a_flag_out_of_turn(self):
        """A release that knows the flag would do what isn't ready; one that doesn't is as it was."""
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "dual_read")
        self.assertEqual([r for r in project.RELEASES if self.may(p, r) is not True], [])
        p.ok("flags", "set", "orders-ref-write", "50", "--because", "a test")
        self.assertEqual({self.may(p, r) for r in ("1.0.0", "1.1.0", "1.2.0")}, {True})
        self.assertEqual({self.may(p, r) for r in ("1.3.0", "1.4.0", "1.5.0")}, {"flag_out_of_turn"})
        self.assertIn("write flag orders-ref-write of plan orders-ref is at 50 %, and its rollout has got to 0 %",
                      p.exits(4, "guard", "--release", "1.3.0").stdout)
        p.ok("kill", "orders-ref")
        self.assertEqual([r for r in project.RELEASES if self.may(p, r) is not True], [])

    def test_writes_on_the_new_shape_as_the_flag_has_them_now(self):
        p = self.project(plans=[full_plan(sync=APPLICATION)])
        p.advance_through("orders-ref", "dual_read")
        self.assertEqual(self.may(p, "1.1.0"), True)
        p.ok("flags", "set", "orders-ref-write", "50", "--because", "a test")
        self.assertEqual(self.may(p, "1.1.0"), "older_than_window")

    def test_a_rung_under_way_is_in_turn(self):
        body = full_plan(pause="1s")
        p = self.project(plans=[body])
        p.advance("orders-ref", "1.1.0")
        p.environment["flags"]["propagation"] = "4s"  # the ledger has the rung only after it
        p.write()
        with p.start("advance", "orders-ref", "--release", "1.2.0") as run:
            pgtest.wait_until(lambda: p.flag("orders-ref-read") == 10, what="the first rung")
            self.assertEqual(p.db.value("SELECT read_percent FROM phasegate.plan_state"), "0")
            self.assertEqual(self.may(p, "1.2.0"), True)
            run.signal(signal.SIGINT)
            run.wait(30)

    def test_a_release_whose_expand_is_missing(self):
        p = self.project(plans=[full_plan()])
        self.assertEqual(self.may(p, "1.0.0"), True)
        self.assertEqual(self.may(p, "1.1.0"), "expand_missing")
        self.assertEqual(self.may(p, "1.5.0"), "expand_missing")
        done = p.exits(4, "guard", "--release", "1.1.0")
        self.assertIn("no: release 1.1.0", done.stdout)
        self.assertIn("expand of plan orders-ref, bound to 1.1.0, isn't finished", done.stdout)
        p.advance("orders-ref", "1.1.0")
        self.assertEqual(self.may(p, "1.1.0"), True)
        self.assertIn("yes: release 1.1.0", p.ok("guard", "--release", "1.1.0").stdout)

    def test_an_expand_that_stopped_halfway(self):
        body = column_plan(phases={"expand": phase("expand", steps=[step("t", "CREATE TABLE t ()"), step("b", "CREATE TABLE b AS SELECT 1/0 AS x")])})
        p = self.project(plans=[body])
        p.exits(5, "advance", "orders-ref", "--release", "1.1.0")
        self.assertEqual(self.may(p, "1.1.0"), "expand_missing")
        self.assertEqual(self.may(p, "1.0.0"), True)

    def test_through_all_phases(self):
        p = self.project(plans=[full_plan()])
        old = {}
        for ph in PHASES:
            p.advance("orders-ref", BOUND[ph])
            old[ph] = [r for r in project.RELEASES if self.may(p, r) is not True]
        self.assertEqual(old["expand"], [])
        self.assertEqual(old["write_activation"], [])
        # 1.5.0 is the contract's, and the one release beside it stays.
        self.assertEqual(old["contract"], ["1.0.0", "1.1.0", "1.2.0", "1.3.0"])
        self.assertEqual(self.may(p, "1.3.0"), "older_than_window")
        self.assertEqual(self.window(p), [["1.4.0", None]])
        p.ok("restore", "orders-ref")
        self.assertEqual(self.may(p, "1.0.0"), True)
        self.assertIn(self.window(p), ([], [[None, None]]))

    def test_a_wider_window(self):
        p = self.project(plans=[full_plan()], policy={"window": 3})
        p.advance_through("orders-ref", "contract")
        self.assertEqual([r for r in project.RELEASES if self.may(p, r) is not True], ["1.0.0", "1.1.0"])

    def test_writes_of_the_application_on_the_new_shape(self):
        p = self.project(plans=[full_plan(sync=APPLICATION)])
        p.advance_through("orders-ref", "dual_read")
        self.assertEqual(self.may(p, "1.0.0"), True)
        p.advance("orders-ref", "1.3.0")
        self.assertEqual(self.may(p, "1.1.0"), "older_than_window")
        self.assertEqual(self.may(p, "1.2.0"), True)
        p.ok("kill", "orders-ref")
        self.assertEqual(self.may(p, "1.1.0"), "older_than_window")
        p.ok("rollback", "orders-ref")
        self.assertEqual(self.may(p, "1.1.0"), True)

    def test_the_window_is_the_narrowest_of_all_plans(self):
        later = plan("later", 20260102000000, {"expand": {"release": "1.7.0", "steps": [step("t", "CREATE TABLE t ()")]}})
        p = self.project(plans=[full_plan(), later])
        p.advance_through("orders-ref", "contract")
        self.assertEqual(self.window(p), [["1.4.0", "1.6.0"]])
        self.assertEqual([r for r in project.RELEASES if self.may(p, r) is True], ["1.4.0", "1.5.0", "1.6.0"])

    def test_sql_says_the_same_while_a_phase_is_running(self):
        body = full_plan()
        body["phases"]["contract"]["steps"].append(step("bad", "ALTER TABLE orders ADD CONSTRAINT bad CHECK (id < 0)"))
        p = self.project(plans=[body], policy={"preflight": "off"})  # it would refuse the step that is to fail
        p.advance_through("orders-ref", "write_activation")
        p.exits(5, "advance", "orders-ref", "--release", "1.5.0")
        self.assertEqual(p.stage("orders-ref"), "contract running")
        self.assertEqual(self.may(p, "1.3.0"), "older_than_window")
        self.assertEqual(self.window(p), [["1.4.0", None]])

    def test_usage(self):
        p = self.project()
        self.assertIn("--release", p.exits(2, "guard").stderr)

    def test_it_needs_no_flag_service(self):
        p = self.project(plans=[full_plan()], flags={"provider": "builtin", "url": "http://127.0.0.1:1", "token": "x" * 32})
        self.assertEqual(self.may(p, "1.0.0"), True)

    def test_a_flag_service_that_is_down_is_said(self):
        """Applications fall back to off, which every world allows: no reason to say no, and one to tell."""
        p = self.project(plans=[full_plan()])
        p.advance("orders-ref", "1.1.0")
        p.environment["flags"] = {"provider": "builtin", "url": "http://127.0.0.1:1", "token": "x" * 32}
        p.write()
        done = p.ok("guard", "--release", "1.2.0")
        self.assertIn("flag orders-ref-read can't be read", done.stderr)
        self.assertIn("goes by where it was left", done.stderr)
        self.assertIn("orders-ref-read", p.json("guard", "--release", "1.2.0")["result"]["databases"][0]["unread_flag"])


class BehindContract(project.Case):
    """From the first thing that is hidden on, guard and the row say the same, whatever comes then."""

    may, window = Guard.may, Guard.window

    def stays(self, p, oldest="1.4.0"):
        below = [r for r in project.RELEASES if r < oldest]
        self.assertEqual([r for r in project.RELEASES if self.may(p, r) == "older_than_window"], below)
        self.assertEqual(self.window(p), [[oldest, None]])
        p.refused("older_than_window", "advance", "--all", "--release", below[-1])

    def test_the_purge(self):
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "contract")
        self.stays(p)
        p.ok("purge", "orders-ref", "--confirm", "orders-ref")
        self.stays(p)

    def test_a_purge_that_stopped_halfway(self):
        body = full_plan()
        body["phases"]["contract"]["steps"].append(step("narrow", "ALTER TABLE orders ALTER COLUMN external_ref TYPE int USING external_ref::int"))
        p = self.project(plans=[body], policy={"preflight": "off"})
        p.advance_through("orders-ref", "contract")
        p.exits(5, "purge", "orders-ref", "--confirm", "orders-ref")
        self.assertEqual(p.stage("orders-ref"), "purging")
        self.stays(p)

    def test_a_restore_that_stopped_halfway_and_went_on(self):
        p = self.project(plans=[full_plan(sync=APPLICATION)], baseline=project.ORDERS + "; ALTER TABLE orders ALTER COLUMN legacy_ref SET NOT NULL")
        p.advance_through("orders-ref", "contract")
        p.db.psql("INSERT INTO orders (id, external_ref) VALUES (900, 'new')")
        p.exits(5, "restore", "orders-ref")
        self.assertEqual(p.stage("orders-ref"), "contract undoing")
        self.stays(p)
        p.db.psql("DELETE FROM orders WHERE id = 900")
        p.ok("restore", "orders-ref")
        # Writes are still on the new shape, which only 1.2.0 and later know.
        self.assertEqual(self.window(p), [["1.2.0", None]])
        self.assertEqual([self.may(p, r) for r in ("1.1.0", "1.2.0")], ["older_than_window", True])

    def test_hidden_again_and_purged(self):
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "contract")
        p.ok("restore", "orders-ref")
        self.assertEqual(self.may(p, "1.0.0"), True)
        p.advance("orders-ref", "1.5.0")
        self.stays(p)
        p.ok("purge", "orders-ref", "--confirm", "orders-ref")
        self.stays(p)

    def test_the_file_of_a_purged_plan_is_gone(self):
        later = plan("later", 20260102000000, {"expand": {"release": "1.7.0", "steps": [step("t", "CREATE TABLE t ()")]}})
        p = self.project(plans=[full_plan(), later])
        p.advance_through("orders-ref", "contract")
        p.ok("purge", "orders-ref", "--confirm", "orders-ref")
        os.unlink(p.path(p.plan_file(full_plan())))
        self.assertEqual(self.may(p, "1.3.0"), "older_than_window")
        self.assertEqual(self.may(p, "1.4.0"), True)
        p.refused("older_than_window", "advance", "later", "--release", "1.3.0")
        p.advance("later", "1.7.0")
        self.stays(p)

    def test_the_file_of_a_plan_whose_contract_is_done_is_gone(self):
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "contract")
        os.unlink(p.path(p.plan_file(full_plan())))
        self.assertEqual(self.may(p, "1.3.0"), "older_than_window")
        self.assertEqual(self.may(p, "1.4.0"), True)
        # Nor are its releases listed any more: nothing is known of what came before them, and it bars none.
        p.body["releases"] = [{"version": v, "planned": True} for v in ("1.8.0", "1.9.0")]
        p.write()
        self.assertEqual([self.may(p, r) for r in ("1.3.0", "1.8.0")], ["unknown_release", True])


class AdvanceAsksIt(project.Case):
    """A release that is too old for what runs here isn't advanced for."""

    REASON = "older_than_window"

    def late(self, release="1.2.0", **more):
        sql = more.pop("sql", "ALTER TABLE orders ADD COLUMN note text")
        return plan("late", 20260102000000, {"expand": {"release": release, "steps": [step("note", sql)]}}, **more)

    def outlived(self, *plans, **more):
        """1.4.0 is the oldest that may run."""
        p = self.project(plans=[full_plan(), *(plans or [self.late()])], **more)
        p.advance_through("orders-ref", "contract")
        return p

    def assert_refused(self, p, *args, words=()):
        said = p.exits(4, "guard", "--release", args[-1]).stdout
        before, flags = p.dump(), p.tree()
        error = p.refused(self.REASON, "advance", *args)
        self.assertIn("contract of plan orders-ref at 1.5.0 hid or dropped what older releases use", said)
        for word in ("contract of plan orders-ref at 1.5.0 hid or dropped what older releases use", *words):
            self.assertIn(word, error["message"] + error["hint"])
        self.assertEqual((p.dump(), p.tree()), (before, flags))
        return error

    def test_a_phase_of_an_old_release(self):
        p = self.outlived()
        error = self.assert_refused(p, "late", "--release", "1.2.0", words=("release 1.2.0 may not run here any more", "1.4.0 or a later"))
        self.assertIn("advance of plan late is refused", error["message"])
        dry = p.json("advance", "late", "--dry-run", "--release", "1.2.0", code=4)
        [one] = dry["result"]["plans"]
        self.assertEqual(one["missing"][0]["reason"], self.REASON, one)
        self.assertIn("release 1.2.0 may not run here any more", one["missing"][0]["what"])
        self.assertIn("release 1.2.0 may not run here any more", p.exits(4, "advance", "late", "--dry-run", "--release", "1.2.0").stdout)
        # The way out that the hint names.
        p.write_plan(self.late("1.4.0"))
        p.ok("advance", "late", "--release", "1.4.0")

    def test_all(self):
        p = self.outlived()
        self.assert_refused(p, "--all", "--release", "1.2.0", words=("the oldest that may run is 1.4.0",))
        p.refused(self.REASON, "advance", "--all", "--dry-run", "--release", "1.2.0")
        # And where there would be nothing to do.
        self.assert_refused(p, "--all", "--release", "1.0.0")
        p.ok("advance", "--all", "--release", "1.4.0")

    def test_what_is_done_already(self):
        """A pipeline of an old release that runs once more doesn't get a yes."""
        p = self.outlived()
        self.assert_refused(p, "orders-ref", "--release", "1.3.0")
        self.assertTrue(p.advance("orders-ref", "1.5.0")["nothing_to_do"])
        self.assert_refused(p, "orders-ref", "--force", "--release", "1.3.0")

    def test_it_is_told_with_all_that_is_missing(self):
        p = self.outlived(self.late(depends_on=[{"plan": "never", "phase": "expand"}]), plan("never", 20260101120000, {"expand": {"release": "1.2.0", "steps": [step("t", "CREATE TABLE t ()")]}}))
        answer = p.json("advance", "late", "--release", "1.2.0", code=4)
        self.assertEqual([r["reason"] for r in answer["result"]["plans"][0]["missing"]], [self.REASON, "dependency"], answer)

    def test_what_was_begun(self):
        """Left where it stopped it helps nobody: without a release it goes on, and it can be taken back."""
        for way in ("on", "back"):
            stuck = self.late("1.4.0")
            stuck["phases"]["expand"]["steps"].append(step("there", "CREATE TABLE there AS SELECT * FROM elsewhere"))
            later = plan("more", 20260103000000, {"contract": {"release": "1.9.0", "hold": "0s", "steps": [step("drop", "DROP TABLE other")]}})
            p = self.project(plans=[stuck, later])
            p.db.psql("CREATE TABLE other (id int)")
            p.exits(5, "advance", "late", "--release", "1.4.0")
            p.ok("advance", "more", "--release", "1.9.0")
            error = p.refused(self.REASON, "advance", "late", "--release", "1.4.0")
            self.assertIn("phasegate advance late, which names no release", error["hint"])
            p.db.psql("CREATE TABLE elsewhere (id int)")
            p.ok(*(("advance", "late") if way == "on" else ("rollback", "late")))
            self.assertEqual(p.stage("late"), "purged" if way == "on" else "planned")

    def test_a_release_whose_expand_is_missing_is_advanced_to(self):
        """That is what advance is for; and a flag that somebody raised is for the plan whose it is."""
        p = self.project(plans=[full_plan()])
        self.assertEqual(p.exits(4, "guard", "--release", "1.1.0").rc, 4)
        p.ok("advance", "orders-ref", "--release", "1.1.0")

    def test_it_needs_no_flag_service(self):
        p = self.outlived()
        p.environment["flags"] = {"provider": "builtin", "url": "http://127.0.0.1:1", "token": "x" * 32}
        p.write()
        p.refused(self.REASON, "advance", "late", "--release", "1.2.0")

    def test_writes_on_the_new_shape(self):
        p = self.project(plans=[full_plan(sync=APPLICATION), self.late("1.1.0")])
        p.advance_through("orders-ref", "write_activation")
        p.refused(self.REASON, "advance", "late", "--release", "1.1.0")


if __name__ == "__main__":
    unittest.main()

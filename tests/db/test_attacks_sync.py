"""What the sync trigger keeps equal must stay equal, and what only one side knows must not be overwritten."""

import os
import unittest

import pgtest
import project
from project import full_plan, step

DIFFER = "SELECT count(*) FROM orders WHERE external_ref IS DISTINCT FROM legacy_ref"
PAST_IT = "SET session_replication_role = replica; %s; RESET session_replication_role"


def one_way(where, **more):
    """No way back from new to old; the backfill in this phase."""
    body = full_plan(pause="1s", sync={"table": "orders", "forward": {"external_ref": "legacy_ref"}, "by": "trigger"}, **more)
    for ph in ("dual_read", "write_activation"):
        body["phases"][ph].pop("backfill", None)
    body["phases"]["write_activation"].pop("verify")
    body["phases"][where]["backfill"] = [{"id": "fill"}]
    return body


class OneWay(project.Case):
    """Without reverse only the new side knows what new writers wrote."""

    def test_new_writes_survive_the_backfill_and_the_verification(self):
        for where in ("dual_read", "write_activation"):
            with self.subTest(where):
                p = self.project(plans=[one_way(where)])
                p.advance_through("orders-ref", "dual_read")
                run = p.start("advance", "orders-ref", "--release", "1.3.0")
                self.addCleanup(run.close)
                pgtest.wait_until(lambda: p.flag("orders-ref-write") or not run.is_running(), what="the first write rung")
                p.db.psql("UPDATE orders SET external_ref = 'new' WHERE id = 7; "
                          "INSERT INTO orders (id, external_ref) VALUES (1000, 'row')")
                self.assertEqual(run.wait(60).rc, 0, run.stderr)
                self.assertEqual(p.db.column("SELECT external_ref FROM orders WHERE id IN (7, 8, 1000) ORDER BY id"),
                                 ["new", "R8", "row"])
                p.ok("advance", "orders-ref", "--release", "1.5.0")

    def test_a_backfill_that_comes_late_fills_only_what_is_empty(self):
        p = self.project(plans=[one_way("dual_read")])
        p.advance_through("orders-ref", "dual_read")
        p.db.psql("UPDATE phasegate.plan_state SET first_write_rung = true; "
                  "UPDATE orders SET external_ref = 'new' WHERE id = 7")
        p.db.psql(PAST_IT % "UPDATE orders SET external_ref = NULL WHERE id = 8")
        body = one_way("dual_read")
        body["phases"]["write_activation"]["backfill"] = [{"id": "more"}]
        p.write_plan(body)
        p.ok("advance", "orders-ref", "--release", "1.3.0")
        self.assertEqual(p.db.column("SELECT external_ref FROM orders WHERE id IN (7, 8) ORDER BY id"), ["new", "R8"])


class Broken(project.Case):
    """The trigger is disabled, dropped, gone around or edited between two phases."""

    def synced_until(self, last):
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", last)
        return p

    def test_it_is_missed_before_the_next_phase(self):
        for sql, what in (("ALTER TABLE orders DISABLE TRIGGER USER", "is disabled"),
                          ('DROP TRIGGER "zz_phasegate_u_orders-ref" ON orders', "isn't there"),
                          ("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; "
                           "CREATE TRIGGER zzz BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION f()", "zzz fires after it")):
            for last, release in (("expand", "1.2.0"), ("dual_read", "1.3.0"), ("write_activation", "1.5.0")):
                with self.subTest(last, sql=sql):
                    p = self.synced_until(last)
                    p.db.psql(sql)
                    error = p.refused("edited", "advance", "orders-ref", "--release", release)
                    self.assertIn(what, error["message"])
                    self.assertEqual(p.stage("orders-ref"), last + " done")
                    p.close()

    def test_before_the_point_of_no_return(self):
        p = self.synced_until("contract")
        p.db.psql("ALTER TABLE orders DISABLE TRIGGER USER")
        error = p.refused("edited", "purge", "orders-ref", "--confirm", "orders-ref")
        self.assertIn("phasegate restore orders-ref", error["hint"])
        p.db.psql("ALTER TABLE orders ENABLE TRIGGER USER")
        p.ok("purge", "orders-ref", "--confirm", "orders-ref")

    def test_force_puts_it_back_and_fills_what_was_missed(self):
        for sql in ("ALTER TABLE orders DISABLE TRIGGER USER", 'DROP TRIGGER "zz_phasegate_u_orders-ref" ON orders'):
            p = self.synced_until("expand")
            p.db.psql(sql)
            p.ok("advance", "orders-ref", "--release", "1.2.0", "--force")
            p.db.psql(sql)
            p.db.psql("UPDATE orders SET legacy_ref = 'late' WHERE id = 3")
            p.ok("advance", "orders-ref", "--release", "1.3.0", "--force")
            p.db.psql("UPDATE orders SET legacy_ref = 'later' WHERE id = 4")
            self.assertEqual(p.db.column("SELECT external_ref FROM orders WHERE id IN (3, 4) ORDER BY id"), ["late", "later"])
            p.ok("advance", "orders-ref", "--release", "1.5.0")

    def test_after_new_writes_nobody_guesses_which_side_is_right(self):
        p = self.synced_until("write_activation")
        p.db.psql("ALTER TABLE orders DISABLE TRIGGER USER; UPDATE orders SET external_ref = 'new' WHERE id = 3")
        p.refused("edited", "advance", "orders-ref", "--release", "1.5.0")
        for _ in range(2):
            error = p.json("advance", "orders-ref", "--release", "1.3.0", "--force", code=1)["error"]
            self.assertEqual(error["reason"], "not_verified")
            self.assertEqual(p.db.psql("SELECT legacy_ref, external_ref FROM orders WHERE id = 3"), [["R3", "new"]])
        p.db.psql("UPDATE orders SET legacy_ref = 'new' WHERE id = 3")
        p.ok("advance", "orders-ref", "--release", "1.3.0", "--force")
        p.ok("advance", "orders-ref", "--release", "1.5.0")

    def test_rows_that_went_around_it_keep_the_old_shape(self):
        p = self.synced_until("write_activation")
        p.db.psql(PAST_IT % "UPDATE orders SET legacy_ref = 'only here' WHERE id = 3")
        error = p.refused("not_verified", "advance", "orders-ref", "--release", "1.5.0")
        self.assertIn("differ in 1 rows", error["message"])
        p.db.psql("UPDATE orders SET external_ref = 'only here' WHERE id = 3")
        p.ok("advance", "orders-ref", "--release", "1.5.0")
        hidden = [c for c in p.columns() if c.startswith("_drop_")][0]
        p.db.psql(PAST_IT % ('UPDATE orders SET "%s" = \'again\' WHERE id = 3' % hidden))
        p.refused("not_verified", "purge", "orders-ref", "--confirm", "orders-ref")
        p.ok("restore", "orders-ref")
        self.assertEqual(p.db.value("SELECT legacy_ref FROM orders WHERE id = 3"), "again")

    def test_an_edited_expression_is_an_edit(self):
        p = self.synced_until("expand")
        p.write_plan(full_plan(sync={"table": "orders", "forward": {"external_ref": "lower(legacy_ref)"},
                                     "reverse": {"legacy_ref": "upper(external_ref)"}, "by": "trigger"},
                               phases={"write_activation": {"none": "not part of this"}, "contract": {"none": "nor is this"}}))
        error = p.refused("edited", "advance", "orders-ref", "--release", "1.2.0")
        self.assertIn("something else than the plan says", error["message"])
        p.ok("advance", "orders-ref", "--release", "1.2.0", "--force")
        p.db.psql("UPDATE orders SET legacy_ref = 'XYZ' WHERE id = 3")
        self.assertEqual(p.db.column("SELECT external_ref FROM orders WHERE id IN (3, 4) ORDER BY id"), ["xyz", "r4"])


class Others(project.Case):
    """Triggers that were there before."""

    def refused(self, p, name="orders-ref"):
        error = p.refused("requirement", "advance", name, "--release", "1.1.0")
        return error["message"]

    def test_a_trigger_that_fires_later(self):
        p = self.project(plans=[full_plan()], baseline=project.ORDERS + """;
            CREATE FUNCTION norm() RETURNS trigger LANGUAGE plpgsql
                AS 'BEGIN NEW.legacy_ref = upper(NEW.legacy_ref); RETURN NEW; END';
            CREATE TRIGGER zzz_norm BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION norm();
            CREATE TRIGGER zzz_after AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION norm()""")
        self.assertIn("zzz_norm fires after it", self.refused(p))
        self.assertEqual(len(p.triggers()), 2)
        p.db.psql("ALTER TRIGGER zzz_norm ON orders RENAME TO norm")
        p.advance_through("orders-ref", "write_activation")
        p.db.psql("INSERT INTO orders (id, legacy_ref) VALUES (900, 'abc')")
        self.assertEqual(p.db.value(DIFFER), "0")

    def test_two_plans_one_column(self):
        """Of two triggers the first to fire doesn't see what the second changes, whichever way round."""
        for name in ("a-second", "z-second"):
            second = full_plan(name, stamp=20260102000000, sync={
                "table": "orders", "forward": {"third": "external_ref"}, "reverse": {"external_ref": "third"}, "by": "trigger"})
            second["phases"]["expand"]["steps"] = [step("column", "ALTER TABLE orders ADD COLUMN third text")]
            second["phases"]["contract"] = {"none": "stays"}
            p = self.project(plans=[full_plan(), second])
            p.ok("advance", "orders-ref", "--release", "1.1.0")
            self.assertIn("column external_ref belongs to another sync", self.refused(p, name))
            p.db.psql("UPDATE orders SET legacy_ref = 'x' WHERE id = 1")
            self.assertEqual(p.db.value("SELECT external_ref FROM orders WHERE id = 1"), "x")

    def test_a_renamed_plan_leaves_no_trigger_behind(self):
        p = self.project(plans=[full_plan()])
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        os.unlink(p.path("plans", "20260101000000-orders-ref.yaml"))
        p.write_plan(full_plan("other-ref"))
        self.assertIn("zz_phasegate_u_orders-ref", self.refused(p, "other-ref"))

    def test_two_plans_two_columns(self):
        second = full_plan("second", stamp=20260102000000, sync={
            "table": "orders", "forward": {"b": "a"}, "reverse": {"a": "b"}, "by": "trigger"})
        second["phases"]["expand"]["steps"] = [step("column", "ALTER TABLE orders ADD COLUMN b text")]
        second["phases"]["write_activation"].pop("verify")
        second["phases"]["contract"] = {"none": "stays"}
        p = self.project(plans=[full_plan(), second], baseline=project.ORDERS + "; ALTER TABLE orders ADD COLUMN a text")
        for name in ("orders-ref", "second"):
            p.advance_through(name, "write_activation")


class Types(project.Case):
    def test_what_has_no_equality_is_refused_before_it_is_relied_on(self):
        for kind in ("json", "xml", "point"):
            body = full_plan()
            body["phases"]["expand"]["steps"] = [step("column", "ALTER TABLE orders ADD COLUMN external_ref %s" % kind)]
            p = self.project(plans=[body], baseline="CREATE TABLE orders (id bigint PRIMARY KEY, legacy_ref %s)" % kind)
            error = p.refused("requirement", "advance", "orders-ref", "--release", "1.1.0")
            self.assertIn("operator does not exist", error["message"])
            self.assertEqual((p.triggers(), p.columns()), ([], ["id", "legacy_ref"]))
            self.assertIn("has an equality", error["hint"])


if __name__ == "__main__":
    unittest.main()

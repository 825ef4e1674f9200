"""advance: whose turn it is, what it needs, what it would do, and all plans of a release in order."""

import unittest

import pgtest
import project
from project import BOUND, PHASES, column_plan, full_plan, phase, plan, step


class Order(project.Case):
    def test_a_release_that_nobody_names(self):
        p = self.project(plans=[column_plan()])
        for args in (("orders-ref",), ("--all",), ("orders-ref", "--dry-run")):
            error = p.json("advance", *args, "--release", "1.1", code=2)["error"]
            self.assertIn('unknown release "1.1": neither releases: of phasegate.yaml nor a plan names it; did you mean "1.1.0"?', error["message"])
            self.assertIn("add it there", error["hint"])
        self.assertEqual(p.columns(), ["id", "legacy_ref"])

    def test_one_phase_per_release_all_the_way(self):
        p = self.project(plans=[full_plan()])
        stages = []
        for ph in PHASES:
            r = p.advance("orders-ref", BOUND[ph])
            self.assertEqual((r["phase"], r["nothing_to_do"]), (ph, False))
            stages.append(p.stage("orders-ref"))
        self.assertEqual(stages, ["expand done", "dual_read done", "write_activation done", "contract done"])
        self.assertEqual(p.db.value("SELECT count(*) FROM orders WHERE external_ref = 'R' || id"), "500")

    def test_a_release_before_its_turn(self):
        p = self.project(plans=[column_plan()])
        error = p.refused("not_its_turn", "advance", "orders-ref", "--release", "1.0.0")
        self.assertIn("1.1.0", error["message"])
        self.assertIn("phasegate advance orders-ref --release 1.1.0", error["hint"])
        self.assertEqual(p.columns(), ["id", "legacy_ref"])

    def test_a_release_after_its_turn(self):
        p = self.project(plans=[column_plan()])
        error = p.refused("not_its_turn", "advance", "orders-ref", "--release", "1.2.0")
        self.assertIn("passed over", error["message"])
        self.assertEqual(p.columns(), ["id", "legacy_ref"])

    def test_the_next_phase_waits_for_its_release(self):
        p = self.project(plans=[full_plan()])
        p.advance("orders-ref", "1.1.0")
        error = p.refused("not_its_turn", "advance", "orders-ref", "--release", "1.3.0")
        self.assertIn("dual_read is bound to release 1.2.0", error["message"])
        self.assertEqual(p.stage("orders-ref"), "expand done")

    def test_passed_over_releases_are_allowed_by_policy(self):
        p = self.project(plans=[full_plan()], policy={"one_phase_per_release": False})
        p.advance("orders-ref", "1.9.0")
        p.advance("orders-ref", "1.9.0")
        self.assertEqual(p.stage("orders-ref"), "dual_read done")

    def test_without_a_release_nothing_starts(self):
        p = self.project(plans=[column_plan()])
        error = p.refused("not_its_turn", "advance", "orders-ref")
        self.assertIn("no release was named", error["message"])

    def test_the_same_command_twice_is_no_error(self):
        p = self.project(plans=[full_plan()])
        p.advance("orders-ref", "1.1.0")
        before = p.dump()
        r = p.advance("orders-ref", "1.1.0")
        self.assertTrue(r["nothing_to_do"])
        self.assertEqual(r["tasks"], [])
        self.assertIn("up to date", p.ok("advance", "orders-ref", "--release", "1.1.0").stdout)
        self.assertEqual(p.dump(), before)

    def test_absent_phases_are_passed_over_with_their_reason(self):
        p = self.project(plans=[column_plan()])
        r = p.advance("orders-ref", "1.1.0")
        self.assertEqual(r["to"], "purged")
        self.assertEqual(r["skipped"], ["%s: not part of this test" % ph for ph in PHASES[1:]])
        self.assertEqual(p.db.value("SELECT count(*) FROM phasegate.migration_history WHERE step = 'skip'"), "3")

    def test_a_refusal_says_what_was_passed_over_before_it(self):
        """The journal has moved: who reads "refused" has to know that, and what didn't begin."""
        late = plan("late", phases={"contract": phase("contract", steps=[step("drop", "ALTER TABLE orders DROP COLUMN legacy_ref")])})
        p = self.project(plans=[late])
        error = p.refused("not_its_turn", "advance", "late", "--release", "1.1.0")
        self.assertEqual(p.stage("late"), "write_activation done")
        for phrase in ("expand: not part of this test; dual_read: not part of this test; write_activation: not part of this test",
                       'The plan stands at "write_activation done"; contract was not begun'):
            self.assertIn(phrase, error["detail"])
        self.assertNotIn("assed over", str(p.refused("not_its_turn", "advance", "late", "--release", "1.1.0")["detail"]))

    def test_an_absent_expand_comes_first(self):
        p = self.project(plans=[plan("reads", phases={"dual_read": phase("dual_read", rollout=[{"percent": 100}])},
                                     flags={"read": {"key": "reads-read"}})])
        r = p.advance("reads", "1.2.0")
        self.assertEqual((r["from"], r["phase"], r["skipped"][0]), ("planned", "dual_read", "expand: not part of this test"))
        self.assertEqual(p.flag("reads-read"), 100)

    def test_every_transition_names_its_row_of_the_machine(self):
        p = self.project(plans=[column_plan()])
        p.advance("orders-ref", "1.1.0")
        rows = p.db.column("SELECT machine_row FROM phasegate.migration_history WHERE status = 'transition' ORDER BY seq")
        self.assertEqual(rows, ["1", "4", "11", "21", "31"])


class Needs(project.Case):
    def test_a_dependency_has_to_be_done(self):
        first = column_plan("a-first")
        second = plan("b-second", 20260102000000, {"expand": phase("expand", steps=[step("i", "CREATE INDEX ref ON orders (external_ref)")])},
                      depends_on=[{"plan": "a-first", "phase": "expand"}])
        p = self.project(plans=[first, second])
        error = p.refused("dependency", "advance", "b-second", "--release", "1.1.0")
        self.assertIn("plan a-first has to finish expand first", error["message"])
        self.assertIn("phasegate advance a-first --release 1.1.0", error["hint"])
        p.advance("a-first", "1.1.0")
        p.advance("b-second", "1.1.0")

    def test_a_dependency_on_a_later_phase(self):
        first = full_plan("a-first")
        second = plan("b-second", 20260102000000, {"expand": phase("expand", release="1.2.0", steps=[step("t", "CREATE TABLE t ()")])},
                      depends_on=[{"plan": "a-first", "phase": "dual_read"}])
        second["phases"]["expand"]["release"] = "1.2.0"
        p = self.project(plans=[first, second])
        p.advance("a-first", "1.1.0")
        error = p.refused("dependency", "advance", "b-second", "--release", "1.2.0")
        self.assertIn('it is at "expand done"', error["message"])
        p.advance("a-first", "1.2.0")
        p.advance("b-second", "1.2.0")

    def needs(self, requires, **more):
        p = self.project(plans=[column_plan(requires=[requires])], **more)
        error = p.refused("requirement", "advance", "orders-ref", "--release", "1.1.0")
        self.assertEqual(p.columns(), ["id", "legacy_ref"])
        self.assertRegex(error["message"], r"plans/20260101000000-orders-ref.yaml:\d+:\d+")
        return p, error["message"]

    def test_requires_a_server_version(self):
        _, message = self.needs({"postgres": ">= 99"})
        self.assertRegex(message, r"PostgreSQL >= 99 is required, this is \d+")

    def test_a_minor_version_is_a_number_of_its_own(self):
        number = int(pgtest.cluster().psql("SHOW server_version_num")[0][0])
        major, minor = divmod(number, 10000)
        p = self.project(plans=[column_plan(requires=[{"postgres": ">= %d.%s" % (major, min(minor, 9))},
                                                      {"postgres": "< %d.%d" % (major, minor + 1)}])])
        p.advance("orders-ref", "1.1.0")
        self.needs({"postgres": "< %d.%d" % (major, minor)})

    def test_requires_an_extension(self):
        p, message = self.needs({"extension": "pg_stat_statements"})
        self.assertIn("extension pg_stat_statements is required and not installed", message)
        p.db.psql("CREATE EXTENSION pg_stat_statements")
        p.advance("orders-ref", "1.1.0")

    def test_requires_a_table(self):
        p, message = self.needs({"table": "customers"})
        self.assertIn("table customers is required and not there", message)
        p.db.psql("CREATE TABLE customers ()")
        p.advance("orders-ref", "1.1.0")

    def test_requires_an_answer(self):
        p, message = self.needs({"sql": "SELECT count(*) FROM orders WHERE legacy_ref IS NULL", "expect": "= 0",
                                 "because": "every order has a reference"},
                                baseline=project.ORDERS + "; INSERT INTO orders VALUES (0, NULL)")
        self.assertIn("got 1: every order has a reference", message)
        p.db.psql("DELETE FROM orders WHERE id = 0")
        p.advance("orders-ref", "1.1.0")

    def test_requires_free_disk(self):
        _, message = self.needs({"disk_free": "900000TiB"})
        self.assertIn("bytes of free disk are required", message)

    def test_requirements_that_hold(self):
        p = self.project(plans=[column_plan(requires=[
            {"postgres": ">= 14"}, {"table": "orders"}, {"disk_free": "1KiB"}, {"extension": "plpgsql"},
            {"sql": "SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()", "expect": "= 0"}])])
        p.advance("orders-ref", "1.1.0")

    def test_preflight_is_asked_before_a_phase_begins(self):
        p = self.project(plans=[column_plan(data_checks=[
            {"id": "filled", "sql": "SELECT count(*) FROM orders WHERE legacy_ref IS NULL", "expect": "= 0"}])])
        p.db.psql("INSERT INTO orders (id) VALUES (901)")
        error = p.refused("preflight", "advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("preflight of expand: data filled: 1", error["message"])
        self.assertIn("phasegate preflight orders-ref", error["hint"])
        d = p.json("advance", "orders-ref", "--release", "1.1.0", "--dry-run", code=4)["result"]
        self.assertIn("preflight", str(d))
        self.assertEqual(p.columns(), ["id", "legacy_ref"])
        p.json("status", "orders-ref")
        p.db.psql("DELETE FROM orders WHERE id = 901")
        p.advance("orders-ref", "1.1.0")

    def test_preflight_can_be_left_out(self):
        p = self.project(plans=[column_plan(data_checks=[{"id": "never", "sql": "SELECT 1", "expect": "= 0"}])],
                         policy={"preflight": "off"})
        p.advance("orders-ref", "1.1.0")

    def test_phases_begin_in_their_hours(self):
        hour = int(pgtest.cluster().psql("SELECT date_part('hour', now() AT TIME ZONE 'UTC')::int")[0][0])
        other = "%02d:00-%02d:00" % ((hour + 6) % 24, (hour + 7) % 24)
        p = self.project(plans=[column_plan()], policy={"maintenance": {"window": other}})
        error = p.refused("outside_hours", "advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("phases begin %s only" % other, error["message"])
        now = "%02d:00-%02d:00 UTC" % ((hour + 22) % 24, (hour + 3) % 24)
        p = self.project(plans=[column_plan()], policy={"maintenance": {"window": now}})
        p.advance("orders-ref", "1.1.0")

    def test_everything_that_is_missing_is_said_at_once(self):
        p = self.project(plans=[column_plan("a-first"),
                                column_plan(stamp=20260102000000, requires=[{"table": "customers"}],
                                            depends_on=[{"plan": "a-first", "phase": "expand"}])],
                         policy={"approvals": {"expand": 1}})
        answer = p.json("advance", "orders-ref", "--release", "1.0.0", code=4)
        missing = [m["reason"] for m in answer["result"]["plans"][0]["missing"]]
        self.assertEqual(missing, ["not_its_turn", "dependency", "requirement", "approval"])
        for word in ("a-first", "customers", "needs 1 approval"):
            self.assertIn(word, answer["error"]["detail"])
        self.assertEqual(answer["error"]["reason"], "not_its_turn")

    def test_live_releases_outside_of_the_window(self):
        p = self.project(plans=[full_plan()], live={"sessions": {"application_name": "shop/%"}})
        p.advance_through("orders-ref", "write_activation")
        with p.db.session("SET application_name = 'shop/1.3.0'"):
            error = p.refused("releases_live", "advance", "orders-ref", "--release", "1.5.0")
            self.assertIn("release 1.3.0 is still live", error["message"])
        with p.db.session("SET application_name = 'shop/1.4.0'"):
            p.advance("orders-ref", "1.5.0")

    def test_no_go_criteria(self):
        p = self.project(plans=[column_plan(runbook={
            "owner": "tests", "no_go": [{"sql": "SELECT count(*) FROM orders", "expect": "> 100"}]})])
        error = p.refused("no_go", "advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("no-go criterion holds: 500", error["message"])
        p.db.psql("DELETE FROM orders")
        p.advance("orders-ref", "1.1.0")

    def test_go_criteria(self):
        p = self.project(plans=[column_plan(runbook={
            "owner": "tests", "go": [{"sql": "SELECT count(*) FROM orders", "expect": "= 0"}]})])
        error = p.refused("no_go", "advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("go criterion doesn't hold: 500", error["message"])


class DryRun(project.Case):
    def looks_only(self, p, *commands):
        before, files = p.dump(), p.tree()
        for c in commands:
            p.run(*c)
            p.run("--format", "json", *c)
        self.assertEqual(p.dump(), before)
        self.assertEqual(p.tree(), files)

    def test_an_empty_database_stays_empty(self):
        p = self.project(plans=[full_plan()])
        self.looks_only(p, ("status",), ("status", "--flags"), ("history",), ("history", "--verify"), ("doctor",),
                        ("guard", "--release", "1.1.0"), ("advance", "orders-ref", "--release", "1.1.0", "--dry-run"),
                        ("advance", "--all", "--release", "1.1.0", "--dry-run"), ("rollback", "orders-ref", "--dry-run"),
                        ("purge", "orders-ref", "--dry-run"), ("restore", "orders-ref", "--dry-run"), ("check",))
        self.assertEqual(p.db.value("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'phasegate%'"), "0")

    def test_no_phase_is_touched_by_looking(self):
        p = self.project(plans=[full_plan()])
        for ph in PHASES:
            self.looks_only(p, ("advance", "orders-ref", "--release", BOUND[ph], "--dry-run"),
                            ("rollback", "orders-ref", "--dry-run"), ("status",), ("status", "--flags"), ("history",), ("doctor",))
            p.advance("orders-ref", BOUND[ph])
        self.looks_only(p, ("purge", "orders-ref", "--dry-run", "--confirm", "orders-ref"), ("restore", "orders-ref", "--dry-run"))

    def dry(self, p, ph, *more, code=0):
        answer = p.json("advance", "orders-ref", "--release", BOUND[ph], "--dry-run", *more, code=code)
        d = answer["result"]["plans"][0]
        return d, {s["id"]: s for s in d["steps"]}

    def test_expand_shows_statements_locks_and_undo(self):
        p = self.project(plans=[full_plan()])
        d, s = self.dry(p, "expand")
        self.assertEqual((d["dry_run"], d["go"], d["phase"], d["proof"], d["no_return"]), (True, True, "expand", "none", None))
        self.assertEqual(list(s), ["column", "index", "sync/trigger"])
        self.assertEqual(s["column"]["sql"], ["ALTER TABLE orders ADD COLUMN external_ref text"])
        self.assertEqual((s["column"]["lock"], s["column"]["reversibility"]), ("ACCESS EXCLUSIVE", "lossless"))
        self.assertIn("DROP COLUMN", s["column"]["undo"])
        self.assertEqual(s["index"]["lock"], "SHARE UPDATE EXCLUSIVE")
        self.assertIn("DROP INDEX CONCURRENTLY", s["index"]["undo"])
        self.assertIn("CREATE OR REPLACE TRIGGER", s["sync/trigger"]["sql"][1])
        self.assertEqual(s["column"]["file"], "plans/20260101000000-orders-ref.yaml")
        text = p.ok("advance", "orders-ref", "--release", "1.1.0", "--dry-run").stdout
        for word in ("nothing is written", "ALTER TABLE orders ADD COLUMN external_ref text", "ACCESS EXCLUSIVE",
                     "No point of no return", "proof: none, no release lists statements", "Would go ahead"):
            self.assertIn(word, text)

    def test_rollouts_show_their_requests(self):
        p = self.project(plans=[full_plan(pause="10m")])
        p.advance("orders-ref", "1.1.0")
        p.db.psql("ANALYZE orders")
        _, s = self.dry(p, "dual_read")
        self.assertEqual(s["backfill/fill"]["rows"], 500)
        self.assertIn("UPDATE", s["backfill/fill"]["sql"][0])
        self.assertRegex(s["read/10%"]["request"], r"set orders-ref-read to 10 % at file at .*, read it back, then wait 10m")
        self.assertIn("orders-ref-read to 0 %", s["read/10%"]["undo"])

    def test_contract_shows_the_soft_drop_and_purge_the_point_of_no_return(self):
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "write_activation")
        d, s = self.dry(p, "contract")
        self.assertRegex(" ".join(s["drop-legacy"]["sql"]), r'RENAME COLUMN "?legacy_ref"? TO "?_drop_\d{8}_legacy_ref')
        self.assertIn("legacy_ref", s["drop-legacy"]["undo"])
        self.assertIsNone(d["no_return"])
        p.advance("orders-ref", "1.5.0")
        answer = p.json("purge", "orders-ref", "--confirm", "orders-ref", "--dry-run")["result"]["dry_run"]
        ids = [x["id"] for x in answer["steps"]]
        self.assertEqual(ids[answer["no_return"]], "purge/drop-legacy")
        self.assertEqual(answer["steps"][answer["no_return"]]["reversibility"], "irreversible")
        text = p.ok("purge", "orders-ref", "--confirm", "orders-ref", "--dry-run").stdout
        self.assertIn("---- point of no return ----", text)

    def test_what_is_done_or_in_place_is_said(self):
        p = self.project(plans=[full_plan()])
        p.db.psql("ALTER TABLE orders ADD COLUMN external_ref text")
        _, s = self.dry(p, "expand")
        self.assertEqual((s["column"]["status"], s["index"]["status"]), ("already in place", "would run"))

    def test_a_refusal_has_exit_code_4_and_shows_the_steps_all_the_same(self):
        p = self.project(plans=[column_plan(requires=[{"table": "customers"}])])
        d, s = self.dry(p, "expand", code=4)
        self.assertEqual((d["go"], d["missing"][0]["reason"]), (False, "requirement"))
        self.assertIn("column", s)

    def test_steps_without_a_way_back_are_marked(self):
        p = self.project(plans=[column_plan(phases={"expand": phase("expand", steps=[
            step("audit", "CREATE TABLE audit ()", undo={"none": "what was audited stays"})])})])
        _, s = self.dry(p, "expand")
        self.assertEqual((s["audit"]["undo"], s["audit"]["reversibility"]), (None, "irreversible"))


class All(project.Case):
    def plans(self):
        last = column_plan("a-last", 20260103000000, {"expand": phase("expand", steps=[step("t", "CREATE TABLE c (b_id bigint)")])},
                           depends_on=[{"plan": "m-middle", "phase": "expand"}])
        middle = column_plan("m-middle", 20260102000000, {"expand": phase("expand", steps=[step("t", "CREATE TABLE b ()")])},
                             depends_on=[{"plan": "z-first", "phase": "expand"}])
        first = column_plan("z-first", 20260101000000, {"expand": phase("expand", steps=[step("t", "CREATE TABLE a ()")])})
        other = column_plan("other", 20260104000000, {"expand": {"release": "1.4.0", "steps": [step("t", "CREATE TABLE d ()")]}})
        return [last, middle, first, other]

    def test_in_the_order_of_their_dependencies(self):
        p = self.project(plans=self.plans())
        dry = p.json("advance", "--all", "--release", "1.1.0", "--dry-run")["result"]["plans"]
        self.assertEqual([(d["plan"], d["go"]) for d in dry], [("z-first", True), ("m-middle", True), ("a-last", True)])
        done = p.ok("advance", "--all", "--release", "1.1.0")
        self.assertIn("3 outstanding migrations to apply for release 1.1.0", done.stderr)
        order = p.db.column("SELECT plan FROM phasegate.migration_history WHERE step = 't' ORDER BY seq")
        self.assertEqual(order, ["z-first", "m-middle", "a-last"])
        self.assertEqual(p.db.value("SELECT count(*) FROM phasegate.plan_state WHERE plan = 'other' AND stage <> 'planned'"), "0")

    def test_nothing_left_is_up_to_date(self):
        p = self.project(plans=self.plans())
        p.ok("advance", "--all", "--release", "1.1.0")
        done = p.ok("advance", "--all", "--release", "1.1.0")
        self.assertIn("up to date", done.stdout)
        self.assertEqual(p.json("advance", "--all", "--release", "1.1.0")["result"]["plans"], [])

    def test_the_first_failure_ends_it(self):
        plans = self.plans()
        plans[1]["phases"]["expand"]["steps"][0]["sql"] = "CREATE TABLE b AS SELECT 1/0 AS x"
        p = self.project(plans=plans)
        answer = p.json("advance", "--all", "--release", "1.1.0", code=5)
        self.assertEqual(answer["error"]["sqlstate"], "22012")
        self.assertIn("plan 2 of 3 for release 1.1.0", answer["error"]["notes"])
        self.assertEqual((p.stage("z-first"), p.stage("a-last")), ("purged", None))

    def test_usage(self):
        p = self.project(plans=self.plans())
        p.exits(2, "advance")
        p.exits(2, "advance", "--all")
        p.exits(2, "advance", "--all", "z-first", "--release", "1.1.0")
        p.exits(2, "advance", "--all", "--release", "1.1.0", "--confirm", "z-first")
        done = p.exits(2, "advance", "z-frist", "--release", "1.1.0")
        self.assertIn('did you mean "z-first"', done.stderr)


class SeveralDatabases(project.Case):
    def test_each_plan_goes_to_its_own(self):
        other = pgtest.cluster().create_database()
        self.addCleanup(other.drop)
        p = self.project(plans=[column_plan(),
                                plan("people", 20260102000000, {"expand": phase("expand", steps=[step("t", "CREATE TABLE people ()")])},
                                     database="crm")])
        p.environment["databases"]["crm"] = {"url": "${CRM_URL}"}
        p.write()
        p.env["CRM_URL"] = other.url
        p.ok("advance", "--all", "--release", "1.1.0")
        self.assertEqual(other.value("SELECT count(*) FROM people"), "0")
        self.assertIn("external_ref", p.columns())
        self.assertEqual(other.column("SELECT DISTINCT plan FROM phasegate.plan_state"), ["people"])
        self.assertIn("people", p.ok("history", "people").stdout)

    def test_only_the_variables_of_its_own_database(self):
        p = self.project(plans=[column_plan()])
        p.environment["databases"]["crm"] = {"url": "${CRM_URL}"}
        p.write()
        p.advance("orders-ref", "1.1.0")


if __name__ == "__main__":
    unittest.main()

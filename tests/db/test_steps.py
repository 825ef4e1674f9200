"""Steps, sync, backfill and verification: applied once, as a whole or not at all, and found in place again."""

import os
import time
import unittest

import pgtest
import project
from project import column_plan, full_plan, phase, plan, step


def expand(*steps, **more):
    return plan("p", phases={"expand": phase("expand", steps=list(steps))}, **more)


class Transactional(project.Case):
    def test_a_step_is_applied_as_a_whole_or_not_at_all(self):
        body = expand(step("both", "CREATE TABLE a (x int); CREATE TABLE b AS SELECT 1/0 AS x"))
        p = self.project(plans=[body])
        answer = p.json("advance", "p", "--release", "1.1.0", code=5)
        self.assertEqual((answer["error"]["kind"], answer["error"]["sqlstate"]), ("sql", "22012"))
        self.assertIn('step "both" (plans/20260101000000-p.yaml:', " ".join(answer["error"]["notes"]))
        self.assertIsNone(p.db.value("SELECT to_regclass('a')"))
        self.assertEqual(p.task_rows("p", "both"), ["failed"])
        self.assertEqual(p.stage("p"), "expand running")
        body["phases"]["expand"]["steps"][0]["sql"] = "CREATE TABLE a (x int); CREATE TABLE b AS SELECT 1 AS x"
        p.write_plan(body)
        p.advance("p", "1.1.0")
        self.assertEqual(p.task_rows("p", "both"), ["failed", "done"])
        self.assertEqual(p.db.value("SELECT x FROM b"), "1")

    def test_a_failed_step_shows_the_statement(self):
        p = self.project(plans=[expand(step("bad", "CREATE TABLE a (x nosuchtype)"))])
        error = p.json("advance", "p", "--release", "1.1.0", code=5)["error"]
        self.assertEqual(error["sqlstate"], "42704")
        self.assertIn("nosuchtype", error["message"])

    def test_statements_are_split_by_the_grammar(self):
        p = self.project(plans=[expand(step("odd", """
            CREATE TABLE "semi;colon" (x text DEFAULT 'a;b'); -- a comment; with one
            CREATE FUNCTION twice(i int) RETURNS int LANGUAGE plpgsql AS $body$ BEGIN RETURN 2 * i; END; $body$;
            /* another; */ CREATE VIEW v AS SELECT 'x;y'::text AS z;
            """))])
        p.advance("p", "1.1.0")
        self.assertEqual(p.db.value("SELECT twice(21)"), "42")
        self.assertEqual(p.db.value("SELECT z FROM v"), "x;y")
        self.assertEqual(p.db.value('SELECT count(*) FROM "semi;colon"'), "0")

    def test_names_are_found_by_the_databases_own_search_path(self):
        p = self.project(plans=[expand(step("t", "CREATE TABLE t (x int)"), step("c", "ALTER TABLE t ADD COLUMN y int"))])
        p.db.psql('CREATE SCHEMA app; ALTER DATABASE "%s" SET search_path = app, public' % p.db.name)
        p.advance("p", "1.1.0")
        self.assertEqual(p.columns("app.t"), ["x", "y"])

    def test_the_undo_is_stored_with_the_step(self):
        p = self.project(plans=[expand(step("t", "CREATE TABLE t (x int)"))])
        p.advance("p", "1.1.0")
        self.assertRegex(p.db.value("SELECT undo_sql FROM phasegate.migration_history WHERE step = 't'"), "DROP TABLE .*t")

    def test_history_has_every_field(self):
        p = self.project(plans=[expand(step("t", "CREATE TABLE t (x int)"))])
        p.ok("--as", "alice@laptop", "advance", "p", "--release", "1.1.0")
        row = p.db.psql("SELECT plan, phase, step, kind, status, applied_by, release, sql, length(checksum), length(run_id) > 10, "
                        "duration_ms >= 0, abs(extract(epoch FROM now() - applied_at)) < 60 FROM phasegate.migration_history WHERE step = 't'")
        self.assertEqual(row, [["p", "expand", "t", "step", "done", "alice@laptop", "1.1.0", "CREATE TABLE t (x int)", "64",
                                "t", "t", "t"]])


class Standalone(project.Case):
    def test_concurrently_validate_and_enum_values(self):
        p = self.project(plans=[expand(
            step("type", "CREATE TYPE mood AS ENUM ('ok')"), step("value", "ALTER TYPE mood ADD VALUE 'happy'"),
            step("index", "CREATE INDEX CONCURRENTLY refs ON orders (legacy_ref)"),
            step("check", "ALTER TABLE orders ADD COLUMN n int"),
            step("nv", "ALTER TABLE orders ADD CONSTRAINT n_small CHECK (n < 10) NOT VALID"),
            step("valid", "ALTER TABLE orders VALIDATE CONSTRAINT n_small"))])
        p.advance("p", "1.1.0")
        self.assertEqual(p.db.value("SELECT 'happy'::mood"), "happy")
        self.assertEqual(p.db.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'refs'::regclass"), "t")
        self.assertEqual(p.db.value("SELECT convalidated FROM pg_constraint WHERE conname = 'n_small'"), "t")
        self.assertEqual(p.task_rows("p", "index"), ["started", "done"])

    def test_an_invalid_index_of_an_earlier_try_is_built_again(self):
        p = self.project(plans=[expand(step("index", "CREATE INDEX CONCURRENTLY refs ON orders (legacy_ref)"))])
        p.db.psql("CREATE INDEX refs ON orders (legacy_ref); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'refs'::regclass")
        old = p.db.value("SELECT 'refs'::regclass::oid")
        done = p.ok("advance", "p", "--release", "1.1.0")
        self.assertIn("half made by an earlier try", done.stderr)
        self.assertEqual(p.db.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'refs'::regclass"), "t")
        self.assertNotEqual(p.db.value("SELECT 'refs'::regclass::oid"), old)

    def test_a_failed_unique_build_leaves_no_invalid_index(self):
        p = self.project(plans=[plan("p", phases={"dual_read": phase("dual_read", finish=[
            step("index", "CREATE UNIQUE INDEX CONCURRENTLY refs ON orders (legacy_ref)")])})],
                         policy={"preflight": "off"})  # it would count the duplicates before
        p.db.psql("UPDATE orders SET legacy_ref = 'same' WHERE id <= 2")
        error = p.json("advance", "p", "--release", "1.2.0", code=5)["error"]
        self.assertEqual(error["sqlstate"], "23505")
        self.assertIsNone(p.db.value("SELECT to_regclass('refs')"))
        p.db.psql("UPDATE orders SET legacy_ref = 'R' || id")
        p.advance("p", "1.2.0")
        self.assertEqual(p.db.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'refs'::regclass"), "t")

    def test_transaction_none(self):
        p = self.project(plans=[expand(step("t", "CREATE TABLE t (x int)", transaction="none"))])
        p.advance("p", "1.1.0")
        self.assertEqual(p.task_rows("p", "t"), ["started", "done"])


# What has to be there before, and a statement that finds itself in place.
IN_PLACE = [
    ("", "ALTER TABLE orders ADD COLUMN a int"),
    ("", "CREATE TABLE t (x int)"),
    ("", "CREATE INDEX i ON orders (legacy_ref)"),
    ("", "CREATE INDEX CONCURRENTLY i ON orders (legacy_ref)"),
    ("", "CREATE VIEW v AS SELECT id FROM orders"),
    ("", "CREATE SEQUENCE s"),
    ("", "CREATE TYPE e AS ENUM ('a')"),
    ("CREATE TYPE e AS ENUM ('a')", "ALTER TYPE e ADD VALUE 'b'"),
    ("", "CREATE DOMAIN d AS int"),
    ("", "CREATE SCHEMA app"),
    ("", "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT $1'"),
    ("", "COMMENT ON TABLE orders IS 'what was ordered'"),
    ("", "CREATE MATERIALIZED VIEW m AS SELECT id FROM orders"),
]


class InPlace(project.Case):
    def test_what_is_there_already_is_not_done_again(self):
        for before, sql in IN_PLACE:
            with self.subTest(sql):
                p = self.project(plans=[expand(step("s", sql))], baseline=project.ORDERS + ";\n" + before)
                p.db.psql(sql)
                schema = p.schema()
                r = p.advance("p", "1.1.0")
                self.assertEqual([(t["id"], t["status"], t["note"]) for t in r["tasks"]], [("s", "skipped", "already in place")])
                self.assertEqual(p.schema(), schema)
                self.assertEqual(p.task_rows("p", "s"), ["skipped"])
                p.close()

    def test_every_step_twice_gives_the_same(self):
        steps = [step("s%d" % i, sql) for i, (before, sql) in enumerate(IN_PLACE) if not before and "CONCURRENTLY" not in sql]
        p = self.project(plans=[expand(*steps)])
        p.advance("p", "1.1.0")
        schema = p.schema()
        # The whole history is lost: everything runs again, without harm.
        p.db.psql("DROP SCHEMA phasegate CASCADE")
        r = p.advance("p", "1.1.0")
        self.assertEqual({t["status"] for t in r["tasks"]}, {"skipped"})
        self.assertEqual(p.schema(), schema)

    def test_each_step_asks_for_its_own_names(self):
        """Steps of one kind share a prepared question; some of them are in place, and the names are hostile."""
        names = ["a", "a''b", 'a""b', "a\\b", "E'$1", "$2", "ü" * 30, "select"]
        columns = ['ALTER TABLE "o\'rders \\" ADD COLUMN "%s" int' % n for n in names for n in (n + "1", n + "2", n + "3")]
        p = self.project(plans=[expand(*[step("s%d" % i, sql) for i, sql in enumerate(columns)])],
                         baseline='CREATE TABLE "o\'rders \\" (id int)')
        there = [i for i in range(len(columns)) if i % 3 == 1]
        p.db.psql(";".join(columns[i] for i in there))
        r = p.advance("p", "1.1.0")
        self.assertEqual([i for i, t in enumerate(r["tasks"]) if t["status"] == "skipped"], there)
        self.assertEqual(p.db.value("SELECT count(*) FROM information_schema.columns WHERE table_name LIKE 'o''rders%'"),
                         str(len(columns) + 1))

    def test_a_deleted_history_row_runs_again_without_harm(self):
        body = full_plan()
        p = self.project(plans=[body])
        p.db.psql("ALTER TABLE orders ADD COLUMN other text")
        body["phases"]["expand"]["finish"] = [step("later", "CREATE TABLE later AS SELECT 1/0 AS x")]
        p.write_plan(body)
        p.exits(5, "advance", "orders-ref", "--release", "1.1.0")
        p.db.psql("DELETE FROM phasegate.migration_history WHERE step IN ('column', 'index')")
        body["phases"]["expand"]["finish"][0]["sql"] = "CREATE TABLE later (x int)"
        p.write_plan(body)
        r = p.advance("orders-ref", "1.1.0")
        status = {t["id"]: t["status"] for t in r["tasks"]}
        self.assertEqual((status["column"], status["index"], status["finish/later"]), ("skipped", "skipped", "done"))

    def test_nothing_of_others_is_undone(self):
        p = self.project(plans=[column_plan(phases={"dual_read": phase("dual_read", rollout=[{"percent": 100}])},
                                            flags={"read": {"key": "r"}})])
        p.db.psql("ALTER TABLE orders ADD COLUMN external_ref text")
        p.advance("orders-ref", "1.1.0")
        p.ok("rollback", "orders-ref")
        self.assertIn("external_ref", p.columns())


class Force(project.Case):
    def counter(self, **more):
        """A step that nobody can tell from done, which counts how often it ran."""
        return step("count", "INSERT INTO runs VALUES (1)", undo={"none": "it only counts"}, **more)

    def project_with_counter(self):
        body = plan("p", phases={"dual_read": phase("dual_read", steps=[step("column", "ALTER TABLE orders ADD COLUMN a int"), self.counter()])})
        return self.project(plans=[body], baseline=project.ORDERS + "; CREATE TABLE runs (n int)")

    def test_applied_steps_run_again(self):
        p = self.project_with_counter()
        p.advance("p", "1.2.0")
        self.assertTrue(p.advance("p", "1.2.0")["nothing_to_do"])
        self.assertEqual(p.db.value("SELECT count(*) FROM runs"), "1")
        r = p.advance("p", "1.2.0", "--force")
        self.assertFalse(r["nothing_to_do"])
        self.assertEqual([(t["id"], t["status"], t["note"]) for t in r["tasks"]],
                         [("column", "skipped", "not necessary: already in place"), ("count", "done", None)])
        self.assertEqual(p.db.value("SELECT count(*) FROM runs"), "2")
        self.assertEqual(p.stage("p"), "purged")

    def test_what_was_taken_away_comes_back(self):
        p = self.project_with_counter()
        p.advance("p", "1.2.0")
        p.db.psql("ALTER TABLE orders DROP COLUMN a")
        p.advance("p", "1.2.0", "--force")
        self.assertIn("a", p.columns())

    def test_the_way_back_stays_the_same(self):
        p = self.project(plans=[full_plan()])
        p.advance("orders-ref", "1.1.0")
        undo = p.db.column("SELECT DISTINCT ON (step) undo_sql FROM phasegate.migration_history WHERE kind = 'step' ORDER BY step, seq DESC")
        p.advance("orders-ref", "1.1.0", "--force")
        self.assertEqual(p.db.column("SELECT DISTINCT ON (step) undo_sql FROM phasegate.migration_history WHERE kind = 'step' "
                                     "ORDER BY step, seq DESC"), undo)
        p.ok("rollback", "orders-ref")
        self.assertEqual(p.columns(), ["id", "legacy_ref"])

    def test_a_complete_plan_is_left_alone(self):
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "contract")
        p.ok("purge", "orders-ref", "--confirm", "orders-ref")
        p.refused("phase_present", "advance", "orders-ref", "--release", "1.5.0", "--force")

    def test_only_the_phase_of_its_release(self):
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "dual_read")
        error = p.refused("not_its_turn", "advance", "orders-ref", "--release", "1.1.0", "--force")
        self.assertIn("1.1.0", error["message"])

    def test_a_finished_phase_of_a_plan_that_goes_on(self):
        p = self.project(plans=[full_plan()])
        p.advance("orders-ref", "1.1.0")
        p.db.psql("DROP INDEX orders_external_ref; DROP TRIGGER \"zz_phasegate_i_orders-ref\" ON orders")
        r = p.advance("orders-ref", "1.1.0", "--force")
        self.assertEqual([(t["id"], t["status"]) for t in r["tasks"]],
                         [("column", "skipped"), ("index", "done"), ("sync/trigger", "done")])
        self.assertEqual(p.stage("orders-ref"), "expand done")
        p.db.psql("INSERT INTO orders VALUES (1000, 'new')")
        self.assertEqual(p.db.value("SELECT external_ref FROM orders WHERE id = 1000"), "new")
        self.assertTrue(p.json("history", "--verify")["result"]["databases"][0]["chain"]["holds"])

    def test_an_unfinished_phase_runs_its_steps_again_too(self):
        p = self.project_with_counter()
        body = plan("p", phases={"dual_read": phase("dual_read", steps=[self.counter(), step("bad", "CREATE TABLE x AS SELECT 1/0 AS y")])})
        p.write_plan(body)
        p.exits(5, "advance", "p", "--release", "1.2.0")
        p.exits(5, "advance", "p", "--release", "1.2.0")
        self.assertEqual(p.db.value("SELECT count(*) FROM runs"), "1")
        p.exits(5, "advance", "p", "--release", "1.2.0", "--force")
        self.assertEqual(p.db.value("SELECT count(*) FROM runs"), "2")


class DoesNotApply(project.Case):
    def test_another_server_is_a_final_state(self):
        p = self.project(plans=[expand(step("my", "CREATE TABLE m (x int)", dbms="mysql"),
                                       step("new", "CREATE TABLE n (x int)", dbms="postgresql >= 99"),
                                       step("old", "CREATE TABLE o (x int)", dbms="postgresql >= 14"))])
        dry = p.json("advance", "p", "--release", "1.1.0", "--dry-run")["result"]["plans"][0]["steps"]
        self.assertEqual([s["status"] for s in dry], ["does not apply", "does not apply", "would run"])
        r = p.advance("p", "1.1.0")
        self.assertEqual([(t["id"], t["status"]) for t in r["tasks"]],
                         [("my", "not_applicable"), ("new", "not_applicable"), ("old", "done")])
        self.assertIn("skipped: does not apply (mysql)", r["tasks"][0]["note"])
        self.assertEqual(p.stage("p"), "purged")
        self.assertEqual(p.task_rows("p", "my"), ["not_applicable"])
        self.assertTrue(p.json("status")["result"]["up_to_date"])
        self.assertEqual(p.json("doctor")["result"]["findings"], [])

    def test_it_is_not_run_again(self):
        body = expand(step("my", "CREATE TABLE m (x int)", dbms="mysql"), step("bad", "CREATE TABLE x AS SELECT 1/0 AS y"))
        p = self.project(plans=[body])
        p.exits(5, "advance", "p", "--release", "1.1.0")
        p.exits(5, "advance", "p", "--release", "1.1.0")
        self.assertEqual(p.task_rows("p", "my"), ["not_applicable"])


class Command(project.Case):
    def tool(self, p, text):
        path = p.path("tool.sh")
        with open(path, "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\n" + text)
        os.chmod(path, 0o755)
        return path

    def command_plan(self, p, text, *args, **more):
        tool = self.tool(p, text)
        p.write_plan(plan("p", phases={"expand": phase("expand", steps=[
            dict({"id": "tool", "command": [tool, *args], "applied_when": "SELECT to_regclass('made') IS NOT NULL",
                  "undo": "DROP TABLE made"}, **more)])}))

    def test_it_finds_the_database_in_its_environment(self):
        p = self.project()
        self.command_plan(p, 'echo "$@" > args; psql -X -q "$DATABASE_URL" -c "CREATE TABLE made (x int)"\n'
                             'psql -X -A -t -c "SELECT current_database()" > db 2>&1\n', "-target=42")
        p.advance("p", "1.1.0")
        self.assertEqual(p.db.value("SELECT count(*) FROM made"), "0")
        with open(p.path("args"), encoding="utf-8") as f:
            self.assertEqual(f.read(), "-target=42\n")
        with open(p.path("db"), encoding="utf-8") as f:
            self.assertEqual(f.read().strip(), p.db.name, "PG* point at the database as well")
        self.assertEqual(p.task_rows("p", "tool"), ["started", "done"])

    def test_in_place_means_not_run(self):
        p = self.project()
        self.command_plan(p, "touch ran\n")
        p.db.psql("CREATE TABLE made (x int)")
        self.assertEqual(p.advance("p", "1.1.0")["tasks"][0]["status"], "skipped")
        self.assertFalse(os.path.exists(p.path("ran")))

    def test_its_failure_is_told(self):
        p = self.project()
        self.command_plan(p, "echo 'no such target' >&2; exit 3\n")
        error = p.json("advance", "p", "--release", "1.1.0", code=5)["error"]
        self.assertIn("ended with exit code 3", error["message"])
        self.assertIn("no such target", error["detail"])

    def test_ending_well_without_a_result_is_a_failure(self):
        p = self.project()
        self.command_plan(p, "exit 0\n")
        error = p.json("advance", "p", "--release", "1.1.0", code=5)["error"]
        self.assertIn("applied_when is still false", error["message"])

    def test_a_program_that_is_not_there(self):
        p = self.project()
        self.command_plan(p, "exit 0\n")
        os.unlink(p.path("tool.sh"))
        done = p.run("advance", "p", "--release", "1.1.0")
        self.assertEqual(done.rc, 3, done)
        self.assertIn("tool.sh", done.stderr)

    def test_it_is_undone_by_its_undo(self):
        p = self.project()
        self.command_plan(p, 'psql -X -q "$DATABASE_URL" -c "CREATE TABLE made (x int)"\n')
        body = plan("p", phases={"expand": phase("expand", steps=[
            {"id": "tool", "command": [p.path("tool.sh")], "applied_when": "SELECT to_regclass('made') IS NOT NULL",
             "undo": "DROP TABLE made"}]), "dual_read": phase("dual_read")})
        p.write_plan(body)
        p.advance("p", "1.1.0")
        p.ok("rollback", "p")
        self.assertIsNone(p.db.value("SELECT to_regclass('made')"))


class Locks(project.Case):
    def test_a_held_lock_is_waited_for_without_queueing(self):
        p = self.project(plans=[column_plan()], policy={"lock_timeout": "100ms"})
        with p.db.session("BEGIN", "SELECT 1 FROM orders LIMIT 1"):
            with p.start("advance", "orders-ref", "--release", "1.1.0") as run:
                pgtest.wait_until(lambda: "not got" in run.stderr, 20, what="the first retry")
                # Nobody stands in a queue behind it: a reader gets through at once while it backs off.
                self.assertEqual(p.db.value("SET lock_timeout = '1s'; SELECT count(*) FROM orders"), "500")
                self.assertRegex(run.stderr, r'lock on "orders" not got, try 1 of 30: held by pid \d+ \(psql, .*transaction open for')
                self.assertEqual(p.db.value("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'phasegate/%' "
                                            "AND state LIKE 'idle in transaction%' AND datname = current_database()"), "0")
                holder = p.db.value("SELECT pid FROM pg_locks WHERE relation = 'orders'::regclass AND mode = 'AccessShareLock' "
                                    "AND pid <> pg_backend_pid() LIMIT 1")
                self.assertIn("pid %s" % holder, run.stderr)
                p.db.psql("SELECT pg_terminate_backend(%s)" % holder)
                self.assertEqual(run.wait(60).rc, 0)
        self.assertIn("external_ref", p.columns())
        self.assertEqual(p.task_rows("orders-ref", "column"), ["done"])

    def test_a_statement_timeout_is_an_error_and_not_a_retry(self):
        p = self.project(plans=[expand(step("slow", "CREATE TABLE t AS SELECT 1 AS x FROM pg_sleep(30)", statement_timeout="200ms"))])
        start = time.monotonic()
        error = p.json("advance", "p", "--release", "1.1.0", code=5)["error"]
        self.assertEqual(error["sqlstate"], "57014")
        self.assertLess(time.monotonic() - start, 20)


class Sync(project.Case):
    def setUp(self):
        self.p = self.project(plans=[full_plan()])
        self.p.advance("orders-ref", "1.1.0")

    def row(self, i):
        return self.p.db.psql("SELECT legacy_ref, external_ref FROM orders WHERE id = %d" % i)[0]

    def test_both_ways(self):
        db = self.p.db
        db.psql("INSERT INTO orders (id, legacy_ref) VALUES (1001, 'old')")
        db.psql("INSERT INTO orders (id, external_ref) VALUES (1002, 'new')")
        self.assertEqual((self.row(1001), self.row(1002)), (["old", "old"], ["new", "new"]))
        db.psql("UPDATE orders SET legacy_ref = 'older' WHERE id = 1002")
        db.psql("UPDATE orders SET external_ref = 'newer' WHERE id = 1001")
        self.assertEqual((self.row(1001), self.row(1002)), (["newer", "newer"], ["older", "older"]))

    def test_only_when_its_columns_change(self):
        db = self.p.db
        db.psql("ALTER TABLE orders ADD COLUMN note text")
        db.psql("UPDATE orders SET note = 'x' WHERE id = 1")
        self.assertEqual(self.row(1), ["R1", None], "an unrelated update doesn't fill the row")

    def test_rollback_removes_it(self):
        self.p.ok("rollback", "orders-ref")
        self.assertEqual(self.p.triggers(), [])
        self.assertEqual(self.p.db.value("SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace "
                                         "WHERE nspname = 'phasegate' AND proname LIKE 'sync%'"), "0")


class SyncErrors(project.Case):
    def test_a_column_that_is_not_there(self):
        body = full_plan()
        body["phases"]["expand"]["steps"] = [step("t", "CREATE TABLE t (x int)")]
        p = self.project(plans=[body])
        error = p.refused("requirement", "advance", "orders-ref", "--release", "1.1.0")
        self.assertRegex(error["message"], r"external_ref of orders, which sync writes, isn't there.*\(plans/20260101000000-orders-ref.yaml:\d+:\d+\)")
        self.assertIsNone(p.db.value("SELECT to_regclass('t')"))

    def test_a_default_on_the_new_column(self):
        body = full_plan()
        body["phases"]["expand"]["steps"][0]["sql"] = "ALTER TABLE orders ADD COLUMN external_ref text DEFAULT 'x'"
        p = self.project(plans=[body])
        error = p.refused("requirement", "advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("has a default", error["message"])
        self.assertEqual(p.columns(), ["id", "legacy_ref"])


class SyncByTheApplication(project.Case):
    def order_of(self, by):
        sync = {"table": "orders", "forward": {"external_ref": "legacy_ref"}, "reverse": {"legacy_ref": "external_ref"}, "by": by}
        p = self.project(plans=[full_plan(sync=sync)])
        for release in ("1.1.0", "1.2.0", "1.3.0"):
            p.advance("orders-ref", release)
        self.assertEqual(p.triggers(), [])
        return p.db.column("SELECT step FROM phasegate.migration_history WHERE status = 'done' AND phase <> 'expand' "
                           "AND kind IN ('rung', 'backfill', 'verify') ORDER BY seq"), p

    def test_reads_wait_for_writes_and_verification(self):
        want = ["write/50%", "write/100%", "backfill/fill", "verify/all", "read/10%", "read/100%"]
        for by in ("application", {"cohort": {"column": "id"}}):
            with self.subTest(by):
                order, p = self.order_of(by)
                self.assertEqual(order, want)
                self.assertEqual((p.flag("orders-ref-read"), p.flag("orders-ref-write")), (100, 100))


class Backfill(project.Case):
    def test_only_rows_that_are_to_do_are_touched(self):
        p = self.project(plans=[full_plan()])
        p.advance("orders-ref", "1.1.0")
        p.db.psql("UPDATE orders SET external_ref = legacy_ref WHERE id <= 100")
        before = p.db.column("SELECT ctid FROM orders WHERE id <= 100 ORDER BY id")
        r = p.advance("orders-ref", "1.2.0")
        note = [t["note"] for t in r["tasks"] if t["id"] == "backfill/fill"]
        self.assertEqual(note, ["400 rows changed"])
        self.assertEqual(p.db.column("SELECT ctid FROM orders WHERE id <= 100 ORDER BY id"), before)
        self.assertEqual(p.db.psql("SELECT status, rows_done, rows_changed FROM phasegate.backfill_job"), [["done", "500", "400"]])

    def test_batches_and_odd_keys(self):
        body = plan("p", phases={"dual_read": phase("dual_read", backfill=[
            {"id": "lines", "table": "lines", "set": {"b": "upper(a)"}, "where": "b IS DISTINCT FROM upper(a)",
             "batch": {"rows": 7, "min": 7, "max": 7}}])})
        p = self.project(plans=[body], baseline="CREATE TABLE lines (o text, n int, a text, b text, PRIMARY KEY (o, n));"
                         "INSERT INTO lines SELECT 'o''\"' || i % 13, i, 'x' || i FROM generate_series(1, 200) i")
        p.advance("p", "1.2.0")
        self.assertEqual(p.db.value("SELECT count(*) FROM lines WHERE b = upper(a)"), "200")
        self.assertEqual(p.db.psql("SELECT rows_done, rows_changed, batches FROM phasegate.backfill_job"), [["200", "200", "29"]])

    def test_from_another_table(self):
        body = plan("p", phases={"write_activation": phase("write_activation", backfill=[
            {"id": "lines", "table": "lines", "set": {"ref": "o.legacy_ref"}, "from": "orders o", "match": "o.id = lines.order_id",
             "where": "lines.ref IS DISTINCT FROM o.legacy_ref"}])})
        p = self.project(plans=[body], baseline=project.ORDERS + "; CREATE TABLE lines (id int PRIMARY KEY, order_id bigint, ref text);"
                         "INSERT INTO lines SELECT i, i FROM generate_series(1, 300) i")
        p.advance("p", "1.3.0")
        self.assertEqual(p.db.value("SELECT count(*) FROM lines WHERE ref = 'R' || order_id"), "300")

    def test_an_empty_table(self):
        p = self.project(plans=[full_plan()], baseline="CREATE TABLE orders (id bigint PRIMARY KEY, legacy_ref text)")
        p.advance_through("orders-ref", "write_activation")

    def test_no_primary_key(self):
        """A table without one is walked by blocks; a view has neither."""
        p = self.project(plans=[full_plan()], baseline=project.ORDERS.replace("PRIMARY KEY", ""))
        p.advance_through("orders-ref", "dual_read")
        self.assertEqual(p.db.value("SELECT count(*) FROM orders WHERE external_ref = legacy_ref"), "500")
        body = plan("p", phases={"dual_read": phase("dual_read", backfill=[
            {"id": "fill", "table": "v", "set": {"legacy_ref": "'x'"}, "where": "legacy_ref IS NULL"}])})
        p = self.project(plans=[body], baseline="CREATE TABLE t (id bigint, legacy_ref text); CREATE VIEW v AS SELECT * FROM t")
        error = p.json("advance", "p", "--release", "1.2.0", code=2)["error"]
        self.assertIn("no primary key", error["message"])
        self.assertIn("key:", error["hint"])

    def test_a_bad_row_stops_it_and_what_was_done_stays(self):
        body = plan("p", phases={"dual_read": phase("dual_read", backfill=[
            {"id": "n", "table": "orders", "set": {"n": "legacy_ref::int"}, "where": "n IS NULL", "batch": {"rows": 100, "min": 100, "max": 100}}])})
        p = self.project(plans=[body], baseline="CREATE TABLE orders (id bigint PRIMARY KEY, legacy_ref text, n int);"
                         "INSERT INTO orders SELECT i, CASE WHEN i = 250 THEN 'odd' ELSE i::text END FROM generate_series(1, 400) i")
        error = p.json("advance", "p", "--release", "1.2.0", code=5)["error"]
        self.assertEqual(error["sqlstate"], "22P02")
        self.assertEqual(p.db.value("SELECT count(*) FROM orders WHERE n IS NOT NULL"), "200")
        p.db.psql("UPDATE orders SET legacy_ref = '250' WHERE id = 250")
        p.advance("p", "1.2.0")
        self.assertEqual(p.db.psql("SELECT rows_done, rows_changed FROM phasegate.backfill_job"), [["400", "400"]])


class Verify(project.Case):
    def test_a_phase_is_not_done_before_it_holds(self):
        body = full_plan()
        body["phases"]["write_activation"]["verify"].append(
            {"id": "none-odd", "sql": "SELECT count(*) FROM orders WHERE external_ref = 'R13'", "expect": "= 0"})
        p = self.project(plans=[body])
        p.advance("orders-ref", "1.1.0")
        p.advance("orders-ref", "1.2.0")
        answer = p.json("advance", "orders-ref", "--release", "1.3.0", code=1)
        self.assertEqual((answer["error"]["kind"], answer["error"]["reason"]), ("no", "not_verified"))
        self.assertRegex(answer["error"]["message"], r"none-odd: got 1 \(plans/.*:\d+:\d+\)")
        self.assertEqual(p.stage("orders-ref"), "write_activation running")
        p.db.psql("UPDATE orders SET external_ref = 'R-13' WHERE id = 13")
        p.advance("orders-ref", "1.3.0")
        self.assertEqual(p.stage("orders-ref"), "write_activation done")

    def test_old_and_new_have_to_agree(self):
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "dual_read")
        p.db.psql("ALTER TABLE orders DISABLE TRIGGER USER; UPDATE orders SET legacy_ref = 'odd' WHERE id = 7; "
                  "ALTER TABLE orders ENABLE TRIGGER USER")
        answer = p.json("advance", "orders-ref", "--release", "1.3.0", code=1)
        self.assertIn("not_verified", answer["error"]["reason"])
        # The same command fills what is left and verifies again.
        p.advance("orders-ref", "1.3.0")
        self.assertEqual(p.db.value("SELECT external_ref FROM orders WHERE id = 7"), "odd")

    def test_compare(self):
        body = full_plan()
        body["phases"]["dual_read"]["compare"] = {"sample": "100%", "max_mismatch": 0}
        p = self.project(plans=[body])
        p.advance("orders-ref", "1.1.0")
        r = p.advance("orders-ref", "1.2.0")
        self.assertEqual([t["note"] for t in r["tasks"] if t["id"] == "compare/all"], ["0 differ"])


if __name__ == "__main__":
    unittest.main()

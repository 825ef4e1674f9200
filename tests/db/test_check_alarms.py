"""What `check` tells of that isn't so, and what it tells of in other words than it should."""

import os
import shutil
import tempfile
import unittest

import check_project
from project import plan

T = "CREATE TABLE orders (id int PRIMARY KEY, status text NOT NULL, note text)"
GET = "-- name: Get\nSELECT status FROM orders WHERE id = $1;\n"
PUT = "-- name: Put\nINSERT INTO orders (id, status) VALUES ($1, 'new');\n"
CHECK = "CHECK (status IN ('new', 'done'))"


def steps(release, *sql, **more):
    return dict({"release": release, "steps": [dict(id="s%d" % i, **(s if isinstance(s, dict) else {"sql": s})) for i, s in enumerate(sql)]}, **more)


class RightChecks(check_project.Case):
    """A CHECK comes NOT VALID, a backfill puts the rows right, and it is validated."""

    def plan(self, check, set_to, where, validate="ALTER TABLE orders VALIDATE CONSTRAINT status_known", **more):
        return plan("known", phases={
            "expand": steps("1.1.0", "ALTER TABLE orders ADD CONSTRAINT status_known %s NOT VALID" % check),
            "dual_read": dict({"release": "1.2.0", "backfill": [{"id": "right", "table": "orders", "set": {"status": set_to}, "where": where}]}),
            "write_activation": dict(steps("1.3.0", validate), **more)})

    def good(self, p, statements=GET + PUT, baseline=T):
        self.clean(self.project(baseline=baseline, releases={v: statements for v in ("1.0.0", "1.1.0", "1.2.0", "1.3.0")}, plans=[p]))

    def test_rows_of_one_kind_are_put_right(self):
        self.good(self.plan(CHECK, "'new'", "status = ''"))

    def test_all_rows_are_put_right(self):
        self.good(self.plan(CHECK, "'new'", "status NOT IN ('new', 'done')"))

    def test_by_an_expression(self):
        self.good(self.plan(CHECK, "lower(status)", "status <> lower(status)"))

    def test_beside_other_columns(self):
        update = "-- name: Note\nUPDATE orders SET note = $2 WHERE id = $1;\n"
        self.good(self.plan(CHECK, "lower(status)", "status <> lower(status)"), GET + PUT + update)

    def test_in_a_step_without_a_transaction(self):
        self.good(self.plan(CHECK, "lower(status)", "status <> lower(status)",
                            {"sql": "ALTER TABLE orders VALIDATE CONSTRAINT status_known", "transaction": "none"}))

    def test_with_children(self):
        self.good(self.plan(CHECK, "lower(status)", "status <> lower(status)"), GET + PUT,
                  T + "; CREATE TABLE lines (id int PRIMARY KEY, order_id int NOT NULL REFERENCES orders)")

    def test_a_new_column_of_the_plan(self):
        p = plan("kind", phases={
            "expand": steps("1.1.0", "ALTER TABLE orders ADD COLUMN kind text",
                            "ALTER TABLE orders ADD CONSTRAINT kind_known CHECK (kind IN ('new', 'done')) NOT VALID"),
            "dual_read": {"release": "1.2.0", "backfill": [{"id": "fill", "table": "orders", "set": {"kind": "lower(status)"}, "where": "kind IS NULL"}]},
            "write_activation": steps("1.3.0", "ALTER TABLE orders VALIDATE CONSTRAINT kind_known")})
        self.good(p)

    def test_one_that_rows_of_the_baseline_break(self):
        p = self.project(baseline=T + "; INSERT INTO orders VALUES (1, 'odd')", releases={v: GET for v in ("1.0.0", "1.1.0", "1.2.0", "1.3.0")},
                         plans=[self.plan(CHECK, "lower(status)", "status <> lower(status)")])
        self.red(p, "step-fails-on-shadow", step="s0")


class Replaced(check_project.Case):
    def contract(self, sql, **more):
        return plan("again", phases={"contract": steps("1.1.0", sql)}, **more)

    def test_a_constraint_by_another(self):
        p = self.project(baseline=T + "; ALTER TABLE orders ADD CONSTRAINT known CHECK (status IN ('new', 'done'))",
                         releases={"1.0.0": GET, "1.1.0": GET},
                         plans=[self.contract("ALTER TABLE orders DROP CONSTRAINT known, ADD CONSTRAINT known CHECK (status IN ('new', 'done', 'gone')) NOT VALID")])
        for done in (p.check(), p.check("--static")):
            self.assertNotIn("destructive-without-precheck", [f["rule"] for f in done.findings], done)

    def test_what_comes_back_finds_another_of_its_name(self):
        for base, drop, make, way in (
                ("; ALTER TABLE orders ADD CONSTRAINT known CHECK (status IN ('new', 'done'))", "ALTER TABLE orders DROP CONSTRAINT known",
                 "ALTER TABLE orders ADD CONSTRAINT known CHECK (status IN ('new', 'done', 'gone')) NOT VALID", "one step drop the old one"),
                ("", "ALTER TABLE orders DROP COLUMN note", "ALTER TABLE orders ADD COLUMN note int", "in a later plan")):
            p = plan("again", phases={"contract": steps("1.1.0", drop, make)},
                     data_checks=[{"id": "unused", "sql": "SELECT count(note) FROM orders", "expect": "= 0"}])
            found = self.red(self.project(baseline=T + base, releases={"1.0.0": GET, "1.1.0": GET}, plans=[p]), "step-fails-on-shadow", step="s0")
            self.assertIn("restore, which brings back what the step hides, fails: ", found["message"])
            self.assertIn("give the new one another name", found["help"])
            self.assertIn(way, found["help"])
            one = plan("again", phases={"contract": steps("1.1.0", "%s; %s" % (drop, make))},
                       data_checks=[{"id": "unused", "sql": "SELECT count(note) FROM orders", "expect": "= 0"}])
            again = self.project(baseline=T + base, releases={"1.0.0": GET, "1.1.0": GET}, plans=[one]).check()
            self.assertNotIn("step-fails-on-shadow", [f["rule"] for f in again.findings], again)

    def test_a_column_with_it_still_is(self):
        p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": GET},
                         plans=[self.contract("ALTER TABLE orders DROP COLUMN note, ALTER COLUMN status DROP NOT NULL")])
        self.assertIn("destructive-without-precheck", [f["rule"] for f in p.check().findings])


class Blamed(check_project.Case):
    """The step that is named is the one after which it fails first."""

    def test_rows_of_one_plan_and_a_step_of_another(self):
        base = ("CREATE TABLE users (id int PRIMARY KEY, name text); CREATE TABLE bills (id int PRIMARY KEY, due date); "
                "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; "
                "CREATE TRIGGER noted BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION note(); "
                "INSERT INTO users VALUES (1, 'ann'); INSERT INTO bills VALUES (1, '2026-01-01')")
        add = "-- name: Add\n-- args: (7, 'ann')\nINSERT INTO users (id, name) VALUES ($1, $2);\n"
        shown = plan("shown", 20261114093000, sync={"table": "users", "forward": {"shown": "name"}, "reverse": {"name": "shown"}, "by": "trigger"},
                     phases={"expand": steps("1.1.0", "ALTER TABLE users ADD COLUMN shown text", "CREATE UNIQUE INDEX CONCURRENTLY shown ON users (shown)"),
                             "dual_read": {"release": "1.2.0", "backfill": [{"id": "fill"}]}})
        due = plan("due", 20261114093001, phases={
            "contract": steps("1.3.0", "ALTER TABLE bills ADD CONSTRAINT due CHECK (due IS NOT NULL) NOT VALID")})
        done = self.project(baseline=base, releases={v: add for v in ("1.0.0", "1.1.0", "1.2.0", "1.3.0")}, plans=[shown, due]).check()
        errors = {(f["plan"], f["step"]) for f in done.findings if f["severity"] == "error"}
        self.assertIn(("shown", "backfill/fill"), errors, done)
        self.assertEqual({p for p, _ in errors}, {"shown"}, done)


    def broken_by(self, *change, base="", rows="INSERT INTO users VALUES (1, 'bob')"):
        """The plans that errors name, where a backfill of the statement's table comes before the step that breaks it."""
        add = "-- name: Add\n-- args: (7, 'ann')\nINSERT INTO users (id, name) VALUES ($1, $2);\n"
        shown = plan("shown", 20261114093000, sync={"table": "users", "forward": {"shown": "name"}, "reverse": {"name": "shown"}, "by": "trigger"},
                     phases={"expand": steps("1.1.0", "ALTER TABLE users ADD COLUMN shown text"),
                             "dual_read": {"release": "1.2.0", "backfill": [{"id": "fill"}]}})
        later = plan("later", 20261114093001, phases={"contract": steps("1.3.0", *change)})
        done = self.project(baseline=base + rows, releases={v: add for v in ("1.0.0", "1.1.0", "1.2.0", "1.3.0")}, plans=[shown, later]).check()
        errors = {(f["plan"], f["step"]) for f in done.findings if f["severity"] == "error" and f["statement"]}
        self.assertTrue(errors, done)
        return {p for p, _ in errors}, done

    def test_a_domain_that_the_statement_does_not_name(self):
        plans, done = self.broken_by("ALTER DOMAIN label ADD CONSTRAINT other CHECK (VALUE <> 'ann') NOT VALID",
                                     base="CREATE DOMAIN label AS text; CREATE TABLE users (id int PRIMARY KEY, name label); ")
        self.assertEqual(plans, {"later"}, done)

    def test_a_function_that_the_statement_does_not_name(self):
        refuse = "BEGIN IF NEW.name = 'ann' THEN RAISE EXCEPTION 'no' USING ERRCODE = 'check_violation'; END IF; RETURN NEW; END"
        plans, done = self.broken_by("CREATE OR REPLACE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$%s$$" % refuse,
                                     base="CREATE TABLE users (id int PRIMARY KEY, name text); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql "
                                     "AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER noted BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION note(); ")
        self.assertEqual(plans, {"later"}, done)

    def test_a_trigger_of_a_table_that_the_statement_does_not_name(self):
        refuse = "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'check_violation'; END$$"
        plans, done = self.broken_by(refuse, "CREATE TRIGGER no BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION no()",
                                     base="CREATE TABLE users (id int PRIMARY KEY, name text); CREATE TABLE log (id int); CREATE FUNCTION note() RETURNS "
                                     "trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO log VALUES (NEW.id); RETURN NEW; END'; "
                                     "CREATE TRIGGER noted BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION note(); ")
        self.assertEqual(plans, {"later"}, done)

    def test_rows_of_a_table_that_the_statement_does_not_name(self):
        fill = {"id": "fill", "table": "taken", "set": {"name": "'ann'"}, "where": "name = 'bob'"}
        base = ("CREATE TABLE users (id int PRIMARY KEY, name text); CREATE TABLE taken (id int PRIMARY KEY, name text UNIQUE); CREATE TABLE bills (id int "
                "PRIMARY KEY, due date); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO taken VALUES (NEW.id, NEW.name); "
                "RETURN NEW; END'; CREATE TRIGGER noted BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION note(); INSERT INTO taken VALUES (1, 'bob')")
        add = "-- name: Add\n-- args: (7, 'ann')\nINSERT INTO users (id, name) VALUES ($1, $2);\n"
        filled = plan("filled", 20261114093000, phases={"expand": steps("1.1.0", "SELECT 1"), "dual_read": {"release": "1.2.0", "backfill": [fill]}})
        later = plan("later", 20261114093001, phases={
            "contract": steps("1.3.0", "ALTER TABLE bills ADD CONSTRAINT due CHECK (due IS NOT NULL) NOT VALID")})
        done = self.project(baseline=base, releases={v: add for v in ("1.0.0", "1.1.0", "1.2.0", "1.3.0")}, plans=[filled, later]).check()
        errors = {f["plan"] for f in done.findings if f["severity"] == "error" and f["statement"]}
        self.assertEqual(errors, {"filled"}, done)


class WrittenForIt(check_project.Case):
    """A statement that can't be there before the column is has known its restrictions all along, if expand makes both."""

    RATE = "-- name: Rate\nUPDATE orders SET rating = $2 WHERE id = $1;\n-- name: Put\nINSERT INTO orders (id, status, rating) VALUES ($1, 'new', $2);\n"
    MORE = ("ALTER TABLE orders ADD CONSTRAINT few CHECK (rating BETWEEN 1 AND 5) NOT VALID", "ALTER TABLE orders VALIDATE CONSTRAINT few",
            "ALTER TABLE orders ADD CONSTRAINT known FOREIGN KEY (rating) REFERENCES ratings NOT VALID", "CREATE UNIQUE INDEX CONCURRENTLY once ON orders (rating)")
    BASE = T + "; CREATE TABLE ratings (n int PRIMARY KEY); INSERT INTO ratings SELECT generate_series(1, 9)"

    def rated(self, *steps_of_expand, contract=(), old=GET, base=BASE):
        phases = {"expand": steps("1.1.0", *steps_of_expand)}
        if contract:
            phases["contract"] = steps("1.3.0", *contract)
        return self.project(baseline=base, releases={"1.0.0": old, "1.1.0": old + self.RATE, "1.2.0": old + self.RATE, "1.3.0": old + self.RATE},
                            plans=[plan("rated", phases=phases)])

    def test_each_restriction_of_a_new_column(self):
        for more in self.MORE[:1] + self.MORE[2:]:
            with self.subTest(more):
                found = [f for f in self.rated("ALTER TABLE orders ADD COLUMN rating int", more).check().findings if f["severity"] == "error"]
                self.assertEqual(found, [])

    def test_all_of_them(self):
        found = [f for f in self.rated("ALTER TABLE orders ADD COLUMN rating int", *self.MORE).check().findings if f["severity"] == "error"]
        self.assertEqual(found, [])

    def test_what_comes_later_is_told(self):
        self.red(self.rated("ALTER TABLE orders ADD COLUMN rating int", contract=self.MORE[:1]), "unproven-write", step="s0", phase="contract")

    NOTED = "-- name: Noted\nUPDATE orders SET note = $2, rating = $3 WHERE id = $1;\n"

    def noted(self, *steps_of_expand):
        expand = ("ALTER TABLE orders ADD COLUMN rating int",) + steps_of_expand
        return self.project(baseline=self.BASE, releases={"1.0.0": GET, "1.1.0": GET + self.NOTED, "1.2.0": GET + self.NOTED},
                            plans=[plan("rated", phases={"expand": steps("1.1.0", *expand)})])

    def test_what_an_old_column_may_hold_is_told(self):
        self.red(self.noted("ALTER TABLE orders ADD CONSTRAINT short CHECK (length(note) < 10) NOT VALID"), "unproven-write", step="s1")

    def test_a_trigger_on_an_old_column_is_told(self):
        self.red(self.noted({"sql": "CREATE FUNCTION short() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF length(NEW.note) > 10 THEN RAISE EXCEPTION 'no'; END IF; "
                             "RETURN NEW; END$$; CREATE TRIGGER short BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION short()"}),
                 "unproven-write", step="s1")

    def test_a_key_of_an_old_column_is_told(self):
        self.red(self.noted("CREATE UNIQUE INDEX CONCURRENTLY once ON orders (note)"), "unproven-write", step="s1")

    def test_a_check_of_an_old_column_and_a_new_one(self):
        done = self.noted("ALTER TABLE orders ADD CONSTRAINT short CHECK (rating > 3 OR length(note) < 10) NOT VALID").check()
        self.assertEqual([f for f in done.findings if f["severity"] == "error"], [], done)

    def test_a_key_of_an_old_column_and_a_new_one(self):
        done = self.noted("CREATE UNIQUE INDEX CONCURRENTLY once ON orders (note, rating)").check()
        self.assertEqual([f for f in done.findings if f["severity"] == "error"], [], done)

    def test_a_table_of_the_plan(self):
        put = "-- name: Star\nINSERT INTO stars (id, n) VALUES ($1, $2);\n"
        p = self.project(baseline=self.BASE, releases={"1.0.0": GET, "1.1.0": GET + put, "1.2.0": GET + put}, plans=[plan("stars", phases={
            "expand": steps("1.1.0", "CREATE TABLE stars (id int PRIMARY KEY, n int)", "ALTER TABLE stars ADD CONSTRAINT few CHECK (n < 6)",
                            "ALTER TABLE stars ADD CONSTRAINT known FOREIGN KEY (n) REFERENCES ratings", "CREATE UNIQUE INDEX once ON stars (n)")})])
        self.assertEqual([f for f in p.check().findings if f["severity"] == "error" and f["rule"] in ("unproven-write", "restriction-breaks-old-writes")], [])

    def test_another_plan_of_the_same_release(self):
        for more in self.MORE[:1] + self.MORE[2:]:
            with self.subTest(more):
                second = plan("known", timestamp=20270101000000, phases={"expand": steps("1.1.0", more)})
                second["depends_on"] = [{"plan": "rated", "phase": "expand"}]
                p = self.project(baseline=self.BASE, releases={"1.0.0": GET, "1.1.0": GET + self.RATE, "1.2.0": GET + self.RATE},
                                 plans=[plan("rated", phases={"expand": steps("1.1.0", "ALTER TABLE orders ADD COLUMN rating int")}), second])
                done = p.check()
                self.assertEqual([f for f in done.findings if f["severity"] == "error"], [], done)

    def test_another_plan_of_a_later_release_is_told(self):
        second = plan("known", timestamp=20270101000000, phases={"expand": steps("1.2.0", self.MORE[0])})
        second["depends_on"] = [{"plan": "rated", "phase": "expand"}]
        p = self.project(baseline=self.BASE, releases={"1.0.0": GET, "1.1.0": GET + self.RATE, "1.2.0": GET + self.RATE},
                         plans=[plan("rated", phases={"expand": steps("1.1.0", "ALTER TABLE orders ADD COLUMN rating int")}), second])
        self.red(p, "unproven-write", step="s0", plan="known")

    def test_what_another_release_wrote_before_is_told(self):
        p = self.rated(self.MORE[0], old=GET + "-- name: Old\nUPDATE orders SET rating = $2 WHERE id = $1;\n",
                       base=self.BASE + "; ALTER TABLE orders ADD COLUMN rating int")
        done = p.check()
        self.assertEqual({(f["rule"], f["step"]) for f in done.findings if f["severity"] == "error"}, {("unproven-write", "s0")}, done)
        self.assertIn("Old", {x["statement"] for f in done.findings for x in f["places"]})


class Roles(check_project.Case):
    BASE = "CREATE ROLE app; " + T + "; GRANT SELECT ON orders TO app"

    def proved(self, sql, session=None, baseline=None, args=(), **step):
        p = plan("path", phases={"contract": steps("1.1.0", dict({"sql": sql}, **step))})
        return self.project(baseline=baseline or self.BASE, releases={"1.0.0": GET, "1.1.0": GET},
                            session=dict({"role": "app"}, **(session or {})), plans=[p]).check(*args)

    def test_settings_of_a_role(self):
        for sql in ("ALTER ROLE app SET search_path = app, public", "ALTER USER app SET work_mem = '8MB'", "ALTER ROLE app RESET search_path",
                    'ALTER ROLE "app" IN DATABASE shop SET search_path TO public', "ALTER ROLE app SET TIME ZONE 'UTC'"):
            done = self.proved(sql, {"search_path": "public", "timezone": "UTC"})
            self.assertEqual((done.rc, self.rules(done)), (0, []), (sql, done))
        done = self.proved("ALTER ROLE app SET work_mem = '8MB'", transaction="none")
        self.assertEqual((done.rc, self.rules(done)), (0, []), done)

    def test_one_that_statements_go_by(self):
        done = self.proved("ALTER ROLE app SET search_path = other")
        self.assertEqual((done.rc, self.rules(done)), (0, [("warning", "session-meaning-changed")]), done)
        self.assertIn("session:", done.findings[0]["help"])

    def test_it_is_taken_back(self):
        """The steps' role is what it was, and the role's setting too: neither a later step nor another replay meets it."""
        p = plan("path", phases={"contract": steps("1.1.0", "ALTER ROLE app SET work_mem = '8MB'",
                 "DO $$ BEGIN IF current_user = 'app' OR EXISTS (SELECT FROM pg_db_role_setting s "
                 "WHERE s.setrole = 'app'::regrole) THEN RAISE EXCEPTION 'still there'; END IF; END $$")})
        done = self.project(baseline=self.BASE, releases={"1.0.0": GET, "1.1.0": GET}, session={"role": "app"}, plans=[p]).check()
        self.assertNotIn("step-fails-on-shadow", [f["rule"] for f in done.findings], done)

    def test_what_no_role_may_say_of_itself(self):
        for sql in ("ALTER ROLE app SUPERUSER", "ALTER ROLE app SET session_preload_libraries = 'x'", "ALTER ROLE phasegate_admin SET work_mem = '8MB'",
                    "ALTER ROLE nobody_here SET work_mem = '8MB'", "ALTER ROLE ALL SET work_mem = '8MB'", "ALTER ROLE app SET no_such_thing = 1"):
            done = self.proved(sql)
            self.assertIn(("error", "step-fails-on-shadow"), self.rules(done), (sql, done))

    def test_not_on_a_server_of_others(self):
        import pgtest
        server = pgtest.Cluster()
        self.addCleanup(server.close)
        done = self.proved("ALTER ROLE app SET work_mem = '8MB'", args=("--shadow", server.url()))
        self.assertEqual(done.rc, 1, done)
        f = next(f for f in done.findings if f["rule"] == "step-fails-on-shadow")
        self.assertIn("without --shadow", f["help"])


class Indexes(check_project.Case):
    def test_the_first_error_of_a_concurrent_build(self):
        p = self.project(baseline=T + "; INSERT INTO orders VALUES (1, 'x', 'same'), (2, 'y', 'same')", releases={"1.0.0": GET, "1.1.0": GET},
                         plans=[plan("one", phases={"expand": steps("1.1.0", {"sql": "CREATE UNIQUE INDEX CONCURRENTLY one_note ON orders (note)", "transaction": "none"})})])
        f = self.red(p, "step-fails-on-shadow")
        self.assertEqual(f["sqlstate"], "23505", f)

    def test_rows_of_ours_are_in_nobodys_way(self):
        p = self.project(baseline="CREATE TABLE u (id int PRIMARY KEY, b boolean NOT NULL DEFAULT true CHECK (b))", releases={"1.0.0": "-- name: G\nSELECT id FROM u;\n", "1.1.0": "-- name: G\nSELECT id FROM u;\n"},
                         plans=[plan("one", phases={"expand": steps("1.1.0", {"sql": "CREATE UNIQUE INDEX CONCURRENTLY one_b ON u (b)", "transaction": "none"})})])
        self.assertNotIn("step-fails-on-shadow", [f["rule"] for f in p.check().findings])


class Counts(check_project.Case):
    def test_what_is_told_of_as_untested_is_counted(self):
        p = self.project(baseline="CREATE TABLE c (id int PRIMARY KEY, a text NOT NULL CHECK (md5(a) = 'x'))",
                         releases={"1.0.0": "-- name: Put\nINSERT INTO c (id, a) VALUES ($1, $2);\n-- name: Get\nSELECT 1;\n"})
        done = p.check()
        self.assertIn("cell-untested", [f["rule"] for f in done.findings], done)
        s = done.json["summary"]
        self.assertEqual((s["cells"], s["untested"], s["probed"]), (2, 1, 1), done)


class LeftBehind(check_project.Case):
    """A column takes the place of another, and has not what the table says of that one."""

    OLD = "-- name: Add\nINSERT INTO orders (id, amount) VALUES ($1, 5);\n"
    NEW = "-- name: Add\nINSERT INTO orders (id, total) VALUES ($1, $2);\n"
    WITHOUT = "-- name: Add\nINSERT INTO orders (id) VALUES ($1);\n"

    def found(self, old, new, later=None, forward="amount"):
        """What is told, of a column `amount` that is `old` and a column `total` that is `new`."""
        releases = {v: self.OLD for v in ("1.0.0", "1.1.0", "1.2.0")}
        releases.update({v: later or self.NEW for v in ("1.3.0", "1.4.0", "1.5.0")})
        p = plan("total", phases={"expand": steps("1.2.0", "ALTER TABLE orders ADD COLUMN total %s" % new),
                                  "contract": steps("1.5.0", "ALTER TABLE orders DROP COLUMN amount")},
                 sync={"table": "orders", "forward": {"total": forward}, "reverse": {"amount": "total"}, "by": "trigger"})
        done = self.project(baseline="CREATE TABLE orders (id bigint PRIMARY KEY, amount %s)" % old, releases=releases, plans=[p]).check()
        return [f for f in done.findings if f["rule"] == "check-or-default-left-behind"]

    def test_a_check(self):
        f, = self.found("numeric CHECK (amount > 0)", "numeric")
        self.assertEqual((f["severity"], f["phase"]), ("warning", "contract"))
        self.assertIn('ALTER TABLE "public"."orders" ADD CONSTRAINT ... CHECK (("total" > (0)::numeric)) NOT VALID', f["help"])

    def test_a_default(self):
        f, = self.found("timestamptz DEFAULT now()", "timestamptz", self.WITHOUT)
        self.assertIn('ALTER TABLE "public"."orders" ALTER COLUMN "total" SET DEFAULT now()', f["help"])

    def test_nothing_is_lost(self):
        for row in (("numeric CHECK (amount > 0)", "numeric CHECK (total >= 1)"), ("numeric", "numeric"),
                    ("numeric CHECK (amount > 0)", "numeric", self.WITHOUT),  # nobody writes it
                    ("numeric DEFAULT 5", "numeric", self.NEW),               # nobody leaves it out
                    ("numeric DEFAULT 5", "numeric DEFAULT 6", self.WITHOUT),
                    ("numeric CHECK (amount > 0)", "numeric", self.NEW, "amount * 100")):
            self.assertEqual(self.found(*row), [], row)


class Helpers(check_project.Case):
    """What a phase makes and takes away again nobody knows."""

    NOTE = "-- name: Put\nINSERT INTO orders (id, status, note) VALUES ($1, 'new', coalesce($2, ''));\n"
    DROP = "ALTER TABLE orders DROP CONSTRAINT note_nn"

    def phases(self, *sql):
        return self.project(baseline=T, releases={v: self.NOTE for v in ("1.0.0", "1.1.0")}, plans=[
            plan("note", phases={"expand": steps("1.1.0", *sql)})])

    def test_a_check_that_only_helps(self):
        self.clean(self.phases("ALTER TABLE orders ADD CONSTRAINT note_nn CHECK (note IS NOT NULL) NOT VALID",
                               "ALTER TABLE orders VALIDATE CONSTRAINT note_nn", "ALTER TABLE orders ALTER COLUMN note SET NOT NULL", self.DROP))

    def test_one_that_was_there(self):
        """It refuses less: the next release may need that. What is in a column, nobody brings back."""
        base = T + "; ALTER TABLE orders ADD CONSTRAINT note_nn CHECK (note <> 'x')"
        for sql, rules in ((self.DROP, []), ("ALTER TABLE orders DROP CONSTRAINT note_nn, DROP COLUMN status", ["destructive-outside-contract"])):
            p = self.project(baseline=base, releases={v: self.NOTE for v in ("1.0.0", "1.1.0")},
                             plans=[plan("note", phases={"expand": steps("1.1.0", sql)})])
            self.assertEqual([f["rule"] for f in p.check().findings if f["rule"] == "destructive-outside-contract"], rules)


class Hints(check_project.Case):
    """What keeps phasegate's own server from starting is what the hint is about."""

    def hint(self, *before, **env):
        folder = tempfile.mkdtemp(prefix="hint-")
        self.addCleanup(shutil.rmtree, folder, True)
        os.chmod(folder, 0o777)
        p = self.project(baseline=T, releases={"1.0.0": GET})
        import subprocess
        run = subprocess.run([*before, os.environ["PHASEGATE_BIN"], "check", "--no-cache", "--format", "json"], cwd=p.dir, capture_output=True, text=True,
                             env=dict(os.environ, **dict({"TMPDIR": folder}, **env)))
        done = check_project.Done(run)
        self.assertEqual(done.rc, 3, done)
        return done.json["error"]["hint"], done

    def test_a_folder_without_programs(self):
        hint, done = self.hint(PHASEGATE_PG_BIN="/nonexistent")
        self.assertIn("PHASEGATE_PG_BIN=DIR", hint)

    def test_limits(self):
        for limit, word in (("--fsize=1000", "ulimit -f"), ("--nofile=12", "ulimit -n")):
            hint, done = self.hint("prlimit", limit)
            self.assertIn(word, hint, done)
            self.assertNotIn("apt install", hint, done)


if __name__ == "__main__":
    unittest.main()

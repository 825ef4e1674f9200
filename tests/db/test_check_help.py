"""check: what it says to do can be done, and is about what is wrong. On servers of its own."""

import json
import os
import unittest
import xml.etree.ElementTree as ElementTree

import check_project
from project import plan, step

T = "CREATE TABLE orders (id int PRIMARY KEY, name text, amount int, note text)"
GET = "-- name: Get\n-- args: (1)\nSELECT name FROM orders WHERE id = $1;\n"
OTHER = "-- name: Other\n-- args: (1)\nSELECT amount FROM orders WHERE id = $1;\n"


def steps(release, *sql):
    return {"release": release, "steps": [step("s%d" % i, s) for i, s in enumerate(sql)]}


def harmless(release="1.1.0"):
    return plan("harmless", phases={"expand": steps(release, "ALTER TABLE orders ADD COLUMN more text")})


class InformationSchema(check_project.Case):
    """PUBLIC may use it, as PostgreSQL makes it."""

    SEEN = "SELECT EXISTS (SELECT FROM information_schema.columns WHERE table_name = 'orders' AND column_name = '%s')"

    def test_statements_steps_and_blocks(self):
        sql = GET + "-- name: Columns\nSELECT column_name FROM information_schema.columns WHERE table_name = 'orders' ORDER BY 1;\n"
        block = "DO $$ BEGIN IF NOT (%s) THEN ALTER TABLE orders ADD COLUMN more text; END IF; END $$" % (self.SEEN % "more")
        p = self.project(baseline=T, releases={"1.0.0": sql, "1.1.0": sql},
                         plans=[plan("block", phases={"expand": {"release": "1.1.0", "steps": [
                             step("s", block, applied_when=self.SEEN % "more", undo={"none": "tests"})]}})])
        done = p.check()
        self.assertNotIn("permission denied", done.stdout)
        self.assertEqual([f for f in done.findings if f["severity"] == "error" and f["rule"] != "unclassified-sql"], [], done)

    def test_a_command(self):
        """Its applied_when is asked before and after; the program itself looks too."""
        add = "psql \"$DATABASE_URL\" -v ON_ERROR_STOP=1 -qc \"%s\" -c 'ALTER TABLE orders ADD COLUMN more text'" % (self.SEEN % "more").replace('"', '\\"')
        p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": GET},
                         plans=[plan("tool", phases={"expand": {"release": "1.1.0", "steps": [
                             {"id": "tool", "command": ["sh", "-c", add], "applied_when": self.SEEN % "more", "undo": {"none": "tests"}}]}})])
        self.clean(p, "--allow-commands")

    def test_the_error_itself_is_shown(self):
        """A step, a block and a command: what the server said of applied_when, wherever it was asked first."""
        for how in ({"sql": "ALTER TABLE orders ADD COLUMN more text"}, {"sql": "DO $$ BEGIN ALTER TABLE orders ADD COLUMN more text; END $$"},
                    {"command": ["true"]}):
            for asked, says in (("SELECT EXISTS (SELECT FROM information_schema.colums)", 'relation "information_schema.colums" does not exist'),
                                ("SELECT pg_read_file('/etc/passwd') IS NOT NULL", "permission denied for function pg_read_file")):
                with self.subTest(how=how, asked=asked):
                    s = dict(how, id="s", applied_when=asked, undo={"none": "tests"})
                    p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": GET},
                                     plans=[plan("asks", phases={"expand": {"release": "1.1.0", "steps": [s]}})])
                    [f] = [f for f in p.check("--allow-commands").findings if f["rule"] == "step-fails-on-shadow"]
                    self.assertIn("applied_when fails: " + says, f["message"])
                    self.assertNotIn("still false", f["message"])
                    self.assertEqual(f["step"], "s")

    def test_what_only_the_step_makes_cant_be_asked_for_before(self):
        """The engine asks first, and would stop there: green here would be a lie."""
        s = {"id": "s", "sql": "CREATE TABLE made (id int)", "applied_when": "SELECT count(*) >= 0 FROM made", "undo": {"none": "tests"}}
        p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": GET},
                         plans=[plan("asks", phases={"expand": {"release": "1.1.0", "steps": [s]}})])
        [f] = [f for f in p.check().findings if f["rule"] == "step-fails-on-shadow"]
        self.assertIn('applied_when fails: relation "made" does not exist', f["message"])
        self.assertIn("to_regclass", f["help"])

    def test_no_more_than_that(self):
        """What a baseline gives beyond it is taken back, and USAGE stays."""
        base = T + "; GRANT CREATE ON SCHEMA information_schema TO PUBLIC"
        sql = GET + "-- name: May\nSELECT 1 / (has_schema_privilege('information_schema', 'USAGE') " \
                    "AND NOT has_schema_privilege('information_schema', 'CREATE'))::int AS v;\n"
        self.clean(self.project(baseline=base, releases={"1.0.0": sql, "1.1.0": sql}, plans=[harmless()]))


class Mends(check_project.Case):
    """What is said to be done makes it green."""

    def help(self, rule, sql, base, *change, phase="contract", **more):
        p = self.project(baseline=base, releases={"1.0.0": sql, "1.1.0": sql}, plans=[plan("one", phases={phase: steps("1.1.0", *change)})], **more)
        done = p.check()
        found = [f["help"] for f in done.findings if f["rule"] == rule]
        self.assertTrue(found, done)
        return found[0]

    ROLE = T + "; CREATE ROLE app; GRANT SELECT ON orders TO app"
    PLACE = "CREATE FUNCTION place(k int%s) RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'"

    def test_a_function_that_the_step_makes_and_closes(self):
        base = self.ROLE + "; " + self.PLACE % "" + "; GRANT EXECUTE ON FUNCTION place(int) TO app"
        made = "DROP FUNCTION place(int); %s; REVOKE EXECUTE ON FUNCTION place(int, int) FROM PUBLIC" % (self.PLACE % ", n int DEFAULT 0")
        said = self.help("grants-missing-for-app-role", "-- name: P\n-- role: app\n-- args: (1)\nSELECT place($1);\n", base, made)
        self.assertIn("GRANT EXECUTE ON FUNCTION place TO app", said)

    def test_a_schema_that_is_closed(self):
        said = self.help("old-query-fails", "-- name: G\n-- role: app\n-- args: (1)\nSELECT name FROM orders WHERE id = $1;\n", self.ROLE,
                         "REVOKE USAGE ON SCHEMA public FROM PUBLIC")
        self.assertIn("GRANT USAGE ON SCHEMA public TO app", said)

    def test_a_star_between_two_tables(self):
        base = T + "; CREATE TABLE orders_old (id int, name text, amount int, note text)"
        said = self.help("star-arity-broken", "-- name: All\nSELECT * FROM orders UNION ALL SELECT * FROM orders_old;\n", base,
                         "ALTER TABLE orders ADD COLUMN more text", phase="expand")
        self.assertIn("name the columns in All", said)
        self.assertIn("the same columns in one step", said)

    def test_a_function_that_hands_a_star_out(self):
        base = T + "; CREATE FUNCTION found() RETURNS TABLE (id int, name text, amount int, note text) LANGUAGE plpgsql AS " \
                   "$$ BEGIN RETURN QUERY SELECT * FROM orders; END $$"
        said = self.help("routine-body-broken", "-- name: F\nSELECT id FROM found();\n", base, "ALTER TABLE orders ADD COLUMN more text", phase="expand")
        self.assertIn("takes the row whole", said)
        self.assertNotIn("the other table", said)

    def test_a_variable_and_a_column_of_one_name(self):
        base = T + "; CREATE FUNCTION due() RETURNS int LANGUAGE plpgsql AS " \
                   "$$ DECLARE due int := 1; n int; BEGIN SELECT amount + due INTO n FROM orders LIMIT 1; RETURN n; END $$"
        said = self.help("routine-body-broken", "-- name: F\nSELECT due();\n", base, "ALTER TABLE orders ADD COLUMN due int", phase="expand")
        self.assertIn("says a name that a column has as well", said)
        self.assertNotIn("names it", said)

    def test_a_view_that_is_made_anew(self):
        base = T + "; CREATE VIEW few AS SELECT id, name FROM orders; INSERT INTO orders VALUES (1, 'a', 1, NULL)"
        said = self.help("row-visibility-changed", "-- name: F\nSELECT name FROM few;\n", base,
                         "CREATE OR REPLACE VIEW few AS SELECT id, name FROM orders WHERE note IS NOT NULL", phase="expand")
        self.assertIn("leave it as it is for live releases", said)
        self.assertNotIn("alias", said)

    def test_a_trigger_that_writes_what_the_application_does(self):
        base = T + "; CREATE TABLE wallets (id int PRIMARY KEY); INSERT INTO orders VALUES (1, 'a', 1, NULL)"
        sql = "-- name: O\n-- tx: t\n-- args: (7)\nINSERT INTO orders (id) VALUES ($1);\n" \
              "-- name: W\n-- tx: t\n-- args: (7)\nINSERT INTO wallets (id) VALUES ($1);\n"
        made = "CREATE FUNCTION mk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO wallets VALUES (NEW.id); RETURN NULL; END $$; " \
               "CREATE TRIGGER mk AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION mk()"
        said = self.help("restriction-breaks-old-writes", sql, base, made, phase="expand")
        self.assertIn("let W take a row that is there (ON CONFLICT", said)
        self.assertNotIn("without that statement", said)


class Cascades(check_project.Case):
    """What the engine takes along with a table that contract drops, and what it doesn't."""

    BASE = T + "; CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES p)"
    CHILD = GET + "-- name: Child\n-- args: (1)\nSELECT id FROM child WHERE id = $1;\n"

    def drop(self, base, sql="DROP TABLE p CASCADE"):
        return self.project(baseline=base, releases={"1.0.0": self.CHILD, "1.1.0": self.CHILD},
                            plans=[plan("gone", phases={"contract": steps("1.1.0", sql)})])

    def test_a_foreign_key_goes_with_the_table(self):
        done = self.drop(self.BASE).check()
        self.assertEqual([(f["rule"], f["message"]) for f in done.findings if f["severity"] == "error"], [], done)

    def test_a_view_does_not(self):
        done = self.drop(self.BASE + "; CREATE VIEW few AS SELECT id FROM p").check()
        [f] = [f for f in done.findings if f["rule"] == "dependents-cascaded"]
        self.assertIn("cannot drop table p because", f["message"])
        self.assertIn("few", f["help"])

    def test_without_the_word(self):
        [f] = [f for f in self.drop(self.BASE, "DROP TABLE p").check().findings if f["rule"] == "step-fails-on-shadow"]
        self.assertIn("child_p_fkey", f["help"])


class Commands(check_project.Case):
    def failure(self, applied_when, *command, **files):
        s = {"id": "tool", "command": list(command), "applied_when": applied_when, "undo": {"none": "tests"}}
        p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": GET},
                         plans=[plan("tool", phases={"expand": {"release": "1.1.0", "steps": [s]}})])
        for name, text in files.items():
            p.write(name, text)
        done = p.check("--allow-commands")
        [f] = [f for f in done.findings if f["rule"] == "step-fails-on-shadow"]
        return f

    def test_why_applied_when_fails(self):
        f = self.failure("SELECT EXISTS (SELECT FROM nowhere)", "true")
        self.assertIn('applied_when fails: relation "nowhere" does not exist', f["message"])

    def test_a_script_that_may_not_be_run(self):
        f = self.failure("SELECT false", "./tool", tool="#!/bin/sh\nexit 0\n")
        self.assertIn("command ./tool can't be started: Permission denied", f["message"])
        self.assertIn("chmod +x ./tool", f["help"])
        self.assertNotIn("DATABASE_URL", f["help"])

    def test_what_isnt_there(self):
        f = self.failure("SELECT false", "no-such-program-here")
        self.assertIn("can't be started: No such file or directory", f["message"])
        self.assertIn("PATH", f["help"])

    def test_127_may_be_the_programs_own(self):
        f = self.failure("SELECT false", "sh", "-c", "exit 127")
        self.assertIn("ended with exit code 127", f["message"])


class Rights(check_project.Case):
    def more(self, *versions):
        return {v: {"session": {"role": "help_app"}} for v in versions}

    def test_a_view_made_anew(self):
        base = T + "; CREATE VIEW few AS SELECT id, name FROM orders; CREATE ROLE help_app; GRANT SELECT ON orders, few TO help_app"
        sql = "-- name: Few\nSELECT name FROM few WHERE id = $1;\n"
        anew = "DROP VIEW few; CREATE VIEW few AS SELECT id, name, amount FROM orders"
        for step_sql, grant in ((anew, True), ("REVOKE SELECT ON few FROM help_app", False)):
            with self.subTest(sql=step_sql):
                p = self.project(baseline=base, releases={"1.0.0": sql, "1.1.0": sql}, more=self.more("1.0.0", "1.1.0"),
                                 plans=[plan("anew", phases={"contract": steps("1.1.0", step_sql)})])
                found = [f for f in p.check().findings if f["rule"] == "grants-missing-for-app-role"]
                self.assertTrue(found)
                for f in found:
                    if grant:
                        self.assertIn("GRANT SELECT ON few TO help_app, in this step", f["help"])
                    else:
                        self.assertIn("help_app needs SELECT ON few as long as Few is live: leave that out of the REVOKE", f["help"])

    def test_a_step_makes_a_role(self):
        p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": GET}, plans=[plan("role", phases={"expand": steps("1.1.0", "CREATE ROLE help_new")})])
        [f] = p.check().findings
        self.assertEqual(f["rule"], "step-fails-on-shadow")
        self.assertIn("write CREATE ROLE into the baseline", f["help"])

    def test_what_a_trigger_of_the_step_does(self):
        base = T + "; CREATE ROLE help_app; GRANT SELECT, UPDATE ON orders TO help_app"
        sql = "-- name: Set\nUPDATE orders SET name = $2 WHERE id = $1;\n"
        body = ("CREATE TABLE hist (id bigint, name text); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN INSERT INTO hist VALUES (NEW.id, NEW.name); RETURN NEW; END $$; "
                "CREATE TRIGGER note BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION note()")
        for grant, lacks in (("", "help_app lacks the right: GRANT INSERT ON hist TO help_app, in this step"), ("; GRANT INSERT ON hist TO help_app", None)):
            with self.subTest(grant=grant):
                p = self.project(baseline=base, releases={"1.0.0": sql, "1.1.0": sql}, more=self.more("1.0.0", "1.1.0"),
                                 plans=[plan("note", phases={"expand": steps("1.1.0", body + grant)})])
                self.assertEqual({f["help"] for f in p.check().findings if f["rule"] == "grants-missing-for-app-role"}, {lacks} - {None})

    def test_lacking_in_the_baseline_is_one_finding(self):
        sql = ("-- name: Put\nINSERT INTO orders (id, name, amount, note) VALUES ($1, $2, $3, $4);\n"
               "-- name: Set\nUPDATE orders SET name = $2 WHERE id = $1;\n-- name: Gone\nDELETE FROM orders WHERE id = $1;\n")
        for held, rights in (("", "SELECT, INSERT, UPDATE, DELETE"), ("; GRANT SELECT ON orders TO help_app", "INSERT, UPDATE, DELETE")):
            with self.subTest(held=held):
                p = self.project(baseline=T + "; CREATE ROLE help_app" + held, releases={v: GET + sql for v in ("1.0.0", "1.1.0")},
                                 more=self.more("1.0.0", "1.1.0"), plans=[harmless()])
                done = p.check()
                self.assertEqual([f["rule"] for f in done.findings], ["failing-at-baseline"], done)
                self.assertIn("GRANT %s ON orders TO help_app, in the baseline" % rights, done.findings[0]["help"])


class TakenAway(check_project.Case):
    """Without --since: a migration of the baseline takes away what is still used."""

    FIRST = "CREATE TABLE orders (id int PRIMARY KEY, name text, amount int);\nCREATE FUNCTION price(int) RETURNS int LANGUAGE sql AS 'SELECT 1';\n"

    def folder(self, migration, releases, consumers=None, first=None, **project):
        p = self.project(releases=releases, consumers=consumers, project=dict(project, baseline="migrations/"))
        os.makedirs(p.dir + "/migrations")
        p.write("migrations/V1__a.sql", first or self.FIRST)
        p.write("migrations/V2__b.sql", "ALTER TABLE orders ADD COLUMN extra int;\n" + migration)
        return p

    def one(self, p, *args):
        done = p.check(*args)
        [f] = [f for f in done.findings if f["rule"] == "failing-at-baseline"]
        return done, f

    def test_of_the_newest_release(self):
        for migration, sql in (("ALTER TABLE orders ADD COLUMN b int, DROP COLUMN IF EXISTS name;", GET),
                               ("ALTER TABLE orders RENAME name TO title;", GET),
                               ("ALTER TABLE orders RENAME COLUMN \"name\" TO title;", GET),
                               ("ALTER TABLE orders RENAME TO purchase;", GET),
                               ("DROP TABLE IF EXISTS orders CASCADE;", GET),
                               ("DROP FUNCTION price(int);", "-- name: Price\nSELECT price($1);\n")):
            with self.subTest(migration=migration):
                done, f = self.one(self.folder(migration, {"1.0.0": sql, "1.1.0": sql}))
                self.assertEqual((done.rc, f["severity"], len(f["places"])), (1, "error", 2), done)
                self.assertIn("migrations/V2__b.sql:2 takes it away", f["help"])
                self.assertIn("release 1.1.0 still runs on it", f["help"])
                self.assertIn("make it a plan", f["help"])
                self.assertEqual(done.json["summary"]["failing_at_baseline"], 2)

    def test_of_a_consumer(self):
        done, f = self.one(self.folder("ALTER TABLE orders DROP COLUMN name;", {"1.0.0": OTHER, "1.1.0": OTHER}, {"report": GET}))
        self.assertEqual((done.rc, f["severity"]), (1, "error"), done)
        self.assertIn("consumer report still runs on it", f["help"])

    def test_of_an_old_release_only(self):
        """It may be on the list and live no more."""
        done, f = self.one(self.folder("ALTER TABLE orders DROP COLUMN name;", {"1.0.0": GET, "1.1.0": OTHER}))
        self.assertEqual((done.rc, f["severity"]), (0, "warning"), done)
        self.assertIn("migrations/V2__b.sql:2 takes it away (ALTER TABLE DROP COLUMN)", f["help"])

    def test_what_no_migration_took(self):
        for migration, sql in (("ALTER TABLE orders DROP COLUMN name, ADD COLUMN name int;", "-- name: N\nSELECT nam FROM orders;\n"),
                               ("CREATE TABLE other (nam int); ALTER TABLE other DROP COLUMN nam;", "-- name: N\nSELECT nam FROM orders;\n"),
                               ("DROP TABLE IF EXISTS orders_old;", "-- name: N\nSELECT 1 FROM orders_tmp;\n")):
            with self.subTest(migration=migration):
                done, f = self.one(self.folder(migration, {"1.0.0": sql, "1.1.0": sql}))
                self.assertEqual((done.rc, f["severity"]), (0, "warning"), done)
                self.assertNotIn("takes it away", f["help"])

    def test_the_project_decides(self):
        releases = {"1.0.0": GET, "1.1.0": GET}
        done, f = self.one(self.folder("DROP TABLE orders;", releases, policy={"rules": {"failing-at-baseline": "warning"}}))
        self.assertEqual((done.rc, f["severity"]), (0, "warning"), done)
        done, f = self.one(self.folder("SELECT 1;", {"1.0.0": "-- name: N\nSELECT nam FROM orders;\n"}, policy={"rules": {"failing-at-baseline": "error"}}))
        self.assertEqual((done.rc, f["severity"]), (1, "error"), done)

    def test_no_summary_looks_green(self):
        old = GET + "-- name: A\nSELECT nam FROM orders;\n"
        p = self.project(baseline=T, releases={"1.0.0": old, "1.1.0": old})
        says = "2 statements fail already at the baseline and aren't proved"
        outs = ["%s=out.%s" % (f, f) for f in ("text", "sarif", "junit", "github", "gitlab", "markdown")]
        done = p.check(*[a for o in outs for a in ("-o", o)])
        self.assertEqual((done.rc, done.json["summary"]["failing_at_baseline"]), (0, 2), done)

        def out(name):
            with open(p.dir + "/out." + name) as f:
                return f.read()

        for name in ("text", "github", "markdown"):
            self.assertIn(says, out(name))
        self.assertIn('<skipped message="2 statements fail already at the baseline and aren&apos;t proved"/>', out("junit"))
        self.assertIn('"failing_at_baseline": 2', out("sarif"))
        self.assertIn("until then nothing is proved of it", out("gitlab"))


class BesideTheBaseline(check_project.Case):
    def folder(self, **files):
        p = self.project(releases={"1.0.0": GET, "1.1.0": GET}, project={"baseline": "migrations/"})
        for name, sql in dict({"V1__a.sql": T + ";\n"}, **files).items():
            os.makedirs(os.path.dirname(p.dir + "/migrations/" + name), exist_ok=True)
            p.write("migrations/" + name, sql)
        return p

    def test_folders_in_it(self):
        p = self.folder(**{"2024/V2__b.sql": "SELECT 1;", "old/deep/er/V3__c.sql": "SELECT 1;", "docs/read.md": "x", ".git/x.sql": "x",
                           "down/x.down.sql": "x"})
        os.symlink(".", p.dir + "/migrations/old/round")
        os.symlink("..", p.dir + "/migrations/old/up")
        for args in ([], ["--static"]):
            done = p.check(*args)
            self.assertEqual([(f["rule"], f["severity"], f["file"]) for f in done.findings], [("cell-untested", "warning", "phasegate.yaml")] * 2, done)
            self.assertGreater(done.findings[0]["line"], 0)
            self.assertIn("the .sql files of migrations/2024/ aren't loaded", done.findings[0]["message"])
            self.assertIn("migrations/old/", done.findings[1]["message"])
            self.assertIn("move them into migrations, each name with its number", done.findings[0]["help"])

    def test_comments_in_it(self):
        comment = "-- phasegate: allow %s until 9.0.0 because it is so approved-by me\nALTER TABLE orders ADD COLUMN z int;\n"
        p = self.folder(**{"V2__b.sql": "-- a\n" + comment % "old-query-fails"})
        for args in ([], ["--static"]):
            done = p.check(*args)
            [f] = done.findings
            self.assertEqual((f["rule"], f["severity"], f["file"], f["line"], f["col"]), ("suppression-unused", "warning", "migrations/V2__b.sql", 2, 1), done)
            self.assertIn("sets nothing aside", f["message"])
            self.assertIn("in the SQL of the plan's step, or among the headers of the release's statement", f["help"])

    def test_comments_for_the_check_of_that_file(self):
        self.clean(self.folder(**{"V2__b.sql": "-- phasegate: allow index-not-concurrent until 9.0.0 because it is small\nCREATE INDEX i ON orders (name);\n"}))

    def test_comments_in_rows(self):
        self.clean(self.folder(**{"V2__b.sql": "COPY orders (id, name) FROM stdin;\n7\t-- phasegate: allow old-query-fails until 9.0.0 because x\n\\.\n"}))


class Ways(check_project.Case):
    """Another release isn't the only way out."""

    BODY = ";\nCREATE FUNCTION told(i int) RETURNS text LANGUAGE plpgsql AS $$BEGIN\n RETURN (SELECT note FROM orders WHERE id = i); END$$"
    TOLD = "-- name: Told\n-- args: (1)\nSELECT told($1);\n"

    def only(self, phase, *sql, base=T, first=GET, then=None):
        p = self.project(baseline=base, releases={"1.0.0": first, "1.1.0": then or first}, plans=[plan("way", phases={phase: steps("1.1.0", *sql)})])
        done = p.check()
        found = [f for f in done.findings if f["severity"] == "error"]
        self.assertTrue(found, done)
        return found[0]

    def test_the_body_of_a_routine(self):
        f = self.only("contract", "ALTER TABLE orders DROP COLUMN note", base=T + self.BODY, first=self.TOLD)
        self.assertEqual(f["rule"], "routine-body-broken")
        for part in ("function told(integer) (baseline.sql:2), line 2 of its body,", "CREATE OR REPLACE", "before this one"):
            self.assertIn(part, f["help"])
        # The last one counts, and a step may have made it.
        f = self.only("contract", self.BODY[2:].replace("FUNCTION told", "OR REPLACE FUNCTION public.\"told\""), "ALTER TABLE orders DROP COLUMN note", base=T + self.BODY, first=self.TOLD)
        self.assertIn("function told(integer) (plans/20260101000000-way.yaml:", f["help"])
        f = self.only("contract", "ALTER TABLE orders DROP COLUMN note", base=T + "; DO $do$ BEGIN EXECUTE 'CREATE FUNCTION told(i int) RETURNS text LANGUAGE sql AS "
                      "$b$SELECT note FROM orders WHERE id = i$b$'; END $do$", first=self.TOLD)
        self.assertIn('"told"', f["help"])
        self.assertNotIn("baseline.sql", f["help"])

    def test_a_column_that_must_have_a_value(self):
        put = "-- name: Put\nINSERT INTO orders (id, name) VALUES ($1, $2);\n"
        f = self.only("expand", "ALTER TABLE orders ALTER COLUMN amount SET NOT NULL", base=T + "; INSERT INTO orders VALUES (1, 'a', 1, 'b')", first=put)
        self.assertEqual(f["rule"], "insert-omits-required-column")
        self.assertIn('give "amount" a value in a release before this one, or give the column a DEFAULT in this step', f["help"])
        self.assertNotIn("without that statement", f["help"])
        free = self.project(baseline=T + "; INSERT INTO orders VALUES (1, 'a', 1, 'b')", releases={"1.0.0": put, "1.1.0": GET, "1.2.0": GET},
                            plans=[plan("way", phases={"expand": steps("1.1.0", "ALTER TABLE orders ALTER COLUMN amount SET NOT NULL")})])
        [f] = [f for f in free.check().findings if f["rule"] == "insert-omits-required-column"]
        self.assertEqual(f["safe_from"], "1.2.0")
        self.assertIn("; or bind this to 1.2.0 or later", f["help"])

    def test_a_value_that_is_refused(self):
        put = "-- name: Put\nINSERT INTO orders (id, name) VALUES ($1, $2);\n"
        sql = "ALTER TABLE orders ADD CONSTRAINT few CHECK (name = 'zz') NOT VALID"
        f = self.only("expand", sql, first=put)
        self.assertEqual(f["rule"], "unproven-write")
        self.assertIn('let Put write what "few" takes', f["help"])
        self.assertIn("-- args: (1, 'x')", f["help"])
        f = self.only("expand", sql, first=put.replace("INSERT", "-- args: (7, 'x')\nINSERT"))
        self.assertEqual(f["rule"], "restriction-breaks-old-writes")
        self.assertIn('let Put write what "few" takes', f["help"])
        self.assertNotIn("-- args:", f["help"])

    def test_what_it_was_and_is(self):
        view = ";\nCREATE VIEW few AS\n  SELECT id, name FROM orders"
        f = self.only("expand", "CREATE OR REPLACE VIEW few AS SELECT id, name FROM orders WHERE id > 1", base=T + view, first="-- name: Few\nSELECT id FROM few;\n")
        self.assertEqual(f["rule"], "row-visibility-changed")
        self.assertIn("few was ", f["help"])
        self.assertIn("FROM orders (baseline.sql:2), and is ", f["help"])
        self.assertIn("FROM orders WHERE id > 1; leave it as it is for live releases", f["help"])
        f = self.only("contract", "DROP FUNCTION told(int)", "CREATE FUNCTION told(i int, j int) RETURNS text LANGUAGE sql AS 'SELECT 1::text'", base=T + self.BODY, first=self.TOLD)
        self.assertEqual(f["rule"], "function-signature-changed")
        self.assertIn("told was told(i int) RETURNS text", f["help"])
        f = self.only("contract", "DROP FUNCTION told(int); CREATE FUNCTION told(i int, j int) RETURNS text LANGUAGE sql AS 'SELECT 1::text'", base=T + self.BODY, first=self.TOLD)
        self.assertIn("and is told(i int, j int) RETURNS text", f["help"])

    def test_policies(self):
        base = T + "; CREATE ROLE way_app; GRANT SELECT ON orders TO way_app; CREATE POLICY mine ON orders FOR SELECT TO way_app USING (id = 1)"
        p = self.project(baseline=base, releases={v: GET for v in ("1.0.0", "1.1.0")}, more={v: {"session": {"role": "way_app"}} for v in ("1.0.0", "1.1.0")},
                         plans=[plan("way", phases={"expand": steps("1.1.0", "ALTER TABLE orders ENABLE ROW LEVEL SECURITY")})])
        [f] = [f for f in p.check().findings if f["rule"] == "row-visibility-changed"]
        self.assertIn("before: no row level security; now: mine (", f["help"])
        self.assertIn("(id = 1)", f["help"])

    def test_a_newer_release_asks_for_what_is_gone(self):
        late = GET + "-- name: Note\n-- args: (1)\nSELECT note FROM orders WHERE id = $1;\n"
        p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": GET, "1.2.0": late, "1.3.0": GET},
                         plans=[plan("gone", phases={"contract": steps("1.1.0", "ALTER TABLE orders DROP COLUMN note")})])
        f = self.red(p, "old-query-fails")
        self.assertIn("Note of release 1.2.0 is newer than this step, which is bound to 1.1.0", f["help"])
        p = self.project(baseline=T + ";\nALTER TABLE orders DROP COLUMN note", releases={"1.0.0": GET, "1.1.0": late}, plans=[harmless()])
        f = self.red(p, "new-query-needs-later-state")
        self.assertIn("baseline.sql:2 takes it away (ALTER TABLE DROP COLUMN): mend the statement", f["help"])
        self.assertNotIn("make it in expand", f["help"])


class Places(check_project.Case):
    def test_no_release_is_hidden(self):
        many = "".join("-- name: Get%d\n-- args: (1)\nSELECT name FROM orders WHERE id = $1;\n" % i for i in range(12))
        p = self.project(baseline=T, releases={"1.0.0": many, "1.1.0": GET, "1.2.0": OTHER}, consumers={"report": GET},
                         plans=[plan("gone", phases={"contract": steps("1.2.0", "ALTER TABLE orders DROP COLUMN name")})], project={"policy": {"window": 2}})
        done = p.check("-o", "text=out.txt", "-o", "gitlab=out.gitlab", "-o", "markdown=out.md")
        [f] = [f for f in done.findings if f["rule"] == "old-query-fails"]
        self.assertEqual(len(f["places"]), 14)
        for name, says in (("txt", "and 4 more of release 1.0.0, release 1.1.0, consumer report"),
                           ("gitlab", " and 13 more of release 1.0.0, release 1.1.0, consumer report"),
                           ("md", "and 13 more of release 1.0.0, release 1.1.0, consumer report")):
            with open(p.dir + "/out." + name) as text:
                self.assertIn(says, text.read())


class Unreadable(check_project.Case):
    """It ends with exit code 2, and no service shows an empty list for it."""

    FORMATS = ("json", "sarif", "junit", "github", "gitlab", "markdown")

    def outputs(self, name, text, *args):
        """Of each format, as a file and on stdout."""
        p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": GET})
        if text is None:
            os.remove(os.path.join(p.dir, name))
        else:
            p.write(name, text)
        files, shown = {}, {}
        done = p.run("check", *args, *[a for f in self.FORMATS for a in ("-o", "%s=out.%s" % (f, f))])
        self.assertEqual(done.rc, 2, done)
        for f in self.FORMATS:
            with open("%s/out.%s" % (p.dir, f)) as out:
                files[f] = out.read()
        for f in ("github", "gitlab", "sarif", "junit", "markdown"):
            again = p.run("check", "--format", f, *args)
            self.assertEqual(again.rc, 2, again)
            shown[f] = again.stdout
            self.assertEqual(again.stdout, files[f])
        again = p.check(*args)
        self.assertEqual((again.rc, again.json["ok"], again.json["exit_code"]), (2, False, 2))
        self.assertEqual(again.findings, json.loads(files["json"])["findings"])
        return files, done

    def all_name(self, files, file, line, says):
        [f] = json.loads(files["json"])["findings"]
        self.assertEqual((f["rule"], f["severity"], f["file"], f["line"]), ("input-unreadable", "error", file, line), f)
        self.assertIn(says, f["message"])
        self.assertTrue(f["help"])
        [run] = json.loads(files["sarif"])["runs"]
        self.assertEqual(run["invocations"][0]["executionSuccessful"], False)
        self.assertEqual(run["invocations"][0]["exitCode"], 2)
        [result] = run["results"]
        place = result["locations"][0]["physicalLocation"]
        self.assertEqual((result["level"], place["artifactLocation"]["uri"], place["region"]["startLine"]), ("error", file, line))
        [g] = json.loads(files["gitlab"])
        self.assertEqual((g["location"]["path"], g["location"]["lines"]["begin"], g["severity"]), (file, line, "critical"))
        self.assertRegex(files["github"], r"(?m)^::error file=%s,line=%d," % (file, line))
        self.assertIn("<code>%s:%d</code>" % (file, line), files["markdown"])
        suites = ElementTree.fromstring(files["junit"])
        self.assertEqual((suites.get("failures"), suites.get("skipped")), ("1", "6"))
        self.assertIn(says, suites.find(".//failure").get("message"))
        for f in ("github", "markdown"):
            self.assertIn("nothing was checked", files[f])

    def test_in_every_format(self):
        for name, text, line, says, args in (
                ("plans/20260101000000-x.yaml", "phasegate: 1\nplan: [x\n", 3, "isn't closed", []),
                ("phasegate.yaml", "phasegate: 1\nplanz: x\n", 2, 'unknown key "planz"', []),
                ("statements/1.0.0.sql", GET + "-- name: B\n-- arg: (1)\nSELECT 1;\n", 5, 'unknown header "arg"', []),
                ("baseline.sql", T + ";\n" + T + ";\n", 2, 'relation "orders" already exists', []),
                ("baseline.sql", "no sql at all", 1, "the baseline has no SQL", ["--static"])):
            with self.subTest(name=name, line=line):
                files, done = self.outputs(name, text, *args)
                self.all_name(files, name, line, says)
                self.assertIn("HINT: ", done.stderr)

    def test_what_has_no_place(self):
        files, _ = self.outputs("baseline.sql", None)
        self.all_name(files, "phasegate.yaml", 4, "No such file")

    def test_an_error_of_usage_is_none(self):
        p = self.project(baseline=T, releases={"1.0.0": GET})
        done = p.run("check", "--format", "github", "nosuchplan")
        self.assertEqual((done.rc, done.stdout), (2, ""), done)


class New(check_project.Case):
    """What `new` wrote is checked at once."""

    def test_it_says_what_to_fill_in(self):
        for versions in (["1.0.0"], ["1.0.0", "2.0.0"], ["1.0.0", "1.1.0", "3.7.0"], ["7"]):
            with self.subTest(versions=versions):
                p = self.project(baseline=T, releases={v: GET for v in versions})
                self.assertEqual(p.run("new", "orders-ref").rc, 0)
                for args in ([], ["--static"]):
                    done = p.check(*args)
                    self.assertEqual([(f["rule"], f["severity"], f["plan"]) for f in done.findings], [("plan-empty", "note", "orders-ref")], done)
                    self.assertEqual(done.rc, 0)
                    self.assertIn("fill in steps: of expand and contract", done.findings[0]["help"])
                    self.assertGreater(done.findings[0]["line"], 0)

    def test_a_plan_of_flags(self):
        flags = plan("flags", flags={"read": {"key": "orders-read"}}, phases={"dual_read": {"release": "1.1.0", "rollout": [{"percent": 100}]}})
        self.clean(self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": GET}, plans=[flags]))


class MadeAnew(check_project.Case):
    def found(self, *sql, use="SELECT name FROM few WHERE id = $1"):
        base = T + "; CREATE VIEW few AS SELECT id, name FROM orders"
        get = "-- name: Few\n-- args: (1)\n%s;\n" % use
        p = self.project(baseline=base, releases={v: get for v in ("1.0.0", "1.1.0")}, plans=[plan("anew", phases={"contract": steps("1.1.0", *sql)})])
        done = p.check("--static")
        return [(f["severity"], f["rule"]) for f in done.findings if f["rule"] == "contract-without-tombstone"], p

    def test_in_the_same_step(self):
        found, p = self.found("DROP VIEW few; CREATE VIEW few AS SELECT id, name, amount FROM orders")
        self.assertEqual(found, [])
        self.clean(p)
        self.assertEqual(self.found("DROP VIEW few; CREATE VIEW few AS SELECT id, amount FROM orders")[0], [("note", "contract-without-tombstone")])

    def test_gone_for_a_while_or_for_good(self):
        error = [("error", "contract-without-tombstone")]
        anew = "CREATE VIEW few AS SELECT id, name FROM orders"
        for sql in (["DROP VIEW few"], ["DROP VIEW few", anew], ["DROP VIEW few; CREATE VIEW many AS SELECT id, name FROM orders"],
                    ["DROP VIEW few; CREATE SCHEMA aside; CREATE VIEW aside.few AS SELECT id, name FROM orders"]):
            with self.subTest(sql=sql):
                self.assertEqual(self.found(*sql)[0], error)


class Severities(check_project.Case):
    def test_of_the_text_beside_another_plan(self):
        """A step that is run in several states is told of in each."""
        first = plan("first", flags={"write": {"key": "w"}}, phases={
            "expand": steps("1.1.0", "ALTER TABLE orders ADD COLUMN more text"),
            "write_activation": {"release": "1.2.0", "rollout": [{"percent": 100}]}})
        second = plan("second", phases={"expand": steps("1.1.0", "CREATE INDEX i ON orders (amount)")}, timestamp=first["timestamp"] + 1)
        p = self.project(baseline=T, releases={v: OTHER for v in ("1.0.0", "1.1.0", "1.2.0")}, plans=[first, second],
                         project={"policy": {"rules": {"index-not-concurrent": "warning"}}})
        done = p.check()
        self.assertEqual((done.rc, self.rules(done)), (0, [("warning", "work-under-strong-lock")]), done)


class ExampleRow(check_project.Case):
    def test_a_value_for_each_parameter(self):
        base = T + "; ALTER TABLE orders ALTER COLUMN name SET NOT NULL, ADD CHECK (md5(name) = md5('Z9' || 'qX'))"
        sql = "-- name: Put\nINSERT INTO orders (id, name, amount, note) VALUES ($1, $2, $3, $4);\n"
        p = self.project(baseline=base, releases={"1.0.0": sql, "1.1.0": sql}, plans=[harmless()])
        found = [f["help"] for f in p.check().findings if f["rule"] == "cell-untested"]
        self.assertEqual(set(found), {"give an example row: -- args: (1, 'x', 1, 'x')"})


class Later(check_project.Case):
    def help(self, window, **releases):
        drop = {"contract": steps("1.1.0", "ALTER TABLE orders DROP COLUMN name")}
        names = {v.replace("_", ".")[1:]: sql for v, sql in releases.items()}
        p = self.project(baseline=T, releases=names, plans=[plan("drop", phases=drop)])
        [f] = [f for f in p.check("--window", str(window)).findings if f["rule"] == "old-query-fails"]
        return f["help"]

    def test_releases_that_are_free_of_it_count(self):
        one = self.help(1, v1_0_0=GET, v1_1_0=OTHER)
        self.assertIn("release 1.0.0 runs Get while 1.1.0 is live beside it: ", one)
        self.assertIn("1.0.0 is the last one that does; list one more release after those that are listed, and bind this to it", one)
        self.assertIn("list one more release", self.help(2, v1_0_0=GET, v1_1_0=OTHER, v1_2_0=OTHER))
        self.assertIn("list 2 more releases after those that are listed, and bind this to the last of them", self.help(2, v1_0_0=GET, v1_1_0=OTHER))

    def test_no_release_beside_itself(self):
        said = self.help(1, v1_0_0=OTHER, v1_1_0=GET)
        self.assertIn("release 1.1.0 runs Get: list the next release without that statement", said)
        self.assertNotIn("beside", said)


class Until(check_project.Case):
    def help(self, until):
        sql = "-- phasegate: allow index-not-concurrent until %s because small\nCREATE INDEX i ON orders (amount)" % until
        p = self.project(baseline=T, releases={"1.0.0": OTHER, "1.1.0": OTHER}, plans=[plan("p", phases={"contract": steps("1.1.0", sql)})])
        [f] = [f for f in p.check("--static").findings if f["rule"] == "release-not-listed"]
        return f["help"]

    def test_another_number_is_another_release(self):
        for until in ("2.0.0", "10.0.0", "1.10.0", "1.2"):
            said = self.help(until)
            self.assertIn("releases: knows 1.0.0, 1.1.0;", said)
            self.assertIn('{version: "%s", planned: true}' % until, said)
            self.assertNotIn("did you mean", said)
        for until in ("1.1.00", "1.1.0.0"):
            self.assertEqual('did you mean "1.1.0"?', self.help(until))


class SameLine(check_project.Case):
    def test_a_statement_is_shown_at_its_sql(self):
        """Whether the text alone says so or the shadow."""
        p = self.project(baseline=T, releases={v: OTHER + "\n\n" + GET for v in ("1.0.0", "1.1.0")},
                         plans=[plan("p", phases={"contract": steps("1.1.0", "ALTER TABLE orders DROP COLUMN name")})])
        lines = {}
        for how in ([], ["--static"]):
            for f in p.check(*how).findings:
                if f["rule"] in ("old-query-fails", "contract-without-tombstone"):
                    lines[f["rule"]] = {(x["file"], x["line"]) for x in f["places"]}
        self.assertEqual(len(lines), 2, lines)
        self.assertEqual(lines["old-query-fails"], lines["contract-without-tombstone"])


if __name__ == "__main__":
    unittest.main()

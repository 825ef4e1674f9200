"""--proof FILE: whatever differs in the database and the proof rests on is named, and what doesn't matter is left aside."""

import unittest

import project
from project import column_plan, full_plan, phase, step
from test_proof import NOTHING, OLD, RIGHT
from test_proof_file import ADVANCE, FileCase

ROLE = "phasegate_test_app"

# What the database and the baseline have alike. Written so that each change below has something to change.
RICH = """CREATE TABLE orders (id bigint PRIMARY KEY, legacy_ref text);
CREATE TABLE lines (id bigint PRIMARY KEY, order_id bigint REFERENCES orders ON DELETE CASCADE, kind text DEFAULT 'x', at timestamptz DEFAULT '2020-01-01 12:00:00+00');
CREATE TABLE quiet (id bigint);
CREATE VIEW report AS SELECT id FROM orders WHERE id > 0;
CREATE EXTENSION hstore;
CREATE SCHEMA app;
CREATE SCHEMA spare;
CREATE FUNCTION app.price(n int) RETURNS int LANGUAGE sql STABLE AS 'SELECT $1';
CREATE FUNCTION app.price(t text) RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
CREATE FUNCTION app.born(n int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT n + 1; END;
CREATE PROCEDURE app.tidy(n int) LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION app.add(a int, b int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + b';
CREATE AGGREGATE app.total(int) (SFUNC = app.add, STYPE = int, INITCOND = '0');
CREATE FUNCTION app.same(a text, b text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT a = b';
CREATE FUNCTION app.alike(a text, b text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT a LIKE b';
CREATE OPERATOR app.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = app.same);
CREATE OPERATOR CLASS app.backwards FOR TYPE int USING btree AS OPERATOR 1 >, OPERATOR 2 >=, OPERATOR 3 =, OPERATOR 4 <=, OPERATOR 5 <, FUNCTION 1 btint4cmp(int, int);
CREATE DOMAIN app.code AS text DEFAULT 'a' CHECK (VALUE <> '');
CREATE DOMAIN app.number AS int;
CREATE TYPE app.pair AS (a int, b text);
CREATE TYPE app.span AS RANGE (SUBTYPE = float8);
CREATE TYPE app.mood AS ENUM ('a', 'b');
CREATE COLLATION app.deep (provider = icu, locale = 'und');
CREATE TEXT SEARCH CONFIGURATION app.words (COPY = pg_catalog.simple);
CREATE TEXT SEARCH DICTIONARY app.plain (TEMPLATE = pg_catalog.simple, accept = false);
CREATE CAST (app.pair AS text) WITH INOUT AS ASSIGNMENT;
CREATE RULE keep AS ON DELETE TO lines DO INSTEAD NOTHING;
CREATE FUNCTION app.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER stamp BEFORE INSERT ON lines FOR EACH ROW EXECUTE FUNCTION app.stamp();
CREATE POLICY own ON lines USING (id > 0);
CREATE FUNCTION app.watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER shape_watch ON ddl_command_end EXECUTE FUNCTION app.watch();
CREATE EVENT TRIGGER shape_always ON ddl_command_end EXECUTE FUNCTION app.watch();
ALTER EVENT TRIGGER shape_always ENABLE ALWAYS;
CREATE PUBLICATION shape_lines FOR TABLE lines;
CREATE SEQUENCE tickets;
GRANT USAGE ON SCHEMA app TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON orders, lines TO {role};
GRANT SELECT (id) ON quiet TO {role};
GRANT USAGE ON tickets TO {role};
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {role}""".format(role=ROLE)

# One thing that is changed, how it comes back, what the refusal says.
CHANGES = (
    ("function body", "CREATE OR REPLACE FUNCTION app.price(n int) RETURNS int LANGUAGE sql STABLE AS 'SELECT $1 + 1'",
     "CREATE OR REPLACE FUNCTION app.price(n int) RETURNS int LANGUAGE sql STABLE AS 'SELECT $1'", "(function app.price(integer) differs)"),
    ("function of a standard body", "CREATE OR REPLACE FUNCTION app.born(n int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT n + 2; END",
     "CREATE OR REPLACE FUNCTION app.born(n int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT n + 1; END", "(function app.born(integer) differs)"),
    ("signature", "CREATE FUNCTION app.price(n bigint) RETURNS int LANGUAGE sql AS 'SELECT 1'", "DROP FUNCTION app.price(bigint)",
     "(function app.price(bigint): only here)"),
    ("gone function", "DROP FUNCTION app.price(text)", "CREATE FUNCTION app.price(t text) RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'",
     "(function app.price(text): only in the proof)"),
    ("default of an argument", "CREATE OR REPLACE FUNCTION app.price(t text DEFAULT 'x') RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'",
     "DROP FUNCTION app.price(text); CREATE FUNCTION app.price(t text) RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'",
     "(function app.price(text) differs)"),
    ("volatility", "ALTER FUNCTION app.price(int) VOLATILE", "ALTER FUNCTION app.price(int) STABLE", "(function app.price(integer) differs)"),
    ("strictness", "ALTER FUNCTION app.price(int) STRICT", "ALTER FUNCTION app.price(int) CALLED ON NULL INPUT", "(function app.price(integer) differs)"),
    ("security", "ALTER FUNCTION app.price(int) SECURITY DEFINER", "ALTER FUNCTION app.price(int) SECURITY INVOKER", "(function app.price(integer) differs)"),
    ("settings", "ALTER FUNCTION app.price(int) SET search_path = app", "ALTER FUNCTION app.price(int) RESET search_path",
     "(function app.price(integer) differs)"),
    ("procedure", "CREATE OR REPLACE PROCEDURE app.tidy(n int) LANGUAGE plpgsql AS 'BEGIN DELETE FROM orders; END'",
     "CREATE OR REPLACE PROCEDURE app.tidy(n int) LANGUAGE plpgsql AS 'BEGIN END'", "(procedure app.tidy(integer) differs)"),
    ("aggregate", "CREATE OR REPLACE AGGREGATE app.total(int) (SFUNC = app.add, STYPE = int, INITCOND = '5')",
     "CREATE OR REPLACE AGGREGATE app.total(int) (SFUNC = app.add, STYPE = int, INITCOND = '0')", "(aggregate app.total(integer) differs)"),
    ("operator", "DROP OPERATOR app.=== (text, text); CREATE OPERATOR app.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = app.alike)",
     "DROP OPERATOR app.=== (text, text); CREATE OPERATOR app.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = app.same)",
     "(operator app.===(text,text) differs)"),
    ("operator class", "DROP OPERATOR FAMILY app.backwards USING btree CASCADE",
     "CREATE OPERATOR CLASS app.backwards FOR TYPE int USING btree AS OPERATOR 1 >, OPERATOR 2 >=, OPERATOR 3 =, OPERATOR 4 <=, OPERATOR 5 <, "
     "FUNCTION 1 btint4cmp(int, int)", "(operator class app.backwards of btree: only in the proof)"),
    ("domain's check", "ALTER DOMAIN app.code ADD CONSTRAINT short CHECK (length(VALUE) < 9)", "ALTER DOMAIN app.code DROP CONSTRAINT short",
     "(domain app.code differs)"),
    ("domain's NOT NULL", "ALTER DOMAIN app.code SET NOT NULL", "ALTER DOMAIN app.code DROP NOT NULL", "(domain app.code differs)"),
    ("domain's default", "ALTER DOMAIN app.code SET DEFAULT 'b'", "ALTER DOMAIN app.code SET DEFAULT 'a'", "(domain app.code differs)"),
    ("domain's type", "DROP DOMAIN app.number; CREATE DOMAIN app.number AS bigint", "DROP DOMAIN app.number; CREATE DOMAIN app.number AS int",
     "(domain app.number differs)"),
    ("composite", "ALTER TYPE app.pair ADD ATTRIBUTE c int", "ALTER TYPE app.pair DROP ATTRIBUTE c", "(type app.pair differs)"),
    ("range", "DROP TYPE app.span; CREATE TYPE app.span AS RANGE (SUBTYPE = int8)", "DROP TYPE app.span; CREATE TYPE app.span AS RANGE (SUBTYPE = float8)",
     "(type app.span differs)"),
    ("enum", "CREATE TYPE app.other AS ENUM ('a')", "DROP TYPE app.other", "(type app.other: only here)"),
    ("collation", "DROP COLLATION app.deep; CREATE COLLATION app.deep (provider = icu, locale = 'und', deterministic = false)",
     "DROP COLLATION app.deep; CREATE COLLATION app.deep (provider = icu, locale = 'und')", "(collation app.deep differs)"),
    ("words", "ALTER TEXT SEARCH CONFIGURATION app.words DROP MAPPING FOR word",
     "ALTER TEXT SEARCH CONFIGURATION app.words ADD MAPPING FOR word WITH pg_catalog.simple", "(text search configuration app.words differs)"),
    ("dictionary", "ALTER TEXT SEARCH DICTIONARY app.plain (accept = true)", "ALTER TEXT SEARCH DICTIONARY app.plain (accept = false)",
     "(text search dictionary app.plain differs)"),
    ("cast", "DROP CAST (app.pair AS text); CREATE CAST (app.pair AS text) WITH INOUT AS IMPLICIT",
     "DROP CAST (app.pair AS text); CREATE CAST (app.pair AS text) WITH INOUT AS ASSIGNMENT", "(cast (app.pair AS text) differs)"),
    ("rule", "CREATE OR REPLACE RULE keep AS ON DELETE TO lines DO NOTHING", "CREATE OR REPLACE RULE keep AS ON DELETE TO lines DO INSTEAD NOTHING",
     "(rule keep of public.lines differs)"),
    ("rule off", "ALTER TABLE lines DISABLE RULE keep", "ALTER TABLE lines ENABLE RULE keep", "(rule keep of public.lines differs)"),
    ("trigger off", "ALTER TABLE lines DISABLE TRIGGER stamp", "ALTER TABLE lines ENABLE TRIGGER stamp", "(trigger stamp of public.lines differs)"),
    ("trigger", "CREATE TRIGGER more AFTER DELETE ON orders FOR EACH ROW EXECUTE FUNCTION app.stamp()", "DROP TRIGGER more ON orders",
     "(trigger more of public.orders: only here)"),
    ("foreign key off", "ALTER TABLE lines DISABLE TRIGGER ALL; ALTER TABLE lines ENABLE TRIGGER stamp", "ALTER TABLE lines ENABLE TRIGGER ALL",
     "(disabled constraint lines_order_id_fkey of public.lines: only here)"),
    ("policy", "ALTER POLICY own ON lines USING (id > 5)", "ALTER POLICY own ON lines USING (id > 0)", "(policy own of public.lines differs)"),
    ("rows by role", "ALTER TABLE lines ENABLE ROW LEVEL SECURITY", "ALTER TABLE lines DISABLE ROW LEVEL SECURITY",
     "table public.lines differs", "rights of %s on table public.lines: no sight of every row here" % ROLE),
    ("rows by role, of the owner", "ALTER TABLE lines FORCE ROW LEVEL SECURITY", "ALTER TABLE lines NO FORCE ROW LEVEL SECURITY", "(table public.lines differs)"),
    ("event trigger", "ALTER EVENT TRIGGER shape_watch DISABLE", "ALTER EVENT TRIGGER shape_watch ENABLE", "(event trigger shape_watch: only in the proof)"),
    ("event trigger of theirs", "CREATE EVENT TRIGGER shape_more ON sql_drop EXECUTE FUNCTION app.watch()", "DROP EVENT TRIGGER shape_more",
     "(event trigger shape_more: only here)"),
    ("published", "ALTER PUBLICATION shape_lines ADD TABLE quiet", "ALTER PUBLICATION shape_lines DROP TABLE quiet", "(publication of public.quiet: only here)"),
    ("not published", "ALTER PUBLICATION shape_lines DROP TABLE lines", "ALTER PUBLICATION shape_lines ADD TABLE lines",
     "(publication of public.lines: only in the proof)"),
    ("what is published", "ALTER PUBLICATION shape_lines SET (publish = 'insert')", "ALTER PUBLICATION shape_lines SET (publish = 'insert, update, delete, truncate')",
     "(publication of public.lines differs)"),
    ("columns published", "ALTER PUBLICATION shape_lines SET TABLE lines (id, kind)", "ALTER PUBLICATION shape_lines SET TABLE lines",
     "(publication of public.lines differs)"),
    ("rows published", "ALTER PUBLICATION shape_lines SET TABLE lines WHERE (id > 5)", "ALTER PUBLICATION shape_lines SET TABLE lines",
     "(publication of public.lines differs)"),
    ("extension gone", "DROP EXTENSION hstore", "CREATE EXTENSION hstore", "(extension hstore: only in the proof)"),
    ("extension's version", "DROP EXTENSION hstore; CREATE EXTENSION hstore VERSION '1.6'", "DROP EXTENSION hstore; CREATE EXTENSION hstore",
     "(extension hstore differs)"),
    ("extension's schema", "ALTER EXTENSION hstore SET SCHEMA app", "ALTER EXTENSION hstore SET SCHEMA public", "(extension hstore differs)"),
    ("extension with operators", "CREATE EXTENSION intarray", "DROP EXTENSION intarray", "(extension intarray: only here)"),
    ("schema gone", "DROP SCHEMA spare", "CREATE SCHEMA spare", "(schema spare: only in the proof)"),
    ("rights on a schema", "REVOKE USAGE ON SCHEMA app FROM " + ROLE, "GRANT USAGE ON SCHEMA app TO " + ROLE, "(rights of %s on schema app: no USAGE here)" % ROLE),
    ("rights on a table", "REVOKE UPDATE, DELETE ON lines FROM " + ROLE, "GRANT UPDATE, DELETE ON lines TO " + ROLE,
     "(rights of %s on table public.lines: no UPDATE, DELETE here)" % ROLE),
    ("rights on a column", "REVOKE SELECT (id) ON quiet FROM " + ROLE, "GRANT SELECT (id) ON quiet TO " + ROLE,
     "(rights of %s on column public.quiet.id: no SELECT here)" % ROLE),
    ("rights on a sequence", "REVOKE USAGE ON tickets FROM " + ROLE, "GRANT USAGE ON tickets TO " + ROLE, "(rights of %s on sequence public.tickets: no USAGE here)" % ROLE),
    ("rights on a routine", "REVOKE EXECUTE ON FUNCTION app.price(int) FROM PUBLIC", "GRANT EXECUTE ON FUNCTION app.price(int) TO PUBLIC",
     "(rights of %s on routine app.price(integer): no EXECUTE here)" % ROLE),
    ("search_path", "ALTER DATABASE {db} SET search_path = app, public", "ALTER DATABASE {db} RESET search_path", "(setting search_path of role %s differs)" % ROLE),
    ("search_path of the role", "ALTER ROLE {role} IN DATABASE {db} SET search_path = app", "ALTER ROLE {role} IN DATABASE {db} RESET search_path",
     "(setting search_path of role %s differs)" % ROLE),
    ("TimeZone", "ALTER DATABASE {db} SET TimeZone = 'Asia/Tokyo'", "ALTER DATABASE {db} RESET TimeZone", "(setting TimeZone of role %s differs)" % ROLE),
    ("DateStyle", "ALTER DATABASE {db} SET DateStyle = 'ISO, DMY'", "ALTER DATABASE {db} RESET DateStyle", "(setting DateStyle of role %s differs)" % ROLE),
    ("strings", "ALTER DATABASE {db} SET standard_conforming_strings = off", "ALTER DATABASE {db} RESET standard_conforming_strings",
     "(setting standard_conforming_strings of role %s differs)" % ROLE),
    ("read only", "ALTER ROLE {role} IN DATABASE {db} SET default_transaction_read_only = on", "ALTER ROLE {role} IN DATABASE {db} RESET default_transaction_read_only",
     "(setting default_transaction_read_only of role %s differs)" % ROLE),
    ("column", "ALTER TABLE quiet ADD COLUMN more int", "ALTER TABLE quiet DROP COLUMN more", "(table public.quiet differs)"),
    ("constraint", "ALTER TABLE quiet ADD CONSTRAINT few CHECK (id > 0)", "ALTER TABLE quiet DROP CONSTRAINT few", "(table public.quiet differs)"),
    ("index", "CREATE INDEX quick ON quiet (id)", "DROP INDEX quick", "(table public.quiet differs)"),
    ("view", "CREATE OR REPLACE VIEW report AS SELECT id FROM orders WHERE id > 1", "CREATE OR REPLACE VIEW report AS SELECT id FROM orders WHERE id > 0",
     "(view public.report differs)"),
    ("view's security", "ALTER VIEW report SET (security_barrier = true)", "ALTER VIEW report RESET (security_barrier)", "(view public.report differs)"),
)

# What the database may differ in, and how it comes back.
SAME = (
    ("owner", "ALTER TABLE lines OWNER TO phasegate_test_other; ALTER FUNCTION app.price(int) OWNER TO phasegate_test_other; ALTER TYPE app.pair OWNER TO phasegate_test_other; "
              "ALTER SCHEMA app OWNER TO phasegate_test_other; ALTER PUBLICATION shape_lines OWNER TO CURRENT_USER", "ALTER TABLE lines OWNER TO CURRENT_USER"),
    ("rights of others", "GRANT SELECT ON quiet TO phasegate_test_other; REVOKE SELECT ON quiet FROM phasegate_test_other; GRANT ALL ON SCHEMA app TO phasegate_test_other", ""),
    ("more rights", "GRANT ALL ON quiet, orders TO {role}; GRANT ALL ON SCHEMA app TO {role}", "REVOKE ALL ON quiet FROM {role}; GRANT SELECT (id) ON quiet TO {role}"),
    ("defaults of others", "ALTER DEFAULT PRIVILEGES FOR ROLE phasegate_test_other GRANT SELECT ON TABLES TO {role}",
     "ALTER DEFAULT PRIVILEGES FOR ROLE phasegate_test_other REVOKE SELECT ON TABLES FROM {role}"),
    ("comments", "COMMENT ON TABLE orders IS 'ours'; COMMENT ON FUNCTION app.price(int) IS 'a price'", ""),
    ("statistics", "CREATE STATISTICS app.more ON id, kind FROM lines; ALTER TABLE lines ALTER kind SET STATISTICS 500", "DROP STATISTICS app.more"),
    ("storage", "ALTER TABLE lines SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01); ALTER TABLE lines ALTER kind SET STORAGE PLAIN", ""),
    ("what planning goes by", "ALTER FUNCTION app.price(int) COST 7 PARALLEL SAFE; ALTER FUNCTION app.same(text, text) LEAKPROOF", ""),
    ("extensions that nothing meets", "CREATE EXTENSION pg_stat_statements; CREATE EXTENSION pgcrypto; CREATE SCHEMA stats; CREATE EXTENSION pg_buffercache SCHEMA stats", ""),
    ("an empty schema", "CREATE SCHEMA more", "DROP SCHEMA more"),
    ("other oids", "DROP TYPE app.mood; CREATE TYPE app.mood AS ENUM ('a', 'b'); DROP FUNCTION app.price(text); "
                   "CREATE FUNCTION app.price(t text) RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'", ""),
    ("columns that are gone", "ALTER TABLE quiet ADD COLUMN more int; ALTER TABLE quiet DROP COLUMN more; ALTER TYPE app.pair ADD ATTRIBUTE c int; ALTER TYPE app.pair DROP ATTRIBUTE c", ""),
    ("what the publication is called", "ALTER PUBLICATION shape_lines RENAME TO other_name; CREATE PUBLICATION shape_inserts FOR TABLE lines WITH (publish = 'insert, update, delete')", "DROP PUBLICATION shape_inserts"),
    ("an event trigger that is off", "CREATE EVENT TRIGGER shape_more ON sql_drop EXECUTE FUNCTION app.watch(); ALTER EVENT TRIGGER shape_more DISABLE", "DROP EVENT TRIGGER shape_more"),
    ("settings that say the same", "ALTER DATABASE {db} SET search_path = '$user', public; ALTER DATABASE {db} SET TimeZone = 'Etc/UTC'; "
                                   "ALTER DATABASE {db} SET DateStyle = 'iso'; ALTER DATABASE {db} SET standard_conforming_strings = 'true'",
     "ALTER DATABASE {db} RESET ALL"),
    ("settings about load", "ALTER DATABASE {db} SET statement_timeout = '30s'; ALTER ROLE {role} IN DATABASE {db} SET work_mem = '8MB'", "ALTER DATABASE {db} RESET ALL"),
    ("settings of roles that no release has", "ALTER ROLE phasegate_test_other IN DATABASE {db} SET search_path = app", ""),
    ("bookkeeping", "CREATE TABLE schema_migrations (version text); ALTER PUBLICATION other_name ADD TABLE schema_migrations", "DROP TABLE schema_migrations"),
    ("rows", "INSERT INTO quiet VALUES (1); SELECT nextval('tickets')", ""),
)


class ShapeCase(FileCase):
    def rich(self, baseline=RICH, session=None, plans=None, releases=RIGHT):
        p = self.project(plans=plans or [full_plan()], baseline=None)
        for role in (ROLE, "phasegate_test_other"):
            p.db.psql("DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '%s') THEN CREATE ROLE %s; END IF; END $$" % (role, role))
        p.db.psql(baseline + "; INSERT INTO orders SELECT i, 'R' || i FROM generate_series(1, 50) i")
        for row in p.body["releases"]:
            sql = releases.get(row["version"])
            if sql:
                p.put(row["version"] + ".sql", sql)
                row["statements"] = row["version"] + ".sql"
                row["session"] = {"role": ROLE} if session is None else session
                row.pop("planned")
        p.body["baseline"] = "baseline.sql"
        p.put("baseline.sql", baseline + ";\n")
        p.write()
        self.proof(p)
        return p

    def proof(self, p, *args):
        done = p.run("check", "--format", "json", *args)
        self.assertEqual(done.rc, 0, str(done)[:3000])
        p.put("proof.json", done.stdout)

    def sql(self, p, text):
        if text:
            p.db.psql(text.format(db=p.db.name, role=ROLE))

    def dry(self, p, args=ADVANCE):
        return p.run(*args, "--dry-run", "--format", "json", env=NOTHING)

    def goes(self, p, args=ADVANCE):
        done = self.dry(p, args)
        self.assertEqual((done.rc, (done.json.get("error") or {}).get("message")), (0, None), done)

    def refused(self, p, *words, args=ADVANCE):
        done = self.dry(p, args)
        self.assertEqual(done.rc, 4, done)
        self.assertEqual(done.json["error"]["reason"], "proof")
        for word in words:
            self.assertIn(word, done.json["error"]["message"])
        return done.json["error"]


class OneThing(ShapeCase):
    def test_each_is_named(self):
        p = self.rich()
        self.goes(p)
        for name, do, undo, *words in CHANGES:
            with self.subTest(name):
                self.sql(p, do)
                try:
                    self.refused(p, *words)
                finally:
                    self.sql(p, undo)
        self.goes(p)

    def test_none_of_these_matters(self):
        p = self.rich()
        for name, do, undo in SAME:
            with self.subTest(name):
                self.sql(p, do)
                self.goes(p)
                self.sql(p, undo)
        p.ok(*ADVANCE, env=NOTHING)

    def test_all_the_way(self):
        """What a plan's own phases make is in the proof as it is in the database."""
        p = self.rich()
        for ph in project.PHASES:
            args = ("advance", "orders-ref", "--release", project.BOUND[ph], "--proof", "proof.json")
            self.sql(p, "ALTER FUNCTION app.price(int) VOLATILE")
            self.assertIn("(function app.price(integer) differs)", self.refused(p, args=args)["message"])
            self.sql(p, "ALTER FUNCTION app.price(int) STABLE")
            p.ok(*args, env=NOTHING)
        p.ok("purge", "orders-ref", "--confirm", "orders-ref", "--proof", "proof.json", env=NOTHING)

    def test_of_the_database_itself(self):
        """pg_dump tells of everything that is compared, but for settings."""
        p = self.rich()
        self.sql(p, "CREATE FUNCTION app.more() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER PUBLICATION shape_lines ADD TABLE quiet; "
                    "CREATE EVENT TRIGGER shape_third ON sql_drop EXECUTE FUNCTION app.watch()")
        self.refused(p, "function app.more(): only here", "publication of public.quiet: only here", "event trigger shape_third: only here")
        self.proof(p, "--baseline-from", p.db.url)
        self.goes(p)


class Rights(ShapeCase):
    def test_what_new_tables_would_have(self):
        makes = column_plan(phases={"expand": phase("expand", steps=[step("notes", "CREATE TABLE notes (id bigint)")])})
        p = self.rich(plans=[makes], releases={v: OLD for v in RIGHT})
        self.goes(p)
        self.sql(p, "ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM {role}")
        self.refused(p, "rights of %s on new tables in schema app: no SELECT here" % ROLE, "on new tables in schema public: no SELECT here")
        self.sql(p, "ALTER DEFAULT PRIVILEGES IN SCHEMA app, public, spare GRANT SELECT ON TABLES TO {role}")
        self.goes(p)

    def test_of_a_table_that_nobody_makes(self):
        p = self.rich()
        self.sql(p, "ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM {role}")
        self.goes(p)

    def test_by_way_of_another_role(self):
        p = self.rich()
        self.sql(p, "REVOKE UPDATE ON lines FROM {role}; GRANT UPDATE ON lines TO PUBLIC")
        self.goes(p)
        self.sql(p, "REVOKE SELECT (id) ON quiet FROM {role}; GRANT SELECT ON quiet TO {role}")
        self.goes(p)
        self.sql(p, "REVOKE UPDATE ON lines FROM PUBLIC; GRANT UPDATE (kind) ON lines TO {role}")
        self.refused(p, "(rights of %s on table public.lines: no UPDATE here)" % ROLE)

    def test_a_role_that_is_missing(self):
        gone = "phasegate_test_nobody"
        bare = "CREATE TABLE orders (id bigint PRIMARY KEY, legacy_ref text); GRANT ALL ON orders TO %s" % gone
        p = self.project()
        p.db.psql("DROP ROLE IF EXISTS %s; CREATE ROLE %s" % (gone, gone))
        p = self.rich(bare, session={"role": gone})
        self.goes(p)
        self.sql(p, "DROP OWNED BY %s; DROP ROLE %s" % (gone, gone))
        self.refused(p, "(role %s: only in the proof)" % gone)

    def test_releases_without_a_role_have_no_rights_to_compare(self):
        p = self.rich(session={})
        self.sql(p, "REVOKE ALL ON orders, lines FROM {role}; REVOKE EXECUTE ON FUNCTION app.price(int) FROM PUBLIC")
        self.goes(p)


class Settings(ShapeCase):
    BARE = "CREATE TABLE orders (id bigint PRIMARY KEY, legacy_ref text); CREATE SCHEMA app; GRANT ALL ON orders TO %s" % ROLE

    def test_of_releases_without_a_role(self):
        p = self.rich(self.BARE, session={})
        self.sql(p, "ALTER ROLE {role} IN DATABASE {db} SET search_path = app")
        self.goes(p)
        self.sql(p, "ALTER DATABASE {db} SET search_path = app, public; ALTER DATABASE {db} SET TimeZone = 'Asia/Tokyo'")
        error = self.refused(p, "(setting TimeZone differs; setting search_path differs)")
        self.assertIn("say search_path and timezone in session:", error["hint"])

    def test_what_a_session_says_counts(self):
        p = self.rich(self.BARE, session={"search_path": "app, public", "timezone": "Asia/Tokyo"})
        self.sql(p, "ALTER DATABASE {db} SET search_path = app, public; ALTER DATABASE {db} SET TimeZone = 'Asia/Tokyo'")
        self.goes(p)
        self.sql(p, "ALTER DATABASE {db} SET DateStyle = 'SQL, DMY'")
        self.assertIn("RESET", self.refused(p, "(setting DateStyle differs)")["hint"])

    def test_a_schema_of_the_role(self):
        p = self.rich(self.BARE)
        self.sql(p, "CREATE SCHEMA {role}")
        self.refused(p, "(setting search_path of role %s differs)" % ROLE)
        self.sql(p, "ALTER ROLE {role} IN DATABASE {db} SET search_path = public")
        self.goes(p)

    def test_the_nearest_counts(self):
        p = self.rich(self.BARE)
        self.sql(p, "ALTER DATABASE {db} SET DateStyle = 'DMY'; ALTER ROLE {role} IN DATABASE {db} SET DateStyle = 'MDY'")
        self.goes(p)
        self.sql(p, "ALTER ROLE {role} IN DATABASE {db} SET DateStyle = 'DMY'; ALTER DATABASE {db} SET DateStyle = 'MDY'")
        self.refused(p, "(setting DateStyle of role %s differs)" % ROLE)

    def test_the_zone_of_the_database_changes_no_default(self):
        """A default of a timestamptz is written in the zone of whoever reads it."""
        p = self.rich("CREATE TABLE orders (id bigint PRIMARY KEY, legacy_ref text, at timestamptz DEFAULT '2020-01-01 12:00:00+00')",
                      session={"timezone": "Asia/Tokyo"})
        self.sql(p, "ALTER DATABASE {db} SET TimeZone = 'Asia/Tokyo'")
        self.goes(p)


class Told(ShapeCase):
    def test_the_plan_that_explains_it(self):
        for sql, what in (("CREATE FUNCTION app.more(n int) RETURNS int LANGUAGE sql AS 'SELECT 1'", "function app.more(integer): only here"),
                          ("ALTER FUNCTION app.price(int) VOLATILE", "function app.price(integer) differs"),
                          ("CREATE DOMAIN app.small AS int", "domain app.small: only here"),
                          ("CREATE POLICY more ON lines USING (true)", "policy more of public.lines: only here"),
                          ("REVOKE SELECT (id) ON quiet FROM " + ROLE, "rights of %s on column public.quiet.id: no SELECT here" % ROLE)):
            with self.subTest(what):
                other = project.plan("other", 20260102000000, {"expand": {"release": "1.3.0", "steps": [
                    step("other", sql, undo={"none": "stays"}, applied_when="SELECT false")]}})
                p = self.rich(plans=[full_plan(), other])
                p.ok("advance", "orders-ref", "--release", "1.1.0", "--proof", "proof.json")
                args = ("advance", "orders-ref", "--release", "1.2.0", "--proof", "proof.json")
                self.goes(p, args)
                p.ok("advance", "other", "--release", "1.3.0")
                self.assertIn("what expand of plan other changed there", self.refused(p, "(%s)" % what, args=args)["detail"] or "")
                self.sql(p, "CREATE FUNCTION app.by_hand() RETURNS int LANGUAGE sql AS 'SELECT 1'")
                self.assertIsNone(self.refused(p, "app.by_hand(): only here", args=args)["detail"])

    def test_a_schema_that_a_step_makes(self):
        makes = column_plan(phases={"expand": phase("expand", steps=[step("audit", "CREATE SCHEMA audit")])})
        p = self.rich(plans=[makes], releases={v: OLD for v in RIGHT})
        self.sql(p, "CREATE SCHEMA other")
        self.goes(p)
        self.sql(p, "CREATE SCHEMA audit")
        self.refused(p, "(schema audit: only here)")


if __name__ == "__main__":
    unittest.main()

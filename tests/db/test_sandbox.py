"""check: nothing of a baseline, of a step or of a release's statement leaves the shadow, on a server of its own and on one
of the user's; and a schema as large as life still loads on both."""

import os
import subprocess
import tempfile
import unittest

import check_project
import pgtest
from project import plan, step

T = "CREATE TABLE t (id int PRIMARY KEY, a text, n int);\n"
GET = "-- name: Get\n-- args: (1)\nSELECT a FROM t WHERE id = $1;\n"


def expand(release, *sql):
    return {"release": release, "steps": [step("s%d" % i, s) for i, s in enumerate(sql)]}


def hidden(sql):
    """Where no scan sees it."""
    return "DO $o$ BEGIN EXECUTE convert_from(decode('%s', 'hex'), 'UTF8'); END $o$;\n" % sql.encode().hex()


class Case(check_project.Case):
    @classmethod
    def setUpClass(cls):
        cls.pg = pgtest.Cluster(settings={"max_prepared_transactions": 5})
        cls.servers = {"own": (), "yours": ("--shadow", cls.pg.url())}

    @classmethod
    def tearDownClass(cls):
        cls.pg.close()

    def mark(self):
        path = os.path.join(tempfile.mkdtemp(prefix="sandbox-"), "mark")
        os.chmod(os.path.dirname(path), 0o777)
        self.addCleanup(subprocess.run, ["rm", "-rf", os.path.dirname(path)])
        return path

    def nothing_left(self):
        rows = self.pg.psql("SELECT (SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database), "
                            "(SELECT string_agg(rolname, ' ') FROM pg_roles WHERE rolsuper OR oid >= 16384), (SELECT count(*) FROM pg_prepared_xacts)")
        self.assertEqual(rows, [["postgres template0 template1", "postgres", "0"]])


# What gets out, if anything does: each leaves the mark or a superuser.
ATTACKS = (
    "COPY (SELECT 1) TO PROGRAM 'touch {mark}'",
    "COPY (SELECT 1) TO '{mark}'",
    "SELECT lo_export(lo_create(0), '{mark}')",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "CREATE ROLE sneaky SUPERUSER LOGIN",
    "SELECT pg_read_file('/etc/passwd')",
    "LOAD 'auto_explain'",
    "SET session_preload_libraries = 'x'",
    "CREATE FUNCTION f(text) RETURNS int LANGUAGE c AS 'libc.so.6', 'system'",
)

CONNECT = "SELECT dblink_connect('{url}')"


class Out(Case):
    """Each must fail, with its place and a way to go on."""

    def url(self):
        return self.pg.conninfo().replace("'", "''")

    def attempt(self, where, sql, mark, **parts):
        p = self.project(releases={"1.0.0": GET}, **parts)
        done = p.check("--no-cache", *self.servers[where])
        self.assertFalse(os.path.exists(mark), (where, sql))
        if where == "yours":
            self.nothing_left()
        return done

    def test_of_a_baseline(self):
        for attack in ATTACKS + (CONNECT,):
            mark = self.mark()
            sql = attack.format(mark=mark, url=self.url())
            # There the load itself is refused; on its own server it is the operating system that refuses what leaves it.
            done = self.attempt("yours", sql, mark, baseline=T + "CREATE EXTENSION IF NOT EXISTS dblink;\n" + hidden(sql))
            with self.subTest(sql=sql):
                self.assertEqual(done.rc, 2, done)
                self.assertIn("baseline.sql:3", done.stdout)
                self.assertIn("without a superuser's rights", done.stdout)
        for attack in ATTACKS[:3] + (CONNECT,):
            mark = self.mark()
            sql = attack.format(mark=mark, url=self.url())
            self.attempt("own", sql, mark, baseline=T + "CREATE EXTENSION IF NOT EXISTS dblink;\n" + hidden(sql))

    def test_of_a_step(self):
        for where in self.servers:
            mark = self.mark()
            steps = [a.format(mark=mark, url=self.url()) for a in ATTACKS + (CONNECT,)]
            steps = [s for s in steps if not s.startswith("SET")] + [hidden(s) for s in steps] + ["ALTER SYSTEM SET fsync = off"]
            done = self.attempt(where, "steps", mark, baseline=T + "CREATE EXTENSION dblink;\n", plans=[plan("a", phases={"expand": expand("1.0.0", *steps)})])
            failed = {f["step"] for f in done.findings if (f["severity"], f["rule"]) == ("error", "step-fails-on-shadow")}
            self.assertEqual(failed, {"s%d" % i for i in range(len(steps))}, done)

    def test_of_a_statement(self):
        for where in self.servers:
            mark = self.mark()
            sql = "".join("-- name: S%d\n%s;\n" % (i, a.format(mark=mark, url=self.url())) for i, a in enumerate(ATTACKS + (CONNECT,)))
            sql += "".join("-- name: D%d\n%s\n" % (i, hidden(a.format(mark=mark, url=self.url()))) for i, a in enumerate(ATTACKS + (CONNECT,)))
            p = self.project(baseline=T + "CREATE EXTENSION dblink;\n", releases={"1.0.0": GET + sql})
            p.check("--no-cache", *self.servers[where])
            self.assertFalse(os.path.exists(mark))
            self.nothing_left()

    def test_what_runs_when_rows_are_made(self):
        """Checks, defaults, generated columns, indexes: code of the baseline's, run by whoever makes its rows."""
        code = """CREATE FUNCTION evil(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
            BEGIN EXECUTE 'ALTER ROLE ' || quote_ident(%s) || ' SUPERUSER'; EXCEPTION WHEN OTHERS THEN NULL; END;
            BEGIN EXECUTE 'COPY (SELECT 1) TO PROGRAM ''touch {mark}'''; EXCEPTION WHEN OTHERS THEN NULL; END;
            IF (SELECT rolsuper FROM pg_roles WHERE rolname = session_user) THEN RAISE EXCEPTION 'as superuser'; END IF;
            RETURN $1; END $$;\n""" % "(SELECT rolname FROM pg_roles WHERE rolname ~ 'phasegate_shadow(_.*owner)?$')"
        for where in self.servers:
            for table in ("n int CHECK (evil(1) = 1)", "n int DEFAULT evil(1)", "n int GENERATED ALWAYS AS (evil(id)) STORED", "n int, EXCLUDE (n WITH =) WHERE (evil(id) > 0)"):
                mark = self.mark()
                done = self.attempt(where, table, mark, baseline=code.format(mark=mark) + "CREATE TABLE t (id int PRIMARY KEY, a text, %s);\n"
                                    % table)
                with self.subTest(where=where, table=table):
                    self.assertEqual((done.rc, self.rules(done)), (0, []), done)
                    # The rows are there: a check that says no would have left the table empty.
                    p = self.project(baseline=code.format(mark=mark) + "CREATE TABLE t (id int PRIMARY KEY, a text, %s);\n" % table,
                                     releases={"1.0.0": GET + "-- name: Some\nSELECT 1 / count(*) FROM t;\n"})
                    self.clean(p, "--no-cache", *self.servers[where])

    def test_a_foreign_table_of_files(self):
        """Who may read it reads any file, and runs any program: nobody's rights are asked for once it is there."""
        for where in self.servers:
            mark = self.mark()
            done = self.attempt(where, "file_fdw", mark, baseline=T + "CREATE EXTENSION file_fdw;\nCREATE SERVER files FOREIGN DATA WRAPPER file_fdw;\n"
                                "CREATE FOREIGN TABLE passwd (line text) SERVER files OPTIONS (filename '/etc/passwd');\n"
                                "CREATE FOREIGN TABLE out (line text) SERVER files OPTIONS (program 'touch %s');\n" % mark,
                                plans=[plan("a", phases={"expand": expand("1.0.0", "DO $$ DECLARE x text; BEGIN SELECT line INTO x FROM passwd LIMIT 1; RAISE '%', x; END $$",
                                                                          "DO $$ BEGIN PERFORM FROM out; END $$")})])
            with self.subTest(where=where):
                self.assertEqual(done.rc, 1, done)
                self.assertNotIn("root:", done.stdout)
                self.assertEqual(done.stdout.count("has no handler"), 2, done)

    def test_who_ends_the_sessions_of_others(self):
        """It is told of, and not what was running then."""
        kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()"
        for where, options in self.servers.items():
            p = self.project(baseline=T, releases={"1.0.0": GET + "-- name: Kill\n" + kill + ";\n"},
                             plans=[plan("a", phases={"expand": expand("1.0.0", kill, "ALTER TABLE t ADD COLUMN x int")})])
            done = p.check("--no-cache", *options)
            with self.subTest(where=where):
                self.assertEqual(done.rc, 1, done)
                self.assertEqual({(f["rule"], f["statement"], f["step"]) for f in done.findings if f["severity"] == "error"},
                                 {("cell-untested", "Kill", None), ("step-fails-on-shadow", None, "s0")}, done)
        self.nothing_left()

    def test_roles_that_are_there_stay_strangers(self):
        """What belongs to one of them isn't the loading role's to alter or drop."""
        self.pg.psql("CREATE ROLE bob")
        self.pg.psql("CREATE DATABASE proddb OWNER bob")
        try:
            before = self.pg.psql("SELECT datname, datdba::regrole, datacl, datconnlimit FROM pg_database ORDER BY 1")
            base = T + "ALTER TABLE t OWNER TO bob;\n"
            for sql in ("DROP DATABASE proddb WITH (FORCE)", "ALTER DATABASE proddb SET search_path = evil",
                        "DO $$ BEGIN GRANT ALL ON DATABASE proddb TO PUBLIC; ALTER DATABASE proddb CONNECTION LIMIT 0; END $$",
                        "SET ROLE bob", "ALTER ROLE bob PASSWORD 'pwned'"):
                p = self.project(baseline=base, releases={"1.0.0": GET, "1.1.0": GET}, plans=[plan("p", phases={"expand": expand("1.1.0", sql)})])
                done = p.check("--no-cache", "--shadow", self.pg.url())
                refused = "own session" if sql.startswith("SET") else "step-fails-on-shadow"
                self.assertIn(refused, done.stdout, (sql, done))
                p = self.project(baseline=base + hidden(sql), releases={"1.0.0": GET})
                self.assertEqual(p.check("--no-cache", "--shadow", self.pg.url()).rc, 2, sql)
            self.assertEqual(self.pg.psql("SELECT datname, datdba::regrole, datacl, datconnlimit FROM pg_database ORDER BY 1"), before)
            self.assertEqual(self.pg.psql("SELECT count(*) FROM pg_db_role_setting"), [["0"]])
            self.assertEqual(self.pg.psql("SELECT count(*) FROM pg_auth_members WHERE roleid = 'bob'::regrole"), [["0"]])
        finally:
            self.pg.psql("DROP DATABASE IF EXISTS proddb")
            self.pg.psql("DROP ROLE bob")

    def test_an_encoding_that_hides_a_backslash(self):
        """The last byte of a character may be a backslash elsewhere: what follows it is a string to one and a command to another."""
        mark = self.mark()
        base = (T + "SELECT set_config('client_encoding', 'SJIS', false);\n"
                "SELECT E'\u00c1\\'; \\o %s\n\\qecho x\n\\c - postgres\nCREATE ROLE sneaky SUPERUSER;\n\\q\n-- ';\n" % mark)
        for where in self.servers:
            done = self.attempt(where, base, mark, baseline=base)
            self.assertEqual(done.rc, 2, done)
            self.assertIn("backslash commands are restricted", done.stderr)

    def test_prepared_transactions(self):
        """They outlive their session, and keep a database from being dropped."""
        for where, options in self.servers.items():
            done = self.project(baseline=T + "BEGIN;\nCREATE TABLE u (id int);\nPREPARE TRANSACTION 'x';\n", releases={"1.0.0": GET}).check("--no-cache", *options)
            self.assertEqual(done.rc, 2, done)
            self.assertIn("baseline.sql:4", done.stdout)
            self.clean(self.project(baseline=T, releases={"1.0.0": GET + "-- name: Begin\nBEGIN;\n-- name: Prepare\nPREPARE TRANSACTION 'x';\n"}), "--no-cache", *options)
        command = {"id": "s0", "command": ["psql", "-qc", "BEGIN; CREATE TABLE u (id int); PREPARE TRANSACTION 'x'; "], "applied_when": "SELECT true", "undo": {"none": "tests"}}
        p = self.project(baseline=T, releases={"1.0.0": GET}, plans=[plan("a", phases={"expand": {"release": "1.0.0", "steps": [dict(command, applied_when="SELECT false")]}})])
        p.check("--no-cache", "--allow-commands", *self.servers["yours"])
        self.nothing_left()

    def test_names_like_postgres_own(self):
        """Functions, operators and casts that fit better are nobody's choice in sessions of ours."""
        raises = " LANGUAGE plpgsql AS $$ BEGIN RAISE 'captured by %', session_user; END $$;\n"
        trap = T + "".join("CREATE FUNCTION %s%s" % (f, raises) for f in (
            "public.pg_get_expr(pg_node_tree, oid) RETURNS text", "public.format_type(oid, int) RETURNS text", "public.evil(name, text) RETURNS bool",
            "public.evil(\"char\", text) RETURNS bool")) + (
            "CREATE OPERATOR public.= (FUNCTION = public.evil, LEFTARG = name, RIGHTARG = text);\n"
            "CREATE OPERATOR public.= (FUNCTION = public.evil, LEFTARG = \"char\", RIGHTARG = text);\n")
        for options in self.servers.values():
            self.clean(self.project(baseline=trap, releases={"1.0.0": GET}, plans=[plan("a", phases={"expand": expand("1.0.0", "ALTER TABLE t ADD COLUMN x int")})]), "--no-cache", *options)

    def test_an_event_trigger(self):
        """It runs as whoever changes the schema: never as a superuser of ours."""
        trap = T + ("CREATE FUNCTION boom() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN "
                    "BEGIN ALTER ROLE phasegate_shadow SUPERUSER; EXCEPTION WHEN OTHERS THEN NULL; END; END $$;\n"
                    "CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION boom();\n")
        p = self.project(baseline=trap, releases={"1.0.0": GET}, plans=[plan("a", phases={"expand": expand("1.0.0", "SELECT pg_read_file('/etc/passwd')")})])
        self.red(p, "step-fails-on-shadow", "--no-cache", sqlstate="42501")
        done = p.check(*self.servers["yours"])
        note = [f for f in done.findings if f["severity"] == "note"]
        self.assertEqual([(f["rule"], f["file"], f["line"]) for f in note], [("cell-untested", "baseline.sql", 3)], done)
        self.assertIn("event trigger", note[0]["message"])


class Copy(Case):
    """Of a COPY only the client's side, and the table's, can be proved."""

    def rules_of(self, *statements, **more):
        sql = GET + "".join("-- name: S%d\n%s;\n" % (i, s) for i, s in enumerate(statements))
        p = self.project(baseline=T, releases={"1.0.0": sql, "1.1.0": sql}, **more)
        return p.check()

    def test_of_the_server(self):
        mark = self.mark()
        done = self.rules_of("COPY t TO PROGRAM 'touch %s'" % mark, "COPY t (id) TO '%s'" % mark, "copy t from program 'cat'", "COPY t FROM /* here */ '/etc/passwd'",
                             "COPY (SELECT a FROM t) TO PROGRAM $$ cat $$")
        self.assertEqual(done.rc, 0, done)
        self.assertEqual({(f["severity"], f["rule"], f["statement"]) for f in done.findings}, {("warning", "cell-untested", "S%d" % i) for i in range(5)}, done)
        first = [f for f in done.findings if f["release"] == "1.0.0"]
        self.assertEqual([f["message"].split(" of the server")[0] for f in first], ["COPY with a program", "COPY with a file", "COPY with a program", "COPY with a file", "COPY with a program"])
        for f, right in zip(first, ("pg_execute_server_program", "pg_write_server_files", "pg_execute_server_program", "pg_read_server_files", "pg_execute_server_program")):
            self.assertIn(right, f["help"])
        self.assertFalse(os.path.exists(mark))

    def test_of_the_client(self):
        done = self.rules_of("COPY t TO STDOUT", "COPY t (id, a) FROM STDIN WITH (FORMAT csv)", "COPY (SELECT a FROM t) TO STDOUT")
        self.assertEqual((done.rc, done.findings), (0, []), done)

    def test_what_it_does_to_the_table_is_proved(self):
        done = self.rules_of("COPY t (id, n) TO PROGRAM 'cat'", "COPY t (id, n) FROM STDIN", plans=[plan("a", phases={"contract": expand("1.1.0", "ALTER TABLE t DROP COLUMN n")})])
        self.assertEqual({(f["rule"], f["statement"]) for f in done.findings if f["severity"] == "error"}, {("old-query-fails", "S0")}, done)
        [f] = [f for f in done.findings if f["severity"] == "error"]
        self.assertIn('column "n"', f["message"])
        self.assertEqual({place["statement"] for place in f["places"]}, {"S0", "S1"})


RICH = """
CREATE EXTENSION pg_trgm WITH SCHEMA public;
CREATE SCHEMA app AUTHORIZATION shop_owner;
CREATE SCHEMA ext;
CREATE EXTENSION citext WITH SCHEMA ext;
CREATE EXTENSION pageinspect WITH SCHEMA ext;
CREATE EXTENSION postgres_fdw;
CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'far');
ALTER SERVER far OWNER TO postgres;
GRANT USAGE ON FOREIGN SERVER far TO web;
CREATE USER MAPPING FOR web SERVER far OPTIONS (user 'u', password 'p');
CREATE FOREIGN TABLE app.away (id int) SERVER far;
CREATE TYPE app.state AS ENUM ('new', 'paid');
ALTER TYPE app.state OWNER TO shop_owner;
CREATE DOMAIN public.positive AS integer CHECK (VALUE > 0);
CREATE TABLE app.customers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email ext.citext UNIQUE, state app.state DEFAULT 'new');
ALTER TABLE app.customers OWNER TO shop_owner;
CREATE TABLE public.orders (id bigserial PRIMARY KEY, customer bigint REFERENCES app.customers, total positive, note text, at timestamptz DEFAULT now()) ;
ALTER TABLE public.orders OWNER TO web;
ALTER TABLE public.orders ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.orders FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON public.orders TO web, "Odd Role" USING (note <> '');
CREATE TABLE public.parts (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE public.parts_1 PARTITION OF public.parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE INDEX note_trgm ON public.orders USING gin (note public.gin_trgm_ops);
CREATE VIEW app.seen AS SELECT id, email FROM app.customers;
ALTER VIEW app.seen OWNER TO web;
CREATE MATERIALIZED VIEW app.kept AS SELECT count(*) AS n FROM public.orders;
CREATE FUNCTION app.definer() RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = app, pg_temp AS $$ BEGIN RETURN 1; END $$;
CREATE FUNCTION app.quiet(int) RETURNS bool LANGUAGE sql IMMUTABLE LEAKPROOF AS 'SELECT $1 > 0';
CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
ALTER FUNCTION app.touch() OWNER TO shop_owner;
CREATE TRIGGER touch BEFORE UPDATE ON public.orders FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE FUNCTION app.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION app.on_ddl();
CREATE STATISTICS app.st ON id, customer FROM public.orders;
CREATE AGGREGATE app.total(integer) (SFUNC = int4pl, STYPE = integer);
CREATE OPERATOR app.@+ (FUNCTION = int4pl, LEFTARG = integer, RIGHTARG = integer);
CREATE COLLATION app.c (provider = icu, locale = 'de');
CREATE TEXT SEARCH CONFIGURATION app.words (COPY = english);
CREATE RULE nothing AS ON DELETE TO app.seen DO INSTEAD NOTHING;
CREATE PUBLICATION chosen FOR TABLE public.orders;
ALTER PUBLICATION chosen OWNER TO shop_owner;
CREATE PUBLICATION everything FOR ALL TABLES;
COMMENT ON TABLE public.orders IS 'what was ordered';
COMMENT ON EXTENSION pg_trgm IS 'trigrams';
COMMENT ON SCHEMA app IS 'ours';
COMMENT ON EVENT TRIGGER watch IS 'watches';
GRANT USAGE ON SCHEMA app TO web, reader;
GRANT SELECT (id, email) ON app.customers TO reader;
GRANT SELECT, INSERT ON app.customers TO web WITH GRANT OPTION;
SET SESSION AUTHORIZATION web;
GRANT SELECT ON app.customers TO "Odd Role";
RESET SESSION AUTHORIZATION;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_logdir() TO reader;
REVOKE ALL ON FUNCTION app.definer() FROM PUBLIC;
GRANT USAGE ON LANGUAGE plpgsql TO reader;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT SELECT ON TABLES TO reader;
ALTER DEFAULT PRIVILEGES FOR ROLE shop_owner GRANT EXECUTE ON FUNCTIONS TO web;
"""


class Dump(Case):
    """What pg_dump writes loads as it is, and comes to the same, by the superuser and by the limited role."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.source = pgtest.Cluster()
        for role in ("shop_owner", "web", "reader", '"Odd Role"'):
            cls.source.psql("CREATE ROLE %s" % role)
        for sql in ("GRANT CREATE ON DATABASE postgres TO shop_owner", "GRANT CREATE ON SCHEMA public TO web"):
            cls.source.psql(sql)
        cls.source.psql(RICH)
        cls.source.psql("GRANT CREATE ON SCHEMA app TO web; GRANT reader TO web")
        dump = subprocess.run([os.path.join(pgtest.pg_bindir(), "pg_dump"), "--schema-only", "-d", cls.source.url()], capture_output=True, text=True, check=True)
        cls.dump = dump.stdout

    @classmethod
    def tearDownClass(cls):
        cls.source.close()
        super().tearDownClass()

    STATEMENTS = ("-- name: Customer\n-- args: (1)\nSELECT email, state FROM app.customers WHERE id = $1;\n"
                  "-- name: Order\n-- args: (1, 'x')\nINSERT INTO orders (total, note) VALUES ($1, $2);\n"
                  "-- name: Seen\nSELECT id FROM app.seen;\n-- name: Definer\nSELECT app.definer();\n"
                  "-- name: Kept\nSELECT n FROM app.kept;\n-- name: Away\nSELECT id FROM app.away;\n")

    def both(self, p, *args):
        own, yours = (p.check("--no-cache", *args, *options) for options in self.servers.values())
        self.nothing_left()
        left_out = [f for f in yours.findings if f["severity"] == "note" and f["file"] == "baseline.sql"]
        rest = [f for f in yours.findings if f not in left_out]
        key = lambda f: (f["severity"], f["rule"], f["statement"], f["message"])
        self.assertEqual(sorted(map(key, own.findings)), sorted(map(key, rest)), (own, yours))
        self.assertEqual(own.rc, yours.rc)
        return own, left_out

    def test_it_loads(self):
        steps = ("ALTER TABLE public.orders ADD COLUMN code text", "ALTER TABLE app.customers ADD COLUMN code text", "CREATE TABLE app.more (id int)",
                 "CREATE TABLE public.more (id int)", "CREATE INDEX CONCURRENTLY i ON app.customers (state)", "ALTER TYPE app.state ADD VALUE 'sent'",
                 "CREATE OR REPLACE VIEW app.seen AS SELECT id, email, state FROM app.customers", "ALTER PUBLICATION chosen ADD TABLE public.more",
                 "COMMENT ON FUNCTION app.definer() IS 'x'", "ALTER FOREIGN TABLE app.away ADD COLUMN x int",
                 "ALTER STATISTICS app.st SET STATISTICS 100", "GRANT SELECT ON app.more TO reader")
        for session in (None, {"role": "web"}):
            p = self.project(baseline=self.dump, releases={"1.0.0": self.STATEMENTS}, session=session,
                             plans=[plan("a", phases={"expand": expand("1.0.0", *steps)})])
            own, left_out = self.both(p)
            with self.subTest(session=session):
                self.assertEqual({f["rule"] for f in own.findings if f["severity"] == "error"}, set(), own)
                self.assertEqual(len(left_out), 2, left_out)
                self.assertTrue(any("event trigger" in f["message"] for f in left_out))
                self.assertTrue(any("publication" in f["message"] for f in left_out))

    def test_rights_are_the_same(self):
        """Of a role that may read two columns: the same statements work, and fail, on both."""
        p = self.project(baseline=self.dump, session={"role": "reader"}, releases={"1.0.0": "-- name: Two\nSELECT id, email FROM app.customers;\n"
                         "-- name: Three\nSELECT id, email, state FROM app.customers;\n-- name: Orders\nSELECT id FROM orders;\n"
                         "-- name: Parts\nSELECT id FROM parts;\n-- name: Log\nSELECT pg_ls_logdir();\n-- name: Definer\nSELECT app.definer();\n"},
                         plans=[plan("a", phases={"expand": expand("1.0.0", "CREATE TABLE public.fresh (id int)")})])
        own, _ = self.both(p)
        self.assertEqual({f["statement"] for f in own.findings if f["rule"] == "failing-at-baseline"}, {"Three", "Orders", "Parts", "Log", "Definer"}, own)

    def test_roles_of_migrations(self):
        p = self.project(baseline=T + "CREATE ROLE readers;\nCREATE ROLE app NOINHERIT LOGIN PASSWORD 'x' IN ROLE readers;\nCREATE ROLE seer BYPASSRLS;\n"
                         "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'quiet') THEN CREATE ROLE quiet; END IF; END $$;\n"
                         "GRANT readers TO seer;\nGRANT SELECT ON t TO readers, quiet;\nALTER TABLE t ENABLE ROW LEVEL SECURITY;\nCOMMENT ON ROLE app IS 'x';\n"
                         "DROP EXTENSION IF EXISTS hstore;\nCREATE EXTENSION hstore;\nCREATE EXTENSION lo;\nDROP EXTENSION lo;\n",
                         releases={"1.0.0": "-- name: App\n-- role: app\nSELECT id FROM t;\n-- name: Seer\n-- role: seer\nSELECT 1 / count(*) FROM t;\n"
                                   "-- name: Quiet\n-- role: quiet\nSELECT id FROM t;\n-- name: H\nSELECT 'a=>1'::hstore;\n-- name: L\nSELECT NULL::lo;\n"})
        own, _ = self.both(p)
        self.assertEqual({(f["rule"], f["statement"]) for f in own.findings}, {("failing-at-baseline", "App"), ("failing-at-baseline", "L")}, own)


if __name__ == "__main__":
    unittest.main()

"""The test library itself: a fixture that lies would let every other test lie."""

import os
import re
import unittest

import libpq
import pgtest


class Shared(unittest.TestCase):
    def test_under_ctest_the_fixture_is_used(self):
        self.assertIn("PHASEGATE_TEST_PG", os.environ, "run with ctest, whose fixture starts a server")
        self.assertIsInstance(pgtest.cluster(), pgtest.SharedCluster)
        self.assertEqual(pgtest.cluster().psql("SHOW listen_addresses"), [[""]])
        self.assertEqual(pgtest.cluster().psql("SHOW shared_preload_libraries"), [["pg_stat_statements"]])

    def test_a_database_of_ones_own(self):
        db = pgtest.cluster().create_database()
        self.addCleanup(db.drop)
        self.assertEqual(db.value("SELECT current_database()"), db.name)
        self.assertEqual(db.psql("CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, NULL), (2, ''), (3, E'x,\"\\ny')"), [])
        self.assertEqual(db.psql("TABLE t ORDER BY a"), [["1", None], ["2", ""], ["3", 'x,"\ny']])

    def test_an_error_has_its_sqlstate(self):
        with self.assertRaises(pgtest.PgError) as caught:
            pgtest.cluster().psql("SELECT 1/0")
        self.assertEqual(caught.exception.sqlstate, "22012")

    def test_what_is_sent_from_here_says_what_psql_says(self):
        db = pgtest.cluster().create_database()
        self.addCleanup(db.drop)
        db.psql("CREATE TABLE t (a int, b text)")
        for plain in ("SELECT 1; SELECT 2, NULL::int", "SELECT ';', 'it''s', ''", 'SELECT 1 AS "a;b"; ;', "SELECT ''", "SELECT",
                      "CREATE OR REPLACE RULE r AS ON DELETE TO t DO ALSO (SELECT 1; SELECT 2); DELETE FROM t",
                      "SELECT E'a' || chr(10) || 'b,\"c' AS \"x\nwith a line\"; SELECT true, '2026-01-01'::date, ARRAY['a', NULL]",
                      "BEGIN; CREATE TABLE gone (); ROLLBACK; SELECT to_regclass('gone')",
                      "INSERT INTO t VALUES (1, ')') RETURNING a, b; SHOW application_name", "DELETE FROM t",
                      "SELECT a, a FROM t UNION ALL SELECT 1, 2 WHERE 1 IN (1, (2)) ORDER BY 1;"):
            with self.subTest(sql=plain):
                self.assertIsNotNone(libpq.statements(plain))
                self.assertEqual(db.psql(plain), db.server.psql_itself(plain, db.name))
        for broken in ("SELECT 1; SELECT x FROM nowhere; SELECT 2", "INSERT INTO t VALUES (1", "DO 'BEGIN RAISE ''a;b''; END'"):
            with self.subTest(sql=broken):
                said = []
                for ask in (db.server.psql, db.server.psql_itself):
                    with self.assertRaises(pgtest.PgError) as caught:
                        ask(broken, db.name)
                    said.append((caught.exception.sqlstate, re.sub(r"^psql:(<stdin>:\d+:)? ", "", caught.exception.message)))
                self.assertEqual(*said)
        for psqls_own in ("\\d", "COPY t FROM stdin;", "SELECT $$;$$", "SELECT :'x'", "SELECT /* ; */ 1", "SELECT E'\\;'"):
            self.assertIsNone(libpq.statements(psqls_own), psqls_own)

    def test_a_session_holds_its_lock(self):
        db = pgtest.cluster().create_database()
        self.addCleanup(db.drop)
        db.psql("CREATE TABLE t ()")
        with db.session("BEGIN", "LOCK TABLE t"):
            with self.assertRaises(pgtest.PgError) as caught:
                db.psql("SET lock_timeout = '50ms'; ALTER TABLE t ADD COLUMN a int")
            self.assertEqual(caught.exception.sqlstate, "55P03")
        self.assertEqual(db.psql("ALTER TABLE t ADD COLUMN a int"), [])


class Own(unittest.TestCase):
    def test_stop_crash_and_freeze(self):
        with pgtest.Cluster(settings={"max_connections": 17}) as pg:
            self.assertEqual(pg.psql("SHOW max_connections"), [["17"]])
            pg.psql("CREATE TABLE t AS SELECT 1 AS a; CHECKPOINT")
            pg.crash()
            self.assertEqual(pg.processes(), [])
            with self.assertRaises(pgtest.PgError):
                pg.psql("SELECT 1")
            pg.start()
            self.assertEqual(pg.psql("TABLE t"), [["1"]])
            pg.freeze()
            with self.assertRaises(Exception):
                pg.psql("SELECT 1", timeout=0.5)
            pg.thaw()
            self.assertEqual(pg.psql("TABLE t"), [["1"]])
            pg.restart()
            self.assertEqual(pg.psql("TABLE t"), [["1"]])
            host = pg.host
        self.assertFalse(os.path.exists(host))


if __name__ == "__main__":
    unittest.main()

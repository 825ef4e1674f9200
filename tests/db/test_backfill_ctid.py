"""Backfills of tables without a key: by ranges of blocks, and what others moved meanwhile swept up at the end."""

import re
import threading
import time
import unittest

import pgtest
import project

NAME = "orders-ref"
# Counts how often each row was filled, whoever updates it for something else.
COUNTED = """;
CREATE TABLE fills (id bigint);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN IF NEW.b IS DISTINCT FROM OLD.b THEN INSERT INTO public.fills VALUES (NEW.id); END IF; RETURN NEW; END';
CREATE TRIGGER note AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION note()"""
TABLE = """CREATE TABLE t (id bigint, a text, b text, n int DEFAULT 0) WITH (autovacuum_enabled = off);
INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 20000) i""" + COUNTED
# 20 ms for each hundred rows: four seconds for all, however fast the machine.
SLOWLY = TABLE + """;
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN IF NEW.id % 100 = 0 AND NEW.b IS DISTINCT FROM OLD.b THEN PERFORM pg_sleep(0.02); END IF; RETURN NEW; END';
CREATE TRIGGER slow BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION slow()"""


class Ctid(project.Case):
    def begin(self, baseline=TABLE, **fill):
        fill = dict({"id": "fill", "table": "t", "set": {"b": "upper(a)"}, "where": "b IS NULL",
                     "batch": {"rows": 500, "min": 100, "max": 500}}, **fill)
        fill = {key: value for key, value in fill.items() if value is not None}
        return self.project(plans=[project.plan(NAME, phases={"dual_read": project.phase("dual_read", backfill=[fill])})],
                            baseline=baseline)

    def start(self, p):
        run = p.start("advance", NAME, "--release", "1.2.0")
        self.addCleanup(run.close)
        return run

    def backfill(self, p):
        found = p.json("backfill", NAME)["result"]["backfills"]
        return found[0] if found else None

    def until_rows(self, p, n):
        pgtest.wait_until(lambda: int(p.db.value(
            "SELECT CASE WHEN to_regclass('phasegate.backfill_batch') IS NULL THEN 0 ELSE 1 END")) and int(p.db.value(
                "SELECT coalesce(sum(rows_changed), 0) FROM phasegate.backfill_batch")) >= n, 60, 0.02)

    def each_once(self, p, rows=20000):
        self.assertEqual(p.db.value("SELECT count(*) FROM t WHERE b IS DISTINCT FROM upper(a)"), "0")
        self.assertEqual(p.db.value("SELECT count(*) || ' ' || count(DISTINCT id) FROM fills"), "%d %d" % (rows, rows))

    # ---- all of it ------------------------------------------------------------------------------------------------

    def test_all_rows_once(self):
        p = self.begin(workers=2)
        p.advance(NAME, "1.2.0")
        self.each_once(p)
        b = self.backfill(p)
        self.assertEqual((b["status"], b["rows_done"], b["rows_changed"]), ("done", 20000, 20000))
        self.assertEqual(p.db.value("SELECT mode FROM phasegate.backfill_job"), "ctid")
        self.assertGreater(b["slices"], 1)
        self.assertGreater(b["batches"], 30)
        self.assertRegex(p.db.value("SELECT hi ->> 0 FROM phasegate.backfill_slice WHERE number = 1"), r"^\(\d+,65535\)$")

    def test_batches_are_found_by_their_blocks(self):
        """A batch reads its own blocks, and not the table."""
        p = self.begin()
        p.advance(NAME, "1.2.0")
        text = p.db.column("EXPLAIN UPDATE ONLY t SET b = 'x' WHERE t.ctid OPERATOR(pg_catalog.>) '(3,65535)' "
                           "AND t.ctid OPERATOR(pg_catalog.<=) '(6,65535)' AND b IS NULL")
        self.assertIn("Tid Range Scan", "\n".join(text))
        scans = p.db.value("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 't'")
        self.assertLess(int(scans), 20)  # of forty batches and their counts, none

    def test_named_by_the_plan(self):
        p = self.begin(baseline=TABLE.replace("id bigint,", "id bigint PRIMARY KEY,", 1), key=["ctid"])
        p.advance(NAME, "1.2.0")
        self.each_once(p)
        self.assertIn(",65535)", p.db.value("SELECT hi ->> 0 FROM phasegate.backfill_slice"))

    def test_an_empty_table_and_an_estimate(self):
        p = self.begin()
        x = p.json("backfill", NAME, "estimate", "--measure")["result"]["estimates"][0]
        self.assertEqual((x["table_rows"] > 10000, x["rows"] > 10000, x["measured"]), (True, True, True))
        p.db.psql("TRUNCATE t")
        p.advance(NAME, "1.2.0")

    def test_partitions(self):
        p = self.begin(baseline="""CREATE TABLE t (id bigint, a text, b text, n int) PARTITION BY HASH (id);
            CREATE TABLE t0 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0);
            CREATE TABLE t1 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 1);
            INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 20000) i""" + COUNTED)
        p.advance(NAME, "1.2.0")
        self.each_once(p)

    def test_rows_of_another_table_and_for_one(self):
        p = self.begin(baseline="""CREATE TABLE names (id int, name text); INSERT INTO names SELECT i, 'n' || i FROM generate_series(1, 9) i;
            CREATE TABLE t (id bigint, a text, b text); INSERT INTO t SELECT i, 'v', NULL FROM generate_series(1, 3000) i""",
            set={"b": "n.name"}, **{"from": "names n", "match": "n.id = t.id % 9 + 1", "where": "t.b IS DISTINCT FROM n.name"})
        p.advance(NAME, "1.2.0")
        self.assertEqual(p.db.value("SELECT count(*) FROM t WHERE b = 'n' || (id % 9 + 1)"), "3000")

    # ---- who moves rows -----------------------------------------------------------------------------------------------

    def test_rows_that_others_move_are_not_missed(self):
        p = self.begin(SLOWLY, batch={"rows": 200, "min": 100, "max": 200})
        stop = threading.Event()
        errors = []

        def write():
            n = 0
            with p.db.session("SET synchronous_commit = off") as s:
                while not stop.is_set():
                    n += 1
                    try:  # not what sync would look at: the row moves, and isn't filled
                        s.run("UPDATE t SET n = n + 1 WHERE id %% 97 = %d" % (n % 97))
                        if n % 20 == 0:
                            s.run("VACUUM t")  # its old places are used again: rows move forwards, too
                    except pgtest.PgError as e:
                        errors.append(e)
                        return
        writer = threading.Thread(target=write)
        writer.start()
        try:
            run = self.start(p)
            self.until_rows(p, 10000)
        finally:
            stop.set()
            writer.join()
        self.assertEqual(errors, [])
        done = run.wait()
        self.assertEqual(done.rc, 0, done)
        self.each_once(p)
        swept = int(p.db.value("SELECT sum(rows_changed) FROM phasegate.backfill_residual WHERE reason = 'moved'") or 0)
        self.assertGreater(swept, 0)
        self.assertEqual(self.backfill(p)["rows_changed"], 20000)

    def test_a_table_that_is_written_anew(self):
        p = self.begin(SLOWLY, batch={"rows": 200, "min": 100, "max": 200})
        run = self.start(p)
        self.until_rows(p, 6000)
        run.kill()
        p.db.psql("VACUUM FULL t")
        p.advance(NAME, "1.2.0")
        self.each_once(p)

    # ---- killed ----------------------------------------------------------------------------------------------------------

    def test_killed_again_and_again(self):
        p = self.begin(SLOWLY, batch={"rows": 200, "min": 100, "max": 200}, workers=2)
        for at in (1000, 4000, 8000, 13000):
            run = self.start(p)
            self.until_rows(p, at)
            run.kill()
        self.assertLess(int(p.db.value("SELECT count(*) FROM fills")), 20000)
        p.advance(NAME, "1.2.0")
        self.each_once(p)

    def test_a_key_that_is_made_meanwhile(self):
        """Then it goes by the key, from the start: what is filled isn't to do."""
        p = self.begin(SLOWLY, batch={"rows": 200, "min": 100, "max": 200})
        run = self.start(p)
        self.until_rows(p, 4000)
        run.kill()
        p.db.psql("ALTER TABLE t ADD PRIMARY KEY (id)")
        p.advance(NAME, "1.2.0")
        self.each_once(p)
        self.assertEqual(p.db.value("SELECT hi ->> 0 FROM phasegate.backfill_slice"), "20000")
        self.assertEqual(p.db.value("SELECT mode FROM phasegate.backfill_job"), "keyset")

    def test_another_process_helps(self):
        p = self.begin(SLOWLY, batch={"rows": 200, "min": 100, "max": 200}, workers=2)
        run = self.start(p)
        self.until_rows(p, 1000)
        helper = p.start("backfill", NAME, "run", "--workers", "2")
        self.addCleanup(helper.close)
        self.assertEqual((run.wait().rc, helper.wait().rc), (0, 0))
        self.each_once(p)

    # ---- rows that are held, rows that can't be filled ----------------------------------------------------------------------

    def test_rows_that_others_hold(self):
        p = self.begin()
        holder = p.db.session("BEGIN; UPDATE t SET n = 7 WHERE id IN (5, 15000)")
        self.addCleanup(holder.close)
        run = self.start(p)
        self.until_rows(p, 19990)
        time.sleep(1)
        holder.run("COMMIT")
        done = run.wait()
        self.assertEqual(done.rc, 0, done)
        self.each_once(p)
        self.assertEqual(p.db.value("SELECT count(*) FROM t WHERE n = 7"), "2")

    def test_a_row_that_cannot_be_filled(self):
        p = self.begin(set={"b": "CASE WHEN id = 4711 THEN (1 / n)::text ELSE upper(a) END"})
        error = p.json("advance", NAME, "--release", "1.2.0", code=5)["error"]
        self.assertEqual(error["sqlstate"], "22012")
        place = re.search(r"ctid (\(\d+,\d+\))", error["detail"]).group(1)
        self.assertEqual(p.db.value("SELECT id FROM t WHERE ctid = '%s'" % place), "4711")
        self.assertEqual(p.db.value("SELECT count(*) FROM phasegate.backfill_quarantine"), "0")
        p.db.psql("UPDATE t SET n = 1 WHERE id = 4711")
        p.advance(NAME, "1.2.0")
        self.assertEqual(p.db.value("SELECT count(*) FROM t WHERE b IS NULL"), "0")
        self.assertEqual(p.db.value("SELECT count(*) || ' ' || count(DISTINCT id) FROM fills"), "20000 20000")

    # ---- what needs a key -----------------------------------------------------------------------------------------------------

    def refused(self, words, **fill):
        p = self.begin(**fill)
        error = p.json("advance", NAME, "--release", "1.2.0", code=2)["error"]
        self.assertIn(words, error["message"])
        self.assertIn("key:", error["hint"])
        self.assertEqual(p.db.value("SELECT count(*) FROM t WHERE b IS NOT NULL"), "0")
        return error

    def test_what_is_never_done(self):
        self.refused("still to do once they were filled", where="id > 0")

    def test_rows_to_remember(self):
        self.refused("remember rows that can't be filled", max_bad_rows=3)

    def test_an_insert_that_does_not_say_what_is_left(self):
        self.refused("find the rows that others move meanwhile", set=None,
                     insert={"into": "u", "columns": ["id"], "select": "SELECT id FROM t"}, where=None,
                     baseline=TABLE + "; CREATE TABLE u (id bigint)")

    def test_values_that_are_others_each_time(self):
        p = self.begin(set={"b": "clock_timestamp()::text"})
        p.advance(NAME, "1.2.0")
        v = p.json("backfill", NAME, "verify")["result"]["verified"][0]
        self.assertEqual((v["rows"], v["compared"], v["wrong"]), (20000, False, 0))

    # ---- verified ---------------------------------------------------------------------------------------------------------------

    def test_verified(self):
        p = self.begin()
        p.advance(NAME, "1.2.0")
        v = p.json("backfill", NAME, "verify")["result"]["verified"][0]
        self.assertEqual((v["rows"], v["wrong"]), (20000, 0))
        p.db.psql("VACUUM FULL t")
        again = p.json("backfill", NAME, "verify")["result"]["verified"][0]
        self.assertEqual((again["rows"], again["digest"]), (20000, v["digest"]))
        p.db.psql("UPDATE t SET b = 'wrong' WHERE id = 77")
        v = p.json("backfill", NAME, "verify", code=1)["result"]["verified"][0]
        self.assertEqual((v["rows"], v["wrong"]), (20000, 1))
        place = v["wrong_rows"][0]["key"][0]
        self.assertEqual(p.db.value("SELECT id FROM t WHERE ctid = '%s'" % place), "77")


if __name__ == "__main__":
    unittest.main()

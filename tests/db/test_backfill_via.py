"""backfill: with via: through a program of the user's: rows as JSON lines, in and out."""

import json
import os
import signal
import stat
import time
import unittest

import pgtest
import project

NAME = "orders-ref"
BASELINE = """CREATE TABLE orders (id bigint PRIMARY KEY, legacy_ref text, external_ref text, note text, amount numeric, tags text[], doc json,
    made_at timestamptz NOT NULL DEFAULT '2026-01-02 03:04:05+00');
INSERT INTO orders (id, legacy_ref, note, amount, doc)
    SELECT i * 3, 'r' || i, 'say "' || chr(10) || '\\' || i, i * 1.10, E'{"a":\\n 1.50, "b": [1,\\n2]}' FROM generate_series(1, %d) i"""
# What each program begins with: it keeps what it is told, says its answers at once, and has no buffer that a kill would lose.
HEAD = """#!/usr/bin/python3
import json, os, sys, time
started = open(%(started)r, "a"); started.write("%%d\\n" %% os.getpid()); started.close()
def answers(of):
    for line in sys.stdin:
        row = json.loads(line)
        said = of(row, line)
        if said is not None:
            print(said if isinstance(said, str) else json.dumps(said), flush=True)
"""
UPPER = "answers(lambda row, line: {'id': row['id'], 'external_ref': row['legacy_ref'].upper()})\n"


class Via(project.Case):
    def begin(self, program=UPPER, rows=500, baseline=None, argv=None, policy=None, **fill):
        fill = dict({"id": "fill", "table": "orders", "via": argv or ["./transform"], "set": {"external_ref": "via"},
                     "where": "orders.external_ref IS NULL", "batch": {"rows": 100, "min": 20, "max": 100}}, **fill)
        body = project.plan(NAME, phases={"dual_read": project.phase("dual_read", backfill=[fill])})
        p = self.project(plans=[body], baseline=baseline or BASELINE % rows, policy=policy)
        self.program(p, program)
        return p

    def program(self, p, text):
        p.put("transform", HEAD % {"started": p.path("started")} + text)
        os.chmod(p.path("transform"), stat.S_IRWXU)

    def starts(self, p):
        with open(p.path("started"), encoding="utf-8") as f:
            return f.read().split()

    def filled(self, p):
        return int(p.db.value("SELECT count(*) FROM orders WHERE external_ref = upper(legacy_ref)"))

    def fails(self, p, code=5):
        return p.json("advance", NAME, "--release", "1.2.0", code=code)["error"]

    def quarantine(self, p):
        return p.db.psql("SELECT key::text, sqlstate, message FROM phasegate.backfill_quarantine WHERE resolution IS NULL ORDER BY 1")

    # ---- what goes in and out

    def test_each_row_through_one_program_a_worker(self):
        p = self.begin(workers=2, rows=5000)
        p.advance(NAME, "1.2.0")
        self.assertEqual(self.filled(p), 5000)
        # Each worker one, and what was left one more if there was any.
        self.assertIn(len(self.starts(p)), (1, 2, 3))
        b = p.json("backfill", NAME)["result"]["backfills"][0]
        self.assertEqual((b["status"], b["rows_done"], b["rows_changed"]), ("done", 5000, 5000))
        p.run("advance", NAME, "--release", "1.2.0")
        self.assertIn(len(self.starts(p)), (1, 2, 3))

    def test_all_columns_are_told_or_those_that_are_named(self):
        told = "told = open(%r, 'a')\n" + "answers(lambda row, line: [told.write(line), told.flush()] and {'id': row['id'], 'external_ref': 'x'})\n"
        for read, names in ((None, ["id", "legacy_ref", "external_ref", "note", "amount", "tags", "doc", "made_at"]),
                            (["note", "doc", "id"], ["id", "note", "doc"])):
            p = self.begin(rows=3, **({"read": read} if read else {}))
            self.program(p, told % p.path("told"))
            p.advance(NAME, "1.2.0")
            with open(p.path("told"), encoding="utf-8") as f:
                rows = [json.loads(line) for line in f]
            self.assertEqual([list(r) for r in rows], [names] * 3)
            self.assertEqual([r["id"] for r in rows], [3, 6, 9])
            self.assertEqual(rows[1]["note"], 'say "\n\\2')
            self.assertEqual(rows[1]["doc"], {"a": 1.5, "b": [1, 2]})

    def test_values_become_those_of_their_columns(self):
        p = self.begin("answers(lambda row, line: '{\"id\": %d, \"external_ref\": 12345678901234567890.10, \"tags\": [\"a\", null, \"c,d\"], "
                       "\"doc\": {\"n\": 1.10}, \"amount\": 0.10, \"more\": 1}' % row['id'])\n", rows=3, where="orders.tags IS NULL",
                       set={"external_ref": "via", "tags": "via", "doc": "via", "amount": "via", "note": "upper(legacy_ref)"})
        p.advance(NAME, "1.2.0")
        self.assertEqual(p.db.psql("SELECT DISTINCT external_ref, tags::text, doc::text, amount::text FROM orders"),
                         [["12345678901234567890.10", '{a,NULL,"c,d"}', '{"n": 1.10}', "0.10"]])
        self.assertEqual(p.db.column("SELECT note FROM orders ORDER BY id"), ["R1", "R2", "R3"])

    def test_keys_of_all_kinds(self):
        p = self.begin("answers(lambda row, line: {'at': row['at'], 'Big': row['Big'], 'external_ref': 'x%s' % row['Big']})\n", read=["legacy_ref"],
                       baseline="""CREATE TABLE orders (at timestamptz, "Big" numeric, legacy_ref text, external_ref text, PRIMARY KEY (at, "Big"));
                       INSERT INTO orders SELECT now() - i * interval '1.5 s', 12345678901234567890123 + i % 3, 'r' FROM generate_series(1, 300) i""")
        p.advance(NAME, "1.2.0")
        self.assertEqual(p.db.value("SELECT count(*) FROM orders WHERE external_ref LIKE 'x1%'"), "300")

    def test_keys_that_look_alike(self):
        """An answer must not go to the row beside the one that it is for."""
        p = self.begin("answers(lambda row, line: None if line.find('01,') > 0 else '{\"id\": %s, \"external_ref\": \"%s\"}' % "
                       "((line[line.index(':') + 1:line.index(',')],) * 2))\n", read=["legacy_ref"], max_bad_rows=9,
                       policy={"statement_timeout": "1s"},
                       baseline="""CREATE TABLE orders (id numeric PRIMARY KEY, legacy_ref text, external_ref text);
                       INSERT INTO orders SELECT 1 + i * 0.00000000000000000001, 'r' FROM generate_series(1, 3) i; INSERT INTO orders VALUES (2.5, 'r')""")
        p.advance(NAME, "1.2.0")
        self.assertEqual(p.db.psql("SELECT id, external_ref FROM orders WHERE external_ref IS DISTINCT FROM id::text"),
                         [["1.00000000000000000001", None]])

    def test_partitions(self):
        p = self.begin(baseline="""CREATE TABLE orders (id bigint PRIMARY KEY, legacy_ref text, external_ref text) PARTITION BY RANGE (id);
            CREATE TABLE orders_1 PARTITION OF orders FOR VALUES FROM (0) TO (200); CREATE TABLE orders_2 PARTITION OF orders FOR VALUES FROM (200) TO (9000);
            INSERT INTO orders SELECT i, 'r' || i FROM generate_series(1, 500) i""")
        p.advance(NAME, "1.2.0")
        self.assertEqual(self.filled(p), 500)

    def test_its_environment_has_no_secrets(self):
        p = self.begin("open(%r, 'w').write(json.dumps(dict(os.environ)))\n" + UPPER)
        self.program(p, "open(%r, 'w').write(json.dumps(dict(os.environ)))\n" % p.path("env") + UPPER)
        p.ok("advance", NAME, "--release", "1.2.0", env={"UNLEASH_TOKEN": "tok-4711", "PGPASSWORD": "pw-4711", "LANG": "C.UTF-8"})
        with open(p.path("env"), encoding="utf-8") as f:
            env = json.load(f)
        self.assertEqual(env["LANG"], "C.UTF-8")
        self.assertIn("PATH", env)
        self.assertEqual([k for k in env if k.startswith("PG") or "URL" in k or "TOKEN" in k], [])
        self.assertNotIn("4711", json.dumps(env))

    def test_its_standard_error_is_told(self):
        p = self.begin("print('model 7 loaded', file=sys.stderr, flush=True)\n" + UPPER)
        done = p.ok("advance", NAME, "--release", "1.2.0")
        self.assertIn("./transform: model 7 loaded", done.stdout + done.stderr)

    # ---- rows that change meanwhile

    def test_a_row_that_changed_is_asked_for_again(self):
        p = self.begin()
        gate = p.path("gate")
        self.program(p, ("def of(row, line):\n"
                      "    if row['id'] == 60 and row['legacy_ref'] == 'r20':\n"
                      "        open(%r, 'w').close()\n"
                      "        while os.path.exists(%r): time.sleep(0.02)\n"
                      "    return {'id': row['id'], 'external_ref': row['legacy_ref'].upper()}\n"
                      "answers(of)\n") % (gate, gate))
        run = p.start("advance", NAME, "--release", "1.2.0")
        self.addCleanup(run.close)
        pgtest.wait_until(lambda: os.path.exists(gate), 30, 0.05, "the row is with the program")
        # No lock is held meanwhile.
        p.db.psql("SET lock_timeout = '200ms'; UPDATE orders SET legacy_ref = 'new' WHERE id = 60; UPDATE orders SET external_ref = 'by hand' WHERE id = 63; "
                  "DELETE FROM orders WHERE id = 66; INSERT INTO orders (id, legacy_ref) VALUES (61, 'inserted')")
        os.unlink(gate)
        self.assertEqual(run.wait(60).rc, 0, run)
        self.assertEqual(p.db.psql("SELECT id, external_ref FROM orders WHERE id BETWEEN 58 AND 67 ORDER BY id"),
                         [["60", "NEW"], ["61", "INSERTED"], ["63", "by hand"]])
        self.assertEqual(self.filled(p), 499)
        self.assertEqual(p.db.psql("SELECT rows, rows_changed, done_at IS NOT NULL FROM phasegate.backfill_residual"), [["2", "2", "t"]])

    def test_a_row_that_others_hold_is_left_for_the_end(self):
        p = self.begin()
        with p.db.session() as other:
            other.run("BEGIN")
            other.run("UPDATE orders SET note = 'held' WHERE id = 30")
            run = p.start("advance", NAME, "--release", "1.2.0")
            self.addCleanup(run.close)
            pgtest.wait_until(lambda: self.filled(p) == 499, 30, 0.05, "all the others")
            other.run("COMMIT")
        self.assertEqual(run.wait(60).rc, 0, run)
        self.assertEqual(self.filled(p), 500)

    # ---- rows that can't be filled

    def test_errors_go_to_quarantine(self):
        p = self.begin("answers(lambda row, line: {'id': row['id'], 'error': 'no such customer'} if row['id'] % 300 == 0 else "
                       "{'id': row['id'], 'external_ref': row['legacy_ref'].upper()})\n", max_bad_rows=10)
        p.ok("advance", NAME, "--release", "1.2.0")
        self.assertEqual(self.filled(p), 495)
        self.assertEqual(self.quarantine(p), sorted([['["%d"]' % (300 * i), "38000", "no such customer"] for i in range(1, 6)]))
        # Mended by a better program.
        self.program(p, UPPER)
        self.assertEqual(p.json("backfill", NAME, "retry")["result"]["filled"], 5)
        self.assertEqual(self.filled(p), 500)

    def test_none_may_be_left_unless_the_plan_says_so(self):
        p = self.begin("answers(lambda row, line: {'id': row['id'], 'error': 'no such customer'} if row['id'] == 630 else "
                       "{'id': row['id'], 'external_ref': row['legacy_ref'].upper()})\n")
        error = self.fails(p)
        self.assertIn("can't be filled", error["message"])
        self.assertIn('["630"]: no such customer', error["detail"])
        self.assertEqual(p.db.value("SELECT count(*) FROM orders WHERE external_ref IS NOT NULL AND id BETWEEN 603 AND 900"), "0")
        self.program(p, UPPER)
        p.advance(NAME, "1.2.0")
        self.assertEqual(self.filled(p), 500)

    def test_answers_that_are_none(self):
        p = self.begin("def of(row, line):\n"
                       "    i = row['id']\n"
                       "    if i == 30: return None\n"
                       "    if i == 60: return 'hello'\n"
                       "    if i == 90: return '[1]'\n"
                       "    if i == 120: return {'id': i}\n"
                       "    if i == 150: return {'external_ref': 'x'}\n"
                       "    return {'id': i, 'external_ref': row['legacy_ref'].upper()}\n"
                       "answers(of)\n", max_bad_rows=10, policy={"statement_timeout": "1s"})
        p.ok("advance", NAME, "--release", "1.2.0")
        # Each is asked for once more at the end, alone.
        self.assertEqual({k: m for k, _, m in self.quarantine(p)},
                         {'["30"]': "the program gave no answer in time", '["60"]': "the program's answer isn't a JSON object",
                          '["90"]': "the program's answer isn't a JSON object", '["120"]': "the program's answer says nothing of external_ref",
                          '["150"]': "the program's answer doesn't say the key"})
        self.assertEqual(self.filled(p), 495)

    def test_an_answer_out_of_turn_stops_it(self):
        p = self.begin("answers(lambda row, line: {'id': row['id'] - 3, 'external_ref': 'x'})\n")
        error = self.fails(p)
        self.assertIn("answered for a row that it wasn't asked for", error["message"])
        self.assertEqual(p.db.value("SELECT count(external_ref) FROM orders"), "0")

    def test_values_that_the_table_does_not_take(self):
        p = self.begin(baseline=(BASELINE % 500) + "; ALTER TABLE orders ADD CHECK (external_ref <> 'R7'), ALTER external_ref TYPE varchar(4), "
                       "ADD UNIQUE (external_ref)", max_bad_rows=5,
                       program="answers(lambda row, line: {'id': row['id'], 'external_ref': {'r8': 'too long', 'r90': 'R80'}.get(row['legacy_ref'], "
                       "row['legacy_ref'].upper())})\n")
        p.ok("advance", NAME, "--release", "1.2.0")
        self.assertEqual([(k, s) for k, s, _ in self.quarantine(p)], [('["21"]', "23514"), ('["24"]', "22001"), ('["270"]', "23505")])
        self.assertEqual(self.filled(p), 497)

    # ---- programs that end

    def test_one_that_dies_is_started_again(self):
        p = self.begin("def of(row, line):\n"
                       "    if row['id'] % 600 == 0 and not os.path.exists('died-%d' % row['id']):\n"
                       "        open('died-%d' % row['id'], 'w').close()\n"
                       "        os._exit(3)\n"
                       "    return {'id': row['id'], 'external_ref': row['legacy_ref'].upper()}\n"
                       "answers(of)\n")
        p.advance(NAME, "1.2.0")
        self.assertEqual(self.filled(p), 500)
        self.assertEqual(len(self.starts(p)), 3)

    def test_a_row_that_kills_it_is_found(self):
        p = self.begin("answers(lambda row, line: os._exit(9) if row['id'] in (600, 603) else "
                       "{'id': row['id'], 'external_ref': row['legacy_ref'].upper()})\n", max_bad_rows=2)
        p.ok("advance", NAME, "--release", "1.2.0")
        self.assertEqual(self.quarantine(p)[:2], [['["600"]', "38000", "the program ended instead of answering"],
                                                  ['["603"]', "38000", "the program ended instead of answering"]])
        self.assertEqual(self.filled(p), 498)

    def test_one_that_says_nothing_in_time(self):
        p = self.begin("answers(lambda row, line: time.sleep(60) if row['id'] == 600 else "
                       "{'id': row['id'], 'external_ref': row['legacy_ref'].upper()})\n", max_bad_rows=1, policy={"statement_timeout": "1s"})
        p.ok("advance", NAME, "--release", "1.2.0")
        self.assertEqual(self.quarantine(p), [['["600"]', "38000", "the program gave no answer in time"]])
        self.assertEqual(self.filled(p), 499)

    def test_one_that_always_dies_stops_the_run(self):
        p = self.begin("print('no model', file=sys.stderr)\nsys.exit(1)\n", max_bad_rows=1000)
        done = p.exits(5, "advance", NAME, "--release", "1.2.0")
        self.assertIn("./transform ends without an answer, whatever row it is asked for", done.stderr)
        self.assertIn("no model", done.stdout + done.stderr)
        self.assertEqual(len(self.starts(p)), 6)
        self.assertEqual(self.quarantine(p), [])
        self.program(p, UPPER)
        p.advance(NAME, "1.2.0")
        self.assertEqual(self.filled(p), 500)

    def test_one_that_is_not_there(self):
        p = self.begin(argv=["./missing; touch x"])
        error = self.fails(p, 3)
        self.assertIn("can't start ./missing; touch x: No such file", error["message"])
        self.assertFalse(os.path.exists(p.path("x")))

    def test_none_outlives_the_run(self):
        p = self.begin("answers(lambda row, line: time.sleep(600))\n")
        for number in (signal.SIGKILL, signal.SIGINT):
            before = len(self.starts(p)) if os.path.exists(p.path("started")) else 0
            run = p.start("advance", NAME, "--release", "1.2.0")
            self.addCleanup(run.close)
            pgtest.wait_until(lambda: os.path.exists(p.path("started")) and len(self.starts(p)) > before, 30, 0.05, "it was started")
            run.signal(number)
            run.wait(20)
            pgtest.wait_until(lambda: not any(os.path.exists("/proc/" + pid) for pid in self.starts(p)), 10, 0.05, "no program is left")

    # ---- kill -9

    def test_killed_anywhere_each_row_is_written_once(self):
        p = self.begin("answers(lambda row, line: time.sleep(0.0005) or {'id': row['id'], 'external_ref': row['legacy_ref'].upper()})\n", rows=6000,
                       baseline=BASELINE % 6000 + """;CREATE TABLE written (id bigint);
            CREATE FUNCTION count_writes() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO written VALUES (NEW.id); RETURN NULL; END';
            CREATE TRIGGER count_writes AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION count_writes()""", workers=2)
        kills = 0
        for i in range(8):
            before = int(p.db.value("SELECT count(*) FROM written"))
            run = p.start("advance", NAME, "--release", "1.2.0")
            pgtest.wait_until(lambda: not run.is_running() or int(p.db.value("SELECT count(*) FROM written")) > before + 200, 60, 0.02, "some rows")
            time.sleep(0.01 * i)
            kills += run.is_running()
            run.kill()
            run.close()
        p.advance(NAME, "1.2.0")
        self.assertGreater(kills, 3)
        self.assertEqual(self.filled(p), 6000)
        self.assertEqual(p.db.psql("SELECT count(*), count(DISTINCT id) FROM written"), [["6000", "6000"]])
        self.assertEqual(p.db.value("SELECT sum(rows_changed) FROM phasegate.backfill_slice"), "6000")

    # ---- around it

    def test_a_dry_run_and_an_estimate(self):
        p = self.begin()
        self.assertIn('"external_ref" = <what ./transform says>', p.ok("advance", NAME, "--release", "1.2.0", "--dry-run").stdout)
        self.assertEqual(p.json("backfill", NAME, "estimate")["result"]["estimates"][0]["rows"], 500)
        self.assertFalse(os.path.exists(p.path("started")))

    def test_what_contradicts_itself(self):
        for fill, words in (({"set": {"external_ref": "upper(legacy_ref)"}}, "takes nothing from it"),
                            ({"from": "orders o", "match": "o.id = orders.id"}, "from")):
            done = self.begin(**fill).exits(2, "advance", NAME, "--release", "1.2.0")
            self.assertIn(words, done.stderr)


if __name__ == "__main__":
    unittest.main()

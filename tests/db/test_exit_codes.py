"""Every exit code of the command line has its test here, and so has every kind of bad input; and every command's JSON."""

import json
import os
import signal
import socket
import struct
import threading
import time
import unittest

import pgtest
import project
from project import column_plan, full_plan, phase, plan, step

SLOW = [step("slow", "CREATE TABLE slow AS SELECT 1 AS x FROM pg_sleep(60)", statement_timeout="2m")]


class Codes(project.Case):
    def test_0_done_and_nothing_to_do(self):
        p = self.project(plans=[column_plan()])
        p.exits(0, "advance", "orders-ref", "--release", "1.1.0")
        p.exits(0, "advance", "orders-ref", "--release", "1.1.0")
        p.exits(0, "--version")
        p.exits(0, "--help")
        p.exits(0, "check")

    def test_1_a_no_that_changed_nothing(self):
        gate = {"sql": "SELECT 1", "expect": "= 2", "no_data": "hold", "interval": "100ms"}
        body = full_plan(gates={"gate": gate})
        body["phases"]["dual_read"]["gates"] = ["gate"]
        p = self.project(plans=[body])
        p.advance("orders-ref", "1.1.0")
        p.exits(1, "advance", "orders-ref", "--release", "1.2.0")
        p.exits(1, "status", "--exit-code")

    def test_1_findings(self):
        p = self.project(plans=[column_plan(phases={"expand": phase("expand", steps=[step("drop", "DROP TABLE orders")])})])
        done = p.exits(1, "check")
        self.assertIn("destructive-outside-contract", done.stdout + done.stderr)

    def test_2_usage(self):
        p = self.project(plans=[column_plan()])
        for args, word in ((["advanse"], "advance"), (["advance", "--relese", "1"], "--release"), ([], ""), (["advance", "nothing-like-it"], "unknown plan"),
                           (["-C", "/nowhere", "status"], "/nowhere"), (["-e", "stagign", "status"], "staging")):
            self.assertIn(word, p.exits(2, *args).stderr)

    def test_3_no_database(self):
        p = self.project(plans=[column_plan()])
        for url in ("postgresql://postgres@127.0.0.1:%d/x" % pgtest.free_port(), "host=/nowhere dbname=x", "host=nowhere.invalid dbname=x",
                    pgtest.cluster().url("no_such_database"), pgtest.cluster().url(p.db.name, "no_such_role")):
            with self.subTest(url):
                for command in (("status",), ("advance", "orders-ref", "--release", "1.1.0")):
                    error = p.json(*command, code=3, env={"DATABASE_URL": url})["error"]
                    self.assertEqual(error["kind"], "unreachable")
                    self.assertTrue(error["hint"])

    def test_3_no_flag_service(self):
        p = self.project(plans=[full_plan()], flags={"provider": "builtin", "url": "http://127.0.0.1:%d" % pgtest.free_port(), "token": "x" * 32})
        answer = p.json("kill", "orders-ref", "--wait", "1s", code=3)
        self.assertEqual({t["answer"] for t in answer["result"]["targets"]}, {"not_sent"})

    def test_4_refused(self):
        p = self.project(plans=[full_plan()])
        p.refused("not_its_turn", "advance", "orders-ref", "--release", "1.0.0")
        p.refused("not_held", "purge", "orders-ref", "--confirm", "orders-ref")
        p.exits(4, "guard", "--release", "1.1.0")
        p.exits(4, "advance", "orders-ref", "--release", "1.0.0", "--dry-run")

    def test_5_stopped_halfway(self):
        p = self.project(plans=[column_plan(phases={"expand": phase("expand", steps=[step("bad", "CREATE TABLE x AS SELECT 1/0 AS y")])})])
        answer = p.json("advance", "orders-ref", "--release", "1.1.0", code=5)
        self.assertEqual(answer["error"]["sqlstate"], "22012")

    def test_5_a_flag_in_doubt(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        taken = []

        def swallow():
            while True:
                try:
                    taken.append(listener.accept()[0])  # takes what it gets and never answers
                except OSError:
                    return
        threading.Thread(target=swallow, daemon=True).start()
        p = self.project(plans=[full_plan()], flags={"provider": "builtin", "url": "http://127.0.0.1:%d" % listener.getsockname()[1],
                                                     "token": "x" * 32, "propagation": "10ms"})
        done = p.run("kill", "orders-ref", "--wait", "1s")
        self.assertIn(done.rc, (3, 5), done)
        self.assertIn("not every flag is known to be off", done.stderr)
        for s in taken:
            s.close()

    def test_6_another_run(self):
        p = self.project(plans=[column_plan(phases={"expand": phase("expand", steps=SLOW)})])
        with p.start("advance", "orders-ref", "--release", "1.1.0") as run:
            pgtest.wait_until(lambda: "slow" in run.stderr, 20, what="the slow step")
            for wait in ("0s", "1s"):
                answer = p.json("advance", "orders-ref", "--release", "1.1.0", "--lock-wait", wait, code=6)
                self.assertEqual(answer["error"]["kind"], "locked")
                self.assertIn("at step slow", answer["error"]["detail"])
                self.assertIn("--lock-wait", answer["error"]["hint"])
            p.exits(6, "rollback", "orders-ref", "--lock-wait", "0s")

    def test_7_a_bug(self):
        p = self.project(plans=[column_plan()])
        answer = p.json("status", code=7, env={"PHASEGATE_FAULT": "bug:1"})
        self.assertEqual(answer["error"]["kind"], "bug")

    def interrupted(self, number, code):
        p = self.project(plans=[column_plan(phases={"expand": phase("expand", steps=[
            step("a", "CREATE TABLE a AS SELECT 1 AS x FROM pg_sleep(2)"), step("b", "CREATE TABLE b ()")])})])
        with p.start("advance", "orders-ref", "--release", "1.1.0") as run:
            pgtest.wait_until(lambda: "expand a:" in run.stderr, 20, what="the step\n" + run.stderr)
            run.signal(number)
            done = run.wait(30)
        self.assertEqual(done.rc, code, done)
        self.assertIn("safe point", done.stderr)
        # The statement that ran was let finish, nothing was begun after it.
        self.assertEqual(p.task_rows("orders-ref", "a"), ["done"])
        self.assertEqual(p.task_rows("orders-ref", "b"), [])
        p.advance("orders-ref", "1.1.0")

    def test_130(self):
        self.interrupted(signal.SIGINT, 130)

    def test_143(self):
        self.interrupted(signal.SIGTERM, 143)

    def test_130_a_second_signal_cancels_the_statement(self):
        p = self.project(plans=[column_plan(phases={"expand": phase("expand", steps=SLOW)})])
        with p.start("advance", "orders-ref", "--release", "1.1.0") as run:
            pgtest.wait_until(lambda: p.db.value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = 'active' "
                                                 "AND pid <> pg_backend_pid()") == "1", 20, what="the slow step")
            run.signal(signal.SIGINT)
            time.sleep(0.5)  # two at once may arrive as one
            self.assertTrue(run.is_running(), "the first lets the statement finish")
            run.signal(signal.SIGINT)
            done = run.wait(20)
        self.assertEqual(done.rc, 130, done)
        self.assertIsNone(p.db.value("SELECT to_regclass('slow')"))


class OldServer:
    """Speaks just enough of the protocol to say how old it is."""

    def __init__(self, version):
        self.version = version
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            with s:
                self.greet(s)

    def greet(self, s):
        def message(kind, body):
            return kind + struct.pack("!i", len(body) + 4) + body
        while True:
            head = s.recv(8, socket.MSG_WAITALL)
            if len(head) < 8:
                return
            length, code = struct.unpack("!ii", head)
            s.recv(length - 8, socket.MSG_WAITALL)
            if code in (80877103, 80877104):  # TLS or GSS? No.
                s.sendall(b"N")
                continue
            break
        parameters = b"".join(message(b"S", k + b"\0" + v + b"\0") for k, v in (
            (b"server_version", self.version.encode()), (b"client_encoding", b"UTF8"), (b"standard_conforming_strings", b"on")))
        s.sendall(message(b"R", struct.pack("!i", 0)) + parameters + message(b"K", struct.pack("!ii", 1, 2)) + message(b"Z", b"I"))
        s.recv(1)

    def close(self):
        self.listener.close()


class BadSurroundings(project.Case):
    def test_a_server_that_is_too_old(self):
        server = OldServer("13.14")
        self.addCleanup(server.close)
        p = self.project(plans=[column_plan()])
        for command in (("status",), ("advance", "orders-ref", "--release", "1.1.0")):
            error = p.refused("server_too_old", *command, env={"DATABASE_URL": "postgresql://u@127.0.0.1:%d/d?sslmode=disable" % server.port})
            self.assertIn("version 13.14, expected 14 or newer", error["message"])

    def test_a_connection_string_that_cannot_be_read(self):
        p = self.project(plans=[column_plan()])
        for url in ("postgresql://u:p@ss:w0rd@h/d", "host=", "nonsense=1", "postgresql://h:port/d", "host=a password=s3cret-w0rd oops"):
            with self.subTest(url):
                done = p.run("status", env={"DATABASE_URL": url})
                self.assertIn(done.rc, (2, 3), done)
                self.assertNotIn("w0rd", done.stdout + done.stderr)

    def test_no_rights(self):
        p = self.project(plans=[column_plan()])
        role = "poor_%d" % os.getpid()
        pgtest.cluster().psql('CREATE ROLE "%s" LOGIN' % role)
        self.addCleanup(pgtest.cluster().psql, 'DROP ROLE "%s"' % role)
        p.db.psql('REVOKE ALL ON DATABASE "%s" FROM PUBLIC; GRANT CONNECT ON DATABASE "%s" TO "%s"' % (p.db.name, p.db.name, role))
        self.addCleanup(p.db.psql, 'DROP OWNED BY "%s"' % role)
        env = {"DATABASE_URL": pgtest.cluster().url(p.db.name, role)}
        error = p.json("advance", "orders-ref", "--release", "1.1.0", code=4, env=env)["error"]
        self.assertIn("GRANT CREATE ON DATABASE", error["hint"])
        self.assertIn(role, error["hint"] + error["message"])
        self.assertEqual(p.db.value("SELECT count(*) FROM pg_namespace WHERE nspname = 'phasegate'"), "0")
        p.ok("status", env=env)

    def test_no_rights_to_a_table(self):
        p = self.project(plans=[column_plan()])
        role = "half_%d" % os.getpid()
        pgtest.cluster().psql('CREATE ROLE "%s" LOGIN' % role)
        self.addCleanup(pgtest.cluster().psql, 'DROP ROLE "%s"' % role)
        p.db.psql('GRANT CREATE ON DATABASE "%s" TO "%s"' % (p.db.name, role))
        self.addCleanup(p.db.psql, 'DROP OWNED BY "%s"' % role)
        env = {"DATABASE_URL": pgtest.cluster().url(p.db.name, role)}
        error = p.json("advance", "orders-ref", "--release", "1.1.0", code=4, env=env)["error"]
        self.assertIn("preflight of expand: rights orders: belongs to", error["message"])
        p.body["policy"] = {"preflight": "off"}
        p.write()
        error = p.json("advance", "orders-ref", "--release", "1.1.0", code=5, env=env)["error"]
        self.assertEqual(error["sqlstate"], "42501")
        self.assertIn("must be owner of table orders", error["message"])

    def test_a_database_that_only_reads(self):
        p = self.project(plans=[column_plan()])
        p.db.psql('ALTER DATABASE "%s" SET default_transaction_read_only = on' % p.db.name)
        # phasegate asks for a writable session itself; a role that is kept from it is told.
        done = p.run("advance", "orders-ref", "--release", "1.1.0")
        self.assertIn(done.rc, (0, 4), done)
        p.ok("status")

    def test_variables_that_are_not_set(self):
        p = self.project(plans=[full_plan()], flags={"provider": "builtin", "url": "${FLAG_URL}", "token": "${FLAG_TOKEN}"})
        error = p.json("advance", "orders-ref", "--release", "1.1.0", code=2)["error"]
        self.assertIn("FLAG_URL", error["message"])
        del p.env["DATABASE_URL"]
        p.env.update(FLAG_URL="http://127.0.0.1:1", FLAG_TOKEN="x" * 32)
        error = p.json("status", code=2)["error"]
        self.assertEqual(error["kind"], "config")
        self.assertIn("DATABASE_URL", error["message"])
        p.ok("check")
        p.exits(3, "kill", "orders-ref", "--wait", "0s")  # needs no database, so not its variable either

    def test_flags_that_cannot_be_rolled_out(self):
        foreign = {"flags": {"orders-ref-read": {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off",
                                                 "targeting": {"if": [{"==": [{"var": "country"}, "DE"]}, "on", "off"]}}}}
        p = self.project(plans=[full_plan()])
        p.advance("orders-ref", "1.1.0")
        for text, word in ((json.dumps(foreign), "orders-ref-read"), ("{not json", "flags.json"),
                           (json.dumps(dict(flags={"orders-ref-read": {"state": "DISABLED", "variants": {"on": True, "off": False},
                                                                       "defaultVariant": "off"}})), "orders-ref-read")):
            with self.subTest(text):
                p.put("flags.json", text)
                error = p.json("advance", "orders-ref", "--release", "1.2.0", code=4)["error"]
                self.assertEqual(error["reason"], "flag_in_doubt")
                self.assertIn(word, error["message"])
                with open(p.path("flags.json"), encoding="utf-8") as f:
                    self.assertEqual(f.read(), text)

    def test_a_state_folder_that_cannot_be_written(self):
        p = self.project(plans=[full_plan()])
        p.advance("orders-ref", "1.1.0")
        p.put("in-the-way", "a file")
        answer = p.json("advance", "orders-ref", "--release", "1.2.0", code=2, env={"PHASEGATE_STATE_DIR": p.path("in-the-way")})
        self.assertIn("in-the-way", json.dumps(answer["error"]))
        self.assertIn(p.flag("orders-ref-read"), (None, 0), "nothing is sent without its intent")


def bomb(levels=12):
    lines = ["phasegate: 1", "a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += ["a%d: &a%d [%s]" % (i, i, ", ".join(["*a%d" % (i - 1)] * 10)) for i in range(1, levels)]
    return "\n".join(lines) + "\n"


class BadFiles(project.Case):
    GOOD = json.dumps(column_plan(), indent=1)

    def bad(self, text, *words, name="plans/20260101000000-orders-ref.yaml", where=True):
        p = self.project()
        path = p.path(name)
        with open(path, "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        for command in (("check",), ("advance", "orders-ref", "--release", "1.1.0"), ("status",)):
            done = p.run(*command, timeout=30)
            self.assertEqual(done.rc, 2, done)
            said = done.stdout + done.stderr
            if where:
                self.assertRegex(said, name.replace(".", r"\.") + r":\d+:\d+: ")
            for word in words:
                self.assertIn(word, said)
        answer = p.json("status", code=2)
        self.assertIn(answer["error"]["kind"], ("input", "config"))
        self.assertEqual(p.db.value("SELECT count(*) FROM pg_namespace WHERE nspname = 'phasegate'"), "0")

    def test_malformed(self):
        self.bad("phasegate: 1\nplan: [orders\n")
        self.bad("phasegate: 1\n\tplan: orders-ref\n", "tab")
        self.bad(": : :\n- }\n")

    def test_truncated(self):
        for part in (3, 5, 8):
            self.bad(self.GOOD[:len(self.GOOD) * part // 10])

    def test_empty(self):
        self.bad("", where=False)
        self.bad("# nothing but a comment\n", where=False)

    def test_huge(self):
        self.bad(self.GOOD + "\n# " + "x" * (1 << 20) + "\n", "1 MiB", where=False)

    def test_binary(self):
        self.bad(bytes(range(256)) * 8, where=False)
        self.bad(b"phasegate: 1\nplan: orders\xff\xfe\n")

    def test_an_anchor_bomb(self):
        self.bad(bomb())

    def test_unknown_keys_have_a_nearest_word(self):
        self.bad(self.GOOD.replace('"title"', '"titel"'), "titel", "title")
        self.bad(self.GOOD.replace('"steps"', '"stepps"'), "stepps", "steps")

    def test_duplicate_keys(self):
        self.bad(self.GOOD.replace('"title"', '"plan": "twice",\n "title"'), "plan")

    def test_values_that_are_none(self):
        self.bad(self.GOOD.replace("20260101000000", "20261301000000"), "20261301000000")
        self.bad(self.GOOD.replace('"release": "1.1.0"', '"release": ["1.1.0"]'))
        self.bad(self.GOOD.replace('"orders-ref"', '"Orders Ref"'), "Orders Ref")

    def test_sql_that_is_none(self):
        p = self.project(plans=[column_plan(phases={"expand": phase("expand", steps=[step("s", "ALTER TABEL orders ADD COLUMN x int")])})])
        done = p.exits(2, "advance", "orders-ref", "--release", "1.1.0")
        self.assertRegex(done.stderr, r"plans/20260101000000-orders-ref\.yaml:\d+:\d+: .*TABEL")
        self.assertEqual(p.db.value("SELECT count(*) FROM pg_namespace WHERE nspname = 'phasegate'"), "0")

    def test_names_of_files(self):
        self.bad(self.GOOD, "expected YYYYMMDDHHmmss-name.yaml", name="plans/orders-ref.yaml", where=False)
        self.bad(self.GOOD, ".yml", name="plans/20260101000000-orders-ref.yml", where=False)
        self.bad(self.GOOD, name="plans/20260102000000-orders-ref.yaml")

    def test_two_plans_of_one_name_or_time(self):
        p = self.project(plans=[column_plan(), column_plan(stamp=20260102000000)])
        self.assertIn("orders-ref", p.exits(2, "advance", "orders-ref", "--release", "1.1.0").stderr)
        p = self.project(plans=[column_plan(), column_plan("other")])
        self.assertIn("20260101000000", p.exits(2, "advance", "orders-ref", "--release", "1.1.0").stderr)

    def test_a_cycle_and_an_unknown_dependency(self):
        p = self.project(plans=[column_plan(depends_on=[{"plan": "nobody", "phase": "expand"}])])
        self.assertIn("nobody", p.exits(2, "status").stderr)
        p = self.project(plans=[column_plan("a", depends_on=[{"plan": "b", "phase": "expand"}]),
                                column_plan("b", 20260102000000, depends_on=[{"plan": "a", "phase": "expand"}])])
        p.exits(2, "status")

    def test_the_project_file(self):
        p = self.project(plans=[column_plan()])
        good = json.dumps(p.body)
        for text, word in (("phasegate: 1\nplanz: x\n", "plans"), (good[:-20], "phasegate.yaml"), (good.replace('"url"', '"ulr"'), "url"),
                           (good.replace('"phasegate": 1', '"phasegate": 2'), "phasegate"), ("", "phasegate.yaml"), (bomb(), "phasegate.yaml")):
            with self.subTest(text[:40]):
                p.put("phasegate.yaml", text)
                self.assertIn(word, p.exits(2, "status").stderr)
        os.unlink(p.path("phasegate.yaml"))
        self.assertIn("phasegate init", p.exits(2, "status").stderr)


class NotThere(project.Case):
    """A file or folder that an option names and that isn't there, or is none: exit code 2, its name, the next command."""

    def test_files(self):
        p = self.project(plans=[full_plan()])
        os.mkdir(os.path.join(p.dir, "folder"))
        for name, text in (("empty", ""), ("text", "no such thing\n")):
            with open(os.path.join(p.dir, name), "w") as f:
                f.write(text)
        takes = (("evidence", "--verify"), ("advance", "orders-ref", "--release", "1.1.0", "--proof"), ("purge", "orders-ref", "--confirm", "orders-ref", "--proof"),
                 ("capture", "--release", "1.0.0", "--to", "to.sql", "--from-log"), ("check", "--static"), ("flag-server", "--token-file"), ("-c",), ("-C",))
        for command in takes:
            for given in ("missing.sql", "folder", "empty", "text"):
                if command == ("flag-server", "--token-file") and given == "text" or command[0] == "-C" and given == "folder":
                    continue  # a token, a folder: fine
                if command == ("check", "--static") and given != "missing.sql":
                    continue  # a folder without SQL; others are plans
                with self.subTest(command=command, given=given):
                    done = p.run(*command, given, *(("status",) if command[0] in ("-c", "-C") else ()))
                    self.assertEqual(done.rc, 2, done)
                    self.assertIn(given, done.stdout + done.stderr)
                    self.assertIn("HINT: ", done.stderr, done)

    def test_where_something_is_written(self):
        p = self.project(plans=[full_plan()])
        os.mkdir(os.path.join(p.dir, "folder"))
        for command in (("evidence", "orders-ref", "--out"), ("check", "-o"), ("flag-server", "--state")):
            for given in ("folder", "missing/x"):
                with self.subTest(command=command, given=given):
                    done = p.run(*command, ("json=" if command[0] == "check" else "") + given)
                    self.assertEqual(done.rc, 2, done)
                    self.assertIn(given, done.stderr)
                    self.assertIn("HINT: ", done.stderr, done)

    def test_usage_points_at_help(self):
        p = self.project(plans=[full_plan()])
        for command in (("flag-server", "--port", "99999"), ("backfill", "orders-ref", "--metrics-file", "x"), ("flag-server", "--listen", "nowhere.invalid"),
                        ("check", "--baseline-from", "no url"), ("snapshot", "orders-ref", "--side", "garbage")):
            with self.subTest(command=command):
                done = p.exits(2, *command)
                self.assertIn("HINT: ", done.stderr, done)

    def test_a_clone_that_nobody_makes(self):
        p = self.project(plans=[full_plan()])
        for program in ("false", "true"):
            self.assertIn("HINT: PHASEGATE_CLONE=make ", p.exits(3, "rehearse", "orders-ref", "--clone-command", program).stderr)


class Json(project.Case):
    """One object with version, command, ok and exit_code, whatever the command and however it ends."""

    def test_every_command(self):
        p = self.project(plans=[full_plan()])
        release = {"expand": "1.1.0", "dual_read": "1.2.0", "write_activation": "1.3.0", "contract": "1.5.0"}
        commands = [(0, "status"), (0, "doctor"), (0, "history"), (0, "show", "machine"), (0, "show", "config"),
                    (0, "show", "rules"), (0, "show", "plans"), (0, "show", "schema"), (4, "guard", "--release", "1.1.0"),
                    (0, "advance", "orders-ref", "--release", "1.1.0", "--dry-run"), (4, "pause", "orders-ref"),
                    (0, "approve", "orders-ref", "expand")]
        commands += [(0, "advance", "orders-ref", "--release", r) for r in release.values()]
        commands += [(0, "flags", "list"), (0, "flags", "get", "orders-ref-read"), (0, "flags", "reconcile"), (0, "status", "--flags"),
                     (0, "pause", "orders-ref"), (0, "resume", "orders-ref"), (4, "resume", "orders-ref"), (0, "restore", "orders-ref"),
                     (0, "advance", "--all", "--release", "1.5.0"), (4, "purge", "orders-ref"), (0, "accept", "orders-ref", "--because", "x"),
                     (0, "purge", "orders-ref", "--confirm", "orders-ref", "--dry-run"), (0, "purge", "orders-ref", "--confirm", "orders-ref"),
                     (4, "rollback", "orders-ref"), (0, "kill", "orders-ref"), (0, "history", "--verify"), (0, "guard", "--release", "1.5.0"),
                     (0, "new", "another"), (2, "accept", "orders-ref"), (2, "status", "nobody"), (2, "kill"),
                     (0, "completion", "bash"), (0, "man"), (0, "reference"), (0, "help"), (0, "init")]
        for code, *args in commands:
            with self.subTest(" ".join(args)):
                answer = p.json(*args, code=code)
                self.assertEqual("error" in answer, code in (2,) or (code == 4 and args[0] != "guard" and "--dry-run" not in args), answer)
                if "error" in answer:
                    for key in ("kind", "reason", "message", "detail", "hint", "notes", "sqlstate"):
                        self.assertIn(key, answer["error"])
                    self.assertTrue(answer["error"]["message"])

    def test_jsonl_streams_events_and_ends_with_the_object(self):
        p = self.project(plans=[full_plan()])
        done = p.ok("--format", "jsonl", "advance", "orders-ref", "--release", "1.1.0")
        lines = done.lines
        self.assertGreater(len(lines), 4)
        last = lines[-1]
        self.assertEqual((last["event"], last["version"], last["command"], last["ok"], last["exit_code"]), ("end", 1, "advance", True, 0))
        self.assertTrue(all("event" in line for line in lines))
        self.assertIn("column", {line.get("task") for line in lines})

    def test_an_error_in_the_middle_of_a_list(self):
        for command in (("history",), ("doctor",), ("guard", "--release", "1.0.0"), ("status",)):
            p = self.project(plans=[column_plan()])
            p.advance("orders-ref", "1.1.0")
            p.db.psql("DROP TABLE phasegate.%s CASCADE" % ("migration_history" if command[0] != "guard" else "plan_state"))
            with self.subTest(command):
                answer = p.json(*command, code=4)
                self.assertEqual(answer["error"]["reason"], "ledger_damaged")


if __name__ == "__main__":
    unittest.main()

"""The environment's backup, by the real pgBackRest: preflight and gates ask it, and each thing that is wrong with it has its words."""

import json
import os
import unittest

import pgtest
import project
from backup import Backup


class Backups(project.Case):
    @classmethod
    def setUpClass(cls):
        cls.backup = Backup(cls.addClassCleanup)

    def lab(self, server=None, gate=None, **pgbackrest):
        more = {"gates": {"saved": {"backup": gate, "on_failure": "hold"}}} if gate is not None else {}
        plan = project.full_plan(**more)
        if gate is not None:
            plan["phases"]["expand"]["gates"] = ["saved"]
        p = self.project(plans=[plan], db=(server or self.backup.server).create_database())
        p.environment["backup"] = {"pgbackrest": dict({"stanza": "main", "config": self.backup.config}, **pgbackrest)}
        p.write()
        return p

    def check(self, p, outcome, *words):
        """What preflight says of the backup."""
        found, = [c for c in p.json("preflight", "orders-ref", code=1 if outcome == "no-go" else 0)["result"]["checks"] if c["check"] == "backup"]
        self.assertEqual(found["outcome"], outcome, found)
        for word in words:
            self.assertIn(word, found["value"])
        return found

    def program(self, p, body):
        p.put("told", "#!/bin/sh\n" + body)
        os.chmod(p.path("told"), 0o755)
        p.environment["backup"]["pgbackrest"]["program"] = p.path("told")
        p.write()

    def test_1_none_yet_then_one(self):
        p = self.lab(gate={})
        self.check(p, "no-go", "stanza main has no good backup")
        error = p.refused("preflight", "advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("backup main: stanza main has no good backup", error["message"])
        self.backup.run("pgbackrest --stanza=main backup")
        self.check(p, "pass", "(full) ended ", " ago; the archive goes up to 0000000100000000000000")
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        self.assertEqual(p.stage("orders-ref"), "expand done")

    def test_2_too_old(self):
        p = self.lab(gate={"max_age": "1s"}, max_age="24h")
        pgtest.wait_until(lambda: self.check_age(p) >= 2, what="a backup that is two seconds old")
        self.check(p, "pass")
        answer = p.json("advance", "orders-ref", "--release", "1.1.0", code=1)
        self.assertRegex(answer["error"]["message"], r"the newest good backup, \d{8}-\d{6}F, ended \w+ ago, and 1s is the limit")
        p.environment["backup"]["pgbackrest"]["max_age"] = "1s"
        p.write()
        self.check(p, "no-go", "and 1s is the limit")

    def check_age(self, p):
        info = json.loads(self.backup.run("pgbackrest --stanza=main --output=json info"))[0]
        return int(p.db.value("SELECT extract(epoch FROM clock_timestamp())::bigint")) - info["backup"][-1]["timestamp"]["stop"]

    def test_3_checked_from_end_to_end(self):
        p = self.lab(gate={"check": True})
        p.write_plan(self.with_timeout(p, "5m"))
        page = p.ok("runbook", "orders-ref").stdout
        self.assertRegex(page, r"gate saved \| backup \S+ \(full\) ended .*; pgbackrest check is content")
        self.backup.server.psql("ALTER SYSTEM SET archive_command = 'false'; SELECT pg_reload_conf()")
        try:
            page = p.ok("runbook", "orders-ref").stdout
            self.assertRegex(page, r"gate saved \| pgbackrest check ended with exit code \d+: ")
        finally:
            self.backup.server.psql("ALTER SYSTEM RESET archive_command; SELECT pg_reload_conf()")

    @staticmethod
    def with_timeout(p, timeout):
        plan = project.full_plan(gates={"saved": {"backup": {"check": True}, "timeout": timeout, "on_failure": "hold"}})
        plan["phases"]["expand"]["gates"] = ["saved"]
        return plan

    def test_4_what_cannot_be_asked(self):
        p = self.lab(stanza="mian")
        self.check(p, "warn", "not measured: pgBackRest says of stanza mian: missing stanza path")
        p = self.lab(program="/nowhere/pgbackrest")
        self.check(p, "warn", "not measured: /nowhere/pgbackrest can't be asked: ", "No such file")
        p = self.lab(config="/nowhere/pgbackrest.conf")
        self.check(p, "warn", "not measured: pgbackrest info ended with exit code ", "/nowhere/pgbackrest.conf")
        p = self.lab()
        self.program(p, "echo '[{\"name\": \"main\"'")
        self.check(p, "warn", "what pgbackrest info says is no list in JSON: ")
        self.program(p, "echo '{}'")
        self.check(p, "warn", "what pgbackrest info says is no list in JSON")
        self.program(p, "echo '[]'")
        self.check(p, "warn", "pgBackRest knows no stanza main")
        self.program(p, "echo 'ERROR: [055]: no luck' >&2; exit 55")
        self.check(p, "warn", "exit code 55: ERROR: [055]: no luck")

    def test_5_nobody_can_tell_holds_a_gate(self):
        p = self.lab(gate={}, program="/nowhere/pgbackrest")
        answer = p.json("advance", "orders-ref", "--release", "1.1.0", "--no-wait", code=5)
        self.assertEqual(answer["error"]["reason"], "waiting")
        self.assertIn("/nowhere/pgbackrest can't be asked", answer["error"]["message"])

    def test_6_another_server(self):
        p = self.lab(server=pgtest.cluster())
        self.check(p, "no-go", "stanza main is of another server than this database's")

    def test_7_the_restore_point(self):
        p = self.lab(gate={})
        p.advance_through("orders-ref", "contract")
        point = p.status("orders-ref")["restore_point"]
        self.assertIsNotNone(point["archived_at"])

        def told():
            return p.json("runbook", "orders-ref")["result"]["runbook"].replace("\\", "")
        plan = project.full_plan(gates={"saved": {"backup": {}}}, runbook={"go": [{"gate": "saved"}]})
        p.write_plan(plan)
        self.assertRegex(told(), r"gate saved \| backup .*; the archive goes up to [0-9A-F]{24} \| GO")
        p.db.psql("UPDATE phasegate.restore_point SET wal_segment = '0000000100000000000000FF'")
        self.assertRegex(told(), r"gate saved \| the archive ends at [0-9A-F]{24}, and restore point \S+ is in 0000000100000000000000FF \| NO-GO")
        p.db.psql("UPDATE phasegate.restore_point SET wal_segment = '000000000000000000000001'")
        self.assertRegex(told(), r"gate saved \| the archive is on another timeline .* \| not readable")
        p.db.psql("UPDATE phasegate.restore_point SET wal_segment = '000000010000000000000001', lsn = '0/1'")
        self.assertRegex(told(), r"gate saved \| no good backup ended before restore point \S+ at 0/1: there's nothing to begin from \| NO-GO")

    def test_8_nothing_secret_in_the_command_line(self):
        p = self.lab()
        self.program(p, "printf '%%s\\n' \"$@\" >%s; echo '[]'" % p.path("args"))
        p.env["PGBACKREST_REPO1_CIPHER_PASS"] = "hush"
        self.check(p, "warn")
        with open(p.path("args"), encoding="utf-8") as f:
            self.assertEqual(f.read().splitlines(), ["--stanza=main", "--config=" + self.backup.config, "--output=json", "--log-level-console=off",
                                                     "--log-level-stderr=warn", "--log-level-file=off", "info"])

    def test_9_a_program_of_yours(self):
        p = self.lab()
        p.put("fresh", "#!/bin/sh\necho 3 hours; exit 0\n")
        os.chmod(p.path("fresh"), 0o755)
        p.environment["backup"] = {"command": ["./fresh"]}
        p.write()
        self.check(p, "pass", "./fresh: exit code 0")
        p.put("fresh", "#!/bin/sh\necho none since Monday >&2; exit 2\n")
        self.check(p, "no-go", "./fresh: exit code 2: none since Monday")


if __name__ == "__main__":
    unittest.main()

"""kill says that all is well only when it is: flags that no file says, files that don't say their flags."""

import json
import os
import shutil
import signal
import socket
import time
import unittest

import pgtest
import project
from project import full_plan, phase, plan


def flag_plan(name, stamp):
    return plan(name, stamp, {"dual_read": phase("dual_read", rollout=[{"percent": 5, "pause": "60s"}, {"percent": 100}])},
                flags={"read": {"key": name + "-read"}})


class Sources(project.Case):
    """Two plans at 5 %, each with a read flag."""

    def begin(self, **more):
        p = self.project(plans=[flag_plan("one", 20260101000000), flag_plan("two", 20260102000000)], **more)
        for name in ("one", "two"):
            p.exits(5, "advance", name, "--release", "1.2.0", "--no-wait")
        self.both(p, 5, 5)
        self.file = p.path("plans/20260102000000-two.yaml")
        return p

    def both(self, p, one, two):
        self.assertEqual((p.flag("one-read"), p.flag("two-read")), (one, two))

    def forget(self, p):
        """As on another host: the journal isn't there."""
        for name in os.listdir(p.path(".phasegate")):
            os.remove(p.path(".phasegate", name))

    def spoil(self, tail="\nphases: [\n"):
        with open(self.file, "a", encoding="utf-8") as f:
            f.write(tail)

    # ---- a file that can't be read

    def test_a_broken_file_and_what_the_journal_remembers(self):
        p = self.begin()
        self.spoil()
        done = p.exits(5, "kill", "--all", env={"DATABASE_URL": "host=/nowhere"})
        self.both(p, 0, 0)
        self.assertIn("plans/20260102000000-two.yaml can't be relied on for its flags", done.stderr)
        self.assertNotIn("--flag two-read", done.stderr, "it is off already")

    def test_a_broken_file_and_what_the_ledger_remembers(self):
        p = self.begin()
        self.spoil()
        self.forget(p)
        p.exits(5, "kill", "two")
        self.both(p, 5, 0)

    def test_a_broken_file_that_nobody_remembers(self):
        p = self.begin()
        self.spoil()
        self.forget(p)
        done = p.exits(3, "kill", "--all", env={"DATABASE_URL": "host=/nowhere"})
        self.both(p, 0, 5)
        self.assertRegex(done.stderr, r"(?m)^warning:   phasegate kill --flag two-read$")
        p.ok("kill", "--flag", "two-read")
        self.both(p, 0, 0)
        answer = p.json("kill", "two", code=3, env={"DATABASE_URL": "host=/nowhere", "PHASEGATE_STATE_DIR": p.path("other")})
        self.assertEqual([(u["file"], u["plan"], u["keys"]) for u in answer["result"]["unread"]],
                         [("plans/20260102000000-two.yaml", "two", ["two-read"])])

    def test_a_mistake_elsewhere_in_the_file_hides_no_flag(self):
        p = self.begin()
        body = flag_plan("two", 20260102000000)
        body["phases"]["dual_read"]["release"] = "7.7"
        p.write_plan(body)
        p.ok("kill", "--all")
        self.both(p, 0, 0)

    def test_a_mistake_in_flags(self):
        p = self.begin()
        body = flag_plan("two", 20260102000000)
        body["flags"] = {"reed": {"key": "two-read"}}
        p.write_plan(body)
        self.forget(p)
        done = p.exits(3, "kill", "two", env={"DATABASE_URL": "host=/nowhere"})
        self.assertIn("phasegate kill --flag two-read", done.stderr)
        p.exits(5, "kill", "two")
        self.both(p, 5, 0)

    def test_another_plan_has_nothing_to_do_with_it(self):
        p = self.begin()
        self.spoil()
        p.ok("kill", "one")
        self.both(p, 0, 5)

    # ---- a file that is gone

    def test_a_file_that_is_gone(self):
        p = self.begin()
        os.rename(self.file, p.path("away.yaml"))
        self.forget(p)
        done = p.ok("kill", "--all")
        self.both(p, 0, 0)
        self.assertNotIn("nothing to do", done.stdout)

    def test_a_plan_whose_file_is_gone_by_its_name(self):
        p = self.begin()
        os.rename(self.file, p.path("away.yaml"))
        done = p.ok("kill", "two", "--because", "it burns")
        self.both(p, 5, 0)
        self.assertIn("no file has plan two", done.stderr)
        self.forget(p)
        done = p.exits(2, "kill", "two", env={"DATABASE_URL": "host=/nowhere"})
        self.assertIn("phasegate kill --flag KEY", done.stderr)
        self.assertNotIn("phasegate new", done.stderr)

    def test_without_the_ledger_it_is_not_known_to_be_all(self):
        p = self.begin()
        os.rename(self.file, p.path("away.yaml"))
        p.exits(5, "kill", "two", env={"DATABASE_URL": "host=/nowhere"})
        self.both(p, 5, 0)

    def test_one_name_of_several_is_wrong(self):
        p = self.begin()
        done = p.exits(3, "kill", "one", "twoo")
        self.both(p, 0, 5)
        self.assertIn("no file has plan twoo", done.stderr)

    # ---- flags that were taken out of a file

    def test_flags_that_the_file_has_no_more(self):
        for host in ("this", "another"):
            with self.subTest(host):
                p = self.begin()
                body = flag_plan("two", 20260102000000)
                del body["flags"]
                body["phases"]["dual_read"] = {"none": "gone"}
                p.write_plan(body)
                if host == "another":
                    self.forget(p)
                p.ok("kill", "two")
                self.both(p, 5, 0)

    def test_a_flag_with_a_new_name(self):
        p = self.begin()
        body = flag_plan("two", 20260102000000)
        body["flags"]["read"]["key"] = "two-renamed"
        p.write_plan(body)
        p.ok("kill", "two")
        self.both(p, 5, 0)

    def test_the_write_flag_still_comes_after_the_read_flag(self):
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "write_activation")
        body = full_plan()
        del body["flags"]["write"]
        p.write_plan(body)
        answer = p.json("kill", "orders-ref", code=5)["result"]  # the rollout of a flag that isn't there is a mistake
        self.assertEqual([(t["key"], t["remembered"]) for t in answer["targets"]],
                         [("orders-ref-read", False), ("orders-ref-write", True)])
        self.assertEqual((p.flag("orders-ref-read"), p.flag("orders-ref-write")), (0, 0))

    # ---- what stays as it was

    def test_a_purged_plan_without_a_file_is_left_alone(self):
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "contract")
        p.ok("purge", "orders-ref", "--confirm", "orders-ref")
        os.remove(p.path("plans/20260101000000-orders-ref.yaml"))
        p.ok("kill", "--all")
        self.assertEqual(p.flag("orders-ref-read"), 100, "the old column is gone: off isn't safe any more")

    def test_a_database_that_never_answers_holds_nothing_up(self):
        p = self.begin()
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen(1)
            url = "host=127.0.0.1 port=%d dbname=x" % s.getsockname()[1]
            begun = time.monotonic()
            p.ok("kill", "one", "two", env={"DATABASE_URL": url})
            self.assertLess(time.monotonic() - begun, 3)
        self.both(p, 0, 0)

    def test_nothing_to_do(self):
        p = self.project(plans=[project.column_plan()])
        self.assertIn("nothing to do", p.ok("kill", "--all").stdout)


class Seen(project.Case):
    """Who moves or looks at a plan hears of its kill."""

    def reads(self, pause="60s"):
        return plan("reads", phases={"dual_read": phase("dual_read", rollout=[{"percent": 5, "pause": pause}, {"percent": 100}])},
                    flags={"read": {"key": "reads-read"}})

    def test_a_pause_ends_within_seconds(self):
        p = self.project(plans=[self.reads()])
        run = p.start("advance", "reads", "--release", "1.2.0")
        self.addCleanup(run.close)
        pgtest.wait_until(lambda: "the pause at 5 %" in run.stderr, 30, what="the pause\n" + run.stderr)
        begun = time.monotonic()
        p.ok("kill", "reads", "--because", "customers call", "--as", "carol")
        done = run.wait(30)
        self.assertLess(time.monotonic() - begun, 8)
        self.assertEqual(done.rc, 5, done)
        self.assertIn("was killed by carol", done.stderr)
        self.assertIn("customers call", done.stderr)
        status = p.status("reads")
        self.assertEqual((status["brake"], status["brake_by"], status["waiting"]), ("killed", "carol", None))
        self.assertIn("customers call", status["brake_reason"])
        self.assertEqual(status["flags"][0]["left_at_percent"], 0)
        self.assertIn("phasegate advance reads --release 1.2.0 goes on", p.ok("resume", "reads").stdout)

    def test_a_drill_in_a_pause_is_no_kill(self):
        p = self.project(plans=[self.reads("4s")])
        with p.start("advance", "reads", "--release", "1.2.0") as run:
            pgtest.wait_until(lambda: "the pause at 5 %" in run.stderr, 30, what="the pause\n" + run.stderr)
            p.ok("kill", "reads", "--drill")
            self.assertEqual(run.wait(40).rc, 0, run.stderr)
        self.assertEqual(p.flag("reads-read"), 100)

    def test_the_reason_reaches_the_ledger(self):
        p = self.project(plans=[self.reads()])
        p.exits(5, "advance", "reads", "--release", "1.2.0", "--no-wait")
        p.ok("kill", "reads", "--because", "errors since 02:40", "--as", "carol")
        p.refused("killed", "advance", "reads", "--release", "1.2.0")
        self.assertEqual(p.db.psql("SELECT brake, brake_by, brake_reason LIKE '%errors since 02:40' FROM phasegate.plan_state"),
                         [["killed", "carol", "t"]])
        self.assertEqual(p.db.value("SELECT count(*) FROM phasegate.migration_history WHERE description LIKE '%errors since 02:40%'"), "1")
        line = next(s for s in p.ok("status", "reads").stdout.splitlines() if s.startswith("  killed"))
        self.assertEqual(line.count("carol"), 1, line)

    def test_a_kill_while_the_database_was_down(self):
        p = self.project(plans=[self.reads()])
        p.exits(5, "advance", "reads", "--release", "1.2.0", "--no-wait")
        p.ok("kill", "reads", "--because", "all is down", env={"DATABASE_URL": "host=/nowhere"})
        status = p.status("reads")
        self.assertEqual(status["brake"], None)
        self.assertIn("all is down", status["kill_pending"])
        self.assertEqual(status["next_command"], "phasegate resume reads")
        self.assertRegex(p.ok("status", "reads").stdout, "  killed    flag .reads-read. was killed: all is down, by ")
        done = p.exits(1, "doctor")
        self.assertIn("all is down", done.stdout)
        p.ok("resume", "reads")
        status = p.status("reads")
        self.assertEqual((status["brake"], status["kill_pending"]), (None, None))


class DrilledBefore(project.Case):
    """policy.kill_drill: no flag climbs its first rung before its kill was drilled."""

    def reads(self, policy={"kill_drill": "7d"}, **more):
        body = plan("reads", phases={"dual_read": phase("dual_read", rollout=[{"percent": 5}, {"percent": 100}])},
                    flags={"read": {"key": "reads-read"}})
        return self.project(plans=[body], policy=policy, **more)

    def other(self, p):
        p.write_plan(plan("other", 20260102000000, phases={"dual_read": phase("dual_read", rollout=[{"percent": 100}])},
                          flags={"read": {"key": "other-read"}}))

    def made(self, p, *keys):
        """In the flag service, off, as somebody has to make them before a drill."""
        p.put("flags.json", json.dumps({"flags": {key: {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
                                                  for key in keys}}))

    def test_without_a_drill_nobody_is_shown_anything(self):
        p = self.reads()
        error = p.refused("kill_drill", "advance", "reads", "--release", "1.2.0")
        self.assertIn("reads-read was never drilled", error["message"])
        self.assertIn("kill reads --drill", error["hint"])
        self.assertNotIn("dual_read", p.stage("reads"))
        p.exits(4, "advance", "reads", "--release", "1.2.0", "--dry-run")
        self.assertIn("kill_drill", [m["reason"] for m in p.json("status", "reads", "--flags")["result"]["plans"][0]["missing"]])
        self.made(p, "reads-read")
        p.ok("kill", "reads", "--drill")
        p.advance("reads", "1.2.0")
        self.assertEqual(p.flag("reads-read"), 100)
        self.assertIn("drill", p.db.column("SELECT reason FROM phasegate.flag_change WHERE flag = 'reads-read'"))

    def test_it_grows_old(self):
        p = self.reads(policy={"kill_drill": "1s"})
        self.made(p, "reads-read")
        p.ok("kill", "reads", "--drill")
        time.sleep(1.2)
        error = p.refused("kill_drill", "advance", "reads", "--release", "1.2.0")
        self.assertIn("and 1s is the limit", error["message"])

    def test_a_kill_is_no_drill_and_a_drill_of_another_flag_none_of_this(self):
        p = self.reads()
        self.other(p)
        self.made(p, "reads-read", "other-read")
        p.ok("kill", "other", "--drill")
        p.refused("kill_drill", "advance", "reads", "--release", "1.2.0")

    def test_a_drill_from_elsewhere_counts_once_the_ledger_has_it(self):
        p = self.reads()
        self.other(p)
        self.made(p, "reads-read", "other-read")
        p.ok("kill", "reads", "other", "--drill")
        p.advance("other", "1.2.0")
        shutil.rmtree(p.path(".phasegate"))
        p.advance("reads", "1.2.0")
        self.assertEqual(p.flag("reads-read"), 100)

    def test_switched_off(self):
        for policy in ({"kill_drill": 0}, {}):
            p = self.reads(policy=policy)
            p.advance("reads", "1.2.0")
            self.assertEqual(p.flag("reads-read"), 100)


class Hidden(project.Case):
    """A kill when contract has hidden the old shape: every hint leads on."""

    def test_the_way_out(self):
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "contract")
        p.ok("kill", "orders-ref")
        steps, last = [], None
        for _ in range(12):
            status = p.status("orders-ref")
            command = status["next_command"]
            self.assertNotEqual(command, last, "in a circle: %s" % steps)
            steps.append(command)
            done = p.run(*command.split()[1:])
            self.assertIn(done.rc, (0, 4), done)
            if done.rc == 4:
                last = None
                continue
            last = command
            if p.stage("orders-ref") == "contract done" and p.flag("orders-ref-write") == 100:
                break
        self.assertEqual((p.stage("orders-ref"), p.flag("orders-ref-read"), p.flag("orders-ref-write")), ("contract done", 100, 100), steps)
        self.assertIn("phasegate restore orders-ref", steps)

    def test_kill_says_where_off_leads_to(self):
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "write_activation")
        self.assertNotIn("hidden", p.ok("kill", "orders-ref", "--drill").stderr)
        p.advance("orders-ref", "1.5.0")
        done = p.ok("kill", "orders-ref")
        self.assertEqual(done.stderr.count("phasegate restore orders-ref"), 1, done)
        p.ok("restore", "orders-ref")
        self.assertNotIn("hidden", p.ok("kill", "orders-ref").stderr)

    def test_kill_says_that_the_old_shape_is_destroyed(self):
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "contract")
        p.ok("purge", "orders-ref", "--confirm", "orders-ref")
        done = p.ok("kill", "--all")
        self.assertIn("plan orders-ref is purged", done.stderr)
        self.assertIn("destroyed", done.stderr)

    def test_advance_is_not_up_to_date(self):
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "contract")
        p.ok("kill", "orders-ref")
        p.refused("killed", "advance", "orders-ref", "--release", "1.5.0")
        self.assertIn("phasegate restore orders-ref goes on", p.ok("resume", "orders-ref").stdout)
        error = p.refused("flags_not_full", "advance", "orders-ref", "--release", "1.5.0")
        self.assertIn("phasegate restore orders-ref", error["hint"])
        p.ok("restore", "orders-ref")
        error = p.refused("killed", "advance", "orders-ref", "--release", "1.5.0")
        self.assertIn("phasegate advance orders-ref --release 1.3.0", error["hint"])
        p.ok("resume", "orders-ref")
        error = p.refused("not_its_turn", "advance", "orders-ref", "--release", "1.5.0")
        self.assertIn("write_activation of release 1.3.0 isn't finished", error["message"])
        p.advance("orders-ref", "1.3.0")
        p.advance("orders-ref", "1.5.0")


class Doctor(project.Case):
    """doctor looks at the flags, too."""

    def begin(self, **more):
        p = self.project(plans=[full_plan()], **more)
        p.advance_through("orders-ref", "dual_read")
        return p

    def findings(self, p, code=1):
        return [(f["what"], f["where"], f["mend"], f["grave"]) for f in p.json("doctor", code=code)["result"]["findings"]]

    def write(self, p, key, on):
        with open(p.path("flags.json"), encoding="utf-8") as f:
            doc = json.load(f)
        doc["flags"].setdefault(key, dict(doc["flags"]["orders-ref-read"]))
        doc["flags"][key].pop("targeting", None)
        doc["flags"][key].update(state="ENABLED", defaultVariant="on" if on else "off")
        p.put("flags.json", json.dumps(doc))

    def test_well(self):
        p = self.begin()
        self.assertEqual(self.findings(p, 0), [])

    def test_higher_and_lower(self):
        p = self.begin()
        self.write(p, "orders-ref-write", True)
        (what, where, mend, grave), = self.findings(p)
        self.assertIn("write flag orders-ref-write of plan orders-ref is at 100 %, expected 0 %", what)
        self.assertEqual((where, grave), ("orders-ref", True))
        self.assertIn("phasegate flags set orders-ref-write 0", mend)
        self.write(p, "orders-ref-write", False)
        self.write(p, "orders-ref-read", False)
        (what, where, mend, grave), = self.findings(p)
        self.assertIn("read flag orders-ref-read is off and was left at 100 %", what)
        self.assertIn("phasegate resume orders-ref", mend)

    def test_what_cannot_be_read_is_said_once(self):
        p = self.begin()
        p.put("flags.json", "{")
        (what, where, mend, grave), = self.findings(p)
        self.assertIn("2 of 2 flags can't be read", what)
        self.assertRegex(mend, r"path: phasegate\.yaml:\d+:\d+")
        self.assertTrue(grave)

    def test_a_write_in_doubt(self):
        p = self.begin()
        entry = [{"t": "intent", "op": "0123", "key": "orders-ref-read", "verb": "set", "desired": 50, "actor": "carol",
                  "at": int(time.time() * 1000)}]
        with open(p.path(".phasegate/flags-staging.jsonl"), "a", encoding="utf-8") as f:
            f.write(json.dumps(entry) + "\n")
        (what, _, mend, _), = self.findings(p)
        self.assertIn("a set of flag orders-ref-read to 50 % by carol is in doubt until", what)
        self.assertIn("wait", mend)
        error = p.refused("flag_in_doubt", "advance", "orders-ref", "--release", "1.3.0")
        self.assertIn("time alone", error["hint"])
        self.assertIn("Held by carol", error["detail"])

    def test_a_killed_plan_is_not_to_be_advanced(self):
        p = self.project(plans=[Seen.reads(self)])
        p.exits(5, "advance", "reads", "--release", "1.2.0", "--no-wait")
        p.ok("kill", "reads")
        p.refused("killed", "advance", "reads", "--release", "1.2.0")
        found = self.findings(p, 0)
        self.assertEqual(len(found), 2, found)
        for what, _, mend, _ in found:
            self.assertNotIn("phasegate advance", mend)


class Doubt(project.Case):
    def test_reconcile_ends_with_the_window(self):
        p = self.project(plans=[Seen.reads(self)])
        p.exits(5, "advance", "reads", "--release", "1.2.0", "--no-wait")

        def entry(ago_s):
            return [{"t": "intent", "op": "0123%d" % ago_s, "key": "reads-read", "verb": "set", "desired": 5, "plan": "reads",
                     "actor": "carol", "at": int((time.time() - ago_s) * 1000)}]
        path = p.path(".phasegate/flags-staging.jsonl")
        with open(path, "a", encoding="utf-8") as f:
            f.write(json.dumps(entry(3600)) + "\n")
        done = p.ok("flags", "reconcile")
        self.assertIn("as it was left", done.stdout)
        self.assertIn("was in doubt until", done.stdout)
        self.assertEqual(p.json("flags", "reconcile")["result"]["in_doubt"], [])
        with open(path, "a", encoding="utf-8") as f:
            f.write(json.dumps(entry(0)) + "\n")
        self.assertIn("is in doubt until", p.exits(5, "flags", "reconcile").stdout)


class Interrupted(project.Case):
    def test_the_ledger_knows_of_a_rung_whose_spreading_was_not_waited_for(self):
        flags = {"provider": "file", "path": "flags.json", "propagation": "20s"}
        body = plan("reads", phases={"dual_read": phase("dual_read", rollout=[{"percent": 10, "pause": "1s"}, {"percent": 100}])},
                    flags={"read": {"key": "reads-read"}})
        p = self.project(plans=[body], flags=flags)
        run = p.start("-v", "advance", "reads", "--release", "1.2.0")
        self.addCleanup(run.close)
        pgtest.wait_until(lambda: p.flag("reads-read") == 10 and "until every application has it" in run.stderr, 30,
                          what="the flag\n" + run.stderr)
        lines = run.stderr.splitlines()
        self.assertIn("until every application has it: 20s", run.stderr)
        changed = next(i for i, line in enumerate(lines) if "to 10 %" in line and "configured" in line)
        waits = next(i for i, line in enumerate(lines) if "until every application" in line)
        self.assertLess(changed, waits, run.stderr)
        run.signal(signal.SIGINT)
        self.assertEqual(run.wait(20).rc, 130)
        self.assertEqual(p.status("reads")["flags"][0]["left_at_percent"], 10)
        dry = p.ok("rollback", "reads", "--dry-run").stdout
        self.assertIn("set reads-read to 0 %", dry)
        # The rung isn't settled by that: its spreading and its pause are still to come.
        answer = p.json("advance", "reads", "--release", "1.2.0", "--no-wait", code=5)
        self.assertEqual(answer["error"]["reason"], "waiting")
        p.ok("rollback", "reads")
        self.assertEqual(p.flag("reads-read"), 0)

    def test_a_dry_run_shows_what_a_dead_run_left(self):
        p = self.project(plans=[Seen.reads(self)])
        p.exits(5, "advance", "reads", "--release", "1.2.0", "--no-wait")
        p.db.psql("UPDATE phasegate.plan_state SET read_percent = 0, rung_confirmed_at = NULL")
        self.assertIn("set reads-read to 0 %", p.ok("rollback", "reads", "--dry-run").stdout)


class Back(project.Case):
    def test_rollback_without_the_service_changes_nothing(self):
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "dual_read")
        with open(p.path("flags.json"), encoding="utf-8") as f:
            good = f.read()
        p.put("flags.json", "{")
        begun = time.monotonic()
        error = p.refused("flag_in_doubt", "rollback", "orders-ref")
        self.assertLess(time.monotonic() - begun, 20)
        self.assertRegex(error["hint"], r"path: phasegate\.yaml:\d+:\d+")
        self.assertEqual(p.stage("orders-ref"), "dual_read done")
        dry = p.exits(4, "rollback", "orders-ref", "--dry-run")
        self.assertNotIn("Would go ahead", dry.stdout)
        self.assertIn("can't be read", dry.stdout)
        p.put("flags.json", good)
        p.ok("rollback", "orders-ref")


class Service(project.Case):
    """What a kill and its kin say when the service, or the way to it, is wrong."""

    TOKEN = "0123456789abcdef0123456789abcdef"

    def begin(self):
        p = self.project(plans=[full_plan()], flags={"provider": "builtin", "url": "${FLAG_URL}", "token": "${FLAG_TOKEN}",
                                                     "propagation": "500ms"})
        p.put("token", self.TOKEN + "\n")
        os.chmod(p.path("token"), 0o600)
        server = p.start("flag-server", "--port", "0", "--token-file", "token", "--state", "flags.state.json")
        self.addCleanup(server.close)
        self.url = pgtest.wait_until(lambda: server.stdout.strip(), 20, what="the flag server\n" + server.stderr)
        p.env.update(FLAG_URL=self.url, FLAG_TOKEN=self.TOKEN)
        return p

    def test_the_wrong_token(self):
        p = self.begin()
        p.advance_through("orders-ref", "dual_read")
        for token in ("wrong-token-0123456789", ""):
            done = p.exits(3, "kill", "orders-ref", "--wait", "2s", env={"FLAG_TOKEN": token})
            self.assertNotIn("run the same command again", done.stderr)
            self.assertRegex(done.stderr, r"token: phasegate\.yaml:\d+:\d+, from the variable FLAG_TOKEN")
        found = p.json("doctor", code=1, env={"FLAG_TOKEN": "wrong-token-0123456789"})["result"]["findings"]
        self.assertEqual(len(found), 1, found)
        self.assertIn("2 of 2 flags can't be read", found[0]["what"])
        self.assertIn("from the variable FLAG_TOKEN", found[0]["mend"])
        error = p.refused("flag_in_doubt", "advance", "orders-ref", "--release", "1.3.0",
                          env={"FLAG_TOKEN": "wrong-token-0123456789"})
        self.assertIn("from the variable FLAG_TOKEN", error["hint"])

    def test_the_wrong_path(self):
        p = self.begin()
        p.advance_through("orders-ref", "dual_read")
        wrong = {"FLAG_URL": self.url + "/api/401"}  # digits of a url aren't an answer's
        done = p.exits(3, "flags", "list", env=wrong)
        self.assertNotIn("absent", done.stdout)
        done = p.exits(3, "kill", "orders-ref", "--wait", "2s", "--write-now", env=wrong)
        self.assertIn("NOT SENT", done.stdout)
        self.assertNotIn("IN DOUBT", done.stdout)
        self.assertRegex(done.stderr, r"url: phasegate\.yaml:\d+:\d+, from the variable FLAG_URL")
        p.ok("kill", "orders-ref")
        p.ok("resume", "orders-ref")

    def test_a_flag_that_never_was(self):
        p = self.begin()
        begun = time.monotonic()
        for percent in ("5", "off"):
            answer = p.json("flags", "set", "never-seen", percent, code=4)
            self.assertIn('there is no flag "never-seen"', answer["error"]["message"])
            self.assertIn("phasegate flags list", answer["error"]["hint"])
        self.assertLess(time.monotonic() - begun, 10)

    def test_a_drill_that_is_refused_puts_nothing_back(self):
        p = self.begin()
        p.advance_through("orders-ref", "dual_read")
        entry = {"t": "intent", "op": "0123", "key": "orders-ref-read", "verb": "set", "desired": 50, "actor": "carol"}
        with open(p.path(".phasegate/flags-staging.jsonl"), "a", encoding="utf-8") as f:
            f.write(json.dumps([dict(entry, at=int(time.time() * 1000))]) + "\n")
        done = p.exits(3, "kill", "--drill", "--flag", "orders-ref-read")
        self.assertIn("in doubt", done.stdout)
        self.assertNotIn("put back", done.stdout)
        with open(p.path(".phasegate/flags-staging.jsonl"), "w", encoding="utf-8") as f:
            f.write(json.dumps([dict(entry, at=int((time.time() - 3600) * 1000))]) + "\n")  # long over
        self.assertIn("put back to 100 %", p.ok("kill", "--drill", "--flag", "orders-ref-read").stdout)


class List(project.Case):
    def test_flags_list_does_not_drop_a_flag_in_silence(self):
        p = self.project(plans=[flag_plan("one", 20260101000000), flag_plan("two", 20260102000000)])
        p.exits(5, "advance", "two", "--release", "1.2.0", "--no-wait")
        with open(p.path("plans/20260102000000-two.yaml"), "a", encoding="utf-8") as f:
            f.write("\n[")
        done = p.exits(2, "flags", "list")
        self.assertIn("one-read", done.stdout)
        self.assertRegex(done.stdout, "two-read +two +read +5 %")
        self.assertIn("plans/20260102000000-two.yaml", done.stderr)
        keys = [f["key"] for f in p.json("flags", "list", code=2).get("result", {}).get("flags", [])]
        self.assertTrue(not keys or keys == ["one-read", "two-read"], keys)


if __name__ == "__main__":
    unittest.main()

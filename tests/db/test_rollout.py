"""Rollouts: rungs, pauses that survive everything, brakes and kills from other processes, drift."""

import json
import signal
import time
import unittest

import pgtest
import project
from project import full_plan, phase, plan


def reads(*rungs, **more):
    """A plan whose dual_read is nothing but a rollout."""
    return plan("reads", phases={"dual_read": phase("dual_read", rollout=list(rungs), **more)},
                flags={"read": {"key": "reads-read"}})


class Rungs(project.Case):
    def test_each_is_recorded(self):
        p = self.project(plans=[reads({"percent": 5, "pause": "50ms"}, {"percent": 50, "pause": "50ms"}, {"percent": 100})])
        p.advance("reads", "1.2.0")
        rows = p.db.psql("SELECT step, status, applied_at IS NOT NULL FROM phasegate.migration_history WHERE kind = 'rung' ORDER BY seq")
        self.assertEqual(rows, [["read/5%", "done", "t"], ["read/50%", "done", "t"], ["read/100%", "done", "t"]])
        changes = p.db.psql("SELECT flag, role, desired, answer, level FROM phasegate.flag_change ORDER BY at")
        self.assertEqual([c[:2] for c in changes], [["reads-read", "read"]] * 3)
        self.assertEqual({c[3] for c in changes}, {"ok"})
        self.assertEqual({c[4] for c in changes}, {"configured"})
        self.assertEqual(p.flag("reads-read"), 100)

    def test_not_every_rollout_ends_at_100(self):
        p = self.project(plans=[reads({"percent": 5}, {"percent": 30})])
        p.advance("reads", "1.2.0")
        self.assertEqual(p.flag("reads-read"), 30)

    def test_without_a_flag_service(self):
        p = self.project(plans=[reads({"percent": 100})], flags=None)
        error = p.refused("flag_in_doubt", "advance", "reads", "--release", "1.2.0")
        self.assertIn("has no flag service", error["message"])

    def test_without_an_operator_pauses_end_the_command(self):
        p = self.project(plans=[reads({"percent": 5, "pause": "1s"}, {"percent": 100})])
        answer = p.json("advance", "reads", "--release", "1.2.0", "--no-wait", code=5)
        self.assertEqual(answer["error"]["reason"], "waiting")
        self.assertIn("the pause at 5 % of the read flag until", answer["error"]["message"])
        self.assertEqual(p.flag("reads-read"), 5)
        p.exits(5, "advance", "reads", "--release", "1.2.0", "--no-wait")
        time.sleep(1.1)
        p.ok("advance", "reads", "--release", "1.2.0", "--no-wait")
        self.assertEqual(p.flag("reads-read"), 100)

    def test_contract_needs_both_flags_at_100(self):
        p = self.project(plans=[full_plan(phases={"write_activation": phase("write_activation", rollout=[{"percent": 50}])})])
        for release in ("1.1.0", "1.2.0", "1.3.0"):
            p.advance("orders-ref", release)
        error = p.refused("flags_not_full", "advance", "orders-ref", "--release", "1.5.0")
        self.assertIn("write flag orders-ref-write is at 50 %", error["message"])


class Paused(project.Case):
    """One rung of 5 % with a pause during which things happen."""

    def begin(self, pause="60s", **more):
        p = self.project(plans=[reads({"percent": 5, "pause": pause}, {"percent": 100}, **more)])
        run = p.start("advance", "reads", "--release", "1.2.0")
        self.addCleanup(run.close)
        pgtest.wait_until(lambda: "the pause at 5 %" in run.stderr, 30, what="the pause\n" + run.stderr)
        self.assertEqual(p.flag("reads-read"), 5)
        return p, run

    def test_status_says_what_is_waited_for_and_until_when(self):
        p, _ = self.begin()
        s = p.status("reads")
        self.assertEqual((s["stage"], s["task"]), ("dual_read running", "read/5%"))
        self.assertIn("the pause at 5 % of the read flag", s["waiting"]["for"])
        self.assertEqual(s["waiting"]["released_by"], "time")
        until, since = s["waiting"]["until"], s["waiting"]["since"]
        self.assertTrue(since < until, s["waiting"])
        self.assertIn("waits    for the pause at 5 %", p.ok("status", "reads").stdout)

    def test_pause_from_another_process(self):
        p, run = self.begin()
        p.ok("pause", "reads", "--because", "error rate is up")
        done = run.wait(20)
        self.assertEqual(done.rc, 5, done)
        self.assertIn("paused: error rate is up", done.stderr)
        self.assertEqual((p.flag("reads-read"), p.brake("reads")), (5, "paused"))
        error = p.refused("paused", "advance", "reads", "--release", "1.2.0")
        self.assertIn("error rate is up", error["message"])
        self.assertIn("phasegate resume reads", error["hint"])
        p.refused("already_stopped", "pause", "reads")
        p.ok("resume", "reads", "--because", "it was the cache")
        self.assertEqual(p.brake("reads"), "none")
        p.refused("not_paused", "resume", "reads")
        self.assertEqual(p.exits(5, "advance", "reads", "--release", "1.2.0", "--no-wait").rc, 5)
        self.assertEqual(p.flag("reads-read"), 5)
        rows = p.db.column("SELECT description FROM phasegate.migration_history WHERE step IN ('pause', 'resume') ORDER BY seq")
        self.assertEqual(len(rows), 2)
        self.assertIn("error rate is up", rows[0])
        self.assertIn("it was the cache", rows[1])

    def test_a_kill_from_another_process(self):
        p, run = self.begin()
        p.ok("kill", "reads", "--because", "customers call")
        self.assertEqual(p.flag("reads-read"), 0)
        done = run.wait(45)
        self.assertEqual(done.rc, 5, done)
        self.assertEqual((p.flag("reads-read"), p.brake("reads")), (0, "killed"))
        p.refused("killed", "advance", "reads", "--release", "1.2.0")
        p.ok("resume", "reads")
        p.exits(5, "advance", "reads", "--release", "1.2.0", "--no-wait")
        self.assertEqual(p.flag("reads-read"), 5)
        self.assertEqual(p.db.value("SELECT count(*) FROM phasegate.flag_change WHERE reason LIKE '%customers call%'"), "1")

    def test_kill_9_does_not_start_the_pause_again(self):
        p, run = self.begin(pause="6s")
        confirmed = p.db.value("SELECT rung_confirmed_at FROM phasegate.plan_state WHERE plan = 'reads'")
        begun = time.monotonic()
        time.sleep(2)
        run.kill()
        done = p.ok("advance", "reads", "--release", "1.2.0")
        took = time.monotonic() - begun
        self.assertLess(took, 12, done)
        passed = p.db.value("SELECT extract(epoch FROM max(applied_at) - '%s') FROM phasegate.migration_history "
                            "WHERE step = 'read/5%%'" % confirmed)
        self.assertGreaterEqual(float(passed), 5.9)
        self.assertEqual(p.db.value("SELECT count(*) FROM phasegate.flag_change WHERE flag = 'reads-read'"), "2",
                         "the flag isn't written again")
        self.assertEqual(p.flag("reads-read"), 100)

    def test_signals_stop_it_safely(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            with self.subTest(code):
                p, run = self.begin()
                run.signal(number)
                done = run.wait(20)
                self.assertEqual(done.rc, code, done)
                self.assertIn("goes on from here", done.stderr)
                self.assertEqual((p.flag("reads-read"), p.stage("reads"), p.brake("reads")), (5, "dual_read running", "none"))

    def test_two_runs(self):
        p, _ = self.begin()
        answer = p.json("advance", "reads", "--release", "1.2.0", "--lock-wait", "0s", code=6)
        self.assertIn("another run holds the lease", answer["error"]["message"])
        self.assertIn('running "advance"', answer["error"]["detail"])


class Outside(project.Case):
    def set(self, p, percent):
        p.ok("flags", "set", "reads-read", str(percent), "--because", "by hand", env={"PHASEGATE_STATE_DIR": "/tmp"})

    def write(self, p, key, on):
        """Somebody else's hand: what neither ledger nor journal knows of."""
        with open(p.path("flags.json"), encoding="utf-8") as f:
            doc = json.load(f)
        doc["flags"][key].pop("targeting", None)
        doc["flags"][key].update(state="ENABLED", defaultVariant="on" if on else "off")
        p.put("flags.json", json.dumps(doc))

    def halfway(self):
        p = self.project(plans=[reads({"percent": 5, "pause": "60s"}, {"percent": 100})])
        p.exits(5, "advance", "reads", "--release", "1.2.0", "--no-wait")
        return p

    def test_lower_is_taken_for_a_kill(self):
        p = self.halfway()
        self.write(p, "reads-read", False)
        error = p.refused("killed", "advance", "reads", "--release", "1.2.0")
        self.assertIn("was left at 5 %", error["message"])
        self.assertEqual(p.brake("reads"), "killed")

    def test_higher_holds_and_is_not_fought(self):
        p = self.halfway()
        self.write(p, "reads-read", True)
        error = p.refused("flag_in_doubt", "advance", "reads", "--release", "1.2.0", "--no-wait")
        self.assertIn("it was left at 5 %", error["message"])
        self.assertIn("phasegate flags reconcile", error["hint"])
        self.assertEqual(p.flag("reads-read"), 100)
        self.assertEqual(p.brake("reads"), "none")

    def test_higher_during_a_pause_holds_until_it_is_put_right(self):
        p = self.project(plans=[reads({"percent": 5, "pause": "3s"}, {"percent": 60})])
        with p.start("advance", "reads", "--release", "1.2.0") as run:
            pgtest.wait_until(lambda: "the pause at 5 %" in run.stderr, 30, what="the pause")
            with open(p.path("flags.json"), encoding="utf-8") as f:
                at_5 = f.read()
            self.write(p, "reads-read", True)
            pgtest.wait_until(lambda: "it was left at 5 %" in run.stderr, 30, what="the hold\n" + run.stderr)
            time.sleep(4)
            self.assertTrue(run.is_running(), run.stderr)
            self.assertEqual((p.stage("reads"), p.flag("reads-read")), ("dual_read running", 100))
            self.assertIn("it was left at 5 %", p.status("reads")["waiting"]["for"])
            p.put("flags.json", at_5)
            self.assertEqual(run.wait(30).rc, 0, run.stderr)
        self.assertEqual(p.flag("reads-read"), 60)

    def test_a_finished_phase_is_opened_again_by_a_kill(self):
        p = self.project(plans=[full_plan()])
        p.advance_through("orders-ref", "write_activation")
        p.ok("kill", "orders-ref")
        p.refused("killed", "advance", "orders-ref", "--release", "1.5.0")
        self.assertEqual((p.stage("orders-ref"), p.brake("orders-ref")), ("write_activation running", "killed"))
        p.ok("resume", "orders-ref")
        p.advance("orders-ref", "1.3.0")
        self.assertEqual((p.flag("orders-ref-read"), p.flag("orders-ref-write")), (100, 100))
        p.advance("orders-ref", "1.5.0")

    def test_a_kill_without_the_trigger_voids_the_verification(self):
        sync = {"table": "orders", "forward": {"external_ref": "legacy_ref"}, "reverse": {"legacy_ref": "external_ref"},
                "by": "application"}
        p = self.project(plans=[full_plan(sync=sync)])
        p.advance_through("orders-ref", "write_activation")
        p.ok("kill", "orders-ref")
        # Between kill and resume the application writes the old column only.
        p.db.psql("UPDATE orders SET legacy_ref = 'late' WHERE id = 9")
        p.run("advance", "orders-ref", "--release", "1.5.0")
        p.ok("resume", "orders-ref")
        p.refused("not_its_turn", "advance", "orders-ref", "--release", "1.5.0")
        p.advance("orders-ref", "1.3.0")
        self.assertEqual(p.db.value("SELECT external_ref FROM orders WHERE id = 9"), "late")
        p.advance("orders-ref", "1.5.0")


class KillFile(project.Case):
    def test_a_raise_takes_the_kill_file_back(self):
        p = self.project(plans=[full_plan("reads")],
                         flags={"provider": "file", "path": "flags.json", "propagation": "10ms", "kill_file": "kill.json"})
        p.advance_through("reads", "dual_read")
        p.ok("kill", "reads")
        with open(p.path("kill.json"), encoding="utf-8") as f:
            self.assertIn("reads-read", json.load(f)["flags"])
        p.refused("killed", "advance", "reads", "--release", "1.3.0")
        p.ok("resume", "reads")
        p.advance("reads", "1.2.0")
        self.assertEqual(p.flag("reads-read"), 100)
        with open(p.path("kill.json"), encoding="utf-8") as f:
            self.assertNotIn("reads-read", json.load(f)["flags"], "what says off would hide what the service says")


class Builtin(project.Case):
    """The same over HTTP, against the builtin flag service."""

    def test_all_four_phases(self):
        server = None
        p = self.project(plans=[full_plan()], flags={
            "provider": "builtin", "url": "${FLAG_URL}", "token": "${FLAG_TOKEN}", "confirm": {"ofrep": "${FLAG_URL}"},
            "propagation": "10ms"})
        p.put("token", "0123456789abcdef0123456789abcdef\n")
        server = p.start("flag-server", "--port", "0", "--token-file", "token", "--state", "flags.state.json")
        self.addCleanup(server.close)
        url = pgtest.wait_until(lambda: server.stdout.strip(), 20, what="the flag server\n" + server.stderr)
        p.env.update(FLAG_URL=url, FLAG_TOKEN="0123456789abcdef0123456789abcdef")
        p.advance_through("orders-ref", "contract")
        levels = p.db.column("SELECT DISTINCT level FROM phasegate.flag_change")
        self.assertIn("delivered", levels)
        for args in (("status", "--flags"), ("history",), ("flags", "list")):
            done = p.ok("-v", *args)
            self.assertNotIn("0123456789abcdef", done.stdout + done.stderr)
        self.assertNotIn("0123456789abcdef", "\n".join(p.dump()))
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(20).rc, 0)


if __name__ == "__main__":
    unittest.main()

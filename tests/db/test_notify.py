"""notify: who is told of milestones, and that nobody waits for it."""

import json
import time
import unittest

import pgtest
import project
import webhook

LIFE = ["phase_begun", "phase_done"]


class Notify(project.Case):
    def lab(self, *hooks, plan=None, **more):
        p = self.project(plans=[plan or project.full_plan("orders-ref")], **more)
        p.environment["notify"] = [dict({"webhook": "${HOOK_%d}" % i}, **how) for i, (_, how) in enumerate(hooks)]
        p.write()
        for i, (hook, _) in enumerate(hooks):
            p.env["HOOK_%d" % i] = hook if isinstance(hook, str) else hook.url
        return p

    def receiver(self):
        hook = webhook.Receiver()
        self.addCleanup(hook.close)
        return hook

    def rows(self, p):
        return p.db.psql("SELECT step, description, detail ->> 'failed' FROM phasegate.migration_history "
                         "WHERE kind = 'notification' ORDER BY seq")

    def test_milestones_of_a_life(self):
        hook = self.receiver()
        p = self.lab((hook, {}))
        p.advance_through("orders-ref", "contract")
        p.ok("restore", "orders-ref")
        p.ok("advance", "orders-ref", "--release", "1.5.0")
        p.ok("purge", "orders-ref", "--confirm", "orders-ref")
        self.assertEqual(hook.events(), LIFE + ["phase_begun", "rung", "rung", "phase_done"] * 2 + LIFE + ["restored"] + LIFE
                         + ["purge_begun", "purged"])
        first = hook.got[0]
        self.assertEqual({k: first[k] for k in ("version", "event", "plan", "phase", "release", "environment", "stage")},
                         {"version": 1, "event": "phase_begun", "plan": "orders-ref", "phase": "expand", "release": "1.1.0",
                          "environment": "staging", "stage": "expand running"})
        self.assertIn("@", first["by"])
        self.assertRegex(first["at"], r"^\d{4}-\d\d-\d\dT[\d:.]+Z$")
        self.assertEqual(first["text"], "orders-ref in staging: expand begins with release 1.1.0")
        self.assertIn("read flag orders-ref-read stands at 10 %", hook.got[3]["text"])
        self.assertEqual(hook.got[1]["text"], "orders-ref in staging: expand is done; next: phasegate advance orders-ref --release 1.2.0")
        self.assertEqual(set(hook.kinds), {"application/json"})
        self.assertEqual([r[0] for r in self.rows(p)], hook.events())
        self.assertEqual({tuple(r[1:]) for r in self.rows(p)}, {(hook.host + " was told", "0")})
        self.assertTrue(p.json("history", "--verify")["result"]["databases"][0]["chain"]["holds"])
        self.assertIsNone(p.status("orders-ref")["not_told"])

    def test_acceptance(self):
        hook = self.receiver()
        p = self.lab((hook, {}), plan=project.column_plan("orders-ref", validation=[{"id": "rows", "sql": "SELECT count(*) FROM orders", "expect": "= 501"}]))
        p.advance("orders-ref", "1.1.0")
        p.exits(1, "verify", "orders-ref")
        p.db.psql("INSERT INTO orders VALUES (501, 'R501')")
        p.ok("verify", "orders-ref")
        p.ok("verify", "orders-ref")
        self.assertEqual(hook.events(), LIFE + ["accepted"])
        self.assertIn("orders-ref in staging: every item of the checklist holds; accepted by ", hook.got[-1]["text"])

    def test_slack(self):
        hook, other = self.receiver(), self.receiver()
        plan = project.column_plan("orders-ref", gates={"calm": {"sql": {"query": "SELECT 1", "expect": "= 0"}, "no_data": "hold"}})
        plan["phases"]["expand"]["gates"] = ["calm"]
        p = self.lab((hook, {"format": "slack"}), (other, {"format": "json"}), plan=plan)
        p.exits(1, "advance", "orders-ref", "--release", "1.1.0")
        self.assertEqual(other.events(), ["phase_begun", "halted"])
        self.assertEqual(hook.got, [{"text": m["text"]} for m in other.got])
        self.assertIn("halted: gate calm failed: measured 1", hook.got[1]["text"])
        p.ok("resume", "orders-ref", "--because", "x")
        p.db.psql("SELECT 1")

    def test_what_slack_takes_for_markup(self):
        hook = self.receiver()
        p = self.lab((hook, {"format": "slack"}))
        p.advance_through("orders-ref", "dual_read")
        p.ok("kill", "orders-ref", "--because", "a <b> & c")
        self.assertIn("a &lt;b&gt; &amp; c", hook.got[-1]["text"])

    def test_a_kill(self):
        hook = self.receiver()
        p = self.lab((hook, {}))
        p.advance_through("orders-ref", "write_activation")
        n = len(hook.got)
        p.ok("kill", "orders-ref", "--because", "errors")
        p.ok("kill", "orders-ref", "--drill")
        self.assertEqual(hook.events()[n:], ["killed"])
        self.assertIn("errors: 2 of 2 targets are off (orders-ref-read, orders-ref-write)", hook.got[n]["text"])
        # The ledger hears of it from the next advance, which says so once more: it is the plan that is killed now.
        p.exits(4, "advance", "orders-ref", "--release", "1.5.0")
        self.assertEqual(hook.events()[n:], ["killed", "killed"])

    def test_a_kill_is_done_before_anybody_is_told(self):
        hook = self.receiver()
        p = self.lab((hook, {}))
        p.advance_through("orders-ref", "write_activation")
        hook.hang_s = 30
        began = time.monotonic()
        run = p.start("kill", "orders-ref")
        self.addCleanup(run.close)
        pgtest.wait_until(lambda: p.flag("orders-ref-write") == 0, what="the flag")
        done = run.wait(20)
        self.assertEqual(done.rc, 0, done)
        self.assertLess(time.monotonic() - began, 8)
        self.assertIn("warning: %s was not told" % hook.host, done.stderr)

    def test_one_that_hangs(self):
        hook, well = self.receiver(), self.receiver()
        p = self.lab((hook, {}), (well, {}))
        p.advance_through("orders-ref", "expand")
        hook.hang_s = 60
        began = time.monotonic()
        done = p.ok("advance", "orders-ref", "--release", "1.2.0")
        self.assertLess(time.monotonic() - began, 12)
        # Of four messages one was waited for, a second; then the end, three.
        sent = p.db.column("SELECT applied_at FROM phasegate.migration_history WHERE kind IN ('transition', 'rung') AND phase = 'dual_read' ORDER BY seq")
        self.assertEqual(len(sent), 4)
        waited = float(p.db.value("SELECT extract(epoch FROM '%s'::timestamptz - '%s'::timestamptz)" % (sent[-1], sent[1])))
        self.assertLess(waited, 2)
        self.assertEqual(well.events(), LIFE + ["phase_begun", "rung", "rung", "phase_done"])
        self.assertIn("warning: %s was not told: " % hook.host, done.stderr)
        self.assertIn(hook.host + " was not told", self.rows(p)[-1][1])
        self.assertIn(well.host + " was told", self.rows(p)[-1][1])
        self.assertEqual(self.rows(p)[-1][2], "1")

    def test_one_that_says_500(self):
        hook = self.receiver()
        hook.status = 500
        p = self.lab((hook, {}))
        done = p.ok("advance", "orders-ref", "--release", "1.1.0")
        self.assertEqual(done.stderr.count("was not told: status 500"), 2)
        said = p.status("orders-ref")
        self.assertEqual(said["not_told"], hook.host + " was not told: status 500")
        self.assertTrue(said["not_told_at"])
        self.assertIn("told     %s was not told: status 500" % hook.host, p.ok("status", "orders-ref").stdout)
        hook.status = 204
        p.ok("advance", "orders-ref", "--release", "1.2.0")
        self.assertIsNone(p.status("orders-ref")["not_told"])

    def test_one_that_is_not_there(self):
        p = self.lab(("http://127.0.0.1:%d/x" % pgtest.free_port(), {}))
        done = p.ok("advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("was not told", done.stderr)
        self.assertEqual(p.stage("orders-ref"), "expand done")

    def test_a_variable_that_is_not_set(self):
        hook = self.receiver()
        p = self.lab((hook, {}), (hook, {}))
        del p.env["HOOK_0"]
        done = p.ok("advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("HOOK_0", done.stderr)
        self.assertEqual(hook.events(), LIFE)

    def test_what_is_no_url(self):
        for url in ("nonsense", "file:///etc/passwd", "http://"):
            p = self.lab((url, {}))
            p.ok("advance", "orders-ref", "--release", "1.1.0")

    def test_no_secret_is_shown(self):
        hook = self.receiver()
        hook.status = 500
        p = self.lab((hook, {}))
        for args in (("advance", "orders-ref", "--release", "1.1.0", "-v"), ("kill", "orders-ref"), ("status", "orders-ref"),
                     ("history",)):
            done = p.run(*args)
            self.assertNotIn("secret", done.stdout + done.stderr)
        self.assertNotIn("secret", "\n".join(p.dump()))
        self.assertEqual(hook.paths[0], "/services/secret-path?token=secret-token")

    def test_looking_tells_nobody(self):
        hook = self.receiver()
        p = self.lab((hook, {}))
        p.ok("advance", "orders-ref", "--release", "1.1.0", "--dry-run")
        p.ok("status")
        p.exits(4, "advance", "orders-ref", "--release", "1.2.0")
        p.ok("runbook", "orders-ref")
        self.assertEqual(hook.got, [])

    def test_a_rollback(self):
        hook = self.receiver()
        p = self.lab((hook, {}))
        p.advance_through("orders-ref", "expand")
        p.ok("rollback", "orders-ref")
        self.assertEqual(hook.events(), LIFE + ["rolled_back"])
        self.assertEqual(hook.got[-1]["text"], "orders-ref in staging: expand is taken back")

    def test_it_is_not_told_twice(self):
        hook = self.receiver()
        p = self.lab((hook, {}))
        p.advance_through("orders-ref", "expand")
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        self.assertEqual(hook.events(), LIFE)

    def test_json_of_the_journal(self):
        hook = self.receiver()
        p = self.lab((hook, {}))
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        rows = p.json("history", "orders-ref")["result"]["databases"][0]["rows"]
        told = [r for r in rows if r["kind"] == "notification"]
        self.assertEqual([(r["step"], r["status"], json.loads(r["detail"])) for r in told],
                         [("phase_begun", "note", {"failed": 0}), ("phase_done", "note", {"failed": 0})])


if __name__ == "__main__":
    unittest.main()

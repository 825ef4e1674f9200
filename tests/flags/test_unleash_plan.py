"""One plan through all four phases on a real PostgreSQL and a real Unleash: rungs, a kill, drift by hand, an
outage of Unleash's own database, contract and purge."""

import unittest

import pgtest
import project
import unleash
from project import BOUND

NAME = "orders-ref"
READ, WRITE = NAME + "-read", NAME + "-write"


class UnleashPlan(project.Case):
    @classmethod
    def setUpClass(cls):
        cls.server = unleash.UnleashServer()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def new_project(self, **more):
        flags = {"provider": "unleash", "url": self.server.url, "token": "${UNLEASH_TOKEN}", "project": "default",
                 "environment": "development", "sdk_token": "${UNLEASH_SDK_TOKEN}", "propagation": "50ms",
                 "kill_file": "killed.json"}
        p = self.project([self.plan_body(**more)], flags=flags)
        p.env.update({"UNLEASH_TOKEN": self.server.admin_token, "UNLEASH_SDK_TOKEN": self.server.client_token})
        return p

    def plan_body(self, name=NAME):
        body = project.full_plan(name)
        body["flags"] = {"read": {"key": name + "-read"}, "write": {"key": name + "-write"}}
        return body

    def percent(self, key):
        """What the management API has, as one number; the flag has exactly our strategy or none."""
        env = self.server.environment(key)
        if not env or not env["enabled"]:
            return 0
        self.assertEqual(len(env["strategies"]), 1, env)
        return int(env["strategies"][0]["parameters"]["rollout"])

    def delivered(self, key):
        flag = self.server.client_features().get(key)
        if not flag or not flag["enabled"]:
            return 0
        return int(flag["strategies"][0]["parameters"]["rollout"])

    def test_through_all_phases_with_a_kill(self):
        p = self.new_project()
        p.ok("advance", NAME, "--release", BOUND["expand"])
        self.assertIsNone(self.server.flag(READ), "expand has no business with flags")
        p.ok("advance", NAME, "--release", BOUND["dual_read"])
        self.assertEqual((self.percent(READ), self.delivered(READ)), (100, 100))
        group = self.server.environment(READ)["strategies"][0]["parameters"]["groupId"]

        killed = p.json("kill", NAME)
        self.assertTrue(all(t["reached"] and t["level"] == t["wanted"] for t in killed["result"]["targets"]), killed)
        self.assertIn("delivered", [t["level"] for t in killed["result"]["targets"]])
        with open(p.path("killed.json"), encoding="utf-8") as f:
            self.assertIn(READ, f.read(), "the kill file overrides the service")
        self.assertEqual((self.percent(READ), self.delivered(READ)), (0, 0))
        self.assertEqual(p.refused("killed", "advance", NAME, "--release", BOUND["write_activation"])["reason"], "killed")
        self.assertEqual((p.stage(NAME), p.brake(NAME)), ("dual_read running", "killed"))

        p.ok("resume", NAME)
        p.ok("advance", NAME, "--release", BOUND["dual_read"])
        self.assertEqual(self.percent(READ), 100)
        with open(p.path("killed.json"), encoding="utf-8") as f:
            self.assertNotIn(READ, f.read(), "the rung takes the override out")
        self.assertEqual(self.server.environment(READ)["strategies"][0]["parameters"]["groupId"], group,
                         "the same users as before the kill")
        p.ok("advance", NAME, "--release", BOUND["write_activation"])
        self.assertEqual((self.percent(READ), self.percent(WRITE), self.delivered(WRITE)), (100, 100, 100))
        p.ok("advance", NAME, "--release", BOUND["contract"])
        self.assertEqual(p.stage(NAME), "contract done")
        p.ok("history", "--verify")
        ops = p.db.column("SELECT op_id FROM phasegate.flag_change WHERE flag = '%s'" % READ)
        self.assertGreaterEqual(len(ops), 3, "rungs and the kill are in the ledger")

    def test_a_change_by_hand_is_not_fought(self):
        name = "orders-hand"
        p = self.new_project(name=name)
        p.ok("advance", name, "--release", BOUND["expand"])
        p.ok("advance", name, "--release", BOUND["dual_read"])
        key = name + "-read"
        self.server.admin("POST", "/projects/default/features/%s/environments/development/strategies" % key,
                          {"name": "default", "constraints": [], "parameters": {}, "segments": []})
        error = p.refused("flag_in_doubt", "advance", name, "--release", BOUND["write_activation"])
        self.assertIn(key, error["message"])
        self.assertEqual(len(self.server.environment(key)["strategies"]), 2, "nothing was written over it")

    def test_unleash_without_its_database(self):
        name = "orders-outage"
        p = self.new_project(name=name)
        p.ok("advance", name, "--release", BOUND["expand"])
        p.ok("advance", name, "--release", BOUND["dual_read"])
        self.server.stop_database()
        try:
            # The service can't be killed while its own database is down: that's what the kill file is for.
            done = p.run("kill", name, "--wait", "4s", "--write-now", timeout=60)
            self.assertIn(done.rc, (3, 5), done)
            with open(p.path("killed.json"), encoding="utf-8") as f:
                self.assertIn(name + "-read", f.read())
        finally:
            self.server.start_database()
        pgtest.wait_until(lambda: self.server.environment(name + "-read") is not None, 90, what="Unleash back")
        p.exits(0, "kill", name, timeout=120)
        self.assertEqual(self.percent(name + "-read"), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)

"""The real Unleash that the flag tests rely on: it starts, changes flags, loses its database and stops."""

import os
import unittest

import pgtest
import unleash

STRATEGY = {"name": "flexibleRollout", "title": "test", "constraints": [], "segments": [],
            "parameters": {"rollout": "25", "stickiness": "userId", "groupId": "f"}}


class Unleash(unittest.TestCase):
    def test_a_flag_from_creation_to_off(self):
        with unleash.UnleashServer() as server:
            of_flag = "/projects/default/features/f/environments/development"
            self.assertIsNone(server.flag("f"))
            server.create_flag("f")
            self.assertFalse(server.environment("f")["enabled"])
            self.assertEqual(server.admin("POST", of_flag + "/strategies", STRATEGY).status, 200)
            self.assertEqual(server.admin("POST", of_flag + "/on").status, 200)
            on = server.environment("f")
            self.assertTrue(on["enabled"])
            self.assertEqual([s["parameters"]["rollout"] for s in on["strategies"]], ["25"])
            pgtest.wait_until(lambda: server.client_features().get("f", {}).get("enabled"), 15, what="delivery of on")

            self.assertEqual(server.admin("POST", of_flag + "/off").status, 200)
            self.assertFalse(server.environment("f")["enabled"])
            pgtest.wait_until(lambda: server.client_features()["f"]["enabled"] is False, 15, what="delivery of off")
            self.assertEqual(server.admin("GET", "/projects/default").status, 200)
            self.assertEqual(unleash.http("GET", server.url + "/api/admin/projects/default").status, 401)

            server.freeze_database()
            with self.assertRaises(OSError):
                server.admin("GET", "/projects/default/features/f", timeout=1)
            server.thaw_database()
            self.assertFalse(server.environment("f")["enabled"])

            server.stop_database()
            server.start_database()
            pgtest.wait_until(lambda: server.admin("GET", "/projects/default/features/f").status == 200, 30,
                              what="an answer after the database came back")

            server.stop()
            server.start()
            self.assertFalse(server.environment("f")["enabled"])
            work, host = server.work, server.database.host
        self.assertFalse(os.path.exists(work) or os.path.exists(host))


if __name__ == "__main__":
    unittest.main()

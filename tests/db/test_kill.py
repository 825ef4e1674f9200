"""kill says that all is well only when it is: flags that no file says, files that don't say their flags."""

import os
import socket
import time
import unittest

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

"""kill -9 at every fault point, of plans that take other ways: writers that keep both sides equal themselves, and a
gate that says no."""

import unittest

import lab

BY_APPLICATION = {
    "  by: trigger": "  by: application",
    # Without a trigger the reads wait for the writes, and nothing is equal before the backfill.
    "    compare: {sample: 100%, max_mismatch: 0}\n    gates: [in-step]\n": "",
}


class WritersKeepBothSides(lab.CrashCase):
    plan = BY_APPLICATION

    def test_killed_at_every_call(self):
        self.kill_everywhere()


class DualRead(WritersKeepBothSides):
    command = "dual_read"


class WriteActivation(WritersKeepBothSides):
    command = "write_activation"


class RollbackWriteActivation(WritersKeepBothSides):
    command = "rollback_write_activation"


class GateSaysNo(lab.CrashCase):
    """Killed anywhere on the way, the flag ends at its safe value with a brake on."""

    command = "dual_read"
    plan = {'    expect: "= 0"\n    interval': '    expect: "> 0"\n    interval'}
    ends = (1,)

    def go_on(self, fault):
        with self.lab.world() as world:
            first = world.run(self.lab.args, fault=fault)
            world.later()
            second = world.run(self.lab.args)
            text = "%s\n--- and again: %s" % (first, second)
            wrong = []
            if second.rc not in (1, 4):
                wrong.append("the second run ended with %d" % second.rc)
            if any(world.flags().values()):
                wrong.append("the flags are %s" % world.flags())
            if world.db.value("SELECT brake FROM phasegate.plan_state") == "none":
                wrong.append("no brake is on")
            return first.rc, wrong, text

    def test_killed_at_every_call(self):
        faults = ["kill-before:%d" % n for n in lab.chosen_points(self.lab.points, self.most)]
        self.assert_all_well(dict(zip(faults, lab.in_parallel(self.go_on, faults))))


del WritersKeepBothSides

if __name__ == "__main__":
    unittest.main()

"""kill -9 at every fault point of the commands that go back: the same command again ends where an undisturbed run
does. And a command that goes forward, killed and then taken back instead of gone on with."""

import unittest

import lab


class Back(lab.CrashCase):
    def test_killed_at_every_call(self):
        self.kill_everywhere()


class Restore(Back):
    command = "restore"


class RollbackExpand(Back):
    command = "rollback_expand"


class RollbackDualRead(Back):
    command = "rollback_dual_read"


class RollbackWriteActivation(Back):
    command = "rollback_write_activation"


class TakenBack(lab.CrashCase):
    """The operator has seen enough: rollback after the kill."""

    most = 30

    def take_back(self, fault):
        with self.lab.world() as world:
            first = world.run(self.lab.args, fault=fault)
            if not world.stage().endswith("running"):
                return first.rc, [], ""  # nothing was begun, or everything was done
            world.later()
            second = world.run(["rollback", lab.PLAN])
            text = "%s\n--- then: %s" % (first, second)
            if second.rc != 0:
                return first.rc, ["the rollback ended with %d: %s" % (second.rc, lab.last_words(second))], text
            after, before = world.fingerprint(), self.lab.before
            wrong = [line for line in lab.differences(before["catalogue"], after["catalogue"], "/catalogue")
                     if "SCHEMA phasegate_hold" not in line]  # phasegate's own, as the ledger is
            # A service that never had the flag may have it now: off.
            for key, percent in after["flags"].items():
                if percent != before["flags"].get(key, 0):
                    wrong.append("flag %s is at %d %%" % (key, percent))
            if world.stage() != before["ledger"]["plan_state"][0][1]:
                wrong.append("the stage is %s" % world.stage())
            return first.rc, wrong, text

    def test_killed_and_taken_back(self):
        faults = ["kill-before:%d" % n for n in lab.chosen_points(self.lab.points, self.most)]
        self.assert_all_well(dict(zip(faults, lab.in_parallel(self.take_back, faults))))


class DualReadTakenBack(TakenBack):
    command = "dual_read"


class WriteActivationTakenBack(TakenBack):
    command = "write_activation"


class ContractTakenBack(TakenBack):
    command = "contract"


class UndoesItself(lab.CrashCase):
    """policy.on_failure: undo. Killed anywhere, also while it takes itself back, nothing of it is left in the end."""

    command = "expand"
    plan = {"      - id: label\n        sql: ALTER TYPE mood ADD VALUE 'stormy'\n        undo: {none: a label can't be removed}\n": "",
            "        undo: DROP TABLE made_by_tool\n":
            "        undo: DROP TABLE made_by_tool\n      - {id: bad, sql: CREATE TABLE x AS SELECT 1/0 AS y}\n"}
    settings = {"forward_only: false": "forward_only: false, on_failure: undo"}
    ends = (5,)
    most = 40

    def go_on(self, fault):
        with self.lab.world() as world:
            first = world.run(self.lab.args, fault=fault)
            there = world.db.value("SELECT to_regclass('phasegate.plan_state') IS NOT NULL") == "t"
            undoing = there and (world.stage() or "").endswith("undoing")
            second = world.run(["rollback", lab.PLAN] if undoing else self.lab.args)
            text = "%s\n--- and again: %s" % (first, second)
            wrong = [] if second.rc == (0 if undoing else 5) else ["the second run ended with %d" % second.rc]
            wrong += ["%s is left by the whole run" % word for word in ("balance_big", "tariffs", "made_by_tool")
                      if word in self.lab.expected["catalogue"]]
            wrong += lab.differences(self.lab.expected["catalogue"], world.catalogue(), "/catalogue")
            wrong += lab.differences(self.lab.expected["data"], world.data(), "/data")
            if world.stage() != "planned":
                wrong.append("the stage is %s" % world.stage())
            if world.run(["history", "--verify"]).rc != 0:
                wrong.append("the journal's chain is broken")
            return first.rc, wrong, text

    def test_killed_at_every_call(self):
        faults = ["kill-%s:%d" % ("before" if n % 2 else "after", n) for n in lab.chosen_points(self.lab.points, self.most)]
        self.assert_all_well(dict(zip(faults, lab.in_parallel(self.go_on, faults))))


del Back, TakenBack

if __name__ == "__main__":
    unittest.main()

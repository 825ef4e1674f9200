"""The database session is lost at every call: the command connects again and goes on by itself, or ends with a
documented exit code; what it leaves is what an undisturbed run leaves. drop-before: the call never reached the
server. drop-after: it did, a COMMIT too, and nobody heard the answer."""

import unittest

import lab

DONE, UNREACHABLE, HALFWAY = 0, 3, 5


class Dropped(lab.CrashCase):
    # By itself it goes on as soon as there's something to go on with: the lease. What comes before it is reading.
    reads_first = 8
    most = 30

    def test_session_lost_at_every_call(self):
        mode = {0: "drop-before", 1: "drop-after"}
        outcomes = self.break_everywhere(lambda n: mode[n % 2])
        ends = {fault: rc for fault, (rc, _, _) in outcomes.items()}
        self.assertLessEqual(set(ends.values()), {DONE, UNREACHABLE, HALFWAY}, ends)
        stopped = [int(fault.split(":")[1]) for fault, rc in ends.items() if rc != DONE]
        self.assertLessEqual(max(stopped, default=0), self.reads_first, "it should have gone on by itself: %s" % ends)


class Expand(Dropped):
    command = "expand"


class DualRead(Dropped):
    command = "dual_read"


class WriteActivation(Dropped):
    command = "write_activation"


class Contract(Dropped):
    command = "contract"


class Purge(Dropped):
    command = "purge"


class Restore(Dropped):
    command = "restore"


class RollbackExpand(Dropped):
    command = "rollback_expand"


class RollbackWriteActivation(Dropped):
    command = "rollback_write_activation"


del Dropped

if __name__ == "__main__":
    unittest.main()

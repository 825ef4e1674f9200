"""A host whose clock is wrong: holds and pauses go by the server's."""

import os
import re
import shutil
import subprocess
import tempfile
import time
import unittest

import pgtest
import project
from project import full_plan, phase, plan

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t id, struct timespec *t)
{
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        real = (int (*)(clockid_t, struct timespec *)) dlsym(RTLD_NEXT, "clock_gettime");
    int rc = real(id, t);
    if (id == CLOCK_REALTIME)
        t->tv_sec += atol(getenv("TEST_CLOCK_SHIFT"));
    return rc;
}
"""


class Clock(project.Case):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="pg-clock.", dir="/tmp")
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        source, cls.shim = os.path.join(cls.dir, "shim.c"), os.path.join(cls.dir, "shim.so")
        with open(source, "w", encoding="utf-8") as f:
            f.write(SHIM)
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", cls.shim, source, "-ldl"], check=True)

    def shifted(self, seconds):
        """The environment of a host whose clock is wrong by so much."""
        asan = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        return {"LD_PRELOAD": self.shim, "TEST_CLOCK_SHIFT": str(seconds), "ASAN_OPTIONS": asan.lstrip(":")}

    def test_the_shim_works(self):
        p = self.project(plans=[full_plan()])
        run_id = p.json("status", env=self.shifted(-40 * 86400))["run_id"]
        self.assertLess(run_id[:8], time.strftime("%Y%m%d", time.gmtime(time.time() - 30 * 86400)))

    def test_a_hold_is_neither_shorter_nor_longer(self):
        for shift in (-2 * 86400, 2 * 86400):
            with self.subTest(shift):
                body = full_plan()
                body["phases"]["contract"]["hold"] = "1h"
                p = self.project(plans=[body])
                p.advance_through("orders-ref", "write_activation")
                p.ok("advance", "orders-ref", "--release", "1.5.0", env=self.shifted(shift))
                minutes = p.db.value("SELECT round(extract(epoch FROM hold_until - now()) / 60) FROM phasegate.plan_state")
                self.assertEqual(minutes, "60")
                self.assertEqual(p.db.value("SELECT round(extract(epoch FROM expires_at - now()) / 60) FROM phasegate.soft_drop"), "60")
                for env in ({}, self.shifted(3 * 86400)):
                    p.refused("hold", "purge", "orders-ref", "--confirm", "orders-ref", env=env)

    def test_a_pause_goes_on_on_another_host(self):
        p = self.project(plans=[plan("reads", phases={"dual_read": phase("dual_read", rollout=[{"percent": 5, "pause": "1h"}, {"percent": 100}])},
                                     flags={"read": {"key": "reads-read"}})])
        p.exits(5, "advance", "reads", "--release", "1.2.0", "--no-wait")
        for shift in (2 * 86400, -2 * 86400):
            done = p.exits(5, "advance", "reads", "--release", "1.2.0", "--no-wait", env=self.shifted(shift))
            until = re.search(r"until (\S+)", done.stderr).group(1)
            self.assertAlmostEqual(float(p.db.value("SELECT extract(epoch FROM '%s'::timestamptz - now()) / 60" % until.rstrip(",;"))), 60, delta=3)
        self.assertEqual(p.flag("reads-read"), 5)


if __name__ == "__main__":
    unittest.main()

"""check: the life of one column that takes another one's place, by each way of keeping the two equal."""

import unittest

import check_project
from project import plan, step

T = "CREATE TABLE t (id int PRIMARY KEY, old text, n int); INSERT INTO t VALUES (1, 'x', 1), (2, 'y', 2)"
GET = "-- name: Get\n-- args: (1)\nSELECT old FROM t WHERE id = $1;\n"
PUT = "-- name: Put\n-- args: (1, 'v')\nUPDATE t SET old = $2 WHERE id = $1;\n"
NEW_GET = GET.replace("old", "fresh AS v")
NEW_PUT = PUT.replace("old", "fresh")
BOTH_PUT = PUT.replace("old = $2", "old = $2, fresh = $2")


def when(key, off, on):
    def one(sql, word):
        return sql.replace("\n-- args", "\n-- when: %s=%s\n-- args" % (key, word))

    return one(off, "off") + one(on, "on")


ADD = "-- name: Add\n-- args: (7, 'v')\nINSERT INTO t (id, old) VALUES ($1, $2);\n"
BOTH_ADD = ADD.replace("(id, old) VALUES ($1, $2)", "(id, old, fresh) VALUES ($1, $2, $2)")
FLAGGED = when("fresh-read", GET.replace("old", "old AS v"), NEW_GET) + when("fresh-write", PUT, BOTH_PUT) + when("fresh-write", ADD, BOTH_ADD)
RELEASES = {"1.0.0": GET + PUT, "1.1.0": GET + PUT, "1.2.0": FLAGGED, "1.3.0": FLAGGED, "1.4.0": NEW_GET + BOTH_PUT,
            "1.5.0": NEW_GET + NEW_PUT, "1.6.0": NEW_GET + NEW_PUT}
SYNC = {"table": "t", "forward": {"fresh": "old"}, "reverse": {"old": "fresh"}}


def expand(release, *sql):
    return {"release": release, "steps": [step("s%d" % i, s) for i, s in enumerate(sql)]}


def life(by, fill="dual_read", reverse=True, contract="1.6.0"):
    phases = {"expand": expand("1.1.0", "ALTER TABLE t ADD COLUMN fresh text"),
              "dual_read": {"release": "1.2.0", "rollout": [{"percent": 100}]},
              "write_activation": {"release": "1.3.0", "rollout": [{"percent": 100}],
                                   "verify": [{"id": "equal", "sql": "SELECT count(*) FROM t WHERE fresh IS DISTINCT FROM old", "expect": "= 0"}]},
              "contract": expand(contract, "ALTER TABLE t DROP COLUMN old")}
    if fill:
        phases[fill]["backfill"] = [{"id": "fill"}]
    body = plan("fresh", flags={"read": {"key": "fresh-read"}, "write": {"key": "fresh-write"}}, phases=phases)
    if by:
        body["sync"] = dict(SYNC, by=by)
        if not reverse:
            del body["sync"]["reverse"]
    return body


COHORT = {"cohort": {"column": "n"}}


class Life(check_project.Case):
    def of(self, body, consumers=None, **releases):
        return self.project(baseline=T, releases={**RELEASES, **{k[1:].replace("_", "."): v for k, v in releases.items()}},
                            consumers=consumers, plans=[body])

    def test_each_way_of_keeping_both_equal(self):
        for by in ("trigger", "application", COHORT):
            with self.subTest(by=by):
                self.clean(self.of(life(by)))

    def test_the_application_writes_both_before_the_past_is_filled(self):
        """The backfill waits for the writes, wherever it is written; reads wait for it."""
        for by in ("application", COHORT):
            with self.subTest(by=by):
                self.clean(self.of(life(by, fill="write_activation")))
        f = self.red(self.of(life("trigger", fill="write_activation")), "stale-new-value", release="1.2.0", statement="Get", phase="dual_read")
        self.assertIn("a row from before", f["message"])

    def test_the_past_is_never_filled(self):
        for by in ("trigger", "application", COHORT):
            with self.subTest(by=by):
                f = self.red(self.of(life(by, fill=None)), "stale-new-value", release="1.2.0", statement="Get")
                self.assertIn("a row from before", f["message"])

    def test_a_release_that_writes_one_side_where_it_says_both(self):
        broken = FLAGGED.replace("old = $2, fresh = $2", "old = $2")
        for release in ("_1_2_0", "_1_3_0"):
            with self.subTest(release=release):
                f = self.red(self.of(life("application"), **{release: broken}), "stale-new-value", release="1.2.0", statement="Get")
                self.assertIn("after Put of %s (fresh-write=on)" % release[1:].replace("_", "."), f["message"])
        self.clean(self.of(life("trigger"), _1_2_0=broken))

    def test_the_old_side_is_given_up_while_it_may_be_read(self):
        early = {"_1_4_0": NEW_GET + NEW_PUT}
        f = self.red(self.of(life("application"), **early), "stale-new-value", release="1.3.0", statement="Get", safe_from=None)
        self.assertIn("after Put of 1.4.0", f["message"])
        self.clean(self.of(life("trigger"), **early))
        self.red(self.of(life("trigger", reverse=False), **early), "sync-trigger-asymmetric", release="1.3.0", statement="Get", safe_from=None)

    def test_a_consumer_that_writes_the_old_side(self):
        batch = {"batch": PUT}
        done = self.of(life("application"), consumers=batch).check()
        self.assertEqual(self.rules(done), [("error", "old-query-fails"), ("error", "stale-new-value")], done)
        f = self.red(self.of(life("trigger"), consumers=batch), "old-query-fails", release="batch", statement="Put", safe_from=None)
        self.assertEqual(f["phase"], "contract")


if __name__ == "__main__":
    unittest.main()

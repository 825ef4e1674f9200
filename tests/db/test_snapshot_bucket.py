"""Snapshots in a bucket: a real S3-compatible server, and one in front of it that misbehaves."""

import re
import unittest

import project
import s3
from project import full_plan

CONFIRM = ("--confirm", "orders-ref")
TO = "s3://%s/phasegate/live" % s3.BUCKET


class Bucket(project.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = s3.Server()
        cls.addClassCleanup(cls.server.close)

    def setUp(self):
        super().setUp()
        self.front = s3.Front(self.server)
        self.addCleanup(self.front.close)

    def contracted(self, endpoint=None, to=TO, before="", env=None, keep="30d", region=s3.REGION):
        p = self.project(plans=[full_plan()])
        p.environment["snapshots"] = {"to": to, "endpoint": endpoint or self.front.url, "region": region, "keep": keep}
        p.env.update(self.server.env, **(env or {}))
        p.write()
        if before:
            p.db.psql(before)
        p.advance_through("orders-ref", "contract")
        return p

    def taken(self, p):
        return p.json("snapshot", "orders-ref")["result"]["snapshot"]

    def files(self, snapshot):
        prefix = "phasegate/live/%s/" % snapshot["name"]
        return sorted(k[len(prefix):] for k in self.server.objects() if k.startswith(prefix))


class Taken(Bucket):
    def test_from_the_first_byte_to_the_last_row_and_back(self):
        p = self.contracted()
        s = self.taken(p)
        self.assertEqual(self.files(s), ["1.copy.zst", "definition.sql.zst", "manifest.json"])
        listed = p.json("snapshots", "list")["result"]["databases"][0]["snapshots"]
        self.assertEqual([x["location"] for x in listed], [TO])
        p.ok("snapshots", "verify", s["name"])
        p.ok("purge", "orders-ref", *CONFIRM)
        p.db.psql("ALTER TABLE orders ADD COLUMN legacy_ref text")
        p.ok("restore", "--from", s["name"], "orders-ref")
        self.assertEqual(p.db.value("SELECT count(*) FROM orders WHERE legacy_ref = 'R' || id"), "500")
        self.assertEqual(p.db.value("SELECT count(*) FROM phasegate.migration_history h WHERE h::text LIKE '%%%s%%'" % s3.SECRET), "0")

    def test_in_parts(self):
        """Ids that don't compress: more than two parts of 8 MiB, more ranges than one."""
        p = self.contracted(before="""INSERT INTO orders (id, legacy_ref)
            SELECT 1000 + n, array_to_string(array(SELECT md5(random()::text || n || g) FROM generate_series(1, 64) g), '') FROM generate_series(1, 18000) n""")
        s = self.taken(p)
        self.assertGreater(s["parts"][0]["bytes"], 2 * (8 << 20))
        p.ok("snapshots", "verify", s["name"])

    def test_pruned(self):
        p = self.contracted(keep="1ms")
        s, t = self.taken(p), self.taken(p)
        self.assertEqual([x["name"] for x in p.json("snapshots", "prune")["result"]["databases"][0]["pruned"]], [s["name"]])
        self.assertEqual((self.files(s), self.files(t)), ([], ["1.copy.zst", "definition.sql.zst", "manifest.json"]))

    def test_damaged(self):
        p = self.contracted()
        s = self.taken(p)
        with open(self.server.file_of("phasegate/live/%s/1.copy.zst" % s["name"]), "r+b") as f:
            f.seek(20)
            f.write(b"x")
        done = p.exits(1, "snapshots", "verify", s["name"])
        self.assertIn("damaged", done.stderr)


class Refused(Bucket):
    def refused(self, code, words, hint, **more):
        p = self.contracted(**more)
        stage = p.stage("orders-ref")
        done = p.exits(code, "snapshot", "orders-ref")
        self.assertIn(words, done.stderr)
        self.assertIn(hint, done.stderr)
        self.assertNotIn("not-the-secret", done.stdout + done.stderr)
        self.assertEqual(p.stage("orders-ref"), stage)
        return p

    def test_wrong_credentials(self):
        self.refused(3, "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY", env={"AWS_SECRET_ACCESS_KEY": "not-the-secret"})

    def test_another_region(self):
        self.refused(3, "AuthorizationHeaderMalformed", "AWS_ACCESS_KEY_ID", region="us-east-1")

    def test_no_credentials(self):
        self.refused(2, "AWS_SECRET_ACCESS_KEY isn't set", "set AWS_ACCESS_KEY_ID", env={"AWS_SECRET_ACCESS_KEY": ""})

    def test_no_bucket(self):
        self.refused(3, "NoSuchBucket", "make the bucket", to="s3://elsewhere/x")

    def test_nobody_there(self):
        self.refused(3, "127.0.0.1:9", "endpoint:", endpoint="http://127.0.0.1:9")

    def test_what_can_not_be(self):
        for endpoint, to, words in (("http://s3.example.com", TO, "http://"), ("ftp://127.0.0.1", TO, "https://HOST"),
                                    ("https://a:b@s3.example.com", TO, "https://HOST"), (None, "s3://", "s3://BUCKET"),
                                    (None, "s3://b/../x", "s3://BUCKET"), (None, "s3://b/x y", "s3://BUCKET"), (None, "gs://b", "s3://")):
            p = self.project(plans=[full_plan()])
            p.environment["snapshots"] = {"to": to, "endpoint": endpoint or self.front.url}
            p.env.update(self.server.env)
            p.write()
            done = p.exits(2, "snapshot", "orders-ref")
            self.assertIn(words, done.stderr, (endpoint, to))
            self.assertIn("HINT", done.stderr)


class Faults(Bucket):
    def test_busy_or_lost_it_is_asked_again(self):
        p = self.contracted()
        for plan in ([("PUT", 503), ("PUT", 500)], [("GET", "cut")], [("PUT", "drop")], [("DELETE", 503)]):
            self.front.plan = list(plan)
            s = self.taken(p)
            self.assertEqual(self.front.plan, [], plan)
            p.ok("snapshots", "verify", s["name"])

    def test_a_bit_flipped_on_the_way(self):
        p = self.contracted()
        self.front.plan = [("GET", None), ("GET", "flip")]  # the first one is the probe's
        done = p.exits(1, "snapshot", "orders-ref")
        self.assertIn("damaged", done.stderr)
        self.assertNotIn("verified", [x["state"] for x in p.json("snapshots", "list")["result"]["databases"][0]["snapshots"]])

    def test_it_stays_busy(self):
        p = self.contracted()
        stage = p.stage("orders-ref")
        self.front.plan = [("PUT", 503)] * 50
        done = p.exits(3, "purge", "orders-ref", *CONFIRM)
        self.assertIn("SlowDown", done.stderr)
        self.assertIn("Nothing was destroyed", done.stderr)
        self.assertEqual(p.stage("orders-ref"), stage)

    def test_parts_are_given_up(self):
        p = self.contracted(before="""INSERT INTO orders (id, legacy_ref)
            SELECT 1000 + n, array_to_string(array(SELECT md5(random()::text || n || g) FROM generate_series(1, 64) g), '') FROM generate_series(1, 9000) n""")
        self.front.plan = [("PUT", None), ("PUT", 403)]
        p.exits(3, "snapshot", "orders-ref")
        self.assertTrue([x for x in self.front.seen if re.match("DELETE .*/1.copy.zst.uploadId=", x)], self.front.seen)
        # What ends them was done, and nobody heard of it.
        self.front.plan = [("POST", None), ("POST", "drop")]
        s = self.taken(p)
        p.ok("snapshots", "verify", s["name"])


if __name__ == "__main__":
    unittest.main()

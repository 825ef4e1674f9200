"""Restore points: set before contract hides and a purge destroys, and their WAL proven to be in the archive."""

import json
import os
import tarfile
import unittest

import pgtest
import project

NAMED = r"^phasegate:orders-ref:(contract|purge):\d{17}-[0-9a-f]{8}$"
CONFIRM = ("--confirm", "orders-ref")


class Archiving(pgtest.Cluster):
    """Its archive is a folder; while the file `broken` is there, nothing gets in."""

    def __init__(self, **settings):
        super().__init__(settings=dict({"archive_mode": "on", "wal_level": "replica", "max_wal_senders": 4}, **settings), start=False)
        self.archive = os.path.join(self.host, "archive")
        self.broken = os.path.join(self.host, "broken")
        with open(self.data + "/postgresql.conf", "a", encoding="utf-8") as f:
            f.write("archive_command = 'mkdir -p {0}/archive && test ! -e {0}/broken && cp %p {0}/archive/%f'\n".format(self.host))
        self.start()

    def fail(self):
        with open(self.broken, "w", encoding="utf-8"):
            pass

    def mend(self):
        """After three failures the archiver rests for a minute; a new one doesn't."""
        if not os.path.exists(self.broken):
            return
        os.unlink(self.broken)
        self.restart()
        self.psql("SELECT pg_switch_wal()")
        pgtest.wait_until(lambda: self.psql("SELECT coalesce(last_failed_time < last_archived_time, true) FROM pg_stat_archiver") == [["t"]],
                          what="the archiver")


class RestorePoints(project.Case):
    @classmethod
    def setUpClass(cls):
        cls.server = Archiving()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def setUp(self):
        self.addCleanup(self.server.mend)

    def lab(self, server=None, plan=None, **policy):
        p = self.project(plans=[plan or project.full_plan()], db=(server or self.server).create_database(), env_policy=policy)
        p.advance_through("orders-ref", "write_activation")
        return p

    def contract(self, p, *more):
        return p.ok("advance", "orders-ref", "--release", "1.5.0", *more)

    def points(self, p):
        return p.db.psql("SELECT phase, name, lsn, timeline, wal_segment, archived_at IS NOT NULL, not_archived_why FROM phasegate.restore_point "
                         "ORDER BY restore_point_id")

    def test_before_contract_and_before_the_purge(self):
        p = self.lab(restore_point="required")
        self.assertIn("Restore point: it would be set first, and its WAL waited for in the archive.",
                      p.ok("advance", "orders-ref", "--release", "1.5.0", "--dry-run").stdout)
        self.assertIsNone(p.status("orders-ref")["restore_point"])
        said = self.contract(p).stderr
        (before, name, lsn, timeline, segment, archived, why), = self.points(p)
        self.assertRegex(name, NAMED)
        self.assertEqual((before, timeline, archived, why), ("contract", "1", "t", None))
        self.assertIn("restore point %s at %s, its WAL (%s) is archived" % (name, lsn, segment), said)
        self.assertIn(segment, os.listdir(self.server.archive))
        with open(os.path.join(self.server.archive, segment), "rb") as f:
            self.assertIn(name.encode(), f.read())
        # Set before anything was hidden: what contract did comes later in the WAL.
        self.assertEqual(p.db.value("SELECT set_at < (SELECT min(dropped_at) FROM phasegate.soft_drop) FROM phasegate.restore_point"), "t")
        p.ok("purge", "orders-ref", *CONFIRM)
        both = self.points(p)
        self.assertEqual([x[0] for x in both], ["contract", "purge"])
        self.assertEqual(p.db.value("SELECT '%s'::pg_lsn < '%s'::pg_lsn" % (both[0][2], both[1][2])), "t")
        self.assertEqual([x[5] for x in both], ["t", "t"])
        self.assertIn(both[1][4], os.listdir(self.server.archive))

    def test_where_it_is_shown(self):
        p = self.lab()
        p.environment["backup"] = {"pgbackrest": {"stanza": "the main", "max_age": "24h"}}
        p.write()
        self.contract(p)
        (_, name, lsn, _, segment, _, _), = self.points(p)
        point = p.status("orders-ref")["restore_point"]
        self.assertEqual((point["name"], point["before"], point["lsn"], point["timeline"], point["wal_segment"], point["not_archived_why"]),
                         (name, "contract", lsn, 1, segment, None))
        self.assertTrue(point["at"] <= point["archived_at"])
        self.assertRegex(p.ok("status", "orders-ref").stdout,
                         r"  point    %s at %s, set before contract, since \S+; %s is archived" % (name, lsn, segment))
        page = p.ok("runbook", "orders-ref").stdout
        self.assertIn("- restore point %s at %s on timeline 1, set before contract," % (name, lsn), page.replace("\\", ""))
        self.assertIn("pgbackrest --stanza='the main' --pg1-path=\"${SIDE:?an empty folder}\" --archive-mode=off --type=lsn --target=%s "
                      "--target-exclusive --target-timeline=1 --target-action=promote restore" % lsn, page)
        p.ok("evidence", "orders-ref", "--out", p.path("e.tar"))
        with tarfile.open(p.path("e.tar")) as tar:
            member = next(m for m in tar.getnames() if m.endswith("restore_points.json"))
            kept, = json.load(tar.extractfile(member))
        self.assertEqual(kept, point)
        row = p.db.value("SELECT description FROM phasegate.migration_history WHERE kind = 'restore_point'")
        self.assertEqual(row, "restore point %s at %s, archived with %s" % (name, lsn, segment))
        p.ok("history", "orders-ref", "--verify")

    def test_an_archive_that_takes_nothing(self):
        p = self.lab(restore_point="required", archive_timeout="1500ms")
        self.server.fail()
        error = p.refused("restore_point", "advance", "orders-ref", "--release", "1.5.0")
        self.assertRegex(error["message"], r"restore point \S+ isn't archived: (archiving of [0-9A-F]{24} fails|it isn't there after 1500ms)")
        self.assertIn("Nothing was hidden", error["detail"])
        self.assertIn("archive_command", error["hint"])
        self.assertEqual(p.columns(), ["id", "legacy_ref", "external_ref"])
        self.assertIsNone(p.status("orders-ref")["restore_point"]["archived_at"])
        self.server.mend()
        p.environment["policy"]["archive_timeout"] = "10m"
        p.write()
        self.contract(p)
        # Nothing was hidden under the first one, so there's a newer one.
        self.assertEqual([x[5] for x in self.points(p)], ["f", "t"])
        self.assertEqual(p.stage("orders-ref"), "contract done")
        self.server.fail()
        p.environment["policy"]["archive_timeout"] = "1s"
        p.write()
        error = p.refused("restore_point", "purge", "orders-ref", *CONFIRM)
        self.assertIn("Nothing was destroyed: plan orders-ref stands at \"contract done\"", error["detail"])
        p.ok("restore", "orders-ref")
        self.assertEqual(p.columns(), ["id", "legacy_ref", "external_ref"])

    def test_by_itself_it_says_so_and_goes_on(self):
        p = self.lab(archive_timeout="1s")
        self.server.fail()
        said = self.contract(p).stderr
        self.assertRegex(said, r"warning: restore point \S+ at \S+ isn't archived: ")
        self.assertEqual(p.stage("orders-ref"), "contract done")
        self.assertRegex(p.ok("status", "orders-ref").stdout, r"  point    .*; [0-9A-F]{24} isn't archived: ")
        self.assertIn("isn't known to be in the archive", p.ok("runbook", "orders-ref").stdout)

    def test_off(self):
        p = self.lab(restore_point="off")
        self.assertIn("Restore point: none, off by policy.", p.ok("advance", "orders-ref", "--release", "1.5.0", "--dry-run").stdout)
        self.contract(p)
        p.ok("purge", "orders-ref", *CONFIRM)
        self.assertEqual(self.points(p), [])
        self.assertNotIn("restore point", p.ok("runbook", "orders-ref").stdout)

    def test_after_a_kill(self):
        """Set before what was hidden first; a run that goes on sets no newer one."""
        steps = [project.step("drop-legacy", "ALTER TABLE orders DROP COLUMN legacy_ref"), project.step("drop-other", "DROP TABLE other")]
        p = self.lab(plan=project.full_plan(phases={"contract": project.phase("contract", hold="0s", steps=steps)}), restore_point="required")
        p.db.psql("CREATE TABLE other (id int)")
        p.db.psql("CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN IF current_query() LIKE '%other%' THEN RAISE 'not now'; "
                  "END IF; END$$; CREATE EVENT TRIGGER no ON ddl_command_start EXECUTE FUNCTION no()")
        self.assertNotEqual(p.run("advance", "orders-ref", "--release", "1.5.0").rc, 0)
        self.assertEqual([x[5] for x in self.points(p)], ["t"])
        self.assertNotIn("legacy_ref", p.columns())
        p.db.psql("DROP EVENT TRIGGER no")
        self.contract(p)
        self.assertEqual(len(self.points(p)), 1)
        p.ok("restore", "orders-ref")
        self.contract(p)
        self.assertEqual([x[0] for x in self.points(p)], ["contract", "contract"])

    def test_without_the_right(self):
        self.server.psql("DO $$BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'plain') THEN CREATE ROLE plain LOGIN; END IF; END$$")
        db = self.server.create_database()
        self.server.psql('ALTER DATABASE "%s" OWNER TO plain' % db.name)
        db.psql("GRANT ALL ON SCHEMA public TO plain")
        db.url = self.server.url(db.name, user="plain")
        p = self.project(plans=[project.full_plan()], db=db, baseline=None)
        db.psql(project.ORDERS + "; ALTER TABLE orders OWNER TO plain")
        p.advance_through("orders-ref", "write_activation")
        p.environment["policy"] = {"restore_point": "required"}
        p.write()
        error = p.refused("requirement", "advance", "orders-ref", "--release", "1.5.0")
        self.assertIn("role plain may not set one", error["message"])
        self.assertIn("GRANT EXECUTE ON FUNCTION pg_catalog.pg_create_restore_point(text), pg_catalog.pg_switch_wal() TO \"plain\"", error["hint"])
        self.assertEqual(p.stage("orders-ref"), "write_activation done")
        p.environment["policy"] = {"restore_point": "auto"}
        p.write()
        self.assertIn("no restore point: role plain may not set one", self.contract(p).stderr)
        self.assertEqual(self.points(p), [])
        db.psql("GRANT EXECUTE ON FUNCTION pg_catalog.pg_create_restore_point(text), pg_catalog.pg_switch_wal() TO plain")
        p.environment["policy"] = {"restore_point": "required"}
        p.write()
        p.ok("purge", "orders-ref", *CONFIRM)
        self.assertEqual([x[0] for x in self.points(p)], ["purge"])

    def test_without_an_archive(self):
        server = pgtest.cluster()
        p = self.lab(server=server, restore_point="required")
        error = p.refused("requirement", "advance", "orders-ref", "--release", "1.5.0")
        self.assertIn("archive_mode is off", error["message"])
        self.assertEqual(p.stage("orders-ref"), "write_activation done")
        self.assertIn("Restore point: it would be set first, and not be archived: archive_mode is off",
                      p.exits(4, "advance", "orders-ref", "--release", "1.5.0", "--dry-run").stdout)
        p.environment["policy"] = {}
        p.write()
        said = self.contract(p).stderr
        p.environment["policy"] = {"restore_point": "required"}
        p.write()
        p.refused("restore_point", "purge", "orders-ref", *CONFIRM)
        self.assertRegex(said, r"restore point \S+ at \S+ isn't archived: archive_mode is off")
        self.assertNotIn("warning", said)
        self.assertEqual(self.points(p)[0][5:], ["f", "archive_mode is off, so no archive has its WAL"])

    def test_a_long_name(self):
        name = "o" * 63
        p = self.project(plans=[project.full_plan(name)], db=self.server.create_database())
        p.advance_through(name, "contract")
        self.assertRegex(p.db.value("SELECT name FROM phasegate.restore_point"), r"^phasegate:o+:contract:\d{17}-[0-9a-f]{8}$")
        self.assertEqual(p.db.value("SELECT length(name) FROM phasegate.restore_point"), "63")


if __name__ == "__main__":
    unittest.main()

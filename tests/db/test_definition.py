"""What the tables of a snapshot were made of is saved with their rows, and makes them again."""

import json
import os
import signal
import unittest

import pgtest
import project
from project import full_plan, phase, plan, step

CONFIRM = ("--confirm", "orders-ref")

LEGACY = """CREATE TABLE owner (id int PRIMARY KEY); INSERT INTO owner VALUES (1);
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := upper(NEW.note); RETURN NEW; END $$;
    CREATE TABLE "legacy one" (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner_id int REFERENCES owner, note text DEFAULT 'none'
        CHECK (note <> 'it''s'), "a ""b"" c" numeric(8,2));
    CREATE INDEX by_note ON "legacy one" (lower(note)) WHERE note IS NOT NULL;
    CREATE TRIGGER touch BEFORE INSERT ON "legacy one" FOR EACH ROW EXECUTE FUNCTION touch();
    COMMENT ON COLUMN "legacy one".note IS 'line one
line two'; GRANT SELECT ON "legacy one" TO PUBLIC;
    ALTER TABLE "legacy one" ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON "legacy one" USING (owner_id = 1);
    INSERT INTO "legacy one" (owner_id, note) SELECT 1, 'x' || i FROM generate_series(1, 50) i"""

SHAPE = """SELECT a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || coalesce(' ' || pg_get_expr(d.adbin, d.adrelid), '')
                      || a.attidentity::text || a.attnotnull || coalesce(col_description(a.attrelid, a.attnum), '')
             FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
            WHERE a.attrelid = '{0}'::regclass AND a.attnum > 0 AND NOT a.attisdropped
     UNION ALL SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = '{0}'::regclass
     UNION ALL SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = '{0}'::regclass
     UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = '{0}'::regclass AND NOT tgisinternal AND tgname !~ 'phasegate'
     UNION ALL SELECT polname || pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polrelid = '{0}'::regclass
     UNION ALL SELECT array_to_string(relacl, ' ') || relrowsecurity::text FROM pg_class WHERE oid = '{0}'::regclass ORDER BY 1"""

# Another pg_dump, among the programs of the real folder.
REFUSES = """#!/bin/sh
echo 'pg_dump: error: aborting because of server version mismatch' >&2
echo 'pg_dump: detail: server version: 99.1; pg_dump version: 15.1' >&2
exit 1
"""
SLEEPS = """#!/bin/sh
echo begun > "%s"
exec sleep 600
"""


class Definition(project.Case):
    def saving(self, plans, **more):
        p = self.project(plans=plans, **more)
        p.environment["snapshots"] = {"to": "snapshots"}
        p.write()
        return p

    def table(self, drop, sql):
        body = plan("c", phases={"contract": phase("contract", steps=[step("drop", drop)], hold="0s")})
        p = self.saving([body], baseline=sql)
        p.advance("c", "1.5.0")
        return p

    def programs(self, p, pg_dump):
        folder, real = p.path("bin"), pgtest.pg_bindir()
        os.mkdir(folder)
        for name in os.listdir(real):
            if name != "pg_dump":
                os.symlink(os.path.join(real, name), os.path.join(folder, name))
        with open(os.path.join(folder, "pg_dump"), "w", encoding="utf-8") as f:
            f.write(pg_dump)
        os.chmod(os.path.join(folder, "pg_dump"), 0o755)
        return {"PHASEGATE_PG_BIN": folder}

    def name(self, p):
        return p.db.column("SELECT name FROM phasegate.snapshot ORDER BY taken_at DESC")[0]

    def definition(self, p):
        [of] = p.json("snapshots", "show", self.name(p))["result"]["databases"]
        return of["definition"]

    def shape(self, p, table):
        return sorted(line.replace(table, '"legacy one"').replace("public.", "") for line in p.db.column(SHAPE.format(table)))

    # ---- what is in it --------------------------------------------------------------------------------

    def test_it_makes_the_table_again_and_its_rows_come_back(self):
        p = self.table('DROP TABLE "legacy one"', LEGACY)
        [held] = p.db.column("SELECT oid::regclass FROM pg_class WHERE relnamespace = 'phasegate_hold'::regnamespace AND relkind = 'r'")
        rows = p.db.psql("SELECT * FROM %s ORDER BY 1" % held)
        shape = self.shape(p, held)
        p.ok("purge", "c", "--confirm", "c")
        name = self.name(p)
        self.assertIn("phasegate snapshots show " + name, p.refused("table_absent", "restore", "--from", name, "c")["hint"])

        sql = p.ok("snapshots", "show", name).stdout
        self.assertIn('is "public"."legacy one".', sql)
        self.assertNotIn("phasegate.trap", sql)
        p.db.server.psql_itself(sql, p.db.name)
        p.db.psql("""ALTER TABLE %s RENAME TO "legacy one"; ALTER TABLE phasegate_hold."legacy one" SET SCHEMA public""" % held)
        self.assertEqual(self.shape(p, '"legacy one"'), shape)
        [part] = p.json("restore", "--from", name, "c")["result"]["parts"]
        self.assertEqual(part["rows"]["restored"], 50)
        self.assertEqual([r[:3] for r in p.db.psql('SELECT * FROM "legacy one" ORDER BY 1')], [[r[0], r[1], r[2].upper()] for r in rows])

    def test_partitions_too(self):
        p = self.table("DROP TABLE events", """CREATE TABLE events (id int, at date) PARTITION BY RANGE (at);
            CREATE TABLE events_24 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY LIST (id);
            CREATE TABLE events_24_1 PARTITION OF events_24 FOR VALUES IN (1); INSERT INTO events VALUES (1, '2024-05-05')""")
        p.ok("purge", "c", "--confirm", "c")
        for text in ("events_24_1", "FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')", "FOR VALUES IN (1)"):
            self.assertIn(text, self.definition(p))

    def test_of_a_column_its_table_with_the_name_that_it_has(self):
        p = self.saving([full_plan()])
        p.advance_through("orders-ref", "contract")
        [hidden] = [c for c in p.columns() if c not in ("id", "external_ref")]
        p.ok("purge", "orders-ref", *CONFIRM)
        sql = self.definition(p)
        self.assertIn('-- Hidden then: column "%s" of "public"."orders" is "legacy_ref".' % hidden, sql)
        self.assertIn("    %s text" % hidden, sql)

    def test_a_name_of_two_lines_stays_in_its_comment(self):
        p = self.table('DROP TABLE "a\n;CREATE TABLE planted (a int);"',
                       'CREATE TABLE "a\n;CREATE TABLE planted (a int);" (id int PRIMARY KEY)')
        p.ok("purge", "c", "--confirm", "c")
        head = p.ok("snapshots", "show", self.name(p)).stdout.split("-- PostgreSQL database dump")[0].splitlines()
        self.assertIn("planted", "".join(head))
        self.assertEqual([line for line in head if not line.startswith("--")], [])

    # ---- can it be trusted? ---------------------------------------------------------------------------

    def test_damaged(self):
        p = self.table('DROP TABLE "legacy one"', LEGACY)
        p.ok("snapshot", "c")
        name = self.name(p)
        with open(p.path("snapshots", name, "definition.sql.zst"), "r+b") as f:
            f.seek(40)
            f.write(b"XXXX")
        for command in ("show", "verify"):
            error = p.json("snapshots", command, name, code=1)["error"]
            self.assertEqual(error["reason"], "snapshot_damaged", error)
        p.ok("purge", "c", "--confirm", "c")
        self.assertNotEqual(self.name(p), name)
        self.assertIn("CREATE TABLE", self.definition(p))

    def test_one_without_isnt_enough_for_a_purge_and_can_be_read(self):
        p = self.table('DROP TABLE "legacy one"', LEGACY)
        p.ok("snapshot", "c")
        name = self.name(p)
        self.forget_definition(p, name)
        self.assertIn("isn't in it", p.ok("snapshots", "show", name).stdout)
        p.ok("snapshots", "verify", name)
        p.ok("purge", "c", "--confirm", "c")
        self.assertNotEqual(self.name(p), name)
        p.db.psql("""CREATE TABLE "legacy one" (id int PRIMARY KEY, owner_id int, note text, "a ""b"" c" numeric)""")
        self.assertEqual(p.json("restore", "--from", name, "c")["result"]["parts"][0]["rows"]["restored"], 50)

    def forget_definition(self, p, name):
        """As versions before wrote it."""
        path = p.path("snapshots", name, "manifest.json")
        with open(path, encoding="utf-8") as f:
            manifest = json.load(f)
        del manifest["definition"]
        text = json.dumps(manifest)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        p.db.psql("UPDATE phasegate.snapshot SET manifest_sha256 = encode(sha256(convert_to($t$%s$t$, 'UTF8')), 'hex')" % text)

    def test_pruned_with_the_rest(self):
        p = self.table('DROP TABLE "legacy one"', LEGACY)
        p.ok("snapshot", "c")
        folder = p.path("snapshots", self.name(p))
        p.ok("purge", "c", "--confirm", "c")
        p.db.psql("UPDATE phasegate.snapshot SET keep_until = now() - interval '1 day'")
        p.ok("snapshots", "prune")
        self.assertFalse(os.path.exists(folder))

    # ---- who has no pg_dump ---------------------------------------------------------------------------

    def test_a_table_isnt_destroyed_without(self):
        p = self.table('DROP TABLE "legacy one"', LEGACY)
        error = p.json("purge", "c", "--confirm", "c", code=3, env=self.programs(p, REFUSES))["error"]
        self.assertIn("pg_dump is older than the server", error["message"])
        self.assertIn("Nothing was destroyed", error["detail"])
        self.assertIn("postgresql-client", error["hint"])
        self.assertEqual(p.db.column("SELECT name FROM phasegate.snapshot"), [])
        self.assertEqual(os.listdir(p.path("snapshots")), [])

    def test_preflight_says_it_before(self):
        old = "#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n"
        p = self.saving([full_plan()])
        for env, outcome, value in ((None, "pass", "pg_dump (PostgreSQL) %s" % p.db.value("SHOW server_version")[:2]),
                                    (self.programs(p, old), "warn", "9.6.24")):
            [row] = [c for c in p.json("preflight", "orders-ref", "contract", env=env)["result"]["checks"] if c["check"] == "definitions"]
            self.assertEqual(row["outcome"], outcome, row)
            self.assertIn(value, row["value"])
        self.assertIn("postgresql-client-", row["help"])

    def test_of_columns_it_is_said(self):
        p = self.saving([full_plan()])
        p.advance_through("orders-ref", "contract")
        done = p.ok("purge", "orders-ref", *CONFIRM, env=self.programs(p, REFUSES))
        self.assertIn("what the tables are made of isn't: pg_dump is older than the server", done.stderr)
        self.assertEqual(p.columns(), ["id", "external_ref"])

    def test_a_signal_ends_it(self):
        p = self.table('DROP TABLE "legacy one"', LEGACY)
        begun = p.path("begun")
        process = p.start("purge", "c", "--confirm", "c", env=self.programs(p, SLEEPS % begun))
        self.addCleanup(process.close)
        pgtest.wait_until(lambda: os.path.exists(begun), 60)
        process.signal(signal.SIGINT)
        self.assertEqual(process.wait(30).rc, 130)
        self.assertEqual(p.db.column("SELECT name FROM phasegate.snapshot"), [])
        p.ok("purge", "c", "--confirm", "c")


if __name__ == "__main__":
    unittest.main()

"""What a purge destroys is saved and verified before; and comes back by key."""

import glob
import hashlib
import json
import os
import resource
import stat
import subprocess
import unittest

import project
from project import full_plan, phase, plan, step

CONFIRM = ("--confirm", "orders-ref")


def contract_of(*steps, **more):
    return plan("c", phases={"contract": phase("contract", steps=list(steps), hold="0s", **more)})


class Snapshots(project.Case):
    def saving(self, plans, keep="30d", **more):
        p = self.project(plans=plans, **more)
        p.environment["snapshots"] = {"to": "snapshots", "keep": keep}
        p.write()
        return p

    def contracted(self, before="", **more):
        p = self.saving([full_plan()], **more)
        if before:
            p.db.psql(before)
        p.advance_through("orders-ref", "contract")
        return p

    def taken(self, p, plan_id="orders-ref"):
        return p.json("snapshot", plan_id)["result"]["snapshot"]

    def path(self, p, snapshot, name):
        return p.path("snapshots", snapshot["name"], name)

    def manifest(self, p, snapshot):
        with open(self.path(p, snapshot, "manifest.json"), encoding="utf-8") as f:
            return json.load(f)

    def rows_of(self, p, snapshot, part=0):
        """The file as anybody can read it."""
        name = self.path(p, snapshot, snapshot["parts"][part]["file"])
        text = subprocess.run(["zstd", "-dc", name], check=True, capture_output=True).stdout.decode()
        return [line.split("\t") for line in text.splitlines()]

    def states(self, p):
        return [s["state"] for s in p.json("snapshots", "list")["result"]["databases"][0]["snapshots"]]

    def nothing_left(self, p):
        self.assertEqual(p.db.column("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'phasegate_verify%'"), [])
        self.assertEqual(glob.glob(p.path("snapshots", "**", "*.part"), recursive=True), [])


class Take(Snapshots):
    def test_key_and_column(self):
        p = self.contracted()
        s = self.taken(p)
        [part] = s["parts"]
        self.assertEqual((part["schema"], part["table"], part["key"], part["columns"], part["rows"], part["whole"]),
                         ("public", "orders", ["id"], ["legacy_ref"], 500, False))
        rows = self.rows_of(p, s)
        self.assertEqual(sorted(rows), sorted([str(i), "R%d" % i] for i in range(1, 501)))
        with open(self.path(p, s, part["file"]), "rb") as f:
            raw = f.read()
        self.assertEqual((hashlib.sha256(raw).hexdigest(), len(raw)), (part["sha256"], part["bytes"]))
        m = self.manifest(p, s)
        self.assertEqual((m["plan"], m["phase"], m["database"], m["system_identifier"], m["lsn"]),
                         ("orders-ref", "contract", p.db.value("SELECT current_database()"),
                          p.db.value("SELECT system_identifier FROM pg_control_system()"), s["lsn"]))
        self.assertEqual(m["parts"][0]["columns"], [{"name": "id", "type": "bigint"}, {"name": "legacy_ref", "type": "text"}])
        self.nothing_left(p)

    def test_only_its_owner_reads_it(self):
        p = self.contracted()
        s = self.taken(p)
        for name, mode in (("", 0o700), ("manifest.json", 0o600), ("1.copy.zst", 0o600)):
            self.assertEqual(stat.S_IMODE(os.stat(self.path(p, s, name)).st_mode), mode, name)

    def test_the_ledger_knows_it(self):
        p = self.contracted()
        s = self.taken(p)
        [[name, rows, checked, keep]] = p.db.psql(
            "SELECT name, rows, verified_at > taken_at, keep_until - taken_at FROM phasegate.snapshot")
        self.assertEqual((name, rows, checked, keep), (s["name"], "500", "t", "30 days"))
        with open(self.path(p, s, "manifest.json"), "rb") as f:
            self.assertEqual(p.db.value("SELECT manifest_sha256 FROM phasegate.snapshot"), hashlib.sha256(f.read()).hexdigest())
        self.assertEqual(p.db.psql("SELECT kind, status FROM phasegate.migration_history WHERE kind = 'snapshot'"), [["snapshot", "note"]])
        p.ok("history", "--verify")

    def test_before_contract_under_its_own_name(self):
        p = self.saving([full_plan()])
        p.advance_through("orders-ref", "write_activation")
        self.assertEqual(self.taken(p)["parts"][0]["columns"], ["legacy_ref"])

    def test_values_come_through_as_they_are(self):
        p = self.contracted(before=r"""UPDATE orders SET legacy_ref = NULL WHERE id = 1;
            UPDATE orders SET legacy_ref = '' WHERE id = 2; UPDATE orders SET legacy_ref = E'a\tb\n\\N\\.' WHERE id = 3;
            UPDATE orders SET legacy_ref = 'ünï – 漢' WHERE id = 4; UPDATE orders SET legacy_ref = repeat('x', 100000) WHERE id = 5""")
        s = self.taken(p)
        self.assertEqual(self.states(p), ["verified"])
        rows = dict(self.rows_of(p, s))
        self.assertEqual((rows["1"], rows["2"], rows["4"]), ("\\N", "", "ünï – 漢"))

    def test_a_table_whole(self):
        p = self.saving([contract_of(step("drop", "DROP TABLE legacy"))], baseline=project.ORDERS + """;
            CREATE TABLE legacy (a int, note json, b int, twice int GENERATED ALWAYS AS (b * 2) STORED, PRIMARY KEY (b, a));
            INSERT INTO legacy SELECT i, '{"n":1}', i % 7 FROM generate_series(1, 50) i""")
        p.advance("c", "1.5.0")
        [part] = self.taken(p, "c")["parts"]
        self.assertEqual((part["table"], part["whole"], part["key"], part["columns"], part["rows"]),
                         ("legacy", True, ["b", "a"], ["note"], 50))

    def test_without_a_key_all_of_the_table(self):
        p = self.saving([contract_of(step("drop", "ALTER TABLE loose DROP COLUMN b"))],
                        baseline="CREATE TABLE loose (a int, b text); INSERT INTO loose VALUES (1, 'x'), (1, 'x')")
        p.advance("c", "1.5.0")
        [part] = self.taken(p, "c")["parts"]
        self.assertEqual((part["whole"], part["key"], part["columns"], part["rows"]), (True, [], ["a", "b"], 2))

    def test_rows_that_a_step_deletes(self):
        body = contract_of(step("clear", "DELETE FROM orders WHERE id > 100"), step("index", "DROP INDEX by_ref"))
        p = self.saving([body], baseline=project.ORDERS + "; CREATE INDEX by_ref ON orders (legacy_ref)")
        p.advance("c", "1.5.0")
        [part] = self.taken(p, "c")["parts"]
        self.assertEqual((part["table"], part["whole"], part["rows"]), ("orders", True, 500))

    def test_what_the_plan_says(self):
        body = contract_of(step("drop", "ALTER TABLE orders DROP COLUMN legacy_ref"),
                           snapshot={"columns": {"orders": ["legacy_ref"]}, "tables": ["other"]})
        p = self.saving([body], baseline=project.ORDERS + "; CREATE TABLE other (id int PRIMARY KEY)")
        p.advance("c", "1.5.0")
        self.assertEqual(sorted((x["table"], x["whole"]) for x in self.taken(p, "c")["parts"]), [("orders", False), ("other", True)])

    def test_a_name_that_is_nowhere_destroys_nothing(self):
        for said, words in (({"tables": ["gonee"]}, "names the table gonee"), ({"columns": {"more": ["idd"]}}, "names the column more.idd")):
            p = self.saving([contract_of(step("drop", "DROP TABLE gone"), snapshot=said)])
            p.db.psql("CREATE TABLE gone (id int PRIMARY KEY); INSERT INTO gone VALUES (1); CREATE TABLE more (id int PRIMARY KEY)")
            p.advance("c", "1.5.0")
            error = p.json("purge", "c", "--confirm", "c", code=2)["error"]
            self.assertIn(words + ", which isn't there", error["message"])
            self.assertIn("mend the name", error["hint"])
            p.ok("restore", "c")
            self.assertEqual(p.db.column("SELECT id FROM gone"), ["1"])

    def test_nothing_to_save(self):
        p = self.saving([contract_of(step("index", "DROP INDEX by_ref"))], baseline=project.ORDERS + "; CREATE INDEX by_ref ON orders (legacy_ref)")
        self.assertTrue(p.json("snapshot", "c")["result"]["nothing_to_save"])

    def test_an_environment_without(self):
        p = self.project(plans=[full_plan()], snapshots=None)
        error = p.json("snapshot", "orders-ref", code=2)["error"]
        self.assertIn("has no snapshots:", error["message"])
        self.assertIn("snapshots: {to: FOLDER", error["hint"])


class Purge(Snapshots):
    def test_it_saves_first(self):
        p = self.contracted()
        p.db.psql("UPDATE orders SET external_ref = 'late' WHERE id = 7")
        p.ok("purge", "orders-ref", *CONFIRM)
        self.assertEqual(p.columns(), ["id", "external_ref"])
        self.assertEqual(self.states(p), ["verified"])
        [name] = p.db.column("SELECT name FROM phasegate.snapshot")
        self.assertEqual(dict(self.rows_of(p, {"name": name, "parts": [{"file": "1.copy.zst"}]}))["7"], "late")
        self.nothing_left(p)

    def test_one_that_holds_just_that_is_enough(self):
        p = self.contracted()
        s = self.taken(p)
        p.ok("purge", "orders-ref", *CONFIRM)
        self.assertEqual(p.db.column("SELECT name FROM phasegate.snapshot"), [s["name"]])

    def test_one_that_is_stale_isnt(self):
        p = self.contracted()
        self.taken(p)
        p.db.psql("UPDATE orders SET external_ref = 'late' WHERE id = 7")
        p.ok("purge", "orders-ref", *CONFIRM)
        self.assertEqual(self.states(p), ["verified", "verified"])

    def test_one_that_was_damaged_isnt(self):
        p = self.contracted()
        s = self.taken(p)
        with open(self.path(p, s, "1.copy.zst"), "r+b") as f:
            f.seek(40)
            f.write(b"XXXX")
        p.ok("purge", "orders-ref", *CONFIRM)
        self.assertEqual(len(self.states(p)), 2)

    def test_refused_it_takes_none(self):
        p = self.contracted()
        p.refused("confirm", "purge", "orders-ref")
        self.assertEqual(self.states(p), [])

    def refuses(self, p, code, words):
        error = p.json("purge", "orders-ref", *CONFIRM, code=code)["error"]
        self.assertIn(words, error["message"])
        self.assertIn("Nothing was destroyed", error["detail"])
        self.assertEqual((p.stage("orders-ref"), len(p.columns())), ("contract done", 3))
        self.nothing_left(p)
        return error

    def test_the_folder_isnt_there(self):
        p = self.contracted()
        p.environment["snapshots"]["to"] = p.path("not", "mounted")
        p.write()
        self.assertIn("snapshots:", self.refuses(p, 3, "No such file or directory")["hint"])

    def test_the_folder_is_a_file(self):
        p = self.contracted()
        p.put("snapshots", "")
        self.refuses(p, 3, "Not a directory")

    def test_there_is_no_room(self):
        p = self.contracted()
        p.db.psql("UPDATE orders SET external_ref = (SELECT string_agg(md5(i::text || id), '') FROM generate_series(1, 60) i)")
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200000, before[1]))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_FSIZE, before)
        self.assertIn("make room", self.refuses(p, 3, "File too large")["hint"])
        self.assertEqual(os.listdir(p.path("snapshots")), [])

    def test_a_place_that_is_no_folder(self):
        p = self.contracted()
        p.environment["snapshots"]["to"] = "ftp://backups/x"
        p.write()
        self.assertIn("kept apart", self.refuses(p, 2, "expected a folder, or s3://")["hint"])


class Gate(Snapshots):
    """Nothing is destroyed that nobody saves, unless the owner of the environment said so."""

    def bare(self, plans=None, baseline=project.ORDERS, **more):
        p = self.project(plans=plans or [full_plan()], snapshots=None, baseline=baseline, **more)
        return p

    def journal(self, p, plan_id="orders-ref"):
        return p.db.value("SELECT description FROM phasegate.migration_history WHERE plan = '%s' AND step = 'purge' AND kind = 'transition'"
                          % plan_id)

    def test_refused_without_snapshots(self):
        p = self.bare()
        p.advance_through("orders-ref", "contract")
        before = p.dump()
        error = p.refused("snapshot", "purge", "orders-ref", *CONFIRM)
        self.assertIn("would be saved nowhere: environment staging has no snapshots:", error["message"])
        self.assertIn("policy: {snapshot: off}", error["hint"])
        dry = p.json("purge", "orders-ref", *CONFIRM, "--dry-run", code=4)["result"]["dry_run"]
        self.assertEqual(([m["reason"] for m in dry["missing"]], dry["snapshot"]), (["snapshot"], None))
        self.assertIsNone(p.status("orders-ref")["next_command"])
        self.assertEqual(p.dump(), before)

    def test_with_snapshots_the_journal_names_it(self):
        p = self.contracted()
        self.assertEqual(p.json("purge", "orders-ref", *CONFIRM, "--dry-run")["result"]["dry_run"]["snapshot"], "would_take")
        self.assertEqual(self.states(p), [])
        p.ok("purge", "orders-ref", *CONFIRM)
        [name] = p.db.column("SELECT name FROM phasegate.snapshot")
        self.assertIn("snapshot: " + name, self.journal(p))

    def test_off_by_policy(self):
        for more in ({"policy": {"snapshot": "off"}}, {"env_policy": {"snapshot": "off"}},
                     {"policy": {"snapshot": "required"}, "env_policy": {"snapshot": "off"}}):
            p = self.bare(**more)
            p.advance_through("orders-ref", "contract")
            done = p.ok("purge", "orders-ref", *CONFIRM, "--dry-run")
            self.assertIn("Snapshot: none, off by policy", done.stdout)
            self.assertIn("policy.snapshot is off", p.ok("purge", "orders-ref", *CONFIRM).stderr)
            self.assertIn("snapshot: none, off by policy", self.journal(p))
            p.ok("history", "--verify")

    def test_off_saves_nothing_anywhere(self):
        p = self.contracted(policy={"snapshot": "off"})
        p.ok("purge", "orders-ref", *CONFIRM)
        self.assertEqual((self.states(p), os.path.exists(p.path("snapshots"))), ([], False))

    def test_the_environment_may_ask_for_it_again(self):
        p = self.bare(policy={"snapshot": "off"}, env_policy={"snapshot": "required"})
        p.advance_through("orders-ref", "contract")
        p.refused("snapshot", "purge", "orders-ref", *CONFIRM)

    def test_where_nothing_would_be_lost_none_is_asked_for(self):
        p = self.bare([contract_of(step("index", "DROP INDEX by_ref"))], baseline=project.ORDERS + "; CREATE INDEX by_ref ON orders (legacy_ref)")
        p.advance("c", "1.5.0")
        self.assertEqual(p.json("purge", "c", "--confirm", "c", "--dry-run")["result"]["dry_run"]["snapshot"], "nothing")
        p.ok("purge", "c", "--confirm", "c")
        self.assertIn("snapshot: none, nothing to save", self.journal(p, "c"))

    def test_rows_that_a_step_deletes_count(self):
        p = self.bare([contract_of(step("clear", "DELETE FROM orders WHERE id > 100"))])
        p.advance("c", "1.5.0")
        p.refused("snapshot", "purge", "c", "--confirm", "c")
        self.assertEqual(p.db.value("SELECT count(*) FROM orders"), "500")


class LookedAfter(Snapshots):
    def test_verified_again(self):
        p = self.contracted()
        s = self.taken(p)
        p.ok("snapshots", "verify", s["name"])
        p.ok("purge", "orders-ref", *CONFIRM)
        p.ok("snapshots", "verify", s["name"])
        self.nothing_left(p)

    def damaged(self, how, name="1.copy.zst"):
        p = self.contracted()
        s = self.taken(p)
        how(self.path(p, s, name))
        error = p.json("snapshots", "verify", s["name"], code=1)["error"]
        self.assertEqual(error["reason"], "snapshot_damaged")
        self.assertEqual(self.states(p), ["damaged"])
        self.nothing_left(p)

    def test_a_flipped_bit(self):
        def flip(path):
            with open(path, "r+b") as f:
                f.seek(30)
                byte = f.read(1)[0]
                f.seek(30)
                f.write(bytes([byte ^ 1]))
        self.damaged(flip)

    def test_a_cut_end(self):
        self.damaged(lambda path: os.truncate(path, os.path.getsize(path) - 10))

    def test_another_ones_rows(self):
        def swap(path):
            text = subprocess.run(["zstd", "-dc", path], capture_output=True, check=True).stdout
            with open(path, "wb") as f:
                f.write(subprocess.run(["zstd", "-c"], input=text.replace(b"R5\n", b"R6\n"), capture_output=True, check=True).stdout)
        self.damaged(swap)

    def test_an_edited_manifest(self):
        def edit(path):
            with open(path, encoding="utf-8") as f:
                text = f.read()
            with open(path, "w", encoding="utf-8") as f:
                f.write(text.replace('"rows": 500', '"rows": 499'))
        self.damaged(edit, "manifest.json")

    def test_no_such_snapshot(self):
        p = self.contracted()
        s = self.taken(p)
        error = p.json("snapshots", "verify", s["name"] + "x", code=2)["error"]
        self.assertIn("did you mean", error["message"])
        p.exits(2, "snapshots", "verify")
        p.exits(2, "snapshots", "list", s["name"])

    def test_pruned_when_its_time_is_over(self):
        p = self.contracted(keep="1ms")
        s = self.taken(p)
        # The last good one of a plan in its hold stays.
        self.assertEqual(p.json("snapshots", "prune")["result"]["databases"][0]["pruned"], [])
        t = self.taken(p)
        self.assertEqual([x["name"] for x in p.json("snapshots", "prune")["result"]["databases"][0]["pruned"]], [s["name"]])
        self.assertEqual((self.states(p), os.listdir(p.path("snapshots"))), (["pruned", "verified"], [t["name"]]))
        p.ok("purge", "orders-ref", *CONFIRM)
        p.ok("snapshots", "prune")
        self.assertEqual(os.listdir(p.path("snapshots")), [])
        self.assertIn("nothing is to be removed", p.ok("snapshots", "prune").stdout)
        self.assertEqual(p.refused("pruned", "snapshots", "verify", s["name"])["reason"], "pruned")

    def test_kept_for_its_time(self):
        p = self.contracted()
        self.taken(p)
        self.taken(p)
        self.assertEqual(p.json("snapshots", "prune")["result"]["databases"][0]["pruned"], [])


class Back(Snapshots):
    """After the purge: the column is there again, and was written to."""

    def purged(self, body=None, **more):
        p = self.saving([body or full_plan()], **more)
        p.advance_through("orders-ref", "contract")
        p.ok("purge", "orders-ref", *CONFIRM)
        self.name = p.db.value("SELECT name FROM phasegate.snapshot")
        return p

    def back(self, p, name=None):
        return p.json("restore", "--from", name or self.name, "orders-ref")["result"]["parts"]

    def one_way(self):
        body = full_plan()
        del body["sync"]["reverse"]
        return body

    def test_every_row(self):
        p = self.purged()
        p.db.psql("ALTER TABLE orders ADD COLUMN legacy_ref text")
        [part] = self.back(p)
        self.assertEqual((part["rows"]["restored"], sum(part["rows"].values())), (500, 500))
        self.assertEqual(p.db.value("SELECT count(*) FROM orders WHERE legacy_ref = 'R' || id"), "500")
        [part] = self.back(p)
        self.assertEqual(part["rows"]["same"], 500)
        self.assertEqual(len(p.db.psql("SELECT 1 FROM phasegate.migration_history WHERE description LIKE '500 rows restored%'")), 1)

    AFTER = """ALTER TABLE orders ADD COLUMN legacy_ref text;
        UPDATE orders SET legacy_ref = 'mine' WHERE id IN (1, 2);
        UPDATE orders SET external_ref = 'late' WHERE id = 3;
        DELETE FROM orders WHERE id = 4;
        INSERT INTO orders (id, external_ref) VALUES (901, 'new'); INSERT INTO orders (id, external_ref, legacy_ref) VALUES (902, 'n', 'o')"""

    def check_written_since(self, p, recomputed):
        [part] = self.back(p)
        rows, keys = part["rows"], part["keys"]
        self.assertEqual((rows["restored"], keys["gone"]), (496, ["4"]))
        if recomputed:
            self.assertEqual((keys["changed"], keys["recomputed"], keys["newer_recomputed"], keys["newer"]),
                             (["1", "2"], ["3"], ["901"], ["902"]))
        else:
            self.assertEqual((sorted(keys["changed"]), keys["recomputed"], sorted(keys["newer"])), (["1", "2", "3"], [], ["901", "902"]))
        end = p.db.psql("SELECT id, legacy_ref FROM orders WHERE id IN (1, 2, 3, 4, 5, 901, 902) ORDER BY id")
        self.assertEqual(end, [["1", "mine"], ["2", "mine"], ["3", "late" if recomputed else None], ["5", "R5"],
                               ["901", "new" if recomputed else None], ["902", "o"]])
        all_rows = p.db.psql("SELECT * FROM orders ORDER BY id")
        [again] = self.back(p)
        self.assertEqual((again["rows"]["restored"], again["rows"]["same"]), (0, 496))
        self.assertEqual(sorted(again["keys"]["changed"]), sorted(keys["changed"]))
        self.assertEqual(p.db.psql("SELECT * FROM orders ORDER BY id"), all_rows)

    def test_what_was_written_since_stays_and_is_recomputed(self):
        p = self.purged()
        p.db.psql(self.AFTER)
        self.check_written_since(p, True)

    def test_a_dry_run_compares_and_writes_nothing(self):
        p = self.purged()
        p.db.psql(self.AFTER)
        rows, notes = "SELECT * FROM orders ORDER BY id", "SELECT count(*) FROM phasegate.migration_history"
        before = p.db.psql(rows), p.db.psql(notes)
        with p.db.session("BEGIN", "LOCK TABLE phasegate.migration_lock"):  # who only looks asks for no lease
            result = p.json("restore", "orders-ref", "--from", self.name, "--dry-run")["result"]
        self.assertEqual((p.db.psql(rows), p.db.psql(notes)), before)
        self.assertTrue(result["compared_only"])
        shown = p.ok("restore", "orders-ref", "--from", self.name, "--dry-run").stdout
        self.assertIn("nothing is written", shown)
        self.assertIn("496 would be restored", shown)
        self.assertIn("1 deleted since: would not be brought back (4)", shown)
        self.assertEqual(self.back(p), result["parts"])

    def test_without_reverse_it_is_only_listed(self):
        p = self.purged(self.one_way())
        p.db.psql(self.AFTER)
        self.check_written_since(p, False)
        text = p.ok("restore", "--from", self.name, "orders-ref").stdout
        self.assertIn("3 written since: left as they are (", text)
        self.assertIn("1 deleted since: not brought back (4)", text)

    def test_by_the_path_of_its_folder(self):
        p = self.purged()
        p.db.psql("ALTER TABLE orders ADD COLUMN legacy_ref text; DELETE FROM phasegate.snapshot")
        os.rename(p.path("snapshots"), p.path("elsewhere"))
        [part] = self.back(p, p.path("elsewhere", self.name))
        self.assertEqual(part["rows"]["restored"], 500)

    def test_a_copy_of_its_folder_under_another_name(self):
        p = self.purged()
        p.db.psql("ALTER TABLE orders ADD COLUMN legacy_ref text; DELETE FROM phasegate.snapshot")
        os.rename(p.path("snapshots", self.name), p.path("saved"))
        [part] = self.back(p, p.path("saved"))
        self.assertEqual(part["rows"]["restored"], 500)

    def test_what_is_no_file(self):
        """A pipe would keep us for ever."""
        p = self.purged()
        p.db.psql("ALTER TABLE orders ADD COLUMN legacy_ref text")
        for name in ("1.copy.zst", "manifest.json"):
            path = p.path("snapshots", self.name, name)
            os.unlink(path)
            os.mkfifo(path)
            error = p.json("restore", "--from", self.name, "orders-ref", code=3, timeout=30)["error"]
            self.assertIn(path + " isn't a file", error["message"])

    def test_a_manifest_that_says_more(self):
        p = self.purged()
        p.db.psql("ALTER TABLE orders ADD COLUMN legacy_ref text; DELETE FROM phasegate.snapshot")
        path = p.path("snapshots", self.name, "manifest.json")
        with open(path, encoding="utf-8") as f:
            text = f.read()
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace('"rows": 500', '"rows": 501'))
        for more in ((), ("--dry-run",)):
            error = p.json("restore", "--from", p.path("snapshots", self.name), "orders-ref", *more, code=1)["error"]
            self.assertEqual(error["reason"], "snapshot_damaged")
            self.assertIn("comes back from the snapshot with 500 rows; its manifest says 501", error["message"])

    def test_killed_in_the_middle(self):
        p = self.purged(baseline=project.ORDERS.replace("500", "12000"))
        p.db.psql(self.AFTER.replace("901", "90001").replace("902", "90002"))
        p.db.psql("CREATE TABLE before AS TABLE orders")

        def end():
            rows = p.db.value("SELECT md5(string_agg(o::text, ',' ORDER BY id)) FROM orders o")
            p.db.psql("TRUNCATE orders; INSERT INTO orders SELECT * FROM before")
            return rows

        count = p.path("count")
        p.ok("restore", "--from", self.name, "orders-ref", env={"PHASEGATE_FAULT_COUNT": count})
        with open(count, encoding="utf-8") as f:
            points = int(f.read().split()[-1])
        want = end()
        self.assertGreater(points, 30)
        killed = 0
        for point in range(3, points + 1, 3):
            for how in ("kill-after", "kill-before") if point % 2 else ("kill-after",):
                with self.subTest(how=how, point=point):
                    done = p.run("restore", "--from", self.name, "orders-ref", env={"PHASEGATE_FAULT": "%s:%d" % (how, point)})
                    killed += done.rc < 0
                    p.ok("restore", "--from", self.name, "orders-ref")
                    self.assertEqual(end(), want)
        self.assertGreater(killed, 10)

    def test_not_before_the_column_is_there(self):
        p = self.purged()
        error = p.refused("column_absent", "restore", "--from", self.name, "orders-ref")
        self.assertIn("has no column legacy_ref", error["message"])
        self.assertIn("--compensates orders-ref", error["hint"])

    def test_while_it_is_hidden_it_says_the_short_way(self):
        p = self.contracted()
        s = self.taken(p)
        error = p.refused("column_absent", "restore", "--from", s["name"], "orders-ref")
        self.assertEqual(error["hint"], "it is only hidden: phasegate restore orders-ref")

    def test_a_damaged_one_writes_nothing(self):
        p = self.purged()
        p.db.psql("ALTER TABLE orders ADD COLUMN legacy_ref text")
        path = p.path("snapshots", self.name, "1.copy.zst")
        text = subprocess.run(["zstd", "-dc", path], capture_output=True, check=True).stdout
        with open(path, "wb") as f:
            f.write(subprocess.run(["zstd", "-c"], input=text.replace(b"R5\n", b"R6\n"), capture_output=True, check=True).stdout)
        self.assertEqual(p.json("restore", "--from", self.name, "orders-ref", code=1)["error"]["reason"], "snapshot_damaged")
        self.assertEqual(p.db.value("SELECT count(legacy_ref) FROM orders"), "0")

    def test_an_edited_manifest_runs_nothing(self):
        """The folder is others' too: what they write there must not become SQL of ours."""
        p = self.purged()
        p.db.psql("ALTER TABLE orders ADD COLUMN legacy_ref text")
        path = p.path("snapshots", self.name, "manifest.json")
        with open(path, encoding="utf-8") as f:
            text = f.read()
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace('"type": "text"', '"type": "text); CREATE TABLE planted (a int"'))
        self.assertIn('"type": "text"', text)
        for name in (self.name, p.path("snapshots", self.name)):  # by its path nobody knows what was written
            error = p.json("restore", "--from", name, "orders-ref", code=1)["error"]
            self.assertEqual(error["reason"], "snapshot_damaged", error)
        self.assertEqual(p.db.psql("SELECT to_regclass('planted')"), [[None]])

    def test_names_that_are_none(self):
        p = self.purged()
        self.assertIn("there is no snapshot", p.json("restore", "--from", "nothing", "orders-ref", code=2)["error"]["message"])
        p.write_plan(project.column_plan("other", 20260102000000))
        error = p.refused("other_plan", "restore", "--from", self.name, "other")
        self.assertIn("is of plan orders-ref", error["message"])

    def table(self, sql):
        p = self.saving([contract_of(step("drop", "DROP TABLE legacy"))], baseline=sql)
        before = p.db.psql("SELECT * FROM legacy ORDER BY 1")
        p.advance("c", "1.5.0")
        p.ok("purge", "c", "--confirm", "c")
        p.db.psql(sql.split(";")[0])
        return p, before, p.db.value("SELECT name FROM phasegate.snapshot")

    def test_a_table(self):
        p, before, name = self.table("""CREATE TABLE legacy (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, b text);
            INSERT INTO legacy (b) SELECT 'x' || i FROM generate_series(1, 9000) i""")
        p.db.psql("INSERT INTO legacy (b) VALUES ('mine'), ('x2')")
        [part] = p.json("restore", "--from", name, "c")["result"]["parts"]
        self.assertEqual((part["rows"]["restored"], part["rows"]["same"], part["keys"]["changed"]), (8998, 1, ["1"]))
        before[0][1] = "mine"
        self.assertEqual(p.db.psql("SELECT * FROM legacy ORDER BY 1"), before)

    def test_columns_that_are_computed(self):
        """Also where they are the key, or are all that there is."""
        p, before, name = self.table("""CREATE TABLE legacy (id int PRIMARY KEY, net numeric, gross numeric GENERATED ALWAYS AS (net * 2) STORED,
            "n'x" text);INSERT INTO legacy (id, net) SELECT i, i FROM generate_series(1, 50) i""")
        p.ok("restore", "--from", name, "c")
        self.assertEqual(p.db.psql("SELECT * FROM legacy ORDER BY 1"), before)
        p, before, name = self.table("""CREATE TABLE legacy (n int, id int GENERATED ALWAYS AS (n + 1) STORED PRIMARY KEY);
            INSERT INTO legacy (n) VALUES (1), (2)""")
        p.ok("restore", "--from", name, "c")
        self.assertEqual(p.db.psql("SELECT * FROM legacy ORDER BY 1"), before)
        p, before, name = self.table("""CREATE TABLE legacy (a int, b int GENERATED ALWAYS AS (a + 1) STORED);
            INSERT INTO legacy (a) VALUES (1), (1), (NULL)""")
        p.ok("restore", "--from", name, "c")
        self.assertEqual(p.db.psql("SELECT * FROM legacy ORDER BY 1"), before)

    def test_a_column_beside_computed_ones(self):
        p = self.saving([contract_of(step("drop", "ALTER TABLE legacy DROP COLUMN b"))], baseline="""
            CREATE TABLE legacy (a int GENERATED ALWAYS AS IDENTITY, b text, twice int GENERATED ALWAYS AS (a * 2) STORED, PRIMARY KEY (a));
            INSERT INTO legacy (b) VALUES ('x'), ('y')""")
        p.advance("c", "1.5.0")
        p.ok("purge", "c", "--confirm", "c")
        p.db.psql("ALTER TABLE legacy ADD COLUMN b text")
        p.ok("restore", "--from", p.db.value("SELECT name FROM phasegate.snapshot"), "c")
        self.assertEqual(p.db.psql("SELECT a, b, twice FROM legacy ORDER BY 1"), [["1", "x", "2"], ["2", "y", "4"]])

    def test_a_computed_column(self):
        """It holds nothing of its own: it comes back with what it is computed from."""
        p = self.saving([contract_of(step("drop", "ALTER TABLE legacy DROP COLUMN twice"))], baseline="""
            CREATE TABLE legacy (a int PRIMARY KEY, twice int GENERATED ALWAYS AS (a * 2) STORED);
            INSERT INTO legacy (a) VALUES (1), (2)""")
        p.advance("c", "1.5.0")
        p.ok("purge", "c", "--confirm", "c")
        self.assertEqual(p.columns("legacy"), ["a"])

    def test_a_partitioned_table(self):
        p, before, name = self.table("""CREATE TABLE legacy (k int, at date NOT NULL, s text, PRIMARY KEY (k, at)) PARTITION BY RANGE (at);
            CREATE TABLE legacy_1 PARTITION OF legacy FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
            CREATE TABLE legacy_rest PARTITION OF legacy DEFAULT;
            INSERT INTO legacy SELECT i, date '2026-01-01' + i, 'x' FROM generate_series(1, 60) i""")
        p.db.psql("CREATE TABLE legacy_all PARTITION OF legacy DEFAULT")
        p.ok("restore", "--from", name, "c")
        self.assertEqual(p.db.psql("SELECT * FROM legacy ORDER BY 1"), before)
        self.assertEqual(p.db.psql("SELECT to_regclass('legacy_1'), to_regclass('phasegate_hold.legacy_1')"), [[None, None]])

    def test_a_table_with_policies(self):
        p, before, name = self.table("""CREATE TABLE legacy (id int PRIMARY KEY, b text);INSERT INTO legacy VALUES (1, 'x'), (2, NULL);
            CREATE POLICY mine ON legacy USING (b = current_user); CREATE STATISTICS legacy_both ON id, b FROM legacy""")
        p.ok("restore", "--from", name, "c")
        self.assertEqual(p.db.psql("SELECT * FROM legacy ORDER BY 1"), before)

    def test_a_table_with_rules(self):
        p, before, name = self.table("""CREATE TABLE legacy (id int PRIMARY KEY, b text);CREATE TABLE log (what text);
            INSERT INTO legacy VALUES (1, 'x'), (2, NULL);
            CREATE RULE logged AS ON INSERT TO legacy DO ALSO INSERT INTO log VALUES (NEW.b);
            CREATE RULE kept AS ON DELETE TO legacy DO INSTEAD NOTHING""")
        p.ok("restore", "--from", name, "c")
        self.assertEqual(p.db.psql("SELECT * FROM legacy ORDER BY 1"), before)

    def test_a_table_without_a_key(self):
        p, before, name = self.table("CREATE TABLE legacy (a int, b text); INSERT INTO legacy VALUES (1, 'x'), (1, 'x'), (NULL, NULL)")
        p.ok("restore", "--from", name, "c")
        self.assertEqual(p.db.psql("SELECT * FROM legacy ORDER BY 1"), before)
        self.assertIn("zstd -dc", p.refused("no_key", "restore", "--from", name, "c")["hint"])


if __name__ == "__main__":
    unittest.main()

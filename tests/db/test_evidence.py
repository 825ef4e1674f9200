"""evidence: a bundle of what was done, and whether it is what it was."""

import hashlib
import io
import json
import os
import tarfile
import time
import unittest

import pgtest
import project

FILES = ["manifest.json", "plan.yaml", "plan.json", "journal.jsonl", "steps.json", "transitions.json", "approvals.json", "checklist.json", "flags.json",
         "verification.json", "hidden.json", "snapshots.json", "restore_points.json", "preflight.json", "settings.json"]


class Evidence(project.Case):
    def lab(self, **more):
        p = self.project(plans=[project.full_plan("orders-ref", **more), project.column_plan("other", stamp=20260102000000, phases={"expand": project.phase(
            "expand", steps=[project.step("other-column", "ALTER TABLE orders ADD COLUMN other text")])})],
            policy={"approvals": {"contract": 1}})
        p.environment["snapshots"] = {"to": "snapshots", "keep": "30d"}
        p.write()
        return p

    def life(self, p):
        """All of it, with another plan's rows in between."""
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        p.ok("advance", "other", "--release", "1.1.0")
        p.ok("advance", "orders-ref", "--release", "1.2.0")
        p.ok("advance", "orders-ref", "--release", "1.3.0")
        p.ok("--as", "alice", "approve", "orders-ref", "contract", "--because", "seen")
        p.ok("advance", "orders-ref", "--release", "1.5.0")
        p.ok("purge", "orders-ref", "--confirm", "orders-ref")

    def bundle(self, p, name="e.tar", code=0):
        p.exits(code, "evidence", "orders-ref", "--out", name)
        with tarfile.open(p.path(name)) as tar:
            return {m.name: tar.extractfile(m).read() for m in tar.getmembers()}

    def pack(self, p, files, name="changed.tar", order=None):
        with tarfile.open(p.path(name), "w", format=tarfile.USTAR_FORMAT) as tar:
            for member in order or files:
                info = tarfile.TarInfo(member)
                info.size = len(files[member])
                tar.addfile(info, io.BytesIO(files[member]))
        return name

    def resum(self, files):
        """The manifest made anew, as somebody would who changes a file."""
        manifest = json.loads(files["manifest.json"])
        for f in manifest["files"]:
            f["bytes"], f["sha256"] = len(files[f["name"]]), hashlib.sha256(files[f["name"]]).hexdigest()
        files["manifest.json"] = json.dumps(manifest).encode()

    def faults(self, p, name, code=1):
        answer = p.json("evidence", "--verify", name, code=code)
        return [(f["where"], f["what"]) for f in answer["result"]["differs"]]

    def test_who_has_signed_the_checklist(self):
        p = self.lab(validation=[{"id": "rows", "sql": "SELECT count(*) FROM orders", "expect": "unchanged"}, {"id": "seen", "manual": "The export"}])
        self.life(p)
        p.ok("--as", "olga", "verify", "orders-ref", "--sign", "seen", "--because", "compared")
        rows = json.loads(self.bundle(p)["checklist.json"])
        self.assertEqual([(r["kind"], r["item"], r["who"] == "olga", r["void"]) for r in rows],
                         [("before", None, False, False), ("signature", "seen", True, False), ("validation", None, True, False)])
        self.assertEqual(rows[0]["detail"]["items"][0]["value"], "500")
        self.assertEqual(rows[2]["description"], "accepted: 2 of 2 items hold")
        p.ok("evidence", "--verify", "e.tar")

    def test_what_is_in_it(self):
        p = self.lab()
        self.life(p)
        files = self.bundle(p)
        self.assertEqual(list(files), FILES)
        with open(p.path(p.plan_file(project.full_plan("orders-ref"))), "rb") as f:
            self.assertEqual(files["plan.yaml"], f.read())
        read = {name: json.loads(text) for name, text in files.items() if name.endswith(".json")}
        self.assertEqual((read["plan.json"]["stage"], read["plan.json"]["edited"]), ("purged", []))
        self.assertIn("ALTER TABLE orders ADD COLUMN external_ref text", [s["sql"] for s in read["steps.json"]])
        self.assertIn("proof: ", " ".join(t["description"] for t in read["transitions.json"]))
        self.assertEqual([(a["who"], a["because"], a["of_the_phase_as_it_is"]) for a in read["approvals.json"]], [("alice", "seen", True)])
        self.assertEqual(read["verification.json"]["backfills"][0]["rows"], 500)
        self.assertEqual(read["hidden.json"][0]["name"], "legacy_ref")
        snapshot = read["snapshots.json"][0]
        self.assertTrue(snapshot["verified_at"])
        self.assertEqual(snapshot["manifest"]["plan"], "orders-ref")
        self.assertEqual([(x["before"], x["archived_at"]) for x in read["restore_points.json"]], [("contract", None), ("purge", None)])
        self.assertEqual(read["settings.json"]["policy"]["hold"]["from"], "default")
        rows = [json.loads(line) for line in files["journal.jsonl"].splitlines()]
        self.assertEqual(len(rows), int(p.db.value("SELECT count(*) FROM phasegate.migration_history")))
        self.assertEqual({r["own"] for r in rows}, {True, False})
        self.assertTrue(all((r["content"] is not None) == r["own"] for r in rows))
        self.assertNotIn(b"other-column", files["journal.jsonl"])  # of others only the links
        self.assertEqual(read["manifest.json"]["chain"]["head"], p.db.value("SELECT encode(hash, 'hex') FROM phasegate.journal_head"))

    def test_no_secrets(self):
        p = self.lab()
        p.environment["databases"]["default"]["url"] = "${DATABASE_URL}"
        p.environment["notify"] = [{"webhook": "http://127.0.0.1:9/secret-hook"}]
        p.write()
        p.env["DATABASE_URL"] += ("&" if "?" in p.env["DATABASE_URL"] else "?" if "://" in p.env["DATABASE_URL"] else " ") + "password=secret-word"
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        for name, text in self.bundle(p).items():
            self.assertNotIn(b"secret-word", text, name)
            self.assertNotIn(b"secret-hook", text, name)

    def test_it_is_whole(self):
        p = self.lab()
        self.life(p)
        self.bundle(p)
        os.rename(p.path("e.tar"), p.path("moved.tar"))
        # Without project, database, or a file of ours.
        done = pgtest.run_phasegate(["evidence", "--verify", p.path("moved.tar")], cwd="/")
        self.assertEqual(done.rc, 0, done)
        self.assertIn("whole: every sum is right and the chain holds", done.stdout)
        answer = p.json("evidence", "--verify", "moved.tar")["result"]
        self.assertEqual((answer["plan"], answer["differs"], answer["files"]), ("orders-ref", [], len(FILES)))
        with open(p.path("moved.tar"), "rb") as f:
            self.assertIn("sha256 " + answer["manifest_sha256"], done.stdout)
            self.assertEqual(os.fstat(f.fileno()).st_mode & 0o777, 0o600)

    def test_the_same_evidence_is_the_same_bytes(self):
        p = self.lab()
        self.life(p)
        self.bundle(p, "a.tar")
        time.sleep(1.1)
        self.bundle(p, "b.tar")
        with open(p.path("a.tar"), "rb") as a, open(p.path("b.tar"), "rb") as b:
            self.assertEqual(a.read(), b.read())

    def test_looking_writes_nothing(self):
        p = self.lab()
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        before = p.dump()
        self.bundle(p)
        self.assertEqual(p.dump(), before)

    def test_before_anything(self):
        p = self.lab()
        files = self.bundle(p)
        self.assertEqual((files["journal.jsonl"], json.loads(files["steps.json"])), (b"", []))
        self.assertEqual(self.faults(p, "e.tar", code=0), [])

    def test_what_differs_is_named(self):
        p = self.lab()
        self.life(p)
        whole = self.bundle(p)

        def faults(change, order=None):
            files = dict(whole)
            change(files)
            return self.faults(p, self.pack(p, files, order=order))

        def change(name, old, new):
            def inner(files):
                self.assertIn(old, files[name])
                files[name] = files[name].replace(old, new)
            return inner

        self.assertEqual([w for w, _ in faults(change("approvals.json", b"alice", b"mallory"))], ["approvals.json"])
        same_size = faults(change("approvals.json", b"alice", b"bobby"))
        self.assertRegex(same_size[0][1], "was changed: its SHA-256 is [0-9a-f]{64}, the manifest says [0-9a-f]{64}")
        self.assertEqual(faults(lambda f: f.pop("flags.json")), [("flags.json", "is missing")])
        self.assertEqual(faults(lambda f: f.update({"more.txt": b"x"})), [("more.txt", "isn't in the manifest")])
        self.assertEqual(faults(lambda f: None, order=list(whole) + ["steps.json"]), [("steps.json", "is there twice")])
        self.assertEqual(faults(lambda f: f.pop("journal.jsonl"))[0], ("journal.jsonl", "is missing"))

    def test_a_changed_journal_is_found_behind_a_manifest_that_fits(self):
        p = self.lab()
        self.life(p)
        whole = self.bundle(p)

        def faults(edit):
            files = dict(whole)
            rows = [json.loads(line) for line in files["journal.jsonl"].splitlines()]
            edit(rows)
            files["journal.jsonl"] = b"".join(json.dumps(r).encode() + b"\n" for r in rows)
            self.resum(files)
            return self.faults(p, self.pack(p, files))

        def mine(rows):
            return [i for i, r in enumerate(rows) if r["own"]][2]

        def content(rows):
            i = mine(rows)
            rows[i]["content"] = rows[i]["content"].replace("orders-ref", "orders-reg")

        def rehash(rows):
            content(rows)
            i = mine(rows)
            rows[i]["content"] = rows[i]["content"].replace("orders-reg", "orders-ref").replace("expand", "expanD")
            rows[i]["hash"] = hashlib.sha256(bytes.fromhex(rows[i]["prev_hash"]) + rows[i]["content"].encode()).hexdigest()

        number = json.loads(whole["journal.jsonl"].splitlines()[mine([json.loads(l) for l in whole["journal.jsonl"].splitlines()])])["seq"]
        self.assertEqual([w for w, _ in faults(content)], ["journal row %d" % number])
        self.assertEqual(faults(rehash), [("journal row %d" % (number + 1), "doesn't follow the row before it")])
        cut = faults(lambda rows: rows.pop(4))
        self.assertIn(("journal row 6", "comes behind row 4"), cut)
        self.assertIn("doesn't end where the ledger's chain ended", " ".join(what for _, what in faults(lambda rows: rows.pop())))
        self.assertIn("is the plan's, and without what was hashed",
                      " ".join(what for _, what in faults(lambda rows: rows[mine(rows)].update(content=None))))

    def test_a_journal_that_was_changed_in_the_database(self):
        p = self.lab()
        self.life(p)
        p.db.psql("ALTER TABLE phasegate.migration_history DISABLE TRIGGER USER;"
                  "UPDATE phasegate.migration_history SET applied_by = 'mallory' WHERE seq = 3")
        p.exits(1, "evidence", "orders-ref", "--out", "e.tar")
        found = dict(self.faults(p, "e.tar"))
        self.assertIn("was changed", found["journal row 3"])
        self.assertIn("the chain was broken in the ledger already: row 3 was changed", found["journal.jsonl"])

    def test_an_edited_plan_is_said(self):
        p = self.lab()
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        body = project.full_plan("orders-ref")
        body["phases"]["expand"]["steps"][0]["sql"] = "ALTER TABLE orders ADD COLUMN external_ref varchar"
        p.write_plan(body)
        said = json.loads(self.bundle(p)["plan.json"])
        self.assertEqual([(e["step"], e["recorded_sql"]) for e in said["edited"]], [("column", "ALTER TABLE orders ADD COLUMN external_ref text")])
        self.assertNotEqual(said["checksum"], said["checksum_when_advanced"])

    def test_what_is_no_bundle(self):
        p = self.lab()
        p.put("text", "no tar\n" * 300)
        p.put("empty", "")
        for name in ("text", "empty", "absent"):
            done = p.exits(2, "evidence", "--verify", name)
            self.assertIn(name, done.stderr)
        with tarfile.open(p.path("link.tar"), "w") as tar:
            info = tarfile.TarInfo("manifest.json")
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(info)
        self.assertIn("no plain file", p.exits(2, "evidence", "--verify", "link.tar").stderr)
        self.assertIn("no bundle of evidence", p.exits(2, "evidence", "--verify", self.pack(p, {"a": b"x"})).stderr)
        self.assertIn("version is 2", p.exits(2, "evidence", "--verify", self.pack(p, {"manifest.json": b'{"evidence": 2, "files": []}'})).stderr)
        p.exits(2, "evidence", "--verify", self.pack(p, {"manifest.json": b"[" * 100000}))

    def test_usage(self):
        p = self.lab()
        for args in ([], ["orders-ref"], ["--out", "x"], ["orders-ref", "--verify", "x"], ["--verify", "x", "--out", "y"]):
            self.assertIn("evidence", p.exits(2, "evidence", *args).stderr, args)
        self.assertFalse(os.path.exists(p.path("x")))

    def test_a_folder_that_is_not_there(self):
        p = self.lab()
        self.assertNotEqual(p.run("evidence", "orders-ref", "--out", "none/x.tar").rc, 0)


if __name__ == "__main__":
    unittest.main()

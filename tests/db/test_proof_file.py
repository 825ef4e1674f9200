"""--proof FILE: for which schema it counts, what makes it no proof at all, and that a dry run says the same as the run."""

import json
import time
import unittest

import project
from project import column_plan, full_plan, phase, step
from test_proof import BOTH, NEW, NOTHING, OLD, RIGHT

ADVANCE = ("advance", "orders-ref", "--release", "1.1.0", "--proof", "proof.json")


def print_of(objects):
    """What `catalogue` of a schema is: over its things, by name."""
    full, prime = 2 ** 64 - 1, 1099511628211
    h = 14695981039346656037
    for name, value in sorted((n.encode(), v) for n, v in objects.items() if v is not None):
        for byte in name + b"\xff":
            h = (h ^ byte) * prime & full
        h = (h ^ int(value, 16)) * 0x9e3779b97f4a7c15 & full
    return "%016x" % h


def sign(doc):
    """After a change by hand: each schema is called again what it is."""
    told, now = {}, {}
    for schema in doc["schemas"]:
        told.update(schema["objects"])
        now[schema["catalogue"]] = print_of(told)
        schema["catalogue"] = now[schema["catalogue"]]
    for proof in doc["proofs"]:
        proof["catalogue"] = now[proof["catalogue"]]
    return doc


class FileCase(project.Case):
    def with_proof(self, releases=RIGHT, plans=None, baseline=project.ORDERS, more=None, check=()):
        p = self.project(plans=plans or [full_plan()])
        for row in p.body["releases"]:
            sql = releases.get(row["version"])
            if sql:
                p.put(row["version"] + ".sql", sql)
                row["statements"] = row["version"] + ".sql"
                row.pop("planned")
        p.body["baseline"] = "baseline.sql"
        p.body.update(more or {})
        p.put("baseline.sql", baseline + ";\n")
        p.write()
        self.made = p.run("check", "--format", "json", *check).json
        p.put("proof.json", json.dumps(self.made))
        return p

    def both(self, p, *args, **more):
        """A dry run and the run: the same verdict, and the same words."""
        dry, run = (p.run(*words, "--format", "json", **more) for words in ((*args, "--dry-run"), args))
        self.assertEqual((dry.rc, dry.json["error"]), (run.rc, run.json["error"]), "%s\n%s" % (dry, run))
        return run

    def assert_refused(self, p, *words, args=ADVANCE):
        run = self.both(p, *args)
        self.assertEqual((run.rc, run.json["error"]["reason"]), (4, "proof"), run)
        for word in words:
            self.assertIn(word, run.json["error"]["message"])
        self.assertNotIn("external_ref", p.columns())
        return run.json["error"]["message"]

    def assert_taken(self, p, args=ADVANCE):
        dry = p.json(*args, "--dry-run", env=NOTHING)["result"]["plans"][0]
        self.assertEqual((dry["go"], dry["proof"]), (True, "from_file"))
        run = p.json(*args, env=NOTHING)["result"]["plans"][0]
        self.assertEqual((run["proof"], run["proof_summary"]["source"]), ("proved", "file"))


class AsThingsAre(FileCase):
    """What the file can't know of: flags, and who is live."""

    def test_a_flag_that_is_up_before_its_rollout(self):
        other = project.plan("later", 20260201000000, flags={"read": {"key": "later-read"}}, phases={
            "dual_read": phase("dual_read", release="1.8.0", rollout=[{"percent": 100}])})
        p = self.with_proof(plans=[full_plan(), other])
        p.ok("flags", "set", "later-read", "100")
        self.assert_refused(p, 'flag "later-read" is up before its rollout, and the proof in proof.json counts on its being off')
        p.ok("flags", "set", "later-read", "0")
        self.assert_taken(p)

    def test_a_release_beside_it_without_statements(self):
        p = self.with_proof(releases={v: sql for v, sql in RIGHT.items() if v != "1.0.0"})
        self.assert_refused(p, "release 1.0.0, which may be live beside 1.1.0, has no statements")

    def test_a_release_becomes_a_consumer_of_its_name(self):
        p = self.with_proof()
        row = dict(next(r for r in reversed(p.body["releases"]) if "statements" in r))
        p.body["releases"] = [{"version": r["version"], "planned": True} if r["version"] == row["version"] else r for r in p.body["releases"]]
        p.body["consumers"] = [{"name": row["version"], "statements": row["statements"]}]
        p.write()
        self.assert_refused(p, "the statements of the releases were edited since")


class Schema(FileCase):
    def test_what_differs_is_named(self):
        p = self.with_proof(baseline=project.ORDERS + "; CREATE VIEW report AS SELECT id FROM orders; CREATE TYPE mood AS ENUM ('a', 'b'); "
                                                     "CREATE TABLE gone (id int); CREATE TABLE same (id int)")
        p.db.psql("CREATE TABLE users (id int); CREATE VIEW report AS SELECT 1 AS id; CREATE TYPE mood AS ENUM ('b', 'a'); CREATE TABLE same (id int)")
        told = self.assert_refused(p, "schema of the database isn't the one that it was made for", "table public.users: only here",
                                   "view public.report differs", "table public.gone: only in the proof", "type public.mood differs")
        for same in ("public.orders", "public.same"):
            self.assertNotIn(same, told)
        p.db.psql("DROP TABLE users; DROP VIEW report; CREATE VIEW report AS SELECT id FROM orders; CREATE TABLE gone (id int); "
                  "DROP TYPE mood; CREATE TYPE mood AS ENUM ('a', 'b')")
        self.assert_taken(p)

    def test_in_every_phase(self):
        p = self.with_proof()
        for ph in project.PHASES:
            args = ("advance", "orders-ref", "--release", project.BOUND[ph], "--proof", "proof.json")
            p.db.psql("CREATE TABLE users (id int)")
            self.assertIn("(table public.users: only here)", p.refused("proof", *args, env=NOTHING)["message"])
            p.db.psql("DROP TABLE users; CREATE TABLE flyway_schema_history (version text)")
            self.assert_taken(p, args)
            p.db.psql("DROP TABLE flyway_schema_history")
        args = ("purge", "orders-ref", "--confirm", "orders-ref", "--proof", "proof.json")
        p.db.psql("ALTER TABLE orders ADD COLUMN by_hand int")
        self.assertIn("(table public.orders differs)", p.refused("proof", *args, env=NOTHING)["message"])
        p.db.psql("ALTER TABLE orders DROP COLUMN by_hand; CREATE TABLE flyway_schema_history (version text)")
        p.ok(*args, env=NOTHING)

    def test_many_are_counted(self):
        p = self.with_proof()
        p.db.psql("; ".join("CREATE TABLE extra_%02d (id int)" % i for i in range(30)))
        told = self.assert_refused(p, "table public.extra_00: only here", "and 22 more")
        self.assertNotIn("extra_20", told)

    def test_long_names_are_compared_whole(self):
        """They are shortened where they are shown, and nowhere else."""
        long, twin = "l" * 62, "l" * 61
        schemas = ["s" * 62 + d for d in "ab"]
        make = "; ".join('CREATE SCHEMA %s; CREATE TABLE %s.%sx (id int); CREATE TABLE %s.%s (id int)' % (s, s, long, s, twin) for s in schemas)
        p = self.with_proof(baseline=project.ORDERS + "; " + make + "; CREATE TABLE gone (id int)")
        p.db.psql(make)
        told = self.assert_refused(p, "(table public.gone: only in the proof)")
        self.assertNotIn("ll", told)
        p.db.psql("CREATE TABLE gone (id int); ALTER TABLE %s.%sx ADD COLUMN more int" % (schemas[1], long))
        told = self.assert_refused(p, "(table %s.%sx differs)" % (schemas[1], long))
        p.db.psql("ALTER TABLE %s.%sx DROP COLUMN more" % (schemas[1], long))
        self.assert_taken(p)

    def test_a_name_that_is_longer_than_any(self):
        p = self.with_proof()
        self.made["schemas"][0]["objects"]["table public." + "z" * 5000] = "0" * 16
        p.put("proof.json", json.dumps(sign(self.made)))
        p.db.psql("CREATE TABLE users (id int)")
        told = self.assert_refused(p, "table public.users: only here", "zzz: only in the proof")
        self.assertLess(len(told), 500)

    def test_many_in_any_order(self):
        """Sorted once: half a minute and more, were each put in its place."""
        p = self.with_proof()
        self.made["schemas"][0]["objects"] = dict(self.made["schemas"][0]["objects"], **{
            "table public.t%06d" % i: "%016x" % i for i in range(300000, 0, -1)})
        del self.made["schemas"][1:], self.made["proofs"][1:]
        p.put("proof.json", json.dumps(sign(self.made)))
        p.db.psql("CREATE TABLE users (id int)")
        before = time.monotonic()
        done = p.exits(4, *ADVANCE)
        self.assertLess(time.monotonic() - before, 20)
        self.assertIn("table public.t000001: only in the proof", done.stderr)
        self.assertIn("and 299993 more", done.stderr)

    def test_what_was_told_last_counts(self):
        """A later state takes away, changes, and brings back."""
        p = self.with_proof()
        first, second = self.made["schemas"][:2]
        extra = {"table public.%s" % n: "0" * 16 for n in ("back", "gone", "other")}
        first["objects"].update(extra)
        second["objects"].update({"table public.gone": None, "table public.other": "1" * 16})
        p.put("proof.json", json.dumps(sign(self.made)))
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        p.db.psql("CREATE TABLE users (id int)")
        [proof] = [x for x in self.made["proofs"] if x["phase"] == "dual_read"]
        self.assertEqual(proof["catalogue"], second["catalogue"])
        told = p.refused("proof", "advance", "orders-ref", "--release", "1.2.0", "--proof", "proof.json")["message"]
        self.assertIn("(table public.back: only in the proof; table public.other: only in the proof; table public.users: only here)", told)

    def beside(self, release="1.3.0", sql="ALTER TABLE orders ADD COLUMN note text"):
        """Another plan, which check proves after dual_read of the first."""
        other = project.plan("orders-note", 20260102000000, {"expand": {"release": release, "steps": [step("note", sql)]}})
        p = self.with_proof(plans=[full_plan(), other])
        p.ok("advance", "orders-ref", "--release", "1.1.0", "--proof", "proof.json")
        p.ok("advance", "orders-note", "--release", release)
        return p

    def test_another_plan_has_changed_it_since(self):
        p = self.beside()
        args = ("advance", "orders-ref", "--release", "1.2.0", "--proof", "proof.json")
        error = p.refused("proof", *args)
        self.assertIn("(table public.orders differs)", error["message"])
        self.assertIn("what expand of plan orders-note changed there, which the file proves in another order", error["detail"])
        self.assertIn("without --proof the transition is proved here; or phasegate check --baseline-from URL --format json > FILE", error["hint"])
        # The circle: check over the same files makes the same file.
        p.put("proof.json", p.ok("check", "--format", "json").stdout)
        self.assertEqual(p.refused("proof", *args)["message"], error["message"])
        # The ways out that the hint names.
        p.ok(*args[:-2], "--dry-run")
        p.put("proof.json", p.ok("check", "--baseline-from", p.db.url, "--format", "json").stdout)
        p.ok(*args, env=NOTHING)

    def test_another_plan_and_somebody(self):
        p = self.beside(sql="CREATE TABLE notes (id int)")
        p.db.psql("CREATE TABLE users (id int)")
        error = p.refused("proof", "advance", "orders-ref", "--release", "1.2.0", "--proof", "proof.json")
        self.assertEqual(error["detail"], None)
        self.assertIn("over the plans and the schema as they are now", error["hint"])
        p.db.psql("DROP TABLE users")
        self.assertIn("expand of plan orders-note", p.refused("proof", "advance", "orders-ref", "--release", "1.2.0", "--proof", "proof.json")["detail"])

    def test_what_extensions_own_is_left_aside(self):
        p = self.with_proof()
        p.db.psql("CREATE EXTENSION pg_stat_statements; CREATE SCHEMA stats; CREATE EXTENSION pg_buffercache SCHEMA stats")
        self.assert_taken(p)

    def test_a_view_of_ours_over_an_extension_is_ours(self):
        p = self.with_proof()
        p.db.psql("CREATE EXTENSION pg_stat_statements; CREATE VIEW slow AS SELECT queryid FROM pg_stat_statements")
        self.assert_refused(p, "(view public.slow: only here)")

    def test_bookkeeping_of_migration_tools_is_left_aside(self):
        p = self.with_proof()
        p.db.psql("; ".join("CREATE TABLE %s (id int)" % t for t in (
            "flyway_schema_history", "schema_migrations", "alembic_version", "databasechangelog", "databasechangeloglock",
            "_prisma_migrations", "atlas_schema_revisions")) + "; CREATE TABLE goose_db_version (id serial, version_id int)")
        self.assert_taken(p)

    def test_but_not_where_a_statement_touches_it(self):
        reads = {v: sql + "-- name: Version\nSELECT max(version_num) AS v FROM alembic_version;\n" for v, sql in RIGHT.items()}
        p = self.with_proof(reads, baseline=project.ORDERS + "; CREATE TABLE alembic_version (version_num text)")
        p.db.psql("CREATE TABLE alembic_version (version_num varchar(32)); CREATE TABLE schema_migrations (version text)")
        told = self.assert_refused(p, "(table public.alembic_version differs)")
        self.assertNotIn("schema_migrations", told)

    def test_nor_where_a_step_of_the_plan_does(self):
        renames = project.plan("orders-ref", phases={"expand": phase("expand", steps=[
            step("width", "ALTER TABLE schema_migrations ADD COLUMN at timestamptz")])})
        p = self.with_proof(plans=[renames], baseline=project.ORDERS + "; CREATE TABLE schema_migrations (version text)",
                            releases={v: OLD for v in RIGHT})
        p.db.psql("CREATE TABLE schema_migrations (version bigint)")
        run = self.both(p, *ADVANCE)
        self.assertIn("(table public.schema_migrations differs)", run.json["error"]["message"])

    def test_a_file_of_an_older_phasegate_is_refused(self):
        """It says nothing of functions, rights and settings, and the proof rests on them, too."""
        p = self.with_proof()
        whole = self.made["schemas"]
        for schemas, words in (([{k: v for k, v in s.items() if k != "form"} for s in whole], "an older phasegate wrote it"),
                               ([dict(s, form=1) for s in whole], "an older phasegate wrote it"),
                               (whole[:-1] + [dict(whole[-1], form=1)], "an older phasegate wrote it"),
                               (None, "an older phasegate wrote it"),
                               ([dict(s, form=3) for s in whole], "written by a newer phasegate")):
            with self.subTest(words):
                doc = dict(self.made, schemas=schemas)
                if schemas is None:
                    doc.pop("schemas")
                p.put("proof.json", json.dumps(doc))
                self.assert_refused(p, words)
        self.assertIn("phasegate check --format json > FILE", p.refused("proof", *ADVANCE)["hint"])
        p.put("proof.json", json.dumps(self.made))
        self.assert_taken(p)

    def test_a_file_that_isnt_there(self):
        """Also where nothing begins, so that nothing is to be proved."""
        p = self.with_proof()
        missing = ADVANCE[:-1] + ("nope.json",)
        for done in (False, True):
            if done:
                p.ok(*ADVANCE)
                p.put("nope.json", "{")
            told = self.both(p, *missing)
            self.assertEqual(told.rc, 2, told)
            self.assertIn("nope.json", told.json["error"]["message"])

    def test_a_file_that_lost_a_schema(self):
        p = self.with_proof()
        p.put("proof.json", json.dumps(dict(self.made, schemas=self.made["schemas"][1:])))
        self.assert_refused(p, "the file doesn't say what differs")

    def test_a_file_that_lost_a_thing(self):
        """A setting is missing, and the database's own would count for it."""
        p = self.with_proof()
        p.db.psql("ALTER DATABASE %s SET DateStyle = 'SQL, DMY'; CREATE TABLE users (id int)" % p.db.value("SELECT current_database()"))
        whole = json.dumps(self.made)
        self.assertEqual(json.loads(json.dumps(sign(json.loads(whole)))), self.made)
        for name in ("setting DateStyle", "table public.orders", "schema public"):
            doc = json.loads(whole)
            del doc["schemas"][0]["objects"][name]
            p.put("proof.json", json.dumps(doc))
            self.assert_refused(p, "what the file tells of it isn't whole, or was changed")
        doc = json.loads(whole)
        doc["schemas"][0]["objects"]["setting DateStyle"] = "0" * 16
        p.put("proof.json", json.dumps(doc))
        self.assert_refused(p, "what the file tells of it isn't whole, or was changed")
        p.put("proof.json", whole)
        self.assert_refused(p, "setting DateStyle differs")

    def test_names_are_neutral(self):
        p = self.with_proof()
        p.db.psql('CREATE TABLE "x\x1b[2J\n::error::y" (id int)')
        told = p.run(*ADVANCE)
        self.assertNotIn("\x1b", told.stderr)
        self.assertEqual(told.rc, 4)


class Form(FileCase):
    """A file says that nothing is wrong: it has to be whole, and all of it has to be what check writes."""

    def changed(self, how):
        doc = json.loads(json.dumps(self.made))
        how(doc)
        return json.dumps(doc)

    def test_what_is_odd_is_refused_with_its_place(self):
        p = self.with_proof()
        finding = {"rule": "cell-untested", "class": "plan", "severity": "note", "level": None, "kind": None, "plan": None, "phase": None,
                   "step": None, "release": None, "statement": None, "flags": {}, "file": None, "line": 0, "col": 0, "sqlstate": None,
                   "probe": None, "message": "m", "safe_from": None, "help": None, "allowed": None, "fingerprint": "0" * 16, "places": []}

        def found(**more):
            def how(doc):
                doc["findings"].insert(0, {**finding, **more})
                doc["summary"]["notes"] += 1
            return how
        p.put("proof.json", self.changed(found()))
        self.assertEqual(p.json(*ADVANCE, "--dry-run", env=NOTHING)["result"]["plans"][0]["proof"], "from_file")
        place = {"file": None, "line": 0, "col": 0, "release": None, "statement": None, "flags": {}, "probe": None}
        for how, words in (
                (lambda d: d.update(more=1), "more isn't known"),
                (lambda d: d.update(version=2), "another version of phasegate"),
                (lambda d: d.update(version="1"), "version is no count"),
                (lambda d: d.pop("version"), "version is missing"),
                (lambda d: d.update(findings={}), "findings is no list"),
                (lambda d: d.update(proofs={}), "proofs is no list"),
                (lambda d: d.update(schemas=[1]), "schemas[0] is no object"),
                (lambda d: d["schemas"][0].update(catalogue="x"), "schemas[0].catalogue isn't 16 hex digits"),
                (lambda d: d["schemas"][0]["objects"].update(x=1), "schemas[0].objects isn't things"),
                (lambda d: d["summary"].pop("cells"), "summary.cells is missing"),
                (lambda d: d["summary"].update(cells=-1), "summary.cells is no count"),
                (lambda d: d["summary"].update(cells=1.5), "summary.cells is no count"),
                (lambda d: d["summary"]["by"].update(args=None), "summary.by.args is no count"),
                (lambda d: d["summary"].update(static=True), "made without a server"),
                (lambda d: d["summary"].update(errors=77), "summary.errors isn't how many"),
                (lambda d: d["summary"].update(warnings=77), "summary.warnings isn't how many"),
                (lambda d: d["summary"].update(allowed=77), "summary.allowed isn't how many"),
                (lambda d: d["proofs"][0].update(phase="expnd"), "proofs[0].phase is no phase"),
                (lambda d: d["proofs"][0].update(note="x"), "proofs[0].note isn't known"),
                (lambda d: d["proofs"][1].update(catalogue="12"), "proofs[1].catalogue isn't 16 hex digits"),
                (found(rule="nonsense"), "findings[0].rule is no rule of this phasegate"),
                (found(**{"class": "lock"}), "findings[0].class isn't the rule's"),
                (found(severity="Error"), "findings[0].severity is no error, warning or note"),
                (found(severity="off"), "findings[0].severity is no error, warning or note"),
                (found(severity=None), "findings[0].severity is no text"),
                (found(allowed=True), "findings[0].allowed is neither a text nor null"),
                (found(severity="error"), "isn't how many"),
                (found(extra=1), "findings[0].extra isn't known"),
                (found(flags={"a": 1}), "findings[0].flags isn't flags"),
                (found(places=[place, {**place, "line": "1"}]), "findings[0].places[1].line is no count"),
                (lambda d: d["findings"].insert(0, "x"), "findings[0] is no object")):
            with self.subTest(words):
                p.put("proof.json", self.changed(how))
                self.assert_refused(p, words)
        for text in ("[]", "1", "null", "{}"):
            p.put("proof.json", text)
            self.assertIn(p.run(*ADVANCE).rc, (2, 4))
        for text in ("", "{", json.dumps(self.made)[:-1], '{"version": 1, ' + json.dumps(self.made)[1:]):
            p.put("proof.json", text)
            self.assertEqual(self.both(p, *ADVANCE).rc, 2)
        self.assertRegex(p.run(*ADVANCE).stderr, r"proof.json:1:\d+: no JSON")
        p.put("proof.json", json.dumps(self.made))
        self.assert_taken(p)

    def test_an_unknown_key_cant_write_to_the_terminal(self):
        p = self.with_proof()
        p.put("proof.json", self.changed(lambda d: d.update({"\x1b[31m\nphasegate: all is well" + "x" * 300: 1})))
        done = p.run(*ADVANCE)
        self.assertNotIn("\x1b", done.stderr)
        self.assertNotIn("\nphasegate: all", done.stderr)
        self.assertLess(len(done.stderr), 600)

    def test_the_name_of_the_file_is_neutral_and_short(self):
        p = self.with_proof()
        name = "a\x1b]0;t\x07\n::error::\u202eb" + "c" * 150 + ".json"
        p.put(name, "{}")
        args = ADVANCE[:-1] + (name,)
        for words in (args, (*args, "--dry-run"), (*args, "--format", "json")):
            done = p.run(*words)
            told = done.json["error"]["message"] if "json" in words else done.stdout + done.stderr
            for bad in ("\x1b", "\x07", "\n::error", "\u202e"):
                self.assertNotIn(bad, told)
            self.assertNotIn("c" * 100, told)
        p.put(name, json.dumps(self.made))
        self.assertNotIn("\x1b", p.ok(*args, "--dry-run", env=NOTHING).stdout)
        p.ok(*args, env=NOTHING)
        [row] = [d for d in p.db.column("SELECT description FROM phasegate.migration_history WHERE kind = 'transition' ORDER BY seq") if "proof: from" in d]
        self.assertRegex(row, r"proof: from \.\.\.c+\.json, checksum [0-9a-f]+$")
        self.assertLess(len(row), 250)

    def test_a_name_that_is_no_text(self):
        p = self.with_proof()
        with open(p.path("proof.json"), "rb") as f:
            made = f.read()
        name = b"bad\xff\xc3.json"
        with open(p.path("").encode() + name, "wb") as f:
            f.write(made)
        p.ok(*ADVANCE[:-1], name.decode("utf-8", "surrogateescape"), env=NOTHING)
        self.assertIn("from bad??.json", "".join(p.db.column("SELECT description FROM phasegate.migration_history")))


class Verdicts(FileCase):
    """A dry run says what the run will say."""

    def test_edits_and_other_things(self):
        p = self.with_proof()
        p.put("1.4.0.sql", NEW.replace("id = $1", "id = $1 AND id > 0"))
        self.assert_refused(p, "statements of the releases were edited since")
        p.put("1.4.0.sql", NEW)
        for edit in ({"driver": "pgjdbc"}, {"session": {"search_path": "public"}}):
            before = dict(p.body["releases"][0])
            p.body["releases"][0].update(edit)
            p.write()
            self.assert_refused(p, "statements of the releases were edited since, or the releases")
            p.body["releases"][0] = before
        p.write()
        edited = full_plan()
        edited["phases"]["expand"]["steps"][0]["sql"] = "ALTER TABLE orders ADD COLUMN external_ref varchar"
        p.write_plan(edited)
        self.assert_refused(p, "expand of orders-ref was edited since")
        p.write_plan(full_plan())
        self.assertEqual(self.both(p, *ADVANCE[:-1], "nothing.json").rc, 2)
        self.assert_taken(p)

    def test_made_under_another_policy(self):
        """What the proof that is made here asks for, one from a file has to have asked for, too."""
        p = self.with_proof(more={"policy": {"window": 2}}, check=("--window", "1"))
        self.assert_refused(p, "it was made for a window of 1, and policy.window is 2")
        for policy in ({"rules": {"result-shape-changed": "error"}}, {"approvers": {"dba": ["ada"]}}):
            p.body["policy"] = dict(policy, window=1)
            p.write()
            self.assert_refused(p, "policy.rules or policy.approvers was edited since")
        p.body["policy"] = {"window": 1}
        p.body["releases"][0], p.body["releases"][1] = p.body["releases"][1], p.body["releases"][0]
        p.write()
        self.assert_refused(p, "the releases: their order, a driver")
        p = self.with_proof({v: OLD for v in RIGHT}, plans=[column_plan("orders-ref", phases={"expand": phase("expand", steps=[
            step("column", "ALTER TABLE orders ADD COLUMN external_ref text")])})], check=("--window", "2"))
        self.assert_taken(p)

    def test_a_red_proof(self):
        p = self.with_proof(dict(RIGHT, **{"1.4.0": BOTH}))
        self.assertGreater(self.made["summary"]["errors"], 0)
        self.assert_refused(p, "it has errors")

    def test_errors_that_were_not_shown_prove_nothing(self):
        note = column_plan("orders-note", stamp=20260102000000, phases={"expand": phase("expand", steps=[
            step("note", "ALTER TABLE orders ADD COLUMN note text")])})
        p = self.with_proof(dict(RIGHT, **{"1.4.0": BOTH}), plans=[full_plan(), note], check=("orders-note",))
        self.assertEqual(self.made["summary"]["errors"], 0)
        self.assert_refused(p, "it doesn't cover")
        p = self.with_proof(plans=[full_plan(), note], check=("orders-note",))
        self.assert_taken(p)

    def test_what_is_about_to_be_served(self):
        """To check it failed in the baseline, a warning; the proof that is made here refuses it, and so does one from a file."""
        sums = {v: sql + "-- name: Sum\nSELECT total FROM sums;\n" for v, sql in RIGHT.items()}
        p = self.with_proof(sums)
        self.assertEqual({f["rule"] for f in self.made["findings"] if f["severity"] == "warning"}, {"failing-at-baseline", "drop-without-quarantine"})
        self.assertEqual(self.made["summary"]["errors"], 0)
        self.assert_refused(p, "release 1.1.0, which is about to be served, fails in it", "sums")
        self.assertEqual(p.run(*ADVANCE[:-2]).rc, 1)
        p = self.with_proof(dict(RIGHT, **{"1.0.0": sums["1.0.0"]}))
        self.assert_taken(p)


if __name__ == "__main__":
    unittest.main()

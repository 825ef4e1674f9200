"""advance and purge prove their transition on a shadow of the database as it is, and the journal says what was proved."""

import json
import unittest

import pgtest
import project
from project import BOUND, column_plan, full_plan, phase, step

OLD = "-- name: Get\n-- args: (1)\nSELECT legacy_ref FROM orders WHERE id = $1;\n"
BOTH = """-- name: Get
-- when: orders-ref-read=off
-- args: (1)
SELECT legacy_ref AS ref FROM orders WHERE id = $1;
-- name: Get
-- when: orders-ref-read=on
-- args: (1)
SELECT external_ref AS ref FROM orders WHERE id = $1;
"""
NEW = "-- name: Get\n-- args: (1)\nSELECT external_ref AS ref FROM orders WHERE id = $1;\n"
NOTHING = {"PHASEGATE_PG_BIN": "/nonexistent"}
RIGHT = {"1.0.0": OLD, "1.1.0": OLD, "1.2.0": BOTH, "1.3.0": BOTH, "1.4.0": NEW, "1.5.0": NEW}


class WithStatements(project.Case):
    def with_statements(self, releases, plans, **more):
        p = self.project(plans=plans, **more)
        for row in p.body["releases"]:
            sql = releases.get(row["version"])
            if sql:
                p.put(row["version"] + ".sql", sql)
                row["statements"] = row["version"] + ".sql"
                row.pop("planned")
        p.write()
        return p


class Proof(WithStatements):
    def journal(self, p):
        return p.db.column("SELECT description FROM phasegate.migration_history WHERE kind = 'transition' ORDER BY seq")

    def test_proved_and_recorded(self):
        p = self.with_statements(RIGHT, [full_plan()])
        for ph in project.PHASES:
            done = p.json("advance", "orders-ref", "--release", BOUND[ph])
            plan = done["result"]["plans"][0]
            self.assertEqual(plan["proof"], "proved")
            self.assertEqual(plan["proof_summary"]["source"], "shadow")
            self.assertGreater(plan["proof_summary"]["cells"], 0)
            self.assertEqual(plan["proof_summary"]["untested"], 0)
        done = p.json("purge", "orders-ref", "--confirm", "orders-ref")["result"]["plan"]
        self.assertEqual((done["proof"], done["proof_summary"]["source"]), ("proved", "shadow"))
        self.assertNotIn("legacy_ref", "".join(p.columns()))
        proofs = [d for d in self.journal(p) if "; proof: " in d]
        self.assertEqual(len(proofs), 5, self.journal(p))
        for row in proofs:
            self.assertRegex(row, r"proof: \d+ worlds, \d+ cells, 0 untested, checksum [0-9a-f]+$")

    def test_refused_before_anything_is_changed(self):
        wrong = dict(RIGHT, **{"1.4.0": BOTH})
        p = self.with_statements(wrong, [full_plan()])
        for ph in project.PHASES[:3]:
            p.ok("advance", "orders-ref", "--release", BOUND[ph])
        before = p.columns()
        done = p.exits(1, "advance", "orders-ref", "--release", "1.5.0")
        self.assertIn("old-query-fails", done.stderr)
        self.assertIn("1.4.0", done.stderr)
        self.assertIn("isn't proved to be safe", done.stderr)
        self.assertEqual(p.columns(), before)
        self.assertEqual(p.stage("orders-ref"), "write_activation done")

    def test_what_the_files_dont_know(self):
        """The database has a view that the baseline doesn't have: the world is the actual one."""
        p = self.with_statements(dict(RIGHT, **{"1.0.0": OLD + "-- name: Report\nSELECT n FROM report;\n",
                                                "1.1.0": OLD + "-- name: Report\nSELECT n FROM report;\n"}), [full_plan()])
        p.db.psql("CREATE VIEW report AS SELECT count(*) AS n FROM orders")
        p.ok("advance", "orders-ref", "--release", "1.1.0")

    def test_a_proof_from_a_file(self):
        p = self.with_statements(RIGHT, [full_plan()])
        p.body["baseline"] = "baseline.sql"
        p.put("baseline.sql", project.ORDERS + ";\n")
        p.write()
        made = p.ok("check", "--format", "json")
        p.put("proof.json", made.stdout)
        for ph in project.PHASES:
            done = p.json("advance", "orders-ref", "--release", BOUND[ph], "--proof", "proof.json", env=NOTHING)
            self.assertEqual(done["result"]["plans"][0]["proof"], "proved")
            self.assertEqual(done["result"]["plans"][0]["proof_summary"]["source"], "file")
        p.ok("purge", "orders-ref", "--confirm", "orders-ref", "--proof", "proof.json", env=NOTHING)
        self.assertEqual(len([d for d in self.journal(p) if "proof: from proof.json" in d]), 5)

    def test_a_proof_that_is_for_something_else(self):
        p = self.with_statements(RIGHT, [full_plan()])
        p.body["baseline"] = "baseline.sql"
        p.put("baseline.sql", project.ORDERS + ";\n")
        p.write()
        made = p.ok("check", "--format", "json").stdout
        p.put("proof.json", made)
        p.db.psql("ALTER TABLE orders ADD COLUMN by_hand int")
        self.assertIn("schema of the database", p.refused("proof", "advance", "orders-ref", "--release", "1.1.0", "--proof", "proof.json")["message"])
        p.db.psql("ALTER TABLE orders DROP COLUMN by_hand")
        edited = full_plan()
        edited["phases"]["expand"]["steps"][0]["sql"] = "ALTER TABLE orders ADD COLUMN external_ref varchar"
        p.write_plan(edited)
        self.assertIn("edited since", p.refused("proof", "advance", "orders-ref", "--release", "1.1.0", "--proof", "proof.json")["message"])
        p.write_plan(full_plan())
        p.put("1.4.0.sql", NEW.replace("id = $1", "id = $1 AND id > 0"))
        self.assertIn("statements of the releases were edited since",
                      p.refused("proof", "advance", "orders-ref", "--release", "1.1.0", "--proof", "proof.json")["message"])
        p.put("1.4.0.sql", RIGHT["1.4.0"])
        for forged in ({"summary": None}, {"summary": {"errors": "5"}}, {"version": 99}, {"findings": [{"severity": "error"}]}, {"proofs": {}}):
            p.put("proof.json", json.dumps({**json.loads(made), **forged}))
            p.refused("proof", "advance", "orders-ref", "--release", "1.1.0", "--proof", "proof.json")
        p.put("proof.json", "{")
        p.exits(2, "advance", "orders-ref", "--release", "1.1.0", "--proof", "proof.json")
        p.exits(2, "advance", "orders-ref", "--release", "1.1.0", "--proof", "nothing.json")

    def test_edits_of_what_was_applied(self):
        p = self.with_statements(RIGHT, [full_plan()])
        p.body["baseline"] = "baseline.sql"
        p.put("baseline.sql", project.ORDERS + ";\n")
        p.write()
        self.assertIn("--against staging: nothing was applied there yet", p.ok("check", "--against", "staging").stderr)
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        self.assertNotIn("nothing was applied", p.ok("check", "--against", "staging").stderr)
        edited = full_plan()
        edited["phases"]["expand"]["steps"][0]["sql"] = "ALTER TABLE orders ADD COLUMN external_ref varchar"
        p.write_plan(edited)
        done = p.exits(1, "check", "--against", "staging")
        self.assertIn("error[applied-step-edited]", done.stdout)
        p.exits(2, "check", "--against", "nowhere")

    def test_nothing_to_prove_with(self):
        p = self.project(plans=[full_plan()])
        self.assertEqual(p.json("advance", "orders-ref", "--release", "1.1.0", "--dry-run")["result"]["plans"][0]["proof"], "none")
        done = p.ok("advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("no proof was made: no release lists statements", done.stderr)
        self.assertIn("proof: none, no release lists statements", "\n".join(self.journal(p)))

    def test_files_without_a_statement(self):
        """What init has made is no statement."""
        p = self.with_statements({"1.0.0": "-- later\n"}, [full_plan()])
        self.assertEqual(p.advance("orders-ref", "1.1.0")["proof"], "none")

    def test_required(self):
        p = self.project(plans=[full_plan()], policy={"proof": "required"})
        self.assertIn("no release of the project lists statements",
                      p.refused("proof", "advance", "orders-ref", "--release", "1.1.0")["message"])
        dry = p.json("advance", "orders-ref", "--release", "1.1.0", "--dry-run", code=4)["result"]["plans"][0]
        self.assertEqual((dry["go"], dry["missing"][0]["reason"]), (False, "proof"))
        self.assertEqual(p.db.value("SELECT to_regclass('phasegate.plan_state') IS NULL"), "t")

    def test_off_in_an_environment(self):
        wrong = dict(RIGHT, **{"1.4.0": BOTH})
        p = self.with_statements(wrong, [full_plan()], env_policy={"proof": "off"})
        for ph in project.PHASES:
            done = p.json("advance", "orders-ref", "--release", BOUND[ph], env=NOTHING)
            self.assertEqual(done["result"]["plans"][0]["proof"], "off")
        self.assertEqual(len([d for d in self.journal(p) if "proof: off by policy" in d]), 4)

    def test_a_restriction_in_expand(self):
        """Taken where a proof says that every live writer keeps to it, and never without one."""
        keeps = "-- name: Set\nUPDATE orders SET legacy_ref = left(coalesce($1, ''), 8) WHERE id = $2;\n"
        may_not = "-- name: Set\nUPDATE orders SET legacy_ref = $1 WHERE id = $2;\n"
        short = project.plan("short", phases={"expand": project.phase("expand", steps=[project.step(
            "check", "ALTER TABLE orders ADD CONSTRAINT short CHECK (length(legacy_ref) < 9) NOT VALID")])})
        advance = ("advance", "short", "--release", "1.1.0")

        p = self.project(plans=[short])
        self.assertIn("step check restricts", p.refused("proof", *advance)["message"])
        p = self.with_statements({v: may_not for v in ("1.0.0", "1.1.0")}, [short])
        done = p.exits(1, *advance)
        self.assertIn("unproven-write", done.stdout + done.stderr)
        self.assertEqual(p.db.value("SELECT count(*) FROM pg_constraint WHERE conname = 'short'"), "0")
        p = self.with_statements({v: keeps for v in ("1.0.0", "1.1.0")}, [short])
        p.ok(*advance)
        self.assertEqual(p.db.value("SELECT count(*) FROM pg_constraint WHERE conname = 'short'"), "1")
        p.ok("status")

    def test_no_server_programs(self):
        p = self.with_statements(RIGHT, [full_plan()])
        done = p.exits(3, "advance", "orders-ref", "--release", "1.1.0", env=NOTHING)
        for way in ("apt install postgresql", "--shadow URL", "--proof FILE", "Nothing was changed"):
            self.assertIn(way, done.stderr)
        self.assertEqual(p.db.value("SELECT to_regclass('phasegate.plan_state') IS NULL"), "t")

    def test_a_shadow_elsewhere(self):
        p = self.with_statements(RIGHT, [full_plan()])
        server = pgtest.Cluster()  # of its own: what others leave on a shared one isn't ours
        self.addCleanup(server.close)
        made = p.json("advance", "orders-ref", "--release", "1.1.0", "--shadow", server.url(), env=NOTHING)
        self.assertEqual(made["result"]["plans"][0]["proof"], "proved")
        made = p.json("advance", "orders-ref", "--release", "1.2.0", env=dict(NOTHING, PHASEGATE_SHADOW=server.url()))
        self.assertEqual(made["result"]["plans"][0]["proof"], "proved")
        self.assertEqual(server.psql("SELECT count(*) FROM pg_database WHERE datname LIKE 'phasegate_shadow%'"), [["0"]])

    def test_a_release_that_nobody_wrote(self):
        p = self.with_statements({"1.0.0": OLD}, [full_plan()])
        error = p.refused("proof", "advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("release 1.1.0 has no statements", error["message"])
        self.assertIn("phasegate capture --release 1.1.0", error["hint"])
        dry = p.exits(4, "advance", "orders-ref", "--release", "1.1.0", "--dry-run")
        self.assertIn("release 1.1.0 has no statements", dry.stdout)
        self.assertEqual(p.db.value("SELECT to_regclass('phasegate.plan_state') IS NULL"), "t")

    def test_a_release_beside_it_that_nobody_wrote(self):
        p = self.with_statements({"1.1.0": OLD}, [full_plan()])
        error = p.refused("proof", "advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("release 1.0.0, which may be live beside 1.1.0, has no statements", error["message"])

    def test_a_dry_run_proves_and_writes_nothing(self):
        p = self.with_statements(RIGHT, [full_plan()])
        before = p.schema()
        done = p.ok("advance", "orders-ref", "--release", "1.1.0", "--dry-run")
        self.assertIn("Compatibility proof: made just now, on a shadow", done.stdout)
        self.assertEqual(p.json("advance", "orders-ref", "--release", "1.1.0", "--dry-run")["result"]["plans"][0]["proof"], "proved")
        self.assertEqual(p.schema(), before)

    def same_as_the_run(self, p, *args, **more):
        """The exit code and the error of a dry run, which are those of the run."""
        dry, run = (p.run(*words, "--format", "json", **more) for words in ((*args, "--dry-run"), args))
        self.assertEqual(dry.rc, run.rc, "%s\n%s" % (dry, run))
        self.assertEqual(dry.json["error"], run.json["error"])
        plan = dry.json["result"]["plans"][0]
        self.assertEqual((plan["go"], plan["proof"]), (False, None))
        self.assertEqual(plan["missing"][-1]["reason"], "proof")
        self.assertEqual(plan["missing"][-1]["what"], run.json["error"]["message"])
        return dry

    def test_a_dry_run_foresees_a_red_proof(self):
        p = self.with_statements(dict(RIGHT, **{"1.4.0": BOTH}), [full_plan()])
        for ph in project.PHASES[:3]:
            p.ok("advance", "orders-ref", "--release", BOUND[ph])
        dry = self.same_as_the_run(p, "advance", "orders-ref", "--release", "1.5.0")
        self.assertEqual(dry.rc, 1)
        self.assertIn("old-query-fails", [f["rule"] for f in dry.json["proof"]["findings"]])
        told = p.exits(1, "advance", "orders-ref", "--release", "1.5.0", "--dry-run")
        self.assertIn("old-query-fails", told.stderr)
        self.assertIn("Would be refused", told.stdout)
        self.assertIn("drop-legacy", told.stdout)

    def test_a_dry_run_foresees_that_nothing_proves_a_restriction(self):
        short = project.plan("short", phases={"expand": phase("expand", steps=[step(
            "check", "ALTER TABLE orders ADD CONSTRAINT short CHECK (length(legacy_ref) < 9) NOT VALID")])})
        for more in ({}, {"env_policy": {"proof": "off"}}):
            p = self.project(plans=[short], **more)
            dry = self.same_as_the_run(p, "advance", "short", "--release", "1.1.0")
            self.assertEqual((dry.rc, dry.json["error"]["reason"]), (4, "proof"))

    def test_a_dry_run_foresees_the_other_refusals_of_a_proof(self):
        p = self.with_statements(RIGHT, [full_plan()])
        p.put("proof.json", '{"version": 1, "summary": {"errors": 0}, "findings": [], "proofs": []}')
        self.assertEqual(self.same_as_the_run(p, "advance", "orders-ref", "--release", "1.1.0", "--proof", "proof.json").rc, 4)
        self.assertEqual(self.same_as_the_run(p, "advance", "orders-ref", "--release", "1.1.0", env=NOTHING).rc, 3)

    def test_a_proved_purge_of_a_view_and_a_column(self):
        """What the dry run lists first is taken away first, and what comes after it isn't refused for it."""
        gone = project.plan("gone", phases={"contract": phase("contract", hold="0s", steps=[
            step("view", "DROP VIEW open_orders; CREATE VIEW open_orders AS SELECT id FROM orders; GRANT SELECT ON open_orders TO PUBLIC",
                 undo={"none": "the view of before isn't kept"}),
            step("column", "ALTER TABLE orders DROP COLUMN legacy_ref")])})
        ids = "-- name: Open\nSELECT id FROM open_orders;\n"
        p = self.with_statements({v: ids for v in ("1.4.0", "1.5.0")}, [gone],
                                 baseline=project.ORDERS + "; CREATE VIEW open_orders AS SELECT id, legacy_ref FROM orders")
        self.assertEqual(p.advance("gone", "1.5.0")["proof"], "proved")
        self.assertEqual(p.status("gone")["next_command"], "phasegate purge gone --confirm gone")
        dry = p.json("purge", "gone", "--confirm", "gone", "--dry-run")["result"]["dry_run"]
        self.assertEqual([s["id"] for s in dry["steps"]], ["purge/view", "purge/column"])
        self.assertEqual((dry["go"], dry["proof"]), (True, "proved"))
        self.assertEqual(p.json("purge", "gone", "--confirm", "gone")["result"]["plan"]["proof"], "proved")
        self.assertEqual((p.columns(), p.columns("open_orders")), (["id"], ["id"]))

    def several(self, release_of_note, *steps, **more):
        """Two plans of one release; what the release runs needs both, and the second by way of the first."""
        second = column_plan("orders-note", stamp=20260102000000, depends_on=[{"plan": "orders-ref", "phase": "expand"}], phases={
            "expand": phase("expand", steps=[step("note", "ALTER TABLE orders ADD COLUMN note text DEFAULT 'n'"),
                                             step("both", "CREATE VIEW both_refs AS SELECT external_ref, note FROM orders"), *steps])})
        statements = {v: sql + (release_of_note if v != "1.0.0" else "") for v, sql in RIGHT.items()}
        return self.with_statements(statements, [full_plan(), second], **more)

    def test_a_dry_run_of_several_is_as_the_run(self):
        """Each of them is proved over what those before it would have made of the database."""
        p = self.several("-- name: Both\nSELECT external_ref, note FROM both_refs;\n")
        before = p.schema()
        dry = p.json("advance", "--all", "--release", "1.1.0", "--dry-run")["result"]["plans"]
        self.assertEqual([(d["plan"], d["go"], d["proof"]) for d in dry], [("orders-ref", True, "proved"), ("orders-note", True, "proved")])
        self.assertEqual(p.schema(), before)
        done = p.json("advance", "--all", "--release", "1.1.0")["result"]["plans"]
        self.assertEqual([(d["plan"], d["proof"]) for d in done], [("orders-ref", "proved"), ("orders-note", "proved")])

    def test_a_dry_run_of_several_finds_what_the_run_would_find(self):
        """The second is red, and the first isn't."""
        words = ("advance", "--all", "--release", "1.1.0", "--format", "json")
        p = self.several("-- name: Set\nUPDATE orders SET external_ref = $1 WHERE id = $2;\n", step(
            "short", "ALTER TABLE orders ADD CONSTRAINT short CHECK (length(external_ref) < 3) NOT VALID"))
        dry, run = p.run(*words, "--dry-run"), None
        self.assertEqual(p.columns(), ["id", "legacy_ref"])
        run = p.run(*words)
        self.assertEqual((dry.rc, run.rc), (1, 1), dry)
        self.assertEqual(dry.json["error"], run.json["error"])
        self.assertEqual([(f["rule"], f["message"], f["step"]) for f in dry.json["proof"]["findings"]],
                         [(f["rule"], f["message"], f["step"]) for f in run.json["proof"]["findings"]])
        self.assertEqual([d["plan"] for d in dry.json["result"]["plans"]], ["orders-ref", "orders-note"])
        self.assertIn("external_ref", p.columns())

    def test_a_dry_run_of_several_with_a_file(self):
        p = self.several("")
        p.body["baseline"] = "baseline.sql"
        p.put("baseline.sql", project.ORDERS + ";\n")
        p.write()
        p.put("proof.json", p.ok("check", "--format", "json").stdout)
        words = ("advance", "--all", "--release", "1.1.0", "--proof", "proof.json")
        dry = p.json(*words, "--dry-run", env=NOTHING)["result"]["plans"]
        self.assertEqual([(d["go"], d["proof"]) for d in dry], [(True, "from_file")] * 2)
        done = p.json(*words, env=NOTHING)["result"]["plans"]
        self.assertEqual([d["proof"] for d in done], ["proved", "proved"])

    def test_a_dry_run_of_several_ends_where_the_run_would(self):
        p = self.several("", env_policy={"approvals": {"expand": 1}})
        dry = p.json("advance", "--all", "--release", "1.1.0", "--dry-run", code=4)["result"]["plans"]
        self.assertEqual([(d["go"], d["proof"]) for d in dry], [(False, "would_prove")] * 2)

    def test_a_dry_run_of_several_proves_each(self):
        more = column_plan("orders-note", stamp=20260102000000, phases={"expand": phase("expand", steps=[
            step("note", "ALTER TABLE orders ADD COLUMN note text")])})
        p = self.with_statements(RIGHT, [full_plan(), more])
        plans = p.json("advance", "--all", "--release", "1.1.0", "--dry-run")["result"]["plans"]
        self.assertEqual([d["proof"] for d in plans], ["proved", "proved"])

    def test_force_says_what_was_not_proved(self):
        p = self.with_statements(RIGHT, [full_plan()])
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        done = p.ok("advance", "orders-ref", "--release", "1.1.0", "--force", env=NOTHING)
        self.assertIn("not proved: --force runs column, index, sync/trigger of expand again", done.stderr)
        self.assertRegex(self.journal(p)[-1], "; proof: none, --force runs column, index, sync/trigger again$")
        done = p.json("advance", "orders-ref", "--release", "1.1.0", "--force")
        self.assertEqual(done["result"]["plans"][0]["proof"], "forced")

    def test_force_of_what_has_not_begun_is_proved(self):
        p = self.with_statements(RIGHT, [full_plan()])
        done = p.json("advance", "orders-ref", "--release", "1.1.0", "--force")
        self.assertEqual(done["result"]["plans"][0]["proof"], "proved")
        self.assertNotIn("--force", "".join(self.journal(p)))

    def test_findings_in_json(self):
        p = self.with_statements(dict(RIGHT, **{"1.4.0": BOTH}), [full_plan()])
        for ph in project.PHASES[:3]:
            p.ok("advance", "orders-ref", "--release", BOUND[ph])
        for form in ("json", "jsonl"):
            done = p.exits(1, "--format", form, "advance", "orders-ref", "--release", "1.5.0")
            answer = json.loads(done.stdout.splitlines()[-1])
            self.assertEqual(answer["error"]["reason"], "proof")
            self.assertIn("old-query-fails", [f["rule"] for f in answer["proof"]["findings"]])

    def test_the_schema_changes_between_proof_and_transition(self):
        p = self.with_statements(RIGHT, [full_plan()])
        p.db.psql("CREATE TABLE held (a int)")
        with p.db.session("BEGIN", "LOCK TABLE held IN ACCESS EXCLUSIVE MODE") as holder:
            with p.start("advance", "orders-ref", "--release", "1.1.0") as run:
                pgtest.wait_until(lambda: p.db.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                                                     "AND application_name = 'phasegate/baseline' AND datname = current_database()") == "1",
                                  60, what="the copy of the schema")
                p.db.psql("CREATE TABLE by_hand (a int)")
                holder.run("COMMIT")
                done = run.wait()
        self.assertEqual(done.rc, 4, done)
        self.assertIn("the schema changed between proof and transition", done.stderr)
        self.assertEqual(p.columns(), ["id", "legacy_ref"])
        self.assertEqual(p.db.value("SELECT count(*) FROM phasegate.plan_state"), "0")
        p.ok("advance", "orders-ref", "--release", "1.1.0")

    def test_what_was_begun_is_not_proved_again(self):
        p = self.with_statements(RIGHT, [full_plan(pause="1h")])
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        p.exits(5, "advance", "orders-ref", "--release", "1.2.0", "--no-wait")
        self.assertEqual(len([d for d in self.journal(p) if "; proof: " in d]), 2)
        done = p.exits(5, "advance", "orders-ref", "--release", "1.2.0", "--no-wait", env=NOTHING)
        self.assertNotIn("proving", done.stderr)
        p.ok("kill", "orders-ref", env=NOTHING)
        p.ok("resume", "orders-ref", "--because", "test", env=NOTHING)
        p.ok("rollback", "orders-ref", env=NOTHING)
        self.assertEqual(len([d for d in self.journal(p) if "; proof: " in d]), 2)

    def test_all_prove_each_in_turn(self):
        """The first of them is proved though what the release needs of the second isn't there yet."""
        more = column_plan("orders-note", stamp=20260102000000, phases={"expand": phase("expand", steps=[
            step("note", "ALTER TABLE orders ADD COLUMN note text")])})
        needs = OLD + "-- name: Note\nSELECT note FROM orders;\n"
        later = {v: RIGHT[v] + "-- name: Note\nSELECT note FROM orders;\n" for v in ("1.2.0", "1.3.0")}
        p = self.with_statements(dict(RIGHT, **{"1.1.0": needs}, **later), [full_plan(), more])
        done = p.json("advance", "--all", "--release", "1.1.0")["result"]["plans"]
        self.assertEqual([(d["plan"], d["proof"]) for d in done], [("orders-ref", "proved"), ("orders-note", "proved")])
        self.assertIn("note", p.columns())

    def test_a_flag_of_a_plan_that_has_not_begun(self):
        """Its other side isn't reached, until somebody raises it by hand."""
        more = column_plan("orders-note", stamp=20260102000000, flags={"read": {"key": "note-read"}}, phases={
            "expand": {"release": "1.6.0", "steps": [step("note", "ALTER TABLE orders ADD COLUMN note text")]},
            "dual_read": {"release": "1.7.0", "rollout": [{"percent": 100}]}})
        ahead = OLD + "-- name: Note\n-- when: note-read=on\nSELECT note FROM orders;\n"
        p = self.with_statements(dict(RIGHT, **{"1.1.0": ahead}), [full_plan(), more])
        p.ok("advance", "orders-ref", "--release", "1.1.0", "--dry-run")
        self.assertEqual(p.advance("orders-ref", "1.1.0")["proof_summary"]["warnings"], 0)

    def test_a_suppressed_finding_stays_suppressed(self):
        allowed = full_plan(phases={"contract": phase("contract", hold="0s", steps=[step(
            "drop-legacy", "-- phasegate: allow old-query-fails until 1.9.0 because nobody calls it approved-by dba\n"
                           "ALTER TABLE orders DROP COLUMN legacy_ref")])})
        p = self.with_statements(dict(RIGHT, **{"1.4.0": OLD}), [allowed])
        for ph in project.PHASES[:3]:
            p.ok("advance", "orders-ref", "--release", BOUND[ph])
        p.ok("advance", "orders-ref", "--release", "1.5.0")

    def test_a_release_that_is_really_live(self):
        """Newer than the one that is rolled out, and there all the same."""
        early = RIGHT["1.2.0"] + "-- name: New\nSELECT external_ref FROM orders;\n"
        for is_live, warnings in ((False, 0), (True, 1)):
            p = self.with_statements(dict(RIGHT, **{"1.2.0": early}), [full_plan()],
                                     live={"sessions": {"application_name": "shop/%"}})
            url = p.db.url + ("&" if "?" in p.db.url else "?") + "application_name=shop/%s" % ("1.2.0" if is_live else "1.1.0")
            with pgtest.Session(url) as there:
                there.run("SELECT 1")
                made = p.advance("orders-ref", "1.1.0")["proof_summary"]
            self.assertEqual(made["warnings"], warnings, made)


class Served(WithStatements):
    """What the release that is about to be served can't run refuses; what fails in production anyway is a warning."""

    SUM = "-- name: Sum\nSELECT total FROM sums;\n"

    def findings(self, p, code, *args):
        answer = p.json(*args, code=code)
        found = answer["proof"]["findings"] if code else []
        return answer, [(f["rule"], f["severity"]) for f in found]

    def test_a_statement_of_the_release(self):
        p = self.with_statements(dict(RIGHT, **{"1.1.0": OLD + self.SUM}), [full_plan()])
        args = ("advance", "orders-ref", "--release", "1.1.0")
        before = p.columns()
        answer, found = self.findings(p, 1, *args)
        self.assertEqual(found, [("failing-at-baseline", "error")])
        [f] = answer["proof"]["findings"]
        self.assertEqual((f["release"], f["statement"], f["file"], f["sqlstate"]), ("1.1.0", "Sum", "1.1.0.sql", "42P01"))
        self.assertIn("the database lacks it as it is now", f["help"])
        self.assertEqual(self.findings(p, 1, *args, "--dry-run")[0]["exit_code"], 1)
        self.assertEqual(p.columns(), before)
        p.db.psql("CREATE TABLE sums (total int)")
        p.ok(*args)

    def test_one_that_the_release_before_it_runs_as_well(self):
        """Somebody dropped it by hand: what is served next fails as what is served now."""
        p = self.with_statements(dict(RIGHT, **{"1.0.0": OLD + self.SUM, "1.1.0": OLD + self.SUM}), [full_plan()])
        answer, found = self.findings(p, 1, "advance", "orders-ref", "--release", "1.1.0")
        self.assertEqual(found, [("failing-at-baseline", "error")])
        self.assertEqual({x["release"] for x in answer["proof"]["findings"][0]["places"]}, {"1.0.0", "1.1.0"})

    def test_one_of_a_release_that_is_live(self):
        p = self.with_statements(dict(RIGHT, **{"1.0.0": OLD + self.SUM}), [full_plan()])
        done = p.ok("advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("failing-at-baseline", done.stderr)
        self.assertIn("warning", done.stderr)

    def test_one_of_a_consumer(self):
        p = self.with_statements(RIGHT, [full_plan()])
        p.put("report.sql", self.SUM)
        p.body["consumers"] = [{"name": "report", "statements": "report.sql"}]
        p.write()
        self.assertIn("failing-at-baseline", p.ok("advance", "orders-ref", "--release", "1.1.0").stderr)

    def test_in_later_phases(self):
        p = self.with_statements(RIGHT, [full_plan()])
        p.advance("orders-ref", "1.1.0")
        p.put("1.2.0.sql", BOTH + self.SUM)
        _, found = self.findings(p, 1, "advance", "orders-ref", "--release", "1.2.0")
        self.assertEqual(found, [("failing-at-baseline", "error")])

    def test_a_branch_that_the_phase_switches_on(self):
        """Of the release before it as well: nobody runs it so far."""
        ahead = BOTH.replace("external_ref", "elsewhere")
        p = self.with_statements(dict(RIGHT, **{"1.1.0": ahead}), [full_plan()])
        p.ok("advance", "orders-ref", "--release", "1.1.0")
        answer, found = self.findings(p, 1, "advance", "orders-ref", "--release", "1.2.0")
        self.assertEqual(found, [("failing-at-baseline", "error")], answer)
        self.assertEqual(answer["proof"]["findings"][0]["flags"], {"orders-ref-read": "on"})
        self.assertEqual(p.flag("orders-ref-read"), None)

    def test_in_the_body_of_a_function(self):
        p = self.with_statements(dict(RIGHT, **{"1.1.0": OLD + "-- name: F\nSELECT f();\n"}), [full_plan()])
        p.db.psql("CREATE FUNCTION f() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT sum(uses) FROM orders); END'")
        _, found = self.findings(p, 1, "advance", "orders-ref", "--release", "1.1.0")
        self.assertEqual(found, [("failing-at-baseline", "error")])

    def test_what_the_transition_mends(self):
        p = self.with_statements(dict(RIGHT, **{"1.0.0": NEW}), [full_plan()])
        p.ok("advance", "orders-ref", "--release", "1.1.0")

    def test_parameters_that_only_the_client_knows(self):
        p = self.with_statements(dict(RIGHT, **{"1.1.0": OLD + "-- name: P\nSELECT $1 IS NULL;\n"}), [full_plan()])
        p.ok("advance", "orders-ref", "--release", "1.1.0")

    def test_example_rows_say_nothing_of_the_schema(self):
        """They may hang on rows that a schema hasn't."""
        some = "-- name: Put\n-- args: (1)\nINSERT INTO parts (order_id) VALUES ($1);\n"
        p = self.with_statements(dict(RIGHT, **{"1.1.0": OLD + some}), [full_plan()])
        p.db.psql("CREATE TABLE parts (order_id int CHECK (order_id > 1))")
        p.ok("advance", "orders-ref", "--release", "1.1.0")

    def test_a_right_that_is_gone(self):
        p = self.with_statements(RIGHT, [full_plan()])
        for row in p.body["releases"]:
            row["session"] = {"role": "served_app"}
        p.write()
        p.db.psql("CREATE ROLE served_app")
        self.addCleanup(lambda: p.db.psql("DROP OWNED BY served_app; DROP ROLE served_app"))
        p.db.psql("GRANT SELECT, UPDATE, INSERT ON orders TO served_app")
        p.ok("advance", "orders-ref", "--release", "1.1.0", "--dry-run")
        p.db.psql("REVOKE SELECT ON orders FROM served_app")
        answer, found = self.findings(p, 1, "advance", "orders-ref", "--release", "1.1.0")
        self.assertIn(("failing-at-baseline", "error"), found, answer)

    def test_set_aside(self):
        allowed = "-- name: Sum\n-- phasegate: allow failing-at-baseline until 1.9.0 because it is made by hand\nSELECT total FROM sums;\n"
        p = self.with_statements(dict(RIGHT, **{"1.1.0": OLD + allowed}), [full_plan()])
        p.ok("advance", "orders-ref", "--release", "1.1.0")

    def test_the_policy_says_less(self):
        p = self.with_statements(dict(RIGHT, **{"1.1.0": OLD + self.SUM}), [full_plan()], policy={"rules": {"failing-at-baseline": "note"}})
        p.ok("advance", "orders-ref", "--release", "1.1.0")


if __name__ == "__main__":
    unittest.main()

"""verify: the checklist of a plan, measured before and after, signed by people, accepted or open."""

import os
import time
import unittest

import pgtest
import project
from project import ORDERS, column_plan, full_plan

COUNT = {"id": "row-count", "sql": "SELECT count(*) FROM orders", "expect": "unchanged"}
SIGNED = {"id": "acceptance", "manual": "The product owner accepts the export"}
GATE = {"calm": {"sql": {"query": "SELECT count(*) FROM noise", "expect": "= 0"}, "no_data": "hold", "interval": "1s"}}
TABLES = ORDERS + "; CREATE TABLE noise (what text)"


class Base(project.Case):
    def made(self, *items, body=None, advance=True, **more):
        p = self.project(plans=[dict(body or column_plan(), validation=list(items), **more)], baseline=TABLES)
        if advance:
            p.advance("orders-ref", "1.1.0")
        return p

    def verdicts(self, p, code, *more):
        answer = p.json("verify", "orders-ref", *more, code=code)["result"]
        return {i["id"]: i["verdict"] for i in answer["items"]}, answer

    def earlier(self, p, kind, interval):
        """As if it had been recorded before: the journal itself lets nobody write that."""
        p.db.psql("SET session_replication_role = replica; UPDATE phasegate.migration_history "
                  "SET applied_at = applied_at - interval '%s' WHERE kind = '%s'" % (interval, kind))


class Checklist(Base):
    def test_unchanged_is_compared_with_the_value_before_the_first_phase(self):
        p = self.made(COUNT)
        self.assertEqual(p.db.value("SELECT detail->'items'->0->>'value' FROM phasegate.migration_history WHERE kind = 'before'"), "500")
        p.db.psql("DELETE FROM orders WHERE id = 7")
        verdicts, answer = self.verdicts(p, 1)
        self.assertEqual(verdicts, {"row-count": "fails"})
        self.assertEqual((answer["items"][0]["value"], answer["items"][0]["before"]), ("499", "500"))
        self.assertIn("was 500 before the first phase", answer["items"][0]["why"])
        p.db.psql("INSERT INTO orders VALUES (7, 'R7')")
        self.assertEqual(self.verdicts(p, 0)[0], {"row-count": "holds"})
        self.assertTrue(p.json("history", "--verify")["result"]["databases"][0]["chain"]["holds"])

    def test_nothing_begins_without_a_value_to_compare_with(self):
        p = self.made({"id": "gone", "sql": "SELECT count(*) FROM nowhere", "expect": "unchanged"}, advance=False)
        error = p.refused("validation", "advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("gone is to be unchanged, and has no value before the first phase", error["message"])
        self.assertIn("nowhere", error["message"])
        self.assertRegex(error["message"], r"plans/20260101000000-orders-ref.yaml:\d+:\d+")
        self.assertEqual(p.columns(), ["id", "legacy_ref"])
        self.assertFalse(p.status("orders-ref")["steps_done"])

    def test_a_dry_run_says_so_before(self):
        p = self.made({"id": "gone", "sql": "SELECT count(*) FROM nowhere", "expect": "unchanged"}, COUNT, advance=False)
        dry = p.json("advance", "orders-ref", "--release", "1.1.0", "--dry-run", code=4)["result"]["plans"][0]
        self.assertEqual([m["reason"] for m in dry["missing"]], ["validation"])
        self.assertIn("gone is to be unchanged, and has no value before the first phase", str(dry["missing"][0]))
        self.assertFalse(dry["go"])
        p.db.psql("CREATE TABLE nowhere ()")
        p.json("advance", "orders-ref", "--release", "1.1.0", "--dry-run")
        p.advance("orders-ref", "1.1.0")
        p.db.psql("DROP TABLE nowhere")  # from then on there is a value of before
        self.assertNotIn("validation", p.run("advance", "orders-ref", "--release", "1.2.0", "--dry-run").stdout)

    def test_it_waits_until_everything_holds(self):
        p = self.made(dict(COUNT, expect="= 501"), body=column_plan())
        began = time.monotonic()
        self.assertEqual(p.run("verify", "orders-ref", "--wait", "1s").rc, 1)
        self.assertGreaterEqual(time.monotonic() - began, 1)
        looks = "SELECT count(*) FROM phasegate.migration_history WHERE kind = 'validation'"
        before = int(p.db.value(looks))
        with p.start("verify", "orders-ref", "--wait", "600s") as waiting:
            pgtest.wait_until(lambda: int(p.db.value(looks)) > before, 60, what="its first look")
            p.db.psql("INSERT INTO orders VALUES (501, 'R501')")
            done = waiting.wait()
            self.assertEqual(done.rc, 0, done)
            self.assertIn("accepted by", done.stdout)

    def test_the_words_of_the_journal_are_no_acceptance(self):
        p = self.made(SIGNED, body=column_plan())
        self.verdicts(p, 1)
        p.db.psql("""INSERT INTO phasegate.migration_history (seq, plan, phase, kind, description, checksum, applied_at, status, detail, prev_hash, hash)
            SELECT seq + 1, plan, phase, kind, 'accepted: 1 of 1 items hold', checksum, applied_at, status, detail, prev_hash, hash
              FROM phasegate.migration_history WHERE kind = 'validation' ORDER BY seq DESC LIMIT 1""")
        self.assertFalse(p.status("orders-ref")["checklist"]["accepted"])

    def test_what_only_holds_afterwards_is_no_obstacle_before(self):
        p = self.made({"id": "there", "sql": "SELECT count(external_ref) FROM orders", "expect": "= 0"})
        self.assertEqual(self.verdicts(p, 0)[0], {"there": "holds"})

    def test_the_plan_is_open_until_accepted(self):
        p = self.made(COUNT, SIGNED)
        s = p.status("orders-ref")
        self.assertEqual((s["stage"], s["pending"], s["next_command"]), ("purged", True, "phasegate verify orders-ref"))
        self.assertEqual((s["checklist"]["accepted"], s["checklist"]["open"]), (False, ["row-count", "acceptance"]))
        self.assertIn("open     2 of 2 items of the checklist: row-count, acceptance", p.ok("status", "orders-ref").stdout)
        p.exits(1, "status", "--exit-code")
        self.assertEqual(self.verdicts(p, 1)[0], {"row-count": "holds", "acceptance": "open"})
        self.assertIn("next: phasegate verify orders-ref --sign acceptance", p.exits(1, "verify", "orders-ref").stdout)
        self.assertEqual(p.status("orders-ref")["checklist"]["open"], ["acceptance"])
        done = p.ok("--as", "olga", "verify", "orders-ref", "--sign", "acceptance", "--because", "looked at ten exports")
        self.assertIn("accepted by olga", done.stdout)
        s = p.status("orders-ref")
        self.assertEqual((s["pending"], s["next_command"], s["checklist"]["accepted"], s["checklist"]["accepted_by"]), (False, None, True, "olga"))
        p.ok("status", "--exit-code")
        row = p.db.psql("SELECT applied_by, description FROM phasegate.migration_history WHERE kind = 'signature'")
        self.assertEqual(row, [["olga", "signed by olga: looked at ten exports"]])
        self.assertTrue(p.json("history", "--verify")["result"]["databases"][0]["chain"]["holds"])

    def test_accepted_and_then_not_any_more(self):
        p = self.made(COUNT)
        p.ok("--as", "olga", "verify", "orders-ref")
        p.ok("--as", "otto", "verify", "orders-ref")
        self.assertEqual(p.status("orders-ref")["checklist"]["accepted_by"], "olga")
        p.db.psql("DELETE FROM orders WHERE id = 7")
        p.exits(1, "verify", "orders-ref")
        self.assertFalse(p.status("orders-ref")["checklist"]["accepted"])

    def test_an_edited_checklist_is_open_again(self):
        body = dict(column_plan(), validation=[SIGNED])
        p = self.project(plans=[body])
        p.advance("orders-ref", "1.1.0")
        p.ok("--as", "olga", "verify", "orders-ref", "--sign", "acceptance")
        body["validation"] = [dict(SIGNED, manual="The product owner accepts the export and the import")]
        p.write_plan(body)
        self.assertEqual(p.status("orders-ref")["checklist"]["open"], ["acceptance"])
        self.assertEqual(self.verdicts(p, 1)[0], {"acceptance": "open"})

    def test_an_edited_query_has_no_value_from_before(self):
        body = dict(column_plan(), validation=[COUNT])
        p = self.project(plans=[body])
        p.advance("orders-ref", "1.1.0")
        body["validation"] = [dict(COUNT, sql="SELECT count(*) FROM orders WHERE id > 0")]
        p.write_plan(body)
        verdicts, answer = self.verdicts(p, 1)
        self.assertEqual(verdicts, {"row-count": "open"})
        self.assertIn("added or edited since", answer["items"][0]["why"])

    def test_a_refusal_stands_until_who_refused_signs(self):
        p = self.made(SIGNED)
        p.exits(1, "--as", "olga", "verify", "orders-ref", "--sign", "acceptance", "--refuse", "--because", "column B is empty")
        done = p.exits(1, "--as", "otto", "verify", "orders-ref", "--sign", "acceptance")
        self.assertIn("refused by olga: column B is empty; who refused lifts it", done.stdout)
        self.assertFalse(p.status("orders-ref")["checklist"]["accepted"])
        p.ok("--as", "olga", "verify", "orders-ref", "--sign", "acceptance")
        self.assertEqual(p.db.value("SELECT count(*) FROM phasegate.migration_history WHERE kind = 'signature'"), "3")

    def test_the_hold_of_a_contract_is_the_time_to_accept_and_going_back_voids_it(self):
        p = self.project(plans=[dict(full_plan(), validation=[COUNT, SIGNED])])
        p.advance("orders-ref", "1.1.0")
        error = p.refused("validation", "verify", "orders-ref", "--sign", "acceptance")
        self.assertIn('is for the end, and plan orders-ref is at "expand done"', error["message"])
        self.assertIn("phasegate advance orders-ref --release 1.2.0 first", error["hint"])
        self.assertIn("once the last phase is done", p.exits(1, "verify", "orders-ref").stdout)
        for release in ("1.2.0", "1.3.0", "1.5.0"):
            p.advance("orders-ref", release)
        p.ok("verify", "orders-ref", "--sign", "acceptance")
        self.assertTrue(p.status("orders-ref")["checklist"]["accepted"])
        p.ok("restore", "orders-ref")
        p.advance("orders-ref", "1.5.0")
        self.assertFalse(p.status("orders-ref")["checklist"]["accepted"])
        self.assertEqual(self.verdicts(p, 1)[0], {"row-count": "holds", "acceptance": "open"})
        p.ok("verify", "orders-ref", "--sign", "acceptance")
        p.ok("purge", "orders-ref", "--confirm", "orders-ref")
        self.assertTrue(p.status("orders-ref")["checklist"]["accepted"])
        self.assertFalse(p.status("orders-ref")["pending"])

    def test_usage(self):
        p = self.made(COUNT, SIGNED)
        done = p.exits(2, "verify", "orders-ref", "--sign", "acceptence")
        self.assertIn("it has: acceptance", done.stderr)
        self.assertIn("is measured, and signed by nobody", p.exits(2, "verify", "orders-ref", "--sign", "row-count").stderr)
        self.assertIn("without --sign", p.exits(2, "verify", "orders-ref", "--refuse").stderr)
        self.assertIn("no checklist", self.project(plans=[column_plan()]).ok("verify", "orders-ref").stdout)

    def test_looking_before_it_begins_writes_nothing(self):
        p = self.made(COUNT, SIGNED, advance=False)
        before = p.dump()
        verdicts, answer = self.verdicts(p, 1)
        self.assertEqual(verdicts, {"row-count": "open", "acceptance": "open"})
        self.assertIn("recorded when the first phase begins", answer["items"][0]["why"])
        self.assertEqual(p.dump(), before)


class Gates(Base):
    def test_a_smoke_test_is_measured_now(self):
        p = self.made({"id": "calm", "gate": "calm"}, gates=GATE)
        self.assertEqual(self.verdicts(p, 0)[0], {"calm": "holds"})
        p.db.psql("INSERT INTO noise VALUES ('x')")
        self.assertEqual(self.verdicts(p, 1)[0], {"calm": "fails"})

    def test_a_stabilisation_time_needs_readings_all_along(self):
        p = self.made({"id": "quiet", "gate": "calm", "for": "1h"}, gates=GATE)
        verdicts, answer = self.verdicts(p, 1)
        self.assertEqual(verdicts, {"quiet": "open"})
        self.assertRegex(answer["items"][0]["why"], r"has to pass for 1h: until \S+, looked at every 6m at least")
        self.assertEqual(answer["items"][0]["next_command"], "phasegate verify orders-ref")

        self.earlier(p, "validation", "61 min")  # one look an hour ago and one now say nothing of the time between
        for looks in range(11):
            self.assertEqual(self.verdicts(p, 1)[0], {"quiet": "open"}, looks)
            self.earlier(p, "validation", "354 s")
        self.assertEqual(self.verdicts(p, 0)[0], {"quiet": "holds"})

    def test_a_failure_begins_it_anew(self):
        p = self.made({"id": "quiet", "gate": "calm", "for": "3s"}, gates={"calm": dict(GATE["calm"], interval="2s")})
        p.exits(1, "verify", "orders-ref")
        p.db.psql("INSERT INTO noise VALUES ('x')")
        self.assertEqual(self.verdicts(p, 1)[0], {"quiet": "fails"})
        p.db.psql("DELETE FROM noise")
        self.earlier(p, "validation", "3 s")
        self.assertEqual(self.verdicts(p, 1)[0], {"quiet": "open"})
        self.earlier(p, "validation", "3 s")
        self.assertEqual(self.verdicts(p, 0)[0], {"quiet": "holds"})


class GoNoGo(Base):
    RUNBOOK = {"go": [{"id": "present", "manual": "Somebody is on call"}], "no_go": [{"manual": "An incident is open"}]}

    def test_manual_criteria_are_signed_before_a_phase(self):
        p = self.made(runbook=self.RUNBOOK, advance=False)
        error = p.refused("no_go", "advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("go criterion isn't signed for expand: Somebody is on call", error["message"])
        self.assertIn("all that aren't: present, An incident is open", error["message"])
        self.assertIn("phasegate verify orders-ref --sign present", error["hint"])
        self.assertEqual(p.columns(), ["id", "legacy_ref"])
        p.ok("--as", "alice", "verify", "orders-ref", "--sign", "present")
        error = p.refused("no_go", "advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("--sign 'An incident is open', by who has seen to it that it is not so", error["hint"])
        p.ok("--as", "alice", "verify", "orders-ref", "--sign", "An incident is open")
        p.advance("orders-ref", "1.1.0")
        rows = p.db.psql("SELECT phase, step, applied_by FROM phasegate.migration_history WHERE kind = 'signature' ORDER BY seq")
        self.assertEqual(rows, [["expand", "go/present", "alice"], ["expand", "go/An incident is open", "alice"]])

    def signed(self, body):
        p = self.project(plans=[body])
        p.ok("--as", "alice", "verify", "orders-ref", "--sign", "present")
        return p

    def test_a_refusal_is_a_no_go(self):
        p = self.signed(dict(column_plan(), runbook={"go": self.RUNBOOK["go"]}))
        p.ok("--as", "bob", "verify", "orders-ref", "--sign", "present", "--refuse", "--because", "I am on leave")
        error = p.refused("no_go", "advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("Somebody is on call: refused by bob: I am on leave", error["message"])
        self.assertIn("Held by bob", error["detail"])
        p.ok("--as", "bob", "verify", "orders-ref", "--sign", "present")
        p.advance("orders-ref", "1.1.0")

    def test_an_edited_phase_or_criterion_is_another_one(self):
        for part in ("phase", "criterion"):
            with self.subTest(part):
                body = dict(column_plan(), runbook={"go": [dict(self.RUNBOOK["go"][0])]})
                p = self.signed(body)
                if part == "phase":
                    body["phases"]["expand"]["steps"][0]["sql"] += ", ADD COLUMN sneaked int"
                else:
                    body["runbook"]["go"][0]["manual"] = "Two people are on call"
                p.write_plan(body)
                self.assertIn("isn't signed for expand", p.refused("no_go", "advance", "orders-ref", "--release", "1.1.0")["message"])

    def test_each_phase_anew_and_not_for_ever(self):
        p = self.signed(dict(full_plan(), runbook={"go": self.RUNBOOK["go"]}))
        self.earlier(p, "signature", "25 h")
        self.assertIn("was signed more than 24 h ago", p.refused("no_go", "advance", "orders-ref", "--release", "1.1.0")["message"])
        p.ok("verify", "orders-ref", "--sign", "present")
        p.advance("orders-ref", "1.1.0")
        self.assertIn("isn't signed for dual_read", p.refused("no_go", "advance", "orders-ref", "--release", "1.2.0")["message"])
        p.ok("verify", "orders-ref", "--sign", "present")
        p.advance("orders-ref", "1.2.0")

    def test_nothing_is_ahead(self):
        p = self.signed(dict(column_plan(), runbook={"go": self.RUNBOOK["go"]}))
        p.advance("orders-ref", "1.1.0")
        self.assertIn("no phase is ahead", p.refused("validation", "verify", "orders-ref", "--sign", "present")["message"])


class Probes(Base):
    """A statement of both releases: what the application sees."""

    OLD = "-- name: GetExport\nSELECT id, legacy_ref FROM orders WHERE id < $1\n"
    NEW = "-- name: GetExport\nSELECT id, external_ref FROM orders WHERE id < $1\n"

    def release(self, old=OLD, new=NEW, args="-- args: (100)\n"):
        p = self.project(plans=[dict(full_plan(), validation=[{"id": "export", "probe": "GetExport", "release": "both", "expect": "unchanged"}])],
                         policy={"proof": "off"})
        for version, text in (("1.0.0", old), ("1.1.0", old), ("1.2.0", old), ("1.3.0", new), ("1.4.0", new), ("1.5.0", new)):
            os.makedirs(p.path("statements"), exist_ok=True)
            p.put("statements/%s.sql" % version, text.replace("\n", "\n" + args, 1))
        for r in p.body["releases"]:
            if r["version"] <= "1.5.0":
                r.pop("planned")
                r["statements"] = "statements/%s.sql" % r["version"]
        p.write()
        return p

    def test_both_releases_see_the_same(self):
        p = self.release()
        p.advance_through("orders-ref", "contract")
        self.assertEqual(p.columns()[-1], "external_ref")
        answer = p.json("verify", "orders-ref")["result"]["items"][0]
        self.assertRegex(answer["value"], r"^99 rows, digest [0-9a-f]{16}$")
        self.assertEqual(answer["value"], answer["before"])
        p.db.psql("UPDATE orders SET external_ref = 'other' WHERE id = 3")
        self.assertEqual(self.verdicts(p, 1)[0], {"export": "fails"})

    def test_without_arguments_it_cannot_be_asked(self):
        p = self.release(args="")
        error = p.refused("validation", "advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("statement GetExport of release 1.0.0 takes parameters, and has no -- args: line (statements/1.0.0.sql:1)", error["message"])

    def test_it_is_asked_as_the_releases_role(self):
        p = self.release(old="-- name: GetExport\nSELECT current_user::text\n", args="")
        role = "probe_" + p.db.name
        p.db.psql("CREATE ROLE %s" % role)
        self.addCleanup(pgtest.cluster().psql, "DROP ROLE %s" % role)
        body = dict(full_plan(), validation=[{"id": "who", "probe": "GetExport", "release": "1.0.0", "expect": "= " + role}])
        p.write_plan(body)
        p.advance("orders-ref", "1.1.0")
        self.assertEqual(self.verdicts(p, 1)[0], {"who": "fails"})
        for r in p.body["releases"]:
            if r["version"] == "1.0.0":
                r["session"] = {"role": role}
        p.write()
        self.assertEqual(self.verdicts(p, 0)[0], {"who": "holds"})
        p.put("statements/1.0.0.sql", "-- name: GetExport\nSELECT count(*) FROM orders\n")
        self.assertIn("permission denied for table orders", self.verdicts(p, 1)[1]["items"][0]["why"])

    def test_it_changes_nothing(self):
        p = self.release(old="-- name: GetExport\nDELETE FROM orders WHERE id < $1 RETURNING id\n")
        p.refused("validation", "advance", "orders-ref", "--release", "1.1.0")
        self.assertEqual(p.db.value("SELECT count(*) FROM orders"), "500")


if __name__ == "__main__":
    unittest.main()

"""approve and accept: what people sign is bound to a checksum."""

import hashlib
import unittest

import project
from project import column_plan, full_plan, phase, plan, step

NEEDS_ONE = {"approvals": {"expand": 1}, "approvers": {"dba": ["alice", "bob"], "dev": ["dave"]}}


class Approve(project.Case):
    def test_nothing_runs_without_it(self):
        p = self.project(plans=[column_plan()], policy=NEEDS_ONE)
        error = p.refused("approval", "advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("expand needs 1 approval, it has 0", error["message"])
        self.assertIn("phasegate approve orders-ref expand", error["hint"])
        self.assertIn("alice (dba), bob (dba)", error["hint"])
        self.assertEqual(p.columns(), ["id", "legacy_ref"])
        answer = p.json("--as", "alice", "approve", "orders-ref", "expand", "--because", "read it twice")["result"]
        self.assertEqual((answer["who"], answer["phase"], answer["refused"], len(answer["checksum"])), ("alice", "expand", False, 64))
        p.advance("orders-ref", "1.1.0")
        self.assertEqual(p.db.psql("SELECT who, because, refused FROM phasegate.approval"), [["alice", "read it twice", "f"]])

    def test_it_can_be_given_before_there_is_a_ledger_and_is_journalled(self):
        p = self.project(plans=[column_plan()], policy=NEEDS_ONE)
        p.ok("--as", "alice", "approve", "orders-ref", "expand")
        rows = p.db.psql("SELECT kind, phase, description, checksum IS NOT NULL FROM phasegate.migration_history")
        self.assertEqual(rows, [["approval", "expand", "approved by alice", "t"]])
        self.assertTrue(p.json("history", "--verify")["result"]["databases"][0]["chain"]["holds"])

    def test_a_row_that_the_journal_does_not_have_counts_for_nothing(self):
        p = self.project(plans=[column_plan()], policy=NEEDS_ONE)
        p.ok("--as", "bob", "approve", "orders-ref", "expand", "--refuse")
        add = """INSERT INTO phasegate.approval (plan, phase, checksum, who, refused, at)
            SELECT plan, phase, checksum, '%s', %s, now() FROM phasegate.approval LIMIT 1"""
        p.db.psql(add % ("alice", "false"))
        p.db.psql(add % ("bob", "false"))
        self.assertIn("bob refused expand", p.refused("approval", "advance", "orders-ref", "--release", "1.1.0")["message"])
        p.ok("--as", "bob", "approve", "orders-ref", "expand")
        p.ok("--as", "bob", "approve", "orders-ref", "expand", "--refuse")
        p.db.psql(add % ("bob", "false"))  # once more what he had said before
        p.db.psql("""INSERT INTO phasegate.approval (plan, phase, checksum, who, refused, at)
            SELECT plan, phase, checksum, who, refused, at FROM phasegate.approval WHERE who = 'bob' AND NOT refused""")
        self.assertIn("bob refused expand", p.refused("approval", "advance", "orders-ref", "--release", "1.1.0")["message"])
        p.ok("--as", "alice", "approve", "orders-ref", "expand")
        p.ok("--as", "bob", "approve", "orders-ref", "expand")
        p.advance("orders-ref", "1.1.0")

    def test_an_edit_voids_it(self):
        body = column_plan()
        p = self.project(plans=[body], policy=NEEDS_ONE)
        p.ok("--as", "alice", "approve", "orders-ref", "expand")
        body["phases"]["expand"]["steps"][0]["sql"] += ", ADD COLUMN sneaked int"
        p.write_plan(body)
        p.refused("approval", "advance", "orders-ref", "--release", "1.1.0")
        p.ok("--as", "alice", "approve", "orders-ref", "expand")
        p.advance("orders-ref", "1.1.0")

    def test_an_edit_of_another_phase_leaves_it(self):
        body = full_plan()
        p = self.project(plans=[body], policy=NEEDS_ONE)
        p.ok("--as", "alice", "approve", "orders-ref", "expand")
        body["phases"]["contract"]["hold"] = "1h"
        p.write_plan(body)
        p.advance("orders-ref", "1.1.0")

    def test_writing_it_otherwise_leaves_it(self):
        body = column_plan()
        p = self.project(plans=[body], policy=NEEDS_ONE)
        p.ok("--as", "alice", "approve", "orders-ref", "expand")
        with open(p.path(p.plan_file(body)), "a", encoding="utf-8") as f:
            f.write("\n# a comment at the end\n")
        p.advance("orders-ref", "1.1.0")

    def test_a_refusal_is_recorded_and_blocks(self):
        p = self.project(plans=[column_plan()], policy=NEEDS_ONE)
        p.ok("--as", "alice", "approve", "orders-ref", "expand")
        answer = p.json("--as", "bob", "approve", "orders-ref", "expand", "--refuse", "--because", "not on a Friday")["result"]
        self.assertTrue(answer["refused"])
        error = p.refused("approval", "advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("bob refused expand: not on a Friday", error["message"])
        self.assertIn("Held by bob", error["detail"])
        self.assertEqual(p.columns(), ["id", "legacy_ref"])
        self.assertIn("refused by bob: not on a Friday", p.db.column("SELECT description FROM phasegate.migration_history"))
        p.ok("--as", "bob", "approve", "orders-ref", "expand")
        p.advance("orders-ref", "1.1.0")

    def test_two_need_two_people(self):
        p = self.project(plans=[column_plan()], policy={"approvals": {"expand": 2}, "approvers": {"dba": ["alice", "bob"]}})
        p.ok("--as", "alice", "approve", "orders-ref", "expand")
        p.ok("--as", "alice", "approve", "orders-ref", "expand")
        error = p.refused("approval", "advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("needs 2 approvals, it has 1", error["message"])
        p.ok("--as", "bob@elsewhere", "approve", "orders-ref", "expand")
        p.advance("orders-ref", "1.1.0")

    def test_nobody_else_lifts_a_refusal(self):
        p = self.project(plans=[column_plan()], policy={"approvals": {"expand": 2}, "approvers": {"dba": ["alice", "bob", "carol"]}})
        p.ok("--as", "alice", "approve", "orders-ref", "expand")
        p.ok("--as", "carol", "approve", "orders-ref", "expand", "--refuse", "--because", "no index")
        p.ok("--as", "bob", "approve", "orders-ref", "expand")
        error = p.refused("approval", "advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("carol refused expand: no index", error["message"])
        self.assertIn("by carol: who refused lifts it", error["hint"])
        self.assertEqual(p.columns(), ["id", "legacy_ref"])
        p.ok("--as", "carol@elsewhere", "approve", "orders-ref", "expand")
        p.advance("orders-ref", "1.1.0")

    def test_who_may_not_approve_any_more_has_no_say(self):
        p = self.project(plans=[column_plan()], policy={"approvals": {"expand": 1}, "approvers": {"dba": ["alice", "carol"]}})
        p.ok("--as", "carol", "approve", "orders-ref", "expand", "--refuse")
        p.ok("--as", "alice", "approve", "orders-ref", "expand")
        p.refused("approval", "advance", "orders-ref", "--release", "1.1.0")
        p.body["policy"]["approvers"] = {"dba": ["alice"]}
        p.write()
        p.advance("orders-ref", "1.1.0")

    def test_a_refusal_stands_where_no_approval_is_asked_for(self):
        p = self.project(plans=[column_plan()])
        p.ok("--as", "carol", "approve", "orders-ref", "expand", "--refuse")
        p.refused("approval", "advance", "orders-ref", "--release", "1.1.0")
        p.ok("--as", "carol", "approve", "orders-ref", "expand")
        p.advance("orders-ref", "1.1.0")

    def test_an_edit_ends_a_refusal_and_asks_everybody_anew(self):
        body = column_plan()
        p = self.project(plans=[body], policy=NEEDS_ONE)
        p.ok("--as", "bob", "approve", "orders-ref", "expand", "--refuse")
        body["phases"]["expand"]["steps"][0]["sql"] += ", ADD COLUMN better int"
        p.write_plan(body)
        self.assertIn("has 0", p.refused("approval", "advance", "orders-ref", "--release", "1.1.0")["message"])
        p.ok("--as", "alice", "approve", "orders-ref", "expand")
        p.advance("orders-ref", "1.1.0")

    def test_one_person_from_two_hosts_is_one(self):
        p = self.project(plans=[column_plan()], policy={"approvals": {"expand": 2}, "approvers": {"dba": ["alice", "bob"]}})
        p.ok("--as", "alice@one", "approve", "orders-ref", "expand")
        p.ok("--as", "alice@two", "approve", "orders-ref", "expand")
        self.assertIn("it has 1", p.refused("approval", "advance", "orders-ref", "--release", "1.1.0")["message"])

    def test_status_shows_who_said_what(self):
        p = self.project(plans=[column_plan()], policy={"approvals": {"expand": 2}, "approvers": {"dba": ["alice", "bob", "carol"]}})
        self.assertIn("approval expand: 0 of 2", p.ok("status", "orders-ref").stdout)
        p.ok("--as", "alice", "approve", "orders-ref", "expand", "--role", "dba", "--because", "read it")
        p.ok("--as", "carol", "approve", "orders-ref", "expand", "--refuse", "--because", "no index")
        s = p.status("orders-ref")
        self.assertEqual((s["approvals_needed"], s["approvals_given"]), (2, 1))
        self.assertEqual([(a["who"], a["role"], a["refused"], a["because"], bool(a["at"])) for a in s["approvals"]],
                         [("alice", "dba", False, "read it", True), ("carol", None, True, "no index", True)])
        text = p.ok("status", "orders-ref").stdout
        self.assertIn("approval expand: 1 of 2", text)
        self.assertRegex(text, r"approved by alice \(dba\), since .*: read it")
        self.assertRegex(text, r"refused by carol, since .*: no index")

    def test_who_may_is_named(self):
        p = self.project(plans=[column_plan()], policy=NEEDS_ONE)
        error = p.refused("not_an_approver", "--as", "mallory", "approve", "orders-ref", "expand")
        self.assertIn("alice (dba), bob (dba), dave (dev)", error["detail"])
        self.assertIn("phasegate --as NAME approve orders-ref expand", error["hint"])

    def test_only_approvers(self):
        p = self.project(plans=[column_plan()], policy=NEEDS_ONE)
        p.refused("not_an_approver", "--as", "mallory", "approve", "orders-ref", "expand")
        p.refused("not_an_approver", "--as", "alicex", "approve", "orders-ref", "expand")
        p.refused("not_an_approver", "--as", "dave", "approve", "orders-ref", "expand", "--role", "dba")
        p.refused("approval", "advance", "orders-ref", "--release", "1.1.0")

    def test_only_the_phase_that_was_signed(self):
        p = self.project(plans=[full_plan()], policy={"approvals": {"expand": 1, "contract": 1}})
        p.ok("--as", "alice", "approve", "orders-ref", "contract")
        p.refused("approval", "advance", "orders-ref", "--release", "1.1.0")
        p.ok("--as", "alice", "approve", "orders-ref", "expand")
        p.advance_through("orders-ref", "contract")

    def test_policy_by_environment(self):
        p = self.project(plans=[column_plan()], policy={"approvals": {"expand": 1}}, env_policy={"approvals": {"expand": 0}})
        p.advance("orders-ref", "1.1.0")

    def test_usage(self):
        p = self.project(plans=[column_plan()])
        self.assertIn("did you mean expand", p.exits(2, "approve", "orders-ref", "expnad").stderr)
        self.assertIn("has no contract", p.exits(2, "approve", "orders-ref", "contract").stderr)
        p.exits(2, "approve", "orders-ref")


    def test_of_an_edited_phase_it_is_said_whose_approval_is_void(self):
        body = column_plan()
        p = self.project(plans=[body], policy=NEEDS_ONE)
        p.ok("--as", "alice", "approve", "orders-ref", "expand")
        old = p.db.value("SELECT checksum FROM phasegate.approval")
        body["phases"]["expand"]["steps"][0]["sql"] += ", ADD COLUMN sneaked int"
        p.write_plan(body)
        error = p.refused("approval", "advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("that of alice is for another text of it (checksum %s): it was edited since" % old[:12], error["message"])

    def test_a_role_needs_no_option_of_who_has_it(self):
        gates = {"look": {"approval": {"role": "dba"}}}
        body = full_plan(phases={"dual_read": phase("dual_read", gates=["look"])}, gates=gates)
        p = self.project(plans=[body], policy=NEEDS_ONE)
        p.ok("--as", "alice", "approve", "orders-ref", "expand")
        p.advance("orders-ref", "1.1.0")
        p.ok("--as", "dave", "approve", "orders-ref", "dual_read")
        p.exits(5, "advance", "orders-ref", "--release", "1.2.0", "--no-wait")
        p.ok("--as", "bob", "approve", "orders-ref", "dual_read")
        p.ok("advance", "orders-ref", "--release", "1.2.0", "--no-wait")


class Roles(project.Case):
    """So many of each role."""

    POLICY = {"approvals": {"expand": {"dba": 1, "owner": 1}}, "approvers": {"dba": ["alice", "bob"], "owner": ["carol", "alice"]}}

    def test_one_of_each(self):
        p = self.project(plans=[column_plan()], policy=self.POLICY)
        p.ok("--as", "alice", "approve", "orders-ref", "expand", "--role", "dba")
        p.ok("--as", "bob", "approve", "orders-ref", "expand")
        error = p.refused("approval", "advance", "orders-ref", "--release", "1.1.0")
        self.assertIn("expand needs 2 approvals, it has 2", error["message"])
        self.assertIn("; missing: 1 as owner", error["message"])
        self.assertIn("carol (owner)", error["hint"])
        self.assertEqual(p.status("orders-ref")["approvals_missing"], "1 as owner")
        self.assertIn("approval expand: 2 of 2; missing: 1 as owner", p.ok("status", "orders-ref").stdout)
        p.ok("--as", "carol", "approve", "orders-ref", "expand")
        p.advance("orders-ref", "1.1.0")

    def test_who_has_two_roles_is_one_person(self):
        p = self.project(plans=[column_plan()], policy=self.POLICY)
        p.ok("--as", "alice", "approve", "orders-ref", "expand")
        self.assertIn("it has 1 for", p.refused("approval", "advance", "orders-ref", "--release", "1.1.0")["message"])
        p.ok("--as", "bob", "approve", "orders-ref", "expand")
        p.advance("orders-ref", "1.1.0")

    def test_an_environment_says_it_anew(self):
        p = self.project(plans=[column_plan()], policy=self.POLICY, env_policy={"approvals": {"expand": 1}})
        p.ok("--as", "bob", "approve", "orders-ref", "expand")
        p.advance("orders-ref", "1.1.0")

    def test_it_is_shown(self):
        p = self.project(plans=[column_plan()], policy=self.POLICY)
        policy = p.json("show", "config")["result"]["policy"]
        self.assertEqual(policy["approvals.expand"]["value"], "dba: 1, owner: 1")

    def test_a_mistake_in_it(self):
        for wrong, said in (({}, "at least one role"), ({"dba": 0}, "from 1 to 100"), ({"dba": "x"}, "from 1 to 100")):
            p = self.project(plans=[column_plan()], policy={"approvals": {"expand": wrong}})
            self.assertIn(said, p.exits(2, "status").stderr)


class SecondPair(project.Case):
    """Contract and purge: not on the word of who runs them alone."""

    TWO = {"dba": ["alice", "bob"]}

    def at_contract(self, **policy):
        p = self.project(plans=[full_plan()], policy=dict({"approvers": self.TWO}, **policy))
        p.advance_through("orders-ref", "write_activation")
        return p

    def test_contract_is_not_run_by_its_only_approver(self):
        p = self.at_contract(approvals={"contract": 1})
        p.ok("--as", "alice", "approve", "orders-ref", "contract")
        error = p.refused("approval", "--as", "alice", "advance", "orders-ref", "--release", "1.5.0")
        self.assertIn("contract was approved by nobody but alice, who runs it", error["message"])
        self.assertIn("phasegate advance orders-ref --release 1.5.0, by somebody else; or phasegate approve orders-ref contract, "
                      "by another approver: alice (dba), bob (dba)", error["hint"])
        self.assertIn("legacy_ref", p.columns())
        self.assertIn("second pair of eyes", p.exits(4, "--as", "alice@elsewhere", "advance", "orders-ref", "--release", "1.5.0", "--dry-run").stdout)
        p.ok("--as", "bob", "approve", "orders-ref", "contract")
        p.ok("--as", "alice", "advance", "orders-ref", "--release", "1.5.0")
        self.assertNotIn("legacy_ref", p.columns())

    def test_another_name_is_no_other_account(self):
        p = self.project(plans=[full_plan()], policy={"approvals": {"contract": 1}})
        p.advance_through("orders-ref", "write_activation")
        p.ok("approve", "orders-ref", "contract")
        self.assertIn("second pair of eyes", p.refused("approval", "--as", "zoe", "advance", "orders-ref", "--release", "1.5.0")["message"])
        p.ok("--as", "zoe", "approve", "orders-ref", "contract")
        p.advance("orders-ref", "1.5.0")

    def test_other_phases_take_one(self):
        p = self.project(plans=[column_plan()], policy=NEEDS_ONE)
        p.ok("--as", "alice", "approve", "orders-ref", "expand")
        p.ok("--as", "alice", "advance", "orders-ref", "--release", "1.1.0")

    def test_the_purge_is_not_run_by_the_only_approver_of_contract(self):
        p = self.at_contract(approvals={"contract": 1})
        p.ok("--as", "alice", "approve", "orders-ref", "contract")
        p.ok("--as", "bob", "advance", "orders-ref", "--release", "1.5.0")
        s = p.json("--as", "alice", "status", "orders-ref")["result"]["plans"][0]
        self.assertEqual((s["next_command"], [m["reason"] for m in s["missing"]]), (None, ["approval"]))
        error = p.refused("approval", "--as", "alice", "purge", "orders-ref", "--confirm", "orders-ref")
        self.assertIn("phasegate purge orders-ref --confirm orders-ref, by somebody else", error["hint"])
        self.assertEqual(p.stage("orders-ref"), "contract done")
        p.ok("--as", "bob", "purge", "orders-ref", "--confirm", "orders-ref")

    def test_a_purge_can_need_approvals_of_its_own(self):
        p = self.at_contract(approvals={"purge": 1})
        p.advance("orders-ref", "1.5.0")
        self.assertIn("approval purge: 0 of 1", p.ok("status", "orders-ref").stdout)
        error = p.refused("approval", "purge", "orders-ref", "--confirm", "orders-ref")
        self.assertIn("purge needs 1 approval, it has 0", error["message"])
        self.assertIn("phasegate approve orders-ref purge, by an approver: alice (dba), bob (dba)", error["hint"])
        p.ok("--as", "alice", "approve", "orders-ref", "contract")
        p.refused("approval", "purge", "orders-ref", "--confirm", "orders-ref")
        p.ok("--as", "alice", "approve", "orders-ref", "purge")
        p.refused("approval", "--as", "alice", "purge", "orders-ref", "--confirm", "orders-ref")
        self.assertEqual(p.db.psql("SELECT phase, checksum = (SELECT max(checksum) FROM phasegate.approval WHERE phase = 'contract') "
                                   "FROM phasegate.approval WHERE phase = 'purge'"), [["purge", "t"]])
        p.ok("purge", "orders-ref", "--confirm", "orders-ref")
        self.assertEqual(p.stage("orders-ref"), "purged")

    def test_a_purge_can_be_refused(self):
        p = self.at_contract()
        p.advance("orders-ref", "1.5.0")
        p.ok("--as", "bob", "approve", "orders-ref", "purge", "--refuse", "--because", "a report still reads it")
        error = p.refused("approval", "purge", "orders-ref", "--confirm", "orders-ref")
        self.assertIn("bob refused purge: a report still reads it", error["message"])
        p.ok("--as", "bob", "approve", "orders-ref", "purge")
        p.ok("purge", "orders-ref", "--confirm", "orders-ref")


class Tokens(project.Case):
    """Who has tokens in the policy signs with his, and nobody in his name."""

    ALICE, BOB = "a" * 40, "b" * 40

    def with_tokens(self, **more):
        tokens = {name: hashlib.sha256(token.encode()).hexdigest() for name, token in (("alice", self.ALICE), ("bob", self.BOB))}
        p = self.project(plans=[column_plan(**more)], policy=dict(NEEDS_ONE, tokens=tokens))
        p.put("alice.token", self.ALICE + "\n")
        p.put("bob.token", self.BOB)
        return p

    def test_a_token_says_who_it_is(self):
        p = self.with_tokens()
        answer = p.json("approve", "orders-ref", "expand", "--token-file", "alice.token")["result"]
        self.assertEqual(answer["who"], "alice")
        rows = p.db.psql("SELECT applied_by, description, detail->>'identity', detail->>'account' FROM phasegate.migration_history")
        self.assertEqual([r[:3] for r in rows], [["alice", "approved by alice", "token"]])
        self.assertRegex(rows[0][3], "^[a-z0-9_-]+@")
        self.assertNotIn(self.ALICE, "".join(p.dump()))
        p.advance("orders-ref", "1.1.0")

    def test_from_the_environment_and_standard_input(self):
        p = self.with_tokens()
        self.assertEqual(p.json("approve", "orders-ref", "expand", env={"PHASEGATE_TOKEN": self.BOB})["result"]["who"], "bob")
        self.assertEqual(p.json("approve", "orders-ref", "expand", "--token-file", "-", input=self.ALICE + "\n")["result"]["who"], "alice")

    def test_nobody_signs_without_one(self):
        p = self.with_tokens()
        error = p.refused("token", "--as", "alice", "approve", "orders-ref", "expand")
        self.assertIn("nobody signs without a token, and alice gave none", error["message"])
        self.assertRegex(error["detail"], r"policy.tokens \(phasegate.yaml:\d+:\d+\) has those of alice, bob")
        self.assertIn("--token-file FILE, or with the token in PHASEGATE_TOKEN", error["hint"])
        p.refused("token", "--as", "alice", "approve", "orders-ref", "expand", "--refuse")
        p.refused("token", "--as", "dave", "approve", "orders-ref", "expand")
        p.refused("approval", "advance", "orders-ref", "--release", "1.1.0")

    def test_nobody_signs_with_another_ones(self):
        p = self.with_tokens()
        self.assertIn("isn't alice's", p.refused("token", "--as", "alice", "approve", "orders-ref", "expand", "--token-file", "bob.token")["message"])
        p.put("x.token", "x" * 40)
        error = p.refused("token", "approve", "orders-ref", "expand", "--token-file", "x.token")
        self.assertIn("the token that was given is nobody's", error["message"])
        self.assertNotIn("x" * 40, str(error))
        self.assertEqual(p.json("--as", "alice@host", "approve", "orders-ref", "expand", "--token-file", "alice.token")["result"]["who"], "alice")

    def test_a_token_that_could_be_guessed_is_none(self):
        p = self.with_tokens()
        p.put("short", "secret\n")
        p.put("empty", "")
        done = p.exits(2, "approve", "orders-ref", "expand", "--token-file", "short")
        self.assertIn("short has too few characters: 32 at least", done.stderr)
        self.assertIn("openssl rand -hex 32", done.stderr)
        p.exits(2, "approve", "orders-ref", "expand", "--token-file", "empty")
        p.exits(2, "approve", "orders-ref", "expand", "--token-file", "nowhere")

    def test_a_token_that_nothing_is_compared_with_is_refused(self):
        p = self.project(plans=[column_plan()], policy=NEEDS_ONE)
        p.put("alice.token", self.ALICE)
        self.assertIn("has none to compare it with", p.refused("token", "--as", "alice", "approve", "orders-ref", "expand", "--token-file", "alice.token")["message"])

    def test_the_policy_holds_sums_and_no_tokens(self):
        p = self.with_tokens()
        p.body["policy"]["tokens"]["alice"] = self.ALICE
        p.write()
        done = p.exits(2, "status")
        self.assertIn("the token of alice isn't there as its SHA-256", done.stderr)
        self.assertNotIn(self.ALICE, done.stderr.replace("\n", ""))

    def test_the_checklist_is_signed_with_it_too(self):
        p = self.with_tokens(validation=[{"id": "ok", "manual": "It is"}])
        p.ok("approve", "orders-ref", "expand", "--token-file", "bob.token")
        p.advance("orders-ref", "1.1.0")
        p.refused("token", "--as", "alice", "verify", "orders-ref", "--sign", "ok")
        self.assertIn("accepted by alice", p.ok("verify", "orders-ref", "--sign", "ok", "--token-file", "alice.token").stdout)


class Edited(project.Case):
    def edited(self):
        body = full_plan()
        p = self.project(plans=[body])
        p.ok("--as", "alice", "advance", "orders-ref", "--release", "1.1.0")
        recorded = p.db.value("SELECT checksum FROM phasegate.migration_history WHERE step = 'column' AND status = 'done'")
        body["phases"]["expand"]["steps"][0]["sql"] = "ALTER TABLE orders ADD COLUMN external_ref varchar(80)"
        p.write_plan(body)
        return p, body, recorded

    def test_advance_refuses_and_shows_both_checksums(self):
        p, _, recorded = self.edited()
        error = p.refused("edited", "advance", "orders-ref", "--release", "1.2.0")
        self.assertIn("step column of expand", error["message"])
        self.assertIn("recorded checksum " + recorded[:12], error["message"])
        self.assertRegex(error["message"], r"now [0-9a-f]{12}")
        self.assertRegex(error["message"], r"plans/20260101000000-orders-ref.yaml:\d+:\d+")
        self.assertIn("Held by alice", error["detail"])
        self.assertIn("phasegate accept orders-ref --because", error["hint"])
        self.assertEqual(p.stage("orders-ref"), "expand done")
        self.assertTrue(p.status("orders-ref")["edited"])
        self.assertIn("edited", p.ok("status", "orders-ref").stdout)

    def test_accept_shows_the_difference_and_signs_only_that(self):
        p, body, recorded = self.edited()
        done = p.ok("--as", "bob", "accept", "orders-ref", "--because", "varchar is the same here")
        for word in ("- ALTER TABLE orders ADD COLUMN external_ref text", "+ ALTER TABLE orders ADD COLUMN external_ref varchar(80)",
                     "applied by alice", "recorded " + recorded, "1 step accepted"):
            self.assertIn(word, done.stdout)
        row = p.db.psql("SELECT applied_by, description, status FROM phasegate.migration_history ORDER BY seq DESC LIMIT 1")
        self.assertEqual(row, [["bob", "edit accepted: varchar is the same here", "done"]])
        p.advance("orders-ref", "1.2.0")
        body["phases"]["expand"]["steps"][1]["sql"] = "CREATE INDEX CONCURRENTLY orders_external_ref ON orders (external_ref, id)"
        p.write_plan(body)
        p.refused("edited", "advance", "orders-ref", "--release", "1.3.0")

    def test_accept_as_json(self):
        p, _, recorded = self.edited()
        accepted = p.json("accept", "orders-ref", "--because", "x")["result"]["accepted"]
        self.assertEqual([(a["phase"], a["step"], a["recorded_checksum"], a["applied_by"]) for a in accepted],
                         [("expand", "column", recorded, "alice")])
        self.assertIn("varchar(80)", accepted[0]["sql"])
        self.assertNotEqual(accepted[0]["checksum"], recorded)

    def test_the_way_back_stays(self):
        p, _, _ = self.edited()
        p.ok("accept", "orders-ref", "--because", "x")
        p.ok("rollback", "orders-ref")
        self.assertEqual(p.columns(), ["id", "legacy_ref"])

    def test_nothing_to_accept(self):
        p = self.project(plans=[full_plan()])
        p.advance("orders-ref", "1.1.0")
        before = p.dump()
        self.assertIn("nothing to accept", p.ok("accept", "orders-ref", "--because", "x").stdout)
        self.assertEqual(p.dump(), before)

    def test_a_reason_is_needed(self):
        p, _, _ = self.edited()
        self.assertIn("--because", p.exits(2, "accept", "orders-ref").stderr)
        p.refused("edited", "advance", "orders-ref", "--release", "1.2.0")

    def test_a_step_that_is_gone(self):
        p, body, _ = self.edited()
        del body["phases"]["expand"]["steps"][1]
        body["phases"]["expand"]["steps"][0]["sql"] = "ALTER TABLE orders ADD COLUMN external_ref text"
        p.write_plan(body)
        error = p.refused("edited", "advance", "orders-ref", "--release", "1.2.0")
        self.assertIn("step index of expand", error["message"])
        p.ok("accept", "orders-ref", "--because", "the index is made elsewhere")
        p.advance("orders-ref", "1.2.0")

    def test_a_step_that_was_not_applied_may_be_edited(self):
        body = full_plan()
        p = self.project(plans=[body])
        p.advance("orders-ref", "1.1.0")
        body["phases"]["write_activation"]["verify"] = []
        body["phases"]["contract"]["steps"].append(step("more", "ALTER TABLE orders ADD CONSTRAINT there CHECK (external_ref <> '') NOT VALID"))
        p.write_plan(body)
        p.advance_through("orders-ref", "dual_read")

    def test_an_edit_undone_is_no_edit(self):
        p, body, _ = self.edited()
        body["phases"]["expand"]["steps"][0]["sql"] = "ALTER TABLE orders ADD COLUMN external_ref text"
        p.write_plan(body)
        p.advance("orders-ref", "1.2.0")


if __name__ == "__main__":
    unittest.main()

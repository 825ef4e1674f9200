"""runbook: what it says of now, with the database up and down, and nothing of a plan becomes markup."""

import html.parser
import os
import re
import shutil
import subprocess
import unittest

import pgtest
import project
from backup import Backup

HOSTILE = "<script>alert(1)</script> *bold* [x](javascript:y) `tick` \"q\" 'q' &amp;"
RUNBOOK = {"owner": "team-orders", "contacts": {"dba": "#dba-oncall"}, "targets": {"kill": "1m", "rollback": "15m"},
           "go": [{"gate": "calm"}, {"id": "present", "manual": "Somebody is on call"}],
           "no_go": [{"sql": "SELECT count(*) FROM incidents", "expect": "> 0"}],
           "rollback_when": ["errors"],
           "communication": [{"when": "before", "to": "support", "text": "The reference of an order moves " + HOSTILE}]}
GATES = {"calm": {"sql": {"query": "SELECT count(*) FROM noise", "expect": "= 0"}, "no_data": "hold"},
         "errors": {"command": ["./errors"], "expect": "= 0", "no_data": "hold"}}
TABLES = project.ORDERS + "; CREATE TABLE incidents (what text); CREATE TABLE noise (what text)"


class Tags(html.parser.HTMLParser):
    """Tags in their order, without what stands in them."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.problems = [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        if attrs and tag not in ("html", "meta"):
            self.problems.append("%s has attributes" % tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append("</%s> closes another" % tag)


class Runbook(project.Case):
    def lab(self, db=None, **more):
        plan = project.full_plan("orders-ref", title="Orders " + HOSTILE, gates=GATES, runbook=RUNBOOK, **more)
        plan["phases"]["write_activation"]["gates"] = ["calm", "errors"]
        p = self.project(plans=[plan], baseline=TABLES, db=db, policy={"approvals": {"contract": 2}, "approvers": {"dba": ["alice", "bob"]}})
        self.errors(p, 0)
        return p

    @staticmethod
    def errors(p, n):
        p.put("errors", "#!/bin/sh\necho %d\n" % n)
        os.chmod(p.path("errors"), 0o755)

    @staticmethod
    def advance(p, *phases):
        """Each with the signature that its go asks for."""
        for ph in phases:
            p.ok("--as", "carol", "verify", "orders-ref", "--sign", "present")
            p.ok("advance", "orders-ref", "--release", project.BOUND[ph])

    def page(self, p, *more):
        return p.ok("runbook", "orders-ref", *more).stdout

    def row(self, page, *cells):
        """The row of a table that begins so."""
        found = [l for l in page.splitlines() if l.startswith("| " + " | ".join(cells) + " |")]
        self.assertEqual(len(found), 1, "\n".join(cells) + "\n" + page)
        return found[0]

    def test_before_anything(self):
        p = self.lab()
        page = self.page(p)
        self.assertTrue(page.startswith("# Runbook of orders-ref in staging\n"))
        for title in ("Now", "If something is wrong", "Order of actions", "People", "Times", "Go or no-go", "Commands", "Bringing back",
                      "What to tell whom"):
            self.assertIn("\n## %s\n" % title, page)
        self.row(page, "stage", "planned")
        self.row(page, "team-orders", "owner of the plan")
        self.row(page, "#dba-oncall", "dba")
        self.row(page, "alice", "approver, as dba")
        self.row(page, "kill", "1m", "not measured")
        self.assertIn("contract: 0 of 2 approvals", page)
        self.assertIn("`phasegate -e staging advance orders-ref --release 1.1.0`", page)
        self.assertIn("```sh\nphasegate -e staging kill orders-ref\n```", page)

    def test_criteria_are_measured(self):
        p = self.lab()
        page = self.page(p)
        self.assertIn("| GO |", self.row(page, "go", "gate calm", "measured 0"))
        self.assertIn("| GO |", self.row(page, "no-go", "`SELECT count(*) FROM incidents`: \\> 0", "measured 0"))
        self.assertIn("| quiet |", self.row(page, "go back when it fails", "gate errors", "measured 0"))
        self.assertIn("to be said by a person", self.row(page, "go", "Somebody is on call"))
        p.db.psql("INSERT INTO noise VALUES ('x'); INSERT INTO incidents VALUES ('y')")
        self.errors(p, 7)
        page = self.page(p)
        self.assertIn("| NO-GO |", self.row(page, "go", "gate calm", "measured 1"))
        self.assertIn("| NO-GO |", self.row(page, "no-go", "`SELECT count(*) FROM incidents`: \\> 0", "measured 1"))
        self.assertIn("| GO BACK |", self.row(page, "go back when it fails", "gate errors", "measured 7"))
        p.db.psql("DROP TABLE noise")
        self.assertIn("| not readable |", self.row(self.page(p), "go", "gate calm", 'relation "noise" does not exist'))

    def test_who_has_signed(self):
        p = self.lab()
        self.assertIn("| to be said by a person |", self.row(self.page(p), "go", "Somebody is on call", "phasegate verify orders-ref --sign present"))
        p.ok("--as", "carol", "verify", "orders-ref", "--sign", "present", "--because", "me")
        self.assertRegex(self.page(p), r"\| go \| Somebody is on call \| signed by carol: me, at \S+ \| GO \|")
        p.ok("--as", "dave", "verify", "orders-ref", "--sign", "present", "--refuse")
        self.assertRegex(self.page(p), r"\| go \| Somebody is on call \| refused by dave, at \S+ \| NO-GO \|")

    def test_it_writes_nothing(self):
        p = self.lab()
        self.advance(p, "expand")
        before, files = p.dump(), p.tree()
        self.page(p)
        self.assertEqual(p.dump(), before)
        self.assertEqual(p.tree(), files)

    def test_through_a_life(self):
        p = self.lab()
        self.advance(p, "expand", "dual_read")
        page = self.page(p)
        self.row(page, "stage", "dual_read done")
        self.row(page, "`orders-ref-read`", "read", "100 %", "on")
        self.row(page, "expand")
        self.row(page, "dual_read")
        self.advance(p, "write_activation")
        p.ok("kill", "orders-ref", "--drill")
        self.row(self.page(p), "kill of orders-ref-read, in a drill")
        for who in ("alice", "bob"):
            p.ok("--as", who, "approve", "orders-ref", "contract", "--role", "dba")
        self.assertIn("contract: 2 of 2 approvals", self.page(p))
        self.assertIn("approved by alice as dba", self.page(p))
        self.advance(p, "contract")
        # In the ledger, too: another host knows of the drill.
        self.assertEqual(p.db.column("SELECT DISTINCT reason FROM phasegate.flag_change WHERE reason LIKE 'drill%'"), ["drill"])
        drilled = self.page(p)
        p2 = p.ok("runbook", "orders-ref", env={"PHASEGATE_STATE_DIR": p.path("elsewhere")}).stdout
        self.assertEqual(self.row(drilled, "kill of orders-ref-read, in a drill"), self.row(p2, "kill of orders-ref-read, in a drill"))
        page = drilled
        self.assertRegex(self.row(page, "kill", "1m"), r"\d+ ?m?s, at ")
        self.assertIn("column legacy_ref of orders is hidden since", page)
        self.assertIn("restore, until the purge: that is the point of no return", page)

    def test_a_brake(self):
        p = self.lab()
        self.advance(p, "expand")
        p.ok("--as", "carol", "pause", "orders-ref", "--because", "a | b <i>")
        self.assertIn("a \\| b \\<i\\>, by carol, since", self.row(self.page(p), "paused"))

    def test_the_database_is_down(self):
        with pgtest.Cluster() as server:
            p = self.lab(db=server.create_database())
            self.advance(p, "expand", "dual_read", "write_activation")
            p.ok("kill", "orders-ref", "--drill")
            server.stop()
            try:
                done = p.ok("runbook", "orders-ref")
                self.assertIn("warning", done.stderr)
                page = done.stdout
                self.assertIn("The state of the plan is not readable: can't connect to", page)
                self.row(page, "`orders-ref-read`", "read", "not readable", "on")
                self.assertIn("| not readable |", self.row(page, "go", "gate calm", "the database doesn't answer"))
                self.assertIn("| quiet |", self.row(page, "go back when it fails", "gate errors", "measured 0"))
                self.row(page, "kill of orders-ref-read, in a drill")
                self.assertIn("contract: 2 approvals needed; those given are not readable", page)
                answer = p.json("runbook", "orders-ref")["result"]
                self.assertEqual((answer["readable"], answer["environment"]), (False, "staging"))
                self.assertIn("can't connect", answer["why"])
                self.assertIn("## Now", answer["runbook"])
                kill = re.search(r"```sh\n(phasegate -e staging kill .*)\n```", page)[1]
                self.assertIn("errors since the rollout", kill)
                p.ok(*kill.split("'")[0].split()[1:], "down")
                self.assertEqual(p.flag("orders-ref-read"), 0)
            finally:
                server.start()
                self.doCleanups()  # while the server is there

    def test_a_variable_that_is_not_set(self):
        p = self.lab()
        del p.env["DATABASE_URL"]
        page = self.page(p)
        self.assertIn("The state of the plan is not readable", page)
        self.assertIn("DATABASE_URL", page)

    def test_html(self):
        p = self.lab()
        self.advance(p, "expand")
        page = self.page(p, "--format", "html")
        tags = Tags(page)
        self.assertEqual((tags.problems, tags.open), ([], []))
        self.assertEqual(tags.seen, {"html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "ol", "ul", "li", "table", "tr",
                                     "th", "td", "code", "pre"})
        self.assertIn("&lt;script&gt;alert(1)&lt;/script&gt; *bold* [x](javascript:y) `tick` &quot;q&quot; &#39;q&#39; &amp;amp;", page)
        self.assertIn("<pre><code>phasegate -e staging kill orders-ref\n</code></pre>", page)

    def test_markdown_of_hostile_texts(self):
        page = self.page(self.lab())
        self.assertIn("Orders \\<script\\>alert(1)\\</script\\> \\*bold\\* \\[x\\](javascript:y) \\`tick\\`", page)
        self.assertIn("```text\nThe reference of an order moves %s\n```" % HOSTILE, page)

    def test_from_the_backup(self):
        """What the page says of the backup is typed: the rows that the purge has destroyed are there, aside."""
        backup = Backup(self.addCleanup)
        p = self.lab(db=backup.server.create_database())
        try:
            p.environment["snapshots"] = {"to": "snapshots"}
            p.environment["backup"] = {"pgbackrest": {"stanza": "main", "max_age": "24h"}}
            p.write()
            backup.run("pgbackrest --stanza=main backup")
            self.advance(p, "expand", "dual_read", "write_activation")
            self.assertIn("No restore point and no snapshot is known, so there is no WAL position to go to yet", self.page(p))
            for who in ("alice", "bob"):
                p.ok("--as", who, "approve", "orders-ref", "contract", "--role", "dba")
            self.advance(p, "contract")
            p.ok("purge", "orders-ref", "--confirm", "orders-ref")
            p.db.psql("INSERT INTO orders VALUES (501, 'written since')")
            p.db.psql("SELECT pg_switch_wal()")
            pgtest.wait_until(lambda: p.db.value("SELECT last_archived_wal >= pg_walfile_name(pg_switch_wal()) OR archived_count > 2 "
                                                 "FROM pg_stat_archiver") == "t", what="the archiver")
            point = p.status("orders-ref")["restore_point"]
            self.assertEqual((point["before"], point["not_archived_why"]), ("purge", None))
            info, restore, start, look, stop = re.findall(r"^(?:pgbackrest|pg_ctl|psql) .*", self.page(p), re.M)
            aside, compare, bring = re.findall(r"^phasegate .*(?:--side|SNAPSHOT).*", self.page(p), re.M)
            self.assertIn("--target=%s --target-exclusive --target-timeline=1 " % point["lsn"], restore)
            self.assertIn("status: ok", backup.run(info))
            side = pgtest.Cluster(start=False)
            self.addCleanup(side.close)
            shutil.rmtree(side.data)
            backup.run("mkdir -m 700 %s" % side.data)
            more = {"SIDE": side.data, "PATH": side.bindir + ":" + os.environ["PATH"]}
            backup.run(restore, **more)
            backup.run(start, **more)
            self.addCleanup(lambda: backup.run(stop, **more))
            pgtest.wait_until(lambda: backup.run(look, **more).startswith("f|"), what="the end of recovery")
            side.host = side.data  # of its socket
            there = pgtest.Database(side, p.db.name)
            self.assertEqual(there.value("SELECT stage FROM phasegate.plan_state"), "contract done")
            hidden = there.value("SELECT attname FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname LIKE '\\_drop\\_%'")
            self.assertEqual(there.value('SELECT count("%s") FROM orders' % hidden), "500")
            self.assertEqual(p.columns(), ["id", "external_ref"])
            # Of one moment and verified as any other, then by key.
            more = dict(os.environ, **p.env, SIDE=side.data)
            more["PATH"] = os.path.dirname(pgtest.BIN) + ":" + os.environ["PATH"]

            def typed(command):
                done = subprocess.run(["sh", "-c", command], cwd=p.dir, env=more, capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, 0, done)
                return done.stdout

            more["SNAPSHOT"] = re.search(r"snapshot (\S+) taken and verified", typed(aside))[1]
            self.assertEqual(p.db.value("SELECT count(*) FROM phasegate.snapshot WHERE name = '%s'" % more["SNAPSHOT"]), "0")
            p.db.psql("ALTER TABLE orders ADD COLUMN legacy_ref text; UPDATE orders SET legacy_ref = 'mine' WHERE id = 7; DELETE FROM orders WHERE id = 8")
            for command, restored in ((compare, "0"), (bring, "498")):
                shown = typed(command)
                self.assertIn("498 ", shown)
                self.assertIn("1 written since: ", shown)
                self.assertIn("(7)", shown)
                self.assertEqual(p.db.value("SELECT count(*) FROM orders WHERE legacy_ref = 'R' || id"), restored)
            self.assertEqual(p.db.value("SELECT legacy_ref FROM orders WHERE id = 7"), "mine")
        finally:
            self.doCleanups()  # while the server is there

    def test_usage(self):
        p = self.lab()
        self.assertIn("md|html|json", p.exits(2, "runbook", "orders-ref", "--format", "pdf").stderr)
        p.exits(2, "runbook")
        p.exits(2, "runbook", "orders-reff")


if __name__ == "__main__":
    unittest.main()

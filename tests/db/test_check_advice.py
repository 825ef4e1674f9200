"""check: what it says to do: one finding for one cause, with a way out that there is."""

import os
import shutil
import subprocess
import tempfile
import unittest

import check_project
import pgtest
from project import plan, step

T = "CREATE TABLE orders (id int PRIMARY KEY, name text, amount int); CREATE TABLE stock (id int PRIMARY KEY)"
GET = "-- name: Get\n-- args: (1)\nSELECT name FROM orders WHERE id = $1;\n"
OTHER = "-- name: Other\n-- args: (1)\nSELECT amount FROM orders WHERE id = $1;\n"


def setUpModule():
    """One server for all: each check makes a database of its own."""
    os.environ["PHASEGATE_SHADOW"] = pgtest.cluster().url()


def steps(release, *sql):
    return {"release": release, "steps": [step("s%d" % i, s) for i, s in enumerate(sql)]}


def harmless(release="1.1.0"):
    return plan("harmless", phases={"expand": steps(release, "ALTER TABLE orders ADD COLUMN note text")})


class Misspelt(check_project.Case):
    """Fails in every state that there is."""

    def test_a_later_release_is_to_blame(self):
        new = GET + "-- name: A\nSELECT nam FROM orders;\n-- name: B\nSELECT id, o.nam FROM orders o;\n-- name: C\nSELECT 1 FROM ordrs;\n"
        done = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": new, "1.2.0": new}, plans=[harmless()]).check()
        self.assertEqual([(f["severity"], f["rule"]) for f in done.findings], [("error", "new-query-needs-later-state")] * 2, done)
        column, table = done.findings
        self.assertIn('did you mean "name"?', column["help"])
        self.assertIn("in expand of a plan, bound to 1.1.0", column["help"])
        self.assertEqual([(p["release"], p["statement"]) for p in column["places"]],
                         [("1.1.0", "A"), ("1.1.0", "B"), ("1.2.0", "A"), ("1.2.0", "B")])
        self.assertIn('did you mean "orders"?', table["help"])

    def test_two_tables_are_two_causes(self):
        new = GET + "-- name: A\nSELECT nam FROM orders;\n-- name: B\nSELECT nam FROM stock;\n"
        done = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": new}, plans=[harmless()]).check()
        self.assertEqual(len(done.findings), 2, done)

    def test_the_first_release_had_it(self):
        old = GET + "-- name: A\nSELECT nam FROM orders;\n"
        f = self.red(self.project(baseline=T, releases={"1.0.0": old, "1.1.0": old}, plans=[harmless()]), "failing-at-baseline", severity="warning")
        self.assertIn('did you mean "name"?', f["help"])
        self.assertIn("the baseline lacks it", f["help"])
        self.assertEqual([p["release"] for p in f["places"]], ["1.0.0", "1.1.0"])

    def test_parameters_of_another_style(self):
        for sql, style in (("SELECT name FROM orders WHERE id = :id", "colon"), ("SELECT name FROM orders WHERE id IN (?, ?)", "question"),
                           ("SELECT name FROM orders WHERE id = %s", "percent"), ("SELECT 'a:b?' FROM orders WHERE WHERE", None)):
            with self.subTest(sql=sql):
                new = GET + "-- name: A\n%s;\n" % sql
                f = self.red(self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": new}, plans=[harmless()]), "new-query-needs-later-state", sqlstate="42601")
                if style:
                    self.assertIn("params: %s" % style, f["help"])
                else:
                    self.assertNotIn("params:", f["help"])

    def test_a_right_that_the_baseline_lacks(self):
        base = T + "; CREATE ROLE advice_app; GRANT SELECT ON orders TO advice_app"
        new = GET + "-- name: Put\n-- args: (1)\nUPDATE orders SET amount = 1 WHERE id = $1;\n"
        more = {v: {"session": {"role": "advice_app"}} for v in ("1.0.0", "1.1.0")}
        f = self.red(self.project(baseline=base, releases={"1.0.0": GET, "1.1.0": new}, more=more, plans=[harmless()]), "grants-missing-for-app-role")
        self.assertIn("GRANT UPDATE ON orders TO advice_app, in the baseline", f["help"])


class Unknown(check_project.Case):
    def test_files_without_a_statement(self):
        for empty in ("", "-- nothing yet\n"):
            with self.subTest(empty=empty):
                f = self.red(self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": empty}, plans=[harmless()]), "cell-untested", release="1.1.0")
                self.assertIn("has no statements", f["message"])

    def test_a_flag_that_no_plan_declares(self):
        both = "".join("-- name: Get\n-- when: orders-raed=%s\n-- args: (1)\nSELECT %s AS v FROM orders WHERE id = $1;\n" % w
                       for w in (("off", "name"), ("on", "name || ''")))
        body = plan("read", flags={"read": {"key": "orders-read"}}, phases={"dual_read": {"release": "1.1.0", "rollout": [{"percent": 100}]}})
        p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": both}, plans=[body])
        f = self.red(p, "unknown-flag", severity="error", file="statements/1.1.0.sql", line=2, col=10)
        self.assertIn('did you mean "orders-read"? Else', f["help"])
        self.assertEqual(len([x for x in p.check().findings if x["rule"] == "unknown-flag"]), 1)
        self.assertEqual(len(f["places"]), 2)
        self.clean(self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": both.replace("raed", "read")}, plans=[body]))
        # That of a plan that is over looks like nothing that there is.
        other = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": both.replace("orders-raed", "checkout-v2")}, plans=[body])
        f = self.red(other, "unknown-flag", severity="warning", line=2, col=10)
        self.assertIn("name a key of a plan's flags: (orders-read)", f["help"])

    def test_a_release_that_isnt_listed(self):
        releases = {v: GET for v in ("1.0.0", "1.1.0", "1.2.0", "1.3.0")}
        f = self.red(self.project(baseline=T, releases=releases, plans=[harmless("1.1.1")]), "release-not-listed", severity="warning")
        self.assertIn("come after 1.3.0", f["message"])
        f = self.red(self.project(baseline=T, releases=releases, plans=[harmless("1.20.0")]), "release-not-listed", severity="note")
        self.assertIn('did you mean "1.2.0"?', f["help"])
        for following in ("1.4.0", "2.0.0", "1.3.1"):
            with self.subTest(following=following):
                self.clean(self.project(baseline=T, releases=releases, plans=[harmless(following)]))


class Later(check_project.Case):
    drop = {"contract": steps("1.1.0", "ALTER TABLE orders DROP COLUMN name")}

    def test_a_planned_release_is_free_of_it(self):
        p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": OTHER, "1.2.0": None}, planned=("1.2.0",), plans=[plan("drop", phases=self.drop)])
        f = self.red(p, "old-query-fails", safe_from="1.2.0")
        self.assertIn("bind this to 1.2.0 (planned) or later", f["help"])

    def test_none_is_free_of_it(self):
        p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": GET, "1.2.0": None}, planned=("1.2.0",), plans=[plan("drop", phases=self.drop)])
        f = self.red(p, "old-query-fails", safe_from=None)
        self.assertIn("list the next release without that statement", f["help"])

    def test_a_consumer(self):
        p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": OTHER}, consumers={"reporting": GET}, plans=[plan("drop", phases=self.drop)])
        f = self.red(p, "old-query-fails", safe_from=None)
        self.assertIn("consumer reporting runs Get at all times: change its statement first", f["help"])
        text = p.run("check").stdout
        self.assertIn("Get of consumer reporting", text)
        self.assertNotIn("release reporting", text)

    def test_no_advice_that_cant_be_followed(self):
        new = "-- name: Get\n-- args: (1)\nSELECT title FROM orders WHERE id = $1;\n"
        body = plan("title", flags={"write": {"key": "w"}}, phases={
            "write_activation": {"release": "1.1.0", "rollout": [{"percent": 100}]},
            "contract": steps("1.2.0", "ALTER TABLE orders RENAME COLUMN name TO title")})
        p = self.project(baseline=T, releases={"1.0.0": OTHER, "1.1.0": new, "1.2.0": new}, plans=[body])
        [f] = [f for f in p.check().findings if f["rule"] == "new-query-needs-later-state"]
        self.assertNotIn("bind contract", f["help"])
        self.assertIn("make what it needs in expand", f["help"])


class Arguments(check_project.Case):
    def note(self, baseline, sql):
        p = self.project(baseline=baseline, releases={"1.0.0": sql, "1.1.0": sql}, plans=[harmless()])
        return [f for f in p.check().findings if f["rule"] == "cell-untested"][0]["help"]

    def test_an_example_row_only_where_one_helps(self):
        self.assertIn("-- args:", self.note(T + "; ALTER TABLE orders ALTER COLUMN name SET NOT NULL, ADD CHECK (md5(name) = md5('Z9' || 'qX'))",
                                            "-- name: Put\nINSERT INTO orders (id, name) VALUES ($1, $2);\n"))
        must = self.note(T + "; ALTER TABLE orders ADD COLUMN must int NOT NULL", "-- name: Put\nINSERT INTO orders (id, name) VALUES ($1, $2);\n")
        self.assertIn('column "must"', must)
        self.assertNotIn("-- args:", must)
        fixed = self.note(T + "; ALTER TABLE orders ADD CONSTRAINT big CHECK (amount > 5)", "-- name: Put\nINSERT INTO orders (id, amount) VALUES (77, 1);\n")
        self.assertIn('constraint "big"', fixed)
        self.assertNotIn("-- args:", fixed)


class OneCause(check_project.Case):
    index = "CREATE INDEX i ON orders (amount)"

    def with_step(self, *sql, release="1.1.0", phase="contract", **more):
        return self.project(baseline=T, releases={"1.0.0": OTHER, "1.1.0": OTHER, "1.2.0": OTHER}, plans=[plan("p", phases={phase: steps(release, *sql)})], **more)

    def test_text_and_shadow_tell_once(self):
        for sql in (self.index, "ALTER TABLE orders ALTER amount SET NOT NULL", "ALTER TABLE orders ALTER amount TYPE bigint", "ALTER TABLE orders ADD CHECK (amount > 0)"):
            with self.subTest(sql=sql):
                done = self.with_step(sql).check()
                self.assertEqual([f["rule"] for f in done.findings if f["class"] in ("lock", "rewrite")], ["work-under-strong-lock"], done)

    def test_either_id_sets_it_aside_in_both_modes(self):
        for rule in ("index-not-concurrent", "work-under-strong-lock"):
            p = self.with_step("-- phasegate: allow %s until 1.3.0 because small\n%s" % (rule, self.index), release="1.1.0")
            for args in ((), ("--static",)):
                with self.subTest(rule=rule, args=args):
                    done = p.check(*args)
                    self.assertEqual((done.rc, done.json["summary"]["allowed"]), (0, 1), done)
                    self.assertNotIn("suppression-unused", [f["rule"] for f in done.findings])

    def test_a_severity_of_the_text_holds(self):
        p = self.with_step(self.index, project={"policy": {"rules": {"index-not-concurrent": "warning"}}})
        self.assertEqual(self.rules(p.check()), [("warning", "work-under-strong-lock")])

    def test_a_broken_release_has_two_names(self):
        for rule in ("contract-without-tombstone", "old-query-fails"):
            body = plan("p", phases={"contract": steps("1.1.0", "-- phasegate: allow %s until 1.2.0 because off approved-by ada\nALTER TABLE orders DROP COLUMN name" % rule)})
            p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": OTHER, "1.2.0": None}, planned=("1.2.0",), plans=[body])
            for args in ((), ("--static",)):
                with self.subTest(rule=rule, args=args):
                    done = p.check(*args)
                    self.assertEqual((done.rc, done.json["summary"]["allowed"]), (0, 1), done)
                    self.assertNotIn("suppression-unused", [f["rule"] for f in done.findings])


class Steps(check_project.Case):
    def test_what_depends_on_it(self):
        p = self.project(baseline=T + "; CREATE VIEW names AS SELECT name FROM orders", releases={"1.0.0": OTHER, "1.1.0": OTHER},
                         plans=[plan("p", phases={"contract": steps("1.1.0", "ALTER TABLE orders DROP COLUMN name")})])
        f = self.red(p, "step-fails-on-shadow", sqlstate="2BP01")
        self.assertIn("drop column name of", f["message"])
        self.assertEqual(f["help"], "drop or replace view names in an earlier step")
        self.assertNotIn("_drop_", str(p.check().json))

    def test_an_index_of_a_partitioned_table(self):
        """CONCURRENTLY isn't for them as a whole."""
        baseline = T + "; CREATE TABLE parts (id int, a int) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF parts FOR VALUES FROM (0) TO (9)"
        for table, way in (("parts", "ON ONLY the parent, then CONCURRENTLY on each partition"), ("orders", "CONCURRENTLY, in a step of its own")):
            p = self.project(baseline=baseline, releases={"1.0.0": OTHER, "1.1.0": OTHER},
                             plans=[plan("p", phases={"expand": steps("1.1.0", "CREATE INDEX x ON %s (id)" % table)})])
            f = self.red(p, "work-under-strong-lock")
            self.assertIn("CREATE INDEX " + way, f["help"])

    def test_an_environment_that_isnt_there(self):
        p = self.project(baseline=T, releases={"1.0.0": GET}, plans=[harmless()],
                         project={"environments": {"staging": {"databases": {"main": {"url": "postgresql://127.0.0.1:1/x"}}}}})
        done = p.run("check", "--against", "stagin")
        self.assertEqual(done.rc, 2, done)
        self.assertIn("HINT: phasegate check --against staging\n", done.stderr)

    def test_a_rename_in_expand(self):
        p = self.project(baseline=T, releases={"1.0.0": OTHER}, plans=[plan("p", phases={"expand": steps("1.1.0", "ALTER TABLE orders RENAME COLUMN name TO title")})])
        [f] = [f for f in p.check("--static").findings if f["rule"] == "destructive-outside-contract"]
        self.assertIn("rename-column", f["help"])
        self.assertNotIn("move it", f["help"])

    def test_no_baseline_is_one_finding(self):
        p = self.project(releases={"1.0.0": GET, "1.1.0": OTHER}, plans=[plan("p", phases={"expand": steps("1.1.0", "ALTER TABLE orders ADD x int", "ALTER TABLE stock ADD x int")})])
        p.write("phasegate.yaml", open(os.path.join(p.dir, "phasegate.yaml")).read().replace('"baseline": "baseline.sql",', ""))
        done = p.check()
        self.assertEqual([(f["rule"], f["file"]) for f in done.findings], [("step-fails-on-shadow", "phasegate.yaml")], done)
        self.assertIn("no baseline", done.findings[0]["message"])

    def test_a_baseline_that_isnt_there(self):
        p = self.project(baseline=T, releases={"1.0.0": GET}, plans=[harmless()])
        os.remove(os.path.join(p.dir, "baseline.sql"))
        done = p.run("check")
        self.assertEqual(done.rc, 2, done)
        self.assertRegex(done.stderr + done.stdout, r"phasegate\.yaml:\d+:\d+: baseline: baseline\.sql: No such file")

    def test_unique_by_the_authors_rows(self):
        put = "-- name: Put\n-- args: (7, 'x')\n-- args: (8, 'y')\nINSERT INTO orders (id, name) VALUES ($1, $2);\n"
        key = [plan("p", phases={"contract": steps("1.1.0", "CREATE UNIQUE INDEX CONCURRENTLY k ON orders (name)")})]
        f = self.red(self.project(baseline=T, releases={"1.0.0": put, "1.1.0": put}, plans=key), "unproven-write", severity="warning")
        self.assertIn("never writes a value twice", f["help"])
        same = put.replace("'y'", "'x'")
        f = self.red(self.project(baseline=T, releases={"1.0.0": same, "1.1.0": same}, plans=key), "unproven-write")
        self.assertIn("ON CONFLICT", f["help"])


class Asking(check_project.Case):
    def git(self, p, *args):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *args], cwd=p.dir, check=True, capture_output=True)

    def test_a_changed_baseline_concerns_everything(self):
        body = plan("p", phases={"contract": steps("1.1.0", "ALTER TABLE orders DROP COLUMN name")})
        p = self.project(releases={"1.0.0": GET, "1.1.0": OTHER}, plans=[body], project={"baseline": "./migrations/"})
        os.mkdir(os.path.join(p.dir, "migrations"))
        p.write("migrations/V1.sql", T + ";\n")
        self.git(p, "init", "-q")
        self.git(p, "add", "-A")
        self.git(p, "commit", "-qm", "all")
        self.assertEqual(p.check("--since", "HEAD").rc, 0)
        p.write("migrations/V2.sql", "CREATE TABLE more (id int PRIMARY KEY);\n")
        self.assertEqual(p.check("--since", "HEAD").rc, 1)

    def test_a_step_that_the_baseline_has(self):
        """What isn't run isn't proved, and that is said: of migrations louder than of a dump."""
        body = plan("p", phases={"expand": steps("1.1.0", "ALTER TABLE orders ADD COLUMN code text", "CREATE TABLE IF NOT EXISTS stock (id int)")})
        done = T + "; ALTER TABLE orders ADD COLUMN code text;\n"
        p = self.project(baseline=done, releases={"1.0.0": GET, "1.1.0": GET}, plans=[body])
        found = [f for f in p.check().findings if f["rule"] == "step-in-baseline"]
        self.assertEqual([f["severity"] for f in found], ["note"])
        os.mkdir(os.path.join(p.dir, "migrations"))
        p.write("migrations/V1__x.sql", done)
        with open(p.dir + "/phasegate.yaml") as f:
            settings = f.read()
        p.write("phasegate.yaml", settings.replace("baseline.sql", "migrations"))
        found = [f for f in p.check().findings if f["rule"] == "step-in-baseline"]
        self.assertEqual([f["severity"] for f in found], ["warning"])
        self.assertIn("of plan p the baseline has 1 of 1 steps already", found[0]["message"])
        p.write("migrations/V1__x.sql", T + ";\n")
        self.assertEqual(p.check().findings, [])

    def test_migrations_in_the_order_of_their_versions(self):
        p = self.project(releases={"1.0.0": GET}, plans=[harmless()], project={"baseline": "migrations"})
        os.mkdir(os.path.join(p.dir, "migrations"))
        for name, sql in (("V10__c.sql", "ALTER TABLE orders RENAME COLUMN third TO amount"), ("V2__a.sql", "CREATE TABLE orders (id int PRIMARY KEY, first text)"),
                          ("V2.1__b.sql", "ALTER TABLE orders RENAME COLUMN first TO second"), ("V2_1_5__b.sql", "ALTER TABLE orders RENAME COLUMN second TO third"),
                          ("V3__s.sql", "CREATE TABLE stock (id int PRIMARY KEY)"), ("V11__n.sql", "ALTER TABLE orders ADD COLUMN name text"),
                          ("afterMigrate.sql", "SELECT nothing"), ("beforeEachMigrate__x.sql", "SELECT nothing"), ("R__view.sql", "CREATE VIEW v AS SELECT name, amount FROM orders")):
            p.write("migrations/" + name, sql + ";\n")
        self.assertEqual(p.check().rc, 0)
        p.write("migrations/V12__p.sql", "ALTER TABLE orders OWNER TO ${owner};\n")
        done = p.run("check")
        self.assertEqual(done.rc, 2)
        self.assertIn("V12__p.sql:1", done.stderr)
        self.assertIn("A placeholder", done.stderr)

    def test_a_path_may_be_written_in_any_way(self):
        """What --since compares is where a file lies, not how the project file writes it."""
        outside = tempfile.mkdtemp(prefix="phasegate-repo-")
        self.addCleanup(shutil.rmtree, outside, True)
        os.makedirs(outside + "/app")
        for written, lies in (("sql/1.0.0/", "sql/1.0.0/a.sql"), ("./sql//1.0.0", "sql/1.0.0/a.sql"), ("./sql/x.sql", "sql/x.sql"),
                              (["sql/1.0.0/"], "sql/1.0.0/a.sql"), ("../app/x.sql", "../app/x.sql"), ("link.sql", "sql/x.sql")):
            p = self.project(baseline=T, releases={"1.0.0": None, "1.1.0": OTHER}, more={"1.0.0": {"statements": written}},
                             plans=[plan("p", phases={"contract": steps("1.1.0", "ALTER TABLE orders DROP COLUMN name")})],
                             project={"plans": ".//plans/"})
            shutil.copytree(p.dir, outside + "/db", dirs_exist_ok=True)
            p.dir, before = outside + "/db", p.dir
            shutil.rmtree(before)
            os.makedirs(p.dir + "/sql/1.0.0", exist_ok=True)
            if written == "link.sql":
                os.symlink("sql/x.sql", p.dir + "/link.sql")
            p.write(lies, OTHER)
            subprocess.run("git init -q && git add -A && git -c user.name=t -c user.email=t@t commit -qm all", shell=True,
                           cwd=outside, check=True)
            self.assertEqual(p.check("--since", "HEAD").rc, 0, written)
            p.write(lies, GET)
            done = p.check("--since", "HEAD")
            self.assertEqual(done.rc, 1, (written, done))
            for f in done.findings:
                for place in f["places"]:
                    self.assertNotIn("//", place["file"])
                    self.assertFalse(place["file"].startswith("./"), place)
            shutil.rmtree(outside + "/.git")
            shutil.rmtree(outside + "/db")

    def test_what_git_says(self):
        p = self.project(baseline=T, releases={"1.0.0": GET}, plans=[harmless()])
        done = p.run("check", "--since", "HEAD", env={"GIT_CEILING_DIRECTORIES": "/tmp"})
        self.assertEqual(done.rc, 2, done)
        self.assertIn("not a git repository", done.stderr)
        self.assertNotIn("merge-base", done.stderr)
        self.git(p, "init", "-q")
        done = p.run("check", "--since", "nowhere")
        self.assertIn("nowhere", done.stderr)
        self.assertNotIn("merge-base", done.stderr)

    def test_files_where_plans_are_asked_for(self):
        p = self.project(baseline=T, releases={"1.0.0": GET}, plans=[harmless()])
        os.mkdir(os.path.join(p.dir, "migrations"))
        p.write("migrations/V1.sql", "ALTER TABLE orders RENAME COLUMN name TO title;\n")
        done = p.run("check", "migrations/")
        self.assertEqual(done.rc, 2, done)
        self.assertIn("phasegate check --static migrations/", done.stderr)
        done = p.run("check", "--static", "nosuch/")
        self.assertEqual(done.rc, 2, done)
        self.assertIn("nosuch/: no such file", done.stderr)
        done = p.run("check", "--static", "migrations/")
        self.assertIn("warning[destructive-outside-contract]", done.stdout)
        self.assertIn("then: phasegate check --static migrations/\n", done.stdout)

    def test_explain(self):
        p = self.project(baseline=T, releases={"1.0.0": GET, "1.1.0": ""}, plans=[harmless()])
        done = p.run("check", "--explain")
        self.assertEqual(done.rc, 1, done)
        self.assertIn("1 error: phasegate check", done.stderr)
        self.assertEqual(p.run("check", "--explain", "--format", "json").rc, 2)
        self.assertIn("flowchart", p.run("check", "--explain", "--format", "mermaid").stdout)

    def test_suppressions_that_nothing_ends_or_reads(self):
        body = plan("p", phases={"contract": steps("1.1.0", "-- phasegate: allow index-not-concurrent until 9.9.9 because small\nCREATE INDEX i ON orders (amount)")})
        p = self.project(baseline=T, releases={"1.0.0": OTHER, "1.1.0": OTHER}, plans=[body])
        done = p.check("--static")
        self.assertEqual(done.rc, 0, done)
        self.assertIn(("warning", "release-not-listed"), self.rules(done))
        name = "plans/%d-p.yaml" % body["timestamp"]
        p.write(name, "# phasegate: allow index-not-concurrent until 1.2.0 because small\n" + open(os.path.join(p.dir, name)).read())
        self.assertIn(("error", "suppression-malformed"), self.rules(p.check("--static")))


if __name__ == "__main__":
    unittest.main()

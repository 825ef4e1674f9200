"""check --since: what a branch's own migrations break. On servers of its own."""

import os
import shutil
import subprocess
import tempfile
import unittest

import check_project
from project import plan, step

T = "CREATE TABLE macros (id int PRIMARY KEY, name text, uses int DEFAULT 0);\nCREATE TABLE other (id int);\n"
GET = "-- name: Get\n-- args: (1)\nSELECT name, uses FROM macros WHERE id = $1;\n"
NAME = "-- name: Name\n-- args: (1)\nSELECT name FROM macros WHERE id = $1;\n"
PUT = "-- name: Put\nINSERT INTO macros (id, name) VALUES ($1, $2);\n"
RULE = "baseline-breaks-release"
DROP = "ALTER TABLE macros DROP COLUMN uses;\n"


class Branch(check_project.Case):
    def git(self, p, *args):
        done = subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *args], cwd=p.dir, check=True, capture_output=True, text=True)
        return done.stdout

    def branch(self, releases=None, base=None, project=None, first="migrations/V1__a.sql", **parts):
        """A repository with everything committed on main, on a branch of it."""
        body = {"baseline": "migrations/"}
        body.update(project or {})
        p = self.project(releases=releases or {"1.0.0": GET, "1.1.0": NAME}, project=body, **parts)
        os.makedirs(os.path.join(p.dir, os.path.dirname(first)), exist_ok=True)
        p.write(first, base or T)
        self.git(p, "init", "-q", "-b", "main")
        self.git(p, "add", "-A")
        self.git(p, "commit", "-qm", "all")
        self.git(p, "checkout", "-q", "-b", "work")
        self.temp = tempfile.mkdtemp(prefix="since-temp-")
        self.addCleanup(shutil.rmtree, self.temp, True)
        os.chmod(self.temp, 0o755)  # the server's user has to get to its own folder in it
        return p

    def edit(self, p, what, by):
        with open(os.path.join(p.dir, "phasegate.yaml")) as f:
            text = f.read()
        p.write("phasegate.yaml", text.replace(what, by))

    def since(self, p, *args, **env):
        """Nothing stays behind, and the work tree is as it was."""
        before = self.git(p, "status", "--porcelain")
        done = p.check("--since", "main", *args, env=dict(env, TMPDIR=self.temp))
        self.assertEqual([n for n in os.listdir(self.temp) if "since" in n], [], done)
        self.assertEqual(self.git(p, "status", "--porcelain"), before)
        return done

    def broken(self, p, *args, **env):
        done = self.since(p, *args, **env)
        self.assertEqual(done.rc, 1, done)
        found = [f for f in done.findings if f["rule"] == RULE]
        self.assertEqual({f["rule"] for f in done.findings if f["severity"] == "error"}, {RULE}, done)
        return found

    def whole(self, p, *args, **env):
        done = self.since(p, *args, **env)
        self.assertEqual((done.rc, [f for f in done.findings if f["rule"] == RULE]), (0, []), done)
        return done

    def one(self, p):
        found = self.broken(p)
        self.assertEqual(len(found), 1, found)
        return found[0]


class Breaks(Branch):
    def test_a_column_is_dropped(self):
        p = self.branch(consumers={"report": GET})
        p.write("migrations/V13__x.sql", "-- macros aren't counted\n\nCREATE INDEX ON macros (name);\n" + DROP)
        f = self.one(p)
        self.assertEqual((f["class"], f["severity"], f["file"], f["line"], f["sqlstate"]),
                         ("compat", "error", "migrations/V13__x.sql", 4, "42703"), f)
        self.assertIn('migrations/V13__x.sql (ALTER TABLE DROP COLUMN) breaks what worked before this branch: column "uses" does not exist',
                      f["message"])
        self.assertIn("make it a plan", f["help"])
        self.assertIn("take it out of releases:", f["help"])
        self.assertEqual([(x["release"], x["statement"], x["file"], x["line"]) for x in f["places"]],
                         [("1.0.0", "Get", "statements/1.0.0.sql", 3), ("report", "Get", "statements/report.sql", 3)], f)
        self.git(p, "add", "-A")
        self.git(p, "commit", "-qm", "work")
        self.assertEqual(self.one(p)["line"], 4)

    def test_without_since_both_ways_are_told(self):
        p = self.branch()
        p.write("migrations/V13__x.sql", DROP)
        f = self.red(p, "failing-at-baseline", severity="warning")
        for part in ("never was there: add it there", "Where a migration took it away", "make it a plan", "take the release out of releases:"):
            self.assertIn(part, f["help"])

    def test_ways_to_break(self):
        for name, sql, line, kind, statements in (
                ("rename a column", "SELECT 1;\nALTER TABLE macros RENAME COLUMN uses TO used;", 2, "RENAME", GET),
                ("rename a table", "ALTER TABLE macros RENAME TO macro;", 1, "RENAME", GET),
                ("drop a table", "ALTER TABLE other ADD COLUMN x int;\nDROP TABLE macros;", 2, "DROP TABLE", GET),
                ("not null", "ALTER TABLE macros\n  ADD COLUMN owner text NOT NULL;", 1, "ADD COLUMN", PUT),
                ("a block", "DO $$ BEGIN\n EXECUTE 'ALTER TABLE macros DROP COLUMN uses'; END $$;", 1, "DO", GET),
                ("a check", "ALTER TABLE macros ADD CONSTRAINT never CHECK (name IS NULL AND name IS NOT NULL);", 1, "ADD CHECK", PUT)):
            with self.subTest(name):
                p = self.branch({"1.0.0": statements, "1.1.0": statements})
                p.write("migrations/V10__before.sql", "CREATE TABLE third (id int);\n")
                p.write("migrations/V13__x.sql", sql + "\n")
                f = self.one(p)
                self.assertEqual((f["file"], f["line"]), ("migrations/V13__x.sql", line), f)
                self.assertIn(kind, f["message"])
                self.assertEqual(len(f["places"]), 2)

    def test_rights_and_bodies(self):
        base = T + ("CREATE VIEW v AS SELECT id FROM macros;\nGRANT SELECT ON v TO app;\n"
                    "CREATE FUNCTION f() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT sum(uses) FROM macros); END';\n")
        view = "-- name: V\nSELECT id FROM v;\n"
        p = self.branch({"1.0.0": view, "1.1.0": view}, base, session={"role": "app"})
        p.write("migrations/V2__v.sql", "DROP VIEW v;\nCREATE VIEW v AS SELECT id FROM macros;\n")
        f = self.one(p)
        self.assertEqual((f["sqlstate"], f["file"]), ("42501", "migrations/V2__v.sql"), f)
        call = "-- name: F\nSELECT f();\n"
        p = self.branch({"1.0.0": call, "1.1.0": call}, base)
        p.write("migrations/V2__v.sql", DROP)
        f = self.one(p)
        self.assertEqual((f["probe"], f["file"]), ("X", "migrations/V2__v.sql"), f)

    def test_a_later_release_as_well(self):
        p = self.branch({"1.0.0": NAME, "1.1.0": GET}, planned=[])
        p.write("migrations/V2__x.sql", DROP)
        f = self.one(p)
        self.assertEqual([x["release"] for x in f["places"]], ["1.1.0"])

    def test_each_cause_is_one_finding(self):
        p = self.branch({"1.0.0": GET + PUT, "1.1.0": GET + PUT})
        p.write("migrations/V2__x.sql", DROP)
        p.write("migrations/V3__x.sql", "ALTER TABLE macros ADD COLUMN owner text NOT NULL;\n")
        found = self.broken(p)
        self.assertEqual(sorted((f["file"], f["statement"]) for f in found),
                         [("migrations/V2__x.sql", "Get"), ("migrations/V3__x.sql", "Put")], found)

    def test_a_transaction(self):
        tx = "-- name: One\n-- tx: T\n-- args: (7, 'x')\nINSERT INTO macros (id, name) VALUES ($1, $2);\n" \
             "-- name: Two\n-- tx: T\n-- args: (7)\nUPDATE macros SET uses = 1 WHERE id = $1;\n"
        p = self.branch({"1.0.0": tx, "1.1.0": tx})
        p.write("migrations/V2__x.sql", DROP)
        self.assertEqual({x["statement"] for x in self.one(p)["places"]}, {"Two"})

    def test_it_can_be_set_aside_by_name(self):
        allow = "-- phasegate: allow %s until 1.2.0 because 1.0.0 is off approved-by ada\n" % RULE
        get = "-- name: Get\n" + allow + "-- args: (1)\nSELECT name, uses FROM macros WHERE id = $1;\n"
        p = self.branch({"1.0.0": get, "1.1.0": NAME, "1.2.0": None}, planned=["1.2.0"])
        p.write("migrations/V2__x.sql", DROP)
        done = self.since(p)
        self.assertEqual(done.rc, 0, done)
        self.assertTrue([f for f in done.findings if f["rule"] == RULE and f.get("allowed")], done)

    def test_beside_plans(self):
        """The first state is what counts, not what plans make of it."""
        p = self.branch(plans=[plan("p", phases={"expand": {"release": "1.1.0", "steps": [step("s", "ALTER TABLE other ADD COLUMN more text")]}})])
        p.write("migrations/V2__x.sql", DROP)
        self.assertEqual(self.one(p)["file"], "migrations/V2__x.sql")

    def test_roles_that_the_baseline_makes(self):
        base = "CREATE ROLE writer;\nCREATE ROLE app LOGIN IN ROLE writer;\n" + T + "GRANT SELECT ON macros TO writer;\nALTER TABLE other OWNER TO app;\n"
        p = self.branch({"1.0.0": GET, "1.1.0": NAME}, base, session={"role": "app"})
        p.write("migrations/V2__x.sql", DROP)
        for args in ([], ["--no-cache"], []):
            self.assertEqual([f["line"] for f in self.broken(p, *args)], [1], args)


class BreaksNot(Branch):
    def test_what_failed_before(self):
        get = GET + "-- name: Never\nSELECT nothing FROM other;\n"
        p = self.branch({"1.0.0": get, "1.1.0": get})
        p.write("migrations/V2__x.sql", "ALTER TABLE other ADD COLUMN x int;\n")
        done = self.whole(p)
        [f] = done.findings
        self.assertEqual((f["rule"], f["severity"]), ("failing-at-baseline", "warning"))
        self.assertIn("did before this branch", f["help"])

    def test_a_release_that_is_taken_out(self):
        p = self.branch({"1.0.0": GET, "1.1.0": NAME})
        p.write("migrations/V2__x.sql", DROP)
        self.edit(p, "statements/1.0.0.sql", "statements/1.1.0.sql")
        self.whole(p)

    def test_rows_of_ours_prove_nothing(self):
        """A key that our own row has already isn't the migration's doing."""
        put = "-- name: Put\nINSERT INTO macros (id, name) SELECT id, name FROM macros;\n"
        p = self.branch({"1.0.0": put, "1.1.0": put}, "CREATE TABLE macros (id int, name text);\n")
        p.write("migrations/V2__x.sql", "ALTER TABLE macros ADD PRIMARY KEY (id);\n")
        self.whole(p)

    def test_nothing_is_asked_where_nothing_fails(self):
        p = self.branch()
        p.write("migrations/V2__x.sql", "ALTER TABLE macros ADD COLUMN more text;\n")
        self.assertEqual(self.commands(p), [])
        p.write("migrations/V2__x.sql", DROP)
        self.assertIn("merge-base", self.commands(p, 1))
        # Nor where the baseline is what it was.
        self.git(p, "add", "-A")
        self.git(p, "commit", "-qm", "work")
        self.git(p, "branch", "-f", "main")
        self.assertEqual(self.commands(p), [])

    def commands(self, p, rc=0):
        """Those of git's commands that have to do with the baseline of before."""
        real, log = shutil.which("git"), self.temp + "/git.log"
        with open(self.temp + "/git", "w") as f:
            f.write('#!/bin/sh\necho "$*" >> %s\nexec %s "$@"\n' % (log, real))
        os.chmod(self.temp + "/git", 0o755)
        open(log, "w").close()
        done = p.check("--since", "main", env={"PATH": self.temp + ":" + os.environ["PATH"], "TMPDIR": self.temp})
        self.assertEqual(done.rc, rc, done)
        with open(log) as f:
            words = [w for line in f for w in line.split()]
        os.remove(log)
        os.remove(self.temp + "/git")
        return [w for w in words if w in ("merge-base", "ls-tree", "blob")]


class Before(Branch):
    """What the baseline was."""

    def test_there_was_none(self):
        p = self.branch(first="elsewhere/x.sql")
        os.makedirs(p.dir + "/migrations")
        p.write("migrations/V1__a.sql", T)
        p.write("migrations/V2__x.sql", DROP)
        done = self.whole(p)
        self.assertEqual([(f["rule"], f["severity"]) for f in done.findings], [("failing-at-baseline", "warning")], done)

    def test_a_dump(self):
        p = self.branch(project={"baseline": "db/schema.sql"}, first="db/schema.sql")
        p.write("db/schema.sql", T.replace(", uses int DEFAULT 0", ""))
        f = self.one(p)
        self.assertEqual((f["file"], f["line"]), ("db/schema.sql", 1), f)
        self.assertIn('db/schema.sql breaks what worked before this branch: column "uses"', f["message"])

    def test_a_folder_that_moves(self):
        p = self.branch()
        self.git(p, "mv", "migrations", "sql")
        self.edit(p, "migrations/", "./sql//")
        self.whole(p)
        p.write("sql/V2__x.sql", DROP)
        f = self.one(p)
        self.assertEqual(f["file"], "sql/V2__x.sql", f)

    def test_a_file_is_edited_and_another_is_gone(self):
        p = self.branch()
        self.git(p, "mv", "migrations/V1__a.sql", "migrations/V3__a.sql")
        p.write("migrations/V3__a.sql", T.replace(", uses int DEFAULT 0", ""))
        f = self.one(p)
        self.assertEqual(f["file"], "migrations/V3__a.sql", f)

    def test_the_edited_statement_is_blamed(self):
        """Wherever in its file it stands, and whatever names the table behind it."""
        base = "SELECT 1;\n" + T + "CREATE INDEX i ON macros (name);\nALTER TABLE macros ALTER COLUMN name SET NOT NULL;\n"
        for edit, line in (((", uses int DEFAULT 0", ""), 2), (("CREATE INDEX i ON macros (name)", "ALTER TABLE macros RENAME COLUMN uses TO used"), 4)):
            with self.subTest(edit=edit):
                p = self.branch(base=base)
                p.write("migrations/V1__a.sql", base.replace(*edit))
                f = self.one(p)
                self.assertEqual((f["file"], f["line"]), ("migrations/V1__a.sql", line), f)

    def test_a_file_is_gone(self):
        p = self.branch(base=T.replace(", uses int DEFAULT 0", ""))
        p.write("migrations/V2__uses.sql", "ALTER TABLE macros ADD COLUMN uses int;\n")
        self.git(p, "add", "-A")
        self.git(p, "commit", "-qm", "all")
        self.git(p, "branch", "-f", "main")
        os.remove(p.dir + "/migrations/V2__uses.sql")
        f = self.one(p)
        self.assertIn("that migrations/V2__uses.sql is gone breaks what worked before", f["message"])
        self.assertEqual(f["file"], "phasegate.yaml")

    def test_it_ended_its_session(self):
        """Then nobody knows whether it worked."""
        base = T + "CREATE FUNCTION f() RETURNS bool LANGUAGE sql AS 'SELECT pg_terminate_backend(pg_backend_pid())';\n"
        call = "-- name: F\nSELECT f();\n"
        p = self.branch({"1.0.0": call + GET, "1.1.0": call + GET}, base)
        p.write("migrations/V2__x.sql", "DROP FUNCTION f();\n" + DROP)
        f = self.one(p)
        self.assertEqual({x["statement"] for x in f["places"]}, {"Get"})
        [other] = [f for f in self.since(p).findings if f["rule"] == "failing-at-baseline"]
        self.assertNotIn("before this branch", other["help"])

    def test_other_clones(self):
        p = self.branch()
        p.write("plans/.gitkeep", "")
        p.write("migrations/V2__x.sql", DROP)
        self.git(p, "add", "-A")
        self.git(p, "commit", "-qm", "work")
        self.git(p, "clone", "-q", "--depth", "3", "--no-single-branch", "file://" + p.dir, self.temp + "/shallow")
        self.git(p, "worktree", "add", "-q", "--detach", self.temp + "/tree", "work")
        for folder in ("shallow", "tree"):
            p.dir, main = self.temp + "/" + folder, p.dir
            done = p.check("--since", "origin/main" if folder == "shallow" else "main")
            self.assertEqual([f["rule"] for f in done.findings], [RULE], done)
            p.dir = main

    def test_what_it_did_to_load(self):
        p = self.branch(base=T + "no sql at all;\n")
        p.write("migrations/V1__a.sql", T + DROP)
        done = self.whole(p)
        [f] = done.findings
        self.assertEqual((f["rule"], f["severity"]), ("failing-at-baseline", "warning"))
        self.assertIn("isn't known: the baseline as it was where the branch began can't be loaded: migrations/V1__a.sql:3", f["help"])

    def test_main_goes_on(self):
        """It counts where the branch left, not what main is by now."""
        p = self.branch()
        self.git(p, "checkout", "-q", "main")
        p.write("migrations/V2__main.sql", "DROP TABLE macros;\n")
        self.git(p, "add", "-A")
        self.git(p, "commit", "-qm", "main's own")
        self.git(p, "checkout", "-q", "work")
        p.write("migrations/V3__x.sql", DROP)
        self.assertEqual(self.one(p)["file"], "migrations/V3__x.sql")

    def test_a_project_in_a_folder(self):
        p = self.branch()
        outside = tempfile.mkdtemp(prefix="phasegate-repo-")
        self.addCleanup(shutil.rmtree, outside, True)
        shutil.rmtree(p.dir + "/.git")
        shutil.move(p.dir, outside + "/it's a \"project\" ü")
        os.makedirs(outside + "/db")
        os.rename(outside + "/it's a \"project\" ü/migrations", outside + "/db/mig rations")
        p.dir = outside + "/it's a \"project\" ü"
        self.edit(p, "migrations/", "../db/mig rations")
        self.git(p, "init", "-q", "-b", "main", outside)
        self.git(p, "add", "-A", outside)
        self.git(p, "commit", "-qm", "all")
        p.write("../db/mig rations/V2__x.sql", DROP)
        f = self.one(p)
        self.assertEqual((f["file"], f["line"]), ("../db/mig rations/V2__x.sql", 1), f)

    def test_links(self):
        p = self.branch()
        os.rename(p.dir + "/migrations", p.dir + "/v2")
        os.symlink("v2", p.dir + "/migrations")
        self.git(p, "add", "-A")
        self.git(p, "commit", "-qm", "a link")
        self.git(p, "branch", "-f", "main")
        p.write("v2/V2__x.sql", DROP)
        self.assertEqual(self.one(p)["line"], 1)

    def test_files_that_are_links(self):
        """What changed is what they lead to."""
        p = self.branch()
        os.mkdir(p.dir + "/shared")
        os.rename(p.dir + "/migrations/V1__a.sql", p.dir + "/shared/one.sql")
        os.symlink("../shared/one.sql", p.dir + "/migrations/V1__a.sql")
        self.git(p, "add", "-A")
        self.git(p, "commit", "-qm", "a link")
        self.git(p, "branch", "-f", "main")
        p.write("shared/one.sql", T + DROP)
        self.one(p)
        p.write("shared/one.sql", T)
        p.write("shared/two.sql", DROP)
        os.unlink(p.dir + "/migrations/V1__a.sql")
        os.symlink("../shared/two.sql", p.dir + "/migrations/V2__b.sql")
        os.symlink("../shared/one.sql", p.dir + "/migrations/V1__a.sql")
        self.one(p)

    def test_a_live_database_is_no_branch(self):
        p = self.branch()
        p.write("migrations/V2__x.sql", DROP)
        done = p.run("check", "--since", "main", "--baseline-from", "host=/nonexistent dbname=x")
        self.assertEqual(done.rc, 3, done)


class Safe(Branch):
    def test_nothing_of_the_repository_is_run(self):
        p = self.branch()
        mark = self.temp + "/ran"
        self.git(p, "config", "filter.f.smudge", "touch %s; cat" % mark)
        self.git(p, "config", "core.fsmonitor", "touch %s-monitor; false" % mark)
        self.git(p, "config", "diff.f.textconv", "touch %s; cat" % mark)
        p.write(".gitattributes", "*.sql filter=f diff=f\n")
        for hook in ("post-checkout", "pre-commit", "post-index-change", "reference-transaction"):
            p.write(".git/hooks/" + hook, "#!/bin/sh\ntouch %s\n" % mark)
            os.chmod(p.dir + "/.git/hooks/" + hook, 0o755)
        p.write("migrations/V1__a.sql", T.replace(", uses int DEFAULT 0", ""))
        done = p.check("--since", "main", env={"TMPDIR": self.temp})
        self.assertEqual([f["rule"] for f in done.findings if f["severity"] == "error"], [RULE], done)
        # To know what changed git may ask a monitor of the user's settings; nothing else is run.
        self.assertEqual([n for n in os.listdir(self.temp) if n != "ran-monitor"], [])

    def test_no_folder_to_be_had(self):
        p = self.branch()
        p.write("migrations/V2__x.sql", DROP)
        done = p.check("--since", "main", env={"TMPDIR": self.temp + "/nowhere"})
        self.assertEqual(done.rc, 3, done)

    def test_more_names_than_fit(self):
        """Of thousands of changed files none is forgotten."""
        p = self.branch({"1.0.0": GET, "1.1.0": GET}, plans=[
            plan("p", phases={"contract": {"release": "1.1.0", "steps": [step("s", "ALTER TABLE macros DROP COLUMN name")]}})])
        self.assertEqual(self.since(p).rc, 0)
        os.makedirs(p.dir + "/a")
        for i in range(1500):
            p.write("a/%060d.txt" % i, "")
        p.write("statements/1.1.0.sql", GET + "\n")
        self.assertEqual(self.since(p).rc, 1)


if __name__ == "__main__":
    unittest.main()

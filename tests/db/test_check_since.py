"""check --since: what a branch's own migrations break. On servers of its own."""

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
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

    def test_nothing_is_read_where_nothing_fails(self):
        p = self.branch()
        p.write("migrations/V1__a.sql", T + "CREATE INDEX ON macros (name);\n")
        self.assertNotIn("cat-file", self.commands(p))
        p.write("migrations/V1__a.sql", T + DROP)
        self.assertIn("cat-file", self.commands(p, 1))
        # Nor where the baseline is what it was.
        self.git(p, "add", "-A")
        self.git(p, "commit", "-qm", "work")
        self.git(p, "branch", "-f", "main")
        self.assertNotIn("cat-file", self.commands(p))

    def test_git_is_asked_a_few_times_however_much_has_changed(self):
        p = self.branch()
        for i in range(300):
            p.write("migrations/V%d__x.sql" % (i + 2), "CREATE TABLE t%d (id int);\n" % i)
        self.git(p, "add", "-A")
        self.git(p, "commit", "-qm", "many")
        self.git(p, "branch", "-f", "main")
        for i in range(300):
            p.write("migrations/V%d__x.sql" % (i + 2), "CREATE TABLE t%d (id int, more text);\n" % i)
        p.write("migrations/V1__a.sql", T + DROP)
        said = self.commands(p, 1)
        self.assertEqual(said.count("cat-file"), 1, said)
        self.assertLess(len(said), 9, said)

    COMMANDS = {"rev-parse", "merge-base", "ls-tree", "cat-file"}

    def commands(self, p, rc=0):
        """What git is asked; it isn't asked anything that looks at the work tree."""
        real, log = shutil.which("git"), self.temp + "/git.log"
        with open(self.temp + "/git", "w") as f:
            f.write('#!/bin/sh\necho "$*" >> %s\nexec %s "$@"\n' % (log, real))
        os.chmod(self.temp + "/git", 0o755)
        open(log, "w").close()
        done = p.check("--since", "main", env={"PATH": self.temp + ":" + os.environ["PATH"], "TMPDIR": self.temp})
        self.assertEqual(done.rc, rc, done)
        with open(log) as f:
            lines = f.read().splitlines()
        os.remove(log)
        os.remove(self.temp + "/git")
        said = [[w for w in line.split() if w in self.COMMANDS] for line in lines]
        self.assertEqual([line for line, words in zip(lines, said) if len(words) != 1], [])
        return [words[0] for words in said]


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
        self.git(p, "config", "filter.f.clean", "touch %s; cat" % mark)
        self.git(p, "config", "filter.f.process", "touch %s; false" % mark)
        self.git(p, "config", "diff.external", "touch %s; false" % mark)
        self.git(p, "config", "core.pager", "touch %s; cat" % mark)
        self.git(p, "config", "core.fsmonitor", "touch %s-monitor; false" % mark)
        self.git(p, "config", "diff.f.textconv", "touch %s; cat" % mark)
        p.write(".gitattributes", "*.sql filter=f diff=f\n*.yaml filter=f\n")
        for hook in ("post-checkout", "pre-commit", "post-index-change", "reference-transaction"):
            p.write(".git/hooks/" + hook, "#!/bin/sh\ntouch %s\n" % mark)
            os.chmod(p.dir + "/.git/hooks/" + hook, 0o755)
        p.write("migrations/V1__a.sql", T.replace(", uses int DEFAULT 0", ""))
        done = p.check("--since", "main", env={"TMPDIR": self.temp})
        self.assertEqual([f["rule"] for f in done.findings if f["severity"] == "error"], [RULE], done)
        self.assertEqual(os.listdir(self.temp), [])

    def test_a_folder_that_looks_like_a_repository(self):
        """Its configuration is the branch's, and would name programs and another past."""
        p = self.branch()
        top, project = p.dir, os.path.join(p.dir, "db")
        os.mkdir(project)
        for name in os.listdir(top):
            if name not in ("db", ".git"):
                shutil.move(os.path.join(top, name), project)
        self.git(p, "add", "-A")
        self.git(p, "commit", "-qm", "moved")
        self.git(p, "branch", "-f", "main", "work")
        p.write("db/migrations/V2__b.sql", DROP)
        with tempfile.TemporaryDirectory() as other:
            inner = os.path.join(other, "w")
            shutil.copytree(project, inner)
            for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "x"]):
                subprocess.run(["git", *command], cwd=inner, check=True, capture_output=True)
            for name in ("objects", "refs", "HEAD"):
                shutil.move(os.path.join(inner, ".git", name), os.path.join(project, name))
        p.write("db/config", "[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = .\n")
        p.dir = project
        done = p.check("--since", "main", env={"TMPDIR": self.temp})
        p.dir = top
        self.assertEqual(done.rc, 2, done)
        self.assertIn("bare repository", str(done))

    def test_no_file_is_written(self):
        """So none is left by a run that is killed, and none is missed where no file can be written."""
        p = self.branch()
        p.write("migrations/V1__a.sql", T + DROP)
        with subprocess.Popen([os.environ["PHASEGATE_BIN"], "check", "--since", "main", "--no-cache"], cwd=p.dir,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ, TMPDIR=self.temp)) as run:
            seen = set()
            while run.poll() is None:
                seen.update(n for n in os.listdir(self.temp) if not n.startswith(("phasegate-pg-", "phasegate-new-")))
                time.sleep(0.005)
        self.assertEqual((run.returncode, seen), (1, set()))

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


class OthersStandOnIt(Branch):
    """Statements that stay as they are break by what is edited or gone elsewhere."""

    FRESH = "-- name: Fresh\n-- args: (1)\nSELECT fresh FROM macros WHERE id = $1;\n"

    def planned(self):
        body = plan("fresh", phases={"expand": {"release": "1.1.0", "steps": [step("s", "ALTER TABLE macros ADD COLUMN fresh text")]}})
        p = self.branch(releases={"1.0.0": GET, "1.1.0": self.FRESH}, plans=[body])
        self.assertEqual(self.since(p).rc, 0)
        [name] = os.listdir(os.path.join(p.dir, "plans"))
        return p, os.path.join(p.dir, "plans", name)

    def red(self, p):
        done = self.since(p)
        self.assertEqual(done.rc, p.check().rc, done)
        self.assertEqual(done.rc, 1, done)

    def test_a_plan_is_gone(self):
        p, path = self.planned()
        os.unlink(path)
        self.red(p)

    def test_a_plan_is_edited(self):
        p, path = self.planned()
        with open(path, encoding="utf-8") as f:
            text = f.read()
        p.write(os.path.relpath(path, p.dir), text.replace("ADD COLUMN fresh", "ADD COLUMN frash"))
        self.red(p)

    def test_statements_are_gone(self):
        p = self.branch(releases={"1.0.0": GET, "1.1.0": NAME}, project=None)
        os.makedirs(os.path.join(p.dir, "statements/more"))
        self.edit(p, "statements/1.1.0.sql", "statements/more")
        p.write("statements/more/a.sql", NAME)
        self.git(p, "add", "-A")
        self.git(p, "commit", "-qm", "folder")
        self.git(p, "branch", "-f", "main", "work")
        os.unlink(os.path.join(p.dir, "statements/more/a.sql"))
        self.red(p)


class Changed(Branch):
    """What a file has in it counts, and not what git says of the work tree."""

    DROPS = {"contract": {"release": "1.1.0", "steps": [step("s", "ALTER TABLE macros DROP COLUMN uses")]}}

    def quiet(self):
        """The plan breaks 1.0.0, and main knew that: nothing is shown as long as nothing changes."""
        p = self.branch({"1.0.0": GET, "1.1.0": NAME}, plans=[plan("p", phases=self.DROPS)], project={"baseline": "migrations/"})
        self.assertEqual(self.since(p).rc, 0)
        return p

    def test_what_git_is_told_not_to_see(self):
        for how in ("--assume-unchanged", "--skip-worktree"):
            p = self.quiet()
            self.git(p, "update-index", how, "statements/1.0.0.sql")
            self.assertEqual(self.since(p).rc, 0)
            p.write("statements/1.0.0.sql", GET + "\n")
            self.assertEqual(self.since(p).rc, 1, how)

    def test_what_git_ignores(self):
        for name in (".git/info/exclude", ".gitignore"):
            p = self.quiet()
            with open(p.dir + "/" + name, "a") as f:
                f.write("more.sql\nV9*\n")
            p.write("statements/more.sql", GET.replace("Get", "More"))
            self.edit(p, "statements/1.0.0.sql", "statements/")
            self.git(p, "commit", "-qam", "more")
            self.git(p, "branch", "-f", "main")
            self.assertEqual(self.since(p).rc, 1, name)
            p.write("migrations/V9__x.sql", "CREATE TABLE x (id int);\n")
            self.assertEqual(self.since(p).rc, 1, name)

    def test_an_index_that_is_out_of_date(self):
        """The same size and the same time: git itself would have to look again."""
        p = self.quiet()
        path = p.dir + "/statements/1.0.0.sql"
        was = os.stat(path)
        p.write("statements/1.0.0.sql", GET.replace("name, uses", "uses, name"))
        os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
        self.assertEqual(self.since(p).rc, 1)

    def test_line_ends_of_another_system(self):
        p = self.quiet()
        for folder, _, names in os.walk(p.dir):
            for name in names:
                if name.endswith((".sql", ".yaml")) and ".git" not in folder:
                    with open(os.path.join(folder, name), "rb") as f:
                        text = f.read()
                    with open(os.path.join(folder, name), "wb") as f:
                        f.write(text.replace(b"\n", b"\r\n"))
        self.git(p, "config", "core.autocrlf", "true")
        self.assertEqual(self.since(p).rc, 0)
        with open(p.dir + "/statements/1.0.0.sql", "ab") as f:
            f.write(b"\r\n")
        self.assertEqual(self.since(p).rc, 1)

    def test_a_mode_alone(self):
        p = self.quiet()
        os.chmod(p.dir + "/statements/1.0.0.sql", 0o755)
        self.assertEqual(self.since(p).rc, 0)

    def test_other_objects(self):
        """A repository that names them by SHA-256."""
        p = self.quiet()
        shutil.rmtree(p.dir + "/.git")
        self.git(p, "init", "-q", "-b", "main", "--object-format=sha256")
        self.git(p, "add", "-A")
        self.git(p, "commit", "-qm", "all")
        self.assertEqual(self.since(p).rc, 0)
        p.write("statements/1.0.0.sql", GET + "\n")
        self.assertEqual(self.since(p).rc, 1)

    def test_a_file_that_is_only_somewhere_else(self):
        """Outside of the repository nobody knows what it was."""
        p = self.quiet()
        os.rename(p.dir + "/statements/1.0.0.sql", self.temp + "/elsewhere.sql")
        os.symlink(self.temp + "/elsewhere.sql", p.dir + "/statements/1.0.0.sql")
        self.git(p, "add", "-A")
        self.git(p, "commit", "-qm", "a link")
        self.git(p, "branch", "-f", "main")
        self.assertEqual(p.check("--since", "main").rc, 1)

    def test_a_name_with_a_line_in_it(self):
        p = self.branch()
        odd = self.temp + "/a\nb\tc\n"
        shutil.move(p.dir, odd)
        p.dir = odd
        p.write("migrations/V2__x.sql", DROP)
        done = p.check("--since", "main")
        self.assertEqual([f["rule"] for f in done.findings], [RULE], done)
        p.write("migrations/V2__x.sql", "SELECT 1;\n")
        self.assertEqual(p.check("--since", "main").rc, 0)

    def test_names_that_git_could_misread(self):
        p = self.branch({"1.0.0": GET, "1.1.0": NAME}, first=":(top)x*/V1\n__a.sql", project={"baseline": ":(top)x*/"})
        self.whole(p)
        p.write(":(top)x*/V2__\u00fc \"x\".sql", DROP)
        self.assertEqual(len(self.broken(p)), 1)

    def test_places_that_there_are_not(self):
        p = self.branch()
        for ref, words in (("nowhere", "git knows no such commit"), ("x" * 100000, "is no commit"), ("--all", "is no commit"),
                           ("x" * 3000, "git knows no such commit"), ("HEAD:migrations", "git knows no such commit")):
            done = p.run("check", "--since", ref)
            self.assertEqual(done.rc, 2, done)
            self.assertIn(words, done.stderr)
            self.assertLess(len(done.stderr), 500)
        self.git(p, "checkout", "-q", "--orphan", "alone")
        self.git(p, "commit", "-qm", "alone")
        done = p.run("check", "--since", "main")
        self.assertEqual((done.rc, "have no commit in common" in done.stderr), (2, True), done)


class Refs(Branch):
    """Which commit and which repository it is, is said by the project's own folder."""

    quiet = Changed.quiet
    DROPS = Changed.DROPS

    def ahead(self):
        """The branch's only commit breaks what main has; a tag of it would make it look unchanged."""
        p = self.quiet()
        p.write("statements/1.0.0.sql", GET + "\n")
        self.git(p, "commit", "-qam", "work")
        self.assertEqual(self.since(p).rc, 1)
        return p

    def test_a_tag_named_like_the_branch(self):
        p = self.ahead()
        self.git(p, "config", "core.warnAmbiguousRefs", "false")
        for make in (("tag",), ("tag", "-m", "annotated")):
            self.git(p, *make, "main")
            for ref in ("main", "main~0", "main^{commit}"):
                done = p.run("check", "--since", ref, env={"LC_ALL": "de_DE.UTF-8", "LANGUAGE": "de"})
                self.assertEqual(done.rc, 2, done)
                self.assertIn("--since %s may be several commits: refs/heads/main and refs/tags/main" % ref, done.stderr)
                self.assertIn("--since refs/heads/main", done.stderr)
            self.assertEqual(p.check("--since", "refs/heads/main").rc, 1)
            self.assertEqual(p.check("--since", "refs/tags/main").rc, 0)
            self.git(p, "tag", "-d", "main")
            # Both are one commit.
            self.git(p, *make, "main", "main")
            self.assertEqual(p.check("--since", "main").rc, 1)
            self.git(p, "tag", "-d", "main")

    def test_a_branch_named_like_a_commit(self):
        p = self.ahead()
        short = self.git(p, "rev-parse", "--short=7", "main").strip()
        self.git(p, "branch", short, "work")
        done = p.run("check", "--since", short)
        self.assertEqual(done.rc, 2, done)
        self.assertIn("refs/heads/%s, and one whose digest begins so" % short, done.stderr)

    def test_a_name_with_an_at(self):
        p = self.ahead()
        self.git(p, "branch", "a@b", "main")
        self.git(p, "tag", "a@b", "work")
        self.assertIn("refs/heads/a@b and refs/tags/a@b", p.run("check", "--since", "a@b").stderr)

    def test_replaced_objects(self):
        p = self.ahead()
        main, work = (self.git(p, "rev-parse", r).strip() for r in ("main", "work"))
        self.git(p, "replace", main, work)
        self.assertEqual(p.check("--since", "main").rc, 1)
        self.git(p, "replace", "-d", main)
        self.git(p, "replace", *(self.git(p, "rev-parse", r + ":statements").strip() for r in ("main", "work")))
        self.assertEqual(p.check("--since", "main").rc, 1)

    def test_grafts(self):
        p = self.ahead()
        p.write(".git/info/grafts", self.git(p, "rev-parse", "work"))
        self.assertEqual(p.check("--since", "main").rc, 1)

    def test_another_repository_in_the_environment(self):
        p, other = self.ahead(), self.temp + "/other"
        shutil.copytree(p.dir, other)
        self.git(p, "-C", other, "branch", "-f", "main", "work")
        git = other + "/.git"
        for env in ({"GIT_DIR": git}, {"GIT_DIR": git, "GIT_WORK_TREE": other}, {"GIT_WORK_TREE": other}, {"GIT_COMMON_DIR": git},
                    {"GIT_INDEX_FILE": git + "/index"}, {"GIT_OBJECT_DIRECTORY": self.temp}, {"GIT_NAMESPACE": "other"},
                    {"GIT_DIR": "/nonexistent"}, {"GIT_SHALLOW_FILE": "/nonexistent/x"}, {"GIT_REPLACE_REF_BASE": "refs/heads"},
                    {"GIT_ICASE_PATHSPECS": "1"}, {"GIT_PREFIX": "statements/"},
                    {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.worktree", "GIT_CONFIG_VALUE_0": other},
                    {"GIT_CONFIG_PARAMETERS": "'core.worktree=%s'" % other}, {"GIT_CONFIG_GLOBAL": git + "/config"}, {"GIT_CONFIG": git + "/config"},
                    {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.warnAmbiguousRefs", "GIT_CONFIG_VALUE_0": "false"}):
            with self.subTest(env):
                done = p.check("--since", "main", env=env)
                self.assertEqual(done.rc, 1, done)
                self.assertEqual(done.stderr, "")

    def test_a_copy_whose_repository_is_named(self):
        """As deploy/ci/pre-commit has it: the project elsewhere, its repository and its work tree in the environment."""
        p, copy = self.ahead(), self.temp + "/copy"
        shutil.copytree(p.dir, copy, ignore=shutil.ignore_patterns(".git"))
        env = {"GIT_DIR": p.dir + "/.git", "GIT_WORK_TREE": copy}
        self.assertEqual(p.run("-C", copy, "check", "--since", "main", env=env).rc, 1)
        self.assertEqual(p.run("-C", copy, "check", "--since", "work", env=env).rc, 0)
        self.assertEqual(p.run("-C", copy, "check", "--since", "main", env={"GIT_DIR": env["GIT_DIR"]}).rc, 2)

    def test_a_file_of_lfs(self):
        """Git has a pointer to it."""
        p = self.quiet()
        was = {n: open(p.dir + "/" + n, "rb").read() for n in ("statements/1.0.0.sql", "migrations/V1__a.sql")}
        for name, text in was.items():
            p.write(name, "version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n" % (hashlib.sha256(text).hexdigest(), len(text)))
        self.git(p, "commit", "-qam", "pointers")
        self.git(p, "branch", "-f", "main")
        for name, text in was.items():
            p.write(name, text.decode())
        self.assertEqual(p.check("--since", "main").rc, 0)
        for name, text in was.items():
            p.write(name, text.decode() + "-- another\n")
            self.assertEqual(p.check("--since", "main").rc, 1, name)
            p.write(name, text.decode())
        self.assertEqual(p.check("--since", "main").rc, 0)


class Modules(Branch):
    """Statements in a submodule."""

    def with_module(self):
        p = self.branch({"1.0.0": GET, "1.1.0": NAME}, plans=[plan("p", phases=Changed.DROPS)])
        self.module = self.temp + "/module"
        os.mkdir(self.module)
        for name, args in (("a.sql", ("init", "-q", "-b", "main")), ("b.sql", None)):
            with open(self.module + "/" + name, "w") as f:
                f.write(GET if name == "a.sql" else NAME.replace("Name", "Other"))
            if args:
                self.git(p, "-C", self.module, *args)
        self.git(p, "-C", self.module, "add", "-A")
        self.git(p, "-C", self.module, "commit", "-qm", "all")
        self.git(p, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", self.module, "shared")
        self.edit(p, "statements/1.0.0.sql", "shared/a.sql")
        self.git(p, "add", "-A")
        self.git(p, "commit", "-qm", "shared")
        self.git(p, "branch", "-f", "main")
        return p

    def test_what_lies_in_it(self):
        p = self.with_module()
        self.assertEqual(p.check("--since", "main").rc, 0)
        p.write("shared/b.sql", "-- another\n")
        self.assertEqual(p.check("--since", "main").rc, 0)
        p.write("shared/a.sql", GET + "\n")
        self.assertEqual(p.check("--since", "main").rc, 1)
        # Committed there, and then here as well.
        for where in (("-C", p.dir + "/shared"), ()):
            self.git(p, *where, "commit", "-qam", "work")
            self.assertEqual(p.check("--since", "main").rc, 1)

    def test_a_commit_that_it_lacks(self):
        p = self.with_module()
        self.git(p, "update-index", "--cacheinfo", "160000,%s,shared" % ("1" * 40))
        self.git(p, "commit", "-qm", "gone")
        self.git(p, "branch", "-f", "main")
        done = p.run("check", "--since", "main")
        self.assertEqual(done.rc, 2, done)
        self.assertIn("shared", done.stderr)
        self.assertIn("it is a submodule: fetch its commit " + "1" * 40, done.stderr)

    def test_it_became_a_folder(self):
        """What it was isn't known any more."""
        p = self.with_module()
        self.assertEqual(p.check("--since", "main").rc, 0)
        self.git(p, "rm", "-q", "--cached", "shared", ".gitmodules")
        os.unlink(p.dir + "/shared/.git")
        for commit in (False, True):
            if commit:
                self.git(p, "add", "-A")
                self.git(p, "commit", "-qm", "a folder")
            done = p.check("--since", "main")
            self.assertEqual((done.rc, done.stderr), (1, ""), done)
        # Nor what else the statements' folder had.
        self.edit(p, "shared/a.sql", "shared")
        self.git(p, "commit", "-qam", "all of it")
        self.assertEqual(p.check("--since", "main").rc, 1)

    def test_a_folder_became_one(self):
        p = self.with_module()
        self.git(p, "rm", "-q", "--cached", "shared", ".gitmodules")
        shutil.move(p.dir + "/shared/.git", self.temp + "/gitfile")
        self.git(p, "add", "-A")
        self.git(p, "commit", "-qm", "a folder")
        self.git(p, "branch", "-f", "main")
        self.git(p, "rm", "-q", "--cached", "-r", "shared")
        shutil.move(self.temp + "/gitfile", p.dir + "/shared/.git")
        self.git(p, "-c", "advice.addEmbeddedRepo=false", "add", "shared")
        self.git(p, "commit", "-qm", "a submodule")
        self.assertEqual(p.check("--since", "main").rc, 0)
        p.write("shared/a.sql", GET + "\n")
        self.assertEqual(p.check("--since", "main").rc, 1)

    def test_a_project_in_one(self):
        p = self.with_module()
        inner = p.dir + "/shared"
        for name in ("phasegate.yaml", "plans", "migrations", "statements"):
            (shutil.copytree if os.path.isdir(p.dir + "/" + name) else shutil.copy)(p.dir + "/" + name, inner + "/" + name)
        p.dir, outer = inner, p.dir
        self.edit(p, "shared/a.sql", "a.sql")
        self.git(p, "add", "-A")
        self.git(p, "commit", "-qm", "all")
        self.assertEqual(p.check("--since", "main").rc, 0)
        p.write("a.sql", GET + "\n")
        self.assertEqual(p.check("--since", "main").rc, 1)
        p.dir = outer


if __name__ == "__main__":
    unittest.main()

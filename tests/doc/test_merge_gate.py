"""docs/merge-gate.md, typed from its first line to its last, in a repository of its own."""

import os
import re
import shutil
import tempfile
import unittest

import console
import pgtest

PAGE = os.path.join(pgtest.SRC, "docs", "merge-gate.md")


class MergeGate(unittest.TestCase):
    def staging(self):
        """The database that capture looks at: the migrations have run, and release 1.0.0 was used."""
        repository = os.path.join(self.folder, "shop", "migrations")
        self.server.psql('CREATE DATABASE "%s" TEMPLATE template0' % self.name)
        for sql in ("CREATE EXTENSION pg_stat_statements", *(self.read(repository, f) for f in sorted(os.listdir(repository))),
                    "SELECT mail FROM customers WHERE id = 7"):
            self.server.psql(sql, self.name)

    @staticmethod
    def read(*path):
        with open(os.path.join(*path), encoding="utf-8") as f:
            return f.read()

    def test_every_command(self):
        self.server = pgtest.Cluster()  # of its own: the page captures what ran there
        self.addCleanup(self.server.close)
        self.name = "shop_staging_%d" % os.getpid()
        self.folder = tempfile.mkdtemp(prefix="phasegate-merge-gate-")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.addCleanup(self.server.psql, 'DROP DATABASE IF EXISTS "%s" WITH (FORCE)' % self.name)
        who = {"GIT_%s_%s" % (role, what): said for role in ("AUTHOR", "COMMITTER")
               for what, said in (("NAME", "ann"), ("EMAIL", "ann@example.invalid"))}
        # The server that is there spares each check the start of one.
        shell = console.Shell(self.folder, {"PGHOST": self.server.host, "PGPORT": str(self.server.port), "PGUSER": self.server.user,
                                            "PHASEGATE_SHADOW": self.server.url(), "GIT_CONFIG_GLOBAL": os.devnull,
                                            "GIT_CONFIG_SYSTEM": os.devnull, **who})
        self.addCleanup(shell.close)
        n = console.play(PAGE, shell, self.instead, {"a database on which release 1.0.0 was tested": self.staging})
        self.assertGreater(n, 30)

    def instead(self, text):
        text = re.sub(r"\bshop_staging\b", self.name, text).replace("~/src/phasegate", pgtest.SRC)
        return text.replace("/tmp/phasegate.", os.path.join(self.folder, "phasegate."))


if __name__ == "__main__":
    unittest.main()

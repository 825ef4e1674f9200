"""Every worked plan is taken through its life with a proof before each phase: what check finds clean, advance doesn't refuse."""

import json
import os
import re
import shutil
import tempfile
import unittest

import pgtest

PLANS = os.path.join(pgtest.SRC, "plans")
ENVIRONMENT = """environments:
  staging:
    databases:
      default: {url: "${DATABASE_URL}"}
    flags: {provider: file, path: flags.json, propagation: 10ms}
    snapshots: {to: snapshots}
    policy: {hold: 0s}
"""


class Plans(unittest.TestCase):
    def lay_out(self, name):
        """The plan in a folder of its own, quick, over a database of its baseline."""
        folder = tempfile.mkdtemp(prefix="phasegate-proof-")
        self.addCleanup(shutil.rmtree, folder)
        project = os.path.join(folder, name)
        shutil.copytree(os.path.join(PLANS, name), project, ignore=shutil.ignore_patterns("wrong"))
        db = pgtest.cluster().create_database()
        self.addCleanup(db.drop)
        with open(os.path.join(project, "schema", "baseline.sql"), encoding="utf-8") as f:
            db.psql(f.read())
        with open(os.path.join(project, "phasegate.yaml"), encoding="utf-8") as f:
            text = f.read()
        releases = re.findall(r'\{version: "([\d.]+)"', text)
        with open(os.path.join(project, "phasegate.yaml"), "w", encoding="utf-8") as f:
            f.write(re.sub(r"^environments:.*", ENVIRONMENT, text, flags=re.S | re.M))
        for plan in os.listdir(os.path.join(project, "plans")):
            path = os.path.join(project, "plans", plan)
            with open(path, encoding="utf-8") as f:
                text = f.read()
            with open(path, "w", encoding="utf-8") as f:
                f.write(re.sub(r"\bhold: \w+$", "hold: 0s", re.sub(r"pause: \w+", "pause: 0s", text), flags=re.M))
        return project, db, releases

    def run_json(self, *args):
        done = pgtest.run_phasegate(["--format", "json", *args], cwd=self.folder, env={"DATABASE_URL": self.db.url})
        answer = json.loads(done.stdout)
        found = ["%s: %s" % (f["rule"], f["message"]) for f in answer.get("proof", {}).get("findings", [])]
        self.assertEqual(done.rc, 0, "%s\n%s" % (answer.get("error"), "\n".join(found)))
        return answer["result"]

    def phases(self, releases, proofs):
        for release in releases:
            while True:
                plans = self.run_json("advance", "--all", "--release", release)["plans"]
                if not plans:
                    break
                proofs += plans
            for plan in [] if not proofs else self.db.column(
                    "SELECT plan FROM phasegate.plan_state WHERE stage = 'contract done' ORDER BY plan"):
                proofs.append(self.run_json("purge", plan, "--confirm", plan)["plan"])

    def take_through(self, name):
        self.folder, self.db, releases = self.lay_out(name)
        proofs = []
        self.phases(releases, proofs)
        self.assertEqual(self.db.column("SELECT DISTINCT stage FROM phasegate.plan_state"), ["purged"])
        self.assertTrue(proofs)
        for p in proofs:
            self.assertEqual(p["proof"], "proved", p)
            self.assertEqual((p["proof_summary"]["untested"], p["proof_summary"]["warnings"]), (0, 0), p)


def _add(name):
    def test(self):
        self.take_through(name)
    setattr(Plans, "test_" + name.replace("-", "_"), test)


for _name in sorted(os.listdir(PLANS)):
    _add(_name)


if __name__ == "__main__":
    unittest.main()

"""A project for `check`: releases with statements, plans, a baseline. Files are written as JSON, which is YAML.

    p = check_project.Project(baseline="CREATE TABLE t (id int PRIMARY KEY, a text)",
                              releases={"1.0.0": "-- name: Get\\nSELECT a FROM t WHERE id = $1;"},
                              plans=[project.plan(...)])
    done = p.check()           # done.rc, done.stdout, done.stderr, done.json
    p.rules()                  # [("error", "old-query-fails"), ...]
"""

import json
import os
import shutil
import subprocess
import tempfile
import unittest

class Done:
    def __init__(self, run):
        self.rc, self.stdout, self.stderr = run.returncode, run.stdout, run.stderr

    @property
    def json(self):
        return json.loads(self.stdout)

    @property
    def findings(self):
        return self.json["findings"]

    def __repr__(self):
        return "exit %d\n%s%s" % (self.rc, self.stdout, self.stderr)


class Project:
    def __init__(self, baseline="", releases=None, plans=(), consumers=None, project=None, planned=(), session=None,
                 more=None):
        self.dir = tempfile.mkdtemp(prefix="check-project-")
        os.makedirs(self.dir + "/plans")
        os.makedirs(self.dir + "/statements")
        self.write("baseline.sql", baseline + ";\n" if baseline and not baseline.rstrip().endswith(";") else baseline)
        body = {"phasegate": 1, "plans": "plans/", "baseline": "baseline.sql", "releases": []}
        for version, sql in (releases or {}).items():
            row = {"version": version}
            if sql is not None:
                self.write("statements/%s.sql" % version, sql)
                row["statements"] = "statements/%s.sql" % version
            if version in planned:
                row["planned"] = True
            if session:
                row["session"] = session
            row.update((more or {}).get(version, {}))
            body["releases"].append(row)
        for name, sql in (consumers or {}).items():
            self.write("statements/%s.sql" % name, sql)
            body.setdefault("consumers", []).append({"name": name, "statements": "statements/%s.sql" % name})
        body.update(project or {})
        self.write("phasegate.yaml", json.dumps(body, indent=1))
        for p in plans:
            self.write("plans/%d-%s.yaml" % (p["timestamp"], p["plan"]), json.dumps(p, indent=1))

    def write(self, name, text):
        with open(os.path.join(self.dir, name), "w") as f:
            f.write(text)

    def run(self, *args, env=None, timeout=120):
        more = dict(os.environ)
        more.setdefault("PHASEGATE_CACHE", os.path.join(os.environ.get("PHASEGATE_BUILD", "build/dev"), "cache"))
        more.update(env or {})
        return Done(subprocess.run([os.environ["PHASEGATE_BIN"], *args], cwd=self.dir, capture_output=True, text=True,
                                   env=more, timeout=timeout))

    def check(self, *args, **more):
        return self.run("check", "--format", "json", *args, **more)

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


class Case(unittest.TestCase):
    def project(self, **parts):
        p = Project(**parts)
        self.addCleanup(p.close)
        return p

    def rules(self, done):
        return sorted({(f["severity"], f["rule"]) for f in done.findings})

    def clean(self, p, *args):
        done = p.check(*args)
        self.assertEqual((done.rc, self.rules(done)), (0, []), done)
        return done

    def red(self, p, rule, *args, severity="error", **expected):
        """Exactly this rule at this severity, and nothing stronger beside it; the first finding's keys."""
        done = p.check(*args)
        self.assertEqual(done.rc, 1 if severity == "error" else 0, done)
        found = [f for f in done.findings if f["rule"] == rule]
        self.assertTrue(found, done)
        self.assertEqual({f["rule"] for f in done.findings if f["severity"] == "error"}, {rule} if severity == "error" else set(), done)
        for key, value in expected.items():
            self.assertEqual(found[0][key], value, done)
        return found[0]

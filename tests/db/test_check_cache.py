"""`check` with what an earlier run found out says the same as without: after any edit, with any file in its place."""

import glob
import hashlib
import json
import os
import random
import shutil
import stat
import subprocess
import tempfile
import unittest

import check_project
import project

SRC = os.environ.get("PHASEGATE_SRC", os.path.join(os.path.dirname(__file__), "../.."))
PLANS = os.path.join(SRC, "plans")


class Cached:
    """A project in a folder, checked with a cache that stays and with one that is empty."""

    def __init__(self, case, folder):
        self.folder, self.env = folder, {}
        self.kept = tempfile.mkdtemp(prefix="phasegate-kept-")
        case.addCleanup(shutil.rmtree, self.kept, True)
        self.case = case

    def run(self, cache):
        env = dict(os.environ, PHASEGATE_CACHE=cache, **self.env)
        done = subprocess.run([os.environ["PHASEGATE_BIN"], "check", "--format", "json"], cwd=self.folder, env=env,
                              capture_output=True, text=True, timeout=120)
        self.case.assertIn(done.returncode, (0, 1), done.stdout + done.stderr)
        report = json.loads(done.stdout)
        del report["summary"]["duration_ms"]
        return report

    def warm(self):
        return self.run(self.kept)

    def cold(self):
        """Without records. Images of servers and baselines may stay: they are tested in test_image.py."""
        empty = tempfile.mkdtemp(prefix="phasegate-empty-")
        try:
            if os.path.isdir(self.kept + "/images"):
                shutil.copytree(self.kept + "/images", empty + "/images", copy_function=os.link)
            return self.run(empty)
        finally:
            shutil.rmtree(empty)

    def same(self, what):
        warm = self.warm()
        self.case.assertEqual(warm, self.cold(), what)
        return warm

    def file(self):
        found = glob.glob(self.kept + "/check-*.jsonl")
        self.case.assertEqual(len(found), 1, os.listdir(self.kept))
        return found[0]

    def lines(self):
        with open(self.file()) as f:
            return f.read().splitlines()[1:]  # without the sum of them


BASE = """
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE customer (id bigint PRIMARY KEY, name text NOT NULL, mood mood NOT NULL DEFAULT 'good');
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customer (id), total int NOT NULL, note text);
CREATE TABLE item (id bigint PRIMARY KEY, order_id bigint NOT NULL REFERENCES orders (id), sku text NOT NULL);
CREATE VIEW dear AS SELECT id, total FROM orders WHERE total > 100;
"""
STATEMENTS = """
-- name: Customer
SELECT id, name, mood FROM customer WHERE id = $1;
-- name: Cheer
UPDATE customer SET mood = $2 WHERE id = $1;
-- name: Order
-- tx: Place
INSERT INTO orders (id, customer_id, total) VALUES ($1, $2, $3);
-- name: Item
-- tx: Place
INSERT INTO item (id, order_id, sku) VALUES ($1, $2, $3);
-- name: Star
SELECT * FROM orders WHERE customer_id = $1;
-- name: Dear
-- args: (100)
SELECT id FROM dear WHERE total < $1;
-- name: Notes
SELECT note FROM orders WHERE note LIKE $1;
-- name: Today
SELECT count(*) FROM orders WHERE now() > '2026-01-01';
-- name: Sku
SELECT DISTINCT sku FROM item ORDER BY sku;
"""
STEPS = ["ALTER TABLE orders ADD COLUMN ref text", "ALTER TABLE customer ADD COLUMN email text", "CREATE INDEX ON item (sku)",
         "ALTER TABLE item ADD COLUMN qty int NOT NULL DEFAULT 1", "ALTER TYPE mood ADD VALUE 'fine'",
         "CREATE TABLE audit (id bigint PRIMARY KEY)", "ALTER TABLE orders ADD CONSTRAINT small CHECK (total < 1000) NOT VALID",
         "CREATE OR REPLACE VIEW dear AS SELECT id, total, note FROM orders WHERE total > 100",
         "CREATE UNIQUE INDEX once ON item (sku)", "ALTER TABLE customer ALTER COLUMN name SET DEFAULT 'x'"]
WRONG = ["ALTER TABLE orders DROP COLUMN note", "ALTER TABLE customer RENAME COLUMN name TO title",
         "ALTER TABLE orders ALTER COLUMN total TYPE text", "ALTER TABLE item ADD COLUMN must int NOT NULL",
         "DROP VIEW dear", "UPDATE orders SET total = total + 1", "ALTER TABLE orders ALTER COLUMN total TYPE bigint USING total + 5"]


class CheckCache(check_project.Case):
    def test_so_many_that_two_sessions_are_asked(self):
        """States before the edit are known, and ask one session; those behind it have enough for two."""
        many = STATEMENTS + "".join("-- name: Many%d\nSELECT total + %d FROM orders WHERE id = $1;\n" % (i, i) for i in range(600))
        p = self.project(baseline=BASE, releases={"1.0.0": many, "1.1.0": many})
        steps = ["ALTER TABLE orders ADD COLUMN n%d int" % i for i in range(4)]
        c = Cached(self, p.dir)
        for edit in (None, 2, 0, 3, 1):
            if edit is not None:
                steps[edit] = steps[edit].replace(" int", "x int")
            p.write("plans/20260101000000-grow.yaml", json.dumps(project.plan("grow", phases={
                "expand": {"release": "1.1.0", "steps": [project.step("s%d" % i, sql) for i, sql in enumerate(steps)]}})))
            self.assertEqual(c.same(edit)["summary"]["errors"], 0, edit)

    def test_a_star_that_was_written_out_before(self):
        """What sqlc makes of a text isn't what the text says."""
        base = "CREATE TABLE o (id int PRIMARY KEY, customer_id int NOT NULL, total int, note text)"
        star = "-- name: Star%s\nSELECT * FROM o WHERE customer_id = $1;\n"
        p = self.project(baseline=base, releases={v: star % " :many" for v in ("1.0.0", "1.1.0")})
        steps = [project.step("more", "ALTER TABLE o ADD COLUMN more text")]

        def write():
            p.write("plans/20260101000000-ship.yaml", json.dumps(project.plan("ship", phases={"expand": {"release": "1.1.0", "steps": steps}})))
        write()
        c = Cached(self, p.dir)
        c.same("written out")
        for v in ("1.0.0", "1.1.0"):
            p.write("statements/%s.sql" % v, star % "")
        steps.append(project.step("ship", "UPDATE o SET note = 'shipped' WHERE total > 5"))
        write()
        self.assertIn("row-visibility-changed", [f["rule"] for f in c.same("as it is")["findings"]])

    def test_in_another_time_zone(self):
        base = """CREATE TABLE o (id int PRIMARY KEY, at timestamptz NOT NULL); INSERT INTO o VALUES (1, '2026-03-01 00:30:00'), (2, '2026-03-01 23:30:00');
            CREATE VIEW v AS SELECT id FROM o WHERE at < '2026-03-01 12:45+00'"""
        p = self.project(baseline=base, releases={v: "-- name: V\nSELECT id FROM v;\n" for v in ("1.0.0", "1.1.0")}, plans=[project.plan(
            "early", phases={"contract": {"release": "1.1.0", "steps": [project.step("v", "CREATE OR REPLACE VIEW v AS SELECT id FROM o WHERE at < '2026-03-01 00:45+00'")]}})])
        c = Cached(self, p.dir)
        for zone in ("UTC", "America/New_York", "Pacific/Auckland", "UTC"):
            c.env["TZ"] = zone
            c.same(zone)

    def write_plan(self, p, steps):
        contract = [s for s in steps if s in WRONG]
        steps = [s for s in steps if s not in WRONG]
        body = project.plan("grow", timestamp=20261114093000, phases={
            "expand": {"release": "1.1.0", "steps": [{"id": "s%d" % i, "sql": s} for i, s in enumerate(steps)]},
            "dual_read": {"none": "x"}, "write_activation": {"none": "x"},
            "contract": {"release": "1.2.0", "steps": [{"id": "c%d" % i, "sql": s} for i, s in enumerate(contract)]} if contract
            else {"none": "x"}})
        p.write("plans/20261114093000-grow.yaml", json.dumps(body, indent=1))

    def start(self):
        p = self.project(baseline=BASE, releases={v: STATEMENTS for v in ("1.0.0", "1.1.0", "1.2.0")})
        self.write_plan(p, STEPS[:4])
        return p, Cached(self, p.dir)

    def test_the_second_run_says_the_same_and_leaves_the_same(self):
        p, c = self.start()
        first = c.warm()
        lines = c.lines()
        self.assertGreater(len(lines), 15)
        self.assertEqual(stat.S_IMODE(os.stat(c.file()).st_mode), 0o600)
        self.assertEqual(c.same("again"), first)
        self.assertEqual(c.lines(), lines)

    def test_only_what_a_change_touches_is_asked_again(self):
        """What is asked again stands in the file as a new line."""
        p, c = self.start()
        c.warm()
        before = set(c.lines())
        self.write_plan(p, STEPS[:2] + ["CREATE INDEX other ON item (sku)"])
        c.same("another last step")
        new = [line for line in c.lines() if line not in before]
        self.assertTrue(new)
        self.assertLess(len(new), len(before) / 3)

    def test_what_an_edit_touches_without_naming_it(self):
        """Nothing in the new step's words says that the view's readers are concerned, or those who write children."""
        p, c = self.start()
        c.warm()
        for i, step in enumerate(("ALTER TABLE orders ALTER COLUMN note SET DEFAULT 'x'",
                                  "CREATE UNIQUE INDEX totals ON orders (total, id)",
                                  "CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT 2 * $1'")):
            self.write_plan(p, STEPS[:1] + [step] + STEPS[1:4])
            c.same(step)
            self.write_plan(p, STEPS[:4] + [step])
            c.same("at the end: " + step)

    def test_edits_at_random(self):
        p, c = self.start()
        rng = random.Random(20261121)
        for turn in range(int(os.environ.get("TURNS", "12"))):
            steps = rng.sample(STEPS, rng.randrange(1, 6)) + rng.sample(WRONG, rng.choice((0, 0, 1, 2)))
            self.write_plan(p, steps)
            if turn % 4 == 3:
                p.write("statements/1.1.0.sql", STATEMENTS.replace("total < $1", "total < $1 + %d" % turn))
            if turn % 5 == 4:
                p.write("baseline.sql", BASE + "INSERT INTO customer VALUES (%d, 'x', 'bad');" % turn)
            c.same(steps)

    def test_whatever_stands_in_the_file(self):
        p, c = self.start()
        want = c.warm()
        with open(c.file(), "rb") as f:
            whole = f.read()
        whole = whole.partition(b"\n")[2]  # without the sum of it
        signed = lambda text: hashlib.sha256(text).hexdigest().encode() + b"\n" + text
        head, _, rest = whole.partition(b"\n")
        key = rest.partition(b"\n")[0][:24]
        for text in (b"", b"\n\n\n", b"{}", whole[: len(whole) // 2], head + b"\n" + key + b'"}\n', b"\0" * 4096, rest,
                     whole.replace(b'"p":1', b'"p":"zz"'), whole.replace(b'[23', b'["no.such"'), whole.replace(b'"v":[', b'"v":[[1],'), whole.replace(b'"leaves":null', b'"leaves":""'),
                     b"\xff\xfe" + whole, head + b"\n" + b"[" * 100000):
            with open(c.file(), "wb") as f:
                f.write(signed(text))
            self.assertEqual(c.warm()["summary"]["cells"], want["summary"]["cells"], text[:80])
        for text in (b"", whole, signed(whole)[:-1], signed(whole).replace(b'"p":{', b'"p":1,"x":{'), b"0" * 64 + b"\n" + whole):
            with open(c.file(), "wb") as f:
                f.write(text)
            self.assertEqual(c.warm(), want, text[:80])

    def test_a_record_that_is_half_readable_is_none(self):
        """A part of it that says nothing isn't one that says that nothing was found."""
        p, c = self.start()
        self.write_plan(p, STEPS[:2] + WRONG[:2])
        want = c.warm()
        self.assertTrue(want["findings"])
        with open(c.file(), "rb") as f:
            whole = f.read().partition(b"\n")[2]
        self.assertIn(b'"s":"42703"', whole)
        for old, new in ((b'"s":"42703"', b'"s":null'), (b'"m":"column', b'"n":"column'), (b'"r":{', b'"r":[],"x":{'), (b'"p":{"p":"P"', b'"p":{"p":"Q"'),
                         (b'"h":[[', b'"h":{},"x":[['), (b'"r":1', b'"r":2'), (b'"r":"', b'"r":"z'), (b'"v":["', b'"v":[1,"'), (b'"leaves":', b'"left":')):
            text = whole.replace(old, new)
            if text == whole:
                continue
            with open(c.file(), "wb") as f:
                f.write(hashlib.sha256(text).hexdigest().encode() + b"\n" + text)
            self.assertEqual(c.warm(), want, (old, new))

    def test_what_others_may_write_isnt_believed(self):
        p, c = self.start()
        want = c.warm()
        with open(c.file(), "rb") as f:
            lies = f.read().partition(b"\n")[2].replace(b'"given":false', b'"given":true')
        spoils = [lambda: os.chmod(c.file(), 0o666), lambda: os.chmod(c.kept, 0o777)]
        if os.geteuid() == 0 or "CI" in os.environ:
            spoils.append(lambda: os.chown(c.file(), 65534, 65534))
        for spoil in [None] + spoils:
            with open(c.file(), "wb") as f:
                f.write(hashlib.sha256(lies).hexdigest().encode() + b"\n" + lies)
            if not spoil:
                self.assertNotEqual(c.warm(), want, "a lie that nobody would notice")
                continue
            spoil()
            self.assertEqual(c.warm(), want)
            os.chmod(c.kept, 0o700)
            os.remove(c.file())
            self.assertEqual(c.warm(), want)

    def test_a_folder_of_migrations(self):
        p, c = self.start()
        os.makedirs(os.path.join(p.dir, "old"))
        parts = BASE.strip().split("\n")
        for i, sql in enumerate(parts):
            p.write("old/%03d_x.sql" % i, sql + "\n")
        with open(os.path.join(p.dir, "phasegate.yaml")) as f:
            settings = f.read()
        p.write("phasegate.yaml", settings.replace("baseline.sql", "old"))
        first = c.warm()
        lines = c.lines()
        self.assertEqual(c.same("again"), first)
        self.assertEqual(c.lines(), lines)
        for name, sql in (("old/900_more.sql", "ALTER TABLE orders DROP COLUMN note CASCADE;\n"),
                          ("old/900_more.sql", "ALTER TABLE item ADD COLUMN must int NOT NULL;\n"),
                          ("old/000_x.sql", "CREATE TYPE mood AS ENUM ('bad', 'good');\n")):
            p.write(name, sql)
            c.same(sql)

    def test_where_nothing_can_be_kept(self):
        p, c = self.start()
        for cache in ("/dev/null/x", "/proc/x"):
            self.assertEqual(c.run(cache), c.cold())

    def test_worked_plans(self):
        """From the plan to each of its wrong variants and back."""
        for name in sorted(os.listdir(PLANS)):
            wrong = os.path.join(PLANS, name, "wrong")
            if not os.path.isdir(wrong):
                continue
            folder = tempfile.mkdtemp(prefix="phasegate-worked-")
            self.addCleanup(shutil.rmtree, folder, True)
            right = os.path.join(folder, "p")
            shutil.copytree(os.path.join(PLANS, name), right, ignore=shutil.ignore_patterns("wrong"))
            c = Cached(self, right)
            clean = c.warm()
            for variant in sorted(v for v in os.listdir(wrong) if os.path.isdir(os.path.join(wrong, v))):
                shutil.copytree(os.path.join(wrong, variant), right, dirs_exist_ok=True)
                c.same((name, variant))
                shutil.rmtree(right)
                shutil.copytree(os.path.join(PLANS, name), right, ignore=shutil.ignore_patterns("wrong"))
            self.assertEqual(c.warm(), clean, name)


if __name__ == "__main__":
    unittest.main()

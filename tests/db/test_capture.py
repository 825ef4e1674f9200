"""capture: what a release really ran, from pg_stat_statements and from logs of a real server, into its statements file."""

import fcntl
import os
import unittest

import pgtest
import project

SHOP = """CREATE SCHEMA shop;
CREATE TYPE shop.kind AS ENUM ('new', 'paid');
CREATE TABLE shop.orders (id bigint PRIMARY KEY, note text, at timestamptz DEFAULT now(), kind shop.kind, j jsonb);
CREATE TABLE shop.lines (order_id bigint REFERENCES shop.orders, n int);
CREATE EXTENSION IF NOT EXISTS pg_stat_statements SCHEMA public"""


class Capture(project.Case):
    """A server of its own: the shared one counts no statements."""

    @classmethod
    def setUpClass(cls):
        cls.server = pgtest.Cluster()
        cls.addClassCleanup(cls.server.close)

    def shop(self, **release):
        p = self.project(db=self.server.create_database(), baseline=SHOP)
        self.role = "app_" + p.db.name.replace("-", "_")
        p.db.psql("CREATE ROLE %s LOGIN" % self.role)
        self.addCleanup(self.server.psql, "DROP ROLE IF EXISTS %s" % self.role)
        p.db.psql("GRANT USAGE ON SCHEMA shop TO {0}; GRANT ALL ON ALL TABLES IN SCHEMA shop TO {0};"
                  "ALTER ROLE {0} SET search_path = shop".format(self.role))
        self.addCleanup(p.db.psql, "DROP OWNED BY %s" % self.role)
        p.body["releases"] = [dict({"version": "1.0.0", "statements": "statements/1.0.0.sql"}, **release),
                              {"version": "1.1.0", "planned": True}]
        p.write()
        self.forget(p)
        return p

    def forget(self, p):
        """Only of this database: other tests' are on the server too."""
        p.db.psql("SELECT public.pg_stat_statements_reset(0, oid, 0) FROM pg_database WHERE datname = current_database()")

    def as_app(self, p, sql):
        """Each line by itself, over the simple protocol, as the application's role."""
        p.db.psql(sql, user=self.role)

    def captured(self, p, *args, code=0):
        return p.json("capture", "--release", "1.0.0", *args, code=code)["result"]

    def by_sql(self, result, key="added"):
        return {item["sql"]: item for item in result[key]}

    def file(self, p, name="statements/1.0.0.sql"):
        with open(p.path(name), encoding="utf-8") as f:
            return f.read()

    def test_from_the_server(self):
        p = self.shop()
        self.as_app(p, """INSERT INTO orders (id, note, kind) VALUES (1, 'secret note', 'new') ON CONFLICT (id) DO NOTHING;
            INSERT INTO orders (id, note, kind) VALUES (1, 'secret two', 'new') ON CONFLICT (id) DO NOTHING;
            SELECT /* secret comment */ id, note FROM orders WHERE kind = 'paid' AND at > now() - interval '1 day' ORDER BY 1 LIMIT 5;
            SELECT extract(year FROM at) FROM orders WHERE at < date '2020-01-01';
            SELECT n FROM lines WHERE order_id IN (1, 2);
            SELECT n FROM lines WHERE order_id IN (1, 2, 3);
            BEGIN; SET LOCAL lock_timeout = 5; UPDATE orders SET note = 'secret', j = '{}' WHERE j ? 'k'; COMMIT;
            SELECT 1; SHOW search_path; SELECT relname FROM pg_class LIMIT 1;""")
        result = self.captured(p, "--role", self.role)
        added = self.by_sql(result)
        self.assertEqual({sql: item["types"] for sql, item in added.items()}, {
            "INSERT INTO orders (id, note, kind) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING": "bigint, text, shop.kind",
            "SELECT  id, note FROM orders WHERE kind = $1 AND at > now() - $2::interval ORDER BY 1 LIMIT $3":
                "shop.kind, interval, bigint",
            "SELECT pg_catalog.extract($1, at) FROM orders WHERE at < $2::date": "text, date",
            "SELECT n FROM lines WHERE order_id IN ($1, $2)": "bigint, bigint",
            "UPDATE orders SET note = $1, j = $2 WHERE j ? $3": "text, jsonb, text"})
        self.assertEqual({item["calls"] for sql, item in added.items() if "INSERT" in sql or " IN " in sql}, {2})
        self.assertEqual((result["written"], result["refused"], result["known"]), (True, [], []))
        self.assertEqual({left["reason"] for left in result["left_out"]}, {"utility", "no_table", "catalogue"})
        text = self.file(p)
        self.assertNotIn("secret", text)
        self.assertEqual(text.count("-- captured: pg_stat_statements\n"), 5)
        self.assertRegex(text, r"(?m)^-- name: InsertOrders_[0-9a-f]{8}$")
        # What stands in the file can be prepared as it is.
        for item in result["added"]:
            p.db.psql("SET search_path = shop; PREPARE x AS " + item["sql"])

    def test_again(self):
        p = self.shop()
        self.as_app(p, "SELECT note FROM orders WHERE id = 1; SELECT id FROM orders WHERE note = 'a';")
        first = self.captured(p)
        names = {item["sql"]: item["name"] for item in first["added"]}
        # Headers by hand, a renamed statement, one of one's own.
        text = self.file(p).replace("-- name: " + names["SELECT note FROM orders WHERE id = $1"],
                                    "-- name: GetNote\n-- args: (7)")
        text += "\n-- name: ByHand\nSELECT at FROM orders WHERE id = $1 -- a comment\n  AND kind = 'paid';\n"
        p.put("statements/1.0.0.sql", text)
        self.forget(p)
        self.as_app(p, "SELECT note FROM orders WHERE id = 2; DELETE FROM lines WHERE n = 3;")
        second = self.captured(p)
        self.assertEqual(list(self.by_sql(second)), ["DELETE FROM lines WHERE n = $1"])
        self.assertEqual([k["name"] for k in second["known"]], ["GetNote"])
        self.assertEqual([v["name"] for v in second["not_seen"]], [names["SELECT id FROM orders WHERE note = $1"]])
        self.assertTrue(self.file(p).startswith(text))
        before = os.stat(p.path("statements/1.0.0.sql"))
        third = self.captured(p)
        self.assertEqual((third["added"], third["written"]), ([], False))
        after = os.stat(p.path("statements/1.0.0.sql"))
        self.assertEqual((before.st_ino, before.st_mtime_ns), (after.st_ino, after.st_mtime_ns))

    def test_filters(self):
        p = self.shop()
        self.as_app(p, "SELECT note FROM orders; SELECT note FROM orders; SELECT id FROM orders; SELECT n FROM lines;")
        p.db.psql("SELECT at FROM shop.orders")

        def seen(*args):
            return sorted(self.by_sql(self.captured(p, "--dry-run", *args)))

        mine = ["SELECT id FROM orders", "SELECT n FROM lines", "SELECT note FROM orders"]
        self.assertEqual(seen("--role", self.role), mine)
        self.assertIn("SELECT at FROM shop.orders", seen())
        self.assertEqual(seen("--min-calls", "2"), ["SELECT note FROM orders"])
        self.assertEqual(seen("--role", self.role, "--like", "%ORDERS%"), [mine[0], mine[2]])
        self.assertEqual(seen("--role", self.role, "--not-like", "%orders%"), [mine[1]])
        done = p.exits(2, "capture", "--release", "1.0.0", "--role", "nobodyhere")
        self.assertIn('--role: nothing of "nobodyhere" was seen; there is something of: ', done.stderr)
        self.assertIn(self.role, done.stderr)
        self.assertIn("HINT: phasegate capture --release 1.0.0", done.stderr)
        self.assertIn('did you mean "%s"?' % self.role, p.exits(2, "capture", "--release", "1.0.0", "--role", self.role + "x").stderr)
        self.assertEqual(seen("--database", "default", "--role", self.role), mine)
        self.assertFalse(os.path.exists(p.path("statements")))
        self.assertIn("no \"other\"", p.exits(2, "capture", "--release", "1.0.0", "--database", "other").stderr)

    def test_only_this_database(self):
        p, q = self.shop(), self.shop()
        q.db.psql("SELECT note FROM shop.orders WHERE id = 1")
        self.assertEqual(self.captured(p)["added"], [])

    def test_what_the_server_refuses(self):
        p = self.shop()
        self.as_app(p, "SELECT note FROM orders; SELECT n FROM lines;")
        p.db.psql("ALTER TABLE shop.lines RENAME COLUMN n TO count")
        result = self.captured(p)
        self.assertEqual(list(self.by_sql(result)), ["SELECT note FROM orders"])
        [refused] = result["refused"]
        self.assertEqual(refused["sql"], "SELECT n FROM lines")
        self.assertIn('column "n" does not exist', refused["message"])
        shown = p.ok("capture", "--release", "1.0.0").stdout
        self.assertIn("refused", shown)
        self.assertIn("1 known", shown)

    def test_search_path_of_the_release(self):
        p = self.shop(session={"search_path": "public"})
        self.as_app(p, "SELECT note FROM orders")
        self.assertIn("does not exist", self.captured(p)["refused"][0]["message"])
        p.body["releases"][0]["session"]["search_path"] = "shop, public"
        p.write()
        self.assertEqual(len(self.captured(p)["added"]), 1)

    def test_a_session_that_only_reads(self):
        p = self.shop()
        self.as_app(p, "DELETE FROM orders; TRUNCATE lines")
        p.db.psql("INSERT INTO shop.orders VALUES (1)")
        self.captured(p)
        self.assertEqual(p.db.value("SELECT count(*) FROM shop.orders"), "1")

    def test_hidden_texts(self):
        p = self.shop()
        p.db.psql("SELECT at FROM shop.orders")
        p.env["DATABASE_URL"] = p.db.server.url(p.db.name, user=self.role)
        result = self.captured(p)
        self.assertEqual(result["added"], [])
        self.assertIn("hidden", {left["reason"] for left in result["left_out"]})

    def test_no_extension(self):
        p = self.shop()
        p.db.psql("DROP EXTENSION pg_stat_statements")
        error = p.json("capture", "--release", "1.0.0", code=2)["error"]
        self.assertIn("no extension pg_stat_statements", error["message"])
        self.assertIn("CREATE EXTENSION", error["hint"])

    def test_an_old_extension(self):
        p = self.shop()
        p.db.psql("DROP EXTENSION pg_stat_statements; CREATE EXTENSION pg_stat_statements SCHEMA public VERSION '1.8'")
        error = p.json("capture", "--release", "1.0.0", code=2)["error"]
        self.assertIn("older than 1.9", error["message"])
        p.db.psql(error["hint"])
        p.ok("capture", "--release", "1.0.0")

    def test_where_it_goes(self):
        p = self.shop()
        self.as_app(p, "SELECT note FROM orders")
        result = self.captured(p, "--to", p.path("mine.sql"))
        self.assertIn("SELECT note FROM orders", self.file(p, "mine.sql"))
        self.assertEqual(self.captured(p, "--to", p.path("mine.sql"))["added"], [])
        self.assertEqual(os.stat(p.path("mine.sql")).st_mode & 0o777, 0o644)
        os.mkdir(p.path("folder"))
        p.body["releases"][0]["statements"] = ["folder/", "mine.sql"]
        p.write()
        again = self.captured(p)
        self.assertEqual((again["added"], [k["name"] for k in again["known"]]), ([], [result["added"][0]["name"]]))
        os.unlink(p.path("mine.sql"))
        self.assertEqual(self.captured(p)["file"], "folder/captured.sql")
        self.assertTrue(os.path.exists(p.path("folder/captured.sql")))

    def test_styles(self):
        p = self.shop(params="percent")
        self.as_app(p, "SELECT note FROM orders WHERE note LIKE 'a%' AND id % 2 = 1")
        self.captured(p)
        self.assertIn("WHERE note LIKE %(p1)s AND id %% %(p2)s = %(p3)s;", self.file(p))
        self.assertEqual(self.captured(p)["added"], [])

    def test_mistakes(self):
        p = self.shop()
        for args, words in ((["capture"], "which release"),
                            (["capture", "--release", "1.0.1"], 'did you mean "1.0.0"?'),
                            (["capture", "--release", "1.1.0"], "has no statements:"),
                            (["capture", "--release", "1.0.0", "--with-values"], "holds no values"),
                            (["capture", "--release", "1.0.0", "--from-log", "none.csv"], "none.csv"),
                            (["capture", "--release", "1.0.0", "phasegate.yaml"], "no entry of a csvlog")):
            self.assertIn(words, p.exits(2, *args).stderr)
        os.mkdir(p.path("statements"))
        p.put("statements/1.0.0.sql", "SELECT 1;\n")
        self.assertIn("statements/1.0.0.sql:1:", p.exits(2, "capture", "--release", "1.0.0").stderr)


    def test_two_at_once(self):
        """What the other one adds is read before anything is written."""
        p = self.shop()
        self.as_app(p, "SELECT note FROM orders WHERE id = 1")
        os.mkdir(p.path("statements"))
        lock = os.open(p.dir, os.O_RDONLY)
        self.addCleanup(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = p.start("capture", "--release", "1.0.0")
        self.addCleanup(second.close)
        pgtest.wait_until(lambda: "another capture" in second.stderr)
        self.assertTrue(second.is_running())
        p.put("statements/1.0.0.sql", "-- name: Theirs\nSELECT id FROM orders;\n")
        fcntl.flock(lock, fcntl.LOCK_UN)
        self.assertEqual(second.wait(60).rc, 0)
        self.assertIn("Theirs", self.file(p))
        self.assertIn("SELECT note FROM orders WHERE id = $1", self.file(p))

    def test_a_folder_that_isnt_there(self):
        p = self.shop()
        self.as_app(p, "SELECT note FROM orders WHERE id = 1")
        done = p.exits(2, "capture", "--release", "1.0.0", "--to", p.path("none/x.sql"))
        self.assertIn("none/x.sql", done.stderr)
        self.assertFalse(os.path.exists(p.path("none")))


class Uncounted(project.Case):
    def test_says_why_nothing_is_seen(self):
        server = pgtest.Cluster(settings={"pg_stat_statements.track": "none"})
        self.addCleanup(server.close)
        p = self.project(db=server.create_database(), baseline=SHOP)
        p.body["releases"] = [{"version": "1.0.0", "statements": "statements/1.0.0.sql"}]
        p.write()
        p.db.psql("SELECT id FROM shop.orders")
        shown = p.ok("capture", "--release", "1.0.0", "--dry-run").stderr
        self.assertIn("pg_stat_statements.track is none", shown)
        self.assertNotIn("filters", shown)


class Evicted(project.Case):
    def test_what_ran_and_was_thrown_out(self):
        server = pgtest.Cluster(settings={"pg_stat_statements.max": 100})
        self.addCleanup(server.close)
        p = self.project(db=server.create_database(), baseline=SHOP)
        p.body["releases"] = [{"version": "1.0.0", "statements": "statements/1.0.0.sql"}]
        p.write()
        calm = p.ok("capture", "--release", "1.0.0", "--dry-run")
        self.assertNotIn("threw out", calm.stderr)
        p.db.psql("; ".join("SELECT id%s FROM shop.orders" % (" + id" * n) for n in range(120)) + ";")
        shown = p.ok("capture", "--release", "1.0.0", "--dry-run").stderr
        self.assertRegex(shown, r"holds 100 statements .* threw out the rarest \d+ times since 20.*Z: .*--from-log")
        self.assertGreater(p.json("capture", "--release", "1.0.0", "--dry-run")["result"]["evicted"], 0)


class Logs(project.Case):
    """A server of its own, which writes csvlog and jsonlog."""

    SETTINGS = {"logging_collector": "on", "log_destination": "'csvlog,jsonlog'", "log_directory": "'log'",
                "log_filename": "'shop.log'", "log_min_duration_statement": "0"}

    def setUp(self):
        self.server = pgtest.Cluster(settings=self.SETTINGS)
        self.addCleanup(self.server.close)
        self.db = self.server.create_database()
        self.db.psql(SHOP)

    def logs(self):
        folder = os.path.join(self.server.data, "log")
        return {kind: os.path.join(folder, "shop." + kind) for kind in ("csv", "json")}

    def test_both_kinds(self):
        self.db.psql("SELECT note FROM shop.orders WHERE id = 41;\nSELECT note FROM shop.orders WHERE id = 42;\n"
                     "INSERT INTO shop.orders (id, note) VALUES (1, 'it''s\na secret');\nSET lock_timeout = 7;")
        p = self.project(db=self.db, baseline=None)
        p.body["releases"] = [{"version": "1.0.0", "statements": "s.sql"}]
        del p.body["environments"]
        p.write()
        for kind, path in self.logs().items():
            result = p.json("capture", "--release", "1.0.0", "--from-log", path, "--to", p.path(kind + ".sql"))["result"]
            added = {item["sql"]: item for item in result["added"] if "shop" in item["sql"]}
            self.assertEqual(added["SELECT note FROM shop.orders WHERE id = $1"]["calls"], 2)
            self.assertIn("INSERT INTO shop.orders (id, note) VALUES ($1, $2)", added)
            with open(p.path(kind + ".sql"), encoding="utf-8") as f:
                text = f.read()
            self.assertNotIn("secret", text)
            self.assertNotIn("-- args:", text)
        path = self.logs()["csv"]
        p.ok("capture", "--release", "1.0.0", "--with-values", path)
        with open(p.path("s.sql"), encoding="utf-8") as f:
            text = f.read()
        self.assertIn("-- args: (41)\n-- args: (42)\nSELECT note", text)
        self.assertIn("-- args: (1, E'it''s\\na secret')\n", text)
        other = p.json("capture", "--release", "1.0.0", "-n", "--database", "nowhere", path)["result"]
        self.assertEqual(other["seen"], 0)


if __name__ == "__main__":
    unittest.main()

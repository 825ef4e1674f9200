"""check: the rows that it makes, so that statements meet some."""

import os
import unittest

import check_project
import pgtest
from project import plan, step

TABLE = "CREATE TABLE t%d (id int GENERATED %s AS IDENTITY PRIMARY KEY, sig text, %s);\n"
PUT = "-- name: Put%d\n-- args: (%d, 'x')\nUPDATE t%d SET sig = $2 WHERE id = $1;\n"
SHORT = "ALTER TABLE t%d ADD CONSTRAINT short%d CHECK (sig IS NULL OR length(sig) < 20) NOT VALID"

SOLVED = [
    "c text NOT NULL CHECK (c ~ '^[a-z]+$')",
    "c text NOT NULL CHECK (c ~ '^[^@]+@[^@]+$')",
    "c text NOT NULL UNIQUE CHECK (c ~* '^[A-Z0-9._%-]+@[A-Z0-9._%-]+[.][A-Z]{2,4}$')",
    "c text NOT NULL CHECK (position('@' in c) > 1)",
    "c char(3) NOT NULL UNIQUE CHECK (c ~ '^[A-Z]{3}$')",
    "c text NOT NULL CHECK (length(c) = 3)",
    "c text NOT NULL CHECK (c ~ '^(INV|CRN)-\\d{4}-[[:digit:]]{6}(/[a-z])?$')",
    "c text NOT NULL CHECK (c LIKE 'ord\\_%-__')",
    "c text NOT NULL CHECK (c SIMILAR TO '(a|b)+c[0-9]{2}')",
    "c varchar(8) NOT NULL CHECK (upper(c) = c AND length(c) BETWEEN 6 AND 8)",
    "c text NOT NULL CHECK (c LIKE 'https://%' AND length(c) > 12)",
    "a int, b int, CHECK (a IS NULL OR b IS NULL)",
    "a int NOT NULL, b text, CHECK (b IS NULL OR a = 77)",
    "a int, b int, CHECK (num_nonnulls(a, b) = 1)",
    "a int NOT NULL, b int NOT NULL, CHECK (b > a AND a > 40)",
    "a date NOT NULL, b date NOT NULL, CHECK (b > a + 20)",
    "a timestamptz NOT NULL, b timestamptz NOT NULL, CHECK (b > a)",
    "a numeric(5,2) NOT NULL CHECK (a > 0 AND a < 1)",
    "j jsonb NOT NULL CHECK (jsonb_typeof(j) = 'array')",
    "j jsonb NOT NULL CHECK (jsonb_array_length(j) > 0)",
    "j jsonb NOT NULL CHECK (j ? 'kind' AND j ? 'size')",
    "kind text NOT NULL CHECK (kind IN ('user', 'team')), u int, g int, CHECK ((kind = 'user') = (u IS NOT NULL)),"
    " CHECK (num_nonnulls(u, g) = 1)",
    "c text NOT NULL CHECK (c::int > 500)",
    "d mail NOT NULL",
    "tags text[] NOT NULL CHECK (cardinality(tags) > 0)",
    "during int4range NOT NULL CHECK (NOT isempty(during))",
    "a int NOT NULL, b int NOT NULL, s int GENERATED ALWAYS AS (a + b) STORED CHECK (s > 100)",
    "c text NOT NULL CHECK (c IN ('free', 'pro', 'team'))",
    "\"Odd \"\"name\" text NOT NULL CHECK (\"Odd \"\"name\" ~ '^[a-z]''[a-z]$')",
]


def setUpModule():
    """One server for all: each check makes a database of its own."""
    os.environ["PHASEGATE_SHADOW"] = pgtest.cluster().url()


def expand(*sql):
    return plan("short", phases={"expand": {"release": "1.1.0", "steps": [step("s%d" % i, s) for i, s in enumerate(sql)]}})


class Rows(check_project.Case):
    def test_checks_that_are_met(self):
        """An UPDATE that a step restricts is only seen where there is a row; both rows have the ids that examples name."""
        for row in (1, 2):
            base = "CREATE DOMAIN mail AS text CHECK (VALUE ~ '^[a-z]{2,}@[a-z]+\\.(com|org)$');\n" + "".join(
                TABLE % (i, ("ALWAYS", "BY DEFAULT")[i % 2], c) for i, c in enumerate(SOLVED))
            puts = "\n".join(PUT % (i, row, i) for i in range(len(SOLVED)))
            done = self.project(baseline=base, releases={"1.0.0": puts, "1.1.0": puts},
                                plans=[expand(*(SHORT % (i, i) for i in range(len(SOLVED))))]).check()
            seen = {f["statement"] for f in done.findings if (f["severity"], f["rule"]) == ("error", "unproven-write")}
            self.assertEqual([c for i, c in enumerate(SOLVED) if "Put%d" % i not in seen], [], done if not seen else row)
            self.assertEqual([f for f in done.findings if f["rule"] != "unproven-write"], [])


USERS = ("CREATE TABLE users (id int PRIMARY KEY, sig text, word text NOT NULL CONSTRAINT secret CHECK (md5(word) = md5('ab' || 'racadabra')));\n"
         "CREATE TABLE notes (id int PRIMARY KEY, author int NOT NULL REFERENCES users, body text)")
SIGN = "-- name: Sign\n-- args: (1, 'x')\nUPDATE users SET sig = $2 WHERE id = $1;\n"
READ = "-- name: Read\n-- args: (1)\nSELECT sig FROM users WHERE id = $1;\n"
NOTE = "-- name: Note\nINSERT INTO notes (id, author, body) VALUES ($1, $2, $3);\n"
ROW = ";\nINSERT INTO users VALUES (1, NULL, 'abracadabra')"
SIG = "ALTER TABLE users ADD CONSTRAINT short CHECK (sig IS NULL OR length(sig) < 20) NOT VALID"
MORE = "ALTER TABLE users ADD COLUMN more text"
OTHER = "CREATE TABLE others (id int PRIMARY KEY)"
BODY = "ALTER TABLE notes ADD CONSTRAINT short_body CHECK (body IS NULL OR length(body) < 999) NOT VALID"


class Empty(check_project.Case):
    """What no value of ours satisfies."""

    def users(self, step, *sql, base=USERS):
        text = "".join(sql)
        return self.project(baseline=base, releases={"1.0.0": text, "1.1.0": text}, plans=[expand(step)])

    def test_a_restriction_without_rows_is_not_proved(self):
        f = self.red(self.users(SIG, READ, SIGN), "cell-untested", statement="Sign")
        self.assertIn('table "users" has no rows: "secret" refused', f["message"])
        self.assertIn("INSERT INTO public.users", f["help"])
        self.assertEqual({p["statement"] for p in f["places"]}, {"Sign", "Read"})
        self.red(self.users(SIG, READ, SIGN, base=USERS + ROW), "unproven-write", statement="Sign")

    def test_as_bad_as_it_matters(self):
        self.red(self.users(MORE, SIGN), "cell-untested", severity="warning")
        self.red(self.users(SIG, READ), "cell-untested", severity="warning")
        self.red(self.users(OTHER, SIGN), "cell-untested", severity="note")

    def test_nothing_where_no_rows_are_needed(self):
        put = "-- name: Put\n-- args: (7, 'x', 'abracadabra')\nINSERT INTO users (id, sig, word) VALUES ($1, left($2, 9), $3);\n"
        self.clean(self.users(OTHER, put))
        self.clean(self.users(SIG, "-- name: One\nSELECT 1;\n"))
        self.clean(self.users(SIG, put))

    def test_a_child_of_an_empty_table(self):
        for step, rule, severity in ((BODY, "unproven-write", "error"), (OTHER, "cell-untested", "note")):
            f = self.red(self.users(step, NOTE), rule, severity=severity)
            self.assertIn('no example row can help: table "users" has no rows: "secret" refused', f["help"])
            self.assertNotIn("-- args:", f["help"])
            self.assertIn("INSERT INTO public.users", f["help"])


class Missed(check_project.Case):
    """Examples of the author's that meet no row."""
    T = "CREATE TABLE t (id int PRIMARY KEY, code text)"
    ADD = "ALTER TABLE t ADD COLUMN more text"

    def put(self, args, sql="UPDATE t SET code = $2 WHERE id = $1", step=ADD, more=""):
        text = "-- name: Put\n-- args: %s\n%s;\n" % (args, sql)
        return self.project(baseline=self.T + more, releases={"1.0.0": text, "1.1.0": text}, plans=[expand(step)])

    def test_said_where_it_matters(self):
        f = self.red(self.put("(77, 'x')"), "cell-untested", severity="warning", statement="Put")
        self.assertIn('meet no row of "t"', f["message"])
        again = self.put("(77, 'x')")
        cache = {"PHASEGATE_CACHE": again.dir + "/cache"}
        self.assertEqual(again.check(env=cache).findings, again.check(env=cache).findings)
        self.red(self.put("(77)", "DELETE FROM t WHERE id = $1"), "cell-untested", severity="warning")

    def test_not_where_one_meets_a_row(self):
        self.clean(self.put("(1, 'x')"))
        self.clean(self.put("(77, 'x'), (2, 'x')"))
        self.clean(self.put("(77, 'x')", more=";INSERT INTO t VALUES (77)"))
        self.clean(self.put("(77, 'x')", step="CREATE TABLE u (id int PRIMARY KEY)"))
        self.clean(self.put("(77, 'x')", "INSERT INTO t (id, code) VALUES ($1, $2)"))
        self.clean(self.put("(1, 'x')", "UPDATE t SET code = 'y' WHERE id = $1 AND code = $2 || '!'"))
        self.clean(self.put("(77)", "SELECT code FROM t WHERE id = $1"))


class ExampleRows(check_project.Case):
    def test_a_row_that_is_shown_can_be_copied(self):
        """Of each type a value that it takes: not a letter for a day or a list."""
        p = self.project(baseline="CREATE TYPE st AS ENUM ('new', 'old'); CREATE TABLE e (id int PRIMARY KEY, at timestamptz, day date, "
                                  "l text[], s st, b boolean, n text, CHECK (id > 0 AND id < 0))",
                         releases={v: "-- name: Put\nINSERT INTO e (id, at, day, l, s, b, n) VALUES ($1, $2, $3, $4, $5, $6, $7);\n"
                                   for v in ("1.0.0", "1.1.0", "1.2.0")},
                         plans=[plan("p", phases={"expand": {"release": "1.1.0", "steps": [step("s", "ALTER TABLE e ADD COLUMN z int")]}})])
        help = [f["help"] for f in p.check().findings if f["rule"] == "cell-untested" and "-- args:" in f["help"]]
        self.assertEqual({h.partition("-- args: ")[2] for h in help},
                         {"(1, '2026-01-02 12:00:00+00', '2026-01-02', '{}', 'new', true, 'x')"})


if __name__ == "__main__":
    unittest.main()

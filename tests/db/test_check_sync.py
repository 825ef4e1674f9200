"""check: what a sync's trigger makes of statements that know one side only, and values that a transaction has in common.
The cases are in tests/data/compat/cases-sync.txt; here is what the findings say."""

import unittest

import check_project
from project import plan, step

T = "CREATE TABLE t (id int PRIMARY KEY, phone text, name text%s); INSERT INTO t (id, phone, name) VALUES (1, '+1', 'x')"
OLD = "-- name: Add\n-- args: (7, '+7')\nINSERT INTO t (id, phone) VALUES ($1, $2);\n"
NEW = OLD.replace("phone", "mobile")
NONE = {p: {"none": "later"} for p in ("dual_read", "write_activation", "contract")}


def renamed(*steps, forward="phone", reverse="mobile", **phases):
    first = [step("column", "ALTER TABLE t ADD COLUMN mobile text")] + [step("s%d" % i, s) for i, s in enumerate(steps)]
    sync = {"table": "t", "forward": {"mobile": forward}, "by": "trigger"}
    if reverse:
        sync["reverse"] = {"phone": reverse}
    return plan("mobile", flags={"read": {"key": "r"}, "write": {"key": "w"}}, sync=sync,
                phases=dict(NONE, expand={"release": "1.1.0", "steps": first}, **phases))


class Restricted(check_project.Case):
    def of(self, body, baseline=T % "", old=OLD, later=None):
        return self.project(baseline=baseline, plans=[body],
                            releases={"1.0.0": old, "1.1.0": old, "1.2.0": later or old, "1.3.0": later or old})

    def test_the_step_that_restricts_is_named(self):
        index = "CREATE UNIQUE INDEX CONCURRENTLY t_mobile ON t (mobile)"
        f = self.red(self.of(renamed("COMMENT ON TABLE t IS 'x'", index)), "unproven-write", statement="Add", release="1.0.0", phase="expand", step="s1")
        self.assertIn('"phone", from which the sync\'s trigger makes "mobile", where "t_mobile" refuses', f["message"])
        self.assertIn('when no live release writes "phone" any more', f["help"])
        self.clean(self.of(renamed(index), baseline=T.replace("phone text", "phone text UNIQUE") % ""))

    def test_a_check_is_named_with_the_value(self):
        f = self.red(self.of(renamed("ALTER TABLE t ADD CONSTRAINT plus CHECK (mobile LIKE '+%') NOT VALID")), "unproven-write", step="s0", sqlstate="23514")
        self.assertIn('it works without the sync\'s trigger, which writes the other side as well, and fails with it', f["message"])
        self.assertIn("expression in forward", f["help"])

    def test_what_forward_itself_fails_on(self):
        f = self.red(self.of(renamed(forward="phone::int::text", reverse=None)), "unproven-write", sqlstate="22P02")
        self.assertIn("invalid input syntax for type integer", f["message"])

    def test_rows_of_the_author_that_differ(self):
        old = "-- name: Add\n-- args: (7, '+7')\n-- args: (8, '+8')\nINSERT INTO t (id, phone) VALUES ($1, $2);\n"
        index = "CREATE UNIQUE INDEX CONCURRENTLY t_mobile ON t (mobile)"
        self.red(self.of(renamed(index), old=old), "unproven-write", severity="warning")
        self.red(self.of(renamed(index), old=old.replace("+8", "+7")), "unproven-write")

    def test_a_release_that_is_free_of_the_old_side_is_safe(self):
        index = "CREATE UNIQUE INDEX CONCURRENTLY t_mobile ON t (mobile)"
        f = self.red(self.of(renamed(index), later="-- name: Get\nSELECT name FROM t WHERE id = $1;\n"), "unproven-write")
        self.assertEqual(f["safe_from"], "1.3.0")

    def test_the_other_way_round(self):
        """The old side refuses what only new code writes; where the call was refused likewise before, it is no news."""
        baseline = T.replace("phone text", "phone text CHECK (phone <> 'none')") % ""
        self.clean(self.of(renamed(), baseline=baseline, later=NEW))
        other = NEW.replace("Add", "Put")
        f = self.red(self.of(renamed(), baseline=baseline.replace("phone <> 'none'", "phone <> ''"), later=OLD + other), "unproven-write", severity="warning", statement="Put")
        self.assertIn("expression in reverse", f["help"])

    def test_an_exclusion_that_was_there_is_nothing_new(self):
        baseline = T % ", EXCLUDE (name WITH =)"
        change = plan("n", phases=dict(NONE, expand={"release": "1.1.0", "steps": [step("n", "ALTER TABLE t ADD COLUMN n int")]}))
        self.clean(self.of(change, baseline=baseline, old="-- name: Name\n-- args: (1, 'y')\nUPDATE t SET name = $2 WHERE id = $1;\n"))

    def test_a_check_on_a_column_that_nobody_has_written(self):
        """No row has a value there that it could refuse, and a row that the trigger doesn't touch gets none."""
        change = "ALTER TABLE t ADD CONSTRAINT there CHECK (mobile <> '') NOT VALID"
        name = "-- name: Name\n-- args: (1, 'y')\nUPDATE t SET name = $2 WHERE id = $1;\n"
        self.clean(self.of(renamed(change), old=name))
        self.red(self.of(renamed(change.replace("mobile", "phone")), old=name), "unproven-write", statement="Name")


TWO = "CREATE TABLE t (id int PRIMARY KEY, street text NOT NULL); INSERT INTO t VALUES (1, 'x')"
MOVE = """-- name: Move
-- tx: Move
UPDATE t SET street = $2 WHERE id = $1;

-- name: MoveToo
-- tx: Move
INSERT INTO a (t_id, street) VALUES ($1, $2) ON CONFLICT (t_id) DO UPDATE SET street = excluded.street;
"""
GET = "-- name: Get\n-- when: a-read=off\nSELECT street FROM t WHERE id = $1;\n\n-- name: Get\n-- when: a-read=on\nSELECT street FROM a WHERE t_id = $1;\n"
SPLIT = plan("a", flags={"read": {"key": "a-read"}}, phases=dict(
    NONE, expand={"release": "1.1.0", "steps": [step("table", "CREATE TABLE a (t_id int PRIMARY KEY REFERENCES t, street text NOT NULL)")]},
    dual_read={"release": "1.2.0", "rollout": [{"percent": 100}],
               "backfill": [{"id": "fill", "table": "t", "insert": {
                   "into": "a", "columns": ["t_id", "street"], "select": "SELECT id, street FROM t ON CONFLICT (t_id) DO NOTHING"}}]}))


class InCommon(check_project.Case):
    """No -- args: what the statements of a transaction have in common is made up once."""

    def of(self, move, style="dollar"):
        more = {v: {"params": style} for v in ("1.0.0", "1.1.0", "1.2.0")}
        colon = str.maketrans({"$": ":"}) if style == "colon" else {}
        names = {":1": ":id", ":2": ":street"} if style == "colon" else {}
        old = "-- name: Get\nSELECT street FROM t WHERE id = $1;\n"
        releases = {"1.0.0": old, "1.1.0": old + move, "1.2.0": GET + move}
        for version, text in releases.items():
            text = text.translate(colon)
            for a, b in names.items():
                text = text.replace(a, b)
            releases[version] = text
        return self.project(baseline=TWO, releases=releases, plans=[SPLIT], more=more)

    def test_by_column_and_by_key(self):
        self.clean(self.of(MOVE))

    def test_by_name(self):
        self.clean(self.of(MOVE, style="colon"))

    def test_rows_of_the_author_pin_them(self):
        pinned = MOVE.replace("-- tx: Move\nUPDATE", "-- tx: Move\n-- args: (1, 'Ring')\nUPDATE").replace("-- tx: Move\nINSERT", "-- tx: Move\n-- args: (1, 'Quai')\nINSERT")
        f = self.red(self.of(pinned), "stale-new-value", statement="Get")
        self.assertNotIn("made up", f["help"])
        self.assertIn("Ring", f["message"])

    def test_a_side_that_is_really_left_out(self):
        f = self.red(self.of(MOVE.replace("SET street = excluded.street", "SET t_id = excluded.t_id")), "stale-new-value", statement="Get")
        self.assertIn("-- args:", f["help"])


if __name__ == "__main__":
    unittest.main()

"""check: which way out a finding names, and from which release on a step is safe. On servers of its own."""

import unittest

import check_project
from project import plan, step

ORDERS = "CREATE TABLE orders (id int PRIMARY KEY, name text, amount int, note text)"
ROLE = ORDERS + "; CREATE ROLE safe_app; GRANT ALL ON orders TO safe_app"
GET = "-- name: Get\n-- args: (1)\nSELECT name FROM orders WHERE id = $1;\n"
PUT = "-- name: Put\n-- args: (7, 'x')\nINSERT INTO orders (id, name) VALUES ($1, $2);\n"
MORE = "-- name: More\n-- args: (8, 'y')\nINSERT INTO orders (id, more) VALUES ($1, $2);\n"
RLS = "ALTER TABLE orders ENABLE ROW LEVEL SECURITY"


def steps(release, *sql):
    return {"release": release, "steps": [step("s%d" % i, s) for i, s in enumerate(sql)]}


class Ways(check_project.Case):
    def found(self, rule, phase, *sql, base=ROLE, role="safe_app", **releases):
        """Of this rule; releases: v1_0=its statements."""
        versions = {"%s.%s.0" % (k[1], k[3]): s for k, s in (releases or {"v1_0": GET + PUT, "v1_1": GET + PUT}).items()}
        p = self.project(baseline=base, releases=versions, more={v: {"session": {"role": role}} for v in versions} if role else None,
                         plans=[plan("way", phases={phase: steps("1.1.0", *sql)})])
        done = p.check()
        of_rule = [f for f in done.findings if f["rule"] == rule]
        self.assertTrue(of_rule, done)
        for f in done.findings:
            self.assertNotIn(f["safe_from"], [x["release"] for x in f["places"]], done)
        return of_rule[0]


class Rights(Ways):
    def test_a_revoke_comes_too_early(self):
        for phase, later in (("contract", "in contract of a later plan"), ("expand", "in contract, bound")):
            with self.subTest(phase=phase):
                f = self.found("grants-missing-for-app-role", phase, "REVOKE SELECT ON orders FROM safe_app")
                self.assertIn("safe_app needs SELECT ON orders as long as Get is live: leave that out of the REVOKE", f["help"])
                self.assertIn(later, f["help"])
                self.assertNotIn("list the next release", f["help"])

    def test_a_revoke_and_a_release_that_needs_it_no_more(self):
        f = self.found("grants-missing-for-app-role", "contract", "REVOKE INSERT ON orders FROM safe_app", v1_0=GET + PUT, v1_1=GET + PUT, v1_2=GET, v1_3=GET)
        self.assertEqual(f["safe_from"], "1.3.0")
        self.assertIn("safe_app needs INSERT ON orders as long as Put is live", f["help"])
        self.assertIn("; or bind this to 1.3.0 or later", f["help"])

    def test_kinds_of_two_words(self):
        made = "CREATE MATERIALIZED VIEW few AS SELECT id, name FROM orders"
        few = "-- name: Few\nSELECT name FROM few;\n"
        f = self.found("grants-missing-for-app-role", "contract", "DROP MATERIALIZED VIEW few; " + made, base=ROLE + "; " + made + "; GRANT SELECT ON few TO safe_app", v1_0=few, v1_1=few)
        self.assertIn("GRANT SELECT ON few TO safe_app, in this step", f["help"])

    def test_what_only_an_owner_may(self):
        on = "-- name: On\nALTER TABLE orders ENABLE TRIGGER ALL;\n"
        f = self.found("grants-missing-for-app-role", "contract", "ALTER TABLE orders OWNER TO CURRENT_USER", base=ROLE + "; ALTER TABLE orders OWNER TO safe_app", v1_0=on, v1_1=GET)
        self.assertIn("only the owner of table orders may do what On does: leave it to safe_app", f["help"])


class Policies(Ways):
    def test_which_policy_is_needed(self):
        f = self.found("grants-missing-for-app-role", "expand", RLS)
        self.assertIn("no policy lets Put do that: CREATE POLICY ... ON orders FOR INSERT TO safe_app WITH CHECK (true)", f["help"])
        f = self.found("row-visibility-changed", "expand", RLS)
        self.assertIn("CREATE POLICY ... ON orders FOR SELECT TO safe_app USING (true), in a step before this one; before: no row level security; now: no policy", f["help"])

    def test_the_policies_that_help_names_help(self):
        see, put = "CREATE POLICY b ON orders FOR SELECT TO safe_app USING (true)", "CREATE POLICY a ON orders FOR INSERT TO safe_app WITH CHECK (true)"
        set_, set_all = "-- name: Set\n-- args: (1, 'x')\nUPDATE orders SET name = $2 WHERE id = $1;\n", "CREATE POLICY c ON orders FOR UPDATE TO safe_app USING (true) WITH CHECK (true)"
        drop, drop_all = "-- name: Drop\n-- args: (1)\nDELETE FROM orders WHERE id = $1;\n", "CREATE POLICY d ON orders FOR DELETE TO safe_app USING (true)"
        for sql, policies, seen in ((GET + PUT, (see, put), True), (set_, (see, set_all), True), (drop, (see, drop_all), True),
                                    (set_, (set_all,), False), (set_, (see, drop_all), False), (drop, (see, set_all), False), (GET, (set_all,), False),
                                    (GET, (see.replace("safe_app", "safe_other"),), False)):
            with self.subTest(sql=sql, policies=policies):
                p = self.project(baseline=ROLE + "; CREATE ROLE safe_other; GRANT ALL ON orders TO safe_other", releases={v: sql for v in ("1.0.0", "1.1.0")},
                                 more={v: {"session": {"role": "safe_app"}} for v in ("1.0.0", "1.1.0")}, plans=[plan("way", phases={"expand": steps("1.1.0", *policies, RLS)})])
                self.assertEqual({f["rule"] for f in p.check().findings if f["severity"] == "error"}, set() if seen else {"row-visibility-changed"})

    def test_a_policy_that_refuses(self):
        f = self.found("grants-missing-for-app-role", "expand", "CREATE POLICY most ON orders USING (true)", "CREATE POLICY few ON orders AS RESTRICTIVE USING (true) WITH CHECK (name = 'zz')", RLS)
        self.assertIn('policy "few" refuses what Put writes: let its WITH CHECK take that (ALTER POLICY)', f["help"])


class SafeFrom(Ways):
    """It names no release that is as broken."""

    def over(self, releases, *plans, base=ROLE, role="safe_app"):
        p = self.project(baseline=base, releases=releases, more={v: {"session": {"role": role}} for v in releases} if role else None, plans=list(plans))
        done = p.check()
        self.assertTrue(done.findings, done)
        for f in done.findings:
            self.assertNotIn(f["safe_from"], [x["release"] for x in f["places"]], done)
            if f["safe_from"] is None:
                self.assertNotIn("or later", f["help"], f)
        return done

    def test_the_release_goes_on_and_sees_nothing(self):
        """What it reads is broken in another way by the same step."""
        done = self.over({"1.0.0": GET + PUT, "1.1.0": GET + PUT, "1.2.0": GET, "1.3.0": GET}, plan("rls", phases={"expand": steps("1.1.0", RLS)}))
        self.assertEqual({(f["rule"], f["safe_from"]) for f in done.findings}, {("grants-missing-for-app-role", None), ("row-visibility-changed", None)})

    def test_two_plans_in_either_order(self):
        """The statement needs the other plan's column: where the step comes first, it fails for want of that."""
        more = {"expand": steps("1.1.0", "ALTER TABLE orders ADD COLUMN more text")}
        for stamp in (20260101000000, 20260101000002):
            with self.subTest(stamp=stamp):
                self.over({"1.0.0": PUT, "1.1.0": PUT, "1.2.0": MORE, "1.3.0": MORE, "1.4.0": MORE}, plan("more", stamp=stamp, phases=more),
                          plan("rls", stamp=20260101000001, phases={"expand": steps("1.1.0", RLS)}))

    def test_what_a_release_needs_comes_later(self):
        done = self.over({"1.0.0": PUT, "1.1.0": PUT, "1.2.0": PUT, "1.3.0": MORE, "1.4.0": MORE}, plan("rls", phases={"expand": steps("1.1.0", RLS)}),
                         plan("more", stamp=20260101000002, phases={"expand": steps("1.3.0", "ALTER TABLE orders ADD COLUMN more text")}))
        self.assertEqual({f["safe_from"] for f in done.findings if f["step"] == "s0"}, {None}, done)

    def test_a_second_refusal(self):
        """Before the trigger one thing refuses it, and with it another."""
        put = "-- name: Put\n-- args: (8, 'abc')\nINSERT INTO orders (id, ref) VALUES ($1, $2);\n"
        self.over({"1.0.0": GET, "1.1.0": GET, "1.2.0": put, "1.3.0": put, "1.4.0": put}, sync_plan(),
                  base=ORDERS + "; ALTER TABLE orders ALTER name SET NOT NULL, ADD CHECK (name ~ '^[A-Z]{3}$')", role=None)

    def test_a_later_release_uses_it_again(self):
        """Bound where nobody uses it just then, it would break the one that comes back to it."""
        drop = plan("drop", phases={"contract": steps("1.1.0", "ALTER TABLE orders DROP COLUMN name")})
        one, top = "-- name: One\nSELECT id FROM orders;\n", "-- name: Top\nSELECT max(name) FROM orders;\n"
        for later in ({"1.3.0": GET, "1.4.0": GET}, {"1.3.0": top, "1.4.0": one}):
            done = self.over(dict({"1.0.0": GET, "1.1.0": one, "1.2.0": one}, **later), drop, role=None)
            self.assertEqual([f["safe_from"] for f in done.findings if f["rule"] == "old-query-fails"], [None], done)

    def test_a_later_release_uses_what_another_plan_makes_again(self):
        drop = plan("drop", phases={"contract": steps("1.1.0", "ALTER TABLE orders DROP COLUMN name")})
        again = plan("again", stamp=20260101000002, phases={"expand": steps("1.4.0", "ALTER TABLE orders ADD COLUMN name text")})
        one = "-- name: One\nSELECT id FROM orders;\n"
        done = self.over({"1.0.0": GET, "1.1.0": one, "1.2.0": one, "1.3.0": one, "1.4.0": GET}, drop, again, role=None)
        self.assertEqual([f["safe_from"] for f in done.findings if f["rule"] == "old-query-fails"], ["1.2.0"], done)

    def test_a_default_that_nobody_relies_on_any_more(self):
        base = "CREATE TABLE orders (id int PRIMARY KEY, s text DEFAULT 'x')"
        add, put = "-- name: Add\nINSERT INTO orders (id) VALUES ($1);\n", "-- name: Put\nINSERT INTO orders (id, s) VALUES ($1, 'x');\n"
        change = plan("change", phases={"contract": steps("1.1.0", "ALTER TABLE orders ALTER s SET DEFAULT 'y'")})
        done = self.over({"1.0.0": add, "1.1.0": put, "1.2.0": put, "1.3.0": put}, change, base=base, role=None)
        [f] = [f for f in done.findings if f["rule"] == "insert-relied-on-default"]
        self.assertEqual(f["safe_from"], "1.2.0", done)
        self.assertIn("; or bind this to 1.2.0 or later", f["help"])
        done = self.over({"1.0.0": add, "1.1.0": add, "1.2.0": add, "1.3.0": add}, change, base=base, role=None)
        self.assertEqual({f["safe_from"] for f in done.findings if f["rule"] == "insert-relied-on-default"}, {None}, done)

    def test_a_label_that_a_release_before_writes(self):
        base = "CREATE TYPE e AS ENUM ('a', 'b'); CREATE TABLE orders (id int PRIMARY KEY, e e)"
        get, set_ = "-- name: Get\n%sSELECT e FROM orders WHERE id = $1;\n", "-- name: Set\nUPDATE orders SET e = 'c' WHERE id = $1;\n"
        old, new = get % "-- knows: e=a\n-- knows: e=b\n", get % "-- knows: e=a\n-- knows: e=c\n"
        add = plan("add", phases={"expand": steps("1.1.0", "ALTER TYPE e ADD VALUE 'c'")})
        done = self.over({"1.0.0": old, "1.1.0": new + set_, "1.2.0": new, "1.3.0": new}, add, base=base, role=None)
        self.assertEqual([(f["safe_from"], f["release"]) for f in done.findings if f["rule"].startswith("enum-value")], [(None, "1.0.0")], done)

    def test_who_does_not_know_a_label(self):
        """Code that writes it without a word knows it, and so does what comes after; what says which ones it knows is believed."""
        base = "CREATE TYPE e AS ENUM ('a', 'b'); CREATE TABLE orders (id int PRIMARY KEY, e e)"
        get, set_ = "-- name: Get\n%sSELECT e FROM orders WHERE id = $1;\n", "-- name: Set\nUPDATE orders SET e = 'c' WHERE id = $1;\n"
        old, add = get % "-- knows: e=a\n", plan("add", phases={"expand": steps("1.1.0", "ALTER TYPE e ADD VALUE 'c'")})
        for last, hurt in ((get % "", ["1.0.0"]), (old, ["1.0.0", "1.2.0"])):
            done = self.over({"1.0.0": old, "1.1.0": get % "" + set_, "1.2.0": last}, add, base=base, role=None)
            [f] = [f for f in done.findings if f["rule"].startswith("enum-value")]
            self.assertEqual([x["release"] for x in f["places"]], hurt, done)

    def test_the_oldest_release_is_named_first(self):
        """Whatever their files are called."""
        add = "-- name: Add\nINSERT INTO orders (id) VALUES ($1);\n"
        p = self.project(baseline="CREATE TABLE orders (id int PRIMARY KEY, s text DEFAULT 'x')", releases={"1.9.0": add, "1.10.0": add, "1.11.0": add},
                         plans=[plan("change", phases={"contract": steps("1.10.0", "ALTER TABLE orders ALTER s SET DEFAULT 'y'")})])
        [f] = [f for f in p.check().findings if f["rule"] == "insert-relied-on-default"]
        self.assertEqual((f["release"], [x["release"] for x in f["places"]][:2]), ("1.9.0", ["1.9.0", "1.10.0"]))

    def test_it_is_named_where_it_helps(self):
        gone = {"1.0.0": GET + PUT, "1.1.0": GET + PUT, "1.2.0": "-- name: One\nSELECT 1;\n", "1.3.0": "-- name: One\nSELECT 1;\n"}
        done = self.over(gone, plan("rls", phases={"expand": steps("1.1.0", RLS)}))
        [f] = [f for f in done.findings if f["rule"] == "grants-missing-for-app-role"]
        self.assertEqual(f["safe_from"], "1.3.0")
        self.assertIn("; or bind this to 1.3.0 or later", f["help"])


def sync_plan():
    return plan("way", flags={"read": {"key": "r"}, "write": {"key": "w"}}, sync={"table": "orders", "by": "trigger", "forward": {"ref": "name"}, "reverse": {"name": "ref"}},
                phases={"expand": steps("1.1.0", "ALTER TABLE orders ADD COLUMN ref text"), "contract": steps("1.3.0", "ALTER TABLE orders DROP COLUMN name")})


class BySync(check_project.Case):
    """The other side refuses what the trigger makes of a value."""

    def test_a_domain_a_check_a_length(self):
        put = "-- name: Put\n-- args: (8, 'abc')\nINSERT INTO orders (id, ref) VALUES ($1, $2);\n"
        for more, takes in (("ALTER TABLE orders ALTER name SET NOT NULL, ADD CHECK (name ~ '^[A-Z]{3}$')", '"orders_name_check" takes'),
                            ("CREATE DOMAIN code AS text CHECK (VALUE ~ '^[A-Z]{3}$'); ALTER TABLE orders ALTER name TYPE code, ALTER name SET NOT NULL", '"code_check" takes'),
                            ("ALTER TABLE orders ALTER name TYPE varchar(2), ALTER name SET NOT NULL", "that side takes")):
            with self.subTest(more=more):
                p = self.project(baseline=ORDERS + "; " + more, releases={v: put if v > "1.1" else GET for v in ("1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0")}, plans=[sync_plan()])
                done = p.check()
                [f] = [f for f in done.findings if f["rule"] in ("restriction-breaks-old-writes", "new-query-needs-later-state")]
                self.assertIn("the sync's trigger writes the other side as well, which refuses the value: let the expression in reverse make something of it that %s" % takes, f["help"])
                self.assertNotIn("make what it needs in expand", f["help"])


class UnderViews(Ways):
    def test_a_type_under_a_view(self):
        views = "; CREATE VIEW few AS SELECT id, amount FROM orders; CREATE VIEW fewer AS SELECT amount FROM few"
        f = self.found("step-fails-on-shadow", "contract", "ALTER TABLE orders ALTER COLUMN amount TYPE bigint", base=ROLE + views)
        for words in ("drop and create it in this step", "DROP VIEW few (before it fewer, which is made of it)", "its GRANTs once more"):
            self.assertIn(words, f["help"])
        f = self.found("step-fails-on-shadow", "contract", "ALTER TABLE orders ALTER COLUMN amount TYPE bigint", base=ROLE + "; CREATE MATERIALIZED VIEW few AS SELECT amount FROM orders")
        self.assertIn("DROP MATERIALIZED VIEW few, then", f["help"])

    def test_that_way_is_one(self):
        view = "CREATE VIEW few AS SELECT id, name FROM orders"
        few = "-- name: Few\n-- args: (1)\nSELECT id FROM few WHERE id = $1;\n"
        p = self.project(baseline=ROLE.replace("name text", "name varchar(10)") + "; %s; GRANT SELECT ON few TO safe_app" % view, releases={v: few for v in ("1.0.0", "1.1.0")},
                         more={v: {"session": {"role": "safe_app"}} for v in ("1.0.0", "1.1.0")},
                         plans=[plan("way", phases={"contract": steps("1.1.0", "DROP VIEW few; ALTER TABLE orders ALTER COLUMN name TYPE varchar(20); %s; GRANT SELECT ON few TO safe_app" % view)})])
        self.assertEqual([f for f in p.check().findings if f["severity"] == "error"], [])


class Cascades(Ways):
    def test_contract_takes_nothing_along(self):
        """A soft drop hides one thing, and the purge drops that alone."""
        for sql, more, what in (("ALTER TABLE orders DROP COLUMN note CASCADE", "CREATE VIEW few AS SELECT id, note FROM orders", "view few"),
                                ("DROP TABLE p CASCADE", "CREATE TABLE p (id int); CREATE VIEW few AS SELECT id FROM p", "view few"),
                                ("DROP VIEW few CASCADE", "CREATE VIEW few AS SELECT id FROM orders; CREATE VIEW fewer AS SELECT id FROM few", "view fewer"),
                                ("ALTER TABLE p DROP COLUMN id CASCADE", "CREATE TABLE p (id int PRIMARY KEY, x int); CREATE TABLE c (p int REFERENCES p)", "constraint c_p_fkey on table c")):
            with self.subTest(sql=sql):
                f = self.found("dependents-cascaded", "contract", sql, base=ORDERS + "; " + more, role=None)
                self.assertIn("in contract CASCADE takes nothing along but foreign keys to a table", f["message"])
                self.assertNotIn("phasegate_hold", f["message"])
                self.assertIn("drop or replace %s in an earlier step" % what, f["help"])

    def test_that_way_is_one(self):
        p = self.project(baseline=ORDERS + "; CREATE VIEW few AS SELECT id, note FROM orders", releases={v: GET for v in ("1.0.0", "1.1.0")}, plans=[
            plan("way", phases={"contract": steps("1.1.0", "DROP VIEW few", "ALTER TABLE orders DROP COLUMN note")})])
        self.assertEqual([f for f in p.check().findings if f["rule"] in ("dependents-cascaded", "step-fails-on-shadow")], [])


class WithoutAServer(check_project.Case):
    def test_force_row_level_security(self):
        """It binds the owner alone, and nobody while row level security is off."""
        for sql, severity in (("ALTER TABLE orders FORCE ROW LEVEL SECURITY", "note"), (RLS, "error"), ("ALTER TABLE orders NO FORCE ROW LEVEL SECURITY", None)):
            p = self.project(baseline=ORDERS, releases={v: GET for v in ("1.0.0", "1.1.0")}, plans=[plan("way", phases={"expand": steps("1.1.0", sql)})])
            done = p.check("--static")
            self.assertEqual([(f["rule"], f["severity"]) for f in done.findings], [("unproven-write", severity)] if severity else [], done)
            self.assertEqual(done.rc, severity == "error")
        p = self.project(baseline=ORDERS, releases={v: GET for v in ("1.0.0", "1.1.0")}, plans=[plan("way", phases={"expand": steps("1.1.0", "ALTER TABLE orders FORCE ROW LEVEL SECURITY")})])
        self.clean(p)

    def test_force_where_it_is_on(self):
        """The owner, as whom releases without a role are run, sees nothing any more."""
        p = self.project(baseline=ORDERS + "; %s; INSERT INTO orders VALUES (1, 'a')" % RLS, releases={v: GET for v in ("1.0.0", "1.1.0")},
                         plans=[plan("way", phases={"expand": steps("1.1.0", "ALTER TABLE orders FORCE ROW LEVEL SECURITY")})])
        self.red(p, "row-visibility-changed")


class Tablespaces(check_project.Case):
    def test_to_where_it_is_already(self):
        for to, rules in (("a", []), ("b", ["storage-rewrite"])):
            p = self.project(baseline=ORDERS, releases={v: GET for v in ("1.0.0", "1.1.0")},
                             plans=[plan("way", phases={"expand": steps("1.1.0", "ALTER TABLE ALL IN TABLESPACE a SET TABLESPACE %s" % to)})])
            self.assertEqual([f["rule"] for f in p.check("--static").findings if f["rule"] == "storage-rewrite"], rules)


if __name__ == "__main__":
    unittest.main()

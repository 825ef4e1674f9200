"""check: what statements leave behind in a session, and what is kept from state to state."""

import unittest

import check_project
from project import plan, step

NONE = {p: {"none": "later"} for p in ("write_activation", "contract")}


class Leftovers(check_project.Case):
    def test_a_setting_of_ones_own_that_was_set_once(self):
        """SET LOCAL leaves an empty text behind where nothing was: no uuid for those that run after it."""
        baseline = """CREATE TABLE t (id int PRIMARY KEY, b uuid);
            ALTER TABLE t ENABLE ROW LEVEL SECURITY;
            CREATE POLICY p ON t USING (b = current_setting('app.tenant', true)::uuid);
            CREATE ROLE carrier_app; GRANT ALL ON t TO carrier_app;"""
        text = """-- name: Get
SELECT b FROM t WHERE id = $1;

-- name: Tenant
SELECT set_config('app.tenant', '11111111-1111-1111-1111-111111111111', true);
"""
        self.clean(self.project(baseline=baseline, releases={"1.0.0": text, "1.1.0": text}, session={"role": "carrier_app"}))

    def test_labels_of_an_enum_are_those_of_an_enum(self):
        """Values are made up once, and taken again many states later."""
        baseline = "CREATE TYPE st AS ENUM ('booked', 'seen', 'gone'); CREATE TABLE appts (id int PRIMARY KEY, state st NOT NULL)"
        old = "-- name: SetState\nUPDATE appts SET state = $2 WHERE id = $1;\n"
        new = "-- name: SetState\n-- when: r=off\nUPDATE appts SET state = $2 WHERE id = $1;\n\n" \
              "-- name: SetState\n-- when: r=on\nUPDATE appts SET state = $2 WHERE id_big = $1;\n"
        body = plan("appts", flags={"read": {"key": "r"}},
                    sync={"table": "appts", "forward": {"id_big": "id"}, "reverse": {"id": "id_big::int"}, "by": "trigger"},
                    phases=dict(NONE, expand={"release": "1.1.0", "steps": [step("column", "ALTER TABLE appts ADD COLUMN id_big bigint")]},
                                dual_read={"release": "1.2.0", "backfill": [{"id": "fill"}], "rollout": [{"percent": 100}]}))
        self.clean(self.project(baseline=baseline, plans=[body],
                                releases={"1.0.0": old, "1.1.0": old, "1.2.0": new, "1.3.0": new}))


if __name__ == "__main__":
    unittest.main()

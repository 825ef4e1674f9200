"""A plan that fills a column of 20,000 rows, and its run in the background."""

import pgtest
import project

BASELINE = """CREATE TABLE orders (id bigint PRIMARY KEY, legacy_ref text);
INSERT INTO orders SELECT i, 'R' || i FROM generate_series(1, 20000) i"""
# However fast the machine: 20 ms for each fifty rows, 8 s for all.
SLOWLY = BASELINE + """;
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN IF NEW.id % 50 = 0 THEN PERFORM pg_sleep(0.02); END IF; RETURN NEW; END';
CREATE TRIGGER slow BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION slow()"""
NAME = "orders-ref"


def plan_with(**fill):
    fill = dict({"id": "fill", "batch": {"rows": 100, "min": 100, "max": 100}}, **fill)
    return project.full_plan(phases={"dual_read": project.phase("dual_read", backfill=[fill], rollout=[{"percent": 100}])})


class Case(project.Case):
    def begin(self, baseline=BASELINE, **fill):
        p = self.project(plans=[plan_with(**fill)], baseline=baseline)
        p.advance(NAME, "1.1.0")
        return p

    def start(self, p):
        run = p.start("advance", NAME, "--release", "1.2.0")
        self.addCleanup(run.close)
        return run

    def backfill(self, p):
        return p.json("backfill", NAME)["result"]["backfills"][0]

    def until(self, p, condition, what):
        last = []

        def holds():
            found = p.json("backfill", NAME)["result"].get("backfills") or []
            last[:] = found
            return found and condition(found[0])
        try:
            pgtest.wait_until(holds, 30, 0.1, what)
        except AssertionError as e:
            raise AssertionError("%s: %s" % (e, last)) from None
        return last[0]

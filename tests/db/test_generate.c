/* The SQL that phasegate writes itself, run by a real server: the sync trigger under writers of both sides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "generate_test.h"

/* ---- what writers see ----------------------------------------------------------------------------- */

/* After each statement the whole table, as "id=old/new ..."; "-" is NULL. */
struct sync_case {
    const char *name, *create, *show;
    struct build_sync sync;
    struct {
        const char *sql, *expected;
    } steps[20];
};

#define SHOW(table, old, new)                                                                      \
    "SELECT pg_catalog.string_agg(pg_catalog.format('%s=%s/%s', id, coalesce(" old                 \
    "::text, '-'), coalesce(" new "::text, '-')), ' ' ORDER BY id) FROM " table

static const struct sync_case cases[] = {
    {"copies",
     "CREATE TABLE orders (id int PRIMARY KEY, legacy_ref text, external_ref text, note text)",
     SHOW("orders", "legacy_ref", "external_ref"),
     {NULL,
      NULL,
      "orders",
      {{"external_ref", "legacy_ref"}},
      {{"legacy_ref", "external_ref"}},
      {"legacy_ref"}},
     {
         {"INSERT INTO orders (id, legacy_ref) VALUES (1, 'a')", "1=a/a"},
         {"INSERT INTO orders (id, external_ref) VALUES (2, 'b')", "1=a/a 2=b/b"},
         /* A writer of both: the new side. */
         {"INSERT INTO orders (id, legacy_ref, external_ref) VALUES (3, 'x', 'y')",
          "1=a/a 2=b/b 3=y/y"},
         {"INSERT INTO orders (id) VALUES (4)", "1=a/a 2=b/b 3=y/y 4=-/-"},
         {"DELETE FROM orders WHERE id > 2", "1=a/a 2=b/b"},
         {"UPDATE orders SET legacy_ref = 'c' WHERE id = 1", "1=c/c 2=b/b"},
         {"UPDATE orders SET external_ref = 'd' WHERE id = 1", "1=d/d 2=b/b"},
         {"UPDATE orders SET legacy_ref = 'x', external_ref = 'y' WHERE id = 1", "1=y/y 2=b/b"},
         {"UPDATE orders SET legacy_ref = 'q', external_ref = external_ref WHERE id = 1",
          "1=q/q 2=b/b"},
         {"UPDATE orders SET legacy_ref = legacy_ref, external_ref = 'r' WHERE id = 1",
          "1=r/r 2=b/b"},
         {"UPDATE orders SET legacy_ref = NULL WHERE id = 1", "1=-/- 2=b/b"},
         {"UPDATE orders SET external_ref = NULL WHERE id = 2", "1=-/- 2=-/-"},
         {"UPDATE orders SET legacy_ref = 'n' || id", "1=n1/n1 2=n2/n2"},
         {"INSERT INTO orders (id, legacy_ref) VALUES (1, 'u'), (3, 'v') ON CONFLICT (id) DO UPDATE"
          " SET legacy_ref = EXCLUDED.legacy_ref",
          "1=u/u 2=n2/n2 3=v/v"},
         {"INSERT INTO orders (id, external_ref) VALUES (1, 'U'), (4, 'V') ON CONFLICT (id) DO "
          "UPDATE"
          " SET external_ref = EXCLUDED.external_ref",
          "1=U/U 2=n2/n2 3=v/v 4=V/V"},
         {"MERGE INTO orders o USING (VALUES (1, 'm'), (5, 'M')) AS v(id, ref) ON o.id = v.id"
          " WHEN MATCHED THEN UPDATE SET legacy_ref = v.ref WHEN NOT MATCHED THEN INSERT (id, "
          "legacy_ref) VALUES (v.id, v.ref)",
          "1=m/m 2=n2/n2 3=v/v 4=V/V 5=M/M"},
     }},
    {"casts and functions, several columns",
     "CREATE TABLE people (id int, first text, last text, born text, full_name varchar(30), "
     "birthday date)",
     "SELECT pg_catalog.string_agg(pg_catalog.concat_ws('/', id, first, last, born, full_name, "
     "birthday), ' ' ORDER BY id) FROM people",
     {NULL,
      "public",
      "people",
      {{"full_name", "coalesce(first, '') || ' ' || upper(people.last)"},
       {"birthday", "to_date(born, 'DD.MM.YYYY')"}},
      {{"first", "split_part(full_name, ' ', 1)"},
       {"last", "initcap(split_part(full_name, ' ', 2))"},
       {"born", "to_char(birthday, 'DD.MM.YYYY')"}},
      {"first", "last", "born"}},
     {
         {"INSERT INTO people (id, first, last, born) VALUES (1, 'Ann', 'Lee', '01.02.1990')",
          "1/Ann/Lee/01.02.1990/Ann LEE/1990-02-01"},
         {"INSERT INTO people (id, full_name, birthday) VALUES (2, 'Bob RAY', '1980-12-31')",
          "1/Ann/Lee/01.02.1990/Ann LEE/1990-02-01 2/Bob/Ray/31.12.1980/Bob RAY/1980-12-31"},
         {"DELETE FROM people WHERE id = 2", "1/Ann/Lee/01.02.1990/Ann LEE/1990-02-01"},
         {"UPDATE people SET last = 'Low'", "1/Ann/Low/01.02.1990/Ann LOW/1990-02-01"},
         {"UPDATE people SET birthday = birthday + 1", "1/Ann/Low/02.02.1990/Ann LOW/1990-02-02"},
         /* One new column set and the other not: still a writer of the new side. */
         {"INSERT INTO people (id, full_name) VALUES (3, 'Cid FOX')",
          "1/Ann/Low/02.02.1990/Ann LOW/1990-02-02 3/Cid/Fox/Cid FOX"},
     }},
    {"expressions see the row as the statement left it",
     "CREATE TABLE t (id int, a int, b int, c int, d int)",
     SHOW("t", "(a, b)", "(c, d)"),
     /* d would be a + 1 + 1 if it saw the new c. */
     {NULL,
      NULL,
      "t",
      {{"c", "a + 1"}, {"d", "coalesce(c, a) + 1"}},
      {{"a", "c - 1"}, {"b", "a"}},
      {"a", "c"}},
     {
         {"INSERT INTO t (id, a) VALUES (1, 10)", "1=(10,)/(11,11)"},
         {"UPDATE t SET c = 21", "1=(20,10)/(21,11)"},
     }},
    {"no reverse",
     "CREATE TABLE orders (id int, legacy_ref text NOT NULL DEFAULT 'none', external_ref text)",
     SHOW("orders", "legacy_ref", "external_ref"),
     {NULL, NULL, "orders", {{"external_ref", "upper(legacy_ref)"}}, {{0}}, {"legacy_ref"}},
     {
         {"INSERT INTO orders (id, legacy_ref) VALUES (1, 'a')", "1=a/A"},
         {"INSERT INTO orders (id, external_ref) VALUES (2, 'B')", "1=a/A 2=none/B"},
         {"INSERT INTO orders (id) VALUES (3)", "1=a/A 2=none/B 3=none/NONE"},
         {"UPDATE orders SET external_ref = 'C' WHERE id = 1", "1=a/C 2=none/B 3=none/NONE"},
         {"UPDATE orders SET legacy_ref = 'd' WHERE id = 1", "1=d/D 2=none/B 3=none/NONE"},
     }},
    {"not null on both sides",
     "CREATE TABLE t (id int, old int NOT NULL, new bigint NOT NULL)",
     SHOW("t", "old", "new"),
     {NULL, NULL, "t", {{"new", "old"}}, {{"old", "new"}}, {"old"}},
     {
         {"INSERT INTO t (id, old) VALUES (1, 5)", "1=5/5"},
         {"INSERT INTO t (id, new) VALUES (2, 6)", "1=5/5 2=6/6"},
     }},
    {"names that need quotes",
     "CREATE SCHEMA \"Odd Schema\"; CREATE TABLE \"Odd Schema\".\"or\"\"der\" (id int, \"Select\" "
     "text, \"Gr\u00f6\u00dfe $1 %s\" text)",
     SHOW("\"Odd Schema\".\"or\"\"der\"", "\"Select\"", "\"Gr\u00f6\u00dfe $1 %s\""),
     {NULL,
      "Odd Schema",
      "or\"der",
      {{"Gr\u00f6\u00dfe $1 %s", "\"or\"\"der\".\"Select\""}},
      {{"Select", "\"Gr\u00f6\u00dfe $1 %s\""}},
      {"Select"}},
     {
         {"INSERT INTO \"Odd Schema\".\"or\"\"der\" (id, \"Select\") VALUES (1, 'a')", "1=a/a"},
         {"UPDATE \"Odd Schema\".\"or\"\"der\" SET \"Gr\u00f6\u00dfe $1 %s\" = 'b'", "1=b/b"},
         {"UPDATE \"Odd Schema\".\"or\"\"der\" SET \"Select\" = 'c'", "1=c/c"},
     }},
    {"names that mean something in PL/pgSQL",
     "CREATE TABLE \"new\" (id int, \"old\" text, found text, tg_op text, \"new\" text)",
     SHOW("\"new\"", "(\"old\", found)", "(\"new\", tg_op)"),
     {NULL,
      NULL,
      "new",
      {{"new", "\"old\""}, {"tg_op", "new.found"}},
      {{"old", "new.\"new\""}, {"found", "tg_op"}},
      {"old", "found"}},
     {
         {"INSERT INTO \"new\" (id, \"old\", found) VALUES (1, 'a', 'b')", "1=(a,b)/(a,b)"},
         {"UPDATE \"new\" SET \"new\" = 'c'", "1=(c,b)/(c,b)"},
         {"UPDATE \"new\" SET found = 'd'", "1=(c,d)/(c,d)"},
     }},
    {"upper case is another column",
     "CREATE TABLE t (id int, ref text, \"REF\" text)",
     SHOW("t", "ref", "\"REF\""),
     {NULL, NULL, "t", {{"REF", "ref"}}, {{"ref", "\"REF\""}}, {"ref"}},
     {
         {"INSERT INTO t (id, ref) VALUES (1, 'a')", "1=a/a"},
         {"UPDATE t SET \"REF\" = 'b'", "1=b/b"},
     }},
    {"types without equality",
     "CREATE TABLE t (id int, doc json, at point, bin jsonb, place point)",
     SHOW("t", "(doc, at)", "(bin, place)"),
     {NULL,
      NULL,
      "t",
      {{"bin", "doc"}, {"place", "at"}},
      {{"doc", "bin"}, {"at", "place"}},
      {"doc", "at"}},
     {
         {"INSERT INTO t (id, doc, at) VALUES (1, '{\"a\":1}', '(1,2)')",
          "1=(\"{\"\"a\"\":1}\",\"(1,2)\")/(\"{\"\"a\"\": 1}\",\"(1,2)\")"},
         {"UPDATE t SET bin = '[]'", "1=([],\"(1,2)\")/([],\"(1,2)\")"},
         {"UPDATE t SET at = '(3,4)'", "1=([],\"(3,4)\")/([],\"(3,4)\")"},
     }},
    {"equal and yet not the same",
     "CREATE TABLE t (id int, amount numeric, shown text)",
     SHOW("t", "amount", "shown"),
     {NULL, NULL, "t", {{"shown", "amount::text"}}, {{"amount", "shown::numeric"}}, {"amount"}},
     {
         {"INSERT INTO t (id, amount) VALUES (1, 1.0)", "1=1.0/1.0"},
         {"UPDATE t SET amount = 1.00", "1=1.00/1.00"},
         {"UPDATE t SET shown = '1.000'", "1=1.000/1.000"},
     }},
    {"arrays and composite types",
     "CREATE TYPE addr AS (street text, city text); CREATE TABLE t (id int, street text, city "
     "text, tag text, address addr, tags text[])",
     SHOW("t", "(street, city, tag)", "(address, tags)"),
     {NULL,
      NULL,
      "t",
      {{"address", "ROW(street, city)::addr"}, {"tags", "ARRAY[tag]"}},
      {{"street", "(address).street"}, {"city", "(address).city"}, {"tag", "tags[1]"}},
      {"street", "city", "tag"}},
     {
         {"INSERT INTO t (id, street, city, tag) VALUES (1, 'a', 'b', 'c')",
          "1=(a,b,c)/(\"(a,b)\",{c})"},
         {"UPDATE t SET address.city = 'd'", "1=(a,d,c)/(\"(a,d)\",{c})"},
         {"UPDATE t SET tags[1] = 'e'", "1=(a,d,e)/(\"(a,d)\",{e})"},
         {"UPDATE t SET street = 'f'", "1=(f,d,e)/(\"(f,d)\",{e})"},
     }},
    {"texts that could end what is around them",
     "CREATE TABLE t (id int, a text, b text)",
     SHOW("t", "a", "b"),
     {NULL,
      NULL,
      "t",
      {{"b", "a || '$phasegate$;%s\\' -- the same, marked"}},
      {{"a", "replace(b, $phasegate0$$phasegate$;%s\\$phasegate0$, '') /* back */ --"}},
      {"a"}},
     {
         {"INSERT INTO t (id, a) VALUES (1, 'x')", "1=x/x$phasegate$;%s\\"},
         {"UPDATE t SET b = 'y$phasegate$;%s\\'", "1=y/y$phasegate$;%s\\"},
     }},
    {"expressions with a query, whose columns have the same names",
     "CREATE TABLE kinds (id int, kind text); INSERT INTO kinds VALUES (1, 'one'), (2, 'two');"
     "CREATE TABLE t (id int, kind text, kind_id int)",
     SHOW("t", "kind", "kind_id"),
     {NULL,
      NULL,
      "t",
      {{"kind_id", "(SELECT k.id FROM kinds k WHERE k.kind = t.kind)"}},
      {{"kind", "(SELECT kind FROM kinds WHERE id = kind_id)"}},
      {"kind"}},
     {
         {"INSERT INTO t (id, kind) VALUES (7, 'two')", "7=two/2"},
         {"UPDATE t SET kind_id = 1", "7=one/1"},
     }},
    {"what another trigger changes",
     "CREATE TABLE t (id int, quantity int, price int, total int, total_cents bigint);"
     "CREATE FUNCTION total() RETURNS trigger LANGUAGE plpgsql AS"
     " 'BEGIN NEW.total := NEW.quantity * NEW.price; RETURN NEW; END';"
     "CREATE TRIGGER total BEFORE INSERT OR UPDATE OF quantity, price ON t FOR EACH ROW EXECUTE "
     "FUNCTION total()",
     SHOW("t", "total", "total_cents"),
     {NULL,
      NULL,
      "t",
      {{"total_cents", "total * 100"}},
      {{"total", "total_cents / 100"}},
      {"total"}},
     {
         {"INSERT INTO t (id, quantity, price) VALUES (1, 2, 3)", "1=6/600"},
         /* The statement names no column of the sync. */
         {"UPDATE t SET quantity = 5", "1=15/1500"},
     }},
    {"partitions",
     "CREATE TABLE t (id int, old int, new bigint) PARTITION BY RANGE (id);"
     "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10);"
     "CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (20)",
     SHOW("t", "old", "new"),
     {NULL, NULL, "t", {{"new", "old"}}, {{"old", "new"}}, {"old"}},
     {
         {"INSERT INTO t (id, old) VALUES (1, 5)", "1=5/5"},
         {"INSERT INTO t2 (id, new) VALUES (11, 6)", "1=5/5 11=6/6"},
         {"UPDATE t SET old = 7, id = 12 WHERE id = 1", "11=6/6 12=7/7"},
         {"CREATE TABLE t3 PARTITION OF t FOR VALUES FROM (20) TO (30); INSERT INTO t VALUES (21, "
          "8)",
          "11=6/6 12=7/7 21=8/8"},
     }},
};

static void test_writers(void **state)
{
    for (size_t i = 0; i < ROWS(cases); i++) {
        const struct sync_case *c = &cases[i];
        char *db = pgtest_new_database();
        AUTO(arena) a = {0};
        struct plan p = build_plan(&a, &c->sync);
        pgtest_exec(db, "CREATE SCHEMA phasegate");
        pgtest_exec(db, c->create);
        assert_null(check_of(db, &a, &p));
        install(db, &a, &p, NULL, 0);
        for (size_t j = 0; j < ROWS(c->steps) && c->steps[j].sql; j++) {
            pgtest_exec(db, c->steps[j].sql);
            char *got = pgtest_value(db, c->show);
            CHECK(strcmp(got ? got : "", c->steps[j].expected) == 0,
                  "%s: after\n%s\nthere is %s, not %s", c->name, c->steps[j].sql,
                  got ? got : "nothing", c->steps[j].expected);
            free(got);
        }
        /* Once more changes nothing. */
        char *before = pgtest_value(db, CATALOGUE);
        install(db, &a, &p, NULL, 0);
        assert_value(db, CATALOGUE, before);
        free(before);
        pgtest_drop_database(db);
    }
    (void) state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What statements ask of the rows that are there. */
#include "phasegate/load.h"
#include "phasegate/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "table.h"

/* What is asked, one line each: the count's query, or the kind. */
static const struct row {
    const char *sql, *asked;
} rows[] = {
    {"ALTER TABLE t ADD COLUMN c text", ""},
    {"ALTER TABLE t ADD COLUMN c text NOT NULL DEFAULT 'x' CHECK (c <> '')", ""},
    {"CREATE TABLE t (id int PRIMARY KEY, CHECK (id > 0))", ""},
    {"CREATE INDEX ON t (a)", ""},
    {"no SQL at all", ""},
    {"ALTER TABLE t ALTER a SET NOT NULL", "SELECT pg_catalog.count(*) FROM (SELECT FROM \"t\" AS "
                                           "phasegate_row WHERE phasegate_row.\"a\" IS NULL "
                                           "LIMIT 9) AS "
                                           "phasegate_counted\n"},
    {"ALTER TABLE \"S x\".\"T\" ALTER \"a\"\"b\" SET NOT NULL",
     "SELECT pg_catalog.count(*) FROM (SELECT FROM \"S x\".\"T\" AS phasegate_row WHERE "
     "phasegate_row.\"a\"\"b\" IS NULL LIMIT 9) "
     "AS phasegate_counted\n"},
    {"ALTER TABLE t ADD CONSTRAINT \"check\" CHECK (a > 0 AND (b IS NULL OR c IN ('x)', 'y')))",
     "SELECT pg_catalog.count(*) FROM (SELECT FROM \"t\" AS phasegate_row WHERE NOT (a > 0 AND (b "
     "IS NULL OR "
     "c IN ('x)', 'y'))\n) "
     "LIMIT 9) AS phasegate_counted\n"},
    {"ALTER TABLE t ADD CHECK (a > 0) NOT VALID", "deferred rows that violate the CHECK\n"},
    {"ALTER TABLE t ADD CHECK (a > 0), ADD c int CHECK (c > 1), ADD CHECK (b > 2)",
     "SELECT pg_catalog.count(*) FROM (SELECT FROM \"t\" AS phasegate_row WHERE NOT (a > 0\n) "
     "LIMIT 9) AS "
     "phasegate_counted\n"
     "SELECT pg_catalog.count(*) FROM (SELECT FROM \"t\" AS phasegate_row WHERE NOT (b > 2\n) "
     "LIMIT 9) AS "
     "phasegate_counted\n"},
    {"ALTER TABLE t ADD UNIQUE (a, b)",
     "SELECT pg_catalog.count(*) FROM (SELECT FROM \"t\" AS phasegate_row GROUP BY \"a\", \"b\" "
     "HAVING "
     "pg_catalog.count(*) OPERATOR(pg_catalog.>) 1::pg_catalog.int8 AND "
     "pg_catalog.num_nulls(\"a\", \"b\") OPERATOR(pg_catalog.=) 0 LIMIT 9) AS phasegate_counted\n"},
    {"ALTER TABLE t ADD CONSTRAINT u UNIQUE USING INDEX u", ""},
    {"ALTER TABLE t ADD PRIMARY KEY (a)",
     "SELECT pg_catalog.count(*) FROM (SELECT FROM \"t\" AS phasegate_row GROUP BY \"a\" HAVING "
     "pg_catalog.count(*) OPERATOR(pg_catalog.>) 1::pg_catalog.int8 "
     "AND pg_catalog.num_nulls(\"a\") "
     "OPERATOR(pg_catalog.=) 0 LIMIT 9) AS phasegate_counted\n"
     "SELECT pg_catalog.count(*) FROM (SELECT FROM \"t\" AS phasegate_row WHERE "
     "phasegate_row.\"a\" IS NULL "
     "LIMIT 9) AS "
     "phasegate_counted\n"},
    {"CREATE UNIQUE INDEX CONCURRENTLY i ON s.t USING btree (lower(email) text_pattern_ops DESC, "
     "(a + b), c) "
     "INCLUDE (d) WHERE active AND email <> ''",
     "SELECT pg_catalog.count(*) FROM (SELECT FROM \"s\".\"t\" AS phasegate_row WHERE (active AND "
     "email <> "
     "''\n) GROUP BY "
     "lower(email), (a + b), \"c\" HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) "
     "1::pg_catalog.int8 AND pg_catalog.num_nulls(lower(email), (a + b), \"c\") "
     "OPERATOR(pg_catalog.=) 0 LIMIT 9) AS "
     "phasegate_counted\n"},
    {"CREATE UNIQUE INDEX i ON t (a) NULLS NOT DISTINCT",
     "SELECT pg_catalog.count(*) FROM (SELECT FROM \"t\" AS phasegate_row GROUP BY \"a\" HAVING "
     "pg_catalog.count(*) OPERATOR(pg_catalog.>) 1::pg_catalog.int8 "
     "LIMIT 9) AS "
     "phasegate_counted\n"},
    {"ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (a, b) REFERENCES s.p (x, y)",
     "SELECT pg_catalog.count(*) FROM (SELECT FROM \"t\" AS phasegate_row WHERE "
     "phasegate_row.\"a\" IS NOT "
     "NULL AND "
     "phasegate_row.\"b\" IS NOT NULL AND NOT EXISTS (SELECT FROM \"s\".\"p\" AS phasegate_parent "
     "WHERE "
     "phasegate_parent.\"x\" OPERATOR(pg_catalog.=) phasegate_row.\"a\" AND phasegate_parent.\"y\" "
     "OPERATOR(pg_catalog.=) "
     "phasegate_row.\"b\") LIMIT 9) AS "
     "phasegate_counted\n"},
    {"ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES p", "open rows without a parent\n"},
    {"ALTER TABLE t VALIDATE CONSTRAINT c", "open rows that violate the constraint\n"},
    {"ALTER TABLE t ALTER a TYPE bigint", "cast \"a\" to bigint\n"},
    {"ALTER TABLE t ALTER COLUMN type SET DATA TYPE varchar(10) COLLATE \"C\", ALTER b TYPE int "
     "USING (b)::int + 1",
     "cast \"type\" to varchar(10)\ncast (b)::int + 1 to int\n"},
    {"ALTER TABLE t ALTER a TYPE numeric(10, 2) USING nullif(a, '')::numeric",
     "cast nullif(a, '')::numeric to numeric(10, 2)\n"},
};

static void test_needs(void **state)
{
    (void) state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO(arena) a = {0};
        AUTO(str) asked = {0};
        const struct sql_stmt s = {.sql = rows[i].sql, .at = {.file = "f", .line = 3, .col = 1}};
        struct data_need_list l;

        data_needs_of(&a, &s, &l);
        for (int k = 0; k < l.n; k++) {
            const struct data_need *n = &l.items[k];
            const char *count = data_need_count(&a, n, 9);

            assert_int_equal(n->at.line, 3);
            if (n->is_deferred)
                str_addf(&asked, "deferred %s\n", data_need_word(n->kind));
            else if (n->kind == NEED_CAST)
                str_addf(&asked, "cast %s to %s\n", n->cast, n->type);
            else
                str_addf(&asked, "%s%s\n", count ? count : "open ",
                         count ? "" : data_need_word(n->kind));
        }
        CHECK(strcmp(str_text(&asked), rows[i].asked) == 0, "%s\n%s", rows[i].sql,
              str_text(&asked));
    }
}

static void test_examples(void **state)
{
    AUTO(arena) a = {0};
    const struct sql_stmt s = {
        .sql = "ALTER TABLE t ALTER a SET NOT NULL, ADD UNIQUE (b), ALTER c TYPE int USING c::int"};
    struct data_need_list l;
    (void) state;

    data_needs_of(&a, &s, &l);
    assert_int_equal(l.n, 3);
    assert_string_equal(
        data_need_examples(&a, &l.items[0], "\"id\"", 5),
        "SELECT pg_catalog.concat_ws(', ', \"id\") FROM \"t\" AS phasegate_row WHERE "
        "phasegate_row.\"a\" IS NULL LIMIT 5");
    assert_string_equal(
        data_need_examples(&a, &l.items[1], "\"id\"", 5),
        "SELECT pg_catalog.format('%s (%s times)', pg_catalog.concat_ws(', ', \"b\"), "
        "pg_catalog.count(*)) FROM \"t\" "
        "AS phasegate_row "
        "GROUP BY \"b\" HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 1::pg_catalog.int8 AND "
        "pg_catalog.num_nulls(\"b\") OPERATOR(pg_catalog.=) 0 ORDER BY "
        "pg_catalog.count(*) DESC LIMIT 5");
    assert_null(data_need_examples(&a, &l.items[2], NULL, 5));
    assert_null(data_need_try(&a, &l.items[0], NULL, 5));
    assert_non_null(strstr(data_need_try(&a, &l.items[2], NULL, 5), "(c::int\n) INTO"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_needs),
        cmocka_unit_test(test_examples),
    };

    return cmocka_run_group_tests_name("data_needs", tests, NULL, NULL);
}

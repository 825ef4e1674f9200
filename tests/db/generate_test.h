/* What the tests of generated SQL share. */
#ifndef PHASEGATE_GENERATE_TEST_H
#define PHASEGATE_GENERATE_TEST_H

#include "pgtest.h"
#include "phasegate/generate.h"
#include "phasegate/names.h"
#include "plan_build.h"

#define ROWS(table) (sizeof(table) / sizeof *(table))

#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg(__VA_ARGS__);                                                                 \
    } while (0)

/* Everything that generated SQL could change outside of rows, as one text. */
#define CATALOGUE                                                                                  \
    "SELECT pg_catalog.string_agg(x, chr(10) ORDER BY x) FROM ("                                   \
    " SELECT pg_catalog.format('trigger %s %s %s', t.oid, t.tgenabled, "                           \
    "pg_catalog.pg_get_triggerdef(t.oid)) AS x"                                                    \
    " FROM pg_catalog.pg_trigger t"                                                                \
    " UNION ALL SELECT pg_catalog.format('function %s %s', f.oid, "                                \
    "pg_catalog.pg_get_functiondef(f.oid)) FROM pg_catalog.pg_proc f"                              \
    " JOIN pg_catalog.pg_namespace n ON n.oid = f.pronamespace WHERE n.nspname NOT IN "            \
    "('pg_catalog', 'information_schema')"                                                         \
    " UNION ALL SELECT pg_catalog.format('relation %s.%s %s %s', n.nspname, c.relname, c.relkind," \
    " (SELECT pg_catalog.array_agg(i::text ORDER BY i::text) FROM pg_catalog.unnest(c.relacl) "    \
    "i)) FROM pg_catalog.pg_class c"                                                               \
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname !~ "                \
    "'^(pg_|information_schema)'"                                                                  \
    " UNION ALL SELECT pg_catalog.format('column %s.%s.%s %s %s %s %s %s', n.nspname, c.relname, " \
    "a.attname, a.attnum, a.atttypid,"                                                             \
    " a.attnotnull, a.atthasdef, (SELECT pg_catalog.array_agg(i::text ORDER BY i::text) FROM "     \
    "pg_catalog.unnest(a.attacl) i))"                                                              \
    " FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid"             \
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"                                    \
    " WHERE n.nspname !~ '^(pg_|information_schema)' AND NOT a.attisdropped AND a.attnum > 0"      \
    " UNION ALL SELECT pg_catalog.format('constraint %s %s', k.oid, "                              \
    "pg_catalog.pg_get_constraintdef(k.oid))"                                                      \
    " FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_namespace n ON n.oid = k.connamespace"    \
    " WHERE n.nspname !~ '^(pg_|information_schema)') AS c"

static inline void assert_value(const char *db, const char *sql, const char *expected)
{
    char *got = pgtest_value(db, sql);

    CHECK(!got == !expected && (!got || strcmp(got, expected) == 0), "%s\ngives %s\nnot %s", sql,
          got ? got : "NULL", expected ? expected : "NULL");
    free(got);
}

static inline void run_list(const char *db, const struct sql_list *l)
{
    assert_true(l->n > 0);
    for (int i = 0; i < l->n; i++)
        pgtest_exec(db, l->items[i]);
}

static inline void install(const char *db, struct arena *a, const struct plan *p,
                           const struct renamed *r, int n)
{
    struct sql_list l;

    sync_install_sql(a, p, r, n, &l);
    run_list(db, &l);
}

/* "name: why" of the first finding, or NULL. */
static inline char *check_of(const char *db, struct arena *a, const struct plan *p)
{
    return pgtest_value(
        db,
        arena_printf(
            a,
            "SELECT pg_catalog.string_agg(f.name || ': ' || f.why, '; ') FROM (%s) AS f(name, why)",
            sync_check_sql(a, p)));
}

#endif

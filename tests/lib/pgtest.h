/* pgtest: databases for C tests, in the cluster that the ctest fixture started.
 *
 *     cmocka_unit_test_setup_teardown(test_x, pgtest_setup, pgtest_teardown)
 *     static void test_x(void **state) { const char *conninfo = *state; ... }
 *
 * Without a cluster (PHASEGATE_TEST_PG unset) everything here fails the test: a missing server never
 * counts as a pass. By hand: `ctest -R db/x`, which starts the fixture.
 */
#ifndef PHASEGATE_PGTEST_H
#define PHASEGATE_PGTEST_H

/* A fresh database, named after the process. Returns its conninfo, to be freed by pgtest_drop_database. */
char *pgtest_new_database(void);
void pgtest_drop_database(char *conninfo); /* ends its sessions first */

/* For cmocka: *state is the conninfo of a database for this test alone. */
int pgtest_setup(void **state);
int pgtest_teardown(void **state);

/* Run SQL (several statements are allowed), fail the test on an error. The first cell of the last result,
 * malloc'd, or NULL when it is NULL or there is none. */
char *pgtest_value(const char *conninfo, const char *sql);
void pgtest_exec(const char *conninfo, const char *sql);
long pgtest_count(const char *conninfo, const char *sql); /* pgtest_value as a number */

#endif

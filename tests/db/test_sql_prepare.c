/* Every statement of src/sql parses on the server, names what it does, and is one statement. */
#include "ledger_test.h"

#include "phasegate/names.h"

#include <glob.h>
#include <libpq-fe.h>

static char *read_all(const char *path)
{
    FILE *f = fopen(path, "r");
    AUTO(str) text = {0};
    char buffer[4096];
    if (!f)
        fail_msg("can't read %s", path);
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, f)) > 0;)
        str_addn(&text, buffer, n);
    fclose(f);
    return strdup(str_text(&text));
}

/* The highest $n in the part of text before end. */
static int highest_param(const char *text, const char *end)
{
    int highest = 0;
    for (const char *p = strchr(text, '$'); p && p < end; p = strchr(p + 1, '$')) {
        int n = atoi(p + 1);
        highest = n > highest ? n : highest;
    }
    return highest;
}

static void check_header(const char *path, const char *text, int n_params)
{
    const char *params = strstr(text, "\n-- params:"), *returns = strstr(text, "\n-- returns:");
    if (strncmp(text, "-- purpose: ", 12) != 0 || !params || !returns || returns < params)
        fail_msg("%s: expected to begin with the lines -- purpose: -- params: -- returns:", path);
    if (highest_param(params, returns) != n_params)
        fail_msg("%s: its params line ends with $%d, the statement with $%d", path,
                 highest_param(params, returns), n_params);
}

/* The extension may be in any schema: its functions' names are put in when the statement is sent. A copy is made for it. */
static const char *filled(struct arena *a, const char *text)
{
    text = sql_put(a, text, "copy", "pg_catalog.pg_class");
    text = sql_put(a, text, "statements", "public.pg_stat_statements");
    return sql_put(a, text, "info", "public.pg_stat_statements_info");
}

static void prepare_file(PGconn *conn, const char *path)
{
    AUTO(arena) a = {0};
    char *text = read_all(path);
    PGresult *made = PQprepare(conn, "", filled(&a, text), 0, NULL);
    if (PQresultStatus(made) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", path, PQerrorMessage(conn));
    PQclear(made);
    PGresult *described = PQdescribePrepared(conn, "");
    assert_int_equal(PQresultStatus(described), PGRES_COMMAND_OK);
    check_header(path, text, PQnparams(described));
    PQclear(described);
    free(text);
}

static void test_each_prepares(void **state)
{
    const char *root = getenv("PHASEGATE_SRC");
    AUTO(str) pattern = {0};
    glob_t found;
    assert_non_null(root);
    str_addf(&pattern, "%s/src/sql/*.sql", root);
    assert_int_equal(glob(str_text(&pattern), 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= 35);

    db_close(test_ledger(*state));
    PGconn *conn = PQconnectdb(*state);
    PQclear(PQexec(conn, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements SCHEMA public"));
    PQclear(PQexec(conn, "SET search_path = ''"));
    for (size_t i = 0; i < found.gl_pathc; i++)
        prepare_file(conn, found.gl_pathv[i]);
    PQfinish(conn);
    globfree(&found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_prepares, pgtest_setup, pgtest_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "pgtest.h"

#include <libpq-fe.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

static char *conninfo_of(const char *dbname)
{
    const char *base = getenv("PHASEGATE_TEST_PG");
    char *out = NULL;

    if (!base)
        fail_msg(
            "PHASEGATE_TEST_PG isn't set: run this test with ctest, whose fixture starts a server");
    if (asprintf(&out, "%s dbname=%s", base, dbname) < 0)
        abort();
    return out;
}

static char *dbname_of(const char *conninfo)
{
    const char *name = strstr(conninfo, " dbname=");

    if (!name)
        fail_msg("not a conninfo of pgtest: %s", conninfo);
    return strdup(name + strlen(" dbname="));
}

/* Messages name the SQL: a failed test shows what it asked for. */
static char *run(const char *conninfo, const char *sql)
{
    PGconn *conn = PQconnectdb(conninfo);
    PGresult *result = NULL;
    char *value = NULL, *error = NULL;

    if (PQstatus(conn) == CONNECTION_OK)
        result = PQexec(conn, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
        error = strdup(PQerrorMessage(conn));
    else if (PQntuples(result) > 0 && PQnfields(result) > 0 && !PQgetisnull(result, 0, 0))
        value = strdup(PQgetvalue(result, 0, 0));
    PQclear(result);
    PQfinish(conn);
    if (error)
        fail_msg("%s\nin: %s", error, sql);
    return value;
}

char *pgtest_value(const char *conninfo, const char *sql) { return run(conninfo, sql); }

void pgtest_exec(const char *conninfo, const char *sql) { free(run(conninfo, sql)); }

long pgtest_count(const char *conninfo, const char *sql)
{
    char *value = run(conninfo, sql);
    long n;

    if (!value)
        fail_msg("no value from: %s", sql);
    n = strtol(value, NULL, 10);
    free(value);
    return n;
}

char *pgtest_new_database(void)
{
    static int number;
    char *name = NULL, *sql = NULL, *admin = conninfo_of("postgres"), *out;

    if (asprintf(&name, "t_%ld_%d", (long) getpid(), ++number) < 0 ||
        asprintf(&sql, "CREATE DATABASE %s TEMPLATE template0", name) < 0)
        abort();
    pgtest_exec(admin, sql);
    out = conninfo_of(name);
    free(admin);
    free(sql);
    free(name);
    return out;
}

void pgtest_drop_database(char *conninfo)
{
    char *admin = conninfo_of("postgres"), *name = dbname_of(conninfo), *sql = NULL;

    if (asprintf(&sql, "DROP DATABASE IF EXISTS %s WITH (FORCE)", name) < 0)
        abort();
    pgtest_exec(admin, sql);
    free(admin);
    free(name);
    free(sql);
    free(conninfo);
}

int pgtest_setup(void **state)
{
    *state = pgtest_new_database();
    return 0;
}

int pgtest_teardown(void **state)
{
    pgtest_drop_database(*state);
    *state = NULL;
    return 0;
}

#include "sql_ground.h"
#include "pgtest.h"

#include <poll.h>

/* ---- sessions ------------------------------------------------------------------------------------- */

/* A failed test leaves by a jump: end_sessions closes what it left open. */
static PGconn *sessions[3];

PGconn *connect_to(const char *conninfo)
{
    PGconn *conn = PQconnectdb(conninfo);
    size_t i = 0;

    while (i < sizeof sessions / sizeof *sessions && sessions[i])
        i++;
    assert_true(i < sizeof sessions / sizeof *sessions);
    sessions[i] = conn;
    if (PQstatus(conn) != CONNECTION_OK)
        fail_msg("%s", PQerrorMessage(conn));
    PQclear(PQexec(conn, "SET client_min_messages = error; SET lock_timeout = '30s'"));
    return conn;
}

int end_sessions(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof sessions / sizeof *sessions; i++) {
        PQfinish(sessions[i]);
        sessions[i] = NULL;
    }
    return 0;
}

/* The first cell in arena a, or NULL; on an error the test fails, unless out_error is given. */
const char *ask(PGconn *conn, struct arena *a, const char *sql, const char **out_error)
{
    PGresult *r = PQexec(conn, sql);
    const char *value = NULL, *error = NULL;

    if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK)
        error = arena_strdup(a, PQerrorMessage(conn));
    else if (PQntuples(r) > 0 && !PQgetisnull(r, 0, 0))
        value = arena_strdup(a, PQgetvalue(r, 0, 0));
    PQclear(r);
    if (out_error)
        *out_error = error;
    else if (error)
        fail_msg("%sin: %s", error, sql);
    return value;
}

struct sql_stmt *facts_of(struct arena *a, const char *sql)
{
    AUTO(problem_list) problems = {0};
    struct sql_stmt *s = NULL;
    int n = 0;

    if (!sql_facts(a, sql, (struct pos) {"x.sql", 1, 1}, &s, &n, &problems))
        fail_msg("%s: %s", sql, problems.items[0].message);
    assert_true(n > 0);
    return &s[n - 1];
}

void sql_send(PGconn *conn, const char *sql)
{
    if (!PQsendQuery(conn, sql))
        fail_msg("%s", PQerrorMessage(conn));
}

/* Until `query` is true, ten seconds at most. */
void sql_wait_for(PGconn *conn, struct arena *a, const char *query)
{
    for (int i = 0; i < 1000; i++) {
        const char *got = ask(conn, a, query, NULL);

        if (got && strcmp(got, "t") == 0)
            return;
        poll(NULL, 0, 10);
    }
    fail_msg("never true: %s", query);
}

const char *sql_is_waiting(struct arena *a, PGconn *conn)
{
    return arena_printf(a, "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = %d AND NOT granted)",
                        PQbackendPID(conn));
}

bool sql_finish(PGconn *conn)
{
    bool good = true;

    for (PGresult *r = PQgetResult(conn); r; r = PQgetResult(conn)) {
        good = good && PQresultStatus(r) == PGRES_COMMAND_OK;
        PQclear(r);
    }
    return good;
}

/* ---- one database with a role of the tests' own --------------------------------------------------------- */

static char *database;

int ground_start(void **state)
{
    (void) state;
    database = pgtest_new_database();
    /* Of the whole cluster, where another test may be using it: it stays. */
    pgtest_exec(database, "DO $$ BEGIN CREATE ROLE derive_role; EXCEPTION WHEN duplicate_object OR "
                          "unique_violation THEN NULL; END $$");
    return 0;
}

int ground_stop(void **state)
{
    (void) state;
    pgtest_drop_database(database);
    return 0;
}

int ground_give(void **state)
{
    *state = database;
    return 0;
}

/* What every row starts from. */
const char sql_ground[] =
    "DROP SCHEMA IF EXISTS w CASCADE; DROP SCHEMA IF EXISTS x CASCADE; DROP SCHEMA IF EXISTS y "
    "CASCADE;"
    "CREATE SCHEMA w; CREATE SCHEMA x; SET search_path = w, x;"
    "CREATE TABLE p (id int PRIMARY KEY, n int);"
    "CREATE TABLE t (id int PRIMARY KEY, a int, b text, c varchar(10) DEFAULT 'c', n int NOT NULL "
    "DEFAULT 1, CONSTRAINT told CHECK (a > -10));"
    "INSERT INTO p SELECT g, g FROM generate_series(1, 3) g;"
    "INSERT INTO t SELECT g, g, g, g FROM generate_series(1, 3) g;"
    "CREATE INDEX t_b ON t (b);"
    "CREATE VIEW v AS SELECT id, a FROM t;"
    "CREATE MATERIALIZED VIEW m AS SELECT id FROM t; CREATE UNIQUE INDEX m_id ON m (id);"
    "CREATE SEQUENCE q;"
    "CREATE TYPE e AS ENUM ('one', 'two');"
    "CREATE TYPE r AS (a int, b text);"
    "CREATE DOMAIN d AS int DEFAULT 5; CREATE TABLE ud (v d);"
    "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT $1';"
    "CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
    "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tf();"
    "CREATE TABLE part (k int, s text) PARTITION BY LIST (k); CREATE TABLE part1 PARTITION OF part "
    "FOR VALUES IN (1);"
    "CREATE TABLE part2 (k int, s text);"
    "CREATE TABLE x.far (id int, \"Odd Name\" text);"
    "CREATE TABLE child (id int, pid int CONSTRAINT child_fk REFERENCES p);";

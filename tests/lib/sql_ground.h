/* sql_ground: what the tests of sql_facts on a server start from: sessions, a database with a role of its own,
 * and a schema with one of everything. */
#ifndef PHASEGATE_SQL_GROUND_H
#define PHASEGATE_SQL_GROUND_H

#include "phasegate/load.h"

#include <libpq-fe.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A session of *state's database, closed by end_sessions. */
PGconn *connect_to(const char *conninfo);
int end_sessions(void **state);
/* The first cell in arena a, or NULL; on an error the test fails, unless out_error is given. */
const char *ask(PGconn *conn, struct arena *a, const char *sql, const char **out_error);
struct sql_stmt *facts_of(struct arena *a, const char *sql); /* of the last statement */

/* A statement that waits for another session. */
void sql_send(PGconn *conn, const char *sql);
void sql_wait_for(PGconn *conn, struct arena *a, const char *query);
const char *sql_is_waiting(struct arena *a, PGconn *conn);
bool sql_finish(PGconn *conn);

extern const char sql_ground[]; /* schemas w and x */
int ground_start(void **state); /* of the group: the database and derive_role */
int ground_stop(void **state);
int ground_give(void **state);

#endif

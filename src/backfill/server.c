/* Which server is worked on: after a failover it is another one of the same system, on a higher timeline, and goes on from
 * the cursor that it has. A server of another system is none of ours, though it may hold a copy of the ledger; one on a lower
 * timeline was left behind by a failover.
 */
#include "crew.h"

#include "sql_embedded.h"

#include <stdlib.h>
#include <string.h>

static bool refuse(const struct backfill_setup *s, const struct server *is,
                   const struct server *was, struct err *err)
{
    bool other = strcmp(is->system, was->system) != 0;

    if (other)
        err_set(err, ERR_REFUSED, "backfill %s was begun on another server: system %s, and not %s",
                s->name, was->system, is->system);
    else
        err_set(
            err, ERR_REFUSED,
            "backfill %s was last worked on after a failover: timeline %lld, and this server is "
            "on %lld",
            s->name, (long long) was->timeline, (long long) is->timeline);
    err_reason(err, "other_server");
    return other ? err_hint(err,
                            "point the environment's URL at that one; if the database was moved "
                            "here for good: phasegate advance %s --force",
                            s->plan)
                 : err_hint(err, "point the environment's URL at the primary");
}

static void copy(struct server *out, const char *system, const char *timeline)
{
    *out = (struct server) {.timeline = timeline ? strtoll(timeline, NULL, 10) : 0};
    if (system && timeline)
        memcpy(out->system, system, strnlen(system, sizeof out->system - 1));
}

/* Where the role may not ask, nothing is known: system is empty. */
static bool look(struct db *db, int64_t job, struct server *is, struct server *was, struct err *err)
{
    AUTO(arena) a = {0};
    struct db_rows rows = {0};

    *is = *was = (struct server) {0};
    if (!db_query(db, &a, sql_select_backfill_server,
                  &DB_PARAMS(arena_printf(&a, "%lld", (long long) job)), &rows, err)) {
        if (strcmp(err->sqlstate, "42501") != 0)
            return false;
        err_clear(err);
        return true;
    }
    if (rows.n_rows == 0)
        return true;
    copy(is, db_cell(&rows, 0, 0), db_cell(&rows, 0, 1));
    copy(was, db_cell(&rows, 0, 2), db_cell(&rows, 0, 3));
    return true;
}

static bool is_known(const struct server *s) { return s->system[0] != '\0'; }

static bool agrees(const struct server *is, const struct server *was)
{
    return !is_known(is) || !is_known(was) ||
           (strcmp(is->system, was->system) == 0 && is->timeline >= was->timeline);
}

static bool note(struct db *db, int64_t job, const struct server *is, struct err *err)
{
    AUTO(arena) a = {0};

    return db_exec(db, sql_update_backfill_server,
                   &DB_PARAMS(arena_printf(&a, "%lld", (long long) job), is->system,
                              arena_printf(&a, "%lld", (long long) is->timeline)),
                   err);
}

bool server_begin(struct db *db, const struct backfill_setup *s, int64_t job, struct server *out,
                  struct server *before, struct err *err)
{
    if (!look(db, job, out, before, err))
        return false;
    if (s->verifies || !is_known(out) || !is_known(before)) {
        *before = *out;
        return true;
    }
    if (!agrees(out, before) && !(s->takes_server && strcmp(out->system, before->system) != 0))
        return refuse(s, out, before, err);
    return true;
}

bool server_settle(struct db *db, const struct backfill_setup *s, int64_t job, struct server *out,
                   struct server *before, struct err *err)
{
    return server_begin(db, s, job, out, before, err) &&
           (memcmp(out, before, sizeof *out) == 0 || note(db, job, out, err));
}

/* Of a session that was just made. */
bool server_check(struct worker *w, struct err *err)
{
    struct crew *c = w->crew;
    struct server is, was;
    bool moved = false;

    if (!look(w->db, c->job->id, &is, &was, err))
        return false;
    pthread_mutex_lock(&c->lock);
    was = c->server;
    bool good = agrees(&is, &was);
    if (good && is_known(&is)) {
        moved = is_known(&was) && is.timeline > was.timeline;
        c->server = is;
    }
    pthread_mutex_unlock(&c->lock);
    if (!good)
        return refuse(c->setup, &is, &was, err);
    return !moved || c->setup->verifies || note(w->db, c->job->id, &is, err);
}

/* The ledger's tables: made, upgraded and refused; plan states, records and backfills as they
 * were written. */
#include "ledger_test.h"

#include <glob.h>
#include <pthread.h>
#include <unistd.h>

static bool has_schema(const char *conninfo)
{
    return pgtest_count(conninfo,
                        "SELECT count(*) FROM pg_namespace WHERE nspname = 'phasegate'") == 1;
}

static int version_of(struct db *db)
{
    AUTO(err) err = {0};
    int version = -1;
    assert_good(ledger_version(db, &version, &err), &err);
    return version;
}

static void run_call(struct db *db, const struct db_call *call)
{
    AUTO(err) err = {0};
    assert_good(db_exec(db, call->sql, &call->params, &err), &err);
}

static void assert_text(const char *found, const char *expected)
{
    if (!expected)
        assert_null(found);
    else
        assert_string_equal(found, expected);
}

/* The url of a role without any rights of its own. */
static char *url_of_role(const char *conninfo, const char *role)
{
    AUTO(str) sql = {0};
    char *url = NULL;
    str_addf(&sql, "DROP ROLE IF EXISTS \"%s\"; CREATE ROLE \"%s\" LOGIN", role, role);
    pgtest_exec(conninfo, str_text(&sql));
    if (asprintf(&url, "%s user='%s'", conninfo, role) < 0)
        abort();
    return url;
}

static void drop_role(const char *conninfo, const char *role)
{
    AUTO(str) sql = {0};
    str_addf(&sql, "DROP OWNED BY \"%s\" CASCADE; DROP ROLE \"%s\"", role, role);
    pgtest_exec(conninfo, str_text(&sql));
}

/* ---- version and upgrade ------------------------------------------------------------------- */

static void test_newest_version_is_the_files(void **state)
{
    (void) state;
    const char *root = getenv("PHASEGATE_SRC");
    AUTO(str) pattern = {0};
    glob_t found;
    assert_non_null(root);
    str_addf(&pattern, "%s/src/sql/schema/[0-9]*.sql", root);
    assert_int_equal(glob(str_text(&pattern), 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, LEDGER_VERSION);
    globfree(&found);
}

/* In a read-only session, so that a write would fail; twice, so that the first look left
 * nothing. */
static void test_looking_writes_nothing(void **state)
{
    struct db *db = test_open_url(*state, "phasegate/look", false);
    AUTO(arena) a = {0};
    AUTO(err) err = {0};
    struct plan_state s, *states;
    struct history_row *rows;
    struct flag_change *changes;
    struct approval *approvals;
    struct soft_drop *drops;
    struct backfill_job job;
    struct release_window window;
    struct holder holder;
    int64_t n_rows = -1;
    const char *broken = "";
    bool ok = false, held = true;
    for (int round = 0; round < 2; round++) {
        int n = -1;
        assert_int_equal(version_of(db), 0);
        assert_good(ledger_plan_state(db, &a, "p", &s, &err), &err);
        assert_false(s.exists);
        assert_int_equal(s.stage, STAGE_PLANNED);
        assert_int_equal(s.brake, BRAKE_NONE);
        assert_string_equal(s.plan, "p");
        assert_good(ledger_plan_states(db, &a, &states, &n, &err), &err);
        assert_int_equal(n, 0);
        n = -1;
        assert_good(ledger_history(db, &a, &(struct history_filter) {0}, &rows, &n, &err), &err);
        assert_int_equal(n, 0);
        n = -1;
        assert_good(ledger_steps(db, &a, "p", &rows, &n, &err), &err);
        assert_int_equal(n, 0);
        n = -1;
        assert_good(ledger_flag_changes(db, &a, NULL, 0, &changes, &n, &err), &err);
        assert_int_equal(n, 0);
        n = -1;
        assert_good(ledger_approvals(db, &a, "p", &approvals, &n, &err), &err);
        assert_int_equal(n, 0);
        n = -1;
        assert_good(ledger_soft_drops(db, &a, "p", &drops, &n, &err), &err);
        assert_int_equal(n, 0);
        assert_good(ledger_backfill_job(db, &a, "p", "b", &job, &err), &err);
        assert_false(job.exists);
        assert_good(ledger_release_window(db, &a, &window, &err), &err);
        assert_false(window.exists);
        assert_good(ledger_history_verify(db, &a, &n_rows, &ok, &broken, &err), &err);
        assert_true(ok && n_rows == 0 && !broken);
        assert_good(lease_holder(db, &a, &held, &holder, &err), &err);
        assert_false(held);
    }
    assert_false(has_schema(*state));
    db_close(db);
}

static void test_upgrade_once(void **state)
{
    struct db *db = test_ledger(*state);
    AUTO(err) err = {0};
    assert_int_equal(version_of(db), LEDGER_VERSION);
    assert_good(ledger_upgrade(db, &err), &err);
    assert_int_equal(pgtest_count(*state, "SELECT count(*) FROM phasegate.schema_version"),
                     LEDGER_VERSION);
    assert_int_equal(
        pgtest_count(*state, "SELECT count(*) FROM phasegate.schema_version "
                             "WHERE number = 1 AND name = 'ledger' AND applied_by = session_user"),
        1);
    db_close(db);
}

static void test_everything_is_described(void **state)
{
    db_close(test_ledger(*state));
    char *bare = pgtest_value(
        *state,
        "SELECT string_agg(c.relname || coalesce('.' || a.attname, ''), ' ') FROM pg_class c "
        "JOIN LATERAL (SELECT NULL::name AS attname, 0 AS attnum UNION ALL SELECT attname, attnum "
        "FROM pg_attribute "
        "WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) a ON true "
        "WHERE c.relnamespace = 'phasegate'::regnamespace AND c.relkind IN ('r', 'v') "
        "AND coalesce(CASE a.attnum WHEN 0 THEN obj_description(c.oid, 'pg_class') ELSE "
        "col_description(c.oid, a.attnum) END, '') = ''");
    assert_text(bare, NULL);
    assert_int_equal(pgtest_count(*state, "SELECT count(*) FROM pg_class WHERE relkind = 'r' "
                                          "AND relnamespace = 'phasegate'::regnamespace"),
                     24);
    assert_int_equal(pgtest_count(*state,
                                  "SELECT count(*) FROM pg_namespace n WHERE nspname = 'phasegate' "
                                  "AND obj_description(oid, 'pg_namespace') <> ''"),
                     1);
    /* Nothing for everybody. */
    assert_int_equal(
        pgtest_count(*state, "SELECT count(*) FROM pg_class c, aclexplode(c.relacl) x "
                             "WHERE relnamespace = 'phasegate'::regnamespace AND x.grantee = 0"),
        0);
    assert_int_equal(
        pgtest_count(*state,
                     "SELECT has_schema_privilege('pg_monitor', 'phasegate', 'USAGE')::int"),
        0);
}

static void test_newer_is_refused(void **state)
{
    struct db *db = test_ledger(*state);
    AUTO(err) err = {0};
    struct lease_options o = test_lease("me");
    int version = -1;
    pgtest_exec(*state,
                "INSERT INTO phasegate.schema_version (number, name) VALUES (99, 'future')");
    assert_err(ledger_version(db, &version, &err), &err, ERR_REFUSED);
    assert_string_equal(err.reason, "ledger_newer");
    assert_has(str_text(&err.message), "99");
    assert_int_equal(version, -1);
    assert_err(ledger_upgrade(db, &err), &err, ERR_REFUSED);
    assert_string_equal(err.reason, "ledger_newer");
    assert_err(lease_acquire(db, &o, true, &err), &err, ERR_REFUSED);
    assert_string_equal(err.reason, "ledger_newer");
    assert_int_equal(
        pgtest_count(*state,
                     "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND "
                     "database = (SELECT oid FROM pg_database WHERE datname = current_database())"),
        0);
    db_close(db);
}

/* The server's session is ended while it is in the midst of the file: nothing of it stays, and
 * the next one does it all. A lock on a catalogue that the file needs stops it at a place of
 * our choosing. */
static void *upgrade_run(void *arg)
{
    AUTO(err) err = {0};
    return ledger_upgrade(arg, &err) ? (void *) 1 : NULL;
}

static void test_interrupted_upgrade(void **state)
{
    struct db *db = test_open(*state), *blocker = test_open(*state);
    AUTO(err) err = {0};
    AUTO(str) kill = {0};
    pthread_t thread;
    void *good = NULL;
    /* The schema and the first tables don't touch pg_trigger; the append-only trigger does. */
    test_exec(blocker, "BEGIN");
    test_exec(blocker, "LOCK TABLE pg_catalog.pg_trigger IN EXCLUSIVE MODE");
    assert_int_equal(pthread_create(&thread, NULL, upgrade_run, db), 0);
    str_addf(&kill, "SELECT pg_terminate_backend(%d)", db_backend_pid(db));
    AUTO(str) waiting = {0};
    str_addf(&waiting,
             "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = "
             "'pg_trigger'::regclass AND pid = %d",
             db_backend_pid(db));
    for (int i = 0; i < 100 && pgtest_count(*state, str_text(&waiting)) == 0; i++)
        usleep(50000);
    assert_int_equal(pgtest_count(*state, str_text(&waiting)), 1);
    pgtest_exec(*state, str_text(&kill));
    pthread_join(thread, &good);
    assert_null(good);
    test_exec(blocker, "ROLLBACK");
    assert_false(has_schema(*state));

    assert_good(db_reconnect(db, &err), &err);
    assert_int_equal(version_of(db), 0);
    assert_good(ledger_upgrade(db, &err), &err);
    assert_int_equal(version_of(db), LEDGER_VERSION);
    db_close(db);
    db_close(blocker);
}

/* A file that fails with its last table: the session is usable again and nothing is there. */
static void test_failed_upgrade(void **state)
{
    struct db *db = test_open(*state);
    AUTO(err) err = {0};
    pgtest_exec(*state,
                "CREATE FUNCTION public.no() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN "
                "IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity LIKE "
                "'%soft_drop') THEN "
                "RAISE 'not today'; END IF; END $$; "
                "CREATE EVENT TRIGGER no ON ddl_command_end EXECUTE FUNCTION public.no()");
    assert_err(ledger_upgrade(db, &err), &err, ERR_SQL);
    assert_has(str_text(&err.message), "not today");
    assert_has(str_text(&err.notes), "version 1");
    assert_false(has_schema(*state));
    pgtest_exec(*state, "DROP EVENT TRIGGER no");
    err_clear(&err);
    assert_good(ledger_upgrade(db, &err), &err);
    db_close(db);
}

static void test_damaged(void **state)
{
    struct db *db = test_ledger(*state);
    AUTO(arena) a = {0};
    AUTO(err) err = {0};
    struct plan_state s;
    struct plan_state known = {.plan = "p", .stage = STAGE_EXPAND_DONE};
    struct db_call call;
    ledger_plan_state_call(&a, &known, &call);
    run_call(db, &call);
    pgtest_exec(*state, "UPDATE phasegate.plan_state SET stage = 'half way'");
    assert_err(ledger_plan_state(db, &a, "p", &s, &err), &err, ERR_REFUSED);
    assert_string_equal(err.reason, "ledger_damaged");
    assert_has(str_text(&err.message), "half way");
    pgtest_exec(*state, "DROP TABLE phasegate.plan_state");
    assert_err(ledger_plan_state(db, &a, "p", &s, &err), &err, ERR_REFUSED);
    assert_string_equal(err.reason, "ledger_damaged");
    db_close(db);
}

/* ---- rights -------------------------------------------------------------------------------- */

static void test_rights_to_make_it(void **state)
{
    char *url = url_of_role(*state, "phasegate maker");
    struct db *db = test_open(url);
    AUTO(err) err = {0};
    struct lease_options o = test_lease("me");
    assert_err(lease_acquire(db, &o, true, &err), &err, ERR_REFUSED);
    assert_string_equal(err.reason, "rights");
    char *name = pgtest_value(*state, "SELECT current_database()");
    AUTO(str) grant = {0};
    str_addf(&grant, "GRANT CREATE ON DATABASE \"%s\" TO \"phasegate maker\"", name);
    assert_has(str_text(&err.hint), str_text(&grant));
    assert_int_equal(
        pgtest_count(*state,
                     "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND "
                     "database = (SELECT oid FROM pg_database WHERE datname = current_database())"),
        0);

    /* The other way that the hint names: a schema as a present. */
    assert_has(str_text(&err.hint), "CREATE SCHEMA phasegate AUTHORIZATION \"phasegate maker\"");
    pgtest_exec(*state, "CREATE SCHEMA phasegate");
    assert_err(lease_acquire(db, &o, true, &err), &err, ERR_REFUSED);
    assert_has(str_text(&err.hint), "ALTER SCHEMA phasegate OWNER TO \"phasegate maker\"");
    pgtest_exec(*state, "ALTER SCHEMA phasegate OWNER TO \"phasegate maker\"");
    err_clear(&err);
    assert_good(lease_acquire(db, &o, true, &err), &err);
    assert_int_equal(version_of(db), LEDGER_VERSION);
    db_close(db);
    pgtest_exec(*state, "DROP SCHEMA phasegate CASCADE");

    pgtest_exec(*state, str_text(&grant));
    db = test_open(url);
    assert_good(lease_acquire(db, &o, true, &err), &err);
    db_close(db);
    drop_role(*state, "phasegate maker");
    free(name);
    free(url);
}

static void test_rights_to_look(void **state)
{
    db_close(test_ledger(*state));
    char *url = url_of_role(*state, "phasegate_looker");
    struct db *db = test_open(url);
    AUTO(arena) a = {0};
    AUTO(err) err = {0};
    struct plan_state s;
    int version;
    assert_err(ledger_version(db, &version, &err), &err, ERR_REFUSED);
    assert_string_equal(err.reason, "rights");
    assert_has(str_text(&err.hint), "GRANT USAGE ON SCHEMA phasegate TO \"phasegate_looker\"");
    assert_err(ledger_plan_state(db, &a, "p", &s, &err), &err, ERR_REFUSED);
    assert_string_equal(err.reason, "rights");
    pgtest_exec(*state, "GRANT USAGE ON SCHEMA phasegate TO phasegate_looker; "
                        "GRANT SELECT ON ALL TABLES IN SCHEMA phasegate TO phasegate_looker");
    err_clear(&err);
    assert_good(ledger_plan_state(db, &a, "p", &s, &err), &err);
    assert_err(
        ledger_history_append(db, &(struct history_row) {.kind = "note", .status = "note"}, &err),
        &err, ERR_REFUSED);
    assert_string_equal(err.reason, "rights");
    db_close(db);
    drop_role(*state, "phasegate_looker");
    free(url);
}

/* ---- plan states --------------------------------------------------------------------------- */

static void assert_state(const struct plan_state *s, const struct plan_state *e)
{
    assert_true(s->exists);
    assert_text(s->plan, e->plan);
    assert_int_equal(s->stage, e->stage);
    assert_int_equal(s->stage_since_ms, e->stage_since_ms);
    assert_int_equal(s->brake, e->brake);
    assert_text(s->brake_reason, e->brake_reason);
    assert_text(s->brake_by, e->brake_by);
    assert_int_equal(s->brake_since_ms, e->brake_since_ms);
    assert_text(s->task, e->task);
    assert_text(s->waiting_for, e->waiting_for);
    assert_text(s->waiting_holder, e->waiting_holder);
    assert_text(s->waiting_release, e->waiting_release);
    assert_int_equal(s->waiting_since_ms, e->waiting_since_ms);
    assert_int_equal(s->waiting_until_ms, e->waiting_until_ms);
    assert_int_equal(s->percent[FLAG_READ], e->percent[FLAG_READ]);
    assert_int_equal(s->percent[FLAG_WRITE], e->percent[FLAG_WRITE]);
    assert_int_equal(s->rung_confirmed_ms, e->rung_confirmed_ms);
    assert_int_equal(s->verified, e->verified);
    assert_int_equal(s->first_write_rung, e->first_write_rung);
    for (int p = PHASE_FIRST; p <= PHASE_LAST; p++)
        assert_text(s->release[p], e->release[p]);
    assert_text(s->checksum, e->checksum);
    assert_int_equal(s->hold_until_ms, e->hold_until_ms);
    assert_int_equal(s->rows_done, e->rows_done);
}

static void test_plan_state(void **state)
{
    struct db *db = test_ledger(*state);
    AUTO(arena) a = {0};
    AUTO(err) err = {0};
    const struct plan_state full = {.plan = "widen",
                                    .stage = STAGE_DUAL_READ_RUNNING,
                                    .stage_since_ms = 1700000000001,
                                    .brake = BRAKE_KILLED,
                                    .brake_reason = "why",
                                    .brake_by = "ann",
                                    .brake_since_ms = 1700000000002,
                                    .task = "read/5%",
                                    .waiting_for = "a pause",
                                    .waiting_holder = "the plan",
                                    .waiting_release = "time",
                                    .waiting_since_ms = 1700000000003,
                                    .waiting_until_ms = 1700000000004,
                                    .percent = {5, 25},
                                    .rung_confirmed_ms = 1700000000005,
                                    .verified = true,
                                    .first_write_rung = true,
                                    .release = {NULL, "4.8.0", "4.9.0", "4.10.0", "4.11.0"},
                                    .checksum = "abc",
                                    .hold_until_ms = 4102444800999,
                                    .rows_done = 5000000000};
    const struct plan_state bare = {.plan = "widen", .stage = STAGE_PURGED, .brake = BRAKE_NONE};
    struct plan_state found, *list = NULL;
    struct db_call call;
    int n = 0;

    ledger_plan_state_call(&a, &full, &call);
    run_call(db, &call);
    assert_good(ledger_plan_state(db, &a, "widen", &found, &err), &err);
    assert_state(&found, &full);
    /* Nothing of the fuller row shines through, but for the brake: that has a call of its own, because
     * another session may have put it on meanwhile. */
    struct plan_state braked = bare;
    braked.brake = full.brake;
    braked.brake_reason = full.brake_reason;
    braked.brake_by = full.brake_by;
    braked.brake_since_ms = full.brake_since_ms;
    ledger_plan_state_call(&a, &bare, &call);
    run_call(db, &call);
    assert_good(ledger_plan_state(db, &a, "widen", &found, &err), &err);
    assert_state(&found, &braked);
    ledger_plan_brake_call(&a, &bare, &call);
    run_call(db, &call);
    assert_good(ledger_plan_state(db, &a, "widen", &found, &err), &err);
    assert_state(&found, &bare);
    ledger_plan_state_call(&a, &(struct plan_state) {.plan = "another"}, &call);
    run_call(db, &call);
    assert_good(ledger_plan_states(db, &a, &list, &n, &err), &err);
    assert_int_equal(n, 2);
    assert_string_equal(list[0].plan, "another");
    assert_state(&list[1], &bare);
    assert_good(ledger_plan_state(db, &a, "none", &found, &err), &err);
    assert_false(found.exists);
    db_close(db);
}

static void test_all_stages_and_brakes(void **state)
{
    struct db *db = test_ledger(*state);
    AUTO(arena) a = {0};
    AUTO(err) err = {0};
    for (int i = 0; i < STAGE_COUNT * BRAKE_COUNT; i++) {
        struct plan_state s = {.plan = "p",
                               .stage = (enum stage)(i / BRAKE_COUNT),
                               .brake = (enum brake)(i % BRAKE_COUNT)};
        struct plan_state found;
        struct db_call call;
        ledger_plan_state_call(&a, &s, &call);
        run_call(db, &call);
        ledger_plan_brake_call(&a, &s, &call);
        run_call(db, &call);
        assert_good(ledger_plan_state(db, &a, "p", &found, &err), &err);
        assert_state(&found, &s);
    }
    db_close(db);
}

/* ---- records ------------------------------------------------------------------------------- */

static void test_flag_changes(void **state)
{
    struct db *db = test_ledger(*state);
    AUTO(arena) a = {0};
    AUTO(err) err = {0};
    const struct flag_change pending = {.op_id = "op1",
                                        .plan = "p",
                                        .flag = "f",
                                        .role = "read",
                                        .environment = "prod",
                                        .desired = "5%",
                                        .before = "OFF",
                                        .reason = "rung",
                                        .actor = "ann",
                                        .run_id = "r",
                                        .at_ms = 1700000000001};
    struct flag_change answered = pending, late = pending, *list = NULL;
    struct db_call call;
    int n = 0;
    answered.answer = "OK", answered.after = "5%", answered.level = "delivered", answered.ms = 31;
    late.answer = "CONFLICT", late.flag = "other";
    const struct flag_change *written[] = {&pending, &pending, &answered, &late, &pending};
    for (size_t i = 0; i < sizeof written / sizeof *written; i++) {
        ledger_flag_change_call(&a, written[i], &call);
        run_call(db, &call);
    }
    assert_good(ledger_flag_changes(db, &a, "p", 0, &list, &n, &err), &err);
    assert_int_equal(n, 1);
    assert_text(list[0].op_id, "op1");
    assert_text(list[0].flag, "f");
    assert_text(list[0].role, "read");
    assert_text(list[0].environment, "prod");
    assert_text(list[0].desired, "5%");
    assert_text(list[0].before, "OFF");
    assert_text(list[0].after, "5%");
    assert_text(list[0].answer, "OK");
    assert_text(list[0].level, "delivered");
    assert_text(list[0].reason, "rung");
    assert_text(list[0].actor, "ann");
    assert_text(list[0].run_id, "r");
    assert_int_equal(list[0].at_ms, 1700000000001);
    assert_int_equal(list[0].ms, 31);

    ledger_flag_change_call(
        &a, &(struct flag_change) {.op_id = "op2", .plan = "q", .flag = "g", .desired = "ON"},
        &call);
    run_call(db, &call);
    assert_good(ledger_flag_changes(db, &a, NULL, 0, &list, &n, &err), &err);
    assert_int_equal(n, 2);
    assert_text(list[0].op_id, "op2");
    assert_true(list[0].at_ms > 1700000000001);
    assert_good(ledger_flag_changes(db, &a, NULL, 1, &list, &n, &err), &err);
    assert_int_equal(n, 1);
    assert_good(ledger_flag_changes(db, &a, "p", 0, &list, &n, &err), &err);
    assert_int_equal(n, 1);
    db_close(db);
}

static void test_approvals(void **state)
{
    struct db *db = test_ledger(*state);
    AUTO(arena) a = {0};
    AUTO(err) err = {0};
    const struct approval yes = {.plan = "p",
                                 .phase = "contract",
                                 .checksum = "abc",
                                 .role = "dba",
                                 .who = "bob",
                                 .because = "fine",
                                 .host = "box",
                                 .at_ms = 1700000000001};
    const struct approval no = {
        .plan = "p", .phase = "contract", .checksum = "abd", .who = "ann", .refused = true};
    const struct approval other = {.plan = "q", .phase = "expand", .checksum = "x", .who = "eve"};
    struct approval *list = NULL;
    int n = 0;
    assert_good(ledger_approval_add(db, &yes, &err), &err);
    assert_good(ledger_approval_add(db, &no, &err), &err);
    assert_good(ledger_approval_add(db, &other, &err), &err);
    assert_good(ledger_approvals(db, &a, "p", &list, &n, &err), &err);
    assert_int_equal(n, 2);
    assert_text(list[0].plan, "p");
    assert_text(list[0].phase, "contract");
    assert_text(list[0].checksum, "abc");
    assert_text(list[0].role, "dba");
    assert_text(list[0].who, "bob");
    assert_text(list[0].because, "fine");
    assert_text(list[0].host, "box");
    assert_false(list[0].refused);
    assert_int_equal(list[0].at_ms, 1700000000001);
    assert_true(list[1].refused);
    assert_text(list[1].role, NULL);
    assert_good(ledger_approvals(db, &a, NULL, &list, &n, &err), &err);
    assert_int_equal(n, 3);
    db_close(db);
}

static void test_soft_drops(void **state)
{
    struct db *db = test_ledger(*state);
    AUTO(arena) a = {0};
    AUTO(err) err = {0};
    const struct soft_drop drop = {.plan = "p",
                                   .step = "old",
                                   .object_kind = "column",
                                   .schema = "public",
                                   .table = "t",
                                   .original_name = "balance",
                                   .hidden_name = "_drop_20261114_balance",
                                   .restore_sql = "ALTER ...\n;ALTER",
                                   .purge_sql = "DROP",
                                   .owner = "ann",
                                   .dropped_at_ms = 1700000000001,
                                   .expires_at_ms = 1700000600001};
    struct soft_drop *list = NULL;
    struct db_call call;
    int n = 0;
    ledger_soft_drop_call(&a, &drop, &call);
    run_call(db, &call);
    ledger_soft_drop_call(&a,
                          &(struct soft_drop) {.plan = "p",
                                               .step = "t",
                                               .object_kind = "table",
                                               .original_name = "t",
                                               .restore_sql = "R",
                                               .purge_sql = "P"},
                          &call);
    run_call(db, &call);
    assert_good(ledger_soft_drops(db, &a, "p", &list, &n, &err), &err);
    assert_int_equal(n, 2);
    assert_true(list[0].id > 0);
    assert_text(list[0].step, "old");
    assert_text(list[0].object_kind, "column");
    assert_text(list[0].schema, "public");
    assert_text(list[0].table, "t");
    assert_text(list[0].original_name, "balance");
    assert_text(list[0].hidden_name, "_drop_20261114_balance");
    assert_text(list[0].restore_sql, "ALTER ...\n;ALTER");
    assert_text(list[0].purge_sql, "DROP");
    assert_text(list[0].owner, "ann");
    assert_int_equal(list[0].dropped_at_ms, 1700000000001);
    assert_int_equal(list[0].expires_at_ms, 1700000600001);
    assert_int_equal(list[0].restored_at_ms, 0);
    assert_int_equal(list[0].purged_at_ms, 0);
    assert_int_equal(list[1].expires_at_ms, 0);
    assert_true(list[1].dropped_at_ms > 1700000000001);

    ledger_soft_drop_restored_call(&a, list[0].id, &call);
    run_call(db, &call);
    ledger_soft_drop_purged_call(&a, list[1].id, &call);
    run_call(db, &call);
    assert_good(ledger_soft_drops(db, &a, NULL, &list, &n, &err), &err);
    assert_true(list[0].restored_at_ms > 0 && list[0].purged_at_ms == 0);
    assert_true(list[1].restored_at_ms == 0 && list[1].purged_at_ms > 0);
    db_close(db);
}

static void test_release_window(void **state)
{
    struct db *db = test_ledger(*state);
    AUTO(arena) a = {0};
    AUTO(err) err = {0};
    struct release_window w = {
        .oldest = "4.8.0", .newest = "4.9.0", .why = "widen: dual_read", .since_ms = 1700000000001};
    struct release_window found;
    struct db_call call;
    assert_good(ledger_release_window(db, &a, &found, &err), &err);
    assert_false(found.exists);
    ledger_release_window_call(&a, &w, &call);
    run_call(db, &call);
    w.newest = NULL, w.oldest = "4.9.0";
    ledger_release_window_call(&a, &w, &call);
    run_call(db, &call);
    assert_good(ledger_release_window(db, &a, &found, &err), &err);
    assert_true(found.exists);
    assert_text(found.oldest, "4.9.0");
    assert_text(found.newest, NULL);
    assert_text(found.why, "widen: dual_read");
    assert_int_equal(found.since_ms, 1700000000001);
    assert_int_equal(
        pgtest_count(*state,
                     "SELECT count(*) FROM phasegate.release_window WHERE oldest = '4.9.0'"),
        1);
    db_close(db);
}

/* ---- backfills ----------------------------------------------------------------------------- */

static void test_backfill(void **state)
{
    struct db *db = test_ledger(*state);
    AUTO(arena) a = {0};
    AUTO(err) err = {0};
    struct backfill_job plan = {.plan = "p",
                                .name = "fill",
                                .table = "public.t",
                                .checksum = "c1",
                                .hi = "[100]",
                                .rows_total = 100};
    struct backfill_job job, again;
    struct db_call call;
    assert_good(ledger_backfill_begin(db, &a, &plan, &job, &err), &err);
    assert_true(job.exists && job.id > 0 && job.started_at_ms > 0);
    assert_text(job.status, "running");
    assert_text(job.hi, "[100]");
    assert_text(job.cursor, NULL);
    assert_text(job.table, "public.t");
    assert_int_equal(job.epoch, 1);

    ledger_backfill_cursor_call(&a, job.id, job.epoch, NULL, "[10]", 10, 7, &call);
    run_call(db, &call);
    ledger_backfill_cursor_call(&a, job.id, job.epoch, "[10]", "[20]", 10, 10, &call);
    run_call(db, &call);
    /* Not where it is. */
    ledger_backfill_cursor_call(&a, job.id, job.epoch, "[10]", "[30]", 10, 10, &call);
    assert_err(db_exec(db, call.sql, &call.params, &err), &err, ERR_SQL);
    assert_string_equal(err.sqlstate, "22P02");
    assert_has(str_text(&err.message), "taken over");

    /* Taken over: goes on, with the end frozen then; who had it is fenced off together with
     * its rows. */
    plan.hi = "[999]";
    err_clear(&err);
    assert_good(ledger_backfill_begin(db, &a, &plan, &again, &err), &err);
    assert_int_equal(again.id, job.id);
    assert_int_equal(again.epoch, 2);
    assert_text(again.hi, "[100]");
    assert_text(again.cursor, "[20]");
    assert_int_equal(again.rows_done, 20);
    assert_int_equal(again.rows_changed, 17);
    assert_int_equal(again.batches, 2);
    assert_int_equal(again.started_at_ms, job.started_at_ms);
    test_exec(db, "CREATE TABLE public.t (id int)");
    struct db_call calls[4] = {
        {.sql = "BEGIN"}, {.sql = "INSERT INTO public.t VALUES (1)"}, {0}, {.sql = "COMMIT"}};
    ledger_backfill_cursor_call(&a, job.id, job.epoch, "[20]", "[30]", 10, 10, &calls[2]);
    int done = 0;
    assert_err(db_pipeline(db, &a, calls, 4, NULL, &done, &err), &err, ERR_SQL);
    assert_int_equal(done, 2);
    test_exec(db, "ROLLBACK");
    assert_int_equal(pgtest_count(*state, "SELECT count(*) FROM public.t"), 0);

    ledger_backfill_status_call(&a, job.id, "done", &call);
    run_call(db, &call);
    err_clear(&err);
    assert_good(ledger_backfill_job(db, &a, "p", "fill", &again, &err), &err);
    assert_text(again.status, "done");
    assert_true(again.finished_at_ms > 0);
    db_close(db);
}

static void test_backfill_begins_again(void **state)
{
    struct db *db = test_ledger(*state);
    AUTO(arena) a = {0};
    AUTO(err) err = {0};
    struct backfill_job plan = {.plan = "p",
                                .name = "fill",
                                .table = "public.t",
                                .checksum = "c1",
                                .hi = "[100]"},
                        job;
    struct db_call call;
    static const struct {
        const char *status, *checksum;
        bool keeps;
    } cases[] = {{"running", "c1", true}, {"failed", "c1", true}, {"paused", "c1", true},
                 {"done", "c1", false},   {"void", "c1", false},  {"running", "c2", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        plan.checksum = "c1";
        assert_good(ledger_backfill_begin(db, &a, &plan, &job, &err), &err);
        ledger_backfill_cursor_call(&a, job.id, job.epoch, NULL, "[10]", 10, 7, &call);
        run_call(db, &call);
        ledger_backfill_status_call(&a, job.id, cases[i].status, &call);
        run_call(db, &call);
        plan.checksum = cases[i].checksum;
        plan.hi = "[200]";
        assert_good(ledger_backfill_begin(db, &a, &plan, &job, &err), &err);
        assert_text(job.cursor, cases[i].keeps ? "[10]" : NULL);
        assert_text(job.hi, cases[i].keeps ? "[100]" : "[200]");
        assert_int_equal(job.rows_done, cases[i].keeps ? 10 : 0);
        assert_int_equal(job.batches, cases[i].keeps ? 1 : 0);
        assert_int_equal(job.finished_at_ms, 0);
        assert_text(job.status, "running");
        assert_text(job.checksum, cases[i].checksum);
        plan.hi = "[100]";
        test_exec(db, "DELETE FROM phasegate.backfill_job");
    }
    db_close(db);
}

/* ---- who is in the way --------------------------------------------------------------------- */

static void test_lock_holders(void **state)
{
    struct db *db = test_ledger(*state), *other = test_open_url(*state, "shop/4.8.0", true);
    AUTO(arena) a = {0};
    AUTO(err) err = {0};
    struct lock_holder *list = NULL;
    int n = -1;
    test_exec(db, "CREATE TABLE public.\"T 1\" (a int)");
    assert_good(observe_lock_holders(db, &a, "public.\"T 1\"", &list, &n, &err), &err);
    assert_int_equal(n, 0);
    test_exec(other, "BEGIN");
    test_exec(other, "INSERT INTO public.\"T 1\" VALUES (1)");
    test_exec(other, "LOCK TABLE public.\"T 1\" IN SHARE ROW EXCLUSIVE MODE");
    assert_good(observe_lock_holders(db, &a, "public.\"T 1\"", &list, &n, &err), &err);
    assert_int_equal(n, 1);
    assert_int_equal(list[0].pid, db_backend_pid(other));
    assert_string_equal(list[0].application, "shop/4.8.0");
    assert_string_equal(list[0].mode, "SHARE ROW EXCLUSIVE");
    assert_string_equal(list[0].state, "idle in transaction");
    assert_has(list[0].query, "LOCK TABLE");
    assert_true(list[0].xact_age_ms >= list[0].query_age_ms && list[0].query_age_ms >= 0);

    /* Named after the process: prepared transactions belong to the whole cluster. */
    AUTO(str) prepare = {0};
    AUTO(str) undo = {0};
    AUTO(str) shown = {0};
    str_addf(&prepare, "PREPARE TRANSACTION 'two %ld'", (long) getpid());
    str_addf(&undo, "ROLLBACK PREPARED 'two %ld'", (long) getpid());
    str_addf(&shown, "prepared transaction two %ld", (long) getpid());
    test_exec(other, str_text(&prepare));
    assert_good(observe_lock_holders(db, &a, NULL, &list, &n, &err), &err);
    /* Before anything is asserted: what stays prepared keeps the database from being dropped. */
    test_exec(other, str_text(&undo));
    assert_int_equal(n, 1);
    assert_int_equal(list[0].pid, 0);
    assert_string_equal(list[0].application, str_text(&shown));
    assert_string_equal(list[0].state, "prepared");
    assert_good(observe_lock_holders(db, &a, "public.absent", &list, &n, &err), &err);
    assert_int_equal(n, 0);
    db_close(db);
    db_close(other);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, pgtest_setup, pgtest_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_newest_version_is_the_files),
        TEST(test_looking_writes_nothing),
        TEST(test_upgrade_once),
        TEST(test_everything_is_described),
        TEST(test_newer_is_refused),
        TEST(test_interrupted_upgrade),
        TEST(test_failed_upgrade),
        TEST(test_damaged),
        TEST(test_rights_to_make_it),
        TEST(test_rights_to_look),
        TEST(test_plan_state),
        TEST(test_all_stages_and_brakes),
        TEST(test_flag_changes),
        TEST(test_approvals),
        TEST(test_soft_drops),
        TEST(test_release_window),
        TEST(test_backfill),
        TEST(test_backfill_begins_again),
        TEST(test_lock_holders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A rehearsal as JSON: the command's answer, and what the ledger keeps. And whether a server may be rehearsed on. */
#include "rehearse/rehearse_int.h"

#include "sql_embedded.h"

static void texts(struct json_out *j, const char *key, const struct text_list *l)
{
    json_array_begin(j, key);
    for (int i = 0; i < l->n; i++)
        json_str(j, NULL, l->items[i].s);
    json_array_end(j);
}

static void task_json(struct json_out *j, const struct rehearse_task *t)
{
    json_object_begin(j, NULL);
    json_str(j, "task", t->id);
    json_str(j, "kind", t->kind);
    json_int(j, "ms", t->ms);
    json_str(j, "lock", t->lock);
    if (t->estimate_rows >= 0)
        json_int(j, "estimated_rows", t->estimate_rows);
    else
        json_put_null(j, "estimated_rows");
    json_int(j, "longest_wait_ms", t->waited_ms);
    json_object_end(j);
}

static void repeat_json(struct json_out *j, const struct rehearse_repeat *r)
{
    json_object_begin(j, NULL);
    json_str(j, "step", r->id);
    json_bool(j, "idempotent", r->is_same);
    texts(j, "changed", &r->left);
    json_object_end(j);
}

static void phase_json(struct json_out *j, const struct rehearse_phase *p)
{
    json_object_begin(j, NULL);
    json_str(j, "phase", phase_word(p->phase));
    json_str(j, "release", p->release);
    json_int(j, "ms", p->ms);
    json_int(j, "undo_ms", p->undo_ms);
    json_int(j, "again_ms", p->again_ms);
    json_int(j, "wal_bytes", p->wal_bytes);
    json_int(j, "growth_bytes", p->growth_bytes);
    json_array_begin(j, "tasks");
    for (int i = 0; i < p->n_tasks; i++)
        task_json(j, &p->tasks[i]);
    json_array_end(j);
    json_array_begin(j, "run_twice");
    for (int i = 0; i < p->n_repeats; i++)
        repeat_json(j, &p->repeats[i]);
    json_array_end(j);
    json_object_begin(j, "undo");
    json_str(j, "verdict", rehearse_undo_word(p->undo));
    json_str(j, "why", p->undo_why);
    texts(j, "left", &p->left);
    texts(j, "stays_filled", &p->stays);
    json_object_end(j);
    json_object_end(j);
}

static void load_json(struct json_out *j, const struct rehearsal *r)
{
    json_object_begin(j, "load");
    json_int(j, "statements", r->load.n_statements);
    json_int(j, "requests", r->load.requests);
    json_int(j, "failed_requests", r->load.failed);
    json_int(j, "longest_ms", r->load.max_ms);
    json_array_begin(j, "failures");
    for (int i = 0; i < r->load.n_failures; i++) {
        const struct rehearse_failure *f = &r->load.failures[i];
        json_object_begin(j, NULL);
        json_int(j, "count", f->count);
        json_str(j, "release", f->release);
        json_str(j, "statement", f->statement);
        json_str(j, "sqlstate", f->sqlstate);
        json_str(j, "message", f->message);
        json_str(j, "during", f->during);
        json_object_end(j);
    }
    json_array_end(j);
    texts(j, "never_ran", &r->load.idle);
    json_object_end(j);
}

static void kills_json(struct json_out *j, const struct rehearsal *r)
{
    json_object_begin(j, "kills");
    json_int(j, "wanted", r->kills.wanted);
    json_int(j, "made", r->kills.made);
    json_int(j, "seed", r->seed);
    json_str(j, "why", r->kills.why);
    json_array_begin(j, "elsewhere");
    for (int i = 0; i < r->kills.n_elsewhere; i++) {
        json_object_begin(j, NULL);
        json_str(j, "command", r->kills.elsewhere[i].command);
        json_int(j, "after_ms", r->kills.elsewhere[i].after_ms);
        texts(j, "left", &r->kills.elsewhere[i].left);
        json_object_end(j);
    }
    json_array_end(j);
    json_object_end(j);
}

static void tests_json(struct json_out *j, const struct rehearsal *r)
{
    json_array_begin(j, "tests");
    for (int i = 0; i < r->n_tests; i++) {
        json_object_begin(j, NULL);
        json_str(j, "test", r->tests[i].id);
        json_bool(j, "passed", r->tests[i].left.n == 0);
        texts(j, "found", &r->tests[i].left);
        json_object_end(j);
    }
    json_array_end(j);
    json_str(j, "tests_not_run", r->tests_why);
}

static void rows_json(struct json_out *j, const struct rehearsal *r)
{
    json_array_begin(j, "rows");
    for (int i = 0; i < r->n_rows; i++) {
        json_object_begin(j, NULL);
        json_str(j, "table", r->rows[i].table);
        json_int(j, "before", r->rows[i].before);
        json_int(j, "after", r->rows[i].after);
        json_object_end(j);
    }
    json_array_end(j);
    json_array_begin(j, "few_rows");
    for (int i = 0; i < r->n_filled; i++) {
        if (!r->filled[i].why)
            continue;
        json_object_begin(j, NULL);
        json_str(j, "table", r->filled[i].table);
        json_int(j, "rows", r->filled[i].rows);
        json_str(j, "why", r->filled[i].why);
        json_object_end(j);
    }
    json_array_end(j);
}

void rehearse_json(struct json_out *j, const struct rehearsal *r)
{
    json_bool(j, "green", rehearse_is_green(r));
    json_str(j, "on", r->is_clone ? "clone" : "own server");
    json_str(j, "postgres", r->server);
    json_int(j, "ms", r->ms);
    json_array_begin(j, "phases");
    for (int i = 0; i < r->n_phases; i++)
        phase_json(j, &r->phases[i]);
    json_array_end(j);
    texts(j, "between", &r->between);
    json_object_begin(j, "way_back");
    json_bool(j, "whole", r->went_back);
    json_str(j, "why", r->chain_why);
    texts(j, "left", &r->chain_left);
    json_object_end(j);
    load_json(j, r);
    kills_json(j, r);
    tests_json(j, r);
    rows_json(j, r);
    json_int(j, "gates_not_measured", r->n_gates);
    texts(j, "problems", &r->problems);
}

/* A physical copy has the identifier of what it was copied from, and a start of its own. */
bool rehearse_differs(struct db *clone, struct db *environment, const char *name, struct err *err)
{
    AUTO(arena) a = {0};
    struct db_rows x = {0}, y = {0};
    AUTO(err) ignored = {0};

    if (!db_query(clone, &a, sql_select_rehearsal_server, &DB_NO_PARAMS, &x, err))
        return err_note(err, "the clone");
    if (*db_cell(&x, 0, 2) == 't')
        return err_set(err, ERR_REFUSED, "the clone is a standby: nothing can be changed there") ||
               err_reason(err, "read_only");
    if (!environment ||
        !db_query(environment, &a, sql_select_rehearsal_server, &DB_NO_PARAMS, &y, &ignored) ||
        strcmp(db_cell(&x, 0, 0), db_cell(&y, 0, 0)) != 0 ||
        strcmp(db_cell(&x, 0, 1), db_cell(&y, 0, 1)) != 0)
        return true;
    err_set(err, ERR_REFUSED,
            "the clone is on the server of environment %s (system identifier %s): a rehearsal "
            "changes what it runs on",
            name, db_cell(&x, 0, 0));
    err_hint(err, "give a copy on a server of its own, or leave --clone out: then a throwaway "
                  "server is started");
    return err_reason(err, "production");
}

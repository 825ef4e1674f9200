/* Where each plan stands. */
#include "rows.h"

/* In the order of upsert_plan_state.sql, which is the order of select_plan_states.sql. */
void ledger_plan_state_call(struct arena *a, const struct plan_state *s, struct db_call *out)
{
    call_begin(out, sql_upsert_plan_state);
    call_text(out, s->plan);
    call_text(out, stage_word(s->stage));
    call_time(a, out, s->stage_since_ms);
    call_text(out, brake_word(s->brake));
    call_text(out, s->brake_reason);
    call_text(out, s->brake_by);
    call_time(a, out, s->brake_since_ms);
    call_text(out, s->task);
    call_text(out, s->waiting_for);
    call_text(out, s->waiting_holder);
    call_text(out, s->waiting_release);
    call_time(a, out, s->waiting_since_ms);
    call_time(a, out, s->waiting_until_ms);
    call_int(a, out, s->percent[FLAG_READ]);
    call_int(a, out, s->percent[FLAG_WRITE]);
    call_time(a, out, s->rung_confirmed_ms);
    call_bool(out, s->verified);
    call_bool(out, s->first_write_rung);
    for (int p = PHASE_FIRST; p <= PHASE_LAST; p++)
        call_text(out, s->release[p]);
    call_text(out, s->checksum);
    call_time(a, out, s->hold_until_ms);
    call_int(a, out, s->rows_done);
}

void ledger_plan_brake_call(struct arena *a, const struct plan_state *s, struct db_call *out)
{
    call_begin(out, sql_upsert_plan_brake);
    call_text(out, s->plan);
    call_text(out, brake_word(s->brake));
    call_text(out, s->brake_reason);
    call_text(out, s->brake_by);
    call_time(a, out, s->brake_since_ms);
}

static bool read_plan_state(struct reader *r, struct plan_state *out, struct err *err)
{
    struct plan_state s = {.exists = true};
    s.plan = read_text(r);
    const char *stage = read_text(r);
    s.stage_since_ms = read_int(r);
    const char *brake = read_text(r);
    s.brake_reason = read_text(r);
    s.brake_by = read_text(r);
    s.brake_since_ms = read_int(r);
    s.task = read_text(r);
    s.waiting_for = read_text(r);
    s.waiting_holder = read_text(r);
    s.waiting_release = read_text(r);
    s.waiting_since_ms = read_int(r);
    s.waiting_until_ms = read_int(r);
    s.percent[FLAG_READ] = (int) read_int(r);
    s.percent[FLAG_WRITE] = (int) read_int(r);
    s.rung_confirmed_ms = read_int(r);
    s.verified = read_bool(r);
    s.first_write_rung = read_bool(r);
    for (int p = PHASE_FIRST; p <= PHASE_LAST; p++)
        s.release[p] = read_text(r);
    s.checksum = read_text(r);
    s.hold_until_ms = read_int(r);
    s.rows_done = read_int(r);

    /* The words are text in the table: a hand or another version may have written one we don't
     * know. To guess what has been done would be worse than to stop. */
    bool is_known = stage_from_word(stage, &s.stage) && brake_from_word(brake, &s.brake);
    if (!is_known) {
        err_set(err, ERR_REFUSED,
                "plan %s stands at \"%s\", brake \"%s\": this program doesn't know that", s.plan,
                stage, brake);
        err_reason(err, "ledger_damaged");
        return err_hint(
            err,
            "Stages and brakes that it knows: phasegate show machine. What was recorded: "
            "phasegate history %s",
            s.plan);
    }
    *out = s;
    return true;
}

static bool states_query(struct db *db, struct arena *a, const char *plan_or_null,
                         struct plan_state **out, int *out_n, struct err *err)
{
    struct db_call call;
    struct db_rows rows = {0};
    call_begin(&call, sql_select_plan_states);
    call_text(&call, plan_or_null);
    if (!ledger_read(db, a, call.sql, &call.params, &rows, err))
        return false;

    struct plan_state *list = arena_array(a, struct plan_state, rows.n_rows);
    for (int i = 0; i < rows.n_rows; i++)
        if (!read_plan_state(&(struct reader) {&rows, i, 0}, &list[i], err))
            return false;
    *out = list;
    *out_n = rows.n_rows;
    return true;
}

bool ledger_plan_state(struct db *db, struct arena *a, const char *plan, struct plan_state *out,
                       struct err *err)
{
    struct plan_state *list;
    int n;
    if (!states_query(db, a, plan, &list, &n, err))
        return false;
    *out = n > 0 ? list[0]
                 : (struct plan_state) {.plan = plan, .stage = STAGE_PLANNED, .brake = BRAKE_NONE};
    return true;
}

bool ledger_plan_states(struct db *db, struct arena *a, struct plan_state **out, int *out_n,
                        struct err *err)
{
    return states_query(db, a, NULL, out, out_n, err);
}

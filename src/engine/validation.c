/* The checklist of a plan: values before the first phase, what they are now, and whether that is accepted. */
#include "phasegate/validation.h"
#include "phasegate/json_out.h"

#include "internal.h"

#include <jansson.h>
#include <stdlib.h>

const char *validation_verdict_word(enum validation_verdict v)
{
    static const char *const words[] = {"open", "holds", "fails"};

    return words[v];
}

bool validation_is_due(const struct work *w)
{
    return w->state.stage == STAGE_CONTRACT_DONE || w->state.stage == STAGE_PURGING ||
           w->state.stage == STAGE_PURGED;
}

static const char *kind_of(const struct validation *v)
{
    return v->sql.s ? "sql" : v->probe.s ? "probe" : v->gate.s ? "gate" : "manual";
}

/* What the server says against a query is an answer; that it is gone, or we are to stop, isn't. */
static bool is_over(const struct err *e)
{
    return err_is(e, ERR_CONNECTION_LOST) || err_is(e, ERR_INTERRUPTED);
}

/* One value of now. *why: why there is none. */
static bool value_now(struct work *w, const struct validation *v, bool before, const char **value,
                      const char **why, struct err *err)
{
    AUTO(err) bad = {0};
    bool ok = v->sql.s ? ask_value(w->e, w->a, v->sql.s, 0, value, &bad)
                       : probe_value(w, v, before, value, why, &bad);

    if (ok) {
        if (!*value && !*why)
            *why = "the query gives no value";
        return true;
    }
    if (is_over(&bad)) {
        err_move(err, &bad);
        return false;
    }
    *value = NULL;
    *why = arena_strdup(w->a, str_text(&bad.message));
    return true;
}

/* ---- before the first phase ---------------------------------------------------------------------------------- */

static bool no_value_before(const struct work *w, const struct validation *v, const char *why,
                            struct err *err)
{
    err_set(err, ERR_REFUSED,
            "%s is to be unchanged, and has no value before the first phase: %s (%s:%d:%d)",
            v->id.s, why, v->at.file, v->at.line, v->at.col);
    err_detail(err, "Nothing was begun.");
    err_hint(err, "mend the item, then the same command; to see its value now: phasegate verify %s",
             w->p->id.s);
    return err_reason(err, "validation");
}

bool validation_before(struct work *w, struct err *err)
{
    const struct plan *p = w->p;
    AUTO(str) detail = {0};
    struct json_out j;
    int n = 0;

    json_begin(&j, &detail, false);
    json_object_begin(&j, NULL);
    json_array_begin(&j, "items");
    for (int i = 0; i < p->n_validation; i++) {
        const struct validation *v = &p->validation[i];
        const char *value = NULL, *why = NULL;

        if (!v->sql.s && !v->probe.s)
            continue;
        if (!value_now(w, v, true, &value, &why, err))
            return err_note(err, "validation %s", v->id.s);
        if (!value && v->expect.op == COND_UNCHANGED)
            return no_value_before(w, v, why, err);
        json_object_begin(&j, NULL);
        json_str(&j, "id", v->id.s);
        json_str(&j, "checksum", v->checksum);
        json_str(&j, "value", value);
        json_str(&j, "why", why);
        json_object_end(&j);
        n++;
    }
    json_array_end(&j);
    json_object_end(&j);
    if (n == 0)
        return true;
    struct history_row *r = history_new(w, "before", NULL, "note");
    r->checksum = p->validation_checksum;
    r->description = arena_printf(w->a, "values before the first phase: %d", n);
    r->detail = str_text(&detail);
    return ledger_history_append(w->e->db, r, err);
}

bool validation_foresee(struct work *w, struct decision *d, struct err *err)
{
    for (int i = 0; i < w->p->n_validation; i++) {
        const struct validation *v = &w->p->validation[i];
        const char *value = NULL, *why = NULL;

        if (v->expect.op != COND_UNCHANGED || (!v->sql.s && !v->probe.s))
            continue;
        if (!value_now(w, v, true, &value, &why, err))
            return err_note(err, "validation %s", v->id.s);
        if (value || d->n_refusals == GUARD_COUNT + 1)
            continue;
        d->refusals[d->n_refusals++] = (struct refusal) {.reason = "validation"};
        fact_no(&d->refusals[d->n_refusals - 1].fact,
                arena_printf(
                    w->a, "%s is to be unchanged, and has no value before the first phase: %s (%s)",
                    v->id.s, why, pos_text(w->a, v->at)),
                "mend the item, then the same command");
        d->go = false;
    }
    return true;
}

/* ---- what the journal says ------------------------------------------------------------------------------------- */

/* The entry of an item in a row, as the item reads now; a new reference, NULL: there is none. */
static json_t *entry_of(const struct validation_row *r, const struct validation *v)
{
    json_t *d = r->detail ? json_loads(r->detail, 0, NULL) : NULL, *e = NULL, *found = NULL;
    size_t i;

    json_array_foreach(json_object_get(d, "items"), i, e)
    {
        const char *id = json_string_value(json_object_get(e, "id"));
        const char *sum = json_string_value(json_object_get(e, "checksum"));
        if (id && sum && strcmp(id, v->id.s) == 0 && strcmp(sum, v->checksum) == 0)
            found = json_incref(e);
    }
    json_decref(d);
    return found;
}

struct said { /* all rows of the plan, oldest first */
    const struct validation_row *rows;
    int n;
};

/* A rollback to the very start takes them again: the newest row is of what begins now. */
static const char *value_before(struct arena *a, const struct said *s, const struct validation *v)
{
    const char *value = NULL;

    for (int i = s->n - 1; i >= 0; i--) {
        if (strcmp(s->rows[i].kind, "before") != 0)
            continue;
        json_t *e = entry_of(&s->rows[i], v);
        const char *text = json_string_value(json_object_get(e, "value"));
        value = text ? arena_strdup(a, text) : NULL;
        json_decref(e);
        break;
    }
    return value;
}

/* ---- a gate over time -------------------------------------------------------------------------------------------- */

/* Readings further apart than this prove nothing of the time between. */
static int64_t longest_gap(const struct validation *v, const struct gate *g)
{
    int64_t tenth = v->for_ms / 10, twice = 2 * g->interval_ms;

    return tenth > twice ? tenth : twice;
}

struct streak {                /* of good readings without a break */
    int64_t since_ms, last_ms; /* 0: there is none */
};

static void streak_add(struct streak *s, const char *reading, int64_t at_ms, int64_t gap)
{
    if (strcmp(reading, "pass") == 0) {
        if (!s->since_ms || at_ms - s->last_ms > gap)
            s->since_ms = at_ms;
        s->last_ms = at_ms;
    } else if (strcmp(reading, "fail") == 0)
        *s = (struct streak) {0};
}

static struct streak streak_of(const struct said *s, const struct validation *v, int64_t gap)
{
    struct streak out = {0};

    for (int i = 0; i < s->n; i++) {
        if (s->rows[i].is_void || strcmp(s->rows[i].kind, "validation") != 0)
            continue;
        json_t *e = entry_of(&s->rows[i], v);
        const char *reading = json_string_value(json_object_get(e, "reading"));
        if (reading)
            streak_add(&out, reading, s->rows[i].at_ms, gap);
        json_decref(e);
    }
    return out;
}

static const char *reading_word(const struct gate *g, enum gate_verdict v)
{
    if (v == GATE_NO_DATA && g->no_data != NO_DATA_HOLD)
        v = g->no_data == NO_DATA_PASS ? GATE_PASS : GATE_FAIL;
    return v == GATE_PASS ? "pass" : v == GATE_FAIL ? "fail" : "no data";
}

static void wait_for_time(struct work *w, struct validation_item *it, const struct streak *s,
                          int64_t gap)
{
    const struct validation *v = it->v;
    AUTO(str) span = {0}, apart = {0};
    char until[25];

    if (s->since_ms && now_ms(w->e) - s->since_ms >= v->for_ms)
        return;
    it->verdict = VALIDATION_OPEN;
    time_to_rfc3339((s->since_ms ? s->since_ms : now_ms(w->e)) + v->for_ms, until);
    duration_to_text(&span, v->for_ms);
    duration_to_text(&apart, gap);
    it->why = arena_printf(w->a, "has to pass for %s: until %s, looked at every %s at least",
                           str_text(&span), until, str_text(&apart));
    it->next = arena_printf(w->a, "phasegate verify %s", w->p->id.s);
}

static bool measure_gate(struct work *w, const struct said *s, struct validation_item *it,
                         const char **reading, struct err *err)
{
    const struct gate *g = plan_gate(w->p, it->v->gate.s);
    struct gate_reading r = {0};
    enum phase phase = newest_phase(w->p, w->state.stage);
    AUTO(err) bad = {0};

    if (!gate_measure(w->e, w->p, phase, g, w->a, &r, &bad)) {
        if (is_over(&bad)) {
            err_move(err, &bad);
            return false;
        }
        r = (struct gate_reading) {.verdict = GATE_NO_DATA,
                                   .detail = arena_strdup(w->a, str_text(&bad.message))};
    }
    *reading = reading_word(g, r.verdict);
    it->value = r.value;
    it->verdict = strcmp(*reading, "pass") == 0   ? VALIDATION_HOLDS
                  : strcmp(*reading, "fail") == 0 ? VALIDATION_FAILS
                                                  : VALIDATION_OPEN;
    if (it->verdict != VALIDATION_HOLDS) {
        it->why = r.detail;
        return true;
    }
    if (it->v->for_ms > 0 && validation_is_due(w)) {
        int64_t gap = longest_gap(it->v, g);
        struct streak streak = streak_of(s, it->v, gap);
        streak_add(&streak, *reading, now_ms(w->e), gap);
        wait_for_time(w, it, &streak, gap);
    }
    return true;
}

/* ---- one item ------------------------------------------------------------------------------------------------------ */

static bool measure_value(struct work *w, struct validation_item *it, struct err *err)
{
    const struct cond *c = &it->v->expect;
    const char *why = NULL;

    if (!value_now(w, it->v, false, &it->value, &why, err))
        return err_note(err, "validation %s", it->v->id.s);
    if (it->value && cond_holds(c, it->value, it->before))
        it->verdict = VALIDATION_HOLDS;
    else if (!it->value)
        it->why = why;
    else if (c->op != COND_UNCHANGED)
        it->why = arena_printf(w->a, "expected %s%s%s", cond_op_word(c->op), c->value ? " " : "",
                               c->value ? c->value : "");
    else if (it->before)
        it->why = arena_printf(w->a, "was %s before the first phase", it->before);
    else {
        it->verdict = VALIDATION_OPEN;
        it->why = w->state.stage == STAGE_PLANNED
                      ? "the value of before is recorded when the first phase begins"
                      : "there is no value from before the first phase: the item was added or "
                        "edited since; compare by hand, and make it a manual one";
    }
    return true;
}

static void look_for_signature(struct work *w, const struct said *s, struct validation_item *it)
{
    struct signed_thing t = {.step = it->v->id.s, .checksum = it->v->checksum};
    struct signatures g = signatures_of(&w->e->policy, s->rows, s->n, &t);
    const struct validation_row *r = g.refused ? g.refused : g.given;

    it->value = it->v->manual.s;
    it->verdict = g.refused ? VALIDATION_FAILS : g.given ? VALIDATION_HOLDS : VALIDATION_OPEN;
    if (r) {
        it->by = r->by;
        it->at_ms = r->at_ms;
    }
    if (it->verdict == VALIDATION_HOLDS)
        return;
    it->why =
        g.refused ? arena_printf(w->a, "%s; who refused lifts it", r->description) : "isn't signed";
    it->next = arena_printf(w->a, "phasegate verify %s --sign %s", w->p->id.s, it->v->id.s);
}

/* ---- all of them ----------------------------------------------------------------------------------------------------- */

static void put_item(struct json_out *j, const struct validation_item *it, const char *reading)
{
    json_object_begin(j, NULL);
    json_str(j, "id", it->v->id.s);
    json_str(j, "kind", it->kind);
    json_str(j, "checksum", it->v->checksum);
    json_str(j, "verdict", validation_verdict_word(it->verdict));
    json_str(j, "reading", reading);
    json_str(j, "value", it->value);
    json_str(j, "before", it->before);
    json_str(j, "why", it->why);
    json_str(j, "by", it->by);
    json_object_end(j);
}

static bool measure_all(struct work *w, const struct said *s, struct validation_report *out,
                        struct json_out *j, struct err *err)
{
    for (int i = 0; i < out->n; i++) {
        struct validation_item *it = &out->items[i];
        const char *reading = NULL;
        bool ok = true;

        *it = (struct validation_item) {.v = &w->p->validation[i],
                                        .kind = kind_of(&w->p->validation[i]),
                                        .verdict = VALIDATION_FAILS};
        it->before = value_before(w->a, s, it->v);
        if (it->v->manual.s)
            look_for_signature(w, s, it);
        else if (it->v->gate.s)
            ok = measure_gate(w, s, it, &reading, err);
        else
            ok = measure_value(w, it, err);
        if (!ok)
            return false;
        out->n_open += it->verdict == VALIDATION_OPEN;
        out->n_failed += it->verdict == VALIDATION_FAILS;
        put_item(j, it, validation_is_due(w) ? reading : NULL);
    }
    return true;
}

/* What was found is a row of the journal; that all of it held makes it the acceptance. */
static bool record_report(struct work *w, struct validation_report *out, const char *detail,
                          struct err *err)
{
    int held = out->n - out->n_open - out->n_failed;
    bool all = out->is_due && held == out->n;
    struct history_row *r = history_new(w, "validation", NULL, "note");

    if (out->signed_by)
        r->applied_by = out->signed_by;
    r->checksum = w->p->validation_checksum;
    r->detail = detail;
    r->description =
        arena_printf(w->a, "%s%d of %d items hold", all ? "accepted: " : "", held, out->n);
    if (!ledger_history_append(w->e->db, r, err))
        return false;
    if (all && !out->accepted) {
        out->accepted_by = r->applied_by;
        out->accepted_at_ms = r->applied_at_ms;
        milestone_accepted(w, r->applied_by);
    }
    /* What was accepted, and doesn't hold any more, is open again. */
    out->accepted = all;
    return true;
}

static bool says_accepted(const struct validation_row *r)
{
    json_t *d = r->detail ? json_loads(r->detail, 0, NULL) : NULL;
    bool is = json_is_true(json_object_get(d, "accepted"));

    json_decref(d);
    return is;
}

static bool is_acceptance(const struct validation_row *r, const struct plan *p)
{
    return !r->is_void && strcmp(r->kind, "validation") == 0 && r->checksum &&
           strcmp(r->checksum, p->validation_checksum) == 0 && says_accepted(r);
}

/* Since when each reading was a yes: the first of the newest ones that are. */
static const struct validation_row *acceptance(const struct said *s, const struct plan *p)
{
    const struct validation_row *since = NULL;

    for (int i = 0; i < s->n; i++)
        if (strcmp(s->rows[i].kind, "validation") == 0)
            since = !is_acceptance(&s->rows[i], p) ? NULL : since ? since : &s->rows[i];
    return since;
}

bool engine_validate(struct engine *e, struct plan *p, const struct validation_options *o,
                     struct arena *a, struct validation_report *out, struct err *err)
{
    struct work w = {.e = e, .p = p, .a = a};
    struct validation_row *rows = NULL;
    AUTO(str) detail = {0};
    struct json_out j;
    struct said said = {0};

    memset(out, 0, sizeof *out);
    if (!e->facts(e->set, p, err))
        return false;
    w.state.plan = p->id.s;
    if (e->has_ledger && !work_reload(&w, err))
        return false;
    w.phase = stage_phase(w.state.stage);
    if (o->sign && !validation_sign_first(&w, o, &out->signed_by, err))
        return false;
    if (e->has_ledger && !ledger_validations(e->db, a, p->id.s, &rows, &said.n, err))
        return false;
    said.rows = rows;
    out->n = p->n_validation;
    out->items = arena_array(a, struct validation_item, out->n + 1);
    out->is_due = validation_is_due(&w);
    const struct validation_row *since = acceptance(&said, p);
    if (since) {
        out->accepted = true;
        out->accepted_by = since->by;
        out->accepted_at_ms = since->at_ms;
    }
    json_begin(&j, &detail, false);
    json_object_begin(&j, NULL);
    json_array_begin(&j, "items");
    if (!measure_all(&w, &said, out, &j, err))
        return false;
    json_array_end(&j);
    json_bool(&j, "accepted", out->is_due && out->n_open + out->n_failed == 0);
    json_object_end(&j);
    /* Before it began there is nothing to compare with, and perhaps no ledger. */
    if (out->n == 0 || !e->has_ledger || !w.state.exists)
        return true;
    return record_report(&w, out, arena_strdup(a, str_text(&detail)), err);
}

/* ---- status ------------------------------------------------------------------------------------------------------------ */

bool validation_look(struct work *w, struct checklist *out, struct err *err)
{
    const struct plan *p = w->p;
    struct validation_row *rows = NULL;
    struct said s = {0};
    const struct validation_row *newest = NULL;

    *out = (struct checklist) {.n = p->n_validation, .is_due = validation_is_due(w)};
    if (!out->n || !out->is_due)
        return true;
    if (!ledger_validations(w->e->db, w->a, p->id.s, &rows, &s.n, err))
        return false;
    s.rows = rows;
    for (int i = 0; i < s.n; i++)
        if (!rows[i].is_void && strcmp(rows[i].kind, "validation") == 0)
            newest = &rows[i];
    const struct validation_row *since = acceptance(&s, p);
    if (since) {
        out->accepted = true;
        out->accepted_by = since->by;
        out->accepted_at_ms = since->at_ms;
        return true;
    }
    out->open.items = arena_array(w->a, struct text, out->n);
    for (int i = 0; i < out->n; i++) {
        json_t *e = newest ? entry_of(newest, &p->validation[i]) : NULL;
        const char *verdict = json_string_value(json_object_get(e, "verdict"));
        if (!verdict || strcmp(verdict, "holds") != 0)
            out->open.items[out->open.n++] = p->validation[i].id;
        json_decref(e);
    }
    return true;
}

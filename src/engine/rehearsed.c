/* Was the plan rehearsed as it reads now, with nothing found, and lately? */
#include "internal.h"

#include "phasegate/rehearsal_ops.h"

/* A sentence on what is missing; NULL: nothing. *done false: there is none at all. */
static bool missing(struct engine *e, const struct plan *p, struct arena *a, int64_t max_age_ms,
                    struct rehearsal_row *r, const char **what, struct err *err)
{
    AUTO(str) age = {0}, limit = {0};

    *what = NULL;
    if (e->has_ledger && !ledger_rehearsal(e->db, a, p->id.s, p->checksum, r, err))
        return false;
    duration_to_text(&age, r->age_ms - r->age_ms % 1000);
    duration_to_text(&limit, max_age_ms);
    if (!r->exists)
        *what = arena_printf(a, "plan %s wasn't rehearsed as it reads now (checksum %.12s)",
                             p->id.s, p->checksum);
    else if (!r->green)
        *what = arena_printf(a, "its newest rehearsal, %s ago, found %lld problem%s",
                             str_text(&age), (long long) r->problems, r->problems == 1 ? "" : "s");
    else if (max_age_ms > 0 && r->age_ms > max_age_ms)
        *what = arena_printf(a, "its newest rehearsal is %s old, and %s is the limit",
                             str_text(&age), str_text(&limit));
    return true;
}

bool rehearsal_look(struct work *w, struct fact *f, struct err *err)
{
    struct rehearsal_row r = {0};
    const char *what = NULL;

    fact_yes(f);
    if (w->e->policy.rehearsal_max_age_ms <= 0)
        return true;
    if (!missing(w->e, w->p, w->a, w->e->policy.rehearsal_max_age_ms, &r, &what, err))
        return false;
    if (!what)
        return true;
    fact_no(f, what,
            arena_printf(w->a, "phasegate -e %s rehearse %s", w->e->env->name.s, w->p->id.s));
    f->holder = r.by;
    f->since_ms = r.at_ms;
    return true;
}

bool rehearsal_measure(struct engine *e, const struct plan *p, const struct gate *g,
                       struct arena *a, struct gate_reading *out, struct err *err)
{
    struct rehearsal_row r = {0};
    const char *what = NULL;
    int64_t age = g->max_age_ms != MODEL_UNSET ? g->max_age_ms : e->policy.rehearsal_max_age_ms;

    if (!missing(e, p, a, age, &r, &what, err))
        return false;
    out->verdict = !r.exists ? GATE_NO_DATA : what ? GATE_FAIL : GATE_PASS;
    out->value = r.exists ? (r.green ? "green" : "red") : NULL;
    out->detail = what ? what : "rehearsed, and nothing was found";
    return true;
}

bool engine_rehearsed(struct engine *e, struct plan *p, const struct rehearsal_row *row,
                      const char *report, struct err *err)
{
    static const struct advance_options none;
    AUTO(arena) a = {0};
    AUTO(err) ignored = {0};
    struct work w;

    bool ok = work_open(&w, e, p, &none, &a, err) && ledger_rehearsal_add(e->db, row, report, err);
    if (db_is_usable(e->db))
        (void) !lease_release(e->db, &ignored);
    return ok || err_note(err, "recording the rehearsal in environment %s", e->env->name.s);
}

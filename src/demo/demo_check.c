/* demo_check: is the end what was promised? */
#include "demo/demo_int.h"

#include <inttypes.h>
#include <string.h>

/* accounts, when the old column is gone and the new one is all there is */
#define COLUMNS                                                                                    \
    "id integer, customer_id integer, opened_at timestamp with time zone, balance_big bigint"

void demo_problem(struct demo *d, const char *fmt, ...)
{
    va_list ap;

    if (d->f->n_problems == DEMO_PROBLEMS)
        return;
    va_start(ap, fmt);
    d->f->problems[d->f->n_problems++] = arena_vprintf(d->a, fmt, ap);
    va_end(ap);
}

static bool ask(struct demo *d, const char *sql, const char **out, struct err *err)
{
    struct db_rows rows = {0};

    if (!db_query(d->db, d->a, sql, &DB_NO_PARAMS, &rows, err))
        return false;
    *out = rows.n_rows > 0 && db_cell(&rows, 0, 0) ? db_cell(&rows, 0, 0) : "";
    return true;
}

static bool check_table(struct demo *d, struct err *err)
{
    const char *nulls = NULL, *triggers = NULL;

    if (!ask(d,
             "SELECT pg_catalog.string_agg(attname || ' ' || pg_catalog.format_type(atttypid, "
             "atttypmod), ', ' ORDER BY attnum) FROM pg_catalog.pg_attribute WHERE attrelid = "
             "'public.accounts'::pg_catalog.regclass AND attnum > 0 AND NOT attisdropped",
             &d->f->columns, err) ||
        !ask(d, "SELECT pg_catalog.count(*) FROM public.accounts WHERE balance_big IS NULL", &nulls,
             err) ||
        !ask(d,
             "SELECT pg_catalog.count(*) FROM pg_catalog.pg_trigger WHERE tgrelid = "
             "'public.accounts'::pg_catalog.regclass AND NOT tgisinternal",
             &triggers, err))
        return false;
    if (strcmp(d->f->columns, COLUMNS) != 0)
        demo_problem(d, "the columns of accounts are: %s", d->f->columns);
    if (strcmp(nulls, "0") != 0)
        demo_problem(d, "%s accounts have no balance_big", nulls);
    if (strcmp(triggers, "0") != 0)
        demo_problem(d, "%s triggers were left on accounts", triggers);
    return true;
}

static bool check_ledger(struct demo *d, struct err *err)
{
    struct plan_state state = {0};
    const char *broken = NULL;

    if (!ledger_plan_state(d->db, d->a, d->plan->id.s, &state, err) ||
        !ledger_history_verify(d->db, d->a, &d->f->journal_rows, &d->f->journal_ok, &broken, err))
        return false;
    d->f->stage = stage_word(state.stage);
    if (state.stage != STAGE_PURGED)
        demo_problem(d, "the plan is at \"%s\" and not purged", d->f->stage);
    if (!d->f->journal_ok)
        demo_problem(d, "the journal's hash chain is broken: %s", broken ? broken : "");
    return true;
}

bool demo_check_end(struct demo *d, struct err *err)
{
    return check_table(d, err) && check_ledger(d, err);
}

void demo_check_traffic(struct demo *d, const struct app_sim_stats *last)
{
    struct demo_figures *f = d->f;

    f->requests = last->requests;
    f->failed = last->failed;
    f->max_us = last->max_us;
    for (int i = 0; i < last->n_failures && i < DEMO_FAILURES; i++) {
        const struct app_sim_failure *x = &last->failures[i];

        f->failures[f->n_failures++] =
            (struct demo_failure) {.sqlstate = arena_strdup(d->a, x->sqlstate),
                                   .release = arena_strdup(d->a, x->release),
                                   .statement = arena_strdup(d->a, x->statement),
                                   .message = arena_strdup(d->a, x->message),
                                   .count = x->count};
    }
    if (f->failed > 0)
        demo_problem(d, "%" PRId64 " of %" PRId64 " requests failed", f->failed, f->requests);
    if (f->requests == 0)
        demo_problem(d, "there was no traffic");
}

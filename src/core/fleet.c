/* Who of a fleet goes when. Pure. */
#include "phasegate/fleet.h"
#include "phasegate/names.h"

#include <stdlib.h>
#include <string.h>

static int member_count(const struct environment *e)
{
    int n = 0;

    for (int i = 0; i < e->n_databases; i++)
        n += database_is_fleet(&e->databases[i]) ? e->databases[i].urls.n : 1;
    return n;
}

const struct environment *fleet_members(struct arena *a, const struct environment *e)
{
    struct environment *out;

    if (member_count(e) == e->n_databases) {
        bool none = true;
        for (int i = 0; i < e->n_databases; i++)
            none = none && !database_is_fleet(&e->databases[i]);
        if (none)
            return e;
    }
    out = arena_new(a, struct environment);
    *out = *e;
    out->databases = arena_array(a, struct database_decl, member_count(e) + 1);
    out->n_databases = 0;
    for (int i = 0; i < e->n_databases; i++) {
        const struct database_decl *d = &e->databases[i];

        if (!database_is_fleet(d))
            out->databases[out->n_databases++] = *d;
        for (int k = 0; k < d->urls.n; k++)
            out->databases[out->n_databases++] =
                (struct database_decl) {.name = {.s = arena_printf(a, "%s/%d", d->name.s, k + 1),
                                                 .at = d->urls.items[k].at},
                                        .url = d->urls.items[k],
                                        .parallel = MODEL_UNSET,
                                        .at = d->at,
                                        .fleet = d};
    }
    return out;
}

/* "25%" of 10 is 3: a wave that moved nobody would be none. */
static int wave_size(const char *text, int n)
{
    double percent;

    if (!percent_from_text(text, &percent)) {
        long count = strtol(text, NULL, 10);
        return count < n ? (int) count : n;
    }
    double part = n * percent / 100;
    int whole = (int) part;
    return whole < part ? whole + 1 : whole;
}

int fleet_through(const struct database_decl *fleet, int wave, int n)
{
    int through = 0;

    if (wave >= fleet->waves.n)
        return n;
    for (int i = 0; i <= wave; i++) {
        int size = wave_size(fleet->waves.items[i].s, n);
        through = size > through ? size : through;
    }
    return through < n ? through : n;
}

int fleet_parallel(const struct database_decl *fleet)
{
    return fleet->parallel == MODEL_UNSET || fleet->parallel < 1 ? FLEET_PARALLEL
                                                                 : (int) fleet->parallel;
}

/* Phases that are absent are passed over by whoever comes to them. */
static int phases_done(const struct plan *p, enum stage s)
{
    int n = 0;

    for (int i = PHASE_FIRST; i <= PHASE_LAST; i++)
        n += p->phases[i].present && stage_has_finished(s, (enum phase) i);
    return n;
}

bool fleet_whose_turn(const struct plan *p, const enum stage *stages, int n, bool back, bool *out)
{
    int low = PHASE_SLOTS + 1, high = 0;
    enum phase newest = PHASE_NONE;

    for (int i = 0; i < n; i++) {
        int done = phases_done(p, stages[i]);
        low = done < low ? done : low;
        high = done > high ? done : high;
        newest = stage_phase(stages[i]) > newest ? stage_phase(stages[i]) : newest;
    }
    for (int i = 0; i < n; i++)
        out[i] = back ? stage_phase(stages[i]) == newest : phases_done(p, stages[i]) == low;
    return high - low <= 1;
}

/* What stopped halfway goes before what couldn't be asked, and that before every no: see docs/fleets.md. */
static int rank(int code)
{
    static const int order[] = {0, 1, 2, 4, 6, 3, 5};

    for (int i = 0; i < (int) (sizeof order / sizeof order[0]); i++)
        if (order[i] == code)
            return i;
    return code == 7 ? 1000 : 100; /* interrupted is what all of them are then */
}

int fleet_graver(int a, int b) { return rank(b) > rank(a) ? b : a; }

/* The place: a database, a file of flags, and the plan without what waits for people and services. */
#include "rehearse/rehearse_int.h"

#include "phasegate/pg_local.h"
#include "sql_embedded.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define BASELINE CHECK_BASELINE
#define TEMPLATE "rehearsal"

uint32_t stage_random(struct scene *s, uint32_t below)
{
    /* xorshift64*: the same kills for the same seed, on every machine. */
    s->random ^= s->random >> 12;
    s->random ^= s->random << 25;
    s->random ^= s->random >> 27;
    return below ? (uint32_t) ((s->random * UINT64_C(0x2545F4914F6CDD1D)) >> 32) % below : 0;
}

bool stage_db(struct scene *s, bool writable, struct db **out, struct err *err)
{
    struct ports *p = s->o->ports;

    return p->db_open(p, s->url, "rehearsal", writable, out, err) ||
           err_note(err, "%s", s->o->clone_url ? "the clone" : "the rehearsal's own server");
}

bool stage_sizes(struct scene *s, int64_t *bytes, int64_t *wal, struct err *err)
{
    struct db_rows rows = {0};
    struct db *db = NULL;

    if (!stage_db(s, false, &db, err))
        return false;
    bool ok = db_query(db, s->a, sql_select_rehearsal_sizes, &DB_NO_PARAMS, &rows, err);
    db_close(db);
    if (!ok)
        return false;
    *bytes = strtoll(db_cell(&rows, 0, 0), NULL, 10);
    *wal = strtoll(db_cell(&rows, 0, 1), NULL, 10);
    return true;
}

/* ---- the plan ------------------------------------------------------------------------------------------ */

/* Waits, people and services outside are left out; what runs on the database stays, with its checksums. */
static void take_waits_out(struct scene *s, struct plan *p)
{
    for (int i = PHASE_FIRST; i <= PHASE_LAST; i++) {
        struct phase_plan *ph = &p->phases[i];
        struct rung *rungs = arena_array(s->a, struct rung, ph->rollout.n + 1);

        for (int k = 0; k < ph->rollout.n; k++) {
            rungs[k] = ph->rollout.items[k];
            rungs[k].pause_ms = 0;
        }
        ph->rollout.items = rungs;
        s->out->n_gates += ph->gates.n;
        ph->gates = (struct text_list) {0};
        ph->hold_ms = 0;
    }
    p->runbook.n_go = p->runbook.n_no_go = 0;
}

static void take_plans(struct scene *s)
{
    struct plan_set *set = s->o->set;

    s->set = *set;
    s->set.plans = arena_array(s->a, struct plan, set->n_plans + 1);
    s->set.by_id = s->set.undoers = NULL;
    memcpy(s->set.plans, set->plans, sizeof *set->plans * (size_t) set->n_plans);
    s->plan = *s->o->plan;
    take_waits_out(s, &s->plan);
    for (int i = 0; i < set->n_plans; i++)
        if (strcmp(set->plans[i].id.s, s->plan.id.s) == 0)
            s->set.plans[i] = s->plan;
}

/* Nobody has to approve, no hour is wrong, and the way back is open. */
static void make_policy(struct scene *s)
{
    s->policy = policy_effective(&s->set.project, NULL);
    for (int i = 0; i < PHASE_SLOTS; i++)
        s->policy.approvals[i] = 0;
    s->policy.maintenance_window = (struct text) {0};
    s->policy.kill_drill_ms = s->policy.rehearsal_max_age_ms = s->policy.hold_ms = 0;
    s->policy.forward_only = 0;
    s->policy.proof = PROOF_OFF;
    if (!s->o->clone_url)
        s->policy.preflight = PREFLIGHT_OFF; /* of rows that are made up it would tell nothing */
}

/* Roles of the releases: whose rights are a part of the schema. */
static bool find_roles(struct scene *s, struct err *err)
{
    AUTO(problem_list) problems = {0};

    return check_roles(&s->set.project, s->a, &s->roles, &problems, err);
}

static bool make_folder(struct scene *s, struct err *err)
{
    const char *parent = s->o->ports->host->ops->env(s->o->ports->host, "TMPDIR");
    char *made =
        arena_printf(s->a, "%s/phasegate-rehearsal.XXXXXX", parent && *parent ? parent : "/tmp");

    if (!mkdtemp(made))
        return err_set(err, ERR_UNREACHABLE, "%s: %s", made, strerror(errno));
    s->folder = made;
    s->flags = (struct flag_service) {.provider = flag_provider_find("file"),
                                      .path = arena_printf(s->a, "%s/flags.json", made),
                                      .propagation_ms = 1,
                                      .shown = "the rehearsal's own file"};
    s->env = (struct environment) {.name = {.s = "rehearsal"}};
    return true;
}

/* ---- the database -------------------------------------------------------------------------------------------- */

static bool use(struct scene *s, const char *url, struct err *err)
{
    struct db_rows rows = {0};
    struct db *db = NULL;

    s->url = url;
    if (!db_variables(url, s->a, &s->variables, err) || !stage_db(s, false, &db, err))
        return false;
    int version = db_server_version(db);
    bool ok = db_query(db, s->a, sql_select_rehearsal_path, &DB_NO_PARAMS, &rows, err);
    db_close(db);
    if (!ok)
        return false;
    s->search_path = rows.n_rows && db_cell(&rows, 0, 0) ? db_cell(&rows, 0, 0) : "";
    s->out->server = arena_printf(s->a, "%d.%d", version / 10000, version % 10000);
    return true;
}

/* What the flags' file and the journal say belongs to the database before. */
static void forget_flags(struct scene *s)
{
    pg_local_remove(arena_printf(s->a, "%s/state", s->folder));
    unlink(s->flags.path);
}

bool stage_reset(struct scene *s, struct err *err)
{
    const char *last = arena_printf(s->a, "rehearsal_%d", s->n_databases);
    const char *next = arena_printf(s->a, "rehearsal_%d", s->n_databases + 1), *url = NULL;

    if (s->n_databases > 0 && !shadow_drop(s->o->shadow, last, err))
        return false;
    s->n_databases++;
    forget_flags(s);
    return shadow_database(s->o->shadow, next, TEMPLATE, err) &&
           shadow_url(s->o->shadow, s->a, next, &url, err) && use(s, url, err);
}

/* A plan that this one builds on: as far as it has to be. */
static bool run_before(struct scene *s, const struct plan_dep *d, int depth, struct err *err)
{
    struct plan *p = NULL;

    for (int i = 0; i < s->set.n_plans; i++)
        if (strcmp(s->set.plans[i].id.s, d->plan.s) == 0)
            p = &s->set.plans[i];
    if (!p || depth > 32)
        return true; /* plan_set_load has said so */
    if (!s->o->facts(s->o->set, &s->o->set->plans[p - s->set.plans], err))
        return false;
    *p = s->o->set->plans[p - s->set.plans];
    take_waits_out(s, p);
    for (int i = 0; i < p->n_depends_on; i++)
        if (!run_before(s, &p->depends_on[i], depth + 1, err))
            return false;
    for (int i = PHASE_FIRST; i <= (int) d->phase; i++) {
        struct command c = {COMMAND_ADVANCE, p, (enum phase) i, false};
        struct command_answer answer = {0};
        if (!p->phases[i].present)
            continue;
        if (!command_run(s, &c, &answer, err))
            return false;
        if (!answer.ok) {
            err_set(err, ERR_NO, "plan %s, which %s depends on, can't be run before it: %s",
                    p->id.s, s->plan.id.s, answer.message);
            return err_hint(err, "phasegate rehearse %s", p->id.s);
        }
    }
    return true;
}

static bool run_all_before(struct scene *s, struct err *err)
{
    const char *url = NULL;

    if (!s->plan.n_depends_on)
        return true;
    if (!shadow_url(s->o->shadow, s->a, TEMPLATE, &url, err) || !use(s, url, err))
        return false;
    int gates = s->out->n_gates;
    for (int i = 0; i < s->plan.n_depends_on; i++)
        if (!run_before(s, &s->plan.depends_on[i], 0, err))
            return false;
    s->out->n_gates = gates;
    return true;
}

static bool make_database(struct scene *s, struct err *err)
{
    const struct text *baseline = &s->set.project.baseline;
    struct shadow *shadow = s->o->shadow;

    return shadow_ready(shadow, err) && shadow_database(shadow, BASELINE, NULL, err) &&
           (!baseline->s || shadow_load(shadow, BASELINE, s->set.project.root, baseline->s, err)) &&
           shadow_database(shadow, TEMPLATE, BASELINE, err) &&
           check_fill(s->o->set, s->o->plan, shadow, TEMPLATE, s->o->rows, s->a, &s->out->filled,
                      &s->out->n_filled, err) &&
           run_all_before(s, err) && stage_reset(s, err);
}

bool stage_open(struct scene *s, struct err *err)
{
    s->random = (uint64_t) s->o->seed * UINT64_C(0x9E3779B97F4A7C15) | 1;
    s->out->seed = s->o->seed;
    s->out->is_clone = s->o->clone_url != NULL;
    take_plans(s);
    make_policy(s);
    if (!make_folder(s, err) || !find_roles(s, err))
        return false;
    return s->o->clone_url ? use(s, s->o->clone_url, err) : make_database(s, err);
}

void stage_close(struct scene *s)
{
    if (s->folder)
        pg_local_remove(s->folder);
}

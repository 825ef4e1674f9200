/* The place: a database, a file of flags, and the plan without what waits for people and services. */
#include "rehearse/rehearse_int.h"

#include "phasegate/pg_local.h"
#include "sql_embedded.h"

#include <stdlib.h>
#include <unistd.h>

#define BASELINE CHECK_BASELINE
#define TEMPLATE "rehearsal"

uint32_t stage_random(struct scene *s, uint32_t below)
{
    /* xorshift64*. Its share of the range and not its rest: the same seed kills a slow machine's commands at the same
     * part of their way as a fast one's. */
    s->random ^= s->random >> 12;
    s->random ^= s->random << 25;
    s->random ^= s->random >> 27;
    return (uint32_t) (((s->random * UINT64_C(0x2545F4914F6CDD1D)) >> 32) * below >> 32);
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
    p->n_validation = 0; /* of what is in production */
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

/* Nobody has to approve, and no hour is wrong. What has no lossless way back has none here either. */
static void make_policy(struct scene *s)
{
    s->policy = policy_effective(&s->set.project, NULL);
    for (int i = 0; i < PHASE_SLOTS; i++)
        s->policy.approvals[i] = 0;
    s->policy.approvals_purge = 0;
    s->policy.maintenance_window = (struct text) {0};
    s->policy.kill_drill_ms = s->policy.rehearsal_max_age_ms = s->policy.hold_ms = 0;
    s->policy.forward_only = 1;
    s->policy.proof = PROOF_OFF;
    s->policy.restore_point = POINT_OFF; /* nobody takes a backup of a throwaway server */
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
    AUTO(str) path = {0};

    pg_local_clean(NULL); /* on a clone no server of our own is started, which would do it */
    if (!pg_local_folder_make(&path, &s->lock_fd, err))
        return false;
    const char *made = arena_strdup(s->a, str_text(&path));
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

bool stage_aside(struct scene *s, const char *name, bool is_empty, struct aside *out,
                 struct err *err)
{
    const char *url = NULL;

    *out = (struct aside) {s->url, s->search_path, s->folder, s->flags.path, name, s->variables};
    s->folder = arena_printf(s->a, "%s/%s", out->folder, name);
    s->flags.path = arena_printf(s->a, "%s.json", s->folder);
    forget_flags(s);
    return shadow_database(s->o->shadow, name, is_empty ? BASELINE : TEMPLATE, err) &&
           shadow_url(s->o->shadow, s->a, name, &url, err) && use(s, url, err);
}

bool stage_away(struct scene *s, const struct aside *from, struct err *err)
{
    s->url = from->url;
    s->search_path = from->search_path;
    s->folder = from->folder;
    s->flags.path = from->flags_path;
    s->variables = from->variables;
    return shadow_drop(s->o->shadow, from->name, err);
}

/* Phases of plans that this one builds on. */
struct earlier_list {
    struct between *items;
    int n;
};

static struct plan *own_plan(struct scene *s, const char *id)
{
    for (int i = 0; i < s->set.n_plans; i++)
        if (strcmp(s->set.plans[i].id.s, id) == 0)
            return &s->set.plans[i];
    return NULL;
}

static bool is_listed(const struct earlier_list *l, const struct plan *p, enum phase phase)
{
    for (int i = 0; i < l->n; i++)
        if (l->items[i].plan == p && l->items[i].phase == phase)
            return true;
    return false;
}

/* Whole, like the plan itself. */
static bool make_whole(struct scene *s, struct plan *p, struct err *err)
{
    struct plan *from = &s->o->set->plans[p - s->set.plans];

    if (!s->o->facts(s->o->set, from, err))
        return false;
    *p = *from;
    take_waits_out(s, p);
    return true;
}

static bool list_earlier(struct scene *s, const struct plan_dep *d, struct earlier_list *l,
                         struct err *err)
{
    struct plan *p = own_plan(s, d->plan.s);

    if (!p || is_listed(l, p, d->phase))
        return true;
    if (!make_whole(s, p, err))
        return false;
    for (int i = PHASE_FIRST; i <= (int) d->phase; i++) {
        if (!p->phases[i].present || is_listed(l, p, (enum phase) i))
            continue;
        l->items = arena_more(s->a, l->items, sizeof *l->items, l->n);
        l->items[l->n++] = (struct between) {p, (enum phase) i};
    }
    for (int i = 0; i < p->n_depends_on; i++)
        if (!list_earlier(s, &p->depends_on[i], l, err))
            return false;
    return true;
}

/* As their releases came, and in one release by their timestamps. */
static bool comes_after(const struct scene *s, const struct between *x, const struct between *y)
{
    int order = release_compare(&s->set.project, x->plan->phases[x->phase].release.s,
                                y->plan->phases[y->phase].release.s);

    return order > 0 || (order == 0 && x->plan->time > y->plan->time);
}

bool stage_comes_before(const struct scene *s, const struct between *b, enum phase phase)
{
    return comes_after(s, &(struct between) {&s->plan, phase}, b);
}

static void sort_by_release(const struct scene *s, struct between *l, int n)
{
    for (int i = 1; i < n; i++)
        for (int k = i; k > 0 && comes_after(s, &l[k - 1], &l[k]); k--) {
            struct between x = l[k];
            l[k] = l[k - 1];
            l[k - 1] = x;
        }
}

/* Those plans don't stand still where this one needs them: their next releases come before its last. */
static void list_between(struct scene *s, const struct earlier_list *l)
{
    enum phase last = PHASE_LAST;

    while (last > PHASE_FIRST && !s->plan.phases[last].present)
        last--;
    for (int i = 0; i < l->n; i++)
        for (int ph = PHASE_FIRST; ph <= PHASE_LAST; ph++) {
            struct between b = {l->items[i].plan, (enum phase) ph};
            bool known = !b.plan->phases[ph].present || is_listed(l, l->items[i].plan, b.phase);

            for (int k = 0; k < s->n_between; k++)
                known |= s->between[k].plan == b.plan && s->between[k].phase == b.phase;
            if (known || !stage_comes_before(s, &b, last))
                continue;
            s->between = arena_more(s->a, s->between, sizeof *s->between, s->n_between);
            s->between[s->n_between++] = b;
        }
    sort_by_release(s, s->between, s->n_between);
}

static bool run_earlier(struct scene *s, const struct between *e, struct err *err)
{
    struct command c = {COMMAND_AGAIN, e->plan, e->phase, false};
    struct command_answer answer = {0};

    if (!command_run(s, &c, &answer, err))
        return false;
    if (answer.ok)
        return true;
    err_set(err, ERR_NO, "plan %s, which %s depends on, can't be run before it: %s", e->plan->id.s,
            s->plan.id.s, answer.message);
    return err_hint(err, "phasegate rehearse %s", e->plan->id.s);
}

static bool run_all_before(struct scene *s, struct err *err)
{
    struct earlier_list l = {0};
    const char *url = NULL;
    int gates = s->out->n_gates;

    if (!s->plan.n_depends_on)
        return true;
    if (!shadow_url(s->o->shadow, s->a, TEMPLATE, &url, err) || !use(s, url, err))
        return false;
    for (int i = 0; i < s->plan.n_depends_on; i++)
        if (!list_earlier(s, &s->plan.depends_on[i], &l, err))
            return false;
    s->out->n_gates = gates;
    sort_by_release(s, l.items, l.n);
    list_between(s, &l);
    for (int i = 0; i < l.n; i++)
        if (!run_earlier(s, &l.items[i], err))
            return false;
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
    if (!s->folder)
        return;
    pg_local_remove(s->folder);
    close(s->lock_fd);
}

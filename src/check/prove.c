/* The proof: the timeline, state by state, on the shadow. */
#include "check/blame.h"

void proof_close(struct proof *p)
{
    cache_end(p);
    sessions_close(p);
    wire_close(p->root);
    wire_close(p->owner);
    wire_close(p->seeder);
    arena_free(&p->catalogues[0]);
    arena_free(&p->catalogues[1]);
}

static bool load_baseline(struct proof *p, struct err *err)
{
    const struct text *baseline = &p->set->project.baseline;

    if (!shadow_database(p->shadow, CHECK_BASELINE, NULL, err))
        return false;
    if (p->o->baseline_from)
        return shadow_load_from(p->shadow, CHECK_BASELINE, p->o->baseline_from, err);
    return !baseline->s ||
           shadow_load(p->shadow, CHECK_BASELINE, p->set->project.root, baseline->s, err);
}

/* On a server of the user's some of a baseline has to be left out. */
static void note_left_out(struct proof *p)
{
    const struct shadow_left_out *all;
    int n = shadow_left_out(p->shadow, &all);

    for (int i = 0; i < n; i++) {
        struct pos at = {arena_strdup(p->a, all[i].file), all[i].line, 1};
        struct finding *f = report_add(p->report, "cell-untested", at, "%s", all[i].what);

        f->severity = SEVERITY_NOTE;
        f->help = "only a superuser could make it, and nothing would confine it on a server of "
                  "yours: without --shadow it is made";
    }
}

/* The state of the database in which a phase of a plan begins; -1: it doesn't. A phase that only raises flags
 * begins where its release was rolled out. */
static int begins_in(const struct proof *p, int plan, enum phase phase, bool is_purge)
{
    int release = timeline_release_index(&p->t, p->t.plans[plan]->phases[phase].release.s);

    for (int s = 1; s < p->t.n_states; s++) {
        const struct timeline_state *t = &p->t.states[s];
        if (t->by == STATE_TASK && t->plan == plan && t->phase == phase && t->is_purge == is_purge)
            return t->from;
    }
    for (int i = 0; !is_purge && i < p->t.n_worlds; i++)
        if (p->t.worlds[i].release == release && p->t.worlds[i].kind == WORLD_FLAGS)
            return p->t.worlds[i].state;
    return -1;
}

static void note_begins(struct proof *p)
{
    p->begins = arena_array(p->a, bool, p->t.n_states);
    for (int i = 0; !p->o->next && i < p->t.n_plans; i++)
        for (int ph = PHASE_FIRST; ph <= PHASE_LAST + 1; ph++) {
            bool is_purge = ph > PHASE_LAST;
            enum phase phase = is_purge ? PHASE_CONTRACT : (enum phase) ph;
            int s = p->t.plans[i]->phases[phase].present ? begins_in(p, i, phase, is_purge) : -1;

            if (s >= 0)
                p->begins[s] = true;
        }
}

/* A state that is come to again, or one that looks like another, is there. */
static void note_schema(struct proof *p, const struct schema_sums *schema)
{
    struct report *r = p->report;

    for (int i = 0; i < r->n_schemas; i++)
        if (strcmp(r->schemas[i].catalogue, schema->catalogue) == 0)
            return;
    r->schemas = arena_grow(p->a, r->schemas, sizeof *r->schemas * (size_t) r->n_schemas,
                            sizeof *r->schemas * (size_t) (r->n_schemas + 1));
    r->schemas[r->n_schemas++] = *schema;
}

/* All of it only where a phase begins: nobody compares the others. */
static bool note_shape(struct proof *p, int state, struct err *err)
{
    struct schema_sums schema;
    struct parts parts;

    p->shapes[state] = print_hex(p->a, cat_shape(&p->now));
    if (!p->begins[state])
        return true;
    if (!parts_of_state(p, state, p->a, &parts, err))
        return false;
    schema_sums_of(p->a, &p->now, &parts, &schema);
    p->shapes[state] = schema.catalogue;
    note_schema(p, &schema);
    return true;
}

static bool replay_all(struct proof *p, struct err *err)
{
    for (int s = 0; s < p->t.n_states; s++) {
        if (!replay_to(p, s, err))
            return false;
        app_settle(p);
        p->entering = 0;
        cache_state(p, s);
        if (!probe_state(p, s, err) || !carried_state(p, s, err) || !note_shape(p, s, err))
            return false;
        int since = p->report->n;
        once_state(p, s);
        silent_state(p, s);
        left_behind_state(p, s);
        if (!unique_state(p, s, err) || !resolve_state(p, s, err) ||
            !first_defaults_state(p, s, err) || !answers_state(p, s, since, err) ||
            !returned_state(p, s, err) || !children_state(p, s, err) ||
            !left_reading_state(p, s, err))
            return false;
        if (!writes_probe(p, s, err) || !verify_state(p, s, err))
            return false;
    }
    return true;
}

static void note_proof(struct proof *p, int plan, enum phase phase, bool is_purge)
{
    const struct plan *of = p->t.plans[plan];
    int state = of->phases[phase].present ? begins_in(p, plan, phase, is_purge) : -1;

    if (state >= 0)
        p->report->proofs[p->report->n_proofs++] =
            (struct proved) {of->id.s,
                             is_purge ? "purge" : phase_word(phase),
                             of->phase_checksum[phase],
                             p->shapes[state],
                             print_hex(p->a, p->statements_print),
                             check_policy_print(&p->set->project, p->a),
                             p->o->window};
}

static void note_proofs(struct proof *p)
{
    p->report->proofs = arena_array(p->a, struct proved, p->t.n_plans * (PHASE_SLOTS + 1) + 1);
    for (int i = 0; i < p->t.n_plans; i++) {
        for (int ph = PHASE_FIRST; ph <= PHASE_LAST; ph++)
            note_proof(p, i, (enum phase) ph, false);
        note_proof(p, i, PHASE_CONTRACT, true);
    }
}

/* again: an attempt before this one ended in the middle. */
static bool prove_once(struct proof *p, bool is_first, int *n_loaded, bool *again,
                       struct timeline *t, struct problem_list *problems, struct err *err)
{
    const struct check_options *o = p->o;
    struct timeline_options to = {.window = o->window};
    struct report *out = p->report;

    if (o->next)
        timeline_build_next(p->a, p->set, &to, o->next, &p->t);
    else
        timeline_build(p->a, p->set, &to, &p->t);
    p->broken = arena_array(p->a, bool, p->t.n_states);
    p->endless = arena_array(p->a, bool, p->t.n_states);
    p->told = arena_array(p->a, bool, p->t.n_states);
    p->in_place = arena_array(p->a, bool, p->t.n_states);
    p->forgot = arena_array(p->a, bool, p->t.n_states);
    p->told_unique = arena_array(p->a, bool, p->t.n_states);
    cache_begin(p);
    bool ok = app_load(p, problems, err);
    /* What loading tells of was told the first time. */
    if (is_first)
        *n_loaded = out->n;
    out->n = *n_loaded;
    p->shapes = arena_array(p->a, const char *, p->t.n_states);
    note_begins(p);
    p->rows_print = arena_array(p->a, uint64_t, p->t.n_states);
    p->stale = arena_array(p->a, bool, p->n_app + 1);
    if (ok)
        cache_read_ahead(p);
    ok = ok && shadow_ready(p->shadow, err);
    cache_of_server(p);
    ok = ok && (!is_first || load_baseline(p, err)) && replay_all(p, err);
    if (ok) {
        note_left_out(p);
        ok = before_ask(p, err);
    }
    if (ok) {
        int v = shadow_server_version(p->shadow);
        /* Its end takes as long as the rest of this. */
        if (o->leaves_shadow)
            shadow_leave(p->shadow);
        /* What was cut short isn't what it would be another time. */
        if (p->losses->n == 0 && !shadow_is_late(p->shadow))
            cache_write(p);
        verdict_all(p);
        verify_report(p);
        lost_report(p);
        note_proofs(p);
        out->server_version = arena_printf(p->a, "%d.%d", v / 10000, v % 10000);
        out->summary.plans = p->t.n_plans;
        out->summary.releases = p->t.n_releases;
        out->summary.worlds = p->t.n_worlds;
        *t = p->t;
    }
    app_settle(p);
    *again = !ok && (p->is_short || lost_again(p, err));
    if (!ok && !*again && lost_gives_up(p, err)) {
        *t = p->t;
        ok = true;
    }
    if (p->is_short)
        err_clear(err);
    proof_close(p);
    return ok;
}

bool check_prove(const struct plan_set *set, const struct check_options *o, struct report *out,
                 struct timeline *t, struct problem_list *problems, struct err *err)
{
    AUTO(arena) scratch = {0};
    struct losses losses = {.n = 0};
    struct check_options once = *o;
    const char *database = NULL;
    int n_loaded = 0;
    bool ok = false, is_first = true, opens_all = false;

    for (bool again = true; again; arena_reset(&scratch)) {
        struct proof p = {.set = set,
                          .o = &once,
                          .report = out,
                          .a = &out->arena,
                          .scratch = &scratch,
                          .shadow = o->shadow,
                          .losses = &losses,
                          .opens_all = opens_all,
                          .origin = CHECK_BASELINE,
                          .database = database};

        ok = prove_once(&p, is_first, &n_loaded, &again, t, problems, err);
        database = p.database;
        opens_all |= p.is_short;
        is_first = false;
        once.suppressions = NULL; /* were read */
    }
    return ok;
}

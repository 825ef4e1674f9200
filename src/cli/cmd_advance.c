/* advance: the next phase of one plan, or of every plan that a release allows. */
#include "fleet.h"

static bool dry_run(struct proving *k, struct engine *e, struct plan *p,
                    const struct advance_options *o, struct err *err)
{
    struct context *c = k->c;
    struct dry_run d = {0};
    struct advance_options then = *o;

    then.before = k->before;
    then.n_before = k->n_before;
    if (!engine_dry_run(e, p, EVENT_ADVANCE, &then, &c->arena, &d, err))
        return false;
    bool good = proving_foresee(k, e, p, EVENT_ADVANCE, &then, &d, err);
    if (out_is_json(&c->out))
        dry_run_json(out_json(&c->out), NULL, p, EVENT_ADVANCE, &d);
    show_dry_run(c, p, EVENT_ADVANCE, &d);
    if (!d.decision.go)
        c->exit_code = 4;
    return good;
}

static bool proved(struct proving *k, struct engine *e, struct plan *p, struct advance_options o,
                   struct made_proof *made, struct advance_result *r, struct err *err)
{
    memset(r, 0, sizeof *r);
    if (!prove_transition(k, e, p, EVENT_ADVANCE, &o, made, err))
        return false;
    o.proof = &made->proof;
    return engine_advance(e, p, &o, &k->c->arena, r, err);
}

/* Only contracts with steps that can't be hidden first ask for the plan's name. */
static bool advance_one(struct proving *k, struct engine *e, struct plan *p,
                        struct advance_options o, struct err *err)
{
    struct context *c = k->c;
    struct advance_result r;
    struct made_proof made;
    bool good = proved(k, e, p, o, &made, &r, err);

    if (!good && err->reason && strcmp(err->reason, guard_word(GUARD_CONFIRMED)) == 0 &&
        !o.confirm) {
        o.confirm = ask_plan_name(c, p, str_text(&err->message));
        if (o.confirm) {
            err_clear(err);
            good = proved(k, e, p, o, &made, &r, err);
        }
    }
    if (out_is_json(&c->out) && (good || r.decision.n_refusals))
        advance_json(out_json(&c->out), NULL, p, &r, &made);
    if (!good)
        return false;
    show_advance(c, p, &r);
    if (r.proof && strcmp(r.proof, "none") == 0)
        out_say(&c->out, "no proof was made: no release lists statements");
    if (r.proof && strcmp(r.proof, "off") == 0)
        out_say(&c->out, "no proof was made: policy.proof is off");
    return true;
}

static bool one(struct proving *k, struct plan *p, const struct advance_options *o, struct err *err)
{
    struct context *c = k->c;
    struct engine *e;

    if (!context_engine(c, p, &e, err) || !plan_set_fill(&c->set, p, err) ||
        !fleet_takes(c, p, err) || !engine_beside_spared(e, p, &c->arena, err))
        return false;
    return opt_has(c, OPT_DRY_RUN) ? dry_run(k, e, p, o, err) : advance_one(k, e, p, *o, err);
}

/* --all with --database: only the plans of this one. */
static bool is_elsewhere(struct context *c, const struct plan *p)
{
    AUTO(err) ignored = {0};
    const char *only = opt_text(c, OPT_DATABASE);

    if (!only)
        return false;
    const struct database_decl *d = context_database_of(c, p, &ignored);
    return !d || strcmp(d->name.s, only) != 0;
}

/* Which plans have a phase for this release? In order: what others depend on comes first. For one that may not run any
 * more nothing is begun in any database. */
static bool choose(struct context *c, const char *release, struct plan **out, int *out_n,
                   struct err *err)
{
    const struct engine *asked = NULL;
    const struct plan **order = arena_array(&c->arena, const struct plan *, c->set.n_plans + 1);
    AUTO(arena) one = {0};

    plan_set_order(&c->set, order);
    for (int i = 0; i < c->set.n_plans; i++, arena_reset(&one)) {
        struct plan *p = &c->set.plans[order[i] - c->set.plans], room, *whole;
        struct plan_status s = {0};
        struct engine *e;

        if (is_elsewhere(c, p))
            continue;
        if (context_fleet_of(c, p) && !opt_has(c, OPT_DATABASE)) {
            err_set(
                err, ERR_USAGE,
                "advance --all: plan %s goes to the fleet %s, and a fleet is advanced by itself",
                p->id.s, context_fleet_of(c, p)->name.s);
            return err_hint(err,
                            "phasegate advance %s --release %s; then --all with --database for "
                            "each of the others",
                            p->id.s, release);
        }
        if (!context_engine(c, p, &e, err) ||
            (e != asked && !engine_in_window(e, release, &one, err)) ||
            !(whole = context_read_plan(&c->set, p, &one, &room, err)) ||
            !engine_status(e, whole, false, &one, &s, err))
            return false;
        asked = e;
        if (s.next_phase && s.next_release &&
            release_compare(&c->set.project, s.next_release, release) == 0)
            out[(*out_n)++] = p;
    }
    return true;
}

static bool all(struct proving *k, const struct advance_options *o, struct err *err)
{
    struct context *c = k->c;
    struct plan **plans = arena_array(&c->arena, struct plan *, c->set.n_plans + 1);
    int n = 0;

    if (!o->release) {
        err_set(err, ERR_USAGE, "advance --all: which release? Give --release");
        return err_hint(err, "phasegate advance --all --release V");
    }
    if (!choose(c, o->release, plans, &n, err))
        return false;
    if (n == 0) {
        out_print(&c->out, "up to date: no plan has a phase for release %s\n", o->release);
        return true;
    }
    out_say(&c->out, "%d outstanding %s to apply for release %s", n,
            n == 1 ? "migration" : "migrations", o->release);
    for (int i = 0; i < n; i++)
        if (!one(k, plans[i], o, err))
            return err_note(err, "plan %d of %d for release %s", i + 1, n, o->release);
    return true;
}

bool cmd_advance(struct context *c, struct err *err)
{
    struct advance_options o = advance_options_of(c);
    bool every = opt_has(c, OPT_ALL_PLANS), good;
    struct proving k;

    metrics_file_begin(c);
    if (every == (c->line.n_args > 0)) {
        err_set(err, ERR_USAGE,
                every ? "advance: a plan, or --all, and not both"
                      : "advance: which plan? Name one, or give --all");
        return err_hint(err, "phasegate advance PLAN --release V");
    }
    if (every && o.confirm) {
        err_set(err, ERR_USAGE, "advance: --confirm names one plan and doesn't go with --all");
        return err_hint(err, "phasegate advance PLAN --release V --confirm PLAN");
    }
    /* Which plans a release allows isn't known while one can't be read. */
    if (every && c->set.n_spared)
        return context_problems(c, err);
    context_warn_spared(c);
    if (!context_release_known(c, o.release, err))
        return false;
    if (out_is_json(&c->out))
        json_array_begin(out_json(&c->out), "plans");
    good = proving_begin(c, &k, err) && (every ? all(&k, &o, err) : one(&k, c->plans[0], &o, err));
    proving_end(&k);
    if (out_is_json(&c->out))
        json_array_end(out_json(&c->out));
    return good;
}

/* The proof that a transition asks for before it begins: the database as it is, the steps that are about to run, the
 * releases that may be live and the flags as they stand, on a shadow. */
#include "cli.h"

#include "phasegate/check.h"
#include "phasegate/report_out.h"
#include "phasegate/statements.h"

#include <jansson.h>
#include <stdlib.h>

/* ---- what there is to prove with ---------------------------------------------------------------------------- */

static bool count(struct proving *k, const struct release *r, struct err *err)
{
    struct context *c = k->c;
    struct statements s = {0};

    if (k->has_statements)
        return true;
    if (!statements_load_release(&c->arena, c->set.project.root, r, &s, &c->problems, err)) {
        if (c->problems.n)
            context_show_problems(c, &c->problems);
        return false;
    }
    k->has_statements = s.n > 0;
    return true;
}

static bool look_for_statements(struct proving *k, struct err *err)
{
    const struct project *p = &k->c->set.project;

    for (int i = 0; i < p->n_releases; i++)
        if (!count(k, &p->releases[i], err))
            return false;
    for (int i = 0; i < p->n_consumers; i++)
        if (!count(k, &p->consumers[i], err))
            return false;
    return true;
}

/* Begun before the database is asked: starting it takes most of what a proof takes. It ends with the proof: the
 * transition itself may take hours. */
static void begin_shadow(struct proving *k)
{
    struct context *c = k->c;
    struct shadow_options o = {.url = opt_has(c, OPT_SHADOW)
                                          ? opt_text(c, OPT_SHADOW)
                                          : c->host->ops->env(c->host, "PHASEGATE_SHADOW"),
                               .cache = cache_folder(c, &c->arena),
                               .clock = c->clock,
                               .interrupt = c->ports.interrupt};

    err_clear(&k->shadow_err);
    (void) !shadow_begin(&o, &k->shadow, &k->shadow_err);
}

bool proving_begin(struct context *c, struct proving *out, struct err *err)
{
    *out = (struct proving) {.c = c,
                             .policy = policy_effective(&c->set.project, c->env).proof,
                             .file = opt_text(c, OPT_PROOF)};
    /* A file that is named counts, whether or not there is something to prove: a slip is seen at once. */
    if (out->file)
        return proof_is_readable(c, out->file, err);
    if (out->policy == PROOF_OFF)
        return true;
    if (!look_for_statements(out, err))
        return false;
    if (out->has_statements)
        begin_shadow(out);
    return true;
}

static void end_shadow(struct proving *k)
{
    shadow_end(k->shadow);
    k->shadow = NULL;
}

void proving_end(struct proving *k)
{
    end_shadow(k);
    err_clear(&k->shadow_err);
}

/* ---- what would begin ------------------------------------------------------------------------------------------ */

struct beginning {
    struct plan *plan;
    enum phase_event event;
    enum phase phase;
    const char *release, *word; /* word: of the phase, "purge" */
};

static const char *release_of(const struct plan *p, enum phase_event ev,
                              const struct advance_options *o)
{
    return ev == EVENT_PURGE ? p->phases[PHASE_CONTRACT].release.s : o->release;
}

/* out->phase NONE: nothing begins, or what would is refused. */
static bool look(struct engine *e, struct beginning *t, const struct advance_options *o,
                 struct arena *a, struct err *err)
{
    struct advance_options glance = *o;
    struct plan_state state = {0};
    struct world world;
    struct decision d;

    glance.glance = true;
    if (!engine_observe(e, t->plan, t->event, &glance, a, &state, &world, err))
        return false;
    phase_decide(&world, t->event, &d);
    if (stage_is_running(world.stage) || !d.go)
        return true;
    t->phase = t->event == EVENT_PURGE ? PHASE_CONTRACT : stage_next_phase(world.stage);
    t->word = t->event == EVENT_PURGE ? "purge" : phase_word(t->phase);
    t->release = release_of(t->plan, t->event, o);
    return true;
}

/* ---- releases without statements -------------------------------------------------------------------------------- */

static bool is_live(const struct actual *now, const char *version)
{
    for (int i = 0; now && i < now->n_live; i++)
        if (strcmp(now->live[i], version) == 0)
            return true;
    return false;
}

/* Of those that may be live once it has begun; NULL: each has some. now NULL: nobody looked. */
static const char *without_statements(const struct proving *k, const char *release, int64_t window,
                                      const struct actual *now)
{
    const struct project *p = &k->c->set.project;
    int at = project_release_index(p, release);

    if (at < 0 || p->releases[at].statements.n == 0)
        return release;
    for (int i = 0; i < p->n_releases; i++)
        if (p->releases[i].statements.n == 0 &&
            ((i < at && at - i <= window) || is_live(now, p->releases[i].version.s)))
            return p->releases[i].version.s;
    return NULL;
}

static const char *missing_text(struct context *c, const char *missing, const char *release)
{
    return strcmp(missing, release) == 0
               ? arena_printf(&c->arena,
                              "release %s has no statements: what it runs can't be proved", missing)
               : arena_printf(&c->arena,
                              "release %s, which may be live beside %s, has no statements: what it "
                              "runs can't be proved",
                              missing, release);
}

static const char *missing_hint(struct context *c, const char *missing)
{
    return arena_printf(&c->arena,
                        "list its files in %s (statements:); phasegate capture --release %s "
                        "gathers them where it runs",
                        c->set.project.file, missing);
}

static const char nothing_to_prove_with[] =
    "policy.proof is required, and no release of the project lists statements";
static const char nothing_hint[] =
    "phasegate capture --release V gathers them from the database; or policy: {proof: auto}";

static bool refuse(struct err *err, const struct beginning *t, const char *why, const char *hint)
{
    err_set(err, ERR_REFUSED, "%s of plan %s is refused: %s", t->word, t->plan->id.s, why);
    err_hint(err, "%s", hint);
    return err_reason(err, "proof");
}

/* ---- the proof --------------------------------------------------------------------------------------------------- */

/* Only the transition's own plan has to be without mistakes. */
static bool read_plans(struct context *c, const struct plan *p, struct err *err)
{
    for (int i = 0; i < c->set.n_plans; i++) {
        AUTO(problem_list) problems = {0};
        struct plan *other = &c->set.plans[i];

        if (!plan_set_fill(&c->set, other, err))
            return false;
        if (other->has_facts || plan_sql_facts(&c->set, other, &problems, err))
            continue;
        if (other == p || !err_is(err, ERR_INPUT))
            return false;
        err_clear(err);
    }
    return true;
}

/* What fails before the step and works after it fails in production already: the transition is what mends it. */
static void forgive_what_it_mends(struct report *r)
{
    for (int i = 0; i < r->n; i++)
        if (strcmp(r->findings[i].rule->id, "expand-after-code") == 0 &&
            r->findings[i].severity > SEVERITY_WARNING)
            r->findings[i].severity = SEVERITY_WARNING;
}

/* What is wrong with a comment is for check to say: here it set nothing aside, and that is all. */
static void settle(struct proving *k, struct engine *e, struct suppression_list *l,
                   struct report *r)
{
    static const char about_comments[] = "suppression-";
    struct context *c = k->c;
    int n = 0;

    for (int i = 0; i < c->set.n_plans; i++)
        suppress_read_plan(l, r, &c->set.project, &c->set.plans[i]);
    severities_apply(&e->policy, r);
    forgive_what_it_mends(r);
    suppress_apply(l, &e->policy, r);
    for (int i = 0; i < r->n; i++)
        if (strncmp(r->findings[i].rule->id, about_comments, sizeof about_comments - 1) != 0)
            r->findings[n++] = r->findings[i];
    r->n = n;
    report_finish(r);
}

static bool prove_on(struct proving *k, struct engine *e, const struct beginning *t,
                     const struct actual *now, struct report *report, struct err *err)
{
    struct context *c = k->c;
    struct hidden_now *hidden = arena_array(&c->arena, struct hidden_now, now->n_hidden + 1);
    struct timeline_next *earlier = arena_array(&c->arena, struct timeline_next, k->n_before + 1);
    struct suppression_list suppressions = {0};
    struct timeline_next next = {.plan = t->plan->id.s,
                                 .release = t->release,
                                 .phase = t->phase,
                                 .is_purge = t->event == EVENT_PURGE,
                                 .stages = now->stages,
                                 .up = now->up,
                                 .n_up = now->n_up,
                                 .live = now->live,
                                 .n_live = now->n_live};
    struct check_options o = {.ports = &c->ports,
                              .shadow = k->shadow,
                              .window = e->policy.window,
                              .baseline_from = e->db_url,
                              .next = &next,
                              .earlier = earlier,
                              .n_earlier = k->n_before,
                              .allow_commands = opt_has(c, OPT_ALLOW_COMMANDS),
                              .hidden = hidden,
                              .n_hidden = now->n_hidden,
                              .suppressions = &suppressions};
    struct timeline timeline;

    for (int i = 0; i < now->n_hidden; i++)
        hidden[i] = (struct hidden_now) {now->hidden[i].step, now->hidden[i].purge};
    for (int i = 0; i < k->n_before; i++) {
        earlier[i] = next;
        earlier[i].plan = k->before[i].plan->id.s;
        earlier[i].release = k->before[i].release;
        earlier[i].phase = k->before[i].phase;
        earlier[i].is_purge = false;
    }
    if (!read_plans(c, t->plan, err))
        return false;
    if (!check_prove(&c->set, &o, report, &timeline, &c->problems, err)) {
        if (c->problems.n)
            context_show_problems(c, &c->problems);
        return false;
    }
    settle(k, e, &suppressions, report);
    return true;
}

static bool has_shadow(struct proving *k, struct err *err)
{
    if (!k->shadow)
        err_move(err, &k->shadow_err);
    else if (shadow_ready(k->shadow, err))
        return true;
    if (err_is(err, ERR_UNREACHABLE)) {
        const char *why = arena_strdup(&k->c->arena, str_text(&err->detail)),
                   *way = arena_strdup(&k->c->arena, str_text(&err->hint));

        err_detail(err,
                   "%s%sThe transition has to be proved first, on a PostgreSQL of its own. "
                   "Nothing was changed.",
                   why, *why ? "\n" : "");
        err_hint(err,
                 "%s%sOr --proof FILE with what phasegate check --format json wrote elsewhere.",
                 way, *way ? " " : "");
    }
    return false;
}

static void show(struct context *c, const struct report *r)
{
    struct report_out_options o = {.line = check_line,
                                   .ctx = c,
                                   .colour = c->out.messages_colour,
                                   .verbose = c->out.verbosity > 0};
    AUTO(str) text = {.ceiling = (size_t) 1 << 26};

    report_format_find("text")->write(&o, r, &text);
    fflush(c->out.data);
    fputs(str_text(&text), c->out.messages);
}

/* The whole report stands beside the error, on one line. */
static void add_report(struct context *c, const struct report *r)
{
    struct report_out_options o = {0};
    AUTO(str) text = {.ceiling = (size_t) 1 << 26};

    report_format_find("json")->write(&o, r, &text);
    json_t *doc = json_loadb(str_text(&text), text.len, 0, NULL);
    char *line = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
    json_decref(doc);
    if (!line)
        return;
    str_clear(&c->out.extra);
    str_add(&c->out.extra, line);
    c->out.extra_key = "proof";
    free(line);
}

static bool refuse_findings(struct context *c, const struct beginning *t, const struct report *r,
                            struct err *err)
{
    if (out_is_json(&c->out))
        add_report(c, r);
    else
        show(c, r);
    err_set(err, ERR_NO, "%s of %s isn't proved to be safe: %d %s", t->word, t->plan->id.s,
            r->summary.errors, r->summary.errors == 1 ? "finding" : "findings");
    err_detail(err,
               "The database as it is now, the releases that may be live beside %s and the values "
               "that the flags may have were tried on a shadow. %c%s was not begun.",
               t->release, t->word[0] - 'a' + 'A', t->word + 1);
    err_hint(err, "mend the plan or the release, then the same command again; phasegate check "
                  "--baseline-from URL looks at the schema of that database beforehand");
    return err_reason(err, "proof");
}

/* Its own flag before its rollout: that is what stands in the way. NULL: none. */
static const char *own_flag_ahead(const struct beginning *t, const struct actual *now)
{
    for (int i = 0; t->phase != PHASE_EXPAND && i < now->n_up; i++)
        for (int r = 0; r < FLAG_ROLES; r++)
            if (t->plan->flags[r].key.s && strcmp(t->plan->flags[r].key.s, now->up[i]) == 0)
                return now->up[i];
    return NULL;
}

static bool refuse_flag(struct err *err, const struct beginning *t, const char *key)
{
    err_set(err, ERR_REFUSED,
            "%s of plan %s is refused: flag \"%s\" is up before its rollout, and what it switches "
            "on isn't proved to be safe yet",
            t->word, t->plan->id.s, key);
    err_hint(err, "phasegate flags reconcile");
    return err_reason(err, "flag_drift");
}

/* What was proved elsewhere knows neither who is live nor which flags are up: it counts on the order of the plans. */
static bool is_as_planned(struct proving *k, const struct beginning *t, const struct actual *now,
                          struct err *err)
{
    struct arena *a = &k->c->arena;
    const struct project *p = &k->c->set.project;
    static const char hint[] = "leave out --proof: then the transition is proved as things are";

    if (now->n_up > 0)
        return refuse(err, t,
                      arena_printf(a,
                                   "flag \"%s\" is up before its rollout, and the proof in %s "
                                   "counts on its being off",
                                   now->up[0], k->file),
                      hint);
    /* A purge comes in any release behind its contract's, and is proved for all of them. */
    for (int i = 0; t->event != EVENT_PURGE && i < now->n_live; i++)
        if (project_release_index(p, now->live[i]) > project_release_index(p, t->release))
            return refuse(
                err, t,
                arena_printf(a,
                             "release %s is live, which is newer than %s, and the proof in "
                             "%s counts on its not being there yet",
                             now->live[i], t->release, k->file),
                hint);
    return true;
}

static bool on_shadow(struct proving *k, struct engine *e, const struct beginning *t,
                      const struct actual *now, struct made_proof *out, struct err *err)
{
    struct context *c = k->c;
    AUTO(report) report = {0};

    out_say(&c->out, "proving %s of %s on a shadow of the database ...", t->word, t->plan->id.s);
    if (!has_shadow(k, err))
        return false;
    /* Before the schema is copied: what changes from here on is seen under the lock. */
    if (!check_live_shape(e->db, &c->arena, out->roles, NULL, &out->print, err) ||
        !prove_on(k, e, t, now, &report, err))
        return err_note(err, "proof of %s of %s", t->word, t->plan->id.s);
    if (report_fails(&report, SEVERITY_ERROR)) {
        const char *ahead = own_flag_ahead(t, now);
        return ahead ? refuse_flag(err, t, ahead) : refuse_findings(c, t, &report, err);
    }
    if (report.summary.warnings)
        show(c, &report);
    out->source = "shadow";
    out->summary = report.summary;
    out->server_version =
        report.server_version ? arena_strdup(&c->arena, report.server_version) : NULL;
    out->proof.record = arena_printf(&c->arena, "%d worlds, %d cells, %d untested, checksum %s",
                                     report.summary.worlds, report.summary.cells,
                                     report.summary.untested, out->checksum);
    out_say(&c->out, "proved: %d worlds, %d cells, %s", report.summary.worlds, report.summary.cells,
            report.summary.warnings ? "no error" : "no finding");
    return true;
}

/* ---- the transition ------------------------------------------------------------------------------------------------ */

static bool still_holds(void *ctx, struct db *db, struct err *err)
{
    const struct made_proof *m = ctx;
    AUTO(arena) a = {0};
    const char *print = NULL;

    if (!check_live_shape(db, &a, m->roles, NULL, &print, err))
        return false;
    if (strcmp(print, m->print) == 0)
        return true;
    err_set(err, ERR_REFUSED, "the schema changed between proof and transition");
    err_detail(err, "Somebody changed the database meanwhile. The transition was not begun.");
    err_hint(err, "the same command again: it proves the transition over the schema as it is now");
    return err_reason(err, "proof");
}

/* Where the plans stand when it is this one's turn. */
static void stages_by_then(const struct proving *k, struct actual *now)
{
    const struct plan_set *set = &k->c->set;
    enum stage *stages = arena_array(&k->c->arena, enum stage, set->n_plans + 1);

    if (k->n_before == 0)
        return;
    memcpy(stages, now->stages, sizeof *stages * (size_t) set->n_plans);
    for (int i = 0; i < k->n_before; i++)
        stages[k->before[i].plan - set->plans] = stage_of(k->before[i].phase, 1);
    now->stages = stages;
}

static bool prove_begun(struct proving *k, struct engine *e, const struct beginning *t,
                        struct made_proof *out, struct err *err)
{
    struct context *c = k->c;
    struct actual now;
    struct schema_sums live = {0};

    out->checksum = t->plan->phase_checksum[t->phase];
    if (!check_roles(&c->set.project, &c->arena, &out->roles, &c->problems, err)) {
        if (c->problems.n)
            context_show_problems(c, &c->problems);
        return false;
    }
    if (!engine_actual(e, t->plan, &c->arena, &now, err))
        return false;
    const char *missing = without_statements(k, t->release, e->policy.window, &now);
    if (missing)
        return refuse(err, t, missing_text(c, missing, t->release), missing_hint(c, missing));
    if (k->file) {
        struct wanted_proof w = {.plan = t->plan,
                                 .phase = t->word,
                                 .checksum = out->checksum,
                                 .release = t->release,
                                 .window = e->policy.window,
                                 .engine = e,
                                 .live = k->n_before ? NULL : &live};
        return is_as_planned(k, t, &now, err) &&
               check_live_shape(e->db, &c->arena, out->roles, &live, &out->print, err) &&
               prove_from_file(c, k->file, &w, out, err);
    }
    stages_by_then(k, &now);
    return on_shadow(k, e, t, &now, out, err);
}

static bool prove(struct proving *k, struct engine *e, struct beginning *t,
                  const struct advance_options *o, struct made_proof *out, struct err *err)
{
    if (k->has_statements && !k->file && !k->shadow)
        begin_shadow(k);
    if (!look(e, t, o, &k->c->arena, err))
        return false;
    if (t->phase == PHASE_NONE)
        return true;
    if (!k->file && !k->has_statements)
        return refuse(err, t, nothing_to_prove_with, nothing_hint);
    if (!prove_begun(k, e, t, out, err))
        return false;
    out->proof.word = "proved";
    out->proof.phase = t->phase;
    out->proof.holds = still_holds;
    out->proof.ctx = out;
    return true;
}

/* Nothing is proved; what only a proof allows is refused. */
static bool unproved(struct proving *k, struct engine *e, struct beginning *t,
                     const struct advance_options *o, const char *word, const char *record,
                     struct made_proof *out, struct err *err)
{
    out->proof = (struct transition_proof) {.word = word, .record = record};
    return t->event != EVENT_ADVANCE || !expand_restricts(k->c, t->plan) ||
           (look(e, t, o, &k->c->arena, err) && refuse_unproven(k->c, t->plan, t->phase, err));
}

bool prove_transition(struct proving *k, struct engine *e, struct plan *p, enum phase_event ev,
                      const struct advance_options *o, struct made_proof *out, struct err *err)
{
    struct beginning t = {.plan = p, .event = ev};

    *out = (struct made_proof) {0};
    if (!k->file && k->policy == PROOF_OFF)
        return unproved(k, e, &t, o, "off", "off by policy", out, err);
    if (!k->file && !k->has_statements && k->policy != PROOF_REQUIRED)
        return unproved(k, e, &t, o, "none", "none, no release lists statements", out, err);
    bool ok = prove(k, e, &t, o, out, err);
    end_shadow(k);
    return ok;
}

/* ---- a dry run ------------------------------------------------------------------------------------------------------- */

static void add_refusal(struct context *c, struct dry_run *d, const struct err *err)
{
    struct decision *dec = &d->decision;
    struct fact f = {.known = true,
                     .what = arena_strdup(&c->arena, str_text(&err->message)),
                     .release =
                         err->hint.len ? arena_strdup(&c->arena, str_text(&err->hint)) : NULL};

    dec->go = false;
    if (dec->n_refusals < (int) (sizeof dec->refusals / sizeof *dec->refusals))
        dec->refusals[dec->n_refusals++] = (struct refusal) {.reason = "proof", .fact = f};
}

/* Of a proof that stands. */
static const char *word_of(const struct proving *k, const struct made_proof *m)
{
    if (!m->proof.word)
        return NULL;
    return k->file && strcmp(m->proof.word, "proved") == 0 ? "from_file" : m->proof.word;
}

/* Where none is made yet. */
static const char *intended(const struct proving *k)
{
    if (!k->file && k->policy == PROOF_OFF)
        return "off";
    return k->file || k->has_statements || k->policy == PROOF_REQUIRED ? "would_prove" : "none";
}

/* For the plans that come after it in the same run. */
static void done_by_then(struct proving *k, const struct plan *p, const struct advance_options *o,
                         const struct dry_run *d)
{
    if (d->phase == PHASE_NONE)
        return;
    if (!k->before)
        k->before = arena_array(&k->c->arena, struct foreseen, k->c->set.n_plans + 1);
    k->before[k->n_before++] = (struct foreseen) {p, d->phase, o->release};
}

bool proving_foresee(struct proving *k, struct engine *e, struct plan *p, enum phase_event ev,
                     const struct advance_options *o, struct dry_run *d, struct err *err)
{
    struct made_proof made;

    /* Going on with what was begun; or there is nothing to begin. */
    if (d->phase == PHASE_NONE || (d->decision.row && stage_is_running(d->decision.row->from))) {
        done_by_then(k, p, o, d);
        return true;
    }
    /* What is refused anyway isn't proved, nor is what a run wouldn't come to. */
    if (!d->decision.go || k->is_over) {
        d->proof = intended(k);
        k->is_over = true;
        return true;
    }
    if (prove_transition(k, e, p, ev, o, &made, err)) {
        d->proof = word_of(k, &made);
        done_by_then(k, p, o, d);
        return true;
    }
    add_refusal(k->c, d, err);
    return false;
}

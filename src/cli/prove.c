/* The proof that a transition asks for: the database as it is, the phase that is about to run, the releases that may
 * be live, on a shadow. */
#include "cli.h"

#include "phasegate/check.h"
#include "phasegate/report_out.h"

#include <jansson.h>

/* Statements are what there is to prove with; a project that lists none has asked for no proof. */
static bool has_statements(const struct project *p)
{
    for (int i = 0; i < p->n_releases; i++)
        if (p->releases[i].statements.n > 0)
            return true;
    for (int i = 0; i < p->n_consumers; i++)
        if (p->consumers[i].statements.n > 0)
            return true;
    return false;
}

/* The phase that this command would begin; false: it goes on with one, or isn't the release's turn: what there is
 * to say about that is the engine's. */
static bool begins(const struct context *c, const struct plan_status *s, const char *release)
{
    return s->next_phase != PHASE_NONE && s->next_release && release &&
           !stage_is_running(s->state.stage) && !stage_is_undoing(s->state.stage) &&
           release_compare(&c->set.project, s->next_release, release) == 0;
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

static bool prove_on(struct context *c, struct shadow *s, const struct timeline_next *next,
                     const char *url, struct report *report, struct err *err)
{
    struct timeline t;
    struct check_options o = {.ports = &c->ports,
                              .shadow = s,
                              .window = policy_effective(&c->set.project, c->env).window,
                              .baseline_from = url,
                              .next = next};

    for (int i = 0; i < c->set.n_plans; i++)
        if (!plan_set_fill(&c->set, &c->set.plans[i], err) ||
            !plan_sql_facts(&c->set, &c->set.plans[i], &c->problems, err))
            return false;
    if (!check_prove(&c->set, &o, report, &t, &c->problems, err)) {
        if (c->problems.n)
            context_show_problems(c, &c->problems);
        return false;
    }
    report_finish(report);
    return true;
}

static bool refuse(struct context *c, const struct plan *p, enum phase phase,
                   const struct report *r, struct err *err)
{
    show(c, r);
    err_set(err, ERR_NO, "%s of %s isn't proved to be safe: %d %s", phase_word(phase), p->id.s,
            r->summary.errors, r->summary.errors == 1 ? "finding" : "findings");
    err_detail(err,
               "The database as it is now, the releases that may be live beside %s and every value "
               "of the flags "
               "were tried on a shadow. Nothing was changed.",
               p->phases[phase].release.s);
    return err_hint(
        err,
        "mend the plan or the release; phasegate check shows the same before it comes to this");
}

/* ---- a proof from a file ---------------------------------------------------------------------------------- */

#define PROOF_MAX ((size_t) 64 << 20)

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

static bool no_proof(struct err *err, const char *file, const char *why)
{
    err_set(err, ERR_REFUSED, "--proof %s: %s", file, why);
    err_reason(err, "proof");
    return err_hint(err,
                    "phasegate check --format json > FILE over the plans and the schema as they "
                    "are now; without --proof the transition is proved here");
}

static bool compare_proof(struct context *c, struct engine *e, const struct plan *p,
                          enum phase phase, const json_t *doc, const char *file, struct err *err)
{
    const json_t *proofs = json_object_get(doc, "proofs"), *one;
    const char *live = NULL;
    size_t i;
    bool plan_there = false, text_same = false;

    if (json_integer_value(json_object_get(json_object_get(doc, "summary"), "errors")) != 0)
        return no_proof(err, file, "it has errors: it proves nothing");
    if (!check_live_shape(e->db, &c->arena, &live, err))
        return false;
    json_array_foreach((json_t *) (uintptr_t) proofs, i, one)
    {
        if (strcmp(text_of(one, "plan"), p->id.s) != 0 ||
            strcmp(text_of(one, "phase"), phase_word(phase)) != 0)
            continue;
        plan_there = true;
        if (strcmp(text_of(one, "checksum"), p->phase_checksum[phase]) != 0)
            continue;
        text_same = true;
        if (strcmp(text_of(one, "catalogue"), live) == 0)
            return true;
    }
    if (!plan_there)
        return no_proof(
            err, file,
            arena_printf(&c->arena, "it doesn't cover %s of %s", phase_word(phase), p->id.s));
    if (!text_same)
        return no_proof(
            err, file,
            arena_printf(&c->arena, "%s of %s was edited since", phase_word(phase), p->id.s));
    return no_proof(err, file,
                    arena_printf(&c->arena,
                                 "the schema of the database isn't the one that it was "
                                 "made for (%s)",
                                 live));
}

static bool take_proof(struct context *c, struct engine *e, const struct plan *p, enum phase phase,
                       const char *file, const char **out, struct err *err)
{
    AUTO(str) text = {.ceiling = PROOF_MAX + 1};
    json_error_t where;

    if (!c->host->ops->read_file(c->host, file, PROOF_MAX, &text, err))
        return err_note(err, "--proof");
    json_t *doc = json_loadb(str_text(&text), text.len, 0, &where);
    if (!doc)
        return err_set(err, ERR_INPUT, "--proof %s:%d:%d: no JSON: %s", file, where.line,
                       where.column, where.text);
    bool ok = compare_proof(c, e, p, phase, doc, file, err);
    json_decref(doc);
    if (ok)
        *out = arena_printf(&c->arena, "from %s, checksum %s", file, p->phase_checksum[phase]);
    return ok;
}

bool prove_transition(struct context *c, struct engine *e, struct plan *p, const char *release,
                      const char **out, struct err *err)
{
    struct shadow_options so = {.url = c->host->ops->env(c->host, "PHASEGATE_SHADOW"),
                                .cache = cache_folder(c, &c->arena),
                                .clock = c->clock,
                                .interrupt = c->ports.interrupt};
    struct shadow *shadow = NULL;
    struct plan_status s = {0};
    AUTO(report) report = {0};

    *out = NULL;
    const char *file = opt_text(c, OPT_PROOF);
    if (!file && !opt_has(c, OPT_PROVE))
        return !expand_restricts(c, p) ||
               (engine_status(e, p, false, &c->arena, &s, err) &&
                (!begins(c, &s, release) || refuse_unproven(c, p, s.next_phase, err)));
    if (!file && !has_statements(&c->set.project)) {
        err_set(
            err, ERR_REFUSED,
            "--prove: there is nothing to prove with: no release of the project lists statements");
        err_reason(err, "proof");
        return err_hint(err, "phasegate capture --release V gathers them from the database");
    }
    if (!engine_status(e, p, false, &c->arena, &s, err))
        return false;
    if (!begins(c, &s, release))
        return true;
    if (file)
        return take_proof(c, e, p, s.next_phase, file, out, err);
    struct timeline_next next = {.plan = p->id.s, .release = s.next_release, .phase = s.next_phase};
    out_say(&c->out, "proving %s of %s on a shadow of the database ...", phase_word(next.phase),
            p->id.s);
    bool ok =
        shadow_begin(&so, &shadow, err) && prove_on(c, shadow, &next, e->db_url, &report, err);
    shadow_end(shadow);
    if (!ok)
        return err_note(err, "proof of %s", p->id.s);
    if (report_fails(&report, SEVERITY_ERROR))
        return refuse(c, p, next.phase, &report, err);
    *out = arena_printf(&c->arena, "%d worlds, %d cells, %d untested, checksum %s",
                        report.summary.worlds, report.summary.cells, report.summary.untested,
                        p->phase_checksum[next.phase]);
    out_say(&c->out, "proved: %d worlds, %d cells, no finding", report.summary.worlds,
            report.summary.cells);
    return true;
}

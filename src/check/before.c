/* What the branch's own migrations break: what fails on the baseline, put to the baseline as it was before. */
#include "check/blame.h"

/* ---- what is asked ---------------------------------------------------------------------------------------- */

/* In no state of the database can it even be prepared. */
static bool works_nowhere(const struct proof *p, const struct query *q)
{
    bool any = false;

    for (int s = 0; s < p->t.n_states; s++) {
        if (q->plan[s] && q->plan[s]->ok)
            return false;
        any |= q->plan[s] != NULL;
    }
    return any;
}

static const struct outcome *first_failed_run(const struct proof *p, const struct query *q)
{
    for (int s = 0; s < p->t.n_states; s++)
        if (q->run[s] && !q->run[s]->ok)
            return q->run[s];
    return NULL;
}

/* It prepares and doesn't run. What hangs on rows of our making (a key that is there already, a parent that isn't) and
 * on time says nothing of the migration; nor do values that a reader gets. */
static bool never_runs(struct proof *p, const struct query *q)
{
    const struct outcome *o = q->runs || !q->has_args ? NULL : first_failed_run(p, q);
    bool is_ours = o && !q->sets[0].is_given &&
                   (strcmp(o->sqlstate, "23505") == 0 || empty_parent(p, q, o) != NULL);
    bool is_shape = o && strncmp(o->sqlstate, "42", 2) == 0;

    return o && *o->sqlstate && !is_ours && !account_is_too_much(o) &&
           (is_shape || q->facts.n_writes > 0 || q->sets[0].is_given);
}

static int ask_for(struct proof *p)
{
    int n = 0;

    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];

        if (a->first_world < 0 || a->q->is_lethal || a->q->is_asked ||
            p->t.releases[a->release].is_projected)
            continue;
        a->q->is_asked = works_nowhere(p, a->q) || never_runs(p, a->q);
        n += a->q->is_asked;
    }
    return n;
}

/* ---- the baseline of before -------------------------------------------------------------------------------- */

/* False with err: it isn't to be had, and check can't go on. What merely can't be loaded is the branch's luck. */
static bool load_before(struct proof *p, const struct before_files *files, bool *is_there,
                        struct err *err)
{
    *is_there = false;
    sessions_close(p);
    wire_close(p->root);
    wire_close(p->owner);
    p->root = p->owner = NULL;
    if (p->database && !shadow_drop(p->shadow, CHECK_DATABASE, err))
        return false;
    p->database = NULL;
    if (!shadow_database(p->shadow, CHECK_BEFORE, NULL, err))
        return false;
    *is_there = shadow_load_given(p->shadow, CHECK_BEFORE, files->shown, files->files,
                                  files->n_files, files->is_folder, err);
    if (*is_there || !err_is(err, ERR_INPUT))
        return *is_there;
    p->before_unknown =
        arena_printf(p->a, "the baseline as it was where the branch began can't be loaded: %s",
                     str_text(&err->message));
    err_clear(err);
    return true;
}

/* As if nobody had asked yet. What isn't asked for now is as good as lethal. */
static void copy_queries(struct proof *b, const struct proof *p)
{
    b->queries = arena_array(b->a, struct query, p->n_queries + 1);
    b->n_queries = p->n_queries;
    for (int i = 0; i < p->n_queries; i++) {
        const struct query *from = &p->queries[i];
        struct query *to = &b->queries[i];

        *to = (struct query) {.s = from->s,
                              .sql = from->sql,
                              .facts = from->facts,
                              .session = from->session,
                              .is_stand_in = from->is_stand_in,
                              .is_run_alone = from->is_run_alone,
                              .goes_on = from->goes_on,
                              .n_before = from->n_before,
                              .is_lethal = true,
                              .probed_state = -1};
        to->before = arena_array(b->a, struct query *, from->n_before + 1);
        for (int k = 0; k < from->n_before; k++)
            to->before[k] = &b->queries[from->before[k] - p->queries];
        to->plan = arena_array(b->a, const struct outcome *, b->t.n_states);
        to->shape = arena_array(b->a, const struct description *, b->t.n_states);
        to->run = arena_array(b->a, const struct outcome *, b->t.n_states);
        to->fresh = arena_array(b->a, bool, b->t.n_states);
    }
    for (int i = 0; i < p->n_queries; i++) {
        struct query *to = &b->queries[i];

        if (!p->queries[i].is_asked)
            continue;
        to->is_lethal = lost_is_lethal(b, to);
        for (int k = 0; k < to->n_before; k++)
            to->before[k]->is_lethal = lost_is_lethal(b, to->before[k]);
    }
}

static void copy_sessions(struct proof *b, const struct proof *p)
{
    b->sessions = arena_array(b->a, struct app_session, p->n_sessions + 1);
    b->n_sessions = p->n_sessions;
    for (int i = 0; i < p->n_sessions; i++) {
        b->sessions[i] = p->sessions[i];
        b->sessions[i].wire = b->sessions[i].beside = NULL;
    }
}

static void note_answers(struct proof *p, const struct proof *b)
{
    for (int i = 0; i < p->n_queries; i++) {
        const struct query *then = &b->queries[i];
        struct query *now = &p->queries[i];

        now->worked_before = now->is_asked && then->plan[0] && then->plan[0]->ok &&
                             (works_nowhere(p, now) || then->runs);
        now->failed_before = now->is_asked && then->plan[0] && !then->plan[0]->ok;
    }
}

/* One try. The report is thrown away: it is about another schema than the one that is checked. */
static bool ask_once(struct proof *p, struct losses *losses, bool *again, struct err *err)
{
    struct report aside = {0};
    struct check_options o = {.ports = p->o->ports, .shadow = p->shadow, .window = p->o->window};
    AUTO(arena) scratch = {0};
    struct proof b = {.set = p->set,
                      .o = &o,
                      .report = &aside,
                      .a = &aside.arena,
                      .scratch = &scratch,
                      .t = p->t,
                      .shadow = p->shadow,
                      .losses = losses,
                      .origin = CHECK_BEFORE,
                      .database = p->database,
                      .opens_all = true};

    b.rows_print = arena_array(b.a, uint64_t, b.t.n_states);
    copy_sessions(&b, p);
    copy_queries(&b, p);
    bool ok = replay_to(&b, 0, err) && probe_state(&b, 0, err);
    if (ok)
        note_answers(p, &b);
    *again = !ok && lost_again(&b, err);
    p->database = b.database;
    if (*again)
        for (int i = 0; i < losses->n; i++) {
            losses->items[i].sql = arena_strdup(p->a, losses->items[i].sql);
            losses->items[i].words = arena_strdup(p->a, losses->items[i].words);
        }
    proof_close(&b);
    report_free(&aside);
    return ok;
}

bool before_ask(struct proof *p, struct err *err)
{
    const struct check_before *before = p->o->before;
    struct losses losses = {.n = 0};
    struct before_files files = {0};
    bool is_there = false, ok = false;

    if (!before || ask_for(p) == 0)
        return true;
    if (!before->fetch(before->ctx, &files, err))
        return false;
    if (files.n_files == 0)
        return true;
    suspects_read(p, &files);
    p->gone = files.gone;
    p->n_gone = files.n_gone;
    if (!load_before(p, &files, &is_there, err))
        return false;
    if (!is_there)
        return true;
    for (bool again = true; again;)
        ok = ask_once(p, &losses, &again, err);
    if (ok || !err_is(err, ERR_CONNECTION_LOST))
        return ok;
    p->before_unknown = arena_strdup(p->a, "there too many statements end their sessions");
    err_clear(err);
    return true;
}

/* ---- the finding --------------------------------------------------------------------------------------------- */

static const char *way_out(struct proof *p, const struct app_statement *a, const struct outcome *o)
{
    bool is_value = strncmp(o->sqlstate, "23514", 5) == 0 || strncmp(o->sqlstate, "22", 2) == 0;
    bool may_keep = is_value && a->q->sets && a->q->sets[0].n > 0 && !a->q->sets[0].is_given;

    return arena_printf(
        p->a,
        "make it a plan (phasegate new NAME), so that it comes in steps, each when nothing that is "
        "live is hurt; where what is named here doesn't live any more, take it out of %s%s%s",
        p->t.releases[a->release].is_consumer ? "consumers:" : "releases:",
        may_keep ? "; where it keeps to that by itself, give an example row: " : "",
        may_keep ? example_row(p, a->q) : "");
}

bool before_report(struct proof *p, const struct app_statement *a, const struct timeline_world *w,
                   const struct outcome *o)
{
    struct pos at = p->set->project.baseline.at;
    const char *kind = NULL;

    if (!a->q->worked_before)
        return false;
    /* What stands in for a release that isn't written says nothing of its own. */
    if (p->t.releases[a->release].is_projected)
        return true;
    const struct suspect *s = suspect_of(p, a->q, o, &at, &kind);
    const char *what = s               ? s->file
                       : p->n_gone > 0 ? arena_printf(p->a, "that %s is gone", p->gone[0])
                                       : p->set->project.baseline.s;
    struct finding *f = finding_of_statement(
        p, a, w, "baseline-breaks-release", at, o,
        arena_printf(p->a, "%s%s%s%s breaks what worked before this branch: %s", what,
                     kind ? " (" : "", kind ? kind : "", kind ? ")" : "", o->message));
    f->level = "statement";
    f->kind = "rolling";
    f->help = way_out(p, a, o);
    return true;
}

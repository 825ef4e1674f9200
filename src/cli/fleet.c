/* A command on a plan whose database is a fleet: the same command for each of its databases, in processes of their own,
 * wave by wave where it moves the plan. Here: who takes part, and what they said. Each database decides for itself. */
#include "fleet.h"
#include "phasegate/io.h"

#include <signal.h>
#include <stdlib.h>

static const struct fleet_way ways[] = {
    {"advance", FLEET_WAVES, .looks = true},
    {"purge", FLEET_WAVES, .looks = true},
    {"rollback", FLEET_EACH, .looks = true, .back = true},
    {"restore", FLEET_EACH, .looks = true, .back = true},
    {"snapshot", FLEET_EACH, .looks = true},
    {"preflight", FLEET_EACH},
    {"backfill", FLEET_EACH},
    {"pause", FLEET_EACH},
    {"resume", FLEET_EACH, .braked = true},
    {"approve", FLEET_EACH},
    {"verify", FLEET_EACH},
    {"accept", FLEET_EACH},
    {"history", FLEET_EACH},
    {0},
};

const struct fleet_way *fleet_way_of(struct context *c)
{
    const struct fleet_way *w = ways;

    if (!(c->command->needs & NEED_DB) || c->line.n_args == 0 || c->n_plans != 1 ||
        !context_fleet_of(c, c->plans[0]))
        return NULL;
    while (w->command && strcmp(w->command, c->command->name) != 0)
        w++;
    /* One alone can't climb a rung of all. */
    bool alone =
        opt_has(c, OPT_DATABASE) && !((w->back || w == ways) && fleet_has_rollout(c->plans[0]));
    return w->command && !alone ? w : NULL;
}

/* ---- in a process of its own ------------------------------------------------------------------------------- */

static int run_member(void *ctx, int k)
{
    struct fleet_run *f = ctx;
    struct context *c = f->c;
    AUTO(err) err = {0};

    c->line.text[OPT_DATABASE] = f->members[f->wave[k]].decl->name.s;
    c->line.given[OPT_DATABASE] = 1;
    f->lead.is_leader = f->wave[k] == 0;
    c->lead = f->is_led ? &f->lead : NULL;
    context_output(c);
    c->out.clock = c->clock;
    c->out.run_id = c->run_id;
    return context_end(c, c->command->run(c, &err), &err);
}

/* ---- what it says ----------------------------------------------------------------------------------------- */

static bool is_last_line(const char *text)
{
    static const char end[] = "{\"event\":\"end\",";

    return strncmp(text, end, sizeof end - 1) == 0;
}

/* An event of jsonl says of which database it is; the answer of each is kept for the answer of all. */
static void take_json(struct fleet_run *f, struct fleet_member *m, const char *text)
{
    if (f->c->out.format == OUT_JSON || is_last_line(text))
        str_set(&m->answer, text);
    else if (*text == '{')
        fprintf(f->c->out.data, "{\"database\":\"%s\",%s\n", m->decl->name.s, text + 1);
    fflush(f->c->out.data);
}

static void take_line(void *ctx, int k, int fd, const char *text)
{
    struct fleet_run *f = ctx;
    struct fleet_member *m = &f->members[f->wave[k]];
    struct out *o = &f->c->out;

    if (fd == 1 && out_is_json(o)) {
        take_json(f, m, text);
        return;
    }
    fprintf(fd == 1 ? o->data : o->messages, "%s%s%s%s%s\n",
            fd == 1 ? out_style(o, STYLE_FAINT) : "", m->decl->name.s,
            fd == 1 ? out_style(o, STYLE_PLAIN) : "", *text ? ": " : ":", text);
    fflush(fd == 1 ? o->data : o->messages);
}

static void member_ended(void *ctx, int k, int code)
{
    struct fleet_run *f = ctx;
    struct fleet_member *m = &f->members[f->wave[k]];

    m->has_ended = true;
    m->code = code;
    f->worst = fleet_graver(f->worst, code);
}

/* What one has failed at isn't begun in another. */
static bool may_begin(void *ctx)
{
    const struct fleet_run *f = ctx;

    return f->way->kind != FLEET_WAVES || f->worst == 0;
}

/* ---- waves -------------------------------------------------------------------------------------------------- */

static void name_wave(struct fleet_run *f, int number)
{
    AUTO(str) names = {0};

    if (f->way->kind != FLEET_WAVES)
        return;
    if (f->is_led && f->n_wave == 1 && f->wave[0] == 0) {
        out_say(&f->c->out, "fleet %s: %s leads the rollout", f->fleet->name.s,
                f->members[0].decl->name.s);
        return;
    }
    for (int k = 0; k < f->n_wave; k++)
        str_addf(&names, "%s%s", k ? ", " : "", f->members[f->wave[k]].decl->name.s);
    out_say(&f->c->out, "fleet %s, wave %d: %s", f->fleet->name.s, number, str_text(&names));
}

static bool run_wave(struct fleet_run *f, int number, struct err *err)
{
    int parallel = fleet_parallel(f->fleet);
    const struct brood b = {.n = f->n_wave,
                            .parallel = parallel < f->n_wave ? parallel : f->n_wave,
                            .run = run_member,
                            .may_begin = may_begin,
                            .line = take_line,
                            .ended = member_ended,
                            .ctx = f,
                            .interrupt = f->c->ports.interrupt};

    name_wave(f, number);
    return brood_run(&b, err);
}

static bool is_over(const struct fleet_run *f)
{
    return f->worst != 0 || ports_interrupted(&f->c->ports);
}

/* Those that take part, but the first except where it is with_first. */
static bool run_waves(struct fleet_run *f, bool with_first, struct err *err)
{
    int from = 0;

    for (int wave = 0; from < f->n; wave++) {
        int to = f->way->kind == FLEET_WAVES ? fleet_through(f->fleet, wave, f->n) : f->n;

        f->n_wave = 0;
        for (int i = from; i < to; i++)
            if (f->members[i].takes_part && (with_first || i > 0))
                f->wave[f->n_wave++] = i;
        from = to;
        if (f->n_wave > 0 && !run_wave(f, wave + 1, err))
            return false;
        if (is_over(f))
            return true;
    }
    return true;
}

/* ---- a rollout of all ---------------------------------------------------------------------------------------- */

/* The first of urls: leads: it alone moves the flag, looks after it and asks the gates. */
static bool run_first(struct fleet_run *f, struct err *err)
{
    f->wave[0] = 0;
    f->n_wave = 1;
    return !f->members[0].takes_part || run_wave(f, 1, err);
}

static bool read_lead(struct fleet_run *f, int *rungs, struct err *err)
{
    struct fleet_member *first = &f->members[0];

    if (!fleet_look_at(f, first, err))
        return false;
    memcpy(f->lead.percent, first->state.percent, sizeof f->lead.percent);
    f->lead.follows = false;
    *rungs = f->lead.rungs = 0;
    if (f->phase != PHASE_NONE)
        engine_fleet_rungs(f->c->plans[0], &first->state, f->phase, &f->c->arena, &f->lead.rungs,
                           rungs);
    return true;
}

/* Is the first in this phase? Under this release there may have been nothing to do. */
static bool has_begun(struct fleet_run *f, bool *out, struct err *err)
{
    struct fleet_member *first = &f->members[0];

    if (!fleet_look_at(f, first, err))
        return false;
    *out = stage_is_running(first->stage) && stage_phase(first->stage) == f->phase;
    return true;
}

/* All up to the next rung; the others count it as reached; the first climbs it. */
static bool run_rungs(struct fleet_run *f, struct err *err)
{
    int rungs, climbed = -1;

    for (;;) {
        if (!read_lead(f, &rungs, err))
            return false;
        if (f->lead.rungs <= climbed) {
            err_set(err, ERR_STOPPED, "the rollout of plan %s got no further in %s",
                    f->c->plans[0]->id.s, f->members[0].decl->name.s);
            return err_hint(err, "phasegate status %s", f->c->plans[0]->id.s);
        }
        bool last = f->lead.rungs >= rungs || f->only || !f->members[0].takes_part;
        f->is_partial = f->lead.rungs < rungs;
        if (!run_first(f, err))
            return false;
        if (!is_over(f) && !run_waves(f, false, err))
            return false;
        if (is_over(f) || last)
            return true;
        climbed = f->lead.rungs;
        if (!has_begun(f, &f->is_partial, err))
            return false;
        if (!f->is_partial)
            return true;
        f->lead.follows = true;
        if (!run_waves(f, false, err))
            return false;
        f->lead.rungs++;
        if (!is_over(f) && !run_first(f, err))
            return false;
        if (is_over(f))
            return true;
    }
}

/* The flag would come down for all, or stay up over a database without what it leads to. */
static bool may_go_alone(const struct fleet_run *f, struct err *err)
{
    if (!f->only || (f->lead.percent[FLAG_READ] == 0 && f->lead.percent[FLAG_WRITE] == 0) ||
        stage_phase(f->only->stage) == PHASE_EXPAND || f->only->stage >= STAGE_CONTRACT_RUNNING)
        return true;
    const char *id = f->c->plans[0]->id.s;
    err_set(err, ERR_REFUSED,
            "%s of plan %s is refused: its flags are up for all databases of the fleet %s",
            f->c->command->name, id, f->fleet->name.s);
    err_hint(err, "phasegate %s %s, without --database, takes all of them back",
             f->c->command->name, id);
    return err_reason(err, "fleet_flags");
}

static bool run_all(struct fleet_run *f, struct err *err)
{
    int rungs;

    f->is_led = fleet_has_rollout(f->c->plans[0]) && !opt_has(f->c, OPT_DRY_RUN) &&
                (f->way->back || f->way == ways);
    if (!f->is_led)
        return run_waves(f, true, err);
    if (!f->way->back)
        return run_rungs(f, err);
    if (!read_lead(f, &rungs, err) || !may_go_alone(f, err) || !run_first(f, err))
        return false;
    return is_over(f) || run_waves(f, false, err);
}

/* ---- the answer of all -------------------------------------------------------------------------------------- */

static const char *result_word(const struct fleet_run *f, const struct fleet_member *m)
{
    if (!m->takes_part)
        return "passed_over";
    if (!m->has_ended)
        return "not_begun";
    return m->code != 0 ? "failed" : f->is_partial ? "ready" : "done";
}

static const char *result_text(struct fleet_run *f, const struct fleet_member *m)
{
    if (!m->takes_part)
        return arena_printf(&f->c->arena, "passed over: it is at \"%s\"", stage_word(m->stage));
    if (!m->has_ended)
        return "not begun";
    if (m->code != 0)
        return arena_printf(&f->c->arena, "exit code %d", m->code);
    return f->is_partial ? "ready for the next rung" : "done";
}

static void show_results(struct fleet_run *f)
{
    struct context *c = f->c;
    AUTO(out_table) t = {0};

    if (out_is_json(&c->out)) {
        struct json_out *j = out_json(&c->out);

        json_str(j, "fleet", f->fleet->name.s);
        json_array_begin(j, "databases");
        for (int i = 0; i < f->n; i++) {
            const struct fleet_member *m = &f->members[i];

            json_object_begin(j, NULL);
            json_str(j, "database", m->decl->name.s);
            json_str(j, "result", result_word(f, m));
            if (m->has_ended)
                json_int(j, "exit_code", m->code);
            else
                json_put_null(j, "exit_code");
            json_raw(j, "answer", m->answer.len ? str_text(&m->answer) : "null");
            json_object_end(j);
        }
        json_array_end(j);
        return;
    }
    out_table_head(&t, OUT_CELLS("DATABASE", "RESULT"));
    for (int i = 0; i < f->n; i++) {
        out_table_row(&t, OUT_CELLS(f->members[i].decl->name.s, result_text(f, &f->members[i])));
        if (f->members[i].has_ended && f->members[i].code != 0)
            out_table_style(&t, 1, STYLE_BAD);
    }
    out_table_print(&c->out, &t);
}

static enum err_kind kind_of_code(int code)
{
    static const enum err_kind kinds[] = {ERR_NONE,    ERR_NO,      ERR_INPUT,  ERR_UNREACHABLE,
                                          ERR_REFUSED, ERR_STOPPED, ERR_LOCKED, ERR_BUG};

    if (code == 130 || code == 143)
        return ERR_INTERRUPTED;
    return code < (int) (sizeof kinds / sizeof kinds[0]) ? kinds[code] : ERR_STOPPED;
}

static int code_of_all(const struct fleet_run *f)
{
    if (f->worst != 0)
        return f->worst;
    if (ports_interrupted(&f->c->ports))
        return f->c->ports.interrupt->signal == SIGTERM ? 143 : 130;
    return 5;
}

static void say_next(struct fleet_run *f, struct err *err)
{
    if (f->worst == 0 && f->only)
        err_hint(err, "phasegate advance %s%s%s, which takes all of them on", f->c->plans[0]->id.s,
                 opt_has(f->c, OPT_RELEASE) ? " --release " : "",
                 opt_has(f->c, OPT_RELEASE) ? opt_text(f->c, OPT_RELEASE) : "");
    else
        err_hint(err, "what each of them said is above; the same command goes on with those that "
                      "aren't done");
}

/* A no that is an answer (a preflight, a verification) is no error of ours. */
static bool sum_up(struct fleet_run *f, struct err *err)
{
    AUTO(str) ended = {0}, left = {0};
    int n_done = 0;

    for (int i = 0; i < f->n; i++) {
        const struct fleet_member *m = &f->members[i];

        n_done += !m->takes_part || (m->has_ended && m->code == 0 && !f->is_partial);
        if (m->has_ended && m->code != 0)
            str_addf(&ended, "; exit code %d in %s", m->code, m->decl->name.s);
        if (m->takes_part && !m->has_ended)
            str_addf(&left, "%s%s", left.len ? ", " : "", m->decl->name.s);
    }
    if (f->worst == 0 && !left.len && !f->is_partial)
        return true;
    if (f->worst == 1 && f->way->kind == FLEET_EACH) {
        f->c->exit_code = 1;
        return true;
    }
    int code = code_of_all(f);
    err_set(err, kind_of_code(code), "%s of plan %s: %d of %d databases of the fleet %s are done%s",
            f->c->command->name, f->c->plans[0]->id.s, n_done, f->n, f->fleet->name.s,
            str_text(&ended));
    if (code == 143 || (code > 7 && code != 130))
        err->exit_code = code == 143 ? code : 5;
    if (left.len)
        err_detail(err, "Not begun in %s. What is done stays.", str_text(&left));
    say_next(f, err);
    return code == 4 ? err_reason(err, "fleet_member") : false;
}

/* ---- from here -------------------------------------------------------------------------------------------------- */

static void gather(struct fleet_run *f)
{
    struct context *c = f->c;

    f->members = arena_array(&c->arena, struct fleet_member, f->fleet->urls.n);
    f->wave = arena_array(&c->arena, int, f->fleet->urls.n);
    for (int i = 0; i < c->env->n_databases; i++)
        if (c->env->databases[i].fleet == f->fleet)
            f->members[f->n++] = (struct fleet_member) {
                .decl = &c->env->databases[i],
                .takes_part = true,
                .answer = {.ceiling = (size_t) 1 << 30},
            };
}

static bool choose_only(struct fleet_run *f, struct err *err)
{
    const struct database_decl *only;

    if (!opt_has(f->c, OPT_DATABASE))
        return true;
    only = context_database_of(f->c, f->c->plans[0], err);
    for (int i = 0; only && i < f->n; i++)
        if (f->members[i].decl == only)
            f->only = &f->members[i];
    return only != NULL;
}

/* Where some have a brake on, those that have none are where they are to be. Who doesn't answer says so. */
static void pass_over_unbraked(struct fleet_run *f)
{
    bool any = false;

    for (int i = 0; i < f->n; i++) {
        AUTO(err) ignored = {0};

        f->members[i].takes_part =
            !fleet_look_at(f, &f->members[i], &ignored) || f->members[i].brake != BRAKE_NONE;
        any = any || f->members[i].brake != BRAKE_NONE;
    }
    for (int i = 0; !any && i < f->n; i++)
        f->members[i].takes_part = true;
}

static bool one_file_for_all(struct fleet_run *f, struct err *err)
{
    if (!opt_has(f->c, OPT_METRICS_FILE))
        return true;
    err_set(err, ERR_USAGE,
            "--metrics-file: %s is a fleet, and a file holds what one database counts",
            f->fleet->name.s);
    return err_hint(err, "leave it out, or: phasegate %s %s ... --database %s --metrics-file FILE",
                    f->c->command->name, f->c->plans[0]->id.s, f->members[0].decl->name.s);
}

bool fleet_command(struct context *c, const struct fleet_way *way, struct err *err)
{
    struct fleet_run f = {.c = c, .way = way, .fleet = context_fleet_of(c, c->plans[0])};
    bool good;

    gather(&f);
    if (!choose_only(&f, err) || !one_file_for_all(&f, err) ||
        (opt_text(c, OPT_RELEASE) && !context_release_known(c, opt_text(c, OPT_RELEASE), err)) ||
        (way->looks && !fleet_look(&f, err)))
        return false;
    if (way->braked)
        pass_over_unbraked(&f);
    good = run_all(&f, err);
    show_results(&f);
    good = good && sum_up(&f, err);
    for (int i = 0; i < f.n; i++)
        str_free(&f.members[i].answer);
    return good;
}

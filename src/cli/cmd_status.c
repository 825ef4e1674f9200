/* status: where each plan stands, what comes next, what it waits for and since when. */
#include "cli.h"

struct view {
    struct plan_status *items;
    int n, n_pending;
};

/* What advance would be told takes a look at the flags: only --flags asks for that. */
static bool is_decided(const struct plan_status *s)
{
    return s->decision.go || s->decision.n_refusals > 0;
}

static const char *steps_text(struct arena *a, const struct plan_status *s)
{
    return s->steps_total ? arena_printf(a, "%d of %d", s->steps_done, s->steps_total) : "";
}

static const char *next_text(struct arena *a, const struct plan_status *s)
{
    if (!s->next_phase)
        return s->pending ? "purge" : "";
    return arena_printf(a, "%s%s%s", phase_word(s->next_phase), s->next_release ? " with " : "",
                        s->next_release ? s->next_release : "");
}

static const char *percent_text(struct arena *a, const struct flag_obs *f)
{
    if (f->state == FLAG_PERCENT)
        return arena_printf(a, "%d %%", f->percent);
    return flag_state_word(f->state);
}

static void show_flags(struct context *c, const struct plan_status *s)
{
    for (int r = 0; r < FLAG_ROLES; r++) {
        const char *key = s->plan->flags[r].key.s;

        if (!key)
            continue;
        out_print(&c->out, "  flag     %s (%s): left at %d %%", key,
                  flag_role_word((enum flag_role) r), s->state.percent[r]);
        if (opt_has(c, OPT_ASK_FLAGS))
            out_print(&c->out, ", now %s%s%s", percent_text(&c->arena, &s->observed[r]),
                      s->observed[r].why ? ": " : "",
                      s->observed[r].why ? out_clean(&c->arena, s->observed[r].why, false) : "");
        out_print(&c->out, "\n");
    }
}

/* Everything about one plan that the table has no room for. */
static void show_one(struct context *c, const struct plan_status *s)
{
    struct out *o = &c->out;
    struct arena *a = &c->arena;

    out_print(o, "\n%s%s%s: %s\n", out_style(o, STYLE_BOLD), s->plan->id.s,
              out_style(o, STYLE_PLAIN), stage_word(s->state.stage));
    if (s->state.brake != BRAKE_NONE)
        out_print(o, "  %s%s%s    %s%s%s, since %s\n", out_style(o, STYLE_BAD),
                  brake_word(s->state.brake), out_style(o, STYLE_PLAIN),
                  out_clean(a, s->state.brake_reason ? s->state.brake_reason : "", false),
                  s->state.brake_by ? ", by " : "",
                  s->state.brake_by ? out_clean(a, s->state.brake_by, false) : "",
                  when_text(a, s->state.brake_since_ms));
    if (s->state.task)
        out_print(o, "  task     %s\n", out_clean(a, s->state.task, false));
    if (s->state.waiting_for) {
        out_print(o, "  waits    for %s, since %s", out_clean(a, s->state.waiting_for, false),
                  when_text(a, s->state.waiting_since_ms));
        if (s->state.waiting_holder)
            out_print(o, ", held by %s", out_clean(a, s->state.waiting_holder, false));
        if (s->state.waiting_release)
            out_print(o, ", released by %s", out_clean(a, s->state.waiting_release, false));
        if (s->state.waiting_until_ms > 0)
            out_print(o, ", until %s", when_text(a, s->state.waiting_until_ms));
        out_print(o, "\n");
    }
    if (s->state.hold_until_ms > 0 && s->state.stage == STAGE_CONTRACT_DONE)
        out_print(o, "  hold     until %s\n", when_text(a, s->state.hold_until_ms));
    if (s->edited)
        out_print(o,
                  "  edited   what was applied reads differently now: phasegate accept %s "
                  "--because TEXT\n",
                  s->plan->id.s);
    if (s->undone_by)
        out_print(o, "  undone by %s\n", s->undone_by);
    show_flags(c, s);
    if (s->pending && !s->decision.go && s->decision.n_refusals) {
        out_print(o, "  missing for the next phase:\n");
        show_refusals(c, &s->decision);
    }
    if (s->next_phase && !is_decided(s) && s->state.brake == BRAKE_NONE)
        out_print(o, "  go?      phasegate status %s --flags asks everything that advance asks\n",
                  s->plan->id.s);
    if (s->next_command)
        out_print(o, "  next     %s\n", s->next_command);
}

static void show_text(struct context *c, const struct view *v)
{
    AUTO(out_table) t = {0};

    if (v->n_pending)
        out_print(&c->out, "%s%d outstanding%s of %d %s\n", out_style(&c->out, STYLE_BOLD),
                  v->n_pending, out_style(&c->out, STYLE_PLAIN), v->n,
                  v->n == 1 ? "plan" : "plans");
    else
        out_print(&c->out, "%sup to date%s (%d %s)\n", out_style(&c->out, STYLE_GOOD),
                  out_style(&c->out, STYLE_PLAIN), v->n, v->n == 1 ? "plan" : "plans");
    if (!v->n)
        return;
    out_table_head(&t, OUT_CELLS("PLAN", "STAGE", "STEPS", "SINCE", "NEXT", "BRAKE"));
    for (int i = 0; i < v->n; i++) {
        const struct plan_status *s = &v->items[i];

        out_table_row(
            &t, OUT_CELLS(s->plan->id.s, stage_word(s->state.stage), steps_text(&c->arena, s),
                          when_text(&c->arena, s->state.stage_since_ms), next_text(&c->arena, s),
                          s->state.brake ? brake_word(s->state.brake) : ""));
        if (s->state.brake)
            out_table_style(&t, 5, STYLE_BAD);
    }
    out_table_print(&c->out, &t);
    for (int i = 0; i < v->n; i++)
        if (v->n == 1 || v->items[i].pending || opt_has(c, OPT_ASK_FLAGS))
            show_one(c, &v->items[i]);
}

static void flags_json(struct json_out *j, const struct context *c, const struct plan_status *s)
{
    json_array_begin(j, "flags");
    for (int r = 0; r < FLAG_ROLES; r++) {
        if (!s->plan->flags[r].key.s)
            continue;
        json_object_begin(j, NULL);
        json_str(j, "key", s->plan->flags[r].key.s);
        json_str(j, "role", flag_role_word((enum flag_role) r));
        json_int(j, "left_at_percent", s->state.percent[r]);
        if (opt_has(c, OPT_ASK_FLAGS)) {
            json_str(j, "state", flag_state_word(s->observed[r].state));
            json_int(j, "percent", flag_exposure(s->observed[r].state, s->observed[r].percent));
            json_str(j, "why", s->observed[r].why);
        }
        json_object_end(j);
    }
    json_array_end(j);
}

static void waiting_json(struct json_out *j, const struct plan_state *s)
{
    if (!s->waiting_for) {
        json_put_null(j, "waiting");
        return;
    }
    json_object_begin(j, "waiting");
    json_str(j, "for", s->waiting_for);
    json_str(j, "holder", s->waiting_holder);
    json_str(j, "released_by", s->waiting_release);
    when_json(j, "since", s->waiting_since_ms);
    when_json(j, "until", s->waiting_until_ms);
    json_object_end(j);
}

static void one_json(struct json_out *j, const struct context *c, const struct plan_status *s)
{
    json_object_begin(j, NULL);
    json_str(j, "plan", s->plan->id.s);
    json_str(j, "title", s->plan->title.s);
    json_str(j, "stage", stage_word(s->state.stage));
    when_json(j, "since", s->state.stage_since_ms);
    json_bool(j, "pending", s->pending);
    json_int(j, "steps_done", s->steps_done);
    json_int(j, "steps_total", s->steps_total);
    json_str(j, "next_phase", s->next_phase ? phase_word(s->next_phase) : NULL);
    json_str(j, "next_release", s->next_release);
    json_str(j, "next_command", s->next_command);
    if (is_decided(s))
        json_bool(j, "go", s->decision.go);
    else
        json_put_null(j, "go");
    refusals_json(j, "missing", &s->decision);
    json_str(j, "brake", s->state.brake ? brake_word(s->state.brake) : NULL);
    json_str(j, "brake_reason", s->state.brake_reason);
    json_str(j, "brake_by", s->state.brake_by);
    when_json(j, "brake_since", s->state.brake_since_ms);
    json_str(j, "task", s->state.task);
    waiting_json(j, &s->state);
    when_json(j, "hold_until", s->state.hold_until_ms);
    json_bool(j, "verified", s->state.verified);
    json_bool(j, "edited", s->edited);
    json_str(j, "undone_by", s->undone_by);
    flags_json(j, c, s);
    json_object_end(j);
}

static bool look(struct context *c, struct view *v, struct err *err)
{
    v->items = arena_array(&c->arena, struct plan_status, c->n_plans + 1);
    for (int i = 0; i < c->n_plans; i++) {
        const struct database_decl *decl = context_database_of(c, c->plans[i], err);
        struct engine *e;

        if (!decl)
            return false;
        if (opt_has(c, OPT_DATABASE) && strcmp(decl->name.s, opt_text(c, OPT_DATABASE)) != 0)
            continue;
        if (!context_engine(c, c->plans[i], &e, err) ||
            !engine_status(e, c->plans[i], opt_has(c, OPT_ASK_FLAGS), &c->arena, &v->items[v->n],
                           err))
            return err_note(err, "plan %s", c->plans[i]->id.s);
        v->n_pending += v->items[v->n].pending;
        v->n++;
    }
    return true;
}

bool cmd_status(struct context *c, struct err *err)
{
    struct view v = {0};

    if (!look(c, &v, err))
        return false;
    if (out_is_json(&c->out)) {
        struct json_out *j = out_json(&c->out);

        json_str(j, "environment", c->env->name.s);
        json_bool(j, "up_to_date", v.n_pending == 0);
        json_int(j, "outstanding", v.n_pending);
        json_array_begin(j, "plans");
        for (int i = 0; i < v.n; i++)
            one_json(j, c, &v.items[i]);
        json_array_end(j);
    } else
        show_text(c, &v);
    c->exit_code = opt_has(c, OPT_EXIT_CODE) && v.n_pending ? 1 : 0;
    return true;
}

/* status: where each plan stands, what comes next, what it waits for and since when. */
#include "cli.h"

struct unread { /* a plan that can't be shown */
    const char *id, *file, *why;
};

/* There may be thousands of plans: of each only what is shown of it is kept. */
struct view {
    struct out_table table;
    struct str details;        /* everything about single plans that the table has no room for */
    size_t skip;               /* bytes of details that are only for a plan that is the only one */
    int n, n_plans, n_pending; /* n: rows; a plan of a fleet has one for each database */
    const char *database;      /* of a fleet, whose row is next; NULL: the plan has only one */
    struct err out_of_reach;   /* the first database of a fleet that doesn't answer */
    struct unread *unreads;
    int n_unread;
};

static void view_auto(struct view *v)
{
    out_table_free(&v->table);
    str_free(&v->details);
    err_clear(&v->out_of_reach);
}

/* "orders-ref (shards/2)" */
static const char *row_name(struct arena *a, const struct view *v, const struct plan_status *s)
{
    return v->database ? arena_printf(a, "%s (%s)", s->plan->id.s, v->database) : s->plan->id.s;
}

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
        return !s->pending ? "" : s->state.stage == STAGE_PURGED ? "verify" : "purge";
    return arena_printf(a, "%s%s%s", phase_word(s->next_phase), s->next_release ? " with " : "",
                        s->next_release ? s->next_release : "");
}

static const char *percent_text(struct arena *a, const struct flag_obs *f)
{
    if (f->state == FLAG_PERCENT)
        return arena_printf(a, "%d %%", f->percent);
    return flag_state_word(f->state);
}

static void add_flags(const struct context *c, struct arena *a, struct str *to,
                      const struct plan_status *s)
{
    for (int r = 0; r < FLAG_ROLES; r++) {
        const char *key = s->plan->flags[r].key.s;

        if (!key)
            continue;
        str_addf(to, "  flag     %s (%s): left at %d %%", key, flag_role_word((enum flag_role) r),
                 s->state.percent[r]);
        if (opt_has(c, OPT_ASK_FLAGS))
            str_addf(to, ", now %s%s%s", percent_text(a, &s->observed[r]),
                     s->observed[r].why ? ": " : "",
                     s->observed[r].why ? out_clean(a, s->observed[r].why, false) : "");
        str_add(to, "\n");
        if (s->ahead[r].what)
            str_addf(to, "  %sdrift%s    %s\n           mend it: %s\n",
                     out_style(&c->out, STYLE_BAD), out_style(&c->out, STYLE_PLAIN),
                     out_clean(a, s->ahead[r].what, false), s->ahead[r].mend);
    }
}

static void add_brake(const struct out *o, struct arena *a, struct str *to,
                      const struct plan_state *s)
{
    if (s->brake == BRAKE_NONE)
        return;
    str_addf(to, "  %s%s%s    %s%s%s, since %s\n", out_style(o, STYLE_BAD), brake_word(s->brake),
             out_style(o, STYLE_PLAIN), out_clean(a, s->brake_reason ? s->brake_reason : "", false),
             s->brake_by ? ", by " : "", s->brake_by ? out_clean(a, s->brake_by, false) : "",
             when_text(a, s->brake_since_ms));
}

static void add_kill(const struct out *o, struct arena *a, struct str *to,
                     const struct kill_pending *k)
{
    if (k->what)
        str_addf(to,
                 "  %skilled%s    %s%s%s, at %s; the ledger hears of it from the next advance or "
                 "resume on this host\n",
                 out_style(o, STYLE_BAD), out_style(o, STYLE_PLAIN), out_clean(a, k->what, false),
                 k->by ? ", by " : "", k->by ? out_clean(a, k->by, false) : "",
                 when_text(a, k->at_ms));
}

static void add_waiting(struct arena *a, struct str *to, const struct plan_state *s)
{
    if (!s->waiting_for)
        return;
    str_addf(to, "  waits    for %s, since %s", out_clean(a, s->waiting_for, false),
             when_text(a, s->waiting_since_ms));
    if (s->waiting_holder)
        str_addf(to, ", held by %s", out_clean(a, s->waiting_holder, false));
    if (s->waiting_release)
        str_addf(to, ", released by %s", out_clean(a, s->waiting_release, false));
    if (s->waiting_until_ms > 0)
        str_addf(to, ", until %s", when_text(a, s->waiting_until_ms));
    str_add(to, "\n");
}

/* "approval contract: 1 of 2" and who said what. */
static void add_approvals(struct arena *a, struct str *to, const struct plan_status *s)
{
    const struct approvals *ap = &s->approvals;

    if (!ap->n && !ap->needed)
        return;
    str_addf(to, "  approval %s: %d of %lld%s%s\n",
             approval_word(s->next_phase, s->next_phase == PHASE_NONE), ap->given,
             (long long) ap->needed, ap->missing ? "; missing: " : "",
             ap->missing ? ap->missing : "");
    for (int i = 0; i < ap->n; i++) {
        const struct approval *w = &ap->words[i];

        str_addf(to, "           %s by %s%s%s%s, since %s%s%s\n",
                 w->refused ? "refused" : "approved", out_clean(a, w->who, false),
                 w->role ? " (" : "", w->role ? out_clean(a, w->role, false) : "",
                 w->role ? ")" : "", when_text(a, w->at_ms), w->because ? ": " : "",
                 w->because ? out_clean(a, w->because, false) : "");
    }
}

static void add_checklist(struct arena *a, struct str *to, const struct plan_status *s)
{
    const struct checklist *k = &s->checklist;

    if (!k->n || !k->is_due)
        return;
    if (k->accepted) {
        str_addf(to, "  accepted by %s, since %s (%d %s)\n", out_clean(a, k->accepted_by, false),
                 when_text(a, k->accepted_at_ms), k->n, k->n == 1 ? "item" : "items");
        return;
    }
    str_addf(to, "  open     %d of %d %s of the checklist", k->open.n, k->n,
             k->n == 1 ? "item" : "items");
    for (int i = 0; i < k->open.n; i++)
        str_addf(to, "%s%s", i ? ", " : ": ", k->open.items[i].s);
    str_addf(to, "; phasegate verify %s\n", s->plan->id.s);
}

static void add_point(struct arena *a, struct str *to, const struct restore_point *p)
{
    if (!p->name)
        return;
    str_addf(to, "  point    %s at %s, set before %s, since %s; ", p->name, p->lsn, p->phase,
             when_text(a, p->at_ms));
    if (p->archived_at_ms)
        str_addf(to, "%s is archived\n", p->segment);
    else
        str_addf(to, "%s isn't archived%s%s\n", p->segment, p->why_not ? ": " : "",
                 p->why_not ? out_clean(a, p->why_not, false) : "");
}

static void add_touches(struct arena *a, struct str *to, const struct touches *t)
{
    for (int i = 0; i < t->n; i++)
        str_addf(to, "  touched  %s\n", out_clean(a, touch_text(a, &t->items[i]), false));
    if (t->unseen)
        str_addf(to, "  unseen   who reads what is hidden: %s\n", out_clean(a, t->unseen, false));
}

/* Everything about one plan that the table has no room for. */
static void add_details(const struct context *c, struct arena *a, struct str *to, const char *name,
                        const struct plan_status *s)
{
    const struct out *o = &c->out;

    str_addf(to, "\n%s%s%s: %s\n", out_style(o, STYLE_BOLD), name, out_style(o, STYLE_PLAIN),
             stage_word(s->state.stage));
    add_brake(o, a, to, &s->state);
    add_kill(o, a, to, &s->kill);
    if (s->state.task)
        str_addf(to, "  task     %s%s\n", out_clean(a, s->state.task, false),
                 s->rows_done ? arena_printf(a, ": %lld of about %lld rows",
                                             (long long) s->rows_done, (long long) s->rows_total)
                              : "");
    if (s->fill_paused_by)
        str_addf(to, "  paused   its backfill, by %s; go on: phasegate backfill %s resume\n",
                 out_clean(a, s->fill_paused_by, false), s->plan->id.s);
    if (s->fill_reason)
        str_addf(to, "  waits    its backfill: %s\n", out_clean(a, s->fill_reason, false));
    if (s->state.brake == BRAKE_NONE && !s->kill.what)
        add_waiting(a, to, &s->state);
    if (s->state.hold_until_ms > 0 && s->state.stage == STAGE_CONTRACT_DONE)
        str_addf(to, "  hold     until %s\n", when_text(a, s->state.hold_until_ms));
    add_point(a, to, &s->point);
    add_touches(a, to, &s->touches);
    if (s->edited)
        str_addf(to,
                 "  edited   step %s of %s reads differently from what was applied (%s:%d): undo "
                 "the edit, or: phasegate accept %s --because TEXT\n",
                 s->edit.step, s->edit.phase, s->edit.at.file, s->edit.at.line, s->plan->id.s);
    if (s->sync_broken)
        str_addf(to, "  sync     %s (%s:%d)\n", out_clean(a, s->sync_broken, false),
                 s->plan->sync.at.file, s->plan->sync.at.line);
    if (s->untold.text)
        str_addf(to, "  told     %s, %s\n", out_clean(a, s->untold.text, false),
                 when_text(a, s->untold.at_ms));
    if (s->undone_by)
        str_addf(to, "  undone by %s\n", s->undone_by);
    add_checklist(a, to, s);
    add_approvals(a, to, s);
    add_flags(c, a, to, s);
    if (s->pending && !s->decision.go && s->decision.n_refusals) {
        str_addf(to, "  missing for the %s:\n", s->next_phase ? "next phase" : "purge");
        refusals_text(o, a, to, &s->decision);
    }
    if (s->next_phase && !is_decided(s) && s->state.brake == BRAKE_NONE)
        str_addf(to, "  go?      phasegate status %s --flags asks everything that advance asks\n",
                 s->plan->id.s);
    if (s->next_command)
        str_addf(to, "  next     %s\n", s->next_command);
}

static void add_text(const struct context *c, struct arena *a, struct view *v,
                     const struct plan_status *s)
{
    bool wanted = s->pending || opt_has(c, OPT_ASK_FLAGS);

    out_table_row(&v->table,
                  OUT_CELLS(row_name(a, v, s), stage_word(s->state.stage), steps_text(a, s),
                            when_text(a, s->state.stage_since_ms), next_text(a, s),
                            s->state.brake ? brake_word(s->state.brake)
                            : s->kill.what ? brake_word(BRAKE_KILLED)
                                           : ""));
    if (s->state.brake || s->kill.what)
        out_table_style(&v->table, 5, STYLE_BAD);
    if (wanted || v->n == 0)
        add_details(c, a, &v->details, row_name(a, v, s), s);
    if (!wanted && v->n == 0)
        v->skip = v->details.len;
}

static void show_text(struct context *c, const struct view *v)
{
    if (v->n_unread && !v->n)
        return;
    if (v->n_pending)
        out_print(&c->out, "%s%d outstanding%s of %d %s\n", out_style(&c->out, STYLE_BOLD),
                  v->n_pending, out_style(&c->out, STYLE_PLAIN), v->n_plans,
                  v->n_plans == 1 ? "plan" : "plans");
    else
        out_print(&c->out, "%sup to date%s (%d %s)\n", out_style(&c->out, STYLE_GOOD),
                  out_style(&c->out, STYLE_PLAIN), v->n_plans, v->n_plans == 1 ? "plan" : "plans");
    if (!v->n)
        return;
    out_table_print(&c->out, &v->table);
    out_print(&c->out, "%s", str_text(&v->details) + (v->n == 1 ? 0 : v->skip));
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
            json_str(j, "drift", s->ahead[r].what);
            json_str(j, "mend", s->ahead[r].mend);
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

static void approvals_json(struct json_out *j, const struct approvals *ap)
{
    json_int(j, "approvals_needed", ap->needed);
    json_int(j, "approvals_given", ap->given);
    json_str(j, "approvals_missing", ap->missing);
    json_array_begin(j, "approvals");
    for (int i = 0; i < ap->n; i++) {
        json_object_begin(j, NULL);
        json_str(j, "who", ap->words[i].who);
        json_str(j, "role", ap->words[i].role);
        json_bool(j, "refused", ap->words[i].refused);
        json_str(j, "because", ap->words[i].because);
        when_json(j, "at", ap->words[i].at_ms);
        json_object_end(j);
    }
    json_array_end(j);
}

static void touches_json(struct json_out *j, const struct touches *t)
{
    json_array_begin(j, "touches");
    for (int i = 0; i < t->n; i++) {
        const struct touch *k = &t->items[i];
        json_object_begin(j, NULL);
        json_str(j, "kind", k->operation ? "write" : "read");
        json_str(j, "object", k->object);
        json_str(j, "step", k->step);
        json_str(j, "operation", k->operation);
        json_str(j, "role", k->role);
        json_str(j, "application", k->application);
        json_int(j, "count", k->count);
        when_json(j, "first_at", k->first_ms);
        when_json(j, "last_at", k->last_ms);
        json_str(j, "statement", k->statement);
        json_bool(j, "perhaps", k->perhaps);
        json_object_end(j);
    }
    json_array_end(j);
    json_str(j, "reads_unseen", t->unseen);
}

static void checklist_json(struct json_out *j, const struct checklist *k)
{
    if (!k->n) {
        json_put_null(j, "checklist");
        return;
    }
    json_object_begin(j, "checklist");
    json_int(j, "items", k->n);
    json_bool(j, "due", k->is_due);
    json_bool(j, "accepted", k->accepted);
    json_str(j, "accepted_by", k->accepted_by);
    when_json(j, "accepted_at", k->accepted_at_ms);
    json_array_begin(j, "open");
    for (int i = 0; i < k->open.n; i++)
        json_str(j, NULL, k->open.items[i].s);
    json_array_end(j);
    json_object_end(j);
}

static void one_json(struct json_out *j, const struct context *c, const char *database,
                     const struct plan_status *s)
{
    json_object_begin(j, NULL);
    json_str(j, "plan", s->plan->id.s);
    json_str(j, "database", database);
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
    json_str(j, "kill_pending", s->kill.what);
    json_str(j, "kill_pending_by", s->kill.by);
    when_json(j, "kill_pending_at", s->kill.at_ms);
    json_str(j, "task", s->state.task);
    waiting_json(j, &s->state);
    when_json(j, "hold_until", s->state.hold_until_ms);
    touches_json(j, &s->touches);
    json_bool(j, "verified", s->state.verified);
    json_bool(j, "edited", s->edited);
    json_str(j, "edited_step", s->edited ? s->edit.step : NULL);
    json_str(j, "sync_broken", s->sync_broken);
    if (s->rows_done) {
        json_int(j, "rows_done", s->rows_done);
        json_int(j, "rows_total", s->rows_total);
    } else {
        json_put_null(j, "rows_done");
        json_put_null(j, "rows_total");
    }
    json_str(j, "backfill_paused_by", s->fill_paused_by);
    json_str(j, "backfill_reason", s->fill_reason);
    json_str(j, "not_told", s->untold.text);
    when_json(j, "not_told_at", s->untold.text ? s->untold.at_ms : 0);
    json_str(j, "undone_by", s->undone_by);
    checklist_json(j, &s->checklist);
    restore_point_json(j, "restore_point", s->point.name ? &s->point : NULL);
    approvals_json(j, &s->approvals);
    flags_json(j, c, s);
    json_object_end(j);
}

struct row {
    struct plan *plan;
    const struct database_decl *database;
    struct arena *a;
    struct view *v;
    bool pending;
};

static bool add_row(struct context *c, struct engine *e, void *ctx, struct err *err)
{
    struct row *r = ctx;
    struct plan_status status;
    struct plan room, *whole;

    if (!(whole = context_read_plan(&c->set, r->plan, r->a, &room, err)) ||
        !engine_status(e, whole, opt_has(c, OPT_ASK_FLAGS), r->a, &status, err))
        return false;
    if (out_is_json(&c->out))
        one_json(out_json(&c->out), c, r->database->name.s, &status);
    else
        add_text(c, r->a, r->v, &status);
    r->pending |= status.pending;
    r->v->n++;
    return true;
}

static bool is_wanted(const struct context *c, const struct database_decl *d)
{
    const char *only = opt_text(c, OPT_DATABASE);

    return !only || strcmp(d->name.s, only) == 0 ||
           (d->fleet && strcmp(d->fleet->name.s, only) == 0);
}

/* One database that doesn't answer keeps nobody from seeing where the others are. */
static void out_of_reach(struct context *c, struct row *r, struct err *err)
{
    struct view *v = r->v;

    out_warn(&c->out, "plan %s (%s): %s", r->plan->id.s, v->database, str_text(&err->message));
    if (!out_is_json(&c->out)) {
        out_table_row(&v->table,
                      OUT_CELLS(arena_printf(r->a, "%s (%s)", r->plan->id.s, v->database),
                                "out of reach", "", "", "", ""));
        out_table_style(&v->table, 1, STYLE_BAD);
    }
    v->n++;
    if (v->out_of_reach.kind == ERR_NONE)
        err_move(&v->out_of_reach, err);
    err_clear(err);
}

static bool add_fleet(struct context *c, struct row *r, const struct database_decl *fleet,
                      struct err *err)
{
    for (int i = 0; i < c->env->n_databases; i++) {
        const struct database_decl *d = &c->env->databases[i];

        if (d->fleet != fleet || !is_wanted(c, d))
            continue;
        r->database = d;
        r->v->database = d->name.s;
        if (context_in_database(c, d, add_row, r, err))
            continue;
        if (!err_is(err, ERR_UNREACHABLE))
            return false;
        out_of_reach(c, r, err);
    }
    r->v->database = NULL;
    return true;
}

static bool add_plan(struct context *c, struct plan *p, const struct database_decl *d,
                     struct arena *a, struct view *v, struct err *err)
{
    struct row r = {.plan = p, .database = d, .a = a, .v = v};

    if (!(d->fleet ? add_fleet(c, &r, d->fleet, err) : context_in_database(c, d, add_row, &r, err)))
        return err_note(err, "plan %s", p->id.s);
    v->n_plans++;
    v->n_pending += r.pending;
    return true;
}

static void add_unread(struct context *c, struct view *v, const char *id, const char *file,
                       const char *why)
{
    v->unreads = arena_grow(&c->arena, v->unreads, sizeof *v->unreads * (size_t) v->n_unread,
                            sizeof *v->unreads * (size_t) (v->n_unread + 1));
    v->unreads[v->n_unread++] = (struct unread) {id, file, arena_strdup(&c->arena, why)};
}

static const struct database_decl *first_database(struct context *c, const struct plan *p,
                                                  struct err *err)
{
    const struct database_decl *fleet = context_fleet_of(c, p);

    for (int i = 0; fleet && i < c->env->n_databases; i++)
        if (c->env->databases[i].fleet == fleet)
            return &c->env->databases[i];
    return context_database_of(c, p, err);
}

static bool look(struct context *c, struct view *v, struct err *err)
{
    AUTO(arena) one = {0};

    for (int i = 0; i < c->n_plans; i++, arena_reset(&one)) {
        const struct database_decl *decl = first_database(c, c->plans[i], err);

        if (!decl)
            return false;
        if (!decl->fleet && !is_wanted(c, decl))
            continue;
        if (add_plan(c, c->plans[i], decl, &one, v, err))
            continue;
        /* Another plan's mistake keeps nobody from seeing the rest. */
        if (!err_is(err, ERR_INPUT) || c->line.n_args)
            return false;
        add_unread(c, v, c->plans[i]->id.s, c->plans[i]->file, str_text(&err->message));
        err_clear(err);
    }
    for (int i = 0; !c->line.n_args && i < c->set.n_spared; i++)
        add_unread(c, v, c->set.spared[i].id, c->set.spared[i].file, c->set.spared[i].why);
    return true;
}

/* In the ledger, and in no file: what nobody sees any more isn't up to date. */
static bool add_lost(struct context *c, struct engine *e, void *ctx, struct err *err)
{
    struct view *v = ctx;
    struct plan_state *lost = NULL;
    int n = 0;

    if (!engine_lost(e, &c->arena, &lost, &n, err))
        return false;
    for (int i = 0; i < n; i++) {
        const struct plan_state *s = &lost[i];

        if (out_is_json(&c->out)) {
            struct json_out *j = out_json(&c->out);
            json_object_begin(j, NULL);
            json_str(j, "plan", s->plan);
            json_str(j, "stage", stage_word(s->stage));
            when_json(j, "since", s->stage_since_ms);
            json_object_end(j);
        } else {
            out_table_row(&v->table,
                          OUT_CELLS(s->plan, stage_word(s->stage), "",
                                    when_text(&c->arena, s->stage_since_ms), "no file has it",
                                    s->brake ? brake_word(s->brake) : ""));
            str_addf(&v->details,
                     "\n%s%s%s: %s, and no file has it\n  lost     bring its file back, or give it "
                     "its name back (plan: %s) if it was renamed\n",
                     out_style(&c->out, STYLE_BOLD), s->plan, out_style(&c->out, STYLE_PLAIN),
                     stage_word(s->stage), s->plan);
        }
        v->n_pending++;
        v->n_plans++;
        v->n++;
    }
    return true;
}

static bool look_for_lost(struct context *c, struct view *v, struct err *err)
{
    if (c->line.n_args || !c->env->n_databases)
        return true;
    if (v->out_of_reach.kind == ERR_NONE)
        return context_each_database(c, add_lost, v, err);
    /* That one of a fleet doesn't answer was said already. */
    for (int i = 0; i < c->env->n_databases; i++) {
        const struct database_decl *d = &c->env->databases[i];
        AUTO(err) one = {0};

        if (!is_wanted(c, d) || context_in_database(c, d, add_lost, v, &one))
            continue;
        if (!d->fleet || !err_is(&one, ERR_UNREACHABLE)) {
            err_move(err, &one);
            return false;
        }
    }
    return true;
}

static bool look_json(struct context *c, struct view *v, struct err *err)
{
    struct json_out *j = out_json(&c->out);

    json_str(j, "environment", c->env->name.s);
    json_array_begin(j, "plans");
    if (!look(c, v, err)) {
        out_json_drop(&c->out);
        return false;
    }
    json_array_end(j);
    json_array_begin(j, "lost");
    if (!look_for_lost(c, v, err)) {
        out_json_drop(&c->out);
        return false;
    }
    json_array_end(j);
    json_array_begin(j, "unreadable");
    for (int i = 0; i < v->n_unread; i++) {
        json_object_begin(j, NULL);
        json_str(j, "plan", v->unreads[i].id);
        json_str(j, "file", v->unreads[i].file);
        json_str(j, "why", v->unreads[i].why);
        json_object_end(j);
    }
    json_array_end(j);
    json_bool(j, "up_to_date", v->n_pending == 0 && v->n_unread == 0);
    json_int(j, "outstanding", v->n_pending);
    return true;
}

/* Exit code 2, behind what could be shown. */
static bool unread(struct context *c, const struct view *v, struct err *err)
{
    if (out_is_json(&c->out) && c->problems.n)
        context_show_problems(c, &c->problems);
    for (int i = 0; i < v->n_unread; i++)
        if (!out_is_json(&c->out))
            out_warn(&c->out, "plan %s isn't shown: %s", v->unreads[i].id, v->unreads[i].why);
    err_set(err, ERR_INPUT, "%d plan %s can't be read", v->n_unread,
            v->n_unread == 1 ? "file" : "files");
    return err_hint(err, "mend %s, then: phasegate check", v->n_unread == 1 ? "it" : "them");
}

bool cmd_status(struct context *c, struct err *err)
{
    AUTO(view) v = {.details.ceiling = (size_t) 1 << 30};
    bool json = out_is_json(&c->out);

    out_table_head(&v.table, OUT_CELLS("PLAN", "STAGE", "STEPS", "SINCE", "NEXT", "BRAKE"));
    if (!(json ? look_json(c, &v, err) : look(c, &v, err) && look_for_lost(c, &v, err)))
        return false;
    if (!json)
        show_text(c, &v);
    c->exit_code = opt_has(c, OPT_EXIT_CODE) && v.n_pending ? 1 : 0;
    if (v.n_unread)
        return unread(c, &v, err);
    if (v.out_of_reach.kind != ERR_NONE) {
        err_move(err, &v.out_of_reach);
        return false;
    }
    return true;
}

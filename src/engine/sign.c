/* What people sign: edits of applied steps, approvals. */
#include "internal.h"

static const struct step *find_step(const struct plan *p, const char *phase, const char *id)
{
    enum phase ph = phase_from_word(phase);

    if (ph == PHASE_NONE)
        return NULL;
    const struct phase_plan *pp = &p->phases[ph];
    if (strncmp(id, "purge/", 6) == 0)
        id += 6;
    bool finish = strncmp(id, "finish/", 7) == 0;
    const struct step_list *l = finish ? &pp->finish : &pp->steps;
    for (int i = 0; i < l->n; i++)
        if (strcmp(l->items[i].id.s, finish ? id + 7 : id) == 0)
            return &l->items[i];
    return NULL;
}

static const char *text_of(struct arena *a, const struct step *s)
{
    AUTO(str) t = {0};

    if (s->sql.s)
        str_add(&t, s->sql.s);
    for (int i = 0; i < s->command.n; i++)
        str_addf(&t, "%s%s", i ? " " : "command: ", s->command.items[i].s);
    return arena_strdup(a, str_text(&t));
}

static bool counts(const struct history_row *r)
{
    static const char *const applied[] = {"done", "skipped", "started", "not_applicable",
                                          "accepted"};

    if (strcmp(r->kind, "step") != 0 && strcmp(r->kind, "soft drop") != 0 &&
        strcmp(r->kind, "purge") != 0)
        return false;
    for (size_t i = 0; i < sizeof applied / sizeof applied[0]; i++)
        if (strcmp(r->status, applied[i]) == 0)
            return true;
    return false;
}

bool plan_has_step(const struct plan *p, const struct history_row *row)
{
    const struct step *s =
        counts(row) && row->checksum ? find_step(p, row->phase, row->step) : NULL;

    return s && s->checksum && strcmp(s->checksum, row->checksum) == 0;
}

/* A step that was applied and has gone from the plan, or reads differently. */
bool engine_edits(struct engine *e, struct plan *p, struct arena *a, struct edit **out, int *out_n,
                  struct err *err)
{
    struct history_row *rows = NULL;
    int n = 0;

    *out = NULL;
    *out_n = 0;
    if (!e->facts(e->set, p, err))
        return false;
    if (!e->has_ledger)
        return true;
    if (!ledger_steps(e->db, a, p->id.s, &rows, &n, err))
        return false;
    *out = arena_array(a, struct edit, n + 1);
    for (int i = 0; i < n; i++) {
        const struct step *s;
        if (!counts(&rows[i]) || !rows[i].checksum)
            continue;
        s = find_step(p, rows[i].phase, rows[i].step);
        if (s && strcmp(s->checksum, rows[i].checksum) == 0)
            continue;
        struct edit *ed = &(*out)[(*out_n)++];
        ed->phase = rows[i].phase;
        ed->step = rows[i].step;
        ed->recorded_checksum = rows[i].checksum;
        ed->checksum = s ? s->checksum : "gone";
        ed->recorded_sql = rows[i].sql;
        ed->sql = s ? text_of(a, s) : NULL;
        ed->applied_by = rows[i].applied_by;
        ed->applied_at_ms = rows[i].applied_at_ms;
        ed->at = s ? s->at : (struct pos) {.file = p->file};
    }
    return true;
}

bool engine_accept(struct engine *e, struct plan *p, const char *because, struct arena *a,
                   struct edit **out, int *out_n, struct err *err)
{
    static const struct advance_options none;
    struct work w;
    bool ok = work_open(&w, e, p, &none, a, err) && engine_edits(e, p, a, out, out_n, err);

    for (int i = 0; ok && i < *out_n; i++) {
        const struct edit *ed = &(*out)[i];
        const struct history_row *before;
        w.phase = phase_from_word(ed->phase);
        before = work_step_row(&w, ed->step);
        struct history_row *r = history_new(&w, before ? before->kind : "step", ed->step,
                                            before ? before->status : "done");
        r->description = arena_printf(a, "edit accepted: %s", because);
        r->checksum = ed->checksum;
        r->sql = ed->sql;
        r->undo_sql = before ? before->undo_sql : NULL;
        r->detail = before ? before->detail : NULL;
        /* A step that has gone from the plan has nothing left to be compared with. */
        if (!ed->sql)
            r->checksum = NULL;
        ok = ledger_history_append(e->db, r, err);
    }
    AUTO(err) ignored = {0};
    if (db_is_usable(e->db))
        (void) !lease_release(e->db, &ignored);
    return ok;
}

/* "alice" in the list is alice@any-host as the actor. */
static bool is_entry(const struct pair *entry, const char *who)
{
    size_t n = strlen(entry->value.s);

    return strncmp(who, entry->value.s, n) == 0 && (who[n] == '\0' || who[n] == '@');
}

/* role NULL: any. Where the policy names nobody, everybody is one. */
static bool may_approve(const struct policy *pol, const char *role, const char *who)
{
    for (int i = 0; i < pol->approvers.n; i++)
        if ((!role || strcmp(pol->approvers.items[i].key.s, role) == 0) &&
            is_entry(&pol->approvers.items[i], who))
            return true;
    return pol->approvers.n == 0;
}

/* One person from two hosts is one person, where the policy knows them. */
static const char *person_of(const struct policy *pol, const char *who)
{
    for (int i = 0; i < pol->approvers.n; i++)
        if (is_entry(&pol->approvers.items[i], who))
            return pol->approvers.items[i].value.s;
    return who;
}

const char *approvers_text(struct arena *a, const struct policy *pol)
{
    AUTO(str) names = {0};

    for (int i = 0; i < pol->approvers.n; i++)
        str_addf(&names, "%s%s (%s)", i ? ", " : ": ", pol->approvers.items[i].value.s,
                 pol->approvers.items[i].key.s);
    return arena_strdup(a, str_text(&names));
}

/* A person's newest word counts: who refused lifts it, and nobody else. */
static void keep_newest(const struct policy *pol, const struct approval *ap, struct approvals *out)
{
    for (int i = 0; i < out->n; i++)
        if (strcmp(person_of(pol, out->words[i].who), person_of(pol, ap->who)) == 0) {
            out->words[i] = *ap;
            return;
        }
    out->words[out->n++] = *ap;
}

bool approvals_read(struct work *w, enum phase phase, const char *role, struct approvals *out,
                    struct err *err)
{
    const struct policy *pol = &w->e->policy;
    const char *checksum = w->p->phase_checksum[phase];
    struct approval *all = NULL;
    int n = 0;

    memset(out, 0, sizeof *out);
    out->needed = pol->approvals[phase] > 0 ? pol->approvals[phase] : 0;
    if (w->e->has_ledger && !ledger_approvals(w->e->db, w->a, w->p->id.s, &all, &n, err))
        return false;
    out->words = arena_array(w->a, struct approval, n + 1);
    for (int i = 0; i < n; i++)
        if (checksum && strcmp(all[i].phase, phase_word(phase)) == 0 &&
            strcmp(all[i].checksum, checksum) == 0)
            keep_newest(pol, &all[i], out);
    for (int i = 0; i < out->n; i++) {
        const struct approval *ap = &out->words[i];
        /* Who isn't an approver any more has no say, either way. */
        if (!may_approve(pol, ap->role, ap->who))
            continue;
        if (ap->refused)
            out->refused = ap;
        else if (!role || (ap->role && strcmp(ap->role, role) == 0))
            out->given++;
    }
    return true;
}

static bool sign(struct work *w, enum phase phase, const char *role, const char *because,
                 bool refuse, struct err *err)
{
    struct engine *e = w->e;
    struct approval ap = {.plan = w->p->id.s,
                          .phase = phase_word(phase),
                          .checksum = w->p->phase_checksum[phase],
                          .role = role,
                          .who = e->actor,
                          .because = because,
                          .refused = refuse,
                          .at_ms = now_ms(e),
                          .host = e->ports->host->ops->hostname(e->ports->host)};

    w->phase = phase;
    struct history_row *r = history_new(w, "approval", phase_word(phase), "note");
    r->checksum = ap.checksum;
    r->description = arena_printf(w->a, "%s by %s%s%s", refuse ? "refused" : "approved", e->actor,
                                  because ? ": " : "", because ? because : "");
    return ledger_approval_add(e->db, &ap, err) && ledger_history_append(e->db, r, err);
}

/* The lease is only taken to make the ledger: an advance holds it while it waits for this very signature. */
static bool sign_first(struct work *w, enum phase phase, const char *role, const char *because,
                       bool refuse, struct err *err)
{
    static const struct advance_options none;
    struct engine *e = w->e;
    AUTO(err) ignored = {0};
    bool ok = work_open(w, e, w->p, &none, w->a, err) && sign(w, phase, role, because, refuse, err);

    if (db_is_usable(e->db))
        (void) !lease_release(e->db, &ignored);
    return ok;
}

bool engine_approve(struct engine *e, struct plan *p, enum phase phase, const char *role,
                    const char *because, bool refuse, struct err *err)
{
    AUTO(arena) a = {0};
    struct work w = {.e = e, .p = p, .a = &a};

    if (!may_approve(&e->policy, role, e->actor)) {
        err_set(err, ERR_REFUSED, "%s may not approve%s%s", e->actor, role ? " as " : "",
                role ? role : "");
        err_detail(err, "policy.approvers names%s.", approvers_text(&a, &e->policy));
        err_hint(err, "phasegate --as NAME approve %s %s%s, by one of them", p->id.s,
                 phase_word(phase), role ? " --role ROLE" : "");
        return err_reason(err, "not_an_approver");
    }
    if (!p->phases[phase].present)
        return err_set(err, ERR_USAGE, "plan %s has no %s", p->id.s, phase_word(phase));
    if (!e->facts(e->set, p, err))
        return false;
    if (!e->has_ledger)
        return sign_first(&w, phase, role, because, refuse, err);
    return work_reload(&w, err) && sign(&w, phase, role, because, refuse, err);
}

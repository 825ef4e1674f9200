/* Edits of applied steps, and who signs them. Approvals: approve.c. */
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

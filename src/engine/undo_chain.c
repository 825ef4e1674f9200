/* The way back of a phase as a whole: written down with the row that begins it, looked at before anything goes back. */
#include "internal.h"

#include <jansson.h>
#include <stdlib.h>

/* ---- what is stored when a phase begins ------------------------------------------------------------------- */

static const char *sync_undo_text(struct work *w)
{
    struct sql_list l;
    AUTO(str) text = {0};

    sync_remove_sql(w->a, w->p, &l);
    for (int i = 0; i < l.n; i++)
        str_addf(&text, "%s%s", i ? ";\n" : "", l.items[i]);
    return arena_strdup(w->a, str_text(&text));
}

/* What a soft drop will have to be brought back with is for the catalogue of that moment to say: it is stored with
 * the drop, in its transaction. */
static const char *undo_text_of(struct work *w, const struct task *t, const char **kind)
{
    const char *text = NULL, *json = NULL;
    AUTO(err) none = {0}; /* nothing is asked */

    *kind = "lossless";
    if (t->kind == TASK_SYNC_INSTALL)
        return sync_undo_text(w);
    if (t->kind == TASK_SOFT_DROP)
        return NULL;
    *kind = step_reversibility(t->step);
    (void) !step_undo_json(w, t->step, false, &json, &text, &none);
    return text;
}

static bool is_link(const struct task *t)
{
    return t->kind == TASK_STEP || t->kind == TASK_SYNC_INSTALL || t->kind == TASK_SOFT_DROP;
}

/* The chain in the order in which it would run, its last step first. */
void undo_chain_store(struct work *w, struct history_row *r)
{
    AUTO(str) text = {0};
    struct script s;
    json_t *chain = json_array();

    plan_script(w->a, w->p, w->phase, false, &s);
    for (int i = s.n - 1; i >= 0; i--) {
        const char *kind, *sql;
        if (!is_link(&s.tasks[i]))
            continue;
        sql = undo_text_of(w, &s.tasks[i], &kind);
        json_array_append_new(chain, json_pack("{s:s, s:s, s:s?}", "step", s.tasks[i].id,
                                               "reversibility", kind, "undo", sql));
        if (sql)
            str_addf(&text, "%s%s", text.len ? ";\n" : "", sql);
    }
    json_t *detail = json_pack("{s:o}", "chain", chain);
    char *dumped = json_dumps(detail, JSON_COMPACT);
    r->detail = arena_strdup(w->a, dumped);
    r->undo_sql = text.len ? arena_strdup(w->a, str_text(&text)) : NULL;
    free(dumped);
    json_decref(detail);
}

/* ---- reading it ------------------------------------------------------------------------------------------------- */

struct chain {
    bool is_begun;      /* a row says so */
    const char **steps; /* the first to be undone first */
    int n;
};

static void chain_of_plan(struct work *w, struct chain *out)
{
    struct script s;

    plan_script(w->a, w->p, w->phase, false, &s);
    out->steps = arena_array(w->a, const char *, s.n + 1);
    for (int i = s.n - 1; i >= 0; i--)
        if (is_link(&s.tasks[i]))
            out->steps[out->n++] = s.tasks[i].id;
}

static bool chain_read(struct work *w, struct chain *out, struct err *err)
{
    struct history_row row = {0};
    size_t i;
    json_t *link;

    memset(out, 0, sizeof *out);
    if (!ledger_undo_chain(w->e->db, w->a, w->p->id.s, phase_word(w->phase), &row, err))
        return false;
    out->is_begun = row.seq > 0;
    json_t *o = row.detail ? json_loads(row.detail, 0, NULL) : NULL;
    json_t *list = json_object_get(o, "chain");
    if (!list)
        chain_of_plan(w, out);
    else
        out->steps = arena_array(w->a, const char *, json_array_size(list) + 1);
    json_array_foreach(list, i, link)
    {
        const char *step = json_string_value(json_object_get(link, "step"));
        if (step)
            out->steps[out->n++] = arena_strdup(w->a, step);
    }
    json_decref(o);
    return true;
}

struct placed {
    const struct history_row *row;
    int place; /* in the chain; -1: not in it */
};

static int first_undone(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;

    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    return x->row->seq < y->row->seq ? 1 : x->row->seq > y->row->seq ? -1 : 0;
}

bool undo_order(struct work *w, const struct history_row ***out, struct err *err)
{
    struct placed *list = arena_array(w->a, struct placed, w->n_steps + 1);
    struct chain c;

    if (!chain_read(w, &c, err))
        return false;
    *out = arena_array(w->a, const struct history_row *, w->n_steps + 1);
    for (int i = 0; i < w->n_steps; i++) {
        list[i] = (struct placed) {&w->steps[i], -1};
        for (int k = 0; k < c.n; k++)
            if (strcmp(c.steps[k], w->steps[i].step) == 0)
                list[i].place = k;
    }
    qsort(list, (size_t) w->n_steps, sizeof *list, first_undone);
    for (int i = 0; i < w->n_steps; i++)
        (*out)[i] = list[i].row;
    return true;
}

/* ---- the gate before going back ----------------------------------------------------------------------------------- */

static void broken(struct work *w, struct fact *f, const char *what)
{
    fact_no(f, what,
            arena_printf(w->a,
                         "phasegate history --verify says what was changed; forward instead: "
                         "phasegate new NAME --compensates %s",
                         w->p->id.s));
}

static bool look_unchanged(struct work *w, struct fact *f, struct err *err)
{
    const char *step = NULL;
    int64_t seq = 0;

    if (!ledger_undo_changed(w->e->db, w->a, w->p->id.s, phase_word(w->phase), &seq, &step, err))
        return false;
    if (seq)
        broken(w, f,
               arena_printf(w->a,
                            "the undo of %s isn't what was stored: row %lld of the journal (%s) "
                            "was changed",
                            phase_word(w->phase), (long long) seq, step));
    return true;
}

/* Of a phase that stopped halfway only what came before its last row must be there. */
static const char *missing_step(const struct work *w, const struct chain *c)
{
    bool later = !stage_is_running(w->state.stage) && !stage_is_undoing(w->state.stage);

    for (int i = 0; i < c->n; i++) {
        if (work_step_row(w, c->steps[i]))
            later = true;
        else if (later)
            return c->steps[i];
    }
    return NULL;
}

static bool look_whole(struct work *w, struct fact *f, struct err *err)
{
    const char *missing, *release = w->p->phases[w->phase].release.s;
    struct chain c;

    if (!chain_read(w, &c, err))
        return false;
    missing = missing_step(w, &c);
    if (c.is_begun && !missing)
        return true;
    fact_no(
        f,
        c.is_begun
            ? arena_printf(w->a, "the journal has no row of step %s of %s: its undo is lost",
                           missing, phase_word(w->phase))
            : arena_printf(w->a, "the journal has no row of the beginning of %s: its undo is lost",
                           phase_word(w->phase)),
        arena_printf(w->a,
                     "phasegate advance %s --release %s --force looks at every step again; what "
                     "is in place without a row then stays",
                     w->p->id.s, release ? release : "V"));
    return true;
}

static bool is_readable(const char *detail)
{
    json_t *o = detail ? json_loads(detail, 0, NULL) : NULL;
    json_t *list = json_object_get(o, "undo"), *item;
    bool good = json_array_size(list) > 0;
    size_t i;

    json_array_foreach(list, i, item) good &= json_is_string(json_object_get(item, "sql"));
    json_decref(o);
    return good;
}

/* A sync trigger of an older version has no list: it is generated. A soft drop has its statements beside it. */
static void look_readable(struct work *w, struct fact *f)
{
    for (int i = 0; i < w->n_steps && f->holds; i++) {
        const struct history_row *r = &w->steps[i];
        bool has_list = strcmp(r->kind, task_kind_word(TASK_STEP)) == 0 ||
                        (strcmp(r->kind, task_kind_word(TASK_SYNC_INSTALL)) == 0 && r->detail);

        if (strcmp(r->phase, phase_word(w->phase)) == 0 && undo_covers(r) && has_list &&
            r->undo_sql && !is_readable(r->detail))
            broken(w, f,
                   arena_printf(w->a, "the undo of step %s can't be read (row %lld of the journal)",
                                r->step, (long long) r->seq));
    }
}

/* The statements lie in a table that can be changed; the journal has them too. */
static bool look_soft_drops(struct work *w, struct fact *f, struct err *err)
{
    struct soft_drop *d = NULL;
    int n = 0;

    if (w->phase != PHASE_CONTRACT)
        return true;
    if (!ledger_soft_drops(w->e->db, w->a, w->p->id.s, &d, &n, err))
        return false;
    for (int i = 0; i < n && f->holds; i++) {
        const struct history_row *r = work_step_row(w, d[i].step);
        if (d[i].restored_at_ms || d[i].purged_at_ms || !r || !r->undo_sql || !undo_covers(r))
            continue;
        if (strcmp(r->undo_sql, d[i].restore_sql) != 0)
            broken(w, f,
                   arena_printf(w->a,
                                "what brings %s %s back isn't what was stored: restore_sql of "
                                "phasegate.soft_drop was changed (step %s)",
                                d[i].object_kind, d[i].original_name, d[i].step));
    }
    return true;
}

bool undo_chain_look(struct work *w, struct fact *f, struct err *err)
{
    fact_yes(f);
    if (!look_unchanged(w, f, err) || (f->holds && !look_whole(w, f, err)))
        return false;
    if (f->holds)
        look_readable(w, f);
    return !f->holds || look_soft_drops(w, f, err);
}

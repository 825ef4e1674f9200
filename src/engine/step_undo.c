/* The way back of a step, as it is stored with the journal row of its run. */
#include "internal.h"

#include "phasegate/load.h"

#include <jansson.h>

/* A statement that commits by itself may have run when its journal row is missing: done_when tells. */
static bool undo_item(json_t *list, struct str *readable, const char *sql, bool standalone,
                      const char *done_when, const struct sql_stmt *half)
{
    json_t *item = json_pack("{s:s, s:b, s:s*, s:s*, s:s*}", "sql", sql, "standalone", standalone,
                             "done_when", standalone ? done_when : NULL, "half_made_when",
                             standalone ? half->half_made_when : NULL, "clean_up",
                             standalone ? half->clean_up : NULL);

    str_addf(readable, "%s%s", readable->len ? ";\n" : "", sql);
    /* A text of the catalogue may be no UTF-8: a list that lacks it is no way back. */
    return json_array_append_new(list, item) == 0;
}

static bool undo_of_text(json_t *list, struct str *readable, const struct sql_stmt *stmts, int n,
                         bool standalone)
{
    bool whole = true;

    for (int i = 0; i < n; i++) {
        const struct sql_stmt *u = &stmts[i];
        whole &= undo_item(list, readable, u->sql, standalone || u->standalone, u->applied_when, u);
    }
    return whole;
}

/* *whole false: the catalogue has no answer, so there is no way back. */
static bool undo_asked(struct work *w, json_t *list, struct str *readable, const struct step *s,
                       int i, bool *whole, struct err *err)
{
    const char *text = NULL;
    struct sql_stmt *stmts = NULL;
    AUTO(problem_list) problems = {0};
    int n = 0;

    if (!ask_value(w->e, w->a, s->stmts[i].undo_query, w->e->policy.statement_timeout_ms, &text,
                   err))
        return err_note(err, "the way back of step %s", s->id.s);
    *whole = text && sql_facts(w->a, text, (struct pos) {.file = "undo"}, &stmts, &n, &problems);
    if (*whole)
        *whole = undo_of_text(list, readable, stmts, n, s->no_transaction);
    else
        emit(w, EVENT_INFO, s->id.s,
             "there is no way back from it: what was there before can't be had again");
    return true;
}

static bool undo_derived(struct work *w, json_t *list, struct str *readable, const struct step *s,
                         bool now, bool *whole, struct err *err)
{
    for (int i = s->n_stmts - 1; i >= 0 && *whole; i--) {
        const struct sql_stmt *m = &s->stmts[i];

        const char *known = step_undo_known(s, i);

        if (known)
            *whole =
                undo_item(list, readable, known, m->standalone,
                          m->applied_when ? arena_printf(w->a, "SELECT NOT coalesce((%s), false)",
                                                         m->applied_when)
                                          : NULL,
                          m);
        else if (!step_undo_is_asked(s, i))
            *whole = false;
        else if (!now)
            *whole = undo_item(list, readable, STEP_UNDO_LATER, false, NULL, m);
        else if (!undo_asked(w, list, readable, s, i, whole, err))
            return false;
    }
    return true;
}

static const char *undo_text(struct work *w, const struct step *s, json_t *list)
{
    bool lossless = strcmp(step_reversibility(s), "lossless") == 0;
    json_t *o = json_pack("{s:O, s:b}", "undo", list, "lossless", lossless);
    char *t = json_dumps(o, JSON_COMPACT);
    const char *out = arena_strdup(w->a, t);

    free(t);
    json_decref(o);
    return out;
}

bool step_asks_for_undo(const struct step *s)
{
    bool any = false;

    for (int i = 0; i < s->n_stmts && !s->undo.s && !s->undo_none.s; i++)
        any |= !s->stmts[i].undo && s->stmts[i].undo_query;
    return any;
}

bool step_undo_json(struct work *w, const struct step *s, bool now, const char **json,
                    const char **readable, struct err *err)
{
    AUTO(str) text = {0};
    json_t *list = json_array();
    bool whole = !s->undo_none.s, ok = true;

    if (s->undo.s)
        whole = undo_of_text(list, &text, s->undo_stmts, s->n_undo_stmts, s->no_transaction);
    else
        ok = undo_derived(w, list, &text, s, now, &whole, err);
    if (ok) {
        bool any = whole && json_array_size(list) > 0;
        *json = any ? undo_text(w, s, list) : NULL;
        *readable = any ? arena_strdup(w->a, str_text(&text)) : NULL;
    }
    json_decref(list);
    return ok;
}

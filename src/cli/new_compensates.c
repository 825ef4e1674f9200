/* new --compensates: what the other plan has made, taken away by going forward. */
#include "cli.h"

/* "  - {id: undo-column, ...": the statements as a block, whatever is in them. */
static void add_step(struct str *to, const char *id, const char *sql)
{
    str_addf(to, "      - id: undo-%s\n        sql: |\n", id);
    for (const char *line = sql; *line;) {
        size_t n = strcspn(line, "\n");

        str_addf(to, "          %.*s\n", (int) n, line);
        line += n + (line[n] == '\n');
    }
}

static const char *undo_of(struct arena *a, const struct step *s)
{
    AUTO(str) sql = {0};

    if (strcmp(step_reversibility(s), "irreversible") == 0)
        return NULL;
    if (s->undo.s)
        return s->undo.s;
    for (int i = s->n_stmts - 1; i >= 0; i--) {
        if (!s->stmts[i].undo) /* only the catalogue of before knew */
            return NULL;
        str_addf(&sql, "%s%s", sql.len ? ";\n" : "", s->stmts[i].undo);
    }
    return sql.len ? arena_strdup(a, str_text(&sql)) : NULL;
}

static void add_list(struct context *c, const struct step_list *l, struct str *to, struct str *none)
{
    for (int i = l->n - 1; i >= 0; i--) {
        const char *sql = undo_of(&c->arena, &l->items[i]);

        if (sql)
            add_step(to, l->items[i].id.s, sql);
        else
            str_addf(none, "%s%s", none->len ? ", " : "", l->items[i].id.s);
    }
}

/* Its steps undone, the last one first: for contract, where what no release uses any more goes. What contract has
 * destroyed nobody can derive. */
bool compensating_steps(struct context *c, struct plan *p, struct str *contract, struct str *none,
                        struct err *err)
{
    AUTO(problem_list) problems = {0};

    if (!plan_set_fill(&c->set, p, err))
        return false;
    if (!p->has_facts && !plan_sql_facts_in(&c->set.arena, p, &problems, err)) {
        if (problems.n == 0)
            return false;
        err_clear(err); /* its SQL can't be understood: the author has to say how it is undone */
        return true;
    }
    for (int ph = PHASE_LAST - 1; ph >= PHASE_FIRST; ph--) {
        add_list(c, &p->phases[ph].finish, contract, none);
        add_list(c, &p->phases[ph].steps, contract, none);
    }
    return true;
}

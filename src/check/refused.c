/* What a step's check refuses, or the check option of a view: arguments that don't meet it are put to the statements that
 * write there. A view only lets at rows that it shows: one of ours is made such a row before.
 */
#include "check/limits.h"
#include "check/met.h"

#include "sql_embedded.h"

#include <strings.h>

/* ---- what is refused ---------------------------------------------------------------------------------------- */

static bool is_view_check(const struct sql_stmt *s)
{
    return s->table && strstr(s->kind, "VIEW") &&
           (strcasestr(s->sql, "check option") || strcasestr(s->sql, "check_option"));
}

bool limits_refuses(const struct sql_stmt *s) { return is_view_check(s); }

/* The last WHERE of a view's query, up to its end; in brackets. NULL: it has none that is simple. */
static const char *where_of(struct arena *a, const char *sql)
{
    static const char *const ends[] = {"with check", "with local", "with cascaded", ";", NULL};
    const char *at = NULL, *more = sql;

    while ((more = strcasestr(more, "where")) != NULL) {
        at = more += strlen("where");
        if (*more == '\0')
            break;
    }
    if (!at || strcasestr(at, "select") || strcasestr(at, "group by"))
        return NULL;
    size_t n = strlen(at);
    for (const char *const *e = ends; *e; e++) {
        const char *end = strcasestr(at, *e);
        if (end && (size_t) (end - at) < n)
            n = (size_t) (end - at);
    }
    return arena_printf(a, "(%.*s)", (int) n, at);
}

/* ALTER VIEW leaves the query as it is. */
static const char *query_of(struct proof *p, const struct cat_relation *view)
{
    AUTO(err) ignored = {0};
    const char *oid = arena_printf(p->scratch, "%u", view->oid);
    struct wire_result r = {0};
    struct wire_op op = {.kind = WIRE_RUN,
                         .sql = sql_select_view_query,
                         .args = &oid,
                         .n_args = 1,
                         .keep_rows = true,
                         .sync = true};

    if (!wire_run(p->owner, p->scratch, &op, 1, &r, &ignored) || !r.ok || r.n_rows != 1)
        return NULL;
    return r.cell[0][0];
}

static const char *condition_of(struct proof *p, const struct sql_stmt *s,
                                const struct cat_relation *written)
{
    if (!s->table || strcmp(s->table, written->name) != 0)
        return NULL;
    if (written->kind != 'v')
        return strstr(s->kind, "CONSTRAINT") || strstr(s->kind, "CHECK")
                   ? met_brackets(p->scratch, s->sql, "check")
                   : NULL;
    if (!is_view_check(s))
        return NULL;
    const char *sql = strncmp(s->kind, "CREATE", 6) == 0 ? s->sql : query_of(p, written);
    return sql ? where_of(p->scratch, sql) : NULL;
}

/* ---- what is tried ------------------------------------------------------------------------------------------ */

/* One of ours comes to be seen through the view. NULL: nothing has to be done. */
static const char *show_sql(struct proof *p, const struct cat_relation *r, const char *condition)
{
    struct row row;
    AUTO(str) sql = {0};

    if (!met_row(p, r, condition, &row))
        return NULL;
    for (int i = 0; i < r->n_columns; i++) {
        if (!row.is_fixed[i] || cat_is_in_key(r, &r->columns[i]) || r->columns[i].is_generated)
            continue;
        str_add(&sql, sql.len ? ", " : "UPDATE ");
        if (!strstr(str_text(&sql), " SET ")) {
            sql_qualified(&sql, r->schema, r->name);
            str_add(&sql, " SET ");
        }
        sql_ident(&sql, r->columns[i].name);
        str_add(&sql, " = ");
        if (row.values[i])
            sql_literal(&sql, row.values[i]);
        else
            str_add(&sql, "NULL");
    }
    return sql.len ? arena_strdup(p->scratch, str_text(&sql)) : NULL;
}

/* refused: not by the condition. */
static void add_try(struct proof *p, const struct app_statement *a, const struct fact_write *w,
                    const struct cat_relation *written, const char *condition, const char *refused,
                    struct limits *l)
{
    const struct cat_relation *r = written->kind == 'v' ? written_table(p, written) : written;
    struct arg_set set;

    if (!r || !strchr("rp", r->kind) || l->n == LIMIT_TRIES)
        return;
    bool shows = written->kind == 'v' && w->verb != VERB_INSERT;
    bool any = met_args(p, a->q, w, r, refused, true, &set);
    for (int k = 0; (any || shows) && k < w->columns.n; k++) {
        int param = w->params ? w->params[k] : 0;

        if (param < 1 || param > set.n || !strstr(condition, w->columns.items[k].s))
            continue;
        l->tries[l->n++] = (struct limit_try) {.a = a,
                                               .param = param,
                                               .column = w->columns.items[k].s,
                                               .value = set.values[param - 1],
                                               .args = set.values,
                                               .prelude = shows ? show_sql(p, r, condition) : NULL};
        return;
    }
}

void limits_add_refused(struct proof *p, const struct app_statement *a, int state, struct limits *l)
{
    const struct task *t = p->t.states[state].task;
    const struct query *q = a->q;

    for (int i = 0; !l->sync && t->step && i < q->facts.n_writes; i++) {
        const struct fact_write *w = &q->facts.writes[i];
        const struct cat_relation *written =
            cat_find(&p->now, p->sessions[q->session].search_path, w->schema, w->table);

        for (int k = 0; written && w->verb != VERB_DELETE && k < t->step->n_stmts; k++) {
            const char *condition = condition_of(p, &t->step->stmts[k], written);
            if (!condition)
                continue;
            const char *not = arena_printf(p->scratch, "(NOT %s)", condition);
            add_try(p, a, w, written, condition, not, l);
            /* What the view took before, and doesn't now. */
            const char *old = written->kind == 'v' ? query_of(p, written) : NULL;
            old = old ? where_of(p->scratch, old) : NULL;
            if (old)
                add_try(p, a, w, written, condition,
                        arena_printf(p->scratch, "(%s AND %s)", not, old), l);
        }
    }
}

/* Conditions that a statement may meet with other values than those that come to mind: WHEN of the triggers on what it
 * writes. Each gets a row of arguments that meets it, so that what the trigger does then is seen.
 */
#include "check/met.h"
#include "check/seed.h"
#include "check/words.h"

#include <ctype.h>
#include <strings.h>

/* ---- what a condition says -------------------------------------------------------------------------------- */

static bool is_word_char(char c) { return isalnum((unsigned char) c) || c == '_' || c == '$'; }

/* The column behind "new." or "old.", as the catalogue writes it; *n: up to its end. */
static const char *column_at(struct arena *a, const char *s, size_t *n)
{
    if (*s == '"') {
        const char *end = strchr(s + 1, '"');

        *n = end ? (size_t) (end + 1 - s) : 0;
        return end ? arena_strndup(a, s + 1, (size_t) (end - s - 1)) : NULL;
    }
    for (*n = 0; is_word_char(s[*n]);)
        ++*n;
    char *name = arena_strndup(a, s, *n);
    for (char *c = name; *c; c++)
        *c = (char) tolower((unsigned char) *c);
    return *n ? name : NULL;
}

/* What comes before a column's name: "new.", "old."; *is_old: it is what was there. 0: no column. */
static size_t prefix_at(const char *s, bool *is_old)
{
    *is_old = strncasecmp(s, "old.", 4) == 0;
    return *is_old || strncasecmp(s, "new.", 4) == 0 ? 4 : 0;
}

/* Puts the column at s into the check, and steps over it. False: it is none, or can't be. */
static bool add_column(struct proof *p, const struct cat_relation *r, const char **s, bool is_old,
                       struct str *sql, struct cat_constraint *out)
{
    const struct seed *seed = seed_of(p, r->oid);
    size_t n = 0;
    const char *name = column_at(p->scratch, *s, &n);
    const struct cat_column *c = name ? cat_column(r, name) : NULL;
    const char *had = is_old && seed && c ? seed_value(seed, c->name) : NULL;

    if (!c || out->n_columns == CAT_KEYS)
        return false;
    if (!is_old) {
        sql_ident(sql, c->name);
        out->columns[out->n_columns++] = c->number;
    } else if (had) {
        sql_literal(sql, had);
        str_addf(sql, "::%s", c->type_text);
    } else {
        str_addf(sql, "NULL::%s", c->type_text);
    }
    *s += n;
    return true;
}

/* As a check on the table: new.x is its column, old.x what our row has there. False: it isn't about values. */
static bool check_of(struct proof *p, const struct cat_relation *r, const char *condition,
                     struct cat_constraint *out)
{
    bool in_text = false;
    AUTO(str) sql = {0};

    *out = (struct cat_constraint) {.name = "phasegate_when", .type = 'c'};
    str_add(&sql, "CHECK ((");
    for (const char *s = condition; *s;) {
        bool is_old = false, is_start = s == condition || !is_word_char(s[-1]);
        size_t n = 0;

        in_text ^= *s == '\'';
        if (!in_text && is_start)
            n = prefix_at(s, &is_old);
        const char *at = s + n;
        if (n > 0 && add_column(p, r, &at, is_old, &sql, out)) {
            s = at;
            continue;
        }
        if (n > 0)
            return false;
        str_addc(&sql, *s++);
    }
    str_add(&sql, ") IS TRUE)");
    out->definition = arena_strdup(p->scratch, str_text(&sql));
    return out->n_columns > 0;
}

/* A column that is named twice is one of the check's columns. */
static void name_once(struct cat_constraint *k)
{
    int n = 0;

    for (int i = 0; i < k->n_columns; i++) {
        bool known = false;
        for (int m = 0; m < n; m++)
            known |= k->columns[m] == k->columns[i];
        if (!known)
            k->columns[n++] = k->columns[i];
    }
    k->n_columns = n;
}

/* ---- a row of arguments --------------------------------------------------------------------------------------- */

static bool is_known(const struct query *q, const struct arg_set *set)
{
    for (int i = 0; i < q->n_sets; i++) {
        bool same = true;
        for (int k = 0; k < set->n && same; k++) {
            const char *x = q->sets[i].values[k], *y = set->values[k];
            same = x == y || (x && y && strcmp(x, y) == 0);
        }
        if (same)
            return true;
    }
    return false;
}

/* The table with one more check. */
static bool with_check(struct proof *p, const struct cat_relation *r, const char *condition,
                       struct cat_relation *out)
{
    struct cat_constraint *all =
        arena_array(p->scratch, struct cat_constraint, r->n_constraints + 1);

    if (!check_of(p, r, condition, &all[0]))
        return false;
    name_once(&all[0]);
    if (r->n_constraints > 0)
        memcpy(all + 1, r->constraints, sizeof *all * (size_t) r->n_constraints);
    *out = *r;
    out->constraints = all;
    out->n_constraints++;
    out->n_checks++;
    return true;
}

/* Arguments by which a write puts a row into the table that meets the condition. False: none were found. */
static bool args_that_meet(struct proof *p, const struct query *q, const struct fact_write *w,
                           const struct cat_relation *r, const char *condition, struct arg_set *set)
{
    struct cat_relation with;

    *set = (struct arg_set) {.values = arena_array(p->a, const char *, q->sets[0].n + 1),
                             .n = q->sets[0].n};
    memcpy(set->values, q->sets[0].values, sizeof *set->values * (size_t) set->n);
    return with_check(p, r, condition, &with) && solve_write(p, q, w, &with, set);
}

/* Does the trigger fire for this write? Its events come before ON. */
static bool fires(struct arena *a, const char *sql, const struct fact_write *w)
{
    const char *on = strcasestr(sql, " on ");
    const char *events = on ? arena_strndup(a, sql, (size_t) (on - sql)) : sql;

    return has_word(events, w->verb == VERB_INSERT ? "insert" : "update") ||
           (w->on_conflict && has_word(events, "update"));
}

/* The nth trigger that there is on the relation, or that a plan will make there; NULL: no more. */
static const char *trigger_at(const struct proof *p, const struct cat_relation *r, int n)
{
    if (n < r->n_triggers)
        return r->triggers[n].definition;
    n -= r->n_triggers;
    for (int i = 0; i < p->t.n_states; i++) {
        const struct task *t = p->t.states[i].task;
        for (int k = 0; t && t->kind == TASK_STEP && t->step && k < t->step->n_stmts; k++) {
            const struct sql_stmt *s = &t->step->stmts[k];
            if (strstr(s->kind, "CREATE") && strstr(s->kind, "TRIGGER") && s->table &&
                strcmp(s->table, r->name) == 0 && n-- == 0)
                return s->sql;
        }
    }
    return NULL;
}

void met_add(struct proof *p, struct query *q)
{
    const char *path = p->sessions[q->session].search_path;
    int most = q->n_sets + MET_MAX;

    for (int i = 0; i < q->facts.n_writes && q->sets[0].n > 0; i++) {
        const struct fact_write *w = &q->facts.writes[i];
        const struct cat_relation *r = cat_find(&p->now, path, w->schema, w->table);
        const char *sql;

        for (int n = 0; cat_is_table(r) && w->verb != VERB_DELETE && q->n_sets < most &&
                        (sql = trigger_at(p, r, n));
             n++) {
            const char *condition =
                fires(p->scratch, sql, w) ? words_brackets(p->scratch, sql, "when") : NULL;
            struct arg_set *set = &q->sets[q->n_sets];
            if (condition && args_that_meet(p, q, w, r, condition, set) && !is_known(q, set))
                q->n_sets++;
        }
    }
}

uint64_t met_print(const struct proof *p, const struct query *q, uint64_t h)
{
    for (int i = 0; i < p->t.n_states; i++) {
        const struct task *t = p->t.states[i].task;
        for (int k = 0; t && t->kind == TASK_STEP && t->step && k < t->step->n_stmts; k++) {
            const struct sql_stmt *s = &t->step->stmts[k];
            bool is_trigger =
                strstr(s->kind, "CREATE") && strstr(s->kind, "TRIGGER") && s->table != NULL;
            for (int w = 0; is_trigger && w < q->facts.n_writes; w++)
                if (strcmp(q->facts.writes[w].table, s->table) == 0)
                    h = print_text(h, s->sql);
        }
    }
    return h;
}

/* Does the undo of a step undo it? Tried where the step has just run: its undo, a look at the schema, the step again;
 * all of it in one transaction that is taken back. Every step's undo leading back to the state before it, a phase's
 * undos in reverse lead back to where it began. */
#include "check/work.h"

#include <ctype.h>

enum { NAMED = 5 }; /* so many things that are left are named, and how many more */

struct undone {
    struct schema_sums before;
    const void *of; /* the step, or the sync */
    struct pos at;
    struct sql_list undo, again; /* again.n 0: it can't be run again here */
    uint64_t key;                /* 0: its outcome isn't kept */
};

/* ---- which steps ------------------------------------------------------------------------------------------ */

static void list_add(struct proof *p, struct sql_list *l, const char *sql)
{
    l->items = arena_grow(p->a, l->items, sizeof *l->items * (size_t) l->n,
                          sizeof *l->items * (size_t) (l->n + 1));
    l->items[l->n++] = sql;
}

/* The end of a quoted text or name that begins here. */
static const char *past_quoted(const char *s)
{
    char quote = *s++;

    while (*s && *s != quote)
        s++;
    return *s ? s + 1 : s;
}

/* The same without CONCURRENTLY: that can't be in a transaction, and leaves the same behind. */
static const char *in_transaction(struct proof *p, const char *sql)
{
    static const char word[] = "concurrently";
    const size_t n = sizeof word - 1;

    for (const char *s = sql; *s;) {
        if (*s == '"' || *s == '\'')
            s = past_quoted(s);
        else if (strncasecmp(s, word, n) == 0 && (s == sql || isspace((unsigned char) s[-1])) &&
                 (!s[n] || isspace((unsigned char) s[n])))
            return arena_printf(p->a, "%.*s%s", (int) (s - sql), sql, s + n);
        else
            s++;
    }
    return sql;
}

/* The same that the engine asks before the step. *known false: there is no way back here. */
static bool ask_undo(struct proof *p, const struct sql_stmt *s, struct undone *u, bool *known,
                     struct err *err)
{
    AUTO(problem_list) problems = {0};
    struct wire_result r = {0};
    struct sql_stmt *stmts = NULL;
    int n = 0;

    if (!wire_exec(p->owner, p->scratch, s->undo_query, true, &r, err))
        return false;
    *known = r.ok && r.n_rows == 1 && r.cell[0][0] &&
             sql_facts(p->a, arena_strdup(p->a, r.cell[0][0]), s->at, &stmts, &n, &problems);
    for (int i = 0; *known && i < n; i++)
        list_add(p, &u->undo, in_transaction(p, stmts[i].sql));
    return true;
}

static bool undo_of_step(struct proof *p, const struct step *s, struct undone *u, bool *known,
                         struct err *err)
{
    bool data = s->command.n > 0;

    u->of = s;
    u->at = s->undo.s ? s->undo.at : s->at;
    for (int i = 0; s->undo.s && i < s->n_undo_stmts; i++)
        list_add(p, &u->undo, in_transaction(p, s->undo_stmts[i].sql));
    for (int i = s->n_stmts - 1; !s->undo.s && i >= 0 && *known; i--) {
        const char *plain = step_undo_known(s, i);

        if (plain)
            list_add(p, &u->undo, in_transaction(p, plain));
        else if (!ask_undo(p, &s->stmts[i], u, known, err))
            return false;
    }
    for (int i = 0; i < s->n_stmts; i++)
        data |= s->stmts[i].class == SQL_DATA || limits_is_opaque(&s->stmts[i]);
    for (int i = 0; !data && i < s->n_stmts; i++)
        list_add(p, &u->again, in_transaction(p, s->stmts[i].sql));
    return true;
}

static void undo_of_sync(struct proof *p, int plan, struct undone *u)
{
    const struct plan *of = p->t.plans[plan];

    u->of = &of->sync;
    u->at = of->sync.at;
    sync_remove_sql(p->a, of, &u->undo);
    sync_install_sql(p->a, of, NULL, 0, &u->again);
}

/* Of a plan whose state was lost, or of another one: what is there before it is made is nobody's to undo. */
static bool has_sync_trigger(const struct proof *p, const struct sync *s)
{
    static const char prefix[] = "zz_phasegate_";
    const struct cat_relation *r = cat_find(&p->now, NULL, s->schema.s, s->table.s);

    for (int i = 0; r && i < r->n_triggers; i++)
        if (strncmp(r->triggers[i].name, prefix, sizeof prefix - 1) == 0)
            return true;
    return false;
}

/* What is known to lose something isn't expected to bring it back. */
static bool is_to_be_tried(struct proof *p, int state)
{
    const struct timeline_state *s = &p->t.states[state];

    if (s->by != STATE_TASK || s->is_purge || p->told[state] || p->endless[state] ||
        lost_skips(p, state))
        return false;
    if (s->task->kind == TASK_SYNC_INSTALL)
        return !has_sync_trigger(p, &p->t.plans[s->plan]->sync);
    return s->task->kind == TASK_STEP && step_is_for_shadow(p, s->task->step) &&
           (s->task->step->command.n == 0 || p->o->allow_commands) &&
           strcmp(step_reversibility(s->task->step), "lossless") == 0;
}

static bool was_tried(struct proof *p, const void *of)
{
    for (int i = 0; i < p->n_undone; i++)
        if (p->undone[i] == of)
            return true;
    p->undone = arena_grow(p->a, p->undone, sizeof *p->undone * (size_t) p->n_undone,
                           sizeof *p->undone * (size_t) (p->n_undone + 1));
    p->undone[p->n_undone++] = of;
    return false;
}

static uint64_t surface_of_step(const struct proof *p, const struct step *s)
{
    uint64_t h = ddl_surface(p, s->stmts, s->n_stmts);

    return s->undo.s ? h * 31 + ddl_surface(p, s->undo_stmts, s->n_undo_stmts) : h;
}

/* ---- the schema, thing by thing ------------------------------------------------------------------------------- */

bool undone_before(struct proof *p, int state, struct arena *a, struct undone **out,
                   struct err *err)
{
    const struct timeline_state *s = &p->t.states[state];
    struct parts parts;
    uint64_t surface;

    *out = NULL;
    if (!is_to_be_tried(p, state))
        return true;
    struct undone *u = arena_new(a, struct undone);
    bool known = true;
    surface = s->task->kind == TASK_STEP ? surface_of_step(p, s->task->step) : schema_surface(p);
    if (s->task->kind != TASK_STEP)
        undo_of_sync(p, s->plan, u);
    else if (!undo_of_step(p, s->task->step, u, &known, err))
        return false;
    if (!known || was_tried(p, u->of))
        return true;
    /* What isn't in its text may be in the rows. */
    u->key = u->again.n > 0 ? cache_undo_key(p, surface, &u->undo, &u->again) : 0;
    if (cache_undo_is_right(p, u->key)) {
        cache_note_undo(p, u->key);
        return true;
    }
    if (!parts_of_state(p, s->from, a, &parts, err))
        return false;
    schema_sums_of(a, &p->now, &parts, &u->before);
    *out = u;
    return true;
}

struct difference {
    struct proof *p;
    const struct catalogue *now; /* after the undo; p->before is before the step */
    struct str text;
    int n;
};

static void add(struct difference *d, const char *what, const char *how)
{
    if (d->n++ < NAMED)
        str_addf(&d->text, "%s%s%s", d->text.len ? ", " : "", what, how);
}

static bool has_column(const struct cat_relation *r, const struct cat_column *c)
{
    const struct cat_column *other = cat_column(r, c->name);

    return other && strcmp(other->type_text, c->type_text) == 0 && other->not_null == c->not_null &&
           (other->fallback == c->fallback ||
            (other->fallback && c->fallback && strcmp(other->fallback, c->fallback) == 0));
}

static bool has_constraint(const struct cat_relation *r, const struct cat_constraint *c)
{
    for (int i = 0; i < r->n_constraints; i++)
        if (strcmp(r->constraints[i].name, c->name) == 0 &&
            strcmp(r->constraints[i].definition, c->definition) == 0 &&
            r->constraints[i].validated == c->validated)
            return true;
    return false;
}

static bool has_index(const struct cat_relation *r, const struct cat_index *x)
{
    for (int i = 0; i < r->n_indexes; i++)
        if (strcmp(r->indexes[i].name, x->name) == 0 &&
            strcmp(r->indexes[i].definition, x->definition) == 0)
            return true;
    return false;
}

/* What of x isn't in y. */
static void one_way(struct difference *d, const struct cat_relation *x,
                    const struct cat_relation *y, const char *how)
{
    struct arena *a = d->p->a;

    for (int i = 0; i < x->n_columns; i++)
        if (!has_column(y, &x->columns[i]))
            add(d, arena_printf(a, "column %s of %s", x->columns[i].name, x->name), how);
    for (int i = 0; i < x->n_constraints; i++)
        if (!has_constraint(y, &x->constraints[i]))
            add(d, arena_printf(a, "constraint %s of %s", x->constraints[i].name, x->name), how);
    for (int i = 0; i < x->n_indexes; i++)
        if (!has_index(y, &x->indexes[i]))
            add(d, arena_printf(a, "index %s of %s", x->indexes[i].name, x->name), how);
}

/* "table public.t": in this catalogue; NULL: not a relation. */
static const struct cat_relation *relation_of(const struct catalogue *c, const char *object)
{
    const char *name = strrchr(object, ' ');

    for (int i = 0; name && i < c->n_relations; i++) {
        const struct cat_relation *r = &c->relations[i];
        size_t n = strlen(r->schema);

        if (strncmp(name + 1, r->schema, n) == 0 && name[n + 1] == '.' &&
            strcmp(name + n + 2, r->name) == 0)
            return r;
    }
    return NULL;
}

static void differs(struct difference *d, const char *object)
{
    const struct cat_relation *before = relation_of(&d->p->before, object),
                              *now = relation_of(d->now, object);
    int n = d->n;

    if (before && now) {
        one_way(d, now, before, " is left");
        one_way(d, before, now, " isn't back");
    }
    if (d->n == n)
        add(d, object, " isn't as it was");
}

static void compare(struct difference *d, const struct schema_sums *before,
                    const struct schema_sums *now)
{
    int i = 0, k = 0;

    while (i < before->n || k < now->n) {
        int order = i == before->n ? 1
                    : k == now->n  ? -1
                                   : strcmp(before->objects[i].name, now->objects[k].name);
        if (order < 0)
            add(d, before->objects[i].name, " isn't back");
        else if (order > 0)
            add(d, now->objects[k].name, " is left");
        else if (before->objects[i].sum != now->objects[k].sum)
            differs(d, now->objects[k].name);
        i += order <= 0;
        k += order >= 0;
    }
    if (d->n > NAMED)
        str_addf(&d->text, ", and %d more", d->n - NAMED);
}

/* ---- running ------------------------------------------------------------------------------------------------------ */

/* first, the statements, and then stop: an error leaves the transaction failed. out is the one that failed. */
static bool run(struct proof *p, const char *first, const struct sql_list *l, const char *last,
                struct wire_result *out, struct err *err)
{
    struct wire_op *ops = arena_array(p->scratch, struct wire_op, l->n + 2);
    struct wire_result *r = arena_array(p->scratch, struct wire_result, l->n + 2);

    ops[0] = (struct wire_op) {.kind = WIRE_RUN, .sql = first};
    for (int i = 0; i < l->n; i++)
        ops[i + 1] = (struct wire_op) {.kind = WIRE_RUN, .sql = l->items[i]};
    ops[l->n + 1] = (struct wire_op) {.kind = WIRE_RUN, .sql = last, .sync = true};
    *out = (struct wire_result) {.ok = true};
    if (!wire_run(p->owner, p->scratch, ops, l->n + 2, r, err))
        return false;
    for (int i = 0; i < l->n + 2 && out->ok; i++)
        if (!r[i].ok)
            *out = r[i];
    return true;
}

/* Says nothing of the undo: rows that are ours, or what can't be tried within one transaction. */
static bool is_beside_the_point(const struct wire_result *r)
{
    static const char *const states[] = {"25001", "55P04", "55006", "0A000", "57014"};

    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (strcmp(r->sqlstate, states[i]) == 0)
            return true;
    /* 53: the shadow's own memory and disk. */
    return strncmp(r->sqlstate, "23", 2) == 0 || strncmp(r->sqlstate, "22", 2) == 0 ||
           strncmp(r->sqlstate, "53", 2) == 0 ||
           /* A block with EXCEPTION behind a command that leaves such, where each has a transaction of its own in earnest. */
           (r->message && strstr(r->message, "unprocessed inval messages"));
}

static void tell(struct proof *p, int state, const struct undone *u, const char *message,
                 const char *help)
{
    struct finding *f = step_finding(p, state, "undo-does-not-undo", u->at, message);

    f->help = help;
}

static bool look_at_rest(struct proof *p, int state, const struct undone *u, bool *same,
                         struct err *err)
{
    AUTO(arena) a = {0};
    struct catalogue now = {0};
    struct parts parts;
    struct schema_sums sums;
    struct difference d = {.p = p, .now = &now};

    if (!catalogue_read_once(p->owner, &a, &now, err) || !parts_read(p, p->owner, &a, &parts, err))
        return err_note(err, "the schema after an undo");
    schema_sums_of(&a, &now, &parts, &sums);
    if (strcmp(sums.catalogue, u->before.catalogue) != 0)
        compare(&d, &u->before, &sums);
    *same = d.n == 0;
    if (!*same)
        tell(
            p, state, u,
            arena_printf(p->a, "the undo of the step doesn't lead back to the schema before it: %s",
                         str_text(&d.text)),
            "mend undo: of the step, so that rollback leaves what was there before; where there is "
            "no way back, undo: {none: the reason} says so");
    str_free(&d.text);
    return true;
}

/* In a transaction of its own, not from a savepoint: after some commands (ALTER DOMAIN DROP CONSTRAINT) the server begins
 * no part of a transaction that changes the catalogue. */
static bool again(struct proof *p, int state, const struct undone *u, struct err *err)
{
    struct wire_result r;
    struct sql_list all = {0};

    for (int i = 0; i < u->undo.n; i++)
        list_add(p, &all, u->undo.items[i]);
    for (int i = 0; i < u->again.n; i++)
        list_add(p, &all, u->again.items[i]);
    if (!run(p, "ROLLBACK AND CHAIN", &all, "SET CONSTRAINTS ALL IMMEDIATE", &r, err))
        return false;
    if (!r.ok && !is_beside_the_point(&r))
        tell(p, state, u,
             arena_printf(p->a, "once it is undone, the step fails when it runs again: %s",
                          r.message),
             "undo: has to take away everything that the step makes");
    return true;
}

static bool try_it(struct proof *p, int state, const struct undone *u, struct err *err)
{
    struct wire_result r;
    bool same = false;

    if (!run(p, "BEGIN", &u->undo, "SET LOCAL search_path = ''", &r, err))
        return false;
    if (!r.ok && is_beside_the_point(&r))
        return true;
    if (!r.ok) {
        tell(p, state, u, arena_printf(p->a, "the undo of the step fails: %s", r.message),
             "rollback would stop there: mend undo: of the step");
        return true;
    }
    if (!look_at_rest(p, state, u, &same, err))
        return false;
    return !same || u->again.n == 0 || again(p, state, u, err);
}

bool undone_after(struct proof *p, int state, const struct undone *u, struct err *err)
{
    struct wire_result r = {0};

    if (!u || p->broken[state] || p->in_place[state] || p->endless[state])
        return true;
    int findings = p->report->n;
    if (!try_it(p, state, u, err) ||
        !wire_exec(p->owner, p->scratch, "ROLLBACK; RESET ROLE; RESET ALL", false, &r, err))
        return false;
    if (p->report->n == findings)
        cache_note_undo(p, u->key);
    return true;
}

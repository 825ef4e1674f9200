/* What a phase consists of, in order. Pure. */
#include "phasegate/phase.h"

#include <string.h>

static const char *const kind_words[] = {
    [TASK_STEP] = "step",
    [TASK_SYNC_INSTALL] = "sync install",
    [TASK_SYNC_REMOVE] = "sync remove",
    [TASK_BACKFILL] = "backfill",
    [TASK_VERIFY] = "verify",
    [TASK_COMPARE] = "compare",
    [TASK_RUNG] = "rung",
    [TASK_GATES] = "gates",
    [TASK_SOFT_DROP] = "soft drop",
    [TASK_PURGE_DROP] = "purge",
};

const char *task_kind_word(enum task_kind k) { return kind_words[k]; }

struct builder {
    struct arena *a;
    const struct plan *plan;
    struct script *out;
    int cap;
};

/* Ids that aren't those of steps have a slash in them: a step may be called "sync" or "gates" as well, and a
 * task counts as done by its id. */
#define ID_SYNC "sync/trigger"
#define ID_VERIFY "verify/all"
#define ID_COMPARE "compare/all"
#define ID_GATES "gates/all"

static struct task *add(struct builder *b, enum task_kind kind, const char *id, const char *title)
{
    struct script *s = b->out;

    if (s->n == b->cap) {
        int cap = b->cap ? 2 * b->cap : 16;
        s->tasks = arena_grow(b->a, s->tasks, sizeof *s->tasks * (size_t) b->cap,
                              sizeof *s->tasks * (size_t) cap);
        b->cap = cap;
    }
    struct task *t = &s->tasks[s->n++];
    memset(t, 0, sizeof *t);
    t->kind = kind;
    t->id = id;
    t->title = title;
    t->checksum = b->plan->checksum;
    return t;
}

/* Kinds of drop that the engine can hide and bring back. A function isn't among them: callers resolve it by
 * name and argument types, so hiding one changes which other one they get. */
static bool is_hideable(const struct step *s)
{
    enum drop_kind d = s->n_stmts == 1 ? s->stmts[0].drop : DROP_NOT;

    return d != DROP_NOT && d != DROP_FUNCTION && d != DROP_OTHER;
}

/* Destroys, and can't be hidden first: it waits for the purge. */
static bool is_postponed(const struct step *s)
{
    for (int i = 0; i < s->n_stmts; i++)
        if (s->stmts[i].class == SQL_DESTRUCTIVE || s->stmts[i].class == SQL_DATA)
            return !is_hideable(s);
    return false;
}

static bool names_one_of(const struct sql_stmt *x, const struct sql_stmt *y)
{
    for (int i = 0; i < x->relations.n; i++)
        if (text_list_has(&y->relations, x->relations.items[i].s))
            return true;
    return x->object && y->object && strcmp(x->object, y->object) == 0;
}

bool step_undo_is_asked(const struct step *s, int i)
{
    if (s->stmts[i].undo || !s->stmts[i].undo_query)
        return false;
    for (int k = 0; k < i; k++)
        if (names_one_of(&s->stmts[k], &s->stmts[i]))
            return false;
    return true;
}

const char *step_undo_known(const struct step *s, int i)
{
    return s->stmts[i].undo            ? s->stmts[i].undo
           : !step_undo_is_asked(s, i) ? s->stmts[i].undo_unasked
                                       : NULL;
}

/* With the table that the step itself makes everything on it goes. */
static bool is_on_own_table(const struct step *s, int i)
{
    const struct sql_stmt *own = &s->stmts[i];

    for (int k = 0; own->table && k < i; k++)
        if (strcmp(s->stmts[k].kind, "CREATE TABLE") == 0 && s->stmts[k].table &&
            strcmp(s->stmts[k].table, own->table) == 0)
            return true;
    return false;
}

static bool is_lossless(const struct step *s, int i)
{
    return s->stmts[i].undo_lossless &&
           (s->stmts[i].undo || step_undo_is_asked(s, i) || is_on_own_table(s, i));
}

static bool is_undoable(const struct step *s)
{
    bool derived = s->n_stmts > 0 && !s->undo_none.s;

    if (s->undo.s)
        return s->n_undo_stmts > 0;
    for (int i = 0; i < s->n_stmts; i++)
        derived &= step_undo_known(s, i) || step_undo_is_asked(s, i);
    return derived;
}

const char *step_reversibility(const struct step *s)
{
    if (!is_undoable(s))
        return !s->undo_none.s && s->n_stmts > 0 && s->stmts[0].class == SQL_DATA ? "lossy"
                                                                                  : "irreversible";
    for (int i = 0; !s->undo.s && i < s->n_stmts; i++)
        if (!is_lossless(s, i))
            return "lossy";
    return "lossless";
}

static const char *step_title(const struct step *s)
{
    return s->n_stmts > 0 ? s->stmts[0].kind : s->sql.s ? "SQL" : "command";
}

static void add_steps(struct builder *b, const struct step_list *steps, const char *prefix)
{
    for (int i = 0; i < steps->n; i++) {
        const struct step *s = &steps->items[i];
        struct task *t =
            add(b, TASK_STEP, arena_printf(b->a, "%s%s", prefix, s->id.s), step_title(s));
        t->step = s;
        t->checksum = s->checksum;
    }
}

static void add_contract_steps(struct builder *b, const struct step_list *steps, const char *prefix)
{
    for (int i = 0; i < steps->n; i++) {
        const struct step *s = &steps->items[i];
        if (is_postponed(s))
            continue;
        bool hide = is_hideable(s);
        struct task *t = add(b, hide ? TASK_SOFT_DROP : TASK_STEP,
                             arena_printf(b->a, "%s%s", prefix, s->id.s), step_title(s));
        t->step = s;
        t->checksum = s->checksum;
    }
}

static void add_rungs(struct builder *b, const struct rung_list *rungs, enum flag_role flag)
{
    for (int i = 0; i < rungs->n; i++) {
        struct task *t = add(
            b, TASK_RUNG,
            arena_printf(b->a, "%s/%d%%", flag_role_word(flag), rungs->items[i].percent),
            arena_printf(b->a, "%s flag to %d %%", flag_role_word(flag), rungs->items[i].percent));
        t->flag = flag;
        t->rung = &rungs->items[i];
        t->last_rung = i == rungs->n - 1;
    }
}

static void add_backfills(struct builder *b, const struct backfill_list *list)
{
    for (int i = 0; i < list->n; i++) {
        struct task *t = add(b, TASK_BACKFILL,
                             arena_printf(b->a, "backfill/%s", list->items[i].id.s), "backfill");
        t->backfill = &list->items[i];
    }
}

static bool has_data_part(const struct plan *p, const struct phase_plan *ph)
{
    return ph->backfill.n > 0 || ph->verify.n > 0 ||
           (p->sync.by != SYNC_NONE && ph == &p->phases[PHASE_WRITE_ACTIVATION]);
}

/* Readers may only meet the new shape once every writer keeps it up: with a trigger that's so from expand
 * on, with writes by the application only when the write flag is at 100 % and the past is verified. */
static bool reads_wait_for_writes(const struct plan *p)
{
    return (p->sync.by == SYNC_COHORT || p->sync.by == SYNC_APPLICATION) &&
           p->phases[PHASE_WRITE_ACTIVATION].present;
}

static void dual_read(struct builder *b, const struct phase_plan *ph)
{
    bool wait = reads_wait_for_writes(b->plan);

    add_steps(b, &ph->steps, "");
    if (!wait) {
        add_backfills(b, &ph->backfill);
        if (has_data_part(b->plan, ph))
            add(b, TASK_VERIFY, ID_VERIFY, "verification");
        if (ph->compare.present)
            add(b, TASK_COMPARE, ID_COMPARE, "compare old and new");
        add_rungs(b, &ph->rollout, FLAG_READ);
    }
    if (ph->rollout.n == 0 && ph->gates.n > 0)
        add(b, TASK_GATES, ID_GATES, "gates");
    add_steps(b, &ph->finish, "finish/");
}

/* Those of dual_read are done already, unless they waited for the writes or a kill voided them. */
static void add_all_backfills(struct builder *b, const struct phase_plan *ph)
{
    add_backfills(b, &b->plan->phases[PHASE_DUAL_READ].backfill);
    add_backfills(b, &ph->backfill);
}

static void write_activation(struct builder *b, const struct phase_plan *ph)
{
    const struct phase_plan *dr = &b->plan->phases[PHASE_DUAL_READ];
    bool wait = reads_wait_for_writes(b->plan);
    bool trigger = b->plan->sync.by == SYNC_TRIGGER;
    bool one_way = trigger && b->plan->sync.reverse.n == 0;
    bool verify = has_data_part(b->plan, ph) || dr->backfill.n > 0;

    /* Reads that a kill took back go first; rungs that stand are passed over. */
    if (!wait && dr->present)
        add_rungs(b, &dr->rollout, FLAG_READ);
    add_steps(b, &ph->steps, "");
    /* The trigger has kept every row since expand, so the past can be filled before the first write of the new
     * side, and has to be: after it the new side may hold what the old one never had. */
    if (trigger)
        add_all_backfills(b, ph);
    if (one_way && verify)
        add(b, TASK_VERIFY, ID_VERIFY, "verification");
    add_rungs(b, &ph->rollout, FLAG_WRITE);
    if (ph->rollout.n == 0 && ph->gates.n > 0)
        add(b, TASK_GATES, ID_GATES, "gates");
    if (!trigger)
        add_all_backfills(b, ph);
    if (!one_way && verify)
        add(b, TASK_VERIFY, ID_VERIFY, "verification");
    if (wait && dr->present) {
        if (dr->compare.present)
            add(b, TASK_COMPARE, ID_COMPARE, "compare old and new");
        add_rungs(b, &dr->rollout, FLAG_READ);
    }
    add_steps(b, &ph->finish, "finish/");
}

static void expand(struct builder *b, const struct phase_plan *ph)
{
    /* Rows written while a backfill runs would stay unfilled without the trigger. */
    bool sync = b->plan->sync.by == SYNC_TRIGGER, sync_first = sync && ph->backfill.n > 0;

    add_steps(b, &ph->steps, "");
    if (sync_first)
        add(b, TASK_SYNC_INSTALL, ID_SYNC, "sync trigger");
    add_backfills(b, &ph->backfill);
    if (has_data_part(b->plan, ph))
        add(b, TASK_VERIFY, ID_VERIFY, "verification");
    if (ph->gates.n > 0)
        add(b, TASK_GATES, ID_GATES, "gates");
    add_steps(b, &ph->finish, "finish/");
    if (sync && !sync_first)
        add(b, TASK_SYNC_INSTALL, ID_SYNC, "sync trigger");
}

static void contract(struct builder *b, const struct phase_plan *ph)
{
    if (ph->gates.n > 0)
        add(b, TASK_GATES, ID_GATES, "gates");
    add_contract_steps(b, &ph->steps, "");
    add_contract_steps(b, &ph->finish, "finish/");
}

static void add_purge_steps(struct builder *b, const struct step_list *steps, const char *prefix)
{
    for (int i = 0; i < steps->n; i++) {
        const struct step *s = &steps->items[i];
        bool hidden = is_hideable(s);
        if (!hidden && !is_postponed(s))
            continue;
        struct task *t = add(b, hidden ? TASK_PURGE_DROP : TASK_STEP,
                             arena_printf(b->a, "%s%s", prefix, s->id.s), step_title(s));
        t->step = s;
        t->checksum = s->checksum;
    }
}

/* The id of what destroys a hidden thing is "purge/" and the id of the soft drop. */
static void purge(struct builder *b, const struct phase_plan *ph)
{
    if (b->plan->sync.by == SYNC_TRIGGER)
        add(b, TASK_SYNC_REMOVE, "purge/" ID_SYNC, "remove the sync trigger");
    add_purge_steps(b, &ph->steps, "purge/");
    add_purge_steps(b, &ph->finish, "purge/finish/");
}

void plan_script(struct arena *a, const struct plan *p, enum phase phase, bool is_purge,
                 struct script *out)
{
    struct builder b = {.a = a, .plan = p, .out = out};
    const struct phase_plan *ph = &p->phases[phase];

    memset(out, 0, sizeof *out);
    if (!ph->present)
        return;
    if (is_purge)
        purge(&b, ph);
    else if (phase == PHASE_EXPAND)
        expand(&b, ph);
    else if (phase == PHASE_DUAL_READ)
        dual_read(&b, ph);
    else if (phase == PHASE_WRITE_ACTIVATION)
        write_activation(&b, ph);
    else
        contract(&b, ph);
}

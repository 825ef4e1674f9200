/* Before a fleet is moved: all of it is looked at, one database at a time. */
#include "fleet.h"
#include "phasegate/io.h"

bool fleet_look_at(struct fleet_run *f, struct fleet_member *m, struct err *err)
{
    struct context *c = f->c;
    struct plan_state s = {0};
    struct db *db = NULL;
    const char *url = NULL;
    int version = 0;

    if (!context_resolve(c, &m->decl->url, &url, err) ||
        !c->ports.db_open(&c->ports, url, c->label, false, &db, err))
        return err_note(err, "database %s of environment %s", m->decl->name.s, c->env->name.s);
    bool good = observe_identity(db, &c->arena, &m->identity, err) &&
                ledger_version(db, &version, err) &&
                (version == 0 || ledger_plan_state(db, &c->arena, c->plans[0]->id.s, &s, err));
    db_close(db);
    m->state = s;
    m->stage = s.stage;
    m->brake = s.brake;
    return good || err_note(err, "database %s of environment %s", m->decl->name.s, c->env->name.s);
}

/* Behind two addresses the same rows: every step would meet its own work. */
static bool are_different(struct fleet_run *f, struct err *err)
{
    for (int i = 0; i < f->n; i++)
        for (int k = 0; k < i; k++) {
            if (strcmp(f->members[i].identity, f->members[k].identity) != 0)
                continue;
            const struct pos at = f->members[i].decl->name.at;
            err_set(err, ERR_CONFIG, "%s:%d:%d: %s and %s of fleet %s are the same database",
                    at.file, at.line, at.col, f->members[k].decl->name.s,
                    f->members[i].decl->name.s, f->fleet->name.s);
            err_detail(err, "Server and database have the same identifiers. Nothing was begun.");
            return err_hint(err, "leave one of the two addresses out of urls:");
        }
    return true;
}

/* The braked ones would refuse in their wave, when others have gone ahead already. */
static bool none_is_braked(struct fleet_run *f, struct err *err)
{
    const char *id = f->c->plans[0]->id.s;
    AUTO(str) names = {0};
    enum brake brake = BRAKE_NONE;

    for (int i = 0; i < f->n; i++)
        if (f->members[i].brake != BRAKE_NONE) {
            str_addf(&names, "%s%s is %s", names.len ? ", " : "", f->members[i].decl->name.s,
                     brake_word(f->members[i].brake));
            brake = f->members[i].brake;
        }
    if (brake == BRAKE_NONE || f->way->kind != FLEET_WAVES)
        return true;
    err_set(err, ERR_REFUSED, "%s of plan %s is refused: %s", f->c->command->name, id,
            str_text(&names));
    err_detail(err, "phasegate status %s says by whom and why. Nothing was begun.", id);
    err_hint(err, "phasegate resume %s, once the cause is gone, then the same command again", id);
    return err_reason(err, brake_word(brake));
}

static bool too_far_apart(struct fleet_run *f, const enum stage *stages, struct err *err)
{
    const struct plan *p = f->c->plans[0];
    AUTO(str) where = {0};
    int last = 0;

    for (int i = 0; i < f->n; i++) {
        str_addf(&where, "%s%s is at \"%s\".", i ? "\n" : "", f->members[i].decl->name.s,
                 stage_word(stages[i]));
        last = stages[i] < stages[last] ? i : last;
    }
    enum phase next = stage_next_phase(stages[last]);
    while (next != PHASE_NONE && next < PHASE_LAST && !p->phases[next].present)
        next = (enum phase)(next + 1);
    err_set(err, ERR_REFUSED,
            "%s of plan %s is refused: its databases are more than one phase apart",
            f->c->command->name, p->id.s);
    err_detail(err, "%s", str_text(&where));
    if (next != PHASE_NONE && p->phases[next].release.s)
        err_hint(err, "phasegate advance %s --release %s --database %s, until they are level",
                 p->id.s, p->phases[next].release.s, f->members[last].decl->name.s);
    return err_reason(err, "fleet_apart");
}

bool fleet_has_rollout(const struct plan *p)
{
    bool has = false;

    for (int i = PHASE_FIRST; i <= PHASE_LAST; i++)
        has = has || p->phases[i].rollout.n > 0;
    return has;
}

bool fleet_takes(struct context *c, const struct plan *p, struct err *err)
{
    const struct database_decl *fleet = context_fleet_of(c, p);
    const struct pos at = p->sync.at;

    if (!fleet || !fleet_has_rollout(p) ||
        (p->sync.by != SYNC_COHORT && p->sync.by != SYNC_APPLICATION))
        return true;
    err_set(err, ERR_REFUSED,
            "%s:%d:%d: plan %s has a rollout and a sync that isn't by trigger, and %s is a fleet",
            at.file, at.line, at.col, p->id.s, fleet->name.s);
    err_detail(err,
               "A kill would void what was verified in each of its databases. Nothing was begun.");
    err_hint(err, "sync: by: trigger, or a plan for each of the databases");
    return err_reason(err, "fleet_rollout");
}

/* What an advance of those that take part would run. */
static void choose_phase(struct fleet_run *f)
{
    for (int i = 0; i < f->n; i++) {
        if (!f->members[i].takes_part)
            continue;
        f->phase = stage_next_phase(f->members[i].stage);
        while (f->phase != PHASE_NONE && !f->c->plans[0]->phases[f->phase].present)
            f->phase = f->phase < PHASE_LAST ? (enum phase)(f->phase + 1) : PHASE_NONE;
        return;
    }
}

bool fleet_look(struct fleet_run *f, struct err *err)
{
    struct context *c = f->c;
    enum stage *stages = arena_array(&c->arena, enum stage, f->n);
    bool *turns = arena_array(&c->arena, bool, f->n);

    for (int i = 0; i < f->n; i++) {
        if (!fleet_look_at(f, &f->members[i], err))
            return err_note(err, "fleet %s: nothing was begun in any of its databases",
                            f->fleet->name.s);
        stages[i] = f->members[i].stage;
    }
    if (!plan_set_fill(&c->set, c->plans[0], err) || !fleet_takes(c, c->plans[0], err) ||
        !are_different(f, err) || !none_is_braked(f, err))
        return false;
    if (!fleet_whose_turn(c->plans[0], stages, f->n, f->way->back, turns) && !f->only)
        return too_far_apart(f, stages, err);
    for (int i = 0; i < f->n; i++)
        f->members[i].takes_part = f->only ? f->only == &f->members[i] : turns[i];
    choose_phase(f);
    return true;
}

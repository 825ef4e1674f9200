/* Lints of order and flags: what the statements of the releases say about the moment of a phase. */
#include "load/lint_plan.h"

#include "phasegate/statement_facts.h"

#include <string.h>

struct release_facts {
    struct arena *a;
    const struct plan_set *set;
    const struct lint_options *o;
    struct statement_facts **facts; /* [n_releases], each [statements.n]; NULL: not asked for yet */
};

struct release_facts *release_facts_new(struct arena *a, const struct plan_set *set,
                                        const struct lint_options *o)
{
    struct release_facts *rf = arena_new(a, struct release_facts);

    *rf = (struct release_facts) {a, set, o, NULL};
    rf->facts = arena_array(a, struct statement_facts *, o->n_releases + 1);
    return rf;
}

static const struct statements *statements_of(const struct release_facts *rf, int release)
{
    const struct lint_release *r = &rf->o->releases[release];

    return r->release->planned ? NULL : r->statements;
}

static const struct statement_facts *facts_of(struct release_facts *rf, int release)
{
    const struct statements *s = statements_of(rf, release);

    if (!s || s->n == 0)
        return NULL;
    if (!rf->facts[release]) {
        rf->facts[release] = arena_array(rf->a, struct statement_facts, s->n);
        for (int i = 0; i < s->n; i++)
            statement_facts(rf->a, &s->items[i], &rf->facts[release][i]);
    }
    return rf->facts[release];
}

/* ---- one plan against the releases ----------------------------------------------------------------------------- */

struct view {
    struct release_facts *rf;
    const struct plan *p;
    struct report *r;
    int64_t window;
    int phase_release[PHASE_SLOTS]; /* index; -1: absent or not listed */
    bool said_flag;
};

/* Is it live beside the release of this phase? Consumers always are. */
static bool is_live(const struct view *v, int release, enum phase phase)
{
    int n = v->rf->set->project.n_releases, at = v->phase_release[phase];

    if (release >= n)
        return true;
    return at >= 0 && release <= at && release >= at - v->window;
}

static const char *version_of(const struct view *v, int release)
{
    return v->rf->o->releases[release].release->version.s;
}

static bool is_consumer(const struct view *v, int release)
{
    return release >= v->rf->set->project.n_releases;
}

static bool is_text(const char *a, const char *b) { return a && b && strcmp(a, b) == 0; }

static bool is_rel(const char *schema, const char *name, const char *other_schema,
                   const char *other)
{
    return is_text(name, other) && (!schema || !other_schema || strcmp(schema, other_schema) == 0);
}

static const struct fact_rel *rel_in(const struct statement_facts *f, const char *schema,
                                     const char *name)
{
    for (int i = 0; i < f->n_rels; i++)
        if (is_rel(f->rels[i].schema, f->rels[i].name, schema, name))
            return &f->rels[i];
    return NULL;
}

static struct finding *say(struct view *v, const char *rule, struct pos at, enum phase phase,
                           const char *step, const char *help, const char *message)
{
    struct finding *f = report_add(v->r, rule, at, "%s", message);

    f->plan = arena_strdup(&v->r->arena, v->p->id.s);
    f->phase = phase_word(phase);
    f->step = arena_strdup(&v->r->arena, step);
    f->help = help;
    return f;
}

static void place(struct view *v, struct finding *f, int release, int statement)
{
    const struct statement *s = &statements_of(v->rf, release)->items[statement];
    struct pos at = s->sql_at.line ? s->sql_at : s->at;

    at.file = arena_strdup(&v->r->arena, at.file);
    finding_place(v->r, f, at, arena_strdup(&v->r->arena, version_of(v, release)),
                  arena_strdup(&v->r->arena, s->name));
    f->places[f->n_places - 1].is_consumer = is_consumer(v, release);
    if (!f->release) {
        f->release = f->places[0].release;
        f->statement = f->places[0].statement;
    }
}

/* ---- what contract takes away ------------------------------------------------------------------------------------ */

enum use { USE_NOT, USE_MAYBE, USE_SURE };

/* Does the statement name what this one takes away? A column's name may be another table's. */
static enum use uses(const struct statement_facts *f, const struct sql_stmt *gone)
{
    bool is_column = gone->object && (gone->drop == DROP_COLUMN || strstr(gone->kind, "COLUMN"));

    if (!gone->table || !rel_in(f, gone->schema, gone->table))
        return USE_NOT;
    if (!is_column)
        return USE_SURE;
    for (int i = 0; i < f->n_writes; i++)
        if (is_rel(f->writes[i].schema, f->writes[i].table, gone->schema, gone->table) &&
            text_list_has(&f->writes[i].columns, gone->object))
            return USE_SURE;
    if (!text_list_has(&f->columns, gone->object))
        return USE_NOT;
    return f->n_rels == 1 ? USE_SURE : USE_MAYBE;
}

static bool takes_away(const struct sql_stmt *s)
{
    bool is_name = s->drop == DROP_COLUMN || s->drop == DROP_TABLE || s->drop == DROP_VIEW ||
                   strstr(s->kind, "RENAME COLUMN") || strcmp(s->kind, "ALTER TABLE RENAME") == 0 ||
                   strstr(s->kind, "SET SCHEMA");

    return s->class == SQL_DESTRUCTIVE && is_name;
}

/* The first listed release whose window has nobody left that names it. */
static const char *safe_from(const struct view *v, const struct sql_stmt *gone)
{
    const struct project *prj = &v->rf->set->project;
    int last = -1;

    for (int r = 0; r < v->rf->o->n_releases; r++) {
        const struct statement_facts *f = facts_of(v->rf, r);

        for (int i = 0; f && i < statements_of(v->rf, r)->n; i++)
            if (uses(&f[i], gone) == USE_SURE)
                last = r;
    }
    if (last >= prj->n_releases || last + v->window + 1 >= prj->n_releases)
        return NULL;
    return prj->releases[last + v->window + 1].version.s;
}

static const char *thing_of(struct view *v, const struct sql_stmt *gone)
{
    bool is_column = gone->object && (gone->drop == DROP_COLUMN || strstr(gone->kind, "COLUMN"));

    return is_column ? arena_printf(&v->r->arena, "%s.%s", gone->table, gone->object)
                     : arena_strdup(&v->r->arena, gone->table);
}

/* The statement that makes it anew, later in the step; NULL: none. The step is one transaction: nobody sees it gone. */
static const struct sql_stmt *made_anew(const struct step *step, const struct sql_stmt *gone)
{
    for (int i = (int) (gone - step->stmts) + 1; gone->drop == DROP_VIEW && i < step->n_stmts;
         i++) {
        const struct sql_stmt *s = &step->stmts[i];

        if (strncmp(s->kind, "CREATE", strlen("CREATE")) == 0 && strstr(s->kind, "VIEW") &&
            is_text(s->table, gone->table) &&
            (s->schema ? is_text(s->schema, gone->schema) : !gone->schema))
            return s;
    }
    return NULL;
}

/* Are all columns that the statement names words of the view's text? Else they may be gone, or another table's. */
static bool keeps_columns(const struct sql_stmt *view, const struct statement_facts *f)
{
    if (strchr(view->sql, '*'))
        return true;
    for (int i = 0; i < f->columns.n; i++)
        if (!strcasestr(view->sql, f->columns.items[i].s))
            return false;
    return true;
}

static void still_named(struct view *v, const struct step *step, const struct sql_stmt *gone)
{
    const struct sql_stmt *anew = made_anew(step, gone);
    int switched = v->phase_release[PHASE_WRITE_ACTIVATION];
    const char *thing = thing_of(v, gone);
    struct finding *found[2][2] = {{NULL}}; /* before the switch of writes, after it; maybe, sure */

    for (int r = 0; r < v->rf->o->n_releases; r++) {
        const struct statement_facts *f = is_live(v, r, PHASE_CONTRACT) ? facts_of(v->rf, r) : NULL;
        bool is_late = r >= switched;

        for (int i = 0; f && i < statements_of(v->rf, r)->n; i++) {
            enum use use = uses(&f[i], gone);

            if (anew && use == USE_SURE)
                use = keeps_columns(anew, &f[i]) ? USE_NOT : USE_MAYBE;
            struct finding **at = &found[is_late][use == USE_SURE];

            if (use == USE_NOT)
                continue;
            if (!*at)
                *at = say(v,
                          is_late ? "contract-without-tombstone"
                                  : "schema-state-skips-supported-release",
                          gone->at, PHASE_CONTRACT, step->id.s,
                          "contract in a release whose window has no code left that names it",
                          arena_printf(&v->r->arena, "%s %s what %s %s still names: %s", gone->kind,
                                       use == USE_SURE ? "takes away" : "may take away",
                                       is_consumer(v, r) ? "consumer" : "release", version_of(v, r),
                                       thing));
            if (use == USE_MAYBE)
                (*at)->severity = SEVERITY_NOTE;
            else
                (*at)->safe_from = arena_strdup(&v->r->arena, safe_from(v, gone));
            place(v, *at, r, i);
        }
    }
}

static void each_statement(struct view *v, enum phase phase,
                           void (*fn)(struct view *v, enum phase phase, const struct step *step,
                                      const struct sql_stmt *s))
{
    const struct phase_plan *ph = &v->p->phases[phase];

    for (int i = 0; i < ph->steps.n + ph->finish.n; i++) {
        const struct step *step =
            i < ph->steps.n ? &ph->steps.items[i] : &ph->finish.items[i - ph->steps.n];

        for (int k = 0; k < step->n_stmts; k++)
            fn(v, phase, step, &step->stmts[k]);
    }
}

static void look_contract(struct view *v, enum phase phase, const struct step *step,
                          const struct sql_stmt *s)
{
    (void) phase;
    if (takes_away(s))
        still_named(v, step, s);
}

/* ---- order and number of columns ------------------------------------------------------------------------------------ */

static bool is_positional(const struct statement_facts *f, const struct sql_stmt *s)
{
    for (int i = 0; i < f->n_writes; i++)
        if (f->writes[i].positional && f->writes[i].verb == VERB_INSERT &&
            is_rel(f->writes[i].schema, f->writes[i].table, s->schema, s->table))
            return true;
    return false;
}

static void look_columns(struct view *v, enum phase phase, const struct step *step,
                         const struct sql_stmt *s)
{
    bool is_drop = s->drop == DROP_COLUMN, is_add = strcmp(s->kind, "ALTER TABLE ADD COLUMN") == 0;
    struct finding *found = NULL;

    for (int r = 0; (is_drop || is_add) && s->table && r < v->rf->o->n_releases; r++) {
        const struct statement_facts *f = is_live(v, r, phase) ? facts_of(v->rf, r) : NULL;

        for (int i = 0; f && i < statements_of(v->rf, r)->n; i++) {
            const struct fact_rel *rel = rel_in(&f[i], s->schema, s->table);
            bool positional = is_drop && is_positional(&f[i], s);
            /* sqlc has written the star out when it made the code. */
            bool is_star =
                rel && rel->star &&
                !(is_add && statements_of(v->rf, r)->items[i].result && f[i].selects_star);

            if (!positional && !is_star)
                continue;
            if (!found)
                found =
                    say(v, "positional-insert-or-star", s->at, phase, step->id.s,
                        "name the columns in the statements, one release before",
                        arena_printf(&v->r->arena,
                                     "%s changes the columns of %s, which live statements take as "
                                     "they come",
                                     s->kind, s->table));
            if (positional)
                found->severity = SEVERITY_ERROR;
            place(v, found, r, i);
        }
    }
}

/* ---- flags ------------------------------------------------------------------------------------------------------------ */

static bool asks_for(const struct statement *s, const char *key, bool on)
{
    for (int i = 0; i < s->n_when; i++)
        if (is_text(s->when[i].flag, key) && s->when[i].on == on)
            return true;
    return false;
}

static bool has_old_branch(const struct view *v, int release, const char *key)
{
    const struct statements *list = statements_of(v->rf, release);

    for (int i = 0; list && i < list->n; i++)
        if (asks_for(&list->items[i], key, false))
            return true;
    return false;
}

/* The first release with statements in whose window nobody asks for the flag; NULL: there is none. */
static const char *flag_gone_from(const struct view *v, const char *key)
{
    const struct project *project = &v->rf->set->project;

    for (int r = v->phase_release[PHASE_CONTRACT] + 1; r < project->n_releases; r++) {
        const struct statements *own = statements_of(v->rf, r);
        bool gone = own && own->n > 0;

        for (int k = r; gone && k >= 0 && k >= r - v->window; k--)
            gone = !has_old_branch(v, k, key);
        if (gone)
            return version_of(v, r);
    }
    return NULL;
}

static void flags_removed(struct view *v, enum phase phase, const struct step *step,
                          const struct sql_stmt *s)
{
    (void) phase;
    if (!takes_away(s) || v->said_flag)
        return;
    for (int role = 0; role < FLAG_ROLES; role++) {
        const char *key = v->p->flags[role].key.s;
        struct finding *found = NULL;

        for (int r = 0; key && r < v->rf->set->project.n_releases; r++) {
            const struct statements *list =
                is_live(v, r, PHASE_CONTRACT) ? statements_of(v->rf, r) : NULL;

            for (int i = 0; list && i < list->n; i++) {
                if (!asks_for(&list->items[i], key, false))
                    continue;
                if (!found)
                    found =
                        say(v, "flag-removed-while-old-release-reads-it", s->at, PHASE_CONTRACT,
                            step->id.s,
                            "delete the old branch in a release of its own, and contract when the "
                            "window has passed it",
                            arena_printf(&v->r->arena,
                                         "contract ends what flag %s chooses, and release %s still "
                                         "has its old branch",
                                         key, version_of(v, r)));
                found->safe_from = arena_strdup(&v->r->arena, flag_gone_from(v, key));
                place(v, found, r, i);
                v->said_flag = true;
            }
        }
    }
}

static bool knows_flag(const struct statements *s, const char *key)
{
    for (int i = 0; s && i < s->n; i++)
        if (asks_for(&s->items[i], key, true) || asks_for(&s->items[i], key, false))
            return true;
    return false;
}

static bool is_key(const struct pair_list *l, const char *column)
{
    for (int i = 0; i < l->n; i++)
        if (is_text(l->items[i].key.s, column))
            return true;
    return false;
}

/* Does it write the old side of the sync (old), or the new one? */
static bool writes_side(const struct view *v, const struct statement_facts *f, bool old,
                        enum statement_verb *verb)
{
    const struct sync *sync = &v->p->sync;

    for (int i = 0; i < f->n_writes; i++) {
        const struct fact_write *w = &f->writes[i];

        if (!is_rel(w->schema, w->table, sync->schema.s, sync->table.s))
            continue;
        for (int c = 0; c < w->columns.n; c++) {
            const char *column = w->columns.items[c].s;
            bool is_new = is_key(&sync->forward, column);
            bool is_old =
                is_key(&sync->reverse, column) || text_list_has(&sync->forward_columns, column);

            if (old ? is_old && !is_new : is_new) {
                *verb = w->verb;
                return true;
            }
        }
    }
    return false;
}

static void below_floor(struct view *v)
{
    const char *key = v->p->flags[FLAG_WRITE].key.s;
    int first = v->phase_release[PHASE_WRITE_ACTIVATION];
    struct finding *found = NULL;

    if (!key || first < 0 || v->p->sync.by != SYNC_APPLICATION ||
        v->p->phases[PHASE_WRITE_ACTIVATION].rollout.n == 0 ||
        !knows_flag(statements_of(v->rf, first), key))
        return;
    for (int r = first - 1; r >= 0 && is_live(v, r, PHASE_WRITE_ACTIVATION); r--) {
        const struct statement_facts *f = facts_of(v->rf, r);

        if (!f || knows_flag(statements_of(v->rf, r), key))
            continue;
        for (int i = 0; i < statements_of(v->rf, r)->n; i++) {
            enum statement_verb verb = VERB_OTHER;

            if (!writes_side(v, &f[i], true, &verb) || writes_side(v, &f[i], false, &verb))
                continue;
            if (!found) {
                found = say(
                    v, "rollback-below-flag-floor", v->p->phases[PHASE_WRITE_ACTIVATION].at,
                    PHASE_WRITE_ACTIVATION, NULL,
                    "ship the code of the write flag one release before its first rung, or sync "
                    "by trigger",
                    arena_printf(&v->r->arena,
                                 "flag %s rises in %s, and release %s, which may come back, "
                                 "writes the old place alone",
                                 key, version_of(v, first), version_of(v, r)));
                found->severity = SEVERITY_NOTE; /* readers may fall back to the old place */
            }
            if (verb == VERB_UPDATE)
                found->severity = SEVERITY_ERROR;
            place(v, found, r, i);
        }
    }
}

/* The first release of the window of `release` that reads the old side. */
static int reader_of_old(const struct view *v, int release)
{
    const struct sync *sync = &v->p->sync;

    for (int r = release; r >= 0 && r >= release - v->window; r--) {
        const struct statement_facts *f = facts_of(v->rf, r);

        for (int i = 0; f && i < statements_of(v->rf, r)->n; i++) {
            if (f[i].verb != VERB_SELECT || f[i].n_rels != 1 ||
                !rel_in(&f[i], sync->schema.s, sync->table.s))
                continue;
            for (int c = 0; c < sync->forward_columns.n; c++)
                if (text_list_has(&f[i].columns, sync->forward_columns.items[c].s))
                    return r;
        }
    }
    return -1;
}

static void stopped_early(struct view *v)
{
    int first = v->phase_release[PHASE_WRITE_ACTIVATION], end = v->phase_release[PHASE_CONTRACT];
    struct finding *found = NULL;

    if (v->p->sync.by != SYNC_APPLICATION || first < 0)
        return;
    end = end < 0 ? v->rf->set->project.n_releases : end;
    for (int r = first; r < end; r++) {
        const struct statement_facts *f = facts_of(v->rf, r);
        int reader = f ? reader_of_old(v, r) : -1;

        for (int i = 0; reader >= 0 && i < statements_of(v->rf, r)->n; i++) {
            enum statement_verb verb;

            if (!writes_side(v, &f[i], false, &verb) || writes_side(v, &f[i], true, &verb))
                continue;
            if (!found)
                found =
                    say(v, "dual-write-stopped-early", v->p->sync.at, PHASE_WRITE_ACTIVATION, NULL,
                        "write both places until no release of the window reads the old one",
                        arena_printf(&v->r->arena,
                                     "release %s writes the new place of %s alone, and release %s "
                                     "reads the old one",
                                     version_of(v, r), v->p->sync.table.s, version_of(v, reader)));
            place(v, found, r, i);
        }
    }
}

/* ---- what the plan says by itself ----------------------------------------------------------------------------------------- */

static void look_sync(struct view *v)
{
    const struct plan *p = v->p;
    const struct phase_plan *read = &p->phases[PHASE_DUAL_READ],
                            *write = &p->phases[PHASE_WRITE_ACTIVATION];

    if (p->sync.by != SYNC_NONE && p->sync.reverse.n == 0 && p->sync.forward.n > 0 &&
        p->flags[FLAG_WRITE].key.s && write->rollout.n > 0 && p->sync.by != SYNC_APPLICATION)
        say(v, "rollback-loses-writes", p->sync.at, PHASE_WRITE_ACTIVATION, NULL,
            "reverse: in sync, with the expression that gives the old column",
            "sync has no reverse: what is written under the write flag isn't there for older "
            "releases");
    if (p->sync.by == SYNC_TRIGGER && read->rollout.n > 0 && read->backfill.n == 0 &&
        p->flags[FLAG_READ].key.s)
        say(v, "read-switch-before-backfill-verified", read->at, PHASE_DUAL_READ, NULL,
            "backfill: in dual_read, before its rungs",
            "reads move in dual_read and no backfill fills the past before: unless they fall back "
            "to the "
            "old place, rows are missing; to know, this needs the shadow")
            ->severity = SEVERITY_NOTE;
}

void lint_plan_releases(struct release_facts *rf, const struct plan *p, struct report *out)
{
    struct view v = {.rf = rf, .p = p, .r = out, .window = rf->o->window > 0 ? rf->o->window : 1};

    for (enum phase ph = PHASE_FIRST; ph <= PHASE_LAST; ph++)
        v.phase_release[ph] =
            p->phases[ph].present && p->phases[ph].release.s
                ? project_release_index(&rf->set->project, p->phases[ph].release.s)
                : -1;
    /* Expand of a release that is still to come follows the newest one; what comes after it has releases in between
     * that nobody knows yet. */
    if (p->phases[PHASE_EXPAND].present && v.phase_release[PHASE_EXPAND] < 0)
        v.phase_release[PHASE_EXPAND] = rf->set->project.n_releases;
    if (!rf->o->shadow_follows)
        look_sync(&v);
    if (!rf->o->releases)
        return;
    each_statement(&v, PHASE_CONTRACT, flags_removed);
    if (rf->o->shadow_follows)
        return;
    each_statement(&v, PHASE_CONTRACT, look_contract);
    for (enum phase ph = PHASE_FIRST; ph <= PHASE_LAST; ph++)
        each_statement(&v, ph, look_columns);
    below_floor(&v);
    stopped_early(&v);
}

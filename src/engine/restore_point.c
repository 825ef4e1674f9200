/* A place in the WAL from before something is hidden or destroyed, and proof that the backup reaches it. */
#include "internal.h"

#include "phasegate/json_out.h"
#include "sql_embedded.h"

#include <stdlib.h>

#define NAME_BYTES 63 /* the most that the server takes */
#define POLL_MS 200   /* the archiver takes a segment as soon as it is told of it */
#define SAY_AFTER_MS 1000
#define ARCHIVE_OF "the archive to take WAL segment"

struct means { /* what this server lets us do */
    bool can_set, can_switch, archives;
    const char *why; /* a sentence: why none can be set, or why it isn't archived; NULL */
    const char *help;
};

struct archive {
    bool has_it, is_open, same_timeline;
    const char *last, *failed;
};

static bool find_means(struct work *w, struct means *m, struct err *err)
{
    struct db_rows rows = {0};

    if (!ask_own(w->e, w->a, sql_select_restore_point_means, &DB_NO_PARAMS, &rows, err))
        return false;
    AUTO(str) role = {0};
    sql_ident(&role, db_cell(&rows, 0, 4));
    bool has_wal = strcmp(db_cell(&rows, 0, 0), "minimal") != 0;
    *m = (struct means) {.can_set = has_wal && cell_is_true(&rows, 0, 2),
                         .can_switch = cell_is_true(&rows, 0, 3),
                         .archives = strcmp(db_cell(&rows, 0, 1), "off") != 0};
    if (!has_wal) {
        m->why = "wal_level is minimal, so the WAL can't be restored from";
        m->help = "wal_level = replica and archive_mode = on, and a restart";
    } else if (!m->can_set) {
        m->why = arena_printf(w->a, "role %s may not set one", db_cell(&rows, 0, 4));
        m->help = arena_printf(w->a,
                               "GRANT EXECUTE ON FUNCTION pg_catalog.pg_create_restore_point(text),"
                               " pg_catalog.pg_switch_wal() TO %s",
                               str_text(&role));
    } else if (!m->archives) {
        m->why = "archive_mode is off, so no archive has its WAL";
        m->help = "archive_mode = on with an archive_command, and a restart";
    }
    return true;
}

bool restore_point_look(struct work *w, struct fact *f, struct err *err)
{
    struct means m;

    fact_yes(f);
    if (w->e->policy.restore_point != POINT_REQUIRED)
        return true;
    if (!find_means(w, &m, err))
        return false;
    if (m.why)
        fact_no(f, arena_printf(w->a, "no restore point to go back to: %s", m.why),
                arena_printf(w->a, "%s; or, to do without, policy: {restore_point: auto}", m.help));
    return true;
}

bool restore_point_word(struct work *w, const char **word, const char **why, struct err *err)
{
    struct means m = {0};

    *why = NULL;
    *word = "off";
    if (w->e->policy.restore_point == POINT_OFF)
        return true;
    if (!find_means(w, &m, err))
        return false;
    *word = !m.can_set ? "cannot" : m.archives ? "would_archive" : "would_set";
    *why = m.why;
    return true;
}

/* ---- the archive ----------------------------------------------------------------------------- */

static bool look_at_archive(struct work *w, const char *segment, struct archive *out,
                            struct err *err)
{
    struct db_rows rows = {0};

    if (!ask_own(w->e, w->a, sql_select_archived, &DB_PARAMS(segment), &rows, err))
        return false;
    *out = (struct archive) {.has_it = cell_is_true(&rows, 0, 0),
                             .is_open = cell_is_true(&rows, 0, 1),
                             .same_timeline = cell_is_true(&rows, 0, 2),
                             .last = db_cell(&rows, 0, 3),
                             .failed = db_cell(&rows, 0, 4)};
    return true;
}

static const char *why_not_archived(struct work *w, const struct means *m, const struct archive *s)
{
    AUTO(str) limit = {0};

    duration_to_text(&limit, w->e->policy.archive_timeout_ms);
    if (!s->same_timeline)
        return "the server is on another timeline by now";
    if (s->failed)
        return arena_printf(w->a,
                            "archiving of %s fails, and went on failing for %s: the server's log "
                            "has its words",
                            s->failed, str_text(&limit));
    if (s->is_open && !m->can_switch)
        return arena_printf(w->a,
                            "its segment is still being written after %s, and this role may not "
                            "end it (EXECUTE on pg_catalog.pg_switch_wal())",
                            str_text(&limit));
    return arena_printf(w->a, "it isn't there after %s; the last that is there: %s",
                        str_text(&limit), s->last ? s->last : "none");
}

static bool end_segment(struct work *w, struct err *err)
{
    struct db_rows rows = {0};

    return db_query(w->e->db, w->a, sql_switch_wal, &DB_NO_PARAMS, &rows, err);
}

/* No lock and no transaction is held meanwhile. *why NULL: it is there. */
static bool await_archive(struct work *w, const struct means *m, const struct restore_point *p,
                          const char **why, struct err *err)
{
    int64_t begin = clock_mono_ms(w->e->ports->clock), waited = 0;
    bool ended = false;

    *why = NULL;
    for (;;) {
        struct archive s;

        if (!look_at_archive(w, p->segment, &s, err))
            return false;
        if (s.has_it)
            break;
        waited = clock_mono_ms(w->e->ports->clock) - begin;
        if (!s.same_timeline || waited >= w->e->policy.archive_timeout_ms) {
            *why = why_not_archived(w, m, &s);
            break;
        }
        if (s.is_open && m->can_switch && !ended) {
            ended = true;
            if (!end_segment(w, err))
                return false;
            continue;
        }
        if (waited >= SAY_AFTER_MS &&
            !record_wait(w, arena_printf(w->a, ARCHIVE_OF " %s", p->segment),
                         "the server's archiver", "the archiver, or policy.archive_timeout",
                         now_ms(w->e) + w->e->policy.archive_timeout_ms - waited, err))
            return false;
        if (!work_may_go_on(w, err))
            return false;
        clock_sleep_ms(w->e->ports->clock, POLL_MS);
    }
    return record_wait(w, NULL, NULL, NULL, 0, err);
}

/* ---- setting one ----------------------------------------------------------------------------- */

/* What comes last is what tells it from others: of a long plan's name the end is cut. */
static const char *name_of(struct work *w, const char *before)
{
    const char *run = w->e->run_id ? w->e->run_id : "";
    const char *tail = arena_printf(w->a, ":%s:%s", before, run);
    size_t room = NAME_BYTES - strlen("phasegate:");

    room = strlen(tail) < room ? room - strlen(tail) : 0;
    return arena_printf(w->a, "%.63s",
                        arena_printf(w->a, "phasegate:%.*s%s", (int) room, w->p->id.s, tail));
}

static bool set_new(struct work *w, const char *before, struct restore_point *p, struct err *err)
{
    struct db_rows rows = {0};

    *p = (struct restore_point) {.plan = w->p->id.s,
                                 .phase = before,
                                 .name = name_of(w, before),
                                 .run_id = w->e->run_id,
                                 .by = w->e->actor};
    if (!db_query(w->e->db, w->a, sql_create_restore_point, &DB_PARAMS(p->name), &rows, err))
        return err_note(err, "setting restore point %s", p->name);
    p->lsn = db_cell(&rows, 0, 0);
    p->segment = db_cell(&rows, 0, 1);
    p->timeline = strtoll(db_cell(&rows, 0, 2), NULL, 10);
    return ledger_restore_point_add(w->e->db, w->a, p, err);
}

/* The journal has it as well: its chain can't be changed unseen. */
static bool note(struct work *w, const char *before, const struct restore_point *p, const char *why,
                 struct err *err)
{
    struct history_row *r = history_new(w, "restore_point", p ? p->name : before, "note");
    struct json_out j;
    AUTO(str) detail = {0};

    json_begin(&j, &detail, false);
    json_object_begin(&j, NULL);
    json_str(&j, "before", before);
    json_str(&j, "lsn", p ? p->lsn : NULL);
    json_str(&j, "segment", p ? p->segment : NULL);
    json_bool(&j, "archived", p && !why);
    json_str(&j, "why_not", why);
    json_object_end(&j);
    r->description = !p     ? arena_printf(w->a, "no restore point before %s: %s", before, why)
                     : !why ? arena_printf(w->a, "restore point %s at %s, archived with %s",
                                           p->name, p->lsn, p->segment)
                            : arena_printf(w->a, "restore point %s at %s, not archived: %s",
                                           p->name, p->lsn, why);
    r->detail = arena_strdup(w->a, str_text(&detail));
    return ledger_history_append(w->e->db, r, err);
}

static bool refuse(struct work *w, const char *before, const char *what, struct err *err)
{
    err_set(err, ERR_REFUSED, "%s of plan %s is refused: %s", before, w->p->id.s, what);
    err_detail(err, "Nothing was %s: plan %s stands at \"%s\".",
               strcmp(before, RESTORE_POINT_PURGE) == 0 ? "destroyed" : "hidden", w->p->id.s,
               stage_word(w->state.stage));
    err_hint(err, "mend archive_command, then the same command again; or, to do without, policy: "
                  "{restore_point: auto}");
    return err_reason(err, guard_word(GUARD_RESTORE_POINT));
}

static bool settle(struct work *w, const char *before, const struct means *m,
                   struct restore_point *p, struct err *err)
{
    const char *why = m->archives ? NULL : m->why;

    if (m->archives && !await_archive(w, m, p, &why, err))
        return false;
    if (!ledger_restore_point_archived(w->e->db, p->id, why, err) || !note(w, before, p, why, err))
        return false;
    if (why && w->e->policy.restore_point == POINT_REQUIRED)
        return refuse(w, before,
                      arena_printf(w->a, "restore point %s isn't archived: %s", p->name, why), err);
    if (!why)
        emit(w, EVENT_INFO, NULL, "restore point %s at %s, its WAL (%s) is archived", p->name,
             p->lsn, p->segment);
    else
        emit(w, m->archives ? EVENT_WARNING : EVENT_INFO, NULL,
             "restore point %s at %s isn't archived: %s", p->name, p->lsn, why);
    return true;
}

/* The newest that was set before this; from before anything went, whichever run that was. */
static bool find_last(struct work *w, const char *before, struct restore_point **out,
                      struct err *err)
{
    struct restore_point *all = NULL;
    int n = 0;

    *out = NULL;
    if (!ledger_restore_points(w->e->db, w->a, w->p->id.s, &all, &n, err))
        return false;
    for (int i = 0; i < n; i++)
        if (strcmp(all[i].phase, before) == 0)
            *out = &all[i];
    return true;
}

static bool restore_point_set(struct work *w, const char *before, bool has_begun, struct err *err)
{
    struct restore_point *last = NULL, p;
    struct means m;

    if (w->e->policy.restore_point == POINT_OFF)
        return true;
    if (has_begun && !find_last(w, before, &last, err))
        return false;
    /* A newer one would be from after what went already. */
    if (last && (last->archived_at_ms || w->e->policy.restore_point != POINT_REQUIRED))
        return true;
    if (!find_means(w, &m, err))
        return false;
    if (last)
        return settle(w, before, &m, last, err);
    if (m.can_set)
        return set_new(w, before, &p, err) && settle(w, before, &m, &p, err);
    if (w->e->policy.restore_point == POINT_REQUIRED)
        return refuse(w, before, arena_printf(w->a, "no restore point to go back to: %s", m.why),
                      err);
    emit(w, EVENT_INFO, NULL, "no restore point: %s", m.why);
    return note(w, before, NULL, m.why, err);
}

/* ---- before contract ------------------------------------------------------------------------- */

/* What a program or a DO block does nobody knows. */
static bool takes_away(const struct task *t)
{
    if (t->kind == TASK_SOFT_DROP)
        return true;
    for (int i = 0; t->kind == TASK_STEP && i < t->step->n_stmts; i++)
        if (t->step->stmts[i].class >= SQL_DESTRUCTIVE)
            return true;
    return t->kind == TASK_STEP && t->step->command.n > 0;
}

static bool has_begun(const struct work *w, const struct task *t)
{
    const struct history_row *r = work_step_row(w, t->id);

    return r && (task_is_done(w, t) || strcmp(r->status, "started") == 0);
}

bool restore_point_before_task(struct work *w, const struct script *s, const struct task *t,
                               struct err *err)
{
    bool any_begun = false;

    if (w->phase != PHASE_CONTRACT || w->state.stage == STAGE_PURGING || !takes_away(t))
        return true;
    /* By what was there when the run began. */
    for (int i = 0; i < s->n; i++) {
        bool begun = takes_away(&s->tasks[i]) && has_begun(w, &s->tasks[i]);
        if (&s->tasks[i] < t && takes_away(&s->tasks[i]) && !begun)
            return true; /* one was set before that */
        any_begun |= begun;
    }
    return restore_point_set(w, phase_word(PHASE_CONTRACT), any_begun, err);
}

bool restore_point_before_purge(struct work *w, struct err *err)
{
    struct script s;
    struct world world;
    struct decision d;

    plan_script(w->a, w->p, PHASE_CONTRACT, true, &s);
    if (s.n == 0 || w->e->policy.restore_point == POINT_OFF)
        return true;
    if (!engine_observe(w->e, w->p, EVENT_PURGE, w->o, w->a, &w->state, &world, err))
        return false;
    phase_decide(&world, EVENT_PURGE, &d);
    return !d.go || restore_point_set(w, RESTORE_POINT_PURGE, w->state.stage == STAGE_PURGING, err);
}

/* DDL safety, as the shadow shows it: which locks a step's statements take on tables that were there before, and
 * what work is done while they are held.
 *
 * Locks come from the session's own pg_locks, rewrites from relfilenode, scans and index builds from what the
 * server says at DEBUG1 (texts of tablecmds.c and index.c, pinned by tests for each version). A statement that
 * can't run in a transaction is watched from another session.
 */
#include "check/work.h"

#include "sql_embedded.h"

#include <stdlib.h>

enum work_kind { WORK_NOTHING, WORK_SCAN, WORK_INDEX, WORK_FOREIGN_KEY, WORK_REWRITE };

struct seen_lock {
    unsigned relation;
    enum lock_mode mode;
};

struct seen_file {
    unsigned relation, filenode;
    const char *name;
};

struct watch {
    struct proof *p;
    int state;
    const struct step *step;
    struct seen_lock *locks; /* on relations that were there before the step */
    int n_locks;
    struct seen_lock *earlier; /* those that the statements before this one had taken */
    int n_earlier;
    struct seen_file *files; /* of tables, as the statement left them; ascending by relation */
    int n_files;
    int strongest_at; /* statement that first took ACCESS EXCLUSIVE; -1: none */
};

/* ---- what the server says -------------------------------------------------------------------------------- */

/* "x" after a word, up to the last quotation mark: the server doesn't double one that is in the name. */
static const char *last_quoted(struct arena *a, const char *notice, const char *before)
{
    const char *at = strstr(notice, before), *end = strrchr(notice, '"');

    at = at ? strchr(at, '"') : NULL;
    return at && end > at ? arena_strndup(a, at + 1, (size_t) (end - at - 1)) : NULL;
}

/* DEBUG1 texts: `rewriting table "t"`, `verifying table "t"`, `building index "i" on table "t" serially`,
 * `validating foreign key constraint "f"`. */
static enum work_kind work_of(const char *notice, const char **table, struct arena *a)
{
    static const struct {
        const char *text, *before;
        enum work_kind kind;
    } texts[] = {
        {"rewriting table", "rewriting table", WORK_REWRITE},
        {"verifying table", "verifying table", WORK_SCAN},
        {"building index", "on table", WORK_INDEX},
        {"validating foreign key constraint", "validating foreign key constraint",
         WORK_FOREIGN_KEY},
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strstr(notice, texts[i].text)) {
            *table = last_quoted(a, notice, texts[i].before);
            return texts[i].kind;
        }
    return WORK_NOTHING;
}

static enum lock_mode mode_of(const char *word)
{
    static const struct {
        const char *word;
        enum lock_mode mode;
    } words[] = {
        {"AccessShareLock", LOCK_AS},  {"RowShareLock", LOCK_RS},
        {"RowExclusiveLock", LOCK_RE}, {"ShareUpdateExclusiveLock", LOCK_SUE},
        {"ShareLock", LOCK_S},         {"ShareRowExclusiveLock", LOCK_SRE},
        {"ExclusiveLock", LOCK_E},     {"AccessExclusiveLock", LOCK_AE},
    };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i].word, word) == 0)
            return words[i].mode;
    return LOCK_NONE;
}

/* What the same phase made a step earlier nobody uses yet. */
static bool is_new(const struct watch *w, unsigned relation)
{
    const struct timeline_state *s = &w->p->t.states[w->state];

    for (int i = 0; i < w->p->n_born; i++)
        if (w->p->born[i].relation == relation && w->p->born[i].column == 0)
            return w->p->born[i].plan == s->plan && w->p->born[i].phase == s->phase;
    return false;
}

static enum lock_mode mode_on(const struct watch *w, unsigned relation)
{
    enum lock_mode strongest = LOCK_NONE;

    for (int i = 0; i < w->n_locks; i++)
        if ((relation == 0 || w->locks[i].relation == relation) && w->locks[i].mode > strongest)
            strongest = w->locks[i].mode;
    return strongest;
}

/* The table of this name, which it may have by a statement of this step: of several the one that is locked. NULL: it
 * wasn't there before; p->now is still what was. */
static const struct cat_relation *table_before(const struct watch *w, const char *name)
{
    const struct cat_relation *found = NULL;

    for (int i = 0; name && i < w->n_files; i++) {
        const struct cat_relation *r = strcmp(w->files[i].name, name) == 0
                                           ? cat_by_oid(&w->p->now, w->files[i].relation)
                                           : NULL;

        if (r && !is_new(w, r->oid) && (!found || mode_on(w, r->oid) > mode_on(w, found->oid)))
            found = r;
    }
    return found;
}

/* ---- locks --------------------------------------------------------------------------------------------------- */

/* p->now is still what was before the step. */
static void take_look(struct watch *w, const struct wire_result *r)
{
    struct proof *p = w->p;

    w->locks = arena_array(p->scratch, struct seen_lock, r->n_rows + 1);
    w->files = arena_array(p->scratch, struct seen_file, r->n_rows + 1);
    w->n_locks = w->n_files = 0;
    for (int i = 0; r->ok && i < r->n_rows; i++) {
        unsigned oid = (unsigned) strtoul(r->cell[i][0], NULL, 10);
        if (w->n_files == 0 || w->files[w->n_files - 1].relation != oid)
            w->files[w->n_files++] = (struct seen_file) {
                oid, (unsigned) strtoul(r->cell[i][1], NULL, 10), r->cell[i][2]};
        if (r->cell[i][3] && cat_by_oid(&p->now, oid) && !is_new(w, oid))
            w->locks[w->n_locks++] = (struct seen_lock) {oid, mode_of(r->cell[i][3])};
    }
}

/* Locks and files as the owner's session has them; by that session, or by another one while it runs a statement.
 * first: before it; NULL: nothing. */
static bool look(struct watch *w, struct wire *by, const char *first, struct err *err)
{
    struct proof *p = w->p;
    const char *pid = arena_printf(p->scratch, "%d", wire_pid(p->owner));
    const struct wire_op ops[] = {{.kind = WIRE_RUN, .sql = first, .sync = true},
                                  {.kind = WIRE_RUN,
                                   .sql = sql_select_relation_files,
                                   .args = &pid,
                                   .n_args = 1,
                                   .keep_rows = true,
                                   .sync = true}};
    struct wire_result r[2] = {0};
    int skip = first ? 0 : 1;

    if (!wire_run(by, p->scratch, ops + skip, 2 - skip, r + skip, err))
        return false;
    take_look(w, &r[1]);
    return true;
}

static const struct cat_relation *most_locked(const struct watch *w)
{
    enum lock_mode strongest = mode_on(w, 0);

    for (int i = 0; i < w->n_locks; i++)
        if (w->locks[i].mode == strongest)
            return cat_by_oid(&w->p->now, w->locks[i].relation);
    return NULL;
}

/* ---- findings ---------------------------------------------------------------------------------------------------- */

static struct finding *ddl_finding(struct watch *w, const char *rule, const struct sql_stmt *s,
                                   const char *message)
{
    struct proof *p = w->p;
    const struct timeline_state *st = &p->t.states[w->state];
    struct finding *f = report_add(p->report, rule, s->at, "%s", message);

    f->plan = p->t.plans[st->plan]->id.s;
    f->phase = phase_word(st->phase);
    f->step = w->step->id.s;
    return f;
}

static const char *blocked_words(enum lock_mode m)
{
    return m == LOCK_AE ? "reads and writes wait" : "writes wait";
}

#define REMAKE "a new column or table, filled by a backfill, and the old one dropped in contract"

/* The safe way, by what the statement is (PostgreSQL's manual, ALTER TABLE and CREATE INDEX, Notes). */
static const char *safe_way(const struct proof *p, const struct sql_stmt *s, enum work_kind k)
{
    const struct cat_relation *r = s->table ? cat_find(&p->now, NULL, s->schema, s->table) : NULL;

    if (strstr(s->kind, "ATTACH"))
        return "add a CHECK that matches the partition's bound first, NOT VALID and then VALIDATE";
    if (strstr(s->kind, "REINDEX"))
        return "REINDEX ... CONCURRENTLY";
    if (strstr(s->kind, "REFRESH"))
        return "REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index on the view";
    if (strstr(s->kind, "CREATE") && k == WORK_INDEX && r && r->kind == 'p')
        return "CREATE INDEX ON ONLY the parent, then CONCURRENTLY on each partition, then ATTACH";
    if (strstr(s->kind, "CREATE") && k == WORK_INDEX)
        return "CREATE INDEX CONCURRENTLY, in a step of its own";
    if (k == WORK_INDEX && strstr(s->kind, "COLUMN TYPE"))
        return REMAKE;
    if (k == WORK_INDEX && strstr(s->kind, "EXCLU"))
        return "an exclusion constraint takes no index that is there: a new table that has it, "
               "filled "
               "by a backfill, or this while nobody writes";
    if (k == WORK_INDEX)
        return "CREATE UNIQUE INDEX CONCURRENTLY first, then ADD CONSTRAINT ... USING INDEX";
    if (k == WORK_FOREIGN_KEY)
        return "ADD CONSTRAINT ... NOT VALID, then VALIDATE CONSTRAINT in a step of its own";
    if (k == WORK_SCAN && strstr(s->kind, "NOT NULL"))
        return "ADD CONSTRAINT ... CHECK (column IS NOT NULL) NOT VALID, VALIDATE it in a step of "
               "its own, then SET "
               "NOT NULL, then drop the check";
    if (k == WORK_SCAN && strstr(s->kind, "COLUMN TYPE"))
        return "it checks constraints of the column anew: drop them in a step before, and add them "
               "NOT VALID behind it, then VALIDATE CONSTRAINT in a step of its own; or " REMAKE;
    if (k == WORK_SCAN)
        return "ADD CONSTRAINT ... NOT VALID, then VALIDATE CONSTRAINT in a step of its own";
    return REMAKE;
}

static void report_work(struct watch *w, const struct sql_stmt *s, enum work_kind k,
                        const char *table, enum lock_mode mode)
{
    static const char *const does[] = {
        [WORK_SCAN] = "reads every row of",
        [WORK_INDEX] = "builds an index over",
        [WORK_FOREIGN_KEY] = "compares every row of",
        [WORK_REWRITE] = "rewrites",
    };
    struct finding *f = ddl_finding(
        w, "work-under-strong-lock", s,
        arena_printf(w->p->a, "%s %s table \"%s\" under %s: %s until it is done", s->kind, does[k],
                     table ? table : "?", lock_mode_word(mode), blocked_words(mode)));

    f->help = safe_way(w->p, s, k);
}

/* Everything the statement did that takes as long as the table is large. */
static bool judge_work(struct watch *w, const struct sql_stmt *s, const struct text_list *notices)
{
    struct proof *p = w->p;
    bool any = false;

    for (int i = 0; i < notices->n; i++) {
        const char *table = NULL;
        enum work_kind k = work_of(notices->items[i].s, &table, p->scratch);
        const struct cat_relation *r =
            k == WORK_FOREIGN_KEY ? most_locked(w) : table_before(w, table);
        enum lock_mode mode = r ? mode_on(w, 0) : LOCK_NONE;

        if (k == WORK_NOTHING || !r || mode < LOCK_S)
            continue;
        /* Indexes over nothing. */
        if (k == WORK_INDEX && strncmp(s->kind, "TRUNCATE", 8) == 0)
            continue;
        /* Nobody writes to a materialized view; REINDEX keeps its index from those who read. */
        if (r->kind == 'm' && mode_on(w, 0) < LOCK_AE && !strstr(s->kind, "REINDEX"))
            continue;
        report_work(w, s, k, r->name, mode);
        any = true;
        break;
    }
    return any;
}

/* CLUSTER, SET LOGGED and their kin say nothing: the file of the table is another one. */
static void judge_files(struct watch *w, const struct sql_stmt *s, const struct seen_file *was,
                        int n)
{
    if (strncmp(s->kind, "TRUNCATE", 8) == 0 || strncmp(s->kind, "DROP", 4) == 0)
        return;
    for (int i = 0, k = 0; i < w->n_files; i++) {
        unsigned oid = w->files[i].relation;
        const struct cat_relation *r = cat_by_oid(&w->p->now, oid);

        while (k < n && was[k].relation < oid)
            k++;
        if (r && k < n && was[k].relation == oid && was[k].filenode != w->files[i].filenode &&
            mode_on(w, oid) >= LOCK_S) {
            report_work(w, s, WORK_REWRITE, r->name, mode_on(w, oid));
            return;
        }
    }
}

static void judge_after(struct watch *w, int i, const struct sql_stmt *s, bool worked)
{
    if (w->strongest_at < 0 || i <= w->strongest_at || worked)
        return;
    const struct sql_stmt *first = &w->step->stmts[w->strongest_at];
    if (s->class != SQL_DATA || s->few_rows || (!s->class_why && s->relations.n <= 1))
        return;
    struct finding *f =
        ddl_finding(w, "statement-after-access-exclusive", s,
                    arena_printf(w->p->a,
                                 "%s runs while the %s of line %d holds ACCESS EXCLUSIVE: "
                                 "reads and writes wait until it is done",
                                 s->kind, first->kind, first->at.line));
    f->help = "a step of its own, or a backfill:";
}

static bool was_locked(const struct watch *w, unsigned relation)
{
    for (int i = 0; i < w->n_earlier; i++)
        if (w->earlier[i].relation == relation && w->earlier[i].mode == LOCK_AE)
            return true;
    return false;
}

static void judge_foreign(struct watch *w, const struct sql_stmt *s)
{
    struct proof *p = w->p;

    if (strstr(s->kind, "FOREIGN KEY") || !s->table)
        return;
    for (int i = 0; i < w->n_locks; i++) {
        const struct cat_relation *r = cat_by_oid(&p->now, w->locks[i].relation);
        if (w->locks[i].mode != LOCK_AE || !r || strcmp(r->name, s->table) == 0 ||
            was_locked(w, w->locks[i].relation))
            continue;
        for (int k = 0; k < p->now.n_relations; k++)
            for (int c = 0; c < p->now.relations[k].n_constraints; c++) {
                const struct cat_constraint *fk = &p->now.relations[k].constraints[c];
                bool links =
                    fk->type == 'f' &&
                    ((fk->other == r->oid && strcmp(p->now.relations[k].name, s->table) == 0) ||
                     (p->now.relations[k].oid == r->oid && cat_by_oid(&p->now, fk->other) &&
                      strcmp(cat_by_oid(&p->now, fk->other)->name, s->table) == 0));
                if (!links)
                    continue;
                struct finding *f = ddl_finding(
                    w, "foreign-table-of-fk-locked", s,
                    arena_printf(
                        p->a, "%s takes ACCESS EXCLUSIVE on \"%s\" too, through foreign key \"%s\"",
                        s->kind, r->name, fk->name));
                f->help = "drop the foreign key in a step of its own before";
                return;
            }
    }
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

/* Only outside a transaction, says PostgreSQL. */
static bool runs_alone(const struct sql_stmt *s)
{
    static const char *const words[] = {"CONCURRENTLY", "VACUUM",       "DATABASE", "TABLESPACE",
                                        "SUBSCRIPTION", "ALTER SYSTEM", NULL};

    for (const char *const *w = words; *w; w++)
        if (strstr(s->kind, *w) || (s->standalone && strcasestr(s->sql, *w)))
            return true;
    return false;
}

static bool run_alone(struct watch *w, const struct sql_stmt *s, struct wire_result *out,
                      int *failed, struct err *err)
{
    struct proof *p = w->p;
    struct text_list notices = {0};
    bool done = false;
    struct watch most = *w;

    memset(out, 0, sizeof *out);
    if (!wire_send(p->owner, s->sql, err))
        return false;
    while (!done) {
        if (!wire_poll(p->owner, p->scratch, 2, &done, out, err))
            return false;
        if (!done && !look(&most, p->root, NULL, err))
            return false;
        if (mode_on(&most, 0) > mode_on(w, 0)) {
            w->locks = most.locks;
            w->n_locks = most.n_locks;
        }
    }
    *failed = out->ok ? -1 : 0;
    wire_notices(p->owner, p->scratch, &notices);
    /* What was over before anybody could look is known from the parse tree. */
    struct watch after = *w;
    if (!look(&after, p->owner, NULL, err))
        return false;
    w->files = after.files;
    w->n_files = after.n_files;
    if (w->n_locks > 0 && !strstr(s->kind, "CONCURRENTLY"))
        (void) judge_work(w, s, &notices);
    return true;
}

static bool run_one(struct watch *w, int i, const struct sql_stmt *s, struct wire_result *out,
                    bool tell, struct err *err)
{
    struct proof *p = w->p;
    struct text_list notices = {0};
    const struct seen_file *was = w->files;
    int findings = p->report->n, n_was = w->n_files;
    bool worked;

    if (!(setting_is(s) ? setting_try(p, w->state, s, tell, out, err)
                        : wire_exec(p->owner, p->scratch, s->sql, false, out, err)))
        return false;
    wire_notices(p->owner, p->scratch, &notices);
    if (!out->ok || !tell)
        return true;
    w->earlier = w->locks;
    w->n_earlier = w->n_locks;
    if (!look(w, p->owner, NULL, err))
        return false;
    wire_notices(p->owner, p->scratch, &(struct text_list) {0});
    worked = judge_work(w, s, &notices);
    if (!worked)
        judge_files(w, s, was, n_was);
    report_watched(p->report, s->at);
    judge_after(w, i, s, p->report->n > findings);
    judge_foreign(w, s);
    if (w->strongest_at < 0 && mode_on(w, 0) == LOCK_AE)
        w->strongest_at = i;
    return true;
}

static bool run_together(struct watch *w, struct wire_result *out, bool tell, int *failed,
                         struct err *err)
{
    struct proof *p = w->p;
    const struct step *s = w->step;
    struct wire_result end = {0};

    if (!look(w, p->owner, "BEGIN", err))
        return false;
    for (int i = 0; i < s->n_stmts && *failed < 0; i++) {
        if (!run_one(w, i, &s->stmts[i], out, tell, err))
            return false;
        if (!out->ok)
            *failed = i;
    }
    if (!wire_exec(p->owner, p->scratch, *failed < 0 ? "COMMIT" : "ROLLBACK", false, &end, err))
        return false;
    if (*failed < 0 && !end.ok) {
        *out = end;
        *failed = s->n_stmts;
    }
    return true;
}

bool ddl_run(struct proof *p, int state, const struct step *s, bool tell, struct wire_result *out,
             int *failed, struct err *err)
{
    struct watch w = {.p = p, .state = state, .step = s, .strongest_at = -1};
    bool alone = s->n_stmts == 1 && (s->no_transaction || runs_alone(&s->stmts[0])) &&
                 !setting_is(&s->stmts[0]);

    *failed = -1;
    wire_notices(p->owner, p->scratch, &(struct text_list) {0});
    if (alone)
        return run_alone(&w, &s->stmts[0], out, failed, err);
    return settings_begin(p, s, err) && run_together(&w, out, tell, failed, err) &&
           settings_end(p, err);
}

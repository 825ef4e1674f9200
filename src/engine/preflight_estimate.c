/* What a phase will take: time, disk and WAL, each as a range, and where it comes from. Nothing of it is a promise. */
#include "preflight_int.h"

#include "backfill_before.h"
#include "sql_embedded.h"

#include <stdlib.h>

/* Of usual machines, from a disk over the network to rows that are all in memory. */
#define READ_SLOW (40.0 * 1048576) /* bytes a second */
#define READ_FAST (1500.0 * 1048576)
#define WRITE_SLOW (15.0 * 1048576)
#define WRITE_FAST (300.0 * 1048576)
#define SORT_SLOW 100000.0 /* rows a second into an index */
#define SORT_FAST 2500000.0
#define USUAL_ROW 100 /* bytes, where nobody has counted rows */
/* Of an index: entries that are all the same are kept once, texts may be as long as the row. */
#define ENTRY_LEAST 7
#define ENTRY_USUAL 40
/* A measured time on other days, beside other load. */
#define MEASURED_LEAST 0.5
#define MEASURED_MOST 3.0
#define BRIEF_MS 1000 /* catalogue only; what it waits for a lock isn't in it */

static int64_t rows_of(const struct touched *t)
{
    return t->rows >= 0 ? t->rows : (t->bytes - t->index_bytes) / USUAL_ROW;
}

static void add_time(struct preflight_estimate *x, double least_s, double most_s)
{
    x->least_ms += (int64_t) (1000 * least_s);
    x->most_ms += (int64_t) (1000 * most_s) + 1;
}

static double heap_of(const struct touched *t) { return (double) (t->bytes - t->index_bytes); }

static void add_scan(struct preflight_estimate *x, const struct touched *t)
{
    add_time(x, heap_of(t) / READ_FAST, heap_of(t) / READ_SLOW);
}

/* CONCURRENTLY reads twice. What is sorted lies on the disk as well for a while. */
static void add_index(struct preflight_estimate *x, const struct touched *t, bool twice)
{
    double rows = (double) rows_of(t), most = rows * ENTRY_USUAL;

    most = most < heap_of(t) ? most : heap_of(t);
    for (int i = 0; i < 1 + twice; i++)
        add_scan(x, t);
    add_time(x, rows / SORT_FAST, rows / SORT_SLOW);
    int64_t least = (int64_t) (rows * ENTRY_LEAST < most ? rows * ENTRY_LEAST : most);
    x->least_bytes += least;
    x->most_bytes += 2 * (int64_t) most;
    x->least_wal += least;
    x->most_wal += (int64_t) most;
}

/* The old copy goes only when the new one is whole. */
static void add_rewrite(struct preflight_estimate *x, const struct touched *t)
{
    add_time(x, (double) t->bytes / WRITE_FAST, (double) t->bytes / WRITE_SLOW);
    x->least_bytes += t->bytes / 2;
    x->most_bytes += t->bytes + t->index_bytes;
    x->least_wal += t->bytes / 2;
    x->most_wal += t->bytes + t->index_bytes;
}

/* How many rows a WHERE finds nobody knows: none, or each with a new version, and an entry in each index. */
static void add_data(struct preflight_estimate *x, const struct touched *t)
{
    add_time(x, 0, (double) t->bytes / WRITE_SLOW);
    x->most_bytes += t->bytes;
    x->most_wal += 2 * t->bytes;
}

static bool is_index(const struct sql_stmt *s)
{
    return strstr(s->kind, "CREATE INDEX") || strstr(s->kind, "CREATE UNIQUE INDEX") ||
           strstr(s->kind, "REINDEX");
}

static void add_statement(struct preflighting *f, struct preflight_estimate *x,
                          const struct sql_stmt *s)
{
    const struct touched *t = preflight_table(f, s->schema, s->table);
    const char *note = s->lock_note ? s->lock_note : "";

    x->most_ms += BRIEF_MS;
    if (!t || !t->oid || t->bytes == 0)
        return;
    x->table = t->name;
    x->basis = t->rows >= 0 ? "from the table's size and statistics" : "from the table's size";
    if (is_index(s))
        add_index(x, t, strstr(s->kind, "CONCURRENTLY") != NULL);
    else if (strstr(note, "builds an index"))
        add_index(x, t, false);
    else if (strstr(note, "rewrites the table"))
        add_rewrite(x, t);
    else if (strstr(note, "scans the table") || strstr(s->kind, "VALIDATE"))
        add_scan(x, t);
    else if (s->class == SQL_DATA && !s->few_rows && !s->only_adds)
        add_data(x, t);
}

/* What is to be asked may not be there yet. */
static bool of_backfill(struct preflighting *f, const struct task *t, struct preflight_estimate *x,
                        struct err *err)
{
    struct work w = {.e = f->e, .p = f->p, .a = f->a, .phase = f->phase};
    static const struct advance_options none;
    struct backfill_setup s;
    struct backfill_table table;
    struct estimate_basis b;
    struct estimate e;

    w.o = &none;
    if (!backfill_settle(&w, t, &s, err) || !backfill_look(f->e->db, f->a, &s, &table, err) ||
        !backfill_basis(&w, &s, &table, &b, err)) {
        if (!db_is_usable(f->e->db) || err_is(err, ERR_INTERRUPTED))
            return false;
        x->unknown = arena_strdup(f->a, str_text(&err->message));
        err_clear(err);
        return true;
    }
    estimate_make(&b, &e);
    x->table = table.quoted;
    x->least_ms = e.least_ms;
    x->most_ms = e.most_ms;
    x->least_bytes = x->most_bytes = e.growth_bytes;
    x->least_wal = x->most_wal = e.wal_bytes;
    x->basis = arena_printf(f->a, "about %lld rows, by a sample", (long long) e.rows);
    return true;
}

/* A rehearsal on a clone did the very thing, with as many rows as it had then. */
static bool measured(struct preflighting *f, const struct db_rows *tasks, const char *id,
                     struct preflight_estimate *x, struct err *err)
{
    struct db_rows rows = {0};
    const struct touched *t = NULL;
    double more = 1;
    int row = -1;

    for (int i = 0; i < tasks->n_rows; i++)
        if (same_text(db_cell(tasks, i, 0), id))
            row = i;
    for (int i = 0; x->table && i < f->n_tables; i++)
        if (f->tables[i].oid && strcmp(f->tables[i].name, x->table) == 0)
            t = &f->tables[i];
    if (row < 0)
        return true;
    if (t && !ask_own(f->e, f->a, sql_select_rehearsed_rows,
                      &DB_PARAMS(f->p->id.s, f->p->checksum, t->plain), &rows, err))
        return false;
    double then = rows.n_rows && db_cell(&rows, 0, 0) ? strtod(db_cell(&rows, 0, 0), NULL) : 0;
    if (t && then > 0 && t->rows > 0)
        more = (double) t->rows / then;
    double ms = more * strtod(db_cell(tasks, row, 1), NULL);
    x->least_ms = (int64_t) (ms * MEASURED_LEAST);
    x->most_ms = (int64_t) (ms * MEASURED_MOST) + 1;
    x->unknown = NULL;
    x->basis = arena_printf(
        f->a, "time: %s ms in the rehearsal on a clone, %s UTC%s; rest: %s", db_cell(tasks, row, 1),
        db_cell(tasks, row, 2),
        more > 1.1 || more < 0.9 ? arena_printf(f->a, ", with %.3g times its rows now", more) : "",
        x->basis);
    return true;
}

static bool estimate_task(struct preflighting *f, const struct task *t, const struct db_rows *tasks,
                          struct preflight_estimate *x, struct err *err)
{
    *x = (struct preflight_estimate) {.task = t->id, .basis = "catalogue only, locks apart"};
    if (t->kind == TASK_STEP) {
        for (int i = 0; i < t->step->n_stmts; i++)
            add_statement(f, x, &t->step->stmts[i]);
        if (t->step->command.n > 0)
            x->unknown = "a program: nobody knows what it does";
    } else if (t->kind == TASK_BACKFILL) {
        if (!of_backfill(f, t, x, err))
            return false;
    } else if (t->kind == TASK_RUNG && t->rung->pause_ms > 0) {
        x->least_ms = x->most_ms = t->rung->pause_ms;
        x->basis = "the pause behind it";
        return true;
    } else {
        return true;
    }
    return measured(f, tasks, t->id, x, err);
}

bool preflight_estimates(struct preflighting *f, struct err *err)
{
    struct preflight *out = f->out;
    struct db_rows tasks = {0};
    struct script s;
    int version = 0;

    plan_script(f->a, f->p, f->phase, false, &s);
    out->estimates = arena_array(f->a, struct preflight_estimate, s.n + 1);
    if (f->e->has_ledger && !ledger_version(f->e->db, &version, err))
        return false;
    if (version >= LEDGER_WITH_REHEARSALS &&
        !ask_own(f->e, f->a, sql_select_rehearsed_tasks,
                 &DB_PARAMS(f->p->id.s, f->p->checksum, phase_word(f->phase)), &tasks, err))
        return false;
    for (int i = 0; i < s.n; i++) {
        struct preflight_estimate *x = &out->estimates[out->n_estimates];

        if (!estimate_task(f, &s.tasks[i], &tasks, x, err))
            return false;
        if (x->most_ms == 0 && !x->unknown)
            continue;
        out->n_estimates++;
        out->total.least_ms += x->least_ms;
        out->total.most_ms += x->most_ms;
        out->total.least_bytes += x->least_bytes;
        out->total.most_bytes += x->most_bytes;
        out->total.least_wal += x->least_wal;
        out->total.most_wal += x->most_wal;
        if (x->unknown)
            out->total.unknown = x->unknown;
    }
    return true;
}

/* Snapshots of a plan: taken, verified, and looked after. */
#include "snapshot.h"

#include "phasegate/names.h"

#include <stdlib.h>

bool snapshot_session(struct engine *e, struct db **out, struct err *err)
{
    const char *label = "phasegate/snapshot";
    AUTO(arena) a = {0};

    if (e->run_id)
        label = arena_printf(&a, "phasegate/%s/snapshot", e->run_id);
    return e->ports->db_open(e->ports, e->db_url, label, true, out, err);
}

/* ---- taking ---------------------------------------------------------------------------------------- */

struct taking {
    struct work *w;
    struct db *db; /* its own session */
    const struct store *store;
    struct snapshot_part *parts;
    int n_parts;
};

static bool verify_and_record(struct taking *t, const struct snapshot *s, struct err *err)
{
    AUTO(err) ignored = {0};
    struct engine *e = t->w->e;

    if (snapshot_verify(t->store, t->db, s, err))
        return ledger_snapshot_verified(e->db, s->name, NULL, err);
    /* Who can't get at it knows nothing of it. */
    if (db_is_usable(e->db) && err_is(err, ERR_NO))
        (void) !ledger_snapshot_verified(e->db, s->name, str_text(&err->message), &ignored);
    return false;
}

static bool note(struct work *w, const char *step, const char *text, const char *manifest,
                 struct err *err)
{
    struct history_row *r = history_new(w, "snapshot", step, "note");

    r->description = text;
    r->detail = manifest;
    return ledger_history_append(w->e->db, r, err);
}

static bool take_new(struct taking *t, struct snapshot_result *out, struct err *err)
{
    struct work *w = t->w;
    struct snapshot *s = &out->snapshot;
    AUTO(str) manifest = {0};
    AUTO(err) lacks = {0};
    char stamp[15];

    time_to_stamp(server_now_ms(w->e) / 1000, stamp);
    *s = (struct snapshot) {.name = arena_printf(w->a, "%s-%.14s-%08x", w->p->id.s, stamp,
                                                 (unsigned) clock_random(w->e->ports->clock)),
                            .plan = w->p->id.s,
                            .phase = phase_word(PHASE_CONTRACT),
                            .checksum = w->p->phase_checksum[PHASE_CONTRACT]
                                            ? w->p->phase_checksum[PHASE_CONTRACT]
                                            : "",
                            .run_id = w->e->run_id,
                            .parts = t->parts,
                            .n_parts = t->n_parts};
    emit(w, EVENT_INFO, NULL, "taking snapshot %s", s->name);
    if (!snapshot_take(t->store, t->db, w->e->db_url, w->a, s, &lacks, err))
        return err_note(err, "snapshot of plan %s", w->p->id.s);
    if (lacks.kind)
        emit(w, EVENT_WARNING, NULL, "the rows are saved, what the tables are made of isn't: %s",
             str_text(&lacks.message));
    int64_t keep = w->e->env->snapshots_keep_ms;
    struct snapshot_row row = {.name = s->name,
                               .plan = s->plan,
                               .phase = s->phase,
                               .checksum = s->checksum,
                               .location = t->store->location,
                               .manifest_sha256 = s->manifest_sha256,
                               .rows = snapshot_rows(s),
                               .bytes = snapshot_bytes(s),
                               .run_id = s->run_id,
                               .taken_by = w->e->actor,
                               .taken_at_ms = s->taken_at_ms,
                               .keep_until_ms = keep != MODEL_UNSET ? s->taken_at_ms + keep : 0};
    snapshot_to_json(s, &manifest);
    return ledger_snapshot_add(w->e->db, &row, str_text(&manifest), err) &&
           verify_and_record(t, s, err) &&
           note(w, s->name, arena_printf(w->a, "snapshot %s taken and verified", s->name),
                str_text(&manifest), err);
}

static bool is_same_part(const struct snapshot_part *x, const struct snapshot_part *y)
{
    bool same = strcmp(x->schema, y->schema) == 0 && strcmp(x->table, y->table) == 0 &&
                x->whole == y->whole && x->rows == y->rows && strcmp(x->digest, y->digest) == 0 &&
                x->n_columns == y->n_columns && x->n_key == y->n_key;

    for (int i = 0; same && i < x->n_columns; i++)
        same = strcmp(x->columns[i].name, y->columns[i].name) == 0 &&
               strcmp(x->columns[i].type, y->columns[i].type) == 0;
    return same;
}

/* Everything that goes is in it, with the rows that are there now. */
static bool holds_all(const struct taking *t, const struct snapshot *s)
{
    for (int i = 0; i < t->n_parts; i++) {
        bool found = false;

        for (int k = 0; k < s->n_parts; k++)
            found |= is_same_part(&t->parts[i], &s->parts[k]);
        if (!found)
            return false;
    }
    return true;
}

/* The newest one that counts, if it still says what the database says. Anything else is no error: another is
 * taken. */
static bool find_good(struct taking *t, struct snapshot_result *out, bool *found, struct err *err)
{
    struct work *w = t->w;
    struct snapshot_row *rows = NULL;
    struct snapshot s;
    AUTO(err) ignored = {0};
    int n = 0;

    *found = false;
    if (!ledger_snapshots(w->e->db, w->a, w->p->id.s, &rows, &n, err))
        return false;
    while (n > 0 && !snapshot_row_counts(&rows[n - 1]))
        n--;
    if (n == 0 || strcmp(rows[n - 1].location, t->store->location) != 0 ||
        !snapshot_read(t->store, rows[n - 1].name, w->a, &s, &ignored) ||
        strcmp(s.manifest_sha256, rows[n - 1].manifest_sha256) != 0)
        return true;
    for (int i = 0; i < t->n_parts; i++)
        if (!snapshot_measure(t->db, w->a, &t->parts[i], err))
            return false;
    *found = s.definition.file && holds_all(t, &s) && snapshot_hashes_hold(t->store, &s, &ignored);
    if (*found)
        out->snapshot = s;
    return true;
}

static bool save(struct work *w, const struct store *store, bool may_reuse,
                 struct snapshot_result *out, struct err *err)
{
    struct taking t = {.w = w, .store = store};

    *out = (struct snapshot_result) {.location = store->location};
    if (!snapshot_what(w, &t.parts, &t.n_parts, err))
        return false;
    out->nothing = t.n_parts == 0;
    if (out->nothing)
        return true;
    if (!snapshot_session(w->e, &t.db, err))
        return false;
    bool good = !may_reuse || find_good(&t, out, &out->reused, err);
    good = good && (out->reused || take_new(&t, out, err));
    db_close(t.db);
    return good;
}

bool engine_snapshot(struct engine *e, struct plan *p, struct arena *a, struct snapshot_result *out,
                     struct err *err)
{
    static const struct advance_options none;
    AUTO(err) ignored = {0};
    const struct store *store;
    struct work w;

    if (!snapshot_store_needed(e, a, &store, err))
        return false;
    bool good = work_open(&w, e, p, &none, a, err) && save(&w, store, false, out, err);
    if (db_is_usable(e->db))
        (void) !lease_release(e->db, &ignored);
    return good;
}

bool snapshot_before_purge(struct work *w, const char **name, struct err *err)
{
    struct snapshot_result r;
    const struct store *store;

    *name = NULL;
    if (!snapshot_store_needed(w->e, w->a, &store, err) || !save(w, store, true, &r, err)) {
        if (!err_is(err, ERR_CONNECTION_LOST))
            err_detail(err, "Nothing was destroyed: plan %s stands at \"%s\".", w->p->id.s,
                       stage_word(w->state.stage));
        return false;
    }
    if (!r.nothing)
        emit(w, EVENT_INFO, NULL, "saved in snapshot %s, verified: phasegate restore --from %s %s",
             r.snapshot.name, r.snapshot.name, w->p->id.s);
    if (!r.nothing)
        *name = r.snapshot.name;
    return true;
}

/* ---- the gate before the purge -------------------------------------------------------------------------- */

bool snapshot_word(struct work *w, const char **out, struct err *err)
{
    struct snapshot_part *parts = NULL;
    int n = 0;

    *out = "off";
    if (w->e->policy.snapshot == SNAPSHOT_OFF)
        return true;
    *out = "would_take";
    if (!snapshot_what(w, &parts, &n, err))
        return false;
    if (n == 0)
        *out = "nothing";
    else if (!w->e->env->snapshots_to.s)
        *out = NULL;
    return true;
}

/* Of those that the ledger has now: it may have been pruned, or found damaged, since. */
static bool is_kept(struct work *w, const char *name, bool *out, struct err *err)
{
    struct snapshot_row *rows = NULL;
    int n = 0;

    *out = false;
    if (!name)
        return true;
    if (!ledger_snapshots(w->e->db, w->a, w->p->id.s, &rows, &n, err))
        return false;
    for (int i = 0; i < n; i++)
        *out |= strcmp(rows[i].name, name) == 0 && snapshot_row_counts(&rows[i]);
    return true;
}

bool snapshot_look(struct work *w, struct fact *f, struct err *err)
{
    const char *word = NULL, *env = w->e->env->name.s;
    bool kept = false;

    fact_yes(f);
    /* The purge takes it itself; whoever only looks needn't know what is in it. */
    if (w->e->env->snapshots_to.s && !w->o->is_saved)
        return true;
    if (!snapshot_word(w, &word, err))
        return false;
    if (!word)
        fact_no(f,
                arena_printf(w->a,
                             "what is destroyed would be saved nowhere: environment %s has no "
                             "snapshots:",
                             env),
                "add snapshots: {to: FOLDER} to the environment, or, to do without for good, "
                "policy: {snapshot: off}");
    if (!word || strcmp(word, "would_take") != 0)
        return true;
    if (!is_kept(w, w->o->saved, &kept, err))
        return false;
    if (!kept)
        fact_no(f, "what is destroyed isn't in a verified snapshot",
                "phasegate snapshots list; then the same command takes another one");
    return true;
}

/* ---- those that were taken ---------------------------------------------------------------------------- */

bool engine_snapshots(struct engine *e, struct arena *a, const char *plan,
                      struct snapshot_row **out, int *out_n, struct err *err)
{
    return ledger_snapshots(e->db, a, plan, out, out_n, err);
}

static bool find_row(struct engine *e, struct arena *a, const char *name, struct snapshot_row *out,
                     struct err *err)
{
    struct snapshot_row *rows = NULL;
    int n = 0;

    if (!ledger_snapshots(e->db, a, NULL, &rows, &n, err))
        return false;
    const char **names = arena_array(a, const char *, n + 1);
    for (int i = 0; i < n; i++) {
        names[i] = rows[i].name;
        if (strcmp(rows[i].name, name) == 0) {
            *out = rows[i];
            return true;
        }
    }
    const char *near = name_nearest(name, names);
    err_set(err, ERR_INPUT, "the ledger has no snapshot \"%s\"%s%s%s", name,
            near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return err_hint(err, "phasegate snapshots list shows those that are there");
}

bool snapshot_edited(const struct snapshot *s, const char *plan, struct err *err)
{
    err_set(err, ERR_NO, "the manifest of snapshot %s isn't the one that was written", s->name);
    err_hint(err, "get the folder from a backup, or take another one: phasegate snapshot %s", plan);
    return err_reason(err, "snapshot_damaged");
}

static bool read_row(struct engine *e, const struct snapshot_row *row, struct arena *a,
                     const struct store **store, struct snapshot *s, struct err *err)
{
    if (row->pruned_at_ms) {
        err_set(err, ERR_REFUSED, "snapshot %s was pruned: its files are gone", row->name);
        err_hint(err, "phasegate snapshots list shows those that are there");
        return err_reason(err, "pruned");
    }
    if (!snapshot_store_at(e, a, row->location, store, err) ||
        !snapshot_read(*store, row->name, a, s, err))
        return false;
    return strcmp(s->manifest_sha256, row->manifest_sha256) == 0 ||
           snapshot_edited(s, row->plan, err);
}

bool engine_snapshot_show(struct engine *e, const char *name, struct arena *a, struct snapshot *out,
                          struct str *definition, struct err *err)
{
    const struct store *store;
    struct snapshot_row row;

    return find_row(e, a, name, &row, err) && read_row(e, &row, a, &store, out, err) &&
           snapshot_definition(store, out, definition, err);
}

bool engine_snapshot_verify(struct engine *e, const char *name, struct arena *a, struct err *err)
{
    struct work w = {.e = e, .a = a};
    struct taking t = {.w = &w};
    AUTO(err) ignored = {0};
    struct snapshot_row row;
    struct snapshot s;

    if (!find_row(e, a, name, &row, err))
        return false;
    if (!read_row(e, &row, a, &t.store, &s, err)) {
        if (!row.pruned_at_ms && (err_is(err, ERR_NO) || err_is(err, ERR_INPUT)))
            (void) !ledger_snapshot_verified(e->db, name, str_text(&err->message), &ignored);
        return false;
    }
    if (!snapshot_session(e, &t.db, err))
        return false;
    bool good = verify_and_record(&t, &s, err);
    db_close(t.db);
    return good;
}

/* Each by itself: a ledger that says "pruned" of files that are there would lose them; the other way round the
 * next time finds them gone. */
bool engine_snapshots_prune(struct engine *e, struct arena *a, struct snapshot_row **out,
                            int *out_n, struct err *err)
{
    struct snapshot_row *rows = NULL;
    const struct store *store;
    int n = 0, pruned = 0;

    if (!ledger_snapshots(e->db, a, NULL, &rows, &n, err))
        return false;
    for (int i = 0; i < n; i++) {
        if (!rows[i].may_be_pruned)
            continue;
        if (!snapshot_store_at(e, a, rows[i].location, &store, err) ||
            !store_remove(store, rows[i].name, err) ||
            !ledger_snapshot_pruned(e->db, rows[i].name, err))
            return err_note(err, "snapshot %s", rows[i].name);
        rows[pruned++] = rows[i];
    }
    *out = rows;
    *out_n = pruned;
    return true;
}

/* The bundle of evidence: each file is one question to the ledger, or one file of the project. Looks only. */
#include "internal.h"

#include "phasegate/backfill_ops.h"
#include "phasegate/evidence.h"
#include "phasegate/json_out.h"
#include "phasegate/preflight.h"
#include "phasegate_build.h"
#include "sql_embedded.h"

#define PLAN_MAX (1 << 20)
#define JOURNAL_MAX ((size_t) 256 << 20)

struct gathering {
    struct work w;
    struct bundle *out;
    struct history_row *rows; /* of the plan */
    int n_rows;
    struct history_link *links;
    struct history_link head;
    int n_links;
};

static void add_file(struct gathering *g, const char *name, const char *bytes, size_t n)
{
    struct bundle *b = g->out;

    b->files = arena_more(g->w.a, b->files, sizeof *b->files, b->n);
    b->files[b->n++] = (struct bundle_file) {name, bytes, n};
}

static void add_str(struct gathering *g, const char *name, const struct str *text)
{
    add_file(g, name, arena_strndup(g->w.a, str_text(text), text->len), text->len);
}

static void when_to(struct json_out *j, const char *key, int64_t ms)
{
    char at[25];

    if (ms > 0)
        time_to_rfc3339(ms, at);
    json_str(j, key, ms > 0 ? at : NULL);
}

/* JSON of the ledger, as it is where it is some. */
static void raw_to(struct json_out *j, const char *key, const char *text)
{
    if (text)
        json_raw(j, key, text);
    else
        json_put_null(j, key);
}

/* ---- the plan -------------------------------------------------------------------------------- */

static bool add_plan_file(struct gathering *g, struct err *err)
{
    struct engine *e = g->w.e;
    const char *file = g->w.p->file, *root = e->set->project.root;
    AUTO(str) text = {0};

    if (file[0] != '/' && root)
        file = arena_printf(g->w.a, "%s/%s", root, file);
    if (!e->ports->host->ops->read_file(e->ports->host, file, PLAN_MAX, &text, err))
        return false;
    add_str(g, "plan.yaml", &text);
    return true;
}

static void put_edits(struct json_out *j, const struct edit *edits, int n)
{
    json_array_begin(j, "edited");
    for (int i = 0; i < n; i++) {
        json_object_begin(j, NULL);
        json_str(j, "phase", edits[i].phase);
        json_str(j, "step", edits[i].step);
        json_str(j, "recorded_checksum", edits[i].recorded_checksum);
        json_str(j, "checksum", edits[i].checksum);
        json_str(j, "recorded_sql", edits[i].recorded_sql);
        json_str(j, "sql", edits[i].sql);
        json_object_end(j);
    }
    json_array_end(j);
}

/* What the file is now, and what of it was applied: where the two differ, the bundle says so. */
static bool add_plan_state(struct gathering *g, struct err *err)
{
    const struct plan *p = g->w.p;
    const struct plan_state *s = &g->w.state;
    struct edit *edits = NULL;
    struct json_out j;
    AUTO(str) text = {0};
    int n = 0;

    if (!engine_edits(g->w.e, g->w.p, g->w.a, &edits, &n, err))
        return false;
    json_begin(&j, &text, true);
    json_object_begin(&j, NULL);
    json_str(&j, "plan", p->id.s);
    json_str(&j, "title", p->title.s);
    json_str(&j, "author", p->author.s);
    json_str(&j, "file", p->file);
    json_str(&j, "checksum", p->checksum);
    json_str(&j, "checksum_when_advanced", s->checksum);
    json_str(&j, "stage", stage_word(s->stage));
    when_to(&j, "stage_since", s->stage_since_ms);
    json_str(&j, "brake", brake_word(s->brake));
    json_str(&j, "brake_reason", s->brake_reason);
    json_bool(&j, "verified", s->verified);
    when_to(&j, "hold_until", s->hold_until_ms);
    json_array_begin(&j, "phases");
    for (int i = PHASE_FIRST; i <= PHASE_LAST; i++) {
        json_object_begin(&j, NULL);
        json_str(&j, "phase", phase_word((enum phase) i));
        json_str(&j, "none", p->phases[i].none.s);
        json_str(&j, "release", p->phases[i].release.s);
        json_str(&j, "advanced_with", s->release[i]);
        json_str(&j, "checksum", p->phase_checksum[i]);
        json_object_end(&j);
    }
    json_array_end(&j);
    put_edits(&j, edits, n);
    json_object_end(&j);
    add_str(g, "plan.json", &text);
    return true;
}

/* ---- the journal ----------------------------------------------------------------------------- */

static void put_step(struct json_out *j, const struct history_row *r)
{
    json_object_begin(j, NULL);
    json_int(j, "seq", r->seq);
    json_str(j, "phase", r->phase);
    json_str(j, "step", r->step);
    json_str(j, "kind", r->kind);
    json_str(j, "status", r->status);
    json_str(j, "description", r->description);
    json_str(j, "checksum", r->checksum);
    json_str(j, "release", r->release);
    json_str(j, "by", r->applied_by);
    json_str(j, "host", r->host);
    json_str(j, "run_id", r->run_id);
    when_to(j, "at", r->applied_at_ms);
    json_int(j, "ms", r->duration_ms);
    json_str(j, "sql", r->sql);
    json_str(j, "undo_sql", r->undo_sql);
    raw_to(j, "detail", r->detail);
    json_object_end(j);
}

/* wanted NULL: all; else rows of this status only. */
static void add_rows(struct gathering *g, const char *name, const struct history_row *rows, int n,
                     const char *wanted)
{
    struct json_out j;
    AUTO(str) text = {.ceiling = JOURNAL_MAX};

    json_begin(&j, &text, true);
    json_array_begin(&j, NULL);
    for (int i = 0; i < n; i++)
        if (!wanted || strcmp(rows[i].status, wanted) == 0)
            put_step(&j, &rows[i]);
    json_array_end(&j);
    add_str(g, name, &text);
}

static void add_journal(struct gathering *g)
{
    AUTO(str) text = {.ceiling = JOURNAL_MAX};

    for (int i = 0; i < g->n_links; i++) {
        const struct history_link *l = &g->links[i];
        struct json_out j;

        json_begin(&j, &text, false);
        json_object_begin(&j, NULL);
        json_int(&j, "seq", l->seq);
        json_bool(&j, "own", l->is_own);
        json_str(&j, "prev_hash", l->prev_hash);
        json_str(&j, "hash", l->hash);
        json_str(&j, "content", l->content);
        json_object_end(&j);
        str_addc(&text, '\n');
    }
    add_str(g, "journal.jsonl", &text);
}

static bool add_all_rows(struct gathering *g, struct err *err)
{
    struct history_filter f = {.plan = g->w.p->id.s};

    if (g->w.e->has_ledger && (!ledger_history(g->w.e->db, g->w.a, &f, &g->rows, &g->n_rows, err) ||
                               !ledger_history_chain(g->w.e->db, g->w.a, g->w.p->id.s, &g->links,
                                                     &g->n_links, &g->head, err)))
        return false;
    add_journal(g);
    add_rows(g, "steps.json", g->w.steps, g->w.n_steps, NULL);
    /* Each says what was proved of it. */
    add_rows(g, "transitions.json", g->rows, g->n_rows, "transition");
    return true;
}

/* ---- people and flags ------------------------------------------------------------------------ */

static bool add_approvals(struct gathering *g, struct err *err)
{
    struct approval *all = NULL;
    struct json_out j;
    AUTO(str) text = {0};
    int n = 0;

    if (g->w.e->has_ledger && !ledger_approvals(g->w.e->db, g->w.a, g->w.p->id.s, &all, &n, err))
        return false;
    json_begin(&j, &text, true);
    json_array_begin(&j, NULL);
    for (int i = 0; i < n; i++) {
        enum phase phase = strcmp(all[i].phase, approval_word(PHASE_CONTRACT, true)) == 0
                               ? PHASE_CONTRACT
                               : phase_from_word(all[i].phase);
        const char *now = g->w.p->phase_checksum[phase];

        json_object_begin(&j, NULL);
        json_str(&j, "phase", all[i].phase);
        json_str(&j, "who", all[i].who);
        json_str(&j, "role", all[i].role);
        json_bool(&j, "refused", all[i].refused);
        json_str(&j, "because", all[i].because);
        json_str(&j, "host", all[i].host);
        when_to(&j, "at", all[i].at_ms);
        json_str(&j, "checksum", all[i].checksum);
        json_bool(&j, "of_the_phase_as_it_is", now && strcmp(now, all[i].checksum) == 0);
        json_object_end(&j);
    }
    json_array_end(&j);
    add_str(g, "approvals.json", &text);
    return true;
}

/* Values from before, signatures, and what each look at the checklist found. */
static bool add_checklist(struct gathering *g, struct err *err)
{
    struct validation_row *rows = NULL;
    struct json_out j;
    AUTO(str) text = {.ceiling = JOURNAL_MAX};
    int n = 0;

    if (g->w.e->has_ledger && !ledger_validations(g->w.e->db, g->w.a, g->w.p->id.s, &rows, &n, err))
        return false;
    json_begin(&j, &text, true);
    json_array_begin(&j, NULL);
    for (int i = 0; i < n; i++) {
        json_object_begin(&j, NULL);
        json_str(&j, "kind", rows[i].kind);
        json_str(&j, "phase", rows[i].phase);
        json_str(&j, "item", rows[i].step);
        json_str(&j, "checksum", rows[i].checksum);
        json_str(&j, "who", rows[i].by);
        when_to(&j, "at", rows[i].at_ms);
        json_str(&j, "description", rows[i].description);
        json_bool(&j, "void", rows[i].is_void);
        json_raw(&j, "detail", rows[i].detail ? rows[i].detail : "null");
        json_object_end(&j);
    }
    json_array_end(&j);
    add_str(g, "checklist.json", &text);
    return true;
}

static bool add_flag_changes(struct gathering *g, struct err *err)
{
    struct flag_change *all = NULL;
    struct json_out j;
    AUTO(str) text = {0};
    int n = 0;

    if (g->w.e->has_ledger &&
        !ledger_flag_changes(g->w.e->db, g->w.a, g->w.p->id.s, 0, &all, &n, err))
        return false;
    json_begin(&j, &text, true);
    json_array_begin(&j, NULL);
    for (int i = n - 1; i >= 0; i--) {
        json_object_begin(&j, NULL);
        json_str(&j, "flag", all[i].flag);
        json_str(&j, "role", all[i].role);
        json_str(&j, "environment", all[i].environment);
        json_str(&j, "before", all[i].before);
        json_str(&j, "desired", all[i].desired);
        json_str(&j, "after", all[i].after);
        json_str(&j, "answer", all[i].answer);
        json_str(&j, "level", all[i].level);
        json_str(&j, "reason", all[i].reason);
        json_str(&j, "by", all[i].actor);
        json_str(&j, "run_id", all[i].run_id);
        when_to(&j, "at", all[i].at_ms);
        json_int(&j, "ms", all[i].ms);
        json_object_end(&j);
    }
    json_array_end(&j);
    add_str(g, "flags.json", &text);
    return true;
}

/* ---- what was verified ----------------------------------------------------------------------- */

static void put_backfills(struct json_out *j, const struct backfill_status *all, int n)
{
    json_array_begin(j, "backfills");
    for (int i = 0; i < n; i++) {
        json_object_begin(j, NULL);
        json_str(j, "backfill", all[i].name);
        json_str(j, "table", all[i].table);
        json_str(j, "status", all[i].status);
        json_int(j, "rows", all[i].rows_done);
        json_int(j, "rows_changed", all[i].rows_changed);
        json_int(j, "batches", all[i].batches);
        json_int(j, "rows_that_cannot_be_filled", all[i].bad);
        when_to(j, "started_at", all[i].started_at_ms);
        when_to(j, "finished_at", all[i].finished_at_ms);
        json_object_end(j);
    }
    json_array_end(j);
}

static void put_verifications(struct json_out *j, const struct db_rows *rows)
{
    static const char *const names[] = {"backfill",       "began_at_ms", "finished_at_ms",
                                        "slices",         "rows",        "rows_left",
                                        "rows_differing", "rows_bad",    "digest"};

    json_array_begin(j, "row_by_row");
    for (int i = 0; i < rows->n_rows; i++) {
        json_object_begin(j, NULL);
        for (int k = 0; k < rows->n_cols && k < 9; k++)
            if (k == 0 || k == 8)
                json_str(j, names[k], db_cell(rows, i, k));
            else
                raw_to(j, names[k], db_cell(rows, i, k));
        json_object_end(j);
    }
    json_array_end(j);
}

/* The plan's own checks as they answer now; after the purge the old side may be gone, which is an answer too. */
static bool put_checks(struct gathering *g, struct json_out *j, struct err *err)
{
    json_array_begin(j, "checks_now");
    for (int ph = PHASE_FIRST; ph <= PHASE_LAST; ph++)
        for (int i = 0; i < g->w.p->phases[ph].verify.n; i++) {
            const struct check *c = &g->w.p->phases[ph].verify.items[i];
            const char *value = NULL;
            AUTO(err) bad = {0};
            bool asked = ask_value(g->w.e, g->w.a, c->sql.s, g->w.e->policy.statement_timeout_ms,
                                   &value, &bad);

            if (!asked && (err_is(&bad, ERR_INTERRUPTED) || err_is(&bad, ERR_CONNECTION_LOST))) {
                err_move(err, &bad);
                return false;
            }
            json_object_begin(j, NULL);
            json_str(j, "phase", phase_word((enum phase) ph));
            json_str(j, "check", c->id.s);
            json_str(j, "sql", c->sql.s);
            json_str(j, "value", value);
            json_bool(j, "holds", asked && cond_holds(&c->expect, value, NULL));
            json_str(j, "error", asked ? NULL : str_text(&bad.message));
            json_object_end(j);
        }
    json_array_end(j);
    return true;
}

static bool add_verification(struct gathering *g, struct err *err)
{
    struct engine *e = g->w.e;
    struct backfill_status *jobs = NULL;
    struct db_rows found = {0};
    struct json_out j;
    AUTO(str) text = {0};
    int n = 0, version = 0;

    if (!ledger_version(e->db, &version, err) ||
        (version > 0 && !engine_backfills(e, g->w.p, g->w.a, &jobs, &n, err)) ||
        (version >= LEDGER_WITH_VERIFICATIONS &&
         !db_query(e->db, g->w.a, sql_select_backfill_verifications, &DB_PARAMS(g->w.p->id.s),
                   &found, err)))
        return false;
    json_begin(&j, &text, true);
    json_object_begin(&j, NULL);
    json_bool(&j, "verified", g->w.state.verified);
    put_backfills(&j, jobs, n);
    put_verifications(&j, &found);
    if (!put_checks(g, &j, err))
        return false;
    json_object_end(&j);
    add_str(g, "verification.json", &text);
    return true;
}

/* ---- what was hidden and saved --------------------------------------------------------------- */

/* By whom, while it was hidden. What was hidden again since began anew. */
static void put_writes(struct json_out *j, const struct soft_drop *d,
                       const struct soft_drop_touch *t, int n)
{
    json_array_begin(j, "written_by");
    for (int i = 0; i < n; i++) {
        if (strcmp(t[i].step, d->step) != 0 || t[i].first_ms < d->dropped_at_ms)
            continue;
        json_object_begin(j, NULL);
        json_str(j, "operation", t[i].operation);
        json_str(j, "role", t[i].role);
        json_str(j, "application", t[i].application);
        json_int(j, "count", t[i].count);
        when_to(j, "first_at", t[i].first_ms);
        when_to(j, "last_at", t[i].last_ms);
        json_object_end(j);
    }
    json_array_end(j);
}

static bool add_hidden(struct gathering *g, struct err *err)
{
    struct soft_drop *all = NULL;
    struct soft_drop_touch *t = NULL;
    struct json_out j;
    AUTO(str) text = {0};
    int n = 0, n_touches = 0;

    if (g->w.e->has_ledger &&
        (!ledger_soft_drops(g->w.e->db, g->w.a, g->w.p->id.s, &all, &n, err) ||
         !ledger_soft_drop_touches(g->w.e->db, g->w.a, g->w.p->id.s, &t, &n_touches, err)))
        return false;
    json_begin(&j, &text, true);
    json_array_begin(&j, NULL);
    for (int i = 0; i < n; i++) {
        json_object_begin(&j, NULL);
        json_str(&j, "step", all[i].step);
        json_str(&j, "kind", all[i].object_kind);
        json_str(&j, "schema", all[i].schema);
        json_str(&j, "table", all[i].table);
        json_str(&j, "name", all[i].original_name);
        json_str(&j, "hidden_as", all[i].hidden_name);
        json_str(&j, "restore_sql", all[i].restore_sql);
        json_str(&j, "purge_sql", all[i].purge_sql);
        when_to(&j, "hidden_at", all[i].dropped_at_ms);
        when_to(&j, "held_until", all[i].expires_at_ms);
        when_to(&j, "restored_at", all[i].restored_at_ms);
        when_to(&j, "purged_at", all[i].purged_at_ms);
        put_writes(&j, &all[i], t, n_touches);
        json_object_end(&j);
    }
    json_array_end(&j);
    add_str(g, "hidden.json", &text);
    return true;
}

static void put_snapshot(struct json_out *j, const struct snapshot_row *s, const char *manifest)
{
    json_object_begin(j, NULL);
    json_str(j, "snapshot", s->name);
    json_str(j, "phase", s->phase);
    json_str(j, "checksum", s->checksum);
    json_str(j, "location", s->location);
    json_int(j, "rows", s->rows);
    json_int(j, "bytes", s->bytes);
    json_str(j, "by", s->taken_by);
    when_to(j, "taken_at", s->taken_at_ms);
    when_to(j, "verified_at", s->verified_at_ms);
    when_to(j, "failed_at", s->failed_at_ms);
    json_str(j, "failed_why", s->failed_why);
    when_to(j, "pruned_at", s->pruned_at_ms);
    json_str(j, "manifest_sha256", s->manifest_sha256);
    raw_to(j, "manifest", manifest);
    json_object_end(j);
}

static bool add_snapshots(struct gathering *g, struct err *err)
{
    struct snapshot_row *all = NULL;
    struct snapshot_manifest *manifests = NULL;
    struct json_out j;
    AUTO(str) text = {0};
    int n = 0, n_manifests = 0;

    if (g->w.e->has_ledger && (!ledger_snapshots(g->w.e->db, g->w.a, g->w.p->id.s, &all, &n, err) ||
                               !ledger_snapshot_manifests(g->w.e->db, g->w.a, g->w.p->id.s,
                                                          &manifests, &n_manifests, err)))
        return false;
    json_begin(&j, &text, true);
    json_array_begin(&j, NULL);
    for (int i = 0; i < n; i++) {
        const char *manifest = NULL;
        for (int k = 0; k < n_manifests; k++)
            if (strcmp(manifests[k].name, all[i].name) == 0)
                manifest = manifests[k].manifest;
        put_snapshot(&j, &all[i], manifest);
    }
    json_array_end(&j);
    add_str(g, "snapshots.json", &text);
    return true;
}

static bool add_restore_points(struct gathering *g, struct err *err)
{
    struct restore_point *all = NULL;
    struct json_out j;
    AUTO(str) text = {0};
    int n = 0;

    if (g->w.e->has_ledger &&
        !ledger_restore_points(g->w.e->db, g->w.a, g->w.p->id.s, &all, &n, err))
        return false;
    json_begin(&j, &text, true);
    json_array_begin(&j, NULL);
    for (int i = 0; i < n; i++)
        restore_point_json(&j, NULL, &all[i]);
    json_array_end(&j);
    add_str(g, "restore_points.json", &text);
    return true;
}

/* ---- preflight ------------------------------------------------------------------------------- */

static bool add_preflight(struct gathering *g, struct err *err)
{
    struct preflight found;
    struct json_out j;
    AUTO(str) text = {0};

    if (!engine_preflight(g->w.e, g->w.p, PHASE_NONE, false, false, g->w.a, &found, err))
        return false;
    json_begin(&j, &text, true);
    json_object_begin(&j, NULL);
    json_str(&j, "phase", found.phase ? approval_word(found.phase, found.is_purge) : NULL);
    json_array_begin(&j, "checks");
    for (int i = 0; i < found.n; i++) {
        const struct preflight_check *k = &found.items[i];
        json_object_begin(&j, NULL);
        json_str(&j, "check", k->id);
        json_str(&j, "about", k->about);
        json_str(&j, "outcome", preflight_outcome_word(k->outcome));
        json_str(&j, "value", k->value);
        json_str(&j, "limit", k->limit);
        json_str(&j, "sql", k->sql);
        json_object_end(&j);
    }
    json_array_end(&j);
    json_object_end(&j);
    add_str(g, "preflight.json", &text);
    return true;
}

/* ---- the manifest ---------------------------------------------------------------------------- */

static bool add_manifest(struct gathering *g, struct err *err)
{
    struct engine *e = g->w.e;
    struct bundle_file *files = g->out->files;
    const char *broken = NULL;
    int64_t rows = 0;
    bool holds = true;
    struct json_out j;
    AUTO(str) text = {0};

    if (e->has_ledger && !ledger_history_verify(e->db, g->w.a, &rows, &holds, &broken, err))
        return false;
    json_begin(&j, &text, true);
    json_object_begin(&j, NULL);
    json_int(&j, "evidence", EVIDENCE_VERSION);
    json_str(&j, "phasegate", PHASEGATE_VERSION);
    json_str(&j, "plan", g->w.p->id.s);
    json_str(&j, "environment", e->env->name.s);
    json_str(&j, "database", e->db->shown);
    json_int(&j, "server_version", db_server_version(e->db));
    /* Of the newest thing that was done, not of the bundle: the same evidence is the same bytes. */
    when_to(&j, "as_of", g->n_rows ? g->rows[g->n_rows - 1].applied_at_ms : 0);
    json_object_begin(&j, "chain");
    json_int(&j, "rows", g->n_links);
    json_str(&j, "head", g->head.hash);
    json_str(&j, "head_seq", g->head.content);
    json_bool(&j, "held_in_the_ledger", holds);
    json_str(&j, "broken", broken);
    json_object_end(&j);
    json_array_begin(&j, "files");
    for (int i = 0; i < g->out->n; i++) {
        char sum[65];
        sha256_hex(files[i].bytes, files[i].n, sum);
        json_object_begin(&j, NULL);
        json_str(&j, "name", files[i].name);
        json_int(&j, "bytes", (int64_t) files[i].n);
        json_str(&j, "sha256", sum);
        json_object_end(&j);
    }
    json_array_end(&j);
    json_object_end(&j);
    add_str(g, "manifest.json", &text);
    /* It comes first. */
    struct bundle_file manifest = g->out->files[g->out->n - 1];
    memmove(g->out->files + 1, g->out->files, sizeof manifest * (size_t) (g->out->n - 1));
    g->out->files[0] = manifest;
    return true;
}

bool engine_evidence(struct engine *e, struct plan *p, const struct bundle *more, struct arena *a,
                     struct bundle *out, struct err *err)
{
    struct bundle found = {0};
    struct gathering g = {.w = {.e = e, .p = p, .a = a}, .out = &found};

    if (!e->facts(e->set, p, err) || (e->has_ledger && !work_reload(&g.w, err)))
        return false;
    if (!add_plan_file(&g, err) || !add_plan_state(&g, err) || !add_all_rows(&g, err) ||
        !add_approvals(&g, err) || !add_checklist(&g, err) || !add_flag_changes(&g, err) ||
        !add_verification(&g, err) || !add_hidden(&g, err) || !add_snapshots(&g, err) ||
        !add_restore_points(&g, err) || !add_preflight(&g, err))
        return false;
    for (int i = 0; i < more->n; i++)
        add_file(&g, more->files[i].name, more->files[i].bytes, more->files[i].n);
    if (!add_manifest(&g, err))
        return false;
    *out = found;
    return true;
}

/* restore PLAN: bring back what contract has hidden, or with --from what a snapshot holds. */
#include "snapshot_show.h"

#include <inttypes.h>

#define KEYS_IN_TEXT 10

static const char *const meanings[SNAPSHOT_KINDS] = {
    [SNAPSHOT_SAME] = "had that already",
    [SNAPSHOT_RESTORED] = "restored",
    [SNAPSHOT_RECOMPUTED] = "written since: computed by sync.reverse",
    [SNAPSHOT_CHANGED] = "written since: left as they are",
    [SNAPSHOT_NEWER] = "not in the snapshot: left as they are",
    [SNAPSHOT_NEWER_RECOMPUTED] = "not in the snapshot: computed by sync.reverse",
    [SNAPSHOT_GONE] = "deleted since: not brought back",
};

static const char *const would[SNAPSHOT_KINDS] = {
    [SNAPSHOT_SAME] = "have that already",
    [SNAPSHOT_RESTORED] = "would be restored",
    [SNAPSHOT_RECOMPUTED] = "written since: sync.reverse would compute them",
    [SNAPSHOT_CHANGED] = "written since: would be left as they are",
    [SNAPSHOT_NEWER] = "not in the snapshot: would be left as they are",
    [SNAPSHOT_NEWER_RECOMPUTED] = "not in the snapshot: sync.reverse would compute them",
    [SNAPSHOT_GONE] = "deleted since: would not be brought back",
};

static void part_json(struct json_out *j, const struct snapshot_back_part *p)
{
    json_object_begin(j, NULL);
    json_str(j, "schema", p->part->schema);
    json_str(j, "table", p->part->table);
    json_int(j, "rows_in_snapshot", p->part->rows);
    json_object_begin(j, "rows");
    for (int k = 0; k < SNAPSHOT_KINDS; k++)
        json_int(j, snapshot_kind_word((enum snapshot_kind) k), p->rows[k]);
    json_object_end(j);
    json_object_begin(j, "keys");
    for (int k = SNAPSHOT_RECOMPUTED; k < SNAPSHOT_KINDS; k++) {
        json_array_begin(j, snapshot_kind_word((enum snapshot_kind) k));
        for (int i = 0; i < p->n_keys[k]; i++)
            json_str(j, NULL, p->keys[k][i]);
        json_array_end(j);
    }
    json_object_end(j);
    json_object_end(j);
}

static void show_part(struct context *c, const struct snapshot_back_part *p, bool compares)
{
    out_print(&c->out, "%s.%s: %" PRId64 " rows in the snapshot\n",
              out_clean(&c->arena, p->part->schema, false),
              out_clean(&c->arena, p->part->table, false), p->part->rows);
    for (int k = 0; k < SNAPSHOT_KINDS; k++) {
        AUTO(str) keys = {0};

        if (p->rows[k] == 0)
            continue;
        for (int i = 0; i < p->n_keys[k] && i < KEYS_IN_TEXT; i++)
            str_addf(&keys, "%s%s", i ? "; " : " (", p->keys[k][i]);
        if (p->n_keys[k])
            str_add(&keys, p->rows[k] > KEYS_IN_TEXT ? "; ...)" : ")");
        out_print(&c->out, "  %" PRId64 " %s%s\n", p->rows[k], (compares ? would : meanings)[k],
                  out_clean(&c->arena, str_text(&keys), false));
    }
}

static bool restore_from(struct context *c, const char *name, struct err *err)
{
    struct plan *p = c->plans[0];
    struct json_out *j = out_is_json(&c->out) ? out_json(&c->out) : NULL;
    struct snapshot_back_result r;
    struct engine *e;

    bool compares = opt_has(c, OPT_DRY_RUN);

    if (!context_engine(c, p, &e, err) ||
        !engine_restore_from(e, p, name, compares, &c->arena, &r, err))
        return false;
    if (compares)
        out_print(&c->out, "%s: compared with snapshot %s, dry run: nothing is written\n", p->id.s,
                  out_clean(&c->arena, r.snapshot.name, false));
    for (int i = 0; i < r.n_parts; i++)
        show_part(c, &r.parts[i], compares);
    if (!j)
        return true;
    json_str(j, "snapshot", r.snapshot.name);
    json_bool(j, "compared_only", compares);
    json_array_begin(j, "parts");
    for (int i = 0; i < r.n_parts; i++)
        part_json(j, &r.parts[i]);
    json_array_end(j);
    return true;
}

bool cmd_restore(struct context *c, struct err *err)
{
    context_warn_spared(c);
    if (opt_has(c, OPT_SNAPSHOT_FROM))
        return restore_from(c, opt_text(c, OPT_SNAPSHOT_FROM), err);
    return run_backwards(c, NULL, EVENT_RESTORE, engine_restore, err);
}

/* snapshots list|show|verify|prune */
#include "snapshot_show.h"

#include <inttypes.h>

static const char *state_of(const struct snapshot_row *s)
{
    if (s->pruned_at_ms)
        return "pruned";
    if (s->failed_at_ms)
        return "damaged";
    return s->verified_at_ms ? "verified" : "not verified";
}

static void row_json(struct json_out *j, const struct snapshot_row *s)
{
    json_object_begin(j, NULL);
    json_str(j, "name", s->name);
    json_str(j, "plan", s->plan);
    json_str(j, "state", state_of(s));
    json_str(j, "why", s->failed_why);
    json_str(j, "location", s->location);
    json_int(j, "rows", s->rows);
    json_int(j, "bytes", s->bytes);
    when_json(j, "taken_at", s->taken_at_ms);
    json_str(j, "taken_by", s->taken_by);
    when_json(j, "verified_at", s->verified_at_ms);
    when_json(j, "keep_until", s->keep_until_ms);
    when_json(j, "pruned_at", s->pruned_at_ms);
    json_object_end(j);
}

static void show_rows(struct context *c, const struct snapshot_row *rows, int n,
                      const char *when_none)
{
    AUTO(out_table) t = {0};

    if (n == 0) {
        out_print(&c->out, "%s\n", when_none);
        return;
    }
    out_table_head(
        &t, OUT_CELLS("SNAPSHOT", "PLAN", "TAKEN", "ROWS", "BYTES", "STATE", "KEPT UNTIL", "IN"));
    for (int i = 0; i < n; i++) {
        const struct snapshot_row *s = &rows[i];

        out_table_row(&t, OUT_CELLS(s->name, s->plan, when_text(&c->arena, s->taken_at_ms),
                                    arena_printf(&c->arena, "%" PRId64, s->rows),
                                    arena_printf(&c->arena, "%" PRId64, s->bytes), state_of(s),
                                    when_text(&c->arena, s->keep_until_ms), s->location));
        if (s->failed_at_ms && !s->pruned_at_ms)
            out_table_style(&t, 5, STYLE_BAD);
    }
    out_table_print(&c->out, &t);
}

struct asked {
    const char *word, *name;
};

static bool list(struct context *c, struct engine *e, bool prune, struct err *err)
{
    struct json_out *j = out_is_json(&c->out) ? out_json(&c->out) : NULL;
    struct snapshot_row *rows = NULL;
    int n = 0;

    if (!(prune ? engine_snapshots_prune(e, &c->arena, &rows, &n, err)
                : engine_snapshots(e, &c->arena, NULL, &rows, &n, err)))
        return false;
    if (j) {
        json_object_begin(j, NULL);
        json_str(j, "database", e->db->shown);
        json_array_begin(j, prune ? "pruned" : "snapshots");
        for (int i = 0; i < n; i++)
            row_json(j, &rows[i]);
        json_array_end(j);
        json_object_end(j);
    }
    if (!j && prune && n)
        out_print(&c->out, "removed:\n");
    show_rows(c, rows, n, prune ? "nothing is to be removed" : "no snapshot was taken yet");
    return true;
}

/* As SQL that psql takes: what is said of it stands in comments. */
static bool show(struct context *c, struct engine *e, const char *name, struct err *err)
{
    struct json_out *j = out_is_json(&c->out) ? out_json(&c->out) : NULL;
    struct snapshot s = {0};
    AUTO(str) sql = {0};

    if (!engine_snapshot_show(e, name, &c->arena, &s, &sql, err))
        return false;
    if (j) {
        json_object_begin(j, NULL);
        json_str(j, "database", e->db->shown);
        snapshot_json(j, "snapshot", &s);
        json_str(j, "definition", sql.len ? str_text(&sql) : NULL);
        json_object_end(j);
        return true;
    }
    snapshot_show(c, "-- ", &s);
    if (sql.len)
        out_print(&c->out, "%s",
                  c->out.data_tty ? out_clean(&c->arena, str_text(&sql), true) : str_text(&sql));
    else
        out_print(&c->out, "-- What its tables were made of isn't in it.\n");
    return true;
}

static bool verify(struct context *c, struct engine *e, const char *name, struct err *err)
{
    struct json_out *j = out_is_json(&c->out) ? out_json(&c->out) : NULL;

    if (!engine_snapshot_verify(e, name, &c->arena, err))
        return false;
    out_print(&c->out, "%s: %sverified%s: read back, put into tables, count and digest are equal\n",
              name, out_style(&c->out, STYLE_GOOD), out_style(&c->out, STYLE_PLAIN));
    if (j) {
        json_object_begin(j, NULL);
        json_str(j, "database", e->db->shown);
        json_str(j, "verified", name);
        json_object_end(j);
    }
    return true;
}

static bool each(struct context *c, struct engine *e, void *ctx, struct err *err)
{
    const struct asked *asked = ctx;

    if (strcmp(asked->word, "show") == 0)
        return show(c, e, asked->name, err);
    if (strcmp(asked->word, "verify") == 0)
        return verify(c, e, asked->name, err);
    return list(c, e, strcmp(asked->word, "prune") == 0, err);
}

bool cmd_snapshots(struct context *c, struct err *err)
{
    struct asked asked = {arg(c, 0) ? arg(c, 0) : "list", arg(c, 1)};
    bool is_of_one = strcmp(asked.word, "verify") == 0 || strcmp(asked.word, "show") == 0;

    if (is_of_one != (asked.name != NULL)) {
        err_set(err, ERR_USAGE,
                is_of_one ? "snapshots %s: which one?" : "snapshots %s: takes no name", asked.word);
        return err_hint(err, "phasegate snapshots list");
    }
    if (out_is_json(&c->out))
        json_array_begin(out_json(&c->out), "databases");
    if (!context_each_database(c, each, &asked, err))
        return false;
    if (out_is_json(&c->out))
        json_array_end(out_json(&c->out));
    return true;
}

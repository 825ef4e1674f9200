/* How snapshots are shown: their tables, and what of each is in them. */
#include "snapshot_show.h"

#include <inttypes.h>

static void part_json(struct json_out *j, const struct snapshot_part *p)
{
    json_object_begin(j, NULL);
    json_str(j, "schema", p->schema);
    json_str(j, "table", p->table);
    json_bool(j, "whole", p->whole);
    json_array_begin(j, "key");
    for (int i = 0; i < p->n_key; i++)
        json_str(j, NULL, p->columns[i].name);
    json_array_end(j);
    json_array_begin(j, "columns");
    for (int i = p->n_key; i < p->n_columns; i++)
        json_str(j, NULL, p->columns[i].name);
    json_array_end(j);
    json_int(j, "rows", p->rows);
    json_str(j, "digest", p->digest);
    json_str(j, "file", p->file);
    json_int(j, "bytes", p->bytes);
    json_str(j, "sha256", p->sha256);
    json_object_end(j);
}

void snapshot_json(struct json_out *j, const char *key, const struct snapshot *s)
{
    json_object_begin(j, key);
    json_str(j, "name", s->name);
    json_str(j, "plan", s->plan);
    json_str(j, "checksum", s->checksum);
    when_json(j, "taken_at", s->taken_at_ms);
    json_str(j, "lsn", s->lsn);
    json_str(j, "system_identifier", s->system_identifier);
    json_str(j, "server_version", s->server_version);
    json_int(j, "rows", snapshot_rows(s));
    json_int(j, "bytes", snapshot_bytes(s));
    json_array_begin(j, "parts");
    for (int i = 0; i < s->n_parts; i++)
        part_json(j, &s->parts[i]);
    json_array_end(j);
    json_bool(j, "has_definition", s->definition.file != NULL);
    json_object_end(j);
}

void snapshot_show(struct context *c, const char *before, const struct snapshot *s)
{
    for (int i = 0; i < s->n_parts; i++) {
        const struct snapshot_part *p = &s->parts[i];
        AUTO(str) columns = {0};

        for (int k = p->whole ? p->n_columns : 0; k < p->n_columns; k++)
            str_addf(&columns, "%s%s", k ? ", " : "", p->columns[k].name);
        out_print(&c->out, "%s%s.%s (%s): %" PRId64 " rows, %" PRId64 " bytes\n", before,
                  out_clean(&c->arena, p->schema, false), out_clean(&c->arena, p->table, false),
                  p->whole ? "all of it" : out_clean(&c->arena, str_text(&columns), false), p->rows,
                  p->bytes);
    }
}

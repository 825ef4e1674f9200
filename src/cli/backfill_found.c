/* What `backfill PLAN verify` found. */
#include "cli.h"

#include "phasegate/backfill_ops.h"

#include <inttypes.h>

static void print_wrong(struct context *c, const struct backfill_found *f)
{
    for (int i = 0; i < f->n_wrong; i++)
        out_print(&c->out, "  %s %s: %s\n", i == 0 ? "wrong   " : "        ",
                  out_clean(&c->arena, f->wrong[i].key, false),
                  f->wrong[i].is_left ? "still to do" : "old and new disagree");
    if (f->bad > f->n_wrong)
        out_print(&c->out, "           and %" PRId64 " more\n", f->bad - f->n_wrong);
}

static void print_found(struct context *c, const struct backfill_found *f)
{
    const struct out *o = &c->out;

    out_print(&c->out, "%s%s%s of %s: %" PRId64 " rows, %s%s%s\n", out_style(o, STYLE_BOLD),
              f->name, out_style(o, STYLE_PLAIN),
              f->table ? out_clean(&c->arena, f->table, false) : "?", f->rows,
              f->bad ? out_style(o, STYLE_BAD) : "", f->bad ? "some are wrong" : "all are right",
              f->bad ? out_style(o, STYLE_PLAIN) : "");
    out_print(&c->out, "  left     %" PRId64 " still to do\n", f->left);
    if (f->compares)
        out_print(&c->out, "  differ   %" PRId64 " hold something else than the old side gives\n",
                  f->differing);
    else
        out_print(&c->out, "  differ   not compared\n");
    if (f->known)
        out_print(&c->out, "  known    %" PRId64 " of them are those that couldn't be filled\n",
                  f->known);
    if (f->digest)
        out_print(&c->out, "  digest   %s, of %d slices\n", f->digest, f->n_slices);
    print_wrong(c, f);
}

static void slice_json(struct json_out *j, const struct backfill_slice_found *s)
{
    json_object_begin(j, NULL);
    json_int(j, "number", s->number);
    json_raw(j, "after", s->lo ? s->lo : "null");
    json_raw(j, "up_to", s->hi);
    json_int(j, "rows", s->rows);
    json_int(j, "left", s->left);
    json_int(j, "differing", s->differing);
    json_int(j, "wrong", s->bad);
    json_int(j, "ranges", s->ranges);
    json_str(j, "digest", s->digest);
    json_object_end(j);
}

static void found_json(struct json_out *j, const struct backfill_found *f)
{
    json_object_begin(j, NULL);
    json_str(j, "name", f->name);
    json_str(j, "table", f->table);
    json_int(j, "rows", f->rows);
    json_int(j, "left", f->left);
    json_bool(j, "compared", f->compares);
    json_int(j, "differing", f->differing);
    json_int(j, "known", f->known);
    json_int(j, "wrong", f->bad);
    json_str(j, "digest", f->digest);
    when_json(j, "began_at", f->began_at_ms);
    when_json(j, "finished_at", f->finished_at_ms);
    json_array_begin(j, "slices");
    for (int i = 0; i < f->n_slices; i++)
        slice_json(j, &f->slices[i]);
    json_array_end(j);
    json_array_begin(j, "wrong_rows");
    for (int i = 0; i < f->n_wrong; i++) {
        json_object_begin(j, NULL);
        json_raw(j, "key", f->wrong[i].key);
        json_str(j, "why", f->wrong[i].is_left ? "left" : "differs");
        json_object_end(j);
    }
    json_array_end(j);
    json_object_end(j);
}

bool backfill_show_found(struct context *c, const struct backfill_found *all, int n)
{
    bool good = true;

    for (int i = 0; i < n; i++) {
        print_found(c, &all[i]);
        good = good && all[i].bad == 0;
    }
    if (!out_is_json(&c->out))
        return good;
    json_array_begin(out_json(&c->out), "verified");
    for (int i = 0; i < n; i++)
        found_json(out_json(&c->out), &all[i]);
    json_array_end(out_json(&c->out));
    return good;
}

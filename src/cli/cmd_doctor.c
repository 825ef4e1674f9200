/* doctor: what is half done or has drifted, and the command that mends it. */
#include "cli.h"

static bool look(struct context *c, struct engine *e, void *ctx, struct err *err)
{
    struct ailment *found = NULL;
    int n = 0, *total = ctx;

    if (!engine_doctor(e, &c->arena, &found, &n, err))
        return false;
    *total += n;
    for (int i = 0; i < n; i++) {
        const struct ailment *f = &found[i];

        if (f->grave)
            c->exit_code = 1;
        out_print(&c->out, "%s%s%s%s: %s\n", out_style(&c->out, f->grave ? STYLE_BAD : STYLE_WARN),
                  f->grave ? "grave" : "note", out_style(&c->out, STYLE_PLAIN),
                  f->where ? arena_printf(&c->arena, " %s", out_clean(&c->arena, f->where, false))
                           : "",
                  out_clean(&c->arena, f->what, false));
        if (f->mend)
            out_print(&c->out, "  mend it: %s\n", out_clean(&c->arena, f->mend, false));
        if (!out_is_json(&c->out))
            continue;
        json_object_begin(out_json(&c->out), NULL);
        json_str(out_json(&c->out), "database", e->db->shown);
        json_str(out_json(&c->out), "what", f->what);
        json_str(out_json(&c->out), "where", f->where);
        json_str(out_json(&c->out), "mend", f->mend);
        json_bool(out_json(&c->out), "grave", f->grave);
        json_object_end(out_json(&c->out));
    }
    return true;
}

bool cmd_doctor(struct context *c, struct err *err)
{
    int total = 0;

    if (out_is_json(&c->out))
        json_array_begin(out_json(&c->out), "findings");
    if (!context_each_database(c, look, &total, err))
        return false;
    if (out_is_json(&c->out))
        json_array_end(out_json(&c->out));
    if (!total)
        out_print(&c->out, "%swell%s: nothing half done, nothing drifted\n",
                  out_style(&c->out, STYLE_GOOD), out_style(&c->out, STYLE_PLAIN));
    return true;
}

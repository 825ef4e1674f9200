/* snapshot PLAN: save what its purge will destroy. */
#include "snapshot_show.h"

bool cmd_snapshot(struct context *c, struct err *err)
{
    struct plan *p = c->plans[0];
    struct json_out *j = out_is_json(&c->out) ? out_json(&c->out) : NULL;
    struct snapshot_result r;
    struct engine *e;

    if (!context_engine(c, p, &e, err) || !engine_snapshot(e, p, &c->arena, &r, err))
        return false;
    if (j) {
        json_str(j, "plan", p->id.s);
        json_bool(j, "nothing_to_save", r.nothing);
        json_str(j, "location", r.nothing ? NULL : r.location);
        if (r.nothing)
            json_put_null(j, "snapshot");
        else
            snapshot_json(j, "snapshot", &r.snapshot);
    }
    if (r.nothing) {
        out_print(&c->out, "%s: its purge destroys no rows; there is nothing to save\n", p->id.s);
        return true;
    }
    out_print(&c->out, "%s: snapshot %s taken and verified\n", p->id.s, r.snapshot.name);
    snapshot_show(c, "  ", &r.snapshot);
    out_print(&c->out, "  in %s\n  back with: phasegate restore --from %s %s\n",
              out_clean(&c->arena, r.location, false), r.snapshot.name, p->id.s);
    return true;
}

/* resume PLAN: the brake off. */
#include "cli.h"

bool cmd_resume(struct context *c, struct err *err)
{
    struct plan *p = c->plans[0];
    struct engine *e;

    if (!context_engine(c, p, &e, err) || !engine_resume(e, p, opt_text(c, OPT_BECAUSE), err))
        return false;
    out_print(&c->out, "%s: resumed; phasegate advance %s goes on\n", p->id.s, p->id.s);
    if (out_is_json(&c->out)) {
        json_str(out_json(&c->out), "plan", p->id.s);
        json_put_null(out_json(&c->out), "brake");
    }
    return true;
}

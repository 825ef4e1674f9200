/* resume PLAN: the brake off. */
#include "cli.h"

bool cmd_resume(struct context *c, struct err *err)
{
    struct plan *p = c->plans[0];
    const char *next = NULL;
    struct engine *e;

    context_warn_spared(c);
    if (!context_engine(c, p, &e, err) ||
        !engine_resume(e, p, opt_text(c, OPT_BECAUSE), &c->arena, &next, err))
        return false;
    if (next)
        out_print(&c->out, "%s: resumed; %s goes on\n", p->id.s, next);
    else
        out_print(&c->out, "%s: resumed; nothing of it is left to do\n", p->id.s);
    if (out_is_json(&c->out)) {
        json_str(out_json(&c->out), "plan", p->id.s);
        json_put_null(out_json(&c->out), "brake");
        json_str(out_json(&c->out), "next_command", next);
    }
    return true;
}

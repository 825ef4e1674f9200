/* pause PLAN: the brake on. */
#include "cli.h"

bool cmd_pause(struct context *c, struct err *err)
{
    struct plan *p = c->plans[0];
    struct engine *e;

    context_warn_spared(c);
    if (!context_engine(c, p, &e, err) || !engine_pause(e, p, opt_text(c, OPT_BECAUSE), err))
        return false;
    out_print(&c->out, "%s: paused; phasegate resume %s takes the brake off\n", p->id.s, p->id.s);
    if (out_is_json(&c->out)) {
        json_str(out_json(&c->out), "plan", p->id.s);
        json_str(out_json(&c->out), "brake", brake_word(BRAKE_PAUSED));
    }
    return true;
}

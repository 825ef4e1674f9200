/* approve PLAN PHASE: signs the checksum of what will run. */
#include "cli.h"

bool cmd_approve(struct context *c, struct err *err)
{
    struct plan *p = c->plans[0];
    enum phase phase = phase_from_word(arg(c, 1));
    bool refuse = opt_has(c, OPT_REFUSE);
    const char *role = opt_text(c, OPT_ROLE);
    struct engine *e;

    if (phase == PHASE_NONE) {
        const char *words[PHASE_SLOTS] = {0}, *near;

        for (int i = PHASE_FIRST; i <= PHASE_LAST; i++)
            words[i - 1] = phase_word((enum phase) i);
        near = name_nearest(arg(c, 1), words);
        err_set(err, ERR_USAGE, "approve: \"%s\" is no phase; expected %s, %s, %s or %s%s%s%s",
                arg(c, 1), words[0], words[1], words[2], words[3], near ? "; did you mean " : "",
                near ? near : "", near ? "?" : "");
        return err_hint(err, "phasegate approve %s contract", p->id.s);
    }
    if (!context_engine(c, p, &e, err) ||
        !engine_approve(e, p, phase, role, opt_text(c, OPT_BECAUSE), refuse, err))
        return false;
    out_print(&c->out, "%s: %s %s by %s%s%s\n  checksum %s\n", p->id.s, phase_word(phase),
              refuse ? "refused" : "approved", out_clean(&c->arena, c->actor, false),
              role ? " as " : "", role ? out_clean(&c->arena, role, false) : "",
              p->phase_checksum[phase] ? p->phase_checksum[phase] : "");
    if (out_is_json(&c->out)) {
        struct json_out *j = out_json(&c->out);

        json_str(j, "plan", p->id.s);
        json_str(j, "phase", phase_word(phase));
        json_str(j, "checksum", p->phase_checksum[phase]);
        json_str(j, "who", c->actor);
        json_str(j, "role", role);
        json_bool(j, "refused", refuse);
    }
    return true;
}

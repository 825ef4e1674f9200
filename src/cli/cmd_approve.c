/* approve PLAN PHASE: signs the checksum of what will run. */
#include "cli.h"
#include "token.h"

static bool what_of(const char *word, const struct plan *p, struct approve_options *o,
                    struct err *err)
{
    const char *words[PHASE_SLOTS + 1] = {0}, *near;

    o->purge = strcmp(word, approval_word(PHASE_CONTRACT, true)) == 0;
    o->phase = o->purge ? PHASE_CONTRACT : phase_from_word(word);
    if (o->phase != PHASE_NONE)
        return true;
    for (int i = PHASE_FIRST; i <= PHASE_LAST; i++)
        words[i - 1] = phase_word((enum phase) i);
    words[PHASE_LAST] = approval_word(PHASE_CONTRACT, true);
    near = name_nearest(word, words);
    err_set(err, ERR_USAGE, "approve: \"%s\" is no phase; expected %s, %s, %s, %s or %s%s%s%s",
            word, words[0], words[1], words[2], words[3], words[4], near ? "; did you mean " : "",
            near ? near : "", near ? "?" : "");
    return err_hint(err, "phasegate approve %s contract", p->id.s);
}

bool cmd_approve(struct context *c, struct err *err)
{
    struct plan *p = c->plans[0];
    struct approve_options o = {.role = opt_text(c, OPT_ROLE),
                                .because = opt_text(c, OPT_BECAUSE),
                                .refuse = opt_has(c, OPT_REFUSE)};
    const char *who = c->actor;
    struct engine *e;

    if (!what_of(arg(c, 1), p, &o, err) || !context_token(c, err) ||
        !context_engine(c, p, &e, err) || !engine_approve(e, p, &o, &c->arena, &who, err))
        return false;
    const char *word = approval_word(o.phase, o.purge), *checksum = p->phase_checksum[o.phase];
    out_print(&c->out, "%s: %s %s by %s%s%s\n  checksum %s\n", p->id.s, word,
              o.refuse ? "refused" : "approved", out_clean(&c->arena, who, false),
              o.role ? " as " : "", o.role ? out_clean(&c->arena, o.role, false) : "",
              checksum ? checksum : "");
    if (out_is_json(&c->out)) {
        struct json_out *j = out_json(&c->out);

        json_str(j, "plan", p->id.s);
        json_str(j, "phase", word);
        json_str(j, "checksum", checksum);
        json_str(j, "who", who);
        json_str(j, "role", o.role);
        json_bool(j, "refused", o.refuse);
    }
    return true;
}

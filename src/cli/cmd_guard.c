/* guard --release V: may it run here and now? */
#include "cli.h"

struct answer {
    const char *release;
    bool may_run;
};

static bool ask(struct context *c, struct engine *e, void *ctx, struct err *err)
{
    struct answer *answer = ctx;
    struct verdict v = {0};

    if (!engine_guard(e, answer->release, &c->arena, &v, err))
        return false;
    answer->may_run = answer->may_run && v.may_run;
    out_print(&c->out, "%s%s%s: release %s on %s: %s\n",
              out_style(&c->out, v.may_run ? STYLE_GOOD : STYLE_BAD), v.may_run ? "yes" : "no",
              out_style(&c->out, STYLE_PLAIN), answer->release, e->db->shown,
              out_clean(&c->arena, v.why ? v.why : "nothing stands against it", false));
    if (v.unread)
        out_warn(&c->out, "%s; the answer goes by where it was left", v.unread);
    if (out_is_json(&c->out)) {
        struct json_out *j = out_json(&c->out);

        json_object_begin(j, NULL);
        json_str(j, "database", e->db->shown);
        json_bool(j, "may_run", v.may_run);
        json_str(j, "reason", v.reason);
        json_str(j, "why", v.why);
        json_str(j, "unread_flag", v.unread);
        json_str(j, "oldest", v.window.exists ? v.window.oldest : NULL);
        json_str(j, "newest", v.window.exists ? v.window.newest : NULL);
        json_object_end(j);
    }
    return true;
}

bool cmd_guard(struct context *c, struct err *err)
{
    struct answer answer = {opt_text(c, OPT_GUARD_RELEASE), true};
    bool good;

    if (!answer.release) {
        err_set(err, ERR_USAGE, "guard: which release? Give --release");
        return err_hint(err, "phasegate guard --release V");
    }
    if (out_is_json(&c->out)) {
        json_str(out_json(&c->out), "release", answer.release);
        json_array_begin(out_json(&c->out), "databases");
    }
    context_warn_spared(c);
    good = context_each_database(c, ask, &answer, err);
    if (out_is_json(&c->out)) {
        json_array_end(out_json(&c->out));
        json_bool(out_json(&c->out), "may_run", good && answer.may_run);
    }
    c->exit_code = answer.may_run ? 0 : 4;
    return good;
}

/* kill: flags to safe. Plan file, project file and flag service; nothing else is opened. */
#include "cli.h"
#include "phasegate/flag_ops.h"

#include <inttypes.h>

static bool check_usage(struct context *c, struct err *err)
{
    int ways = (c->line.n_args > 0) + (c->line.n_keys > 0) + opt_has(c, OPT_ALL_FLAGS);

    if (ways == 0)
        err_set(err, ERR_USAGE, "kill: what? Name plans, flags with --flag KEY, or give --all");
    else if (opt_has(c, OPT_ALL_FLAGS) && ways > 1)
        err_set(err, ERR_USAGE, "kill: --all doesn't go with plans or --flag");
    else
        return true;
    return err_hint(err, "phasegate kill PLAN");
}

static void warn_of_problems(struct context *c)
{
    if (!c->problems.n)
        return;
    context_show_problems(c, &c->problems);
    out_warn(&c->out,
             "%d problems in the project's files; the kill goes on with what could be read",
             c->problems.n);
}

static void show_text(struct context *c, const struct flag_kill_report *r, bool drill)
{
    struct out *o = &c->out;
    struct arena *a = &c->arena;

    for (int i = 0; i < r->n; i++) {
        const struct flag_kill_result *k = &r->results[i];
        const char *word = k->reached && !k->in_doubt ? "off"
                           : k->exit_code == 3        ? "NOT SENT"
                                                      : "IN DOUBT";

        out_print(o, "%s%-8s%s %s%s%s%s  %s  %s  %" PRId64 " ms%s%s\n",
                  out_style(o, k->exit_code ? STYLE_BAD : STYLE_GOOD), word,
                  out_style(o, STYLE_PLAIN), out_clean(a, k->key, false),
                  k->role && *k->role ? " (" : "", k->role ? k->role : "",
                  k->role && *k->role ? ")" : "", out_clean(a, k->target ? k->target : "", false),
                  k->reached ? flag_level_word(k->level) : flag_answer_word(k->answer), k->ms,
                  k->detail ? "  " : "", k->detail ? out_clean(a, k->detail, false) : "");
        if (drill && k->before_percent >= 0)
            out_print(o, "         put back to %d %%\n", k->before_percent);
    }
    if (r->n == 0)
        out_print(o, "nothing to do: there are no flags\n");
}

static void show_json(struct context *c, const struct flag_kill_report *r, bool drill)
{
    struct json_out *j = out_json(&c->out);

    json_bool(j, "drill", drill);
    json_bool(j, "interrupted", r->interrupted);
    json_str(j, "journal_error", r->journal_error);
    json_array_begin(j, "targets");
    for (int i = 0; i < r->n; i++) {
        const struct flag_kill_result *k = &r->results[i];

        json_object_begin(j, NULL);
        json_str(j, "key", k->key);
        json_str(j, "plan", k->plan);
        json_str(j, "role", k->role && *k->role ? k->role : NULL);
        json_str(j, "target", k->target);
        json_str(j, "answer", flag_answer_word(k->answer));
        json_str(j, "level", flag_level_word(k->level));
        json_str(j, "wanted", flag_level_word(k->wanted));
        json_bool(j, "reached", k->reached);
        json_bool(j, "in_doubt", k->in_doubt);
        if (k->before_percent >= 0)
            json_int(j, "before_percent", k->before_percent);
        json_int(j, "ms", k->ms);
        json_str(j, "op_id", k->op_id);
        json_str(j, "detail", k->detail);
        json_int(j, "exit_code", k->exit_code);
        json_object_end(j);
    }
    json_array_end(j);
}

static void finish(struct context *c, const struct flag_kill_report *r)
{
    if (r->journal_error)
        out_warn(&c->out, "the local journal couldn't be written: %s", r->journal_error);
    if (r->exit_code)
        out_say(&c->out, "not every flag is known to be off: run the same command again%s",
                opt_has(c, OPT_WATCH) ? ""
                                      : ", or with --watch to go on until nothing is in doubt");
    c->exit_code = r->exit_code;
    if (r->interrupted && !c->exit_code)
        c->exit_code = c->ports.interrupt->signal == SIGTERM ? 143 : 130;
}

bool cmd_kill(struct context *c, struct err *err)
{
    struct flag_kill_options o = {.wait_ms = c->line.number[OPT_WAIT],
                                  .write_now = opt_has(c, OPT_WRITE_NOW),
                                  .watch = opt_has(c, OPT_WATCH),
                                  .drill = opt_has(c, OPT_DRILL),
                                  .reason = opt_text(c, OPT_BECAUSE)};
    bool by_plan = c->line.n_args > 0 || opt_has(c, OPT_ALL_FLAGS);
    struct flag_kill_target *targets = NULL;
    struct flag_kill_report report = {0};
    struct flag_ops ops;
    int n = 0;

    if (!check_usage(c, err))
        return false;
    warn_of_problems(c);
    if (!context_flags_needed(c, err))
        return false;
    context_flag_ops(c, &ops);
    flag_kill_targets(&c->arena, &ops, (const struct plan *const *) c->plans,
                      by_plan ? c->n_plans : 0, c->line.keys, c->line.n_keys, &targets, &n);
    flag_ops_kill(&ops, targets, n, &o, &c->arena, &report);
    if (out_is_json(&c->out))
        show_json(c, &report, o.drill);
    show_text(c, &report, o.drill);
    finish(c, &report);
    return true;
}

/* kill: flags to safe. Plan file, project file and flag service; nothing else is opened. */
#include "kill_sources.h"

#include <inttypes.h>
#include <signal.h>

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
             "%d problem%s in the project's files; the kill goes on with what could be read",
             c->problems.n, c->problems.n == 1 ? "" : "s");
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
        if (drill && k->put_back)
            out_print(o, "         put back to %d %%\n", k->before_percent);
    }
}

static const char *stage_in_ledger(const struct kill_sources *s, const char *plan)
{
    for (int i = 0; plan && i < s->n_ledger; i++)
        if (s->ledger[i].plan && s->ledger[i].stage && strcmp(s->ledger[i].plan, plan) == 0)
            return s->ledger[i].stage;
    return NULL;
}

static void json_unread(struct json_out *j, const struct kill_sources *s)
{
    json_array_begin(j, "unread");
    for (int i = 0; i < s->n_unread; i++) {
        const struct unread_file *f = &s->unread[i];

        json_object_begin(j, NULL);
        json_str(j, "file", f->file);
        json_str(j, "plan", f->plan);
        json_array_begin(j, "keys");
        for (const char **key = f->keys; *key; key++)
            json_str(j, NULL, *key);
        json_array_end(j);
        json_int(j, "exit_code", f->sent ? 5 : 3);
        json_object_end(j);
    }
    json_array_end(j);
}

static void show_json(struct context *c, const struct kill_sources *s,
                      const struct flag_kill_report *r, bool drill)
{
    struct json_out *j = out_json(&c->out);

    json_bool(j, "drill", drill);
    json_bool(j, "interrupted", r->interrupted);
    json_str(j, "journal_error", r->journal_error);
    json_bool(j, "ledger_answered", s->ledger_answered);
    json_unread(j, s);
    json_array_begin(j, "strangers");
    for (int i = 0; i < c->n_strangers; i++)
        json_str(j, NULL, c->strangers[i]);
    json_array_end(j);
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
        json_bool(j, "remembered", k->remembered);
        json_str(j, "stage", stage_in_ledger(s, k->plan));
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

/* ---- what else the exit code has to say -------------------------------------------------------------- */

static void worse(struct context *c, int code)
{
    if (code == 3 || (code == 5 && c->exit_code == 0))
        c->exit_code = code;
}

/* A file that may name flags which nobody killed: the lines to kill them by hand. */
static void finish_unread(struct context *c, const struct kill_sources *s)
{
    struct arena *a = &c->arena;

    for (int i = 0; i < s->n_unread; i++) {
        const struct unread_file *f = &s->unread[i];
        const char *file = out_clean(a, f->file, false);

        worse(c, f->sent ? 5 : 3);
        out_warn(&c->out, "%s can't be relied on for its flags: %s", file,
                 f->sent      ? "those that were set before are off; whether that's all isn't known"
                 : f->keys[0] ? "these look like them, and nothing was sent"
                              : "none of them is known, and nothing was sent");
        for (const char **key = f->keys; *key; key++)
            out_warn(&c->out, "  phasegate kill --flag %s", out_clean(a, *key, false));
        if (!f->keys[0] && !f->sent)
            out_warn(&c->out, "  phasegate kill --flag KEY, with the keys below flags: in %s",
                     file);
    }
}

static bool has_target(const struct flag_kill_report *r, const char *plan)
{
    for (int i = 0; i < r->n; i++)
        if (r->results[i].plan && strcmp(r->results[i].plan, plan) == 0)
            return true;
    return false;
}

/* A plan without a file here: what was killed is what is remembered of it. */
static void finish_strangers(struct context *c, const struct kill_sources *s,
                             const struct flag_kill_report *r)
{
    for (int i = 0; i < c->n_strangers; i++) {
        const char *plan = out_clean(&c->arena, c->strangers[i], false);

        if (!has_target(r, c->strangers[i])) {
            worse(c, 3);
            out_warn(&c->out,
                     "no file has plan %s, and no flag of it is known: nothing was sent for it; "
                     "phasegate kill --flag KEY",
                     plan);
        } else if (s->ledger_answered) {
            out_warn(&c->out, "no file has plan %s; its flags are known from earlier changes",
                     plan);
        } else {
            worse(c, 5);
            out_warn(&c->out,
                     "no file has plan %s, and the ledger doesn't answer: what this host's journal "
                     "remembers is off; for another flag: phasegate kill --flag KEY",
                     plan);
        }
    }
}

/* Off leads to the old shape: where that is hidden or gone, off isn't safe by itself. */
static void say_hidden(struct context *c, const struct kill_sources *s,
                       const struct flag_kill_report *r)
{
    for (int i = 0; i < r->n; i++) {
        const char *plan = r->results[i].plan, *stage = stage_in_ledger(s, plan);
        enum stage at;

        if ((i > 0 && plan && r->results[i - 1].plan &&
             strcmp(r->results[i - 1].plan, plan) == 0) ||
            !stage || !stage_from_word(stage, &at) || at < STAGE_CONTRACT_RUNNING)
            continue;
        plan = out_clean(&c->arena, plan, false);
        if (at >= STAGE_PURGING)
            out_warn(&c->out,
                     "plan %s is %s: what its flags lead to when off is destroyed; if requests "
                     "fail now: phasegate flags set KEY 100",
                     plan, stage);
        else
            out_warn(&c->out,
                     "plan %s is at %s: the old shape is hidden, and off leads to it: phasegate "
                     "restore %s brings it back",
                     plan, stage, plan);
    }
}

/* A refusal stays one however often it is asked: then it is the setting that has to be mended. */
static void say_what_helps(struct context *c, const struct flag_kill_report *r)
{
    const struct flag_kill_result *refused = NULL;

    for (int i = 0; i < r->n && !refused; i++)
        if (r->results[i].exit_code &&
            (r->results[i].answer == FLAG_AUTH || r->results[i].answer == FLAG_REJECTED))
            refused = &r->results[i];
    if (refused && !opt_has(c, OPT_DRILL))
        out_warn(&c->out,
                 "not every flag is off: the flag service refuses (%s); then the same "
                 "command again",
                 flags_where(&c->arena, c->env, refused->answer == FLAG_AUTH));
    else
        out_say(&c->out, "not every flag is known to be off: run the same command again%s",
                opt_has(c, OPT_WATCH) ? ""
                                      : ", or with --watch to go on until nothing is in doubt");
}

static void finish(struct context *c, const struct kill_sources *s,
                   const struct flag_kill_report *r)
{
    if (r->journal_error)
        out_warn(&c->out, "the local journal couldn't be written: %s", r->journal_error);
    c->exit_code = r->exit_code;
    if (r->exit_code)
        say_what_helps(c, r);
    if (!opt_has(c, OPT_DRILL))
        say_hidden(c, s, r);
    finish_unread(c, s);
    finish_strangers(c, s, r);
    if (r->n == 0 && !s->n_unread)
        out_print(&c->out, "nothing to do: there are no flags\n");
    if (opt_has(c, OPT_ALL_FLAGS) && !s->ledger_answered && !opt_has(c, OPT_DRILL))
        out_say(&c->out, "the ledger doesn't answer: a plan that no file here has is only known "
                         "when its flags were set from this host");
    if (r->interrupted && !c->exit_code)
        c->exit_code = c->ports.interrupt->signal == SIGTERM ? 143 : 130;
}

/* ---- the kill -------------------------------------------------------------------------------------------- */

#define LEDGER_GRACE_MS 300   /* when every file says its flags */
#define LEDGER_NEEDED_MS 3000 /* when what the ledger knows may be all there is */

struct killing {
    struct context *c;
    struct flag_ops ops;
    struct flag_kill_options o;
    struct kill_sources s;
    bool by_plan;
    const char *const *names; /* plans to remember flags of; NULL: all */
    struct flag_kill_target *targets;
    int n, n_sent;
    struct flag_kill_report report;
};

/* What hasn't been sent yet of the targets. */
static void send_rest(struct killing *k)
{
    struct flag_kill_report now = {0}, *all = &k->report;
    struct arena *a = &k->c->arena;

    if (k->n == k->n_sent)
        return;
    flag_ops_kill(&k->ops, k->targets + k->n_sent, k->n - k->n_sent, &k->o, a, &now);
    k->n_sent = k->n;
    show_text(k->c, &now, k->o.drill);
    if (now.exit_code == 3 || (now.exit_code == 5 && all->exit_code == 0))
        all->exit_code = now.exit_code;
    all->interrupted |= now.interrupted;
    all->journal_error = all->journal_error ? all->journal_error : now.journal_error;
    all->results = arena_grow(a, all->results, sizeof *all->results * (size_t) all->n,
                              sizeof *all->results * (size_t) (all->n + now.n));
    memcpy(all->results + all->n, now.results, sizeof *now.results * (size_t) now.n);
    all->n += now.n;
}

static void add_known(struct killing *k, const struct known_flag *known, int n)
{
    flag_kill_add_known(&k->c->arena, &k->ops, known, n, k->names, k->c->line.n_args, &k->targets,
                        &k->n);
}

static void read_journal(struct killing *k)
{
    AUTO(err) err = {0};

    if (k->s.here)
        return;
    if (!flag_journal_known(&k->ops, &k->c->arena, &k->s.here, &k->s.n_here, &err))
        out_warn(&k->c->out, "%s", str_text(&err.message));
}

/* The stages that the ledger tells, for those of the journal. */
static void stages_from_ledger(struct killing *k)
{
    for (int i = 0; i < k->s.n_here; i++)
        for (int j = 0; j < k->s.n_ledger && !k->s.here[i].stage; j++)
            if (k->s.here[i].plan && k->s.ledger[j].plan &&
                strcmp(k->s.here[i].plan, k->s.ledger[j].plan) == 0)
                k->s.here[i].stage = k->s.ledger[j].stage;
}

/* Flags that no file says come after those that one does, unless there is a file in question: then what the journal
 * remembers goes first, too. */
static void kill_remembered(struct killing *k, bool in_question)
{
    bool hurry = !in_question && !opt_has(k->c, OPT_ALL_FLAGS);

    if (!k->report.interrupted)
        kill_sources_take(k->c, &k->s, hurry ? LEDGER_GRACE_MS : LEDGER_NEEDED_MS);
    else
        kill_sources_take(k->c, &k->s, 0);
    read_journal(k);
    stages_from_ledger(k);
    add_known(k, k->s.here, k->s.n_here);
    add_known(k, k->s.ledger, k->s.n_ledger);
    if (k->n == k->n_sent || k->report.interrupted)
        return;
    /* A write flag goes off when every application has its read flag's off. */
    if (k->n_sent > 0 && !k->o.write_now)
        clock_sleep_ms(k->c->clock, flag_service_propagation_ms(k->ops.service));
    send_rest(k);
}

static bool is_in_question(const struct context *c, const struct kill_sources *s)
{
    bool any = s->n_unread > 0 || c->n_strangers > 0;

    for (int i = 0; i < c->line.n_args && i < c->n_plans && !any; i++)
        any = !c->plans[i]->flags[FLAG_READ].key.s && !c->plans[i]->flags[FLAG_WRITE].key.s;
    return any;
}

static void kill_all_sources(struct killing *k)
{
    struct context *c = k->c;
    bool remember = k->by_plan && !k->o.drill, in_question;

    if (remember)
        kill_sources_ask(c, &k->s);
    if (k->by_plan)
        unread_files(c, opt_has(c, OPT_ALL_FLAGS), &k->s.unread, &k->s.n_unread);
    in_question = is_in_question(c, &k->s);
    flag_kill_targets(&c->arena, &k->ops, (const struct plan *const *) c->plans,
                      k->by_plan ? c->n_plans : 0, c->line.keys, c->line.n_keys, &k->targets,
                      &k->n);
    if (remember && in_question) {
        read_journal(k);
        add_known(k, k->s.here, k->s.n_here);
    }
    send_rest(k);
    if (remember)
        kill_remembered(k, in_question);
    unread_files_keys(c, &k->s, &k->report);
}

static bool is_unknown(const struct context *c, const struct killing *k)
{
    return c->n_strangers > 0 && c->n_strangers == c->line.n_args && k->report.n == 0 &&
           k->s.n_unread == 0;
}

/* Nothing that was asked for exists. */
static bool fail_unknown(struct context *c, struct err *err)
{
    (void) !context_plan(c, c->strangers[0], err);
    return err_hint(err, "phasegate show plans; by its key: phasegate kill --flag KEY; every flag "
                         "that is known: phasegate kill --all");
}

/* Without a flag service a mistyped name is still the first thing to say. */
static bool fail_without_service(struct killing *k, struct err *err)
{
    struct context *c = k->c;

    if (c->n_strangers == 0 || c->n_strangers < c->line.n_args)
        return false;
    read_journal(k);
    for (int i = 0; i < k->s.n_here; i++)
        for (int j = 0; k->s.here[i].plan && j < c->n_strangers; j++)
            if (strcmp(k->s.here[i].plan, c->strangers[j]) == 0)
                return false;
    err_clear(err);
    return fail_unknown(c, err);
}

bool cmd_kill(struct context *c, struct err *err)
{
    struct killing k = {.c = c,
                        .o = {.wait_ms = c->line.number[OPT_WAIT],
                              .write_now = opt_has(c, OPT_WRITE_NOW),
                              .watch = opt_has(c, OPT_WATCH),
                              .drill = opt_has(c, OPT_DRILL),
                              .reason = opt_text(c, OPT_BECAUSE)},
                        .by_plan = c->line.n_args > 0 || opt_has(c, OPT_ALL_FLAGS)};

    if (!check_usage(c, err))
        return false;
    warn_of_problems(c);
    bool service = context_flags_needed(c, err);
    context_flag_ops(c, &k.ops);
    if (!service)
        return fail_without_service(&k, err);
    k.names = opt_has(c, OPT_ALL_FLAGS) ? NULL : c->line.args;
    kill_all_sources(&k);
    if (is_unknown(c, &k))
        return fail_unknown(c, err);
    if (out_is_json(&c->out))
        show_json(c, &k.s, &k.report, k.o.drill);
    finish(c, &k.s, &k.report);
    if (!k.o.drill)
        context_tell_of_kill(c, &k.report);
    return true;
}

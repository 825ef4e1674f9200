/* preflight PLAN [PHASE]: what in the live database stands against a phase. */
#include "cli.h"

#include "phasegate/preflight.h"

static enum out_style style_of(enum preflight_outcome o)
{
    return o == PREFLIGHT_PASS ? STYLE_GOOD : o == PREFLIGHT_WARN ? STYLE_WARN : STYLE_BAD;
}

static void print_check(struct context *c, const struct preflight_check *k)
{
    struct arena *a = &c->arena;

    out_print(&c->out, "%s%-5s%s  %s%s%s: %s\n", out_style(&c->out, style_of(k->outcome)),
              preflight_outcome_word(k->outcome), out_style(&c->out, STYLE_PLAIN), k->id,
              k->about ? " " : "", k->about ? out_clean(a, k->about, false) : "",
              out_clean(a, k->value ? k->value : "no value", false));
    if (k->outcome != PREFLIGHT_PASS && k->limit)
        out_print(&c->out, "       limit: %s%s\n", out_clean(a, k->limit, false),
                  k->at.file ? arena_printf(a, " (%s:%d:%d)", k->at.file, k->at.line, k->at.col)
                             : "");
    for (int i = 0; i < k->n_examples; i++)
        out_print(&c->out, "       for example: %s\n", out_clean(a, k->examples[i], false));
    if (k->help)
        out_print(&c->out, "       do: %s\n", out_clean(a, k->help, false));
    if (opt_has(c, OPT_VERBOSE) && k->sql)
        out_print(&c->out, "       asked: %s\n", out_clean(a, k->sql, true));
}

static void put_check(struct json_out *j, const struct preflight_check *k)
{
    json_object_begin(j, NULL);
    json_str(j, "check", k->id);
    json_str(j, "about", k->about);
    json_str(j, "outcome", preflight_outcome_word(k->outcome));
    json_str(j, "value", k->value);
    json_str(j, "limit", k->limit);
    json_str(j, "help", k->help);
    json_array_begin(j, "examples");
    for (int i = 0; i < k->n_examples; i++)
        json_str(j, NULL, k->examples[i]);
    json_array_end(j);
    json_str(j, "sql", k->sql);
    json_str(j, "file", k->at.file);
    json_int(j, "line", k->at.file ? k->at.line : 0);
    json_object_end(j);
}

static bool phase_of(const char *word, enum phase *out, struct err *err)
{
    *out = word ? phase_from_word(word) : PHASE_NONE;
    if (!word || *out != PHASE_NONE)
        return true;
    const char *words[PHASE_SLOTS] = {0};
    for (int i = PHASE_FIRST; i <= PHASE_LAST; i++)
        words[i - 1] = phase_word((enum phase) i);
    const char *near = name_nearest(word, words);
    err_set(err, ERR_USAGE, "preflight: \"%s\" is no phase; expected %s, %s, %s or %s%s%s%s", word,
            words[0], words[1], words[2], words[3], near ? "; did you mean " : "", near ? near : "",
            near ? "?" : "");
    return err_hint(err, "without a phase: the one that comes next");
}

bool cmd_preflight(struct context *c, struct err *err)
{
    struct plan *p = c->plans[0];
    struct preflight found;
    struct engine *e;
    enum phase phase;

    if (!phase_of(arg(c, 1), &phase, err) || !context_engine(c, p, &e, err) ||
        !engine_preflight(e, p, phase, &c->arena, &found, err))
        return false;
    for (int i = 0; i < found.n; i++)
        print_check(c, &found.items[i]);
    if (found.phase == PHASE_NONE)
        out_print(&c->out, "%s: %s\n", p->id.s,
                  phase ? "the plan has no such phase" : "no phase is left");
    else
        out_print(&c->out, "%s %s: %d checked, %d no-go, %d to look at\n", p->id.s,
                  phase_word(found.phase), found.n, found.n_no_go, found.n_warn);
    c->exit_code = found.n_no_go ? 1 : 0;
    if (!out_is_json(&c->out))
        return true;
    struct json_out *j = out_json(&c->out);
    json_str(j, "plan", p->id.s);
    json_str(j, "phase", found.phase ? phase_word(found.phase) : NULL);
    json_str(j, "database", e->db->shown);
    json_int(j, "no_go", found.n_no_go);
    json_int(j, "warnings", found.n_warn);
    json_array_begin(j, "checks");
    for (int i = 0; i < found.n; i++)
        put_check(j, &found.items[i]);
    json_array_end(j);
    return true;
}

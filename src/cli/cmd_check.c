/* check: everything that can be known of the files alone. */
#include "check_static.h"
#include "cli.h"

struct findings {
    int by_rule, unreadable, shown;
};

/* With plans named, only what concerns them and the project file. */
static bool concerns(const struct context *c, const struct problem *p)
{
    if (c->line.n_args == 0 || !p->at.file ||
        (c->set.project.file && strcmp(p->at.file, c->set.project.file) == 0))
        return true;
    for (int i = 0; i < c->n_plans; i++)
        if (strcmp(c->plans[i]->file, p->at.file) == 0)
            return true;
    return false;
}

/* Heads were found good while they were loaded. */
static bool read_sql(struct context *c, struct err *err)
{
    for (int i = 0; i < c->n_plans; i++)
        if (!c->plans[i]->is_head && !plan_sql_facts(&c->set, c->plans[i], &c->problems, err)) {
            if (!err_is(err, ERR_INPUT) || !c->problems.n)
                return false;
            err_clear(err);
        }
    return true;
}

/* Keeps in the list what concerns the plans asked for. */
static void narrow(struct context *c, struct findings *f)
{
    struct problem_list *l = &c->problems;
    int n = 0;

    for (int i = 0; i < l->n; i++) {
        if (!concerns(c, &l->items[i]))
            continue;
        f->by_rule += l->items[i].rule != NULL;
        f->unreadable += l->items[i].rule == NULL;
        l->items[n++] = l->items[i];
    }
    l->n = n;
}

static void show_text(struct context *c, const struct findings *f)
{
    struct out *o = &c->out;

    for (int i = 0; i < c->problems.n; i++) {
        AUTO(str) text = {0};

        problem_text(&text, &c->problems.items[i]);
        out_print(o, "%s\n", out_clean(&c->arena, str_text(&text), true));
    }
    if (c->problems.cut)
        out_print(o, "... and more: only the first %d are shown\n", LOAD_MAX_PROBLEMS);
    out_print(o, "%s%d %s: %s%s", out_style(o, c->problems.n ? STYLE_BAD : STYLE_GOOD), c->n_plans,
              c->n_plans == 1 ? "plan" : "plans", c->problems.n ? "" : "clean",
              out_style(o, STYLE_PLAIN));
    if (f->unreadable)
        out_print(o, "%d %s", f->unreadable, f->unreadable == 1 ? "problem" : "problems");
    if (f->by_rule)
        out_print(o, "%s%d %s of rules", f->unreadable ? ", " : "", f->by_rule,
                  f->by_rule == 1 ? "finding" : "findings");
    out_print(o, "\n");
    out_say(
        o,
        "files, SQL and rules were checked; the compatibility proof is not part of this version");
}

static void show_json(struct context *c, const struct findings *f)
{
    struct json_out *j = out_json(&c->out);

    json_array_begin(j, "plans");
    for (int i = 0; i < c->n_plans; i++) {
        json_object_begin(j, NULL);
        json_str(j, "plan", c->plans[i]->id.s);
        json_str(j, "file", c->plans[i]->file);
        json_str(j, "checksum", c->plans[i]->checksum);
        json_object_end(j);
    }
    json_array_end(j);
    problems_json(j, "findings", &c->problems);
    json_bool(j, "cut", c->problems.cut);
    json_int(j, "by_rule", f->by_rule);
    json_int(j, "unreadable", f->unreadable);
    json_str(j, "compatibility_proof", "not part of this version");
}

bool cmd_check(struct context *c, struct err *err)
{
    struct findings f = {0};

    if (opt_has(c, OPT_STATIC))
        return check_static(c, err);
    if (!read_sql(c, err))
        return false;
    narrow(c, &f);
    if (out_is_json(&c->out))
        show_json(c, &f);
    else
        show_text(c, &f);
    c->exit_code = f.unreadable ? 2 : f.by_rule ? 1 : 0;
    return true;
}

/* preflight PLAN [PHASE]: what in the live database stands against a phase; with --fix it is mended first. */
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

static const char *range(struct context *c, const char *least, const char *most)
{
    return strcmp(least, most) == 0 ? least : arena_printf(&c->arena, "%s to %s", least, most);
}

static void print_estimate(struct context *c, const struct preflight_estimate *x, const char *name)
{
    struct arena *a = &c->arena;

    if (x->task && x->unknown) {
        out_print(&c->out, "takes  %s: not known: %s\n", name, out_clean(a, x->unknown, false));
        return;
    }
    out_print(&c->out, "takes  %s%s%s: %s", name, x->table ? " on " : "", x->table ? x->table : "",
              range(c, span_text(a, x->least_ms), span_text(a, x->most_ms)));
    if (x->most_bytes > 0)
        out_print(&c->out, "; %s of disk",
                  range(c, size_text(a, x->least_bytes), size_text(a, x->most_bytes)));
    if (x->most_wal > 0)
        out_print(&c->out, "; %s of WAL",
                  range(c, size_text(a, x->least_wal), size_text(a, x->most_wal)));
    if (x->basis)
        out_print(&c->out, " (%s)", out_clean(a, x->basis, false));
    out_print(&c->out, "%s\n", !x->task && x->unknown ? ", and what isn't known" : "");
}

static void print_estimates(struct context *c, const struct preflight *found)
{
    for (int i = 0; i < found->n_estimates; i++)
        print_estimate(c, &found->estimates[i], found->estimates[i].task);
    if (found->n_estimates > 1)
        print_estimate(c, &found->total, "all of it");
}

static void put_estimate(struct json_out *j, const char *key, const struct preflight_estimate *x)
{
    json_object_begin(j, key);
    json_str(j, "task", x->task);
    json_str(j, "table", x->table);
    json_int(j, "least_ms", x->least_ms);
    json_int(j, "most_ms", x->most_ms);
    json_int(j, "least_bytes", x->least_bytes);
    json_int(j, "most_bytes", x->most_bytes);
    json_int(j, "least_wal_bytes", x->least_wal);
    json_int(j, "most_wal_bytes", x->most_wal);
    json_str(j, "basis", x->basis);
    json_str(j, "unknown", x->unknown);
    json_object_end(j);
}

static void put_estimates(struct json_out *j, const struct preflight *found)
{
    json_array_begin(j, "estimates");
    for (int i = 0; i < found->n_estimates; i++)
        put_estimate(j, NULL, &found->estimates[i]);
    json_array_end(j);
    put_estimate(j, "estimated", &found->total);
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

static const char purge_word[] = "purge";

static bool phase_of(const char *word, enum phase *out, bool *is_purge, struct err *err)
{
    *is_purge = word && strcmp(word, purge_word) == 0;
    *out = !word ? PHASE_NONE : *is_purge ? PHASE_CONTRACT : phase_from_word(word);
    if (!word || *out != PHASE_NONE)
        return true;
    const char *words[PHASE_SLOTS + 1] = {0};
    for (int i = PHASE_FIRST; i <= PHASE_LAST; i++)
        words[i - 1] = phase_word((enum phase) i);
    words[PHASE_LAST] = purge_word;
    const char *near = name_nearest(word, words);
    err_set(err, ERR_USAGE, "preflight: \"%s\" is no phase; expected %s, %s, %s, %s or %s%s%s%s",
            word, words[0], words[1], words[2], words[3], purge_word, near ? "; did you mean " : "",
            near ? near : "", near ? "?" : "");
    return err_hint(err, "without a phase: the one that comes next");
}

static const char *way(const struct data_fix *f) { return f->in_batches ? "batches" : "statement"; }

static void print_fix(struct context *c, const struct data_fix *f)
{
    const struct check *k = f->check;
    const char *how =
        f->in_batches
            ? "in batches"
            : arena_printf(&c->arena, "in one statement, %d rows at the most", FIX_ROWS_MOST);

    if (f->rows < 0)
        out_print(&c->out, "fix    %s: would run %s; the check gives %s\n", k->id.s, how,
                  f->before ? out_clean(&c->arena, f->before, false) : "no value");
    else
        out_print(&c->out,
                  "fixed  %s: %lld rows changed %s; the check gave %s, and gives %s now%s\n",
                  k->id.s, (long long) f->rows, f->in_batches ? "in batches" : "in one statement",
                  f->before ? out_clean(&c->arena, f->before, false) : "no value",
                  f->after ? out_clean(&c->arena, f->after, false) : "no value",
                  f->holds ? "" : ": it still doesn't hold");
    out_print(&c->out, "       %s (%s:%d:%d)\n", out_clean(&c->arena, k->fix_sql, true),
              k->fix.at.file, k->fix.at.line, k->fix.at.col);
}

static void put_fixes(struct json_out *j, const struct data_fixes *l)
{
    json_array_begin(j, "fixes");
    for (int i = 0; i < l->n; i++) {
        const struct data_fix *f = &l->items[i];

        json_object_begin(j, NULL);
        json_str(j, "id", f->check->id.s);
        json_str(j, "sql", f->check->fix_sql);
        json_str(j, "way", way(f));
        json_str(j, "before", f->before);
        json_str(j, "after", f->after);
        if (f->rows < 0)
            json_put_null(j, "rows");
        else
            json_int(j, "rows", f->rows);
        json_bool(j, "holds", f->holds);
        json_object_end(j);
    }
    json_array_end(j);
    json_str(j, "fixes_refused", l->refused);
}

/* Before the checks are asked: they show what has become of it. */
static bool fix(struct context *c, struct engine *e, struct plan *p, enum phase phase,
                struct data_fixes *l, struct err *err)
{
    bool dry = opt_has(c, OPT_FIX_DRY_RUN);

    if (dry && !opt_has(c, OPT_FIX)) {
        err_set(err, ERR_USAGE, "preflight: --dry-run without --fix: preflight itself only looks");
        return err_hint(err, "phasegate preflight %s --fix --dry-run", p->id.s);
    }
    if (!opt_has(c, OPT_FIX))
        return true;
    if (!dry && !engine_beside_spared(e, p, &c->arena, err))
        return false;
    if (!(dry ? engine_fixes : engine_fix)(e, p, phase, &c->arena, l, err))
        return false;
    for (int i = 0; i < l->n; i++)
        print_fix(c, &l->items[i]);
    if (l->n == 0)
        out_print(&c->out, "%s: nothing to fix: every data check with a fix: holds\n", p->id.s);
    if (dry && l->refused)
        out_print(&c->out, "       would be refused: %s\n",
                  out_clean(&c->arena, l->refused, false));
    return true;
}

bool cmd_preflight(struct context *c, struct err *err)
{
    struct data_fixes fixes = {0};
    struct plan *p = c->plans[0];
    struct preflight found;
    struct engine *e;
    enum phase phase;
    bool is_purge;

    if (!phase_of(arg(c, 1), &phase, &is_purge, err) || !context_engine(c, p, &e, err) ||
        !fix(c, e, p, phase, &fixes, err) ||
        !engine_preflight(e, p, phase, is_purge, true, &c->arena, &found, err))
        return false;
    const char *shown = found.is_purge ? purge_word : phase_word(found.phase);
    for (int i = 0; i < found.n; i++)
        print_check(c, &found.items[i]);
    print_estimates(c, &found);
    if (found.phase == PHASE_NONE)
        out_print(&c->out, "%s: %s\n", p->id.s,
                  phase ? "the plan has no such phase" : "no phase is left");
    else
        out_print(&c->out, "%s %s: %d checked, %d no-go, %d to look at\n", p->id.s, shown, found.n,
                  found.n_no_go, found.n_warn);
    c->exit_code = found.n_no_go ? 1 : 0;
    if (!out_is_json(&c->out))
        return true;
    struct json_out *j = out_json(&c->out);
    json_str(j, "plan", p->id.s);
    json_str(j, "phase", found.phase ? shown : NULL);
    json_str(j, "database", e->db->shown);
    json_int(j, "no_go", found.n_no_go);
    json_int(j, "warnings", found.n_warn);
    json_array_begin(j, "checks");
    for (int i = 0; i < found.n; i++)
        put_check(j, &found.items[i]);
    json_array_end(j);
    put_estimates(j, &found);
    put_fixes(j, &fixes);
    return true;
}

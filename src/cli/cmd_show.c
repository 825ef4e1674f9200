/* show machine|rules|schema|config|plans */
#include "cli.h"
#include "embedded_schemas.h"
#include "phasegate/rules.h"

#include <inttypes.h>

/* ---- machine ------------------------------------------------------------------------------------------ */

static void set_bits(struct str *to, unsigned bits, int n, const char *(*word)(int) )
{
    bool first = true;

    for (int i = 0; i < n; i++)
        if (bits & (1u << i)) {
            str_addf(to, "%s%s", first ? "" : ", ", word(i));
            first = false;
        }
}

static const char *brake_word_of(int i) { return brake_word((enum brake) i); }
static const char *guard_word_of(int i) { return guard_word((enum guard) i); }

static void machine_text(struct context *c, const struct transition *t, int n)
{
    enum stage last = STAGE_COUNT;

    for (int i = 0; i < n; i++) {
        AUTO(str) brakes = {0};
        AUTO(str) guards = {0};

        if (t[i].from != last)
            out_print(&c->out, "%s%s\n", i ? "\n" : "", stage_word(t[i].from));
        last = t[i].from;
        set_bits(&brakes, t[i].brakes, BRAKE_COUNT, brake_word_of);
        set_bits(&guards, t[i].guards, GUARD_COUNT, guard_word_of);
        out_print(&c->out, "  %3d  %s -> %s%s%s\n       %s\n       under: %s\n", t[i].row,
                  phase_event_word(t[i].event), stage_word(t[i].to),
                  t[i].to_brake != BRAKE_COUNT ? ", brake: " : "",
                  t[i].to_brake != BRAKE_COUNT ? brake_word(t[i].to_brake) : "", t[i].comment,
                  str_text(&brakes));
        if (guards.len)
            out_print(&c->out, "       refused for: %s\n", str_text(&guards));
    }
    out_print(&c->out, "\nrefused for what?\n");
    for (int i = 0; i < GUARD_COUNT; i++)
        out_print(&c->out, "  %-16s %s\n", guard_word((enum guard) i),
                  guard_question((enum guard) i));
}

static void mermaid_name(struct str *to, enum stage s)
{
    for (const char *w = stage_word(s); *w; w++)
        str_addc(to, *w == ' ' ? '_' : *w);
}

static void machine_mermaid(struct context *c, const struct transition *t, int n)
{
    AUTO(str) text = {0};

    str_add(&text, "stateDiagram-v2\n    [*] --> planned\n");
    for (int i = 0; i < STAGE_COUNT; i++) {
        str_add(&text, "    ");
        mermaid_name(&text, (enum stage) i);
        str_addf(&text, ": %s\n", stage_word((enum stage) i));
    }
    for (int i = 0; i < n; i++) {
        if (t[i].from == t[i].to)
            continue; /* going on, and brakes: the picture is of the way */
        str_add(&text, "    ");
        mermaid_name(&text, t[i].from);
        str_add(&text, " --> ");
        mermaid_name(&text, t[i].to);
        str_addf(&text, ": %s\n", phase_event_word(t[i].event));
    }
    str_add(&text, "    purged --> [*]\n");
    out_print(&c->out, "%s", str_text(&text));
}

static void words_json(struct json_out *j, const char *key, unsigned bits, int n,
                       const char *(*word)(int) )
{
    json_array_begin(j, key);
    for (int i = 0; i < n; i++)
        if (bits & (1u << i))
            json_str(j, NULL, word(i));
    json_array_end(j);
}

static void machine_json(struct json_out *j, const struct transition *t, int n)
{
    json_array_begin(j, "transitions");
    for (int i = 0; i < n; i++) {
        json_object_begin(j, NULL);
        json_int(j, "row", t[i].row);
        json_str(j, "from", stage_word(t[i].from));
        json_str(j, "event", phase_event_word(t[i].event));
        json_str(j, "to", stage_word(t[i].to));
        json_str(j, "to_brake", t[i].to_brake == BRAKE_COUNT ? NULL : brake_word(t[i].to_brake));
        words_json(j, "brakes", t[i].brakes, BRAKE_COUNT, brake_word_of);
        words_json(j, "guards", t[i].guards, GUARD_COUNT, guard_word_of);
        json_str(j, "comment", t[i].comment);
        json_object_end(j);
    }
    json_array_end(j);
    json_array_begin(j, "guards");
    for (int i = 0; i < GUARD_COUNT; i++) {
        json_object_begin(j, NULL);
        json_str(j, "guard", guard_word((enum guard) i));
        json_str(j, "question", guard_question((enum guard) i));
        json_object_end(j);
    }
    json_array_end(j);
}

static bool show_machine(struct context *c)
{
    const char *format = opt_text(c, OPT_FORMAT);
    int n;
    const struct transition *t = phase_transitions(&n);

    if (out_is_json(&c->out))
        machine_json(out_json(&c->out), t, n);
    else if (format && strcmp(format, "mermaid") == 0)
        machine_mermaid(c, t, n);
    else
        machine_text(c, t, n);
    return true;
}

/* ---- rules ---------------------------------------------------------------------------------------------- */

static const char *by_words(unsigned by)
{
    return by == BY_STATIC ? "static" : by == BY_SHADOW ? "shadow" : "static, shadow";
}

static void rule_json(struct json_out *j, struct arena *a, const struct rule *r)
{
    json_object_begin(j, NULL);
    json_str(j, "rule", r->id);
    json_str(j, "class", rule_class_word(r->class));
    json_str(j, "severity", severity_word(r->severity));
    json_array_begin(j, "by");
    if (r->by & BY_STATIC)
        json_str(j, NULL, "static");
    if (r->by & BY_SHADOW)
        json_str(j, NULL, "shadow");
    json_array_end(j);
    json_str(j, "title", r->title);
    json_str(j, "page", arena_printf(a, "docs/rules/%s.md", r->id));
    json_object_end(j);
}

static bool show_rules(struct context *c)
{
    AUTO(out_table) t = {0};
    struct json_out *j = out_is_json(&c->out) ? out_json(&c->out) : NULL;

    out_table_head(&t, OUT_CELLS("RULE", "CLASS", "SEVERITY", "BY", "TITLE"));
    if (j)
        json_array_begin(j, "rules");
    for (const struct rule *r = rules; r->id; r++) {
        out_table_row(&t, OUT_CELLS(r->id, rule_class_word(r->class), severity_word(r->severity),
                                    by_words(r->by), r->title));
        if (j)
            rule_json(j, &c->arena, r);
    }
    if (j)
        json_array_end(j);
    out_table_print(&c->out, &t);
    return true;
}

/* ---- schema ---------------------------------------------------------------------------------------------- */

static bool show_schema(struct context *c, struct err *err)
{
    const char *which = arg(c, 1);
    AUTO(str) names = {0};

    for (const struct embedded_schema *s = embedded_schemas; s->name; s++) {
        str_addf(&names, "%s%s", names.len ? ", " : "", s->name);
        if (which && strcmp(which, s->name) == 0) {
            if (out_is_json(&c->out))
                json_raw(out_json(&c->out), s->name, s->text);
            else
                fputs(s->text, c->out.data);
            return true;
        }
    }
    if (which) {
        err_set(err, ERR_USAGE, "show schema: \"%s\" is none of %s", which, str_text(&names));
        return err_hint(err, "phasegate show schema plan");
    }
    for (const struct embedded_schema *s = embedded_schemas; s->name; s++) {
        out_print(&c->out, "%s\n", s->name);
        if (out_is_json(&c->out))
            json_raw(out_json(&c->out), s->name, s->text);
    }
    return true;
}

/* ---- config ----------------------------------------------------------------------------------------------- */

static const char *origin_of(const struct environment *e, int64_t of_env, int64_t of_project)
{
    if (e && of_env != MODEL_UNSET)
        return "environment";
    return of_project != MODEL_UNSET ? "project" : "default";
}

static const char *ms_text(struct arena *a, int64_t ms)
{
    AUTO(str) text = {0};

    duration_to_text(&text, ms);
    return arena_strdup(a, str_text(&text));
}

static const char *pairs_text(struct arena *a, const struct pair_list *l)
{
    AUTO(str) text = {0};

    for (int i = 0; i < l->n; i++)
        str_addf(&text, "%s%s: %s", i ? ", " : "", l->items[i].key.s, l->items[i].value.s);
    return arena_strdup(a, l->n ? str_text(&text) : "none");
}

static const char *keys_text(struct arena *a, const struct pair_list *l)
{
    AUTO(str) text = {0};

    for (int i = 0; i < l->n; i++)
        str_addf(&text, "%s%s", i ? ", " : "", l->items[i].key.s);
    return arena_strdup(a, l->n ? str_text(&text) : "none");
}

static const char *approvals_text(struct arena *a, int64_t n, const struct pair_list *by_role)
{
    return by_role->n ? pairs_text(a, by_role) : arena_printf(a, "%" PRId64, n);
}

int policy_settings(struct context *c, struct setting *out)
{
    const struct policy *own = &c->set.project.policy, *env = &c->env->policy;
    struct policy p = policy_effective(&c->set.project, c->env);
    struct arena *a = &c->arena;
    int n = 0;

#define BOOLEAN(member)                                                                            \
    out[n++] = (struct setting) {#member, p.member ? "true" : "false",                             \
                                 origin_of(c->env, env->member, own->member)}
#define TIME(name, member)                                                                         \
    out[n++] = (struct setting)                                                                    \
    {                                                                                              \
        name, ms_text(a, p.member), origin_of(c->env, env->member, own->member)                    \
    }
#define LIST(member)                                                                               \
    out[n++] = (struct setting)                                                                    \
    {                                                                                              \
#member, pairs_text(a, &p.member),                                                         \
            env->member.n ? "environment" : own->member.n ? "project" : "default"                  \
    }
    BOOLEAN(one_phase_per_release);
    out[n++] = (struct setting) {"window", arena_printf(a, "%" PRId64, p.window),
                                 origin_of(c->env, env->window, own->window)};
    BOOLEAN(forward_only);
    for (int i = PHASE_FIRST; i <= PHASE_LAST; i++)
        out[n++] = (struct setting) {arena_printf(a, "approvals.%s", phase_word((enum phase) i)),
                                     approvals_text(a, p.approvals[i], &p.approvals_by_role[i]),
                                     origin_of(c->env, env->approvals[i], own->approvals[i])};
    out[n++] = (struct setting) {
        "approvals.purge", approvals_text(a, p.approvals_purge, &p.approvals_by_role[PHASE_NONE]),
        origin_of(c->env, env->approvals_purge, own->approvals_purge)};
    LIST(approvers);
    out[n++] = (struct setting) {"tokens", keys_text(a, &p.tokens),
                                 env->tokens.n   ? "environment"
                                 : own->tokens.n ? "project"
                                                 : "default"};
    TIME("kill_drill", kill_drill_ms);
    TIME("rehearsal.max_age", rehearsal_max_age_ms);
    out[n++] = (struct setting) {"maintenance.window",
                                 p.maintenance_window.s ? p.maintenance_window.s : "none",
                                 env->maintenance_window.s   ? "environment"
                                 : own->maintenance_window.s ? "project"
                                                             : "default"};
    out[n++] = (struct setting) {"proof", proof_policy_word(p.proof),
                                 env->proof != PROOF_UNSET   ? "environment"
                                 : own->proof != PROOF_UNSET ? "project"
                                                             : "default"};
    out[n++] = (struct setting) {"preflight", preflight_policy_word(p.preflight),
                                 env->preflight != PREFLIGHT_UNSET   ? "environment"
                                 : own->preflight != PREFLIGHT_UNSET ? "project"
                                                                     : "default"};
    out[n++] = (struct setting) {"snapshot", snapshot_policy_word(p.snapshot),
                                 env->snapshot != SNAPSHOT_UNSET   ? "environment"
                                 : own->snapshot != SNAPSHOT_UNSET ? "project"
                                                                   : "default"};
    out[n++] = (struct setting) {"on_failure", failure_policy_word(p.on_failure),
                                 env->on_failure != FAILURE_UNSET   ? "environment"
                                 : own->on_failure != FAILURE_UNSET ? "project"
                                                                    : "default"};
    TIME("hold", hold_ms);
    TIME("lock_timeout", lock_timeout_ms);
    TIME("statement_timeout", statement_timeout_ms);
    out[n++] = (struct setting) {"restore_point", point_policy_word(p.restore_point),
                                 env->restore_point != POINT_UNSET   ? "environment"
                                 : own->restore_point != POINT_UNSET ? "project"
                                                                     : "default"};
    TIME("archive_timeout", archive_timeout_ms);
    LIST(rules);
#undef BOOLEAN
#undef TIME
#undef LIST
    return n;
}

/* Secrets live in URLs and tokens, so neither is shown, not even as written. */
static void show_environment(struct context *c, struct json_out *j)
{
    const struct environment *e = c->env;

    out_print(&c->out, "\nenvironment %s\n", e->name.s);
    for (int i = 0; i < e->n_databases; i++)
        out_print(&c->out, "  database %s\n", e->databases[i].name.s);
    out_print(&c->out, "  flags    %s\n",
              e->flags.present && e->flags.provider.s ? e->flags.provider.s : "none");
    if (!j)
        return;
    json_str(j, "environment", e->name.s);
    json_array_begin(j, "databases");
    for (int i = 0; i < e->n_databases; i++)
        json_str(j, NULL, e->databases[i].name.s);
    json_array_end(j);
    json_str(j, "flag_provider", e->flags.present ? e->flags.provider.s : NULL);
}

static bool show_config(struct context *c, struct err *err)
{
    struct json_out *j = out_is_json(&c->out) ? out_json(&c->out) : NULL;
    struct setting settings[POLICY_SETTINGS];
    AUTO(out_table) t = {0};
    int n;

    if (!context_load(c, false, err) || !context_environment(c, err))
        return false;
    n = policy_settings(c, settings);
    if (j) {
        json_str(j, "file", c->set.project.file);
        json_object_begin(j, "policy");
    }
    out_table_head(&t, OUT_CELLS("POLICY", "VALUE", "FROM"));
    for (int i = 0; i < n; i++) {
        out_table_row(&t, OUT_CELLS(settings[i].name, settings[i].value, settings[i].origin));
        if (!j)
            continue;
        json_object_begin(j, settings[i].name);
        json_str(j, "value", settings[i].value);
        json_str(j, "from", settings[i].origin);
        json_object_end(j);
    }
    if (j)
        json_object_end(j);
    out_table_print(&c->out, &t);
    show_environment(c, j);
    return true;
}

/* ---- plans ---------------------------------------------------------------------------------------------------- */

static bool show_plans(struct context *c, struct err *err)
{
    struct json_out *j = out_is_json(&c->out) ? out_json(&c->out) : NULL;

    if (!context_load(c, true, err))
        return false;
    if (j)
        json_array_begin(j, "plans");
    for (int i = 0; i < c->set.n_plans; i++) {
        out_print(&c->out, "%s\n", c->set.plans[i].id.s);
        if (j)
            json_str(j, NULL, c->set.plans[i].id.s);
    }
    if (j)
        json_array_end(j);
    return true;
}

bool cmd_show(struct context *c, struct err *err)
{
    const char *what = arg(c, 0);

    if (arg(c, 1) && strcmp(what, "schema") != 0) {
        err_set(err, ERR_USAGE, "show %s: one argument too many: \"%s\"", what, arg(c, 1));
        return err_hint(err, "phasegate show --help");
    }
    switch (what[0]) {
    case 'm': return show_machine(c);
    case 'r': return show_rules(c);
    case 's': return show_schema(c, err);
    case 'c': return show_config(c, err);
    default: return show_plans(c, err);
    }
}

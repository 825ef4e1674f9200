/* flags list|get|set|reconcile */
#include "kill_sources.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

struct row { /* one flag of one plan */
    struct plan *plan;
    enum flag_role role;
    struct flag_ref ref;
    const struct known_flag *known; /* no file says it, the journal remembers it; NULL: else */
};

static const char *obs_text(struct arena *a, const struct flag_obs *o)
{
    return o->state == FLAG_PERCENT ? arena_printf(a, "%d %%", o->percent)
                                    : flag_state_word(o->state);
}

static void obs_json(struct json_out *j, const char *key, const struct flag_obs *o)
{
    json_object_begin(j, key);
    json_str(j, "state", flag_state_word(o->state));
    if (flag_exposure(o->state, o->percent) >= 0)
        json_int(j, "percent", flag_exposure(o->state, o->percent));
    else
        json_put_null(j, "percent");
    json_str(j, "why", o->why);
    json_str(j, "actor", o->actor);
    when_json(j, "changed_at", o->changed_at_ms);
    json_object_end(j);
}

/* All flags of all plans, or the one asked for; a key that no plan has is a row without a plan. */
static struct row *rows_of(struct context *c, const char *key, int *out_n)
{
    struct row *rows = arena_array(&c->arena, struct row, c->set.n_plans * FLAG_ROLES + 1);
    int n = 0;

    for (int i = 0; i < c->set.n_plans; i++)
        for (int r = 0; r < FLAG_ROLES; r++) {
            const struct flag_decl *d = &c->set.plans[i].flags[r];

            if (d->key.s && (!key || strcmp(key, d->key.s) == 0))
                rows[n++] = (struct row) {&c->set.plans[i],
                                          (enum flag_role) r,
                                          {c->flags, d->key.s, d->bucket_by.s, NULL},
                                          NULL};
        }
    if (key && n == 0)
        rows[n++] = (struct row) {NULL, FLAG_READ, {c->flags, key, NULL, NULL}, NULL};
    *out_n = n;
    return rows;
}

static bool has_row(const struct row *rows, int n, const char *key)
{
    for (int i = 0; i < n; i++)
        if (strcmp(rows[i].ref.key, key) == 0)
            return true;
    return false;
}

/* With what was set from this host and no file says (any more): a list without it would look complete. */
static struct row *with_remembered(struct context *c, struct row *rows, int *n)
{
    struct known_flag *known = NULL;
    struct flag_ops ops;
    AUTO(err) err = {0};
    int n_known = 0, n_said = *n;

    context_flag_ops(c, &ops);
    if (!flag_journal_known(&ops, &c->arena, &known, &n_known, &err))
        out_warn(&c->out, "%s", str_text(&err.message));
    rows = arena_grow(&c->arena, rows, sizeof *rows * (size_t) *n,
                      sizeof *rows * (size_t) (*n + n_known + 1));
    for (int i = 0; i < n_known; i++)
        if (!has_row(rows, n_said, known[i].key))
            rows[(*n)++] =
                (struct row) {NULL, FLAG_READ, {c->flags, known[i].key, NULL, NULL}, &known[i]};
    return rows;
}

static struct flag_obs *observe(struct context *c, const struct row *rows, int n,
                                enum flag_level level)
{
    struct flag_obs *obs = arena_array(&c->arena, struct flag_obs, n + 1);
    struct flag_ref *refs = arena_array(&c->arena, struct flag_ref, n + 1);
    struct flag_ops ops;

    for (int i = 0; i < n; i++)
        refs[i] = rows[i].ref;
    context_flag_ops(c, &ops);
    ops.looks_end_at_signal = true;
    flag_ops_observe_all(&ops, refs, n, level, NULL, &c->arena, obs);
    return obs;
}

/* ---- list, get ---------------------------------------------------------------------------------------- */

static const char *note_of(struct context *c, const struct row *row, const struct flag_obs *o)
{
    if (!row->known)
        return o->why ? o->why : "";
    return arena_printf(&c->arena, "no file says it: set from this host%s%s", o->why ? "; " : "",
                        o->why ? o->why : "");
}

/* Files that may name flags which aren't in the list. */
static bool is_complete(struct context *c, struct err *err)
{
    struct unread_file *unread;
    int n = 0;

    unread_files(c, true, &unread, &n);
    if (n == 0)
        return true;
    context_show_problems(c, &c->problems);
    err_set(err, ERR_INPUT, "the flags that %s%s names may be missing in this list", unread[0].file,
            n > 1 ? arena_printf(&c->arena, " and %d more files", n - 1) : "");
    return err_hint(err, "phasegate check says what is wrong there; phasegate flags get KEY looks "
                         "at one flag");
}

static bool list(struct context *c, const char *key, struct err *err)
{
    struct json_out *j = out_is_json(&c->out) ? out_json(&c->out) : NULL;
    AUTO(out_table) t = {0};
    int n, unknown = 0;
    struct row *rows = rows_of(c, key, &n);
    bool sdk = key && c->flags->provider->sdk_endpoint;
    struct flag_obs *set, *seen;

    if (!key)
        rows = with_remembered(c, rows, &n);
    set = observe(c, rows, n, FLAG_CONFIGURED);
    seen = sdk ? observe(c, rows, n, FLAG_DELIVERED) : NULL;

    if (j) {
        json_str(j, "service", c->flags->shown);
        json_array_begin(j, "flags");
    }
    out_table_head(&t, OUT_CELLS("FLAG", "PLAN", "ROLE", "STATE", "CHANGED", "BY", "NOTE"));
    for (int i = 0; i < n; i++) {
        const struct known_flag *known = rows[i].known;
        const char *plan = rows[i].plan ? rows[i].plan->id.s : known ? known->plan : NULL;
        const char *role = rows[i].plan ? flag_role_word(rows[i].role) : known ? known->role : NULL;

        unknown += set[i].state == FLAG_UNKNOWN;
        out_table_row(
            &t, OUT_CELLS(rows[i].ref.key, plan ? plan : "", role ? role : "",
                          obs_text(&c->arena, &set[i]), when_text(&c->arena, set[i].changed_at_ms),
                          set[i].actor ? set[i].actor : "", note_of(c, &rows[i], &set[i])));
        if (!j)
            continue;
        json_object_begin(j, NULL);
        json_str(j, "key", rows[i].ref.key);
        json_str(j, "plan", plan);
        json_str(j, "role", role);
        json_bool(j, "remembered", known != NULL);
        obs_json(j, "configured", &set[i]);
        if (seen)
            obs_json(j, "delivered", &seen[i]);
        json_object_end(j);
    }
    if (j)
        json_array_end(j);
    if (n)
        out_table_print(&c->out, &t);
    else
        out_print(&c->out, "no plan has a flag\n");
    if (seen && n)
        out_print(&c->out, "what SDKs see: %s\n", obs_text(&c->arena, &seen[0]));
    if (unknown == 0)
        return key || is_complete(c, err);
    return err_set(err, ports_interrupted(&c->ports) ? ERR_INTERRUPTED : ERR_UNREACHABLE,
                   "%d of %d flags could not be read from %s", unknown, n, c->flags->shown);
}

/* ---- set -------------------------------------------------------------------------------------------------- */

static bool parse_percent(const char *s, int *out, struct err *err)
{
    char *end;
    long n;

    if (s && (strcmp(s, "on") == 0 || strcmp(s, "off") == 0)) {
        *out = s[1] == 'n' ? 100 : 0;
        return true;
    }
    errno = 0;
    n = s ? strtol(s, &end, 10) : -1;
    if (s && *s && (!*end || strcmp(end, "%") == 0) && !errno && n >= 0 && n <= 100) {
        *out = (int) n;
        return true;
    }
    err_set(err, ERR_USAGE, "flags set: %s%s%s; expected a number from 0 to 100, on or off",
            s ? "\"" : "no percentage", s ? s : "", s ? "\" is no percentage" : "");
    return err_hint(err, "phasegate flags set KEY 25");
}

static bool set(struct context *c, const char *key, const char *percent_text, struct err *err)
{
    struct flag_set_result result = {0};
    struct flag_set_request r;
    struct flag_ops ops;
    int n, percent = 0;
    struct row *rows;

    if (!parse_percent(percent_text, &percent, err))
        return false;
    rows = rows_of(c, key, &n);
    context_flag_ops(c, &ops);
    r = (struct flag_set_request) {.ref = &rows[0].ref,
                                   .desired = flag_value_percent(percent),
                                   .plan = rows[0].plan ? rows[0].plan->id.s : NULL,
                                   .role = rows[0].plan ? flag_role_word(rows[0].role) : NULL,
                                   .reason = opt_text(c, OPT_BECAUSE),
                                   .expect_percent = -1,
                                   .ensure = rows[0].plan != NULL};
    if (!flag_ops_set(&ops, &r, &c->arena, &result, err))
        return false;
    if (out_is_json(&c->out)) {
        struct json_out *j = out_json(&c->out);

        json_str(j, "key", key);
        json_int(j, "percent", percent);
        json_str(j, "answer", flag_answer_word(result.answer));
        json_str(j, "level", flag_level_word(result.level));
        json_bool(j, "settled", result.settled);
        json_str(j, "op_id", result.op_id);
        json_int(j, "ms", result.ms);
        json_str(j, "detail", result.detail);
        obs_json(j, "before", &result.before);
        obs_json(j, "after", &result.after);
    }
    if (!flag_set_verdict(&r, &result, err))
        return false;
    out_print(&c->out, "%s: %s -> %d %%, %s after %" PRId64 " ms\n",
              out_clean(&c->arena, key, false), obs_text(&c->arena, &result.before), percent,
              flag_level_word(result.level), result.ms);
    return true;
}

/* ---- reconcile ---------------------------------------------------------------------------------------------- */

struct left {
    const struct row *row;
    int percent;
};

/* Of a fleet the highest counts: the databases follow each other. */
static bool left_in(struct context *c, struct engine *e, void *ctx, struct err *err)
{
    struct left *l = ctx;
    struct plan_state state = {0};

    if (!e->has_ledger)
        return true;
    if (!ledger_plan_state(e->db, &c->arena, l->row->plan->id.s, &state, err))
        return false;
    if (state.exists && state.percent[l->row->role] > l->percent)
        l->percent = state.percent[l->row->role];
    return true;
}

/* Where the flag was left: the ledger knows, or else this host's journal. -1: nobody has set it from here. */
static bool left_at(struct context *c, const struct row *row, const struct flag_entry *entries,
                    int n_entries, bool *ledger_is_down, int *out, struct err *err)
{
    struct left l = {row, -1};

    *out = -1;
    if (row->plan && !*ledger_is_down) {
        if (context_each_of_plan(c, row->plan, left_in, &l, err)) {
            *out = l.percent;
            return true;
        }
        if (!err_is(err, ERR_UNREACHABLE))
            return false;
        *ledger_is_down = true;
        out_warn(&c->out, "compared with this host's journal only: %s", str_text(&err->message));
        err_clear(err);
    }
    for (int i = 0; i < n_entries; i++)
        if (strcmp(entries[i].key, row->ref.key) == 0 && entries[i].answered)
            *out = entries[i].desired;
    return true;
}

struct tally {
    int drifted, unknown, doubts;
};

static void show_drift(struct context *c, const struct row *row, int left,
                       const struct flag_drift *d)
{
    struct out *o = &c->out;

    out_print(o, "%s: left at %d %%, is %s%s%s%s%s%s%s\n", row->ref.key, left,
              obs_text(&c->arena, &d->obs), d->kind ? ": " : ", as it was left",
              d->kind ? flag_drift_word(d->kind) : "", d->actor ? ", by " : "",
              d->actor ? out_clean(&c->arena, d->actor, false) : "",
              d->changed_at_ms > 0 ? ", at " : "", when_text(&c->arena, d->changed_at_ms));
    if (d->detail)
        out_print(o, "  %s\n", out_clean(&c->arena, d->detail, false));
    if (!out_is_json(o))
        return;
    json_object_begin(out_json(o), NULL);
    json_str(out_json(o), "key", row->ref.key);
    json_str(out_json(o), "plan", row->plan ? row->plan->id.s : NULL);
    json_str(out_json(o), "role", row->plan ? flag_role_word(row->role) : NULL);
    json_int(out_json(o), "left_at_percent", left);
    json_str(out_json(o), "drift", flag_drift_word(d->kind));
    json_str(out_json(o), "actor", d->actor);
    when_json(out_json(o), "changed_at", d->changed_at_ms);
    json_str(out_json(o), "detail", d->detail);
    obs_json(out_json(o), "observed", &d->obs);
    json_object_end(out_json(o));
}

/* How many are still open. What is past its time can't take effect any more: the flag is what it reads. */
static int show_doubts(struct context *c, const struct flag_ops *ops,
                       const struct flag_entry *entries, int n)
{
    struct json_out *j = out_is_json(&c->out) ? out_json(&c->out) : NULL;
    int n_open = 0;

    if (j)
        json_array_begin(j, "in_doubt");
    for (int i = 0; i < n; i++) {
        int64_t until = flag_entry_doubt_ends_ms(ops, &entries[i]);
        bool open = until > clock_wall_ms(c->clock);

        n_open += open;
        out_print(&c->out, "%s: a write to %d %% (%s, %s) %s in doubt until %s%s\n", entries[i].key,
                  entries[i].desired, entries[i].op_id,
                  entries[i].actor ? out_clean(&c->arena, entries[i].actor, false) : "?",
                  open ? "is" : "was", when_text(&c->arena, until),
                  open ? "" : "; what the flag reads now stands");
        if (!j || !open)
            continue;
        json_object_begin(j, NULL);
        json_str(j, "key", entries[i].key);
        json_str(j, "op_id", entries[i].op_id);
        json_int(j, "desired_percent", entries[i].desired);
        json_str(j, "actor", entries[i].actor);
        when_json(j, "at", entries[i].at_ms);
        when_json(j, "until", until);
        json_object_end(j);
    }
    if (j)
        json_array_end(j);
    return n_open;
}

static bool reconcile(struct context *c, const char *key, struct err *err)
{
    struct flag_entry *entries = NULL, *doubts = NULL;
    int n, n_entries = 0, n_doubts = 0;
    struct row *rows = rows_of(c, key, &n);
    struct tally tally = {0};
    struct flag_ops ops;
    bool down = false;

    context_flag_ops(c, &ops);
    if (!flag_journal_load(&ops, &c->arena, &entries, &n_entries, err) ||
        !flag_journal_unmatched(&ops, &c->arena, &doubts, &n_doubts, err))
        return false;
    if (out_is_json(&c->out))
        json_array_begin(out_json(&c->out), "flags");
    for (int i = 0; i < n; i++) {
        struct flag_drift d = {0};
        int left;

        if (!left_at(c, &rows[i], entries, n_entries, &down, &left, err))
            return false;
        if (left < 0) {
            out_print(&c->out, "%s: never set from here\n", rows[i].ref.key);
            continue;
        }
        flag_ops_drift(&ops, &rows[i].ref, left, &c->arena, &d);
        tally.drifted += d.kind == FLAG_DRIFT_KILL_SEEN || d.kind == FLAG_DRIFT_HOLD;
        tally.unknown += d.kind == FLAG_DRIFT_UNKNOWN;
        show_drift(c, &rows[i], left, &d);
    }
    if (out_is_json(&c->out))
        json_array_end(out_json(&c->out));
    n_doubts = show_doubts(c, &ops, doubts, n_doubts);
    c->exit_code = n_doubts ? 5 : tally.unknown ? 3 : tally.drifted ? 1 : 0;
    return true;
}

bool cmd_flags(struct context *c, struct err *err)
{
    const char *what = arg(c, 0) ? arg(c, 0) : "list", *key = arg(c, 1);

    if (c->problems.n)
        out_warn(&c->out, "%d problems in the project's files: phasegate check", c->problems.n);
    if (arg(c, 2) && strcmp(what, "set") != 0) {
        err_set(err, ERR_USAGE, "flags %s: one argument too many: \"%s\"", what, arg(c, 2));
        return err_hint(err, "phasegate flags --help");
    }
    if (!key && (strcmp(what, "get") == 0 || strcmp(what, "set") == 0)) {
        err_set(err, ERR_USAGE, "flags %s: which flag?", what);
        return err_hint(err, "phasegate flags list");
    }
    if (!context_flags_needed(c, err))
        return false;
    if (strcmp(what, "list") == 0 || strcmp(what, "get") == 0)
        return list(c, key, err);
    return strcmp(what, "set") == 0 ? set(c, key, arg(c, 2), err) : reconcile(c, key, err);
}

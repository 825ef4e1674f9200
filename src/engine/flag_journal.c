/* flag_journal: intents before they are sent, answers after, in lines of JSON.
 *
 * A line is one entry or an array of them, so that a batch costs one fsync. Entries are folded
 * by op id when they are read: an intent, then its answers (the newest counts), then "in the
 * ledger". */
#include "flag_journal.h"
#include "flag_op.h"
#include "phasegate/json_out.h"

#include <jansson.h>
#include <string.h>

enum { JOURNAL_MAX = 256 << 20 };

const char *flag_journal_path(const struct flag_ops *ops, struct arena *a)
{
    return arena_printf(a, "%s/flags-%s.jsonl", ops->state_dir, ops->environment);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void intent_json(struct json_out *j, const struct flag_entry *e)
{
    json_object_begin(j, NULL);
    json_str(j, "t", "intent");
    json_str(j, "op", e->op_id);
    json_str(j, "key", e->key);
    json_str(j, "target", e->target);
    json_str(j, "verb", e->verb);
    json_int(j, "desired", e->desired);
    json_str(j, "expect", e->expect);
    json_str(j, "request", e->request);
    json_str(j, "plan", e->plan);
    json_str(j, "role", e->role);
    json_str(j, "reason", e->reason);
    json_str(j, "actor", e->actor);
    json_str(j, "run", e->run_id);
    json_str(j, "host", e->host);
    json_int(j, "pid", e->pid);
    json_int(j, "at", e->at_ms);
    json_object_end(j);
}

static void answer_json(struct json_out *j, const struct flag_entry *e)
{
    json_object_begin(j, NULL);
    json_str(j, "t", "answer");
    json_str(j, "op", e->op_id);
    json_str(j, "answer", flag_answer_word(e->answer));
    json_str(j, "level", flag_level_word(e->level));
    json_bool(j, "settled", e->settled);
    json_str(j, "before", e->before);
    json_str(j, "after", e->after);
    json_str(j, "detail", e->detail);
    json_int(j, "ms", e->ms);
    json_object_end(j);
}

static void recorded_json(struct json_out *j, const struct flag_entry *e)
{
    json_object_begin(j, NULL);
    json_str(j, "t", "ledger");
    json_str(j, "op", e->op_id);
    json_object_end(j);
}

static bool append(const struct flag_ops *ops, const struct flag_entry *entries, int n,
                   void (*one)(struct json_out *, const struct flag_entry *), struct err *err)
{
    struct host *host = ops->ports->host;
    AUTO(arena) a = {0};
    AUTO(str) line = {0};
    struct json_out j;

    if (n == 0)
        return true;
    json_begin(&j, &line, false);
    json_array_begin(&j, NULL);
    for (int i = 0; i < n; i++)
        one(&j, &entries[i]);
    json_array_end(&j);
    if (!host->ops->append_durable(host, flag_journal_path(ops, &a), str_text(&line), err))
        return err_note(err, "the journal of flag changes");
    return true;
}

bool flag_journal_intents(const struct flag_ops *ops, const struct flag_entry *entries, int n,
                          struct err *err)
{
    return append(ops, entries, n, intent_json, err);
}

bool flag_journal_answers(const struct flag_ops *ops, const struct flag_entry *entries, int n,
                          struct err *err)
{
    return append(ops, entries, n, answer_json, err);
}

/* ---- reading --------------------------------------------------------------------------------- */

struct fold {
    struct arena *a;
    struct flag_entry *items;
    int n, cap;
};

static const char *text_of(struct arena *a, const json_t *j, const char *key)
{
    return arena_strdup(a, json_string_value(json_object_get(j, key)));
}

static enum flag_answer answer_of(const json_t *j)
{
    const char *word = json_string_value(json_object_get(j, "answer"));

    for (int i = FLAG_OK; word && i <= FLAG_IN_DOUBT; i++)
        if (strcmp(flag_answer_word((enum flag_answer) i), word) == 0)
            return (enum flag_answer) i;
    return FLAG_IN_DOUBT;
}

static enum flag_level level_of(const json_t *j)
{
    const char *word = json_string_value(json_object_get(j, "level"));

    for (int i = FLAG_ACCEPTED; word && i <= FLAG_CONFIRMED; i++)
        if (strcmp(flag_level_word((enum flag_level) i), word) == 0)
            return (enum flag_level) i;
    return FLAG_ACCEPTED;
}

static struct flag_entry *find(struct fold *f, const char *op)
{
    for (int i = f->n - 1; i >= 0; i--) /* answers stand close behind their intents */
        if (strcmp(f->items[i].op_id, op) == 0)
            return &f->items[i];
    return NULL;
}

static void fold_intent(struct fold *f, const json_t *j, const char *op)
{
    struct flag_entry *e;

    if (f->n == f->cap) {
        int cap = f->cap ? f->cap * 2 : 32;

        f->items = arena_grow(f->a, f->items, sizeof *f->items * (size_t) f->cap,
                              sizeof *f->items * (size_t) cap);
        f->cap = cap;
    }
    e = &f->items[f->n++];
    *e = (struct flag_entry) {
        .op_id = arena_strdup(f->a, op),
        .key = text_of(f->a, j, "key"),
        .target = text_of(f->a, j, "target"),
        .verb = text_of(f->a, j, "verb"),
        .plan = text_of(f->a, j, "plan"),
        .role = text_of(f->a, j, "role"),
        .reason = text_of(f->a, j, "reason"),
        .actor = text_of(f->a, j, "actor"),
        .run_id = text_of(f->a, j, "run"),
        .host = text_of(f->a, j, "host"),
        .expect = text_of(f->a, j, "expect"),
        .request = text_of(f->a, j, "request"),
        .desired = (int) json_integer_value(json_object_get(j, "desired")),
        .at_ms = json_integer_value(json_object_get(j, "at")),
        .pid = json_integer_value(json_object_get(j, "pid")),
    };
    e->key = e->key ? e->key : "";
    e->verb = e->verb ? e->verb : "";
}

static void fold_one(struct fold *f, const json_t *j)
{
    const char *type = json_string_value(json_object_get(j, "t"));
    const char *op = json_string_value(json_object_get(j, "op"));
    struct flag_entry *e;

    if (!type || !op)
        return;
    if (strcmp(type, "intent") == 0) {
        fold_intent(f, j, op);
        return;
    }
    e = find(f, op);
    if (!e)
        return;
    if (strcmp(type, "ledger") == 0) {
        e->in_ledger = true;
    } else if (strcmp(type, "answer") == 0) {
        e->answered = true;
        e->answer = answer_of(j);
        e->level = level_of(j);
        e->settled = json_is_true(json_object_get(j, "settled"));
        e->before = text_of(f->a, j, "before");
        e->after = text_of(f->a, j, "after");
        e->detail = text_of(f->a, j, "detail");
        e->ms = json_integer_value(json_object_get(j, "ms"));
        e->in_ledger = false; /* the row is to be written again with the newer answer */
    }
}

/* Whole lines of text. Returns the bytes that they take. */
static size_t each_line(const char *text, size_t n, void (*one)(void *ctx, const json_t *entry),
                        void *ctx)
{
    const char *at = text, *end;

    while ((end = memchr(at, '\n', n - (size_t) (at - text)))) {
        json_auto_t *line = json_loadb(at, (size_t) (end - at), 0, NULL);
        json_t *item;
        size_t i;

        if (json_is_object(line))
            one(ctx, line);
        json_array_foreach(line, i, item) one(ctx, item);
        at = end + 1;
    }
    return (size_t) (at - text);
}

static void fold_entry(void *ctx, const json_t *entry) { fold_one(ctx, entry); }

bool flag_journal_load(const struct flag_ops *ops, struct arena *a, struct flag_entry **out,
                       int *out_n, struct err *err)
{
    struct host *host = ops->ports->host;
    const char *path = flag_journal_path(ops, a);
    struct fold f = {.a = a};
    AUTO(str) text = {.ceiling = JOURNAL_MAX};

    *out = NULL;
    *out_n = 0;
    if (!host->ops->file_exists(host, path))
        return true;
    if (!host->ops->read_file(host, path, JOURNAL_MAX, &text, err))
        return err_note(err, "the journal of flag changes");
    each_line(str_text(&text), text.len, fold_entry, &f);
    *out = f.items;
    *out_n = f.n;
    return true;
}

bool flag_journal_unmatched(const struct flag_ops *ops, struct arena *a, struct flag_entry **out,
                            int *out_n, struct err *err)
{
    struct flag_entry *all;
    int n, kept = 0;

    if (!flag_journal_load(ops, a, &all, &n, err))
        return false;
    for (int i = 0; i < n; i++)
        if (!all[i].settled)
            all[kept++] = all[i];
    *out = all;
    *out_n = kept;
    return true;
}

int64_t flag_entry_doubt_ends_ms(const struct flag_ops *ops, const struct flag_entry *e)
{
    struct flag_times t = flag_times_of(ops);

    /* A kill goes on for a while after it was journalled, and so does a set that retries. */
    return e->at_ms + e->ms + t.total_ms + t.doubt_ms[FLAG_DOUBT_LOOKS - 1];
}

/* ---- for the ledger -------------------------------------------------------------------------- */

static const char *percent_text(struct arena *a, int percent)
{
    return percent <= 0 ? "off" : percent >= 100 ? "on" : arena_printf(a, "%d %%", percent);
}

/* The ledger keeps no verb: a drill is told from a kill by its reason. */
#define DRILL "drill"

static const char *ledger_reason(struct arena *a, const struct flag_entry *e)
{
    if (strcmp(e->verb, DRILL) != 0)
        return e->reason;
    return e->reason ? arena_printf(a, DRILL ": %s", e->reason) : DRILL;
}

bool flag_change_is_drill(const struct flag_change *row)
{
    size_t n = strlen(DRILL);

    return row->reason && strncmp(row->reason, DRILL, n) == 0 &&
           (row->reason[n] == '\0' || row->reason[n] == ':');
}

bool flag_journal_pending(const struct flag_ops *ops, struct arena *a, struct flag_change **out,
                          int *out_n, struct err *err)
{
    struct flag_entry *all;
    int n, kept = 0;

    if (!flag_journal_load(ops, a, &all, &n, err))
        return false;
    *out = arena_array(a, struct flag_change, n + 1);
    for (int i = 0; i < n; i++) {
        const struct flag_entry *e = &all[i];

        if (e->in_ledger)
            continue;
        (*out)[kept++] = (struct flag_change) {
            .op_id = e->op_id,
            .plan = e->plan,
            .flag = e->key,
            .role = e->role,
            .environment = ops->environment,
            .desired = percent_text(a, e->desired),
            .before = e->before,
            .after = e->after,
            .answer = e->answered ? flag_answer_word(e->answer) : flag_answer_word(FLAG_IN_DOUBT),
            .level = flag_level_word(e->level),
            .reason = ledger_reason(a, e),
            .actor = e->actor,
            .run_id = e->run_id,
            .at_ms = e->at_ms,
            .ms = e->ms,
        };
    }
    *out_n = kept;
    return true;
}

bool flag_journal_recorded(const struct flag_ops *ops, const struct flag_change *rows, int n,
                           struct err *err)
{
    AUTO(arena) a = {0};
    struct flag_entry *entries = arena_array(&a, struct flag_entry, n + 1);

    for (int i = 0; i < n; i++)
        entries[i].op_id = rows[i].op_id;
    return append(ops, entries, n, recorded_json, err);
}

/* ---- watching -------------------------------------------------------------------------------- */

static void watch_entry(void *ctx, const json_t *j)
{
    struct flag_watch *w = ctx;
    const char *type = json_string_value(json_object_get(j, "t"));
    const char *verb = json_string_value(json_object_get(j, "verb"));
    const char *key = json_string_value(json_object_get(j, "key"));
    const char *op = json_string_value(json_object_get(j, "op"));

    if (w->killed || !type || !verb || !key || !op || strcmp(type, "intent") != 0 ||
        strcmp(key, w->key) != 0)
        return;
    if (strcmp(verb, "kill") != 0 && (w->no_drills || strcmp(verb, "drill") != 0))
        return;
    if (w->own_op && strcmp(op, w->own_op) == 0)
        return;
    w->killed = true;
    w->kill_op = arena_strdup(w->arena, op);
    w->kill_actor = text_of(w->arena, j, "actor");
    w->kill_host = text_of(w->arena, j, "host");
    w->kill_reason = text_of(w->arena, j, "reason");
}

static void watch_read(struct flag_watch *w, void (*one)(void *, const json_t *))
{
    struct host *host = w->ops->ports->host;
    AUTO(arena) scratch = {0};
    const char *path = flag_journal_path(w->ops, &scratch);
    AUTO(str) text = {.ceiling = JOURNAL_MAX};
    AUTO(err) err = {0};

    if (!host->ops->file_exists(host, path) ||
        !host->ops->read_file(host, path, JOURNAL_MAX, &text, &err) || text.len <= w->seen)
        return;
    if (one) {
        w->seen += each_line(str_text(&text) + w->seen, text.len - w->seen, one, w);
        return;
    }
    const char *last = memrchr(str_text(&text), '\n', text.len);

    w->seen = last ? (size_t) (last - text.text) + 1 : 0;
}

void flag_watch_begin(struct flag_watch *w, const struct flag_ops *ops, const char *key,
                      struct arena *a)
{
    *w = (struct flag_watch) {.ops = ops, .key = key, .arena = a};
    watch_read(w, NULL);
}

bool flag_watch_look(struct flag_watch *w)
{
    if (!w->killed)
        watch_read(w, watch_entry);
    return w->killed;
}

/* flag_server_set: a set of flags as a value. No I/O, no clock. */
#include "flag_server_int.h"

#include "phasegate/names.h"

#include <ctype.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_VERSION 1
#define FILE_MAX ((size_t) 64 << 20)

static const char *const action_words[] = {"create", "set", "off", "archive", "restore"};

const char *flag_action_word(enum flag_action a) { return action_words[a]; }

static bool action_from_word(const char *word, enum flag_action *out)
{
    for (size_t i = 0; i < sizeof action_words / sizeof *action_words; i++) {
        if (strcmp(word, action_words[i]) == 0) {
            *out = (enum flag_action) i;
            return true;
        }
    }
    return false;
}

/* ---- names ------------------------------------------------------------------------------------- */

static bool is_made_of(const char *s, size_t max, const char *more)
{
    size_t n = strlen(s);

    if (n == 0 || n > max)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!(isascii(s[i]) && isalnum((unsigned char) s[i])) && !strchr(more, s[i]))
            return false;
    return true;
}

bool flag_key_is_valid(const char *key)
{
    return is_made_of(key, 128, "._:~-") && isalnum((unsigned char) key[0]);
}

/* No dots: in flagd's targeting `var` a dot descends into an object. */
bool flag_bucket_by_is_valid(const char *name)
{
    return is_made_of(name, 64, "_-") && (isalpha((unsigned char) name[0]) || name[0] == '_');
}

/* ---- life -------------------------------------------------------------------------------------- */

struct flag_set *flag_set_new(const char *store_id)
{
    struct flag_set *s = calloc(1, sizeof *s);

    if (!s)
        abort();
    atomic_init(&s->refs, 1);
    s->store_id = arena_strdup(&s->arena, store_id);
    return s;
}

void flag_set_unref(struct flag_set *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) > 1)
        return;
    str_free(&s->flagd);
    arena_free(&s->arena);
    free(s);
}

static struct flag_entry entry_copy(struct arena *a, const struct flag_entry *e)
{
    struct flag_entry copy = *e;

    copy.bucket_by = arena_strdup(a, e->bucket_by);
    copy.by = arena_strdup(a, e->by);
    copy.reason = arena_strdup(a, e->reason);
    copy.op_id = arena_strdup(a, e->op_id);
    return copy;
}

/* With room for one more flag, and one more entry per flag: what a change may add. */
struct flag_set *flag_set_copy(const struct flag_set *from)
{
    struct flag_set *s = flag_set_new(from->store_id);

    s->revision = from->revision;
    s->n = from->n;
    s->flags = arena_array(&s->arena, struct flag_item, from->n);
    for (int i = 0; i < from->n; i++) {
        const struct flag_item *f = &from->flags[i];
        struct flag_item *to = &s->flags[i];

        to->key = arena_strdup(&s->arena, f->key);
        to->n_history = f->n_history;
        to->history = arena_array(&s->arena, struct flag_entry, FLAG_SERVER_HISTORY);
        for (int h = 0; h < f->n_history; h++)
            to->history[h] = entry_copy(&s->arena, &f->history[h]);
        to->now = to->history[to->n_history - 1];
    }
    return s;
}

/* The place of key, or where it would go. */
static int set_place(const struct flag_set *s, const char *key, bool *found)
{
    int low = 0, high = s->n;

    *found = false;
    while (low < high) {
        int mid = low + (high - low) / 2;
        int order = strcmp(s->flags[mid].key, key);

        if (order == 0) {
            *found = true;
            return mid;
        }
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

const struct flag_item *flag_set_find(const struct flag_set *s, const char *key)
{
    bool found;
    int at = set_place(s, key, &found);

    return found ? &s->flags[at] : NULL;
}

void flag_set_etag(const struct flag_set *s, int64_t revision, char out[FLAG_ETAG_SIZE])
{
    snprintf(out, FLAG_ETAG_SIZE, "\"%s-%lld\"", s->store_id, (long long) revision);
}

/* ---- changes ----------------------------------------------------------------------------------- */

bool flag_etag_matches(const char *list, const char *etag, bool weak)
{
    size_t n = strlen(etag);

    for (const char *p = list; p && *p;) {
        p += strspn(p, " \t,");
        if (*p == '*' && strchr(" \t,", p[1]))
            return true;
        if (weak && strncmp(p, "W/", 2) == 0)
            p += 2;
        if (strncmp(p, etag, n) == 0 && strchr(" \t,", p[n]))
            return true;
        p += strcspn(p, ",");
    }
    return false;
}

static void change_describe(const struct flag_set *s, const struct flag_item *f,
                            struct flag_change *c)
{
    struct json_out j;

    flag_set_etag(s, f->now.revision, c->etag);
    str_clear(&c->json);
    json_begin(&j, &c->json, false);
    flag_item_json(&j, NULL, f);
}

static const char *text_or(const char *text, const char *otherwise)
{
    return text ? text : otherwise;
}

static void item_push(struct flag_set *s, struct flag_item *f, const struct flag_change *c,
                      int percent, bool archived, const char *bucket_by)
{
    struct flag_entry e = {
        .action = c->action,
        .revision = ++s->revision,
        .at_ms = c->at_ms,
        .percent = percent,
        .previous_percent = f->n_history > 0 ? f->now.percent : 0,
        .archived = archived,
        .bucket_by = bucket_by,
        .by = text_or(c->by, ""),
        .reason = text_or(c->reason, ""),
        .op_id = text_or(c->op_id, ""),
    };

    if (f->n_history == FLAG_SERVER_HISTORY) {
        memmove(f->history, f->history + 1, sizeof *f->history * (FLAG_SERVER_HISTORY - 1));
        f->n_history--;
    }
    f->now = entry_copy(&s->arena, &e);
    f->history[f->n_history++] = f->now;
}

static bool set_create(struct flag_set *s, struct flag_change *c)
{
    bool found;
    int at = set_place(s, c->key, &found);

    if (found) {
        c->result = FLAG_CHANGE_MISMATCH;
        return false;
    }
    if (s->n >= FLAG_SERVER_MAX_FLAGS) {
        c->result = FLAG_CHANGE_TOO_MANY;
        return false;
    }
    s->flags = arena_grow(&s->arena, s->flags, sizeof *s->flags * (size_t) s->n,
                          sizeof *s->flags * (size_t) (s->n + 1));
    memmove(s->flags + at + 1, s->flags + at, sizeof *s->flags * (size_t) (s->n - at));
    s->n++;

    struct flag_item *f = &s->flags[at];
    *f = (struct flag_item) {.key = arena_strdup(&s->arena, c->key)};
    f->history = arena_array(&s->arena, struct flag_entry, FLAG_SERVER_HISTORY);
    item_push(s, f, c, c->percent, false, text_or(c->bucket_by, "targetingKey"));
    change_describe(s, f, c);
    c->result = FLAG_CHANGE_DONE;
    return true;
}

/* Asking for what is already so is no change; but another operation leaves its name in the history. */
static bool is_already(const struct flag_item *f, const struct flag_change *c)
{
    const char *op_id = text_or(c->op_id, "");

    switch (c->action) {
    case FLAG_ACTION_OFF:
        return f->now.archived || (f->now.percent == 0 && strcmp(f->now.op_id, op_id) == 0);
    case FLAG_ACTION_ARCHIVE: return f->now.archived;
    case FLAG_ACTION_RESTORE: return !f->now.archived;
    case FLAG_ACTION_CREATE:
    case FLAG_ACTION_SET: break;
    }
    return false;
}

bool flag_set_apply(struct flag_set *s, struct flag_change *c)
{
    char etag[FLAG_ETAG_SIZE];
    bool found;
    int at;

    if (c->action == FLAG_ACTION_CREATE)
        return set_create(s, c);
    at = set_place(s, c->key, &found);
    if (!found) {
        c->result = c->if_match ? FLAG_CHANGE_MISMATCH : FLAG_CHANGE_NOT_FOUND;
        return false;
    }

    struct flag_item *f = &s->flags[at];
    flag_set_etag(s, f->now.revision, etag);
    if (c->if_match && !flag_etag_matches(c->if_match, etag, false)) {
        c->result = FLAG_CHANGE_MISMATCH;
        return false;
    }
    if (c->action == FLAG_ACTION_SET && f->now.archived) {
        c->result = FLAG_CHANGE_ARCHIVED;
        return false;
    }
    if (is_already(f, c)) {
        change_describe(s, f, c);
        c->result = FLAG_CHANGE_NONE;
        return false;
    }
    /* Archived and restored flags are off: nobody meets a percentage again that they had forgotten. */
    item_push(
        s, f, c, c->action == FLAG_ACTION_SET ? c->percent : 0, c->action == FLAG_ACTION_ARCHIVE,
        c->action == FLAG_ACTION_SET ? text_or(c->bucket_by, f->now.bucket_by) : f->now.bucket_by);
    change_describe(s, f, c);
    c->result = FLAG_CHANGE_DONE;
    return true;
}

void flag_change_free(struct flag_change *c)
{
    str_free(&c->json);
    str_free(&c->why);
}

/* ---- JSON out ---------------------------------------------------------------------------------- */

static void entry_fields(struct json_out *j, const struct flag_entry *e, const char *at,
                         const char *by)
{
    char when[25];

    time_to_rfc3339(e->at_ms, when);
    json_int(j, "percent", e->percent);
    json_str(j, "bucketBy", e->bucket_by);
    json_str(j, at, when);
    json_str(j, by, e->by);
    json_str(j, "reason", e->reason);
    json_str(j, "opId", e->op_id);
    json_bool(j, "archived", e->archived);
    json_int(j, "revision", e->revision);
}

void flag_item_json(struct json_out *j, const char *name, const struct flag_item *f)
{
    json_object_begin(j, name);
    json_str(j, "key", f->key);
    json_bool(j, "enabled", f->now.percent > 0);
    entry_fields(j, &f->now, "updatedAt", "updatedBy");
    json_object_end(j);
}

void flag_entry_json(struct json_out *j, const struct flag_entry *e)
{
    json_object_begin(j, NULL);
    json_str(j, "action", flag_action_word(e->action));
    json_int(j, "previousPercent", e->previous_percent);
    entry_fields(j, e, "at", "by");
    json_object_end(j);
}

/* Percentages between go by flagd's own hash of flag and value. A context without the value is off;
 * flagd would else put all of them into one bucket. */
static void flagd_targeting(struct json_out *j, const struct flag_item *f)
{
    json_object_begin(j, "targeting");
    json_array_begin(j, "if");
    json_object_begin(j, NULL);
    json_array_begin(j, "!=");
    json_object_begin(j, NULL);
    json_str(j, "var", f->now.bucket_by);
    json_object_end(j);
    json_put_null(j, NULL);
    json_array_end(j);
    json_object_end(j);

    json_object_begin(j, NULL);
    json_array_begin(j, "fractional");
    json_object_begin(j, NULL);
    json_array_begin(j, "cat");
    json_object_begin(j, NULL);
    json_str(j, "var", "$flagd.flagKey");
    json_object_end(j);
    json_object_begin(j, NULL);
    json_str(j, "var", f->now.bucket_by);
    json_object_end(j);
    json_array_end(j);
    json_object_end(j);
    for (int on = 1; on >= 0; on--) {
        json_array_begin(j, NULL);
        json_str(j, NULL, on ? "on" : "off");
        json_int(j, NULL, on ? f->now.percent : 100 - f->now.percent);
        json_array_end(j);
    }
    json_array_end(j);
    json_object_end(j);
    json_str(j, NULL, "off");
    json_array_end(j);
    json_object_end(j);
}

void flag_set_render_flagd(struct flag_set *s)
{
    struct json_out j;

    s->flagd.ceiling = FILE_MAX;
    str_clear(&s->flagd);
    json_begin(&j, &s->flagd, false);
    json_object_begin(&j, NULL);
    json_object_begin(&j, "flags");
    for (int i = 0; i < s->n; i++) {
        const struct flag_item *f = &s->flags[i];

        if (f->now.archived)
            continue;
        json_object_begin(&j, f->key);
        json_str(&j, "state", "ENABLED");
        json_object_begin(&j, "variants");
        json_bool(&j, "on", true);
        json_bool(&j, "off", false);
        json_object_end(&j);
        json_str(&j, "defaultVariant", f->now.percent == 100 ? "on" : "off");
        if (f->now.percent > 0 && f->now.percent < 100)
            flagd_targeting(&j, f);
        json_object_end(&j);
    }
    json_object_end(&j);
    json_object_end(&j);
}

static void sha256_text(const char *bytes, size_t n, char out[2 * SHA256_DIGEST_LENGTH + 1])
{
    unsigned char digest[SHA256_DIGEST_LENGTH];

    SHA256((const unsigned char *) bytes, n, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

/* One line with the digest of the line that follows: a damaged digit is found, not served. */
void flag_set_render_file(const struct flag_set *s, struct str *out)
{
    AUTO(str) state = {.ceiling = FILE_MAX};
    char digest[2 * SHA256_DIGEST_LENGTH + 1];
    struct json_out j;

    json_begin(&j, &state, false);
    json_object_begin(&j, NULL);
    json_str(&j, "store", s->store_id);
    json_int(&j, "revision", s->revision);
    json_array_begin(&j, "flags");
    for (int i = 0; i < s->n; i++) {
        json_object_begin(&j, NULL);
        json_str(&j, "key", s->flags[i].key);
        json_array_begin(&j, "history");
        for (int h = 0; h < s->flags[i].n_history; h++)
            flag_entry_json(&j, &s->flags[i].history[h]);
        json_array_end(&j);
        json_object_end(&j);
    }
    json_array_end(&j);
    json_object_end(&j);

    sha256_text(str_text(&state), state.len, digest);
    out->ceiling = FILE_MAX;
    str_addf(out, "{\"phasegate-flags\":%d,\"sha256\":\"%s\"}\n", FILE_VERSION, digest);
    str_addn(out, str_text(&state), state.len);
    str_addc(out, '\n');
}

/* ---- JSON in ------------------------------------------------------------------------------------ */

static bool entry_parse(struct arena *a, json_t *json, struct flag_entry *e)
{
    const char *action, *bucket_by, *at, *by, *reason, *op_id;
    json_int_t revision;
    int archived;

    if (json_unpack(json, "{s:s, s:i, s:i, s:s, s:s, s:s, s:s, s:s, s:b, s:I}", "action", &action,
                    "previousPercent", &e->previous_percent, "percent", &e->percent, "bucketBy",
                    &bucket_by, "at", &at, "by", &by, "reason", &reason, "opId", &op_id, "archived",
                    &archived, "revision", &revision) != 0)
        return false;
    e->archived = archived;
    e->revision = revision;
    e->bucket_by = arena_strdup(a, bucket_by);
    e->by = arena_strdup(a, by);
    e->reason = arena_strdup(a, reason);
    e->op_id = arena_strdup(a, op_id);
    return action_from_word(action, &e->action) && time_from_rfc3339(at, &e->at_ms) &&
           flag_bucket_by_is_valid(bucket_by) && e->percent >= 0 && e->percent <= 100 &&
           revision > 0;
}

static bool item_parse(struct flag_set *s, json_t *json, struct flag_item *f)
{
    json_t *history, *entry;
    const char *key;
    size_t i;

    if (json_unpack(json, "{s:s, s:o}", "key", &key, "history", &history) != 0 ||
        !json_is_array(history) || !flag_key_is_valid(key) || json_array_size(history) == 0 ||
        json_array_size(history) > FLAG_SERVER_HISTORY)
        return false;
    f->key = arena_strdup(&s->arena, key);
    f->history = arena_array(&s->arena, struct flag_entry, FLAG_SERVER_HISTORY);
    json_array_foreach(history, i, entry)
    {
        if (!entry_parse(&s->arena, entry, &f->history[i]) || f->history[i].revision > s->revision)
            return false;
        f->n_history++;
    }
    f->now = f->history[f->n_history - 1];
    return true;
}

static struct flag_set *set_from_json(json_t *root, struct str *why)
{
    json_t *flags, *item;
    json_int_t revision;
    const char *store;
    size_t i;

    if (json_unpack(root, "{s:s, s:I, s:o}", "store", &store, "revision", &revision, "flags",
                    &flags) != 0 ||
        !json_is_array(flags) || strlen(store) > 32 || revision < 0 ||
        json_array_size(flags) > FLAG_SERVER_MAX_FLAGS) {
        str_set(why, "it holds no store, revision and flags");
        return NULL;
    }

    struct flag_set *s = flag_set_new(store);
    s->revision = revision;
    s->flags = arena_array(&s->arena, struct flag_item, json_array_size(flags));
    json_array_foreach(flags, i, item)
    {
        if (!item_parse(s, item, &s->flags[i]) ||
            (i > 0 && strcmp(s->flags[i - 1].key, s->flags[i].key) >= 0)) {
            str_clear(why);
            str_addf(why, "flag number %zu is not one that a flag server wrote", i + 1);
            flag_set_unref(s);
            return NULL;
        }
        s->n++;
    }
    return s;
}

struct flag_set *flag_set_parse(const char *bytes, size_t n, struct str *why)
{
    char digest[2 * SHA256_DIGEST_LENGTH + 1];
    const char *line = memchr(bytes, '\n', n);
    const char *claimed = NULL;
    int version = 0;
    json_error_t at;

    json_t *head = line ? json_loadb(bytes, (size_t) (line - bytes), 0, &at) : NULL;
    if (!head || json_unpack(head, "{s:i, s:s}", "phasegate-flags", &version, "sha256", &claimed)) {
        str_set(why, "its first line is not the heading of a flag server's state");
        json_decref(head);
        return NULL;
    }
    size_t rest = n - (size_t) (line + 1 - bytes);
    if (rest > 0 && line[rest] == '\n')
        rest--;
    sha256_text(line + 1, rest, digest);
    bool equal = strcmp(digest, claimed) == 0;
    json_decref(head);
    if (version != FILE_VERSION) {
        str_clear(why);
        str_addf(why, "it has version %d, this program reads version %d", version, FILE_VERSION);
        return NULL;
    }
    if (!equal) {
        str_set(why, "its content doesn't match the digest in its first line");
        return NULL;
    }

    json_t *root = json_loadb(line + 1, rest, JSON_REJECT_DUPLICATES, &at);
    if (!root) {
        str_clear(why);
        str_addf(why, "line 2, column %d: %s", at.column, at.text);
        return NULL;
    }
    struct flag_set *s = set_from_json(root, why);
    json_decref(root);
    return s;
}

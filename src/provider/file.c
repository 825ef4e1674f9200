/* file: flags in a JSON file of flagd's format. No network; the file is replaced, never half
 * written.
 *
 * The whole call happens in one step. Other flags and keys that aren't ours stay as they are.
 * There is no lock between read and replace: two writers of one file within a millisecond lose
 * one of the changes, which the read-back shows. */
#include "provider.h"
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 16 << 20, FILE_MODE = 0644 };

struct flags_file {
    json_t *root; /* NULL: no file */
    json_t *flag; /* borrowed; NULL: no such flag */
    struct flagd_shape shape;
};

static void flags_file_auto(struct flags_file *f) { json_decref(f->root); }

/* False: the call is finished, the file can't be read or isn't of this format. */
static bool file_open(struct flag_call *call, struct flags_file *f)
{
    const struct flag_service *s = call->ref->service;
    struct str text = {.ceiling = FILE_MAX};
    AUTO(err) err = {0};
    json_error_t at;
    json_t *flags;

    if (!call->host->ops->file_exists(call->host, s->path))
        return true;
    if (!call->host->ops->read_file(call->host, s->path, FILE_MAX, &text, &err)) {
        str_free(&text);
        provider_unreadable(call, "%s", str_text(&err.message));
        return false;
    }
    /* An empty file is one that somebody made with touch. */
    if (text.len == 0) {
        str_free(&text);
        return true;
    }
    f->root = json_loadb(str_text(&text), text.len, JSON_REJECT_DUPLICATES, &at);
    str_free(&text);
    flags = json_object_get(f->root, "flags");
    if (!f->root || !json_is_object(f->root) || (flags && !json_is_object(flags))) {
        provider_unreadable(call, "%s isn't a flag file: %s", s->path,
                            f->root ? "expected {\"flags\": {...}}" : at.text);
        return false;
    }
    f->flag = json_object_get(flags, call->ref->key);
    if (f->flag && !json_is_object(f->flag)) {
        provider_unreadable(call, "%s: flag \"%s\" isn't an object", s->path, call->ref->key);
        return false;
    }
    if (f->flag)
        flagd_read(call->arena, f->flag, &f->shape);
    return true;
}

static void file_saw(struct flag_call *call, const struct flags_file *f)
{
    if (!f->flag)
        provider_saw(call, FLAG_ABSENT, 0, NULL, "absent");
    else
        provider_saw(call, f->shape.state, f->shape.percent, f->shape.why, f->shape.fingerprint);
}

static enum flag_next file_save(struct flag_call *call, struct flags_file *f)
{
    const struct flag_service *s = call->ref->service;
    char *text = json_dumps(f->root, JSON_INDENT(2));
    AUTO(str) bytes = {.ceiling = FILE_MAX + 1};
    AUTO(err) err = {0};

    str_add(&bytes, text ? text : "");
    str_addc(&bytes, '\n');
    if (!text || bytes.full) {
        free(text);
        return provider_done(call, FLAG_REJECTED, "%s would become larger than 16 MiB", s->path);
    }
    free(text);
    call->wrote = true;
    if (!call->host->ops->write_atomic(call->host, s->path, bytes.text, bytes.len, FILE_MODE,
                                       &err)) {
        call->obs = (struct flag_obs) {.state = FLAG_UNKNOWN, .why = "it could not be written"};
        /* Replaced or not: a failed fsync of the folder comes after the rename. */
        return provider_done(call, FLAG_IN_DOUBT, "%s", str_text(&err.message));
    }
    if (f->flag)
        flagd_read(call->arena, f->flag, &f->shape);
    file_saw(call, f);
    return provider_done(call, FLAG_OK, NULL);
}

static enum flag_next file_put(struct flag_call *call, struct flags_file *f, int percent)
{
    const struct flag_ref *ref = call->ref;
    json_t *flags;

    if (!f->root)
        f->root = json_object();
    flags = json_object_get(f->root, "flags");
    if (!flags) {
        flags = json_object();
        json_object_set_new(f->root, "flags", flags);
    }
    if (!f->flag) {
        f->flag = json_object();
        json_object_set_new(flags, ref->key, f->flag);
    }
    flagd_write(f->flag, &f->shape, percent, ref->bucket_by ? ref->bucket_by : "targetingKey",
                call->op_id);
    return file_save(call, f);
}

static enum flag_next file_set(struct flag_call *call, struct flags_file *f)
{
    struct flag_value v = call->desired;

    file_saw(call, f);
    if (!f->flag)
        return provider_done(call, FLAG_NOT_FOUND, "no flag \"%s\" in %s", call->ref->key,
                             call->ref->service->path);
    if (call->expect && strcmp(call->expect, call->obs.fingerprint) != 0)
        return provider_done(call, FLAG_CONFLICT, "flag \"%s\" was changed meanwhile",
                             call->ref->key);
    if (provider_is_value(&call->obs, v))
        return provider_done(call, FLAG_NOCHANGE, NULL);
    if (f->shape.state == FLAG_COMPLEX && v.state != FLAG_OFF)
        return provider_done(call, FLAG_REJECTED, "flag \"%s\": %s", call->ref->key, f->shape.why);
    if (f->shape.state == FLAG_PERCENT && v.state == FLAG_PERCENT && call->ref->bucket_by &&
        strcmp(call->ref->bucket_by, f->shape.bucket_by ? f->shape.bucket_by : "") != 0)
        return provider_done(call, FLAG_REJECTED,
                             "flag \"%s\" goes by \"%s\" and the plan by \"%s\": "
                             "other users would be in",
                             call->ref->key, f->shape.bucket_by, call->ref->bucket_by);
    return file_put(call, f, v.state == FLAG_ON ? 100 : v.state == FLAG_OFF ? 0 : v.percent);
}

static enum flag_next file_kill(struct flag_call *call, struct flags_file *f)
{
    const json_t *variants = json_object_get(f->flag, "variants");
    const char *name;
    json_t *value;

    file_saw(call, f);
    if (f->flag && call->obs.state == FLAG_OFF)
        return provider_done(call, FLAG_NOCHANGE, NULL);
    json_object_foreach((json_t *) variants, name, value)
    {
        if (!json_is_boolean(value))
            return provider_done(call, FLAG_REJECTED, "flag \"%s\" in %s isn't a boolean flag",
                                 call->ref->key, call->ref->service->path);
    }
    return file_put(call, f, 0);
}

static enum flag_next next(struct flag_call *call, const struct http_res *last,
                           struct http_req *out)
{
    const struct flag_service *s = call->ref->service;
    AUTO(flags_file) f = {0};

    if (call->verb == FLAG_DO_OBSERVE && call->level >= FLAG_DELIVERED && s->ofrep_url)
        return ofrep_observe(call, last, out, s->ofrep_url, s->sdk_token);
    if (!file_open(call, &f))
        return FLAG_FINISHED;
    switch (call->verb) {
    case FLAG_DO_OBSERVE:
    case FLAG_DO_PREFLIGHT:
        file_saw(call, &f);
        call->has_sdk_endpoint = s->ofrep_url != NULL;
        return provider_done(call, FLAG_OK, NULL);
    case FLAG_DO_ENSURE:
        if (f.flag) {
            file_saw(call, &f);
            return f.shape.state == FLAG_COMPLEX
                       ? provider_done(call, FLAG_REJECTED, "flag \"%s\": %s", call->ref->key,
                                       f.shape.why)
                       : provider_done(call, FLAG_NOCHANGE, NULL);
        }
        return file_put(call, &f, 0);
    case FLAG_DO_SET: return file_set(call, &f);
    case FLAG_DO_KILL: return file_kill(call, &f);
    case FLAG_DO_CLEAR:
        file_saw(call, &f);
        if (!f.flag)
            return provider_done(call, FLAG_NOCHANGE, NULL);
        json_object_del(json_object_get(f.root, "flags"), call->ref->key);
        f.flag = NULL;
        return file_save(call, &f);
    case FLAG_DO_HISTORY: break;
    }
    return provider_done(call, FLAG_OK, "a file keeps no history");
}

static bool check(const struct flag_service *s, struct err *err)
{
    if (!s->path)
        return err_set(err, ERR_CONFIG, "flags: provider file needs `path`");
    return true;
}

static enum flag_level reach(const struct flag_service *s, struct flag_value v)
{
    (void) s, (void) v;
    return FLAG_CONFIGURED;
}

const struct flag_provider provider_file = {
    .name = "file",
    .about = "a JSON file in flagd's format; needs no service",
    .native_percent = true,
    .can_write = true,
    .next = next,
    .check = check,
    .reach = reach,
    .default_propagation_ms = 5000,
};

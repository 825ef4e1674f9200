/* The flag service of the environment: every ${VAR} resolved, token files read. Nothing here is shown. */
#include "cli.h"
#include "phasegate/flag_ops.h"

#include <stdlib.h>

#define SECRET_MAX 65536

static const char *look_up(void *ctx, const char *name)
{
    (void) ctx;
    return getenv(name);
}

bool context_resolve(struct context *c, const struct text *t, const char **out, struct err *err)
{
    AUTO(str) text = {0};

    *out = NULL;
    if (!t->s)
        return true;
    if (!text_resolve(t, look_up, NULL, &text, err))
        return false;
    *out = arena_strdup(&c->arena, str_text(&text));
    return true;
}

/* Files that the project file names are beside it. */
static bool resolve_path(struct context *c, const struct text *t, const char **out, struct err *err)
{
    if (!context_resolve(c, t, out, err))
        return false;
    if (*out && **out != '/' && c->set.project.root)
        *out = arena_printf(&c->arena, "%s/%s", c->set.project.root, *out);
    return true;
}

bool context_read_secret(struct context *c, const char *path, const char **out, struct err *err)
{
    AUTO(str) text = {0};
    size_t n;

    if (!c->host->ops->read_file(c->host, path, SECRET_MAX, &text, err))
        return false;
    n = strcspn(str_text(&text), "\r\n");
    if (n == 0) {
        err_set(err, ERR_CONFIG, "%s: no token in it", path);
        return err_hint(err, "the first line of the file is the token");
    }
    *out = arena_strndup(&c->arena, str_text(&text), n);
    return true;
}

static bool resolve_secret(struct context *c, const struct text *value, const struct text *file,
                           const char **out, struct err *err)
{
    const char *path;

    if (value->s || !file->s)
        return context_resolve(c, value, out, err);
    return resolve_path(c, file, &path, err) && context_read_secret(c, path, out, err);
}

/* "https://user:secret@host/x" -> "https://host/x" */
static const char *without_user(struct arena *a, const char *url)
{
    const char *host = url ? strstr(url, "://") : NULL, *at;

    if (!host)
        return url;
    host += 3;
    at = memchr(host, '@', strcspn(host, "/?#"));
    if (!at)
        return arena_strndup(a, url, strcspn(url, "?"));
    return arena_printf(a, "%.*s%.*s", (int) (host - url), url, (int) strcspn(at + 1, "?"), at + 1);
}

static bool resolve_headers(struct context *c, const struct flags_decl *d, struct flag_service *s,
                            struct err *err)
{
    int room = (int) (sizeof s->headers / sizeof *s->headers) - 1;

    if (d->headers.n > room)
        return err_set(err, ERR_CONFIG, "%s:%d: at most %d headers", d->at.file, d->at.line, room);
    for (int i = 0; i < d->headers.n; i++) {
        const char *value;

        if (!context_resolve(c, &d->headers.items[i].value, &value, err))
            return false;
        s->headers[i] =
            arena_printf(&c->arena, "%s: %s", d->headers.items[i].key.s, value ? value : "");
    }
    return true;
}

static bool fill(struct context *c, const struct flags_decl *d, struct flag_service *s,
                 struct err *err)
{
    if (!context_resolve(c, &d->url, &s->url, err) ||
        !resolve_secret(c, &d->token, &d->token_file, &s->token, err) ||
        !resolve_secret(c, &d->sdk_token, &d->sdk_token_file, &s->sdk_token, err) ||
        !context_resolve(c, &d->project, &s->project, err) ||
        !context_resolve(c, &d->environment, &s->environment, err) ||
        !context_resolve(c, &d->confirm_ofrep, &s->ofrep_url, err) ||
        !resolve_path(c, &d->path, &s->path, err) ||
        !resolve_path(c, &d->ca_file, &s->ca_file, err) ||
        !context_resolve(c, &d->set_method, &s->set_method, err) ||
        !context_resolve(c, &d->set_url, &s->set_url, err) ||
        !context_resolve(c, &d->set_body, &s->set_body, err) ||
        !context_resolve(c, &d->get_url, &s->get_url, err))
        return false;
    s->get_on_pointer = d->get_on_pointer.s;
    s->get_percent_pointer = d->get_percent_pointer.s;
    s->propagation_ms = d->propagation_ms == MODEL_UNSET ? 0 : d->propagation_ms;
    return resolve_headers(c, d, s, err);
}

static bool describe(struct context *c, const struct flags_decl *d, struct err *err)
{
    struct flag_service *s = arena_new(&c->arena, struct flag_service);
    const char *where;

    s->provider = flag_provider_find(d->provider.s ? d->provider.s : "");
    if (!s->provider) {
        const char *words[32] = {0}, *near;
        AUTO(str) all = {0};

        for (int i = 0; flag_providers[i] && i < 31; i++) {
            words[i] = flag_providers[i]->name;
            str_addf(&all, "%s%s", i ? ", " : "", words[i]);
        }
        near = name_nearest(d->provider.s ? d->provider.s : "", words);
        return err_set(err, ERR_CONFIG, "%s:%d: flag provider \"%s\" is none of: %s%s%s%s",
                       d->at.file, d->at.line, d->provider.s ? d->provider.s : "", str_text(&all),
                       near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    }
    if (!fill(c, d, s, err))
        return false;
    where = s->path && !s->url ? s->path : without_user(&c->arena, s->url);
    s->shown =
        where ? arena_printf(&c->arena, "%s at %s", s->provider->name, where) : s->provider->name;
    if (!s->provider->check(s, err))
        return err_note(err, "flags of environment %s (%s:%d)", c->env->name.s, d->at.file,
                        d->at.line);
    c->flags = s;
    return true;
}

static bool describe_kill_file(struct context *c, const struct flags_decl *d, struct err *err)
{
    struct flag_service *s;
    const char *path;

    if (!d->kill_file.s)
        return true;
    if (!resolve_path(c, &d->kill_file, &path, err))
        return false;
    s = arena_new(&c->arena, struct flag_service);
    s->provider = flag_provider_find("file");
    s->path = path;
    s->shown = arena_printf(&c->arena, "kill file %s", path);
    c->kill_file = s;
    return true;
}

void context_flag_ops(struct context *c, struct flag_ops *out)
{
    *out = (struct flag_ops) {.ports = &c->ports,
                              .service = c->flags,
                              .kill_file = c->kill_file,
                              .environment = c->env->name.s,
                              .state_dir = c->state_dir,
                              .run_id = c->run_id,
                              .actor = c->actor};
}

bool context_flags(struct context *c, struct err *err)
{
    if (!context_http(c, err))
        return false;
    if (c->flags_tried || !c->env->flags.present)
        return true;
    c->flags_tried = true;
    if (describe(c, &c->env->flags, err) && describe_kill_file(c, &c->env->flags, err))
        return true;
    if (c->command->needs & NEED_FLAGS)
        return false;
    out_warn(&c->out, "going on without the flag service: %s", str_text(&err->message));
    err_clear(err);
    return true;
}

bool context_flags_needed(struct context *c, struct err *err)
{
    if (!context_flags(c, err))
        return false;
    if (c->flags)
        return true;
    err_set(err, ERR_CONFIG, "environment %s has no flag service", c->env->name.s);
    return err_hint(err, "add flags: to it in %s", c->set.project.file);
}

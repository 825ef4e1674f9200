/* The demo goes the way of a user: `check`, then advance and purge with their proof. */
#include "cli.h"

#include "phasegate/demo.h"

#include <errno.h>
#include <stdlib.h>

/* A context of the demo's own project. Nothing of the user's environment or cache is in it. */
static void inner_begin(struct context *c, const char *folder, const char *command,
                        struct context *out)
{
    const char *slash = strrchr(folder, '/');

    *out = (struct context) {.command = command_find(command),
                             .clock = c->clock,
                             .host = c->host,
                             .ports = c->ports,
                             .run_id = c->run_id,
                             .actor = c->actor,
                             .label = c->label};
    out->line.command = out->command;
    out->line.given[OPT_CONFIG] = 1;
    out->line.text[OPT_CONFIG] = arena_printf(&out->arena, "%s/phasegate.yaml", folder);
    out->cache =
        arena_printf(&out->arena, "%.*s/cache", (int) (slash ? slash - folder : 0), folder);
    out_begin(&out->out, OUT_TEXT, -1, false);
}

/* What is shared stays: it is the outer context's. */
static void inner_end(struct context *k)
{
    k->host = NULL;
    k->clock = NULL;
    k->http = NULL;
    str_free(&k->out.result);
    str_free(&k->out.extra);
    str_free(&k->out.last_wait);
    context_close(k);
}

/* The last line sums up. */
static const char *last_line(struct arena *a, char *text)
{
    size_t n = strlen(text);

    while (n > 0 && text[n - 1] == '\n')
        text[--n] = '\0';
    const char *line = strrchr(text, '\n');
    return arena_strdup(a, line ? line + 1 : text);
}

static bool check(void *ctx, const char *folder, const char **said, struct err *err)
{
    struct demo_proving *d = ctx;
    struct context k;
    char *text = NULL;
    size_t n = 0;

    inner_begin(d->c, folder, "check", &k);
    k.out.data = open_memstream(&text, &n);
    if (!k.out.data) {
        k.out.data = stdout;
        inner_end(&k);
        return err_set(err, ERR_UNREACHABLE, "%s", strerror(errno));
    }
    bool good = cmd_check(&k, err);
    fclose(k.out.data);
    k.out.data = stdout;
    if (good && k.exit_code != 0) {
        err_set(err, ERR_NO, "check finds that the plan isn't safe");
        good = err_detail(err, "%s", text);
    }
    *said = good ? last_line(&d->c->arena, text) : NULL;
    free(text);
    inner_end(&k);
    return good;
}

static bool open_inner(struct demo_proving *d, struct engine *e, struct err *err)
{
    struct context *k = &d->inner;

    if (d->is_open)
        return true;
    inner_begin(d->c, e->set->project.root, "advance", k);
    d->is_open = true;
    return context_load(k, false, err) && context_environment(k, err);
}

static bool prove(void *ctx, struct engine *e, struct plan *p, enum phase_event ev,
                  const struct advance_options *o, const struct transition_proof **proof,
                  const char **said, struct err *err)
{
    struct demo_proving *d = ctx;
    struct proving k;

    *said = NULL;
    bool good = open_inner(d, e, err) && proving_begin(&d->inner, &k, err);
    if (!good)
        return false;
    good = prove_transition(&k, e, p, ev, o, &d->made, err);
    proving_end(&k);
    if (!good)
        return false;
    *proof = &d->made.proof;
    if (d->made.proof.word)
        *said = arena_printf(&d->c->arena, "proved on a shadow: %d worlds, %d cells, %s",
                             d->made.summary.worlds, d->made.summary.cells,
                             d->made.summary.warnings ? "no error" : "no finding");
    return true;
}

void demo_proving_begin(struct context *c, struct demo_proving *out)
{
    *out = (struct demo_proving) {.c = c, .prover = {.ctx = out, .check = check, .prove = prove}};
    /* Its shadow and its baseline are the demo's own. */
    unsetenv("PHASEGATE_SHADOW");
    unsetenv("PHASEGATE_BASELINE_FROM");
    unsetenv("PHASEGATE_ENV");
}

void demo_proving_end(struct demo_proving *d)
{
    if (d->is_open)
        inner_end(&d->inner);
    d->is_open = false;
}

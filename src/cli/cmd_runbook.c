/* runbook PLAN: what the people who carry it out have to know. It goes on without the database. */
#include "print_document.h"

#include "phasegate/runbook.h"

static enum document_format format_of(const struct context *c)
{
    const char *format = opt_text(c, OPT_RUNBOOK_FORMAT);

    return format && strcmp(format, "html") == 0 ? DOCUMENT_HTML : DOCUMENT_MARKDOWN;
}

/* What a night may take away; a mistake of the files stays one. */
static bool is_out_of_reach(const struct err *err)
{
    return err_is(err, ERR_UNREACHABLE) || err_is(err, ERR_CONNECTION_LOST) ||
           err_is(err, ERR_CONFIG) || err_is(err, ERR_REFUSED) || err_is(err, ERR_SQL);
}

bool cmd_runbook(struct context *c, struct err *err)
{
    struct plan *p = c->plans[0];
    struct runbook_facts facts;
    const char *why = NULL;
    AUTO(str) page = {0};
    struct engine *e;

    if (!context_engine(c, p, &e, err)) {
        if (!is_out_of_reach(err) || !context_engine_alone(c, &e))
            return false;
        why = arena_strdup(&c->arena, str_text(&err->message));
        err_clear(err);
        out_warn(&c->out, "the database can't be read: %s", why);
    }
    if (!engine_runbook(e, p, why, &c->arena, &facts, err))
        return false;
    runbook_write(e, p, &facts, format_of(c), &c->arena, &page);
    if (page.full)
        return err_set(err, ERR_BUG, "the runbook doesn't fit into %zu bytes", page.len);
    if (out_is_json(&c->out)) {
        json_str(out_json(&c->out), "plan", p->id.s);
        json_str(out_json(&c->out), "environment", c->env->name.s);
        json_bool(out_json(&c->out), "readable", facts.readable);
        json_str(out_json(&c->out), "why", facts.why);
    }
    return print_document(c, "runbook", &page, err);
}

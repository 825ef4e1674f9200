/* A proof that was made elsewhere, for the same text of the plan and the same schema. */
#include "cli.h"

#include "phasegate/check.h"

#include <jansson.h>

#define PROOF_MAX ((size_t) 64 << 20)

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

static int number_of(const json_t *o, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(o, key));

    return n > 0 && n < INT32_MAX ? (int) n : 0;
}

static bool no_proof(struct err *err, const char *file, const char *why)
{
    err_set(err, ERR_REFUSED, "--proof %s: %s", file, why);
    err_reason(err, "proof");
    return err_hint(err,
                    "phasegate check --format json > FILE over the plans and the schema as they "
                    "are now; without --proof the transition is proved here");
}

struct wanted {
    const char *plan, *phase, *checksum, *live, *statements;
};

/* Other programs write JSON too, and people edit it: only what check wrote, and found nothing wrong with. */
static const char *why_not(const json_t *doc)
{
    const json_t *summary = json_object_get(doc, "summary"), *findings, *one;
    const json_t *errors = json_object_get(summary, "errors");
    size_t i;

    findings = json_object_get(doc, "findings");
    if (!json_is_array(json_object_get(doc, "proofs")) || !json_is_array(findings) ||
        !json_is_integer(errors) || !json_is_integer(json_object_get(doc, "version")))
        return "it isn't what phasegate check --format json writes";
    if (json_integer_value(json_object_get(doc, "version")) != 1)
        return "it was written by another version of phasegate";
    json_array_foreach((json_t *) (uintptr_t) findings, i, one)
    {
        const json_t *allowed = json_object_get(one, "allowed");
        if (strcmp(text_of(one, "severity"), "error") == 0 && (!allowed || json_is_null(allowed)))
            return "it has errors: it proves nothing";
    }
    return json_integer_value(errors) == 0 ? NULL : "it has errors: it proves nothing";
}

static bool compare(struct context *c, const struct wanted *w, const json_t *doc, const char *file,
                    struct err *err)
{
    const json_t *proofs = json_object_get(doc, "proofs"), *one;
    size_t i;
    bool plan_there = false, text_same = false, statements_same = false;

    if (why_not(doc))
        return no_proof(err, file, why_not(doc));
    json_array_foreach((json_t *) (uintptr_t) proofs, i, one)
    {
        if (strcmp(text_of(one, "plan"), w->plan) != 0 ||
            strcmp(text_of(one, "phase"), w->phase) != 0)
            continue;
        plan_there = true;
        if (strcmp(text_of(one, "checksum"), w->checksum) != 0)
            continue;
        text_same = true;
        if (strcmp(text_of(one, "statements"), w->statements) != 0)
            continue;
        statements_same = true;
        if (strcmp(text_of(one, "catalogue"), w->live) == 0)
            return true;
    }
    if (!plan_there)
        return no_proof(err, file,
                        arena_printf(&c->arena, "it doesn't cover %s of %s", w->phase, w->plan));
    if (!text_same)
        return no_proof(err, file,
                        arena_printf(&c->arena, "%s of %s was edited since", w->phase, w->plan));
    if (!statements_same)
        return no_proof(err, file, "the statements of the releases were edited since");
    return no_proof(err, file,
                    arena_printf(&c->arena,
                                 "the schema of the database isn't the one that it was "
                                 "made for (%s)",
                                 w->live));
}

static void take_summary(struct context *c, const json_t *doc, struct made_proof *out)
{
    const json_t *s = json_object_get(doc, "summary");
    const char *version = json_string_value(json_object_get(s, "server_version"));

    out->summary = (struct report_summary) {.worlds = number_of(s, "worlds"),
                                            .cells = number_of(s, "cells"),
                                            .probed = number_of(s, "probed"),
                                            .untested = number_of(s, "untested"),
                                            .warnings = number_of(s, "warnings"),
                                            .notes = number_of(s, "notes")};
    out->server_version = version ? arena_strdup(&c->arena, version) : NULL;
}

bool prove_from_file(struct context *c, const char *file, const struct plan *p, const char *phase,
                     const char *checksum, const char *live, struct made_proof *out,
                     struct err *err)
{
    struct wanted wanted = {p->id.s, phase, checksum, live, NULL};
    AUTO(str) text = {.ceiling = PROOF_MAX + 1};
    json_error_t where;

    if (!check_statements_print(&c->set.project, &c->arena, &wanted.statements, &c->problems,
                                err)) {
        context_show_problems(c, &c->problems);
        return false;
    }
    if (!c->host->ops->read_file(c->host, file, PROOF_MAX, &text, err))
        return err_note(err, "--proof");
    json_t *doc = json_loadb(str_text(&text), text.len, 0, &where);
    if (!doc)
        return err_set(err, ERR_INPUT, "--proof %s:%d:%d: no JSON: %s", file, where.line,
                       where.column, where.text);
    bool ok = compare(c, &wanted, doc, file, err);
    if (ok) {
        take_summary(c, doc, out);
        out->source = "file";
        out->proof.record = arena_printf(&c->arena, "from %s, checksum %s", file, checksum);
    }
    json_decref(doc);
    return ok;
}

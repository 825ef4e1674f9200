/* A proof that was made elsewhere, for the same text of the plan and the same schema. */
#include "cli.h"

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
    const char *plan, *phase, *checksum, *live;
};

static bool compare(struct context *c, const struct wanted *w, const json_t *doc, const char *file,
                    struct err *err)
{
    const json_t *proofs = json_object_get(doc, "proofs"), *one;
    size_t i;
    bool plan_there = false, text_same = false;

    if (!json_is_array(proofs))
        return no_proof(err, file, "it isn't what phasegate check --format json writes");
    if (json_integer_value(json_object_get(json_object_get(doc, "summary"), "errors")) != 0)
        return no_proof(err, file, "it has errors: it proves nothing");
    json_array_foreach((json_t *) (uintptr_t) proofs, i, one)
    {
        if (strcmp(text_of(one, "plan"), w->plan) != 0 ||
            strcmp(text_of(one, "phase"), w->phase) != 0)
            continue;
        plan_there = true;
        if (strcmp(text_of(one, "checksum"), w->checksum) != 0)
            continue;
        text_same = true;
        if (strcmp(text_of(one, "catalogue"), w->live) == 0)
            return true;
    }
    if (!plan_there)
        return no_proof(err, file,
                        arena_printf(&c->arena, "it doesn't cover %s of %s", w->phase, w->plan));
    if (!text_same)
        return no_proof(err, file,
                        arena_printf(&c->arena, "%s of %s was edited since", w->phase, w->plan));
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
    const struct wanted wanted = {p->id.s, phase, checksum, live};
    AUTO(str) text = {.ceiling = PROOF_MAX + 1};
    json_error_t where;

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

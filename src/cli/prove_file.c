/* A proof that was made elsewhere, for the same text of the plan and the same schema. */
#include "cli.h"

#include "phasegate/check.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

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

/* Line separators, and what makes a terminal write from right to left: U+2028 to 202E, U+2066 to 2069. */
static bool turns_text(const char *s)
{
    const unsigned char *p = (const unsigned char *) s;

    return p[0] == 0xE2 && ((p[1] == 0x80 && p[2] >= 0xA8 && p[2] <= 0xAE) ||
                            (p[1] == 0x81 && p[2] >= 0xA6 && p[2] <= 0xA9));
}

/* It goes to terminals, journals and logs: one line of plain text. */
static const char *shown(struct arena *a, const char *name, size_t most)
{
    AUTO(str) good = {0};
    size_t n = strlen(name), bad;

    for (size_t i = 0, len; i < n; i += len ? len : bad) {
        len = str_utf8_length(name + i, n - i, &bad);
        if (len == 0 || turns_text(name + i))
            str_addc(&good, '?');
        else
            str_addn(&good, name + i, len);
    }
    const char *text = out_clean(a, str_text(&good), false);
    size_t skip = strlen(text);
    if (skip <= most)
        return text;
    skip -= most - strlen("...");
    while (((unsigned char) text[skip] & 0xc0) == 0x80)
        skip++;
    return arena_printf(a, "...%s", text + skip);
}

const char *proof_shown(struct arena *a, const char *name) { return shown(a, name, 72); }

/* PostgreSQL's own are of 63 bytes each, and its longest kind has 17. */
const char *proof_shown_object(struct arena *a, const char *name) { return shown(a, name, 160); }

/* ---- is it for this? -------------------------------------------------------------------------------------------- */

/* What phases of other plans have changed, the same command over the same files proves the same way once more. */
static bool other_schema(struct context *c, const struct wanted_proof *w,
                         const struct proof_difference *d, struct err *err)
{
    no_proof(err, w->file,
             arena_printf(&c->arena,
                          "the schema of the database isn't the one that it was made for (%s)",
                          d->what));
    if (d->way && !d->cause)
        return err_hint(err, "%s", d->way);
    if (!d->cause)
        return err_hint(err,
                        "phasegate check --format json > FILE over the plans and the schema as "
                        "they are now (--baseline-from URL reads it from the database); without "
                        "--proof the transition is proved here");
    err_detail(err, "That is what %s changed there, which the file proves in another order.",
               d->cause);
    return err_hint(err,
                    "without --proof the transition is proved here; or phasegate check "
                    "--baseline-from URL --format json > FILE makes a proof over the database as "
                    "it is now");
}

static bool is_of_release(const json_t *o, const char *release)
{
    return strcmp(text_of(o, "release"), release) == 0;
}

static bool fails_as_it_is(const json_t *f)
{
    const char *state = text_of(f, "sqlstate");

    return strcmp(text_of(f, "rule"), "failing-at-baseline") == 0 &&
           strcmp(text_of(f, "severity"), "warning") == 0 &&
           !json_is_string(json_object_get(f, "allowed")) && strcmp(state, "42P18") != 0 &&
           (strcmp(text_of(f, "probe"), "X") != 0 || strncmp(state, "42", 2) == 0);
}

/* The proof that is made here refuses it too; to check, it was a release among others. */
static bool serves(struct context *c, const struct wanted_proof *w, const json_t *doc,
                   struct err *err)
{
    size_t i, k;
    json_t *f, *place;

    if (strcmp(w->phase, "purge") == 0)
        return true;
    json_array_foreach(json_object_get(doc, "findings"), i, f)
    {
        bool served = is_of_release(f, w->release);

        json_array_foreach(json_object_get(f, "places"), k, place) served |=
            is_of_release(place, w->release);
        if (served && fails_as_it_is(f))
            return no_proof(
                err, w->file,
                arena_printf(&c->arena, "release %s, which is about to be served, fails in it: %s",
                             w->release, proof_shown(&c->arena, text_of(f, "message"))));
    }
    return true;
}

/* Proved for less than what is asked here? More releases side by side are more than enough. */
static bool is_as_strict(struct context *c, const struct wanted_proof *w, const json_t *one,
                         struct err *err)
{
    int64_t window = json_integer_value(json_object_get(one, "window"));

    if (window < w->window)
        return no_proof(err, w->file,
                        arena_printf(&c->arena,
                                     "it was made for a window of %" PRId64
                                     ", and policy.window is %" PRId64,
                                     window, w->window));
    if (strcmp(text_of(one, "policy"), check_policy_print(&c->set.project, &c->arena)) != 0)
        return no_proof(err, w->file, "policy.rules or policy.approvers was edited since");
    return true;
}

static bool compare(struct context *c, const struct wanted_proof *w, const json_t *doc,
                    struct err *err)
{
    size_t i;
    json_t *one;
    bool plan_there = false, text_same = false, statements_same = false;
    struct proof_difference differs = {0}, d;
    const char *why = proof_form(c, doc);

    if (why)
        return no_proof(err, w->file, why);
    json_array_foreach(json_object_get(doc, "proofs"), i, one)
    {
        if (strcmp(text_of(one, "plan"), w->plan->id.s) != 0 ||
            strcmp(text_of(one, "phase"), w->phase) != 0)
            continue;
        plan_there = true;
        if (strcmp(text_of(one, "checksum"), w->checksum) != 0)
            continue;
        text_same = true;
        if (strcmp(text_of(one, "statements"), w->statements) != 0)
            continue;
        statements_same = true;
        if (!is_as_strict(c, w, one, err))
            return false;
        if (w->live && !proof_schema(c, doc, text_of(one, "catalogue"), w, &d, err))
            return false;
        if (!w->live || !d.what)
            return serves(c, w, doc, err);
        if (!differs.what || (d.cause && !differs.cause))
            differs = d;
    }
    if (!plan_there)
        return no_proof(
            err, w->file,
            arena_printf(&c->arena, "it doesn't cover %s of %s", w->phase, w->plan->id.s));
    if (!text_same)
        return no_proof(
            err, w->file,
            arena_printf(&c->arena, "%s of %s was edited since", w->phase, w->plan->id.s));
    if (!statements_same)
        return no_proof(err, w->file,
                        "the statements of the releases were edited since, or the "
                        "releases: their order, a driver");
    return other_schema(c, w, &differs, err);
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

#define HOW_MADE                                                                                   \
    "phasegate check -o json=FILE writes one; without --proof the transition is proved here"

/* The caller has the document's reference. */
static bool read_file(struct context *c, const char *path, json_t **out, struct err *err)
{
    AUTO(str) text = {.ceiling = PROOF_MAX + 1};
    json_error_t where;

    if (!c->host->ops->read_file(c->host, path, PROOF_MAX, &text, err)) {
        err_hint(err, HOW_MADE);
        return err_note(err, "--proof");
    }
    *out = json_loadb(str_text(&text), text.len, JSON_REJECT_DUPLICATES, &where);
    if (*out)
        return true;
    err_set(err, ERR_INPUT, "--proof %s:%d:%d: no JSON: %s", proof_shown(&c->arena, path),
            where.line, where.column, proof_shown(&c->arena, where.text));
    return err_hint(err, HOW_MADE);
}

bool proof_is_readable(struct context *c, const char *path, struct err *err)
{
    json_t *doc = NULL;
    bool ok = read_file(c, path, &doc, err);

    json_decref(doc);
    return ok;
}

bool prove_from_file(struct context *c, const char *path, struct wanted_proof *w,
                     struct made_proof *out, struct err *err)
{
    json_t *doc = NULL;

    w->file = proof_shown(&c->arena, path);
    if (!check_statements_print(&c->set.project, &c->arena, &w->statements, &c->problems, err)) {
        context_show_problems(c, &c->problems);
        return false;
    }
    if (!read_file(c, path, &doc, err))
        return false;
    bool ok = compare(c, w, doc, err);
    if (ok) {
        take_summary(c, doc, out);
        out->source = "file";
        out->proof.record = arena_printf(&c->arena, "from %s, checksum %s", w->file, w->checksum);
    }
    json_decref(doc);
    return ok;
}

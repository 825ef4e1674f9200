/* A proof that was made elsewhere, for the same text of the plan and the same schema. */
#include "cli.h"

#include "phasegate/check.h"

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

/* It goes to terminals, journals and logs: one line of plain text, and no longer than a line. */
const char *proof_shown(struct arena *a, const char *name)
{
    enum { SHOWN_MAX = 72 };
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
    if (skip <= SHOWN_MAX)
        return text;
    skip -= SHOWN_MAX - strlen("...");
    while (((unsigned char) text[skip] & 0xc0) == 0x80)
        skip++;
    return arena_printf(a, "...%s", text + skip);
}

/* ---- the schema --------------------------------------------------------------------------------------------- */

static int find_object(const struct schema_sums *s, const char *name, bool *found)
{
    int lo = 0, hi = s->n;

    while (lo < hi) {
        int mid = (lo + hi) / 2;
        if (strcmp(s->objects[mid].name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    *found = lo < s->n && strcmp(s->objects[lo].name, name) == 0;
    return lo;
}

/* Each is told by what differs from the one before. */
static void take_objects(struct arena *a, const json_t *objects, struct schema_sums *s)
{
    const char *key;
    json_t *v;
    size_t n = json_object_size(objects);

    s->objects = arena_grow(a, s->objects, sizeof *s->objects * (size_t) s->n,
                            sizeof *s->objects * ((size_t) s->n + n + 1));
    json_object_foreach((json_t *) (uintptr_t) objects, key, v)
    {
        bool found;
        int i = find_object(s, key, &found);
        struct schema_object *to = &s->objects[i];
        if (json_is_null(v)) {
            if (found)
                memmove(to, to + 1, sizeof *to * (size_t) (--s->n - i));
            continue;
        }
        if (!found)
            memmove(to + 1, to, sizeof *to * (size_t) (s->n++ - i));
        *to = (struct schema_object) {found ? to->name : arena_strdup(a, proof_shown(a, key)),
                                      strtoull(json_string_value(v), NULL, 16)};
    }
}

static bool find_schema(struct arena *a, const json_t *doc, const char *catalogue,
                        struct schema_sums *out)
{
    size_t i;
    json_t *one;

    *out = (struct schema_sums) {.catalogue = catalogue};
    json_array_foreach(json_object_get(doc, "schemas"), i, one)
    {
        take_objects(a, json_object_get(one, "objects"), out);
        if (strcmp(text_of(one, "catalogue"), catalogue) == 0)
            return true;
    }
    return false;
}

/* Equal as a whole, or in everything that counts. *why: where they differ. */
static bool same_schema(struct context *c, const json_t *doc, const char *catalogue,
                        const struct wanted_proof *w, const char **why, struct err *err)
{
    struct schema_sums proved;

    *why = NULL;
    if (strcmp(catalogue, w->live->catalogue) == 0)
        return true;
    if (!find_schema(&c->arena, doc, catalogue, &proved)) {
        *why = arena_printf(&c->arena, "%s; the file doesn't say what differs", w->live->catalogue);
        return true;
    }
    if (check_schema_difference(&c->set.project, w->plan, &c->arena, w->live, &proved, why,
                                &c->problems, err))
        return true;
    if (c->problems.n)
        context_show_problems(c, &c->problems);
    return false;
}

/* ---- is it for this? -------------------------------------------------------------------------------------------- */

static bool compare(struct context *c, const struct wanted_proof *w, const json_t *doc,
                    struct err *err)
{
    size_t i;
    json_t *one;
    bool plan_there = false, text_same = false, statements_same = false;
    const char *differs = NULL, *why = proof_form(c, doc);

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
        if (!w->live)
            return true;
        if (!same_schema(c, doc, text_of(one, "catalogue"), w, &why, err))
            return false;
        if (!why)
            return true;
        differs = differs ? differs : why;
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
        return no_proof(err, w->file, "the statements of the releases were edited since");
    return no_proof(err, w->file,
                    arena_printf(&c->arena,
                                 "the schema of the database isn't the one that it was made for "
                                 "(%s)",
                                 differs));
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

bool prove_from_file(struct context *c, const char *path, struct wanted_proof *w,
                     struct made_proof *out, struct err *err)
{
    AUTO(str) text = {.ceiling = PROOF_MAX + 1};
    json_error_t where;

    w->file = proof_shown(&c->arena, path);
    if (!check_statements_print(&c->set.project, &c->arena, &w->statements, &c->problems, err)) {
        context_show_problems(c, &c->problems);
        return false;
    }
    if (!c->host->ops->read_file(c->host, path, PROOF_MAX, &text, err))
        return err_note(err, "--proof");
    json_t *doc = json_loadb(str_text(&text), text.len, JSON_REJECT_DUPLICATES, &where);
    if (!doc)
        return err_set(err, ERR_INPUT, "--proof %s:%d:%d: no JSON: %s", w->file, where.line,
                       where.column, proof_shown(&c->arena, where.text));
    bool ok = compare(c, w, doc, err);
    if (ok) {
        take_summary(c, doc, out);
        out->source = "file";
        out->proof.record = arena_printf(&c->arena, "from %s, checksum %s", w->file, w->checksum);
    }
    json_decref(doc);
    return ok;
}

/* A report for programs: docs/check.schema.json. Keys are added within a version, never taken away. */
#include "out/report_int.h"

#include "phasegate/json_out.h"

#include <inttypes.h>
#include <string.h>

static void add_flags(struct json_out *j, const struct pair_list *l)
{
    json_object_begin(j, "flags");
    for (int i = 0; i < l->n; i++)
        json_str(j, l->items[i].key.s ? l->items[i].key.s : "", l->items[i].value.s);
    json_object_end(j);
}

static void add_pos(struct json_out *j, const struct pos *at)
{
    json_str(j, "file", at->file);
    json_int(j, "line", at->line > 0 ? at->line : 0);
    json_int(j, "col", at->col > 0 ? at->col : 0);
}

static void add_summary(struct json_out *j, const struct report *r)
{
    const struct report_summary *s = &r->summary;

    json_object_begin(j, "summary");
    json_int(j, "plans", s->plans);
    json_int(j, "releases", s->releases);
    json_int(j, "statements", s->statements);
    json_int(j, "worlds", s->worlds);
    json_int(j, "cells", s->cells);
    json_int(j, "probed", s->probed);
    json_int(j, "carried", s->carried);
    json_int(j, "untested", s->untested);
    json_int(j, "failing_at_baseline", s->failing);
    json_object_begin(j, "by");
    json_int(j, "args", s->by_args);
    json_int(j, "generated", s->by_generated);
    json_int(j, "plan", s->by_plan);
    json_object_end(j);
    json_int(j, "errors", s->errors);
    json_int(j, "warnings", s->warnings);
    json_int(j, "notes", s->notes);
    json_int(j, "allowed", s->allowed);
    json_int(j, "duration_ms", s->duration_ms);
    json_bool(j, "static", r->is_static);
    json_str(j, "server_version", r->server_version);
    json_object_end(j);
}

static void add_places(struct json_out *j, const struct finding *f)
{
    json_array_begin(j, "places");
    for (int i = 0; i < f->n_places; i++) {
        const struct place *p = &f->places[i];

        json_object_begin(j, NULL);
        add_pos(j, &p->at);
        json_str(j, "release", p->release);
        json_str(j, "statement", p->statement);
        add_flags(j, &p->flags);
        json_str(j, "probe", p->probe);
        json_object_end(j);
    }
    json_array_end(j);
}

static void add_finding(struct json_out *j, struct arena *a, const struct finding *f,
                        uint64_t fingerprint)
{
    json_object_begin(j, NULL);
    json_str(j, "rule", f->rule->id);
    json_str(j, "class", rule_class_word(f->rule->class));
    json_str(j, "severity", severity_word(f->severity));
    json_str(j, "level", f->level);
    json_str(j, "kind", f->kind);
    json_str(j, "plan", f->plan);
    json_str(j, "phase", f->phase);
    json_str(j, "step", f->step);
    json_str(j, "release", f->release);
    json_str(j, "statement", f->statement);
    add_flags(j, &f->flags);
    add_pos(j, &f->at);
    json_str(j, "sqlstate", f->sqlstate);
    json_str(j, "probe", f->probe);
    json_str(j, "message", f->message);
    json_str(j, "safe_from", f->safe_from);
    json_str(j, "help", f->help);
    json_str(j, "allowed", f->allowed_because);
    json_str(j, "fingerprint", arena_printf(a, "%016" PRIx64, fingerprint));
    add_places(j, f);
    json_object_end(j);
}

/* What differs from the one before, so that many states of a large schema stay a small file; null: it is gone. */
static void add_objects(struct json_out *j, struct arena *a, const struct schema_sums *was,
                        const struct schema_sums *is)
{
    int i = 0, k = 0;

    json_object_begin(j, "objects");
    while (k < is->n || (was && i < was->n)) {
        int order = !was || i == was->n ? 1
                    : k == is->n        ? -1
                                        : strcmp(was->objects[i].name, is->objects[k].name);
        if (order < 0) {
            json_put_null(j, was->objects[i++].name);
            continue;
        }
        if (order > 0 || was->objects[i].sum != is->objects[k].sum)
            json_str(j, is->objects[k].name, arena_printf(a, "%016" PRIx64, is->objects[k].sum));
        i += order == 0;
        k++;
    }
    json_object_end(j);
}

static void add_schemas(struct json_out *j, struct arena *a, const struct report *r)
{
    json_array_begin(j, "schemas");
    for (int i = 0; i < r->n_schemas; i++) {
        json_object_begin(j, NULL);
        json_str(j, "catalogue", r->schemas[i].catalogue);
        json_int(j, "form", SCHEMA_FORM);
        add_objects(j, a, i > 0 ? &r->schemas[i - 1] : NULL, &r->schemas[i]);
        json_object_end(j);
    }
    json_array_end(j);
}

void report_findings_json(struct json_out *j, const char *key, const struct report *r)
{
    AUTO(arena) a = {0};
    const uint64_t *prints = report_fingerprints(&a, r);

    json_array_begin(j, key);
    for (int i = 0; i < r->n; i++)
        add_finding(j, &a, &r->findings[i], prints[i]);
    json_array_end(j);
}

void report_write_json(const struct report_out_options *o, const struct report *r, struct str *out)
{
    struct json_out j;
    AUTO(arena) a = {0};

    (void) o;
    json_begin(&j, out, true);
    json_object_begin(&j, NULL);
    json_int(&j, "version", REPORT_VERSION);
    add_summary(&j, r);
    report_findings_json(&j, "findings", r);
    json_array_begin(&j, "proofs");
    for (int i = 0; i < r->n_proofs; i++) {
        json_object_begin(&j, NULL);
        json_str(&j, "plan", r->proofs[i].plan);
        json_str(&j, "phase", r->proofs[i].phase);
        json_str(&j, "checksum", r->proofs[i].checksum);
        json_str(&j, "catalogue", r->proofs[i].catalogue);
        json_str(&j, "statements", r->proofs[i].statements);
        json_str(&j, "policy", r->proofs[i].policy);
        json_int(&j, "window", r->proofs[i].window);
        json_object_end(&j);
    }
    json_array_end(&j);
    add_schemas(&j, &a, r);
    json_object_end(&j);
}

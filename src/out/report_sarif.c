/* A report for code scanners: SARIF 2.1.0 (OASIS). */
#include "out/report_int.h"

#include "phasegate/json_out.h"

#include <inttypes.h>
#include <string.h>

#define ROOT "%SRCROOT%"

struct sarif {
    struct json_out j;
    struct arena a;
    const struct report_out_options *o;
    const struct report *r;
    int *
        index; /* of a rule in the run's own list; by its place in rules[]; -1: nothing was found by it */
};

static void add_text(struct json_out *j, const char *key, const char *text)
{
    json_object_begin(j, key);
    json_str(j, "text", text);
    json_object_end(j);
}

/* A reference by RFC 3986; ':' as well, that the first part isn't taken for a scheme. */
static const char *uri_of(struct sarif *s, const char *file)
{
    AUTO(str) uri = {0};

    str_add(&uri, *file == '/' ? "file://" : "");
    for (const unsigned char *p = (const unsigned char *) file; *p; p++)
        if (strchr("/-._~!$'()*,;=@", *p) || (*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') ||
            (*p >= 'A' && *p <= 'Z'))
            str_addc(&uri, (char) *p);
        else
            str_addf(&uri, "%%%02X", *p);
    return arena_strdup(&s->a, str_text(&uri));
}

static void add_location(struct sarif *s, struct pos at)
{
    struct json_out *j = &s->j;

    json_object_begin(j, "physicalLocation");
    json_object_begin(j, "artifactLocation");
    json_str(j, "uri", uri_of(s, at.file));
    if (*at.file != '/')
        json_str(j, "uriBaseId", ROOT);
    json_object_end(j);
    json_object_begin(j, "region");
    json_int(j, "startLine", at.line);
    if (at.col > 0)
        json_int(j, "startColumn", at.col);
    json_object_end(j);
    json_object_end(j);
}

/* ---- the rules ---------------------------------------------------------------------------------------- */

static const char *level_of(enum severity s)
{
    return s == SEVERITY_OFF ? "none" : severity_word(s);
}

/* No helpUri: it has to be absolute, and the pages are where somebody has put phasegate's documentation. */
static void add_help(struct sarif *s, const struct rule *rule)
{
    struct json_out *j = &s->j;

    json_object_begin(j, "help");
    json_str(j, "text",
             arena_printf(
                 &s->a,
                 "Why, examples and the way out: docs/rules/%s.md of phasegate's documentation.",
                 rule->id));
    json_str(j, "markdown",
             arena_printf(&s->a,
                          "**%s**: %s.\n\nWhy, examples and the way out: `docs/rules/%s.md` of "
                          "phasegate's documentation.",
                          rule->id, rule->title, rule->id));
    json_object_end(j);
}

static void add_rule(struct sarif *s, const struct rule *rule)
{
    struct json_out *j = &s->j;

    json_object_begin(j, NULL);
    json_str(j, "id", rule->id);
    add_text(j, "shortDescription", rule->title);
    add_help(s, rule);
    json_object_begin(j, "defaultConfiguration");
    json_str(j, "level", level_of(rule->severity));
    json_object_end(j);
    json_object_begin(j, "properties");
    json_array_begin(j, "tags");
    json_str(j, NULL, rule_class_word(rule->class));
    json_array_end(j);
    json_object_end(j);
    json_object_end(j);
}

static void add_rules(struct sarif *s)
{
    int n = 0, used = 0;

    while (rules[n].id)
        n++;
    s->index = arena_array(&s->a, int, n + 1);
    for (int i = 0; i < s->r->n; i++)
        s->index[s->r->findings[i].rule - rules] = 1;
    json_array_begin(&s->j, "rules");
    for (int i = 0; i < n; i++) {
        if (s->index[i])
            add_rule(s, &rules[i]);
        s->index[i] = s->index[i] ? used++ : -1;
    }
    json_array_end(&s->j);
}

/* ---- a result ------------------------------------------------------------------------------------------ */

static void add_message(struct sarif *s, const struct finding *f)
{
    AUTO(str) text = {0};

    report_add_plain(&text, f->message);
    str_add(&text, "\n");
    report_add_details(&text, f, REPORT_PLACES, "");
    text.text[--text.len] = '\0';
    add_text(&s->j, "message", str_text(&text));
}

static void add_related(struct sarif *s, const struct finding *f)
{
    struct json_out *j = &s->j;

    json_array_begin(j, "relatedLocations");
    for (int i = 0, id = 0; i < f->n_places; i++) {
        AUTO(str) text = {0};
        struct pos at = f->places[i].at;

        if (!at.file)
            continue;
        at.file = report_file(&s->a, s->o, at.file);
        at.line = at.line > 0 ? at.line : 1;
        report_add_place(&text, f, &f->places[i]);
        json_object_begin(j, NULL);
        json_int(j, "id", ++id);
        add_location(s, at);
        add_text(j, "message", str_text(&text));
        json_object_end(j);
    }
    json_array_end(j);
}

static void add_properties(struct sarif *s, const struct finding *f)
{
    const struct {
        const char *key, *value;
    } rows[] = {
        {"class", rule_class_word(f->rule->class)},
        {"level", f->level},
        {"kind", f->kind},
        {"plan", f->plan},
        {"phase", f->phase},
        {"step", f->step},
        {"release", f->release},
        {"statement", f->statement},
        {"sqlstate", f->sqlstate},
        {"probe", f->probe},
        {"safe_from", f->safe_from},
    };

    json_object_begin(&s->j, "properties");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].value)
            json_str(&s->j, rows[i].key, rows[i].value);
    json_object_end(&s->j);
}

static void add_result(struct sarif *s, const struct finding *f, uint64_t print)
{
    struct json_out *j = &s->j;

    json_object_begin(j, NULL);
    json_str(j, "ruleId", f->rule->id);
    json_int(j, "ruleIndex", s->index[f->rule - rules]);
    json_str(j, "level", level_of(f->severity));
    add_message(s, f);
    json_array_begin(j, "locations");
    json_object_begin(j, NULL);
    add_location(s, report_shown_at(&s->a, s->o, f));
    json_object_end(j);
    json_array_end(j);
    add_related(s, f);
    json_object_begin(j, "partialFingerprints");
    json_str(j, "phasegate/v1", arena_printf(&s->a, "%016" PRIx64, print));
    json_object_end(j);
    /* Empty is known not to be suppressed; left out would be unknown. */
    json_array_begin(j, "suppressions");
    if (f->allowed_because) {
        json_object_begin(j, NULL);
        json_str(j, "kind", "inSource");
        json_str(j, "status", "accepted");
        json_str(j, "justification", f->allowed_because);
        json_object_end(j);
    }
    json_array_end(j);
    add_properties(s, f);
    json_object_end(j);
}

/* ---- the run -------------------------------------------------------------------------------------------- */

static void add_tool(struct sarif *s)
{
    struct json_out *j = &s->j;

    json_object_begin(j, "tool");
    json_object_begin(j, "driver");
    json_str(j, "name", "phasegate");
    json_str(j, "version", s->o->version ? s->o->version : PHASEGATE_VERSION);
    add_rules(s);
    json_object_end(j);
    json_object_end(j);
}

static void add_invocation(struct sarif *s)
{
    const struct report_summary *sum = &s->r->summary;
    struct json_out *j = &s->j;

    json_array_begin(j, "invocations");
    json_object_begin(j, NULL);
    json_bool(j, "executionSuccessful", !s->r->is_stopped);
    if (s->r->is_stopped)
        json_int(j, "exitCode", 2);
    json_object_begin(j, "properties");
    json_bool(j, "static", s->r->is_static);
    json_int(j, "worlds", sum->worlds);
    json_int(j, "cells", sum->cells);
    json_int(j, "probed", sum->probed);
    json_int(j, "untested", sum->untested);
    json_int(j, "failing_at_baseline", sum->failing);
    if (s->r->server_version)
        json_str(j, "server_version", s->r->server_version);
    json_object_end(j);
    json_object_end(j);
    json_array_end(j);
}

static void add_root(struct sarif *s)
{
    json_object_begin(&s->j, "originalUriBaseIds");
    json_object_begin(&s->j, ROOT);
    add_text(&s->j, "description", "the root of the repository");
    json_object_end(&s->j);
    json_object_end(&s->j);
}

void report_write_sarif(const struct report_out_options *o, const struct report *r, struct str *out)
{
    struct sarif s = {.o = o, .r = r};
    struct json_out *j = &s.j;
    const uint64_t *prints = report_fingerprints(&s.a, r);

    json_begin(j, out, true);
    json_object_begin(j, NULL);
    json_str(j, "$schema",
             "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json");
    json_str(j, "version", "2.1.0");
    json_array_begin(j, "runs");
    json_object_begin(j, NULL);
    add_tool(&s);
    add_invocation(&s);
    add_root(&s);
    json_str(j, "columnKind", "unicodeCodePoints");
    json_array_begin(j, "results");
    for (int i = 0; i < r->n; i++)
        add_result(&s, &r->findings[i], prints[i]);
    json_array_end(j);
    json_object_end(j);
    json_array_end(j);
    json_object_end(j);
    arena_free(&s.a);
}

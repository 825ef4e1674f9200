/* Is it what check --format json writes, to the last field? A file that says that nothing is wrong has to be whole: what
 * is missing, unknown or odd in it is a no, with its place. */
#include "cli.h"

#include "phasegate/rules.h"

#include <jansson.h>

enum want { COUNT, FLAG, TEXT, TEXT_OR_NULL, PRINT, SUMS, OBJECT, LIST };

struct key {
    const char *name;
    enum want want;
    bool may_lack; /* files of before have none */
};

struct form {
    struct context *c;
    const char *why; /* NULL: nothing so far */
};

static bool odd(struct form *f, const char *where, const char *what)
{
    if (!f->why)
        f->why = arena_printf(&f->c->arena,
                              "it isn't what phasegate check --format json writes: "
                              "%s %s",
                              where, what);
    return false;
}

static const char *under(struct form *f, const char *where, const char *key)
{
    return arena_printf(&f->c->arena, "%s%s%s", where, *where ? "." : "",
                        proof_shown(&f->c->arena, key));
}

static const char *at(struct form *f, const char *list, size_t i)
{
    return arena_printf(&f->c->arena, "%s[%zu]", list, i);
}

static bool is_print(const json_t *v)
{
    const char *s = json_string_value(v);

    return s && strlen(s) == 16 && strspn(s, "0123456789abcdef") == 16;
}

static bool is_sums(const json_t *v)
{
    const char *key;
    json_t *one;

    json_object_foreach((json_t *) (uintptr_t) v, key,
                        one) if (!json_is_null(one) && !is_print(one)) return false;
    return json_is_object(v);
}

static bool fits(const json_t *v, enum want want)
{
    switch (want) {
    case COUNT:
        return json_is_integer(v) && json_integer_value(v) >= 0 &&
               json_integer_value(v) < INT32_MAX;
    case FLAG: return json_is_boolean(v);
    case TEXT: return json_is_string(v);
    case TEXT_OR_NULL: return json_is_string(v) || json_is_null(v);
    case PRINT: return is_print(v);
    case SUMS: return is_sums(v);
    case OBJECT: return json_is_object(v);
    case LIST: return json_is_array(v);
    }
    return false;
}

static const char *const words[] = {
    [COUNT] = "is no count",         [FLAG] = "is neither true nor false",
    [TEXT] = "is no text",           [TEXT_OR_NULL] = "is neither a text nor null",
    [PRINT] = "isn't 16 hex digits", [SUMS] = "isn't things with 16 hex digits or null each",
    [OBJECT] = "is no object",       [LIST] = "is no list",
};

static bool has_form(struct form *f, const json_t *o, const char *where, const struct key *keys,
                     int n)
{
    const char *name;
    json_t *v;

    if (!json_is_object(o))
        return odd(f, where, words[OBJECT]);
    for (int i = 0; i < n; i++) {
        v = json_object_get(o, keys[i].name);
        if (!v && !keys[i].may_lack)
            return odd(f, under(f, where, keys[i].name), "is missing");
        if (v && !fits(v, keys[i].want))
            return odd(f, under(f, where, keys[i].name), words[keys[i].want]);
    }
    json_object_foreach((json_t *) (uintptr_t) o, name, v)
    {
        bool known = false;
        for (int i = 0; i < n; i++)
            known |= strcmp(keys[i].name, name) == 0;
        if (!known)
            return odd(f, under(f, where, name), "isn't known");
    }
    return true;
}

#define KEYS(list) list, (int) (sizeof(list) / sizeof *(list))

static bool summary_form(struct form *f, const json_t *summary)
{
    static const struct key keys[] = {
        {"plans", COUNT},
        {"releases", COUNT},
        {"statements", COUNT},
        {"worlds", COUNT},
        {"cells", COUNT},
        {"probed", COUNT},
        {"carried", COUNT},
        {"untested", COUNT},
        {"failing_at_baseline", COUNT, true},
        {"by", OBJECT},
        {"errors", COUNT},
        {"warnings", COUNT},
        {"notes", COUNT},
        {"allowed", COUNT},
        {"duration_ms", COUNT},
        {"static", FLAG},
        {"server_version", TEXT_OR_NULL},
    };
    static const struct key by[] = {{"args", COUNT}, {"generated", COUNT}, {"plan", COUNT}};

    return has_form(f, summary, "summary", KEYS(keys)) &&
           has_form(f, json_object_get(summary, "by"), "summary.by", KEYS(by));
}

static bool flags_form(struct form *f, const json_t *o, const char *where)
{
    const char *key;
    json_t *v;

    json_object_foreach(json_object_get(o, "flags"), key, v) if (!json_is_string(v)) return odd(
        f, under(f, where, "flags"), "isn't flags with a text each");
    return true;
}

static bool places_form(struct form *f, const json_t *places, const char *where)
{
    static const struct key keys[] = {{"file", TEXT_OR_NULL},
                                      {"line", COUNT},
                                      {"col", COUNT},
                                      {"release", TEXT_OR_NULL},
                                      {"statement", TEXT_OR_NULL},
                                      {"flags", OBJECT},
                                      {"probe", TEXT_OR_NULL}};
    size_t i;
    json_t *one;

    json_array_foreach((json_t *) (uintptr_t) places, i, one)
    {
        const char *here = at(f, under(f, where, "places"), i);
        if (!has_form(f, one, here, KEYS(keys)) || !flags_form(f, one, here))
            return false;
    }
    return true;
}

static bool finding_form(struct form *f, const json_t *one, const char *where)
{
    static const struct key keys[] = {{"rule", TEXT},
                                      {"class", TEXT},
                                      {"severity", TEXT},
                                      {"level", TEXT_OR_NULL},
                                      {"kind", TEXT_OR_NULL},
                                      {"plan", TEXT_OR_NULL},
                                      {"phase", TEXT_OR_NULL},
                                      {"step", TEXT_OR_NULL},
                                      {"release", TEXT_OR_NULL},
                                      {"statement", TEXT_OR_NULL},
                                      {"flags", OBJECT},
                                      {"file", TEXT_OR_NULL},
                                      {"line", COUNT},
                                      {"col", COUNT},
                                      {"sqlstate", TEXT_OR_NULL},
                                      {"probe", TEXT_OR_NULL},
                                      {"message", TEXT},
                                      {"safe_from", TEXT_OR_NULL},
                                      {"help", TEXT_OR_NULL},
                                      {"allowed", TEXT_OR_NULL},
                                      {"fingerprint", PRINT},
                                      {"places", LIST}};
    enum severity s;

    if (!has_form(f, one, where, KEYS(keys)) || !flags_form(f, one, where) ||
        !places_form(f, json_object_get(one, "places"), where))
        return false;
    const struct rule *rule = rule_find(json_string_value(json_object_get(one, "rule")));
    if (!rule)
        return odd(f, under(f, where, "rule"), "is no rule of this phasegate");
    if (strcmp(json_string_value(json_object_get(one, "class")), rule_class_word(rule->class)) != 0)
        return odd(f, under(f, where, "class"), "isn't the rule's");
    if (!severity_from_word(json_string_value(json_object_get(one, "severity")), &s) ||
        s == SEVERITY_OFF)
        return odd(f, under(f, where, "severity"), "is no error, warning or note");
    return true;
}

/* What was found has to be as many as the summary says. */
static bool findings_form(struct form *f, const json_t *findings, const json_t *summary)
{
    static const char *const counts[] = {
        [SEVERITY_NOTE] = "notes", [SEVERITY_WARNING] = "warnings", [SEVERITY_ERROR] = "errors"};
    json_int_t n[SEVERITY_ERROR + 1] = {0}, allowed = 0;
    size_t i;
    json_t *one;

    json_array_foreach((json_t *) (uintptr_t) findings, i, one)
    {
        enum severity s = SEVERITY_ERROR;
        if (!finding_form(f, one, at(f, "findings", i)))
            return false;
        (void) !severity_from_word(json_string_value(json_object_get(one, "severity")), &s);
        if (json_is_string(json_object_get(one, "allowed")))
            allowed++;
        else
            n[s]++;
    }
    for (int s = SEVERITY_NOTE; s <= SEVERITY_ERROR; s++)
        if (json_integer_value(json_object_get(summary, counts[s])) != n[s])
            return odd(f, under(f, "summary", counts[s]), "isn't how many there are in findings");
    if (json_integer_value(json_object_get(summary, "allowed")) != allowed)
        return odd(f, "summary.allowed", "isn't how many there are in findings");
    return true;
}

static bool proofs_form(struct form *f, const json_t *proofs)
{
    static const struct key keys[] = {
        {"plan", TEXT},        {"phase", TEXT},   {"checksum", TEXT}, {"catalogue", PRINT},
        {"statements", PRINT}, {"policy", PRINT}, {"window", COUNT}};
    size_t i;
    json_t *one;

    json_array_foreach((json_t *) (uintptr_t) proofs, i, one)
    {
        const char *phase = json_string_value(json_object_get(one, "phase"));
        if (!has_form(f, one, at(f, "proofs", i), KEYS(keys)))
            return false;
        if (phase_from_word(phase) == PHASE_NONE && strcmp(phase, "purge") != 0)
            return odd(f, under(f, at(f, "proofs", i), "phase"), "is no phase, and not purge");
    }
    return true;
}

static bool schemas_form(struct form *f, const json_t *schemas)
{
    static const struct key keys[] = {
        {"catalogue", PRINT}, {"form", COUNT, true}, {"objects", SUMS}};
    size_t i;
    json_t *one;

    json_array_foreach((json_t *) (uintptr_t) schemas, i,
                       one) if (!has_form(f, one, at(f, "schemas", i), KEYS(keys))) return false;
    return true;
}

/* What it doesn't tell of can't be compared, and it proves nothing without. */
static const char *too_little(const json_t *schemas)
{
    size_t i;
    json_t *one;
    bool is_old = !schemas;

    json_array_foreach((json_t *) (uintptr_t) schemas, i, one)
    {
        json_int_t form = json_integer_value(json_object_get(one, "form"));
        if (form > SCHEMA_FORM)
            return "it was written by a newer phasegate";
        is_old |= form < SCHEMA_FORM;
    }
    return is_old ? "an older phasegate wrote it: it tells of tables, views, sequences and enums, "
                    "and not "
                    "of functions, domains, rights, settings and what else the proof rests on"
                  : NULL;
}

const char *proof_form(struct context *c, const json_t *doc)
{
    static const struct key keys[] = {{"version", COUNT},
                                      {"summary", OBJECT},
                                      {"findings", LIST},
                                      {"proofs", LIST},
                                      {"schemas", LIST, true}};
    const json_t *summary = json_object_get(doc, "summary"),
                 *version = json_object_get(doc, "version");
    struct form f = {.c = c};

    if (json_is_integer(version) && json_integer_value(version) != 1)
        return "it was written by another version of phasegate";
    if (!json_is_object(doc))
        return "it isn't what phasegate check --format json writes: it is no object";
    bool good = has_form(&f, doc, "", KEYS(keys)) && summary_form(&f, summary) &&
                findings_form(&f, json_object_get(doc, "findings"), summary) &&
                proofs_form(&f, json_object_get(doc, "proofs")) &&
                schemas_form(&f, json_object_get(doc, "schemas"));
    if (!good)
        return f.why;
    if (json_is_true(json_object_get(summary, "static")))
        return "it was made without a server: nothing was tried, and nothing is proved";
    return json_integer_value(json_object_get(summary, "errors")) == 0
               ? too_little(json_object_get(doc, "schemas"))
               : "it has errors: it proves nothing";
}

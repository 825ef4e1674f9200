/* The formats of a report, as a table, and the words that several of them share. */
#include "out/report_int.h"

#include <string.h>

const struct report_format report_formats[] = {
    {"text", "txt", report_write_text},        {"json", "json", report_write_json},
    {"sarif", "sarif", report_write_sarif},    {"junit", "xml", report_write_junit},
    {"github", "github", report_write_github}, {"gitlab", "gitlab.json", report_write_gitlab},
    {"markdown", "md", report_write_markdown}, {NULL, NULL, NULL},
};

const struct report_format *report_format_find(const char *name)
{
    for (const struct report_format *f = report_formats; f->name; f++)
        if (strcmp(f->name, name) == 0)
            return f;
    return NULL;
}

/* ---- characters ----------------------------------------------------------------------------------- */

void report_add_escaped(struct str *to, const char *text, report_escape *escape)
{
    size_t n = strlen(text ? text : "");

    for (size_t at = 0; at < n;) {
        size_t bad, len = str_utf8_length(text + at, n - at, &bad);
        const char *instead = len ? escape(str_utf8_point(text + at, len)) : "\xEF\xBF\xBD";

        if (instead)
            str_add(to, instead);
        else
            str_addn(to, text + at, len);
        at += len ? len : bad;
    }
}

const char *report_plain(unsigned c)
{
    if (c == '\t' || c == '\n' || c == '\r' || c == 0x85 || c == 0x2028 || c == 0x2029)
        return " ";
    if (str_is_control(c))
        return "?";
    return c == 0xFFFE || c == 0xFFFF ? "\xEF\xBF\xBD" : NULL; /* no XML can have them */
}

void report_add_plain(struct str *to, const char *text)
{
    report_add_escaped(to, text, report_plain);
}

/* ---- words ------------------------------------------------------------------------------------------ */

static void add_part(struct str *to, size_t began, const char *word, const char *text)
{
    if (!text)
        return;
    str_add(to, to->len > began ? ", " : "");
    str_add(to, word);
    report_add_plain(to, text);
}

static void add_server(struct str *to, const struct finding *f, const char *probe)
{
    if (probe) {
        str_add(to, ", probe ");
        report_add_plain(to, probe);
    }
    if (f->sqlstate) {
        str_add(to, ", SQLSTATE ");
        report_add_plain(to, f->sqlstate);
    }
}

void report_add_step(struct str *to, const struct finding *f)
{
    size_t began = to->len;
    bool is_other = f->level && strcmp(f->level, "statement") != 0;

    add_part(to, began, "plan ", f->plan);
    add_part(to, began, "", f->phase);
    add_part(to, began, "step ", f->step);
    if (to->len == began)
        return;
    if (f->kind || is_other)
        str_add(to, " (");
    report_add_plain(to, f->kind);
    if (is_other) {
        str_add(to, f->kind ? ", level " : "level ");
        report_add_plain(to, f->level);
    }
    if (f->kind || is_other)
        str_add(to, ")");
    if (f->n_places == 0)
        add_server(to, f, f->probe);
}

static void add_at(struct str *to, const struct pos *at)
{
    report_add_plain(to, at->file);
    if (at->line > 0)
        str_addf(to, ":%d", at->line);
}

void report_add_place(struct str *to, const struct finding *f, const struct place *p)
{
    bool breaks = f->level && f->severity > SEVERITY_NOTE && f->rule->class <= RULE_FLAG;

    str_add(to, breaks ? "breaks " : "concerns ");
    if (p->statement) {
        report_add_plain(to, p->statement);
        str_add(to, p->release ? " of " : "");
    }
    if (p->release) {
        str_add(to, p->is_consumer ? "consumer " : "release ");
        report_add_plain(to, p->release);
    }
    if (p->at.file) {
        str_add(to, p->statement || p->release ? " (" : "");
        add_at(to, &p->at);
        str_add(to, p->statement || p->release ? ")" : "");
    }
    for (int i = 0; i < p->flags.n; i++) {
        str_add(to, i == 0 ? " with " : ", ");
        report_add_plain(to, p->flags.items[i].key.s);
        str_add(to, "=");
        report_add_plain(to, p->flags.items[i].value.s);
    }
    add_server(to, f, p->probe);
}

enum { RELEASES_SHOWN = 12 };

static bool is_named_before(const struct finding *f, int from, int i)
{
    for (int k = from; k < i; k++)
        if (f->places[k].is_consumer == f->places[i].is_consumer && f->places[k].release &&
            strcmp(f->places[k].release, f->places[i].release) == 0)
            return true;
    return false;
}

void report_add_more(struct str *to, const struct finding *f, int shown)
{
    int named = 0;

    str_addf(to, "and %d more", f->n_places - shown);
    for (int i = shown; i < f->n_places; i++) {
        const struct place *p = &f->places[i];

        if (!p->release || is_named_before(f, shown, i))
            continue;
        if (named++ == RELEASES_SHOWN) {
            str_add(to, ", ...");
            return;
        }
        str_addf(to, "%s%s", named == 1 ? " of " : ", ", p->is_consumer ? "consumer " : "release ");
        report_add_plain(to, p->release);
    }
}

void report_add_page(struct str *to, const struct finding *f)
{
    str_addf(to, "see docs/rules/%s.md", f->rule->id);
}

void report_add_details(struct str *to, const struct finding *f, int max, const char *indent)
{
    int shown = f->n_places > max ? max : f->n_places;
    AUTO(str) step = {0};

    report_add_step(&step, f);
    if (step.len)
        str_addf(to, "%s%s\n", indent, str_text(&step));
    for (int i = 0; i < shown; i++) {
        str_add(to, indent);
        report_add_place(to, f, &f->places[i]);
        str_add(to, "\n");
    }
    if (shown < f->n_places) {
        str_add(to, indent);
        report_add_more(to, f, shown);
        str_add(to, "\n");
    }
    if (f->safe_from) {
        str_addf(to, "%ssafe from: ", indent);
        report_add_plain(to, f->safe_from);
        str_add(to, "\n");
    }
    str_addf(to, "%shelp: ", indent);
    if (f->help)
        report_add_plain(to, f->help);
    else
        report_add_page(to, f);
    str_add(to, "\n");
}

static void add_count(struct str *to, int n, const char *word)
{
    str_addf(to, "%d %s%s", n, word, n == 1 ? "" : "s");
}

void report_add_tally(struct str *to, const struct report *r)
{
    add_count(to, r->summary.errors, "error");
    str_add(to, ", ");
    add_count(to, r->summary.warnings, "warning");
    str_add(to, ", ");
    add_count(to, r->summary.notes, "note");
    if (r->summary.allowed > 0)
        str_addf(to, ", %d allowed", r->summary.allowed);
}

void report_add_failing(struct str *to, const struct report_summary *s)
{
    add_count(to, s->failing, "statement");
    str_addf(to, " %s already at the baseline and %s proved", s->failing == 1 ? "fails" : "fail",
             s->failing == 1 ? "isn't" : "aren't");
}

void report_add_summary(struct str *to, const struct report *r)
{
    const struct report_summary *s = &r->summary;

    report_add_tally(to, r);
    str_add(to, "; ");
    if (r->is_stopped) {
        str_add(to, "nothing was checked: the input can't be read");
        return;
    }
    if (r->is_static) {
        add_count(to, s->plans, "plan");
        str_add(to, ", files only: no world was tried");
        return;
    }
    add_count(to, s->worlds, "world");
    str_add(to, ", ");
    add_count(to, s->cells, "cell");
    str_addf(to, " (%d run, %d carried over, %d untested)", s->probed - s->carried, s->carried,
             s->untested);
    if (s->failing > 0) {
        str_add(to, "; ");
        report_add_failing(to, s);
    }
    if (r->server_version) {
        str_add(to, "; PostgreSQL ");
        report_add_plain(to, r->server_version);
    }
}

/* ---- for services ------------------------------------------------------------------------------------ */

const char *report_file(struct arena *a, const struct report_out_options *o, const char *file)
{
    if (!file)
        file = o->project_file ? o->project_file : "phasegate.yaml";
    return *file == '/' || !o->prefix ? file : arena_printf(a, "%s%s", o->prefix, file);
}

struct pos report_shown_at(struct arena *a, const struct report_out_options *o,
                           const struct finding *f)
{
    struct pos at = f->at;

    if (!at.file && f->n_places > 0)
        at = f->places[0].at;
    if (!at.file)
        at = (struct pos) {0};
    at.file = report_file(a, o, at.file);
    at.line = at.line > 0 ? at.line : 1;
    at.col = at.col > 0 ? at.col : 0;
    return at;
}

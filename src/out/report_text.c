/* A report for people at a terminal: where, what, the line, what it breaks, and the way out. */
#include "out/report_int.h"

#include <stdint.h>
#include <string.h>

#define EXCERPT_WIDTH 100 /* characters of a line; a longer one is cut around the place */

static const char plain[] = "\033[0m", bold[] = "\033[1m", faint[] = "\033[2m";

static const char *severity_code(enum severity s)
{
    static const char *const codes[] = {
        [SEVERITY_OFF] = faint,
        [SEVERITY_NOTE] = "\033[1;36m",
        [SEVERITY_WARNING] = "\033[1;33m",
        [SEVERITY_ERROR] = "\033[1;31m",
    };

    return codes[s];
}

static const char *code(const struct report_out_options *o, const char *code)
{
    return o->colour ? code : "";
}

static void add_head(struct str *to, const struct report_out_options *o, const struct finding *f)
{
    if (f->at.file) {
        str_add(to, code(o, bold));
        report_add_plain(to, f->at.file);
        if (f->at.line > 0)
            str_addf(to, ":%d", f->at.line);
        if (f->at.line > 0 && f->at.col > 0)
            str_addf(to, ":%d", f->at.col);
        str_addf(to, ":%s ", code(o, plain));
    }
    str_addf(
        to, "%s%s%s[%s]: ", code(o, severity_code(f->allowed_because ? SEVERITY_OFF : f->severity)),
        f->allowed_because ? "allowed" : severity_word(f->severity), code(o, plain), f->rule->id);
    report_add_plain(to, f->message);
    if (f->allowed_because) {
        str_add(to, " (");
        report_add_plain(to, f->allowed_because);
        str_add(to, ")");
    }
    str_add(to, "\n");
}

/* ---- the line itself -------------------------------------------------------------------------------- */

/* Byte at which the n-th character of valid UTF-8 starts, or its end. */
static size_t nth_char(const char *text, int n)
{
    size_t at = 0;

    while (text[at] && n > 0) {
        at++;
        while (((unsigned char) text[at] & 0xC0) == 0x80)
            at++;
        n--;
    }
    return at;
}

static void add_excerpt(struct str *to, const struct report_out_options *o, const struct pos *at)
{
    const char *line =
        o->line && at->file && at->line > 0 ? o->line(o->ctx, at->file, at->line) : NULL;
    AUTO(str) clean = {0};

    if (!line)
        return;
    report_add_plain(&clean, line);
    int col = at->col > 0 ? at->col : 0;
    int from = col > EXCERPT_WIDTH * 3 / 4 ? col - EXCERPT_WIDTH / 2 : 0;
    const char *text = str_text(&clean) + nth_char(str_text(&clean), from);
    size_t n = nth_char(text, EXCERPT_WIDTH);

    str_addf(to, "%s%5d |%s %s%.*s%s\n", code(o, faint), at->line, code(o, plain),
             from ? "..." : "", (int) n, text, text[n] ? "..." : "");
    if (col > 0 && nth_char(text, col - from) <= n &&
        nth_char(text, col - from - 1) < strlen(text) + 1)
        str_addf(to, "%s      |%s %s%*s%s^%s\n", code(o, faint), code(o, plain), from ? "   " : "",
                 col - from - 1, "", code(o, severity_code(SEVERITY_ERROR)), code(o, plain));
}

static void add_one(struct str *to, const struct report_out_options *o, const struct finding *f)
{
    add_head(to, o, f);
    if (f->allowed_because)
        return;
    add_excerpt(to, o, &f->at);
    report_add_details(to, f, o->verbose ? INT32_MAX : REPORT_PLACES, "  ");
}

void report_add_finding(struct str *to, const struct report_out_options *o, const struct finding *f)
{
    struct report_out_options quiet = *o;

    quiet.colour = quiet.verbose = false;
    add_one(to, &quiet, f);
}

/* ---- the end ------------------------------------------------------------------------------------------ */

/* The one plan that everything is about; NULL: several, or none. */
static const char *only_plan(const struct report *r)
{
    const char *plan = NULL;

    for (int i = 0; i < r->n; i++) {
        const char *p = r->findings[i].plan;

        if (r->findings[i].allowed_because)
            continue;
        if (!p || (plan && strcmp(plan, p) != 0))
            return NULL;
        plan = p;
    }
    return plan;
}

/* A path that a shell would take apart is quoted. */
static void add_path(struct str *to, const char *path)
{
    bool is_plain = !strpbrk(path, " \t\"'\\$`*?[]{}()<>|&;!#~");

    str_add(to, is_plain ? " " : " '");
    for (const char *s = path; *s; s++) {
        size_t n = strcspn(s, "'");
        AUTO(str) part = {0};

        str_addn(&part, s, n);
        report_add_plain(to, str_text(&part));
        s += n;
        if (!*s)
            break;
        str_add(to, "'\\''");
    }
    str_add(to, is_plain ? "" : "'");
}

static void add_next(struct str *to, const struct report_out_options *o, const struct report *r)
{
    const char *plan = only_plan(r);
    int open = r->n - r->summary.allowed;

    if (o->paths) {
        if (open == 0)
            return;
        str_addf(to, "next: mend %s, then: phasegate check --static", open == 1 ? "it" : "them");
        for (int i = 0; i < o->n_paths; i++)
            add_path(to, o->paths[i]);
        str_add(to, "\n");
        return;
    }

    if (open > 0) {
        str_addf(to, "next: mend %s, then: phasegate check%s", open == 1 ? "it" : "them",
                 plan ? " " : "");
        report_add_plain(to, plan);
        str_addf(to, "%s\n", r->is_static ? " --static" : "");
    } else if (r->is_static)
        str_add(to, "next: phasegate check, which proves it on a shadow\n");
}

void report_write_text(const struct report_out_options *o, const struct report *r, struct str *out)
{
    bool show_allowed = o->verbose && r->summary.allowed > 0;

    for (int i = 0; i < r->n; i++)
        if (!r->findings[i].allowed_because) {
            add_one(out, o, &r->findings[i]);
            str_add(out, "\n");
        }
    for (int i = 0; i < r->n && show_allowed; i++)
        if (r->findings[i].allowed_because)
            add_one(out, o, &r->findings[i]);
    str_addf(out, "%s%s", show_allowed ? "\n" : "", code(o, bold));
    report_add_summary(out, r);
    str_addf(out, "%s\n", code(o, plain));
    add_next(out, o, r);
}

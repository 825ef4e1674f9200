/* A report as a comment of a pull request. What comes from outside stands in code, so that no message is mark-up or
 * calls somebody. */
#include "out/report_int.h"

#include <string.h>

#define ROWS_MAX                                                                                   \
    (REPORT_MARKDOWN_MAX / 3) /* bytes of the table: the rest is for what is told of each */
#define DETAIL_MAX 6000       /* bytes of one finding */
#define TAIL_MAX 400          /* bytes kept for the last lines */

static const char *html_char(unsigned c)
{
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '|': return "&#124;";
    case '`': return "&#96;";
    case '*': return "&#42;";
    case '_': return "&#95;";
    case '[': return "&#91;";
    case '\\': return "&#92;";
    case '~': return "&#126;";
    default: return report_plain(c);
    }
}

/* Outside <code> @all would call everybody. */
static const char *said_char(unsigned c) { return c == '@' ? "@&#8203;" : html_char(c); }

/* Nobody is called from inside <code>, and its entities are no mark-up. */
static void add_code(struct str *to, const char *text, int line)
{
    if (!text || !*text)
        return;
    str_add(to, "<code>");
    report_add_escaped(to, text, html_char);
    if (line > 0)
        str_addf(to, ":%d", line);
    str_add(to, "</code>");
}

/* ---- the table ---------------------------------------------------------------------------------------- */

static void add_broken(struct str *to, const struct finding *f)
{
    AUTO(str) name = {0};

    if (f->n_places == 0)
        return;
    str_add(&name, f->places[0].statement ? f->places[0].statement : "");
    if (f->places[0].release)
        str_addf(&name, "%s%s", name.len ? " of " : "", f->places[0].release);
    add_code(to, str_text(&name), 0);
    if (f->n_places > 1) {
        AUTO(str) more = {0};

        report_add_more(&more, f, 1);
        str_add(to, " ");
        report_add_escaped(to, str_text(&more), said_char);
    }
}

static void add_row(struct str *to, const struct finding *f)
{
    str_addf(to, "| %s | <code>%s</code> | ", severity_word(f->severity), f->rule->id);
    add_code(to, f->at.file, f->at.line);
    str_add(to, " | ");
    add_broken(to, f);
    str_add(to, " | ");
    add_code(to, f->safe_from, 0);
    str_add(to, " |\n");
}

/* ---- one finding ---------------------------------------------------------------------------------------- */

static int longest_run(const char *text)
{
    int longest = 0, run = 0;

    for (; *text; text++) {
        run = *text == '`' ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest;
}

static void cut(struct str *s, size_t max)
{
    if (s->len <= max)
        return;
    while (max > 0 && ((unsigned char) s->text[max] & 0xC0) == 0x80)
        max--;
    s->len = max;
    s->text[max] = '\0';
    str_add(s, "...\n");
}

static void add_detail(struct str *to, const struct report_out_options *o, const struct finding *f)
{
    AUTO(str) text = {0}, message = {0};

    report_add_plain(&message, f->message);
    cut(&message, DETAIL_MAX / 12);
    report_add_finding(&text, o, f);
    cut(&text, DETAIL_MAX / 2);
    str_addf(to, "<details><summary>%s <code>%s</code>: ", severity_word(f->severity), f->rule->id);
    report_add_escaped(to, str_text(&message), said_char);
    str_add(to, "</summary>\n\n");
    int fence = longest_run(str_text(&text)) + 1;
    fence = fence < 3 ? 3 : fence;
    for (int i = 0; i < fence; i++)
        str_addc(to, '`');
    str_addf(to, "text\n%s", str_text(&text));
    for (int i = 0; i < fence; i++)
        str_addc(to, '`');
    str_add(to, "\n\n</details>\n\n");
}

/* ---- the comment ---------------------------------------------------------------------------------------- */

typedef void add_part(struct str *to, const struct report_out_options *o, const struct finding *f);

static void row_part(struct str *to, const struct report_out_options *o, const struct finding *f)
{
    (void) o;
    add_row(to, f);
}

/* The worst first, as many as fit below max; how many didn't. */
static int add_parts(struct str *out, const struct report_out_options *o, const struct report *r,
                     size_t max, add_part *add)
{
    int left = 0;

    for (int s = SEVERITY_ERROR; s >= SEVERITY_NOTE; s--)
        for (int i = 0; i < r->n; i++) {
            const struct finding *f = &r->findings[i];
            AUTO(str) part = {0};

            if ((int) f->severity != s || f->allowed_because)
                continue;
            if (left == 0)
                add(&part, o, f);
            if (left > 0 || out->len + part.len > max)
                left++;
            else
                str_add(out, str_text(&part));
        }
    return left;
}

static void add_heading(struct str *out, const struct report *r)
{
    bool is_clean = r->n == r->summary.allowed;

    /* By the first line a job finds the comment that it wrote before. */
    str_add(out, "<!-- phasegate check -->\n### phasegate check: ");
    if (is_clean)
        str_add(out, "clean\n\n");
    else {
        report_add_tally(out, r);
        str_add(out, "\n\n");
    }
}

void report_write_markdown(const struct report_out_options *o, const struct report *r,
                           struct str *out)
{
    AUTO(str) all = {0};
    int rows_left = 0, left = 0;

    add_heading(&all, r);
    if (r->n > r->summary.allowed) {
        str_add(&all, "| severity | rule | where | breaks | safe from |\n|---|---|---|---|---|\n");
        rows_left = add_parts(&all, o, r, ROWS_MAX, row_part);
        str_add(&all, "\n");
        if (rows_left > 0)
            str_addf(&all, "and %d more\n\n", rows_left);
        left = add_parts(&all, o, r, REPORT_MARKDOWN_MAX - TAIL_MAX, add_detail);
        if (left > 0)
            str_addf(&all, "and %d more: <code>phasegate check</code> shows all of them\n\n", left);
    }
    report_add_summary(&all, r);
    str_add(&all, "\n");
    str_add(out, str_text(&all));
}

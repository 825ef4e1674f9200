/* A report as the log of a GitHub workflow reads it: a workflow command for each finding. */
#include "out/report_int.h"

/* What the runner takes back: % and the ends of lines; in a property its own delimiters as well. */
static const char *data_char(unsigned c)
{
    return c == '%' ? "%25" : c == '\n' ? "%0A" : report_plain(c);
}

static const char *property_char(unsigned c)
{
    return c == ':' ? "%3A" : c == ',' ? "%2C" : c == '\n' ? " " : data_char(c);
}

static const char *command_of(enum severity s)
{
    return s == SEVERITY_ERROR ? "error" : s == SEVERITY_WARNING ? "warning" : "notice";
}

static void add_finding(struct str *out, struct arena *a, const struct report_out_options *o,
                        const struct finding *f)
{
    struct pos at = report_shown_at(a, o, f);
    AUTO(str) details = {0};

    str_addf(out, "::%s file=", command_of(f->severity));
    report_add_escaped(out, at.file, property_char);
    str_addf(out, ",line=%d", at.line);
    if (at.col > 0)
        str_addf(out, ",col=%d", at.col);
    str_addf(out, ",title=phasegate %s::", f->rule->id);
    report_add_plain(&details, f->message);
    str_add(&details, "\n");
    report_add_details(&details, f, REPORT_PLACES, "");
    details.text[--details.len] = '\0';
    report_add_escaped(out, str_text(&details), data_char);
    str_add(out, "\n");
}

void report_write_github(const struct report_out_options *o, const struct report *r,
                         struct str *out)
{
    AUTO(arena) a = {0};

    /* A workflow shows ten of a kind: the worst don't stand behind the others. */
    for (int s = SEVERITY_ERROR; s >= SEVERITY_NOTE; s--)
        for (int i = 0; i < r->n; i++)
            if ((int) r->findings[i].severity == s && !r->findings[i].allowed_because)
                add_finding(out, &a, o, &r->findings[i]);
    report_add_summary(out, r);
    str_add(out, "\n");
}

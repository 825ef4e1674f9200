/* A report for GitLab's merge requests: its Code Quality JSON. */
#include "out/report_int.h"

#include "phasegate/json_out.h"

#include <inttypes.h>

static const char *severity_of(enum severity s)
{
    return s == SEVERITY_ERROR ? "critical" : s == SEVERITY_WARNING ? "minor" : "info";
}

/* One line: the widget shows no more. */
static void add_description(struct str *to, const struct finding *f)
{
    report_add_plain(to, f->message);
    if (f->n_places > 0) {
        str_add(to, ": ");
        report_add_place(to, f, &f->places[0]);
    }
    if (f->n_places > 1) {
        str_add(to, " ");
        report_add_more(to, f, 1);
    }
    if (f->help) {
        str_add(to, "; ");
        report_add_plain(to, f->help);
    }
}

static void add_finding(struct json_out *j, struct arena *a, const struct report_out_options *o,
                        const struct finding *f, uint64_t print)
{
    struct pos at = report_shown_at(a, o, f);
    AUTO(str) description = {0};

    add_description(&description, f);
    json_object_begin(j, NULL);
    json_str(j, "description", str_text(&description));
    json_str(j, "check_name", f->rule->id);
    json_str(j, "fingerprint", arena_printf(a, "%016" PRIx64, print));
    json_str(j, "severity", severity_of(f->severity));
    json_object_begin(j, "location");
    json_str(j, "path", at.file);
    json_object_begin(j, "lines");
    json_int(j, "begin", at.line);
    json_object_end(j);
    json_object_end(j);
    json_object_end(j);
}

void report_write_gitlab(const struct report_out_options *o, const struct report *r,
                         struct str *out)
{
    struct json_out j;
    AUTO(arena) a = {0};
    const uint64_t *prints = report_fingerprints(&a, r);

    json_begin(&j, out, true);
    json_array_begin(&j, NULL);
    for (int i = 0; i < r->n; i++)
        if (!r->findings[i].allowed_because)
            add_finding(&j, &a, o, &r->findings[i], prints[i]);
    json_array_end(&j);
}

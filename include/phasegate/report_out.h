/* report_out: a finished report, written as each of the formats that people and services read.
 *
 * One row of report_formats a format; each is a pure function of options and report. The formats for other services
 * (github, gitlab, sarif, junit) name files as the repository does. Whatever the texts of a report hold, what is
 * written is well-formed: valid UTF-8, no control characters, no mark-up out of a message.
 *
 *     const struct report_format *f = report_format_find("sarif");
 *     AUTO(str) text = {.ceiling = (size_t) 1 << 30};
 *     f->write(&options, &report, &text);
 *
 * A document that meets the ceiling of its str is cut there, and no document any more: give room.
 */
#ifndef PHASEGATE_REPORT_OUT_H
#define PHASEGATE_REPORT_OUT_H

#include "phasegate/report.h"

#define REPORT_VERSION 1                /* of the JSON; docs/check.schema.json */
#define REPORT_MARKDOWN_MAX (60 * 1000) /* bytes: what a comment of a merge request may be long */

struct report_out_options { /* zeroed: sensible */
    /* That line of a file, without its end; NULL: there is none. Good until the next call. NULL: no excerpts. */
    const char *(*line)(void *ctx, const char *file, int line);
    void *ctx;
    bool colour;  /* text only */
    bool verbose; /* text only: what is allowed, and every place, as well */
    /* Ids of the plans that were checked, then NULL: those without a finding pass. NULL: those of the findings. */
    const char *const *plans;
    const char *const *paths; /* files that were asked for, instead of plans; NULL: none */
    int n_paths;
    const char *
        prefix; /* of relative files, for services: "db/"; NULL: the project is the repository's root */
    const char *project_file; /* where services show what concerns no file; NULL: phasegate.yaml */
    const char *version;      /* of the program; NULL: this one's */
    enum severity fail_on;    /* from where a junit case fails; 0: error */
};

struct report_format {
    const char *name;      /* "sarif" */
    const char *extension; /* "sarif", as a file of it is called */
    void (*write)(const struct report_out_options *o, const struct report *r, struct str *out);
};
extern const struct report_format report_formats[]; /* ends with name NULL */
struct json_out;
/* The list of findings, as the JSON has it. */
void report_findings_json(struct json_out *j, const char *key, const struct report *r);
const struct report_format *report_format_find(const char *name); /* NULL: no such format */

#endif

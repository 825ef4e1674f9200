/* report_int: what the formats of a report share. Private to out. */
#ifndef PHASEGATE_REPORT_INT_H
#define PHASEGATE_REPORT_INT_H

#include "phasegate/report_out.h"

void report_write_text(const struct report_out_options *o, const struct report *r, struct str *out);
void report_write_json(const struct report_out_options *o, const struct report *r, struct str *out);
void report_write_sarif(const struct report_out_options *o, const struct report *r,
                        struct str *out);
void report_write_junit(const struct report_out_options *o, const struct report *r,
                        struct str *out);
void report_write_github(const struct report_out_options *o, const struct report *r,
                         struct str *out);
void report_write_gitlab(const struct report_out_options *o, const struct report *r,
                         struct str *out);
void report_write_markdown(const struct report_out_options *o, const struct report *r,
                           struct str *out);

/* ---- characters ---------------------------------------------------------------------------------- */

/* Adds text as valid UTF-8, each character as escape() wants it; NULL: as it is. */
typedef const char *report_escape(unsigned c);
void report_add_escaped(struct str *to, const char *text, report_escape *escape);
/* One line without control characters, nor those that turn the direction of writing. */
const char *report_plain(unsigned c);
void report_add_plain(struct str *to, const char *text);

/* ---- words: plain, valid UTF-8, the only newlines are ours ------------------------------------------ */

#define REPORT_PLACES 10 /* so many places of a finding are told where people read */

/* "plan p, contract, step drop (rolling)"; nothing when no part is known. */
void report_add_step(struct str *to, const struct finding *f);
/* "breaks GetOrder of release 4.4.0 (statements/4.4.0.sql:12) with read=off, probe H, SQLSTATE 42703" */
void report_add_place(struct str *to, const struct finding *f, const struct place *p);
/* "and 3 more of release 4.4.0, consumer report": the places from the one at shown on. */
void report_add_more(struct str *to, const struct finding *f, int shown);
/* A line for each of the step, at most max places, safe_from and help, each after indent. */
void report_add_details(struct str *to, const struct finding *f, int max, const char *indent);
/* "1 error, 2 warnings, 0 notes" */
void report_add_tally(struct str *to, const struct report *r);
/* The tally, what was tried, and the server. */
void report_add_summary(struct str *to, const struct report *r);
/* "2 statements fail already at the baseline and aren't proved" */
void report_add_failing(struct str *to, const struct report_summary *s);
/* "see docs/rules/x.md" */
void report_add_page(struct str *to, const struct finding *f);
/* A finding as text has it, without colour, no line after it. */
void report_add_finding(struct str *to, const struct report_out_options *o,
                        const struct finding *f);

/* ---- for services ---------------------------------------------------------------------------------- */

/* The file to show it at, as the repository names it. */
const char *report_file(struct arena *a, const struct report_out_options *o, const char *file);
/* First of at, its first place, the project file. line 0 becomes 1: services want one. */
struct pos report_shown_at(struct arena *a, const struct report_out_options *o,
                           const struct finding *f);

#endif

/* check that ended before it had looked: what can't be read stands in every format that was asked for, at its place, so
 * that no service shows an empty list for it.
 */
#include "check_static.h"
#include "cli.h"

#include "phasegate/json_out.h"
#include "phasegate/report_out.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* "plans/x.yaml:3:1: what" */
static const char *split_place(struct arena *a, const char *message, struct pos *at)
{
    for (const char *s = strchr(message, ':'); s; s = strchr(s + 1, ':')) {
        char *end;

        if (s == message || !isdigit((unsigned char) s[1]))
            continue;
        long line = strtol(s + 1, &end, 10), col = 0;
        if (*end == ':' && isdigit((unsigned char) end[1]))
            col = strtol(end + 1, &end, 10);
        if (strncmp(end, ": ", 2) != 0 || line < 1 || line > 100000000 || col < 0 || col > 100000)
            continue;
        *at =
            (struct pos) {arena_strndup(a, message, (size_t) (s - message)), (int) line, (int) col};
        return end + 2;
    }
    return message;
}

static void add_problems(struct report *r, const struct problem_list *l)
{
    for (int i = 0; i < l->n; i++) {
        const struct problem *p = &l->items[i];

        report_unreadable(r, p->at,
                          arena_printf(&r->arena, "%s%s%s", p->message,
                                       p->expected ? "; expected " : "",
                                       p->expected ? p->expected : ""),
                          p->hint, NULL);
    }
}

static void add_error(struct report *r, const struct err *err)
{
    struct pos at = {0};
    const char *what = split_place(&r->arena, str_text(&err->message), &at);

    report_unreadable(r, at,
                      arena_printf(&r->arena, "%s%s%s", what, err->detail.len ? "; " : "",
                                   str_text(&err->detail)),
                      err->hint.len ? str_text(&err->hint) : NULL,
                      *err->sqlstate ? err->sqlstate : NULL);
}

void check_failed(struct context *c, const struct err *err)
{
    AUTO(report) r = {.is_stopped = true};
    AUTO(err) ignored = {0};
    const char *format = opt_text(c, OPT_CHECK_FORMAT);
    struct json_out j;

    if (!err_is(err, ERR_INPUT) && !err_is(err, ERR_CONFIG))
        return;
    if (c->problems.n)
        add_problems(&r, &c->problems);
    else
        add_error(&r, err);
    report_finish(&r);
    /* The error itself is what counts: that a file can't be written says less. */
    (void) !check_write_files(c, &r, &ignored);
    if (out_is_json(&c->out)) {
        json_begin(&j, &c->out.findings, false);
        report_findings_json(&j, NULL, &r);
    } else if (format && strcmp(format, "text") != 0 && strcmp(format, "mermaid") != 0)
        check_print(c, &r);
}

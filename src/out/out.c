/* The sink: data, messages, the JSON envelope. */
#include "out_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A history of years must fit into one JSON answer. */
#define RESULT_CEILING ((size_t) 1 << 30)

static const char *const codes[] = {
    [STYLE_PLAIN] = "\033[0m", [STYLE_BOLD] = "\033[1m",  [STYLE_GOOD] = "\033[32m",
    [STYLE_BAD] = "\033[31m",  [STYLE_WARN] = "\033[33m", [STYLE_FAINT] = "\033[2m",
};

void out_begin(struct out *o, enum out_format format, int verbosity, bool colour)
{
    memset(o, 0, sizeof *o);
    o->events.ops = &out_events_ops;
    o->format = format;
    o->verbosity = verbosity;
    o->command = "";
    o->data = stdout;
    o->messages = stderr;
    o->data_tty = isatty(STDOUT_FILENO);
    o->messages_tty = isatty(STDERR_FILENO);
    o->data_colour = colour && o->data_tty && format == OUT_TEXT;
    o->messages_colour = colour && o->messages_tty;
    o->result.ceiling = RESULT_CEILING;
}

struct json_out *out_json(struct out *o)
{
    if (!o->has_result) {
        o->has_result = true;
        json_begin(&o->json, &o->result, false);
        json_object_begin(&o->json, NULL);
    }
    return &o->json;
}

void out_json_drop(struct out *o)
{
    str_clear(&o->result);
    o->has_result = false;
}

const char *out_style(const struct out *o, enum out_style s)
{
    return o->data_colour ? codes[s] : "";
}

const char *out_message_style(const struct out *o, enum out_style s)
{
    return o->messages_colour ? codes[s] : "";
}

void out_print(struct out *o, const char *fmt, ...)
{
    va_list ap;

    if (o->format != OUT_TEXT)
        return;
    out_bar_clear(o);
    va_start(ap, fmt);
    vfprintf(o->data, fmt, ap);
    va_end(ap);
}

static void message(struct out *o, enum out_style s, const char *word, const char *fmt, va_list ap)
{
    AUTO(str) text = {0};
    AUTO(arena) a = {0};

    str_vaddf(&text, fmt, ap);
    out_bar_clear(o);
    fflush(o->data); /* where both end in one log, they stand in their order */
    fprintf(o->messages, "%s%s%s%s\n", out_message_style(o, s), word,
            s == STYLE_PLAIN ? "" : out_message_style(o, STYLE_PLAIN),
            out_clean(&a, str_text(&text), true));
}

void out_say(struct out *o, const char *fmt, ...)
{
    va_list ap;

    if (o->verbosity < 0)
        return;
    va_start(ap, fmt);
    message(o, STYLE_PLAIN, "", fmt, ap);
    va_end(ap);
}

void out_warn(struct out *o, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    message(o, STYLE_WARN, "warning: ", fmt, ap);
    va_end(ap);
}

/* "::error::" (GitHub Actions) and "##[error]" (Azure Pipelines) at the start of a line are orders to whoever runs us:
 * names of files and words of servers don't give any. */
static bool is_order(const char *line)
{
    line += strspn(line, " \t\r\v\f");
    return strncmp(line, "::", 2) == 0 || strncmp(line, "##[", 3) == 0;
}

const char *out_clean(struct arena *a, const char *text, bool multi)
{
    size_t n = strlen(text ? text : ""), to = 0;
    char *out = arena_alloc(a, n + 1);
    bool orders = n > 0 && is_order(text);

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char) text[i];
        size_t bad, len = str_utf8_length(text + i, n - i, &bad);
        /* Terminals obey C1 controls like ESC sequences, and turn letters round. */
        bool is_control = len && str_is_control(str_utf8_point(text + i, len));

        if (orders && (c == ':' || c == '#')) {
            out[to++] = '?';
            orders = false;
        } else if (c == '\n' && multi) {
            out[to++] = '\n';
            orders = is_order(text + i + 1);
        } else if (c == '\t' || c == '\n' || c == '\r')
            out[to++] = ' ';
        else if (is_control) {
            out[to++] = '?';
            i += len - 1;
        } else
            out[to++] = (char) c;
    }
    out[to] = '\0';
    return out;
}

void out_put_line(struct out *o, FILE *f, const struct str *line)
{
    (void) o;
    fwrite(str_text(line), 1, line->len, f);
    fputc('\n', f);
}

/* An error may have come in the middle of a list. */
static void close_open(struct json_out *j)
{
    while (j->depth > 1)
        if (j->is_object[j->depth - 1])
            json_object_end(j);
        else
            json_array_end(j);
}

/* The result may be of many megabytes: it goes out as it is, and isn't copied into the envelope. */
static void put_result(struct out *o, struct json_out *j)
{
    json_raw(j, "result", "");
    fwrite(str_text(j->to), 1, j->to->len, o->data);
    fwrite(str_text(&o->result), 1, o->result.len, o->data);
    str_clear(j->to);
}

static void envelope(struct out *o, const struct err *err, int exit_code)
{
    AUTO(str) text = {0};
    struct json_out j;

    json_begin(&j, &text, false);
    json_object_begin(&j, NULL);
    if (o->format == OUT_JSONL)
        json_str(&j, "event", "end");
    json_int(&j, "version", OUT_VERSION);
    json_str(&j, "command", o->command);
    json_bool(&j, "ok", exit_code == 0);
    json_int(&j, "exit_code", exit_code);
    json_str(&j, "run_id", o->run_id);
    if (o->has_result) {
        if (err && err->kind != ERR_NONE)
            close_open(&o->json);
        json_object_end(&o->json);
        put_result(o, &j);
    }
    if (err && err->kind != ERR_NONE)
        out_error_json(&j, "error", err);
    if (o->extra_key)
        json_raw(&j, o->extra_key, str_text(&o->extra));
    if (o->findings.len)
        json_raw(&j, "findings", str_text(&o->findings));
    json_object_end(&j);
    out_put_line(o, o->data, &text);
}

int out_end(struct out *o, const struct err *err, int exit_code)
{
    out_bar_clear(o);
    if (err && err->kind != ERR_NONE)
        out_error(o, err);
    if (out_is_json(o))
        envelope(o, err, exit_code);
    if (fflush(o->data) != 0 || ferror(o->data)) {
        /* `phasegate ... | head` is nobody's mistake. */
        if (errno != EPIPE) {
            fprintf(o->messages, "phasegate: could not write to standard output: %s\n",
                    strerror(errno));
            exit_code = exit_code ? exit_code : 3;
        }
    }
    str_free(&o->result);
    str_free(&o->extra);
    str_free(&o->findings);
    str_free(&o->last_wait);
    return exit_code;
}

/* out: what people and programs see. One sink for every command.
 *
 * Data goes to standard output, progress and messages to standard error. In text a command prints its data
 * as it goes; in json it fills one object, `result`, which out_end() prints inside the versioned envelope
 *
 *     {"version":1,"command":"status","ok":true,"exit_code":0,"run_id":"...","result":{...}}
 *     {"version":1,"command":"advance","ok":false,"exit_code":4,"run_id":"...","error":{...}}
 *
 * and in jsonl every event is an object of its own on standard output before that last line. Text from
 * outside is cleaned of control characters on its way to a terminal. `struct out` is an events port as well:
 * hand &o->events to the engine. It owns its buffers: out_end() releases them.
 */
#ifndef PHASEGATE_OUT_H
#define PHASEGATE_OUT_H

#include "phasegate/json_out.h"
#include "phasegate/ports.h"

#include <stdio.h>

#define OUT_VERSION 1 /* of the JSON envelope; docs/output.schema.json */

enum out_format { OUT_TEXT, OUT_JSON, OUT_JSONL };

enum out_style { STYLE_PLAIN, STYLE_BOLD, STYLE_GOOD, STYLE_BAD, STYLE_WARN, STYLE_FAINT };

struct out {
    struct events events; /* first: the port is the sink */
    enum out_format format;
    int verbosity;       /* -1: errors and warnings only; 0; 1: every event */
    const char *command; /* in the envelope; "" until known */
    const char *run_id;  /* NULL: none yet */
    struct clock *clock; /* NULL: no progress lines a minute */
    FILE *data, *messages;
    bool data_tty, messages_tty, data_colour, messages_colour;
    struct str result;
    struct json_out json;
    bool has_result;
    const char *extra_key; /* more about the error in JSON: "problems"; NULL */
    struct str extra;
    struct str findings; /* of a check that couldn't read its input; empty: none */
    /* the progress line */
    bool bar_shown;
    int64_t last_line_ms;
    struct str last_wait;
};

/* colour: asked for or not by the caller; it's used only on a terminal. */
void out_begin(struct out *o, enum out_format format, int verbosity, bool colour);
static inline bool out_is_json(const struct out *o) { return o->format != OUT_TEXT; }
/* The open result object. The first call opens it; out_end() closes it. */
struct json_out *out_json(struct out *o);
/* Forgets what was written to it: for a result that comes whole or not at all. */
void out_json_drop(struct out *o);

/* Data, in text only: nothing happens in json. Not cleaned: say %s of out_clean()ed text. */
void out_print(struct out *o, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Escape sequence that starts a style on standard output, "" without colour. STYLE_PLAIN ends one. */
const char *out_style(const struct out *o, enum out_style s);
/* Messages: a line on standard error. say is silent under -q. */
void out_say(struct out *o, const char *fmt, ...) PRINTF_LIKE(2, 3);
void out_warn(struct out *o, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A line of ASCII on the terminal of standard error, which the next output of any kind takes away again;
 * elsewhere nothing. */
void out_live(struct out *o, const char *fmt, ...) PRINTF_LIKE(2, 3);
int out_columns(FILE *f); /* of the terminal that f is; 0: it is none */
/* Without control characters (a tab becomes a space), in arena a; multi keeps newlines. */
const char *out_clean(struct arena *a, const char *text, bool multi);

/* PostgreSQL style: primary line, DETAIL, HINT, notes. */
void out_error(struct out *o, const struct err *err);
/* The error as a JSON object under key. */
void out_error_json(struct json_out *j, const char *key, const struct err *err);
/* The envelope, in json; flushes. Gives the exit code to end with: the one given, or 3 when standard output
 * could not be written. err NULL or none: no error. */
int out_end(struct out *o, const struct err *err, int exit_code);

/* Aligned columns. Cells are copied and cleaned; the last column isn't padded. */
struct out_table {
    struct arena arena;
    int n_cols, n_rows, cap;
    const char **cells; /* row after row, the heading first */
    enum out_style *styles;
};
void out_table_free(struct out_table *t);
static inline void out_table_auto(struct out_table *t) { out_table_free(t); }
/* cells ends with NULL; a cell that's missing is written as "". */
void out_table_head(struct out_table *t, const char *const *cells);
void out_table_row(struct out_table *t, const char *const *cells);
/* Style of a cell of the newest row. */
void out_table_style(struct out_table *t, int col, enum out_style s);
void out_table_print(struct out *o, const struct out_table *t);
#define OUT_CELLS(...) ((const char *const[]) {__VA_ARGS__, NULL})

#endif

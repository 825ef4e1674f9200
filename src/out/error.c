/* Errors, shown once: PostgreSQL style for people, an object for programs. */
#include "out_int.h"

#include <string.h>

static void labelled(struct out *o, struct arena *a, const char *label, const struct str *text)
{
    if (text->len)
        fprintf(o->messages, "%s%s:%s %s\n", out_message_style(o, STYLE_BOLD), label,
                out_message_style(o, STYLE_PLAIN), out_clean(a, str_text(text), true));
}

/* "in NOTE, in NOTE", innermost first */
static void notes(struct out *o, struct arena *a, const struct str *text)
{
    const char *at = str_text(text);
    bool first = true;

    while (*at) {
        size_t n = strcspn(at, "\n");

        if (n) {
            fprintf(o->messages, "%sin %s", first ? "" : ", ",
                    out_clean(a, arena_strndup(a, at, n), false));
            first = false;
        }
        at += n + (at[n] == '\n');
    }
    if (!first)
        fputc('\n', o->messages);
}

void out_error(struct out *o, const struct err *err)
{
    AUTO(arena) a = {0};

    out_bar_clear(o);
    fflush(o->data);
    fprintf(o->messages, "%sphasegate:%s %s", out_message_style(o, STYLE_BAD),
            out_message_style(o, STYLE_PLAIN),
            out_clean(&a, str_text(&err->message), !out_is_json(o)));
    if (err->sqlstate[0])
        fprintf(o->messages, " (SQLSTATE %s)", err->sqlstate);
    fputc('\n', o->messages);
    if (out_is_json(o))
        return; /* the rest is in the object */
    labelled(o, &a, "DETAIL", &err->detail);
    labelled(o, &a, "HINT", &err->hint);
    notes(o, &a, &err->notes);
}

static void text_or_null(struct json_out *j, const char *key, const struct str *s)
{
    json_str(j, key, s->len ? str_text(s) : NULL);
}

void out_error_json(struct json_out *j, const char *key, const struct err *err)
{
    const char *at = str_text(&err->notes);

    json_object_begin(j, key);
    json_str(j, "kind", err_kind_word(err->kind));
    json_str(j, "reason", err->reason);
    json_str(j, "message", str_text(&err->message));
    text_or_null(j, "detail", &err->detail);
    text_or_null(j, "hint", &err->hint);
    json_array_begin(j, "notes");
    while (*at) {
        size_t n = strcspn(at, "\n");

        if (n)
            json_strn(j, NULL, at, n);
        at += n + (at[n] == '\n');
    }
    json_array_end(j);
    json_str(j, "sqlstate", err->sqlstate[0] ? err->sqlstate : NULL);
    json_bool(j, "retryable", err_is_retryable(err));
    json_object_end(j);
}

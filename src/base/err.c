#include "phasegate/err.h"

static const struct {
    const char *word;
    int exit_code;
    bool is_retryable;
} kinds[] = {
#define X(name, word, code, retry) [ERR_##name] = {word, code, retry},
    ERR_KINDS(X)
#undef X
};

/* Formats aside before anything is replaced: the arguments may be texts of the same err. */
PRINTF_LIKE(2, 0)
static void text_replace(struct str *to, const char *fmt, va_list ap)
{
    struct str fresh = {0};
    str_vaddf(&fresh, fmt, ap);
    str_free(to);
    *to = fresh;
}

/* Whoever adds to an err says that something failed. If nobody said what, the run must still not
 * end with exit code 0. */
static void err_require(struct err *err)
{
    if (err->kind != ERR_NONE)
        return;
    err->kind = ERR_BUG;
    str_set(&err->message, "something failed without saying why");
}

bool err_set(struct err *err, enum err_kind kind, const char *fmt, ...)
{
    struct err fresh = {.kind = kind};
    if (kind == ERR_NONE || kind >= ERR_KIND_COUNT)
        fresh.kind = ERR_BUG;

    va_list ap;
    va_start(ap, fmt);
    str_vaddf(&fresh.message, fmt, ap);
    va_end(ap);

    err_clear(err);
    *err = fresh;
    return false;
}

bool err_note(struct err *err, const char *fmt, ...)
{
    AUTO(str) note = {0};
    va_list ap;
    va_start(ap, fmt);
    str_vaddf(&note, fmt, ap);
    va_end(ap);

    /* The newline separates notes; a name with one in it must not look like two. */
    for (size_t i = 0; i < note.len; i++)
        if (note.text[i] == '\n' || note.text[i] == '\r')
            note.text[i] = ' ';

    err_require(err);
    if (err->notes.len > 0)
        str_addc(&err->notes, '\n');
    str_addn(&err->notes, str_text(&note), note.len);
    return false;
}

bool err_detail(struct err *err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    text_replace(&err->detail, fmt, ap);
    va_end(ap);
    err_require(err);
    return false;
}

bool err_hint(struct err *err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    text_replace(&err->hint, fmt, ap);
    va_end(ap);
    err_require(err);
    return false;
}

bool err_reason(struct err *err, const char *static_word)
{
    err_require(err);
    err->reason = static_word;
    return false;
}

void err_move(struct err *to, struct err *from)
{
    if (to == from)
        return;
    err_clear(to);
    *to = *from;
    *from = (struct err) {0};
}

void err_clear(struct err *err)
{
    str_free(&err->message);
    str_free(&err->detail);
    str_free(&err->hint);
    str_free(&err->notes);
    *err = (struct err) {0};
}

bool err_is(const struct err *err, enum err_kind kind) { return err->kind == kind; }

bool err_is_retryable(const struct err *err)
{
    return err->kind < ERR_KIND_COUNT && kinds[err->kind].is_retryable;
}

int err_exit_code(const struct err *err)
{
    if (err->exit_code)
        return err->exit_code;
    return kinds[err->kind < ERR_KIND_COUNT ? err->kind : ERR_BUG].exit_code;
}

const char *err_kind_word(enum err_kind kind)
{
    return kinds[kind < ERR_KIND_COUNT ? kind : ERR_BUG].word;
}

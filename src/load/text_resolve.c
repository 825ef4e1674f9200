#include "phasegate/load.h"

#include <string.h>

static bool is_variable_name(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool is_letter =
            (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') || s[i] == '_';
        if (!is_letter && !(i > 0 && s[i] >= '0' && s[i] <= '9'))
            return false;
    }
    return n > 0;
}

/* Messages name the variable and the place, and never a value. */
static bool fail_at(struct err *err, const struct text *t, const char *what, const char *name,
                    size_t n)
{
    if (t->at.line > 0)
        return err_set(err, ERR_CONFIG, "%s:%d:%d: %s%.*s", t->at.file, t->at.line, t->at.col, what,
                       (int) n, name);
    return err_set(err, ERR_CONFIG, "%s%.*s", what, (int) n, name);
}

static bool add_variable(const struct text *t, const char *name, size_t n,
                         const char *(*lookup)(void *ctx, const char *name), void *ctx,
                         struct str *out, struct err *err)
{
    AUTO(str) key = {0};

    if (!is_variable_name(name, n))
        return fail_at(err, t, "not the name of a variable: ", name, n);
    str_addn(&key, name, n);
    const char *value = lookup(ctx, str_text(&key));
    if (!value) {
        fail_at(err, t, "this environment variable is not set: ", name, n);
        return err_hint(err, "export %s=... and run the command again", str_text(&key));
    }
    str_add(out, value);
    return true;
}

bool text_resolve(const struct text *t, const char *(*lookup)(void *ctx, const char *name),
                  void *ctx, struct str *out, struct err *err)
{
    AUTO(str) resolved = {.ceiling = out->ceiling};
    const char *s = t->s ? t->s : "";

    for (const char *dollar; (dollar = strstr(s, "${")) != NULL;) {
        const char *name = dollar + 2, *close = strchr(name, '}');

        str_addn(&resolved, s, (size_t) (dollar - s));
        if (!close)
            return fail_at(err, t, "a ${ without its }", "", 0);
        if (!add_variable(t, name, (size_t) (close - name), lookup, ctx, &resolved, err))
            return false;
        s = close + 1;
    }
    str_add(&resolved, s);
    if (resolved.full)
        return fail_at(err, t, "the text is too long with its variables filled in", "", 0);
    str_set(out, str_text(&resolved));
    return true;
}

/* Where the settings of a flag service stand, for those who can't reach it. Never their values. */
#include "internal.h"

/* "${FLAG_TOKEN}" -> "from FLAG_TOKEN"; a token that is written out isn't shown. */
static const char *source_of(struct arena *a, const struct text *t)
{
    const char *open = t->s ? strstr(t->s, "${") : NULL, *close = open ? strchr(open, '}') : NULL;

    return close ? arena_printf(a, ", from the variable %.*s", (int) (close - open - 2), open + 2)
                 : "";
}

static const char *one(struct arena *a, const char *name, const struct text *t)
{
    return arena_printf(a, "%s: %s:%d:%d%s", name, t->at.file, t->at.line, t->at.col,
                        source_of(a, t));
}

const char *flags_where(struct arena *a, const struct environment *env, bool by_token)
{
    const struct flags_decl *d = &env->flags;

    if (by_token && d->token.s)
        return one(a, "token", &d->token);
    if (by_token && d->token_file.s)
        return one(a, "token_file", &d->token_file);
    if (d->url.s)
        return one(a, "url", &d->url);
    if (d->path.s)
        return one(a, "path", &d->path);
    return arena_printf(a, "flags: %s:%d:%d", d->at.file, d->at.line, d->at.col);
}

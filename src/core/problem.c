#include "phasegate/problem.h"

#include <string.h>

void problem_list_free(struct problem_list *l)
{
    arena_free(&l->arena);
    *l = (struct problem_list) {0};
}

/* The list outlives the model that the positions point into, so it keeps file names of its own. */
static const char *own_file(struct problem_list *l, const char *file)
{
    if (!file)
        return NULL;
    for (int i = l->n - 1; i >= 0; i--)
        if (l->items[i].at.file && strcmp(l->items[i].at.file, file) == 0)
            return l->items[i].at.file;
    return arena_strdup(&l->arena, file);
}

static bool is_known(const struct problem_list *l, struct pos at, const char *message)
{
    for (int i = 0; i < l->n; i++) {
        const struct problem *p = &l->items[i];

        if (p->at.line == at.line && p->at.col == at.col && strcmp(p->message, message) == 0 &&
            p->at.file == at.file)
            return true;
    }
    return false;
}

void problem_add(struct problem_list *l, struct pos at, const char *expected, const char *hint,
                 const char *fmt, ...)
{
    if (l->n == LOAD_MAX_PROBLEMS) {
        l->cut = true;
        return;
    }
    if (!l->items)
        l->items = arena_array(&l->arena, struct problem, LOAD_MAX_PROBLEMS);

    va_list ap;
    va_start(ap, fmt);
    const char *message = arena_vprintf(&l->arena, fmt, ap);
    va_end(ap);

    at.file = own_file(l, at.file);
    /* Loading validates; whoever validates again must not see everything twice. */
    if (is_known(l, at, message))
        return;
    l->items[l->n++] = (struct problem) {
        .at = at,
        .message = message,
        .expected = arena_strdup(&l->arena, expected),
        .hint = arena_strdup(&l->arena, hint),
    };
}

void problem_text(struct str *out, const struct problem *p)
{
    if (p->at.file) {
        str_add(out, p->at.file);
        if (p->at.line > 0)
            str_addf(out, ":%d", p->at.line);
        if (p->at.line > 0 && p->at.col > 0)
            str_addf(out, ":%d", p->at.col);
        str_add(out, ": ");
    }
    str_add(out, p->message);
    if (p->expected)
        str_addf(out, "; expected %s", p->expected);
    if (p->hint)
        str_addf(out, "; %s", p->hint);
    if (p->rule)
        str_addf(out, " [%s]", p->rule);
}

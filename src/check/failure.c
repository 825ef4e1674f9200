/* A step that fails on the shadow: in the words of the author, and with a way out that phasegate has. */
#include "check/work.h"

/* Nobody wrote the names under which a soft drop hides things. */
const char *failure_words(struct proof *p, const char *text)
{
    for (int i = 0; text && i < p->n_hidden; i++) {
        const struct hidden *h = &p->hidden[i];
        const char *hidden = h->hidden_name, *own = h->column ? h->column : h->table;
        AUTO(str) out = {0};

        if (!hidden || !own || !strstr(text, hidden))
            continue;
        for (const char *at; (at = strstr(text, hidden)); text = at + strlen(hidden)) {
            str_addn(&out, text, (size_t) (at - text));
            str_add(&out, own);
        }
        str_add(&out, text);
        text = arena_strdup(p->a, str_text(&out));
    }
    return text;
}

/* "view open_tickets depends on column fullname of table customers", a line for each. */
static const char *way_of_dependants(struct proof *p, const char *detail)
{
    AUTO(str) names = {0};

    for (const char *line = detail; line && *line; line += line[strcspn(line, "\n")] == '\n') {
        size_t n = strcspn(line, "\n");
        const char *one = arena_strndup(p->scratch, line, n), *end = strstr(one, " depends on ");

        if (end)
            str_addf(&names, "%s%.*s", names.len ? ", " : "", (int) (end - one), one);
        line += n;
    }
    return names.len ? arena_printf(p->a, "drop or replace %s in an earlier step", str_text(&names))
                     : NULL;
}

const char *failure_way(struct proof *p, const struct wire_result *r)
{
    const char *detail = failure_words(p, r->detail), *hint = failure_words(p, r->hint),
               *way = NULL;

    if (strcmp(r->sqlstate, "2BP01") == 0)
        way = way_of_dependants(p, detail);
    if (way)
        return way;
    if (!detail && !hint)
        return "what comes after it is checked as if the step had not been there";
    return arena_printf(p->a, "%s%s%s", detail ? detail : "", detail && hint ? "; " : "",
                        hint ? hint : "");
}

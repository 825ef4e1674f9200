/* A command whose answer is a text to be written to a file. */
#include "print_document.h"

bool print_document(struct context *c, const char *key, const struct str *text, struct err *err)
{
    (void) err;
    if (out_is_json(&c->out))
        json_str(out_json(&c->out), key, str_text(text));
    else
        fwrite(str_text(text), 1, text->len, c->out.data);
    return true;
}

int options_of(const struct command *c, enum option_id *out)
{
    int n = 0;

    for (int i = 0; c && c->options[i] != OPT_COUNT; i++)
        out[n++] = c->options[i];
    for (int i = 0; i <= OPT_LAST_GLOBAL; i++)
        out[n++] = (enum option_id) i;
    return n;
}

const char *first_words(struct arena *a, const struct command *c)
{
    const char *s = c->args + (c->args[0] == '[');
    size_t n = strcspn(s, " ]");

    return memchr(s, '|', n) ? arena_strndup(a, s, n) : NULL;
}

bool takes_plans(const struct command *c)
{
    return strncmp(c->args, "PLAN", 4) == 0 || strncmp(c->args, "[PLAN", 5) == 0;
}

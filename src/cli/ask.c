/* The one question that phasegate asks: the plan's name, before a point of no return. */
#include "cli.h"

#include <stdio.h>
#include <unistd.h>

const char *ask_plan_name(struct context *c, const struct plan *p, const char *why)
{
    AUTO(str) line = {.ceiling = 256};
    int ch;

    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return NULL;
    out_say(&c->out, "%s", why);
    fprintf(c->out.messages, "This can't be undone. Type the plan's name (%s) to go on: ", p->id.s);
    fflush(c->out.messages);
    /* A signal ends the read: the answer is then nothing, which is a no. */
    while ((ch = getchar()) != EOF && ch != '\n')
        str_addc(&line, (char) ch);
    if (ch == EOF || !line.len) {
        fputc('\n', c->out.messages);
        return NULL;
    }
    return arena_strdup(&c->arena, str_text(&line));
}

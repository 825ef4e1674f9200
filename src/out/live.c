/* A line on the terminal that the next one writes over. */
#include "out_int.h"

#include <sys/ioctl.h>
#include <unistd.h>

int out_columns(FILE *f)
{
    struct winsize w;

    return ioctl(fileno(f), TIOCGWINSZ, &w) == 0 ? w.ws_col : 0;
}

void out_live(struct out *o, const char *fmt, ...)
{
    AUTO(str) text = {0};
    AUTO(arena) a = {0};
    va_list ap;
    int width = out_columns(o->messages);

    if (!o->messages_tty || o->verbosity < 0)
        return;
    va_start(ap, fmt);
    str_vaddf(&text, fmt, ap);
    va_end(ap);
    /* Cut to the terminal, or it would wrap and stay. */
    fprintf(o->messages, "\r\033[K%.*s", width > 20 ? width - 1 : 79,
            out_clean(&a, str_text(&text), false));
    fflush(o->messages);
    o->bar_shown = true;
}

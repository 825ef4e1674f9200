/* Help for people, from the tables. */
#include "cli.h"

static void option_line(struct str *to, enum option_id id)
{
    const struct option_row *o = &option_rows[id];
    AUTO(str) left = {0};

    if (o->short_name)
        str_addf(&left, "-%c, ", o->short_name);
    else
        str_add(&left, "    ");
    str_addf(&left, "--%s%s%s", o->long_name, o->arg ? " " : "", o->arg ? o->arg : "");
    if (left.len > 26)
        str_addf(to, "  %s\n  %-26s %s", str_text(&left), "", o->help);
    else
        str_addf(to, "  %-26s %s", str_text(&left), o->help);
    str_add(to, "\n");
}

/* Has the command one of its own by this name? */
static bool is_replaced(const struct command *c, enum option_id global)
{
    for (int i = 0; c && c->options[i] != OPT_COUNT; i++)
        if (strcmp(option_rows[c->options[i]].long_name, option_rows[global].long_name) == 0)
            return true;
    return false;
}

static void global_options(struct str *to, const struct command *c)
{
    for (int i = 0; i <= OPT_LAST_GLOBAL; i++)
        if (!is_replaced(c, (enum option_id) i))
            option_line(to, (enum option_id) i);
}

void help_general(struct str *to)
{
    str_add(to,
            "Example:\n"
            "  phasegate init && phasegate new orders-external-ref && phasegate check\n\n"
            "phasegate takes a breaking database change through four releases without downtime.\n\n"
            "Usage: phasegate [OPTION...] COMMAND [ARGUMENT...]\n\nCommands:\n");
    for (const struct command *c = command_rows; c->name; c++)
        str_addf(to, "  %-12s %s\n", c->name, c->summary);
    str_add(to, "\nOptions of every command:\n");
    global_options(to, NULL);
    str_add(to, "\nExit codes:\n");
    for (const struct exit_code_row *e = exit_code_rows; e->meaning; e++)
        str_addf(to, "  %3d  %s\n", e->code, e->meaning);
    str_add(to, "\n`phasegate COMMAND --help` tells more about one.\n");
}

void help_command(struct str *to, const struct command *c)
{
    str_addf(to, "Example:\n  %s\n\n%s%s\n", c->example, c->summary,
             strchr(c->summary, '?') ? "" : ".");
    if (*c->about)
        str_addf(to, "%s\n", c->about);
    str_addf(to, "\nUsage: phasegate [OPTION...] %s%s%s\n", c->name, *c->args ? " " : "", c->args);
    if (c->options[0] != OPT_COUNT)
        str_add(to, "\nOptions:\n");
    for (int i = 0; c->options[i] != OPT_COUNT; i++)
        option_line(to, c->options[i]);
    str_add(to, "\nOptions of every command:\n");
    global_options(to, c);
}

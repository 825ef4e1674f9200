/* The tables: commands and exit codes. */
#include "cli.h"

#define OPTIONS(...) ((const enum option_id[]) {__VA_ARGS__, OPT_COUNT})
#define NO_OPTIONS ((const enum option_id[]) {OPT_COUNT})

const struct command command_rows[] = {
#define COMMAND(function, name, args, needs, options, summary, example, about)                     \
    {name, args, needs, options, summary, example, about, cmd_##function},
#include "commands.def"
#undef COMMAND
    {0},
};

const struct exit_code_row exit_code_rows[] = {
    {0, "done, clean, or nothing to do"},
    {1, "a no: findings, a failed gate, check, verification or checklist; nothing was changed by "
        "it, but a failed "
        "gate takes its flag back and halts the plan"},
    {2, "usage, unreadable input or configuration"},
    {3, "out of reach: database, flag service, tool"},
    {4, "refused by state or policy: not its turn, hold, missing approval, forward-only; `reason` "
        "in JSON says which"},
    {5, "stopped halfway, resumable, or a flag in doubt"},
    {6, "lock held by another run after --lock-wait"},
    {7, "a bug in phasegate"},
    {130, "interrupted (SIGINT), after a safe stop"},
    {143, "interrupted (SIGTERM), after a safe stop"},
    {0, NULL},
};

const struct command *command_find(const char *name)
{
    for (const struct command *c = command_rows; c->name; c++)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

const char **command_names(struct arena *a)
{
    const char **names;
    int n = 0;

    while (command_rows[n].name)
        n++;
    names = arena_array(a, const char *, n + 1);
    for (int i = 0; i < n; i++)
        names[i] = command_rows[i].name;
    return names;
}

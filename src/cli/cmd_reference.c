/* reference [commands]: docs/reference/commands.md, from the tables. plan, project: the keys of these files, from
 * their schemas; the pages of docs/reference hold them. */
#include "embedded_schemas.h"
#include "print_document.h"
#include "reference_keys.h"

static void options(struct str *to, const enum option_id *ids, int n)
{
    str_add(to, "\n| option | meaning |\n|---|---|\n");
    for (int i = 0; i < n; i++) {
        const struct option_row *o = &option_rows[ids[i]];

        str_add(to, "| ");
        if (o->short_name)
            str_addf(to, "`-%c`, ", o->short_name);
        str_addf(to, "`--%s%s%s` | ", o->long_name, o->arg ? " " : "", o->arg ? o->arg : "");
        reference_cell(to, o->help);
        if (o->words) {
            str_add(to, " (`");
            reference_cell(to, o->words);
            str_add(to, "`)");
        }
        str_add(to, " |\n");
    }
}

/* What the needs of the row mean for somebody who calls it. */
static void needs(struct str *to, const struct command *c)
{
    static const struct {
        unsigned bit;
        const char *what;
    } rows[] = {
        {NEED_PROJECT, "project file"}, {NEED_ENV, "environment"}, {NEED_DB, "database"},
        {NEED_FLAGS, "flag service"},   {NEED_LEASE, "the lease"},
    };
    bool first = true;

    str_add(to, "\nNeeds: ");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (c->needs & rows[i].bit) {
            str_addf(to, "%s%s", first ? "" : ", ", rows[i].what);
            first = false;
        }
    str_addf(to, "%s.", first ? "nothing" : "");
    if (c->needs & NEED_DB)
        str_addf(to, " Its session %s.", (c->needs & MUTATES) ? "may write" : "is read-only");
    str_add(to, "\n");
}

static bool print_keys(struct context *c, const char *name, struct err *err)
{
    static const struct {
        const char *name, *top;
    } files[] = {{"plan", "The plan"}, {"project", "The project"}};
    AUTO(str) text = {0};

    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        for (const struct embedded_schema *s = embedded_schemas; s->name; s++)
            if (strcmp(files[i].name, name) == 0 && strcmp(s->name, name) == 0)
                return reference_keys(&c->arena, s->text, files[i].top, &text, err) &&
                       print_document(c, "reference", &text, err);
    return err_set(err, ERR_BUG, "there is no schema for \"%s\"", name);
}

static bool print_commands(struct context *c, struct err *err)
{
    AUTO(str) text = {0};
    enum option_id globals[OPT_COUNT];
    int n = options_of(NULL, globals);

    str_add(&text, "# Commands\n\nWritten by `phasegate reference`; not edited by hand.\n\n"
                   "`phasegate [OPTION...] COMMAND [ARGUMENT...]`\n\n"
                   "Options stand before or after the command; `--opt value` and `--opt=value` are "
                   "the same, names of options\n"
                   "are not abbreviated, and `--` ends them. Data goes to standard output, "
                   "progress and messages to standard\n"
                   "error. `--format json` prints one object with `version`, `command`, `ok`, "
                   "`exit_code`, `run_id` and either\n"
                   "`result` or `error` (`phasegate show schema output`).\n\n"
                   "| command | what |\n|---|---|\n");
    for (const struct command *k = command_rows; k->name; k++)
        str_addf(&text, "| [`%s`](#%s) | %s |\n", k->name, k->name, k->summary);
    str_add(&text, "\n## Options of every command\n");
    options(&text, globals, n);
    str_add(&text, "\n## Exit codes\n\n| code | meaning |\n|---|---|\n");
    for (const struct exit_code_row *e = exit_code_rows; e->meaning; e++)
        str_addf(&text, "| %d | %s |\n", e->code, e->meaning);
    for (const struct command *k = command_rows; k->name; k++) {
        int own = 0;

        str_addf(&text, "\n## %s\n\n```sh\n%s\n```\n\n%s%s\n", k->name, k->example, k->summary,
                 strchr(k->summary, '?') ? "" : ".");
        if (*k->about)
            str_addf(&text, "%s\n", k->about);
        str_addf(&text, "\nUsage: `phasegate %s%s%s`\n", k->name, *k->args ? " " : "", k->args);
        needs(&text, k);
        while (k->options[own] != OPT_COUNT)
            own++;
        if (own)
            options(&text, k->options, own);
    }
    return print_document(c, "reference", &text, err);
}

bool cmd_reference(struct context *c, struct err *err)
{
    const char *which = arg(c, 0) ? arg(c, 0) : "commands";

    return strcmp(which, "commands") == 0 ? print_commands(c, err) : print_keys(c, which, err);
}

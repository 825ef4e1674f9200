/* From argv to an exit code. */
#include "fleet.h"
#include "phasegate/io.h"
#include "phasegate_build.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static enum out_format format_of(const struct command_line *l)
{
    const char *f = l->text[OPT_FORMAT];

    if (f && strcmp(f, "json") == 0)
        return OUT_JSON;
    return f && strcmp(f, "jsonl") == 0 ? OUT_JSONL : OUT_TEXT;
}

void context_output(struct context *c)
{
    const struct command_line *l = &c->line;
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    bool colour =
        !l->given[OPT_NO_COLOR] && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
    int verbosity = l->given[OPT_QUIET] ? -1 : l->given[OPT_VERBOSE] > 0;

    out_begin(&c->out, format_of(l), verbosity, colour);
    c->out.command = l->command ? l->command->name : "";
}

static void show_version(struct context *c)
{
    out_print(&c->out, "phasegate %s%s%s%s\n", PHASEGATE_VERSION, *PHASEGATE_COMMIT ? " (" : "",
              PHASEGATE_COMMIT, *PHASEGATE_COMMIT ? ")" : "");
    if (out_is_json(&c->out)) {
        json_str(out_json(&c->out), "version", PHASEGATE_VERSION);
        json_str(out_json(&c->out), "commit", *PHASEGATE_COMMIT ? PHASEGATE_COMMIT : NULL);
    }
}

static void show_help(struct context *c)
{
    AUTO(str) text = {0};

    if (c->line.command)
        help_command(&text, c->line.command);
    else
        help_general(&text);
    out_print(&c->out, "%s", str_text(&text));
    if (out_is_json(&c->out))
        json_str(out_json(&c->out), "help", str_text(&text));
}

static bool check_format(const struct context *c, struct err *err)
{
    const struct command_line *l = &c->line;
    const char *f = l->text[OPT_FORMAT];
    bool machine =
        strcmp(l->command->name, "show") == 0 && l->n_args && strcmp(l->args[0], "machine") == 0;

    if (!f || strcmp(f, "mermaid") != 0 || machine)
        return true;
    err_set(err, ERR_USAGE, "--format: \"mermaid\" is only for phasegate show machine");
    return err_hint(err, "phasegate %s --help", l->command->name);
}

static bool run(struct context *c, struct err *err)
{
    const char *dir = opt_text(c, OPT_DIRECTORY);

    c->command = c->line.command;
    if (!check_format(c, err))
        return false;
    if (dir && chdir(dir) != 0) {
        err_set(err, ERR_USAGE, "-C %s: %s", dir, strerror(errno));
        return err_hint(err, "name a folder that exists");
    }
    if (!context_open(c, err))
        return false;
    const struct fleet_way *over_all = fleet_way_of(c);
    return over_all ? fleet_command(c, over_all, err) : c->command->run(c, err);
}

/* Who used it in a way that there isn't reads how it's used. */
static void point_at_help(const struct context *c, struct err *err)
{
    if (err_is(err, ERR_USAGE) && !err->hint.len && c->line.command)
        err_hint(err, "phasegate %s --help", c->line.command->name);
}

static int exit_code_of(const struct context *c, const struct err *err)
{
    if (err_is(err, ERR_INTERRUPTED) && !err->exit_code && c->ports.interrupt &&
        c->ports.interrupt->signal == SIGTERM)
        return 143;
    return err_exit_code(err);
}

int context_end(struct context *c, bool good, struct err *err)
{
    int code;

    if (!good)
        point_at_help(c, err);
    code = good ? c->exit_code : exit_code_of(c, err);
    code = out_end(&c->out, good ? NULL : err, code);
    context_close(c);
    return code;
}

int cli_main(int argc, char **argv)
{
    AUTO(err) err = {0};
    struct context c = {0};
    bool good;

    io_harden_process();
    good = command_line_parse(&c.arena, argc, argv, &c.line, &err);
    context_output(&c);
    if (good && c.line.given[OPT_VERSION])
        show_version(&c);
    else if (good && c.line.given[OPT_HELP])
        show_help(&c);
    else if (good)
        good = run(&c, &err);
    return context_end(&c, good, &err);
}

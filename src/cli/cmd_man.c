/* man [COMMAND]: the man page in roff. */
#include "print_document.h"

/* Text of a paragraph: backslashes, hyphens and a dot at the start of a line mean something to roff. */
static void roff(struct str *to, const char *s)
{
    bool start = true;

    for (; *s; s++) {
        if (start && (*s == '.' || *s == '\''))
            str_add(to, "\\&");
        if (*s == '\\')
            str_add(to, "\\e");
        else if (*s == '-')
            str_add(to, "\\-");
        else if (*s != '`')
            str_addc(to, *s);
        start = *s == '\n';
    }
}

static void option(struct str *to, enum option_id id)
{
    const struct option_row *o = &option_rows[id];

    str_add(to, ".TP\n");
    if (o->short_name)
        str_addf(to, "\\fB\\-%c\\fR, ", o->short_name);
    str_add(to, "\\fB\\-\\-");
    roff(to, o->long_name);
    str_addf(to, "\\fR%s%s%s\n", o->arg ? " \\fI" : "", o->arg ? o->arg : "", o->arg ? "\\fR" : "");
    roff(to, o->help);
    if (o->words) {
        str_add(to, " (");
        for (const char *s = o->words; *s; s++)
            str_add(to, *s == '|' ? ", " : (char[]) {*s, 0});
        str_add(to, ")");
    }
    str_add(to, "\n");
}

static void usage(struct str *to, const struct command *c)
{
    str_add(to, "\\fBphasegate ");
    roff(to, c->name);
    str_add(to, "\\fR");
    if (*c->args) {
        str_add(to, " ");
        roff(to, c->args);
    }
}

static void command(struct str *to, const struct command *c)
{
    str_add(to, ".SS \"");
    usage(to, c);
    str_add(to, "\"\n");
    roff(to, c->summary);
    str_add(to, ".\n");
    if (*c->about) {
        roff(to, c->about);
        str_add(to, "\n");
    }
    for (int i = 0; c->options[i] != OPT_COUNT; i++)
        option(to, c->options[i]);
    str_add(to, ".PP\nExample:\n.PP\n.nf\n.RS\n");
    roff(to, c->example);
    str_add(to, "\n.RE\n.fi\n");
}

static void heading(struct str *to, const char *name, const char *what)
{
    str_add(to, ".\\\" written by `phasegate man`\n.TH ");
    for (const char *s = name; *s; s++)
        str_addc(to, *s >= 'a' && *s <= 'z' ? (char) (*s - 'a' + 'A') : *s);
    str_addf(to, " 1 \"\" \"phasegate %s\" \"User Commands\"\n.SH NAME\n", PHASEGATE_VERSION);
    roff(to, name);
    str_add(to, " \\- ");
    roff(to, what);
    str_add(to, "\n");
}

static void tail(struct str *to)
{
    str_add(to, ".SH OPTIONS OF EVERY COMMAND\n");
    for (int i = 0; i <= OPT_LAST_GLOBAL; i++)
        option(to, (enum option_id) i);
    str_add(to, ".SH EXIT STATUS\n");
    for (const struct exit_code_row *e = exit_code_rows; e->meaning; e++) {
        str_addf(to, ".TP\n%d\n", e->code);
        roff(to, e->meaning);
        str_add(to, "\n");
    }
}

static void environment(struct str *to)
{
    static const struct {
        const char *name, *what;
    } rows[] = {
        {"PHASEGATE_CONFIG", "The project file, as with --config."},
        {"PHASEGATE_ENV", "The environment, as with --env."},
        {"PHASEGATE_STATE_DIR", "Where this host keeps its journal of flag writes (default: "
                                ".phasegate beside the project file)."},
        {"PHASEGATE_TOKEN", "What approve and verify sign with, as with --token-file."},
        {"NO_COLOR", "No colour when set to anything but nothing."},
        {"PGHOST, PGSERVICE, PGPASSFILE, ...", "As with psql."},
        {"https_proxy, no_proxy, ...", "As with libcurl."},
    };

    str_add(to, ".SH ENVIRONMENT\n");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        str_add(to, ".TP\n\\fB");
        roff(to, rows[i].name);
        str_add(to, "\\fR\n");
        roff(to, rows[i].what);
        str_add(to, "\n");
    }
    str_add(to,
            ".SH FILES\n.TP\n\\fBphasegate.yaml\\fR\nThe project: releases, policy, environments.\n"
            ".TP\n\\fBplans/*.yaml\\fR\nThe plans.\n");
}

bool cmd_man(struct context *c, struct err *err)
{
    AUTO(str) text = {0};
    const char *name = arg(c, 0);
    const struct command *which = name ? command_find(name) : NULL;

    if (name && !which) {
        const char *near = name_nearest(name, command_names(&c->arena));

        err_set(err, ERR_USAGE, "unknown command \"%s\"%s%s%s", name,
                near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
        return err_hint(err, "phasegate --help");
    }
    if (which) {
        heading(&text, arena_printf(&c->arena, "phasegate-%s", which->name), which->summary);
        str_add(&text, ".SH DESCRIPTION\n");
        command(&text, which);
    } else {
        heading(&text, "phasegate", "breaking database changes in four phases, without downtime");
        str_add(
            &text,
            ".SH SYNOPSIS\n\\fBphasegate\\fR [\\fIOPTION\\fR...] \\fICOMMAND\\fR "
            "[\\fIARGUMENT\\fR...]\n"
            ".SH DESCRIPTION\n"
            "phasegate takes a breaking database change through four releases of an application\n"
            "(expand, dual_read, write_activation, contract), and at every point the release "
            "before\n"
            "still works.\n.SH COMMANDS\n");
        for (const struct command *k = command_rows; k->name; k++)
            command(&text, k);
    }
    tail(&text);
    environment(&text);
    return print_document(c, "page", &text, err);
}

/* help [COMMAND] */
#include "cli.h"

bool cmd_help(struct context *c, struct err *err)
{
    AUTO(str) text = {0};
    const char *name = arg(c, 0);

    if (name) {
        const struct command *which = command_find(name);
        const char *near = which ? NULL : name_nearest(name, command_names(&c->arena));

        if (!which) {
            err_set(err, ERR_USAGE, "unknown command \"%s\"%s%s%s", name,
                    near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
            return err_hint(err, "phasegate --help");
        }
        help_command(&text, which);
    } else
        help_general(&text);
    out_print(&c->out, "%s", str_text(&text));
    if (out_is_json(&c->out))
        json_str(out_json(&c->out), "help", str_text(&text));
    return true;
}

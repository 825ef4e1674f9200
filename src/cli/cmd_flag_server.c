/* flag-server: the builtin flag service in the foreground. */
#include "cli.h"
#include "phasegate/flag_server.h"
#include "phasegate/io.h"

#include <errno.h>
#include <sys/stat.h>

#define PORT 8016
#define TICK_MS 60000

static bool token(struct context *c, enum option_id id, const char **out, struct err *err)
{
    struct stat st;

    if (!opt_has(c, id))
        return true;
    if (!context_read_secret(c, opt_text(c, id), out, err)) {
        if (!err->hint.len)
            err_hint(err,
                     "a file whose first line is the token: head -c 24 /dev/urandom | base64 > "
                     "FILE; chmod 600 FILE");
        return err_note(err, "--%s", option_rows[id].long_name);
    }
    if (stat(opt_text(c, id), &st) == 0 && (st.st_mode & 077))
        out_warn(&c->out, "--%s: others can read %s (mode %04o): chmod 600 %s",
                 option_rows[id].long_name, opt_text(c, id), (unsigned) st.st_mode & 07777,
                 opt_text(c, id));
    return true;
}

/* The folder of the default state file is ours to make; a folder that was named is not. */
static bool state_path(struct context *c, const char **out, struct err *err)
{
    if (opt_has(c, OPT_STATE)) {
        *out = opt_text(c, OPT_STATE);
        return true;
    }
    if (mkdir(c->state_dir, 0700) != 0 && errno != EEXIST)
        return err_set(err, ERR_CONFIG, "%s: can't be made: %s", c->state_dir, strerror(errno));
    *out = arena_printf(&c->arena, "%s/flags.state.json", c->state_dir);
    return true;
}

bool cmd_flag_server(struct context *c, struct err *err)
{
    struct flag_server_options o = {.listen = opt_text(c, OPT_LISTEN),
                                    .port = opt_has(c, OPT_PORT) ? (int) c->line.number[OPT_PORT]
                                                                 : PORT};
    struct flag_server *server;

    if (opt_has(c, OPT_PORT) && c->line.number[OPT_PORT] > 65535)
        return err_set(err, ERR_USAGE, "--port: %s is more than 65535", opt_text(c, OPT_PORT));
    if (!token(c, OPT_TOKEN_FILE, &o.admin_token, err) ||
        !token(c, OPT_READ_TOKEN_FILE, &o.read_token, err) || !state_path(c, &o.state_path, err) ||
        !flag_server_start(&o, &server, err))
        return false;
    out_print(&c->out, "%s\n", flag_server_url(server));
    fflush(c->out.data);
    out_say(&c->out, "flag server on %s, flags in %s, admin API %s", flag_server_url(server),
            o.state_path, o.admin_token ? "on" : "off (no --token-file)");
    if (out_is_json(&c->out))
        json_str(out_json(&c->out), "url", flag_server_url(server));
    while (!ports_interrupted(&c->ports))
        clock_sleep_ms(c->clock, TICK_MS);
    flag_server_stop(server);
    out_say(&c->out, "flag server stopped");
    return true;
}

/* init: the files of a new project. What is there already stays as it is. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char project_text[] =
    "# The project of phasegate: releases, policy, environments. `phasegate check` says what is "
    "wrong with it.\n"
    "phasegate: 1\n"
    "plans: plans/\n"
    "baseline: schema/baseline.sql\n"
    "releases: # oldest first; the order is this list. Versions are text: quote 4.10\n"
    "  - version: \"1.0.0\"\n"
    "    statements: statements/1.0.0.sql\n"
    "policy:\n"
    "  approvals: {contract: 1}\n"
    "  hold: 24h\n"
    "environments:\n"
    "  development:\n"
    "    databases:\n"
    "      default: {url: \"${DATABASE_URL}\"} # or nothing in it: PGHOST, PGDATABASE ... as psql\n"
    "    flags:\n"
    "      provider: builtin # `phasegate flag-server` runs one; or unleash, file, http ...\n"
    "      url: http://127.0.0.1:8016\n"
    "      token: ${PHASEGATE_FLAG_TOKEN}\n"
    "    snapshots: {to: snapshots, keep: 30d} # what a purge destroys is saved here before\n";

static const struct {
    const char *path, *text; /* text NULL: a folder */
} files[] = {
    {"plans", NULL},
    {"schema", NULL},
    {"statements", NULL},
    {"phasegate.yaml", project_text},
    {"plans/.gitkeep", ""},
    {"schema/baseline.sql",
     "-- The schema before the first plan: pg_dump --schema-only, or earlier migrations.\n"},
    {"statements/1.0.0.sql",
     "-- The statements that release 1.0.0 of the application runs, one after the other.\n"},
    {".gitignore", ".phasegate/\nsnapshots/\n"},
};

/* Made, or there already: *made says which. */
static bool make(const char *path, const char *text, bool *made, struct err *err)
{
    int fd;
    ssize_t n;

    *made = true;
    if (!text) {
        if (mkdir(path, 0777) == 0)
            return true;
        *made = false;
        return errno == EEXIST ||
               err_set(err, ERR_CONFIG, "%s: can't be made: %s", path, strerror(errno));
    }
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {
        *made = false;
        return errno == EEXIST ||
               err_set(err, ERR_CONFIG, "%s: can't be made: %s", path, strerror(errno));
    }
    n = write(fd, text, strlen(text));
    if (close(fd) != 0 || n != (ssize_t) strlen(text))
        return err_set(err, ERR_CONFIG, "%s: can't be written: %s", path, strerror(errno));
    return true;
}

static bool ignores_state(struct context *c)
{
    AUTO(str) text = {0};
    AUTO(err) ignored = {0};

    return c->host->ops->read_file(c->host, ".gitignore", 1 << 20, &text, &ignored) &&
           strstr(str_text(&text), ".phasegate") != NULL;
}

bool cmd_init(struct context *c, struct err *err)
{
    struct json_out *j = out_is_json(&c->out) ? out_json(&c->out) : NULL;
    bool made;

    if (j)
        json_array_begin(j, "files");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (!make(files[i].path, files[i].text, &made, err))
            return false;
        out_print(&c->out, "%s %s%s\n", made ? "made" : "kept", files[i].path,
                  files[i].text ? "" : "/");
        if (j) {
            json_object_begin(j, NULL);
            json_str(j, "path", files[i].path);
            json_bool(j, "made", made);
            json_object_end(j);
        }
    }
    if (j)
        json_array_end(j);
    if (!ignores_state(c))
        out_warn(&c->out, ".gitignore was kept as it is: add the line .phasegate/ to it");
    out_say(&c->out, "next: phasegate new NAME");
    return true;
}

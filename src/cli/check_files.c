/* What check shows of files, and which of them a branch changed. */
#include "cli.h"

struct shown_file {
    const char *name;
    const char *text;
    struct shown_file *next;
};

static const char *read_shown(struct context *c, const char *file)
{
    static const size_t max = (size_t) 8 << 20;
    AUTO(str) text = {.ceiling = max + 1};
    AUTO(err) ignored = {0};
    const char *path = *file == '/' || !c->set.project.root
                           ? file
                           : arena_printf(&c->arena, "%s/%s", c->set.project.root, file);

    if (!c->host->ops->read_file(c->host, path, max, &text, &ignored))
        return NULL;
    return arena_strdup(&c->arena, str_text(&text));
}

const char *check_line(void *ctx, const char *file, int line)
{
    struct context *c = ctx;
    struct shown_file **at = &c->shown_files;

    if (!file)
        return NULL;
    while (*at && strcmp((*at)->name, file) != 0)
        at = &(*at)->next;
    if (!*at) {
        *at = arena_new(&c->arena, struct shown_file);
        (*at)->name = arena_strdup(&c->arena, file);
        (*at)->text = read_shown(c, file);
    }
    const char *s = (*at)->text;
    for (int i = 1; s && i < line; i++) {
        s = strchr(s, '\n');
        s = s ? s + 1 : NULL;
    }
    return s && *s ? arena_strndup(&c->arena, s, strcspn(s, "\r\n")) : NULL;
}

static bool run_git(struct context *c, const char *const *argv, struct str *out, struct err *err)
{
    AUTO(str) said = {0};
    int code = 0;

    if (!c->host->ops->run(c->host, argv, NULL, 30000, out, &said, &code, err)) {
        err_hint(err, "--since needs git");
        return false;
    }
    if (code == 0)
        return true;
    err_set(err, ERR_USAGE, "--since %s: git says: %.*s", opt_text(c, OPT_SINCE),
            (int) strcspn(str_text(&said), "\n"), str_text(&said));
    return err_hint(err, "name a commit or branch that git knows; a shallow clone has few of them");
}

static void add_names(struct context *c, const struct str *from, struct text_list *out)
{
    for (const char *s = str_text(from); *s;) {
        size_t n = strcspn(s, "\n");

        out->items = arena_grow(&c->arena, out->items, sizeof *out->items * (size_t) out->n,
                                sizeof *out->items * (size_t) (out->n + 1));
        if (n > 0)
            out->items[out->n++].s = arena_strndup(&c->arena, s, n);
        s += n + (s[n] == '\n');
    }
}

/* Where the project lies in its repository; NULL: at its root, or in none. Services count from there. */
const char *check_prefix(struct context *c)
{
    const char *root = c->set.project.root ? c->set.project.root : ".";
    const char *argv[] = {"git", "-C", root, "rev-parse", "--show-prefix", NULL};
    AUTO(str) prefix = {0};
    AUTO(str) said = {0};
    AUTO(err) ignored = {0};
    int code = 0;

    if (!c->host->ops->run(c->host, argv, NULL, 30000, &prefix, &said, &code, &ignored) ||
        code != 0)
        return NULL;
    size_t n = strcspn(str_text(&prefix), "\n");
    return n > 0 ? arena_strndup(&c->arena, str_text(&prefix), n) : NULL;
}

/* From where the branch left, to the files as they lie there; new ones that git doesn't know yet as well. */
bool check_changed_files(struct context *c, const char *since, struct text_list *out,
                         struct err *err)
{
    const char *root = c->set.project.root ? c->set.project.root : ".";
    const char *diff[] = {"git",  "-C",          root,         "-c",           "core.quotePath=off",
                          "diff", "--name-only", "--relative", "--merge-base", since,
                          "--",   NULL};
    const char *fresh[] = {
        "git", "-C", root, "-c", "core.quotePath=off", "ls-files", "--others", "--exclude-standard",
        NULL};
    AUTO(str) changed = {0}, new = {0};

    if (*since == '-')
        return err_set(err, ERR_USAGE, "--since: \"%s\" is no commit", since);
    if (!run_git(c, diff, &changed, err) || !run_git(c, fresh, &new, err))
        return false;
    add_names(c, &changed, out);
    add_names(c, &new, out);
    return true;
}

/* new NAME: a plan's file, named by the time. */
#include "cli.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct names {
    const char *items[64];
    int n;
};

static void fd_auto(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* Databases of all environments, each once. */
static void databases(const struct project *p, struct names *out)
{
    for (int i = 0; i < p->n_environments; i++)
        for (int k = 0; k < p->environments[i].n_databases; k++) {
            const char *name = p->environments[i].databases[k].name.s;
            bool known = false;

            for (int m = 0; m < out->n; m++)
                known = known || strcmp(out->items[m], name) == 0;
            if (!known && out->n < 63)
                out->items[out->n++] = name;
        }
}

static bool choose_database(struct context *c, const char **out, bool *several, struct err *err)
{
    const char *wanted = opt_text(c, OPT_DATABASE), *near;
    struct names all = {0};
    AUTO(str) list = {0};

    databases(&c->set.project, &all);
    for (int i = 0; i < all.n; i++)
        str_addf(&list, "%s%s", i ? ", " : "", all.items[i]);
    *several = all.n > 1;
    *out = all.n ? all.items[0] : "default";
    if (!wanted && all.n < 2)
        return true;
    if (!wanted) {
        err_set(err, ERR_USAGE, "new: which database? The project has several: %s",
                str_text(&list));
        return err_hint(err, "phasegate new %s --database %s", arg(c, 0), all.items[0]);
    }
    for (int i = 0; i < all.n; i++)
        if (strcmp(all.items[i], wanted) == 0) {
            *out = all.items[i];
            return true;
        }
    near = name_nearest(wanted, all.items);
    return err_set(err, ERR_USAGE, "--database: no environment has \"%s\"; there is: %s%s%s%s",
                   wanted, str_text(&list), near ? "; did you mean \"" : "", near ? near : "",
                   near ? "\"?" : "");
}

/* "4.3.0" -> "4.4.0", "7" -> "8": the second part, or the only one. Without a number: NULL. */
static const char *version_after(struct arena *a, const char *v)
{
    const char *part = strchr(v, '.');
    char *end;
    long long n;

    part = part ? part + 1 : v;
    if (!isdigit((unsigned char) *part))
        return NULL;
    n = strtoll(part, &end, 10);
    if (*end && *end != '.')
        return NULL;
    if (*end == '.')
        return arena_printf(a, "%.*s%lld.0", (int) (part - v), v, n + 1);
    return arena_printf(a, "%.*s%lld", (int) (part - v), v, n + 1);
}

/* Releases for the four phases: the planned ones first, then the ones that would follow. One is left out before
 * contract: the first that does without the old shape. */
static void choose_releases(struct context *c, const char *out[PHASE_SLOTS])
{
    const struct project *p = &c->set.project;
    const char *last = p->n_releases ? p->releases[p->n_releases - 1].version.s : "1.0.0";
    int i = p->n_releases, at = PHASE_FIRST;

    while (i > 0 && p->releases[i - 1].planned)
        i--;
    for (bool left_out = false; at <= PHASE_LAST; i++) {
        const char *next =
            i < p->n_releases ? p->releases[i].version.s : version_after(&c->arena, last);

        last = next ? next : arena_printf(&c->arena, "%s.1", last);
        if (at == PHASE_CONTRACT && !left_out)
            left_out = true;
        else
            out[at++] = last;
    }
}

static void yaml_quoted(struct str *to, const char *s)
{
    str_addc(to, '"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            str_addc(to, '\\');
        str_addc(to, (unsigned char) *s < 0x20 ? ' ' : *s);
    }
    str_addc(to, '"');
}

static const char *title_of(struct context *c)
{
    char *t;

    if (opt_text(c, OPT_TITLE))
        return opt_text(c, OPT_TITLE);
    t = arena_strdup(&c->arena, arg(c, 0));
    for (char *s = t; *s; s++)
        if (*s == '-')
            *s = ' ';
    *t = (char) toupper((unsigned char) *t);
    return t;
}

struct undo_text {
    struct str steps, none;
};

static void undo_text_auto(struct undo_text *u)
{
    str_free(&u->steps);
    str_free(&u->none);
}

static void skeleton(struct context *c, const char *stamp, const char *database,
                     const struct undo_text *undo, struct str *to)
{
    const char *id = arg(c, 0), *release[PHASE_SLOTS];

    choose_releases(c, release);
    str_addf(to, "phasegate: 1\nplan: %s\ntimestamp: %s\ndatabase: %s\ntitle: ", id, stamp,
             database);
    yaml_quoted(to, title_of(c));
    str_add(to, "\nauthor: ");
    yaml_quoted(to, opt_text(c, OPT_AS) ? opt_text(c, OPT_AS) : c->host->ops->user(c->host));
    str_add(to, "\n");
    if (opt_text(c, OPT_COMPENSATES))
        str_addf(to, "compensates: %s\n", opt_text(c, OPT_COMPENSATES));
    str_addf(to, "flags:\n  read: {key: %s-read} # safe value: off\n  write: {key: %s-write}\n", id,
             id);
    str_add(to, "# sync: # how old and new stay equal while both are written; the backfill derives "
                "from it\n"
                "#   table: t\n"
                "#   forward: {new_column: \"old_column\"}\n"
                "#   reverse: {old_column: \"new_column\"}\n"
                "#   by: trigger\n"
                "\nphases:\n");
    str_addf(
        to, "  expand: # additive only; runs before its release is deployed\n    release: \"%s\"\n",
        release[PHASE_EXPAND]);
    str_add(
        to,
        "    # schema, forward; its reverse is derived for the usual DDL, else written as undo:\n"
        "    steps: []\n"
        "    #  - {id: column, sql: ALTER TABLE t ADD COLUMN new_column text}\n");
    str_addf(to,
             "  dual_read: # the past is filled, then reads are rolled out\n    release: \"%s\"\n",
             release[PHASE_DUAL_READ]);
    str_add(to, "    # data, forward; its reverse is sync.reverse. Before reads move: rows that "
                "aren't filled "
                "would read as NULL.\n"
                "    backfill: []\n"
                "    #  - {id: fill}\n"
                "    rollout:\n      - {percent: 5, pause: 10m}\n      - {percent: 100}\n");
    str_addf(to,
             "  write_activation: # writes are rolled out, all of it is verified\n    "
             "release: \"%s\"\n",
             release[PHASE_WRITE_ACTIVATION]);
    str_add(to, "    rollout:\n      - {percent: 10, pause: 15m}\n      - {percent: 100}\n"
                "    verify: []\n"
                "    #  - {id: filled, sql: SELECT count(*) FROM t WHERE new_column IS DISTINCT "
                "FROM old_column, expect: \"= 0\"}\n");
    str_addf(to,
             "  contract: # what is to be gone; hidden first, purged after the hold\n"
             "    # The release before this one is live beside it, and has to do without the old "
             "shape already.\n"
             "    release: \"%s\"\n",
             release[PHASE_CONTRACT]);
    if (undo->steps.len) {
        str_addf(to,
                 "    # What %s has made, the last first. What its contract destroyed is to be "
                 "made again in expand;\n    # its rows come back by: phasegate restore --from "
                 "SNAPSHOT %s\n    steps:\n%s",
                 opt_text(c, OPT_COMPENSATES), opt_text(c, OPT_COMPENSATES),
                 str_text(&undo->steps));
        if (undo->none.len)
            str_addf(to, "    # without a way back that could be derived: %s\n",
                     str_text(&undo->none));
        return;
    }
    str_add(to, "    steps: []\n"
                "    #  - {id: drop-old, sql: ALTER TABLE t DROP COLUMN old_column}\n");
}

/* Is there a file with this time in the folder or below? */
static bool stamp_is_taken(const char *folder, const char *stamp)
{
    DIR *dir = opendir(folder);
    bool taken = false;

    for (struct dirent *e = dir ? readdir(dir) : NULL; e && !taken; e = readdir(dir)) {
        if (e->d_name[0] == '.')
            continue;
        taken = strncmp(e->d_name, stamp, 14) == 0;
        if (!taken && e->d_type == DT_DIR) {
            AUTO(str) below = {0};

            str_addf(&below, "%s/%s", folder, e->d_name);
            taken = stamp_is_taken(str_text(&below), stamp);
        }
    }
    if (dir)
        closedir(dir);
    return taken;
}

static bool write_new(const char *path, const struct str *text, struct err *err)
{
    __attribute__((cleanup(fd_auto))) int fd =
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

    if (fd < 0)
        return err_set(err, ERR_CONFIG, "%s: can't be made: %s", path, strerror(errno));
    if (write(fd, str_text(text), text->len) != (ssize_t) text->len) {
        err_set(err, ERR_CONFIG, "%s: can't be written: %s", path, strerror(errno));
        unlink(path);
        return false;
    }
    return true;
}

static bool check_name(struct context *c, const char *id, struct err *err)
{
    if (!is_plan_id(id)) {
        err_set(err, ERR_USAGE,
                "\"%s\" can't be a plan's name; expected [a-z0-9-], at most 63 of them", id);
        return err_hint(err, "phasegate new orders-external-ref");
    }
    for (int i = 0; i < c->set.n_plans; i++)
        if (strcmp(c->set.plans[i].id.s, id) == 0) {
            err_set(err, ERR_USAGE, "there is a plan \"%s\" already: %s", id, c->set.plans[i].file);
            return err_hint(err, "choose another name");
        }
    return !opt_has(c, OPT_COMPENSATES) || context_plan(c, opt_text(c, OPT_COMPENSATES), err);
}

/* Two calls at once choose one after the other: the folder of plans is locked meanwhile. */
static bool make_plan(struct context *c, const char *database, const char *plans,
                      const char *folder, const struct undo_text *undo, struct err *err)
{
    __attribute__((cleanup(fd_auto))) int lock = open(plans, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int64_t now = clock_wall_ms(c->clock) / 1000;
    char stamp[15], cwd[4096];
    AUTO(str) text = {0};
    const char *path, *shown;

    if (lock < 0 || flock(lock, LOCK_EX) != 0)
        return err_set(err, ERR_CONFIG, "%s: %s", plans, strerror(errno));
    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        return err_set(err, ERR_CONFIG, "%s: can't be made: %s", folder, strerror(errno));
    for (time_to_stamp(now, stamp); stamp_is_taken(plans, stamp); time_to_stamp(++now, stamp))
        ;
    skeleton(c, stamp, database, undo, &text);
    path = shown = arena_printf(&c->arena, "%s/%s-%s.yaml", folder, stamp, arg(c, 0));
    if (!write_new(path, &text, err))
        return false;
    if (getcwd(cwd, sizeof cwd) && strncmp(path, cwd, strlen(cwd)) == 0 && path[strlen(cwd)] == '/')
        shown = path + strlen(cwd) + 1;
    out_print(&c->out, "%s\n", shown);
    if (out_is_json(&c->out)) {
        json_str(out_json(&c->out), "path", shown);
        json_str(out_json(&c->out), "plan", arg(c, 0));
        json_str(out_json(&c->out), "timestamp", stamp);
        json_str(out_json(&c->out), "database", database);
    }
    return true;
}

bool cmd_new(struct context *c, struct err *err)
{
    const struct project *p = &c->set.project;
    const char *dir = p->plans_dir.s ? p->plans_dir.s : "plans", *database, *plans, *folder;
    AUTO(undo_text) undo = {0};
    bool several;

    if (!check_name(c, arg(c, 0), err) || !choose_database(c, &database, &several, err))
        return false;
    if (opt_has(c, OPT_COMPENSATES) &&
        !compensating_steps(c, context_plan(c, opt_text(c, OPT_COMPENSATES), err), &undo.steps,
                            &undo.none, err))
        return false;
    plans = *dir == '/' ? dir : arena_printf(&c->arena, "%s/%s", p->root, dir);
    folder = several ? arena_printf(&c->arena, "%s/%s", plans, database) : plans;
    if (mkdir(plans, 0777) != 0 && errno != EEXIST)
        return err_set(err, ERR_CONFIG, "%s: can't be made: %s", plans, strerror(errno));
    return make_plan(c, database, plans, folder, &undo, err);
}

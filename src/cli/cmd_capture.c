/* capture --release V: what a release really ran, into its statements file. */
#include "capture_source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SQL_SHOWN 72
#define LOCK_SLICE_MS 50

struct job {
    const struct release *release;
    const char *path, *shown; /* of the file that is written */
    struct statements existing;
    struct capture capture;
    struct str bytes; /* what the file has */
    bool exists, written;
    mode_t mode;
    int lock; /* of the project's folder; -1: none yet */
};

static void job_auto(struct job *j)
{
    str_free(&j->bytes);
    if (j->lock >= 0)
        close(j->lock);
}

/* From before the file is read until it is written: what another capture adds would be lost. */
static bool lock_project(struct context *c, struct job *job, struct err *err)
{
    const char *root = c->set.project.root;
    bool told = false;

    job->lock = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (job->lock >= 0 && flock(job->lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        if (!told)
            out_warn(&c->out, "another capture writes in %s: waiting for its end", root);
        told = true;
        clock_sleep_ms(c->clock, LOCK_SLICE_MS);
        if (c->ports.interrupt->count > 0)
            return err_set(err, ERR_INTERRUPTED, "interrupted; nothing was written");
    }
    return true; /* where there are no locks, it goes without */
}

/* ---- which release, which file --------------------------------------------------------------------------- */

static bool find_release(struct context *c, struct job *job, struct err *err)
{
    const struct project *p = &c->set.project;
    const char *version = opt_text(c, OPT_CAPTURE_RELEASE), *near;
    const char **words = arena_array(&c->arena, const char *, p->n_releases + p->n_consumers + 1);
    int n = 0;

    if (!version) {
        err_set(err, ERR_USAGE, "capture: which release ran them? Give --release");
        return err_hint(err, "phasegate capture --release V");
    }
    for (int i = 0; i < p->n_releases; i++)
        words[n++] = p->releases[i].version.s;
    for (int i = 0; i < p->n_consumers; i++)
        words[n++] = p->consumers[i].version.s;
    for (int i = 0; i < n; i++)
        if (strcmp(words[i], version) == 0) {
            job->release = i < p->n_releases ? &p->releases[i] : &p->consumers[i - p->n_releases];
            return true;
        }
    near = name_nearest(version, words);
    err_set(err, ERR_USAGE, "%s has no release \"%s\"%s%s%s", p->file, version,
            near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return err_hint(err, "add it to releases: there");
}

static const char *in_root(struct context *c, const char *path)
{
    const char *root = c->set.project.root;

    return *path == '/' || !root ? path : arena_printf(&c->arena, "%s/%s", root, path);
}

static bool find_file(struct context *c, struct job *job, struct err *err)
{
    const struct text_list *paths = &job->release->statements;
    struct stat st;

    if (opt_has(c, OPT_TO)) {
        job->path = job->shown = opt_text(c, OPT_TO);
    } else if (paths->n > 0) {
        job->shown = paths->items[0].s;
        job->path = in_root(c, job->shown);
    } else {
        err_set(err, ERR_CONFIG, "%s:%d: release %s has no statements:", job->release->at.file,
                job->release->at.line, job->release->version.s);
        return err_hint(err, "add `statements: statements/%s.sql` to it, or give --to FILE",
                        job->release->version.s);
    }
    if (stat(job->path, &st) == 0 && S_ISDIR(st.st_mode)) {
        job->path = arena_printf(&c->arena, "%s/captured.sql", job->path);
        job->shown = arena_printf(&c->arena, "%s%scaptured.sql", job->shown,
                                  job->shown[strlen(job->shown) - 1] == '/' ? "" : "/");
    }
    job->exists = stat(job->path, &st) == 0;
    job->mode = job->exists ? st.st_mode & 0777 : 0644;
    return !job->exists ||
           c->host->ops->read_file(c->host, job->path, STATEMENTS_FILE_MAX, &job->bytes, err);
}

/* ---- what the release has ------------------------------------------------------------------------------------ */

static bool is_same_file(const char *one, const char *other)
{
    struct stat a, b;

    return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* The file that --to names may be one that the release doesn't list. */
static bool load_target(struct context *c, struct job *job, enum param_style style,
                        struct problem_list *problems)
{
    for (int i = 0; i < job->existing.n; i++)
        if (is_same_file(in_root(c, job->existing.items[i].at.file), job->path))
            return true;
    return !job->exists || statements_parse(&c->arena, job->shown, str_text(&job->bytes),
                                            job->bytes.len, style, &job->existing, problems);
}

static bool load_existing(struct context *c, struct job *job, enum param_style *style,
                          struct err *err)
{
    const struct release *r = job->release;
    struct text_list there = {.items = arena_array(&c->arena, struct text, r->statements.n + 1)};
    AUTO(problem_list) problems = {0};
    struct stat st;
    bool good;

    if (!param_style_from_word(r->params.s, style))
        return err_set(err, ERR_CONFIG, "%s:%d: params: \"%s\" is no style of parameters",
                       r->params.at.file, r->params.at.line, r->params.s);
    for (int i = 0; i < r->statements.n; i++)
        if (stat(in_root(c, r->statements.items[i].s), &st) == 0)
            there.items[there.n++] = r->statements.items[i];
    good = statements_load(&c->arena, c->set.project.root ? c->set.project.root : ".", &there,
                           *style, &job->existing, &problems, err);
    if (good && !load_target(c, job, *style, &problems)) {
        AUTO(str) first = {0};

        problem_text(&first, &problems.items[0]);
        good = err_set(err, ERR_INPUT, "%s", str_text(&first));
    }
    if (!good && problems.n > (out_is_json(&c->out) ? 0 : 1))
        context_show_problems(c, &problems);
    return good;
}

/* ---- the answer ------------------------------------------------------------------------------------------------ */

/* One line of it. */
static const char *short_sql(struct context *c, const char *sql)
{
    AUTO(str) line = {0};
    size_t n = 0;

    for (; *sql && (line.len < SQL_SHOWN || (*sql & 0xc0) == 0x80); sql++) {
        bool blank = strchr(" \t\r\n", *sql) != NULL;

        if (!blank)
            str_addc(&line, *sql);
        else if (n > 0 && line.text[line.len - 1] != ' ')
            str_addc(&line, ' ');
        n = line.len;
    }
    return arena_printf(&c->arena, "%s%s", str_text(&line), *sql ? "..." : "");
}

static int count_new(const struct capture *cap)
{
    int n = 0;

    for (int i = 0; i < cap->n; i++)
        n += captured_is_new(&cap->items[i]);
    return n;
}

static int count_known(const struct capture *cap)
{
    int n = 0;

    for (int i = 0; i < cap->n; i++)
        n += cap->items[i].existing && cap->items[i].calls > 0;
    return n;
}

static void show_items(struct context *c, const struct job *job)
{
    const struct capture *cap = &job->capture;
    AUTO(out_table) t = {0};

    out_table_head(&t, OUT_CELLS("", "NAME", "CALLS", "TYPES", "SQL"));
    for (int i = 0; i < cap->n; i++) {
        const struct captured *item = &cap->items[i];
        bool refused = item->refused_because != NULL;

        if (!captured_is_new(item) && !refused)
            continue;
        out_table_row(&t, OUT_CELLS(refused ? "refused" : "new", refused ? "" : item->name,
                                    arena_printf(&c->arena, "%" PRId64, item->calls),
                                    item->types ? item->types : "", short_sql(c, item->sql)));
        out_table_style(&t, 0, refused ? STYLE_WARN : STYLE_GOOD);
        if (refused)
            out_table_row(&t, OUT_CELLS("", "", "", "", item->refused_because));
    }
    for (int i = 0; i < cap->n_vanished; i++)
        out_table_row(&t, OUT_CELLS("not seen", cap->vanished[i]->name, "", "",
                                    short_sql(c, cap->vanished[i]->sql)));
    if (t.n_rows > 1)
        out_table_print(&c->out, &t);
}

/* Of a log: pg_stat_statements' are prepared. */
static int count_untyped(const struct capture *cap)
{
    int n = 0;

    for (int i = 0; strcmp(cap->source, "log") == 0 && i < cap->n; i++)
        n += captured_is_new(&cap->items[i]) && cap->items[i].n_params > 0 && !cap->items[i].types;
    return n;
}

static void show_text(struct context *c, const struct job *job)
{
    const struct capture *cap = &job->capture;

    show_items(c, job);
    out_print(&c->out, "%s: %d %s, %d known, %d not seen this time\n", job->shown, count_new(cap),
              opt_has(c, OPT_CAPTURE_DRY_RUN) ? "would be added" : "added", count_known(cap),
              cap->n_vanished);
    for (int s = 0; s < CAPTURE_SKIP_COUNT; s++)
        if (cap->skipped[s] > 0)
            out_print(&c->out, "left out %" PRId64 ": %s\n", cap->skipped[s],
                      capture_skip_text((enum capture_skip) s));
    if (count_untyped(cap) > 0)
        out_print(&c->out,
                  "%d with parameters whose types a log doesn't tell: phasegate check says where "
                  "the server can't infer them (42P18); write a cast there, $1::int\n",
                  count_untyped(cap));
    if (cap->evicted > 0)
        out_warn(&c->out,
                 "pg_stat_statements holds %s statements of all databases and threw out the rarest "
                 "%" PRId64 " times since %s: some that ran may be missing here; raise "
                 "pg_stat_statements.max (then restart the server), or read a log: --from-log FILE",
                 cap->entries_most, cap->evicted, cap->evicted_since);
    if (cap->seen == 0 && cap->counts_nothing)
        out_warn(&c->out, "nothing was seen: pg_stat_statements.track is none; set it to top, "
                          "or to all for what functions run, and let the release run again");
    else if (cap->seen == 0)
        out_warn(&c->out, "nothing was seen: do the filters leave anything over?");
}

static void item_json(struct json_out *j, const struct captured *item)
{
    json_object_begin(j, NULL);
    json_str(j, "name", item->name);
    json_int(j, "calls", item->calls);
    json_str(j, "sql", item->existing ? item->existing->sql : item->text);
    if (!item->existing) /* those of a statement that is there stand in its file */
        json_str(j, "types", item->types);
    json_str(j, "file", item->existing ? item->existing->at.file : NULL);
    json_int(j, "line", item->existing ? item->existing->at.line : 0);
    json_object_end(j);
}

static void vanished_json(struct json_out *j, const struct capture *cap)
{
    json_array_begin(j, "not_seen");
    for (int i = 0; i < cap->n_vanished; i++) {
        json_object_begin(j, NULL);
        json_str(j, "name", cap->vanished[i]->name);
        json_str(j, "file", cap->vanished[i]->at.file);
        json_int(j, "line", cap->vanished[i]->at.line);
        json_object_end(j);
    }
    json_array_end(j);
}

static void left_out_json(struct json_out *j, const struct capture *cap)
{
    json_array_begin(j, "refused");
    for (int i = 0; i < cap->n; i++)
        if (cap->items[i].refused_because) {
            json_object_begin(j, NULL);
            json_str(j, "sql", cap->items[i].sql);
            json_int(j, "calls", cap->items[i].calls);
            json_str(j, "message", cap->items[i].refused_because);
            json_object_end(j);
        }
    json_array_end(j);
    json_array_begin(j, "left_out");
    for (int s = 0; s < CAPTURE_SKIP_COUNT; s++)
        if (cap->skipped[s] > 0) {
            json_object_begin(j, NULL);
            json_str(j, "reason", capture_skip_word((enum capture_skip) s));
            json_str(j, "text", capture_skip_text((enum capture_skip) s));
            json_int(j, "count", cap->skipped[s]);
            json_object_end(j);
        }
    json_array_end(j);
}

static void show_json(struct context *c, const struct job *job)
{
    const struct capture *cap = &job->capture;
    struct json_out *j = out_json(&c->out);

    json_str(j, "release", job->release->version.s);
    json_str(j, "file", job->shown);
    json_str(j, "source", cap->source);
    json_bool(j, "written", job->written);
    json_int(j, "seen", cap->seen);
    json_int(j, "untyped", count_untyped(cap));
    json_int(j, "evicted", cap->evicted);
    json_array_begin(j, "added");
    for (int i = 0; i < cap->n; i++)
        if (captured_is_new(&cap->items[i]))
            item_json(j, &cap->items[i]);
    json_array_end(j);
    json_array_begin(j, "known");
    for (int i = 0; i < cap->n; i++)
        if (cap->items[i].existing && cap->items[i].calls > 0)
            item_json(j, &cap->items[i]);
    json_array_end(j);
    vanished_json(j, cap);
    left_out_json(j, cap);
}

/* ---- the file --------------------------------------------------------------------------------------------------- */

static bool write_file(struct context *c, struct job *job, struct err *err)
{
    AUTO(str) text = {0};
    const char *slash = strrchr(job->path, '/');

    if (count_new(&job->capture) == 0 || opt_has(c, OPT_CAPTURE_DRY_RUN))
        return true;
    capture_render(&job->capture, job->release->version.s,
                   job->exists ? str_text(&job->bytes) : NULL, &text);
    if (text.full)
        return err_set(err, ERR_INPUT, "%s would be larger than 64 MiB", job->shown);
    if (!job->exists && slash && slash != job->path && !opt_has(c, OPT_TO) &&
        mkdir(arena_strndup(&c->arena, job->path, (size_t) (slash - job->path)), 0777) != 0 &&
        errno != EEXIST)
        return err_set(err, ERR_CONFIG, "%s: can't be made: %s", job->shown, strerror(errno));
    job->written = c->host->ops->write_atomic(c->host, job->path, str_text(&text), text.len,
                                              (int) job->mode, err);
    return job->written;
}

bool cmd_capture(struct context *c, struct err *err)
{
    bool from_log = opt_has(c, OPT_FROM_LOG) || c->line.n_args > 0;
    enum param_style style = PARAMS_DOLLAR;
    AUTO(job) job = {.lock = -1};

    if (opt_has(c, OPT_WITH_VALUES) && !from_log) {
        err_set(err, ERR_USAGE, "--with-values: pg_stat_statements holds no values");
        return err_hint(err, "phasegate capture --release V --from-log FILE --with-values");
    }
    if (!find_release(c, &job, err) || !lock_project(c, &job, err) || !find_file(c, &job, err) ||
        !load_existing(c, &job, &style, err))
        return false;
    capture_begin(&job.capture, &c->arena, style, from_log ? "log" : "pg_stat_statements",
                  opt_has(c, OPT_WITH_VALUES));
    capture_existing(&job.capture, &job.existing);
    if (from_log
            ? !capture_from_logs(c, &job.capture, err)
            : !capture_from_databases(c, &job.capture, job.release->session_search_path.s, err))
        return false;
    if (!capture_role_is_known(c, &job.capture, err))
        return false;
    capture_end(&job.capture);
    if (!write_file(c, &job, err))
        return false;
    if (out_is_json(&c->out))
        show_json(c, &job);
    else
        show_text(c, &job);
    return true;
}

/* Flags that no file says: see kill_sources.h. */
#include "kill_sources.h"

#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>

#define ASK_MS 1000 /* to connect, and for each question */
#define FILE_MAX (1 << 20)

/* ---- files ------------------------------------------------------------------------------------------- */

static const struct plan *plan_of_file(const struct context *c, const char *file)
{
    for (int i = 0; i < c->set.n_plans; i++)
        if (strcmp(c->set.plans[i].file, file) == 0)
            return &c->set.plans[i];
    return NULL;
}

/* "plans/20261114093000-orders.yaml" -> "orders" */
static const char *plan_by_name(struct arena *a, const char *file)
{
    const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;
    size_t stamp = strspn(name, "0123456789"), n = strlen(name);

    if (stamp != 14 || n < 21 || strcmp(name + n - 5, ".yaml") != 0)
        return NULL;
    return arena_strndup(a, name + 15, n - 20);
}

static bool is_named(const struct context *c, const char *plan)
{
    for (int i = 0; plan && i < c->line.n_args; i++)
        if (strcmp(c->line.args[i], plan) == 0)
            return true;
    return false;
}

static bool is_listed(const struct unread_file *list, int n, const char *file)
{
    for (int i = 0; i < n; i++)
        if (strcmp(list[i].file, file) == 0)
            return true;
    return false;
}

/* A named plan that isn't found may be in any file that couldn't be read, unless one has its name. */
static bool is_wanted(const struct context *c, const struct unread_file *f, bool named_file)
{
    return is_named(c, f->plan) || (c->n_strangers > 0 && !named_file && !plan_of_file(c, f->file));
}

void unread_files(struct context *c, bool all, struct unread_file **out, int *out_n)
{
    const struct problem_list *l = &c->problems;
    struct unread_file *list = arena_array(&c->arena, struct unread_file, l->n + 1);
    bool named_file = false;
    int n = 0, kept = 0;

    for (int i = 0; i < l->n; i++) {
        const char *file = l->items[i].at.file;
        const struct plan *p = file ? plan_of_file(c, file) : NULL;

        if (!file || strcmp(file, c->set.project.file) == 0 || is_listed(list, n, file) ||
            (p && !p->flags_unread))
            continue;
        list[n++] = (struct unread_file) {.file = file,
                                          .plan = p ? p->id.s : plan_by_name(&c->arena, file)};
        named_file = named_file || (!p && is_named(c, list[n - 1].plan));
    }
    if (l->cut)
        list[n++] = (struct unread_file) {.file = "more files than are named here"};
    for (int i = 0; i < n; i++)
        if (all || is_wanted(c, &list[i], named_file))
            list[kept++] = list[i];
    *out = list;
    *out_n = kept;
}

/* The value of a "key:" that begins here, in whatever is left of YAML or JSON; NULL: none does. */
static const char *key_at(struct arena *a, const char *s)
{
    const char *at = s + 3;
    size_t n;

    if (strncmp(s, "key", 3) != 0)
        return NULL;
    at += *at == '"' || *at == '\'';
    at += strspn(at, " \t");
    if (*at++ != ':')
        return NULL;
    at += strspn(at, " \t\"'");
    n = strcspn(at, " \t\r\n,}\"'#");
    return n ? arena_strndup(a, at, n) : NULL;
}

static bool is_killed(const struct flag_kill_report *r, const char *key)
{
    for (int i = 0; i < r->n; i++)
        if (strcmp(r->results[i].key, key) == 0)
            return true;
    return false;
}

/* From "flags:" to the next key that isn't indented. A guess, to be read by a person. */
static void gather_keys(struct arena *a, const char *text, const struct flag_kill_report *r,
                        struct unread_file *f)
{
    const char *at = strstr(text, "flags");
    int n = 0;

    f->keys = arena_array(a, const char *, strlen(text) / 6 + 2);
    for (at = at ? at + 1 : NULL; at && *at && !(*at == '\n' && isalpha((unsigned char) at[1]));
         at++) {
        const char *key = isalnum((unsigned char) at[-1]) || at[-1] == '_' ? NULL : key_at(a, at);

        if (key && !is_killed(r, key))
            f->keys[n++] = key;
    }
}

void unread_files_keys(struct context *c, struct kill_sources *s, const struct flag_kill_report *r)
{
    for (int i = 0; i < s->n_unread; i++) {
        struct unread_file *f = &s->unread[i];
        const char *path = arena_printf(&c->arena, "%s/%s", c->set.project.root, f->file);
        AUTO(str) text = {0};
        AUTO(err) ignored = {0};

        f->keys = arena_array(&c->arena, const char *, 1);
        for (int k = 0; f->plan && k < r->n; k++)
            f->sent |= r->results[k].plan && strcmp(r->results[k].plan, f->plan) == 0;
        if (c->host->ops->read_file(c->host, path, FILE_MAX, &text, &ignored))
            gather_keys(&c->arena, str_text(&text), r, f);
    }
}

/* ---- ledgers ------------------------------------------------------------------------------------------- */

static const char *look_up(void *ctx, const char *name)
{
    (void) ctx;
    return getenv(name);
}

static bool ask_one(struct context *c, const struct database_decl *d, struct arena *a,
                    struct known_flag **out, int *out_n, struct err *err)
{
    struct db_options o = db_options_default();
    AUTO(str) url = {0};
    struct db *db = NULL;
    int version = 0;

    *out_n = 0;
    if (!text_resolve(&d->url, look_up, NULL, &url, err))
        return false;
    o.url = str_text(&url);
    o.label = c->label;
    o.connect_ms = o.lock_ms = o.statement_ms = ASK_MS;
    o.clock = c->clock;
    if (!db_connect(&o, &db, err))
        return false;
    db_set_deadline_ms(db, ASK_MS);
    bool ok = ledger_version(db, &version, err) &&
              (version == 0 || ledger_known_flags(db, a, c->env->name.s, out, out_n, err));
    db_close(db);
    return ok;
}

static void write_field(struct str *to, const char *text)
{
    str_add(to, text ? text : "");
    str_addc(to, '\0');
}

/* Four fields a flag; at the end an empty key, and whether that was all. */
static void ask(int fd, void *ctx)
{
    struct context *c = ctx;
    AUTO(arena) a = {0};
    AUTO(str) found = {0};
    bool all = true;

    for (int i = 0; i < c->env->n_databases; i++) {
        struct known_flag *k = NULL;
        AUTO(err) ignored = {0};
        int n = 0;

        if (!ask_one(c, &c->env->databases[i], &a, &k, &n, &ignored))
            all = false;
        for (int j = 0; j < n; j++) {
            write_field(&found, k[j].key);
            write_field(&found, k[j].plan);
            write_field(&found, k[j].role);
            write_field(&found, k[j].stage);
        }
    }
    write_field(&found, NULL);
    write_field(&found, all && !found.full ? "all" : NULL);
    for (size_t at = 0; at < found.len;) {
        ssize_t n = write(fd, found.text + at, found.len - at);
        if (n <= 0)
            return;
        at += (size_t) n;
    }
}

void kill_sources_ask(struct context *c, struct kill_sources *s)
{
    s->asking = beside_start(ask, c);
}

static const char *read_field(struct arena *a, const char **at, const char *end)
{
    const char *text = *at, *stop = text < end ? memchr(text, '\0', (size_t) (end - text)) : NULL;

    *at = stop ? stop + 1 : end;
    return stop && stop > text ? arena_strdup(a, text) : NULL;
}

void kill_sources_take(struct context *c, struct kill_sources *s, int64_t wait_ms)
{
    AUTO(str) text = {0};
    struct known_flag k;

    if (!s->asking)
        return;
    bool whole = beside_take(s->asking, c->clock, wait_ms, &text);
    s->asking = NULL;
    const char *at = str_text(&text), *end = at + text.len;
    s->ledger = arena_array(&c->arena, struct known_flag, text.len / 4 + 1);
    while (whole && (k.key = read_field(&c->arena, &at, end))) {
        k.plan = read_field(&c->arena, &at, end);
        k.role = read_field(&c->arena, &at, end);
        k.stage = read_field(&c->arena, &at, end);
        s->ledger[s->n_ledger++] = k;
    }
    s->ledger_answered = whole && read_field(&c->arena, &at, end) != NULL;
}

#include "probe_cache.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CACHE_MAX ((size_t) 64 << 20)

/* The program as it is on the disk: a build with other probes has other answers. */
static bool add_program(struct str *to)
{
    struct stat st;

    if (stat("/proc/self/exe", &st) != 0)
        return false;
    str_addf(to, "%s %lld %lld.%09ld", PHASEGATE_VERSION, (long long) st.st_size,
             (long long) st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    return true;
}

/* Answers may depend on what day it is: what is kept doesn't outlive it. */
static void add_day(struct context *c, struct str *to)
{
    str_addf(to, " day %lld", (long long) (clock_wall_ms(c->clock) / INT64_C(86400000)));
}

/* The server's, of ours. */
static void add_zone(struct context *c, struct str *to)
{
    const char *zone = c->host->ops->env(c->host, "TZ");

    str_addf(to, " zone %s", zone ? zone : "");
}

static bool add_baseline(struct context *c, struct str *to)
{
    const struct project *p = &c->set.project;
    char hex[65];

    if (!p->baseline.s)
        return true;
    if (!shadow_baseline_print(p->root, p->baseline.s, hex))
        return false;
    str_addf(to, " baseline %s", hex);
    return true;
}

/* One file a project: its folder, as it was named, is what tells them apart. */
static const char *path_of(struct context *c)
{
    const char *folder = cache_folder(c, &c->arena);
    const char *where = c->set.project.root;
    char hex[65];

    if (!folder)
        return NULL;
    char *real = realpath(where, NULL);
    sha256_hex(real ? real : where, strlen(real ? real : where), hex);
    free(real);
    return arena_printf(&c->arena, "%s/check-%.16s.jsonl", folder, hex);
}

/* Ours, and nobody else's to write: whoever writes it decides what is found. */
static bool is_own(struct context *c, const char *path)
{
    struct stat st;
    const char *folder = arena_strndup(&c->arena, path, (size_t) (strrchr(path, '/') - path));

    if (stat(folder, &st) != 0 || st.st_uid != geteuid() || (st.st_mode & 002) != 0)
        return false;
    return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
           (st.st_mode & 022) == 0;
}

/* The first line is the sum of the others: half a file, or one that somebody edited, is none. */
static void check_sum(struct str *text)
{
    char hex[65];
    const char *rest = text->len > 65 ? str_text(text) + 65 : NULL;

    if (rest)
        sha256_hex(rest, text->len - 65, hex);
    if (!rest || rest[-1] != '\n' || memcmp(str_text(text), hex, 64) != 0)
        str_clear(text);
}

void probe_cache_read(struct context *c, struct probe_cache *k)
{
    AUTO(str) salt = {0};
    AUTO(err) ignored = {0};

    k->path = path_of(c);
    add_day(c, &salt);
    str_addf(&salt, " superuser %d", opt_has(c, OPT_SHADOW_SUPERUSER));
    add_zone(c, &salt);
    if (!k->path || !add_program(&salt) || !add_baseline(c, &salt))
        return;
    k->text.ceiling = CACHE_MAX + 1;
    k->out.ceiling = CACHE_MAX;
    if (!is_own(c, k->path) ||
        !c->host->ops->read_file(c->host, k->path, CACHE_MAX, &k->text, &ignored))
        str_clear(&k->text);
    check_sum(&k->text);
    size_t head = k->text.len > 0 ? 65 : 0;
    k->cache = (struct check_cache) {.salt = arena_strdup(&c->arena, str_text(&salt)),
                                     .text = str_text(&k->text) + head,
                                     .n = k->text.len - head,
                                     .out = &k->out};
}

void probe_cache_write(struct context *c, struct probe_cache *k)
{
    AUTO(err) ignored = {0};

    if (!k->cache.salt || k->out.len == 0 || k->out.full)
        return;
    if (k->out.len == k->cache.n && memcmp(k->out.text, k->cache.text, k->out.len) == 0)
        return;
    AUTO(str) whole = {.ceiling = k->out.len + STR_CEILING};
    char hex[65];
    sha256_hex(str_text(&k->out), k->out.len, hex);
    str_addf(&whole, "%s\n", hex);
    str_addn(&whole, str_text(&k->out), k->out.len);
    /* What was cut short has another sum. */
    (void) !c->host->ops->write_quick(c->host, k->path, str_text(&whole), whole.len, 0600,
                                      &ignored);
}

void probe_cache_free(struct probe_cache *k)
{
    str_free(&k->text);
    str_free(&k->out);
}

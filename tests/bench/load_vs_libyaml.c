/* load_vs_libyaml: what loading and validating a folder of plans costs.
 *
 *     load_vs_libyaml [PLANS]
 *     load_vs_libyaml --write FOLDER PLANS     a project with that many plans, and nothing else
 *
 * Writes PLANS plans (1,000) of about eighty lines into a temporary folder, then takes turns: libyaml's
 * bare event loop over the same bytes, already in memory, and the loader over the folder, with
 * reading, decoding, checksums and validation: as the commands load, which keep the heads of plans, and
 * with all of them kept whole. By the clock, and by the time of the processor, which doesn't count what
 * others do on the machine. Then the peak memory of a process that loads ten times as many. Never asserts.
 */
#include "phasegate/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <yaml.h>

#define RUNS 15
#define TIMES_MEMORY 10

static const char plan_pattern[] =
    "phasegate: 1\n"
    "plan: table-%1$d-reference\n"
    "timestamp: %2$s\n"
    "title: Give every row of table %1$d an external reference\n"
    "author: team-%3$d\n"
    "%4$s"
    "requires:\n"
    "  - postgres: \">= 14\"\n"
    "  - table: table_%1$d\n"
    "  - disk_free: 2GiB\n"
    "flags:\n"
    "  read:  {key: table-%1$d-reference-read}\n"
    "  write: {key: table-%1$d-reference-write, bucket_by: accountId}\n"
    "data_checks:\n"
    "  - id: legacy-format\n"
    "    sql: SELECT count(*) FROM table_%1$d WHERE legacy_ref !~ '^[A-Z]{2}[0-9]{6}$'\n"
    "    expect: \"= 0\"\n"
    "    fix: UPDATE table_%1$d SET legacy_ref = upper(legacy_ref) WHERE legacy_ref <> "
    "upper(legacy_ref)\n"
    "\n"
    "sync:\n"
    "  table: table_%1$d\n"
    "  forward: {external_ref: \"legacy_ref\"}\n"
    "  reverse: {legacy_ref: \"external_ref\"}\n"
    "  by: trigger\n"
    "\n"
    "phases:\n"
    "  expand:\n"
    "    release: 4.%5$d.0\n"
    "    steps:\n"
    "      - id: column\n"
    "        sql: ALTER TABLE table_%1$d ADD COLUMN external_ref text\n"
    "      - id: index\n"
    "        sql: CREATE UNIQUE INDEX CONCURRENTLY table_%1$d_external_ref_key ON table_%1$d "
    "(external_ref)\n"
    "  dual_read:\n"
    "    release: 4.%6$d.0\n"
    "    rollout:                 # of the read flag\n"
    "      - {percent: 5, pause: 10m}\n"
    "      - {percent: 50, pause: 1h}\n"
    "      - {percent: 100}\n"
    "    backfill: [{id: fill}]\n"
    "    compare: {sample: 1%%, max_mismatch: 0}\n"
    "    gates: [smoke, errors]\n"
    "  write_activation:\n"
    "    release: 4.%7$d.0\n"
    "    rollout: [{percent: 10, pause: 15m}, {percent: 100}]\n"
    "    gates: [errors]\n"
    "    verify:\n"
    "      - id: filled\n"
    "        sql: SELECT count(*) FROM table_%1$d WHERE external_ref IS NULL AND legacy_ref IS NOT "
    "NULL\n"
    "        expect: \"= 0\"\n"
    "      - id: equal\n"
    "        sql: SELECT count(*) FROM table_%1$d WHERE external_ref IS DISTINCT FROM legacy_ref\n"
    "        expect: \"= 0\"\n"
    "  contract:\n"
    "    release: 4.%8$d.0\n"
    "    steps:\n"
    "      - id: drop-legacy\n"
    "        sql: ALTER TABLE table_%1$d DROP COLUMN legacy_ref\n"
    "    snapshot: {columns: {table_%1$d: [legacy_ref]}}\n"
    "    hold: 72h\n"
    "\n"
    "gates:\n"
    "  smoke:\n"
    "    http: {url: \"https://shop.example.com/health\", status: 200, json: /status, expect: \"= "
    "ok\"}\n"
    "    no_data: hold\n"
    "  errors:\n"
    "    prometheus: {url: \"${PROM}\", query: 'sum(rate(http_5xx{table=\"%1$d\"}[5m]))', expect: "
    "\"< 0.01\"}\n"
    "    interval: 30s\n"
    "    count: 3\n"
    "    no_data: hold\n"
    "    on_failure: rollback\n"
    "validation:\n"
    "  - {id: row-count, sql: \"SELECT count(*) FROM table_%1$d\", expect: unchanged}\n"
    "  - {id: quiet, gate: errors, for: 24h}\n"
    "  - {id: acceptance, manual: Product owner accepts the export of table %1$d}\n"
    "runbook:\n"
    "  owner: team-%3$d\n"
    "  targets: {kill: 1m, rollback: 15m}\n"
    "  go: [{gate: smoke}, {manual: on-call is present}]\n"
    "  rollback_when: [errors]\n";

static void must(bool good, const char *what)
{
    if (!good) {
        perror(what);
        exit(1);
    }
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    must(f && fputs(text, f) >= 0 && fclose(f) == 0, path);
}

/* Gives the text of plan i; every tenth depends on the one ten before. */
static void plan_text(struct str *out, int i)
{
    AUTO(str) deps = {0};
    char stamp[15];
    time_t when = 1700000000 + (time_t) i * 60;
    struct tm tm;

    gmtime_r(&when, &tm);
    strftime(stamp, sizeof stamp, "%Y%m%d%H%M%S", &tm);
    if (i >= 10 && i % 10 == 0)
        str_addf(&deps, "depends_on:\n  - {plan: table-%d-reference, phase: expand}\n", i - 10);
    str_clear(out);
    str_addf(out, plan_pattern, i, stamp, i % 20, str_text(&deps), i / 100 + 1, i / 100 + 2,
             i / 100 + 3, i / 100 + 4);
}

static void write_project(const char *dir, int n)
{
    AUTO(str) text = {0};
    AUTO(str) path = {0};

    must(mkdir(dir, 0700) == 0, dir);
    str_addf(&path, "%s/phasegate.yaml", dir);
    write_file(str_text(&path), "phasegate: 1\nplans: plans/\n");
    str_clear(&path);
    str_addf(&path, "%s/plans", dir);
    must(mkdir(str_text(&path), 0700) == 0, "plans");
    for (int i = 0; i < n; i++) {
        plan_text(&text, i);
        str_clear(&path);
        str_addf(&path, "%s/plans/%.14s-table-%d.yaml", dir,
                 strstr(str_text(&text), "timestamp: ") + 11, i);
        write_file(str_text(&path), str_text(&text));
    }
}

struct spent { /* ms */
    double wall, cpu;
};

static double clock_ms(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double) t.tv_sec * 1e3 + (double) t.tv_nsec / 1e6;
}

static struct spent spent_since(struct spent start)
{
    return (struct spent) {clock_ms(CLOCK_MONOTONIC) - start.wall,
                           clock_ms(CLOCK_PROCESS_CPUTIME_ID) - start.cpu};
}

static struct spent time_libyaml(const struct str *texts, int n)
{
    struct spent start = spent_since((struct spent) {0, 0});

    for (int i = 0; i < n; i++) {
        yaml_parser_t parser;
        yaml_event_type_t type;

        must(yaml_parser_initialize(&parser), "yaml_parser_initialize");
        yaml_parser_set_input_string(&parser, (const unsigned char *) texts[i].text, texts[i].len);
        do {
            yaml_event_t event;
            must(yaml_parser_parse(&parser, &event), "yaml_parser_parse");
            type = event.type;
            yaml_event_delete(&event);
        } while (type != YAML_STREAM_END_EVENT);
        yaml_parser_delete(&parser);
    }
    return spent_since(start);
}

static bool is_last(void *ctx, struct plan *p)
{
    const int *n = ctx;
    AUTO(str) id = {0};

    str_addf(&id, "table-%d-reference", *n - 1);
    return strcmp(p->id.s, str_text(&id)) == 0;
}

enum how { NOTHING, ALL_WHOLE, ONE_WHOLE, HEADS };

static void load(const char *dir, int n, enum how how)
{
    AUTO(plan_set) set = {0};
    AUTO(problem_list) problems = {0};
    AUTO(err) err = {0};
    bool good = how == ALL_WHOLE ? plan_set_load(dir, NULL, &set, &problems, &err)
                                 : plan_set_load_some(dir, NULL, how == HEADS ? NULL : is_last, &n,
                                                      &set, &problems, &err);

    if (good && set.n_plans == n)
        return;
    fprintf(stderr, "%d plans; %s %s\n", set.n_plans, str_text(&err.message),
            str_text(&err.detail));
    exit(1);
}

static struct spent time_load(const char *dir, int n, enum how how)
{
    struct spent start = spent_since((struct spent) {0, 0});

    load(dir, n, how);
    return spent_since(start);
}

static double peak_mb(const char *dir, int n, enum how how)
{
    struct rusage usage;
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        if (how != NOTHING)
            load(dir, n, how);
        _exit(0);
    }
    must(pid > 0 && wait4(pid, &status, 0, &usage) == pid && status == 0, "the loading process");
    return (double) usage.ru_maxrss / 1024;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

static double median(double *values)
{
    qsort(values, RUNS, sizeof *values, by_value);
    return values[RUNS / 2];
}

static void remove_tree(const char *dir)
{
    AUTO(str) command = {0};

    str_addf(&command, "rm -rf '%s'", dir);
    must(system(str_text(&command)) == 0, "rm");
}

/* Medians of what the turns took, and of the ratios within one turn. */
struct series {
    double wall[RUNS], cpu[RUNS], ratio[RUNS], cpu_ratio[RUNS];
};

static void series_add(struct series *s, int run, struct spent spent, struct spent libyaml)
{
    s->wall[run] = spent.wall;
    s->cpu[run] = spent.cpu;
    s->ratio[run] = spent.wall / libyaml.wall;
    s->cpu_ratio[run] = spent.cpu / libyaml.cpu;
}

static void take_turns(const char *dir, int n)
{
    struct series libyaml, heads, whole;
    struct str *texts = calloc((size_t) n, sizeof *texts);
    size_t bytes = 0;

    must(texts != NULL, "calloc");
    for (int i = 0; i < n; i++) {
        plan_text(&texts[i], i);
        bytes += texts[i].len;
    }
    time_load(dir, n, HEADS); /* warms the file cache, for all alike */
    printf("%d plans, %zu bytes each on average\n%5s %12s %12s %7s %12s %7s\n", n,
           bytes / (size_t) n, "run", "libyaml ms", "heads ms", "ratio", "whole ms", "ratio");
    for (int run = 0; run < RUNS; run++) {
        struct spent bare = time_libyaml(texts, n);

        series_add(&libyaml, run, bare, bare);
        series_add(&heads, run, time_load(dir, n, HEADS), bare);
        series_add(&whole, run, time_load(dir, n, ALL_WHOLE), bare);
        printf("%5d %12.1f %12.1f %7.2f %12.1f %7.2f\n", run + 1, bare.wall, heads.wall[run],
               heads.ratio[run], whole.wall[run], whole.ratio[run]);
    }
    for (int i = 0; i < n; i++)
        str_free(&texts[i]);
    free(texts);
    printf("{\"bench\": \"startup\", \"runs\": %d, \"ratios\": {\"load_vs_libyaml\": %.3f, "
           "\"load_vs_libyaml_cpu\": %.3f, \"load_whole_vs_libyaml\": %.3f, "
           "\"load_whole_vs_libyaml_cpu\": %.3f}, \"figures\": {\"libyaml_ms\": %.1f, "
           "\"load_ms\": %.1f, \"load_whole_ms\": %.1f",
           RUNS, median(heads.ratio), median(heads.cpu_ratio), median(whole.ratio),
           median(whole.cpu_ratio), median(libyaml.wall), median(heads.wall), median(whole.wall));
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--write") == 0) {
        write_project(argv[2], atoi(argv[3]));
        return 0;
    }
    int n = argc > 1 ? atoi(argv[1]) : 1000, many = n * TIMES_MEMORY;
    char dir[] = "/tmp/load_vs_libyaml.XXXXXX";
    AUTO(str) small = {0};
    AUTO(str) large = {0};

    must(n > 0 && mkdtemp(dir) != NULL, "mkdtemp");
    str_addf(&small, "%s/small", dir);
    str_addf(&large, "%s/large", dir);
    write_project(str_text(&large), many);
    double rss_bare = peak_mb(str_text(&large), many, NOTHING),
           rss_all = peak_mb(str_text(&large), many, ALL_WHOLE),
           rss = peak_mb(str_text(&large), many, ONE_WHOLE);
    printf("peak memory with %d plans: %.1f MB with one of them whole, %.1f MB with all (%.1f MB "
           "before loading)\n",
           many, rss, rss_all, rss_bare);
    write_project(str_text(&small), n);
    take_turns(str_text(&small), n);
    printf(", \"rss_%d_plans_mb\": %.1f, \"rss_%d_whole_plans_mb\": %.1f}}\n", many, rss, many,
           rss_all);
    remove_tree(dir);
    return 0;
}

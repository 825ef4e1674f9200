#include "flag_rig.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DOUBLE_TOKEN "double-admin"
#define DOUBLE_SDK_TOKEN "double-sdk"

/* ---- the double ------------------------------------------------------------------------------ */

void double_start(struct rig *r, int port)
{
    const char *root = getenv("PHASEGATE_SRC");
    char script[4096], number[16], line[64] = "";
    int in[2], out[2];
    ssize_t n;

    snprintf(script, sizeof script, "%s/tests/lib/flag_double.py", root ? root : ".");
    snprintf(number, sizeof number, "%d", port);
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    r->double_pid = fork();
    if (r->double_pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        close(out[0]);
        execlp("python3", "python3", script, number, (char *) NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    r->double_stdin = in[1];
    for (size_t used = 0; !strchr(line, '\n') && used < sizeof line - 1; used += (size_t) n) {
        n = read(out[0], line + used, sizeof line - 1 - used);
        if (n <= 0)
            fail_msg("flag_double.py didn't start");
    }
    close(out[0]);
    line[strcspn(line, "\n")] = '\0';
    snprintf(r->url, sizeof r->url, "%s", line);
}

void double_stop(struct rig *r)
{
    if (r->double_pid <= 0)
        return;
    kill(r->double_pid, SIGKILL);
    waitpid(r->double_pid, NULL, 0);
    close(r->double_stdin);
    r->double_pid = 0;
}

static json_t *control(const struct rig *r, const char *method, const char *what, const char *body)
{
    AUTO(reply) reply = {0};
    char url[128];
    json_t *json;

    snprintf(url, sizeof url, "%s/_control/%s", r->url, what);
    http_call(method, url, body ? "Content-Type: application/json" : NULL, body, &reply);
    assert_int_equal(reply.status, 200);
    json = json_incref(reply.json);
    return json;
}

void double_faults(const struct rig *r, const char *json_list)
{
    json_decref(control(r, "POST", "faults", json_list));
}

void double_state(const struct rig *r, const char *json)
{
    json_decref(control(r, "PUT", "state", json));
}

static bool is_named(const json_t *request, const char *text)
{
    char line[1024];

    snprintf(line, sizeof line, "%s %s", json_string_value(json_object_get(request, "method")),
             json_string_value(json_object_get(request, "path")));
    return strstr(line, text) != NULL;
}

int double_count(const struct rig *r, const char *text)
{
    json_t *all = control(r, "GET", "requests", NULL), *one;
    size_t i;
    int n = 0;

    json_array_foreach(all, i, one) n += is_named(one, text);
    json_decref(all);
    return n;
}

long double_span_ms(const struct rig *r, const char *text)
{
    json_t *all = control(r, "GET", "requests", NULL), *one;
    long first = -1, last = -1;
    size_t i;

    json_array_foreach(all, i, one)
    {
        if (!is_named(one, text))
            continue;
        last = (long) json_integer_value(json_object_get(one, "at_ms"));
        first = first < 0 ? last : first;
    }
    json_decref(all);
    return last - first;
}

char *double_flag(const struct rig *r, const char *api, const char *key)
{
    json_t *all = control(r, "GET", "state", NULL);
    json_t *flag = json_object_get(json_object_get(all, api), key);
    char *text = flag ? json_dumps(flag, JSON_COMPACT | JSON_SORT_KEYS) : strdup("");

    json_decref(all);
    return text;
}

int double_percent(const struct rig *r, const char *key)
{
    json_t *all = control(r, "GET", "state", NULL);
    json_t *flag = json_object_get(json_object_get(all, "unleash"), key);
    json_t *strategies = json_object_get(flag, "strategies");
    const char *rollout = json_string_value(
        json_object_get(json_object_get(json_array_get(strategies, 0), "parameters"), "rollout"));
    int percent = -1;

    if (flag && !json_is_true(json_object_get(flag, "enabled")))
        percent = 0;
    else if (flag && json_array_size(strategies) == 1 && rollout)
        percent = atoi(rollout);
    json_decref(all);
    return percent;
}

/* ---- the rig --------------------------------------------------------------------------------- */

void rig_ports(struct rig *r)
{
    AUTO(err) err = {0};

    r->ports.clock = clock_system(&r->interrupt);
    r->ports.host = host_posix(r->ports.clock, &r->interrupt);
    r->ports.interrupt = &r->interrupt;
    if (!http_curl(r->ports.clock, &r->interrupt, &r->ports.http, &err))
        fail_msg("%s", str_text(&err.message));
}

static void free_ports(struct rig *r)
{
    http_close(r->ports.http);
    host_posix_free(r->ports.host);
    clock_system_free(r->ports.clock);
}

static struct flag_service service(struct rig *r, const char *provider)
{
    return (struct flag_service) {
        .provider = flag_provider_find(provider),
        .url = r->url,
        .token = DOUBLE_TOKEN,
        .project = "default",
        .environment = "production",
        .propagation_ms = 50,
        .shown = arena_printf(&r->arena, "%s at %s", provider, r->url),
    };
}

void rig_open(struct rig *r)
{
    *r = (struct rig) {.folder = test_folder()};
    double_start(r, 0);
    rig_ports(r);
    r->unleash = service(r, "unleash");
    r->unleash.sdk_token = DOUBLE_SDK_TOKEN;
    r->builtin = service(r, "builtin");
    r->generic = service(r, "http");
    r->generic.set_url = r->generic.get_url = arena_printf(&r->arena, "%s/generic/{{key}}", r->url);
    r->generic.set_body = "{\"on\": {{enabled}}, \"share\": {{percent}}}";
    r->generic.get_on_pointer = "/on";
    r->generic.get_percent_pointer = "/share";
    r->file = (struct flag_service) {
        .provider = flag_provider_find("file"),
        .path = arena_printf(&r->arena, "%s/kill.json", r->folder),
        .propagation_ms = 50,
        .shown = arena_printf(&r->arena, "file %s/kill.json", r->folder),
    };
    r->ops = (struct flag_ops) {
        .ports = &r->ports,
        .service = &r->unleash,
        .environment = "production",
        .state_dir = r->folder,
        .run_id = "run-1",
        .actor = "alice",
        .times = {.connect_ms = 500,
                  .total_ms = 700,
                  .kill_connect_ms = 500,
                  .kill_total_ms = 700,
                  .retry_ms = 2500,
                  .confirm_ms = 1500,
                  .poll_ms = 20,
                  .reassert_ms = 200,
                  .doubt_ms = {100, 300, 600, 1000, 1600}},
    };
}

void rig_close(struct rig *r)
{
    double_stop(r);
    free_ports(r);
    arena_free(&r->arena);
    test_folder_remove(r->folder);
}

char *rig_journal(const struct rig *r)
{
    char path[4096];
    char *text;
    FILE *f;
    long n;

    snprintf(path, sizeof path, "%s/flags-production.jsonl", r->folder);
    f = fopen(path, "rb");
    if (!f)
        return strdup("");
    fseek(f, 0, SEEK_END);
    n = ftell(f);
    rewind(f);
    text = calloc((size_t) n + 1, 1);
    if (!text || fread(text, 1, (size_t) n, f) != (size_t) n)
        abort();
    fclose(f);
    return text;
}

pid_t rig_fork(struct rig *r, int delay_ms, int (*what)(struct rig *))
{
    pid_t child = fork();

    if (child == 0) {
        usleep((useconds_t) delay_ms * 1000);
        r->ops.actor = "bob";
        rig_ports(r); /* what the parent has stays as it is */
        _exit(what(r));
    }
    assert_true(child > 0);
    return child;
}

int rig_join(pid_t child)
{
    int status = 0;

    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

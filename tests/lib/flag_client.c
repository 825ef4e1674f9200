#include "flag_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <curl/curl.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

void reply_free(struct reply *r)
{
    str_free(&r->body);
    str_free(&r->etag);
    str_free(&r->type);
    str_free(&r->allow);
    json_decref(r->json);
    *r = (struct reply) {0};
}

static size_t take_body(char *bytes, size_t size, size_t n, void *arg)
{
    str_addn(arg, bytes, size * n);
    return size * n;
}

static void take_value(struct str *to, const char *name, const char *line, size_t n)
{
    size_t skip = strlen(name);

    if (n <= skip || strncasecmp(line, name, skip) != 0)
        return;
    while (skip < n && line[skip] == ' ')
        skip++;
    while (n > skip && (line[n - 1] == '\n' || line[n - 1] == '\r'))
        n--;
    str_clear(to);
    str_addn(to, line + skip, n - skip);
}

static size_t take_header(char *bytes, size_t size, size_t n, void *arg)
{
    struct reply *r = arg;

    take_value(&r->etag, "ETag:", bytes, size * n);
    take_value(&r->type, "Content-Type:", bytes, size * n);
    take_value(&r->allow, "Allow:", bytes, size * n);
    return size * n;
}

static struct curl_slist *header_list(const char *headers)
{
    struct curl_slist *list = NULL;
    AUTO(str) text = {0};

    str_add(&text, headers);
    for (char *rest = text.text, *line; rest && (line = strsep(&rest, "\n"));)
        list = curl_slist_append(list, line);
    return list;
}

void http_call(const char *method, const char *url, const char *headers, const char *body,
               struct reply *out)
{
    CURL *curl = curl_easy_init();
    struct curl_slist *list = header_list(headers ? headers : "X-None: 1");
    long status = 0;

    reply_free(out);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 20000L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &out->body);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, out);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
    if (body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) strlen(body));
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    }
    if (strcmp(method, "HEAD") == 0)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    out->curl = curl_easy_perform(curl);
    if (out->curl == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    out->status = (int) status;
    out->json = json_loadb(str_text(&out->body), out->body.len, JSON_REJECT_DUPLICATES, NULL);
    curl_slist_free_all(list);
    curl_easy_cleanup(curl);
}

void admin_call(const char *method, const char *base, const char *path, const char *headers,
                const char *body, struct reply *out)
{
    AUTO(str) url = {0};
    AUTO(str) all = {0};

    str_addf(&url, "%s%s", base, path);
    str_add(&all, "Authorization: Bearer " ADMIN_TOKEN);
    if (body)
        str_add(&all, "\nContent-Type: application/json");
    if (headers)
        str_addf(&all, "\n%s", headers);
    http_call(method, str_text(&url), str_text(&all), body, out);
}

const char *reply_text(const struct reply *r, const char *key)
{
    const char *text = json_string_value(json_object_get(r->json, key));

    return text ? text : "";
}

long reply_int(const struct reply *r, const char *key)
{
    json_t *value = json_object_get(r->json, key);

    return json_is_integer(value) ? (long) json_integer_value(value) : -1;
}

bool reply_bool(const struct reply *r, const char *key)
{
    json_t *value = json_object_get(r->json, key);

    assert_true(json_is_boolean(value));
    return json_is_true(value);
}

void flag_create(const char *base, const char *key, int percent, const char *bucket_by)
{
    AUTO(reply) r = {0};
    AUTO(str) path = {0};
    AUTO(str) body = {0};

    str_addf(&path, "/admin/v1/flags/%s", key);
    str_addf(&body, "{\"percent\": %d", percent);
    if (bucket_by)
        str_addf(&body, ", \"bucketBy\": \"%s\"", bucket_by);
    str_add(&body, "}");
    admin_call("PUT", base, str_text(&path), "If-None-Match: *", str_text(&body), &r);
    assert_int_equal(r.status, 200);
}

void flag_set_percent(const char *base, const char *key, int percent)
{
    AUTO(reply) r = {0};
    AUTO(str) path = {0};
    AUTO(str) body = {0};
    AUTO(str) match = {0};

    str_addf(&path, "/admin/v1/flags/%s", key);
    str_addf(&body, "{\"percent\": %d}", percent);
    admin_call("GET", base, str_text(&path), NULL, NULL, &r);
    assert_int_equal(r.status, 200);
    str_addf(&match, "If-Match: %s", str_text(&r.etag));
    admin_call("PUT", base, str_text(&path), str_text(&match), str_text(&body), &r);
    assert_int_equal(r.status, 200);
}

int ofrep_value(const char *base, const char *key, const char *name, const char *value)
{
    AUTO(reply) r = {0};
    AUTO(str) url = {0};
    AUTO(str) body = {0};

    str_addf(&url, "%s/ofrep/v1/evaluate/flags/%s", base, key);
    str_addf(&body, "{\"context\": {\"%s\": \"%s\"}}", name, value);
    http_call("POST", str_text(&url), "Content-Type: application/json", str_text(&body), &r);
    json_t *answer = json_object_get(r.json, "value");
    if (r.status != 200 || !json_is_boolean(answer))
        return -1;
    return json_is_true(answer);
}

char *test_folder(void)
{
    char *folder = strdup("/tmp/phasegate-test-XXXXXX");

    assert_non_null(mkdtemp(folder));
    return folder;
}

void test_folder_remove(char *folder)
{
    DIR *dir = opendir(folder);

    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        AUTO(str) path = {0};

        str_addf(&path, "%s/%s", folder, e->d_name);
        if (e->d_name[0] != '.')
            unlink(str_text(&path));
    }
    if (dir)
        closedir(dir);
    rmdir(folder);
    free(folder);
}

static void serve_forever(const char *state_path, long file_limit, int to)
{
    struct flag_server_options o = {.state_path = state_path, .admin_token = ADMIN_TOKEN};
    struct flag_server *server = NULL;
    struct err err = {0};
    sigset_t wanted;
    int got;

    /* Should the test die, so does its server. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGTERM);
    sigprocmask(SIG_BLOCK, &wanted, NULL);
    if (file_limit > 0)
        setrlimit(RLIMIT_FSIZE, &(struct rlimit) {(rlim_t) file_limit, RLIM_INFINITY});
    if (!flag_server_start(&o, &server, &err)) {
        dprintf(to, "%s", str_text(&err.message));
        _exit(1);
    }
    dprintf(to, "%s", flag_server_url(server));
    close(to);
    sigwait(&wanted, &got);
    flag_server_stop(server);
    _exit(0);
}

struct server_process server_process_start(const char *state_path, long file_limit)
{
    struct server_process p = {0};
    size_t n = 0;
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    p.pid = fork();
    assert_true(p.pid >= 0);
    if (p.pid == 0) {
        close(ends[0]);
        serve_forever(state_path, file_limit, ends[1]);
    }
    close(ends[1]);
    for (ssize_t got = 1; got > 0 && n < sizeof p.url - 1; n += (size_t) got) {
        got = read(ends[0], p.url + n, sizeof p.url - 1 - n);
        assert_true(got >= 0);
    }
    close(ends[0]);
    if (strncmp(p.url, "http://", 7) != 0)
        fail_msg("the server process did not start: %s", p.url);
    return p;
}

void server_process_kill(struct server_process *p, int signal)
{
    int status = 0;

    kill(p->pid, signal);
    assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
    if (signal == SIGTERM)
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    p->pid = 0;
}

/* app_sim_flags: an instance's flag client, OFREP over libcurl. */
#include "demo/app_sim_int.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CACHE_SLOTS 4096 /* direct-mapped: a collision only costs a call */
#define ANSWER_MAX ((size_t) 1 << 20)

struct known { /* the flags of one bucket value */
    struct str bucket;
    int64_t generation; /* of the definition that they are of */
    uint8_t on;         /* bit i: flag i of names */
};

struct app_flags {
    struct str url;
    struct curl_slist *headers;
    int poll_ms;
    CURL *asking, *polling; /* one for each thread */
    struct str etag;        /* the poller's */
    atomic_llong generation;
    atomic_bool reachable, stop;
    atomic_llong errors;
    pthread_t poller;
    pthread_mutex_t sleep_lock;
    pthread_cond_t wake;
    /* the asking thread's own */
    struct known cache[CACHE_SLOTS];
    char *names[APP_SIM_FLAGS];
    int n_names;
};

/* ---- HTTP ------------------------------------------------------------------------------------------ */

static size_t take_body(char *bytes, size_t size, size_t n, void *arg)
{
    struct str *body = arg;

    str_addn(body, bytes, size * n);
    return body->full ? 0 : size * n;
}

static size_t take_etag(char *bytes, size_t size, size_t n, void *arg)
{
    size_t length = size * n;

    if (arg && length > 6 && strncasecmp(bytes, "etag: ", 6) == 0) {
        str_clear(arg);
        str_addn(arg, bytes + 6,
                 length - 6 - (bytes[length - 1] == '\n') -
                     (length > 7 && bytes[length - 2] == '\r'));
    }
    return length;
}

/* POST of a context; the status, or 0. etag NULL: unconditional. */
static long evaluate(struct app_flags *f, CURL *curl, const char *bucket, struct str *etag,
                     struct str *answer)
{
    AUTO(str) body = {0};
    AUTO(str) condition = {0};
    struct curl_slist one = {.data = NULL, .next = f->headers};
    long status = 0;

    str_addf(&body, "{\"context\":{\"targetingKey\":\"%s\",\"accountId\":\"%s\"}}", bucket, bucket);
    str_addf(&condition, "If-None-Match: %s", etag ? str_text(etag) : "");
    one.data = condition.text;
    answer->ceiling = ANSWER_MAX;
    curl_easy_setopt(curl, CURLOPT_URL, str_text(&f->url));
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 300L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 500L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, etag && etag->len ? &one : f->headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, str_text(&body));
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_etag);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, etag);
    if (curl_easy_perform(curl) == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200 && status != 304) {
        atomic_fetch_add(&f->errors, 1);
        status = 0;
    }
    return status;
}

/* ---- polling ------------------------------------------------------------------------------------------ */

static void wait_poll(struct app_flags *f)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += f->poll_ms % 1000 * 1000000L;
    until.tv_sec += f->poll_ms / 1000 + until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&f->sleep_lock);
    if (!atomic_load(&f->stop))
        pthread_cond_clockwait(&f->wake, &f->sleep_lock, CLOCK_MONOTONIC, &until);
    pthread_mutex_unlock(&f->sleep_lock);
}

static void poll_once(struct app_flags *f)
{
    AUTO(str) answer = {0};
    long status = evaluate(f, f->polling, "poll", &f->etag, &answer);

    atomic_store(&f->reachable, status != 0);
    if (status == 200)
        atomic_fetch_add(&f->generation, 1);
}

static void *poll_on(void *arg)
{
    struct app_flags *f = arg;

    while (!atomic_load(&f->stop)) {
        wait_poll(f);
        if (!atomic_load(&f->stop))
            poll_once(f);
    }
    return NULL;
}

/* ---- asking --------------------------------------------------------------------------------------------- */

static int name_index(struct app_flags *f, const char *key)
{
    for (int i = 0; i < f->n_names; i++)
        if (strcmp(f->names[i], key) == 0)
            return i;
    if (f->n_names == APP_SIM_FLAGS)
        return -1;
    f->names[f->n_names] = strdup(key);
    return f->n_names++;
}

static bool read_flags(struct app_flags *f, const struct str *answer, uint8_t *on)
{
    json_t *root = json_loadb(str_text(answer), answer->len, 0, NULL);
    json_t *flags = json_object_get(root, "flags"), *flag;
    bool good = json_is_array(flags);
    size_t i;

    *on = 0;
    json_array_foreach(flags, i, flag)
    {
        const char *key = json_string_value(json_object_get(flag, "key"));
        int at = key && json_is_true(json_object_get(flag, "value")) ? name_index(f, key) : -1;

        if (at >= 0)
            *on |= (uint8_t) (1u << at);
    }
    json_decref(root);
    return good;
}

static struct known *cache_slot(struct app_flags *f, const char *bucket)
{
    uint32_t h = 2166136261u;

    for (const char *p = bucket; *p; p++)
        h = (h ^ (unsigned char) *p) * 16777619u;
    return &f->cache[h % CACHE_SLOTS];
}

uint8_t app_flags_view(struct app_flags *f, const char *bucket)
{
    struct known *k = cache_slot(f, bucket);
    int64_t generation = atomic_load(&f->generation);
    bool same = strcmp(str_text(&k->bucket), bucket) == 0;

    /* While the service is away: what was known, else the code's default, which is off. */
    if ((!same || k->generation != generation) && atomic_load(&f->reachable)) {
        AUTO(str) answer = {0};
        uint8_t on = 0;

        if (evaluate(f, f->asking, bucket, NULL, &answer) == 200 && read_flags(f, &answer, &on)) {
            str_set(&k->bucket, bucket);
            k->generation = generation;
            k->on = on;
            same = true;
        }
    }
    return same ? k->on : 0;
}

bool app_flags_is_on(struct app_flags *f, uint8_t view, const char *key)
{
    int at = name_index(f, key);

    return at >= 0 && (view >> at & 1);
}

int64_t app_flags_errors(struct app_flags *f) { return atomic_load(&f->errors); }

/* ---- life -------------------------------------------------------------------------------------------------- */

struct app_flags *app_flags_start(const char *url, const char *read_token, int poll_ms)
{
    struct app_flags *f = calloc(1, sizeof *f);

    if (!f)
        abort();
    str_addf(&f->url, "%s/ofrep/v1/evaluate/flags", url);
    f->poll_ms = poll_ms;
    f->headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (read_token) {
        AUTO(str) header = {0};

        str_addf(&header, "Authorization: Bearer %s", read_token);
        f->headers = curl_slist_append(f->headers, str_text(&header));
    }
    f->asking = curl_easy_init();
    f->polling = curl_easy_init();
    pthread_mutex_init(&f->sleep_lock, NULL);
    pthread_cond_init(&f->wake, NULL);
    poll_once(f); /* as an application does before it serves */
    if (pthread_create(&f->poller, NULL, poll_on, f) != 0)
        abort();
    return f;
}

void app_flags_stop(struct app_flags *f)
{
    if (!f)
        return;
    pthread_mutex_lock(&f->sleep_lock);
    atomic_store(&f->stop, true);
    pthread_cond_signal(&f->wake);
    pthread_mutex_unlock(&f->sleep_lock);
    pthread_join(f->poller, NULL);
    curl_easy_cleanup(f->asking);
    curl_easy_cleanup(f->polling);
    curl_slist_free_all(f->headers);
    for (int i = 0; i < CACHE_SLOTS; i++)
        str_free(&f->cache[i].bucket);
    for (int i = 0; i < f->n_names; i++)
        free(f->names[i]);
    pthread_cond_destroy(&f->wake);
    pthread_mutex_destroy(&f->sleep_lock);
    str_free(&f->url);
    str_free(&f->etag);
    free(f);
}

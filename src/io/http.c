/* The HTTP port over curl's multi interface. What was certainly not sent is told from what may
 * have been. */
#include "fault.h"
#include "phasegate/io.h"

#include <ctype.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    BODY_MAX = 1 << 20,
    HEADERS_MAX = 256 << 10, /* of one answer, all together */
    HEADER_MAX = 4 << 10,    /* of a value that is kept */
    CONNECT_MS = 3000,
    TOTAL_MS = 10000,
    SLICE_MS = 100,
    IDLE_CONNECTIONS = 8
};

enum cut { CUT_NONE, CUT_BODY, CUT_HEADERS };

struct transfer {
    struct transfer *next;
    CURL *easy;
    struct curl_slist *headers;
    void *tag;
    int64_t started;
    struct str body, type, etag, retry, reset;
    size_t header_bytes;
    bool has_headers; /* with the empty line that ends them: libcurl is content without */
    enum cut cut;
    bool is_done;
    CURLcode code; /* once done */
    char why[CURL_ERROR_SIZE];
};

struct http_curl {
    struct http base;
    CURLM *multi;
    struct clock *clock;
    const struct interrupt *interrupt;
    struct transfer *first;
};

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_result;

static void global_init(void) { global_result = curl_global_init(CURL_GLOBAL_DEFAULT); }

static struct http_curl *self(struct http *h) { return (struct http_curl *) h; }

/* ---- what arrives ---------------------------------------------------------------------------- */

static size_t on_body(char *bytes, size_t one, size_t n, void *arg)
{
    struct transfer *t = arg;

    (void) one;
    if (t->body.len + n > BODY_MAX) {
        t->cut = CUT_BODY;
        return 0; /* ends the transfer */
    }
    str_addn(&t->body, bytes, n);
    return n;
}

/* The value, when the line is this header's; names are written in any case. */
static bool take_header(struct str *to, const char *name, const char *line, size_t n)
{
    size_t skip = strlen(name);

    if (n <= skip || line[skip] != ':' || strncasecmp(line, name, skip) != 0)
        return false;
    skip++;
    while (skip < n && isspace((unsigned char) line[skip]))
        skip++;
    while (n > skip && isspace((unsigned char) line[n - 1]))
        n--;
    str_free(to);
    to->ceiling = HEADER_MAX;
    str_addn(to, line + skip, n - skip);
    return true;
}

static void forget_answer(struct transfer *t)
{
    str_free(&t->type);
    str_free(&t->etag);
    str_free(&t->retry);
    str_free(&t->reset);
}

static size_t on_header(char *line, size_t one, size_t n, void *arg)
{
    struct transfer *t = arg;

    (void) one;
    t->header_bytes += n;
    if (t->header_bytes > HEADERS_MAX) {
        t->cut = CUT_HEADERS;
        return 0;
    }
    if (n > 5 && strncmp(line, "HTTP/", 5) == 0) {
        forget_answer(t); /* the one before was 1xx */
        t->has_headers = false;
    }
    if (*line == '\r' || *line == '\n')
        t->has_headers = true;
    if (t->has_headers)
        return n; /* what comes after a chunked body counts for nothing */
    (void) (take_header(&t->type, "content-type", line, n) ||
            take_header(&t->etag, "etag", line, n) ||
            take_header(&t->retry, "retry-after", line, n) ||
            take_header(&t->reset, "x-ratelimit-reset", line, n) ||
            take_header(&t->reset, "x-rate-limit-reset", line, n));
    return n;
}

/* ---- the request ----------------------------------------------------------------------------- */

static void transfer_free(struct http_curl *h, struct transfer *t)
{
    if (t->easy) {
        curl_multi_remove_handle(h->multi, t->easy);
        curl_easy_cleanup(t->easy);
    }
    curl_slist_free_all(t->headers);
    str_free(&t->body);
    forget_answer(t);
    free(t);
}

static void unlink_transfer(struct http_curl *h, struct transfer *t)
{
    struct transfer **at = &h->first;

    while (*at && *at != t)
        at = &(*at)->next;
    if (*at)
        *at = t->next;
}

static bool is_method(const struct http_req *req, const char *method)
{
    return strcmp(req->method, method) == 0;
}

static void add_header(struct transfer *t, const char *line)
{
    struct curl_slist *longer = curl_slist_append(t->headers, line);

    if (!longer)
        abort();
    t->headers = longer;
}

static void set_headers(struct transfer *t, const struct http_req *req)
{
    const size_t n = sizeof req->headers / sizeof *req->headers;
    bool has_type = false;

    for (size_t i = 0; i < n && req->headers[i]; i++) {
        add_header(t, req->headers[i]);
        has_type = has_type || strncasecmp(req->headers[i], "content-type:", 13) == 0;
    }
    add_header(t, "Expect:"); /* no pause before a body */
    if (!has_type)
        add_header(t, "Content-Type:"); /* libcurl would say that it is a form */
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
}

static void set_method(struct transfer *t, const struct http_req *req)
{
    bool has_body =
        req->body || is_method(req, "POST") || is_method(req, "PUT") || is_method(req, "PATCH");

    if (is_method(req, "HEAD")) {
        curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
        return;
    }
    if (has_body) {
        size_t n = req->body ? req->body_len : 0;

        curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) n);
        curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, req->body ? req->body : "");
    }
    curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, req->method);
}

static void set_protocols(CURL *easy)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long) (CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

static void set_options(struct transfer *t, const struct http_req *req)
{
    CURL *e = t->easy;

    set_protocols(e);
    curl_easy_setopt(e, CURLOPT_URL, req->url);
    curl_easy_setopt(e, CURLOPT_PRIVATE, t);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->why);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_USERAGENT, "phasegate/" PHASEGATE_VERSION);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(e, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
    if (req->ca_file)
        curl_easy_setopt(e, CURLOPT_CAINFO, req->ca_file);
    if (req->signs.scope) {
        /* A libcurl without it would send them as they are. */
        if (curl_easy_setopt(e, CURLOPT_AWS_SIGV4, req->signs.scope) == CURLE_OK) {
            curl_easy_setopt(e, CURLOPT_USERNAME, req->signs.key);
            curl_easy_setopt(e, CURLOPT_PASSWORD, req->signs.secret);
        }
    }
    if (req->direct)
        curl_easy_setopt(e, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
                     (long) (req->connect_ms > 0 ? req->connect_ms : CONNECT_MS));
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long) (req->total_ms > 0 ? req->total_ms : TOTAL_MS));
#if LIBCURL_VERSION_NUM >= 0x075700
    /* A resolver that hangs must not hold up a time-out; its thread ends by itself. */
    curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
#endif
    if (req->is_write) {
        /* libcurl sends a request again when a connection kept from before turns out dead. */
        curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
        curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 1L);
    }
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
}

static bool curl_submit(struct http *http, const struct http_req *req, void *tag, struct err *err)
{
    struct http_curl *h = self(http);
    struct transfer *t = calloc(1, sizeof *t);
    CURLMcode failed;

    if (!t)
        abort();
    t->tag = tag;
    t->started = clock_mono_ms(h->clock);
    t->easy = curl_easy_init();
    if (!t->easy)
        abort();
    set_options(t, req);
    set_method(t, req);
    set_headers(t, req);
    failed = curl_multi_add_handle(h->multi, t->easy);
    if (failed) {
        transfer_free(h, t);
        return err_set(err, ERR_BUG, "a request can't be started: %s", curl_multi_strerror(failed));
    }
    t->next = h->first;
    h->first = t;
    return true;
}

/* ---- the outcome ----------------------------------------------------------------------------- */

/* Only the begin of the request proper is a proof: a code alone also comes from an answer that
 * is no HTTP, and the bytes counted include those of a proxy's CONNECT. */
static bool is_untouched(struct transfer *t)
{
    curl_off_t begun = 0;

    return curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T, &begun) == CURLE_OK &&
           begun == 0;
}

/* libcurl's own text may hold parts of the URL: only the ones about TLS are shown, which say
 * what is wrong with a certificate. */
static bool is_tls(CURLcode code)
{
    return code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION ||
           code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_CERTPROBLEM ||
           code == CURLE_SSL_CIPHER || code == CURLE_SSL_ISSUER_ERROR;
}

static void add_host(struct str *to, struct transfer *t)
{
    CURLU *u = curl_url();
    char *url = NULL, *host = NULL, *port = NULL;

    curl_easy_getinfo(t->easy, CURLINFO_EFFECTIVE_URL, &url);
    if (u && url && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK)
        str_addf(to, "%s:%s: ", host, port);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(u);
}

static char *explain(struct transfer *t, struct arena *a)
{
    AUTO(str) why = {0};
    long number = 0;

    add_host(&why, t);
    if (t->cut == CUT_BODY)
        str_addf(&why, "the answer is larger than %d bytes", BODY_MAX);
    else if (t->cut == CUT_HEADERS)
        str_addf(&why, "the headers of the answer are larger than %d bytes", HEADERS_MAX);
    else if (t->code == CURLE_OK)
        str_add(&why, "the answer was cut within its headers");
    else if (t->code == CURLE_UNSUPPORTED_PROTOCOL && !is_untouched(t))
        str_add(&why, "the answer is not HTTP");
    else if (is_tls(t->code) && *t->why)
        str_add(&why, t->why);
    else
        str_add(&why, curl_easy_strerror(t->code));
    if (t->code == CURLE_COULDNT_CONNECT &&
        curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &number) == CURLE_OK && number)
        str_addf(&why, ": %s", strerror((int) number));
    if (t->code == CURLE_OPERATION_TIMEDOUT)
        str_add(&why, is_untouched(t) ? " before the request was sent" : " waiting for the answer");
    return arena_strndup(a, str_text(&why), why.len);
}

static const char *media_type(struct arena *a, const struct str *header)
{
    char *type = arena_strdup(a, str_text(header));
    size_t n = strcspn(type, "; \t");

    type[n] = '\0';
    for (char *c = type; *c; c++)
        *c = (char) tolower((unsigned char) *c);
    return type;
}

static const char *text_or_null(struct arena *a, const struct str *s)
{
    return s->text ? arena_strdup(a, s->text) : NULL;
}

static void fill(struct http_curl *h, struct transfer *t, struct arena *a, struct http_res *res)
{
    long status = 0;

    *res = (struct http_res) {.content_type = "", .body = ""};
    res->ms = clock_mono_ms(h->clock) - t->started;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    if (t->code != CURLE_OK || status <= 0 || !t->has_headers) {
        res->outcome = is_untouched(t) ? HTTP_NOT_SENT : HTTP_IN_DOUBT;
        res->why = explain(t, a);
        return;
    }
    res->outcome = HTTP_ANSWERED;
    res->status = (int) status;
    res->content_type = media_type(a, &t->type);
    res->etag = text_or_null(a, &t->etag);
    res->retry_after = text_or_null(a, &t->retry);
    res->rate_reset = text_or_null(a, &t->reset);
    /* Of a file, there may be NULs in it. */
    char *body = arena_array(a, char, (int) t->body.len + 1);
    memcpy(body, str_text(&t->body), t->body.len);
    res->body = body;
    res->body_len = t->body.len;
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void note_finished(struct http_curl *h)
{
    int left;

    for (CURLMsg *m = curl_multi_info_read(h->multi, &left); m;
         m = curl_multi_info_read(h->multi, &left)) {
        struct transfer *t = NULL;

        if (m->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **) &t);
        t->is_done = true;
        t->code = m->data.result;
    }
}

static struct transfer *take_finished(struct http_curl *h)
{
    int running;

    curl_multi_perform(h->multi, &running);
    note_finished(h);
    for (struct transfer *t = h->first; t; t = t->next)
        if (t->is_done)
            return t;
    return NULL;
}

static sig_atomic_t signals_so_far(const struct http_curl *h)
{
    return h->interrupt ? h->interrupt->count : 0;
}

static bool curl_wait(struct http *http, struct arena *a, int64_t wait_ms, void **out_tag,
                      struct http_res *res)
{
    struct http_curl *h = self(http);
    int64_t end = clock_mono_ms(h->clock) + wait_ms;
    sig_atomic_t signals = signals_so_far(h);
    struct transfer *t = take_finished(h);

    while (!t) {
        int64_t left = end - clock_mono_ms(h->clock);

        if (left <= 0 || !h->first || signals_so_far(h) > signals)
            return false;
        curl_multi_poll(h->multi, NULL, 0, (int) (left < SLICE_MS ? left : SLICE_MS), NULL);
        t = take_finished(h);
    }
    fill(h, t, a, res);
    if (out_tag)
        *out_tag = t->tag;
    unlink_transfer(h, t);
    transfer_free(h, t);
    return true;
}

static void curl_cancel(struct http *http, void *tag)
{
    struct http_curl *h = self(http);
    struct transfer *t = h->first;

    while (t) {
        struct transfer *next = t->next;

        if (t->tag == tag) {
            unlink_transfer(h, t);
            transfer_free(h, t);
        }
        t = next;
    }
}

static void curl_close(struct http *http)
{
    struct http_curl *h = self(http);

    while (h->first) {
        struct transfer *t = h->first;

        h->first = t->next;
        transfer_free(h, t);
    }
    curl_multi_cleanup(h->multi);
    free(h);
}

static const struct http_ops ops = {curl_submit, curl_wait, curl_cancel, curl_close};

bool http_curl(struct clock *clock, const struct interrupt *interrupt_or_null, struct http **out,
               struct err *err)
{
    struct http_curl *h;

    pthread_once(&global_once, global_init);
    if (global_result != CURLE_OK)
        return err_set(err, ERR_UNREACHABLE, "libcurl can't be used: %s",
                       curl_easy_strerror(global_result));
    h = calloc(1, sizeof *h);
    if (!h)
        abort();
    h->base.ops = &ops;
    h->clock = clock;
    h->interrupt = interrupt_or_null;
    h->multi = curl_multi_init();
    if (!h->multi)
        abort();
    curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long) IDLE_CONNECTIONS);
    *out = fault_http(&h->base);
    return true;
}

/* A bucket as a store. An object is there once its last part is: nothing has another name before. */
#include "s3.h"
#include "store_int.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum {
    PART = 8 << 20,     /* the service takes 5 MiB and more, but for the last one */
    GROWS_EVERY = 1000, /* parts; there may be 10,000: doubling them leaves room for a terabyte */
    GROWS_UP_TO = 5,
    RANGE = 1 << 20, /* what the port takes of an answer */
    PART_MAX = 10000
};

struct bucket {
    struct store base;
    struct s3 s3;
};

struct store_file {
    const struct s3 *s3;
    struct arena a;
    const char *object;
    /* written */
    char *room;
    size_t used, part;
    const char *upload; /* NULL: none has begun: it may fit into one request */
    struct str parts;   /* for the end */
    int n_parts;
    bool is_finished;
    /* read */
    int64_t at;
    const char *etag;
    struct http_res got;
    struct arena range;
    size_t given;
    bool is_at_end;
};

static const struct s3 *s3_of(const struct store *s) { return &((const struct bucket *) s)->s3; }

/* ---- written ---------------------------------------------------------------------------------------- */

/* An upload in parts that wasn't ended costs until it is dropped. */
static void abandon(struct store_file *f)
{
    AUTO(err) ignored = {0};
    AUTO(arena) a = {0};
    struct http_res res;

    if (f->upload)
        (void) !s3_ask(f->s3, &a,
                       &(struct s3_call) {.method = "DELETE",
                                          .object = f->object,
                                          .query = arena_printf(&a, "uploadId=%s", f->upload),
                                          .doing = "give up",
                                          .even_stopped = true},
                       &res, &ignored);
    f->upload = NULL;
}

static void close_file(struct store_file *f)
{
    if (!f->is_finished)
        abandon(f);
    free(f->room);
    str_free(&f->parts);
    arena_free(&f->range);
    arena_free(&f->a);
    free(f);
}

static struct store_file *file_new(const struct store *s, const char *name, const char *file)
{
    struct store_file *f = calloc(1, sizeof *f);

    if (!f)
        abort(); /* out of memory */
    f->s3 = s3_of(s);
    f->object = arena_printf(&f->a, "%s/%s", name, file);
    return f;
}

static bool delete_one(const struct s3 *s3, const char *object, struct err *err)
{
    AUTO(arena) a = {0};
    struct http_res res;
    const struct s3_call c = {
        .method = "DELETE", .object = object, .doing = "delete", .even_stopped = true};

    return s3_ask(s3, &a, &c, &res, err);
}

/* Where this can't be done nothing else need be begun. */
static bool make(const struct store *s, const char *name, struct err *err)
{
    static const char text[] = "Written before a snapshot, to see that it can be.\n";
    AUTO(arena) a = {0};
    struct http_res res;
    struct s3_call c = {.method = "PUT",
                        .object = arena_printf(&a, "%s/" PROBE, name),
                        .body = text,
                        .n = sizeof text - 1,
                        .doing = "write"};

    if (!s3_ask(s3_of(s), &a, &c, &res, err))
        return false;
    if (res.status >= 300)
        return s3_error(s3_of(s), &c, &res, err);
    c.method = "GET";
    c.body = NULL;
    c.n = 0;
    c.doing = "read";
    if (!s3_ask(s3_of(s), &a, &c, &res, err))
        return false;
    if (res.status != 200 || res.body_len != sizeof text - 1 ||
        memcmp(res.body, text, sizeof text - 1) != 0)
        return s3_error(s3_of(s), &c, &res, err);
    /* Who may not delete leaves it there. */
    AUTO(err) ignored = {0};
    (void) !delete_one(s3_of(s), c.object, &ignored);
    return true;
}

static bool create_file(const struct store *s, const char *name, const char *file,
                        struct store_file **out, struct err *err)
{
    struct store_file *f = file_new(s, name, file);

    (void) err;
    f->part = PART;
    f->room = malloc(f->part);
    if (!f->room)
        abort();
    *out = f;
    return true;
}

static bool put(struct store_file *f, const char *query, struct arena *a, struct http_res *res,
                struct err *err)
{
    struct s3_call c = {.method = "PUT",
                        .object = f->object,
                        .query = query,
                        .body = f->room,
                        .n = f->used,
                        .doing = "write"};

    return s3_ask(f->s3, a, &c, res, err) && (res->status < 300 || s3_error(f->s3, &c, res, err));
}

static bool is_plain(const char *id)
{
    for (const char *s = id; *s; s++)
        if (!isalnum((unsigned char) *s) && !strchr("._-~", *s))
            return false;
    return *id != '\0';
}

static const char *escaped(struct arena *a, const char *s)
{
    AUTO(str) to = {0};

    for (; *s; s++)
        if (isalnum((unsigned char) *s) || strchr("._-~", *s))
            str_addc(&to, *s);
        else
            str_addf(&to, "%%%02X", (unsigned char) *s);
    return arena_strdup(a, str_text(&to));
}

static bool begin_parts(struct store_file *f, struct err *err)
{
    AUTO(arena) a = {0};
    struct http_res res;
    struct s3_call c = {
        .method = "POST", .object = f->object, .query = "uploads=", .doing = "write"};

    if (!s3_ask(f->s3, &a, &c, &res, err))
        return false;
    const char *id = s3_xml_first(&a, &res, "UploadId");
    if (!*id)
        return s3_error(f->s3, &c, &res, err);
    f->upload = escaped(&f->a, id);
    return true;
}

static bool put_part(struct store_file *f, struct err *err)
{
    AUTO(arena) a = {0};
    struct http_res res;

    if (f->n_parts == PART_MAX)
        return err_set(err, ERR_UNREACHABLE, "%s/%s is too large for a bucket: more than %d parts",
                       f->s3->location, f->object, PART_MAX);
    if (!f->upload && !begin_parts(f, err))
        return false;
    const char *query = arena_printf(&a, "partNumber=%d&uploadId=%s", f->n_parts + 1, f->upload);
    if (!put(f, query, &a, &res, err))
        return false;
    str_addf(&f->parts, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", ++f->n_parts,
             res.etag ? res.etag : "");
    f->used = 0;
    if (f->n_parts % GROWS_EVERY == 0 && f->n_parts / GROWS_EVERY <= GROWS_UP_TO) {
        f->part *= 2;
        f->room = realloc(f->room, f->part);
        if (!f->room)
            abort();
    }
    return true;
}

static bool write_file(struct store_file *f, const char *bytes, size_t n, struct err *err)
{
    while (n > 0) {
        size_t now = f->part - f->used < n ? f->part - f->used : n;

        memcpy(f->room + f->used, bytes, now);
        f->used += now;
        bytes += now;
        n -= now;
        if (f->used == f->part && !put_part(f, err))
            return false;
    }
    return true;
}

/* The service may say 200 and then, in what follows, that it failed. One that was ended by a try whose answer was lost
 * isn't there any more to be ended: whether the object is whole is seen when it is read back. */
static bool end_parts(struct store_file *f, struct err *err)
{
    AUTO(arena) a = {0};
    AUTO(str) body = {0};
    struct http_res res;

    str_addf(&body, "<CompleteMultipartUpload>%s</CompleteMultipartUpload>", str_text(&f->parts));
    struct s3_call c = {.method = "POST",
                        .object = f->object,
                        .query = arena_printf(&a, "uploadId=%s", f->upload),
                        .body = str_text(&body),
                        .n = body.len,
                        .doing = "write"};
    if (!s3_ask(f->s3, &a, &c, &res, err))
        return false;
    if (res.status >= 300 && strcmp(s3_xml_first(&a, &res, "Code"), "NoSuchUpload") != 0)
        return s3_error(f->s3, &c, &res, err);
    if (res.status < 300 && *s3_xml_first(&a, &res, "Code"))
        return s3_error(f->s3, &c, &res, err);
    return true;
}

static bool finish_file(struct store_file *f, struct err *err)
{
    AUTO(arena) a = {0};
    struct http_res res;

    f->is_finished = f->upload ? (f->used == 0 || put_part(f, err)) && end_parts(f, err)
                               : put(f, NULL, &a, &res, err);
    return f->is_finished;
}

/* ---- read --------------------------------------------------------------------------------------------- */

static bool open_file(const struct store *s, const char *name, const char *file,
                      struct store_file **out, struct err *err)
{
    (void) err;
    *out = file_new(s, name, file);
    return true;
}

/* The next range; all of them of one object, if another is put in its place meanwhile. */
static bool next_range(struct store_file *f, struct err *err)
{
    arena_reset(&f->range);
    f->got = (struct http_res) {0};
    struct s3_call c = {.method = "GET",
                        .object = f->object,
                        .range = arena_printf(&f->range, "bytes=%lld-%lld", (long long) f->at,
                                              (long long) f->at + RANGE - 1),
                        .if_match = f->etag,
                        .doing = "read"};

    f->given = 0;
    if (!s3_ask(f->s3, &f->range, &c, &f->got, err))
        return false;
    if (f->got.status == 416) {
        f->got.body_len = 0;
        f->is_at_end = true;
        return true;
    }
    if (f->got.status != 206 && !(f->got.status == 200 && f->at == 0))
        return s3_error(f->s3, &c, &f->got, err);
    if (!f->etag && f->got.etag)
        f->etag = arena_strdup(&f->a, f->got.etag);
    f->at += (int64_t) f->got.body_len;
    f->is_at_end = f->got.body_len < RANGE;
    return true;
}

static bool read_file(struct store_file *f, char *to, size_t room, size_t *n, struct err *err)
{
    if (f->given == f->got.body_len && !f->is_at_end && !next_range(f, err))
        return false;
    size_t left = f->got.body_len - f->given;
    *n = left < room ? left : room;
    if (*n)
        memcpy(to, f->got.body + f->given, *n);
    f->given += *n;
    return true;
}

static bool has_file(const struct store *s, const char *name, const char *file, bool *out,
                     struct err *err)
{
    AUTO(arena) a = {0};
    struct http_res res;
    struct s3_call c = {.method = "GET",
                        .object = arena_printf(&a, "%s/%s", name, file),
                        .range = "bytes=0-0",
                        .doing = "read"};

    if (!s3_ask(s3_of(s), &a, &c, &res, err))
        return false;
    if (res.status == 404 && strcmp(s3_xml_first(&a, &res, "Code"), "NoSuchBucket") == 0)
        return s3_error(s3_of(s), &c, &res, err);
    *out = res.status != 404;
    return true;
}

/* Beyond a thousand files, which no snapshot has, the service would want to be asked again. */
static bool remove_all(const struct store *s, const char *name, struct err *err)
{
    const struct s3 *s3 = s3_of(s);
    AUTO(arena) a = {0};
    struct http_res res;
    const char **keys;
    const char *own = arena_printf(&a, "%s%s/", s3->prefix, name);
    struct s3_call c = {.method = "GET",
                        .query = arena_printf(&a, "list-type=2&prefix=%s", escaped(&a, own)),
                        .doing = "list",
                        .even_stopped = true};

    if (!delete_one(s3, arena_printf(&a, "%s/%s", name, MANIFEST), err) ||
        !s3_ask(s3, &a, &c, &res, err))
        return false;
    if (res.status != 200)
        return s3_error(s3, &c, &res, err);
    /* An answer that can't be read would mean that nothing is there. */
    if (strcmp(s3_xml_first(&a, &res, "IsTruncated"), "false") != 0)
        return s3_error(s3, &c, &res, err);
    int n = s3_xml(&a, res.body, res.body_len, "Key", &keys);
    for (int i = 0; i < n; i++)
        if (strncmp(keys[i], own, strlen(own)) == 0 && store_is_ours(keys[i] + strlen(own)) &&
            !delete_one(s3, keys[i] + strlen(s3->prefix), err))
            return false;
    return true;
}

/* ---- which one ---------------------------------------------------------------------------------------- */

static bool unusable(struct err *err, const char *location, const char *what)
{
    err_set(err, ERR_CONFIG, "snapshots to \"%s\" aren't possible: %s", location, what);
    return err_hint(err, "snapshots: {to: \"s3://BUCKET/PREFIX\", endpoint: \"https://HOST\", "
                         "region: REGION}");
}

/* What is signed is what is sent, and these need no escaping. */
static bool is_clean(const char *path)
{
    for (const char *s = path; *s; s++)
        if (!isalnum((unsigned char) *s) && !strchr("._-/", *s))
            return false;
    return *path != '\0' && *path != '/' && !strstr(path, "//") && !strstr(path, "..");
}

static bool is_loopback(const char *endpoint)
{
    static const char *const hosts[] = {"http://127.0.0.1", "http://localhost", "http://[::1]"};

    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        size_t n = strlen(hosts[i]);
        if (strncmp(endpoint, hosts[i], n) == 0 && strchr(":/", endpoint[n]))
            return true;
    }
    return false;
}

static bool endpoint_of(struct arena *a, const struct store_bucket *b, const char *region,
                        const char **out, struct err *err)
{
    const char *given =
        b->endpoint ? b->endpoint : arena_printf(a, "https://s3.%s.amazonaws.com", region);
    size_t n = strlen(given);

    while (n > 0 && given[n - 1] == '/')
        n--;
    *out = arena_strndup(a, given, n);
    if (strncmp(*out, "https://", 8) != 0 && !is_loopback(*out))
        return unusable(err, b->location,
                        strncmp(*out, "http://", 7) == 0
                            ? "endpoint: is http://, and what is saved would cross the network "
                              "for anybody to read"
                            : "expected endpoint: https://HOST");
    if (strchr(*out + 8, '@') || strchr(*out, '?') || strchr(*out, '#'))
        return unusable(err, b->location, "expected endpoint: https://HOST[:PORT]");
    return true;
}

bool store_bucket(const struct ports *ports, struct arena *a, const struct store_bucket *b,
                  const struct store **out, struct err *err)
{
    static const struct store_ops ops = {make,      create_file, write_file, finish_file, open_file,
                                         read_file, close_file,  has_file,   remove_all};
    const char *path = b->location + strlen(STORE_BUCKET), *slash = strchr(path, '/');
    const char *region = b->region ? b->region : "us-east-1", *endpoint;
    size_t n = slash ? (size_t) (slash - path) : strlen(path);

    if (!is_clean(path))
        return unusable(err, b->location, "expected s3://BUCKET/PREFIX of letters, digits and ._-");
    if (!is_plain(region))
        return unusable(err, b->location, "expected region: of letters, digits and -");
    if (!endpoint_of(a, b, region, &endpoint, err))
        return false;
    struct bucket *to = arena_new(a, struct bucket);
    to->base = (struct store) {&ops, ports, b->location};
    to->s3 = (struct s3) {.ports = ports,
                          .base = arena_printf(a, "%s/%.*s/", endpoint, (int) n, path),
                          .prefix = slash && slash[1] ? arena_printf(a, "%s/", slash + 1) : "",
                          .region = region,
                          .key = b->key,
                          .secret = b->secret,
                          .token = b->token,
                          .ca_file = b->ca_file,
                          .location = b->location};
    *out = &to->base;
    return true;
}

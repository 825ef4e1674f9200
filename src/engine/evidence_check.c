/* Is a bundle of evidence what it was? Sums first, then the chain of the journal. Pure: bytes in, faults out. */
#include "internal.h"

#include "phasegate/evidence.h"

#include <jansson.h>

#define MANIFEST "manifest.json"
#define JOURNAL "journal.jsonl"
#define HASH_BYTES 32

struct json {
    json_t *root;
};
static void json_auto(struct json *j) { json_decref(j->root); }

struct checking {
    const struct bundle *b;
    struct arena *a;
    struct evidence_found *out;
};

PRINTF_LIKE(3, 4)
static void fault(struct checking *k, const char *where, const char *fmt, ...)
{
    struct evidence_found *o = k->out;
    va_list ap;

    o->faults = arena_more(k->a, o->faults, sizeof *o->faults, o->n_faults);
    va_start(ap, fmt);
    o->faults[o->n_faults++] = (struct evidence_fault) {where, arena_vprintf(k->a, fmt, ap)};
    va_end(ap);
}

static const char *text_at(struct checking *k, const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? arena_strdup(k->a, s) : NULL;
}

static const struct bundle_file *find_file(const struct bundle *b, const char *name)
{
    for (int i = 0; i < b->n; i++)
        if (strcmp(b->files[i].name, name) == 0)
            return &b->files[i];
    return NULL;
}

/* ---- sums ------------------------------------------------------------------------------------ */

static bool is_listed(const json_t *files, const char *name)
{
    size_t i;
    const json_t *f;

    json_array_foreach((json_t *) files, i, f)
    {
        const char *listed = json_string_value(json_object_get(f, "name"));
        if (listed && strcmp(listed, name) == 0)
            return true;
    }
    return false;
}

static void check_sum(struct checking *k, const json_t *listed)
{
    const char *name = text_at(k, listed, "name"), *sum = text_at(k, listed, "sha256");
    const struct bundle_file *f = name ? find_file(k->b, name) : NULL;
    json_int_t bytes = json_integer_value(json_object_get(listed, "bytes"));
    char got[65];

    if (!name || !sum) {
        fault(k, MANIFEST, "a file without name or sum is listed");
        return;
    }
    if (!f) {
        fault(k, name, "is missing");
        return;
    }
    sha256_hex(f->bytes, f->n, got);
    if ((json_int_t) f->n != bytes)
        fault(k, name, "has %zu bytes, the manifest says %lld", f->n, (long long) bytes);
    else if (strcmp(got, sum) != 0)
        fault(k, name, "was changed: its SHA-256 is %s, the manifest says %s", got, sum);
}

static void check_sums(struct checking *k, const json_t *files)
{
    size_t i;
    const json_t *f;

    json_array_foreach((json_t *) files, i, f) check_sum(k, f);
    for (int n = 0; n < k->b->n; n++) {
        const char *name = k->b->files[n].name;
        if (find_file(k->b, name) != &k->b->files[n])
            fault(k, name, "is there twice");
        else if (strcmp(name, MANIFEST) != 0 && !is_listed(files, name))
            fault(k, name, "isn't in the manifest");
    }
}

/* ---- the chain ------------------------------------------------------------------------------- */

static int nibble(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "" or 64 hexadecimal digits. */
static bool unhex(const char *hex, struct str *to)
{
    size_t n = strlen(hex);

    if (n != 0 && n != (size_t) 2 * HASH_BYTES)
        return false;
    for (size_t i = 0; i < n; i += 2) {
        int high = nibble(hex[i]), low = nibble(hex[i + 1]);
        if (high < 0 || low < 0)
            return false;
        str_addc(to, (char) (high * 16 + low));
    }
    return true;
}

struct chain {
    json_int_t seq; /* of the row before; 0: none */
    const char *hash, *plan;
};

/* The text that was hashed says of itself which row it is. */
static bool says_so(const char *content, json_int_t seq, const char *plan)
{
    struct json row __attribute__((cleanup(json_auto))) = {json_loads(content, 0, NULL)};
    const char *said = json_string_value(json_array_get(row.root, 1));

    return json_integer_value(json_array_get(row.root, 0)) == seq && said && plan &&
           strcmp(said, plan) == 0;
}

static void check_content(struct checking *k, const char *where, const struct chain *before,
                          json_int_t seq, const char *prev, const char *hash, const char *content)
{
    AUTO(str) hashed = {.ceiling = (size_t) 64 << 20};
    char got[65];

    k->out->n_own++;
    if (!content) {
        fault(k, where, "is the plan's, and without what was hashed");
        return;
    }
    if (!unhex(prev, &hashed)) {
        fault(k, where, "has a hash that is none");
        return;
    }
    str_add(&hashed, content);
    sha256_hex(str_text(&hashed), hashed.len, got);
    if (strcmp(got, hash) != 0)
        fault(k, where, "was changed: its hash is %s, the journal says %s", got, hash);
    else if (!says_so(content, seq, before->plan))
        fault(k, where, "is another row than it says");
}

static void check_row(struct checking *k, struct chain *c, const char *line, size_t n, int number)
{
    struct json row
        __attribute__((cleanup(json_auto))) = {json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL)};
    json_int_t seq = json_integer_value(json_object_get(row.root, "seq"));
    const char *prev = text_at(k, row.root, "prev_hash"), *hash = text_at(k, row.root, "hash");
    const char *where = arena_printf(k->a, "journal row %lld", (long long) seq);

    if (!json_is_object(row.root) || seq <= 0 || !prev || !hash) {
        fault(k, arena_printf(k->a, "%s:%d", JOURNAL, number), "can't be read");
        return;
    }
    k->out->n_rows++;
    if (seq != c->seq + 1)
        fault(k, where, "comes behind row %lld", (long long) c->seq);
    else if (strcmp(prev, c->hash) != 0)
        fault(k, where, "doesn't follow the row before it");
    if (json_is_true(json_object_get(row.root, "own")))
        check_content(k, where, c, seq, prev, hash, text_at(k, row.root, "content"));
    c->seq = seq;
    c->hash = hash;
}

static void check_chain(struct checking *k, const json_t *said)
{
    const struct bundle_file *f = find_file(k->b, JOURNAL);
    const char *head = text_at(k, said, "head"), *seq = text_at(k, said, "head_seq");
    struct chain c = {0, "", k->out->plan};
    int number = 0;

    if (!f)
        return; /* missing: said already */
    for (const char *at = f->bytes, *end = at + f->n; at < end; number++) {
        const char *stop = memchr(at, '\n', (size_t) (end - at));
        size_t n = (size_t) ((stop ? stop : end) - at);
        check_row(k, &c, at, n, number + 1);
        at += n + 1;
    }
    k->out->head = c.seq ? c.hash : NULL;
    if (json_integer_value(json_object_get(said, "rows")) != k->out->n_rows)
        fault(k, JOURNAL, "has %d rows, the manifest says %lld", k->out->n_rows,
              (long long) json_integer_value(json_object_get(said, "rows")));
    if (head && (strcmp(head, c.hash) != 0 ||
                 (seq && strcmp(seq, arena_printf(k->a, "%lld", (long long) c.seq)) != 0)))
        fault(k, JOURNAL, "doesn't end where the ledger's chain ended (row %s)", seq ? seq : "?");
    if (json_is_false(json_object_get(said, "held_in_the_ledger"))) {
        const char *broken = text_at(k, said, "broken");
        fault(k, JOURNAL, "the chain was broken in the ledger already: %s", broken ? broken : "");
    }
}

/* ---- all of it ------------------------------------------------------------------------------- */

bool evidence_check(const struct bundle *b, struct arena *a, struct evidence_found *out,
                    struct err *err)
{
    struct checking k = {b, a, out};
    const struct bundle_file *f = find_file(b, MANIFEST);
    struct json m __attribute__((cleanup(json_auto))) = {
        f ? json_loadb(f->bytes, f->n, JSON_REJECT_DUPLICATES, NULL) : NULL};
    const json_t *version = json_object_get(m.root, "evidence"),
                 *files = json_object_get(m.root, "files");
    char sum[65];

    memset(out, 0, sizeof *out);
    if (!f || !json_is_integer(version) || !json_is_array(files)) {
        err_set(err, ERR_INPUT, "it is no bundle of evidence: %s",
                f ? MANIFEST " isn't one" : "it has no " MANIFEST);
        return err_hint(err, "phasegate evidence PLAN --out FILE.tar makes one");
    }
    if (json_integer_value(version) != EVIDENCE_VERSION)
        return err_set(err, ERR_INPUT, "its version is %lld, this program knows %d",
                       (long long) json_integer_value(version), EVIDENCE_VERSION);
    sha256_hex(f->bytes, f->n, sum);
    out->manifest_sha256 = arena_strdup(a, sum);
    out->plan = text_at(&k, m.root, "plan");
    out->environment = text_at(&k, m.root, "environment");
    out->as_of = text_at(&k, m.root, "as_of");
    out->n_files = b->n;
    check_sums(&k, files);
    check_chain(&k, json_object_get(m.root, "chain"));
    return true;
}

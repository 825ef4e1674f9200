/* manifest.json: what a snapshot holds, for us and for whoever has only the folder. */
#include "snapshot_int.h"

#include "phasegate/json_out.h"
#include "phasegate/names.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <string.h>

#define VERSION 1

int64_t snapshot_rows(const struct snapshot *s)
{
    int64_t n = 0;

    for (int i = 0; i < s->n_parts; i++)
        n += s->parts[i].rows;
    return n;
}

int64_t snapshot_bytes(const struct snapshot *s)
{
    int64_t n = s->definition.bytes;

    for (int i = 0; i < s->n_parts; i++)
        n += s->parts[i].bytes;
    return n;
}

static void part_json(struct json_out *j, const struct snapshot_part *p)
{
    json_object_begin(j, NULL);
    json_str(j, "schema", p->schema);
    json_str(j, "table", p->table);
    json_bool(j, "whole", p->whole);
    json_str(j, "file", p->file);
    json_int(j, "bytes", p->bytes);
    json_str(j, "sha256", p->sha256);
    json_int(j, "rows", p->rows);
    json_str(j, "digest", p->digest);
    json_int(j, "key_columns", p->n_key);
    json_array_begin(j, "columns");
    for (int i = 0; i < p->n_columns; i++) {
        json_object_begin(j, NULL);
        json_str(j, "name", p->columns[i].name);
        json_str(j, "type", p->columns[i].type);
        json_object_end(j);
    }
    json_array_end(j);
    json_object_end(j);
}

void snapshot_to_json(const struct snapshot *s, struct str *to)
{
    struct json_out j;
    char at[25];

    time_to_rfc3339(s->taken_at_ms, at);
    json_begin(&j, to, true);
    json_object_begin(&j, NULL);
    json_int(&j, "phasegate_snapshot", VERSION);
    json_str(&j, "name", s->name);
    json_str(&j, "plan", s->plan);
    json_str(&j, "phase", s->phase);
    json_str(&j, "checksum", s->checksum);
    json_str(&j, "run_id", s->run_id);
    json_str(&j, "taken_at", at);
    json_str(&j, "database", s->database);
    json_str(&j, "server_version", s->server_version);
    json_str(&j, "system_identifier", s->system_identifier);
    json_str(&j, "lsn", s->lsn);
    json_array_begin(&j, "parts");
    for (int i = 0; i < s->n_parts; i++)
        part_json(&j, &s->parts[i]);
    json_array_end(&j);
    if (s->definition.file) {
        json_object_begin(&j, "definition");
        json_str(&j, "file", s->definition.file);
        json_int(&j, "bytes", s->definition.bytes);
        json_str(&j, "sha256", s->definition.sha256);
        json_object_end(&j);
    }
    json_object_end(&j);
}

/* ---- reading: it may have been edited, or be somebody else's --------------------------------------- */

struct reading {
    struct arena *a;
    const char *lacks; /* the first key that isn't there or isn't what it should be */
};

static const char *text(struct reading *r, const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);

    if (json_is_string(v) && strlen(json_string_value(v)) == json_string_length(v))
        return arena_strdup(r->a, json_string_value(v));
    if (!r->lacks)
        r->lacks = key;
    return "";
}

static int64_t number(struct reading *r, const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);

    if (json_is_integer(v) && json_integer_value(v) >= 0)
        return json_integer_value(v);
    if (!r->lacks)
        r->lacks = key;
    return 0;
}

static void columns_of(struct reading *r, const json_t *o, struct snapshot_part *p)
{
    const json_t *list = json_object_get(o, "columns");
    int64_t keys = number(r, o, "key_columns");

    p->n_columns = (int) json_array_size(list);
    p->columns = arena_array(r->a, struct snapshot_column, p->n_columns + 1);
    for (int i = 0; i < p->n_columns; i++) {
        const json_t *c = json_array_get(list, (size_t) i);

        p->columns[i].name = p->columns[i].now = text(r, c, "name");
        p->columns[i].type = text(r, c, "type");
    }
    p->n_key = keys <= p->n_columns ? (int) keys : 0;
    bool is_enough = p->n_columns > (p->whole ? 0 : p->n_key);
    if (!r->lacks && (keys > p->n_columns || !is_enough || (!p->whole && keys == 0)))
        r->lacks = "columns";
}

/* A file of the folder and nothing else. */
static void check_file(struct reading *r, const char *file)
{
    if (!r->lacks && (strchr(file, '/') || file[0] == '.'))
        r->lacks = "file";
}

static void part_of(struct reading *r, const json_t *o, struct snapshot_part *p)
{
    p->schema = p->now_schema = text(r, o, "schema");
    p->table = p->now_table = text(r, o, "table");
    p->whole = json_is_true(json_object_get(o, "whole"));
    p->file = text(r, o, "file");
    p->bytes = number(r, o, "bytes");
    p->sha256 = text(r, o, "sha256");
    p->rows = number(r, o, "rows");
    p->digest = text(r, o, "digest");
    columns_of(r, o, p);
    check_file(r, p->file);
}

/* Those of older versions have none. */
static void definition_of(struct reading *r, const json_t *o, struct snapshot_file *f)
{
    if (!o)
        return;
    f->file = text(r, o, "file");
    f->bytes = number(r, o, "bytes");
    f->sha256 = text(r, o, "sha256");
    check_file(r, f->file);
}

static void all_of(struct reading *r, const json_t *o, struct snapshot *s)
{
    const json_t *list = json_object_get(o, "parts");

    s->name = text(r, o, "name");
    s->plan = text(r, o, "plan");
    s->phase = text(r, o, "phase");
    s->checksum = text(r, o, "checksum");
    s->run_id = text(r, o, "run_id");
    s->database = text(r, o, "database");
    s->server_version = text(r, o, "server_version");
    s->system_identifier = text(r, o, "system_identifier");
    s->lsn = text(r, o, "lsn");
    if (!time_from_rfc3339(text(r, o, "taken_at"), &s->taken_at_ms) && !r->lacks)
        r->lacks = "taken_at";
    s->n_parts = (int) json_array_size(list);
    s->parts = arena_array(r->a, struct snapshot_part, s->n_parts + 1);
    for (int i = 0; i < s->n_parts; i++)
        part_of(r, json_array_get(list, (size_t) i), &s->parts[i]);
    if (!r->lacks && s->n_parts == 0)
        r->lacks = "parts";
    definition_of(r, json_object_get(o, "definition"), &s->definition);
}

bool snapshot_from_json(const char *bytes, size_t n, struct arena *a, struct snapshot *out,
                        struct err *err)
{
    json_error_t where;
    json_t *doc = json_loadb(bytes, n, JSON_REJECT_DUPLICATES, &where);
    struct snapshot s = {0};
    struct reading r = {.a = a};

    if (!doc)
        return err_set(err, ERR_INPUT, "it is no JSON: %s (line %d)", where.text, where.line);
    json_int_t version = json_integer_value(json_object_get(doc, "phasegate_snapshot"));
    if (version == VERSION)
        all_of(&r, doc, &s);
    json_decref(doc);
    if (version != VERSION)
        return err_set(err, ERR_INPUT, "phasegate_snapshot: expected %d", VERSION);
    if (r.lacks)
        return err_set(err, ERR_INPUT, "%s: absent, or not what it should be", r.lacks);
    *out = s;
    return true;
}

bool snapshot_read(const struct store *store, const char *name, struct arena *a,
                   struct snapshot *out, struct err *err)
{
    AUTO(str) bytes = {0};
    bool is_there = false;

    if (!store_has(store, name, MANIFEST, &is_there, err))
        return false;
    if (!is_there) {
        err_set(err, ERR_INPUT, "there is no snapshot \"%s\" in %s", name, store->location);
        return err_hint(err, "phasegate snapshots list shows those that are there");
    }
    if (!store_get(store, name, MANIFEST, &bytes, err))
        return false;
    if (!snapshot_from_json(str_text(&bytes), bytes.len, a, out, err)) {
        err_hint(err, "phasegate snapshots list shows those that are there");
        return err_note(err, "%s", store_path(a, store, name, MANIFEST));
    }
    out->name = arena_strdup(
        a, name); /* as it is called now: its folder may be a copy of the one that was written */
    out->manifest_sha256 = sha256_of(a, str_text(&bytes), bytes.len);
    return true;
}

bool snapshot_is_stopped(const struct ports *ports, struct err *err)
{
    if (!ports_interrupted(ports))
        return false;
    err_set(err, ERR_INTERRUPTED, "stopped by a signal while a snapshot was being worked on");
    err_hint(err, "the same command begins it again; nothing was destroyed");
    return true;
}

const char *hex_of(struct arena *a, const unsigned char *bytes, unsigned n)
{
    AUTO(str) s = {0};

    for (unsigned i = 0; i < n; i++)
        str_addf(&s, "%02x", bytes[i]);
    return arena_strdup(a, str_text(&s));
}

const char *sha256_of(struct arena *a, const char *bytes, size_t n)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (EVP_Digest(bytes, n, sum, &len, EVP_sha256(), NULL) != 1)
        return NULL;
    return hex_of(a, sum, len);
}

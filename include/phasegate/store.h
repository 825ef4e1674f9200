/* store: where snapshots lie: a folder, or a bucket of an S3-compatible service.
 *
 * Files are NAME/FILE below it, of the characters [A-Za-z0-9._-]. A file is there whole or not at all, once it was
 * finished. Errors: ERR_UNREACHABLE where the place can't be used, with the way out; ERR_CONFIG where what was said of
 * it can't be right; ERR_INTERRUPTED at the first signal.
 */
#ifndef PHASEGATE_STORE_H
#define PHASEGATE_STORE_H

#include "phasegate/ports.h"

#define STORE_BUCKET "s3://"

struct store;
struct store_file;
struct store_ops {
    bool (*make)(const struct store *s, const char *name, struct err *err);
    bool (*create)(const struct store *s, const char *name, const char *file,
                   struct store_file **out, struct err *err);
    bool (*write)(struct store_file *f, const char *bytes, size_t n, struct err *err);
    bool (*finish)(struct store_file *f, struct err *err);
    bool (*open)(const struct store *s, const char *name, const char *file, struct store_file **out,
                 struct err *err);
    bool (*read)(struct store_file *f, char *to, size_t room, size_t *n, struct err *err);
    void (*close)(struct store_file *f);
    bool (*has)(const struct store *s, const char *name, const char *file, bool *out,
                struct err *err);
    bool (*remove)(const struct store *s, const char *name, struct err *err);
};
struct store {
    const struct store_ops *ops;
    const struct ports *ports;
    const char *location; /* as the ledger and people have it: "/backups/x", "s3://bucket/prefix" */
};

/* An absolute path; nothing is looked at yet. In arena a, like the next. */
const struct store *store_folder(const struct ports *ports, struct arena *a, const char *path);

struct store_bucket {
    const char *location;        /* s3://BUCKET or s3://BUCKET/PREFIX */
    const char *endpoint;        /* https://host[:port]; http:// on loopback only; NULL: Amazon's */
    const char *region;          /* NULL: us-east-1 */
    const char *key, *secret;    /* never shown */
    const char *token, *ca_file; /* NULL: none, the system's */
};
/* Amazon's Signature Version 4, addressed by path. Files go up in parts of 8 MiB and more, come down in ranges of 1 MiB:
 * memory stays bounded. False: ERR_CONFIG. */
bool store_bucket(const struct ports *ports, struct arena *a, const struct store_bucket *b,
                  const struct store **out, struct err *err);

/* The place for a snapshot's files, before the first of them. */
bool store_make(const struct store *s, const char *name, struct err *err);
/* Written under another name until it is finished. Closed in any case; one that wasn't finished leaves nothing. */
bool store_create(const struct store *s, const char *name, const char *file,
                  struct store_file **out, struct err *err);
bool store_write(const struct store *s, struct store_file *f, const char *bytes, size_t n,
                 struct err *err);
bool store_finish(const struct store *s, struct store_file *f, struct err *err);
/* From its beginning. *n 0: its end. */
bool store_open(const struct store *s, const char *name, const char *file, struct store_file **out,
                struct err *err);
bool store_read(const struct store *s, struct store_file *f, char *to, size_t room, size_t *n,
                struct err *err);
void store_close(const struct store *s, struct store_file *f); /* NULL is fine */
bool store_has(const struct store *s, const char *name, const char *file, bool *out,
               struct err *err);
/* Small files whole. */
bool store_put(const struct store *s, const char *name, const char *file, const char *bytes,
               size_t n, struct err *err);
bool store_get(const struct store *s, const char *name, const char *file, struct str *out,
               struct err *err);
/* All of a snapshot's files, the manifest before the others: what is left behind it is no snapshot any more. Those that are
 * gone are no error. */
bool store_remove(const struct store *s, const char *name, struct err *err);

/* "s3://bucket/prefix/NAME/FILE", "/backups/NAME/FILE"; file NULL: without. For people. */
const char *store_path(struct arena *a, const struct store *s, const char *name, const char *file);

#endif

/* What the files of this layer share. */
#ifndef PHASEGATE_SNAPSHOT_INT_H
#define PHASEGATE_SNAPSHOT_INT_H

#include "phasegate/snapshot.h"

#define MANIFEST "manifest.json"

/* ---- pack.c: one file, compressed as it flows ------------------------------------------------------- */

struct packer;
/* PATH.part until it's closed. */
bool packer_open(struct packer **out, const struct ports *ports, const char *path, struct err *err);
struct db_sink packer_sink(struct packer *p);
/* Flushed, renamed, its folder flushed. Frees p either way. */
bool packer_close(struct packer *p, struct arena *a, int64_t *bytes, const char **sha256,
                  struct err *err);
void packer_drop(struct packer *p); /* NULL is fine; nothing is left */

struct unpacker;
bool unpacker_open(struct unpacker **out, const struct ports *ports, const char *path,
                   struct err *err);
struct db_source unpacker_source(struct unpacker *u);
/* Once it was read to its end: is it what was written? */
bool unpacker_check(struct unpacker *u, const char *sha256, struct err *err);
void unpacker_close(struct unpacker *u); /* NULL is fine */
/* Reads the file without unpacking it. */
bool unpack_hash(const struct ports *ports, const char *path, const char *sha256, struct err *err);

/* ---- folder.c ------------------------------------------------------------------------------------------ */

/* Always false: ERR_UNREACHABLE, errno's words, and what to do. doing: "write". */
bool folder_error(struct err *err, int failed, const char *doing, const char *path);
bool folder_make(const char *path, struct err *err);
bool folder_sync_of(const char *path, struct err *err); /* the folder that path is in */
bool folder_put(const char *path, const char *text, size_t n, struct err *err);
bool folder_get(const char *path, struct str *out, struct err *err);
const char *folder_path(struct arena *a, const char *folder, const char *name, const char *file);
const char *folder_sha256(struct arena *a, const char *bytes, size_t n);
const char *folder_hex(struct arena *a, const unsigned char *bytes, unsigned n);
bool snapshot_is_stopped(const struct ports *ports, struct err *err);

#endif

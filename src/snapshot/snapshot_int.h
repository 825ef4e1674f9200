/* What the files of this layer share. */
#ifndef PHASEGATE_SNAPSHOT_INT_H
#define PHASEGATE_SNAPSHOT_INT_H

#include "phasegate/snapshot.h"
#include "store_int.h"

/* ---- pack.c: one file, compressed as it flows ------------------------------------------------------- */

struct packer;
bool packer_open(struct packer **out, const struct store *store, const char *name, const char *file,
                 struct err *err);
struct db_sink packer_sink(struct packer *p);
/* Finished in its store. Frees p either way. */
bool packer_close(struct packer *p, struct arena *a, int64_t *bytes, const char **sha256,
                  struct err *err);
void packer_drop(struct packer *p); /* NULL is fine; nothing is left */

struct unpacker;
bool unpacker_open(struct unpacker **out, const struct store *store, const char *name,
                   const char *file, struct err *err);
struct db_source unpacker_source(struct unpacker *u);
/* Once it was read to its end: is it what was written? */
bool unpacker_check(struct unpacker *u, const char *sha256, struct err *err);
void unpacker_close(struct unpacker *u); /* NULL is fine */
/* Reads the file without unpacking it. */
bool unpack_hash(const struct store *store, const char *name, const char *file, const char *sha256,
                 struct err *err);

/* ---- define.c --------------------------------------------------------------------------------------- */

/* In the transaction in which the rows were read. lacks: see snapshot_take. */
bool definition_take(const struct store *store, struct db *db, const char *url, struct arena *a,
                     struct snapshot *s, struct err *lacks, struct err *err);

/* ---- manifest.c ------------------------------------------------------------------------------------ */

const char *sha256_of(struct arena *a, const char *bytes, size_t n);
const char *hex_of(struct arena *a, const unsigned char *bytes, unsigned n);
bool snapshot_is_stopped(const struct ports *ports, struct err *err);

#endif

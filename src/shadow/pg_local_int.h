/* pg_local: what its files share. */
#ifndef PHASEGATE_PG_LOCAL_INT_H
#define PHASEGATE_PG_LOCAL_INT_H

#include "phasegate/pg_local.h"

#include <stdint.h>

/* Whom a server runs as. False: we are root, and there is nobody. */
bool pg_user_choose(uid_t *uid, gid_t *gid, struct err *err) MUST_CHECK;

/* Where folders are made: what is given, else $TMPDIR, else /tmp. */
const char *pg_parent_folder(const char *given);

/* ---- pg_why.c */
/* A hint, where message or detail say what was lacking; parent: the folder that the server's is in. */
void pg_why(const char *parent, struct err *err);

/* ---- pg_folder.c */
/* A folder of our own below parent, with its lock held as long as lock_fd is open. It has its name only when it is
 * locked: who cleans sees it whole or not at all. */
bool pg_folder_make(const char *parent, struct str *out, int *lock_fd, struct err *err) MUST_CHECK;
/* All of it, the lock last: what a kill leaves in between is still known as left. */
void pg_folder_remove(const char *path);
/* No later start takes it for abandoned. */
void pg_folder_keep(const char *path);

/* The shared memory that a postmaster takes for its data folder; id 0: none. A killed one leaves it behind. */
struct pg_segment {
    long pid; /* who made it */
    unsigned long key;
    long id;
};
/* folder: open, with the data folder in it. */
struct pg_segment pg_segment_read(int folder);
/* When it is still the one that was read, belongs to uid and nobody uses it (any more: it waits for a moment). */
void pg_segment_remove(const struct pg_segment *s, uid_t uid);

#endif

/* load: what its files share. */
#ifndef PHASEGATE_SHADOW_LOAD_INT_H
#define PHASEGATE_SHADOW_LOAD_INT_H

#include "shadow/program.h"
#include "shadow/scan.h"

/* A baseline on its way into a database. */
struct load {
    struct shadow *s;
    const char *name;     /* of the database, the caller's */
    const char *database; /* on the server */
    struct arena arena;
    struct scan scan;
    FILE *file;      /* what psql reads */
    struct str seen; /* of each file its name as shown, size and SHA-256, a line each */
    bool only_looks; /* for what is seen; nothing is scanned, and too much for an image ends it */
    int64_t seen_bytes;
    /* On a server of the user's, where nothing confines a superuser: the limited role loads it. */
    bool is_limited;
};

/* ---- load_limited.c */
/* What the superuser has to do for the limited role: memberships, rights for the time of the load, extensions. Before
 * psql; the roles are there. ERR_INPUT with file:line: an extension can't be made. */
bool limited_prepare(struct load *l, struct err *err) MUST_CHECK;
/* Those rights are gone, and roles are as the baseline has them. Also after a failure. */
bool limited_finish(struct load *l, bool is_loaded, struct err *err) MUST_CHECK;
/* Ways out of the database that extensions have opened are closed to everybody. */

/* ---- after_load.c */
/* The rights of our roles back to what they may have and, when it is loaded, everything to the limited one. */
bool load_finish(struct shadow *s, const char *database, bool is_loaded,
                 struct err *err) MUST_CHECK;

/* ---- after_check.c */
/* On our own server: ERR_INPUT when PostgreSQL's own functions, views and languages aren't what they were. */
bool load_check(struct shadow *s, const char *database, struct err *err) MUST_CHECK;
/* On our own server: our roles and databases as they were; ERR_INPUT when the superuser isn't one any more. */
bool load_settle(struct shadow *s, struct err *err) MUST_CHECK;

/* ---- load_error.c */
/* What psql said last, as err with file:line. False. role: the one that is missing, when that's what it is. */
bool load_error(struct load *l, const char *said, const char **missing_role, struct err *err);
/* The same of CREATE EXTENSION as our own session was told. False. */
bool load_extension_error(struct load *l, const char *file, int line, const char *sqlstate,
                          const char *message, struct err *err);

/* ---- load_files.c */
/* All of it into the scan. */
bool load_path(struct load *l, const char *root, const char *path, struct err *err) MUST_CHECK;
/* Likewise of files that are given. */
bool load_given(struct load *l, const char *shown, const struct given_file *files, int n,
                bool is_folder, struct err *err) MUST_CHECK;
/* What load_path would see of it now. False: it can't be read, or it's more than is kept. */
bool load_look(const char *root, const char *path, struct str *out);
/* The file at its beginning, whole. Free it. */
bool load_read(int fd, const char *shown, char **out, size_t *out_n, struct err *err) MUST_CHECK;

/* ---- load_dump.c */
/* The schema of a live database into the scan. */
bool load_dump(struct load *l, const char *url, struct err *err) MUST_CHECK;

#endif

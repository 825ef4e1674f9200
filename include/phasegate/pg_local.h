/* pg_local: a PostgreSQL of one's own, for as long as it's needed.
 *
 * initdb in a fresh folder, a unix socket in that folder and nothing else, trust for whoever may enter
 * the folder (mode 0700). Started as root it runs as `postgres`, or `nobody` where there's no such user.
 * The server ends with this process even on SIGKILL; the folder is then removed by the next start,
 * which knows an abandoned one by its lock. Start and stop it from a thread that outlives it.
 */
#ifndef PHASEGATE_PG_LOCAL_H
#define PHASEGATE_PG_LOCAL_H

#include "phasegate/ports.h"
#include <sys/types.h>

/* Where a data folder comes from, instead of initdb. ctx is the first argument of each. */
struct pg_local_source {
    void *ctx;
    /* Makes the folder `data` and fills it, owned by uid and gid. False: initdb is to do it. */
    bool (*take)(void *ctx, const char *data, uid_t uid, gid_t gid);
    void (*unfit)(void *ctx); /* no server starts on what take gave: initdb follows */
    /* initdb has made it for this user, and no server has run on it yet. */
    void (*made)(void *ctx, const char *data, uid_t uid);
};

struct pg_local_options {
    const char *bin_dir;         /* with initdb and postgres; NULL: the newest that's found */
    const char *parent;          /* where the folder is made; NULL: $TMPDIR, else /tmp */
    bool durable;                /* fsync and full_page_writes on */
    const char *const *settings; /* "name=value" for the server, NULL-terminated; NULL: none */
    const char *superuser;       /* its name; NULL: postgres */
    const char *locale;          /* of the databases; NULL: C */
    const char *const *initdb;   /* more options of initdb, NULL-terminated; NULL: none */
    const struct pg_local_source *source; /* NULL: initdb */
    bool is_confined; /* runs no programs, opens no connections, writes only below its folder */
    const struct interrupt *interrupt; /* a signal ends the start: ERR_INTERRUPTED; NULL: none */
};

struct pg_local;

/* False with ERR_UNREACHABLE: no binaries (the hint names the package), or it doesn't start (the detail
 * has the end of its log). Nothing is left behind then. */
bool pg_local_start(const struct pg_local_options *o, struct pg_local **out,
                    struct err *err) MUST_CHECK;
/* libpq's key/value form, for database `name`, as the superuser; kept until stop. */
const char *pg_local_conninfo(struct pg_local *p, const char *name);
const char *pg_local_folder(const struct pg_local *p);
const char *pg_local_data(const struct pg_local *p); /* the server's own, below it */
uid_t pg_local_user(const struct pg_local *p);       /* whom it runs as */
/* Immediate: what it holds is thrown away. NULL is nothing to do. */
void pg_local_stop(struct pg_local *p);
/* Stops the server in good order and leaves its folder, which no later start takes for abandoned. */
void pg_local_keep(struct pg_local *p);

/* A folder beside those of servers, for something else of this process's: once it and its children have ended, the next
 * start or pg_local_clean removes it. *lock_fd stays open as long as it is needed. */
bool pg_local_folder_make(struct str *out, int *lock_fd, struct err *err) MUST_CHECK;

/* A folder with all that is in it; what isn't there is no error. */
void pg_local_remove(const char *folder);

/* The newest folder with initdb and postgres, or false. Where Debian, RHEL and a PATH have them. */
bool pg_local_find(struct str *out);
bool pg_local_has(const char *folder);
/* Ends and removes what killed processes left below parent (NULL: as above). How many. Part of start. */
int pg_local_clean(const char *parent);

#endif

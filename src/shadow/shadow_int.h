/* What the files of the shadow share. Not seen outside of it. */
#ifndef PHASEGATE_SHADOW_INT_H
#define PHASEGATE_SHADOW_INT_H

#include "phasegate/names.h"
#include "phasegate/pg_local.h"
#include "phasegate/shadow.h"

#include <libpq-fe.h>
#include <pthread.h>

/* The superuser of our own server. Not "postgres": dumps name that one as the owner of things, and
 * here it is a role like any other. */
#define SHADOW_ADMIN "phasegate_admin"
/* Who makes rows; with the prefix on a server of the user's. */
#define SHADOW_SEEDS "phasegate_seeds"

/* Of the databases that our own server is born with the one that is used: whoever is in it may copy it. */
#define SHADOW_FIRST "template1"

#define SHADOW_TEMP_FILES "1GB"

/* A run's name on a server of the user's, as a regular expression. */
#define SHADOW_RUN "^phasegate_shadow_[0-9a-f]{8}"

/* Of our sessions in databases that have something of others in it. */
#define SHADOW_WITHIN "-c client_min_messages=error -c search_path=pg_catalog"

enum { SHADOW_SLICE_MS = 100, SHADOW_ADMIN_MS = 60000, SHADOW_ROOM = 256 << 20 };

struct names { /* in the shadow's arena; a name that was taken out is NULL */
    const char **items;
    int n, cap;
};

struct shadow {
    struct arena arena; /* as long as the shadow */
    const char *bin_dir, *url, *locale;
    const char **roles; /* NULL-terminated */
    bool superuser_steps;
    const char *cache;               /* NULL: no images */
    struct shadow_baseline baseline; /* database NULL: none */
    struct clock *clock;
    const struct interrupt *interrupt;

    char **environ_before, **environ_without; /* see connect.c; NULL: as it was */
    char **environ_quiet;                     /* the same without any variable of libpq's */

    /* Our own server lives as long as the thread that started it. */
    pthread_t thread;
    bool has_thread, is_started, is_ended; /* the last two under lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct pg_local *pg; /* NULL: the user's server, or it didn't start */
    struct err start_err;

    /* The image that it began with or is to leave; "": none. */
    char made_key[80], baseline_key[80];
    bool has_baseline; /* the server began with the baseline's database */
    bool has_copy;     /* and there is a copy of it that nobody has asked for yet */
    bool was_used;     /* a session, a program or a load: too late for an image */

    struct shadow_left_out *left_out; /* in the arena */
    int64_t slow_ms;                  /* that statements took which were cancelled */
    int64_t room; /* bytes that are to stay free where our server is; 0: not looked yet */
    int n_left_out;

    bool is_ready;
    int version;
    bool is_super;          /* we are a superuser there */
    bool is_utf8;           /* its databases are, unless one says otherwise */
    bool watches_clients;   /* it ends the statements of clients that have gone, if it's asked to */
    bool is_unsynced;       /* a server of the user's writes without waiting for its disk */
    const char *run;        /* its name on a server of the user's */
    const char *prefix;     /* of databases and roles: "" on our own server */
    const char *owner;      /* SHADOW_OWNER with the prefix */
    const char *secret;     /* the roles' password on a server of the user's; NULL: none needed */
    struct wire *admin;     /* superuser, in a database that nobody loads into */
    struct names databases; /* as the caller named them */
    struct names sources;   /* parallel: what each is a copy of; "": of nothing */
    struct names roles_made;
    struct names logins, login_of; /* parallel: on a server of the user's, who logs in for whom */
    struct names held;             /* likewise, roles that no other run may drop */
    struct names
        lent; /* see shadow_role_lend; of those in lent_anew the owner was no member before */
    struct names lent_anew;
};

/* ---- shadow.c */
void names_add(struct arena *a, struct names *to, const char *name);
int names_find(const struct names *in, const char *name); /* -1: not there */
/* Waits until it has started, if it hasn't. */
bool shadow_check(struct shadow *s, struct err *err) MUST_CHECK;
/* A failed statement of our own. */
bool shadow_result_err(const struct wire_result *r, const char *what, struct err *err);
bool shadow_admin(struct shadow *s, const char *sql, struct err *err) MUST_CHECK;
bool shadow_admin_query(struct shadow *s, struct arena *a, const char *sql, struct wire_result *out,
                        struct err *err) MUST_CHECK;
/* The superuser's session; a new one when the server has crashed meanwhile. */
bool shadow_admin_wire(struct shadow *s, struct wire **out, struct err *err) MUST_CHECK;
bool shadow_is_interrupted(const struct shadow *s);
bool shadow_interrupted(const struct shadow *s, struct err *err); /* sets err, false */

/* ---- shadow_database.c */
/* The name on the server, in arena a. */
const char *shadow_database_name(const struct shadow *s, struct arena *a, const char *name);
bool shadow_has_database(const struct shadow *s, const char *name);
/* Roles and an empty template, before the first database. */
bool shadow_prepare(struct shadow *s, struct err *err) MUST_CHECK;
/* Takes back what PREPARE TRANSACTION has left in a database of the server. */
bool shadow_end_prepared(struct shadow *s, const char *database_on_server,
                         struct err *err) MUST_CHECK;
/* Runs n statements in a database as superuser, in a session of their own. */
bool shadow_within(struct shadow *s, const char *database_on_server, const char *const *sql, int n,
                   struct err *err) MUST_CHECK;

/* ---- shadow_role.c */
/* Makes it where it is missing. On our own server it may log in. */
bool shadow_role_make(struct shadow *s, const char *name, struct err *err) MUST_CHECK;
/* A baseline has made it. */
bool shadow_role_adopt(struct shadow *s, const char *name, struct err *err) MUST_CHECK;
/* The role to connect as in order to be `name`, in the shadow's arena. Never a superuser. */
bool shadow_role_login(struct shadow *s, const char *name, const char **out,
                       struct err *err) MUST_CHECK;

/* The role that makes rows, in the shadow's arena: it may what SHADOW_OWNER may, sees every row, and no trigger fires
 * for it. Made where it is missing. */
bool shadow_role_seeds(struct shadow *s, const char **out, struct err *err) MUST_CHECK;

/* ---- shadow_url.c */
/* On a server of the user's: may we, and what dead runs left is removed. */
bool shadow_url_begin(struct shadow *s, struct err *err) MUST_CHECK;
/* No other run drops this role while we are there. */
bool shadow_url_hold(struct shadow *s, const char *role, struct err *err) MUST_CHECK;
void shadow_url_end(struct shadow *s); /* drops our databases and roles */

/* ---- shadow_image.c */
/* Our server from an image where there's one that fits, else from initdb. */
bool shadow_image_start(struct shadow *s, struct pg_local_options *o, struct err *err) MUST_CHECK;
/* The database is the baseline's of an image, whole: nothing is to be made or loaded. */
bool shadow_image_has(const struct shadow *s, const char *database);
/* The copy that the image came with becomes database `name`; false: there's none of that name, of that source. */
bool shadow_image_take_copy(struct shadow *s, const char *name, const char *from);
/* When it is in the way of what becomes of `name`. */
bool shadow_image_drop_copy(struct shadow *s, const char *name, struct err *err) MUST_CHECK;
/* Not yet one of those that shadow_database knows. */
bool shadow_database_copy(struct shadow *s, const char *name, const char *from,
                          struct err *err) MUST_CHECK;
/* Is it that baseline? */
bool shadow_image_is_of(const struct shadow *s, const char *database, const char *root,
                        const char *path);
/* Keeps the server as it is, with the baseline just loaded from files that read as `seen` says. */
void shadow_image_keep(struct shadow *s, const char *database, const struct str *seen);

/* ---- connect.c */
/* While a server of our own is there libpq has no settings of sessions from our environment, which go before all that
 * a session asks for, and to connect to that server it has none of its variables at all: a service that isn't there would
 * be an error whatever is said. They are there again afterwards. Not while others change the environment. */
void shadow_hide_settings(struct shadow *s);
void shadow_show_settings(struct shadow *s); /* twice is nothing */
struct connect_spec {
    const char *database; /* on the server; NULL: the one to start from */
    const char *user;     /* NULL: the superuser, or whom the URL names */
    const char *label;
    const char *options; /* "-c name=value ..." */
};
/* Of sessions on a server of the user's, where they outlive us: "-c name=value ...". */
const char *shadow_mortal(const struct shadow *s);
/* Begins a session and doesn't wait: the server makes it while the caller does something else. */
PGconn *shadow_connect_begin(struct shadow *s, const struct connect_spec *c);
/* Waits no longer than 15 s for it; takes begun, which was begun with the same c, or NULL. Non-blocking afterwards. */
bool shadow_connect(struct shadow *s, const struct connect_spec *c, PGconn *begun, PGconn **out,
                    struct err *err) MUST_CHECK;
/* Adds "-c name=value" with the escapes of the startup packet. */
void shadow_option(struct str *to, const char *name, const char *value);

#endif

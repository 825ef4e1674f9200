/* cache: what cache.c and cache_record.c share: the lines of a text, and what they say. */
#ifndef PHASEGATE_CHECK_CACHE_H
#define PHASEGATE_CHECK_CACHE_H

#include "check/work.h"

#include <jansson.h>

#define CACHE_KEY_DIGITS 16

/* What many records have in common is one line, and is read once: a shape, or the arguments. */
struct body {
    const char *text; /* without the end of line */
    size_t n;
    bool is_used, is_read;
    const struct description
        *shape;                 /* NULL: not one, or one with types of the user's: see body_shape */
    const struct record *first; /* NULL: not one; the parts that belong to arguments */
};

struct cache_line {
    uint64_t key;
    const char *text; /* without the end of line; NULL: this run's */
    size_t n;
    json_t *read_ahead;    /* what text says, when it was read before it was asked for */
    struct record *record; /* NULL: not asked for in this run */
    struct body *body;
};

struct parts_line {
    uint64_t key;
    const char *text; /* without the end of line */
    size_t n;
};

struct cache {
    uint64_t salt;
    struct cache_line *lines; /* by key, open addressing */
    size_t room, n;
    struct record **used; /* in the order in which they were asked for */
    int n_used, cap_used;
    struct body **bodies; /* of the used ones, each once */
    int n_bodies, cap_bodies;
    json_t *tasks;       /* checksums of the run before; NULL: none was */
    bool any_table;      /* tasks that weren't in it may change any table, */
    const char **tables; /* or these */
    int n_tables;
    struct parts_line *parts; /* of the states that this run came to */
    int n_parts;
    json_t *undone;     /* keys of undos that the run before found right; NULL: none */
    json_t *undone_now; /* this run's; NULL: none yet */
};

/* The place of a key, with key 0 when it isn't there. Good until the next line is added. */
struct cache_line *cache_line_at(const struct cache *c, uint64_t key);
struct cache_line *cache_line_add(struct cache *c, uint64_t key);
/* What a line with a text says; the caller has its reference. NULL: nothing that can be read. */
json_t *cache_line_json(struct cache_line *l);

uint64_t print_number(uint64_t h, uint64_t v);

/* cache_record.c. An unreadable record stays empty. Takes what was read ahead. */
void record_read(struct proof *p, struct cache_line *l, struct record *r);
/* Of a description. False: it has a type that can't be kept. 0: there is none. */
bool record_shape_body(struct proof *p, const struct description *d, uint64_t *out_key);
void record_put(struct proof *p, struct str *to, struct record *r);
/* Bodies that a record names are written with it. */
void record_use_bodies(struct proof *p, const struct record *r);

#endif

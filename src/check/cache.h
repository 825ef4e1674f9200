/* cache: what cache.c and cache_record.c share: the lines of a text, and what they say. */
#ifndef PHASEGATE_CHECK_CACHE_H
#define PHASEGATE_CHECK_CACHE_H

#include "check/work.h"

#include <jansson.h>

#define CACHE_KEY_DIGITS 16
#define CACHE_KEY_START "{\"k\":\""

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
    json_t *read_ahead;    /* what text says, when it was read before it was asked for; */
    struct record *ahead;  /* of a record's this, without what it shares with others */
    struct record *record; /* NULL: not asked for in this run */
    struct body *body;
    bool is_written; /* of facts: by this run */
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

/* cache_record.c. Needs no shadow. */
void record_read_ahead(struct proof *p, struct cache_line *l);
/* An unreadable record stays empty. Takes what was read ahead. */
void record_read(struct proof *p, struct cache_line *l, struct record *r);
/* With this answer, as put_outcome writes it; NULL: it gives none. NULL is returned for what isn't one. */
const struct outcome *record_answered(struct proof *p, const char *answer);
/* cache_scan.c. False: it isn't the record of a query that worked, in exactly record_put's words. */
bool record_scan(struct proof *p, const char *text, size_t n, struct record *out);
/* Of a description. False: it has a type that can't be kept. 0: there is none. */
bool record_shape_body(struct proof *p, const struct description *d, uint64_t *out_key);
void record_put(struct proof *p, struct str *to, struct record *r);
/* Bodies that a record names are written with it. */
void record_use_bodies(struct proof *p, const struct record *r);

/* cache_facts.c. The lines of facts; they come last. */
bool cache_line_has_facts(const struct cache_line *l);
void cache_put_facts(struct proof *p, struct str *to);

#endif

/* decode: from a node tree into the structs of model.h, by tables of keys.
 *
 * A mapping is described by one `struct table`; its rows say for each key the type, where the value goes
 * and what is allowed. The same tables drive the checksums (canon.c), so a key that is loaded is also
 * signed. Problems are added for everything wrong; decoding goes on, so one run shows them all.
 *
 * Order of rows is part of the checksums: new keys go to the end of a table, and need a default that
 * leaves the field as it was without the key.
 */
#ifndef PHASEGATE_LOAD_DECODE_H
#define PHASEGATE_LOAD_DECODE_H

#include "load/yaml_tree.h"

#include <stddef.h>

enum field_type {
    FT_TEXT,     /* struct text; arg: struct text_rule or NULL */
    FT_BOOL,     /* bool */
    FT_BOOL64,   /* int64_t as 0/1, MODEL_UNSET when absent */
    FT_INT,      /* int64_t from min to max */
    FT_INT32,    /* int from min to max */
    FT_MS,       /* int64_t: "30s" */
    FT_MS_OR_0,  /* likewise, or a bare 0 */
    FT_BYTES,    /* int64_t: "2GiB" */
    FT_PERCENT,  /* double: "1%" */
    FT_COND,     /* struct cond */
    FT_ENUM,     /* enum: arg is words, the first one stands for min */
    FT_BOOLWORD, /* bool: arg is words, the second one is true */
    FT_TABLEREF, /* struct text at offset, another at offset2: "schema.table" */
    FT_TEXTS,    /* struct text_list, one or more; arg: struct text_rule or NULL */
    FT_TEXTS1,   /* likewise, one may stand without brackets */
    FT_PAIRS,    /* struct pair_list: mapping of texts; arg: struct text_rule of the keys or NULL */
    FT_RAWPAIRS, /* likewise, values may be any scalar */
    FT_MAP,      /* a mapping by arg, its fields at offset within the same struct */
    FT_ITEMS,    /* array of structs by arg at offset, their number at offset2 */
    FT_NAMED, /* likewise from a mapping of names; the name goes to the struct text at its offset 0 */
    FT_WITH   /* arg: decode_with; hashed as `stored` */
};

struct decoder;
struct field;
typedef void (*decode_with)(struct decoder *d, const struct node *n, void *base,
                            const struct field *f);

struct text_rule {
    bool (*is_ok)(const char *s);
    const char *expected;
};

struct table;
struct field {
    const char *key; /* NULL key: only hashed, for what a FT_WITH of another row sets */
    uint8_t len;
    uint8_t type, stored;
    bool required;
    bool runs;         /* part of a step's own checksum */
    bool signed_apart; /* left out by canon_add: has a checksum of its own */
    uint16_t offset, offset2;
    const void *arg;
    decode_with with;
    int64_t min, max, dflt;
};

struct table {
    const char *what; /* "a step" */
    const struct field *rows;
    int n;
    size_t size;   /* of the struct, for lists */
    int at_offset; /* of its struct pos, or -1 */
    /* What no row can say: which keys go together. Called after the rows. */
    void (*check)(struct decoder *d, const struct node *map, void *base);
};

struct decoder {
    struct arena *arena; /* the model's */
    const char *file;
    struct problem_list *problems;
    bool failed; /* a problem was added */
};

#define KEY(k) .key = (k), .len = sizeof(k) - 1
#define AT(type_, st, member)                                                                      \
    .type = (type_), .stored = (type_), .offset = offsetof(struct st, member)
#define WITH_AT(stored_, st, member, with_)                                                        \
    .type = FT_WITH, .stored = (stored_), .offset = offsetof(struct st, member), .with = (with_)
#define NUM(dflt_, min_, max_) .dflt = (dflt_), .min = (min_), .max = (max_)
#define LIST_AT(type_, st, member, items)                                                          \
    AT(type_, st, member.items), .offset2 = offsetof(struct st, member.n)
#define ARRAY_AT(type_, st, member)                                                                \
    AT(type_, st, member), .offset2 = offsetof(struct st, n_##member)
#define TABLE(what_, rows_, st)                                                                    \
    .what = (what_), .rows = (rows_), .n = sizeof(rows_) / sizeof *(rows_),                        \
    .size = sizeof(struct st), .at_offset = -1
#define TABLE_AT(what_, rows_, st)                                                                 \
    .what = (what_), .rows = (rows_), .n = sizeof(rows_) / sizeof *(rows_),                        \
    .size = sizeof(struct st), .at_offset = offsetof(struct st, at)

/* Most keys of one table, and most names of one mapping of names. */
#define DECODE_ROWS 64
#define DECODE_NAMES 1000

/* base is zeroed memory of the table's size. */
void decode_map(struct decoder *d, const struct node *n, const struct table *t, void *base);
/* Likewise for fields of a struct that has its defaults already: those of FT_MAP rows do. */
void decode_part(struct decoder *d, const struct node *n, const struct table *t, void *base);
void decode_defaults(const struct table *t, void *base);

/* For FT_WITH: each adds a problem and gives false when the node isn't such a value. what: the key. */
bool decode_text(struct decoder *d, const struct node *n, const char *what,
                 const struct text_rule *rule, struct text *out);
bool decode_texts(struct decoder *d, const struct node *n, const char *what,
                  const struct text_rule *rule, bool one_may_stand_alone, struct text_list *out);
bool decode_raw(struct decoder *d, const struct node *n, const char *what,
                struct text *out); /* any scalar */
bool decode_scalar(struct decoder *d, const struct node *n, const struct field *f, void *base);
bool decode_is(struct decoder *d, const struct node *n, enum node_kind kind, const char *what,
               const char *expected);
void decode_say(struct decoder *d, const struct node *n, const char *expected, const char *hint,
                const char *fmt, ...) PRINTF_LIKE(5, 6);
struct pos node_pos(const struct decoder *d, const struct node *n);

/* How many of the keys (NULL at the end) the mapping has. */
int decode_count(const struct node *map, const char *const *keys);
/* Adds a problem unless the mapping has exactly one of the keys. Gives its name or NULL. */
const char *decode_one_of(struct decoder *d, const struct node *map, const char *what,
                          const char *const *keys);
/* Adds a problem when `key` is there without `needs` (excludes: with the other). */
void decode_needs(struct decoder *d, const struct node *map, const char *key, const char *needs);
void decode_excludes(struct decoder *d, const struct node *map, const char *key, const char *other);

extern const struct text_rule rule_word_id, rule_plan_id, rule_version, rule_name;

#endif

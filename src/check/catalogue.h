/* catalogue: what the shadow's catalogue says about the user's objects, in one state of the database.
 *
 * A relation's fingerprint changes when anything changes that may matter to a statement on it: columns, types,
 * defaults, constraints, indexes, triggers, policies, privileges, a view's query. What isn't tied to a relation
 * (functions, enums, casts, privileges of schemas) has fingerprints of its own. Fingerprints hold no oids: they
 * are the same in another run.
 */
#ifndef PHASEGATE_CHECK_CATALOGUE_H
#define PHASEGATE_CHECK_CATALOGUE_H

#include "phasegate/shadow.h"

#include <string.h>

struct cat_column {
    const char *name;
    int number;
    unsigned type, base; /* base: of a domain, its innermost type; else type */
    int typmod;
    const char *type_text;     /* "character varying(20)" */
    const char *fallback;      /* default or generation expression; NULL: none */
    const char *fallback_tree; /* tells two of them apart whatever what they name is called; NULL:
                                  not known */
    char kind;                 /* pg_type.typtype: b, c, d, e, p, r, m */
    char category;             /* pg_type.typcategory: N, S, D, B, A, E ... */
    unsigned element;          /* of an array */
    const char *collation;     /* NULL: the type's own */
    const char *domain_checks; /* of its domain; NULL: none */
    bool not_null, is_generated, is_identity, is_identity_always;
};

#define CAT_KEYS 32 /* columns of a constraint, PostgreSQL's INDEX_MAX_KEYS */

struct cat_constraint {
    const char *name, *definition;
    char type;      /* p, u, f, c, x, n */
    unsigned other; /* f: the table it points at */
    int columns[CAT_KEYS], other_columns[CAT_KEYS], n_columns;
    bool validated,
        is_inherited; /* inherited: of a partition, it goes and comes with that of the whole table */
};

struct cat_index {
    const char *name, *definition;
    bool is_unique, is_valid, is_partial;
    const char *columns; /* numbers, "1 3"; 0 is an expression */
    unsigned oid, filenode;
};

struct cat_named { /* triggers, policies */
    const char *name, *definition;
    const char
        *roles; /* of a policy: whom it holds for, each between two line ends; NULL: everybody */
    const char *shows, *takes; /* of a policy: USING, WITH CHECK; NULL: it has none */
    const char *body;          /* of a trigger: a sum over its function's; else NULL */
    char enabled;              /* of a trigger: pg_trigger.tgenabled */
};

struct cat_relation {
    unsigned oid, filenode;
    const char *schema, *name, *owner;
    char kind; /* r, p, v, m, f, S */
    bool has_rls, is_populated, is_of_extension;
    bool is_invoker;     /* a view that reads with the rights of who asks */
    long long increment; /* of a sequence */
    struct cat_column *columns;
    int n_columns;
    struct cat_constraint *constraints;
    int n_constraints;
    int n_checks; /* with the one after them, that a partition's bound is like; else n_constraints */
    struct cat_index *indexes;
    int n_indexes;
    struct cat_named *triggers, *policies;
    int n_triggers, n_policies;
    unsigned *uses; /* relations that a view reads */
    int n_uses;
    unsigned *reaches; /* what its policies read, its children */
    int n_reaches;
    bool calls; /* functions of the user's, by themselves: they may read anything */
    uint64_t fingerprint;
    uint64_t shape; /* the same without owner and privileges, which differ from server to server */
    uint64_t surface[2]; /* see query_surface: read, written; 0: not looked at */
    bool runs_code[2];   /* once surface is known: functions of somebody's may be called */
};

struct cat_enum {
    unsigned type;
    const char *schema, *name;
    bool is_of_extension;
    const char **labels;
    int n_labels;
};

struct cat_function {
    const char *schema, *name;
    uint64_t fingerprint;
};

struct cat_sums { /* over all of them; see query_surface */
    uint64_t everything, routines, labels;
    bool is_set;
};

struct catalogue {
    struct cat_relation *relations; /* ascending by oid */
    int n_relations;
    const struct cat_relation **by_name; /* [n_relations], ascending */
    int *
        heads; /* [n_heads], by the name's hash: where its first is in by_name, from 1 on; 0: none */
    int n_heads; /* a power of 2 */
    struct cat_sums *sums;
    struct cat_enum *enums;
    int n_enums;
    struct cat_function *functions; /* ascending by name */
    int n_functions;
    bool calls;      /* to compare, cast or store a value may call a function of the user's */
    uint64_t others; /* casts, operators, domains, privileges of schemas, roles, settings */
    const char
        *passers; /* roles that no policy holds for, each between two line ends; NULL: none */
};

/* A foreign key to it that does nothing about its own rows when what they point at goes: they keep that from going. */
static inline bool cat_is_in_way(const struct cat_constraint *k, const struct cat_relation *of)
{
    return k->type == 'f' && k->other == of->oid && !strstr(k->definition, "ON DELETE CASCADE") &&
           !strstr(k->definition, "ON DELETE SET");
}

static inline bool cat_is_phasegates(const char *schema)
{
    return strcmp(schema, "phasegate") == 0 || strcmp(schema, "phasegate_hold") == 0;
}
/* The day in the name of what a contract has hidden differs from the shadow's, "_drop_20260101_": without it. */
void cat_add_undated(struct str *to, const char *text);
/* Over the shapes of relations and enums that aren't phasegate's own. */
uint64_t cat_shape(const struct catalogue *c);
/* Over more: owners, privileges, functions. Two of one database that are equal were read from the same schema. */
uint64_t cat_print(const struct catalogue *c);
/* The same of a live database. */
bool catalogue_read_live(struct db *db, struct arena *a, struct catalogue *out,
                         struct err *err) MUST_CHECK;
/* Once for each session that is to read: it is read after every step. */
bool catalogue_prepare(struct wire *w, struct err *err) MUST_CHECK;
bool catalogue_read(struct wire *w, struct arena *a, struct catalogue *out,
                    struct err *err) MUST_CHECK;
/* The same of a session that isn't prepared for it, in its transaction, with no search_path. */
bool catalogue_read_once(struct wire *w, struct arena *a, struct catalogue *out,
                         struct err *err) MUST_CHECK;
const struct cat_relation *cat_by_oid(const struct catalogue *c, unsigned oid); /* NULL: none */
/* Partitioned ones too; no view, no foreign table. */
static inline bool cat_is_table(const struct cat_relation *r_or_null)
{
    return r_or_null && (r_or_null->kind == 'r' || r_or_null->kind == 'p');
}
/* By name; schema NULL: the first schema of path ("app, public") that has it. */
const struct cat_relation *cat_find(const struct catalogue *c, const char *path, const char *schema,
                                    const char *name);
const struct cat_column *cat_column(const struct cat_relation *r,
                                    const char *name); /* NULL: none */
const struct cat_column *cat_column_number(const struct cat_relation *r, int number);
const struct cat_enum *cat_enum_of(const struct catalogue *c, unsigned type);
bool index_has_column(const struct cat_index *index, int number); /* 0: an expression */
/* "UPDATE relation SET column = ": a value follows. */
void cat_add_update(struct str *to, const struct cat_relation *r, const char *column);
/* The same where nothing is there yet, else ", column = ". */
void cat_add_set(struct str *to, const struct cat_relation *r, const char *column);
/* Is it of a key, a unique or foreign one, or an exclusion? */
bool cat_is_in_key(const struct cat_relation *r, const struct cat_column *c);
/* The foreign key of r by which its column c holds what stands in column to of another table; one of c alone first. NULL:
 * there is none. */
const struct cat_constraint *cat_key_to(const struct cat_relation *r, const struct cat_column *c,
                                        const struct cat_relation *other,
                                        const struct cat_column *to);
/* Of the user's functions of this name ("name" or "schema.name"), over all overloads; 0: there is none. */
uint64_t cat_function_print(const struct catalogue *c, const char *name);

/* FNV-1a, for telling states apart; not for anything that must withstand malice. */
uint64_t print_text(uint64_t h, const char *text_or_null);
#define PRINT_START UINT64_C(14695981039346656037)

#endif

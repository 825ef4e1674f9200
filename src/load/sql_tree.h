/* sql_tree: reading libpg_query's JSON parse tree.
 *
 * A node is {"Kind": {fields}}; where the grammar allows one kind only, the fields stand there bare.
 * Fields with the value 0, false or "" are left out. Releases of libpg_query differ in small things
 * ("sval" or "str", constants wrapped once or twice): those differences end here.
 * Texts that are returned belong to the tree, unless an arena is passed.
 */
#ifndef PHASEGATE_LOAD_SQL_TREE_H
#define PHASEGATE_LOAD_SQL_TREE_H

#include "phasegate/arena.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct sql_rel {
    const char *schema; /* NULL: not qualified */
    const char *name;   /* NULL: none */
};

struct sql_type {
    const char *text; /* quoted, as to_regtype takes it; serial types as the integer they are */
    const char *name; /* last part, unquoted: "int4" */
    int64_t typmod;   /* as in pg_attribute.atttypmod; -1: none */
    bool typmod_known;
    bool has_modifiers;
    bool is_serial;
    bool is_builtin; /* of PostgreSQL itself: neither a domain nor an enum of the user */
    bool is_array;
};

json_t *tree_get(const json_t *node, const char *key); /* NULL when absent */
const char *tree_text(const json_t *node, const char *key);
bool tree_flag(const json_t *node, const char *key);
bool tree_is(const json_t *node, const char *key,
             const char *word); /* is the text at key this word? */
json_t *tree_list(const json_t *node,
                  const char *key); /* NULL or an array, {"List": {"items": ...}} opened */
int tree_count(const json_t *list);

const char *tree_kind(const json_t *node); /* "A_Expr", or NULL when the fields are bare */
json_t *tree_fields(const json_t *node);   /* what is inside */
json_t *tree_as(const json_t *node,
                const char *kind); /* opened when wrapped in this kind, else as it is */
const char *tree_string(
    const json_t *node); /* of a String node, a string constant or a bare string */
bool tree_integer(const json_t *node, int64_t *out); /* of an Integer node or an integer constant */
bool tree_is_null_const(const json_t *node);

struct sql_rel tree_rel(const json_t *range_var);
struct sql_rel tree_name(const json_t *list,
                         int drop_last); /* the last two of n - drop_last parts */
const char *tree_last(const json_t *list);
const json_t *tree_option(const json_t *def_elems,
                          const char *name); /* the DefElem's fields, or NULL */

/* False for %TYPE and SETOF. */
bool tree_type(struct arena *a, const json_t *type_name, struct sql_type *out);

/* fn is called for every wrapped node below and including this one; it returns false to stop. */
bool tree_walk(const json_t *node, bool (*fn)(void *ctx, const char *kind, const json_t *fields),
               void *ctx);
/* Is there a node of this kind? */
bool tree_has(const json_t *node, const char *kind);
bool word_in(const char *word, const char *const *words); /* words ends with NULL */

/* Quoted texts in the arena. A name that is NULL is quoted as an empty one, which no object has. */
const char *quoted_ident(struct arena *a, const char *name);
const char *quoted_rel(struct arena *a, struct sql_rel rel);
const char *quoted_literal(struct arena *a, const char *text);

#endif

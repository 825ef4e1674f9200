/* yaml_tree: one YAML document as a tree of nodes with positions.
 *
 * Not a general YAML reader: what a careful person wouldn't write in a plan is refused with a problem.
 * That is: more than 1 MiB, bytes that aren't UTF-8 text, tabs as indentation, several documents, an
 * empty file, tags, keys that aren't text, nesting deeper than YAML_DEPTH, aliases that expand to more
 * than YAML_ALIAS_NODES nodes, NUL and terminal control characters also when written as escapes.
 *
 * Plain scalars have the types of YAML 1.2's core schema (`on` and `no` are text, `4.10` is a number).
 * Everything lives in the scratch arena given; the tree points at no byte of the input.
 */
#ifndef PHASEGATE_LOAD_YAML_TREE_H
#define PHASEGATE_LOAD_YAML_TREE_H

#include "phasegate/load.h"

#define YAML_FILE_MAX ((size_t) 1 << 20)
#define YAML_DEPTH 32
#define YAML_ANCHORS 256
#define YAML_ALIAS_NODES 10000
#define YAML_NODE_BYTES 100 /* a text counts as one node more for each of these */

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
    enum node_kind kind;
    bool plain;      /* scalar without quotes and no block: may be a number, a boolean or nothing */
    int line, col;   /* of a block scalar: where its text starts */
    uint32_t n;      /* bytes of a scalar, items of a list, entries of a map */
    uint32_t weight; /* nodes of the tree below and with this one, aliases expanded */
    const char *s;   /* scalar, NUL-terminated, holds no NUL */
    struct node *first; /* of a map: key, value, key, value ... */
    struct node *next;
};

enum scalar_type { SCALAR_TEXT, SCALAR_NULL, SCALAR_BOOL, SCALAR_INT, SCALAR_FLOAT };

/* NULL: there are problems. file is for messages. */
struct node *yaml_tree_parse(struct arena *scratch, const char *file, const char *bytes, size_t n,
                             struct problem_list *problems);

enum scalar_type node_scalar_type(const struct node *scalar);
/* The value of a key, or NULL. */
const struct node *node_get(const struct node *map, const char *key);

#endif

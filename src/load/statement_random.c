/* Texts that are never made twice: a whole random number or enough random bytes, as they are or hashed, with anything
 * beside them. What is cut out of such a text, or made of a part of the number, may come twice.
 */
#include "load/statement_work.h"

#include <string.h>

#define BYTES 8 /* random ones, at least */

static bool is_any(const char *name, const char *const *names)
{
    for (; name && *names; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

static bool is_call(const json_t *call, const char *const *names)
{
    return call && is_any(tree_last(tree_list(call, "funcname")), names);
}

static bool is_random_number(const json_t *value)
{
    static const char *const names[] = {"random", NULL};
    const json_t *call = tree_get(value, "FuncCall");

    return is_call(call, names) && tree_count(tree_list(call, "args")) == 0;
}

static bool is_random_call(const json_t *call)
{
    static const char *const bytes[] = {"gen_random_bytes", NULL};
    static const char *const hashes[] = {"md5",    "sha224", "sha256", "sha384",
                                         "sha512", "digest", "encode", NULL};
    const json_t *first = json_array_get(tree_list(call, "args"), 0);
    int64_t n = 0;

    if (is_call(call, bytes))
        return tree_integer(first, &n) && n >= BYTES;
    return is_call(call, hashes) && is_random_text(first);
}

/* Without a length, which cuts. */
static bool keeps_all(const json_t *type_name)
{
    static const char *const names[] = {"text", "varchar", "bytea", "uuid", NULL};

    return is_any(tree_last(tree_list(type_name, "names")), names) &&
           tree_count(tree_list(type_name, "typmods")) == 0 &&
           tree_count(tree_list(type_name, "arrayBounds")) == 0;
}

bool is_random_text(const json_t *value)
{
    const json_t *cast = tree_get(value, "TypeCast"), *e = tree_get(value, "A_Expr"),
                 *arg = tree_get(cast, "arg");

    if (cast)
        return keeps_all(tree_as(tree_get(cast, "typeName"), "TypeName")) &&
               (is_random_number(arg) || is_random_text(arg));
    if (e && tree_is(e, "kind", "AEXPR_OP") && strcmp(tree_last(tree_list(e, "name")), "||") == 0)
        return is_random_text(tree_get(e, "lexpr")) || is_random_text(tree_get(e, "rexpr"));
    return is_random_call(tree_get(value, "FuncCall"));
}

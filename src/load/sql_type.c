/* TypeName nodes: the text that to_regtype takes, and the typmod that PostgreSQL's own types make of their
 * modifiers. For types of extensions only the server knows it. */
#include "load/sql_tree.h"

#include <string.h>

static const struct {
    const char *word, *type;
} serials[] = {
    {"serial", "int4"},  {"serial4", "int4"},     {"bigserial", "int8"},
    {"serial8", "int8"}, {"smallserial", "int2"}, {"serial2", "int2"},
};

/* Types that people write without the grammar's adding pg_catalog. */
static const char *const bare_builtin[] = {
    "text",     "uuid",    "date",        "json",      "jsonb",    "bytea",     "inet",
    "cidr",     "macaddr", "macaddr8",    "int2",      "int4",     "int8",      "float4",
    "float8",   "bool",    "timestamptz", "timestamp", "timetz",   "time",      "name",
    "oid",      "money",   "xml",         "point",     "line",     "lseg",      "box",
    "path",     "polygon", "circle",      "tsvector",  "tsquery",  "int4range", "int8range",
    "numrange", "tsrange", "tstzrange",   "daterange", "regclass", "regtype",   "pg_lsn",
    "bpchar",   "varchar", "numeric",     "interval",  "bit",      "varbit",    "char",
    "xid",      "xid8",    "jsonpath",    NULL};

enum { VARHDRSZ = 4, INTERVAL_FULL_RANGE = 0x7fff, INTERVAL_FULL_PRECISION = 0xffff };

static bool typmod_of(const char *name, const int64_t *mods, int n, int64_t *out)
{
    static const char *const lengths[] = {"varchar", "bpchar", NULL};
    static const char *const plain[] = {"bit",       "varbit",      "time", "timetz",
                                        "timestamp", "timestamptz", NULL};

    if (word_in(name, lengths) && n == 1)
        *out = mods[0] + VARHDRSZ;
    else if (word_in(name, plain) && n == 1)
        *out = mods[0];
    else if (strcmp(name, "numeric") == 0 && (n == 1 || n == 2))
        *out = ((mods[0] << 16) | ((n == 2 ? mods[1] : 0) & 0x7ff)) + VARHDRSZ;
    else if (strcmp(name, "interval") == 0 && (n == 1 || n == 2))
        *out =
            ((mods[0] & INTERVAL_FULL_RANGE) << 16) | (n == 2 ? mods[1] : INTERVAL_FULL_PRECISION);
    else
        return false;
    return true;
}

static void read_modifiers(const json_t *list, const char *name, bool is_builtin,
                           struct sql_type *out)
{
    int64_t mods[2] = {0, 0};
    int n = tree_count(list);

    out->typmod = -1;
    out->typmod_known = n == 0;
    out->has_modifiers = n > 0;
    if (n == 0 || n > 2 || !is_builtin)
        return;
    for (int i = 0; i < n; i++)
        if (!tree_integer(json_array_get(list, (size_t) i), &mods[i]) || mods[i] < 0 ||
            mods[i] > INT32_MAX)
            return;
    out->typmod_known = typmod_of(name, mods, n, &out->typmod) && out->typmod <= INT32_MAX;
    /* interval without a range is written as the full one, and the full range with full precision is -1 */
    if (strcmp(name, "interval") == 0 && n == 1 && mods[0] == INTERVAL_FULL_RANGE)
        out->typmod = -1;
}

bool tree_type(struct arena *a, const json_t *type_name, struct sql_type *out)
{
    const json_t *t = tree_as(type_name, "TypeName");
    struct sql_rel rel = tree_name(tree_get(t, "names"), 0);
    struct sql_rel plain;

    if (!rel.name || tree_flag(t, "setof") || tree_flag(t, "pct_type"))
        return false;
    *out = (struct sql_type) {0};
    plain = rel;
    for (size_t i = 0; i < sizeof serials / sizeof serials[0]; i++)
        if (!rel.schema && strcmp(rel.name, serials[i].word) == 0) {
            out->is_serial = true;
            plain = (struct sql_rel) {"pg_catalog", serials[i].type};
        }
    out->is_builtin = (plain.schema && strcmp(plain.schema, "pg_catalog") == 0) ||
                      (!plain.schema && word_in(plain.name, bare_builtin));
    out->name = arena_strdup(a, plain.name);
    out->is_array = tree_count(tree_get(t, "arrayBounds")) > 0;
    out->text = arena_printf(a, "%s%s", quoted_rel(a, plain), out->is_array ? "[]" : "");
    read_modifiers(tree_get(t, "typmods"), plain.name, out->is_builtin, out);
    return true;
}

/* Does a change of type rewrite the table? PostgreSQL skips it where the stored bytes stay right. */
#include "load/lint_int.h"

#include <inttypes.h>
#include <string.h>

/* Casts without a function (pg_cast, castmethod b) among types of PostgreSQL; those of the same operator class
 * keep their indexes. oid and int4 stand for the reg* types too. */
static const struct {
    const char *from, *to;
    bool same_index;
} binary[] = {
    {"varchar", "text", true},    {"text", "varchar", true}, {"text", "bpchar", false},
    {"varchar", "bpchar", false}, {"cidr", "inet", true},    {"xml", "text", false},
    {"xml", "varchar", false},    {"xml", "bpchar", false},  {"bit", "varbit", false},
    {"varbit", "bit", false},     {"int4", "oid", false},    {"oid", "int4", false},
};

static bool is_oid_like(const char *name)
{
    static const char *const words[] = {
        "oid",           "regclass",     "regtype", "regproc",      "regprocedure",
        "regoper",       "regoperator",  "regrole", "regnamespace", "regconfig",
        "regdictionary", "regcollation", NULL};

    return word_in(name, words);
}

static const char *plain(const char *name) { return is_oid_like(name) ? "oid" : name; }

/* numeric(p,s): typmod - 4 has p in the upper half, s in the lower eleven bits. */
static bool numeric_grows(int64_t from, int64_t to)
{
    int64_t a = from - 4, b = to - 4;

    if (to < 0)
        return true;
    return from >= 0 && (a & 0x7ff) == (b & 0x7ff) && (b >> 16) >= (a >> 16);
}

/* Seconds have six digits at most: six are as good as no limit. */
enum { DIGITS_MOST = 6 };

static bool digits_grow(int64_t from, int64_t to)
{
    return to < 0 || to >= DIGITS_MOST || (from >= 0 && to >= from);
}

/* interval: the fields it takes in the upper half, the digits of seconds in the lower. The smallest field decides:
 * second 0, minute 1, hour 2, day 3, month 4, year 5. */
static int least_field(int64_t typmod)
{
    static const int bits[] = {12, 11, 10, 3, 1, 2};

    for (int i = 0; typmod >= 0 && i < 6; i++)
        if (typmod >> 16 & 1 << bits[i])
            return i;
    return 0;
}

static bool interval_grows(int64_t from, int64_t to)
{
    int64_t old_digits = from < 0 ? 0xffff : from & 0xffff, digits = to & 0xffff;

    return to < 0 || (least_field(to) <= least_field(from) &&
                      (digits >= DIGITS_MOST || digits >= old_digits));
}

/* Of one type: does the new typmod take all values of the old as they are? */
static enum type_change typmod_change(const struct sql_type *from, const struct sql_type *to)
{
    static const char *const grow[] = {"varchar", "varbit", NULL};
    static const char *const times[] = {"time", "timetz", "timestamp", "timestamptz", NULL};

    if (!from->typmod_known || !to->typmod_known)
        return TYPE_UNKNOWN;
    if (from->typmod == to->typmod)
        return TYPE_SAME;
    if (word_in(from->name, grow))
        return to->typmod < 0 || (from->typmod >= 0 && to->typmod >= from->typmod) ? TYPE_FREE
                                                                                   : TYPE_REWRITES;
    if (strcmp(from->name, "numeric") == 0)
        return numeric_grows(from->typmod, to->typmod) ? TYPE_FREE : TYPE_REWRITES;
    if (word_in(from->name, times))
        return digits_grow(from->typmod, to->typmod) ? TYPE_FREE : TYPE_REWRITES;
    if (strcmp(from->name, "interval") == 0)
        return interval_grows(from->typmod, to->typmod) ? TYPE_FREE : TYPE_REWRITES;
    if (strcmp(from->name, "bpchar") == 0)
        return to->typmod < 0 ? TYPE_FREE : TYPE_REWRITES;
    return TYPE_REWRITES;
}

static bool is_timestamp_pair(const char *a, const char *b)
{
    return (strcmp(a, "timestamp") == 0 && strcmp(b, "timestamptz") == 0) ||
           (strcmp(a, "timestamptz") == 0 && strcmp(b, "timestamp") == 0);
}

static enum type_change builtin_change(const struct sql_type *from, const struct sql_type *to)
{
    const char *a = plain(from->name), *b = plain(to->name);
    struct sql_type as_new = *from;

    if (strcmp(a, b) == 0 && strcmp(from->name, to->name) != 0)
        return TYPE_FREE; /* oid and its kin: one operator class */
    if (strcmp(from->name, to->name) == 0)
        return typmod_change(from, to);
    if (is_timestamp_pair(a, b) && to->typmod_known)
        return to->typmod < 0 || to->typmod >= DIGITS_MOST ? TYPE_NEEDS_UTC : TYPE_REWRITES;
    for (size_t i = 0; i < sizeof binary / sizeof *binary; i++) {
        enum type_change change;

        if (strcmp(binary[i].from, a) != 0 || strcmp(binary[i].to, b) != 0)
            continue;
        as_new.name = to->name;
        /* A cast leaves no length: the one of the new type is brought about by a function. */
        as_new.typmod = -1;
        as_new.typmod_known = true;
        change = typmod_change(&as_new, to);
        if (change != TYPE_SAME && change != TYPE_FREE)
            return change;
        return binary[i].same_index ? TYPE_FREE : TYPE_FREE_BUT_INDEXES;
    }
    return TYPE_REWRITES;
}

static int64_t typmod_part(int64_t typmod) { return typmod - 4; }

const char *type_word(struct arena *a, const struct sql_type *t)
{
    const char *array = t->is_array ? "[]" : "";
    int64_t n = t->typmod_known && t->typmod >= 0 ? t->typmod : -1;

    if (!t->text)
        return "its type";
    if (n >= 0 && (strcmp(t->name, "varchar") == 0 || strcmp(t->name, "bpchar") == 0))
        return arena_printf(a, "%s(%" PRId64 ")%s", t->name[0] == 'v' ? "varchar" : "char",
                            typmod_part(n), array);
    if (n >= 0 && strcmp(t->name, "numeric") == 0)
        return arena_printf(a, "numeric(%" PRId64 ",%" PRId64 ")%s", typmod_part(n) >> 16,
                            typmod_part(n) & 0x7ff, array);
    if (n >= 0 && strcmp(t->name, "interval") != 0)
        return arena_printf(a, "%s(%" PRId64 ")%s", t->name, n, array);
    return arena_printf(a, "%s%s", t->name, array);
}

static const struct known_type *user_type(const struct lint_known *k, const struct sql_type *t)
{
    struct sql_rel rel = {NULL, t->name};

    return t->is_builtin || t->is_array ? NULL : known_type_find(k, rel);
}

/* citext is stored like text, and compares otherwise. */
static bool is_citext(const struct sql_type *t, const struct known_type *user)
{
    return t->text && !t->is_builtin && !t->is_array && !user && strcmp(t->name, "citext") == 0;
}

static enum type_change citext_change(const struct sql_type *other, bool is_new)
{
    static const char *const stored_alike[] = {"text", "varchar", NULL};

    if (!other->is_builtin || other->is_array)
        return TYPE_UNKNOWN;
    if (!word_in(other->name, stored_alike))
        return TYPE_REWRITES;
    return is_new && other->typmod >= 0 ? TYPE_REWRITES : TYPE_FREE_BUT_INDEXES;
}

enum type_change type_change(const struct lint_known *k, const struct sql_type *from,
                             const struct sql_type *to)
{
    const struct known_type *old_user = user_type(k, from), *new_user = user_type(k, to);

    if (!from->text || !to->text)
        return TYPE_UNKNOWN;
    if (is_citext(from, old_user) && is_citext(to, new_user))
        return TYPE_SAME;
    if (is_citext(from, old_user))
        return citext_change(to, true);
    if (is_citext(to, new_user))
        return citext_change(from, false);
    if (from->is_array || to->is_array) {
        if (from->is_array && to->is_array && strcmp(from->text, to->text) == 0 &&
            from->typmod == to->typmod && from->typmod_known && to->typmod_known)
            return TYPE_SAME;
        /* Of the same elements without their length: nothing is to be done to any. */
        if (from->is_array && to->is_array && from->is_builtin && to->is_builtin &&
            strcmp(from->name, to->name) == 0 && to->typmod_known && to->typmod < 0)
            return TYPE_FREE;
        return from->is_builtin && to->is_builtin ? TYPE_REWRITES : TYPE_UNKNOWN;
    }
    if (from->is_builtin && to->is_builtin)
        return builtin_change(from, to);
    if (strcmp(from->text, to->text) == 0 && from->typmod == to->typmod && from->typmod_known)
        return TYPE_SAME;
    if (new_user && new_user->is_domain) {
        if (known_is_constrained(k, new_user))
            return TYPE_REWRITES;
        return new_user->base.text ? type_change(k, from, &new_user->base) : TYPE_UNKNOWN;
    }
    if (old_user && old_user->is_domain)
        return old_user->base.text ? type_change(k, &old_user->base, to) : TYPE_UNKNOWN;
    if ((new_user && new_user->is_enum) || (old_user && old_user->is_enum))
        return TYPE_REWRITES;
    return TYPE_UNKNOWN;
}

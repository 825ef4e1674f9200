#include "load/decode.h"

#include "phasegate/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- types of plain scalars: YAML 1.2, core schema -------------------------------------------------- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_one_of(const char *s, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(s, *words) == 0)
            return true;
    return false;
}

static bool all_of(const char *s, const char *set) { return *s && s[strspn(s, set)] == '\0'; }

static enum scalar_type number_type(const char *s)
{
    static const char *const specials[] = {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN", NULL};
    const char *p = s + (*s == '+' || *s == '-');

    if (p == s && p[0] == '0' && (p[1] == 'o' || p[1] == 'x'))
        return all_of(p + 2, p[1] == 'o' ? "01234567" : "0123456789abcdefABCDEF") ? SCALAR_INT
                                                                                  : SCALAR_TEXT;
    if (is_one_of(p, specials))
        return SCALAR_FLOAT;

    size_t whole = strspn(p, "0123456789");
    p += whole;
    if (*p == '\0')
        return whole > 0 ? SCALAR_INT : SCALAR_TEXT;
    if (*p == '.') {
        size_t fraction = strspn(++p, "0123456789");
        p += fraction;
        if (whole + fraction == 0)
            return SCALAR_TEXT;
    } else if (whole == 0) {
        return SCALAR_TEXT;
    }
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '+' || *p == '-';
        return all_of(p, "0123456789") ? SCALAR_FLOAT : SCALAR_TEXT;
    }
    return *p == '\0' ? SCALAR_FLOAT : SCALAR_TEXT;
}

enum scalar_type node_scalar_type(const struct node *n)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const bools[] = {"true", "True", "TRUE", "false", "False", "FALSE", NULL};

    if (!n->plain)
        return SCALAR_TEXT;
    char c = n->s[0];
    if (is_digit(c) || c == '.' || c == '-' || c == '+')
        return number_type(n->s);
    if (n->n <= 5 && is_one_of(n->s, nulls))
        return SCALAR_NULL;
    if (n->n <= 5 && is_one_of(n->s, bools))
        return SCALAR_BOOL;
    return SCALAR_TEXT;
}

const struct node *node_get(const struct node *map, const char *key)
{
    size_t n = strlen(key);

    if (map->kind == NODE_MAP)
        for (const struct node *k = map->first; k; k = k->next->next)
            if (k->n == n && memcmp(k->s, key, n) == 0)
                return k->next;
    return NULL;
}

/* ---- texts ---------------------------------------------------------------------------------------- */

static const char *kind_word(const struct node *n)
{
    static const char *const types[] = {"text", "nothing", "a boolean", "a number", "a number"};

    if (n->kind == NODE_LIST)
        return "a list";
    return n->kind == NODE_MAP ? "a mapping" : types[node_scalar_type(n)];
}

bool decode_is(struct decoder *d, const struct node *n, enum node_kind kind, const char *what,
               const char *expected)
{
    if (n->kind == kind)
        return true;
    decode_say(d, n, expected, NULL, "\"%s\" is %s", what, kind_word(n));
    return false;
}

bool decode_raw(struct decoder *d, const struct node *n, const char *what, struct text *out)
{
    if (!decode_is(d, n, NODE_SCALAR, what, "a text"))
        return false;
    if (n->s[strspn(n->s, " \t\n\r")] == '\0' || node_scalar_type(n) == SCALAR_NULL) {
        decode_say(d, n, "a text", NULL, "\"%s\" is empty", what);
        return false;
    }
    *out = (struct text) {arena_strndup(d->arena, n->s, n->n), node_pos(d, n)};
    return true;
}

bool decode_text(struct decoder *d, const struct node *n, const char *what,
                 const struct text_rule *rule, struct text *out)
{
    if (n->kind == NODE_SCALAR) {
        enum scalar_type type = node_scalar_type(n);
        if (type == SCALAR_BOOL || type == SCALAR_INT || type == SCALAR_FLOAT) {
            AUTO(str) hint = {0};

            str_addf(&hint, "put it in quotes: \"%.80s\"", n->s);
            decode_say(d, n, rule ? rule->expected : "a text", str_text(&hint),
                       "\"%s\": YAML reads %.80s as %s", what, n->s, kind_word(n));
            return false;
        }
    }
    struct text text = {0};
    if (!decode_raw(d, n, what, &text))
        return false;
    if (rule && !rule->is_ok(text.s)) {
        decode_say(d, n, rule->expected, NULL, "\"%s\" can't be \"%.80s\"", what, text.s);
        return false;
    }
    *out = text;
    return true;
}

static bool is_name(const char *s)
{
    size_t n = 0;

    for (; s[n]; n++)
        if (n == 63 || !(is_digit(s[n]) || (s[n] >= 'a' && s[n] <= 'z') ||
                         (s[n] >= 'A' && s[n] <= 'Z') || (n > 0 && strchr("_.-", s[n]))))
            return false;
    return n > 0;
}

static bool is_version(const char *s)
{
    for (size_t n = 0; s[n]; n++)
        if (n == 100 || strchr(" \t\n\r", s[n]))
            return false;
    return true;
}

const struct text_rule rule_word_id = {
    is_word_id, "a-z, 0-9, - and _, at most 63 characters, starting with a letter or digit"};
const struct text_rule rule_plan_id = {is_plan_id, "a-z, 0-9 and -, at most 63 characters"};
const struct text_rule rule_name = {
    is_name, "letters, digits, ., - and _, at most 63 characters, starting with a letter or digit"};
const struct text_rule rule_version = {is_version,
                                       "a version as text, without spaces, at most 100 characters"};

/* "a.b", parts may be quoted as in SQL. */
static const char *name_part(struct arena *a, const char *s, struct text *out)
{
    if (*s == '"') {
        AUTO(str) part = {0};
        for (s++; *s && (*s != '"' || s[1] == '"'); s++) {
            str_addc(&part, *s);
            s += *s == '"';
        }
        if (*s != '"' || part.len == 0)
            return NULL;
        out->s = arena_strndup(a, part.text, part.len);
        return s + 1;
    }
    size_t n = strcspn(s, ".\" \t\n");
    if (n == 0)
        return NULL;
    out->s = arena_strndup(a, s, n);
    return s + n;
}

static bool decode_table_name(struct decoder *d, const struct node *n, const char *what,
                              struct text *table, struct text *schema)
{
    struct text whole = {0}, first = {0}, second = {0};

    if (!decode_text(d, n, what, NULL, &whole))
        return false;
    first.at = second.at = whole.at;
    const char *rest = name_part(d->arena, whole.s, &first);
    if (rest && *rest == '.')
        rest = name_part(d->arena, rest + 1, &second);
    if (!rest || *rest) {
        decode_say(
            d, n, "table or schema.table, in double quotes where SQL wants them: '\"Order Items\"'",
            NULL, "\"%s\" can't be \"%.80s\"", what, whole.s);
        return false;
    }
    *table = second.s ? second : first;
    *schema = second.s ? first : (struct text) {0};
    return true;
}

/* ---- numbers and words ------------------------------------------------------------------------------ */

static bool int_from(const struct node *n, int64_t *out)
{
    if (n->kind != NODE_SCALAR || !n->plain || !all_of(n->s + (*n->s == '-'), "0123456789"))
        return false;
    errno = 0;
    *out = strtoll(n->s, NULL, 10);
    return errno == 0;
}

static bool decode_int(struct decoder *d, const struct node *n, const struct field *f, int64_t *out)
{
    int64_t v;

    if (int_from(n, &v) && v >= f->min && v <= f->max) {
        *out = v;
        return true;
    }
    AUTO(str) expected = {0};
    if (f->min == f->max)
        str_addf(&expected, "%lld", (long long) f->min);
    else if (f->max == INT32_MAX)
        str_addf(&expected, "a whole number from %lld", (long long) f->min);
    else
        str_addf(&expected, "a whole number from %lld to %lld", (long long) f->min,
                 (long long) f->max);
    decode_say(d, n, str_text(&expected), NULL, "\"%s\" is %s%.80s", f->key,
               n->kind == NODE_SCALAR ? "" : kind_word(n), n->kind == NODE_SCALAR ? n->s : "");
    return false;
}

static bool decode_bool(struct decoder *d, const struct node *n, const char *what, bool *out)
{
    if (n->kind == NODE_SCALAR && node_scalar_type(n) == SCALAR_BOOL) {
        *out = n->s[0] == 't' || n->s[0] == 'T';
        return true;
    }
    decode_say(d, n, "true or false", NULL, "\"%s\" is %s", what,
               n->kind == NODE_SCALAR ? n->s : kind_word(n));
    return false;
}

static bool decode_unit(struct decoder *d, const struct node *n, const struct field *f, void *at)
{
    static const char *const units[] = {
        [FT_MS] = "a duration with its unit: 500ms, 30s, 10m, 24h, 7d",
        [FT_MS_OR_0] = "0 or a duration with its unit: 30s, 10m, 24h, 7d",
        [FT_BYTES] = "a size with its unit: 500MB, 2GiB",
        [FT_PERCENT] = "a percentage from 0% to 100%",
    };
    bool good = false;
    int64_t v = 0;
    double percent = 0;

    if (n->kind == NODE_SCALAR && f->type == FT_PERCENT)
        good = percent_from_text(n->s, &percent);
    else if (n->kind == NODE_SCALAR && f->type == FT_BYTES)
        good = size_from_text(n->s, &v) && node_scalar_type(n) == SCALAR_TEXT;
    else if (n->kind == NODE_SCALAR)
        good = duration_from_text(n->s, &v) || (f->type == FT_MS_OR_0 && strcmp(n->s, "0") == 0);
    if (!good) {
        decode_say(d, n, units[f->type], NULL, "\"%s\" is %s", f->key,
                   n->kind == NODE_SCALAR ? n->s : kind_word(n));
        return false;
    }
    if (f->type == FT_PERCENT)
        *(double *) at = percent;
    else
        *(int64_t *) at = v;
    return true;
}

static bool decode_cond(struct decoder *d, const struct node *n, const struct field *f,
                        struct cond *out)
{
    struct cond cond = {0};
    bool is_text =
        n->kind == NODE_SCALAR && (node_scalar_type(n) == SCALAR_TEXT || strcmp(n->s, "true") == 0);
    const char *s = is_text ? arena_strndup(d->arena, n->s, n->n) : NULL;

    if (!is_text || !cond_parse(s, &cond)) {
        AUTO(str) hint = {0};
        if (n->kind == NODE_SCALAR && n->n > 0)
            str_addf(&hint, "did you mean \"= %.80s\"?", n->s);
        decode_say(d, n, "a comparator (= != < <= > >=) and a value, or unchanged, or true",
                   hint.len ? hint.text : NULL, "\"%s\" is %s%.80s%s", f->key,
                   n->kind == NODE_SCALAR ? "\"" : "", n->kind == NODE_SCALAR ? n->s : kind_word(n),
                   n->kind == NODE_SCALAR ? "\"" : "");
        return false;
    }
    cond.at = node_pos(d, n);
    *out = cond;
    return true;
}

static bool decode_word(struct decoder *d, const struct node *n, const struct field *f,
                        int64_t *out)
{
    const char *const *words = f->arg;

    if (n->kind == NODE_SCALAR)
        for (int i = 0; words[i]; i++)
            if (strcmp(words[i], n->s) == 0) {
                *out = f->min + i;
                return true;
            }
    AUTO(str) expected = {0};
    AUTO(str) hint = {0};
    for (int i = 0; words[i]; i++)
        str_addf(&expected, "%s%s", i ? ", " : "one of: ", words[i]);
    const char *nearest = n->kind == NODE_SCALAR ? name_nearest(n->s, words) : NULL;
    if (nearest)
        str_addf(&hint, "did you mean \"%s\"?", nearest);
    decode_say(d, n, str_text(&expected), nearest ? hint.text : NULL, "\"%s\" is %s", f->key,
               n->kind == NODE_SCALAR ? n->s : kind_word(n));
    return false;
}

bool decode_scalar(struct decoder *d, const struct node *n, const struct field *f, void *base)
{
    void *at = (char *) base + f->offset;
    int64_t v = 0;
    bool flag = false;

    switch (f->type) {
    case FT_TEXT: return decode_text(d, n, f->key, f->arg, at);
    case FT_TABLEREF:
        return decode_table_name(d, n, f->key, at,
                                 (struct text *) (void *) ((char *) base + f->offset2));
    case FT_BOOL: return decode_bool(d, n, f->key, at);
    case FT_BOOL64: return decode_bool(d, n, f->key, &flag) && (*(int64_t *) at = flag, true);
    case FT_INT: return decode_int(d, n, f, at);
    case FT_INT32: return decode_int(d, n, f, &v) && (*(int *) at = (int) v, true);
    case FT_COND: return decode_cond(d, n, f, at);
    case FT_ENUM: return decode_word(d, n, f, &v) && (*(unsigned *) at = (unsigned) v, true);
    case FT_BOOLWORD: return decode_word(d, n, f, &v) && (*(bool *) at = v != 0, true);
    default: return decode_unit(d, n, f, at);
    }
}

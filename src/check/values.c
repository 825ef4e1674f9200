/* Values that fit a type, and those that a check asks for. */
#include "check/types.h"
#include "check/work.h"

#include <ctype.h>
#include <stdlib.h>

#define NUMERIC_SCALE_MAX 1000 /* of PostgreSQL; in a typmod, more of it is a scale below 0 */

static const char *text_of_length(struct arena *a, int typmod, int variant)
{
    const char *full = arena_printf(a, "x%d", variant);

    if (typmod < 4 || (int) strlen(full) <= typmod - 4)
        return full;
    return typmod == 5 ? arena_printf(a, "%d", variant % 10)
                       : arena_strndup(a, full, (size_t) typmod - 4);
}

/* numeric(p, s): as many digits before the point as there's room for, and all of those behind it: what rounds shows. */
static const char *numeric_of(struct arena *a, int typmod, int variant)
{
    int precision = typmod < 4 ? 10 : ((typmod - 4) >> 16) & 0xffff;
    int scale = typmod < 4 ? 0 : (typmod - 4) & 0x7ff;
    int last = variant % 10;

    if (scale > NUMERIC_SCALE_MAX)
        scale = 0;
    const char *whole = precision <= scale       ? "0"
                        : precision - scale == 1 ? arena_printf(a, "%d", last)
                                                 : arena_printf(a, "%d", variant);

    if (scale == 0)
        return whole;
    return scale == 1 || precision > scale ? arena_printf(a, "%s.%0*d", whole, scale, last)
                                           : arena_printf(a, "0.%d%0*d", last, scale - 1, last);
}

static const char *bits_of(struct arena *a, int typmod, int variant)
{
    int n = typmod > 0 ? typmod : 1;
    char *s = arena_alloc(a, (size_t) n + 1);

    memset(s, '0', (size_t) n);
    s[n - 1] = variant % 2 ? '1' : '0';
    return s;
}

unsigned element_of_type(unsigned type)
{
    static const unsigned known[][2] = {{T_INT2S, T_INT2},
                                        {T_INT4S, T_INT4},
                                        {T_INT8S, T_INT8},
                                        {T_TEXTS, T_TEXT},
                                        {T_VARCHARS, T_VARCHAR},
                                        {T_NUMERICS, T_NUMERIC},
                                        {T_BOOLS, T_BOOL},
                                        {T_UUIDS, T_UUID},
                                        {T_DATES, T_DATE},
                                        {T_TIMESTAMPS, T_TIMESTAMP},
                                        {T_TIMESTAMPTZS, T_TIMESTAMPTZ}};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i][0] == type)
            return known[i][1];
    return 0;
}

const char *value_of(struct arena *a, const struct catalogue *c, unsigned type, unsigned base,
                     int typmod, int variant)
{
    const struct cat_enum *e = cat_enum_of(c, base ? base : type);

    if (e)
        return e->n_labels ? arena_strdup(a, e->labels[(variant - 1) % e->n_labels]) : NULL;
    switch (base ? base : type) {
    case T_BOOL: return variant % 2 ? "true" : "false";
    case T_BYTEA: return arena_printf(a, "\\x%02x", variant & 0xff);
    case T_CHAR: return arena_printf(a, "%c", 'a' + variant % 26);
    case T_INT2:
    case T_INT4:
    case T_INT8:
    case T_OID:
    case T_FLOAT4:
    case T_FLOAT8:
    case T_MONEY: return arena_printf(a, "%d", variant);
    case T_NUMERIC: return numeric_of(a, typmod, variant);
    case T_NAME:
    case T_TEXT: return arena_printf(a, "x%d", variant);
    case T_BPCHAR:
    case T_VARCHAR: return text_of_length(a, typmod, variant);
    case T_DATE: return arena_printf(a, "2026-01-%02d", 1 + variant % 28);
    case T_TIME: return arena_printf(a, "00:00:%02d", variant % 60);
    case T_TIMETZ: return arena_printf(a, "00:00:%02d+00", variant % 60);
    case T_TIMESTAMP: return arena_printf(a, "2026-01-%02d 12:00:00", 1 + variant % 28);
    case T_TIMESTAMPTZ: return arena_printf(a, "2026-01-%02d 12:00:00+00", 1 + variant % 28);
    case T_INTERVAL: return arena_printf(a, "%d days", variant);
    case T_UUID: return arena_printf(a, "00000000-0000-4000-8000-%012d", variant);
    /* Spelt otherwise than jsonb would: who takes it as a text sees which of them it is. */
    case T_JSON: return arena_printf(a, "{\"x\":%d,  \"a\": 1}", variant);
    case T_JSONB: return variant < 3 ? "{}" : arena_printf(a, "{\"x\": %d}", variant);
    case T_JSONPATH: return "$";
    case T_XML: return "<x/>";
    case T_INET: return arena_printf(a, "10.0.0.%d", variant % 256);
    case T_CIDR: return arena_printf(a, "10.0.%d.0/24", variant % 256);
    case T_MACADDR: return arena_printf(a, "08:00:2b:01:02:%02x", variant % 256);
    case T_POINT: return arena_printf(a, "(%d,%d)", variant, variant);
    case T_BIT:
    case T_VARBIT: return bits_of(a, typmod, variant);
    case T_TSVECTOR:
    case T_TSQUERY: return "x";
    case T_REGPROC: return NULL;
    default: return NULL;
    }
}

/* ---- checks ------------------------------------------------------------------------------------------ */

const char *constant_of(struct arena *a, const char *text, int *n)
{
    for (const char *s = text; *s;) {
        if (*s == '\'') {
            AUTO(str) value = {0};
            for (s++; *s && (*s != '\'' || s[1] == '\''); s++) {
                s += *s == '\'';
                str_addc(&value, *s);
            }
            s += *s == '\'';
            if ((*n)-- == 0)
                return arena_strdup(a, str_text(&value));
        } else if (isdigit((unsigned char) *s) &&
                   (s == text || (!isalnum((unsigned char) s[-1]) && s[-1] != '_'))) {
            char *end;
            long v = strtol(s, &end, 10);
            bool negative = s > text && s[-1] == '-';
            for (int k = 0; k < 3; k++)
                if ((*n)-- == 0)
                    return arena_printf(a, "%ld", (negative ? -v : v) + (long[]) {1, 0, -1}[k]);
            s = end;
        } else {
            s++;
        }
    }
    return NULL;
}

const char *value_from_checks(struct arena *a, const struct cat_relation *r,
                              const struct cat_column *col, int n)
{
    const char *found = col->domain_checks ? constant_of(a, col->domain_checks, &n) : NULL;

    for (int i = 0; !found && i < r->n_checks; i++) {
        const struct cat_constraint *k = &r->constraints[i];
        bool is_on = false;
        for (int m = 0; m < k->n_columns; m++)
            is_on |= k->columns[m] == col->number;
        if (k->type == 'c' && is_on)
            found = constant_of(a, k->definition, &n);
    }
    return found;
}

const char *quoted_name(struct arena *a, const char *message, const char *before)
{
    const char *s = message ? strstr(message, before) : NULL;
    const char *open = s ? strchr(s + strlen(before), '"') : NULL,
               *end = open ? strchr(open + 1, '"') : NULL;

    return end ? arena_strndup(a, open + 1, (size_t) (end - open - 1)) : NULL;
}

/* Conditions: a comparator and a value. No expression language. */
#include "phasegate/model.h"

#include <string.h>

struct decimal { /* 00123.4500: digits of the parts without leading and trailing zeros */
    bool negative;
    const char *whole, *fraction;
    size_t n_whole, n_fraction;
};

static const char blanks[] = " \t\r\n";

/* Gives how many bytes the number takes up to blanks at the end, or false when s is no plain number. */
static bool decimal_from(const char *s, struct decimal *out)
{
    static const char digits[] = "0123456789";
    struct decimal d = {0};

    s += strspn(s, blanks);
    d.negative = *s == '-';
    s += *s == '-' || *s == '+';
    size_t n = strspn(s, digits), zeros = strspn(s, "0");
    zeros = zeros > n ? n : zeros;
    d.whole = s + zeros;
    d.n_whole = n - zeros;
    s += n;
    size_t n_fraction = 0;
    if (*s == '.') {
        d.fraction = ++s;
        n_fraction = strspn(s, digits);
        s += n_fraction;
    }
    if (n + n_fraction == 0 || s[strspn(s, blanks)] != '\0')
        return false;
    while (n_fraction > 0 && d.fraction[n_fraction - 1] == '0')
        n_fraction--;
    d.n_fraction = n_fraction;
    if (d.n_whole == 0 && d.n_fraction == 0)
        d.negative = false;
    *out = d;
    return true;
}

static int compare_bytes(const char *a, size_t n, const char *b, size_t m)
{
    int c = n && m ? memcmp(a, b, n < m ? n : m) : 0;
    return c ? c : (n > m) - (n < m);
}

/* Exact, also where a double isn't: counts of rows may be larger than 2^53. */
static int decimal_compare(const struct decimal *a, const struct decimal *b)
{
    if (a->negative != b->negative)
        return a->negative ? -1 : 1;
    int c = (a->n_whole > b->n_whole) - (a->n_whole < b->n_whole);
    if (c == 0)
        c = compare_bytes(a->whole, a->n_whole, b->whole, b->n_whole);
    if (c == 0)
        c = compare_bytes(a->fraction, a->n_fraction, b->fraction, b->n_fraction);
    return a->negative ? -c : c;
}

/* "1e-3" too. By hand: strtod takes hexadecimal, infinity and the locale's decimal point. */
static bool number_from(const char *s, double *out)
{
    static const char digits[] = "0123456789";
    double v = 0, scale = 1;
    int exponent = 0;

    s += strspn(s, blanks);
    bool negative = *s == '-';
    s += *s == '-' || *s == '+';
    size_t whole = strspn(s, digits),
           fraction = s[whole] == '.' ? strspn(s + whole + 1, digits) : 0;
    if (whole + fraction == 0)
        return false;
    for (size_t i = 0; i < whole; i++)
        v = v * 10 + (s[i] - '0');
    s += whole + (s[whole] == '.');
    for (size_t i = 0; i < fraction; i++)
        v += (s[i] - '0') / (scale *= 10);
    s += fraction;
    if (*s == 'e' || *s == 'E') {
        bool down = s[1] == '-';
        s += 1 + (s[1] == '-' || s[1] == '+');
        size_t n = strspn(s, digits);
        if (n == 0 || n > 3)
            return false;
        for (size_t i = 0; i < n; i++)
            exponent = exponent * 10 + (s[i] - '0');
        for (; exponent > 0; exponent--)
            v = down ? v / 10 : v * 10;
        s += n;
    }
    if (s[strspn(s, blanks)] != '\0')
        return false;
    *out = negative ? -v : v;
    return true;
}

/* <0, 0, >0; false: one of them is no number. */
static bool number_compare(const char *a, const char *b, int *out)
{
    struct decimal x, y;
    double v, w;

    if (decimal_from(a, &x) && decimal_from(b, &y)) {
        *out = decimal_compare(&x, &y);
        return true;
    }
    if (!number_from(a, &v) || !number_from(b, &w))
        return false;
    *out = (v > w) - (v < w);
    return true;
}

/* The longer signs first: "<" begins "<=". */
static const struct {
    const char *sign;
    enum cond_op op;
} ops[] = {{"!=", COND_NE}, {"<=", COND_LE}, {">=", COND_GE},
           {"=", COND_EQ},  {"<", COND_LT},  {">", COND_GT}};

const char *cond_op_word(enum cond_op op)
{
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (ops[i].op == op)
            return ops[i].sign;
    return op == COND_TRUE ? "true" : op == COND_UNCHANGED ? "unchanged" : "";
}

bool cond_parse(const char *s, struct cond *out)
{
    struct cond c = {0};

    if (!s)
        return false;
    s += strspn(s, blanks);
    if (strcmp(s, "unchanged") == 0 || strcmp(s, "true") == 0) {
        *out = (struct cond) {.op = *s == 'u' ? COND_UNCHANGED : COND_TRUE};
        return true;
    }
    for (size_t i = 0; i < sizeof ops / sizeof *ops && !c.op; i++)
        if (strncmp(s, ops[i].sign, strlen(ops[i].sign)) == 0) {
            c.op = ops[i].op;
            s += strlen(ops[i].sign);
        }
    s += strspn(s, blanks);
    /* A second sign is a slip ("== 0", "=> 0", "<> 0"), not a text to compare with. */
    if (!c.op || !*s || strchr("=<>!", *s))
        return false;
    c.value = s;
    c.numeric = number_from(s, &c.number);
    *out = c;
    return true;
}

static bool op_holds(enum cond_op op, int compared)
{
    switch (op) {
    case COND_EQ: return compared == 0;
    case COND_NE: return compared != 0;
    case COND_LT: return compared < 0;
    case COND_LE: return compared <= 0;
    case COND_GT: return compared > 0;
    case COND_GE: return compared >= 0;
    default: return false;
    }
}

bool cond_holds(const struct cond *c, const char *measured, const char *before)
{
    int compared;

    if (!measured)
        return false;
    if (c->op == COND_TRUE)
        return strcmp(measured, "true") == 0 || strcmp(measured, "t") == 0;
    if (c->op == COND_UNCHANGED)
        return before && (strcmp(measured, before) == 0 ||
                          (number_compare(measured, before, &compared) && compared == 0));
    if (!c->value)
        return false;
    if (c->numeric)
        return number_compare(measured, c->value, &compared) && op_holds(c->op, compared);
    return op_holds(c->op, strcmp(measured, c->value));
}

/* Texts that a pattern takes, for regular expressions as checks have them and for LIKE. Not every pattern is read: the
 * server says which of the texts fit.
 */
#include "check/seed.h"

#include <ctype.h>
#include <stdlib.h>

#define ONE_MAX 64 /* repetitions of one piece */
#define TEXT_MAX 400
#define DEPTH_MAX 20

struct gen {
    const char *at;
    int variant, more; /* more: repetitions past what must be */
};

/* ---- sets of characters -------------------------------------------------------------------------------- */

struct set {
    bool has[128];
};

static void set_add(struct set *s, int (*is)(int), bool wanted)
{
    for (int c = ' '; c < 127; c++)
        s->has[c] |= (is(c) != 0) == wanted;
}

static int is_word(int c) { return isalnum(c) || c == '_'; }

/* \d and its like; false: the character stands for itself. */
static bool set_escape(struct set *s, char c)
{
    switch (c) {
    case 'd': set_add(s, isdigit, true); return true;
    case 'D': set_add(s, isdigit, false); return true;
    case 'w': set_add(s, is_word, true); return true;
    case 'W': set_add(s, is_word, false); return true;
    case 's': set_add(s, isspace, true); return true;
    case 'S': set_add(s, isspace, false); return true;
    default: return false;
    }
}

static bool set_named(struct set *s, const char *name, size_t n)
{
    static const struct {
        const char *name;
        int (*is)(int);
    } all[] = {{"alpha", isalpha}, {"digit", isdigit}, {"alnum", isalnum},   {"upper", isupper},
               {"lower", islower}, {"space", isspace}, {"xdigit", isxdigit}, {"punct", ispunct}};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strlen(all[i].name) == n && memcmp(all[i].name, name, n) == 0) {
            set_add(s, all[i].is, true);
            return true;
        }
    return false;
}

/* Past "[", up to past "]". */
static bool set_bracket(struct gen *g, struct set *s)
{
    bool not = *g->at == '^';
    const char *first = g->at += not ;

    while (*g->at && (*g->at != ']' || g->at == first)) {
        unsigned char c = (unsigned char) *g->at++;
        if (c == '[' && *g->at == ':') {
            const char *end = strstr(g->at, ":]");
            if (!end || !set_named(s, g->at + 1, (size_t) (end - g->at) - 1))
                return false;
            g->at = end + 2;
            continue;
        }
        if (c == '\\' && *g->at) {
            c = (unsigned char) *g->at++;
            if (set_escape(s, (char) c))
                continue;
        }
        unsigned char to = c;
        if (*g->at == '-' && g->at[1] && g->at[1] != ']') {
            g->at += g->at[1] == '\\' ? 2 : 1;
            to = (unsigned char) *g->at;
            g->at += *g->at != '\0';
        }
        for (int k = c; k <= to && k < 128; k++)
            s->has[k] = true;
    }
    if (*g->at != ']')
        return false;
    g->at++;
    for (int c = ' '; not &&c < 127; c++)
        s->has[c] = !s->has[c];
    return true;
}

/* Letters and digits before the rest; '\0': it has nothing that can be printed. */
static char set_pick(const struct set *s, int variant)
{
    char all[128];
    int n = 0;

    for (int c = 'a'; c <= 'z'; c++)
        if (s->has[c])
            all[n++] = (char) c;
    for (int c = 'A'; c <= 'Z'; c++)
        if (s->has[c])
            all[n++] = (char) c;
    for (int c = '1'; c <= '9'; c++)
        if (s->has[c])
            all[n++] = (char) c;
    for (int c = ' '; c < 127; c++)
        if (s->has[c] && (c == '0' || !isalnum(c)))
            all[n++] = (char) c;
    return n ? all[(variant - 1) % n] : '\0';
}

/* ---- regular expressions ------------------------------------------------------------------------------------ */

static bool alternatives(struct gen *g, struct str *out, int depth);

static bool atom(struct gen *g, struct str *out, int depth)
{
    struct set set = {{false}};
    char c = *g->at++;

    switch (c) {
    case '^':
    case '$': return true;
    case '(':
        if (*g->at == '?' && g->at[1] != ':')
            return false;
        g->at += *g->at == '?' ? 2 : 0;
        return alternatives(g, out, depth + 1) && *g->at++ == ')';
    case '[':
        if (!set_bracket(g, &set))
            return false;
        break;
    case '.': set_add(&set, is_word, true); break;
    case '\\':
        c = *g->at;
        g->at += c != '\0';
        if (strchr("AmMyYZ", c)) /* anchors, and the end of the text */
            return c != '\0';
        if (set_escape(&set, c))
            break;
        if (isalnum((unsigned char) c))
            return false;
        str_addc(out, c);
        return true;
    default: str_addc(out, c); return true;
    }
    c = set_pick(&set, g->variant);
    if (c)
        str_addc(out, c);
    return c != '\0';
}

/* How often; g->at is moved past it. */
static bool repetitions(struct gen *g, long *n)
{
    long least = 1, most = 1;
    char c = *g->at;

    if (c == '*' || c == '+' || c == '?') {
        least = c == '+';
        most = c == '?' ? 1 : ONE_MAX;
        g->at++;
    } else if (c == '{' && isdigit((unsigned char) g->at[1])) {
        char *end;
        least = most = strtol(g->at + 1, &end, 10);
        if (*end == ',')
            most = isdigit((unsigned char) end[1]) ? strtol(end + 1, &end, 10)
                                                   : (end++, (long) ONE_MAX);
        if (*end != '}')
            return false;
        g->at = end + 1;
    } else {
        *n = 1;
        return true;
    }
    g->at += *g->at == '?'; /* as few as can be */
    *n = least + g->more < most ? least + g->more : most;
    return *n >= 0 && *n <= ONE_MAX;
}

static bool alternatives(struct gen *g, struct str *out, int depth)
{
    bool is_first = true;

    for (; depth < DEPTH_MAX; g->at++, is_first = false) {
        while (*g->at && *g->at != '|' && *g->at != ')') {
            AUTO(str) one = {0};
            long n;
            if (!atom(g, &one, depth) || !repetitions(g, &n))
                return false;
            for (long i = 0; is_first && i < n; i++)
                str_add(out, str_text(&one));
            if (out->len > TEXT_MAX)
                return false;
        }
        if (*g->at != '|')
            return true;
    }
    return false;
}

const char *pattern_match(struct arena *a, const char *pattern, int variant, int more)
{
    struct gen g = {pattern, variant, more};
    AUTO(str) out = {0};

    return alternatives(&g, &out, 0) && *g.at == '\0' ? arena_strdup(a, str_text(&out)) : NULL;
}

/* ---- LIKE ------------------------------------------------------------------------------------------------------ */

const char *like_match(struct arena *a, const char *pattern, int variant, int more)
{
    AUTO(str) out = {0};

    for (const char *s = pattern; *s; s++) {
        if (*s == '%') {
            for (int i = 0; i < more; i++)
                str_addc(&out, (char) ('a' + (variant - 1) % 26));
        } else if (*s == '_') {
            str_addc(&out, (char) ('a' + (variant - 1) % 26));
        } else {
            s += *s == '\\' && s[1];
            str_addc(&out, *s);
        }
    }
    return arena_strdup(a, str_text(&out));
}

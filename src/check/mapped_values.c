/* Values of which an expression of a sync may make others. Of one that tells values apart, or takes them to pieces, they are
 * around what it names: only who writes them knows which there are, and what nobody has said is a guess.
 */
#include "check/changed.h"
#include "check/limits.h"
#include "check/types.h"
#include "check/words.h"
#include "check/writes.h"

#include <ctype.h>
#include <strings.h>

#define LONG_TEXT 2000
#define PLAIN_VARIANT 7
#define CHECKED 16 /* values that checks name */
#define BREAK 4    /* bytes of a text that stands between parts, with its end */

static void add(struct odd_values *l, const char *value, bool is_guess)
{
    for (int i = 0; i < l->n; i++)
        if (l->items[i] == value || (value && l->items[i] && strcmp(l->items[i], value) == 0))
            return;
    if (l->n == ODD_VALUES)
        return;
    l->items[l->n] = value;
    l->is_guess[l->n++] = is_guess;
}

/* ---- what the expression says ---------------------------------------------------------------------------- */

static bool has_any(const char *expr, const char *const *words)
{
    for (; *words; words++)
        if (has_word(expr, *words))
            return true;
    return false;
}

static bool has_pattern(const char *expr)
{
    static const char *const words[] = {"regexp_replace", "regexp_match", "regexp_substr",
                                        "similar", NULL};

    return has_any(expr, words) || (has_word(expr, "substring") && strchr(expr, '\''));
}

/* What it is depends on rows of other tables, which production has and nobody here does. */
static bool looks_up(const char *expr) { return has_word(expr, "select"); }

static bool takes_apart(const char *expr)
{
    static const char *const words[] = {"case",      "split_part", "position",
                                        "strpos",    "select",     "string_to_array",
                                        "translate", "decode",     NULL};

    return has_pattern(expr) || has_any(expr, words);
}

/* The quoted text at s, which is behind it then. */
static const char *quoted_at(struct proof *p, const char **s)
{
    AUTO(str) text = {0};
    const char *c = *s + 1;

    for (; *c && (*c != '\'' || c[1] == '\''); c++) {
        c += *c == '\'';
        str_addc(&text, *c);
    }
    *s = c + (*c == '\'');
    return arena_strdup(p->scratch, str_text(&text));
}

static bool is_result(const char *word, size_t n)
{
    return n == 4 && (strncasecmp(word, "then", 4) == 0 || strncasecmp(word, "else", 4) == 0);
}

/* The nth constant that it holds values against: not what it makes of them. quoted: a text, else a number. */
static const char *named_in(struct proof *p, const char *expr, bool quoted, int nth)
{
    bool is_made = false;

    for (const char *s = expr; *s;) {
        size_t n = 0;
        const char *found = NULL;

        while (isalnum((unsigned char) s[n]) || s[n] == '_')
            n++;
        if (*s == '\'') {
            found = quoted_at(p, &s);
            found = quoted ? found : NULL;
        } else if (n > 0) {
            found = !quoted && isdigit((unsigned char) *s) ? arena_strndup(p->scratch, s, n) : NULL;
            bool is_word = !isdigit((unsigned char) *s);
            bool makes = is_word && is_result(s, n);
            s += n;
            if (is_word) {
                is_made = makes;
                continue;
            }
        } else {
            s++;
            continue;
        }
        if (found && !is_made && nth-- == 0)
            return found;
        is_made = false;
    }
    return NULL;
}

/* What stands between the parts that it makes of a text; false: it names none. */
static bool break_of(struct proof *p, const char *expr, char out[BREAK])
{
    const char *v;

    for (int i = 0; !has_pattern(expr) && (v = named_in(p, expr, true, i)) != NULL; i++) {
        bool is_break = *v && strlen(v) < BREAK;

        for (const char *c = v; *c; c++)
            is_break = is_break && !isalnum((unsigned char) *c);
        if (is_break) {
            memcpy(out, v, strlen(v) + 1);
            return true;
        }
    }
    return false;
}

/* ---- values that there are ----------------------------------------------------------------------------------- */

static void add_labels(const struct scene *s, const struct odd_column *of, struct odd_values *l)
{
    const struct cat_enum *e = cat_enum_of(&s->p->now, of->c->base);

    for (int i = 0; e && i < e->n_labels && i < ODD_VALUES / 4; i++)
        add(l, e->labels[i], false);
}

/* Written or looked for by those who are live, as constants. */
static void add_said(const struct scene *s, const struct odd_column *of, struct odd_values *l)
{
    struct proof *p = s->p;

    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];

        if (!a->q || !world_met(p, a, s->state) || !statement_reads(p, a, of->r))
            continue;
        for (int w = 0; w < a->q->facts.n_writes; w++) {
            const struct fact_write *f = &a->q->facts.writes[w];
            for (int k = 0; k < f->columns.n && k < f->literals.n; k++)
                if (strcmp(f->columns.items[k].s, of->c->name) == 0 && f->literals.items[k].s)
                    add(l, f->literals.items[k].s, false);
        }
        for (int last = 0; last < 2; last++) {
            const char *v = trial_compared_with(p, of->c, a->q->sql, 0, last);
            if (v)
                add(l, v, false);
        }
    }
}

static void add_known(const struct scene *s, const struct odd_column *of, struct odd_values *l)
{
    const char *v;

    add_labels(s, of, l);
    for (int i = 0; i < CHECKED && (v = value_from_checks(s->p->scratch, of->r, of->c, i)); i++)
        add(l, v, false);
    for (int i = 0;
         has_word(of->expr, "case") && (v = named_in(s->p, of->expr, of->c->category != 'N', i));
         i++)
        add(l, v, false);
    if (of->sample)
        add(l, of->sample, false);
    add_said(s, of, l);
}

/* ---- values that there may be -------------------------------------------------------------------------------- */

static void add_texts(struct proof *p, const struct cat_column *c, bool is_guess,
                      struct odd_values *l)
{
    int most = c->typmod > 4 ? c->typmod - 4 : LONG_TEXT;

    if (c->base == T_TEXT || c->base == T_VARCHAR) {
        add(l, "", is_guess);
        if (most >= 4)
            add(l, " a ", is_guess);
    }
    add(l, most >= 2 ? "aB" : "B", is_guess);
    /* Not so long that an index or a check of usual size refuses it, and one that is longer than most. */
    if (most > 90)
        add(l, limit_text(p, 90), is_guess);
    add(l, limit_text(p, most), is_guess);
}

static void add_of_kind(const struct cat_column *c, bool is_guess, struct odd_values *l)
{
    switch (c->base) {
    case T_NUMERIC:
    case T_FLOAT4:
    case T_FLOAT8: add(l, "-12.3456789", is_guess); add(l, "0.5", is_guess); /* fall through */
    case T_INT2:
    case T_INT4:
    case T_INT8:
        add(l, "0", is_guess);
        add(l, "-7", is_guess);
        add(l, "1999", is_guess);
        break;
    case T_DATE: add(l, "1999-12-31", is_guess); break;
    case T_TIME: add(l, "05:06:07.890123", is_guess); break;
    case T_TIMESTAMP: add(l, "2026-03-04 05:06:07.890123", is_guess); break;
    case T_TIMESTAMPTZ: add(l, "2026-03-04 05:06:07.890123+00", is_guess); break;
    case T_BOOL:
        add(l, "true", is_guess);
        add(l, "false", is_guess);
        break;
    default: break;
    }
}

/* Other parts between the same breaks; of none that is known: two parts, one, three. */
static void add_parts(const struct scene *s, const struct odd_column *of, struct odd_values *l)
{
    struct proof *p = s->p;
    char mark[BREAK];

    if (of->c->category != 'S' || !break_of(p, of->expr, mark))
        return;
    const char *at = of->sample ? strstr(of->sample, mark) : NULL;
    if (!at) {
        add(l, arena_printf(p->scratch, "y%sz", mark), true);
        add(l, arena_printf(p->scratch, "y%sz%sy", mark, mark), true);
        return;
    }
    AUTO(str) text = {0};
    str_add(&text, "y");
    for (int i = 0; at; at = strstr(at + strlen(mark), mark))
        str_addf(&text, "%s%c", mark, ++i % 2 ? 'z' : 'y');
    add(l, arena_strdup(p->scratch, str_text(&text)), false);
}

/* Is it known which values there are, or how they are built? */
static bool is_settled(const struct scene *s, const struct odd_column *of)
{
    /* ELSE is for others. */
    if (has_word(of->expr, "case"))
        return !has_word(of->expr, "else");
    return of->sample != NULL || cat_enum_of(&s->p->now, of->c->base) != NULL;
}

void mapped_values(const struct scene *s, const struct odd_column *of, struct odd_values *out)
{
    bool apart = takes_apart(of->expr);

    add(out, NULL, false);
    if (looks_up(of->expr))
        return;
    if (apart)
        add_known(s, of, out);
    if (apart)
        add_parts(s, of, out);
    if (apart && !of->is_plain && is_settled(s, of))
        return;
    bool is_guess = apart && (!of->is_plain || has_word(of->expr, "case"));
    if (of->c->category == 'S')
        add_texts(s->p, of->c, is_guess, out);
    add_labels(s, of, out);
    add_of_kind(of->c, is_guess, out);
}

void mapped_plain(const struct scene *s, const struct odd_column *of, bool has_own,
                  struct odd_values *out)
{
    struct proof *p = s->p;
    bool apart = takes_apart(of->expr);
    struct odd_values known = {.n = 0};

    if (has_own) {
        out->items[0] = NULL;
        out->is_guess[out->n++] = apart && of->sample;
    } else {
        add(out, column_value(p, &p->now, of->c, PLAIN_VARIANT), false);
    }
    if (of->c->category == 'D') {
        add(out, "2026-03-04 00:00:00", false);
        add(out, "2026-01-01 00:00:00", false);
    }
    if (of->c->base == T_NUMERIC) /* those of ours have decimals, where there is room for them */
        add(out, "7", false);
    if (!apart || looks_up(of->expr))
        return;
    if (of->c->base == T_TEXT || of->c->base == T_VARCHAR) {
        add(out, "7", false);
        add(out, "y", false);
    }
    add_known(s, of, &known);
    add_parts(s, of, &known);
    for (int i = 0; i < known.n; i++)
        add(out, known.items[i], true);
}

/* Texts of statements: constants, comments, what makes two of them one. */
#include "load/capture_text.h"
#include "load/parse_deep.h"
#include "load/sql_tree.h"
#include "load/statements_sql.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool is_comment(const char *p)
{
    return (p[0] == '-' && p[1] == '-') || (p[0] == '/' && p[1] == '*');
}

static const char *kept(struct arena *a, struct str *s)
{
    const char *text = arena_strdup(a, str_text(s));

    str_free(s);
    return text;
}

const char *text_bare(struct arena *a, const char *sql)
{
    struct str out = {0};
    const char *p = sql;
    size_t end;

    while (*p) {
        const char *past = sql_skip_opaque(sql, p);

        if (!past) {
            str_free(&out);
            return NULL;
        }
        if (past == p) {
            if (*p != '\r') /* the line ends that statements files have */
                str_addc(&out, *p);
            p++;
        } else if (is_comment(p)) {
            if (out.len > 0 && !isspace((unsigned char) out.text[out.len - 1]))
                str_addc(&out, ' ');
            p = past;
        } else {
            str_addn(&out, p, (size_t) (past - p));
            p = past;
        }
    }
    for (end = out.len;
         end > 0 && (isspace((unsigned char) out.text[end - 1]) || out.text[end - 1] == ';');)
        end--;
    const char *text = str_text(&out) + strspn(str_text(&out), " \t\r\n\f\v");
    size_t skipped = (size_t) (text - str_text(&out));
    const char *bare = arena_strndup(a, text, end > skipped ? end - skipped : 0);
    str_free(&out);
    return bare;
}

/* The next word outside of quotes and brackets, from *p on; *p goes behind it. NULL: there is none. */
static const char *next_word(const char *start, const char **p, size_t *n)
{
    int depth = 0;

    while (**p) {
        const char *past = sql_skip_opaque(start, *p);

        if (past && past == *p && depth == 0 && sql_is_word(**p)) {
            const char *word = *p;
            for (*n = 0; sql_is_word(**p); (*p)++)
                ++*n;
            return word;
        }
        depth += (**p == '(') - (**p == ')');
        *p = past && past > *p ? past : *p + 1;
    }
    return NULL;
}

static bool is_word(const char *at, size_t n, const char *word)
{
    return at && n == strlen(word) && strncasecmp(at, word, n) == 0;
}

const char *text_inner(const char *bare)
{
    const char *p = bare, *word;
    size_t n = 0;

    word = next_word(bare, &p, &n);
    bool declares = is_word(word, n, "declare"), prepares = is_word(word, n, "prepare");
    if (word != bare || (!declares && !prepares))
        return NULL;
    if (*p && *(p + strspn(p, " \t\r\n")) != '"') /* what is declared may be called anything */
        (void) next_word(bare, &p, &n);
    for (bool is_behind = prepares; (word = next_word(bare, &p, &n));) {
        if (is_behind && is_word(word, n, declares ? "for" : "as"))
            return p + strspn(p, " \t\r\n");
        is_behind |= is_word(word, n, "cursor");
    }
    return NULL;
}

static bool is_param(const char *start, const char *p)
{
    return *p == '$' && isdigit((unsigned char) p[1]) && !(p > start && sql_is_word(p[-1]));
}

int text_params(const char *sql)
{
    long most = 0;

    for (const char *p = sql; *p;) {
        const char *past = sql_skip_opaque(sql, p);

        if (!past)
            break;
        if (past == p && is_param(sql, p)) {
            long number = strtol(p + 1, NULL, 10);

            most = number > most && number <= INT16_MAX ? number : most;
        }
        p = past == p ? p + 1 : past;
    }
    return (int) most;
}

/* ---- normalising ------------------------------------------------------------------------------------ */

/* Past the one constant that stands at p. */
static const char *skip_constant(const char *start, const char *p)
{
    const char *q = p;

    if (*q == '-' || *q == '+') /* the parser takes a sign into the number */
        for (q++; isspace((unsigned char) *q);)
            q++;
    if (isdigit((unsigned char) *q) || (*q == '.' && isdigit((unsigned char) q[1]))) {
        while (sql_is_word(*q) || *q == '.' ||
               ((*q == '-' || *q == '+') && (q[-1] == 'e' || q[-1] == 'E')))
            q++;
        return q;
    }
    while (sql_is_word(*q)) /* E'', B'', U&''; true, NULL */
        q++;
    if (*q == '&' && q[1] == '\'')
        q++;
    if (*q == '\'' || *q == '$' || *q == '"')
        return sql_skip_opaque(start, q);
    return q > p ? q : NULL;
}

/* Both texts are the same but for constants in one that are parameters in the other. */
static bool read_values(struct arena *a, const char *sql, const char *normal, int before,
                        struct text_list *values)
{
    const char *p = sql, *n = normal;

    while (*n) {
        if (is_param(normal, n) && strtol(n + 1, NULL, 10) > before) {
            const char *past = skip_constant(sql, p);

            if (!past)
                return false;
            values->items = arena_more(a, values->items, sizeof *values->items, values->n);
            values->items[values->n++] =
                (struct text) {.s = arena_strndup(a, p, (size_t) (past - p))};
            p = past;
            n += 1 + strspn(n + 1, "0123456789");
        } else if (*p++ != *n++) {
            return false;
        }
    }
    return *p == '\0';
}

static const char *normalise(struct arena *a, const char *sql, struct text_list *values)
{
    PgQueryNormalizeResult result = normalize_deep(sql);
    const char *text = result.error ? NULL : arena_strdup(a, result.normalized_query);

    pg_query_free_normalize_result(result);
    return text && read_values(a, sql, text, text_params(sql), values) ? text : NULL;
}

const char *text_normalised(struct arena *a, const char *sql, struct text_list *values)
{
    /* The parser's normaliser leaves CALL alone; a call is a call. */
    if (strncasecmp(sql, "call", 4) == 0 && isspace((unsigned char) sql[4])) {
        const char *text = normalise(a, arena_printf(a, "SELECT%s", sql + 4), values);

        return text ? arena_printf(a, "CALL%s", text + 6) : NULL;
    }
    return normalise(a, sql, values);
}

/* ---- mending ------------------------------------------------------------------------------------------- */

struct edit {
    size_t from, to;
    const char *with;
};

struct mend {
    struct arena *a;
    const char *sql;
    size_t len;
    struct edit *edits;
    int n;
};

static void add_edit(struct mend *m, size_t from, size_t to, const char *with)
{
    m->edits = arena_more(m->a, m->edits, sizeof *m->edits, m->n);
    m->edits[m->n++] = (struct edit) {from, to, with};
}

/* Where the field says that the node stands; false: nowhere in the text. */
static bool location(const struct mend *m, const json_t *fields, size_t *out)
{
    const json_t *at = tree_get(fields, "location");
    json_int_t n = at ? json_integer_value(at) : 0;

    *out = (size_t) (n > 0 ? n : 0);
    return fields && n >= 0 && *out < m->len;
}

static size_t past_param(const struct mend *m, size_t at)
{
    return at + 1 + strspn(m->sql + at + 1, "0123456789");
}

static void mend_cast(struct mend *m, const json_t *cast)
{
    const json_t *param = tree_get(tree_get(cast, "arg"), "ParamRef");
    const json_t *type = tree_as(tree_get(cast, "typeName"), "TypeName");
    size_t type_at, param_at, end;

    if (!param || !location(m, type, &type_at) || !location(m, param, &param_at) ||
        type_at >= param_at || m->sql[param_at] != '$')
        return;
    for (end = param_at; end > type_at && isspace((unsigned char) m->sql[end - 1]);)
        end--;
    size_t past = past_param(m, param_at);
    add_edit(m, type_at, past,
             arena_printf(m->a, "%.*s::%.*s", (int) (past - param_at), m->sql + param_at,
                          (int) (end - type_at), m->sql + type_at));
}

static void mend_extract(struct mend *m, const json_t *call)
{
    const json_t *param = tree_get(json_array_get(tree_list(call, "args"), 0), "ParamRef");
    struct sql_rel name = tree_name(tree_list(call, "funcname"), 0);
    size_t at, param_at;

    if (!param || !name.name || strcmp(name.name, "extract") != 0 || !location(m, call, &at) ||
        !location(m, param, &param_at) || strncasecmp(m->sql + at, "extract", 7) != 0 ||
        m->sql[param_at] != '$')
        return;
    size_t past = past_param(m, param_at);
    size_t from = past + strspn(m->sql + past, " \t\r\n");
    if (strncasecmp(m->sql + from, "from", 4) != 0)
        return;
    add_edit(m, at, at, "pg_catalog.");
    add_edit(m, past, from + 4, ",");
}

static bool mend_node(void *ctx, const char *kind, const json_t *fields)
{
    if (strcmp(kind, "TypeCast") == 0)
        mend_cast(ctx, fields);
    else if (strcmp(kind, "FuncCall") == 0)
        mend_extract(ctx, fields);
    return true;
}

static int by_place(const void *x, const void *y)
{
    const struct edit *a = x, *b = y;

    return (a->from > b->from) - (a->from < b->from);
}

const char *text_mended(struct arena *a, const char *sql)
{
    PgQueryParseResult result = parse_deep(sql);
    struct mend m = {.a = a, .sql = sql, .len = strlen(sql)};
    json_t *tree = result.error ? NULL : json_loads(result.parse_tree, 0, NULL);
    struct str out = {0};
    size_t at = 0;

    pg_query_free_parse_result(result);
    tree_walk(tree, mend_node, &m);
    json_decref(tree);
    if (m.n == 0)
        return sql;
    qsort(m.edits, (size_t) m.n, sizeof *m.edits, by_place);
    for (int i = 0; i < m.n; i++) {
        if (m.edits[i].from < at) /* seen twice: some nodes stand in two places of the tree */
            continue;
        str_addn(&out, sql + at, m.edits[i].from - at);
        str_add(&out, m.edits[i].with);
        at = m.edits[i].to;
    }
    str_add(&out, sql + at);
    return kept(a, &out);
}

/* ---- identity ------------------------------------------------------------------------------------------- */

struct identity {
    struct str out;
    int order[1001]; /* parameter -> its number by appearance; 0: not met */
    int n;
};

static const char *put_number(struct identity *id, const char *p)
{
    char *end = NULL;
    long number = strtol(p + 1, &end, 10);

    if (number >= 1 && number <= 1000) {
        if (!id->order[number])
            id->order[number] = ++id->n;
        number = id->order[number];
    }
    str_addf(&id->out, "$%ld", number);
    return end;
}

/* "($1, $2, $3)" -> past it; p when it isn't that. */
static const char *skip_params(const char *p)
{
    const char *q = p + 1;

    for (;;) {
        q += strspn(q, " \t\r\n");
        if (*q != '$' || !isdigit((unsigned char) q[1]))
            return p;
        q += 1 + strspn(q + 1, "0123456789");
        q += strspn(q, " \t\r\n");
        if (*q == ')')
            return q + 1;
        if (*q++ != ',')
            return p;
    }
}

/* Past the rows behind the first one of VALUES: ", (...), (...)". */
static const char *skip_rows(const char *start, const char *p)
{
    for (;;) {
        const char *q = p + strspn(p, " \t\r\n");
        int depth = 0;

        if (*q != ',')
            return p;
        q += 1 + strspn(q + 1, " \t\r\n");
        if (*q != '(')
            return p;
        do {
            const char *past = sql_skip_opaque(start, q);

            if (!past || *q == '\0')
                return p;
            if (past == q) {
                depth += (*q == '(') - (*q == ')');
                past++;
            }
            q = past;
        } while (depth > 0);
        p = q;
    }
}

/* Does this word end at p? */
static bool follows(const char *start, const char *p, const char *word)
{
    size_t n = strlen(word);

    while (p > start && isspace((unsigned char) p[-1]))
        p--;
    return (size_t) (p - start) >= n && strncasecmp(p - n, word, n) == 0 &&
           ((size_t) (p - start) == n || !sql_is_word(p[-(ptrdiff_t) n - 1]));
}

const char *text_identity(struct arena *a, const char *sql)
{
    struct identity id = {0};
    int depth = 0, values_depth = -1;

    for (const char *p = sql; *p;) {
        const char *past = sql_skip_opaque(sql, p);

        if (!past)
            past = p + strlen(p);
        if (past != p) {
            if (!is_comment(p))
                str_addn(&id.out, p, (size_t) (past - p));
            p = past;
        } else if (isspace((unsigned char) *p)) {
            while (isspace((unsigned char) *p))
                p++;
            str_addc(&id.out, ' ');
        } else if (is_param(sql, p)) {
            p = put_number(&id, p);
        } else if (*p == '(' && follows(sql, p, "in") && skip_params(p) != p) {
            str_add(&id.out, "(...)");
            p = skip_params(p);
        } else {
            if (*p == '(' && values_depth < 0 && follows(sql, p, "values"))
                values_depth = depth;
            depth += (*p == '(') - (*p == ')');
            /* Keywords and bare names mean the same in any letters; what is quoted was opaque. */
            str_addc(&id.out, (char) tolower((unsigned char) *p++));
            if (p[-1] == ')' && depth == values_depth) {
                p = skip_rows(sql, p);
                values_depth = -1;
            }
        }
    }
    return kept(a, &id.out);
}

/* ---- styles ------------------------------------------------------------------------------------------------ */

static bool put_styled(struct str *out, enum param_style style, long number, long *last)
{
    if (style == PARAMS_COLON)
        str_addf(out, ":p%ld", number);
    else if (style == PARAMS_PERCENT)
        str_addf(out, "%%(p%ld)s", number);
    else if (style == PARAMS_QUESTION)
        str_addc(out, '?');
    else
        str_addf(out, "$%ld", number);
    /* Where parameters are told by their place, each must come once and in order. */
    bool good = style != PARAMS_QUESTION || number == *last + 1;
    *last = number;
    return good;
}

static void put_plain(struct str *out, enum param_style style, const char *from, const char *to,
                      bool is_text)
{
    for (; from < to; from++) {
        bool doubled = (style == PARAMS_PERCENT && *from == '%') ||
                       (style == PARAMS_QUESTION && *from == '?' && !is_text);

        str_addc(out, *from);
        if (doubled)
            str_addc(out, *from);
    }
}

bool text_in_style(struct arena *a, const char *sql, enum param_style style, const char **out)
{
    struct statement back = {0};
    struct str text = {0};
    const char *why = NULL;
    size_t where = 0;
    bool good = true;
    long last = 0;

    for (const char *p = sql; *p;) {
        const char *past = sql_skip_opaque(sql, p);

        if (!past)
            break;
        if (past == p && is_param(sql, p)) {
            char *end = NULL;
            long number = strtol(p + 1, &end, 10);

            good = put_styled(&text, style, number, &last) && good;
            p = end;
            continue;
        }
        bool is_text = past != p;
        past = is_text ? past : p + 1;
        put_plain(&text, style, p, past, is_text);
        p = past;
    }
    *out = kept(a, &text);
    good = good && sql_prepare(a, &back, arena_strdup(a, *out), style, &why, &where);
    return good && strcmp(text_identity(a, back.dollar_sql), text_identity(a, sql)) == 0;
}

const char *text_one_line(struct arena *a, const char *value)
{
    struct str out = {0};
    bool is_plain = value[0] == '\'';

    if (!strpbrk(value, "\r\n"))
        return value;
    if (!is_plain && !((value[0] == 'e' || value[0] == 'E') && value[1] == '\''))
        return NULL;
    str_add(&out, is_plain ? "E" : "");
    for (const char *p = value; *p; p++) {
        if (*p == '\n')
            str_add(&out, "\\n");
        else if (*p == '\r')
            str_add(&out, "\\r");
        else if (*p == '\\' && is_plain)
            str_add(&out, "\\\\");
        else
            str_addc(&out, *p);
    }
    return kept(a, &out);
}

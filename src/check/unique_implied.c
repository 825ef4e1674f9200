/* An index over lower(a) keeps apart what an index over a keeps apart: two rows with one a have one lower(a). */
#include "check/synced.h"
#include "check/types.h"
#include "check/unique.h"

/* Functions of text that make one value of one value, and NULL of nothing but NULL. */
static bool is_made_of(const char *element, size_t n, const char *column)
{
    static const char *const functions[] = {"lower", "upper", "btrim"};

    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        AUTO(str) of_text = {0};
        AUTO(str) of_varchar = {0};

        str_addf(&of_text, "%s(%s)", functions[i], column);
        str_addf(&of_varchar, "%s((%s)::text)", functions[i], column);
        if ((of_text.len == n && strncmp(str_text(&of_text), element, n) == 0) ||
            (of_varchar.len == n && strncmp(str_text(&of_varchar), element, n) == 0))
            return true;
    }
    return false;
}

/* As the catalogue writes it: quoted where it has to be. */
static bool is_or_made_of(const char *element, size_t n, const struct cat_column *c,
                          const char *name)
{
    return (strlen(name) == n && strncmp(name, element, n) == 0) ||
           ((c->base == T_TEXT || c->base == T_VARCHAR) && is_made_of(element, n, name));
}

/* A column of the new index, or what is made of one. */
static bool is_element_within(const struct cat_relation *r, const char *element, size_t n,
                              const struct cat_index *index)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789_";

    for (int i = 0; i < r->n_columns; i++) {
        const struct cat_column *c = &r->columns[i];
        AUTO(str) quoted = {0};

        if (!index_has_column(index, c->number))
            continue;
        sql_ident(&quoted, c->name);
        if (is_or_made_of(element, n, c, str_text(&quoted)) ||
            (c->name[strspn(c->name, plain)] == '\0' && is_or_made_of(element, n, c, c->name)))
            return true;
    }
    return false;
}

/* Up to the comma or the parenthesis that ends it. */
static size_t element_length(const char *s)
{
    int depth = 0;
    bool in_text = false, in_name = false;
    size_t n = 0;

    for (; s[n]; n++) {
        in_text ^= s[n] == '\'' && !in_name;
        in_name ^= s[n] == '"' && !in_text;
        if (in_text || in_name)
            continue;
        if (depth == 0 && (s[n] == ',' || s[n] == ')'))
            break;
        depth += (s[n] == '(') - (s[n] == ')');
    }
    return n;
}

static const char using[] = " USING btree (";

/* The same expression, as the catalogue writes it, is one of its own. */
static bool has_element(const struct cat_index *index, const char *element, size_t n)
{
    const char *at = strstr(index->definition, using);

    for (at = at ? at + strlen(using) : ""; *at;) {
        size_t n_own = element_length(at);

        if (n_own == n && strncmp(at, element, n) == 0)
            return true;
        at += n_own;
        if (*at != ',')
            return false;
        at += 1 + (at[1] == ' ');
    }
    return false;
}

/* It holds for all rows that the other one holds for. */
static bool covers(const struct cat_index *old, const struct cat_index *index)
{
    const char *of_old = strstr(old->definition, ") WHERE "),
               *of_new = strstr(index->definition, ") WHERE ");

    return !old->is_partial || (of_old && of_new && strcmp(of_old, of_new) == 0);
}

bool unique_is_implied(const struct cat_relation *before, const struct cat_index *old,
                       const struct cat_index *index)
{
    const char *at = strstr(old->definition, using);

    if (!at || !old->is_unique || !old->is_valid || !covers(old, index) ||
        strstr(index->definition, " COLLATE ") || takes_nulls_alike(old) < takes_nulls_alike(index))
        return false;
    for (at += strlen(using); *at;) {
        size_t n = element_length(at);

        if (!is_element_within(before, at, n, index) && !has_element(index, at, n))
            return false;
        at += n;
        if (*at != ',')
            return *at == ')';
        at += 1 + (at[1] == ' ');
    }
    return false;
}

/* What is put to the shadow instead of a statement that can't be put there as it is. */
#include "check/work.h"

#include <ctype.h>
#include <strings.h>

/* Past blanks and comments. */
static const char *skip(const char *s)
{
    for (;;) {
        while (isspace((unsigned char) *s))
            s++;
        if (s[0] == '-' && s[1] == '-')
            s += strcspn(s, "\n");
        else if (s[0] == '/' && s[1] == '*' && strstr(s, "*/"))
            s = strstr(s, "*/") + 2;
        else
            return s;
    }
}

static bool starts(const char *s, const char *word)
{
    size_t n = strlen(word);

    return strncasecmp(s, word, n) == 0 && !isalnum((unsigned char) s[n]) && s[n] != '_';
}

/* Past what begins at s: a quoted text, something in parentheses, or one character. */
static const char *past(const char *s)
{
    char quote = *s;

    if (quote == '"' || quote == '\'') {
        for (s++; *s && *s != quote; s++)
            ;
        return *s ? s + 1 : s;
    }
    if (quote != '(')
        return s + 1;
    for (s++; *s && *s != ')';)
        s = past(s);
    return *s ? s + 1 : s;
}

/* COPY t (a, b) TO STDOUT reads what SELECT a, b FROM t reads; COPY ... FROM STDIN writes what INSERT writes. */
static const char *copy_stand_in(struct arena *a, const char *sql)
{
    const char *from = skip(skip(sql) + strlen("copy")), *at = from, *list = NULL;

    for (; *at; at = past(at)) {
        bool is_word = at > from && (isspace((unsigned char) at[-1]) || strchr(")\"", at[-1]));

        if (is_word && (starts(at, "to") || starts(at, "from")))
            break;
        if (*at == '(' && at > from)
            list = at;
    }
    if (!*at)
        return NULL;
    const char *end = at;
    while (end > from && isspace((unsigned char) end[-1]))
        end--;
    if (*from == '(')
        return arena_strndup(a, from + 1, (size_t) (end - from) - 2);
    const char *name = arena_strndup(a, from, (size_t) ((list ? list : end) - from));
    const char *columns = list ? arena_strndup(a, list + 1, (size_t) (end - list) - 2) : "*";
    if (starts(at, "to"))
        return arena_printf(a, "SELECT %s FROM %s", columns, name);
    if (!list)
        return arena_printf(a, "INSERT INTO %s SELECT * FROM %s WHERE false", name, name);
    return arena_printf(a, "INSERT INTO %s (%s) SELECT %s FROM %s WHERE false", name, columns,
                        columns, name);
}

/* Behind TO or FROM of a COPY; NULL: there's none. */
static const char *copy_target(const char *sql)
{
    const char *from = skip(skip(sql) + strlen("copy")), *at = from;

    for (; *at; at = past(at)) {
        bool is_word = at > from && (isspace((unsigned char) at[-1]) || strchr(")\"", at[-1]));

        if (is_word && (starts(at, "to") || starts(at, "from")))
            return skip(at + strcspn(at, " \t\r\n'\"/-"));
    }
    return NULL;
}

const char *copy_outside(const struct query *q)
{
    const char *at = q->is_stand_in ? copy_target(q->s->dollar_sql) : NULL;
    bool is_write = q->facts.n_writes > 0;

    if (!at || starts(at, "stdin") || starts(at, "stdout"))
        return NULL;
    if (starts(at, "program"))
        return "pg_execute_server_program";
    return is_write ? "pg_read_server_files" : "pg_write_server_files";
}

const char *stand_in(struct arena *a, const char *sql)
{
    return starts(skip(sql), "copy") ? copy_stand_in(a, sql) : NULL;
}

const char *copy_refused(const struct proof *p, const struct query *q)
{
    static const struct {
        char kind;
        bool to;
        const char *words;
    } no[] = {{'v', true, "view"},
              {'m', true, "materialized view"},
              {'p', true, "partitioned table"},
              {'S', true, "sequence"},
              {'v', false, "view"},
              {'m', false, "materialized view"}};
    bool to = q->facts.n_writes == 0;
    const char *query = skip(skip(q->s->dollar_sql) + strlen("copy"));

    if (*query == '(' || q->facts.n_rels == 0)
        return NULL;
    const struct fact_rel *f = &q->facts.rels[0];
    const struct cat_relation *r =
        cat_find(&p->now, p->sessions[q->session].search_path, f->schema, f->name);
    for (size_t i = 0; r && i < sizeof no / sizeof *no; i++) {
        bool does = no[i].kind == r->kind && no[i].to == to;

        for (int k = 0; does && !to && k < r->n_triggers; k++)
            does = !strstr(r->triggers[k].definition, "INSTEAD OF INSERT");
        if (does)
            return arena_printf(p->a, "cannot copy %s %s \"%s\"", to ? "from" : "to", no[i].words,
                                r->name);
    }
    return NULL;
}

bool runs_as_utility(const char *sql)
{
    static const char *const words[] = {"call",    "truncate", "lock",   "refresh", "analyze",
                                        "cluster", "reindex",  "do",     "create",  "alter",
                                        "drop",    "grant",    "revoke", "comment", "notify"};
    const char *s = skip(sql);

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (starts(s, words[i]))
            return true;
    return false;
}

/* statements: the headers of one file. The SQL inside is statements_sql.c's, several files are statements_load.c's. */
#include "load/statements_sql.h"
#include "load/utf8.h"

#include "phasegate/names.h"

#include <ctype.h>
#include <string.h>

struct reader {
    struct arena *arena;
    const char *file;
    enum param_style style;
    struct statements *out;
    struct problem_list *problems;
    bool failed;
    struct statement *open; /* the last of out, while its lines are read */
    bool in_sql;            /* its headers are over */
    char *sql, *sql_end;    /* its lines so far, in our copy of the file */
    bool said_nameless;
    char *nothing; /* the SQL of a statement that has none */
};

struct line {
    char *text, *end; /* without the newline */
    int number;
};

static void say(struct reader *r, int line, int col, const char *expected, const char *hint,
                const char *message)
{
    problem_add(r->problems, (struct pos) {r->file, line, col}, expected, hint, "%s", message);
    r->failed = true;
}

bool param_style_from_word(const char *word, enum param_style *out)
{
    static const char *const words[] = {"dollar", "colon", "question", "percent"};

    if (!word) {
        *out = PARAMS_DOLLAR;
        return true;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(word, words[i]) == 0) {
            *out = (enum param_style) i;
            return true;
        }
    }
    return false;
}

/* ---- one header's value -------------------------------------------------------------------------- */

static const char *trimmed(struct arena *a, const char *from, const char *to)
{
    while (from < to && isspace((unsigned char) *from))
        from++;
    while (to > from && isspace((unsigned char) to[-1]))
        to--;
    return arena_strndup(a, from, (size_t) (to - from));
}

static bool is_name(const char *s)
{
    if (!isalpha((unsigned char) *s) && *s != '_')
        return false;
    for (; *s; s++)
        if (!isalnum((unsigned char) *s) && *s != '_')
            return false;
    return true;
}

static void read_result(struct reader *r, struct statement *s, const char *word, struct line at)
{
    static const char *const words[] = {"one",        "many",       "exec",     "execrows",
                                        "execresult", "execlastid", "copyfrom", "batchexec",
                                        "batchmany",  "batchone",   NULL};
    const char *near = name_nearest(word, words);
    bool known = false;

    for (int i = 0; words[i]; i++)
        known = known || strcmp(words[i], word) == 0;
    if (!known)
        say(r, at.number, 1,
            ":one, :many, :exec, :execrows, :execresult, :execlastid, :copyfrom, :batchexec, "
            ":batchmany or :batchone",
            near ? arena_printf(r->arena, "did you mean \":%s\"?", near) : NULL,
            arena_printf(r->arena, "unknown command \":%s\"", word));
    s->result = word;
}

static void read_name(struct reader *r, struct statement *s, const char *value, struct line at)
{
    char *copy = arena_strdup(r->arena, value);
    char *rest = copy + strcspn(copy, " \t");

    if (*rest) {
        *rest++ = '\0';
        rest += strspn(rest, " \t");
        if (*rest != ':' || !is_name(rest + 1))
            say(r, at.number, 1, "a name, or sqlc's form: -- name: GetOrder :one", NULL,
                "more than a name in the name header");
        else
            read_result(r, s, rest + 1, at);
    }
    if (!is_name(copy))
        say(r, at.number, 1, "letters, digits and _, not starting with a digit", NULL,
            arena_printf(r->arena, "\"%s\" is no name of a statement", copy));
    s->name = copy;
}

static void read_when(struct reader *r, struct statement *s, const char *value, struct line at)
{
    const char *equal = strchr(value, '=');
    struct statement_when when = {.at = {r->file, at.number, 1}};
    const char *key = equal ? strstr(at.text, trimmed(r->arena, value, equal)) : NULL;

    if (key && key < at.end)
        when.at.col = (int) (key - at.text) + 1;
    if (equal) {
        when.flag = trimmed(r->arena, value, equal);
        const char *word = trimmed(r->arena, equal + 1, equal + strlen(equal));
        when.on = strcmp(word, "on") == 0;
        if (*when.flag && (when.on || strcmp(word, "off") == 0)) {
            for (int i = 0; i < s->n_when; i++)
                if (strcmp(s->when[i].flag, when.flag) == 0)
                    say(r, at.number, 1, "each flag once", NULL,
                        arena_printf(r->arena, "flag \"%s\" is in two conditions", when.flag));
            s->when = arena_grow(r->arena, s->when, sizeof when * (size_t) s->n_when,
                                 sizeof when * (size_t) (s->n_when + 1));
            s->when[s->n_when++] = when;
            return;
        }
    }
    say(r, at.number, 1, "FLAG=on or FLAG=off", NULL,
        arena_printf(r->arena, "\"%s\" is no condition", value));
}

static void read_args(struct reader *r, struct statement *s, const char *value, struct line at)
{
    const char *why = NULL;
    struct statement_args row = {.at = {r->file, at.number, 1}};

    for (const char *p = value; *p;) {
        p = args_parse(r->arena, p, &row, &why);
        if (!p) {
            say(r, at.number, 1, "rows in parentheses: (1, 'x'), (2, NULL)", NULL, why);
            return;
        }
        s->args = arena_grow(r->arena, s->args, sizeof row * (size_t) s->n_args,
                             sizeof row * (size_t) (s->n_args + 1));
        s->args[s->n_args++] = row;
    }
    if (s->n_args == 0)
        say(r, at.number, 1, "rows in parentheses: (1, 'x'), (2, NULL)", NULL, "no arguments");
}

static void read_knows(struct reader *r, struct statement *s, const char *value, struct line at)
{
    const char *equal = strchr(value, '=');
    struct pair pair = {.key.at = {r->file, at.number, 1}, .value.at = {r->file, at.number, 1}};

    if (!equal || equal == value || !equal[1]) {
        say(r, at.number, 1, "TYPE=LABEL", NULL,
            arena_printf(r->arena, "\"%s\" is no label of an enum type", value));
        return;
    }
    pair.key.s = trimmed(r->arena, value, equal);
    pair.value.s = trimmed(r->arena, equal + 1, equal + strlen(equal));
    struct pair_list *l = &s->knows;
    l->items = arena_grow(r->arena, l->items, sizeof pair * (size_t) l->n,
                          sizeof pair * (size_t) (l->n + 1));
    l->items[l->n++] = pair;
}

static void read_allow(struct reader *r, struct statement *s, const char *value, struct line at)
{
    struct text text = {.at = {r->file, at.number, 1}};

    if (strncmp(value, "allow ", 6) != 0) {
        say(r, at.number, 1, "-- phasegate: allow RULE until RELEASE because REASON", NULL,
            arena_printf(r->arena, "\"%s\" is no instruction", value));
        return;
    }
    text.s = value + 6;
    struct text_list *l = &s->allow;
    l->items = arena_grow(r->arena, l->items, sizeof text * (size_t) l->n,
                          sizeof text * (size_t) (l->n + 1));
    l->items[l->n++] = text;
}

static void read_types(struct reader *r, struct statement *s, const char *value, struct line at)
{
    if (s->types.n > 0)
        say(r, at.number, 1, NULL, NULL, "a second \"types\" header");
    s->types = (struct text_list) {0};
    if (!types_parse(r->arena, value, &s->types))
        say(r, at.number, 1, "a type for each parameter: int4, numeric(10,2), text[]", NULL,
            "the types can't be read");
    for (int i = 0; i < s->types.n; i++)
        s->types.items[i].at = (struct pos) {r->file, at.number, 1};
}

static void read_once(struct reader *r, const char **field, const char *header, const char *value,
                      struct line at)
{
    if (*field)
        say(r, at.number, 1, NULL, NULL, arena_printf(r->arena, "a second \"%s\" header", header));
    *field = value;
}

/* ---- lines ----------------------------------------------------------------------------------------- */

static const char *const headers[] = {"name",  "when",    "args",      "types",    "tx", "role",
                                      "knows", "differs", "phasegate", "captured", NULL};

/* "-- word: value" -> word and value, or false. sqlc's slash-star form of the name too. */
static bool split_header(struct arena *a, struct line l, const char **word, const char **value)
{
    const char *p = l.text, *end = l.end;
    bool is_block = end - p > 4 && strncmp(p, "/*", 2) == 0 && strncmp(end - 2, "*/", 2) == 0;

    if (l.end - p < 4 || (strncmp(p, "--", 2) != 0 && !is_block))
        return false;
    if (is_block)
        end -= 2;
    for (p += 2; p < end && (*p == ' ' || *p == '\t'); p++)
        ;
    const char *start = p;
    while (p < end && (isalpha((unsigned char) *p) || *p == '_'))
        p++;
    if (p == start || p == end || *p != ':' || (is_block && strncmp(start, "name:", 5) != 0))
        return false;
    *word = arena_strndup(a, start, (size_t) (p - start));
    *value = trimmed(a, p + 1, end);
    return true;
}

static void check_counts(struct reader *r, const struct statement *s)
{
    for (int i = 0; i < s->n_args; i++)
        if (s->args[i].n != s->n_params)
            say(r, s->args[i].at.line, 1, NULL, NULL,
                arena_printf(r->arena, "%d arguments for a statement with %d parameters",
                             s->args[i].n, s->n_params));
    if (s->types.n > 0 && s->types.n != s->n_params)
        say(r, s->types.items[0].at.line, 1, NULL, NULL,
            arena_printf(r->arena, "%d types for a statement with %d parameters", s->types.n,
                         s->n_params));
}

static void close_statement(struct reader *r)
{
    struct statement *s = r->open;
    const char *why = NULL;
    size_t where = 0;

    if (!s)
        return;
    r->open = NULL;
    if (r->sql) { /* what stands behind it has been read */
        while (isspace((unsigned char) *r->sql))
            r->sql++;
        while (isspace((unsigned char) r->sql_end[-1]))
            r->sql_end--;
        *r->sql_end = '\0';
    }
    if (sql_prepare(r->arena, s, r->sql ? r->sql : r->nothing, r->style, &why, &where)) {
        check_counts(r, s);
        return;
    }
    struct pos at = statement_pos_at(s, where);
    say(r, at.line, at.col, NULL, NULL,
        arena_printf(r->arena, "statement \"%s\": %s", s->name, why));
}

static void make_room(struct arena *a, struct statements *s, int room)
{
    s->items =
        arena_grow(a, s->items, sizeof *s->items * (size_t) s->n, sizeof *s->items * (size_t) room);
    s->room = room;
}

/* "-- name:", as often as it is there: room for twice as many, and copies on the way there, are memory. */
static int count_names(const char *text, const char *end)
{
    int n = 0;

    for (const char *line = text; line && line < end;) {
        const char *word = line;

        while (*word == '-' || *word == ' ' || *word == '\t')
            word++;
        n += *line == '-' && strncmp(word, "name:", strlen("name:")) == 0;
        line = memchr(line, '\n', (size_t) (end - line));
        line = line ? line + 1 : NULL;
    }
    return n;
}

static void open_statement(struct reader *r, const char *value, struct line l)
{
    struct statements *out = r->out;

    close_statement(r);
    if (out->n >= out->room)
        make_room(r->arena, out, 2 * out->n + 1);
    r->open = &out->items[out->n++];
    *r->open = (struct statement) {.at = {r->file, l.number, 1}};
    r->in_sql = false;
    r->sql = r->sql_end = NULL;
    read_name(r, r->open, value, l);
}

static void read_header(struct reader *r, const char *word, const char *value, struct line l)
{
    struct statement *s = r->open;

    if (strcmp(word, "when") == 0)
        read_when(r, s, value, l);
    else if (strcmp(word, "args") == 0)
        read_args(r, s, value, l);
    else if (strcmp(word, "knows") == 0)
        read_knows(r, s, value, l);
    else if (strcmp(word, "phasegate") == 0)
        read_allow(r, s, value, l);
    else if (strcmp(word, "types") == 0)
        read_types(r, s, value, l);
    else if (!*value)
        say(r, l.number, 1, NULL, NULL, arena_printf(r->arena, "header \"%s\" is empty", word));
    else if (strcmp(word, "tx") == 0)
        read_once(r, &s->tx, word, value, l);
    else if (strcmp(word, "role") == 0)
        read_once(r, &s->role, word, value, l);
    else if (strcmp(word, "captured") == 0)
        read_once(r, &s->captured, word, value, l);
    else
        read_once(r, &s->differs, word, value, l);
}

static bool is_header(const char *word)
{
    for (int i = 0; headers[i]; i++)
        if (strcmp(word, headers[i]) == 0)
            return true;
    return false;
}

/* A comment in the place of headers: "-- nmae: x" is a slip, "-- Note: x" is a note. */
static void check_comment(struct reader *r, const char *word, struct line l)
{
    const char *near = name_nearest(word, headers);

    if (near)
        say(r, l.number, 1, "one of: name, when, args, types, tx, role, knows, differs, phasegate",
            arena_printf(r->arena, "did you mean \"-- %s:\"?", near),
            arena_printf(r->arena, "unknown header \"%s\"", word));
}

static void read_line(struct reader *r, struct line l)
{
    const char *word = NULL, *value = NULL;
    bool headed = split_header(r->arena, l, &word, &value);
    const char *p = l.text;

    while (p < l.end && isspace((unsigned char) *p))
        p++;
    bool blank = p == l.end, comment = l.end - p >= 2 && strncmp(p, "--", 2) == 0;

    if (headed && strcmp(word, "name") == 0) {
        open_statement(r, value, l);
    } else if (headed && !r->in_sql && is_header(word)) {
        if (r->open)
            read_header(r, word, value, l);
        else
            say(r, l.number, 1, "-- name: first", NULL,
                arena_printf(r->arena, "header \"%s\" before any name", word));
    } else if (comment && !r->in_sql) {
        if (headed)
            check_comment(r, word, l);
    } else if (headed && is_header(word)) {
        say(r, l.number, 1, "headers between the name and the SQL", NULL,
            arena_printf(r->arena, "header \"%s\" within the SQL", word));
    } else if (!r->open && !blank && !r->said_nameless) {
        say(r, l.number, 1, "-- name: NAME before it", NULL, "SQL without a name");
        r->said_nameless = true;
    } else if (r->open && !blank) {
        if (!r->in_sql) {
            r->in_sql = true;
            r->sql = l.text;
            r->open->sql_at = (struct pos) {r->file, l.number, (int) (p - l.text) + 1};
        }
        r->sql_end = l.end;
    }
}

/* The line and column, in characters, of a byte. */
static struct pos place_in(const char *file, const char *bytes, size_t offset)
{
    struct pos at = {file, 1, 1};

    for (size_t i = 0; i < offset; i++) {
        if (bytes[i] == '\n') {
            at.line++;
            at.col = 1;
        } else if (((unsigned char) bytes[i] & 0xc0) != 0x80) {
            at.col++;
        }
    }
    return at;
}

bool statements_parse(struct arena *a, const char *path, const char *bytes, size_t n,
                      enum param_style style, struct statements *out, struct problem_list *problems)
{
    struct reader r = {.arena = a,
                       .file = arena_strdup(a, path),
                       .style = style,
                       .out = out,
                       .problems = problems};
    size_t bad = 0;
    int number = 0;

    if (n > STATEMENTS_FILE_MAX) {
        say(&r, 0, 0, "64 MiB at most", NULL, "the file is too large");
        return false;
    }
    if (!utf8_is_good(bytes, n, &bad)) {
        struct pos at = place_in(r.file, bytes, bad);
        say(&r, at.line, at.col, "UTF-8", NULL, "the file is not a text");
        return false;
    }
    /* A copy: statements are cut out of it, and bytes may be without a NUL. */
    bool has_mark = n >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0;
    char *text = arena_strndup(a, bytes + 3 * has_mark, n - 3 * (size_t) has_mark);
    r.nothing = arena_strdup(a, "");
    int names = count_names(text, text + strlen(text));
    if (out->n + names > out->room) /* of many small files, twice as much */
        make_room(a, out, names > out->n ? out->n + names : 2 * out->n);
    for (char *p = text, *end = text + strlen(text); p < end;) {
        char *newline = memchr(p, '\n', (size_t) (end - p));
        char *stop = newline ? newline : end;

        number++;
        read_line(&r, (struct line) {p, stop > p && stop[-1] == '\r' ? stop - 1 : stop, number});
        p = stop + 1;
    }
    close_statement(&r);
    return !r.failed;
}

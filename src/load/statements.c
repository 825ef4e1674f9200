/* statements: the headers and the files. The SQL inside is statements_sql.c's. */
#include "load/statements_sql.h"

#include "phasegate/names.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct reader {
    struct arena *arena;
    const char *file;
    enum param_style style;
    struct statements *out;
    struct problem_list *problems;
    bool failed;
    struct statement *open;    /* the last of out, while its lines are read */
    bool in_sql;               /* its headers are over */
    const char *sql, *sql_end; /* its lines so far */
    bool said_nameless;
};

struct line {
    const char *text, *end; /* without the newline */
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
            s->result = rest + 1;
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

static void read_once(struct reader *r, const char **field, const char *header, const char *value,
                      struct line at)
{
    if (*field)
        say(r, at.number, 1, NULL, NULL, arena_printf(r->arena, "a second \"%s\" header", header));
    *field = value;
}

/* ---- lines ----------------------------------------------------------------------------------------- */

static const char *const headers[] = {"name",  "when",    "args",      "tx", "role",
                                      "knows", "differs", "phasegate", NULL};

/* "-- word: value" -> word and value, or false. */
static bool split_header(struct arena *a, struct line l, const char **word, const char **value)
{
    const char *p = l.text;

    if (l.end - p < 4 || strncmp(p, "--", 2) != 0)
        return false;
    for (p += 2; p < l.end && (*p == ' ' || *p == '\t'); p++)
        ;
    const char *start = p;
    while (p < l.end && (isalpha((unsigned char) *p) || *p == '_'))
        p++;
    if (p == start || p == l.end || *p != ':')
        return false;
    *word = arena_strndup(a, start, (size_t) (p - start));
    *value = trimmed(a, p + 1, l.end);
    return true;
}

static void close_statement(struct reader *r)
{
    struct statement *s = r->open;
    const char *why = NULL;

    if (!s)
        return;
    r->open = NULL;
    s->sql = r->sql ? trimmed(r->arena, r->sql, r->sql_end) : "";
    if (!sql_prepare(r->arena, s, r->style, &why)) {
        struct pos at = s->sql_at.line ? s->sql_at : s->at;
        say(r, at.line, at.col, NULL, NULL,
            arena_printf(r->arena, "statement \"%s\": %s", s->name, why));
        return;
    }
    for (int i = 0; i < s->n_args; i++)
        if (s->args[i].n != s->n_params)
            say(r, s->args[i].at.line, 1, NULL, NULL,
                arena_printf(r->arena, "%d arguments for a statement with %d parameters",
                             s->args[i].n, s->n_params));
}

static void open_statement(struct reader *r, const char *value, struct line l)
{
    struct statements *out = r->out;

    close_statement(r);
    out->items = arena_grow(r->arena, out->items, sizeof *out->items * (size_t) out->n,
                            sizeof *out->items * (size_t) (out->n + 1));
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
    else if (!*value)
        say(r, l.number, 1, NULL, NULL, arena_printf(r->arena, "header \"%s\" is empty", word));
    else if (strcmp(word, "tx") == 0)
        read_once(r, &s->tx, word, value, l);
    else if (strcmp(word, "role") == 0)
        read_once(r, &s->role, word, value, l);
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
        say(r, l.number, 1, "one of: name, when, args, tx, role, knows, differs, phasegate",
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

static bool is_text(const char *bytes, size_t n)
{
    for (size_t i = 0; i < n;) {
        unsigned char c = (unsigned char) bytes[i];
        size_t more = c < 0x80                ? 0
                      : c >= 0xf0 && c < 0xf5 ? 3
                      : c >= 0xe0 && c < 0xf0 ? 2
                      : c >= 0xc2 && c < 0xe0 ? 1
                                              : 9;

        if (c == 0 || more > n - i - 1)
            return false;
        for (size_t k = 1; k <= more; k++)
            if (((unsigned char) bytes[i + k] & 0xc0) != 0x80)
                return false;
        i += more + 1;
    }
    return true;
}

bool statements_parse(struct arena *a, const char *path, const char *bytes, size_t n,
                      enum param_style style, struct statements *out, struct problem_list *problems)
{
    struct reader r = {.arena = a,
                       .file = arena_strdup(a, path),
                       .style = style,
                       .out = out,
                       .problems = problems};
    int number = 0;

    if (n > STATEMENTS_FILE_MAX) {
        say(&r, 0, 0, "4 MiB at most", NULL, "the file is too large");
        return false;
    }
    if (!is_text(bytes, n)) {
        say(&r, 0, 0, "UTF-8", NULL, "the file is not a text");
        return false;
    }
    /* A copy: lines are cut out of it, and bytes may be without a NUL. */
    const char *text = arena_strndup(a, bytes, n);
    for (const char *p = text, *end = text + n; p < end;) {
        const char *newline = memchr(p, '\n', (size_t) (end - p));
        const char *stop = newline ? newline : end;

        number++;
        read_line(&r, (struct line) {p, stop > p && stop[-1] == '\r' ? stop - 1 : stop, number});
        p = stop + 1;
    }
    close_statement(&r);
    return !r.failed;
}

/* ---- all of them ------------------------------------------------------------------------------------- */

/* Both can hold at once unless one flag is on in one and off in the other. */
static bool may_both_apply(const struct statement *a, const struct statement *b)
{
    for (int i = 0; i < a->n_when; i++)
        for (int k = 0; k < b->n_when; k++)
            if (strcmp(a->when[i].flag, b->when[k].flag) == 0 && a->when[i].on != b->when[k].on)
                return false;
    return true;
}

bool statements_validate(const struct statements *s, struct problem_list *problems)
{
    bool good = true;

    for (int i = 0; i < s->n; i++) {
        for (int k = 0; k < i; k++) {
            const struct statement *a = &s->items[k], *b = &s->items[i];

            if (strcmp(a->name, b->name) != 0)
                continue;
            if (may_both_apply(a, b)) {
                problem_add(problems, b->at,
                            "variants that exclude each other: flag=on here, flag=off there", NULL,
                            "two statements \"%s\" that may both apply; the other is at %s:%d",
                            b->name, a->at.file, a->at.line);
                good = false;
            } else if (a->n_params != b->n_params) {
                problem_add(problems, b->at, NULL, NULL,
                            "variants of \"%s\" take %d and %d parameters; the other is at %s:%d",
                            b->name, a->n_params, b->n_params, a->at.file, a->at.line);
                good = false;
            }
        }
    }
    return good;
}

const struct statement *statement_pick(const struct statements *s, const char *name,
                                       bool (*is_on)(void *ctx, const char *flag), void *ctx)
{
    for (int i = 0; i < s->n; i++) {
        const struct statement *st = &s->items[i];
        bool holds = strcmp(st->name, name) == 0;

        for (int w = 0; holds && w < st->n_when; w++)
            holds = is_on(ctx, st->when[w].flag) == st->when[w].on;
        if (holds)
            return st;
    }
    return NULL;
}

/* ---- files ------------------------------------------------------------------------------------------- */

static bool read_whole(const char *path, struct str *out, struct err *err)
{
    char chunk[16384];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = 1;

    out->ceiling = STATEMENTS_FILE_MAX + 1;
    while (fd >= 0 && got > 0 && !out->full) {
        got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got > 0)
            str_addn(out, chunk, (size_t) got);
    }
    int why = errno;
    if (fd >= 0)
        close(fd);
    if (fd < 0 || got < 0)
        return err_set(err, ERR_INPUT, "%s: %s", path, strerror(why));
    return true;
}

static bool load_file(struct arena *a, const char *path, const char *shown, enum param_style style,
                      struct statements *out, struct problem_list *problems, bool *good,
                      struct err *err)
{
    AUTO(str) text = {0};

    if (!read_whole(path, &text, err))
        return false;
    if (!statements_parse(a, shown, str_text(&text), text.len, style, out, problems))
        *good = false;
    return true;
}

static int is_sql_file(const struct dirent *e)
{
    size_t n = strlen(e->d_name);

    return n > 4 && e->d_name[0] != '.' && strcmp(e->d_name + n - 4, ".sql") == 0;
}

static bool load_folder(struct arena *a, const char *path, const char *shown,
                        enum param_style style, struct statements *out,
                        struct problem_list *problems, bool *good, struct err *err)
{
    struct dirent **found = NULL;
    int n = scandir(path, &found, is_sql_file, alphasort);
    bool read = n >= 0;

    if (n < 0)
        err_set(err, ERR_INPUT, "%s: %s", path, strerror(errno));
    for (int i = 0; i < n; i++) {
        const char *file = arena_printf(a, "%s/%s", path, found[i]->d_name);

        read = read && load_file(a, file, arena_printf(a, "%s/%s", shown, found[i]->d_name), style,
                                 out, problems, good, err);
        free(found[i]);
    }
    free(found);
    return read;
}

bool statements_load(struct arena *a, const char *root, const struct text_list *paths,
                     enum param_style style, struct statements *out, struct problem_list *problems,
                     struct err *err)
{
    bool good = true;
    struct stat st;

    for (int i = 0; i < paths->n; i++) {
        const char *shown = paths->items[i].s;
        const char *path = *shown == '/' ? shown : arena_printf(a, "%s/%s", root, shown);

        if (stat(path, &st) != 0) {
            problem_add(problems, paths->items[i].at, "a .sql file or a folder of them", NULL,
                        "%s: %s", shown, strerror(errno));
            good = false;
        } else if (!(S_ISDIR(st.st_mode) ? load_folder : load_file)(a, path, shown, style, out,
                                                                    problems, &good, err)) {
            return false;
        }
    }
    if (!statements_validate(out, problems))
        good = false;
    if (good)
        return true;
    AUTO(str) first = {0};
    if (problems->n > 0)
        problem_text(&first, &problems->items[0]);
    return err_set(err, ERR_INPUT, "%s", str_text(&first));
}

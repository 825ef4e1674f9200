/* Lints of a file, and what is learned of texts that have run already. */
#include "load/lint_int.h"

#include "load/sql_scan.h"
#include "phasegate/suppress.h"

#include <string.h>
#include <strings.h>

/* ---- psql ------------------------------------------------------------------------------------------------------ */

static bool begins_copy(const char *line, size_t n)
{
    const char *in = NULL;

    if (n < 5 || strncasecmp(line, "copy ", 5) != 0)
        return false;
    for (size_t i = 5; !in && i + 11 <= n; i++)
        if (strncasecmp(line + i, " from stdin", 11) == 0)
            in = line + i;
    return in != NULL;
}

const char *lint_without_psql(struct arena *a, const char *sql)
{
    bool in_copy = false;
    char *text;

    if (*sql != '\\' && !strstr(sql, "\n\\"))
        return sql;
    text = arena_strdup(a, sql);
    for (char *line = text; *line;) {
        size_t n = strcspn(line, "\n");
        bool is_meta = *line == '\\', starts = !in_copy && begins_copy(line, n);

        if (in_copy || is_meta)
            memset(line, ' ', n);
        if (in_copy && is_meta)
            in_copy = false;
        in_copy = in_copy || starts;
        line += n + (line[n] == '\n');
    }
    return text;
}

void lint_known_learn(struct lint_known *k, const char *sql)
{
    AUTO(arena) scratch = {0};
    struct sql_text text = {lint_without_psql(&scratch, sql), {NULL, 0, 0}, false};
    struct lint l = {.a = &scratch, .k = k};

    lint_text(&l, &text, false);
}

/* ---- names -------------------------------------------------------------------------------------------------------- */

enum { NAME_BYTES = 63 };

static size_t name_length(const char *s, size_t n)
{
    size_t length = n;

    if (*s != '"')
        return n;
    length -= 2;
    for (size_t i = 1; i + 1 < n; i++)
        if (s[i] == '"' && s[i + 1] == '"' && i + 2 < n)
            length--, i++;
    return length;
}

void lint_names(struct lint *l, const struct sql_text *text)
{
    struct sql_scanner scanner = {text->sql, 0};
    size_t from, to;
    enum sql_token token;

    while ((token = sql_scan(&scanner, &from, &to)) != SQL_TOKEN_END) {
        if (token != SQL_TOKEN_NAME || to - from <= NAME_BYTES ||
            name_length(text->sql + from, to - from) <= NAME_BYTES)
            continue;
        l->at = sql_place(text, from);
        lint_warn(
            l, "identifier-too-long", "a shorter name",
            "%.*s has %zu bytes: PostgreSQL cuts it to 63, and another name may be cut to the "
            "same",
            (int) (to - from), text->sql + from, name_length(text->sql + from, to - from));
    }
}

/* ---- a file ------------------------------------------------------------------------------------------------------- */

/* The statement that a comment stands in or before; on the line of the last one's end, that one. */
static void set_target(const struct lint *l, const char *sql, struct suppression *s)
{
    const struct lint_span *found = NULL;

    for (int i = 0; !found && i < l->n_spans; i++)
        if (l->spans[i].to > s->offset)
            found = &l->spans[i];
    for (int i = l->n_spans - 1; i >= 0; i--)
        if (l->spans[i].to <= s->offset) {
            if (memchr(sql + l->spans[i].to, '\n', s->offset - l->spans[i].to) == NULL)
                found = &l->spans[i];
            break;
        }
    s->target = found ? found->at : (struct pos) {s->at.file, 0, 0};
}

struct lint_parse *lint_file_parse(struct arena *a, const struct lint_file *file)
{
    struct lint_parse *parse = arena_new(a, struct lint_parse);
    struct sql_text text = {lint_without_psql(a, file->sql), {file->path, 1, 1}, false};

    lint_parse_text(a, &text, parse);
    return parse;
}

void lint_sql_file(struct lint_known *k, const struct lint_file *file,
                   const struct lint_parse *parse, const struct project *project,
                   struct report *out, struct suppression_list *sup)
{
    AUTO(arena) scratch = {0};
    struct lint l = {.a = &scratch, .k = k, .r = out, .unit = file->set, .seen = {.a = &scratch}};
    int before = sup ? sup->n : 0;

    lint_parsed(&l, parse, false);
    lint_names(&l, &parse->text);
    lint_renamed(&l);
    if (!sup)
        return;
    suppress_read_sql(sup, out, project, parse->text.sql, parse->text.at, false, NULL);
    for (int i = before; i < sup->n; i++)
        set_target(&l, parse->text.sql, &sup->items[i]);
}

void lint_sql_end(struct lint_known *k, struct report *out) { lint_fks(k, out); }

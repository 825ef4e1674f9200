/* Server logs: entries of csvlog and jsonlog, and the statements in them. */
#include "load/capture_text.h"
#include "load/statements_sql.h"
#include "phasegate/capture.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS 30
#define ENTRY_MAX ((size_t) 4 << 20)
#define VALUES_MAX 1000

enum { F_USER = 1, F_DATABASE = 2, F_MESSAGE = 13, F_DETAIL = 14, F_LABEL = 22 };

struct entry {
    const char *user, *database, *message, *detail, *label;
};

struct capture_log {
    struct capture *c;
    struct capture_log_options options;
    struct str text; /* of one entry; the fields of a csvlog end with NUL */
    size_t field[FIELDS];
    int n_fields;
    bool in_quotes,
        quote_seen;      /* quote_seen: within quotes, a " whose meaning the next byte tells */
    bool is_json, begun; /* of this entry */
    bool known;          /* an entry was understood */
};

/* ---- texts ---------------------------------------------------------------------------------------------- */

bool text_is_like(const char *text, const char *pattern)
{
    const char *again = NULL, *from = NULL; /* the last %, and where its match was tried last */

    while (*text) {
        if (*pattern == '%') {
            again = ++pattern;
            from = text;
        } else if (*pattern == '_' || (*pattern && tolower((unsigned char) *pattern) ==
                                                       tolower((unsigned char) *text))) {
            pattern++;
            text++;
        } else if (again) {
            pattern = again;
            text = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == '%')
        pattern++;
    return *pattern == '\0';
}

static const char *after(const char *text, const char *prefix)
{
    size_t n = strlen(prefix);

    return text && strncmp(text, prefix, n) == 0 ? text + n : NULL;
}

/* ---- parameters -------------------------------------------------------------------------------------------- */

/* "$1 = 'x', $2 = NULL" -> values. What the server has cut ends with "...": then there are none. */
static int read_parameters(struct arena *a, const char *p, const char **values)
{
    int n = 0;

    while (p && *p == '$' && n < VALUES_MAX) {
        const char *past;

        p += 1 + strspn(p + 1, "0123456789");
        if (!(p = after(p, " = ")))
            return 0;
        if (*p == '\'') {
            for (past = p + 1; *past && (*past != '\'' || past[1] == '\''); past++)
                past += *past == '\'';
            if (*past != '\'' || (past - p > 3 && strncmp(past - 3, "...", 3) == 0))
                return 0;
            past++;
        } else if (after(p, "NULL")) {
            past = p + 4;
        } else {
            return 0;
        }
        values[n++] = arena_strndup(a, p, (size_t) (past - p));
        if (*past == '\0' || *past == '\n') /* the plan follows */
            return n;
        p = after(past, ", ");
    }
    return 0;
}

static const char *parameters_of(const char *detail)
{
    const char *p = after(detail, "parameters: ");

    return p ? p : after(detail, "Parameters: ");
}

/* ---- messages ------------------------------------------------------------------------------------------------ */

static void add(struct capture_log *l, const char *sql, const char *parameters)
{
    AUTO(arena) a = {0};
    const char **values = parameters ? arena_array(&a, const char *, VALUES_MAX) : NULL;

    if ((l->options.like && !text_is_like(sql, l->options.like)) ||
        (l->options.not_like && text_is_like(sql, l->options.not_like)))
        return;
    capture_add(l->c, &(struct capture_seen) {.sql = sql,
                                              .calls = 1,
                                              .values = values,
                                              .n_values = read_parameters(&a, parameters, values)});
}

/* auto_explain's text: the query, perhaps its parameters, then the plan, whose first line has a cost. */
static void add_explained(struct capture_log *l, const char *text)
{
    AUTO(str) sql = {0};
    const char *parameters = NULL;

    while (*text) {
        const char *end = text + strcspn(text, "\n"), *found = after(text, "Query Parameters: ");
        AUTO(str) line = {0};

        str_addn(&line, text, (size_t) (end - text));
        if (found) {
            parameters = found;
            break;
        }
        if (sql.len > 0 && strstr(str_text(&line), "  (cost="))
            break;
        if (sql.len > 0)
            str_addc(&sql, '\n');
        str_add(&sql, str_text(&line));
        text = *end ? end + 1 : end;
    }
    add(l, str_text(&sql), parameters);
}

static void add_explained_json(struct capture_log *l, const char *text)
{
    json_t *plan = json_loads(text, 0, NULL);
    const char *sql = json_string_value(json_object_get(plan, "Query Text"));

    if (sql)
        add(l, sql, json_string_value(json_object_get(plan, "Query Parameters")));
    else
        capture_count(l->c, CAPTURE_SKIP_UNREADABLE);
    json_decref(plan);
}

/* "execute S_1: SELECT ...", "execute fetch from S_1/C_2: ..." -> behind the name. */
static const char *executed(const char *message)
{
    const char *name = after(message, "execute ");

    name = name ? strstr(name, ": ") : NULL;
    return name ? name + 2 : NULL;
}

static void read_message(struct capture_log *l, const struct entry *e)
{
    const char *m = e->message, *sql;

    if (after(m, "duration: ")) {
        const char *rest = strstr(m, " ms");

        if (!rest)
            return;
        m = rest + 3 + strspn(rest + 3, " ");
        if ((sql = after(m, "plan:\n"))) {
            sql += strspn(sql, " \t\n");
            if (*sql == '{')
                add_explained_json(l, sql);
            else if (after(sql, "Query Text: "))
                add_explained(l, after(sql, "Query Text: "));
            else
                capture_count(l->c, CAPTURE_SKIP_UNREADABLE);
            return;
        }
    }
    if ((sql = after(m, "statement: ")) || (sql = executed(m)))
        add(l, sql, parameters_of(e->detail));
}

static bool is_wanted(const struct capture_log *l, const struct entry *e)
{
    const struct capture_log_options *o = &l->options;

    return (!o->role || (e->user && strcmp(e->user, o->role) == 0)) &&
           (!o->database || (e->database && strcmp(e->database, o->database) == 0));
}

static void read_entry(struct capture_log *l, const struct entry *e)
{
    l->known = true;
    capture_role(l->c, e->user, l->options.role);
    if (!e->message || !is_wanted(l, e))
        return;
    if (after(e->label, "phasegate/"))
        capture_count(l->c, CAPTURE_SKIP_OWN);
    else
        read_message(l, e);
}

/* ---- csvlog and jsonlog ------------------------------------------------------------------------------------------ */

static void end_field(struct capture_log *l)
{
    str_addc(&l->text, '\0');
    if (l->n_fields < FIELDS)
        l->n_fields++;
    if (l->n_fields < FIELDS)
        l->field[l->n_fields] = l->text.len;
}

static const char *field(const struct capture_log *l, int i)
{
    return i < l->n_fields ? str_text(&l->text) + l->field[i] : NULL;
}

static void read_json_line(struct capture_log *l)
{
    json_t *line = json_loads(str_text(&l->text), 0, NULL);
    const struct entry e = {.user = json_string_value(json_object_get(line, "user")),
                            .database = json_string_value(json_object_get(line, "dbname")),
                            .message = json_string_value(json_object_get(line, "message")),
                            .detail = json_string_value(json_object_get(line, "detail")),
                            .label = json_string_value(json_object_get(line, "application_name"))};

    if (json_object_get(line, "error_severity"))
        read_entry(l, &e);
    else if (l->text.len > 1)
        capture_count(l->c, CAPTURE_SKIP_UNREADABLE);
    json_decref(line);
}

static void end_entry(struct capture_log *l)
{
    if (l->is_json) {
        read_json_line(l);
    } else if (l->begun) {
        end_field(l);
        const struct entry e = {field(l, F_USER), field(l, F_DATABASE), field(l, F_MESSAGE),
                                field(l, F_DETAIL), field(l, F_LABEL)};
        /* 23 fields since version 9.0, more since */
        if (l->n_fields >= 23 && !l->text.full)
            read_entry(l, &e);
        else
            capture_count(l->c, CAPTURE_SKIP_UNREADABLE);
    }
    str_clear(&l->text);
    l->text.full = false;
    l->n_fields = 0;
    l->field[0] = 0;
    l->in_quotes = l->quote_seen = l->is_json = l->begun = false;
}

static void feed_csv(struct capture_log *l, char c)
{
    if (l->quote_seen) {
        l->quote_seen = false;
        if (c == '"') {
            str_addc(&l->text, c);
            return;
        }
        l->in_quotes = false;
    }
    if (l->in_quotes) {
        if (c == '"')
            l->quote_seen = true;
        else if (c != '\0') /* in a field it would end it */
            str_addc(&l->text, c);
    } else if (c == '"') {
        l->in_quotes = true;
    } else if (c == ',') {
        end_field(l);
    } else if (c == '\n') {
        end_entry(l);
    } else if (c != '\r' && c != '\0') {
        str_addc(&l->text, c);
    }
}

struct capture_log *capture_log_begin(struct capture *c, const struct capture_log_options *o)
{
    struct capture_log *l = arena_new(c->arena, struct capture_log);

    l->c = c;
    l->options = *o;
    l->text.ceiling = ENTRY_MAX;
    return l;
}

void capture_log_feed(struct capture_log *l, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char c = bytes[i];

        if (!l->begun) {
            if (c == '\n' || c == '\r')
                continue;
            l->begun = true;
            l->is_json = c == '{';
        }
        if (!l->is_json)
            feed_csv(l, c);
        else if (c == '\n')
            end_entry(l);
        else
            str_addc(&l->text, c);
    }
}

bool capture_log_end(struct capture_log *l)
{
    bool known;

    if (l->begun)
        end_entry(l);
    known = l->known;
    str_free(&l->text);
    return known;
}

#include "shadow/scan_int.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* One file that is being read. */
struct reader {
    struct scan *sc;
    const char *shown;
    const char *end, *p;
    const char *kept;   /* from here to p: to be written */
    const char *start;  /* of the statement; NULL: between two of them */
    int line;           /* at p */
    int start_line;     /* of the statement, string or comment that is being read */
    int parens, blocks; /* blocks: BEGIN ... END of a function's body */
    int n_words;
    bool is_function;
    bool copies; /* data begins with the next line */
    bool ended;  /* the rest is the way back */
    bool standard_strings;
    struct tokens tokens;
    struct err *err;
};

static bool refuse(struct reader *r, int line, const char *hint, const char *why)
{
    err_set(r->err, ERR_INPUT, "%s:%d: %s", r->shown, line, why);
    return hint ? err_hint(r->err, "%s", hint) : false;
}

static const char dump_again[] = "Write the baseline with pg_dump --schema-only.";

/* ---- output ------------------------------------------------------------------------------------ */

static void put(struct reader *r, const char *text, size_t n) { fwrite(text, 1, n, r->sc->out); }

static void put_kept(struct reader *r, const char *to)
{
    put(r, r->kept, (size_t) (to - r->kept));
    r->kept = to;
}

/* Lines stay, their text goes. */
static void drop_to(struct reader *r, const char *to)
{
    for (const char *c = r->kept; c < to; c++)
        if (*c == '\n')
            put(r, c, 1);
    r->kept = to;
}

static void put_wrapped(struct reader *r, const char *to)
{
    const char *body_end = to[-1] == ';' ? to - 1 : to;

    static const char head[] = "DO $phasegate$BEGIN ";
    static const char tail[] = "; EXCEPTION WHEN duplicate_object THEN NULL; END$phasegate$;";

    put(r, head, sizeof head - 1);
    put_kept(r, body_end);
    put(r, tail, sizeof tail - 1);
    r->kept = to;
}

/* ---- tokens ------------------------------------------------------------------------------------ */

static bool is_word_start(char c) { return isalpha((unsigned char) c) || c == '_' || (c & 0x80); }

static bool is_word(char c) { return is_word_start(c) || isdigit((unsigned char) c); }

static void add_token(struct reader *r, enum token_kind kind, const char *from)
{
    struct tokens *t = &r->tokens;

    if (t->n == SCAN_MAX_TOKENS)
        return;
    if (t->n == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 256;
        t->items = realloc(t->items, sizeof *t->items * (size_t) t->cap);
        if (!t->items)
            abort();
    }
    t->items[t->n++] = (struct token) {kind, from, (int) (r->p - from), r->parens};
}

static void step(struct reader *r)
{
    r->line += *r->p == '\n';
    r->p++;
}

static bool is_at(const struct reader *r, const char *text)
{
    size_t n = strlen(text);

    return (size_t) (r->end - r->p) >= n && memcmp(r->p, text, n) == 0;
}

static bool read_quoted(struct reader *r, char quote, bool escapes)
{
    int line = r->line;

    for (r->p++; r->p < r->end; step(r)) {
        if (*r->p == '\0')
            break;
        if (*r->p == '\\' && escapes && r->p + 1 < r->end) {
            step(r);
        } else if (*r->p == quote) {
            r->p++;
            if (r->p == r->end || *r->p != quote)
                return true;
        }
    }
    return refuse(r, line, dump_again,
                  quote == '"' ? "a quoted name doesn't end" : "a string doesn't end");
}

/* A string that goes on in the next line is read in two ways when it has escapes. */
static bool check_continued(struct reader *r)
{
    const char *c = r->p;
    int line = r->line;
    bool newline = false;

    for (; c < r->end; c++) {
        if (c[0] == '-' && c + 1 < r->end && c[1] == '-')
            while (c + 1 < r->end && c[1] != '\n')
                c++;
        else if (!isspace((unsigned char) *c))
            break;
        line += *c == '\n';
        newline |= *c == '\n' || *c == '\r';
    }
    return c < r->end && *c == '\'' && newline
               ? refuse(r, line, "Write E'...' in one piece, or each piece with || between them.",
                        "a string with escapes that goes on in another line")
               : true;
}

static bool read_dollar(struct reader *r)
{
    const char *tag = r->p, *c = tag + 1;
    int line = r->line;

    if (c < r->end && is_word_start(*c))
        while (c < r->end && is_word(*c))
            c++;
    if (c == r->end || *c != '$') {
        r->p++;
        return true; /* $1 */
    }
    size_t n = (size_t) (c + 1 - tag);
    for (r->p = c + 1; r->p < r->end && *r->p; step(r)) {
        if (*r->p == '$' && (size_t) (r->end - r->p) >= n && memcmp(r->p, tag, n) == 0) {
            r->p += n;
            add_token(r, TOKEN_STRING, tag);
            return true;
        }
    }
    return refuse(r, line, dump_again, "a string doesn't end");
}

static bool word_is(const char *from, const char *to, const char *word)
{
    return strlen(word) == (size_t) (to - from) && strncasecmp(from, word, strlen(word)) == 0;
}

/* Where semicolons belong to the body: CREATE [OR REPLACE] FUNCTION | PROCEDURE ... BEGIN ... END, as psql
 * counts them. */
static void count_blocks(struct reader *r, const char *from)
{
    bool is_object = word_is(from, r->p, "function") || word_is(from, r->p, "procedure");
    const struct tokens *t = &r->tokens;

    r->n_words++;
    if (is_object && token_is(&t->items[0], "create"))
        r->is_function |=
            r->n_words == 2 || (r->n_words == 4 && t->n > 2 && token_is(&t->items[1], "or") &&
                                token_is(&t->items[2], "replace"));
    if (!r->is_function || r->parens > 0)
        return;
    if (word_is(from, r->p, "begin") || (r->blocks > 0 && word_is(from, r->p, "case")))
        r->blocks++;
    else if (r->blocks > 0 && word_is(from, r->p, "end"))
        r->blocks--;
}

static bool read_word(struct reader *r)
{
    const char *from = r->p;

    while (r->p < r->end && (is_word(*r->p) || *r->p == '$'))
        r->p++;
    if (r->p < r->end && *r->p == '\'' && word_is(from, r->p, "e")) {
        if (!read_quoted(r, '\'', true))
            return false;
        add_token(r, TOKEN_STRING, from);
        return check_continued(r);
    }
    add_token(r, TOKEN_WORD, from);
    count_blocks(r, from);
    return true;
}

static bool read_number(struct reader *r)
{
    const char *from = r->p;

    while (r->p < r->end && (isdigit((unsigned char) *r->p) || *r->p == '.' || *r->p == '_'))
        r->p++;
    if (r->p + 1 < r->end && (*r->p | 0x20) == 'e' && r->p[1] == '\'')
        return refuse(r, r->line, NULL, "a string right behind a number");
    add_token(r, TOKEN_OTHER, from);
    return true;
}

static bool read_block_comment(struct reader *r)
{
    int depth = 0, line = r->line;

    do {
        if (is_at(r, "/*") || is_at(r, "*/")) {
            depth += *r->p == '/' ? 1 : -1;
            r->p++;
        }
        step(r);
    } while (r->p < r->end && depth > 0);
    return depth == 0 ? true : refuse(r, line, dump_again, "a comment doesn't end");
}

/* Tools that keep both ways in one file begin the way back with these. */
static bool is_way_back(const struct reader *r)
{
    return is_at(r, "-- migrate:down") || is_at(r, "-- +goose Down") ||
           is_at(r, "-- +migrate Down");
}

/* ---- statements -------------------------------------------------------------------------------- */

static void add_statement(struct reader *r)
{
    struct scan *sc = r->sc;

    if (sc->n_statements == sc->cap_statements) {
        int cap = sc->cap_statements ? 2 * sc->cap_statements : 256;

        sc->statements =
            arena_grow(sc->a, sc->statements, sizeof *sc->statements * (size_t) sc->cap_statements,
                       sizeof *sc->statements * (size_t) cap);
        sc->cap_statements = cap;
    }
    int offset = sc->files[sc->n_files - 1].first - 1;
    sc->statements[sc->n_statements++] =
        (struct scan_statement) {r->start_line + offset, r->line + offset};
}

/* Lines stay where they are. */
static void put_edited(struct reader *r, const struct judgement *j)
{
    const struct tokens *t = &r->tokens;

    for (int i = 0; i < j->n_edits; i++) {
        const struct edit *e = &j->edits[i];
        const char *to = e->to < t->n ? t->items[e->to].at : r->p - (r->p[-1] == ';');

        put_kept(r, t->items[e->from].at);
        if (e->text)
            put(r, e->text, strlen(e->text));
        drop_to(r, e->from < e->to ? to : t->items[e->from].at);
    }
}

/* p is behind the semicolon. */
static bool end_statement(struct reader *r)
{
    struct judgement j = {.standard_strings = r->standard_strings};

    r->sc->statement_line = r->sc->files[r->sc->n_files - 1].first - 1 + r->start_line;
    scan_judge(r->sc, &r->tokens, &j);
    if (j.verdict == REFUSE)
        return refuse(r, r->start_line, j.hint, j.why);
    if (j.verdict == DROP || j.verdict == WRAP)
        put_kept(r, r->start);
    if (j.verdict == DROP)
        drop_to(r, r->p);
    if (j.verdict == WRAP)
        put_wrapped(r, r->p);
    if (j.verdict == TAKE && j.n_edits > 0)
        put_edited(r, &j);
    add_statement(r);
    r->standard_strings = j.standard_strings;
    r->copies = j.verdict == TAKE_COPY;
    r->start = NULL;
    r->tokens.n = r->parens = r->blocks = r->n_words = 0;
    r->is_function = false;
    return true;
}

static bool read_other(struct reader *r)
{
    const char *from = r->p++;

    if (*from == ';' && r->parens == 0 && r->blocks == 0)
        return end_statement(r);
    if (*from == ')' && r->parens > 0)
        r->parens--;
    add_token(r, TOKEN_OTHER, from);
    r->parens += *from == '(';
    return true;
}

/* Lines up to the one that is "\.". */
static void skip_data(struct reader *r)
{
    r->copies = false;
    while (r->p < r->end) {
        const char *stop = memchr(r->p, '\n', (size_t) (r->end - r->p));
        const char *next = stop ? stop + 1 : r->end;
        size_t n = (size_t) ((stop ? stop : r->end) - r->p);
        bool is_last =
            n >= 2 && r->p[0] == '\\' && r->p[1] == '.' && (n == 2 || (n == 3 && r->p[2] == '\r'));

        r->line += stop != NULL;
        r->p = next;
        if (is_last)
            return;
    }
}

static bool read_backslash(struct reader *r)
{
    bool is_restrict = is_at(r, "\\restrict ") || is_at(r, "\\unrestrict ");

    if (!is_restrict || r->start)
        return refuse(r, r->line,
                      "A baseline may not run programs or read other files: only SQL, and "
                      "COPY with its data.",
                      "a backslash command");
    put_kept(r, r->p);
    while (r->p < r->end && *r->p != '\n')
        r->p++;
    r->kept = r->p;
    return true;
}

static bool read_string(struct reader *r, const char quote)
{
    const char *from = r->p;
    bool escapes = quote == '\'' && !r->standard_strings;

    if (!read_quoted(r, quote, escapes))
        return false;
    add_token(r, quote == '"' ? TOKEN_QUOTED : TOKEN_STRING, from);
    return escapes ? check_continued(r) : true;
}

static bool read_token(struct reader *r)
{
    if (r->copies)
        return refuse(r, r->line, "Begin it in the line below the data.",
                      "something follows COPY ... FROM stdin in its line");
    if (*r->p == '\\')
        return read_backslash(r);
    if (!r->start) {
        r->start = r->p;
        r->start_line = r->line;
    }
    if (*r->p == '\'' || *r->p == '"')
        return read_string(r, *r->p);
    if (*r->p == '$')
        return read_dollar(r);
    if (is_word_start(*r->p))
        return read_word(r);
    return isdigit((unsigned char) *r->p) ? read_number(r) : read_other(r);
}

static bool read_on(struct reader *r)
{
    if (*r->p == '\0')
        return refuse(r, r->line, dump_again, "a byte 0: not a text of SQL");
    if (*r->p == '\n') {
        step(r);
        if (r->copies)
            skip_data(r);
        return true;
    }
    if (isspace((unsigned char) *r->p)) {
        r->p++;
        return true;
    }
    if (is_at(r, "--")) {
        r->ended = !r->start && is_way_back(r);
        while (!r->ended && r->p < r->end && *r->p != '\n' && *r->p != '\r')
            r->p++;
        return true;
    }
    return is_at(r, "/*") ? read_block_comment(r) : read_token(r);
}

/* ---- files ------------------------------------------------------------------------------------- */

static bool finish(struct reader *r)
{
    static const char end[] = "\n;\n";
    static const char fresh[] = "DISCARD ALL;\n";

    if (r->parens > 0 || r->blocks > 0)
        return refuse(r, r->start_line, dump_again, "a statement doesn't end");
    if (r->start && !end_statement(r))
        return false;
    put_kept(r, r->p);
    put(r, end, sizeof end - 1);
    put(r, fresh, sizeof fresh - 1);
    r->sc->line += r->line + 2;
    return true;
}

static void add_file(struct scan *sc, const char *shown)
{
    if (sc->n_files == sc->cap_files) {
        int cap = sc->cap_files ? 2 * sc->cap_files : 16;

        sc->files = arena_grow(sc->a, sc->files, sizeof *sc->files * (size_t) sc->cap_files,
                               sizeof *sc->files * (size_t) cap);
        sc->cap_files = cap;
    }
    sc->files[sc->n_files++] = (struct scan_file) {shown, sc->line};
}

bool scan_file(struct scan *sc, const char *shown, const char *bytes, size_t n, struct err *err)
{
    struct reader r = {.sc = sc,
                       .shown = shown,
                       .p = bytes,
                       .end = bytes + n,
                       .line = 1,
                       .standard_strings = true,
                       .err = err};
    bool good = true;

    if (is_at(&r, "PGDMP")) {
        err_set(err, ERR_INPUT, "%s: a dump in pg_dump's own format, expected SQL", shown);
        return err_hint(err, "pg_restore --schema-only -f FILE.sql %s", shown);
    }
    if (is_at(&r, "\xef\xbb\xbf"))
        r.p += 3;
    r.kept = r.p;
    add_file(sc, shown);
    while (good && r.p < r.end && !r.ended)
        good = read_on(&r);
    good = good && finish(&r);
    free(r.tokens.items);
    return good;
}

const char *scan_place(const struct scan *sc, int line, int *out_line)
{
    int i = sc->n_files - 1;

    while (i > 0 && sc->files[i].first > line)
        i--;
    *out_line = line - sc->files[i].first + 1;
    return sc->files[i].shown;
}

const struct scan_statement *scan_statement_at(const struct scan *sc, int line)
{
    int low = 0, high = sc->n_statements;

    while (low < high) {
        int middle = low + (high - low) / 2;

        if (sc->statements[middle].last < line)
            low = middle + 1;
        else
            high = middle;
    }
    return low < sc->n_statements && sc->statements[low].first <= line ? &sc->statements[low]
                                                                       : NULL;
}

/* The texts that make the schema: the files of the baseline, and the steps that have run. What a server's message only
 * names is found there, with its place and its words.
 */
#include "check/blame.h"

#include "phasegate/lint.h"

#include <ctype.h>

enum {
    READ_MOST = 4 << 20, /* a dump with rows is no migration */
    SHOWN = 90,          /* characters of a definition */
    BEFORE_SHOWN = 24    /* of them, before the first that differs */
};

/* ---- the files ----------------------------------------------------------------------------------------------- */

static void read_one(struct proof *p, const char *root, const char *file)
{
    const char *path = *file == '/' || !root ? file : arena_printf(p->a, "%s/%s", root, file);
    AUTO(str) text = {.ceiling = READ_MOST + 1};
    AUTO(err) ignored = {0};

    if (!regular_read(path, file, READ_MOST, &text, &ignored))
        return;
    p->texts = arena_more(p->a, p->texts, sizeof *p->texts, p->n_texts);
    p->texts[p->n_texts++] = (struct baseline_text) {
        .file = file, .sql = lint_without_psql(p->a, arena_strdup(p->a, str_text(&text)))};
}

void texts_read(struct proof *p)
{
    const char *root = p->set->project.root;
    struct baseline_files files = {0};
    AUTO(err) ignored = {0};

    if (p->has_texts)
        return;
    p->has_texts = true;
    if (p->o->baseline_from || p->o->next || !p->set->project.baseline.s ||
        !shadow_baseline_files(p->a, root, p->set->project.baseline.s, &files, &ignored))
        return;
    for (int i = 0; i < files.n_files; i++)
        read_one(p, root, files.files[i]);
}

void text_parse(struct proof *p, struct baseline_text *t)
{
    AUTO(problem_list) unread = {0};

    if (t->is_parsed)
        return;
    t->is_parsed = true;
    if (!sql_facts(p->a, t->sql, (struct pos) {t->file, 1, 1}, &t->stmts, &t->n_stmts, &unread))
        t->n_stmts = 0;
}

/* ---- what a statement makes ------------------------------------------------------------------------------------ */

static const char *skip_blank(const char *s)
{
    size_t n;

    return s + statement_word(s, &n);
}

bool text_takes_word(const char **at, const char *word)
{
    const char *s = skip_blank(*at);
    size_t n = strlen(word);

    if (strncasecmp(s, word, n) != 0 || isalnum((unsigned char) s[n]) || s[n] == '_')
        return false;
    *at = s + n;
    return true;
}

const char *text_name(struct arena *a, const char **at)
{
    const char *s = skip_blank(*at), *name;
    size_t n;

    if (*s == '"') {
        n = strcspn(s + 1, "\"");
        name = arena_strndup(a, s + 1, n);
        *at = s + 1 + n + (s[1 + n] == '"');
    } else {
        n = strcspn(s, " \t\r\n(.;");
        char *low = arena_strndup(a, s, n);
        for (size_t i = 0; i < n; i++)
            low[i] = (char) tolower((unsigned char) low[i]);
        name = low;
        *at = s + n;
    }
    if (**at != '.')
        return name;
    ++*at;
    return text_name(a, at);
}

/* The view or routine that the statement makes, or drops; NULL: neither. rest: from its name on. */
static const char *object_of(struct arena *a, const char *sql, bool *is_made, const char **rest)
{
    static const char *const before[] = {"or",        "replace",      "temporary", "temp",
                                         "recursive", "materialized", NULL};
    static const char *const kinds[] = {"view", "function", "procedure", "routine", NULL};
    const char *at = sql;
    bool is_kind = false;

    *is_made = text_takes_word(&at, "create");
    if (!*is_made && !text_takes_word(&at, "drop"))
        return NULL;
    for (int i = 0; before[i]; i++)
        (void) text_takes_word(&at, before[i]);
    for (int i = 0; kinds[i] && !is_kind; i++)
        is_kind = text_takes_word(&at, kinds[i]);
    if (!is_kind)
        return NULL;
    if (text_takes_word(&at, "if"))
        (void) (text_takes_word(&at, "not"), text_takes_word(&at, "exists"));
    *rest = skip_blank(at);
    return text_name(a, &at);
}

/* Of "f(i int, j numeric(10, 2))"; -1: none are named. Overloads are told apart by it. */
static int count_args(const char *text)
{
    int depth = 0, n = 0;
    bool any = false;

    text += strcspn(text, "( \t\r\n;");
    text = skip_blank(text);
    if (*text != '(')
        return -1;
    for (const char *s = text; *s; s++) {
        depth += *s == '(';
        depth -= *s == ')';
        if (depth == 0)
            break;
        n += *s == ',' && depth == 1;
        any |= s > text && !isspace((unsigned char) *s);
    }
    return any ? n + 1 : 0;
}

static bool makes(struct proof *p, const struct sql_stmt *s, const char *name, int n_args,
                  struct made_by *out)
{
    const char *rest = NULL;
    bool is_made = false;
    const char *made = strcasestr(s->sql, name) ? object_of(p->a, s->sql, &is_made, &rest) : NULL;

    if (!made || !is_made || strcmp(made, name) != 0 || (n_args >= 0 && count_args(rest) != n_args))
        return false;
    *out = (struct made_by) {s->at, rest};
    return true;
}

static bool last_of(struct proof *p, const struct sql_stmt *stmts, int n, const char *name,
                    int n_args, struct made_by *out)
{
    for (int i = n - 1; i >= 0; i--)
        if (makes(p, &stmts[i], name, n_args, out))
            return true;
    return false;
}

bool texts_find(struct proof *p, const char *name, const char *call, int state, struct made_by *out)
{
    int n_args = count_args(call);

    for (int s = state; s > 0; s = p->t.states[s].from) {
        const struct task *t = p->t.states[s].task;

        if (t && t->step && last_of(p, t->step->stmts, t->step->n_stmts, name, n_args, out))
            return true;
    }
    texts_read(p);
    for (int i = p->n_texts - 1; i >= 0; i--) {
        if (!strcasestr(p->texts[i].sql, name))
            continue;
        text_parse(p, &p->texts[i]);
        if (last_of(p, p->texts[i].stmts, p->texts[i].n_stmts, name, n_args, out))
            return true;
    }
    return false;
}

/* ---- what differs ------------------------------------------------------------------------------------------------ */

static const char *one_line(struct arena *a, const char *text)
{
    char *out = arena_strdup(a, text);
    size_t n = 0;

    for (const char *s = text; *s; s++) {
        bool is_blank = isspace((unsigned char) *s);

        if (!is_blank || (n > 0 && out[n - 1] != ' '))
            out[n++] = is_blank ? ' ' : *s;
    }
    while (n > 0 && out[n - 1] == ' ')
        n--;
    out[n] = '\0';
    return out;
}

static bool is_start(char c) { return ((unsigned char) c & 0xC0) != 0x80; }

static const char *around(struct arena *a, const char *text, size_t from)
{
    size_t n = strlen(text), to;

    /* A whole word, or at least a whole character. */
    while (from > 0 && from < n && text[from - 1] != ' ')
        from++;
    while (from > 0 && !is_start(text[from]))
        from--;
    to = from + SHOWN < n ? from + SHOWN : n;
    while (to < n && !is_start(text[to]))
        to--;
    return arena_printf(a, "%s%.*s%s", from ? "..." : "", (int) (to - from), text + from,
                        to < n ? "..." : "");
}

static const char *words_of_change(struct proof *p, const char *name, const struct made_by *was,
                                   const struct made_by *is)
{
    const char *before = one_line(p->a, was->text), *now = is ? one_line(p->a, is->text) : NULL;
    size_t same = 0;

    while (now && before[same] && before[same] == now[same])
        same++;
    same = same > BEFORE_SHOWN ? same - BEFORE_SHOWN : 0;
    return arena_printf(p->a, "%s was %s (%s:%d)%s%s", name, around(p->a, before, same),
                        was->at.file, was->at.line, now ? ", and is " : ", and is gone",
                        now ? around(p->a, now, same) : "");
}

const char *texts_change(struct proof *p, int state)
{
    const struct task *t = p->t.states[state].task;

    for (int i = 0; t && t->step && i < t->step->n_stmts; i++) {
        const struct sql_stmt *s = &t->step->stmts[i];
        struct made_by was, is;
        const char *rest = NULL;
        bool is_made = false;
        const char *name = object_of(p->a, s->sql, &is_made, &rest);

        if (!name || !texts_find(p, name, rest, p->t.states[state].from, &was))
            continue;
        bool is_there = last_of(p, t->step->stmts, t->step->n_stmts, name, -1, &is);
        return words_of_change(p, name, &was, is_there ? &is : NULL);
    }
    return NULL;
}

/* Migrations that took away what live releases still run on. Nobody knows when a migration of the baseline came, but its
 * text says what it drops: where the newest release, or a consumer, misses just that, no list of old releases is to
 * blame.
 */
#include "check/blame.h"

#include <ctype.h>

/* ---- what takes a name away ------------------------------------------------------------------------------------ */

static bool is_word_char(char c) { return isalnum((unsigned char) c) || c == '_'; }

/* Does the word before *at, a character of sql, read so? *at moves to its first character. */
static bool steps_back(const char *sql, const char **at, const char *word)
{
    const char *end = *at;
    size_t n = strlen(word);

    while (end > sql && (isspace((unsigned char) end[-1]) || end[-1] == '"'))
        end--;
    if ((size_t) (end - sql) < n || strncasecmp(end - n, word, n) != 0 ||
        (end - n > sql && is_word_char(end[-n - 1])))
        return false;
    *at = end - n;
    return true;
}

/* DROP [COLUMN] [IF EXISTS] name, RENAME [COLUMN] name. */
static bool drops_word(const char *sql, const char *name)
{
    size_t n = strlen(name);

    for (const char *s = sql; (s = strcasestr(s, name)); s++) {
        const char *at = s;

        if ((s > sql && is_word_char(s[-1])) || is_word_char(s[n]))
            continue;
        if (steps_back(sql, &at, "exists"))
            (void) steps_back(sql, &at, "if");
        (void) steps_back(sql, &at, "column");
        if (steps_back(sql, &at, "drop") || steps_back(sql, &at, "rename"))
            return true;
    }
    return false;
}

static bool names_relation(const struct sql_stmt *s, const char *name)
{
    for (int i = 0; i < s->relations.n; i++)
        if (strcmp(s->relations.items[i].s, name) == 0)
            return true;
    return s->table && strcmp(s->table, name) == 0;
}

static bool takes_column(const struct sql_stmt *s, const struct query *q, const char *name)
{
    bool is_theirs = false;

    for (int i = 0; i < q->facts.n_rels && !is_theirs; i++)
        is_theirs = names_relation(s, q->facts.rels[i].name);
    return is_theirs && strncmp(s->kind, "ALTER", 5) == 0 && drops_word(s->sql, name);
}

static bool takes_relation(const struct sql_stmt *s, const char *name)
{
    if (!names_relation(s, name))
        return false;
    return s->drop == DROP_TABLE || s->drop == DROP_VIEW ||
           (s->table && strcmp(s->table, name) == 0 && strstr(s->kind, "RENAME") &&
            !strstr(s->kind, "COLUMN") && !strstr(s->kind, "CONSTRAINT"));
}

static bool takes_routine(const struct sql_stmt *s, const char *name)
{
    return s->drop == DROP_FUNCTION && s->object && strcasestr(s->object, name);
}

/* The name that the server misses, and what it is: c a column, r a relation, f a routine. */
static const char *missed(struct proof *p, const struct outcome *o, char *kind)
{
    static const struct {
        const char *sqlstate, *before;
        char kind;
    } rows[] = {{"42703", "column ", 'c'},
                {"42P01", "relation ", 'r'},
                {"42883", "function ", 'f'},
                {"42883", "procedure ", 'f'}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *name = strcmp(o->sqlstate, rows[i].sqlstate) == 0
                               ? missing_name(p, o->message, rows[i].before)
                               : NULL;
        if (name && *name) {
            *kind = rows[i].kind;
            return arena_strndup(p->a, name, strcspn(name, "("));
        }
    }
    return NULL;
}

static const struct taken *taken_in(struct proof *p, const struct query *q, char kind,
                                    const char *name, const struct sql_stmt *stmts, int n)
{
    for (int k = n - 1; k >= 0; k--) {
        const struct sql_stmt *s = &stmts[k];

        if (kind == 'c'   ? !takes_column(s, q, name)
            : kind == 'r' ? !takes_relation(s, name)
                          : !takes_routine(s, name))
            continue;
        struct taken *out = arena_new(p->a, struct taken);
        *out = (struct taken) {s->at, s->kind};
        return out;
    }
    return NULL;
}

/* The last one: what an earlier one took was made anew. */
const struct taken *taken_of(struct proof *p, const struct query *q, const struct outcome *o)
{
    char kind = 0;
    const char *name = missed(p, o, &kind);
    const struct taken *found = NULL;

    if (!name)
        return NULL;
    texts_read(p);
    for (int i = p->n_texts - 1; i >= 0 && !found; i--) {
        struct baseline_text *t = &p->texts[i];

        if (!strcasestr(t->sql, name))
            continue;
        text_parse(p, t);
        found = taken_in(p, q, kind, name, t->stmts, t->n_stmts);
    }
    return found;
}

/* ---- what it says ------------------------------------------------------------------------------------------------ */

/* An older release may be on the list and live no more. */
static bool is_surely_live(const struct proof *p, const struct app_statement *a)
{
    int newest = -1;

    if (p->t.releases[a->release].is_projected)
        return false;
    for (int i = 0; i < p->n_app; i++) {
        const struct timeline_release *r = &p->t.releases[p->app[i].release];

        if (!r->is_consumer && !r->is_projected && p->app[i].release > newest)
            newest = p->app[i].release;
    }
    return p->t.releases[a->release].is_consumer || a->release == newest;
}

void taken_tell(struct proof *p, const struct app_statement *a, const struct outcome *o,
                struct finding *f, struct absent *known)
{
    const char *version = p->t.releases[a->release].version;
    bool is_consumer = p->t.releases[a->release].is_consumer;

    if (!known->is_looked_up) {
        known->is_looked_up = true;
        known->taken = taken_of(p, a->q, o);
        if (known->taken)
            f->help = arena_printf(p->a, "%s:%d takes it away (%s). %s", known->taken->at.file,
                                   known->taken->at.line, known->taken->kind, f->help);
    }
    /* What a branch breaks is asked for otherwise: it isn't to be stopped for what failed before it. */
    if (!known->taken || f->severity >= SEVERITY_ERROR || p->o->before || !is_surely_live(p, a))
        return;
    f->severity = SEVERITY_ERROR;
    f->help = arena_printf(
        p->a,
        "%s:%d takes it away (%s), and %s %s still runs on it: make it a plan (phasegate new "
        "NAME), so that it goes when nothing that is live needs it; where it is gone from "
        "production already, mend the statement",
        known->taken->at.file, known->taken->at.line, known->taken->kind,
        is_consumer ? "consumer" : "release", version);
}

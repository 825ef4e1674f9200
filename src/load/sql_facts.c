/* From SQL text to facts. */
#include "load/sql_work.h"

#include <string.h>

static int slot_of(const struct seen *s, enum made_kind kind, const char *name, const char *column)
{
    unsigned h = 2166136261u + (unsigned) kind;

    for (const char *c = name; *c; c++)
        h = (h ^ (unsigned char) *c) * 16777619u;
    for (const char *c = column ? column : ""; *c; c++)
        h = (h ^ (unsigned char) *c) * 16777619u;
    return (int) (h % (unsigned) s->cap);
}

const struct made *seen_find(const struct seen *s, enum made_kind kind, struct sql_rel rel,
                             const char *column)
{
    if (s->n == 0 || !rel.name)
        return NULL;
    for (int i = s->slots[slot_of(s, kind, rel.name, column)]; i > 0; i = s->next[i - 1]) {
        const struct made *m = &s->items[i - 1];
        bool same_schema = m->rel.schema && rel.schema ? strcmp(m->rel.schema, rel.schema) == 0
                                                       : m->rel.schema == rel.schema;
        bool same_column =
            m->column && column ? strcmp(m->column, column) == 0 : m->column == column;

        if (m->kind == kind && same_schema && same_column && strcmp(m->rel.name, rel.name) == 0)
            return m;
    }
    return NULL;
}

static void chain(struct seen *s, int i)
{
    const struct made *m = &s->items[i];
    int *slot = &s->slots[slot_of(s, m->kind, m->rel.name, m->column)];

    s->next[i] = *slot;
    *slot = i + 1;
}

static void grow(struct seen *s)
{
    int cap = s->cap ? 2 * s->cap : 16;

    s->items = arena_grow(s->a, s->items, sizeof *s->items * (size_t) s->cap,
                          sizeof *s->items * (size_t) cap);
    s->cap = cap;
    s->slots = arena_array(s->a, int, cap);
    s->next = arena_array(s->a, int, cap);
    for (int i = 0; i < s->n; i++)
        chain(s, i);
}

struct made *seen_add(struct seen *s, enum made_kind kind, struct sql_rel rel, const char *column)
{
    if (s->n == s->cap)
        grow(s);
    s->items[s->n] = (struct made) {
        .kind = kind,
        .rel = {arena_strdup(s->a, rel.schema), arena_strdup(s->a, rel.name ? rel.name : "")},
        .column = arena_strdup(s->a, column),
        .text = s->text,
    };
    chain(s, s->n);
    return &s->items[s->n++];
}

bool sql_text_facts(struct seen *seen, const struct sql_text *text, struct sql_stmt **out,
                    int *out_n, struct problem_list *problems)
{
    AUTO(sql_parts) parts = {0};
    struct sql_stmt *stmts;

    if (!sql_split(seen->a, text, "the SQL", &parts, problems))
        return false;
    seen->text++;
    stmts = arena_array(seen->a, struct sql_stmt, parts.n + 1);
    for (int i = 0; i < parts.n; i++) {
        struct job job = {.a = seen->a,
                          .seen = seen,
                          .out = &stmts[i],
                          .node = tree_kind(parts.items[i].node),
                          .tree = tree_fields(parts.items[i].node)};

        stmts[i].sql = parts.items[i].sql;
        stmts[i].at = parts.items[i].at;
        if (!job.node)
            job.node = "statement";
        sql_classify(&job);
        sql_derive(&job);
        sql_relations(seen->a, parts.items[i].node, &stmts[i].relations);
    }
    *out = stmts;
    *out_n = parts.n;
    return true;
}

bool sql_facts(struct arena *a, const char *sql, struct pos at, struct sql_stmt **out, int *out_n,
               struct problem_list *problems)
{
    struct seen seen = {.a = a};
    struct sql_text text = {sql, at, false};

    return sql_text_facts(&seen, &text, out, out_n, problems);
}

void problem_with_rule(struct problem_list *problems, struct pos at, const char *rule,
                       const char *hint, const char *fmt, ...)
{
    int n = problems->n;
    AUTO(str) message = {0};
    va_list ap;

    va_start(ap, fmt);
    str_vaddf(&message, fmt, ap);
    va_end(ap);
    problem_add(problems, at, NULL, hint, "%s", str_text(&message));
    if (problems->n > n)
        problems->items[n].rule = rule;
}

/* Which statement of the migrations that a branch brings breaks something: as their texts show it. */
#include "check/blame.h"
#include "check/words.h"

#include "phasegate/lint.h"

#include <ctype.h>
#include <stdlib.h>

/* A dump with rows is no migration: the file is enough. */
enum { READ_MOST = 4 << 20 };

static void add(struct proof *p, const char *file, const struct sql_stmt *stmts, int n)
{
    p->suspects = arena_grow(p->a, p->suspects, sizeof *p->suspects * (size_t) p->n_suspects,
                             sizeof *p->suspects * (size_t) (p->n_suspects + 1));
    p->suspects[p->n_suspects++] = (struct suspect) {arena_strdup(p->a, file), stmts, n};
}

static int parse_statements(struct proof *p, const char *text, const char *file,
                            struct sql_stmt **stmts)
{
    AUTO(problem_list) unread = {0};
    int n = 0;

    return sql_facts(p->a, lint_without_psql(p->a, text),
                     (struct pos) {arena_strdup(p->a, file), 1, 1}, stmts, &n, &unread)
               ? n
               : 0;
}

static int read_statements(struct proof *p, const char *path, const char *file,
                           struct sql_stmt **stmts)
{
    AUTO(str) text = {.ceiling = READ_MOST + 1};
    AUTO(err) ignored = {0};

    return regular_read(path, file, READ_MOST, &text, &ignored)
               ? parse_statements(p, str_text(&text), file, stmts)
               : 0;
}

static int compare_sql(const void *left, const void *right)
{
    return strcmp(((const struct sql_stmt *) left)->sql, ((const struct sql_stmt *) right)->sql);
}

/* NULL: there was none of that name. */
static const struct given_file *as_it_was(const struct before_files *files, const char *file)
{
    const char *slash = strrchr(file, '/');

    for (int i = 0; i < files->n_files; i++)
        if (!files->is_folder || strcmp(files->files[i].name, slash ? slash + 1 : file) == 0)
            return &files->files[i];
    return NULL;
}

/* Of a file that was there before only what is other than it was. */
static int without_old(struct proof *p, const struct before_files *files, const char *file,
                       struct sql_stmt *stmts, int n)
{
    const struct given_file *then = as_it_was(files, file);
    struct sql_stmt *old = NULL;
    int n_old = 0, left = 0;

    if (then && !then->bytes)
        n_old = read_statements(p, then->path, file, &old);
    else if (then && then->n <= READ_MOST)
        n_old = parse_statements(p, arena_strndup(p->a, then->bytes, then->n), file, &old);
    if (n_old > 0)
        qsort(old, (size_t) n_old, sizeof *old, compare_sql);
    for (int i = 0; i < n; i++)
        if (n_old == 0 || !bsearch(&stmts[i], old, (size_t) n_old, sizeof *old, compare_sql))
            stmts[left++] = stmts[i];
    return left;
}

void suspects_read(struct proof *p, const struct before_files *files)
{
    const char *root = p->set->project.root;

    for (int i = 0; i < files->n_changed; i++) {
        const char *file = files->changed[i];
        const char *path = *file == '/' || !root ? file : arena_printf(p->a, "%s/%s", root, file);
        struct sql_stmt *stmts = NULL;
        int n = read_statements(p, path, file, &stmts);

        add(p, file, stmts, without_old(p, files, file, stmts, n));
    }
}

/* ---- who it was --------------------------------------------------------------------------------------------- */

/* The name that the server complains of; NULL: it names none. */
static const char *object_of(struct proof *p, const struct outcome *o)
{
    static const char *const before[] = {
        "column ",
        "relation ",
        "function ",
        "procedure ",
        "type ",
        "constraint ",
        "for table ",
        "for view ",
        "for sequence ",
        "for schema ",
        "for materialized view ",
        "schema ",
    };

    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        const char *name = missing_name(p, o->message, before[i]);

        if (name && *name)
            return arena_strndup(p->a, name, strcspn(name, "("));
    }
    return NULL;
}

static bool names_relation(const struct sql_stmt *s, const char *name)
{
    for (int i = 0; i < s->relations.n; i++)
        if (strcmp(s->relations.items[i].s, name) == 0)
            return true;
    return s->table && strcmp(s->table, name) == 0;
}

static bool meets(const struct sql_stmt *s, const struct query *q)
{
    for (int i = 0; i < q->facts.n_rels; i++)
        if (names_relation(s, q->facts.rels[i].name))
            return true;
    for (int i = 0; i < q->facts.n_writes; i++)
        if (q->facts.writes[i].table && names_relation(s, q->facts.writes[i].table))
            return true;
    return false;
}

/* 0: it has nothing to do with it. */
static int weight_of(const struct sql_stmt *s, const struct query *q, const char *object)
{
    bool names_it = object && has_word(s->sql, object);
    int weight = (names_it ? 4 : 0) + (meets(s, q) ? 3 : 0);

    if (weight > 0 && (s->class == SQL_DESTRUCTIVE || s->class == SQL_RESTRICTIVE ||
                       strstr(s->kind, "RENAME") || strstr(s->kind, "REVOKE")))
        weight += 2;
    return weight;
}

const struct suspect *suspect_of(struct proof *p, const struct query *q, const struct outcome *o,
                                 struct pos *at, const char **kind)
{
    const char *object = object_of(p, o);
    const struct suspect *found = NULL;
    int most = 0;

    *kind = NULL;
    for (int i = 0; i < p->n_suspects; i++)
        for (int k = 0; k < p->suspects[i].n_stmts; k++) {
            int weight = weight_of(&p->suspects[i].stmts[k], q, object);

            if (weight == 0 || weight < most)
                continue;
            most = weight;
            found = &p->suspects[i];
            *at = found->stmts[k].at;
            /* Of a dump it is only where the thing isn't as it was. */
            *kind = p->o->baseline_is_folder ? found->stmts[k].kind : NULL;
        }
    if (!found && p->n_suspects > 0) {
        found = &p->suspects[p->n_suspects - 1];
        *at = (struct pos) {found->file, 1, 1};
        found = p->n_suspects == 1 ? found : NULL;
    }
    return found;
}

/* What is put to the shadow instead of a statement that can't be put there as it is. */
#include "check/work.h"

#include <strings.h>

static const char *columns_of(struct arena *a, const struct fact_copy *c)
{
    AUTO(str) out = {0};

    for (int i = 0; i < c->columns.n; i++) {
        str_add(&out, i ? ", " : "");
        sql_ident(&out, c->columns.items[i].s);
    }
    return arena_strdup(a, c->columns.n ? str_text(&out) : "*");
}

/* Columns that options name and the condition of COPY ... FROM are looked at, and nothing hangs on what they say. */
static const char *condition_of(struct arena *a, const struct fact_copy *c)
{
    AUTO(str) out = {0};

    for (int i = 0; i < c->also.n; i++) {
        str_add(&out, " AND (");
        sql_ident(&out, c->also.items[i].s);
        str_add(&out, " IS NULL OR true)");
    }
    if (c->where)
        str_addf(&out, " AND (%s\n)", c->where);
    return arena_strdup(a, str_text(&out));
}

/* COPY t (a, b) TO STDOUT reads what SELECT a, b FROM t reads; COPY ... FROM STDIN writes what INSERT writes. */
const char *stand_in(struct arena *a, const struct statement_facts *f)
{
    const struct fact_copy *c = f->is_one_statement ? f->copy : NULL;
    AUTO(str) table = {0};

    if (!c)
        return f->is_one_statement ? f->prepares : NULL;
    if (c->query)
        return c->query;
    if (c->schema)
        sql_qualified(&table, c->schema, c->table);
    else
        sql_ident(&table, c->table);
    const char *columns = columns_of(a, c), *name = str_text(&table), *also = condition_of(a, c);
    if (!c->is_from)
        return arena_printf(a, "SELECT %s FROM %s%s%s", columns, name, *also ? " WHERE true" : "",
                            also);
    if (c->columns.n == 0)
        return arena_printf(a, "INSERT INTO %s SELECT * FROM %s WHERE false%s", name, name, also);
    /* COPY may give identity columns that are GENERATED ALWAYS a value, INSERT only if it says so. */
    return arena_printf(
        a, "INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s WHERE false%s", name,
        columns, columns, name, also);
}

const char *copy_outside(const struct query *q)
{
    const struct fact_copy *c = q->is_stand_in ? q->facts.copy : NULL;

    if (!c || c->end == COPY_CLIENT)
        return NULL;
    if (c->end == COPY_PROGRAM)
        return "pg_execute_server_program";
    return c->is_from ? "pg_read_server_files" : "pg_write_server_files";
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

    if (!q->facts.copy || q->facts.copy->query || q->facts.n_rels == 0)
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
    size_t n, at = statement_word(sql, &n);

    if (n == 3 && strncasecmp(sql + at, "set", 3) == 0) {
        size_t more, next = statement_word(sql + at + n, &more);
        return more == 11 && strncasecmp(sql + at + n + next, "constraints", 11) == 0;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) == n && strncasecmp(sql + at, words[i], n) == 0)
            return true;
    return false;
}

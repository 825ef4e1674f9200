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

/* Rows of COPY are what an INSERT of a text for each column is. A condition may keep any of them out. */
static bool takes_values(const struct fact_copy *c)
{
    return c && c->is_from && !c->where && c->also.n == 0;
}

static const char *parameters(struct arena *a, int n)
{
    AUTO(str) out = {0};

    for (int i = 0; i < n; i++)
        str_addf(&out, "%s$%d", i ? ", " : "", i + 1);
    return arena_strdup(a, str_text(&out));
}

static void add_table(struct str *out, const struct fact_copy *c)
{
    if (c->schema)
        sql_qualified(out, c->schema, c->table);
    else
        sql_ident(out, c->table);
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
    add_table(&table, c);
    const char *columns = columns_of(a, c), *name = str_text(&table), *also = condition_of(a, c);
    if (!c->is_from)
        return arena_printf(a, "SELECT %s FROM %s%s%s", columns, name, *also ? " WHERE true" : "",
                            also);
    if (c->columns.n == 0)
        return arena_printf(a, "INSERT INTO %s SELECT * FROM %s WHERE false%s", name, name, also);
    /* COPY may give identity columns that are GENERATED ALWAYS a value, INSERT only if it says so. */
    if (takes_values(c))
        return arena_printf(a, "INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE VALUES (%s)", name,
                            columns, parameters(a, c->columns.n));
    return arena_printf(
        a, "INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s WHERE false%s", name,
        columns, columns, name, also);
}

void stand_in_note(struct query *q)
{
    const struct fact_copy *c = q->is_stand_in ? q->facts.copy : NULL;

    for (int i = 0; takes_values(c) && q->facts.n_writes == 1 && i < c->columns.n; i++)
        q->facts.writes[0].params[i] = i + 1;
}

bool copy_goes_by_place(const struct query *q)
{
    const struct fact_copy *c = q->is_stand_in ? q->facts.copy : NULL;

    return c && c->is_from && !c->query && c->columns.n == 0;
}

bool copy_may_go_by_place(const char *sql)
{
    size_t n, at = statement_word(sql, &n);

    return n == 4 && strncasecmp(sql + at, "copy", n) == 0;
}

/* Those of which a line of the data has a value. */
static int places_of(const struct cat_relation *r)
{
    int n = 0;

    for (int i = 0; i < r->n_columns; i++)
        n += !r->columns[i].is_generated;
    return n;
}

static const struct cat_relation *copied(const struct proof *p, const struct query *q)
{
    const struct fact_rel *f = &q->facts.rels[0];

    return q->facts.n_rels == 0
               ? NULL
               : cat_find(&p->now, p->sessions[q->session].search_path, f->schema, f->name);
}

void copy_write_out(struct proof *p, struct query *q)
{
    const struct cat_relation *r = copied(p, q);
    AUTO(str) sql = {0};

    q->writes_out = -1;
    if (!r)
        return;
    q->places = places_of(r);
    /* Places and parameters are told apart by generated columns between the others. */
    bool in_order = takes_values(q->facts.copy) && q->places > 0;
    for (int i = 0; i < q->places; i++)
        in_order = in_order && !r->columns[i].is_generated;
    if (in_order) {
        str_add(&sql, "INSERT INTO ");
        add_table(&sql, q->facts.copy);
        str_addf(&sql, " OVERRIDING SYSTEM VALUE VALUES (%s)", parameters(p->scratch, q->places));
        q->sql = arena_strdup(p->a, str_text(&sql));
    }
    /* It was asked before its release was there, with other parameters. */
    q->has_args = q->runs = false;
    q->n_sets = 0;
    q->clears = NULL;
    q->chain = q->chain ? print_text(q->chain, q->sql) + (uint64_t) q->places : 0;
    q->probed_state = -1;
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

/* What a line of the data is one too many of, or has none of; NULL: it fits. */
static const char *misplaced(struct proof *p, const struct query *q, const struct cat_relation *r)
{
    int n = q->places && copy_goes_by_place(q) ? places_of(r) : 0, k = 0;

    if (n == 0 || n == q->places)
        return NULL;
    for (int i = 0; n > q->places && i < r->n_columns; i++)
        if (!r->columns[i].is_generated && k++ == q->places)
            return arena_printf(p->a, "missing data for column \"%s\"", r->columns[i].name);
    return "extra data after last expected column";
}

/* Which relations it can't be of. */
static const char *wrong_kind(struct proof *p, const struct query *q, const struct cat_relation *r)
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

    for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
        bool does = no[i].kind == r->kind && no[i].to == to;

        for (int k = 0; does && !to && k < r->n_triggers; k++)
            does = !strstr(r->triggers[k].definition, "INSTEAD OF INSERT");
        if (does)
            return arena_printf(p->a, "cannot copy %s %s \"%s\"", to ? "from" : "to", no[i].words,
                                r->name);
    }
    return NULL;
}

const struct wire_result *copy_refused(struct proof *p, const struct query *q)
{
    const struct cat_relation *r =
        q->is_stand_in && q->facts.copy && !q->facts.copy->query ? copied(p, q) : NULL;
    const char *role = p->sessions[q->session].role;
    struct wire_result *out = arena_new(p->scratch, struct wire_result);

    if (!r)
        return NULL;
    if ((out->message = wrong_kind(p, q, r)) != NULL)
        memcpy(out->sqlstate, "42809", 6);
    else if ((out->message = misplaced(p, q, r)) != NULL)
        memcpy(out->sqlstate, "22P04", 6);
    else if (q->facts.n_writes > 0 && r->has_rls && role && strcmp(role, r->owner) != 0) {
        out->message = "COPY FROM not supported with row-level security";
        memcpy(out->sqlstate, "0A000", 6);
    }
    return out->message ? out : NULL;
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

/* Rows that were made hold what is ours, and may be nothing that the table ever had. A CHECK refuses what a backfill makes
 * of them: does it work with values that the check or the backfill itself speaks of? Then the rows have those. A new
 * foreign key refuses them: where there are parents, the rows point at one of them.
 */
#include "check/words.h"
#include "check/work.h"

enum { TRIES_MAX = 60 };

struct fitting {
    struct proof *p;
    const char *backfill; /* its UPDATE */
    const struct cat_relation *r;
    int tries;
};

static bool run(struct fitting *f, const char *update, const char *value, bool keeps,
                struct wire_result *out, struct err *err)
{
    struct wire_op ops[5] = {{.kind = WIRE_RUN, .sql = "BEGIN"},
                             {.kind = WIRE_RUN, .sql = "SET LOCAL phasegate.backfill = 'on'"}};
    struct wire_result r[5] = {0};
    int n = 2;

    if (update)
        ops[n++] = (struct wire_op) {.kind = WIRE_RUN, .sql = update, .args = &value, .n_args = 1};
    if (!keeps)
        ops[n++] = (struct wire_op) {.kind = WIRE_RUN, .sql = f->backfill};
    ops[n - 1].sync = !keeps;
    ops[n++] =
        (struct wire_op) {.kind = WIRE_RUN, .sql = keeps ? "COMMIT" : "ROLLBACK", .sync = true};
    if (!wire_run(f->p->owner, f->p->scratch, ops, n, r, err))
        return false;
    *out = r[n - 2];
    return true;
}

static void note(struct proof *p, const struct cat_relation *r, const char *column,
                 const char *value)
{
    for (int i = 0; i < p->n_seeds; i++) {
        struct seed *s = &p->seeds[i];

        for (int k = 0; s->relation == r->oid && k < s->shape->n_columns; k++)
            if (strcmp(s->shape->columns[k].name, column) == 0)
                s->values[k] = arena_strdup(p->a, value);
    }
}

static bool try_column(struct fitting *f, const struct cat_column *c, const char *text, bool *fits,
                       struct err *err)
{
    const char *value;
    AUTO(str) sql = {0};

    cat_add_update(&sql, f->r, c->name);
    str_addf(&sql, "$1::pg_catalog.text::%s", c->type_text);
    for (int nth = 0; !*fits && f->tries < TRIES_MAX; nth++, f->tries++) {
        struct wire_result r = {0};
        int n = nth;

        if (!(value = constant_of(f->p->scratch, text, &n)))
            break;
        if (!run(f, str_text(&sql), value, false, &r, err))
            return false;
        *fits = r.ok && !r.skipped;
        if (*fits && !run(f, str_text(&sql), value, true, &r, err))
            return false;
        if (*fits)
            note(f->p, f->r, c->name, value);
    }
    return true;
}

static const char *definition_of(const struct fitting *f, const char *name)
{
    for (int i = 0; name && i < f->r->n_constraints; i++)
        if (strcmp(f->r->constraints[i].name, name) == 0)
            return f->r->constraints[i].definition;
    return "";
}

bool fitting_rows(struct proof *p, const char *schema, const char *table, const char *backfill,
                  struct err *err)
{
    struct fitting f = {.p = p, .backfill = backfill, .r = cat_find(&p->now, NULL, schema, table)};
    const struct cat_relation *first = f.r ? cat_by_oid(&p->baseline, f.r->oid) : NULL;
    const struct seed *seed = first ? seed_of(p, first->oid) : NULL;
    struct wire_result r = {0};
    bool fits = false;

    if (!seed || seed->is_found)
        return true;
    if (!run(&f, NULL, NULL, false, &r, err))
        return false;
    if (r.ok || strcmp(r.sqlstate, "23514") != 0)
        return true;
    const char *texts[] = {
        definition_of(&f, quoted_name(p->scratch, r.message, "check constraint")), backfill};
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
        for (int i = 0; i < first->n_columns && !fits; i++) {
            const struct cat_column *c = cat_column(f.r, first->columns[i].name);

            if (c && has_name(backfill, c->name) && !cat_is_in_key(f.r, c) && !c->is_generated &&
                !try_column(&f, c, texts[t], &fits, err))
                return false;
        }
    return true;
}

/* "Key (a, b)=(1, 2) is not present in table ...": the columns; 0: they aren't understood. */
static int key_of(struct proof *p, const struct cat_relation *r, const char *detail,
                  const struct cat_column **out)
{
    const char *s = detail ? strchr(detail, '(') : NULL, *end = s ? strstr(s, ")=(") : NULL;
    int n = 0;

    while (end && s < end && n < CAT_KEYS) {
        size_t len = strcspn(++s, ",)");
        const char *name = arena_strndup(p->scratch, s, len);

        if (!(out[n++] = cat_column(r, name)))
            return 0;
        s += len;
        s += *s == ',';
    }
    return n;
}

/* What they point at: by the foreign key where it is there already, else the primary key. */
static bool parents_key(const struct cat_relation *r, const struct cat_relation *parent,
                        const char *name, int n, const struct cat_column **out)
{
    const struct cat_constraint *found = NULL;
    bool is_own = false;

    for (int i = 0; i < r->n_constraints && !found; i++)
        if (r->constraints[i].type == 'f' && strcmp(r->constraints[i].name, name) == 0) {
            found = &r->constraints[i];
            is_own = true;
        }
    for (int i = 0; i < parent->n_constraints && !found; i++)
        if (parent->constraints[i].type == 'p')
            found = &parent->constraints[i];
    for (int i = 0; found && found->n_columns == n && i < n; i++)
        out[i] = cat_column_number(parent, is_own ? found->other_columns[i] : found->columns[i]);
    return found && found->n_columns == n;
}

static void add_columns(struct str *sql, const struct cat_column **columns, int n, const char *as)
{
    for (int i = 0; i < n; i++) {
        str_add(sql, i ? ", " : "");
        sql_ident(sql, columns[i]->name);
        str_add(sql, as);
    }
}

/* All rows point at the same parent: the first by its key, so that another run has it as well. */
static const char *move_sql(struct proof *p, const struct cat_relation *r,
                            const struct cat_column **own, const struct cat_relation *parent,
                            const struct cat_column **keys, int n)
{
    AUTO(str) sql = {0};

    str_add(&sql, "UPDATE ");
    sql_qualified(&sql, r->schema, r->name);
    str_add(&sql, " SET (");
    add_columns(&sql, own, n, "");
    str_add(&sql, ") = (SELECT ");
    add_columns(&sql, keys, n, "");
    str_add(&sql, " FROM ");
    sql_qualified(&sql, parent->schema, parent->name);
    str_add(&sql, " ORDER BY ");
    add_columns(&sql, keys, n, "");
    str_add(&sql, " LIMIT 1) WHERE EXISTS (SELECT FROM ");
    sql_qualified(&sql, parent->schema, parent->name);
    str_add(&sql, ") RETURNING ");
    add_columns(&sql, own, n, "::pg_catalog.text");
    return arena_strdup(p->scratch, str_text(&sql));
}

/* A message names no schema. NULL: none, or there are several. */
static const struct cat_relation *only_one_named(const struct proof *p, const char *name)
{
    const struct cat_relation *found = NULL;

    for (int i = 0; name && i < p->now.n_relations; i++) {
        const struct cat_relation *r = &p->now.relations[i];

        if (!cat_is_table(r) || strcmp(r->name, name) != 0)
            continue;
        if (found)
            return NULL;
        found = r;
    }
    return found;
}

bool fitting_parents(struct proof *p, const struct wire_result *refused, bool *fits,
                     struct err *err)
{
    const char *table = quoted_name(p->scratch, refused->message, "on table"),
               *name = quoted_name(p->scratch, refused->message, "foreign key constraint"),
               *other = quoted_name(p->scratch, refused->detail, "not present in table");
    const struct cat_relation *r = only_one_named(p, table), *parent = only_one_named(p, other);
    const struct seed *seed = r ? seed_of(p, r->oid) : NULL;
    const struct cat_column *own[CAT_KEYS], *keys[CAT_KEYS];
    struct wire_result result = {0};
    int n;

    *fits = false;
    if (strcmp(refused->sqlstate, "23503") != 0 || !seed || seed->is_found || !name || !parent ||
        (n = key_of(p, r, refused->detail, own)) == 0 || !parents_key(r, parent, name, n, keys))
        return true;
    if (!wire_exec(p->owner, p->scratch, move_sql(p, r, own, parent, keys, n), true, &result, err))
        return false;
    *fits = result.ok && result.n_rows > 0;
    for (int i = 0; *fits && i < n; i++)
        note(p, r, own[i]->name, result.cell[0][i]);
    return true;
}

/* How a thing is hidden on the shadow, comes back and goes for good: as the engine would do it. */
#include "check/work.h"

#include "sql_embedded.h"

/* A soft drop's hidden name carries the day on which it happens; here no day may show. */
#define HIDDEN_AT INT64_C(0)

static void list_add(struct proof *p, struct sql_list *l, const char *sql)
{
    l->items = arena_grow(p->a, l->items, sizeof *l->items * (size_t) l->n,
                          sizeof *l->items * (size_t) (l->n + 1));
    l->items[l->n++] = arena_strdup(p->a, sql);
}

/* What the catalogue says an index, constraint or trigger is, so that it can be made again. */
static void definition_of(struct proof *p, const struct sql_stmt *s, struct hidden *h)
{
    AUTO(str) sql = {0};

    list_add(p, &h->drop, s->sql);
    for (int i = 0; i < p->now.n_relations; i++) {
        const struct cat_relation *r = &p->now.relations[i];

        for (int k = 0; s->drop == DROP_INDEX && k < r->n_indexes; k++)
            if (s->object && strcmp(r->indexes[k].name, s->object) == 0)
                list_add(p, &h->restore, r->indexes[k].definition);
        if (!s->table || strcmp(r->name, s->table) != 0 || !s->object)
            continue;
        for (int k = 0; s->drop == DROP_TRIGGER && k < r->n_triggers; k++)
            if (strcmp(r->triggers[k].name, s->object) == 0)
                list_add(p, &h->restore, r->triggers[k].definition);
        for (int k = 0; s->drop == DROP_CONSTRAINT && k < r->n_constraints; k++)
            if (strcmp(r->constraints[k].name, s->object) == 0) {
                str_add(&sql, "ALTER TABLE ");
                sql_qualified(&sql, r->schema, r->name);
                str_add(&sql, " ADD CONSTRAINT ");
                sql_ident(&sql, s->object);
                str_addf(&sql, " %s", r->constraints[k].definition);
                list_add(p, &h->restore, str_text(&sql));
            }
    }
}

static void hide_column(struct proof *p, const struct sql_stmt *s, const struct cat_relation *r,
                        struct hidden *h)
{
    const struct cat_column *c = cat_column(r, s->object);
    bool in_key = false;

    for (int i = 0; i < r->n_constraints; i++)
        for (int k = 0; k < r->constraints[i].n_columns; k++)
            in_key |= r->constraints[i].type == 'p' && r->constraints[i].columns[k] == c->number;
    struct column_facts f = {.schema = r->schema,
                             .table = r->name,
                             .column = s->object,
                             .not_null = c->not_null && !c->is_identity && !in_key};
    h->table = arena_strdup(p->a, r->name); /* the catalogue of a state goes with it */
    h->column = s->object;
    h->hidden_name = soft_drop_name(p->a, s->object, HIDDEN_AT);
    soft_drop_column_sql(p->a, &f, h->hidden_name, &h->drop, &h->restore, &h->purge);
}

static void hide_keys(struct proof *p, const struct cat_relation *r, struct hidden *h)
{
    struct foreign_key *keys = NULL;
    int n = 0;

    for (int i = 0; i < p->now.n_relations; i++) {
        const struct cat_relation *other = &p->now.relations[i];

        for (int k = 0; other != r && k < other->n_constraints; k++) {
            const struct cat_constraint *c = &other->constraints[k];
            if (c->type != 'f' || c->other != r->oid || c->is_inherited)
                continue;
            keys = arena_grow(p->scratch, keys, sizeof *keys * (size_t) n,
                              sizeof *keys * (size_t) (n + 1));
            keys[n++] = (struct foreign_key) {other->schema, other->name, c->name, c->definition};
        }
    }
    soft_drop_keys_sql(p->a, keys, n, &h->drop, &h->restore);
}

/* The bound of a partition is nowhere in the catalogue of a state. */
static bool hide_from_parents(struct proof *p, const struct cat_relation *r, struct hidden *h,
                              struct err *err)
{
    const char *const args[] = {r->schema, r->name};
    struct wire_op op = {.kind = WIRE_RUN,
                         .sql = sql_select_parents,
                         .args = args,
                         .n_args = 2,
                         .keep_rows = true,
                         .sync = true};
    struct wire_result found = {0};

    if (!wire_run(p->root, p->scratch, &op, 1, &found, err))
        return false;
    int n = found.ok && found.cell ? found.n_rows : 0;
    struct table_parent *parents = arena_array(p->scratch, struct table_parent, n + 1);
    for (int i = 0; i < n; i++)
        parents[i] = (struct table_parent) {found.cell[i][0], found.cell[i][1], found.cell[i][2]};
    soft_drop_parents_sql(p->a, r->schema, r->name, parents, n, &h->drop, &h->restore);
    return true;
}

bool hide_plan(struct proof *p, const struct sql_stmt *s, struct hidden *h, bool *found,
               struct err *err)
{
    const char *name = s->drop == DROP_VIEW && s->object ? s->object : s->table;
    const struct cat_relation *r = name ? cat_find(&p->now, NULL, s->schema, name) : NULL;

    if (s->drop == DROP_INDEX || s->drop == DROP_CONSTRAINT || s->drop == DROP_TRIGGER) {
        definition_of(p, s, h);
        *found = true;
        return true;
    }
    *found = r && (s->drop != DROP_COLUMN || cat_column(r, s->object));
    if (!*found)
        return true;
    if (s->drop == DROP_COLUMN) {
        hide_column(p, s, r, h);
        return true;
    }
    const char *kind = s->drop == DROP_TABLE             ? "TABLE"
                       : strstr(s->kind, "MATERIALIZED") ? "MATERIALIZED VIEW"
                                                         : "VIEW";
    h->table = arena_strdup(p->a, r->name); /* the catalogue of a state goes with it */
    h->hidden_name = soft_drop_name(p->a, r->name, HIDDEN_AT);
    soft_drop_relation_sql(p->a, kind, r->schema, r->name, h->hidden_name, &h->drop, &h->restore,
                           &h->purge);
    if (s->drop == DROP_TABLE && !hide_from_parents(p, r, h, err))
        return false;
    if (s->drop == DROP_TABLE && s->cascades)
        hide_keys(p, r, h);
    return true;
}

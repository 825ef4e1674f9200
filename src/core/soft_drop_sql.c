/* Soft drop: hide, so that it can come back in milliseconds; and the drop itself for the purge. Pure. */
#include "generate_int.h"

#include "phasegate/names.h"

#include <string.h>

const char *soft_drop_name(struct arena *a, const char *name, int64_t epoch_ms)
{
    char stamp[15];

    time_to_stamp(epoch_ms / 1000, stamp);
    return generate_name(a, arena_printf(a, "_drop_%.8s_", stamp), name);
}

static void alter(struct str *s, const char *schema, const char *table)
{
    str_add(s, "ALTER TABLE ");
    sql_qualified(s, schema, table);
}

/* "SELECT", or "SELECT WITH GRANT OPTION". */
static void grant(struct str *s, const struct column_facts *c, const struct pair *g, bool give,
                  const char *column)
{
    static const char option[] = " WITH GRANT OPTION";
    size_t len = strlen(g->value.s), cut = strlen(option);
    bool with_option = len > cut && strcmp(g->value.s + len - cut, option) == 0;

    str_add(s, give ? "GRANT " : "REVOKE ");
    str_addn(s, g->value.s, with_option ? len - cut : len);
    str_add(s, " (");
    sql_ident(s, column);
    str_add(s, ") ON ");
    sql_qualified(s, c->schema, c->table);
    str_add(s, give ? " TO " : " FROM ");
    if (strcmp(g->key.s, "PUBLIC") == 0)
        str_add(s, "PUBLIC");
    else
        sql_ident(s, g->key.s);
    if (give && with_option)
        str_add(s, option);
}

void soft_drop_column_sql(struct arena *a, const struct column_facts *c, const char *hidden,
                          struct sql_list *drop, struct sql_list *restore, struct sql_list *purge)
{
    AUTO(str) s = {0};

    memset(drop, 0, sizeof *drop);
    memset(restore, 0, sizeof *restore);
    memset(purge, 0, sizeof *purge);
    if (c->not_null) {
        alter(&s, c->schema, c->table);
        str_add(&s, " ALTER COLUMN ");
        sql_ident(&s, c->column);
        str_add(&s, " DROP NOT NULL");
        sql_list_take(a, drop, &s);
    }
    for (int i = 0; i < c->grants.n; i++) {
        grant(&s, c, &c->grants.items[i], false, c->column);
        sql_list_take(a, drop, &s);
    }
    alter(&s, c->schema, c->table);
    str_add(&s, " RENAME COLUMN ");
    sql_ident(&s, c->column);
    str_add(&s, " TO ");
    sql_ident(&s, hidden);
    sql_list_take(a, drop, &s);

    alter(&s, c->schema, c->table);
    str_add(&s, " RENAME COLUMN ");
    sql_ident(&s, hidden);
    str_add(&s, " TO ");
    sql_ident(&s, c->column);
    sql_list_take(a, restore, &s);
    for (int i = 0; i < c->grants.n; i++) {
        grant(&s, c, &c->grants.items[i], true, c->column);
        sql_list_take(a, restore, &s);
    }
    if (c->not_null) {
        alter(&s, c->schema, c->table);
        str_add(&s, " ALTER COLUMN ");
        sql_ident(&s, c->column);
        str_add(&s, " SET NOT NULL");
        sql_list_take(a, restore, &s);
    }

    /* A later step of the same plan may have hidden the whole table: then it goes with that. */
    str_add(&s, "ALTER TABLE IF EXISTS ");
    sql_qualified(&s, c->schema, c->table);
    str_add(&s, " DROP COLUMN IF EXISTS ");
    sql_ident(&s, hidden);
    sql_list_take(a, purge, &s);
}

void soft_drop_relation_sql(struct arena *a, const char *kind, const char *schema,
                            const char *table, const char *hidden, struct sql_list *drop,
                            struct sql_list *restore, struct sql_list *purge)
{
    AUTO(str) s = {0};

    memset(drop, 0, sizeof *drop);
    memset(restore, 0, sizeof *restore);
    memset(purge, 0, sizeof *purge);
    str_add(&s, "CREATE SCHEMA IF NOT EXISTS " HOLD_SCHEMA);
    sql_list_take(a, drop, &s);
    /* Under its new name before it moves: the old one may be taken where it goes. Back in reverse. */
    alter(&s, schema, table);
    str_add(&s, " RENAME TO ");
    sql_ident(&s, hidden);
    sql_list_take(a, drop, &s);
    alter(&s, schema, hidden);
    str_add(&s, " SET SCHEMA " HOLD_SCHEMA);
    sql_list_take(a, drop, &s);

    alter(&s, HOLD_SCHEMA, hidden);
    str_add(&s, " SET SCHEMA ");
    sql_ident(&s, schema);
    sql_list_take(a, restore, &s);
    alter(&s, schema, hidden);
    str_add(&s, " RENAME TO ");
    sql_ident(&s, table);
    sql_list_take(a, restore, &s);

    str_addf(&s, "DROP %s IF EXISTS ", kind);
    sql_qualified(&s, HOLD_SCHEMA, hidden);
    sql_list_take(a, purge, &s);
}

static void list_append(struct arena *a, struct sql_list *to, const struct sql_list *from)
{
    AUTO(str) s = {0};

    for (int i = 0; i < from->n; i++) {
        str_add(&s, from->items[i]);
        sql_list_take(a, to, &s);
    }
}

void soft_drop_keys_sql(struct arena *a, const struct foreign_key *keys, int n,
                        struct sql_list *drop, struct sql_list *restore)
{
    struct sql_list first = {0};
    AUTO(str) s = {0};

    for (int i = 0; i < n; i++) {
        alter(&s, keys[i].schema, keys[i].table);
        str_add(&s, " DROP CONSTRAINT ");
        sql_ident(&s, keys[i].name);
        sql_list_take(a, &first, &s);
        alter(&s, keys[i].schema, keys[i].table);
        str_add(&s, " ADD CONSTRAINT ");
        sql_ident(&s, keys[i].name);
        str_addf(&s, " %s", keys[i].definition);
        sql_list_take(a, restore, &s);
    }
    list_append(a, &first, drop);
    *drop = first;
}

/* "ALTER TABLE parent DETACH PARTITION child" */
static void of_parent(struct arena *a, const struct table_parent *parent, const char *verb,
                      const char *schema, const char *table, const char *tail, struct sql_list *out)
{
    AUTO(str) s = {0};

    if (parent->bound) {
        alter(&s, parent->schema, parent->table);
        str_addf(&s, " %s PARTITION ", verb);
        sql_qualified(&s, schema, table);
        str_addf(&s, "%s%s", tail ? " " : "", tail ? tail : "");
    } else {
        alter(&s, schema, table);
        str_addf(&s, " %s ", verb);
        sql_qualified(&s, parent->schema, parent->table);
    }
    sql_list_take(a, out, &s);
}

void soft_drop_parents_sql(struct arena *a, const char *schema, const char *table,
                           const struct table_parent *parents, int n, struct sql_list *drop,
                           struct sql_list *restore)
{
    struct sql_list first = {0};

    for (int i = 0; i < n; i++) {
        const struct table_parent *p = &parents[i];

        of_parent(a, p, p->bound ? "DETACH" : "NO INHERIT", schema, table, NULL, &first);
        of_parent(a, p, p->bound ? "ATTACH" : "INHERIT", schema, table, p->bound, restore);
    }
    list_append(a, &first, drop);
    *drop = first;
}

void soft_drop_table_sql(struct arena *a, const char *schema, const char *table, const char *hidden,
                         struct sql_list *drop, struct sql_list *restore, struct sql_list *purge)
{
    soft_drop_relation_sql(a, "TABLE", schema, table, hidden, drop, restore, purge);
}

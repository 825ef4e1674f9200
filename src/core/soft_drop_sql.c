/* Soft drop: hide, so that it can come back in milliseconds; and the drop itself for the purge. Pure. */
#include "phasegate/generate.h"
#include "phasegate/names.h"

#include <string.h>

const char *soft_drop_name(struct arena *a, const char *name, int64_t epoch_ms)
{
    char stamp[15];

    time_to_stamp(epoch_ms / 1000, stamp);
    /* 63 bytes, cut between UTF-8 characters. */
    int room = 63 - (int) strlen("_drop_yyyymmdd_"), len = (int) strlen(name);
    if (len > room) {
        len = room;
        while (len > 0 && ((unsigned char) name[len] & 0xC0) == 0x80)
            len--;
    }
    return arena_printf(a, "_drop_%.8s_%.*s", stamp, len, name);
}

static void add_item(struct arena *a, struct sql_list *l, struct str *sql)
{
    l->items = arena_grow(a, l->items, sizeof *l->items * (size_t) l->n, sizeof *l->items * (size_t) (l->n + 1));
    l->items[l->n++] = arena_strdup(a, str_text(sql));
    str_clear(sql);
}

static void alter(struct str *s, const char *schema, const char *table)
{
    str_add(s, "ALTER TABLE ");
    sql_qualified(s, schema, table);
}

static void grant(struct str *s, const struct column_facts *c, const struct pair *g, bool give, const char *column)
{
    str_addf(s, "%s %s (", give ? "GRANT" : "REVOKE", g->value.s);
    sql_ident(s, column);
    str_add(s, ") ON ");
    sql_qualified(s, c->schema, c->table);
    str_add(s, give ? " TO " : " FROM ");
    if (strcmp(g->key.s, "PUBLIC") == 0)
        str_add(s, "PUBLIC");
    else
        sql_ident(s, g->key.s);
}

void soft_drop_column_sql(struct arena *a, const struct column_facts *c, const char *hidden, struct sql_list *drop,
                          struct sql_list *restore, struct sql_list *purge)
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
        add_item(a, drop, &s);
    }
    for (int i = 0; i < c->grants.n; i++) {
        grant(&s, c, &c->grants.items[i], false, c->column);
        add_item(a, drop, &s);
    }
    alter(&s, c->schema, c->table);
    str_add(&s, " RENAME COLUMN ");
    sql_ident(&s, c->column);
    str_add(&s, " TO ");
    sql_ident(&s, hidden);
    add_item(a, drop, &s);

    alter(&s, c->schema, c->table);
    str_add(&s, " RENAME COLUMN ");
    sql_ident(&s, hidden);
    str_add(&s, " TO ");
    sql_ident(&s, c->column);
    add_item(a, restore, &s);
    for (int i = 0; i < c->grants.n; i++) {
        grant(&s, c, &c->grants.items[i], true, c->column);
        add_item(a, restore, &s);
    }
    if (c->not_null) {
        alter(&s, c->schema, c->table);
        str_add(&s, " ALTER COLUMN ");
        sql_ident(&s, c->column);
        str_add(&s, " SET NOT NULL");
        add_item(a, restore, &s);
    }

    alter(&s, c->schema, c->table);
    str_add(&s, " DROP COLUMN IF EXISTS ");
    sql_ident(&s, hidden);
    add_item(a, purge, &s);
}

void soft_drop_table_sql(struct arena *a, const char *schema, const char *table, const char *hidden,
                         struct sql_list *drop, struct sql_list *restore, struct sql_list *purge)
{
    AUTO(str) s = {0};

    memset(drop, 0, sizeof *drop);
    memset(restore, 0, sizeof *restore);
    memset(purge, 0, sizeof *purge);
    str_add(&s, "CREATE SCHEMA IF NOT EXISTS " HOLD_SCHEMA);
    add_item(a, drop, &s);
    alter(&s, schema, table);
    str_add(&s, " SET SCHEMA " HOLD_SCHEMA);
    add_item(a, drop, &s);
    alter(&s, HOLD_SCHEMA, table);
    str_add(&s, " RENAME TO ");
    sql_ident(&s, hidden);
    add_item(a, drop, &s);

    alter(&s, HOLD_SCHEMA, hidden);
    str_add(&s, " RENAME TO ");
    sql_ident(&s, table);
    add_item(a, restore, &s);
    alter(&s, HOLD_SCHEMA, table);
    str_add(&s, " SET SCHEMA ");
    sql_ident(&s, schema);
    add_item(a, restore, &s);

    str_add(&s, "DROP TABLE IF EXISTS ");
    sql_qualified(&s, HOLD_SCHEMA, hidden);
    add_item(a, purge, &s);
}

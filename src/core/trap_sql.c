/* Who still writes what is hidden: triggers that record it. Pure. */
#include "generate_int.h"

#include "phasegate/names.h"

#include <string.h>

/* Before other BEFORE triggers of the table (they fire by name): what those fill in nobody has written. */
#define TRAP_PREFIX "00_phasegate_trap_"

static const char *trap_name(struct arena *a, const struct trap_facts *f, const char *kind)
{
    return generate_name(a, arena_printf(a, TRAP_PREFIX "%s", kind),
                         arena_printf(a, "%s_%s", f->plan, f->step));
}

static void trap_begin(struct arena *a, struct str *s, const struct trap_facts *f, const char *kind,
                       const char *events)
{
    str_add(s, "CREATE TRIGGER ");
    sql_ident(s, trap_name(a, f, kind));
    str_addf(s, " BEFORE %s", events);
    if (strncmp(events, "UPDATE OF", strlen("UPDATE OF")) == 0)
        sql_ident(s, f->column);
    str_add(s, " ON ");
    sql_qualified(s, f->schema, f->table);
}

static void trap_end(struct str *s, const struct trap_facts *f)
{
    str_add(s, " EXECUTE FUNCTION phasegate.trap(");
    sql_literal(s, f->plan);
    str_add(s, ", ");
    sql_literal(s, f->step);
    str_add(s, ")");
}

/* A row says nothing about what its statement gave; but who gives nothing gets the default. Texts are compared, for
 * not every type can be. */
static void given(struct str *s, const struct trap_facts *f)
{
    str_add(s, " FOR EACH ROW WHEN (");
    if (!f->default_sql) {
        str_add(s, "NOT (NEW.");
        sql_ident(s, f->column);
        str_add(s, " IS NULL))");
        return;
    }
    str_add(s, "CAST(NEW.");
    sql_ident(s, f->column);
    str_addf(s,
             " AS pg_catalog.text) IS DISTINCT FROM CAST(CAST((%s\n) AS %s) AS pg_catalog.text))",
             f->default_sql, f->type);
}

static void prepend(struct arena *a, struct sql_list *l, const struct sql_list *first)
{
    struct sql_list whole = {arena_array(a, const char *, l->n + first->n + 1), 0};

    for (int i = 0; i < first->n; i++)
        whole.items[whole.n++] = first->items[i];
    for (int i = 0; i < l->n; i++)
        whole.items[whole.n++] = l->items[i];
    *l = whole;
}

static void remove_one(struct arena *a, struct sql_list *l, const struct trap_facts *f,
                       const char *kind)
{
    AUTO(str) s = {0};

    str_add(&s, "DROP TRIGGER IF EXISTS ");
    sql_ident(&s, trap_name(a, f, kind));
    str_add(&s, " ON ");
    sql_qualified(&s, f->schema, f->table);
    sql_list_take(a, l, &s);
}

static void trap_table(struct arena *a, const struct trap_facts *f, struct sql_list *drop,
                       struct sql_list *restore)
{
    struct sql_list gone = {0};
    AUTO(str) s = {0};

    trap_begin(a, &s, f, "",
               f->by_rows ? "INSERT OR UPDATE OR DELETE"
                          : "INSERT OR UPDATE OR DELETE OR TRUNCATE");
    str_add(&s, f->by_rows ? " FOR EACH ROW" : " FOR EACH STATEMENT");
    trap_end(&s, f);
    sql_list_take(a, drop, &s);
    remove_one(a, &gone, f, "");
    prepend(a, restore, &gone);
}

void trap_sql(struct arena *a, const struct trap_facts *f, struct sql_list *drop,
              struct sql_list *restore, struct sql_list *purge)
{
    struct sql_list gone = {0};
    AUTO(str) s = {0};

    if (!f->column) {
        trap_table(a, f, drop, restore);
        return;
    }
    if (f->is_computed)
        return;
    trap_begin(a, &s, f, "u_", "UPDATE OF ");
    str_add(&s, " FOR EACH ROW");
    trap_end(&s, f);
    sql_list_take(a, drop, &s);
    remove_one(a, &gone, f, "u_");
    if (!f->default_sql || f->default_is_same) {
        trap_begin(a, &s, f, "i_", "INSERT");
        given(&s, f);
        trap_end(&s, f);
        sql_list_take(a, drop, &s);
        remove_one(a, &gone, f, "i_");
    }
    prepend(a, restore, &gone);
    prepend(a, purge, &gone);
}

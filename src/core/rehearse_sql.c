/* What a rehearsal asks: sums over rows, and the statements of releases with made-up values. Pure. */
#include "phasegate/rehearse_sql.h"
#include "phasegate/names.h"

#include <string.h>

/* A sum, so that the order of rows doesn't matter; of numeric, so that it can't overflow. */
static void sum_of(struct str *s, const char *expression)
{
    str_addf(s,
             "coalesce(pg_catalog.sum(pg_catalog.hashtextextended(%s, 0)), "
             "0)::pg_catalog.text",
             expression);
}

const char *rehearse_sums_sql(struct arena *a, const char *schema, const char *table,
                              const char *const *columns, int n)
{
    AUTO(str) s = {0}, row = {0};

    for (int i = 0; i < n; i++) {
        str_add(&row, i ? ", t." : "ROW(t.");
        sql_ident(&row, columns[i]);
    }
    str_add(&row, n ? ")::pg_catalog.text" : "''");
    str_add(&s, "SELECT pg_catalog.count(*), ");
    sum_of(&s, str_text(&row));
    for (int i = 0; i < n; i++) {
        str_clear(&row);
        str_add(&row, "ROW(t.");
        sql_ident(&row, columns[i]);
        str_add(&row, ")::pg_catalog.text");
        str_add(&s, ", ");
        sum_of(&s, str_text(&row));
    }
    str_add(&s, " FROM ONLY ");
    sql_qualified(&s, schema, table);
    str_add(&s, " AS t");
    return arena_strdup(a, str_text(&s));
}

const char *rehearse_prepare_sql(struct arena *a, const char *name, const char *statement,
                                 const struct text_list *types)
{
    AUTO(str) s = {0};

    str_add(&s, "PREPARE ");
    sql_ident(&s, name);
    for (int i = 0; i < types->n; i++)
        str_addf(&s, "%s%s", i ? ", " : " (", types->items[i].s ? types->items[i].s : "unknown");
    str_addf(&s, "%s AS %s", types->n ? ")" : "", statement);
    return arena_strdup(a, str_text(&s));
}

const char *rehearse_digest_sql(struct arena *a, const char *statement)
{
    return arena_printf(
        a,
        "SELECT pg_catalog.count(*) || ' rows, digest ' || coalesce(pg_catalog.left("
        "pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.string_agg("
        "phasegate_row::pg_catalog.text, E'\\n' ORDER BY phasegate_row::pg_catalog.text), "
        "'UTF8')), 'hex'), 16), 'of nothing') FROM (%s\n) AS phasegate_row",
        statement);
}

const char *rehearse_execute_sql(struct arena *a, const char *name, const char *const *values,
                                 int n)
{
    AUTO(str) s = {0};

    str_add(&s, "EXECUTE ");
    sql_ident(&s, name);
    for (int i = 0; i < n; i++)
        str_addf(&s, "%s%s", i ? ", " : " (", values[i]);
    str_add(&s, n ? ")" : "");
    return arena_strdup(a, str_text(&s));
}

/* Types by the names that regtype gives them. Keys of made rows count from 1. */
const char *rehearse_value_sql(struct arena *a, const char *type, int nth)
{
    static const struct {
        const char *type, *value;
    } known[] = {
        {"boolean", "true"},
        {"bytea", "'\\x01'"},
        {"date", "'2026-01-01'"},
        {"json", "'{}'"},
        {"jsonb", "'{}'"},
        {"inet", "'127.0.0.1'"},
        {"interval", "'1 day'"},
        {"time without time zone", "'12:00'"},
        {"timestamp with time zone", "'2026-01-01 00:00:00+00'"},
        {"timestamp without time zone", "'2026-01-01 00:00:00'"},
        {"uuid", "'00000000-0000-0000-0000-000000000001'"},
    };
    size_t n = strlen(type);

    if (n > 2 && strcmp(type + n - 2, "[]") == 0)
        return "'{}'";
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].type, type) == 0)
            return known[i].value;
    return arena_printf(a, "'%d'", nth);
}

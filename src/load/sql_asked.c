/* The way back that only the catalogue knows: queries for reverse statements, to be asked before the statement
 * runs. Each is a scalar expression of type text; NULL where there is no way back. */
#include "load/sql_work.h"

#include <string.h>

void job_asked(struct job *j, const char *expression)
{
    j->out->undo_unasked = j->out->undo;
    j->out->undo = NULL;
    j->out->undo_query = arena_printf(j->a, "SELECT %s", expression);
    j->out->undo_lossless = true;
}

/* ---- sub-commands of ALTER TABLE ------------------------------------------------------------------- */

/* Setting it reaches the partitions and children too: where those have another one, it can't be had back. */
const char *asked_default(struct arena *a, struct sql_rel table, const char *column)
{
    static const char text[] = "(SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM "
                               "pg_catalog.pg_attrdef d WHERE d.adrelid = %s.attrelid AND d.adnum "
                               "= %s.attnum)";
    const char *name = quoted_ident(a, column);
    const char *own = arena_printf(a, text, "a", "a"), *child = arena_printf(a, text, "b", "b");

    return arena_printf(
        a,
        "(SELECT COALESCE(%s || %s, %s) FROM pg_catalog.pg_attribute a WHERE a.attrelid = %s AND "
        "a.attname = %s AND NOT a.attisdropped AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits "
        "i JOIN pg_catalog.pg_attribute b ON b.attrelid = i.inhrelid AND b.attname = a.attname AND "
        "NOT b.attisdropped WHERE i.inhparent = a.attrelid AND %s IS DISTINCT FROM %s))",
        quoted_literal(a, arena_printf(a, "ALTER COLUMN %s SET DEFAULT ", name)), own,
        quoted_literal(a, arena_printf(a, "ALTER COLUMN %s DROP DEFAULT", name)), sql_oid(a, table),
        quoted_literal(a, column), child, own);
}

const char *asked_trigger(struct arena *a, struct sql_rel table, const char *trigger)
{
    return arena_printf(
        a,
        "(SELECT CASE t.tgenabled WHEN 'O' THEN 'ENABLE' WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN "
        "'ENABLE REPLICA' WHEN 'A' THEN 'ENABLE ALWAYS' END || %s FROM pg_catalog.pg_trigger t "
        "WHERE t.tgrelid = %s AND t.tgname = %s AND NOT t.tgisinternal)",
        quoted_literal(a, arena_printf(a, " TRIGGER %s", quoted_ident(a, trigger))),
        sql_oid(a, table), quoted_literal(a, trigger));
}

/* Without the primary key its columns stay NOT NULL, whatever they were before. columns: a list of texts, or the
 * columns of an index as a condition on pg_attribute a. */
static const char *nullable_columns(struct arena *a, const char *relid, const char *which,
                                    const char *before_each)
{
    return arena_printf(
        a,
        "COALESCE((SELECT pg_catalog.string_agg(%s || pg_catalog.format('ALTER COLUMN %%I DROP NOT "
        "NULL', a.attname), '' ORDER BY a.attnum) FROM pg_catalog.pg_attribute a WHERE a.attrelid "
        "= %s AND NOT a.attnotnull AND NOT a.attisdropped AND %s), '')",
        before_each, relid, which);
}

const char *asked_primary_key(struct arena *a, struct sql_rel table, const char *name,
                              const json_t *keys)
{
    AUTO(str) names = {0};
    size_t i;
    json_t *key;

    json_array_foreach(keys, i, key)
        str_addf(&names, "%s%s", i ? ", " : "", quoted_literal(a, tree_string(key)));
    return arena_printf(
        a, "%s || %s",
        quoted_literal(a, arena_printf(a, "DROP CONSTRAINT %s", quoted_ident(a, name))),
        nullable_columns(a, sql_oid(a, table),
                         arena_printf(a, "a.attname IN (%s)", str_text(&names)), "', '"));
}

/* ---- whole statements ------------------------------------------------------------------------------- */

/* The constraint takes the index along when it goes, so the index is built a second time before, under its own name or,
 * where the constraint has that, under another that it loses in the end. Each part may run again after a crash.
 * What refers to the constraint's columns holds it fast: then there is no way back. */
const char *asked_index(struct arena *a, struct sql_rel table, const char *name, const char *index,
                        bool is_primary)
{
    const char *rel = quoted_rel(a, table);
    const char *drop =
        quoted_literal(a, arena_printf(a, ";\nALTER TABLE %s DROP CONSTRAINT IF EXISTS %s", rel,
                                       quoted_ident(a, name)));
    bool same = strcmp(name, index) == 0;
    int n = (int) strlen(index) < 50 ? (int) strlen(index) : 50;
    while (n > 0 && ((unsigned char) index[n] & 0xc0) == 0x80)
        n--; /* within a character */
    const char *as = same ? arena_printf(a, "%.*s_again", n, index) : index;
    struct sql_rel other = {table.schema, as}, own = {table.schema, index};
    const char *body = arena_printf(
        a,
        "BEGIN IF %s IS NULL THEN ALTER INDEX %s RENAME TO %s; ELSE DROP INDEX %s; "
        "END IF; END",
        sql_oid(a, own), quoted_rel(a, other), quoted_ident(a, index), quoted_rel(a, other));
    const char *rename =
        same ? quoted_literal(a, arena_printf(a, ";\nDO %s", quoted_literal(a, body))) : "''";
    const char *nullable =
        is_primary ? nullable_columns(a, "x.indrelid", "a.attnum = ANY (x.indkey)",
                                      quoted_literal(a, arena_printf(a, ";\nALTER TABLE %s ", rel)))
                   : "''";

    return arena_printf(
        a,
        "(SELECT 'CREATE UNIQUE INDEX CONCURRENTLY ' || %s || pg_catalog.substr("
        "pg_catalog.pg_get_indexdef(c.oid), pg_catalog.length('CREATE UNIQUE INDEX ' || "
        "pg_catalog.quote_ident(c.relname)) + 1) || %s || %s || %s FROM pg_catalog.pg_index x JOIN "
        "pg_catalog.pg_class c ON c.oid = x.indexrelid WHERE x.indrelid = %s AND c.relname = %s "
        "AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = c.oid))",
        quoted_literal(a, quoted_ident(a, as)), drop, nullable, rename, sql_oid(a, table),
        quoted_literal(a, index));
}

/* Attaching makes the indexes, keys and foreign keys of the parent on the partition, and detaching leaves them. Those that
 * are the parent's and weren't there before go; what somebody made meanwhile stays. */
const char *asked_attach(struct arena *a, struct sql_rel parent, struct sql_rel child)
{
    static const char body[] =
        "DECLARE made pg_catalog.text[]; s pg_catalog.text; BEGIN "
        "SELECT pg_catalog.array_agg(x.s) INTO made FROM (SELECT pg_catalog.format('ALTER TABLE "
        "%%s DROP CONSTRAINT %%I', k.conrelid::pg_catalog.regclass, k.conname) AS s FROM "
        "pg_catalog.pg_constraint k WHERE k.conrelid = %s AND k.conparentid <> 0 AND k.conname <> "
        "ALL ($names) UNION ALL SELECT pg_catalog.format('DROP INDEX %%s', "
        "c.oid::pg_catalog.regclass) FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON "
        "c.oid = i.indexrelid WHERE i.indrelid = %s AND c.relispartition AND c.relname <> ALL "
        "($names) AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = c.oid "
        "AND k.conrelid = i.indrelid)) x; "
        "ALTER TABLE %s DETACH PARTITION %s; "
        "FOREACH s IN ARRAY COALESCE(made, '{}') LOOP EXECUTE s; END LOOP; END";
    const char *oid = sql_oid(a, child);
    const char *text = quoted_literal(
        a, arena_printf(a, body, oid, oid, quoted_rel(a, parent), quoted_rel(a, child)));

    return arena_printf(
        a,
        "(SELECT 'DO ' || pg_catalog.quote_literal(pg_catalog.replace(%s, '$names', "
        "pg_catalog.quote_literal(COALESCE(pg_catalog.array_agg(n.name), '{}')::pg_catalog.text) "
        "|| '::pg_catalog.name[]')) FROM (SELECT k.conname AS name FROM pg_catalog.pg_constraint k "
        "WHERE k.conrelid = %s UNION ALL SELECT c.relname FROM pg_catalog.pg_index i JOIN "
        "pg_catalog.pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = %s) n)",
        text, oid, oid);
}

const char *asked_comment(struct arena *a, const char *target, const char *value)
{
    return arena_printf(a, "%s || COALESCE(pg_catalog.quote_literal(%s), 'NULL')",
                        quoted_literal(a, arena_printf(a, "COMMENT ON %s IS ", target)), value);
}

/* A default or another name of a parameter can't be taken back by replacing it again. */
const char *asked_function(struct arena *a, const struct function_name *f, const json_t *parameters,
                           const char *drop)
{
    AUTO(str) names = {0};
    bool any = false;
    size_t i;
    json_t *item;

    json_array_foreach(parameters, i, item)
    {
        const json_t *p = tree_as(item, "FunctionParameter");
        const char *name = tree_text(p, "name");

        if (tree_get(p, "defexpr"))
            return NULL;
        any |= name && *name;
        str_addf(&names, "%s%s", i ? ", " : "", quoted_literal(a, name ? name : ""));
    }
    return arena_printf(
        a,
        "CASE WHEN NOT %s THEN %s ELSE (SELECT pg_catalog.pg_get_functiondef(p.oid) FROM "
        "pg_catalog.pg_proc p WHERE %s AND p.proargnames IS NOT DISTINCT FROM %s) END",
        cond_function(a, f, true, ""), quoted_literal(a, drop), function_is(a, f, true),
        any ? arena_printf(a, "ARRAY[%s]::pg_catalog.text[]", str_text(&names)) : "NULL");
}

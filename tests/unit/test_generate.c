/* The text of the SQL that phasegate writes itself. What it does is tests/db/test_generate*.c. */
#include "phasegate/generate.h"
#include "phasegate/names.h"
#include "plan_build.h"
#include "table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct build_sync orders = {.table = "orders",
                                         .forward = {{"external_ref", "legacy_ref"}},
                                         .reverse = {{"legacy_ref", "external_ref"}},
                                         .reads = {"legacy_ref"}};

static void check_list(const struct sql_list *l, const char *const *expected, int n)
{
    assert_int_equal(l->n, n);
    for (int i = 0; i < n; i++)
        assert_string_equal(l->items[i], expected[i]);
}

static void test_the_trigger_in_full(void **state)
{
    (void) state;
    static const char *const expected[] = {
        "CREATE OR REPLACE FUNCTION \"phasegate\".\"sync_widen\"() RETURNS trigger LANGUAGE "
        "plpgsql SET search_path FROM CURRENT AS $phasegate$\n"
        "#variable_conflict use_column\n"
        "BEGIN\n"
        "  IF TG_OP = 'INSERT' THEN\n"
        "    IF NEW.\"external_ref\" IS NULL THEN\n"
        "      SELECT INTO NEW.\"external_ref\" (legacy_ref\n) FROM (SELECT NEW.*) AS \"orders\";\n"
        "    ELSE\n"
        "      SELECT INTO NEW.\"legacy_ref\" (external_ref\n) FROM (SELECT NEW.*) AS \"orders\";\n"
        "    END IF;\n"
        "  ELSIF pg_catalog.record_image_ne(ROW(NEW.\"external_ref\"), ROW(OLD.\"external_ref\")) "
        "THEN\n"
        "    SELECT INTO NEW.\"legacy_ref\" (external_ref\n) FROM (SELECT NEW.*) AS \"orders\";\n"
        "  ELSE\n"
        "    SELECT INTO NEW.\"external_ref\" (legacy_ref\n) FROM (SELECT NEW.*) AS \"orders\";\n"
        "  END IF;\n"
        "  RETURN NEW;\n"
        "END\n"
        "$phasegate$",
        "CREATE OR REPLACE TRIGGER \"zz_phasegate_i_widen\" BEFORE INSERT ON \"orders\" FOR EACH "
        "ROW"
        " EXECUTE FUNCTION \"phasegate\".\"sync_widen\"()",
        "CREATE OR REPLACE TRIGGER \"zz_phasegate_u_widen\" BEFORE UPDATE ON \"orders\" FOR EACH "
        "ROW"
        " WHEN (pg_catalog.current_setting('phasegate.backfill', true) IS DISTINCT FROM 'on' AND"
        " pg_catalog.record_image_ne(ROW(NEW.\"legacy_ref\", NEW.\"external_ref\"), "
        "ROW(OLD.\"legacy_ref\", OLD.\"external_ref\")))"
        " EXECUTE FUNCTION \"phasegate\".\"sync_widen\"()",
    };
    static const char *const removal[] = {
        "DROP TRIGGER IF EXISTS \"zz_phasegate_i_widen\" ON \"orders\"",
        "DROP TRIGGER IF EXISTS \"zz_phasegate_u_widen\" ON \"orders\"",
        "DROP FUNCTION IF EXISTS \"phasegate\".\"sync_widen\"()",
    };
    AUTO(arena) a = {0};
    struct plan p = build_plan(&a, &orders);
    struct sql_list l;

    sync_install_sql(&a, &p, NULL, 0, &l);
    check_list(&l, expected, ROWS(expected));
    sync_remove_sql(&a, &p, &l);
    check_list(&l, removal, ROWS(removal));
}

/* Renamed columns: written and watched under the name of now, seen by the expressions under both. */
static void test_renamed_columns(void **state)
{
    (void) state;
    AUTO(arena) a = {0};
    struct plan p = build_plan(&a, &orders);
    struct renamed r[] = {{"legacy_ref", "_drop_\"x"}, {"other", "hidden"}};
    struct sql_list l;

    sync_install_sql(&a, &p, r, 2, &l);
    assert_non_null(strstr(l.items[0],
                           "SELECT INTO NEW.\"_drop_\"\"x\" (external_ref\n) FROM (SELECT NEW.*, "
                           "NEW.\"_drop_\"\"x\" AS"
                           " \"legacy_ref\", NEW.\"hidden\" AS \"other\") AS \"orders\";"));
    assert_non_null(strstr(l.items[2], "ROW(NEW.\"_drop_\"\"x\", NEW.\"external_ref\")"));
    assert_null(strstr(l.items[2], "legacy_ref"));
}

static void test_every_text_is_one_statement(void **state)
{
    (void) state;
    AUTO(arena) a = {0};
    struct plan p = build_plan(&a, &orders);
    struct column_facts f = {.schema = "public", .table = "t", .column = "c", .not_null = true};
    struct sql_list l[7];

    sync_install_sql(&a, &p, NULL, 0, &l[0]);
    sync_remove_sql(&a, &p, &l[1]);
    soft_drop_column_sql(&a, &f, "h", &l[2], &l[3], &l[4]);
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < l[i].n; j++) {
            size_t n = strlen(l[i].items[j]);
            CHECK(n > 0 && l[i].items[j][n - 1] != ';' && l[i].items[j][n - 1] != '\n', "%s",
                  l[i].items[j]);
            /* The undo scripts are stored with this between two statements. */
            assert_null(strstr(l[i].items[j], "\n;\n"));
        }
}

/* No body ends at a tag that an expression has in it. */
static void test_quote_tags(void **state)
{
    (void) state;
    static const char *const expressions[] = {"a", "$phasegate$", "$phasegate$ || $phasegate0$",
                                              "$phasegate1$ $phasegate0$ $phasegate$ $phasegate2$"};
    static const char *const tags[] = {"$phasegate$", "$phasegate0$", "$phasegate1$",
                                       "$phasegate3$"};

    for (size_t i = 0; i < ROWS(expressions); i++) {
        AUTO(arena) a = {0};
        struct build_sync sync = orders;
        struct sql_list l;
        sync.forward[0].value = expressions[i];
        struct plan p = build_plan(&a, &sync);
        sync_install_sql(&a, &p, NULL, 0, &l);
        const char *first = strstr(l.items[0], tags[i]);
        assert_non_null(first);
        const char *second = strstr(first + strlen(tags[i]), tags[i]);
        assert_non_null(second);
        assert_string_equal(second, tags[i]); /* at the very end, and nowhere between */
    }
}

/* The longest ids give names of at most 63 bytes, and no two the same one. */
static void test_object_names(void **state)
{
    (void) state;
    static char ids[130][64];
    AUTO(arena) a = {0};
    int n = 0;

    for (int len = 1; len <= 63; len++)
        for (int last = 0; last < 2; last++) {
            memset(ids[n], 'a', (size_t) len);
            ids[n][len - 1] = (char) ('a' + last);
            ids[n++][len] = '\0';
        }
    const char *names[130][3];
    for (int i = 0; i < n; i++) {
        struct build_sync sync = orders;
        struct sql_list l;
        sync.plan = ids[i];
        struct plan p = build_plan(&a, &sync);
        sync_remove_sql(&a, &p, &l);
        for (int k = 0; k < 3; k++) {
            const char *from = strstr(l.items[k], k == 2 ? "\"sync_" : "\"zz_") + 1;
            names[i][k] = arena_strndup(&a, from, (size_t) (strchr(from, '"') - from));
            CHECK(strlen(names[i][k]) <= 63, "%s", names[i][k]);
            for (int j = 0; j < i; j++)
                CHECK(strcmp(names[i][k], names[j][k]) != 0, "%s and %s are both %s", ids[i],
                      ids[j], names[i][k]);
        }
    }
}

static void test_soft_drop_names(void **state)
{
    (void) state;
    static const struct {
        const char *name;
        int64_t at;
        const char *hidden;
    } rows[] = {
        {"legacy_ref", INT64_C(1794650400000), "_drop_20261114_legacy_ref"},
        {"legacy_ref", INT64_C(1794700799999), "_drop_20261114_legacy_ref"}, /* 23:59:59.999 UTC */
        {"legacy_ref", INT64_C(1794700800000), "_drop_20261115_legacy_ref"},
        {"legacy_ref", 0, "_drop_19700101_legacy_ref"},
        {"Odd \"name\"", INT64_C(1794650400000), "_drop_20261114_Odd \"name\""},
        {"", INT64_C(1794650400000), "_drop_20261114_"},
    };
    AUTO(arena) a = {0};

    for (size_t i = 0; i < ROWS(rows); i++)
        assert_string_equal(soft_drop_name(&a, rows[i].name, rows[i].at), rows[i].hidden);

    /* 48 bytes are left for the name. Longer ones are cut between characters, and stay different. */
    const char *fits = "123456789012345678901234567890123456789012345678";
    assert_string_equal(soft_drop_name(&a, fits, rows[0].at),
                        arena_printf(&a, "_drop_20261114_%s", fits));
    static const char *const characters[] = {"x", "\u00e4", "\u6f22", "\U0001F600"};
    for (size_t c = 0; c < ROWS(characters); c++)
        for (int shift = 0; shift < 4; shift++) {
            AUTO(str) name = {0};
            str_addn(&name, "abcd", (size_t) shift);
            while (name.len + strlen(characters[c]) <= 60)
                str_add(&name, characters[c]);
            str_addn(&name, "123", 3 < 63 - name.len ? 3 : 63 - name.len);
            const char *one = soft_drop_name(&a, str_text(&name), rows[0].at);
            name.text[name.len - 1]++;
            const char *two = soft_drop_name(&a, str_text(&name), rows[0].at);
            CHECK(strlen(one) <= 63 && strlen(one) > 63 - strlen(characters[c]) &&
                      strcmp(one, two) != 0,
                  "%s, %s", one, two);
            /* What is left of the name is whole characters of it, then the hash. */
            const char *kept = one + strlen("_drop_20261114_"), *hash = one + strlen(one) - 9;
            assert_int_equal(*hash, '_');
            assert_int_equal(strncmp(kept, str_text(&name), (size_t) (hash - kept)), 0);
            assert_true(((unsigned char) str_text(&name)[hash - kept] & 0xC0) != 0x80);
        }
}

static void test_soft_drop_of_a_column(void **state)
{
    (void) state;
    struct pair grants[] = {{{.s = "PUBLIC"}, {.s = "SELECT"}},
                            {{.s = "the app"}, {.s = "UPDATE WITH GRANT OPTION"}}};
    struct column_facts f = {
        .schema = "s", .table = "T", .column = "c\"", .not_null = true, .grants = {grants, 2}};
    static const char *const expected_drop[] = {
        "ALTER TABLE \"s\".\"T\" ALTER COLUMN \"c\"\"\" DROP NOT NULL",
        "REVOKE SELECT (\"c\"\"\") ON \"s\".\"T\" FROM PUBLIC",
        "REVOKE UPDATE (\"c\"\"\") ON \"s\".\"T\" FROM \"the app\"",
        "ALTER TABLE \"s\".\"T\" RENAME COLUMN \"c\"\"\" TO \"h\"",
    };
    static const char *const expected_restore[] = {
        "ALTER TABLE \"s\".\"T\" RENAME COLUMN \"h\" TO \"c\"\"\"",
        "GRANT SELECT (\"c\"\"\") ON \"s\".\"T\" TO PUBLIC",
        "GRANT UPDATE (\"c\"\"\") ON \"s\".\"T\" TO \"the app\" WITH GRANT OPTION",
        "ALTER TABLE \"s\".\"T\" ALTER COLUMN \"c\"\"\" SET NOT NULL",
    };
    static const char *const expected_purge[] = {
        "ALTER TABLE IF EXISTS \"s\".\"T\" DROP COLUMN IF EXISTS \"h\""};
    struct sql_list drop, restore, purge;
    AUTO(arena) a = {0};

    soft_drop_column_sql(&a, &f, "h", &drop, &restore, &purge);
    check_list(&drop, expected_drop, ROWS(expected_drop));
    check_list(&restore, expected_restore, ROWS(expected_restore));
    check_list(&purge, expected_purge, ROWS(expected_purge));
    f.not_null = false;
    f.grants.n = 0;
    soft_drop_column_sql(&a, &f, "h", &drop, &restore, &purge);
    check_list(&drop, &expected_drop[3], 1);
    check_list(&restore, &expected_restore[0], 1);
    check_list(&purge, expected_purge, 1);
}

static void test_soft_drop_of_a_table(void **state)
{
    (void) state;
    static const char *const expected_drop[] = {
        "CREATE SCHEMA IF NOT EXISTS phasegate_hold",
        "ALTER TABLE \"S\".\"t\" RENAME TO \"h\"",
        "ALTER TABLE \"S\".\"h\" SET SCHEMA phasegate_hold",
    };
    static const char *const expected_restore[] = {
        "ALTER TABLE \"phasegate_hold\".\"h\" SET SCHEMA \"S\"",
        "ALTER TABLE \"S\".\"h\" RENAME TO \"t\"",
    };
    static const char *const expected_purge[] = {"DROP TABLE IF EXISTS \"phasegate_hold\".\"h\""};
    struct sql_list drop, restore, purge;
    AUTO(arena) a = {0};

    soft_drop_table_sql(&a, "S", "t", "h", &drop, &restore, &purge);
    check_list(&drop, expected_drop, ROWS(expected_drop));
    check_list(&restore, expected_restore, ROWS(expected_restore));
    check_list(&purge, expected_purge, ROWS(expected_purge));
}

static void test_soft_drop_of_foreign_keys(void **state)
{
    (void) state;
    static const struct foreign_key keys[] = {
        {"S", "k", "k_fk", "FOREIGN KEY (t) REFERENCES \"S\".t(id) ON DELETE CASCADE"},
        {"public", "L", "Fk", "FOREIGN KEY (t) REFERENCES \"S\".t(id) NOT VALID"}};
    static const char *const expected_drop[] = {
        "ALTER TABLE \"S\".\"k\" DROP CONSTRAINT \"k_fk\"",
        "ALTER TABLE \"public\".\"L\" DROP CONSTRAINT \"Fk\"",
        "CREATE SCHEMA IF NOT EXISTS phasegate_hold",
        "ALTER TABLE \"S\".\"t\" RENAME TO \"h\"",
        "ALTER TABLE \"S\".\"h\" SET SCHEMA phasegate_hold",
    };
    static const char *const expected_restore[] = {
        "ALTER TABLE \"phasegate_hold\".\"h\" SET SCHEMA \"S\"",
        "ALTER TABLE \"S\".\"h\" RENAME TO \"t\"",
        "ALTER TABLE \"S\".\"k\" ADD CONSTRAINT \"k_fk\" FOREIGN KEY (t) REFERENCES "
        "\"S\".t(id) ON DELETE CASCADE",
        "ALTER TABLE \"public\".\"L\" ADD CONSTRAINT \"Fk\" FOREIGN KEY (t) REFERENCES "
        "\"S\".t(id) NOT VALID",
    };
    struct sql_list drop, restore, purge;
    AUTO(arena) a = {0};

    soft_drop_table_sql(&a, "S", "t", "h", &drop, &restore, &purge);
    soft_drop_keys_sql(&a, keys, ROWS(keys), &drop, &restore);
    check_list(&drop, expected_drop, ROWS(expected_drop));
    check_list(&restore, expected_restore, ROWS(expected_restore));
    assert_int_equal(purge.n, 1);
}

static void test_soft_drop_of_a_partition(void **state)
{
    (void) state;
    static const struct table_parent parents[] = {{"S", "whole", "FOR VALUES IN ('a', 'b')"},
                                                  {"public", "P", NULL}};
    static const char *const expected_drop[] = {
        "ALTER TABLE \"S\".\"whole\" DETACH PARTITION \"S\".\"t\"",
        "ALTER TABLE \"S\".\"t\" NO INHERIT \"public\".\"P\"",
        "CREATE SCHEMA IF NOT EXISTS phasegate_hold",
        "ALTER TABLE \"S\".\"t\" RENAME TO \"h\"",
        "ALTER TABLE \"S\".\"h\" SET SCHEMA phasegate_hold",
    };
    static const char *const expected_restore[] = {
        "ALTER TABLE \"phasegate_hold\".\"h\" SET SCHEMA \"S\"",
        "ALTER TABLE \"S\".\"h\" RENAME TO \"t\"",
        "ALTER TABLE \"S\".\"whole\" ATTACH PARTITION \"S\".\"t\" FOR VALUES IN ('a', 'b')",
        "ALTER TABLE \"S\".\"t\" INHERIT \"public\".\"P\"",
    };
    struct sql_list drop, restore, purge;
    AUTO(arena) a = {0};

    soft_drop_table_sql(&a, "S", "t", "h", &drop, &restore, &purge);
    soft_drop_parents_sql(&a, "S", "t", parents, ROWS(parents), &drop, &restore);
    check_list(&drop, expected_drop, ROWS(expected_drop));
    check_list(&restore, expected_restore, ROWS(expected_restore));
    assert_int_equal(purge.n, 1);
}

static void test_agreement(void **state)
{
    (void) state;
    struct build_sync sync = orders;
    AUTO(arena) a = {0};

    sync.forward[0] = (struct build_pair) {"External", "lower(legacy_ref) -- as it was"};
    sync.forward[1] = (struct build_pair) {"n", "1"};
    struct plan p = build_plan(&a, &sync);
    assert_string_equal(sync_agrees_sql(&a, &p),
                        "\"External\" IS NOT DISTINCT FROM (lower(legacy_ref) -- as it was\n)"
                        " AND \"n\" IS NOT DISTINCT FROM (1\n)");
}

/* ---- backfills ------------------------------------------------------------------------------------ */

static struct pair own_set[] = {{{.s = "note"}, {.s = "o.note"}}, {{.s = "n"}, {.s = "1"}}};

static void test_backfills_take_from_sync(void **state)
{
    (void) state;
    static const char forward_todo[] =
        "\"orders\".\"external_ref\" IS DISTINCT FROM (legacy_ref\n)";
    static const struct {
        const char *name, *sync_schema, *schema, *table, *where;
        bool has_sync, has_set;
        const char *out_schema, *out_table, *out_todo; /* out_table NULL: refused */
        int n_set;
    } rows[] = {
        {"nothing said", NULL, NULL, NULL, NULL, true, false, NULL, "orders", forward_todo, 1},
        {"nothing said, with a schema", "shop", NULL, NULL, NULL, true, false, "shop", "orders",
         forward_todo, 1},
        {"the table of sync", NULL, NULL, "orders", NULL, true, false, NULL, "orders", forward_todo,
         1},
        {"its schema is said", "shop", "shop", "orders", NULL, true, false, "shop", "orders",
         forward_todo, 1},
        {"its schema is said here alone", NULL, "shop", "orders", NULL, true, false, "shop",
         "orders", forward_todo, 1},
        {"the same name in another schema", "shop", "archive", "orders", NULL, true, false, NULL,
         NULL, NULL, 0},
        {"another table", NULL, NULL, "lines", NULL, true, false, NULL, NULL, NULL, 0},
        {"another table and what to set", NULL, "shop", "lines", NULL, true, true, "shop", "lines",
         "\"lines\".\"note\" IS DISTINCT FROM (o.note\n) OR \"lines\".\"n\" IS DISTINCT FROM (1\n)",
         2},
        {"what to set alone", NULL, NULL, NULL, NULL, true, true, NULL, "orders",
         "\"orders\".\"note\" IS DISTINCT FROM (o.note\n) OR \"orders\".\"n\" IS DISTINCT FROM "
         "(1\n)",
         2},
        {"where alone", NULL, NULL, NULL, "external_ref IS NULL", true, false, NULL, "orders",
         "external_ref IS NULL", 1},
        {"everything, without sync", NULL, NULL, "lines", "n IS NULL", false, true, NULL, "lines",
         "n IS NULL", 2},
        {"nothing, without sync", NULL, NULL, NULL, NULL, false, false, NULL, NULL, NULL, 0},
        {"a table alone, without sync", NULL, NULL, "lines", NULL, false, false, NULL, NULL, NULL,
         0},
        {"what to set alone, without sync", NULL, NULL, NULL, NULL, false, true, NULL, NULL, NULL,
         0},
    };

    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO(arena) a = {0};
        struct plan p = build_plan(&a, &orders);
        struct backfill b = {.id.s = "fill",
                             .schema.s = rows[i].schema,
                             .table.s = rows[i].table,
                             .where.s = rows[i].where,
                             .from.s = "customers o",
                             .match.s = "o.id = orders.id"};
        struct backfill_spec s;
        const char *why = NULL;
        p.sync.schema.s = rows[i].sync_schema;
        if (!rows[i].has_sync)
            p.sync = (struct sync) {.by = SYNC_NONE};
        if (rows[i].has_set)
            b.set = (struct pair_list) {own_set, 2};
        bool ok = backfill_spec_of(&a, &p, &b, &s, &why);
        CHECK(ok == (rows[i].out_table != NULL), "%s: %s", rows[i].name, ok ? "taken" : why);
        if (!ok) {
            assert_non_null(why);
            continue;
        }
        CHECK(!s.schema == !rows[i].out_schema &&
                  (!s.schema || strcmp(s.schema, rows[i].out_schema) == 0),
              "%s: schema %s", rows[i].name, s.schema ? s.schema : "none");
        assert_string_equal(s.table, rows[i].out_table);
        assert_string_equal(s.todo, rows[i].out_todo);
        assert_int_equal(s.set.n, rows[i].n_set);
        assert_string_equal(s.from, "customers o");
        assert_string_equal(s.match, "o.id = orders.id");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_trigger_in_full),
        cmocka_unit_test(test_renamed_columns),
        cmocka_unit_test(test_every_text_is_one_statement),
        cmocka_unit_test(test_quote_tags),
        cmocka_unit_test(test_object_names),
        cmocka_unit_test(test_soft_drop_names),
        cmocka_unit_test(test_soft_drop_of_a_column),
        cmocka_unit_test(test_soft_drop_of_a_table),
        cmocka_unit_test(test_soft_drop_of_foreign_keys),
        cmocka_unit_test(test_soft_drop_of_a_partition),
        cmocka_unit_test(test_agreement),
        cmocka_unit_test(test_backfills_take_from_sync),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

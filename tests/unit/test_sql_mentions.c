/* What a text names: values, words in them, names. */
#include "phasegate/load.h"
#include "phasegate/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char *joined(struct arena *a, const struct text_list *l)
{
    AUTO(str) s = {0};

    for (int i = 0; i < l->n; i++)
        str_addf(&s, "%s%s", i ? "|" : "", l->items[i].s);
    return arena_strdup(a, str_text(&s));
}

static void test_texts(void **state)
{
    static const struct {
        const char *sql, *strings, *words, *numbers;
    } rows[] = {
        {"CHECK (n < 10 AND n <> 10 OR x > 2.5)", "", "", "10|2.5"},
        {"CHECK (name <> 'it''s' /* 'no' 7 */ -- 'no'\n)", "it's", "it|s", ""},
        {"doc #>> '{address,zip}'", "{address,zip}", "address|zip", ""},
        {"x ~ '^[A-Z]{3}$'", "^[A-Z]{3}$", "A|Z", "3"},
        {"x = E'a\\'b' OR y = $$c$$", "a'b|c", "a|b|c", ""},
        {"AS $f$BEGIN\nIF NEW.a = 'spam' OR NEW.n < 77 THEN END IF; END$f$", "spam", "spam", "77"},
        {"AS 'BEGIN\nIF a = ''x'' THEN RETURN 5; END IF; END'", "x", "x", "5"},
        {"x = ''", "", "", ""},
        {"x = 'open", "ope", "ope", ""},
        {"x = $y$", "", "", ""},
        {"$1 = c1", "", "", "1"},
        {"", "", "", ""},
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(arena) a = {0};
        struct sql_mentions m = {0};

        sql_mentions_add(&a, rows[i].sql, &m);
        assert_string_equal(joined(&a, &m.strings), rows[i].strings);
        assert_string_equal(joined(&a, &m.words), rows[i].words);
        assert_string_equal(joined(&a, &m.numbers), rows[i].numbers);
    }
}

static void test_names_and_adding(void **state)
{
    AUTO(arena) a = {0};
    struct sql_mentions m = {0};

    (void) state;
    sql_mentions_add(&a, "SELECT \"Odd\", Plain FROM t WHERE x = 'a'", &m);
    sql_mentions_add(&a, "SELECT plain WHERE x = 'a' OR x = 'b'", &m);
    assert_string_equal(joined(&a, &m.names), "select|Odd|plain|from|t|where|x|a|or|b");
    assert_string_equal(joined(&a, &m.strings), "a|b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_names_and_adding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

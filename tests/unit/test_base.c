#include "phasegate/err.h"
#include "table.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- arena --- */

static bool is_zero(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0)
            return false;
    return true;
}

static void test_arena_alloc_is_aligned_zeroed_and_apart(void **state)
{
    (void) state;
    AUTO(arena) a = {0};
    static const size_t sizes[] = {1, 0, 3, 16, 17, 4000, 100, 8000, 1, 300000, 5, 70000, 2};
    char *p[sizeof sizes / sizeof *sizes];
    size_t sum = 0;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        p[i] = arena_alloc(&a, sizes[i]);
        assert_int_equal((uintptr_t) p[i] % alignof(max_align_t), 0);
        CHECK(is_zero(p[i], sizes[i]), "row %zu isn't zero", i);
        memset(p[i], (int) i + 1, sizes[i]);
        sum += sizes[i] ? sizes[i] : 1;
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t k = 0; k < sizes[i]; k++)
            CHECK(p[i][k] == (char) (i + 1), "row %zu was overwritten", i);
    assert_ptr_not_equal(p[1], p[2]);
    assert_int_equal(a.used, sum);
}

static void test_arena_costs_only_alignment(void **state)
{
    (void) state;
    AUTO(arena) a = {0};
    char *one = arena_alloc(&a, 16);
    char *two = arena_alloc(&a, 16);
    char *three = arena_strdup(&a, "abc");
    char *four = arena_strdup(&a, "de");
    char *five = arena_alloc(&a, 1);

    assert_ptr_equal(two, one + 16);
    assert_ptr_equal(three, two + 16);
    assert_ptr_equal(four, three + 4); /* texts are packed */
    assert_ptr_equal(five, two + 32);
    assert_int_equal((uintptr_t) five % alignof(max_align_t), 0);
}

static void test_arena_grows_newest_in_place(void **state)
{
    (void) state;
    AUTO(arena) a = {0};
    int *numbers = arena_array(&a, int, 3);
    for (int i = 0; i < 3; i++)
        numbers[i] = i + 1;

    int *grown = arena_grow(&a, numbers, 3 * sizeof(int), 100 * sizeof(int));
    assert_ptr_equal(grown, numbers);
    assert_int_equal(grown[2], 3);
    assert_true(is_zero((char *) (grown + 3), 97 * sizeof(int)));
    assert_int_equal(a.used, 100 * sizeof(int));

    /* The room was taken: the next allocation starts behind it. */
    char *next = arena_alloc(&a, 1);
    assert_true(next >= (char *) (grown + 100));
    assert_ptr_equal(arena_grow(&a, grown, 400, 200), grown); /* never shrinks */
    assert_ptr_equal(arena_alloc(&a, 1), next + alignof(max_align_t));
}

static void test_arena_copies_older_and_only_old_bytes(void **state)
{
    (void) state;
    AUTO(arena) a = {0};
    char *old = arena_alloc(&a, 32);
    memset(old, 'x', 32);
    char *neighbour = arena_alloc(&a, 16);
    memset(neighbour, 'n', 16);

    /* The neighbour's bytes lie within the first 64; they must not be taken along. */
    char *grown = arena_grow(&a, old, 32, 64);
    assert_ptr_not_equal(grown, old);
    for (int i = 0; i < 32; i++)
        assert_int_equal(grown[i], 'x');
    assert_true(is_zero(grown + 32, 32));
    for (int i = 0; i < 16; i++)
        assert_int_equal(neighbour[i], 'n');

    assert_non_null(arena_grow(&a, NULL, 0, 8));
    assert_ptr_not_equal(arena_grow(&a, neighbour, 0, 8), neighbour);
}

static void test_arena_grows_in_an_older_block(void **state)
{
    (void) state;
    AUTO(arena) a = {0};
    char *last_of_first = arena_alloc(&a, 6000);
    last_of_first[5999] = 'z';
    char *elsewhere = arena_alloc(&a, 4000); /* the first block has no room for it */
    memset(elsewhere, 'e', 4000);

    assert_ptr_equal(arena_grow(&a, last_of_first, 6000, 6100), last_of_first);
    char *moved = arena_grow(&a, last_of_first, 6100, 9000);
    assert_ptr_not_equal(moved, last_of_first);
    assert_int_equal(moved[5999], 'z');
    assert_true(is_zero(moved + 6000, 3000));
}

static void test_arena_grows_through_many_blocks(void **state)
{
    (void) state;
    AUTO(arena) a = {0};
    size_t count = 0, cap = 0;
    uint32_t *numbers = NULL;

    while (count < 300000) {
        if (count == cap) {
            size_t wider = cap ? cap * 2 : 4;
            numbers = arena_grow(&a, numbers, cap * sizeof *numbers, wider * sizeof *numbers);
            cap = wider;
        }
        numbers[count] = (uint32_t) count * 7;
        count++;
        if (count % 1000 == 0)
            assert_string_equal(arena_printf(&a, "plan %zu", count) + 5,
                                arena_printf(&a, "%zu", count));
    }
    for (size_t i = 0; i < count; i++)
        CHECK(numbers[i] == (uint32_t) i * 7, "number %zu was lost", i);
}

static void test_arena_large_one_leaves_head_alone(void **state)
{
    (void) state;
    AUTO(arena) a = {0};
    char *before = arena_alloc(&a, 16);
    char *large = arena_alloc(&a, 1 << 20);
    large[(1 << 20) - 1] = 1;
    assert_ptr_equal(arena_alloc(&a, 16), before + 16);

    /* Large is what would take more than a quarter of the next block. */
    char *most = arena_alloc(&a, 6000);
    arena_alloc(&a, 5000);
    assert_ptr_equal(arena_alloc(&a, 16), most + 6000);
    arena_alloc(&a, 3000);
    char *in_next = arena_alloc(&a, 16);
    assert_false(in_next >= before && in_next < before + 8192);
}

static void test_arena_texts(void **state)
{
    (void) state;
    AUTO(arena) a = {0};
    assert_null(arena_strdup(&a, NULL));
    assert_string_equal(arena_strdup(&a, ""), "");
    assert_string_equal(arena_strdup(&a, "orders"), "orders");
    assert_string_equal(arena_strndup(&a, "orders", 3), "ord");
    assert_string_equal(arena_strndup(&a, "orders", 99), "orders");
    assert_string_equal(arena_printf(&a, "%s:%d", "plan.yaml", 7), "plan.yaml:7");

    char *wide = arena_printf(&a, "%0*d", 20000, 5);
    assert_int_equal(strlen(wide), 20000);
    assert_int_equal(wide[19999], '5');
}

static void test_arena_adopts(void **state)
{
    static const size_t sizes[] = {0, 10, 6000, 300000};
    (void) state;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            AUTO(arena) a = {0};
            struct arena from = {0};
            char *own = sizes[i] ? arena_alloc(&a, sizes[i]) : NULL;
            char *taken = sizes[k] ? arena_alloc(&from, sizes[k]) : NULL;

            if (own)
                memset(own, 'o', sizes[i]);
            if (taken)
                memset(taken, 't', sizes[k]);
            arena_adopt(&a, &from);
            assert_null(from.head);
            assert_int_equal(from.used, 0);
            assert_int_equal(a.used, sizes[i] + sizes[k]);
            char *more = arena_alloc(&a, 5000);
            assert_true(is_zero(more, 5000));
            memset(more, 'm', 5000);
            for (size_t b = 0; b < sizes[i]; b++)
                assert_int_equal(own[b], 'o');
            for (size_t b = 0; b < sizes[k]; b++)
                assert_int_equal(taken[b], 't');
            arena_reset(&a);
            assert_int_equal(a.used, 0);
            assert_true(is_zero(arena_alloc(&a, 5000), 5000));
        }
}

static void test_arena_reset_reuses_and_clears(void **state)
{
    (void) state;
    AUTO(arena) a = {0};
    arena_reset(&a); /* an empty one is fine */

    char *first = arena_alloc(&a, 2000);
    memset(first, 'x', 2000);
    for (int i = 0; i < 50; i++)
        memset(arena_alloc(&a, 30000), 'y', 30000);
    arena_reset(&a);
    assert_int_equal(a.used, 0);

    char *again = arena_alloc(&a, 2000);
    if (ARENA_KEEPS_BLOCKS)
        assert_ptr_equal(again, first);
    assert_true(is_zero(again, 2000));

    arena_free(&a);
    assert_null(a.head);
    assert_int_equal(a.used, 0);
    arena_free(&a);
}

/* --- str --- */

static void test_str_adds(void **state)
{
    (void) state;
    AUTO(str) s = {0};
    assert_string_equal(str_text(&s), "");
    str_add(&s, "");
    str_add(&s, NULL);
    assert_string_equal(str_text(&s), "");

    str_add(&s, "one");
    str_addc(&s, ' ');
    str_addn(&s, "twofold", 3);
    str_addf(&s, " %d%s", 3, "!");
    assert_string_equal(s.text, "one two 3!");
    assert_int_equal(s.len, 10);
    assert_false(s.full);

    str_addn(&s, "a\0b", 3); /* bytes, not C strings */
    assert_int_equal(s.len, 13);
    assert_memory_equal(s.text + 10, "a\0b", 4);

    str_set(&s, "fresh");
    assert_string_equal(s.text, "fresh");
    str_clear(&s);
    assert_string_equal(str_text(&s), "");
    assert_int_equal(s.len, 0);
    str_free(&s);
    assert_null(s.text);
    assert_int_equal(s.cap, 0);
}

static void test_str_takes_parts_of_itself(void **state)
{
    (void) state;
    AUTO(str) s = {0};
    str_add(&s, "0123456789");
    for (int i = 0; i < 8; i++) /* over several reallocations */
        str_addn(&s, s.text, s.len);
    assert_int_equal(s.len, 2560);
    for (size_t i = 0; i < s.len; i++)
        assert_int_equal(s.text[i], '0' + (char) (i % 10));

    str_set(&s, s.text + 2556);
    assert_string_equal(s.text, "6789");
}

static void test_str_ceilings(void **state)
{
    (void) state;
    static const struct {
        size_t ceiling;
        const char *add[4];
        const char *text;
        bool full;
    } rows[] = {
        {5, {"12345"}, "12345", false},          {5, {"123456"}, "12345", true},
        {5, {"12345", ""}, "12345", false},      {5, {"12345", "6"}, "12345", true},
        {5, {"123", "456", "7"}, "12345", true}, {1, {"ab"}, "a", true},
        {100, {"short"}, "short", false},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        const __typeof__(*rows) *row = &rows[i];
        for (int how = 0; how < 3; how++) {
            AUTO(str) s = {.ceiling = row->ceiling};
            for (int k = 0; row->add[k]; k++) {
                if (how == 0)
                    str_add(&s, row->add[k]);
                else if (how == 1)
                    str_addf(&s, "%s", row->add[k]);
                else
                    for (const char *c = row->add[k]; *c; c++)
                        str_addc(&s, *c);
            }
            CHECK(strcmp(str_text(&s), row->text) == 0 && s.len == strlen(row->text),
                  "row %zu way %d: \"%s\"", i, how, str_text(&s));
            CHECK(s.full == row->full, "row %zu way %d: full is %d", i, how, s.full);
            CHECK(s.cap <= row->ceiling + 1, "row %zu way %d: %zu bytes", i, how, s.cap);

            str_clear(&s);
            assert_false(s.full);
            str_set(&s, row->add[0]);
            CHECK(s.full == (strlen(row->add[0]) > row->ceiling), "row %zu: set", i);
            str_free(&s);
            assert_int_equal(s.ceiling, row->ceiling);
        }
    }
}

static void test_str_default_ceiling(void **state)
{
    (void) state;
    AUTO(str) s = {0};
    AUTO(str) piece = {0};
    while (piece.len < (1 << 20))
        str_add(&piece, "0123456789abcdef");
    for (int i = 0; i < 16; i++)
        str_addn(&s, piece.text, piece.len);
    assert_int_equal(s.len, STR_CEILING);
    assert_false(s.full);
    str_addc(&s, 'x');
    assert_int_equal(s.len, STR_CEILING);
    assert_true(s.full);
    assert_int_equal(s.text[s.len], '\0');

    AUTO(str) boundless = {.ceiling = SIZE_MAX};
    str_add(&boundless, "abc");
    str_addf(&boundless, "%s", "def");
    assert_string_equal(boundless.text, "abcdef");
}

/* --- err --- */

static bool fail_deep(struct err *err)
{
    err_set(err, ERR_SQL, "column \"%s\" does not exist", "total");
    memcpy(err->sqlstate, "42703", 6);
    return err_note(err, "step \"%s\" (%s:%d)", "fill", "plan.yaml", 12);
}

static void test_err_says_what_where_next(void **state)
{
    (void) state;
    AUTO(err) err = {0};
    assert_true(err_is(&err, ERR_NONE));
    assert_int_equal(err_exit_code(&err), 0);

    assert_false(fail_deep(&err));
    assert_false(err_note(&err, "plan \"%s\"", "a\nb"));
    assert_false(err_detail(&err, "The table has %d columns.", 3));
    assert_false(err_hint(&err, "Run `phasegate %s`.", "check"));
    assert_false(err_reason(&err, "hold"));

    assert_true(err_is(&err, ERR_SQL));
    assert_string_equal(str_text(&err.message), "column \"total\" does not exist");
    assert_string_equal(str_text(&err.detail), "The table has 3 columns.");
    assert_string_equal(str_text(&err.hint), "Run `phasegate check`.");
    assert_string_equal(str_text(&err.notes), "step \"fill\" (plan.yaml:12)\nplan \"a b\"");
    assert_string_equal(err.sqlstate, "42703");
    assert_string_equal(err.reason, "hold");
    assert_int_equal(err_exit_code(&err), 5);
    assert_false(err_is_retryable(&err));
}

static void test_err_set_replaces_and_may_quote_itself(void **state)
{
    (void) state;
    AUTO(err) err = {0};
    fail_deep(&err);
    err.exit_code = 143;
    err_hint(&err, "old hint");
    err_reason(&err, "hold");
    assert_int_equal(err_exit_code(&err), 143);

    assert_false(err_set(&err, ERR_LOCKED, "while: %s", str_text(&err.message)));
    assert_true(err_is(&err, ERR_LOCKED));
    assert_string_equal(str_text(&err.message), "while: column \"total\" does not exist");
    assert_string_equal(str_text(&err.notes), "");
    assert_string_equal(str_text(&err.hint), "");
    assert_string_equal(err.sqlstate, "");
    assert_null(err.reason);
    assert_int_equal(err_exit_code(&err), 6);

    err_detail(&err, "a");
    err_detail(&err, "%s and b", str_text(&err.detail));
    assert_string_equal(str_text(&err.detail), "a and b");
}

static void test_err_moves_and_clears(void **state)
{
    (void) state;
    AUTO(err) from = {0};
    AUTO(err) to = {0};
    err_set(&to, ERR_BUG, "overwritten");
    fail_deep(&from);
    err_move(&to, &from);
    assert_true(err_is(&to, ERR_SQL));
    assert_string_equal(to.sqlstate, "42703");
    assert_true(err_is(&from, ERR_NONE));
    assert_string_equal(str_text(&from.message), "");
    err_move(&to, &to);
    assert_string_equal(str_text(&to.message), "column \"total\" does not exist");

    err_clear(&to);
    assert_true(err_is(&to, ERR_NONE));
    assert_string_equal(str_text(&to.message), "");
    assert_string_equal(to.sqlstate, "");
}

static void test_err_never_fails_with_zero(void **state)
{
    (void) state;
    AUTO(err) noted = {0}, hinted = {0}, none = {0};
    assert_false(err_note(&noted, "phase"));
    assert_int_equal(err_exit_code(&noted), 7);
    assert_false(err_hint(&hinted, "do"));
    assert_int_equal(err_exit_code(&hinted), 7);
    assert_string_equal(str_text(&hinted.hint), "do");
    assert_false(err_set(&none, ERR_NONE, "oops"));
    assert_int_equal(err_exit_code(&none), 7);
    assert_string_equal(str_text(&none.message), "oops");
}

static void test_err_kinds(void **state)
{
    (void) state;
    static const struct {
        enum err_kind kind;
        const char *word;
        int exit_code;
        bool is_retryable;
    } rows[] = {
        {ERR_NONE, "none", 0, false},
        {ERR_NO, "no", 1, false},
        {ERR_USAGE, "usage", 2, false},
        {ERR_INPUT, "input", 2, false},
        {ERR_CONFIG, "config", 2, false},
        {ERR_UNREACHABLE, "unreachable", 3, true},
        {ERR_REFUSED, "refused", 4, false},
        {ERR_SQL, "sql", 5, false},
        {ERR_LOCK_TIMEOUT, "lock_timeout", 5, true},
        {ERR_CONNECTION_LOST, "connection_lost", 5, true},
        {ERR_STOPPED, "stopped", 5, true},
        {ERR_IN_DOUBT, "in_doubt", 5, true},
        {ERR_LOCKED, "locked", 6, true},
        {ERR_BUG, "bug", 7, false},
        {ERR_INTERRUPTED, "interrupted", 130, true},
    };
    assert_int_equal(sizeof rows / sizeof *rows, ERR_KIND_COUNT);
    for (size_t i = 0; i < ROWS(rows); i++) {
        const __typeof__(*rows) *row = &rows[i];
        struct err err = {.kind = row->kind};
        assert_string_equal(err_kind_word(row->kind), row->word);
        CHECK(err_exit_code(&err) == row->exit_code, "exit code of %s", row->word);
        CHECK(err_is_retryable(&err) == row->is_retryable, "retryable of %s", row->word);
    }
    assert_string_equal(err_kind_word(ERR_KIND_COUNT), "bug");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena_alloc_is_aligned_zeroed_and_apart),
        cmocka_unit_test(test_arena_costs_only_alignment),
        cmocka_unit_test(test_arena_grows_newest_in_place),
        cmocka_unit_test(test_arena_copies_older_and_only_old_bytes),
        cmocka_unit_test(test_arena_grows_in_an_older_block),
        cmocka_unit_test(test_arena_grows_through_many_blocks),
        cmocka_unit_test(test_arena_large_one_leaves_head_alone),
        cmocka_unit_test(test_arena_texts),
        cmocka_unit_test(test_arena_adopts),
        cmocka_unit_test(test_arena_reset_reuses_and_clears),
        cmocka_unit_test(test_str_adds),
        cmocka_unit_test(test_str_takes_parts_of_itself),
        cmocka_unit_test(test_str_ceilings),
        cmocka_unit_test(test_str_default_ceiling),
        cmocka_unit_test(test_err_says_what_where_next),
        cmocka_unit_test(test_err_set_replaces_and_may_quote_itself),
        cmocka_unit_test(test_err_moves_and_clears),
        cmocka_unit_test(test_err_never_fails_with_zero),
        cmocka_unit_test(test_err_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

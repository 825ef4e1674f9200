/* The manifest of a snapshot: what is written is read, and what was edited is refused with its place. */
#include "phasegate/err.h"
#include "phasegate/snapshot.h"
#include "table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define PART                                                                                       \
    "{\"schema\":\"public\",\"table\":\"orders\",\"whole\":false,\"file\":\"1.copy.zst\","         \
    "\"bytes\":10,\"sha256\":\"ab\",\"rows\":2,\"digest\":\"-7\",\"key_columns\":1,"               \
    "\"columns\":[{\"name\":\"id\",\"type\":\"bigint\"},{\"name\":\"ref\",\"type\":\"text\"}]}"
#define HEAD                                                                                       \
    "{\"phasegate_snapshot\":1,\"name\":\"n\",\"plan\":\"p\",\"phase\":\"contract\","              \
    "\"checksum\":\"c\",\"run_id\":\"r\",\"taken_at\":\"2026-01-02T03:04:05Z\","                   \
    "\"database\":\"d\",\"server_version\":\"15.1\",\"system_identifier\":\"1\",\"lsn\":\"0/1\","  \
    "\"parts\":["

static void there_and_back(void **state)
{
    struct snapshot_column columns[] = {{"a \"b\"", "a \"b\"", "bigint"},
                                        {"ünï", "_drop_ünï", "public.\"T\""}};
    struct snapshot_part part = {.schema = "public",
                                 .table = "t.x",
                                 .columns = columns,
                                 .n_columns = 2,
                                 .n_key = 1,
                                 .rows = 5000000000,
                                 .digest = "-12345678901234567890",
                                 .file = "1.copy.zst",
                                 .bytes = 77,
                                 .sha256 = "ff"};
    struct snapshot s = {.name = "n",
                         .plan = "p",
                         .phase = "contract",
                         .checksum = "c",
                         .database = "d",
                         .server_version = "15.1",
                         .system_identifier = "7",
                         .lsn = "0/1",
                         .run_id = "r",
                         .taken_at_ms = 1767323045000,
                         .parts = &part,
                         .n_parts = 1};
    struct snapshot got;
    AUTO(arena) a = {0};
    AUTO(err) err = {0};
    AUTO(str) text = {0}, again = {0};

    (void) state;
    snapshot_to_json(&s, &text);
    assert_true(snapshot_from_json(str_text(&text), text.len, &a, &got, &err));
    assert_string_equal(got.parts[0].columns[1].name, "ünï");
    assert_int_equal(snapshot_rows(&got), 5000000000);
    assert_int_equal(got.taken_at_ms, s.taken_at_ms);
    snapshot_to_json(&got, &again);
    assert_string_equal(str_text(&again), str_text(&text));
}

static void what_isnt_one(void **state)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"", "it is no JSON"},
        {"{\"phasegate_snapshot\":1,\"phasegate_snapshot\":1}", "it is no JSON"},
        {"{\"phasegate_snapshot\":2}", "phasegate_snapshot: expected 1"},
        {"[]", "phasegate_snapshot: expected 1"},
        {"{\"phasegate_snapshot\":1}", "name: absent"},
        {HEAD "]}", "parts: absent"},
        {HEAD "{}]}", "schema: absent"},
        {HEAD "7]}", "schema: absent"},
    };
    static const struct {
        const char *was, *is, *says;
    } edits[] = {
        {"\"1.copy.zst\"", "\"../1.copy.zst\"", "file: "},
        {"\"1.copy.zst\"", "\".hidden\"", "file: "},
        {"\"rows\":2", "\"rows\":-2", "rows: "},
        {"\"rows\":2", "\"rows\":\"2\"", "rows: "},
        {"\"key_columns\":1", "\"key_columns\":3", "columns: "},
        {"\"key_columns\":1", "\"key_columns\":2", "columns: "},
        {"\"key_columns\":1", "\"key_columns\":0", "columns: "},
        {"\"type\":\"text\"", "\"typ\":\"text\"", "type: "},
        {"\"name\":\"ref\"", "\"name\":\"r\\u0000f\"", "it is no JSON"},
        {"2026-01-02T03:04:05Z", "yesterday", "taken_at: "},
    };

    (void) state;
    for (size_t i = 0; i < ROWS(rows) + ROWS(edits); i++) {
        AUTO(arena) a = {0};
        AUTO(err) err = {0};
        AUTO(str) text = {0};
        struct snapshot got = {.name = "untouched"};
        const char *says = i < ROWS(rows) ? rows[i].says : edits[i - ROWS(rows)].says;

        if (i < ROWS(rows)) {
            str_add(&text, rows[i].text);
        } else {
            const char *good = HEAD PART "]}", *was = edits[i - ROWS(rows)].was;
            const char *at = strstr(good, was);
            assert_non_null(at);
            str_addn(&text, good, (size_t) (at - good));
            str_add(&text, edits[i - ROWS(rows)].is);
            str_add(&text, at + strlen(was));
        }
        CHECK(!snapshot_from_json(str_text(&text), text.len, &a, &got, &err), "%zu: read", i);
        CHECK(strncmp(str_text(&err.message), says, strlen(says)) == 0, "%zu: %s, not %s", i,
              str_text(&err.message), says);
        assert_string_equal(got.name, "untouched");
    }
}

static void a_good_one(void **state)
{
    AUTO(arena) a = {0};
    AUTO(err) err = {0};
    struct snapshot got;
    const char *text = HEAD PART "]}";

    (void) state;
    assert_true(snapshot_from_json(text, strlen(text), &a, &got, &err));
    assert_int_equal(got.parts[0].n_key, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(what_isnt_one),
        cmocka_unit_test(a_good_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Markdown and HTML: nothing of a text becomes markup, and nothing of it is lost. */
#include "phasegate/document.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *paragraph(struct arena *a, enum document_format format, const char *text)
{
    struct document d;
    AUTO(str) out = {0};

    document_begin(&d, &out, format, "T");
    size_t head = out.len;
    document_paragraph(&d, "%s", text);
    return arena_strdup(a, str_text(&out) + head);
}

static void test_escapes(void **state)
{
    static const struct {
        const char *text, *markdown, *html;
    } rows[] = {
        {"plain, with a-dash.", "\nplain, with a-dash.\n", "<p>plain, with a-dash.</p>\n"},
        {"<script>alert(1)</script>", "\n\\<script\\>alert(1)\\</script\\>\n",
         "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>\n"},
        {"a & b \"c\" 'd'", "\na \\& b \"c\" 'd'\n",
         "<p>a &amp; b &quot;c&quot; &#39;d&#39;</p>\n"},
        {"[x](javascript:y)", "\n\\[x\\](javascript:y)\n", "<p>[x](javascript:y)</p>\n"},
        {"write_activation and _drop_", "\nwrite_activation and \\_drop\\_\n",
         "<p>write_activation and _drop_</p>\n"},
        {"*a* `b` ~c~ $d$ \\", "\n\\*a\\* \\`b\\` \\~c\\~ \\$d\\$ \\\\\n",
         "<p>*a* `b` ~c~ $d$ \\</p>\n"},
        {"# no heading", "\n\\# no heading\n", "<p># no heading</p>\n"},
        {"- no list", "\n\\- no list\n", "<p>- no list</p>\n"},
        {"1. no list", "\n1\\. no list\n", "<p>1. no list</p>\n"},
        {"a 1. b", "\na 1. b\n", "<p>a 1. b</p>\n"},
        {"two\nlines\x1b[31m", "\ntwo lines \\[31m\n", "<p>two lines [31m</p>\n"},
        {"\xc3\xa4 \xff", "\n\xc3\xa4 \xef\xbf\xbd\n", "<p>\xc3\xa4 \xef\xbf\xbd</p>\n"},
    };
    AUTO(arena) a = {0};

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_string_equal(paragraph(&a, DOCUMENT_MARKDOWN, rows[i].text), rows[i].markdown);
        assert_string_equal(paragraph(&a, DOCUMENT_HTML, rows[i].text), rows[i].html);
    }
}

static void test_code(void **state)
{
    AUTO(arena) a = {0};

    (void) state;
    assert_string_equal(paragraph(&a, DOCUMENT_MARKDOWN, document_code_of(&a, "x_y *z*")),
                        "\n`x_y *z*`\n");
    assert_string_equal(paragraph(&a, DOCUMENT_MARKDOWN, document_code_of(&a, "a``b`")),
                        "\n``` a``b` ```\n");
    assert_string_equal(paragraph(&a, DOCUMENT_HTML, document_code_of(&a, "<b>")),
                        "<p><code>&lt;b&gt;</code></p>\n");
    /* What marks code can't be brought along. */
    assert_string_equal(paragraph(&a, DOCUMENT_HTML, document_code_of(&a, "x\x02y\x01z")),
                        "<p><code>x y z</code></p>\n");
    assert_string_equal(paragraph(&a, DOCUMENT_HTML,
                                  "never \x01"
                                  "closed"),
                        "<p>never <code>closed</code></p>\n");
}

static void write_all(struct document *d, struct str *to, enum document_format format)
{
    document_begin(d, to, format, "A < B");
    document_heading(d, 2, "Part");
    document_bullet(d, "one");
    document_bullet(d, "two");
    document_number(d, "first");
    document_number(d, "second");
    document_row(d, DOCUMENT_CELLS("a", "b"));
    document_row(d, DOCUMENT_CELLS("x | y", "\x01p|q\x02"));
    document_block(d, "sh", "echo '<'\n");
    document_end(d);
}

static void test_parts(void **state)
{
    struct document d;
    AUTO(str) markdown = {0}, html = {0};

    (void) state;
    write_all(&d, &markdown, DOCUMENT_MARKDOWN);
    assert_string_equal(str_text(&markdown), "# A \\< B\n"
                                             "\n## Part\n"
                                             "\n- one\n- two\n"
                                             "\n1. first\n2. second\n"
                                             "\n| a | b |\n|---|---|\n| x \\| y | `p\\|q` |\n"
                                             "\n```sh\necho '<'\n```\n");
    write_all(&d, &html, DOCUMENT_HTML);
    assert_non_null(strstr(str_text(&html), "<title>A &lt; B</title>"));
    assert_non_null(strstr(str_text(&html),
                           "<h2>Part</h2>\n<ul>\n<li>one</li>\n<li>two</li>\n</ul>\n"
                           "<ol>\n<li>first</li>\n<li>second</li>\n</ol>\n"
                           "<table>\n<tr><th>a</th><th>b</th></tr>\n"
                           "<tr><td>x | y</td><td><code>p|q</code></td></tr>\n</table>\n"
                           "<pre><code>echo &#39;&lt;&#39;\n</code></pre>\n</body>\n</html>\n"));
}

static void test_a_block_stays_one(void **state)
{
    struct document d;
    AUTO(str) out = {0};

    (void) state;
    document_begin(&d, &out, DOCUMENT_MARKDOWN, "T");
    document_block(&d, "text", "a\n```\n# b");
    assert_string_equal(str_text(&out), "# T\n\n````text\na\n```\n# b\n````\n");
}

static void test_shell_words(void **state)
{
    static const struct {
        const char *word, *quoted;
    } rows[] = {
        {"production", "production"},
        {"a.b_c-d/e:f@g%h", "a.b_c-d/e:f@g%h"},
        {"", "''"},
        {"-rf", "'-rf'"},
        {"two words", "'two words'"},
        {"it's", "'it'\\''s'"},
        {"$(reboot)", "'$(reboot)'"},
        {"a;b", "'a;b'"},
        {"~root", "'~root'"},
        {"`x`", "'`x`'"},
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(str) out = {0};
        shell_word(&out, rows[i].word);
        assert_string_equal(str_text(&out), rows[i].quoted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escapes),     cmocka_unit_test(test_code),
        cmocka_unit_test(test_parts),       cmocka_unit_test(test_a_block_stays_one),
        cmocka_unit_test(test_shell_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Markdown and HTML from the same calls. Pure. */
#include "phasegate/document.h"

#include <string.h>

/* ---- characters ------------------------------------------------------------------------------ */

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (unsigned char) c >= 0x80;
}

/* Bytes that are no UTF-8 become U+FFFD; *n is how many were taken. */
static void add_beyond_ascii(struct str *to, const char *s, size_t left, size_t *n)
{
    size_t bad = 1;

    *n = str_utf8_length(s, left, &bad);
    if (*n)
        str_addn(to, s, *n);
    else
        str_add(to, "\xEF\xBF\xBD");
    *n = *n ? *n : bad;
}

static void add_html(struct str *to, const char *s, size_t n, bool keeps_lines)
{
    for (size_t i = 0, step; i < n; i += step) {
        char c = s[i];

        step = 1;
        switch (c) {
        case '&': str_add(to, "&amp;"); break;
        case '<': str_add(to, "&lt;"); break;
        case '>': str_add(to, "&gt;"); break;
        case '"': str_add(to, "&quot;"); break;
        case '\'': str_add(to, "&#39;"); break;
        default:
            if ((unsigned char) c >= 0x80)
                add_beyond_ascii(to, s + i, n - i, &step);
            else if (c == '\n' && keeps_lines)
                str_addc(to, c);
            else
                str_addc(to, (unsigned char) c < 0x20 || c == 0x7f ? ' ' : c);
        }
    }
}

/* A letter with marks on both sides of it is a word of ours: write_activation. */
static bool is_inner(const char *s, size_t n, size_t i)
{
    return s[i] == '_' && i > 0 && i + 1 < n && is_word(s[i - 1]) && is_word(s[i + 1]);
}

/* What would begin a list, a heading or a rule at the start of a line. */
static bool begins_a_line(const struct str *to, const char *s, size_t n, size_t i)
{
    bool at_start = i == 0 && (to->len == 0 || to->text[to->len - 1] == '\n');

    if (at_start && strchr("#+-=", s[i]))
        return true;
    /* "1." and "1)" */
    size_t digits = strspn(s, "0123456789");
    return (s[i] == '.' || s[i] == ')') && digits > 0 && i == digits && i < n &&
           (to->len == digits || (to->len > digits && to->text[to->len - digits - 1] == '\n'));
}

static void add_markdown(struct str *to, const char *s, size_t n)
{
    for (size_t i = 0, step; i < n; i += step) {
        char c = s[i];

        step = 1;
        if ((unsigned char) c >= 0x80) {
            add_beyond_ascii(to, s + i, n - i, &step);
            continue;
        }
        if ((unsigned char) c < 0x20 || c == 0x7f)
            c = ' ';
        if ((strchr("\\`*_[]<>|~&$", c) && !is_inner(s, n, i)) || begins_a_line(to, s, n, i))
            str_addc(to, '\\');
        str_addc(to, c);
    }
}

static size_t longest_run(const char *s, size_t n, char of)
{
    size_t longest = 0, run = 0;

    for (size_t i = 0; i < n; i++) {
        run = s[i] == of ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest;
}

static void add_times(struct str *to, char c, size_t n)
{
    while (n-- > 0)
        str_addc(to, c);
}

/* A bar ends a cell of a table even within code. */
static void add_markdown_code(struct str *to, const char *s, size_t n, bool in_table)
{
    size_t ticks = longest_run(s, n, '`') + 1;
    bool spaced = n > 0 && (s[0] == '`' || s[n - 1] == '`');

    add_times(to, '`', ticks);
    str_add(to, spaced ? " " : "");
    for (size_t i = 0, step; i < n; i += step) {
        step = 1;
        if ((unsigned char) s[i] >= 0x80)
            add_beyond_ascii(to, s + i, n - i, &step);
        else {
            if (s[i] == '|' && in_table)
                str_addc(to, '\\');
            str_addc(to, (unsigned char) s[i] < 0x20 || s[i] == 0x7f ? ' ' : s[i]);
        }
    }
    str_add(to, spaced ? " " : "");
    add_times(to, '`', ticks);
}

/* Text with code in it. */
static void add_text(struct document *d, const char *text)
{
    bool html = d->format == DOCUMENT_HTML;

    while (*text) {
        size_t n = strcspn(text, "\x01\x02");

        if (html)
            add_html(d->to, text, n, false);
        else
            add_markdown(d->to, text, n);
        text += n;
        if (*text == DOCUMENT_CODE) {
            n = strcspn(++text, "\x01\x02");
            if (html) {
                str_add(d->to, "<code>");
                add_html(d->to, text, n, false);
                str_add(d->to, "</code>");
            } else if (n > 0)
                add_markdown_code(d->to, text, n, d->part == DOCUMENT_ROWS);
            text += n;
        }
        text += *text == DOCUMENT_TEXT;
    }
}

const char *document_code_of(struct arena *a, const char *text)
{
    AUTO(str) clean = {0};

    str_addc(&clean, DOCUMENT_CODE);
    for (; *text; text++)
        str_addc(&clean, *text == DOCUMENT_CODE || *text == DOCUMENT_TEXT ? ' ' : *text);
    str_addc(&clean, DOCUMENT_TEXT);
    return arena_strdup(a, str_text(&clean));
}

/* ---- parts ----------------------------------------------------------------------------------- */

static void open_part(struct document *d, enum document_part part)
{
    static const char *const tags[] = {
        [DOCUMENT_BULLETS] = "ul", [DOCUMENT_NUMBERS] = "ol", [DOCUMENT_ROWS] = "table"};
    bool html = d->format == DOCUMENT_HTML;

    if (part == d->part && part != DOCUMENT_PLAIN)
        return;
    if (d->part != DOCUMENT_PLAIN && html)
        str_addf(d->to, "</%s>\n", tags[d->part]);
    if (!html)
        str_addc(d->to, '\n');
    d->part = part;
    d->number = 0;
    if (part != DOCUMENT_PLAIN && html)
        str_addf(d->to, "<%s>\n", tags[part]);
}

void document_begin(struct document *d, struct str *to, enum document_format format,
                    const char *title)
{
    *d = (struct document) {.to = to, .format = format};
    if (format == DOCUMENT_HTML) {
        str_add(to,
                "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>");
        add_html(to, title, strlen(title), false);
        str_add(to, "</title>\n<style>\n"
                    "body { font: 16px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: "
                    "0 1em }\n"
                    "table { border-collapse: collapse } th, td { border: 1px solid #999; padding: "
                    ".3em .6em; "
                    "text-align: left; vertical-align: top }\n"
                    "pre { background: #eee; padding: .6em; overflow-x: auto }\n"
                    "</style>\n</head>\n<body>\n");
    }
    str_add(to, format == DOCUMENT_HTML ? "<h1>" : "# ");
    add_text(d, title);
    str_add(to, format == DOCUMENT_HTML ? "</h1>\n" : "\n");
}

void document_end(struct document *d)
{
    if (d->format == DOCUMENT_MARKDOWN)
        return;
    open_part(d, DOCUMENT_PLAIN);
    str_add(d->to, "</body>\n</html>\n");
}

void document_heading(struct document *d, int level, const char *text)
{
    open_part(d, DOCUMENT_PLAIN);
    if (d->format == DOCUMENT_HTML)
        str_addf(d->to, "<h%d>", level);
    else {
        add_times(d->to, '#', (size_t) level);
        str_addc(d->to, ' ');
    }
    add_text(d, text);
    if (d->format == DOCUMENT_HTML)
        str_addf(d->to, "</h%d>", level);
    str_addc(d->to, '\n');
}

static void add_part(struct document *d, enum document_part part, const char *fmt, va_list ap)
{
    bool html = d->format == DOCUMENT_HTML;
    AUTO(str) text = {0};

    str_vaddf(&text, fmt, ap);
    open_part(d, part);
    d->number++;
    if (html)
        str_add(d->to, part == DOCUMENT_PLAIN ? "<p>" : "<li>");
    else if (part == DOCUMENT_BULLETS)
        str_add(d->to, "- ");
    else if (part == DOCUMENT_NUMBERS)
        str_addf(d->to, "%d. ", d->number);
    add_text(d, str_text(&text));
    if (html)
        str_add(d->to, part == DOCUMENT_PLAIN ? "</p>" : "</li>");
    str_addc(d->to, '\n');
}

void document_paragraph(struct document *d, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add_part(d, DOCUMENT_PLAIN, fmt, ap);
    va_end(ap);
}

void document_bullet(struct document *d, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add_part(d, DOCUMENT_BULLETS, fmt, ap);
    va_end(ap);
}

void document_number(struct document *d, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add_part(d, DOCUMENT_NUMBERS, fmt, ap);
    va_end(ap);
}

void document_block(struct document *d, const char *language, const char *text)
{
    size_t n = strlen(text);
    bool has_end = n > 0 && text[n - 1] == '\n';

    open_part(d, DOCUMENT_PLAIN);
    if (d->format == DOCUMENT_HTML) {
        str_add(d->to, "<pre><code>");
        add_html(d->to, text, n, true);
        str_addf(d->to, "%s</code></pre>\n", has_end ? "" : "\n");
        return;
    }
    size_t ticks = longest_run(text, n, '`') + 1;
    ticks = ticks < 3 ? 3 : ticks;
    add_times(d->to, '`', ticks);
    str_addf(d->to, "%s\n", language);
    for (size_t i = 0, step; i < n; i += step) {
        step = 1;
        if ((unsigned char) text[i] >= 0x80)
            add_beyond_ascii(d->to, text + i, n - i, &step);
        else if (text[i] != '\n' && ((unsigned char) text[i] < 0x20 || text[i] == 0x7f))
            str_addc(d->to, ' ');
        else
            str_addc(d->to, text[i]);
    }
    str_add(d->to, has_end ? "" : "\n");
    add_times(d->to, '`', ticks);
    str_addc(d->to, '\n');
}

void document_row(struct document *d, const char *const *cells)
{
    bool html = d->format == DOCUMENT_HTML;
    bool is_head = d->part != DOCUMENT_ROWS;
    const char *tag = is_head ? "th" : "td";
    int n = 0;

    open_part(d, DOCUMENT_ROWS);
    str_add(d->to, html ? "<tr>" : "|");
    for (; cells[n]; n++) {
        if (html)
            str_addf(d->to, "<%s>", tag);
        else
            str_addc(d->to, ' ');
        add_text(d, cells[n]);
        if (html)
            str_addf(d->to, "</%s>", tag);
        else
            str_add(d->to, " |");
    }
    str_add(d->to, html ? "</tr>\n" : "\n");
    if (!is_head || html)
        return;
    str_addc(d->to, '|');
    for (int i = 0; i < n; i++)
        str_add(d->to, "---|");
    str_addc(d->to, '\n');
}

/* ---- shell ----------------------------------------------------------------------------------- */

void shell_word(struct str *to, const char *word)
{
    static const char safe[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@%+,=-";

    if (*word && word[0] != '-' && strspn(word, safe) == strlen(word)) {
        str_add(to, word);
        return;
    }
    str_addc(to, '\'');
    for (; *word; word++)
        if (*word == '\'')
            str_add(to, "'\\''");
        else
            str_addc(to, *word);
    str_addc(to, '\'');
}

#include "load/yaml_scan.h"

#include "load/yaml_tree.h"

#include <string.h>

/* Length of the UTF-8 character at p, or 0 when it is none (overlong, surrogate, cut, too large). */
static size_t utf8_length(const unsigned char *p, size_t left)
{
    static const struct {
        unsigned char mask, lead;
        size_t len;
        uint32_t least;
    } forms[] = {{0xe0, 0xc0, 2, 0x80}, {0xf0, 0xe0, 3, 0x800}, {0xf8, 0xf0, 4, 0x10000}};

    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
        if ((p[0] & forms[f].mask) != forms[f].lead)
            continue;
        if (left < forms[f].len)
            return 0;
        uint32_t c = p[0] & (unsigned char) ~forms[f].mask;
        for (size_t i = 1; i < forms[f].len; i++) {
            if ((p[i] & 0xc0) != 0x80)
                return 0;
            c = c << 6 | (p[i] & 0x3f);
        }
        bool is_valid = c >= forms[f].least && c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);
        return is_valid ? forms[f].len : 0;
    }
    return 0;
}

/* Not allowed in YAML although it is UTF-8: C1 controls but NEL, the byte order mark, non-characters. */
static bool is_odd(const unsigned char *p, size_t len)
{
    if (len == 2)
        return p[0] == 0xc2 && p[1] < 0xa0 && p[1] != 0x85;
    if (len == 3)
        return (p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf) ||
               (p[0] == 0xef && p[1] == 0xbf && p[2] >= 0xbe);
    return false;
}

static bool note_tab(struct yaml_text *t, struct arena *scratch, struct pos at,
                     struct problem_list *problems)
{
    if (t->n_tab_lines == YAML_TAB_LINES) {
        problem_add(problems, at, "spaces", NULL, "more than %d lines start with a tab",
                    YAML_TAB_LINES);
        return false;
    }
    if (!t->tab_lines)
        t->tab_lines = arena_array(scratch, struct tab_line, YAML_TAB_LINES);
    t->tab_lines[t->n_tab_lines++] = (struct tab_line) {at.line, at.col, false};
    return true;
}

/* A tab among the white space that a line starts with, unless nothing follows it. */
static bool line_has_tab(const unsigned char *line, const unsigned char *end, int *col)
{
    const unsigned char *p = line;

    while (p < end && *p == ' ')
        p++;
    if (p == end || *p != '\t')
        return false;
    *col = (int) (p - line) + 1;
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    return p < end && *p != '\n' && *p != '\r';
}

/* Past bytes from 0x20 to 0x7e, eight at a time: nearly all that a plan consists of. */
static const unsigned char *skip_plain(const unsigned char *p, const unsigned char *end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), high = ones * 0x80;

    for (; end - p >= 8; p += 8) {
        uint64_t x;
        memcpy(&x, p, sizeof x);
        uint64_t is_low = (x - ones * 0x20) & ~x, is_del = (x ^ ones * 0x7f) - ones;
        if ((x | is_low | is_del) & high)
            break;
    }
    while (p < end && *p >= 0x20 && *p < 0x7f)
        p++;
    return p;
}

static bool scan_bytes(struct yaml_text *t, struct arena *scratch, const char *file,
                       struct problem_list *problems)
{
    const unsigned char *p = (const unsigned char *) t->bytes, *end = p + t->n, *line_start = p;
    struct pos at = {file, 1, 0};
    bool is_line_start = true;

    while (p < end) {
        if (is_line_start) {
            line_start = p;
            is_line_start = false;
            if (line_has_tab(p, end, &at.col) && !note_tab(t, scratch, at, problems))
                return false;
        }
        p = skip_plain(p, end);
        if (p == end)
            break;
        unsigned char c = *p;
        if (c == '\n') {
            p++;
            at.line++;
            is_line_start = true;
        } else if (c == '\t' || c == '\r') {
            p++;
        } else {
            at.col = (int) (p - line_start) + 1;
            size_t len = c < 0x80 ? 0 : utf8_length(p, (size_t) (end - p));
            if (c < 0x80 || (len > 0 && is_odd(p, len))) {
                problem_add(problems, at, "text", NULL, "a control character (byte 0x%02x)", c);
                return false;
            }
            if (len == 0) {
                problem_add(problems, at, "UTF-8", "save the file as UTF-8",
                            "byte 0x%02x isn't UTF-8", c);
                return false;
            }
            p += len;
        }
    }
    return true;
}

bool yaml_text_scan(struct yaml_text *t, struct arena *scratch, const char *file,
                    struct problem_list *problems)
{
    if (t->n > YAML_FILE_MAX) {
        problem_add(problems, (struct pos) {file, 0, 0}, "at most 1 MiB", NULL,
                    "the file is too large");
        return false;
    }
    if (t->n >= 3 && memcmp(t->bytes, "\xef\xbb\xbf", 3) == 0) {
        t->bytes += 3;
        t->n -= 3;
    }
    return scan_bytes(t, scratch, file, problems);
}

/* Moves to the start of a line at or after the one found last. */
static const char *line_start(struct yaml_text *t, int line)
{
    if (t->at_line == 0 || t->at_line > line) {
        t->at_line = 1;
        t->at_start = 0;
    }
    while (t->at_line < line) {
        const char *from = t->bytes + t->at_start;
        const char *newline = memchr(from, '\n', t->n - t->at_start);
        if (!newline)
            return t->bytes + t->n;
        t->at_start = (size_t) (newline + 1 - t->bytes);
        t->at_line++;
    }
    return t->bytes + t->at_start;
}

void yaml_text_block_start(struct yaml_text *t, struct pos *at)
{
    const char *p = line_start(t, at->line + 1), *start = p, *end = t->bytes + t->n;

    while (p < end && *p == ' ')
        p++;
    at->line++;
    at->col = (int) (p - start) + 1;
}

bool yaml_text_is_end(struct yaml_text *t, int line, int col)
{
    size_t start = (size_t) (line_start(t, line) - t->bytes);

    return start + (size_t) col - 1 >= t->n;
}

void yaml_text_tabs_allowed(struct yaml_text *t, int first, int last)
{
    for (int i = 0; i < t->n_tab_lines; i++)
        if (t->tab_lines[i].line >= first && t->tab_lines[i].line <= last)
            t->tab_lines[i].allowed = true;
}

bool yaml_text_add_tab_problem(const struct yaml_text *t, const char *file, int line,
                               struct problem_list *problems)
{
    for (int i = 0; i < t->n_tab_lines; i++) {
        const struct tab_line *tab = &t->tab_lines[i];
        if (tab->allowed || (line != 0 && tab->line != line))
            continue;
        problem_add(problems, (struct pos) {file, tab->line, tab->col}, "spaces", NULL,
                    "a tab as indentation");
        return true;
    }
    return false;
}

/* Aligned columns for people. */
#include "out_int.h"

#include <string.h>

void out_table_free(struct out_table *t)
{
    arena_free(&t->arena);
    memset(t, 0, sizeof *t);
}

/* Places on a terminal: code points, which is right for everything but wide and combining characters. */
static int width(const char *s)
{
    int n = 0;

    for (; *s; s++)
        n += ((unsigned char) *s & 0xC0) != 0x80;
    return n;
}

static void add(struct out_table *t, const char *const *cells)
{
    if (t->n_rows == t->cap) {
        int cap = t->cap ? 2 * t->cap : 16;
        size_t old = (size_t) (t->cap * t->n_cols), now = (size_t) (cap * t->n_cols);

        t->cells = arena_grow(&t->arena, t->cells, old * sizeof *t->cells, now * sizeof *t->cells);
        t->styles =
            arena_grow(&t->arena, t->styles, old * sizeof *t->styles, now * sizeof *t->styles);
        t->cap = cap;
    }
    for (int i = 0, ended = 0; i < t->n_cols; i++) {
        ended = ended || !cells[i];
        t->cells[t->n_rows * t->n_cols + i] = out_clean(&t->arena, ended ? "" : cells[i], false);
        t->styles[t->n_rows * t->n_cols + i] = STYLE_PLAIN;
    }
    t->n_rows++;
}

void out_table_head(struct out_table *t, const char *const *cells)
{
    t->n_cols = 0;
    while (cells[t->n_cols])
        t->n_cols++;
    add(t, cells);
    for (int i = 0; i < t->n_cols; i++)
        t->styles[i] = STYLE_BOLD;
}

void out_table_row(struct out_table *t, const char *const *cells) { add(t, cells); }

void out_table_style(struct out_table *t, int col, enum out_style s)
{
    t->styles[(t->n_rows - 1) * t->n_cols + col] = s;
}

void out_table_print(struct out *o, const struct out_table *t)
{
    AUTO(arena) a = {0};
    int *widths = arena_array(&a, int, t->n_cols + 1);

    for (int i = 0; i < t->n_rows * t->n_cols; i++) {
        int w = width(t->cells[i]);

        if (w > widths[i % t->n_cols])
            widths[i % t->n_cols] = w;
    }
    for (int r = 0; r < t->n_rows; r++) {
        int last = t->n_cols - 1;

        while (last > 0 && !t->cells[r * t->n_cols + last][0])
            last--;
        for (int c = 0; c <= last; c++) {
            const char *cell = t->cells[r * t->n_cols + c];
            enum out_style s = t->styles[r * t->n_cols + c];
            int pad = c == last ? 0 : widths[c] - width(cell) + 2;

            out_print(o, "%s%s%s%*s", s ? out_style(o, s) : "", cell,
                      s ? out_style(o, STYLE_PLAIN) : "", pad, "");
        }
        out_print(o, "\n");
    }
}

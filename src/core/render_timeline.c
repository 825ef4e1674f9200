/* The timeline for people: a table, and a picture. */
#include "phasegate/timeline.h"

#include <string.h>

/* ---- words ---------------------------------------------------------------------------------------------- */

/* "1.0.0, 1.1.0 + reports" */
static void live_words(const struct timeline *t, const struct timeline_world *w, struct str *out)
{
    int first = t->n_releases;

    for (int i = w->oldest; i <= w->newest; i++)
        str_addf(out, "%s%s", i > w->oldest ? ", " : "", t->releases[i].version);
    for (int i = 0; i < t->n_consumers; i++)
        str_addf(out, "%s%s",
                 i                        ? ", "
                 : w->newest >= w->oldest ? " + "
                                          : "",
                 t->releases[first + i].version);
    if (out->len == 0)
        str_add(out, "-");
}

/* "orders-read=either orders-write=off" */
static void flag_words(const struct timeline *t, const struct timeline_world *w, struct str *out)
{
    for (int i = 0; i < t->n_flags; i++)
        str_addf(out, "%s%s=%s", i ? " " : "", t->flags[i], w->either[i] ? "either" : "off");
}

/* "4 column (expand of accounts)"; out of another state than the one before: "..., from 2" */
static void state_words(struct arena *a, const struct timeline *t, int state, struct str *out)
{
    str_addf(out, "%d %s", state, state_title(a, t, state));
    if (state > 0 && t->states[state].from != state - 1)
        str_addf(out, ", from %d", t->states[state].from);
}

static const char *plural(int n) { return n == 1 ? "" : "s"; }

/* ---- the table --------------------------------------------------------------------------------------------- */

enum { COL_WORLD, COL_KIND, COL_STATE, COL_LIVE, COL_FLAGS, COL_CELLS, N_COLS };

struct row {
    const char *cells[N_COLS];
};

static void world_row(struct arena *a, const struct timeline *t, int world, const int *cells,
                      struct row *out)
{
    const struct timeline_world *w = &t->worlds[world];
    AUTO(str) state = {0};
    AUTO(str) live = {0};
    AUTO(str) flags = {0};

    state_words(a, t, w->state, &state);
    live_words(t, w, &live);
    flag_words(t, w, &flags);
    out->cells[COL_WORLD] = arena_printf(a, "%d", world);
    out->cells[COL_KIND] = world_kind_word(w->kind);
    out->cells[COL_STATE] = arena_strdup(a, str_text(&state));
    out->cells[COL_LIVE] = arena_strdup(a, str_text(&live));
    out->cells[COL_FLAGS] = arena_strdup(a, str_text(&flags));
    out->cells[COL_CELLS] = cells ? arena_printf(a, "%d", cells[world]) : "";
}

static int width(const char *s)
{
    int n = 0;

    for (; *s; s++)
        n += ((unsigned char) *s & 0xC0) != 0x80;
    return n;
}

static void add_row(const struct row *r, const int *widths, struct str *out)
{
    int last = N_COLS - 1;

    while (last > 0 && !r->cells[last][0])
        last--;
    for (int c = 0; c <= last; c++)
        str_addf(out, "%s%*s", r->cells[c], c == last ? 0 : widths[c] - width(r->cells[c]) + 2, "");
    str_addc(out, '\n');
}

static void add_end(const struct timeline *t, const int *cells, struct str *out)
{
    int sum = 0;

    for (int i = 0; cells && i < t->n_worlds; i++)
        sum += cells[i];
    str_addf(out, "\n%d world%s of %d state%s of the database", t->n_worlds, plural(t->n_worlds),
             t->n_states, plural(t->n_states));
    if (cells)
        str_addf(out, ", %d cell%s", sum, plural(sum));
    str_add(out, "\n");
    if (t->n_cut > 0)
        str_addf(out,
                 "%d more: the plans that meet can be in the middle of one another in too many "
                 "ways; bind them to different releases\n",
                 t->n_cut);
}

void timeline_text(const struct timeline *t, const int *cells, struct str *out)
{
    AUTO(arena) a = {0};
    struct row *rows = arena_array(&a, struct row, t->n_worlds + 1);
    int widths[N_COLS] = {0};

    rows[0] = (struct row) {
        {"world", "kind", "schema step", "live", t->n_flags ? "flags" : "", cells ? "cells" : ""}};
    for (int i = 0; i < t->n_worlds; i++)
        world_row(&a, t, i, cells, &rows[i + 1]);
    for (int i = 0; i <= t->n_worlds; i++)
        for (int c = 0; c < N_COLS; c++)
            if (width(rows[i].cells[c]) > widths[c])
                widths[c] = width(rows[i].cells[c]);
    for (int i = 0; i <= t->n_worlds; i++)
        add_row(&rows[i], widths, out);
    add_end(t, cells, out);
}

/* ---- the picture ------------------------------------------------------------------------------------------------ */

/* Into a quoted label: what would end it, or be taken for markup, goes as an entity. */
static void add_label(struct str *out, const char *text)
{
    for (const char *s = text; *s; s++)
        if (strchr("\"#<>&;`\\", *s) || (unsigned char) *s < ' ')
            str_addf(out, "#%d;", (unsigned char) *s);
        else
            str_addc(out, *s);
}

static void add_world_line(const struct timeline *t, int world, const int *cells, struct str *out)
{
    const struct timeline_world *w = &t->worlds[world];
    AUTO(str) live = {0};

    live_words(t, w, &live);
    str_addf(out, "<br/>%d %s: ", world, world_kind_word(w->kind));
    add_label(out, str_text(&live));
    for (int i = 0; i < t->n_flags; i++)
        if (w->either[i]) {
            str_add(out, ", ");
            add_label(out, t->flags[i]);
            str_add(out, "=either");
        }
    if (cells)
        str_addf(out, ", %d cell%s", cells[world], plural(cells[world]));
}

static void add_node(struct arena *a, const struct timeline *t, int state, const int *cells,
                     struct str *out)
{
    str_addf(out, "    s%d[\"", state);
    add_label(out, state_title(a, t, state));
    for (int i = 0; i < t->n_worlds; i++)
        if (t->worlds[i].state == state)
            add_world_line(t, i, cells, out);
    str_add(out, "\"]\n");
}

static void add_edge(const struct timeline *t, int state, struct str *out)
{
    const struct timeline_state *s = &t->states[state];

    if (s->by == STATE_RESTORE) {
        str_addf(out, "    s%d -. \"restore\" .-> s%d\n", s->from, state);
        return;
    }
    str_addf(out, "    s%d -- \"", s->from);
    add_label(out, s->is_purge ? "purge" : phase_word(s->phase));
    str_add(out, " ");
    add_label(out, t->plans[s->plan]->phases[s->phase].release.s);
    str_addf(out, "\" --> s%d\n", state);
}

void timeline_mermaid(const struct timeline *t, const int *cells, struct str *out)
{
    AUTO(arena) a = {0};

    str_add(out, "flowchart TD\n");
    for (int i = 0; i < t->n_states; i++)
        add_node(&a, t, i, cells, out);
    for (int i = 1; i < t->n_states; i++)
        add_edge(t, i, out);
}
